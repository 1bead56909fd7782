package acceptance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nestgen/gateway"
)

// The program of gateway/gatewaytest behind the real web servers, in the four
// ways that package gateway is for.

// A way is a server and how it runs the program.
type way struct {
	name  string
	start func(t *testing.T, program string) *server

	apache bool
	fcgi   bool // the program stays
}

var ways = []way{
	{"Apache, mod_cgid", startCGID, true, false},
	{"Apache, mod_proxy_fcgi", startProxyFCGI, true, true},
	{"nginx, fcgiwrap", startFcgiwrap, false, false},
	{"nginx, fastcgi_pass", startFastcgiPass, false, true},
}

var gatewayProgram = sync.OnceValues(func() (string, error) {
	dir, err := programs("nestgen/gateway/gatewaytest")
	return filepath.Join(dir, "gatewaytest"), err
})

// programDirs are the folders of programs that tests share.
var programDirs []string

// programs builds programs into a folder that every user can read, and that goes
// when all tests have ended.
func programs(packages ...string) (dir string, err error) {
	dir, err = os.MkdirTemp("", "nestgen-programs-")
	if err != nil {
		return "", err
	}
	programLock.Lock()
	programDirs = append(programDirs, dir)
	programLock.Unlock()
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command("go", append([]string{"build", "-buildvcs=false", "-o", dir + "/"}, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
}

var programLock sync.Mutex

func TestMain(m *testing.M) {
	syscall.Umask(0o022) // the servers have a user of their own, who reads what is made here
	code := m.Run()
	for _, dir := range programDirs {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// everyWay runs a test behind each server.
func everyWay(t *testing.T, f func(t *testing.T, w way, s *server)) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			file, err := gatewayProgram()
			if err != nil {
				t.Fatal(err)
			}
			f(t, w, w.start(t, file))
		})
	}
}

// startProgram starts the program, or another one, with a listening socket as
// file descriptor 0, as spawn-fcgi and systemd do.
func startProgram(t *testing.T, dir, name string, args ...string) (socket string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	return listening(t, dir, cmd, strings.Contains(filepath.Base(name), "gatewaytest"))
}

// listening starts a command with a listening socket as file descriptor 0. It
// ends with the test; graceful says that it must do so without a fault.
func listening(t *testing.T, dir string, cmd *exec.Cmd, graceful bool) (socket string) {
	t.Helper()
	socket = filepath.Join(dir, "fcgi.sock")
	l, err := gateway.Listen(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Chmod(socket, 0o666); err != nil { // the servers have a user of their own
		t.Fatal(err)
	}
	f, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdin = f
	var said bytes.Buffer
	cmd.Stderr = &said
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setpgid = true // the processes that fcgiwrap begins outlive it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // it may be gone
		err := cmd.Wait()
		if graceful && err != nil {
			t.Errorf("after SIGTERM: %v\n%s", err, said.Bytes())
		}
		if t.Failed() {
			t.Logf("stderr:\n%s", said.Bytes())
		}
	})
	return socket
}

// serverPatience is how long the servers wait for a program or a client that says
// nothing: much longer than any answer takes, so that an answer which comes only
// when they give up is told from one that is slow.
const serverPatience = 4 * time.Minute

const fastcgiParams = `
        fastcgi_param GATEWAY_INTERFACE CGI/1.1;
        fastcgi_param SERVER_SOFTWARE   nginx;
        fastcgi_param SERVER_PROTOCOL   $server_protocol;
        fastcgi_param SERVER_NAME       $host;
        fastcgi_param SERVER_PORT       $server_port;
        fastcgi_param HTTPS             $https if_not_empty;
        fastcgi_param REMOTE_ADDR       $remote_addr;
        fastcgi_param REMOTE_PORT       $remote_port;
        fastcgi_param REQUEST_METHOD    $request_method;
        fastcgi_param REQUEST_URI       $request_uri;
        fastcgi_param QUERY_STRING      $query_string;
        fastcgi_param CONTENT_TYPE      $content_type;
        fastcgi_param CONTENT_LENGTH    $content_length;
        fastcgi_param SCRIPT_NAME       "";
        fastcgi_param PATH_INFO         $uri;
        fastcgi_param NO_BUFFERING      on; # fcgiwrap's, or it gathers the answer`

