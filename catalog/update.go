package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"nestgen/packaging"
)

// ErrAltered is matched by the error for a file that comes with other bytes
// than the index first knew under its name.
var ErrAltered = errors.New("other bytes under a name that is already taken")

// ErrMoved is matched by the error for a file that is listed at another place: it
// was announced before its bytes came.
var ErrMoved = errors.New("listed at another place")

// What the index lists a project for besides files: bits of its column "other".
const (
	hasLinks      = 1 << iota // development links
	isQuarantined             // its pages say so
)

// A Tx is one change of the catalog, all or nothing.
type Tx struct {
	ctx  context.Context
	q    statements
	now  int64
	made int64 // the last serial given out
}

// Update runs change in a transaction at a time that its events will carry.
// Nothing of it is kept if change or the database gives an error.
func (c *Catalog) Update(ctx context.Context, now time.Time, change func(*Tx) error) error {
	tx, err := c.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("write catalog: %w", err)
	}
	defer tx.Rollback()
	t := &Tx{ctx: ctx, q: statements{tx, map[string]*sql.Stmt{}}, now: now.UnixMicro()}
	var last int64
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(serial), 0), coalesce(max(time), 0) FROM events WHERE serial = (SELECT max(serial) FROM events)").Scan(&t.made, &last); err != nil {
		return fmt.Errorf("write catalog: %w", err)
	}
	// A clock that was set back must not put events before older ones.
	t.now = max(t.now, last)
	if err := change(t); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("write catalog: %w", err)
	}
	return nil
}

// event numbers and keeps an event, and makes its project's pages out of date. With
// it goes what the index says from then on, or nothing.
func (t *Tx) event(e Event, facts []byte) error { return t.eventCounting(e, facts, 0, 0) }

// eventCounting is event for one that changes how many files the project has, and
// how many of their bytes are here.
func (t *Tx) eventCounting(e Event, facts []byte, files int, bytes int64) error {
	if err := t.note(e, facts); err != nil {
		return err
	}
	return t.outdate(e.Project, files, bytes)
}

// outdate makes a project one whose pages do not show its last event, and counts.
func (t *Tx) outdate(n packaging.Name, files int, bytes int64) error {
	return t.q.exec(t.ctx, "UPDATE projects SET serial = ?, files = files + ?, bytes = bytes + ? WHERE name = ?", t.made, files, bytes, n)
}

// note numbers and keeps an event that changes nothing of what the index lists.
func (t *Tx) note(e Event, facts []byte) error {
	t.made++
	e.Serial, e.Time = t.made, t.now
	var sha []byte
	if !e.SHA256.IsZero() {
		sha = e.SHA256[:]
	}
	return t.insertEvent(&e, sha, facts)
}

func (t *Tx) insertEvent(e *Event, sha, facts []byte) error {
	return t.q.exec(t.ctx, "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		e.Serial, e.Time, e.Verb, e.Project, e.Filename, sha, e.Source, e.Reason, facts)
}

// Note keeps an event about the whole site, and gives its serial.
func (t *Tx) Note(verb Verb, source, reason string) (serial int64, err error) {
	err = t.note(Event{Verb: verb, Source: source, Reason: reason}, nil)
	return t.made, err
}

// Claim makes a project known under an owner and a spelling. A name that has
// an owner keeps it; a new spelling is an event.
func (t *Tx) Claim(n packaging.Name, display, owner string) error {
	var old string
	switch err := t.q.QueryRowContext(t.ctx, "SELECT display FROM projects WHERE name = ?", n).Scan(&old); {
	case errors.Is(err, sql.ErrNoRows):
		return t.q.exec(t.ctx, "INSERT INTO projects VALUES (?, ?, ?, '', '', '', 0, 0, 0, 0, 0, x'')", n, display, owner)
	case err != nil:
		return fmt.Errorf("write catalog: %w", err)
	}
	if err := t.q.exec(t.ctx, "UPDATE projects SET owner = ? WHERE name = ? AND owner = ''", owner, n); err != nil || old == display {
		return err
	}
	if err := t.q.exec(t.ctx, "UPDATE projects SET display = ? WHERE name = ?", display, n); err != nil {
		return err
	}
	return t.event(Event{Verb: Mark, Project: n, Source: owner, Reason: "name written " + display}, nil)
}

// Owner gives the owner of a name; empty if it has none.
func (t *Tx) Owner(n packaging.Name) (string, error) { return ownerOf(t.ctx, t.q, n) }

func ownerOf(ctx context.Context, q querier, n packaging.Name) (string, error) {
	var owner string
	err := q.QueryRowContext(ctx, "SELECT owner FROM projects WHERE name = ?", n).Scan(&owner)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read catalog: %w", err)
	}
	return owner, nil
}

// Arrive notes that the bytes of a file are here that was announced, unless the
// index does not announce it any more: then nothing changes, and there is no
// event. If the file is what was announced, pages that showed the project still do.
func (t *Tx) Arrive(f File, reason string) (arrived bool, err error) {
	old, listed, err := t.file(f.Project, f.Filename)
	if err != nil || !listed || !old.Announced {
		return false, err
	}
	shown, err := isShown(t.ctx, t.q, f.Project)
	if err != nil {
		return false, err
	}
	if err := t.Put(f, reason); err != nil {
		return true, err
	}
	if old.Announced, old.BLAKE2b = f.Announced, f.BLAKE2b; !shown || old != f {
		return true, nil
	}
	return true, t.MarkShown(f.Project, t.made)
}

