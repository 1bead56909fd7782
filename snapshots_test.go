package nestgen

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/layout"
)

// snapshot makes a snapshot and checks the tree.
func (w *world) snapshot(tag string, serial int64) *SnapshotDone {
	w.Helper()
	d, err := CreateSnapshot(w.Context(), w.Config, Options{}, SnapshotRequest{Tag: tag, Serial: serial, Note: "tested", Who: "alice"})
	if err != nil {
		w.Fatalf("snapshot %s of serial %d: %v", tag, serial, err)
	}
	w.checkTree()
	return d
}

func (w *world) dropSnapshot(tags ...string) {
	w.Helper()
	if _, err := DropSnapshots(w.Context(), w.Config, Options{}, "bob", tags...); err != nil {
		w.Fatalf("drop %q: %v", tags, err)
	}
	w.checkTree()
}

// siteEvents gives the events about the whole site, as "verb source reason".
func (w *world) siteEvents() (all []string) {
	w.Helper()
	for _, e := range w.history() {
		if e.Project == "" {
			all = append(all, fmt.Sprintf("%s %s %s", e.Verb, e.Source, e.Reason))
		}
	}
	return all
}

// hasBytes reports whether the store has the bytes of a file.
func (w *world) hasBytes(name string) bool {
	w.Helper()
	found, err := filepath.Glob(w.path("site/packages/*/*/*/" + name))
	if err != nil {
		w.Fatal(err)
	}
	return len(found) > 0
}

// tags gives the names of the snapshots, in the order in which they were made.
func (w *world) tags() []string {
	w.Helper()
	all, err := Snapshots(w.Context(), w.Config)
	if err != nil {
		w.Fatal(err)
	}
	tags := []string{}
	for _, s := range all {
		tags = append(tags, s.Tag)
	}
	return tags
}

// A snapshot stays as it was while the site goes on, with its bytes, and with it stay
// the times of its pages.
func TestASnapshotIsFrozen(t *testing.T) {
	srv := fetchtest.New(t, wheel("a", "1.0", intaketest.Opts{}), wheel("b", "1.0", intaketest.Opts{}))
	w := newWorld(t, srv)
	setClock(t, "1800000000")
	w.write("allowlist.txt", "a\nb\n")
	w.build(0)
	before := photograph(t, w.path("site/simple"), w.path("site/flat"), w.path("site/project"), w.path("site/index.html"))
	first := w.serial()
	d := w.snapshot("one", 0)
	if d.Serial != first || d.Projects != 2 || d.Files != 2 || d.Pages.Written == 0 || d.Already {
		t.Errorf("made %+v", d)
	}
	if diff := before.differences(photograph(t, w.path("site/simple"), w.path("site/flat"), w.path("site/project"), w.path("site/index.html")), w.path("site")); len(diff) > 0 {
		t.Errorf("a snapshot changed %q", diff)
	}
	w.listsIn("snapshots/one", a1, b1)
	for _, page := range []string{"simple/a/index.html", "simple/a/index.v1_json"} {
		if w.read("site/snapshots/one/"+page) == "" {
			t.Errorf("%s is empty", page)
		}
	}
	for _, none := range []string{"flat", "easy", "project", "pypi", "index.html"} {
		if w.exists("site/snapshots/one/" + none) {
			t.Errorf("a snapshot has %s", none)
		}
	}
	w.whole()
	if d := w.snapshot("one", 0); !d.Already || d.Pages.Written > 0 || d.Serial != first {
		t.Errorf("made again: %+v", d)
	}

	frozen := photograph(t, w.path("site/snapshots/one"))
	srv.SetFiles(wheel("a", "1.0", intaketest.Opts{}), yanked(wheel("a", "2.0", intaketest.Opts{}), "old"), wheel("a", "3.0", intaketest.Opts{}), wheel("b", "1.0", intaketest.Opts{}))
	w.write("allowlist.txt", "a\n")
	w.write("policy.toml", "[[yank]]\nproject = \"a\"\nversions = \"==1.0\"\n[[note]]\nproject = \"a\"\ntext = \"x\"\n[[status]]\nproject = \"a\"\nstatus = \"archived\"\n")
	mine := w.drop("mine", "1.0", intaketest.Opts{})
	w.build(0, Options{AllowRemovals: true})
	w.lists("a-3.0-py3-none-any.whl", mine)
	w.whole()
	if diff := frozen.differences(photograph(t, w.path("site/snapshots/one")), w.path("site")); len(diff) > 0 {
		t.Errorf("the site goes on, and the snapshot changed: %q", diff)
	}
	// The state of then can be had later as well; nobody else gets its name.
	w.snapshot("late", first)
	w.listsIn("snapshots/late", a1, b1)
	if _, err := CreateSnapshot(t.Context(), w.Config, Options{}, SnapshotRequest{Tag: "one"}); !errors.Is(err, ErrSettings) || !strings.Contains(err.Error(), "already") {
		t.Errorf("a name that is taken: %v", err)
	}
	if got := w.tags(); !slices.Equal(got, []string{"late", "one"}) { // at the same second
		t.Errorf("snapshots %q", got)
	}
	list := w.read("site/" + layout.SnapshotsHTML)
	for _, want := range []string{`href="one/simple/"`, `href="late/simple/"`, "tested", "2 projects, 2 files", fmt.Sprintf("serial %d", first)} {
		if !strings.Contains(list, want) {
			t.Errorf("the page of snapshots lacks %s:\n%s", want, list)
		}
	}

	// Their bytes outlast every grace, and begin one when the last of them is dropped.
	setClock(t, "1900000000")
	w.build(0)
	if _, err := GC(t.Context(), w.Config, Options{}); err != nil {
		t.Fatal(err)
	}
	w.listsIn("snapshots/one", a1, b1)
	w.dropSnapshot("one")
	if w.exists("site/snapshots/one") || strings.Contains(w.read("site/"+layout.SnapshotsHTML), `href="one/`) {
		t.Error("a snapshot that was dropped is still there")
	}
	w.build(0)
	w.listsIn("snapshots/late", a1, b1)
	w.dropSnapshot("late")
	if w.exists("site/" + layout.SnapshotsHTML) {
		t.Error("there is a page of no snapshots")
	}
	w.build(0)
	if !w.hasBytes(b1) {
		t.Error("the bytes went before their grace was over")
	}
	setClock(t, "1900700000")
	w.build(0)
	if w.hasBytes(b1) {
		t.Error("the bytes are there after their grace")
	}
	w.whole()
	want := []string{fmt.Sprintf("snapshot alice one serial %d: tested", first), fmt.Sprintf("snapshot alice late serial %d: tested", first),
		fmt.Sprintf("drop bob one serial %d", first), fmt.Sprintf("drop bob late serial %d", first)}
	if got := w.siteEvents(); !slices.Equal(got, want) {
		t.Errorf("events\n%q, want\n%q", got, want)
	}
}

