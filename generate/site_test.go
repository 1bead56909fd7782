package generate_test

import (
	"errors"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/templates"
)

func everything() generate.Site {
	return generate.Site{People: true, Legacy: true, Releases: true, Has: generate.AllIndexPages}
}

func TestCheckSite(t *testing.T) {
	broken := func(name, text string) *templates.Set {
		s, err := templates.Load(fstest.MapFS{name: {Data: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	// Another set than the built-in one is tried, whatever is in it.
	same, err := templates.Load(fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		about string
		site  generate.Site
		want  string
	}{
		{"zero", generate.Site{}, ""},
		{"the built-in templates", generate.Site{Templates: same}, ""},
		{"https below a prefix", generate.Site{BaseURL: "https://x.example/a/b/"}, ""},
		{"http with a port", generate.Site{BaseURL: "http://x.example:8080"}, ""},
		{"no scheme", generate.Site{BaseURL: "x.example/a"}, `base URL "x.example/a": want http:// or https:// and a host`},
		{"other scheme", generate.Site{BaseURL: "ftp://x/"}, `base URL "ftp://x/": want`},
		{"no host", generate.Site{BaseURL: "https:///a"}, `base URL "https:///a": want`},
		{"password", generate.Site{BaseURL: "https://u:p@x/"}, "base URL: it is printed on every page"},
		{"query", generate.Site{BaseURL: "https://x/?a"}, `base URL "https://x/?a": neither`},
		{"fragment", generate.Site{BaseURL: "https://x/#a"}, `base URL "https://x/#a": neither`},
		{"not a URL", generate.Site{BaseURL: "https://x/%zz"}, "base URL: parse"},
		{"template asks for what is not there", generate.Site{Templates: broken("project.html", "{{.Nope}}")}, "template: project.html:1"},
		{"in a branch that few projects take", generate.Site{Templates: broken("project.html", "{{range .Links}}{{.Nope}}{{end}}")}, "template: project.html:1"},
		{"front page", generate.Site{Templates: broken("front.html", "{{range .Newest}}{{.Nope}}{{end}}")}, "template: front.html:1"},
	}
	for _, tt := range tests {
		err := tt.site.Check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want %q", tt.about, err, tt.want)
		}
	}
}

// What breaks a promise of the catalog is not published, neither on the
// project's own pages nor on those about all projects.
func TestBrokenProjectIsRefused(t *testing.T) {
	tests := []struct {
		about string
		spoil func(p *catalog.Project)
		want  string
	}{
		{"name not normalized", func(p *catalog.Project) { p.Name = "Foo" }, `project "Foo": not a normalized name`},
		{"name climbs", func(p *catalog.Project) { p.Name = "../foo" }, `project "../foo": not a normalized name`},
		{"no name", func(p *catalog.Project) { p.Name = "" }, `project "": not a normalized name`},
		{"no digest", func(p *catalog.Project) { p.Files[0].SHA256 = catalog.Digest{} }, "project foo: file foo-1.0.tar.gz: no SHA-256"},
		{"not in the store", func(p *catalog.Project) { p.Files[0].Path = "../foo-1.0.tar.gz" }, `project foo: file "foo-1.0.tar.gz": "../foo-1.0.tar.gz" is not its place in the store`},
		{"other name in the store", func(p *catalog.Project) { p.Files[0].Filename = "foo-1.1.tar.gz" }, `project foo: file "foo-1.1.tar.gz":`},
		{"negative size", func(p *catalog.Project) { p.Files[0].Size = -1 }, "project foo: file foo-1.0.tar.gz: size -1"},
		{"unknown status", func(p *catalog.Project) { p.Status.State = "on fire" }, `project foo: unknown status "on fire"`},
	}
	for _, tt := range tests {
		p := &catalog.Project{Name: "foo", Display: "foo", Files: []catalog.File{newFile("foo", "foo-1.0.tar.gz", "1.0", packaging.Sdist)}}
		tt.spoil(p)
		site, pages := everything(), tree{}
		for by, err := range map[string]error{
			"Project": site.Project(p, pages),
			"Index":   site.Index(site.Whole(each([]*catalog.Project{p})), tree{}.create, nil, generate.AllIndexPages),
		} {
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%s: %s gives %v, want %q", tt.about, by, err, tt.want)
			}
		}
		if len(pages) > 0 {
			t.Errorf("%s: pages %v", tt.about, slices.Collect(maps.Keys(pages)))
		}
	}
}

// A display name that does not belong to the project is not shown: one name
// that is not valid fails the whole root page of uv (§1.3).
func TestForeignDisplayName(t *testing.T) {
	for _, display := range []string{"", "bar", "../foo", "foo\n", "-foo"} {
		p := &catalog.Project{Name: "foo", Display: display, Files: []catalog.File{newFile("foo", "foo-1.0.tar.gz", "1.0", packaging.Sdist)}}
		site := everything()
		pages := tree{}
		if err := site.Index(site.Whole(each([]*catalog.Project{p})), pages.create, nil, generate.Root); err != nil {
			t.Fatal(err)
		}
		if got := pages[layout.RootJSON]; !strings.Contains(got, "\n{\"name\":\"foo\"}]") {
			t.Errorf("display %q: root page %s", display, got)
		}
	}
}

func TestPathsAreThoseOfTheProject(t *testing.T) {
	p := &catalog.Project{Name: "foo-bar", Display: "Foo_Bar", Files: []catalog.File{
		newFile("foo-bar", "foo_bar-1.0.tar.gz", "1.0", packaging.Sdist),
		newFile("foo-bar", "foo_bar-1.0-py3-none-any.whl", "1.0", packaging.Wheel),
		newFile("foo-bar", "foo_bar-json.tar.gz", "json", packaging.Sdist),
		newFile("foo-bar", "foo_bar-2+x.tar.gz", "2+x", packaging.Sdist),
	}}
	for i := range 16 {
		site := generate.Site{People: i&1 != 0, Legacy: i&2 != 0, Releases: i&4 != 0}
		if i&8 != 0 {
			p.Status.State = catalog.Quarantined
		}
		pages := tree{}
		if err := site.Project(p, pages); err != nil {
			t.Fatal(err)
		}
		want := slices.Sorted(maps.Keys(pages))
		if diff := cmp.Diff(want, slices.Sorted(slices.Values(site.Paths(p)))); diff != "" {
			t.Errorf("%+v: Paths differ from what Project makes (-made +Paths):\n%s", site, diff)
		}
		for _, path := range want {
			if q, ok := layout.ParseProject(path); !ok || q.Project != p.Name {
				t.Errorf("layout does not know %q for a page of %s", path, p.Name)
			}
		}
		p.Status.State = catalog.Active
	}
}

func TestAssets(t *testing.T) {
	site, pages := everything(), tree{}
	if err := site.Assets(pages); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"site.css", "site.js", "icon.svg"} {
		if pages[layout.Asset(name)] == "" {
			t.Errorf("no %s among %v", name, slices.Collect(maps.Keys(pages)))
		}
	}
}

type failing struct{ at, n int }

var errFull = errors.New("disk full")

func (f *failing) Put(string, []byte) error {
	f.n++
	if f.n == f.at {
		return errFull
	}
	return nil
}

func TestSinkErrorStopsTheProject(t *testing.T) {
	p := &catalog.Project{Name: "foo", Display: "Foo", Files: []catalog.File{newFile("foo", "foo-1.0.tar.gz", "1.0", packaging.Sdist)}}
	site := everything()
	n := len(site.Paths(p))
	for at := 1; at <= n; at++ {
		f := &failing{at: at}
		if err := site.Project(p, f); !errors.Is(err, errFull) || f.n != at {
			t.Errorf("error at page %d: %v after %d pages", at, err, f.n)
		}
	}
}

// closers counts the writers that are open.
type closers struct {
	open   int
	fail   string // path whose writer fails
	create string // path that cannot be created
}

func (c *closers) make(path string) (io.WriteCloser, error) {
	if path == c.create {
		return nil, errFull
	}
	c.open++
	return &closer{c, path == c.fail}, nil
}

type closer struct {
	c    *closers
	fail bool
}

func (c *closer) Write(p []byte) (int, error) {
	if c.fail {
		return 0, errFull
	}
	return len(p), nil
}
func (c *closer) Close() error { c.c.open--; return nil }

func TestIndexErrors(t *testing.T) {
	foo := &catalog.Project{Name: "foo", Display: "foo"}
	bar := &catalog.Project{Name: "bar", Display: "bar"}
	upset := errors.New("catalog is upset")
	tests := []struct {
		about    string
		projects iter.Seq2[*catalog.Project, error]
		out      closers
		want     string
	}{
		{"not sorted", each([]*catalog.Project{foo, bar}), closers{}, "project bar comes after foo: not sorted"},
		{"twice", each([]*catalog.Project{foo, foo}), closers{}, "project foo comes after foo: not sorted"},
		{"catalog", func(yield func(*catalog.Project, error) bool) { yield(nil, upset) }, closers{}, upset.Error()},
		{"write", each([]*catalog.Project{foo}), closers{fail: layout.Flat}, errFull.Error()},
		{"write front page", each([]*catalog.Project{foo}), closers{fail: layout.Front}, errFull.Error()},
		{"create", each([]*catalog.Project{foo}), closers{create: layout.RootHTML}, errFull.Error()},
	}
	for _, tt := range tests {
		site := everything()
		err := site.Index(site.Whole(tt.projects), tt.out.make, nil, generate.AllIndexPages)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: error %v, want %q", tt.about, err, tt.want)
		}
		if tt.out.open != 0 {
			t.Errorf("%s: %d writers left open", tt.about, tt.out.open)
		}
	}
}

