package generate_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/layout"
	"nestgen/packaging"
)

// dataset makes so many projects with about so many files between them, few in
// most and many in some, sorted by name.
func dataset(projects, files int) []*catalog.Project {
	rnd := rand.New(rand.NewPCG(1, 2))
	weights := make([]float64, projects)
	sum := 0.0
	for i := range weights {
		weights[i] = math.Exp(1.6 * rnd.NormFloat64())
		sum += weights[i]
	}
	ps := make([]*catalog.Project, projects)
	serial := uint64(0)
	for i := range ps {
		display := fmt.Sprintf("Project_%06d", i)
		p := &catalog.Project{Name: packaging.NormalizeName(display), Display: string(packaging.NormalizeName(display))}
		if i%3 == 0 {
			p.Display = display
		}
		n := max(1, int(weights[i]/sum*float64(files)))
		for k := range n {
			serial++
			version := fmt.Sprintf("%d.%d.%d", k/40, k/4%10, k/2%2)
			f := catalog.File{
				Project: p.Name, Version: version, Size: int64(1000 + k), Kind: packaging.Sdist,
				Filename: fmt.Sprintf("project_%06d-%s-%d.tar.gz", i, version, k),
				Uploaded: 1_600_000_000_000_000 + int64(serial)*61_000_123,
			}
			binary.BigEndian.PutUint64(f.SHA256[:], serial)
			binary.BigEndian.PutUint64(f.BLAKE2b[8:], serial)
			if k%2 == 0 {
				f.Kind, f.Filename = packaging.Wheel, fmt.Sprintf("project_%06d-%s-%d-py3-none-any.whl", i, version, k)
				f.Metadata = f.SHA256
			}
			if k%3 == 0 {
				f.RequiresPython = ">=3.8"
			}
			if k%50 == 0 {
				f.Yanked = catalog.Yank{Yanked: true, Reason: "wrong & late"}
			}
			f.Path = layout.File(f.BLAKE2b, f.Filename)
			p.Files = append(p.Files, f)
		}
		slices.SortStableFunc(p.Files, func(a, b catalog.File) int { return strings.Compare(a.Version, b.Version) })
		ps[i] = p
	}
	return ps
}

type discard struct{ pages, bytes int }

func (d *discard) Put(_ string, page []byte) error { d.pages++; d.bytes += len(page); return nil }

// Rendering costs a fixed number of allocations for each project and none for
// each file.
func TestAllocations(t *testing.T) {
	var p catalog.Project
	for _, q := range dataset(1, 4000) {
		p = *q
	}
	measure := func(site generate.Site, files int) float64 {
		q := p
		q.Files = p.Files[:files]
		var d discard
		return testing.AllocsPerRun(20, func() {
			if err := site.Project(&q, &d); err != nil {
				t.Fatal(err)
			}
		})
	}
	few, many := measure(generate.Site{}, 20), measure(generate.Site{}, 2000)
	t.Logf("simple pages: %v allocations for 20 files, %v for 2000", few, many)
	if few > 8 || many > few+30 { // the map of versions
		t.Errorf("simple pages: %v allocations for 20 files, %v for 2000", few, many)
	}
	few, many = measure(generate.Site{People: true}, 20), measure(generate.Site{People: true}, 2000)
	t.Logf("with pages for people: %v and %v", few, many)
	if many > few+60 {
		t.Errorf("with pages for people: %v allocations for 20 files, %v for 2000", few, many)
	}
}

func benchmarkProjects(b *testing.B, site generate.Site) {
	projects := dataset(4670, 100_000)
	files := 0
	for _, p := range projects {
		files += len(p.Files)
	}
	var d discard
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		d = discard{}
		for _, p := range projects {
			if err := site.Project(p, &d); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(files), "files")
	b.ReportMetric(float64(d.pages), "pages")
	b.ReportMetric(float64(d.bytes)/1e6, "MB-pages")
}

// reportCPU reports the processor time of each round, which other work on the
// machine disturbs less than it does the clock.
func reportCPU(b *testing.B) func() {
	now := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return float64(u.Utime.Nano() + u.Stime.Nano())
	}
	start := now()
	return func() { b.ReportMetric((now()-start)/1e6/float64(b.N), "cpu-ms/op") }
}

// 100,000 files in 4,670 projects.
func BenchmarkSimplePages(b *testing.B) { benchmarkProjects(b, generate.Site{}) }
func BenchmarkWithPeople(b *testing.B)  { benchmarkProjects(b, generate.Site{People: true}) }
func BenchmarkEveryPage(b *testing.B)   { benchmarkProjects(b, everything()) }

func BenchmarkIndexPages(b *testing.B) {
	projects := dataset(4670, 100_000)
	for _, bb := range []struct {
		name  string
		which generate.IndexPages
	}{{"Root", generate.Root}, {"Flat", generate.Flat}, {"Easy", generate.Easy}, {"Front", generate.Front}, {"All", generate.AllIndexPages}} {
		b.Run(bb.name, func(b *testing.B) {
			site := everything()
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				var n counter
				err := site.Index(site.Whole(each(projects)), func(string) (io.WriteCloser, error) { return &n, nil }, nil, bb.which)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(n)/1e6, "MB-pages")
			}
		})
	}
}

func BenchmarkGzip(b *testing.B) {
	var page []byte
	site := generate.Site{}
	_ = site.Project(dataset(1, 50)[0], putFunc(func(path string, data []byte) error {
		if strings.HasSuffix(path, "json") {
			page = slices.Clone(data)
		}
		return nil
	}))
	var out []byte
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		out = generate.Gzip(out[:0], page, generate.PageLevel)
	}
	b.ReportMetric(float64(len(out)), "bytes-out")
}

type putFunc func(string, []byte) error

func (f putFunc) Put(path string, data []byte) error { return f(path, data) }