func startFcgiwrap(t *testing.T, file string) *server {
	wrap := program(t, "fcgiwrap", "fcgiwrap")
	// REMOTE_USER and HTTP_PROXY as a careless operator leaves them.
	return gatewayNginx(t, func(dir string) string {
		socket := startProgram(t, dir, wrap, "-p", file)
		return "fastcgi_pass unix:" + socket + ";\nfastcgi_param SCRIPT_FILENAME " + file + ";\nfastcgi_param REMOTE_USER $remote_user;"
	}, "")
}

func startFastcgiPass(t *testing.T, file string) *server {
	return gatewayNginx(t, func(dir string) string {
		return "fastcgi_pass nest;\nfastcgi_keep_conn on;\nfastcgi_param REMOTE_USER $remote_user;\nupstream " + startProgram(t, dir, file, "build", "--help")
	}, "upstream nest { server unix:%s; keepalive 8; }")
}

func gatewayNginx(t *testing.T, pass func(dir string) string, upstream string) *server {
	t.Helper()
	bin := program(t, "nginx", "nginx-light")
	dir := sharedDir(t)
	passing := pass(dir)
	if to, socket, ok := strings.Cut(passing, "\nupstream "); ok {
		passing, upstream = to, fmt.Sprintf(upstream, socket)
	}
	return attempt(t, func(port string) (*server, *exec.Cmd) {
		user := ""
		if os.Geteuid() == 0 {
			user = "user www-data;"
		}
		write(t, filepath.Join(dir, "nginx.conf"), fmt.Appendf(nil, `%[1]s
worker_processes 1;
daemon off;
pid %[2]s/nginx.pid;
error_log %[2]s/error.log;
events { worker_connections 256; }
http {
    client_body_temp_path %[2]s/body;
    proxy_temp_path %[2]s/proxy;
    fastcgi_temp_path %[2]s/fastcgi;
    uwsgi_temp_path %[2]s/uwsgi;
    scgi_temp_path %[2]s/scgi;
    access_log off;
    client_max_body_size 512m;
    keepalive_timeout %[7]ds;
    fastcgi_read_timeout %[7]ds;
    fastcgi_send_timeout %[7]ds;
    send_timeout %[7]ds;
    %[4]s
    server {
        listen 127.0.0.1:%[3]s;
        fastcgi_buffering off;
        location / {
            %[5]s
            %[6]s
        }
        # Not "location = /legacy/": nginx would redirect /legacy to it (UP-1).
        location ~ ^/legacy/$ {
            fastcgi_request_buffering off;
            %[5]s
            %[6]s
        }
    }
}
`, user, dir, port, upstream, fastcgiParams, passing, int(serverPatience.Seconds())))
		cmd := exec.Command(bin, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", filepath.Join(dir, "nginx.conf"))
		return &server{URL: "http://127.0.0.1:" + port}, cmd
	})
}

func startCGID(t *testing.T, file string) *server {
	return gatewayApache(t, func(string) string {
		return fmt.Sprintf(`
ScriptAliasMatch ^/legacy/?$ %[1]s
ScriptAlias /-nest %[1]s
RewriteEngine On
RewriteCond %%{REQUEST_URI} !^/(?:-nest|legacy)(?:/|$)
RewriteRule ^/.*$ /-nest%%{REQUEST_URI} [PT,L]
SetEnv ap_trust_cgilike_cl 1
SetEnv nokeepalive 1
<Directory %[2]s>
    Options +ExecCGI
    CGIPassAuth On
</Directory>
<Location /-nest/guarded>
    AuthType Basic
    AuthName pypi
    AuthBasicProvider file
    AuthUserFile %[3]s
    Require valid-user
</Location>
`, file, filepath.Dir(file), passwords(t))
	})
}

func startProxyFCGI(t *testing.T, file string) *server {
	return gatewayApache(t, func(dir string) string {
		socket := startProgram(t, dir, file, "build", "--help")
		return fmt.Sprintf(`
RewriteEngine On
RewriteRule ^(/.*)$ unix:%[1]s|fcgi://nestgen$1 [P,L]
SetEnv ap_trust_cgilike_cl 1
SetEnv nokeepalive 1
<Proxy fcgi://nestgen/>
    ProxySet enablereuse=on flushpackets=on
</Proxy>
<Location />
    CGIPassAuth On
</Location>
<Location /guarded>
    AuthType Basic
    AuthName pypi
    AuthBasicProvider file
    AuthUserFile %[2]s
    Require valid-user
</Location>
`, socket, passwords(t))
	})
}

// passwords gives a file with the user alice, whose password is "secret".
func passwords(t *testing.T) string {
	file := filepath.Join(sharedDir(t), "users")
	write(t, file, []byte("alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"))
	return file
}

func gatewayApache(t *testing.T, conf func(dir string) string) *server {
	t.Helper()
	bin := program(t, "apache2", "apache2")
	dir := sharedDir(t)
	more := conf(dir)
	return attemptApache(t, dir, func(port string) (*server, *exec.Cmd) {
		head := apacheHead(dir, port, "mpm_event", "authz_core", "authz_user", "authn_core", "authn_file", "auth_basic", "alias", "rewrite", "env", "cgid", "proxy", "proxy_fcgi")
		head += fmt.Sprintf("Timeout %[1]d\nKeepAliveTimeout %[1]d\n", int(serverPatience.Seconds()))
		write(t, filepath.Join(dir, "apache.conf"), []byte(head+"DocumentRoot "+dir+"\n"+more+"\n"))
		cmd := exec.Command(bin, "-d", dir, "-f", filepath.Join(dir, "apache.conf"), "-D", "FOREGROUND")
		return &server{URL: "http://127.0.0.1:" + port}, cmd
	})
}

// An echoed request, as the program says it.
type echoed struct {
	Method, Path, RawPath, Query, URI, Host, Proto, RemoteAddr, SHA256, Error, Proxy string

	Header       http.Header
	Length, Body int64
	Caller       gateway.Caller
}

// ask sends a request and reads its answer whole.
func ask(t *testing.T, method, url string, body io.Reader, fields ...string) (*http.Response, []byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	client := &http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp, data, err
}

func askEcho(t *testing.T, method, url string, body io.Reader, fields ...string) (e echoed) {
	t.Helper()
	resp, data, err := ask(t, method, url, body, fields...)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &e); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v\n%s", method, url, resp.Status, err, data)
	}
	return e
}

