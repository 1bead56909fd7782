package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"nestgen/packaging"
)

// A Hold is a file of an upstream that is asked for and may not come in yet.
type Hold struct {
	Project  packaging.Name
	Filename string
	Version  string

	// Source is who offers it.
	Source string

	// Uploaded is when it was uploaded there, in microseconds since 1970 UTC; 0 if
	// that is not known.
	Uploaded int64

	// Rule is the setting that holds it, and Reason what it has against it.
	Rule, Reason string

	// Until is when it may come in, in microseconds since 1970 UTC; 0 if somebody
	// has to decide.
	Until int64
}

const holdsTable = `
CREATE TABLE holds (
	project  TEXT NOT NULL,
	filename TEXT NOT NULL,
	version  TEXT NOT NULL,
	source   TEXT NOT NULL,
	uploaded INTEGER NOT NULL,
	rule     TEXT NOT NULL,
	reason   TEXT NOT NULL,
	until    INTEGER NOT NULL,
	PRIMARY KEY (project, filename)
) WITHOUT ROWID;
`

const holdColumns = "project, filename, version, source, uploaded, rule, reason, until"

// SortHolds sorts holds by project, then by version, newest first, then by file
// name.
func SortHolds(hs []Hold) {
	slices.SortFunc(hs, func(a, b Hold) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project),
			cmp.Compare(packaging.VersionKeyOf(b.Version), packaging.VersionKeyOf(a.Version)),
			strings.Compare(a.Filename, b.Filename))
	})
}

// Holds gives everything that is held, as [SortHolds] sorts it.
func (c *Catalog) Holds(ctx context.Context) ([]Hold, error) {
	return readHolds(ctx, c.db, "SELECT "+holdColumns+" FROM holds")
}

// ProjectHolds gives what is held of a project, as [SortHolds] sorts it.
func (c *Catalog) ProjectHolds(ctx context.Context, n packaging.Name) ([]Hold, error) {
	return readHolds(ctx, c.one, "SELECT "+holdColumns+" FROM holds WHERE project = ?", n)
}

func readHolds(ctx context.Context, q querier, query string, args ...any) ([]Hold, error) {
	hs, err := foundAll(ctx, q, func(rows *sql.Rows) (h Hold, err error) {
		err = rows.Scan(&h.Project, &h.Filename, &h.Version, &h.Source, &h.Uploaded, &h.Rule, &h.Reason, &h.Until)
		return h, err
	}, query, args...)
	SortHolds(hs)
	return hs, err
}

// SetHolds makes hs what is held of a project. It makes no event: what is held was
// never in the index.
func (t *Tx) SetHolds(n packaging.Name, hs []Hold) error {
	if err := t.q.exec(t.ctx, "DELETE FROM holds WHERE project = ?", n); err != nil {
		return err
	}
	for _, h := range hs {
		if h.Project != n {
			return fmt.Errorf("write catalog: %s is not held of %s", h.Filename, n)
		}
		if err := t.q.exec(t.ctx, "INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			n, h.Filename, h.Version, h.Source, h.Uploaded, h.Rule, h.Reason, h.Until); err != nil {
			return err
		}
	}
	return nil
}

// HadFrom reports whether the index ever had a file of a project from a source.
func (c *Catalog) HadFrom(ctx context.Context, n packaging.Name, source string) (had bool, err error) {
	err = c.one.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM events WHERE project = ? AND verb = 'add' AND source = ?)", n, source).Scan(&had)
	if err != nil {
		return false, fmt.Errorf("read catalog: %w", err)
	}
	return had, nil
}
