package nestgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/layout"
	"nestgen/packaging"
)

// knowAnnounced asks the catalog what need not be in the store.
func (w *world) knowAnnounced() {
	w.Helper()
	w.announced = map[string]bool{}
	if w.placed == nil && len(w.OnDemand) == 0 {
		return
	}
	if w.placed == nil {
		w.placed = map[string]bool{}
	}
	c, err := catalog.OpenReadOnly(w.catalogFile())
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	for p, err := range c.Projects(context.Background()) {
		if err != nil {
			w.Fatal(err)
		}
		for _, f := range p.Files {
			w.announced[f.Path] = f.Announced
			if f.Path != layout.File(f.BLAKE2b, f.Filename) {
				w.placed[f.Path] = true // also after it has left
			}
		}
	}
}

// lazy makes a world where names come on demand.
func lazy(t testing.TB, mode string, upstreams ...*fetchtest.Server) *world {
	t.Helper()
	w := newWorld(t, upstreams...)
	w.OnDemand = []OnDemand{{Pattern: "*", Mode: mode}}
	w.Fallback.Free = 0
	return w
}

// join gives the site to requests, until the test ends.
func (w *world) join() *Live {
	l := Join(w.Config, nil)
	w.Cleanup(func() {
		if err := l.Close(); err != nil {
			w.Error(err)
		}
	})
	return l
}

// ask asks for a project and checks what comes of it; no cause means that it is
// there.
func (w *world) ask(l *Live, n packaging.Name, want Cause) {
	w.Helper()
	err := l.Project(w.Context(), n)
	w.cause(err, want)
	if want == 0 && !w.exists("site/"+layout.ProjectJSON(n)) {
		w.Errorf("%s: no page", n)
	}
	w.pending = true
	w.checkTree()
}

func (w *world) cause(err error, want Cause) {
	w.Helper()
	var got Cause
	if r, ok := errors.AsType[*Refusal](err); ok {
		got = r.Cause
	} else if err != nil {
		w.Fatal(err)
	}
	if got != want {
		w.Errorf("cause %d, want %d: %v", got, want, err)
	}
}

// pathOf gives the place of a file by the page of its project.
func (w *world) pathOf(project, filename string) string {
	w.Helper()
	for _, f := range w.page(project).Files {
		if f.Filename == filename {
			return strings.TrimPrefix(f.URL, "../../")
		}
	}
	w.Fatalf("%s is not on the page of %s", filename, project)
	return ""
}

// fetch asks for a file as a client does that reads along.
func (w *world) fetch(l *Live, path string) ([]byte, error) {
	w.Helper()
	var got bytes.Buffer
	begun := false
	err := l.File(w.Context(), path, func(int64) io.Writer {
		if begun {
			w.Error("begun twice")
		}
		begun = true
		return &got
	})
	if err == nil && !begun {
		return os.ReadFile(w.path("site/" + path))
	}
	return got.Bytes(), err
}

func wheelFile(t testing.TB, name, version string) fetchtest.File {
	t.Helper()
	file, data := intaketest.Wheel(name, version, intaketest.Opts{})
	return fetchtest.File{Project: string(packaging.NormalizeName(name)), Filename: file, Data: data, Metadata: intaketest.MetadataOf(t, data), Uploaded: "2026-01-02T03:04:05Z"}
}

