package servetest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nestgen/layout"
)

// A Server is one that is put to the test.
type Server struct {
	// URL is the address of the tree's root without a slash at its end. What
	// follows the host is the prefix.
	URL string

	// Capitals says that a name with capital letters is redirected however it
	// is spelled. Otherwise it need be found as it is displayed only.
	Capitals bool
}

// Run puts a server that serves the tree through every case. It changes a page
// of the tree at the end.
func Run(t *testing.T, s Server, tree *Tree) {
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 4}
	t.Cleanup(transport.CloseIdleConnections)
	r := &runner{Server: s, tree: tree, prefix: u.Path, host: u.Host, client: &http.Client{
		Transport:     transport,
		Timeout:       5 * time.Minute, // it ends what hangs
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"answers", r.answers},
		{"moves", r.moves},
		{"misses", r.misses},
		{"traps", r.traps},
		{"methods", r.methods},
		{"HEAD", r.head},
		{"conditional", r.conditional},
		{"ranges", r.ranges},
		{"replaced page", r.replaced},
	} {
		t.Run(part.name, part.run)
	}
}

type runner struct {
	Server
	tree         *Tree
	prefix, host string
	client       *http.Client
}

// A reply is an answer that was read to its end.
type reply struct {
	*http.Response
	body []byte
}

// ask sends a request. Headers come in pairs; one with an empty value is left
// out.
func (r *runner) ask(t *testing.T, method, path string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "servetest")
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, short(path), err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, short(path), err)
	}
	return reply{resp, body}
}

func short(path string) string {
	if len(path) > 120 {
		return path[:117] + "..."
	}
	return path
}

func (r *runner) answers(t *testing.T) {
	for _, q := range requests(r.tree) {
		got := r.ask(t, http.MethodGet, q.path, "Accept", q.accept, "Accept-Encoding", q.coding)
		where := fmt.Sprintf("%s: GET %s", q.about, short(q.path))
		if got.StatusCode != http.StatusOK {
			t.Errorf("%s: %s, want 200", where, got.Status)
			continue
		}
		for _, h := range []struct{ name, want string }{
			{"Content-Type", q.mediaType}, {"Cache-Control", q.cache},
			{"Content-Security-Policy", q.policy}, {"X-Content-Type-Options", "nosniff"},
			{"Content-Length", strconv.Itoa(len(got.body))},
			{"Content-Language", ""},
			{"Content-Encoding", map[bool]string{true: "gzip"}[q.gzipped]},
		} {
			if v := strings.Join(got.Header.Values(h.name), " and "); v != h.want {
				t.Errorf("%s: %s %q, want %q", where, h.name, v, h.want)
			}
		}
		// nginx sends it with what is not compressed only, which is enough.
		if v := got.Header.Get("Accept-Ranges"); v != "bytes" && !q.gzipped {
			t.Errorf("%s: Accept-Ranges %q, want bytes", where, v)
		}
		if v := vary(got.Header); !slices.Equal(v, q.vary) {
			t.Errorf("%s: Vary %q, want %q", where, v, q.vary)
		}
		if got.Header.Get("ETag") == "" || strings.HasPrefix(got.Header.Get("ETag"), "W/") || got.Header.Get("Last-Modified") == "" {
			t.Errorf("%s: ETag %q, Last-Modified %q; want both, and a strong tag", where, got.Header.Get("ETag"), got.Header.Get("Last-Modified"))
		}
		body := got.body
		if q.gzipped {
			var err error
			if body, err = gunzip(body); err != nil {
				t.Errorf("%s: %v", where, err)
				continue
			}
		}
		if !bytes.Equal(body, r.tree.Read(t, q.file)) {
			t.Errorf("%s: %d bytes that are not those of %s", where, len(body), q.file)
		}
	}
}

