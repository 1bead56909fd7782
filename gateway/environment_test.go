package gateway

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// parse makes a request of lines NAME=value.
func parse(lines, stdin string, prefixes ...string) (*http.Request, int) {
	var e environment
	for line := range strings.SplitSeq(strings.Trim(lines, "\n"), "\n") {
		name, value, _ := strings.Cut(strings.TrimLeft(line, "\t"), "=")
		e.add(name, value)
	}
	r, err := e.request(t0, prefixes, strings.NewReader(stdin))
	if err != nil {
		var why *refusal
		errors.As(err, &why)
		return nil, why.status
	}
	return r, 0
}

// What the two servers really send (contract §6.1): taken down from Apache
// 2.4 with mod_cgid, nginx 1.22 with fcgiwrap, and Apache with mod_proxy_fcgi.
const (
	apacheRewritten = `
HTTP_HOST=index.example:8080
HTTP_USER_AGENT=pip/26.2 {"ci":null}
HTTP_ACCEPT=application/vnd.pypi.simple.v1+json, text/html;q=0.01
HTTP_AUTHORIZATION=Basic YTpi
PATH=/usr/bin:/bin
SERVER_SOFTWARE=Apache/2.4.71 (Debian)
SERVER_NAME=index.example
SERVER_ADDR=192.0.2.1
SERVER_PORT=8080
REMOTE_ADDR=192.0.2.9
DOCUMENT_ROOT=/srv/nest/www
REQUEST_SCHEME=http
SCRIPT_FILENAME=/srv/nest/bin/nest.cgi
REMOTE_PORT=41216
GATEWAY_INTERFACE=CGI/1.1
SERVER_PROTOCOL=HTTP/1.1
REQUEST_METHOD=GET
QUERY_STRING=a=b
REQUEST_URI=/simple/foo%2Dbar/?a=b
SCRIPT_NAME=/-nest
PATH_INFO=/simple/foo-bar/
PATH_TRANSLATED=/srv/nest/www/simple/foo-bar/`

	apacheChunked = `
HTTP_HOST=index.example
HTTP_TRANSFER_ENCODING=chunked
CONTENT_TYPE=multipart/form-data; boundary=x
SERVER_PROTOCOL=HTTP/1.1
REQUEST_METHOD=POST
QUERY_STRING=
REQUEST_URI=/legacy/
SCRIPT_NAME=/legacy/
REMOTE_USER=alice
AUTH_TYPE=Basic
HTTPS=on
REMOTE_ADDR=127.0.0.1
REMOTE_PORT=1`

	nginxUpload = `
HOME=/var/www
HTTP_HOST=index.example
HTTP_PROXY=
REMOTE_USER=mallory
PATH_INFO=/legacy
SCRIPT_NAME=
SCRIPT_FILENAME=/srv/nest/bin/nest.cgi
CONTENT_LENGTH=5
CONTENT_TYPE=text/plain
QUERY_STRING=
REQUEST_URI=/legacy
REQUEST_METHOD=POST
REMOTE_ADDR=::1
SERVER_PORT=80
SERVER_NAME=index.example
SERVER_PROTOCOL=HTTP/1.0
GATEWAY_INTERFACE=CGI/1.1
HTTP_CONTENT_LENGTH=5
HTTP_CONTENT_TYPE=text/plain
FCGI_ROLE=RESPONDER`

	nginxPlain = `
PATH_INFO=/simple/nope/
SCRIPT_NAME=
CONTENT_LENGTH=
CONTENT_TYPE=
QUERY_STRING=
REQUEST_URI=/simple/nope/
REQUEST_METHOD=GET
SERVER_NAME=index.example
SERVER_PORT=8080
SERVER_PROTOCOL=HTTP/2.0`
)