// A site that was never built answers for what an upstream has: first the page,
// then the file, each with one request, and then from what is there. The next
// build takes all of it over.
func TestOnDemand(t *testing.T) {
	one, two := wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0")
	srv := fetchtest.New(t, one, two)
	w := lazy(t, "fetch", srv)
	l := w.join()
	w.ask(l, "foo", 0)
	w.ask(l, "foo", 0)
	w.lists(one.Filename, two.Filename)
	if n := len(srv.Requests("")); n != 1 {
		t.Errorf("%d requests for a page", n)
	}
	path := w.pathOf("foo", two.Filename)
	if w.exists("site/" + path) {
		t.Fatal("it is there already")
	}
	data, err := w.fetch(l, path+".metadata")
	if err != nil || !bytes.Equal(data, two.Metadata) {
		t.Errorf("metadata: %q, %v", data, err)
	}
	w.checkTree()
	for range 2 {
		if data, err = w.fetch(l, path); err != nil || !bytes.Equal(data, two.Data) {
			t.Errorf("file: %d bytes, %v", len(data), err)
		}
	}
	if n := len(srv.Requests("")); n != 3 {
		t.Errorf("%d requests in all", n)
	}
	w.checkTree()

	page := w.read("site/simple/foo/index.v1_json")
	r := w.build(0)
	if got := w.read("site/simple/foo/index.v1_json"); got != page {
		t.Errorf("the build has another page:\n%s\n%s", page, got)
	}
	if r.Added.Count+r.Changed.Count+r.Withdrawn.Count != 0 || len(srv.Requests("")) != 3 {
		t.Errorf("%+v, %d requests", r, len(srv.Requests("")))
	}
	if !strings.Contains(w.read("site/flat/index.html"), one.Filename) {
		t.Error("it is not on the page of all files")
	}
	if r := w.build(0); !r.Idle() {
		t.Errorf("not idle: %+v", r)
	}
}

// What is wanted is fetched by a build, at the place that it was announced at;
// what is not stays announced.
func TestABuildFetchesWhatWasAnnounced(t *testing.T) {
	one, two := wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0")
	srv := fetchtest.New(t, one, two)
	w := lazy(t, "list", srv)
	l := w.join()
	w.ask(l, "foo", NotHere)
	if n := len(srv.Requests("")); n != 0 {
		t.Errorf("%d requests for what no line names", n)
	}
	w.write("allowlist.txt", "foo\n")
	setClock(t, "1900000000") // what was not here long ago is not known any more
	w.ask(l, "foo", 0)
	w.lists(one.Filename, two.Filename)
	path := w.pathOf("foo", two.Filename)
	w.build(0)
	w.lists(one.Filename, two.Filename)
	if got := w.pathOf("foo", two.Filename); got != path || !w.exists("site/"+path) {
		t.Errorf("%s is at %s", path, got)
	}
	if w.exists("site/" + w.pathOf("foo", one.Filename)) {
		t.Error("nobody has asked for the old one")
	}
	w.write("allowlist.txt", "foo<2\n")
	w.build(0)
	w.lists(one.Filename)
	w.verifies()
	w.OnDemand = nil
	w.build(0)
	w.lists(one.Filename)
}

// The names that nobody outside may hear of.
func TestPrivateNamesStayHere(t *testing.T) {
	secret := wheelFile(t, "secret", "9.9")
	srv := fetchtest.New(t, secret, wheelFile(t, "acme-tool", "1.0"), wheelFile(t, "built", "1.0"), wheelFile(t, "fresh", "1.0"), wheelFile(t, "mine", "1.0"), wheelFile(t, "no-list", "1.0"))
	w := lazy(t, "fetch", srv)
	w.Reserved = []string{"acme-*"}
	w.Projects = []ProjectConfig{{Name: "Mine", Sources: "local"}}
	w.OnDemand = append([]OnDemand{{"secret", "never"}, {"no-list", "list"}}, w.OnDemand...)
	w.drop("built", "1.0", intaketest.Opts{})
	w.build(0)
	w.drop("fresh", "1.0", intaketest.Opts{}) // and no build has seen it
	for _, mode := range []string{"fetch", "redirect"} {
		w.OnDemand[len(w.OnDemand)-1].Mode = mode
		l := w.join()
		for _, n := range []packaging.Name{"secret", "acme-tool", "acme-x", "built", "fresh", "mine", "no-list"} {
			w.ask(l, n, NotHere)
		}
	}
	if r := srv.Requests(""); len(r) > 0 {
		t.Errorf("asked outside: %v", r[0].Path)
	}
}

