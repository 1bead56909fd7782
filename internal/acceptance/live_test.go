package acceptance

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"nestgen/internal/confs"
)

// A liveSite is a site that requests change. It belongs to the user that web
// servers run as, where this is not that user already: Apache runs CGI programs
// as its own.
type liveSite struct {
	site
	root  string // settings, state, uploads and all
	owner *syscall.Credential

	bin   string // nestgen and nestgen-cgi
	stays bool   // nestgen-cgi is a process that answers more than one request
}

var livePrograms = sync.OnceValues(func() (string, error) { return programs("nestgen/cmd/nestgen", "nestgen/cmd/nestgen-cgi") })

// newLiveSite makes an empty site with some settings.
func newLiveSite(t *testing.T, settings string) *liveSite {
	t.Helper()
	bin, err := livePrograms()
	if err != nil {
		t.Fatal(err)
	}
	s := &liveSite{root: sharedDir(t), bin: bin}
	s.dir = filepath.Join(s.root, "site")
	if os.Geteuid() == 0 {
		u, err := user.Lookup("www-data")
		if err != nil {
			t.Fatal(err)
		}
		uid, uerr := strconv.Atoi(u.Uid)
		gid, gerr := strconv.Atoi(u.Gid)
		if uerr != nil || gerr != nil {
			t.Fatalf("user %+v", u)
		}
		s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(s.root, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	mkdir := command(t, "", "mkdir", s.dir)
	mkdir.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	run(t, mkdir)
	s.configure(t, settings)
	return s
}

func (s *liveSite) config() string { return filepath.Join(s.root, "nestgen.toml") }

// configure writes other settings.
func (s *liveSite) configure(t *testing.T, settings string) {
	t.Helper()
	write(t, s.config(), []byte(settings))
}

// nestgen runs the command as the one whom the site belongs to, and gives what it
// prints.
func (s *liveSite) nestgen(t *testing.T, args ...string) string {
	t.Helper()
	cmd := s.command(t, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("nestgen %s: %v\n%s%s", strings.Join(args, " "), err, out, said.Bytes())
	}
	return string(out)
}

func (s *liveSite) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(t, s.root, append([]string{filepath.Join(s.bin, "nestgen"), "-c", s.config()}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	return cmd
}

// token makes a token.
func (s *liveSite) token(t *testing.T, args ...string) string {
	t.Helper()
	return strings.TrimSpace(s.nestgen(t, append([]string{"token", "add"}, args...)...))
}

// webFallbacks are the web servers with the fallback behind them: the files of
// contrib/ in each of the four ways that they are for, at the root of a host and
// below a prefix.
func (s *liveSite) webFallbacks() []kind {
	return []kind{
		{name: "nginx, FastCGI", start: startNginx, fallback: s.nginxFastCGI},
		{name: "nginx, fcgiwrap", prefix: "/python", start: startNginx, fallback: s.nginxFcgiwrap},
		{name: "Apache, mod_proxy_fcgi", prefix: "/python", start: startApache, fallback: s.apacheFastCGI},
		{name: "Apache, mod_cgid", start: startApache, fallback: s.apacheCGI},
		{name: "Apache, mod_cgid below a prefix", prefix: "/python", start: startApache, fallback: s.apacheCGI},
	}
}

// fallbacks are these and "nestgen serve".
func (s *liveSite) fallbacks() []kind {
	return append(s.webFallbacks(), kind{name: "nestgen serve", start: s.startServe})
}

// responder starts nestgen-cgi as a FastCGI responder, and gives its socket.
func (s *liveSite) responder(t *testing.T, dir string) string {
	t.Helper()
	s.stays = true
	cmd := exec.Command(filepath.Join(s.bin, "nestgen-cgi"))
	cmd.Env = []string{"NESTGEN_CONFIG=" + s.config()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	return listening(t, dir, cmd, true)
}

func (s *liveSite) nginxFastCGI(t *testing.T, dir string) []byte {
	return contrib(t, "nginx/nestgen-fallback.conf", "/run/nestgen/fcgi.sock", s.responder(t, dir))
}

func (s *liveSite) nginxFcgiwrap(t *testing.T, dir string) []byte {
	t.Helper()
	cgi := filepath.Join(s.bin, "nestgen-cgi")
	cmd := exec.Command(program(t, "fcgiwrap", "fcgiwrap"), "-f", "-c", "16", "-p", cgi)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	socket := listening(t, dir, cmd, false)
	conf := contrib(t, "nginx/nestgen-fallback.conf", "/run/fcgiwrap.socket", socket, "/usr/local/lib/nestgen/nestgen-cgi", cgi, "/srv/nestgen/nestgen.toml", s.config())
	return takeIn(t, takeOut(t, conf, "The program stays"), "Or fcgiwrap starts it")
}

func (s *liveSite) apacheFastCGI(t *testing.T, dir string) []byte {
	return contrib(t, "apache/nestgen-fallback.conf", "/run/nestgen/fcgi.sock", s.responder(t, dir))
}

func (s *liveSite) apacheCGI(t *testing.T, dir string) []byte {
	t.Helper()
	conf := contrib(t, "apache/nestgen-fallback.conf", "/usr/local/lib/nestgen", s.bin, "/srv/nestgen/nestgen.toml", s.config())
	return takeIn(t, takeOut(t, conf, "The program stays"), "Or Apache starts it")
}

// startServe starts "nestgen serve". It keeps no log of requests.
func (s *liveSite) startServe(t *testing.T, _ kind, _ string) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "nestgen"), "-c", s.config(), "serve", "--listen", "127.0.0.1:0")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Dir, cmd.Env = s.root, []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // ended by a signal
		if t.Failed() {
			t.Logf("nestgen serve:\n%s", said.Bytes())
		}
	})
	m := regexp.MustCompile(`http://[^/]+`).FindString(line)
	if err != nil || m == "" {
		t.Fatalf("nestgen serve says %q: %v\n%s", line, err, said.Bytes())
	}
	return &server{URL: m, capitals: true, log: func() []access { return nil }}
}

// takeIn takes the directives of one paragraph in, and takeOut takes them out. The
// paragraph is the one with some words in it.
func takeIn(t *testing.T, conf []byte, words string) []byte {
	t.Helper()
	return edited(t, confs.TakeIn, conf, words)
}

func takeOut(t *testing.T, conf []byte, words string) []byte {
	t.Helper()
	return edited(t, confs.TakeOut, conf, words)
}

func edited(t *testing.T, edit func([]byte, string) ([]byte, error), conf []byte, words string) []byte {
	t.Helper()
	conf, err := edit(conf, words)
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

// behind runs a test behind each server, with a site of its own. The test starts
// the server when the site is as it should be.
func behind(t *testing.T, servers func(*liveSite) []kind, settings string, f func(t *testing.T, s *liveSite, start func() *server)) {
	for i, k := range servers(new(liveSite)) {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := newLiveSite(t, settings)
			k := servers(s)[i]
			f(t, s, func() *server { return k.start(t, k, s.dir) })
		})
	}
}
