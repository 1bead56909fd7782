package lockfile

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFormOf(t *testing.T) {
	for name, want := range map[string]Form{
		"pylock.toml":                             Pylock,
		"locks/pylock.dev.toml":                   Pylock,
		"https://example.org/x/pylock.toml?raw=1": Pylock,
		`C:\work\uv.lock`:                         UV,
		"/srv/poetry.lock":                        Poetry,
		"pdm.lock":                                PDM,
		"Pipfile.lock":                            Pipenv,
		"pylock.a.b.toml":                         0,
		"pylock..toml":                            0,
		"pylocktoml":                              0,
		"Pipfile":                                 0,
		"requirements.txt":                        0,
		"pylock.toml/requirements.txt":            0,
	} {
		if got, ok := FormOf(name); got != want || ok != (want != 0) {
			t.Errorf("FormOf(%q) = %v, %t; want %v", name, got, ok, want)
		}
	}
}

const (
	a64 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	b64 = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// told writes down what was read, a line for each package, file and problem.
func told(l Lock, problems []Problem) string {
	var b strings.Builder
	for _, p := range l.Packages {
		fmt.Fprintf(&b, "%d %s", p.Line, p.Name)
		for _, s := range []string{p.Version, map[Source]string{FromURL: "url", FromVCS: "vcs", FromPath: "path", FromDirectory: "directory", Itself: "itself"}[p.Source], p.Address, p.Marker, p.RequiresPython} {
			if s != "" {
				b.WriteString(" " + s)
			}
		}
		b.WriteString("\n")
		for _, f := range p.Files {
			b.WriteString(" ")
			for _, s := range []string{f.Name, f.URL, f.Path} {
				if s != "" {
					b.WriteString(" " + s)
				}
			}
			if f.Size >= 0 {
				fmt.Fprintf(&b, " %d", f.Size)
			}
			for _, alg := range slices.Sorted(maps.Keys(f.Hashes)) {
				digest := f.Hashes[alg]
				fmt.Fprintf(&b, " %s:%s", alg, digest[:min(4, len(digest))])
			}
			if f.Uploaded != 0 {
				fmt.Fprintf(&b, " @%d", f.Uploaded)
			}
			b.WriteString("\n")
		}
	}
	for _, p := range problems {
		level := "error"
		if p.Warning {
			level = "warning"
		}
		fmt.Fprintf(&b, "%s %d: %s\n", level, p.Line, p.Text)
	}
	return b.String()
}

func TestRead(t *testing.T) {
	hashes := strings.NewReplacer("AAA", a64, "BBB", b64)
	for _, tt := range []struct {
		name string
		form Form
		file string
		text string
		want string
	}{
		{"pylock: wheels, an sdist, what the file name says", Pylock, "pylock.toml", `lock-version = "1.0"
created-by = "test"
environments = ["sys_platform == 'linux'"]

[[packages]]
name = "fl-ask"
version = "3.0"
marker = "python_version > '3'"
requires-python = ">=3.8"
index = "https://example.org/simple"
wheels = [
  { url = "https://example.org/fl_ask-3.0-py3-none-any.whl?x=1#y", size = 12, upload-time = 2024-01-02T03:04:05Z, hashes = { sha256 = "AAA", MD5 = "FF" } },
]
[packages.sdist]
name = "fl_ask-3.0.tar.gz"
url = "https://example.org/download/12"
hashes = { sha256 = "BBB" }
`, `5 fl-ask 3.0 https://example.org/simple python_version > '3' >=3.8
  fl_ask-3.0-py3-none-any.whl https://example.org/fl_ask-3.0-py3-none-any.whl?x=1#y 12 md5:ff sha256:aaaa @1704164645000000
  fl_ask-3.0.tar.gz https://example.org/download/12 sha256:bbbb
`},
		{"pylock: an archive, a repository, directories, paths", Pylock, "pylock.toml", `lock-version = "1.0"
created-by = "test"
packages = [
  { name = "a", archive = { url = "https://example.org/a-1.zip", hashes = { sha256 = "AAA" } } },
  { name = "b", archive = { path = "../b-1.zip", hashes = { sha256 = "AAA" } } },
  { name = "c", vcs = { type = "git", url = "https://example.org/c.git", requested-revision = "main", commit-id = "abc" } },
  { name = "d", directory = { path = "./" } },
  { name = "e", directory = { path = "../e", editable = true } },
  { name = "f", wheels = [ { path = 'wheels\f-1-py3-none-any.whl', hashes = { sha256 = "AAA" } } ] },
  { name = "g", wheels = [ { path = "g-1-py3-none-any.whl", url = "https://example.org/x.whl", hashes = { sha256 = "AAA" } } ] },
]
`, `4 a url https://example.org/a-1.zip
  a-1.zip https://example.org/a-1.zip sha256:aaaa
5 b path ../b-1.zip
6 c vcs git+https://example.org/c.git@abc
7 d itself ./
8 e directory ../e
9 f
  f-1-py3-none-any.whl wheels\f-1-py3-none-any.whl sha256:aaaa
10 g
  g-1-py3-none-any.whl https://example.org/x.whl g-1-py3-none-any.whl sha256:aaaa
`},
		{"pylock: a faulty entry costs only itself", Pylock, "pylock.toml", `lock-version = "1.1"
created-by = "test"
[[packages]]
name = "a"
[[packages]]
name = "B"
directory = { path = "b" }
[[packages]]
name = "c"
version = "1"
wheels = [{ url = "https://example.org/c-2-py3-none-any.whl", hashes = { sha256 = "AAA" } }]
[[packages]]
name = "d"
sdist = { url = "https://example.org/d-1.tar.gz", hashes = {} }
[[packages]]
name = "e"
sdist = { url = "https://example.org/e-1.tar.gz", hashes = { sha256 = "AAA" } }
vcs = { type = "git", url = "https://example.org/e", commit-id = "1" }
[[packages]]
name = "f"
sdist = { url = "https://example.org/x-1.tar.gz", size = "big", hashes = { sha256 = "AAA" } }
[[packages]]
name = "g"
sdist = { url = "https://example.org/g-1.tar.gz", upload-time = 2024-01-02, hashes = { sha256 = "AAA" } }
[[packages]]
version = "1"
[[packages]]
name = "h"
sdist = { url = "https://example.org/h-1.tar.gz", hashes = { sha256 = "BBB" } }
`, `5 B directory b
22 g
  g-1.tar.gz https://example.org/g-1.tar.gz sha256:aaaa
27 h
  h-1.tar.gz https://example.org/h-1.tar.gz sha256:bbbb
warning 0: lock-version 1.1 is newer than 1.0; what it adds is not seen
error 3: a: neither wheels nor sdist, and not one of vcs, directory and archive
warning 5: B: the name is not a normalized one: read as b
error 8: c: wheels[0].c-2-py3-none-any.whl is not a file of version 1
error 12: d: no sdist.hashes
error 15: e: vcs, directory and archive must not stand beside wheels and sdist
error 19: f: sdist.size is not a number of bytes
warning 22: g: sdist.upload-time is not a date with a time; it is not used
error 25: a package: no name
`},
		{"pylock: another major version", Pylock, "pylock.toml", "lock-version = \"2.0\"\ncreated-by = \"x\"\npackages = [{name = \"a\"}]\n",
			"error 0: lock-version 2.0: only versions 1.x are known\n"},
		{"pylock: of the network", Pylock, "https://example.org/locks/pylock.toml", `lock-version = "1.0"
created-by = "test"
packages = [
  { name = "a", sdist = { path = "files/a-1.tar.gz", hashes = { sha256 = "AAA" } } },
  { name = "b", sdist = { path = "/b-1.tar.gz", hashes = { sha256 = "AAA" } } },
  { name = "c", sdist = { path = "//example.net/c-1.tar.gz", hashes = { sha256 = "AAA" } } },
  { name = "d", sdist = { path = "file:///d-1.tar.gz", hashes = { sha256 = "AAA" } } },
]
`, `4 a
  a-1.tar.gz https://example.org/locks/files/a-1.tar.gz sha256:aaaa
error 5: b: sdist.path: "/b-1.tar.gz" leaves the place of the lock file
error 6: c: sdist.path: "//example.net/c-1.tar.gz" leaves the place of the lock file
error 7: d: sdist.path: "file:///d-1.tar.gz" leaves the place of the lock file
`},
		{"uv: every source", UV, "uv.lock", `version = 1
revision = 3

[[package]]
name = "flask"
version = "3.0.0"
source = { registry = "https://pypi.org/simple" }
resolution-markers = ["python_full_version < '3.9'", "os_name == 'nt'"]
sdist = { url = "https://files.example.org/flask-3.0.0.tar.gz", hash = "sha256:AAA", size = 5, upload-time = "2024-01-02T03:04:05.5Z" }
wheels = [
    { url = "https://files.example.org/flask-3.0.0%2Blocal-py3-none-any.whl", hash = "sha256:BBB", upload_time = "2024-01-02T03:04:05Z" },
]

[[package]]
name = "git-one"
version = "1"
source = { git = "https://example.org/x/y?subdirectory=sub&tag=v1#0123abcd" }

[[package]]
name = "direct"
version = "1"
source = { url = "https://example.org/direct-1.tar.gz" }
sdist = { hash = "sha256:AAA" }

[[package]]
name = "direct-wheel"
version = "1"
source = { url = "https://example.org/direct_wheel-1-py3-none-any.whl" }
wheels = [{ url = "https://example.org/direct_wheel-1-py3-none-any.whl", hash = "sha256:BBB" }]

[[package]]
name = "local"
version = "1"
source = { path = "local-1-py3-none-any.whl" }
wheels = [{ filename = "local-1-py3-none-any.whl", hash = "sha256:BBB" }]

[[package]]
name = "folder"
version = "1"
source = { registry = "../wheels" }
wheels = [{ path = "folder-1-py3-none-any.whl" }]

[[package]]
name = "member"
version = "1"
source = { editable = "packages/member" }

[[package]]
name = "dir"
source = { directory = "../dir" }

[[package]]
name = "root"
version = "0.1"
source = { virtual = "." }

[[package]]
name = "edit"
version = "0.1"
source = { editable = "." }

[[package]]
name = "strange"
source = { oracle = "x" }

[[package]]
name = "odd"
source = "registry+https://pypi.org/simple"
`, `4 flask 3.0.0 https://pypi.org/simple (python_full_version < '3.9') or (os_name == 'nt')
  flask-3.0.0+local-py3-none-any.whl https://files.example.org/flask-3.0.0%2Blocal-py3-none-any.whl sha256:bbbb @1704164645000000
  flask-3.0.0.tar.gz https://files.example.org/flask-3.0.0.tar.gz 5 sha256:aaaa @1704164645500000
14 git-one 1 vcs git+https://example.org/x/y@0123abcd
19 direct 1 url https://example.org/direct-1.tar.gz
  direct-1.tar.gz https://example.org/direct-1.tar.gz sha256:aaaa
25 direct-wheel 1 url https://example.org/direct_wheel-1-py3-none-any.whl
  direct_wheel-1-py3-none-any.whl https://example.org/direct_wheel-1-py3-none-any.whl sha256:bbbb
31 local 1 path local-1-py3-none-any.whl
  local-1-py3-none-any.whl sha256:bbbb
37 folder 1 ../wheels
  folder-1-py3-none-any.whl folder-1-py3-none-any.whl
43 member 1 directory packages/member
48 dir directory ../dir
52 root 0.1 itself .
57 edit 0.1 itself .
error 62: strange: a source that is none of registry, git, url, path, directory, editable and virtual
error 66: odd: source is not a table
`},
		{"uv: before 0.4", UV, "uv.lock", "version = 1\n[[distribution]]\nname = \"a\"\nversion = \"1\"\nsource = { registry = \"https://pypi.org/simple\" }\nsdist = { url = \"https://e.org/a-1.tar.gz\", hash = \"sha256:AAA\" }\n",
			"2 a 1 https://pypi.org/simple\n  a-1.tar.gz https://e.org/a-1.tar.gz sha256:aaaa\n"},
		{"uv: a version to come", UV, "uv.lock", "version = 2\n[[package]]\nname = \"a\"\n", "error 0: version 2 of uv.lock is not known: only version 1 is\n"},
		{"uv: no version", UV, "uv.lock", "[[package]]\nname = \"a\"\n", "error 0: not a uv.lock: no version\n"},
		{"poetry 2: files with the package, sources", Poetry, "poetry.lock", `[[package]]
name = "Flask"
version = "3.0"
markers = {main = "os_name == 'nt'", dev = "os_name == 'posix'", x = "os_name == 'nt'"}
files = [
    {file = "flask-3.0.tar.gz", hash = "sha256:AAA"},
]

[[package]]
name = "private"
version = "1"
files = [{file = "private-1.tar.gz", hash = "sha256:BBB"}]
[package.source]
type = "legacy"
url = "https://joe:secret@example.org/simple"
reference = "mine"

[[package]]
name = "g"
version = "1"
files = []
source = {type = "git", url = "git@example.org:x/g.git", reference = "main", resolved_reference = "abc"}

[[package]]
name = "u"
version = "1"
files = [{file = "u-1.tar.gz", hash = "sha256:AAA"}]
source = {type = "url", url = "https://example.org/u-1.tar.gz"}

[[package]]
name = "f"
version = "1"
source = {type = "file", url = "dist/f-1.whl"}

[[package]]
name = "d"
version = "1"
source = {type = "directory", url = "d"}

[[package]]
name = "x"
version = "1"
source = {type = "ftp", url = "d"}

[metadata]
lock-version = "2.1"
`, `1 Flask 3.0 (os_name == 'posix') or (os_name == 'nt')
  flask-3.0.tar.gz sha256:aaaa
9 private 1 https://joe:secret@example.org/simple
  private-1.tar.gz sha256:bbbb
18 g 1 vcs git+ssh://git@example.org/x/g.git@abc
24 u 1 url https://example.org/u-1.tar.gz
  u-1.tar.gz https://example.org/u-1.tar.gz sha256:aaaa
30 f 1 path dist/f-1.whl
35 d 1 directory d
error 40: x: source.type "ftp" is not known
`},
		{"poetry 1.1: files apart", Poetry, "poetry.lock", "[[package]]\nname = \"a\"\nversion = \"1\"\nmarker = \"os_name == 'nt'\"\n[metadata]\nlock-version = \"1.1\"\n[metadata.files]\na = [{file = \"a-1.tar.gz\", hash = \"sha256:AAA\"}]\n",
			"1 a 1 os_name == 'nt'\n  a-1.tar.gz sha256:aaaa\n"},
		{"poetry 0.12: hashes without names", Poetry, "poetry.lock", "[[package]]\nname = \"a\"\nversion = \"1\"\n[metadata]\n[metadata.hashes]\na = [\"AAA\", \"BBB\"]\n",
			"1 a 1\n  sha256:aaaa\n  sha256:bbbb\n"},
		{"poetry: a version to come", Poetry, "poetry.lock", "[metadata]\nlock-version = \"999.0\"\n", "error 0: version 999.0 of poetry.lock is not known\n"},
		{"pdm 4: static addresses, extras, sources", PDM, "pdm.lock", `[metadata]
lock_version = "4.5.0"

[[package]]
name = "requests"
version = "2"
extras = ["socks"]
requires_python = ">=3.8"
marker = "os_name == 'nt'"
files = [{url = "https://example.org/requests-2.tar.gz", hash = "sha256:AAA"}]

[[package]]
name = "v"
version = "1"
git = "https://example.org/v.git"
ref = "main"
revision = "abc"

[[package]]
name = "w"
version = "1"
url = "https://example.org/w-1.tar.gz"
files = [{url = "https://example.org/w-1.tar.gz", hash = "sha256:AAA"}]

[[package]]
name = "p"
version = "1"
path = "./dist/p-1.tar.gz"

[[package]]
name = "self"
version = "1"
editable = true
path = "."
`, `4 requests 2 os_name == 'nt' >=3.8
  requests-2.tar.gz https://example.org/requests-2.tar.gz sha256:aaaa
12 v 1 vcs git+https://example.org/v.git@abc
19 w 1 url https://example.org/w-1.tar.gz
  w-1.tar.gz https://example.org/w-1.tar.gz sha256:aaaa
25 p 1 path ./dist/p-1.tar.gz
30 self 1 itself .
`},
		{"pdm 3: files apart, by name and version", PDM, "pdm.lock", "[[package]]\nname = \"a\"\nversion = \"1\"\n[metadata]\nlock_version = \"3.1\"\n[metadata.files]\n\"a 1\" = [{file = \"a-1.tar.gz\", hash = \"sha256:AAA\"}]\n",
			"1 a 1\n  a-1.tar.gz sha256:aaaa\n"},
		{"Pipfile.lock", Pipenv, "Pipfile.lock", `{
  "_meta": {"pipfile-spec": 6, "sources": [{"name": "pypi", "url": "https://pypi.org/simple"}, {"name": "mine", "url": "https://example.org/simple"}]},
  "docs": {
    "sphinx": {"version": "==7.0", "hashes": ["sha256:AAA", "sha256:BBB"], "markers": "python_version > '3'"}
  },
  "default": {
    "mine": {"version": "==1", "index": "mine", "hashes": ["sha256:AAA"]},
    "star": {"version": "*", "hashes": ["sha256:BBB"]},
    "g": {"git": "https://example.org/g.git", "ref": "abc"},
    "u": {"file": "https://example.org/u-1.tar.gz", "hashes": ["sha256:AAA"]},
    "e1839a8": {"path": ".", "editable": true},
    "d": {"path": "./sub", "editable": true},
    "w": {"file": "dist/w-1-py3-none-any.whl"},
    "bad": "==1",
    "number": {"version": 1}
  },
  "develop": []
}
`, `4 sphinx 7.0 https://pypi.org/simple python_version > '3'
  sha256:aaaa
  sha256:bbbb
7 mine 1 https://example.org/simple
  sha256:aaaa
8 star https://pypi.org/simple
  sha256:bbbb
9 g vcs git+https://example.org/g.git@abc
10 u url https://example.org/u-1.tar.gz
  u-1.tar.gz https://example.org/u-1.tar.gz sha256:aaaa
11 e1839a8 itself .
12 d directory ./sub
13 w path dist/w-1-py3-none-any.whl
error 0: "develop" is not a section of packages
error 14: bad: not a JSON object
error 15: number: version is not a string
`},
		{"Pipfile.lock: a key twice", Pipenv, "Pipfile.lock", "{\"_meta\": {},\n\"default\": {\"a\": {},\n\"\\u0061\": {}}}", "error 3: not a Pipfile.lock: not valid JSON: byte 43: key \"a\" comes twice\n"},
		{"Pipfile.lock: a key in other letters", Pipenv, "Pipfile.lock", `{"_META": {}}`, "error 0: not a Pipfile.lock: no _meta\n"},
		{"Pipfile.lock: more behind the end", Pipenv, "Pipfile.lock", `{"_meta": {}} {}`, "error 1: not a Pipfile.lock: not valid JSON: byte 14: something after the end\n"},
		{"a name that is none", UV, "uv.lock", "version = 1\n[[package]]\nname = \"a b\x7f\"\n", "error 3: not a uv.lock: TOML files cannot contain control characters: '0x7f'\n"},
		{"a name that is none, in order", UV, "uv.lock", "version = 1\n[[package]]\nname = \"a\\u202Eb\"\n", "error 2: a\ufffdb: project name \"a\\u202eb\": letters, digits, '.', '_' and '-' only, with a letter or digit at both ends\n"},
		{"not TOML", PDM, "pdm.lock", "<<<<<<< HEAD\n", "error 1: not a pdm.lock: "},
		{"packages that are none", Poetry, "poetry.lock", "package = [1]\n", "error 0: package[0] is not a table\n"},
		{"no packages", Poetry, "poetry.lock", "package = 1\n", "error 0: package is not an array of tables\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, problems := Read(tt.form, tt.file, []byte(hashes.Replace(tt.text)))
			got := told(l, problems)
			if got != tt.want && !(strings.HasSuffix(tt.want, ": ") && strings.HasPrefix(got, tt.want)) {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestReadLimits(t *testing.T) {
	for _, tt := range []struct {
		name string
		form Form
		text string
		want string
	}{
		{"size", UV, strings.Repeat(" ", MaxSize+1), "larger than 16 MiB"},
		{"packages", UV, "version = 1\n" + strings.Repeat("[[package]]\nname = \"a\"\n", maxPackages+1), "more than 100000 packages"},
		{"depth of TOML", Poetry, "x = " + strings.Repeat("[", 1<<20), "deep"},
		{"depth of JSON", Pipenv, strings.Repeat(`{"a":`, 1<<20), "deep"},
		{"depth of arrays", Pipenv, `{"a":` + strings.Repeat(`[`, 1<<20), "deep"},
		{"values of JSON", Pipenv, `{"a": [` + strings.Repeat("0,", maxValues) + "0]}", "values"},
		{"a long version", UV, "version = 1\n[[package]]\nname = \"a\"\nversion = \"" + strings.Repeat("1", maxText+1) + "\"\n", "longer than"},
		{"a long address", UV, "version = 1\n[[package]]\nname = \"a\"\nsdist = { url = \"" + strings.Repeat("1", maxText+1) + "\" }\n", "longer than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, problems := Read(tt.form, "f", []byte(tt.text))
			if len(problems) != 1 || !strings.Contains(problems[0].Text, tt.want) {
				t.Errorf("%.3v", problems)
			}
		})
	}
}

// fuzz reads anything as a form, and holds what must be true of whatever is read.
func fuzz(f *testing.F, form Form, seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
	}
	root := "../../shared/data/reqs"
	filepath.WalkDir(root, func(name string, e os.DirEntry, err error) error {
		if err == nil && filepath.Base(name) == form.String() {
			if info, err := e.Info(); err == nil && info.Size() < 20_000 {
				data, _ := os.ReadFile(name)
				f.Add(string(data))
			}
		}
		return nil
	})
	f.Fuzz(func(t *testing.T, text string) {
		l, problems := Read(form, form.String(), []byte(text))
		lines := strings.Count(text, "\n") + 1
		for _, p := range l.Packages {
			if p.Line > lines || p.Project == "" && p.Source != Itself {
				t.Fatalf("%q: %+v", text, p)
			}
			for _, file := range p.Files {
				if file.Size < -1 || file.Name == "" && file.Path == "" && len(file.Hashes) == 0 && form != UV && form != PDM && form != Poetry {
					t.Fatalf("%q: %+v", text, file)
				}
			}
		}
		for _, p := range problems {
			if p.Line > lines || p.Text == "" || strings.ContainsAny(p.Text, "\n\x1b") {
				t.Fatalf("%q: %+v", text, p)
			}
		}
		if l.Form == 0 && len(problems) == 0 {
			t.Fatalf("%q: nothing is read, and nothing is wrong", text)
		}
	})
}

func FuzzPylock(f *testing.F) {
	fuzz(f, Pylock, "lock-version='1.0'\ncreated-by=''\n[[packages]]\nname='a'\nwheels=[{url='https://h/a-1-py3-none-any.whl',hashes={sha256='00'}}]\n")
}

func FuzzUV(f *testing.F) {
	fuzz(f, UV, "version=1\n[[package]]\nname='a'\nsource={git='x@y:z#1'}\nwheels=[{url='http://[::1',hash='x'}]\n")
}

func FuzzPoetry(f *testing.F) {
	fuzz(f, Poetry, "[[package]]\nname='a'\nmarkers={a='b'}\n[package.source]\ntype='git'\nurl='x'\n[metadata.hashes]\na=['0']\n")
}

func FuzzPDM(f *testing.F) {
	fuzz(f, PDM, "[[package]]\nname='a'\nversion='1'\nhg='x'\n[metadata.files]\n'a 1'=[{url='x/y',hash='z'}]\n")
}

func FuzzPipfile(f *testing.F) {
	fuzz(f, Pipenv, `{"_meta":{"sources":[{"name":"a","url":"b"}]},"default":{"x":{"version":"==1","hashes":["sha256:0"],"index":"a"},"y":{"git":"z@h:p"}}}`)
}