func TestRedirect(t *testing.T) {
	w := lazy(t, "redirect")
	w.Upstreams = []Upstream{{Name: "up", URL: "https://up.example/simple/"}, {Name: "other", URL: "https://other.example/simple/"}}
	err := w.join().Project(t.Context(), "foo-bar")
	w.cause(err, Elsewhere)
	if r, _ := errors.AsType[*Refusal](err); r.To != "https://up.example/simple/foo-bar/" {
		t.Errorf("to %s", r.To)
	}
	// Where nobody can be sent to the first, the second does not hear of it.
	for _, first := range []Upstream{
		{Name: "up", URL: "https://up.example/simple/?token=hidden"},
		{Name: "up", URL: "https://up.example/", Form: "page"},
		{Name: "up", URL: "/srv/mirror"},
	} {
		w.Upstreams[0] = first
		w.cause(w.join().Project(t.Context(), "foo-bar"), NotHere)
	}
}

// What an upstream does not have is not asked for again for a while; what it has
// is asked for again after another.
func TestAnswersAreRemembered(t *testing.T) {
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"))
	w := lazy(t, "fetch", srv)
	asked := func(want int) {
		t.Helper()
		if got := len(srv.Requests("")); got != want {
			t.Errorf("%d requests, want %d", got, want)
		}
	}
	setClock(t, "1900000000")
	w.ask(w.join(), "nothing", NotHere)
	w.ask(w.join(), "foo", 0)
	w.ask(w.join(), "nothing", NotHere)
	asked(2)
	setClock(t, "1900000599")
	w.ask(w.join(), "nothing", NotHere)
	asked(2)
	setClock(t, "1900000600")
	w.ask(w.join(), "nothing", NotHere)
	w.ask(w.join(), "foo", 0)
	asked(3)
	newer := wheelFile(t, "foo", "2.0")
	srv.SetFiles(wheelFile(t, "foo", "1.0"), newer, wheelFile(t, "nothing", "1.0"))
	setClock(t, "1900086399")
	w.ask(w.join(), "foo", 0)
	w.build(0)
	asked(3)
	setClock(t, "1900086400")
	w.ask(w.join(), "foo", 0)
	w.ask(w.join(), "nothing", 0)
	asked(5)
	w.lists("foo-1.0-py3-none-any.whl", newer.Filename, "nothing-1.0-py3-none-any.whl")
	w.build(0)
	asked(5)
	setClock(t, "1900172801")
	w.build(0)
	asked(7)
	w.build(0)
	asked(7)
}

// An upstream that fails costs its requests some time, and nothing that is here.
func TestAnUpstreamThatFails(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	srv := fetchtest.New(t, foo)
	w := lazy(t, "fetch", srv)
	setClock(t, "1900000000")
	srv.Always(srv.Page(fetchtest.Index, "foo"), fetchtest.Status500)
	w.ask(w.join(), "foo", Busy)
	before := len(srv.Requests(""))
	w.ask(w.join(), "foo", Busy)
	if n := len(srv.Requests("")); n != before {
		t.Errorf("it is asked again at once")
	}
	setClock(t, "1900000015")
	srv.Heal()
	w.ask(w.join(), "foo", 0)
	setClock(t, "1900100000") // the page is old
	srv.Always(srv.Page(fetchtest.Index, "foo"), fetchtest.Status500)
	w.ask(w.join(), "foo", 0)
	path := w.pathOf("foo", foo.Filename)
	for _, tt := range []struct {
		fault fetchtest.Fault
		want  Cause
	}{
		{fetchtest.WrongBytes, BadUpstream},
		{fetchtest.Status503, Busy},
		{fetchtest.Reset, Busy},
		{fetchtest.LoginPage, BadUpstream},
		{fetchtest.Status404, NotHere},
	} {
		clock, _ := time.Parse(time.RFC3339, "2035-01-01T00:00:00Z")
		now := clock.Add(time.Duration(len(srv.Requests(""))) * time.Hour)
		setClock(t, fmt.Sprint(now.Unix()))
		srv.Always(srv.Path(foo.Filename), tt.fault)
		data, err := w.fetch(w.join(), path)
		w.cause(err, tt.want)
		if bytes.Equal(data, foo.Data) {
			t.Errorf("%s: the whole file was sent", tt.fault)
		}
		if w.exists("site/" + path) {
			t.Errorf("%s: it is in the store", tt.fault)
		}
		w.checkTree()
		before := len(srv.Requests(""))
		_, err = w.fetch(w.join(), path)
		if err == nil || len(srv.Requests("")) != before {
			t.Errorf("%s: %v, %d more requests", tt.fault, err, len(srv.Requests(""))-before)
		}
	}
	srv.Heal()
	setClock(t, "2100000000")
	if data, err := w.fetch(w.join(), path); err != nil || !bytes.Equal(data, foo.Data) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	w.checkTree()
}

