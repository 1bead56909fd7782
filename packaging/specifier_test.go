package packaging

import (
	"slices"
	"strings"
	"testing"
)

func mustSpecifiers(t testing.TB, s string) Specifiers {
	t.Helper()
	set, err := ParseSpecifiers(s)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// The table of contract rule V-3, and more of each operator.
func TestSpecifiersMatch(t *testing.T) {
	for _, tt := range []struct {
		spec, version string
		want          bool
	}{
		{"==1.1", "1.1+local", true},
		{"==1.1+local", "1.1", false},
		{"==1.1+local", "1.1.0+LOCAL", true},
		{"==1.1+local", "1.1+local.1", false},
		{"!=1.1", "1.1+l", false},
		{"!=1.1+l", "1.1", true},
		{"===1.0", "1.0.0", false},
		{"===1.0", "1.0+d", false},
		{"===FooBar", "foobar", true},
		{"==1.1.*", "1.1a1", true},
		{"==1.1.*", "1.1.post1", true},
		{"==1.1.*", "1.1.dev0", true},
		{"==1.1.*", "1.10", false},
		{"==1.1.*", "1!1.1", false},
		{"==1.0.*", "1", true},
		{"==1.0.*", "1.0.0.7", true},
		{"==1!1.*", "1!1.5", true},
		{"!=1.1.*", "1.1.9", false},
		{"!=1.1.*", "1.2.dev0", true},
		{"==1.99999999999999999999.*", "1.99999999999999999999.1", true},
		{"==1.99999999999999999999.*", "1.100000000000000000000.dev0", false},
		{"~=2.2.post3", "2.9", true},
		{"~=2.2.post3", "3.0.dev0", false},
		{"~=2.2.post3", "2.2", false},
		{"~=2.2.0", "2.3", false},
		{"~=2.2.0", "2.2.7+l", true},
		{"~=v2.0", "0!2.0", true},
		{"~=1.9", "1!1.9", false},
		{">1.7", "1.7.0.post1", false},
		{">1.7", "1.7.1.dev0", true},
		{">1.7", "1.7.0.0.1.dev0", true},
		{">1.7.post2", "1.7.0.post3", true},
		{">1.7.post2", "1.7.post2+l", false},
		{">1.7", "1.7+local", false},
		{">1.0a1", "1.0a1.post1", false},
		{">1.0a1", "1.0a2.dev0", true},
		{">1.0.dev1", "1.0.dev1+l", false},
		{">1.0.dev1", "1.0.post0", true},
		{"<1.0", "1.0a1", false},
		{"<1.0", "1.0.dev0", false},
		{"<1.0", "0.9.post1", true},
		{"<1.0rc1", "1.0a1", true},
		{"<1.0.post1", "1.0.post1.dev0", false},
		{"<1.0.post1", "1.0.post0+l", true},
		{"<=1.0", "1.0+x", true},
		{"<=1.0", "1.0.post0.dev0", false},
		{">=1!0", "2.0", false},
		{">=1.0", "1.0.dev1", false},
		{">=1.0", "1.0+l", true},
		{">=1,<2,!=1.5", "1.5", false},
		{">=1,<2,!=1.5", "1.5.1", true},
		{"", "1.0", true},
	} {
		s := mustSpecifiers(t, tt.spec)
		if got := s.MatchesString(tt.version, AllowPrereleases); got != tt.want {
			t.Errorf("V-3: %q matches %q = %v, want %v", tt.spec, tt.version, got, tt.want)
		}
		if v := parseOrZero(tt.version); !v.IsZero() && s.Contains(v, AllowPrereleases) != tt.want {
			t.Errorf("V-3: %q contains %q = %v, want %v", tt.spec, tt.version, !tt.want, tt.want)
		}
	}
}

// Contract rule V-4: only === names what is no version, and no clause at all.
func TestSpecifiersMatchLegacy(t *testing.T) {
	for _, tt := range []struct {
		spec string
		want bool
	}{
		{"", true}, {"===2004D", true}, {"===2004d,===2004D", true}, {"===2004", false},
		{">=0", false}, {"!=1.0", false}, {"===2004d,>=0", false}, {"==2004.*", false},
	} {
		if got := mustSpecifiers(t, tt.spec).MatchesString("2004d", DenyPrereleases); got != tt.want {
			t.Errorf("V-4: %q matches 2004d = %v, want %v", tt.spec, got, tt.want)
		}
	}
	if mustSpecifiers(t, "").Contains(Version{}, AllowPrereleases) || mustSpecifiers(t, "!=1").Contains(Version{}, AllowPrereleases) {
		t.Error("the zero Version is contained")
	}
}

func TestParseSpecifiers(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"sorted, each once", ">=1,<2,>=1", "<2,>=1"},
		{"white space around", "\u00a0>= \x0b\n1 ,\t< 2\x1f", "<2,>=1"},
		{"commas too many", ",>=1,,", ">=1"},
		{"empty", " , ", ""},
		{"text behind ===", "=== 1.0-what*ever", "===1.0-what*ever"},
		{"nothing behind ===", "===", "==="},
		{"wildcard", "!=v1!2.*", "!=v1!2.*"},
		{"spelling is kept", "==01.0-RC_1", "==01.0-RC_1"},
	} {
		s, err := ParseSpecifiers(tt.in)
		if err != nil || s.String() != tt.want {
			t.Errorf("%s: ParseSpecifiers(%q) = %q, %v, want %q", tt.name, tt.in, s, err, tt.want)
		}
	}
}

func TestParseSpecifiersRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		column   int
	}{
		{"V-3 one number behind ~=", "~=1", 4},
		{"V-3 wildcard behind dev", "==1.0.dev1.*", 11},
		{"V-3 wildcard behind >=", ">=1.0.*", 6},
		{"V-3 local behind >=", ">=1.0+l", 6},
		{"local behind ~=", "~=1.0+l", 6},
		{"wildcard behind ~=", "~=1.0.*", 6},
		{"no operator", "1.0", 1},
		{"wrong operator", "=>1.0", 1},
		{"no version", ">=1, <", 7},
		{"no comma", ">=1 <2", 4},
		{"two in ===", "===a b", 5},
		{"wildcard with local", "==1.*+a", 6},
		{"wildcard in the middle", "==1.*.2", 6},
		{"column of the second clause", ">=1,\t<é", 7},
		{"dotless i", "~=1.2prevıew", 9},
	} {
		_, err := ParseSpecifiers(tt.in)
		if err == nil {
			t.Errorf("%s: ParseSpecifiers(%q): no error", tt.name, tt.in)
		} else if c := err.(*SyntaxError).Column(); c != tt.column {
			t.Errorf("%s: %v, want column %d", tt.name, err, tt.column)
		}
	}
}

// Contract rule API-24: pre-releases are decided for the list.
func TestSpecifiersFilter(t *testing.T) {
	for _, tt := range []struct {
		name, spec, in, want string
		pre                  Prereleases
	}{
		{"API-24 nothing final matches", ">=1.0", "0.9 2.0a1 3.0.dev1", "2.0a1 3.0.dev1", AutoPrereleases},
		{"API-24 something final matches", ">=1.0", "1.5 2.0a1", "1.5", AutoPrereleases},
		{"API-24 a clause names one", ">=1.0a1", "1.5 2.0a1", "1.5 2.0a1", AutoPrereleases},
		{"!= does not name one", "!=1.0a1", "1.5 2.0a1", "1.5", AutoPrereleases},
		{"=== names one", "===2.0a1", "1.5 2.0a1", "2.0a1", AutoPrereleases},
		{"asked for", ">=1.0", "1.5 2.0a1", "1.5 2.0a1", AllowPrereleases},
		{"refused", ">=1.0a1", "1.5 2.0a1", "1.5", DenyPrereleases},
		{"refused, nothing left", "", "2.0a1", "", DenyPrereleases},
		{"no clause", "", "1.0 2.0a1 2004d", "1.0 2004d", AutoPrereleases},
		{"legacy is not final", "", "2.0a1 2004d", "2.0a1 2004d", AutoPrereleases},
		{"order and spelling stay", ">1", "v3 2.0.0 1.5-post", "v3 2.0.0 1.5-post", AutoPrereleases},
		{"a post-release is final", ">=1", "1.0.post1 2b1", "1.0.post1", AutoPrereleases},
	} {
		got := mustSpecifiers(t, tt.spec).FilterStrings(strings.Fields(tt.in), tt.pre)
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q over %s: %v, want %s", tt.name, tt.spec, tt.in, got, tt.want)
		}
	}
	versions := []Version{mustVersion(t, "1.0"), mustVersion(t, "2.0a1"), {}}
	if got := mustSpecifiers(t, ">=1").Filter(versions, AutoPrereleases); !slices.Equal(got, versions[:1]) {
		t.Errorf("Filter = %v, want 1.0", got)
	}
}

