package nestgen

import (
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/layout"
	"nestgen/monitor"
	"nestgen/packaging"
)

// Whatever is done to a site, and in whatever order, its history is whole: what is served,
// what the log says and what the catalog has agree after each step, the log goes on from
// what it was, and no page leads to what is not there. [walkEnv] and [seedEnv] say of a
// longer history how many steps it has and of which seed.
func TestAnyHistoryIsWhole(t *testing.T) {
	seeds, steps := []uint64{1, 2, 3}, 8
	if testing.Short() {
		seeds = seeds[:1]
	}
	if n, err := strconv.Atoi(os.Getenv(walkEnv)); err == nil {
		steps = n
	}
	if seed, err := strconv.ParseUint(os.Getenv(seedEnv), 10, 64); err == nil {
		seeds = []uint64{seed + histories}
	}
	histories++
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := newStory(t, seed)
			for step := range steps {
				h.did = nil
				what := h.step()
				t.Logf("seed %d, step %d: %s %s", seed, step, what, strings.Join(h.did, "; "))
				h.check()
				if t.Failed() {
					for _, e := range h.history() {
						t.Logf("%+v", e)
					}
					return
				}
			}
		})
	}
}

var histories uint64 // that were made

// A story is a site with a stage, snapshots and an upstream, whose history goes on by
// everything that makes one, and another site that follows it.
type story struct {
	*walk
	t       *testing.T
	srv     *fetchtest.Server
	far     *world
	key     string // the first one of the site
	restore func() // puts a copy of the catalog back; nil without one
	tags    int    // of snapshots, as many as were made
}

func newStory(t *testing.T, seed uint64) *story {
	h := &story{walk: newWalk(t, seed), t: t, far: newWorld(t)}
	h.far.placed = map[string]bool{} // what came on demand lies where it was announced there too
	h.srv = fetchtest.New(t)
	h.offer()
	h.Upstreams = h.Upstreams[:1]
	h.Upstreams[0].URL = h.srv.URL + fetchtest.Index
	h.OnDemand = []OnDemand{{Pattern: "od-*", Mode: "fetch"}}
	h.Grace = days(1)
	h.index(Index{Name: "prod"})
	h.Changes = pick(h.r, "none", "site", "projects")
	h.Gzip = h.r.IntN(3) == 0
	h.Snapshots = pick(h.r, nil, SnapshotRules{{"daily", 2}}, SnapshotRules{{"hourly", 2}, {"weekly", 3}})
	link(t, h.world, "near.example", h.far)
	link(t, h.far, "far.example", h.far)
	own, err := OwnKey(h.Config)
	if err != nil {
		t.Fatal(err)
	}
	h.key = own.Verifier
	for range 4 {
		h.add()
	}
	h.allow()
	h.publish()
	return h
}

// offer has the upstream offer some of its files, some of them yanked. What a name stands
// for never changes.
func (h *story) offer() string {
	var files []fetchtest.File
	for _, n := range []string{"up", "up-a", "up0", "od-a", "od-b"} {
		for _, v := range []string{"1.0", "2.0", "3.0"} {
			f := wheel(n, v, intaketest.Opts{Spelling: spellingFor(n, v)})
			if h.r.IntN(6) == 0 {
				f = yanked(f, "oops")
			}
			if h.r.IntN(4) > 0 {
				files = append(files, f)
			}
		}
	}
	h.srv.SetFiles(files...)
	return fmt.Sprintf("an upstream of %d files", len(files))
}

func (h *story) step() string {
	return pick(h.r,
		h.change, h.change, h.change, h.change, h.change, h.change,
		h.promote, h.promote, h.demote, h.snapshot, h.snapshot, h.dropSnapshot,
		h.rollback, h.endRollback, h.endRollback, h.collect, h.rotate,
		h.ask, h.ask, h.fetch, h.send, h.send, h.carry, h.carry,
		h.copyCatalog, h.copyCatalog, h.lose, h.lose, h.lose,
	)()
}

// change changes what the index is made of, and builds.
func (h *story) change() string {
	for range 1 + h.r.IntN(3) {
		h.did = append(h.did, pick(h.r, h.add, h.add, h.add, h.take, h.takeProject, h.other,
			h.link, h.rule, h.rule, h.allow, h.allow, h.offer, h.takeUpload, h.set, h.wait)())
	}
	h.publish()
	return "build:"
}

// other puts other bytes in the place of a dropped file.
func (h *story) other() string {
	file, _ := h.file()
	if !h.exists("drop/"+file) || !strings.HasSuffix(file, ".whl") {
		return "no " + file
	}
	_, data := intaketest.Wheel(strings.Split(file, "-")[0], strings.Split(file, "-")[1], intaketest.Opts{Summary: "another"})
	h.write("drop/"+file, string(data))
	return "another " + file
}

