package catalog

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"io/fs"
	"iter"
	"strconv"

	"nestgen/packaging"
)

// What the index says after an event stands beside it since version 4. Before, the
// catalog knew only that something had changed.
const (
	recordsVersion = 4
	recordsColumn  = "ALTER TABLE events ADD COLUMN facts BLOB;\n"
)

// metaBegins is the key of the serial at which whole records begin.
const metaBegins = "records begin"

// The first byte of what stands beside an event that is not about a file. The facts
// of a file begin with another.
const (
	standingForm = 's'
	linksForm    = 'l'
)

// maxLinks is how many bytes of links one event has, so that its record fits into a
// log, where a byte may take six and a link some names besides. The others follow in
// further events.
const maxLinks = 8 << 10

func encodeStanding(s Standing) []byte {
	b := []byte{standingForm}
	b = appendText(b, string(s.Status.State))
	b = appendText(b, s.Status.Reason)
	return appendText(b, s.Note)
}

// encodeLinks encodes the first links, as many as one event may have, and gives the
// others.
func encodeLinks(links []Link) (b []byte, rest []Link) {
	count := 0
	var list []byte
	for _, l := range links {
		if count > 0 && len(list)+len(l.URL)+len(l.Egg)+len(l.Version)+len(l.Source) > maxLinks {
			break
		}
		list = appendText(list, l.URL)
		list = appendText(list, l.Egg)
		list = appendText(list, l.Version)
		list = appendText(list, l.Source)
		count++
	}
	b = binary.AppendUvarint([]byte{linksForm}, uint64(count))
	return append(b, list...), links[count:]
}

// complete adds to a record what stands beside its event.
func (r *Record) complete(facts []byte, last *File) error {
	if len(facts) == 0 {
		return nil
	}
	d := decoder{rest: facts[1:]}
	switch facts[0] {
	case standingForm:
		r.Standing = &Standing{Status{State(d.text()), d.text()}, d.text()}
	case linksForm:
		for range d.count() {
			r.Links = append(r.Links, Link{r.Project, d.text(), d.text(), d.text(), d.text()})
		}
	default:
		f, err := decodeFacts(r.Project, r.Filename, facts, last)
		if err != nil {
			return err
		}
		*last = f
		r.File = &f
		return nil
	}
	if d.bad || len(d.rest) > 0 {
		return fmt.Errorf("event %d: %w", r.Serial, errDamaged)
	}
	return nil
}

// Records reads the records after one serial up to another, oldest first.
func (c *Catalog) Records(ctx context.Context, after, upTo int64) iter.Seq2[Record, error] {
	return records(ctx, c.db, "serial > ? AND serial <= ?", after, upTo)
}

// ProjectRecords is Records for one project.
func (c *Catalog) ProjectRecords(ctx context.Context, n packaging.Name, after, upTo int64) iter.Seq2[Record, error] {
	return records(ctx, c.db, "project = ? AND serial > ? AND serial <= ?", n, after, upTo)
}

// Records is [Catalog.Records] inside a transaction.
func (t *Tx) Records(after, upTo int64) iter.Seq2[Record, error] {
	return records(t.ctx, t.q, "serial > ? AND serial <= ?", after, upTo)
}

func records(ctx context.Context, q querier, which string, args ...any) iter.Seq2[Record, error] {
	var last File
	return found(ctx, q, func(rows *sql.Rows) (r Record, err error) {
		var sha, facts sql.RawBytes
		if err = rows.Scan(&r.Serial, &r.Time, &r.Verb, &r.Project, &r.Filename, &sha, &r.Source, &r.Reason, &facts); err == nil {
			copy(r.SHA256[:], sha)
			err = r.complete(facts, &last)
		}
		return r, err
	}, "SELECT serial, time, verb, project, filename, sha256, source, reason, facts FROM events WHERE "+which+" ORDER BY serial", args...)
}

