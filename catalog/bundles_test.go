package catalog

import (
	"errors"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"nestgen/packaging"
)

// What is kept of bundles comes back as it was kept.
func TestBundles(t *testing.T) {
	t.Parallel()
	c, err := OpenEmpty()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	ctx := t.Context()
	if _, err := c.Export(ctx, "far"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a stream that never was: %v", err)
	}
	file := File{Project: "a", Filename: "a-1.0.tar.gz", Version: "1.0", Kind: packaging.Sdist, Size: 3, SHA256: Digest{1}, BLAKE2b: Digest{2}, Source: "near:local"}
	e := Export{Tag: "far", Scope: "projects\na", Last: 40, Time: 7, Bundle: "0f", Acknowledged: 12}
	stream := Stream{Origin: "near", Tag: "far", Scope: "all", Whole: 12, Last: 40}
	says := Imported{"near", &Project{Name: "a", Display: "A", Owner: "near", Serial: 40, Status: Status{State: Archived, Reason: "old"}, Note: "n",
		Links: []Link{{Project: "a", URL: "https://x.example/a", Egg: "a"}}}}
	err = c.Update(ctx, time.Unix(1, 0), func(tx *Tx) error {
		if err := tx.Claim("a", "a", "near"); err != nil {
			return err
		}
		if err := tx.Claim("b", "b", Local); err != nil {
			return err
		}
		if err := tx.Put(file, "imported"); err != nil {
			return err
		}
		f, _, err := tx.file("a", file.Filename)
		if err != nil {
			return err
		}
		says.Files = []File{f}
		for _, last := range []int64{10, 30, 40} {
			e.Last = last
			if err := tx.SetExport(e); err != nil {
				return err
			}
		}
		return errors.Join(
			tx.SetStream(stream), tx.SetStream(Stream{Origin: "other", Tag: "far"}),
			tx.SetOriginRoot("near", OriginRoot{12, Digest{3}}), tx.SetOriginRoot("near", OriginRoot{3, Digest{4}}), tx.SetOriginRoot("other", OriginRoot{5, Digest{5}}),
			tx.SetImported(says), tx.SetImported(Imported{"near", &Project{Name: "b", Serial: 2}}), tx.SetImported(Imported{"other", &Project{Name: "a"}}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Export(ctx, "far"); err != nil || got != e {
		t.Errorf("Export: %+v, %v", got, err)
	}
	if got, err := c.ExportedSizes(ctx, 40, 1); err != nil || !slices.Equal(got, []int64{30}) {
		t.Errorf("ExportedSizes: %v, %v", got, err)
	}
	if got, err := c.Streams(ctx, "near"); err != nil || !slices.Equal(got, []Stream{stream}) {
		t.Errorf("Streams: %v, %v", got, err)
	}
	if got, err := c.OriginRoots(ctx, "near"); err != nil || !slices.Equal(got, []OriginRoot{{3, Digest{4}}, {12, Digest{3}}}) {
		t.Errorf("OriginRoots: %v, %v", got, err)
	}
	if got, err := c.Imported(ctx, "near", "a"); err != nil || !reflect.DeepEqual(got, says) {
		t.Errorf("Imported: %+v, %v; want %+v", got, err, says)
	}
	if got, err := c.Imported(ctx, "near", "nosuch"); err != nil || got.Serial != 0 || len(got.Files) > 0 {
		t.Errorf("Imported of a name that was never: %+v, %v", got, err)
	}
	if got, err := c.OriginNames(ctx, "near"); err != nil || !slices.Equal(got, []packaging.Name{"a", "b"}) {
		t.Errorf("OriginNames: %v, %v", got, err)
	}
	// b is this site's own, whatever the other says.
	if got, err := c.ImportedNames(ctx); err != nil || !maps.Equal(got, map[packaging.Name]string{"a": "near"}) {
		t.Errorf("ImportedNames: %v, %v", got, err)
	}
	for n, want := range map[packaging.Name]bool{"a": true, "b": false, "c": false} {
		if got, err := c.IsImported(ctx, n); err != nil || got != want {
			t.Errorf("IsImported(%s): %v, %v", n, got, err)
		}
	}
	last, err := c.Serial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.SerialAt(ctx, "a", last); err != nil || got != last {
		t.Errorf("SerialAt: %d, %v; want %d", got, err, last)
	}
	if got, err := c.SerialAt(ctx, "a", 0); err != nil || got != 0 {
		t.Errorf("SerialAt 0: %d, %v", got, err)
	}
}

// A project goes on from what was known of it, and forgets what it is told to.
func TestResumePast(t *testing.T) {
	t.Parallel()
	file := func(name string) File { return File{Project: "a", Filename: name, Version: "1.0", Spelling: "A"} }
	h := ResumePast(&Project{Name: "a", Files: []File{file("a-1.0.tar.gz"), file("a-1.0.zip")}, Status: Status{State: Archived}})
	next := file("a-2.0.tar.gz")
	h.Apply(&Record{Event: Event{Serial: 9, Verb: Add, Project: "a", Filename: next.Filename}, File: &next})
	h.Apply(&Record{Event: Event{Serial: 10, Verb: Withdraw, Project: "a", Filename: "a-1.0.zip"}})
	h.Forget("a-1.0.tar.gz")
	p := h.Project()
	if len(p.Files) != 1 || p.Files[0] != next || p.Status.State != Archived || p.Serial != 10 || p.Display != "A" {
		t.Errorf("%+v", p)
	}
}
