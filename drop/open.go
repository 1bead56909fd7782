package drop

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBusy is matched by the error for a file that is still being written, or
// that changed since the scan looked at it. The next run takes it.
var ErrBusy = errors.New("still being written")

// A busyError says how it shows that a file is busy.
type busyError struct{ how string }

func (e busyError) Error() string        { return e.how }
func (e busyError) Is(target error) bool { return target == ErrBusy }

var (
	errWriter  = busyError{"still being written: somebody has it open for writing"}
	errYoung   = busyError{"still being written, perhaps: changed a moment ago"}
	errChanged = busyError{"changed while it was looked at"}
)

// errIrregular is for what took the place of a file since the scan.
var errIrregular = errors.New("not a regular file")

// Open opens the file of an entry for reading. It follows no link, does not
// wait for a FIFO, and gives the very file that the scan saw or an error: one
// that matches [ErrBusy] when the file is not at rest, fs.ErrPermission when
// it may not be read, or another of the file system. For a file that was only
// just written it waits some milliseconds, until the clock has moved on so far
// that another change would show.
//
// A file at rest may still change while it is read.
func (v *View) Open(e Entry) (*os.File, error) {
	i := v.dirIndex(e.Dir)
	if i < 0 || v.dirs[i].fd < 0 {
		return nil, &fs.PathError{Op: "open", Path: e.Dir, Err: fs.ErrNotExist}
	}
	if err := outlast(e.Stat); err != nil {
		return nil, err
	}
	parent, last, err := v.parent(i, e.Path)
	if err != nil {
		return nil, err
	}
	fd, err := v.openRested(parent, last, e.Stat)
	closeParent(parent, v.dirs[i].fd)
	if err != nil {
		return nil, err
	}
	// The file is about to be read, perhaps for long.
	unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK)
	// O_NONBLOCK has done its work. No other flag of the open file can be
	// cleared, so this is one call instead of two.
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), e.Name()), nil
}

// OpenCompanion opens a companion of an entry in the same way. The error
// matches fs.ErrNotExist when the entry has none.
func (v *View) OpenCompanion(e Entry, c Companion) (*os.File, error) {
	st := e.Companion(c)
	if st.IsZero() {
		return nil, &fs.PathError{Op: "open", Path: e.Name() + c.Ending(), Err: fs.ErrNotExist}
	}
	e.Path += c.Ending()
	e.Stat = st
	return v.Open(e)
}

// openNamed opens a name of a folder, if that may be the file that the scan saw.
func openNamed(parent int, name string) (int, error) {
	fd, err := openAt(parent, []byte(name), 0)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK): // a lease of another program stands against it
		return -1, errWriter
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENXIO):
		return -1, errChanged
	}
	return fd, err
}

// openRested opens a name of a folder, if that is the file wanted, at rest.
func (v *View) openRested(parent int, name string, want Stat) (int, error) {
	fd, err := openNamed(parent, name)
	if err != nil {
		return -1, err
	}
	if err := v.rested(fd, want); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// parent opens the folder that holds path, one folder after the other so that
// no link is followed anywhere on the way; closeParent ends it.
func (v *View) parent(i int, path string) (fd int, last string, err error) {
	root := v.dirs[i].fd
	fd = root
	for {
		head, tail, more := strings.Cut(path, "/")
		if !more {
			return fd, head, nil
		}
		sub, err := openAt(fd, []byte(head), unix.O_DIRECTORY)
		closeParent(fd, root)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			return -1, "", errChanged
		}
		if err != nil {
			return -1, "", err
		}
		fd, path = sub, tail
	}
}

func closeParent(fd, root int) {
	if fd >= 0 && fd != root {
		unix.Close(fd)
	}
}

// rested says whether the open file is the one wanted, and nobody writes to it.
func (v *View) rested(fd int, want Stat) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errIrregular
	}
	if statOf(&st) != want {
		return errChanged
	}
	return v.unwritten(fd, &st)
}

// settled says whether what was read from fd is the file that the scan saw,
// whole: nobody has it or a companion open for writing, and none of them changed
// since. The error matches [ErrBusy] when what was read must be thrown away.
func (v *View) settled(dir int, fd int, e Entry) error {
	if err := v.rested(fd, e.Stat); err != nil {
		return err
	}
	if e.Signature.IsZero() && e.Metadata.IsZero() && e.Provenance.IsZero() {
		return nil
	}
	parent, last, err := v.parent(dir, e.Path)
	if err != nil {
		return err
	}
	defer closeParent(parent, v.dirs[dir].fd)
	for c := range Companion(companions) {
		// A companion that only came now is not looked for: the next scan
		// finds the entry altered. To ask for names that are not there costs
		// a search of the folder each.
		st := e.Companion(c)
		if st.IsZero() {
			continue
		}
		fd, err := v.openRested(parent, last+c.Ending(), st)
		if errors.Is(err, fs.ErrPermission) {
			continue // so the caller has not read it either
		}
		if err != nil {
			return err
		}
		unix.Close(fd)
	}
	return nil
}

// unwritten says whether nobody writes to the open file. A read lease is
// refused while any process has the file open for writing. It goes when the file
// is closed, which whoever asks does soon, so that a writer hardly has to wait.
func (v *View) unwritten(fd int, st *unix.Stat_t) error {
	if !v.remote(fd, uint64(st.Dev)) {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
		if err == nil {
			return nil
		}
		if err == unix.EAGAIN {
			return errWriter
		}
	}
	// The file is another user's, or the file system has no leases. The time
	// of the last status change tells: unlike the modification time, no
	// copying program sets it. A time that is further ahead than Quiet is that
	// of a clock which cannot be compared with ours.
	if age := time.Since(time.Unix(st.Ctim.Unix())); age < v.opts.Quiet && age > -v.opts.Quiet {
		return errYoung
	}
	return nil
}

