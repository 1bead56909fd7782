package monitor_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/blake2b"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/monitor"
	"nestgen/tilelog"
	"nestgen/trust"
)

const (
	page   = "simple/birds/index.v1_json"
	frozen = "snapshots/first/"
)

// pathOf gives a path of the site that begins and ends with something.
func pathOf(t testing.TB, of tree, begin, end string) string {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(of)) {
		if strings.HasPrefix(path, begin) && strings.HasSuffix(path, end) {
			return path
		}
	}
	t.Fatalf("the site has no %s...%s", begin, end)
	return ""
}

// What is done to the files of a site, by somebody who does not have its key, is found, and
// named for what it is.
func TestTampered(t *testing.T) {
	f := aSite(t)
	wheel := pathOf(t, f.tree, "packages/", "birds-2.0-py3-none-any.whl")
	other := pathOf(t, f.tree, "packages/", "birds-1.0-py3-none-any.whl")
	signature := pathOf(t, f.tree, "packages/", ".asc")
	moth := pathOf(t, f.tree, "packages/", "moths-1.0-py3-none-any.whl")
	wasp := pathOf(t, f.first, "packages/", "wasps-1.0-py3-none-any.whl")
	fly := pathOf(t, f.first, "packages/", "flies-2.0-py3-none-any.whl")
	for _, tt := range []struct {
		name string
		do   func(tree)
		kind monitor.Kind
		path string
		text string
	}{
		{"a file is truncated", func(s tree) { s[wheel] = s[wheel][:len(s[wheel])-1] }, monitor.Store, wheel, "bytes, not"},
		{"a file is longer", func(s tree) { s[wheel] = append(slices.Clone(s[wheel]), 0) }, monitor.Store, wheel, "more than"},
		{"a file is missing", func(s tree) { delete(s, wheel) }, monitor.Store, wheel, "not there"},
		{"a file is another of the site", func(s tree) { s[wheel] = s[other] }, monitor.Store, wheel, ""},
		{"two files are swapped", func(s tree) { s[wheel], s[other] = s[other], s[wheel] }, monitor.Store, other, ""},
		{"what is quarantined is still there", func(s tree) { s[wasp] = f.first[wasp] }, monitor.Withheld, wasp, "quarantined"},
		{"metadata of what is quarantined is still there", func(s tree) { s[wasp+".metadata"] = f.first[wasp+".metadata"] }, monitor.Withheld, wasp + ".metadata", "quarantined"},
		{"what is blocked is still there", func(s tree) { s[fly] = f.first[fly] }, monitor.Withheld, fly, "forbidden"},
		{"something stands where nothing may be", func(s tree) { s[fly] = []byte("x") }, monitor.Withheld, fly, "forbidden"},
		{"what only a snapshot has is another", func(s tree) { s[moth] = s[other] }, monitor.Store, moth, ""},
		{"metadata of what only a snapshot has is missing", func(s tree) { delete(s, moth+".metadata") }, monitor.Store, moth + ".metadata", "not there"},
		{"a page of a snapshot is missing", func(s tree) { delete(s, frozen+page) }, monitor.Served, frozen + page, ""},
		{"core metadata is missing", func(s tree) { delete(s, wheel+".metadata") }, monitor.Store, wheel + ".metadata", "not there"},
		{"a signature is another", func(s tree) { s[signature] = []byte("x") }, monitor.Store, signature, "sha256"},
		{"a page is missing", func(s tree) { delete(s, page) }, monitor.Served, page, ""},
		{"a page is truncated", func(s tree) { s[page] = s[page][:100] }, monitor.Served, page, "100 bytes"},
		{"a page is empty", func(s tree) { s["simple/index.html"] = nil }, monitor.Served, "simple/index.html", "0 bytes"},
		{"a page is the one that it was", func(s tree) { s[page] = f.first[page] }, monitor.Served, page, ""},
		{"a compressed page is missing", func(s tree) { delete(s, page+".gz") }, monitor.Served, page + ".gz", "not there"},
		{"no compressed page is there", func(s tree) {
			for path := range s {
				if partOf(path) == "page" && strings.HasSuffix(path, ".gz") {
					delete(s, path)
				}
			}
		}, "", "", ""},
		{"a compressed page is another", func(s tree) { s[page+".gz"] = s["simple/eggs/index.v1_json.gz"] }, monitor.Served, page + ".gz", ""},
		{"a tile is missing", func(s tree) { delete(s, pathOf(t, s, "log/tile/0/", "")) }, monitor.Log, pathOf(t, f.tree, "log/tile/0/", ""), "not there"},
		{"the records are missing", func(s tree) { delete(s, pathOf(t, s, "log/tile/entries/", "")) }, monitor.Log, pathOf(t, f.tree, "log/tile/entries/", ""), "not there"},
		{"a tile is truncated", func(s tree) {
			path := pathOf(t, s, "log/pages/tile/0/", "")
			s[path] = s[path][:32]
		}, monitor.Log, pathOf(t, f.tree, "log/pages/tile/0/", ""), "32 bytes"},
		{"the logs are swapped", func(s tree) {
			a, b := pathOf(t, s, "log/tile/entries/", ""), pathOf(t, s, "log/pages/tile/entries/", "")
			s[a], s[b] = s[b], s[a]
		}, monitor.Log, pathOf(t, f.tree, "log/tile/entries/", ""), ""},
		{"all of the log is an older one", func(s tree) {
			for path := range s {
				if strings.HasPrefix(path, "log/") {
					delete(s, path)
				}
			}
			for path, data := range f.first {
				if strings.HasPrefix(path, "log/") {
					s[path] = data
				}
			}
		}, monitor.Served, "", ""},
		{"the checkpoint is an older one", func(s tree) { s[layout.LogCheckpoint] = f.first[layout.LogCheckpoint] }, monitor.Log, "", ""},
		{"the checkpoint has a further line", func(s tree) { s[layout.LogCheckpoint] = append(slices.Clone(s[layout.LogCheckpoint]), "x\n"...) }, monitor.Signed, layout.LogCheckpoint, ""},
		{"somebody else signs, too", func(s tree) {
			s[layout.LogCheckpoint] = append(slices.Clone(s[layout.LogCheckpoint]), "— other ZmFrZSBzaWduYXR1cmUgb2Ygbm9ib2R5\n"...)
		}, monitor.Signed, layout.LogCheckpoint, "besides"},
		{"the keys are rubbish", func(s tree) { s[layout.LogKeys] = []byte("x\n") }, monitor.Signed, layout.LogKeys, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := f.tree.clone()
			tt.do(s)
			checkFirst(t, f.verify(t, s, monitor.Options{}), tt.kind, tt.path, tt.text)
			r, err := monitor.Verify(t.Context(), s.write(t), f.own.Verifier, monitor.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if tt.kind != "" { // in a folder it is not said that a server compresses by itself
				checkFirst(t, r, tt.kind, tt.path, tt.text)
			}
		})
	}
}

