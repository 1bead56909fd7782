package generate

import "nestgen/catalog"

// apiVersion is that of the simple repository API which the pages claim. The
// HTML form ends with it (PEP 833). JSON goes on to 1.5, but an index without
// namespaces must not claim that (PEP 752).
const apiVersion = "1.4"

const (
	htmlHead = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
		`<meta name="pypi:repository-version" content="` + apiVersion + "\">\n"
	htmlFoot = "</body>\n</html>\n"
)

// appendHTML appends the page of a project as HTML (PEP 503). The same bytes
// serve as text/html and as application/vnd.pypi.simple.v1+html, and below
// every alias of the name, since all of them lie equally deep.
func (s *Site) appendHTML(b []byte, p *catalog.Project) []byte {
	b = append(b, htmlHead...)
	if hasStatus(p) {
		b = append(b, `<meta name="pypi:project-status" content="`...)
		b = append(b, status(p)...)
		b = append(b, "\">\n"...)
		if p.Status.Reason != "" {
			b = append(b, `<meta name="pypi:project-status-reason" content="`...)
			b = appendHTML(b, p.Status.Reason)
			b = append(b, "\">\n"...)
		}
	}
	b = appendTitle(b, "Links for "+display(p))
	files := visible(p)
	signed, base, up := anySigned(files), s.secureBase(), s.way("../../")
	for i := range files {
		if f := &files[i]; current(f) {
			b = appendAnchor(b, f, up, base, signed)
		}
	}
	return append(b, htmlFoot...)
}

// appendTitle ends the head of a page and gives it a title and a heading.
func appendTitle(b []byte, title string) []byte {
	b = append(b, "<title>"...)
	b = appendHTML(b, title)
	b = append(b, "</title>\n</head>\n<body>\n<h1>"...)
	b = appendHTML(b, title)
	return append(b, "</h1>\n"...)
}

// hasStatus reports whether a project's status is worth a word.
func hasStatus(p *catalog.Project) bool {
	return p.Status.State != catalog.Active || p.Status.Reason != ""
}

// status is the project's status marker as PEP 792 spells it.
func status(p *catalog.Project) string {
	if p.Status.State == catalog.Active {
		return "active"
	}
	return string(p.Status.State)
}
