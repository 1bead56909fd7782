package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ErrLocked says that another build holds the state folder's lock.
var ErrLocked = errors.New("another build is running")

// ErrAltered matches every [AlteredError].
var ErrAltered = errors.New("the store has other bytes under this name")

// An AlteredError says that a path of the store is taken by a file with other
// bytes. The file that stood there first was left as it is.
type AlteredError struct {
	// Index is the place of the file in the batch given to [Tree.Expose].
	Index int

	// Path is the one that is taken: the file's own or a companion's.
	Path string
}

func (e *AlteredError) Error() string { return e.Path + ": " + ErrAltered.Error() }

// Is makes errors.Is(err, ErrAltered) true.
func (e *AlteredError) Is(target error) bool { return target == ErrAltered }

// A StorageError says that the file system refused: it is full, read-only,
// broken, or not ours to write to. What was served before is still served, and
// the next build does again whatever is missing. After one that comes from
// making data durable, the Tree refuses all further work: a second sync would
// report success for data that the kernel has given up (fsync(2)).
type StorageError struct {
	Op   string // what was tried: "write", "rename", "sync" …
	Path string
	Err  error
}

func (e *StorageError) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err) }

// Unwrap gives the system's own error.
func (e *StorageError) Unwrap() error { return e.Err }

// storage makes a StorageError of what a system call answered. The name in a
// [fs.PathError] or [os.LinkError] is dropped, as path says it better.
func storage(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if se, ok := errors.AsType[*StorageError](err); ok {
		return se
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		err = le.Err
	}
	if errors.Is(err, syscall.EXDEV) {
		err = fmt.Errorf("%w (site and state must be on one file system, and in one mount of it)", err)
	}
	return &StorageError{op, path, err}
}
