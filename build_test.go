package nestgen

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// plain are options without any wish.
var plain = intaketest.Opts{}

func TestTheFirstBuildMakesTheWholeTree(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("flask", "3.0", plain), wheel("flask", "2.0", plain), wheel("other", "1.0", plain))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "Flask\n")
	file, data := intaketest.Sdist("Our.Lib", "1.2", intaketest.Opts{Spelling: "Our.Lib", RequiresPython: ">=3.8"})
	w.write("drop/sub/"+file, string(data))
	r := w.build(0)
	w.lists("flask-3.0-py3-none-any.whl", file)
	if r.Added.Count != 2 || r.Fetched.Files != 1 || r.Fetched.Requests != 2 || r.Listed.Projects != 2 || r.Serial == 0 {
		t.Errorf("report %+v", r)
	}
	for _, page := range []string{
		"index.html", "simple/index.html", "simple/index.v1_json", "flat/index.html", "easy/index.html",
		"simple/flask/index.html", "simple/Our.Lib/index.html", "project/flask/index.html", "pypi/flask/json", "pypi/our-lib/1.2/json",
	} {
		if !w.exists("site/" + page) {
			t.Errorf("%s is missing", page)
		}
	}
	if n := len(srv.Requests(srv.Page(fetchtest.Index, "other"))); n != 0 {
		t.Errorf("a project that nobody asked for was asked for %d times", n)
	}
	var saved map[string]any
	unmarshal(t, w.read("state/report.json"), &saved)
	for _, key := range []string{"status", "serial", "added", "changed", "withdrawn", "deleted", "fetched", "pages", "listed", "problems"} {
		if _, ok := saved[key]; !ok {
			t.Errorf("report.json has no %q", key)
		}
	}
}

// The promise of cron: a run that finds nothing to do asks each page once, on
// a condition, fetches nothing and writes nothing.
func TestASecondBuildDoesNothing(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "1.0", plain), wheel("b", "1.0", plain))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a\nb==1.0\n")
	w.drop("mine", "1.0", plain)
	w.build(0)
	before := photograph(t, w.dir)
	srv.Forget()
	r := w.build(0)
	if d := before.differences(photograph(t, w.dir), w.dir); len(d) > 0 {
		t.Errorf("written without need: %q", d)
	}
	if r.Pages != (Pages{}) || r.Fetched.Files != 0 || r.Fetched.Unchanged != 2 || r.changes() {
		t.Errorf("report %+v", r)
	}
	requests := srv.Requests("")
	if len(requests) != 2 {
		t.Errorf("%d requests, want one for each page: %v", len(requests), requests)
	}
	for _, q := range requests {
		if q.Header.Get("If-None-Match") == "" {
			t.Errorf("%s was asked for without a condition", q.Path)
		}
	}
}

// The report beside the state is that of the last run that did something, or
// found something other than it says: the status, the index or what is wrong.
func TestTheReportStaysWhileItHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.drop("mine", "1.0", plain)
	w.build(0)
	saved := func() *Report {
		t.Helper()
		r := new(Report)
		unmarshal(t, w.read("state/report.json"), r)
		return r
	}
	quiet := func(status int) {
		t.Helper()
		before := photograph(t, w.dir)
		if r := w.build(status); !r.Idle() {
			t.Errorf("report %+v", r)
		}
		if d := before.differences(photograph(t, w.dir), w.dir); len(d) > 0 {
			t.Errorf("written without need: %q", d)
		}
	}
	quiet(0)
	if r := saved(); r.Added.Count != 1 || r.Added.Files[0].Filename != file || r.Serial == 0 {
		t.Errorf("the report of what was done is gone: %+v", r)
	}
	w.write("drop/bad-1.0.tar.gz", "torn")
	w.build(3)
	if r := saved(); r.Status != 3 || len(r.Problems) != 1 || r.Added.Count != 0 {
		t.Errorf("a new problem is not in the report: %+v", r)
	}
	quiet(3)
	w.remove("drop/bad-1.0.tar.gz")
	w.build(0)
	if r := saved(); r.Status != 0 || len(r.Problems) != 0 {
		t.Errorf("a problem that is no more is still in the report: %+v", r)
	}
	quiet(0)
	w.Title = "Another"
	w.build(0)
	if r := saved(); r.Pages.Written == 0 {
		t.Errorf("pages were written, and the report does not say so: %+v", r)
	}
	quiet(0)
}

