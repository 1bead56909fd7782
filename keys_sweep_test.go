//go:build linux && amd64

package nestgen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"nestgen/internal/killsweep/sweep"
	"nestgen/trust"
)

// Whoever is killed while a key is made or replaced, before any system call that
// changes a file or in the middle of a write, or has such a call fail, leaves a key
// that those who trust the first one find, and no half of one; nobody but the owner
// can read it; and sooner or later each rotation is one event. KILLSWEEP_POINTS says
// how many calls are tried.
func TestKeysDieAnywhere(t *testing.T) {
	for _, what := range []string{"new", "rotate"} {
		for _, fault := range []struct {
			mode  sweep.Mode
			errno syscall.Errno
		}{{sweep.Kill, 0}, {sweep.Half, 0}, {sweep.Errno, syscall.ENOSPC}, {sweep.Errno, syscall.EIO}} {
			t.Run(fmt.Sprintf("%s, %v %v", what, fault.mode, fault.errno), func(t *testing.T) {
				in := func(dir string) *world { return withSettings(t, dir, "") }
				clock := []string{"SOURCE_DATE_EPOCH=1800000000", testClock + "=1800000000"}
				var first string
				s := sweep.Sweep{
					Command: []string{os.Args[0]},
					Env:     append([]string{childEnv + "=nestgen.toml", childKeyEnv + "=" + what}, clock...),
					Setup: func(dir string) error {
						w := &world{TB: t, dir: dir}
						w.write("nestgen.toml", map[string]string{"new": "log = false\n"}[what]) // or the build makes a key
						if out, err := w.child(clock...).CombinedOutput(); err != nil {
							return fmt.Errorf("%w: %s", err, out)
						}
						if what == "new" {
							return nil
						}
						o, err := OwnKey(in(dir).Config)
						if err == nil {
							first = o.Verifier
						}
						return err
					},
					Check: func(dir string) error { return wholeKeys(in(dir), first) },
					Final: func(dir string) error {
						w := in(dir)
						if err := buildsWell(w); err != nil {
							return err
						}
						statements, err := w.Keys().Rotations()
						if err != nil {
							return err
						}
						events := w.rotations()
						if len(events) != len(statements) || what == "rotate" && len(events) == 0 {
							return fmt.Errorf("%d rotations, and the events %q", len(statements), events)
						}
						for i, statement := range statements {
							if r, err := trust.ParseRotation(statement); err != nil || !strings.HasPrefix(events[i], r.New) {
								return fmt.Errorf("%+v is told as %q, %v", r, events[i], err)
							}
						}
						if left, err := filepath.Glob(w.path("state/keys/next*")); len(left) > 0 || err != nil {
							return fmt.Errorf("left over: %q, %v", left, err)
						}
						return wholeKeys(w, first)
					},
					Mode: fault.mode, Errno: fault.errno, Points: sweepPoints(6, 3), Timeout: time.Minute, Work: t.TempDir(),
				}
				r, err := s.Run(t.Context())
				if errors.Is(err, sweep.ErrForbidden) {
					t.Skip("a sweep takes ptrace and seccomp: ", err)
				}
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

// wholeKeys checks that a site has the key to which its rotations lead from the first
// one, and that nobody else can read what is beside it. Without a first key it may
// have none.
func wholeKeys(w *world, first string) error {
	own, err := w.Keys().Own()
	if first == "" {
		if !errors.Is(err, fs.ErrNotExist) && err != nil {
			return err
		}
	} else {
		if err != nil {
			return err
		}
		statements, err := w.Keys().Rotations()
		if err != nil {
			return err
		}
		if current, _, err := trust.Follow([]string{first}, statements); err != nil || !slices.Equal(current, []string{own.Verifier}) {
			return fmt.Errorf("who trusts the first key comes to %q, and the site has %s: %v", current, own, err)
		}
	}
	entries, err := os.ReadDir(w.path("state/keys"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if fi, err := e.Info(); err != nil || fi.Mode() != 0o600 {
			return fmt.Errorf("%s: mode %v, %v", e.Name(), fi.Mode(), err)
		}
	}
	return nil
}
