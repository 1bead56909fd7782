package drop

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// A folder is the sorted list of the names in one directory, packed: 16 bytes
// a name besides the name itself.
type folder struct {
	text  arena // names, each with a NUL after it
	names []name
}

// A name is one directory entry. key is its first eight bytes, so that most
// comparisons need not look at the text.
type name struct {
	key  uint64
	at   uint32 // place in the text; a folder holds less than 4 GiB of names
	len  uint8
	typ  uint8 // unix.DT_*
	mark uint8
}

// Marks of a name.
const (
	claimed = 1 << iota // a companion whose distribution was met
)

func (f *folder) get(i int) []byte {
	n := &f.names[i]
	return f.text.from(uint64(n.at))[:n.len]
}

// direntHeader is the size of linux_dirent64 before the name: inode and offset
// of 8 bytes each, record length of 2, type of 1.
const direntHeader = 19

// list reads the directory that fd is open on, from where it stands to the
// end, and sorts it by name. buf is where the kernel writes.
func (f *folder) list(fd int, buf []byte) error {
	f.text.reset()
	f.names = f.names[:0]
	for {
		n, err := ignoringEINTR(func() (int, error) { return unix.Getdents(fd, buf) })
		if err != nil {
			return os.NewSyscallError("getdents64", err)
		}
		if n == 0 {
			break
		}
		for b := buf[:n]; len(b) > direntHeader; {
			size := int(binary.NativeEndian.Uint16(b[16:]))
			if size <= direntHeader || size > len(b) {
				return os.NewSyscallError("getdents64", unix.EIO)
			}
			if err := f.add(b[direntHeader:size], b[18]); err != nil {
				return err
			}
			b = b[size:]
		}
	}
	slices.SortFunc(f.names, func(a, b name) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return bytes.Compare(f.text.from(uint64(a.at))[:a.len], f.text.from(uint64(b.at))[:b.len])
	})
	return nil
}

// add takes one name, which a NUL ends.
func (f *folder) add(text []byte, typ byte) error {
	n := bytes.IndexByte(text, 0)
	if n < 1 || n > 255 {
		return os.NewSyscallError("getdents64", unix.EIO)
	}
	if text[0] == '.' && (n == 1 || n == 2 && text[1] == '.') {
		return nil
	}
	at := f.text.put(text[:n+1])
	if at > 1<<32-1 {
		return errors.New("folder with more than 4 GiB of file names")
	}
	var key [8]byte
	copy(key[:], text[:n])
	f.names = append(f.names, name{
		key: binary.BigEndian.Uint64(key[:]), at: uint32(at), len: uint8(n), typ: typ,
	})
	return nil
}

// ignoringEINTR calls again what a signal interrupted.
func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
