//go:build !amd64 && !arm64

package drop

import "golang.org/x/sys/unix"

// lstatat is fstatat(2) without following a link, for a name that a NUL ends.
func lstatat(fd int, name []byte, st *unix.Stat_t) error {
	_, err := ignoringEINTR(func() (int, error) {
		return 0, unix.Fstatat(fd, string(name[:len(name)-1]), st, unix.AT_SYMLINK_NOFOLLOW)
	})
	return err
}
