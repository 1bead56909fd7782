package catalog

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"nestgen/layout"
	"nestgen/packaging"
)

// Adopt takes in a record that the site's own log has and the catalog does not, as it
// is of a catalog from a backup: its event, with its serial and its time, and what the
// index says since, what was promoted and which snapshots there are. Records come in the
// order of their serials, the first of them after the last event. The bytes of what they
// withdraw stay for the grace period, which begins now. A snapshot is one that is begun,
// of which the next run makes the rest.
//
// A log does not say where upstreams have their files: that comes with the next listing.
// The error matches [ErrUntold] if the event is kept, and does not say enough for the rest
// to be done again.
func (t *Tx) Adopt(r *Record, now time.Time, grace time.Duration) error {
	if r.Serial != t.made+1 {
		return fmt.Errorf("write catalog: event %d after %d", r.Serial, t.made)
	}
	untold := t.adoptElsewhere(r, now, grace)
	if untold != nil && !errors.Is(untold, ErrUntold) {
		return untold
	}
	if r.Project != "" {
		owner := Local
		switch {
		case r.File != nil:
			owner = r.File.Source
			if i := strings.LastIndexByte(owner, ':'); i >= 0 {
				owner = owner[:i] // the site that it was imported from
			}
		case r.Verb == Mark && r.Source == "policy":
			owner = "" // the policy says nothing of whose the name is; what comes next does
		case r.Verb == Mark:
			owner = r.Source // which says how it is written, or why it has no files of it
		}
		err := t.q.exec(t.ctx, "INSERT INTO projects VALUES (?, ?, ?, '', '', '', 0, 0, 0, 0, 0, x'') ON CONFLICT (name) DO UPDATE SET owner = excluded.owner WHERE owner = ''", r.Project, r.Project, owner)
		if err != nil {
			return err
		}
	}
	facts, err := t.adopt(r, now, grace)
	if err != nil {
		return err
	}
	t.made++
	var sha []byte
	if !r.SHA256.IsZero() {
		sha = r.SHA256[:]
	}
	if err := t.insertEvent(&r.Event, sha, facts); err != nil {
		return err
	}
	if r.Project == "" || r.Verb == Promotion || r.Verb == Demotion {
		return untold
	}
	return t.outdate(r.Project, 0, 0)
}

// ErrUntold is matched by the error for an event that does not say what it did.
var ErrUntold = errors.New("the event does not say enough")

// adoptElsewhere does what an event has done that is not about the index: to a view, or
// to a snapshot.
func (t *Tx) adoptElsewhere(r *Record, now time.Time, grace time.Duration) error {
	untold := fmt.Errorf("event %d, %s %q: %w", r.Serial, r.Verb, r.Reason, ErrUntold)
	switch r.Verb {
	case Promotion:
		view, ok := r.PromotedTo()
		f, known, err := t.lastSaid(&r.Event)
		if err != nil {
			return err
		}
		if !ok || !known {
			return untold
		}
		return t.pin(view, f)
	case Demotion:
		view, ok := r.PromotedTo()
		if !ok {
			return untold
		}
		f, known, err := t.lastSaid(&r.Event)
		if err == nil && known {
			err = t.leave([]File{f}, nil, now, grace)
		}
		if err == nil {
			_, err = t.unpin(view, r.Project, r.Filename)
		}
		return err
	case Snapshot, Drop:
		s, ok := r.Named()
		if !ok {
			return untold
		}
		if r.Verb == Drop {
			return t.leaveTag(s.Tag)
		}
		// One that had the name has gone, and its pages.
		if err := t.DropSnapshot(s.Tag, layout.Snapshot(s.Tag), now, grace); err != nil {
			return err
		}
		return t.begin(s, r.Time)
	}
	return nil
}

// lastSaid gives what the index said last of the file that an event is about, while the
// bytes were here. The event itself is not yet among those that are known.
func (t *Tx) lastSaid(e *Event) (f File, known bool, err error) {
	is := func(f *File) bool { return !f.Announced && f.SHA256 == e.SHA256 }
	if f, known, err = t.file(e.Project, e.Filename); err != nil || known && is(&f) {
		return f, known, err
	}
	known = false
	for r, err := range records(t.ctx, t.q, "project = ? AND filename = ?", e.Project, e.Filename) {
		if err != nil {
			return f, false, err
		}
		if r.File != nil && is(r.File) {
			f, known = *r.File, true
		}
	}
	return f, known, nil
}

// adopt changes what the index says, and gives what stands beside the event.
func (t *Tx) adopt(r *Record, now time.Time, grace time.Duration) (facts []byte, err error) {
	switch {
	case r.File != nil:
		f := *r.File
		old, listed, err := t.file(f.Project, f.Filename)
		if err != nil {
			return nil, err
		}
		if listed {
			f.URL = old.URL
		}
		facts = encodeFacts(f)
		if err := t.q.exec(t.ctx, "INSERT OR REPLACE INTO files VALUES (?, ?, ?)", f.Project, f.Filename, facts); err != nil {
			return nil, err
		}
		if err := t.q.exec(t.ctx, "DELETE FROM due WHERE path = ?", f.Path); err != nil {
			return nil, err
		}
		if listed {
			return facts, t.outdate(f.Project, 0, f.Held()-old.Held())
		}
		return facts, t.outdate(f.Project, 1, f.Held())
	case r.Verb == Withdraw:
		f, listed, err := t.file(r.Project, r.Filename)
		if err != nil || !listed {
			return nil, err
		}
		if err := t.q.exec(t.ctx, "DELETE FROM files WHERE project = ? AND filename = ?", r.Project, r.Filename); err != nil {
			return nil, err
		}
		if err := t.q.exec(t.ctx, "INSERT OR REPLACE INTO due VALUES (?, ?)", f.Path, now.Add(grace).UnixMicro()); err != nil {
			return nil, err
		}
		return nil, t.outdate(r.Project, -1, -f.Held())
	case r.Standing != nil:
		return encodeStanding(*r.Standing), t.setStanding(r.Project, *r.Standing)
	case r.Verb == Relink || r.Verb == RelinkMore:
		facts, rest := encodeLinks(r.Links)
		if len(rest) > 0 {
			return nil, fmt.Errorf("write catalog: event %d has more links than an event may", r.Serial)
		}
		p, err := project(t.ctx, t.q, r.Project)
		if err != nil {
			return nil, err
		}
		links := r.Links
		if r.Verb == RelinkMore {
			links = append(p.Links, links...)
		}
		return facts, t.putLinks(r.Project, links)
	}
	return nil, nil
}

// Respelled has a project written as its files and links spell its name, without an
// event: those that led there had theirs.
func (t *Tx) Respelled(n packaging.Name) error {
	p, err := project(t.ctx, t.q, n)
	if err != nil {
		return err
	}
	return t.q.exec(t.ctx, "UPDATE projects SET display = ? WHERE name = ?", SpellingOf(n, p.Links, p.Files), n)
}
