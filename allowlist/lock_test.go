package allowlist

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	a64 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	b64 = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// readDir reads lists out of a folder that has these files.
func readDir(t *testing.T, files map[string]string, lists ...string) List {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		text = strings.NewReplacer("AAA", a64, "BBB", b64).Replace(text)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return Read(Sources{}, lists...)
}

// lockTold writes down what is wanted, with its files, and what is wrong.
func lockTold(l List) string {
	var b strings.Builder
	for _, w := range l.Wants {
		fmt.Fprintf(&b, "%v [%s %s]", w, w.Requirement, w.Kind)
		for _, v := range w.Via {
			fmt.Fprintf(&b, " via %s", v)
		}
		if w.URL != "" && w.Kind != Path {
			fmt.Fprintf(&b, " %s %v%v", w.URL, w.URLHashes, w.Hashes)
		}
		b.WriteString("\n")
		for _, f := range w.Files {
			fmt.Fprintf(&b, "  %q %q %.10q\n", f.Name, f.URL, f.Hashes["sha256"])
		}
	}
	for _, p := range l.Problems {
		fmt.Fprintf(&b, "%v\n", p)
	}
	return b.String()
}

const uvLock = `version = 1

[[package]]
name = "flask"
version = "3.0.0"
source = { registry = "https://joe:secret@example.org/simple" }
sdist = { url = "https://joe:secret@files.example.org/flask-3.0.0.tar.gz", hash = "sha256:AAA" }
wheels = [{ url = "https://files.example.org/flask-3.0.0-py3-none-any.whl", hash = "sha256:BBB" }]

[[package]]
name = "old"
version = "2004d"
source = { registry = "https://example.org/simple" }
sdist = { url = "https://files.example.org/old-2004d.tar.gz", hash = "sha256:AAA" }

[[package]]
name = "app"
version = "0.1"
source = { editable = "." }

[[package]]
name = "git-one"
version = "1"
source = { git = "https://joe:secret@example.org/x/y?rev=v1#0123abcd" }

[[package]]
name = "direct"
version = "1"
source = { url = "https://joe:secret@example.org/direct-1.tar.gz" }
sdist = { hash = "sha256:AAA" }

[[package]]
name = "member"
version = "2"
source = { editable = "packages/member" }
`

const uvTold = `:3: flask 3.0.0 [flask==3.0.0 index]
  "flask-3.0.0-py3-none-any.whl" "https://files.example.org/flask-3.0.0-py3-none-any.whl" "bbbbbbbbbb"
  "flask-3.0.0.tar.gz" "https://joe:secret@files.example.org/flask-3.0.0.tar.gz" "aaaaaaaaaa"
:10: old 2004d [old===2004d index]
  "old-2004d.tar.gz" "https://files.example.org/old-2004d.tar.gz" "aaaaaaaaaa"
:21: git-one 1 at git+https://joe:****@example.org/x/y@0123abcd [git-one vcs] git+https://joe:secret@example.org/x/y@0123abcd map[]map[]
:26: direct 1 at https://joe:****@example.org/direct-1.tar.gz [direct archive] https://joe:secret@example.org/direct-1.tar.gz map[sha256:` + a64 + `]map[]
:32: member 2 at packages/member [member path]
`

