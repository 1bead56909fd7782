package resolve

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"nestgen/packaging"
)

// large makes an index of so many projects, each with so many versions that need
// so many others each. The newest versions fit together, and some of the others.
func large(projects, versions, needs int) *index {
	r := rand.New(rand.NewPCG(1, 2))
	x := &index{projects: map[packaging.Name][]release{}, asked: map[string]int{}}
	parse := func(s string) packaging.Requirement {
		q, err := packaging.ParseRequirement(s)
		if err != nil {
			panic(err)
		}
		return q
	}
	for i := range projects {
		n := packaging.Name(fmt.Sprintf("p%d", i))
		for v := versions; v > 0; v-- {
			rel := release{}
			rel.Version, _ = packaging.ParseVersion(fmt.Sprintf("1.%d", v))
			for range needs {
				lowest := r.IntN(v) + 1
				q := fmt.Sprintf("p%d>=1.%d", r.IntN(projects), lowest)
				if r.IntN(4) == 0 {
					q += ",<2"
				}
				rel.Dist = append(rel.Dist, parse(q))
			}
			x.projects[n] = append(x.projects[n], rel)
		}
	}
	return x
}

func BenchmarkResolve(b *testing.B) {
	for _, size := range [][3]int{{1000, 30, 6}, {3000, 30, 6}} {
		b.Run(fmt.Sprintf("%dx%dx%d", size[0], size[1], size[2]), func(b *testing.B) {
			x := large(size[0], size[1], size[2])
			b.ReportAllocs()
			for b.Loop() {
				p := Problem{Roots: roots(b, "p0, p1, p2, p3"), Environment: linux, Provider: x}
				s, err := p.Resolve(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(s.Pins)), "pins")
			}
		})
	}
}

// tangled makes an index in which every version of many projects but the oldest
// is led into a conflict that only shows far from its cause.
func tangled(t testing.TB, width, versions int) *index {
	text := ""
	for i := range width {
		for v := 1; v <= versions; v++ {
			text += fmt.Sprintf("a%d %d: b%d==%d\n", i, v, i, v)
			text += fmt.Sprintf("b%d %d: c>=%d\n", i, v, v)
		}
	}
	for v := 1; v <= versions; v++ {
		text += fmt.Sprintf("c %d: d>=%d\nd %d: e>=%d\ne %d:\n", v, v, v, v, v)
	}
	return newIndex(t, text)
}

func tangledRoots(t testing.TB, width int) []Root {
	text := ""
	for i := range width {
		text += fmt.Sprintf("a%d, ", i)
	}
	return roots(t, text+"e==1")
}

func BenchmarkResolveBacktracking(b *testing.B) {
	b.ReportAllocs()
	x := tangled(b, 3, 10)
	x.t = nil
	for b.Loop() {
		p := Problem{Roots: tangledRoots(b, 3), Environment: linux, Provider: x}
		s, err := p.Resolve(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(s.Rounds), "rounds")
	}
}

// hopeless makes an index where each of many projects has a choice that does not
// matter to a conflict, which no choice can mend.
func hopeless(t testing.TB, width int) (*index, []Root) {
	text, asked := "", ""
	for i := range width {
		for v := 1; v <= 4; v++ {
			text += fmt.Sprintf("p%d %d: q%d<=%d, z>=1\nq%d %d: z\n", i, v, (i+1)%width, v, i, v)
		}
		asked += fmt.Sprintf("p%d, ", i)
	}
	text += "z 1: m>=2, n\nz 2: m>=2, n\nn 1: m<2\nm 1:\nm 2:\n"
	return newIndex(t, text), roots(t, asked+"z")
}

func BenchmarkResolveHopeless(b *testing.B) {
	b.ReportAllocs()
	x, r := hopeless(b, 40)
	x.t = nil
	for b.Loop() {
		p := Problem{Roots: r, Environment: linux, Provider: x}
		var c *Conflict
		if _, err := p.Resolve(b.Context()); !errors.As(err, &c) {
			b.Fatal(err)
		}
	}
}
