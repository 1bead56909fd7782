package publish_test

import (
	"os"
	"path/filepath"
	"testing"

	"nestgen/layout"
	"nestgen/publish"
)

// What is withheld is nowhere in the site, and comes back as it was.
func TestWithhold(t *testing.T) {
	s := open(t)
	state := s.options().State
	foo, bar := stored(1, "foo-1-py3-none-any.whl"), stored(1, "bar-1.tar.gz") // of the same bytes, in one folder
	s.expose(foo, "wheel", meta(foo, "Name: foo"))
	s.expose(bar, "wheel")
	before := s.stat(foo)
	for range 2 {
		n, err := s.tree.Withhold(t.Context(), []string{foo, stored(2, "never-1.tar.gz")})
		s.must(err)
		if n > 1 {
			t.Errorf("%d files", n)
		}
		for _, path := range []string{foo, layout.CoreMetadata(foo)} {
			hasNot(s, path)
			if _, err := os.Stat(publish.Withheld(state, path)); err != nil {
				t.Error(err)
			}
		}
		s.has(bar, "wheel")
		s.reopen()
	}
	if fi, err := os.Stat(filepath.Join(state, "withheld")); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	n, err := s.tree.Release(t.Context(), []string{foo, bar, stored(2, "never-1.tar.gz")})
	s.must(err)
	if n != 1 {
		t.Errorf("%d files came back", n)
	}
	s.has(foo, "wheel")
	s.has(layout.CoreMetadata(foo), "Name: foo")
	if now := s.stat(foo); now.Ino != before.Ino || now.Mode != before.Mode || now.Nlink != 1 {
		t.Errorf("%+v, was %+v", now, before)
	}
	if _, err := os.Stat(filepath.Join(state, "withheld")); !os.IsNotExist(err) {
		t.Errorf("the closed area is still there: %v", err)
	}
}

// A folder that is empty when its file is withheld goes, and is made again.
func TestWithholdTheOnlyFile(t *testing.T) {
	s := open(t)
	foo := stored(1, "foo-1.tar.gz")
	s.expose(foo, "sdist")
	_, err := s.tree.Withhold(t.Context(), []string{foo})
	s.must(err)
	hasNot(s, "packages/01")
	_, err = s.tree.Release(t.Context(), []string{foo})
	s.must(err)
	s.has(foo, "sdist")
}

// A run that died half way is gone over again, in either direction, whatever was
// moved by then.
func TestWithholdAgain(t *testing.T) {
	foo := stored(1, "foo-1.tar.gz")
	for _, tt := range []struct {
		name          string
		store, closed []string
	}{
		{"the companion is left in the store", []string{".metadata"}, []string{""}},
		{"the file is in both places", []string{"", ".metadata"}, []string{"", ".metadata"}},
		{"the companion is in both places", []string{".metadata"}, []string{"", ".metadata"}},
		{"the file has come anew", []string{""}, []string{"", ".metadata"}},
	} {
		for _, back := range []bool{false, true} {
			s := open(t)
			state := s.options().State
			for _, c := range tt.store {
				s.must(os.MkdirAll(filepath.Dir(s.path(foo)), 0o755))
				s.must(os.WriteFile(s.path(foo+c), []byte("sdist"+c), 0o444))
			}
			for _, c := range tt.closed {
				s.must(os.MkdirAll(filepath.Dir(publish.Withheld(state, foo)), 0o700))
				s.must(os.WriteFile(publish.Withheld(state, foo+c), []byte("sdist"+c), 0o444))
			}
			move := s.tree.Withhold
			if back {
				move = s.tree.Release
			}
			_, err := move(t.Context(), []string{foo})
			s.must(err)
			for _, c := range []string{"", ".metadata"} {
				data, err := os.ReadFile(publish.Withheld(state, foo+c))
				if back {
					s.has(foo+c, "sdist"+c)
					if err == nil {
						t.Errorf("%s: %q is still withheld", tt.name, c)
					}
				} else if hasNot(s, foo+c); err != nil || string(data) != "sdist"+c {
					t.Errorf("%s: %q, %v", tt.name, data, err)
				}
			}
		}
	}
}

// Delete finds what is withheld.
func TestDeleteWhatIsWithheld(t *testing.T) {
	s := open(t)
	foo := stored(1, "foo-1.tar.gz")
	s.expose(foo, "sdist", meta(foo, "Name: foo"))
	_, err := s.tree.Withhold(t.Context(), []string{foo})
	s.must(err)
	n, err := s.tree.Delete(t.Context(), []string{foo})
	s.must(err)
	if n != 1 {
		t.Errorf("%d files", n)
	}
	if _, err := os.Stat(filepath.Join(s.options().State, "withheld")); !os.IsNotExist(err) {
		t.Errorf("the closed area is still there: %v", err)
	}
	for _, path := range []string{"packages/x", "simple/foo/index.html", "../state/x"} {
		if _, err := s.tree.Withhold(t.Context(), []string{path}); err == nil {
			t.Errorf("%s is withheld", path)
		}
		if _, err := s.tree.Release(t.Context(), []string{path}); err == nil {
			t.Errorf("%s is given back", path)
		}
	}
}

// hasNot checks that there is nothing at a path of the site.
func hasNot(s *site, path string) {
	s.Helper()
	if _, err := os.Lstat(s.path(path)); !os.IsNotExist(err) {
		s.Errorf("%s is there, %v", path, err)
	}
}
