package drop

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nestgen/catalog"
)

// one scans a directory with one file in it.
func one(t *testing.T, o Options) (*View, Entry) {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, "sub/a-1.0.zip", "content")
	v := scannedBy(t, o, filepath.Join(t.TempDir(), "c"), dir)
	for e, err := range v.Entries() {
		check(t, err)
		return v, e
	}
	t.Fatal("no entry")
	return nil, Entry{}
}

// A file that somebody has open for writing waits, however old it looks.
func TestHalfCopied(t *testing.T) {
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "c")
	put(t, dir, "a-1.0.zip", "first half, ")
	w, err := os.OpenFile(filepath.Join(dir, "a-1.0.zip"), os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	defer w.Close()
	old := time.Now().Add(-time.Hour)
	check(t, os.Chtimes(w.Name(), old, old))

	v := scanned(t, cache, dir)
	take(t, v)
	want(t, "waiting", short(dir, v.Report().Waiting), "a-1.0.zip: "+errWriter.Error())
	want(t, "left to inspect", list(t, v.Changed()), "new a-1.0.zip")
	check(t, v.Save())
	if _, err := os.Stat(cache); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a waiting file had a cache written: %v", err)
	}
	v.Close()

	_, err = w.WriteString("second half")
	check(t, err)
	check(t, w.Close())
	v = scanned(t, cache, dir)
	take(t, v)
	want(t, "waiting, all written", short(dir, v.Report().Waiting))
	for e, err := range v.Entries() {
		check(t, err)
		if e.SHA256 != sha256.Sum256([]byte("first half, second half")) {
			t.Errorf("digest %s is not that of the whole file", e.SHA256)
		}
	}
}

// What was known of a file that is being written anew stands until it is done.
func TestRewriting(t *testing.T) {
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "c")
	put(t, dir, "a-1.0.zip", "old")
	v := scanned(t, cache, dir)
	take(t, v)
	check(t, v.Save())
	v.Close()
	w, err := os.OpenFile(filepath.Join(dir, "a-1.0.zip"), os.O_WRONLY|os.O_TRUNC, 0)
	check(t, err)
	defer w.Close()
	v = scanned(t, cache, dir)
	take(t, v)
	for e, err := range v.Entries() {
		check(t, err)
		if e.State != Altered || e.SHA256 != sha256.Sum256([]byte("old")) {
			t.Errorf("entry %+v, want what was known of the old file", e)
		}
	}
	if v.dirty() {
		t.Error("the cache would be written")
	}
}

// Each of these happens between the scan and Open, or while the file is read.
var disturbances = []struct {
	name string
	do   func(t *testing.T, file string)
}{
	{"appended", func(t *testing.T, file string) {
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
		check(t, err)
		f.WriteString("more")
		check(t, f.Close())
	}},
	{"rewritten, same size and times", func(t *testing.T, file string) {
		// Within one tick of the clock it would be the file that the scan saw.
		var st unix.Stat_t
		check(t, unix.Stat(file, &st))
		check(t, outlast(statOf(&st)))
		fi, err := os.Stat(file)
		check(t, err)
		check(t, os.WriteFile(file, []byte("CONTENT"), 0o644))
		check(t, os.Chtimes(file, fi.ModTime(), fi.ModTime()))
	}},
	{"open for writing", func(t *testing.T, file string) {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		check(t, err)
		t.Cleanup(func() { f.Close() })
	}},
	{"renamed over", func(t *testing.T, file string) {
		check(t, os.WriteFile(file+".new", []byte("content"), 0o644))
		check(t, os.Rename(file+".new", file))
	}},
	{"removed", func(t *testing.T, file string) { check(t, os.Remove(file)) }},
	{"now a link", func(t *testing.T, file string) {
		check(t, os.Rename(file, file+".moved"))
		check(t, os.Symlink(file+".moved", file))
	}},
	{"now a FIFO", func(t *testing.T, file string) {
		check(t, os.Remove(file))
		check(t, unix.Mkfifo(file, 0o644))
	}},
	{"now a folder", func(t *testing.T, file string) {
		check(t, os.Remove(file))
		check(t, os.Mkdir(file, 0o755))
	}},
	{"folder now a link", linkFolder},
}

func linkFolder(t *testing.T, file string) {
	dir := filepath.Dir(file)
	check(t, os.Rename(dir, dir+".moved"))
	check(t, os.Symlink(dir+".moved", dir))
}

func TestDisturbedBeforeOpen(t *testing.T) {
	for _, tt := range disturbances {
		t.Run(tt.name, func(t *testing.T) {
			v, e := one(t, Options{})
			tt.do(t, e.Name())
			err := v.Inspect(e, func(f *File) (Outcome, error) { return judge(e)(f) })
			if !errors.Is(err, ErrSkipped) {
				t.Fatalf("error %v, want one that matches ErrSkipped", err)
			}
			r := v.Report()
			if len(r.Waiting)+len(r.Rejected) != 1 || v.dirty() {
				t.Errorf("report %+v, dirty %v", r, v.dirty())
			}
		})
	}
}

