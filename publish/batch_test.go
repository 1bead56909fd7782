package publish_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nestgen/publish"
)

func TestPublish(t *testing.T) {
	s := open(t)
	pages := []string{
		"simple/foo/index.html", "html", "simple/foo/index.v1_json", "json",
		"simple/Foo/index.html", "alias", "project/foo/index.html", "people",
		"pypi/foo/json", "legacy", "pypi/foo/1.0/json", "release",
		"simple/index.html", "root", "simple/index.v1_json", "rootjson",
		"flat/index.html", "flat", "easy/index.html", "easy", "index.html", "front",
	}
	want := publish.Stats{Written: 11}
	for i := 1; i < len(pages); i += 2 {
		want.Bytes += int64(len(pages[i]))
	}
	if got := s.publish(pages...); got != want {
		t.Errorf("first: %+v, want %+v", got, want)
	}
	before := times(t, s.path("."))
	if got := s.publish(pages...); got != (publish.Stats{Unchanged: 11}) {
		t.Errorf("again: %+v", got)
	}
	for path, was := range before { // contract row 36
		if now := times(t, s.path("."))[path]; now != was {
			t.Errorf("%s was touched", path)
		}
	}
	for i := 0; i < len(pages); i += 2 {
		s.has(pages[i], pages[i+1])
		if m := s.stat(pages[i]).Mode & 0o7777; m != 0o644 {
			t.Errorf("%s has mode %o", pages[i], m)
		}
		for dir := filepath.Dir(pages[i]); dir != "."; dir = filepath.Dir(dir) {
			if m := s.stat(dir).Mode & 0o7777; m != 0o755 {
				t.Errorf("%s has mode %o", dir, m)
			}
		}
	}
	// A new release makes a new folder inside a live one.
	s.publish("pypi/foo/2.0/json", "new", "pypi/foo/json", "legacy two")
	s.has("pypi/foo/2.0/json", "new")
	s.has("pypi/foo/1.0/json", "release")
	s.has("pypi/foo/json", "legacy two")
	s.stageIsEmpty()
}

func TestModesDoNotDependOnUmask(t *testing.T) {
	for _, mask := range []int{0, 0o077, 0o027} {
		t.Run(fmt.Sprintf("%03o", mask), func(t *testing.T) {
			dir := t.TempDir()
			defer syscall.Umask(syscall.Umask(mask))
			s := openIn(t, dir)
			foo := stored(1, "foo-1.tar.gz")
			s.expose(foo, "sdist", meta(foo, "m"))
			s.publish("simple/foo/index.html", "x", "simple/index.html", "y")
			s.publish("simple/foo/index.html", "z")
			for path, mode := range map[string]uint32{
				".": 0o755, "simple": 0o755, "simple/foo": 0o755, "simple/foo/index.html": 0o644, "simple/index.html": 0o644,
				"packages": 0o755, filepath.Dir(foo): 0o755, foo: 0o444, foo + ".metadata": 0o444, "../state": 0o700, "../state/stage": 0o700,
			} {
				if got := s.stat(path).Mode & 0o7777; got != mode {
					t.Errorf("%s has mode %o, want %o", path, got, mode)
				}
			}
		})
	}
}

