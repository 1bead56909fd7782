package nestgen

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/packaging"
)

// rollback gives the index a state that it had, and checks the tree.
func (w *world) rollback(serial int64) *RollbackDone {
	w.Helper()
	d, err := Rollback(w.Context(), w.Config, Options{}, RollbackRequest{Serial: serial, Who: "alice"})
	if err != nil {
		w.Fatalf("rollback to %d: %v (%s)", serial, err, Hint(err))
	}
	w.checkTree()
	return d
}

// resume lets builds go on.
func (w *world) resume() {
	w.Helper()
	if held, err := EndRollback(w.Context(), w.Config, Options{}, "bob"); err != nil || held == nil {
		w.Fatalf("end of a rollback: %+v, %v", held, err)
	}
	w.checkTree()
}

// held checks that a build changes nothing and says that the site is held back, and
// that verify finds nothing.
func (w *world) held() *Report {
	w.Helper()
	before := photograph(w, w.path("site"))
	r := w.build(3)
	w.tells(r, "incomplete", `"nestgen rollback --end" lets builds go on`)
	if d := before.differences(photograph(w, w.path("site")), w.path("site")); len(d) > 0 {
		w.Errorf("a build changed %q", d)
	}
	if v, err := Verify(w.Context(), w.Config, Options{}, false); err != nil || len(v.Findings) > 0 {
		w.Errorf("verify: %+v, %v", v, err)
	}
	return r
}

// simplePages gives what can be seen of the project pages of a site but the serials and
// the times.
func (w *world) simplePages() map[string]string {
	w.Helper()
	all := map[string]string{}
	for path := range photograph(w, w.path("site/simple"), w.path("site/flat"), w.path("site/easy"), w.path("site/project"), w.path("site/pypi")) {
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() {
			rel, _ := filepath.Rel(w.dir, path)
			all[rel] = withoutSerials(w.read(rel))
		}
	}
	return all
}