// vary gives the names in a Vary header, each once and in order.
func vary(h http.Header) []string {
	var names []string
	for _, line := range h.Values("Vary") {
		for n := range strings.SplitSeq(line, ",") {
			names = append(names, http.CanonicalHeaderKey(strings.TrimSpace(n)))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// follow asks for a path and goes where it is sent. It fails the test when that
// is outside the tree, and when it takes more than two steps.
func (r *runner) follow(t *testing.T, path string) (got reply, at string) {
	t.Helper()
	asked := path
	for range 3 {
		got = r.ask(t, http.MethodGet, path)
		if got.StatusCode/100 != 3 {
			return got, path
		}
		to, ok := r.target(t, got)
		if !ok || got.StatusCode != http.StatusMovedPermanently {
			t.Errorf("GET %s: %s to %q", short(asked), got.Status, got.Header.Get("Location"))
			return got, path
		}
		if cc := got.Header.Get("Cache-Control"); cc != pageCache {
			t.Errorf("GET %s: redirect with Cache-Control %q, want %q", short(asked), cc, pageCache)
		}
		path = to
	}
	t.Errorf("GET %s: still a redirect after three", short(asked))
	return got, path
}

// target gives where a redirect leads, below the root of the tree. It reports
// false if that is outside.
func (r *runner) target(t *testing.T, got reply) (string, bool) {
	t.Helper()
	u, err := got.Location()
	if err != nil {
		t.Errorf("Location %q: %v", got.Header.Get("Location"), err)
		return "", false
	}
	path, below := strings.CutPrefix(u.EscapedPath(), r.prefix)
	return path, below && u.Host == r.host && strings.HasPrefix(path, "/")
}

func (r *runner) moves(t *testing.T) {
	ms := moves()
	if r.prefix != "" {
		ms = append(ms, move{"prefix without slash", "", "/", layout.Front, false, false})
	}
	for _, m := range ms {
		got, at := r.follow(t, m.path)
		if m.capital && !m.alias && !r.Capitals {
			if got.StatusCode != http.StatusNotFound {
				t.Errorf("%s: GET %s: %s at %s, want 404", m.about, m.path, got.Status, at)
			}
			continue
		}
		stayed := m.alias && at == m.path
		if got.StatusCode != http.StatusOK || at != m.to && !stayed || !bytes.Equal(got.body, r.tree.Read(t, m.file)) {
			t.Errorf("%s: GET %s: %s at %s, want the bytes of %s at %s", m.about, m.path, got.Status, at, m.file, m.to)
		}
	}
}

func (r *runner) misses(t *testing.T) {
	for _, path := range misses(r.tree) {
		got, at := r.follow(t, path)
		if got.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s at %s, want 404", path, got.Status, at)
		}
		if strings.Contains(got.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("GET %s: 404 that may be kept for ever", path)
		}
		if v := got.Header.Get("X-Content-Type-Options"); v != "nosniff" && v != "" {
			t.Errorf("GET %s: X-Content-Type-Options %q", path, v)
		}
		r.harmless(t, path, got)
	}
}

func (r *runner) traps(t *testing.T) {
	for _, path := range traps(r.tree) {
		got := r.ask(t, http.MethodGet, path)
		if got.StatusCode == http.StatusOK || got.StatusCode >= 500 {
			t.Errorf("GET %s: %s", short(path), got.Status)
		}
		if got.StatusCode/100 == 3 {
			if _, ok := r.target(t, got); !ok {
				t.Errorf("GET %s: %s to %q, which is outside", short(path), got.Status, got.Header.Get("Location"))
			}
		}
		r.harmless(t, path, got)
	}
}

func (r *runner) harmless(t *testing.T, path string, got reply) {
	t.Helper()
	if bytes.Contains(got.body, []byte(Secret)) || got.Header.Get("X-Evil") != "" {
		t.Errorf("GET %s: %s with headers %v and body %.200q", short(path), got.Status, got.Header, got.body)
	}
}

func (r *runner) methods(t *testing.T) {
	for _, path := range []string{"/", "/prod/", "/prod/simple/foo-bar/", "/simple/", "/simple/foo-bar/", "/flat/", "/" + r.tree.Wheel, "/project/foo-bar/", "/pypi/foo-bar/json", "/static/site.css"} {
		for _, m := range methods {
			if got := r.ask(t, m, path); got.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %s, want 405", m, path, got.Status)
			}
		}
	}
}

// head checks that HEAD says what GET says and sends nothing (S-4).
func (r *runner) head(t *testing.T) {
	for _, path := range r.samples() {
		for _, coding := range []string{"", "gzip"} {
			get := r.ask(t, http.MethodGet, path, "Accept", acceptPip, "Accept-Encoding", coding)
			head := r.ask(t, http.MethodHead, path, "Accept", acceptPip, "Accept-Encoding", coding)
			if head.StatusCode != http.StatusOK || len(head.body) > 0 {
				t.Errorf("HEAD %s: %s, %d bytes", path, head.Status, len(head.body))
			}
			for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "ETag", "Last-Modified", "Vary", "Cache-Control", "Accept-Ranges"} {
				if g, h := get.Header.Values(name), head.Header.Values(name); !slices.Equal(g, h) {
					t.Errorf("HEAD %s: %s %q, GET says %q", path, name, h, g)
				}
			}
		}
	}
	if got := r.ask(t, http.MethodHead, "/simple/nope/"); got.StatusCode != http.StatusNotFound || len(got.body) > 0 {
		t.Errorf("HEAD of a project that is not there: %s, %d bytes", got.Status, len(got.body))
	}
}