// What nobody is to have is in no snapshot either, as long as that is so.
func TestThePolicyReachesASnapshot(t *testing.T) {
	srv := fetchtest.New(t, wheel("a", "1.0", intaketest.Opts{}), wheel("a", "2.0", intaketest.Opts{}), wheel("b", "1.0", intaketest.Opts{}))
	w := newWorld(t, srv)
	setClock(t, "1800000000")
	w.write("allowlist.txt", "a==1.0\na==2.0\nb\n")
	w.write("policy.toml", "")
	w.build(0)
	w.snapshot("one", 0)
	whole := photograph(t, w.path("site/snapshots/one"))
	srv.SetFiles(wheel("a", "2.0", intaketest.Opts{}), wheel("a", "3.0", intaketest.Opts{}), wheel("b", "1.0", intaketest.Opts{}))
	w.write("allowlist.txt", "a\nb\n")
	w.build(0)

	for project, left := range map[string][]string{"a": {a2, b1}, "*": {a2}} {
		w.write("policy.toml", fmt.Sprintf("[[block]]\nproject = %q\nversions = \"==1.0\"\nreason = \"evil\"\n", project))
		w.build(0, Options{AllowRemovals: true})
		w.listsIn("snapshots/one", left...)
		if w.hasBytes(a1) {
			t.Error("what is blocked is still served")
		}
		w.whole()
		// It comes back, however late.
		setClock(t, "1900000000")
		w.build(0)
		if _, err := GC(t.Context(), w.Config, Options{}); err != nil {
			t.Fatal(err)
		}
		w.write("policy.toml", "")
		w.build(0)
		w.listsIn("snapshots/one", a1, a2, b1)
		w.whole()
	}
	w.write("policy.toml", "[[status]]\nproject = \"a\"\nstatus = \"quarantined\"\nreason = \"evil\"\n")
	w.build(0)
	w.listsIn("snapshots/one", b1)
	var p simplePage
	unmarshal(t, w.read("site/snapshots/one/simple/a/index.v1_json"), &p)
	if p.Status.Status != "quarantined" {
		t.Errorf("status %+v", p.Status)
	}
	if w.hasBytes(a2) {
		t.Error("what is quarantined is still served")
	}
	w.whole()
	// A snapshot that is made meanwhile has what comes back as well.
	w.snapshot("two", w.serial()-1)
	w.listsIn("snapshots/two", b1)
	w.write("policy.toml", "[[status]]\nproject = \"a\"\nstatus = \"active\"\n")
	w.build(0)
	w.listsIn("snapshots/one", a1, a2, b1)
	w.listsIn("snapshots/two", "a-3.0-py3-none-any.whl", b1)
	w.whole()
	for path, was := range whole {
		if is := photograph(t, w.path("site/snapshots/one"))[path]; strings.HasSuffix(path, "_json") && strings.Fields(is)[2] != strings.Fields(was)[2] {
			t.Errorf("%s is not as it was", path)
		}
	}
}

