package nestgen

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nestgen/fetch/fetchtest"
	"nestgen/layout"
	"nestgen/publish"
)

func (w *world) inode(path string) uint64 {
	w.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(w.path(path), &st); err != nil {
		w.Fatal(err)
	}
	return st.Ino
}

// The bytes of a quarantined project are nowhere in the site, also for those who know
// their addresses. When the quarantine ends the very bytes are back.
func TestAQuarantineIsNotServed(t *testing.T) {
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"), wheelFile(t, "bar", "1.0"))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "foo\nbar\n")
	w.build(0)
	path := w.pathOf("foo", wheelFile(t, "foo", "1.0").Filename)
	inode := w.inode("site/" + path)
	quarantine := "[[status]]\nproject = \"foo\"\nstatus = \"quarantined\"\nreason = \"steals keys\"\n"
	w.write("policy.toml", quarantine)
	if r := w.build(0); r.Withheld != 1 {
		t.Errorf("%d withheld", r.Withheld)
	}
	gone := func() {
		t.Helper()
		for _, p := range []string{path, layout.CoreMetadata(path)} {
			if w.exists("site/" + p) {
				t.Errorf("%s is served", p)
			}
			if _, err := os.Stat(publish.Withheld(w.State, p)); err != nil {
				t.Error(err)
			}
		}
		if len(w.mentions(filepath.Base(path))) > 0 {
			t.Errorf("it is mentioned: %q", w.mentions(filepath.Base(path)))
		}
		w.lists(wheelFile(t, "bar", "1.0").Filename)
	}
	gone()
	w.verifies()
	var log bytes.Buffer
	l := Join(w.Config, slog.New(slog.NewTextHandler(&log, nil)))
	defer l.Close()
	w.OnDemand = []OnDemand{{Pattern: "*", Mode: "fetch"}}
	_, err := w.fetch(Join(w.Config, slog.New(slog.NewTextHandler(&log, nil))), path)
	w.cause(err, NotHere)
	w.OnDemand = nil
	if strings.Contains(log.String(), "not there") {
		t.Errorf("it is told as a fault: %s", log.String())
	}
	// It is kept whatever comes, and a build does not touch it again.
	if r := w.build(0); !r.Idle() || r.Withheld != 0 {
		t.Errorf("idle %v, %d withheld", r.Idle(), r.Withheld)
	}
	if _, err := GC(t.Context(), w.Config, Options{}); err != nil {
		t.Fatal(err)
	}
	w.Title = "Another" // every page is made anew
	w.build(0)
	gone()
	w.verifies()

	srv.Forget()
	w.write("policy.toml", "")
	w.build(0)
	if n := len(srv.Requests(srv.Path(wheelFile(t, "foo", "1.0").Filename))); n > 0 {
		t.Errorf("fetched %d times", n)
	}
	w.lists(wheelFile(t, "bar", "1.0").Filename, wheelFile(t, "foo", "1.0").Filename)
	if w.inode("site/"+path) != inode || w.exists("state/withheld") {
		t.Error("it is not the file that was here, or the closed area is still there")
	}
	w.verifies()
}

// What verify finds of a quarantined project: a copy that is served, and one that is
// damaged or gone, which nobody fetches.
func TestVerifyLooksIntoTheClosedArea(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	srv := fetchtest.New(t, foo)
	w := newWorld(t, srv)
	w.write("allowlist.txt", "foo\n")
	w.build(0)
	path := w.pathOf("foo", foo.Filename)
	w.write("policy.toml", "[[status]]\nproject = \"foo\"\nstatus = \"quarantined\"\n")
	w.build(0)
	w.write("site/"+path, string(foo.Data))
	if v := w.verify(false); len(v.Findings) != 1 || !strings.Contains(v.Findings[0].Text, "still served") {
		t.Errorf("%+v", v.Findings)
	}
	if v := w.verify(true); !v.Whole() || w.exists("site/"+path) {
		t.Errorf("%+v", v.Findings)
	}
	w.verifies()
	srv.Forget()
	w.remove(strings.TrimPrefix(publish.Withheld(w.State, path), w.dir+"/"))
	if v := w.verify(true); v.Whole() || !strings.Contains(v.Findings[0].Text, "closed area") || w.exists("site/"+path) {
		t.Errorf("%+v", v.Findings)
	}
	if n := len(srv.Requests(srv.Path(foo.Filename))); n > 0 {
		t.Errorf("fetched %d times", n)
	}
}

// What is blocked is served no more when it has left the index. Its bytes are kept
// for the grace period.
func TestWhatIsBlockedIsNotServed(t *testing.T) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for _, back := range []bool{false, true} {
		foo := wheelFile(t, "foo", "1.0")
		w := newWorld(t, fetchtest.New(t, foo, wheelFile(t, "bar", "1.0")))
		w.write("allowlist.txt", "foo\nbar\n")
		clockAt(t, start)
		w.build(0)
		path := w.pathOf("foo", foo.Filename)
		w.write("policy.toml", "[[block]]\nproject = \"foo\"\nreason = \"malware\"\n")
		w.build(0)
		if w.exists("site/"+path) || w.exists("site/"+layout.CoreMetadata(path)) {
			t.Error("it is served")
		}
		if data, err := os.ReadFile(publish.Withheld(w.State, path)); err != nil || !bytes.Equal(data, foo.Data) {
			t.Errorf("%d bytes, %v", len(data), err)
		}
		w.verifies()
		if back {
			w.write("policy.toml", "")
			clockAt(t, start.Add(time.Hour))
			w.build(0)
			w.lists(foo.Filename, wheelFile(t, "bar", "1.0").Filename)
		} else {
			clockAt(t, start.Add(time.Duration(w.Grace)-time.Second))
			w.build(0)
			if _, err := os.Stat(publish.Withheld(w.State, path)); err != nil {
				t.Error(err)
			}
			clockAt(t, start.Add(time.Duration(w.Grace)))
			if r := w.build(0); r.Deleted != 1 {
				t.Errorf("%d deleted", r.Deleted)
			}
		}
		if w.exists("state/withheld") {
			t.Error("the closed area is still there")
		}
		w.verifies()
	}
}