// One file added changes its project's pages and those that list all projects,
// and no other.
func TestOneFileMoreWritesItsPagesOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, n := range []string{"a", "b", "c"} {
		w.drop(n, "1.0", plain)
	}
	w.build(0)
	before := photograph(t, w.path("site"))
	w.drop("b", "2.0", plain)
	r := w.build(0)
	var pages []string
	for _, d := range before.differences(photograph(t, w.path("site")), w.path("site")) {
		if !strings.HasPrefix(d, "packages") && !strings.HasPrefix(d, "log") {
			pages = append(pages, d)
		}
	}
	want := []string{
		"changes/atom.xml", "changes/feed.json", "changes/index.html", "easy/index.html", "flat/index.html", "index.html", "project/b/index.html",
		"pypi/b/1.0/json", "pypi/b/2.0", "pypi/b/2.0/json", "pypi/b/json",
		"simple/b/index.html", "simple/b/index.v1_json", "simple/index.v1_json",
	}
	// The root page in JSON carries the last serial; that in HTML does not
	// change as long as no project comes or goes.
	for _, p := range pages {
		if !slices.Contains(want, p) {
			t.Errorf("%s was written", p)
		}
	}
	if !slices.Contains(pages, "simple/b/index.html") || !slices.Contains(pages, "simple/b/index.v1_json") {
		t.Errorf("written: %q", pages)
	}
	if r.Added.Count != 1 || r.Pages.Written > 13 {
		t.Errorf("report %+v", r)
	}
}

func TestADroppedFileThatGoesIsWithdrawnAndDeletedAfterTheGrace(t *testing.T) {
	w := newWorld(t)
	setClock(t, "1800000000")
	for _, n := range []string{"a", "b", "c"} {
		w.drop(n, "1.0", plain)
	}
	old := w.drop("b", "0.9", plain)
	w.build(0)
	var stored string
	for _, f := range w.page("b").Files {
		if f.Filename == old {
			stored = "site/simple/b/" + f.URL
		}
	}
	w.remove("drop/" + old)
	r := w.build(0)
	if r.Withdrawn.Count != 1 || r.Deleted != 0 {
		t.Errorf("report %+v", r)
	}
	w.lists("a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl", "c-1.0-py3-none-any.whl")
	if w.exists("site/pypi/b/0.9") {
		t.Error("the document of the release stays")
	}
	setClock(t, "1800604799")
	w.build(0)
	if !w.exists(stored) || !w.exists(stored+".metadata") {
		t.Error("the bytes went before the grace was over")
	}
	setClock(t, "1800604801")
	if r := w.build(0); r.Deleted == 0 {
		t.Errorf("report %+v", r)
	}
	if w.exists(stored) || w.exists(stored+".metadata") {
		t.Error("the bytes are there after the grace is over")
	}
	// The very same bytes may come back, others may not.
	w.drop("b", "0.9", plain)
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl", "c-1.0-py3-none-any.whl", old)
	w.drop("b", "0.9", intaketest.Opts{Summary: "other bytes"})
	w.tells(w.build(3), "incomplete", "a file name is spent")
	w.tells(w.build(3), "incomplete", "a file name is spent") // and it is told as long as it lies there
}

func TestAProjectThatGoesTakesItsPagesAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		w.drop(n, "1.0", intaketest.Opts{Spelling: strings.ToUpper(n)})
	}
	w.build(0)
	w.remove("drop/b-1.0-py3-none-any.whl")
	w.build(0)
	for _, gone := range []string{"simple/b", "simple/B", "project/b", "pypi/b"} {
		if w.exists("site/" + gone) {
			t.Errorf("%s is still there", gone)
		}
	}
	if strings.Contains(w.read("site/flat/index.html"), "b-1.0") || strings.Contains(w.read("site/simple/index.html"), ">B<") {
		t.Error("a page still names it")
	}
}

