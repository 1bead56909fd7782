package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"nestgen/internal/confs"
)

// A way is a web server and how it has nestgen-cgi answer.
type way struct {
	name  string
	needs []needed
	start func(l *lab, ctx context.Context, s *lazySite, w *web) error
}

// A needed is a program that a measurement cannot do without, and the Debian
// package that has it.
type needed struct{ name, debian string }

var (
	needsNginx  = needed{"nginx", "nginx-light"}
	needsWrap   = needed{"fcgiwrap", "fcgiwrap"}
	needsApache = needed{"apache2", "apache2"}
)

var (
	nginxCGI     = way{"nginx, fcgiwrap", []needed{needsNginx, needsWrap}, (*lab).nginxCGI}
	nginxFastCGI = way{"nginx, FastCGI", []needed{needsNginx}, (*lab).nginxFastCGI}
	apacheCGI    = way{"Apache, mod_cgid", []needed{needsApache}, (*lab).apacheCGI}
)

// find gives the path of a program, also where only root looks for it; empty if
// there is none.
func find(name string) string {
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"} {
		path := filepath.Join(dir, name)
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// lacks says what a way needs and this machine has not; empty if it has all.
func (w *way) lacks() string {
	for _, n := range w.needs {
		if find(n.name) == "" {
			return fmt.Sprintf("%s is not installed (Debian package %s)", n.name, n.debian)
		}
	}
	return ""
}

// webUser gives the user that web servers run as where root starts them; nil where
// they run as whoever starts them.
func webUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("www-data")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// A lazySite is an empty site whose projects come on demand.
type lazySite struct {
	root   string // with the settings, the site and the state
	dir    string // the site
	config string
}

// newLazySite makes a site in front of an upstream. No name that begins with
// "own-" comes on demand.
func (l *lab) newLazySite(name string, x *index) (*lazySite, error) {
	root, err := l.shared(name)
	if err != nil {
		return nil, err
	}
	s := &lazySite{root, filepath.Join(root, "site"), filepath.Join(root, "nestgen.toml")}
	// With nothing kept free it does not matter how large the place is.
	const settings = `people = false
legacy_json = "none"
[[upstream]]
name = "far"
url = %q
[[on_demand]]
pattern = "own-*"
mode = "never"
[[on_demand]]
pattern = "*"
mode = "fetch"
[fallback]
free = "0"
deadline = "3m"
`
	return s, os.WriteFile(s.config, fmt.Appendf(nil, settings, x.url), 0o644)
}

// A web is a web server that runs, in front of a site.
type web struct {
	name string
	url  string // of the site, without a slash at its end
	dir  string // for the configuration and all that it needs
	root string // what it takes for the site
	log  string

	running []*running
}

// serveLazily starts a web server in front of a site. With blind it is shown an
// empty folder for the site, and so asks nestgen-cgi for everything.
func (l *lab) serveLazily(ctx context.Context, way way, s *lazySite, blind bool) (*web, error) {
	name := filepath.Base(s.root) + "-web"
	if blind {
		name += "-blind"
	}
	dir, err := l.shared(name)
	if err != nil {
		return nil, err
	}
	w := &web{name: way.name, dir: dir, root: s.dir, log: filepath.Join(dir, "access.log")}
	if blind {
		w.root = filepath.Join(dir, "empty")
	}
	if err := os.MkdirAll(w.root, 0o755); err != nil {
		return nil, err
	}
	if l.owner != nil {
		if err := os.Chown(w.root, int(l.owner.Uid), int(l.owner.Gid)); err != nil {
			return nil, err
		}
	}
	if err := way.start(l, ctx, s, w); err != nil {
		w.close()
		return nil, fmt.Errorf("%s: %w", way.name, err)
	}
	return w, nil
}

// close ends the server and all that was started for it, in turn.
func (w *web) close() {
	for i := len(w.running) - 1; i >= 0; i-- {
		w.running[i].end()
	}
	w.running = nil
}

// wrapped is how many requests fcgiwrap answers at once.
const wrapped = 4

func (l *lab) nginxCGI(ctx context.Context, s *lazySite, w *web) error {
	socket := filepath.Join(w.dir, "fcgiwrap.sock")
	cmd := exec.Command(find("fcgiwrap"), "-f", "-c", strconv.Itoa(wrapped), "-p", l.cgi, "-s", "unix:"+socket)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: l.owner}
	if err := w.run(ctx, cmd, "unix", socket); err != nil {
		return err
	}
	conf, err := confs.Read(l.module, "nginx/nestgen-fallback.conf",
		"/run/fcgiwrap.socket", socket, "/usr/local/lib/nestgen/nestgen-cgi", l.cgi, "/srv/nestgen/nestgen.toml", s.config)
	if err == nil {
		conf, err = confs.TakeOut(conf, "The program stays")
	}
	if err == nil {
		conf, err = confs.TakeIn(conf, "Or fcgiwrap starts it")
	}
	if err != nil {
		return err
	}
	return l.nginx(ctx, w, conf)
}

