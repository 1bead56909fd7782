package drop

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nestgen/catalog"
)

// Options are what a scan may be told. The zero Options will do.
type Options struct {
	// Rules names what the outcomes depend on besides the files: the version
	// of the inspection, the settings it follows. When it is not what it was,
	// every rejected file and every snippet counts as altered.
	Rules string

	// Quiet is how long a file must have been left alone before it is taken,
	// where leases cannot tell whether somebody still writes to it: on a
	// network file system, or when the file is another user's and nestgen has
	// not CAP_LEASE. If zero, 10 seconds.
	Quiet time.Duration

	// Workers is how many goroutines look at files at once. If zero, one a
	// processor, and no more than four.
	Workers int

	// Links says what snippets may hold.
	Links LinkOptions
}

// A View is what the drop directories held at one moment, laid over what the
// last run knew of them. Its methods may be called by several goroutines
// except where they say otherwise.
type View struct {
	opts  Options
	rules uint64
	known catalog.Digest
	cache string
	cold  error
	dirs  []directory
	base  *base

	// Filled by the walk, and not altered after it.
	gaps   []gap
	counts Counts
	buf    []byte
	seed   maphash.Seed

	mu       sync.Mutex
	text     arena
	changes  []change
	recorded int
	updates  map[string][]byte
	key      []byte
	far      map[uint64]bool // by device: whether leases tell nothing there
	report   Report
}

// A directory is one drop directory.
type directory struct {
	path string
	fd   int    // -1 when it could not be opened
	err  error  // why it could not be read
	id   fileID // as it is now
	seen fileID // as the cache has it
}

// remember is the identity that is written to the cache. That of a directory
// which cannot be read stays what it was.
func (d *directory) remember() fileID {
	if d.err != nil {
		return d.seen
	}
	return d.id
}

// Counts are what a scan met.
type Counts struct {
	Folders int
	Files   int   // distributions and snippets
	Bytes   int64 // of all Files together

	New     int
	Altered int
	Gone    int
	Kept    int // in folders that could not be read
}

// Scan lists the drop directories and compares what it finds with the cache
// at the path given. It opens none of the files. A cache that is missing,
// damaged or of another version is one that knows nothing (see [View.Cold]). A
// drop directory that cannot be read, and a folder of one, is noted in the
// report, and the files that were known in it are Kept. The error is for what
// stops the scan as a whole.
//
// The order of dirs is the order of precedence. A directory given twice is
// scanned once; one inside another is scanned as itself only.
//
// The caller closes the View, and keeps two scans with the same cache from
// running at once.
func Scan(ctx context.Context, dirs []string, cache string, opts Options) (*View, error) {
	if opts.Quiet == 0 {
		opts.Quiet = 10 * time.Second
	}
	if opts.Workers == 0 {
		opts.Workers = min(runtime.GOMAXPROCS(0), 4)
	}
	b, err := openBase(cache)
	if err != nil && !unusable(err) {
		return nil, fmt.Errorf("drop cache: %w", err)
	}
	v, err := scan(ctx, dirs, cache, opts, b, err)
	if err != nil && b != nil && errors.Is(err, errDamaged) {
		v, err = scan(ctx, dirs, cache, opts, nil, err)
	}
	return v, err
}

// unusable reports whether a cache that could not be opened can be done
// without. Everything but a fault of the file system can.
func unusable(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDamaged) ||
		errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO)
}

func scan(ctx context.Context, dirs []string, cache string, opts Options, b *base, cold error) (_ *View, err error) {
	v := &View{opts: opts, rules: rulesOf(opts), cache: cache, cold: cold, base: b, seed: maphash.MakeSeed()}
	defer func() {
		if err != nil {
			v.Close()
		}
	}()
	loaded := func() (*base, error) { return b, nil }
	if b != nil {
		// The cache is checked while the first folder is listed.
		done := make(chan error, 1)
		go func() { done <- b.verify() }()
		loaded = sync.OnceValues(func() (*base, error) { return b, <-done })
		defer loaded()
	}
	w := &walker{ctx: ctx, v: v, loaded: loaded, buf: make([]byte, direntBuffer), roots: make(map[fileID]bool)}
	for _, dir := range dirs {
		dir = filepath.Clean(dir)
		if v.dirIndex(dir) >= 0 {
			continue
		}
		d := directory{path: dir, fd: -1}
		d.fd, d.err = openRoot(dir)
		if d.err == nil {
			d.id, d.err = idOf(d.fd)
		}
		if d.err == nil && w.roots[d.id] {
			unix.Close(d.fd)
			continue
		}
		if d.err == nil {
			w.roots[d.id] = true
		}
		v.dirs = append(v.dirs, d)
	}
	for i := range v.dirs {
		if err := w.drop(i); err != nil {
			return nil, err
		}
	}
	if _, err := loaded(); err != nil {
		return nil, err
	}
	if b != nil {
		v.known = b.digest()
	}
	for _, s := range v.left() {
		v.counts.Gone += s.count
	}
	return v, nil
}

