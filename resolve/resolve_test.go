package resolve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nestgen/packaging"
)

// An index is a Provider over plain values. It fails a test that asks a question
// twice.
type index struct {
	t         testing.TB
	projects  map[packaging.Name][]release
	asked     map[string]int
	announced map[string]bool
}

type release struct {
	Candidate
	Requirements
	err error
}

// newIndex reads an index from lines such as
//
//	flask 3.0.0: werkzeug>=3, jinja2; async=asgiref>=3.2 ; python>=3.8
//
// where the parts behind the first are those of extras, of Requires-Python and
// the word "yanked", "unknown" or "unusable".
func newIndex(t testing.TB, text string) *index {
	t.Helper()
	x := &index{t: t, projects: map[packaging.Name][]release{}, asked: map[string]int{}, announced: map[string]bool{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		head, tail, _ := strings.Cut(line, ":")
		name, version, _ := strings.Cut(head, " ")
		r := release{Candidate: Candidate{Version: version_(t, version)}}
		for i, part := range strings.Split(tail, ";") {
			part = strings.TrimSpace(part)
			extra := ""
			switch {
			case part == "yanked":
				r.Yanked = true
				continue
			case part == "unknown":
				r.err = ErrUnknown
				continue
			case part == "unusable":
				r.err = ErrUnusable
				continue
			case strings.HasPrefix(part, "python"):
				r.Python = specifiers(t, strings.TrimPrefix(part, "python"))
				continue
			case i > 0:
				extra, part, _ = strings.Cut(part, "=")
				extra = strings.TrimSpace(extra)
				r.Extras = append(r.Extras, extra)
			}
			for _, q := range strings.Split(part, ", ") {
				if q = strings.TrimSpace(q); q == "" {
					continue
				}
				if extra != "" {
					q += ` ; extra == "` + extra + `"`
				}
				r.Dist = append(r.Dist, requirement_(t, q))
			}
		}
		n := packaging.NormalizeName(name)
		x.projects[n] = append(x.projects[n], r)
	}
	return x
}

func version_(t testing.TB, s string) packaging.Version {
	t.Helper()
	v, err := packaging.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func specifiers(t testing.TB, s string) packaging.Specifiers {
	t.Helper()
	v, err := packaging.ParseSpecifiers(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func requirement_(t testing.TB, s string) packaging.Requirement {
	t.Helper()
	q, err := packaging.ParseRequirement(s)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func (x *index) Candidates(_ context.Context, n packaging.Name) ([]Candidate, error) {
	x.once(string(n))
	releases, ok := x.projects[n]
	if !ok {
		return nil, fs.ErrNotExist
	}
	var candidates []Candidate
	for _, r := range releases {
		candidates = append(candidates, r.Candidate)
	}
	return candidates, nil
}

func (x *index) Requires(_ context.Context, n packaging.Name, c Candidate) (Requirements, error) {
	x.once(string(n) + " " + c.Version.String())
	for _, r := range x.projects[n] {
		if r.Version == c.Version {
			return r.Requirements, r.err
		}
	}
	return Requirements{}, fmt.Errorf("no %s %s", n, c.Version)
}

func (x *index) once(question string) {
	if x.t == nil {
		return
	}
	if x.asked[question]++; x.asked[question] > 1 {
		x.t.Errorf("asked twice: %s", question)
	}
}

var linux = packaging.Environment{
	OSName: "posix", SysPlatform: "linux", PlatformMachine: "x86_64", PlatformPythonImplementation: "CPython",
	PlatformSystem: "Linux", PythonVersion: "3.12", PythonFullVersion: "3.12.1",
	ImplementationName: "cpython", ImplementationVersion: "3.12.1",
}

func roots(t testing.TB, lines string) []Root {
	t.Helper()
	var roots []Root
	for i, line := range strings.Split(lines, ", ") {
		if line != "" {
			roots = append(roots, Root{requirement_(t, line), fmt.Sprintf("allow.txt:%d", i+1)})
		}
	}
	return roots
}

// text gives a set as "a==1 b==2".
func text(s *Set) string {
	var parts []string
	for _, p := range s.Pins {
		name := string(p.Name)
		if len(p.Extras) > 0 {
			name += fmt.Sprint(p.Extras)
		}
		parts = append(parts, name+"=="+p.Version.String())
	}
	return strings.Join(parts, " ")
}

func TestResolve(t *testing.T) {
	for _, tt := range []struct {
		name, index, roots, constraints, want string
	}{
		{"the newest of each", "a 2: b\na 1:\nb 1:\nb 3:", "a", "", "a==2 b==3"},
		{"an older parent where the newest cannot be", "a 2: b>=2\na 1: b\nb 1:", "a", "", "a==1 b==1"},
		{"an older one because of a later requirement", "a 1: b, c\nb 2: c>=2\nb 1: c\nc 1:\nc 2:", "a, c<2", "", "a==1 b==1 c==1"},
		{"a circle", "a 1: b\nb 1: a", "a", "", "a==1 b==1"},
		{"extras", "a 1: b ; x=c>=1, d\nb 1:\nc 1:\nd 1: a[x]", "a[x]", "", "a[x]==1 b==1 c==1 d==1"},
		{"an extra that a version does not have", "a 1: b\nb 1:", "a[x]", "", "a==1 b==1"},
		{"an extra that only an older version can meet", "a 2: ; x=b>=9\na 1: ; x=b\nb 1:", "a[x]", "", "a[x]==1 b==1"},
		{"two extras have one version", "a 2: ; x=b ; y=c>=2\na 1: ; x=b ; y=c\nb 1:\nc 1:", "a[x], a[y]", "", "a[x y]==1 b==1 c==1"},
		{"spellings of an extra", "a 1: ; big-data=b\nb 1:", "a[Big_Data]", "", "a[big-data]==1 b==1"},
		{"constraints ask for nothing", "a 1: b\nb 1:\nb 2:\nc 1:", "a", "b<2, c==1", "a==1 b==1"},
		{"pre-releases stay out", "a 1:\na 2rc1:", "a", "", "a==1"},
		{"pre-releases where nothing else is", "a 2rc1:", "a>=1", "", "a==2rc1"},
		{"a pre-release that is named", "a 1:\na 2rc1:", "a>=2rc1", "", "a==2rc1"},
		{"a pre-release that only a dependency names", "a 1: b>=2rc1\nb 2rc1:\nb 1:", "a, b", "", "a==1 b==2rc1"},
		{"yanked ones stay out", "a 1:\na 2: ; yanked", "a", "", "a==1"},
		{"a pin of a yanked one", "a 1:\na 2: ; yanked", "a==2", "", "a==2"},
		{"a pin by a constraint of a yanked one", "a 1:\na 2: ; yanked", "a", "a==2", "a==2"},
		{"the interpreter", "a 2: ; python>=3.13\na 1: ; python>=3.8", "a", "", "a==1"},
		{"markers", "a 1: b ; x=c\nb 1:\nc 1:", `a[x] ; sys_platform == "linux", c ; sys_platform == "win32"`, "", "a[x]==1 b==1 c==1"},
		{"unknown requirements are taken as none", "a 1: ; unknown", "a", "", "a==1"},
		{"an unusable version is passed over", "a 2: b ; unusable\na 1:", "a", "", "a==1"},
		{"a URL is not followed", "a 1: b @ https://example.com/b-1.tar.gz, c\nc 1:", "a", "", "a==1 c==1"},
		{"what nobody asks for any more is left out", "a 2: b, c>=2\na 1:\nb 1: d\nc 1:\nd 1:", "a", "", "a==1"},
		{"local versions", "a 1: b==1.0\nb 1.0+cu121:", "a", "", "a==1 b==1.0+cu121"},
		{"=== compares texts", "a 1.0:\na 2:", "a===1.0", "", "a==1.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Problem{Roots: roots(t, tt.roots), Constraints: roots(t, tt.constraints), Environment: linux, Provider: newIndex(t, tt.index)}
			s, err := p.Resolve(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := text(s); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// graph makes a small random index of projects a, b, c ...
func graph(r *rand.Rand, projects, versions, needs int, yanked bool) string {
	var b strings.Builder
	for i := range projects {
		for v := 1 + r.IntN(versions); v > 0; v-- {
			fmt.Fprintf(&b, "%c %d:", 'a'+i, v)
			var parts []string
			for range r.IntN(needs + 1) {
				parts = append(parts, someRequirement(r, projects, versions))
			}
			b.WriteString(" " + strings.Join(parts, ", "))
			if r.IntN(3) == 0 {
				fmt.Fprintf(&b, " ; x=%s", someRequirement(r, projects, versions))
			}
			switch n := r.IntN(12); {
			case n == 0 && yanked:
				b.WriteString(" ; yanked")
			case n == 1:
				b.WriteString(" ; python>=3.13")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func someRequirement(r *rand.Rand, projects, versions int) string {
	name := string(rune('a' + r.IntN(projects)))
	if r.IntN(5) == 0 {
		name += "[x]"
	}
	v := 1 + r.IntN(versions)
	return name + [...]string{"", "", fmt.Sprintf(">=%d", v), fmt.Sprintf("<=%d", v), fmt.Sprintf("==%d", v), fmt.Sprintf("!=%d", v), fmt.Sprintf("<%d", v), fmt.Sprintf("==%d.*", v)}[r.IntN(8)]
}

// check reports what is wrong with a set by the index, or "".
func (x *index) check(p *Problem, s *Set) string {
	chosen := map[packaging.Name]release{}
	extras := map[packaging.Name][]string{}
	for _, pin := range s.Pins {
		for _, r := range x.projects[pin.Name] {
			if r.Version == pin.Version {
				chosen[pin.Name] = r
			}
		}
	}
	var queue []packaging.Requirement
	for _, r := range p.Roots {
		queue = append(queue, r.Requirement)
	}
	done := map[string]bool{}
	need := map[packaging.Name]bool{}
	for len(queue) > 0 {
		q := queue[0]
		queue = queue[1:]
		if done[q.String()] {
			continue
		}
		done[q.String()] = true
		r, ok := chosen[q.Project()]
		if !ok {
			return "nothing for " + q.String()
		}
		if !q.Specifiers.Contains(r.Version, packaging.AllowPrereleases) {
			return fmt.Sprintf("%s is not met by %s", q, r.Version)
		}
		if !r.Python.Contains(version_(x.t, linux.PythonFullVersion), packaging.AllowPrereleases) {
			return fmt.Sprintf("%s %s is not for this Python", q.Project(), r.Version)
		}
		need[q.Project()] = true
		extras[q.Project()] = append(extras[q.Project()], q.Extras...)
		for _, d := range r.Dist {
			for _, e := range append([]string{""}, q.Extras...) {
				env := linux
				env.Extra = e
				if ok := d.Marker == nil; ok {
					queue = append(queue, d)
				} else if ok, err := d.Marker.Eval(&env); ok && err == nil {
					queue = append(queue, d)
				}
			}
		}
	}
	for _, pin := range s.Pins {
		if !need[pin.Name] {
			return "nobody needs " + string(pin.Name)
		}
		if len(pin.Asks) == 0 || len(s.Chain(pin.Name)) == 0 || s.Chain(pin.Name)[0].By != "" {
			return "no reason for " + string(pin.Name)
		}
		if chosen[pin.Name].Yanked {
			// Whoever pinned it may have been replaced since, with pip as here.
			if !x.pinned(p, pin.Name) {
				return "yanked without a pin: " + string(pin.Name)
			}
		}
	}
	return ""
}

// pinned reports whether any requirement anywhere pins a project.
func (x *index) pinned(p *Problem, n packaging.Name) bool {
	var all []packaging.Requirement
	for _, r := range p.Roots {
		all = append(all, r.Requirement)
	}
	for _, releases := range x.projects {
		for _, r := range releases {
			all = append(all, r.Dist...)
		}
	}
	return slices.ContainsFunc(all, func(q packaging.Requirement) bool { return q.Project() == n && q.Specifiers.IsExact() })
}

// exists reports by trying everything whether there is a set at all.
func (x *index) exists(p *Problem) bool {
	var names []packaging.Name
	for n := range x.projects {
		names = append(names, n)
	}
	slices.Sort(names)
	// Depth first over requirements, each name once.
	var try func(queue []packaging.Requirement, chosen map[packaging.Name]release, asked map[packaging.Name][]packaging.Requirement) bool
	try = func(queue []packaging.Requirement, chosen map[packaging.Name]release, asked map[packaging.Name][]packaging.Requirement) bool {
		if len(queue) == 0 {
			return true
		}
		q, rest := queue[0], queue[1:]
		n := q.Project()
		// A set for the next asked names, so that going back finds them as
		// they were.
		next := map[packaging.Name][]packaging.Requirement{}
		for k, v := range asked {
			next[k] = v
		}
		known := slices.ContainsFunc(asked[n], func(o packaging.Requirement) bool { return o.String() == q.String() })
		if !known {
			next[n] = append(slices.Clip(asked[n]), q)
		}
		follow := func(r release) []packaging.Requirement {
			if known {
				return rest
			}
			out := slices.Clone(rest)
			for _, d := range r.Dist {
				for _, e := range append([]string{""}, q.Extras...) {
					env := linux
					env.Extra = e
					ok := d.Marker == nil
					if !ok {
						ok, _ = d.Marker.Eval(&env)
					}
					if ok {
						out = append(out, d)
						break
					}
				}
			}
			return out
		}
		if r, ok := chosen[n]; ok {
			return q.Specifiers.Contains(r.Version, packaging.AllowPrereleases) && try(follow(r), chosen, next)
		}
		for _, r := range x.projects[n] {
			if !q.Specifiers.Contains(r.Version, packaging.AllowPrereleases) ||
				!r.Python.Contains(version_(x.t, linux.PythonFullVersion), packaging.AllowPrereleases) {
				continue
			}
			chosen[n] = r
			if try(follow(r), chosen, next) {
				return true
			}
			delete(chosen, n)
		}
		return false
	}
	var queue []packaging.Requirement
	for _, r := range p.Roots {
		queue = append(queue, r.Requirement)
	}
	return try(queue, map[packaging.Name]release{}, map[packaging.Name][]packaging.Requirement{})
}

// TestResolveRandom holds what is found against trying everything. Whether a
// yanked version may be taken depends on which requirement is seen first, with
// pip as here, so that graphs with yanked versions are not tried for sets that
// were missed.
func TestResolveRandom(t *testing.T) {
	n := 6000
	if testing.Short() {
		n = 300
	}
	found, none, missed := 0, 0, 0
	for seed := range n {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		yanked := seed%2 == 0
		text := graph(r, 3+r.IntN(5), 4, 3, yanked)
		asked := "a"
		for range r.IntN(3) {
			asked += ", " + someRequirement(r, 4, 4)
		}
		p := Problem{Roots: roots(t, asked), Environment: linux, Provider: newIndex(t, text)}
		s, err := p.Resolve(t.Context())
		var conflict *Conflict
		var tooLong *TooLong
		switch {
		case errors.As(err, &conflict):
			none++
			if conflict.Missed != nil {
				missed++
				if wrong := newIndex(t, text).check(&p, conflict.Missed); wrong != "" {
					t.Errorf("seed %d: missed: %s", seed, wrong)
				}
			} else if !yanked && newIndex(t, text).exists(&p) {
				t.Errorf("seed %d: there is a set for %s\n%s%v", seed, asked, text, err)
			}
		case errors.As(err, &tooLong):
			// Where pip walks in circles.
			if tooLong.Missed == nil || newIndex(t, text).check(&p, tooLong.Missed) != "" {
				t.Errorf("seed %d: %v", seed, tooLong.Missed)
			}
			missed++
		case err != nil:
			t.Fatalf("seed %d: %v", seed, err)
		default:
			found++
			if wrong := newIndex(t, text).check(&p, s); wrong != "" {
				t.Errorf("seed %d: %s in %s\nroots %s\n%s", seed, wrong, text, asked, text)
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d sets, %d conflicts, of which pip misses %d", found, none, missed)
	if found < n/10 || none < n/10 {
		t.Errorf("the graphs are too easy: %d sets, %d conflicts", found, none)
	}
}

func TestConflict(t *testing.T) {
	for _, tt := range []struct {
		name, index, roots, constraints, want, hint string
	}{
		{"nothing on offer meets one", "flask 3.0.0: werkzeug>=3.0\nwerkzeug 2.3.8:\nwerkzeug 2.2.0:", "flask", "",
			"flask 3.0.0 needs werkzeug>=3.0; the index has 2.3.8 and 2.2.0", "add `werkzeug>=3.0`, or change what needs it"},
		{"no such project", "flask 3.0.0: werkzeug>=3.0", "flask", "",
			"flask 3.0.0 needs werkzeug>=3.0; the index has no werkzeug for this environment", "add `werkzeug>=3.0`, or change what needs it"},
		{"a root that is not there", "", "flask", "",
			"flask (allow.txt:1); the index has no flask for this environment", "add `flask`, or change what needs it"},
		{"two that contradict", "a 1: c<2\nb 1: c>=2\nc 1:\nc 2:\nz 1:", "z, a, b", "",
			"a 1 needs c<2 and b 1 needs c>=2; the index has 2 and 1", "no version of c can meet these together: change one of them"},
		{"two that leave a gap", "a 1: c<3\nb 1: c>1\nc 1:\nc 3:", "a, b", "",
			"a 1 needs c<3 and b 1 needs c>1; the index has 3 and 1", "add `c<3,>1`, or change what needs it"},
		{"versions that fail by the same", "a 1: c>=5\na 2: c>=5\na 3: c>=5\nc 1:", "a", "",
			"a 3, 2 and 1 need c>=5; the index has 1", "add `c>=5`, or change what needs it"},
		{"a constraint", "a 1: b>=2\nb 1:\nb 2:", "a", "b<2",
			"a 1 needs b>=2 and the constraint b<2 (allow.txt:1); the index has 2 and 1", "no version of b can meet these together: change one of them"},
		{"the interpreter", "a 1: b\nb 1: ; python>=3.13", "a", "",
			"b 1 needs Python>=3.13; this environment has 3.12.1", "take an older version of it, or another interpreter"},
		{"only yanked ones", "a 1: b>=1\nb 1: ; yanked", "a", "",
			"a 1 needs b>=1; the index has 1 (yanked)", "add `b>=1`, or change what needs it"},
		{"through an extra", "a 1: ; x=c>=2\nc 1:", "a[x]", "",
			"a 1 needs c>=2; the index has 1", "add `c>=2`, or change what needs it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Problem{Roots: roots(t, tt.roots), Constraints: roots(t, tt.constraints), Environment: linux, Provider: newIndex(t, tt.index)}
			s, err := p.Resolve(t.Context())
			var c *Conflict
			if !errors.As(err, &c) {
				t.Fatalf("set %v, error %v", s, err)
			}
			if c.Error() != tt.want || c.Hint() != tt.hint {
				t.Errorf("got  %s\n     %s\nwant %s\n     %s", c, c.Hint(), tt.want, tt.hint)
			}
		})
	}
}

// What has nothing to do with a conflict is not told with it.
func TestConflictRoots(t *testing.T) {
	x := newIndex(t, "a 1: m\nm 1: c<2\nb 1: c>=2\nc 1:\nc 2:\nz 1: c\ny 1:\ny 2: z")
	p := Problem{Roots: roots(t, "y, a, z, b"), Environment: linux, Provider: x}
	_, err := p.Resolve(t.Context())
	var c *Conflict
	if !errors.As(err, &c) {
		t.Fatal(err)
	}
	var got []string
	for _, r := range c.Roots {
		got = append(got, r.From)
	}
	if want := []string{"allow.txt:2", "allow.txt:4"}; !slices.Equal(got, want) {
		t.Errorf("roots %v, want %v", got, want)
	}
	if len(c.Reasons) != 1 || len(c.Reasons[0].Demands) != 2 {
		t.Fatalf("reasons %v", c.Reasons)
	}
	for _, d := range c.Reasons[0].Demands {
		if d.By == "m" && fmt.Sprint(d.Chain) != "[a (allow.txt:2) a 1 needs m]" {
			t.Errorf("chain of m: %v", d.Chain)
		}
	}
}

func TestChain(t *testing.T) {
	x := newIndex(t, "a 1: b[x]\nb 1: ; x=c\nc 1: d\nd 1:")
	p := Problem{Roots: roots(t, "a"), Environment: linux, Provider: x}
	s, err := p.Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := "[a (allow.txt:1) a 1 needs b[x] b 1 needs c c 1 needs d]"
	if got := fmt.Sprint(s.Chain("d")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What cannot be found out, or is not followed, is told.
func TestResolveReports(t *testing.T) {
	x := newIndex(t, "a 1: b, c @ https://example.com/c.zip ; x=b\nb 1: ; unknown")
	p := Problem{Roots: roots(t, "a[nope], d @ https://example.com/d.zip"), Environment: linux, Provider: x}
	s, err := p.Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := s.Pin("b"); !errors.Is(b.Unknown, ErrUnknown) {
		t.Errorf("b: %v", b.Unknown)
	}
	if got, want := fmt.Sprint(s.Direct), "[d @ https://example.com/d.zip (allow.txt:2) a 1 needs c @ https://example.com/c.zip]"; got != want {
		t.Errorf("direct %s, want %s", got, want)
	}
	if len(s.NoExtras) != 1 || s.NoExtras[0].Extra != "nope" {
		t.Errorf("extras that are not there: %v", s.NoExtras)
	}
}

// A failing provider ends the search; it is not taken for an empty index.
func TestResolveProviderFails(t *testing.T) {
	want := errors.New("no route to host")
	x := newIndex(t, "a 1: b\nb 1:")
	x.projects["b"][0].err = want
	p := Problem{Roots: roots(t, "a"), Environment: linux, Provider: x}
	if s, err := p.Resolve(t.Context()); !errors.Is(err, want) {
		t.Errorf("set %v, error %v", s, err)
	}
}

// Hostile metadata ends by rounds or by time, and a root that is to blame alone
// is still named.
func TestResolveEnds(t *testing.T) {
	x := tangled(t, 12, 30)
	p := Problem{Roots: tangledRoots(t, 12), Environment: linux, Provider: x, MaxRounds: 1000}
	if s, err := p.Resolve(t.Context()); !errors.Is(err, ErrRounds) {
		t.Errorf("set %v, error %v", s, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	x = tangled(t, 12, 30)
	p.Provider = x
	if s, err := p.Resolve(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("set %v, error %v", s, err)
	}
	x = tangled(t, 12, 30)
	x.projects["bad"] = newIndex(t, "bad 1: nowhere").projects["bad"]
	p.Provider = x
	p.Roots = append(p.Roots, roots(t, "bad")...)
	_, err := p.Resolve(t.Context())
	var c *Conflict
	if !errors.As(err, &c) || c.Reasons[0].Name != "nowhere" {
		t.Errorf("error %v", err)
	}
}

// A forecaster notes what it is told beforehand.
type forecaster struct {
	*index
	told map[string]bool
}

func (f *forecaster) Prefetch(_ context.Context, names []packaging.Name, of []Wanted) {
	for _, n := range names {
		f.told[string(n)] = true
	}
	for _, w := range of {
		f.told[string(w.Name)+" "+w.Candidate.Version.String()] = true
	}
}

// All projects are announced before they are asked for, and most candidates: not
// those that come up when a conflict is mended. Announcing changes no answer.
func TestPrefetch(t *testing.T) {
	announced, asked := 0, 0
	for seed := range 300 {
		r := rand.New(rand.NewPCG(uint64(seed), 9))
		text_ := graph(r, 6, 4, 3, true)
		p := Problem{Roots: roots(t, "a, b"), Environment: linux, Provider: newIndex(t, text_)}
		want, wantErr := p.Resolve(t.Context())
		f := &forecaster{newIndex(t, text_), map[string]bool{}}
		p.Provider = f
		got, err := p.Resolve(t.Context())
		if (err == nil) != (wantErr == nil) || err == nil && text(got) != text(want) || err != nil && err.Error() != wantErr.Error() {
			t.Fatalf("seed %d: %v %v, want %v %v", seed, got, err, want, wantErr)
		}
		for q := range f.asked {
			asked++
			if f.told[q] {
				announced++
			} else if !strings.Contains(q, " ") {
				t.Errorf("seed %d: project %s was not announced", seed, q)
			}
		}
	}
	t.Logf("%d of %d questions were announced", announced, asked)
	if announced < asked*8/10 {
		t.Errorf("only %d of %d questions were announced", announced, asked)
	}
}

// The order in which an index lists versions does not matter, nor does it matter
// how often one asks.
func TestResolveIsDetermined(t *testing.T) {
	for seed := range 200 {
		r := rand.New(rand.NewPCG(uint64(seed), 11))
		text_ := graph(r, 6, 4, 3, true)
		var first string
		for range 4 {
			x := newIndex(t, text_)
			for _, releases := range x.projects {
				r.Shuffle(len(releases), func(i, j int) { releases[i], releases[j] = releases[j], releases[i] })
			}
			p := Problem{Roots: roots(t, "a, b[x]"), Environment: linux, Provider: x}
			got := ""
			if s, err := p.Resolve(t.Context()); err != nil {
				got = err.Error()
			} else {
				got = fmt.Sprint(s.Pins, s.Rounds)
			}
			if first == "" {
				first = got
			}
			if got != first {
				t.Fatalf("seed %d: %s\nthen %s", seed, first, got)
			}
		}
	}
}

// Whatever pip it is, what it finds is right.
func TestResolveRandomOfEachPip(t *testing.T) {
	for _, pip := range []Pip{{23, 0}, {23, 1}, {23, 3}, {25, 1}, {25, 2}, {26, 0}, {26, 1}} {
		for seed := range 300 {
			r := rand.New(rand.NewPCG(uint64(seed), 13))
			text := graph(r, 3+r.IntN(5), 4, 3, true)
			p := Problem{Roots: roots(t, "a, "+someRequirement(r, 3, 3)), Environment: linux, Provider: newIndex(t, text), Pip: pip}
			s, err := p.Resolve(t.Context())
			var c *Conflict
			if errors.As(err, &c) {
				continue
			}
			if err != nil {
				t.Fatalf("pip %s, seed %d: %v", pip, seed, err)
			}
			if wrong := newIndex(t, text).check(&p, s); wrong != "" {
				t.Fatalf("pip %s, seed %d: %s\n%s", pip, seed, wrong, text)
			}
		}
	}
}

func TestParsePip(t *testing.T) {
	for in, want := range map[string]Pip{"23.0.1": {23, 0}, "26.3.dev0": {26, 3}, "24.1b2": {24, 1}, "25.1": {25, 1}} {
		if got, err := ParsePip(in); err != nil || got != want {
			t.Errorf("ParsePip(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "25", "x.y", "-1.0", "25.x"} {
		if got, err := ParsePip(in); err == nil {
			t.Errorf("ParsePip(%q) = %v", in, got)
		}
	}
}

// pip has been seen to take this set, in which d 1 lacks e: 24.0, 25.1 and 26.2 do.
// It is followed, and what is wrong with it is told.
func TestResolveUnmet(t *testing.T) {
	x := newIndex(t, `a 3: e!=3, a<=2 ; x=f
		a 2: f!=4, b==4 ; x=a[x]>=1
		a 1: f[x]!=3
		b 2: b<=2 ; x=d
		b 1: c==3, b>=1, d!=1 ; x=d==4
		c 4: d[x], e[x] ; x=c[x]>=4
		c 3: f>=2, b[x]!=1, f<=2 ; x=a<=3
		c 2: e==2, b==4
		c 1: a>=2, c[x]!=1
		d 4: b[x]<=3, d, d[x]!=2
		d 3: d>=2, e>=3 ; x=c<=2
		d 2: f<=4, b, f[x]==4 ; x=a[x]==1
		d 1: e[x]!=4, b!=2
		e 4: f, c, f[x]==3 ; x=c>=3
		e 3: d>=4, b<=3, e[x]<=1
		e 2: a
		e 1: f==2, b[x]>=1, f!=2 ; x=a!=3
		f 2: c[x]<=3, b
		f 1: f>=3, c[x]>=1, f!=1 ; x=c<=1`)
	for _, pip := range []Pip{{24, 0}, {25, 1}, {26, 2}} {
		x.asked = map[string]int{}
		p := Problem{Roots: roots(t, "a, d<=2"), Environment: linux, Provider: x, Pip: pip}
		s, err := p.Resolve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := text(s), "a==1 b[x]==2 c[x]==3 d==1 f==2"; got != want {
			t.Errorf("pip %s: got  %s\nwant %s", pip, got, want)
		}
		if got, want := fmt.Sprint(s.Unmet), "[d 1 needs e[x]!=4 d 1 needs b!=2]"; got != want {
			t.Errorf("pip %s: unmet %s, want %s", pip, got, want)
		}
	}
}

// FuzzResolve makes an index out of arbitrary bytes and holds the answer against
// the index, for every pip.
func FuzzResolve(f *testing.F) {
	f.Add([]byte{3, 1, 4, 1, 5, 9, 2, 6}, byte(26))
	f.Add([]byte("the quick brown fox jumps over the lazy dog"), byte(23))
	f.Fuzz(func(t *testing.T, data []byte, pip byte) {
		if len(data) == 0 || len(data) > 200 {
			return
		}
		at := 0
		next := func(n int) int {
			at++
			return (int(data[at%len(data)]) + at/len(data)) % n
		}
		var b strings.Builder
		some := func() string {
			v := 1 + next(4)
			name := string(rune('a' + next(6)))
			if next(4) == 0 {
				name += "[x]"
			}
			return name + [...]string{"", fmt.Sprintf(">=%d", v), fmt.Sprintf("<=%d", v), fmt.Sprintf("==%d", v), fmt.Sprintf("!=%d", v)}[next(5)]
		}
		for i := range 6 {
			for v := 1 + next(4); v > 0; v-- {
				fmt.Fprintf(&b, "%c %d: %s", 'a'+i, v, some())
				for range next(3) {
					b.WriteString(", " + some())
				}
				if next(3) == 0 {
					b.WriteString(" ; x=" + some())
				}
				if next(9) == 0 {
					b.WriteString(" ; yanked")
				}
				b.WriteString("\n")
			}
		}
		x := newIndex(t, b.String())
		p := Problem{Roots: roots(t, "a, "+some()), Environment: linux, Provider: x, Pip: Pip{20 + int(pip)%8, int(pip) / 8 % 4}, MaxRounds: 5000}
		s, err := p.Resolve(t.Context())
		var c *Conflict
		switch {
		case errors.Is(err, ErrRounds):
		case errors.As(err, &c):
			if len(c.Reasons) == 0 || len(c.Reasons[0].Demands) == 0 || c.Error() == "" || c.Hint() == "" {
				t.Errorf("a conflict without a reason: %+v\n%s", c, b.String())
			}
		case err != nil:
			t.Fatal(err)
		default:
			wrong := newIndex(t, b.String()).check(&p, s)
			if (wrong != "") != (len(s.Unmet) > 0) {
				t.Errorf("unmet %v", s.Unmet)
				t.Errorf("pip %s: %s in %s\nroots %v\n%s", p.Pip, wrong, text(s), p.Roots[1].Requirement, b.String())
			}
		}
	})
}
