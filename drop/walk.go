package drop

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// maxDepth bounds the open directories of a walk.
	maxDepth = 64

	// A window is how many files of a folder are looked at before they are
	// held against the cache; a share is what a worker takes of it at a time.
	window = 8192
	share  = 256

	// direntBuffer holds some 1,000 entries. Larger ones gain nothing.
	direntBuffer = 64 << 10
)

// A gap is a folder of a drop directory that could not be read. Its path is
// empty when it is the drop directory itself.
type gap struct {
	dir  int
	path []byte
}

// A walker lists the drop directories one after the other and merges what it
// finds with the cache. It runs once.
type walker struct {
	ctx context.Context
	v   *View

	// loaded gives the cache, verified, on the first call.
	loaded func() (*base, error)

	dir   int
	cur   *cursor
	path  []byte // of the folder in hand, with a slash at its end, or empty
	buf   []byte
	roots map[fileID]bool

	// levels is the memory that the folders of each depth share, as only one
	// of a depth is open at a time.
	levels []*level

	found int // entries of the drop directory in hand
}

type level struct {
	folder folder
	looks  []look
}

func (l *level) take(n int) []look {
	if cap(l.looks) < n {
		l.looks = make([]look, n)
	}
	return l.looks[:n]
}

// A look is what fstatat said of one name of a window.
type look struct {
	class class
	err   error
	mode  uint32
	Stat
}

// drop scans one drop directory, whose file descriptor is fd.
func (w *walker) drop(i int) error {
	w.dir, w.path, w.cur, w.found = i, w.path[:0], nil, 0
	d := &w.v.dirs[i]
	if d.err == nil {
		if err := w.folder(d.fd, 0); err != nil {
			return err
		}
	} else if err := w.miss(d.err); err != nil {
		return err
	}
	if err := w.open(); err != nil {
		return err
	}
	for w.cur.ok {
		if w.found == 0 && d.err == nil && d.seen != d.id {
			// Another directory than last time, and nothing in it: what is
			// left at a mount point when the file system is not mounted.
			d.err = errUnmounted
			return w.miss(d.err)
		}
		if err := w.gone(); err != nil {
			return err
		}
	}
	return nil
}

var errUnmounted = errors.New("empty, and another directory than last time: not mounted?")

// open puts the cursor on the first record of the drop directory in hand. It
// is called as late as can be, so that the cache is verified meanwhile.
func (w *walker) open() error {
	if w.cur != nil {
		return nil
	}
	b, err := w.loaded()
	if err != nil {
		return err
	}
	s := b.section(w.v.dirs[w.dir].path)
	if s != nil {
		w.v.dirs[w.dir].seen = s.id
	}
	w.cur, err = b.cursor(s)
	return err
}

// gone notes that the file the cursor stands on is not there any more.
func (w *walker) gone() error {
	w.v.add(w.dir, Gone, w.cur.path, &w.cur.facts)
	return w.cur.next()
}

// catchUp moves the cursor to the first path that is not before p; what it
// passes is gone.
func (w *walker) catchUp(p []byte) (same bool, err error) {
	for w.cur.ok {
		if bytes.Equal(w.cur.path, p) {
			return true, nil
		}
		if comparePaths(w.cur.path, p) > 0 {
			break
		}
		if err := w.gone(); err != nil {
			return false, err
		}
	}
	return false, nil
}

// miss notes that the folder in hand cannot be read, and leaves what is known
// of the files below it as it is.
func (w *walker) miss(err error) error {
	if e := w.open(); e != nil {
		return e
	}
	p := bytes.TrimSuffix(w.path, []byte("/"))
	w.v.gap(w.dir, p, err)
	if _, err := w.catchUp(p); err != nil {
		return err
	}
	for w.cur.ok && hasPrefix(w.cur.path, p) {
		w.v.counts.Kept++
		w.known()
		w.found++
		if err := w.cur.next(); err != nil {
			return err
		}
	}
	return nil
}

// known notes in the report what the cache has to say of the current record.
func (w *walker) known() {
	o := w.cur.outcome
	if verdict(o) != Rejected && (len(o) == 0 || o[0]&hasText == 0) {
		return
	}
	if out, ok := parseOutcome(o); ok {
		w.v.report.outcome(w.v.name(w.dir, w.cur.path), &out)
	}
}

