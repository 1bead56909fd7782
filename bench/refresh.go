package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"nestgen/bench/dataset"
)

// refreshed is how many projects are asked about, and refreshedQuick in a test.
const (
	refreshed      = 2000
	refreshedQuick = 200
)

// refresh measures asking about many projects of which none has changed: page by
// page, and by the serials of the root page.
func (l *lab) refresh(ctx context.Context, _ int) (err error) {
	n := refreshed
	if !l.warm {
		n = refreshedQuick
	}
	projects := installable(projectsOf(6*n*100_000/4653+100, 0), n)
	x, _, err := l.serve(projects, l.latency)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.close()) }()
	if err := x.withSerials(0); err != nil {
		return err
	}
	list := filepath.Join(l.dir, "addresses")
	if err := x.writeAddresses(list); err != nil {
		return err
	}
	counted := func(c *contender) *contender {
		ready := c.before
		c.before = func(run int) error {
			x.begin()
			if ready != nil {
				return ready(run)
			}
			return nil
		}
		c.after = func(usage) error { c.counts = x.counts(); return nil }
		return c
	}
	all := []*contender{counted(&contender{
		what: "floor: a request for each",
		argv: func(int) []string { return []string{l.floor, "ask", list, strconv.Itoa(upstreamConnections)} },
	})}
	const completed = "dependencies = true\nenvironments = [\"cp311-linux-x86_64\", \"cp312-macos-arm64\", \"cp313-windows-amd64\"]\n"
	for i, w := range []struct{ what, serials, more, target string }{
		{"nestgen: a request for each", "never", "", "wall <= 1.5 of the bound"},
		{"nestgen: the same, completed for three machines", "never", completed, ""},
		{"nestgen: serials", "auto", "", "1 request"},
	} {
		s, err := l.mirrorSite(fmt.Sprintf("site%d", i), w.serials, w.more, projects, x)
		if err != nil {
			return err
		}
		build := []string{l.nestgen, "-c", s.path("nestgen.toml"), "build", "-q"}
		// The first build has the files, the second knows the root page.
		for range 2 {
			if _, err := l.time(ctx, "", 0, build...); err != nil {
				return err
			}
		}
		all = append(all, counted(&contender{what: w.what, target: w.target, argv: func(int) []string { return build }}))
	}
	serials := all[len(all)-1]
	all = append(all, counted(&contender{
		what: serials.what + ", another root page", target: "1 request", argv: serials.argv,
		// Something else has changed at the upstream.
		before: func(run int) error { return x.withSerials(run + 2) },
	}))
	return l.turns(ctx, fmt.Sprintf("refresh, %d projects, %v a page, %d connections", n, l.latency, upstreamConnections), 0, all...)
}

// installable gives the first projects of which every machine can install the newest
// release, and has each need three others of them.
func installable(all []*dataset.Project, n int) (some []*dataset.Project) {
	newest := func(p *dataset.Project) *dataset.Release { return &p.Releases[len(p.Releases)-1] }
	for _, p := range all {
		anywhere := func(f dataset.File) bool { return strings.HasSuffix(f.Filename, "-py3-none-any.whl") }
		if len(some) < n && slices.ContainsFunc(newest(p).Files, anywhere) {
			newest(p).RequiresPython = ""
			some = append(some, p)
		}
	}
	for i, p := range some {
		newest(p).RequiresDist = nil
		for k := 1; k <= 3; k++ {
			newest(p).RequiresDist = append(newest(p).RequiresDist, some[(i+k*k*11)%len(some)].Name)
		}
	}
	return some
}

// withSerials gives the index a root page (PEP 691) that says the serial of each
// project, and one project more than there is, which has changed that often.
func (x *index) withSerials(changes int) error {
	type entry struct {
		Name   string `json:"name"`
		Serial int    `json:"_last-serial"`
	}
	var root struct {
		Meta struct {
			Version string `json:"api-version"`
			Serial  int    `json:"_last-serial"`
		} `json:"meta"`
		Projects []entry `json:"projects"`
	}
	const path = "/simple/"
	for _, p := range slices.Sorted(maps.Keys(x.pages)) {
		if name := strings.Trim(strings.TrimPrefix(p, path), "/"); name != "" {
			root.Projects = append(root.Projects, entry{name, len(root.Projects) + 1})
		}
	}
	root.Meta.Version = "1.4"
	root.Meta.Serial = len(root.Projects) + 10 + changes
	root.Projects = append(root.Projects, entry{"not-ours", root.Meta.Serial})
	body, err := json.Marshal(root)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pages[path] = page{body, `"` + hex.EncodeToString(sum[:8]) + `"`}
	return nil
}

// writeAddresses writes the address of each project's page with its entity tag.
func (x *index) writeAddresses(file string) error {
	var b strings.Builder
	for p, page := range x.pages {
		if p != "/simple/" {
			fmt.Fprintf(&b, "%s %s\n", strings.TrimSuffix(x.url, "/simple/")+p, page.etag)
		}
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
