package fetch_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/blake2b"

	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/fetch/fetchtest"
	"nestgen/packaging"
)

func two() []fetchtest.File {
	reason := "broken"
	return []fetchtest.File{
		{Project: "a", Filename: "a-1.0-py3-none-any.whl", Data: []byte("one"), Metadata: []byte("Name: a\n"), Signature: []byte("signed"), RequiresPython: ">=3.8"},
		{Project: "a", Filename: "a-2.0.tar.gz", Data: []byte("two"), Yanked: &reason, Uploaded: "2026-01-02T03:04:05Z"},
		{Project: "a-b", Filename: "a-b-1.0.tar.gz", Data: []byte("other")},
	}
}

func names(l catalog.Listing) (list []string) {
	for _, o := range l.Offers {
		list = append(list, o.Filename)
	}
	return list
}

// One set of files, in every form of index that there is.
func TestForms(t *testing.T) {
	srv := fetchtest.New(t, two()...)
	dir := t.TempDir()
	for _, f := range two() {
		put(t, filepath.Join(dir, f.Filename), f.Data)
		if f.Metadata != nil {
			put(t, filepath.Join(dir, f.Filename+".metadata"), f.Metadata)
			put(t, filepath.Join(dir, f.Filename+".asc"), f.Signature)
		}
	}
	for _, tt := range []struct {
		url     string
		hashes  bool
		details bool // yanks and requires-python
	}{
		{srv.URL + fetchtest.Index, true, true},
		{srv.URL + strings.TrimSuffix(fetchtest.Index, "/"), true, true},
		{srv.URL + fetchtest.HTML, true, true},
		{srv.URL + fetchtest.Nginx, false, false},
		{srv.URL + fetchtest.Apache, false, false},
		{srv.URL + fetchtest.Flat, false, false},
		{srv.URL + fetchtest.Links, true, true},
		{dir, false, false},
		{"file://" + dir, false, false},
	} {
		t.Run(strings.TrimPrefix(tt.url, srv.URL), func(t *testing.T) {
			src := open(t, tt.url)
			l := list(t, src, "a")
			if got := names(l); !reflect.DeepEqual(got, []string{"a-1.0-py3-none-any.whl", "a-2.0.tar.gz"}) {
				t.Fatalf("files %q, warnings %q", got, l.Warnings)
			}
			if got := names(list(t, src, "a-b")); !reflect.DeepEqual(got, []string{"a-b-1.0.tar.gz"}) {
				t.Errorf("files of a-b %q", got)
			}
			if _, err := src.List(t.Context(), "nowhere", fetch.Validators{}); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("unknown project: %v", err)
			}
			wheel, sdist := l.Offers[0], l.Offers[1]
			if tt.hashes != (wheel.Hashes["sha256"] == fetchtest.SHA256([]byte("one"))) {
				t.Errorf("hashes %v", wheel.Hashes)
			}
			if tt.details && (wheel.RequiresPython != ">=3.8" || sdist.Yanked != catalog.Yank{Yanked: true, Reason: "broken"}) {
				t.Errorf("offers %+v", l.Offers)
			}
			if !wheel.Signed || !wheel.Metadata.Offered || sdist.Signed || sdist.Metadata.Offered {
				t.Errorf("companions: %+v", l.Offers)
			}
			for i, data := range []string{"one", "two"} {
				st := newStage(t)
				r, err := src.Download(t.Context(), l.Offers[i], st.dest)
				if err != nil {
					t.Fatal(err)
				}
				st.holds([]byte(data))
				if r.SHA256.String() != fetchtest.SHA256([]byte(data)) || r.BLAKE2b != blake2b.Sum256([]byte(data)) || (len(r.Verified) > 0) != tt.hashes {
					t.Errorf("result %+v", r)
				}
			}
			for suffix, data := range map[string]string{".metadata": "Name: a\n", ".asc": "signed"} {
				if strings.Contains(tt.url, "/nginx/") || strings.Contains(tt.url, "/apache/") || strings.Contains(tt.url, "/flat/") {
					continue // the test server has them beside the file only
				}
				st := newStage(t)
				if _, err := src.Companion(t.Context(), wheel, suffix, st.dest); err != nil {
					t.Fatal(err)
				}
				st.holds([]byte(data))
				st = newStage(t)
				if _, err := src.Companion(t.Context(), sdist, suffix, st.dest); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s of the sdist: %v", suffix, err)
				}
				st.empty(false)
			}
			// The same listing again, by its validators.
			if v := fetch.ValidatorsOf(l); v != (fetch.Validators{}) {
				if _, err := src.List(t.Context(), "a", v); !errors.Is(err, fetch.ErrNotModified) {
					t.Errorf("asked again: %v", err)
				}
				again := open(t, tt.url)
				if _, err := again.List(t.Context(), "a", v); !errors.Is(err, fetch.ErrNotModified) {
					t.Errorf("asked by another run: %v", err)
				}
				if got, err := again.List(t.Context(), "a-b", fetch.Validators{}); err != nil || len(got.Offers) != 1 {
					t.Errorf("another project after a 304: %v", err)
				}
			} else {
				t.Errorf("no validators")
			}
		})
	}
}

