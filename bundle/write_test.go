package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A failing disk fails at the nth thing that it is asked to do.
type failing struct {
	localDisk
	left int
	err  error
}

func (d *failing) fails() error {
	if d.left--; d.left == 0 {
		return d.err
	}
	return nil
}

func (d *failing) Create(path string) (file, error) {
	if err := d.fails(); err != nil {
		return nil, err
	}
	f, err := d.localDisk.Create(path)
	return &failingFile{f, d}, err
}

func (d *failing) Rename(from, to string) error {
	if err := d.fails(); err != nil {
		return err
	}
	return d.localDisk.Rename(from, to)
}

func (d *failing) SyncFolder(path string) error {
	if err := d.fails(); err != nil {
		return err
	}
	return d.localDisk.SyncFolder(path)
}

type failingFile struct {
	file
	d *failing
}

func (f *failingFile) Write(b []byte) (int, error) {
	if err := f.d.fails(); err != nil {
		n, _ := f.file.Write(b[:len(b)/2])
		return n, err
	}
	return f.file.Write(b)
}

func (f *failingFile) Sync() error {
	if err := f.d.fails(); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f *failingFile) Close() error {
	return errors.Join(f.d.fails(), f.file.Close())
}

// Whatever fails, and whenever, nothing is left.
func TestNothingIsLeft(t *testing.T) {
	const tooMany = 2000 // there are less than 100 things to ask the disk for
	for name, o := range smallBundles(t) {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			for n := range tooMany {
				if !leavesNothing(t, parent, o, n+1) {
					t.Logf("%d failures", n)
					return
				}
			}
			t.Fatalf("it still fails when the disk has done %d things", tooMany)
		})
	}
}

// leavesNothing reports whether writing to a disk that fails at the nth thing fails, and
// looks at what is left.
func leavesNothing(t *testing.T, parent string, o Options, n int) (failed bool) {
	t.Helper()
	dir, err := os.MkdirTemp(parent, "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	d := &failing{left: n, err: &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}}
	r, err := write(t.Context(), d, filepath.Join(dir, "b.tar"), o)
	left, readErr := os.ReadDir(dir)
	switch {
	case readErr != nil:
		t.Fatal(readErr)
	case err == nil && d.left <= 0:
		t.Fatalf("failure %d was not told", n)
	case err == nil && len(left) != len(r.Parts):
		t.Errorf("%v for %d parts", left, len(r.Parts))
	case err != nil && !errors.Is(err, syscall.ENOSPC):
		t.Errorf("failure %d is told as %v", n, err)
	case err != nil && (len(left) != 0 || r.Parts != nil):
		t.Errorf("failure %d leaves %v, and tells of %v", n, left, r.Parts)
	}
	return err != nil
}

// What to do about a medium that takes no more is said.
func TestFullMedium(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EFBIG:  "split the bundle into smaller parts",
		syscall.ENOSPC: "nothing of it was left there",
		syscall.EDQUOT: "nothing of it was left there",
		syscall.EIO:    "",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "b.tar")
		d := &failing{left: 2, err: &fs.PathError{Op: "write", Path: "x", Err: err}}
		_, got := write(t.Context(), d, path, options(t, few()...))
		if !errors.Is(got, err) || !strings.Contains(got.Error(), want) || want != "" && !strings.Contains(got.Error(), path) {
			t.Errorf("%v is told as %v", err, got)
		}
	}
}

// Progress rises to all that there is.
func TestProgress(t *testing.T) {
	smallParts(t)
	o := options(t, append(few(), member("big", text("big", 600_000)))...)
	for _, split := range []int64{0, 40 << 10} {
		o.Split = split
		last, calls := int64(0), 0
		o.Progress = func(done, all int64) {
			if done < last || done > all || all != 601_212 {
				t.Errorf("%d of %d bytes after %d", done, all, last)
			}
			last = done
			calls++
		}
		list := parts(t, o)
		if last != 601_212 || calls < 4 {
			t.Errorf("%d bytes at the end, in %d calls", last, calls)
		}
		b, err := Open(trusting(t, o.Header.Key), list...)
		if err != nil {
			t.Fatal(err)
		}
		last = 0
		if err := b.Verify(t.Context(), VerifyOptions{Progress: func(done, all int64) {
			if done < last || all != b.Size() {
				t.Errorf("%d of %d bytes after %d", done, all, last)
			}
			last = done
		}}); err != nil || last != b.Size() {
			t.Errorf("%d of %d bytes at the end: %v", last, b.Size(), err)
		}
	}
}

