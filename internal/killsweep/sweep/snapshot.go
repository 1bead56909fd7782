//go:build linux && amd64

package sweep

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nestgen/layout"
)

// A snapshot is the content of some folders: for each path its mode and what
// stands in it.
type snapshot map[string]string

func (s Sweep) snapshot(dir string) (snapshot, error) {
	snap := snapshot{}
	for _, tree := range s.Trees {
		err := filepath.WalkDir(filepath.Join(dir, tree), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if rel, _ := filepath.Rel(filepath.Join(dir, tree), path); d.IsDir() && (rel == layout.Log || rel == layout.Changes) {
				return fs.SkipDir // how a tree came to be, which is not the same
			}
			fi, err := d.Info()
			if err != nil {
				return err
			}
			content := ""
			switch {
			case fi.Mode().IsRegular():
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				if s.Ignore != nil {
					b = s.Ignore.ReplaceAll(b, nil)
				}
				content = fmt.Sprintf("%x", sha256.Sum256(b))
			case fi.Mode()&fs.ModeSymlink != 0:
				if content, err = os.Readlink(path); err != nil {
					return err
				}
			}
			rel, err := filepath.Rel(dir, path)
			snap[rel] = fi.Mode().String() + " " + content
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return snap, nil
}

// same names the first path in which two snapshots differ.
func (want snapshot) same(got snapshot) error {
	for _, path := range slices.Sorted(maps.Keys(want)) {
		switch g, ok := got[path]; {
		case !ok:
			return fmt.Errorf("%s is missing", path)
		case g != want[path]:
			return fmt.Errorf("%s differs: %s, want %s", path, g, want[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[path]; !ok {
			return fmt.Errorf("%s is left over", path)
		}
	}
	return nil
}

// seen names a file that readers of a later snapshot find and those of an earlier
// one did not, or not with these bytes; empty if there is none. Nobody finds a
// file of the store before a page lists it.
func (before snapshot) seen(after snapshot) string {
	for _, path := range slices.Sorted(maps.Keys(after)) {
		_, inside, _ := strings.Cut(path, "/")
		if after[path] != before[path] && strings.HasPrefix(after[path], "-") && !strings.HasPrefix(inside, "packages/") {
			return path
		}
	}
	return ""
}

// copyTree copies a folder with the modes and times of all that is in it.
func copyTree(from, to string) error {
	fi, err := os.Lstat(from)
	if err != nil {
		return err
	}
	switch {
	case fi.IsDir():
		if err := os.Mkdir(to, 0o700); err != nil {
			return err
		}
		inside, err := os.ReadDir(from)
		if err != nil {
			return err
		}
		for _, d := range inside {
			if err := copyTree(filepath.Join(from, d.Name()), filepath.Join(to, d.Name())); err != nil {
				return err
			}
		}
	case fi.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case fi.Mode().IsRegular():
		if err := copyFile(from, to); err != nil {
			return err
		}
	case fi.Mode()&fs.ModeNamedPipe != 0:
		if err := unix.Mkfifo(to, 0o600); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%s: cannot be copied (%v)", from, fi.Mode())
	}
	if err := os.Chmod(to, fi.Mode()); err != nil {
		return err
	}
	return os.Chtimes(to, fi.ModTime(), fi.ModTime())
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