// folder walks the directory that fd is open on; w.path names it.
func (w *walker) folder(fd, depth int) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if depth == len(w.levels) {
		w.levels = append(w.levels, new(level))
	}
	f := &w.levels[depth].folder
	if err := f.list(fd, w.buf); err != nil {
		return w.miss(err)
	}
	w.v.counts.Folders++
	if err := w.open(); err != nil {
		return err
	}
	looks := w.levels[depth].take(min(window, len(f.names)))
	for lo := 0; lo < len(f.names); lo += window {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		hi := min(lo+window, len(f.names))
		if err := w.look(fd, f, lo, looks[:hi-lo]); err != nil {
			return w.miss(err)
		}
		for i := lo; i < hi; i++ {
			if err := w.entry(fd, depth, f, i, lo, looks[:hi-lo]); err != nil {
				return err
			}
		}
	}
	return nil
}

// look classifies the names of a window and stats those that may be files of
// the index. The error is for a folder that lets itself be listed only.
func (w *walker) look(fd int, f *folder, lo int, looks []look) error {
	work := func(from, to int) error {
		for i := from; i < to; i++ {
			l := &looks[i]
			*l = look{}
			text := f.get(lo + i)
			l.class, _ = classify(text)
			switch typ := f.names[lo+i].typ; {
			case typ == unix.DT_UNKNOWN:
			case typ != unix.DT_REG:
				l.mode = uint32(typ) << 12 // DT_* are the type bits of a mode
				continue
			case l.class != distfile && l.class != snippet && l.class != beside:
				l.mode = unix.S_IFREG
				continue
			}
			if l.stat(fd, text); l.err != nil && l.err != unix.ENOENT {
				return os.NewSyscallError("fstatat", l.err)
			}
		}
		return nil
	}
	workers := min(w.v.opts.Workers, len(looks)/share)
	if workers < 2 {
		return work(0, len(looks))
	}
	var next atomic.Int64
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			for errs[k] == nil {
				from := int(next.Add(share)) - share
				if from >= len(looks) {
					return
				}
				errs[k] = work(from, min(from+share, len(looks)))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// stat fills l for a name of the folder that fd is open on. The name's NUL
// follows it.
func (l *look) stat(fd int, text []byte) {
	var st unix.Stat_t
	l.err = lstatat(fd, text[:len(text)+1], &st)
	l.mode = uint32(st.Mode)
	l.Stat = statOf(&st)
}

func statOf(st *unix.Stat_t) Stat {
	return Stat{Size: st.Size, MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(), Inode: st.Ino}
}

// entry takes the i-th name of a folder; looks begins at the lo-th.
func (w *walker) entry(fd, depth int, f *folder, i, lo int, looks []look) error {
	l := &looks[i-lo]
	text := f.get(i)
	at := len(w.path)
	if l.err != nil {
		return nil // gone between listing and looking
	}
	switch l.mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return w.child(fd, depth, text, l.class)
	case unix.S_IFREG:
	case unix.S_IFLNK:
		w.special(text, l.class, "a symbolic link", "put the file itself there")
		return nil
	case unix.S_IFIFO:
		w.special(text, l.class, "a FIFO, not a file", "")
		return nil
	case unix.S_IFSOCK:
		w.special(text, l.class, "a socket, not a file", "")
		return nil
	default:
		w.special(text, l.class, "a device, not a file", "")
		return nil
	}
	switch l.class {
	case unmeant:
		w.ignore(text, "not a distribution by its ending")
	case hidden:
		w.ignore(text, "hidden")
	case partial:
		w.ignore(text, "temporary file of an editor or a transfer")
	case badname:
		_, why := classify(text)
		w.reject(text, why, "rename it")
	case beside:
		if f.names[i].mark&claimed == 0 {
			w.ignore(text, "no "+string(distributionOf(text))+" beside it")
		}
	case distfile, snippet:
		if at+len(text) > maxPath {
			w.reject(text, "path longer than 4096 bytes", "")
			return nil
		}
		fc := facts{main: l.Stat}
		if l.class == snippet {
			fc.kind = Snippet
		} else {
			w.companions(fd, f, i, lo, looks, &fc)
		}
		w.path = append(w.path, text...)
		err := w.file(&fc)
		w.path = w.path[:at]
		return err
	}
	return nil
}

// companions looks for the files beside the i-th name. They sort after it,
// among the names that begin with it.
func (w *walker) companions(fd int, f *folder, i, lo int, looks []look, fc *facts) {
	text := f.get(i)
	for j := i + 1; j < len(f.names) && bytes.HasPrefix(f.get(j), text); j++ {
		c, ok := companionOf(text, f.get(j))
		if !ok {
			continue
		}
		var l look
		if j-lo < len(looks) {
			l = looks[j-lo]
		} else {
			l.stat(fd, f.get(j)) // in the next window
		}
		if l.err == nil && l.mode&unix.S_IFMT == unix.S_IFREG {
			fc.beside[c] = l.Stat
			f.names[j].mark |= claimed
		}
	}
}

// file holds a file against the cache; w.path names it.
func (w *walker) file(fc *facts) error {
	w.found++
	w.v.counts.Files++
	w.v.counts.Bytes += fc.main.Size
	same, err := w.catchUp(w.path)
	if err != nil {
		return err
	}
	if !same {
		w.v.add(w.dir, New, w.path, fc)
		return nil
	}
	if w.cur.facts != *fc || outdated(w.cur.outcome, w.v.rules) {
		w.v.add(w.dir, Altered, w.path, fc)
	} else {
		w.known()
	}
	return w.cur.next()
}

// child walks a folder of the folder in hand.
func (w *walker) child(fd, depth int, text []byte, c class) error {
	switch c {
	case hidden, partial:
		w.ignore(text, "hidden or temporary folder")
		return nil
	case distfile, snippet, beside, badname:
		if c == badname && byEnding(text) == unmeant {
			break // any name will do for a folder, it is not published
		}
		w.reject(text, "a folder with the name of a file", "")
		return nil
	}
	if string(text) == "lost+found" {
		w.ignore(text, "belongs to the file system")
		return nil
	}
	at := len(w.path)
	if depth+1 >= maxDepth || at+len(text)+1 > maxPath {
		w.reject(text, "folder nested too deep", "")
		return nil
	}
	defer func() { w.path = w.path[:at] }()
	sub, err := openAt(fd, text, unix.O_DIRECTORY)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil // gone, or another thing by now: the next run sees it
	}
	w.path = append(append(w.path, text...), '/')
	if err != nil {
		return w.miss(err)
	}
	defer unix.Close(sub)
	id, err := idOf(sub)
	if err != nil {
		return w.miss(err)
	}
	if w.roots[id] {
		return nil // a drop directory of its own
	}
	return w.folder(sub, depth+1)
}