// Contract rule API-23: what is a pin.
func TestSpecifiersIsExact(t *testing.T) {
	for spec, want := range map[string]bool{
		"==1.0": true, "===1.0": true, "===x": true, ">=1,==1.2": true,
		"==1.*": false, ">=1": false, "~=1.0": false, "!=1.0": false, "": false, ">=1,<=1": false,
	} {
		if got := mustSpecifiers(t, spec).IsExact(); got != want {
			t.Errorf("API-23: %q is exact = %v, want %v", spec, got, want)
		}
	}
}

func TestSpecifiersAnd(t *testing.T) {
	a, b := mustSpecifiers(t, ">=1.0a1"), mustSpecifiers(t, "<2")
	for _, both := range []Specifiers{a.And(b), b.And(a)} {
		if both.String() != "<2,>=1.0a1" || !both.NamesPrerelease() {
			t.Errorf("And = %q, names a pre-release: %v", both, both.NamesPrerelease())
		}
	}
	if a.String() != ">=1.0a1" || b.NamesPrerelease() {
		t.Error("And changed what it was given")
	}
	if got := (Specifiers{}).And(a); got.String() != a.String() {
		t.Errorf("And with none = %q", got)
	}
}

func TestSpecifiersIsUnsatisfiable(t *testing.T) {
	for spec, want := range map[string]bool{
		"": false, ">=2,<1": true, "==1,!=1": true, "==1.*,==2.*": true, ">1.0,<1.0.1.dev0": false,
		"!=1.0.*,<1.1,>=1.0": true, ">1.0,<=1.0.post1": true, ">1.0.post1,<1.0.post2": true,
		">1.0.dev0,<1.0.dev1": true, ">1.0a1,<1.0a2.dev1": false, ">1.0a1,<1.0a2.dev0": true,
		"<0.dev0": true, "<=0.dev0": false, "!=0.*,<1.dev0": true, "!=1.0+a,==1.0": false,
		"===a,===A": false, "===a,===b": true, "===1.0,>=2": true, "===1.0,>=1": false, "===x,>=1": true,
		"~=1.99999999999999999999,>=2.dev0": true, "==1!1.0,==1.0": true, "<=1.0,>=1.0,!=1.0": true,
	} {
		if got := mustSpecifiers(t, spec).IsUnsatisfiable(); got != want {
			t.Errorf("%q is unsatisfiable = %v, want %v", spec, got, want)
		}
	}
}

func TestSpecifiersRelations(t *testing.T) {
	for _, tt := range []struct {
		a, b             string
		subset, disjoint bool
	}{
		{">=3.12,<3.13", ">=3.11,<3.13", true, false},
		{">=3.11,<3.13", ">=3.12,<3.13", false, false},
		{">=3.12", "", true, false},
		{"", ">=3.12", false, false},
		{"", ">=0.dev0", false, false}, // legacy texts
		{"!=1", ">=0.dev0", true, false},
		{"<3.12", ">=3.12", false, true},
		{"<1,>=2", "", true, true},
		{"~=1.4", "==1.*", true, false},
		{"==1.*", ">=1.dev0,<2.dev0", true, false},
		{">=1.dev0,<2.dev0", "==1.*", true, false},
		{">1.0", "!=1.0", true, false},
		{"==1.0+a", "==1.0", true, false},
		{"!=1.0", "==1.0", false, true},
	} {
		a, b := mustSpecifiers(t, tt.a), mustSpecifiers(t, tt.b)
		subset, ok1 := a.IsSubset(b)
		disjoint, ok2 := a.IsDisjoint(b)
		if subset != tt.subset || disjoint != tt.disjoint || !ok1 || !ok2 {
			t.Errorf("%q and %q: subset %v, disjoint %v, want %v, %v", tt.a, tt.b, subset, disjoint, tt.subset, tt.disjoint)
		}
	}
	a, b := mustSpecifiers(t, "===1"), mustSpecifiers(t, ">=1")
	if _, ok := a.IsSubset(b); ok {
		t.Error("=== was compared")
	}
	if _, ok := b.IsDisjoint(a); ok {
		t.Error("=== was compared")
	}
}

