package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"nestgen/packaging"
)

// What is known of bundles that left this site, by the streams that they are of, and
// the sizes of the log at which they left.
const (
	exportsTable = `
CREATE TABLE exports (
	tag          TEXT PRIMARY KEY,
	scope        TEXT NOT NULL,
	last         INTEGER NOT NULL,
	time         INTEGER NOT NULL,
	bundle       TEXT NOT NULL,
	acknowledged INTEGER NOT NULL
) WITHOUT ROWID;
`
	exportedTable = `
CREATE TABLE exported (
	size INTEGER PRIMARY KEY
);
`
)

// What is known of other sites by the bundles that came: what their logs were, how far
// each stream was taken in, and what each site says of each project.
const (
	originsTable = `
CREATE TABLE origins (
	name TEXT NOT NULL,
	size INTEGER NOT NULL,
	root BLOB NOT NULL,
	PRIMARY KEY (name, size)
) WITHOUT ROWID;
`
	streamsTable = `
CREATE TABLE streams (
	origin TEXT NOT NULL,
	tag    TEXT NOT NULL,
	scope  TEXT NOT NULL,
	whole  INTEGER NOT NULL,
	last   INTEGER NOT NULL,
	PRIMARY KEY (origin, tag)
) WITHOUT ROWID;
`
	importedTable = `
CREATE TABLE imported (
	origin  TEXT NOT NULL,
	project TEXT NOT NULL,
	serial  INTEGER NOT NULL,
	body    BLOB NOT NULL,
	PRIMARY KEY (origin, project)
) WITHOUT ROWID;
CREATE INDEX imported_projects ON imported (project);
`
)

// An Export is how far a stream of bundles has come.
type Export struct {
	Tag string

	// Scope is what the stream is about, as the last bundle had it.
	Scope string

	// Last is the last serial that was exported, and where the next bundle begins;
	// Time is when that was, in microseconds since 1970 UTC, and Bundle its id.
	Last   int64
	Time   int64
	Bundle string

	// Acknowledged is the last serial that the far side has said to have.
	Acknowledged int64
}

// Export gives how far a stream has come. The error matches [fs.ErrNotExist] for one
// that has not begun.
func (c *Catalog) Export(ctx context.Context, tag string) (Export, error) {
	e := Export{Tag: tag}
	err := c.one.QueryRowContext(ctx, "SELECT scope, last, time, bundle, acknowledged FROM exports WHERE tag = ?", tag).
		Scan(&e.Scope, &e.Last, &e.Time, &e.Bundle, &e.Acknowledged)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return e, fmt.Errorf("stream %s: %w", tag, fs.ErrNotExist)
	case err != nil:
		return e, fmt.Errorf("read catalog: %w", err)
	}
	return e, nil
}

// ExportedSizes gives the sizes of the log at which bundles have left, those of
// all streams, below a size, the largest first, and so many at most.
func (c *Catalog) ExportedSizes(ctx context.Context, below int64, most int) (sizes []int64, err error) {
	return column[int64](ctx, c.db, "SELECT size FROM exported WHERE size < ? ORDER BY size DESC LIMIT ?", below, most)
}

// SetExport keeps how far a stream has come.
func (t *Tx) SetExport(e Export) error {
	if e.Last > 0 {
		if err := t.q.exec(t.ctx, "INSERT OR IGNORE INTO exported VALUES (?)", e.Last); err != nil {
			return err
		}
	}
	return t.q.exec(t.ctx, "INSERT OR REPLACE INTO exports VALUES (?, ?, ?, ?, ?, ?)", e.Tag, e.Scope, e.Last, e.Time, e.Bundle, e.Acknowledged)
}

// SerialAt is that of the last event about what the index has of a project, up to a
// serial; 0 for none.
func (c *Catalog) SerialAt(ctx context.Context, n packaging.Name, upTo int64) (serial int64, err error) {
	err = c.one.QueryRowContext(ctx, "SELECT coalesce(max(serial), 0) FROM events WHERE project = ? AND serial <= ? AND verb NOT IN ('promote', 'demote')", n, upTo).Scan(&serial)
	return serial, err
}

// An OriginRoot is what the log of another site was at a size.
type OriginRoot struct {
	Size int64
	Root [32]byte
}