// A rollback gives back what left, takes away what came, and undoes yanks, statuses,
// notes and links; what has not changed since keeps its pages and their times. When it
// ends the next build makes the index again what the lists say.
func TestRollback(t *testing.T) {
	srv := fetchtest.New(t, wheel("a", "1.0", intaketest.Opts{}), wheel("b", "1.0", intaketest.Opts{}), wheel("c", "1.0", intaketest.Opts{}), wheel("same", "1.0", intaketest.Opts{}))
	w := newWorld(t, srv)
	setClock(t, "1800000000")
	w.write("allowlist.txt", "a\nb\nc\nsame\ngit+https://git.example/c.git#egg=c-dev\n")
	w.write("policy.toml", "[[note]]\nproject = \"b\"\ntext = \"careful\"\n")
	mine := w.drop("mine", "1.0", intaketest.Opts{})
	w.build(0)
	first := w.serial()
	was := w.simplePages()
	same := photograph(t, w.path("site/simple/same"), w.path("site/project/same"), w.path("site/pypi/same"))
	w.lists(a1, b1, "c-1.0-py3-none-any.whl", "same-1.0-py3-none-any.whl", mine)

	setClock(t, "1800001000")
	srv.SetFiles(wheel("a", "1.0", intaketest.Opts{}), wheel("a", "2.0", intaketest.Opts{}), yanked(wheel("b", "1.0", intaketest.Opts{}), "oops"), wheel("c", "1.0", intaketest.Opts{}), wheel("d", "1.0", intaketest.Opts{}), wheel("same", "1.0", intaketest.Opts{}))
	w.write("allowlist.txt", "a\nb==1.0\nd\nsame\n")
	w.write("policy.toml", "[[status]]\nproject = \"same-not\"\nstatus = \"archived\"\n")
	w.remove("drop/" + mine)
	newer := w.drop("mine", "2.0", intaketest.Opts{})
	w.build(0, Options{AllowRemovals: true})
	after := []string{a2, b1, "d-1.0-py3-none-any.whl", newer, "same-1.0-py3-none-any.whl"}
	w.lists(after...)
	second := w.serial()
	later := w.simplePages()

	before := photograph(t, w.path("site"), w.path("state"))
	dry, err := Rollback(t.Context(), w.Config, Options{DryRun: true}, RollbackRequest{Serial: first})
	if err != nil {
		t.Fatal(err)
	}
	if d := before.differences(photograph(t, w.path("site"), w.path("state")), w.dir); len(d) > 0 {
		t.Errorf("a dry run changed %q", d)
	}
	begun := false
	d, err := Rollback(t.Context(), w.Config, Options{}, RollbackRequest{Serial: first, Who: "alice", Begun: func(d *RollbackDone) { begun = d.Restored == 3 && d.Pages == Pages{} }})
	if err != nil || !begun {
		t.Fatalf("begun: %v, %v", begun, err)
	}
	w.checkTree()
	if d.Projects != 5 || d.Restored != 3 || d.Withdrawn != 3 || d.Changed != 1 || d.Restated != 1 || d.Relinked != 1 || len(d.Changes) != 7 {
		t.Errorf("done %+v", d)
	}
	if len(dry.Changes) != len(d.Changes) || dry.Projects != d.Projects || !dry.DryRun {
		t.Errorf("a dry run foresaw %+v", dry)
	}
	for path, text := range w.simplePages() {
		if was[path] != text {
			t.Errorf("%s is not as it was", path)
		}
		delete(was, path)
	}
	if len(was) > 0 {
		t.Errorf("missing: %v", was)
	}
	if diff := same.differences(photograph(t, w.path("site/simple/same"), w.path("site/project/same"), w.path("site/pypi/same")), w.path("site")); len(diff) > 0 {
		t.Errorf("what had not changed has changed: %q", diff)
	}
	w.held()
	if r := w.held(); r.Serial != w.serial() || !r.Idle() {
		t.Errorf("a build did something: %+v", r)
	}
	events := w.events("a")
	if e := events[len(events)-1]; e.Verb != catalog.Withdraw || !strings.Contains(e.Reason, fmt.Sprintf("rollback to serial %d", first)) {
		t.Errorf("event %+v", e)
	}
	last := w.serial()
	if again := w.rollback(first); !again.Already || again.Pages.Written > 0 || w.serial() != last {
		t.Errorf("the same again: %+v", again)
	}

	w.resume()
	if held, err := EndRollback(t.Context(), w.Config, Options{}, ""); err != nil || held != nil {
		t.Errorf("ended again: %+v, %v", held, err)
	}
	w.build(0)
	w.lists(after...)
	if now := w.simplePages(); len(now) != len(later) {
		t.Errorf("%d pages, want %d", len(now), len(later))
	} else {
		for path, text := range later {
			if now[path] != text {
				t.Errorf("%s is not what it was before the rollback", path)
			}
		}
	}
	w.whole()
	if got := w.siteEvents(); !slices.Equal(got, []string{fmt.Sprintf("rollback alice serial %d", first), fmt.Sprintf("resume bob serial %d", first)}) {
		t.Errorf("events %q", got)
	}
	// What was undone can be had again by a rollback as well.
	w.rollback(second)
	w.lists(after...)
	w.rollback(last)
	w.lists(a1, b1, "c-1.0-py3-none-any.whl", "same-1.0-py3-none-any.whl", mine)
}

