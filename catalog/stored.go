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
	s := Stored{Listed: map[string]bool{}, Pinned: map[string]bool{}, Announced: map[string]bool{}, Due: map[string]int64{}}
	tx, err := c.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s, fmt.Errorf("read catalog: %w", err)
	}
	defer tx.Rollback()
	for _, table := range []string{"viewed", "frozen"} {
		if err := s.readViewed(ctx, tx, table); err != nil {
			return s, fmt.Errorf("read catalog: %w", err)
		}
	}
	if err := readFacts(ctx, tx, "promotions", func(f *File) { s.Listed[f.Path], s.Pinned[f.Path] = true, true }); err != nil {
		return s, fmt.Errorf("read catalog: %w", err)
	}
	err = readFacts(ctx, tx, "files", func(f *File) {
		s.Listed[f.Path] = true
		if f.Announced && !s.Pinned[f.Path] {
			s.Announced[f.Path] = true
		}
	})
	if err != nil {
		return s, fmt.Errorf("read catalog: %w", err)
	}
	if err := s.readDue(ctx, tx); err != nil {
		return s, fmt.Errorf("read catalog: %w", err)
	}
	return s, nil
}

// readFacts reads the files of a table that has columns as that of files has.
func readFacts(ctx context.Context, q querier, table string, each func(*File)) error {
	rows, err := q.QueryContext(ctx, "SELECT "+fileColumns+" FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	var f File
	for rows.Next() {
		if f, err = scanFile(rows, &f); err != nil {
			return err
		}
		each(&f)
	}
	return rows.Err()
}

// readViewed reads the files of a table that has values of projects.
func (s *Stored) readViewed(ctx context.Context, q querier, table string) error {
	rows, err := q.QueryContext(ctx, "SELECT view, project, body FROM "+table+" WHERE body <> x''")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var view string
		var n packaging.Name
		var body sql.RawBytes
		if err := rows.Scan(&view, &n, &body); err != nil {
			return err
		}
		p, err := decodeBody(n, body)
		if err != nil {
			return fmt.Errorf("%s: project %s: %w", view, n, err)
		}
		for i := range p.Files {
			s.Listed[p.Files[i].Path], s.Pinned[p.Files[i].Path] = true, true
		}
	}
	return rows.Err()
}

func (s *Stored) readDue(ctx context.Context, q querier) error {
	rows, err := q.QueryContext(ctx, "SELECT path, due FROM due")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var path string
		var due int64
		if err := rows.Scan(&path, &due); err != nil {
			return err
		}
		s.Due[path] = due
	}
	return rows.Err()
}
