package generate_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"nestgen/layout"
)

// checkPage holds a page against the rules that are true of every page of its
// kind.
func checkPage(t *testing.T, about, file string, page []byte) {
	t.Helper()
	p, ofProject := layout.ParseProject(file)
	switch {
	case ofProject && p.Form == layout.JSON:
		checkProjectJSON(t, about, page)
	case file == layout.RootJSON:
		checkRootJSON(t, about, page)
	case ofProject && (p.Form == layout.LegacyJSON || p.Form == layout.LegacyVersion):
		checkLegacy(t, about, decode(t, about, page))
	case ofProject && (p.Form == layout.HTML || p.Form == layout.AliasHTML):
		checkAnchors(t, about, page, "../../", false)
	case file == layout.Flat:
		checkAnchors(t, about, page, "../", false)
	case file == layout.Easy:
		checkAnchors(t, about, page, "../", true)
	case file == layout.RootHTML:
		checkRootHTML(t, about, page)
	case file == layout.Front || file == layout.HeldHTML || file == layout.StatsHTML || file == layout.ChangesHTML || file == layout.SnapshotsHTML || ofProject && (p.Form == layout.PeopleHTML || p.Form == layout.ChangesPage):
		checkPeople(t, about, page)
	case file == layout.ChangesAtom || ofProject && p.Form == layout.ChangesFeed:
		checkAtom(t, about, page)
	case file == layout.ChangesJSON || ofProject && p.Form == layout.ChangesItems:
		checkJSONFeed(t, about, page)
	case file == layout.HeldJSON, file == layout.StatsJSON:
		decode(t, about, page)
	default:
		t.Errorf("%s: no rules for this page", about)
	}
}

// decode reads a JSON document and refuses a key that comes twice.
func decode(t *testing.T, about string, page []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(page))
	dec.UseNumber()
	v, err := decodeValue(dec)
	if err != nil {
		t.Fatalf("%s: %v\n%s", about, err, page)
	}
	if _, err := dec.Token(); err != io.EOF {
		t.Errorf("%s: more than one JSON value", about)
	}
	return v
}

func decodeValue(dec *json.Decoder) (any, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := decodeValue(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	case json.Delim('{'):
		object := map[string]any{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			if _, ok := object[key.(string)]; ok {
				return nil, &json.SyntaxError{Offset: dec.InputOffset()}
			}
			if object[key.(string)], err = decodeValue(dec); err != nil {
				return nil, err
			}
		}
		_, err := dec.Token()
		return object, err
	}
	return tok, nil
}

// checkNoNull is API-7.
func checkNoNull(t *testing.T, about string, v any) {
	t.Helper()
	switch v := v.(type) {
	case nil:
		t.Errorf("%s: API-7: null", about)
	case []any:
		for _, e := range v {
			checkNoNull(t, about, e)
		}
	case map[string]any:
		for k, e := range v {
			checkNoNull(t, about+"."+k, e)
		}
	}
}

// checkLegacy is checkNoNull, but for the key of an advisory by whose null readers
// know that it has not been withdrawn.
func checkLegacy(t *testing.T, about string, v any) {
	t.Helper()
	doc, _ := v.(map[string]any)
	list, _ := doc["vulnerabilities"].([]any)
	for _, e := range list {
		e, _ := e.(map[string]any)
		if withdrawn, ok := e["withdrawn"]; !ok || withdrawn != nil {
			t.Errorf("%s: withdrawn %v", about, withdrawn)
		}
		delete(e, "withdrawn")
		for _, key := range []string{"id", "link", "source", "summary", "details"} {
			if _, ok := e[key].(string); !ok {
				t.Errorf("%s: an advisory without %s: %v", about, key, e)
			}
		}
		for _, key := range []string{"aliases", "fixed_in"} {
			if _, ok := e[key].([]any); !ok {
				t.Errorf("%s: an advisory without %s: %v", about, key, e)
			}
		}
	}
	checkNoNull(t, about, v)
}

