//go:build linux && amd64

package nestgen

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nestgen/intake/intaketest"
	"nestgen/internal/killsweep/sweep"
)

// sweepPoints gives how many calls a sweep tries: as many as KILLSWEEP_POINTS says,
// 0 for all of them.
func sweepPoints(points, short int) int {
	switch v := os.Getenv("KILLSWEEP_POINTS"); {
	case v == "all":
		return 0
	case v != "":
		points, _ = strconv.Atoi(v)
	case testing.Short():
		return short
	}
	return points
}

// An upload that is killed before any system call that changes a file, or in the
// middle of a write, or has any such call fail, leaves a site that is whole; the
// next upload of the same, or the next build, makes good; and it never says that
// all is well before it is. KILLSWEEP_POINTS says how many calls are tried.
func TestUploadDiesAnywhere(t *testing.T) {
	points := sweepPoints(3, 2)
	file, data := intaketest.Wheel("foo", "1.0", intaketest.Opts{Pad: 3000})
	older, olderData := intaketest.Wheel("foo", "0.9", plain)
	settings := "uploads = \"uploads\"\ndrop = [\"drop\"]\n[fallback]\nfree = \"0\"\n"
	for _, scene := range []struct {
		name  string
		built bool
	}{{"the first upload of a new site", false}, {"an upload to a site", true}} {
		for _, fault := range []struct {
			mode  sweep.Mode
			errno syscall.Errno
		}{{sweep.Kill, 0}, {sweep.Half, 0}, {sweep.Errno, syscall.ENOSPC}, {sweep.Errno, syscall.EIO}, {sweep.Term, 0}} {
			for _, healer := range []string{"upload", "build"} {
				t.Run(fmt.Sprintf("%s/%v %v, healed by %s", scene.name, fault.mode, fault.errno, healer), func(t *testing.T) {
					work := t.TempDir()
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
						Env: []string{childEnv + "=nestgen.toml", childUploadEnv + "=" + filepath.Join("new", file),
							"SOURCE_DATE_EPOCH=1800000000", testClock + "=1800000000"},
						Setup: func(dir string) error {
							w := &world{TB: t, dir: dir}
							w.write("nestgen.toml", settings)
							w.write("new/"+file, string(data))
							if !scene.built {
								return os.Mkdir(w.path("drop"), 0o755)
							}
							w.write("drop/"+older, string(olderData))
							out, err := w.child("SOURCE_DATE_EPOCH=1800000000").CombinedOutput()
							if err != nil {
								err = fmt.Errorf("%w: %s", err, out)
							}
							return err
						},
						Check: func(dir string) error {
							// What a dead process has not removed is swept after a day.
							left, _ := filepath.Glob(filepath.Join(dir, "uploads", incoming, "*"))
							for _, file := range left {
								os.Remove(file)
							}
							if healer == "build" && filepath.Base(dir) == "case" {
								return errors.Join(sweep.CheckSite(filepath.Join(dir, "site")), buildsWell(in(dir)))
							}
							return sweep.CheckSite(filepath.Join(dir, "site"))
						},
						Final: func(dir string) error {
							w := in(dir)
							if err := buildsWell(w); err != nil {
								return err
							}
							if listed := w.listed(); !slices.Contains(listed, file) || slices.Contains(listed, older) != scene.built {
								return fmt.Errorf("listed: %q", listed)
							}
							v, err := Verify(t.Context(), w.Config, Options{}, false)
							if err == nil && len(v.Findings) > 0 {
								err = fmt.Errorf("verify finds %+v", v.Findings)
							}
							return err
						},
						Trees: []string{"site", "uploads"}, Mode: fault.mode, Errno: fault.errno, Points: points, Timeout: time.Minute, Work: work,
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
	}
}

// buildsWell builds and finds nothing wrong.
func buildsWell(w *world) error {
	w.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	w.Setenv(testClock, "1800000000")
	r, err := Build(w.Context(), w.Config, Options{})
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("a build ends with status %d:\n%s", r.Status, problemText(r))
	}
	return err
}
