package nestgen

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
)

// damaged makes a site of a dropped and a fetched file.
func damaged(t *testing.T) (w *world, local, fetched string) {
	t.Helper()
	up := wheel("up", "1.0", plain)
	up.Signature = []byte("a signature")
	srv := fetchtest.New(t, up)
	w = newWorld(t, srv)
	w.Gzip = true
	w.write("allowlist.txt", "up\n")
	w.drop("mine", "1.0", plain)
	w.build(0)
	of := func(project string) string {
		return filepath.ToSlash(filepath.Join("site/simple", project, w.page(project).Files[0].URL))
	}
	return w, of("mine"), of("up")
}

func (w *world) verify(repair bool) *Verification {
	w.Helper()
	v, err := Verify(w.Context(), w.Config, Options{}, repair)
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// force writes over a file of the store, which is read-only.
func (w *world) force(name, text string) {
	w.Helper()
	if w.exists(name) {
		w.remove(name)
	}
	w.write(name, text)
}

func TestVerifyFindsAndMendsEachKindOfDamage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(w *world, local, fetched string) (path string)
	}{
		{"a bit of a dropped file", func(w *world, local, _ string) string {
			data := []byte(w.read(local))
			data[len(data)/2] ^= 1
			w.force(local, string(data))
			return local
		}},
		{"a fetched file cut short", func(w *world, _, fetched string) string {
			w.force(fetched, w.read(fetched)[:100])
			return fetched
		}},
		{"a file that is gone", func(w *world, _, fetched string) string { w.remove(fetched); return fetched }},
		{"a link in place of a file", func(w *world, local, _ string) string {
			w.remove(local)
			if err := os.Symlink("/etc/passwd", w.path(local)); err != nil {
				w.Fatal(err)
			}
			return local
		}},
		{"metadata", func(w *world, local, _ string) string {
			w.force(local+".metadata", "Name: evil\n")
			return local + ".metadata"
		}},
		{"a page", func(w *world, _, _ string) string {
			w.force("site/simple/mine/index.html", "<html>")
			return "site/simple/mine/index.html"
		}},
		{"a page that is gone", func(w *world, _, _ string) string {
			w.remove("site/simple/up/index.v1_json")
			return "site/simple/up/index.v1_json"
		}},
		{"a compressed page", func(w *world, _, _ string) string {
			w.force("site/simple/up/index.html.gz", "x")
			return "site/simple/up/index.html.gz"
		}},
		{"the root page", func(w *world, _, _ string) string {
			w.force("site/simple/index.html", "x")
			return "site/simple/index.html"
		}},
		{"the flat page", func(w *world, _, _ string) string { w.remove("site/flat/index.html"); return "site/flat/index.html" }},
		{"the legacy document", func(w *world, _, _ string) string { w.force("site/pypi/mine/json", "{}"); return "site/pypi/mine/json" }},
		{"a page too many", func(w *world, _, _ string) string {
			w.write("site/simple/evil/index.html", "x")
			return "site/simple/evil/index.html"
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, local, fetched := damaged(t)
			if v := w.verify(false); len(v.Findings) > 0 || !v.Whole() || v.Files != 2 || v.Pages == 0 {
				t.Fatalf("of a healthy site: %+v", v)
			}
			before := digestOf(t, w.path("site"))
			path := strings.TrimPrefix(tt.spoil(w, local, fetched), "site/")
			spoiled := photograph(t, w.dir)
			v := w.verify(false)
			found := false
			for _, f := range v.Findings {
				found = found || f.Path == path
			}
			if !found || v.Whole() {
				t.Fatalf("%s was not found: %+v", path, v.Findings)
			}
			if d := spoiled.differences(photograph(t, w.dir), w.dir); len(d) > 0 {
				t.Errorf("verify without --repair wrote %q", d)
			}
			if v := w.verify(true); !v.Whole() {
				t.Errorf("not mended: %+v", v.Findings)
			}
			if v := w.verify(false); len(v.Findings) > 0 {
				t.Errorf("after the repair: %+v", v.Findings)
			}
			if digestOf(t, w.path("site")) != before && tt.name != "a page too many" {
				t.Error("the repaired tree is another one")
			}
			w.checkTree()
			w.build(0)
		})
	}
}

// A file that is whole gives its metadata itself, and is not fetched for what
// stands beside it.
func TestVerifyTakesMetadataFromTheStore(t *testing.T) {
	t.Parallel()
	up := wheel("up", "1.0", plain)
	up.Signature = []byte("a signature")
	srv := fetchtest.New(t, up)
	w := newWorld(t, srv)
	w.write("allowlist.txt", "up\n")
	w.drop("mine", "1.0", plain)
	w.build(0)
	before := digestOf(t, w.path("site"))
	fetched := filepath.ToSlash(filepath.Join("site/simple/up", w.page("up").Files[0].URL))
	local := filepath.ToSlash(filepath.Join("site/simple/mine", w.page("mine").Files[0].URL))
	w.force(fetched+".metadata", "Name: evil\n")
	w.remove(local + ".metadata")
	w.remove(fetched + ".asc")
	w.remove("drop")
	srv.Forget()
	if v := w.verify(true); !v.Whole() || len(v.Findings) != 3 {
		t.Errorf("%+v", v.Findings)
	}
	for _, r := range srv.Requests("") {
		if !strings.HasSuffix(r.Path, ".asc") {
			t.Errorf("asked for %s", r.Path)
		}
	}
	if got := digestOf(t, w.path("site")); got != before {
		t.Error("another tree")
	}
}

