package packaging

import (
	"cmp"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
)

func mustVersion(t testing.TB, s string) Version {
	t.Helper()
	v, err := ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The checked pairs of contract rule V-1, and what is special beside them.
func TestParseVersion(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"V-1 v", "v1.0", "1.0"},
		{"V-1 upper case label", "1.0.RC1", "1.0rc1"},
		{"V-1 c is rc", "1.0c1", "1.0rc1"},
		{"V-1 separators around a label", "1.0-alpha.1", "1.0a1"},
		{"V-1 dev without number", "1.0.dev", "1.0.dev0"},
		{"V-1 zeros in front", "01.002", "1.2"},
		{"V-1 white space", " 1.0\n", "1.0"},
		{"V-1 implicit post", "1.0-1", "1.0.post1"},
		{"V-1 revision", "1.0-r4", "1.0.post4"},
		{"V-1 post without number", "1.0_post", "1.0.post0"},
		{"V-1 local with dash", "1.0+ubuntu-1", "1.0+ubuntu.1"},
		{"V-1 local with underscore", "1.0+a_b", "1.0+a.b"},
		{"V-1 local text keeps its zeros", "1.0+foo0100", "1.0+foo0100"},
		{"V-1 epoch", "1!2.0", "1!2.0"},
		{"V-1 all but pre", "1.0.post1.dev2+local", "1.0.post1.dev2+local"},
		{"separator behind a label", "1.0b_", "1.0b0"},
		{"separator behind two labels", "1.0b_-1", "1.0b0.post1"},
		{"pre, post and dev touching", "1a1post2dev3", "1a1.post2.dev3"},
		{"epoch zero", "0!1.0", "1.0"},
		{"preview", "1PREVIEW7", "1rc7"},
		{"r alone is post", "1r", "1.post0"},
		{"twenty digits", "99999999999999999999.0.00099999999999999999999", "99999999999999999999.0.99999999999999999999"},
		{"local number loses zeros", "1+001.0a", "1+1.0a"},
		{"local upper case", "1+LOCAL", "1+local"},
		{"wide white space", "\u3000\x1c1.0\u2028\u0085", "1.0"},
	} {
		v, err := ParseVersion(tt.in)
		if err != nil || v.String() != tt.want {
			t.Errorf("%s: ParseVersion(%q) = %q, %v, want %q", tt.name, tt.in, v, err, tt.want)
		}
		if !ValidVersion(tt.in) {
			t.Errorf("%s: ValidVersion(%q) = false", tt.name, tt.in)
		}
	}
}

func TestParseVersionRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		column   int
	}{
		{"V-1 dash at the end", "1.0-", 4},
		{"V-1 empty local", "1.0+", 4},
		{"V-1 letter", "2004d", 5},
		{"V-1 underscore in the release", "1_0", 2},
		{"V-1 label only", "dev", 1},
		{"empty", "", 1},
		{"white space only", " ", 1},
		{"epoch without release", "1!", 3},
		{"space inside", "1. 0", 2},
		{"two dots", "1..0", 2},
		{"post before pre", "1.post1a1", 8},
		{"two separators in local", "1+a..b", 4},
		{"Arabic digits", "٠.١", 1},
		{"Arabic digit in the middle", "1.0a١", 5},
		{"column counts characters", "\u30001é", 3},
		{"letter that folds to i", "1.0+İ", 4},
		{"dotless i", "1.0prevıew", 7},
		{"not UTF-8", "1.0\xff", 4},
	} {
		_, err := ParseVersion(tt.in)
		var se *SyntaxError
		if !errors.As(err, &se) {
			t.Errorf("%s: ParseVersion(%q): error %v, want a *SyntaxError", tt.name, tt.in, err)
			continue
		}
		if se.Column() != tt.column {
			t.Errorf("%s: ParseVersion(%q): %v, want column %d", tt.name, tt.in, err, tt.column)
		}
		if ValidVersion(tt.in) {
			t.Errorf("%s: ValidVersion(%q) = true", tt.name, tt.in)
		}
	}
}

