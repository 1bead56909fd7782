package fetchtest

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Server is an upstream on a port of this machine.
type Server struct {
	// URL is the server's root, without a slash at its end.
	URL string

	// CAFile is the authority of a server with TLS.
	CAFile string

	tb      testing.TB
	http    *httptest.Server
	closing chan struct{}
	latency atomic.Int64
	conns   atomic.Int64
	flying  atomic.Int64
	most    atomic.Int64

	mu       sync.Mutex
	files    map[string]*File // by path
	projects map[string][]*File
	order    []*File
	etags    map[*File]string
	serial   int64
	serials  map[string]int64  // of projects
	pages    map[string]string // of HTML, by path
	moved    map[string]string
	scripts  map[string][]Fault
	always   map[string]Fault
	requests []Request
	login    string // user:password, empty for none
}

// A Request is one that the server got.
type Request struct {
	Method string
	Path   string
	Proto  string
	Header http.Header
}

// New starts a server that has the files. It ends with the test.
func New(tb testing.TB, files ...File) *Server {
	s := newServer(tb, files)
	s.http.Start()
	s.URL = s.http.URL
	return s
}

func newServer(tb testing.TB, files []File) *Server {
	s := &Server{tb: tb, closing: make(chan struct{}), scripts: map[string][]Fault{}, always: map[string]Fault{}}
	s.SetFiles(files...)
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.Config.ErrorLog = discard
	s.http.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	tb.Cleanup(func() {
		close(s.closing)
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// SetFiles replaces all files.
func (s *Server) SetFiles(files ...File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = map[string]*File{}
	s.projects = map[string][]*File{}
	s.order = nil
	s.etags = map[*File]string{}
	for i := range files {
		f := &files[i]
		s.files[f.path()] = f
		s.projects[f.Project] = append(s.projects[f.Project], f)
		s.order = append(s.order, f)
		s.etags[f] = etag(f.Data)
	}
}

// SetSerial sets the serial that pages carry; 0 for none.
func (s *Server) SetSerial(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial = n
}

// SetProjectSerial sets the serial that one project's page carries, and the root
// page says of it.
func (s *Server) SetProjectSerial(project string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serials == nil {
		s.serials = map[string]int64{}
	}
	s.serials[project] = n
	s.serial = max(s.serial, n)
}

// serialOf gives the serial of a project.
func (s *Server) serialOf(project string) int64 {
	if n, ok := s.serials[project]; ok {
		return n
	}
	return s.serial
}

// SetPage puts a page of HTML at a path, in place of what is there.
func (s *Server) SetPage(path, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pages == nil {
		s.pages = map[string]string{}
	}
	s.pages[path] = text
}

// Redirect makes a path lead elsewhere.
func (s *Server) Redirect(path, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moved == nil {
		s.moved = map[string]string{}
	}
	s.moved[path] = to
}

// SetLogin makes the server ask for a user name and a password.
func (s *Server) SetLogin(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login = user + ":" + password
}

// SetLatency makes every answer wait.
func (s *Server) SetLatency(d time.Duration) { s.latency.Store(int64(d)) }

// The forms in which the server offers its files.
const (
	Index  = "/simple/"         // JSON or HTML, as the client asks (PEP 691)
	HTML   = "/html/"           // HTML only (PEP 503)
	Nginx  = "/nginx/"          // a folder for each project, as nginx lists it
	Apache = "/apache/"         // a folder for each project, as Apache lists it
	Flat   = "/flat/"           // all files in one folder, as nginx lists it
	Links  = "/links/page.html" // all files on one page, with hashes
)

// Page gives the path of a project's page in one of the first four forms.
func (s *Server) Page(form, project string) string { return form + project + "/" }

// Path gives the path of a file.
func (s *Server) Path(filename string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.order {
		if f.Filename == filename {
			return f.path()
		}
	}
	s.tb.Fatalf("fetchtest: no file %s", filename)
	return ""
}

// Script makes the next requests for a path misbehave, one after the other;
// those after them do as before.
func (s *Server) Script(path string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts[path] = append(s.scripts[path], faults...)
}

// Always makes all requests for a path misbehave.
func (s *Server) Always(path string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always[path] = f
}

// Heal ends all misbehaviour.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.scripts)
	clear(s.always)
}

// Requests gives all requests so far for a path, all of them for "".
func (s *Server) Requests(path string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Request
	for _, r := range s.requests {
		if path == "" || r.Path == path {
			list = append(list, r)
		}
	}
	return list
}

// Forget forgets the requests so far.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// Connections is how many connections were made.
func (s *Server) Connections() int { return int(s.conns.Load()) }

// MostAtOnce is how many requests were being answered at one time at most.
func (s *Server) MostAtOnce() int { return int(s.most.Load()) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	n := s.flying.Add(1)
	defer s.flying.Add(-1)
	for m := s.most.Load(); n > m && !s.most.CompareAndSwap(m, n); m = s.most.Load() {
	}
	s.mu.Lock()
	s.requests = append(s.requests, Request{r.Method, r.URL.Path, r.Proto, r.Header.Clone()})
	fault := s.always[r.URL.Path]
	if script := s.scripts[r.URL.Path]; len(script) > 0 {
		fault, s.scripts[r.URL.Path] = script[0], script[1:]
	}
	login, to := s.login, s.moved[r.URL.Path]
	s.mu.Unlock()
	if to != "" {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
		return
	}
	if d := time.Duration(s.latency.Load()); d > 0 && !s.sleep(r, d) {
		return
	}
	if login != "" {
		user, password, _ := r.BasicAuth()
		if user+":"+password != login {
			fault = Status401
		}
	}
	if s.misbehave(w, r, fault) {
		return
	}
	a, ok := s.answer(r, fault)
	if !ok {
		http.NotFound(w, r)
		return
	}
	a.send(w, r)
}

// sleep waits; it is false when the client has gone or the test has ended.
func (s *Server) sleep(r *http.Request, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
	case <-s.closing:
	}
	return false
}

// stall waits until the client has gone or the test has ended, however long the
// client is ready to wait.
func (s *Server) stall(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.closing:
	}
}

