package fetch

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"

	"nestgen/catalog"
	"nestgen/packaging"
)

// ReadHTML reads a page of links that came from base: a project's page (PEP
// 503, 592, 629, 658, 714, 740 and 792), the listing of a folder, or a page for
// find-links. The label is the character set that the HTTP header names, empty
// for none. It gives all links to a web server in their order, those included
// that are no distributions; of these, links to folders have no file name. An
// error means that the page is of another major version of the API, or has more
// links than are taken.
func ReadHTML(data []byte, label string, base *url.URL) (catalog.Listing, error) {
	p := htmlPage{base: base}
	p.list.FinalURL = redact(base.String())
	text, warning := decodeHTML(data, label)
	if warning != "" {
		p.warn("%s", warning)
	}
	if err := p.read(text); err != nil {
		return catalog.Listing{}, err
	}
	return p.list, nil
}

// An htmlPage is a page while it is read.
type htmlPage struct {
	base  *url.URL // where the page came from
	links resolver
	list  catalog.Listing

	left   int  // links to distributions that were left out
	based  bool // the page has said what its links are relative to
	marked bool // the page says that it is one of an index
	err    error

	state, reason string // the project's status
}

// maxTree is the size of a page up to which a tree is built of it, which takes
// some ten times as much memory.
const maxTree = 8 << 20

var errTooLarge = errors.New("too large for a tree")

// read takes the elements out of a page. Where the tree builder gives up, as it
// does on a page that nests too deep, the elements are taken as they come
// (reliability.md §3 row 12).
func (p *htmlPage) read(text []byte) error {
	p.links = resolver{base: p.base, local: p.base.Scheme == "file"}
	var doc *goquery.Document
	err := errTooLarge
	if len(text) <= maxTree {
		doc, err = goquery.NewDocumentFromReader(bytes.NewReader(text))
	}
	if err == nil {
		// The base holds for all links, wherever it stands.
		doc.Find("base[href]").EachWithBreak(func(_ int, s *goquery.Selection) bool {
			p.element(s.Nodes[0].Data, s.Nodes[0].Attr)
			return false
		})
		doc.Find("meta, a[href]").EachWithBreak(func(_ int, s *goquery.Selection) bool {
			p.element(s.Nodes[0].Data, s.Nodes[0].Attr)
			return p.err == nil
		})
	} else {
		p.flat(text, "base")
		p.flat(text, "meta", "a")
	}
	if p.err != nil {
		return p.err
	}
	setStatus(&p.list, p.state, p.reason)
	p.list.Serial = serialComment(text)
	return nil
}

// flat takes the elements of the given names without building a tree.
func (p *htmlPage) flat(text []byte, names ...string) {
	z := html.NewTokenizer(bytes.NewReader(text))
	z.SetMaxBuf(1 << 20) // of one token
	for p.err == nil {
		switch z.Next() {
		case html.ErrorToken:
			if errors.Is(z.Err(), html.ErrBufferExceeded) {
				p.err = fmt.Errorf("an element is larger than a megabyte")
			}
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			for _, want := range names {
				if string(name) != want {
					continue
				}
				var attrs []html.Attribute
				for more {
					var k, v []byte
					k, v, more = z.TagAttr()
					attrs = append(attrs, html.Attribute{Key: string(k), Val: string(v)})
				}
				p.element(want, attrs)
				break
			}
		}
	}
}

func (p *htmlPage) element(name string, attrs []html.Attribute) {
	switch name {
	case "base":
		p.setBase(attrs)
	case "meta":
		p.meta(attrs)
	case "a":
		p.link(attrs)
	}
}

// setBase takes the first base that has an address. One that is no place of a
// web server leaves relative links without any.
func (p *htmlPage) setBase(attrs []html.Attribute) {
	href, ok := attr(attrs, "href")
	if !ok || p.based {
		return
	}
	p.based = true
	p.links.base = nil
	u, err := url.Parse(strings.TrimSpace(href))
	if err == nil {
		u = p.base.ResolveReference(u)
		u.User = nil
		if (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" || u.Scheme == "file" && p.links.local {
			p.links.base = u
			return
		}
	}
	p.warn("base %.80q is not a place that links could be relative to", redact(href))
}

