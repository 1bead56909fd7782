package nestgen

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/publish"
)

// A name that has an upstream is sent to no other one, which would hear of it and
// might have something else under it.
func TestRedirectToTheUpstreamOfAProject(t *testing.T) {
	first := fetchtest.New(t, wheelFile(t, "moved", "1.0"))
	second := fetchtest.New(t, wheelFile(t, "owned", "1.0"), wheelFile(t, "given", "1.0"))
	given := wheelFile(t, "given", "1.0")
	w := lazy(t, "redirect", first, second)
	w.Projects = []ProjectConfig{{Name: "Bound", Upstream: "up2"}, {Name: "moved", Upstream: "up2"}}
	w.write("allowlist.txt", "owned\ngiven @ "+second.URL+second.Path(given.Filename)+"#sha256="+fetchtest.SHA256(given.Data)+"\n")
	w.build(0)
	for n, up := range map[string]*fetchtest.Server{"owned": second, "bound": second, "moved": second, "anything": first} {
		err := w.join().Project(t.Context(), packaging.Name(n))
		w.cause(err, Elsewhere)
		if r, ok := errors.AsType[*Refusal](err); ok && r.To != up.URL+fetchtest.Index+n+"/" {
			t.Errorf("%s: to %s", n, r.To)
		}
	}
	// What came from an address of the allowlist has no upstream at all.
	w.cause(w.join().Project(t.Context(), "given"), NotHere)
	w.Upstreams = w.Upstreams[:1]
	w.Projects = nil
	w.cause(w.join().Project(t.Context(), "owned"), NotHere)
}

// What the allowlist gives an address of, and nothing else, is found there. No
// index is asked for the name, which may be a private one: neither before the
// first build nor after it.
func TestNamesOfAddressesStayHere(t *testing.T) {
	private := wheelFile(t, "given", "1.0")
	intranet := fetchtest.New(t, private)
	public := fetchtest.New(t, wheelFile(t, "given", "9.9"), wheelFile(t, "repo", "9.9"), wheelFile(t, "both", "9.9"))
	w := lazy(t, "fetch", public)
	w.Projects = []ProjectConfig{{Name: "both", Sources: "both"}}
	w.write("allowlist.txt", "given @ "+intranet.URL+intranet.Path(private.Filename)+"#sha256="+fetchtest.SHA256(private.Data)+
		"\ngit+https://git.example/repo.git#egg=repo\ngit+https://git.example/both.git#egg=both\n")
	w.ask(w.join(), "given", NotHere)
	w.ask(w.join(), "repo", NotHere)
	w.build(0)
	w.remove("state/demand") // nothing is remembered
	w.ask(w.join(), "given", NotHere)
	w.ask(w.join(), "repo", NotHere)
	if r := public.Requests(""); len(r) > 0 {
		t.Errorf("asked outside: %v", r[0].Path)
	}
	w.ask(w.join(), "both", 0) // somebody has said so
}

// A file of which the allowlist has digests and the upstream says others comes with
// a build, which holds it against them.
func TestDigestsOfTheAllowlist(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	srv := fetchtest.New(t, foo)
	for _, mode := range []string{"list", "fetch"} {
		w := lazy(t, mode, srv)
		w.write("allowlist.txt", "foo==1.0 --hash=sha512:"+strings.Repeat("ab", 64)+"\n")
		w.ask(w.join(), "foo", NotHere)
		w.build(3)
		w.lists()
		w.write("allowlist.txt", fmt.Sprintf("foo==1.0 --hash=sha512:%x\n", sha512.Sum512(foo.Data)))
		w.build(0)
		w.lists(foo.Filename)
	}
}