// What cannot be mended is told, and everything else is mended.
func TestVerifyTellsWhatItCannotMend(t *testing.T) {
	t.Parallel()
	w, local, fetched := damaged(t)
	w.force(local, "x")
	w.remove(fetched)
	w.remove("site/flat/index.html")
	w.remove("drop")
	v := w.verify(true)
	if v.Whole() {
		t.Fatalf("whole without a source: %+v", v.Findings)
	}
	for _, f := range v.Findings {
		if f.Repaired == (f.Path == strings.TrimPrefix(local, "site/")) {
			t.Errorf("%+v", f)
		}
	}
}

func TestAnEmptiedSiteIsNoticed(t *testing.T) {
	t.Parallel()
	w, _, _ := damaged(t)
	before := digestOf(t, w.path("site"))
	w.remove("site")
	if _, err := Build(t.Context(), w.Config, Options{}); !errors.Is(err, ErrAlarm) || Hint(err) == "" {
		t.Errorf("Build: %v", err)
	}
	if v := w.verify(true); !v.Whole() {
		t.Errorf("not mended: %+v", v.Findings)
	}
	if got := digestOf(t, w.path("site")); got != before {
		t.Error("another tree")
	}
	w.build(0)
}

// Without its catalog a site is not taken for garbage.
func TestALostCatalogDeletesNothing(t *testing.T) {
	w, _, _ := damaged(t)
	w.remove("state")
	before := photograph(t, w.path("site"))
	setClock(t, "4000000000")
	if _, err := GC(t.Context(), w.Config, Options{}); !errors.Is(err, ErrSettings) {
		t.Errorf("GC: %v", err)
	}
	if _, err := Verify(t.Context(), w.Config, Options{}, true); !errors.Is(err, ErrSettings) {
		t.Errorf("Verify: %v", err)
	}
	if d := before.differences(photograph(t, w.path("site")), w.dir); len(d) > 0 {
		t.Errorf("gone or altered: %q", d)
	}
}

func TestGC(t *testing.T) {
	w := newWorld(t)
	setClock(t, "1800000000")
	keep := w.drop("keep", "1.0", plain)
	gone := w.drop("keep", "0.9", plain)
	w.build(0)
	w.remove("drop/" + gone)
	w.build(0)
	orphan := func(name string, at int64) string {
		path := "site/packages/ab/cd/" + strings.Repeat("0", 60) + "/" + name
		w.write(path, "left by a run that died")
		if err := os.Chtimes(w.path(path), time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, young := orphan("old-1.0.tar.gz", 1700000000), orphan("young-1.0.tar.gz", 1799999999)
	gc := func(o Options) *Garbage {
		t.Helper()
		g, err := GC(t.Context(), w.Config, o)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	before := photograph(t, w.dir)
	if g := gc(Options{DryRun: true}); len(g.Paths) != 1 || g.Waiting != 2 || g.Bytes == 0 {
		t.Errorf("%+v", g)
	}
	if d := before.differences(photograph(t, w.dir), w.dir); len(d) > 0 {
		t.Errorf("a dry run wrote %q", d)
	}
	if g := gc(Options{}); len(g.Paths) != 1 || w.exists(old) || !w.exists(young) {
		t.Errorf("%+v", g)
	}
	setClock(t, "1801000000")
	if g := gc(Options{}); len(g.Paths) != 2 || g.Waiting != 0 || w.exists(young) {
		t.Errorf("%+v", g)
	}
	w.build(0)
	w.lists(keep)
}

// What a dry run finds beside a build is of one moment: a file that is between
// the index and the list of those that wait for their grace is in one of them.
func TestGCBesideABuild(t *testing.T) {
	t.Parallel()
	w := builtWorld(t)
	c, err := catalog.Open(w.path("state/catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p, err := c.Project(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	f := p.Files[0]
	if err := os.Chtimes(w.path("site/"+f.Path), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var building sync.WaitGroup
	building.Go(func() {
		for ctx.Err() == nil {
			for _, change := range []func(*catalog.Tx) error{
				func(tx *catalog.Tx) error { return tx.Withdraw(f.Project, f.Filename, "", Now(), time.Hour) },
				func(tx *catalog.Tx) error { return tx.Put(f, "") },
			} {
				if err := c.Update(context.Background(), Now(), change); err != nil {
					t.Error(err)
				}
			}
		}
	})
	defer building.Wait()
	defer stop()
	for range 200 {
		g, err := GC(t.Context(), w.Config, Options{DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Paths) > 0 {
			t.Fatalf("%q would be deleted", g.Paths)
		}
	}
}