// Announced reports whether the index lists a file whose bytes are not here.
func (t *Tx) Announced(n packaging.Name, filename string) (bool, error) {
	f, _, err := t.file(n, filename)
	return f.Announced, err
}

// Change changes what is said of a file as [Tx.Put] does, unless the index does not
// list it any more: then nothing changes, and there is no event.
func (t *Tx) Change(f File) (changed bool, err error) {
	if _, listed, err := t.file(f.Project, f.Filename); err != nil || !listed {
		return false, err
	}
	return true, t.Put(f, "")
}

// Put lists a file, or changes what is said of it. The project must have been
// claimed. The error matches [ErrAltered] if the name once stood for other
// bytes, whether or not the index still lists them, and [ErrMoved] if the index
// lists it at another place. A file that is the same already makes no event, nor
// does one that is announced and is here.
func (t *Tx) Put(f File, reason string) error {
	old, listed, err := t.file(f.Project, f.Filename)
	if err != nil {
		return err
	}
	if listed && (old == f || f.Announced && !old.Announced) {
		return nil // what is here is not merely announced
	}
	if said := old; listed && old.URL == "" {
		// Where the file is upstream the log does not tell, from which it was adopted.
		if said.URL = f.URL; said == f {
			return t.q.exec(t.ctx, "UPDATE files SET facts = ? WHERE project = ? AND filename = ?", encodeFacts(f), f.Project, f.Filename)
		}
	}
	first, err := firstSeen(t.ctx, t.q, f.Filename)
	seen := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write catalog: %w", err)
	}
	if seen && first.SHA256 != f.SHA256 {
		return fmt.Errorf("%s: sha256 %s, first seen with %s: %w", f.Filename, f.SHA256, first.SHA256, ErrAltered)
	}
	if listed && old.Path != f.Path {
		return fmt.Errorf("%s: its place is %s: %w", f.Filename, old.Path, ErrMoved)
	}
	facts := encodeFacts(f)
	if err := t.q.exec(t.ctx, "INSERT OR REPLACE INTO files VALUES (?, ?, ?)", f.Project, f.Filename, facts); err != nil {
		return err
	}
	if err := t.q.exec(t.ctx, "DELETE FROM due WHERE path = ?", f.Path); err != nil {
		return err
	}
	e := Event{Project: f.Project, Filename: f.Filename, SHA256: f.SHA256, Source: f.Source, Reason: reason}
	switch {
	case !seen:
		e.Verb = Add
	case !listed:
		e.Verb = Restore
	case old.Announced && !f.Announced:
		e.Verb = Arrive
	case f.Yanked != old.Yanked && f.Yanked.Yanked:
		e.Verb, e.Reason = Yanking, f.Yanked.Reason
	case f.Yanked != old.Yanked:
		e.Verb = Unyank
	default:
		e.Verb = Change
	}
	if listed {
		return t.eventCounting(e, facts, 0, f.Held()-old.Held())
	}
	return t.eventCounting(e, facts, 1, f.Held())
}

func (t *Tx) file(n packaging.Name, filename string) (File, bool, error) {
	rows, err := t.q.QueryContext(t.ctx, "SELECT "+fileColumns+" FROM files WHERE project = ? AND filename = ?", n, filename)
	if err != nil {
		return File{}, false, fmt.Errorf("read catalog: %w", err)
	}
	defer rows.Close()
	if !rows.Next() {
		return File{}, false, rows.Err()
	}
	f, err := scanFile(rows, &File{Project: n})
	return f, err == nil, err
}

// Withdraw takes a file out of the index. Its bytes may be deleted after the
// grace period, which begins at the event or now, whichever is later: events
// may carry a time that somebody made up. A file that is not listed makes no
// event.
func (t *Tx) Withdraw(n packaging.Name, filename, reason string, now time.Time, grace time.Duration) error {
	f, listed, err := t.file(n, filename)
	if err != nil || !listed {
		return err
	}
	if err := t.q.exec(t.ctx, "DELETE FROM files WHERE project = ? AND filename = ?", n, filename); err != nil {
		return err
	}
	if err := t.q.exec(t.ctx, "INSERT OR REPLACE INTO due VALUES (?, ?)", f.Path, max(t.now, now.UnixMicro())+grace.Microseconds()); err != nil {
		return err
	}
	return t.eventCounting(Event{Verb: Withdraw, Project: n, Filename: filename, SHA256: f.SHA256, Source: f.Source, Reason: reason}, nil, -1, -f.Held())
}

