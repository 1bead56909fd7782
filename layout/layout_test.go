package layout_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"nestgen/layout"
	"nestgen/packaging"
)

var digest = [32]byte{0xab, 0xcd, 0xef, 31: 0x01}

const stored = "packages/ab/cd/ef0000000000000000000000000000000000000000000000000000000001/"

func TestParseProject(t *testing.T) {
	tests := []struct {
		about, path string
		want        layout.Page
		ok          bool
	}{
		{"HTML", "simple/foo-bar/index.html", layout.Page{Project: "foo-bar", Form: layout.HTML}, true},
		{"JSON", "simple/foo-bar/index.v1_json", layout.Page{Project: "foo-bar", Form: layout.JSON}, true},
		{"alias", "simple/Foo_Bar/index.html", layout.Page{Project: "foo-bar", Form: layout.AliasHTML, Spelling: "Foo_Bar"}, true},
		{"people", "project/foo/index.html", layout.Page{Project: "foo", Form: layout.PeopleHTML}, true},
		{"legacy", "pypi/foo/json", layout.Page{Project: "foo", Form: layout.LegacyJSON}, true},
		{"legacy release", "pypi/foo/1!2.0+l.1/json", layout.Page{Project: "foo", Form: layout.LegacyVersion, Version: "1!2.0+l.1"}, true},
		{"changes", "changes/foo/index.html", layout.Page{Project: "foo", Form: layout.ChangesPage}, true},
		{"changes as Atom", "changes/foo/atom.xml", layout.Page{Project: "foo", Form: layout.ChangesFeed}, true},
		{"changes as JSON Feed", "changes/foo/feed.json", layout.Page{Project: "foo", Form: layout.ChangesItems}, true},
		{"project named index", "simple/index/index.html", layout.Page{Project: "index", Form: layout.HTML}, true},
		{"project named json", "pypi/json/json", layout.Page{Project: "json", Form: layout.LegacyJSON}, true},

		{"root", layout.RootHTML, layout.Page{}, false},
		{"changes of the site", layout.ChangesHTML, layout.Page{}, false},
		{"feed of the site", layout.ChangesAtom, layout.Page{}, false},
		{"changes not normalized", "changes/Foo/index.html", layout.Page{}, false},
		{"front", layout.Front, layout.Page{}, false},
		{"flat", layout.Flat, layout.Page{}, false},
		{"alias has no JSON", "simple/Foo_Bar/index.v1_json", layout.Page{}, false},
		{"people not normalized", "project/Foo/index.html", layout.Page{}, false},
		{"version json", "pypi/foo/json/json", layout.Page{}, false},
		{"version climbs", "pypi/foo/../json", layout.Page{}, false},
		{"version has a slash", "pypi/foo/1/2/json", layout.Page{}, false},
		{"leading slash", "/simple/foo/index.html", layout.Page{}, false},
		{"dots", "simple/../index.html", layout.Page{}, false},
		{"double slash", "simple//index.html", layout.Page{}, false},
		{"other file", "simple/foo/index.htm", layout.Page{}, false},
		{"deeper", "simple/foo/index.html/index.html", layout.Page{}, false},
		{"empty", "", layout.Page{}, false},
	}
	for _, tt := range tests {
		got, ok := layout.ParseProject(tt.path)
		if got != tt.want || ok != tt.ok {
			t.Errorf("%s: ParseProject(%q) = %+v, %v, want %+v, %v", tt.about, tt.path, got, ok, tt.want, tt.ok)
		}
		if ok && got.Path() != tt.path {
			t.Errorf("%s: Path() = %q, want %q", tt.about, got.Path(), tt.path)
		}
	}
	if got := (layout.Page{Project: "foo"}).Path(); got != "" {
		t.Errorf("Path() without a form = %q, want none", got)
	}
}

