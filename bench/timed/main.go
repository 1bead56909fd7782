// Command timed runs one command and says, as a line of JSON, what it took. It
// is a program of its own because the kernel counts the memory of the process
// that starts another as that of the other, until it has its own program; this
// one has little.
//
//	timed COMMAND [ARGUMENT...]
//
// What the command prints is dropped; its errors go where those of timed go.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what is printed. Times are in seconds.
type usage struct {
	Exit    int     `json:"exit"`
	Wall    float64 `json:"wall"`
	User    float64 `json:"user"`
	System  float64 `json:"system"`
	PeakKiB int64   `json:"peak_kib"`

	// Written is the bytes of all write calls, Stored what of them was for a
	// disk, -1 where the kernel does not count them.
	Written int64 `json:"written"`
	Stored  int64 `json:"stored"`
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: timed COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	u, err := run(os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(u)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "timed:", err)
		os.Exit(1)
	}
}

func run(argv []string) (usage, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	u := usage{Written: -1, Stored: -1}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return u, err
	}
	// The counters of a process can be read until it is waited for.
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return u, errors.Join(err, cmd.Wait())
		}
	}
	u.Wall = time.Since(began).Seconds()
	u.readIO(cmd.Process.Pid)
	err := cmd.Wait()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		return u, err
	}
	u.Exit = cmd.ProcessState.ExitCode()
	u.User, u.System = cmd.ProcessState.UserTime().Seconds(), cmd.ProcessState.SystemTime().Seconds()
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.PeakKiB = r.Maxrss
	}
	return u, nil
}

// readIO reads the kernel's count of written bytes.
func (u *usage) readIO(pid int) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/io")
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err != nil:
		case key == "wchar":
			u.Written = n
		case key == "write_bytes":
			u.Stored = n
		}
	}
}
