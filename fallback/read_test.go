package fallback_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nestgen"
	"nestgen/fallback"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/serve"
	"nestgen/serve/servetest"
)

// Whatever the tree has is served as by any other server of it, also where
// nothing comes on demand, and no file of it is asked for.
func TestServesTheTree(t *testing.T) {
	tree := servetest.NewTree(t, siteDir(t))
	site := new(fake)
	h, _ := newHandler(t, fallback.Options{Site: site, Tree: tree.Dir})
	srv := httptest.NewServer(http.StripPrefix("/python", h))
	t.Cleanup(srv.Close)
	servetest.Run(t, servetest.Server{URL: srv.URL + "/python", Capitals: true}, tree)
	for _, asked := range site.taken() {
		if fi, err := os.Lstat(filepath.Join(tree.Dir, asked)); strings.Contains(asked, "/") && err == nil && fi.Mode().IsRegular() {
			t.Errorf("asked for %s, which is in the tree", asked)
		}
	}
}

func TestNewWithoutTree(t *testing.T) {
	if _, err := fallback.New(fallback.Options{Site: new(fake), Tree: filepath.Join(t.TempDir(), "nope")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one that says that it does not exist", err)
	}
}

// A page that comes on demand is answered in the form, the part and the
// condition that was asked for (S-1, S-4).
func TestPageOnDemand(t *testing.T) {
	const v1JSON = "application/vnd.pypi.simple.v1+json"
	for _, tt := range []struct {
		about, method, path string
		fields              []string
		status              int
		body                string
		header              map[string]string
	}{
		{"HTML", "GET", "/simple/new/", nil, 200, "html of new", map[string]string{"Content-Type": "text/html; charset=utf-8", "Vary": "Accept"}},
		{"JSON", "GET", "/simple/new/", []string{"Accept", v1JSON}, 200, "json of new", map[string]string{"Content-Type": v1JSON, "Vary": "Accept"}},
		{"HEAD", "HEAD", "/simple/new/", []string{"Accept", v1JSON}, 200, "", map[string]string{"Content-Length": "11"}},
		{"part", "GET", "/simple/new/", []string{"Range", "bytes=0-3"}, 206, "html", nil},
		{"no slash (S-5)", "GET", "/simple/new", nil, 301, "", map[string]string{"Location": "new/"}},
		{"for people", "GET", "/project/new/", nil, 200, "people of new", nil},
		{"for people, no slash", "GET", "/project/new", nil, 301, "", map[string]string{"Location": "new/"}},
		{"legacy JSON", "GET", "/pypi/new/json", nil, 200, "legacy of new", map[string]string{"Content-Type": "application/json"}},
		{"legacy JSON of a release", "GET", "/pypi/new/1!2.0+x.1/json", nil, 200, "release of new", nil},
		{"legacy JSON of no release", "GET", "/pypi/new/9/json", nil, 404, "404 page not found\n", nil},
	} {
		t.Run(tt.about, func(t *testing.T) {
			dir := siteDir(t)
			site := &fake{project: func(n packaging.Name) error {
				put(t, dir, layout.ProjectHTML(n), "html of "+string(n))
				put(t, dir, layout.ProjectJSON(n), "json of "+string(n))
				put(t, dir, layout.PeopleProject(n), "people of "+string(n))
				put(t, dir, layout.LegacyProject(n), "legacy of "+string(n))
				put(t, dir, layout.LegacyRelease(n, "1!2.0+x.1"), "release of "+string(n))
				return nil
			}}
			h, _ := newHandler(t, fallback.Options{Site: site, Tree: dir})
			w := httptest.NewRecorder()
			h.ServeHTTP(w, request(tt.method, tt.path, tt.fields...))
			body := w.Body.String()
			if tt.method == http.MethodHead {
				body = "" // the recorder takes a body that servers do not send
			}
			if w.Code != tt.status || body != tt.body {
				t.Errorf("%d %q, want %d %q", w.Code, body, tt.status, tt.body)
			}
			for name, want := range tt.header {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s %q, want %q", name, got, want)
				}
			}
			if asked := site.taken(); !slices.Equal(asked, []string{"new"}) {
				t.Errorf("asked for %q", asked)
			}

			// A client that has it gets a 304, and a project is asked for
			// again each time: whether it is fresh is not known here.
			if tt.status == http.StatusOK {
				if w := get(h, tt.path, append([]string{"If-None-Match", w.Header().Get("ETag")}, tt.fields...)...); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
					t.Errorf("second time: %d %q", w.Code, w.Body)
				}
				if asked := site.taken(); !slices.Equal(asked, []string{"new"}) {
					t.Errorf("second time asked for %q", asked)
				}
			}
		})
	}
}