func TestEnvironmentOfApache(t *testing.T) {
	r, status := parse(apacheRewritten, "ignored", "/-nest")
	if r == nil {
		t.Fatal(status)
	}
	if r.URL.Path != "/simple/foo-bar/" || r.URL.RawPath != "/simple/foo%2Dbar/" || r.URL.RawQuery != "a=b" ||
		r.RequestURI != "/simple/foo%2Dbar/?a=b" || r.Host != "index.example:8080" || r.Proto != "HTTP/1.1" ||
		r.RemoteAddr != "192.0.2.9:41216" || r.TLS != nil || r.ContentLength != 0 || r.Body != http.NoBody {
		t.Errorf("%+v, %+v", r, r.URL)
	}
	if u, p, ok := r.BasicAuth(); !ok || u != "a" || p != "b" {
		t.Error("Authorization is lost")
	}
	want := http.Header{
		"User-Agent": {`pip/26.2 {"ci":null}`}, "Accept": {"application/vnd.pypi.simple.v1+json, text/html;q=0.01"}, "Authorization": {"Basic YTpi"},
	}
	if len(r.Header) != len(want) {
		t.Errorf("header %v", r.Header)
	}
	if c, ok := From(r.Context()); !ok || c != (Caller{}) {
		t.Errorf("caller %+v", c)
	}
}

// UP-5: Apache passes a chunked body without its length.
func TestEnvironmentOfApacheChunked(t *testing.T) {
	r, status := parse(apacheChunked, "hello", "/-nest")
	if r == nil {
		t.Fatal(status)
	}
	data, err := io.ReadAll(r.Body)
	if r.URL.Path != "/legacy/" || r.ContentLength != -1 || string(data) != "hello" || err != nil || r.TLS == nil || r.Header.Get("Content-Type") != "multipart/form-data; boundary=x" {
		t.Errorf("%+v; body %q, %v", r, data, err)
	}
	if c, _ := From(r.Context()); c != (Caller{RemoteUser: "alice", TLS: true, Loopback: true}) {
		t.Errorf("caller %+v", c)
	}
}

func TestEnvironmentOfNginx(t *testing.T) {
	r, status := parse(nginxUpload, "hello world", "/-nest")
	if r == nil {
		t.Fatal(status)
	}
	data, err := io.ReadAll(r.Body)
	if r.URL.Path != "/legacy" || r.ContentLength != 5 || string(data) != "hello" || err != nil || r.Proto != "HTTP/1.0" {
		t.Errorf("%+v; body %q, %v", r, data, err)
	}
	if len(r.Header) != 1 || r.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("header %v", r.Header)
	}
	if c, _ := From(r.Context()); c != (Caller{Loopback: true}) {
		t.Errorf("CGI-4: caller %+v", c)
	}
	r, status = parse(nginxPlain, "")
	if r == nil {
		t.Fatal(status)
	}
	if r.ContentLength != 0 || r.Body != http.NoBody || r.Host != "index.example:8080" || r.Header == nil || r.RemoteAddr != "" || r.Proto != "HTTP/2.0" {
		t.Errorf("%+v", r)
	}
}