func TestGatewayRequests(t *testing.T) {
	everyWay(t, func(t *testing.T, w way, s *server) {
		host := strings.TrimPrefix(s.URL, "http://")

		// The path is decoded once, and is the same when asked for directly.
		for _, prefix := range []string{"", "/-nest"} {
			e := askEcho(t, "GET", s.URL+prefix+"/simple/foo-bar%20%252e/?a=%2fb&c", nil, "Accept", "text/html", "X-Odd.Name", "1", "X_Under", "1")
			if e.Method != "GET" || e.Path != "/simple/foo-bar %2e/" || e.Query != "a=%2fb&c" || e.Host != host || e.Header.Get("Accept") != "text/html" ||
				e.Length != 0 || e.Error != "" || !strings.HasPrefix(e.RemoteAddr, "127.0.0.1:") || e.Header.Get("X-Under") != "" {
				t.Errorf("prefix %q: %+v", prefix, e)
			}
			if e.URI != prefix+"/simple/foo-bar%20%252e/?a=%2fb&c" {
				t.Errorf("prefix %q: URI %q", prefix, e.URI)
			}
		}

		// CGI-3: uploads, with and without the slash.
		for _, path := range []string{"/legacy", "/legacy/"} {
			e := askEcho(t, "POST", s.URL+path, strings.NewReader("hello"), "Content-Type", "text/x-test", "Authorization", "Basic bWFsbG9yeTp4")
			if e.Path != path || e.Body != 5 || e.Length != 5 || e.Header.Get("Content-Type") != "text/x-test" || e.Header.Get("Authorization") != "Basic bWFsbG9yeTp4" {
				t.Errorf("%+v", e)
			}
			// CGI-4: nobody has verified that.
			if e.Caller != (gateway.Caller{Loopback: true}) {
				t.Errorf("caller %+v", e.Caller)
			}
		}

		// UP-5: a chunked body is all there.
		body := bytes.Repeat([]byte("0123456789abcdef"), 3<<16)
		sum := sha256.Sum256(body)
		// (nginx passes the one of /legacy/ on as it comes.)
		for _, path := range []string{"/legacy", "/legacy/"} {
			e := askEcho(t, "POST", s.URL+path, io.MultiReader(bytes.NewReader(body)))
			if e.Body != int64(len(body)) || e.SHA256 != hex.EncodeToString(sum[:]) || e.Error != "" {
				t.Errorf("%s, chunked: %+v", path, e)
			}
			e = askEcho(t, "POST", s.URL+path, bytes.NewReader(body))
			if e.Length != int64(len(body)) || e.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("%s, with a length: %+v", path, e)
			}
		}

		// CGI-2: httpoxy.
		e := askEcho(t, "GET", s.URL+"/simple/", nil, "Proxy", "http://127.0.0.1:9/")
		if e.Proxy != " <nil> <nil>" || e.Header.Get("Proxy") != "" {
			t.Errorf("Proxy: %q, %v", e.Proxy, e.Header)
		}

		if w.apache {
			resp, _, err := ask(t, "GET", s.URL+"/guarded", nil)
			if err != nil || resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("guarded: %v, %v", resp, err)
			}
			// {SHA}5en6… is "secret".
			e := askEcho(t, "GET", s.URL+"/guarded", nil, "Authorization", "Basic YWxpY2U6c2VjcmV0")
			if e.Caller != (gateway.Caller{RemoteUser: "alice", Loopback: true}) {
				t.Errorf("authenticated: %+v", e.Caller)
			}
		}
	})
}

