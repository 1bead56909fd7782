//go:build linux && amd64

// Package sweep finds out whether a program survives its own death. It runs a
// command again and again and kills it just before its first, second, third …
// system call that changes a file, in the middle of a write, or lets a call
// fail; looks at what is left; and runs the command once more, which must
// bring about what it would have without the fault.
//
// The calls are counted over all threads and children, with a seccomp filter
// and ptrace(2), so the command needs no help and may be a static binary. Only
// linux/amd64 is known to it.
//
// A program that uses the package is started a second time under the name
// killsweep-shim, and becomes the command before its main function runs.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Mode is what happens to the command.
type Mode int

// The modes.
const (
	Kill  Mode = iota // SIGKILL before the call
	Half              // half of the bytes of a write, then SIGKILL
	Errno             // the call fails and the command goes on
	Term              // SIGTERM before the call, and the command may end as it likes
)

func (m Mode) String() string { return [...]string{"kill", "half", "errno", "term"}[m] }

// A Sweep is one command and how to judge it.
type Sweep struct {
	// Command is the program and its arguments. It runs in the folder of its
	// case, with paths relative to that, and must succeed when nothing goes
	// wrong.
	Command []string

	// Env is added to the environment.
	Env []string

	// Setup makes the files that the command starts from. It runs once; each
	// case gets a copy with the same times.
	Setup func(dir string) error

	// Input is the file that the command reads as its standard input, a path
	// below its folder. If empty, there is nothing to read.
	Input string

	// Check judges the folder after the fault and after the second run. What
	// the setup made is in the folder "start" beside it.
	Check func(dir string) error

	// Done reports whether a run has said that all is done. If nil, it says so by
	// ending with 0. Whoever has said so must have done it, also if he was
	// killed afterwards: the trees are then as without a fault.
	Done func(End) bool

	// Ended judges how a run ended. If nil, any end will do. What the second run
	// says must be that all is done as well.
	Ended func(End) error

	// Once has the command not run a second time. In the end the trees must be as
	// without a fault or, if nothing of it was said or could be seen before, as
	// if it had never run.
	Once bool

	// Settle brings about the end: what runs sooner or later whatever became
	// of the command. If nil, nothing does.
	Settle func(dir string) error

	// Final judges the folder once more when all else is well, and may change
	// it. If nil, it is not called.
	Final func(dir string) error

	// Trees are the folders, in that of the case, whose bytes must be the
	// same in the end as without a fault. What is in a folder "packages" of
	// one cannot be seen before a page lists it, and the history in its folders
	// "log" and "changes" is another one after a fault. If nil, "site".
	Trees []string

	// Ignore matches what may differ in them all the same, such as the time
	// of the run. If nil, nothing.
	Ignore *regexp.Regexp

	Mode Mode

	// Errno is what the call fails with in mode [Errno]. If zero, ENOSPC.
	Errno syscall.Errno

	// Lasting has every call after the point fail too in mode [Errno], as on a
	// file system that has become read-only, or is full and stays so.
	Lasting bool

	// Points is how many calls are tried, evenly spread. If zero, all.
	Points int

	// Cut is called after a fault, before the check, to do more harm than a
	// kill does: a power cut. Work is on disk before the command starts. It is
	// also called after the run without a fault, which must lose nothing. If
	// nil, nothing more is done.
	Cut func() error

	// Timeout is for one run. If zero, a minute.
	Timeout time.Duration

	// Work is an empty folder to work in. If empty, a temporary one.
	Work string

	// Progress is called after each case. If nil, it is not.
	Progress func(done, of int)
}

// A Report says what came of a sweep.
type Report struct {
	Calls    int // the command makes when nothing goes wrong, of those counted
	Cases    int // that were run
	Hit      int // cases in which the fault took place
	Failures []Failure

	// Undone counts the cases of a sweep with Once that ended as if the command had
	// never run.
	Undone int

	// Silent is the failed calls after which the command said all was well.
	Silent []string
}

// An End is how a run of the command ended.
type End struct {
	Status int // of the process; 128 and the signal's number if one has killed it
	Stdout string
	Stderr string
}

func (e End) String() string { return strings.TrimSpace(e.Stdout + e.Stderr) }

// A Failure is a case that ended badly.
type Failure struct {
	Point int
	Call  string
	When  string // "with the fault", "after the fault", "second run", "after the second run", "in the end", "after the end"
	Err   error
}

