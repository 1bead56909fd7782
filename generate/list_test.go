package generate_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/layout"
	"nestgen/packaging"
)

// former gives the pages of a tree.
func (t tree) former(path string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(t[path])), nil
}

// index makes the pages about all projects: those in changed come whole, the
// others by their cards.
func index(site generate.Site, projects map[packaging.Name]*catalog.Project, changed map[packaging.Name]bool, former generate.Former) (tree, error) {
	pages := tree{}
	names := slices.Sorted(maps.Keys(projects))
	err := site.Index(func(yield func(catalog.Entry, error) bool) {
		for _, n := range names {
			e := catalog.Entry{Name: n, Shown: site.Card(projects[n])}
			if changed == nil || changed[n] {
				e.Project = projects[n]
			}
			if !yield(e, nil) {
				return
			}
		}
	}, pages.create, former, generate.AllIndexPages)
	return pages, err
}

// What is taken over from the former pages and what is made anew are together
// what would be made of all projects, whichever have changed.
func TestIndexTakesOver(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	site := everything()
	site.BaseURL = "https://example.org/"
	fresh := func(n packaging.Name) *catalog.Project {
		p := &catalog.Project{Name: n, Display: string(n)}
		for k := range rng.IntN(4) {
			f := newFile(n, fmt.Sprintf("%s-1.%d.tar.gz", n, k), fmt.Sprintf("1.%d", k), packaging.Sdist)
			f.Uploaded = rng.Int64N(1e15)
			if rng.IntN(3) == 0 {
				// An anchor longer than any buffer, with what looks like a section.
				f.Yanked = catalog.Yank{Yanked: true, Reason: strings.Repeat("x\n<!-- zzz -->\n</body>\n", rng.IntN(5000))}
			}
			p.Files = append(p.Files, f)
		}
		if rng.IntN(3) == 0 {
			p.Links = []catalog.Link{{Project: n, URL: "https://example.org/" + string(n), Egg: string(n)}}
		}
		return p
	}
	projects := map[packaging.Name]*catalog.Project{}
	pages, err := index(site, projects, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 100 {
		changed := map[packaging.Name]bool{}
		for range rng.IntN(4) {
			n := packaging.Name(fmt.Sprintf("p-%d", rng.IntN(40)))
			changed[n] = true
			projects[n] = fresh(n) // of nothing: it is on no page
		}
		if pages, err = index(site, projects, changed, pages.former); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		want, err := index(site, projects, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, pages); diff != "" {
			t.Fatalf("round %d, %v changed: %.2000s", round, changed, diff)
		}
		for n, p := range projects {
			if len(p.Files)+len(p.Links) == 0 {
				delete(projects, n)
			}
		}
	}
}

func TestIndexTakesOverOnlyWhatWasPublished(t *testing.T) {
	site := everything()
	projects := map[packaging.Name]*catalog.Project{}
	for _, p := range dataset(3, 9) {
		projects[p.Name] = p
	}
	pages, err := index(site, projects, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := slices.Sorted(maps.Keys(projects))[2]
	spoil := func(change func(page string) string) error {
		other := maps.Clone(pages)
		other[layout.Flat] = change(other[layout.Flat])
		_, err := index(site, projects, map[packaging.Name]bool{last: true}, other.former)
		return err
	}
	if err := spoil(strings.Clone); err != nil {
		t.Errorf("as it was: %v", err)
	}
	for about, change := range map[string]func(string) string{
		"empty":      func(string) string { return "" },
		"no foot":    func(s string) string { return strings.TrimSuffix(s, "</body>\n</html>\n") },
		"half":       func(s string) string { return s[:len(s)/2] },
		"not sorted": func(s string) string { return strings.Replace(s, "<!-- "+string(last), "<!-- a", 1) },
		"other page": func(string) string { return "<html>\n<body>\nIt works!\n" },
	} {
		if err := spoil(change); !errors.Is(err, generate.ErrFormer) {
			t.Errorf("%s: error %v, want %v", about, err, generate.ErrFormer)
		}
	}
}