// While a part of the allowlist is missing that may forbid it, nothing new of a
// project is announced, whoever asks.
func TestAPartOfTheAllowlistIsMissing(t *testing.T) {
	one, two, three := wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0"), wheelFile(t, "foo", "2.1")
	srv := fetchtest.New(t, one)
	w := lazy(t, "list", srv)
	w.write("constraints.txt", "foo<2\n")
	w.write("allowlist.txt", "-c constraints.txt\nfoo\n")
	setClock(t, "1900000000")
	w.ask(w.join(), "foo", 0)
	w.build(0)
	srv.SetFiles(one, two, three)
	w.remove("constraints.txt")
	setClock(t, "1900100000")
	w.ask(w.join(), "foo", 0)
	w.build(3)
	w.lists(one.Filename)
	setClock(t, "1900200000")
	w.build(3)
	w.lists(one.Filename)
	w.write("constraints.txt", "foo<2\n")
	w.build(0)
	w.lists(one.Filename)
	w.write("constraints.txt", "foo<3\n")
	w.build(0)
	w.lists(one.Filename, two.Filename, three.Filename)
}

// Nothing comes of a project that is quarantined, also for those who know the
// addresses of its files.
func TestNothingComesOfAQuarantine(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	srv := fetchtest.New(t, foo)
	w := lazy(t, "fetch", srv)
	w.ask(w.join(), "foo", 0)
	path := w.pathOf("foo", foo.Filename)
	w.write("policy.toml", "[[status]]\nproject = \"foo\"\nstatus = \"quarantined\"\n")
	srv.Forget()
	for range 2 { // before a build has seen it, and after
		for _, p := range []string{path, path + ".metadata"} {
			w.cause(w.join().File(t.Context(), p, nil), NotHere)
			if w.exists("site/" + p) {
				t.Errorf("%s has come", p)
			}
		}
		w.build(0)
		w.remove("state/demand")
	}
	if r := srv.Requests(srv.Path(foo.Filename)); len(r) > 0 {
		t.Errorf("%d requests", len(r))
	}
}

// With too little room no page comes either, or names that strangers think of
// would fill what is left; what is here is served.
func TestNoRoomForPages(t *testing.T) {
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"), wheelFile(t, "bar", "1.0"))
	w := lazy(t, "fetch", srv)
	setClock(t, "1900000000")
	w.ask(w.join(), "foo", 0)
	srv.Forget()
	w.Fallback.Free = 1 << 60
	setClock(t, "1900100000")
	w.ask(w.join(), "foo", 0)
	w.ask(w.join(), "bar", NoSpace)
	if r := srv.Requests(""); len(r) > 0 {
		t.Errorf("%d requests", len(r))
	}
}

