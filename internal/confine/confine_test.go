package confine_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nestgen"
	"nestgen/internal/confine"
)

// An attempt is something that a confined process tries.
type attempt struct {
	about   string
	allowed bool
	needs   func(confine.Got) bool
	try     func(w world) error
}

// A world is where a child of the tests lives: the folder dir has its settings,
// its site and what else there is.
type world struct {
	dir          string
	parent       int
	open, closed string // addresses that something listens at
	before       func() error
	live         *nestgen.Live
}

func (w world) read(name string) error {
	_, err := os.ReadFile(filepath.Join(w.dir, name))
	return err
}

func (w world) write(name string) error {
	return os.WriteFile(filepath.Join(w.dir, name), []byte("x"), 0o644)
}

func dial(address string) error {
	d := net.Dialer{Timeout: 10 * time.Second}
	c, err := d.DialContext(context.Background(), "tcp", address)
	if err == nil {
		err = c.Close()
	}
	return err
}

var attempts = []attempt{
	{about: "reads its settings", allowed: true, try: func(w world) error { return w.read("etc/nestgen.toml") }},
	{about: "reads its tokens", allowed: true, try: func(w world) error { return w.read("etc/tokens") }},
	{about: "reads what the allowlist names", allowed: true, try: func(w world) error { return w.read("lists/more.txt") }},
	{about: "reads what was dropped", allowed: true, try: func(w world) error { return w.read("drop/sub/a-1.0.zip") }},
	{about: "reads credentials", allowed: true, try: func(w world) error { return w.read("keys/credentials") }},
	{about: "reads a local upstream", allowed: true, try: func(w world) error { return w.read("mirror/index.html") }},
	{about: "reads the other local upstream", allowed: true, try: func(w world) error { return w.read("mirror two/index.html") }},
	{about: "writes to the site", allowed: true, try: func(w world) error { return w.write("site/index.html") }},
	{about: "makes a folder of the site", allowed: true, try: func(w world) error { return os.MkdirAll(filepath.Join(w.dir, "site/simple/a"), 0o755) }},
	{about: "takes an upload", allowed: true, try: func(w world) error { return w.write("uploads/a-1.0.zip") }},
	{about: "moves from the state to the site", allowed: true, try: func(w world) error {
		if err := w.write("state/staged"); err != nil {
			return err
		}
		return os.Rename(filepath.Join(w.dir, "state/staged"), filepath.Join(w.dir, "site/exposed"))
	}},
	{about: "links from the state to the site", allowed: true, try: func(w world) error {
		if err := w.write("state/staged"); err != nil {
			return err
		}
		return os.Link(filepath.Join(w.dir, "state/staged"), filepath.Join(w.dir, "site/linked"))
	}},
	{about: "removes", allowed: true, try: func(w world) error { return os.Remove(filepath.Join(w.dir, "site/linked")) }},
	{about: "opens the site and takes an upload", allowed: true, try: func(w world) error {
		f, err := w.live.Stage(context.Background())
		if err != nil {
			return err
		}
		err = w.live.Upload(context.Background(), nestgen.Uploaded{File: f, Filename: "a-1.0.tar.gz", Project: "a", SHA256: fmt.Sprintf("%x", sha256.Sum256(nil))})
		if refusal, ok := errors.AsType[*nestgen.Refusal](err); !ok || refusal.Cause != nestgen.Invalid {
			return fmt.Errorf("of an empty file: %w", err)
		}
		return nil
	}},
	{about: "asks its upstreams", allowed: true, try: func(w world) error {
		err := w.live.Project(context.Background(), "demo")
		if refusal, ok := errors.AsType[*nestgen.Refusal](err); !ok || refusal.Cause != nestgen.NotHere {
			return fmt.Errorf("of what nobody has: %w", err)
		}
		return nil
	}},
	{about: "makes a temporary file", allowed: true, try: func(w world) error { return w.write("tmp/sorted") }},
	{about: "knows certificates", allowed: true, try: func(world) error {
		pool, err := x509.SystemCertPool()
		if err == nil && pool.Equal(x509.NewCertPool()) && exists("/etc/ssl/certs/ca-certificates.crt") {
			err = errors.New("none")
		}
		return err
	}},
	{about: "reads who resolves names", allowed: true, try: func(world) error { return readIfThere("/etc/resolv.conf") }},
	{about: "reads the hosts", allowed: true, try: func(world) error { return readIfThere("/etc/hosts") }},
	{about: "connects to the upstream", allowed: true, try: func(w world) error { return dial(w.open) }},

	{about: "reads beside its settings", try: func(w world) error { return w.read("etc/other") }},
	{about: "reads something else", try: func(w world) error { return w.read("secret") }},
	{about: "lists where it is", try: func(w world) error { _, err := os.ReadDir(w.dir); return err }},
	{about: "reads through a link of the site", try: func(w world) error { return w.read("site/link") }},
	{about: "reads what runs here", try: func(world) error {
		_, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", os.Getppid()))
		return err
	}},
	{about: "writes its settings", try: func(w world) error { return w.write("etc/nestgen.toml") }},
	{about: "writes a token", try: func(w world) error { return w.write("etc/tokens") }},
	{about: "writes to the drop folder", try: func(w world) error { return w.write("drop/b-1.0.zip") }},
	{about: "writes something else", try: func(w world) error { return w.write("new") }},
	{about: "writes a certificate", try: func(world) error { return os.WriteFile("/etc/ssl/certs/nestgen-test.pem", nil, 0o644) }},
	{about: "moves something out", try: func(w world) error {
		return os.Rename(filepath.Join(w.dir, "site/exposed"), filepath.Join(w.dir, "exposed"))
	}},
	{about: "removes something else", try: func(w world) error { return os.Remove(filepath.Join(w.dir, "secret")) }},
	{about: "truncates something else", needs: func(g confine.Got) bool { return g.ABI >= 3 },
		try: func(w world) error { return os.Truncate(filepath.Join(w.dir, "secret"), 0) }},
	{about: "makes a link in the site", try: func(w world) error { return os.Symlink("/etc/passwd", filepath.Join(w.dir, "site/trap")) }},
	{about: "makes a FIFO in the site", try: func(w world) error { return syscall.Mkfifo(filepath.Join(w.dir, "site/fifo"), 0o644) }},
	{about: "starts a program", try: func(world) error { return exec.Command("/bin/true").Run() }},
	{about: "starts what it has written", try: func(w world) error {
		file := filepath.Join(w.dir, "site/program")
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o755); err != nil {
			return nil // which is not what is expected
		}
		return exec.Command(file).Run()
	}},
	{about: "connects to another port", needs: func(g confine.Got) bool { return g.Connections }, try: func(w world) error { return dial(w.closed) }},
	{about: "listens", needs: func(g confine.Got) bool { return g.Connections }, try: func(world) error {
		var c net.ListenConfig
		c.SetMultipathTCP(false)
		l, err := c.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err == nil {
			err = l.Close()
		}
		return err
	}},
	{about: "signals its parent", needs: func(g confine.Got) bool { return g.Signals }, try: func(w world) error { return syscall.Kill(w.parent, 0) }},
	{about: "reads something else in a thread of before", try: func(w world) error { return w.before() }},
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func readIfThere(name string) error {
	if !exists(name) {
		return nil
	}
	_, err := os.ReadFile(name)
	return err
}

