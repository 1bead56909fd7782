package stricttoml

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestTreeLines(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []int
	}{
		{"headers", "version = 1\n\n[[package]]\nname = 'a'\n\n[package.sdist]\nurl = 'x'\n\n[[package]]\nname = 'b'\n", []int{3, 9}},
		{"headers with space, quotes and a comment", "[[ \"package\" ]] # one\nname = 'a'\n[[package]]\n", []int{1, 3}},
		{"in brackets", "package = [\n  { name = 'a', wheels = [{ url = 'x' }] },\n  # {}\n  { name = 'b' },\n]\n", []int{2, 4}},
		{"a header inside a string", "x = \"\"\"\n[[package]]\n\"\"\"\n[[package]]\n", []int{4}},
		{"a header inside a literal string", "x = '''\n[[package]]'''\n[[package]]\n", []int{3}},
		{"quotation marks at the end of a long string", "x = [\"\"\"a\"\"\"\"\"]\ny = '''b''''\n[[package]]\n", []int{3}},
		{"an escaped quotation mark", "x = \"\\\"[[package]]\"\n[[package]]\n", []int{2}},
		{"CRLF", "[[package]]\r\nname = 'a'\r\n[[package]]\r\n", []int{1, 3}},
		{"a byte order mark", "\ufeff[[package]]\nname = 'a'\n", []int{1}},
		{"tables of another array inside", "[[package]]\nname='a'\n[[package.wheels]]\nurl='x'\n[[package]]\n", []int{1, 5}},
		{"the same key in another table", "[[package]]\n[x]\npackage = [{a=1}, {b=1}]\n", []int{1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Tree("f", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := d.Lines("package"); !slices.Equal(got, tt.want) {
				t.Errorf("lines %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTreeLinesOfPaths(t *testing.T) {
	d, err := Tree("f", []byte(`[project]
dependencies = ["a", # one
  'b', """
c""",
]
optional-dependencies."x.y" = [
  "d" ]
[ project . 'optional-dependencies' . z ]
[dependency-groups]
dev = [ { include-group = "x" },
  "e", ["f"] ]
mixed = [1, "g"]
table = { k = "h", l = ["i"] }
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path []string
		want []int
	}{
		{[]string{"project", "dependencies"}, []int{2, 3, 3}},
		{[]string{"project", "optional-dependencies", "x.y"}, []int{7}},
		{[]string{"dependency-groups", "dev"}, []int{0, 0, 0}}, // arrays in it are not told
		{[]string{"dependency-groups", "mixed"}, []int{0, 0}},
		{[]string{"dependency-groups", "table"}, nil},
		{[]string{"dependency-groups", "nothing"}, nil},
		{[]string{"project"}, nil},
	} {
		if got := d.Lines(tt.path...); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %v, want %v", tt.path, got, tt.want)
		}
	}
}

// What is said of a key must not depend on how another one is spelled.
func TestTreeExactKeys(t *testing.T) {
	d, err := Tree("f", []byte("Name = 'x'\nname = 'y'\n"))
	if err != nil || d.Root["name"] != "y" || d.Root["Name"] != "x" {
		t.Errorf("%v, %v", d, err)
	}
	_, err = Tree("f", []byte("name = 'x'\n\nname = 'y'\n"))
	if e, ok := errors.AsType[*Error](err); !ok || e.Line != 3 || e.File != "f" {
		t.Errorf("a key twice: %v", err)
	}
}

func TestTreeLimits(t *testing.T) {
	for name, text := range map[string]string{
		"arrays":           "x = " + strings.Repeat("[", 1<<20),
		"tables":           "x = " + strings.Repeat("{a=", 1<<20),
		"arrays in lines":  "x = [\n" + strings.Repeat("[\n", 1<<20),
		"behind a string":  `x = ["""a"""",` + strings.Repeat("[", 1<<20),
		"behind a literal": `x = ['''a''''',` + strings.Repeat("[", 1<<20),
		"parts of a key":   strings.Repeat("a.", 1<<20) + "b = 1",
		"parts in a value": "x = {" + strings.Repeat("a.", 1<<20) + "b = 1}",
		"parts of a table": "[" + strings.Repeat("a.", 1<<20) + "b]",
		"parts of quotes":  strings.Repeat("'a'.", 1<<20) + "b = 1",
		"values":           "x = [" + strings.Repeat("1,", maxKeys+1) + "]",
		"keys":             strings.Repeat("a=1\n", maxKeys+1),
		"a long header":    "[" + strings.Repeat("a", 1<<20) + "]\n" + strings.Repeat("a=1\n", 65),
		"a long key":       "x = {" + strings.Repeat("a", 1<<20) + " = {" + strings.Repeat("a=1,", 65) + "}}",
		"long keys inside": "x = {" + strings.Repeat(strings.Repeat("a", 1<<20)+" = {", 12) + strings.Repeat("}", 13),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Tree("f", []byte(text))
			if err == nil || !strings.Contains(err.Error(), "more than") {
				t.Errorf("%v", err)
			}
		})
	}
}

// The limits are far from what programs write.
func TestTreeTakesMuch(t *testing.T) {
	var b strings.Builder
	for range 10_000 {
		b.WriteString("[[package]]\nname = 'x'\nwheels = [\n")
		for range 5 {
			b.WriteString("  { url = 'https://example.org/x.whl', hash = 'sha256:00', size = 1 },\n")
		}
		b.WriteString("]\n")
	}
	d, err := Tree("f", []byte(b.String()))
	if err != nil || len(d.Lines("package")) != 10_000 || d.Lines("package")[9_999] != 9_999*9+1 {
		t.Error(err)
	}
}

func FuzzTree(f *testing.F) {
	f.Add("[[package]]\nname = 'a'\nx = \"\"\"\n\"\"\"\n")
	f.Add("package = [{ a = [[1]] }, {}]\n[ x . 'y' ]\n")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Tree("f", []byte(text))
		if err != nil {
			return
		}
		for key := range d.Root {
			last := 0
			for _, line := range d.Lines(key) {
				if line < last || line > strings.Count(text, "\n")+1 {
					t.Fatalf("%q: lines %v of %q", text, d.Lines(key), key)
				}
				last = line
			}
		}
	})
}
