package publish

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nestgen/layout"
)

// withheldMode is that of the folders of the closed area: nobody else looks in.
const withheldMode = 0o700

// withheldFolder is the folder of the closed area, in the state folder.
const withheldFolder = "withheld"

// Withhold moves files of the store, each with its companions, to the closed area,
// a folder of the state that nothing serves. It gives how many there were. One that
// is not in the store is no error: it may be withheld already. The caller has seen
// to it that no page lists them. The bytes stay what they were, and
// [Tree.Release] brings them back; [Tree.Delete] deletes them there as well.
//
// The step is done over after a crash: a file is in one of the two places, or has
// its companions in both, and a second call moves the rest.
func (t *Tree) Withhold(ctx context.Context, paths []string) (int, error) {
	moved := 0
	err := t.eachStored(ctx, paths, func(path string, changed changedSet) error {
		was, err := t.withhold(path, changed)
		if was {
			moved++
		}
		return err
	})
	return moved, err
}

// Release moves files from the closed area back to their places in the store, each
// with its companions, and gives how many there were. What the store has is never
// replaced. The caller calls it before a page lists the files.
func (t *Tree) Release(ctx context.Context, paths []string) (int, error) {
	var back []string
	err := t.eachStored(ctx, paths, func(path string, changed changedSet) error {
		was, err := t.putBack(path, changed)
		if was {
			back = append(back, path)
		}
		return err
	})
	if err != nil || len(back) == 0 {
		return 0, err
	}
	// Only what is durably in the store leaves the closed area.
	return len(back), t.locked(ctx, func() error {
		for _, path := range back {
			if err := t.forget(path); err != nil {
				return err
			}
		}
		return nil
	})
}

// Withheld gives the place in the closed area of a file of the store, or of a
// companion of one.
func Withheld(state, path string) string {
	return filepath.Join(state, withheldFolder, filepath.FromSlash(strings.TrimPrefix(path, layout.Packages+"/")))
}

// eachStored calls f for each path of the store, under the lock, and makes durable
// what it changed. When the closed area has changed, everything is: it is rare.
func (t *Tree) eachStored(ctx context.Context, paths []string, f func(path string, changed changedSet) error) error {
	if err := t.usable(); err != nil {
		return err
	}
	for _, path := range paths {
		if _, err := storeFolder(path); err != nil {
			return err
		}
	}
	changed := changedSet{}
	for from := 0; from < len(paths); from += namesPerLock {
		err := t.locked(ctx, func() error {
			for _, path := range paths[from:min(from+namesPerLock, len(paths))] {
				if err := f(path, changed); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return t.syncAll()
}

// withhold moves one file and its companions to the closed area. The file goes
// last: nothing stands beside no file at any moment.
func (t *Tree) withhold(path string, changed changedSet) (was bool, err error) {
	folder, base := splitPath(path)
	from, err := openBeneath(t.root, folder, unix.O_PATH|unix.O_DIRECTORY)
	if err == unix.ENOENT {
		return false, t.prune(folder, changed) // a run may have died half way up
	}
	if err != nil {
		return false, storage("open", t.livePath(folder), err)
	}
	defer unix.Close(from)
	to := -1
	for _, name := range slices.Backward(withCompanions(base)) {
		var st unix.Stat_t
		if err := unix.Fstatat(from, name, &st, unix.AT_SYMLINK_NOFOLLOW); err == unix.ENOENT {
			continue
		} else if err != nil {
			return was, storage("stat", t.livePath(folder+"/"+name), err)
		}
		if to < 0 {
			dir := filepath.Dir(Withheld(t.state, path))
			if err := os.MkdirAll(dir, withheldMode); err != nil {
				return was, storage("mkdir", dir, err)
			}
			if to, err = openat(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0); err != nil {
				return was, storage("open", dir, err)
			}
			defer unix.Close(to)
		}
		if err := unix.Renameat(from, name, to, name); err != nil {
			return was, storage("rename", t.livePath(folder+"/"+name), err)
		}
		was = true
		changed.add(folder)
	}
	return was, t.prune(folder, changed)
}

// putBack links one file and its companions into the store, the file first, and
// leaves them where they are as well.
func (t *Tree) putBack(path string, changed changedSet) (was bool, err error) {
	place := Withheld(t.state, path)
	dir := filepath.Dir(place)
	from, err := openat(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err == unix.ENOENT {
		return false, nil
	}
	if err != nil {
		return false, storage("open", dir, err)
	}
	defer unix.Close(from)
	folder, base := splitPath(path)
	to := -1
	for _, name := range withCompanions(base) {
		var st unix.Stat_t
		if err := unix.Fstatat(from, name, &st, unix.AT_SYMLINK_NOFOLLOW); err == unix.ENOENT {
			continue
		} else if err != nil {
			return was, storage("stat", filepath.Join(dir, name), err)
		}
		if to < 0 {
			if to, err = t.openStoreFolder(folder, changed); err != nil {
				return was, err
			}
			defer unix.Close(to)
		}
		// link(2) never replaces. What is there came anew in the meantime, by its
		// digest the same.
		if err := unix.Linkat(from, name, to, name, 0); err != nil && err != unix.EEXIST {
			return was, storage("link", t.livePath(folder+"/"+name), err)
		}
		was = true
		changed.add(folder)
	}
	return was, nil
}

// openStoreFolder opens the folder of a file in the store, and makes it if it is
// missing.
func (t *Tree) openStoreFolder(folder string, changed changedSet) (int, error) {
	parent, digest := splitPath(folder)
	above, err := t.openStore(parent, changed)
	if err != nil {
		return -1, err
	}
	defer unix.Close(above)
	if err := t.makeDir(above, digest); err == nil {
		changed.add(parent)
	} else if err != unix.EEXIST {
		return -1, storage("mkdir", t.livePath(folder), err)
	}
	dir, err := openBeneath(above, digest, unix.O_PATH|unix.O_DIRECTORY)
	return dir, storage("open", t.livePath(folder), err)
}

// forget removes a file and its companions from the closed area, the file last, and
// the folders that are empty then.
func (t *Tree) forget(path string) error {
	place := Withheld(t.state, path)
	for _, name := range slices.Backward(withCompanions(place)) {
		// os.Remove would try whether it is a folder, and tell of that.
		if err := unix.Unlink(name); err != nil && err != unix.ENOENT {
			return storage("remove", name, err)
		}
	}
	for dir := filepath.Dir(place); len(dir) >= len(filepath.Join(t.state, withheldFolder)); dir = filepath.Dir(dir) {
		switch err := unix.Rmdir(dir); err {
		case nil, unix.ENOENT:
		case unix.ENOTEMPTY, unix.EEXIST:
			return nil // it has more in it
		default:
			return storage("remove", dir, err)
		}
	}
	return nil
}

// withCompanions gives the name of a file of the store and those of what may stand
// beside it.
func withCompanions(base string) []string {
	return []string{base, layout.CoreMetadata(base), layout.Signature(base), layout.Provenance(base)}
}
