package policy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Of edits that come at once none is lost: each waits for the one before it, wherever
// they come from.
func TestEditsAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "policy.toml")
	link := filepath.Join(t.TempDir(), "link.toml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	err := edit(path, func(data []byte) ([]byte, error) {
		other, err := os.Open(dir)
		if err != nil {
			return nil, err
		}
		defer other.Close()
		if err := unix.Flock(int(other.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			t.Errorf("somebody else has the lock as well: %v", err)
		}
		return append(data, "# ours\n"...), nil
	})
	if err != nil {
		t.Fatal(err)
	}

	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	const edits = 16
	var all sync.WaitGroup
	for i := range edits {
		all.Go(func() {
			by := []string{path, link}[i%2]
			if err := Yank(by, Target{Project: "foo", Versions: fmt.Sprintf("==%d", i)}, "", day); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	p, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(p.yanks["foo"]); n != edits {
		t.Errorf("%d of %d edits are there", n, edits)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link: %v, %v", fi, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left: %q", left)
	}
}
