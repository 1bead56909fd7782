package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"nestgen"
	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/internal/stricttoml"
	"nestgen/provenance"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nestgen": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("SOURCE_DATE_EPOCH", "1800000000")
			e.Setenv("NESTGEN_TEST_CLOCK", "1800000000") // by which the grace is counted
			srv := fetchtest.New(t, upstreamFiles()...)
			e.Setenv("UPSTREAM", srv.URL)
			e.Setenv("BELL", "a\ab")
			e.Values["upstream"] = srv
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "mount" {
				return mayMount(t), nil
			}
			return false, fmt.Errorf("unknown condition %s", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"wheel": wheelCmd, "expand": expandCmd, "status": statusCmd, "upstream": upstreamCmd, "seal": sealCmd, "lock": lockCmd, "oddfile": oddfileCmd,
			"pick": pickCmd, "mode": modeCmd, "fulldisk": fulldiskCmd, "trustkey": trustkeyCmd,
		},
	})
}

func upstreamFiles() []fetchtest.File {
	var files []fetchtest.File
	for _, v := range []string{"1.0", "2.0"} {
		name, data := intaketest.Wheel("up", v, intaketest.Opts{})
		files = append(files, fetchtest.File{Project: "up", Filename: name, Data: data})
	}
	return files
}

// wheel FOLDER NAME VERSION [SUMMARY [REQUIREMENT...]] puts a wheel into a folder.
func wheelCmd(ts *testscript.TestScript, _ bool, args []string) {
	o := intaketest.Opts{}
	if len(args) > 3 {
		o.Summary, o.RequiresDist = args[3], args[4:]
	}
	name, data := intaketest.Wheel(args[1], args[2], o)
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	// A process that another script starts meanwhile has the file open for writing
	// as well, until it becomes a program; a build would find it unfinished.
	syscall.ForkLock.RLock()
	err := os.WriteFile(filepath.Join(dir, name), data, 0o644)
	syscall.ForkLock.RUnlock()
	ts.Check(err)
}

