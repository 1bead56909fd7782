package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
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

// A file whose bytes go is announced again at its place, which is an event, and comes
// again as one that was never here.
func TestExpire(t *testing.T) {
	c := newCatalog(t)
	here := File{
		Project: "demo", Filename: "demo-1.0.tar.gz", Version: "1.0", Size: 123, SHA256: Digest{1}, BLAKE2b: Digest{9}, Signed: true, Provenance: true,
		Path: layout.File(Digest{9}, "demo-1.0.tar.gz"), Source: "up", URL: "https://up.example/demo-1.0.tar.gz",
	}
	gone := here
	gone.Announced, gone.BLAKE2b, gone.Signed, gone.Provenance = true, Digest{}, false, false
	update(t, c, func(tx *Tx) error { return errors.Join(tx.Claim("demo", "demo", "up"), tx.Put(here, "")) })
	stored := func(announced bool) {
		t.Helper()
		s, err := c.Stored(t.Context())
		if err != nil || !s.Listed[here.Path] || s.Pinned[here.Path] || s.Announced[here.Path] != announced {
			t.Errorf("%+v, %v", s, err)
		}
	}
	stored(false)
	expire := func(f File) (expired bool, err error) {
		err = c.Update(t.Context(), time.Now(), func(tx *Tx) error {
			expired, err = tx.Expire(f, "nobody wants it")
			return err
		})
		return expired, err
	}
	moved, other, half := gone, gone, gone
	moved.Path, other.SHA256, half.Provenance = layout.File(Digest{8}, here.Filename), Digest{2}, true
	for about, f := range map[string]File{"moved": moved, "altered": other, "half": half, "not announced": here} {
		if expired, err := expire(f); err == nil || expired {
			t.Errorf("%s: %v, %v", about, expired, err)
		}
	}
	for i, want := range []bool{true, false} {
		if expired, err := expire(gone); err != nil || expired != want {
			t.Errorf("time %d: %v, %v", i, expired, err)
		}
		if p, err := c.Project(t.Context(), "demo"); err != nil || len(p.Files) != 1 || p.Files[0] != gone {
			t.Errorf("%+v, %v", p, err)
		}
		if n, err := c.Counts(t.Context()); err != nil || n != (Counts{Projects: 1, Files: 1}) {
			t.Errorf("%+v, %v", n, err)
		}
		stored(true)
	}
	unknown := gone
	unknown.Filename = "demo-2.0.tar.gz"
	if expired, err := expire(unknown); err != nil || expired {
		t.Errorf("one that is not listed: %v, %v", expired, err)
	}
	update(t, c, func(tx *Tx) error {
		arrived, err := tx.Arrive(here, "on demand")
		if !arrived {
			t.Error("it does not come again")
		}
		return err
	})
	var verbs []Verb
	for e, err := range c.ProjectEvents(t.Context(), "demo") {
		if err != nil {
			t.Fatal(err)
		}
		verbs = append(verbs, e.Verb)
	}
	if !reflect.DeepEqual(verbs, []Verb{Add, Expire, Arrive}) {
		t.Errorf("events %v", verbs)
	}

	// What a view lists, or was promoted, is needed.
	update(t, c, func(tx *Tx) error {
		_, err := tx.PutView("prod", &Project{Name: "demo", Display: "demo", Files: []File{here}}, time.Now(), 0)
		return err
	})
	if _, err := expire(gone); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Stored(t.Context()); err != nil || !s.Pinned[here.Path] || s.Announced[here.Path] {
		t.Errorf("%+v, %v", s, err)
	}
}

// Announcing many files at once does what listing each of them does.
func TestAnnounceAtOnce(t *testing.T) {
	var files []File
	for i := range 50 {
		name := fmt.Sprintf("demo-1.%d.tar.gz", i)
		files = append(files, File{
			Project: "demo", Filename: name, Version: fmt.Sprintf("1.%d", i), Size: int64(i), SHA256: Digest{1, byte(i)}, Announced: true,
			Path: layout.File(Digest{2, byte(i)}, name), Source: "up", URL: `https://up.example/"é\` + name, Uploaded: int64(i),
			Yanked: Yank{true, "why \" not"}, SourceYank: Yank{true, "why \" not"},
		})
	}
	gone, other, listed := files[3], files[4], files[5]
	other.SHA256 = Digest{9}
	listed.Announced, listed.BLAKE2b, listed.Size = false, Digest{7}, 70
	var all [2]*Catalog
	for i := range all {
		c := newCatalog(t)
		all[i] = c
		update(t, c, func(tx *Tx) error {
			return errors.Join(tx.Claim("demo", "demo", "up"), tx.Put(gone, ""), tx.Put(other, ""), tx.Put(listed, ""))
		})
		update(t, c, func(tx *Tx) error {
			return errors.Join(tx.Withdraw("demo", gone.Filename, "", noon, 0), tx.Withdraw("demo", other.Filename, "", noon, 0))
		})
	}
	update(t, all[0], func(tx *Tx) error {
		for _, f := range files {
			if err := tx.Put(f, "on demand"); err != nil && !errors.Is(err, ErrAltered) {
				return err
			}
		}
		return nil
	})
	update(t, all[1], func(tx *Tx) error {
		added, altered, err := tx.Announce("demo", "up", files, "on demand")
		if len(added) != 48 || len(altered) != 1 || altered[0] != files[4] {
			t.Errorf("%d added, altered %+v", len(added), altered)
		}
		return err
	})
	if again, _, err := announceAgain(t, all[1], files); err != nil || len(again) > 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	type state struct {
		Project *Project
		Events  []Event
		Counts  Counts
		Stored  Stored
	}
	var states [2]state
	for i, c := range all {
		s := &states[i]
		var err error
		if s.Project, err = c.Project(t.Context(), "demo"); err != nil {
			t.Fatal(err)
		}
		for e, err := range c.Events(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			s.Events = append(s.Events, e)
		}
		if s.Counts, err = c.Counts(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.Stored, err = c.Stored(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(states[0], states[1]) {
		t.Errorf("one by one\n%+v\nat once\n%+v", states[0], states[1])
	}
}

func announceAgain(t *testing.T, c *Catalog, files []File) (added, altered []File, err error) {
	t.Helper()
	update(t, c, func(tx *Tx) error {
		added, altered, err = tx.Announce("demo", "up", files, "on demand")
		return err
	})
	return added, altered, err
}