func (f Failure) String() string {
	return fmt.Sprintf("point %d (%s), %s: %v", f.Point, f.Call, f.When, f.Err)
}

// Run runs the sweep. The error says that it could not be done; what the
// command did wrong is in the report.
func (s Sweep) Run(ctx context.Context) (*Report, error) {
	if s.Errno == 0 {
		s.Errno = syscall.ENOSPC
	}
	if s.Timeout == 0 {
		s.Timeout = time.Minute
	}
	if s.Trees == nil {
		s.Trees = []string{"site"}
	}
	if s.Work == "" {
		dir, err := os.MkdirTemp("", "killsweep")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		s.Work = dir
	}
	start := filepath.Join(s.Work, "start")
	if err := os.MkdirAll(start, 0o755); err != nil {
		return nil, err
	}
	if s.Setup != nil {
		if err := s.Setup(start); err != nil {
			return nil, fmt.Errorf("setup: %w", err)
		}
	}
	if s.Check != nil {
		if err := s.Check(start); err != nil {
			return nil, fmt.Errorf("the check refuses what the setup made: %w", err)
		}
	}

	// Without a fault: what it comes to, and how many calls there are.
	dir, err := s.begin()
	if err != nil {
		return nil, err
	}
	var w outcomes
	if w.start, err = s.snapshot(dir); err != nil {
		return nil, err
	}
	o, err := trace(s.Command, s.env(), dir, s.Input, fault{mode: s.Mode}, s.Timeout)
	if err != nil {
		return nil, err
	}
	if err := s.judge(o.end(), true); err != nil {
		return nil, fmt.Errorf("without a fault: %w", err)
	}
	if s.Check != nil {
		if err := s.Check(dir); err != nil {
			return nil, fmt.Errorf("the check refuses the result without a fault: %w", err)
		}
	}
	if w.done, err = s.snapshot(dir); err != nil {
		return nil, err
	}
	r := &Report{Calls: len(o.calls)}
	if s.Cut != nil {
		// What a command has said is done must be on disk.
		if err := s.Cut(); err != nil {
			return nil, fmt.Errorf("power cut: %w", err)
		}
		got, err := s.snapshot(dir)
		if err != nil {
			return nil, err
		}
		if err := w.done.same(got); err != nil {
			r.Failures = append(r.Failures, Failure{len(o.calls) + 1, "none", "after the end", err})
			return r, nil
		}
		if !s.Once { // what was only tidied up may be back
			if err := s.again(dir); err != nil {
				return nil, fmt.Errorf("a second run after a power cut at the end: %w", err)
			}
		}
	}
	if w.want, err = s.settled(dir); err != nil {
		return nil, fmt.Errorf("without a fault: %w", err)
	}
	if s.Final != nil {
		if err := s.Final(dir); err != nil {
			return nil, fmt.Errorf("the final check refuses the result without a fault: %w", err)
		}
	}
	if s.Once {
		if dir, err = s.begin(); err != nil {
			return nil, err
		}
		if w.never, err = s.settled(dir); err != nil {
			return nil, fmt.Errorf("without the command: %w", err)
		}
	}
	points := spread(len(o.calls), s.Points)
	for i, point := range points {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if err := s.try(point, w, r); err != nil {
			return r, fmt.Errorf("point %d: %w", point, err)
		}
		if s.Progress != nil {
			s.Progress(i+1, len(points))
		}
	}
	return r, nil
}

// outcomes are the trees at several times: at the start, after a command that
// nothing has befallen, in the end after that, and in the end without it.
type outcomes struct{ start, done, want, never snapshot }

