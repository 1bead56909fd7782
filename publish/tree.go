package publish

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// Options say where a tree is. Site and State must be set.
type Options struct {
	// Site is the folder that the web server serves. It is made if missing.
	Site string

	// State is nestgen's own folder, on the same file system. It is made if
	// missing, for its owner alone, and refused if others can write to it.
	State string

	// Log takes warnings. If nil, they are dropped.
	Log *slog.Logger

	// Clock is asked for the time that replaced pages get. If nil, [time.Now].
	Clock func() time.Time
}

// A Tree is the right to write to a site. Of those that [Open] gives at most one
// exists for a state folder at a time; any number may [Join] it. Its methods may
// be called by several goroutines at once.
type Tree struct {
	site, state, stagePath string
	log                    *slog.Logger
	now                    func() time.Time
	umask                  uint32

	build *flock.Flock // held from Open to Close; nil for one that has joined
	store lock         // held while names in the store change
	turns lock         // held by a Turn

	// Folders, open all the time. syncfs(2) tells of a failed write-back only
	// since the folder it is given was opened (Linux 5.8).
	root, stage int

	serial atomic.Uint64 // numbers the names in the stage
	failed atomic.Pointer[StorageError]
}

// The modes of what is served. They do not depend on the umask.
const (
	pageMode   = 0o644
	folderMode = 0o755
	storeMode  = 0o444
)

// Open takes the lock of the state folder and empties the stage. The error
// matches [ErrLocked] when another build has the lock.
func Open(o Options) (*Tree, error) { return o.tree((*Tree).openAlone) }

// Join gives a Tree to a program that changes a site while builds come and go.
// It has a part of the stage to itself.
func Join(o Options) (*Tree, error) { return o.tree((*Tree).openBeside) }

func (o Options) tree(open func(*Tree, string) error) (*Tree, error) {
	t := &Tree{site: o.Site, state: o.State, log: o.Log, now: o.Clock, root: -1, stage: -1}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	if t.now == nil {
		t.now = time.Now
	}
	if err := t.open(o.State, open); err != nil {
		t.release()
		return nil, err
	}
	return t, nil
}

func (t *Tree) open(state string, openStage func(*Tree, string) error) error {
	var err error
	if t.umask, err = readUmask(); err != nil {
		return err
	}
	if err := makeFolder(t.site, folderMode); err != nil {
		return err
	}
	if err := makeFolder(state, 0o700); err != nil {
		return err
	}
	if err := t.checkState(state); err != nil {
		return err
	}
	t.store = newLock(filepath.Join(state, "store.lock"))
	t.turns = newLock(filepath.Join(state, "publish.lock"))
	if t.root, err = openat(unix.AT_FDCWD, t.site, unix.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
		return storage("open", t.site, err)
	}
	t.stagePath, err = filepath.Abs(filepath.Join(state, "stage"))
	if err != nil {
		return err
	}
	if err := openStage(t, state); err != nil {
		return err
	}
	return t.checkMounts()
}

// openAlone takes the whole stage, but for what others have of it who joined.
func (t *Tree) openAlone(state string) error {
	t.build = flock.New(filepath.Join(state, "build.lock"), flock.SetPermissions(0o600))
	locked, err := t.build.TryLock()
	if err != nil {
		return storage("lock", t.build.Path(), err)
	}
	if !locked {
		return ErrLocked
	}
	if err := t.openStage(); err != nil {
		return err
	}
	return t.clearStage()
}

