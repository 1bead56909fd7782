package nestgen

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// A lockEntry is a package of a uv.lock with one file, whose digest may be another
// than that of the bytes, and whose address may be missing.
type lockEntry struct {
	file    fetchtest.File
	sha256  string
	address string
}

// uvLock writes a uv.lock; each entry has five lines, the first from line 2 on.
func uvLock(entries ...lockEntry) string {
	var b strings.Builder
	b.WriteString("version = 1\n")
	for _, e := range entries {
		sha := e.sha256
		if sha == "" {
			sha = fetchtest.SHA256(e.file.Data)
		}
		at := fmt.Sprintf("url = %q", e.address)
		if e.address == "" {
			at = fmt.Sprintf("filename = %q", e.file.Filename)
		}
		version := strings.Split(e.file.Filename, "-")[1]
		fmt.Fprintf(&b, "[[package]]\nname = %q\nversion = %q\nsource = { registry = \"https://pypi.org/simple\" }\nwheels = [{ %s, hash = \"sha256:%s\" }]\n", e.file.Project, version, at, sha)
	}
	return b.String()
}

// tagged is a wheel for one platform.
func tagged(name, version, tag string) fetchtest.File {
	return wheel(name, version, intaketest.Opts{Tag: tag})
}

// A lock file gets just the files that it names, wherever they are: two upstreams
// and an address that only the lock file knows, with a token that nobody is told.
func TestLockFile(t *testing.T) {
	a1, a1mac, a2 := tagged("a", "1.0", "py3-none-manylinux_2_17_x86_64"), tagged("a", "1.0", "py3-none-macosx_11_0_arm64"), wheel("a", "2.0", plain)
	b, c := wheel("b", "1.0", plain), wheel("c", "1.0", plain)
	first, second := fetchtest.New(t, a1, a1mac, a2), fetchtest.New(t, b)
	asked := 0
	third := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
		if _, password, _ := q.BasicAuth(); password != canary || q.URL.Query().Get("token") != canary {
			rw.WriteHeader(http.StatusForbidden)
			return
		}
		asked++
		rw.Write(c.Data)
	}))
	t.Cleanup(third.Close)
	secret := strings.Replace(third.URL, "http://", "http://joe:"+canary+"@", 1) + "/" + c.Filename + "?token=" + canary

	w := newWorld(t, first, second)
	w.Allowlist = []string{w.path("uv.lock")}
	w.write("uv.lock", uvLock(lockEntry{file: a1, address: "https://gone.example/" + a1.Filename}, lockEntry{file: b}, lockEntry{file: c, address: secret}))
	r := w.build(0)
	w.lists(a1.Filename, b.Filename, c.Filename)
	if found := w.whoHas("site", "state"); len(found) > 0 || strings.Contains(problemText(r), canary) {
		t.Errorf("the token is in %q and in the report\n%s", found, problemText(r))
	}
	if r := w.build(0); r.changes() || asked != 1 {
		t.Errorf("a second build changes %t, and asks %d times for what it has", r.changes(), asked)
	}

	// A list beside it adds to it, and includes it as pip takes a pylock.toml.
	w.Allowlist = []string{w.path("allowlist.txt")}
	w.write("allowlist.txt", "-r uv.lock\na\n")
	w.build(0)
	w.lists(a1.Filename, a2.Filename, b.Filename, c.Filename)

	// What it does not name any more leaves.
	w.write("uv.lock", uvLock(lockEntry{file: a1mac}, lockEntry{file: b}))
	w.write("allowlist.txt", "-r uv.lock\n")
	w.build(0)
	w.lists(a1mac.Filename, b.Filename)
}