// A run that is told to end leaves nothing, wherever it is.
func TestCancelledWrite(t *testing.T) {
	smallParts(t)
	o := options(t, append(few(), member("big", text("big", 9000)))...)
	o.Split = 6 << 10
	stops := 0
	for at := int64(0); at <= 9000+1212; at += 500 {
		ctx, cancel := context.WithCancel(t.Context())
		o.Progress = func(done, all int64) {
			if all != 9000+1212 {
				t.Fatalf("%d of %d bytes", done, all)
			}
			if done >= at {
				cancel()
			}
		}
		dir := t.TempDir()
		_, err := Write(ctx, filepath.Join(dir, "b.tar"), o)
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled at %d: %v", at, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Fatalf("cancelled at %d: left %v", at, left)
		}
		stops++
	}
	if stops < 20 {
		t.Errorf("cancelled %d times", stops)
	}
}

// Verify ends when it is told to, and leaves nothing.
func TestCancelledVerify(t *testing.T) {
	o := options(t, member("big", text("big", 900_000)))
	o.Zstd = true
	temp := t.TempDir()
	b, err := Open(trusting(t, o.Header.Key), parts(t, o)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	last := int64(0)
	err = b.Verify(ctx, VerifyOptions{Temp: temp, Progress: func(done, all int64) {
		if done < last || done > all || all != b.Size() {
			t.Errorf("%d of %d bytes after %d", done, all, last)
		}
		last = done
		cancel()
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	if last == 0 || last == b.Size() {
		t.Errorf("%d of %d bytes were read", last, b.Size())
	}
}

// A member that is not what was announced ends the writing, by name.
func TestMembersThatChange(t *testing.T) {
	smallParts(t)
	gone := errors.New("it is gone")
	data := text("x", 9000)
	for _, split := range []int64{0, 6 << 10} {
		for _, tt := range []struct {
			name string
			open func() (io.ReadCloser, error)
			err  string
		}{
			{"shorter", func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data[1:])), nil }, "fewer bytes than the 9000"},
			{"longer", func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(append(data[:9000:9000], 0))), nil }, "more bytes than the 9000"},
			{"other bytes", func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text("y", 9000))), nil }, "not those announced"},
			{"gone", func() (io.ReadCloser, error) { return nil, gone }, "it is gone"},
			{"no way to open it", nil, "nothing says where"},
		} {
			m := member("x", data)
			m.Open = tt.open
			o := options(t, append(few(), m)...)
			o.Split = split
			dir := t.TempDir()
			_, err := Write(t.Context(), filepath.Join(dir, "b.tar"), o)
			if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "member x: ") {
				t.Errorf("%s: %v", tt.name, err)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("%s: left %v", tt.name, left)
			}
		}
	}
	// It changes after its pieces were measured.
	opened := 0
	m := member("x", data)
	m.Open = func() (io.ReadCloser, error) {
		if opened++; opened == 3 {
			return io.NopCloser(bytes.NewReader(text("y", 9000))), nil
		}
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	o := options(t, m)
	o.Split = 6 << 10
	if _, err := Write(t.Context(), filepath.Join(t.TempDir(), "b.tar"), o); err == nil || !strings.Contains(err.Error(), "member x: its bytes are not those announced") {
		t.Errorf("changed between two looks: %v", err)
	}
}

// What is there already is not replaced unless that is asked for; what a killed
// run left is.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "b.tar")
	o := options(t, few()...)
	if err := os.WriteFile(filepath.Join(dir, ".b.tar.partial"), []byte("of a killed run"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), path, o); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), path, o); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	o.Replace = true
	if _, err := Write(t.Context(), path, o); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the same members give other bytes: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left %v", left)
	}
}

