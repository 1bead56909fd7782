package nestgen

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/layout"
	"nestgen/packaging"
)

// uploadedAt gives a file the time of its upload.
func uploadedAt(f fetchtest.File, at time.Time) fetchtest.File {
	f.Uploaded = at.UTC().Format("2006-01-02T15:04:05.000000Z")
	return f
}

// clockAt sets the time of day and the true time.
func clockAt(t *testing.T, at time.Time) { setClock(t, fmt.Sprint(at.Unix())) }

// heldFiles gives what the page of what is held says, by file name.
func (w *world) heldFiles() map[string]heldLine {
	w.Helper()
	var doc struct {
		Count int
		Held  []heldLine
	}
	if !w.exists("site/" + layout.HeldJSON) {
		return nil
	}
	if err := json.Unmarshal([]byte(w.read("site/"+layout.HeldJSON)), &doc); err != nil {
		w.Fatal(err)
	}
	held := map[string]heldLine{}
	for _, h := range doc.Held {
		held[h.Filename] = h
	}
	if len(held) != doc.Count {
		w.Errorf("the page counts %d and names %d", doc.Count, len(held))
	}
	return held
}

type heldLine struct {
	Project, Filename, Version, Source, Rule, Reason string
	Uploaded                                         *time.Time `json:"upload-time"`
	Until                                            *time.Time
}

