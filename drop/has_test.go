package drop

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"nestgen/packaging"
)

func TestHas(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"Foo_Bar-1.0-py3-none-any.whl", "team/deep/baz.qux-2.0.tar.gz", ".hidden/secret-1.0.tar.gz", "notes.txt",
		"old-3.0-py2.7.egg", "a-b-c-1.0.zip", "links.svn",
	} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	dirs := []string{filepath.Join(dir, "not there"), dir}
	for n, want := range map[packaging.Name]bool{
		"foo-bar": true, "baz-qux": true, "old": true, "a-b-c": true,
		"foo": false, "bar": false, "secret": false, "notes": false, "links": false, "z": false,
	} {
		if got, err := Has(t.Context(), dirs, n); got != want || err != nil {
			t.Errorf("%s: %v, %v", n, got, err)
		}
	}
	if _, err := Has(t.Context(), []string{filepath.Join(dir, "notes.txt")}, "foo"); err == nil {
		t.Error("a folder that cannot be read is taken for an empty one")
	}
}