func TestGatewayAnswers(t *testing.T) {
	everyWay(t, func(t *testing.T, w way, s *server) {
		resp, data, err := ask(t, "GET", s.URL+"/reason", nil)
		if err != nil || resp.Status != "400 D\xe9j\xe0 vu: file already exists  X-Evil: 1" || string(data) != "no\n" || resp.Header.Get("X-Evil") != "" {
			t.Errorf("UP-13: %q, %q, %v", resp.Status, data, err)
		}
		resp, _, err = ask(t, "GET", s.URL+"/redirect", nil)
		if err != nil || resp.StatusCode != http.StatusMovedPermanently || !strings.HasSuffix(resp.Header.Get("Location"), "/foo/") {
			t.Errorf("CGI-5: %q %q, %v", resp.Status, resp.Header.Get("Location"), err)
		}
		resp, data, err = ask(t, "GET", s.URL+"/here", nil)
		if err != nil || resp.StatusCode != http.StatusOK || string(data) != "here\n" || resp.Header.Get("Location") != "" {
			t.Errorf("CGI-5: %q %q, %v", resp.Status, data, err)
		}
		for _, method := range []string{"HEAD", "GET"} {
			resp, data, err = ask(t, method, s.URL+"/head", nil)
			if err != nil || resp.ContentLength != 123456 || resp.Header.Get("Content-Type") != "application/zip" || method == "HEAD" != (len(data) == 0) {
				t.Errorf("%s: %q, length %d, %d bytes, %v", method, resp.Status, resp.ContentLength, len(data), err)
			}
		}
		for _, path := range []string{"/panic", "/injected"} {
			resp, data, err = ask(t, "GET", s.URL+path, nil)
			if err != nil || resp.StatusCode != http.StatusInternalServerError || string(data) != "Internal Server Error\n" || resp.Header.Get("X-Evil") != "" {
				t.Errorf("%s: %q, %q, %v", path, resp.Status, data, err)
			}
		}
		// Reliability §3, row 4 and 24. The servers themselves merge some of these.
		for _, path := range []string{"/simple/foo%0d%0aX-Evil:%201/", "/simple/%1b/", "/simple/a%5cb/", "/simple/%ff/", "/%5cevil.example/"} {
			resp, _, err = ask(t, "GET", s.URL+path, nil)
			if err != nil || resp.StatusCode != http.StatusNotFound || resp.Header.Get("X-Evil") != "" || resp.Header.Get("Location") != "" {
				t.Errorf("%s: %q, %v, %v", path, resp.Status, resp.Header, err)
			}
		}
	})
}

// The first bytes of an answer go out before the last are known, and a large
// one is not gathered.
func TestGatewayStreams(t *testing.T) {
	everyWay(t, func(t *testing.T, w way, s *server) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		// The second line is made when the first one has come here.
		goOn := filepath.Join(sharedDir(t), "go-on")
		fmt.Fprintf(conn, "GET /slow?%s HTTP/1.0\r\n\r\n", url.QueryEscape(goOn))
		br := bufio.NewReader(conn)
		for line := ""; line != "first\n"; {
			if line, err = br.ReadString('\n'); err != nil {
				t.Fatalf("before the first line: %v", err)
			}
		}
		write(t, goOn, nil)
		if rest, err := io.ReadAll(br); err != nil || string(rest) != "second\n" {
			t.Errorf("after the first line: %q, %v", rest, err)
		}

		const size = 96 << 20
		resp, data, err := ask(t, "GET", s.URL+"/big?"+strconv.Itoa(size), nil)
		if err != nil || len(data) != size+20 || resp.ContentLength != size+20 {
			t.Fatalf("%d bytes, length %d, %v", len(data), resp.ContentLength, err)
		}
		peak, err := strconv.Atoi(strings.TrimSpace(string(data[size:])))
		if err != nil || peak <= 0 || peak > 40<<10 {
			t.Errorf("the program used %d KiB, %v", peak, err)
		}
	})
}