func (l *lab) nginxFastCGI(ctx context.Context, s *lazySite, w *web) error {
	socket := filepath.Join(w.dir, "fcgi.sock")
	cmd := exec.Command(l.cgi)
	cmd.Env = []string{"NESTGEN_CONFIG=" + s.config, "NESTGEN_LISTEN=" + socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: l.owner}
	if err := w.run(ctx, cmd, "unix", socket); err != nil {
		return err
	}
	conf, err := confs.Read(l.module, "nginx/nestgen-fallback.conf", "/run/nestgen/fcgi.sock", socket)
	if err != nil {
		return err
	}
	return l.nginx(ctx, w, conf)
}

// nginx starts nginx with the files of contrib/nginx, of which that about the
// fallback is given.
func (l *lab) nginx(ctx context.Context, w *web, fallback []byte) error {
	asUser := ""
	if l.owner != nil {
		asUser = "user www-data;\n"
	}
	return w.attempt(ctx, func(port string) (*exec.Cmd, error) {
		file := func(name string) string { return filepath.Join(w.dir, name) }
		maps, merr := confs.Read(l.module, "nginx/nestgen-maps.conf", "/etc/nginx", w.dir)
		host, herr := confs.Read(l.module, "nginx/nestgen.conf", "/srv/nestgen/site", w.root, "listen 80;", "listen 127.0.0.1:"+port+";",
			"    listen [::]:80;\n", "", "location @nestgen_missing { return 404; }", "",
			"#include /etc/nginx/nestgen-fallback.conf;", "include "+file("nestgen-fallback.conf")+";")
		conf := fmt.Sprintf(`%[1]sworker_processes 1;
daemon off;
pid %[2]s/nginx.pid;
error_log %[2]s/error.log;
events { worker_connections 256; }
http {
    sendfile on;
    client_body_temp_path %[2]s/body;
    proxy_temp_path %[2]s/proxy;
    fastcgi_temp_path %[2]s/fastcgi;
    uwsgi_temp_path %[2]s/uwsgi;
    scgi_temp_path %[2]s/scgi;
    log_format bench '$request\t$status\t$upstream_addr';
    access_log %[3]s bench;
    include nestgen-maps.conf;
    include nestgen.conf;
}
`, asUser, w.dir, w.log)
		if err := errors.Join(merr, herr,
			os.WriteFile(file("nestgen-fallback.conf"), fallback, 0o644), os.WriteFile(file("nestgen-maps.conf"), maps, 0o644),
			os.WriteFile(file("nestgen.conf"), host, 0o644), os.WriteFile(file("nginx.conf"), []byte(conf), 0o644)); err != nil {
			return nil, err
		}
		return exec.Command(find("nginx"), "-p", w.dir, "-e", file("error.log"), "-c", file("nginx.conf")), nil
	})
}

