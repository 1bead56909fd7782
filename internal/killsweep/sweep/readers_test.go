//go:build linux && amd64

package sweep

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/html"

	"nestgen/packaging"
	"nestgen/serve"
)

// A reader does what installers do: it reads the list of projects, the pages of
// each, and whatever these link to, and compares digests.
type reader struct {
	site  http.Handler
	comes map[string]bool // projects that come and go: their pages may be missing
	reads *atomic.Int64
}

var errNotFound = errors.New("404")

func (r *reader) get(url, accept string) (string, error) {
	r.reads.Add(1)
	req := httptest.NewRequest(http.MethodGet, url, nil)
	req.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	r.site.ServeHTTP(w, req)
	switch w.Code {
	case http.StatusOK:
		return w.Body.String(), nil
	case http.StatusNotFound:
		return "", fmt.Errorf("%s: %w", url, errNotFound)
	}
	return "", fmt.Errorf("%s: status %d", url, w.Code)
}

// session reads everything once.
func (r *reader) session() error {
	list, err := r.get("/simple/", "application/vnd.pypi.simple.v1+json")
	if err != nil {
		return err
	}
	var root struct{ Projects []struct{ Name string } }
	if err := json.Unmarshal([]byte(list), &root); err != nil {
		return fmt.Errorf("/simple/: torn: %w", err)
	}
	for _, p := range root.Projects {
		name := string(packaging.NormalizeName(p.Name))
		err := errors.Join(r.json("/simple/"+name+"/"), r.html("/simple/"+name+"/"), r.html("/project/"+name+"/"))
		if errors.Is(err, errNotFound) && r.comes[name] {
			continue
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(r.html("/flat/"), r.html("/easy/"), r.html("/"))
}

// json reads a page and all its files.
func (r *reader) json(page string) error {
	text, err := r.get(page, "application/vnd.pypi.simple.v1+json")
	if err != nil {
		return err
	}
	var doc struct {
		Files []struct {
			URL    string
			Hashes map[string]string
			Core   json.RawMessage `json:"core-metadata"`
		}
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return fmt.Errorf("%s: torn: %w", page, err)
	}
	for _, f := range doc.Files {
		if err := r.file(page, f.URL, f.Hashes["sha256"]); err != nil {
			return err
		}
		var core map[string]string
		if json.Unmarshal(f.Core, &core) == nil && core["sha256"] != "" {
			if err := r.file(page, f.URL+".metadata", core["sha256"]); err != nil {
				return err
			}
		}
	}
	return nil
}

// html reads a page and the files that it links to.
func (r *reader) html(page string) error {
	text, err := r.get(page, "text/html")
	if err != nil {
		return err
	}
	if !strings.HasSuffix(strings.TrimSpace(text), "</html>") {
		return fmt.Errorf("%s: torn", page)
	}
	z := html.NewTokenizer(strings.NewReader(text))
	for z.Next() != html.ErrorToken {
		for _, a := range z.Token().Attr {
			if link, sum, ok := strings.Cut(a.Val, "#sha256="); ok && a.Key == "href" {
				if err := r.file(page, link, sum); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// file reads what a page links to. It must be there, whatever has become of
// the page since.
func (r *reader) file(page, link, sum string) error {
	content, err := r.get(path.Join(page, link), "*/*")
	if errors.Is(err, errNotFound) {
		return fmt.Errorf("%s: dangling: %s", page, link)
	}
	if err == nil && fmt.Sprintf("%x", sha256.Sum256([]byte(content))) != sum {
		err = fmt.Errorf("%s: %s: other bytes than promised", page, link)
	}
	return err
}

// Readers see whole pages and find whatever these link to, while builds change
// the site under them.
func TestReaders(t *testing.T) {
	s := stage{memory(t)}
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	build := func(n int) {
		t.Helper()
		now := int64(today + n)
		if _, err := s.nestgen(now, "build", "-q", "--allow-removals"); err != nil {
			t.Fatal(err)
		}
	}
	fail(s.dropSite())
	build(0)
	site, err := serve.Open(s.path("site"))
	fail(err)
	defer site.Close()
	var reads atomic.Int64
	r := &reader{site: site, reads: &reads, comes: map[string]bool{"beta": true, "lambda": true}}

	// What the readers cannot see, they cannot find.
	page := s.path("site/simple/alpha/index.html")
	whole, err := os.ReadFile(page)
	fail(err)
	fail(r.session())
	fail(os.WriteFile(page, whole[:len(whole)/2], 0o644))
	if err := r.session(); err == nil {
		t.Error("a torn page was not seen")
	}
	fail(os.WriteFile(page, []byte(strings.Replace(string(whole), "packages/", "packages/x", 1)), 0o644))
	if err := r.session(); err == nil || !strings.Contains(err.Error(), "dangling") {
		t.Errorf("a dangling link gave %v", err)
	}
	fail(os.WriteFile(page, whole, 0o644))

	done := make(chan struct{})
	var wg sync.WaitGroup
	var sessions atomic.Int64
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := r.session(); err != nil {
					t.Error(err)
					return
				}
				sessions.Add(1)
			}
		})
	}
	stop := sync.OnceFunc(func() { close(done); wg.Wait() })
	defer stop()
	start := time.Now()
	builds := 10
	if _, long := extent(); long {
		builds = 50
	}
	n := 1
	// So many, and on until the readers have had their turn as well.
	for ; (n <= builds || sessions.Load() < int64(builds/5)) && !t.Failed(); n++ {
		if n%2 == 1 {
			fail(errors.Join(
				s.put("drop", wheel("alpha", "1.2"), wheel("lambda", "1.0")),
				s.remove("drop/"+egg("beta", "0.3").name, "drop/"+wheel("alpha", "1.1").name),
				s.write("policy.toml", "[[yank]]\nproject = \"alpha\"\nversions = \"==1.0\"\nreason = \"it forgets\"\n"),
			))
		} else {
			fail(errors.Join(
				s.put("drop", egg("beta", "0.3"), wheel("alpha", "1.1")),
				s.remove("drop/"+wheel("alpha", "1.2").name, "drop/"+wheel("lambda", "1.0").name),
				s.write("policy.toml", ""),
			))
		}
		build(n)
	}
	stop()
	t.Logf("%d builds in %v, %d sessions, %d reads", n-1, time.Since(start).Round(time.Millisecond), sessions.Load(), reads.Load())
}