// CGI-3 and reliability §3, rows 4 and 24.
func TestPath(t *testing.T) {
	for _, tt := range []struct{ about, script, info, want string }{
		{"nothing at all is the root", "", "", "/"},
		{"the prefix alone", "/-nest", "", "/"},
		{"the prefix with a slash", "/-nest", "/", "/"},
		{"below the prefix", "/-nest", "/simple/foo/", "/simple/foo/"},
		{"the prefix in PATH_INFO, asked for directly", "", "/-nest/simple/foo/", "/simple/foo/"},
		{"mod_proxy_fcgi puts it all into SCRIPT_NAME", "/-nest/simple/foo/", "", "/simple/foo/"},
		{"the prefix is taken off once", "/-nest", "/-nest/x", "/-nest/x"},
		{"another path that begins like it", "/-nestling", "/x", "/-nestling/x"},
		{"below a prefix of the site", "/python/-nest", "/simple/", "/simple/"},
		{"an upload below a prefix of the site", "/python/legacy", "", "/legacy"},
		{"ScriptAliasMatch", "/legacy/", "", "/legacy/"},
		{"a script at the root", "/", "/simple/", "/simple/"},
		{"a percent sign stays, decoded once", "", "/simple/foo%2f..%2fbar/", "/simple/foo%2f..%2fbar/"},
		{"UTF-8", "", "/simple/größe/", "/simple/größe/"},
		{"dots in names", "", "/packages/a..b/...", "/packages/a..b/..."},
		{"a space", "", "/simple/a b/", "/simple/a b/"},

		{"an open redirect", "", "//evil.example/simple/", ""},
		{"an open redirect behind the prefix", "/-nest", "//evil.example", ""},
		{"a backslash", "", `/\evil.example`, ""},
		{"an empty segment", "", "/simple//foo/", ""},
		{"two slashes at the end", "", "/simple/foo//", ""},
		{"a slash too many where the two meet", "/legacy/", "/x", ""},
		{"climbing out", "", "/simple/../../etc/passwd", ""},
		{"climbing at the end", "", "/simple/..", ""},
		{"a dot", "", "/simple/./foo", ""},
		{"CR LF", "", "/simple/foo\r\nSet-Cookie: a=b", ""},
		{"LF", "", "/simple/foo\n", ""},
		{"NUL", "", "/simple/foo\x00.html", ""},
		{"ESC", "", "/simple/\x1b[31m", ""},
		{"DEL", "", "/simple/\x7f", ""},
		{"not UTF-8", "", "/simple/\xff/", ""},
		{"no slash in front", "", "simple/foo/", ""},
		{"a script without a slash", "nest", "/simple/", ""},
		{"the whole server", "*", "", ""},
		{"too long", "", "/simple/" + strings.Repeat("a", maxPath), ""},
	} {
		got, ok := requestPath(tt.script, tt.info, []string{"/-nest", "/python/-nest/", "/python"})
		if !ok {
			got = ""
		}
		if got != tt.want {
			t.Errorf("%s: %q + %q gives %q, want %q", tt.about, tt.script, tt.info, got, tt.want)
		}
		r, status := parse("REQUEST_METHOD=GET", "")
		if r == nil {
			t.Fatal(status)
		}
	}
	var e environment
	e.add("REQUEST_METHOD", "GET")
	e.add("PATH_INFO", "/a//b")
	if _, err := e.request(t0, nil, nil); err == nil || err.(*refusal).status != http.StatusNotFound {
		t.Errorf("a bad path is %v, want 404", err)
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		about, lines string
		want         int
	}{
		{"no method", "PATH_INFO=/", 400},
		{"a method with a space", "REQUEST_METHOD=GET /", 400},
		{"an endless method", "REQUEST_METHOD=" + strings.Repeat("A", 33), 400},
		{"a length with a sign", "REQUEST_METHOD=POST\nCONTENT_LENGTH=+5", 400},
		{"a negative length", "REQUEST_METHOD=POST\nCONTENT_LENGTH=-1", 400},
		{"a length with spaces", "REQUEST_METHOD=POST\nCONTENT_LENGTH= 5", 400},
		{"two lengths", "REQUEST_METHOD=POST\nCONTENT_LENGTH=5, 5", 400},
		{"a hexadecimal length", "REQUEST_METHOD=POST\nCONTENT_LENGTH=0x5", 400},
		{"a length beyond all", "REQUEST_METHOD=POST\nCONTENT_LENGTH=9223372036854775808", 400},
		{"a field with CR", "REQUEST_METHOD=GET\nHTTP_X=a\rb", 400},
		{"a field with ESC", "REQUEST_METHOD=GET\nHTTP_ACCEPT=\x1b[31m", 400},
		{"a type with NUL", "REQUEST_METHOD=GET\nCONTENT_TYPE=a\x00b", 400},
		{"a host with a path", "REQUEST_METHOD=GET\nHTTP_HOST=a/b", 400},
		{"a host with a user", "REQUEST_METHOD=GET\nHTTP_HOST=a@b", 400},
		{"a host with quotes", `REQUEST_METHOD=GET` + "\n" + `HTTP_HOST="><script>`, 400},
		{"a host with a named port", "REQUEST_METHOD=GET\nHTTP_HOST=a:http", 400},
		{"a broken IPv6 host", "REQUEST_METHOD=GET\nHTTP_HOST=[::1", 400},
		{"a query with LF", "REQUEST_METHOD=GET\nQUERY_STRING=a\x0bb", 400},
		{"an endless query", "REQUEST_METHOD=GET\nQUERY_STRING=" + strings.Repeat("a", maxURI+1), 414},
		{"an endless address", "REQUEST_METHOD=GET\nREQUEST_URI=/" + strings.Repeat("a", maxURI), 414},
		{"endless fields", "REQUEST_METHOD=GET\nHTTP_X=" + strings.Repeat("a", maxVariables), 431},
		{"a user with a line break", "REQUEST_METHOD=GET\nAUTH_TYPE=Basic\nREMOTE_USER=a\rb", 400},
	} {
		if r, got := parse(tt.lines, ""); got != tt.want {
			t.Errorf("%s: %d (%v), want %d", tt.about, got, r, tt.want)
		}
	}
	for _, host := range []string{"a", "a.example:8080", "a_b.example.", "127.0.0.1:1", "[::1]", "[2001:db8::1]:443", "a:"} {
		if r, got := parse("REQUEST_METHOD=GET\nHTTP_HOST="+host, ""); got != 0 || r.Host != host {
			t.Errorf("host %q: %d", host, got)
		}
	}
}

