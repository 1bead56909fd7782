package dataset

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"strings"

	"nestgen/packaging"
)

// Options say which data set to make. Files must be set.
type Options struct {
	// Files is how many distribution files there are in all projects together.
	Files int

	// Seed chooses one of many data sets of the same shape.
	Seed uint64

	// Pad is the median size of the payload of an archive, in bytes. Sizes are
	// log-normal: 40,000 makes archives of some 200 kB in the mean. If zero,
	// archives have next to nothing in them.
	Pad int
}

// A Project is all that the index has under one name.
type Project struct {
	Name     string // as its owner spells it
	Releases []Release
}

// A Release is one version of a project. The last release of a project is
// final and not yanked.
type Release struct {
	Version        string
	RequiresPython string
	RequiresDist   []string
	Yanked         string // the reason, empty if it is not yanked
	Files          []File
}

// A File is one distribution of a release.
type File struct {
	Filename string
	Kind     packaging.Kind
	Uploaded int64 // in seconds since 1970 UTC
	Pad      int   // bytes of payload

	// What [Write] found out; zero before.
	Size   int64
	SHA256 [32]byte
}

// Count gives how many files a project has.
func (p *Project) Count() int {
	n := 0
	for i := range p.Releases {
		n += len(p.Releases[i].Files)
	}
	return n
}

// The shape of the public index.
const (
	medianFiles = 4.0
	sigmaFiles  = 1.85
	mostFiles   = 12_000

	sigmaPad = 1.8
	mostPad  = 64 << 20
)

// A habit is how a project ships its releases.
type habit struct {
	share  float64 // of all projects
	sdist  bool
	wheel  bool
	egg    bool
	binary bool // a wheel for each of several platforms
}

var habits = []habit{
	{share: 0.14, sdist: true},
	{share: 0.14, wheel: true},
	{share: 0.47, wheel: true, sdist: true},
	{share: 0.03, egg: true, sdist: true},
	{share: 0.22, binary: true, sdist: true},
}

var systems = []string{
	"win_amd64", "win32", "macosx_10_13_x86_64", "macosx_11_0_arm64", "musllinux_1_2_x86_64",
	"manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_28_aarch64",
}

var pythons = []string{"", "", ">=3.6", ">=3.7", ">=3.8", ">=3.8", ">=3.9", ">=3.10", ">=3.8,<4.0", ">=2.7, !=3.0.*, !=3.1.*"}

// Projects gives the projects of a data set, each the reader's to keep. The
// last one is cut so that the number of files is what was asked for.
func Projects(o Options) iter.Seq[*Project] {
	return func(yield func(*Project) bool) {
		for i, left := 0, o.Files; left > 0; i++ {
			p := makeProject(o, i, left)
			left -= p.Count()
			if !yield(p) {
				return
			}
		}
	}
}

// makeProject makes the i-th project with at most so many files.
func makeProject(o Options, i, most int) *Project {
	r := rand.New(rand.NewPCG(o.Seed, uint64(i)))
	p := &Project{Name: name(i)}
	files := int(math.Round(medianFiles * math.Exp(sigmaFiles*r.NormFloat64())))
	files = min(max(files, 1), mostFiles, most)
	h := pickHabit(r)
	tags := 3 + r.IntN(11)
	v := numbering{r: r, minor: 1}
	uploaded := 1_270_000_000 + r.Int64N(450_000_000) // from 2010 to 2024
	for files > 0 {
		rel := Release{RequiresPython: pythons[r.IntN(len(pythons))]}
		for range r.IntN(6) {
			rel.RequiresDist = append(rel.RequiresDist, fmt.Sprintf("%s>=%d.%d", name(r.IntN(1000)), r.IntN(4), r.IntN(20)))
		}
		names := fileNames(h, tags)
		last := len(names) >= files
		rel.Version = v.next(last)
		if !last && r.IntN(250) == 0 {
			rel.Yanked = "broken, use the release after it"
		}
		for _, n := range names[:min(len(names), files)] {
			f := File{Filename: n.of(p.Name, rel.Version, i), Kind: n.kind, Uploaded: uploaded, Pad: pad(r, o.Pad)}
			rel.Files = append(rel.Files, f)
			uploaded += 1 + r.Int64N(90)
		}
		files -= len(rel.Files)
		uploaded += r.Int64N(60 * 24 * 3600)
		p.Releases = append(p.Releases, rel)
	}
	return p
}

func pickHabit(r *rand.Rand) habit {
	x := r.Float64()
	for _, h := range habits {
		if x -= h.share; x < 0 {
			return h
		}
	}
	return habits[0]
}

func pad(r *rand.Rand, median int) int {
	if median == 0 {
		return 0
	}
	return min(int(float64(median)*math.Exp(sigmaPad*r.NormFloat64())), mostPad)
}

// A distName is a file name without its project and its version.
type distName struct {
	kind packaging.Kind
	tag  string
}

// fileNames gives what one release of a project consists of.
func fileNames(h habit, tags int) []distName {
	var names []distName
	if h.wheel {
		names = append(names, distName{packaging.Wheel, "py3-none-any"})
	}
	if h.binary {
		for k := range tags {
			cp := 9 + k%5
			names = append(names, distName{packaging.Wheel, fmt.Sprintf("cp3%d-cp3%d-%s", cp, cp, systems[k%len(systems)])})
		}
	}
	if h.egg {
		names = append(names, distName{packaging.Egg, "py2.7"})
	}
	if h.sdist {
		names = append(names, distName{packaging.Sdist, ""})
	}
	return names
}

// of makes the whole name. Half of the projects name their sdists as before
// PEP 625, with the name as it is spelled.
func (n distName) of(project, version string, i int) string {
	escaped := strings.ReplaceAll(string(packaging.NormalizeName(project)), "-", "_")
	switch n.kind {
	case packaging.Wheel:
		return escaped + "-" + version + "-" + n.tag + ".whl"
	case packaging.Egg:
		return strings.ReplaceAll(project, "-", "_") + "-" + version + "-" + n.tag + ".egg"
	}
	if i%2 == 0 {
		return project + "-" + version + ".tar.gz"
	}
	return escaped + "-" + version + ".tar.gz"
}

// A numbering gives the versions of one project, rising.
type numbering struct {
	r                   *rand.Rand
	major, minor, patch int
}

// next gives a version that was not given before; plain asks for one without a
// suffix.
func (v *numbering) next(plain bool) string {
	switch x := v.r.IntN(100); {
	case x < 7:
		v.major, v.minor, v.patch = v.major+1, 0, 0
	case x < 40:
		v.minor, v.patch = v.minor+1, 0
	default:
		v.patch++
	}
	s := fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch)
	suffix := v.r.IntN(100)
	switch {
	case plain:
	case suffix < 3:
		s += "rc1"
	case suffix < 5:
		s += "b2"
	case suffix < 6:
		s += ".post1"
	case suffix < 7:
		s += fmt.Sprintf(".dev%d", v.r.IntN(200))
	}
	return s
}
