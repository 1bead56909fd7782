package drop

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nestgen/packaging"
)

// put makes a file, and the folders above it.
func put(t testing.TB, dir, name, content string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scanned scans and closes at the end of the test.
func scanned(t testing.TB, cache string, dirs ...string) *View {
	t.Helper()
	return scannedBy(t, Options{}, cache, dirs...)
}

func scannedBy(t testing.TB, o Options, cache string, dirs ...string) *View {
	t.Helper()
	v, err := Scan(context.Background(), dirs, cache, o)
	check(t, err)
	t.Cleanup(func() { v.Close() })
	return v
}

// take inspects everything that changed, as a build does: files whose content
// begins with "bad" are rejected.
func take(t testing.TB, v *View) {
	t.Helper()
	for e, err := range v.Changed() {
		check(t, err)
		if e.Kind == Snippet {
			if _, err := v.ReadLinks(e); err != nil && !errors.Is(err, ErrSkipped) {
				t.Fatal(err)
			}
			continue
		}
		if err := v.Inspect(e, judge(e)); err != nil && !errors.Is(err, ErrSkipped) {
			t.Fatal(err)
		}
	}
}

func judge(e Entry) func(f *File) (Outcome, error) {
	return func(f *File) (Outcome, error) {
		data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
		if err != nil {
			return Outcome{}, err
		}
		o := Outcome{Verdict: Accepted, SHA256: sha256.Sum256(data)}
		name, _, _ := strings.Cut(e.Filename(), "-")
		o.Project = packaging.NormalizeName(name)
		if strings.HasPrefix(string(data), "bad") {
			o = Outcome{Verdict: Rejected, SHA256: o.SHA256, Reason: "corrupt archive", Hint: "build it again"}
		}
		return o, nil
	}
}

// list gives the entries in short: state, path, verdict.
func list(t testing.TB, seq func(func(Entry, error) bool)) []string {
	t.Helper()
	var out []string
	for e, err := range seq {
		check(t, err)
		s := e.State.String() + " " + e.Path
		if e.Verdict == Rejected {
			s += " rejected"
		}
		out = append(out, s)
	}
	return out
}

func want(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// short gives notes as "path below dir: reason".
func short(dir string, notes []Note) []string {
	var out []string
	for _, n := range notes {
		out = append(out, strings.TrimPrefix(n.String(), dir+"/"))
	}
	return out
}

func TestFileTypes(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"foo-1.0-py3-none-any.whl", "foo-1.0.tar.gz", "foo-1.0.WHL", "foo-1.0.tar.zst", "foo-1.0.tar.Z",
		"foo-1.0-py2.7.egg", "foo-1.0.win32.exe", "sub/deep/foo-1.1.zip", "sub.x/foo-1.2.zip", "sub/foo-1.3.tgz",
		"a folder of ours/bar-1.0.zip",
		"foo.svn",

		"README", "README.md", "notes.txt", "foo.txt.gz", ".tar.gz", ".hidden", "._foo-1.0.zip", ".git/config",
		"foo-2.0.zip~", ".#foo-2.0.zip", "foo-2.0.whl.part", "foo-2.0.zip.tmp", ".nfs0000000000000042", "my notes.doc",
		"lost+found/foo-7.0.zip", "cafe\u0301.txt",

		"-foo-1.0.tar.gz", "a b-1.0.zip", "x%2f-1.0.zip", ".foo-1.0.zip", "caf\u00e9-1.0.zip", "bad\xff-1.0.zip", "ctl\x1b.txt",
		"new\nline-1.0.zip", "folder.whl/x", "repo.git/config",

		"foo-1.0.tar.gz.asc", "foo-1.0.tar.gz.provenance", "foo-1.0-py3-none-any.whl.metadata", "gone-1.0.zip.asc",
		"README.asc", "link-1.0.zip.asc",
	} {
		put(t, dir, name, "content of "+name)
	}
	check(t, os.Symlink("foo-1.0.tar.gz", filepath.Join(dir, "link-1.0.zip")))
	check(t, os.Symlink("loop-1.0.zip", filepath.Join(dir, "loop-1.0.zip")))
	check(t, os.Symlink("/etc", filepath.Join(dir, "etc")))
	check(t, os.Symlink("nowhere", filepath.Join(dir, ".#lock")))
	check(t, unix.Mkfifo(filepath.Join(dir, "fifo-1.0.zip"), 0o644))
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	check(t, err)
	defer unix.Close(sock)
	check(t, unix.Bind(sock, &unix.SockaddrUnix{Name: filepath.Join(dir, "sock-1.0.zip")}))
	device := unix.Mknod(filepath.Join(dir, "device-1.0.zip"), unix.S_IFCHR|0o600, 1<<8|3) == nil
	check(t, os.Link(filepath.Join(dir, "foo-1.0.tar.gz"), filepath.Join(dir, "hard-1.0.tar.gz")))

	v := scanned(t, filepath.Join(t.TempDir(), "c"), dir)
	want(t, "entries", list(t, v.Entries()),
		"new a folder of ours/bar-1.0.zip",
		"new foo-1.0-py2.7.egg",
		"new foo-1.0-py3-none-any.whl",
		"new foo-1.0.WHL",
		"new foo-1.0.tar.Z",
		"new foo-1.0.tar.gz",
		"new foo-1.0.tar.zst",
		"new foo-1.0.win32.exe",
		"new foo.svn",
		"new hard-1.0.tar.gz",
		"new sub/deep/foo-1.1.zip",
		"new sub/foo-1.3.tgz",
		"new sub.x/foo-1.2.zip",
	)
	r := v.Report()
	rejected := []string{
		"-foo-1.0.tar.gz: file name begins with \"-\"",
		".foo-1.0.zip: file name begins with \".\"",
		"a b-1.0.zip: file name holds ' '",
		fmt.Sprintf("%q", dir+"/bad\xff-1.0.zip") + ": file name is not UTF-8",
		"caf\u00e9-1.0.zip: file name holds '\u00e9'",
		fmt.Sprintf("%q", dir+"/ctl\x1b.txt") + ": file name holds a control character",
		"etc: a symbolic link",
		"fifo-1.0.zip: a FIFO, not a file",
		"folder.whl: a folder with the name of a file",
		"link-1.0.zip: a symbolic link",
		"loop-1.0.zip: a symbolic link",
		fmt.Sprintf("%q", dir+"/new\nline-1.0.zip") + ": file name holds '\\n'",
		"repo.git: a folder with the name of a file",
		"sock-1.0.zip: a socket, not a file",
		"x%2f-1.0.zip: file name holds '%'",
	}
	if device {
		rejected = slices.Insert(rejected, 6, "device-1.0.zip: a device, not a file")
	}
	want(t, "rejected (FN-6, §7 row 22)", short(dir, r.Rejected), rejected...)
	want(t, "ignored", short(dir, r.Ignored),
		".#foo-2.0.zip: hidden",
		".#lock: hidden or temporary, and a symbolic link",
		"._foo-1.0.zip: hidden",
		".git: hidden or temporary folder",
		".hidden: hidden",
		".nfs0000000000000042: hidden",
		".tar.gz: hidden",
		"README: not a distribution by its ending",
		"README.asc: not a distribution by its ending",
		"README.md: not a distribution by its ending",
		"cafe\u0301.txt: not a distribution by its ending",
		"foo-2.0.whl.part: temporary file of an editor or a transfer",
		"foo-2.0.zip.tmp: temporary file of an editor or a transfer",
		"foo-2.0.zip~: temporary file of an editor or a transfer",
		"foo.txt.gz: not a distribution by its ending",
		"gone-1.0.zip.asc: no gone-1.0.zip beside it",
		"link-1.0.zip.asc: no link-1.0.zip beside it",
		"lost+found: belongs to the file system",
		"my notes.doc: not a distribution by its ending",
		"notes.txt: not a distribution by its ending",
	)
	for e, err := range v.Entries() {
		check(t, err)
		has := fmt.Sprint(!e.Signature.IsZero(), !e.Metadata.IsZero(), !e.Provenance.IsZero())
		exp := map[string]string{"foo-1.0.tar.gz": "true false true", "foo-1.0-py3-none-any.whl": "false true false"}[e.Path]
		if exp == "" {
			exp = "false false false"
		}
		if has != exp {
			t.Errorf("%s: companions %s, want %s", e.Path, has, exp)
		}
		if (e.Kind == Snippet) != (e.Path == "foo.svn") {
			t.Errorf("%s: kind %d", e.Path, e.Kind)
		}
		fi, err := os.Stat(e.Name())
		check(t, err)
		if e.Size != fi.Size() || e.MTime != fi.ModTime().UnixNano() || e.Inode != fi.Sys().(*syscall.Stat_t).Ino || e.FirstSeen() == 0 {
			t.Errorf("%s: %+v is not what stat says", e.Path, e.Stat)
		}
	}
}

// A second scan finds everything as it was, and what happens to a file shows.
func TestStates(t *testing.T) {
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "c")
	for _, n := range []string{"a/b-1.0.zip", "a-1.0.zip", "a-2.0.zip", "bad-1.0.zip", "c/d/e-1.0.zip", "z-1.0.zip"} {
		put(t, dir, n, n)
	}
	v := scanned(t, cache, dir)
	if !errors.Is(v.Cold(), fs.ErrNotExist) || !v.Complete() {
		t.Errorf("first scan: Cold %v, Complete %v", v.Cold(), v.Complete())
	}
	take(t, v)
	want(t, "left to inspect", list(t, v.Changed()))
	d0, err := v.Digest()
	check(t, err)
	check(t, v.Save())
	if d, err := v.Digest(); d != d0 || err != nil {
		t.Errorf("digest %s before Save, %s after, %v", d0, d, err)
	}
	var recorded []Entry
	for e, err := range v.Entries() {
		check(t, err)
		recorded = append(recorded, e)
	}
	v.Close()

	// Nothing happened.
	fi, err := os.Stat(cache)
	check(t, err)
	v = scanned(t, cache, dir)
	if v.Cold() != nil {
		t.Errorf("second scan: Cold %v", v.Cold())
	}
	want(t, "changed", list(t, v.Changed()))
	want(t, "gone", list(t, v.Gone()))
	want(t, "entries", list(t, v.Entries()),
		"known a/b-1.0.zip", "known a-1.0.zip", "known a-2.0.zip", "known bad-1.0.zip rejected", "known c/d/e-1.0.zip", "known z-1.0.zip")
	want(t, "rejected in an earlier run", short(dir, v.Report().Rejected), "bad-1.0.zip: corrupt archive")
	i := 0
	for e, err := range v.Entries() {
		check(t, err)
		if e != recorded[i] {
			t.Errorf("entry remembered as\n%+v, was\n%+v", e, recorded[i])
		}
		i++
	}
	if d, err := v.Digest(); d != d0 || err != nil {
		t.Errorf("digest %s, was %s, %v", d, d0, err)
	}
	check(t, v.Save())
	if now, err := os.Stat(cache); err != nil || !os.SameFile(fi, now) || now.ModTime() != fi.ModTime() {
		t.Errorf("the cache was written though nothing changed: %v", err)
	}
	v.Close()

	// Something of each kind happens.
	put(t, dir, "a-2.0.zip", "other")
	put(t, dir, "a-1.0.zip.asc", "signature")
	put(t, dir, "b-1.0.zip", "new")
	check(t, os.Remove(filepath.Join(dir, "a/b-1.0.zip")))
	check(t, os.Remove(filepath.Join(dir, "z-1.0.zip")))
	check(t, os.Symlink("a-1.0.zip", filepath.Join(dir, "z-1.0.zip")))
	v = scanned(t, cache, dir)
	want(t, "changed", list(t, v.Changed()), "altered a-1.0.zip", "altered a-2.0.zip", "new b-1.0.zip")
	want(t, "gone", list(t, v.Gone()), "gone a/b-1.0.zip", "gone z-1.0.zip")
	for e, err := range v.Changed() {
		check(t, err)
		if e.State == Altered && (e.Project != "a" || e.SHA256 != sha256.Sum256([]byte(e.Path))) {
			t.Errorf("altered entry without what was known: %+v", e)
		}
	}

	// What is not inspected is not remembered as if it had been.
	check(t, v.Save())
	want(t, "gone after Save", list(t, v.Gone()))
	v.Close()
	v = scanned(t, cache, dir)
	want(t, "changed", list(t, v.Changed()), "altered a-1.0.zip", "altered a-2.0.zip", "new b-1.0.zip")
	take(t, v)
	check(t, v.Save())
	want(t, "entries after Save", list(t, v.Entries()),
		"known a-1.0.zip", "known a-2.0.zip", "known b-1.0.zip", "known bad-1.0.zip rejected", "known c/d/e-1.0.zip")
	want(t, "project a", list(t, v.Of(map[packaging.Name]bool{"a": true})), "known a-1.0.zip", "known a-2.0.zip")
	if got := v.Counts(); got.New+got.Altered+got.Gone != 0 {
		t.Errorf("counts after Save: %+v", got)
	}
}