func checkFirst(t *testing.T, r *monitor.Report, kind monitor.Kind, path, text string) {
	t.Helper()
	if kind == "" {
		if !r.Proven() {
			t.Errorf("found:\n%s", problems(r))
		}
		return
	}
	if len(r.Findings) == 0 {
		t.Fatalf("not found: %s", problems(r))
	}
	got := r.Findings[0]
	if got.Kind != kind || path != "" && got.Path != path || !strings.Contains(got.Text, text) || got.Means == "" {
		t.Errorf("want %s: %s: %s; got:\n%s", kind, path, text, problems(r))
	}
}

// What nobody has published is found where the tree can be seen, whatever it is called,
// if a server may give it to somebody.
func TestStranger(t *testing.T) {
	f := aSite(t)
	wheel := pathOf(t, f.tree, "packages/", "birds-2.0-py3-none-any.whl")
	early := layout.File(blake2b.Sum256([]byte("x")), "birds-9.9-py3-none-any.whl") // as of a build that goes on
	theirs := []string{early, early + ".metadata", "robots.txt", ".htaccess", ".well-known/x", "downloads/x/simple.html", "Simple/x/index.html", "stage/robots.txt"}
	strangers := []string{
		"simple/evil/index.html", "stage/project/evil/index.html", "evil/simple/index.html", "a/b/simple/birds/index.v1_json",
		"snapshots/gone/simple/birds/index.html", "snapshots/first/simple/worms/index.html",
		"simple/birds/index.html.br", "simple/birds/index.html.zst", "simple/birds/index.v1_html", "simple/birds/.htaccess", "simple/Birds/index.html",
		"simple/bi rds/index.html", "simple/birds/\xff", "simple/birds/index.html\n", "simple/index", "simple/birds/index.html~", "pypi/birds/2.0/json.gz",
		"index.html.br", "stage/index.htm", "static/site.js.br", "log/checkpoint.gz", "log/tile/0/evil", "log/tile/0/000.p/300", "log/pages/checkpoint",
		wheel + ".gz", wheel + ".provenance.asc", strings.Replace(wheel, "birds-2.0", "birds-9.9", 1), "packages/index.html", "packages/" + strings.Repeat("0", 64),
	}
	s := f.tree.clone()
	for _, path := range append(theirs, strangers...) {
		s[path] = []byte("x")
	}
	dir := s.write(t)
	for link, to := range map[string]string{"simple/wolves": "birds", "packages/00": "..", "stage/simple/eggs": "../../simple/eggs"} {
		name := filepath.Join(dir, filepath.FromSlash(link))
		if err := errors.Join(os.RemoveAll(name), os.Symlink(to, name)); err != nil {
			t.Fatal(err)
		}
		strangers = append(strangers, link)
	}
	r, err := monitor.Verify(t.Context(), dir, f.own.Verifier, monitor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, x := range r.Findings {
		if x.Kind == monitor.Stranger {
			found = append(found, x.Path)
		}
	}
	slices.Sort(strangers)
	slices.Sort(found)
	if !slices.Equal(found, strangers) {
		t.Errorf("found %q\nwant %q", found, strangers)
	}
}

// Whatever in the tree is no file is not read, and nothing waits for it.
func TestNoFile(t *testing.T) {
	f := aSite(t)
	dir := f.tree.write(t)
	name := filepath.Join(dir, filepath.FromSlash(page))
	outside := filepath.Join(t.TempDir(), "page")
	if err := errors.Join(os.Rename(name, outside), os.Symlink(outside, name)); err != nil {
		t.Fatal(err)
	}
	r, err := monitor.Verify(t.Context(), dir, f.own.Verifier, monitor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkFirst(t, r, monitor.Served, page, "not a regular file")
}

// replaceIn gives a page with a text in the place of another.
func replaceIn(t testing.TB, s tree, path, old, by string) []byte {
	t.Helper()
	if !bytes.Contains(s[path], []byte(old)) {
		t.Fatalf("%s has no %q:\n%s", path, old, s[path])
	}
	return bytes.Replace(s[path], []byte(old), []byte(by), 1)
}

// without gives the page of a project, in one of its forms, without a file.
func without(t testing.TB, page []byte, begins string) []byte {
	t.Helper()
	sep := []byte(",\n{")
	head, list, json := bytes.Cut(page, []byte("[\n{\"filename\""))
	if !json {
		sep, head, list = []byte("\n"), nil, page
	} else {
		list, _ = bytes.CutSuffix(append([]byte("\"filename\""), list...), []byte("]}\n"))
	}
	all := bytes.Split(list, sep)
	left := slices.DeleteFunc(slices.Clone(all), func(e []byte) bool { return bytes.Contains(e, []byte(begins)) })
	if len(left) == len(all) {
		t.Fatalf("the page has no %s:\n%s", begins, page)
	}
	if !json {
		return bytes.Join(left, sep)
	}
	head = append(slices.Clone(head), '[')
	if len(left) > 0 {
		head = append(head, '{')
	}
	return append(append(head, bytes.Join(left, sep)...), "]}\n"...)
}

// remove takes a page away from a forged site, and says so in its log.
func (h *history) remove(s tree, path string) {
	for _, path := range []string{path + ".gz", path} {
		if _, has := s[path]; has {
			delete(s, path)
			h.pages = append(h.pages, catalog.Page{Path: path})
		}
	}
}

// forget takes the pages of a project of an index away, and has its lists say so.
func (h *history) forget(t testing.TB, s tree, prefix, project string) {
	t.Helper()
	for path := range s {
		if strings.HasPrefix(path, prefix+"simple/"+project+"/") {
			h.remove(s, path)
		}
	}
	h.unlist(t, s, prefix, project)
}

// unlist publishes lists of projects without one.
func (h *history) unlist(t testing.TB, s tree, prefix, project string) {
	t.Helper()
	path := prefix + layout.RootHTML
	h.publish(s, path, replaceIn(t, s, path, "<a href=\""+project+"/\">"+project+"</a><br>\n", ""))
	path = prefix + layout.RootJSON
	list := strings.ReplaceAll(string(s[path]), "\n{\"name\":\""+project+"\"}", "")
	for _, commas := range []struct{ old, by string }{{",,", ","}, {"[,", "["}, {",]", "]"}} {
		list = strings.ReplaceAll(list, commas.old, commas.by)
	}
	h.publish(s, path, []byte(list))
}

// What comes by a request has pages before the next build lists it. That, and no more, is
// how a list of projects may be older than the pages.
func TestCameSince(t *testing.T) {
	f := aSite(t)
	again := func(h *history, s tree) {
		for _, path := range []string{"simple/worms/index.v1_json", "simple/worms/index.html"} {
			data := s[path]
			h.remove(s, path)
			h.publish(s, path, data)
		}
	}
	r := f.verify(t, f.forge(t, f.tree, func(h *history, s tree) {
		h.unlist(t, s, "", "worms")
		again(h, s)
	}), monitor.Options{})
	if !r.Proven() || r.Unlisted != 1 {
		t.Errorf("%d, %s", r.Unlisted, problems(r))
	}
	for name, do := range map[string]func(*history, tree){
		"the list came last": func(h *history, s tree) {
			again(h, s)
			h.unlist(t, s, "", "worms")
		},
		"the page changed, and was there before": func(h *history, s tree) {
			h.unlist(t, s, "", "worms")
			h.publish(s, "simple/worms/index.v1_json", append(slices.Clone(s["simple/worms/index.v1_json"]), ' '))
		},
		"one came and another one is missing": func(h *history, s tree) {
			h.unlist(t, s, "", "eggs")
			h.unlist(t, s, "", "worms")
			again(h, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.verify(t, f.forge(t, f.tree, do), monitor.Options{})
			checkFirst(t, r, monitor.Index, layout.RootHTML, "lacks 1 of")
		})
	}
}

// An index besides the site's own may be behind what a request has brought, where its page
// is the older one.
func TestBehind(t *testing.T) {
	f := aSite(t)
	const stage = "stage/" + page
	other := func(h *history, s tree) {
		h.publish(s, stage, replaceIn(t, s, stage, `"requires-python":"`, `"requires-python":">=3,`))
	}
	r := f.verify(t, f.forge(t, f.tree, func(h *history, s tree) {
		other(h, s)
		h.publish(s, page, append(slices.Clone(s[page]), ' '))
	}), monitor.Options{})
	if !r.Proven() || r.Behind != 3 { // that page, and both lists of all files
		t.Errorf("%d, %s", r.Behind, problems(r))
	}
	r = f.verify(t, f.forge(t, f.tree, func(h *history, s tree) {
		h.publish(s, page, append(slices.Clone(s[page]), ' '))
		other(h, s)
	}), monitor.Options{})
	checkFirst(t, r, monitor.Index, stage, "requires-python")

	const spelled = "simple/Bird.Cage/index.html"
	older := func(h *history, s tree) { h.publish(s, spelled, without(t, s[spelled], "bird_cage-0.1")) }
	newer := func(h *history, s tree) {
		cage := "simple/bird-cage/index.v1_json"
		h.publish(s, cage, append(slices.Clone(s[cage]), ' '))
	}
	r = f.verify(t, f.forge(t, f.tree, func(h *history, s tree) {
		older(h, s)
		newer(h, s)
	}), monitor.Options{})
	if !r.Proven() || r.Behind != 3 {
		t.Errorf("%d, %s", r.Behind, problems(r))
	}
	r = f.verify(t, f.forge(t, f.tree, func(h *history, s tree) {
		newer(h, s)
		older(h, s)
	}), monitor.Options{})
	checkFirst(t, r, monitor.Index, spelled, "bird_cage-0.1")
	r = f.verify(t, f.forge(t, f.tree, func(h *history, s tree) {
		h.publish(s, spelled, replaceIn(t, s, spelled, "bird_cage-0.1", "bird_cage-9.9"))
		newer(h, s)
	}), monitor.Options{})
	checkFirst(t, r, monitor.Index, spelled, "")
}

// Who has the key of the site can sign whatever he wants, and cannot have the index say
// another thing than the history.
func TestDishonest(t *testing.T) {
	f := aSite(t)
	extra := func(s tree, version string) string {
		_, list, _ := strings.Cut(string(s[page]), `"files":[`)
		entry, _, _ := strings.Cut(list, ",\n{")
		return strings.ReplaceAll(entry, "1.0", version) + ","
	}
	const hidden = "simple/birds/index.html"
	hides := func(before, after string) func(*history, tree) {
		return func(h *history, s tree) {
			line := string(s[hidden][bytes.Index(s[hidden], []byte("<a ")):])
			line = strings.ReplaceAll(line[:strings.Index(line, "\n")+1], "1.0", "9.9")
			h.publish(s, hidden, replaceIn(t, s, hidden, "</body>", before+line+after+"</body>"))
		}
	}
	for _, tt := range []struct {
		name string
		do   func(h *history, s tree)
		kind monitor.Kind
		path string
		text string
	}{
		{"nothing", func(*history, tree) {}, "", "", ""},
		{"a page lists one more file", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `"files":[`, `"files":[`+extra(s, "9.9")))
		}, monitor.Index, page, "birds-9.9"},
		{"a page lists a file less", func(h *history, s tree) {
			cut := bytes.LastIndex(s[page], []byte(",\n{"))
			h.publish(s, page, append(slices.Clone(s[page][:cut]), "]}\n"...))
		}, monitor.Index, page, "does not list"},
		{"a page has another digest", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `"sha256":"`, `"sha256":"`+strings.Repeat("0", 63)+"1"+`","old":"`))
		}, monitor.Index, page, "sha256"},
		{"a page has one more digest", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `"sha256":"`, `"sha512":"00","sha256":"`))
		}, monitor.Index, page, "other kinds"},
		{"a page has metadata by another name", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `"core-metadata":`, `"dist-info-metadata":{"sha256":"`+strings.Repeat("0", 64)+`"},"core-metadata":`))
		}, monitor.Index, page, "PEP 714"},
		{"a page leads on by a fragment", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `.whl","hashes"`, `.whl#sha256=00","hashes"`))
		}, monitor.Index, page, "address"},
		{"a compressed copy is of another page", func(h *history, s tree) {
			z := s["simple/eggs/index.v1_json.gz"]
			h.publish(s, page+".gz", z)
		}, monitor.Index, page + ".gz", "not the page"},
		{"there is a compressed copy of no page", func(h *history, s tree) {
			h.publish(s, "simple/evil/index.html.gz", s["simple/eggs/index.html.gz"])
		}, monitor.Index, "simple/evil/index.html.gz", "not published"},
		{"another spelling has a page as JSON", func(h *history, s tree) {
			h.publish(s, "simple/Birds/index.v1_json", s[page])
		}, monitor.Index, "simple/Birds/index.v1_json", "address"},
		{"a page leads elsewhere", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `"url":"../../`, `"url":"https://evil.example/`))
		}, monitor.Index, page, "address"},
		{"a page leads out of the tree", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `"url":"../../`, `"url":"../../../`))
		}, monitor.Index, page, "address"},
		{"a page forgets a yank", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `"yanked":`, `"was-yanked":`))
		}, monitor.Index, page, "yank"},
		{"a page wants another Python", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `"requires-python":"`, `"requires-python":">=3,`))
		}, monitor.Index, page, "requires-python"},
		{"a page has another size", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `"size":`, `"size":1`))
		}, monitor.Index, page, "size"},
		{"a page has another time", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `"upload-time":"20`, `"upload-time":"19`))
		}, monitor.Index, page, "upload-time"},
		{"a page has other metadata", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `"core-metadata":{"sha256":"`, `"core-metadata":{"sha256":"`+strings.Repeat("0", 63)+"1"+`","old":"`))
		}, monitor.Index, page, "metadata"},
		{"a page has a key twice", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `"files":[`, `"files":[],"files":[`))
		}, monitor.Index, page, "twice"},
		{"a page is about another project", func(h *history, s tree) {
			h.publish(s, page, s["simple/eggs/index.v1_json"])
		}, monitor.Index, page, "eggs"},
		{"a page says that a project is archived", func(h *history, s tree) {
			h.publish(s, page, replaceIn(t, s, page, `"name":"birds"`, `"name":"birds","project-status":{"status":"archived"}`))
		}, monitor.Index, page, "archived"},
		{"only the page as HTML lists one more", func(h *history, s tree) {
			path := "simple/birds/index.html"
			line := string(s[path][bytes.Index(s[path], []byte("<a ")):])
			line = line[:strings.Index(line, "\n")+1]
			h.publish(s, path, replaceIn(t, s, path, "</body>", strings.ReplaceAll(line, "1.0", "9.9")+"</body>"))
		}, monitor.Index, "simple/birds/index.html", "birds-9.9"},
		{"a page as HTML has a base elsewhere", func(h *history, s tree) {
			path := "simple/birds/index.html"
			h.publish(s, path, replaceIn(t, s, path, "<head>", `<head><base href="https://evil.example/">`))
		}, monitor.Index, "simple/birds/index.html", "base"},
		{"a page as HTML hides a link in a text", hides("<textarea>", "</textarea>"), monitor.Index, hidden, "textarea"},
		{"a page as HTML hides a link in a comment", hides("<!-- a --!>", "<!-- -->"), monitor.Index, hidden, "<!-- a"},
		{"a page as HTML hides a link in a title", hides("<title>", "</title>"), monitor.Index, hidden, "<a href"},
		{"a page as HTML ends within a link", func(h *history, s tree) {
			h.publish(s, hidden, append(slices.Clone(s[hidden]), `<a href="../../packages/`...))
		}, monitor.Index, hidden, "within a tag"},
		{"a page as HTML has a link of a kind", func(h *history, s tree) {
			h.publish(s, hidden, replaceIn(t, s, hidden, "</body>", `<a rel="download" href="https://evil.example/">x</a></body>`))
		}, monitor.Index, hidden, "rel"},
		{"a page as HTML leads on", func(h *history, s tree) {
			h.publish(s, hidden, replaceIn(t, s, hidden, "<head>", `<head><meta http-equiv="refresh" content="0; url=https://evil.example/">`))
		}, monitor.Index, hidden, "http-equiv"},
		{"another spelling has another page", func(h *history, s tree) {
			h.publish(s, "simple/Bird.Cage/index.html", s["simple/eggs/index.html"])
		}, monitor.Index, "simple/Bird.Cage/index.html", ""},
		{"the list of all files has another digest", func(h *history, s tree) {
			h.publish(s, "flat/index.html", replaceIn(t, s, "flat/index.html", "#sha256=", "#sha256="+strings.Repeat("0", 63)+"1\" data-x=\""))
		}, monitor.Index, "flat/index.html", "sha256"},
		{"the list of all files lacks one", func(h *history, s tree) {
			h.publish(s, layout.Flat, without(t, s[layout.Flat], "birds-1.0"))
		}, monitor.Index, layout.Flat, "birds-1.0"},
		{"the list of all files lacks a project", func(h *history, s tree) {
			h.publish(s, layout.Easy, without(t, s[layout.Easy], "worms"))
		}, monitor.Index, layout.Easy, "worms-1.0"},
		{"the list of all files has one that is gone", func(h *history, s tree) {
			moth, _, _ := strings.Cut(string(s["stage/simple/moths/index.html"][bytes.Index(s["stage/simple/moths/index.html"], []byte("<a ")):]), "\n")
			h.publish(s, layout.Flat, replaceIn(t, s, layout.Flat, "</body>", strings.Replace(moth, "../../../", "../", 1)+"\n</body>"))
		}, monitor.Index, layout.Flat, "moths-1.0"},
		{"the list of all files forgets a yank", func(h *history, s tree) {
			h.publish(s, layout.Flat, replaceIn(t, s, layout.Flat, "data-yanked", "data-was-yanked"))
		}, monitor.Index, layout.Flat, "yank"},
		{"the list for easy_install leads elsewhere", func(h *history, s tree) {
			h.publish(s, layout.Easy, replaceIn(t, s, layout.Easy, "</body>", "<a href=\"..//packages/x#egg=birds-9.9\">birds 9.9</a></body>"))
		}, monitor.Index, layout.Easy, "sha256"},
		{"another index lists what never was", func(h *history, s tree) {
			path := "stage/" + page
			h.publish(s, path, bytes.ReplaceAll(s[path], []byte("birds-1.0"), []byte("birds-9.9")))
		}, monitor.Index, "stage/" + page, "birds-9.9"},
		{"another index has another digest", func(h *history, s tree) {
			path := "stage/" + page
			h.publish(s, path, replaceIn(t, s, path, `"sha256":"`, `"sha256":"`+strings.Repeat("0", 63)+"1"+`","old":"`))
		}, monitor.Index, "stage/" + page, "sha256"},
		{"the list of projects has one more", func(h *history, s tree) {
			h.publish(s, layout.RootJSON, replaceIn(t, s, layout.RootJSON, `{"name":"birds"}`, "{\"name\":\"birds\"},\n{\"name\":\"evil\"}"))
		}, monitor.Index, layout.RootJSON, "evil"},
		{"the list of projects lacks one", func(h *history, s tree) {
			h.publish(s, layout.RootHTML, replaceIn(t, s, layout.RootHTML, "<a href=\"birds/\">birds</a><br>\n", ""))
		}, monitor.Index, layout.RootHTML, "lacks 1"},
		{"a project is in the tree and not in the history", func(h *history, s tree) {
			h.publish(s, "simple/evil/index.v1_json", bytes.ReplaceAll(s["simple/eggs/index.v1_json"], []byte(`"eggs"`), []byte(`"evil"`)))
		}, monitor.Index, "", ""},
		{"a project is in the history and not in the tree", func(h *history, s tree) {
			for _, p := range []string{"simple/worms/index.v1_json", "simple/worms/index.html"} {
				h.pages = append(h.pages, catalog.Page{Path: p})
				delete(s, p)
			}
		}, monitor.Index, "", ""},
		{"a page is there as JSON alone", func(h *history, s tree) {
			h.remove(s, "simple/birds/index.html")
		}, monitor.Index, "simple/birds/index.html", "was not published"},
		{"a page is there as HTML alone", func(h *history, s tree) {
			h.remove(s, page)
		}, monitor.Index, page, "was not published"},
		{"the list of projects is there as JSON alone", func(h *history, s tree) {
			h.remove(s, layout.RootHTML)
		}, monitor.Index, layout.RootHTML, "was not published"},
		{"a snapshot lists a file less that the index has", func(h *history, s tree) {
			h.publish(s, frozen+page, without(t, s[frozen+page], "birds-1.0"))
		}, monitor.Index, frozen + page, "birds-1.0"},
		{"a snapshot lists a file less that the index has no more", func(h *history, s tree) {
			h.publish(s, frozen+"simple/moths/index.html", without(t, s[frozen+"simple/moths/index.html"], "moths-1.0"))
		}, monitor.Index, frozen + "simple/moths/index.html", "moths-1.0"},
		{"a snapshot leaves out a project that the index has", func(h *history, s tree) {
			h.forget(t, s, frozen, "eggs")
		}, monitor.Index, frozen + "simple/eggs/index.v1_json", "eggs-2.0"},
		{"a snapshot leaves out a project that the index has no more", func(h *history, s tree) {
			h.forget(t, s, frozen, "moths")
		}, monitor.Index, frozen + "simple/moths/index.v1_json", "moths-1.0"},
		{"a snapshot lists what came later", func(h *history, s tree) {
			h.publish(s, frozen+page, bytes.ReplaceAll(s[page], []byte("../../packages"), []byte("../../../../packages")))
		}, monitor.Index, frozen + page, "birds-2.0"},
		{"a snapshot has a project that came later", func(h *history, s tree) {
			for _, form := range []string{"html", "v1_json"} {
				h.publish(s, frozen+"simple/worms/index."+form, without(t, s["simple/worms/index."+form], "worms-1.0"))
			}
		}, monitor.Index, "", "no file of the project at serial 7"},
		{"a stage has a project that nobody knows", func(h *history, s tree) {
			h.publish(s, "stage/simple/evil/index.v1_json", []byte(`{"name":"evil","files":[]}`))
		}, monitor.Index, "", ""},
		{"a snapshot has the yank of another time", func(h *history, s tree) {
			h.publish(s, frozen+page, replaceIn(t, s, frozen+page, `"yanked":`, `"was-yanked":`))
		}, monitor.Index, frozen + page, "yank"},
		{"a snapshot says that a project is quarantined", func(h *history, s tree) {
			h.publish(s, frozen+page, []byte(`{"name":"birds","project-status":{"status":"quarantined"},"files":[]}`))
		}, monitor.Index, frozen + page, "quarantined"},
		{"a snapshot says that what is gone is quarantined", func(h *history, s tree) {
			h.publish(s, frozen+"simple/moths/index.v1_json", []byte(`{"name":"moths","project-status":{"status":"quarantined"},"files":[]}`))
		}, monitor.Index, frozen + "simple/moths/index.v1_json", "moths-1.0"},
		{"a snapshot has what is quarantined", func(h *history, s tree) {
			entry := bytes.ReplaceAll(f.first["simple/wasps/index.v1_json"], []byte("../../packages"), []byte("../../../../packages"))
			h.publish(s, frozen+"simple/wasps/index.v1_json", entry)
		}, monitor.Index, frozen + "simple/wasps/index.v1_json", "quarantined"},
		{"a snapshot is of another serial", func(h *history, s tree) {
			h.events[7].Reason = "first serial 5"
		}, monitor.Index, frozen + "simple/moths/index.html", "serial 5"},
		{"nobody has made the snapshot", func(h *history, s tree) {
			h.events[7].Reason = "second serial 7"
		}, monitor.Index, "", ""},
		{"a snapshot was never published", func(h *history, s tree) {
			for path := range s {
				if strings.HasPrefix(path, frozen) {
					h.remove(s, path)
				}
			}
		}, monitor.Index, frozen + layout.RootJSON, "has the snapshot"},
		{"a stage lists a file less that the index has", func(h *history, s tree) {
			h.publish(s, "stage/"+page, without(t, s["stage/"+page], "birds-1.0"))
		}, monitor.Index, "stage/" + page, "promoted"},
		{"a stage lists a file less that the index has no more", func(h *history, s tree) {
			h.publish(s, "stage/simple/moths/index.v1_json", without(t, s["stage/simple/moths/index.v1_json"], "moths-1.0"))
		}, monitor.Index, "stage/simple/moths/index.v1_json", "promoted"},
		{"a stage leaves out a project", func(h *history, s tree) {
			h.forget(t, s, "stage/", "birds")
		}, monitor.Index, "stage/" + page, "promoted"},
		{"a stage leaves out a project that the index has no more", func(h *history, s tree) {
			h.forget(t, s, "stage/", "moths")
		}, monitor.Index, "stage/simple/moths/index.v1_json", "promoted"},
		{"a stage wants another Python", func(h *history, s tree) {
			h.publish(s, "stage/"+page, replaceIn(t, s, "stage/"+page, `"requires-python":"`, `"requires-python":">=3,`))
		}, monitor.Index, "stage/" + page, "requires-python"},
		{"a stage says that a project is archived", func(h *history, s tree) {
			h.publish(s, "stage/"+page, replaceIn(t, s, "stage/"+page, `"name":"birds"`, `"name":"birds","project-status":{"status":"archived"}`))
		}, monitor.Index, "stage/" + page, "archived"},
		{"a file lies at a place that is not made of it", func(h *history, s tree) {
			r := h.lookup(t, "worms", "1.0")
			s[layout.File(catalog.Digest{1}, r.Filename)] = s[r.File.Path]
			r.File.Path = layout.File(catalog.Digest{1}, r.Filename)
		}, monitor.History, layout.Log, "made of a digest"},
		{"the history lists another file", func(h *history, s tree) {
			r := h.lookup(t, "worms", "1.0")
			was, _, _ := layout.ParseFile(r.File.Path)
			delete(s, r.File.Path)
			r.File.Path = layout.File(was, "worms-2.0-py3-none-any.whl")
			r.File.Version, r.Filename, r.File.Filename = "2.0", "worms-2.0-py3-none-any.whl", "worms-2.0-py3-none-any.whl"
		}, monitor.Index, "", ""},
		{"a file never was what the history says", func(h *history, s tree) {
			r := h.lookup(t, "worms", "1.0")
			r.SHA256 = catalog.Digest{1}
			r.File.SHA256 = r.SHA256
		}, monitor.Index, "", ""},
		{"the history gives a name to other bytes", func(h *history, s tree) {
			r := *h.lookup(t, "worms", "1.0")
			last := h.events[len(h.events)-1]
			r.Serial, r.Time, r.Verb, r.SHA256, r.File = last.Serial+1, last.Time, catalog.Withdraw, catalog.Digest{1}, nil
			h.events = append(h.events, r)
		}, monitor.History, layout.Log, "for ever"},
		{"a serial is missing", func(h *history, s tree) {
			h.events = slices.Delete(h.events, 1, 2)
		}, monitor.History, layout.Log, "serials"},
		{"times fall", func(h *history, s tree) { h.events[1].Time = 5 }, monitor.History, layout.Log, "time"},
		{"an event is silently left out", func(h *history, s tree) {
			h.events = h.events[:len(h.events)-1]
		}, monitor.Index, "", ""},
		{"a page lies outside of the tree", func(h *history, s tree) {
			h.pages = append(h.pages, catalog.Page{Path: "../../etc/passwd", Size: 5, SHA256: catalog.Digest{1}})
		}, monitor.History, layout.Log, "passwd"},
		{"a page lies in the store", func(h *history, s tree) {
			h.pages = append(h.pages, catalog.Page{Path: "packages/x", Size: 5, SHA256: catalog.Digest{1}})
		}, monitor.History, layout.Log, "packages/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := f.verify(t, f.forge(t, f.tree, tt.do), monitor.Options{})
			checkFirst(t, r, tt.kind, tt.path, tt.text)
		})
	}
}

