package generate

import (
	"slices"
	"strconv"

	"nestgen/catalog"
	"nestgen/layout"
)

// jsonMeta begins every JSON document of the simple API.
const jsonMeta = `{"meta":{"api-version":"` + apiVersion + `"},`

// jsonMetaUnsized begins the page of a project with a file whose size is not
// known: from version 1.1 on every file has one (PEP 700).
const jsonMetaUnsized = `{"meta":{"api-version":"1.0"},`

// appendJSON appends the page of a project as JSON (PEP 691, 700, 714, 740 and
// 792). No value is ever null: uv drops the whole page for one.
func (s *Site) appendJSON(b []byte, sc *scratch, p *catalog.Project) []byte {
	files := visible(p)
	sized := !slices.ContainsFunc(files, func(f catalog.File) bool { return f.Size < 0 })
	if sized {
		b = append(b, jsonMeta...)
	} else {
		b = append(b, jsonMetaUnsized...)
	}
	b = append(b, `"name":"`...)
	b = append(b, p.Name...)
	b = append(b, '"')
	if hasStatus(p) {
		b = append(b, `,"project-status":{"status":"`...)
		b = append(b, status(p)...)
		b = append(b, '"')
		if p.Status.Reason != "" {
			b = append(b, `,"reason":`...)
			b = appendString(b, p.Status.Reason)
		}
		b = append(b, '}')
	}
	if sized {
		b = append(b, `,"versions":[`...)
		for i, v := range sc.listVersions(files) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, v)
		}
		b = append(b, ']')
	}
	b = append(b, `,"files":[`...)
	base, up := s.secureBase(), s.way("../../")
	first := true
	for i := range files {
		f := &files[i]
		if !current(f) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendFile(b, f, up, base)
	}
	return append(b, "]}\n"...)
}

// appendFile appends one file of a project page.
func appendFile(b []byte, f *catalog.File, up, base string) []byte {
	b = append(b, "\n{\"filename\":"...)
	b = appendString(b, f.Filename)
	b = append(b, `,"url":"`...)
	b = append(b, up...)
	b = layout.AppendEscaped(b, f.Path)
	b = append(b, `","hashes":{"sha256":"`...)
	b = f.SHA256.AppendHex(b)
	b = append(b, `"}`...)
	if f.RequiresPython != "" {
		b = append(b, `,"requires-python":`...)
		b = appendString(b, f.RequiresPython)
	}
	if hasMetadata(f) {
		// The name that PEP 658 gave it is never written: pip 22.3 to 23.1
		// dies of it in JSON.
		b = append(b, `,"core-metadata":{"sha256":"`...)
		b = f.Metadata.AppendHex(b)
		b = append(b, `"}`...)
	}
	if f.Signed {
		b = append(b, `,"gpg-sig":true`...)
	}
	if f.Yanked.Yanked {
		// An empty reason would mean "not yanked".
		b = append(b, `,"yanked":`...)
		if f.Yanked.Reason == "" {
			b = append(b, "true"...)
		} else {
			b = appendString(b, f.Yanked.Reason)
		}
	}
	if f.Size >= 0 {
		b = append(b, `,"size":`...)
		b = strconv.AppendInt(b, f.Size, 10)
	}
	if known(f.Uploaded) {
		b = append(b, `,"upload-time":"`...)
		b = appendTime(b, f.Uploaded)
		b = append(b, '"')
	}
	if f.Provenance && base != "" {
		b = append(b, `,"provenance":"`...)
		b = appendProvenance(b, f, base)
		b = append(b, '"')
	}
	return append(b, '}')
}

// listVersions gives the versions of the files that installers see, each once,
// in the order of the files. The result is valid until the next call.
func (sc *scratch) listVersions(files []catalog.File) []string {
	sc.versions.reset()
	for i := range files {
		if f := &files[i]; current(f) {
			sc.versions.add(f.Version)
		}
	}
	return sc.versions.list
}
