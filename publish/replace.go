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
// Without a Temp the file that is there stays, and so do those companions that
// are not given. Whatever else lies in the file's folder stays in either case.
func (t *Tree) Replace(ctx context.Context, e Exposure) error {
	if err := t.usable(); err != nil {
		return err
	}
	if err := t.checkExposure(&e); err != nil {
		return err
	}
	staged, err := t.stageExposure(&e)
	if err != nil {
		return err
	}
	if err := t.syncTree(t.stage, staged, t.tempPath(staged)); err != nil {
		return err
	}
	changed := changedSet{}
	if err := t.locked(ctx, func() error { return t.exchangeFolder(staged, &e, changed) }); err != nil {
		return err
	}
	if err := t.syncFolders(changed); err != nil {
		return err
	}
	return t.removeStaged(staged, false)
}

// exchangeFolder has a staged folder change places with the one that holds the
// file.
func (t *Tree) exchangeFolder(staged string, e *Exposure, changed changedSet) error {
	folder, _ := splitPath(e.Target)
	parent, digest := splitPath(folder)
	dir, err := t.openStore(parent, changed)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := t.keepOthers(dir, digest, staged, e); err != nil {
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

// keepOthers links the files of a live folder that are not to be replaced into a
// staged one: two names may have the same bytes, and so the same folder.
func (t *Tree) keepOthers(dir int, name, staged string, e *Exposure) error {
	names, err := readFolder(dir, name)
	_, base := splitPath(e.Target)
	switch {
	case e.Temp == "" && !slices.Contains(names, base):
		return fmt.Errorf("file %s: neither there nor given", e.Target)
	case err == unix.ENOENT:
		return nil
	case err != nil:
		return storage("read", t.livePath(e.Target), err)
	}
	own := []string{base, layout.CoreMetadata(base), layout.Signature(base), layout.Provenance(base)}
	if e.Temp == "" {
		own = own[:0]
		for _, c := range e.Companions {
			_, c := splitPath(c.Path)
			own = append(own, c)
		}
	}
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
