package nestgen

import (
	"context"
	"errors"
	"runtime/debug"
	"syscall"

	"nestgen/catalog"
	"nestgen/internal/stricttoml"
	"nestgen/publish"
)

// The ends that a caller tells apart. Each is matched by errors.Is.
var (
	// ErrSettings: the settings, an allowlist or the policy cannot be used.
	ErrSettings = errors.New("settings")

	// ErrLocked: another run is working on the same site.
	ErrLocked = errors.New("another run holds the lock of this site")

	// ErrIncomplete: something that is asked for is not in the index.
	ErrIncomplete = errors.New("incomplete")

	// ErrStorage: the disk or the file system failed.
	ErrStorage = errors.New("storage")

	// ErrAlarm: something that somebody should look at before going on.
	ErrAlarm = errors.New("alarm")
)

// A fault is an error with one of the ends above and a hint.
type fault struct {
	end  error
	err  error
	hint string
}

func (f *fault) Error() string        { return f.err.Error() }
func (f *fault) Unwrap() error        { return f.err }
func (f *fault) Is(target error) bool { return target == f.end }

// WithHint gives an error, which stays what it is, with what the person who reads it may
// do about it.
func WithHint(err error, hint string) error { return &fault{nil, err, hint} }

// Hint says what the person who reads an error may do about it; empty if there
// is nothing to say that the error does not.
func Hint(err error) string {
	if f, ok := errors.AsType[*fault](err); ok && f.hint != "" {
		return f.hint
	}
	if e, ok := errors.AsType[*stricttoml.Error](err); ok {
		return e.Hint
	}
	return ""
}

// Status is the exit status that an error stands for; docs/operating.md lists
// them.
func Status(err error) int {
	_, setting := errors.AsType[*stricttoml.Error](err)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		return 130
	case setting, errors.Is(err, ErrSettings):
		return 2
	case errors.Is(err, ErrIncomplete):
		return 3
	case errors.Is(err, ErrLocked):
		return 4
	case errors.Is(err, ErrStorage):
		return 7
	case errors.Is(err, ErrAlarm):
		return 6
	case isStorage(err):
		return 7
	}
	return 1
}

// storage makes a fault of the file system out of an error that is one.
func storage(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, publish.ErrAltered) {
		return &fault{ErrAlarm, err, "run \"nestgen verify\" to see what else is not as it was"}
	}
	if isStorage(err) {
		return &fault{ErrStorage, err, "what was published is still served; make room or mend the file system, then run again"}
	}
	return err
}

// isStorage reports whether an error comes from the disk or the file system.
func isStorage(err error) bool {
	if _, ok := errors.AsType[*publish.StorageError](err); ok {
		return true
	}
	for _, e := range []syscall.Errno{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EIO, syscall.EROFS, syscall.EACCES, syscall.EPERM,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return catalog.IsDatabaseFault(err)
}

// version is set by the linker for a release.
var version = ""

// Version is the version of this program.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