func (r *runner) samples() []string {
	return []string{"/", "/prod/", "/prod/simple/", "/prod/simple/foo-bar/", "/simple/", "/simple/foo-bar/", "/simple/plus/", "/flat/", "/easy/", "/" + r.tree.Wheel,
		"/" + layout.CoreMetadata(r.tree.Wheel), "/project/foo-bar/", "/pypi/foo-bar/json", "/static/site.css"}
}

// conditional checks that a form that the client has is not sent again, on its
// tag, on its date and on both, and that no form is taken for another.
func (r *runner) conditional(t *testing.T) {
	tags := make(map[string]string)
	for _, path := range r.samples() {
		for _, accept := range []string{"", acceptPip} {
			for _, coding := range []string{"", "gzip"} {
				get := r.ask(t, http.MethodGet, path, "Accept", accept, "Accept-Encoding", coding)
				tag, date := get.Header.Get("ETag"), get.Header.Get("Last-Modified")
				form := fmt.Sprint(path, get.Header.Get("Content-Type"), get.Header.Get("Content-Encoding"))
				if strings.HasPrefix(path, "/simple/") {
					if other, seen := tags[tag+path]; seen && other != form {
						t.Errorf("%s and %s have one tag, %s", form, other, tag)
					}
					tags[tag+path] = form
				}
				for _, have := range [][2]string{{tag, ""}, {"", date}, {tag, date}, {`"other", ` + tag, ""}} {
					got := r.ask(t, http.MethodGet, path, "Accept", accept, "Accept-Encoding", coding,
						"If-None-Match", have[0], "If-Modified-Since", have[1])
					if got.StatusCode != http.StatusNotModified || len(got.body) > 0 {
						t.Errorf("GET %s, having %q: %s, %d bytes; want 304", form, have, got.Status, len(got.body))
						continue
					}
					for _, name := range []string{"ETag", "Cache-Control"} {
						if g, h := got.Header.Get(name), get.Header.Get(name); g != h {
							t.Errorf("GET %s, having %q: %s %q in the 304, %q in the 200", form, have, name, g, h)
						}
					}
					if g, h := vary(got.Header), vary(get.Header); slices.Contains(h, "Accept") && !slices.Contains(g, "Accept") {
						t.Errorf("GET %s, having %q: Vary %q in the 304, %q in the 200", form, have, g, h)
					}
				}
				for _, have := range [][2]string{{`"other"`, ""}, {`"other"`, date}, {"", "Thu, 01 Jan 2015 00:00:00 GMT"}} {
					got := r.ask(t, http.MethodGet, path, "Accept", accept, "Accept-Encoding", coding,
						"If-None-Match", have[0], "If-Modified-Since", have[1])
					if got.StatusCode != http.StatusOK || !bytes.Equal(got.body, get.body) {
						t.Errorf("GET %s, having %q: %s, %d bytes; want 200", form, have, got.Status, len(got.body))
					}
				}
			}
		}
	}
}

