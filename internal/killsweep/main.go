//go:build linux && amd64

// Command killsweep kills a command at every system call that changes a file,
// and finds out whether running it again makes good. Package sweep says how.
//
//	go run ./internal/killsweep -setup 'cp -r /tmp/example/. .' -run 'bin/nestgen build -q'
//
// The setup runs in an empty folder, and the command and the check in copies of
// that. It prints one line of figures and each failure, and ends with status 1
// when there was one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nestgen/internal/killsweep/sweep"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "killsweep:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	setup := flag.String("setup", "", "shell `script` that makes the starting state in its working folder")
	command := flag.String("run", "", "shell `command` under test; it must succeed when nothing goes wrong")
	check := flag.String("check", "site", "\"site\" for a built-in look at the tree below -site, \"none\", or a shell `script` that fails when something is wrong")
	site := flag.String("site", "site", "the served tree, a `folder` below the working folder; it must come out the same")
	points := flag.String("points", "all", "how many calls are tried, evenly spread: all or a `number`")
	mode := flag.String("mode", "kill", "kill before the call, half of a write and then kill, errno: the call fails, or term: SIGTERM")
	errno := flag.String("errno", "ENOSPC", "the `error` in mode errno")
	ignore := flag.String("ignore", "", "`regexp` of what may differ in the tree in the end")
	timeout := flag.Duration("timeout", time.Minute, "for each run of the command")
	strict := flag.Bool("strict", false, "in mode errno: fail when the command succeeds although a call failed")
	quiet := flag.Bool("q", false, "no progress")
	flag.Parse()
	if *command == "" || flag.NArg() > 0 {
		return errors.New("want -run 'command' and no other arguments")
	}

	s := sweep.Sweep{
		// exec, so that no shell stands between.
		Command: []string{"/bin/sh", "-c", "exec " + *command},
		Trees:   []string{*site},
		Timeout: *timeout,
	}
	if *setup != "" {
		s.Setup = script(*setup)
	}
	switch *check {
	case "none":
	case "site":
		s.Check = func(dir string) error {
			tree := filepath.Join(dir, *site)
			return errors.Join(sweep.CheckSite(tree), sweep.CheckHistory(tree, filepath.Join(dir, ".killsweep-seen")))
		}
	default:
		s.Check = script(*check)
	}
	if *points != "all" {
		n, err := strconv.Atoi(*points)
		if err != nil || n < 1 {
			return fmt.Errorf("-points %s: want all or a number", *points)
		}
		s.Points = n
	}
	switch *mode {
	case "kill":
		s.Mode = sweep.Kill
	case "half":
		s.Mode = sweep.Half
	case "errno":
		s.Mode = sweep.Errno
	case "term":
		s.Mode = sweep.Term
	default:
		return fmt.Errorf("-mode %s: want kill, half, errno or term", *mode)
	}
	for e := syscall.Errno(1); e < 200 && s.Errno == 0; e++ {
		if unix.ErrnoName(e) == *errno {
			s.Errno = e
		}
	}
	if s.Errno == 0 {
		return fmt.Errorf("-errno %s: no such error", *errno)
	}
	if *ignore != "" {
		re, err := regexp.Compile(*ignore)
		if err != nil {
			return err
		}
		s.Ignore = re
	}
	if !*quiet {
		s.Progress = func(done, of int) { fmt.Fprintf(os.Stderr, "\r%d of %d", done, of) }
		defer fmt.Fprintln(os.Stderr)
	}
	start := time.Now()
	report, err := s.Run(ctx)
	if report != nil {
		if !*quiet {
			fmt.Fprintf(os.Stderr, "\r")
		}
		fmt.Printf("%s: %v, %v\n", s.Mode, report, time.Since(start).Round(time.Second))
	}
	switch {
	case err != nil:
		return err
	case len(report.Failures) > 0:
		return errors.New("the command does not survive")
	case *strict && len(report.Silent) > 0:
		return errors.New("the command hides failed calls")
	}
	return nil
}

// script makes a function of a shell script that runs in a folder.
func script(text string) func(dir string) error {
	return func(dir string) error {
		cmd := exec.Command("/bin/sh", "-ec", text)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
		}
		return nil
	}
}
