package acceptance

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nestgen/internal/confs"
	"nestgen/serve"
)

// A server serves a site, and notes what it was asked for.
type server struct {
	// URL is the address of the site's root without a slash at its end.
	URL string

	log      func() []access
	capitals bool
}

// An access is one request in a server's log.
type access struct {
	path, accept, mediaType, agent string
	status                         int
	fallback                       bool // nestgen-cgi was asked
}

// A kind of server is one program with one configuration.
type kind struct {
	name   string
	prefix string
	start  func(t *testing.T, k kind, site string) *server

	// fallback gives what the file of contrib/ about the fallback is to say, or
	// is nil. The folder is one that the server can read.
	fallback func(t *testing.T, dir string) []byte

	// edit changes the file of contrib/ about the site, or is nil.
	edit func(t *testing.T, conf []byte) []byte
}

// kinds are the servers that sites are tried behind, at the root of a host and
// below a prefix.
var kinds = []kind{
	{name: "nginx", start: startNginx},
	{name: "nginx below a prefix", prefix: "/python", start: startNginx},
	{name: "Apache", start: startApache},
	{name: "Apache below a prefix", prefix: "/python", start: startApache},
	{name: "nestgen serve", start: startServe},
}

// webServers are those that sites are really served by.
var webServers = kinds[:4]

// sharedDir makes a folder that any user can read and that goes with the test:
// the servers run as a user of their own where they are started by root.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nestgen-acceptance-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// program finds a program, also where only root looks for it, and skips the
// test if there is none.
func program(t *testing.T, name, debian string) string {
	t.Helper()
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"} {
		path := filepath.Join(dir, name)
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return path
		}
	}
	t.Skipf("%s is not installed (Debian package %s)", name, debian)
	return ""
}

// reserve gives a port of the loopback that nobody else is given until it is
// released. A server can listen there all the same: all sockets that are bound
// to it allow that (SO_REUSEADDR), and only it listens.
func reserve(t *testing.T) (port string, release func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = syscall.Close(fd) })
	t.Cleanup(release)
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(at.(*syscall.SockaddrInet4).Port), release
}

// contrib reads a file of contrib/ and puts other words in the place of its
// example ones.
func contrib(t *testing.T, name string, words ...string) []byte {
	t.Helper()
	data, err := confs.Read("../..", name, words...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	// A process that another test starts meanwhile has the file open for writing
	// as well, until it becomes a program; a build would find it unfinished.
	syscall.ForkLock.RLock()
	err := os.WriteFile(file, data, 0o644)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
}

// logFormat gives, in both servers' languages, what readLog reads.
const (
	nginxLog  = `log_format test '$request_uri\t$http_accept\t$status\t$sent_http_content_type\t$http_user_agent\t$upstream_addr';`
	apacheLog = `LogFormat "%U\t%{Accept}i\t%>s\t%{Content-Type}o\t%{User-Agent}i\t%{NESTGEN_FALLBACK}e" test`
)

func readLog(t *testing.T, file string) []access {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var as []access
	for line := range strings.Lines(string(data)) {
		line, whole := strings.CutSuffix(line, "\n")
		f := strings.Split(line, "\t")
		if !whole || len(f) != 6 {
			continue // half a line, being written
		}
		status, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatalf("access log: %q", line)
		}
		as = append(as, access{path: f[0], accept: f[1], status: status, mediaType: f[3], agent: f[4], fallback: f[5] != "-" && f[5] != ""})
	}
	return as
}