// openRoot opens a drop directory. It may be a symbolic link: that is the
// operator's choice, not the dropper's.
func openRoot(dir string) (int, error) {
	fd, err := ignoringEINTR(func() (int, error) {
		return unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return fd, nil
}

// rulesOf is Rules and what this package's own verdicts depend on, in short.
func rulesOf(o Options) uint64 {
	h := fnv.New64a()
	h.Write(binary.AppendUvarint(nil, linkRules))
	for _, on := range []bool{o.Links.AllowFile, o.Links.RefuseSecrets} {
		if on {
			h.Write([]byte{1})
		} else {
			h.Write([]byte{0})
		}
	}
	h.Write([]byte(o.Rules))
	return h.Sum64()
}

// Close releases the directories and the cache. Nothing is written.
func (v *View) Close() error {
	for i := range v.dirs {
		if d := &v.dirs[i]; d.fd >= 0 {
			unix.Close(d.fd)
			d.fd = -1
		}
	}
	if v.base != nil && v.base.f != nil {
		err := v.base.f.Close()
		v.base = nil
		return err
	}
	return nil
}

// Cold gives the reason why the cache told nothing: an error that matches
// fs.ErrNotExist when there was none, and nil when it did. After a cold scan
// Gone is empty, so what left the drop directories must be found by comparing
// Entries with the catalog; and that is only certain if Complete says so.
func (v *View) Cold() error { return v.cold }

// Complete reports whether every file of the drop directories is among the
// Entries. It is false when a folder could not be read: its files are among
// the Entries only as far as the cache had them. Nothing may then be withdrawn
// because it is not among the Entries, unless Gone has it.
func (v *View) Complete() bool { return len(v.gaps) == 0 }

// Counts gives what the scan met.
func (v *View) Counts() Counts { return v.counts }

// Report gives the notes of the scan and of what was recorded since, and those
// of earlier runs that still hold.
func (v *View) Report() Report {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.report.clone()
}

// name joins a drop directory and pieces of a path below it.
func (v *View) name(dir int, pieces ...[]byte) string {
	b := append([]byte(v.dirs[dir].path), '/')
	for _, p := range pieces {
		b = append(b, p...)
	}
	return filepath.Clean(string(b))
}

// Save writes the cache, if it is not what it was, by a temporary file beside
// it and a rename. What was recorded is then Known, and Changed gives what is
// left. It is not synced: a cache that a crash tears is damaged, and the next
// scan is a cold one. No other method may run meanwhile.
func (v *View) Save() (err error) {
	if !v.dirty() {
		return nil
	}
	tmp := v.cache + ".tmp"
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("drop cache: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(tmp)
			err = fmt.Errorf("drop cache: %w", err)
		}
	}()
	b, end, err := v.encode(f)
	if err != nil {
		return err
	}
	if _, err := f.Write(end); err != nil {
		return err
	}
	if err := os.Rename(tmp, v.cache); err != nil {
		return err
	}
	b.f = f
	v.rebase(b)
	return nil
}

// rebase goes on from a cache that holds what was recorded.
func (v *View) rebase(b *base) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.base != nil {
		v.base.f.Close()
	}
	v.base = b
	kept := v.changes[:0]
	v.counts.New, v.counts.Altered, v.counts.Gone = 0, 0, 0
	for _, c := range v.changes {
		if c.recorded || c.state == Gone {
			continue
		}
		if c.state == New {
			v.counts.New++
		} else {
			v.counts.Altered++
		}
		kept = append(kept, c)
	}
	v.changes, v.recorded, v.updates = kept, 0, nil
	for i := range v.dirs {
		v.dirs[i].seen = v.dirs[i].remember()
	}
}

// FirstSeen is the time that stands for the upload time of a dropped file:
// when its inode last changed, which is when it came here. In microseconds
// since 1970 UTC.
func (e Entry) FirstSeen() int64 { return e.CTime / 1000 }