// I4, contract rule 15 and rows 36 and 37.
func TestTimesRise(t *testing.T) {
	s := open(t)
	start := time.Unix(1_700_000_000, 999_999_999)
	tests := []struct {
		name string
		now  time.Time
		page string
		want int64 // seconds after start; -1: as before
	}{
		{"later", start.Add(5 * time.Second), "b", 5},
		{"same second, same size", start.Add(5 * time.Second), "c", 6},
		{"and once more", start.Add(5 * time.Second), "d", 7},
		{"same bytes", start.Add(99 * time.Second), "d", -1},
		{"clock jumps back", start.Add(-time.Hour), "e", 8},
		{"clock still behind", start.Add(8 * time.Second), "longer", 9},
		{"clock ahead again", start.Add(10 * time.Second), "f", 10},
	}
	s.publish("simple/foo/index.html", "a")
	s.must(os.Chtimes(s.path("simple/foo/index.html"), start, start))
	for _, tt := range tests {
		s.now = tt.now
		was := s.stat("simple/foo/index.html")
		s.publish("simple/foo/index.html", tt.page)
		s.has("simple/foo/index.html", tt.page)
		is := s.stat("simple/foo/index.html")
		if tt.want < 0 {
			if is.Mtim != was.Mtim || is.Ino != was.Ino {
				t.Errorf("%s: the page was replaced", tt.name)
			}
			continue
		}
		if got := is.Mtim.Sec - start.Unix(); got != tt.want {
			t.Errorf("%s: time is start+%d, want start+%d", tt.name, got, tt.want)
		}
	}
	s.now = time.Time{}
	before := time.Now().Unix()
	s.publish("simple/foo/index.html", "now")
	if got, after := s.stat("simple/foo/index.html").Mtim.Sec, time.Now().Unix(); got < before || got > after {
		t.Errorf("with the real clock the page's time is %d, and it was published between %d and %d", got, before, after)
	}
}

func TestCreate(t *testing.T) {
	s := open(t)
	big := strings.Repeat("0123456789abcdef", 40_000)
	write := func(b batch, path, content string) {
		w, err := b.Create(path)
		s.must(err)
		for chunk := range slices.Chunk([]byte(content), 1000) {
			_, err := w.Write(chunk)
			s.must(err)
		}
		s.must(w.Close())
		if w.Close() == nil {
			t.Error("closed twice")
		}
	}
	for i, want := range []publish.Stats{{Written: 2, Bytes: 2 * int64(len(big))}, {Unchanged: 2}} {
		b := begin(t, s.tree)
		write(b, "flat/index.html", big)
		write(b, "simple/index.html", big)
		got, err := end(b)
		s.must(err)
		if got != want {
			t.Errorf("run %d: %+v, want %+v", i, got, want)
		}
	}
	s.has("flat/index.html", big)
	inode := s.stat("flat/index.html").Ino
	b := begin(t, s.tree)
	write(b, "flat/index.html", big[:len(big)-1]+"!")
	w, err := b.Create("simple/index.html")
	s.must(err)
	w.Write([]byte("half a page, never closed"))
	_, err = end(b)
	s.must(err)
	s.has("flat/index.html", big[:len(big)-1]+"!")
	s.has("simple/index.html", big)
	if s.stat("flat/index.html").Ino == inode {
		t.Error("the page was overwritten in place")
	}
	s.stageIsEmpty()
}

// contract S-6: a sibling is served in place of the page, so it must never be
// older.
func TestCompressedSiblings(t *testing.T) {
	s := open(t)
	const page, gz = "simple/foo/index.html", "simple/foo/index.html.gz"
	s.publish(page, "one", gz, "gz of one")
	s.publish(page, "one", gz, "gz of one")
	s.has(gz, "gz of one")
	s.publish(gz, "gz of two", page, "two")
	s.has(page, "two")
	s.has(gz, "gz of two")

	// A run that died between the two: the sibling is right already.
	s.must(os.WriteFile(s.path(page), []byte("half way"), 0o644))
	s.publish(page, "two", gz, "gz of two")
	s.has(page, "two")
	s.has(gz, "gz of two")

	// No sibling any more.
	if got := s.publish(page, "tiny"); got.Removed != 1 || got.Written != 1 {
		t.Errorf("stats = %+v", got)
	}
	s.has(page, "tiny")
	s.has(gz, "")
}