// The digest is of the content: a cache made anew has the same.
func TestDigest(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a-1.0.zip", "a")
	put(t, dir, "b/a-1.0.zip", "b")
	var sums []string
	for range 2 {
		v := scanned(t, filepath.Join(t.TempDir(), "c"), dir)
		take(t, v)
		check(t, v.Save())
		d, err := v.Digest()
		check(t, err)
		sums = append(sums, d.String())
	}
	v := scanned(t, filepath.Join(t.TempDir(), "c"), dir)
	take(t, v)
	for e, err := range v.Entries() {
		check(t, err)
		check(t, v.Record(e, Outcome{Verdict: Rejected, Reason: "other outcome"}))
	}
	d, err := v.Digest()
	check(t, err)
	if sums[0] != sums[1] || d.String() == sums[0] {
		t.Errorf("digests %v; with other outcomes %s", sums, d)
	}
}

func TestRecordAgain(t *testing.T) {
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "c")
	put(t, dir, "a-1.0.zip", "a")
	put(t, dir, "b-1.0.zip", "b")
	v := scanned(t, cache, dir)
	take(t, v)
	check(t, v.Save())
	v.Close()

	v = scanned(t, cache, dir)
	in := sha256.Sum256([]byte("another file"))
	for e, err := range v.Entries() {
		check(t, err)
		if e.Path == "b-1.0.zip" {
			e.InUse, e.Reason, e.Hint = in, strings.Repeat("é", maxText), "rename it"
			check(t, v.Record(e, e.Outcome))
		}
	}
	check(t, v.Save())
	v.Close()

	v = scanned(t, cache, dir)
	var got []Outcome
	for e, err := range v.Entries() {
		check(t, err)
		got = append(got, e.Outcome)
	}
	exp := []Outcome{
		{Verdict: Accepted, SHA256: sha256.Sum256([]byte("a")), Project: "a"},
		{Verdict: Accepted, SHA256: sha256.Sum256([]byte("b")), Project: "b", InUse: in, Reason: strings.Repeat("é", maxText/2), Hint: "rename it"},
	}
	if !reflect.DeepEqual(got, exp) {
		t.Errorf("outcomes %+v, want %+v", got, exp)
	}
	if n := v.Report().Warned; len(n) != 1 || n[0].Hint != "rename it" {
		t.Errorf("a warning of an earlier run is not in the report: %+v", n)
	}

	for name, o := range map[string]Outcome{
		"no verdict":   {},
		"long project": {Verdict: Accepted, Project: packaging.Name(strings.Repeat("a", 300))},
	} {
		if err := v.Record(Entry{Dir: dir, Path: "a-1.0.zip"}, o); err == nil {
			t.Errorf("%s: recorded", name)
		}
	}
	if err := v.Record(Entry{Dir: "/elsewhere", Path: "a-1.0.zip"}, Outcome{Verdict: Accepted}); err == nil {
		t.Error("recorded an entry of another scan")
	}
}