// What a lock file names and nobody has is told with its line and its hash, and
// costs nothing else.
func TestLockFileOfWhatNobodyHas(t *testing.T) {
	t.Parallel()
	a, gone, other, lost := wheel("a", "1.0", plain), wheel("gone", "1.0", plain), wheel("other", "1.0", plain), wheel("lost", "1.0", plain)
	zeros := strings.Repeat("0", 64)
	srv := fetchtest.New(t, a, wheel("gone", "2.0", plain), other)
	third := fetchtest.New(t)
	w := newWorld(t, srv)
	w.Allowlist = []string{w.path("uv.lock")}
	w.write("uv.lock", uvLock(
		lockEntry{file: a}, lockEntry{file: gone}, lockEntry{file: other, sha256: zeros}, lockEntry{file: wheel("nowhere", "1.0", plain)},
		lockEntry{file: lost, address: third.URL + "/" + lost.Filename}, lockEntry{file: fetchtest.File{Project: "b", Filename: other.Filename, Data: other.Data}},
	))
	r := w.build(3)
	w.lists(a.Filename)
	hash := func(f fetchtest.File) string { return f.Filename + " (sha256:" + fetchtest.SHA256(f.Data) + ")" }
	for _, text := range []string{
		"uv.lock:7: gone 1.0: up1 does not have " + hash(gone) + ", and the lock file has no address of it",
		"uv.lock:12: other 1.0: up1 has other bytes than other-1.0-py3-none-any.whl (sha256:" + zeros + ")",
		"uv.lock:17: nowhere 1.0: no upstream has the project, and the lock file has no address of nowhere-1.0-py3-none-any.whl",
		"uv.lock:22: lost 1.0: ",
		"uv.lock:27: b 1.0: ",
	} {
		w.tells(r, "incomplete", text)
	}
	w.tells(r, "incomplete", fetchtest.SHA256(lost.Data))
	if len(r.Problems) != 5 {
		t.Errorf("more is told:\n%s", problemText(r))
	}
}

// The bytes that a lock file names come from its address where the upstream has
// others under the name; what comes from there must be just these.
func TestLockFileNamesTheBytes(t *testing.T) {
	t.Parallel()
	theirs := wheel("a", "1.0", plain)
	locked := wheel("a", "1.0", intaketest.Opts{Summary: "as it was locked"})
	srv, third := fetchtest.New(t, theirs), fetchtest.New(t, locked)
	w := newWorld(t, srv)
	w.Allowlist = []string{w.path("uv.lock")}
	entry := lockEntry{file: locked, address: third.URL + third.Path(locked.Filename)}
	w.write("uv.lock", uvLock(entry))
	r := w.build(0)
	w.tells(r, "warning", "uv.lock:2: a 1.0: up1 offers other bytes under the name "+locked.Filename)
	w.lists(locked.Filename)
	if got := w.page("a").Files[0].Hashes["sha256"]; got != fetchtest.SHA256(locked.Data) {
		t.Errorf("listed with sha256 %s", got)
	}
	w.build(0)
	w.lists(locked.Filename)

	w = newWorld(t, fetchtest.New(t))
	w.Allowlist = []string{w.path("uv.lock")}
	entry.sha256 = strings.Repeat("0", 64)
	w.write("uv.lock", uvLock(entry))
	r = w.build(6)
	w.tells(r, "alarm", entry.sha256)
	w.lists()
}

// Where the upstream does not say enough, the bytes are held against the lock file.
func TestLockFileAgainstTheBytes(t *testing.T) {
	t.Parallel()
	weak, silent, wrong := wheel("weak", "1.0", plain), wheel("silent", "1.0", plain), wheel("wrong", "1.0", plain)
	weak.MD5, silent.NoHash, wrong.NoHash = true, true, true
	w := newWorld(t, fetchtest.New(t, weak, silent, wrong))
	w.Allowlist = []string{w.path("uv.lock")}
	w.write("uv.lock", uvLock(lockEntry{file: weak}, lockEntry{file: silent}, lockEntry{file: wrong, sha256: strings.Repeat("0", 64)}))
	r := w.build(6)
	w.tells(r, "alarm", wrong.Filename)
	w.lists(weak.Filename, silent.Filename)
	w.write("uv.lock", uvLock(lockEntry{file: weak}, lockEntry{file: silent}))
	if r := w.build(0); r.changes() {
		t.Error("a second build changes something")
	}
}

// A lock file that tells only hashes selects by them.
func TestLockFileByHash(t *testing.T) {
	t.Parallel()
	mac, linux := tagged("a", "1.0", "py3-none-macosx_11_0_arm64"), tagged("a", "1.0", "py3-none-manylinux_2_17_x86_64")
	silent, alike := wheel("b", "1.0", plain), wheel("b", "2.0", plain)
	silent.NoHash, alike.NoHash = true, true
	w := newWorld(t, fetchtest.New(t, mac, linux, wheel("a", "2.0", plain), silent, alike))
	w.Allowlist = []string{w.path("Pipfile.lock")}
	lock := func(more string) string {
		return fmt.Sprintf(`{"_meta": {}, "default": {
"a": {"version": "==1.0", "hashes": ["sha256:%s"%s]},
"b": {"version": "==1.0", "hashes": ["sha256:%s"]}}}`, fetchtest.SHA256(linux.Data), more, fetchtest.SHA256(silent.Data))
	}
	w.write("Pipfile.lock", lock(""))
	w.build(0)
	w.lists(linux.Filename, silent.Filename)
	zeros := strings.Repeat("0", 64)
	w.write("Pipfile.lock", lock(`, "sha256:`+zeros+`", "sha256:`+fetchtest.SHA256(mac.Data)+`"`))
	r := w.build(3)
	w.tells(r, "incomplete", "Pipfile.lock:2: a 1.0: up1 does not have the file with sha256:"+zeros)
	w.lists(linux.Filename, mac.Filename, silent.Filename)
}