// logged waits for a request in the log: a server writes there when the client
// has its answer already.
func (s *server) logged(ok func(access) bool) bool {
	for end := time.Now().Add(time.Minute); !slices.ContainsFunc(s.log(), ok); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// startNginx starts nginx with the files of contrib/nginx in an http context
// that does all that a careless one may do besides.
func startNginx(t *testing.T, k kind, site string) *server {
	return nginx(t, k, site, true)
}

func nginx(t *testing.T, k kind, site string, redirects bool) *server {
	t.Helper()
	bin := program(t, "nginx", "nginx-light")
	dir := sharedDir(t)
	var fallback []string
	if k.fallback != nil {
		file := filepath.Join(dir, "nestgen-fallback.conf")
		write(t, file, k.fallback(t, dir))
		fallback = []string{"location @nestgen_missing { return 404; }", "", "#include /etc/nginx/nestgen-fallback.conf;", "include " + file + ";"}
	}
	return attempt(t, func(port string) (*server, *exec.Cmd) {
		user := ""
		if os.Geteuid() == 0 {
			user = "user www-data;"
		}
		log := filepath.Join(dir, "access.log")
		write(t, filepath.Join(dir, "nginx.conf"), fmt.Appendf(nil, `%[1]s
worker_processes 1;
daemon off;
pid %[2]s/nginx.pid;
error_log %[2]s/error.log;
events { worker_connections 256; }
http {
    include mime.types;
    autoindex on;
    index index.html index.htm;
    gzip on;
    gzip_types *;
    open_file_cache max=1000 inactive=1h;
    open_file_cache_valid 1h;
    sendfile on;
    client_body_temp_path %[2]s/body;
    proxy_temp_path %[2]s/proxy;
    fastcgi_temp_path %[2]s/fastcgi;
    uwsgi_temp_path %[2]s/uwsgi;
    scgi_temp_path %[2]s/scgi;
    %[4]s
    access_log %[3]s test;
    include conf.d/*.conf;
    include sites-enabled/*;
}
`, user, dir, log, nginxLog))
		write(t, filepath.Join(dir, "mime.types"), []byte("types { text/html html htm shtml; application/x-gzip gz; text/x-php php; application/zip zip; }\n"))
		write(t, filepath.Join(dir, "conf.d/nestgen-maps.conf"), contrib(t, "nginx/nestgen-maps.conf", "/etc/nginx", dir))
		file, listen := "nginx/nestgen.conf", []string{"/srv/nestgen/site", site, "listen 80;", "listen 127.0.0.1:" + port + ";", "    listen [::]:80;\n", ""}
		if k.prefix != "" {
			file = "nginx/nestgen-prefix.conf"
		}
		conf := contrib(t, file, append(listen, fallback...)...)
		if k.edit != nil {
			conf = k.edit(t, conf)
		}
		write(t, filepath.Join(dir, "sites-enabled/nestgen.conf"), conf)
		if redirects {
			out, err := exec.CommandContext(t.Context(), "../../contrib/nginx/redirects.sh", site).Output()
			if err != nil {
				t.Fatalf("redirects.sh: %v", err)
			}
			write(t, filepath.Join(dir, "nestgen-redirects.map"), out)
		}
		if out, err := exec.CommandContext(t.Context(), bin, "-t", "-q", "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf")).CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("nginx -t: %v\n%s", err, out)
		}
		cmd := exec.Command(bin, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", filepath.Join(dir, "nginx.conf"))
		return &server{
			URL:      "http://127.0.0.1:" + port + k.prefix,
			log:      func() []access { return readLog(t, log) },
			capitals: redirects,
		}, cmd
	})
}

// apacheHead begins the configuration of an Apache in a folder of its own, which
// runs as the user that Debian's does where it may.
func apacheHead(dir, port string, modules ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ServerName localhost\nServerRoot %[1]s\nPidFile %[1]s/apache.pid\nDefaultRuntimeDir %[1]s\nErrorLog %[1]s/error.log\nListen 127.0.0.1:%[2]s\n", dir, port)
	for _, m := range modules {
		fmt.Fprintf(&b, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", m, m)
	}
	if os.Geteuid() == 0 {
		b.WriteString("User www-data\nGroup www-data\n")
	}
	fmt.Fprintf(&b, "ScriptSock %s/cgid.sock\nStartServers 1\nMinSpareThreads 1\nMaxSpareThreads 25\nThreadsPerChild 25\nMaxRequestWorkers 25\n", dir)
	return b.String()
}

// startApache starts Apache with the file of contrib/apache in a server that
// runs, unpacks and lists whatever it can.
func startApache(t *testing.T, k kind, site string) *server {
	t.Helper()
	bin := program(t, "apache2", "apache2")
	dir := sharedDir(t)
	var fallback []string
	if k.fallback != nil {
		file := filepath.Join(dir, "nestgen-fallback.conf")
		write(t, file, k.fallback(t, dir))
		fallback = []string{"#Include /etc/apache2/nestgen-fallback.conf", "Include " + file}
	}
	return attemptApache(t, dir, func(port string) (*server, *exec.Cmd) {
		log := filepath.Join(dir, "access.log")
		modules := []string{"mpm_event", "authz_core", "authz_host", "mime", "dir", "alias", "rewrite", "headers", "env", "setenvif",
			"autoindex", "negotiation", "cgid", "include", "asis", "deflate", "filter", "status", "proxy", "proxy_fcgi",
			"authz_user", "authn_core", "authn_file", "auth_basic"}
		if _, err := os.Stat(xsendfile); err == nil {
			modules = append(modules, "xsendfile")
		}
		head := apacheHead(dir, port, modules...)
		write(t, filepath.Join(dir, "apache.conf"), fmt.Appendf(nil, `%[1]s%[2]s
CustomLog %[3]s test
TypesConfig %[4]s/mime.types
AddType application/x-gzip .gz .tgz
AddType application/x-httpd-php .php
AddEncoding x-gzip .gz .tgz
AddEncoding x-compress .Z
IncludeOptional /etc/apache2/mods-available/mime.conf
IncludeOptional /etc/apache2/mods-available/deflate.conf
AddHandler cgi-script .cgi .pl .py
AddHandler send-as-is .asis
AddHandler type-map .var
AddOutputFilter INCLUDES .shtml
AddOutputFilterByType DEFLATE text/html text/plain text/css application/json application/vnd.pypi.simple.v1+json application/octet-stream
DirectoryIndex index.html index.cgi
<Directory />
    Options All MultiViews
    AllowOverride All
    Require all granted
</Directory>
<Location /server-status>
    SetHandler server-status
</Location>
`, head, apacheLog, log, dir))
		write(t, filepath.Join(dir, "mime.types"), []byte("text/html html htm\napplication/zip zip\n"))
		define := `Define NESTGEN_BASE "/"`
		conf := contrib(t, "apache/nestgen.conf", append(fallback, "/srv/nestgen/site", site, "*:80", "127.0.0.1:"+port,
			"/var/www/html", dir, define, strings.Replace(define, `"/"`, `"`+k.prefix+`/"`, 1))...)
		if k.edit != nil {
			conf = k.edit(t, conf)
		}
		write(t, filepath.Join(dir, "nestgen.conf"), conf)
		f, err := os.OpenFile(filepath.Join(dir, "apache.conf"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("Include nestgen.conf\n"); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(bin, "-d", dir, "-f", filepath.Join(dir, "apache.conf"), "-D", "FOREGROUND")
		return &server{
			URL:      "http://127.0.0.1:" + port + k.prefix,
			log:      func() []access { return readLog(t, log) },
			capitals: true,
		}, cmd
	})
}

// attemptApache is attempt for an Apache with a daemon for CGI, which begins beside
// it: Apache waits for it for a second, and answers with 503 then.
func attemptApache(t *testing.T, dir string, prepare func(port string) (*server, *exec.Cmd)) *server {
	t.Helper()
	s := attempt(t, prepare)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if found, err := filepath.Glob(filepath.Join(dir, "cgid.sock*")); err != nil || len(found) > 0 {
			return s
		}
		if time.Now().After(end) {
			t.Fatal("Apache's daemon for CGI does not start")
		}
	}
}

// startServe serves the site with package serve, as "nestgen serve" does.
func startServe(t *testing.T, k kind, site string) *server {
	t.Helper()
	s, err := serve.Open(site)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var log []access
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noted := &noting{ResponseWriter: w, status: http.StatusOK}
		s.ServeHTTP(noted, r)
		mu.Lock()
		defer mu.Unlock()
		log = append(log, access{r.RequestURI, r.Header.Get("Accept"), w.Header().Get("Content-Type"), r.UserAgent(), noted.status, false})
	}))
	srv.Config = serve.NewServer(srv.Config.Handler)
	srv.Start()
	t.Cleanup(func() {
		srv.Close()
		s.Close()
	})
	return &server{URL: srv.URL, capitals: true, log: func() []access {
		mu.Lock()
		defer mu.Unlock()
		return append([]access(nil), log...)
	}}
}

