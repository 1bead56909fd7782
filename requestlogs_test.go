package nestgen

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/layout"
	"nestgen/packaging"
)

// newAskedWorld is a site where some names come on demand, and others may be uploaded.
func newAskedWorld(t *testing.T, srv *fetchtest.Server) *world {
	t.Helper()
	w := lazy(t, "fetch", srv)
	w.OnDemand = []OnDemand{{Pattern: "foo*", Mode: "fetch"}, {Pattern: "ba*", Mode: "fetch"}}
	w.Uploads = "uploads"
	if err := w.Resolve(); err != nil {
		t.Fatal(err)
	}
	return w
}

// What requests publish is in the log when they are answered, whatever it is: nobody who
// looks from outside sees a page that the site has not published, or a history that the
// pages do not show.
func TestRequestsAreInTheLog(t *testing.T) {
	for _, tt := range []struct{ built, gzip bool }{{false, false}, {true, true}} {
		t.Run(fmt.Sprintf("%+v", tt), func(t *testing.T) {
			first := wheelFile(t, "foo", "1.0")
			srv := fetchtest.New(t, first)
			w := newAskedWorld(t, srv)
			w.Gzip = tt.gzip
			w.index(Index{Name: "prod", Prefix: "prod", Inherits: []string{rootIndex}})
			if tt.built {
				w.drop("Dropped", "1.0", intaketest.Opts{Spelling: "Dropped"})
				w.build(0)
			}
			l := w.join()
			asks := func(files ...fetchtest.File) {
				t.Helper()
				srv.SetFiles(files...)
				w.remove("state/demand") // every answer is old
				w.ask(l, packaging.Name(files[0].Project), 0)
				w.checkLog()
			}
			asks(first)
			w.build(0)
			w.checkLog()

			// The page under another spelling says the same.
			upper, data := intaketest.Wheel("foo", "9.0", intaketest.Opts{Spelling: "FOO"})
			spelled := fetchtest.File{Project: "foo", Filename: upper, Data: data}
			asks(first, spelled)
			if _, err := w.fetch(l, w.pathOf("foo", upper)); err != nil { // which says how it is spelled
				t.Fatal(err)
			}
			w.checkLog()
			w.build(0)
			w.checkLog()
			second := wheelFile(t, "foo", "3.0")
			asks(first, spelled, second)
			if page := w.read("site/simple/FOO/index.html"); page != w.read("site/simple/foo/index.html") {
				t.Errorf("under its spelling the page is\n%s", page)
			}

			// A file comes: the page is as it was, or says what is known by then.
			third := wheelFile(t, "foo", "4.0")
			third.NoSize = true
			asks(first, spelled, second, third)
			for _, f := range []fetchtest.File{second, third} {
				page, before := w.read("site/simple/foo/index.v1_json"), w.read("site/log/checkpoint")
				if _, err := w.fetch(l, w.pathOf("foo", f.Filename)); err != nil {
					t.Fatal(err)
				}
				same := page == w.read("site/simple/foo/index.v1_json")
				if same == f.NoSize || same != (before == w.read("site/log/checkpoint")) {
					t.Errorf("%s came: the page is as it was: %v", f.Filename, same)
				}
			}
			w.checkLog()

			// One that does not pass the gate takes its project with it.
			bad := fetchtest.File{Project: "bad", Filename: "bad-2.0-py3-none-any.whl", Data: []byte("PK no archive")}
			srv.SetFiles(first, spelled, second, third, bad)
			w.ask(l, "bad", 0)
			w.checkLog()
			w.cause(l.File(t.Context(), w.pathOf("bad", bad.Filename), nil), BadUpstream)
			if w.exists("site/simple/bad") {
				t.Error("there are pages of a project that has no file")
			}
			w.checkLog()

			file, data := intaketest.Wheel("mine", "1.0", plain)
			w.uploads(l, file, data)
			w.checkLog()
			w.build(0)
			w.checkLog()
			w.verifies()
		})
	}
}

