package catalog

import (
	"context"
	"database/sql"
	"fmt"

	"nestgen/packaging"
)

// A Stored is what the catalog knows of the store at one moment. The same path
// may be in both: then it is listed.
type Stored struct {
	// Listed holds the paths of the files that the index or a view lists, and of those
	// that were promoted or are in a snapshot, whether or not they may be listed now.
	Listed map[string]bool

	// Pinned holds those of them that a view lists, or that were promoted.
	Pinned map[string]bool

	// Announced holds the paths of files that the index lists before their bytes are
	// here, and that are not pinned: what lies there is not needed.
	Announced map[string]bool

	// Due gives when the bytes of a withdrawn file may be deleted, by path, in
	// microseconds since 1970 UTC.
	Due map[string]int64
}

// Stored reads what the catalog knows of the store. Nothing that another
// process writes meanwhile comes between the two halves.
func (c *Catalog) Stored(ctx context.Context) (Stored, error) {
	s := Stored{Listed: map[string]bool{}, Pinned: map[string]bool{}, Announced: map[string]bool{}}
	tx, err := c.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s, fmt.Errorf("read catalog: %w", err)
	}
	defer tx.Rollback()
	for _, table := range []string{"viewed", "frozen"} {
		if err := s.readViewed(ctx, tx, table); err != nil {
			return s, err
		}
	}
	for f, err := range found(ctx, tx, fileReader(), "SELECT "+fileColumns+" FROM promotions") {
		if err != nil {
			return s, err
		}
		s.Listed[f.Path], s.Pinned[f.Path] = true, true
	}
	for f, err := range found(ctx, tx, fileReader(), "SELECT "+fileColumns+" FROM files") {
		if err != nil {
			return s, err
		}
		s.Listed[f.Path] = true
		if f.Announced && !s.Pinned[f.Path] {
			s.Announced[f.Path] = true
		}
	}
	s.Due, err = byKey[string, int64](ctx, tx, "SELECT path, due FROM due")
	return s, err
}

// readViewed reads the files of a table that has values of projects.
func (s *Stored) readViewed(ctx context.Context, q querier, table string) error {
	for p, err := range found(ctx, q, func(rows *sql.Rows) (p *Project, err error) {
		var view string
		var n packaging.Name
		var body sql.RawBytes
		if err = rows.Scan(&view, &n, &body); err != nil {
			return nil, err
		}
		if p, err = decodeBody(n, body); err != nil {
			err = fmt.Errorf("%s: project %s: %w", view, n, err)
		}
		return p, err
	}, "SELECT view, project, body FROM "+table+" WHERE body <> x''") {
		if err != nil {
			return err
		}
		for _, f := range p.Files {
			s.Listed[f.Path], s.Pinned[f.Path] = true, true
		}
	}
	return nil
}
