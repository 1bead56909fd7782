package fallback_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"nestgen"
	"nestgen/access"
	"nestgen/catalog"
	"nestgen/fallback"
	"nestgen/packaging"
	"nestgen/upload"
)

var _ fallback.Site = (*nestgen.Live)(nil)

// A fake is a Site of which a test says what it does. What is nil refuses: there
// is nothing here.
type fake struct {
	project func(n packaging.Name) error
	file    func(path string, begin func(int64) io.Writer) error
	stage   func() (*os.File, error)
	upload  func(u nestgen.Uploaded) error
	events  []catalog.Event
	fault   error // of reading them

	mu    sync.Mutex
	asked []string // the projects and paths, in order
}

var notHere = &nestgen.Refusal{Cause: nestgen.NotHere, Text: "there is no such thing"}

func (f *fake) ask(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, what)
}

// taken gives what was asked for, and forgets it.
func (f *fake) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.asked
	f.asked = nil
	return asked
}

func (f *fake) Project(_ context.Context, n packaging.Name) error {
	f.ask(string(n))
	if f.project == nil {
		return notHere
	}
	return f.project(n)
}

func (f *fake) File(_ context.Context, path string, begin func(int64) io.Writer) error {
	f.ask(path)
	if f.file == nil {
		return notHere
	}
	return f.file(path, begin)
}

func (f *fake) Serial(context.Context) (int64, error) { return int64(len(f.events)), nil }

func (f *fake) Changes(_ context.Context, after int64) iter.Seq2[catalog.Event, error] {
	return func(yield func(catalog.Event, error) bool) {
		for _, e := range f.events {
			if e.Serial > after && !yield(e, f.fault) {
				return
			}
		}
	}
}

func (f *fake) Serials(context.Context) iter.Seq2[catalog.ProjectSerial, error] {
	return func(yield func(catalog.ProjectSerial, error) bool) {
		for _, e := range f.events {
			if !yield(catalog.ProjectSerial{Name: e.Project, Serial: e.Serial}, f.fault) {
				return
			}
		}
	}
}

func (f *fake) Stage(context.Context) (*os.File, error) { return f.stage() }

func (f *fake) Upload(_ context.Context, u nestgen.Uploaded) error {
	if f.upload == nil {
		return errors.New("nothing was said of uploads")
	}
	return f.upload(u)
}

// A journal is a log that a test reads.
type journal struct {
	mu sync.Mutex
	bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Buffer.Write(p)
}

// lines gives what was noted, one record a line, and forgets it.
func (j *journal) lines(t testing.TB) (all []map[string]any) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range bytes.Lines(j.Bytes()) {
		var r map[string]any
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		delete(r, "time")
		all = append(all, r)
	}
	j.Reset()
	return all
}

func newHandler(t testing.TB, o fallback.Options) (*fallback.Handler, *journal) {
	t.Helper()
	j := new(journal)
	o.Log = slog.New(slog.NewJSONHandler(j, nil))
	h, err := fallback.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h, j
}

func siteDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// put writes a file of a tree, as old as published pages are, unless it is there.
func put(t testing.TB, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if _, err := os.Stat(file); err == nil {
		return
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Error(err)
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, past, past); err != nil {
		t.Error(err)
	}
}

// request makes a request whose path is as a server has decoded it. Header fields
// come in pairs.
func request(method, path string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, "/", nil)
	r.URL = &url.URL{Path: path}
	r.RequestURI = r.URL.RequestURI()
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

func get(h http.Handler, path string, fields ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(http.MethodGet, path, fields...))
	return w
}

// start serves a handler as "nestgen serve" does.
func start(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(upload.Reasons(h))
	t.Cleanup(srv.Close)
	srv.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return srv
}

// read reads an answer to its end.
func read(t testing.TB, resp *http.Response, err error) (*http.Response, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

// An office takes uploads into a folder, whoever has the token.
type office struct {
	fake
	dir    string // where stages are
	token  string // covers demo
	secret string
	gate   *access.Gate
}

func newOffice(t testing.TB, scope ...string) *office {
	t.Helper()
	o := &office{dir: t.TempDir()}
	tokens := filepath.Join(t.TempDir(), "tokens")
	s, err := access.ParseScope(scope)
	if err != nil {
		t.Fatal(err)
	}
	added, secret, err := access.Add(tokens, access.Token{Note: "ci-bot", Scope: s}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	o.token, o.secret = added.ID, secret
	all, err := access.Load(tokens)
	if err != nil {
		t.Fatal(err)
	}
	o.gate = &access.Gate{Tokens: all}
	o.stage = func() (*os.File, error) { return os.CreateTemp(o.dir, "upload") }
	return o
}

func (o *office) options(tree string) fallback.Options {
	return fallback.Options{Site: o, Tree: tree, Uploads: true, Gate: func() (*access.Gate, error) { return o.gate, nil }}
}

// empty checks that no stage was left behind.
func (o *office) empty(t testing.TB) {
	t.Helper()
	if left, err := os.ReadDir(o.dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func basic(password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("__token__:"+password))
}
