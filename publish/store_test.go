package publish_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"nestgen/layout"
	"nestgen/publish"
)

func meta(target, content string) publish.Companion {
	return publish.Companion{Path: layout.CoreMetadata(target), Data: []byte(content)}
}

func TestExpose(t *testing.T) {
	s := open(t)
	foo := stored(1, "foo-1-py3-none-any.whl")
	if altered := s.expose(foo, "wheel", meta(foo, "Name: foo")); altered != nil {
		t.Fatalf("altered = %v", altered)
	}
	s.has(foo, "wheel")
	s.has(foo+".metadata", "Name: foo")
	for path, mode := range map[string]uint32{
		foo: 0o444, foo + ".metadata": 0o444, filepath.Dir(foo): 0o755,
		filepath.Dir(filepath.Dir(foo)): 0o755, "packages": 0o755,
	} {
		if got := s.stat(path).Mode & 0o7777; got != mode {
			t.Errorf("%s has mode %o, want %o", path, got, mode)
		}
	}
	s.stageIsEmpty()
	// Its inode is the one that was filled: nothing was copied.
	if n := s.stat(foo).Nlink; n != 1 {
		t.Errorf("%d links to the file, want 1", n)
	}
}

// A run that died before it told the catalog does it all again (F in the grid
// of reliability.md section 4.3).
func TestExposeAgain(t *testing.T) {
	foo := stored(1, "foo-1.tar.gz")
	tests := []struct {
		name string
		left map[string]string // in the store when the run begins
	}{
		{"nothing", nil},
		{"empty digest folder", map[string]string{filepath.Dir(foo) + "/": ""}},
		{"file alone", map[string]string{foo: "sdist"}},
		{"companion alone", map[string]string{foo + ".metadata": "Name: foo"}},
		{"all", map[string]string{foo: "sdist", foo + ".metadata": "Name: foo"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t)
			for path, content := range tt.left {
				s.must(os.MkdirAll(filepath.Dir(s.path(path+"x")), 0o755))
				if content != "" {
					s.must(os.WriteFile(s.path(path), []byte(content), 0o444))
				}
			}
			for range 2 {
				if altered := s.expose(foo, "sdist", meta(foo, "Name: foo")); altered != nil {
					t.Errorf("altered = %v", altered)
				}
				s.has(foo, "sdist")
				s.has(foo+".metadata", "Name: foo")
				s.stageIsEmpty()
				s.reopen()
			}
		})
	}
}

// I2: a path below packages/ never changes its bytes.
func TestExposeNeverOverwrites(t *testing.T) {
	foo := stored(1, "foo-1.tar.gz")
	s := open(t)
	s.expose(foo, "sdist", meta(foo, "Name: foo"))
	inode := s.stat(foo).Ino
	bar := stored(2, "bar-1.tar.gz")
	for _, other := range []string{"other", "sdisT", ""} {
		altered, err := s.tree.Expose(context.Background(), []publish.Exposure{
			{Temp: s.temp("bar"), Target: bar},
			{Temp: s.temp(other), Target: foo, Companions: []publish.Companion{{Path: layout.Signature(foo), Data: []byte("sig")}}},
		})
		s.must(err)
		if len(altered) != 1 || altered[0].Index != 1 || altered[0].Path != foo || !errors.Is(altered[0], publish.ErrAltered) {
			t.Errorf("altered = %v, want %s", altered, foo)
		}
		s.has(foo, "sdist")
		s.has(bar, "bar") // the rest of the batch is exposed
	}
	if altered := s.expose(foo, "sdist", meta(foo, "Name: bar")); len(altered) != 1 || altered[0].Path != foo+".metadata" {
		t.Errorf("altered = %v, want the companion", altered)
	}
	s.has(foo+".metadata", "Name: foo")
	if s.stat(foo).Ino != inode {
		t.Error("the file was replaced")
	}
	s.stageIsEmpty()

	// A link that somebody has put there is not the file.
	s.must(os.Rename(s.path(foo), s.path("elsewhere")))
	s.must(os.Symlink(s.path("elsewhere"), s.path(foo)))
	if altered := s.expose(foo, "sdist"); len(altered) != 1 {
		t.Errorf("altered = %v, want %s, which is a link", altered, foo)
	}
}