// CGI-2: httpoxy.
func TestNoProxyField(t *testing.T) {
	r, status := parse("REQUEST_METHOD=GET\nHTTP_PROXY=http://evil.example\nHTTP_X_OK=1\nHTTP_X-ODD=1\nHTTP_x_low=1\nHTTP_=1\nHTTP_Ä=1\nHTTP_X\x00=1", "")
	if r == nil {
		t.Fatal(status)
	}
	if len(r.Header) != 1 || r.Header.Get("X-Ok") != "1" {
		t.Errorf("header %q", r.Header)
	}
}

// Of two values the first counts, as it does under fcgiwrap.
func TestFirstValueCounts(t *testing.T) {
	r, status := parse("REQUEST_METHOD=GET\nREQUEST_METHOD=POST\nSCRIPT_NAME=\nSCRIPT_NAME=/x\nHTTP_HOST=a\nHTTP_HOST=b\nHTTP_A=1\nHTTP_A=2", "")
	if r == nil {
		t.Fatal(status)
	}
	if r.Method != "GET" || r.URL.Path != "/" || r.Host != "a" || len(r.Header["A"]) != 1 || r.Header.Get("A") != "1" {
		t.Errorf("%+v", r)
	}
}

// CGI-4, and the rule that uploads go over TLS or the loopback.
func TestCaller(t *testing.T) {
	for _, tt := range []struct {
		about, lines string
		want         Caller
	}{
		{"nginx, unverified", "REMOTE_USER=mallory\nHTTP_AUTHORIZATION=Basic x", Caller{}},
		{"an empty AUTH_TYPE", "REMOTE_USER=mallory\nAUTH_TYPE=", Caller{}},
		{"Apache, verified", "REMOTE_USER=alice\nAUTH_TYPE=Basic", Caller{RemoteUser: "alice"}},
		{"nginx, where the operator says so", "REMOTE_USER=alice\nNESTGEN_AUTH=server", Caller{RemoteUser: "alice"}},
		{"a field does not say so", "REMOTE_USER=mallory\nHTTP_NESTGEN_AUTH=server\nHTTP_AUTH_TYPE=Basic", Caller{}},
		{"another word does not say so", "REMOTE_USER=mallory\nNESTGEN_AUTH=none", Caller{}},
		{"HTTPS", "HTTPS=on", Caller{TLS: true}},
		{"HTTPS in capitals", "HTTPS=ON", Caller{TLS: true}},
		{"HTTPS off", "HTTPS=off\nREQUEST_SCHEME=https", Caller{}},
		{"the scheme", "REQUEST_SCHEME=https", Caller{TLS: true}},
		{"the port is no proof", "SERVER_PORT=443", Caller{}},
		{"a field is no proof", "HTTP_X_FORWARDED_PROTO=https\nHTTP_HTTPS=on", Caller{}},
		{"this machine", "REMOTE_ADDR=127.3.2.1", Caller{Loopback: true}},
		{"this machine by IPv6", "REMOTE_ADDR=::1", Caller{Loopback: true}},
		{"this machine, mapped", "REMOTE_ADDR=::ffff:127.0.0.1", Caller{Loopback: true}},
		{"a name is no address", "REMOTE_ADDR=localhost", Caller{}},
		{"a proxy on this machine", "REMOTE_ADDR=127.0.0.1\nHTTP_X_FORWARDED_FOR=192.0.2.1", Caller{}},
		{"a Unix socket", "REMOTE_ADDR=unix:", Caller{}},
	} {
		r, status := parse("REQUEST_METHOD=POST\n"+tt.lines, "")
		if r == nil {
			t.Errorf("%s: %d", tt.about, status)
			continue
		}
		if c, _ := From(r.Context()); c != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.about, c, tt.want)
		}
	}
}