// More than a fifth of the projects, or more than 50, do not vanish by
// accident.
func TestTheBrake(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		have, going int
		brakes      bool
	}{
		{"a fifth", 10, 2, false},
		{"more than a fifth", 10, 3, true},
		{"one of a few", 3, 1, false},
		{"all", 4, 4, true},
		{"the only one", 1, 1, true},
		{"fifty of many", 300, 50, false},
		{"fifty-one of many", 300, 51, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.have > 100 && testing.Short() {
				t.Skip("many files; without -short")
			}
			w := newWorld(t)
			w.People, w.LegacyJSON, w.Flat = false, "none", false
			var files []string
			for i := range tt.have {
				files = append(files, w.drop(fmt.Sprintf("p%d", i), "1", plain))
			}
			w.build(0)
			for _, f := range files[:tt.going] {
				w.remove("drop/" + f)
			}
			before := photograph(t, w.path("site"))
			if !tt.brakes {
				if r := w.build(0); r.Withdrawn.Count != tt.going {
					t.Errorf("withdrawn %d, want %d", r.Withdrawn.Count, tt.going)
				}
				return
			}
			r := w.build(6)
			w.tells(r, "alarm", "--allow-removals")
			if d := before.differences(photograph(t, w.path("site")), w.dir); len(d) > 0 || r.Withdrawn.Count > 0 {
				t.Errorf("changed behind the brake: %q", d)
			}
			w.build(6) // it does not let go by itself
			if r := w.build(0, Options{AllowRemovals: true}); r.Withdrawn.Count != tt.going {
				t.Errorf("withdrawn %d, want %d", r.Withdrawn.Count, tt.going)
			}
			w.build(0)
		})
	}
}

func TestAMissingDropFolderTakesNothingOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.drop("a", "1.0", plain)
	b := w.drop("b", "1.0", plain)
	w.build(0)
	if err := os.Rename(w.path("drop"), w.path("away")); err != nil {
		t.Fatal(err)
	}
	w.tells(w.build(3), "incomplete", "drop folder cannot be read")
	w.lists(a, b)
	w.build(3)
	w.lists(a, b)
	if err := os.Rename(w.path("away"), w.path("drop")); err != nil {
		t.Fatal(err)
	}
	w.build(0)
	w.lists(a, b)
}

func TestOfflineAsksNobody(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "1.0", plain), wheel("d", "1.0", plain))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a\n")
	w.build(0)
	srv.Forget()
	w.write("allowlist.txt", "a\nb\nd @ "+srv.URL+srv.Path("d-1.0-py3-none-any.whl")+"\n")
	mine := w.drop("mine", "1.0", plain)
	r := w.build(3, Options{Offline: true})
	w.tells(r, "incomplete", "b: not here yet")
	w.tells(r, "incomplete", "d-1.0-py3-none-any.whl")
	w.lists("a-1.0-py3-none-any.whl", mine)
	if q := srv.Requests(""); len(q) != 0 {
		t.Errorf("offline, and asked: %v", q)
	}
	w.write("allowlist.txt", "a\nd @ "+srv.URL+srv.Path("d-1.0-py3-none-any.whl")+"\n")
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl", "d-1.0-py3-none-any.whl", mine)
	w.build(0, Options{Offline: true})
	w.lists("a-1.0-py3-none-any.whl", "d-1.0-py3-none-any.whl", mine)
}