// What is blocked is served by nobody, also where only a snapshot has it; and what a run
// was to put away that died, and may be had again, stays where it is.
func TestBlockedInASnapshotAlone(t *testing.T) {
	for _, dies := range []bool{false, true} {
		w := newWorld(t)
		w.write("policy.toml", "")
		mine := w.drop("mine", "1.0", intaketest.Opts{})
		w.drop("other", "1.0", intaketest.Opts{})
		w.build(0)
		first := w.serial()
		if dies {
			w.snapshot("one", 0)
		}
		w.remove("drop/" + mine)
		w.build(0, Options{AllowRemovals: true})
		w.write("policy.toml", "[[block]]\nproject = \"mine\"\nreason = \"evil\"\n")
		if dies {
			err := w.atWork(t.Context(), Options{}, func(s *site) error { return s.updateViews(t.Context()) })
			if err != nil {
				t.Fatal(err)
			}
		} else {
			w.snapshot("one", first)
			w.listsIn("snapshots/one", "other-1.0-py3-none-any.whl")
			if w.hasBytes(mine) {
				t.Error("what is blocked is served")
			}
		}
		w.write("policy.toml", "")
		w.build(0)
		w.listsIn("snapshots/one", mine, "other-1.0-py3-none-any.whl")
		w.whole()
	}
}

// What an upstream quarantines is quarantined in snapshots, also where the site asks
// for it no more.
func TestAQuarantineLastsInASnapshot(t *testing.T) {
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"), wheelFile(t, "bar", "1.0"))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "foo\nbar\n")
	w.build(0)
	first := w.serial()
	w.snapshot("one", 0)
	w.write("policy.toml", "[[status]]\nproject = \"foo\"\nstatus = \"quarantined\"\nreason = \"steals keys\"\n")
	w.build(0)
	second := w.serial()
	w.write("allowlist.txt", "bar\n")
	w.build(0)
	w.write("policy.toml", "")
	w.build(0)
	bar := "bar-1.0-py3-none-any.whl"
	w.listsIn("snapshots/one", bar)
	w.snapshot("of-then", second)
	w.listsIn("snapshots/of-then", bar)
	w.whole()
	w.write("policy.toml", "[[status]]\nproject = \"foo\"\nstatus = \"active\"\n")
	w.build(0)
	w.listsIn("snapshots/one", bar, "foo-1.0-py3-none-any.whl")
	w.listsIn("snapshots/of-then", bar, "foo-1.0-py3-none-any.whl")
	w.snapshot("first", first)
	w.listsIn("snapshots/first", bar, "foo-1.0-py3-none-any.whl")
	w.whole()
}

// What an advisory calls malware leaves snapshots, and comes back if that was wrong.
func TestAnAdvisoryReachesASnapshot(t *testing.T) {
	w, _ := advised(t, "a\nb\n", []string{osv("MAL-1", "other", "introduced=0")}, wheel("a", "1.0", plain), wheel("b", "1.0", plain))
	w.build(0)
	w.snapshot("one", 0)
	w.write("osv.zip", dump(t, osv("MAL-1", "other", "introduced=0"), osv("MAL-2", "a", "introduced=0")))
	w.build(6)
	w.listsIn("snapshots/one", b1)
	w.write("osv.zip", dump(t, osv("MAL-1", "other", "introduced=0")))
	w.build(0)
	w.listsIn("snapshots/one", a1, b1)
	w.whole()
}