// ranges checks what pip and uv do to read the end of a wheel and to go on
// with a broken download (S-4).
func (r *runner) ranges(t *testing.T) {
	for _, file := range []string{r.tree.Wheel, r.tree.Sdist} {
		data, path := r.tree.Read(t, file), "/"+file
		size := len(data)
		tag := r.ask(t, http.MethodHead, path).Header.Get("ETag")
		for _, tt := range []struct {
			about, ask, condition string
			status, from, to      int
		}{
			{"beginning", "bytes=0-9", "", http.StatusPartialContent, 0, 10},
			{"middle to end", "bytes=100-", "", http.StatusPartialContent, 100, size},
			{"end", "bytes=-50", "", http.StatusPartialContent, size - 50, size},
			{"going on", "bytes=100-", tag, http.StatusPartialContent, 100, size},
			{"going on with another file", "bytes=100-", `"other"`, http.StatusOK, 0, size},
			{"past the end", fmt.Sprintf("bytes=%d-", size), "", http.StatusRequestedRangeNotSatisfiable, 0, 0},
		} {
			got := r.ask(t, http.MethodGet, path, "Range", tt.ask, "If-Range", tt.condition, "Accept-Encoding", "identity")
			if got.StatusCode != tt.status {
				t.Errorf("%s of %s: %s, want %d", tt.about, file, got.Status, tt.status)
				continue
			}
			if tt.status == http.StatusRequestedRangeNotSatisfiable {
				continue
			}
			if !bytes.Equal(got.body, data[tt.from:tt.to]) {
				t.Errorf("%s of %s: %d bytes, want those from %d to %d", tt.about, file, len(got.body), tt.from, tt.to)
			}
			want := ""
			if tt.status == http.StatusPartialContent {
				want = fmt.Sprintf("bytes %d-%d/%d", tt.from, tt.to-1, size)
			}
			if cr := got.Header.Get("Content-Range"); cr != want {
				t.Errorf("%s of %s: Content-Range %q, want %q", tt.about, file, cr, want)
			}
			if cc := got.Header.Get("Cache-Control"); cc != fileCache {
				t.Errorf("%s of %s: Cache-Control %q, want %q", tt.about, file, cc, fileCache)
			}
		}
	}
}

// replaced checks that a page of the same size that was renamed over another,
// one second younger, is not taken for the old one (rule 15).
func (r *runner) replaced(t *testing.T) {
	const path = "/simple/plus/"
	before := r.ask(t, http.MethodGet, path)
	file := filepath.Join(r.tree.Dir, layout.ProjectHTML("plus"))
	fi, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Replace(before.body, []byte("plus"), []byte("sulp"), 1)
	if err := os.WriteFile(file+".new", data, 0o644); err != nil {
		t.Fatal(err)
	}
	later := fi.ModTime().Add(time.Second)
	if err := os.Chtimes(file+".new", later, later); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	after := r.ask(t, http.MethodGet, path, "If-None-Match", before.Header.Get("ETag"), "If-Modified-Since", before.Header.Get("Last-Modified"))
	if after.StatusCode != http.StatusOK || !bytes.Equal(after.body, data) || after.Header.Get("ETag") == before.Header.Get("ETag") {
		t.Errorf("after the page was replaced: %s, ETag %s, before it was %s", after.Status, after.Header.Get("ETag"), before.Header.Get("ETag"))
	}
}
