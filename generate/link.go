package generate

import (
	"strings"

	"nestgen/catalog"
)

// cleanURL gives a URL whose bytes need no escapes in HTML or in JSON and do
// not end a link for clients that look for one with a pattern: those that must
// not stand in a URL, and besides them quotes, the ampersand and the equals
// sign, are percent-encoded. It does not allocate when there is none.
func cleanURL(s string) string { return encodeURL(s, "") }

// linkURL is [cleanURL] for a URL whose query matters: ampersand and equals
// sign stay, so that the result still needs the escapes of HTML.
func linkURL(s string) string { return encodeURL(s, "&=") }

func encodeURL(s, keep string) string {
	const digits = "0123456789ABCDEF"
	var b []byte
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if isAlnum(c) || strings.IndexByte("-._~:/?@[]%!$*+,;", c) >= 0 || strings.IndexByte(keep, c) >= 0 {
			continue
		}
		b = append(b, s[from:i]...)
		b = append(b, '%', digits[c>>4], digits[c&15])
		from = i + 1
	}
	if b == nil {
		return s
	}
	return string(append(b, s[from:]...))
}

// isEasyLink reports whether a development link may stand on the page for
// easy_install: its scheme is one of the web, of files, or of a version
// control system as "svn+https". Anything else could only do harm, to a
// browser that opens the page.
func isEasyLink(url string) bool {
	scheme, rest, ok := strings.Cut(url, ":")
	if !ok || rest == "" {
		return false
	}
	scheme = strings.ToLower(scheme)
	switch vcs, transport, plus := strings.Cut(scheme, "+"); vcs {
	case "svn", "git", "hg", "bzr":
		return !plus || isAlnumString(transport)
	}
	switch scheme {
	case "http", "https", "ftp", "file", "ssh":
		return true
	}
	return false
}

// isWebLink reports whether people may be sent to a URL with a click.
func isWebLink(url string) bool {
	scheme, rest, _ := strings.Cut(url, ":")
	return (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")) && strings.HasPrefix(rest, "//")
}

// isEgg reports whether a client finds s behind "#egg=": setuptools looks for
// these characters only, and for nothing after them.
func isEgg(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isAlnum(s[i]) && strings.IndexByte("-_.+!", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// eggName is the project's name for the fragment of a development link.
func eggName(p *catalog.Project, l *catalog.Link) string {
	if isEgg(l.Egg) {
		return l.Egg
	}
	return display(p)
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isAlnumString(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return s != ""
}