func TestDisturbedWhileRead(t *testing.T) {
	for _, tt := range disturbances {
		if tt.name == "folder now a link" {
			continue // the file itself is as it was, see TestFolderMovedWhileRead
		}
		t.Run(tt.name, func(t *testing.T) {
			v, e := one(t, Options{})
			err := v.Inspect(e, func(f *File) (Outcome, error) {
				o, err := judge(e)(f)
				tt.do(t, e.Name())
				return o, err
			})
			if !errors.Is(err, ErrSkipped) || !errors.Is(err, ErrBusy) {
				t.Errorf("error %v, want one that matches ErrSkipped and ErrBusy", err)
			}
			if len(v.Report().Waiting) != 1 || v.dirty() {
				t.Errorf("report %+v, dirty %v", v.Report(), v.dirty())
			}
		})
	}
}

// What was read is what the scan saw, wherever its folder is by now; who opens
// it by its name finds out.
func TestFolderMovedWhileRead(t *testing.T) {
	v, e := one(t, Options{})
	check(t, v.Inspect(e, func(f *File) (Outcome, error) {
		linkFolder(t, e.Name())
		return judge(e)(f)
	}))
	if _, err := v.Open(e); !errors.Is(err, ErrBusy) {
		t.Errorf("Open: %v, want an error that matches ErrBusy", err)
	}
}

// A folder that stood in the place of another one for a while is not taken for
// it.
func TestFolderSwappedWhileOpened(t *testing.T) {
	v, e := one(t, Options{})
	dir := filepath.Dir(e.Name())
	put(t, dir+".other", e.Filename(), "CONTENT")
	check(t, os.Rename(dir, dir+".moved"))
	check(t, os.Rename(dir+".other", dir))
	err := v.Inspect(e, func(f *File) (Outcome, error) {
		check(t, os.Rename(dir, dir+".other"))
		check(t, os.Rename(dir+".moved", dir))
		return judge(e)(f)
	})
	if !errors.Is(err, ErrBusy) {
		t.Errorf("error %v, want one that matches ErrBusy", err)
	}
}

// A companion that comes late is for the next run.
func TestLateCompanion(t *testing.T) {
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "c")
	put(t, dir, "a-1.0.zip", "content")
	v := scanned(t, cache, dir)
	put(t, dir, "a-1.0.zip.asc", "signature")
	take(t, v)
	check(t, v.Save())
	v.Close()
	v = scanned(t, cache, dir)
	want(t, "changed", list(t, v.Changed()), "altered a-1.0.zip")
}

func TestUndisturbed(t *testing.T) {
	v, e := one(t, Options{})
	check(t, v.Inspect(e, judge(e)))
	boom := errors.New("disk full")
	if err := v.Inspect(e, func(*File) (Outcome, error) { return Outcome{}, boom }); err != boom {
		t.Errorf("error %v, want that of look", err)
	}
}

func TestCompanions(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a-1.0.zip", "content")
	put(t, dir, "a-1.0.zip.asc", "signature")
	v := scanned(t, filepath.Join(t.TempDir(), "c"), dir)
	for e, err := range v.Entries() {
		check(t, err)
		f, err := v.OpenCompanion(e, Signature)
		check(t, err)
		defer f.Close()
		if b, err := io.ReadAll(f); string(b) != "signature" || err != nil {
			t.Errorf("companion holds %q, %v", b, err)
		}
		if _, err := v.OpenCompanion(e, Provenance); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v for a companion that is not there", err)
		}
		err = v.Inspect(e, func(f *File) (Outcome, error) {
			put(t, dir, "a-1.0.zip.asc", "SIGNATURE")
			return judge(e)(f)
		})
		if !errors.Is(err, ErrBusy) {
			t.Errorf("error %v after the companion was rewritten", err)
		}
	}
}

// Where a lease cannot be had, a file waits until it has been left alone for a
// while. A lease is the right of the file's owner.
func TestQuiet(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to look at a file of another user")
	}
	for _, tt := range []struct {
		name  string
		quiet time.Duration
		busy  bool
	}{
		{"young", time.Hour, true},
		{"left alone", time.Millisecond, false},
	} {
		v, e := one(t, Options{Quiet: tt.quiet})
		check(t, os.Chmod(filepath.Dir(e.Dir), 0o755))
		time.Sleep(5 * time.Millisecond)
		f, err := v.Open(e)
		if err != nil {
			t.Fatalf("%s: as root: %v", tt.name, err)
		}
		f.Close()
		asNobody(t, func() {
			f, err := v.Open(e)
			if errors.Is(err, ErrBusy) != tt.busy || err != nil && !tt.busy {
				t.Errorf("%s: error %v, want busy %v", tt.name, err, tt.busy)
			}
			if err == nil {
				f.Close()
			}
		})
	}
}

