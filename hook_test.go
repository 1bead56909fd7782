package nestgen

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/intake/intaketest"
	"nestgen/packaging"
)

// hookScript has a world run a script of the shell after a publish.
func (w *world) hookScript(script string) {
	w.OnPublish = Hook{Command: []string{"sh", "-c", script}}
	w.OnPublishTimeout = Duration(patience)
}

// hears reads what a hook was told and has written to a file, and removes it; nil
// if it was told nothing.
func (w *world) hears(file string) *Publication {
	w.Helper()
	if !w.exists(file) {
		return nil
	}
	var p Publication
	unmarshal(w, w.read(file), &p)
	w.remove(file)
	return &p
}

func TestHookIsToldWhatChanged(t *testing.T) {
	t.Setenv("NESTGEN_CANARY", canary)
	t.Setenv("HOME", "/home/of/somebody")
	w := newWorld(t)
	w.Title, w.BaseURL = "Ours", "https://packages.example.org/"
	w.hookScript(`cat > told; env | sort > env; pwd > where; echo said; echo more >&2`)
	w.drop("foo", "1.0", intaketest.Opts{})
	w.drop("bar", "1.0", intaketest.Opts{})
	w.drop("bar", "2.0", intaketest.Opts{})
	r := w.build(0)
	p := w.hears("told")
	if p == nil || p.Title != "Ours" || p.BaseURL != w.BaseURL || p.SerialFrom != 0 || p.SerialTo != 3 || p.More != 0 || len(p.Events) != 0 || p.Pages != r.Pages || r.Serial != 3 {
		t.Fatalf("%+v", p)
	}
	if len(p.Projects) != 2 || p.Projects[0].Name != "bar" || p.Projects[0].Events[catalog.Add] != 2 || p.Projects[1].Name != "foo" || p.Projects[1].Events[catalog.Add] != 1 {
		t.Errorf("%+v", p.Projects)
	}
	if r.Hook == nil || *r.Hook != (HookResult{Output: "said\nmore\n"}) || len(r.Problems) > 0 {
		t.Errorf("%+v, %s", r.Hook, problemText(r))
	}
	var saved Report
	unmarshal(t, w.read("state/report.json"), &saved)
	if saved.Hook == nil || *saved.Hook != *r.Hook {
		t.Errorf("the report on disk has %+v", saved.Hook)
	}
	if got, err := filepath.EvalSymlinks(strings.TrimSpace(w.read("where"))); err != nil || got != w.dir {
		if want, _ := filepath.EvalSymlinks(w.dir); got != want {
			t.Errorf("it ran in %s, %v, want %s", got, err, want)
		}
	}
	var env []string
	for line := range strings.Lines(w.read("env")) {
		// What a shell adds itself.
		if name, _, _ := strings.Cut(line, "="); !slices.Contains([]string{"PWD", "OLDPWD", "SHLVL", "_"}, name) {
			env = append(env, strings.TrimSpace(line))
		}
	}
	if want := []string{"HOME=/home/of/somebody", "NESTGEN_SERIAL_FROM=0", "NESTGEN_SERIAL_TO=3", "NESTGEN_SITE=" + w.Site, "NESTGEN_STATE=" + w.State, "PATH=" + os.Getenv("PATH")}; !slices.Equal(env, want) {
		t.Errorf("its environment was %q, want %q", env, want)
	}

	// Nothing was published, nothing is told.
	if r := w.build(0); r.Hook != nil || w.exists("told") {
		t.Errorf("told for nothing: %+v", r.Hook)
	}
	w.build(0, Options{DryRun: true})
	if w.exists("told") {
		t.Error("a dry run told")
	}
	// Pages that change for another reason are news as well.
	w.Title = "Ours and theirs"
	w.build(0)
	if p := w.hears("told"); p == nil || p.SerialFrom != 3 || p.SerialTo != 3 || len(p.Projects) != 0 || p.Pages.Written == 0 {
		t.Errorf("%+v", p)
	}
	w.write("policy.toml", "[[yank]]\nproject = \"foo\"\nreason = \"x\"\n")
	w.build(0)
	if p := w.hears("told"); p == nil || p.SerialFrom != 3 || p.SerialTo != 4 || len(p.Projects) != 1 || p.Projects[0].Events[catalog.Yanking] != 1 {
		t.Errorf("%+v", p)
	}
}

