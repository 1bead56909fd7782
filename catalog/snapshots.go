package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"nestgen/packaging"
)

// The tables of snapshots. A snapshot is a name for a serial, and a view whose
// projects are those of the index as it was then. What of it may not be shown at the
// moment is missing from the view, and stands in "frozen": for each project of which
// the view does not show what it was, the value that it was. Both pin their files.
const (
	snapshotsTable = `
CREATE TABLE snapshots (
	tag      TEXT PRIMARY KEY,
	serial   INTEGER NOT NULL,
	made     INTEGER NOT NULL,
	rule     TEXT NOT NULL,
	note     TEXT NOT NULL,
	state    TEXT NOT NULL,
	projects INTEGER NOT NULL,
	files    INTEGER NOT NULL,
	bytes    INTEGER NOT NULL
) WITHOUT ROWID;
`
	frozenTable = `
CREATE TABLE frozen (
	view    TEXT NOT NULL,
	project TEXT NOT NULL,
	body    BLOB NOT NULL,
	PRIMARY KEY (view, project)
) WITHOUT ROWID;
`
	lackingTable = `
CREATE TABLE lacking (
	tag      TEXT NOT NULL,
	project  TEXT NOT NULL,
	filename TEXT NOT NULL,
	PRIMARY KEY (tag, project, filename)
) WITHOUT ROWID;
`
)

// A SnapshotState says how far a snapshot is.
type SnapshotState string

// The states. A run that dies leaves one of the first and the last to the next.
const (
	SnapshotBegun   SnapshotState = "begun" // not all of its projects are there
	SnapshotWhole   SnapshotState = ""
	SnapshotDropped SnapshotState = "dropped" // its pages may be there still
)

// A Tagged is a serial that has a name: a snapshot.
type Tagged struct {
	Tag    string
	Serial int64

	// Time is when it was made, in microseconds since 1970 UTC.
	Time int64

	// Rule is that of the settings which made it; empty if somebody did. Note is a
	// line for people, or empty.
	Rule, Note string
	State      SnapshotState

	// Counts is what it has, whether or not all of it may be shown.
	Counts

	// Lacking is how many files it should have whose bytes were gone when it was
	// made.
	Lacking int64
}

const snapshotColumns = "tag, serial, made, rule, note, state, projects, files, bytes, (SELECT count(*) FROM lacking WHERE lacking.tag = snapshots.tag)"

// Snapshots gives all snapshots, those that were made first before the others.
func (c *Catalog) Snapshots(ctx context.Context) ([]Tagged, error) {
	return foundAll(ctx, c.db, func(rows *sql.Rows) (Tagged, error) { return scanSnapshot(rows.Scan) },
		"SELECT "+snapshotColumns+" FROM snapshots ORDER BY made, tag")
}

// Snapshot gives the snapshot of a name. The error matches [fs.ErrNotExist] if there
// is none.
func (c *Catalog) Snapshot(ctx context.Context, tag string) (Tagged, error) {
	s, err := scanSnapshot(c.db.QueryRowContext(ctx, "SELECT "+snapshotColumns+" FROM snapshots WHERE tag = ?", tag).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return s, fmt.Errorf("snapshot %s: %w", tag, fs.ErrNotExist)
	}
	if err != nil {
		return s, fmt.Errorf("read catalog: %w", err)
	}
	return s, nil
}

func scanSnapshot(scan func(...any) error) (s Tagged, err error) {
	err = scan(&s.Tag, &s.Serial, &s.Time, &s.Rule, &s.Note, &s.State, &s.Projects, &s.Files, &s.Bytes, &s.Lacking)
	return s, err
}

// Lacking gives the names of the files that a snapshot should have and has not, by
// project.
func (c *Catalog) Lacking(ctx context.Context, tag string) (map[packaging.Name][]string, error) {
	all := map[packaging.Name][]string{}
	for p, err := range found(ctx, c.db, readPair[packaging.Name, string], "SELECT project, filename FROM lacking WHERE tag = ? ORDER BY project, filename", tag) {
		if err != nil {
			return nil, err
		}
		all[p.key] = append(all[p.key], p.value)
	}
	return all, nil
}