func (t *Tree) openStage() error {
	err := makeFolder(t.stagePath, 0o700)
	if err == nil {
		t.stage, err = openat(unix.AT_FDCWD, t.stagePath, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		err = storage("open", t.stagePath, err)
	}
	return err
}

// beside begins the names of the folders in the stage that belong to those who
// joined. Each has a lock on its own as long as it lives.
const beside = "beside-"

func (t *Tree) openBeside(string) error {
	all := t.stagePath
	for {
		if err := makeFolder(all, 0o700); err != nil {
			return err
		}
		t.stagePath = filepath.Join(all, beside+rand.Text())
		// A build that begins takes a folder without a lock for left over.
		if err := t.openStage(); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := unix.Flock(t.stage, unix.LOCK_EX|unix.LOCK_NB); err != nil && err != unix.EWOULDBLOCK {
			return storage("lock", t.stagePath, err)
		} else if err == nil {
			var st unix.Stat_t
			if err := unix.Fstat(t.stage, &st); err != nil {
				return storage("stat", t.stagePath, err)
			}
			if st.Nlink > 0 {
				return nil
			}
		}
		unix.Close(t.stage)
		t.stage = -1
	}
}

// makeFolder makes a folder with all its parents. The last one gets the mode
// whatever the umask; one that is there already keeps its own.
func makeFolder(path string, mode fs.FileMode) error {
	if fi, err := os.Stat(path); err == nil {
		if !fi.IsDir() {
			return storage("open", path, unix.ENOTDIR)
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return storage("mkdir", filepath.Dir(path), err)
	}
	if err := os.Mkdir(path, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return storage("mkdir", path, err)
	}
	return storage("chmod", path, os.Chmod(path, mode))
}

// checkState refuses a state folder in which others could put things, or that
// cannot keep locks.
func (t *Tree) checkState(state string) error {
	var st unix.Stat_t
	if err := unix.Stat(state, &st); err != nil {
		return storage("stat", state, err)
	}
	if st.Mode&0o022 != 0 {
		return fmt.Errorf("state folder %s: others may write to it (mode %#o); chmod go-w it", state, st.Mode&0o7777)
	}
	if os.Geteuid() == 0 {
		t.log.Warn("running as root; a user of its own is safer", "state owner uid", st.Uid)
	} else if int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("state folder %s: it belongs to user %d, and this is user %d", state, st.Uid, os.Geteuid())
	}
	var fst unix.Statfs_t
	if err := unix.Statfs(state, &fst); err != nil {
		return storage("statfs", state, err)
	}
	if fst.Type == unix.NFS_SUPER_MAGIC {
		return fmt.Errorf("state folder %s: it is on NFS, where locks and syncs cannot be relied on; use a local disk", state)
	}
	return nil
}

// checkMounts refuses a site that things in the stage cannot be renamed to:
// rename(2) works within one mount of one file system.
func (t *Tree) checkMounts() error {
	stage, err := mountOf(t.stage, "")
	if err != nil {
		return storage("stat", t.stagePath, err)
	}
	for _, name := range []string{"", "packages", "simple", "project", "pypi"} {
		m, err := mountOf(t.root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		path := filepath.Join(t.site, name)
		if err != nil {
			return storage("stat", path, err)
		}
		if m != stage {
			return fmt.Errorf("%s and %s are on different file systems or mounts; put state beside site, so that finished pages can be renamed into place", path, t.stagePath)
		}
	}
	return nil
}

// A mount is the device of a folder and the number of the mount it is seen
// through, 0 where the kernel does not tell (before Linux 5.8).
type mount struct {
	major, minor uint32
	id           uint64
}

func mountOf(dir int, name string) (mount, error) {
	var sx unix.Statx_t
	err := unix.Statx(dir, name, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &sx)
	if err != nil {
		return mount{}, err
	}
	m := mount{major: sx.Dev_major, minor: sx.Dev_minor}
	if sx.Mask&unix.STATX_MNT_ID != 0 {
		m.id = sx.Mnt_id
	}
	return m, nil
}

// clearStage removes what a run that died left behind. It writes nothing when
// there is nothing.
func (t *Tree) clearStage() error {
	var st unix.Stat_t
	if err := unix.Fstat(t.stage, &st); err != nil {
		return storage("stat", t.stagePath, err)
	}
	if st.Mode&0o077 != 0 {
		if err := unix.Fchmod(t.stage, 0o700); err != nil {
			return storage("chmod", t.stagePath, err)
		}
	}
	root, err := os.OpenRoot(t.stagePath)
	if err != nil {
		return storage("open", t.stagePath, err)
	}
	defer root.Close()
	dir, err := root.Open(".")
	if err != nil {
		return storage("open", t.stagePath, err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return storage("read", t.stagePath, err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, beside) {
			fd, err := openat(t.stage, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
			if err == nil {
				err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
				defer unix.Close(fd)
			}
			if err == unix.EWOULDBLOCK || err == unix.ENOENT {
				continue // its owner lives, or has just gone with it
			}
		}
		if err := root.RemoveAll(name); err != nil {
			return storage("remove", filepath.Join(t.stagePath, name), err)
		}
	}
	return nil
}

// Close empties the stage and gives the lock back. What was exposed or
// published stays.
func (t *Tree) Close() error {
	err := t.clearStage()
	if t.build == nil {
		err = cmp.Or(err, storage("remove", t.stagePath, os.Remove(t.stagePath)))
	}
	t.release()
	return err
}

func (t *Tree) release() {
	for _, fd := range []*int{&t.root, &t.stage} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
	// Unlocking closes the file; the kernel drops the lock with it, so an error
	// here leaves nothing locked.
	if t.build != nil {
		t.build.Unlock()
	}
}

// Failed gives the error of the sync that has ended all work on the tree, or nil.
// What was staged is lost; a process that goes on closes the tree and joins the
// site anew.
func (t *Tree) Failed() error { return t.usable() }

// usable gives the error that has ended all work on the tree, if there is one.
func (t *Tree) usable() error {
	if e := t.failed.Load(); e != nil {
		return e
	}
	return nil
}

// stageName gives a name in the stage that was not given before.
func (t *Tree) stageName() string { return strconv.FormatUint(t.serial.Add(1), 36) }

// livePath and tempPath spell places for error messages.
func (t *Tree) livePath(path string) string { return filepath.Join(t.site, path) }
func (t *Tree) tempPath(name string) string { return filepath.Join(t.stagePath, name) }

// makeDir makes a folder with the mode that is served.
func (t *Tree) makeDir(dir int, name string) error {
	if err := unix.Mkdirat(dir, name, folderMode); err != nil {
		return err
	}
	if t.umask&folderMode == 0 {
		return nil
	}
	return unix.Fchmodat(dir, name, folderMode, 0)
}

// makeFile makes a file, open for writing, with the given mode.
func (t *Tree) makeFile(dir int, name string, mode uint32) (int, error) {
	fd, err := openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, mode)
	if err != nil || t.umask&mode == 0 {
		return fd, err
	}
	if err := unix.Fchmod(fd, mode); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// writeFile makes a file with the given bytes.
func (t *Tree) writeFile(dir int, name string, mode uint32, data []byte) error {
	fd, err := t.makeFile(dir, name, mode)
	if err != nil {
		return err
	}
	if err := writeAll(fd, data); err != nil {
		unix.Close(fd)
		return err
	}
	// Some file systems tell of a full disk only here.
	return unix.Close(fd)
}

// writeAll writes data, however many calls it takes.
func writeAll(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// readUmask asks the kernel for the process's umask without changing it, as
// umask(2) would for a moment.
func readUmask() (uint32, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		for line := range bytes.Lines(status) {
			if v, ok := bytes.CutPrefix(line, []byte("Umask:")); ok {
				n, err := strconv.ParseUint(string(bytes.TrimSpace(v)), 8, 32)
				return uint32(n), err
			}
		}
	}
	// Without /proc, take it that every bit may be masked: modes are then set
	// one by one.
	return 0o777, nil
}