// A hook for a site that has a history begins with the next publish. What others
// than builds note is told by the next build.
func TestHookBeginsAndCatchesUp(t *testing.T) {
	w := newWorld(t)
	w.drop("foo", "1.0", intaketest.Opts{})
	w.build(0)
	w.hookScript(`cat > told`)
	if r := w.build(0); r.Hook != nil || w.exists("told") {
		t.Errorf("a new hook was told what is old: %+v", r.Hook)
	}
	w.rotate()
	w.build(0)
	if p := w.hears("told"); p == nil || p.SerialFrom != 1 || p.SerialTo != 2 || len(p.Projects) != 0 || p.Events[catalog.Rotation] != 1 {
		t.Errorf("%+v", p)
	}
	w.drop("foo", "2.0", intaketest.Opts{})
	w.build(0)
	if p := w.hears("told"); p == nil || p.SerialFrom != 2 || p.SerialTo != 3 {
		t.Errorf("%+v", p)
	}
	w.rollback(2)
	if w.exists("told") {
		t.Error("a rollback has called the hook")
	}
	w.build(3)
	if p := w.hears("told"); p == nil || p.SerialFrom != 3 || len(p.Projects) != 1 || p.Projects[0].Events[catalog.Withdraw] != 1 {
		t.Errorf("after a rollback: %+v", p)
	}
}

// What changed without an event is told again as well if the hook has missed it.
func TestHookMissesNoPages(t *testing.T) {
	w := newWorld(t)
	w.hookScript("cat > told")
	w.drop("foo", "1.0", intaketest.Opts{})
	w.build(0)
	w.hears("told")
	w.hookScript("exit 1")
	w.Title = "another"
	w.build(0)
	w.hookScript("cat > told")
	for _, want := range []bool{true, false} {
		r := w.build(0)
		if p := w.hears("told"); (p != nil) != want || p != nil && (p.SerialFrom != 1 || p.SerialTo != 1 || p.Pages.Written != 0) {
			t.Errorf("%+v, want it told: %v\n%s", p, want, problemText(r))
		}
	}
	// A publish after which the run dies.
	w.Title = "yet another"
	s, err := open(w.Config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	w.build(0)
	if w.hears("told") == nil {
		t.Error("what a run has published that died is not told")
	}
}

// What a hook has missed because it failed is told again. The publish stands, and the status is what it was.
func TestHookThatFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		hook []string
		says string
	}{
		{"status", []string{"sh", "-c", "echo first; echo last; exit 3", "--token=" + canary}, "sh: exit status 3: last"},
		{"killed", []string{"sh", "-c", "kill -9 $$"}, "sh: signal: killed"},
		{"not there", []string{"/nowhere/purge", canary}, "/nowhere/purge: no such file or directory"},
		{"not in the path", []string{"nestgen-no-such-program"}, "executable file not found"},
		{"a folder", []string{"./drop"}, "permission denied"},
	} {
		w := newWorld(t)
		w.OnPublish = Hook{Command: tt.hook}
		w.drop("foo", "1.0", intaketest.Opts{})
		r := w.build(0)
		w.tells(r, "warning", tt.says)
		w.tells(r, "warning", "the next build tells it again")
		if !strings.Contains(w.read("state/report.json"), "on_publish") {
			t.Errorf("%s: the report on disk does not say so", tt.name)
		}
		if r := w.build(0); r.Hook == nil || r.Hook.Fault == "" {
			t.Errorf("%s: not told again: %+v", tt.name, r.Hook)
		}
		w.Title = "other"
		w.build(0)
		w.build(0)
		w.hookScript(`cat > told`)
		r = w.build(0)
		if p := w.hears("told"); p == nil || p.SerialFrom != 0 || p.SerialTo != 1 || len(r.Problems) > 0 {
			t.Errorf("%s: %+v\n%s", tt.name, p, problemText(r))
		}
		if strings.Contains(w.read("state/report.json"), "exit status") {
			t.Errorf("%s: the report still has the warning", tt.name)
		}
		if r := w.build(0); r.Hook != nil {
			t.Errorf("%s: told once more: %+v", tt.name, r.Hook)
		}
		if found := w.whoHas("site", "state"); len(found) > 0 {
			t.Errorf("%s: a word of the command is in %q", tt.name, found)
		}
	}
}

// A life is a fifo that a hook holds open for writing, with a byte in it.
type life struct {
	testing.TB
	read, write *os.File
}

