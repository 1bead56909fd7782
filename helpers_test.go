package nestgen

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/blake2b"

	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/packaging"
)

func TestMain(m *testing.M) {
	impatient = func(o *fetch.Options) {
		o.Retries, o.RetryDelay = 1, time.Millisecond
		o.StallTime, o.MaxPage = patience, 4<<20
		if d, ok := hurried.Load(o.Partials); ok {
			o.StallTime = d.(time.Duration)
		}
	}
	partBytes = 1 << 20
	if file := os.Getenv(childEnv); file != "" {
		child(file)
	}
	os.Unsetenv("SOURCE_DATE_EPOCH")
	os.Exit(m.Run())
}

// patience is how long a healthy upstream may take for anything: for ever, as
// far as a test can tell, or a slow machine would be taken for a faulty upstream.
const patience = 5 * time.Minute

// hurried has how long downloads may stand still in those worlds that have to
// wait for that, by their folders for what broke off.
var hurried sync.Map

// A world is a site in a folder of its own, with a drop folder and an allowlist.
type world struct {
	testing.TB
	dir string
	Config

	// announced holds the paths of the files that need not be there, and placed
	// those of what was announced before it came.
	announced, placed map[string]bool

	// pending says that requests have changed what only a build puts on the pages
	// about all projects.
	pending bool
}

