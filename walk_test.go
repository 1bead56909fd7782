package nestgen

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/generate"
	"nestgen/intake/intaketest"
)

// The variables that say how many steps the walk has, and its seed. With -count
// each walk has the seed after that of the one before.
const (
	walkEnv = "NESTGEN_TEST_WALK"
	seedEnv = "NESTGEN_TEST_SEED"
)

var walks uint64 // that were taken

// Whatever is done to a site, after the next build it is as one built anew from
// the same inputs, nothing of it is out of place, and the build after that has
// nothing to write.
func TestAnyWalkEndsAsAFreshBuild(t *testing.T) {
	steps := 30
	if testing.Short() {
		steps = 10
	}
	if n, err := strconv.Atoi(os.Getenv(walkEnv)); err == nil {
		steps = n
	}
	seed, _ := strconv.ParseUint(os.Getenv(seedEnv), 10, 64) // 0 if it is not set
	seed += walks
	walks++
	a := newWalk(t, seed)
	for step := range steps {
		a.did = nil
		for range 1 + a.r.IntN(3) {
			a.do()
		}
		if a.r.IntN(4) == 0 {
			a.die()
			for range 1 + a.r.IntN(2) {
				a.do()
			}
		}
		t.Logf("seed %d, step %d: %s", seed, step, strings.Join(a.did, "; "))
		a.check()
		if t.Failed() {
			return
		}
	}
}

// A walk is a site to which anything may happen.
type walk struct {
	*world
	r     *rand.Rand
	did   []string
	clock int64
	rules []string // of the policy
}

