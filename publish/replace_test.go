package publish_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"nestgen/layout"
	"nestgen/publish"
)

func (s *site) replace(target, content string, companions ...publish.Companion) {
	s.Helper()
	s.must(s.tree.Replace(context.Background(), publish.Exposure{Temp: s.temp(content), Target: target, Companions: companions}))
}

// A damaged file is put right together with its companions, whatever is left
// of them; what else lies in its folder stays as it is.
func TestReplace(t *testing.T) {
	foo := stored(1, "foo-1.tar.gz")
	other := filepath.Dir(foo) + "/Foo-1.tar.gz" // the same bytes under another name
	tests := []struct {
		name string
		left map[string]string
	}{
		{"nothing", nil},
		{"empty folder", map[string]string{filepath.Dir(foo) + "/": ""}},
		{"spoiled file", map[string]string{foo: "spoiled", foo + ".metadata": "Name: foo"}},
		{"spoiled companion", map[string]string{foo: "sdist", foo + ".metadata": "spoiled"}},
		{"companions alone", map[string]string{foo + ".metadata": "Name: foo", foo + ".asc": "signed"}},
		{"folder of its name", map[string]string{foo + "/x": "strange"}},
		{"all", map[string]string{foo: "sdist", foo + ".metadata": "Name: foo"}},
	}
	for _, tt := range tests {
		for _, beside := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				s := open(t)
				for path, content := range tt.left {
					if path[len(path)-1] == '/' {
						s.must(os.MkdirAll(s.path(path), 0o755))
						continue
					}
					s.must(os.MkdirAll(filepath.Dir(s.path(path)), 0o755))
					s.must(os.WriteFile(s.path(path), []byte(content), 0o444))
				}
				if beside {
					s.must(os.MkdirAll(filepath.Dir(s.path(other)), 0o755))
					s.must(os.WriteFile(s.path(other), []byte("sdist"), 0o444))
					s.must(os.WriteFile(s.path(other+".metadata"), []byte("Name: Foo"), 0o444))
				}
				s.replace(foo, "sdist", meta(foo, "Name: foo"))
				s.has(foo, "sdist")
				s.has(foo+".metadata", "Name: foo")
				s.has(foo+".asc", "")
				if beside {
					s.has(other, "sdist")
					s.has(other+".metadata", "Name: Foo")
				}
				s.stageIsEmpty()
			})
		}
	}
	s := open(t)
	for _, e := range []publish.Exposure{
		{Target: foo, Companions: []publish.Companion{meta(foo, "Name: foo")}}, // beside nothing
		{Temp: s.temp("x"), Target: "simple/foo/index.html"},
		{Temp: s.temp("x"), Target: foo, Companions: []publish.Companion{{Path: "packages/x.metadata"}}},
	} {
		if err := s.tree.Replace(context.Background(), e); err == nil {
			t.Errorf("%+v was taken", e)
		}
	}
}

// Without new bytes the file stays the very one that it was, and so does what
// is not given anew.
func TestReplaceCompanions(t *testing.T) {
	s := open(t)
	foo := stored(1, "foo-1.tar.gz")
	s.expose(foo, "sdist", meta(foo, "spoiled"), publish.Companion{Path: foo + ".asc", Data: []byte("signed")})
	before, err := os.Stat(s.path(foo))
	s.must(err)
	s.must(s.tree.Replace(context.Background(), publish.Exposure{Target: foo, Companions: []publish.Companion{meta(foo, "Name: foo")}}))
	after, err := os.Stat(s.path(foo))
	s.must(err)
	if !os.SameFile(before, after) {
		t.Error("the file is another one")
	}
	s.has(foo+".metadata", "Name: foo")
	s.has(foo+".asc", "signed")
	s.stageIsEmpty()
}

// Whoever reads meanwhile finds the file at every moment.
func TestReplaceIsOneStep(t *testing.T) {
	s := open(t)
	foo := stored(1, "foo-1.tar.gz")
	s.expose(foo, "spoiled", meta(foo, "Name: foo"))
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			for _, path := range []string{foo, layout.CoreMetadata(foo)} {
				if _, err := os.ReadFile(s.path(path)); err != nil {
					t.Error(err)
					return
				}
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for range 100 {
		s.replace(foo, "sdist", meta(foo, "Name: foo"))
	}
	close(done)
	wg.Wait()
	s.has(foo, "sdist")
	s.stageIsEmpty()
}

// Folders that a run has left empty go, and those above them; others stay.
func TestPrune(t *testing.T) {
	s := open(t)
	foo, bar := stored(1, "foo-1.tar.gz"), stored(2, "bar-1.tar.gz")
	s.expose(foo, "sdist")
	empty := filepath.Dir(bar)
	s.must(os.MkdirAll(s.path(empty), 0o755))
	s.must(s.tree.Prune(context.Background(), []string{empty, filepath.Dir(foo), "packages/no/such"}))
	if _, err := os.Stat(s.path(filepath.Dir(filepath.Dir(empty)))); err == nil {
		t.Errorf("%s is still there", filepath.Dir(filepath.Dir(empty)))
	}
	s.has(foo, "sdist")
	for _, bad := range []string{"packages", "simple", "../x", "simple/foo"} {
		if err := s.tree.Prune(context.Background(), []string{bad}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// A page goes with its compressed sibling, and the sibling first: without its
// page it would be served all the same.
func TestRemoveTakesSibling(t *testing.T) {
	s := open(t)
	s.publish("index.html.gz", "z", "index.html", "h", "flat/index.html.gz", "z", "flat/index.html", "h", "simple/foo/index.html", "h")
	got := s.renames(func() {
		b := begin(t, s.tree)
		s.must(b.Remove("index.html"))
		s.must(b.Remove("flat/index.html"))
		_, err := end(b)
		s.must(err)
	})
	want := []string{"-index.html.gz", "-index.html", "-flat"}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	s.has("simple/foo/index.html", "h")
}
