package generate

import (
	"strings"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
)

// appendEasy appends what the page for easy_install has of one project besides
// the anchors of its files: those that make old clients find what they would
// not, and the development links. Anchors with "#egg=" stand on no other page,
// because uv refuses a page with one.
func (s *Site) appendEasy(b []byte, p *catalog.Project) []byte {
	files := visible(p)
	name, up := display(p), s.way("../")
	var spelling string // how the last file spelled the project
	var needed bool
	for i := range files {
		f := &files[i]
		if f.Kind != packaging.Sdist || !isEgg(f.Version) {
			// An alias hides from the client for which Python and which
			// platform a built file is.
			continue
		}
		if n := len(spelling); n == 0 || len(f.Filename) <= n || f.Filename[n] != '-' || f.Filename[:n] != spelling {
			spelling = fileSpelling(f)
			needed = needsAlias(spelling, name)
		}
		if needed {
			b = appendAlias(b, f, up, name)
		}
	}
	if p.Status.State == catalog.Quarantined {
		return b
	}
	for i := range p.Links {
		l := &p.Links[i]
		if !isEasyLink(l.URL) {
			continue
		}
		egg := eggName(p, l)
		b = appendDev(b, l.URL, egg, "dev")
		if isEgg(l.Version) && l.Version != "dev" {
			b = appendDev(b, l.URL, egg, l.Version)
		}
	}
	return b
}

// needsAlias reports whether easy_install, asked for a project by its name,
// passes a file over because the name of the file spells the project
// otherwise: to it "ns.pkg" and "ns_pkg" are two.
func needsAlias(spelling, name string) bool {
	return spelling != "" && !strings.EqualFold(layout.SetuptoolsName(spelling), layout.SetuptoolsName(name))
}

// fileSpelling is the part of a file's name that spells the project's: up to
// the first dash where what stands before normalizes to the project's name. It
// is empty if there is none.
func fileSpelling(f *catalog.File) string {
	for i := 0; i < len(f.Filename); i++ {
		if f.Filename[i] == '-' && packaging.NormalizeName(f.Filename[:i]) == f.Project {
			return f.Filename[:i]
		}
	}
	return ""
}

// appendAlias appends an anchor that says by its fragment what a file is. The
// fragment has to stand alone, so the link cannot carry the digest as well;
// the client ranks it below every anchor that it understands without.
func appendAlias(b []byte, f *catalog.File, up, name string) []byte {
	b = append(b, `<a href="`...)
	b = append(b, up...)
	b = layout.AppendEscaped(b, f.Path)
	b = append(b, "#egg="...)
	b = append(b, name...)
	b = append(b, '-')
	b = append(b, f.Version...)
	b = append(b, '"')
	if f.Yanked.Yanked {
		b = append(b, ` data-yanked="`...)
		b = appendHTML(b, f.Yanked.Reason)
		b = append(b, '"')
	}
	b = append(b, '>')
	b = append(b, name...)
	b = append(b, ' ')
	b = append(b, f.Version...)
	return append(b, "</a><br>\n"...)
}

// appendDev appends the anchor of a development link. "-dev" serves the
// requirement "name==dev", a version serves that version.
func appendDev(b []byte, url, egg, version string) []byte {
	b = append(b, `<a href="`...)
	b = append(b, strings.ReplaceAll(linkURL(url), "&", "&amp;")...)
	b = append(b, "#egg="...)
	b = append(b, egg...)
	b = append(b, '-')
	b = append(b, version...)
	b = append(b, `">`...)
	b = append(b, egg...)
	b = append(b, ' ')
	b = append(b, version...)
	return append(b, "</a><br>\n"...)
}