// openAt opens a name for reading by the directory that holds it: without
// following a link, waiting for a FIFO's writer or handing the descriptor on.
func openAt(fd int, name []byte, flags int) (int, error) {
	n, err := ignoringEINTR(func() (int, error) {
		return unix.Openat(fd, string(name), flags|unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	})
	if err != nil {
		return -1, os.NewSyscallError("openat", err)
	}
	return n, nil
}

func idOf(fd int) (fileID, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fileID{}, os.NewSyscallError("fstat", err)
	}
	return fileID{uint64(st.Dev), st.Ino}, nil
}

// special rejects what is neither file nor folder, unless it is hidden.
func (w *walker) special(text []byte, c class, reason, hint string) {
	if c == hidden || c == partial {
		w.ignore(text, "hidden or temporary, and "+reason)
	} else {
		w.reject(text, reason, hint)
	}
}

func (w *walker) ignore(text []byte, reason string) {
	if len(w.v.report.Ignored) >= maxIgnored {
		w.v.report.IgnoredMore++
		return
	}
	w.v.report.ignore(Note{File: w.v.name(w.dir, w.path, text), Reason: reason})
}

func (w *walker) reject(text []byte, reason, hint string) {
	w.v.report.Rejected = append(w.v.report.Rejected, Note{w.v.name(w.dir, w.path, text), reason, hint})
}