// What was proven once is remembered: the log has to go on from there, whoever signs it.
func TestRemembered(t *testing.T) {
	f := aSite(t)
	state := filepath.Join(t.TempDir(), "seen")
	o := monitor.Options{State: state}
	if r := f.verify(t, f.first, o); !r.Proven() || r.Since != -1 {
		t.Fatal(problems(r))
	}
	first, _ := f.open(t, f.first)
	if r := f.verify(t, f.tree, o); !r.Proven() || r.Since != first.Size {
		t.Fatalf("%+v", r)
	}
	seen, err := os.ReadFile(state)
	if err != nil || !bytes.Equal(seen, f.tree[layout.LogCheckpoint]) {
		t.Fatalf("%q, %v", seen, err)
	}
	longer := func(h *history, n int) {
		for range n {
			e := h.events[len(h.events)-1].Event
			h.events = append(h.events, catalog.Record{Event: catalog.Event{Serial: e.Serial + 1, Time: e.Time, Verb: catalog.Snapshot, Reason: "x"}})
		}
	}
	for _, tt := range []struct {
		name string
		site tree
	}{
		{"the site is put back", f.first},
		{"the history is another of the same length", f.forge(t, f.tree, func(h *history, _ tree) { h.events[0].Time-- })},
		{"another history is longer", f.forge(t, f.tree, func(h *history, _ tree) {
			h.events[0].Time--
			longer(h, 300)
		})},
		{"the history is shorter", f.forge(t, f.tree, func(h *history, _ tree) { h.events = h.events[:2] })},
		{"the pages have another past", f.forge(t, f.tree, func(h *history, _ tree) { h.pages[0].Size++ })},
		{"the pages have a shorter past", f.forge(t, f.tree, func(h *history, _ tree) { h.pages = h.pages[1:] })},
		{"the log is gone", tree{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := f.verify(t, tt.site, o)
			if !r.Forked() || r.Findings[0].Kind != monitor.Fork {
				t.Error(problems(r))
			}
			if now, err := os.ReadFile(state); err != nil || !bytes.Equal(now, seen) {
				t.Errorf("it remembers something else now: %q, %v", now, err)
			}
		})
	}
	if r := f.verify(t, f.forge(t, f.tree, func(h *history, _ tree) { longer(h, 300) }), o); !r.Proven() {
		t.Errorf("a history that goes on: %s", problems(r))
	}
	for _, text := range []string{"", "x", "a\n\nb", strings.Replace(string(seen), "\n", "\n-", 1), "other" + string(seen)} {
		if err := os.WriteFile(state, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		o := o
		o.Transport = direct{f.tree}
		if r, err := monitor.Verify(t.Context(), "http://packages.example.org", f.own.Verifier, o); !errors.Is(err, monitor.ErrInput) {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
}

// Who has a key that was replaced follows the statements to the one that is.
func TestRotated(t *testing.T) {
	f := aSite(t)
	keys := trust.Open(t.TempDir())
	old, err := keys.New("packages.example.org")
	if err != nil {
		t.Fatal(err)
	}
	under := func(own *trust.Own) tree {
		g := *f
		g.own = own
		s := f.tree.clone()
		c, pages := f.open(t, s)
		c.Origin = own.Name
		events := s.leaves(t, layout.EventTile, c)
		shown := s.leaves(t, layout.PageTile, tilelog.Checkpoint{Origin: c.Origin, Size: pages.Size, Root: pages.Root})
		s.sign(t, events, shown, own)
		return s
	}
	now, _, err := keys.Rotate(3)
	if err != nil {
		t.Fatal(err)
	}
	statements, err := keys.Rotations()
	if err != nil {
		t.Fatal(err)
	}
	verify := func(s tree, key string) *monitor.Report {
		r, err := monitor.Verify(t.Context(), "http://x", key, monitor.Options{Transport: direct{s}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	s := under(now)
	s[layout.LogKeys] = trust.JoinRotations(statements)
	for _, key := range []string{old.Verifier, now.Verifier} {
		if r := verify(s, key); !r.Proven() || r.Key != now.Verifier {
			t.Errorf("%s: %s", key, problems(r))
		}
	}
	checkFirst(t, verify(s, f.own.Verifier), monitor.Signed, layout.LogKeys, "another key")
	checkFirst(t, verify(f.tree, old.Verifier), monitor.Signed, layout.LogCheckpoint, "not by "+old.Key().ID())
	without := s.clone()
	delete(without, layout.LogKeys)
	checkFirst(t, verify(without, old.Verifier), monitor.Signed, layout.LogCheckpoint, "not by "+old.Key().ID())
	still := under(old)
	still[layout.LogKeys] = s[layout.LogKeys]
	checkFirst(t, verify(still, old.Verifier), monitor.Signed, layout.LogCheckpoint, "not by "+now.Key().ID())
	for i := range s[layout.LogKeys] {
		changed := s.clone()
		changed[layout.LogKeys] = slices.Clone(s[layout.LogKeys])
		changed[layout.LogKeys][i] ^= 1
		if r := verify(changed, now.Verifier); len(r.Findings) == 0 {
			t.Fatalf("byte %d of the statements: not found", i)
		}
	}
}

// A site that does not publish its log proves nothing.
func TestNoLog(t *testing.T) {
	f := aSite(t)
	for _, tt := range []struct {
		site, key string
		want      error
		text      string
	}{
		{"http://packages.example.org", f.own.Verifier, monitor.ErrUnreachable, "does not publish its log"},
		{t.TempDir(), f.own.Verifier, monitor.ErrUnreachable, "does not publish its log"},
		{"/nowhere", f.own.Verifier, monitor.ErrInput, "/nowhere"},
		{"ftp://packages.example.org", f.own.Verifier, monitor.ErrInput, "ftp"},
		{"http://packages.example.org/?x", f.own.Verifier, monitor.ErrInput, "root of a site"},
		{"file://elsewhere/site", f.own.Verifier, monitor.ErrInput, "this machine"},
		{"http://packages.example.org", "key", monitor.ErrInput, "verifier key"},
	} {
		_, err := monitor.Verify(t.Context(), tt.site, tt.key, monitor.Options{Transport: direct{tree{}}})
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v", tt.site, err)
		}
	}
}

// A site that is published meanwhile is no site that lies.
func TestPublishedMeanwhile(t *testing.T) {
	f := aSite(t)
	var asked atomic.Int64
	// The pages change first, the logs after them: so it is while a build publishes.
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		is := f.tree
		if strings.HasPrefix(r.URL.Path, "/log/") && asked.Load() < 12 {
			is = f.first
		}
		asked.Add(1)
		is.ServeHTTP(w, r)
	})
	r := f.verify(t, site, monitor.Options{Settle: time.Minute})
	now, _ := f.open(t, f.tree)
	if !r.Proven() || r.Events != now.Size {
		t.Error(problems(r))
	}
}

// A site that never comes to rest is left, without a verdict.
func TestNeverAtRest(t *testing.T) {
	f := aSite(t)
	var mu sync.Mutex
	n := 0
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		is := f.tree
		if r.URL.Path == "/"+layout.LogCheckpoint {
			if n++; n%2 == 0 {
				is = f.first
			}
		} else if strings.HasPrefix(r.URL.Path, "/log/") {
			is = tree{}
		}
		is.ServeHTTP(w, r)
	})
	_, err := monitor.Verify(t.Context(), "http://x", f.own.Verifier, monitor.Options{Transport: direct{site}})
	if !errors.Is(err, monitor.ErrUnreachable) || !strings.Contains(err.Error(), "at rest") {
		t.Error(err)
	}
}

// A server that compresses anew is told apart from one whose copies are damaged.
func TestCompressedAnew(t *testing.T) {
	f := aSite(t)
	anew := func(which func(string) bool) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path := strings.TrimPrefix(r.URL.Path, "/")
			if strings.HasSuffix(path, ".gz") && partOf(path) == "page" {
				http.NotFound(w, r)
				return
			}
			if path == "" || strings.HasSuffix(path, "/") {
				name := "index.html"
				if strings.Contains(r.Header.Get("Accept"), "json") {
					name = "index.v1_json"
				}
				path += name
			}
			data, ok := f.tree[path]
			if !ok || strings.HasSuffix(r.URL.Path, "index.html") || strings.HasSuffix(r.URL.Path, "v1_json") {
				http.NotFound(w, r)
				return
			}
			if z, ok := f.tree[path+".gz"]; ok && r.Header.Get("Accept-Encoding") == "gzip" {
				if which(path) {
					z = slices.Clone(z)
					z[9] ^= 1 // the system that compressed it
				}
				w.Header().Set("Content-Encoding", "gzip")
				data = z
			}
			_, _ = w.Write(data)
		})
	}
	r := f.verify(t, anew(func(string) bool { return true }), monitor.Options{})
	if !r.Proven() || len(r.NotReachable) != count(f.tree, func(p string) bool { return strings.HasSuffix(p, ".gz") && partOf(p) == "page" }) {
		t.Error(problems(r))
	}
	r = f.verify(t, anew(func(path string) bool { return path == page }), monitor.Options{})
	if len(r.Findings) != 1 || r.Findings[0].Path != page+".gz" {
		t.Error(problems(r))
	}
}