// lostBytes gives a site that listed two files up to the serial first, and now lists
// another one in the place of gone, whose bytes are not there any more.
func lostBytes(t *testing.T) (w *world, gone, kept string, first int64) {
	t.Helper()
	w = newWorld(t)
	setClock(t, "1800000000")
	gone, kept = w.drop("a", "1.0", plain), w.drop("b", "1.0", plain)
	w.build(0)
	first = w.serial()
	w.remove("drop/" + gone)
	w.drop("a", "2.0", plain)
	w.build(0)
	setClock(t, "1900000000")
	w.build(0)
	if w.hasBytes(gone) {
		t.Fatal("the bytes are still there")
	}
	return w, gone, kept, first
}

// A serial that is not there, or of which nothing is known, or whose bytes are gone, is
// refused; the last with --force is made of what is left, and says so.
func TestSnapshotsThatCannotBe(t *testing.T) {
	w, old, keep, first := lostBytes(t)
	for _, tt := range []struct {
		r    SnapshotRequest
		want string
	}{
		{SnapshotRequest{Tag: "x", Serial: 1000}, fmt.Sprintf("the last one is %d", w.serial())},
		{SnapshotRequest{Tag: "x", Serial: -1}, "the last one is"},
		{SnapshotRequest{Tag: "x", Serial: first}, "the bytes of " + old + " are gone"},
		{SnapshotRequest{Tag: "X"}, "want a name"},
		{SnapshotRequest{Tag: "a/b"}, "want a name"},
		{SnapshotRequest{Tag: "12"}, "is no number"},
		{SnapshotRequest{Tag: "now"}, "want a name"},
		{SnapshotRequest{Tag: "simple"}, "want a name"},
		{SnapshotRequest{Tag: ""}, "want a name"},
		{SnapshotRequest{Tag: "x", Note: "two\nlines"}, "want one line"},
	} {
		if _, err := CreateSnapshot(t.Context(), w.Config, Options{}, tt.r); !errors.Is(err, ErrSettings) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.r, err, tt.want)
		}
	}
	if _, err := DropSnapshots(t.Context(), w.Config, Options{}, "", "nope"); !errors.Is(err, ErrSettings) {
		t.Errorf("drop what is not there: %v", err)
	}
	d, err := CreateSnapshot(t.Context(), w.Config, Options{}, SnapshotRequest{Tag: "part", Serial: first, Force: true})
	if err != nil || !slices.Equal(d.Lacking, []string{old}) || d.Files != 1 {
		t.Fatalf("by force: %+v, %v", d, err)
	}
	w.listsIn("snapshots/part", keep)
	all, err := Snapshots(t.Context(), w.Config)
	if err != nil || len(all) != 1 || !slices.Equal(all[0].Lacking, []string{old}) {
		t.Errorf("snapshots %+v, %v", all, err)
	}
	if !strings.Contains(w.read("site/"+layout.SnapshotsHTML), "without 1 file") {
		t.Error("the page of snapshots does not say what is missing")
	}
	w.whole()
}

// The history of an older catalog begins when it was brought up to date.
func TestNoSnapshotOfWhatIsNotKnown(t *testing.T) {
	w := builtWorld(t)
	err := w.catalogUpdate(func(tx *catalog.Tx) error { return tx.SetMeta("records begin", "2") })
	if err != nil {
		t.Fatal(err)
	}
	w.drop("b", "1.0", intaketest.Opts{})
	w.build(0)
	_, err = CreateSnapshot(t.Context(), w.Config, Options{}, SnapshotRequest{Tag: "x", Serial: 1})
	if !errors.Is(err, ErrSettings) || !strings.Contains(Hint(err), "from serial 2 on") {
		t.Errorf("before the history: %v, %s", err, Hint(err))
	}
	w.snapshot("x", 2)
}

