package nestgen

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// index adds an index to the settings of a world.
func (w *world) index(x ...Index) {
	w.Helper()
	w.Indexes = append(w.Indexes, x...)
	if err := w.Resolve(); err != nil {
		w.Fatal(err)
	}
}

// listsIn checks what the index below a prefix lists, by its pages, and that every
// link on them leads to what it says.
func (w *world) listsIn(prefix string, want ...string) {
	w.Helper()
	got := []string{}
	pages, err := filepath.Glob(w.path("site/" + prefix + "/simple/*/index.v1_json"))
	if err != nil {
		w.Fatal(err)
	}
	var named []string
	for _, page := range pages {
		var p simplePage
		rel, _ := filepath.Rel(w.dir, page)
		unmarshal(w, w.read(rel), &p)
		named = append(named, p.Name)
		for _, f := range p.Files {
			got = append(got, f.Filename)
			w.checkLink(filepath.Dir(page), f.URL, f.Hashes["sha256"])
		}
		html := w.read(filepath.Dir(rel) + "/index.html")
		links := anchor.FindAllStringSubmatch(html, -1)
		if len(links) != len(p.Files) {
			w.Errorf("%s: %d files in JSON, %d links in HTML", rel, len(p.Files), len(links))
		}
		for _, l := range links {
			w.checkLink(filepath.Dir(page), l[1], l[2])
		}
	}
	var root struct {
		Projects []struct{ Name string } `json:"projects"`
	}
	if w.exists("site/" + prefix + "/simple/index.v1_json") {
		unmarshal(w, w.read("site/"+prefix+"/simple/index.v1_json"), &root)
	}
	if len(root.Projects) != len(named) {
		w.Errorf("%s: its list of projects has %v, there are pages of %q", prefix, root.Projects, named)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Errorf("%s lists\n%q, want\n%q", prefix, got, want)
	}
}

// whole checks that verify has nothing to find, and that a build has nothing to do.
func (w *world) whole() {
	w.Helper()
	before := photograph(w, w.path("site"))
	v, err := Verify(w.Context(), w.Config, Options{}, false)
	if err != nil || len(v.Findings) > 0 {
		w.Errorf("verify: %+v, %v", v, err)
	}
	r, err := Build(w.Context(), w.Config, Options{})
	if err != nil || r.Pages.Written+r.Pages.Removed > 0 {
		w.Errorf("a build that has nothing to do: %+v, %v", r, err)
	}
	if d := before.differences(photograph(w, w.path("site")), w.path("site")); len(d) > 0 {
		w.Errorf("a build that has nothing to do changed %q", d)
	}
}

// An index lists what it inherits and what its own lines choose of the site, which
// has all that they ask for.
func TestIndexes(t *testing.T) {
	srv := fetchtest.New(t, wheel("a", "1.0", intaketest.Opts{}), wheel("a", "2.0", intaketest.Opts{}), wheel("b", "1.0", intaketest.Opts{}))
	w := newWorld(t, srv)
	own := w.drop("own", "1.0", intaketest.Opts{})
	w.write("allowlist.txt", "a\n")
	w.write("old.txt", "a<2\nb\nown\n")
	w.index(
		Index{Name: "most", Prefix: "all/most", Inherits: []string{"old", "/"}, Title: "Most"},
		Index{Name: "old", Allowlist: []string{w.path("old.txt")}},
		Index{Name: "stage"},
	)
	const a1, a2, b1 = "a-1.0-py3-none-any.whl", "a-2.0-py3-none-any.whl", "b-1.0-py3-none-any.whl"
	w.build(0)
	w.lists(a1, a2, b1, own)
	w.listsIn("old", a1, b1, own)
	w.listsIn("all/most", a1, a2, b1, own)
	w.listsIn("stage")
	for page, title := range map[string]string{"all/most": "Most", "old": "Python package index: old", "stage": "Python package index: stage"} {
		if html := w.read("site/" + page + "/index.html"); !strings.Contains(html, "<h1>"+title+"</h1>") {
			t.Errorf("%s: no heading %q in\n%s", page, title, html)
		}
	}
	w.whole()

	// What comes to the site comes to who inherits it, and nothing else is touched.
	before := photograph(t, w.path("site/old"), w.path("site/stage"))
	c1 := w.drop("c", "1.0", intaketest.Opts{})
	w.build(0)
	w.listsIn("all/most", a1, a2, b1, own, c1)
	if d := before.differences(photograph(t, w.path("site/old"), w.path("site/stage")), w.path("site")); len(d) > 0 {
		t.Errorf("changed: %q", d)
	}

	// Another line changes its index and those who inherit it.
	w.write("old.txt", "a<2\n")
	w.build(0, Options{AllowRemovals: true})
	w.listsIn("old", a1)
	w.listsIn("all/most", a1, a2, own, c1)
	w.lists(a1, a2, own, c1)
	w.whole()
}