// The policy has the last word, on what comes from an address too.
func TestLockFileAndPolicy(t *testing.T) {
	t.Parallel()
	a, b := wheel("a", "1.0", plain), wheel("b", "1.0", plain)
	srv, third := fetchtest.New(t, a), fetchtest.New(t, b)
	w := newWorld(t, srv)
	w.Allowlist = []string{w.path("uv.lock")}
	w.write("uv.lock", uvLock(lockEntry{file: a, address: srv.URL + srv.Path(a.Filename)}, lockEntry{file: b, address: third.URL + third.Path(b.Filename)}))
	w.write("policy.toml", "[[block]]\nproject = \"a\"\nreason = \"malware\"\n[[block]]\nproject = \"b\"\nreason = \"malware\"\n")
	r := w.build(0)
	w.tells(r, "warning", "uv.lock:2: a==1.0: the policy blocks every file that fits")
	w.tells(r, "warning", "uv.lock:7: b==1.0: the policy blocks every file that fits")
	w.lists()
	if n := len(third.Requests("")); n != 0 {
		t.Errorf("%d requests for what is blocked", n)
	}
	w.write("policy.toml", "")
	w.build(0)
	w.lists(a.Filename, b.Filename)
}

// Under a name of this site's own only the drop folders can have what is locked.
func TestLockFileOfOwnNames(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("mine", "1.0", plain))
	w := newWorld(t, srv)
	w.Allowlist = []string{w.path("uv.lock")}
	name, data := intaketest.Wheel("mine", "1.0", plain)
	file := fetchtest.File{Project: "mine", Filename: name, Data: data}
	w.drop("mine", "1.0", plain)
	w.write("uv.lock", uvLock(lockEntry{file: file}))
	w.build(0)
	w.build(0)
	w.lists(name)
	zeros := strings.Repeat("0", 64)
	w.write("uv.lock", uvLock(lockEntry{file: file, sha256: zeros, address: srv.URL + "/" + name}))
	r := w.build(3)
	w.tells(r, "incomplete", "uv.lock:2: mine 1.0: the drop folders do not have "+name+" (sha256:"+zeros+")")
	if len(r.Problems) != 1 || len(srv.Requests("")) != 0 {
		t.Errorf("%d requests; problems:\n%s", len(srv.Requests("")), problemText(r))
	}
}

// What is not a file of an index is treated like a line of its kind, and the locked
// project itself is no news. Constraints and options narrow a lock file.
func TestLockFileOfOtherThings(t *testing.T) {
	t.Parallel()
	a, b, c := wheel("a", "1.0", plain), wheel("b", "1.0", plain), wheel("c", "1.0", plain)
	srv := fetchtest.New(t, a, b, c)
	w := newWorld(t, srv)
	w.write("allowlist.txt", "--no-binary c\n-c constraints.txt\n-r poetry.lock\n")
	w.write("constraints.txt", "a < 1\n")
	entry := func(f fetchtest.File) string {
		return fmt.Sprintf("[[package]]\nname = %q\nversion = \"1.0\"\nfiles = [{file = %q, hash = \"sha256:%s\"}]\n", f.Project, f.Filename, fetchtest.SHA256(f.Data))
	}
	w.write("poetry.lock", entry(a)+entry(c)+`[[package]]
name = "repo"
version = "1"
source = {type = "git", url = "https://git.example/repo.git", resolved_reference = "abc"}
[[package]]
name = "folder"
version = "1"
source = {type = "directory", url = "../folder"}
[[package]]
name = "self"
version = "1"
source = {type = "directory", url = "."}
[[package]]
name = "b"
version = "1.0"
source = {type = "url", url = "`+srv.URL+srv.Path(b.Filename)+`"}
`)
	r := w.build(3)
	w.tells(r, "incomplete", "poetry.lock:1: a 1.0: the constraints of the allowlist do not allow "+a.Filename)
	w.tells(r, "warning", "poetry.lock:9: repo 1 at git+https://git.example/repo.git@abc: a repository is not mirrored")
	w.tells(r, "incomplete", "poetry.lock:13: folder 1 at ../folder: a path of this machine cannot be fetched")
	w.tells(r, "warning", "poetry.lock:21: b 1.0 at")
	if len(r.Problems) != 4 {
		t.Errorf("more is told:\n%s", problemText(r))
	}
	w.lists(b.Filename)
	if !strings.Contains(w.read("site/easy/index.html"), "git+https://git.example/repo.git@abc") {
		t.Error("the repository is no development link")
	}
}