func TestUnreadableFile(t *testing.T) {
	v, e := one(t, Options{})
	check(t, os.Chmod(filepath.Dir(e.Dir), 0o755))
	check(t, os.Chmod(e.Name(), 0))
	v.Close()
	v = scanned(t, filepath.Join(t.TempDir(), "c"), e.Dir)
	for e, err := range v.Entries() {
		check(t, err)
		asNobody(t, func() {
			if err := v.Inspect(e, judge(e)); !errors.Is(err, ErrSkipped) || !errors.Is(err, fs.ErrPermission) {
				t.Errorf("error %v", err)
			}
		})
	}
	r := v.Report().Rejected
	if len(r) != 1 || r[0].Reason != "permission denied" || r[0].Hint == "" {
		t.Errorf("rejected %+v", r)
	}
	if v.dirty() {
		t.Error("what may be readable tomorrow is remembered as rejected")
	}
}

// A dropper that writes the same file over and over, with contents of one size
// that can be told from torn ones: whatever is taken is whole, and what is
// remembered in the end is what is there.
func TestRewritingDropper(t *testing.T) {
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "c")
	file := filepath.Join(dir, "a-1.0.zip")
	const size = 32 << 10
	content := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i%26)}, size) }
	check(t, os.WriteFile(file, content(0), 0o644))
	var taken, skipped atomic.Int32
	stop := make(chan struct{})
	more := func(counter *atomic.Int32, than int32) {
		for counter.Load() <= than {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(i%5) * 15 * time.Millisecond):
			}
			t0, s0 := taken.Load(), skipped.Load()
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			if err != nil {
				t.Error(err)
				return
			}
			f.WriteAt(content(i)[:size/2], 0)
			// Now and then it is in the way until that was seen, and out of the
			// way until the file was taken; else as chance has it.
			if i%4 == 3 {
				more(&skipped, s0)
			}
			time.Sleep(time.Duration(i%4) * time.Millisecond)
			f.WriteAt(content(i)[:size/2], size/2)
			f.Close()
			if i%4 == 0 {
				more(&taken, t0)
			}
		}
	})
	enough := int32(20)
	if testing.Short() {
		enough = 4
	}
	for (taken.Load() < enough || skipped.Load() < enough) && !t.Failed() {
		v := scanned(t, cache, dir)
		for e, err := range v.Changed() {
			check(t, err)
			var got []byte
			err := v.Inspect(e, func(f *File) (Outcome, error) {
				var err error
				got, err = io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
				return Outcome{Verdict: Accepted, SHA256: sha256.Sum256(got)}, err
			})
			if errors.Is(err, ErrSkipped) {
				skipped.Add(1)
				continue
			}
			check(t, err)
			taken.Add(1)
			if len(got) != size || strings.Trim(string(got), string(got[:1])) != "" {
				t.Fatal("took a torn file")
			}
		}
		check(t, v.Save())
		v.Close()
	}
	close(stop)
	wg.Wait()
	v := scanned(t, cache, dir)
	take(t, v)
	b, err := os.ReadFile(file)
	check(t, err)
	for e, err := range v.Entries() {
		check(t, err)
		if e.SHA256 != catalog.Digest(sha256.Sum256(b)) || e.State != Known {
			t.Errorf("remembered %s as %s, there is %x", e.SHA256, e.State, sha256.Sum256(b))
		}
	}
	t.Logf("taken %d times, skipped %d times", taken.Load(), skipped.Load())
}

// Several goroutines may inspect at once.
func TestConcurrentInspect(t *testing.T) {
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "c")
	for _, n := range strings.Fields("a b c d e f g h i j k l m n o p q r s t u v w x y z") {
		put(t, dir, n+"/"+n+"-1.0.zip", n)
		put(t, dir, n+"-2.0.zip", "bad")
	}
	v := scanned(t, cache, dir)
	work := make(chan Entry)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for e := range work {
				if err := v.Inspect(e, judge(e)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for e, err := range v.Changed() {
		check(t, err)
		work <- e
	}
	close(work)
	wg.Wait()
	check(t, v.Save())
	if n := len(v.Report().Rejected); n != 26 {
		t.Errorf("%d rejected, want 26", n)
	}
	for e, err := range v.Entries() {
		check(t, err)
		if e.State != Known || e.Verdict == Unseen {
			t.Errorf("%s %s: not recorded", e.State, e.Path)
		}
	}
}