func (h *story) set() string {
	switch h.r.IntN(6) {
	case 0:
		h.Flat = !h.Flat
	case 1:
		h.People = !h.People
	case 2:
		h.LegacyJSON = pick(h.r, "none", "projects", "releases")
	case 3:
		h.Gzip = !h.Gzip
	case 4, 5:
		h.PublishLog = !h.PublishLog
	}
	return fmt.Sprintf("set flat=%v people=%v legacy=%v gzip=%v log=%v", h.Flat, h.People, h.LegacyJSON, h.Gzip, h.PublishLog)
}

func (h *story) wait() string {
	h.clock += pick(h.r, int64(10), 2000, 90_000, 700_000)
	setClock(h.t, fmt.Sprint(h.clock))
	return fmt.Sprintf("it is %d", h.clock)
}

// publish builds.
func (h *story) publish() {
	h.Helper()
	if _, err := Build(h.Context(), h.Config, Options{AllowRemovals: true}); err != nil {
		h.Fatalf("build after %q: %v (%s)", h.did, err, Hint(err))
	}
	h.pending = false
}

// told gives what came of a command: a refusal says what to do.
func (h *story) told(what string, err error) string {
	h.Helper()
	if err != nil && (Hint(err) == "" || errors.Is(err, ErrAlarm)) {
		h.Errorf("%s: %v (%s)", what, err, Hint(err))
	}
	return fmt.Sprintf("%s: %v", what, err)
}

func (h *story) promote() string {
	from, all := rootIndex, h.listed()
	if len(all) == 0 {
		return "nothing to promote"
	}
	file := pick(h.r, all...)
	_, err := Promote(h.Context(), h.Config, Options{}, Promotion{Targets: h.targets(file), From: from, To: "prod", Who: "alice"})
	return h.told("promote "+file, err)
}

func (h *story) demote() string {
	pages, err := filepath.Glob(h.path("site/prod/simple/*/index.v1_json"))
	if err != nil || len(pages) == 0 {
		return "nothing to take back"
	}
	project := filepath.Base(filepath.Dir(pick(h.r, pages...)))
	_, err = Promote(h.Context(), h.Config, Options{}, Promotion{Targets: h.targets(project), To: "prod", Remove: true, Who: "bob"})
	return h.told("take back "+project, err)
}

func (h *story) snapshot() string {
	h.tags++
	r := SnapshotRequest{Tag: fmt.Sprintf("s%d", h.tags), Who: "alice", Note: "tested", Force: true}
	if h.r.IntN(3) == 0 {
		r.Serial = 1 + h.r.Int64N(h.serial())
	}
	if h.r.IntN(4) == 0 {
		r.Tag = "again"
	}
	_, err := CreateSnapshot(h.Context(), h.Config, Options{}, r)
	return h.told(fmt.Sprintf("snapshot %s of %d", r.Tag, r.Serial), err)
}

func (h *story) dropSnapshot() string {
	tags := h.world.tags()
	if len(tags) == 0 {
		return "no snapshot to drop"
	}
	tag := pick(h.r, tags...)
	_, err := DropSnapshots(h.Context(), h.Config, Options{}, "bob", tag)
	return h.told("drop "+tag, err)
}

func (h *story) rollback() string {
	r := RollbackRequest{Serial: 1 + h.r.Int64N(h.serial()), Who: "alice", Force: true}
	if tags := h.world.tags(); len(tags) > 0 && h.r.IntN(2) == 0 {
		r.Serial, r.Tag = 0, pick(h.r, tags...)
	}
	_, err := Rollback(h.Context(), h.Config, Options{AllowRemovals: true}, r)
	return h.told(fmt.Sprintf("rollback to %d%s", r.Serial, r.Tag), err)
}

func (h *story) endRollback() string {
	_, err := EndRollback(h.Context(), h.Config, Options{}, "bob")
	h.publish()
	return h.told("end of a rollback", err)
}

func (h *story) collect() string {
	c, r := h.Config, pick(h.r, Retention{}, Retention{Keep: 1})
	if r.Keep == 0 {
		c.Grace = 0
	}
	g, err := GC(h.Context(), c, Options{Retention: r})
	if err != nil {
		return h.told("gc", err)
	}
	return fmt.Sprintf("gc: %d files", len(g.Paths))
}

func (h *story) rotate() string {
	_, err := RotateKey(h.Context(), h.Config, Options{})
	return h.told("rotate", err)
}

