package nestgen

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/layout"
	"nestgen/packaging"
)

// changed gives the pages that lie in the room of what changed, sorted.
func (w *world) changed() []string {
	w.Helper()
	var found []string
	for path := range w.pages() {
		if strings.HasPrefix(path, layout.Changes+"/") {
			found = append(found, path)
		}
	}
	slices.Sort(found)
	return found
}

// pagesOfChanges names the pages that there are to be: those of the site and those of
// some projects.
func pagesOfChanges(projects ...packaging.Name) []string {
	paths := []string{layout.ChangesHTML, layout.ChangesAtom, layout.ChangesJSON}
	for _, n := range projects {
		paths = append(paths, layout.ProjectChangesHTML(n), layout.ProjectChangesAtom(n), layout.ProjectChangesJSON(n))
	}
	slices.Sort(paths)
	return paths
}

// What changed is told as it changes: by the page of the project and that of the site,
// and by no other; and where nothing changed nothing is written.
func TestChangesAreTold(t *testing.T) {
	setClock(t, "1800000000")
	w := newWorld(t)
	w.Changes = "projects"
	w.index(Index{Name: "prod"})
	for _, n := range []string{"a", "b", "c"} {
		w.drop(n, "1.0", plain)
	}
	w.build(0)
	if got, want := w.changed(), pagesOfChanges("a", "b", "c"); !slices.Equal(got, want) {
		t.Fatalf("pages %q, want %q", got, want)
	}
	for path, link := range map[string]string{layout.Front: "changes/", layout.PeopleProject("a"): "../../changes/a/"} {
		for _, text := range []string{`<a href="` + link + `">What changed</a>`, `href="` + link + `atom.xml"`, `href="` + link + `feed.json"`} {
			if !strings.Contains(w.read("site/"+path), text) {
				t.Errorf("%s has no %s", path, text)
			}
		}
	}
	if strings.Contains(w.read("site/prod/index.html"), "changes/") || w.exists("site/prod/changes") {
		t.Error("another index has pages of what changed, or leads to some")
	}
	w.verifies()
	before := photograph(t, w.path("site"))
	if r := w.build(0); !r.Idle() {
		t.Errorf("nothing changed, and written: %+v", r.Pages)
	}

	// writes checks which of the pages of what changed are others now.
	writes := func(about string, want ...string) {
		t.Helper()
		after := photograph(t, w.path("site"))
		var got []string
		for _, d := range before.differences(after, w.path("site")) {
			if strings.HasPrefix(d, layout.Changes+"/") && filepath.Ext(d) != "" { // folders have none
				got = append(got, d)
			}
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: written %q, want %q", about, got, want)
		}
		before = after
		w.verifies()
	}
	writes("nothing")

	setClock(t, "1800000100")
	w.drop("b", "2.0", plain)
	w.build(0)
	writes("one file more", pagesOfChanges("b")...)
	if page := w.read("site/" + layout.ProjectChangesHTML("b")); !strings.Contains(page, "2.0 added") || !strings.Contains(page, "1.0 added") {
		t.Errorf("not told: %s", page)
	}

	// A promotion changes nothing of the project's pages but what is told of it.
	setClock(t, "1800000200")
	w.promote("/", "prod", "a")
	writes("promoted", pagesOfChanges("a")...)
	if page := w.read("site/" + layout.ProjectChangesHTML("a")); !strings.Contains(page, "1.0 promoted to prod: <q>tested</q>") || strings.Contains(page, "alice") {
		t.Errorf("not told, or too much: %s", page)
	}

	// A project that leaves has no pages; the site tells of it.
	setClock(t, "1800000300")
	w.remove("drop/c-1.0-py3-none-any.whl")
	w.build(0, Options{AllowRemovals: true})
	writes("gone", pagesOfChanges("c")...)
	if got, want := w.changed(), pagesOfChanges("a", "b"); !slices.Equal(got, want) {
		t.Errorf("pages %q, want %q", got, want)
	}
	page := w.read("site/" + layout.ChangesHTML)
	if !strings.Contains(page, "1.0 withdrawn: <q>it is no longer in a drop folder</q>") || strings.Contains(page, "changes/c/") || strings.Contains(page, "project/c/") {
		t.Errorf("not told, or it leads to a page that is not there: %s", page)
	}
	if r := w.build(0); !r.Idle() {
		t.Errorf("nothing changed, and written: %+v", r.Pages)
	}
}

