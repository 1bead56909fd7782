package packaging

import "testing"

func TestNormalizeName(t *testing.T) {
	tests := []struct {
		in    string
		want  Name
		valid bool
	}{
		{"foo", "foo", true},
		{"Foo.Bar", "foo-bar", true},
		{"foo.-_bar__Baz", "foo-bar-baz", true},
		{"1--1", "1-1", true},
		{"a", "a", true},
		{"", "", false},
		{"_foo", "-foo", false},
		{"foo-", "foo-", false},
		{"foo\n", "foo\n", false},
		{"fo o", "fo o", false},
		{"Ä_B", "ä-b", false},
		{"ſoo", "ſoo", false},
	}
	for _, tt := range tests {
		if got := NormalizeName(tt.in); got != tt.want {
			t.Errorf("NormalizeName(%q) = %q, want %q", tt.in, got, tt.want)
		}
		if got := ValidName(tt.in); got != tt.valid {
			t.Errorf("ValidName(%q) = %v", tt.in, got)
		}
		if n, err := ParseName(tt.in); (err == nil) != tt.valid || err == nil && n != tt.want {
			t.Errorf("ParseName(%q) = %q, %v", tt.in, n, err)
		}
		if !tt.want.Spells(tt.in) {
			t.Errorf("%q.Spells(%q) is false", tt.want, tt.in)
		}
	}
}

func TestSpells(t *testing.T) {
	for _, s := range []string{"foo", "foo-bar-", "-foo-bar", "foobar", "foo-barr", "foo-ba", "foo bar", ""} {
		if Name("foo-bar").Spells(s) {
			t.Errorf("foo-bar spells %q", s)
		}
	}
}

func TestNormalizeNameAllocs(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { NormalizeName("foo-bar") }); n != 0 {
		t.Errorf("NormalizeName of a normal name allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { Name("foo-bar").Spells("Foo__Bar") }); n != 0 {
		t.Errorf("Spells allocates %v times", n)
	}
}

func FuzzNormalizeName(f *testing.F) {
	for _, s := range []string{"foo", "Foo.-_Bar", "", "-", "Ä", "\xff", "a\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := NormalizeName(s)
		if again := NormalizeName(string(n)); again != n {
			t.Errorf("NormalizeName(%q) = %q, and of that %q", s, n, again)
		}
		if !n.Spells(s) {
			t.Errorf("%q.Spells(%q) is false", n, s)
		}
		if ValidName(s) != ValidName(string(n)) && ValidName(s) {
			t.Errorf("%q is valid, %q is not", s, n)
		}
	})
}