// live does something as a request.
func (h *story) live(what string, do func(*Live) error) string {
	l := Join(h.Config, nil)
	err := errors.Join(do(l), l.Close())
	if r, is := errors.AsType[*Refusal](err); err != nil && !is || is && r.Cause == BadUpstream {
		h.Errorf("%s: %v", what, err)
	}
	h.pending = true
	return fmt.Sprintf("%s: %v", what, err)
}

func (h *story) ask() string {
	n := packaging.Name(pick(h.r, "od-a", "od-b", "up-a"))
	return h.live("ask for "+string(n), func(l *Live) error { return l.Project(h.Context(), n) })
}

// fetch asks for a file that is announced.
func (h *story) fetch() string {
	h.knowAnnounced()
	var paths []string
	for path, is := range h.announced {
		if is {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		return "nothing to fetch"
	}
	slices.Sort(paths)
	path := pick(h.r, paths...)
	return h.live("fetch "+path, func(l *Live) error {
		_, err := h.world.fetch(l, path)
		return err
	})
}

func (h *story) send() string {
	file, data := h.file()
	return h.live("upload "+file, func(l *Live) error { return uploader{Live: l}.upload(h.Context(), file, data) })
}

// carry carries a bundle to the other site, whose pages are made as they are here.
func (h *story) carry() string {
	far := h.far
	far.Flat, far.People, far.LegacyJSON, far.Gzip, far.PublishLog = h.Flat, h.People, h.LegacyJSON, h.Gzip, h.PublishLog
	files := exported(h.t, h.world, h.t.TempDir(), ExportOptions{})
	done, err := Import(h.Context(), far.Config, Options{AllowRemovals: true}, ImportOptions{}, files...)
	if err != nil {
		h.Fatalf("import: %v (%s)", err, Hint(err))
	}
	if _, err := Build(h.Context(), far.Config, Options{AllowRemovals: true}); err != nil {
		h.Fatalf("build of the other site: %v (%s)", err, Hint(err))
	}
	far.checkTree()
	far.whole()
	return fmt.Sprintf("carry: status %d", done.Report.Status)
}

func (h *story) copyCatalog() string {
	h.restore = h.backUp()
	return fmt.Sprintf("copy the catalog at %d", h.serial())
}

// lose puts the copy of the catalog back. If there is a log the site becomes, byte for
// byte, what it was.
func (h *story) lose() string {
	if h.restore == nil || !h.PublishLog {
		return "no copy of the catalog"
	}
	h.clock += 90_000 // upstreams are asked again for what came on demand, as they are afterwards
	setClock(h.t, fmt.Sprint(h.clock))
	h.publish()
	h.remove("want")
	if err := os.CopyFS(h.path("want"), os.DirFS(h.path("site"))); err != nil {
		h.Fatal(err)
	}
	was := h.serial()
	h.restore()
	now := h.serial()
	h.publish()
	for _, d := range h.isAsWanted() {
		h.Errorf("a catalog of %d events instead of %d: %.1000s", now, was, d)
	}
	return fmt.Sprintf("go back to a catalog of %d events from %d", now, was)
}

// check holds everything that is to hold after each step.
func (h *story) check() {
	h.Helper()
	h.checkTree()
	h.checkLog()
	h.checkAllLinks()
	h.verifies()
	if h.PublishLog {
		r, err := monitor.Verify(h.Context(), h.Site, h.key, monitor.Options{State: h.path("seen")})
		if err != nil {
			h.Fatal(err)
		}
		for _, f := range r.Findings {
			h.Errorf("verify --log: %s %s: %s", f.Kind, f.Path, f.Text)
		}
	}
	if h.r.IntN(4) == 0 && !h.pending {
		h.whole()
	}
}

var leading = regexp.MustCompile(`(?:href|src)="([^"]*)"`)

// checkAllLinks checks that no page leads to a file that is not there, but to what comes
// when somebody asks for it.
func (w *world) checkAllLinks() {
	w.Helper()
	err := filepath.WalkDir(w.Site, func(page string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(page, ".html") {
			return err
		}
		data, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		for _, m := range leading.FindAllStringSubmatch(string(data), -1) {
			u, err := url.Parse(html.UnescapeString(m[1]))
			if err != nil {
				w.Errorf("%s: %v", page, err)
				continue
			}
			if u.IsAbs() || u.Path == "" {
				continue
			}
			to := filepath.Join(filepath.Dir(page), filepath.FromSlash(u.Path))
			if strings.HasSuffix(u.Path, "/") {
				to = filepath.Join(to, layout.Front)
			}
			rel, _ := filepath.Rel(w.Site, to)
			if _, err := os.Stat(to); err != nil && !w.announced[filepath.ToSlash(rel)] {
				w.Errorf("%s leads to %s, which is not there", strings.TrimPrefix(page, w.Site), rel)
			}
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
}
