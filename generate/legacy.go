package generate

import (
	"strconv"
	"strings"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
)

// The documents of the legacy JSON API follow no written standard. They have
// what the catalog knows, under the names that the public index uses; a key
// whose value is not known is left out, never null.

// appendLegacyProject appends pypi/<name>/json: the newest release, its files,
// and all releases.
func (s *Site) appendLegacyProject(b []byte, p *catalog.Project, rs []release, a findings) []byte {
	current := findRelease(rs, newest(visible(p)))
	b = append(b, `{"info":`...)
	b = s.appendInfo(b, p, current)
	b = append(b, ",\n\"releases\":{"...)
	up := s.legacyUp("../../")
	for i := range rs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '\n')
		b = appendString(b, rs[i].version)
		b = append(b, ':')
		b = appendLegacyFiles(b, rs[i].files, up)
	}
	b = append(b, "},\n\"urls\":"...)
	b = appendLegacyFiles(b, current.files, up)
	if s.Advised {
		b = appendVulnerabilities(b, a.of(&current))
	}
	return append(b, "}\n"...)
}

// appendLegacyRelease appends pypi/<name>/<version>/json: one release and its
// files.
func (s *Site) appendLegacyRelease(b []byte, p *catalog.Project, r release, a findings) []byte {
	b = append(b, `{"info":`...)
	b = s.appendInfo(b, p, r)
	b = append(b, ",\n\"urls\":"...)
	b = appendLegacyFiles(b, r.files, s.legacyUp("../../../"))
	if s.Advised {
		b = appendVulnerabilities(b, a.of(&r))
	}
	return append(b, "}\n"...)
}

// findRelease gives the release of a version, without files if there is none.
func findRelease(rs []release, version string) release {
	for _, r := range rs {
		if r.version == version {
			return r
		}
	}
	return release{version: version}
}

// legacyUp is what links of a document begin with: the address of the site if
// it is known, since readers of this API do not expect relative links.
func (s *Site) legacyUp(up string) string {
	if b := s.base(); b != "" {
		return cleanURL(b)
	}
	return s.way(up)
}

// appendInfo appends what is said of a project and one release.
func (s *Site) appendInfo(b []byte, p *catalog.Project, r release) []byte {
	b = append(b, `{"name":"`...)
	b = append(b, display(p)...)
	b = append(b, `","version":`...)
	b = appendString(b, r.version)
	b = append(b, `,"summary":""`...)
	if rp := r.requiresPython(); rp != "" {
		b = append(b, `,"requires_python":`...)
		b = appendString(b, rp)
	}
	b = appendLegacyYank(b, r.yank())
	if base := s.indexBase(); base != "" && s.People {
		b = append(b, `,"package_url":"`...)
		b = append(b, cleanURL(base)...)
		b = append(b, layout.People+"/"...)
		b = append(b, p.Name...)
		b = append(b, `/"`...)
	}
	return append(b, '}')
}

func appendLegacyYank(b []byte, y catalog.Yank) []byte {
	b = append(b, `,"yanked":`...)
	b = strconv.AppendBool(b, y.Yanked)
	if y.Yanked && y.Reason != "" {
		b = append(b, `,"yanked_reason":`...)
		b = appendString(b, y.Reason)
	}
	return b
}

func appendLegacyFiles(b []byte, files []*catalog.File, up string) []byte {
	b = append(b, '[')
	for i, f := range files {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '\n')
		b = appendLegacyFile(b, f, up)
	}
	return append(b, ']')
}

func appendLegacyFile(b []byte, f *catalog.File, up string) []byte {
	b = append(b, `{"digests":{`...)
	if !f.BLAKE2b.IsZero() {
		b = append(b, `"blake2b_256":"`...)
		b = f.BLAKE2b.AppendHex(b)
		b = append(b, `",`...)
	}
	b = append(b, `"sha256":"`...)
	b = f.SHA256.AppendHex(b)
	b = append(b, `"},"filename":`...)
	b = appendString(b, f.Filename)
	b = append(b, `,"has_sig":`...)
	b = strconv.AppendBool(b, f.Signed)
	b = append(b, `,"packagetype":"`...)
	b = append(b, f.Kind.String()...)
	b = append(b, `","python_version":`...)
	b = appendString(b, pythonVersion(f))
	if f.RequiresPython != "" {
		b = append(b, `,"requires_python":`...)
		b = appendString(b, f.RequiresPython)
	}
	if f.Size >= 0 {
		b = append(b, `,"size":`...)
		b = strconv.AppendInt(b, f.Size, 10)
	}
	if known(f.Uploaded) {
		const micro = 1_000_000
		b = append(b, `,"upload_time":"`...)
		b = appendTime(b, f.Uploaded/micro*micro)
		b = b[:len(b)-1] // the old key has no zone, and no fraction
		b = append(b, `","upload_time_iso_8601":"`...)
		b = appendTime(b, f.Uploaded)
		b = append(b, '"')
	}
	b = append(b, `,"url":"`...)
	b = append(b, up...)
	b = layout.AppendEscaped(b, f.Path)
	b = append(b, '"')
	b = appendLegacyYank(b, f.Yanked)
	return append(b, '}')
}

// pythonVersion is for which Python a file is, as its uploader would have said
// it: the Python tag of a wheel, "source" of an sdist, "2.7" of an egg or an
// installer, "any" if its name does not say.
func pythonVersion(f *catalog.File) string {
	switch f.Kind {
	case packaging.Sdist:
		return "source"
	case packaging.Wheel:
		// name-version[-build]-python-abi-platform.whl
		rest := f.Filename
		for range 2 {
			if i := strings.LastIndexByte(rest, '-'); i >= 0 {
				rest = rest[:i]
			}
		}
		if i := strings.LastIndexByte(rest, '-'); i >= 0 {
			return rest[i+1:]
		}
		return "any"
	}
	at := strings.LastIndex(f.Filename, "-py")
	if at < 0 {
		return "any"
	}
	tail, i := f.Filename[at+len("-py"):], 0
	for i < len(tail) && (tail[i] >= '0' && tail[i] <= '9' || tail[i] == '.') {
		i++
	}
	if v := strings.Trim(tail[:i], "."); v != "" {
		return v
	}
	return "any"
}
