package drop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/packaging"
)

// flock fills one folder with n files, by names as long as wheels have.
func flock(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	first := filepath.Join(dir, "first")
	put(t, dir, "first", "content of a file")
	for i := range n {
		name := fmt.Sprintf("project_%c_%05d-1.%d.0-cp312-cp312-manylinux_2_17_x86_64.whl", 'a'+i%26, i/20, i%20)
		// Hard links are files like others here, and quicker to make; ext4
		// allows 65,000 of one file.
		if i%50000 == 49999 {
			check(t, os.Remove(first))
			put(t, dir, "first", fmt.Sprint("content of file ", i))
		}
		check(t, os.Link(first, filepath.Join(dir, name)))
	}
	check(t, os.Remove(first))
	return dir
}

// accept records every change without reading the files.
func accept(t testing.TB, v *View) {
	t.Helper()
	for e, err := range v.Changed() {
		check(t, err)
		name, _, _ := strings.Cut(e.Path, "-")
		o := Outcome{Verdict: Accepted, SHA256: catalog.Digest{byte(e.Inode), 1}, Project: packaging.NormalizeName(name)}
		check(t, v.Record(e, o))
	}
}

// allocated gives what f allocates: times, bytes, and the bytes that are still
// in use at its end.
func allocated(f func()) (times, bytes, held uint64) {
	var before, after, live runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	runtime.GC()
	runtime.ReadMemStats(&live)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc, max(live.HeapAlloc, before.HeapAlloc) - before.HeapAlloc
}

// The counts behind the speed of a run with nothing to do (performance.md §8),
// over 100,000 files in one folder, or 10,000 in the short form.
func TestNothingToDo(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	dir := flock(t, n)
	state := t.TempDir()
	cache := filepath.Join(state, "c")
	var v *View
	var err error
	scan := func() { v, err = Scan(context.Background(), []string{dir}, cache, Options{}) }

	_, _, held := allocated(scan)
	check(t, err)
	if c := v.Counts(); c.New != n || c.Files != n {
		t.Fatalf("counts %+v", c)
	}
	if per := held / uint64(n); per > 200 {
		t.Errorf("a cold scan holds %d bytes a file", per)
	} else {
		t.Logf("a cold scan holds %d bytes a file", per)
	}
	accept(t, v)
	check(t, v.Save())
	first, err := v.Digest()
	check(t, err)
	check(t, v.Close())
	before, err := os.Stat(cache)
	check(t, err)
	folder, err := os.Stat(state)
	check(t, err)
	if per := before.Size() / int64(n); per > 120 {
		t.Errorf("the cache has %d bytes a file", per)
	}

	times, bytes, held := allocated(scan)
	check(t, err)
	defer v.Close()
	if c := v.Counts(); c.Files != n || c.New+c.Altered+c.Gone+c.Kept != 0 {
		t.Fatalf("counts %+v", c)
	}
	t.Logf("%d allocations, %d bytes a file allocated, %d bytes held", times, bytes/uint64(n), held)
	if times > 1000 {
		t.Errorf("%d allocations for %d files", times, n)
	}
	if per := bytes / uint64(n); n >= 100_000 && per > 200 {
		t.Errorf("%d bytes a file allocated", per)
	}
	if held > 1<<20 {
		t.Errorf("%d bytes held after a scan that found nothing", held)
	}
	times, _, _ = allocated(func() {
		for range v.Changed() {
			t.Error("changed")
		}
		d, derr := v.Digest()
		if d != first || derr != nil {
			t.Errorf("digest %s, was %s, %v", d, first, derr)
		}
		err = v.Save()
	})
	check(t, err)
	if times > 100 {
		t.Errorf("%d allocations to see that there is nothing to do", times)
	}
	after, err := os.Stat(cache)
	check(t, err)
	now, err := os.Stat(state)
	check(t, err)
	if !os.SameFile(before, after) || after.ModTime() != before.ModTime() || now.ModTime() != folder.ModTime() {
		t.Error("something was written")
	}

	// One file more costs one record and no look at the others.
	put(t, dir, "another-1.0.zip", "x")
	v.Close()
	scan()
	check(t, err)
	defer v.Close()
	want(t, "changed", list(t, v.Changed()), "new another-1.0.zip")
	seen := 0
	for e, err := range v.Of(map[packaging.Name]bool{"project-c-00000": true, "project-z-00001": true}) {
		check(t, err)
		if e.Project != "project-c-00000" && e.Project != "project-z-00001" {
			t.Errorf("entry of %s", e.Project)
		}
		seen++
	}
	if seen != 2 {
		t.Errorf("%d entries of two projects, want 2", seen)
	}
}

func BenchmarkScan(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		dir := flock(b, n)
		cache := filepath.Join(b.TempDir(), "c")
		b.Run(fmt.Sprintf("cold/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v, err := Scan(context.Background(), []string{dir}, cache, Options{})
				check(b, err)
				v.Close()
			}
		})
		v := scanned(b, cache, dir)
		accept(b, v)
		check(b, v.Save())
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("unchanged/%d/workers=%d", n, workers), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					v, err := Scan(context.Background(), []string{dir}, cache, Options{Workers: workers})
					check(b, err)
					v.Close()
				}
			})
		}
	}
}

func BenchmarkEntries(b *testing.B) {
	dir := flock(b, 10_000)
	cache := filepath.Join(b.TempDir(), "c")
	v := scanned(b, cache, dir)
	accept(b, v)
	check(b, v.Save())
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, err := range v.Entries() {
				check(b, err)
			}
		}
	})
	b.Run("one project", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, err := range v.Of(map[packaging.Name]bool{"project-a-00000": true}) {
				check(b, err)
			}
		}
	})
}

func BenchmarkParseSnippet(b *testing.B) {
	for name, text := range map[string]string{
		"address": "git+ssh://git@example.org/foo.git\negg=foo\nversion=1.0\n",
		"anchor":  `<a href="http://svn.example.org/foo/trunk#egg=foo-dev">foo-dev</a>`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _, err := ParseSnippet("foo.svn", []byte(text), LinkOptions{})
				check(b, err)
			}
		})
	}
}
