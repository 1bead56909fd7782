//go:build amd64 || arm64

package drop

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// lstatat is fstatat(2) without following a link, for a name that a NUL ends.
// unix.Fstatat would copy every name to the heap.
func lstatat(fd int, name []byte, st *unix.Stat_t) error {
	for {
		_, _, errno := unix.Syscall6(sysFstatat, uintptr(fd), uintptr(unsafe.Pointer(&name[0])),
			uintptr(unsafe.Pointer(st)), unix.AT_SYMLINK_NOFOLLOW, 0, 0)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}
