package generate

import (
	"html/template"
	"net/url"
	"path"
	"strings"

	"nestgen/layout"
	"nestgen/templates"
)

// A Frame is what every page for people knows of the site.
type Frame struct {
	// Title names the index.
	Title string

	// Up leads from the page to the root of the site, where the static files
	// are: "" or "../../".
	Up string

	// Index leads from the page to the root of the index that it is a page of.
	// It is Up but for an index below a prefix.
	Index string

	// Version is that of the program, or empty.
	Version string

	// ProjectFolder holds the pages that search results lead to: "project",
	// or "simple" on a site without pages for people.
	ProjectFolder string

	// Legacy says whether projects have documents of the legacy JSON API.
	Legacy bool

	// HasFlat and HasEasy say whether the site has the page of all files and
	// the page for easy_install.
	HasFlat, HasEasy bool

	// Changes says whether there is a page of what changed in the index, and
	// ProjectChanges whether there is one for each project.
	Changes, ProjectChanges bool

	base string // the address of the index
}

// The parts of pages that are the same on all that lie equally deep. They are
// rendered once and not for each page: a template takes longer for them than
// for all the rest.
type parts struct {
	of     *templates.Set
	shared Shared
}

// shared gives what the pages as deep as one share, as it was rendered last or
// anew.
func (s *Site) shared(c *parts, page string) (*Shared, error) {
	f, set := s.frame(page), s.templates()
	if c.of == set && c.shared.Frame == f {
		return &c.shared, nil
	}
	*c = parts{}
	sh := Shared{
		Frame:  f,
		Simple: f.address(layout.Simple + "/"),
		Easy:   f.address(path.Dir(layout.Easy) + "/"),
		Trust:  f.trust(),
	}
	for name, into := range map[string]*template.HTML{"head": &sh.Head, "top": &sh.Top, "foot": &sh.Foot} {
		var b strings.Builder
		if err := set.Execute(&b, name, f); err != nil {
			return nil, err
		}
		*into = template.HTML(b.String())
	}
	*c = parts{of: set, shared: sh}
	return &c.shared, nil
}

// Shared is a Frame, and what comes of it on every page.
type Shared struct {
	Frame

	// Head, Top and Foot are what the templates of these names, in lower
	// case, make of the Frame.
	Head, Top, Foot template.HTML

	// Simple and Easy are the whole addresses of the simple index and of the
	// page for easy_install, for a command that somebody copies. Where the
	// settings do not say the address of the site, the script fills it in
	// from where the page was loaded.
	Simple, Easy template.HTML

	// Trust is the option that pip wants for an index that is not encrypted
	// and not on the same machine, and else empty. It begins with a space.
	Trust template.HTML
}

func (s *Site) frame(page string) Frame {
	f := Frame{
		Title: clean(s.title()), Up: s.way(layout.Up(page)), Index: layout.Up(page), Version: clean(s.Version),
		ProjectFolder: layout.Simple, Legacy: s.Legacy, base: s.indexBase(),
		HasFlat: s.Has&Flat != 0, HasEasy: s.Has&Easy != 0,
		Changes: s.Changes != NoChanges, ProjectChanges: s.Changes == ProjectChanges,
	}
	if s.People {
		f.ProjectFolder = layout.People
	}
	return f
}

// Home is the link to the front page of the index.
func (f Frame) Home() string {
	if f.Index == "" {
		return "./"
	}
	return f.Index
}

// address is the whole address of a path of the index.
func (f Frame) address(path string) template.HTML {
	b := []byte(`<span class="addr"`)
	if f.base == "" {
		b = append(b, ` data-href="`...)
		b = appendHTML(b, f.Index+path)
		b = append(b, `">https://ADDRESS/`...)
	} else {
		b = append(b, '>')
		b = append(b, cleanURL(f.base)...)
	}
	b = appendHTML(b, path)
	return template.HTML(append(b, "</span>"...))
}

// trust is Shared.Trust; the script fills in what is not known here.
func (f Frame) trust() template.HTML {
	if f.base == "" {
		return `<span class="trust"></span>`
	}
	u, err := url.Parse(f.base)
	if err != nil || u.Scheme != "http" {
		return ""
	}
	switch host := u.Hostname(); host {
	case "localhost", "127.0.0.1", "::1":
		return ""
	default:
		return template.HTML(appendHTML([]byte(" --trusted-host "), host))
	}
}
