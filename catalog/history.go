package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"nestgen/packaging"
)

// An EventFilter says which events are wanted, and in which order. The zero
// EventFilter wants all, oldest first.
type EventFilter struct {
	// Projects and Verbs are those wanted; all if empty.
	Projects []packaging.Name
	Verbs    []Verb

	// After is a serial: what is wanted came after it. Upto is the last serial that
	// is wanted; 0 is for all.
	After, Upto int64

	// Changes leaves out what the catalog notes for itself alone.
	Changes bool

	NewestFirst bool
}

// FilteredEvents reads the events that a filter wants, one at a time. Whoever wants
// no more just stops.
func (c *Catalog) FilteredEvents(ctx context.Context, f EventFilter) iter.Seq2[Event, error] {
	q, which, args := querier(c.db), "serial > ?", []any{f.After}
	if f.Upto > 0 {
		which, args = which+" AND serial <= ?", append(args, f.Upto)
	}
	// The events of one project have an index, by which they are in order. They are
	// asked for for project after project.
	if len(f.Projects) == 1 {
		q, which, args = c.one, which+" AND project = ?", append(args, f.Projects[0])
	} else if len(f.Projects) > 1 {
		which, args = which+" AND +project IN (SELECT value FROM json_each(?))", append(args, jsonList(f.Projects))
	}
	if len(f.Verbs) > 0 {
		which, args = which+" AND +verb IN (SELECT value FROM json_each(?))", append(args, jsonList(f.Verbs))
	}
	if f.Changes {
		which, args = which+" AND verb <> ?", append(args, Known)
	}
	which += " ORDER BY serial"
	if f.NewestFirst {
		which += " DESC"
	}
	return events(ctx, q, which, args...)
}

// jsonList gives texts as a JSON array, for one parameter of a statement.
func jsonList[T ~string](texts []T) string {
	b, err := json.Marshal(texts)
	if err != nil {
		panic(err) // a list of texts always has a form in JSON
	}
	return string(b)
}

// FirstEvent gives the first event of all, and the zero Event if nothing has happened
// yet.
func (c *Catalog) FirstEvent(ctx context.Context) (Event, error) {
	for e, err := range c.FilteredEvents(ctx, EventFilter{}) {
		return e, err
	}
	return Event{}, nil
}

// SerialBefore gives the serial of the last event before a time, and 0 if there is
// none. Times never fall from an event to the next, so that it need not look at all.
func (c *Catalog) SerialBefore(ctx context.Context, at time.Time) (int64, error) {
	last, err := c.Serial(ctx)
	if err != nil {
		return 0, err
	}
	before, limit := int64(0), at.UnixMicro()
	for before < last {
		middle := before + (last-before+1)/2
		var serial, micro int64
		err := c.one.QueryRowContext(ctx, "SELECT serial, time FROM events WHERE serial <= ? ORDER BY serial DESC LIMIT 1", middle).Scan(&serial, &micro)
		switch {
		case errors.Is(err, sql.ErrNoRows), err == nil && serial <= before:
			before = middle // there is none between the two
		case err != nil:
			return 0, fmt.Errorf("read events: %w", err)
		case micro < limit:
			before = middle
		default:
			last = serial - 1
		}
	}
	// There may be no event with the number itself.
	var serial int64
	err = c.one.QueryRowContext(ctx, "SELECT coalesce(max(serial), 0) FROM events WHERE serial <= ?", before).Scan(&serial)
	if err != nil {
		return 0, fmt.Errorf("read events: %w", err)
	}
	return serial, nil
}

// States gives the states of those of some projects that have pages: that have files,
// or are quarantined.
func (c *Catalog) States(ctx context.Context, names []packaging.Name) (map[packaging.Name]State, error) {
	return byKey[packaging.Name, State](ctx, c.one, fmt.Sprintf("SELECT name, state FROM projects WHERE name IN (SELECT value FROM json_each(?)) AND (files > 0 OR other & %d)", isQuarantined), jsonList(names))
}

// Verbs are all that there are, in the order of what they are about.
var Verbs = []Verb{
	Add, Withdraw, Restore, Arrive, Change, Yanking, Unyank, Mark, Relink, RelinkMore, Expire, Known,
	Promotion, Demotion,
	Rotation, Snapshot, Drop, Rollback, Resume, Import,
}
