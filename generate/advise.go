package generate

import (
	"slices"
	"strconv"

	"nestgen/advisory"
	"nestgen/catalog"
)

// findings says what advisories find in the releases of a project, to one goroutine.
type findings struct {
	set   *advisory.Set
	from  []string // upstreams; all if it is empty
	found map[string][]advisory.Finding
}

// findings gives what there is to find; nothing if the site has no advisories.
func (s *Site) findings(p *catalog.Project) findings {
	if !s.Advised || len(p.Advisories) == 0 {
		return findings{}
	}
	return findings{advisory.NewSet(p.Advisories), s.AdvisedUpstreams, map[string][]advisory.Finding{}}
}

// about reports whether the advisories are about a file.
func (a findings) about(f *catalog.File) bool {
	return a.set != nil && f.Public() && (len(a.from) == 0 || slices.Contains(a.from, f.Source))
}

// of gives what is found in a release, the worst first.
func (a findings) of(r *release) []advisory.Finding {
	if a.set == nil || !slices.ContainsFunc(r.files, a.about) {
		return nil
	}
	found, ok := a.found[r.version]
	if !ok {
		found = a.set.Find(r.version)
		a.found[r.version] = found
	}
	return found
}

// affected counts the releases in which something is found.
func (a findings) affected(rs []release) int {
	n := 0
	for i := range rs {
		if len(a.of(&rs[i])) > 0 {
			n++
		}
	}
	return n
}

// adviceText counts advisories for people.
func adviceText(n int) string {
	if n == 1 {
		return "1 advisory"
	}
	return strconv.Itoa(n) + " advisories"
}

// appendBadge appends what a release is marked with.
func appendBadge(b []byte, found []advisory.Finding) []byte {
	if len(found) == 0 {
		return b
	}
	b = append(b, ` <span class="tag affected">`...)
	if found[0].Malware() {
		b = append(b, "malware"...)
	} else {
		b = append(b, adviceText(len(found))...)
	}
	return append(b, "</span>"...)
}

// appendFindings appends the list of what is found in a release.
func appendFindings(b []byte, found []advisory.Finding) []byte {
	if len(found) == 0 {
		return b
	}
	b = append(b, "<ul class=\"advisories\">\n"...)
	for _, f := range found {
		b = append(b, `<li><a href="`...)
		b = appendHTML(b, advisory.URL(f.ID))
		b = append(b, `" rel="noreferrer">`...)
		b = appendHTML(b, f.ID)
		b = append(b, "</a>"...)
		if text := f.Severity.String(); text != "" {
			b = append(b, ` <span class="tag `...)
			b = append(b, f.Severity.Rating.String()...)
			b = append(b, `">`...)
			b = append(b, text...)
			b = append(b, "</span>"...)
		}
		if f.Summary != "" {
			b = append(b, ' ')
			b = appendHTML(b, f.Summary)
		}
		b = append(b, " <small>"...)
		if f.Fixed != "" {
			b = append(b, "fixed in "...)
			b = appendHTML(b, f.Fixed)
		} else {
			b = append(b, "no fixed version is known"...)
		}
		for i, id := range f.Also {
			b = append(b, [2]string{" · also ", ", "}[min(i, 1)]...)
			b = appendHTML(b, id)
		}
		b = append(b, "</small></li>\n"...)
	}
	return append(b, "</ul>\n"...)
}

// appendVulnerabilities appends the list of the legacy JSON API as the public index
// has it. Details beyond the summary are at the link; a withdrawn advisory is not in
// the list.
func appendVulnerabilities(b []byte, found []advisory.Finding) []byte {
	b = append(b, ",\n\"vulnerabilities\":["...)
	for i, f := range found {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n{\"aliases\":"...)
		b = appendStrings(b, f.Aliases)
		b = append(b, `,"details":`...)
		b = appendString(b, f.Summary)
		b = append(b, `,"fixed_in":`...)
		b = appendStrings(b, f.FixedVersions())
		b = append(b, `,"id":`...)
		b = appendString(b, f.ID)
		b = append(b, `,"link":`...)
		b = appendString(b, advisory.URL(f.ID))
		b = append(b, `,"source":"osv","summary":`...)
		b = appendString(b, f.Summary)
		b = append(b, `,"withdrawn":null}`...)
	}
	return append(b, ']')
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}
