package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"nestgen/layout"
)

// An Exposure is one file that is to enter the store.
type Exposure struct {
	// Temp is the path of a file in the stage, from [Tree.NewFile] or
	// [Tree.TempPath], with all its bytes and closed. It is gone afterwards.
	// It is empty when only companions come: the file is in the store already, or
	// will be.
	Temp string

	// Target is the file's place in the tree, from [layout.File].
	Target string

	// Companions stand beside the file.
	Companions []Companion
}

// A Companion is a small file beside a file of the store: core metadata, a
// signature, attestations. Path is from [layout.CoreMetadata] and its like.
type Companion struct {
	Path string
	Data []byte
}

// NewFile makes an empty file in the stage, open for reading and writing,
// which nobody but this user can see. Its name is the file's Name. The caller
// closes it and gives it to [Tree.Expose], or removes it.
func (t *Tree) NewFile() (*os.File, error) {
	path, err := t.TempPath()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, storage("create", path, err)
	}
	return f, nil
}

// TempPath gives a path in the stage at which there is nothing yet, for those
// who make the file themselves. It is not given twice.
func (t *Tree) TempPath() (string, error) {
	if err := t.usable(); err != nil {
		return "", err
	}
	return t.tempPath(t.stageName()), nil
}

// Expose puts files into the store. When it returns without an error every
// file of the batch is in its place, whole and durable with its companions,
// except those in altered, whose path is taken by other bytes. Companions are
// never overwritten either. A file that is in the store with the same bytes is
// fine, so that a batch can be exposed again after a crash.
//
// After an error nothing of the batch may be put into the catalog; what was
// exposed is found again by the next run.
func (t *Tree) Expose(ctx context.Context, batch []Exposure) (altered []*AlteredError, err error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	for i := range batch {
		if err := t.checkExposure(&batch[i]); err != nil {
			return nil, err
		}
	}
	staged := make([]string, len(batch))
	files := 0
	for i := range batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if staged[i], err = t.stageExposure(&batch[i]); err != nil {
			return nil, err
		}
		files += 1 + len(batch[i].Companions)
	}
	if err := t.syncStaged(staged, files); err != nil {
		return nil, err
	}
	changed := changedSet{}
	for from := 0; from < len(batch); from += namesPerLock {
		to := min(from+namesPerLock, len(batch))
		err := t.locked(ctx, func() error {
			for i := from; i < to; i++ {
				a, err := t.expose(staged[i], &batch[i], changed)
				if err != nil {
					return err
				}
				if a != nil {
					a.Index = i
					altered = append(altered, a)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if err := t.syncFolders(changed); err != nil {
		return nil, err
	}
	return altered, nil
}

// namesPerLock is how many files or projects change under one hold of the
// lock, so that a request that waits for it waits some milliseconds.
const namesPerLock = 512

func (t *Tree) checkExposure(e *Exposure) error {
	dir, err := storeFolder(e.Target)
	if err != nil {
		return err
	}
	if e.Temp != "" && filepath.Dir(e.Temp) != t.stagePath {
		return fmt.Errorf("file %s for %s: not in the stage", e.Temp, e.Target)
	}
	for _, c := range e.Companions {
		if d, _ := splitPath(c.Path); d != dir || c.Path == e.Target || checkPath(c.Path) != nil {
			return fmt.Errorf("path %q: not a companion of %s", c.Path, e.Target)
		}
	}
	return nil
}

// storeFolder checks that path is a place in the store, as [layout.File] makes
// them, and gives its folder.
func storeFolder(path string) (string, error) {
	p := strings.Split(path, "/")
	ok := checkPath(path) == nil && len(p) == 5 && p[0] == layout.Packages &&
		len(p[1]) == 2 && len(p[2]) == 2 && len(p[3]) == 60 &&
		strings.Trim(p[1]+p[2]+p[3], "0123456789abcdef") == ""
	if !ok {
		return "", fmt.Errorf("path %q: not a place in the store", path)
	}
	dir, _ := splitPath(path)
	return dir, nil
}

// stageExposure builds the folder that is to appear in the store.
func (t *Tree) stageExposure(e *Exposure) (string, error) {
	name := t.stageName()
	if err := t.makeDir(t.stage, name); err != nil {
		return "", storage("mkdir", t.tempPath(name), err)
	}
	_, base := splitPath(e.Target)
	if e.Temp != "" {
		temp, to := filepath.Base(e.Temp), name+"/"+base
		var st unix.Stat_t
		if err := unix.Fstatat(t.stage, temp, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return "", storage("stat", e.Temp, err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 {
			return "", fmt.Errorf("file %s for %s: not a file of its own", e.Temp, e.Target)
		}
		if err := unix.Fchmodat(t.stage, temp, storeMode, 0); err != nil {
			return "", storage("chmod", e.Temp, err)
		}
		if err := unix.Renameat(t.stage, temp, t.stage, to); err != nil {
			return "", storage("rename", e.Temp, err)
		}
	}
	for _, c := range e.Companions {
		_, base := splitPath(c.Path)
		if err := t.writeFile(t.stage, name+"/"+base, storeMode, c.Data); err != nil {
			return "", storage("write", t.tempPath(name+"/"+base), err)
		}
	}
	return name, nil
}

// expose gives a staged folder its place. rename(2) puts a folder where there
// is none or an empty one and refuses to replace any other, so this creates
// and never overwrites.
func (t *Tree) expose(staged string, e *Exposure, changed changedSet) (*AlteredError, error) {
	folder, _ := splitPath(e.Target)
	parent, digest := splitPath(folder)
	dir, err := t.openStore(parent, changed)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	err = unix.Renameat(t.stage, staged, dir, digest)
	if err == nil {
		changed.add(parent)
		return nil, nil
	}
	if err != unix.ENOTEMPTY && err != unix.EEXIST {
		return nil, storage("rename", t.livePath(folder), err)
	}
	live, err := openBeneath(dir, digest, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, storage("open", t.livePath(folder), err)
	}
	defer unix.Close(live)
	return t.exposeInto(live, staged, e, changed)
}

// openStore opens a folder packages/xx/yy and makes what is missing of it.
func (t *Tree) openStore(path string, changed changedSet) (int, error) {
	dir, err := openBeneath(t.root, path, unix.O_PATH|unix.O_DIRECTORY)
	if err != unix.ENOENT {
		return dir, storage("open", t.livePath(path), err)
	}
	at := t.root
	for rest := path; ; {
		part, after, more := strings.Cut(rest, "/")
		above := "."
		if n := len(path) - len(rest); n > 0 {
			above = path[:n-1]
		}
		err := t.makeDir(at, part)
		if err == nil {
			changed.add(above)
		}
		if err == nil || err == unix.EEXIST {
			dir, err = openBeneath(at, part, unix.O_PATH|unix.O_DIRECTORY)
		}
		if at != t.root {
			unix.Close(at)
		}
		if err != nil {
			return -1, storage("mkdir", t.livePath(path), err)
		}
		if !more {
			return dir, nil
		}
		at, rest = dir, after
	}
}

// exposeInto puts what a staged folder holds into one that is live, file by
// file. link(2) never replaces.
func (t *Tree) exposeInto(live int, staged string, e *Exposure, changed changedSet) (*AlteredError, error) {
	paths := make([]string, 0, 1+len(e.Companions))
	if e.Temp != "" {
		paths = append(paths, e.Target)
	}
	for _, c := range e.Companions {
		paths = append(paths, c.Path)
	}
	var altered *AlteredError
	for _, path := range paths {
		folder, base := splitPath(path)
		temp := staged + "/" + base
		err := unix.Linkat(t.stage, temp, live, base, 0)
		switch err {
		case nil:
			changed.add(folder)
		case unix.EEXIST:
			same, err := t.sameFile(live, base, temp)
			if err != nil {
				return nil, storage("read", t.livePath(path), err)
			}
			if !same && altered == nil {
				altered = &AlteredError{Path: path}
			}
			if same {
				// It may have been exposed by a run that died before its sync.
				changed.addUp(folder)
			}
		default:
			return nil, storage("link", t.livePath(path), err)
		}
		if err := unix.Unlinkat(t.stage, temp, 0); err != nil {
			return nil, storage("remove", t.tempPath(temp), err)
		}
	}
	return altered, storage("remove", t.tempPath(staged), unix.Unlinkat(t.stage, staged, unix.AT_REMOVEDIR))
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

// sameFile reports whether a live file has the bytes of a staged one.
func (t *Tree) sameFile(dir int, name, temp string) (bool, error) {
	a, err := openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err == unix.ELOOP {
		return false, nil // a symbolic link is not what we put there
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(a)
	b, err := openat(t.stage, temp, unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(b)
	var sa, sb unix.Stat_t
	if err := errors.Join(unix.Fstat(a, &sa), unix.Fstat(b, &sb)); err != nil {
		return false, err
	}
	if sa.Mode&unix.S_IFMT != unix.S_IFREG || sa.Size != sb.Size {
		return false, nil
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	half := len(*buf) / 2
	x, y := (*buf)[:half], (*buf)[half:]
	for {
		n, err := readFull(a, x)
		if err != nil {
			return false, err
		}
		m, err := readFull(b, y)
		if err != nil {
			return false, err
		}
		if !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if n < half {
			return true, nil
		}
	}
}

// readFull reads until b is full or the file ends.
func readFull(fd int, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := unix.Read(fd, b[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		if m == 0 {
			break
		}
		n += m
	}
	return n, nil
}

// Delete takes files out of the store, or out of the closed area, each with its
// companions, and gives how many there were. One that is not there is no error. The caller has seen to it
// that no page lists them and that their grace is over.
func (t *Tree) Delete(ctx context.Context, paths []string) (int, error) {
	if err := t.usable(); err != nil {
		return 0, err
	}
	for _, path := range paths {
		if _, err := storeFolder(path); err != nil {
			return 0, err
		}
	}
	bin := t.stageName()
	if len(paths) > 0 {
		if err := unix.Mkdirat(t.stage, bin, 0o700); err != nil {
			return 0, storage("mkdir", t.tempPath(bin), err)
		}
	}
	deleted := 0
	changed := changedSet{}
	for from := 0; from < len(paths); from += namesPerLock {
		to := min(from+namesPerLock, len(paths))
		err := t.locked(ctx, func() error {
			for _, path := range paths[from:to] {
				was, err := t.delete(path, bin, changed)
				if err != nil {
					return err
				}
				if was {
					deleted++
				}
			}
			return nil
		})
		if err != nil {
			return deleted, err
		}
		// The bytes are given back outside the lock.
		if err := t.removeStaged(bin, true); err != nil {
			return deleted, err
		}
	}
	if len(paths) > 0 {
		if err := t.removeStaged(bin, false); err != nil {
			return deleted, err
		}
	}
	return deleted, t.syncFolders(changed)
}

// delete moves one file and its companions to the bin, and removes the folders
// that are empty then.
func (t *Tree) delete(path, bin string, changed changedSet) (bool, error) {
	folder, base := splitPath(path)
	was, err := t.binAll(folder, base, bin, changed)
	if err != nil {
		return was, err
	}
	if _, err := os.Lstat(Withheld(t.state, path)); err == nil {
		was = true
	}
	if err := t.forget(path); err != nil {
		return was, err
	}
	// Also when there was nothing: a run may have died half way up.
	return was, t.prune(folder, changed)
}

// Prune removes folders of the store that are empty, and those above that are
// empty then: a run that died while it deleted may have left them.
func (t *Tree) Prune(ctx context.Context, folders []string) error {
	if err := t.usable(); err != nil {
		return err
	}
	changed := changedSet{}
	for _, folder := range folders {
		if err := checkPath(folder); err != nil || !strings.HasPrefix(folder, layout.Packages+"/") {
			return fmt.Errorf("folder %q: not in the store", folder)
		}
		if err := t.locked(ctx, func() error { return t.prune(folder, changed) }); err != nil {
			return err
		}
	}
	return t.syncFolders(changed)
}

// prune removes a folder of the store if it is empty, and so on upwards.
func (t *Tree) prune(folder string, changed changedSet) error {
	for folder != layout.Packages {
		above, name := splitPath(folder)
		up, err := openBeneath(t.root, above, unix.O_PATH|unix.O_DIRECTORY)
		if err == unix.ENOENT {
			folder = above
			continue
		}
		if err != nil {
			return storage("open", t.livePath(above), err)
		}
		err = unix.Unlinkat(up, name, unix.AT_REMOVEDIR)
		unix.Close(up)
		switch err {
		case nil:
			changed.add(above)
		case unix.ENOENT:
		case unix.ENOTEMPTY, unix.EEXIST:
			return nil
		default:
			return storage("remove", t.livePath(folder), err)
		}
		folder = above
	}
	return nil
}

// binAll moves a file and its companions to the bin.
func (t *Tree) binAll(folder, base, bin string, changed changedSet) (was bool, err error) {
	dir, err := openBeneath(t.root, folder, unix.O_PATH|unix.O_DIRECTORY)
	if err == unix.ENOENT {
		return false, nil
	}
	if err != nil {
		return false, storage("open", t.livePath(folder), err)
	}
	defer unix.Close(dir)
	names := []string{
		// The file itself last: as long as it is there, a run that died here
		// finds the rest of its work.
		layout.CoreMetadata(base), layout.Signature(base), layout.Provenance(base), base,
	}
	for _, name := range names {
		err := unix.Renameat(dir, name, t.stage, bin+"/"+t.stageName())
		if err == unix.ENOENT {
			continue
		}
		if err != nil {
			return was, storage("remove", t.livePath(folder+"/"+name), err)
		}
		was = true
		changed.add(folder)
	}
	return was, nil
}

// removeStaged removes a folder in the stage with all that is in it; with
// inside set the folder itself stays.
func (t *Tree) removeStaged(name string, inside bool) error {
	root, err := os.OpenRoot(t.stagePath)
	if err != nil {
		return storage("open", t.stagePath, err)
	}
	defer root.Close()
	if !inside {
		return storage("remove", t.tempPath(name), root.RemoveAll(name))
	}
	dir, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return storage("open", t.tempPath(name), err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return storage("read", t.tempPath(name), err)
	}
	for _, n := range names {
		if err := root.RemoveAll(name + "/" + n); err != nil {
			return storage("remove", t.tempPath(name+"/"+n), err)
		}
	}
	return nil
}