func TestBody(t *testing.T) {
	for _, tt := range []struct {
		about, lines, stdin, want string
		length                    int64
		err                       error
	}{
		{"as long as said", "REQUEST_METHOD=POST\nCONTENT_LENGTH=5", "hello", "hello", 5, nil},
		{"what follows is not read", "REQUEST_METHOD=POST\nCONTENT_LENGTH=5", "hello world", "hello", 5, nil},
		{"cut short", "REQUEST_METHOD=POST\nCONTENT_LENGTH=5", "hel", "hel", 5, io.ErrUnexpectedEOF},
		{"empty", "REQUEST_METHOD=POST\nCONTENT_LENGTH=0", "hello", "", 0, nil},
		{"no length", "REQUEST_METHOD=POST\nCONTENT_LENGTH=", "hello", "hello", -1, nil},
		{"no length, a method of its own", "REQUEST_METHOD=DELETE\nHTTP_TRANSFER_ENCODING=chunked", "hello", "hello", -1, nil},
		{"chunked, and buffered by nginx", "REQUEST_METHOD=PUT\nHTTP_TRANSFER_ENCODING=chunked\nCONTENT_LENGTH=5", "hello", "hello", 5, nil},
		{"GET without length", "REQUEST_METHOD=GET", "hello", "", 0, nil},
		{"leading zeros", "REQUEST_METHOD=POST\nCONTENT_LENGTH=0005", "hello", "hello", 5, nil},
	} {
		r, status := parse(tt.lines, tt.stdin)
		if r == nil {
			t.Errorf("%s: %d", tt.about, status)
			continue
		}
		data, err := io.ReadAll(r.Body)
		if string(data) != tt.want || r.ContentLength != tt.length || !errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v, length %d", tt.about, data, err, r.ContentLength)
		}
		r.Body.Close()
		if n, err := r.Body.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: reading after Close gives %d, %v", tt.about, n, err)
		}
	}
}

