package catalog

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"nestgen/layout"
)

// A file that was announced has a place before its bytes come, keeps it when
// they do, and counts for nothing until then.
func TestAnnounced(t *testing.T) {
	ctx := t.Context()
	c, err := Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	place := Digest{7, 7}
	told := File{
		Project: "demo", Filename: "demo-1.0.tar.gz", Version: "1.0", Size: -1, SHA256: Digest{1}, Announced: true,
		Path: layout.File(place, "demo-1.0.tar.gz"), Source: "up", URL: "https://up.example/demo-1.0.tar.gz",
	}
	put := func(f File) error {
		return c.Update(ctx, time.Now(), func(tx *Tx) error {
			return errors.Join(tx.Claim("demo", "demo", "up"), tx.Put(f, ""))
		})
	}
	look := func(want File, held int64) {
		t.Helper()
		p, err := c.Project(ctx, "demo")
		if err != nil || len(p.Files) != 1 || p.Files[0] != want {
			t.Errorf("%+v, %v", p, err)
		}
		if f, err := c.FileAt(ctx, want.Path); err != nil || f != want {
			t.Errorf("at its path: %+v, %v", f, err)
		}
		if n, err := c.Counts(ctx); err != nil || n != (Counts{Projects: 1, Files: 1, Bytes: held}) {
			t.Errorf("%+v, %v", n, err)
		}
	}
	if err := put(told); err != nil {
		t.Fatal(err)
	}
	look(told, 0)

	here := told
	here.Announced, here.Size, here.BLAKE2b = false, 123, Digest{9}
	elsewhere := here
	elsewhere.Path = layout.File(here.BLAKE2b, here.Filename)
	if err := put(elsewhere); !errors.Is(err, ErrMoved) {
		t.Errorf("at another place: %v", err)
	}
	other := here
	other.SHA256 = Digest{2}
	if err := put(other); !errors.Is(err, ErrAltered) {
		t.Errorf("other bytes than announced: %v", err)
	}
	look(told, 0)
	if err := put(here); err != nil {
		t.Fatal(err)
	}
	look(here, 123)

	var verbs []Verb
	for e, err := range c.ProjectEvents(ctx, "demo") {
		if err != nil {
			t.Fatal(err)
		}
		verbs = append(verbs, e.Verb)
	}
	if len(verbs) != 2 || verbs[0] != Add || verbs[1] != Arrive {
		t.Errorf("events %v", verbs)
	}
	for _, path := range []string{elsewhere.Path, layout.File(place, "demo-2.0.tar.gz"), "packages/../x", here.Path + ".metadata"} {
		if _, err := c.FileAt(ctx, path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	err = c.Update(ctx, time.Now(), func(tx *Tx) error { return tx.Withdraw("demo", here.Filename, "", time.Now(), 0) })
	if n, cerr := c.Counts(ctx); err != nil || cerr != nil || n != (Counts{}) {
		t.Errorf("%+v, %v, %v", n, err, cerr)
	}
}
