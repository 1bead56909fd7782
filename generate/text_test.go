package generate

import (
	"testing"

	"nestgen/catalog"
	"nestgen/packaging"
)

func TestSizeText(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1.0 kB", 1049: "1.0 kB", 1050: "1.1 kB",
		9949: "9.9 kB", 9950: "10 kB", 12345: "12 kB", 999_499: "999 kB", 999_500: "1.0 MB", 1_234_567: "1.2 MB",
		999_999_999: "1.0 GB", 22_000_000: "22 MB", 13_300_000_000_000: "13 TB", 1<<63 - 1: "9.2 EB",
	} {
		if got := sizeText(n); got != want {
			t.Errorf("sizeText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCountText(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 16_200_000: "16,200,000", 100_000: "100,000"} {
		if got := countText(n); got != want {
			t.Errorf("countText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestFinal(t *testing.T) {
	for v, want := range map[string]bool{
		"1.0": true, "1!2.0": true, "1.0.post1": true, "1.0+local.a1": true, "2024": true,
		"1.0a1": false, "1.0b2": false, "1.0rc1": false, "1.0.dev3": false, "1.0.post1.dev2": false, "2004d": false, "": false,
	} {
		if got := final(v); got != want {
			t.Errorf("final(%q) = %v", v, got)
		}
	}
}

func TestNewest(t *testing.T) {
	files := func(vs ...string) []catalog.File { // a "-" behind a version yanks it
		var fs []catalog.File
		for _, v := range vs {
			f := catalog.File{Version: v}
			if n := len(v) - 1; v[n] == '-' {
				f.Version, f.Yanked.Yanked = v[:n], true
			}
			fs = append(fs, f)
		}
		return fs
	}
	tests := []struct {
		about string
		files []catalog.File
		want  string
	}{
		{"none", nil, ""},
		{"highest", files("1.0", "2.0"), "2.0"},
		{"final before pre-release", files("1.0", "2.0rc1"), "1.0"},
		{"pre-releases only", files("1.0a1", "1.0a2"), "1.0a2"},
		{"yanked", files("1.0", "2.0-"), "1.0"},
		{"pre-release before a yanked one", files("1.0-", "2.0a1"), "2.0a1"},
		{"one file of the release stays", files("1.0", "2.0", "2.0-"), "2.0"},
		{"all yanked", files("1.0-", "2.0-"), "2.0"},
	}
	for _, tt := range tests {
		if got := newest(tt.files); got != tt.want {
			t.Errorf("%s: newest = %q, want %q", tt.about, got, tt.want)
		}
	}
}

func TestPythonVersion(t *testing.T) {
	tests := []struct {
		filename string
		kind     packaging.Kind
		want     string
	}{
		{"foo-1.0.tar.gz", packaging.Sdist, "source"},
		{"foo-1.0-py2.py3-none-any.whl", packaging.Wheel, "py2.py3"},
		{"foo-1.0-1a-cp312-cp312-win_amd64.whl", packaging.Wheel, "cp312"},
		{"broken.whl", packaging.Wheel, "any"},
		{"foo_pyramid-1.0-py2.7-linux-x86_64.egg", packaging.Egg, "2.7"},
		{"foo-pyramid-1.0.egg", packaging.Egg, "any"},
		{"foo-1.0.win32-py3.10.exe", packaging.Wininst, "3.10"},
		{"foo-1.0.win32.exe", packaging.Wininst, "any"},
		{"foo-1.0-1.noarch.rpm", packaging.RPM, "any"},
	}
	for _, tt := range tests {
		if got := pythonVersion(&catalog.File{Filename: tt.filename, Kind: tt.kind}); got != tt.want {
			t.Errorf("pythonVersion(%q) = %q, want %q", tt.filename, got, tt.want)
		}
	}
}

func TestNeedsAlias(t *testing.T) {
	tests := []struct {
		filename, display, spelling string
		want                        bool
	}{
		{"foo.bar_Baz-0.9.tar.gz", "foo.bar_Baz", "foo.bar_Baz", false}, // row 1
		{"ns_pkg-1.0.tar.gz", "ns.pkg", "ns_pkg", true},                 // row 3
		{"foo_bar-1.0.tar.gz", "foo-bar", "foo_bar", false},             // dash and underscore are one to it
		{"FOO_bar-1.0.tar.gz", "foo-bar", "FOO_bar", false},             // and so is case
		{"foo.bar-1.0.tar.gz", "foo-bar", "foo.bar", true},
		{"foo-bar-1.0-1.tar.gz", "foo.bar", "foo-bar", true},
		{"foo-1.0-1.tar.gz", "foo-1-0", "foo-1.0", true},
		{"other-1.0.tar.gz", "foo.bar", "", false},
	}
	for _, tt := range tests {
		f := &catalog.File{Project: packaging.NormalizeName(tt.display), Filename: tt.filename}
		spelling := fileSpelling(f)
		if got := needsAlias(spelling, tt.display); spelling != tt.spelling || got != tt.want {
			t.Errorf("%s of %s: spelling %q, alias %v", tt.filename, tt.display, spelling, got)
		}
	}
}
