package nestgen

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/plan"
	"nestgen/policy"
)

// index adds an index to the settings of a world.
func (w *world) index(x ...Index) {
	w.Helper()
	w.Indexes = append(w.Indexes, x...)
	if err := w.Resolve(); err != nil {
		w.Fatal(err)
	}
}

// listsIn checks what the index below a prefix lists, by its pages, and that every
// link on them leads to what it says.
func (w *world) listsIn(prefix string, want ...string) {
	w.Helper()
	got := []string{}
	pages, err := filepath.Glob(w.path("site/" + prefix + "/simple/*/index.v1_json"))
	if err != nil {
		w.Fatal(err)
	}
	var named []string
	for _, page := range pages {
		var p simplePage
		rel, _ := filepath.Rel(w.dir, page)
		unmarshal(w, w.read(rel), &p)
		named = append(named, p.Name)
		for _, f := range p.Files {
			got = append(got, f.Filename)
			w.checkLink(filepath.Dir(page), f.URL, f.Hashes["sha256"])
		}
		html := w.read(filepath.Dir(rel) + "/index.html")
		links := anchor.FindAllStringSubmatch(html, -1)
		if len(links) != len(p.Files) {
			w.Errorf("%s: %d files in JSON, %d links in HTML", rel, len(p.Files), len(links))
		}
		for _, l := range links {
			w.checkLink(filepath.Dir(page), l[1], l[2])
		}
	}
	var root struct {
		Projects []struct{ Name string } `json:"projects"`
	}
	if w.exists("site/" + prefix + "/simple/index.v1_json") {
		unmarshal(w, w.read("site/"+prefix+"/simple/index.v1_json"), &root)
	}
	if len(root.Projects) != len(named) {
		w.Errorf("%s: its list of projects has %v, there are pages of %q", prefix, root.Projects, named)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Errorf("%s lists\n%q, want\n%q", prefix, got, want)
	}
}

// whole checks that verify has nothing to find, and that a build has nothing to do.
func (w *world) whole() {
	w.Helper()
	w.checkLog()
	before := photograph(w, w.path("site"))
	v, err := Verify(w.Context(), w.Config, Options{}, false)
	if err != nil || len(v.Findings) > 0 {
		w.Errorf("verify: %+v, %v", v, err)
	}
	r, err := Build(w.Context(), w.Config, Options{})
	if err != nil || r.Pages.Written+r.Pages.Removed > 0 {
		w.Errorf("a build that has nothing to do: %+v, %v", r, err)
	}
	if d := before.differences(photograph(w, w.path("site")), w.path("site")); len(d) > 0 {
		w.Errorf("a build that has nothing to do changed %q", d)
	}
}

// An index lists what it inherits and what its own lines choose of the site, which
// has all that they ask for.
func TestIndexes(t *testing.T) {
	srv := fetchtest.New(t, wheel("a", "1.0", intaketest.Opts{}), wheel("a", "2.0", intaketest.Opts{}), wheel("b", "1.0", intaketest.Opts{}))
	w := newWorld(t, srv)
	own := w.drop("own", "1.0", intaketest.Opts{})
	w.write("allowlist.txt", "a\n")
	w.write("old.txt", "a<2\nb\nown\n")
	w.index(
		Index{Name: "most", Prefix: "all/most", Inherits: []string{"old", "/"}, Title: "Most"},
		Index{Name: "old", Allowlist: []string{w.path("old.txt")}},
		Index{Name: "stage"},
	)

	w.build(0)
	w.lists(a1, a2, b1, own)
	w.listsIn("old", a1, b1, own)
	w.listsIn("all/most", a1, a2, b1, own)
	w.listsIn("stage")
	for page, title := range map[string]string{"all/most": "Most", "old": "Python package index: old", "stage": "Python package index: stage"} {
		if html := w.read("site/" + page + "/index.html"); !strings.Contains(html, "<h1>"+title+"</h1>") {
			t.Errorf("%s: no heading %q in\n%s", page, title, html)
		}
	}
	w.whole()

	// What comes to the site comes to who inherits it, and nothing else is touched.
	before := photograph(t, w.path("site/old"), w.path("site/stage"))
	c1 := w.drop("c", "1.0", intaketest.Opts{})
	w.build(0)
	w.listsIn("all/most", a1, a2, b1, own, c1)
	if d := before.differences(photograph(t, w.path("site/old"), w.path("site/stage")), w.path("site")); len(d) > 0 {
		t.Errorf("changed: %q", d)
	}

	// Another line changes its index and those who inherit it.
	w.write("old.txt", "a<2\n")
	w.build(0, Options{AllowRemovals: true})
	w.listsIn("old", a1)
	w.listsIn("all/most", a1, a2, own, c1)
	w.lists(a1, a2, own, c1)
	w.whole()
}

