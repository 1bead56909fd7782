package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nestgen/gateway"
	"nestgen/intake/intaketest"
	"nestgen/internal/confine"
)

// asMain has the test's own binary be the program.
const asMain = "NESTGEN_CGI_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		os.Unsetenv(asMain)
		main()
	}
	os.Exit(m.Run())
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A desk is an index, with what it logs and a clock that the test has.
type desk struct {
	*index
	dir string
	log *bytes.Buffer
	day time.Time
}

// newDesk makes an index of settings, beside a site with a single page.
func newDesk(t *testing.T, settings string) *desk {
	t.Helper()
	d := &desk{dir: t.TempDir(), log: new(bytes.Buffer), day: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	page(t, filepath.Join(d.dir, "site"), "first")
	write(t, filepath.Join(d.dir, "nestgen.toml"), settings)
	d.index = &index{file: filepath.Join(d.dir, "nestgen.toml"), log: newLog(d.log), clock: func() time.Time { return d.day }}
	t.Cleanup(d.close)
	return d
}

// page puts a page into a site.
func page(t *testing.T, site, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(site, "simple/foo"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(site, "simple/foo/index.html"), text)
}

// ask sends a request a second after the last one.
func (d *desk) ask(method, path string) *httptest.ResponseRecorder {
	d.day = d.day.Add(every)
	r := httptest.NewRequest(method, path, nil)
	r = r.WithContext(gateway.With(r.Context(), gateway.Caller{Loopback: true}))
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// What the settings rule out by themselves opens no catalog, and so makes none.
func TestNothingIsOpenedForNothing(t *testing.T) {
	d := newDesk(t, "reserved = ['own-*']\n[[on_demand]]\npattern = 'flask'\nmode = 'fetch'\n[[on_demand]]\npattern = 'own-x'\nmode = 'fetch'\n")
	for path, want := range map[string]int{
		"/simple/foo/": 200, "/simple/nope/": 404, "/project/nope/": 404, "/pypi/nope/json": 404, "/simple/own-x/": 404, "/simple/Nope/": 301,
		"/legacy/": 405, "/": 404, "/nestgen.toml": 404, "/../nestgen.toml": 400,
	} {
		if w := d.ask("GET", path); w.Code != want {
			t.Errorf("GET %s: %d, want %d", path, w.Code, want)
		}
	}
	if w := d.ask("POST", "/legacy/"); w.Code != http.StatusForbidden {
		t.Errorf("an upload where none are taken: %d, want 403", w.Code)
	}
	if _, err := os.Stat(filepath.Join(d.dir, "state")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a state folder: %v", err)
	}
	plain := newDesk(t, "")
	if w := plain.ask("GET", "/packages/00/00/"+strings.Repeat("0", 60)+"/foo-1.0.tar.gz"); w.Code != 404 {
		t.Errorf("a file where nothing comes on demand: %d, want 404", w.Code)
	}
	if _, err := os.Stat(filepath.Join(plain.dir, "state")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a state folder: %v", err)
	}
}

// A site that nobody has built yet begins with the first request.
func TestBeginsEmpty(t *testing.T) {
	d := newDesk(t, "site = 'other'\n")
	if w := d.ask("GET", "/simple/foo/"); w.Code != http.StatusNotFound {
		t.Errorf("%d, want 404\n%s", w.Code, d.log)
	}
	if fi, err := os.Stat(filepath.Join(d.dir, "other")); err != nil || !fi.IsDir() {
		t.Errorf("there is no site: %v", err)
	}
}

func TestChangedSettings(t *testing.T) {
	d := newDesk(t, "title = 'one'\n")
	if w := d.ask("POST", "/legacy/"); w.Code != http.StatusForbidden {
		t.Fatalf("%d, want 403\n%s", w.Code, d.log)
	}
	first := d.now
	d.log.Reset()

	// What cannot be used changes nothing, and is said once.
	write(t, d.file, "titel = 'another'\n")
	for range 3 {
		if w := d.ask("GET", "/simple/foo/"); w.Code != http.StatusOK {
			t.Errorf("with broken settings: %d, want 200", w.Code)
		}
	}
	if got := d.log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "unknown setting") {
		t.Errorf("log:\n%s", got)
	}
	if d.now != first {
		t.Error("the first settings do not hold any more")
	}

	// Within a second of the last look nobody looks again.
	write(t, d.file, "uploads = 'uploads'\n")
	e, err := d.enter()
	if err != nil || e != first {
		t.Errorf("%p, %v, want %p", e, err, first)
	}
	if w := d.ask("POST", "/legacy/"); w.Code != http.StatusUnauthorized {
		t.Errorf("with other settings: %d, want 401", w.Code)
	}
	if d.now == first || first.users != 1 {
		t.Errorf("the first settings hold; %d users", first.users)
	}
	// The request that goes on under the first settings still has its tree.
	status := func() int {
		w := httptest.NewRecorder()
		first.handler.ServeHTTP(w, httptest.NewRequest("GET", "/simple/foo/", nil))
		return w.Code
	}
	if got := status(); got != http.StatusOK {
		t.Errorf("%d: the tree was closed under a request", got)
	}
	d.leave(e)
	if got := status(); got != http.StatusNotFound {
		t.Errorf("%d: the tree was not closed after the last request", got)
	}
	if w := d.ask("GET", "/simple/foo/"); w.Code != http.StatusOK {
		t.Errorf("%d, want 200", w.Code)
	}

	// Settings that go away do not take the index with them.
	if err := os.Remove(d.file); err != nil {
		t.Fatal(err)
	}
	if w := d.ask("GET", "/simple/foo/"); w.Code != http.StatusOK {
		t.Errorf("without settings: %d, want 200", w.Code)
	}
}

// A site or a state that somebody puts in the place of another one counts.
func TestReplacedSite(t *testing.T) {
	d := newDesk(t, "")
	if w := d.ask("GET", "/simple/foo/"); w.Body.String() != "first" {
		t.Fatalf("%q", w.Body)
	}
	e := d.now
	if d.ask("GET", "/simple/foo/"); d.now != e {
		t.Error("opened again without a reason")
	}
	site := filepath.Join(d.dir, "site")
	if err := os.Rename(site, site+".old"); err != nil {
		t.Fatal(err)
	}
	page(t, site, "second")
	if w := d.ask("GET", "/simple/foo/"); w.Body.String() != "second" {
		t.Errorf("%q after another site was put into place", w.Body)
	}
	e = d.now
	for _, name := range []string{"state", "state/catalog.db"} {
		path := filepath.Join(d.dir, name)
		if name == "state" {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, path, "")
		}
		if d.ask("GET", "/simple/foo/"); d.now == e {
			t.Errorf("%s is new, and nobody has noticed", name)
		}
		e = d.now
	}
}