// A rollback to a snapshot; the other indexes follow, and it stays what it is.
func TestRollbackToASnapshot(t *testing.T) {
	w := newWorld(t)
	w.index(Index{Name: "all", Inherits: []string{"/"}})
	w.drop("a", "1.0", intaketest.Opts{})
	w.build(0)
	w.snapshot("good", 0)
	w.drop("a", "2.0", intaketest.Opts{})
	w.build(0)
	d, err := Rollback(t.Context(), w.Config, Options{}, RollbackRequest{Tag: "good", Who: "alice"})
	if err != nil || d.Withdrawn != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	w.lists(a1)
	w.listsIn("all", a1)
	w.listsIn("snapshots/good", a1)
	r := w.held()
	w.tells(r, "incomplete", "rolled back to the snapshot good, serial")
	plan, err := Build(t.Context(), w.Config, Options{DryRun: true})
	if err != nil || plan.Status != 3 {
		t.Fatalf("%+v, %v", plan, err)
	}
	w.tells(plan, "incomplete", "rolled back to the snapshot good")
	if held, err := RolledBack(t.Context(), w.Config); err != nil || held == nil || held.Tag != "good" || held.By != "alice" {
		t.Errorf("%+v, %v", held, err)
	}
	// The name of the snapshot may go meanwhile.
	w.dropSnapshot("good")
	w.held()
	for _, r := range []RollbackRequest{{Tag: "good"}, {Serial: 0}, {Serial: -1}, {Serial: 999}} {
		if _, err := Rollback(t.Context(), w.Config, Options{}, r); !errors.Is(err, ErrSettings) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// What nobody is to have does not come back, and leaves while the site is held back.
func TestThePolicyStandsInARollback(t *testing.T) {
	srv := fetchtest.New(t, wheel("a", "1.0", intaketest.Opts{}), wheel("a", "2.0", intaketest.Opts{}), wheel("b", "1.0", intaketest.Opts{}), wheel("q", "1.0", intaketest.Opts{}))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a==1.0\na==2.0\nb\nq\n")
	w.write("policy.toml", "")
	w.build(0)
	first := w.serial()
	evil := "[[block]]\nproject = \"a\"\nversions = \"==1.0\"\nreason = \"evil\"\n[[status]]\nproject = \"q\"\nstatus = \"quarantined\"\n"
	w.write("policy.toml", evil)
	w.write("allowlist.txt", "a==2.0\nq\n")
	w.build(0, Options{AllowRemovals: true})
	w.lists(a2)
	d := w.rollback(first)
	if !slices.Equal(d.Forbidden, []string{a1}) || d.Restored != 1 {
		t.Errorf("done %+v", d)
	}
	w.lists(a2, b1)
	if w.page("q").Status.Status != "quarantined" {
		t.Error("the quarantine is over")
	}
	w.held()

	w.write("policy.toml", evil+"[[block]]\nproject = \"b\"\nreason = \"worse\"\n[[yank]]\nproject = \"a\"\nreason = \"old\"\n[[note]]\nproject = \"a\"\ntext = \"x\"\n")
	dry, err := Build(t.Context(), w.Config, Options{DryRun: true})
	if err != nil || dry.Withdrawn.Count != 1 || dry.Changed.Count != 1 {
		t.Errorf("foreseen %+v, %v", dry, err)
	}
	if r := w.build(3); r.Withdrawn.Count != 1 || r.Changed.Count != 1 {
		t.Errorf("%+v", r)
	}
	w.lists(a2)
	if w.page("a").Files[0].Yanked != "old" || w.hasBytes(b1) {
		t.Errorf("the policy does not reach it: %+v", w.page("a").Files)
	}
	w.held()
	w.write("policy.toml", strings.Replace(evil, `"a"`, `"*"`, 1))
	w.build(3) // what was taken out stays out until builds go on
	w.lists(a2)
	w.held()
	w.remove("policy.toml")
	if _, err := Build(t.Context(), w.Config, Options{}); !errors.Is(err, ErrSettings) {
		t.Errorf("without its policy: %v", err)
	}
	w.write("policy.toml", "")
	w.resume()
	w.write("allowlist.txt", "a==1.0\na==2.0\nb\nq\n")
	w.build(0)
	w.lists(a1, a2, b1, "q-1.0-py3-none-any.whl")
	w.whole()
}

// No name gets files back from where its files may not come from now: it may be somebody
// else who has it there.
func TestARollbackConfusesNoNames(t *testing.T) {
	w := newWorld(t, fetchtest.New(t, wheel("b", "2.0", intaketest.Opts{}), wheel("new", "9.0", intaketest.Opts{})))
	w.Upstreams = append([]Upstream{{Name: "disk", URL: w.path("disk")}}, w.Upstreams...)
	for _, name := range []string{"a", "b", "c"} {
		f := wheel(name, "1.0", intaketest.Opts{})
		w.write("disk/"+f.Filename, string(f.Data))
		w.write("disk/"+name+"/index.html", `<!DOCTYPE html><meta name="pypi:repository-version" content="1.4"><meta name="pypi:project-status" content="deprecated"><a href="../`+f.Filename+`">`+f.Filename+`</a>`)
	}
	w.write("allowlist.txt", "a\nb\nc\n")
	w.build(0)
	first := w.serial()
	if w.page("a").Status.Status != "deprecated" {
		t.Fatal("the status of the upstream is not listed")
	}

	// a and c become the site's own, b goes to another upstream, and new begins here.
	w.Projects = []ProjectConfig{{Name: "a", Sources: "local"}, {Name: "b", Upstream: "up1"}}
	w.Reserved = []string{"c"}
	mine := w.drop("a", "2.0", intaketest.Opts{})
	same := w.drop("c", "1.0", intaketest.Opts{})
	fresh := w.drop("new", "1.0", intaketest.Opts{})
	if err := w.Resolve(); err != nil {
		t.Fatal(err)
	}
	w.write("allowlist.txt", "b\n")
	w.build(0, Options{AllowRemovals: true})
	b2 := "b-2.0-py3-none-any.whl"
	w.lists(mine, b2, same, fresh)
	second := w.serial()

	d := w.rollback(first)
	if !slices.Equal(d.Disowned, []string{a1, b1}) || d.Restored != 0 || d.Withdrawn != 3 {
		t.Errorf("done %+v", d)
	}
	w.lists(same)
	if p, _, err := Show(t.Context(), w.Config, "a"); err != nil || p.Status.State != "" {
		t.Errorf("a name of this site's own has a status of an upstream: %+v, %v", p, err)
	}
	if p, _, err := Show(t.Context(), w.Config, "c"); err != nil || len(p.Files) != 1 || p.Files[0].Source != catalog.Local {
		t.Errorf("c: %+v, %v", p, err)
	}
	w.held()
	w.write("allowlist.txt", "b\nnew\n")
	w.remove("drop/" + fresh)
	w.resume()
	w.build(3, Options{AllowRemovals: true}) // nobody here has files of the name new, which is not free again
	w.lists(mine, b2, same)
	w.Projects, w.Reserved = nil, nil
	if d := w.rollback(second); len(d.Disowned) > 0 {
		t.Errorf("back again: %+v", d)
	}
	w.verifies()
}

// An advisory about malware reaches the index while it is held back.
func TestAnAdvisoryReachesARollback(t *testing.T) {
	w, _ := advised(t, "a\nb\n", []string{osv("MAL-1", "other", "introduced=0")}, wheel("a", "1.0", plain), wheel("b", "1.0", plain))
	w.build(0)
	w.rollback(w.serial())
	w.held()
	w.write("osv.zip", dump(t, osv("MAL-1", "other", "introduced=0"), osv("MAL-2", "a", "introduced=0")))
	if dry, err := Build(t.Context(), w.Config, Options{DryRun: true}); err != nil || dry.Withdrawn.Count != 1 {
		t.Errorf("foreseen %+v, %v", dry, err)
	}
	w.build(3)
	w.lists(b1)
	w.held()
}

// A quarantine that begins upstream reaches the index while it is held back, and nothing
// else does.
func TestAQuarantineReachesARollback(t *testing.T) {
	w := newWorld(t)
	w.Upstreams = []Upstream{{Name: "disk", URL: w.path("disk")}}
	page := func(name, status string, files ...fetchtest.File) {
		text := `<!DOCTYPE html><meta name="pypi:repository-version" content="1.4">` + status
		for _, f := range files {
			w.write("disk/"+f.Filename, string(f.Data))
			text += `<a href="../` + f.Filename + `">` + f.Filename + `</a>`
		}
		w.write("disk/"+name+"/index.html", text)
	}
	a, b := wheel("a", "1.0", intaketest.Opts{}), wheel("b", "1.0", intaketest.Opts{})
	page("a", "", a)
	page("b", "", b)
	w.write("allowlist.txt", "a\nb\n")
	mine := w.drop("mine", "1.0", intaketest.Opts{})
	w.build(0)
	first := w.serial()
	w.write("allowlist.txt", "b\n")
	w.build(0, Options{AllowRemovals: true})
	w.rollback(first) // lists what nothing asks for any more
	w.held()
	path := w.pathOf("a", a1)
	page("a", `<meta name="pypi:project-status" content="quarantined"><meta name="pypi:project-status-reason" content="steals keys">`)
	page("b", `<meta name="pypi:project-status" content="deprecated">`, b, wheel("b", "2.0", intaketest.Opts{}))
	before := photograph(t, w.path("site"), w.path("state"))
	dry, err := Build(t.Context(), w.Config, Options{DryRun: true})
	if err != nil || dry.Status != 6 {
		t.Errorf("foreseen %+v, %v", dry, err)
	}
	if r, err := Build(t.Context(), w.Config, Options{Offline: true, DryRun: true}); err != nil || r.Status != 3 {
		t.Errorf("offline %+v, %v", r, err)
	}
	if d := before.differences(photograph(t, w.path("site"), w.path("state")), w.dir); len(d) > 0 {
		t.Errorf("a dry run changed %q", d)
	}
	w.tells(w.build(6), "alarm", "disk has quarantined it (steals keys)")
	w.lists(b1, mine)
	if w.exists("site/" + path) {
		t.Error("it is served")
	}
	if s := w.page("b").Status.Status; s != "" && s != "active" {
		t.Errorf("b is %s", s)
	}
	w.verifies()
	w.tells(w.build(6), "alarm", "disk has quarantined it (steals keys)")

	page("a", "", a) // no quarantine ends
	w.held()
	w.lists(b1, mine)
	w.write("policy.toml", "[[status]]\nproject = \"a\"\nstatus = \"quarantined\"\n") // somebody knows of it
	page("a", `<meta name="pypi:project-status" content="quarantined">`)
	w.build(3)
	w.held()
	w.write("policy.toml", "")
	page("a", "", a)
	w.write("allowlist.txt", "a\nb\n")
	w.resume()
	w.build(0)
	w.lists(a1, "b-2.0-py3-none-any.whl", mine)
	w.whole()
}

// Bytes that are gone are named, and nothing is done, unless it is by force.
func TestRollbackToWhatIsGone(t *testing.T) {
	w, old, back, first := lostBytes(t)
	w.remove("drop/" + back)
	w.drop("b", "2.0", intaketest.Opts{})
	w.build(0)
	before := photograph(t, w.path("site"))
	serial := w.serial()
	_, err := Rollback(t.Context(), w.Config, Options{}, RollbackRequest{Serial: first})
	if !errors.Is(err, ErrSettings) || !strings.Contains(err.Error(), old) || !strings.Contains(Hint(err), "--force") {
		t.Errorf("%v (%s)", err, Hint(err))
	}
	if d := before.differences(photograph(t, w.path("site")), w.path("site")); len(d) > 0 || w.serial() != serial {
		t.Errorf("changed: %q", d)
	}
	if held, err := RolledBack(t.Context(), w.Config); err != nil || held != nil {
		t.Errorf("held back: %+v, %v", held, err)
	}
	d, err := Rollback(t.Context(), w.Config, Options{}, RollbackRequest{Serial: first, Force: true})
	if err != nil || !slices.Equal(d.Gone, []string{old}) || d.Restored != 1 || d.Withdrawn != 2 {
		t.Errorf("by force: %+v, %v", d, err)
	}
	w.lists(back)
	w.held()
}

// While a site is held back nothing new comes by a request; the bytes of what it
// announces do.
func TestRequestsWhileRolledBack(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	srv := fetchtest.New(t, foo, wheelFile(t, "bar", "1.0"))
	w := lazy(t, "fetch", srv)
	w.ask(w.join(), "foo", 0)
	w.build(0)
	w.rollback(w.serial())
	srv.SetFiles(foo, wheelFile(t, "foo", "2.0"), wheelFile(t, "bar", "1.0"))
	srv.Forget()
	w.Fallback.Refresh = 1
	w.ask(w.join(), "bar", NotHere)
	w.ask(w.join(), "foo", 0)
	if q := srv.Requests(""); len(q) > 0 {
		t.Errorf("asked for %v", q)
	}
	if got := w.page("foo").Files; len(got) != 1 {
		t.Errorf("something new is listed: %+v", got)
	}
	if _, err := w.fetch(w.join(), w.pathOf("foo", foo.Filename)); err != nil {
		t.Errorf("the bytes of what is announced: %v", err)
	}
	w.build(3)
	w.held()
	w.resume()
	w.ask(w.join(), "bar", 0)
	w.ask(w.join(), "foo", 0)
	if got := w.page("foo").Files; len(got) != 2 {
		t.Errorf("after the end: %+v", got)
	}
	w.build(0)
	w.whole()
}

// What was announced and has come since is listed as it is; what was here and is only
// announced comes when somebody asks.
func TestRollbackOfWhatIsAnnounced(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	srv := fetchtest.New(t, foo)
	w := lazy(t, "fetch", srv)
	w.ask(w.join(), "foo", 0)
	w.build(0)
	first := w.serial()
	w.snapshot("announced", 0)
	w.knowAnnounced()
	w.listsIn("snapshots/announced", foo.Filename)
	if _, err := w.fetch(w.join(), w.pathOf("foo", foo.Filename)); err != nil {
		t.Fatal(err)
	}
	w.build(0)
	w.listsIn("snapshots/announced", foo.Filename)
	w.whole()
	if d := w.rollback(first); d.Projects != 0 {
		t.Errorf("done %+v", d)
	}
	w.held()
	w.resume()
	// A snapshot pins what has come.
	w.OnDemand = nil
	w.write("policy.toml", "")
	w.write("allowlist.txt", "")
	w.build(0, Options{AllowRemovals: true})
	w.lists()
	w.listsIn("snapshots/announced", foo.Filename)
	w.snapshot("later", first)
	w.listsIn("snapshots/later", foo.Filename)
	w.whole()
}

// While a site is held back nothing is uploaded to it.
func TestUploadsWhileRolledBack(t *testing.T) {
	w := newUploadWorld(t)
	l := w.join()
	file, data := intaketest.Wheel("foo", "1.0", plain)
	w.uploads(l, file, data)
	w.build(0)
	w.rollback(w.serial())
	other, more := intaketest.Wheel("foo", "2.0", plain)
	w.refuses(l, other, more, NotAllowed, "rolled back to an older state")
	w.refuses(l, file, data, NotAllowed, "rolled back to an older state")
	w.lists(file)
	if left, _ := filepath.Glob(w.path("uploads/*/*2.0*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	w.nothingStaged(l)
	w.held()
	w.resume()
	w.uploads(l, other, more)
	w.lists(file, other)
	w.build(0)
	w.whole()
}

// An upload that comes after a state is taken out by going back to it, and is there
// again when that ends.
func TestARollbackTakesUploadsOut(t *testing.T) {
	w := newUploadWorld(t)
	l := w.join()
	file, data := intaketest.Wheel("foo", "1.0", plain)
	w.uploads(l, file, data)
	w.build(0)
	first := w.serial()
	other, more := intaketest.Wheel("foo", "2.0", plain)
	w.uploads(l, other, more)
	w.build(0)
	w.rollback(first)
	w.lists(file)
	w.held()
	w.resume()
	w.build(0)
	w.lists(file, other)
	w.whole()
}

// A run that dies after it has noted the rollback is finished by the next build.
func TestARollbackThatDied(t *testing.T) {
	w := builtWorld(t)
	first := w.serial()
	w.drop("a", "2.0", intaketest.Opts{})
	w.build(0)
	err := w.atWork(t.Context(), Options{}, func(s *site) error {
		done := &RollbackDone{HeldBack: HeldBack{Serial: first, By: "alice"}}
		return s.catalog.Update(t.Context(), Now(), func(tx *catalog.Tx) error {
			return s.noteRollback(t.Context(), tx, RollbackRequest{Serial: first}, done)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	w.lists(a1, a2)
	w.build(3)
	w.lists(a1)
	w.held()
}

// A catalog from a backup that was made before a rollback learns of it from the log.
func TestARollbackOutlivesABackup(t *testing.T) {
	w := builtWorld(t)
	first := w.serial()
	w.snapshot("good", 0)
	w.drop("a", "2.0", intaketest.Opts{})
	w.build(0)
	restore := w.backUp()
	for _, r := range []RollbackRequest{{Serial: first, Who: "alice"}, {Tag: "good", Who: "alice"}} {
		if _, err := Rollback(t.Context(), w.Config, Options{}, r); err != nil {
			t.Fatal(err)
		}
		was, err := RolledBack(t.Context(), w.Config)
		if err != nil {
			t.Fatal(err)
		}
		restore()
		w.build(3)
		w.lists(a1)
		now, err := RolledBack(t.Context(), w.Config)
		if err != nil || now == nil || now.Serial != was.Serial || now.Tag != was.Tag || now.By != "somebody" { // the log does not say who
			t.Errorf("held back: %+v, %v, want %+v", now, err, was)
		}
		w.held()
		w.resume()
		restore()
		w.build(0)
		w.lists(a1, a2)
		if now, err := RolledBack(t.Context(), w.Config); err != nil || now != nil {
			t.Errorf("after the end: %+v, %v", now, err)
		}
		restore = w.backUp()
	}
}

// While a site is held back no rule of gc takes anything out of the index.
func TestRetentionWhileRolledBack(t *testing.T) {
	w := builtWorld(t)
	w.rollback(w.serial())
	g, err := GC(t.Context(), w.Config, Options{Retention: Retention{Keep: 1}})
	if err != nil || !strings.Contains(g.NotJudged, "rolled back to serial") {
		t.Errorf("%+v, %v", g, err)
	}
}

// What a rollback takes out is here until a build has gone on, however long the site is
// held back: what was imported would come from nowhere else.
func TestNothingIsDeletedWhileRolledBack(t *testing.T) {
	near := newWorld(t)
	near.drop("theirs", "1.0", intaketest.Opts{})
	near.build(0)
	far := newWorld(t)
	link(t, near, "near.example", far)
	setClock(t, "1800000000")
	mine := far.drop("mine", "1.0", intaketest.Opts{})
	far.build(0)
	first := far.serial()
	far.imports(0, exported(t, near, t.TempDir(), ExportOptions{})...)
	theirs := "theirs-1.0-py3-none-any.whl"
	far.lists(mine, theirs)
	path := "site/" + far.pathOf("theirs", theirs)
	far.rollback(first)
	far.lists(mine)

	is := func(about string) {
		t.Helper()
		if !far.exists(path) {
			t.Fatalf("%s: the bytes are gone", about)
		}
	}
	setClock(t, "1900000000") // long after the grace
	far.held()
	is("a build")
	if g := far.collect(Retention{}); len(g.Paths) != 0 || g.Waiting != 1 {
		t.Errorf("%+v", g)
	}
	is("gc")
	far.collect(Retention{UnwantedFor: days(1)})
	is("gc in a hurry")
	far.resume()
	far.collect(Retention{})
	is("gc before a build")
	far.build(0, Options{Packages: []packaging.Name{"mine"}})
	is("a build of something else")
	far.build(0)
	far.lists(mine, theirs)
	far.whole()
	far.remove("drop/" + mine)
	far.build(0, Options{AllowRemovals: true})
	setClock(t, "1990000000")
	if r := far.build(0); r.Deleted != 1 {
		t.Errorf("what is due is not deleted any more: %+v", r)
	}
}

// There and back, also to a snapshot of which gc has taken bytes: the log and the tree
// agree after each step.
func TestThereAndBack(t *testing.T) {
	w := newWorld(t)
	setClock(t, "1800000000")
	gone := w.drop("gone", "1.0", intaketest.Opts{})
	stays := w.drop("stays", "1.0", intaketest.Opts{})
	w.build(0)
	first := w.serial()
	w.remove("drop/" + gone)
	other := w.drop("other", "1.0", intaketest.Opts{})
	w.build(0, Options{AllowRemovals: true})
	second := w.serial()
	setClock(t, "1900000000")
	if g := w.collect(Retention{}); len(g.Paths) != 1 {
		t.Errorf("gc: %+v", g)
	}
	if _, err := CreateSnapshot(t.Context(), w.Config, Options{}, SnapshotRequest{Tag: "old", Serial: first, Force: true}); err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		RollbackRequest
		want []string
	}{
		{RollbackRequest{Tag: "old", Force: true}, []string{stays}},
		{RollbackRequest{Tag: "old", Force: true}, []string{stays}},
		{RollbackRequest{Serial: second}, []string{stays, other}},
		{RollbackRequest{Serial: first, Force: true}, []string{stays}},
	} {
		d, err := Rollback(t.Context(), w.Config, Options{}, step.RollbackRequest)
		if err != nil || d.Already != (i == 1) {
			t.Fatalf("step %d: %+v, %v", i, d, err)
		}
		w.lists(step.want...)
		w.checkLog()
		w.held()
		w.checkLog()
	}
	if _, err := Rollback(t.Context(), w.Config, Options{}, RollbackRequest{Tag: "old"}); !errors.Is(err, ErrSettings) {
		t.Errorf("without force: %v", err)
	}
	w.resume()
	w.build(0)
	w.lists(stays, other)
	w.whole()
}

// What had come on demand and comes back before its grace is over is here, and not merely
// announced.
func TestWhatComesBackOnDemandIsHere(t *testing.T) {
	t.Parallel()
	w := lazy(t, "fetch", fetchtest.New(t, wheelFile(t, "b", "1.0")))
	w.drop("a", "1.0", plain)
	first := w.build(0).Serial
	l := w.join()
	w.ask(l, "b", 0)
	if _, err := w.fetch(l, w.pathOf("b", b1)); err != nil {
		t.Fatal(err)
	}
	w.build(0)
	w.rollback(first)
	w.resume()
	w.build(0)
	w.ask(l, "b", 0)
	w.lists(a1, b1)
	w.verifies()
	w.build(0)
	w.whole()
}
