package dataset_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen/bench/dataset"
	"nestgen/packaging"
)

// The shape of the data set is what the package comment says.
func TestShape(t *testing.T) {
	const files = 100_000
	kinds := map[packaging.Kind]int{}
	seen := map[packaging.Name]bool{}
	filenames := map[string]bool{}
	var counts []int
	spelled := 0
	for p := range dataset.Projects(dataset.Options{Files: files}) {
		n := packaging.NormalizeName(p.Name)
		if seen[n] || !packaging.ValidName(p.Name) {
			t.Fatalf("project %q: not valid, or there are two", p.Name)
		}
		seen[n] = true
		if string(n) != p.Name {
			spelled++
		}
		counts = append(counts, p.Count())
		for _, r := range p.Releases {
			for _, f := range r.Files {
				kinds[f.Kind]++
				parsed, err := packaging.ParseFilename(f.Filename, n)
				if err != nil || parsed.Project != n || parsed.Version != r.Version || filenames[f.Filename] {
					t.Fatalf("%s: parsed as %+v, %v; want %s %s, and each name once", f.Filename, parsed, err, n, r.Version)
				}
				filenames[f.Filename] = true
			}
		}
		last := p.Releases[len(p.Releases)-1]
		if v, err := packaging.ParseVersion(last.Version); err != nil || v.IsPrerelease() || last.Yanked != "" {
			t.Fatalf("%s: the last release is %+v, want one that installers choose", p.Name, last)
		}
	}
	slices.Sort(counts)
	median, wheels := counts[len(counts)/2], kinds[packaging.Wheel]*100/files
	if len(filenames) != files || len(counts) < 4000 || len(counts) > 5500 || median < 3 || median > 5 ||
		wheels < 55 || wheels > 61 || kinds[packaging.Egg] == 0 || spelled*100/len(counts) < 8 {
		t.Errorf("%d files in %d projects, median %d, %d %% wheels, %d eggs, %d names spelled otherwise",
			len(filenames), len(counts), median, wheels, kinds[packaging.Egg], spelled)
	}
}

// The same options give the same bytes.
func TestReproducible(t *testing.T) {
	write := func(dir string) {
		if err := dataset.Write(dir, slices.Collect(dataset.Projects(dataset.Options{Files: 200, Seed: 7, Pad: 3000}))); err != nil {
			t.Fatal(err)
		}
	}
	a, b := t.TempDir(), t.TempDir()
	write(a)
	write(b)
	entries, err := os.ReadDir(a)
	if err != nil || len(entries) != 200 {
		t.Fatalf("%d files, %v; want 200", len(entries), err)
	}
	for _, e := range entries {
		x, errA := os.ReadFile(filepath.Join(a, e.Name()))
		y, errB := os.ReadFile(filepath.Join(b, e.Name()))
		if errA != nil || errB != nil || !bytes.Equal(x, y) {
			t.Errorf("%s: made twice, different bytes (%v, %v)", e.Name(), errA, errB)
		}
	}
}

// What a page offers as the metadata of a wheel is what is written beside the
// wheel, and what is in it.
func TestMetadata(t *testing.T) {
	dir := t.TempDir()
	p := &dataset.Project{Name: "One.Two", Releases: []dataset.Release{{Version: "1.0", RequiresDist: []string{"three>=1"}, Files: []dataset.File{
		{Filename: "one_two-1.0-py3-none-any.whl", Kind: packaging.Wheel},
		{Filename: "One.Two-1.0.tar.gz", Kind: packaging.Sdist},
	}}}}
	if err := errors.Join(dataset.Write(dir, []*dataset.Project{p}), dataset.WriteMetadata(dir, []*dataset.Project{p})); err != nil {
		t.Fatal(err)
	}
	beside, err := os.ReadFile(filepath.Join(dir, "one_two-1.0-py3-none-any.whl.metadata"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.OpenReader(filepath.Join(dir, "one_two-1.0-py3-none-any.whl"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	inside, err := fs.ReadFile(z, "one_two-1.0.dist-info/METADATA")
	if err != nil || !bytes.Equal(inside, beside) {
		t.Errorf("in the wheel %q, %v; beside it %q", inside, err, beside)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("%v, %v: want no metadata beside the sdist", entries, err)
	}
	page, err := dataset.Page(p, "", true)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`"core-metadata":{"sha256":"%x"}`, sha256.Sum256(beside)); strings.Count(string(page), want) != 1 || strings.Count(string(page), "core-metadata") != 1 {
		t.Errorf("page %s\nwant once %s", page, want)
	}
	if page, err := dataset.Page(p, "", false); err != nil || bytes.Contains(page, []byte("core-metadata")) {
		t.Errorf("page %s, %v", page, err)
	}
}
