package serve_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nestgen/serve"
	"nestgen/serve/servetest"
)

func open(t testing.TB, dir string) *serve.Site {
	t.Helper()
	s, err := serve.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func siteDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestServe(t *testing.T) {
	tree := servetest.NewTree(t, siteDir(t))
	srv := httptest.NewServer(open(t, tree.Dir))
	t.Cleanup(srv.Close)
	servetest.Run(t, servetest.Server{URL: srv.URL, Capitals: true}, tree)
}

func TestServeBelowPrefix(t *testing.T) {
	tree := servetest.NewTree(t, siteDir(t))
	srv := httptest.NewServer(http.StripPrefix("/python", open(t, tree.Dir)))
	t.Cleanup(srv.Close)
	servetest.Run(t, servetest.Server{URL: srv.URL + "/python", Capitals: true}, tree)
}

// Several Accept lines are one list (RFC 9110, 5.3).
func TestAcceptInTwoLines(t *testing.T) {
	tree := servetest.NewTree(t, siteDir(t))
	r := httptest.NewRequest(http.MethodGet, "/simple/plus/", nil)
	r.Header["Accept"] = []string{"text/html", "application/vnd.pypi.simple.v1+json"}
	w := httptest.NewRecorder()
	open(t, tree.Dir).ServeHTTP(w, r)
	if got := w.Header().Get("Content-Type"); got != "application/vnd.pypi.simple.v1+json" {
		t.Errorf("Content-Type %q", got)
	}
}

// A FIFO in the place of a page is not waited for.
func TestFIFO(t *testing.T) {
	dir := siteDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "simple/foo"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "simple/foo/index.html"), 0o644); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	open(t, dir).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/simple/foo/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("status %d, want 404", w.Code)
	}
}

func TestRun(t *testing.T) {
	tree := servetest.NewTree(t, siteDir(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	address, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- serve.Run(ctx, "127.0.0.1:0", tree.Dir, func(a string) { address <- a }) }()
	var at string
	select {
	case at = <-address:
	case err := <-ended:
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + at + "/simple/plus/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %s", resp.Status)
	}

	// The address is taken.
	if err := serve.Run(ctx, at, tree.Dir, nil); err == nil {
		t.Error("a second server at the same address: no error")
	}
	// A header that is too long is refused, and does not fill memory.
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	go io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	if answer, _ := io.ReadAll(c); !strings.HasPrefix(string(answer), "HTTP/1.1 431 ") {
		t.Errorf("to a long header: %.60q, want 431", answer)
	}

	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("after the end of the context: %v", err)
		}
	case <-time.After(5 * time.Minute):
		t.Error("still running five minutes after the end of the context")
	}
}

// Where uploads are taken, a POST has a body, and nothing else has.
func TestBodies(t *testing.T) {
	got := make(chan string, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		got <- fmt.Sprintf("%d %v", len(body), err)
	})
	const tooLarge = "0 http: request body too large"
	for _, tt := range []struct {
		server *http.Server
		method string
		want   string
	}{
		{serve.NewServer(h), "GET", tooLarge},
		{serve.NewServer(h), "POST", tooLarge},
		{serve.NewUploadServer(h), "GET", tooLarge},
		{serve.NewUploadServer(h), "PUT", tooLarge},
		{serve.NewUploadServer(h), "POST", "5 <nil>"},
	} {
		r := httptest.NewRequest(tt.method, "/", strings.NewReader("12345"))
		tt.server.Handler.ServeHTTP(httptest.NewRecorder(), r)
		if g := <-got; g != tt.want {
			t.Errorf("%s: %s, want %s", tt.method, g, tt.want)
		}
	}
}

func TestRunWithoutSite(t *testing.T) {
	if err := serve.Run(t.Context(), "127.0.0.1:0", filepath.Join(t.TempDir(), "nope"), nil); !os.IsNotExist(err) {
		t.Errorf("error %v, want one that says that it does not exist", err)
	}
}

// Whatever is asked, the answer comes from the tree, leads nowhere else and is
// no fault of the server.
func FuzzServe(f *testing.F) {
	tree := servetest.NewTree(f, siteDir(f))
	site := open(f, tree.Dir)
	f.Add("/simple/foo-bar/", "text/html")
	f.Add("/simple/Foo.-_Bar", "application/vnd.pypi.simple.v1+json;q=0")
	f.Add("/pypi/a_b/1!2/json", "*/*")
	f.Add("//x/../../y", ",;,q=")
	f.Add("/"+tree.Wheel, "")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, path, accept string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path, r.RequestURI = path, (&url.URL{Path: path}).RequestURI()
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK, http.StatusMovedPermanently, http.StatusNotFound, http.StatusBadRequest:
		default:
			t.Errorf("GET %q: status %d", path, w.Code)
		}
		if strings.Contains(w.Body.String(), servetest.Secret) {
			t.Errorf("GET %q: a file that is not of the tree", path)
		}
		if to := w.Header().Get("Location"); to != "" {
			u, err := url.Parse(to)
			if err != nil || u.IsAbs() || u.Host != "" || strings.HasPrefix(to, "/") || strings.Count(to, "../") > 2 || strings.ContainsAny(to, "\\\r\n") {
				t.Errorf("GET %q: redirect to %q", path, to)
			}
		}
	})
}