func (w *world) life() *life {
	w.Helper()
	l := &life{TB: w}
	err := syscall.Mkfifo(w.path("life"), 0o600)
	if err == nil {
		l.read, err = os.OpenFile(w.path("life"), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
	if err == nil {
		l.write, err = os.OpenFile(w.path("life"), os.O_WRONLY, 0)
	}
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { l.read.Close(); l.write.Close() })
	return l
}

// began waits until the hook is alive.
func (l *life) began() {
	l.Helper()
	if _, err := io.ReadFull(l.read, make([]byte, 1)); err != nil {
		l.Fatal(err)
	}
}

// over waits until nobody is alive who has it open.
func (l *life) over() {
	l.Helper()
	l.write.Close()
	if _, err := io.Copy(io.Discard, l.read); err != nil {
		l.Fatal(err)
	}
}

// A hook that hangs is killed, with all that it has started, and what it wrote
// until then is kept.
func TestHookThatHangs(t *testing.T) {
	for name, script := range map[string]string{
		"itself":        `sleep 100000`,
		"with children": `sleep 100000 & sleep 100000 & wait`,
		"deaf":          `trap '' TERM INT HUP; while :; do sleep 100000; done`,
		"endless":       `while :; do echo more; done`,
	} {
		w := newWorld(t)
		w.hookScript("echo said; exec 8>life; echo >&8; " + script)
		l := w.life()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan *HookResult)
		go func() { done <- w.runHook(ctx, new(Publication), nil) }()
		l.began()
		cancel(fmt.Errorf("enough"))
		if r := <-done; r.Fault != "sh: enough: said" && name != "endless" || !strings.HasPrefix(r.Fault, "sh: enough: ") || !strings.HasPrefix(r.Output, "said\n") || len(r.Output) > hookOutput {
			t.Errorf("%s: %q, output of %d bytes", name, r.Fault, len(r.Output))
		}
		l.over()
	}
	w := newWorld(t)
	w.hookScript("sleep 100000")
	w.OnPublishTimeout = Duration(time.Second)
	w.drop("foo", "1.0", intaketest.Opts{})
	w.tells(w.build(0), "warning", "on_publish: sh: not done after 1s (on_publish_timeout)")
}

// A hook that has ended is done, whatever it has left behind: what is in its process
// group ends with it, and for what has left that nobody waits.
func TestHookThatLeavesChildren(t *testing.T) {
	w := newWorld(t)
	w.hookScript("exec 8>life; echo >&8; echo said; sleep 100000 & exit 0")
	l := w.life()
	if r := w.runHook(t.Context(), new(Publication), nil); r.Fault != "" || r.Output != "said\n" {
		t.Errorf("%+v", r)
	}
	l.began()
	l.over()

	w.hookScript(`echo said; setsid sh -c 'echo $$ > pid.new; mv pid.new pid; exec sleep 100000' & while ! test -e pid; do :; done`)
	r := w.runHook(t.Context(), new(Publication), nil)
	pid, err := strconv.Atoi(strings.TrimSpace(w.read("pid")))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("what has a group of its own was killed: %v", err)
	}
	if r.Fault != "" || r.Output != "said\n" {
		t.Errorf("%+v", r)
	}
}

func TestHookOutputAndInputAreLimited(t *testing.T) {
	w := newWorld(t)
	// It does not read, and gets more than a pipe holds.
	w.hookScript(`head -c 1000000 /dev/zero | tr '\0' x; printf '\377\033[31m'`)
	r := w.runHook(t.Context(), new(Publication), bytes.Repeat([]byte("y"), 1<<20))
	if r.Fault != "" || r.Output != strings.Repeat("x", hookOutput) {
		t.Errorf("%q, %d bytes", r.Fault, len(r.Output))
	}
	w.hookScript(`wc -c; printf '\377\033[31m'; exit 1`)
	r = w.runHook(t.Context(), new(Publication), bytes.Repeat([]byte("y"), 1<<20))
	if r.Output != "1048576\n\ufffd\x1b[31m" || r.Fault != "sh: exit status 1: \ufffd\x1b[31m" {
		t.Errorf("%q, %q", r.Fault, r.Output)
	}
	w.drop("foo", "1.0", intaketest.Opts{})
	w.build(0)
	if report := w.read("state/report.json"); strings.Contains(report, "\x1b") {
		t.Errorf("the report has what drives a terminal:\n%s", report)
	}
}

