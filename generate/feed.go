package generate

import (
	"strconv"
	"strings"

	"nestgen/catalog"
	"nestgen/layout"
)

// A feed is what changed, for programs that tell people of it. Its addresses are
// whole if the site has a base URL. Without one those of Atom are relative to the
// feed (RFC 4287, section 2), and JSON Feed, which has no relative ones, gets none.
type feed struct {
	site    *Site
	folder  string // that the feed lies in, with a slash at its end
	title   string
	id      string
	history History
}

// newFeed gives the feed of a project, or with nil that of the site.
func (s *Site) newFeed(p *catalog.Project, h History) *feed {
	o := &h.Origin
	f := &feed{site: s, folder: layout.Changes + "/", title: "What changed · " + s.title(), history: h}
	name := ""
	if p != nil {
		name = string(p.Name)
		f.folder += name + "/"
		f.title = display(p) + ": what changed · " + s.title()
	}
	f.id = uuid("nestgen feed\n" + changeID(o) + "\n" + name + "\n")
	f.history.Changes = h.visible(feedLimit)
	return f
}

// link gives the address of a path of the site. The path needs no escapes.
func (f *feed) link(path string) string {
	if base := f.site.base(); base != "" {
		return cleanURL(base) + path
	}
	return layout.Up(f.folder) + path
}

// entryLink leads to a change on a page for people: that of its project where there is
// one, else that of the site. It is empty if there are none.
func (f *feed) entryLink(c *Change) string {
	if !f.site.People {
		return ""
	}
	folder := layout.Changes + "/"
	if f.site.Changes == ProjectChanges && f.history.listed(c.Project) {
		folder += string(c.Project) + "/"
	}
	return f.link(folder) + "#e" + strconv.FormatInt(c.First, 10)
}

// titleLimit is how many characters the title of an entry has of what happened, and
// titleLines how many lines.
const (
	titleLimit = 200
	titleLines = 4
)

// entryTitle says in a line what happened.
func entryTitle(c *Change) string {
	var said []string
	for i, l := range c.Lines {
		if i == titleLines && len(c.Lines) > titleLines+1 {
			said = append(said, "and more")
			break
		}
		said = append(said, l.String())
	}
	text := []rune(strings.Join(said, "; "))
	if len(text) > titleLimit {
		text = append(text[:titleLimit-1], '…')
	}
	if c.Project == "" {
		return clean(string(text))
	}
	return clean(string(c.Project) + ": " + string(text))
}

// entryHTML is the content of an entry.
func entryHTML(c *Change) string {
	var b []byte
	for _, l := range c.Lines {
		b = append(b, "<p>"...)
		b = appendHTML(b, l.String())
		b = append(b, "</p>\n"...)
		if len(l.Files) == 0 {
			continue
		}
		b = append(b, "<ul>\n"...)
		for _, name := range l.Files {
			b = append(b, "<li>"...)
			b = appendHTML(b, name)
			b = append(b, "</li>\n"...)
		}
		if l.More > 0 {
			b = append(b, "<li>and "+filesText(l.More)+" more</li>\n"...)
		}
		b = append(b, "</ul>\n"...)
	}
	return string(b)
}

// verbs gives what was done, each verb once.
func verbs(c *Change) (all []string) {
	seen := map[catalog.Verb]bool{}
	for _, l := range c.Lines {
		if l.Verb != "" && !seen[l.Verb] {
			seen[l.Verb] = true
			all = append(all, string(l.Verb))
		}
	}
	return all
}

