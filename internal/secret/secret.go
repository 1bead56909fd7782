// Package secret finds what may be a password or a token in an address, for
// everything that writes addresses down where others can read them.
package secret

import (
	"net/url"
	"strings"
)

// Address gives an address without what may be a secret in it, and reports
// whether there was anything. Whoever is named in front of the host is one,
// because tokens are given that way too, except the plain user of ssh. What
// cannot be taken apart is one as soon as there is an @ or a query in it.
func Address(address string) (shown string, secret bool) {
	u, err := url.Parse(address)
	if err != nil {
		scheme, _, _ := strings.Cut(address, ":")
		return scheme + "://***", strings.ContainsAny(address, "@?")
	}
	scheme := u.Scheme
	if _, transport, ok := strings.Cut(scheme, "+"); ok {
		scheme = transport
	}
	host := u.Host
	if u.User != nil {
		if _, password := u.User.Password(); password || scheme != "ssh" {
			secret = true
			host = "***@" + host
		} else {
			host = u.User.String() + "@" + host
		}
	}
	if u.RawQuery != "" && Query(u.RawQuery) {
		secret = true
	}
	shown = u.Scheme + "://" + host + u.EscapedPath()
	if u.RawQuery != "" {
		shown += "?***"
	}
	return shown, secret
}

// Query reports whether a query has a key by which tokens are given.
func Query(q string) bool {
	for pair := range strings.FieldsFuncSeq(q, func(r rune) bool { return r == '&' || r == ';' }) {
		key, _, _ := strings.Cut(pair, "=")
		if k, err := url.QueryUnescape(key); err == nil {
			key = k
		}
		if Key(key) {
			return true
		}
	}
	return false
}

// Key reports whether a key of a query is one by which tokens are given.
func Key(key string) bool {
	key = strings.ToLower(key)
	switch key {
	case "auth", "api_key", "apikey", "key", "password", "passwd", "pwd", "pass", "sig", "signature":
		return true
	}
	return strings.HasSuffix(key, "token") || strings.HasSuffix(key, "secret") || strings.HasSuffix(key, "-signature")
}
