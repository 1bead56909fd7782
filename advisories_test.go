package nestgen

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// osv writes one advisory: an ID, the name of a project, and the events of a range,
// as in "introduced=0 fixed=2.0".
func osv(id, name, events string) string {
	var list []string
	for e := range strings.FieldsSeq(events) {
		kind, version, _ := strings.Cut(e, "=")
		list = append(list, fmt.Sprintf("{%q:%q}", kind, version))
	}
	return fmt.Sprintf(`{"id":%q,"summary":"%s is bad","aliases":["CVE-2026-1"],"affected":[{"package":{"ecosystem":"PyPI","name":%q},"ranges":[{"type":"ECOSYSTEM","events":[%s]}]}]}`,
		id, name, name, strings.Join(list, ","))
}

// dump packs advisories as the public database does.
func dump(t testing.TB, records ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, r := range records {
		w, err := z.Create(fmt.Sprintf("%d.json", i))
		if err == nil {
			_, err = w.Write([]byte(r))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// advised makes a site of an upstream with advisories in a file.
func advised(t *testing.T, list string, records []string, files ...fetchtest.File) (*world, *fetchtest.Server) {
	t.Helper()
	srv := fetchtest.New(t, files...)
	w := newWorld(t, srv)
	w.Advisories.OSV = w.path("osv.zip")
	w.write("osv.zip", dump(t, records...))
	w.write("allowlist.txt", list)
	return w, srv
}

func TestAdvisoriesYankAndComeBack(t *testing.T) {
	setClock(t, "1800000000")
	w, _ := advised(t, "foo==1.0\nbar==1.0\n", []string{osv("X-1", "foo", "introduced=0 fixed=2.0")}, wheelFile(t, "foo", "1.0"), wheelFile(t, "bar", "1.0"))
	w.Advisories.Yank = true
	mine := w.drop("own", "1.0", intaketest.Opts{})
	w.build(0)
	yanked := func(project string) any { return w.page(project).Files[0].Yanked }
	if got := yanked("foo"); got != "X-1: foo is bad; fixed in 2.0" || yanked("bar") != nil {
		t.Errorf("foo %v, bar %v", got, yanked("bar"))
	}
	// With nothing new there is nothing to do, and a dump of the same content that
	// was touched is the same.
	if r := w.build(0); !r.Idle() || r.Pages.Unchanged > 0 {
		t.Errorf("%+v", r.Pages)
	}
	if err := os.Chtimes(w.path("osv.zip"), time.Time{}, time.Unix(1_700_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	if r := w.build(0); !r.Idle() {
		t.Errorf("%+v", r)
	}
	// Another advisory makes the pages of its project anew and no others; a project
	// of this site's own that is called alike has nothing to do with it.
	before := w.pages()
	w.write("osv.zip", dump(t, osv("X-1", "foo", "introduced=0 fixed=2.0"), osv("X-2", "bar", "introduced=0"), osv("MAL-3", "own", "introduced=0")))
	r := w.build(0)
	w.lists("bar-1.0-py3-none-any.whl", "foo-1.0-py3-none-any.whl", mine)
	if r.Changed.Count != 0 {
		t.Errorf("%+v", r.Changed)
	}
	for path, text := range w.pages() {
		if strings.Contains(path, "/foo/") && before[path] != text || strings.Contains(path, "/own/") && before[path] != text {
			t.Errorf("%s has changed", path)
		}
	}
	// An advisory that is withdrawn takes its yank along; the policy keeps its own.
	w.write("policy.toml", "[[yank]]\nproject = \"bar\"\nreason = \"ours\"\n")
	w.write("osv.zip", dump(t, strings.Replace(osv("X-1", "foo", "introduced=0 fixed=2.0"), `"id"`, `"withdrawn":"2026-01-01T00:00:00Z","id"`, 1)))
	w.build(0)
	if yanked("foo") != nil || yanked("bar") != "ours" {
		t.Errorf("foo %v, bar %v", yanked("foo"), yanked("bar"))
	}
	w.isAsFresh()
}

func TestMalwareIsNeverListed(t *testing.T) {
	setClock(t, "1800000000")
	good := []string{osv("X-1", "bar", "introduced=9")}
	w, srv := advised(t, "foo\nbar\n", good, wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0"), wheelFile(t, "bar", "1.0"))
	w.build(0)
	w.lists("bar-1.0-py3-none-any.whl", "foo-2.0-py3-none-any.whl")
	place := w.pathOf("foo", "foo-2.0-py3-none-any.whl")
	w.write("osv.zip", dump(t, append(good, osv("MAL-1", "foo", "introduced=2.0"))...))
	// It goes even if its upstream cannot be asked, and nothing else does.
	srv.Always(srv.Page(fetchtest.Index, "foo"), fetchtest.Status503)
	r := w.build(6)
	w.tells(r, "alarm", "foo-2.0-py3-none-any.whl was listed and is malware: withdrawn: MAL-1: foo is bad")
	if w.exists("site/" + place) {
		t.Error("who knows the address of the malware still gets it")
	}
	w.lists("bar-1.0-py3-none-any.whl")
	srv.Heal()
	r = w.build(6)
	w.tells(r, "alarm", "foo-2.0-py3-none-any.whl is asked for and is malware: not listed")
	w.lists("bar-1.0-py3-none-any.whl", "foo-1.0-py3-none-any.whl")
	if got := srv.Requests(srv.Path("foo-2.0-py3-none-any.whl")); len(got) != 1 {
		t.Errorf("fetched %d times", len(got))
	}
	w.write("allowlist.txt", "foo<2\nbar\n")
	w.build(0)
	w.write("allowlist.txt", "foo\nbar\n")
	w.Advisories.Ignore = []string{"MAL-1"}
	w.build(0)
	w.lists("bar-1.0-py3-none-any.whl", "foo-2.0-py3-none-any.whl")
	w.isAsFresh()
}

// Who asks for a project for the first time gets no malware either.
func TestMalwareDoesNotComeOnDemand(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0"))
	w := lazy(t, "fetch", srv)
	w.Advisories.OSV = w.path("osv.zip")
	w.Advisories.Yank = true
	w.write("osv.zip", dump(t, osv("MAL-1", "foo", "introduced=2.0"), osv("X-1", "foo", "introduced=0 fixed=1.5")))
	w.build(0)
	w.ask(w.join(), "foo", 0)
	w.lists("foo-1.0-py3-none-any.whl")
	yank := func() any { return w.page("foo").Files[0].Yanked }
	want := "X-1: foo is bad; fixed in 1.5"
	if yank() != want {
		t.Errorf("announced: %v", yank())
	}
	if _, err := w.fetch(w.join(), w.pathOf("foo", "foo-1.0-py3-none-any.whl")); err != nil {
		t.Fatal(err)
	}
	w.build(0)
	if yank() != want {
		t.Errorf("here: %v", yank())
	}
	w.write("osv.zip", dump(t, osv("MAL-1", "foo", "introduced=0")))
	w.build(6)
	w.lists()
}

// A dump that is gone, or damaged, or has lost most of itself, changes nothing, and
// it is told as long as it is so.
func TestAFaultyDumpChangesNothing(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 150 {
		many = append(many, osv(fmt.Sprintf("X-%d", i), fmt.Sprintf("p%d", i), "introduced=0"))
	}
	many = append(many, osv("MAL-1", "foo", "introduced=0"))
	w, _ := advised(t, "bar\n", many, wheelFile(t, "bar", "1.0"), wheelFile(t, "foo", "1.0"))
	w.build(0)
	w.write("allowlist.txt", "foo\nbar\n")
	whole := w.read("osv.zip")
	for text, told := range map[string]string{
		whole[:len(whole)/2]: "the 151 advisories that were read before stand",
		"":                   "neither a zip file nor an advisory",
		dump(t, many[0]):     "it has 1 advisories, and 151 were read before",
	} {
		w.write("osv.zip", text)
		if text == "" {
			w.write("osv.zip", strings.Repeat("x", 9<<20))
		}
		for range 2 {
			w.tells(w.build(6), "incomplete", told) // the malware is still malware
		}
		w.lists("bar-1.0-py3-none-any.whl")
	}
	w.remove("osv.zip")
	w.tells(w.build(6), "incomplete", "no such file")

	// A member that cannot be read is told, and is what it was.
	w.write("osv.zip", "")
	w.remove("osv.zip")
	for i, text := range many[1:] {
		w.write(fmt.Sprintf("osv.zip/X-%d.json", i+1), text)
	}
	w.write("osv.zip/MAL-1.json", "{")
	w.remove("osv.zip/X-150.json")
	for range 2 {
		r := w.build(6)
		w.tells(r, "warning", "1 could not be read; MAL-1.json: not valid JSON")
		w.tells(r, "alarm", "MAL-1: foo is bad")
	}
	w.write("osv.zip/MAL-1.json", osv("MAL-1", "foo", "introduced=9"))
	w.build(0)
	w.remove("osv.zip")
	w.write("osv.zip", dump(t, many[0]))
	w.build(0, Options{AllowRemovals: true})
	w.Advisories.OSV = ""
	w.build(0)
	if text := w.meta(metaAdvisories); text != "" {
		t.Errorf("%q", text)
	}
}

// A dry run foresees what a new dump does, and notes nothing of it.
func TestADryRunReadsAdvisories(t *testing.T) {
	t.Parallel()
	w, _ := advised(t, "foo\n", nil, wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0"))
	w.build(0)
	w.write("osv.zip", dump(t, osv("MAL-1", "foo", "introduced=2.0")))
	for range 2 {
		r, err := Build(t.Context(), w.Config, Options{DryRun: true})
		if err != nil || r.Status != 6 || r.Withdrawn.Count != 1 || r.Added.Count != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	w.lists("foo-2.0-py3-none-any.whl")
	w.build(6)
	w.lists("foo-1.0-py3-none-any.whl")
}

func TestADumpThatIsFetched(t *testing.T) {
	t.Parallel()
	var answer atomic.Value
	var whole, same atomic.Int64
	answer.Store(dump(t, osv("MAL-1", "foo", "introduced=2.0")))
	osvServer := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		text := answer.Load().(string)
		if text == "" {
			http.Error(rw, "no", http.StatusInternalServerError)
			return
		}
		tag := fmt.Sprintf(`"%d-%x"`, len(text), fetchtest.SHA256([]byte(text))[:8])
		rw.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			same.Add(1)
			rw.WriteHeader(http.StatusNotModified)
			return
		}
		whole.Add(1)
		fmt.Fprint(rw, text)
	}))
	defer osvServer.Close()
	w, _ := advised(t, "foo<2\n", nil, wheelFile(t, "foo", "1.0"), wheelFile(t, "foo", "2.0"))
	w.Advisories.OSV = osvServer.URL + "/PyPI/all.zip"
	w.build(0)
	r := w.build(0)
	if whole.Load() != 1 || same.Load() != 1 || !r.Idle() {
		t.Errorf("%d answers, %d times the same, %+v", whole.Load(), same.Load(), r)
	}
	w.write("allowlist.txt", "foo\n")
	w.build(6)
	// A server that fails, or that has a login page, takes nothing back.
	for _, text := range []string{"", "<html>sign in</html>", answer.Load().(string)[:100]} {
		answer.Store(text)
		r := w.build(6)
		w.tells(r, "warning", "stands; the next run tries again")
		w.lists("foo-1.0-py3-none-any.whl")
	}
	w.build(0, Options{Offline: true})
	answer.Store(dump(t, osv("MAL-1", "foo", "introduced=3.0")))
	w.build(0)
	w.lists("foo-2.0-py3-none-any.whl")
	// The copy that was lost is fetched anew.
	w.remove("state/advisories.zip")
	before := whole.Load()
	w.build(0)
	if whole.Load() != before+1 || !w.exists("state/advisories.zip") {
		t.Error("not fetched again")
	}
	// What was never here is missing.
	fresh, _ := advised(t, "", nil)
	answer.Store("")
	fresh.Advisories.OSV = w.Advisories.OSV
	fresh.tells(fresh.build(3), "incomplete", "nothing is known of advisories")
}

func TestAdvisorySettings(t *testing.T) {
	for text, want := range map[string]string{
		`osv = "https://osv.example/all.zip"`: "",
		`osv = "osv.zip"`:                     "",
		`osv = "ftp://osv.example/all.zip"`:   "want a path, or an http or https address",
		`osv = "https://u:p@osv.example/"`:    "without a password",
		`osv = "site/osv.zip"`:                "must not lie in the site",
		`upstreams = ["nobody"]`:              `upstreams "nobody": there is no upstream`,
		`ignore = ["../x"]`:                   "not the id of an advisory",
		`osw = "x"`:                           "unknown setting",
	} {
		w := newWorld(t)
		w.write("nestgen.toml", "[advisories]\n"+text+"\n")
		c, err := Load(w.path("nestgen.toml"))
		if err == nil {
			err = c.Resolve()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if want == "" && !c.Advisories.Block {
			t.Error("malware is not blocked by default")
		}
	}
}

// meta gives a value that the catalog keeps.
func (w *world) meta(key string) string {
	w.Helper()
	return inCatalog(w, func(c *catalog.Catalog, ctx context.Context) (string, error) { return c.Meta(ctx, key) })
}

// What is known stands on the page for people and in the legacy JSON, and goes when
// there are no advisories any more.
func TestAdvisoriesOnPages(t *testing.T) {
	setClock(t, "1800000000")
	w, _ := advised(t, "foo\n", []string{osv("X-1", "foo", "introduced=0"), osv("X-2", "own", "introduced=0")}, wheelFile(t, "foo", "1.0"))
	w.drop("own", "1.0", intaketest.Opts{})
	w.build(0)
	shows := func(file, text string, want bool) {
		t.Helper()
		if got := strings.Contains(w.read(file), text); got != want {
			t.Errorf("%s: %q %v, want %v", file, text, got, want)
		}
	}
	shows("site/project/foo/index.html", "https://osv.dev/vulnerability/X-1", true)
	shows("site/pypi/foo/1.0/json", `"id":"X-1"`, true)
	shows("site/project/own/index.html", "X-2", false)
	shows("site/pypi/own/json", "X-2", false)
	shows("site/index.html", "Releases with advisories", true)
	w.isAsFresh()
	w.write("osv.zip", dump(t, osv("X-9", "foo", "introduced=2")))
	w.build(0)
	shows("site/project/foo/index.html", "osv.dev", false)
	shows("site/index.html", "Releases with advisories", false)
	w.isAsFresh()
	w.Advisories.OSV = ""
	w.build(0)
	shows("site/pypi/foo/1.0/json", "vulnerabilities", false)
	w.isAsFresh()
}
