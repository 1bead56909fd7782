//go:build linux && amd64

package nestgen

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// A process that stays goes on after a call has failed, also after a sync, which
// ends all work on what was staged until then: the next upload in it is taken.
func TestAProcessThatStaysGoesOn(t *testing.T) {
	file, data := intaketest.Wheel("foo", "1.0", intaketest.Opts{Pad: 3000})
	first := 0
	s := sweep.Sweep{
		Command: []string{os.Args[0]},
		Env: []string{childEnv + "=nestgen.toml", childUploadEnv + "=" + filepath.Join("new", file), childTwiceEnv + "=1",
			"SOURCE_DATE_EPOCH=1800000000", testClock + "=1800000000"},
		Setup: func(dir string) error {
			w := &world{TB: t, dir: dir}
			w.write("nestgen.toml", "uploads = \"uploads\"\n[fallback]\nfree = \"0\"\n")
			w.write("new/"+file, string(data))
			return nil
		},
		Check: func(dir string) error { return sweep.CheckSite(filepath.Join(dir, "site")) },
		Ended: func(e sweep.End) error {
			if e.Status != 0 {
				return fmt.Errorf("the second upload fails as well: status %d", e.Status)
			}
			if strings.Contains(e.Stderr, "first: ") {
				first++
			}
			return nil
		},
		Mode: sweep.Errno, Errno: syscall.EIO, Points: sweepPoints(8, 4), Timeout: time.Minute, Work: t.TempDir(),
	}
	r, err := s.Run(t.Context())
	if errors.Is(err, sweep.ErrForbidden) {
		t.Skip("a sweep takes ptrace and seccomp: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Failures) > 0 || first == 0 {
		t.Errorf("%d first uploads failed\n%v", first, r)
	}
	t.Log(r)
}