// Installers ask for folders: that the file is right there, if somebody asks for it by its
// name, does not make right what they get.
func TestForgedAtTheFolder(t *testing.T) {
	f := aSite(t)
	wheel := pathOf(t, f.tree, "packages/", "birds-2.0-py3-none-any.whl")
	forged := []byte(`<a href="../../` + wheel + `#sha256=` + strings.Repeat("0", 64) + `">birds-2.0-py3-none-any.whl</a>`)
	folder := strings.TrimSuffix(layout.ProjectHTML("birds"), "index.html")
	for name, tt := range map[string]struct {
		accept, coding string
		path           string
	}{
		"HTML":       {"text/html", "identity", layout.ProjectHTML("birds")},
		"JSON":       {monitor.JSONType, "identity", layout.ProjectJSON("birds")},
		"compressed": {monitor.JSONType, "gzip", layout.ProjectJSON("birds") + ".gz"},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.verify(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/"+folder && r.Header.Get("Accept") == tt.accept && r.Header.Get("Accept-Encoding") == tt.coding {
					_, _ = w.Write(forged)
					return
				}
				f.tree.ServeHTTP(w, r)
			}), monitor.Options{Jobs: 1})
			checkFirst(t, r, monitor.Served, tt.path, "/"+folder)
		})
	}
	t.Run("JSON alone", func(t *testing.T) {
		// The site says that there is no HTML, and what stands there is not that of nobody.
		s := f.forge(t, f.tree, func(h *history, s tree) { h.remove(s, layout.ProjectHTML("birds")) })
		s[layout.ProjectHTML("birds")] = forged
		r := f.verify(t, s, monitor.Options{})
		served := slices.ContainsFunc(r.Findings, func(x monitor.Finding) bool {
			return x.Kind == monitor.Served && x.Path == layout.ProjectJSON("birds") && strings.Contains(x.Text, "/"+folder)
		})
		if !served {
			t.Error(problems(r))
		}
	})
}