// apacheCGI starts Apache with the files of contrib/apache. It starts the program
// itself.
func (l *lab) apacheCGI(ctx context.Context, s *lazySite, w *web) error {
	fallback, err := confs.Read(l.module, "apache/nestgen-fallback.conf",
		"/usr/local/lib/nestgen/nestgen-cgi", l.cgi, "/usr/local/lib/nestgen", filepath.Dir(l.cgi), "/srv/nestgen/nestgen.toml", s.config)
	if err == nil {
		fallback, err = confs.TakeOut(fallback, "The program stays")
	}
	if err == nil {
		fallback, err = confs.TakeIn(fallback, "Or Apache starts it")
	}
	if err != nil {
		return err
	}
	return w.attempt(ctx, func(port string) (*exec.Cmd, error) {
		file := func(name string) string { return filepath.Join(w.dir, name) }
		host, err := confs.Read(l.module, "apache/nestgen.conf", "/srv/nestgen/site", w.root, "*:80", "127.0.0.1:"+port, "/var/www/html", w.dir,
			"#Include /etc/apache2/nestgen-fallback.conf", "Include "+file("nestgen-fallback.conf"))
		var conf strings.Builder
		fmt.Fprintf(&conf, `ServerName localhost
ServerRoot %[1]s
PidFile %[1]s/apache.pid
DefaultRuntimeDir %[1]s
ErrorLog %[1]s/error.log
ScriptSock %[1]s/cgid.sock
TypesConfig /dev/null
Listen 127.0.0.1:%[2]s
`, w.dir, port)
		for _, m := range []string{"mpm_event", "authz_core", "authz_host", "mime", "dir", "alias", "rewrite", "headers", "env", "setenvif", "cgid"} {
			fmt.Fprintf(&conf, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", m, m)
		}
		if l.owner != nil {
			conf.WriteString("User www-data\nGroup www-data\n")
		}
		fmt.Fprintf(&conf, "StartServers 1\nMinSpareThreads 1\nMaxSpareThreads 25\nThreadsPerChild 25\nMaxRequestWorkers 25\n"+
			"LogFormat \"%%r\\t%%>s\\t%%{NESTGEN_FALLBACK}e\" bench\nCustomLog %s bench\nInclude nestgen.conf\n", w.log)
		if err := errors.Join(err, os.WriteFile(file("nestgen-fallback.conf"), fallback, 0o644),
			os.WriteFile(file("nestgen.conf"), host, 0o644), os.WriteFile(file("apache.conf"), []byte(conf.String()), 0o644)); err != nil {
			return nil, err
		}
		return exec.Command(find("apache2"), "-d", w.dir, "-f", file("apache.conf"), "-D", "FOREGROUND"), nil
	})
}

// patience is how long anything may take that is only waited for; it ends what
// hangs.
const patience = 5 * time.Minute

// reserve gives an address of the loopback whose port nobody else is given until it
// is released. A server can listen there all the same: all sockets that are bound to
// it allow that (SO_REUSEADDR), and only it listens.
func reserve() (address string, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	release = sync.OnceFunc(func() { _ = syscall.Close(fd) })
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var at syscall.Sockaddr
	if err == nil {
		at, err = syscall.Getsockname(fd)
	}
	if err != nil {
		release()
		return "", nil, err
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port), release, nil
}

// attempt starts a web server at a port of its own, the last time without keeping
// that until the server has it, should that be in its way.
func (w *web) attempt(ctx context.Context, prepare func(port string) (*exec.Cmd, error)) error {
	var faults []error
	for try := range 3 {
		address, release, err := reserve()
		if err != nil {
			return err
		}
		if try > 1 {
			release()
		}
		_, port, _ := net.SplitHostPort(address) // it was put together from both
		cmd, err := prepare(port)
		if err != nil {
			release()
			return err
		}
		err = w.run(ctx, cmd, "tcp", address)
		release()
		if err == nil {
			w.url = "http://" + address
			return nil
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// A running is a program that was started.
type running struct {
	cmd   *exec.Cmd
	ended chan error
}

// run starts a program and waits until it can be reached.
func (w *web) run(ctx context.Context, cmd *exec.Cmd, network, address string) error {
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	// A group of its own: the children of fcgiwrap and of Apache's daemon for CGI
	// outlive a plain signal, and an interrupt is for this program to handle.
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return err
	}
	r := &running{cmd, make(chan error, 1)}
	go func() { r.ended <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if c, err := net.DialTimeout(network, address, patience); err == nil {
			c.Close()
			w.running = append(w.running, r)
			return nil
		}
		select {
		case err := <-r.ended:
			return fmt.Errorf("%s ended: %w\n%s", filepath.Base(cmd.Path), err, said.Bytes())
		default:
		}
		if err := pause(ctx); err != nil {
			r.end()
			return fmt.Errorf("nobody listens at %s: %w\n%s", address, err, said.Bytes())
		}
	}
}

// end stops a program, by force if it takes too long.
func (r *running) end() {
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGTERM) // it may be gone
	select {
	case <-r.ended:
	case <-time.After(time.Minute):
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
		<-r.ended
	}
}

// pause waits for a moment, or for the end of the context.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(10 * time.Millisecond):
		return nil
	}
}

// An access is one request in a web server's log.
type access struct {
	path   string
	status int
	asked  bool // nestgen-cgi was asked
}

// accesses reads the log of a web server.
func (w *web) accesses() ([]access, error) {
	data, err := os.ReadFile(w.log)
	if err != nil {
		return nil, err
	}
	var all []access
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 3 || !strings.HasSuffix(line, "\n") {
			continue // half a line, being written
		}
		status, err := strconv.Atoi(f[1])
		if err != nil {
			return nil, fmt.Errorf("%s: %q", w.log, line)
		}
		_, path, _ := strings.Cut(f[0], " ") // after the method
		path, _, _ = strings.Cut(path, " ")
		all = append(all, access{path, status, f[2] != "-" && f[2] != ""})
	}
	return all, nil
}

// settled gives the log once it has as many lines as there were requests.
func (w *web) settled(ctx context.Context, requests int) ([]access, error) {
	for {
		all, err := w.accesses()
		if err != nil || len(all) >= requests {
			return all, err
		}
		if err := pause(ctx); err != nil {
			return nil, fmt.Errorf("%s: %d lines in the access log after %d requests: %w", w.name, len(all), requests, err)
		}
	}
}
