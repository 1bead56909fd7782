package publish

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
)

// A Batch is a set of pages that are published together. Nothing of it can be
// seen before [Batch.Publish]. It holds some two hundred bytes of memory for
// each project and a hundred for each page, whatever its size; a site of a million
// projects is published in several batches, the pages that list others in the last.
//
// Its methods may be called by several goroutines at once, Publish and Close
// after all others have returned.
type Batch struct {
	t    *Tree
	name string // of the batch's folder in the stage

	mu      sync.Mutex
	made    bool
	over    bool
	folders map[string]*folder
	gone    []string // pages that go, and folders, with a slash behind
	empty   []string // folders that go last if nothing is left in them
	stats   Stats
	files   int // staged
	put     []catalog.Page

	// touched is the folders whose names are to be made durable: those that
	// change, and those of pages that were found unchanged, as the run that put
	// them there may have died before its last sync.
	touched changedSet
}

// Stats say what a batch did.
type Stats struct {
	Written   int   // pages that are new or have other bytes now
	Unchanged int   // pages that were left alone
	Removed   int   // pages and folders that went
	Bytes     int64 // in the pages written
}

// A folder is one of the site's that pages are staged for.
type folder struct {
	path string

	// stage is where the folder is built when the site has none under this
	// path; empty for one that is live.
	stage string

	// top is the folder of the stage that this one is built inside; nil for
	// one that is not.
	top *folder

	// pages are those staged for a live folder.
	pages []page

	// files and bytes count what is staged for a folder that is not live, with
	// the folders inside it.
	files int
	bytes int64
}

// A page is staged under its number, temp. Zero stands for a page that is
// named for being there with the right bytes.
type page struct {
	name  string
	temp  string
	mtime int64 // in seconds; zero when there is no page to replace
	size  int64
}

// A shelf holds one folder for each project, or all of these, in any index of the
// site.
func shelf(path string) bool {
	_, path = layout.CutPrefix(path + "/")
	switch path {
	case "./", layout.Simple + "/", layout.People + "/", layout.Legacy + "/", layout.Changes + "/":
		return true
	}
	return false
}