// mentions names the files of the site, besides the pages of what is held, that
// have a text in their names or in their bytes.
func (w *world) mentions(text string) (found []string) {
	w.Helper()
	err := filepath.WalkDir(w.path("site"), func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(w.path("site"), name)
		data, err := os.ReadFile(name)
		if !strings.HasPrefix(rel, layout.Log+"/") && rel != layout.HeldHTML && rel != layout.HeldJSON && (strings.Contains(rel, text) || strings.Contains(string(data), text)) {
			found = append(found, rel)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		w.Fatal(err)
	}
	return found
}

// A malicious release is at the upstream for three hours. Builds every half hour
// for five days never publish a byte of it, or a word except that it is held, as
// long as new files have to wait for three days; without that they do.
func TestAMaliciousReleaseIsNeverPublished(t *testing.T) {
	start := time.Date(2026, 11, 20, 10, 52, 0, 0, time.UTC)
	const bad = "1.82.8"
	good := uploadedAt(wheelFile(t, "litellm", "1.82.6"), start.AddDate(0, 0, -40))
	wheel, sdist := uploadedAt(wheelFile(t, "litellm", bad), start), fetchtest.File{Project: "litellm"}
	sdist.Filename, sdist.Data = intaketest.Sdist("litellm", bad, intaketest.Opts{})
	sdist = uploadedAt(sdist, start.Add(time.Minute))

	replay := func(t *testing.T, minAge string, onDemand bool) (seen, held int) {
		srv := fetchtest.New(t, good)
		w := newWorld(t, srv)
		if onDemand {
			w = lazy(t, "fetch", srv)
			w.Fallback.Refresh = Duration(time.Minute)
		} else {
			w.write("allowlist.txt", "litellm\n")
		}
		if err := w.Hold.MinAge.UnmarshalText([]byte(minAge)); err != nil {
			t.Fatal(err)
		}
		l := w.join()
		var paths []string // at the upstream
		for at := start.Add(-time.Hour); at.Before(start.AddDate(0, 0, 5)); at = at.Add(30 * time.Minute) {
			published := !at.Before(start) && at.Before(start.Add(3*time.Hour))
			switch {
			case at.Equal(start):
				srv.SetFiles(good, wheel, sdist)
				paths = []string{srv.Path(wheel.Filename), srv.Path(sdist.Filename)}
			case at.Equal(start.Add(3 * time.Hour)):
				srv.SetFiles(good)
			}
			clockAt(t, at)
			if onDemand {
				w.ask(l, "litellm", 0)
				for _, f := range []fetchtest.File{wheel, sdist} {
					d, err := catalog.ParseDigest(fetchtest.SHA256(f.Data))
					if err != nil {
						t.Fatal(err)
					}
					if _, err := w.fetch(l, layout.File(d, f.Filename)); err == nil {
						seen++
					}
				}
			}
			r, err := Build(t.Context(), w.Config, Options{})
			if err != nil {
				t.Fatal(err)
			}
			w.checkTree()
			seen += len(w.mentions(bad))
			if len(w.page("litellm").Files) == 0 {
				t.Fatal("the good release is not listed")
			}
			waiting := w.heldFiles()
			held += len(waiting)
			if want := map[bool]int{true: 2}[published]; minAge == "3d" && (len(waiting) != want || r.Held != want || r.Status != 0) {
				t.Fatalf("%s: %d files are held, the report says %d, status %d; want %d\n%s", at, len(waiting), r.Held, r.Status, want, problemText(r))
			}
			if until := waiting[wheel.Filename].Until; published && minAge == "3d" && !until.Equal(start.AddDate(0, 0, 3)) {
				t.Fatalf("held until %v", until)
			}
		}
		if minAge == "3d" {
			w.verifies()
		}
		for _, path := range paths {
			seen += len(srv.Requests(path))
		}
		return seen, held
	}
	for _, onDemand := range []bool{false, true} {
		t.Run(fmt.Sprintf("on demand %v", onDemand), func(t *testing.T) {
			if seen, held := replay(t, "3d", onDemand); seen != 0 || held == 0 {
				t.Errorf("it was seen %d times, and held %d times", seen, held)
			}
			if seen, _ := replay(t, "0s", onDemand); seen == 0 {
				t.Error("the replay shows nothing without a hold either")
			}
		})
	}
}

// The same holds for what is not in the allowlist and only needed by what is: the
// older release is taken for it, and the malicious one is seen on the page of what is
// held and nowhere else.
func TestAMaliciousReleaseThatIsNeeded(t *testing.T) {
	start := time.Date(2026, 11, 20, 10, 52, 0, 0, time.UTC)
	old := start.AddDate(0, 0, -40)
	app := uploadedAt(needing("app", "1.0", "litellm>=1.80"), old)
	good, bad := uploadedAt(needing("litellm", "1.82.6"), old), uploadedAt(needing("litellm", "1.82.8"), start)
	for _, minAge := range []Duration{Duration(72 * time.Hour), 0} {
		w, srv := completing(t, "app\n", app, good)
		w.Hold.MinAge = minAge
		clockAt(t, start.Add(-time.Hour))
		w.build(0)
		w.lists(app.Filename, good.Filename)
		srv.SetFiles(app, good, bad)
		for _, hours := range []int{0, 1, 2} {
			clockAt(t, start.Add(time.Duration(hours)*time.Hour))
			w.build(0)
			if minAge == 0 {
				w.lists(app.Filename, bad.Filename) // so the replay can fail
				break
			}
			w.lists(app.Filename, good.Filename)
			if h := w.heldFiles(); len(h) != 1 || !h[bad.Filename].Until.Equal(start.Add(72*time.Hour)) || len(w.mentions("1.82.8")) > 0 {
				t.Errorf("after %d hours: held %+v, on pages %q", hours, h, w.mentions("1.82.8"))
			}
		}
		if minAge == 0 {
			continue
		}
		srv.SetFiles(app, good)
		clockAt(t, start.Add(4*time.Hour))
		w.build(0)
		if h := w.heldFiles(); len(h) > 0 {
			t.Errorf("still held: %+v", h)
		}
		w.verifies()
	}
}

// What is old enough comes in with the first build after that, though its upstream
// says nothing new; and nothing is written meanwhile.
func TestWhatIsHeldComesIn(t *testing.T) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	one, two := uploadedAt(wheelFile(t, "foo", "1.0"), start.AddDate(0, 0, -9)), uploadedAt(wheelFile(t, "foo", "2.0"), start)
	srv := fetchtest.New(t, one, two)
	w := newWorld(t, srv)
	w.write("allowlist.txt", "foo\n")
	w.Hold.MinAge = Duration(72 * time.Hour)
	clockAt(t, start)
	w.build(0)
	w.lists(one.Filename)
	before := photograph(t, w.path("site"), w.path("state/report.json"))
	for _, hours := range []int{1, 24, 71} {
		clockAt(t, start.Add(time.Duration(hours)*time.Hour))
		if r := w.build(0); !r.Idle() || r.Held != 1 {
			t.Errorf("after %d hours: idle %v, %d held", hours, r.Idle(), r.Held)
		}
	}
	if d := photograph(t, w.path("site"), w.path("state/report.json")).differences(before, w.dir); len(d) > 0 {
		t.Errorf("written meanwhile: %q", d)
	}
	if h := w.heldFiles()[two.Filename]; h.Project != "foo" || h.Version != "2.0" || h.Source != "up1" || h.Rule != `[hold] min_age = "3d"` || !h.Uploaded.Equal(start) || !h.Until.Equal(start.Add(72*time.Hour)) {
		t.Errorf("%+v", h)
	}
	if page := w.read("site/" + layout.HeldHTML); !strings.Contains(page, two.Filename) || !strings.Contains(page, "until <time>2026-11-23 00:00</time> UTC") {
		t.Errorf("the page for people:\n%s", page)
	}
	if !strings.Contains(w.read("site/"+layout.Front), `<a href="held/">1 file may not come in yet</a>`) {
		t.Error("the front page does not lead there")
	}
	w.verifies()
	clockAt(t, start.Add(72*time.Hour))
	w.build(0)
	w.lists(two.Filename)
	if held := w.heldFiles(); len(held) != 0 || strings.Contains(w.read("site/"+layout.Front), "held/") {
		t.Errorf("still held: %v", held)
	}
	w.verifies()

	// The pages go with the setting.
	w.Hold.MinAge = 0
	w.build(0)
	if w.exists("site/held/index.json") || w.exists("site/held/index.html") {
		t.Error("pages of what is held, though nothing can be")
	}
	w.verifies()
}

