package resolve

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nestgen/packaging"
)

func gathered(g *Gathering) string {
	var parts []string
	for _, n := range g.Needed {
		parts = append(parts, fmt.Sprintf("%s==%s", n.Name, n.Version))
	}
	return strings.Join(parts, " ")
}

func TestClosure(t *testing.T) {
	for _, tt := range []struct {
		name, index, roots, constraints string
		newest                          int
		every                           bool
		want, missing                   string
	}{
		{name: "the newest of each requirement", index: "a 2: b<3\na 1: b\nb 1:\nb 2: c\nb 3:\nc 1:\nc 2:", roots: "a, b",
			want: "a==2 b==3 b==2 c==2"},
		{name: "the newest two", index: "a 3: b\na 2: b\na 1: b\nb 1:\nb 2:\nb 3:", roots: "a", newest: 2,
			want: "a==3 a==2 b==3 b==2"},
		{name: "all of the roots", index: "a 3: b>=2\na 2: b<2\na 1:\nb 1:\nb 2:\nb 3:", roots: "a", every: true,
			want: "a==3 a==2 a==1 b==3 b==1"},
		{name: "what meets two requirements at once", index: "a 1: c!=3\nb 1: c>=2,!=4\nc 1:\nc 2:\nc 3:\nc 4:", roots: "a, b",
			want: "a==1 b==1 c==4 c==3 c==2"},
		{name: "extras", index: "a 1: ; x=b\nb 1:", roots: "a, a[x]", want: "a==1 b==1"},
		{name: "an extra that is asked for late", index: "a 1: ; x=b\nc 1: a[x]\nb 1:", roots: "a, c", want: "a==1 b==1 c==1"},
		{name: "circles", index: "a 1: b[x]\nb 1: a ; x=a", roots: "a", want: "a==1 b==1"},
		{name: "constraints", index: "a 1: b\nb 1:\nb 2:", roots: "a", constraints: "b<2", want: "a==1 b==1"},
		{name: "pre-releases and yanked ones", index: "a 2rc1:\na 1: b==1\nb 1: ; yanked\nb 2: ; yanked", roots: "a", want: "a==1 b==1"},
		{name: "an older one where the newest cannot be installed", index: "a 2: b ; python>=3.13\na 1:\nb 1:", roots: "a", want: "a==1"},
		{name: "an unusable one", index: "a 2: b ; unusable\na 1: c\nb 1:\nc 1:", roots: "a", want: "a==1 c==1"},
		{name: "what is missing", index: "a 1: b>=2, c\nb 1:", roots: "a", want: "a==1",
			missing: "a 1 needs b>=2; the index has 1\na 1 needs c; the index has no c for this environment"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Closure{
				Machines: []Machine{{"here", linux, newIndex(t, tt.index)}},
				Roots:    roots(t, tt.roots), Constraints: roots(t, tt.constraints), Newest: tt.newest, Every: tt.every,
			}
			g, err := c.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := gathered(g); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			var missing []string
			for _, m := range g.Missing {
				missing = append(missing, m.String())
			}
			if got := strings.Join(missing, "\n"); got != tt.missing {
				t.Errorf("missing %s\nwant    %s", got, tt.missing)
			}
		})
	}
}

// Several machines at once: each version says which of them may need it, and how
// it came in.
func TestClosureMachines(t *testing.T) {
	windows := linux
	windows.SysPlatform, windows.PlatformSystem, windows.OSName = "win32", "Windows", "nt"
	text := "b 1: c\nc 1:\nd 1:\n"
	add := func(x *index) *index {
		var r release
		r.Version = version_(t, "1")
		r.Dist = []packaging.Requirement{requirement_(t, `b; sys_platform == "win32"`), requirement_(t, `d; sys_platform == "linux"`)}
		x.projects["a"] = []release{r}
		return x
	}
	c := Closure{
		Machines: []Machine{{"linux", linux, add(newIndex(t, text))}, {"windows", windows, add(newIndex(t, text))}},
		Roots:    roots(t, "a"),
	}
	g, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range g.Needed {
		got = append(got, fmt.Sprintf("%s %v %v", n.Name, n.Machines, n.Chain))
	}
	want := []string{
		"a [linux windows] [a (allow.txt:1)]",
		"b [windows] [a (allow.txt:1) a 1 needs b]",
		"c [windows] [a (allow.txt:1) a 1 needs b b 1 needs c]",
		"d [linux] [a (allow.txt:1) a 1 needs d]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Every requirement of everything that is needed is met by something that is
// needed, or is missing.
func TestClosureRandom(t *testing.T) {
	for seed := range 1000 {
		r := rand.New(rand.NewPCG(uint64(seed), 17))
		text := graph(r, 3+r.IntN(6), 5, 3, true)
		x := newIndex(t, text)
		c := Closure{Machines: []Machine{{"here", linux, x}}, Roots: roots(t, "a, b[x]"), Newest: 1 + r.IntN(3)}
		g, err := c.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		missing := map[string]bool{}
		for _, m := range g.Missing {
			missing[short(m.Chain[len(m.Chain)-1].Requirement)] = true
		}
		met := func(q packaging.Requirement) bool {
			return missing[short(q)] || slices.ContainsFunc(g.Needed, func(n Needed) bool {
				return n.Name == q.Project() && q.Specifiers.Contains(n.Version, packaging.AllowPrereleases)
			})
		}
		for _, n := range g.Needed {
			for _, rel := range x.projects[n.Name] {
				if rel.Version != n.Version {
					continue
				}
				if !rel.Python.Contains(version_(t, "3.12.1"), packaging.AllowPrereleases) {
					t.Fatalf("seed %d: %s %s is not for this Python\n%s", seed, n.Name, n.Version, text)
				}
				for _, q := range rel.Dist {
					if q.Marker == nil && !met(q) {
						t.Fatalf("seed %d: %s %s needs %s: %s\n%s", seed, n.Name, n.Version, q, gathered(g), text)
					}
				}
			}
		}
	}
}

func BenchmarkClosure(b *testing.B) {
	for _, size := range [][3]int{{1000, 30, 6}, {3000, 30, 6}} {
		for _, newest := range []int{1, 3} {
			b.Run(fmt.Sprintf("%dx%dx%d/newest=%d", size[0], size[1], size[2], newest), func(b *testing.B) {
				x := large(size[0], size[1], size[2])
				b.ReportAllocs()
				for b.Loop() {
					c := Closure{Machines: []Machine{{"here", linux, x}}, Roots: roots(b, "p0, p1, p2, p3"), Newest: newest}
					g, err := c.Run(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(len(g.Needed)), "versions")
				}
			})
		}
	}
}
