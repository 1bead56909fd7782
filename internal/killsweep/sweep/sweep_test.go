//go:build linux && amd64

package sweep

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nestgen/layout"
	"nestgen/publish"
)

// TestMain lets the test's binary be the program under test.
func TestMain(m *testing.M) {
	if name := os.Getenv("KILLSWEEP_PROGRAM"); name != "" {
		if err := programs[name](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(7)
		}
		os.Exit(0)
	}
	code := m.Run()
	os.RemoveAll(programDir)
	os.Exit(code)
}

// An update is what the programs publish: two files and the pages of two
// projects.
type update map[string]string

func newUpdate(version string) (files, pages update, order []string) {
	files, pages = update{}, update{}
	for _, name := range []string{"foo", "bar"} {
		content := strings.Repeat(name+" "+version+"\n", 50)
		sum := sha256.Sum256([]byte(content))
		file := layout.File(sum, name+"-"+version+".tar.gz")
		files[file] = content
		html, js := "simple/"+name+"/index.html", "simple/"+name+"/index.v1_json"
		pages[html] = fmt.Sprintf("<!DOCTYPE html>\n<html><body>\n<a href=\"../../%s#sha256=%x\">%[1]s</a>\n</body></html>\n", file, sum)
		pages[js] = fmt.Sprintf(`{"meta":{"api-version":"1.1"},"name":%q,"files":[{"filename":"x","url":"../../%s","hashes":{"sha256":"%x"},"size":%d}]}`, name, file, sum, len(content))
		order = append(order, html, js)
	}
	return files, pages, order
}

// programs are ways to bring a site to version 2, right and wrong ones.
var programs = map[string]func() error{
	"right":          func() error { return byHand(true, true, replace) },
	"index first":    func() error { return byHand(false, true, replace) },
	"in place":       func() error { return byHand(true, true, overwrite) },
	"wedged":         wedged,
	"errors ignored": func() error { byHand(true, true, replace); return nil },
	"temp in site":   func() error { return byHand(true, true, replaceBeside) },
	"not the same":   notTheSame,
	"hangs":          hangs,
	"never synced":   func() error { return byHand(true, false, replaceUnsynced) },
	"boasts":         func() error { fmt.Println("done"); return byHand(true, true, replace) },
	"publish":        withPublish,
}

