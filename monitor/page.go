package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"

	"nestgen/catalog"
	"nestgen/internal/strictjson"
)

// What a page of the index may have at most. The largest project of the public index has
// some 40,000 files.
const (
	maxDocument = 256 << 20 // bytes of a page as JSON
	maxEntries  = 1 << 20   // files of a project
	maxNames    = 1 << 24   // projects of an index
	maxTag      = 1 << 20   // bytes of one tag of a page as HTML
)

var errTooMany = errors.New("more entries than any index has")

// A document is what a page of the simple API says of a project, whether as JSON (PEP
// 691) or as HTML (PEP 503), which says less.
type document struct {
	json           bool
	name           string // of JSON only
	status, reason string
	files          []entry
}

// An entry is what a page says of a file.
type entry struct {
	filename, url string
	sha256        catalog.Digest
	requires      string
	metadata      catalog.Digest // zero for none
	yanked        catalog.Yank
	signed        bool
	more          bool // digests that no record has

	// Of JSON only.
	size     int64 // -1 if it is not told
	uploaded int64 // in microseconds since 1970 UTC; 0 if it is not told
}

var (
	pageKeys   = []string{"meta", "name", "project-status", "files", "versions"}
	statusKeys = []string{"status", "reason"}
	fileKeys   = []string{"filename", "url", "hashes", "requires-python", "core-metadata", "gpg-sig", "yanked", "size", "upload-time", "dist-info-metadata"}
	hashKeys   = []string{"sha256"}
)