// A file that does not pass the gate is on no page any more, and comes back only
// if the upstream has another.
func TestAFileThatDoesNotPassTheGate(t *testing.T) {
	good := wheelFile(t, "foo", "1.0")
	bad := fetchtest.File{Project: "foo", Filename: "foo-2.0-py3-none-any.whl", Data: []byte("PK no archive")}
	srv := fetchtest.New(t, good, bad)
	w := lazy(t, "fetch", srv)
	w.ask(w.join(), "foo", 0)
	path := w.pathOf("foo", bad.Filename)
	data, err := w.fetch(w.join(), path)
	w.cause(err, BadUpstream)
	if len(data) >= len(bad.Data) {
		t.Error("all of it was sent")
	}
	w.lists(good.Filename)
	w.checkTree()
	w.cause(w.join().File(t.Context(), path, nil), Busy)
	setClock(t, "2000000000")
	w.cause(w.join().File(t.Context(), path, nil), NotHere)
	w.build(3)
	w.lists(good.Filename)
}

// A name is spent with the first bytes that were announced under it.
func TestASpentNameIsNotAnnouncedAgain(t *testing.T) {
	good := wheelFile(t, "foo", "1.0")
	first := fetchtest.File{Project: "foo", Filename: "foo-2.0-py3-none-any.whl", Data: []byte("PK no archive")}
	srv := fetchtest.New(t, good, first)
	w := lazy(t, "fetch", srv)
	w.ask(w.join(), "foo", 0)
	_, err := w.fetch(w.join(), w.pathOf("foo", first.Filename))
	w.cause(err, BadUpstream)
	srv.SetFiles(good, wheelFile(t, "foo", "2.0"))
	setClock(t, "2000000000")
	var log bytes.Buffer
	l := Join(w.Config, slog.New(slog.NewTextHandler(&log, nil)))
	defer l.Close()
	w.ask(l, "foo", 0)
	w.lists(good.Filename)
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "but it was first seen with sha256") {
		t.Errorf("log:\n%s", log.Bytes())
	}
}

func TestPathsThatAreNoFile(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	srv := fetchtest.New(t, foo)
	w := lazy(t, "fetch", srv)
	w.ask(w.join(), "foo", 0)
	srv.Forget()
	path := w.pathOf("foo", foo.Filename)
	for _, p := range []string{
		"", "packages", "packages/" + foo.Filename, path + ".asc", path + ".provenance", path + ".metadata.metadata", path + "x", path + "/",
		filepath.Dir(path) + "/foo-2.0-py3-none-any.whl", "simple/foo/index.html", "packages/../state/catalog.db", "/" + path, strings.ToUpper(path),
		strings.Replace(path, "packages/", "packages/../packages/", 1), layout.File(catalog.Digest{1}, foo.Filename), path + "\x00",
	} {
		w.cause(w.join().File(t.Context(), p, nil), NotHere)
	}
	w.OnDemand = []OnDemand{{"foo", "never"}}
	w.cause(w.join().File(t.Context(), path, nil), NotHere)
	w.OnDemand = nil
	w.cause(w.join().File(t.Context(), path, nil), NotHere)
	if r := srv.Requests(""); len(r) > 0 {
		t.Errorf("asked outside: %v", r[0].Path)
	}
}