func TestParseFile(t *testing.T) {
	tests := []struct {
		about, path, filename string
		ok                    bool
	}{
		{"sdist", stored + "foo-1.0.tar.gz", "foo-1.0.tar.gz", true},
		{"epoch and local version", stored + "foo-1!2+x.tar.gz", "foo-1!2+x.tar.gz", true},
		{"no name", stored, "", false},
		{"hidden", stored + ".foo", "", false},
		{"leading dash (row 22)", stored + "-foo-1.0.tar.gz", "", false},
		{"space (row 22)", stored + "a b-1.0.zip", "", false},
		{"percent (row 22)", stored + "x%2f-1.0.zip", "", false},
		{"climbs", stored + "../x", "", false},
		{"backslash", stored + `a\b`, "", false},
		{"control", stored + "a\x00b", "", false},
		{"not ASCII", stored + "é-1.0.zip", "", false},
		{"256 bytes", stored + strings.Repeat("a", 256), "", false},
		{"upper case digits", strings.Replace(stored, "ab/cd", "AB/CD", 1) + "foo", "", false},
		{"not hexadecimal", strings.Replace(stored, "ab/cd", "xy/cd", 1) + "foo", "", false},
		{"slash moved", strings.Replace(stored, "ab/cd", "a/bcd", 1) + "foo", "", false},
		{"other folder", "archives" + stored[8:] + "foo", "", false},
		{"leading slash", "/" + stored + "foo", "", false},
		{"short", "packages/ab", "", false},
	}
	for _, tt := range tests {
		d, name, ok := layout.ParseFile(tt.path)
		if name != tt.filename || ok != tt.ok {
			t.Errorf("%s: ParseFile(%q) = %q, %v, want %q, %v", tt.about, tt.path, name, ok, tt.filename, tt.ok)
		}
		if want := map[bool][32]byte{true: digest}[tt.ok]; d != want {
			t.Errorf("%s: ParseFile(%q): digest %x, want %x", tt.about, tt.path, d, want)
		}
	}
}

func TestOwner(t *testing.T) {
	file := layout.File(digest, "foo-1.0.whl")
	for _, path := range []string{file, layout.CoreMetadata(file), layout.Signature(file), layout.Provenance(file)} {
		if got := layout.Owner(path); got != file {
			t.Errorf("Owner(%q) = %q, want %q", path, got, file)
		}
		if _, name, ok := layout.ParseFile(path); !ok || !strings.HasPrefix(name, "foo-1.0.whl") {
			t.Errorf("ParseFile(%q) = %q, %v", path, name, ok)
		}
	}
}

func TestAliases(t *testing.T) {
	tests := []struct {
		display string
		want    []string
	}{
		{"foo", nil},
		{"foo-bar", nil},
		{"Foo", []string{"Foo"}},
		{"ns.pkg", []string{"ns.pkg"}},
		{"foo_bar", []string{"foo_bar"}}, // setuptools makes the normalized name of it
		{"Foo_Bar", []string{"Foo_Bar", "Foo-Bar"}},
		{"foo.-_bar__Baz", []string{"foo.-_bar__Baz", "foo.-bar-Baz"}},
		{"../etc", nil},
		{"", nil},
	}
	for _, tt := range tests {
		if got := layout.Aliases(tt.display); !slices.Equal(got, tt.want) {
			t.Errorf("Aliases(%q) = %q, want %q", tt.display, got, tt.want)
		}
	}
}

