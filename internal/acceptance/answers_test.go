package acceptance

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"nestgen/intake/intaketest"
)

// What the fallback says reaches the client as it was said, through every server:
// status, reason, and the fields that clients go by (contract 3.5, CGI-5, UP-13).
func TestFallbackAnswers(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/broken/") {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(upstream.Close)
	settings := `uploads = "uploads"
[[upstream]]
name = "up"
url = "` + upstream.URL + `/simple/"
form = "index"
[[on_demand]]
pattern = "else-*"
mode = "redirect"
[[on_demand]]
pattern = "*"
mode = "fetch"
[fallback]
free = "1MB"
deadline = "3m" # for slow machines
`
	for i, k := range new(liveSite).fallbacks() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := newLiveSite(t, settings)
			s.nestgen(t, "build", "-q")
			k := s.fallbacks()[i]
			srv := k.start(t, k, s.dir)
			for _, tt := range []struct {
				about, method, path, kind string
				status                    string
				words                     string // in the body
				header                    [2]string
			}{
				{"XML-RPC", "POST", "/pypi", "text/xml", "410 XML-RPC is not supported: all projects are at /simple/, the files of one at /simple/NAME/, in JSON too", "/simple/NAME/", [2]string{}},
				{"XML-RPC with a slash", "POST", "/pypi/", "text/xml; charset=utf-8", "410 XML-RPC is not supported: all projects are at /simple/, the files of one at /simple/NAME/, in JSON too", "/simple/NAME/", [2]string{}},
				{"form to a page that is not here", "POST", "/simple/nope/", "multipart/form-data; boundary=b", "405 ", "Nothing is taken at this address: uploads go to /legacy/", [2]string{"Allow", "GET, HEAD"}},
				{"no page", "GET", "/simple/nope/", "", "404 Not Found", "", [2]string{}},
				{"elsewhere", "GET", "/simple/else-where/", "", "302 Found", "", [2]string{"Location", upstream.URL + "/simple/else-where/"}},
				{"elsewhere, for now", "GET", "/simple/else-where/", "", "302 Found", "", [2]string{"Cache-Control", "no-store"}},
				{"elsewhere, not for people", "GET", "/project/else-where/", "", "404 Not Found", "", [2]string{}},
				{"upstream that fails", "GET", "/simple/broken/", "", "503 it cannot be had at the moment", "it cannot be had at the moment", [2]string{"Retry-After", "15"}},
				{"upstream that has failed", "HEAD", "/simple/broken/", "", "503 it cannot be had at the moment", "", [2]string{}},
				{"classifiers", "GET", "/legacy/?:action=list_classifiers", "", "200 OK", "", [2]string{}},
				{"looks at uploads", "GET", "/legacy/", "", "405 This is the address for uploads: send a form with POST", "POST", [2]string{"Allow", "POST"}},
				{"upload of a stranger", "POST", "/legacy/", "multipart/form-data; boundary=b", "401 Credentials are needed: a token as the password", "token", [2]string{"Www-Authenticate", `Basic realm="pypi"`}},
			} {
				resp, data, err := ask(t, tt.method, srv.URL+tt.path, strings.NewReader(""), "Content-Type", tt.kind)
				if err != nil {
					t.Errorf("%s: %v", tt.about, err)
					continue
				}
				if !strings.HasPrefix(resp.Status, tt.status) || !strings.Contains(string(data), tt.words) || tt.header[0] != "" && resp.Header.Get(tt.header[0]) != tt.header[1] {
					t.Errorf("%s: %s %s: %q with %v\n%s", tt.about, tt.method, tt.path, resp.Status, resp.Header, data)
				}
			}
		})
	}
}

// A file that turns out to be another one than its page has announced is not taken
// for whole by whoever gets it while it comes, and nobody gets it later (CGI-6).
func TestWrongFileBreaksOff(t *testing.T) {
	name, data := intaketest.Sdist("foo", "1.0", intaketest.Opts{Pad: 2 << 20})
	wrong := bytes.Clone(data)
	wrong[len(wrong)-100] ^= 1
	for i, k := range new(liveSite).fallbacks() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			// The second half comes when the client has some of the first.
			begun := make(chan struct{})
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/simple/foo/":
					w.Header().Set("Content-Type", "text/html")
					fmt.Fprintf(w, `<a href="%s#sha256=%x">%[1]s</a>`, name, sha256.Sum256(data))
				case "/simple/foo/" + name:
					w.Header().Set("Content-Length", strconv.Itoa(len(wrong)))
					_, _ = w.Write(wrong[:len(wrong)/2])
					_ = http.NewResponseController(w).Flush()
					select {
					case <-begun:
					case <-r.Context().Done():
					}
					_, _ = w.Write(wrong[len(wrong)/2:])
				default:
					http.NotFound(w, r)
				}
			}))
			t.Cleanup(upstream.Close)
			s := newLiveSite(t, onDemand(upstream.URL+"/simple/"))
			k := s.fallbacks()[i]
			srv := k.start(t, k, s.dir)
			resp, page, err := ask(t, "GET", srv.URL+"/simple/foo/", nil)
			_, rest, ok := strings.Cut(string(page), `href="../..`)
			path, _, _ := strings.Cut(rest, "#")
			if err != nil || !ok {
				t.Fatalf("%v, %v\n%s", resp, err, page)
			}

			client := &http.Client{Timeout: patience}
			defer client.CloseIdleConnections()
			resp, err = client.Get(srv.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			first := make([]byte, 1000)
			n, err := io.ReadFull(resp.Body, first)
			if err != nil || resp.StatusCode != http.StatusOK || resp.ContentLength != int64(len(wrong)) {
				t.Errorf("%s, length %d, header %v, %d bytes, %v", resp.Status, resp.ContentLength, resp.Header, n, err)
			}
			close(begun)
			if more, err := io.ReadAll(resp.Body); err == nil || n+len(more) >= len(wrong) {
				t.Errorf("%d of %d bytes, and %v", n+len(more), len(wrong), err)
			}

			if resp, got, err := ask(t, "GET", srv.URL+path, nil); err == nil && resp.StatusCode == http.StatusOK || bytes.Equal(got, wrong) {
				t.Errorf("the next one: %s with %d of %d bytes, and no error", resp.Status, len(got), len(wrong))
			}
			if files, err := filepath.Glob(filepath.Join(s.dir, "packages/*/*/*/*")); err != nil || len(files) > 0 {
				t.Errorf("in the tree: %q, %v", files, err)
			}
		})
	}
}
