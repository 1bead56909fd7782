package nestgen

import (
	"errors"
	"syscall"

	"nestgen/catalog"
	"nestgen/publish"
)

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
