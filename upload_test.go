package nestgen

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/packaging"
)

// newUploadWorld is a site that takes uploads.
func newUploadWorld(t testing.TB, more ...func(*Config)) *world {
	t.Helper()
	w := newWorld(t)
	w.Uploads = "uploads"
	w.Fallback.Free = 0
	for _, change := range more {
		change(&w.Config)
	}
	if err := w.Resolve(); err != nil {
		t.Fatal(err)
	}
	return w
}

// An uploader uploads as a request does.
type uploader struct {
	*Live
	signature, attestations []byte
}

func (l uploader) upload(ctx context.Context, file string, data []byte) error {
	f, err := l.Stage(ctx)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	name, err := packaging.ParseFilename(file, "")
	if err != nil {
		name.Project = "unknown"
	}
	return l.Upload(ctx, Uploaded{
		File: f, Filename: file, Project: name.Project, SHA256: hex.EncodeToString(sum[:]), By: "token ci-bot from 192.0.2.7",
		Signature: l.signature, Attestations: l.attestations,
	})
}

// uploads uploads something that must be taken.
func (w *world) uploads(l *Live, file string, data []byte) {
	w.Helper()
	if err := (uploader{Live: l}).upload(w.Context(), file, data); err != nil {
		w.Fatalf("%s: %v", file, err)
	}
}

// refuses uploads something that must be refused.
func (w *world) refuses(l *Live, file string, data []byte, cause Cause, text string) {
	w.Helper()
	err := (uploader{Live: l}).upload(w.Context(), file, data)
	r, ok := errors.AsType[*Refusal](err)
	if !ok || r.Cause != cause || !strings.Contains(r.Text, text) {
		w.Errorf("%s: %v, want cause %d with %q", file, err, cause, text)
	}
	w.nothingStaged(l)
}

// nothingStaged checks that no upload has left anything where it was staged.
func (w *world) nothingStaged(l *Live) {
	w.Helper()
	stages, _ := filepath.Glob(w.path("state/stage/beside-*/*"))
	coming, _ := filepath.Glob(w.path("uploads/.incoming/*"))
	if left := slices.Concat(stages, coming); len(left) > 0 {
		w.Errorf("left in the stage: %q", left)
	}
}

// idle builds a site that has nothing to do.
func (w *world) idle() {
	w.Helper()
	before := w.pages()
	r := w.build(0)
	if !r.Idle() {
		w.Errorf("a build with nothing to do did %+v", r)
	}
	after := w.pages()
	for name, text := range after {
		if before[name] != text {
			w.Errorf("%s changed", name)
		}
	}
}

func (w *world) events(n packaging.Name) (events []catalog.Event) {
	w.Helper()
	_, events, err := Show(w.Context(), w.Config, n)
	if err != nil {
		w.Fatal(err)
	}
	return events
}

func TestUpload(t *testing.T) {
	for _, tt := range []struct {
		name  string
		built bool
	}{{"to a site that was never built", false}, {"to a site that was built", true}} {
		t.Run(tt.name, func(t *testing.T) {
			w := newUploadWorld(t)
			if tt.built {
				w.drop("other", "1.0", plain)
				w.build(0)
			}
			l := w.join()
			file, data := intaketest.Wheel("Foo.Bar", "1.0", intaketest.Opts{Spelling: "Foo.Bar", RequiresPython: ">=3.8"})
			up := uploader{l, []byte("signed"), []byte(`[{"version":1}]`)}
			if err := up.upload(t.Context(), file, data); err != nil {
				t.Fatal(err)
			}
			w.checkTree()
			w.nothingStaged(l)
			if !slices.Contains(w.listed(), file) {
				t.Fatalf("not listed: %q", w.listed())
			}
			f := w.page("foo-bar").Files[0]
			sum := sha256.Sum256(data)
			if f.Hashes["sha256"] != hex.EncodeToString(sum[:]) || f.Size != int64(len(data)) || f.Metadata == nil || f.Uploaded == "" {
				t.Errorf("listed as %+v", f)
			}
			for _, path := range []string{"uploads/foo-bar/" + file, "uploads/foo-bar/" + file + ".asc", "uploads/foo-bar/" + file + ".attestations.json", "site/simple/Foo.Bar/index.html", "site/pypi/foo-bar/1.0/json"} {
				if !w.exists(path) {
					t.Errorf("%s is missing", path)
				}
			}
			if w.read("uploads/foo-bar/"+file+".attestations.json") != `[{"version":1}]` {
				t.Error("the attestations are not what was sent")
			}
			events := w.events("foo-bar")
			if e := events[0]; e.Verb != catalog.Add || e.Source != catalog.Local || e.Reason != "uploaded by token ci-bot from 192.0.2.7" {
				t.Errorf("event %+v", e)
			}
			p, _, _ := Show(t.Context(), w.Config, "foo-bar")
			if !p.Files[0].Signed || p.Owner != catalog.Local || p.Display != "Foo.Bar" {
				t.Errorf("the catalog has %+v", p)
			}
			serial := p.Serial
			w.idle()
			w.verifies()
			if again, _, _ := Show(t.Context(), w.Config, "foo-bar"); again.Serial != serial || again.Files[0] != p.Files[0] {
				t.Errorf("the build made %+v of %+v", again.Files[0], p.Files[0])
			}
		})
	}
}