// A quarantine of the upstream outlasts the line that asked for the project, as long
// as something of it is here.
func TestAQuarantineOutlastsItsLine(t *testing.T) {
	w := newWorld(t)
	foo := wheelFile(t, "foo", "1.0")
	w.Upstreams = []Upstream{{Name: "disk", URL: w.path("disk")}}
	page := func(status string) {
		w.write("disk/foo/index.html", "<!DOCTYPE html><meta name=\"pypi:repository-version\" content=\"1.4\">"+status)
	}
	page(`<a href="../` + foo.Filename + `">` + foo.Filename + `</a>`)
	w.write("disk/"+foo.Filename, string(foo.Data))
	w.write("allowlist.txt", "foo\n")
	w.build(0)
	path := w.pathOf("foo", foo.Filename)
	page(`<meta name="pypi:project-status" content="quarantined">`)
	r := w.build(6)
	w.tells(r, "alarm", "disk has quarantined it")
	if w.exists("site/" + path) {
		t.Error("it is served")
	}
	w.write("allowlist.txt", "foo !\n") // the line that cannot be read may be its own
	w.build(3)
	w.lists()
	if w.exists("site/" + path) {
		t.Error("it is served again")
	}
	// The only project does not go by accident, but for this.
	w.write("allowlist.txt", "")
	w.build(0)
	if w.exists("site/"+path) || w.exists("site/simple/foo") {
		t.Error("something of it is here")
	}
	w.verifies()
}

// A request that finds the quarantine of a project ended has its files back before the
// page lists them.
func TestARequestEndsAQuarantine(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	w := lazy(t, "fetch")
	w.Upstreams = []Upstream{{Name: "disk", URL: w.path("disk")}}
	w.Fallback.Refresh = Duration(time.Hour)
	page := func(status string) {
		w.write("disk/foo/index.html", "<!DOCTYPE html><meta name=\"pypi:repository-version\" content=\"1.4\">"+status+
			`<a href="../`+foo.Filename+"#sha256="+fetchtest.SHA256(foo.Data)+`">`+foo.Filename+`</a>`)
	}
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	next := func() {
		now = now.Add(2 * time.Hour)
		clockAt(t, now)
	}
	page("")
	w.write("disk/"+foo.Filename, string(foo.Data))
	next()
	w.ask(w.join(), "foo", 0)
	path := w.pathOf("foo", foo.Filename)
	if _, err := w.fetch(w.join(), path); err != nil {
		t.Fatal(err)
	}
	page(`<meta name="pypi:project-status" content="quarantined">`)
	next()
	w.build(6)
	if w.exists("site/" + path) {
		t.Error("it is served")
	}
	page("")
	next()
	w.ask(w.join(), "foo", 0)
	if data, err := w.fetch(w.join(), w.pathOf("foo", foo.Filename)); err != nil || !bytes.Equal(data, foo.Data) || !w.exists("site/"+path) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	w.build(0)
	w.lists(foo.Filename)
	w.verifies()
}

// A build that dies between its steps is finished by the next one, in either
// direction.
func TestWithholdingAfterACrash(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	w := newWorld(t, fetchtest.New(t, foo, wheelFile(t, "bar", "1.0")))
	w.write("allowlist.txt", "foo\nbar\n")
	w.build(0)
	path := w.pathOf("foo", foo.Filename)
	closed := publish.Withheld(w.State, path)
	w.write("policy.toml", "[[status]]\nproject = \"foo\"\nstatus = \"quarantined\"\n")
	w.write("state/withheld", "no folder") // stands in the way
	if _, err := Build(t.Context(), w.Config, Options{}); Status(err) != 7 {
		t.Fatalf("%v", err)
	}
	w.lists(wheelFile(t, "bar", "1.0").Filename)
	w.remove("state/withheld")
	w.build(0)
	if _, err := os.Stat(closed); err != nil || w.exists("site/"+path) {
		t.Error("it is still served", err)
	}
	// The quarantine may end before that, with a part of it moved.
	beside := layout.CoreMetadata(path)
	w.write("policy.toml", "")
	w.build(0)
	if err := os.MkdirAll(filepath.Dir(closed), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(w.path("site/"+beside), publish.Withheld(w.State, beside)); err != nil {
		t.Fatal(err)
	}
	w.Title = "Another" // every page is made anew
	w.build(0)
	w.verifies()
	if w.exists("state/withheld") {
		t.Error("the closed area is still there")
	}
	w.write("policy.toml", "[[status]]\nproject = \"foo\"\nstatus = \"quarantined\"\n")
	w.build(0)

	w.write("policy.toml", "")
	w.remove("site/packages/" + strings.Split(path, "/")[1])
	w.write("site/packages/"+strings.Split(path, "/")[1], "no folder")
	if _, err := Build(t.Context(), w.Config, Options{}); Status(err) != 7 {
		t.Fatalf("%v", err)
	}
	w.lists(wheelFile(t, "bar", "1.0").Filename) // no page leads to what is not there
	w.remove("site/packages/" + strings.Split(path, "/")[1])
	w.build(0)
	w.lists(foo.Filename, wheelFile(t, "bar", "1.0").Filename)
	w.verifies()
}
