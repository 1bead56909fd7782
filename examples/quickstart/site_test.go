package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen/intake"
	"nestgen/packaging"
)

func sources(t *testing.T) fs.FS {
	t.Helper()
	f, err := fs.Sub(embedded, "sources")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Every distribution of the example passes the strictest inspection without a
// warning, and says of itself what its file name says.
func TestDistributionsAreReal(t *testing.T) {
	files, err := assemble(sources(t))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[packaging.Kind]int{}
	for name, data := range files {
		if packer(name) == nil {
			continue
		}
		facts, err := intake.Inspect(bytes.NewReader(data), int64(len(data)), path.Base(name), "", intake.Upload)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(facts.Warnings) > 0 {
			t.Errorf("%s: %v", name, facts.Warnings)
		}
		kinds[facts.Filename.Kind]++
	}
	if kinds[packaging.Wheel] != 7 || kinds[packaging.Sdist] != 1 || kinds[packaging.Egg] != 1 {
		t.Errorf("distributions by kind: %v", kinds)
	}
}

// The bytes depend on the sources alone: not on the day, the machine or the
// version of Go. When sources change, this digest changes with them.
func TestSameBytesEverywhere(t *testing.T) {
	files, err := assemble(sources(t))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range files {
		if packer(name) != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	h := sha256.New()
	for _, name := range names {
		h.Write(files[name])
	}
	const want = "f73dc3230cfb783f4025e653ac46a805d87a0d44d165d5919d7341031cf7f126"
	if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
		t.Errorf("digest of all distributions = %s, want %s", got, want)
	}
}

// A page of the upstream names the digest of each file that it links to.
func TestPagesCarryDigests(t *testing.T) {
	files, err := assemble(sources(t))
	if err != nil {
		t.Fatal(err)
	}
	file := "birdcalls-1.1.0-py3-none-any.whl"
	want := fmt.Sprintf(`href="../../files/%s#sha256=%x"`, file, sha256.Sum256(files["upstream/files/"+file]))
	if got := string(files["upstream/simple/birdcalls/index.html"]); !strings.Contains(got, want) {
		t.Errorf("no %s on the page:\n%s", want, got)
	}
	if _, err := page("x", []byte(`{{link "other.whl"}}`), files); err == nil {
		t.Error("a link to a file that is not there was taken")
	}
}

// The example is written into an empty folder only: nothing of anybody's is
// overwritten.
func TestWriteWantsAnEmptyFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "site")
	if err := run(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "drop", "nestbox-1.0.0-py3-none-any.whl")); err != nil {
		t.Error(err)
	}
	if err := run(dir); err == nil {
		t.Error("written a second time over the first")
	}
}
