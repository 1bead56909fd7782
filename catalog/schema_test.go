package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"nestgen/packaging"
)

// older makes a catalog as an older nestgen has left it, with one file, a status and a
// development link.
func older(t *testing.T, file string, version int) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	change := tables
	for _, a := range additions {
		if a.version <= version {
			change += strings.Join(a.sql, "\n")
		}
	}
	f := aFile("foo", "foo-1.0.tar.gz", "1.0", 1)
	for _, do := range []struct {
		query string
		args  []any
	}{
		{change + fmt.Sprintf("PRAGMA user_version = %d", version), nil},
		{"INSERT INTO projects VALUES ('foo', 'foo', 'local', 'archived', 'over', 'a note', 1, 1, 1, 3, 3, x'')", nil},
		{"INSERT INTO files VALUES ('foo', 'foo-1.0.tar.gz', ?)", []any{encodeFacts(f)}},
		{"INSERT INTO links VALUES ('foo', 'https://example.org/foo', 'foo', '', 'foo.links')", nil},
		{"INSERT INTO events VALUES (1, 5, 'add', 'foo', 'foo-1.0.tar.gz', ?, 'local', '')", []any{f.SHA256[:]}},
		{"INSERT INTO events VALUES (2, 6, 'status', 'foo', '', NULL, 'policy', 'archived: over')", nil},
		{"INSERT INTO events VALUES (3, 7, 'links', 'foo', '', NULL, 'local', '')", nil},
	} {
		if _, err := db.Exec(do.query, do.args...); err != nil {
			t.Fatal(err)
		}
	}
}

// A catalog of before is brought up to date by whoever may write, with all that it
// holds, and is left alone by those who may not. What the index says is in its records
// from then on.
func TestAnOlderCatalogIsBroughtUpToDate(t *testing.T) {
	ctx := context.Background()
	for version := oldestVersion; version < schemaVersion; version++ {
		file := filepath.Join(t.TempDir(), "catalog.db")
		older(t, file, version)
		if _, err := OpenReadOnly(file); err == nil || !strings.Contains(err.Error(), "brings it up to date") {
			t.Errorf("version %d: read-only: %v", version, err)
		}
		for range 2 {
			c, err := Open(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := c.Project(ctx, "foo")
			if err != nil || len(p.Files) != 1 || p.Status.State != Archived {
				t.Errorf("version %d: %+v, %v", version, p, err)
			}
			if _, err := c.Requires(ctx, Digest{1}); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("version %d: its new table: %v", version, err)
			}
			if n, err := c.Outdated(ctx); n != 0 || err != nil {
				t.Errorf("version %d: %d projects are to be published again, %v", version, n, err)
			}
			serial, err := c.Serial(ctx)
			if err != nil || serial != 6 {
				t.Errorf("version %d: serial %d, %v, want 6: the file, the status, the link", version, serial, err)
			}
			if begins, err := c.Begins(ctx); begins != 6 || err != nil {
				t.Errorf("version %d: records begin at %d, %v", version, begins, err)
			}
			sameAt(t, c, "foo", serial)
			if _, err := c.ProjectAt(ctx, "foo", 3); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("version %d: as of a serial before: %v", version, err)
			}
			c.Close()
		}
	}
}

// sameAt holds a project as of the last serial against what the catalog says of it.
func sameAt(t *testing.T, c *Catalog, n packaging.Name, serial int64) {
	t.Helper()
	now, err := c.Project(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	then, err := c.ProjectAt(context.Background(), n, serial)
	if err != nil {
		t.Fatal(err)
	}
	// What is no matter of serials.
	now.Shown, now.Advisories, then.Serial, now.Serial = Card{}, nil, 0, 0
	for i := range now.Links {
		now.Links[i].Project = n
	}
	if fmt.Sprintf("%#v", now) != fmt.Sprintf("%#v", then) {
		t.Errorf("project %s at serial %d:\n%#v\nthe catalog has\n%#v", n, serial, then, now)
	}
}