// An answer is what the server would send if it were healthy.
type answer struct {
	contentType string
	header      http.Header
	data        []byte
	etag        string // empty to be computed
	ranges      bool
}

// send sends an answer as a good server does: with an ETag, with 304 where the
// client has it, with ranges for files.
func (a *answer) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	if a.etag == "" {
		a.etag = etag(a.data)
	}
	h.Set("ETag", a.etag)
	for k, v := range a.header {
		h[k] = v
	}
	if !a.ranges {
		if r.Header.Get("If-None-Match") == h.Get("ETag") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Write(a.data)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.data))
}

// answer finds what is at a path.
func (s *Server) answer(r *http.Request, fault Fault) (*answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := r.URL.Path
	if text, ok := s.pages[path]; ok {
		return &answer{contentType: typeHTML, data: []byte(text)}, true
	}
	if f, ok := s.files[path]; ok {
		a := fileAnswer(f.Data)
		a.etag = s.etags[f]
		return a, true
	}
	for _, c := range []struct {
		suffix string
		data   func(*File) []byte
	}{
		{".metadata", func(f *File) []byte { return f.Metadata }},
		{".asc", func(f *File) []byte { return f.Signature }},
		{".provenance", func(f *File) []byte { return f.Provenance }},
	} {
		if base, ok := strings.CutSuffix(path, c.suffix); ok {
			if f := s.files[base]; f != nil && c.data(f) != nil {
				return fileAnswer(c.data(f)), true
			}
			return nil, false
		}
	}
	return s.page(r, path, fault)
}

func fileAnswer(data []byte) *answer {
	return &answer{contentType: "application/octet-stream", data: data, ranges: true}
}