func (p *htmlPage) meta(attrs []html.Attribute) {
	name, _ := attr(attrs, "name")
	content, ok := attr(attrs, "content")
	if !ok || len(content) > maxText {
		return
	}
	switch name {
	case "pypi:repository-version":
		p.marked = true
		warning, err := checkAPI(strings.TrimSpace(content))
		if warning != "" {
			p.warn("%s", warning)
		}
		p.err = err
	case "pypi:project-status":
		p.state = content
	case "pypi:project-status-reason":
		p.reason = content
	}
}

// link takes one link. What is no link to a web server is passed over: pages
// hold mail addresses and scripts too.
func (p *htmlPage) link(attrs []html.Attribute) {
	href, ok := attr(attrs, "href")
	if !ok {
		return
	}
	if len(p.list.Offers) == maxOffers {
		p.err = fmt.Errorf("more than %d links", maxOffers)
		return
	}
	address, fragment, err := p.links.resolve(href)
	if err != nil {
		href, _, _ = strings.Cut(href, "#")
		if name := filename(href); packaging.KindOf(name) != packaging.UnknownKind {
			p.left++
			p.warn("file %.80q left out: %v", name, err)
		}
		return
	}
	o := catalog.Offer{URL: strings.Clone(address), Size: -1}
	o.Filename = filename(o.URL)
	setFragment(&o, fragment)
	var core, distInfo *string
	for i := range attrs {
		v := attrs[i].Val
		switch attrs[i].Key {
		case "data-requires-python":
			if len(v) <= maxText {
				o.RequiresPython = v
			}
		case "data-yanked":
			o.Yanked = catalog.Yank{Yanked: true, Reason: clip([]byte(v))}
		case "data-core-metadata":
			core = &v
		case "data-dist-info-metadata":
			distInfo = &v
		case "data-gpg-sig":
			o.Signed = strings.EqualFold(v, "true")
		case "data-provenance":
			if u, err := url.Parse(v); err == nil && u.Scheme == "https" && u.Host != "" && len(v) <= maxURL {
				u.User, u.Fragment, u.RawFragment = nil, "", ""
				o.Provenance = u.String()
			}
		}
	}
	if core == nil {
		core = distInfo
	}
	if core != nil {
		p.metadata(&o, *core)
	}
	p.list.Offers = append(p.list.Offers, o)
}

// metadata reads data-core-metadata: "true", or the hash of the file.
func (p *htmlPage) metadata(o *catalog.Offer, v string) {
	o.Metadata.Offered = v != "false"
	if v == "true" || v == "false" {
		return
	}
	algorithm, value, _ := strings.Cut(v, "=")
	algorithm, value = strings.ToLower(algorithm), strings.ToLower(value)
	if hashSize(algorithm) == 0 {
		p.warn("file %.80q: data-core-metadata is neither true nor a digest", o.Filename)
		return
	}
	o.Metadata.Hashes = map[string]string{algorithm: value}
}

func (p *htmlPage) warn(format string, args ...any) { warn(&p.list, format, args...) }

func attr(attrs []html.Attribute, key string) (string, bool) {
	for i := range attrs {
		if attrs[i].Key == key {
			return attrs[i].Val, true
		}
	}
	return "", false
}

// serialComment reads the comment that old mirrors put at the end of a page.
func serialComment(text []byte) int64 {
	const mark = "<!--SERIAL "
	i := bytes.LastIndex(text, []byte(mark))
	if i < 0 {
		return 0
	}
	rest, _, ok := strings.Cut(string(text[i+len(mark):min(len(text), i+len(mark)+24)]), "-->")
	n, err := strconv.ParseInt(rest, 10, 64)
	if !ok || err != nil || n < 0 {
		return 0
	}
	return n
}