// A dry run changes no byte, and says what the build then does.
func TestADryRunForeseesTheBuild(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "1.0", plain), wheel("b", "1.0", plain))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a\nb\n")
	w.drop("mine", "1.0", plain)
	same := func() {
		t.Helper()
		before := photograph(t, w.dir)
		foreseen := w.build(0, Options{DryRun: true})
		if d := before.differences(photograph(t, w.dir), w.dir); len(d) > 0 {
			t.Errorf("a dry run wrote %q", d)
		}
		done := w.build(0)
		for _, c := range []struct{ would, did Changes }{{foreseen.Added, done.Added}, {foreseen.Changed, done.Changed}, {foreseen.Withdrawn, done.Withdrawn}} {
			if c.would.Count != c.did.Count || c.would.Bytes != c.did.Bytes {
				t.Errorf("foreseen %+v\ndone %+v", c.would, c.did)
			}
		}
	}
	same() // where there is nothing at all
	w.drop("mine", "2.0", plain)
	w.write("allowlist.txt", "a\n")
	w.write("policy.toml", "[[yank]]\nproject = \"a\"\n")
	same()
	same() // where there is nothing to do
	for _, q := range srv.Requests(srv.Path("a-1.0-py3-none-any.whl"))[1:] {
		t.Errorf("fetched again: %v", q)
	}
}

func TestTwoBuildsAtOnce(t *testing.T) {
	t.Parallel()
	w := builtWorld(t)
	s, err := open(w.Config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := photograph(t, w.dir)
	if _, err := Build(t.Context(), w.Config, Options{}); !errors.Is(err, ErrLocked) || Hint(err) == "" {
		t.Errorf("a second build: %v, hint %q; want ErrLocked with a hint", err, Hint(err))
	}
	if d := before.differences(photograph(t, w.dir), w.dir); len(d) > 0 {
		t.Errorf("the second build wrote %q", d)
	}
	w.build(0, Options{DryRun: true}) // takes no lock
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	w.build(0)
}

func TestPolicyReachesThePages(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("up", "1.0", plain), yanked(wheel("up", "2.0", plain), "theirs"))
	w := newWorld(t, srv)
	w.Versions = -1
	w.write("allowlist.txt", "up\nup==2.0\n")
	w.drop("mine", "1.0", plain)
	w.drop("mine", "2.0", plain)
	w.drop("old", "1.0", plain)
	w.drop("bad", "1.0", plain)
	w.build(0)
	w.write("policy.toml", `
[[yank]]
project = "mine"
versions = "==1.0"
reason = "bad <&\"> é"
[[unyank]]
project = "up"
[[status]]
project = "old"
status = "deprecated"
reason = "use mine"
[[note]]
project = "old"
text = "ask Ann"
[[block]]
project = "up"
versions = "==1.0"
reason = "ticket 42"
[[status]]
project = "bad"
status = "quarantined"
reason = "malware"
`)
	r := w.build(0)
	if r.Changed.Count != 2 || r.Withdrawn.Count != 1 {
		t.Errorf("report %+v", r)
	}
	yanks := map[string]any{}
	for _, n := range []string{"mine", "up"} {
		for _, f := range w.page(n).Files {
			yanks[f.Filename] = f.Yanked
		}
	}
	if len(yanks) != 3 || yanks["mine-1.0-py3-none-any.whl"] != "bad <&\"> é" || yanks["mine-2.0-py3-none-any.whl"] != nil && yanks["mine-2.0-py3-none-any.whl"] != false || yanks["up-2.0-py3-none-any.whl"] != nil && yanks["up-2.0-py3-none-any.whl"] != false {
		t.Errorf("yanks %v", yanks)
	}
	if !strings.Contains(w.read("site/simple/mine/index.html"), `data-yanked="bad &lt;&amp;&quot;&gt; é"`) {
		t.Error("the page does not say the yank")
	}
	if p := w.page("old"); p.Status.Status != "deprecated" || p.Status.Reason != "use mine" || len(p.Files) != 1 {
		t.Errorf("old: %+v", p)
	}
	if !strings.Contains(w.read("site/project/old/index.html"), "ask Ann") {
		t.Error("the note is not on the page for people")
	}
	if p := w.page("bad"); p.Status.Status != "quarantined" || len(p.Files) != 0 {
		t.Errorf("a quarantined project: %+v", p)
	}
	w.write("policy.toml", "")
	w.build(0)
	if p := w.page("bad"); p.Status.Status == "quarantined" || len(p.Files) != 1 {
		t.Errorf("out of quarantine: %+v", p)
	}
	w.lists("bad-1.0-py3-none-any.whl", "mine-1.0-py3-none-any.whl", "mine-2.0-py3-none-any.whl", "old-1.0-py3-none-any.whl",
		"up-1.0-py3-none-any.whl", "up-2.0-py3-none-any.whl")
}

func TestAFaultyPolicyStopsTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.drop("a", "1.0", plain)
	w.write("policy.toml", "[[block]]\nproject = \"a\"\n")
	_, err := Build(t.Context(), w.Config, Options{})
	if !errors.Is(err, ErrSettings) || !strings.Contains(err.Error(), "policy.toml:1:") {
		t.Errorf("Build: %v", err)
	}
	if w.exists("site/simple") {
		t.Error("something was published")
	}
}

// A faulty line costs that line.
func TestAllowlistErrorsDoNotStopTheOthers(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "1.0", plain), wheel("b", "1.0", plain))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a\nnot a requirement!\nb==1.0\nb==7\n./local-1.0.tar.gz\n")
	r := w.build(3)
	w.lists("a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl")
	for _, line := range []string{"allowlist.txt:2", "allowlist.txt:4", "allowlist.txt:5"} {
		w.tells(r, "incomplete", line)
	}
	for _, p := range r.Problems {
		if strings.Contains(p.Where, w.dir) {
			t.Errorf("%s: people know the file relative to the settings", p.Where)
		}
	}
}

// A list that cannot be read may hold what the rest depends on, an -i or a
// constraint: until it can be, nothing new comes and nothing goes.
func TestAMissingIncludeHoldsEverything(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "1.0", plain), wheel("b", "1.0", plain), wheel("c", "1.0", plain))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a\n-r more.txt\n")
	w.write("more.txt", "b\n")
	w.build(0)
	w.remove("more.txt")
	w.write("allowlist.txt", "a\n-r more.txt\nc\n")
	mine := w.drop("mine", "1.0", plain)
	w.tells(w.build(3), "incomplete", "allowlist.txt:2")
	w.lists("a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl", mine)
	w.write("more.txt", "b\n")
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl", "c-1.0-py3-none-any.whl", mine)
}

func TestUpstreamsThatAreDown(t *testing.T) {
	t.Parallel()
	down := fetchtest.New(t, wheel("a", "1.0", plain), wheel("b", "1.0", plain))
	w := newWorld(t, down)
	w.write("allowlist.txt", "a\nb\n")
	w.build(0)
	w.build(0)
	before := photograph(t, w.path("site"))
	for _, p := range []string{"a", "b"} {
		down.Always(down.Page(fetchtest.Index, p), fetchtest.EarlyClose)
	}
	w.build(5) // no upstream answered, nothing changed
	if d := before.differences(photograph(t, w.path("site")), w.dir); len(d) > 0 {
		t.Errorf("written: %q", d)
	}
	mine := w.drop("mine", "1.0", plain)
	w.build(3) // the rest goes on
	w.lists("a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl", mine)
	down.Heal()
	down.Always(down.Page(fetchtest.Index, "b"), fetchtest.Status500)
	w.tells(w.build(3), "incomplete", "b: ")
	down.Heal()
	w.build(0)
}

// A name that the first upstream could not be asked for is not asked for at
// the second: another might have it.
func TestASilentUpstreamIsNotPassedOver(t *testing.T) {
	t.Parallel()
	first := fetchtest.New(t, wheel("a", "1.0", plain))
	second := fetchtest.New(t, wheel("a", "9.0", plain), wheel("b", "1.0", plain))
	w := newWorld(t, first, second)
	w.write("allowlist.txt", "a\nb\n")
	first.Always(first.Page(fetchtest.Index, "a"), fetchtest.Status503)
	w.build(3)
	w.lists("b-1.0-py3-none-any.whl")
	if q := second.Requests(second.Page(fetchtest.Index, "a")); len(q) != 0 {
		t.Error("the second upstream was asked for a")
	}
	first.Heal()
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl")
	second.Forget()
	w.build(0)
	if q := second.Requests(second.Page(fetchtest.Index, "a")); len(q) != 0 {
		t.Error("the second upstream was asked for a")
	}
	// b belongs to the second now, whatever the first has later.
	first.SetFiles(wheel("a", "1.0", plain), wheel("b", "66.0", plain))
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl")
}

