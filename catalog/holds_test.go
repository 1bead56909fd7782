package catalog

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"nestgen/packaging"
)

// What is held of a project is what was said last, and nothing else changes.
func TestHolds(t *testing.T) {
	c, err := Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	set := func(n string, hs ...Hold) {
		t.Helper()
		err := c.Update(t.Context(), time.Unix(1, 0), func(tx *Tx) error { return tx.SetHolds("foo", hs) })
		if n == "" && err != nil || n != "" && err == nil {
			t.Fatalf("SetHolds: %v", err)
		}
	}
	old := Hold{"foo", "foo-1.9.tar.gz", "1.9", "up", 1, "min_age", "young", 2}
	young := Hold{"foo", "foo-1.10.tar.gz", "1.10", "up", 0, "min_age", "its upload time is not known", 0}
	set("", old, young)
	set("", old, young)
	for range 2 {
		all, err := c.Holds(t.Context())
		if err != nil || !slices.Equal(all, []Hold{young, old}) {
			t.Errorf("%+v, %v", all, err)
		}
		one, err := c.ProjectHolds(t.Context(), "foo")
		if err != nil || !slices.Equal(one, all) {
			t.Errorf("%+v, %v", one, err)
		}
		set("refused", Hold{Project: "bar", Filename: "bar-1.tar.gz"})
	}
	if s, err := c.Serial(t.Context()); s != 0 || err != nil {
		t.Errorf("%d events, %v", s, err)
	}
	set("")
	if all, err := c.Holds(t.Context()); len(all) != 0 || err != nil {
		t.Errorf("%+v, %v", all, err)
	}
}

// What was ever had from a source counts, whether it is listed or not.
func TestHadFrom(t *testing.T) {
	c, err := Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file := func(n, source string, d byte) File {
		return File{Project: "foo", Filename: n, Version: "1", SHA256: Digest{d}, Source: source, Path: "packages/00/00/" + Digest{d}.String()[4:] + "/" + n}
	}
	err = c.Update(t.Context(), time.Unix(1, 0), func(tx *Tx) error {
		if err := tx.Claim("foo", "foo", "up"); err != nil {
			return err
		}
		for _, f := range []File{file("foo-1.tar.gz", "up", 1), file("foo-3.tar.gz", Local, 3)} {
			if err := tx.Put(f, ""); err != nil {
				return err
			}
		}
		return tx.Withdraw("foo", "foo-1.tar.gz", "", time.Unix(1, 0), time.Hour)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		project packaging.Name
		source  string
		want    bool
	}{{"foo", "up", true}, {"foo", Local, true}, {"foo", "other", false}, {"bar", "up", false}} {
		if had, err := c.HadFrom(t.Context(), tt.project, tt.source); had != tt.want || err != nil {
			t.Errorf("HadFrom(%s, %s) = %v, %v", tt.project, tt.source, had, err)
		}
	}
}