// stored is a path of the store that no tree of the tests has.
var stored = layout.File(sha256.Sum256([]byte("x")), "new-1.0-py3-none-any.whl")

// Nobody is asked for what cannot be a project or a file (CGI-3, reliability 3
// rows 4, 8, 16 and 29).
func TestNotAsked(t *testing.T) {
	dir := siteDir(t)
	for _, page := range []string{layout.Front, layout.RootHTML, layout.Flat, layout.Asset("site.css"), layout.ProjectHTML("new")} {
		put(t, dir, page, "a page")
	}
	site := new(fake)
	h, _ := newHandler(t, fallback.Options{Site: site, Tree: dir})
	for _, tt := range []struct {
		about, path string
		status      int
	}{
		{"front page", "/", 200},
		{"all projects", "/simple/", 200},
		{"all projects, no slash", "/simple", 301},
		{"flat page", "/flat/", 200},
		{"style sheet", "/static/site.css", 200},
		{"no page of ours", "/nope/", 404},
		{"file of a page", "/simple/new/index.html", 404},
		{"file of a page, JSON", "/simple/new/index.v1_json", 404},
		{"below a page", "/simple/new/x/", 404},
		{"spelling", "/simple/New_Project/", 301},
		{"spelling, no slash", "/simple/New.Project", 301},
		{"spelling, for people", "/project/NEW/", 301},
		{"spelling, legacy JSON", "/pypi/a_b/json", 301},
		{"spelling, legacy JSON of a release", "/pypi/a_b/1.0/json", 301},
		{"no name", "/simple/-x/", 404},
		{"name with a space", "/simple/a b/", 404},
		{"escaped twice", "/simple/%61/", 404},
		{"long name", "/simple/" + strings.Repeat("a", 101) + "/", 404},
		{"long path", "/simple/new/" + strings.Repeat("a", 4000), 404},
		{"NUL", "/simple/a\x00b/", 400},
		{"line end", "/simple/new/\r\nX-Evil: 1", 404},
		{"line end in a name", "/simple/new\n", 404},
		{"backslash", `/simple/new\..\x/`, 400},
		{"climbs", "/simple/../simple/new/", 200}, // as web servers take it, who have done so before
		{"climbs out", "/../simple/new/", 400},
		{"dot", "/simple/./new/", 200},
		{"empty segment", "/simple//new/", 200},
		{"climbs to what is not here", "/simple/../simple/other/", 404},
		{"empty segment before what is not here", "/simple//other/", 404},
		{"other host", "//evil.example/simple/new/", 404},
		{"not UTF-8", "/simple/\xff/", 404},
		{"no slash in front", "simple/new/", 400},
		{"legacy JSON without its file", "/pypi/new/", 404},
		{"legacy JSON of a climbing release", "/pypi/new/../json", 404},
		{"release called json", "/pypi/new/json/json", 404},
		{"store", "/packages/", 404},
		{"folder of the store", "/" + filepath.Dir(stored) + "/", 404},
		{"digest in capitals", "/" + strings.ToUpper(stored[:77]) + stored[77:], 404},
		{"file with a slash behind", "/" + stored + "/", 404},
		{"hidden file", "/" + filepath.Dir(stored) + "/.x", 404},
		{"file with an escape", "/" + filepath.Dir(stored) + "/x%2fy", 404},
		{"below uploads", "/legacy/x", 404},
		{"uploads, more slashes", "/legacy//", 404},
	} {
		w := get(h, tt.path)
		if w.Code != tt.status {
			t.Errorf("%s: GET %.80q: %d, want %d", tt.about, tt.path, w.Code, tt.status)
		}
		if asked := site.taken(); len(asked) > 0 {
			t.Errorf("%s: GET %.80q: asked for %q", tt.about, tt.path, asked)
		}
		if w.Header().Get("X-Evil") != "" {
			t.Errorf("%s: header %v", tt.about, w.Header())
		}
	}
}