// program runs the program with an environment and a standard input.
func program(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append([]string{asMain + "=1"}, env...)
	cmd.Dir = t.TempDir()
	var out, faults bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &faults
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return out.String(), faults.String(), code
}

func request(path string, more ...string) []string {
	return append([]string{"GATEWAY_INTERFACE=CGI/1.1", "REQUEST_METHOD=GET", "SCRIPT_NAME=/-nest", "PATH_INFO=" + path, "SERVER_NAME=localhost", "SERVER_PORT=80", "REMOTE_ADDR=192.0.2.7"}, more...)
}

// Contract CGI-13: without settings there is no index, and where they should be
// is told to nobody but the log.
func TestWithoutSettings(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "wrong.toml"), "nonsense = 1\n")
	for name, tt := range map[string]struct{ config, log string }{
		"missing":  {filepath.Join(dir, "nestgen.toml"), "no such file"},
		"wrong":    {filepath.Join(dir, "wrong.toml"), "unknown setting"},
		"relative": {"nestgen.toml", "want an absolute path"},
		"none":     {"", config},
	} {
		out, said, code := program(t, request("/simple/foo/", "NESTGEN_CONFIG="+tt.config))
		if !strings.HasPrefix(out, "Status: 500 This index is not set up;") || strings.Contains(out, dir) || strings.Contains(out, ".toml") || code != 0 {
			t.Errorf("%s: status %d, %s", name, code, out)
		}
		if !strings.HasPrefix(said, "nestgen-cgi: level=ERROR ") || !strings.Contains(said, tt.log) || strings.Count(said, "\n") != 1 {
			t.Errorf("%s: log:\n%s", name, said)
		}
	}
}

// Nothing that a client can choose is looked at but its request: no argument, no
// field of the header, whatever it is called.
func TestOnlyTheRequestCounts(t *testing.T) {
	d := newDesk(t, "")
	want, said, code := program(t, request("/simple/foo/", "NESTGEN_CONFIG="+d.file))
	if !strings.HasPrefix(want, "Status: 200") || !strings.HasSuffix(want, "\r\n\r\nfirst") || said != "" || code != 0 {
		t.Fatalf("status %d\n%s\n%s", code, want, said)
	}
	for _, args := range [][]string{{"--help"}, {"-c", "/etc/passwd"}, {"build"}, {"--config=/etc/passwd"}, {"-test.v"}, {""}} {
		if got, said, code := program(t, request("/simple/foo/", "NESTGEN_CONFIG="+d.file), args...); got != want || said != "" || code != 0 {
			t.Errorf("with the arguments %q: status %d\n%s\n%s", args, code, got, said)
		}
	}
	fields := []string{"HTTP_NESTGEN_CONFIG=/etc/passwd", "HTTP_NESTGEN_LISTEN=:1", "NESTGEN_LISTEN=127.0.0.1:1", "HTTP_X_NESTGEN_AUTH=server"}
	if got, _, _ := program(t, request("/simple/foo/", append(fields, "NESTGEN_CONFIG="+d.file)...)); got != want {
		t.Errorf("with fields: %s", got)
	}
}

