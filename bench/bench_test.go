package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"nestgen/bench/dataset"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/templates"
)

// A quick run counts what docs/performance.md promises and what does not depend
// on the machine: pages made, files written, requests made. Seconds are not
// looked at.
func TestCounts(t *testing.T) {
	if testing.Short() {
		t.Skip("builds sites of 10,000 files")
	}
	var o options
	o.quick()
	rows, err := bench(context.Background(), o, "1000,10000", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, files := range []int{1_000, 10_000} {
		want := pagesOf(files)
		for i, v := range variants {
			check(t, rows, "pages", "nestgen: "+v.what, files, map[string]int64{"pages": want[i]})
		}
		check(t, rows, "first build", "nestgen", files, map[string]int64{"files": int64(files)})
		// What is written then is one byte for each page of the index that
		// SQLite keeps beside an open catalog; that file never outlives it.
		nothing := check(t, rows, "nothing to do", "nestgen", files, map[string]int64{"files changed": 0})
		if n := nothing["bytes of write calls"]; n < 0 || n > 16 {
			t.Errorf("nothing to do, %d files: %d bytes of write calls, want 16 at most", files, n)
		}
		// The project's two pages, and the two that list every file; for a new
		// name the two root pages as well.
		check(t, rows, "one file added", "nestgen: known project", files, map[string]int64{"files": 1, "pages": 4})
		check(t, rows, "one file added", "nestgen: new project", files, map[string]int64{"files": 1, "pages": 6})

		projects := projectsOf(files, 0)
		newest := int64(0)
		for _, p := range projects {
			newest += int64(len(p.Releases[len(p.Releases)-1].Files))
		}
		asked := int64(len(projects))
		first := check(t, rows, "upstream", "nestgen: first copy", files, map[string]int64{"requests": asked + newest, "files": newest, "not modified": 0})
		again := check(t, rows, "upstream", "nestgen: nothing new", files, map[string]int64{"requests": asked, "files": 0, "not modified": asked})
		for _, c := range []map[string]int64{first, again} {
			if n := c["connections"]; n < 1 || n > upstreamConnections {
				t.Errorf("%d files: %d connections to the upstream, want at most %d", files, n, upstreamConnections)
			}
		}
	}
	for _, r := range rows {
		// Ten times the files take at most twice the memory.
		if r.Bench == "memory" && r.Counts["percent of a tenth of the files"] > 200 {
			t.Errorf("%s: %.1f MiB at %d files, %d %% of the peak at a tenth of them", r.What, r.PeakMiB, r.Files, r.Counts["percent of a tenth of the files"])
		}
	}
}

// check holds the counts of one row against those wanted and gives all of them.
func check(t *testing.T, rows []Row, bench, what string, files int, want map[string]int64) map[string]int64 {
	t.Helper()
	for _, r := range rows {
		if !strings.HasPrefix(r.Bench, bench) || r.What != what || r.Files != files {
			continue
		}
		for k, n := range want {
			if got, ok := r.Counts[k]; !ok || got != n {
				t.Errorf("%s, %s, %d files: %s = %d, want %d", r.Bench, what, files, k, got, n)
			}
		}
		return r.Counts
	}
	t.Errorf("%s, %s, %d files: not measured", bench, what, files)
	return nil
}

// pagesOf gives how many pages each of the variants has.
func pagesOf(files int) [4]int64 {
	var projects, aliases, releases int64
	count := func(p *dataset.Project) {
		projects++
		aliases += int64(len(layout.Aliases(p.Name)))
		releases += int64(len(p.Releases))
	}
	for p := range dataset.Projects(dataset.Options{Files: files}) {
		count(p)
	}
	count(seed())
	simple := 2*projects + aliases + 2 // the root pages
	flat := simple + 2                 // flat and easy
	people := flat + projects + 1 + int64(len(templates.Default().Assets()))
	return [4]int64{simple, flat, people, people + projects + releases}
}

// A peer's command takes part like nestgen itself.
func TestPeer(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a site")
	}
	var o options
	o.quick()
	for _, p := range []string{"copy=cp {list} {out}", "links=cp -r {drop} {out}"} {
		if err := o.addPeer(p); err != nil {
			t.Fatal(err)
		}
	}
	o.dir = t.TempDir()
	rows, err := bench(context.Background(), o, "100", "pages,archives")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range rows {
		seen[r.Bench+": "+r.What] = true
	}
	if !seen["pages: copy"] || !seen["cold scan, realistic sizes: links"] || seen["pages: links"] {
		t.Errorf("rows %v: want a peer in the measurements that have what it works on", seen)
	}
	var relative options
	if err := relative.addPeer("x=venv/bin/x {rows}"); err != nil || !filepath.IsAbs(relative.peers[0].argv[0]) {
		t.Errorf("a program in a folder: %+v, %v; it is run elsewhere, so want its whole path", relative.peers, err)
	}
	for _, bad := range []string{"", "x", "=y {list}", "x=y", "x=y {list} {drop}"} {
		if new(options).addPeer(bad) == nil {
			t.Errorf("-peer %q: no error", bad)
		}
	}
}

func TestMedian(t *testing.T) {
	wall := func(u *usage) float64 { return u.Wall }
	a := []usage{{Wall: 3}, {Wall: 1}, {Wall: 2}}
	b := []usage{{Wall: 1}, {Wall: 1}, {Wall: 4}}
	if got := median(a, wall); got != 2 {
		t.Errorf("median = %v, want 2", got)
	}
	if got := median(a, wall, b); got != 1 {
		t.Errorf("median of the ratios 3, 1, 0.5 = %v, want 1", got)
	}
	if got := median(a[:2], wall); got != 2 {
		t.Errorf("median of two = %v, want their mean, 2", got)
	}
	if got := median(nil, wall); got != 0 {
		t.Errorf("median of nothing = %v, want 0", got)
	}
}

// The names of projects in a data set are not those of the files that a
// measurement adds.
func TestNewcomersAreNew(t *testing.T) {
	for p := range dataset.Projects(dataset.Options{Files: 10_000}) {
		if n := packaging.NormalizeName(p.Name); strings.HasPrefix(string(n), "newcomer-") || string(n) == seed().Name {
			t.Errorf("project %s is in the data set", n)
		}
	}
}