func TestRemove(t *testing.T) {
	s := open(t)
	s.publish("simple/foo/index.html", "h", "simple/foo/index.v1_json", "j", "simple/bar/index.html", "h",
		"pypi/foo/json", "j", "pypi/foo/1.0/json", "j", "pypi/foo/2.0/json", "j", "index.html", "front", "flat/index.html", "flat")
	inode := s.stat("simple/bar/index.html").Ino
	b := begin(t, s.tree)
	s.must(b.RemoveFolder("simple/foo"))
	s.must(b.RemoveFolder("simple/none"))
	s.must(b.Remove("simple/none/index.html"))
	s.must(b.Remove("simple/bar/none.html"))
	s.must(b.Remove("pypi/foo/1.0/json"))
	s.must(b.Remove("index.html"))
	s.must(b.RemoveFolder("flat"))
	got, err := end(b)
	s.must(err)
	if got.Removed != 4 {
		t.Errorf("stats = %+v, want 4 removed", got)
	}
	s.has("simple/foo", "")
	s.has("simple/bar/index.html", "h")
	s.has("pypi/foo/1.0", "") // not left empty: contract rule 12
	s.has("pypi/foo/2.0/json", "j")
	s.has("index.html", "")
	s.has("flat", "")
	if s.stat("simple/bar/index.html").Ino != inode {
		t.Error("a page that stays was replaced")
	}
	s.stageIsEmpty()

	b = begin(t, s.tree)
	s.must(b.Put("simple/baz/index.html", []byte("x")))
	s.must(b.Remove("simple/baz/index.html"))
	if _, err := end(b); err == nil {
		t.Error("a page that is put and removed at once was taken")
	}
}

// All pages of a folder that go together take the folder with them at once.
func TestRemoveLastPages(t *testing.T) {
	s := open(t)
	s.publish("simple/foo/index.html", "h", "simple/foo/index.v1_json", "j")
	b := begin(t, s.tree)
	s.must(b.Remove("simple/foo/index.v1_json"))
	s.must(b.Remove("simple/foo/index.html"))
	s.must(b.Remove("simple/foo/index.html"))
	got, err := end(b)
	s.must(err)
	if got.Removed != 1 {
		t.Errorf("stats = %+v, want the folder to go in one step", got)
	}
	s.has("simple/foo", "")
}

// A folder of many projects goes when all of them have gone, and not before.
func TestRemoveEmpty(t *testing.T) {
	s := open(t)
	s.publish("changes/index.html", "h", "changes/foo/index.html", "h", "changes/bar/index.html", "h")
	b := begin(t, s.tree)
	s.must(b.RemoveEmpty("changes"))
	s.must(b.Remove("changes/index.html"))
	s.must(b.RemoveFolder("changes/foo"))
	_, err := end(b)
	s.must(err)
	s.has("changes/bar/index.html", "h")
	b = begin(t, s.tree)
	s.must(b.RemoveEmpty("changes"))
	s.must(b.RemoveFolder("changes/bar"))
	_, err = end(b)
	s.must(err)
	s.has("changes", "")
	b = begin(t, s.tree)
	s.must(b.RemoveEmpty("changes")) // it is not there
	if err := b.RemoveEmpty("packages"); err == nil {
		t.Error("the store is no folder of pages")
	}
	if err := b.RemoveFolder("changes"); err == nil {
		t.Error("a folder of many projects went at once")
	}
	_, err = end(b)
	s.must(err)
}