var (
	hexDigest  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	uploadTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$`)
)

func checkMeta(t *testing.T, about string, doc map[string]any) {
	t.Helper()
	meta, _ := doc["meta"].(map[string]any)
	if len(meta) != 1 || meta["api-version"] != "1.4" {
		t.Errorf("%s: API-1: meta %v", about, doc["meta"])
	}
}

func checkRootJSON(t *testing.T, about string, page []byte) {
	t.Helper()
	doc, _ := decode(t, about, page).(map[string]any)
	checkNoNull(t, about, doc)
	checkMeta(t, about, doc)
	for _, p := range doc["projects"].([]any) {
		if p := p.(map[string]any); len(p) != 1 || p["name"] == "" {
			t.Errorf("%s: project %v", about, p)
		}
	}
}

func checkProjectJSON(t *testing.T, about string, page []byte) {
	t.Helper()
	doc, _ := decode(t, about, page).(map[string]any)
	checkNoNull(t, about, doc)
	// What does not know the size of every file does not claim to (PEP 700).
	meta, _ := doc["meta"].(map[string]any)
	sized := meta["api-version"] != "1.0"
	if sized {
		checkMeta(t, about, doc)
	}
	for k := range doc {
		if !slices.Contains([]string{"meta", "name", "project-status", "versions", "files"}, k) {
			t.Errorf("%s: API-2: key %q", about, k)
		}
	}
	versions, ok := doc["versions"].([]any)
	if ok != sized {
		t.Errorf("%s: api-version %v, versions %v", about, meta, versions)
	}
	unsized := 0
	for i, v := range versions {
		if slices.Contains(versions[:i], v) {
			t.Errorf("%s: version %v twice", about, v)
		}
	}
	for _, f := range doc["files"].([]any) {
		f := f.(map[string]any)
		name := f["filename"].(string)
		checkLink(t, about, f["url"].(string), "../../", name)
		if h := f["hashes"].(map[string]any); !hexDigest.MatchString(h["sha256"].(string)) {
			t.Errorf("%s: %s: rule 4: hashes %v", about, name, h)
		}
		if size, ok := f["size"].(json.Number); !ok {
			unsized++
		} else if n, err := size.Int64(); err != nil || n < 0 {
			t.Errorf("%s: %s: size: %v", about, name, size)
		}
		for k, v := range f {
			ok := false
			switch k {
			case "filename", "url", "hashes", "size":
				ok = true
			case "requires-python":
				ok = v != ""
			case "core-metadata":
				m, isObject := v.(map[string]any)
				ok = isObject && len(m) == 1 && hexDigest.MatchString(m["sha256"].(string)) && strings.HasSuffix(name, ".whl")
			case "gpg-sig":
				ok = v == true
			case "yanked": // rule 3
				s, isString := v.(string)
				ok = v == true || isString && s != ""
			case "upload-time": // rule 8
				ok = uploadTime.MatchString(v.(string))
				if _, err := time.Parse(time.RFC3339, v.(string)); err != nil {
					ok = false
				}
			case "provenance": // API-11
				u, err := url.Parse(v.(string))
				ok = err == nil && u.Scheme == "https" && u.Host != "" && strings.HasSuffix(u.Path, name+".provenance")
			}
			if !ok {
				t.Errorf("%s: %s: rule 1 or §1.3: %q: %v", about, name, k, v)
			}
		}
	}
	if sized == (unsized > 0) {
		t.Errorf("%s: api-version %v, %d files without a size", about, meta, unsized)
	}
}

// checkLink says that a link leads from a page to a file of the store, with
// every segment escaped (API-14).
func checkLink(t *testing.T, about, link, up, filename string) {
	t.Helper()
	rest, ok := strings.CutPrefix(link, up)
	if !ok || !regexp.MustCompile(`^(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+$`).MatchString(rest) {
		t.Errorf("%s: API-14: link %q", about, link)
		return
	}
	file, err := url.PathUnescape(rest)
	if _, name, ok := layout.ParseFile(file); err != nil || !ok || name != filename {
		t.Errorf("%s: link %q does not lead to %q", about, link, filename)
	}
}

// parseHTML parses a page and refuses what an HTML document must not hold.
func parseHTML(t *testing.T, about string, page []byte) *html.Node {
	t.Helper()
	if !bytes.HasPrefix(page, []byte("<!DOCTYPE html>\n")) {
		t.Errorf("%s: API-12: begins with %.40q", about, page)
	}
	if s := string(page); strings.ToValidUTF8(s, "") != s {
		t.Errorf("%s: not UTF-8", about)
	}
	for _, r := range string(page) {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7F && r < 0xA0 || r&0xFFFE == 0xFFFE {
			t.Errorf("%s: character %U", about, r)
		}
	}
	checkTagsMatch(t, about, page)
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatalf("%s: %v", about, err)
	}
	return doc
}

// checkTagsMatch says that every element is closed where it should be, so that
// no parser has to guess, and that no attribute comes twice.
func checkTagsMatch(t *testing.T, about string, page []byte) {
	t.Helper()
	void := []string{"meta", "link", "br", "img", "input"}
	var open []string
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			if len(open) > 0 {
				t.Errorf("%s: not closed: %v", about, open)
			}
			return
		case html.StartTagToken:
			tok := z.Token()
			seen := map[string]bool{}
			for _, a := range tok.Attr {
				if seen[a.Key] {
					t.Errorf("%s: <%s>: attribute %s twice", about, tok.Data, a.Key)
				}
				seen[a.Key] = true
			}
			if !slices.Contains(void, tok.Data) {
				open = append(open, tok.Data)
			}
		case html.EndTagToken:
			tok := z.Token()
			if len(open) == 0 || open[len(open)-1] != tok.Data {
				t.Errorf("%s: </%s> closes %v", about, tok.Data, open)
				return
			}
			open = open[:len(open)-1]
		}
	}
}

// elements gives the elements of a document in order, with their text.
func elements(n *html.Node) []*html.Node {
	var all []*html.Node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode {
			all = append(all, d)
		}
	}
	return all
}

func attr(n *html.Node, key string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val, true
		}
	}
	return "", false
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

// checkMachine is what is true of all HTML pages for installers: the version
// marker, no element but these, and one anchor on a line (API-12, API-13).
func checkMachine(t *testing.T, about string, page []byte) (anchors []*html.Node) {
	t.Helper()
	doc := parseHTML(t, about, page)
	version := ""
	for _, e := range elements(doc) {
		switch e.Data {
		case "html", "head", "body", "title", "h1", "br":
		case "meta":
			if e.Parent.Data != "head" {
				t.Errorf("%s: <meta> outside of <head>", about)
			}
			name, _ := attr(e, "name")
			if name == "pypi:repository-version" {
				version, _ = attr(e, "content")
			} else if _, ok := attr(e, "charset"); !ok && name != "pypi:project-status" && name != "pypi:project-status-reason" {
				t.Errorf("%s: API-2: <meta name=%q>", about, name)
			}
		case "a":
			anchors = append(anchors, e)
		default:
			t.Errorf("%s: API-13: <%s>", about, e.Data)
		}
	}
	if version != "1.4" {
		t.Errorf("%s: API-1: version %q", about, version)
	}
	for line := range bytes.Lines(page) {
		if n := bytes.Count(line, []byte("<a ")); n > 1 || n == 1 && !bytes.HasSuffix(line, []byte("</a><br>\n")) {
			t.Errorf("%s: API-13: more than one anchor on a line: %s", about, line)
		}
	}
	return anchors
}

func checkRootHTML(t *testing.T, about string, page []byte) {
	t.Helper()
	for _, a := range checkMachine(t, about, page) {
		href, _ := attr(a, "href")
		if len(a.Attr) != 1 || !regexp.MustCompile(`^[a-z0-9-]+/$`).MatchString(href) || text(a) == "" {
			t.Errorf("%s: §1.4: <a %v>%s</a>", about, a.Attr, text(a))
		}
	}
}

// checkAnchors is §1.4, and for the page of easy_install §1.6.
func checkAnchors(t *testing.T, about string, page []byte, up string, easy bool) {
	t.Helper()
	signatures, files := 0, 0
	for _, a := range checkMachine(t, about, page) {
		href, _ := attr(a, "href")
		link, fragment, _ := strings.Cut(href, "#")
		if egg, ok := strings.CutPrefix(fragment, "egg="); ok && easy {
			if !regexp.MustCompile(`^[-A-Za-z0-9_.+!]+$`).MatchString(egg) {
				t.Errorf("%s: API-20: fragment %q", about, fragment)
			}
			continue
		}
		files++
		if digest, ok := strings.CutPrefix(fragment, "sha256="); !ok || !hexDigest.MatchString(digest) {
			t.Errorf("%s: rule 5: fragment %q", about, fragment)
		}
		checkLink(t, about, link, up, text(a))
		core, hasCore := attr(a, "data-core-metadata")
		info, hasInfo := attr(a, "data-dist-info-metadata")
		if hasCore != hasInfo || core != info {
			t.Errorf("%s: PEP 714: %v", about, a.Attr)
		}
		for _, x := range a.Attr {
			ok := false
			switch x.Key {
			case "href", "data-yanked":
				ok = true
			case "data-requires-python":
				ok = x.Val != ""
			case "data-core-metadata", "data-dist-info-metadata":
				digest, isSHA := strings.CutPrefix(x.Val, "sha256=")
				ok = isSHA && hexDigest.MatchString(digest) && path.Ext(text(a)) == ".whl"
			case "data-gpg-sig":
				signatures++
				ok = x.Val == "true" || x.Val == "false"
			case "data-provenance":
				u, err := url.Parse(x.Val)
				ok = err == nil && u.Scheme == "https" && u.Host != ""
			}
			if !ok {
				t.Errorf("%s: §1.4: %s=%q", about, x.Key, x.Val)
			}
		}
	}
	if signatures != 0 && signatures != files {
		t.Errorf("%s: PEP 503: %d of %d anchors speak of signatures", about, signatures, files)
	}
	if bytes.Contains(page, []byte("data-yanked>")) || bytes.Contains(page, []byte("data-yanked ")) {
		t.Errorf("%s: rule 2: bare data-yanked", about)
	}
	if !easy && bytes.Contains(page, []byte("#egg=")) {
		t.Errorf("%s: rule 6: #egg=", about)
	}
	checkEasyInstall(t, about, page)
}

// The patterns with which easy_install looks for links and for relations. They
// know nothing of attributes, so that they find things in a yank reason too.
var (
	easyHref = regexp.MustCompile(`(?i)href\s*=\s*['"]?([^'"> ]+)`)
	easyRel  = regexp.MustCompile(`(?i)<([^>]*\srel\s{0,10}=\s{0,10}['"]?([^'" >]+)[^>]*)>`)
)

// checkEasyInstall says that easy_install sees the same links as a parser.
func checkEasyInstall(t *testing.T, about string, page []byte) {
	t.Helper()
	if m := easyRel.Find(page); m != nil {
		t.Errorf("%s: API-13: easy_install sees a relation in %s", about, m)
	}
	var got, want []string
	for _, m := range easyHref.FindAllSubmatch(page, -1) {
		got = append(got, html.UnescapeString(string(m[1])))
	}
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range elements(doc) {
		if href, ok := attr(e, "href"); ok {
			want = append(want, href)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: easy_install sees the links %q, want %q", about, got, want)
	}
}

// checkBars holds a picture to what those of the statistics are of: bars, and texts that
// say what they are. Nothing that came from outside has a place in one.
func checkBars(t *testing.T, about string, svg *html.Node) {
	t.Helper()
	for e := range svg.Descendants() {
		if e.Type != html.ElementNode {
			continue
		}
		if !slices.Contains([]string{"g", "title", "rect"}, e.Data) {
			t.Errorf("%s: <%s> in a picture", about, e.Data)
		}
		for _, a := range e.Attr {
			if n, err := strconv.Atoi(a.Val); (err != nil || n < 0 || n > 300) && (a.Key != "class" || a.Val != "ground") {
				t.Errorf("%s: <%s %s=%q> in a picture", about, e.Data, a.Key, a.Val)
			}
		}
	}
}

// checkPeople says that a page for people works under a strict policy and
// leads nowhere that it should not.
func checkPeople(t *testing.T, about string, page []byte) {
	t.Helper()
	doc := parseHTML(t, about, page)
	ids := map[string]bool{}
	h1 := 0
	for _, e := range elements(doc) {
		switch e.Data {
		case "script":
			if src, _ := attr(e, "src"); !strings.HasSuffix(src, "static/site.js") || e.FirstChild != nil {
				t.Errorf("%s: <script> other than the site's own", about)
			}
		case "style", "iframe", "object", "embed", "base", "math", "template", "noscript", "applet", "frame", "video", "audio":
			t.Errorf("%s: <%s>", about, e.Data)
		case "meta":
			if equiv, ok := attr(e, "http-equiv"); ok && equiv != "Content-Security-Policy" {
				t.Errorf("%s: <meta http-equiv=%q>", about, equiv)
			}
		case "img":
			if _, ok := attr(e, "alt"); !ok {
				t.Errorf("%s: <img> without alt", about)
			}
		case "svg":
			checkBars(t, about, e)
		case "h1":
			h1++
		}
		for _, a := range e.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "srcdoc", a.Key == "action", a.Key == "formaction":
				t.Errorf("%s: <%s %s=%q>", about, e.Data, a.Key, a.Val)
			case a.Key == "href", a.Key == "src", a.Key == "data-href", a.Key == "data-simple", a.Key == "data-project":
				u, err := url.Parse(a.Val)
				if err != nil || u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" || u.Scheme == "" && u.Host != "" {
					t.Errorf("%s: <%s %s=%q>", about, e.Data, a.Key, a.Val)
				}
				if u.Host != "" && e.Data != "a" {
					t.Errorf("%s: <%s> loads %q", about, e.Data, a.Val)
				}
			case a.Key == "id":
				if ids[a.Val] {
					t.Errorf("%s: id %q twice", about, a.Val)
				}
				ids[a.Val] = true
			}
		}
	}
	for _, e := range elements(doc) {
		for _, key := range []string{"aria-labelledby", "aria-controls", "for"} {
			if id, ok := attr(e, key); ok && !ids[id] {
				t.Errorf("%s: %s refers to no element: %q", about, key, id)
			}
		}
	}
	if h1 != 1 {
		t.Errorf("%s: %d headings of the first rank", about, h1)
	}
}
