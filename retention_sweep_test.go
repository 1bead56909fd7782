//go:build linux && amd64

package nestgen

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nestgen/internal/killsweep/sweep"
)

// A gc with rules that is killed before any system call that changes a file, or has
// any such call fail, leaves a site that is whole: what its pages list is here or
// announced. The next gc makes good what it left, and counts no line of a log twice.
func TestCollectionDiesAnywhere(t *testing.T) {
	points := sweepPoints(6, 3)
	for _, fault := range []struct {
		mode  sweep.Mode
		errno syscall.Errno
	}{{sweep.Kill, 0}, {sweep.Half, 0}, {sweep.Errno, syscall.ENOSPC}, {sweep.Errno, syscall.EIO}} {
		t.Run(fmt.Sprintf("%v %v", fault.mode, fault.errno), func(t *testing.T) {
			clock := strconv.Itoa(later)
			made, _, paths := ondemand(t, "1.0", "2.0", "3.0")
			setLater(t)
			made.build(0)
			made.write("nestgen.toml", fmt.Sprintf("drop = [\"drop\"]\nallowlist = [\"allowlist.txt\"]\naccess_logs = [\"access.log*\"]\n[[upstream]]\nname = \"up1\"\nurl = %q\n[[on_demand]]\npattern = \"*\"\nmode = \"fetch\"\n[fallback]\nfree = \"0\"\n", made.Upstreams[0].URL))
			made.logs(fetchedAt(later-200*24*60*60, paths["1.0"]), fetchedAt(later-5, paths["3.0"]))
			in := func(dir string) *world {
				w := &world{TB: t, dir: dir}
				c, err := Load(w.path("nestgen.toml"))
				if err == nil {
					err = c.Resolve()
				}
				if err != nil {
					t.Fatal(err)
				}
				w.Config = c
				return w
			}
			s := sweep.Sweep{
				Command: []string{os.Args[0]},
				Env:     []string{childEnv + "=nestgen.toml", childCollectEnv + "=1", "SOURCE_DATE_EPOCH=" + clock, testClock + "=" + clock},
				Setup: func(dir string) error {
					if out, err := exec.Command("cp", "-a", made.dir+"/.", dir).CombinedOutput(); err != nil {
						return fmt.Errorf("%w: %s", err, out)
					}
					// It is another tree, and known as such for long.
					earlier := strconv.Itoa(later - 50*24*60*60)
					out, err := in(dir).child("SOURCE_DATE_EPOCH="+earlier, testClock+"="+earlier).CombinedOutput()
					if err != nil {
						err = fmt.Errorf("%w: %s", err, out)
					}
					return err
				},
				Check: func(dir string) error {
					w := in(dir)
					w.knowAnnounced()
					w.checkTree()
					return nil
				},
				Final: func(dir string) error {
					w := in(dir)
					// Smaller tiles of the log that were to go go with the next event.
					w.drop("after", "1.0", plain)
					if r, err := Build(t.Context(), w.Config, Options{}); err != nil || r.Status != 0 {
						return errors.Join(err, fmt.Errorf("the next build: %+v", r))
					}
					for v, p := range paths {
						if here := w.exists("site/" + p); here != (v == "3.0") {
							return fmt.Errorf("the bytes of %s are there: %v", v, here)
						}
					}
					n, err := CountLogs(t.Context(), w.Config, nil, Options{})
					if err != nil || n.Total.Downloads != 2 {
						return fmt.Errorf("%d downloads, %w", n.Total.Downloads, err)
					}
					if left, _ := filepath.Glob(filepath.Join(dir, "state", ".stat*")); len(left) > 0 {
						return fmt.Errorf("left over: %q", left)
					}
					v, err := Verify(t.Context(), w.Config, Options{}, false)
					if err == nil && len(v.Findings) > 0 {
						data, _ := json.Marshal(v.Findings)
						err = fmt.Errorf("verify finds %s", data)
					}
					return err
				},
				Trees: []string{"site"}, Mode: fault.mode, Errno: fault.errno, Points: points, Timeout: time.Minute, Work: t.TempDir(),
			}
			r, err := s.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Failures) > 0 {
				t.Error(strings.TrimSpace(r.String()))
			}
			t.Log(r)
		})
	}
}