// SetStatus sets a project's status marker and note.
func (t *Tx) SetStatus(n packaging.Name, s Status, note, source string) error {
	p, err := project(t.ctx, t.q, n)
	if err != nil {
		return err
	}
	if p.Status == s && p.Note == note {
		return nil
	}
	if err := t.setStanding(n, Standing{s, note}); err != nil {
		return err
	}
	state := s.State
	if state == Active {
		state = "active"
	}
	reason := string(state)
	if s.Reason != "" {
		reason += ": " + s.Reason
	}
	return t.event(Event{Verb: Mark, Project: n, Source: source, Reason: reason}, encodeStanding(Standing{s, note}))
}

// SetLinks makes links the development links of a project, which must have
// been claimed.
func (t *Tx) SetLinks(n packaging.Name, links []Link) error {
	p, err := project(t.ctx, t.q, n)
	if err != nil {
		return err
	}
	if sameLinks(p.Links, links) {
		return nil
	}
	if err := t.putLinks(n, links); err != nil {
		return err
	}
	if err := t.noteLinks(n, links); err != nil {
		return err
	}
	return t.outdate(n, 0, 0)
}

// setStanding makes a standing that of a project, without an event.
func (t *Tx) setStanding(n packaging.Name, s Standing) error {
	bit := 0
	if s.Status.State == Quarantined {
		bit = isQuarantined
	}
	return t.q.exec(t.ctx, "UPDATE projects SET state = ?, reason = ?, note = ?, other = (other & ~?) | ? WHERE name = ?",
		s.Status.State, s.Status.Reason, s.Note, isQuarantined, bit, n)
}

// putLinks makes links those of a project, without an event.
func (t *Tx) putLinks(n packaging.Name, links []Link) error {
	if err := t.q.exec(t.ctx, "DELETE FROM links WHERE project = ?", n); err != nil {
		return err
	}
	for _, l := range links {
		if err := t.q.exec(t.ctx, "INSERT OR REPLACE INTO links VALUES (?, ?, ?, ?, ?)", n, l.URL, l.Egg, l.Version, l.Source); err != nil {
			return err
		}
	}
	bit := 0
	if len(links) > 0 {
		bit = hasLinks
	}
	return t.q.exec(t.ctx, "UPDATE projects SET other = (other & ~?) | ? WHERE name = ?", hasLinks, bit, n)
}

// noteLinks keeps the events by which links are those of a project.
func (t *Tx) noteLinks(n packaging.Name, links []Link) error {
	for verb := Relink; verb == Relink || len(links) > 0; verb = RelinkMore {
		var facts []byte
		facts, links = encodeLinks(links)
		if err := t.note(Event{Verb: verb, Project: n, Source: Local}, facts); err != nil {
			return err
		}
	}
	return nil
}

// sameLinks compares two lists as sets.
func sameLinks(a, b []Link) bool {
	set := map[Link]bool{}
	for _, l := range a {
		set[l] = true
	}
	for _, l := range b {
		if !set[l] {
			return false
		}
	}
	return len(a) == len(b)
}

// MarkPublished notes that the pages of a project show it as of a serial, and
// what those about all projects say of it; the zero Card says that it has none.
func (t *Tx) MarkPublished(n packaging.Name, serial int64, shown Card) error {
	return t.q.exec(t.ctx, "UPDATE projects SET published = ?, shown = ? WHERE name = ?", serial, encodeCard(&shown), n)
}

// MarkShown notes that the pages of a project's own show it as of a serial, and that
// others may still say something older of it: to [Catalog.Outdated] it stays out of date.
func (t *Tx) MarkShown(n packaging.Name, serial int64) error {
	return t.q.exec(t.ctx, "UPDATE projects SET published = -1 - ? WHERE name = ? AND published <> ?", serial, n, serial)
}

// Outdate makes the pages of every project out of date, as when the settings
// that pages depend on have changed, or the site's folder is a new one.
func (t *Tx) Outdate() error {
	return t.q.exec(t.ctx, "UPDATE projects SET published = -1 WHERE "+isListed+" OR published > 0")
}

// OutdateProject makes the pages of one project out of date.
func (t *Tx) OutdateProject(n packaging.Name) error {
	return t.q.exec(t.ctx, "UPDATE projects SET published = -1 WHERE name = ?", n)
}

// Serial is that of the last event of a project, 0 for one that has none.
func (t *Tx) Serial(n packaging.Name) (serial int64, err error) {
	err = t.q.QueryRowContext(t.ctx, "SELECT serial FROM projects WHERE name = ?", n).Scan(&serial)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return serial, err
}

// Meta is [Catalog.Meta] inside a transaction.
func (t *Tx) Meta(key string) (string, error) { return meta(t.ctx, t.q, key) }

// SetMeta keeps a small value under a key.
func (t *Tx) SetMeta(key, value string) error {
	return t.q.exec(t.ctx, "INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value)
}

// Spare has nothing on the due-list deleted before a time.
func (t *Tx) Spare(until time.Time) error {
	return t.q.exec(t.ctx, "UPDATE due SET due = ? WHERE due < ?", until.UnixMicro(), until.UnixMicro())
}

// Deleted forgets paths of the due-list, because they are gone.
func (t *Tx) Deleted(paths []string) error {
	for _, p := range paths {
		if err := t.q.exec(t.ctx, "DELETE FROM due WHERE path = ?", p); err != nil {
			return err
		}
	}
	return nil
}
