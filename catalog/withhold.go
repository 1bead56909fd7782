package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"nestgen/layout"
	"nestgen/packaging"
)

// A path of the store stands here from when its file had to leave the index at once
// until its bytes are in the closed area.
const withholdTable = `
CREATE TABLE withhold (
	path TEXT PRIMARY KEY
) WITHOUT ROWID;
`

// Withhold notes that the bytes at a path of the store must not be served any more.
func (t *Tx) Withhold(path string) error {
	return t.q.exec(t.ctx, "INSERT OR IGNORE INTO withhold VALUES (?)", path)
}

// Withheld notes that the bytes at paths are not served any more.
func (t *Tx) Withheld(paths []string) error {
	for _, p := range paths {
		if err := t.q.exec(t.ctx, "DELETE FROM withhold WHERE path = ?", p); err != nil {
			return err
		}
	}
	return nil
}

// ToWithhold gives the paths of the store whose bytes must not be served any more
// and may still be, sorted.
func (c *Catalog) ToWithhold(ctx context.Context) ([]string, error) {
	return column[string](ctx, c.db, "SELECT path FROM withhold ORDER BY path")
}

// Shows reports whether the pages of some project list the file at a path of the
// store: those of a quarantined one list none (PEP 792).
func (c *Catalog) Shows(ctx context.Context, path string) (bool, error) {
	_, filename, ok := layout.ParseFile(path)
	if !ok {
		return false, nil
	}
	for f, err := range found(ctx, c.db, fileReader(), "SELECT "+fileColumns+" FROM files WHERE filename = ? AND project IN ("+
		"SELECT name FROM projects WHERE state <> ? AND name IN (SELECT project FROM events WHERE verb = 'add' AND filename = ?))", filename, Quarantined, filename) {
		if err != nil || f.Path == path {
			return err == nil, err
		}
	}
	return false, nil
}

// State gives the state of a project; a name that the catalog has never heard of is
// active.
func (c *Catalog) State(ctx context.Context, n packaging.Name) (s State, err error) {
	err = c.one.QueryRowContext(ctx, "SELECT state FROM projects WHERE name = ?", n).Scan(&s)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read catalog: %w", err)
	}
	return s, nil
}