// The settings say which pages there are, and another setting makes them and has them
// go, with their compressed siblings.
func TestChangesAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.drop("a", "1.0", plain)
	w.drop("b", "1.0", plain)
	var without []string
	for _, path := range pagesOfChanges("a", "b") {
		if !strings.HasSuffix(path, ".html") {
			without = append(without, path)
		}
	}
	for _, tt := range []struct {
		changes      string
		people, gzip bool
		want         []string
	}{
		{"site", true, false, pagesOfChanges()},
		{"projects", true, false, pagesOfChanges("a", "b")},
		{"projects", false, false, without},
		{"none", true, false, nil},
		{"projects", true, true, pagesOfChanges("a", "b")},
		{"projects", false, true, without},
		{"site", true, true, pagesOfChanges()},
		{"site", false, false, pagesOfChanges()[:2]},
		{"projects", true, true, pagesOfChanges("a", "b")},
		{"none", false, false, nil},
	} {
		w.Changes, w.People, w.Gzip = tt.changes, tt.people, tt.gzip
		w.build(0)
		want := slices.Clone(tt.want)
		if tt.changes == "site" && !tt.people {
			want = []string{layout.ChangesAtom, layout.ChangesJSON}
		}
		if tt.gzip {
			for _, path := range tt.want {
				want = append(want, path+".gz")
			}
			slices.Sort(want)
		}
		if got := w.changed(); !slices.Equal(got, want) {
			t.Errorf("%s, people %v, gzip %v: pages %q, want %q", tt.changes, tt.people, tt.gzip, got, want)
		}
		if w.exists("site/changes") == (len(want) == 0) {
			t.Errorf("%s: the folder", tt.changes)
		}
		w.verifies()
		if r := w.build(0); !r.Idle() {
			t.Errorf("%s: nothing changed, and written: %+v", tt.changes, r.Pages)
		}
	}
}

func TestChangesSetting(t *testing.T) {
	w := newWorld(t)
	for text, want := range map[string]string{"": "site", `changes = "projects"`: "projects", `changes = "none"`: "none"} {
		w.write("nestgen.toml", text+"\n")
		c, err := Load(w.path("nestgen.toml"))
		if err == nil {
			err = c.Resolve()
		}
		if err != nil || c.Changes != want {
			t.Errorf("%q: %q, %v", text, c.Changes, err)
		}
	}
	w.write("nestgen.toml", `changes = "all"`)
	c, err := Load(w.path("nestgen.toml"))
	if err == nil {
		err = c.Resolve()
	}
	if err == nil || !strings.Contains(err.Error(), `changes "all": want none, site or projects`) {
		t.Errorf("%v", err)
	}
}

// verify finds what is wrong with the pages, and mends it.
func TestVerifyKnowsThePagesOfChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Changes, w.Gzip = "projects", true
	w.drop("a", "1.0", plain)
	w.drop("b", "1.0", plain)
	w.build(0)
	before := digestOf(t, w.path("site"))
	w.remove("site/changes/atom.xml")
	w.write("site/changes/feed.json", "{}")
	w.write("site/changes/a/index.html", "x")
	w.write("site/changes/a/atom.xml.gz", "x")
	w.remove("site/changes/b")
	w.write("site/changes/c/index.html", "x")
	w.write("site/changes/stray.html", "x")
	want := []string{
		"changes/a/atom.xml.gz", "changes/a/index.html", "changes/atom.xml",
		"changes/b/atom.xml", "changes/b/atom.xml.gz", "changes/b/feed.json", "changes/b/feed.json.gz", "changes/b/index.html", "changes/b/index.html.gz",
		"changes/c/index.html", "changes/feed.json", "changes/stray.html",
	}
	var got []string
	for _, f := range w.verify(false).Findings {
		got = append(got, f.Path)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if v := w.verify(true); !v.Whole() {
		t.Errorf("not mended: %+v", v.Findings)
	}
	w.remove("site/changes/c") // its folder is left
	w.verifies()
	if digestOf(t, w.path("site")) != before {
		t.Error("the mended tree is another one")
	}
}

// A page of a project that a request brings leads to a page that is there, and what
// requests change is told with the next build.
func TestChangesByRequests(t *testing.T) {
	setClock(t, "1800000000")
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"), wheelFile(t, "bar", "1.0"))
	w := lazy(t, "fetch", srv)
	w.Changes = "projects"
	w.write("allowlist.txt", "bar\n")
	w.build(0)
	site := w.read("site/" + layout.ChangesAtom)
	setClock(t, "1800000100")
	w.ask(w.join(), "foo", 0)
	if !w.exists("site/"+layout.ProjectChangesHTML("foo")) || !w.exists("site/"+layout.ProjectChangesAtom("foo")) || !w.exists("site/"+layout.ProjectChangesJSON("foo")) {
		t.Errorf("pages %q", w.changed())
	}
	if !strings.Contains(w.read("site/"+layout.PeopleProject("foo")), "../../changes/foo/") {
		t.Error("its page does not lead there")
	}
	if w.read("site/"+layout.ChangesAtom) != site {
		t.Error("a request changed the page of the site")
	}
	w.verifies()
	w.build(0)
	if page := w.read("site/" + layout.ChangesAtom); !strings.Contains(page, "foo: 1.0 added") {
		t.Errorf("not told: %s", page)
	}
	w.verifies()
}

// What the pages of what changed cost a first build, at 1,000 projects of two files.
func BenchmarkFirstBuild(b *testing.B) {
	for _, changes := range []string{"none", "site", "projects"} {
		b.Run(changes, func(b *testing.B) {
			w := newWorld(b)
			w.Changes = changes
			for i := range 1000 {
				w.drop(fmt.Sprintf("p%03d", i), "1.0", plain)
				w.drop(fmt.Sprintf("p%03d", i), "2.0", plain)
			}
			for b.Loop() {
				b.StopTimer()
				w.remove("site")
				w.remove("state")
				b.StartTimer()
				if _, err := Build(b.Context(), w.Config, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
