//go:build linux && amd64

package sweep

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A disk is an ext4 of its own whose power can be cut.
type disk struct{ image, dir string }

func newDisk(t *testing.T) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a power cut takes root, for a file system of its own")
	}
	d := &disk{filepath.Join(memory(t), "image"), t.TempDir()}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, 64<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		t.Skipf("no mkfs.ext4: %v %s", err, out)
	}
	if err := d.mount(); err != nil {
		t.Skip("no loop device: ", err)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", d.dir).Run() })
	return d
}

func (d *disk) mount() error {
	out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount: %w %s", err, out)
	}
	return nil
}

// The shutdown ioctl of ext4 and XFS drops what is not on disk. The log that
// is in memory is written first, or not.
const (
	shutdown   = 0x8004587d
	withLog    = 1
	withoutLog = 2
)

// cut stops the disk at once and starts it again.
func (d *disk) cut(flag int) error {
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	err = unix.IoctlSetPointerInt(int(f.Fd()), shutdown, flag)
	f.Close()
	if err != nil {
		return fmt.Errorf("shutdown: %w", err)
	}
	if out, err := exec.Command("umount", d.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("umount: %w %s", err, out)
	}
	return d.mount()
}

// A power cut takes back what was not synced. Package publish survives it; a
// program that syncs nothing is caught.
func TestPowerCut(t *testing.T) {
	for name, flag := range map[string]int{"log written": withLog, "log lost": withoutLog} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			cutSweep := func(program string) Sweep {
				s := planted(t, program, Kill)
				s.Work = filepath.Join(d.dir, program)
				s.Cut = func() error { return d.cut(flag) }
				s.Points = 20
				if os.Getenv("KILLSWEEP_POINTS") == "all" {
					s.Points = 0
				}
				return s
			}
			if r := run(t, cutSweep("publish")); len(r.Failures) > 0 {
				t.Error("publish does not survive")
			}
			if flag != withLog {
				return // nothing at all is on disk then, which is a state like any other
			}
			if r := run(t, cutSweep("never synced")); len(r.Failures) == 0 {
				t.Error("a program that never syncs was not caught")
			}
		})
	}
}
