//go:build linux && amd64

package sweep

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A disk is a file system of its own whose power can be cut.
type disk struct{ image, dir string }

// fileSystems are those that are tried, with the smallest size that each takes.
var fileSystems = []struct {
	name string
	make []string
	size int64
}{
	{"ext4", []string{"mkfs.ext4", "-q", "-F"}, 64 << 20},
	{"XFS", []string{"mkfs.xfs", "-q", "-f"}, 300 << 20},
	{"btrfs", []string{"mkfs.btrfs", "-q", "-f"}, 128 << 20},
}

// A cut is a way in which the power goes.
type cut struct {
	name string
	do   func(*disk) error
}

// cuts are those that a file system knows. The shutdown ioctl of ext4 and XFS drops what
// is not on disk; the log that is in memory is written first, or not. Of btrfs, which has
// none, the image is taken away as it is.
var cuts = map[string][]cut{
	"ext4":  {{"log written", (*disk).stopLogged}, {"log lost", (*disk).stop}},
	"XFS":   {{"log written", (*disk).stopLogged}, {"log lost", (*disk).stop}},
	"btrfs": {{"image", (*disk).leave}},
}

// eachCut runs a test on each file system, or ext4 alone in the short form, and for each
// cut of it.
func eachCut(t *testing.T, test func(t *testing.T, c cut, d *disk)) {
	if os.Geteuid() != 0 {
		t.Skip("a power cut takes root, for a file system of its own")
	}
	systems := fileSystems
	if _, long := extent(); !long {
		systems = systems[:1]
	}
	for _, fs := range systems {
		for _, c := range cuts[fs.name] {
			t.Run(fs.name+", "+c.name, func(t *testing.T) {
				d := &disk{filepath.Join(memory(t), "image"), t.TempDir()}
				if err := errors.Join(os.WriteFile(d.image, nil, 0o600), os.Truncate(d.image, fs.size)); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.Command(fs.make[0], append(fs.make[1:], d.image)...).CombinedOutput(); err != nil {
					t.Skipf("no %s: %v %s", fs.name, err, out)
				}
				if err := d.mount(); err != nil {
					t.Skip("no loop device, or no such file system in this kernel: ", err)
				}
				t.Cleanup(func() { exec.Command("umount", "-l", d.dir).Run() })
				test(t, c, d)
			})
		}
	}
}

func (d *disk) mount() error { return command("mount", "-o", "loop", d.image, d.dir) }

// command runs a program that says nothing when all is well.
func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w %s", name, err, out)
	}
	return nil
}

func (d *disk) stopLogged() error { return d.shutdown(1) }
func (d *disk) stop() error       { return d.shutdown(2) }

// shutdown stops the disk at once and starts it again.
func (d *disk) shutdown(flag int) error {
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	err = unix.IoctlSetPointerInt(int(f.Fd()), 0x8004587d, flag)
	f.Close()
	if err != nil {
		return fmt.Errorf("shutdown: %w", err)
	}
	return errors.Join(command("umount", d.dir), d.mount())
}

// leave starts a disk anew that has what was written to this one at this moment. Nothing
// runs any more but the kernel, which may write a while later what it holds.
func (d *disk) leave() error {
	then := d.image + ".then"
	if err := command("cp", "--sparse=always", d.image, then); err != nil {
		return err
	}
	return errors.Join(command("umount", d.dir), os.Rename(then, d.image), d.mount())
}

// A power cut takes back what was not synced. Package publish survives it; a
// program that syncs nothing is caught.
func TestPowerCut(t *testing.T) {
	eachCut(t, func(t *testing.T, c cut, d *disk) {
		cutSweep := func(program string) Sweep {
			s := planted(t, program, Kill)
			s.Work = filepath.Join(d.dir, program)
			s.Cut = func() error { return c.do(d) }
			s.Points = 20
			if os.Getenv("KILLSWEEP_POINTS") == "all" {
				s.Points = 0
			}
			return s
		}
		if r := run(t, cutSweep("publish")); len(r.Failures) > 0 {
			t.Error("publish does not survive")
		}
		if r := run(t, cutSweep("never synced")); len(r.Failures) == 0 {
			t.Error("a program that never syncs was not caught")
		}
	})
}