// versionsInOrder is the order of contract rule V-2 with more around it; each
// is below the next.
var versionsInOrder = []string{
	"0.dev0", "0.dev0+0", "0.dev1", "0a0.dev0", "0", "0.0.0.0.1.dev0", "0.1",
	"1.0.dev456", "1.0a1", "1.0a1.post0.dev0", "1.0a1.post1", "1.0a2.dev456", "1.0a12", "1.0b2.dev1",
	"1.0b2", "1.0b2.post345.dev456", "1.0b2.post345", "1.0rc1.dev1", "1.0rc1", "1.0",
	"1.0+a", "1.0+a.a", "1.0+a.1", "1.0+aa", "1.0+abc.5", "1.0+abc.7", "1.0+b", "1.0+5", "1.0+5.a", "1.0+5.1", "1.0+207",
	"1.0+208", "1.0+99999999999999999999",
	"1.0.post456.dev34", "1.0.post456", "1.0.post456+l", "1.0.1.dev1", "1.0.1", "1.0.207", "1.0.208", "1.0.255",
	"1.0.256", "1.0.65536", "1.0.9999999999999999999", "1.0.18446744073709551615", "1.0.18446744073709551616",
	"1.0.99999999999999999999", "1.0.100000000000000000000", "1.1.dev1", "1.1", "1.10", "2", "10", "1!0.1", "2!0",
}

func TestVersionOrder(t *testing.T) {
	for i, a := range versionsInOrder {
		for j, b := range versionsInOrder {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := compareByParts(mustVersion(t, a), mustVersion(t, b)); got != want {
				t.Errorf("V-2: %s compared with %s by parts = %d, want %d", a, b, got, want)
			}
			if got := mustVersion(t, a).Compare(mustVersion(t, b)); got != want {
				t.Errorf("V-2: %s compared with %s = %d, want %d", a, b, got, want)
			}
			if got := CompareVersionStrings(a, b); got != want {
				t.Errorf("V-2: CompareVersionStrings(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
	for _, tt := range [][2]string{
		{"1", "1.0.0"}, {"0!1", "1"}, {"1.0c1", "1.0rc1"}, {"1+A.01", "1.0+a.1"}, {"0", "0.0"},
	} {
		if a, b := mustVersion(t, tt[0]), mustVersion(t, tt[1]); a.Compare(b) != 0 || a.Key() != b.Key() {
			t.Errorf("V-2: %s and %s are not equal", tt[0], tt[1])
		}
	}
}

// Contract rule V-4: what is no version sorts below every version, by its text.
func TestVersionKeyOfLegacy(t *testing.T) {
	want := []string{"", "0.1-dev-r5", "2004d", "dev", "éa", "0.dev0", "0.1", "1!0"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, CompareVersionStrings)
	if !slices.Equal(got, want) {
		t.Errorf("V-4: sorted: %q, want %q", got, want)
	}
	for _, s := range want {
		if v := parseOrZero(s); !v.IsZero() && string(VersionKeyOf(s)) != v.Key() {
			t.Errorf("V-4: VersionKeyOf(%q) is not the version's own key", s)
		}
	}
}

func TestVersionParts(t *testing.T) {
	v := mustVersion(t, "1!2.0.3rc4.post5.dev6+Post.007")
	label, pre := v.Pre()
	post, _ := v.Post()
	dev, _ := v.Dev()
	got := []string{v.Epoch(), v.Release(), label, pre, post, dev, v.Local(), v.Public(), v.Base()}
	want := []string{"1", "2.0.3", "rc", "4", "5", "6", "post.7", "1!2.0.3rc4.post5.dev6", "1!2.0.3"}
	if !slices.Equal(got, want) {
		t.Errorf("parts of %s: %q, want %q", v, got, want)
	}
	v = mustVersion(t, "2.0.0")
	label, _ = v.Pre()
	_, post1 := v.Post()
	_, dev1 := v.Dev()
	if label != "" || post1 || dev1 || v.Local() != "" || v.Epoch() != "0" || v.Canonical() != "2" {
		t.Errorf("parts of %s: %q %v %v %q %q %q", v, label, post1, dev1, v.Local(), v.Epoch(), v.Canonical())
	}
	if mustVersion(t, "1.0") == mustVersion(t, "1.0.0") || mustVersion(t, "v1.0") != mustVersion(t, "1.0") {
		t.Error("FN-9: == must tell normal forms apart, and only them")
	}
	var zero Version
	if !zero.IsZero() || zero.String() != "" || zero.Compare(v) != -1 || zero.Base() != "" {
		t.Error("the zero Version must be empty and below all")
	}
}

// sink keeps results alive, so that calls are not optimized away.
var sink string

func TestVersionAllocations(t *testing.T) {
	v, w := mustVersion(t, "1.26.4"), mustVersion(t, "2.0rc1")
	for _, tt := range []struct {
		name string
		max  float64
		f    func()
	}{
		{"ParseVersion", 1, func() { ParseVersion("1.26.4") }},
		{"ParseVersion, all parts", 1, func() { ParseVersion(" 1!1.26.4rc1.post2.dev3+Ubuntu.1") }},
		{"ValidVersion", 0, func() { ValidVersion("1.26.4"); ValidVersion("2004d") }},
		{"Compare", 0, func() { v.Compare(w) }},
		{"CompareVersionStrings", 0, func() { CompareVersionStrings("1.26.4", "2004d") }},
		{"parts", 0, func() { sink = v.Base() + v.Local(); sink, _ = w.Pre(); sink = v.Epoch(); sink = v.Release() }},
	} {
		if got := testing.AllocsPerRun(100, tt.f); got > tt.max {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.max)
		}
	}
}

func BenchmarkParseVersion(b *testing.B) {
	for _, s := range []string{"1.26.4", "2024.1.0rc1.post2.dev3+ubuntu.1", "2004d"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ParseVersion(s)
			}
		})
	}
}