func FuzzEnvironment(f *testing.F) {
	for _, s := range []string{apacheRewritten, apacheChunked, nginxUpload, nginxPlain,
		"REQUEST_METHOD=GET\nPATH_INFO=//evil\nQUERY_STRING=a%0d%0ab\nREQUEST_URI=http://x/y",
		"REQUEST_METHOD=HEAD\nPATH_INFO=/a\r\nX: y\nHTTP_HOST=[::1]:1",
		"REQUEST_METHOD=PUT\nCONTENT_LENGTH=18446744073709551616\nHTTP_X=\t",
	} {
		f.Add(s, "hello")
	}
	f.Fuzz(func(t *testing.T, lines, stdin string) {
		r, status := parse(lines, stdin, "/-nest")
		if r == nil {
			if status < 400 || status > 499 {
				t.Errorf("refused with %d", status)
			}
			return
		}
		p := r.URL.Path
		if p[0] != '/' || strings.ContainsAny(p, "\x00\r\n\\") || strings.Contains(p, "//") || !utf8.ValidString(p) ||
			slices.Contains(strings.Split(p, "/"), "..") || len(p) > maxPath {
			t.Errorf("path %q", p)
		}
		if q, err := url.PathUnescape(r.URL.EscapedPath()); err != nil || q != p {
			t.Errorf("path %q is %q when escaped", p, r.URL.EscapedPath())
		}
		if strings.ContainsAny(r.RequestURI+r.URL.RawQuery+r.Host+r.Method, " \x00\r\n\t") || r.RequestURI[0] != '/' {
			t.Errorf("%+v", r)
		}
		for name, values := range r.Header {
			if http.CanonicalHeaderKey(name) != name || len(values) != 1 || strings.ContainsAny(values[0], "\x00\r\n") || name == "Proxy" || name == "Host" {
				t.Errorf("field %q: %q", name, values)
			}
		}
		data, err := io.ReadAll(r.Body)
		if r.ContentLength >= 0 && int64(len(data)) != r.ContentLength && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("body of %d bytes, want %d", len(data), r.ContentLength)
		}

		// Whatever was asked, an answer that quotes it has the header that was
		// meant, and no other.
		var out bytes.Buffer
		s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			SetReason(w, r.URL.Path)
			w.Header().Set("X-Path", r.URL.Path)
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, r.RequestURI)
		})}
		code := s.cgi(strings.Split(strings.ReplaceAll(lines, "\x00", ""), "\n"), strings.NewReader(stdin), &out)
		header, _, ok := strings.Cut(out.String(), "\r\n\r\n")
		if code != 0 || !ok {
			t.Fatalf("exit status %d, answer %q", code, out.String())
		}
		for i, line := range strings.Split(header, "\r\n") {
			name, _, ok := strings.Cut(line, ": ")
			if !ok || (name == "Status") != (i == 0) || strings.ContainsAny(line, "\r\n") ||
				!slices.Contains([]string{"Status", "Content-Type", "Content-Length", "X-Path", "X-Content-Type-Options"}, name) {
				t.Errorf("line %d of the header: %q", i, line)
			}
		}
	})
}

func TestReason(t *testing.T) {
	for _, tt := range [][2]string{
		{"File already exists", "File already exists"},
		{"a\r\nb\x00c\x7f", "a  b c "},
		{"größer", "gr\xf6\xdfer"},
		{"名\u0085€", "???"},
		{"\xff", "?"},
		{strings.Repeat("ä", 300), strings.Repeat("\xe4", 200)},
	} {
		if got := string(appendReason(nil, tt[0])); got != tt[1] {
			t.Errorf("%q gives %q, want %q", tt[0], got, tt[1])
		}
	}
}

func BenchmarkEnvironment(b *testing.B) {
	var env []string
	for line := range strings.SplitSeq(strings.Trim(apacheRewritten, "\n"), "\n") {
		env = append(env, line)
	}
	s := &Server{Prefixes: []string{"/-nest"}, Handler: http.HandlerFunc(page)}
	b.ReportAllocs()
	for b.Loop() {
		if s.cgi(env, strings.NewReader(""), io.Discard) != 0 {
			b.Fatal("not answered")
		}
	}
}

// page answers as the fallback does with a page.
func page(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Content-Type"] = []string{"text/html; charset=utf-8"}
	h["Cache-Control"] = []string{"max-age=0, must-revalidate"}
	h["Content-Length"] = []string{strconv.Itoa(len(pageBody))}
	_, _ = w.Write(pageBody)
}

var pageBody = bytes.Repeat([]byte("<a href=x>x</a>\n"), 256)
