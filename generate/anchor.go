package generate

import (
	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
)

// appendAnchor appends the anchor of one file as HTML pages list it, and a
// line feed. up leads from the page to the root of the site; base is the
// address for attestations, or empty. If signatures is set, the anchor says
// whether the file has one: a page says so on each of its links or on none.
func appendAnchor(b []byte, f *catalog.File, up, base string, signatures bool) []byte {
	b = append(b, `<a href="`...)
	b = append(b, up...)
	b = layout.AppendEscaped(b, f.Path)
	b = append(b, "#sha256="...)
	b = f.SHA256.AppendHex(b)
	b = append(b, '"')
	if f.RequiresPython != "" {
		b = append(b, ` data-requires-python="`...)
		b = appendHTML(b, f.RequiresPython)
		b = append(b, '"')
	}
	if hasMetadata(f) {
		// Clients of the months before PEP 714 know the second name only.
		b = append(b, ` data-core-metadata="sha256=`...)
		b = f.Metadata.AppendHex(b)
		b = append(b, `" data-dist-info-metadata="sha256=`...)
		b = f.Metadata.AppendHex(b)
		b = append(b, '"')
	}
	if f.Yanked.Yanked {
		// pip takes an attribute without a value for "not yanked".
		b = append(b, ` data-yanked="`...)
		b = appendHTML(b, f.Yanked.Reason)
		b = append(b, '"')
	}
	if signatures {
		if f.Signed {
			b = append(b, ` data-gpg-sig="true"`...)
		} else {
			b = append(b, ` data-gpg-sig="false"`...)
		}
	}
	if f.Provenance && base != "" {
		b = append(b, ` data-provenance="`...)
		b = appendProvenance(b, f, base)
		b = append(b, '"')
	}
	b = append(b, '>')
	b = appendHTML(b, f.Filename)
	return append(b, "</a><br>\n"...)
}

// hasMetadata reports whether the core metadata beside a file may be promised:
// that of a wheel only, since an sdist may build to other metadata.
func hasMetadata(f *catalog.File) bool {
	return f.Kind == packaging.Wheel && !f.Metadata.IsZero()
}

// appendProvenance appends the address of a file's attestations, which needs
// no escapes in HTML or in JSON because base comes from [Site.secureBase].
func appendProvenance(b []byte, f *catalog.File, base string) []byte {
	b = append(b, base...)
	b = layout.AppendEscaped(b, f.Path)
	return append(b, ".provenance"...)
}

// anySigned reports whether a page of these files says who is signed.
func anySigned(files []catalog.File) bool {
	for i := range files {
		if files[i].Signed && offered(&files[i]) {
			return true
		}
	}
	return false
}