// promote promotes targets from one index to another, and checks the tree.
func (w *world) promote(from, to string, targets ...string) *Promoted {
	w.Helper()
	d, err := Promote(w.Context(), w.Config, Options{}, Promotion{Targets: w.targets(targets...), From: from, To: to, Who: "alice", Why: "tested"})
	if err != nil {
		w.Fatalf("promote %q from %s to %s: %v", targets, from, to, err)
	}
	w.checkTree()
	return d
}

func (w *world) demote(from string, targets ...string) *Promoted {
	w.Helper()
	d, err := Promote(w.Context(), w.Config, Options{}, Promotion{Targets: w.targets(targets...), To: from, Remove: true, Who: "bob"})
	if err != nil {
		w.Fatalf("take %q out of %s: %v", targets, from, err)
	}
	w.checkTree()
	return d
}

func (w *world) targets(targets ...string) (all []policy.Target) {
	w.Helper()
	for _, text := range targets {
		t, err := policy.ParseTarget(text)
		if err != nil {
			w.Fatal(err)
		}
		all = append(all, t)
	}
	return all
}

// A staged is a site with a stage: index "testing" lists all that the site has, and
// "prod" what is promoted to it.
func newStaged(t *testing.T, upstreams ...*fetchtest.Server) *world {
	w := newWorld(t, upstreams...)
	w.index(Index{Name: "testing", Inherits: []string{"/"}}, Index{Name: "prod"})
	return w
}

const a1, a2, b1 = "a-1.0-py3-none-any.whl", "a-2.0-py3-none-any.whl", "b-1.0-py3-none-any.whl"

// What was promoted stays when the allowlist moves on, with its bytes; it goes when
// somebody takes it back, and its bytes after their grace.
func TestAPromotedFileStays(t *testing.T) {
	srv := fetchtest.New(t, wheel("a", "1.0", intaketest.Opts{}), wheel("b", "1.0", intaketest.Opts{}))
	w := newStaged(t, srv)
	setClock(t, "1800000000")
	w.write("allowlist.txt", "a\nb\n")
	w.build(0)
	w.listsIn("testing", a1, b1)
	w.listsIn("prod")
	before := photograph(t, w.path("site/simple"), w.path("site/testing"), w.path("site/flat"))
	if d := w.promote("testing", "prod", "a==1.0"); len(d.Files) != 1 || d.Files[0].Filename != a1 || d.Pages.Written == 0 {
		t.Errorf("promoted %+v", d)
	}
	w.listsIn("prod", a1)
	if d := before.differences(photograph(t, w.path("site/simple"), w.path("site/testing"), w.path("site/flat")), w.path("site")); len(d) > 0 {
		t.Errorf("a promotion to prod changed %q", d)
	}
	if d := w.promote("testing", "prod", "a==1.0"); len(d.Files) != 0 || d.Already != 1 || d.Pages.Written > 0 {
		t.Errorf("promoted again: %+v", d)
	}
	w.whole()

	srv.SetFiles(wheel("a", "1.0", intaketest.Opts{}), wheel("a", "2.0", intaketest.Opts{}), wheel("b", "1.0", intaketest.Opts{}))
	w.build(0)
	w.lists(a2, b1)
	w.listsIn("testing", a2, b1)
	w.listsIn("prod", a1)
	w.whole()
	events := w.events("a")
	if e := events[1]; e.Verb != catalog.Promotion || e.Filename != a1 || e.Source != "alice" || e.Reason != "testing > prod: tested" {
		t.Errorf("event %+v", e)
	}

	// The grace is long over, and the bytes are there all the same.
	setClock(t, "1900000000")
	w.build(0)
	if _, err := GC(t.Context(), w.Config, Options{}); err != nil {
		t.Fatal(err)
	}
	w.listsIn("prod", a1)
	w.whole()

	if d := w.demote("prod", a1); len(d.Files) != 1 || d.Files[0].Stays {
		t.Errorf("taken back: %+v", d)
	}
	w.listsIn("prod")
	stored := func() bool {
		found, _ := filepath.Glob(w.path("site/packages/*/*/*/" + a1))
		return len(found) == 1
	}
	w.build(0)
	if !stored() {
		t.Error("the bytes went before their grace was over")
	}
	setClock(t, "1900700000")
	w.build(0)
	if stored() {
		t.Error("the bytes are still there after their grace")
	}
	w.whole()
}