// Rejections and snippets depend on settings; what was accepted does not.
func TestRules(t *testing.T) {
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "c")
	put(t, dir, "a-1.0.zip", "a")
	put(t, dir, "b-1.0.zip", "bad")
	put(t, dir, "c.git", "https://u:secret@example.org/c.git\n")
	v := scannedBy(t, Options{Rules: "1"}, cache, dir)
	take(t, v)
	check(t, v.Save())
	v.Close()
	v = scannedBy(t, Options{Rules: "1"}, cache, dir)
	want(t, "same rules", list(t, v.Changed()))
	v.Close()
	v = scannedBy(t, Options{Rules: "2"}, cache, dir)
	want(t, "other rules", list(t, v.Changed()), "altered b-1.0.zip rejected", "altered c.git")
	v.Close()
	v = scannedBy(t, Options{Rules: "1", Links: LinkOptions{RefuseSecrets: true}}, cache, dir)
	want(t, "other link options", list(t, v.Changed()), "altered b-1.0.zip rejected", "altered c.git")
	take(t, v)
	check(t, v.Save())
	want(t, "after", list(t, v.Entries()), "known a-1.0.zip", "known b-1.0.zip rejected", "known c.git rejected")
}

// A drop directory that is away leaves its files as they were remembered: an
// unmounted folder must not empty the index.
func TestMissing(t *testing.T) {
	up, cache := t.TempDir(), filepath.Join(t.TempDir(), "c")
	one, two := filepath.Join(up, "one"), filepath.Join(up, "two")
	put(t, one, "a-1.0.zip", "a")
	put(t, one, "bad-1.0.zip", "bad")
	put(t, two, "b-1.0.zip", "b")
	v := scanned(t, cache, one, two)
	take(t, v)
	check(t, v.Save())
	digest, err := v.Digest()
	check(t, err)
	v.Close()

	away := filepath.Join(up, "away")
	check(t, os.Rename(one, away))
	for _, tt := range []struct {
		name, reason string
		stand        func()
	}{
		{"missing", "no such file or directory", func() {}},
		{"a file", "not a directory", func() { put(t, up, "one", "") }},
		{"mount point", errUnmounted.Error(), func() { check(t, os.Remove(one)); check(t, os.Mkdir(one, 0o755)) }},
		{"mount point, README only", errUnmounted.Error(), func() { put(t, one, "README", "mount it") }},
	} {
		tt.stand()
		v := scanned(t, cache, one, two)
		want(t, tt.name, list(t, v.Entries()), "kept a-1.0.zip", "kept bad-1.0.zip rejected", "known b-1.0.zip")
		want(t, tt.name+": gone", list(t, v.Gone()))
		r := v.Report()
		if v.Complete() || len(r.Missing) != 1 || r.Missing[0].File != one || r.Missing[0].Reason != tt.reason {
			t.Errorf("%s: Complete %v, missing %+v", tt.name, v.Complete(), r.Missing)
		}
		want(t, tt.name+": rejected", short(up, r.Rejected), "one/bad-1.0.zip: corrupt archive")
		if d, err := v.Digest(); d != digest || err != nil {
			t.Errorf("%s: digest changed, %v", tt.name, err)
		}
		put(t, two, "c-1.0.zip", tt.name) // so that the cache is written
		take(t, v)
		check(t, v.Save())
		v.Close()
		check(t, os.Remove(filepath.Join(two, "c-1.0.zip")))
		v = scanned(t, cache, one, two)
		check(t, v.Save())
		v.Close()
	}

	check(t, os.RemoveAll(one))
	check(t, os.Rename(away, one))
	v = scanned(t, cache, one, two)
	want(t, "back", list(t, v.Entries()), "known a-1.0.zip", "known bad-1.0.zip rejected", "known b-1.0.zip")
	v.Close()

	// Emptied on purpose: the same directory, and nothing in it.
	check(t, os.Remove(filepath.Join(one, "a-1.0.zip")))
	check(t, os.Remove(filepath.Join(one, "bad-1.0.zip")))
	v = scanned(t, cache, one, two)
	want(t, "emptied", list(t, v.Gone()), "gone a-1.0.zip", "gone bad-1.0.zip rejected")
	if !v.Complete() {
		t.Error("an emptied directory counts as missing")
	}
	v.Close()

	// Taken out of the settings on purpose.
	v = scanned(t, cache, two)
	want(t, "left out", list(t, v.Gone()), "gone a-1.0.zip", "gone bad-1.0.zip rejected")
	check(t, v.Save())
	want(t, "left out, saved", list(t, v.Gone()))
	v.Close()

	// Missing from the start.
	v = scanned(t, filepath.Join(t.TempDir(), "c"), filepath.Join(up, "never"), two)
	want(t, "never there", list(t, v.Entries()), "new b-1.0.zip")
	if v.Complete() || v.Cold() == nil {
		t.Errorf("never there: Complete %v, Cold %v", v.Complete(), v.Cold())
	}
}

