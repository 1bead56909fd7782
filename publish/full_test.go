package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nestgen/publish"
)

// TestMain lets the test's binary stand in for a build of its own process.
func TestMain(m *testing.M) {
	if dir := os.Getenv("NESTGEN_TEST_SMALL_FILES"); dir != "" {
		os.Exit(buildSmallFiles(dir))
	}
	os.Exit(m.Run())
}

// mountTmpfs mounts a file system of its own, or skips the test.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skip("cannot mount tmpfs: ", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// Disk full: exit 7, the old pages stand whole, and the next run with room
// does it all (reliability.md section 4.3, ENOSPC and inode exhaustion).
func TestDiskFull(t *testing.T) {
	for _, options := range []string{"size=1m", "nr_inodes=80"} {
		t.Run(options, func(t *testing.T) {
			dir := mountTmpfs(t, options)
			s := openIn(t, dir)
			old, next := strings.Repeat("old ", 2000), strings.Repeat("new ", 2000)
			var paths []string
			for i := range 4 {
				paths = append(paths, fmt.Sprintf("simple/p%d/index.html", i))
				s.publish(paths[i], old)
			}
			b := begin(t, s.tree)
			var err error
			for i := 0; err == nil && i < 1000; i++ {
				err = b.Put(fmt.Sprintf("simple/p%d/index.html", i), []byte(next))
			}
			wantStorage(t, err, syscall.ENOSPC)
			s.must(b.Close())
			for _, p := range paths {
				s.has(p, old)
			}

			// The same for files: what does not fit is told to who fills it, or
			// by Expose.
			for err = nil; err == nil; {
				var f *os.File
				if f, err = s.tree.NewFile(); err == nil {
					_, err = f.WriteString(next)
					f.Close()
				}
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("filling the stage: %v", err)
			}
			foo := stored(1, "foo-1.zip")
			_, err = s.tree.Expose(context.Background(), []publish.Exposure{{
				Target: foo, Companions: []publish.Companion{meta(foo, next)},
			}})
			wantStorage(t, err, syscall.ENOSPC)
			s.has("packages", "")

			s.must(s.tree.Close())
			s.tree = nil
			if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=64m,nr_inodes=10000"); err != nil {
				t.Fatal(err)
			}
			s.reopen()
			s.stageIsEmpty()
			for _, p := range paths {
				s.publish(p, next)
				s.has(p, next)
			}
		})
	}
}

// EFBIG without root: a child process under a file size limit.
func TestFileTooBig(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("prlimit", "--fsize=40000:40000", os.Args[0])
	cmd.Env = append(os.Environ(), "NESTGEN_TEST_SMALL_FILES="+dir)
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("prlimit is not installed")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "site/simple/foo/index.html"))
	if err != nil || string(b) != "old" {
		t.Errorf("page = %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "site/flat")); err == nil {
		t.Error("a page that was too big was published")
	}
}

func buildSmallFiles(dir string) int {
	check := func(err error, want error) {
		if !errors.Is(err, want) {
			fmt.Printf("error %v, want %v\n", err, want)
			os.Exit(1)
		}
		if _, ok := errors.AsType[*publish.StorageError](err); want != nil && !ok {
			fmt.Printf("error %v is not a StorageError\n", err)
			os.Exit(1)
		}
	}
	tree, err := publish.Open(publish.Options{Site: filepath.Join(dir, "site"), State: filepath.Join(dir, "state")})
	check(err, nil)
	turn, err := tree.Turn(context.Background())
	check(err, nil)
	b := turn.Batch()
	check(b.Put("simple/foo/index.html", []byte("old")), nil)
	_, err = b.Publish(context.Background())
	check(err, nil)
	big := bytes.Repeat([]byte("x"), 60_000)
	b = turn.Batch()
	check(b.Put("simple/foo/index.html", big), syscall.EFBIG)
	w, err := b.Create("flat/index.html")
	check(err, nil)
	w.Write(big)
	_, err = w.Write(big)
	check(err, syscall.EFBIG)
	check(w.Close(), syscall.EFBIG)
	foo := stored(1, "foo-1.zip")
	_, err = tree.Expose(context.Background(), []publish.Exposure{{Target: foo, Companions: []publish.Companion{{Path: foo + ".asc", Data: big}}}})
	check(err, syscall.EFBIG)
	check(b.Close(), nil)
	check(tree.Close(), nil)
	return 0
}

// A sync that fails ends everything: what the kernel has dropped would pass a
// second sync (reliability.md section 2, fsync semantics). The disk is a sparse
// image in a tmpfs that has no room for it.
func TestSyncFails(t *testing.T) {
	for _, pages := range []int{5, 600} { // fsync each, and syncfs
		t.Run(fmt.Sprint(pages), func(t *testing.T) {
			backing := mountTmpfs(t, "size=12m")
			image, dir := filepath.Join(backing, "image"), t.TempDir()
			if err := os.WriteFile(image, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(image, 64<<20); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"mkfs.ext4", "-q", "-F", "-O", "^has_journal", image},
				{"mount", "-o", "loop,errors=continue", image, dir},
			} {
				if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
					t.Skipf("no loop file system: %s: %v %s", args[0], err, out)
				}
			}
			t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
			s := openIn(t, dir)
			s.publish("simple/p0/index.html", "old")
			if err := os.WriteFile(filepath.Join(backing, "full"), make([]byte, 12<<20), 0o600); err == nil {
				t.Fatal("the backing file system is not full")
			}
			b := begin(t, s.tree)
			for i := range pages {
				s.must(b.Put(fmt.Sprintf("simple/p%d/index.html", i), bytes.Repeat([]byte("page"), 20_000/len("page"))))
			}
			_, err := end(b)
			// ext4 answers EIO to syncfs and ENOSPC to fsync here.
			se, ok := errors.AsType[*publish.StorageError](err)
			if !ok || se.Op != "sync" {
				t.Fatalf("Publish: %v (%T), want a failed sync", err, err)
			}
			failed := se.Err.(syscall.Errno)
			s.has("simple/p0/index.html", "old")
			s.has("simple/p1", "")

			// With room again it still refuses, until it is opened anew.
			os.Remove(filepath.Join(backing, "full"))
			_, err = s.tree.Turn(context.Background())
			wantStorage(t, err, failed)
			_, err = s.tree.NewFile()
			wantStorage(t, err, failed)
			_, err = s.tree.Expose(context.Background(), nil)
			wantStorage(t, err, failed)
			_, err = s.tree.Delete(context.Background(), nil)
			wantStorage(t, err, failed)
			s.has("simple/p1", "")
		})
	}
}