// What a run has taken back that died before it was published is published by the next
// one, which finds nothing left to take back.
func TestAPromotionThatADeadRunTookBack(t *testing.T) {
	w := newStaged(t, fetchtest.New(t, wheel("a", "1.0", intaketest.Opts{})))
	w.write("allowlist.txt", "a\n")
	w.build(0)
	w.promote("/", "prod", "a")
	p := Promotion{Targets: w.targets("a"), To: "prod", Remove: true}
	s, err := open(w.Config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	chosen, err := s.chosen(t.Context(), p)
	if err = errors.Join(err, s.notePromotion(t.Context(), p, chosen, new(Promoted)), s.close()); err != nil {
		t.Fatal(err)
	}
	w.listsIn("prod", a1)
	if _, err := Promote(t.Context(), w.Config, Options{}, p); Status(err) != 2 || !strings.Contains(err.Error(), "no such file was promoted") {
		t.Errorf("taken back again: %v", err)
	}
	w.listsIn("prod")
	w.whole()
}

// Of a file that stays in a stage the policy decides whether it is yanked and whether
// it is listed at all; a quarantine hides it everywhere.
func TestThePolicyReachesEveryIndex(t *testing.T) {
	srv := fetchtest.New(t, wheel("a", "1.0", intaketest.Opts{}))
	w := newStaged(t, srv)
	w.write("allowlist.txt", "a\n")
	w.write("policy.toml", "")
	w.build(0)
	w.promote("/", "prod", "a")
	srv.SetFiles(wheel("a", "1.0", intaketest.Opts{}), wheel("a", "2.0", intaketest.Opts{}))
	w.build(0)
	w.listsIn("prod", a1)
	w.write("policy.toml", "[[yank]]\nproject = \"a\"\nversions = \"==1.0\"\nreason = \"bad\"\n")
	w.build(0)
	var p simplePage
	unmarshal(t, w.read("site/prod/simple/a/index.v1_json"), &p)
	if p.Files[0].Yanked != "bad" {
		t.Errorf("yanked: %v", p.Files[0].Yanked)
	}
	w.write("policy.toml", "[[status]]\nproject = \"a\"\nstatus = \"quarantined\"\nreason = \"evil\"\n")
	w.build(0)
	w.listsIn("prod")
	w.listsIn("testing")
	unmarshal(t, w.read("site/prod/simple/a/index.v1_json"), &p)
	if p.Status.Status != "quarantined" {
		t.Errorf("status %+v", p.Status)
	}
	w.whole()
	w.write("policy.toml", "[[block]]\nproject = \"a\"\nversions = \"<2\"\nreason = \"evil\"\n")
	w.build(0)
	w.listsIn("prod")
	if w.exists("site/prod/simple/a") {
		t.Error("a project without files has a page")
	}
	w.listsIn("testing", a2)
	w.whole()
	if stored, _ := filepath.Glob(w.path("site/packages/*/*/*/" + a1)); len(stored) > 0 {
		t.Errorf("what is blocked is still served: %q", stored)
	}
	// Whoever lifts the block has it back, however late: it is still promoted.
	setClock(t, "1900000000")
	w.build(0)
	if _, err := GC(t.Context(), w.Config, Options{}); err != nil {
		t.Fatal(err)
	}
	w.write("policy.toml", "")
	w.build(0)
	w.listsIn("prod", a1)
	w.whole()
}

// What an upstream has quarantined does not come back in a stage because the allowlist
// asks for it no more.
func TestAQuarantineLastsInAStage(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	srv := fetchtest.New(t, foo, wheelFile(t, "bar", "1.0"))
	w := newStaged(t, srv)
	w.index(Index{Name: "eu", Inherits: []string{"prod"}})
	w.write("allowlist.txt", "foo\nbar\n")
	w.build(0)
	w.promote("/", "prod", "foo")
	w.write("policy.toml", "[[status]]\nproject = \"foo\"\nstatus = \"quarantined\"\nreason = \"steals keys\"\n")
	w.build(0)
	w.write("allowlist.txt", "bar\n")
	w.build(0)
	w.write("policy.toml", "")
	w.build(0)
	for _, index := range []string{"prod", "eu"} {
		w.listsIn(index)
		if !strings.Contains(w.read("site/"+index+"/simple/foo/index.v1_json"), "quarantined") {
			t.Errorf("%s does not say that foo is quarantined", index)
		}
	}
	w.whole()
	if _, err := Promote(t.Context(), w.Config, Options{}, Promotion{From: "prod", To: "testing", Targets: w.targets("foo")}); err == nil || !strings.Contains(err.Error(), "the project is quarantined") {
		t.Errorf("promoted: %v", err)
	}
	w.write("policy.toml", "[[status]]\nproject = \"foo\"\nstatus = \"active\"\n")
	w.build(0)
	w.listsIn("prod", foo.Filename)
	w.listsIn("eu", foo.Filename)
	w.whole()
}

// A yank that the upstream makes before the site stops listing a file stays with it.
func TestAYankFollowsAFileThatStays(t *testing.T) {
	srv := fetchtest.New(t, wheel("a", "1.0", intaketest.Opts{}))
	w := newStaged(t, srv)
	w.write("allowlist.txt", "a\n")
	w.build(0)
	w.promote("/", "prod", "a")
	srv.SetFiles(yanked(wheel("a", "1.0", intaketest.Opts{}), "broken"))
	w.build(0, Options{})
	srv.SetFiles(yanked(wheel("a", "1.0", intaketest.Opts{}), "broken"), wheel("a", "2.0", intaketest.Opts{}))
	w.build(0)
	w.write("allowlist.txt", "a>1\n")
	w.build(0)
	w.lists(a2)
	var p simplePage
	unmarshal(t, w.read("site/prod/simple/a/index.v1_json"), &p)
	if p.Files[0].Yanked != "broken" {
		t.Errorf("yanked: %v", p.Files[0].Yanked)
	}
}

// A stage inherits from a stage what is promoted there.
func TestAStageInherits(t *testing.T) {
	w := newStaged(t)
	w.index(Index{Name: "eu", Prefix: "prod/eu", Inherits: []string{"prod"}})
	first := w.drop("a", "1.0", intaketest.Opts{})
	w.build(0)
	w.promote("/", "prod", "a")
	w.listsIn("prod/eu", first)
	d := w.promote("prod", "eu", "a")
	if len(d.Files) != 1 {
		t.Errorf("%+v", d)
	}
	if d := w.demote("eu", "a"); !d.Files[0].Stays {
		t.Errorf("%+v, want it to say that the file is still inherited", d)
	}
	w.listsIn("prod/eu", first)
	w.demote("prod", "a")
	w.listsIn("prod/eu")
	w.whole()
}

// What cannot be promoted is told, and nothing is done.
func TestPromoteRefuses(t *testing.T) {
	w := newStaged(t)
	w.drop("a", "1.0", intaketest.Opts{})
	w.drop("b", "1.0", intaketest.Opts{})
	w.build(0)
	w.promote("testing", "prod", "b")
	before := photograph(t, w.path("site"))
	for _, tt := range []struct {
		p    Promotion
		want string
	}{
		{Promotion{From: "testing", To: "prod", Targets: w.targets("a", "a==2.0")}, "a==2.0: the index testing lists no such file"},
		{Promotion{From: "testing", To: "prod", Targets: w.targets("c")}, "c: the index testing lists no such file"},
		{Promotion{From: "testing", To: "prod", Targets: w.targets("a-2.0.tar.gz")}, "a-2.0.tar.gz: the index testing lists no such file"},
		{Promotion{From: "testing", To: "qa", Targets: w.targets("a")}, `"qa" is not an [[index]]`},
		{Promotion{From: "qa", To: "prod", Targets: w.targets("a")}, `"qa" is not an [[index]]`},
		{Promotion{From: "prod", To: "/", Targets: w.targets("b")}, `"/" is not an [[index]]`},
		{Promotion{From: "prod", To: "prod", Targets: w.targets("b")}, "nothing would come of it"},
		{Promotion{To: "prod", Remove: true, Targets: w.targets("a")}, "a: no such file was promoted to prod"},
	} {
		_, err := Promote(t.Context(), w.Config, Options{}, tt.p)
		if err == nil || !strings.Contains(err.Error(), tt.want) || Status(err) != 2 {
			t.Errorf("%+v: %v (status %d), want %q", tt.p, err, Status(err), tt.want)
		}
	}
	if d := before.differences(photograph(t, w.path("site")), w.path("site")); len(d) > 0 {
		t.Errorf("changed: %q", d)
	}
	if d, err := Promote(t.Context(), w.Config, Options{DryRun: true}, Promotion{From: "testing", To: "prod"}); err != nil || len(d.Files) != 1 || d.Already != 1 {
		t.Errorf("dry run: %+v, %v", d, err)
	}
	w.listsIn("prod", "b-1.0-py3-none-any.whl")
}

// An index that the settings do not have any more goes, unless something was promoted
// to it: then somebody has to say that it is meant.
func TestAnIndexGoes(t *testing.T) {
	w := newStaged(t)
	first := w.drop("a", "1.0", intaketest.Opts{})
	w.build(0)
	w.promote("/", "prod", "a")
	w.Indexes = nil
	r := w.build(6)
	w.tells(r, "alarm", "files of 1 projects were promoted to it")
	w.tells(r, "warning", "testing: the settings do not have this index any more")
	if w.exists("site/testing") {
		t.Error("testing is still there")
	}
	w.checkLog()
	w.listsIn("prod", first)

	// Even so, what is blocked leaves at once.
	w.write("policy.toml", "[[block]]\nproject = \"a\"\nreason = \"evil\"\n")
	w.build(6)
	w.listsIn("prod")
	w.write("policy.toml", "")
	w.build(6)
	w.build(0, Options{AllowRemovals: true})
	if w.exists("site/prod") {
		t.Error("prod is still there")
	}
	if e := w.events("a"); e[len(e)-1].Verb != catalog.Demotion {
		t.Errorf("the last event is %+v", e[len(e)-1])
	}
	w.whole()
}

// An index moves to another prefix with all that was promoted to it.
func TestAnIndexMoves(t *testing.T) {
	w := newStaged(t)
	first := w.drop("a", "1.0", intaketest.Opts{})
	w.build(0)
	w.promote("/", "prod", "a")
	w.Indexes[1].Prefix = "stable/eu"
	w.index()
	w.build(0)
	w.listsIn("stable/eu", first)
	if w.exists("site/prod") {
		t.Error("its pages are still at the old place")
	}
	w.whole()
}

// An index does not lose nearly all of its projects by accident.
func TestTheBrakeOfAnIndex(t *testing.T) {
	w := newStaged(t)
	for _, n := range []string{"a", "b", "c"} {
		w.drop(n, "1.0", intaketest.Opts{})
	}
	w.write("own.txt", "a\nb\nc\n")
	w.index(Index{Name: "own", Allowlist: []string{w.path("own.txt")}})
	w.build(0)
	all := []string{a1, b1, "c-1.0-py3-none-any.whl"}
	w.listsIn("own", all...)
	w.write("own.txt", "a\n")
	r := w.build(6)
	w.tells(r, "alarm", "2 of 3 projects would leave the index own")
	w.listsIn("own", all...)
	w.build(6)
	w.listsIn("own", all...)
	w.build(0, Options{AllowRemovals: true})
	w.listsIn("own", a1)

	// While a line cannot be read, nothing leaves.
	w.write("own.txt", "b\n==\n")
	w.build(3)
	w.listsIn("own", a1, b1)
}

// verify finds a page of an index that is spoilt, gone or nobody's, and a file that
// only a stage lists, and mends what it finds.
func TestVerifyMendsAnIndex(t *testing.T) {
	srv := fetchtest.New(t, wheel("a", "1.0", intaketest.Opts{}))
	w := newStaged(t, srv)
	w.write("allowlist.txt", "a\n")
	w.build(0)
	w.promote("/", "prod", "a")
	srv.SetFiles(wheel("a", "1.0", intaketest.Opts{}), wheel("a", "2.0", intaketest.Opts{}))
	w.build(0)
	stored, _ := filepath.Glob(w.path("site/packages/*/*/*/" + a1))
	if len(stored) != 1 {
		t.Fatalf("%q", stored)
	}
	rel, _ := filepath.Rel(w.dir, stored[0])
	w.write(rel, "spoilt")
	w.write("site/prod/simple/a/index.html", "spoilt")
	w.remove("site/testing/simple/index.v1_json")
	w.write("site/prod/simple/b/index.html", "nobody's")
	w.write("site/prod/ours.txt", "people's own")
	v, err := Verify(t.Context(), w.Config, Options{}, true)
	if err != nil || !v.Whole() {
		t.Errorf("%+v, %v", v, err)
	}
	var found []string
	for _, f := range v.Findings {
		found = append(found, f.Path)
	}
	slices.Sort(found)
	want := []string{strings.TrimPrefix(rel, "site/"), "prod/simple/a/index.html", "prod/simple/b/index.html", "testing/simple/index.v1_json"}
	if !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	w.listsIn("prod", a1)
	w.listsIn("testing", a2)
	if !w.exists("site/prod/ours.txt") {
		t.Error("what people put there was taken away")
	}
	w.whole()
}

// Two indexes are compared by what they list, and by what they say of it.
func TestDiff(t *testing.T) {
	w := newStaged(t)
	w.drop("a", "1.0", intaketest.Opts{})
	w.drop("b", "1.0", intaketest.Opts{})
	w.drop("d", "1.0", intaketest.Opts{})
	w.build(0)
	w.promote("/", "prod", "a", "b")
	w.remove("drop/" + b1)
	w.drop("a", "2.0", intaketest.Opts{})
	w.build(0, Options{AllowRemovals: true})
	diff := func(a, b string) (got []string) {
		for d, err := range Diff(t.Context(), w.Config, a, b) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.TrimSuffix(d.Change+" "+string(d.Project)+" "+d.Version+" "+d.Filename+": "+d.Text, ": "))
		}
		return got
	}
	want := []string{"added a 2.0 " + a2, "removed b 1.0 " + b1, "added d 1.0 d-1.0-py3-none-any.whl"}
	if got := diff("prod", "/"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := diff("/", "testing"); len(got) > 0 {
		t.Errorf("what inherits all differs by %q", got)
	}
	for _, err := range Diff(t.Context(), w.Config, "/", "nope") {
		if err == nil || Status(err) != 2 {
			t.Errorf("error %v", err)
		}
	}
	old := catalog.File{Filename: "x", Yanked: catalog.Yank{Yanked: true}}
	for _, tt := range []struct {
		now  catalog.File
		want string
	}{
		{old, ""},
		{catalog.File{Filename: "x"}, "no longer yanked"},
		{catalog.File{Filename: "x", Yanked: catalog.Yank{Yanked: true, Reason: "bad"}, RequiresPython: ">=3"}, "yanked: bad; requires Python >=3"},
		{catalog.File{Filename: "x", Yanked: old.Yanked, Signed: true}, "signature"},
	} {
		if got := differs(old, tt.now); got != tt.want {
			t.Errorf("differs(%+v) = %q, want %q", tt.now, got, tt.want)
		}
	}
}