func TestFromAShell(t *testing.T) {
	out, said, code := program(t, nil)
	if out != "" || code != 2 || !strings.Contains(said, "started by a web server") {
		t.Errorf("status %d\n%s\n%s", code, out, said)
	}
	out, said, code = program(t, []string{"NESTGEN_LISTEN=/nowhere/fcgi.sock"})
	if out != "" || code != 1 || !strings.Contains(said, "/nowhere/fcgi.sock") {
		t.Errorf("status %d\n%s\n%s", code, out, said)
	}
}

// A CGI program reaches only what its settings name, unless it is let: a project
// comes on demand that a list names beside that of the settings, and not one that
// a list elsewhere does. The first request of all makes the state.
func TestConfined(t *testing.T) {
	if !confine.Available().Files {
		t.Skip("this kernel's Landlock cannot be used")
	}
	d := newDesk(t, `uploads = "uploads"
allowlist = ["allow.txt"]
[[on_demand]]
pattern = "*"
mode = "list"
[[upstream]]
name = "up"
url = "mirror"
form = "index"
[fallback]
free = "0B"
`)
	if err := os.Mkdir(filepath.Join(d.dir, "uploads"), 0o700); err != nil { // as a build does
		t.Fatal(err)
	}
	far := filepath.Join(t.TempDir(), "far.txt")
	write(t, far, "one\n")
	write(t, filepath.Join(d.dir, "near.txt"), "one\n")
	folder := filepath.Join(d.dir, "mirror/one")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	name, data := intaketest.Wheel("one", "1.0", intaketest.Opts{})
	write(t, filepath.Join(folder, name), string(data))
	write(t, filepath.Join(folder, "index.html"), fmt.Sprintf("<a href=\"%s#sha256=%x\">%[1]s</a>", name, sha256.Sum256(data)))
	status := func(path string, more ...string) string {
		out, said, code := program(t, request(path, append(more, "NESTGEN_CONFIG="+d.file)...))
		if code != 0 {
			t.Errorf("status %d\n%s\n%s", code, out, said)
		}
		status, _, _ := strings.Cut(out, "\r\n")
		return status
	}
	for _, tt := range []struct {
		about, list, want string
		env               []string
	}{
		{"no list, the first request", "", "404 Not Found", nil},
		{"a list elsewhere", far, "503 it cannot be had at the moment", nil},
		{"a list elsewhere, not confined", far, "200 OK", []string{"NESTGEN_CONFINE=no"}},
		{"a list beside it", "near.txt", "200 OK", nil},
	} {
		list := ""
		if tt.list != "" {
			list = "-r " + tt.list + "\n"
		}
		write(t, filepath.Join(d.dir, "allow.txt"), list)
		forget(t, d.dir)
		if got := status("/simple/one/", tt.env...); got != "Status: "+tt.want {
			t.Errorf("%s: %s, want %s", tt.about, got, tt.want)
		}
		if left, err := filepath.Glob(filepath.Join(d.dir, "state/stage/*")); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %q, %v", tt.about, left, err)
		}
	}
}

// forget takes out of a site what came on demand, and what was remembered of it.
func forget(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"site/simple/one", "state/demand"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// Each process of CGI ends without closing the catalog, and leaves its log to the
// next one. It does not grow for ever all the same.
func TestLogDoesNotPileUp(t *testing.T) {
	const files, mostLog = 400, 1 << 20
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.Trim(r.URL.Path, "/")
		var list []string
		for i := range files {
			list = append(list, fmt.Sprintf(`{"filename":"%s-1.%d.tar.gz","url":"%[1]s-1.%[2]d.tar.gz","size":1,"hashes":{"sha256":"%x"}}`, name, i, sha256.Sum256([]byte(fmt.Sprint(name, i)))))
		}
		w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
		fmt.Fprintf(w, `{"meta":{"api-version":"1.0"},"name":%q,"files":[%s]}`, name, strings.Join(list, ","))
	}))
	defer up.Close()
	d := newDesk(t, fmt.Sprintf("[[on_demand]]\npattern = \"*\"\nmode = \"fetch\"\n[[upstream]]\nname = \"up\"\nurl = %q\n[fallback]\nfree = \"0B\"\n", up.URL+"/"))
	if err := os.RemoveAll(filepath.Join(d.dir, "site")); err != nil {
		t.Fatal(err)
	}
	length := func() int64 {
		fi, err := os.Stat(filepath.Join(d.dir, "state/catalog.db-wal"))
		if err != nil {
			return 0
		}
		return fi.Size()
	}
	var lengths []int64
	shorter := false
	for i := range 6 {
		before := length()
		out, said, code := program(t, request(fmt.Sprintf("/simple/big-%d/", i), "NESTGEN_CONFIG="+d.file))
		if code != 0 || !strings.HasPrefix(out, "Status: 200") || strings.Count(out, "<a href=") != files {
			t.Fatalf("request %d: status %d\n%.300s\n%s", i, code, out, said)
		}
		lengths = append(lengths, length())
		shorter = shorter || length() < before
		if length() > mostLog {
			t.Errorf("request %d leaves a log of %d bytes, want %d at most", i, length(), mostLog)
		}
	}
	if !shorter {
		t.Errorf("logs of %v bytes: they never got long, which this test wants them to", lengths)
	}
}
