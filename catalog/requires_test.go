package catalog

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestRequires(t *testing.T) {
	c := newCatalog(t)
	ctx := context.Background()
	for i, want := range []Requires{
		{},
		{Known: true},
		{Known: true, Dist: []string{"b>=1; extra == 'x'", "a"}, Python: ">=3.8", Extras: []string{"x"}},
		{Known: true, Claimed: true},
		{Known: true, Build: []string{"setuptools"}},
	} {
		sha := Digest{byte(i + 1)}
		if _, err := c.Requires(ctx, sha); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%d: before it was read: %v", i, err)
		}
		for range 2 { // what is kept already may come again
			update(t, c, func(tx *Tx) error { return tx.SetRequires(sha, want) })
		}
		if got, err := c.Requires(ctx, sha); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d: %+v, %v\nwant %+v", i, got, err, want)
		}
	}
}

// A catalog of before is brought up to date by whoever may write, with all that it
// holds, and is left alone by those who may not.
func TestAnOlderCatalogIsBroughtUpToDate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.db")
	c, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	list(t, c, aFile("foo", "foo-1.0.tar.gz", "1.0", 1))
	for _, table := range additions {
		name := strings.Fields(strings.TrimPrefix(strings.TrimSpace(table), "CREATE TABLE"))[0]
		if _, err := c.db.Exec("DROP TABLE " + name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.db.Exec("PRAGMA user_version = 2"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := OpenReadOnly(file); err == nil || !strings.Contains(err.Error(), "brings it up to date") {
		t.Errorf("read-only: %v", err)
	}
	for range 2 {
		if c, err = Open(file); err != nil {
			t.Fatal(err)
		}
		p, err := c.Project(context.Background(), "foo")
		if err != nil || len(p.Files) != 1 {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err := c.Requires(context.Background(), Digest{1}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("its new table: %v", err)
		}
		c.Close()
	}
}
