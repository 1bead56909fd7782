package monitor_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/monitor"
	"nestgen/serve"
)

func sum(data []byte) catalog.Digest { return sha256.Sum256(data) }

// A recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: http.Header{}, status: http.StatusOK} }

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func (r *recorder) response(to *http.Request) *http.Response {
	return &http.Response{StatusCode: r.status, Header: r.header, Body: io.NopCloser(&r.body), Request: to, ContentLength: int64(r.body.Len()), ProtoMajor: 1, ProtoMinor: 1}
}

func problems(r *monitor.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(string(f.Kind) + ": " + f.Path + ": " + f.Text + "\n")
	}
	for _, n := range r.Unanswered {
		b.WriteString("unanswered: " + n.Path + ": " + n.Text + "\n")
	}
	for _, n := range r.NotReachable {
		b.WriteString("not reachable: " + n.Path + ": " + n.Text + "\n")
	}
	return b.String()
}

// A site that is as it was published is proven, whoever serves it.
func TestProven(t *testing.T) {
	f := aSite(t)
	dir := f.tree.write(t)
	handler, err := serve.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer handler.Close()
	plain := httptest.NewServer(f.tree)
	defer plain.Close()
	files := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer files.Close()
	served := httptest.NewServer(handler)
	defer served.Close()
	below := httptest.NewServer(http.StripPrefix("/python", handler))
	defer below.Close()
	for name, site := range map[string]string{
		"a server of files":            plain.URL,
		"Go's server of files":         files.URL + "/",
		"nestgen serve":                served.URL,
		"nestgen serve below a prefix": below.URL + "/python/",
		"a folder":                     dir,
		"a folder by its address":      "file://" + dir,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := monitor.Verify(t.Context(), site, f.own.Verifier, monitor.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !r.Proven() || len(r.NotReachable) > 0 {
				t.Error(problems(r))
			}
			c, pages := f.open(t, f.tree)
			if r.Events != c.Size || r.Leaves != pages.Size || r.Events < 5 || r.Projects != 6 || r.Snapshots != 1 || r.Withheld != 2 || r.Key != f.own.Verifier || r.Since != -1 {
				t.Errorf("%+v", r)
			}
			// Seven files, the metadata of the five wheels, and one signature.
			if want := int64(7 + 5 + 1); r.Files != want {
				t.Errorf("%d files, want %d", r.Files, want)
			}
			if got := r.Pages + r.Files; got != int64(count(f.tree, func(path string) bool { return !strings.HasPrefix(path, "log/") })) {
				t.Errorf("%d pages and %d files, and the tree has %d", r.Pages, r.Files, len(f.tree))
			}
		})
	}
}

func count(t tree, which func(string) bool) (n int) {
	for path := range t {
		if which(path) {
			n++
		}
	}
	return n
}