// However a name is spelled, and wherever: a project is asked for by its one name,
// or not at all (reliability 3, row 16).
func TestSpellings(t *testing.T) {
	site := new(fake)
	h, _ := newHandler(t, fallback.Options{Site: site, Tree: siteDir(t)})
	random := rand.New(rand.NewPCG(1, 2))
	shapes := []string{"/simple/%s/", "/simple/%s", "/project/%s/", "/project/%s", "/pypi/%s/json", "/pypi/%s/1.0/json"}
	direct := 0
	for range 10_000 {
		name := spell(random)
		path := fmt.Sprintf(shapes[random.IntN(len(shapes))], name)
		method := []string{http.MethodGet, http.MethodHead}[random.IntN(2)]
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request(method, path))
		asked := site.taken()
		switch {
		case name == "acme-private-tool":
			direct++
			if w.Code != http.StatusNotFound || !slices.Equal(asked, []string{name}) {
				t.Errorf("%s %q: %d, asked for %q", method, path, w.Code, asked)
			}
		case len(asked) > 0 || w.Code != http.StatusMovedPermanently || !strings.Contains(w.Header().Get("Location"), "acme-private-tool"):
			t.Errorf("%s %q: %d to %q, asked for %q", method, path, w.Code, w.Header().Get("Location"), asked)
		}
	}
	if direct < 10 {
		t.Errorf("%d of the spellings were the normalized one", direct)
	}
}