// asNobody runs f on a thread of its own that touches files as uid 65534 and
// has no capabilities, where this process is root, so that permissions count.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() { done <- err }()
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err = unix.Setfsuid(65534); err != nil {
			return
		}
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err = unix.Capset(&head, &none[0]); err == nil {
			f()
		}
	}()
	check(t, <-done)
}

func TestUnreadableFolder(t *testing.T) {
	dir := t.TempDir()
	cache := filepath.Join(t.TempDir(), "c")
	for p := filepath.Dir(dir); p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		check(t, os.Chmod(p, 0o755))
	}
	for _, n := range []string{"a-1.0.zip", "sub/b-1.0.zip", "sub/x/c-1.0.zip", "sub-1.0.zip", "z-1.0.zip"} {
		put(t, dir, n, n)
	}
	v := scanned(t, cache, dir)
	take(t, v)
	check(t, v.Save())
	v.Close()
	check(t, os.Remove(filepath.Join(dir, "a-1.0.zip")))
	check(t, os.Remove(filepath.Join(dir, "z-1.0.zip")))
	sub := filepath.Join(dir, "sub")
	defer os.Chmod(sub, 0o755)
	for mode, why := range map[fs.FileMode]string{0o000: "may not be listed", 0o444: "may be listed only"} {
		check(t, os.Chmod(sub, mode))
		b, berr := openBase(cache)
		check(t, berr)
		asNobody(t, func() {
			v, err := scan(context.Background(), []string{dir}, cache, Options{Workers: 1}, b, nil)
			check(t, err)
			defer v.Close()
			want(t, why, list(t, v.Entries()), "kept sub/b-1.0.zip", "kept sub/x/c-1.0.zip", "known sub-1.0.zip")
			want(t, why+": gone", list(t, v.Gone()), "gone a-1.0.zip", "gone z-1.0.zip")
			want(t, why+": report", short(dir, v.Report().Missing), "sub: permission denied")
			if v.Complete() {
				t.Errorf("%s: complete", why)
			}
		})
	}
}

