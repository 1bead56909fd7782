package nestgen

import (
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// crawlWorld is a site whose upstream names a third party's page.
func crawlWorld(t *testing.T) (w *world, index, third *fetchtest.Server) {
	t.Helper()
	index = fetchtest.New(t, wheels("1.0", "a")...)
	file, data := intaketest.Sdist("a", "2.0", intaketest.Opts{})
	third = fetchtest.New(t, fetchtest.File{Project: "a", Filename: file, Data: data})
	third.SetPage("/downloads", `<a href="files/a/`+file+`">the newest</a>`)
	at := strings.Replace(third.URL, "127.0.0.1", "localhost", 1)
	index.SetPage("/html/a/", `<a href="../../files/a/a-1.0-py3-none-any.whl">a</a><a rel="download" href="`+at+`/downloads">here</a>`)
	w = newWorld(t)
	w.write("nestgen.toml", `allowlist = ["allowlist.txt"]
versions = "all"
[[upstream]]
name = "old"
url = "`+index.URL+fetchtest.HTML+`"
timeout = "5m"
[[project]]
name = "A"
crawl = ["localhost"]
`)
	c, err := Load(w.path("nestgen.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Resolve(); err != nil {
		t.Fatal(err)
	}
	w.Config = c
	w.write("allowlist.txt", "a\n")
	return w, index, third
}

// What a third party's page has is listed, fetched once, and stays what it was,
// whatever becomes of it there (contract C-14, C-16).
func TestCrawledFiles(t *testing.T) {
	t.Parallel()
	w, _, third := crawlWorld(t)
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl", "a-2.0.tar.gz")

	// Other bytes under the same name are not even fetched.
	name, evil := intaketest.Sdist("a", "2.0", intaketest.Opts{Summary: "evil"})
	third.SetFiles(fetchtest.File{Project: "a", Filename: name, Data: evil})
	third.Forget()
	w.build(0)
	if n := len(third.Requests("/files/a/a-2.0.tar.gz")); n != 0 {
		t.Errorf("%d requests for a file that is here", n)
	}

	// The page fails: what came from it stays.
	third.Always("/downloads", fetchtest.Status500)
	r := w.build(5)
	w.tells(r, "incomplete", "what is here of it stays")
	w.lists("a-1.0-py3-none-any.whl", "a-2.0.tar.gz")
	third.Heal()

	// Whoever leaves the index and comes back must have the first bytes.
	w.write("allowlist.txt", "a==1.0\n")
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl")
	w.write("allowlist.txt", "a\n")
	r = w.build(6)
	w.tells(r, "alarm", "first seen with")
	w.lists("a-1.0-py3-none-any.whl")
}

// Without the setting no page but the upstream's is looked at.
func TestNoCrawlByItself(t *testing.T) {
	t.Parallel()
	w, _, third := crawlWorld(t)
	w.Projects = nil
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl")
	if n := len(third.Requests("")); n != 0 {
		t.Errorf("%d requests to a third party", n)
	}
}

func TestCrawlSetting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, bad := range []string{"https://files.example/", "*", "files.example:80"} {
		w.Projects = []ProjectConfig{{Name: "a", Crawl: []string{bad}}}
		if err := w.Resolve(); err == nil || !strings.Contains(err.Error(), "crawl") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
