package nestgen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// childEnv names the settings file that a child process of a test builds.
const childEnv = "NESTGEN_TEST_CHILD"

// child builds in a process of its own, and ends it.
func child(file string) {
	if mask, err := strconv.ParseUint(os.Getenv("NESTGEN_TEST_UMASK"), 8, 32); err == nil {
		syscall.Umask(int(mask))
	}
	c, err := Load(file)
	if err == nil {
		err = c.Resolve()
	}
	if err == nil {
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
		digests[digestOf(t, w.path("site"))]++
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
	want := digestOf(t, w.path("site"))
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
		if got := digestOf(t, w.path("site")); got != want {
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
	fresh := newWorld(t)
	for _, f := range files {
		fresh.write("drop/"+f.Filename, string(f.Data))
	}
	fresh.build(0)
	if _, err := GC(t.Context(), grown.Config, Options{}); err != nil {
		t.Fatal(err)
	}
	a, b := photograph(t, grown.path("site")), photograph(t, fresh.path("site"))
	for name := range b {
		other := grown.path("site") + strings.TrimPrefix(name, fresh.path("site"))
		if _, ok := a[other]; !ok {
			t.Errorf("%s is missing from the grown tree", name)
			continue
		}
		fi, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().IsRegular() && withoutSerials(read(t, name)) != withoutSerials(read(t, other)) {
			t.Errorf("%s differs", name)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
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
	// besides, the five pages of all projects and what the pages for people load.
	pages := 4 * (projects + mirrored)
	if r.Added.Count != all || r.Pages.Written < pages+5 || r.Pages.Written > pages+12 || r.Fetched.Files != int64(mirrored) || r.Fetched.Requests != int64(2*mirrored) {
		t.Errorf("first build: %d added, %d pages, %+v", r.Added.Count, r.Pages.Written, r.Fetched)
	}
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
	if r.Pages.Written > 4+5 || r.Added.Count != 1 {
		t.Errorf("one file more: %+v", r.Pages)
	}
}
