package generate_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// atomName is what elements of Atom are called (RFC 4287, section 1.2).
func atomName(local string) xml.Name {
	return xml.Name{Space: "http://www.w3.org/2005/Atom", Local: local}
}

// An atomElement is one element with what is in it.
type atomElement struct {
	Name     xml.Name
	Attrs    map[string]string
	Text     string
	Children []*atomElement
}

func (e *atomElement) all(local string) (found []*atomElement) {
	for _, c := range e.Children {
		if c.Name == atomName(local) {
			found = append(found, c)
		}
	}
	return found
}

// one gives the child of a name, of which there is just one.
func (e *atomElement) one(t *testing.T, about, local string) *atomElement {
	t.Helper()
	found := e.all(local)
	if len(found) != 1 {
		t.Fatalf("%s: <%s> has %d <%s>", about, e.Name.Local, len(found), local)
	}
	return found[0]
}

// parseXML reads a document of one element and refuses what is not well formed.
func parseXML(t *testing.T, about string, page []byte) *atomElement {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(page))
	dec.Strict = true
	root := &atomElement{}
	open := []*atomElement{root}
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", about, err, page)
		}
		top := open[len(open)-1]
		switch tok := tok.(type) {
		case xml.StartElement:
			e := &atomElement{Name: tok.Name, Attrs: map[string]string{}}
			for _, a := range tok.Attr {
				if _, twice := e.Attrs[a.Name.Local]; twice {
					t.Errorf("%s: <%s>: attribute %s twice", about, tok.Name.Local, a.Name.Local)
				}
				e.Attrs[a.Name.Local] = a.Value
			}
			top.Children = append(top.Children, e)
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			top.Text += string(tok)
		case xml.Comment, xml.Directive:
			t.Errorf("%s: %T", about, tok)
		}
	}
	if len(root.Children) != 1 || strings.TrimSpace(root.Text) != "" {
		t.Fatalf("%s: %d elements", about, len(root.Children))
	}
	return root.Children[0]
}