// Rules make dated snapshots and drop the oldest of their own; a person's stay.
func TestSnapshotRules(t *testing.T) {
	w := newWorld(t)
	if err := w.Snapshots.UnmarshalTOML([]any{"weekly, keep 2", "monthly, keep 1"}); err != nil {
		t.Fatal(err)
	}
	at := func(second string) {
		t.Helper()
		setClock(t, second)
		w.build(0)
	}
	w.drop("a", "1.0", intaketest.Opts{})
	at("1764460800") // Sunday 2025-11-30
	want := func(tags ...string) {
		t.Helper()
		if got := w.tags(); !slices.Equal(got, tags) {
			t.Errorf("snapshots %q, want %q", got, tags)
		}
		w.whole()
	}
	want("2025-11", "2025-w48")
	at("1764500000") // the same day
	want("2025-11", "2025-w48")
	w.snapshot("mine", 0)
	w.drop("a", "2.0", intaketest.Opts{})
	at("1764547200") // Monday 2025-12-01
	want("2025-w48", "mine", "2025-12", "2025-w49")
	w.listsIn("snapshots/2025-w48", a1)
	w.listsIn("snapshots/2025-w49", a1, a2)
	w.listsIn("snapshots/2025-12", a1, a2)
	w.dropSnapshot("2025-w49") // it does not come again
	at("1764560000")
	want("2025-w48", "mine", "2025-12")
	at("1764460800") // nor does a clock that is set back make one
	want("2025-w48", "mine", "2025-12")
	at("1767571200") // Monday 2026-01-05: nothing has changed, and it is made
	want("2025-w48", "mine", "2026-01", "2026-w02")
	at("1768176000")
	want("mine", "2026-01", "2026-w02", "2026-w03")
	w.Snapshots = nil
	at("1798700000")
	want("mine", "2026-01", "2026-w02", "2026-w03")
}

func TestSnapshotRulesAsWritten(t *testing.T) {
	for _, tt := range []struct {
		toml, want string
	}{
		{`snapshots = "weekly, keep 8"`, "[weekly, keep 8]"},
		{`snapshots = ["daily,keep 7", "monthly, keep  12"]`, "[daily, keep 7 monthly, keep 12]"},
		{`snapshots = "hourly, keep 1000"`, "[hourly, keep 1000]"},
		{`snapshots = ""`, "[]"},
		{``, "[]"},
		{`snapshots = "weekly"`, "how many stay"},
		{`snapshots = "yearly, keep 8"`, "want hourly"},
		{`snapshots = "weekly, keep 0"`, "how many stay"},
		{`snapshots = "weekly, keep 1001"`, "at most 1000"},
		{`snapshots = "weekly, 8"`, "how many stay"},
		{`snapshots = ["daily, keep 1", "daily, keep 2"]`, "two daily rules"},
		{`snapshots = 7`, "want a rule"},
		{`snapshots = [""]`, ""},
	} {
		w := newWorld(t)
		w.write("nestgen.toml", tt.toml+"\n")
		c, err := Load(w.path("nestgen.toml"))
		got := fmt.Sprint([]SnapshotRule(c.Snapshots))
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.toml, got, tt.want)
		}
	}
}

// What a run that died has left of a snapshot the next one finishes, whichever it is.
func TestSnapshotsThatWereBegun(t *testing.T) {
	for _, next := range []string{"build", "the same", "drop"} {
		t.Run(next, func(t *testing.T) {
			w := newWorld(t)
			a := w.drop("a", "1.0", intaketest.Opts{})
			w.build(0)
			w.snapshot("old", 0)
			err := w.atWork(t.Context(), Options{}, func(s *site) error {
				return errors.Join(s.beginSnapshot(t.Context(), SnapshotRequest{Tag: "new"}, 1), s.leaveSnapshots(t.Context(), []catalog.Tagged{{Tag: "old", Serial: 1}}, "me"))
			})
			if err != nil {
				t.Fatal(err)
			}
			switch next {
			case "build":
				w.build(0)
			case "the same":
				if d := w.snapshot("new", 0); d.Already {
					t.Errorf("it was not there: %+v", d)
				}
			case "drop":
				w.dropSnapshot("new")
			}
			if w.exists("site/snapshots/old") {
				t.Error("what was dropped is there")
			}
			if next == "drop" {
				if len(w.tags()) > 0 || w.exists("site/snapshots/index.html") {
					t.Errorf("snapshots %q", w.tags())
				}
			} else {
				w.listsIn("snapshots/new", a)
			}
			w.whole()
		})
	}
}

