package nestgen

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nestgen/intake/intaketest"
)

// backUp copies the catalog away, and restore puts the copy back.
func (w *world) backUp() (restore func()) {
	w.Helper()
	files, err := filepath.Glob(w.path("state/catalog.db*"))
	if err != nil {
		w.Fatal(err)
	}
	copies := map[string]string{}
	for _, f := range files {
		copies[filepath.Base(f)] = w.read("state/" + filepath.Base(f))
	}
	return func() {
		w.Helper()
		for _, ending := range []string{"", "-wal", "-shm"} {
			w.remove("state/catalog.db" + ending)
		}
		for name, data := range copies {
			w.write("state/"+name, data)
		}
	}
}

// stored gives where a file of the index lies.
func (w *world) stored(project, filename string) string {
	w.Helper()
	for _, f := range w.page(project).Files {
		if f.Filename == filename {
			return filepath.Join("site/simple", project, f.URL)
		}
	}
	w.Fatalf("%s is not listed", filename)
	return ""
}

// A catalog from a backup knows less than the site: whatever was done since
// then, a build makes the site what it should be. Here and below there is no log that
// says what was done.
func TestABuildWithAnOldCatalog(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	for _, flat := range []bool{true, false} {
		w := newWorld(t)
		w.Flat, w.People, w.LegacyJSON, w.PublishLog = flat, flat, "none", false
		keep := w.drop("a", "1.0", plain)
		gone := w.drop("b", "1.0", plain)
		more := w.drop("b", "1.1", plain)
		c := w.drop("c", "1.0", intaketest.Opts{Spelling: "C"})
		w.build(0)
		restore := w.backUp()
		w.drop("a", "2.0", plain)
		w.drop("d", "1.0", plain)
		w.remove("drop/" + gone)
		w.remove("drop/" + c)
		w.build(0)
		for _, f := range []string{"a-2.0-py3-none-any.whl", "d-1.0-py3-none-any.whl"} {
			w.remove("drop/" + f)
		}
		restore()
		w.remove("drop/" + more)
		w.drop("b", "1.2", plain)
		w.tells(w.build(0, Options{AllowRemovals: true}), "warning", "the pages of 1 projects were removed")
		w.lists(keep, "b-1.2-py3-none-any.whl")
		w.isAsFresh()
	}
}

// A project that the old catalog knows without files had pages under a spelling
// that it has not heard of.
func TestAnOldCatalogOfAProjectWithoutFiles(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	w := newWorld(t)
	w.PublishLog = false
	w.drop("a", "1.0", plain)
	gone := w.drop("b", "1.0", plain)
	w.build(0)
	w.remove("drop/" + gone)
	w.build(0)
	restore := w.backUp()
	more := w.drop("b", "2.0", intaketest.Opts{Spelling: "B"})
	w.build(0)
	w.remove("drop/" + more)
	restore()
	w.build(0)
	w.isAsFresh()
}

