package main

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"path"
	"strings"

	"golang.org/x/net/html"

	"nestgen/catalog"
	"nestgen/fetch"
)

// The operation on pages of an index.
func init() {
	ops["page"] = page
}

// page gives the links that pip sees on a page. The reader takes two things
// otherwise, so that they are put back here: pip reads a bare data-yanked as
// "not yanked", and it gives folders a file name too.
func page(question json.RawMessage) any {
	q := read[struct {
		Path    string
		Kind    string
		BaseURL string `json:"base_url"`
	}](question)
	data, err := os.ReadFile(q.Path)
	if err != nil {
		panic(err)
	}
	base, err := url.Parse(q.BaseURL)
	if err != nil {
		return invalid
	}
	var l catalog.Listing
	var bare map[int]bool
	switch q.Kind {
	case "simple-json":
		l, err = fetch.ReadJSON(data, base)
	case "simple-html", "flat-html", "root-html":
		l, err = fetch.ReadHTML(data, "", base)
		bare = bareYanks(data)
	default:
		return answerOf{"unsupported": true}
	}
	if err != nil {
		return invalid
	}
	links := []answerOf{}
	for i, o := range l.Offers {
		a := answerOf{"url": o.URL, "filename": o.Filename, "hashes": o.Hashes, "requires_python": nil, "yanked": nil, "metadata": nil}
		if o.Filename == "" {
			if u, err := url.Parse(o.URL); err == nil {
				a["filename"] = path.Base(u.Path)
			}
		}
		if o.RequiresPython != "" {
			a["requires_python"] = o.RequiresPython
		}
		if o.Yanked.Yanked && !bare[i] {
			a["yanked"] = o.Yanked.Reason
		}
		if o.Metadata.Offered {
			hashes := o.Metadata.Hashes
			if hashes == nil {
				hashes = map[string]string{}
			}
			a["metadata"] = hashes
		}
		links = append(links, a)
	}
	return answerOf{"ok": true, "links": links}
}

// bareYanks gives the places, among a page's links, of those with the attribute
// data-yanked and no value, which a tree of elements cannot tell from an empty
// one.
func bareYanks(data []byte) map[int]bool {
	bare := map[int]bool{}
	z := html.NewTokenizer(bytes.NewReader(data))
	for n := 0; ; {
		switch z.Next() {
		case html.ErrorToken:
			return bare
		case html.StartTagToken:
			raw := string(z.Raw())
			t := z.Token()
			if t.Data != "a" {
				continue
			}
			for _, a := range t.Attr {
				if a.Key == "href" {
					_, rest, yanked := strings.Cut(strings.ToLower(raw), "data-yanked")
					if yanked && !strings.HasPrefix(strings.TrimSpace(rest), "=") {
						bare[n] = true
					}
					n++
				}
			}
		}
	}
}