// byHand writes files and pages, in one of both orders.
func byHand(filesFirst, synced bool, put func(path, content string) error) error {
	files, pages, order := newUpdate("2")
	file := replace
	if !synced {
		file = replaceUnsynced
	}
	steps := []func() error{
		func() error {
			for path, content := range files {
				if err := file(path, content); err != nil {
					return err
				}
			}
			return nil
		},
		func() error {
			for _, path := range order {
				if err := put(path, pages[path]); err != nil {
					return err
				}
			}
			return nil
		},
	}
	if !filesFirst {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func site(path string) string { return filepath.Join("site", path) }

// replace writes outside the site and renames.
func replace(path, content string) error { return replaceBy("temp", path, content) }

// replaceBeside has its temporary file where readers see it.
func replaceBeside(path, content string) error { return replaceBy(site(path)+".tmp", path, content) }

// replaceUnsynced is how it is mostly done.
func replaceUnsynced(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(site(path)), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile("temp", []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename("temp", site(path))
}

func replaceBy(temp, path, content string) error {
	if err := os.MkdirAll(filepath.Dir(site(path)), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(temp, site(path))
}

func overwrite(path, content string) error {
	return os.WriteFile(site(path), []byte(content), 0o644)
}

// wedged does not get past what its own death leaves behind.
func wedged() error {
	f, err := os.OpenFile("lock", os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove("lock")
	defer f.Close()
	return byHand(true, true, replace)
}

// notTheSame writes what depends on how often it was run.
func notTheSame() error {
	n, _ := os.ReadFile("count")
	if err := os.WriteFile("count", append(n, '.'), 0o600); err != nil {
		return err
	}
	if err := byHand(true, true, replace); err != nil {
		return err
	}
	return replace("count.txt", string(n))
}

// hangs when its death has left a mark.
func hangs() error {
	if _, err := os.Stat("mark"); err == nil {
		time.Sleep(time.Hour)
	}
	if err := os.WriteFile("mark", nil, 0o600); err != nil {
		return err
	}
	return os.Remove("mark")
}

// withPublish does it as nestgen does, in two rounds with one removal, and
// writes from two threads.
func withPublish() error {
	tree, err := publish.Open(publish.Options{Site: "site", State: "state"})
	if err != nil {
		return err
	}
	defer tree.Close()
	ctx := context.Background()
	for _, version := range []string{"2", "3"} {
		files, pages, order := newUpdate(version)
		var batch []publish.Exposure
		for path, content := range files {
			f, err := tree.NewFile()
			if err != nil {
				return err
			}
			_, err = f.WriteString(content)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			batch = append(batch, publish.Exposure{Temp: f.Name(), Target: path, Companions: []publish.Companion{
				{Path: layout.CoreMetadata(path), Data: []byte("Metadata-Version: 2.1\n")},
			}})
		}
		if altered, err := tree.Expose(ctx, batch); err != nil || altered != nil {
			return fmt.Errorf("expose: %v %w", altered, err)
		}
		turn, err := tree.Turn(ctx)
		if err != nil {
			return err
		}
		b := turn.Batch()
		var wg sync.WaitGroup
		errs := make([]error, len(order))
		for i, path := range order {
			wg.Go(func() { errs[i] = b.Put(path, []byte(pages[path])) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		name := "new" + version
		root := fmt.Sprintf("<html><a href=\"foo/\">foo</a><a href=\"bar/\">bar</a><a href=\"%s/\">new</a></html>", name)
		for _, p := range [][2]string{
			{"simple/" + name + "/index.html", "<html></html>"},
			{"simple/index.html", root},
			{"index.html", "<html>front page of " + version + "</html>"},
		} {
			if err := b.Put(p[0], []byte(p[1])); err != nil {
				return err
			}
		}
		if version == "3" {
			if err := b.RemoveFolder("simple/new2"); err != nil {
				return err
			}
			if err := b.RemoveFolder("simple/old"); err != nil {
				return err
			}
		}
		if _, err := b.Publish(ctx); err != nil {
			return err
		}
		if err := errors.Join(b.Close(), turn.Close()); err != nil {
			return err
		}
	}
	old, _, _ := newUpdate("1")
	for path := range old {
		if _, err := tree.Delete(ctx, []string{path}); err != nil {
			return err
		}
	}
	return nil
}

// setup makes a site of version 1.
func setup(dir string) error {
	files, pages, _ := newUpdate("1")
	pages["simple/old/index.html"] = "<html></html>"
	pages["simple/index.html"] = `<html><a href="foo/">foo</a><a href="bar/">bar</a><a href="old/">old</a></html>`
	for _, m := range []update{files, pages} {
		for path, content := range m {
			path = filepath.Join(dir, "site", path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// planted gives the sweep of one of the programs.
func planted(t *testing.T, program string, mode Mode) Sweep {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Sweep{
		Command: []string{self},
		Env:     []string{"KILLSWEEP_PROGRAM=" + program},
		Setup:   setup,
		Check:   func(dir string) error { return CheckSite(filepath.Join(dir, "site")) },
		Mode:    mode,
		Timeout: 5 * time.Minute, // only what hangs takes so long
		Work:    memory(t),
	}
}

// memory gives a folder in memory where there is one: the calls are the same,
// and a sync takes no time.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "killsweep")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// forbidden skips a test where programs cannot be traced.
func forbidden(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, ErrForbidden) {
		t.Skip("a sweep takes ptrace and seccomp: ", err)
	}
}

func traced(t *testing.T, command, env []string, dir string, f fault, timeout time.Duration) *outcome {
	t.Helper()
	o, err := trace(command, env, dir, "", f, timeout)
	forbidden(t, err)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func run(t *testing.T, s Sweep) *Report {
	t.Helper()
	r, err := s.Run(context.Background())
	forbidden(t, err)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(s.Mode, r)
	return r
}

// The harness finds nothing in a program that is right, and finds what was
// planted.
func TestPlanted(t *testing.T) {
	tests := []struct {
		program string
		mode    Mode
		when    string // of some failure; empty for none
	}{
		{"right", Kill, ""},
		{"right", Half, ""},
		{"right", Errno, ""},
		{"right", Term, ""},
		{"index first", Kill, "after the fault"},
		{"index first", Half, "after the fault"},
		{"in place", Kill, "after the fault"},
		{"in place", Half, "after the fault"},
		{"in place", Errno, "after the fault"},
		{"temp in site", Kill, "after the fault"},
		{"wedged", Kill, "second run"},
		{"not the same", Kill, "in the end"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s, %v", tt.program, tt.mode), func(t *testing.T) {
			r := run(t, planted(t, tt.program, tt.mode))
			if r.Calls == 0 || r.Hit != r.Cases || r.Cases != r.Calls {
				t.Errorf("%d calls, %d cases, %d faults: want all of them", r.Calls, r.Cases, r.Hit)
			}
			if tt.when == "" && len(r.Failures) > 0 {
				t.Error("a right program was flagged")
			}
			if tt.when != "" && !slices.ContainsFunc(r.Failures, func(f Failure) bool { return f.When == tt.when }) {
				t.Errorf("no failure %q", tt.when)
			}
		})
	}
}

// A program that hides failed calls is told.
func TestSilent(t *testing.T) {
	if r := run(t, planted(t, "errors ignored", Errno)); len(r.Silent) != r.Cases {
		t.Errorf("%d of %d failed calls were hidden", len(r.Silent), r.Cases)
	}
	if r := run(t, planted(t, "right", Errno)); len(r.Silent) != 0 {
		t.Errorf("hidden: %v", r.Silent)
	}
}

// With a fault that lasts, nothing after it succeeds, and what a program that
// hides its errors calls done is seen not to be.
func TestLasting(t *testing.T) {
	s := planted(t, "errors ignored", Errno)
	s.Lasting = true
	if r := run(t, s); len(r.Failures) != r.Cases || r.Failures[0].When != "with the fault" {
		t.Errorf("of %d runs that hide that nothing was done, %d were seen", r.Cases, len(r.Failures))
	}
	s = planted(t, "right", Errno)
	s.Lasting = true
	s.Ended = func(e End) error {
		if e.Status != 0 && (e.Status != 7 || !strings.Contains(e.Stderr, "no space left")) {
			return fmt.Errorf("status %d", e.Status)
		}
		return nil
	}
	if r := run(t, s); len(r.Failures) > 0 {
		t.Error("a right program was flagged")
	}
	s.Ended = func(e End) error {
		if e.Status != 0 {
			return errors.New("not so")
		}
		return nil
	}
	if r := run(t, s); len(r.Failures) != r.Cases {
		t.Errorf("of %d ends that were judged wrong, %d were told", r.Cases, len(r.Failures))
	}
}

// The last look is taken, and counts.
func TestFinal(t *testing.T) {
	s := planted(t, "right", Kill)
	seen := 0
	s.Final = func(string) error {
		if seen++; seen > 1 {
			return errors.New("not so")
		}
		return nil
	}
	if r := run(t, s); len(r.Failures) != r.Cases || r.Failures[0].When != "in the end" {
		t.Errorf("%d cases, %d failures", r.Cases, len(r.Failures))
	}
}

// takeUp ends what a program has begun as a later build would, if it finds the page
// of a project that the program makes last; if not it takes back what was done.
func takeUp(page string) func(dir string) error {
	return func(dir string) error {
		b, err := os.ReadFile(filepath.Join(dir, "site", page))
		if err != nil {
			return err
		}
		if strings.Contains(string(b), "-2.tar.gz") {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			cmd := exec.Command(self)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "KILLSWEEP_PROGRAM=right")
			return cmd.Run()
		}
		return errors.Join(os.RemoveAll(filepath.Join(dir, "site")), setup(dir))
	}
}

// A command that is not run again has been done in the end, or never was; and what
// could be seen stays.
func TestOnce(t *testing.T) {
	s := planted(t, "right", Kill)
	s.Once = true
	if r := run(t, s); len(r.Failures) == 0 || r.Failures[0].When != "in the end" {
		t.Error("half of the work was not seen")
	}
	s = planted(t, "right", Kill)
	s.Once, s.Settle = true, takeUp("simple/foo/index.html") // the first that can be seen
	if r := run(t, s); len(r.Failures) > 0 || r.Undone == 0 || r.Undone == r.Cases {
		t.Errorf("%d failures, %d of %d undone", len(r.Failures), r.Undone, r.Cases)
	}
	s = planted(t, "right", Kill)
	s.Once, s.Settle = true, takeUp("simple/bar/index.v1_json") // the last
	vanished := func(f Failure) bool { return strings.Contains(f.Err.Error(), "could be seen") }
	if r := run(t, s); !slices.ContainsFunc(r.Failures, vanished) {
		t.Error("what could be seen and went again was not noticed")
	}
}

// What is said to be done must be, also if the command dies later.
func TestDone(t *testing.T) {
	boast := func(e End) bool { return e.Stdout == "done\n" }
	s := planted(t, "boasts", Kill)
	s.Done = boast
	if r := run(t, s); len(r.Failures) != r.Cases || r.Failures[0].When != "with the fault" {
		t.Errorf("of %d runs that said too early that all was done, %d were seen", r.Cases, len(r.Failures))
	}
	s = planted(t, "right", Kill)
	s.Done = boast
	_, err := s.Run(context.Background())
	forbidden(t, err)
	if err == nil || !strings.Contains(err.Error(), "has not done all") {
		t.Errorf("a program that does not say that all is done: %v", err)
	}
}

// The command reads its input from the beginning each time, and writing what it
// has to say is no call that counts.
func TestInput(t *testing.T) {
	s := planted(t, "", Kill)
	s.Command, s.Env, s.Input = []string{"sh", "-c", "tee site/copy"}, nil, "site/simple/foo/index.html"
	s.Done = func(e End) bool { return e.Status == 0 && strings.HasSuffix(e.Stdout, "</html>\n") }
	s.Check = func(dir string) error {
		want, err := os.ReadFile(filepath.Join(dir, s.Input))
		if err != nil {
			return err
		}
		if got, err := os.ReadFile(filepath.Join(dir, "site/copy")); err == nil && len(got) > 0 && string(got) != string(want) {
			return fmt.Errorf("copied: %q", got)
		}
		return nil
	}
	if r := run(t, s); len(r.Failures) > 0 || r.Calls != 2 {
		t.Errorf("%d calls, %d failures", r.Calls, len(r.Failures))
	}
}

// A run that hangs ends.
func TestTimeout(t *testing.T) {
	// It hangs when it died at any call but the first. That it ends else shows if
	// it is quick enough; on a slow machine it gets more time.
	hung := func(f Failure) bool { return f.Point > 1 && f.When == "second run" && errors.Is(f.Err, errTimeout) }
	for limit := 500 * time.Millisecond; ; limit *= 4 {
		s := planted(t, "hangs", Kill)
		s.Timeout = limit
		r, err := s.Run(context.Background())
		forbidden(t, err)
		if err == nil && r.Cases > 1 && len(r.Failures) == r.Cases-1 && !slices.ContainsFunc(r.Failures, func(f Failure) bool { return !hung(f) }) {
			break
		}
		if limit > 2*time.Minute {
			t.Fatalf("the hang was not flagged, or something else: %v, %v", r, err)
		}
	}
	s := planted(t, "hangs", Kill)
	s.Timeout = 500 * time.Millisecond
	s.Setup = func(dir string) error { return os.WriteFile(filepath.Join(dir, "mark"), nil, 0o600) }
	s.Check = nil
	_, err := s.Run(context.Background())
	forbidden(t, err)
	if !errors.Is(err, errTimeout) {
		t.Errorf("a traced run that hangs: %v", err)
	}
}

// The calls are counted by name and in order, of children too, and only those
// that change a file.
func TestCalls(t *testing.T) {
	dir := t.TempDir()
	o := traced(t, []string{"sh", "-c", `echo out; : >a; cat a >/dev/null; (echo x >>a); mv a b; rm b; mkdir c; rmdir c; exit 3`}, os.Environ(), dir, fault{}, time.Minute)
	got := strings.Join(o.calls, " ")
	want := regexp.MustCompile(`^open(at)? open(at)? open(at)? write rename(at|at2)? unlink(at)? mkdir(at)? rmdir$`)
	// The shell opens /dev/null for writing; that is an open like any other.
	if !want.MatchString(got) {
		t.Errorf("calls = %s, want %s", got, want)
	}
	if o.status.ExitStatus() != 3 || o.stdout+o.stderr != "out\n" {
		t.Errorf("status %v, output %q", o.status, o.stdout+o.stderr)
	}
}

func TestHalf(t *testing.T) {
	dir := t.TempDir()
	o := traced(t, []string{"sh", "-c", "echo 0123456789a >f; echo never >g"}, os.Environ(), dir, fault{mode: Half, point: 1}, time.Minute)
	b, err := os.ReadFile(filepath.Join(dir, "f"))
	if err != nil || string(b) != "012345" || !o.hit || o.file != filepath.Join(dir, "f") || o.status.Signal() != syscall.SIGKILL {
		t.Errorf("file %q, %v, hit %v, status %v", b, err, o.hit, o.status)
	}
	if _, err := os.Stat(filepath.Join(dir, "g")); err == nil {
		t.Error("the command went on")
	}
}

func TestErrno(t *testing.T) {
	dir := t.TempDir()
	o := traced(t, []string{"sh", "-c", "mkdir a; mkdir b"}, append(os.Environ(), "LC_ALL=C"), dir, fault{mode: Errno, errno: syscall.EDQUOT, point: 1}, time.Minute)
	_, a := os.Stat(filepath.Join(dir, "a"))
	_, b := os.Stat(filepath.Join(dir, "b"))
	if a == nil || b != nil || !strings.Contains(o.stdout+o.stderr, "Disk quota exceeded") || !o.hit || o.file != "a" {
		t.Errorf("a: %v, b: %v, output %q", a, b, o.stdout+o.stderr)
	}
}

func TestSpread(t *testing.T) {
	tests := []struct {
		total, n int
		want     []int
	}{
		{0, 0, []int{}}, {3, 0, []int{1, 2, 3}}, {3, 9, []int{1, 2, 3}}, {9, 1, []int{1}}, {9, 3, []int{1, 5, 9}}, {1, 5, []int{1}},
	}
	for _, tt := range tests {
		if got := spread(tt.total, tt.n); !slices.Equal(got, tt.want) {
			t.Errorf("spread(%d, %d) = %v, want %v", tt.total, tt.n, got, tt.want)
		}
	}
}

// Package publish survives, at some forty points in each mode; `make
// killsweep` tries all.
func TestPublish(t *testing.T) {
	for _, mode := range []Mode{Kill, Half, Errno} {
		t.Run(mode.String(), func(t *testing.T) {
			s := planted(t, "publish", mode)
			s.Points = 40
			if os.Getenv("KILLSWEEP_POINTS") == "all" {
				s.Points = 0
			}
			if mode == Errno {
				s.Errno = syscall.EIO
			}
			r := run(t, s)
			if len(r.Failures) > 0 {
				t.Error("it does not survive")
			}
			if mode == Errno && len(r.Silent) > 0 {
				t.Errorf("failed calls are hidden: %v", r.Silent)
			}
			if r.Hit < r.Cases*9/10 {
				t.Errorf("only %d of %d faults took place", r.Hit, r.Cases)
			}
		})
	}
}
