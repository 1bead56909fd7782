package nestgen

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// pastSettings are the settings of a site with a past of every kind.
const pastSettings = `drop = ["drop"]
policy = "policy.toml"
snapshots = ["daily, keep 2", "weekly, keep 8"]
[[index]]
name = "testing"
inherits = ["/"]
[[index]]
name = "prod"
[[index]]
name = "later"
`

// withSettings gives a world of its settings in a folder.
func withSettings(t testing.TB, dir, settings string) *world {
	t.Helper()
	w := &world{TB: t, dir: dir}
	if settings != "" {
		w.write("nestgen.toml", settings)
		if err := os.MkdirAll(w.path("drop"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if w.Config, err = Load(w.path("nestgen.toml")); err == nil {
		err = w.Resolve()
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// loseThePast gives a site a past of every kind, of which its catalog, which comes from a
// backup then, knows only the begin. A copy of the site as it was is in the folder "want".
func (w *world) loseThePast() {
	w.Helper()
	old := w.drop("a", "1.0", plain)
	w.drop("b", "1.0", plain)
	w.build(0)
	w.promote("testing", "prod", "b==1.0")
	w.snapshot("first", 0)
	restore := w.backUp()

	w.drop("a", "2.0", plain)
	w.drop("c", "1.0", intaketest.Opts{Spelling: "C"})
	w.build(0)
	w.promote("testing", "prod", "a==1.0", "c")
	w.promote("prod", "later", "a==1.0")
	w.demote("prod", "b==1.0", "c")
	w.snapshot("kept", 0)
	w.snapshot("one", 2)
	w.snapshot("gone", 0)
	w.snapshot("again", 0)
	w.dropSnapshot("gone", "first", "again")
	// It leaves the index; what was promoted and the snapshots still have it.
	w.remove("drop/" + old)
	w.write("policy.toml", "[[yank]]\nproject = \"a\"\nreason = \"broken\"\n[[status]]\nproject = \"b\"\nstatus = \"deprecated\"\n")
	w.build(0)
	w.snapshot("again", 0) // another state under the name
	w.promote(rootIndex, "later", "a==2.0")
	if r, err := RotateKey(w.Context(), w.Config, Options{}); err != nil || len(r.Problems) > 0 {
		w.Fatal(r, err)
	}
	w.build(0)
	w.whole()
	if err := os.CopyFS(w.path("want"), os.DirFS(w.path("site"))); err != nil {
		w.Fatal(err)
	}
	restore()
}

// isAsBefore has the catalog go back to what it was, and the next build make the site as it
// is now.
func (w *world) isAsBefore(restore func()) {
	w.Helper()
	if err := os.CopyFS(w.path("want"), os.DirFS(w.path("site"))); err != nil {
		w.Fatal(err)
	}
	restore()
	w.build(0)
	for _, d := range w.isAsWanted() {
		w.Error(d)
	}
	w.whole()
}

// isAsWanted reports what the site has else than the copy of it.
func (w *world) isAsWanted() (differences []string) {
	w.Helper()
	bytesOf := func(dir string) map[string]string {
		all := map[string]string{}
		err := filepath.WalkDir(w.path(dir), func(name string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				rel, _ := filepath.Rel(w.dir, name)
				all[strings.TrimPrefix(rel, dir+"/")] = w.read(rel)
			}
			return err
		})
		if err != nil {
			w.Fatal(err)
		}
		return all
	}
	is, want := bytesOf("site"), bytesOf("want")
	for name, text := range want {
		if now, ok := is[name]; !ok {
			differences = append(differences, name+" is gone")
		} else if now != text {
			differences = append(differences, name+" is\n"+now+"\nand was\n"+text)
		}
	}
	for name := range is {
		if _, ok := want[name]; !ok {
			differences = append(differences, name+" is new")
		}
	}
	slices.Sort(differences)
	return differences
}

// A site whose catalog comes from a backup, and one whose catalog is lost altogether, is
// after one build the one that it was, byte for byte: its index, stages, snapshots, and
// its log.
func TestAPastThatWasLost(t *testing.T) {
	setClock(t, "1800000000")
	w := withSettings(t, t.TempDir(), pastSettings)
	w.loseThePast()
	if got := w.tags(); !slices.Contains(got, "first") || slices.Contains(got, "kept") {
		t.Fatalf("the catalog is not from before: %q", got)
	}
	r := w.build(0)
	w.tells(r, "warning", "were taken over from there")
	for _, d := range w.isAsWanted() {
		t.Error(d)
	}
	w.whole()
	tags := w.tags()
	slices.Sort(tags)
	if want := []string{"2027-01-15", "2027-w02", "again", "kept", "one"}; !slices.Equal(tags, want) {
		t.Errorf("snapshots %q, want %q", tags, want)
	}
	w.listsIn("prod", a1)
	w.listsIn("later", a1, a2)
	// What only they have is pinned.
	setClock(t, "1900000000")
	if _, err := GC(t.Context(), w.Config, Options{}); err != nil {
		t.Fatal(err)
	}
	w.listsIn("prod", a1)
	w.listsIn("snapshots/one", a1, b1)
}

// What was promoted from an index that is made from an upstream has the address of that
// again after the next listing, and what came on demand is in the snapshots as it was.
func TestALostPastOfWhatComesOnDemand(t *testing.T) {
	setClock(t, "1800000000")
	a, b := wheelFile(t, "a", "1.0"), wheelFile(t, "b", "1.0")
	w := lazy(t, "fetch", fetchtest.New(t, a, b))
	w.index(Index{Name: "prod"})
	w.ask(w.join(), "a", 0)
	w.build(0)
	restore := w.backUp()
	w.ask(w.join(), "b", 0)
	w.build(0)
	w.snapshot("announced", 0)
	l := w.join()
	for _, f := range []fetchtest.File{a, b} {
		if _, err := w.fetch(l, w.pathOf(strings.TrimSuffix(f.Filename, "-1.0-py3-none-any.whl"), f.Filename)); err != nil {
			t.Fatal(err)
		}
	}
	w.build(0)
	w.promote(rootIndex, "prod", "b")
	w.build(0)
	w.whole()
	w.isAsBefore(restore)
}

// A file that a snapshot had and that is gone is told, and the snapshot is without it.
func TestASnapshotThatLostAFile(t *testing.T) {
	setClock(t, "1800000000")
	w := newWorld(t)
	gone := w.drop("a", "1.0", plain)
	w.drop("b", "1.0", plain)
	w.build(0)
	restore := w.backUp()
	w.snapshot("x", 0)
	w.remove("drop/" + gone)
	w.build(0)
	path := w.stored("b", b1) // of the one that stays
	restore()
	files, err := filepath.Glob(w.path("site/packages/*/*/*/" + gone + "*"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		rel, _ := filepath.Rel(w.dir, f)
		w.remove(rel)
	}
	w.tells(w.build(0), "warning", "the bytes of "+gone+" are gone")
	w.listsIn("snapshots/x", b1)
	if !w.exists(path) {
		t.Error("another file went")
	}
	all, err := Snapshots(t.Context(), w.Config)
	if err != nil || len(all) != 1 || !slices.Equal(all[0].Lacking, []string{gone}) {
		t.Errorf("%+v, %v", all, err)
	}
	w.whole()
}

// An event that does not say enough is told, and keeps nothing else from being done.
func TestAnEventThatSaysTooLittle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.index(Index{Name: "prod"})
	w.drop("a", "1.0", plain)
	w.build(0)
	restore := w.backUp()
	if err := w.catalogUpdate(func(tx *catalog.Tx) error {
		_, err := tx.Note(catalog.Snapshot, "alice", "of another form")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w.promote(rootIndex, "prod", "a")
	restore()
	w.tells(w.build(0), "warning", `snapshot "of another form"`)
	w.listsIn("prod", a1)
	w.whole()
}

// A name of which the policy spoke first is not this site's own: it is whose files came.
func TestALostPastOfANameThatThePolicyKnewFirst(t *testing.T) {
	setClock(t, "1800000000")
	w := newWorld(t, fetchtest.New(t, wheelFile(t, "b", "1.0")))
	w.drop("a", "1.0", plain)
	w.build(0)
	restore := w.backUp()
	w.write("policy.toml", "[[status]]\nproject = \"b\"\nstatus = \"archived\"\n")
	w.build(0)
	w.write("allowlist.txt", "b\n")
	w.build(0)
	w.lists(a1, b1)
	w.isAsBefore(restore)
}

// Where the upstream has what was announced comes with the listing of the next build, is
// no event, and lets the file come.
func TestALostPastOfWhatWasOnlyAnnounced(t *testing.T) {
	setClock(t, "1800000000")
	w := lazy(t, "fetch", fetchtest.New(t, wheelFile(t, "b", "1.0")))
	w.drop("a", "1.0", plain)
	w.build(0)
	restore := w.backUp()
	w.ask(w.join(), "b", 0)
	w.build(0)
	if err := os.CopyFS(w.path("want"), os.DirFS(w.path("site"))); err != nil {
		t.Fatal(err)
	}
	restore()
	w.build(0)
	for _, d := range w.isAsWanted() {
		t.Error(d)
	}
	if _, err := w.fetch(w.join(), w.pathOf("b", b1)); err != nil {
		t.Error(err)
	}
}