// A hook may do what its user may, and the run ends as it would have.
func TestHookThatDeletes(t *testing.T) {
	for _, script := range []string{"rm -f state/report.json nestgen.toml", "rm -rf state/stage state/hook.lock", "rm -rf state", "rm -rf site", "chmod -R a-rwx state", "cd ..; mv $OLDPWD moved 2>/dev/null; mv moved $OLDPWD"} {
		w := newWorld(t)
		w.hookScript(script)
		w.drop("foo", "1.0", intaketest.Opts{})
		r, err := Build(t.Context(), w.Config, Options{})
		if err != nil || r.Status != 0 || r.Added.Count != 1 || r.Hook == nil || r.Hook.Fault != "" {
			t.Errorf("%s: %v, %+v", script, err, r)
		}
		if err := openUp(w.dir); err != nil {
			t.Fatal(err)
		}
	}
}

// openUp makes everything below a folder removable again.
func openUp(dir string) error {
	return filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if e != nil && e.IsDir() {
			return os.Chmod(name, 0o755)
		}
		return nil
	})
}

// The lock of the site is given back before the hook runs, and a build that the hook
// starts does not start it again: the next one tells what that has published.
func TestHookMayBuild(t *testing.T) {
	w := newWorld(t)
	var calls []Publication
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		var p Publication
		if err := json.NewDecoder(q.Body).Decode(&p); err != nil {
			t.Error(err)
		}
		if calls = append(calls, p); len(calls) > 1 {
			return
		}
		w.drop("bar", "1.0", intaketest.Opts{})
		r, err := Build(q.Context(), w.Config, Options{})
		if err != nil || r.Status != 0 || r.Added.Count != 1 || r.Hook != nil {
			t.Errorf("the build inside: %v, %+v", err, r)
		}
	}))
	defer srv.Close()
	w.OnPublish, w.OnPublishTimeout = Hook{URL: srv.URL}, Duration(patience)
	w.drop("foo", "1.0", intaketest.Opts{})
	w.build(0)
	// The report is that of the build inside, which came later.
	var saved Report
	unmarshal(t, w.read("state/report.json"), &saved)
	if saved.Serial != 2 || saved.Hook != nil {
		t.Errorf("serial %d, %+v", saved.Serial, saved.Hook)
	}
	w.build(0)
	w.build(0)
	if len(calls) != 2 || calls[0].SerialTo != 1 || calls[1].SerialFrom != 1 || calls[1].SerialTo != 2 || calls[1].Projects[0].Name != "bar" {
		t.Errorf("%+v", calls)
	}
}

func TestHookByAddress(t *testing.T) {
	var status atomic.Int32
	var requests atomic.Int32
	stuck := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, q *http.Request) {
		requests.Add(1)
		user, password, _ := q.BasicAuth()
		body, err := io.ReadAll(q.Body)
		if err != nil || !json.Valid(body) || q.Method != http.MethodPost || q.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(q.Header.Get("User-Agent"), "nestgen/") ||
			user != "joe" || password != canary+"1" || q.URL.Path != "/services/"+canary+"2" || q.URL.Query().Get("token") != canary+"3" {
			t.Errorf("%s %s by %s:%s %v: %q, %v", q.Method, q.URL, user, password, q.Header, body, err)
		}
		switch code := int(status.Load()); code {
		case 0:
			<-stuck
		case 1:
			panic(http.ErrAbortHandler)
		case 302:
			http.Redirect(a, q, "/elsewhere?"+canary, code)
		default:
			a.WriteHeader(code)
			fmt.Fprintf(a, "what is %s to me, said %s", q.URL, password)
		}
	}))
	defer srv.Close()
	defer close(stuck)
	address := strings.Replace(srv.URL, "://", "://joe:"+canary+"1@", 1) + "/services/" + canary + "2?token=" + canary + "3"
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, tt := range []struct {
		status int32
		says   string // empty for one that takes it
	}{
		{200, ""}, {204, ""}, {500, srv.URL + ": answered 500: what is "}, {403, "answered 403"}, {302, "answered 302, a redirect, which is not followed"}, {1, "EOF"}, {0, "not done after 1s"},
	} {
		w := newWorld(t)
		status.Store(tt.status)
		requests.Store(0)
		w.OnPublish, w.OnPublishTimeout = Hook{URL: address}, Duration(patience)
		if tt.status == 0 {
			w.OnPublishTimeout = Duration(time.Second)
		}
		w.drop("foo", "1.0", intaketest.Opts{})
		r := w.build(0, Options{Log: log})
		if tt.says == "" {
			if len(r.Problems) > 0 || r.Hook == nil {
				t.Errorf("%d: %+v\n%s", tt.status, r.Hook, problemText(r))
			}
			w.build(0)
		} else {
			w.tells(r, "warning", tt.says)
		}
		if n := requests.Load(); n != 1 {
			t.Errorf("%d: %d requests", tt.status, n)
		}
		if found := w.whoHas("state", "site"); len(found) > 0 || strings.Contains(problemText(r), canary) {
			t.Errorf("%d: the secret is in %q\n%s", tt.status, found, problemText(r))
		}
	}
	srv.CloseClientConnections()
	w := newWorld(t)
	w.OnPublish, w.OnPublishTimeout = Hook{URL: "http://joe:" + canary + "@127.0.0.1:1/" + canary}, Duration(patience)
	w.drop("foo", "1.0", intaketest.Opts{})
	w.tells(w.build(0, Options{Log: log}), "warning", "http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused")
	if found := w.whoHas("state", "site"); len(found) > 0 || strings.Contains(logged.String(), canary) {
		t.Errorf("the secret is in %q or the log\n%s", found, logged.String())
	}
}

