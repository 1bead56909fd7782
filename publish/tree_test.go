package publish_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nestgen/layout"
	"nestgen/publish"
)

// A site is a tree under test.
type site struct {
	*testing.T
	dir  string
	tree *publish.Tree
	now  time.Time // of the tree's clock; the zero time stands for the real one
}

// open opens a tree in a fresh folder.
func open(t *testing.T) *site { return openIn(t, t.TempDir()) }

func openIn(t *testing.T, dir string) *site {
	t.Helper()
	s := &site{T: t, dir: dir}
	s.reopen()
	t.Cleanup(func() {
		if s.tree != nil {
			s.tree.Close()
		}
	})
	return s
}

// A batch has a turn of its own.
type batch struct {
	*publish.Batch
	turn *publish.Turn
}

func (b batch) Close() error { return errors.Join(b.Batch.Close(), b.turn.Close()) }

// begin begins a batch, which ends with the test at the latest.
func begin(t testing.TB, tree *publish.Tree) batch {
	t.Helper()
	turn, err := tree.Turn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	b := batch{turn.Batch(), turn}
	t.Cleanup(func() { b.Close() })
	return b
}

// end publishes a batch and closes it.
func end(b batch) (publish.Stats, error) {
	stats, err := b.Publish(context.Background())
	return stats, errors.Join(err, b.Close())
}

func (s *site) options() publish.Options {
	return publish.Options{
		Site:  filepath.Join(s.dir, "site"),
		State: filepath.Join(s.dir, "state"),
		Clock: func() time.Time {
			if s.now.IsZero() {
				return time.Now()
			}
			return s.now
		},
	}
}

// reopen ends a run and begins the next.
func (s *site) reopen() {
	s.Helper()
	if s.tree != nil {
		s.must(s.tree.Close())
	}
	var err error
	s.tree, err = publish.Open(s.options())
	s.must(err)
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *site) path(p string) string { return filepath.Join(s.dir, "site", filepath.FromSlash(p)) }

// publish publishes pages given as path, content, path, content …
func (s *site) publish(pages ...string) publish.Stats {
	s.Helper()
	b := begin(s, s.tree)
	for i := 0; i < len(pages); i += 2 {
		s.must(b.Put(pages[i], []byte(pages[i+1])))
	}
	stats, err := end(b)
	s.must(err)
	return stats
}

// temp makes a file in the stage.
func (s *site) temp(content string) string {
	s.Helper()
	f, err := s.tree.NewFile()
	s.must(err)
	_, err = f.WriteString(content)
	s.must(err)
	s.must(f.Close())
	return f.Name()
}

// stored is a place in the store for a file that is told by one byte.
func stored(b byte, filename string) string {
	return layout.File([32]byte{b, 1, 2}, filename)
}

func (s *site) expose(target, content string, companions ...publish.Companion) []*publish.AlteredError {
	s.Helper()
	altered, err := s.tree.Expose(context.Background(), []publish.Exposure{{Temp: s.temp(content), Target: target, Companions: companions}})
	s.must(err)
	return altered
}

// has checks the content of a live file; no content stands for no file.
func (s *site) has(path, content string) {
	s.Helper()
	b, err := os.ReadFile(s.path(path))
	if content == "" {
		if !errors.Is(err, fs.ErrNotExist) {
			s.Errorf("%s = %q, %v, want nothing", path, b, err)
		}
		return
	}
	if err != nil || string(b) != content {
		s.Errorf("%s = %q, %v, want %q", path, b, err, content)
	}
}

func (s *site) stat(path string) *syscall.Stat_t {
	s.Helper()
	fi, err := os.Lstat(s.path(path))
	s.must(err)
	return fi.Sys().(*syscall.Stat_t)
}

// stageIsEmpty checks that nothing is left behind.
func (s *site) stageIsEmpty() {
	s.Helper()
	es, err := os.ReadDir(filepath.Join(s.dir, "state", "stage"))
	s.must(err)
	for _, e := range es {
		s.Errorf("stage holds %s", e.Name())
	}
}

func TestOpenLocks(t *testing.T) {
	s := open(t)
	if _, err := publish.Open(s.options()); !errors.Is(err, publish.ErrLocked) {
		t.Errorf("second Open: %v, want ErrLocked", err)
	}
	s.reopen()
}

func TestOpenRefusesSharedState(t *testing.T) {
	for _, mode := range []fs.FileMode{0o770, 0o707, 0o777} {
		s := open(t)
		s.must(s.tree.Close())
		s.tree = nil
		state := filepath.Join(s.dir, "state")
		s.must(os.Chmod(state, mode))
		tree, err := publish.Open(s.options())
		if err == nil {
			tree.Close()
			t.Errorf("state folder of mode %o was taken", mode)
		} else if !strings.Contains(err.Error(), "chmod go-w") {
			t.Errorf("mode %o: error %q says no remedy", mode, err)
		}
	}
}