// status CODE nestgen ARGS... runs the program and checks its exit status.
func statusCmd(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var e interface{ ExitCode() int }
	got := 0
	if errors.As(err, &e) {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// upstream down|altered|up changes how the upstream behaves.
func upstreamCmd(ts *testscript.TestScript, _ bool, args []string) {
	srv := ts.Value("upstream").(*fetchtest.Server)
	switch args[0] {
	case "up":
		srv.Heal()
		srv.SetFiles(upstreamFiles()...)
	case "down":
		srv.Always(srv.Page(fetchtest.Index, "up"), fetchtest.LongRetryAfter)
	case "altered":
		files := upstreamFiles()
		_, files[1].Data = intaketest.Wheel("up", "2.0", intaketest.Opts{Summary: "other bytes"})
		srv.SetFiles(files...)
	default:
		ts.Fatalf("upstream %s", args[0])
	}
}

// seal FOLDER puts a file system without room over a folder.
func sealCmd(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(syscall.Mount("none", dir, "tmpfs", 0, "size=64k,mode=0700"))
	ts.Defer(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// mayMount reports whether this process may mount a file system, as root may on
// most machines.
func mayMount(t *testing.T) bool {
	dir := t.TempDir()
	if syscall.Mount("none", dir, "tmpfs", 0, "size=64k") != nil {
		return false
	}
	return syscall.Unmount(dir, 0) == nil
}

// lock FOLDER holds the lock of a state folder to the end of the script.
func lockCmd(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.OpenFile(filepath.Join(ts.MkAbs(args[0]), "build.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	ts.Check(err)
	ts.Check(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
	ts.Defer(func() { f.Close() })
}

// oddfile FOLDER makes files whose names would tell a terminal something.
func oddfileCmd(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range []string{"\x1b[31mred-1.0.tar.gz", "bell\a-1.0-py3-none-any.whl", "c1\u009b31m-1.0.tar.gz", "gnp.\u202ezg.rat-1.0.tar.gz", "two\u2028lines-1.0.tar.gz"} {
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), name), []byte("x"), 0o644))
	}
}

func TestExitStatus(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{&statusError{10}, 10}, {&usageError{errors.New("x")}, 2}, {&stricttoml.Error{}, 2}, {nestgen.ErrSettings, 2},
		{fmt.Errorf("a: %w", nestgen.ErrLocked), 4}, {nestgen.ErrAlarm, 6}, {nestgen.ErrStorage, 7},
		{errors.New("x"), 1}, {errors.Join(errors.New("x"), nestgen.ErrStorage), 7}, {context.Canceled, 130},
		{&os.PathError{Op: "open", Path: "x", Err: syscall.EROFS}, 7},
	} {
		if got := exitStatus(tt.err); got != tt.want {
			t.Errorf("exitStatus(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestErrorsArePrintedOneALine(t *testing.T) {
	var b strings.Builder
	printError(&b, errors.Join(&stricttoml.Error{File: "f", Line: 1, Text: "a\x1b[31m", Hint: "h\u2066"}, errors.Join(errors.New("b"), nil)))
	if got, want := b.String(), "nestgen: f:1: a\ufffd[31m\nnestgen: hint: h\ufffd\nnestgen: b\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTexts(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 1_500_000_000: "1.5 GB", 1<<63 - 1: "9.2 EB"} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
	if count(1, "page") != "1 page" || count(0, "page") != "0 pages" {
		t.Error("count")
	}
}

// expand FROM TO copies a file and puts what variables hold into it, as the address of
// the upstream for ${UPSTREAM}.
func expandCmd(ts *testscript.TestScript, _ bool, args []string) {
	text := variable.ReplaceAllStringFunc(ts.ReadFile(args[0]), func(s string) string { return ts.Getenv(s[2 : len(s)-1]) })
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}

var variable = regexp.MustCompile(`\$\{[A-Z]+\}`)

// pick VARIABLE FILE REGEXP puts what the first group of an expression matches
// into a variable.
func pickCmd(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile(args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if m == nil {
		ts.Fatalf("%s does not match %s", args[1], args[2])
	}
	ts.Setenv(args[0], m[1])
}

// mode OCTAL FILE checks the permissions of a file.
func modeCmd(ts *testscript.TestScript, _ bool, args []string) {
	fi, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatInt(int64(fi.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has the mode %s, want %s", args[1], got, args[0])
	}
}

// trustkey FILE CONFIG [MORE] has a site trust the key in a file, as somebody does
// who pastes the line, with more behind it.
func trustkeyCmd(ts *testscript.TestScript, neg bool, args []string) {
	line := strings.TrimSpace(ts.ReadFile(args[0])) + strings.Join(args[2:], "")
	err := ts.Exec("nestgen", "-c", args[1], "key", "trust", line)
	if (err != nil) != neg {
		ts.Fatalf("key trust: %v", err)
	}
}

// fulldisk nestgen ARGS... runs the program with a standard output that nothing
// can be written to, upon which it has to fail.
func fulldiskCmd(ts *testscript.TestScript, _ bool, args []string) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	ts.Check(err)
	defer full.Close()
	program, err := exec.LookPath(args[0])
	ts.Check(err)
	cmd := exec.Command(program, args[1:]...)
	cmd.Dir, cmd.Stdout = ts.MkAbs("."), full
	if cmd.Run() == nil {
		ts.Fatalf("it did not fail")
	}
}

func TestShowSaysWhoHasPublished(t *testing.T) {
	p := &catalog.Project{Files: []catalog.File{{Publisher: provenance.Publisher{Kind: "GitHub", Repository: "acme/foo", Workflow: "release.yml"}}, {}}}
	s := shown(p, nil)
	if s.List[0].PublishedBy != "GitHub acme/foo, release.yml" || s.List[1].PublishedBy != "" {
		t.Errorf("%+v", s.List)
	}
}