func TestLock(t *testing.T) {
	got := lockTold(readDir(t, map[string]string{"uv.lock": uvLock}, "uv.lock"))
	want := strings.ReplaceAll("\n"+uvTold, "\n:", "\nuv.lock:")[1:]
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A list may include a lock file, as pip 26.1 takes one with -r.
func TestLockIncluded(t *testing.T) {
	l := readDir(t, map[string]string{"list.txt": "-r locks.txt\nflask\n", "locks.txt": "\n-r uv.lock\n", "uv.lock": uvLock}, "list.txt")
	if len(l.Problems) > 0 || len(l.Wants) != 6 || l.Wants[5].Position.String() != "list.txt:2" {
		t.Fatalf("%s", lockTold(l))
	}
	if w := l.Wants[0]; w.String() != "uv.lock:3: flask 3.0.0" || fmt.Sprint(w.Via) != "[list.txt:1 locks.txt:2]" || len(w.Files) != 2 {
		t.Errorf("%v %v", w, w.Via)
	}
	path := l.Wants[4]
	if dir, _ := os.Getwd(); path.Kind != Path || path.Path != filepath.Join(dir, "packages", "member") {
		t.Errorf("%+v", path)
	}
}

func TestLockFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"a lock file as constraint", map[string]string{"list.txt": "-c uv.lock\n", "uv.lock": uvLock},
			"uv.lock: a lock file cannot be a constraint file\n"},
		{"no such file", map[string]string{"list.txt": "-r pylock.toml\n"},
			"list.txt:1: include pylock.toml: no such file or directory\n"},
		{"not a lock file", map[string]string{"list.txt": "-r pylock.toml\n", "pylock.toml": "flask==3\n"},
			"pylock.toml:1: not a pylock.toml: "},
		{"one faulty entry", map[string]string{"list.txt": "-r pylock.toml\n", "pylock.toml": "lock-version = \"1.0\"\ncreated-by = \"x\"\n[[packages]]\nname = \"a\"\n[[packages]]\nname = \"b\"\nsdist = { url = \"https://h/b-1.tar.gz\", hashes = { sha256 = \"AAA\" } }\n"},
			"pylock.toml:5: b [b==1 index] via list.txt:1\n  \"b-1.tar.gz\" \"https://h/b-1.tar.gz\" \"aaaaaaaaaa\"\npylock.toml:3: a: neither wheels nor sdist, and not one of vcs, directory and archive\n"},
		{"what no file can have", map[string]string{"list.txt": "-r poetry.lock\n", "poetry.lock": "[[package]]\nname = \"a\"\nversion = \"1\"\nfiles = [{file = \"a-1.tar.gz\", hash = \"sha256:abc\"}, {file = \"a-1.zip\", hash = \"sha256:AAA\"}]\n[[package]]\nname = \"b\"\nversion = \"1\"\nfiles = [{file = \"b-1.tar.gz\", hash = \"sha256:xyz\"}]\n"},
			"poetry.lock:1: a 1 [a==1 index] via list.txt:1\n  \"a-1.zip\" \"\" \"aaaaaaaaaa\"\npoetry.lock:1: a 1: a-1.tar.gz: its sha256 digest is not 64 hexadecimal digits, so no file can have it\npoetry.lock:5: b 1: b-1.tar.gz: its sha256 digest is not 64 hexadecimal digits, so no file can have it\n"},
		{"no hashes", map[string]string{"list.txt": "-r poetry.lock\n", "poetry.lock": "[[package]]\nname = \"a\"\nversion = \"1\"\nfiles = [{file = \"a-1.tar.gz\"}]\n[[package]]\nname = \"b\"\nversion = \"1\"\n[[package]]\nname = \"c\"\n"},
			"poetry.lock:1: a 1 [a==1 index] via list.txt:1\n  \"a-1.tar.gz\" \"\" \"\"\npoetry.lock:5: b 1 [b==1 index] via list.txt:1\npoetry.lock:1: warning: a 1: the lock file has no hash for 1 of its files, so that what the upstream has under these names is taken\npoetry.lock:5: warning: b 1: the lock file names no files of it, so that all of this version are taken\npoetry.lock:8: c: the lock file names neither a version nor a file of it\n"},
		{"no hashes where they are required", map[string]string{"list.txt": "--require-hashes\n-r poetry.lock\n", "poetry.lock": "[[package]]\nname = \"a\"\nversion = \"1\"\nfiles = [{file = \"a-1.tar.gz\"}]\n[[package]]\nname = \"b\"\nversion = \"1\"\nfiles = [{file = \"b-1.tar.gz\", hash=\"sha256:AAA\"}]\n"},
			"poetry.lock:5: b 1 [b==1 index] via list.txt:2\n  \"b-1.tar.gz\" \"\" \"aaaaaaaaaa\"\npoetry.lock:1: warning: a 1: the lock file has no hash for 1 of its files, so that what the upstream has under these names is taken\npoetry.lock:1: no --hash, and --require-hashes is given\n"},
		{"addresses of odd kinds", map[string]string{"list.txt": "-r pdm.lock\n", "pdm.lock": "[[package]]\nname = \"a\"\nversion = \"1\"\nurl = \"gopher://h/a-1.tar.gz\"\n[[package]]\nname = \"b\"\nversion = \"1\"\ngit = \"rsync://h/x\"\n[[package]]\nname = \"c\"\nversion = \"1\"\nfiles = [{url = \"file:///etc/c-1.tar.gz\", hash = \"sha256:AAA\"}]\n[[package]]\nname = \"d\"\nversion = \"1 or so\"\n"},
			"pdm.lock:9: c 1 [c==1 index] via list.txt:1\n  \"c-1.tar.gz\" \"\" \"aaaaaaaaaa\"\npdm.lock:1: a 1 at gopher://h/a-1.tar.gz: not an address that can be fetched\npdm.lock:5: b 1 at git+rsync://h/x: unknown scheme \"git+rsync\"\npdm.lock:13: d 1 or so: not a version that can be pinned: specifier \"===1 or so\": "},
		{"hashes without names, and the same entry for an extra", map[string]string{"list.txt": "-r Pipfile.lock\n", "Pipfile.lock": `{"_meta": {}, "default": {"a": {"version": "==1", "hashes": ["sha256:AAA", "sha256:BBB"]},
"u": {"file": "https://h/u-1.zip", "hashes": ["sha256:AAA", "sha256:BBB"]}}, "develop": {
"a": {"version": "==1", "hashes": ["sha256:AAA", "sha256:BBB"], "extras": ["x"]}}}`},
			"Pipfile.lock:1: a 1 [a==1 index] via list.txt:1\n  \"\" \"\" \"aaaaaaaaaa\"\n  \"\" \"\" \"bbbbbbbbbb\"\nPipfile.lock:2: u at https://h/u-1.zip [u archive] via list.txt:1 https://h/u-1.zip map[]map[sha256:[" + a64 + " " + b64 + "]]\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := readDir(t, tt.files, "list.txt")
			got := lockTold(l)
			if got != tt.want && !(!strings.HasSuffix(tt.want, "\n") && strings.HasPrefix(got, tt.want)) {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if tt.name == "one faulty entry" && (l.Partial() || !l.Failed()) {
				t.Error("a faulty entry of a lock file costs only itself")
			}
		})
	}
}

// What a lock file holds counts as lines of a list do.
func TestLockLimits(t *testing.T) {
	var b strings.Builder
	b.WriteString("version = 1\n")
	for i := range 5 {
		fmt.Fprintf(&b, "[[package]]\nname = \"a%d\"\nversion = \"1\"\n", i)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "uv.lock")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	most := usual
	most.lines = 3
	l := read(Sources{}, most, []string{file})
	if len(l.Wants) != 3 || !slices.ContainsFunc(l.Problems, func(p Problem) bool { return strings.Contains(p.Text, "more than 3 lines") }) {
		t.Error(lockTold(l))
	}
	most = usual
	most.file = 20
	if l := read(Sources{}, most, []string{file}); len(l.Wants) != 0 || !l.Failed() {
		t.Error(lockTold(l))
	}
}
