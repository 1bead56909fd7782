package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	rows, err := bench(context.Background(), o, "1000,10000", "pages,drop,archives,upstream,downloads,refresh")
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
		// The project's two pages, the two that list every file and the two feeds;
		// for a new name the two root pages as well.
		check(t, rows, "one file added", "nestgen: known project", files, map[string]int64{"files": 1, "pages": 6})
		check(t, rows, "one file added", "nestgen: new project", files, map[string]int64{"files": 1, "pages": 8})

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
	check(t, rows, "refresh", "nestgen: a request for each", 0, map[string]int64{"requests": refreshedQuick, "not modified": refreshedQuick, "files": 0})
	check(t, rows, "refresh", "nestgen: serials", 0, map[string]int64{"requests": 1, "not modified": 1, "files": 0, "connections": 1})
	check(t, rows, "refresh", "nestgen: serials, another root page", 0, map[string]int64{"requests": 1, "not modified": 0, "files": 0, "connections": 1})
	for _, r := range rows {
		// Ten times the files take at most twice the memory.
		if r.Bench == "memory" && r.Counts["percent of a tenth of the files"] > 200 {
			t.Errorf("%s: %.1f MiB at %d files, %d %% of the peak at a tenth of them", r.What, r.PeakMiB, r.Files, r.Counts["percent of a tenth of the files"])
		}
	}
}

// What does not depend on the machine either: how often the fallback and the
// upstream are asked.
func TestFallback(t *testing.T) {
	if testing.Short() {
		t.Skip("starts web servers and installs with pip")
	}
	var o options
	o.quick()
	rows, err := bench(t.Context(), o, "1", "startup,firsthit,rate,lazyinstall")
	if err != nil {
		t.Fatal(err)
	}
	const hits = hitsPerRun
	for what, want := range map[string]map[string]int64{
		"page":        {"upstream requests": hits},
		"170 kB file": {"upstream requests": hits},
		"page again":  {"upstream requests": 0, "fallback asked": 0},
		"file again":  {"upstream requests": 0, "fallback asked": 0},
	} {
		for _, w := range []way{nginxCGI, nginxFastCGI, apacheCGI} {
			t.Run("firsthit/"+w.name+"/"+what, func(t *testing.T) {
				skipWithout(t, w.lacks())
				check(t, rows, "first hit", w.name+": "+what, 0, want)
			})
		}
	}
	for _, w := range []way{nginxCGI, nginxFastCGI} {
		t.Run("rate/"+w.name, func(t *testing.T) {
			skipWithout(t, w.lacks())
			for _, what := range []string{"remembered 404, 1 clients", "remembered 404, 4 clients", "fresh page, 1 clients", "fresh page, 4 clients"} {
				check(t, rows, "rate", w.name+": "+what, 0, map[string]int64{"upstream requests": 0})
			}
		})
		t.Run("lazyinstall/"+w.name, func(t *testing.T) {
			for _, r := range rows {
				if r.Bench == "lazy install" && (r.What == "pip" || r.What == w.name) {
					skipWithout(t, r.Skipped)
				}
			}
			asks := check(t, rows, "lazy install", "pip: upstream itself", 0, nil)["upstream requests"]
			if asks < 6 { // a page and a wheel of each; newer ones read the metadata before
				t.Errorf("pip asks the upstream itself %d times", asks)
			}
			check(t, rows, "lazy install", w.name+": empty site", 0, map[string]int64{"requests": asks, "fallback asked": asks, "upstream requests": asks})
			check(t, rows, "lazy install", w.name+": again", 0, map[string]int64{"requests": asks, "fallback asked": 0, "upstream requests": 0})
		})
	}
	check(t, rows, "startup", "nestgen-cgi: a remembered 404", 0, nil)
}

// skipWithout skips a test that cannot run here.
func skipWithout(t *testing.T, why string) {
	t.Helper()
	if why != "" {
		t.Skip(why)
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
func pagesOf(files int) [5]int64 {
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
	legacy := people + projects + releases
	return [5]int64{simple, flat, people, legacy, legacy + 3} // the page and the feeds of what changed
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

func TestAnswersOf(t *testing.T) {
	ms := func(list ...int) (d []time.Duration) {
		for _, n := range list {
			d = append(d, time.Duration(n)*time.Millisecond)
		}
		return d
	}
	a := answersOf(ms(10, 7, 3, 9, 1, 2, 5, 4, 6, 8), ms(9, 6, 0, 8, 0, 1, 4, 3, 5, 7))
	if want := (Answers{Count: 10, Median: 0.006, P90: 0.010, P99: 0.010, Over: 0.001, OverP90: 0.003}); *a != want {
		t.Errorf("%+v, want %+v", *a, want)
	}
	if a := answersOf(ms(4), nil); a.Median != 0.004 || a.Over != 0 {
		t.Errorf("one answer: %+v", *a)
	}
}

// A page and a file that are not what the data says are an error, whatever is wrong
// with them: what is timed is right.
func TestWrongAnswers(t *testing.T) {
	p := history("some-thing", 2, 100)
	dir := t.TempDir()
	if err := dataset.Write(dir, newestOf([]*dataset.Project{p})); err != nil {
		t.Fatal(err)
	}
	page, err := dataset.Page(p, "../../files/", true)
	if err != nil {
		t.Fatal(err)
	}
	const at = "http://127.0.0.1/simple/some-thing/"
	f := newestWheel(p)
	urls, err := checkPage(p, at, page)
	if err != nil || urls[f.Filename] != "http://127.0.0.1/files/some_thing-1.1-py3-none-any.whl" {
		t.Fatalf("%v, %v", urls, err)
	}
	sum := f.Digest()
	for _, change := range [][2]string{
		{`"name":"some-thing"`, `"name":"other"`}, {"1.0-py3", "1.2-py3"}, {hex.EncodeToString(sum[:]), strings.Repeat("0", 64)},
		{fmt.Sprintf(`"size":%d`, f.Size), `"size":1`}, {`"core-metadata"`, `"x"`}, {`"files":[`, `"x":[`}, {"{", "<"},
	} {
		changed := bytes.Replace(page, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(changed, page) {
			t.Errorf("%s is not in the page", change[0])
		}
		if _, err := checkPage(p, at, changed); err == nil {
			t.Errorf("a page with %s instead of %s: no error", change[1], change[0])
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, f.Filename))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkFile(f, at, data); err != nil {
		t.Error(err)
	}
	if checkFile(f, at, data[1:]) == nil {
		t.Error("a part of a file: no error")
	}
	if err := checkInstalled(dir, filepath.Join(dir, f.Filename)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a wheel that was not installed: %v", err)
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