// OriginRoots gives what is remembered of the log of another site, the smallest
// size first.
func (c *Catalog) OriginRoots(ctx context.Context, origin string) (roots []OriginRoot, err error) {
	return foundAll(ctx, c.db, func(rows *sql.Rows) (r OriginRoot, err error) {
		var root sql.RawBytes
		err = rows.Scan(&r.Size, &root)
		copy(r.Root[:], root)
		return r, err
	}, "SELECT size, root FROM origins WHERE name = ? ORDER BY size", origin)
}

// SetOriginRoot remembers what the log of another site is at a size.
func (t *Tx) SetOriginRoot(origin string, r OriginRoot) error {
	return t.q.exec(t.ctx, "INSERT OR REPLACE INTO origins VALUES (?, ?, ?)", origin, r.Size, r.Root[:])
}

// A Stream is how far the bundles of a stream were taken in.
type Stream struct {
	Origin, Tag string

	// Scope is what the last bundle was about.
	Scope string

	// Whole is the serial up to which nothing is missing, and Last the one up to
	// which something was taken in. They differ after a gap.
	Whole, Last int64
}

// Streams gives the streams of a site that something of was taken in, by their tags.
func (c *Catalog) Streams(ctx context.Context, origin string) (streams []Stream, err error) {
	return foundAll(ctx, c.db, func(rows *sql.Rows) (Stream, error) {
		s := Stream{Origin: origin}
		err := rows.Scan(&s.Tag, &s.Scope, &s.Whole, &s.Last)
		return s, err
	}, "SELECT tag, scope, whole, last FROM streams WHERE origin = ? ORDER BY tag", origin)
}

// SetStream keeps how far a stream was taken in.
func (t *Tx) SetStream(s Stream) error {
	return t.q.exec(t.ctx, "INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?, ?)", s.Origin, s.Tag, s.Scope, s.Whole, s.Last)
}

// An Imported is what another site says of a project, whether or not this one lists
// it so. Its Serial is that of the last event of that site that is taken into account.
type Imported struct {
	Origin string
	*Project
}

// ImportedNames gives the projects that belong to other sites, by the names of these.
func (c *Catalog) ImportedNames(ctx context.Context) (map[packaging.Name]string, error) {
	return byKey[packaging.Name, string](ctx, c.db, "SELECT i.project, i.origin FROM imported i JOIN projects p ON p.name = i.project AND p.owner = i.origin")
}

// OriginNames gives the projects that another site has said something of, in the order
// of their names.
func (c *Catalog) OriginNames(ctx context.Context, origin string) ([]packaging.Name, error) {
	return projectNames(ctx, c.db, "SELECT project FROM imported WHERE origin = ? ORDER BY project", origin)
}

// IsImported reports whether a project belongs to another site.
func (c *Catalog) IsImported(ctx context.Context, n packaging.Name) (bool, error) {
	var one int
	err := c.one.QueryRowContext(ctx, "SELECT 1 FROM imported i JOIN projects p ON p.name = i.project AND p.owner = i.origin WHERE i.project = ?", n).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// Imported gives what another site says of a project: one without anything, at serial
// 0, if it has said nothing yet.
func (c *Catalog) Imported(ctx context.Context, origin string, n packaging.Name) (Imported, error) {
	says := Imported{origin, &Project{Name: n, Display: string(n), Owner: origin}}
	var body []byte
	var serial int64
	err := c.one.QueryRowContext(ctx, "SELECT serial, body FROM imported WHERE origin = ? AND project = ?", origin, n).Scan(&serial, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return says, nil
	}
	if err != nil {
		return says, fmt.Errorf("read catalog: %w", err)
	}
	if len(body) > 0 {
		if says.Project, err = decodeBody(n, body); err != nil {
			return says, fmt.Errorf("read catalog: %s: %w", origin, err)
		}
	}
	says.Serial = serial
	return says, nil
}

// SetImported keeps what another site says of a project.
func (t *Tx) SetImported(i Imported) error {
	return t.q.exec(t.ctx, "INSERT OR REPLACE INTO imported VALUES (?, ?, ?, ?)", i.Origin, i.Name, i.Serial, encodeBody(i.Project))
}

// ResumePast gives a Past that goes on from a project as it was.
func ResumePast(p *Project) *Past {
	h := NewPast(p.Name)
	h.p = *p
	h.p.Files = nil
	for _, f := range p.Files {
		h.files[f.Filename] = f
	}
	return h
}

// Forget has a project not have a file any more, as if that had been withdrawn.
func (h *Past) Forget(filename string) { delete(h.files, filename) }
