package docstest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/BurntSushi/toml"

	"nestgen"
	"nestgen/allowlist"
	"nestgen/policy"
)

// programs is a folder with the programs that the documents call.
var programs string

func TestMain(m *testing.M) {
	code, err := prepared(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func prepared(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "docstest")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	programs = dir
	for name, pkg := range map[string]string{"nestgen": "./cmd/nestgen", "quickstart": "./examples/quickstart"} {
		build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, name), pkg)
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
	}
	return m.Run(), nil
}

// Every block of every document is what it claims to be.
func TestBlocks(t *testing.T) {
	for _, d := range documents(t) {
		if len(d.blocks) == 0 {
			continue
		}
		t.Run(strings.ReplaceAll(d.name, "/", "_"), func(t *testing.T) {
			t.Parallel()
			r := &reader{document: d, dir: t.TempDir()}
			if strings.Contains(d.text, "<!-- begin: quickstart -->") {
				if out, err := exec.Command(filepath.Join(programs, "quickstart"), r.dir).CombinedOutput(); err != nil {
					t.Fatalf("quickstart: %v\n%s", err, out)
				}
			}
			r.cwd = r.dir
			for _, b := range d.blocks {
				r.block(t, b)
			}
		})
	}
}

// A reader does what a document says, from the beginning to the end.
type reader struct {
	document
	dir    string // where the document begins
	cwd    string // where it is by now
	stdout string // of the last block that was run
}

func (r *reader) block(t *testing.T, b block) {
	t.Helper()
	fault := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s:%d: %s", r.name, b.line, fmt.Sprintf(format, args...))
	}
	if file := b.value("file"); file != "" {
		// A process that another document starts meanwhile has the file open for
		// writing as well, until it becomes a program; a build would find it
		// unfinished.
		syscall.ForkLock.RLock()
		err := os.WriteFile(filepath.Join(r.cwd, file), []byte(b.text), 0o644)
		syscall.ForkLock.RUnlock()
		if err != nil {
			fault("%v", err)
		}
	}
	switch b.lang {
	case "sh":
		r.shell(b, fault)
	case "text":
		if b.has("output") && !matches(b.text, r.stdout) {
			fault("the block before prints:\n%s\nnot:\n%s", r.stdout, b.text)
		}
	case "toml":
		r.toml(t, b, fault)
	case "requirements":
		file := filepath.Join(t.TempDir(), "allowlist.txt")
		if err := os.WriteFile(file, []byte(b.text), 0o644); err != nil {
			fault("%v", err)
		}
		for _, p := range allowlist.Read(allowlist.Sources{}, file).Problems {
			if p.Severity == allowlist.Error {
				fault("%v", p)
			}
		}
	case "cron":
		r.cron(b, fault)
	case "nginx", "apache", "systemd":
		excerpt(b, fault)
	case "ini", "json", "python":
	default:
		fault("no test knows what to do with a block of %q", b.lang)
	}
}

type faultFunc func(format string, args ...any)

func (r *reader) shell(b block, fault faultFunc) {
	switch {
	case b.has("make"):
		makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
		if err != nil {
			fault("%v", err)
		}
		for _, line := range strings.Split(strings.TrimSpace(b.text), "\n") {
			command, _, _ := strings.Cut(line, "#")
			words := strings.Fields(command)
			if len(words) != 2 || words[0] != "make" || !strings.Contains(string(makefile), "\n"+words[1]+":") {
				fault("%q: want \"make TARGET\" with a target of the Makefile", line)
			}
		}
		return
	case b.has("elsewhere"):
		if out, err := exec.Command("bash", "-n", "-c", b.text).CombinedOutput(); err != nil {
			fault("bash cannot read it: %s", out)
		}
		return
	}
	want := 0
	if s := b.value("exit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			fault("exit=%s", s)
		}
		want = n
	}
	out, status := r.run(b.text)
	if status != want {
		fault("ended with status %d, want %d:\n%s", status, want, out)
	}
}