// Frozen gives a project as it was at the serial of a snapshot, where the view of that
// shows something else or may come to do so; nil where it shows just that.
func (c *Catalog) Frozen(ctx context.Context, view string, n packaging.Name) (*Project, error) {
	return frozen(ctx, c.one, view, n)
}

func frozen(ctx context.Context, q querier, view string, n packaging.Name) (*Project, error) {
	var body []byte
	err := q.QueryRowContext(ctx, "SELECT body FROM frozen WHERE view = ? AND project = ?", view, n).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	p, err := decodeBody(n, body)
	if err != nil {
		return nil, fmt.Errorf("read catalog: %s: project %s: %w", view, n, err)
	}
	return p, nil
}

// FrozenNames gives the projects that [Catalog.Frozen] has something of, in the order
// of their names.
func (c *Catalog) FrozenNames(ctx context.Context, view string) ([]packaging.Name, error) {
	return projectNames(ctx, c.db, "SELECT project FROM frozen WHERE view = ? ORDER BY project", view)
}

// FrozenSince gives the projects whose events after a serial may have a say in what
// the view of a snapshot shows: those that got another status, and those of which it
// shows something else than what they were.
func (c *Catalog) FrozenSince(ctx context.Context, view string, serial int64) ([]packaging.Name, error) {
	return projectNames(ctx, c.db, "SELECT DISTINCT project FROM events WHERE serial > ? AND project <> '' AND (verb = ? OR project IN (SELECT project FROM frozen WHERE view = ?)) ORDER BY project", serial, Mark, view)
}

// AdvisedIn gives the projects of a view that advisories speak of, in the order of
// their names.
func (c *Catalog) AdvisedIn(ctx context.Context, view string) ([]packaging.Name, error) {
	return projectNames(ctx, c.db, "SELECT project FROM advisories WHERE project IN (SELECT project FROM viewed WHERE view = ?) ORDER BY project", view)
}

// Freeze keeps a project as it was at the serial of a snapshot, because its view
// shows something else or may come to do so; nil forgets it.
func (t *Tx) Freeze(view string, n packaging.Name, p *Project) error {
	if p == nil {
		return t.q.exec(t.ctx, "DELETE FROM frozen WHERE view = ? AND project = ?", view, n)
	}
	return t.q.exec(t.ctx, "INSERT OR REPLACE INTO frozen VALUES (?, ?, ?)", view, n, encodeBody(p))
}

// BeginSnapshot gives a serial a name, which is an event, and notes which files will
// be missing, by project. Nobody may have the name. It was made when the event says.
func (t *Tx) BeginSnapshot(s Tagged, lacking map[packaging.Name][]string, who string) error {
	reason := fmt.Sprintf("%s serial %d", s.Tag, s.Serial)
	if s.Rule != "" {
		reason += byRule + s.Rule
	}
	if s.Note != "" {
		reason += why + s.Note
	}
	if _, err := t.Note(Snapshot, who, reason); err != nil {
		return err
	}
	return errors.Join(t.begin(s, t.now), t.lack(s.Tag, lacking))
}

// begin keeps a snapshot that was made at a time, of which nothing is there yet.
func (t *Tx) begin(s Tagged, at int64) error {
	at -= at % time.Second.Microseconds()
	return t.q.exec(t.ctx, "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0)", s.Tag, s.Serial, at, s.Rule, s.Note, SnapshotBegun)
}

