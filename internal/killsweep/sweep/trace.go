//go:build linux && amd64

package sweep

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A fault is what is to happen in one run: at the call numbered point, of those
// that mode counts. With point 0 nothing happens and the calls are counted.
type fault struct {
	mode  Mode
	errno syscall.Errno
	lasts bool // errno goes on after the point
	point int
}

// An outcome says how a traced run ended.
type outcome struct {
	calls  []string // the calls that mode counts, in order
	hit    bool     // the fault took place
	file   string   // that the struck call was about
	status unix.WaitStatus
	stdout string
	stderr string
}

// end gives the end of the run as a caller sees it.
func (o *outcome) end() End {
	e := End{Status: o.status.ExitStatus(), Stdout: o.stdout, Stderr: o.stderr}
	if o.status.Signaled() {
		e.Status = 128 + int(o.status.Signal())
	}
	return e
}

// trace runs a command in a folder under a fault. input is the file that it reads
// as its standard input, below the folder.
func trace(command, env []string, dir, input string, f fault, timeout time.Duration) (*outcome, error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	logs, err := os.MkdirTemp("", "killsweep*.log")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(logs)
	stdout, err := os.Create(filepath.Join(logs, "stdout"))
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	stderr, err := os.Create(filepath.Join(logs, "stderr"))
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	stdin, err := openInput(dir, input)
	if err != nil {
		return nil, err
	}
	defer stdin.Close()

	// A process is traced by one thread of this one, and waited for by it.
	type result struct {
		o   *outcome
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		t := tracer{fault: f, logs: logs + "/", o: &outcome{}, tasks: map[int]bool{}, groups: map[int]bool{}, halved: -1}
		argv := append([]string{shimName, path}, command[1:]...)
		pid, err := syscall.ForkExec(self, argv, &syscall.ProcAttr{
			Dir:   dir,
			Env:   env,
			Files: []uintptr{stdin.Fd(), stdout.Fd(), stderr.Fd()},
			Sys:   &syscall.SysProcAttr{Ptrace: true},
		})
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
			err = fmt.Errorf("%w: %w", ErrForbidden, err)
		}
		if err == nil {
			err = t.follow(pid, timeout)
		}
		done <- result{t.o, err}
	}()
	r := <-done
	if r.err != nil {
		return nil, r.err
	}
	said, err := os.ReadFile(stdout.Name())
	if err != nil {
		return nil, err
	}
	faults, err := os.ReadFile(stderr.Name())
	r.o.stdout, r.o.stderr = string(said), string(faults)
	if fault, ok := strings.CutPrefix(r.o.stderr, shimFault); ok && err == nil {
		err = fmt.Errorf("%w: %s", ErrForbidden, strings.TrimSpace(fault))
	}
	return r.o, err
}

// openInput opens what a command in a folder reads as its standard input.
func openInput(dir, input string) (*os.File, error) {
	if input == "" {
		return os.Open(os.DevNull)
	}
	return os.Open(filepath.Join(dir, input))
}

// A tracer follows one command and all that it starts.
type tracer struct {
	fault
	logs   string // the folder of what the command says, with a slash behind
	o      *outcome
	main   int
	armed  bool // the command proper runs
	halved int  // the thread whose write was cut, -1 for none

	tasks map[int]bool // threads that have been seen

	mu     sync.Mutex
	groups map[int]bool // processes that live
	late   bool
}

// ErrForbidden says that this machine, or the container, does not let a program
// be traced with ptrace(2) and seccomp(2).
var ErrForbidden = errors.New("programs cannot be traced here")

// errTimeout says that a run was ended because it took too long.
var errTimeout = errors.New("took too long")

const (
	traceOptions = unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACECLONE |
		unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	syscallStop = syscall.SIGTRAP | 0x80
	wnothread   = 0x20000000 // __WNOTHREAD: leave other threads' children alone
)

