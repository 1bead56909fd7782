package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nestgen/bench/dataset"
	"nestgen/packaging"
)

// An index is an upstream of our own, in this process. It serves the page of
// each project as JSON (PEP 691) with an ETag, and files.
type index struct {
	mu    sync.Mutex      // held to use pages
	pages map[string]page // by the path
	files http.Handler
	distance
	server http.Server
	url    string

	requests, notModified, fetched atomic.Int64

	// Of the connections count those that brought a request since the counts were set
	// back: what a process that ended has left may close after that.
	conns      sync.Mutex // held to use the others
	run        int
	in         map[net.Conn]int // the run that a connection counts in
	open, most int64            // of this run: now, and at once
}

// A distance is how far away an upstream is, and what it says of its files.
type distance struct {
	page, file time.Duration // before each answer
	metadata   bool          // pages offer the metadata of wheels
}

type page struct {
	body []byte
	etag string
}

// newIndex serves projects; dir has the files that can be fetched.
func newIndex(projects []*dataset.Project, dir string, d distance) (*index, error) {
	x := &index{pages: make(map[string]page, len(projects)), distance: d, run: 1, in: map[net.Conn]int{}}
	x.files = http.StripPrefix("/files/", http.FileServer(http.Dir(dir)))
	for _, p := range projects {
		body, err := dataset.Page(p, "../../files/", d.metadata)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(body)
		x.pages["/simple/"+string(packaging.NormalizeName(p.Name))+"/"] = page{body, `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	at, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	x.url = "http://" + at.Addr().String() + "/simple/"
	x.server = http.Server{Handler: x, ConnState: x.connection}
	go x.server.Serve(at) // until close
	return x, nil
}

// connection counts those that are open.
func (x *index) connection(c net.Conn, s http.ConnState) {
	x.conns.Lock()
	defer x.conns.Unlock()
	switch s {
	case http.StateActive:
		if x.in[c] != x.run {
			x.in[c] = x.run
			x.open++
			x.most = max(x.most, x.open)
		}
	case http.StateClosed, http.StateHijacked:
		if x.in[c] == x.run {
			x.open--
		}
		delete(x.in, c)
	}
}

func (x *index) close() error { return x.server.Close() }

func (x *index) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.requests.Add(1)
	if strings.HasPrefix(r.URL.Path, "/files/") {
		x.fetched.Add(1)
		time.Sleep(x.file)
		x.files.ServeHTTP(w, r)
		return
	}
	time.Sleep(x.page)
	x.mu.Lock()
	p, ok := x.pages[r.URL.Path]
	x.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", p.etag)
	if r.Header.Get("If-None-Match") == p.etag {
		x.notModified.Add(1)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
	_, _ = w.Write(p.body) // the client may have gone
}

// begin sets the counts back.
func (x *index) begin() {
	for _, n := range []*atomic.Int64{&x.requests, &x.notModified, &x.fetched} {
		n.Store(0)
	}
	x.conns.Lock()
	defer x.conns.Unlock()
	x.run++
	x.open, x.most = 0, 0
}

func (x *index) counts() map[string]int64 {
	x.conns.Lock()
	defer x.conns.Unlock()
	return map[string]int64{
		"requests": x.requests.Load(), "not modified": x.notModified.Load(),
		"connections": x.most, "files": x.fetched.Load(),
	}
}

const upstreamConnections = 32

// mirrorSite makes a site that mirrors the newest release of every project, and
// refreshes as the setting of that name says.
func (l *lab) mirrorSite(name, serials, more string, projects []*dataset.Project, x *index) (*site, error) {
	s, err := l.newSite(name, more+fmt.Sprintf("allowlist = [\"allowlist.txt\"]\npeople = false\nflat = false\nlegacy_json = \"none\"\nconnections = %d\n\n[[upstream]]\nname = \"own\"\nurl = %q\nserials = %q\n", upstreamConnections, x.url, serials))
	if err != nil {
		return nil, err
	}
	var list strings.Builder
	for _, p := range projects {
		list.WriteString(p.Name + "\n")
	}
	return s, os.WriteFile(s.path("allowlist.txt"), []byte(list.String()), 0o644)
}

// serve makes an upstream of projects. Only the files of their newest releases
// can be fetched.
func (l *lab) serve(projects []*dataset.Project, latency time.Duration) (x *index, bytes int64, err error) {
	dir := filepath.Join(l.dir, "upstream")
	newest := newestOf(projects)
	if err := dataset.Write(dir, newest); err != nil {
		return nil, 0, err
	}
	for _, p := range newest {
		for _, f := range p.Releases[0].Files {
			bytes += f.Size
		}
	}
	x, err = newIndex(projects, dir, distance{page: latency})
	return x, bytes, err
}

// newestOf gives the projects with their newest releases alone. These are shared,
// so that what is noted of their files stands on the whole project's page.
func newestOf(projects []*dataset.Project) []*dataset.Project {
	var newest []*dataset.Project
	for _, p := range projects {
		newest = append(newest, &dataset.Project{Name: p.Name, Releases: p.Releases[len(p.Releases)-1:]})
	}
	return newest
}

// projectsOf gives as many projects as belong to so many files: 4,653 to
// 100,000.
func projectsOf(files, pad int) []*dataset.Project {
	n := max(files*4653/100_000, 1)
	var some []*dataset.Project
	for p := range dataset.Projects(dataset.Options{Files: 40*files + 20_000, Pad: pad}) {
		if some = append(some, p); len(some) == n {
			break
		}
	}
	return some
}

// upstream measures the first copy of the newest releases of an upstream, and
// then asking whether anything is new.
func (l *lab) upstream(ctx context.Context, files int) (err error) {
	projects := projectsOf(files, 0)
	x, _, err := l.serve(projects, l.latency)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.close()) }()
	var s *site
	first := &contender{what: "nestgen: first copy", argv: func(int) []string { return []string{l.nestgen, "-c", s.path("nestgen.toml"), "build", "-q"} }}
	first.before = func(run int) (err error) {
		x.begin()
		s, err = l.mirrorSite(fmt.Sprintf("site%d", run), "never", "", projects, x)
		return err
	}
	first.after = func(usage) error { first.counts = x.counts(); return nil }
	again := &contender{
		what: "nestgen: nothing new", target: "4,653 projects, 20 ms: wall <= 4.0",
		argv: func(int) []string { return []string{l.nestgen, "-c", s.path("nestgen.toml"), "build", "-q"} },
	}
	again.before = func(int) error { x.begin(); return nil }
	again.after = func(usage) error { again.counts = x.counts(); return nil }
	return l.turns(ctx, fmt.Sprintf("upstream, %d projects, %v a page, %d connections", len(projects), l.latency, upstreamConnections), files, first, again)
}

// downloads measures the first copy of larger files from an upstream that
// answers at once.
func (l *lab) downloads(ctx context.Context, files int) (err error) {
	projects := projectsOf(max(files/4, 1000), 40_000)
	projects = slices.DeleteFunc(projects, func(p *dataset.Project) bool { return p.Count() > 200 }) // their pages would count more
	x, bytes, err := l.serve(projects, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.close()) }()
	c := &contender{what: "nestgen", bytes: bytes, target: ">= 0.55 GB/s"}
	var s *site
	c.before = func(run int) (err error) {
		x.begin()
		s, err = l.mirrorSite(fmt.Sprintf("site%d", run), "never", "", projects, x)
		return err
	}
	c.argv = func(int) []string { return []string{l.nestgen, "-c", s.path("nestgen.toml"), "build", "-q"} }
	c.after = func(usage) error {
		c.counts = x.counts()
		c.counts["bytes"] = bytes
		return nil
	}
	return l.turns(ctx, "downloads of realistic sizes", files, c)
}