// recorded notes what upstreams say of projects as requests do that have not published
// it yet.
func (w *world) recorded(l *Live, names ...packaging.Name) {
	w.Helper()
	s, err := l.asking(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	defer s.over()
	if err := errors.Join(s.beginRequest(w.Context()), s.upstream.open(s)); err != nil {
		w.Fatal(err)
	}
	for _, n := range names {
		d, err := s.decideUpstream(w.Context(), n, "", nil)
		if err != nil {
			w.Fatal(err)
		}
		d.onlyAnnounce()
		if err := s.record(w.Context(), []*decided{d}, part{last: true}); err != nil {
			w.Fatal(err)
		}
	}
}

// severalProjects gives an upstream with so many projects, and their names.
func severalProjects(t *testing.T, many int) (srv *fetchtest.Server, names []packaging.Name) {
	var files []fetchtest.File
	for i := range many {
		files = append(files, wheelFile(t, fmt.Sprintf("foo%d", i), "1.0"))
		names = append(names, packaging.Name(files[i].Project))
	}
	return fetchtest.New(t, files...), names
}

// Of several requests at once the first that has its turn publishes what the others have
// noted, signs once for all of them, and leaves nothing to do to them. One that died
// before it could publish is like one that waits.
func TestRequestsShareTheLog(t *testing.T) {
	srv, names := severalProjects(t, maxTogether)
	w := newAskedWorld(t, srv)
	l := w.join()
	w.recorded(l, names[1:]...)
	w.ask(l, names[0], 0)
	w.checkLog()
	s, err := l.request()
	if err != nil {
		t.Fatal(err)
	}
	defer s.over()
	for _, n := range names {
		if due, err := s.dueAlone(t.Context(), n); err != nil || due.any() || !w.exists("site/simple/"+string(n)+"/index.html") {
			t.Errorf("%s: there is still %+v to do, %v", n, due, err)
		}
	}

	var all []*uploading
	for i := range 5 {
		file, data := intaketest.Wheel(fmt.Sprint("up", i), "1.0", plain)
		u := w.begun(l, file, data)
		a, err := u.inspect(t.Context())
		if err == nil {
			err = u.list(t.Context(), a)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	if err := all[0].publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.checkLog()
	before := photograph(t, w.path("site"), w.path("state"))
	for _, u := range all[1:] {
		if err := u.publish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if d := before.differences(photograph(t, w.path("site"), w.path("state")), w.dir); len(d) > 0 {
		t.Errorf("those after the first wrote %q", d)
	}
	w.build(0)
	w.checkLog()
}

// While a build is at work that has noted much and published nothing of it, the log stays
// as it is, whatever requests publish: it never says what no page shows. What a build has
// noted of a few projects a request publishes with its own.
func TestRequestsWhileABuildIsAtWork(t *testing.T) {
	for _, few := range []bool{true, false} {
		t.Run(fmt.Sprintf("few %v", few), func(t *testing.T) {
			w := newAskedWorld(t, fetchtest.New(t, wheelFile(t, "foo", "1.0"), wheelFile(t, "bar", "1.0")))
			l := w.join()
			w.ask(l, "foo", 0)
			w.build(0)
			signed := w.read("site/log/checkpoint")
			for i := range maxTogether - 1 {
				w.drop(fmt.Sprint("ours", i), "1.0", plain)
			}
			if !few {
				w.drop("ours", "1.0", plain)
			}
			s, err := open(w.Config, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			err = errors.Join(s.begin(t.Context()), s.readIntent(t.Context()), s.scanDrop(t.Context()))
			for batch, derr := range s.decide(t.Context()) {
				err = errors.Join(err, derr, s.carry(t.Context(), batch))
			}
			if err != nil {
				t.Fatal(err)
			}
			w.ask(l, "bar", 0)
			if w.exists("site/simple/ours0") != few {
				t.Errorf("the pages of others are there: %v", !few)
			}
			if few {
				w.checkLog()
			} else if w.read("site/log/checkpoint") != signed {
				t.Error("the log says what no page shows")
			}
			if err := errors.Join(s.publish(t.Context()), s.remember(t.Context()), s.close()); err != nil {
				t.Fatal(err)
			}
			w.pending = false
			w.checkTree()
			w.checkLog()
			w.idle()
		})
	}
}

// What requests note while a build makes pages is on the pages and in the log when it
// ends, as long as it can keep up with them; an upload leaves the log to those requests.
func TestRequestsWhilePagesAreMade(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rounds int // in which a request comes between
		whole  bool
	}{{"once", 1, true}, {"each time", maxRounds, false}, {"an upload", 1, false}} {
		t.Run(tt.name, func(t *testing.T) {
			srv, names := severalProjects(t, maxRounds)
			w := newAskedWorld(t, srv)
			w.build(0)
			l, other := w.join(), w.join() // the database of the first is locked where others come between
			var publish func() error
			file, data := intaketest.Wheel("mine", "1.0", plain)
			came := 0
			// The first page that a round makes is seen before the catalog hears of it.
			of := []string{"mine", string(names[0]), string(names[1])}
			meddle := func() bool {
				if came < tt.rounds && w.exists("site/simple/"+of[came]+"/index.html") {
					came++
					w.recorded(other, names[came-1])
				}
				return false
			}
			var mu sync.Mutex
			ctx := leaver{t.Context(), func() bool {
				mu.Lock()
				defer mu.Unlock()
				return meddle()
			}, new(sync.Once), make(chan struct{})}
			if tt.name == "an upload" {
				u := w.begun(l, file, data)
				a, err := u.inspect(t.Context())
				if err == nil {
					err = u.list(t.Context(), a)
				}
				if err != nil {
					t.Fatal(err)
				}
				publish = func() error { return u.publish(ctx) }
			} else {
				publish = func() error {
					w.write("drop/"+file, string(data))
					_, err := Build(ctx, w.Config, Options{})
					return err
				}
			}
			signed := w.read("site/log/checkpoint")
			if err := publish(); err != nil {
				t.Fatal(err)
			}
			if came != tt.rounds {
				t.Fatalf("%d requests came between", came)
			}
			switch last := names[came-1]; {
			case tt.whole:
				w.checkTree()
				w.checkLog()
				w.verifies()
			case w.exists("site/simple/" + string(last)):
				t.Errorf("%s has a page", last)
			case tt.name == "an upload" && w.read("site/log/checkpoint") != signed:
				t.Error("the log says what no page shows")
			}
			for _, n := range names[:came] {
				w.ask(l, n, 0)
			}
			w.checkLog()
			w.build(0)
			w.checkLog()
			w.verifies()
		})
	}
}

// A request that dies anywhere between its note and the checkpoint leaves what the next
// request of the same, or the next build, puts into the log; also pages that have their
// bytes already.
func TestRequestsThatDiedBeforeTheLog(t *testing.T) {
	for _, healer := range []string{"the same request", "an upload of another", "a build"} {
		for _, died := range []string{"before the pages", "before the note", "before the log"} {
			t.Run(healer+", "+died, func(t *testing.T) {
				srv, names := severalProjects(t, 2)
				w := newAskedWorld(t, srv)
				ask := func(n packaging.Name) {
					l := Join(w.Config, nil) // of a process that is not there later
					w.ask(l, n, 0)
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
				}
				ask(names[0])
				if err := os.CopyFS(w.path("log"), os.DirFS(w.path("site/log"))); err != nil {
					t.Fatal(err)
				}
				l := Join(w.Config, nil)
				w.recorded(l, names[1])
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if died != "before the pages" {
					before, signed := w.backUp(), w.read("state/keys/signed")
					ask(names[1])
					if died == "before the note" {
						before()
						w.write("state/keys/signed", signed)
					}
					w.remove("site/log")
					if err := os.Rename(w.path("log"), w.path("site/log")); err != nil {
						t.Fatal(err)
					}
				}
				l = w.join()
				switch healer {
				case "the same request":
					w.remove("state/demand")
					w.ask(l, names[1], 0)
				case "an upload of another":
					file, data := intaketest.Wheel("mine", "1.0", plain)
					w.uploads(l, file, data)
				case "a build":
					w.build(0)
				}
				w.checkLog()
				w.verifies()
			})
		}
	}
}

// A request whose log cannot be published says so to the people of the site, and is
// answered all the same; the next build tells it in its report.
func TestRequestsThatCannotSign(t *testing.T) {
	srv, names := severalProjects(t, 2)
	w := newAskedWorld(t, srv)
	w.ask(w.join(), names[0], 0)
	signed := w.read("site/log/checkpoint")
	keys, err := os.ReadDir(w.path("state/keys"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(w.path("state/keys"), w.path("away")); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	l := Join(w.Config, slog.New(slog.NewTextHandler(&told, nil)))
	defer l.Close()
	w.ask(l, names[1], 0)
	file, data := intaketest.Wheel("mine", "1.0", plain)
	w.uploads(l, file, data)
	if n := strings.Count(told.String(), "the log is as it was"); n != 2 {
		t.Errorf("it is told %d times:\n%s", n, &told)
	}
	if w.read("site/log/checkpoint") != signed || w.exists("state/keys/"+keys[0].Name()) {
		t.Error("a request has signed with a key that nobody knows")
	}
	w.tells(w.build(0), "warning", "signed by another key")
	w.checkLog()
}

// Without a published log requests write nothing of one, and sign nothing.
func TestRequestsWithoutALog(t *testing.T) {
	srv, names := severalProjects(t, 1)
	w := newAskedWorld(t, srv)
	w.PublishLog = false
	l := w.join()
	w.ask(l, names[0], 0)
	file, data := intaketest.Wheel("mine", "1.0", plain)
	w.uploads(l, file, data)
	if w.exists("site/log") || w.exists("state/keys") {
		t.Error("there is a log, or a key")
	}
	if slices.Contains(w.listed(), file) {
		w.PublishLog = true
		w.build(0)
		w.checkLog()
	}
}

// BenchmarkRequestsOfALongLog is a first request for a project, and an upload, at a site
// of a thousand projects whose log has 100,000 events.
func BenchmarkRequestsOfALongLog(b *testing.B) {
	const projects, each = 1000, 100
	var files []fetchtest.File
	for i := range 10_000 {
		files = append(files, fetchtest.File{Project: fmt.Sprint("foo", i), Filename: fmt.Sprintf("foo%d-1.0-py3-none-any.whl", i), Data: []byte{1}})
	}
	w := lazy(b, "fetch", fetchtest.New(b, files...))
	w.Uploads = "uploads"
	w.Projects = []ProjectConfig{{Name: "mine", Sources: "local"}}
	if err := errors.Join(w.Resolve(), os.MkdirAll(w.State, 0o700)); err != nil {
		b.Fatal(err)
	}
	c, err := catalog.Open(w.catalogFile())
	if err != nil {
		b.Fatal(err)
	}
	for i := range projects {
		n := packaging.Name(fmt.Sprint("old", i))
		files := make([]catalog.File, each)
		for j := range files {
			name := fmt.Sprintf("old%d-1.%d-py3-none-any.whl", i, j)
			sum := sha256.Sum256([]byte(name))
			files[j] = catalog.File{
				Project: n, Filename: name, Version: fmt.Sprintf("1.%d", j), Kind: packaging.Wheel, Size: 1000, Announced: true,
				SHA256: sum, Path: layout.File(sum, name), Source: "up1", URL: "https://files.example.org/" + name,
			}
		}
		err := c.Update(b.Context(), Now(), func(tx *catalog.Tx) error {
			err := tx.Claim(n, string(n), "up1")
			if err == nil {
				_, _, err = tx.Announce(n, "up1", files, "benchmark")
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
	if _, err := Build(b.Context(), w.Config, Options{Offline: true}); err != nil {
		b.Fatal(err)
	}
	l := w.join()
	asked, uploaded := 0, 0
	b.Run("project", func(b *testing.B) {
		for b.Loop() {
			if err := l.Project(b.Context(), packaging.Name(fmt.Sprint("foo", asked))); err != nil {
				b.Fatal(err)
			}
			asked++
		}
	})
	b.Run("upload", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			file, data := intaketest.Wheel("mine", fmt.Sprint(uploaded), plain)
			uploaded++
			b.StartTimer()
			w.uploads(l, file, data)
		}
	})
}