func TestAnUpstreamThatAltersAFile(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "1.0", plain))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a\n")
	w.build(0)
	before := photograph(t, w.path("site"))
	srv.SetFiles(wheel("a", "1.0", intaketest.Opts{Summary: "other bytes"}))
	w.tells(w.build(6), "alarm", "now offers sha256")
	if d := before.differences(photograph(t, w.path("site")), w.dir); len(d) > 0 {
		t.Errorf("written: %q", d)
	}
	srv.SetFiles(wheel("a", "1.0", plain))
	w.build(0)
}

func TestAnUpstreamThatDeletesIsToldAndNotFollowed(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "1.0", plain), wheel("a", "2.0", plain), wheel("b", "1.0", plain))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a\nb\n")
	w.build(0)
	srv.SetFiles(wheel("a", "1.0", plain)) // 2.0 and all of b are gone
	r := w.build(3)
	w.tells(r, "incomplete", "no longer has it")
	w.lists("a-2.0-py3-none-any.whl", "b-1.0-py3-none-any.whl")
	w.write("allowlist.txt", "a==1.0\n")
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl")
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"file", "netrc", "none", "in the allowlist"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			srv := fetchtest.New(t, wheel("a", "1.0", plain))
			srv.SetLogin("ann", "s3cret-canary")
			w := newWorld(t, srv)
			w.write("allowlist.txt", "a\n")
			switch how {
			case "file":
				w.write("login", "ann:s3cret-canary\n")
				w.Upstreams[0].Credentials = w.path("login")
			case "netrc":
				w.write("netrc", "machine 127.0.0.1 login ann password s3cret-canary\n")
				w.Netrc = w.path("netrc")
			case "in the allowlist":
				w.write("allowlist.txt", "-i "+strings.Replace(srv.URL, "http://", "http://ann:s3cret-canary@", 1)+"/simple/\na\n")
			}
			for _, f := range []string{"login", "netrc"} {
				if w.exists(f) {
					if err := os.Chmod(w.path(f), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			if how == "none" {
				w.tells(w.build(3), "incomplete", "credentials")
				w.lists()
			} else {
				w.build(0)
				w.lists("a-1.0-py3-none-any.whl")
			}
			for name := range photograph(t, w.path("site"), w.path("state")) {
				if fi, err := os.Stat(name); err == nil && fi.Mode().IsRegular() {
					if data, _ := os.ReadFile(name); strings.Contains(string(data), "s3cret-canary") {
						t.Errorf("%s holds the password", name)
					}
				}
			}
		})
	}
}

// Options of the allowlist say where to look.
func TestPlacesOfTheAllowlist(t *testing.T) {
	t.Parallel()
	set := fetchtest.New(t, wheel("a", "1.0", plain))
	list := fetchtest.New(t, wheel("a", "2.0", plain), wheel("b", "1.0", plain))
	for _, tt := range []struct {
		name, options string
		want          []string
	}{
		{"-i takes the place of the settings", "-i {list}/simple/", []string{"a-2.0-py3-none-any.whl", "b-1.0-py3-none-any.whl"}},
		{"--extra-index-url comes after them", "--extra-index-url {list}/simple/", []string{"a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl"}},
		{"-f comes after them", "-f {list}/links/page.html", []string{"a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl"}},
		{"--no-index leaves -f", "--no-index -f {list}/links/page.html", []string{"a-2.0-py3-none-any.whl", "b-1.0-py3-none-any.whl"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, set)
			w.write("allowlist.txt", strings.ReplaceAll(tt.options, "{list}", list.URL)+"\na\nb\n")
			w.build(0)
			w.lists(tt.want...)
			w.build(0)
			w.lists(tt.want...)
		})
	}
}

