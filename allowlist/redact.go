package allowlist

import "strings"

// redact blots out what may be secret in the URLs of a text: in user:password@
// the password, and a user without a password too, since tokens are written
// there. The one name that is kept is the user of an ssh URL, which is no
// secret.
func redact(s string) string {
	if !strings.Contains(s, "//") || !strings.Contains(s, "@") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "//")
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		i += len("//")
		b.WriteString(s[:i])
		scheme := s[:i-len("//")]
		s = s[i:]
		end := userinfoEnd(s)
		if end < 0 {
			continue
		}
		user, _, secret := strings.Cut(s[:end], ":")
		switch {
		case secret:
			b.WriteString(user + ":****")
		case strings.HasSuffix(scheme, "ssh:"):
			b.WriteString(user)
		default:
			b.WriteString("****")
		}
		s = s[end:]
	}
}

// userinfoEnd gives the place of the @ that ends the user and password at the
// start of what follows "//", or -1. A password with a slash in it breaks the
// URL but is a password still: where the host seems to have a port that is not
// a number, everything up to the last @ of the word is taken for one.
func userinfoEnd(s string) int {
	word := s
	if i := strings.IndexFunc(s, func(r rune) bool { return isSpace(r) || r == '"' || r == '\'' }); i >= 0 {
		word = s[:i]
	}
	host := word
	if i := strings.IndexAny(word, "/?#"); i >= 0 {
		host = word[:i]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		return i
	}
	if _, port, ok := strings.Cut(host, ":"); ok && strings.Trim(port, "0123456789") != "" {
		return strings.LastIndexByte(word, '@')
	}
	return -1
}
