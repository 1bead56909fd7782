package access

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// maxFile is how large a token file may be: some 50,000 tokens.
const maxFile = 16 << 20

// Add makes a token and gives it with its secret, which is nowhere else: only
// its hash goes into the file. Of t it takes Note, Scope and Expires. The file
// is made if it is not there, in a folder that is.
func Add(path string, t Token, now time.Time) (added Token, secret string, err error) {
	t.Created = now.UTC().Truncate(time.Second)
	t.Expires = t.Expires.UTC().Truncate(time.Second)
	if t.Expired(now) {
		return Token{}, "", fmt.Errorf("%s is past", t.Expires.Format(time.DateTime))
	}
	if t.Created.Year() > 9999 || t.Expires.Year() > 9999 {
		return Token{}, "", fmt.Errorf("%s cannot be written down", t.Expires.Format(time.DateTime))
	}
	if err := checkNote(t.Note); err != nil {
		return Token{}, "", err
	}
	if len(t.Scope.patterns) == 0 {
		_, err := ParseScope(nil)
		return Token{}, "", err
	}
	secret = newSecret()
	t.hash = sha256.Sum256([]byte(secret))
	err = change(path, func(tokens []Token) ([]Token, error) {
		for t.ID = newID(); slices.ContainsFunc(tokens, func(u Token) bool { return u.ID == t.ID }); {
			t.ID = newID()
		}
		return append(tokens, t), nil
	})
	if err != nil {
		return Token{}, "", err
	}
	return t, secret, nil
}

func newID() string {
	b := make([]byte, idBytes)
	rand.Read(b)
	return encoding.EncodeToString(b)
}

// Revoke takes a token out of the file and gives it. An error that matches
// [fs.ErrNotExist] means that there is none with this ID.
func Revoke(path, id string) (revoked Token, err error) {
	if _, err := os.Lstat(path); err != nil {
		return Token{}, err // change would make the file
	}
	err = change(path, func(tokens []Token) ([]Token, error) {
		i := slices.IndexFunc(tokens, func(t Token) bool { return t.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("token %q: %w", id, fs.ErrNotExist)
		}
		revoked = tokens[i]
		return slices.Delete(tokens, i, i+1), nil
	})
	return revoked, err
}

// change replaces a token file in one step, while no other process does. When it
// returns, the change is on disk.
func change(path string, f func([]Token) ([]Token, error)) error {
	old, err := lock(path)
	if err != nil {
		return err
	}
	defer old.Close() // and so unlock
	tokens, err := load(old)
	if err != nil {
		return err
	}
	if tokens, err = f(tokens); err != nil {
		return err
	}
	data := format(tokens)
	if len(data) > maxFile {
		return fmt.Errorf("%s: more than %d bytes", path, maxFile)
	}
	return replace(path, old, data)
}

// open opens a token file. It does not follow a link: replacing the
// file would replace the link, not what it names.
func open(path string, access int) (*os.File, error) {
	f, err := os.OpenFile(path, access|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s: a link; name the file itself", path)
	}
	return f, err
}

// load reads an open token file.
func load(f *os.File) ([]Token, error) {
	fi, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", f.Name())
	case fi.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("%s: mode %#o lets others write tokens; make it 0600", f.Name(), fi.Mode().Perm())
	case fi.Size() > maxFile:
		return nil, fmt.Errorf("%s: more than %d bytes", f.Name(), maxFile)
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(f, maxFile)); err != nil {
		return nil, err
	}
	return parse(f.Name(), b.Bytes())
}

// lock opens a token file, or makes it, and waits for the lock on it. What is
// locked is the file itself. Whoever had it before has put another in its place,
// so after the wait it has to be looked for again.
func lock(path string) (*os.File, error) {
	for {
		f, err := open(path, os.O_RDWR)
		if errors.Is(err, fs.ErrNotExist) {
			f, err = create(path, nil)
			if errors.Is(err, fs.ErrExist) {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		for err = unix.EINTR; err == unix.EINTR; {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		}
		if err != nil {
			f.Close()
			return nil, &os.PathError{Op: "lock", Path: path, Err: err}
		}
		ours, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		now, err := os.Lstat(path)
		if err == nil && os.SameFile(ours, now) {
			return f, nil
		}
		f.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

// create makes a new file for tokens. When root calls, it gets the owner of the
// file that it will replace, or of its folder if there is none: uploads are
// taken by another user, who has to read it.
func create(path string, like *os.File) (*os.File, error) {
	var owner unix.Stat_t
	var err error
	mode := fs.FileMode(0o600)
	if like == nil {
		err = unix.Stat(filepath.Dir(path), &owner)
	} else if err = unix.Fstat(int(like.Fd()), &owner); err == nil {
		mode = fs.FileMode(owner.Mode).Perm()
	}
	if err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		err = f.Chown(int(owner.Uid), int(owner.Gid))
	} else if like != nil && int(owner.Gid) != os.Getegid() {
		err = f.Chown(-1, int(owner.Gid)) // a group that was let read it
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	if err != nil {
		f.Close()
		os.Remove(path)
		return nil, err
	}
	return f, nil
}

// replace writes a file beside the old one, which is locked, syncs it and
// renames it over the old one. A file that a crash has left in between is in
// nobody's way.
func replace(path string, old *os.File, data []byte) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := create(temp, old)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