// A server that is a stranger gets nothing but its requests.
func TestHostile(t *testing.T) {
	f := aSite(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect was followed out of the site")
	}))
	defer elsewhere.Close()
	wheel := pathOf(t, f.tree, "packages/", "birds-2.0-py3-none-any.whl")
	endless := func(w http.ResponseWriter, _ *http.Request) {
		for piece := bytes.Repeat([]byte("x"), 32<<10); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}
	never := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	stalls := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "x")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	breaks := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "x")
	}
	errorPage := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<h1>Sorry</h1>") }
	busy := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) }
	forbidden := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }
	away := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusFound)
	}
	around := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }
	up := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/other/"+r.URL.Path, http.StatusFound)
	}
	for _, tt := range []struct {
		name   string
		at     string
		answer http.HandlerFunc
		kind   monitor.Kind // or, if it is empty, nothing is found
		text   string       // of the finding, of what is unanswered, or of the error
	}{
		{"an endless file", wheel, endless, monitor.Store, "more than"},
		{"an endless page", page, endless, monitor.Served, "more than"},
		{"an endless checkpoint", layout.LogCheckpoint, endless, monitor.Signed, "more than"},
		{"endless keys", layout.LogKeys, endless, monitor.Signed, "more than"},
		{"an endless tile", pathOf(t, f.tree, "log/tile/0/", ""), endless, monitor.Log, "bytes"},
		{"endless records", pathOf(t, f.tree, "log/tile/entries/", ""), endless, monitor.Log, ""},
		{"a file that never comes", wheel, never, "", "no answer"},
		{"a file that stops coming", wheel, stalls, "", "nothing came"},
		{"a page that breaks off", page, breaks, "", "breaks off"},
		{"a server that is busy", wheel, busy, "", "503"},
		{"a tile that never comes", pathOf(t, f.tree, "log/tile/0/", ""), never, "", "no answer"},
		{"a checkpoint that never comes", layout.LogCheckpoint, never, "", "no answer"},
		{"an error as a page", page, errorPage, monitor.Served, "bytes"},
		{"an error as a checkpoint", layout.LogCheckpoint, errorPage, monitor.Signed, ""},
		{"an error as keys", layout.LogKeys, errorPage, monitor.Signed, ""},
		{"a file that is forbidden", wheel, forbidden, monitor.Store, "403"},
		{"a file that is elsewhere", wheel, away, monitor.Store, "another site"},
		{"a checkpoint that is elsewhere", layout.LogCheckpoint, away, "", "another site"},
		{"a file that is above", wheel, up, monitor.Store, "another site"},
		{"a file that is nowhere", wheel, around, monitor.Store, "redirects"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				path := strings.TrimPrefix(r.URL.Path, "/site/")
				if path == tt.at || path+"index.v1_json" == tt.at && strings.Contains(r.Header.Get("Accept"), "json") {
					tt.answer(w, r)
					return
				}
				http.StripPrefix("/site", f.tree).ServeHTTP(w, r)
			}))
			defer srv.Close()
			if tt.kind != "" {
				r, err := monitor.Verify(t.Context(), srv.URL+"/site/", f.own.Verifier, monitor.Options{})
				if err != nil {
					t.Fatal(err)
				}
				checkFirst(t, r, tt.kind, tt.at, tt.text)
				return
			}
			// On a busy machine others may be late as well, where little patience is had.
			for patience := 200 * time.Millisecond; ; patience *= 4 {
				r, err := monitor.Verify(t.Context(), srv.URL+"/site/", f.own.Verifier, monitor.Options{Patience: patience})
				if tt.at == layout.LogCheckpoint && errors.Is(err, monitor.ErrUnreachable) && strings.Contains(err.Error(), tt.text) {
					return
				}
				// A page is asked for with its compressed copy at one address.
				others := func(n monitor.Note) bool {
					return strings.TrimSuffix(n.Path, ".gz") != tt.at || !strings.Contains(n.Text, tt.text)
				}
				if err == nil && len(r.Findings) == 0 && len(r.Unanswered) > 0 && !slices.ContainsFunc(r.Unanswered, others) {
					return
				}
				if patience > time.Minute {
					t.Fatalf("%v\n%s", err, problems(r))
				}
			}
		})
	}
}

// A server that answers nothing any more is not asked for everything.
func TestGoneSilent(t *testing.T) {
	f := aSite(t)
	var asked atomic.Int64
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/log/") {
			f.tree.ServeHTTP(w, r)
			return
		}
		asked.Add(1)
		http.Error(w, "gone", http.StatusBadGateway)
	})
	r, err := monitor.Verify(t.Context(), "http://x", f.own.Verifier, monitor.Options{Transport: direct{site}, Jobs: 1, Patience: 100 * time.Millisecond})
	if !errors.Is(err, monitor.ErrUnreachable) || !strings.Contains(err.Error(), "502") || r == nil || len(r.Unanswered) == 0 {
		t.Errorf("%v, %+v", err, r)
	}
	if n := asked.Load(); n > 100 {
		t.Errorf("asked %d times", n)
	}
}