// A report is what a child tells of itself.
type report struct {
	Got      confine.Got
	Name     string // of what it got
	Took     time.Duration
	Failures map[string]string // by what was attempted; "denied" for what the kernel did not allow
}

// The binary of the tests is the confined process when it is told so.
func TestMain(m *testing.M) {
	if os.Getenv("CONFINE_TEST_DIR") == "" {
		os.Exit(m.Run())
	}
	r, err := confined()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func confined() (r report, err error) {
	w := world{dir: os.Getenv("CONFINE_TEST_DIR"), parent: os.Getppid(), open: os.Getenv("CONFINE_TEST_OPEN"), closed: os.Getenv("CONFINE_TEST_CLOSED")}
	c, err := nestgen.Load(filepath.Join(w.dir, "etc/nestgen.toml"))
	if err != nil {
		return r, err
	}
	if err := c.Resolve(); err != nil {
		return r, err
	}
	w.live = nestgen.Join(c, nil) // which opens nothing yet
	defer w.live.Close()

	// Threads of before have to be confined as well.
	const threads = 8
	restricted := make(chan struct{})
	failed := make(chan error, threads)
	var ready sync.WaitGroup
	for range threads {
		ready.Add(1)
		go func() {
			runtime.LockOSThread()
			ready.Done()
			<-restricted
			failed <- w.read("secret")
		}()
	}
	ready.Wait()
	w.before = func() error {
		close(restricted)
		for range threads {
			if err := <-failed; !errors.Is(err, syscall.EACCES) {
				return err
			}
		}
		return syscall.EACCES
	}
	start := time.Now()
	r.Got, err = confine.Restrict(confine.For(c))
	r.Took = time.Since(start)
	if err != nil {
		return r, err
	}
	r.Name = r.Got.String()
	r.Failures = map[string]string{}
	for _, a := range attempts {
		switch err := a.try(w); {
		case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
			r.Failures[a.about] = "denied"
		case err != nil:
			r.Failures[a.about] = err.Error()
		}
	}
	return r, nil
}

// A confined process can do what it needs, and none of what it does not.
func TestRestrict(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listen := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l.Addr().String()
	}
	upstream := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(upstream.Close)
	open, closed := upstream.Listener.Addr().String(), listen()
	put("etc/nestgen.toml", fmt.Sprintf(`site = "../site"
state = "../state"
uploads = "../uploads"
drop = ["../drop"]
allowlist = ["../lists/allow.txt"]
[[upstream]]
name = "one"
url = "http://%s/simple/"
credentials = "../keys/credentials"
[[upstream]]
name = "two"
url = "../mirror"
[[upstream]]
name = "three"
url = "file://%s/mirror%%20two/"
[[project]]
name = "a"
sources = "local"
[[on_demand]]
pattern = "*"
mode = "fetch"
[fallback]
free = "0B"
`, open, dir))
	for _, name := range []string{"etc/policy.toml", "etc/tokens", "etc/other", "lists/allow.txt", "lists/more.txt", "drop/sub/a-1.0.zip", "keys/credentials",
		"mirror/index.html", "mirror two/index.html", "uploads/.keep", "site/.keep", "state/.keep", "tmp/.keep", "secret"} {
		put(name, "")
	}
	put("keys/credentials", "user:password\n")
	if err := os.Symlink("../secret", filepath.Join(dir, "site/link")); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = []string{"CONFINE_TEST_DIR=" + dir, "CONFINE_TEST_OPEN=" + open, "CONFINE_TEST_CLOSED=" + closed, "TMPDIR=" + filepath.Join(dir, "tmp"), "PATH=/usr/bin:/bin"}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}

	t.Logf("got %s in %s", r.Name, r.Took)
	if !r.Got.Files {
		for about, fault := range r.Failures {
			t.Logf("%s: %s", about, fault)
		}
		t.Skipf("this kernel's Landlock (version %d) cannot be used", r.Got.ABI)
	}
	for _, a := range attempts {
		if a.needs != nil && !a.needs(r.Got) {
			continue
		}
		want := "denied"
		if a.allowed {
			want = ""
		}
		if got := r.Failures[a.about]; got != want {
			t.Errorf("%s: %q, want %q", a.about, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "secret")); err != nil {
		t.Error(err)
	}
}