// group tells whose page or folder path is. It is the empty name for a page
// that lists others.
func group(path string) packaging.Name {
	_, path = layout.CutPrefix(path + "/")
	top, rest, ok := strings.Cut(strings.TrimSuffix(path, "/"), "/")
	if !ok || top == "." || !shelf(top) {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return packaging.NormalizeName(name)
}

// checkPage refuses paths that are no page's.
func checkPage(path string) error {
	if err := checkPath(path); err != nil {
		return err
	}
	if path == layout.Packages || strings.HasPrefix(path, layout.Packages+"/") {
		return fmt.Errorf("page %s: %w", path, errNotOurs)
	}
	return nil
}

// begin makes the batch's folder in the stage. It runs under mu.
func (b *Batch) begin() error {
	if b.made {
		return nil
	}
	if b.over {
		return errors.New("the batch is over")
	}
	if err := b.t.usable(); err != nil {
		return err
	}
	if err := unix.Mkdirat(b.t.stage, b.name, 0o700); err != nil {
		return storage("mkdir", b.t.tempPath(b.name), err)
	}
	b.made = true
	return nil
}

// temp gives a new name in the batch's folder.
func (b *Batch) temp() string { return b.name + "/" + b.t.stageName() }

// folder finds out, once for each folder, whether it is live. It runs under mu.
func (b *Batch) folder(path string) (*folder, error) {
	if f := b.folders[path]; f != nil {
		return f, nil
	}
	if err := b.begin(); err != nil {
		return nil, err
	}
	f := &folder{path: path}
	if path != "." {
		above, name := splitPath(path)
		up, err := b.folder(above)
		if err != nil {
			return nil, err
		}
		if up.stage != "" {
			f.stage, f.top = up.stage+"/"+name, cmp.Or(up.top, up)
		} else {
			fd, err := openBeneath(b.t.root, path, unix.O_PATH|unix.O_DIRECTORY)
			switch err {
			case nil:
				unix.Close(fd)
			case unix.ENOENT:
				f.stage = b.temp()
			default:
				return nil, storage("open", b.t.livePath(path), err)
			}
		}
		if f.stage != "" {
			if err := b.t.makeDir(b.t.stage, f.stage); err != nil {
				return nil, storage("mkdir", b.t.tempPath(f.stage), err)
			}
		}
	}
	b.folders[path] = f
	return f, nil
}

// place is where a page goes: temp is its name in the stage, f its folder.
func (b *Batch) place(path string) (f *folder, temp string, err error) {
	if err := checkPage(path); err != nil {
		return nil, "", err
	}
	if err := b.t.usable(); err != nil {
		return nil, "", err
	}
	dir, base := splitPath(path)
	b.mu.Lock()
	defer b.mu.Unlock()
	if f, err = b.folder(dir); err != nil {
		return nil, "", err
	}
	if f.stage != "" {
		return f, f.stage + "/" + base, nil
	}
	return f, b.temp(), nil
}

// Put stages a page. The page that is live is left alone when it has the same
// bytes. A page may be put once. The data is not kept.
//
// A compressed sibling, path + ".gz", is a page like any other and put by the
// caller; it changes in the same step, just before the page itself. When a page
// changes and no sibling is put, an old sibling is removed.
func (b *Batch) Put(path string, data []byte) error {
	f, temp, err := b.place(path)
	if err != nil {
		return err
	}
	var old int64
	is := catalog.Page{Path: path, Size: int64(len(data)), SHA256: sha256.Sum256(data)}
	if f.stage == "" {
		same, mtime, err := b.t.samePage(path, is.Size, bytes.NewReader(data))
		if err != nil {
			return err
		}
		if same {
			return b.unchanged(f, is)
		}
		old = mtime
	}
	if err := b.t.writeFile(b.t.stage, temp, pageMode, data); err != nil {
		return storage("write", b.t.tempPath(temp), err)
	}
	return b.changed(f, is, temp, old)
}

// Create stages a page that is too big to hold in memory. It counts from when
// the writer is closed without an error, and never if it is not closed.
func (b *Batch) Create(path string) (io.WriteCloser, error) {
	f, temp, err := b.place(path)
	if err != nil {
		return nil, err
	}
	fd, err := b.t.makeFile(b.t.stage, temp, pageMode)
	if err != nil {
		return nil, storage("create", b.t.tempPath(temp), err)
	}
	w := &pageWriter{b: b, f: f, path: path, temp: temp, fd: fd, sum: sha256.New()}
	w.buf = bufio.NewWriterSize(fdWriter{w}, 64<<10)
	return w, nil
}

// A pageWriter fills one page.
type pageWriter struct {
	b          *Batch
	f          *folder
	path, temp string
	fd         int
	size       int64
	sum        hash.Hash
	buf        *bufio.Writer
}

// An fdWriter is the unbuffered side of a pageWriter.
type fdWriter struct{ w *pageWriter }

func (x fdWriter) Write(p []byte) (int, error) {
	if err := writeAll(x.w.fd, p); err != nil {
		return 0, storage("write", x.w.b.t.tempPath(x.w.temp), err)
	}
	x.w.size += int64(len(p))
	x.w.sum.Write(p)
	return len(p), nil
}

func (w *pageWriter) Write(p []byte) (int, error) { return w.buf.Write(p) }

func (w *pageWriter) Close() error {
	if w.fd < 0 {
		return errors.New("page " + w.path + ": closed twice")
	}
	err := w.buf.Flush()
	if cerr := unix.Close(w.fd); err == nil {
		err = storage("write", w.b.t.tempPath(w.temp), cerr)
	}
	w.fd = -1
	if err != nil {
		return err
	}
	t := w.b.t
	is := catalog.Page{Path: w.path, Size: w.size, SHA256: catalog.Digest(w.sum.Sum(nil))}
	var old int64
	if w.f.stage == "" {
		fd, err := openat(t.stage, w.temp, unix.O_RDONLY, 0)
		if err != nil {
			return storage("open", t.tempPath(w.temp), err)
		}
		same, mtime, err := t.samePage(w.path, w.size, fdReader(fd))
		unix.Close(fd)
		if err != nil {
			return err
		}
		if same {
			if err := unix.Unlinkat(t.stage, w.temp, 0); err != nil {
				return storage("remove", t.tempPath(w.temp), err)
			}
			return w.b.unchanged(w.f, is)
		}
		old = mtime
	}
	return w.b.changed(w.f, is, w.temp, old)
}

// An fdReader reads an open file.
type fdReader int

func (fd fdReader) Read(p []byte) (int, error) {
	n, err := readFull(int(fd), p)
	if n == 0 && err == nil && len(p) > 0 {
		return 0, io.EOF
	}
	return n, err
}

// samePage compares the live page with what is to be there. mtime is that of
// the live page in seconds, zero when there is none.
func (t *Tree) samePage(path string, size int64, want io.Reader) (same bool, mtime int64, err error) {
	fd, err := openBeneath(t.root, path, unix.O_RDONLY|unix.O_NONBLOCK)
	switch err {
	case nil:
	case unix.ENOENT, unix.ELOOP:
		// A link is replaced by the page, and not followed.
		return false, 0, nil
	default:
		return false, 0, storage("open", t.livePath(path), err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, 0, storage("stat", t.livePath(path), err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false, 0, storage("replace", t.livePath(path), unix.EISDIR)
	}
	if st.Size != size {
		return false, st.Mtim.Sec, nil
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	half := len(*buf) / 2
	x, y := (*buf)[:half], (*buf)[half:]
	for {
		n, err := readFull(fd, x)
		if err != nil {
			return false, 0, storage("read", t.livePath(path), err)
		}
		m, err := io.ReadFull(want, y)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return false, 0, storage("read", t.livePath(path), err)
		}
		if !bytes.Equal(x[:n], y[:m]) {
			return false, st.Mtim.Sec, nil
		}
		if n < half {
			return true, st.Mtim.Sec, nil
		}
	}
}

func (b *Batch) unchanged(f *folder, is catalog.Page) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put = append(b.put, is)
	b.stats.Unchanged++
	b.touched.addUp(f.path)
	if _, name := splitPath(is.Path); strings.HasSuffix(name, ".gz") {
		// A run may have died between the sibling and its page.
		f.pages = append(f.pages, page{name: name})
	}
	return nil
}

func (b *Batch) changed(f *folder, is catalog.Page, temp string, old int64) error {
	_, name := splitPath(is.Path)
	p := page{name: name, temp: temp, size: is.Size}
	if old != 0 {
		var err error
		if p.mtime, err = b.t.setTime(temp, old); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.files++
	b.put = append(b.put, is)
	if f.stage != "" {
		f = cmp.Or(f.top, f)
		f.files++
		f.bytes += is.Size
		return nil
	}
	if slices.ContainsFunc(f.pages, func(q page) bool { return q.name == name }) {
		return fmt.Errorf("page %s: put twice", is.Path)
	}
	f.pages = append(f.pages, p)
	return nil
}

// setTime gives a staged page the time at which it may replace one of the time
// old: now, or a second after old if that is later. A whole second, because
// web servers and rsync compare seconds (contract rule 15).
func (t *Tree) setTime(temp string, old int64) (int64, error) {
	now := t.now()
	ts := unix.Timespec{Sec: now.Unix(), Nsec: int64(now.Nanosecond())}
	if ts.Sec <= old {
		ts = unix.Timespec{Sec: old + 1}
	}
	err := unix.UtimesNanoAt(t.stage, temp, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	return ts.Sec, storage("set time of", t.tempPath(temp), err)
}

// Remove has a page go, if it is there, with its compressed sibling, after the
// pages that list it have changed. A folder that would be left empty goes with
// its last page. What is put in a batch is not removed in the same one.
func (b *Batch) Remove(path string) error {
	if err := checkPage(path); err != nil {
		return err
	}
	if !strings.HasSuffix(path, ".gz") {
		if err := b.remove(path + ".gz"); err != nil {
			return err
		}
	}
	return b.remove(path)
}

// RemoveFolder has a project's folder go at once with all that is in it. A
// reader never sees it half empty.
func (b *Batch) RemoveFolder(path string) error {
	if err := checkPage(path); err != nil {
		return err
	}
	if shelf(path) {
		return fmt.Errorf("folder %s: holds many projects", path)
	}
	return b.remove(path + "/")
}

// RemoveEmpty has a folder go last, if nothing is left in it then.
func (b *Batch) RemoveEmpty(path string) error {
	if err := checkPage(path); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.begin(); err != nil {
		return err
	}
	b.empty = append(b.empty, path)
	return nil
}

// RemoveIndex has all pages of the index below a prefix go: each of its folders at
// once. What else lies there stays, and if there is nothing the prefix goes too.
func (b *Batch) RemoveIndex(prefix string) error {
	if !layout.ValidPrefix(prefix) {
		return fmt.Errorf("prefix %q: no index lies there", prefix)
	}
	for _, folder := range []string{layout.Simple, layout.People, layout.Legacy, path.Dir(layout.Flat), path.Dir(layout.Easy)} {
		if err := b.remove(layout.Below(prefix, folder) + "/"); err != nil {
			return err
		}
	}
	if err := b.Remove(layout.Below(prefix, layout.Front)); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for dir := prefix; dir != "."; dir, _ = splitPath(dir) {
		b.empty = append(b.empty, dir)
	}
	return nil
}

// Pages gives the pages that were put, whether or not they have changed by that, and
// the paths of those that went, folders with a slash behind.
func (b *Batch) Pages() (put []catalog.Page, gone []string) { return b.put, b.gone }

// remove notes what goes.
func (b *Batch) remove(path string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.begin(); err != nil {
		return err
	}
	b.gone = append(b.gone, path)
	return nil
}

// Close ends the batch, and drops what was staged and not published. Closing
// it again does nothing.
func (b *Batch) Close() error {
	b.over = true
	return b.drop()
}

// drop removes what is staged.
func (b *Batch) drop() error {
	clear(b.folders)
	if !b.made {
		return nil
	}
	b.made = false
	return b.t.removeStaged(b.name, false)
}