func TestUploadOfWhatIsThere(t *testing.T) {
	w := newUploadWorld(t)
	l := w.join()
	file, data := intaketest.Wheel("foo", "1.0", plain)
	_, other := intaketest.Wheel("foo", "1.0", intaketest.Opts{RequiresPython: ">=3.9"})
	w.uploads(l, file, data)
	pages, events := w.pages(), len(w.events("foo"))

	w.uploads(l, file, data)
	w.refuses(l, file, other, Exists, "other bytes")
	if n := len(w.events("foo")); n != events {
		t.Errorf("%d events, want %d", n, events)
	}
	for name, text := range w.pages() {
		if pages[name] != text {
			t.Errorf("%s changed", name)
		}
	}

	// A file that is withdrawn keeps its name, and may come back.
	w.remove("uploads/foo/" + file)
	w.build(0, Options{AllowRemovals: true})
	w.lists()
	w.refuses(l, file, other, Exists, "other bytes")
	w.uploads(l, file, data)
	w.lists(file)
	if e := w.events("foo"); e[len(e)-1].Verb != catalog.Restore {
		t.Errorf("last event %+v", e[len(e)-1])
	}
	w.idle()

	// What lies in another drop folder is uploaded as well: it is here to stay.
	dropped := w.drop("bar", "1.0", plain)
	w.write("drop/"+dropped+".asc", "signed")
	w.build(0)
	had := len(w.events("bar"))
	w.uploads(l, dropped, []byte(w.read("drop/"+dropped)))
	if e := w.events("bar"); len(e) != had {
		t.Errorf("an event for what was there: %+v", e[had])
	}
	w.idle()
	w.remove("drop/" + dropped)
	w.remove("drop/" + dropped + ".asc")
	w.build(0)
	w.lists(file, dropped)

	// What was taken away, and uploaded before a build saw that it was gone, stays.
	w.remove("uploads/foo/" + file)
	w.uploads(l, file, data)
	w.idle()
	w.lists(file, dropped)
	w.verifies()
}

// What came with an upload goes with the bytes that it came with.
func TestUploadCompanions(t *testing.T) {
	w := newUploadWorld(t)
	l := w.join()
	file, data := intaketest.Sdist("foo", "1.0", plain)
	signed := func() bool {
		p, _, err := Show(t.Context(), w.Config, "foo")
		return err == nil && p.Files[0].Signed
	}

	// Left by an upload of other bytes that died before its file was there.
	w.write("uploads/foo/"+file+".asc", "of something else")
	w.write("uploads/foo/"+file+".attestations.json", "of something else")
	w.uploads(l, file, data)
	if signed() || w.exists("uploads/foo/"+file+".asc") || w.exists("uploads/foo/"+file+".attestations.json") {
		t.Error("the file has what belongs to another one")
	}
	if err := (uploader{l, []byte("late"), nil}).upload(t.Context(), file, data); err != nil {
		t.Fatal(err)
	}
	if !signed() || w.read("uploads/foo/"+file+".asc") != "late" {
		t.Error("a signature that comes later is not taken")
	}
	if err := (uploader{l, []byte("another"), []byte("[]")}).upload(t.Context(), file, data); err != nil {
		t.Fatal(err)
	}
	w.uploads(l, file, data)
	if !signed() || w.read("uploads/foo/"+file+".asc") != "late" {
		t.Error("the first signature does not stay")
	}
	w.idle()
	w.checkTree()
	w.verifies()
	if err := (uploader{l, make([]byte, maxCompanion+1), nil}).upload(t.Context(), file, data); !isRefusal(err, Invalid) {
		t.Errorf("a signature that no build would read: %v", err)
	}
}