// A client sees that an answer is not whole.
func TestGatewayBrokenOff(t *testing.T) {
	everyWay(t, func(t *testing.T, w way, s *server) {
		for _, path := range []string{"/short", "/late-panic"} {
			begun := time.Now()
			resp, data, err := ask(t, "GET", s.URL+path, nil)
			if took := time.Since(begun); took > serverPatience/2 {
				t.Errorf("%s: the client waits %v", path, took)
			}
			if err == nil && resp.StatusCode == http.StatusOK {
				t.Errorf("%s: %q with %d bytes, length %d, and no error", path, resp.Status, len(data), resp.ContentLength)
			}
		}
		// And the next one is answered.
		if resp, data, err := ask(t, "GET", s.URL+"/plain", nil); err != nil || string(data) != "GET /plain\n" {
			t.Errorf("%v, %q, %v", resp, data, err)
		}
	})
}

// Reliability §3, row 1: a query without "=" becomes arguments of a CGI program.
func TestGatewayArguments(t *testing.T) {
	everyWay(t, func(t *testing.T, w way, s *server) {
		answer := func(query string) string {
			t.Helper()
			c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			fmt.Fprintf(c, "GET /-nest/plain%s HTTP/1.0\r\nHost: localhost\r\n\r\n", query)
			data, err := io.ReadAll(c)
			if err != nil {
				t.Fatal(err)
			}
			head, body, _ := strings.Cut(string(data), "\r\n\r\n")
			var kept []string
			for line := range strings.SplitSeq(head, "\r\n") {
				if !strings.HasPrefix(line, "Date:") {
					kept = append(kept, line)
				}
			}
			return strings.Join(kept, "\n") + "\n\n" + body
		}
		want := answer("")
		if !strings.Contains(want, "\n\nGET /plain\n") || !strings.Contains(want, " 200 OK\n") {
			t.Fatal(want)
		}
		queries := []string{"?build", "?--help", "?-h", "?--version", "?build+--config=/etc/passwd", "?-test.v", "?-", "?--", "?+++", "?a+b+c", "?%2d%2dhelp", "?-d+allow_url_include%3d1"}
		if !w.fcgi || testing.Verbose() {
			rnd := rand.New(rand.NewPCG(1, 2))
			words := []string{"-", "--", "build", "help", "config", "serve", "+", "%20", "%00", "%0a", "/", "..", ";", "|", "$(id)", "`id`", "%22", "%27", "\\", "&", "a", "v", "=", "%ff"}
			for range 200 {
				var b strings.Builder
				for range 1 + rnd.IntN(5) {
					b.WriteString(words[rnd.IntN(len(words))])
				}
				queries = append(queries, "?"+b.String())
			}
		}
		for _, q := range queries {
			if got := answer(q); got != want {
				t.Errorf("%s: %q, want %q", q, got, want)
			}
		}
	})
}

// spawn-fcgi gives the socket as file descriptor 0.
func TestGatewaySpawnFCGI(t *testing.T) {
	t.Parallel()
	spawn := program(t, "spawn-fcgi", "spawn-fcgi")
	file, err := gatewayProgram()
	if err != nil {
		t.Fatal(err)
	}
	s := gatewayNginx(t, func(dir string) string {
		socket := filepath.Join(dir, "spawned.sock")
		ctx, cancel := context.WithCancel(context.Background())
		cmd := exec.CommandContext(ctx, spawn, "-n", "-s", socket, "-M", "0666", "--", file)
		t.Cleanup(func() {
			cancel()
			_ = cmd.Wait() // killed
		})
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			c, err := net.Dial("unix", socket)
			if err == nil {
				c.Close()
				break
			}
			if time.Now().After(end) {
				t.Fatal(err)
			}
		}
		return "fastcgi_pass unix:" + socket + ";"
	}, "")
	if e := askEcho(t, "GET", s.URL+"/simple/?"+url.QueryEscape("a b"), nil); e.Path != "/simple/" || e.Query != "a+b" {
		t.Errorf("%+v", e)
	}
}