// An index with lines of its own installs from itself alone where the allowlist is
// completed: it lists what its lines need, and a promotion in between does not forget
// that.
func TestAnIndexIsCompleted(t *testing.T) {
	w, _ := completing(t, "d\n", needing("a", "1", "b"), needing("b", "1", "c<2"), needing("c", "1"), needing("c", "2"), needing("d", "1", "c"))
	w.write("own.txt", "a\n-c narrow.txt\n")
	w.write("narrow.txt", "d<1\n")
	w.index(Index{Name: "own", Allowlist: []string{w.path("own.txt")}}, Index{Name: "prod"})
	w.build(0)
	w.lists(pure("a-1", "b-1", "c-1", "c-2", "d-1")...)
	w.listsIn("own", pure("a-1", "b-1", "c-1")...)
	w.whole()
	w.promote("own", "prod", "a", "b==1")
	w.listsIn("own", pure("a-1", "b-1", "c-1")...)
	w.listsIn("prod", pure("a-1", "b-1")...)
	w.whole()
	w.write("own.txt", "c\n")
	w.build(0, Options{AllowRemovals: true})
	w.listsIn("own", pure("c-2")...)
	w.listsIn("prod", pure("a-1", "b-1")...)
	w.lists(pure("c-2", "d-1")...)
	w.whole()
}

