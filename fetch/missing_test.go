package fetch

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"nestgen/packaging"
)

// That a folder of this machine is not there is no word of the upstream.
func TestAMissingFileIsNoMissingProject(t *testing.T) {
	_, enoent := os.Open(t.TempDir() + "/none")
	for k := Unreachable; k <= Stopped; k++ {
		err := error(fault(k, "%w", enoent))
		if got, want := errors.Is(err, fs.ErrNotExist), k == NotFound || k == Gone; got != want {
			t.Errorf("%v: matches fs.ErrNotExist: %v", k, got)
		}
	}
	if !errors.Is(fault(Storage, "%w", fs.ErrPermission), fs.ErrPermission) {
		t.Error("the cause is lost")
	}
}

func TestAnEmptyFolderIsUnreachable(t *testing.T) {
	dir := t.TempDir()
	for _, root := range []string{dir, dir + "/none"} {
		src, err := Open(Upstream{Name: "disk", URL: root}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = src.List(t.Context(), packaging.Name("a"), Validators{})
		if KindOf(err) != Unreachable {
			t.Errorf("%s: %v (%v)", root, err, KindOf(err))
		}
	}
	if err := os.WriteFile(dir+"/b-1.0.tar.gz", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	src, err := Open(Upstream{Name: "disk", URL: dir}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = src.List(t.Context(), packaging.Name("a"), Validators{}); KindOf(err) != NotFound {
		t.Errorf("%v (%v)", err, KindOf(err))
	}
}
