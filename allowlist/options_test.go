package allowlist

import (
	"fmt"
	"testing"

	"nestgen/packaging"
)

// The options of index and pages add up as pip's do.
func TestIndexOptions(t *testing.T) {
	tests := []struct {
		name, text         string
		index, extra, find string
		noIndex            bool
		problems           int
	}{
		{"all", "-i https://a\n--extra-index-url https://b\n--extra-index-url=https://c\n-f d\n-f e", "https://a", "[https://b https://c]", "[d e]", false, 0},
		{"last -i", "-i https://a\n--index-url https://b", "https://b", "[]", "[]", false, 0},
		{"-i after --extra-index-url", "--extra-index-url https://b\n-i https://a", "https://a", "[]", "[]", false, 1},
		{"both on a line, any order", "--extra-index-url https://b -i https://a", "https://a", "[https://b]", "[]", false, 0},
		{"--no-index stays", "-i https://a\n--no-index\n-i https://b\n-f x", "", "[]", "[x]", true, 1},
		{"first -f of a line", "-f x -f y", "", "[]", "[x]", false, 1},
		{"beside the list", "-f pkgs", "", "[]", "[/lists/pkgs]", false, 0},
		{"quoted", `-i "https://a/b c"`, "https://a/b c", "[]", "[]", false, 0},
	}
	for _, tt := range tests {
		l := tree{"a.txt": tt.text, "pkgs/x.zip": ""}.read("a.txt")
		o := l.Options
		if o.IndexURL.URL != tt.index || fmt.Sprint(o.ExtraIndexURLs) != tt.extra || fmt.Sprint(o.FindLinks) != tt.find || o.NoIndex != tt.noIndex || len(l.Problems) != tt.problems {
			t.Errorf("%s: options %+v, problems %q", tt.name, o, faults(l))
		}
	}
	l := readText("\n-f http://h/x.tgz#egg=pyavl-dev")
	if p := l.Options.FindLinks[0]; p.Egg != "pyavl-dev" || p.EggVersion != "dev" || p.Position.Line != 2 || len(l.Problems) != 1 {
		t.Errorf("-f with an egg fragment: %+v, %q", p, faults(l))
	}
}

// --no-binary and --only-binary: later lines win, a name beats :all:.
func TestFormats(t *testing.T) {
	const both, wheels, sdists = "true true", "true false", "false true"
	tests := []struct{ name, text, foo, bar string }{
		{"nothing", "", both, both},
		{"all", "--no-binary :all:", sdists, sdists},
		{"one", "--only-binary Foo", wheels, both},
		{"several", "--no-binary=foo,BAR", sdists, sdists},
		{"name against all", "--no-binary :all:\n--only-binary foo", wheels, sdists},
		{"name moves", "--no-binary foo\n--only-binary foo", wheels, both},
		{"all empties the other", "--no-binary foo\n--only-binary :all:", wheels, wheels},
		{"none empties", "--no-binary foo,bar\n--no-binary :none:", both, both},
		{"names behind all", "--no-binary :all:,foo", sdists, sdists},
		{"none behind all", "--no-binary :all:,:none:,foo", sdists, both},
		{"named twice", "--no-binary foo,foo\n--only-binary foo", wheels, both},
		{"behind a requirement", "foo --no-binary :all:", both, both},
	}
	for _, tt := range tests {
		o := readText(tt.text).Options
		for n, want := range map[packaging.Name]string{"foo": tt.foo, "bar": tt.bar} {
			w, s := o.Formats(n)
			if got := fmt.Sprint(w, s); got != want {
				t.Errorf("%s: formats of %s are %s, want %s", tt.name, n, got, want)
			}
		}
	}
	if l := readText("--no-binary --only-binary\nx"); len(l.Wants) != 1 || !hasFault(l, `a.txt:1: --no-binary: "--only-binary" is not the name`) {
		t.Errorf("--no-binary with an option for its value: %q", faults(l))
	}
}

func TestPreReleases(t *testing.T) {
	const open, always, never = "false false", "true false", "false true"
	tests := []struct{ name, text, foo, bar string }{
		{"nothing", "", open, open},
		{"--pre", "--pre", always, always},
		{"but one", "--pre\n--only-final foo", never, always},
		{"one", "--all-releases foo", always, open},
		{"none but one", "--only-final :all:\n--all-releases foo", always, never},
	}
	for _, tt := range tests {
		o := readText(tt.text).Options
		for n, want := range map[packaging.Name]string{"foo": tt.foo, "bar": tt.bar} {
			a, f := o.PreReleases(n)
			if got := fmt.Sprint(a, f); got != want {
				t.Errorf("%s: pre-releases of %s are %s, want %s", tt.name, n, got, want)
			}
		}
	}
}