// The setting that is nearest to a file decides.
func TestWhichMinimumAgeCounts(t *testing.T) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	var files []fetchtest.File
	for _, n := range []string{"a", "b", "c", "d"} {
		files = append(files, uploadedAt(wheelFile(t, n, "1.0"), start.Add(-25*time.Hour)))
	}
	first, second := fetchtest.New(t, files[:2]...), fetchtest.New(t, files[2:]...)
	w := newWorld(t, first, second)
	day, none, week := Duration(24*time.Hour), Duration(0), Duration(7*24*time.Hour)
	w.Hold.MinAge = Duration(72 * time.Hour)
	w.Upstreams[1].MinAge = &none
	w.Projects = []ProjectConfig{{Name: "B", MinAge: &day}, {Name: "d", MinAge: &week}}
	w.write("allowlist.txt", "a\nb\nc\nd\n")
	clockAt(t, start)
	w.build(0)
	w.lists(files[1].Filename, files[2].Filename)
	held := w.heldFiles()
	if len(held) != 2 || held[files[0].Filename].Rule != `[hold] min_age = "3d"` || held[files[3].Filename].Rule != `[[project]] min_age = "1w"` {
		t.Errorf("%+v", held)
	}
}

// The policy lets in what is held, says so in the log, and does no more when its
// entry has ended.
func TestThePolicyLetsIn(t *testing.T) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	one, two := uploadedAt(wheelFile(t, "foo", "1.0"), start), uploadedAt(wheelFile(t, "foo", "2.0"), start)
	for _, onDemand := range []bool{false, true} {
		srv := fetchtest.New(t, one, two)
		w := newWorld(t, srv)
		if onDemand {
			w = lazy(t, "fetch", srv)
		} else {
			w.write("allowlist.txt", "foo==1.0\nfoo==2.0\n")
		}
		w.Hold.MinAge = Duration(72 * time.Hour)
		w.write("policy.toml", "[[allow]]\nproject = \"foo\"\nversions = \"==1.0\"\nreason = \"looked at by Ann\"\nexpires = 2026-11-20\n")
		clockAt(t, start.Add(time.Hour))
		if onDemand {
			w.ask(w.join(), "foo", 0)
			if _, err := w.fetch(w.join(), w.pathOf("foo", one.Filename)); err != nil {
				t.Fatal(err)
			}
		}
		w.build(0)
		w.lists(one.Filename)
		_, events, err := Show(t.Context(), w.Config, "foo")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(events, func(e catalog.Event) bool { return e.Verb == catalog.Add })
		if i < 0 || !strings.Contains(events[i].Reason, "looked at by Ann") || !strings.Contains(events[i].Reason, "until 2026-11-20") || !strings.Contains(events[i].Reason, "min_age") {
			t.Errorf("the log says %+v", events)
		}
		clockAt(t, start.Add(25*time.Hour))
		r := w.build(0)
		w.tells(r, "warning", "policy.toml:1: the [[allow]] for foo ended with 2026-11-20")
		w.lists(one.Filename) // what came stays
	}
}