func newWalk(t *testing.T, seed uint64) *walk {
	var files []fetchtest.File
	for _, n := range []string{"up", "up-a", "up0"} {
		for _, v := range []string{"1.0", "2.0"} {
			files = append(files, wheel(n, v, intaketest.Opts{Spelling: spellingFor(n, v)}))
		}
	}
	a := &walk{world: newWorld(t, fetchtest.New(t, files...)), r: rand.New(rand.NewPCG(seed, 0)), clock: 1800000000}
	a.Uploads = "uploads"
	a.write("own.txt", "")
	a.index(Index{Name: "all", Inherits: []string{"/"}}, Index{Name: "own", Allowlist: []string{a.path("own.txt")}})
	a.Grace, a.Fallback.Free = Duration(1000*1e9), 0
	a.write("policy.toml", "")
	a.write("templates/static/own.css", "a {}")
	setClock(t, fmt.Sprint(a.clock))
	return a
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// spellingFor spells a name in a way that goes with a file, whose bytes must
// stay what they are.
func spellingFor(name, more string) string {
	h := fnv.New32()
	io.WriteString(h, name+more)
	switch h.Sum32() % 4 {
	case 0:
		return strings.ToUpper(name)
	case 1:
		return strings.ReplaceAll(name, "-", "_")
	case 2:
		return strings.ToUpper(strings.ReplaceAll(name, "-", "._"))
	}
	return name
}

// The names sort in an order of their own if "-" is not taken for what it is.
func (a *walk) name() string { return pick(a.r, "a", "a-b", "a0", "a-b-c", "b", "z") }

func (a *walk) do() {
	type deed struct {
		weight int
		do     func() string
	}
	deeds := []deed{
		{8, a.add}, {5, a.take}, {2, a.takeProject}, {3, a.link}, {4, a.rule}, {3, a.allow},
		{7, a.set}, {4, a.spoil}, {1, a.raze}, {2, a.mend}, {2, a.wait},
		{8, a.upload}, {3, a.takeUpload},
	}
	all := 0
	for _, d := range deeds {
		all += d.weight
	}
	n := a.r.IntN(all)
	for _, d := range deeds {
		if n -= d.weight; n < 0 {
			a.did = append(a.did, d.do())
			return
		}
	}
}

// file makes a distribution: the same bytes whenever it has the same name.
func (a *walk) file() (string, []byte) {
	n, v := a.name(), pick(a.r, "0.9", "1.0", "1.10", "2.0rc1", "1!0.1", "1.0+local")
	make := pick(a.r, intaketest.Wheel, intaketest.Sdist)
	return make(n, v, intaketest.Opts{Spelling: spellingFor(n, v), RequiresPython: ">=3"})
}

func (a *walk) add() string {
	file, data := a.file()
	a.write("drop/"+file, string(data))
	return "add " + file
}

// upload uploads a file, which is listed when that is answered: nothing but the
// policy stands against it.
func (a *walk) upload() string {
	file, data := a.file()
	l := Join(a.Config, nil)
	defer l.Close()
	err := uploader{Live: l}.upload(a.Context(), file, data)
	switch listed := slices.Contains(a.listed(), file); {
	case err != nil && !isRefusal(err, NotAllowed):
		a.Errorf("upload of %s: %v", file, err)
	case err == nil && !listed:
		a.Errorf("upload of %s: not listed", file)
	}
	return fmt.Sprintf("upload %s: %v", file, err)
}

func (a *walk) takeUpload() string {
	files, err := filepath.Glob(a.path("uploads/*/*"))
	if err != nil || len(files) == 0 {
		return "nothing to take from the uploads"
	}
	n := strings.TrimPrefix(pick(a.r, files...), a.dir+"/")
	a.remove(n)
	return "take " + n
}

func (a *walk) dropped() []string {
	entries, err := os.ReadDir(a.path("drop"))
	if err != nil {
		a.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (a *walk) take() string {
	names := a.dropped()
	if len(names) == 0 {
		return "nothing to take"
	}
	n := pick(a.r, names...)
	a.remove("drop/" + n)
	return "take " + n
}

func (a *walk) takeProject() string {
	n := a.name()
	for _, file := range a.dropped() {
		if strings.HasPrefix(file, strings.ReplaceAll(n, "-", "_")+"-") || strings.HasPrefix(file, n+".git") {
			a.remove("drop/" + file)
		}
	}
	return "take all of " + n
}

func (a *walk) link() string {
	n := a.name()
	egg := spellingFor(n, pick(a.r, "x", "y", "z", "w"))
	a.write("drop/"+n+".git", fmt.Sprintf("https://git.example/%s.git egg=%s\n", n, egg))
	return "link " + egg
}

func (a *walk) rule() string {
	n := pick(a.r, a.name(), "up", "up-a")
	rule := ""
	switch a.r.IntN(5) {
	case 0:
		// An upstream's file that is yanked stays where it is listed, and is not
		// chosen anew.
		n = strings.Replace(n, "up", "a", 1)
		rule = fmt.Sprintf("[[yank]]\nproject = %q\nversions = %q\nreason = \"<b>\"\n", n, pick(a.r, "<1", ">=1.0"))
	case 1:
		rule = fmt.Sprintf("[[block]]\nproject = %q\nversions = %q\nreason = \"no\"\n", n, pick(a.r, "<1", ">=1.0"))
	case 2, 3:
		rule = fmt.Sprintf("[[status]]\nproject = %q\nstatus = %q\nreason = \"so\"\n", n, pick(a.r, "quarantined", "archived", "deprecated"))
	case 4:
		rule = fmt.Sprintf("[[note]]\nproject = %q\ntext = \"well\"\n", n)
	}
	a.rules = slices.DeleteFunc(a.rules, func(old string) bool {
		return a.r.IntN(2) == 0 || strings.HasPrefix(rule, strings.SplitAfter(old, "\n")[0]+strings.SplitAfter(old, "\n")[1])
	})
	a.rules = append(a.rules, rule)
	a.write("policy.toml", strings.Join(a.rules, "\n"))
	return "policy " + strings.ReplaceAll(strings.Join(a.rules, " "), "\n", " ")
}

func (a *walk) allow() string {
	var lines []string
	for _, line := range []string{"up" + pick(a.r, "", "==1.0"), "up-a", "up0<2"} {
		if a.r.IntN(2) == 0 {
			lines = append(lines, line)
		}
	}
	a.write("allowlist.txt", strings.Join(lines, "\n"))
	var own []string
	for _, line := range []string{"up<2", "up-a", "a", "a-b>=1", "z"} {
		if a.r.IntN(2) == 0 {
			own = append(own, line)
		}
	}
	a.write("own.txt", strings.Join(own, "\n"))
	return "allow " + strings.Join(lines, " ") + ", of its own " + strings.Join(own, " ")
}

func (a *walk) set() string {
	switch a.r.IntN(10) {
	case 9:
		a.Changes = pick(a.r, "none", "site", "projects")
	case 8:
		a.Indexes[0].Prefix = pick(a.r, "all", "most", "a/b")
		a.Indexes[1].Title = pick(a.r, "", "Own")
	case 0:
		a.Flat = !a.Flat
	case 1:
		a.People = !a.People
	case 2:
		a.LegacyJSON = pick(a.r, "none", "projects", "releases")
	case 3:
		a.Gzip = a.r.IntN(3) == 0
	case 4:
		a.Title = pick(a.r, "", "Ours")
	case 5:
		a.BaseURL = pick(a.r, "", "https://example.org/")
	case 6:
		a.Templates = pick(a.r, "", a.path("templates"))
	case 7:
		a.remove("templates/static")
		a.write("templates/static/"+pick(a.r, "own.css", "other.css"), pick(a.r, "a {}", "b {}"))
	}
	return fmt.Sprintf("set flat=%v people=%v legacy=%v changes=%s gzip=%v %q %q %q", a.Flat, a.People, a.LegacyJSON, a.Changes, a.Gzip, a.Title, a.BaseURL, a.Templates)
}

// spoil does to one of the pages about all projects what others may do.
func (a *walk) spoil() string {
	page := a.path("site/" + pick(a.r, generate.AllIndexPages.Paths()...))
	if _, err := os.Lstat(page); err != nil {
		return "nothing to spoil"
	}
	return a.harm(page)
}

func (a *walk) harm(page string) string {
	var err error
	what := ""
	switch a.r.IntN(5) {
	case 0:
		what = "truncate"
		err = os.Truncate(page, int64(a.r.IntN(300)))
	case 1:
		what = "edit"
		var data []byte
		if data, err = os.ReadFile(page); err == nil {
			err = os.WriteFile(page, bytes.Replace(data, []byte("\n"), []byte("!\n"), 1+a.r.IntN(3)), 0o644)
		}
	case 2:
		what = "link"
		if err = os.Rename(page, a.path("elsewhere")); err == nil {
			err = os.Symlink(a.path("elsewhere"), page)
		}
	case 3:
		what = "remove"
		err = os.Remove(page)
	case 4:
		what = "empty"
		err = os.WriteFile(page, nil, 0o644)
	}
	if err != nil {
		a.Fatal(err)
	}
	return what + strings.TrimPrefix(page, a.path("site"))
}

// raze removes every page.
func (a *walk) raze() string {
	if !a.exists("site") {
		return "nothing to raze"
	}
	for _, room := range []string{"simple", "project", "pypi", "static", "flat", "easy", "changes", "index.html", "index.html.gz", pick(a.r, "own", a.Indexes[0].Prefix)} {
		a.remove("site/" + room)
	}
	return "raze"
}

// mend spoils pages that a build does not read and has verify mend them.
func (a *walk) mend() string {
	if !a.exists("site/simple/index.v1_json") {
		return "nothing to mend"
	}
	pages := []string{}
	for name := range a.pages() {
		pages = append(pages, name)
	}
	slices.Sort(pages)
	did := ""
	for range 1 + a.r.IntN(3) {
		page := a.path("site/" + pick(a.r, pages...))
		if _, err := os.Lstat(page); err == nil {
			did += a.harm(page) + ", "
		}
	}
	a.write("site/simple/stray/index.html", "x")
	a.write("site/own/simple/stray/index.html", "x")
	v, err := Verify(a.Context(), a.Config, Options{AllowRemovals: true}, true)
	if err == nil && v.Whole() {
		return did + "mend"
	}
	if err == nil {
		for _, f := range v.Findings {
			if !f.Repaired {
				a.Errorf("%s: not mended: %s", f.Path, f.Text)
			}
		}
	}
	if err != nil && !strings.Contains(err.Error(), "knows of no file") {
		a.Errorf("%s: Verify: %v", did, err)
	}
	a.remove("site/simple/stray")
	a.remove("site/own/simple/stray")
	return did + "try to mend"
}

func (a *walk) wait() string {
	a.clock += int64(a.r.IntN(3000))
	a.Setenv(testClock, fmt.Sprint(a.clock))
	return "wait"
}

// die has a build stop somewhere: a folder is in the way of a page, which shows
// only when the page is renamed.
func (a *walk) die() {
	if !a.exists("site/simple/index.v1_json") || a.Gzip {
		return
	}
	var pages []string
	for name := range a.pages() {
		if !strings.HasSuffix(name, ".gz") {
			pages = append(pages, name)
		}
	}
	slices.Sort(pages)
	page := "site/" + pick(a.r, pick(a.r, pages...), "simple/index.html") + ".gz"
	a.remove(page)
	a.write(page+"/in/the/way", "")
	_, err := Build(a.Context(), a.Config, Options{AllowRemovals: true})
	a.remove(page)
	a.did = append(a.did, fmt.Sprintf("a build with %s in the way: %v", page, err))
}

// settle drops from the policy what quarantines a project without files: its
// name is known for the files that it had, and a fresh site does not know it.
func (a *walk) settle(r *Report) *Report {
	a.Helper()
	rules := len(a.rules)
	for p, err := range List(a.Context(), a.Config, rootIndex) {
		if err != nil {
			a.Fatal(err)
		}
		if len(p.Files) == 0 && p.Status.State == catalog.Quarantined {
			a.rules = slices.DeleteFunc(a.rules, func(r string) bool {
				return strings.HasPrefix(r, fmt.Sprintf("[[status]]\nproject = %q\n", p.Name))
			})
		}
	}
	if len(a.rules) == rules {
		return r
	}
	a.write("policy.toml", strings.Join(a.rules, "\n"))
	r, err := Build(a.Context(), a.Config, Options{AllowRemovals: true})
	if err != nil {
		a.Fatal(err)
	}
	return r
}

// check builds and holds the site against what it should be.
func (a *walk) check() {
	a.Helper()
	r, err := Build(a.Context(), a.Config, Options{AllowRemovals: true})
	if err != nil {
		a.Fatalf("Build: %v", err)
	}
	a.checkTree()
	r = a.settle(r)
	a.isAsFresh()
	n := Counts{}
	for p, err := range List(a.Context(), a.Config, rootIndex) {
		if err != nil {
			a.Fatal(err)
		}
		n.Projects++
		for _, f := range p.Files {
			n.Files++
			n.Bytes += f.Size
		}
		if p.Display != catalog.SpellingOf(p.Name, p.Links, p.Files) {
			a.Errorf("%s is written %s", p.Name, p.Display)
		}
	}
	if r.Listed != n {
		a.Errorf("the report counts %+v, there are %+v", r.Listed, n)
	}
	before := photograph(a.TB, a.path("site"), a.path("state"))
	again, err := Build(a.Context(), a.Config, Options{AllowRemovals: true})
	if err != nil {
		a.Fatalf("Build: %v", err)
	}
	if d := before.differences(photograph(a.TB, a.path("site"), a.path("state")), a.dir); len(d) > 0 || !again.Idle() {
		a.Errorf("nothing to do, and written: %q, %+v", d, again.Pages)
	}
	if again.Serial == 0 {
		return
	}
	v, err := Verify(a.Context(), a.Config, Options{}, false)
	if err != nil {
		a.Fatal(err)
	}
	for _, f := range v.Findings {
		a.Errorf("%s: %s", f.Path, f.Text)
	}
}