// What a lock file has at a path, as "nestgen lock" writes it without base_url, is
// had from the upstream by its hash, or from a drop folder.
func TestLockFileAtAPath(t *testing.T) {
	t.Parallel()
	a, b := wheel("a", "1.0", plain), wheel("b", "1.0", plain)
	w := newWorld(t, fetchtest.New(t, a))
	w.Allowlist = []string{w.path("pylock.toml")}
	text := "lock-version = \"1.0\"\ncreated-by = \"test\"\n"
	for _, f := range []fetchtest.File{a, b} {
		text += fmt.Sprintf("[[packages]]\nname = %q\nwheels = [{ path = \"wheels/%s\", hashes = { sha256 = %q } }]\n", f.Project, f.Filename, fetchtest.SHA256(f.Data))
	}
	w.write("pylock.toml", text)
	r := w.build(3)
	w.tells(r, "incomplete", "pylock.toml:6: b: no upstream has the project, and the lock file has no address of "+b.Filename)
	w.tells(r, "incomplete", "the lock file has it at wheels/"+b.Filename+": put it into a drop folder")
	w.lists(a.Filename)
	w.drop("b", "1.0", plain)
	w.build(0)
	w.lists(a.Filename, b.Filename)
}

// An entry that cannot be read may be the one that wants what is here.
func TestLockFileWithAFault(t *testing.T) {
	t.Parallel()
	a, b := wheel("a", "1.0", plain), wheel("b", "1.0", plain)
	w := newWorld(t, fetchtest.New(t, a, b))
	w.Allowlist = []string{w.path("uv.lock")}
	w.write("uv.lock", uvLock(lockEntry{file: a}))
	w.build(0)
	w.write("uv.lock", strings.Replace(uvLock(lockEntry{file: a}, lockEntry{file: b}), `"1.0"`, "1.0", 1))
	r := w.build(3)
	w.tells(r, "incomplete", "uv.lock:2: a: version is not a string")
	w.lists(a.Filename, b.Filename)
	w.write("uv.lock", "<<<<<<< HEAD\n")
	r = w.build(3)
	w.tells(r, "incomplete", "uv.lock:1: not a uv.lock")
	w.lists(a.Filename, b.Filename)
}

// What a project says of its needs is a list too.
func TestProjectAsList(t *testing.T) {
	t.Parallel()
	a, b, c := wheel("a", "1.0", plain), wheel("b", "1.0", plain), wheel("c", "1.0", plain)
	w := newWorld(t, fetchtest.New(t, a, b, c))
	w.write("app/pyproject.toml", "[project]\nname = \"app\"\ndependencies = [\"a\"]\n[project.optional-dependencies]\nx = [\"b\"]\n[dependency-groups]\ndev = [\n\"c\",\n\"d\"]\n")
	w.Allowlist = []string{w.path("app/pyproject.toml") + "[x]"}
	w.write("allowlist.txt", "-r app/pyproject.toml:dev\n")
	w.build(0)
	w.lists(a.Filename, b.Filename)
	w.Allowlist = append(w.Allowlist, w.path("allowlist.txt"))
	r := w.build(3)
	w.tells(r, "incomplete", "app/pyproject.toml:9: d: no upstream has a project of this name")
	w.lists(a.Filename, b.Filename, c.Filename)
}

// A list that is completed with what it needs keeps to what a lock file names, takes
// it from its address where nobody else has it, and adds what that does not name.
func TestLockFileCompleted(t *testing.T) {
	t.Parallel()
	a, b1, b2, c, d := needing("a", "1.0", "b", "c", "d"), needing("b", "1.0"), needing("b", "2.0"), needing("c", "1.0"), needing("d", "1.0", "b")
	b1mac := wheel("b", "1.0", intaketest.Opts{Tag: "cp312-cp312-macosx_11_0_arm64"})
	third := fetchtest.New(t, c)
	w, _ := completing(t, "-r uv.lock\n", a, b1, b1mac, b2, d)
	w.write("uv.lock", uvLock(lockEntry{file: a}, lockEntry{file: b1}, lockEntry{file: c, address: third.URL + third.Path(c.Filename)}))
	w.build(0)
	w.lists(a.Filename, b1.Filename, c.Filename, d.Filename)
	if r := w.build(0); r.changes() {
		t.Error("a second build changes something")
	}
}
