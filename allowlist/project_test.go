package allowlist

import (
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
)

const pyproject = `[project]
name = "My.App"
version = "1"
dependencies = [
  "requests >= 2 ; python_version > '3'",
  "numpy",
]

[project.optional-dependencies]
docs = ["sphinx[test] ~= 7.0"]
all = ["my-app[docs,Old_One]", "tool @ https://joe:secret@h/tool-1.tar.gz"]
old-one = [
  "six==1.16",
  "my_app[all]",
]

[dependency-groups]
test = ["pytest", {include-group = "Base"}]
base = [
  "coverage",
]
both = [{include-group = "base"}, {include-group = "test"}]
loop = [{include-group = "loop"}]
bad = ["pytest >= = 1", "six"]
`

func TestProject(t *testing.T) {
	for _, tt := range []struct {
		list, text, want string
	}{
		{"pyproject.toml", pyproject, `pyproject.toml:5: requests >= 2 ; python_version > '3' [requests>=2; python_version > "3" index]
pyproject.toml:6: numpy [numpy index]
`},
		{"pyproject.toml[Docs]", pyproject, `pyproject.toml:5: requests >= 2 ; python_version > '3' [requests>=2; python_version > "3" index]
pyproject.toml:6: numpy [numpy index]
pyproject.toml:10: sphinx[test] ~= 7.0 [sphinx[test]~=7.0 index]
`},
		{"pyproject.toml[all, docs]", pyproject, `pyproject.toml:5: requests >= 2 ; python_version > '3' [requests>=2; python_version > "3" index]
pyproject.toml:6: numpy [numpy index]
pyproject.toml:11: tool @ https://joe:****@h/tool-1.tar.gz [tool @ https://joe:secret@h/tool-1.tar.gz archive] https://joe:secret@h/tool-1.tar.gz map[]map[]
pyproject.toml:10: sphinx[test] ~= 7.0 [sphinx[test]~=7.0 index]
pyproject.toml:13: six==1.16 [six==1.16 index]
`},
		{"pyproject.toml:test", pyproject, "pyproject.toml:18: pytest [pytest index]\npyproject.toml:20: coverage [coverage index]\n"},
		{"pyproject.toml:both", pyproject, "pyproject.toml:20: coverage [coverage index]\npyproject.toml:18: pytest [pytest index]\n"},
		{"pyproject.toml[none]", pyproject, `pyproject.toml:5: requests >= 2 ; python_version > '3' [requests>=2; python_version > "3" index]
pyproject.toml:6: numpy [numpy index]
pyproject.toml: the project has no extra "none"
`},
		{"pyproject.toml:none", pyproject, "pyproject.toml: dependency group \"none\": no such group\n"},
		{"pyproject.toml:loop", pyproject, "pyproject.toml: dependency group \"loop\": includes itself: loop > loop\n"},
		{"pyproject.toml:bad", pyproject, "pyproject.toml: dependency group \"bad\": item 1: "},
		{"pyproject.toml:dev", "[project]\nname = \"x\"\n", "pyproject.toml: no [dependency-groups] table in it\n"},
		{"pyproject.toml", "[tool.poetry]\nname = \"x\"\n", "pyproject.toml: no [project] table in it\n"},
		{"pyproject.toml", "[project]\nname = \"x\"\ndynamic = [\"dependencies\"]\n", "pyproject.toml: dependencies is dynamic: what the project depends on is known only when it is built\n"},
		{"pyproject.toml", "[project]\nname = \"x\"\ndynamic = [\"version\"]\n", ""},
		{"pyproject.toml", "[project]\ndependencies = [\"six\", 1]\n", "pyproject.toml: six [six index]\npyproject.toml: project.dependencies is not an array of strings\n"},
		{"pyproject.toml", "[project]\ndependencies = [\"six >= = 1\",\n\"numpy\"]\n", "pyproject.toml:3: numpy [numpy index]\npyproject.toml:2: requirement \"six >= = 1\": "},
		{"pyproject.toml", "[project\n", "pyproject.toml:2: not TOML: "},
	} {
		t.Run(tt.list, func(t *testing.T) {
			got := lockTold(readDir(t, map[string]string{"pyproject.toml": tt.text}, tt.list))
			if got != tt.want && !(!strings.HasSuffix(tt.want, "\n") && tt.want != "" && strings.HasPrefix(got, tt.want)) {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// A list includes a part of a pyproject.toml; other files of the kind are lists.
func TestProjectIncluded(t *testing.T) {
	l := readDir(t, map[string]string{"list.txt": "-r pyproject.toml:test\n-c pyproject.toml\n-r my-pyproject.toml\n", "pyproject.toml": pyproject, "my-pyproject.toml": "six\n"}, "list.txt")
	if got := fmt.Sprint(l.Wants); got != "[pyproject.toml:18: pytest pyproject.toml:20: coverage my-pyproject.toml:1: six]" {
		t.Error(got)
	}
	if len(l.Problems) != 1 || l.Problems[0].Error() != "pyproject.toml: a pyproject.toml cannot be a constraint file" {
		t.Error(l.Problems)
	}
}

// Groups that include each other twice and twice again do not take for ever.
func TestProjectGroupsManyTimes(t *testing.T) {
	var b strings.Builder
	b.WriteString("[dependency-groups]\ng0 = [\"six\"]\n")
	for i := range 60 {
		fmt.Fprintf(&b, "g%d = [{include-group = \"g%d\"}, {include-group = \"g%d\"}]\n", i+1, i, i)
	}
	l := readDir(t, map[string]string{"pyproject.toml": b.String()}, "pyproject.toml:g60")
	if len(l.Wants) != 0 || len(l.Problems) != 1 || !strings.Contains(l.Problems[0].Text, "more than 100000 requirements and includes") {
		t.Error(l.Wants, l.Problems)
	}
}

func FuzzProject(f *testing.F) {
	f.Add(pyproject, "[all]")
	f.Add(pyproject, ":both")
	f.Fuzz(func(t *testing.T, text, part string) {
		if strings.ContainsAny(part, "/\x00") {
			return
		}
		l := Read(Sources{
			Open: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
			Stat: func(string) (fs.FileInfo, error) { return nil, fs.ErrNotExist },
		}, "/pyproject.toml"+part)
		for _, w := range l.Wants {
			if w.Position.Line > strings.Count(text, "\n")+1 || w.Project == "" {
				t.Errorf("%+v", w)
			}
		}
	})
}