func (t *tracer) follow(pid int, timeout time.Duration) error {
	t.main = pid
	t.tasks[pid], t.groups[pid] = true, true
	timer := time.AfterFunc(timeout, func() {
		t.mu.Lock()
		t.late = true
		t.mu.Unlock()
		t.killAll()
	})
	defer timer.Stop()
	started := false
	for {
		var ws unix.WaitStatus
		tid, err := unix.Wait4(-1, &ws, unix.WALL|wnothread, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECHILD:
			t.mu.Lock()
			defer t.mu.Unlock()
			if t.late {
				return fmt.Errorf("run %w (%d calls)", errTimeout, len(t.o.calls))
			}
			return nil
		case err != nil:
			return fmt.Errorf("wait: %w", err)
		}
		if ws.Exited() || ws.Signaled() {
			t.ended(tid, ws)
			continue
		}
		if !started {
			started = true
			if err := unix.PtraceSetOptions(tid, traceOptions); err != nil {
				return fmt.Errorf("%w: ptrace options: %w", ErrForbidden, err)
			}
			t.resume(tid, 0)
			continue
		}
		if err := t.stopped(tid, ws); err != nil && err != unix.ESRCH {
			t.killAll()
			return err
		}
	}
}

func (t *tracer) ended(tid int, ws unix.WaitStatus) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tid == t.main {
		t.o.status = ws
	}
	delete(t.groups, tid)
}

// killAll ends every process of the run at once, as kill -9 does.
func (t *tracer) killAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for pid := range t.groups {
		unix.Kill(pid, unix.SIGKILL)
	}
}

// resume lets a thread go on. One that was killed meanwhile is not there.
func (t *tracer) resume(tid int, sig syscall.Signal) { unix.PtraceCont(tid, int(sig)) }

func (t *tracer) stopped(tid int, ws unix.WaitStatus) error {
	sig := ws.StopSignal()
	switch event := int(ws) >> 16; {
	case event == unix.PTRACE_EVENT_SECCOMP:
		return t.called(tid)
	case event == unix.PTRACE_EVENT_EXEC:
		t.armed = true
		t.resume(tid, 0)
	case event == unix.PTRACE_EVENT_FORK || event == unix.PTRACE_EVENT_VFORK:
		if pid, err := unix.PtraceGetEventMsg(tid); err == nil {
			t.mu.Lock()
			t.groups[int(pid)] = true
			t.mu.Unlock()
		}
		t.resume(tid, 0)
	case event != 0:
		t.resume(tid, 0)
	case sig == syscallStop:
		if tid == t.halved {
			t.o.hit = true
			t.killAll()
		}
		t.resume(tid, 0)
	case sig == syscall.SIGSTOP && !t.tasks[tid]:
		t.tasks[tid] = true // how a new thread begins
		t.resume(tid, 0)
	default:
		t.resume(tid, sig)
	}
	return nil
}

// called handles a thread that is about to make a call.
func (t *tracer) called(tid int) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	c := callByNr[regs.Orig_rax]
	if !t.armed || t.halved >= 0 || t.o.hit && t.mode == Kill || c == nil || !c.counts(tid, &regs, t.logs) {
		t.resume(tid, 0)
		return nil
	}
	if t.mode == Half && (c.sizeArg == 0 || *arg(&regs, c.sizeArg) < 2) {
		t.resume(tid, 0)
		return nil
	}
	t.o.calls = append(t.o.calls, c.name)
	if n := len(t.o.calls); n != t.point && !(t.lasts && t.o.hit) {
		t.resume(tid, 0)
		return nil
	}
	if !t.o.hit {
		t.o.file = c.file(tid, &regs)
	}
	switch t.mode {
	case Kill:
		t.o.hit = true
		t.killAll()
	case Half:
		*arg(&regs, c.sizeArg) /= 2
		if err := unix.PtraceSetRegs(tid, &regs); err != nil {
			return err
		}
		t.halved = tid
		return unix.PtraceSyscall(tid, 0) // stops again when the call is done
	case Errno:
		t.o.hit = true
		regs.Orig_rax = ^uint64(0) // no call
		regs.Rax = uint64(-int64(t.errno))
		if err := unix.PtraceSetRegs(tid, &regs); err != nil {
			return err
		}
		t.resume(tid, 0)
	case Term:
		t.o.hit = true
		unix.Kill(t.main, unix.SIGTERM)
		t.resume(tid, 0)
	}
	return nil
}

// spread gives at most n numbers of 1 to total, evenly, with the first and the
// last; all of them if n is zero.
func spread(total, n int) []int {
	if n <= 0 || n > total {
		n = total
	}
	points := make([]int, 0, n)
	for i := range n {
		p := 1
		if n > 1 {
			p = 1 + i*(total-1)/(n-1)
		}
		points = append(points, p)
	}
	return slices.Compact(points)
}