func TestExposeLateCompanion(t *testing.T) {
	s := open(t)
	foo := stored(1, "foo-1.tar.gz")
	e := publish.Exposure{Target: foo, Companions: []publish.Companion{{Path: layout.Signature(foo), Data: []byte("sig")}}}
	// It may come before its file.
	bar := stored(2, "bar-1.tar.gz")
	early := publish.Exposure{Target: bar, Companions: []publish.Companion{{Path: layout.CoreMetadata(bar), Data: []byte("Name: bar")}}}
	_, err := s.tree.Expose(context.Background(), []publish.Exposure{early})
	s.must(err)
	s.has(bar+".metadata", "Name: bar")
	s.has(bar, "")
	s.expose(bar, "sdist of bar", early.Companions...)
	s.has(bar, "sdist of bar")
	s.has(bar+".metadata", "Name: bar")

	s.expose(foo, "sdist")
	for range 2 {
		altered, err := s.tree.Expose(context.Background(), []publish.Exposure{e})
		s.must(err)
		if altered != nil {
			t.Errorf("altered = %v", altered)
		}
		s.has(foo+".asc", "sig")
	}
}

// Above the limit one syncfs stands for many fsyncs; both ways the result is
// the same.
func TestExposeMany(t *testing.T) {
	s := open(t)
	var batch []publish.Exposure
	for i := range 1200 {
		var d [32]byte
		d[0], d[1], d[2] = byte(i), byte(i>>8), byte(i>>4)
		target := layout.File(d, fmt.Sprintf("p%d-1.tar.gz", i))
		batch = append(batch, publish.Exposure{Temp: s.temp(target), Target: target, Companions: []publish.Companion{meta(target, "m")}})
	}
	altered, err := s.tree.Expose(context.Background(), batch)
	s.must(err)
	if altered != nil {
		t.Errorf("altered = %v", altered)
	}
	for _, e := range batch {
		s.has(e.Target, e.Target)
		s.has(e.Target+".metadata", "m")
	}
	s.stageIsEmpty()
}

func TestDelete(t *testing.T) {
	s := open(t)
	foo, bar := stored(1, "foo-1.tar.gz"), stored(1, "bar-1.tar.gz") // of one digest folder
	baz := stored(2, "baz-1.tar.gz")
	for _, f := range []string{foo, bar, baz} {
		s.expose(f, f, meta(f, "m"), publish.Companion{Path: layout.Signature(f), Data: []byte("s")}, publish.Companion{Path: layout.Provenance(f), Data: []byte("p")})
	}
	n, err := s.tree.Delete(context.Background(), []string{foo, baz, stored(3, "never-1.zip")})
	s.must(err)
	if n != 2 {
		t.Errorf("deleted %d, want 2", n)
	}
	for _, ext := range []string{"", ".metadata", ".asc", ".provenance"} {
		s.has(foo+ext, "")
		s.has(baz+ext, "")
	}
	s.has(bar, bar)
	s.has(bar+".provenance", "p")
	s.has("packages/02", "")
	s.stageIsEmpty()
	n, err = s.tree.Delete(context.Background(), []string{foo, bar})
	s.must(err)
	if n != 1 {
		t.Errorf("deleted %d, want 1", n)
	}
	if es, err := os.ReadDir(s.path("packages")); err != nil || len(es) != 0 {
		t.Errorf("packages holds %v, %v", es, err)
	}
	s.expose(foo, "again")
	s.has(foo, "again")

	// A run that died between two of the folders it was removing.
	s.must(os.RemoveAll(s.path(filepath.Dir(foo))))
	_, err = s.tree.Delete(context.Background(), []string{foo})
	s.must(err)
	s.has("packages/01", "")
}

// The last file of a folder is deleted while another is exposed beside it: the
// folder may go between two calls of the other, and nothing may fail or be
// lost.
func TestDeleteBesideExpose(t *testing.T) {
	s := open(t)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			mine := stored(1, fmt.Sprintf("g%d-1.tar.gz", g))
			for i := range 60 {
				f, err := s.tree.NewFile()
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Fprint(f, i)
				f.Close()
				altered, err := s.tree.Expose(context.Background(), []publish.Exposure{{Temp: f.Name(), Target: mine}})
				if err != nil || altered != nil {
					t.Errorf("Expose: %v, %v", altered, err)
				}
				s.has(mine, fmt.Sprint(i))
				if n, err := s.tree.Delete(context.Background(), []string{mine}); n != 1 || err != nil {
					t.Errorf("Delete = %d, %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	s.stageIsEmpty()
}