// appendAtom appends the feed as Atom (RFC 4287).
func (f *feed) appendAtom(b []byte) []byte {
	element := func(indent, name, text string) {
		b = append(b, indent...)
		b = append(b, '<')
		b = append(b, name...)
		b = append(b, '>')
		b = appendHTML(b, text)
		name, _, _ = strings.Cut(name, " ")
		b = append(b, "</"...)
		b = append(b, name...)
		b = append(b, ">\n"...)
	}
	link := func(indent, rel, mediaType, href string) {
		b = append(b, indent...)
		b = append(b, `<link rel="`+rel+`" type="`+mediaType+`" href="`...)
		b = appendHTML(b, href)
		b = append(b, "\"/>\n"...)
	}
	time := func(indent string, micro int64) {
		b = append(b, indent...)
		b = append(b, "<updated>"...)
		b = appendTime(b, moment(micro))
		b = append(b, "</updated>\n"...)
	}
	b = append(b, `<?xml version="1.0" encoding="utf-8"?>`+"\n"+`<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en">`+"\n"...)
	element("", "id", f.id)
	element("", "title", f.title)
	time("", f.updated())
	b = append(b, "<author>"...)
	element("", "name", f.site.title())
	b = append(b[:len(b)-1], "</author>\n"...)
	element("", "generator", "nestgen")
	link("", "self", "application/atom+xml", f.link(f.folder+"atom.xml"))
	if f.site.People {
		link("", "alternate", "text/html", f.link(f.folder))
	}
	link("", "alternate", "application/feed+json", f.link(f.folder+"feed.json"))
	for i := range f.history.Changes {
		c := &f.history.Changes[i]
		b = append(b, "<entry>\n"...)
		element(" ", "id", c.id)
		element(" ", "title", entryTitle(c))
		time(" ", c.Time)
		if to := f.entryLink(c); to != "" {
			link(" ", "alternate", "text/html", to)
		}
		for _, v := range verbs(c) {
			b = append(b, ` <category term="`...)
			b = appendHTML(b, v)
			b = append(b, "\"/>\n"...)
		}
		element(" ", `content type="html"`, entryHTML(c))
		b = append(b, "</entry>\n"...)
	}
	return append(b, "</feed>\n"...)
}

// updated is the time of the newest change, and the beginning of 1970 if there is none.
func (f *feed) updated() int64 {
	if len(f.history.Changes) == 0 {
		return 0
	}
	return f.history.Changes[0].Time
}

// appendJSON appends the feed as JSON Feed 1.1. What nestgen knows of a change stands
// in an object of its own, as the format has it for extensions.
func (f *feed) appendJSON(b []byte) []byte {
	whole := f.site.base() != ""
	b = append(b, `{"version":"https://jsonfeed.org/version/1.1","title":`...)
	b = appendString(b, f.title)
	if whole && f.site.People {
		b = append(b, `,"home_page_url":`...)
		b = appendString(b, f.link(f.folder))
	}
	if whole {
		b = append(b, `,"feed_url":`...)
		b = appendString(b, f.link(f.folder+"feed.json"))
	}
	b = append(b, `,"language":"en","authors":[{"name":`...)
	b = appendString(b, f.site.title())
	b = append(b, `}],"items":[`...)
	for i := range f.history.Changes {
		c := &f.history.Changes[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n{\"id\":"...)
		b = appendString(b, c.id)
		if to := f.entryLink(c); whole && to != "" {
			b = append(b, `,"url":`...)
			b = appendString(b, to)
		}
		b = append(b, `,"title":`...)
		b = appendString(b, entryTitle(c))
		b = append(b, `,"content_html":`...)
		b = appendString(b, entryHTML(c))
		b = append(b, `,"date_published":"`...)
		b = appendTime(b, moment(c.Time))
		b = append(b, `","tags":[`...)
		for i, v := range verbs(c) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, v)
		}
		b = append(b, `],"_nestgen":`...)
		b = appendChange(b, c)
		b = append(b, '}')
	}
	return append(b, "]}\n"...)
}

// appendChange appends a change for programs: the serials of its first and its last
// event, and the first of its events.
func appendChange(b []byte, c *Change) []byte {
	b = append(b, `{"project":`...)
	b = appendString(b, string(c.Project))
	b = append(b, `,"first_serial":`...)
	b = strconv.AppendInt(b, c.First, 10)
	b = append(b, `,"last_serial":`...)
	b = strconv.AppendInt(b, c.Last, 10)
	b = append(b, `,"events":[`...)
	for i := range c.events {
		e := &c.events[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"serial":`...)
		b = strconv.AppendInt(b, e.Serial, 10)
		b = append(b, `,"verb":`...)
		b = appendString(b, string(e.Verb))
		if e.Filename != "" {
			b = append(b, `,"filename":`...)
			b = appendString(b, e.Filename)
		}
		if !e.SHA256.IsZero() {
			b = append(b, `,"sha256":"`...)
			b = e.SHA256.AppendHex(b)
			b = append(b, '"')
		}
		b = append(b, '}')
	}
	return append(b, "]}"...)
}
