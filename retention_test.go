package nestgen

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/packaging"
	"nestgen/plan"
)

// strangeFile is a file of which no site here has anything.
const strangeFile = "packages/01/23/456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/other-1.0.tar.gz"

// days gives a duration of so many days.
func days(n int) Duration { return Duration(time.Duration(n) * 24 * time.Hour) }

// collect runs gc.
func (w *world) collect(r Retention) *Garbage {
	w.Helper()
	g, err := GC(w.Context(), w.Config, Options{Retention: r})
	if err != nil {
		w.Fatal(err)
	}
	return g
}

// unwanted checks what rules were about, each as "FILE announced: REASON".
func (w *world) unwanted(about string, g *Garbage, want ...string) {
	w.Helper()
	var got []string
	for _, u := range g.Unwanted {
		got = append(got, fmt.Sprintf("%s %s: %s", u.Filename, u.Becomes, u.Reason))
	}
	if !slices.Equal(got, want) {
		w.Errorf("%s: unwanted %q, want %q", about, got, want)
	}
}

// ondemand gives a site that has versions of foo from an upstream, all fetched by
// requests.
func ondemand(t *testing.T, versions ...string) (w *world, srv *fetchtest.Server, paths map[string]string) {
	t.Helper()
	var files []fetchtest.File
	for _, v := range versions {
		files = append(files, wheelFile(t, "foo", v))
	}
	srv = fetchtest.New(t, files...)
	w = lazy(t, "fetch", srv)
	w.AccessLogs = []string{w.path("access.log*")}
	w.drop("other", "1.0", intaketest.Opts{})
	l := w.join()
	w.ask(l, "foo", 0)
	paths = map[string]string{}
	for i, f := range files {
		paths[versions[i]] = w.pathOf("foo", f.Filename)
		if _, err := w.fetch(l, paths[versions[i]]); err != nil {
			t.Fatal(err)
		}
	}
	w.build(0)
	return w, srv, paths
}

// other gives the path of a file that no rule is about: it shows that a log is that of
// the site.
func (w *world) other() string {
	w.Helper()
	return w.pathOf("other", "other-1.0-py3-none-any.whl")
}

// here checks of which versions the bytes are there.
func (w *world) here(about string, paths map[string]string, want ...string) {
	w.Helper()
	for v, p := range paths {
		if got := w.exists("site/" + p); got != slices.Contains(want, v) {
			w.Errorf("%s: the bytes of %s are there: %v", about, v, got)
		}
	}
}

func TestKeepNewestVersions(t *testing.T) {
	w, srv, paths := ondemand(t, "1.0", "1.9", "1.10", "2.0")
	setLater(t)
	w.build(0)
	page := w.read("site/simple/foo/index.v1_json")
	before := photograph(t, w.dir)
	g, err := GC(t.Context(), w.Config, Options{DryRun: true, Retention: Retention{Keep: 2}})
	if err != nil || len(g.Paths) != 2 || g.Bytes == 0 {
		t.Errorf("dry run: %+v, %v", g, err)
	}
	if d := before.differences(photograph(t, w.dir), w.dir); len(d) > 0 {
		t.Errorf("a dry run wrote %q", d)
	}
	asked := len(srv.Requests(""))
	got := w.collect(Retention{Keep: 2})
	w.unwanted("two stay", got, "foo-1.0-py3-none-any.whl announced: not one of the newest 2 versions", "foo-1.9-py3-none-any.whl announced: not one of the newest 2 versions")
	if !slices.Equal(got.Paths, g.Paths) || got.Bytes != g.Bytes || len(got.Reasons) != 1 || got.Reasons[0].Files != 2 || got.Reasons[0].Bytes != got.Bytes {
		t.Errorf("%+v, and the dry run said %+v", got, g)
	}
	w.here("two stay", paths, "1.10", "2.0")
	if now := w.read("site/simple/foo/index.v1_json"); now != page {
		t.Errorf("another page:\n%s\n%s", now, page)
	}
	if n := len(srv.Requests("")); n != asked {
		t.Errorf("%d requests", n-asked)
	}
	events := w.events("foo")
	if e := events[len(events)-1]; e.Verb != catalog.Expire || e.Filename != "foo-1.9-py3-none-any.whl" || e.Reason != "not one of the newest 2 versions" {
		t.Errorf("event %+v", e)
	}
	w.verifies()
	if r := w.build(0); !r.Idle() {
		t.Errorf("the next build: %+v", r)
	}
	w.unwanted("again", w.collect(Retention{Keep: 2}))

	// Who asks gets it, as before.
	if _, err := w.fetch(w.join(), paths["1.0"]); err != nil {
		t.Error(err)
	}
	w.here("asked for", paths, "1.0", "1.10", "2.0")
	w.build(0)
	w.verifies()
}