type noting struct {
	http.ResponseWriter
	status int
}

func (n *noting) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

// attempt starts a server and waits until it answers. It ends with the test.
func attempt(t *testing.T, prepare func(port string) (*server, *exec.Cmd)) *server {
	t.Helper()
	var said bytes.Buffer
	for try := range 3 {
		port, release := reserve(t)
		if try > 1 {
			release() // should it be in the server's way
		}
		s, cmd := prepare(port)
		said.Reset()
		cmd.Stdout, cmd.Stderr = &said, &said
		// A group of its own: Apache's daemon for CGI outlives a plain kill.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		stop := func() {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // it may be gone
			select {
			case <-ended:
			case <-time.After(time.Minute):
				_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
				<-ended
			}
		}
		if err := await("127.0.0.1:"+port, ended); err != nil {
			stopped := errors.Is(err, errEnded)
			if !stopped {
				stop()
			}
			t.Logf("%s: %v\n%s", filepath.Base(cmd.Path), err, said.Bytes())
			continue
		}
		t.Cleanup(stop)
		return s
	}
	t.Fatal("the server does not start")
	return nil
}

var errEnded = errors.New("it ended")

// patience is how long anything may take that is only waited for; it ends what
// hangs.
const patience = 5 * time.Minute

// await waits until somebody listens at an address.
func await(address string, ended <-chan error) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			return fmt.Errorf("%w: %v", errEnded, err)
		default:
		}
		c, err := net.DialTimeout("tcp", address, patience)
		if err == nil {
			c.Close()
			return nil
		}
	}
	return fmt.Errorf("nobody listens after %v", patience)
}

// The file for a prefix is the other one with the prefix put in.
func TestNginxFilesAgree(t *testing.T) {
	read := func(name string) string {
		data := string(contrib(t, "nginx/"+name))
		_, server, ok := strings.Cut(data, "\nserver {\n")
		if !ok {
			t.Fatalf("%s: no server block", name)
		}
		return server
	}
	plain, prefixed := read("nestgen.conf"), read("nestgen-prefix.conf")
	prefixed = regexp.MustCompile(`(?s)    # The prefix without its slash\.\n.*?\n    \}\n\n`).ReplaceAllString(prefixed, "")
	prefixed = strings.ReplaceAll(prefixed, "/python", "")
	a, b := strings.Split(plain, "\n"), strings.Split(prefixed, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("line %d of the server block:\n%s\n%s", i+1, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		t.Errorf("%d lines and %d lines", len(a), len(b))
	}
}