// A build that makes pages for longer than a request waits costs those who ask
// nothing but news.
func TestRequestsDuringALongPublication(t *testing.T) {
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"), wheelFile(t, "bar", "1.0"))
	w := lazy(t, "fetch", srv)
	setClock(t, "1900000000")
	w.ask(w.join(), "foo", 0)
	srv.SetFiles(wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0"), wheelFile(t, "bar", "1.0"))
	setClock(t, "1900100000")
	tree, err := publish.Join(publish.Options{Site: w.Site, State: w.State})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	turn, err := tree.Turn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.Fallback.Deadline = Duration(500 * time.Millisecond)
	w.ask(w.join(), "foo", 0)
	w.ask(w.join(), "bar", Busy)
	if err := turn.Close(); err != nil {
		t.Fatal(err)
	}
	w.Fallback.Deadline = Duration(patience)
	setClock(t, "1900200000")
	w.ask(w.join(), "foo", 0)
	w.ask(w.join(), "bar", 0)
	w.lists("bar-1.0-py3-none-any.whl", "foo-1.0-py3-none-any.whl", "foo-2.0-py3-none-any.whl")
}

// Who leaves before the answer keeps nobody else from asking at once.
func TestWhoLeavesSaysNothingOfTheUpstream(t *testing.T) {
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"))
	w := lazy(t, "fetch", srv)
	page := srv.Page(fetchtest.Index, "foo")
	srv.Always(page, fetchtest.StallBeforeHeaders)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		for len(srv.Requests(page)) == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		leave()
	}()
	if err := w.join().Project(ctx, "foo"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	srv.Heal()
	w.ask(w.join(), "foo", 0)
}

// A process that answers requests for months keeps nothing of what was rejected.
func TestWhatIsRejectedIsNotKept(t *testing.T) {
	bad := fetchtest.File{Project: "foo", Filename: "foo-2.0-py3-none-any.whl", Data: []byte("PK no archive")}
	w := lazy(t, "fetch", fetchtest.New(t, bad))
	l := w.join()
	w.ask(l, "foo", 0)
	w.cause(l.File(t.Context(), w.pathOf("foo", bad.Filename), nil), BadUpstream)
	left, err := filepath.Glob(w.path("state/stage/*/*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// Several processes may find at once that what broke off long ago is old.
func TestOldPartialsGoOnce(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for i := range 2000 {
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Chtimes(name, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := sweepPartials(dir, time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d left, %v", len(left), err)
	}
}

// What a page says of metadata is what lies beside the file, also if the upstream
// has announced other metadata than the file holds, or says something else later.
func TestMetadataThatWasAnnouncedWrong(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	own := foo.Metadata
	foo.Metadata = []byte("Metadata-Version: 2.1\nName: foo\nVersion: 1.0\nSummary: another\n")
	check := func(w *world, want []byte) {
		t.Helper()
		f := w.page("foo").Files[0]
		data, err := w.fetch(w.join(), w.pathOf("foo", foo.Filename)+".metadata")
		if err != nil || !bytes.Equal(data, want) {
			t.Errorf("%q, %v", data, err)
		}
		if got := f.Metadata; fmt.Sprint(got) != "map[sha256:"+fetchtest.SHA256(want)+"]" {
			t.Errorf("the page says %v", got)
		}
		w.checkTree()
	}

	// The file comes first, and brings its own.
	w := lazy(t, "fetch", fetchtest.New(t, foo))
	w.ask(w.join(), "foo", 0)
	if _, err := w.fetch(w.join(), w.pathOf("foo", foo.Filename)); err != nil {
		t.Fatal(err)
	}
	check(w, own)
	w.build(0)
	w.verifies()

	// The metadata come first, and stay.
	srv := fetchtest.New(t, foo)
	w = lazy(t, "fetch", srv)
	setClock(t, "1900000000")
	w.ask(w.join(), "foo", 0)
	check(w, foo.Metadata)
	later := foo
	later.Metadata = append([]byte("\n"), foo.Metadata...)
	srv.SetFiles(later)
	setClock(t, "1900100000")
	w.ask(w.join(), "foo", 0)
	check(w, foo.Metadata)
	if _, err := w.fetch(w.join(), w.pathOf("foo", foo.Filename)); err != nil {
		t.Fatal(err)
	}
	check(w, foo.Metadata)
	w.build(0)
	check(w, foo.Metadata)
	w.verifies()

	// The upstream has mended what nobody had asked for.
	srv = fetchtest.New(t, foo)
	w = lazy(t, "fetch", srv)
	w.ask(w.join(), "foo", 0)
	later.Metadata = own
	srv.SetFiles(later)
	path := w.pathOf("foo", foo.Filename)
	if _, err := w.fetch(w.join(), path+".metadata"); err != nil {
		t.Fatal(err)
	}
	check(w, own)
}

// A leaver is the context of somebody who leaves as soon as something has come
// about.
type leaver struct {
	context.Context
	leaves func() bool
	once   *sync.Once
	done   chan struct{}
}

func (l leaver) Done() <-chan struct{} {
	if l.leaves() {
		l.once.Do(func() { close(l.done) })
	}
	return l.done
}

func (l leaver) Err() error {
	select {
	case <-l.Done():
		return context.Canceled
	default:
		return l.Context.Err()
	}
}

// Who leaves while a file is put into the store does not keep the catalog from
// knowing of it.
func TestWhoLeavesWhileAFileArrives(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	w := lazy(t, "fetch", fetchtest.New(t, foo))
	w.ask(w.join(), "foo", 0)
	path := w.pathOf("foo", foo.Filename)
	ctx := leaver{t.Context(), func() bool { return w.exists("site/" + path) }, new(sync.Once), make(chan struct{})}
	w.join().File(ctx, path, func(int64) io.Writer { return io.Discard })
	if !w.exists("site/" + path) {
		t.Fatal("it has not come")
	}
	w.verifies()
}

// What a build takes out of the index while a request waits for an upstream does
// not come back with the answer.
func TestABuildWithdrawsWhileARequestAsks(t *testing.T) {
	one, two := wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0")
	srv := fetchtest.New(t, one, two)
	w := lazy(t, "fetch", srv)
	setClock(t, "1900000000")
	w.ask(w.join(), "foo", 0)
	if _, err := w.fetch(w.join(), w.pathOf("foo", two.Filename)); err != nil {
		t.Fatal(err)
	}
	w.build(0)
	srv.SetFiles(yanked(one, "old"), yanked(two, "bad"))
	setClock(t, "1900100000")
	s, err := w.join().asking(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.over()
	if err := s.upstream.open(s); err != nil {
		t.Fatal(err)
	}
	d, err := s.decideUpstream(t.Context(), "foo", "up1", nil)
	if err != nil {
		t.Fatal(err)
	}
	d.onlyAnnounce()
	w.write("policy.toml", "[[block]]\nproject = \"foo\"\nversions = \"==2.0\"\nreason = \"malware\"\n")
	w.build(0)
	w.lists(one.Filename)
	if err := s.record(t.Context(), []*decided{d}, part{last: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.publishAlone(t.Context(), "foo"); err != nil {
		t.Fatal(err)
	}
	w.lists(one.Filename)
}

// What has come in time stays, also if a build has decided that it goes because it
// had not.
func TestAFileComesWhileABuildWithdrawsIt(t *testing.T) {
	one, two := wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0")
	srv := fetchtest.New(t, one, two)
	w := lazy(t, "fetch", srv)
	setClock(t, "1900000000")
	l := w.join()
	w.ask(l, "foo", 0)
	path := w.pathOf("foo", two.Filename)
	srv.SetFiles(one)
	setClock(t, "1900100000")
	w.build(0, Options{Each: func(p *plan.Project) {
		if len(p.Withdraw) != 1 {
			t.Errorf("%+v", p)
		}
		srv.SetFiles(one, two)
		if err := l.File(t.Context(), path, nil); err != nil {
			t.Error(err)
		}
		srv.SetFiles(one)
	}})
	w.lists(one.Filename, two.Filename)
	w.build(0)
	w.lists(one.Filename, two.Filename)
	w.verifies()
}

// A name that a request has claimed for an upstream is not this site's own as well
// because a build had seen it free a moment before.
func TestANameIsClaimedWhileABuildDecides(t *testing.T) {
	first, second := fetchtest.New(t), fetchtest.New(t, wheelFile(t, "foo", "1.0"))
	w := lazy(t, "fetch", first, second)
	w.ask(w.join(), "foo", 0)
	first.SetFiles(wheelFile(t, "foo", "9.9"))
	w.drop("foo", "2.0", intaketest.Opts{})
	s, err := open(w.Config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := errors.Join(s.readIntent(t.Context()), s.scanDrop(t.Context()), s.upstream.open(s)); err != nil {
		t.Fatal(err)
	}
	entries, err := s.entriesOf([]packaging.Name{"foo"})
	if err != nil {
		t.Fatal(err)
	}
	const before = "" // whose it was when the build began to decide
	d, err := s.decideLocal(t.Context(), "foo", before, entries["foo"])
	if err != nil || len(entries["foo"]) != 1 || len(d.Take) > 0 {
		t.Errorf("the build takes %+v, %v", d.Take, err)
	}
	s.local.mine["foo"] = false
	setClock(t, "2000000000") // long enough to ask again
	d, err = s.decideUpstream(t.Context(), "foo", before, nil)
	if err != nil || d.owner != "up2" || len(d.Announce)+len(d.Fetch) > 0 {
		t.Errorf("the build has %+v of %s, %v", d.Announce, d.owner, err)
	}
}

// A request does not begin a new state beside a site that another state made, as it
// would hide that the other one is lost.
func TestRequestsAtASiteOfAnotherState(t *testing.T) {
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"))
	w := lazy(t, "fetch", srv)
	l := w.join()
	if err := l.Open(); err != nil { // which makes a catalog
		t.Fatal(err)
	}
	w.write("site/"+layout.RootJSON, "{}")
	if err := l.Project(t.Context(), "foo"); !errors.Is(err, ErrAlarm) {
		t.Errorf("%v", err)
	}
	if r := srv.Requests(""); len(r) > 0 || w.exists("site/simple/foo") {
		t.Errorf("%d requests", len(r))
	}
	if _, err := Build(t.Context(), w.Config, Options{}); !errors.Is(err, ErrAlarm) {
		t.Errorf("%v", err)
	}
}

// A file that takes longer than somebody waits who can be sent nothing meanwhile is
// not refused to those who can.
func TestWhoCannotWaitKeepsNobodyOut(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	srv := fetchtest.New(t, foo)
	w := lazy(t, "fetch", srv)
	setClock(t, "1900000000")
	w.ask(w.join(), "foo", 0)
	path := w.pathOf("foo", foo.Filename)
	srv.Always(srv.Path(foo.Filename), fetchtest.StallInBody)
	w.Fallback.Deadline = Duration(300 * time.Millisecond)
	w.cause(w.join().File(t.Context(), path, nil), Busy)
	srv.Heal()
	w.Fallback.Deadline = Duration(patience)
	if data, err := w.fetch(w.join(), path); err != nil || !bytes.Equal(data, foo.Data) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

// An interlude is a Progress that has something done in the middle of a run, once.
type interlude func()

func (interlude) Stage(string, int64) {}

func (f *interlude) Step(int64, int64) {
	if do := *f; do != nil {
		*f = nil
		do()
	}
}

// What a request brings while a site is verified is no finding, and is not taken
// away.
func TestARequestWhileTheSiteIsVerified(t *testing.T) {
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"), wheelFile(t, "bar", "1.0"))
	w := lazy(t, "fetch", srv)
	w.ask(w.join(), "foo", 0)
	w.build(0)
	do := interlude(func() {
		srv.SetFiles(wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0"), wheelFile(t, "bar", "1.0"))
		w.remove("state/demand") // nothing is remembered
		w.ask(w.join(), "foo", 0)
		w.ask(w.join(), "bar", 0)
	})
	v, err := Verify(t.Context(), w.Config, Options{Progress: &do}, true)
	if err != nil || len(v.Findings) > 0 || do != nil {
		t.Errorf("%+v, %v", v, err)
	}
	if !w.exists("site/simple/bar/index.html") {
		t.Error("the page is gone")
	}
	w.lists("bar-1.0-py3-none-any.whl", "foo-1.0-py3-none-any.whl", "foo-2.0-py3-none-any.whl")
}

// Who looks for a file just before it is there, and into the catalog just after, gets
// it.
func TestAFileComesWhileSomebodyLooks(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	for _, ending := range []string{"", ".metadata"} {
		w := lazy(t, "fetch", fetchtest.New(t, foo))
		w.ask(w.join(), "foo", 0)
		path := w.pathOf("foo", foo.Filename)
		other := w.join()
		var once, never sync.Once
		ctx := leaver{t.Context(), func() bool { // the catalog is about to be asked
			once.Do(func() {
				if err := other.File(t.Context(), path, nil); err != nil {
					t.Error(err)
				}
			})
			return false
		}, &never, make(chan struct{})}
		if err := w.join().File(ctx, path+ending, nil); err != nil {
			t.Errorf("%q: %v", ending, err)
		}
	}
}