var (
	urnUUID  = regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	atomDate = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$`)
)

// checkAtom holds a feed against RFC 4287: which elements there are and how often
// (section 4.1), what is in them (section 3, 4.2), and that no entry comes twice.
func checkAtom(t *testing.T, about string, page []byte) {
	t.Helper()
	for _, r := range string(page) { // the characters of XML 1.0, without those it discourages
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7F && r < 0xA0 || r&0xFFFE == 0xFFFE {
			t.Errorf("%s: character %U", about, r)
		}
	}
	if !bytes.HasPrefix(page, []byte(`<?xml version="1.0" encoding="utf-8"?>`)) {
		t.Errorf("%s: begins with %.60q", about, page)
	}
	feed := parseXML(t, about, page)
	if feed.Name != atomName("feed") {
		t.Fatalf("%s: root %v", about, feed.Name)
	}
	checkAtomCommon(t, about, feed, "id", "title", "updated", "author", "generator", "link", "entry")
	if name := feed.one(t, about, "author").one(t, about, "name").Text; strings.TrimSpace(name) == "" { // 4.2.1
		t.Errorf("%s: an author without a name", about)
	}
	self := 0
	for _, l := range feed.all("link") {
		if l.Attrs["rel"] == "self" {
			self++
		}
	}
	if self != 1 {
		t.Errorf("%s: %d links of the feed to itself", about, self)
	}
	ids := map[string]bool{feed.one(t, about, "id").Text: true}
	last := "9999"
	for i, e := range feed.all("entry") {
		checkAtomCommon(t, about, e, "id", "title", "updated", "link", "category", "content")
		if id := e.one(t, about, "id").Text; ids[id] {
			t.Errorf("%s: id %s twice", about, id)
		} else {
			ids[id] = true
		}
		updated := e.one(t, about, "updated").Text
		if day := updated[:len("2026-11-22T00:00:00")]; day > last {
			t.Errorf("%s: entry %d is of %s, after one of %s", about, i, day, last)
		} else {
			last = day
		}
		if i == 0 && updated != feed.one(t, about, "updated").Text {
			t.Errorf("%s: updated differs from that of the newest entry", about)
		}
		for _, c := range e.all("category") { // 4.2.2
			if c.Attrs["term"] == "" || len(c.Attrs) != 1 {
				t.Errorf("%s: category %v", about, c.Attrs)
			}
		}
		content := e.one(t, about, "content")
		if content.Attrs["type"] != "html" || len(content.Attrs) != 1 {
			t.Errorf("%s: content %v", about, content.Attrs)
		}
		checkFeedHTML(t, about, content.Text)
	}
}

// checkAtomCommon checks what feeds and entries have in common; known are the
// elements that may be there.
func checkAtomCommon(t *testing.T, about string, e *atomElement, known ...string) {
	t.Helper()
	if strings.TrimSpace(e.Text) != "" {
		t.Errorf("%s: <%s> has text of its own: %q", about, e.Name.Local, e.Text)
	}
	for _, c := range e.Children {
		ok := false
		for _, k := range known {
			ok = ok || c.Name == atomName(k)
		}
		if !ok {
			t.Errorf("%s: <%s> in <%s>", about, c.Name.Local, e.Name.Local)
		}
	}
	if id := e.one(t, about, "id"); !urnUUID.MatchString(id.Text) { // 4.2.6
		t.Errorf("%s: id %q", about, id.Text)
	}
	title := e.one(t, about, "title")
	if strings.TrimSpace(title.Text) == "" || len(title.Children) > 0 || len(title.Attrs) > 0 { // 3.1.1.1: plain text
		t.Errorf("%s: title %+v", about, title)
	}
	updated := e.one(t, about, "updated").Text // 3.3
	if _, err := time.Parse(time.RFC3339, updated); err != nil || !atomDate.MatchString(updated) {
		t.Errorf("%s: updated %q: %v", about, updated, err)
	}
	kinds := map[string]bool{}
	for _, l := range e.all("link") { // 4.2.7, and one alternate of a type (4.1.1)
		kind := l.Attrs["rel"] + " " + l.Attrs["type"]
		if kinds[kind] {
			t.Errorf("%s: two links %s", about, kind)
		}
		kinds[kind] = true
		checkFeedLink(t, about, l.Attrs["href"])
		if len(l.Children) > 0 || strings.TrimSpace(l.Text) != "" || len(l.Attrs) != 3 {
			t.Errorf("%s: link %+v", about, l)
		}
	}
}

// checkFeedLink says that an address leads to pages of changes, whole or relative.
func checkFeedLink(t *testing.T, about, link string) {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "" && (u.Scheme != "https" || u.Host != "packages.example.org" && u.Host != "index.example") || u.Scheme == "" && u.Host != "" {
		t.Errorf("%s: link %q: %v", about, link, err)
		return
	}
	if !strings.Contains(u.Path, "changes/") {
		t.Errorf("%s: link %q leads elsewhere", about, link)
	}
}

// checkFeedHTML says that the content of an entry is paragraphs and lists of text,
// closed as they should be.
func checkFeedHTML(t *testing.T, about, content string) {
	t.Helper()
	checkTagsMatch(t, about, []byte(content))
	for z := html.NewTokenizer(strings.NewReader(content)); z.Next() != html.ErrorToken; {
		switch tok := z.Token(); tok.Type {
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			if tok.Data != "p" && tok.Data != "ul" && tok.Data != "li" || len(tok.Attr) > 0 {
				t.Errorf("%s: %s in %q", about, tok, content)
			}
		case html.TextToken:
		default:
			t.Errorf("%s: %v in %q", about, tok, content)
		}
	}
}

// checkJSONFeed holds a feed against JSON Feed 1.1.
func checkJSONFeed(t *testing.T, about string, page []byte) {
	t.Helper()
	doc, ok := decode(t, about, page).(map[string]any)
	if !ok {
		t.Fatalf("%s: not an object", about)
	}
	checkNoNull(t, about, doc)
	if doc["version"] != "https://jsonfeed.org/version/1.1" {
		t.Errorf("%s: version %v", about, doc["version"])
	}
	keys(t, about, doc, "version title items", "home_page_url feed_url language authors")
	if s, _ := doc["title"].(string); s == "" {
		t.Errorf("%s: title %v", about, doc["title"])
	}
	for _, key := range []string{"home_page_url", "feed_url"} {
		if s, ok := doc[key]; ok {
			checkWhole(t, about, s)
		}
	}
	authors, _ := doc["authors"].([]any)
	for _, a := range authors {
		keys(t, about, a, "name", "")
	}
	items, ok := doc["items"].([]any)
	if !ok {
		t.Fatalf("%s: items %v", about, doc["items"])
	}
	ids := map[any]bool{}
	for _, item := range items {
		keys(t, about, item, "id content_html", "url title date_published tags _nestgen")
		item := item.(map[string]any)
		if id, _ := item["id"].(string); !urnUUID.MatchString(id) || ids[id] {
			t.Errorf("%s: id %v, or twice", about, item["id"])
		}
		ids[item["id"]] = true
		if link, ok := item["url"]; ok {
			checkWhole(t, about, link)
		}
		checkFeedHTML(t, about, item["content_html"].(string))
		if _, err := time.Parse(time.RFC3339, item["date_published"].(string)); err != nil {
			t.Errorf("%s: %v", about, err)
		}
		for _, tag := range item["tags"].([]any) {
			if s, _ := tag.(string); s == "" {
				t.Errorf("%s: tag %v", about, tag)
			}
		}
		own := item["_nestgen"].(map[string]any)
		keys(t, about, own, "project first_serial last_serial events", "")
		first, _ := own["first_serial"].(json.Number).Int64()
		last, _ := own["last_serial"].(json.Number).Int64()
		for _, e := range own["events"].([]any) {
			keys(t, about, e, "serial verb", "filename sha256")
			if n, _ := e.(map[string]any)["serial"].(json.Number).Int64(); n < first || n > last {
				t.Errorf("%s: event %d is not among %d to %d", about, n, first, last)
			}
		}
	}
}

// keys checks which keys an object has.
func keys(t *testing.T, about string, v any, required, optional string) {
	t.Helper()
	object, _ := v.(map[string]any)
	for _, k := range strings.Fields(required) {
		if _, ok := object[k]; !ok {
			t.Errorf("%s: no %s in %v", about, k, v)
		}
	}
	for k := range object {
		if !strings.Contains(" "+required+" "+optional+" ", " "+k+" ") {
			t.Errorf("%s: key %s", about, k)
		}
	}
}

// checkWhole says that an address of a JSON Feed is whole.
func checkWhole(t *testing.T, about string, v any) {
	t.Helper()
	s, _ := v.(string)
	checkFeedLink(t, about, s)
	if !strings.HasPrefix(s, "https://") {
		t.Errorf("%s: address %q is not whole", about, s)
	}
}
