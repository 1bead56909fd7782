package publish

import (
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// fsyncLimit is how many files are made durable one by one. Above it one
// syncfs(2) is cheaper, though it waits for other programs' data too.
const fsyncLimit = 200

// broken notes that a sync failed, and ends all work on the tree.
func (t *Tree) broken(path string, err error) error {
	t.failed.CompareAndSwap(nil, &StorageError{"sync", path, err})
	return t.failed.Load()
}

// syncAll makes everything on the file system durable.
func (t *Tree) syncAll() error {
	if err := t.usable(); err != nil {
		return err
	}
	if err := unix.Syncfs(t.stage); err != nil {
		return t.broken(t.stagePath, err)
	}
	return nil
}

// syncStaged makes the named things in the stage durable, folders with all
// that is in them. files is how many files there are about.
func (t *Tree) syncStaged(names []string, files int) error {
	if files > fsyncLimit {
		return t.syncAll()
	}
	for _, name := range names {
		if err := t.syncTree(t.stage, name, t.tempPath(name)); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) syncTree(dir int, name, path string) error {
	fd, err := openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return storage("open", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return storage("stat", path, err)
	}
	if fi.IsDir() {
		inside, err := f.Readdirnames(-1)
		if err != nil {
			return storage("read", path, err)
		}
		for _, n := range inside {
			if err := t.syncTree(fd, n, filepath.Join(path, n)); err != nil {
				return err
			}
		}
	}
	return t.fsync(fd, path)
}

func (t *Tree) fsync(fd int, path string) error {
	if err := t.usable(); err != nil {
		return err
	}
	for {
		err := unix.Fsync(fd)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return t.broken(path, err)
		}
		return nil
	}
}

// A changedSet is the folders of the site in which names changed.
type changedSet map[string]struct{}

func (c changedSet) add(dir string) {
	// Past the limit the names do not matter any more.
	if len(c) <= fsyncLimit {
		c[dir] = struct{}{}
	}
}

// addUp adds a folder and all those above it.
func (c changedSet) addUp(dir string) {
	for c.add(dir); dir != "."; c.add(dir) {
		dir, _ = splitPath(dir)
	}
}

// syncFolders makes changed names durable.
func (t *Tree) syncFolders(c changedSet) error {
	if len(c) > fsyncLimit/4 {
		return t.syncAll()
	}
	for _, dir := range slices.Sorted(maps.Keys(c)) {
		path := t.livePath(dir)
		fd := t.root
		if dir != "." {
			var err error
			fd, err = openBeneath(t.root, dir, unix.O_RDONLY|unix.O_DIRECTORY)
			if err == unix.ENOENT {
				continue // removed in a later step; its parent is in the set
			}
			if err != nil {
				return storage("open", path, err)
			}
		}
		err := t.fsync(fd, path)
		if fd != t.root {
			unix.Close(fd)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