// Any number of requests for one thing make one request of an upstream.
func TestOneFetchForAll(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	srv := fetchtest.New(t, foo)
	srv.SetLatency(20 * time.Millisecond)
	w := lazy(t, "fetch", srv)
	w.Fallback.Deadline = Duration(5 * time.Minute)
	w.Upstreams[0].Timeout = Duration(5 * time.Minute)
	var all sync.WaitGroup
	for range 4 {
		l := w.join() // as another process
		for range 10 {
			all.Go(func() {
				if err := l.Project(t.Context(), "foo"); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if n := len(srv.Requests("")); n != 1 {
		t.Errorf("%d requests for the page", n)
	}
	path := w.pathOf("foo", foo.Filename)
	for range 4 {
		l := w.join()
		for range 10 {
			all.Go(func() {
				if data, err := w.fetch(l, path); err != nil || !bytes.Equal(data, foo.Data) {
					t.Errorf("%d bytes, %v", len(data), err)
				}
			})
		}
	}
	all.Wait()
	if n := len(srv.Requests("")); n != 2 {
		t.Errorf("%d requests with the file", n)
	}
	w.checkTree()
}

// The disk must keep some room. What is here is served all the same.
func TestAFullDisk(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	srv := fetchtest.New(t, foo)
	w := lazy(t, "fetch", srv)
	setClock(t, "1900000000")
	w.ask(w.join(), "foo", 0)
	w.Fallback.Free = 1 << 60
	_, err := w.fetch(w.join(), w.pathOf("foo", foo.Filename))
	w.cause(err, NoSpace)
	w.ask(w.join(), "bar", NoSpace)
	setClock(t, "1900100000")
	w.ask(w.join(), "foo", 0)
	if n := len(srv.Requests("")); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// Neither a fault of this site's own disk nor a client that goes away is the
// upstream's fault: the next request asks it.
func TestOnlyUpstreamsAreLeftAlone(t *testing.T) {
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"))
	w := lazy(t, "fetch", srv)
	setClock(t, "1900000000")
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := w.join().Project(gone, "foo"); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that has gone: %v", err)
	}
	w.write("site/simple", "no folder")
	if err := w.join().Project(t.Context(), "foo"); Status(err) != 7 {
		t.Errorf("a disk that fails: %v", err)
	}
	w.remove("site/simple")
	w.ask(w.join(), "foo", 0)

	// With an older page there is something to say.
	newer := wheelFile(t, "foo", "2.0")
	srv.SetFiles(newer, wheelFile(t, "foo", "1.0"))
	setClock(t, "1900100000")
	if err := os.Rename(w.path("site/pypi"), w.path("pypi")); err != nil {
		t.Fatal(err)
	}
	w.write("site/pypi", "no folder")
	if err := w.join().Project(t.Context(), "foo"); err != nil {
		t.Errorf("a disk that fails, and an older page: %v", err)
	}
	w.remove("site/pypi")
	if err := os.Rename(w.path("pypi"), w.path("site/pypi")); err != nil {
		t.Fatal(err)
	}
	w.ask(w.join(), "foo", 0)
	if page := w.read("site/simple/foo/index.html"); !strings.Contains(page, newer.Filename) {
		t.Errorf("the page is still the older one:\n%s", page)
	}
}

// A project that leaves the upstream, or loses files there, keeps what is here
// of it.
func TestOnDemandFollowsTheUpstream(t *testing.T) {
	one, two, three := wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0"), wheelFile(t, "foo", "3.0")
	srv := fetchtest.New(t, one, two)
	w := lazy(t, "fetch", srv)
	w.Upstreams[0].Rotates = true
	setClock(t, "1900000000")
	l := w.join()
	w.ask(l, "foo", 0)
	if _, err := w.fetch(l, w.pathOf("foo", one.Filename)); err != nil {
		t.Fatal(err)
	}
	why := "broken"
	three.Yanked = &why
	srv.SetFiles(three)
	setClock(t, "1900100000")
	w.build(0)
	w.lists(one.Filename, three.Filename)
	if f := w.page("foo").Files; f[1].Yanked != "broken" || f[0].Yanked != nil {
		t.Errorf("%+v", f)
	}
	srv.SetFiles()
	setClock(t, "1900200000")
	w.build(3)
	w.lists(one.Filename, three.Filename)
	w.verifies()
}

// A build and requests that work on one site at once lose nothing of each other.
func TestRequestsDuringBuilds(t *testing.T) {
	var files []fetchtest.File
	list := ""
	for i := range 12 {
		name := fmt.Sprintf("p%02d", i)
		files = append(files, wheelFile(t, name, "1.0"), wheelFile(t, name, "2.0"))
		if i%2 == 0 {
			list += name + "\n"
		}
	}
	srv := fetchtest.New(t, files...)
	w := lazy(t, "fetch", srv)
	w.Fallback.Deadline = Duration(5 * time.Minute)
	w.Upstreams[0].Timeout = Duration(5 * time.Minute)
	w.write("allowlist.txt", list)
	var all sync.WaitGroup
	for k := range 3 {
		l := w.join()
		all.Go(func() {
			for i := range 12 {
				n := packaging.Name(fmt.Sprintf("p%02d", (i*5+k*7)%12))
				if err := l.Project(t.Context(), n); err != nil {
					t.Error(n, err)
				}
				p := w.page(string(n))
				if _, err := w.fetch(l, strings.TrimPrefix(p.Files[i%len(p.Files)].URL, "../../")); err != nil {
					t.Error(n, err)
				}
			}
		})
	}
	for range 4 {
		if _, err := Build(t.Context(), w.Config, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	w.build(0)
	want := []string{}
	for _, f := range files {
		want = append(want, f.Filename)
	}
	slices.Sort(want)
	w.lists(want...)
	w.verifies()
}

// verifies checks that verify has nothing to say.
func (w *world) verifies() {
	w.Helper()
	if v := w.verify(false); len(v.Findings) > 0 {
		w.Errorf("%+v", v.Findings)
	}
}

// BenchmarkProject is a first request for a project with 100 files, upstream and
// all.
func BenchmarkProject(b *testing.B) {
	var files []fetchtest.File
	for i := range 100 {
		files = append(files, fetchtest.File{Project: "foo", Filename: fmt.Sprintf("foo-1.%d-py3-none-any.whl", i), Data: []byte{byte(i)}})
	}
	srv := fetchtest.New(b, files...)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		w := lazy(b, "fetch", srv)
		w.ask(w.join(), "nothing", NotHere) // the catalog is made once
		l := Join(w.Config, nil)            // as by a process of its own
		b.StartTimer()
		err := l.Project(b.Context(), "foo")
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		l.Close()
		b.StartTimer()
	}
}

// BenchmarkFile is a first request for a file.
func BenchmarkFile(b *testing.B) {
	name, data := intaketest.Wheel("foo", "1.0", intaketest.Opts{Pad: 170_000})
	srv := fetchtest.New(b, fetchtest.File{Project: "foo", Filename: name, Data: data})
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		w := lazy(b, "fetch", srv)
		w.ask(w.join(), "foo", 0)
		path := w.pathOf("foo", name)
		l := Join(w.Config, nil)
		b.StartTimer()
		err := l.File(b.Context(), path, func(int64) io.Writer { return io.Discard })
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		l.Close()
		b.StartTimer()
	}
}

// What mirrors ask for is what the catalog has.
func TestSerials(t *testing.T) {
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"))
	w := lazy(t, "fetch", srv)
	l := w.join()
	if n, err := l.Serial(t.Context()); n != 0 || err != nil {
		t.Errorf("an empty site: %d, %v", n, err)
	}
	w.ask(l, "foo", 0)
	n, err := l.Serial(t.Context())
	if n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for e, err := range l.Changes(t.Context(), 0) {
		if err != nil || e.Serial != 1 || e.Verb != catalog.Add || e.Project != "foo" {
			t.Errorf("%+v, %v", e, err)
		}
	}
	for range l.Changes(t.Context(), 1) {
		t.Error("a change after the last")
	}
	for p, err := range l.Serials(t.Context()) {
		if err != nil || p != (catalog.ProjectSerial{Name: "foo", Serial: 1}) {
			t.Errorf("%+v, %v", p, err)
		}
	}
}