// The order in which names change is what readers rely on: a project's pages
// back to back with siblings first, and each page after those that it links to:
// lists after the projects, pages for people after the lists, the front page
// last; removals at the very end, the other way round.
func TestOrder(t *testing.T) {
	s := open(t)
	old := []string{
		"simple/foo/index.html", "simple/foo/index.v1_json", "simple/foo/index.html.gz", "simple/foo/index.v1_json.gz",
		"simple/gone/index.html", "simple/index.html", "simple/index.v1_json", "flat/index.html", "easy/index.html", "index.html",
		"project/foo/index.html", "simple/Foo/index.html", "static/site.css",
		"project/gone/index.html", "old/index.html",
		"changes/index.html", "changes/atom.xml", "changes/foo/index.html", "changes/foo/atom.xml",
	}
	var first []string
	for _, p := range old {
		first = append(first, p, "1")
	}
	s.publish(first...)
	got := s.renames(func() {
		b := begin(t, s.tree)
		for _, p := range slices.Backward(old) {
			if !strings.Contains(p, "gone/") && p != "old/index.html" {
				s.must(b.Put(p, []byte("2")))
			}
		}
		s.must(b.Put("simple/new/index.v1_json", []byte("2")))
		s.must(b.Put("simple/new/index.html", []byte("2")))
		s.must(b.RemoveFolder("simple/gone"))
		s.must(b.RemoveFolder("project/gone"))
		s.must(b.Remove("old/index.html"))
		_, err := end(b)
		s.must(err)
	})
	want := []string{
		"static/site.css",
		"simple/Foo/index.html",
		"simple/foo/index.html.gz", "simple/foo/index.v1_json.gz", "simple/foo/index.html", "simple/foo/index.v1_json",
		"simple/new",
		"simple/index.html", "simple/index.v1_json", "easy/index.html", "flat/index.html",
		"changes/foo/index.html", "changes/foo/atom.xml", "project/foo/index.html",
		"changes/index.html", "changes/atom.xml",
		"index.html",
		"-old", "-project/gone", "-simple/gone",
	}
	if !slices.Equal(got, want) {
		t.Errorf("order:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// An index below a prefix appears whole, its pages change in the order of those of
// the site's own, and it goes with nothing left of it but what others have put
// there.
func TestIndexBelowPrefix(t *testing.T) {
	s := open(t)
	pages := []string{
		"prod/simple/foo/index.html", "prod/simple/index.html", "prod/simple/index.v1_json", "prod/project/foo/index.html",
		"prod/pypi/foo/json", "prod/flat/index.html", "prod/easy/index.html", "prod/index.html",
	}
	var put []string
	for _, p := range pages {
		put = append(put, p, "1")
	}
	s.publish("index.html", "front")
	if got := s.renames(func() { s.publish(put...) }); !slices.Equal(got, []string{"prod"}) {
		t.Errorf("appeared by %q, want at once", got)
	}
	got := s.renames(func() {
		b := begin(t, s.tree)
		for _, p := range pages {
			s.must(b.Put(p, []byte("2")))
		}
		s.must(b.Put("prod/simple/new/index.html", []byte("2")))
		_, err := end(b)
		s.must(err)
	})
	want := []string{
		"prod/pypi/foo/json", "prod/simple/foo/index.html", "prod/simple/new", "prod/simple/index.html", "prod/simple/index.v1_json",
		"prod/easy/index.html", "prod/flat/index.html", "prod/project/foo/index.html", "prod/index.html",
	}
	if !slices.Equal(got, want) {
		t.Errorf("order:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	remove := func(prefix string) error {
		b := begin(t, s.tree)
		rerr := b.RemoveIndex(prefix)
		_, err := end(b)
		return errors.Join(rerr, err)
	}
	s.publish("snapshots/a/simple/index.html", "1", "snapshots/b/simple/index.html", "1")
	s.must(remove("prod"))
	s.must(remove("snapshots/a"))
	s.has("prod", "")
	s.has("snapshots/a", "")
	s.has("snapshots/b/simple/index.html", "1")
	s.has("index.html", "front")
	s.must(os.WriteFile(s.path("snapshots/b/theirs.txt"), nil, 0o644))
	s.must(remove("snapshots/b"))
	s.has("snapshots/b/simple", "")
	s.stat("snapshots/b/theirs.txt")
	for _, prefix := range []string{"", ".", "simple", "..", "packages", "a/b/c"} {
		if remove(prefix) == nil {
			t.Errorf("RemoveIndex(%q) was done", prefix)
		}
	}
	s.has("index.html", "front")
	s.stageIsEmpty()
}

// renames watches the site with inotify(7) while f runs, and gives what was
// renamed into it, and out of it with a dash before.
func (s *site) renames(f func()) []string {
	s.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	s.must(err)
	defer unix.Close(fd)
	dirs := map[int]string{}
	s.must(filepath.WalkDir(s.path("."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		wd, err := unix.InotifyAddWatch(fd, path, unix.IN_MOVED_TO|unix.IN_MOVED_FROM)
		dirs[wd], _ = filepath.Rel(s.path("."), path)
		return err
	}))
	f()
	var out []string
	buf := make([]byte, 1<<20)
	n, err := unix.Read(fd, buf)
	s.must(err)
	for buf = buf[:n]; len(buf) > 0; {
		wd := int(int32(le32(buf)))
		mask, size := le32(buf[4:]), le32(buf[12:])
		name := filepath.Join(dirs[wd], strings.TrimRight(string(buf[16:16+size]), "\x00"))
		if mask&unix.IN_MOVED_FROM != 0 {
			name = "-" + name
		}
		if mask&unix.IN_IGNORED == 0 {
			out = append(out, name)
		}
		buf = buf[16+size:]
	}
	return out
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func TestPutFromManyGoroutines(t *testing.T) {
	s := open(t)
	for round := range 2 {
		b := begin(t, s.tree)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := g; i < 400; i += 8 {
					for _, page := range []string{"index.html", "index.v1_json"} {
						if err := b.Put(fmt.Sprintf("simple/p%d/%s", i, page), fmt.Append(nil, round, i)); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		got, err := end(b)
		s.must(err)
		if got.Written != 800 {
			t.Errorf("stats = %+v", got)
		}
		for i := range 400 {
			s.has(fmt.Sprintf("simple/p%d/index.v1_json", i), fmt.Sprint(round, i))
		}
	}
}

func TestClose(t *testing.T) {
	s := open(t)
	b := begin(t, s.tree)
	s.must(b.Put("simple/foo/index.html", []byte("x")))
	s.must(b.Close())
	s.stageIsEmpty()
	s.has("simple", "")
	if b.Put("simple/foo/index.html", []byte("y")) == nil {
		t.Error("a page was put into a batch that is over")
	}
	s.must(b.Close())
	s.publish("simple/foo/index.html", "z")
	s.has("simple/foo/index.html", "z")
}

func TestCancelled(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b := begin(t, s.tree)
	s.must(b.Put("simple/foo/index.html", []byte("x")))
	if _, err := b.Publish(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Publish: %v", err)
	}
	s.has("simple", "")
	if _, err := s.tree.Expose(ctx, []publish.Exposure{{Temp: s.temp("x"), Target: stored(1, "x-1.zip")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Expose: %v", err)
	}
	s.has("packages", "")
}

// One has the turn at a time, here and in other processes; a cancelled wait ends.
func TestTurnsWaitForEachOther(t *testing.T) {
	s := open(t)
	f, err := os.OpenFile(filepath.Join(s.dir, "state", "publish.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	s.must(err)
	defer f.Close()
	lock := func(how int) error { return unix.Flock(int(f.Fd()), how) }
	hurry := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if _, err := s.tree.Turn(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Turn while there is another: %v", err)
		}
	}
	s.must(lock(unix.LOCK_EX))
	hurry()
	unlocked := make(chan error, 1)
	time.AfterFunc(30*time.Millisecond, func() { unlocked <- lock(unix.LOCK_UN) })
	b := begin(t, s.tree)
	s.must(<-unlocked)
	if err := lock(unix.LOCK_EX | unix.LOCK_NB); err != unix.EWOULDBLOCK {
		t.Errorf("another process takes the turn as well: %v", err)
	}
	hurry()
	s.must(b.Put("simple/foo/index.html", []byte("x")))
	_, err = end(b)
	s.must(err)
	s.has("simple/foo/index.html", "x")
	s.must(lock(unix.LOCK_EX | unix.LOCK_NB))
}