func TestUploadRefused(t *testing.T) {
	w := newUploadWorld(t)
	w.LegacyFiles = false
	w.write("policy.toml", "[[block]]\nproject = \"foo\"\nversions = \"==6.6\"\nreason = \"it is bad\"\n"+
		"[[status]]\nproject = \"old\"\nstatus = \"archived\"\n[[status]]\nproject = \"ill\"\nstatus = \"quarantined\"\n"+
		"[[status]]\nproject = \"aged\"\nstatus = \"deprecated\"\nreason = \"so\"\n")
	l := w.join()
	wheel := func(name, version string, o intaketest.Opts) (string, []byte) {
		return intaketest.Wheel(name, version, o)
	}
	file, data := wheel("Foo_Bar", "1.0", intaketest.Opts{})
	w.uploads(l, file, data)

	file, data = wheel("foo", "6.6", plain)
	w.refuses(l, file, data, NotAllowed, "it is bad")
	file, data = wheel("old", "1.0", plain)
	w.refuses(l, file, data, NotAllowed, "archived")
	file, data = wheel("ill", "1.0", plain)
	w.refuses(l, file, data, NotAllowed, "quarantined")
	file, data = wheel("aged", "1.0", plain)
	w.uploads(l, file, data)
	if p := w.page("aged"); p.Status.Status != "deprecated" {
		t.Errorf("status %+v", p.Status)
	}
	file, data = wheel("foo", "1.0", plain)
	w.refuses(l, file, data[:len(data)-1], Invalid, "")
	w.refuses(l, file, nil, Invalid, "empty")
	w.refuses(l, "bar-1.0-py3-none-any.whl", data, Invalid, "foo-1.0.dist-info")
	w.refuses(l, "foo-2.0-py3-none-any.whl", data, Invalid, "foo-1.0.dist-info")
	w.refuses(l, "foo-1.0.whl", data, Invalid, "")
	w.refuses(l, "foo bar-1.0.zip", data, Invalid, "")
	w.refuses(l, strings.Repeat("x", 240)+"-1.0.tar.gz", data, Invalid, "more than")
	sdist, data := intaketest.Sdist("foo", "1.0", plain)
	w.refuses(l, "foo-next.tar.gz", data, Invalid, "PEP 440")
	w.refuses(l, "foo-1.0.win32.exe", data, NotAllowed, "not listed here")
	w.MaxFile = 10
	w.refuses(w.join(), sdist, data, Invalid, "larger than the limit of 10 bytes")
	w.MaxFile = 4 << 20

	// Names that clients do not tell apart.
	_, data = wheel("foo-bar", "1.0", plain)
	for _, alike := range []string{"FOO_bar-1.0-py3-none-any.whl", "foo.bar-1.0-py3-none-any.whl"} {
		w.refuses(l, alike, data, Exists, "differs only in case")
	}
	local, data := wheel("foo", "1.0+ours", plain)
	w.uploads(l, local, data)
	w.idle()
	w.verifies()

	// What is listed still and has to go is not taken either.
	w.write("policy.toml", w.read("policy.toml")+"[[block]]\nproject = \"foo\"\nversions = \"==1.0+ours\"\nreason = \"it is bad\"\n")
	w.refuses(l, local, data, NotAllowed, "it is bad")
}

func TestUploadSettings(t *testing.T) {
	file, data := intaketest.Wheel("foo", "1.0", plain)
	w := newWorld(t)
	w.refuses(w.join(), file, data, NotAllowed, "takes no uploads")

	full := newUploadWorld(t, func(c *Config) { c.Fallback.Free = 1 << 60 })
	full.refuses(full.join(), file, data, NoSpace, "too full")

	torn := newUploadWorld(t)
	l := torn.join()
	torn.uploads(l, file, data)
	torn.write("policy.toml", "[[block]]\nproject =\n")
	file, data = intaketest.Wheel("foo", "2.0", plain)
	err := uploader{Live: l}.upload(t.Context(), file, data)
	if !errors.Is(err, ErrSettings) {
		t.Errorf("with a policy that cannot be read: %v", err)
	}
	torn.remove("policy.toml")
	torn.uploads(l, file, data)
	torn.nothingStaged(l)
}