func TestMixedSources(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "2.0", plain))
	w := newWorld(t, srv)
	w.Projects = []ProjectConfig{{Name: "A", Sources: "both"}}
	mine := w.drop("a", "1.0", intaketest.Opts{Build: "1"})
	w.write("allowlist.txt", "a\n")
	w.build(0)
	w.lists(mine, "a-2.0-py3-none-any.whl")
	w.build(0)
	w.lists(mine, "a-2.0-py3-none-any.whl")
	more := w.drop("a", "1.1", plain)
	w.build(0)
	w.lists(mine, more, "a-2.0-py3-none-any.whl")
	// The allowlist and the drop folder each let go of what is theirs.
	w.write("allowlist.txt", "")
	r := w.build(0)
	w.lists(mine, more)
	if r.Withdrawn.Count != 1 {
		t.Errorf("withdrawn %+v", r.Withdrawn)
	}
	w.write("allowlist.txt", "a\n")
	w.build(0)
	w.remove("drop/" + mine)
	w.write("allowlist.txt", "")
	r = w.build(0)
	w.lists(more)
	if r.Withdrawn.Count != 2 {
		t.Errorf("withdrawn %+v", r.Withdrawn)
	}
}

func TestOwnership(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("shared", "9.0", plain), wheel("theirs", "1.0", plain))
	t.Run("a local name is not asked for", func(t *testing.T) {
		w := newWorld(t, srv)
		mine := w.drop("shared", "1.0", plain)
		w.write("allowlist.txt", "shared\n")
		w.build(0)
		w.lists(mine)
		// Not even after its last file has gone.
		w.remove("drop/" + mine)
		w.build(3, Options{AllowRemovals: true})
		w.lists()
		w.tells(w.build(3), "incomplete", "belongs to this site")
		if q := srv.Requests(srv.Page(fetchtest.Index, "shared")); len(q) != 0 {
			t.Errorf("asked: %v", q)
		}
	})
	t.Run("an upstream's name is not taken over", func(t *testing.T) {
		w := newWorld(t, srv)
		w.write("allowlist.txt", "theirs\n")
		w.build(0)
		w.drop("theirs", "99.0", plain)
		w.tells(w.build(3), "incomplete", "belongs to up1")
		w.lists("theirs-1.0-py3-none-any.whl")
		w.tells(w.build(3), "incomplete", "belongs to up1") // told as long as it lies there
		w.Projects = []ProjectConfig{{Name: "theirs", Sources: "both"}}
		w.build(0)
		w.lists("theirs-1.0-py3-none-any.whl", "theirs-99.0-py3-none-any.whl")
	})
}

// A repository line beside a line for the same project does not make the name
// this site's own.
func TestADevelopmentLinkBesideAnUpstream(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "1.0", plain))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a\ngit+https://git.example/a.git#egg=a-dev\n")
	for range 3 {
		w.build(0)
		w.lists("a-1.0-py3-none-any.whl")
	}
	if page := w.read("site/easy/index.html"); !strings.Contains(page, "#egg=a-dev") {
		t.Error("the link is not on the page for easy_install")
	}
	w.write("allowlist.txt", "a\n")
	w.build(0)
	if page := w.read("site/easy/index.html"); strings.Contains(page, "#egg=a-dev") {
		t.Error("the link is still there")
	}
}

func TestDevelopmentLinksStandOnTheirOwnPageOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.drop("a", "1.0", plain)
	w.write("drop/a.git", "https://git.example/a.git\n")
	w.write("drop/b.svn", "<a href=\"svn://svn.example/b/trunk\">b</a>\n")
	w.build(0)
	easy := w.read("site/easy/index.html")
	for _, link := range []string{"https://git.example/a.git#egg=a-dev", "svn://svn.example/b/trunk#egg=b-dev"} {
		if !strings.Contains(easy, link) {
			t.Errorf("easy/ lacks %s", link)
		}
	}
	for name := range photograph(t, w.path("site")) {
		if strings.HasSuffix(name, "/easy/index.html") {
			continue
		}
		if data, err := os.ReadFile(name); err == nil && strings.Contains(string(data), "#egg=") {
			t.Errorf("%s has a development link", name)
		}
	}
	w.remove("drop/a.git")
	w.build(0)
	if strings.Contains(w.read("site/easy/index.html"), "a-dev") {
		t.Error("the link outlived its snippet")
	}
}

func TestPasswordsInLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.drop("a", "1.0", plain)
	w.write("drop/a.git", "https://ann:canary@git.example/a.git\n")
	w.write("allowlist.txt", "git+https://ann:canary@git.example/b.git#egg=b\n")
	r := w.build(0)
	w.tells(r, "warning", "password")
	w.LinkPasswords = "refuse"
	r = w.build(3)
	w.tells(r, "incomplete", "password")
	if page := w.read("site/easy/index.html"); strings.Contains(page, "canary") {
		t.Error("the password is still on the page")
	}
	if text := problemText(r); strings.Contains(text, "canary") {
		t.Errorf("the report shows the password:\n%s", text)
	}
}

func TestRefusedFilesAreToldEveryTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.drop("good", "1.0", plain)
	w.write("drop/bad-1.0-py3-none-any.whl", "this is no zip file")
	if err := os.Symlink("/etc/passwd", w.path("drop/link-1.0.tar.gz")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r := w.build(3)
		w.tells(r, "incomplete", "drop/bad-1.0-py3-none-any.whl")
		w.tells(r, "incomplete", "drop/link-1.0.tar.gz")
		w.lists(good)
	}
	w.remove("drop/bad-1.0-py3-none-any.whl")
	w.remove("drop/link-1.0.tar.gz")
	w.build(0)
}

func TestWhatIsOddAboutAFetchedFileIsToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fetchtest.New(t, wheel("a", "1.0", intaketest.Opts{RequiresPython: ">=2.7.*"})))
	w.write("allowlist.txt", "a\n")
	w.tells(w.build(0), "warning", "Requires-Python is left out")
	if r := w.build(0); len(r.Problems) > 0 {
		t.Errorf("told again: %v", r.Problems)
	}
}

func TestTwoDroppedFilesOfOneName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file, data := intaketest.Wheel("a", "1.0", plain)
	w.write("drop/one/"+file, string(data))
	w.write("drop/two/"+file, string(data))
	w.build(0)
	w.lists(file)
	_, other := intaketest.Wheel("a", "1.0", intaketest.Opts{Summary: "other"})
	w.write("drop/two/"+file, string(other))
	for range 2 {
		w.tells(w.build(3), "incomplete", "drop/two/"+file)
		w.lists(file)
	}
}

func TestAPinnedHashDecides(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "1.0", plain))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a==1.0 --hash=sha256:"+strings.Repeat("0", 64)+"\n")
	w.tells(w.build(3), "incomplete", "hash")
	w.lists()
	_, data := intaketest.Wheel("a", "1.0", plain)
	w.write("allowlist.txt", "a==1.0 --hash=sha256:"+fetchtest.SHA256(data)+"\n")
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl")
}

func TestUserAgentNamesTheContact(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "1.0", plain), wheel("d", "1.0", plain))
	w := newWorld(t, srv)
	w.Contact = "admin@example.org"
	w.write("allowlist.txt", "a\nd @ "+srv.URL+srv.Path("d-1.0-py3-none-any.whl")+"\n")
	w.build(0)
	for _, q := range srv.Requests("") {
		if q.Method != http.MethodGet || !strings.HasPrefix(q.Header.Get("User-Agent"), "nestgen/") || !strings.Contains(q.Header.Get("User-Agent"), "admin@example.org") {
			t.Errorf("%s %s by %q", q.Method, q.Path, q.Header.Get("User-Agent"))
		}
	}
}

// A project that becomes the site's own keeps a file that the upstream gave as long as a
// drop folder has the same.
func TestADroppedFileTakesThePlaceOfAnUpstreams(t *testing.T) {
	srv := fetchtest.New(t, wheel("a", "1.0", intaketest.Opts{}), wheel("a", "2.0", intaketest.Opts{}))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a\na==1.0\n")
	w.build(0)
	w.lists(a1, a2)
	w.Reserved = []string{"a"}
	w.drop("a", "1.0", intaketest.Opts{})
	w.write("allowlist.txt", "")
	w.build(0, Options{AllowRemovals: true})
	w.lists(a1)
	w.whole()
	w.lists(a1)
}
