package publish

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"nestgen/layout"
)

// Replace puts a file and its companions where the store has something else
// under their path, in one step: readers find the old or the new. It is for
// mending what was damaged, and the only thing that changes what the store has.
// Whatever else lies in the file's folder stays.
func (t *Tree) Replace(ctx context.Context, e Exposure) error {
	if err := t.usable(); err != nil {
		return err
	}
	if err := t.checkExposure(&e); err != nil {
		return err
	}
	if e.Temp == "" {
		return fmt.Errorf("file %s: nothing to replace it by", e.Target)
	}
	staged, err := t.stageExposure(&e)
	if err != nil {
		return err
	}
	if err := t.syncTree(t.stage, staged, t.tempPath(staged)); err != nil {
		return err
	}
	changed := changedSet{}
	if err := t.locked(ctx, func() error { return t.exchangeFolder(staged, e.Target, changed) }); err != nil {
		return err
	}
	if err := t.syncFolders(changed); err != nil {
		return err
	}
	return t.removeStaged(staged, false)
}

// exchangeFolder has a staged folder change places with the one that holds path.
func (t *Tree) exchangeFolder(staged, path string, changed changedSet) error {
	folder, _ := splitPath(path)
	parent, digest := splitPath(folder)
	dir, err := t.openStore(parent, changed)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := t.keepOthers(dir, digest, staged, path); err != nil {
		return err
	}
	changed.add(parent)
	err = unix.Renameat2(t.stage, staged, dir, digest, unix.RENAME_EXCHANGE)
	switch err {
	case unix.ENOENT:
		return storage("rename", t.livePath(folder), unix.Renameat(t.stage, staged, dir, digest))
	case unix.EINVAL, unix.ENOSYS:
		// A file system without it: for a moment there is neither.
		bin := t.stageName()
		if err := unix.Renameat(dir, digest, t.stage, bin); err != nil {
			return storage("rename", t.livePath(folder), err)
		}
		if err := unix.Renameat(t.stage, staged, dir, digest); err != nil {
			return storage("rename", t.livePath(folder), err)
		}
		return t.removeStaged(bin, false)
	}
	return storage("rename", t.livePath(folder), err)
}

// keepOthers links the files of a live folder that do not go with path into a
// staged one: two names may have the same bytes, and so the same folder.
func (t *Tree) keepOthers(dir int, name, staged, path string) error {
	names, err := readFolder(dir, name)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return storage("read", t.livePath(path), err)
	}
	_, base := splitPath(path)
	own := []string{base, layout.CoreMetadata(base), layout.Signature(base), layout.Provenance(base)}
	kept := false
	for _, n := range names {
		if slices.Contains(own, n) {
			continue
		}
		if err := unix.Linkat(dir, name+"/"+n, t.stage, staged+"/"+n, 0); err != nil {
			return storage("link", t.tempPath(staged+"/"+n), err)
		}
		kept = true
	}
	if !kept {
		return nil
	}
	return t.syncTree(t.stage, staged, t.tempPath(staged))
}