// parseProject reads the page of a project as JSON. What it does not know is passed over,
// so that pages may come to say more.
func parseProject(data []byte) (*document, error) {
	s := strictjson.New(data)
	d := &document{json: true, status: "active"}
	seen := map[int]bool{}
	err := s.Object(pageKeys, func(key int) (err error) {
		seen[key] = true
		switch key {
		case 1:
			d.name, err = text(s)
		case 2:
			err = s.Object(statusKeys, func(key int) (err error) {
				switch key {
				case 0:
					d.status, err = text(s)
				case 1:
					d.reason, err = text(s)
				default:
					err = s.Skip()
				}
				return err
			})
		case 3:
			err = s.Array(func() error {
				if len(d.files) == maxEntries {
					return errTooMany
				}
				e, err := parseEntry(s)
				d.files = append(d.files, e)
				return err
			})
		default:
			err = s.Skip()
		}
		return err
	})
	if err == nil {
		err = s.End()
	}
	if err == nil && (!seen[1] || !seen[3]) {
		err = s.Fail("not the page of a project: no name or no files")
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

func text(s *strictjson.Scanner) (string, error) {
	b, err := s.Text()
	return string(b), err
}

func parseEntry(s *strictjson.Scanner) (entry, error) {
	e := entry{size: -1}
	err := s.Object(fileKeys, func(key int) (err error) {
		switch key {
		case 0:
			e.filename, err = text(s)
		case 1:
			e.url, err = text(s)
		case 2:
			e.sha256, e.more, err = parseSum(s)
		case 3:
			e.requires, err = text(s)
		case 4:
			if s.Peek() == '{' {
				e.metadata, _, err = parseSum(s)
			} else if word, werr := s.Word(); werr != nil || word != "false" {
				err = errors.Join(werr, s.Fail("core metadata without a digest"))
			}
		case 5:
			e.signed, err = flag(s)
		case 6:
			if s.Peek() == '"' {
				e.yanked.Reason, err = text(s)
				e.yanked.Yanked = true
			} else {
				e.yanked.Yanked, err = flag(s)
			}
		case 7:
			var ok bool
			if e.size, ok, err = s.Integer(); err == nil && !ok {
				err = s.Fail("a size that is none")
			}
		case 8:
			var at string
			if at, err = text(s); err != nil {
				return err
			}
			t, terr := time.Parse("2006-01-02T15:04:05.999999Z", at)
			if e.uploaded = t.UnixMicro(); terr != nil || e.uploaded == 0 {
				err = s.Fail("upload time %q", at)
			}
		case 9:
			// Of clients that know this name some die of it, and others believe it.
			err = s.Fail("metadata by the name that it had before PEP 714")
		default:
			err = s.Skip()
		}
		return err
	})
	return e, err
}

// flag reads true or false.
func flag(s *strictjson.Scanner) (bool, error) {
	word, err := s.Word()
	if err == nil && word == "null" {
		err = s.Fail("want true or false")
	}
	return word == "true", err
}

// parseSum reads digests by their names, and gives the SHA-256 among them, and whether
// there are more.
func parseSum(s *strictjson.Scanner) (d catalog.Digest, more bool, err error) {
	err = s.Object(hashKeys, func(key int) error {
		if key != 0 {
			more = true
			return s.Skip()
		}
		t, err := text(s)
		if err != nil {
			return err
		}
		if d, err = catalog.ParseDigest(t); err != nil || d.String() != t {
			return s.Fail("sha256 %.80q", t)
		}
		return nil
	})
	return d, more, err
}

// parseRoot reads the names of the list of projects as JSON.
func parseRoot(data []byte) (names []string, err error) {
	s := strictjson.New(data)
	seen := false
	err = s.Object([]string{"projects"}, func(key int) error {
		if key != 0 {
			return s.Skip()
		}
		seen = true
		return s.Array(func() error {
			if len(names) == maxNames {
				return errTooMany
			}
			named := false
			err := s.Object([]string{"name"}, func(key int) error {
				if key != 0 {
					return s.Skip()
				}
				named = true
				n, err := text(s)
				names = append(names, n)
				return err
			})
			if err == nil && !named {
				err = s.Fail("a project without a name")
			}
			return err
		})
	})
	if err == nil {
		err = s.End()
	}
	if err == nil && !seen {
		err = s.Fail("not a list of projects")
	}
	return names, err
}

// An anchor is a link of a page as HTML.
type anchor struct {
	href, text string
	attributes map[string]string
}

// plainTag matches tags that all who read HTML understand alike.
var plainTag = regexp.MustCompile(`^<[a-z0-9]+(?: [a-z-]+="[^"]*")*>$`)

// sectionHead matches the comments that part the lists of all files.
var sectionHead = regexp.MustCompile(`^<!-- [a-z0-9-]+ -->$`)

// anchors calls each for the links of a page, and meta for what its head says. They read
// no more of it at a time than one tag and its text. Since others may understand what is
// not plain otherwise than this reader does, and find links where it finds none, a page has
// to be as plain as those of an index are.
func anchors(page io.Reader, each func(anchor) error, meta func(name, content string)) error {
	z := html.NewTokenizer(page)
	z.SetMaxBuf(maxTag)
	var open *anchor
	for {
		token := z.Next()
		raw := z.Raw()
		odd := func() error { return fmt.Errorf("it has %.80q, which no page of an index has", raw) }
		switch token {
		case html.ErrorToken:
			if err := z.Err(); err != io.EOF {
				return err
			}
			if open != nil {
				return errors.New("a link has no end")
			}
			if len(raw) > 0 {
				return errors.New("it ends within a tag")
			}
			return nil
		case html.DoctypeToken:
			if string(raw) != "<!DOCTYPE html>" {
				return odd()
			}
		case html.CommentToken:
			if !sectionHead.Match(raw) {
				return odd()
			}
		case html.TextToken:
			if bytes.IndexByte(raw, '<') >= 0 {
				return odd()
			}
			if open != nil {
				if open.text += string(z.Text()); len(open.text) > maxTag {
					return errors.New("a link with a text that has no end")
				}
			}
		case html.StartTagToken:
			if !plainTag.Match(raw) {
				return odd()
			}
			tag, more := z.TagName()
			name := string(tag)
			switch name {
			case "a", "meta":
			case "html", "head", "title", "body", "h1", "br":
				continue // whatever attributes it has lead nowhere
			default:
				return fmt.Errorf("it has a <%s>, which no page of an index has", name)
			}
			a := anchor{attributes: map[string]string{}}
			for more {
				var k, v []byte
				k, v, more = z.TagAttr()
				key := string(k)
				if _, twice := a.attributes[key]; twice {
					return fmt.Errorf("a tag has the attribute %q twice", k)
				}
				if !strings.HasPrefix(key, "data-") && !slices.Contains(plainAttributes, key) {
					return fmt.Errorf("a tag has the attribute %q, which none of an index has", k)
				}
				a.attributes[key] = string(v)
			}
			if name == "meta" {
				meta(a.attributes["name"], a.attributes["content"])
				continue
			}
			if open != nil {
				return errors.New("a link within a link")
			}
			a.href = a.attributes["href"]
			open = &a
		case html.EndTagToken:
			end := string(raw)
			if end == "</a>" && open != nil {
				if err := each(*open); err != nil {
					return err
				}
				open = nil
			} else if !slices.Contains(plainEnds, end) {
				return odd()
			}
		default:
			return odd()
		}
	}
}

var (
	plainAttributes = []string{"href", "name", "content", "charset"}
	plainEnds       = []string{"</title>", "</head>", "</h1>", "</body>", "</html>"}
)

// entryOf gives what a link says of a file.
func entryOf(a anchor) (e entry, err error) {
	var fragment string
	e.filename = a.text
	e.url, fragment, _ = strings.Cut(a.href, "#")
	sum, ok := strings.CutPrefix(fragment, "sha256=")
	if e.sha256, err = catalog.ParseDigest(sum); !ok || err != nil || e.sha256.String() != sum {
		return e, fmt.Errorf("%.80q: a link without a sha256", a.text)
	}
	e.requires = a.attributes["data-requires-python"]
	e.signed = a.attributes["data-gpg-sig"] == "true"
	if reason, ok := a.attributes["data-yanked"]; ok {
		e.yanked = catalog.Yank{Yanked: true, Reason: reason}
	}
	// Clients of the months before PEP 714 know the second name only.
	for _, name := range []string{"data-core-metadata", "data-dist-info-metadata"} {
		value, ok := a.attributes[name]
		if !ok {
			continue
		}
		sum, ok := strings.CutPrefix(value, "sha256=")
		d, err := catalog.ParseDigest(sum)
		if !ok || err != nil || !e.metadata.IsZero() && e.metadata != d {
			return e, fmt.Errorf("%.80q: core metadata %.80q", a.text, value)
		}
		e.metadata = d
	}
	return e, nil
}

// readHTML reads the page of a project as HTML.
func readHTML(page io.Reader) (*document, error) {
	d := &document{status: "active"}
	err := anchors(page, func(a anchor) error {
		if len(d.files) == maxEntries {
			return errTooMany
		}
		e, err := entryOf(a)
		e.size = -1
		d.files = append(d.files, e)
		return err
	}, func(name, content string) {
		switch name {
		case "pypi:project-status":
			d.status = content
		case "pypi:project-status-reason":
			d.reason = content
		}
	})
	return d, err
}
