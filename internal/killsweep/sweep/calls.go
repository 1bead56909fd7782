//go:build linux && amd64

package sweep

import (
	"encoding/binary"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A call is a system call that may change a file system, or make a change
// durable.
type call struct {
	nr   uint32
	name string

	// flagArg is the argument, counted from 1, that must have one of flags, or
	// with exact set equal it. Zero: the call counts always.
	flagArg int
	flags   uint32
	exact   bool

	// fdArg is the argument, counted from 1, that is a descriptor; the call
	// counts when that is of a file. Zero: it counts always.
	fdArg int

	// nameArg is the argument, counted from 1, that points to a path. Zero:
	// there is none.
	nameArg int

	// sizeArg is the argument, counted from 1, that says how many bytes to
	// write. Zero: the call cannot be cut in half.
	sizeArg int
}

// creates are the open flags that make or change a file.
const creates = unix.O_CREAT | unix.O_TRUNC | (unix.O_TMPFILE &^ unix.O_DIRECTORY)

var calls = []call{
	{nr: unix.SYS_OPEN, name: "open", nameArg: 1, flagArg: 2, flags: creates},
	{nr: unix.SYS_CREAT, name: "creat", nameArg: 1},
	{nr: unix.SYS_OPENAT, name: "openat", nameArg: 2, flagArg: 3, flags: creates},
	{nr: unix.SYS_OPENAT2, name: "openat2", nameArg: 2}, // the flags are behind a pointer
	{nr: unix.SYS_WRITE, name: "write", fdArg: 1, sizeArg: 3},
	{nr: unix.SYS_PWRITE64, name: "pwrite64", fdArg: 1, sizeArg: 3},
	{nr: unix.SYS_WRITEV, name: "writev", fdArg: 1},
	{nr: unix.SYS_PWRITEV, name: "pwritev", fdArg: 1},
	{nr: unix.SYS_PWRITEV2, name: "pwritev2", fdArg: 1},
	{nr: unix.SYS_COPY_FILE_RANGE, name: "copy_file_range", fdArg: 3, sizeArg: 5},
	{nr: unix.SYS_SENDFILE, name: "sendfile", fdArg: 1, sizeArg: 4},
	{nr: unix.SYS_SPLICE, name: "splice", fdArg: 3, sizeArg: 5},
	{nr: unix.SYS_RENAME, name: "rename", nameArg: 1},
	{nr: unix.SYS_RENAMEAT, name: "renameat", nameArg: 2},
	{nr: unix.SYS_RENAMEAT2, name: "renameat2", nameArg: 2},
	{nr: unix.SYS_LINK, name: "link", nameArg: 1},
	{nr: unix.SYS_LINKAT, name: "linkat", nameArg: 2},
	{nr: unix.SYS_SYMLINK, name: "symlink", nameArg: 2},
	{nr: unix.SYS_SYMLINKAT, name: "symlinkat", nameArg: 3},
	{nr: unix.SYS_UNLINK, name: "unlink", nameArg: 1},
	{nr: unix.SYS_UNLINKAT, name: "unlinkat", nameArg: 2},
	{nr: unix.SYS_MKDIR, name: "mkdir", nameArg: 1},
	{nr: unix.SYS_MKDIRAT, name: "mkdirat", nameArg: 2},
	{nr: unix.SYS_RMDIR, name: "rmdir", nameArg: 1},
	{nr: unix.SYS_MKNOD, name: "mknod", nameArg: 1},
	{nr: unix.SYS_MKNODAT, name: "mknodat", nameArg: 2},
	{nr: unix.SYS_TRUNCATE, name: "truncate", nameArg: 1},
	{nr: unix.SYS_FTRUNCATE, name: "ftruncate"},
	{nr: unix.SYS_FALLOCATE, name: "fallocate"},
	{nr: unix.SYS_FSYNC, name: "fsync"},
	{nr: unix.SYS_FDATASYNC, name: "fdatasync"},
	{nr: unix.SYS_SYNC_FILE_RANGE, name: "sync_file_range"},
	{nr: unix.SYS_SYNCFS, name: "syncfs"},
	{nr: unix.SYS_SYNC, name: "sync"},
	{nr: unix.SYS_MSYNC, name: "msync"},
	{nr: unix.SYS_CHMOD, name: "chmod", nameArg: 1},
	{nr: unix.SYS_FCHMOD, name: "fchmod"},
	{nr: unix.SYS_FCHMODAT, name: "fchmodat", nameArg: 2},
	{nr: unix.SYS_FCHMODAT2, name: "fchmodat2", nameArg: 2},
	{nr: unix.SYS_CHOWN, name: "chown", nameArg: 1},
	{nr: unix.SYS_FCHOWN, name: "fchown"},
	{nr: unix.SYS_LCHOWN, name: "lchown", nameArg: 1},
	{nr: unix.SYS_FCHOWNAT, name: "fchownat", nameArg: 2},
	{nr: unix.SYS_UTIME, name: "utime"},
	{nr: unix.SYS_UTIMES, name: "utimes"},
	{nr: unix.SYS_FUTIMESAT, name: "futimesat"},
	{nr: unix.SYS_UTIMENSAT, name: "utimensat", nameArg: 2},
	{nr: unix.SYS_SETXATTR, name: "setxattr"},
	{nr: unix.SYS_FSETXATTR, name: "fsetxattr"},
	{nr: unix.SYS_IOCTL, name: "ioctl FICLONE", flagArg: 2, flags: unix.FICLONE, exact: true},
	{nr: unix.SYS_IOCTL, name: "ioctl FICLONERANGE", flagArg: 2, flags: unix.FICLONERANGE, exact: true},
}

var callByNr = func() map[uint64]*call {
	m := map[uint64]*call{}
	for i := range calls {
		if m[uint64(calls[i].nr)] == nil {
			m[uint64(calls[i].nr)] = &calls[i]
		}
	}
	return m
}()

// arg gives an argument of a call, counted from 1.
func arg(r *unix.PtraceRegs, n int) *uint64 {
	return []*uint64{&r.Rdi, &r.Rsi, &r.Rdx, &r.R10, &r.R8, &r.R9}[n-1]
}

// counts reports whether a call that the filter has stopped changes a file. logs
// is the folder that the command's output goes to, which is none of its files.
func (c *call) counts(pid int, r *unix.PtraceRegs, logs string) bool {
	if c.nr == unix.SYS_OPENAT2 {
		var flags [8]byte
		if _, err := unix.PtracePeekData(pid, uintptr(r.Rdx), flags[:]); err != nil {
			return true
		}
		return binary.LittleEndian.Uint64(flags[:])&creates != 0
	}
	if c.fdArg == 0 {
		return true
	}
	link := "/proc/" + strconv.Itoa(pid) + "/fd/" + strconv.Itoa(int(int32(*arg(r, c.fdArg))))
	fi, err := os.Stat(link)
	if err != nil || !fi.Mode().IsRegular() {
		return false
	}
	path, err := os.Readlink(link)
	// What has no path, such as the eventfd of a runtime, looks like a regular
	// file to newer kernels.
	return err == nil && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, logs) && !strings.HasPrefix(path, "/proc/") && !strings.HasPrefix(path, "/sys/")
}

// file says which file a call is about, for people: the path that it names, or
// that of its first argument, a descriptor.
func (c *call) file(pid int, r *unix.PtraceRegs) string {
	if c.nameArg == 0 {
		link, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/fd/" + strconv.Itoa(int(int32(r.Rdi))))
		if err != nil {
			return "?"
		}
		return link
	}
	// No further than the page ends: what follows may not be there.
	at := uintptr(*arg(r, c.nameArg))
	b := make([]byte, min(512, 4096-at%4096))
	if _, err := unix.PtracePeekData(pid, at, b); err != nil {
		return "?"
	}
	name, _, _ := strings.Cut(string(b), "\x00")
	return name
}