func BenchmarkVersionCompare(b *testing.B) {
	v, w := mustVersion(b, "1.26.4"), mustVersion(b, "1.26.4.post1")
	b.ReportAllocs()
	for b.Loop() {
		v.Compare(w)
	}
}

func BenchmarkAppendVersionKey(b *testing.B) {
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = AppendVersionKey(buf[:0], "1.26.4")
	}
}

// FuzzParseVersion: the normal form is a fixed point and the same version, the
// accessors put it together, and the order of keys is that of the parts.
func FuzzParseVersion(f *testing.F) {
	for i, s := range versionsInOrder {
		f.Add(s, versionsInOrder[len(versionsInOrder)-1-i])
	}
	f.Add("1.0b_-1", "v1_r.dev-")
	f.Add(" 1.0+A-01\n", "2004d")
	f.Fuzz(func(t *testing.T, s, u string) {
		v, err := ParseVersion(s)
		if (err == nil) != ValidVersion(s) {
			t.Fatalf("ParseVersion(%q): %v, but ValidVersion says otherwise", s, err)
		}
		if got, want := CompareVersionStrings(s, u), -CompareVersionStrings(u, s); got != want {
			t.Fatalf("comparing %q with %q is not antisymmetric", s, u)
		}
		if got, want := CompareVersionStrings(s, u), strings.Compare(string(VersionKeyOf(s)), string(VersionKeyOf(u))); got != want {
			t.Fatalf("CompareVersionStrings(%q, %q) = %d, but keys say %d", s, u, got, want)
		}
		if err != nil {
			if c := err.(*SyntaxError).Column(); c < 1 || c > len(s)+1 || !v.IsZero() {
				t.Fatalf("ParseVersion(%q): column %d outside", s, c)
			}
			return
		}
		again, err := ParseVersion(v.String())
		if err != nil || again != v || again.Key() != v.Key() {
			t.Fatalf("ParseVersion(%q) = %q, which parses to %q, %v", s, v, again, err)
		}
		short, err := ParseVersion(v.Canonical())
		if err != nil || short.Compare(v) != 0 {
			t.Fatalf("canonical form %q of %q: not equal, %v", v.Canonical(), v, err)
		}
		if got := reassemble(v); got != v.String() {
			t.Fatalf("parts of %q give %q", v, got)
		}
		w, err := ParseVersion(u)
		if err != nil {
			return
		}
		if (v.Compare(w) == 0) != (v.Canonical() == w.Canonical()) {
			t.Fatalf("%q and %q: order and canonical form disagree", v, w)
		}
		if got, want := v.Compare(w), compareByParts(v, w); got != want {
			t.Fatalf("%q compared with %q = %d, but by their parts %d", v, w, got, want)
		}
	})
}

