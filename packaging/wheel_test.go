package packaging

import (
	"slices"
	"testing"
)

func TestParseWheel(t *testing.T) {
	tests := []struct {
		what    string
		in      string
		project Name
		version string
		build   string
	}{
		{"ordinary", "foo-1.0-py3-none-any.whl", "foo", "1.0", ""},
		{"upper case and underscore", "some_PACKAGE-1.0-py3-none-any.whl", "some-package", "1.0", ""},
		{"letters of any script", "foo_bár-1.0-1000-py3-none-any.whl", "foo-bár", "1.0", "1000"},
		{"version in another spelling", "foo-V1.985107.3.RC2-2b-py3-none-any.whl", "foo", "1.985107.3rc2", "2b"},
		{"empty interpreter tag", "foo-1.0--none-any.whl", "foo", "1.0", ""},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			f, err := ParseWheel(tt.in)
			if err != nil || f.Project != tt.project || f.Version != tt.version || f.Build != tt.build || f.Kind != Wheel {
				t.Errorf("ParseWheel(%q) = %+v, %v", tt.in, f, err)
			}
		})
	}
	bad := []struct{ what, in string }{
		{"extension", "foo-1.0-py3-none-any.zip"},
		{"extension in capitals", "foo-1.0-py3-none-any.WHL"},
		{"seven parts", "foo-1.0-200-py3-none-any-junk.whl"},
		{"four parts", "foo-1.0-none-any.whl"},
		{"dash in the name", "isort-metadata-4.3.4-py2-none-any.whl"},
		{"two underscores", "foo__bar-1.0-py3-none-any.whl"},
		{"no name", "-1.0-py3-none-any.whl"},
		{"space in the name", "fo o-1.0-py3-none-any.whl"},
		{"no letter of any script", "f€o-1.0-py3-none-any.whl"},
		{"line break in the name", "foo\n-1.0-py3-none-any.whl"},
		{"version of a commit", "poetry-21.07.28.5ffb65e2-py3-none-any.whl"},
		{"build tag", "foo-1.0-x-py3-none-any.whl"},
		{"empty build tag", "foo-1.0--py3-none-any.whl"},
	}
	for _, tt := range bad {
		t.Run("bad "+tt.what, func(t *testing.T) {
			if f, err := ParseWheel(tt.in); err == nil {
				t.Errorf("ParseWheel(%q) = %+v", tt.in, f)
			}
		})
	}
}

// FN-2: of one version, a wheel without a build tag comes first, then the
// number counts, then the rest.
func TestCompareBuilds(t *testing.T) {
	want := []string{"", "0", "0a", "1", "1_x", "1a", "2", "10", "010b", "99999999999999999999999"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, CompareBuilds)
	if !slices.Equal(got, want) {
		t.Errorf("builds sort as %q, want %q", got, want)
	}
	if CompareBuilds("01", "1") != 0 {
		t.Error(`builds "01" and "1" differ`)
	}
}

func TestSplitBuild(t *testing.T) {
	for _, tt := range [][3]string{{"", "", ""}, {"1", "1", ""}, {"0", "0", ""}, {"007bond", "7", "bond"}, {"2b", "2", "b"}} {
		if n, rest := SplitBuild(tt[0]); n != tt[1] || rest != tt[2] {
			t.Errorf("SplitBuild(%q) = %q, %q", tt[0], n, rest)
		}
	}
}

func TestFilenameTags(t *testing.T) {
	f, err := ParseFilename("foo-1.0-py2.py3-none-any.whl", "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.Tags(), []Tag{{"py2", "none", "any"}, {"py3", "none", "any"}}; !slices.Equal(got, want) {
		t.Errorf("tags %v, want %v", got, want)
	}
	if f, err = ParseFilename("foo-1.0-py2.7.egg", ""); err != nil || f.Tags() != nil {
		t.Errorf("an egg has tags %v, %v", f.Tags(), err)
	}
}

func FuzzParseWheel(f *testing.F) {
	for _, s := range []string{"foo-1.0-py3-none-any.whl", "foo_bár-1.0-1a-py2.py3-none-any.whl", "-----.whl", ".whl"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseWheel(s)
		if err != nil {
			return
		}
		if !ValidVersion(got.Version) || got.Project != NormalizeName(got.Name) || len(got.Tags()) == 0 {
			t.Errorf("ParseWheel(%q) = %+v", s, got)
		}
		// The lenient reader takes every wheel that the strict one takes,
		// where name and file name have valid characters.
		if CheckFilename(s) == nil && ValidName(got.Name) {
			if _, err := ParseFilename(s, ""); err != nil {
				t.Errorf("ParseWheel reads %q, but: %v", s, err)
			}
		}
	})
}