func newWorld(t testing.TB, upstreams ...*fetchtest.Server) *world {
	t.Helper()
	w := &world{TB: t, dir: t.TempDir(), Config: Default()}
	w.File = filepath.Join(w.dir, "nestgen.toml")
	w.Drop = []string{"drop"}
	w.Allowlist = []string{"allowlist.txt"}
	w.MaxFile = 4 << 20
	w.Fallback.Deadline = Duration(patience)
	for i, srv := range upstreams {
		w.Upstreams = append(w.Upstreams, Upstream{
			Name: fmt.Sprintf("up%d", i+1), URL: srv.URL + fetchtest.Index, Timeout: Duration(patience),
		})
	}
	w.write("allowlist.txt", "")
	if err := os.Mkdir(w.path("drop"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := w.Resolve(); err != nil {
		t.Fatal(err)
	}
	return w
}

// builtWorld is a world that was built with version 1.0 of a.
func builtWorld(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	w.drop("a", "1.0", plain)
	w.build(0)
	return w
}

// inCatalog gives what is read of the catalog of a site.
func inCatalog[T any](w *world, read func(*catalog.Catalog, context.Context) (T, error)) T {
	w.Helper()
	c, err := catalog.OpenReadOnly(w.catalogFile())
	if err != nil {
		w.Fatal(err)
	}
	v, err := read(c, w.Context())
	if err := errors.Join(err, c.Close()); err != nil {
		w.Fatal(err)
	}
	return v
}

// serial gives the serial of the last event.
func (w *world) serial() int64 {
	w.Helper()
	return inCatalog(w, (*catalog.Catalog).Serial)
}

// history gives the events with some verbs, or all, the oldest first.
func (w *world) history(verbs ...catalog.Verb) (events []catalog.Event) {
	w.Helper()
	for e, err := range Log(w.Context(), w.Config, LogQuery{Verbs: verbs, OldestFirst: true}) {
		if err != nil {
			w.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// hurry has the upstreams wait no longer than d for anything.
func (w *world) hurry(d time.Duration) {
	for i := range w.Upstreams {
		w.Upstreams[i].Timeout = Duration(d)
	}
	hurried.Store(filepath.Join(w.State, "partial"), d)
}

// setClock sets the time of day and the true time, in seconds since 1970.
func setClock(t *testing.T, seconds string) {
	t.Helper()
	t.Setenv("SOURCE_DATE_EPOCH", seconds)
	t.Setenv(testClock, seconds)
}

func (w *world) path(name string) string { return filepath.Join(w.dir, filepath.FromSlash(name)) }

func (w *world) write(name, text string) {
	w.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o755); err != nil {
		w.Fatal(err)
	}
	// A process that another test starts meanwhile has the file open for writing
	// as well, until it becomes a program; a build would find it unfinished.
	syscall.ForkLock.RLock()
	err := os.WriteFile(w.path(name), []byte(text), 0o644)
	syscall.ForkLock.RUnlock()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) remove(name string) {
	w.Helper()
	if err := os.RemoveAll(w.path(name)); err != nil {
		w.Fatal(err)
	}
}

func (w *world) read(name string) string {
	w.Helper()
	data, err := os.ReadFile(w.path(name))
	if err != nil {
		w.Fatal(err)
	}
	return string(data)
}

func (w *world) exists(name string) bool {
	_, err := os.Lstat(w.path(name))
	return err == nil
}

// drop puts a wheel into the drop folder and gives its name.
func (w *world) drop(name, version string, o intaketest.Opts) string {
	w.Helper()
	file, data := intaketest.Wheel(name, version, o)
	w.write("drop/"+file, string(data))
	return file
}

// build builds, and checks the exit status and that the tree is as it must be.
func (w *world) build(want int, options ...Options) *Report {
	w.Helper()
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	r, err := Build(w.Context(), w.Config, o)
	if err != nil {
		w.Fatalf("Build: %v", err)
	}
	if r.Status != want {
		w.Fatalf("Build: status %d, want %d; problems:\n%s", r.Status, want, problemText(r))
	}
	w.pending = false
	w.checkTree()
	return r
}

func problemText(r *Report) string {
	var b strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "  %s: %s (%s)\n", p.Level, p, p.Hint)
	}
	return b.String()
}

// tells checks that a report has a problem of a level with a text in it.
func (w *world) tells(r *Report, level, text string) {
	w.Helper()
	for _, p := range r.Problems {
		if p.Level == level && strings.Contains(p.String()+" "+p.Hint, text) {
			return
		}
	}
	w.Errorf("no %s with %q in the report:\n%s", level, text, problemText(r))
}

// listed gives the files that the index lists, by the JSON pages, sorted.
func (w *world) listed() []string {
	w.Helper()
	files := []string{}
	pages, err := filepath.Glob(w.path("site/simple/*/index.v1_json"))
	if err != nil {
		w.Fatal(err)
	}
	for _, p := range pages {
		for _, f := range w.page(filepath.Base(filepath.Dir(p))).Files {
			files = append(files, f.Filename)
		}
	}
	slices.Sort(files)
	return files
}

// lists checks what the index lists.
func (w *world) lists(want ...string) {
	w.Helper()
	slices.Sort(want)
	if got := w.listed(); !slices.Equal(got, want) {
		w.Errorf("the index lists\n%q, want\n%q", got, want)
	}
}

// A simplePage is a project's page in JSON (PEP 691).
type simplePage struct {
	Name   string `json:"name"`
	Status struct {
		Status string `json:"status"`
		Reason string `json:"reason"`
	} `json:"project-status"`
	Files []struct {
		Filename string            `json:"filename"`
		URL      string            `json:"url"`
		Hashes   map[string]string `json:"hashes"`
		Size     int64             `json:"size"`
		Yanked   any               `json:"yanked"`
		Metadata any               `json:"core-metadata"`
		Uploaded string            `json:"upload-time"`
	} `json:"files"`
}

func (w *world) page(project string) (p simplePage) {
	w.Helper()
	if err := json.Unmarshal([]byte(w.read("site/simple/"+project+"/index.v1_json")), &p); err != nil {
		w.Fatalf("%s: %v", project, err)
	}
	return p
}

var anchor = regexp.MustCompile(`<a [^>]*href="([^"#]+)#sha256=([0-9a-f]{64})"`)

// checkTree holds the tree against the promises that are true at every moment:
// what a page links to is there with that hash, what lies in the store has the
// digest that its path says, the two forms of a page say the same, and the
// root pages list just the projects that have pages.
func (w *world) checkTree() {
	w.Helper()
	site := w.path("site")
	w.knowAnnounced()
	err := filepath.WalkDir(filepath.Join(site, "packages"), func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		for _, ending := range []string{".metadata", ".asc", ".provenance"} {
			if file, ok := strings.CutSuffix(name, ending); ok {
				rel, _ := filepath.Rel(site, file)
				if _, err := os.Stat(file); err != nil && !w.announced[filepath.ToSlash(rel)] {
					w.Errorf("%s stands alone", name)
				}
				return nil
			}
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		sum := blake2b.Sum256(data)
		digest := hex.EncodeToString(sum[:])
		rel, _ := filepath.Rel(site, name)
		if want := path.Join("packages", digest[:2], digest[2:4], digest[4:], filepath.Base(name)); filepath.ToSlash(rel) != want && !w.placed[filepath.ToSlash(rel)] {
			w.Errorf("%s has the bytes of %s", rel, want)
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		w.Fatal(err)
	}
	pages, _ := filepath.Glob(filepath.Join(site, "simple", "*", "index.html"))
	var projects []string
	for _, name := range pages {
		html, err := os.ReadFile(name)
		if err != nil {
			w.Fatal(err)
		}
		links := anchor.FindAllStringSubmatch(string(html), -1)
		for _, l := range links {
			w.checkLink(filepath.Dir(name), l[1], l[2])
		}
		project := filepath.Base(filepath.Dir(name))
		if !w.exists("site/simple/" + project + "/index.v1_json") {
			continue // an alias
		}
		projects = append(projects, project)
		p := w.page(project)
		if len(p.Files) != len(links) || p.Name != project {
			w.Errorf("%s: %d files in JSON, %d links in HTML", project, len(p.Files), len(links))
		}
		for _, f := range p.Files {
			w.checkLink(filepath.Dir(name), f.URL, f.Hashes["sha256"])
		}
		if bytes.Contains(html, []byte("#egg=")) {
			w.Errorf("%s: a development link on a page that pip reads", project)
		}
	}
	if w.pending || !w.exists("site/simple/index.v1_json") {
		return
	}
	var root struct {
		Projects []struct{ Name string } `json:"projects"`
	}
	if err := json.Unmarshal([]byte(w.read("site/simple/index.v1_json")), &root); err != nil {
		w.Fatal(err)
	}
	var named []string
	for _, p := range root.Projects {
		named = append(named, string(packaging.NormalizeName(p.Name)))
	}
	slices.Sort(named)
	slices.Sort(projects)
	if !slices.Equal(named, projects) {
		w.Errorf("the root page names %q, but there are pages of %q", named, projects)
	}
}

func (w *world) checkLink(dir, link, sha string) {
	w.Helper()
	name := filepath.Join(dir, filepath.FromSlash(strings.ReplaceAll(strings.ReplaceAll(link, "%2B", "+"), "%21", "!")))
	data, err := os.ReadFile(name)
	if rel, _ := filepath.Rel(w.path("site"), name); os.IsNotExist(err) && w.announced[filepath.ToSlash(rel)] {
		return
	}
	if err != nil {
		w.Errorf("%s: a link to nothing: %v", dir, err)
		return
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != sha {
		w.Errorf("%s: %s has other bytes than its link says", dir, link)
	}
}

// A photo is everything that can be seen of a folder, by path.
type photo map[string]string

// photograph looks at a folder. The shared-memory file of SQLite is left out:
// it is rebuilt in memory and never synced.
func photograph(t testing.TB, dirs ...string) photo {
	t.Helper()
	p := photo{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if strings.HasSuffix(name, "catalog.db-shm") {
				return nil
			}
			fi, err := e.Info()
			if err != nil {
				return err
			}
			text := fi.Mode().String()
			if fi.Mode().IsRegular() {
				data, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				text += fmt.Sprintf(" %d %x %s", len(data), sha256.Sum256(data), fi.ModTime().UTC().Format(time.RFC3339Nano))
			}
			p[name] = text
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return p
}

// differences names what two photos differ in, relative to dir.
func (p photo) differences(q photo, dir string) []string {
	var all []string
	for name, text := range p {
		if q[name] != text {
			all = append(all, strings.TrimPrefix(name, dir+"/"))
		}
	}
	for name := range q {
		if _, ok := p[name]; !ok {
			all = append(all, strings.TrimPrefix(name, dir+"/"))
		}
	}
	slices.Sort(all)
	return all
}

// digestOf names a tree by the paths, modes and bytes in it; the times are
// left out.
func digestOf(t testing.TB, dir string, but ...string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		if slices.Contains(but, filepath.ToSlash(rel)) {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		fmt.Fprintln(h, rel, fi.Mode())
		if fi.Mode().IsRegular() {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%x\n", sha256.Sum256(data))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// wheel is a wheel at an upstream.
func wheel(name, version string, o intaketest.Opts) fetchtest.File {
	file, data := intaketest.Wheel(name, version, o)
	return fetchtest.File{Project: name, Filename: file, Data: data}
}

func yanked(f fetchtest.File, reason string) fetchtest.File {
	f.Yanked = &reason
	return f
}

func unmarshal(t testing.TB, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatal(err)
	}
}

var serial = regexp.MustCompile(`("_last-serial": ?|"last_serial": ?|SERIAL )\d+`)

// withoutSerials blots the serials out of a page.
func withoutSerials(page string) string { return serial.ReplaceAllString(page, "${1}N") }
