package nestgen

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/layout"
)

// childEnv names the settings file that a child process of a test builds.
const childEnv = "NESTGEN_TEST_CHILD"

// childUploadEnv names a file that the child uploads instead.
const childUploadEnv = "NESTGEN_TEST_UPLOAD"

// childTwiceEnv has it do so once more if that fails.
const childTwiceEnv = "NESTGEN_TEST_TWICE"

func childUpload(c Config, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	l := Join(c, nil)
	upload := func() error {
		return uploader{l, []byte("signed"), []byte("[]")}.upload(context.Background(), filepath.Base(file), data)
	}
	err = upload()
	if os.Getenv(childTwiceEnv) == "" {
		return errors.Join(err, l.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "first:", err)
		err = upload()
	}
	l.Close()
	return err
}

// child builds in a process of its own, and ends it.
func child(file string) {
	if mask, err := strconv.ParseUint(os.Getenv("NESTGEN_TEST_UMASK"), 8, 32); err == nil {
		syscall.Umask(int(mask))
	}
	c, err := Load(file)
	if err == nil {
		err = c.Resolve()
	}
	if upload := os.Getenv(childUploadEnv); err == nil && upload != "" {
		err = childUpload(c, upload)
	} else if err == nil {
		_, err = Build(context.Background(), c, Options{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (w *world) child(env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childEnv+"="+w.path("nestgen.toml")), env...)
	return cmd
}

// collection is wheels, sdists and eggs of several projects, in an order that
// depends on r.
func collection(r *rand.Rand) []fetchtest.File {
	var all []fetchtest.File
	add := func(name string, data []byte) { all = append(all, fetchtest.File{Filename: name, Data: data}) }
	for i := range 8 {
		n := fmt.Sprintf("Lib.%d", i)
		for _, v := range []string{"1.0", "1.10", "2.0rc1"} {
			add(intaketest.Wheel(n, v, intaketest.Opts{Spelling: n, RequiresPython: ">=3.8"}))
			add(intaketest.Sdist(n, v, intaketest.Opts{Spelling: n}))
		}
		add(intaketest.Egg(n, "0.1", intaketest.Opts{Spelling: n}))
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// The same inputs give the same bytes, whatever the machine is set to.
func TestTwentyBuildsAreOne(t *testing.T) {
	t.Parallel()
	n := 20
	if testing.Short() {
		n = 4
	}
	digests := map[string]int{}
	for i := range n {
		r := rand.New(rand.NewPCG(uint64(i), 0))
		w := newWorld(t)
		w.write("nestgen.toml", "drop = [\"drop\"]\nallowlist = [\"allowlist.txt\"]\ngzip = true\n")
		for _, f := range collection(r) {
			w.write("drop/"+f.Filename, string(f.Data))
		}
		w.write("drop/lib.git", "https://git.example/lib.git\n")
		pick := func(s ...string) string { return s[i%len(s)] }
		cmd := w.child("SOURCE_DATE_EPOCH=1800000000",
			"TZ="+pick("UTC", "America/St_Johns", "Asia/Kathmandu", ":nonsense"),
			"LANG="+pick("C", "tr_TR.UTF-8", "de_DE"), "LC_ALL="+pick("C", "tr_TR.UTF-8"),
			"NESTGEN_TEST_UMASK="+pick("022", "077", "000", "027", "0177"), "GOMAXPROCS="+pick("1", "2", "7"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		w.checkTree()
		digests[digestOf(t, w.path("site"), "log/checkpoint")]++ // which is signed with a key of its own
	}
	if len(digests) != 1 {
		t.Errorf("%d builds gave %d different trees", n, len(digests))
	}
}

// A run that was killed anywhere is cured by running again.
func TestAKilledBuildIsCuredByRunningAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("nestgen.toml", "drop = [\"drop\"]\nallowlist = [\"allowlist.txt\"]\n")
	r := rand.New(rand.NewPCG(3, 4))
	for _, f := range collection(r) {
		w.write("drop/"+f.Filename, string(f.Data))
	}
	fresh := func() {
		w.remove("site")
		w.remove("state")
	}
	run := func() {
		t.Helper()
		if out, err := w.child("SOURCE_DATE_EPOCH=1800000000").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		w.checkTree()
	}
	start := time.Now()
	run()
	took := time.Since(start)
	want := digestOf(t, w.path("site"), "log")
	n := 12
	if testing.Short() {
		n = 3
	}
	for i := range n {
		fresh()
		cmd := w.child("SOURCE_DATE_EPOCH=1800000000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(took * time.Duration(i+1) / time.Duration(n+1))
		cmd.Process.Kill() // it may have ended
		cmd.Wait()
		w.checkTree() // whole at every moment
		run()
		if got := digestOf(t, w.path("site"), "log"); got != want {
			t.Errorf("killed after %d/%d of its time, and run again: another tree", i+1, n+1)
		}
	}
}

// The tree is a function of what is listed and of how it came there: a site
// that grew in steps and one that was made at once differ in nothing but the
// serials.
func TestAGrownTreeIsTheSameAsAFreshOne(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	grown := newWorld(t)
	files := collection(rand.New(rand.NewPCG(5, 6)))
	for i, f := range files {
		grown.write("drop/"+f.Filename, string(f.Data))
		if i%10 == 9 {
			grown.build(0)
		}
	}
	extra := grown.drop("lib.0", "9.9", intaketest.Opts{Spelling: "Lib.0"})
	grown.build(0)
	grown.remove("drop/" + extra)
	grown.build(0)
	grown.isAsFresh()
}

// How a name is written follows from what is listed, not from what was listed
// before, nor from what came first.
func TestASpellingLeavesWithItsFile(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	srv := fetchtest.New(t, wheel("up-lib", "1.0", intaketest.Opts{Spelling: "up.lib"}), wheel("up-lib", "2.0", intaketest.Opts{Spelling: "Up_Lib"}))
	w := newWorld(t, srv)
	spelled := func(spelling string) {
		t.Helper()
		if got := w.read("site/simple/index.html"); !strings.Contains(got, ">"+spelling+"<") {
			t.Errorf("the root page does not say %s:\n%s", spelling, got)
		}
		w.isAsFresh()
	}
	w.write("allowlist.txt", "up-lib\n")
	first := w.drop("my-lib", "1.0", intaketest.Opts{Spelling: "my.lib"})
	second := w.drop("my-lib", "2.0", intaketest.Opts{Spelling: "My.Lib"})
	w.build(0)
	spelled("My.Lib")
	spelled("Up_Lib")
	w.remove("drop/" + second)
	w.write("policy.toml", "[[block]]\nproject = \"up-lib\"\nversions = \"==2.0\"\nreason = \"no\"\n")
	w.build(0)
	spelled("my.lib")
	spelled("up.lib")
	// Of one version, the file whose name sorts last, whichever comes first.
	sdist, data := intaketest.Sdist("my-lib", "1.0", intaketest.Opts{Spelling: "MY-LIB"})
	w.write("drop/"+sdist, string(data))
	w.build(0)
	spelled("MY-LIB")
	w.remove("drop/" + first)
	w.build(0)
	w.drop("my-lib", "1.0", intaketest.Opts{Spelling: "my.lib"})
	w.build(0)
	spelled("MY-LIB")
	// Of links alone, the first.
	w.remove("drop/" + first)
	w.remove("drop/" + sdist)
	w.write("drop/a.git", "https://git.example/a.git\negg=My-LIB-dev\n")
	w.build(0, Options{AllowRemovals: true})
	w.isAsFresh()
	w.write("drop/"+sdist, string(data))
	w.build(0)
	spelled("MY-LIB")
}

// isAsFresh holds the tree against one that is built anew, of the same settings,
// drop folder, allowlist and policy. In the store there may be more. The time of
// day has to be fixed.
func (w *world) isAsFresh() {
	w.Helper()
	if os.Getenv("SOURCE_DATE_EPOCH") == "" {
		w.Fatal("SOURCE_DATE_EPOCH is not set")
	}
	fresh := newWorld(w.TB)
	c := w.Config
	c.File, c.Site, c.State, c.Policy, c.Drop, c.Allowlist = fresh.File, fresh.Site, fresh.State, fresh.Config.Policy, fresh.Drop, fresh.Allowlist
	fresh.Config = c
	if err := os.CopyFS(fresh.path("drop"), os.DirFS(w.path("drop"))); err != nil {
		w.Fatal(err)
	}
	if w.exists("uploads") {
		fresh.Uploads = fresh.path("uploads")
		fresh.Drop = append(fresh.Drop, fresh.Uploads)
		if err := os.CopyFS(fresh.Uploads, os.DirFS(w.path("uploads"))); err != nil {
			w.Fatal(err)
		}
	}
	for _, name := range []string{"allowlist.txt", "policy.toml"} {
		if w.exists(name) {
			fresh.write(name, w.read(name))
		}
	}
	if _, err := Build(w.Context(), fresh.Config, Options{}); err != nil {
		w.Fatal(err)
	}
	fresh.checkTree()
	w.checkLog()
	a, b := w.pages(), fresh.pages()
	for name, text := range b {
		if other, ok := a[name]; !ok {
			w.Errorf("%s is missing from the grown tree", name)
		} else if other != text && !strings.HasPrefix(name, layout.Changes+"/") { // of the past
			w.Errorf("%s differs:\n%s\nwant\n%s", name, other, text)
		}
	}
	for name := range a {
		if _, ok := b[name]; !ok {
			w.Errorf("%s is in the grown tree, and not in a fresh one", name)
		}
	}
}

// pages gives what lies in the site, by its path: pages without their serials,
// and what the pages refer to in the store.
func (w *world) pages() map[string]string {
	w.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(w.path("site"), func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel := strings.TrimPrefix(name, w.path("site")+"/")
		if strings.HasPrefix(rel, "packages/") || strings.HasPrefix(rel, "log/") {
			return nil // what pages link to is there, and the log is right; see checkTree and checkLog
		}
		read := w.read
		if strings.HasSuffix(rel, ".gz") {
			read = w.unpacked
		}
		all[rel] = withoutSerials(read("site/" + rel))
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// unpacked gives what a compressed page holds.
func (w *world) unpacked(name string) string {
	w.Helper()
	z, err := gzip.NewReader(strings.NewReader(w.read(name)))
	if err != nil {
		w.Fatalf("%s: %v", name, err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		w.Fatalf("%s: %v", name, err)
	}
	return string(data)
}

// The counts behind the speed: what a build does is proportional to what has
// changed, and not to what there is.
func TestCountsAtTwoThousandFiles(t *testing.T) {
	t.Parallel()
	projects, each, mirrored := 400, 5, 100
	if testing.Short() {
		projects, mirrored = 60, 20
	}
	var files []fetchtest.File
	var wants strings.Builder
	for i := range mirrored {
		n := fmt.Sprintf("up%03d", i)
		files = append(files, wheel(n, "1.0", plain), wheel(n, "0.9", plain))
		wants.WriteString(n + "\n")
	}
	srv := fetchtest.New(t, files...)
	w := newWorld(t, srv)
	w.LegacyJSON = "projects"
	w.write("allowlist.txt", wants.String())
	for i := range projects {
		for v := range each {
			w.drop(fmt.Sprintf("mine%03d", i), fmt.Sprintf("1.%d", v), plain)
		}
	}
	all := projects*each + mirrored
	r := w.build(0)
	// For each project: HTML, JSON, one for people and the legacy document;
	// besides, the five pages of all projects, the three of what changed, and what the
	// pages for people load.
	pages := 4 * (projects + mirrored)
	if r.Added.Count != all || r.Pages.Written < pages+8 || r.Pages.Written > pages+15 || r.Fetched.Files != int64(mirrored) || r.Fetched.Requests != int64(2*mirrored) {
		t.Errorf("first build: %d added, %d pages, %+v", r.Added.Count, r.Pages.Written, r.Fetched)
	}
	w.build(0) // it looks for serials at the upstream, and notes that there are none
	srv.Forget()
	before := photograph(t, w.path("site"), w.path("state"))
	r = w.build(0)
	if d := before.differences(photograph(t, w.path("site"), w.path("state")), w.dir); len(d) > 0 || r.Pages != (Pages{}) {
		t.Errorf("nothing to do, and written: %q, %+v", d, r.Pages)
	}
	if n := len(srv.Requests("")); n != mirrored || r.Fetched.Unchanged != int64(mirrored) {
		t.Errorf("%d requests for %d pages, %d unchanged", n, mirrored, r.Fetched.Unchanged)
	}
	if n := srv.MostAtOnce(); n > w.Connections {
		t.Errorf("%d requests at once, more than %d", n, w.Connections)
	}
	w.drop("mine007", "2.0", plain)
	r = w.build(0)
	if r.Pages.Written > 4+8 || r.Added.Count != 1 {
		t.Errorf("one file more: %+v", r.Pages)
	}
}

// dies has a build end between the pages of the projects and those that list
// them: what is in the way shows only when the latter are renamed.
func (w *world) dies() {
	w.Helper()
	inTheWay := "site/simple/index.html.gz"
	w.write(inTheWay+"/in/the/way", "")
	if _, err := Build(w.Context(), w.Config, Options{}); err == nil {
		w.Error("the build did not die")
	}
	w.remove(inTheWay)
}

// What a run that died has left goes, though the catalog never knew it as
// published, and though what was to be is not to be any more.
func TestWhatADeadBuildLeftGoes(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	t.Run("spelling", func(t *testing.T) {
		w := newWorld(t)
		w.drop("b", "1.0", plain)
		w.build(0)
		file := w.drop("my-lib", "1.0", intaketest.Opts{Spelling: "My.Lib"})
		w.dies()
		if !w.exists("site/simple/My.Lib") {
			t.Error("the build died too early for this test")
		}
		w.remove("drop/" + file)
		w.build(0)
		w.isAsFresh()
	})
	t.Run("settings", func(t *testing.T) {
		w := newWorld(t)
		w.Flat, w.People = false, false
		w.drop("a", "1.0", plain)
		w.build(0)
		w.People = true
		file := w.drop("b", "1.0", plain)
		w.dies()
		if !w.exists("site/static") {
			t.Error("the build died too early for this test")
		}
		w.People = false
		w.remove("drop/" + file)
		w.build(0)
		w.isAsFresh()
	})
}

// What the pages for people load no more goes with the template that had it.
func TestAnAssetLeavesWithItsTemplates(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	w := newWorld(t)
	w.Gzip, w.Templates = true, w.path("templates")
	w.write("templates/static/old.css", "a {}")
	w.drop("a", "1.0", plain)
	w.build(0)
	w.remove("templates/static/old.css")
	w.write("templates/static/new.css", "a {}")
	w.build(0)
	w.isAsFresh()
}