// try runs one case.
func (s Sweep) try(point int, w outcomes, r *Report) error {
	dir, err := s.begin()
	if err != nil {
		return err
	}
	o, err := trace(s.Command, s.env(), dir, s.Input, fault{s.Mode, s.Errno, s.Lasting, point}, s.Timeout)
	r.Cases++
	name := "none"
	if o != nil && point <= len(o.calls) {
		name = o.calls[point-1] + " " + strings.TrimPrefix(o.file, dir+"/")
	}
	fail := func(when string, err error) error {
		r.Failures = append(r.Failures, Failure{point, name, when, err})
		return nil
	}
	if errors.Is(err, errTimeout) {
		return fail("with the fault", err)
	}
	if err != nil {
		return err
	}
	end := o.end()
	done := s.done(end)
	if o.hit {
		r.Hit++
		if s.Mode == Errno && done {
			r.Silent = append(r.Silent, fmt.Sprintf("point %d (%s)", point, name))
		}
	}
	if err := s.judge(end, !o.hit); err != nil {
		return fail("with the fault", err)
	}
	if s.Cut != nil {
		if err := s.Cut(); err != nil {
			return fmt.Errorf("power cut: %w", err)
		}
	}
	after, err := s.snapshot(dir)
	if err != nil {
		return err
	}
	if done {
		if err := w.done.same(after); err != nil {
			return fail("with the fault", fmt.Errorf("it says that all is well, but %w\n%v", err, end))
		}
	}
	if s.Check != nil {
		if err := s.Check(dir); err != nil {
			return fail("after the fault", err)
		}
	}
	if !s.Once {
		if err := s.again(dir); err != nil {
			return fail("second run", err)
		}
		if s.Check != nil {
			if err := s.Check(dir); err != nil {
				return fail("after the second run", err)
			}
		}
	}
	got, err := s.settled(dir)
	if err != nil {
		return fail("in the end", err)
	}
	if err := w.want.same(got); err != nil {
		switch nerr := w.never.same(got); {
		case !s.Once:
			return fail("in the end", err)
		case nerr != nil:
			return fail("in the end", fmt.Errorf("neither done, as %w, nor not done, as %w", err, nerr))
		case done:
			return fail("in the end", fmt.Errorf("it said that all is well, but %w\n%v", err, end))
		}
		if seen := w.start.seen(after); seen != "" {
			return fail("in the end", fmt.Errorf("%s could be seen, but then %w", seen, err))
		}
		r.Undone++
	}
	if s.Final != nil {
		if err := s.Final(dir); err != nil {
			return fail("in the end", err)
		}
	}
	return nil
}

func (s Sweep) done(e End) bool {
	if s.Done == nil {
		return e.Status == 0
	}
	return s.Done(e)
}

// judge judges how a run ended. One that nothing has befallen must say that all
// is done.
func (s Sweep) judge(e End, unharmed bool) error {
	if s.Ended != nil {
		if err := s.Ended(e); err != nil {
			return fmt.Errorf("%w\n%v", err, e)
		}
	}
	if unharmed && !s.done(e) {
		return fmt.Errorf("it ends with status %d, and has not done all\n%v", e.Status, e)
	}
	return nil
}

// settled brings about the end, and gives the trees then.
func (s Sweep) settled(dir string) (snapshot, error) {
	if s.Settle != nil {
		if err := s.Settle(dir); err != nil {
			return nil, err
		}
	}
	return s.snapshot(dir)
}

// begin gives a folder as the setup left it. It is always the same one, so
// that absolute names in what the command writes are equal.
func (s Sweep) begin() (string, error) {
	dir := filepath.Join(s.Work, "case")
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := copyTree(filepath.Join(s.Work, "start"), dir); err != nil || s.Cut == nil {
		return dir, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return dir, unix.Syncfs(int(f.Fd()))
}

// again runs the command untouched.
func (s Sweep) again(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.Timeout)
	defer cancel()
	stdin, err := openInput(dir, s.Input)
	if err != nil {
		return err
	}
	defer stdin.Close()
	cmd := exec.CommandContext(ctx, s.Command[0], s.Command[1:]...)
	cmd.Dir, cmd.Env = dir, s.env()
	var stdout, stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	err = cmd.Run()
	if ctx.Err() != nil {
		return errTimeout
	}
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return err
	}
	return s.judge(End{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}, true)
}

func (s Sweep) env() []string { return append(os.Environ(), s.Env...) }

// String gives the report as a few lines for people.
func (r *Report) String() string {
	b := new(strings.Builder)
	fmt.Fprintf(b, "%d calls, %d cases, %d faults, %d failures", r.Calls, r.Cases, r.Hit, len(r.Failures))
	if r.Undone > 0 {
		fmt.Fprintf(b, ", %d undone", r.Undone)
	}
	for i, f := range r.Failures {
		if i == 20 {
			fmt.Fprintf(b, "\n  … and %d more", len(r.Failures)-i)
			break
		}
		fmt.Fprintf(b, "\n  %v", f)
	}
	if len(r.Silent) > 0 {
		fmt.Fprintf(b, "\n  succeeded although a call had failed: %s", strings.Join(r.Silent, ", "))
	}
	return b.String()
}