func TestEscape(t *testing.T) {
	tests := []struct{ in, want string }{
		{"packages/ab/foo_bar-1.0~x.tar.gz", "packages/ab/foo_bar-1.0~x.tar.gz"},
		{"foo-1.0.post1.dev2+local.tar.gz", "foo-1.0.post1.dev2%2Blocal.tar.gz"}, // row 14, API-14
		{"foo-1!2.0.tar.gz", "foo-1%212.0.tar.gz"},                               // row 15
		{`"'<>&#?% `, "%22%27%3C%3E%26%23%3F%25%20"},
		{"é", "%C3%A9"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := layout.Escape(tt.in); got != tt.want {
			t.Errorf("Escape(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestUp(t *testing.T) {
	for page, want := range map[string]string{
		layout.Front: "", layout.Flat: "../", layout.ProjectHTML("x"): "../../",
		layout.LegacyProject("x"): "../../", layout.LegacyRelease("x", "1"): "../../../",
	} {
		if got := layout.Up(page); got != want {
			t.Errorf("Up(%q) = %q, want %q", page, got, want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a/b+c!d é\x00%2f")
	f.Fuzz(func(t *testing.T, s string) {
		e := layout.Escape(s)
		if back, err := url.PathUnescape(e); err != nil || back != s {
			t.Errorf("Escape(%q) = %q, which decodes to %q, %v", s, e, back, err)
		}
		if got := string(layout.AppendEscaped([]byte("x"), s)); got != "x"+e {
			t.Errorf("AppendEscaped(%q) = %q, Escape gives %q", s, got, e)
		}
		if strings.ContainsAny(e, "\"'<>&#?+! \\:") {
			t.Errorf("Escape(%q) = %q", s, e)
		}
	})
}

// A path that is read is the one that its parts make, and a name that is
// written is read again.
func FuzzParseProject(f *testing.F) {
	f.Add("simple/foo/index.html", "Foo_Bar", "1.0")
	f.Add("pypi/foo/1.0/json", "a", "json")
	f.Add("simple/../x/index.html", "..", "../x")
	f.Fuzz(func(t *testing.T, path, raw, version string) {
		if p, ok := layout.ParseProject(path); ok {
			if p.Path() != path {
				t.Errorf("ParseProject(%q).Path() = %q", path, p.Path())
			}
			if !packaging.ValidName(string(p.Project)) || packaging.NormalizeName(string(p.Project)) != p.Project {
				t.Errorf("ParseProject(%q): project %q", path, p.Project)
			}
			if strings.Contains("/"+path+"/", "/../") {
				t.Errorf("ParseProject(%q) took a path that climbs", path)
			}
		}
		n, err := packaging.ParseName(raw)
		if err != nil {
			return
		}
		paths := []string{layout.ProjectHTML(n), layout.ProjectJSON(n), layout.PeopleProject(n), layout.LegacyProject(n)}
		for _, a := range layout.Aliases(raw) {
			paths = append(paths, layout.Alias(a))
		}
		if layout.ReleaseFolder(version) {
			paths = append(paths, layout.LegacyRelease(n, version))
		}
		for _, path := range paths {
			if p, ok := layout.ParseProject(path); !ok || p.Project != n || p.Path() != path {
				t.Errorf("ParseProject(%q) = %+v, %v, want project %q", path, p, ok, n)
			}
		}
	})
}

func FuzzParseFile(f *testing.F) {
	f.Add(stored+"foo-1.0.tar.gz", []byte{1}, "x-1.whl")
	f.Fuzz(func(t *testing.T, path string, digest []byte, name string) {
		if d, filename, ok := layout.ParseFile(path); ok && layout.File(d, filename) != path {
			t.Errorf("ParseFile(%q) = %x, %q, which make %q", path, d, filename, layout.File(d, filename))
		}
		var d [32]byte
		copy(d[:], digest)
		made := layout.File(d, name)
		if got, filename, ok := layout.ParseFile(made); ok && (got != d || filename != name) {
			t.Errorf("ParseFile(File(%x, %q)) = %x, %q", d, name, got, filename)
		}
	})
}

func TestParseFileDoesNotAllocate(t *testing.T) {
	path := layout.File(digest, "foo-1.0.tar.gz")
	if n := testing.AllocsPerRun(100, func() { layout.ParseFile(path) }); n != 0 {
		t.Errorf("ParseFile allocates %v times", n)
	}
}