// remote reports whether the file's writers may be on other machines, where no
// lease of ours shows them, or whether the file system refuses leases for
// reasons of its own (NFS 4 without a delegation).
func (v *View) remote(fd int, dev uint64) bool {
	v.mu.Lock()
	far, known := v.far[dev]
	v.mu.Unlock()
	if !known {
		far = isRemote(fd)
		v.mu.Lock()
		if v.far == nil {
			v.far = make(map[uint64]bool)
		}
		v.far[dev] = far
		v.mu.Unlock()
	}
	return far
}

func isRemote(fd int) bool {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return true
	}
	switch uint32(fs.Type) {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC,
		unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC, unix.CEPH_SUPER_MAGIC, unix.CODA_SUPER_MAGIC,
		unix.V9FS_MAGIC, unix.FUSE_SUPER_MAGIC, unix.NCP_SUPER_MAGIC, unix.OCFS2_SUPER_MAGIC,
		0x01161970 /* GFS2 */, 0x0BD00BD0 /* Lustre */, 0x786f4256 /* VirtualBox */ :
		return true
	}
	return false
}

// A clock tick is the longest time in which a file system may give two changes
// the same time: 10 ms for the kernels with the slowest clock, and two seconds
// where times have no finer part.
const (
	tick       = 20 * time.Millisecond
	coarseTick = 2 * time.Second
)

// outlast waits until a change made from now on has another time than the last
// one. Without it a file that is written twice within one tick could change
// while it is read, and not show it.
func outlast(st Stat) error {
	t := tick
	if st.CTime%1e9 == 0 {
		t = coarseTick
	}
	age := time.Since(time.Unix(0, st.CTime))
	switch {
	case age >= t || age <= -t:
		return nil // so far ahead, it is the time of a clock that is not ours
	case age < 0:
		return errYoung
	}
	time.Sleep(t - age)
	return nil
}

// Skip notes that an entry could not be inspected in this run: as waiting if
// err matches [ErrBusy], and otherwise as rejected. Nothing is remembered, the
// next run tries again.
func (v *View) Skip(e Entry, err error) {
	n := Note{File: e.Name(), Reason: reasonOf(err)}
	v.mu.Lock()
	defer v.mu.Unlock()
	if errors.Is(err, ErrBusy) {
		n.Hint = "the next run takes it"
		v.report.Waiting = append(v.report.Waiting, n)
		return
	}
	if errors.Is(err, fs.ErrPermission) {
		n.Hint = "let the user that nestgen runs as read it"
	}
	v.report.Rejected = append(v.report.Rejected, n)
}

// A File is an entry that is open for reading, as long as [View.Inspect] lets it
// be.
type File struct{ fd int }

// ReadAt implements [io.ReaderAt].
func (f *File) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := unix.Pread(f.fd, p[n:], off+int64(n))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return n, os.NewSyscallError("pread", err)
		case m == 0:
			return n, io.EOF
		default:
			n += m
		}
	}
	return n, nil
}

// soonRead is the size of file up to which reading costs no more than finding
// out before that it is in vain.
const soonRead = 1 << 20

// Inspect opens an entry, hands the file to look, makes sure that the file
// stood still meanwhile, and records what look found. It returns nil exactly
// when an outcome was recorded. The error matches [ErrSkipped] when this one
// file must be left for another run, which the report then says; what look
// found is worth nothing. Any other error is that of look, or says that this
// process lacks the means to go on.
//
// What look reads may be torn, and even that of something else than a file.
func (v *View) Inspect(e Entry, look func(*File) (Outcome, error)) error {
	dir := v.dirIndex(e.Dir)
	if dir < 0 || v.dirs[dir].fd < 0 {
		return v.skipped(e, &fs.PathError{Op: "open", Path: e.Dir, Err: fs.ErrNotExist})
	}
	f, err := v.openToInspect(dir, e)
	if err != nil {
		return v.skipped(e, err)
	}
	o, err := look(f)
	serr := v.settled(dir, f.fd, e)
	unix.Close(f.fd)
	f.fd = -1
	if serr != nil {
		return v.skipped(e, serr)
	}
	if err != nil {
		return err
	}
	return v.Record(e, o)
}

func (v *View) openToInspect(dir int, e Entry) (*File, error) {
	if err := outlast(e.Stat); err != nil {
		return nil, err
	}
	parent, last, err := v.parent(dir, e.Path)
	if err != nil {
		return nil, err
	}
	defer closeParent(parent, v.dirs[dir].fd)
	fd, err := openNamed(parent, last)
	if err != nil {
		return nil, err
	}
	if e.Size > soonRead {
		if err := v.rested(fd, e.Stat); err != nil {
			unix.Close(fd)
			return nil, err
		}
		unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK)
	}
	return &File{fd}, nil
}

// ErrSkipped is matched by the error of an inspection that was given up for
// this run, and noted.
var ErrSkipped = errors.New("left for another run")

func (v *View) skipped(e Entry, err error) error {
	for _, fatal := range []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM} {
		if errors.Is(err, fatal) {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
	}
	v.Skip(e, err)
	return skippedError{err}
}

type skippedError struct{ error }

func (e skippedError) Is(target error) bool { return target == ErrSkipped }
func (e skippedError) Unwrap() error        { return e.error }

// reasonOf gives an error without the path, which a Note names already.
func reasonOf(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	} else if se, ok := errors.AsType[*os.SyscallError](err); ok {
		err = se.Err
	}
	return err.Error()
}
