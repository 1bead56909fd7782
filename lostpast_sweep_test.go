//go:build linux && amd64

package nestgen

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"nestgen/internal/killsweep/sweep"
)

// A build that takes over a lost past and is killed before any system call that changes a
// file leaves a tree that is whole, and the next one a site that is the one that it was,
// byte for byte. KILLSWEEP_POINTS says how many calls are tried.
func TestALostPastSurvivesDeaths(t *testing.T) {
	setClock(t, "1800000000")
	s := sweep.Sweep{
		Command: []string{os.Args[0]},
		Env:     []string{childEnv + "=nestgen.toml"},
		Setup: func(dir string) error {
			withSettings(t, dir, pastSettings).loseThePast()
			return nil
		},
		Check: func(dir string) error {
			withSettings(t, dir, "").checkTree()
			return nil
		},
		Final: func(dir string) error {
			w := withSettings(t, dir, "")
			if d := w.isAsWanted(); len(d) > 0 {
				return fmt.Errorf("%.2000s", strings.Join(d, "\n"))
			}
			return nil
		},
		Mode: sweep.Kill, Points: sweepPoints(12, 4), Timeout: time.Minute, Work: t.TempDir(),
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
}