func TestSameDirectoryTwice(t *testing.T) {
	up := t.TempDir()
	put(t, up, "drop/a-1.0.zip", "a")
	put(t, up, "drop/own/b-1.0.zip", "b")
	check(t, os.Symlink("drop", filepath.Join(up, "alias")))
	d := filepath.Join(up, "drop")
	v := scanned(t, filepath.Join(up, "c"), d, d+"/", filepath.Join(up, "alias"), filepath.Join(d, "own"))
	want(t, "entries", list(t, v.Entries()), "new a-1.0.zip", "new b-1.0.zip")
}

func TestDirectoriesReordered(t *testing.T) {
	up, cache := t.TempDir(), filepath.Join(t.TempDir(), "c")
	one, two := filepath.Join(up, "one"), filepath.Join(up, "two")
	put(t, one, "a-1.0.zip", "a")
	put(t, two, "b-1.0.zip", "b")
	v := scanned(t, cache, one, two)
	take(t, v)
	check(t, v.Save())
	d1, err := v.Digest()
	check(t, err)
	v.Close()
	v = scanned(t, cache, two, one)
	want(t, "entries", list(t, v.Entries()), "known b-1.0.zip", "known a-1.0.zip")
	d2, err := v.Digest()
	check(t, err)
	if d1 == d2 {
		t.Error("another precedence, but the same digest")
	}
	check(t, v.Save())
	v.Close()
	v = scanned(t, cache, two, one)
	if d, err := v.Digest(); d != d2 || err != nil || v.dirty() {
		t.Errorf("digest %s, want %s, %v", d, d2, err)
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Scan(ctx, []string{t.TempDir()}, filepath.Join(t.TempDir(), "c"), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

func TestDepth(t *testing.T) {
	dir := t.TempDir()
	deep := strings.Repeat("d/", maxDepth-1)
	put(t, dir, deep+"a-1.0.zip", "a")
	put(t, dir, deep+"d/b-1.0.zip", "b")
	v := scanned(t, filepath.Join(t.TempDir(), "c"), dir)
	want(t, "entries", list(t, v.Entries()), "new "+deep+"a-1.0.zip")
	want(t, "rejected", short(dir, v.Report().Rejected), deep+"d: folder nested too deep")
}

// Companions that the next window of a large folder begins with are found.
func TestWindowBorder(t *testing.T) {
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "c")
	const n = window - 1
	for i := range n {
		put(t, dir, fmt.Sprintf("a-%05d.zip", i), "")
	}
	put(t, dir, "b-1.0.zip", "") // the last of the first window
	put(t, dir, "b-1.0.zip.asc", "")
	put(t, dir, "b-1.0.zip.provenance", "")
	put(t, dir, "c-1.0.zip", "")
	v := scanned(t, cache, dir)
	var e Entry
	count := 0
	for x, err := range v.Entries() {
		check(t, err)
		if count++; x.Path == "b-1.0.zip" {
			e = x
		}
	}
	if count != n+2 || e.Signature.IsZero() || e.Provenance.IsZero() || len(v.Report().Ignored) != 0 {
		t.Errorf("%d entries, companions of the last in the window %+v, ignored %v", count, e, v.Report().Ignored)
	}
}