// run runs a script where the document is by now, and remembers what it
// printed and where it ended up.
func (r *reader) run(script string) (all string, status int) {
	end := filepath.Join(r.dir, ".docstest-cwd")
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", "trap 'pwd >"+end+"' EXIT\n"+script)
	cmd.Dir = r.cwd
	cmd.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "HOME="+r.dir, "TERM=dumb", "LC_ALL=C.UTF-8")
	var stdout, both bytes.Buffer
	cmd.Stdout = &tee{&stdout, &both}
	cmd.Stderr = &both
	err := cmd.Run()
	r.stdout = stdout.String()
	if cwd, err := os.ReadFile(end); err == nil {
		r.cwd = strings.TrimSpace(string(cwd))
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return both.String(), exit.ExitCode()
	}
	if err != nil {
		return err.Error(), -1
	}
	return both.String(), 0
}

type tee struct{ a, b *bytes.Buffer }

func (t *tee) Write(p []byte) (int, error) {
	t.a.Write(p)
	return t.b.Write(p)
}

// matches compares an output with what a document shows of it: blanks at the
// end of a line do not count, and a line of three dots stands for any number
// of lines.
func matches(shown, got string) bool {
	var re strings.Builder
	re.WriteString(`\A`)
	for line := range strings.Lines(strings.TrimRight(shown, "\n") + "\n") {
		line = strings.TrimRight(line, " \n")
		if line == "..." {
			re.WriteString(`(?:.*\n)*?`)
		} else {
			re.WriteString(regexp.QuoteMeta(line) + `[ ]*\n`)
		}
	}
	re.WriteString(`\z`)
	return regexp.MustCompile(re.String()).MatchString(strings.TrimRight(got, "\n") + "\n")
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		shown, got string
		want       bool
	}{
		{"a\nb\n", "a  \nb\n", true},
		{"a\n...\nd\n", "a\nb\nc\nd\n", true},
		{"a\n...\n", "a\n", true},
		{"a\n", "a\nb\n", false},
		{"a.c\n", "abc\n", false},
	} {
		if got := matches(tt.shown, tt.got); got != tt.want {
			t.Errorf("matches(%q, %q) = %v", tt.shown, tt.got, got)
		}
	}
}

func (r *reader) toml(t *testing.T, b block, fault faultFunc) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nestgen.toml")
	if err := os.WriteFile(file, []byte(b.text), 0o644); err != nil {
		fault("%v", err)
	}
	switch {
	case b.has("policy"):
		if _, err := policy.Read(file); err != nil {
			fault("%v", err)
		}
	case b.has("client"):
		var v map[string]any
		if _, err := toml.Decode(b.text, &v); err != nil {
			fault("%v", err)
		}
	default:
		c, err := nestgen.Load(file)
		if err == nil {
			err = c.Resolve()
		}
		if err != nil {
			fault("%v", err)
		}
	}
}

// cronLine is a line of /etc/cron.d: five fields, a user, a command.
var cronLine = regexp.MustCompile(`^(?:[\d*/,-]+\s+){5}\S+\s+(.+)$`)

// cron runs the commands of a crontab on the site that the document is about.
func (r *reader) cron(b block, fault faultFunc) {
	for line := range strings.Lines(b.text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || regexp.MustCompile(`^[A-Z]+=`).MatchString(line) {
			continue
		}
		m := cronLine.FindStringSubmatch(line)
		if m == nil {
			fault("%q is no line of /etc/cron.d", line)
			continue
		}
		command := strings.NewReplacer("/srv/nestgen/", r.cwd+"/", "/usr/local/bin/nestgen", filepath.Join(programs, "nestgen")).Replace(m[1])
		if out, status := r.run(command); status != 0 || out != "" {
			fault("%s ended with status %d:\n%s", command, status, out)
		}
	}
}

// excerpt checks that the lines of a block stand, in their order, in one of the
// server configurations that the tests of the servers start.
func excerpt(b block, fault faultFunc) {
	files, err := filepath.Glob(filepath.Join(root, "contrib", b.lang, "*.*"))
	if err != nil || len(files) == 0 {
		fault("contrib/%s: %d files, %v", b.lang, len(files), err)
	}
	lines := func(s string) (out []string) {
		for l := range strings.Lines(s) {
			if l = strings.TrimSpace(l); l != "" && l != "..." {
				out = append(out, l)
			}
		}
		return out
	}
	if !slices.ContainsFunc(files, func(file string) bool {
		data, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		rest := lines(string(data))
		for _, l := range lines(b.text) {
			i := slices.Index(rest, l)
			if i < 0 {
				return false
			}
			rest = rest[i+1:]
		}
		return true
	}) {
		fault("these lines stand in no file of contrib/%s", b.lang)
	}
}
