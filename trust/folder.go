package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Who but the owner must not do what with a file.
const (
	private fs.FileMode = 0o077 // anything
	public  fs.FileMode = 0o022 // write
)

// A lock is the folder, open and locked. Closing it gives the lock back.
type lock struct{ f *os.File }

func (l lock) Close() error { return l.f.Close() }

// exclusive turns the lock into one that nobody shares, waiting for those who
// do. In between another process may have had it.
func (l lock) exclusive() error { return l.flock(unix.LOCK_EX) }

func (l lock) flock(how int) error {
	err := error(unix.EINTR)
	for err == unix.EINTR {
		err = unix.Flock(int(l.f.Fd()), how)
	}
	if err != nil {
		return &fs.PathError{Op: "lock", Path: l.f.Name(), Err: err}
	}
	return nil
}

// lock locks the folder: against those that change it, or, with change, against
// everybody, and then makes it if it is not there. No lock is held for longer
// than a few small files take.
func (k *Keys) lock(change bool) (lock, error) {
	if change {
		if err := k.make(); err != nil {
			return lock{}, err
		}
	}
	f, err := os.OpenFile(k.dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return lock{}, err
	}
	l := lock{f}
	fi, err := f.Stat()
	if err == nil && fi.Mode().Perm()&public != 0 {
		err = fmt.Errorf("%s: mode %#o lets others replace the keys: find out who could, and run \"chmod 700 %s\"", k.dir, fi.Mode().Perm(), k.dir)
	}
	how := unix.LOCK_SH
	if change {
		how = unix.LOCK_EX
	}
	if err == nil {
		err = l.flock(how)
	}
	if err != nil {
		f.Close()
		return lock{}, err
	}
	return l, nil
}

// make makes the folder. When root calls, it gets the owner of the folder around
// it, who has to use the keys.
func (k *Keys) make() error {
	err := os.Mkdir(k.dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(k.dir))
	if err != nil {
		return err
	}
	defer parent.Close()
	if os.Geteuid() == 0 {
		var owner unix.Stat_t
		if err := unix.Fstat(int(parent.Fd()), &owner); err != nil {
			return &fs.PathError{Op: "stat", Path: parent.Name(), Err: err}
		}
		if err := os.Chown(k.dir, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	return parent.Sync()
}

// read reads a file of the folder, if others may not do with it what denied
// says.
func (k *Keys) read(name string, largest int64, denied fs.FileMode) ([]byte, error) {
	file := k.path(name)
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s: a link; put the file itself there", file)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", file)
	case denied == private && fi.Mode().Perm()&denied != 0:
		return nil, fmt.Errorf("%s: mode %#o lets others read the site's signer key: run \"chmod 600 %s\", and \"nestgen key rotate\" if somebody may have read it", file, fi.Mode().Perm(), file)
	case fi.Mode().Perm()&denied != 0:
		return nil, fmt.Errorf("%s: mode %#o lets others decide what is trusted: read it through, and run \"chmod 600 %s\"", file, fi.Mode().Perm(), file)
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(f, largest+1)); err != nil {
		return nil, err
	}
	if int64(b.Len()) > largest {
		return nil, fmt.Errorf("%s: more than %d bytes", file, largest)
	}
	return b.Bytes(), nil
}

// write puts a file into the folder, whole or not at all: it is written beside,
// where nobody else could ever read it, synced and renamed. What a crash has left
// in between is in nobody's way. The folder is locked for the change.
func (k *Keys) write(name string, data []byte) error {
	temp := k.path(name + ".new")
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	err = k.fill(f, data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		k.did("write " + name)
		err = os.Rename(temp, k.path(name))
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	if err := k.sync(); err != nil {
		return err
	}
	k.did("rename " + name)
	return nil
}

// remove has a file go, if it is there. The folder is locked for that.
func (k *Keys) remove(name string) error {
	err := os.Remove(k.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = k.sync()
	}
	k.did("remove " + name)
	return err
}

// fill writes a file that was just made. When root does, it gets the owner of
// the folder, who has to read it.
func (k *Keys) fill(f *os.File, data []byte) error {
	if os.Geteuid() == 0 {
		var owner unix.Stat_t
		if err := unix.Stat(k.dir, &owner); err != nil {
			return &fs.PathError{Op: "stat", Path: k.dir, Err: err}
		}
		if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	if err := f.Chmod(0o600); err != nil {
		return err // a strange umask took bits away
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// sync makes the names of the folder durable.
func (k *Keys) sync() error {
	d, err := os.Open(k.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