// Nothing that the published pages refer to is deleted by a catalog that is
// older than they are, at once or before those who read them had their grace.
func TestAnOldCatalogDeletesNothing(t *testing.T) {
	w := newWorld(t)
	w.Flat, w.People, w.LegacyJSON, w.PublishLog = false, false, "none", false
	setClock(t, "1800000000")
	first := w.drop("a", "1.0", plain)
	second := w.drop("a", "1.1", plain)
	w.build(0)
	w.remove("drop/" + second)
	w.build(0)
	restore := w.backUp() // the second waits for its grace
	setClock(t, "1800001000")
	w.drop("a", "1.1", plain)
	third := w.drop("a", "1.2", plain)
	w.build(0)
	w.lists(first, second, third)
	paths := []string{w.stored("a", second), w.stored("a", third)}
	for _, p := range paths {
		if err := os.Chtimes(w.path(p), time.Unix(1800001000, 0), time.Unix(1800001000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	there := func(when string) {
		t.Helper()
		for _, p := range paths {
			if !w.exists(p) {
				t.Errorf("%s: %s is gone", when, filepath.Base(p))
			}
		}
	}
	setClock(t, "1802000000") // long after every grace
	restore()
	w.remove("drop/" + second)
	w.remove("drop/" + third)
	for _, o := range []Options{{DryRun: true}, {}} {
		g, err := GC(t.Context(), w.Config, o)
		if err == nil && len(g.Paths) > 0 {
			t.Errorf("gc would delete %q", g.Paths)
		}
	}
	there("gc")
	w.checkTree()
	w.build(0)
	w.lists(first)
	there("build")
	if _, err := GC(t.Context(), w.Config, Options{}); err != nil {
		t.Fatal(err)
	}
	there("gc after the build")
	setClock(t, "1803000000")
	w.build(0)
	if _, err := GC(t.Context(), w.Config, Options{}); err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if w.exists(p) {
			t.Errorf("%s is there after its grace", filepath.Base(p))
		}
	}
}

// A site from a backup is older than its catalog.
func TestABuildWithAnOldSite(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	for _, flat := range []bool{true, false} {
		w := newWorld(t)
		w.Flat, w.People, w.LegacyJSON = flat, flat, "none"
		w.drop("a", "1.0", plain)
		w.build(0)
		if err := os.CopyFS(w.path("copy"), os.DirFS(w.path("site"))); err != nil {
			t.Fatal(err)
		}
		w.drop("a", "2.0", plain)
		w.drop("b", "1.0", plain)
		w.build(0)
		w.remove("site")
		if err := os.Rename(w.path("copy"), w.path("site")); err != nil {
			t.Fatal(err)
		}
		r, err := Build(t.Context(), w.Config, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Problems) > 0 {
			t.Errorf("problems:\n%s", problemText(r))
		}
		w.isAsFresh()
	}
}

// A catalog that knows too little of the site is not published.
func TestTheBrakeForAnOldCatalog(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	w := newWorld(t)
	w.Flat, w.PublishLog = false, false
	w.drop("a", "1.0", plain)
	w.build(0)
	restore := w.backUp()
	for _, n := range []string{"b", "c", "d"} {
		w.drop(n, "1.0", plain)
	}
	w.build(0)
	all := w.listed()
	for _, n := range []string{"b", "c", "d"} {
		w.remove("drop/" + n + "-1.0-py3-none-any.whl")
	}
	restore()
	for range 2 {
		before := photograph(t, w.path("site"))
		if _, err := Build(t.Context(), w.Config, Options{}); !errors.Is(err, ErrAlarm) || Hint(err) == "" {
			t.Errorf("Build: %v", err)
		}
		if d := before.differences(photograph(t, w.path("site")), w.dir); len(d) > 0 {
			t.Errorf("written: %q", d)
		}
		w.lists(all...)
	}
	w.build(0, Options{AllowRemovals: true})
	w.lists("a-1.0-py3-none-any.whl")
	w.isAsFresh()
	w.build(0)
}

// Only what has changed in the drop folders is looked at, unless the catalog is
// another one than the cache of the scan goes with.
func TestWhatIsLookedAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, n := range []string{"a", "b", "c"} {
		w.drop(n, "1.0", plain)
	}
	w.write("drop/bad-1.0.tar.gz", "torn")
	w.build(3)
	restore := w.backUp()
	looked := func(want int) {
		t.Helper()
		s, err := open(w.Config, Options{})
		if err == nil {
			err = errors.Join(s.readIntent(t.Context()), s.scanDrop(t.Context()))
		}
		if err != nil || len(s.local.counts) != want {
			t.Errorf("looked at %v, %v; want %d", s.local.counts, err, want)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
	looked(1) // bad is told again
	w.remove("drop/bad-1.0.tar.gz")
	w.drop("b", "1.1", plain)
	looked(2)
	w.build(0)
	looked(0)
	w.drop("c", "1.1", plain)
	looked(1)
	w.build(0)
	restore()
	looked(3)
}

// The report of a run that stopped early says too how far the catalog is: an
// older one, put back after it, is noticed.
func TestAFailedRunSaysHowFarTheCatalogIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.drop("a", "1.0", plain)
	r := w.build(0)
	w.write("policy.toml", "this is no policy")
	if _, err := Build(t.Context(), w.Config, Options{}); err == nil {
		t.Fatal("a policy that cannot be read was taken")
	}
	data, err := os.ReadFile(w.path("state/report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var last Report
	if err := json.Unmarshal(data, &last); err != nil || last.Status != 2 || last.Serial != r.Serial {
		t.Errorf("the report has status %d and serial %d, %v; want 2 and %d", last.Status, last.Serial, err, r.Serial)
	}
}