func TestOpenClearsStage(t *testing.T) {
	s := open(t)
	left := s.temp("left by a run that died")
	b := begin(t, s.tree)
	s.must(b.Put("simple/foo/index.html", []byte("page")))
	copied := filepath.Join(s.dir, "copy")
	s.must(os.CopyFS(copied, os.DirFS(filepath.Join(s.dir, "state"))))
	s.must(s.tree.Close())
	s.tree = nil
	s.must(os.RemoveAll(filepath.Join(s.dir, "state")))
	s.must(os.Rename(copied, filepath.Join(s.dir, "state")))
	s.must(os.Chmod(filepath.Join(s.dir, "state"), 0o700))
	if _, err := os.Stat(left); err != nil {
		t.Fatalf("the test's stage is not stale: %v", err)
	}
	s.reopen()
	s.stageIsEmpty()
	if fi, err := os.Stat(filepath.Join(s.dir, "state", "stage")); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("stage: %v, %v, want mode 0700", fi.Mode(), err)
	}
}

func TestOpenRefusesTwoFileSystems(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "nestgen")
	if err != nil {
		t.Skip("no /dev/shm to have a second file system: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(shm) })
	dir := t.TempDir()
	var a, b unix.Stat_t
	if unix.Stat(shm, &a) != nil || unix.Stat(dir, &b) != nil || a.Dev == b.Dev {
		t.Skip("/dev/shm is on the same file system as the test's folder")
	}
	_, err = publish.Open(publish.Options{Site: filepath.Join(dir, "site"), State: shm})
	if err == nil || !strings.Contains(err.Error(), "put state beside site") {
		t.Errorf("Open over two file systems: %v", err)
	}
	// A mount inside the site is as bad: pages are renamed there.
	s := open(t)
	s.must(s.tree.Close())
	s.tree = nil
	s.must(os.Mkdir(s.path("packages"), 0o755))
	if err := unix.Mount("tmpfs", s.path("packages"), "tmpfs", 0, ""); err != nil {
		t.Skip("cannot mount a file system below the site: ", err)
	}
	defer unix.Unmount(s.path("packages"), 0)
	if tree, err := publish.Open(s.options()); err == nil {
		tree.Close()
		t.Error("Open took a site with packages/ on another file system")
	}
}

// A bind mount has the same st_dev, and rename(2) refuses it all the same.
func TestOpenRefusesBindMount(t *testing.T) {
	s := open(t)
	s.must(s.tree.Close())
	s.tree = nil
	other := filepath.Join(s.dir, "other")
	s.must(os.Mkdir(other, 0o755))
	s.must(os.Mkdir(s.path("simple"), 0o755))
	if err := unix.Mount(other, s.path("simple"), "", unix.MS_BIND, ""); err != nil {
		t.Skip("cannot bind mount: ", err)
	}
	defer unix.Unmount(s.path("simple"), 0)
	if tree, err := publish.Open(s.options()); err == nil {
		tree.Close()
		t.Error("Open took a site with a bind mount at simple/")
	}
}

// A run with nothing to do leaves every time stamp as it was (style.md: a
// second build changes nothing).
func TestIdleWritesNothing(t *testing.T) {
	s := open(t)
	s.publish("simple/foo/index.html", "page", "simple/index.html", "root")
	s.must(s.tree.Close())
	s.tree = nil
	before := times(t, s.dir)
	s.reopen()
	b := begin(t, s.tree)
	stats, err := end(b)
	s.must(err)
	s.must(s.tree.Close())
	s.tree = nil
	if stats != (publish.Stats{}) {
		t.Errorf("stats = %+v", stats)
	}
	for path, was := range before {
		if now := times(t, s.dir)[path]; now != was {
			t.Errorf("%s was changed", path)
		}
	}
}

// times gives the change time of everything below a folder.
func times(t *testing.T, dir string) map[string]syscall.Timespec {
	m := map[string]syscall.Timespec{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		m[path] = fi.Sys().(*syscall.Stat_t).Ctim
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Nothing outside the site may be written or read through a link inside it
// (reliability.md section 3, row 23).
func TestLinksAreNotFollowed(t *testing.T) {
	s := open(t)
	outside := filepath.Join(s.dir, "outside")
	s.must(os.MkdirAll(filepath.Join(outside, "aa"), 0o755))
	s.must(os.WriteFile(filepath.Join(outside, "index.html"), []byte("same"), 0o644))
	s.must(os.Mkdir(s.path("simple"), 0o755))
	s.must(os.Symlink(outside, s.path("simple/linked")))
	s.must(os.Symlink(outside, s.path("packages")))
	before := times(t, outside)

	b := begin(t, s.tree)
	if err := b.Put("simple/linked/index.html", []byte("page")); err == nil {
		t.Error("Put below a linked folder was taken")
	}
	s.must(b.Close())
	_, err := s.tree.Expose(context.Background(), []publish.Exposure{{Temp: s.temp("x"), Target: stored(1, "foo-1.tar.gz")}})
	if err == nil {
		t.Error("Expose below a linked packages/ was taken")
	}
	if _, err := s.tree.Delete(context.Background(), []string{stored(1, "foo-1.tar.gz")}); err == nil {
		t.Error("Delete below a linked packages/ was taken")
	}

	// A page that is a link is replaced; what it points to is left alone.
	s.must(os.Mkdir(s.path("simple/foo"), 0o755))
	s.must(os.Symlink(filepath.Join(outside, "index.html"), s.path("simple/foo/index.html")))
	s.publish("simple/foo/index.html", "same")
	s.has("simple/foo/index.html", "same")
	if s.stat("simple/foo/index.html").Mode&syscall.S_IFMT != syscall.S_IFREG {
		t.Error("the page is still a link")
	}

	// A folder that is a link goes itself, and what it points to stays.
	b = begin(t, s.tree)
	s.must(b.RemoveFolder("simple/linked"))
	_, err = end(b)
	s.must(err)
	if _, err := os.Lstat(s.path("simple/linked")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the linked folder is still there: %v", err)
	}
	for path, was := range before {
		if now := times(t, outside)[path]; now != was {
			t.Errorf("%s was changed", path)
		}
	}
}

func TestBadPathsAreRefused(t *testing.T) {
	s := open(t)
	b := begin(t, s.tree)
	for _, path := range []string{
		"", ".", "/etc/passwd", "../x", "simple/../../x", "simple//x", "simple/x/", "simple/./x",
		"simple/a\x00b/index.html", "simple/a\nb/index.html", "packages/x", "packages",
	} {
		if b.Put(path, nil) == nil {
			t.Errorf("Put(%q) was taken", path)
		}
		if _, err := b.Create(path); err == nil {
			t.Errorf("Create(%q) was taken", path)
		}
		if b.Remove(path) == nil {
			t.Errorf("Remove(%q) was taken", path)
		}
		if b.RemoveFolder(path) == nil {
			t.Errorf("RemoveFolder(%q) was taken", path)
		}
	}
	for _, path := range []string{"simple", "project", "pypi"} {
		if b.RemoveFolder(path) == nil {
			t.Errorf("RemoveFolder(%q) was taken: it holds all projects", path)
		}
	}
	good := stored(1, "foo-1.tar.gz")
	for _, target := range []string{
		"", "packages/foo", "simple/foo/index.html", "../" + good, strings.ToUpper(good),
		good + "/more", strings.Replace(good, "/01/", "/1/", 1), filepath.Dir(good) + "/..", filepath.Dir(good) + "/a\nb",
	} {
		if _, err := s.tree.Expose(context.Background(), []publish.Exposure{{Temp: s.temp("x"), Target: target}}); err == nil {
			t.Errorf("Expose to %q was taken", target)
		}
		if _, err := s.tree.Delete(context.Background(), []string{target}); err == nil {
			t.Errorf("Delete of %q was taken", target)
		}
	}
	outside := filepath.Join(s.dir, "file")
	s.must(os.WriteFile(outside, []byte("x"), 0o600))
	linked := filepath.Join(s.dir, "state", "stage", "linked")
	s.must(os.Link(outside, linked))
	for _, temp := range []string{outside, linked, filepath.Join(s.dir, "state", "stage", "..", "stage2", "x")} {
		if _, err := s.tree.Expose(context.Background(), []publish.Exposure{{Temp: temp, Target: good}}); err == nil {
			t.Errorf("Expose of %q was taken", temp)
		}
	}
	for _, c := range []string{"simple/foo/index.html", good, stored(2, "foo-1.tar.gz.metadata"), filepath.Dir(good) + "/../x"} {
		e := publish.Exposure{Temp: s.temp("x"), Target: good, Companions: []publish.Companion{{Path: c}}}
		if _, err := s.tree.Expose(context.Background(), []publish.Exposure{e}); err == nil {
			t.Errorf("companion %q was taken", c)
		}
	}
	s.has(good, "")
}

// What cannot be written is told apart from what is wrong (exit 7).
func TestStorageErrors(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Run("read-only file system", func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
				t.Skip("cannot mount: ", err)
			}
			defer unix.Unmount(dir, unix.MNT_DETACH)
			s := openIn(t, dir)
			b := begin(t, s.tree)
			s.must(b.Put("simple/foo/index.html", []byte("page")))
			s.must(unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
			_, err := end(b)
			wantStorage(t, err, syscall.EROFS)
		})
	}
	t.Run("folder in the way", func(t *testing.T) {
		s := open(t)
		s.must(os.MkdirAll(s.path("simple/foo/index.html"), 0o755))
		err := begin(t, s.tree).Put("simple/foo/index.html", []byte("x"))
		wantStorage(t, err, syscall.EISDIR)
	})
	t.Run("file in the way", func(t *testing.T) {
		s := open(t)
		s.must(os.WriteFile(s.path("simple"), nil, 0o644))
		err := begin(t, s.tree).Put("simple/foo/index.html", []byte("x"))
		wantStorage(t, err, syscall.ENOTDIR)
	})
}

func wantStorage(t *testing.T, err error, errno syscall.Errno) {
	t.Helper()
	se, ok := errors.AsType[*publish.StorageError](err)
	if !ok || !errors.Is(err, errno) {
		t.Errorf("error %v (%T), want a StorageError for %v", err, err, errno)
	} else if se.Op == "" || se.Path == "" {
		t.Errorf("error %#v says too little", se)
	}
}