// Projects are asked for many at a time. While the first of them finds out that
// the address is a page of all files, others are on their way to pages of
// projects that are not there; nobody may take that for the end of a project.
func TestFormIsFoundOutOnce(t *testing.T) {
	asked, known := make(chan bool), make(chan bool)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<a href="a-1.0.tar.gz">a</a> <a href="b-1.0.tar.gz">b</a>`)
			return
		case "/b/":
			close(asked)
			<-known
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(srv.Close)
	src := open(t, srv.URL)
	late := make(chan error)
	go func() {
		l, err := src.List(t.Context(), "b", fetch.Validators{})
		if err == nil && len(l.Offers) != 1 {
			err = fmt.Errorf("%d files", len(l.Offers))
		}
		late <- err
	}()
	<-asked
	list(t, src, "a")
	close(known)
	if err := <-late; err != nil {
		t.Errorf("asked before the form was known: %v", err)
	}
}

// A tree of pages on the disk, as a mirror leaves it, with its files beside.
func TestLocalTree(t *testing.T) {
	root := t.TempDir()
	for _, d := range []string{"simple/a", "packages", "simple/Foo.Bar"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "a-9.0.tar.gz")
	put(t, outside, []byte("outside"))
	put(t, filepath.Join(root, "packages/a-1.0.tar.gz"), []byte("one"))
	put(t, filepath.Join(root, "simple/Foo.Bar/foo_bar-1.0.tar.gz"), []byte("foo"))
	put(t, filepath.Join(root, "simple/a/index.html"), []byte(`<a href="../../packages/a-1.0.tar.gz#sha256=`+fetchtest.SHA256([]byte("one"))+`">a</a><a href="file://`+outside+`">x</a>`))
	src := open(t, filepath.Join(root, "simple"))
	l := list(t, src, "a")
	if len(l.Offers) != 2 || l.Offers[0].Size != 3 {
		t.Fatalf("offers %+v", l.Offers)
	}
	st := newStage(t)
	if _, err := src.Download(t.Context(), l.Offers[0], st.dest); err != nil {
		t.Fatal(err)
	}
	st.holds([]byte("one"))
	st = newStage(t)
	if _, err := src.Download(t.Context(), l.Offers[1], st.dest); fetch.KindOf(err) != fetch.Refused {
		t.Errorf("a file outside of the tree: %v", err)
	}
	if got := names(list(t, src, "foo-bar")); !reflect.DeepEqual(got, []string{"foo_bar-1.0.tar.gz"}) {
		t.Errorf("folder of another spelling: %q", got)
	}
	put(t, filepath.Join(root, "packages/a-1.0.tar.gz"), []byte("two"))
	if _, err := src.Download(t.Context(), l.Offers[0], st.dest); fetch.KindOf(err) != fetch.Altered {
		t.Errorf("a file that is not the one on the page: %v", err)
	}
	st.empty(false)
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, filepath.Join(root, "simple")).List(t.Context(), "a", fetch.Validators{}); fetch.KindOf(err) != fetch.Unreachable {
		t.Errorf("a folder that is not there is no answer: %v", err)
	}
}

// A page of a web server cannot make us read our own disk.
func TestFileLinksOfTheWeb(t *testing.T) {
	srv := fetchtest.New(t, two()...)
	src := open(t, srv.URL+fetchtest.Index)
	st := newStage(t)
	_, err := src.Download(t.Context(), catalog.Offer{Filename: "passwd", URL: "file:///etc/passwd", Size: -1}, st.dest)
	if fetch.KindOf(err) != fetch.Refused {
		t.Error(err)
	}
	st.empty(false)
}

func TestTLS(t *testing.T) {
	for _, tt := range []struct {
		c  fetchtest.Certificate
		ok bool
	}{{fetchtest.Trusted, true}, {fetchtest.SelfSigned, false}, {fetchtest.WrongHost, false}, {fetchtest.Expired, false}} {
		t.Run(string(tt.c), func(t *testing.T) {
			srv := fetchtest.NewTLS(t, tt.c, two()...)
			ca := func(u *fetch.Upstream, _ *fetch.Options) { u.CAFile = srv.CAFile }
			src := open(t, srv.URL+fetchtest.Index, ca)
			l, err := src.List(t.Context(), "a", fetch.Validators{})
			if !tt.ok {
				if fetch.KindOf(err) != fetch.Unreachable || srv.Connections() != 1 {
					t.Fatalf("%v, %d connections: want one attempt and no way round", err, srv.Connections())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			st := newStage(t)
			if _, err := src.Download(t.Context(), l.Offers[0], st.dest); err != nil {
				t.Fatal(err)
			}
			st.holds([]byte("one"))
			if p := srv.Requests("")[0].Proto; p != "HTTP/2.0" || srv.Connections() != 1 {
				t.Errorf("%s over %d connections", p, srv.Connections())
			}
			// Down to http, over the same name (reliability.md §3 row 15).
			srv.Always(srv.Path("a-2.0.tar.gz"), fetchtest.RedirectHTTP)
			srv.Always(srv.Page(fetchtest.Index, "a"), fetchtest.RedirectHTTP)
			st = newStage(t)
			if _, err := src.Download(t.Context(), l.Offers[1], st.dest); fetch.KindOf(err) != fetch.Refused {
				t.Errorf("redirect of a file to http: %v", err)
			}
			st.empty(false)
			if _, err := src.List(t.Context(), "a", fetch.Validators{}); fetch.KindOf(err) != fetch.Refused {
				t.Errorf("redirect of a page to http: %v", err)
			}
			plain := fetchtest.New(t, two()...)
			o := l.Offers[0]
			o.URL = plain.URL + plain.Path(o.Filename)
			if _, err := src.Download(t.Context(), o, st.dest); err != nil {
				t.Errorf("http with a hash: %v", err)
			}
			o.Hashes = map[string]string{"md5": "00"}
			if _, err := src.Download(t.Context(), o, st.dest+"2"); fetch.KindOf(err) != fetch.Refused {
				t.Errorf("http without a hash that counts: %v", err)
			}
		})
	}
}

// Passwords go to whom they are meant for, and nowhere else.
func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "cred"), []byte("me:canary:with:colons\n"))
	put(t, filepath.Join(dir, "netrc"), []byte("# hosts\nmachine 127.0.0.1 login me password \"canary:with:colons\"\nmachine other.example\n\tlogin x\n\tpassword y\n"))
	for name, change := range map[string]func(*fetch.Upstream, *fetch.Options){
		"file":  func(u *fetch.Upstream, _ *fetch.Options) { u.Credentials = filepath.Join(dir, "cred") },
		"netrc": func(_ *fetch.Upstream, o *fetch.Options) { o.Netrc = filepath.Join(dir, "netrc") },
		"address": func(u *fetch.Upstream, _ *fetch.Options) {
			u.URL = strings.Replace(u.URL, "://", "://me:canary%3Awith%3Acolons@", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := fetchtest.New(t, two()...)
			srv := fetchtest.New(t, two()...)
			srv.SetLogin("me", "canary:with:colons")
			if _, err := open(t, srv.URL+fetchtest.Index).List(t.Context(), "a", fetch.Validators{}); fetch.KindOf(err) != fetch.Denied {
				t.Fatalf("without: %v", err)
			}
			src := open(t, srv.URL+fetchtest.Index, change)
			l := list(t, src, "a")
			if s := fmt.Sprint(l); strings.Contains(s, "canary") {
				t.Errorf("a password in the listing: %s", s)
			}
			o := l.Offers[0]
			o.URL = files.URL + files.Path(o.Filename)
			if _, err := src.Download(t.Context(), o, newStage(t).dest); err != nil {
				t.Fatal(err)
			}
			for _, r := range files.Requests("") {
				if r.Header.Get("Authorization") != "" {
					t.Errorf("the password went to another origin")
				}
			}
			if got := srv.Requests("")[0].Header.Get("User-Agent"); got != "nestgen/test (+nobody)" {
				t.Errorf("User-Agent %q", got)
			}
			srv.Always(srv.Page(fetchtest.Index, "a"), fetchtest.Status404)
			_, err := src.List(t.Context(), "a", fetch.Validators{})
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("error %v", err)
			}
		})
	}
	if _, err := fetch.Open(fetch.Upstream{Name: "u", URL: "http://me:canary@ho st/"}, fetch.Options{}); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("error %v", err)
	}
}

// Links with a password: it is dropped, and asked of nobody (reliability.md §3
// row 30).
func TestUserinfoLinks(t *testing.T) {
	srv := fetchtest.New(t, two()...)
	for _, form := range []string{fetchtest.Index, fetchtest.HTML} {
		srv.Always(srv.Page(form, "a"), fetchtest.UserinfoLinks)
		l := list(t, open(t, srv.URL+form), "a")
		if len(l.Offers) != 2 || !strings.HasPrefix(l.Offers[0].URL, "http://"+fetchtest.UserinfoHost+"/") || strings.Contains(fmt.Sprint(l), "canary") {
			t.Errorf("listing %+v", l)
		}
	}
}

// Hostile names lead to no file and no request (reliability.md §3 row 8).
func TestHostileNames(t *testing.T) {
	srv := fetchtest.New(t, two()...)
	for _, form := range []string{fetchtest.Index, fetchtest.HTML} {
		srv.Always(srv.Page(form, "a"), fetchtest.HostileNames)
		for _, n := range []packaging.Name{"a", "x"} {
			srv.Always(srv.Page(form, string(n)), fetchtest.HostileNames)
			l, err := open(t, srv.URL+form).List(t.Context(), n, fetch.Validators{})
			if n == "x" && err == nil {
				t.Errorf("%s: files %q", form, names(l))
			}
			for _, o := range l.Offers {
				if err := packaging.CheckFilename(o.Filename); err != nil || !strings.HasPrefix(o.Filename, "a-") {
					t.Errorf("file %q", o.Filename)
				}
			}
		}
	}
}

func TestSerial(t *testing.T) {
	srv := fetchtest.New(t, two()...)
	srv.SetSerial(50)
	src := open(t, srv.URL+fetchtest.Index)
	l := list(t, src, "a")
	if l.Serial != 50 {
		t.Fatalf("serial %d", l.Serial)
	}
	if _, err := src.List(t.Context(), "a", fetch.Validators{Serial: 51}); fetch.KindOf(err) != fetch.Stale {
		t.Errorf("older than known: %v", err)
	}
	srv.SetSerial(0)
	for _, form := range []string{fetchtest.Index, fetchtest.HTML} {
		srv.Script(srv.Page(form, "a"), fetchtest.StaleSerial)
		if _, err := open(t, srv.URL+form).List(t.Context(), "a", fetch.Validators{Serial: 50}); err != nil {
			t.Errorf("a cache that was stale once: %v", err)
		}
		srv.Always(srv.Page(form, "a"), fetchtest.StaleSerial)
		if _, err := open(t, srv.URL+form).List(t.Context(), "a", fetch.Validators{Serial: 50}); fetch.KindOf(err) != fetch.Stale {
			t.Errorf("a cache that is stale: %v", err)
		}
	}
}

// A second run asks each page once, with its validators, over few connections.
func TestSecondRun(t *testing.T) {
	var files []fetchtest.File
	for i := range 60 {
		p := fmt.Sprintf("p%d", i)
		files = append(files, fetchtest.File{Project: p, Filename: p + "-1.0.tar.gz", Data: []byte(p)})
	}
	srv := fetchtest.New(t, files...)
	run := func(state map[string]catalog.Listing) (unchanged int) {
		src := open(t, srv.URL+fetchtest.Index, func(_ *fetch.Upstream, o *fetch.Options) { o.Connections = 4 })
		var wg sync.WaitGroup
		var mu sync.Mutex
		for _, f := range files {
			wg.Go(func() {
				mu.Lock()
				v := fetch.ValidatorsOf(state[f.Project])
				mu.Unlock()
				l, err := src.List(t.Context(), packaging.Name(f.Project), v)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, fetch.ErrNotModified):
					unchanged++
				case err != nil:
					t.Error(err)
				default:
					state[f.Project] = l
				}
			})
		}
		wg.Wait()
		if n := src.Stats().Requests; n != 60 {
			t.Errorf("%d requests", n)
		}
		return unchanged
	}
	srv.SetLatency(5 * time.Millisecond)
	state := map[string]catalog.Listing{}
	if n := run(state); n != 0 {
		t.Errorf("first run: %d unchanged", n)
	}
	if n := srv.Connections(); n > 4 {
		t.Errorf("%d connections, 4 are allowed", n)
	}
	if n := run(state); n != 60 {
		t.Errorf("second run: %d unchanged", n)
	}
	if n := srv.MostAtOnce(); n > 4 {
		t.Errorf("%d requests at once, 4 are allowed", n)
	}
}

func TestRate(t *testing.T) {
	srv := fetchtest.New(t, two()...)
	src := open(t, srv.URL+fetchtest.Index, func(u *fetch.Upstream, _ *fetch.Options) { u.Rate = 20 })
	start := time.Now()
	for range 26 {
		list(t, src, "a")
	}
	if d := time.Since(start); d < 250*time.Millisecond {
		t.Errorf("26 requests in %v, 20 a second are allowed after a burst of 20", d)
	}
}

// Only the proxy of the settings is used (httpoxy, reliability.md §3 row 2).
func TestProxy(t *testing.T) {
	srv := fetchtest.New(t, two()...)
	var through []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through = append(through, r.URL.String())
		r.RequestURI = ""
		r.URL.Host = strings.TrimPrefix(srv.URL, "http://")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		resp.Write(struct{ http.ResponseWriter }{discardHead{w}})
	}))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	list(t, open(t, srv.URL+fetchtest.Index), "a")
	src := open(t, "http://index.example/simple/", func(u *fetch.Upstream, _ *fetch.Options) { u.Proxy = proxy.URL })
	if _, err := src.List(t.Context(), "nowhere", fetch.Validators{}); !errors.Is(err, fs.ErrNotExist) || len(through) != 1 {
		t.Errorf("by proxy: %v, %q", err, through)
	}
	o := catalog.Offer{Filename: "a-1.0.tar.gz", URL: "http://169.254.169.254/a-1.0.tar.gz", Size: -1}
	if _, err := src.Download(t.Context(), o, newStage(t).dest); fetch.KindOf(err) != fetch.Refused || len(through) != 1 {
		t.Errorf("an address that is never asked for, by proxy: %v", err)
	}
	t.Setenv("HTTP_PROXY", "gopher://x")
	t.Setenv("http_proxy", "gopher://x")
	if _, err := fetch.Open(fetch.Upstream{Name: "u", URL: srv.URL, Proxy: "env"}, fetch.Options{}); err == nil || !strings.Contains(err.Error(), "HTTP_PROXY") {
		t.Errorf("bad proxy of the environment: %v", err)
	}
}

type discardHead struct{ http.ResponseWriter }

func (discardHead) Write(p []byte) (int, error) { return len(p), nil }

type meters struct {
	mu    sync.Mutex
	lines []string
}

type meter struct {
	m    *meters
	name string
	last int64
}

func (m *meters) Begin(name string, size int64) fetch.Meter {
	return &meter{m: m, name: fmt.Sprint(name, " ", size)}
}
func (m *meter) Set(n int64) { m.last = n }
func (m *meter) End(err error) {
	m.m.mu.Lock()
	defer m.m.mu.Unlock()
	m.m.lines = append(m.m.lines, fmt.Sprint(m.name, " ", m.last, " ", fetch.KindOf(err)))
}

func TestProgress(t *testing.T) {
	srv := fetchtest.New(t, two()...)
	m := &meters{}
	src := open(t, srv.URL+fetchtest.Index, func(_ *fetch.Upstream, o *fetch.Options) { o.Progress = m })
	l := list(t, src, "a")
	srv.Script(srv.Path(l.Offers[0].Filename), fetchtest.CutWithLength)
	srv.Always(srv.Path(l.Offers[1].Filename), fetchtest.Status404)
	src.Download(t.Context(), l.Offers[0], newStage(t).dest)
	src.Download(t.Context(), l.Offers[1], newStage(t).dest)
	if want := []string{"a-1.0-py3-none-any.whl 3 3 error", "a-2.0.tar.gz 3 0 not found"}; !reflect.DeepEqual(m.lines, want) {
		t.Errorf("meters %q, want %q", m.lines, want)
	}
}

// A download that broke off in one run is taken up in the next one.
func TestPartialsFolder(t *testing.T) {
	data := fetchtest.Bytes(2<<20, 7)
	srv := fetchtest.New(t, fetchtest.File{Project: "a", Filename: "a-1.0.tar.gz", Data: data})
	dir := t.TempDir()
	change := func(_ *fetch.Upstream, o *fetch.Options) { o.Partials, o.Retries = dir, -1 }
	src := open(t, srv.URL+fetchtest.Index, change)
	o := list(t, src, "a").Offers[0]
	srv.Script(srv.Path("a-1.0.tar.gz"), fetchtest.Reset)
	first := newStage(t)
	if _, err := src.Download(t.Context(), o, first.dest); err == nil {
		t.Fatal("no error")
	}
	first.only()
	second := newStage(t)
	r, err := open(t, srv.URL+fetchtest.Index, change).Download(t.Context(), o, second.dest)
	if err != nil || r.Resumed == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	second.holds(data)
	if left := ls(t, dir); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestLimits(t *testing.T) {
	srv := fetchtest.New(t, fetchtest.File{Project: "a", Filename: "a-1.0.tar.gz", Data: make([]byte, 5000)},
		fetchtest.File{Project: "a", Filename: "a-2.0.tar.gz", Data: make([]byte, 5000), NoHash: true, NoSize: true},
		fetchtest.File{Project: "a", Filename: "a-3.0.tar.gz", Data: []byte("three"), MD5: true})
	small := open(t, srv.URL+fetchtest.Index, func(u *fetch.Upstream, o *fetch.Options) { o.MaxFile, u.RequireHashes = 4000, false })
	l := list(t, small, "a")
	for _, o := range l.Offers[:2] {
		st := newStage(t)
		if _, err := small.Download(t.Context(), o, st.dest); fetch.KindOf(err) != fetch.Refused {
			t.Errorf("%s: %v", o.Filename, err)
		}
		st.empty(false)
	}
	st := newStage(t)
	r, err := small.Download(t.Context(), l.Offers[2], st.dest)
	if err != nil || !reflect.DeepEqual(r.Verified, []string{"md5"}) {
		t.Errorf("md5 only: %+v, %v", r, err)
	}
	strict := open(t, srv.URL+fetchtest.Index, func(u *fetch.Upstream, _ *fetch.Options) { u.RequireHashes = true })
	for i, o := range l.Offers {
		if _, err := strict.Download(t.Context(), o, newStage(t).dest); (err == nil) != (i == 0) {
			t.Errorf("hashes required, %s: %v", o.Filename, err)
		}
	}
}

// A hash that the metadata of a file does not have is nobody's metadata.
func TestCompanionAltered(t *testing.T) {
	srv := fetchtest.New(t, two()...)
	src := open(t, srv.URL+fetchtest.Index)
	o := list(t, src, "a").Offers[0]
	srv.Always(srv.Path(o.Filename)+".metadata", fetchtest.WrongBytes)
	st := newStage(t)
	if _, err := src.Companion(t.Context(), o, ".metadata", st.dest); fetch.KindOf(err) != fetch.Altered {
		t.Error(err)
	}
	st.empty(false)
}

func TestOpenRefused(t *testing.T) {
	for _, url := range []string{"", "ftp://h/simple/", "http:///simple/", "file://host/x", "file:x", "https://h/foo-1.0.tar.gz", "://"} {
		if _, err := fetch.Open(fetch.Upstream{Name: "u", URL: url}, fetch.Options{}); err == nil {
			t.Errorf("Open(%q): no error", url)
		}
	}
	for _, u := range []fetch.Upstream{
		{URL: "http://h/", Credentials: "/nonexistent"},
		{URL: "http://h/", CAFile: "/dev/null"},
		{URL: "http://h/", Proxy: "gopher://x"},
	} {
		if _, err := fetch.Open(u, fetch.Options{}); err == nil {
			t.Errorf("Open(%+v): no error", u)
		}
	}
}

// Pages of several megabytes, more at once than are held in memory.
func TestLargePages(t *testing.T) {
	page := jsonOf(8000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
		w.Write(page)
	}))
	defer srv.Close()
	src := open(t, srv.URL+"/simple/", func(_ *fetch.Upstream, o *fetch.Options) { o.MaxPage = 0 })
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			l, err := src.List(t.Context(), "foo-bar", fetch.Validators{})
			if err != nil || len(l.Offers) != 8000 {
				t.Errorf("%d files, %v", len(l.Offers), err)
			}
		})
	}
	wg.Wait()
	if len(page) < 5<<20 {
		t.Errorf("page of %d bytes is not large", len(page))
	}
}

// What an earlier run learned of a file may be used before the upstream itself
// was asked for anything: where that is decides which hosts may have files.
func TestDownloadFromAnotherHostFirst(t *testing.T) {
	f := fetchtest.File{Project: "a", Filename: "a-1.0.tar.gz", Data: []byte("data")}
	srv := fetchtest.New(t, f)
	o := catalog.Offer{Filename: f.Filename, URL: strings.Replace(srv.URL, "127.0.0.1", "localhost", 1) + srv.Path(f.Filename), Size: -1}
	for upstream, ok := range map[string]bool{srv.URL: true, "http://192.0.2.1": false} {
		src, err := fetch.Open(fetch.Upstream{Name: "up", URL: upstream + fetchtest.Index}, fetch.Options{Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		_, err = src.Download(t.Context(), o, filepath.Join(t.TempDir(), "x"))
		if ok != (err == nil) || !ok && fetch.KindOf(err) != fetch.Refused {
			t.Errorf("upstream at %s: %v", upstream, err)
		}
	}
}