// What differs in zeros at the end is one version.
func TestKeepCountsVersionsOnce(t *testing.T) {
	w, _, paths := ondemand(t, "1.0", "2.0", "2.0.0", "3")
	setLater(t)
	w.unwanted("two stay", w.collect(Retention{Keep: 2}), "foo-1.0-py3-none-any.whl announced: not one of the newest 2 versions")
	w.here("two stay", paths, "2.0", "2.0.0", "3")
}

// What has come within the grace stays, by the second.
func TestWhatCameLatelyStays(t *testing.T) {
	w, _, paths := ondemand(t, "1.0", "2.0")
	setLater(t)
	grace := int64(time.Duration(w.Grace).Seconds())
	came := time.Unix(later-grace+1, 0)
	if err := os.Chtimes(w.path("site/"+paths["1.0"]), came, came); err != nil {
		t.Fatal(err)
	}
	w.unwanted("a second too young", w.collect(Retention{Keep: 1}))
	setClock(t, strconv.Itoa(later+1))
	w.unwanted("old enough", w.collect(Retention{Keep: 1}), "foo-1.0-py3-none-any.whl announced: not one of the newest 1 versions")
	w.here("old enough", paths, "2.0")
}

// By the second: what was fetched exactly so long ago goes, what was a second later
// stays.
func TestNotFetched(t *testing.T) {
	w, _, paths := ondemand(t, "1.0", "2.0", "3.0", "4.0")
	setLater(t)
	long := int64(180 * 24 * 60 * 60)
	w.logs(fetchedAt(later-long-5, "simple/foo/"), fetchedAt(later-long, paths["1.0"]), fetchedAt(later-long+1, paths["2.0"]),
		strings.Replace(fetchedAt(later-3, paths["3.0"]), " 200 ", " 304 ", 1), fetchedAt(later-2, paths["4.0"]+".metadata"))
	r := Retention{NotFetched: days(180)}
	before := photograph(t, w.dir)
	g, err := GC(t.Context(), w.Config, Options{DryRun: true, Retention: r})
	if err != nil || len(g.Paths) != 2 {
		t.Errorf("dry run: %+v, %v", g, err)
	}
	if d := before.differences(photograph(t, w.dir), w.dir); len(d) > 0 {
		t.Errorf("a dry run wrote %q", d)
	}
	w.unwanted("two were fetched", w.collect(r), "foo-1.0-py3-none-any.whl announced: not fetched for 180 days", "foo-4.0-py3-none-any.whl announced: not fetched for 180 days")
	w.here("two were fetched", paths, "2.0", "3.0")
	w.verifies()

	// The counts outlive the log that they are from.
	if err := os.Rename(w.path("access.log"), w.path("access.log.1")); err != nil {
		t.Fatal(err)
	}
	w.logs(fetchedAt(later-1, w.other()))
	if _, err := CountLogs(t.Context(), w.Config, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	w.remove("access.log.1")
	setClock(t, strconv.Itoa(later+1))
	w.unwanted("a second later", w.collect(r), "foo-2.0-py3-none-any.whl announced: not fetched for 180 days")

	// What came within the time is not judged by it.
	came := time.Unix(later-long+100, 0)
	if err := os.Chtimes(w.path("site/"+paths["3.0"]), came, came); err != nil {
		t.Fatal(err)
	}
	w.unwanted("young", w.collect(r))
}

// What another site lists is for that one to say, and not for rules here.
func TestWhatWasImportedStays(t *testing.T) {
	near, _, _ := ondemand(t, "1.0", "2.0")
	far := newWorld(t)
	link(t, near, "near.example", far)
	far.placed = near.placed
	far.imports(0, exported(t, near, t.TempDir(), ExportOptions{})...)
	setLater(t)
	far.build(0)
	far.AccessLogs = []string{far.path("access.log*")}
	far.logs(fetchedAt(later-int64(time.Duration(days(181)).Seconds()), "simple/foo/"), fetchedAt(later-1, far.other()))
	page := far.read("site/simple/foo/index.v1_json")
	g := far.collect(Retention{Keep: 1, NotFetched: days(180)})
	far.unwanted("imported", g)
	if g.NotJudged != "" {
		t.Error(g.NotJudged)
	}
	if now := far.read("site/simple/foo/index.v1_json"); now != page {
		t.Errorf("another page:\n%s\n%s", now, page)
	}
}

// Where the logs do not say it, nothing is judged by them; other rules are applied.
func TestNotFetchedIsNotKnown(t *testing.T) {
	w, _, paths := ondemand(t, "1.0", "2.0")
	setLater(t)
	long := int64(180 * 24 * 60 * 60)
	r := Retention{NotFetched: days(180)}
	unknown := func(about, text string) {
		t.Helper()
		g := w.collect(r)
		w.unwanted(about, g)
		if !strings.Contains(g.NotJudged, text) {
			t.Errorf("%s: %q, want %q", about, g.NotJudged, text)
		}
	}
	unknown("no log", "there is no access log")
	w.logs(fetchedAt(later-long+1, w.other()), fetchedAt(later, w.other()))
	unknown("a second too short", "since "+time.Unix(later-long+1, 0).UTC().Format(time.DateTime))
	w.remove("state/statistics.json.gz")
	w.logs(fetchedAt(later-long-1, w.other()))
	unknown("nothing for months", "log elsewhere")
	w.remove("state/statistics.json.gz")
	w.logs(fetchedAt(later-long-1, w.other()), fetchedAt(later-long, w.other()), fetchedAt(later, "simple/foo/"))
	unknown("no file for months", "another server")
	w.remove("state/statistics.json.gz")
	w.logs(fetchedAt(later-long-1, w.other()), fetchedAt(later, strangeFile))
	unknown("no file of this site", "another server")
	w.remove("state/statistics.json.gz")
	w.logs(fetchedAt(later-long-1, w.other()), fetchedAt(later, w.other()))
	if g, err := GC(t.Context(), w.Config, Options{DryRun: true, Retention: r}); err != nil || g.NotJudged != "" || len(g.Unwanted) != 2 {
		t.Errorf("long enough: %+v, %v", g, err)
	}
	w.collect(Retention{})
	if _, err := CountLogs(t.Context(), w.Config, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	setClock(t, strconv.Itoa(later+60))
	w.logs(fetchedAt(later+30, w.other()))
	unknown("a log that was lost", "since "+time.Unix(later+30, 0).UTC().Format(time.DateTime))
	r.Keep = 1
	g := w.collect(r)
	w.unwanted("the other rule", g, "foo-1.0-py3-none-any.whl announced: not one of the newest 1 versions")
	if g.NotJudged == "" {
		t.Error("it does not say that one rule was not applied")
	}
	w.here("the other rule", paths, "2.0")
}

// What somebody relies on stays, whoever fetched it or not.
func TestWhatStaysInAnyCase(t *testing.T) {
	everything := Retention{Keep: 1, NotFetched: days(100)}
	for about, keep := range map[string]func(w *world){
		"a line asks for it": func(w *world) { w.write("allowlist.txt", "foo==3.0\n") },
		"the list of an index does": func(w *world) {
			w.write("team.txt", "foo\n")
			w.index(Index{Name: "team", Allowlist: []string{"team.txt"}})
		},
		"another index lists it":    func(w *world) { w.index(Index{Name: "prod", Inherits: []string{"/"}}) },
		"the policy quarantines it": func(w *world) { w.write("policy.toml", "[[status]]\nproject = \"foo\"\nstatus = \"quarantined\"\n") },
		"a list cannot be read":     func(w *world) { w.write("allowlist.txt", "-r nothere.txt\n") },
	} {
		t.Run(about, func(t *testing.T) {
			w, _, _ := ondemand(t, "1.0", "2.0", "3.0")
			keep(w)
			w.build(map[bool]int{true: 3}[about == "a list cannot be read"])
			setLater(t)
			w.logs(fetchedAt(later-200*24*60*60, w.other()), fetchedAt(later, w.other()))
			g := w.collect(everything)
			w.unwanted(about, g)
			if (g.NotJudged != "") != (about == "a list cannot be read") {
				t.Errorf("not judged: %q", g.NotJudged)
			}
		})
	}
	t.Run("promoted", func(t *testing.T) {
		w, _, paths := ondemand(t, "1.0", "2.0", "3.0")
		w.index(Index{Name: "prod"})
		w.build(0)
		w.promote("/", "prod", "foo==1.0")
		setLater(t)
		w.unwanted("one is", w.collect(Retention{Keep: 1}), "foo-2.0-py3-none-any.whl announced: not one of the newest 1 versions")
		w.here("one is", paths, "1.0", "3.0")
		w.demote("prod", "foo==1.0")
		setClock(t, strconv.Itoa(later+1))
		w.unwanted("none is", w.collect(Retention{Keep: 1}), "foo-1.0-py3-none-any.whl announced: not one of the newest 1 versions")
		w.here("none is", paths, "3.0")
		w.verifies()
	})
	t.Run("its own", func(t *testing.T) {
		w, _, _ := ondemand(t, "1.0")
		for _, v := range []string{"1.0", "2.0"} {
			w.drop("mine", v, plain)
		}
		w.build(0)
		setLater(t)
		w.logs(fetchedAt(later-200*24*60*60, w.other()), fetchedAt(later, w.other()))
		w.unwanted("local", w.collect(everything), "foo-1.0-py3-none-any.whl announced: not fetched for 100 days")
	})
}

// What lines need stays, also where this run does not find out what that is.
func TestNeededProjectsStay(t *testing.T) {
	foo := func(v string) fetchtest.File { return wheelFile(t, "foo", v) }
	srv := fetchtest.New(t, foo("1.0"), foo("2.0"), needing("app", "1.0", "lib"), needing("lib", "1.0", "foo[x]>=1; python_version < '3'"),
		wheelFile(t, "other", "1.0"), wheelFile(t, "other", "2.0"))
	w := lazy(t, "fetch", srv)
	l := w.join()
	for _, n := range []packaging.Name{"foo", "lib", "other"} {
		w.ask(l, n, 0)
		for _, f := range w.page(string(n)).Files {
			if _, err := w.fetch(l, w.pathOf(string(n), f.Filename)); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.Dependencies, w.Environments = Closure, []string{"cp312-linux-x86_64"}
	w.write("allowlist.txt", "app\n")
	w.build(0)
	setLater(t)
	w.unwanted("foo is needed", w.collect(Retention{Keep: 1}), "other-1.0-py3-none-any.whl announced: not one of the newest 1 versions")
	w.Dependencies = NoDependencies
	w.unwanted("nothing is", w.collect(Retention{Keep: 1}), "foo-1.0-py3-none-any.whl announced: not one of the newest 1 versions")
}

// A requirement that only old installers understand names a project as well.
func TestNameInARequirement(t *testing.T) {
	for text, want := range map[string]packaging.Name{
		"Foo.Bar>=1": "foo-bar", "foo >=3.5.*": "foo", " foo_x[y] !~ 2": "foo-x", "foo(=>1)": "foo", "": "", ">=1": "", "-": "",
	} {
		if got := nameIn(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// What would not come again leaves the index as anything else does.
func TestWhatDoesNotComeAgainIsWithdrawn(t *testing.T) {
	w, srv, paths := ondemand(t, "1.0", "2.0")
	srv.SetFiles(wheelFile(t, "foo", "2.0"))
	setClock(t, "1950000000") // long enough for the upstream to be asked again
	w.build(0)
	w.lists("foo-1.0-py3-none-any.whl", "foo-2.0-py3-none-any.whl", "other-1.0-py3-none-any.whl")
	setLater(t)
	g := w.collect(Retention{Keep: 1})
	w.unwanted("its upstream has it no more", g, "foo-1.0-py3-none-any.whl withdrawn: not one of the newest 1 versions")
	if len(g.Paths) != 0 || g.Bytes != 0 || g.Waiting != 1 || len(g.Reasons) != 1 || g.Reasons[0].Files != 1 {
		t.Errorf("%+v", g)
	}
	w.lists("foo-2.0-py3-none-any.whl", "other-1.0-py3-none-any.whl")
	w.here("in its grace", paths, "1.0", "2.0")
	w.verifies()
	setClock(t, strconv.Itoa(later+8*24*60*60))
	if g := w.collect(Retention{}); len(g.Paths) != 1 || g.Reasons[0].Reason != reasonWithdrawn {
		t.Errorf("%+v", g)
	}
	w.here("after it", paths, "2.0")
}

func TestUnwantedFor(t *testing.T) {
	w := newWorld(t)
	w.Grace = days(30)
	setClock(t, "1800000000")
	w.drop("keep", "1.0", plain)
	gone := w.drop("keep", "0.9", plain)
	w.build(0)
	path := w.pathOf("keep", gone)
	w.remove("drop/" + gone)
	w.build(0)
	after := func(seconds int64, r Retention, want bool) {
		t.Helper()
		setClock(t, strconv.FormatInt(1_800_000_000+seconds, 10))
		if g, err := GC(t.Context(), w.Config, Options{DryRun: true, Retention: r}); err != nil || (len(g.Paths) == 1) != want || (g.Waiting == 0) != want {
			t.Errorf("after %d seconds: %+v, %v", seconds, g, err)
		}
	}
	day := int64(24 * 60 * 60)
	after(2*day-1, Retention{UnwantedFor: days(2)}, false)
	after(2*day, Retention{UnwantedFor: days(2)}, true)
	after(30*day-1, Retention{}, false)
	after(30*day, Retention{}, true)
	after(60*day-1, Retention{UnwantedFor: days(60)}, false)
	after(60*day, Retention{UnwantedFor: days(60)}, true)

	// A grace that has become longer since does not make it look older.
	w.Grace = days(90)
	after(2*day-1, Retention{UnwantedFor: days(2)}, false)
	setClock(t, strconv.FormatInt(1_800_000_000+2*day, 10))
	if g := w.collect(Retention{UnwantedFor: days(2)}); !slices.Equal(g.Paths, []string{path}) || w.exists("site/"+path) {
		t.Errorf("%+v", g)
	}
	w.verifies()
}

func TestRetentionThatIsNone(t *testing.T) {
	w := newWorld(t)
	w.build(0)
	for about, r := range map[string]Retention{
		"hours":               {UnwantedFor: Duration(time.Hour)},
		"less than the grace": {NotFetched: days(6), AccessLogs: []string{"x"}},
		"no logs":             {NotFetched: days(60)},
		"negative":            {Keep: -1},
	} {
		if _, err := GC(t.Context(), w.Config, Options{Retention: r}); !errors.Is(err, ErrSettings) {
			t.Errorf("%s: %v", about, err)
		}
	}
}

// A run that died between the note that a file comes on demand and its deletion is
// made good by the next one; but not while a request brings it.
func TestBytesOfAnnouncedFilesGo(t *testing.T) {
	w, _, paths := ondemand(t, "1.0", "2.0")
	setLater(t)
	c, err := catalog.Open(w.catalogFile())
	if err != nil {
		t.Fatal(err)
	}
	foo, err := c.Project(t.Context(), "foo")
	if err := errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
	err = w.catalogUpdate(func(tx *catalog.Tx) error {
		for _, f := range foo.Files {
			if expired, err := tx.Expire(plan.Again(f, catalog.Offer{URL: f.URL}), "a run that died"); err != nil || !expired {
				return fmt.Errorf("not expired: %w", err)
			}
		}
		return setArriving(tx, paths["2.0"], true)
	})
	if err != nil {
		t.Fatal(err)
	}
	g := w.collect(Retention{})
	if !slices.Equal(g.Paths, []string{paths["1.0"]}) || g.Bytes == 0 || g.Reasons[0].Reason != reasonAnnounced {
		t.Errorf("%+v", g)
	}
	w.here("the one that arrives", paths, "2.0")
	w.build(0)
	w.verifies()
	w.here("it has arrived", paths, "2.0")
}