func TestHookSettings(t *testing.T) {
	for _, tt := range []struct{ line, says string }{
		{`on_publish = ["purge", ""]`, ""},
		{`on_publish = []`, ""},
		{`on_publish = ""`, ""},
		{`on_publish = "https://joe:canary4711@h/x?y"`, ""},
		{"on_publish_timeout = \"1h\"", ""},
		{`on_publish = ["", "x"]`, "the first word"},
		{`on_publish = ["x", 1]`, "each in quotes"},
		{`on_publish = ["canary4711\u0000"]`, "each in quotes"},
		{`on_publish = true`, "want the words of a command"},
		{`on_publish = "/usr/bin/purge canary4711"`, "a command is a list of words"},
		{`on_publish = "ftp://joe:canary4711@h/"`, "http or https address"},
		{`on_publish = "https://joe:can%zzary4711@h/canary4711"`, "http or https address"},
		{`on_publish = "https:///canary4711"`, "http or https address"},
		{`on_publish_timeout = "0s"`, "on_publish_timeout 0s"},
		{`on_publish_timeout = "2h"`, "one hour at most"},
	} {
		w := newWorld(t)
		w.write("nestgen.toml", tt.line+"\n")
		c, err := Load(w.path("nestgen.toml"))
		if err == nil {
			err = c.Resolve()
		}
		if (err == nil) != (tt.says == "") || err != nil && (!strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), canary) || Status(err) != 2) {
			t.Errorf("%s: %v, want %q", tt.line, err, tt.says)
		}
	}
	if c := Default(); !c.OnPublish.IsZero() || c.OnPublishTimeout != Duration(30*time.Second) {
		t.Errorf("%+v, %s", c.OnPublish, c.OnPublishTimeout)
	}
}

// A hook hears of a thousand projects, and how many more there are.
func TestHookIsToldOfManyProjects(t *testing.T) {
	w := newWorld(t)
	w.build(0)
	cat, err := catalog.Open(w.catalogFile())
	if err != nil {
		t.Fatal(err)
	}
	defer cat.Close()
	const many = toldProjects + 5
	err = cat.Update(t.Context(), Now(), func(tx *catalog.Tx) error {
		for i := range many {
			n := fmt.Sprintf("p%04d", i)
			for _, display := range []string{n, strings.ToUpper(n)} { // another spelling is an event
				if err := tx.Claim(packaging.Name(n), display, "local"); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.publication(t.Context(), cat, 1, many)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Projects) != toldProjects || p.More != 4 || p.Projects[0].Name != "p0001" || p.Projects[999].Name != "p1000" || p.Projects[0].Events[catalog.Mark] != 1 {
		t.Errorf("%d projects from %s, %d more", len(p.Projects), p.Projects[0].Name, p.More)
	}
	if p, err := w.publication(t.Context(), cat, 3, 4); err != nil || len(p.Projects) != 1 || p.Projects[0].Name != "p0003" || p.More != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

// A log that nobody can sign is tried again by every build. The hook is not told.
func TestHookIsNotToldOfALogThatIsNotPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hookScript(`cat > told`)
	if _, err := NewKey(w.Config, "packages.example.org"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(w.path("state/keys/own"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.drop("foo", "1.0", intaketest.Opts{})
	w.build(3)
	if w.hears("told") == nil {
		t.Error("not told")
	}
	w.build(3)
	if p := w.hears("told"); p != nil {
		t.Errorf("nothing was published, and told %+v", p)
	}
}