// A frozen index gets nothing that was uploaded later, and nothing of which nobody
// knows when; an upstream that never says may be excepted.
func TestAFreeze(t *testing.T) {
	at := time.Date(2026, 11, 1, 23, 59, 59, 0, time.UTC)
	one, two, undated := uploadedAt(wheelFile(t, "foo", "1.0"), at), uploadedAt(wheelFile(t, "foo", "2.0"), at.Add(time.Second)), wheelFile(t, "foo", "3.0")
	undated.Uploaded = ""
	srv := fetchtest.New(t, one, two, undated)
	w := newWorld(t, srv)
	w.write("allowlist.txt", "foo\n")
	w.Versions = 2
	if err := w.Hold.NotAfter.UnmarshalTOML("2026-11-01"); err != nil {
		t.Fatal(err)
	}
	clockAt(t, at.AddDate(1, 0, 0))
	w.build(0)
	w.lists(one.Filename)
	held := w.heldFiles()
	if h := held[undated.Filename]; len(held) != 2 || h.Reason != "its upload time is not known" || h.Uploaded != nil || h.Until != nil || h.Rule != "[hold] not_after = 2026-11-01" {
		t.Errorf("%+v", held)
	}
	w.Upstreams[0].Undated = true
	w.build(0)
	w.lists(one.Filename, undated.Filename)
}

// Nobody says when a file was uploaded that a line names by its address. It waits
// for somebody to let it in, and what it would take the place of stays.
func TestAnAddressIsHeld(t *testing.T) {
	one, two := wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0")
	srv := fetchtest.New(t, one, two)
	w := newWorld(t)
	line := func(f fetchtest.File) string {
		return "foo @ " + srv.URL + srv.Path(f.Filename) + "#sha256=" + fetchtest.SHA256(f.Data) + "\n"
	}
	clockAt(t, time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC))
	w.write("allowlist.txt", line(one))
	w.build(0)
	w.Hold.MinAge = Duration(time.Hour)
	w.build(0)
	w.write("allowlist.txt", line(two))
	r := w.build(0)
	w.lists(one.Filename)
	w.tells(r, "warning", "nestgen allow '"+two.Filename+"'")
	if h := w.heldFiles()[two.Filename]; h.Source != "direct" || h.Until != nil {
		t.Errorf("%+v", h)
	}
	w.write("policy.toml", "[[allow]]\nproject = \"foo\"\nfile = \""+two.Filename+"\"\nreason = \"ours\"\nexpires = 2026-11-20\n")
	w.build(0)
	w.lists(two.Filename)
}

// What was announced before there was a hold is not here yet: a request does not
// bring it, and the next build takes it off the page.
func TestAnAnnouncedFileIsHeld(t *testing.T) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	one, two := uploadedAt(wheelFile(t, "foo", "1.0"), start.AddDate(0, 0, -9)), uploadedAt(wheelFile(t, "foo", "2.0"), start)
	srv := fetchtest.New(t, one, two)
	w := lazy(t, "fetch", srv)
	clockAt(t, start)
	w.ask(w.join(), "foo", 0)
	paths := map[string]string{}
	for _, f := range []fetchtest.File{one, two} {
		paths[f.Filename] = w.pathOf("foo", f.Filename)
	}
	w.Hold.MinAge = Duration(72 * time.Hour)
	l := w.join()
	for _, path := range []string{paths[two.Filename], layout.CoreMetadata(paths[two.Filename])} {
		_, err := w.fetch(l, path)
		w.cause(err, NotHere)
	}
	if n := len(srv.Requests(srv.Path(two.Filename))); n > 0 {
		t.Errorf("%d requests for what is held", n)
	}
	if _, err := w.fetch(l, paths[one.Filename]); err != nil {
		t.Error(err)
	}
	clockAt(t, start.Add(25*time.Hour)) // it is asked again
	w.build(0)
	w.lists(one.Filename)
	if len(w.heldFiles()) != 1 {
		t.Errorf("%v", w.heldFiles())
	}
}

