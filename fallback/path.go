package fallback

import (
	"strings"
	"unicode/utf8"

	"nestgen/layout"
	"nestgen/packaging"
)

// What a path and the name of a project in it may measure, in bytes. More is
// answered from the tree like anything else, but nobody is asked for it
// (reliability 3, 29).
const (
	maxPath = 1 << 10
	maxName = 100
)

// plain gives the path of a request without the slash in front. The server has
// decoded it once, and nothing here does again. It refuses a path that somebody
// could take for another one: with an empty segment, "." or "..", a backslash or
// a control character (contract CGI-3).
func plain(p string) (string, bool) {
	name, ok := strings.CutPrefix(p, "/")
	if !ok || len(p) > maxPath || !utf8.ValidString(p) {
		return "", false
	}
	for i := range len(p) {
		if c := p[i]; c < ' ' || c == 0x7f || c == '\\' {
			return "", false
		}
	}
	for rest, more := name, name != ""; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if segment == "" && more || segment == "." || segment == ".." {
			return "", false
		}
	}
	return name, true
}

// projectOf gives the project that a page is about, if its name is written as
// pages are called. Any other spelling is for the tree, which redirects it
// whether or not there is such a project.
func projectOf(name string) (packaging.Name, bool) {
	top, rest, _ := strings.Cut(name, "/")
	segment, rest, slash := strings.Cut(rest, "/")
	switch top {
	case layout.Simple, layout.People:
		if rest != "" {
			return "", false
		}
	case layout.Legacy:
		if version, ok := strings.CutSuffix(rest, "/json"); !slash || rest != "json" && !(ok && layout.ReleaseFolder(version)) {
			return "", false
		}
	default:
		return "", false
	}
	n, err := packaging.ParseName(segment)
	return n, err == nil && string(n) == segment && len(n) <= maxName
}