// compareByParts is the order of PEP 440 told again from the parts, without
// keys.
func compareByParts(v, w Version) int {
	number := func(digits string) *big.Int {
		n, _ := new(big.Int).SetString(digits, 10)
		return n
	}
	if c := number(v.Epoch()).Cmp(number(w.Epoch())); c != 0 {
		return c
	}
	a, b := strings.Split(v.Release(), "."), strings.Split(w.Release(), ".")
	for i := range max(len(a), len(b)) {
		x, y := "0", "0"
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if c := number(x).Cmp(number(y)); c != 0 {
			return c
		}
	}
	// A part that is not there stands below or above all that are.
	pre := func(v Version) (rank int, n *big.Int) {
		label, digits := v.Pre()
		switch {
		case label != "":
			return strings.Index("_abr", label[:1]), number(digits)
		case v.IsDevrelease() && !v.IsPostrelease():
			return 0, new(big.Int)
		}
		return 9, new(big.Int)
	}
	rankV, preV := pre(v)
	rankW, preW := pre(w)
	if c := cmp.Or(cmp.Compare(rankV, rankW), preV.Cmp(preW)); c != 0 {
		return c
	}
	part := func(digits string, ok bool, absent *big.Int) *big.Int {
		if !ok {
			return absent
		}
		return number(digits)
	}
	low, high := big.NewInt(-1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(v.data)+len(w.data))), nil)
	postV, okV := v.Post()
	postW, okW := w.Post()
	if c := part(postV, okV, low).Cmp(part(postW, okW, low)); c != 0 {
		return c
	}
	devV, okV := v.Dev()
	devW, okW := w.Dev()
	if c := part(devV, okV, high).Cmp(part(devW, okW, high)); c != 0 {
		return c
	}
	if !v.IsLocal() || !w.IsLocal() {
		return cmp.Compare(len(v.Local()), len(w.Local()))
	}
	return slices.CompareFunc(strings.Split(v.Local(), "."), strings.Split(w.Local(), "."), func(x, y string) int {
		m, n := number(x), number(y)
		switch {
		case m != nil && n != nil:
			return m.Cmp(n)
		case m != nil:
			return 1
		case n != nil:
			return -1
		}
		return strings.Compare(x, y)
	})
}

func reassemble(v Version) string {
	var b strings.Builder
	if v.Epoch() != "0" {
		b.WriteString(v.Epoch() + "!")
	}
	b.WriteString(v.Release())
	if label, n := v.Pre(); label != "" {
		b.WriteString(label + n)
	}
	if n, ok := v.Post(); ok {
		b.WriteString(".post" + n)
	}
	if n, ok := v.Dev(); ok {
		b.WriteString(".dev" + n)
	}
	if v.IsLocal() {
		b.WriteString("+" + v.Local())
	}
	return b.String()
}