// What the settings name is within the limits, at whichever port it is.
func TestFor(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "proxy.example:3129")
	t.Setenv("SSL_CERT_DIR", "/opt/certs:/opt/more")
	t.Setenv("SSL_CERT_FILE", "/opt/ca.pem")
	l := confine.For(nestgen.Config{
		Site: "/srv/site", State: "/srv/state", Uploads: "/srv/uploads", File: "/etc/nestgen/nestgen.toml", Netrc: "/etc/nestgen/netrc", Templates: "/srv/templates",
		Upstreams: []nestgen.Upstream{
			{URL: "https://a.example:8443/simple/"}, {URL: "http://b.example/"}, {URL: "http://[::1]:3141/root/"}, {URL: "https://c.example", Proxy: "env", CAFile: "/etc/nestgen/ca.pem"},
			{URL: "https://d.example", Proxy: "http://proxy.example:3128"}, {URL: "https://d.example", Proxy: "proxy.example:3127"}, {URL: "https://d.example", Proxy: "socks5://proxy.example"},
			{URL: "https://e.example:99999/"}, {URL: "/srv/mirror"},
		},
	})
	if want := []uint16{80, 443, 1080, 3127, 3128, 3129, 3141, 8443}; !slices.Equal(l.Ports, want) {
		t.Errorf("ports %v, want %v", l.Ports, want)
	}
	for _, want := range []string{"/etc/nestgen/nestgen.toml", "/etc/nestgen/netrc", "/etc/nestgen/ca.pem", "/srv/templates", "/srv/mirror", "/opt/certs", "/opt/more", "/opt/ca.pem", "/etc/resolv.conf"} {
		if !slices.Contains(l.Read, want) {
			t.Errorf("%s is not among %q", want, l.Read)
		}
	}
	for _, path := range slices.Concat(l.Read, l.Change) {
		if path == "/" || !strings.HasPrefix(path, "/") {
			t.Errorf("it may use %q", path)
		}
	}
}