// spell writes one name in one of its ways.
func spell(random *rand.Rand) string {
	if random.IntN(50) == 0 {
		return "acme-private-tool"
	}
	var b strings.Builder
	for _, c := range "acme-private-tool" {
		switch {
		case c == '-':
			for range 1 + random.IntN(3) {
				b.WriteByte("-_."[random.IntN(3)])
			}
		case random.IntN(2) == 0:
			b.WriteString(strings.ToUpper(string(c)))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// What the site refuses, and what the client is told (S-14). Nothing that is not
// meant for it.
func TestRefusals(t *testing.T) {
	secret := errors.New("secret of this site")
	for _, tt := range []struct {
		about string
		err   error
		want  int
		retry string
		text  string
		level string
	}{
		{"not here", &nestgen.Refusal{Cause: nestgen.NotHere, Text: "no", Err: secret}, 404, "", "404 page not found\n", ""},
		{"not allowed", &nestgen.Refusal{Cause: nestgen.NotAllowed, Text: "no", Err: secret}, 404, "", "404 page not found\n", ""},
		{"busy", &nestgen.Refusal{Cause: nestgen.Busy, Text: "upstream is slow", After: 1500 * time.Millisecond, Err: secret}, 503, "2", "upstream is slow\n", "WARN"},
		{"busy, who knows how long", &nestgen.Refusal{Cause: nestgen.Busy, Text: "slow"}, 503, "1", "slow\n", "WARN"},
		{"bad upstream", &nestgen.Refusal{Cause: nestgen.BadUpstream, Text: "it lies", Err: secret}, 502, "", "it lies\n", "WARN"},
		{"invalid", &nestgen.Refusal{Cause: nestgen.Invalid, Text: "no archive", Err: secret}, 502, "", "no archive\n", "WARN"},
		{"no space", &nestgen.Refusal{Cause: nestgen.NoSpace, Text: "full", Err: secret}, 503, "60", "full\n", "WARN"},
		{"disk full", fmt.Errorf("write: %w", syscall.ENOSPC), 503, "60", "This index has no room left\n", "WARN"},
		{"too many files", fmt.Errorf("open: %w", syscall.EMFILE), 503, "1", "This index is busy: try again\n", "WARN"},
		{"wrapped", fmt.Errorf("somewhere: %w", &nestgen.Refusal{Cause: nestgen.Busy, Text: "slow", After: time.Minute}), 503, "60", "slow\n", "WARN"},
		{"fault", secret, 500, "", "This index has a fault, which its people find in its log\n", "ERROR"},
		{"cause of uploads", &nestgen.Refusal{Cause: nestgen.Exists, Text: "secret of this site"}, 500, "", "This index has a fault, which its people find in its log\n", "ERROR"},
		{"unknown cause", &nestgen.Refusal{Text: "secret of this site"}, 500, "", "This index has a fault, which its people find in its log\n", "ERROR"},
	} {
		t.Run(tt.about, func(t *testing.T) {
			site := &fake{
				project: func(packaging.Name) error { return tt.err },
				file:    func(string, func(int64) io.Writer) error { return tt.err },
			}
			h, log := newHandler(t, fallback.Options{Site: site, Tree: siteDir(t)})
			srv := start(t, h)
			for _, path := range []string{"/simple/new/", "/project/new/", "/pypi/new/json", "/" + stored, "/" + layout.CoreMetadata(stored)} {
				resp, err := srv.Client().Get(srv.URL + path)
				resp, body := read(t, resp, err)
				if resp.StatusCode != tt.want || body != tt.text || resp.Header.Get("Retry-After") != tt.retry {
					t.Errorf("GET %s: %s, %q, %v", path, resp.Status, body, resp.Header)
				}
				if got := resp.Header; got.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(got.Get("Content-Type"), "text/plain") ||
					tt.want != 404 && got.Get("Cache-Control") != "no-store" || strings.Contains(got.Get("Cache-Control"), "immutable") {
					t.Errorf("GET %s: header %v", path, got)
				}
				// pip shows the reason of a 5xx, and uv nothing else.
				if tt.want != 404 && resp.Status != strconv.Itoa(tt.want)+" "+strings.TrimSuffix(tt.text, "\n") {
					t.Errorf("GET %s: %s", path, resp.Status)
				}
				lines := log.lines(t)
				if tt.level == "" && len(lines) > 0 || tt.level != "" && (len(lines) != 1 || lines[0]["level"] != tt.level || lines[0]["err"] != tt.err.Error()) {
					t.Errorf("GET %s: log %v", path, lines)
				}

				resp, err = srv.Client().Head(srv.URL + path)
				if resp, body := read(t, resp, err); resp.StatusCode != tt.want || body != "" {
					t.Errorf("HEAD %s: %s, %q", path, resp.Status, body)
				}
				log.lines(t)
			}
		})
	}
}

// A 404 is that of the tree to the letter, whatever was asked for.
func TestNotHereIsLikeTheTrees(t *testing.T) {
	dir := siteDir(t)
	h, _ := newHandler(t, fallback.Options{Site: new(fake), Tree: dir})
	plain, err := serve.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for _, path := range []string{"/simple/new/", "/simple/new", "/project/new/", "/pypi/new/json", "/" + stored} {
		got, want := get(h, path), get(plain, path)
		if got.Code != http.StatusNotFound || got.Code != want.Code || got.Body.String() != want.Body.String() || fmt.Sprint(got.Header()) != fmt.Sprint(want.Header()) {
			t.Errorf("GET %s: %d %v %q, want %d %v %q", path, got.Code, got.Header(), got.Body, want.Code, want.Header(), want.Body)
		}
	}
}

// Who cannot have a page here is sent to where it is, for now and by an address
// that the site gives; never by what stands in the request.
func TestElsewhere(t *testing.T) {
	const to = "https://index.example.org/simple/new/"
	refusal := &nestgen.Refusal{Cause: nestgen.Elsewhere, To: to}
	h, log := newHandler(t, fallback.Options{Site: &fake{project: func(packaging.Name) error { return refusal }}, Tree: siteDir(t)})
	for _, path := range []string{"/simple/new/", "/simple/new"} {
		r := request(http.MethodGet, path, "X-Forwarded-Host", "evil.example")
		r.Host, r.URL.RawQuery = "evil.example", "to=//evil.example"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusFound || w.Header().Get("Location") != to || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("GET %s: %d %v", path, w.Code, w.Header())
		}
	}
	// It is no page for people, and none of the legacy JSON API.
	for _, path := range []string{"/project/new/", "/pypi/new/json"} {
		if w := get(h, path); w.Code != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, w.Code)
		}
	}
	if lines := log.lines(t); len(lines) > 0 {
		t.Errorf("log %v", lines)
	}
	for _, to := range []string{"", "/simple/new/", "//evil.example/", "file:///etc/passwd", "javascript:alert(1)", "https://user:secret@index.example.org/", "https://a\r\nX: y/"} {
		refusal = &nestgen.Refusal{Cause: nestgen.Elsewhere, To: to}
		w := get(h, "/simple/new/")
		if w.Code != http.StatusInternalServerError || w.Header().Get("Location") != "" {
			t.Errorf("to %q: %d %v", to, w.Code, w.Header())
		}
		if lines := log.lines(t); len(lines) != 1 || strings.Contains(fmt.Sprint(lines), "secret") {
			t.Errorf("to %q: log %v", to, lines)
		}
	}
}

// A redirect to the normalized name is by the path alone (reliability 3, row 24).
func TestRedirectsByPath(t *testing.T) {
	h, _ := newHandler(t, fallback.Options{Site: new(fake), Tree: siteDir(t)})
	for path, want := range map[string]string{
		"/simple/Foo.-_Bar/":     "../foo-bar/",
		"/simple/Foo_Bar":        "foo-bar/",
		"/project/Foo/":          "../foo/",
		"/pypi/A_b/json":         "../a-b/json",
		"/pypi/A_b/1!2+x/json":   "../../a-b/1%212%2Bx/json",
		"/simple/evil.example/":  "../evil-example/",
		"/simple/Evil.example//": "",
	} {
		r := request(http.MethodGet, path)
		r.Host, r.URL.RawQuery = "evil.example", "x=//evil.example"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Location"); want != "" && (w.Code != http.StatusMovedPermanently || got != want) || strings.Contains(got, "//") {
			t.Errorf("GET %s: %d to %q, want %q", path, w.Code, got, want)
		}
	}
}