func TestIndexMakesWhatIsAsked(t *testing.T) {
	for which := generate.IndexPages(0); which <= generate.AllIndexPages; which++ {
		site, pages := everything(), tree{}
		if err := site.Index(site.Whole(each(nil)), pages.create, nil, which); err != nil {
			t.Fatal(err)
		}
		got, want := slices.Sorted(maps.Keys(pages)), slices.Sorted(slices.Values(which.Paths()))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%b: %s", which, diff)
		}
	}
}

// The pages about all projects are written as the projects go by: half way
// through no more is held than at the start, but for the buffers.
func TestIndexMemoryDoesNotGrow(t *testing.T) {
	const projects = 4000
	files := make([]catalog.File, 25)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var early, late int64
	all := func(yield func(*catalog.Project, error) bool) {
		for i := range projects {
			n := packaging.Name("project-" + string([]byte{byte('a' + i/676), byte('a' + i/26%26), byte('a' + i%26)}))
			for k := range files {
				files[k] = newFile(n, string(n)+"-1."+string(byte('a'+k))+".tar.gz", "1."+string(byte('a'+k)), packaging.Sdist)
				files[k].Uploaded = rand.Int64N(1e15)
			}
			if i == projects/8 {
				early = heap()
			}
			if i == projects-1 {
				late = heap()
			}
			if !yield(&catalog.Project{Name: n, Display: string(n), Files: files}, nil) {
				return
			}
		}
	}
	site := everything()
	var out counter
	err := site.Index(site.Whole(all), func(string) (io.WriteCloser, error) { return &out, nil }, nil, generate.AllIndexPages)
	if err != nil {
		t.Fatal(err)
	}
	if out < 40e6 {
		t.Fatalf("only %d bytes were written", out)
	}
	// One project in eight already makes the list too long for the front page.
	if grown := late - early; grown > 1<<20 {
		t.Errorf("%d bytes more are held at the end, of %d written", grown, out)
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }
func (c *counter) Close() error                { return nil }

// Pages do not depend on what was rendered before, beside or in which order.
func TestPagesAreAFunctionOfTheProject(t *testing.T) {
	projects := dataset(60, 1500)
	site := everything()
	want := tree{}
	for _, p := range projects {
		if err := site.Project(p, want); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range 3 {
		order := rand.New(rand.NewPCG(uint64(seed), 1)).Perm(len(projects))
		got, mu := tree{}, sync.Mutex{}
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for k := w; k < len(order); k += 4 {
					pages := tree{}
					if err := site.Project(projects[order[k]], pages); err != nil {
						t.Error(err)
					}
					mu.Lock()
					maps.Copy(got, pages)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if !maps.Equal(want, got) {
			t.Errorf("seed %d: pages differ", seed)
		}
	}
}

// A large project has its versions once each, however they are mixed, and every
// page of it keeps the rules.
func TestManyVersions(t *testing.T) {
	p := &catalog.Project{Name: "foo", Display: "foo"}
	for i := range 500 {
		v := "1." + strconv.Itoa(i)
		for _, spelling := range []string{v, v + ".0", v} {
			name := "foo-" + spelling + "-" + string(rune('a'+len(p.Files)%26)) + ".tar.gz"
			p.Files = append(p.Files, newFile("foo", name, spelling, packaging.Sdist))
		}
	}
	site, pages := everything(), tree{}
	if err := site.Project(p, pages); err != nil {
		t.Fatal(err)
	}
	for path, page := range pages {
		checkPage(t, path, path, []byte(page))
	}
	doc := decode(t, "JSON", []byte(pages[layout.ProjectJSON("foo")])).(map[string]any)
	if got := len(doc["versions"].([]any)); got != 1000 {
		t.Errorf("%d versions, want 1000", got)
	}
	if got := len(doc["files"].([]any)); got != 1500 {
		t.Errorf("%d files, want 1500", got)
	}
}

// A project without files has no pages and is on no list, but its development
// links are where easy_install finds them.
func TestProjectWithoutFiles(t *testing.T) {
	p := &catalog.Project{Name: "foo", Display: "Foo", Links: []catalog.Link{{Project: "foo", URL: "https://x.example/", Egg: "foo"}}}
	site, pages := everything(), tree{}
	if err := site.Project(p, pages); err != nil {
		t.Fatal(err)
	}
	if paths := site.Paths(p); len(pages)+len(paths) > 0 {
		t.Errorf("pages %v, paths %v", pages, paths)
	}
	if err := site.Index(site.Whole(each([]*catalog.Project{p})), pages.create, nil, generate.AllIndexPages); err != nil {
		t.Fatal(err)
	}
	for path, page := range pages {
		checkPage(t, path, path, []byte(page))
		if got := strings.Contains(page, `https://x.example/#egg=foo-dev`); got != (path == layout.Easy) {
			t.Errorf("%s: has the link: %v", path, got)
		}
		if path != layout.Easy && strings.Contains(page, "oo/\"") {
			t.Errorf("%s lists the project", path)
		}
	}
	if !strings.Contains(pages[layout.RootJSON], `"projects":[]`) {
		t.Errorf("root page %s", pages[layout.RootJSON])
	}
}

// A page for people leads to nothing that the site does not have.
func TestPagesLeadToWhatThereIs(t *testing.T) {
	p := &catalog.Project{
		Name: "foo", Display: "foo", Status: catalog.Status{State: catalog.Archived},
		Files: []catalog.File{newFile("foo", "foo-1.0.tar.gz", "1.0", packaging.Sdist)},
		Links: []catalog.Link{{Project: "foo", URL: "https://x.example/", Egg: "foo"}},
	}
	for which := generate.IndexPages(0); which <= generate.AllIndexPages; which++ {
		site, pages := generate.Site{People: true, Has: which}, tree{}
		if err := site.Project(p, pages); err != nil {
			t.Fatal(err)
		}
		if err := site.Index(site.Whole(each([]*catalog.Project{p})), pages.create, nil, generate.Front); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{layout.Front, layout.PeopleProject("foo")} {
			for of, folder := range map[generate.IndexPages]string{generate.Flat: "flat/", generate.Easy: "easy/"} {
				if got := strings.Contains(pages[path], folder); got != (which&of != 0) {
					t.Errorf("%s of a site with %b: %s is there: %v", path, which, folder, got)
				}
			}
		}
	}
}

// A front page with too many projects lists none and says how to find one.
func TestFrontPageOfALargeSite(t *testing.T) {
	for _, n := range []int{1000, 1001} {
		site, pages := everything(), tree{}
		if err := site.Index(site.Whole(each(dataset(n, 2*n))), pages.create, nil, generate.Front); err != nil {
			t.Fatal(err)
		}
		page := []byte(pages[layout.Front])
		checkPage(t, "front", layout.Front, page)
		links := strings.Count(string(page), `<li><a href="project/`)
		if n == 1000 && links != 1000+12 || n == 1001 && links != 12 {
			t.Errorf("%d projects: %d links to projects", n, links)
		}
	}
}

// Contract §7 row 7: a file whose version is none stands on the pages for
// easy_install and for people, and on no page of the simple API.
func TestAFileWithoutAVersionIsForOldClients(t *testing.T) {
	p := &catalog.Project{Name: "foo", Display: "foo"}
	p.Files = append(p.Files, newFile("foo", "foo-dev.tar.gz", "dev", packaging.Sdist), newFile("foo", "foo-1.0.tar.gz", "1.0", packaging.Sdist))
	site, pages := everything(), tree{}
	if err := site.Project(p, pages); err != nil {
		t.Fatal(err)
	}
	if err := site.Index(site.Whole(each([]*catalog.Project{p})), pages.create, nil, generate.Easy); err != nil {
		t.Fatal(err)
	}
	for path, page := range map[string]string{
		layout.ProjectHTML("foo"): pages[layout.ProjectHTML("foo")], layout.ProjectJSON("foo"): pages[layout.ProjectJSON("foo")],
	} {
		if strings.Contains(page, "foo-dev.tar.gz") || !strings.Contains(page, "foo-1.0.tar.gz") {
			t.Errorf("%s:\n%s\nwant foo-1.0.tar.gz alone", path, page)
		}
	}
	for path, page := range map[string]string{layout.Easy: pages[layout.Easy], layout.PeopleProject("foo"): pages[layout.PeopleProject("foo")]} {
		if !strings.Contains(page, "foo-dev.tar.gz") {
			t.Errorf("%s does not have foo-dev.tar.gz", path)
		}
	}
}

// An index below a prefix has the pages that the same index has at the root, at the
// same places below it. Each of its links leads to one of them, or to the store and
// the static files at the root.
func TestIndexBelowAPrefix(t *testing.T) {
	in := &input{index: generate.AllIndexPages, projects: []*catalog.Project{
		{Name: "foo", Display: "Foo", Files: []catalog.File{
			newFile("foo", "Foo-1.0.tar.gz", "1.0", packaging.Sdist),
			newFile("foo", "foo-2.0-py3-none-any.whl", "2.0", packaging.Wheel),
		}, Links: []catalog.Link{{Project: "foo", URL: "https://example.org/foo", Egg: "Foo"}}},
	}}
	for i := range in.projects[0].Files {
		in.projects[0].Files[i].Signed, in.projects[0].Files[i].Provenance = true, true
	}
	for _, base := range []string{"", "https://example.org/python/"} {
		in.site = everything()
		in.site.BaseURL = base
		root := in.render(t)
		for _, prefix := range []string{"prod", "snapshots/a"} {
			in.site.Prefix = prefix
			below := in.render(t)
			if len(below) != len(root) {
				t.Errorf("%d pages below %s, %d at the root", len(below), prefix, len(root))
			}
			for path := range root {
				if path == "static/" || strings.HasPrefix(path, "static/") {
					continue
				}
				page, ok := below[prefix+"/"+path]
				if !ok {
					t.Errorf("no %s/%s", prefix, path)
					continue
				}
				checkLeads(t, below, prefix+"/"+path, string(page))
			}
			for _, p := range in.projects {
				for _, path := range in.site.Paths(p) {
					if _, ok := below[path]; !ok {
						t.Errorf("Paths has %s, which is not made", path)
					}
				}
			}
		}
	}
}

var leading = regexp.MustCompile(`(?:href|src|data-href|data-simple|data-project|"url")[=:]"([^"#]*)`)

// checkLeads holds every link of a page below a prefix against what there is.
func checkLeads(t *testing.T, pages tree, at, page string) {
	t.Helper()
	links := leading.FindAllStringSubmatch(page, -1)
	if len(links) == 0 && !strings.HasSuffix(at, "simple/index.v1_json") {
		t.Errorf("%s has no link", at)
	}
	for _, l := range links {
		to, err := url.Parse("https://example.org/python/" + at)
		if err != nil {
			t.Fatal(err)
		}
		if to, err = to.Parse(l[1]); err != nil {
			t.Errorf("%s: link %q: %v", at, l[1], err)
			continue
		}
		rel, ours := strings.CutPrefix(to.String(), "https://example.org/python/")
		if !ours || rel == "" {
			if !strings.HasPrefix(l[1], "https://example.org/foo") {
				t.Errorf("%s: the link %q leads out of the index, to %s", at, l[1], to)
			}
			continue
		}
		if strings.HasPrefix(rel, "packages/") || strings.HasPrefix(rel, "static/") {
			continue
		}
		if strings.HasSuffix(rel, "/project/") || strings.HasSuffix(rel, "/project") {
			continue // what search results are below
		}
		if strings.HasSuffix(rel, "/") {
			rel += "index.html"
		}
		if _, ok := pages[rel]; !ok {
			t.Errorf("%s: the link %q leads to %s, which is not there", at, l[1], rel)
		}
	}
}
