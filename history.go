package nestgen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"time"

	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/internal/distance"
	"nestgen/packaging"
)

// A Point is a place in the history of a site: an event, or a moment. The zero Point
// is none.
type Point struct {
	given      bool
	serial     int64
	isSerial   bool
	begin, end time.Time // of the day, if it is one; else both are the moment
}

// IsZero reports whether p is none.
func (p Point) IsZero() bool { return !p.given }

// ParsePoint reads a point: the serial of an event ("1234"), a day ("2026-11-21") or a
// moment ("2026-11-21T10:00:00Z"), in UTC if it says no other offset, or a time before
// now ("7d", "1h 30m").
func ParsePoint(text string, now time.Time) (Point, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return Point{given: true, serial: n, isSerial: true}, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return Point{given: true, begin: day, end: day.AddDate(0, 0, 1)}, nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if at, err := time.Parse(form, text); err == nil {
			return Point{given: true, begin: at, end: at}, nil
		}
	}
	var ago Duration
	if err := ago.UnmarshalText([]byte(text)); err != nil {
		return Point{}, fmt.Errorf("%q: want the serial of an event, a day such as 2026-11-21, a moment such as 2026-11-21T10:00:00Z, or a time ago such as 7d", text)
	}
	at := now.Add(-time.Duration(ago))
	return Point{given: true, begin: at, end: at}, nil
}

// A LoggedChange is what happened to a project at one moment, as people are told of it,
// and a LoggedLine a part of that.
type (
	LoggedChange = generate.Change
	LoggedLine   = generate.ChangeLine
)

// A LogQuery says what of the history is wanted. The zero LogQuery wants all of it, the
// newest first.
type LogQuery struct {
	// Projects and Verbs are those wanted; all if empty.
	Projects []packaging.Name
	Verbs    []catalog.Verb

	// Since is where it begins: after an event, with a day, or at a moment. Until is
	// where it ends: with an event, with a day, or before a moment.
	Since, Until Point

	// Limit is how many are wanted at most, the newest; 0 for all.
	Limit int

	OldestFirst bool
}

// Check says why a query cannot want anything, now or ever; nil if it may.
func (q *LogQuery) Check(now time.Time) error {
	a, b := q.Since, q.Until
	switch {
	case a.given && !a.isSerial && a.begin.After(now):
		return fmt.Errorf("--since: %s is to come", a.begin.UTC().Format(time.DateTime))
	case a.given && b.given && a.isSerial == b.isSerial && (a.serial > b.serial || a.begin.After(b.end)):
		return errors.New("--since is after --until")
	}
	return nil
}

// Log reads the events that a query wants. It works while others write. The error
// matches [ErrSettings] if the query names a project that the index has never had.
func Log(ctx context.Context, c Config, q LogQuery) iter.Seq2[catalog.Event, error] {
	return logged(ctx, c, q, false, func(events iter.Seq2[catalog.Event, error]) iter.Seq2[catalog.Event, error] { return events })
}

// LogChanges is [Log] for people: events of one project at one moment are one change,
// and what the catalog notes for itself alone is none.
func LogChanges(ctx context.Context, c Config, q LogQuery) iter.Seq2[LoggedChange, error] {
	return logged(ctx, c, q, !slices.Contains(q.Verbs, catalog.Known), generate.GroupChanges)
}

// logged reads events and makes of them what is wanted.
func logged[T any](ctx context.Context, c Config, q LogQuery, changes bool, of func(iter.Seq2[catalog.Event, error]) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		cat, err := look(c)
		if err != nil {
			yield(none, err)
			return
		}
		defer cat.Close()
		f, err := q.filter(ctx, cat)
		if err != nil {
			yield(none, err)
			return
		}
		f.Changes = changes
		if f.Upto == 0 {
			return // it ends before anything has happened
		}
		if !q.OldestFirst || q.Limit == 0 {
			f.NewestFirst = !q.OldestFirst
			n := 0
			for v, err := range of(cat.FilteredEvents(ctx, f)) {
				if n++; !yield(v, storage(err)) || n == q.Limit {
					return
				}
			}
			return
		}
		f.NewestFirst = true
		var newest []T
		for v, err := range of(cat.FilteredEvents(ctx, f)) {
			if err != nil {
				yield(none, storage(err))
				return
			}
			if newest = append(newest, v); len(newest) == q.Limit {
				break
			}
		}
		for _, v := range slices.Backward(newest) {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// filter makes serials of what a query names by other words.
func (q *LogQuery) filter(ctx context.Context, cat *catalog.Catalog) (f catalog.EventFilter, err error) {
	f = catalog.EventFilter{Projects: q.Projects, Verbs: q.Verbs}
	for _, n := range q.Projects {
		if _, err := cat.Project(ctx, n); errors.Is(err, fs.ErrNotExist) {
			return f, neverHad(ctx, cat, n, "")
		} else if err != nil {
			return f, storage(err)
		}
	}
	if f.Upto, err = cat.Serial(ctx); err != nil {
		return f, storage(err)
	}
	if last := f.Upto; q.Since.isSerial && q.Since.serial > last {
		return f, &fault{ErrSettings, fmt.Errorf("serial %d: the last one is %d", q.Since.serial, last), "is this the index that the serial is of?"}
	}
	if p := q.Since; p.isSerial {
		f.After = p.serial
	} else if !p.IsZero() {
		if f.After, err = cat.SerialBefore(ctx, p.begin); err != nil {
			return f, storage(err)
		}
	}
	if p := q.Until; p.isSerial {
		f.Upto = min(f.Upto, p.serial)
	} else if !p.IsZero() {
		upto, err := cat.SerialBefore(ctx, p.end)
		if err != nil {
			return f, storage(err)
		}
		f.Upto = min(f.Upto, upto)
	}
	return f, nil
}

// neverHad is the error for a project that nothing is known of; and says what else is not.
func neverHad(ctx context.Context, cat *catalog.Catalog, n packaging.Name, and string) error {
	names, err := cat.Names(ctx)
	if err != nil {
		return storage(err)
	}
	hint := ""
	if near := distance.Nearest(string(n), func(yield func(string) bool) {
		for _, name := range names {
			if !yield(string(name)) {
				return
			}
		}
	}); near != "" {
		hint = "is it " + near + " that is meant?"
	}
	return &fault{ErrSettings, fmt.Errorf("%s: the index has never had a project of this name%s", n, and), hint}
}
