package generate

import (
	"html/template"
	"strconv"
	"time"

	"nestgen/advisory"
	"nestgen/catalog"
	"nestgen/layout"
)

// History is all releases with their files, the newest first and the one that
// the project is known by opened. It is made by hand and not by a template:
// pages with ten thousand files would take seconds.
func (p *ProjectPage) History() template.HTML {
	n := 0
	for i := range p.releases {
		n += 300 + 500*len(p.releases[i].files)
	}
	b := make([]byte, 0, n)
	for i := len(p.releases) - 1; i >= 0; i-- {
		b = p.appendRelease(b, &p.releases[i], i == p.latest)
	}
	return template.HTML(b)
}

func (p *ProjectPage) appendRelease(b []byte, r *release, open bool) []byte {
	b = append(b, "<details"...)
	if open {
		b = append(b, " open"...)
	}
	b = append(b, "><summary><b>"...)
	b = appendHTML(b, r.version)
	b = append(b, "</b>"...)
	yank := r.yank()
	found := advisory.Merge(p.findings.of(r))
	if !final(r.version) {
		b = append(b, ` <span class="tag">pre-release</span>`...)
	}
	if yank.Yanked {
		b = append(b, ` <span class="tag yanked">yanked</span>`...)
	}
	b = appendBadge(b, found)
	b = append(b, " <small>"...)
	if t := r.uploaded(); t != 0 {
		b = append(b, "<time>"...)
		b = appendDate(b, time.UnixMicro(t).UTC())
		b = append(b, "</time> · "...)
	}
	b = strconv.AppendInt(b, int64(len(r.files)), 10)
	if len(r.files) == 1 {
		b = append(b, " file"...)
	} else {
		b = append(b, " files"...)
	}
	b = append(b, "</small></summary>\n"...)
	b = appendFindings(b, found)
	b = append(b, "<ul>\n"...)
	for _, f := range r.files {
		b = p.appendFile(b, f, len(found) > 0 && p.findings.about(f))
	}
	return append(b, "</ul></details>\n"...)
}

func (p *ProjectPage) appendFile(b []byte, f *catalog.File, affected bool) []byte {
	b = append(b, `<li><a href="`...)
	b = append(b, p.Up...)
	b = layout.AppendEscaped(b, f.Path)
	b = append(b, `">`...)
	b = appendHTML(b, f.Filename)
	b = append(b, `</a> `...)
	if affected {
		b = append(b, `<span class="tag affected">affected</span> `...)
	}
	b = append(b, `<small>`...)
	b = append(b, kindText(f.Kind)...)
	b = append(b, " · "...)
	b = appendSize(b, f.Size)
	if known(f.Uploaded) {
		b = append(b, " · <time>"...)
		b = appendDate(b, time.UnixMicro(f.Uploaded).UTC())
		b = append(b, "</time>"...)
	}
	if f.RequiresPython != "" {
		b = append(b, " · Python "...)
		b = appendHTML(b, f.RequiresPython)
	}
	if f.Signed {
		b = append(b, ` · <a href="`...)
		b = append(b, p.Up...)
		b = layout.AppendEscaped(b, layout.Signature(f.Path))
		b = append(b, `">signature</a>`...)
	}
	if f.Provenance {
		b = append(b, ` · <a href="`...)
		b = append(b, p.Up...)
		b = layout.AppendEscaped(b, layout.Provenance(f.Path))
		b = append(b, `">provenance</a>`...)
	}
	if !f.Publisher.IsZero() {
		b = append(b, " · published by "...)
		b = appendHTML(b, f.Publisher.String())
	}
	b = append(b, "</small>"...)
	if f.Yanked.Yanked {
		b = append(b, `<p class="yank"><b>Yanked</b>`...)
		if f.Yanked.Reason != "" {
			b = append(b, ": "...)
			b = appendHTML(b, f.Yanked.Reason)
		}
		b = append(b, "</p>"...)
	}
	b = append(b, "<code>sha256:"...)
	b = f.SHA256.AppendHex(b)
	return append(b, "</code></li>\n"...)
}