// Begins gives the first serial at which the index can be read as it was: 0 if that
// is any, otherwise the one at which an older catalog began to keep whole records.
func (c *Catalog) Begins(ctx context.Context) (int64, error) {
	text, err := c.Meta(ctx, metaBegins)
	if err != nil || text == "" {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// ProjectAt gives a project as the index had it at a serial, without files, links
// and status if it did not have it. What is known of advisories and of published
// pages is not a matter of serials, and is left out. The error matches
// [fs.ErrNotExist] for a serial that is before [Catalog.Begins].
func (c *Catalog) ProjectAt(ctx context.Context, n packaging.Name, serial int64) (*Project, error) {
	begins, err := c.Begins(ctx)
	if err != nil {
		return nil, err
	}
	if serial < begins {
		return nil, fmt.Errorf("serial %d: the history begins with %d: %w", serial, begins, fs.ErrNotExist)
	}
	past := NewPast(n)
	for r, err := range records(ctx, c.one, "project = ? AND serial > 0 AND serial <= ?", n, serial) {
		if err != nil {
			return nil, err
		}
		past.Apply(&r)
	}
	p := past.Project()
	p.Owner, err = ownerOf(ctx, c.one, n)
	return p, err
}

// NamesAt gives the projects that something is known of up to a serial, in the order
// of their names.
func (c *Catalog) NamesAt(ctx context.Context, serial int64) ([]packaging.Name, error) {
	return projectNames(ctx, c.db, "SELECT DISTINCT project FROM events WHERE serial <= ? AND project <> '' ORDER BY project", serial)
}

// A Past follows what the index says of one project from record to record.
type Past struct {
	p     Project
	files map[string]File
}

// NewPast gives a project before its first record.
func NewPast(n packaging.Name) *Past {
	return &Past{Project{Name: n, Display: string(n)}, map[string]File{}}
}

// Apply goes on to the state after a record, which has to be of the project. It keeps
// nothing of the record.
func (h *Past) Apply(r *Record) {
	h.p.Serial = r.Serial
	switch {
	case r.File != nil:
		h.files[r.Filename] = *r.File
	case r.Verb == Withdraw:
		delete(h.files, r.Filename)
	case r.Standing != nil:
		h.p.Status, h.p.Note = r.Standing.Status, r.Standing.Note
	case r.Verb == Relink:
		h.p.Links = append([]Link(nil), r.Links...)
	case r.Verb == RelinkMore:
		h.p.Links = append(h.p.Links, r.Links...)
	}
}

// Status gives the status of the project after the records that were applied.
func (h *Past) Status() Status { return h.p.Status }

// Project gives the project as it is after the records that were applied.
func (h *Past) Project() *Project {
	p := h.p
	for _, f := range h.files {
		p.Files = append(p.Files, f)
	}
	SortFiles(p.Files)
	p.Display = SpellingOf(p.Name, p.Links, p.Files)
	return &p
}

// beginRecords notes what the index says now, because the events of an older catalog
// do not.
func beginRecords(tx *sql.Tx) error {
	ctx := context.Background()
	t := &Tx{ctx: ctx, q: statements{tx, map[string]*sql.Stmt{}}}
	if err := tx.QueryRow("SELECT coalesce(max(serial), 0), coalesce(max(time), 0) FROM events").Scan(&t.made, &t.now); err != nil {
		return err
	}
	if t.made == 0 {
		return nil
	}
	names, err := projectNames(ctx, tx, "SELECT name FROM projects WHERE "+isListed+" OR state <> '' OR note <> '' ORDER BY name")
	if err != nil {
		return err
	}
	for _, n := range names {
		p, err := project(ctx, tx, n)
		if err != nil {
			return err
		}
		if err := t.known(p); err != nil {
			return err
		}
	}
	return t.SetMeta(metaBegins, strconv.FormatInt(t.made, 10))
}

// known notes all that the index says of a project, without making its pages out of
// date.
func (t *Tx) known(p *Project) error {
	for _, f := range p.Files {
		e := Event{Verb: Known, Project: p.Name, Filename: f.Filename, SHA256: f.SHA256, Source: f.Source}
		if err := t.note(e, encodeFacts(f)); err != nil {
			return err
		}
	}
	if p.Status != (Status{}) || p.Note != "" {
		e := Event{Verb: Known, Project: p.Name, Source: p.Owner}
		if err := t.note(e, encodeStanding(Standing{p.Status, p.Note})); err != nil {
			return err
		}
	}
	if len(p.Links) == 0 {
		return nil
	}
	return t.noteLinks(p.Name, p.Links)
}
