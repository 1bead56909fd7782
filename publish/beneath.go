package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// noOpenat2 is set once the kernel, or a container's filter, has refused
// openat2(2), which is there since Linux 5.6.
var noOpenat2 atomic.Bool

// openBeneath opens path below the folder dir. No part of the path may be a
// symbolic link.
func openBeneath(dir int, path string, flags int) (int, error) {
	flags |= unix.O_CLOEXEC | unix.O_NOFOLLOW
	if !noOpenat2.Load() {
		how := unix.OpenHow{
			Flags:   uint64(flags),
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
		}
		for {
			fd, err := unix.Openat2(dir, path, &how)
			switch err {
			case unix.EINTR, unix.EAGAIN:
				continue
			case unix.ENOSYS, unix.EPERM:
				// A filter may answer EPERM for a call it does not know; a true
				// EPERM comes back from the walk too.
				fd, err := walkBeneath(dir, path, flags)
				if err == nil {
					noOpenat2.Store(true)
				}
				return fd, err
			}
			return fd, err
		}
	}
	return walkBeneath(dir, path, flags)
}

// walkBeneath does the same with one openat(2) for each part of the path.
func walkBeneath(dir int, path string, flags int) (int, error) {
	at := dir
	for {
		part, rest, more := strings.Cut(path, "/")
		f := flags
		if more {
			f = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
		}
		fd, err := openat(at, part, f, 0)
		if at != dir {
			unix.Close(at)
		}
		if err != nil || !more {
			return fd, err
		}
		at, path = fd, rest
	}
}

// openat is openat(2), tried again when a signal came between.
func openat(dir int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, mode)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// checkPath refuses what is not the path of something inside the site: it is
// relative, clean and without control characters.
func checkPath(path string) error {
	if !fs.ValidPath(path) || path == "." {
		return fmt.Errorf("path %q: not a relative path inside the site", path)
	}
	for i := 0; i < len(path); i++ {
		if path[i] < ' ' || path[i] == 0x7f {
			return fmt.Errorf("path %q: control character", path)
		}
	}
	return nil
}

// errNotOurs is for paths that are another method's business.
var errNotOurs = errors.New("the store is written by Expose and Delete only")

// splitPath gives the folder of a path, "." for none, and its last part.
func splitPath(path string) (dir, base string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return ".", path
	}
	return path[:i], path[i+1:]
}
