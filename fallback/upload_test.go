package fallback_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nestgen"
	"nestgen/access"
	"nestgen/fallback"
	"nestgen/packaging"
)

// recorded gives what the clients have once sent.
func recorded(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../upload/testdata/*.http")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d recorded requests, %v", len(files), err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".http")] = data
	}
	return all
}

// sent makes a recorded request again, as a server hands it over that the client
// has reached from this machine.
func sent(t testing.TB, data []byte, password string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "127.0.0.1:40000"
	if password != "" {
		r.Header.Set("Authorization", basic(password))
	}
	return r
}

// Every client uploads and registers what it makes, with and without the slash
// (UP-1, UP-3, 4.2): the site gets the bytes and who they are from.
func TestUploadRecorded(t *testing.T) {
	o := newOffice(t, "demo")
	var got []nestgen.Uploaded
	o.upload = func(u nestgen.Uploaded) error {
		data, err := os.ReadFile(u.File.Name())
		if sum := sha256.Sum256(data); err != nil || len(data) < 300 || u.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: %d bytes, %v, digest %q", u.Filename, len(data), err, u.SHA256)
		}
		got = append(got, u)
		return nil
	}
	h, log := newHandler(t, o.options(siteDir(t)))
	for name, data := range recorded(t) {
		for _, path := range []string{"/legacy/", "/legacy"} {
			got = nil
			r := sent(t, data, o.secret)
			r.URL.Path = path
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				t.Errorf("%s to %s: %d %q", name, path, w.Code, w.Body)
			}
			o.empty(t)
			lines := log.lines(t)
			if len(lines) != 1 || lines[0]["msg"] != "upload" || lines[0]["level"] != "INFO" || lines[0]["project"] != "demo" ||
				lines[0]["who"] != "token "+o.token+" (ci-bot)" || lines[0]["from"] != "127.0.0.1" || strings.Contains(fmt.Sprint(lines), o.secret) {
				t.Errorf("%s to %s: log %v", name, path, lines)
			}
			if strings.HasPrefix(name, "register") {
				if len(got) > 0 || lines[0]["action"] != "submit" {
					t.Errorf("%s: %+v, log %v", name, got, lines)
				}
				continue
			}
			if len(got) != 1 || got[0].Project != "demo" || !strings.HasPrefix(got[0].Filename, "demo-1.0") ||
				got[0].By != "token "+o.token+" (ci-bot) from 127.0.0.1" || lines[0]["file"] != got[0].Filename {
				t.Errorf("%s: %+v, log %v", name, got, lines)
			}
			if name == "twine-2" && !strings.Contains(string(got[0].Signature), "PGP SIGNATURE") {
				t.Errorf("%s: signature %q", name, got[0].Signature)
			}
		}
	}
}

// form makes a request with a form that nothing is wrong with, but for what is
// given: pairs of a field's name and its value; an empty value takes it out.
func form(fields ...string) *http.Request {
	const content = "not really a wheel"
	sum := sha256.Sum256([]byte(content))
	all := [][2]string{{":action", "file_upload"}, {"protocol_version", "1"}, {"name", "demo"}, {"version", "1.0"}, {"filetype", "bdist_wheel"},
		{"sha256_digest", hex.EncodeToString(sum[:])}, {"attestations", "[1]"}, {"content", content}}
	var b strings.Builder
	add := func(name, value string) {
		if value == "" {
			return
		}
		file := ""
		if name == "content" {
			file = `; filename="demo-1.0-py3-none-any.whl"`
		}
		fmt.Fprintf(&b, "--b\r\nContent-Disposition: form-data; name=%q%s\r\n\r\n%s\r\n", name, file, value)
	}
	for _, f := range all {
		for i := 0; i < len(fields); i += 2 {
			if fields[i] == f[0] {
				f[1] = fields[i+1]
			}
		}
		add(f[0], f[1])
	}
	b.WriteString("--b--\r\n")
	r := httptest.NewRequest(http.MethodPost, "/legacy/", strings.NewReader(b.String()))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	r.RemoteAddr = "127.0.0.1:40000"
	return r
}

// What is refused, by whom, and what the client is told of it. Whatever it is,
// no stage is left, there is one line in the log, and none has the secret (UP-8 to
// UP-12, reliability 3 row 26).
func TestUploadRefused(t *testing.T) {
	hidden := errors.New("hidden cause")
	for _, tt := range []struct {
		about  string
		r      func(r *http.Request, o *office) *http.Request // the form, unless it is nil
		stage  func(t *testing.T, o *office) (*os.File, error)
		upload error
		status int
		words  string
		header string // as "Name: value"
		log    string
		before bool // before anything of the body is read
	}{
		{about: "nobody", r: func(r *http.Request, _ *office) *http.Request { r.Header.Del("Authorization"); return r },
			status: 401, words: "Credentials are needed", header: `Www-Authenticate: Basic realm="pypi"`, log: "anonymous", before: true},
		{about: "wrong token", r: func(r *http.Request, _ *office) *http.Request {
			r.Header.Set("Authorization", basic("canary-1"))
			return r
		},
			status: 403, words: "The credentials are not right", log: "unreadable", before: true},
		{about: "no Basic", r: func(r *http.Request, _ *office) *http.Request {
			r.Header.Set("Authorization", "Basic canary-1")
			return r
		},
			status: 403, words: "The credentials are not right", log: "unreadable", before: true},
		{about: "revoked token", r: func(r *http.Request, o *office) *http.Request { o.gate = &access.Gate{}; return r },
			status: 403, words: "The credentials are not right", log: "unknown", before: true},
		{about: "expired token", r: func(r *http.Request, o *office) *http.Request {
			o.gate.Tokens[0].Expires = time.Unix(1, 0)
			return r
		}, status: 403, words: "The credentials are not right", log: "expired", before: true},
		{about: "plain HTTP", r: func(r *http.Request, _ *office) *http.Request { r.RemoteAddr = "192.0.2.7:1"; return r },
			status: 403, words: "plain HTTP", log: "insecure", before: true},
		{about: "plain HTTP by a proxy", r: func(r *http.Request, _ *office) *http.Request { r.Header.Set("X-Forwarded-For", "192.0.2.7"); return r },
			status: 403, words: "plain HTTP", log: "insecure", before: true},
		{about: "other site", r: func(r *http.Request, _ *office) *http.Request { r.Header.Set("Sec-Fetch-Site", "cross-site"); return r },
			status: 403, words: "pages of other sites", log: "cross-site", before: true},
		{about: "other origin", r: func(r *http.Request, _ *office) *http.Request {
			r.Header.Set("Origin", "https://evil.example")
			return r
		},
			status: 403, words: "pages of other sites", log: "cross-site", before: true},
		{about: "other project", r: func(_ *http.Request, o *office) *http.Request { return authorized(form("name", "other"), o) },
			status: 400, words: "other", log: "reason"},
		{about: "project of others", r: func(_ *http.Request, o *office) *http.Request {
			s, _ := access.ParseScope([]string{"demo-*", "de"})
			o.gate.Tokens[0].Scope = s
			return authorized(form(), o)
		}, status: 403, words: `may not upload to the project "demo"`, log: "out of scope"},
		{about: "registers a project of others", r: func(_ *http.Request, o *office) *http.Request {
			return authorized(form(":action", "submit", "name", "other", "content", ""), o)
		}, status: 403, words: `may not upload to the project "other"`, log: "out of scope"},
		{about: "documentation", r: func(_ *http.Request, o *office) *http.Request { return authorized(form(":action", "doc_upload"), o) },
			status: 410, words: "documentation", log: "documentation"},
		{about: "unknown action", r: func(_ *http.Request, o *office) *http.Request {
			return authorized(form(":action", "password_reset"), o)
		},
			status: 400, words: "password_reset", log: "password_reset"},
		{about: "bad digest", r: func(_ *http.Request, o *office) *http.Request {
			return authorized(form("sha256_digest", strings.Repeat("0", 64)), o)
		}, status: 400, words: "sha256_digest does not match", log: "sha256_digest does not match"},
		{about: "no form", r: func(r *http.Request, _ *office) *http.Request { r.Header.Set("Content-Type", "text/plain"); return r },
			status: 415, words: "multipart/form-data", log: "multipart/form-data"},
		{about: "cut off", r: func(_ *http.Request, o *office) *http.Request {
			r := form()
			data, _ := io.ReadAll(r.Body)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data[:len(data)-6])), int64(len(data))
			return authorized(r, o)
		}, status: 400, words: "ends before its last boundary", log: "boundary"},
		{about: "large file", r: func(_ *http.Request, o *office) *http.Request {
			return authorized(form("content", strings.Repeat("x", 2000), "sha256_digest", ""), o)
		}, status: 413, words: "Too large", log: "Too large"},

		{about: "no stage, disk full", stage: func(*testing.T, *office) (*os.File, error) {
			return nil, &nestgen.Refusal{Cause: nestgen.NoSpace, Text: "no room", Err: hidden}
		}, status: 507, words: "no room", header: "Retry-After: 60", log: "hidden cause"},
		{about: "no stage, busy", stage: func(*testing.T, *office) (*os.File, error) {
			return nil, &nestgen.Refusal{Cause: nestgen.Busy, Text: "too many", After: 3 * time.Second}
		}, status: 503, words: "too many", header: "Retry-After: 3", log: "too many"},
		{about: "no stage", stage: func(*testing.T, *office) (*os.File, error) { return nil, hidden },
			status: 500, words: "This index has a fault", log: "hidden cause"},
		{about: "stage that cannot be written to", stage: func(t *testing.T, o *office) (*os.File, error) {
			name := filepath.Join(o.dir, "upload")
			put(t, o.dir, "upload", "")
			return os.Open(name)
		}, status: 500, words: "This index has a fault", log: "bad file descriptor"},
		{about: "full device", stage: func(t *testing.T, o *office) (*os.File, error) {
			fd, err := syscall.Open("/dev/full", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
			// By its own name the handler would remove it.
			return os.NewFile(uintptr(fd), filepath.Join(o.dir, "upload")), err
		},
			status: 507, words: "no room left", log: "no space left"},

		{about: "exists", upload: &nestgen.Refusal{Cause: nestgen.Exists, Text: "with other bytes", Err: hidden},
			status: 400, words: "File already exists: demo-1.0-py3-none-any.whl, with other bytes", log: "hidden cause"},
		{about: "not allowed", upload: &nestgen.Refusal{Cause: nestgen.NotAllowed, Text: "demo is archived", Err: hidden},
			status: 403, words: "demo is archived", log: "hidden cause"},
		{about: "invalid", upload: &nestgen.Refusal{Cause: nestgen.Invalid, Text: "no RECORD"}, status: 400, words: "no RECORD", log: "no RECORD"},
		{about: "invalid, in words of another refusal", upload: &nestgen.Refusal{Cause: nestgen.Invalid, Text: "it already exists"},
			status: 400, words: "it already\u00a0exists", log: "it already exists"},
		{about: "no space", upload: &nestgen.Refusal{Cause: nestgen.NoSpace, Text: "no room"}, status: 507, words: "no room", header: "Retry-After: 60", log: "no room"},
		{about: "busy", upload: &nestgen.Refusal{Cause: nestgen.Busy, Text: "others publish", After: time.Second}, status: 503, words: "others publish", header: "Retry-After: 1", log: "others publish"},
		{about: "disk full", upload: fmt.Errorf("link: %w", syscall.EDQUOT), status: 507, words: "no room left", log: "quota"},
		{about: "fault", upload: hidden, status: 500, words: "This index has a fault", log: "hidden cause"},
	} {
		t.Run(tt.about, func(t *testing.T) {
			o := newOffice(t, "demo")
			o.upload = func(nestgen.Uploaded) error {
				if tt.upload == nil {
					t.Error("it is taken")
				}
				return tt.upload
			}
			staged := false
			stage := o.stage
			o.stage = func() (*os.File, error) {
				staged = true
				if tt.stage != nil {
					return tt.stage(t, o)
				}
				return stage()
			}
			options := o.options(siteDir(t))
			options.MaxFile = 1000
			h, log := newHandler(t, options)
			r := authorized(form(), o)
			if tt.r != nil {
				r = tt.r(r, o)
			}
			// Who waits to be told to go on is answered without a byte.
			body := &counting{ReadCloser: r.Body}
			r.Body = body
			r.Header.Set("Expect", "100-continue")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)

			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.words) {
				t.Errorf("%d %q, want %d and %q", w.Code, w.Body, tt.status, tt.words)
			}
			if tt.before && (body.n > 0 || staged) {
				t.Errorf("%d bytes were read, stage %v", body.n, staged)
			}
			if name, value, ok := strings.Cut(tt.header, ": "); ok && w.Header().Get(name) != value {
				t.Errorf("%s %q, want %q", name, w.Header().Get(name), value)
			}
			if w.Code != 401 && w.Header().Get("WWW-Authenticate") != "" {
				t.Error("it asks for credentials")
			}
			o.empty(t)
			lines := log.lines(t)
			text := fmt.Sprint(lines)
			if len(lines) != 1 || lines[0]["msg"] != "upload refused" || lines[0]["status"] != float64(tt.status) || lines[0]["from"] == nil ||
				!strings.Contains(text, tt.log) || (lines[0]["level"] == "ERROR") != (tt.status == 500 || tt.status == 507) {
				t.Errorf("log %v, want %q", lines, tt.log)
			}
			for _, told := range []string{text, w.Body.String(), fmt.Sprint(w.Header())} {
				if strings.Contains(told, o.secret) || strings.Contains(told, "canary") {
					t.Errorf("the secret is in %q", told)
				}
			}
			if strings.Contains(w.Body.String(), "hidden") {
				t.Errorf("the client is told %q", w.Body)
			}
		})
	}
}

func authorized(r *http.Request, o *office) *http.Request {
	r.Header.Set("Authorization", basic(o.secret))
	return r
}

type counting struct {
	io.ReadCloser
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += n
	return n, err
}

// A site that falls over leaves no stage behind either.
func TestUploadPanics(t *testing.T) {
	o := newOffice(t, "demo")
	o.upload = func(nestgen.Uploaded) error { panic("fell over") }
	h, _ := newHandler(t, o.options(siteDir(t)))
	defer func() {
		if v := recover(); v != "fell over" {
			t.Errorf("panic %v", v)
		}
		o.empty(t)
	}()
	h.ServeHTTP(httptest.NewRecorder(), authorized(form(), o))
}

// What the site has moved away stays where it is.
func TestUploadKept(t *testing.T) {
	o := newOffice(t, "demo")
	kept := filepath.Join(t.TempDir(), "kept")
	o.upload = func(u nestgen.Uploaded) error {
		if string(u.Attestations) != "[1]" {
			t.Errorf("attestations %q", u.Attestations)
		}
		return os.Rename(u.File.Name(), kept)
	}
	h, _ := newHandler(t, o.options(siteDir(t)))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, authorized(form(), o))
	if data, err := os.ReadFile(kept); w.Code != http.StatusOK || err != nil || string(data) != "not really a wheel" {
		t.Errorf("%d %q: %q, %v", w.Code, w.Body, data, err)
	}
	o.empty(t)
}

// The answers to what is no upload.
func TestLegacyActions(t *testing.T) {
	o := newOffice(t, "demo")
	h, log := newHandler(t, o.options(siteDir(t)))
	for _, tt := range []struct {
		about  string
		r      *http.Request
		status int
		allow  string
	}{
		{"verify", authorized(form(":action", "verify", "content", ""), o), 200, ""},
		{"submit", authorized(form(":action", "submit", "content", ""), o), 200, ""},
		{"submit_pkg_info", authorized(form(":action", "submit_pkg_info", "content", ""), o), 200, ""},
		{"classifiers", httptest.NewRequest("GET", "/legacy/?:action=list_classifiers", nil), 200, ""},
		{"classifiers, no slash", httptest.NewRequest("GET", "/legacy?:action=list_classifiers", nil), 200, ""},
		{"classifiers, HEAD", httptest.NewRequest("HEAD", "/legacy/?:action=list_classifiers", nil), 200, ""},
		{"looks", httptest.NewRequest("GET", "/legacy/", nil), 405, "POST"},
		{"looks, no slash", httptest.NewRequest("GET", "/legacy", nil), 405, "POST"},
		{"PUT", httptest.NewRequest("PUT", "/legacy/", strings.NewReader("x")), 405, "POST"},
		{"DELETE", httptest.NewRequest("DELETE", "/legacy/", nil), 405, "POST"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, tt.r)
		if w.Code != tt.status || w.Header().Get("Allow") != tt.allow || w.Header().Get("Location") != "" {
			t.Errorf("%s: %d %v %q", tt.about, w.Code, w.Header(), w.Body)
		}
	}
	if lines := log.lines(t); len(lines) != 3 {
		t.Errorf("log %v", lines)
	}
}

// An index that takes no uploads says so, whoever asks.
func TestNoUploads(t *testing.T) {
	o := newOffice(t, "demo")
	options := o.options(siteDir(t))
	options.Uploads = false
	options.Gate = func() (*access.Gate, error) { t.Error("the tokens are read"); return nil, nil }
	h, log := newHandler(t, options)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, authorized(form(), o))
	if w.Code != http.StatusForbidden || w.Body.String() != "This index takes no uploads\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if lines := log.lines(t); len(lines) != 1 {
		t.Errorf("log %v", lines)
	}
}

// Tokens that cannot be read are a fault of the site, and nobody gets in.
func TestBrokenGate(t *testing.T) {
	o := newOffice(t, "demo")
	options := o.options(siteDir(t))
	options.Gate = func() (*access.Gate, error) { return nil, errors.New("tokens:3: the line ends early") }
	h, log := newHandler(t, options)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, authorized(form(), o))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "tokens") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if lines := log.lines(t); len(lines) != 1 || lines[0]["err"] != "tokens:3: the line ends early" || lines[0]["level"] != "ERROR" {
		t.Errorf("log %v", lines)
	}
	// Without a gate nobody gets in either.
	options.Gate = nil
	h, _ = newHandler(t, options)
	w = httptest.NewRecorder()
	h.ServeHTTP(w, authorized(form(), o))
	if w.Code != http.StatusForbidden {
		t.Errorf("without a gate: %d %q", w.Code, w.Body)
	}
}

// Reading asks for no tokens.
func TestGateIsForUploadsAlone(t *testing.T) {
	o := newOffice(t, "demo")
	options := o.options(siteDir(t))
	options.Gate = func() (*access.Gate, error) { t.Error("the tokens are read"); return nil, nil }
	h, _ := newHandler(t, options)
	for _, path := range []string{"/", "/simple/demo/", "/" + stored, "/legacy/", "/nope"} {
		get(h, path, "Authorization", basic(o.secret))
	}
	for _, path := range []string{"/", "/simple/demo/", "/pypi"} {
		r := authorized(form(), o)
		r.URL.Path = path
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

// The settings say who may upload: by tokens, which are read anew each time, and by
// the web server's word where that is trusted (CGI-4).
func TestConfigure(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "site/simple/index.html", "all")
	put(t, dir, "nestgen.toml", `uploads = "uploads"
base_url = "https://index.example.org/"
max_file = "1KiB"
[fallback]
remote_user = true
sendfile = "x-accel"
[[owner]]
user = "alice"
projects = ["demo"]
`)
	c, err := nestgen.Load(filepath.Join(dir, "nestgen.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Resolve(); err != nil {
		t.Fatal(err)
	}
	o := newOffice(t, "*")
	var by []string
	o.upload = func(u nestgen.Uploaded) error { by = append(by, u.By); return nil }
	options := fallback.Configure(c)
	options.Site = o
	user := ""
	options.Caller = func(r *http.Request) access.Request {
		a := access.RequestOf(r)
		a.RemoteUser = user
		return a
	}
	h, _ := newHandler(t, options)
	if options.Tree != filepath.Join(dir, "site") || options.Sendfile != fallback.XAccel || options.MaxFile != 1024 || !options.Uploads {
		t.Errorf("%+v", options)
	}
	status := func(r *http.Request) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if got := status(authorized(form(), o)); got != 403 {
		t.Errorf("with a token of another site: %d", got)
	}
	s, err := access.ParseScope([]string{"demo"})
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := access.Add(c.Fallback.Tokens, access.Token{Scope: s}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := form()
	r.Header.Set("Authorization", basic(secret))
	if got := status(r); got != 200 {
		t.Errorf("with a token that was made now: %d", got)
	}
	user = "alice"
	if got := status(form()); got != 200 {
		t.Errorf("alice: %d", got)
	}
	user = "mallory"
	if got := status(form()); got != 403 {
		t.Errorf("mallory: %d", got)
	}
	user = "alice"
	r = form()
	r.Header.Set("Origin", "https://index.example.org")
	if got := status(r); got != 200 {
		t.Errorf("alice, from a page of this index: %d", got)
	}
	if len(by) != 3 || by[1] != `user "alice" from 127.0.0.1` {
		t.Errorf("by %q", by)
	}
	if err := os.WriteFile(c.Fallback.Tokens, []byte("broken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := status(form()); got != 500 {
		t.Errorf("with broken tokens: %d", got)
	}
}

// A form that goes to where pages are is told where to go, and what is no form too.
func TestPostToPages(t *testing.T) {
	o := newOffice(t, "*")
	o.project = func(packaging.Name) error { t.Error("a project is asked for"); return nil }
	h, _ := newHandler(t, o.options(siteDir(t)))
	for _, path := range []string{"/", "/simple/", "/simple/demo/", "/pypi", "/pypi/", "/project/demo/", "/" + stored, "/nope", "/legacy/x"} {
		r := authorized(form(), o)
		r.URL.Path = path
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" || !strings.Contains(w.Body.String(), "uploads go to /legacy/") {
			t.Errorf("POST %s: %d %v %q", path, w.Code, w.Header(), w.Body)
		}
		for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, request(method, path))
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d %v", method, path, w.Code, w.Header())
			}
		}
	}
	if asked := o.taken(); len(asked) > 0 {
		t.Errorf("asked for %q", asked)
	}
	o.empty(t)
}