// What cannot be read again is not written.
func TestRefused(t *testing.T) {
	long := strings.Repeat("x", maxSegment)
	for _, tt := range []struct {
		name   string
		change func(o *Options)
	}{
		{"a name twice", func(o *Options) { o.Members = append(few(), few()...) }},
		{"a name that is a folder", func(o *Options) { o.Members = append(few(), member("b/c", nil), member("b+", nil), member("b-", nil)) }},
		{"a negative size", func(o *Options) { o.Members[0].Size = -1 }},
		{"a size that cannot be", func(o *Options) { o.Members[0].Size = MaxSize + 1 }},
		{"sizes that cannot be together", func(o *Options) { o.Members[0].Size, o.Members[1].Size = MaxSize, 1 }},
		{"a tiny part", func(o *Options) { o.Split = MinSplit - 1 }},
		{"too many parts", func(o *Options) { o.Members[0].Size = MinSplit * (MaxParts + 1); o.Split = MinSplit }},
		{"no tag", func(o *Options) { o.Header.Tag = "" }},
		{"a tag with a slash", func(o *Options) { o.Header.Tag = "a/b" }},
		{"a tag that begins with a dot", func(o *Options) { o.Header.Tag = ".a" }},
		{"a field of the bundle's own", func(o *Options) { o.Header.Fields = []Field{{"manifest", "x"}} }},
		{"a field twice", func(o *Options) { o.Header.Fields = []Field{{"a", "x"}, {"a", "y"}} }},
		{"a field without a name", func(o *Options) { o.Header.Fields = []Field{{"", "x"}} }},
		{"a field without a value", func(o *Options) { o.Header.Fields = []Field{{"a", ""}} }},
		{"a field of two lines", func(o *Options) { o.Header.Fields = []Field{{"a", "x\nb y"}} }},
		{"a field that ends with a space", func(o *Options) { o.Header.Fields = []Field{{"a", "x "}} }},
		{"fields that are too long", func(o *Options) {
			o.Header.Fields = nil
			for i := range maxFields {
				o.Header.Fields = append(o.Header.Fields, Field{fmt.Sprintf("f%d", i), strings.Repeat("v", 900)})
			}
		}},
		{"an empty name", func(o *Options) { o.Members[0].Name = "" }},
		{"a name that goes up", func(o *Options) { o.Members[0].Name = "a/../b" }},
		{"a name from the root", func(o *Options) { o.Members[0].Name = "/a" }},
		{"a name that ends with a slash", func(o *Options) { o.Members[0].Name = "a/" }},
		{"a name with a double slash", func(o *Options) { o.Members[0].Name = "a//b" }},
		{"a name with a dot", func(o *Options) { o.Members[0].Name = "a/./b" }},
		{"a name with a space", func(o *Options) { o.Members[0].Name = "a b" }},
		{"a name with a backslash", func(o *Options) { o.Members[0].Name = `a\b` }},
		{"a name with a control character", func(o *Options) { o.Members[0].Name = "a\nb" }},
		{"a name that is not ASCII", func(o *Options) { o.Members[0].Name = "ä" }},
		{"a name like an option", func(o *Options) { o.Members[0].Name = "a/--to-command=x" }},
		{"the name of the note", func(o *Options) { o.Members[0].Name = "bundle" }},
		{"a name below the manifest", func(o *Options) { o.Members[0].Name = "manifest/x" }},
		{"the name of a piece", func(o *Options) { o.Members[0].Name = "x.piece-001-of-002/y" }},
		{"a long segment", func(o *Options) { o.Members[0].Name = long + "x" }},
		{"a long name", func(o *Options) { o.Members[0].Name = strings.Repeat(long+"/", 5) }},
	} {
		o := options(t, few()...)
		tt.change(&o)
		dir := t.TempDir()
		if _, err := Plan(filepath.Join(dir, "b.tar"), o); err == nil {
			t.Errorf("%s: planned", tt.name)
		}
		if _, err := Write(t.Context(), filepath.Join(dir, "b.tar"), o); err == nil {
			t.Errorf("%s: written", tt.name)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%s: left %v", tt.name, left)
		}
	}
}

func TestPartName(t *testing.T) {
	for _, tt := range []struct {
		path string
		k, n int
		zstd bool
		want string
	}{
		{"x/site-b", 1, 1, false, "x/site-b.tar"},
		{"x/site-b.tar", 1, 1, true, "x/site-b.tar.zst"},
		{"site-b.tar.zst", 2, 13, true, "site-b.002-of-013.tar.zst"},
		{"site-b-12.40", 999, 999, false, "site-b-12.40.999-of-999.tar"},
	} {
		if got := PartName(tt.path, tt.k, tt.n, tt.zstd); got != tt.want {
			t.Errorf("PartName(%q, %d, %d, %v) = %q, want %q", tt.path, tt.k, tt.n, tt.zstd, got, tt.want)
		}
	}
}