// A project all of whose files are held when somebody asks for it is remembered:
// builds bring it in when the time has come, or forget it.
func TestAProjectThatIsHeldWhole(t *testing.T) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	one, gone := uploadedAt(wheelFile(t, "foo", "1.0"), start), uploadedAt(wheelFile(t, "gone", "1.0"), start)
	srv := fetchtest.New(t, one, gone)
	w := lazy(t, "fetch", srv)
	w.Hold.MinAge = Duration(72 * time.Hour)
	clockAt(t, start)
	l := w.join()
	w.ask(l, "foo", NotHere)
	w.ask(l, "gone", NotHere)
	w.build(0)
	w.lists()
	if len(w.heldFiles()) != 2 {
		t.Errorf("%v", w.heldFiles())
	}
	srv.SetFiles(one)
	clockAt(t, start.Add(71*time.Hour))
	w.build(0)
	if held := w.heldFiles(); len(held) != 1 || held[one.Filename].Project != "foo" {
		t.Errorf("%v", held)
	}
	clockAt(t, start.Add(72*time.Hour))
	w.build(0)
	w.lists(one.Filename)
	if held := w.heldFiles(); len(held) != 0 {
		t.Errorf("%v", held)
	}
	w.verifies()
}

// What no line asks for any more is not held.
func TestHoldsAreForgotten(t *testing.T) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	srv := fetchtest.New(t, uploadedAt(wheelFile(t, "foo", "1.0"), start), uploadedAt(wheelFile(t, "bar", "1.0"), start))
	w := newWorld(t, srv)
	w.Hold.MinAge = Duration(72 * time.Hour)
	clockAt(t, start)
	w.write("allowlist.txt", "foo\nbar\n")
	w.build(0)
	// A run about one project leaves the others as they are.
	if r := w.build(0, Options{Packages: []packaging.Name{"foo"}}); len(w.heldFiles()) != 2 || r.Held != 2 {
		t.Errorf("%v, %d", w.heldFiles(), r.Held)
	}
	srv.Always(srv.Page(fetchtest.Index, "bar"), fetchtest.Status500)
	w.write("allowlist.txt", "bar\n")
	r := w.build(5)
	if held := w.heldFiles(); len(held) != 1 || r.Held != 1 {
		t.Errorf("%v, %d", held, r.Held)
	}
	srv.Heal()
	w.Hold.Page = false
	w.write("allowlist.txt", "")
	if r := w.build(0); r.Held != 0 || w.exists("site/held/index.json") {
		t.Errorf("%d, or the page is there", r.Held)
	}
}

// Nobody is sent to where nothing waits.
func TestNobodyIsSentPastAHold(t *testing.T) {
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"))
	w := lazy(t, "redirect", srv)
	w.Hold.MinAge = Duration(time.Hour)
	none := Duration(0)
	w.Projects = []ProjectConfig{{Name: "bar", MinAge: &none}}
	w.cause(w.join().Project(t.Context(), "foo"), NotHere)
	w.cause(w.join().Project(t.Context(), "bar"), Elsewhere)
	for _, tt := range []struct{ text, want string }{
		{"[hold]\nmin_age = \"3d\"\n[[on_demand]]\npattern = \"*\"\nmode = \"redirect\"\n", `[[on_demand]] "*": mode "redirect" sends installers to the upstream itself, where nothing waits for [hold] min_age = "3d"`},
		{"[hold]\nnot_after = 2026-11-01\n[[on_demand]]\npattern = \"foo\"\nmode = \"redirect\"\n", `[hold] not_after = 2026-11-01`},
		{"[hold]\nmin_age = \"3d\"\n[[project]]\nname = \"Foo\"\nmin_age = \"0s\"\n[[on_demand]]\npattern = \"foo\"\nmode = \"redirect\"\n", ""},
		{"[[on_demand]]\npattern = \"*\"\nmode = \"redirect\"\n", ""},
	} {
		_, err := load(t, tt.text)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.want)
		}
	}
}