// Whose a name is decides who may upload to it.
func TestUploadOwners(t *testing.T) {
	const list = "listed\nfrom @ https://example.org/from-1.0.tar.gz\n"
	for _, tt := range []struct {
		name, project string
		more          func(*Config)
		allowlist     string
		cause         Cause // 0 for none
	}{
		{name: "a new name", project: "new"},
		{name: "an upstream's", project: "theirs", cause: NotAllowed},
		{name: "an upstream's, taken over", project: "theirs", more: func(c *Config) { c.Projects = []ProjectConfig{{Name: "Theirs", Sources: "local"}} }},
		{name: "an upstream's, shared", project: "theirs", more: func(c *Config) { c.Projects = []ProjectConfig{{Name: "theirs", Sources: "both"}} }},
		{name: "an upstream's, reserved", project: "theirs", more: func(c *Config) { c.Reserved = []string{"their*"} }},
		{name: "our own", project: "ours"},
		{name: "our own, given away", project: "ours", more: func(c *Config) { c.Projects = []ProjectConfig{{Name: "ours", Sources: "upstream"}} }, cause: NotAllowed},
		{name: "our own, asked for by the allowlist", project: "ours", allowlist: "ours"},
		{name: "asked for by the allowlist", project: "listed", allowlist: list, cause: NotAllowed},
		{name: "asked for by the allowlist, without upstreams", project: "listed", allowlist: list, more: func(c *Config) { c.Upstreams = nil }},
		{name: "asked for by the allowlist, which names the upstream", project: "listed", allowlist: "-i https://example.org/simple\n" + list, more: func(c *Config) { c.Upstreams = nil }, cause: NotAllowed},
		{name: "asked for by its address", project: "from", allowlist: list, more: func(c *Config) { c.Upstreams = nil }, cause: NotAllowed},
		{name: "asked for and reserved", project: "listed", allowlist: list, more: func(c *Config) { c.Reserved = []string{"listed"} }},
		{name: "an allowlist with errors", project: "new", allowlist: "not a requirement!\n-r missing.txt\n"},
		{name: "on demand", project: "new", more: func(c *Config) { c.OnDemand = []OnDemand{{"n*", "fetch"}} }, cause: NotAllowed},
		{name: "redirected", project: "new", more: func(c *Config) { c.OnDemand = []OnDemand{{"*", "redirect"}} }, cause: NotAllowed},
		{name: "on demand by the allowlist", project: "new", more: func(c *Config) { c.OnDemand = []OnDemand{{"*", "list"}} }},
		{name: "never on demand", project: "new", more: func(c *Config) { c.OnDemand = []OnDemand{{"new", "never"}, {"*", "fetch"}} }},
		{name: "on demand, without upstreams", project: "new", more: func(c *Config) { c.OnDemand = []OnDemand{{"*", "fetch"}}; c.Upstreams = nil }},
		{name: "on demand, but reserved", project: "new", more: func(c *Config) { c.OnDemand = []OnDemand{{"*", "fetch"}}; c.Reserved = []string{"new"} }},
		{name: "on demand, but our own", project: "ours", more: func(c *Config) { c.OnDemand = []OnDemand{{"*", "fetch"}} }},
		{name: "on demand, but local", project: "new", more: func(c *Config) {
			c.OnDemand = []OnDemand{{"*", "fetch"}}
			c.Projects = []ProjectConfig{{Name: "new", Sources: "local"}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newUploadWorld(t)
			srv := fetchtest.New(t, wheel("theirs", "0.1", plain))
			w.Upstreams = []Upstream{{Name: "up1", URL: srv.URL + fetchtest.Index, Timeout: Duration(patience)}}
			w.write("allowlist.txt", "theirs")
			w.drop("ours", "0.1", plain)
			w.build(0)
			w.write("allowlist.txt", "theirs\n"+tt.allowlist)
			if tt.more != nil {
				tt.more(&w.Config)
			}
			l := w.join()
			file, data := intaketest.Wheel(tt.project, "1.0", plain)
			if tt.cause != 0 {
				w.refuses(l, file, data, tt.cause, "not one of this index's own projects")
				return
			}
			w.uploads(l, file, data)
			if !slices.Contains(w.listed(), file) {
				t.Errorf("not listed")
			}
			w.checkTree()
		})
	}
}

// A file that its upstream has announced, and that comes from here instead, keeps
// the place that its page gives.
func TestUploadOfWhatWasAnnounced(t *testing.T) {
	one, two := wheel("foo", "1.0", plain), wheel("foo", "2.0", plain)
	for _, way := range []string{"upload", "drop"} {
		t.Run(way, func(t *testing.T) {
			w := lazy(t, "fetch", fetchtest.New(t, one, two))
			w.Uploads = "uploads"
			w.Projects = []ProjectConfig{{Name: "foo", Sources: "both"}}
			if err := w.Resolve(); err != nil {
				t.Fatal(err)
			}
			l := w.join()
			w.ask(l, "foo", 0)
			was := w.page("foo").Files
			_, other := intaketest.Wheel("foo", "1.0", intaketest.Opts{RequiresPython: ">=3.9"})
			w.refuses(l, one.Filename, other, Exists, "other bytes")
			if way == "upload" {
				w.uploads(l, one.Filename, one.Data)
			} else {
				w.write("drop/"+one.Filename, string(one.Data))
				w.build(0)
			}
			w.checkTree()
			p, _, err := Show(t.Context(), w.Config, "foo")
			if err != nil {
				t.Fatal(err)
			}
			if f, _ := listedAs(p, one.Filename); f.Source != catalog.Local || f.Announced {
				t.Errorf("the catalog has %+v", f)
			}
			for i, f := range w.page("foo").Files {
				if f.URL != was[i].URL {
					t.Errorf("%s has moved to %s", was[i].URL, f.URL)
				}
			}
			w.idle()
			w.lists(one.Filename, two.Filename)
			w.verifies()
		})
	}
}

// Of many who upload other bytes under one name at once, one wins, and all others
// are told that the file exists.
func TestUploadsOfOneName(t *testing.T) {
	many, others := 1000, 4
	if testing.Short() {
		many = 100
	}
	w := newUploadWorld(t)
	var lives []*Live
	for range others {
		lives = append(lives, w.join())
	}
	file, _ := intaketest.Wheel("foo", "1.0", plain)
	var won, refused atomic.Int64
	var winner atomic.Value
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			_, data := intaketest.Wheel("foo", "1.0", intaketest.Opts{RequiresPython: fmt.Sprintf(">=3.%d", i)})
			err := uploader{Live: lives[i%others]}.upload(t.Context(), file, data)
			switch {
			case err == nil:
				won.Add(1)
				winner.Store(data)
			case isRefusal(err, Exists):
				refused.Add(1)
			default:
				t.Errorf("upload %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || refused.Load() != int64(many-1) {
		t.Fatalf("%d won, %d were told that it exists, of %d", won.Load(), refused.Load(), many)
	}
	data := winner.Load().([]byte)
	sum := sha256.Sum256(data)
	if f := w.page("foo").Files; len(f) != 1 || f[0].Hashes["sha256"] != hex.EncodeToString(sum[:]) {
		t.Errorf("listed %+v", f)
	}
	if w.read("uploads/foo/"+file) != string(data) {
		t.Error("the folder of the uploads has something else")
	}
	w.nothingStaged(lives[0])
	w.checkTree()
	w.idle()
	w.verifies()
}

// Many projects at once, through several processes' worth of doors: each is there
// when its upload is answered.
func TestUploadsOfManyProjects(t *testing.T) {
	w := newUploadWorld(t)
	w.Fallback.Deadline = Duration(10 * time.Minute) // the machine may be slow
	lives := []*Live{w.join(), w.join(), w.join()}
	var all sync.WaitGroup
	var want []string
	for i := range 60 {
		file, data := intaketest.Wheel(fmt.Sprintf("project-%d", i), "1.0", plain)
		want = append(want, file)
		all.Go(func() {
			if err := (uploader{Live: lives[i%len(lives)]}).upload(t.Context(), file, data); err != nil {
				t.Errorf("%s: %v", file, err)
			} else if !w.exists(fmt.Sprintf("site/simple/project-%d/index.html", i)) {
				t.Errorf("%s is not there when the upload is answered", file)
			}
		})
	}
	all.Wait()
	w.lists(want...)
	w.checkTree()
	w.idle()
	w.verifies()
}

// An upload that died after its file was put in place is done by the next upload of
// the same bytes, or by the next build, whichever comes first.
func TestUploadThatDied(t *testing.T) {
	for _, healer := range []string{"upload", "build", "other upload"} {
		t.Run(healer, func(t *testing.T) {
			w := newUploadWorld(t)
			l := w.join()
			file, data := intaketest.Wheel("foo", "1.0", plain)
			up := w.begun(l, file, data)
			if _, err := up.inspect(t.Context()); err != nil {
				t.Fatal(err)
			}
			turn, err := up.turn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, isNew, err := up.place(); err != nil || !isNew {
				t.Fatal(isNew, err)
			}
			turn.Close()
			up.discard() // as the next who comes does with what the dead leave in the stage
			if w.exists("site/simple") {
				t.Fatal("there are pages already")
			}
			switch healer {
			case "upload":
				w.uploads(l, file, data)
			case "build":
				w.build(0)
			case "other upload":
				_, other := intaketest.Wheel("foo", "1.0", intaketest.Opts{RequiresPython: ">=3.9"})
				w.refuses(l, file, other, Exists, "other bytes")
				w.build(0)
			}
			w.lists(file)
			w.uploads(l, file, data)
			w.idle()
			w.verifies()
		})
	}
}

// begun gives an upload that is ready for its turn.
func (w *world) begun(l *Live, file string, data []byte) *uploading {
	w.Helper()
	f, err := l.Stage(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		w.Fatal(err)
	}
	sum := sha256.Sum256(data)
	name, _ := packaging.ParseFilename(file, "")
	s, err := l.request()
	if err != nil {
		w.Fatal(err)
	}
	u := &uploading{site: s, staged: f.Name(), Uploaded: Uploaded{File: f, Filename: file, Project: name.Project, SHA256: hex.EncodeToString(sum[:]), By: "a test"}}
	if err := errors.Join(u.identify(), u.beginUpload(w.Context())); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(u.discard)
	return u
}

// What was noted and not published is published by whoever comes next, also if that
// brings nothing new.
func TestUploadThatWasNotPublished(t *testing.T) {
	w := newUploadWorld(t)
	l := w.join()
	file, data := intaketest.Wheel("foo", "1.0", plain)
	up := w.begun(l, file, data)
	a, err := up.inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := up.list(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if w.exists("site/simple/foo") {
		t.Fatal("it is published already")
	}
	w.uploads(l, file, data)
	w.lists(file)
	w.idle()
	w.verifies()
}

// A build that read the folders before an upload came leaves alone what it did not
// see, whichever of its steps the upload comes between.
func TestUploadDuringABuild(t *testing.T) {
	for _, step := range []string{"after the scan", "after the scan, without a cache", "before it is noted", "before the withdrawal", "before the pages"} {
		t.Run(step, func(t *testing.T) {
			step, cold := strings.CutSuffix(step, ", without a cache")
			w := newUploadWorld(t)
			l := w.join()
			stays, data := intaketest.Wheel("foo", "1.0", plain)
			w.uploads(l, stays, data)
			other, otherData := intaketest.Wheel("other", "1.0", plain)
			w.uploads(l, other, otherData)
			gone, goneData := intaketest.Wheel("other", "0.9", plain)
			w.uploads(l, gone, goneData)
			again, againData := intaketest.Wheel("foo", "0.8", plain)
			w.uploads(l, again, againData)
			w.build(0)
			w.remove("uploads/other/" + gone)
			w.remove("uploads/foo/" + again)
			if cold {
				w.remove("state/drop.cache")
			}

			s, err := open(w.Config, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			dropped := w.drop("foo", "0.5", plain)
			file, data := intaketest.Wheel("foo", "2.0", intaketest.Opts{Spelling: "FOO"})
			more, moreData := intaketest.Wheel("bar", "1.0", plain)
			now := func(at string) {
				if at == step {
					w.uploads(l, file, data)
					w.uploads(l, more, moreData)
					w.uploads(l, again, againData)
				}
			}
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(s.begin(t.Context()))
			must(s.readIntent(t.Context()))
			must(s.scanDrop(t.Context()))
			now("after the scan")
			for batch, err := range s.decide(t.Context()) {
				must(err)
				for _, d := range batch {
					for _, leaves := range d.Withdraw {
						if step == "after the scan" && d.Name != "other" {
							t.Errorf("%s is to leave", leaves.File.Filename)
						}
					}
				}
				now("before it is noted")
				must(s.carry(t.Context(), batch))
			}
			now("before the withdrawal")
			must(s.withdraw(t.Context()))
			must(s.remember(t.Context()))
			now("before the pages")
			must(s.publish(t.Context()))
			must(s.deleteDue(t.Context()))
			must(s.close())
			if len(s.report.Problems) > 0 {
				t.Errorf("the build tells of\n%s", problemText(s.report))
			}
			w.checkTree()
			for _, f := range []string{stays, file, more, again, dropped, other} {
				if !slices.Contains(w.listed(), f) {
					t.Errorf("%s is not listed", f)
				}
			}
			before, _, _ := Show(t.Context(), w.Config, "foo")
			if before.Display != "FOO" {
				t.Errorf("it is written %s", before.Display)
			}
			w.remove("uploads/bar/" + more) // which no scan has seen
			w.build(0)
			w.lists(stays, file, again, dropped, other)
			after, _, _ := Show(t.Context(), w.Config, "foo")
			for _, f := range after.Files {
				if old, ok := listedAs(before, f.Filename); !ok || old != f {
					t.Errorf("the next build made %+v of %+v", f, old)
				}
			}
			w.idle()
			w.verifies()
		})
	}
}

// What was uploaded and taken away before any build leaves with the next one.
func TestUploadThatNoBuildHasSeen(t *testing.T) {
	w := newUploadWorld(t)
	anchor := w.drop("anchor", "1.0", plain)
	w.build(0)
	l := w.join()
	file, data := intaketest.Wheel("foo", "1.0", plain)
	w.uploads(l, file, data)
	w.remove("uploads/foo/" + file)
	w.build(0, Options{AllowRemovals: true})
	w.lists(anchor)
	w.idle()
}

// Builds come one after the other while others upload: nothing is lost.
func TestUploadsBesideBuilds(t *testing.T) {
	w := newUploadWorld(t)
	w.Fallback.Deadline = Duration(10 * time.Minute)
	anchor := w.drop("anchor", "1.0", plain)
	w.build(0)
	lives := []*Live{w.join(), w.join()}
	want := []string{anchor}
	var all sync.WaitGroup
	for i, l := range lives {
		var files []string
		data := map[string][]byte{}
		for v := range 12 {
			spelling := []string{"shared", "Shared", "SHARED"}[v%3]
			for _, name := range []string{"shared", fmt.Sprintf("own-%d", i)} {
				o := intaketest.Opts{}
				if name == "shared" {
					o.Spelling = spelling
				}
				f, d := intaketest.Wheel(name, fmt.Sprintf("%d.%d", i, v), o)
				files, data[f] = append(files, f), d
			}
		}
		want = append(want, files...)
		all.Go(func() {
			for _, f := range files {
				if err := (uploader{Live: l}).upload(t.Context(), f, data[f]); err != nil {
					t.Errorf("%s: %v", f, err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for n := 0; ; n++ {
		// Something comes and goes on the other side as well.
		name, data := intaketest.Wheel("shared", fmt.Sprintf("9.%d", n%2), intaketest.Opts{Spelling: "sharEd"})
		if n%4 < 2 {
			w.write("drop/"+name, string(data))
		} else {
			w.remove("drop/" + name)
		}
		r, err := Build(t.Context(), w.Config, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Withdrawn.Files {
			if !strings.Contains(f.Filename, "-9.") {
				t.Errorf("withdrawn: %+v", f)
			}
		}
		select {
		case <-done:
		default:
			continue
		}
		break
	}
	for v := range 2 {
		name, _ := intaketest.Wheel("shared", fmt.Sprintf("9.%d", v), intaketest.Opts{Spelling: "sharEd"})
		w.remove("drop/" + name)
	}
	w.build(0)
	w.lists(want...)
	w.idle()
	w.verifies()
	for p, err := range List(t.Context(), w.Config, rootIndex) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Display != catalog.SpellingOf(p.Name, p.Links, p.Files) {
			t.Errorf("%s is written %s", p.Name, p.Display)
		}
	}
}

// The folder of the uploads is made for the first of them. If it is away later, or
// another one stands in its place, nothing leaves and nothing comes.
func TestUploadFolderThatIsAway(t *testing.T) {
	w := newUploadWorld(t)
	if r, err := Build(t.Context(), w.Config, Options{DryRun: true}); err != nil || r.Status != 0 || w.exists("uploads") {
		t.Errorf("a dry run: %v, %+v", err, r)
	}
	w.build(0)
	l := w.join()
	file, data := intaketest.Wheel("foo", "1.0", plain)
	w.uploads(l, file, data)
	w.build(0)
	if err := os.Rename(w.path("uploads"), w.path("away")); err != nil {
		t.Fatal(err)
	}
	next, nextData := intaketest.Wheel("foo", "2.0", plain)
	failed := func(when string) {
		t.Helper()
		if err := (uploader{Live: l}).upload(t.Context(), next, nextData); !errors.Is(err, ErrAlarm) {
			t.Errorf("an upload when %s: %v", when, err)
		}
	}
	failed("the folder is away")
	r := w.build(3)
	w.tells(r, "incomplete", "drop folder cannot be read")
	w.lists(file)
	failed("the folder is still away")
	if err := os.Mkdir(w.path("uploads"), 0o700); err != nil {
		t.Fatal(err)
	}
	failed("another folder is there")
	w.build(3)
	w.lists(file)
	failed("another folder is still there")
	w.remove("uploads")
	if err := os.Rename(w.path("away"), w.path("uploads")); err != nil {
		t.Fatal(err)
	}
	w.uploads(l, next, nextData)
	w.idle()
	w.lists(file, next)

	// A copy that has everything is as good, once a build has seen it.
	if err := os.CopyFS(w.path("copy"), os.DirFS(w.path("uploads"))); err != nil {
		t.Fatal(err)
	}
	w.remove("uploads")
	if err := os.Rename(w.path("copy"), w.path("uploads")); err != nil {
		t.Fatal(err)
	}
	third, thirdData := intaketest.Wheel("foo", "3.0", plain)
	if err := (uploader{Live: l}).upload(t.Context(), third, thirdData); !errors.Is(err, ErrAlarm) {
		t.Errorf("an upload to a folder that no build has seen: %v", err)
	}
	w.build(0)
	w.uploads(l, third, thirdData)
	w.lists(file, next, third)
}

// The folder of the uploads may be a drop folder, or lie in one.
func TestUploadFolderInADropFolder(t *testing.T) {
	for _, folder := range []string{"drop", "drop/", "drop/up/loads"} {
		t.Run(folder, func(t *testing.T) {
			w := newUploadWorld(t, func(c *Config) { c.Uploads = folder })
			l := w.join()
			file, data := intaketest.Wheel("foo", "1.0", plain)
			w.uploads(l, file, data)
			dropped := w.drop("foo", "0.9", plain)
			w.build(0)
			w.lists(file, dropped)
			w.idle()
			w.remove(filepath.Join(folder, "foo", file))
			w.build(0)
			w.lists(dropped)
		})
	}
}

// What a process left that died while an upload came is swept, and nothing else.
func TestUploadsThatWereBrokenOff(t *testing.T) {
	w := newUploadWorld(t)
	l := w.join()
	old := time.Now().Add(-25 * time.Hour)
	leave := func() (left, coming string) {
		w.write("uploads/.incoming/left", "x")
		w.write("uploads/.incoming/coming", "x")
		if err := os.Chtimes(w.path("uploads/.incoming/left"), old, old); err != nil {
			t.Fatal(err)
		}
		return "uploads/.incoming/left", "uploads/.incoming/coming"
	}
	for _, sweep := range []func(){
		func() {
			f, err := l.Stage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if fi, err := f.Stat(); err != nil || fi.Mode() != 0o600 {
				t.Errorf("mode %v, %v", fi.Mode(), err)
			}
			f.Close()
			os.Remove(f.Name())
		},
		func() { w.build(0) },
	} {
		left, coming := leave()
		sweep()
		if w.exists(left) || !w.exists(coming) {
			t.Errorf("what is old is there: %v; what is new is there: %v", w.exists(left), w.exists(coming))
		}
	}
}

// A client that is gone leaves nothing behind, and undoes nothing.
func TestUploadOfAClientThatIsGone(t *testing.T) {
	w := newUploadWorld(t)
	l := w.join()
	file, data := intaketest.Wheel("foo", "1.0", intaketest.Opts{Pad: 1 << 20})
	f, err := l.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	ctx, gone := context.WithCancel(t.Context())
	gone()
	sum := sha256.Sum256(data)
	if err := l.Upload(ctx, Uploaded{File: f, Filename: file, Project: "foo", SHA256: hex.EncodeToString(sum[:])}); !errors.Is(err, context.Canceled) {
		t.Errorf("Upload: %v", err)
	}
	w.nothingStaged(l)
	w.uploads(l, file, data)
	w.idle()
}

// Who waits too long for others is told to come back, and what was begun is whole.
func TestUploadWhileOthersAreBusy(t *testing.T) {
	w := newUploadWorld(t)
	w.Fallback.Deadline = Duration(50 * time.Millisecond)
	l, other := w.join(), w.join()
	busy, err := other.request()
	if err != nil {
		t.Fatal(err)
	}
	turn, err := busy.tree.Turn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, data := intaketest.Wheel("foo", "1.0", plain)
	w.refuses(l, file, data, Busy, "at the moment")
	turn.Close()
	l.config.Fallback.Deadline = Duration(time.Minute)
	w.uploads(l, file, data)
	w.idle()
}

func BenchmarkUpload(b *testing.B) {
	w := newUploadWorld(b)
	l := w.join()
	first, data := intaketest.Wheel("foo", "0", intaketest.Opts{Pad: 1 << 16})
	w.uploads(l, first, data)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		file, data := intaketest.Wheel(fmt.Sprintf("foo%d", n%50), fmt.Sprint(n), intaketest.Opts{Pad: 1 << 16})
		data = bytes.Clone(data)
		b.StartTimer()
		w.uploads(l, file, data)
	}
}