// What turns out to be malware leaves every index at once, also one that the site does
// not list any more; what is fixed elsewhere is yanked there.
func TestAdvisoriesReachEveryIndex(t *testing.T) {
	w, _ := advised(t, "foo==1.0\nbar==1.0\n", nil, wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0"), wheelFile(t, "bar", "1.0"), wheelFile(t, "bar", "2.0"))
	w.Advisories.Yank = true
	w.index(Index{Name: "prod"})
	w.build(0)
	w.promote("/", "prod", "foo", "bar")
	w.write("allowlist.txt", "foo==2.0\nbar==2.0\n")
	w.build(0)
	w.listsIn("prod", pure("foo-1.0", "bar-1.0")...)
	w.write("osv.zip", dump(t, osv("MAL-1", "foo", "introduced=0 fixed=2.0"), osv("X-1", "bar", "introduced=0 fixed=2.0")))
	w.build(0)
	w.listsIn("prod", pure("bar-1.0")...)
	var p simplePage
	unmarshal(t, w.read("site/prod/simple/bar/index.v1_json"), &p)
	if p.Files[0].Yanked != "X-1: bar is bad; fixed in 2.0" {
		t.Errorf("yanked: %v", p.Files[0].Yanked)
	}
	if html := w.read("site/prod/project/bar/index.html"); !strings.Contains(html, "X-1") {
		t.Error("its page for people does not name the advisory")
	}
	w.whole()
}

// An index may have a filter of its own; what was promoted is listed all the same.
func TestAnIndexFilters(t *testing.T) {
	w := newWorld(t)
	pure := w.drop("a", "1.0", intaketest.Opts{})
	linux := w.drop("a", "1.0", intaketest.Opts{Tag: "cp312-cp312-manylinux_2_28_x86_64"})
	windows := w.drop("a", "1.0", intaketest.Opts{Tag: "cp312-cp312-win_amd64"})
	x := Index{Name: "linux", Inherits: []string{"/"}, Filter: Filter{Platforms: make([]plan.Platform, 1)}}
	if err := x.Filter.Platforms[0].UnmarshalText([]byte("linux-x86_64")); err != nil {
		t.Fatal(err)
	}
	w.index(x, Index{Name: "below", Inherits: []string{"linux"}})
	w.build(0)
	w.lists(pure, linux, windows)
	w.listsIn("linux", pure, linux)
	w.listsIn("below", pure, linux)
	w.whole()
	w.promote("/", "linux", windows)
	w.listsIn("linux", pure, linux, windows)
	w.listsIn("below", pure, linux, windows)
	w.Indexes[0].Filter = Filter{}
	w.demote("linux", windows)
	w.listsIn("linux", pure, linux, windows)
	w.whole()
}