func TestHoldSettings(t *testing.T) {
	c, err := load(t, `
[hold]
min_age = "3d"
not_after = 2026-11-01
late_files = "0s"
page = false
[[upstream]]
name = "a"
url = "mirror"
min_age = "0s"
late_files = "1w"
undated = true
rotates = true
[[project]]
name = "foo"
min_age = "1d"
`)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC).UnixMicro() - 1
	if c.Hold != (Hold{MinAge: Duration(72 * time.Hour), NotAfter: Moment(end)}) || *c.Upstreams[0].MinAge != 0 || *c.Upstreams[0].LateFiles != Duration(7*24*time.Hour) ||
		!c.Upstreams[0].Undated || !c.Upstreams[0].Rotates || *c.Projects[0].MinAge != Duration(24*time.Hour) {
		t.Errorf("%+v", c)
	}
	for text, want := range map[string]int64{
		"not_after = 2026-11-01T12:00:00Z":          time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC).UnixMicro(),
		"not_after = 2026-11-01T12:00:00+02:00":     time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC).UnixMicro(),
		"not_after = \"2026-11-01\"":                end,
		"not_after = \"2026-11-01T12:00:00Z\"":      time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC).UnixMicro(),
		"not_after = 2026-11-01T12:00:00":           0,
		"not_after = 12:00:00":                      0,
		"not_after = \"tomorrow\"":                  0,
		"not_after = 7":                             0,
		"not_after = 1969-01-01":                    0,
		"min_age = \"3 days\"":                      0,
		"min_age = 3":                               0,
		"not_after = 2026-11-01\nmin_ages = \"1d\"": 0,
	} {
		c, err := load(t, "[hold]\n"+text+"\n")
		if want == 0 && err == nil || want != 0 && (err != nil || int64(c.Hold.NotAfter) != want) {
			t.Errorf("%s: %d, %v", text, c.Hold.NotAfter, err)
		}
	}
}

// A name of which none of the files is left that are known from its upstream, and
// that has others, may have gone to somebody else: nothing new of it comes in.
func TestARebornName(t *testing.T) {
	old, older := wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "0.9")
	stolen := wheelFile(t, "foo", "1.1")
	for _, onDemand := range []bool{false, true} {
		srv := fetchtest.New(t, old)
		w := newWorld(t, srv)
		if onDemand {
			w = lazy(t, "fetch", srv)
			w.Fallback.Refresh, w.Fallback.Unknown = Duration(time.Minute), Duration(time.Second)
		} else {
			w.write("allowlist.txt", "foo\n")
		}
		now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
		build := func(status int) *Report {
			t.Helper()
			now = now.Add(time.Hour)
			clockAt(t, now)
			if onDemand {
				if err := w.join().Project(t.Context(), "foo"); err != nil {
					t.Fatal(err)
				}
				w.fetch(w.join(), w.pathOf("foo", old.Filename))
			}
			return w.build(status)
		}
		build(0)
		w.lists(old.Filename)
		// It loses a file as others come, which is nothing special.
		srv.SetFiles(older, old)
		build(0)
		// It is gone, and comes back with other files.
		srv.SetFiles()
		build(map[bool]int{false: 3}[onDemand]) // the request has just asked
		srv.SetFiles(stolen)
		for range 3 {
			r := build(6)
			w.tells(r, "alarm", "none of the files that are known from up1 is there any more")
			w.tells(r, "alarm", "nestgen allow 'foo'")
			for _, f := range w.listed() {
				if f == stolen.Filename {
					t.Fatal("it came in")
				}
			}
			if h := w.heldFiles()[stolen.Filename]; h.Until != nil || h.Reason == "" {
				t.Errorf("%+v", h)
			}
		}
		if len(srv.Requests(srv.Path(stolen.Filename))) > 0 {
			t.Error("it was fetched")
		}
		// A known file is back beside it: it is who it was.
		srv.SetFiles(stolen, old)
		build(0)
		w.lists(slices.DeleteFunc([]string{older.Filename, old.Filename, stolen.Filename}, func(f string) bool { return !slices.Contains(w.listed(), f) })...)
		if !slices.Contains(w.listed(), stolen.Filename) {
			t.Errorf("it is still held: %q", w.listed())
		}
		w.verifies()
	}
}