func TestSpecifierAllocations(t *testing.T) {
	set := mustSpecifiers(t, ">=1.21,<2.0,!=1.25.*,~=1.21")
	pin := mustSpecifiers(t, "===1.26.4")
	v := mustVersion(t, "1.26.4")
	for _, tt := range []struct {
		name string
		max  float64
		f    func()
	}{
		{"Contains", 0, func() { set.Contains(v, AutoPrereleases) }},
		{"Contains, ===", 0, func() { pin.Contains(v, AutoPrereleases) }},
		{"MatchesString", 1, func() { set.MatchesString("1.26.4", AutoPrereleases) }},
		{"MatchesString, legacy", 0, func() { set.MatchesString("2004d", AutoPrereleases) }},
	} {
		if got := testing.AllocsPerRun(100, tt.f); got > tt.max {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.max)
		}
	}
}

func BenchmarkSpecifiersContains(b *testing.B) {
	v := mustVersion(b, "1.26.4")
	for _, spec := range []string{">=1.21", ">=1.21,<2.0,!=1.25.*"} {
		set := mustSpecifiers(b, spec)
		b.Run(spec, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set.Contains(v, AutoPrereleases)
			}
		})
	}
}

func BenchmarkParseSpecifiers(b *testing.B) {
	for _, spec := range []string{">=1.21", ">=1.21,<2.0,!=1.25.*"} {
		b.Run(spec, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ParseSpecifiers(spec)
			}
		})
	}
}

// FuzzParseSpecifiers: the text of a set parses to one that holds the same,
// and the spans agree with the clauses.
func FuzzParseSpecifiers(f *testing.F) {
	for _, s := range []string{">=1,<2", "~=1.4.2", "==1.*,!=1.5", "===x", ">1.0a1.dev2", "<=1.0.post3", "!=1!2+l", "> 1.7, ==1.7.post1"} {
		for _, v := range []string{"1.5", "1.7.0.post1", "1.0a1.dev2+l", "0.dev0", "2004d"} {
			f.Add(s, v)
		}
	}
	f.Fuzz(func(t *testing.T, s, text string) {
		set, err := ParseSpecifiers(s)
		if err != nil {
			if c := err.(*SyntaxError).Column(); c < 1 || c > len(s)+1 {
				t.Fatalf("ParseSpecifiers(%q): column %d outside", s, c)
			}
			return
		}
		again, err := ParseSpecifiers(set.String())
		if err != nil || again.String() != set.String() {
			t.Fatalf("ParseSpecifiers(%q) = %q, which parses to %q, %v", s, set, again, err)
		}
		got := set.MatchesString(text, AllowPrereleases)
		if again.MatchesString(text, AllowPrereleases) != got {
			t.Fatalf("%q and %q disagree on %q", s, set, text)
		}
		if got && set.IsUnsatisfiable() {
			t.Fatalf("%q holds %q and is unsatisfiable", s, text)
		}
		v := parseOrZero(text)
		if v.IsZero() || set.hasIdentical() {
			return
		}
		in := slices.ContainsFunc(set.spans(), func(p span) bool { return p.lo <= v.Key() && v.Key() < p.hi })
		if in != got {
			t.Fatalf("%q holds %q = %v, but its spans say %v", s, text, got, in)
		}
		out := slices.ContainsFunc(complement(set.spans()), func(p span) bool { return p.lo <= v.Key() && v.Key() < p.hi })
		if in == out {
			t.Fatalf("%q is both or neither in %q and its complement", text, s)
		}
	})
}