// lack notes which files a snapshot has not, by project.
func (t *Tx) lack(tag string, lacking map[packaging.Name][]string) error {
	for n, filenames := range lacking {
		for _, f := range filenames {
			if err := t.q.exec(t.ctx, "INSERT OR IGNORE INTO lacking VALUES (?, ?, ?)", tag, n, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// What stands between the parts of what the events of snapshots and promotions say.
const (
	atSerial = " serial "
	byRule   = ", "
	why      = ": "
)

// Named gives the snapshot that an event is about which made or dropped one: its tag, its
// serial, and of one that was made the time, the rule and the note; ok is false if the
// event does not say. Older events say nothing of rule and note.
func (e *Event) Named() (s Tagged, ok bool) {
	text, note, _ := strings.Cut(e.Reason, why)
	text, rule, _ := strings.Cut(text, byRule)
	tag, serial, ok := strings.Cut(text, atSerial)
	n, err := strconv.ParseInt(serial, 10, 64)
	if !ok || tag == "" || err != nil || n < 1 {
		return Tagged{}, false
	}
	return Tagged{Tag: tag, Serial: n, Time: e.Time, Rule: rule, Note: note}, true
}

// SiteEvents gives the events about the whole site of a verb, the newest first.
func (c *Catalog) SiteEvents(ctx context.Context, verb Verb) (all []Event, err error) {
	rows, err := c.db.QueryContext(ctx, "SELECT serial, time, source, reason FROM events WHERE project = '' AND verb = ? ORDER BY serial DESC", verb)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		e := Event{Verb: verb}
		if err := rows.Scan(&e.Serial, &e.Time, &e.Source, &e.Reason); err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return all, nil
}

// NamedAt gives the serial of the event that has made a snapshot. The error matches
// [fs.ErrNotExist] if there is none.
func (c *Catalog) NamedAt(ctx context.Context, tag string) (int64, error) {
	all, err := c.SiteEvents(ctx, Snapshot)
	if err != nil {
		return 0, err
	}
	for _, e := range all {
		if s, ok := e.Named(); ok && s.Tag == tag {
			return e.Serial, nil
		}
	}
	return 0, fmt.Errorf("event of the snapshot %s: %w", tag, fs.ErrNotExist)
}

// FinishSnapshot notes that all projects of a snapshot are there, what it has, and which
// files it has not, by project.
func (t *Tx) FinishSnapshot(tag string, has Counts, lacking map[packaging.Name][]string) error {
	if err := t.lack(tag, lacking); err != nil {
		return err
	}
	return t.q.exec(t.ctx, "UPDATE snapshots SET state = ?, projects = ?, files = ?, bytes = ? WHERE tag = ?", SnapshotWhole, has.Projects, has.Files, has.Bytes, tag)
}

// LeaveSnapshot begins to drop a snapshot, which is an event. What only it has is
// pinned until its pages are gone.
func (t *Tx) LeaveSnapshot(s Tagged, who string) error {
	if err := t.leaveTag(s.Tag); err != nil {
		return err
	}
	_, err := t.Note(Drop, who, fmt.Sprintf("%s serial %d", s.Tag, s.Serial))
	return err
}

func (t *Tx) leaveTag(tag string) error {
	return t.q.exec(t.ctx, "UPDATE snapshots SET state = ? WHERE tag = ?", SnapshotDropped, tag)
}

// DropSnapshot forgets a snapshot whose pages are gone. The grace of what only it had
// begins.
func (t *Tx) DropSnapshot(tag, view string, now time.Time, grace time.Duration) error {
	names, err := projectNames(t.ctx, t.q, "SELECT project FROM frozen WHERE view = ?", view)
	if err != nil {
		return err
	}
	for _, n := range names {
		p, err := frozen(t.ctx, t.q, view, n)
		if err != nil {
			return err
		}
		if err := t.leave(p.Files, nil, now, grace); err != nil {
			return err
		}
	}
	for _, table := range []struct{ name, column, is string }{{"frozen", "view", view}, {"lacking", "tag", tag}, {"snapshots", "tag", tag}} {
		if err := t.q.exec(t.ctx, "DELETE FROM "+table.name+" WHERE "+table.column+" = ?", table.is); err != nil {
			return err
		}
	}
	return t.DropView(view, now, grace)
}
