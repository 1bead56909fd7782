package layout_test

import (
	"strings"
	"testing"

	"nestgen/layout"
)

func TestCutPrefix(t *testing.T) {
	tests := []struct{ about, path, prefix, rest string }{
		{"root index", "simple/foo/index.html", "", "simple/foo/index.html"},
		{"front page", "index.html", "", "index.html"},
		{"index", "prod/simple/foo/index.html", "prod", "simple/foo/index.html"},
		{"its front page", "prod/index.html", "prod", "index.html"},
		{"its folder", "prod/", "prod", ""},
		{"without its slash", "prod", "", "prod"},
		{"two folders", "snapshots/2026-01/simple/index.html", "snapshots/2026-01", "simple/index.html"},
		{"three folders", "a/b/c/simple/index.html", "a/b", "c/simple/index.html"},
		{"project that is named as a room", "project/simple/index.html", "", "project/simple/index.html"},
		{"room below a prefix", "prod/project/simple/index.html", "prod", "project/simple/index.html"},
		{"uploads", "legacy/", "", "legacy/"},
		{"capitals", "Prod/simple/", "", "Prod/simple/"},
		{"dots", "../simple/", "", "../simple/"},
		{"hidden", ".git/config", "", ".git/config"},
		{"nothing", "", "", ""},
		{"slash", "/simple/", "", "/simple/"},
	}
	for _, tt := range tests {
		if prefix, rest := layout.CutPrefix(tt.path); prefix != tt.prefix || rest != tt.rest {
			t.Errorf("%s: CutPrefix(%q) = %q, %q, want %q, %q", tt.about, tt.path, prefix, rest, tt.prefix, tt.rest)
		}
	}
}

func TestValidPrefix(t *testing.T) {
	for prefix, want := range map[string]bool{
		"prod": true, "qa-2": true, "3_11": true, "snapshots/2026-01": true,
		"": false, "simple": false, "prod/simple": false, "packages": false, "static": false, "changes": false, "legacy": false,
		"Prod": false, "a.b": false, "..": false, "-x": false, "_x": false, "a/b/c": false, "a/": false, "/a": false, "a//b": false,
		"é": false, "a b": false, strings.Repeat("x", 101): false,
	} {
		if got := layout.ValidPrefix(prefix); got != want {
			t.Errorf("ValidPrefix(%q) = %v, want %v", prefix, got, want)
		}
	}
}

// What is cut can be put together again, and a path below a valid prefix is cut
// there.
func FuzzCutPrefix(f *testing.F) {
	f.Add("prod/simple/foo/index.html", "prod")
	f.Add("a/b/c", "snapshots/x")
	f.Fuzz(func(t *testing.T, path, prefix string) {
		cut, rest := layout.CutPrefix(path)
		if layout.Below(cut, rest) != path {
			t.Errorf("CutPrefix(%q) = %q, %q", path, cut, rest)
		}
		if cut != "" && !layout.ValidPrefix(cut) {
			t.Errorf("CutPrefix(%q) gives the prefix %q, which is not valid", path, cut)
		}
		if !layout.ValidPrefix(prefix) {
			return
		}
		for _, page := range []string{layout.Front, layout.RootHTML, layout.Flat, layout.ProjectHTML("x")} {
			if cut, rest := layout.CutPrefix(layout.Below(prefix, page)); cut != prefix || rest != page {
				t.Errorf("CutPrefix(%q) = %q, %q", layout.Below(prefix, page), cut, rest)
			}
		}
	})
}