// What a snapshot is to have that a run has left half made is not deleted before the next
// run has made the rest, even if it is due.
func TestGCBesideASnapshotThatWasBegun(t *testing.T) {
	w := newWorld(t)
	goes := w.drop("a", "1.0", intaketest.Opts{})
	w.drop("a", "2.0", intaketest.Opts{})
	w.build(0)
	path, serial := w.pathOf("a", goes), w.serial()
	w.remove("drop/" + goes)
	w.build(0)
	err := w.atWork(t.Context(), Options{}, func(s *site) error {
		return s.beginSnapshot(t.Context(), SnapshotRequest{Tag: "new"}, serial)
	})
	if err != nil {
		t.Fatal(err)
	}
	setLater(t)
	for _, dry := range []bool{true, false} {
		if _, err := GC(t.Context(), w.Config, Options{DryRun: dry}); !errors.Is(err, ErrIncomplete) || Hint(err) == "" {
			t.Errorf("gc: %v", err)
		}
	}
	if !w.exists("site/" + path) {
		t.Fatal("gc deleted what the snapshot is to have")
	}
	w.build(0)
	if g := w.collect(Retention{}); len(g.Paths) > 0 || !w.exists("site/"+path) {
		t.Errorf("gc deleted %q", g.Paths)
	}
	w.listsIn("snapshots/new", goes, "a-2.0-py3-none-any.whl")
	w.whole()
}

// Verify finds what is wrong in a snapshot, mends it, and removes what is left of one
// that is no more.
func TestVerifySnapshots(t *testing.T) {
	w := builtWorld(t)
	w.snapshot("one", 0)
	good := photograph(t, w.path("site"))
	w.write("site/snapshots/one/simple/a/index.html", "<html></html>")
	w.write("site/snapshots/index.html", "<html></html>")
	w.write("site/snapshots/gone/simple/a/index.html", "<html></html>")
	v, err := Verify(t.Context(), w.Config, Options{}, false)
	if err != nil || len(v.Findings) != 3 {
		t.Errorf("%+v, %v", v, err)
	}
	if v, err = Verify(t.Context(), w.Config, Options{}, true); err != nil || !v.Whole() {
		t.Errorf("%+v, %v", v, err)
	}
	for path, is := range photograph(t, w.path("site")) {
		if strings.HasSuffix(path, ".html") && strings.Fields(is)[2] != strings.Fields(good[path] + " - - -")[2] {
			t.Errorf("%s: not as it was", path)
		}
	}
	w.whole()
}

// Settings of the pages for people change no page of a snapshot.
func TestASnapshotHasItsPagesOnly(t *testing.T) {
	w := newWorld(t)
	w.drop("a", "1.0", intaketest.Opts{Spelling: "A"})
	w.build(0)
	w.snapshot("one", 0)
	before := photograph(t, w.path("site/snapshots/one"))
	if !w.exists("site/snapshots/one/simple/A/index.html") {
		t.Error("no page under the other spelling")
	}
	w.Title, w.People, w.Flat, w.LegacyJSON = "Other", false, false, "none"
	w.build(0)
	if w.exists("site/snapshots/index.html") {
		t.Error("a page for people")
	}
	if d := before.differences(photograph(t, w.path("site/snapshots/one")), w.path("site")); len(d) > 0 {
		t.Errorf("changed: %q", d)
	}
	w.whole()
	w.Gzip, w.People = true, true
	w.build(0)
	if !w.exists("site/snapshots/one/simple/a/index.html.gz") || !w.exists("site/snapshots/index.html.gz") {
		t.Error("no compressed siblings")
	}
	w.whole()
	w.dropSnapshot("one")
	if w.exists("site/snapshots") {
		t.Error("something is left")
	}
	w.whole()
}

// Snapshots are listed and compared as other indexes are.
func TestLookAtSnapshots(t *testing.T) {
	w := builtWorld(t)
	w.snapshot("one", 0)
	w.drop("a", "2.0", intaketest.Opts{})
	w.build(0)
	var names []string
	for p, err := range List(t.Context(), w.Config, SnapshotIndex("one")) {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Files {
			names = append(names, f.Filename)
		}
	}
	if !slices.Equal(names, []string{a1}) {
		t.Errorf("listed %q", names)
	}
	var diff []Difference
	for d, err := range Diff(t.Context(), w.Config, SnapshotIndex("one"), SnapshotIndex("now")) {
		if err != nil {
			t.Fatal(err)
		}
		diff = append(diff, d)
	}
	if len(diff) != 1 || diff[0].Filename != a2 || diff[0].Change != AddedFile {
		t.Errorf("differences %+v", diff)
	}
	for _, err := range List(t.Context(), w.Config, "snapshots/two") {
		if !errors.Is(err, ErrSettings) {
			t.Errorf("one that is not there: %v", err)
		}
	}
}