// Somebody who knows who has the name now says so, and that holds when the entry
// has ended.
func TestARebornNameIsLetIn(t *testing.T) {
	old, next, last := wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0"), wheelFile(t, "foo", "3.0")
	srv := fetchtest.New(t, old)
	w := newWorld(t, srv)
	w.write("allowlist.txt", "foo\n")
	clockAt(t, time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC))
	w.build(0)
	srv.SetFiles(next)
	w.build(6)
	w.lists(old.Filename)
	w.write("policy.toml", "[[allow]]\nproject = \"foo\"\nversions = \"==2.0\"\nreason = \"ok\"\nexpires = 2026-11-20\n")
	w.build(6) // that says nothing of who has the name
	w.lists(old.Filename)
	w.write("policy.toml", "[[allow]]\nproject = \"foo\"\nreason = \"given to Ann\"\nexpires = 2026-11-20\n")
	w.build(0)
	w.lists(next.Filename)
	w.write("policy.toml", "")
	w.build(0)
	srv.SetFiles(next, last)
	w.build(0)
	w.lists(last.Filename)
}

// An upstream that takes old files down as new ones come, a few at a time, keeps its
// names.
func TestFilesThatRotate(t *testing.T) {
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0"))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "foo\n")
	w.build(0)
	srv.SetFiles(wheelFile(t, "foo", "2.0"), wheelFile(t, "foo", "3.0"))
	w.build(0)
	srv.SetFiles(wheelFile(t, "foo", "3.0"), wheelFile(t, "foo", "4.0"))
	w.build(0)
	srv.SetFiles(wheelFile(t, "foo", "5.0"))
	w.build(6)
	w.Upstreams[0].Rotates = true
	w.build(0)
	w.lists(wheelFile(t, "foo", "5.0").Filename)
}

// A dry run tells what would be held, and an older time of day than it is holds
// more, never less.
func TestHoldsOfADryRun(t *testing.T) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	srv := fetchtest.New(t, uploadedAt(wheelFile(t, "foo", "1.0"), start))
	w := newWorld(t, srv)
	w.Hold.MinAge = Duration(72 * time.Hour)
	w.write("allowlist.txt", "foo\n")
	clockAt(t, start.Add(time.Hour))
	t.Setenv("SOURCE_DATE_EPOCH", fmt.Sprint(start.AddDate(1, 0, 0).Unix()))
	r, err := Build(context.Background(), w.Config, Options{DryRun: true})
	if err != nil || r.Held != 1 || r.Added.Count != 0 {
		t.Errorf("%d held, %d added, %v", r.Held, r.Added.Count, err)
	}
	w.build(0)
	w.lists()
	t.Setenv(testClock, fmt.Sprint(start.AddDate(1, 0, 0).Unix()))
	t.Setenv("SOURCE_DATE_EPOCH", fmt.Sprint(start.Unix()))
	w.build(0)
	w.lists()
	clockAt(t, start.AddDate(1, 0, 0))
	w.build(0)
	w.lists(wheelFile(t, "foo", "1.0").Filename)
}

// What an upstream's serials spare a run is to ask, not to look at the clock.
func TestHoldsEndWithoutAsking(t *testing.T) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	foo := uploadedAt(wheelFile(t, "foo", "1.0"), start)
	srv := fetchtest.New(t, foo)
	srv.SetProjectSerial("foo", 10)
	w := newWorld(t, srv)
	w.Upstreams[0].Serials = "always"
	w.Hold.MinAge = Duration(72 * time.Hour)
	w.write("allowlist.txt", "foo\n")
	clockAt(t, start)
	w.build(0)
	w.lists()
	srv.Forget()
	clockAt(t, start.Add(72*time.Hour))
	w.build(0)
	w.lists(foo.Filename)
	if n := len(srv.Requests(srv.Page(fetchtest.Index, "foo"))); n > 0 {
		t.Errorf("asked %d times", n)
	}
}
