package allowlist

import (
	"net/url"
	"regexp"
	"strings"

	"nestgen/internal/secret"
)

// redact blots out what may be secret in the URLs of a text: in user:password@
// the password, and a user without a password too, since tokens are written
// there, and in a query the values of keys by which tokens are given. The one name that is kept is the user of an ssh URL, which is no
// secret.
func redact(s string) string {
	return redactUsers(redactQueries(s))
}

// redactQueries blots out the values of the keys of a query by which tokens are
// given.
func redactQueries(s string) string {
	if !strings.Contains(s, "//") || !strings.Contains(s, "?") {
		return s
	}
	return queryValue.ReplaceAllStringFunc(s, func(pair string) string {
		key, _, _ := strings.Cut(pair[1:], "=")
		if k, err := url.QueryUnescape(key); err == nil && !secret.Key(k) {
			return pair
		}
		return pair[:len(key)+2] + "****"
	})
}

// queryValue matches a key of a query and its value.
var queryValue = regexp.MustCompile(`[?&;][^=&;#?\s"']+=[^&;#\s"']+`)

func redactUsers(s string) string {
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
		user, _, password := strings.Cut(s[:end], ":")
		switch {
		case password:
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
