package fetch

import (
	"fmt"
	"net/url"
	"strings"

	"nestgen/catalog"
	"nestgen/internal/tame"
)

// maxURL is the longest address of a file that is taken, in bytes.
const maxURL = 8 << 10

// redact makes an address fit to be written down: without user information,
// query and fragment, any of which may hold a secret.
func redact(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		if i := strings.LastIndexByte(s, '@'); i >= 0 {
			scheme, _, _ := strings.Cut(s[:min(i, 10)], ":")
			return quoteless(scheme) + "://…@…"
		}
		s, _, _ = strings.Cut(s, "?")
		return quoteless(s)
	}
	if u.Host == "" && u.Scheme != "file" {
		return quoteless(s)
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	return u.String()
}

// quoteless makes a text fit for a line of a report, without quotes.
func quoteless(s string) string {
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return tame.Text(s)
}

// A resolver makes the links of one page absolute.
type resolver struct {
	base *url.URL // nil if the page has a base that cannot be used

	// local allows file: addresses, for pages that are files themselves.
	local bool
}

// resolve gives a link as an absolute address without user information, and
// the link's fragment. It does little when the link has that form already, as
// on most pages.
func (r *resolver) resolve(link string) (address, fragment string, err error) {
	link = strings.Trim(link, " \t\r\n\f")
	if len(link) > maxURL {
		return "", "", fmt.Errorf("address of %d bytes", len(link))
	}
	link, fragment, _ = strings.Cut(link, "#")
	if isPlain(link) {
		return link, fragment, nil
	}
	u, err := url.Parse(link)
	if err != nil {
		return "", "", fmt.Errorf("address %q: not a URL", redact(link))
	}
	if !u.IsAbs() {
		if r.base == nil {
			return "", "", fmt.Errorf("address %q: relative, and the page's base is not a usable one", redact(link))
		}
		u = r.base.ResolveReference(u)
	} else if u.Opaque == "" && u.Host != "" {
		u = u.ResolveReference(&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery})
	}
	switch {
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
	case u.Scheme == "file" && u.Host == "" && r.local:
	default:
		return "", "", fmt.Errorf("address %q: neither http nor https", redact(link))
	}
	u.User = nil
	return u.String(), fragment, nil
}

// isPlain reports whether an address is absolute, of a web server, without user
// information, and spelled as url.URL.String would spell it.
func isPlain(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(s, "http://"); !ok {
			return false
		}
	}
	slash := strings.IndexByte(rest, '/')
	if slash <= 0 {
		return false
	}
	for i := 0; i < slash; i++ {
		if plain[rest[i]]&hostByte == 0 {
			return false
		}
	}
	dots := false
	for i := slash; i < len(rest); i++ {
		c := rest[i]
		if plain[c]&pathByte == 0 {
			return false
		}
		dots = dots || c == '.' && rest[i-1] == '/'
	}
	return !dots
}

const (
	hostByte = 1 << iota
	pathByte
)

var plain = func() (t [256]uint8) {
	for c := range t {
		switch b := byte(c); {
		case 'a' <= b && b <= 'z', '0' <= b && b <= '9', b == '-', b == '.':
			t[c] = hostByte | pathByte
		case 'A' <= b && b <= 'Z', b == '_', b == '~', b == '+', b == '/':
			t[c] = pathByte
		case b == ':':
			t[c] = hostByte // a port
		}
	}
	return t
}()

// filename gives the name of the file at an address: the last segment of its
// path, decoded once (contract C-10). It is empty for a folder.
func filename(address string) string {
	if i := strings.IndexByte(address, '?'); i >= 0 {
		address = address[:i]
	}
	i := strings.LastIndexByte(address, '/')
	if i < 1 || address[i-1] == '/' && strings.HasSuffix(address[:i-1], ":") {
		return "" // no path behind the host
	}
	name := address[i+1:]
	if strings.IndexByte(name, '%') < 0 {
		return name
	}
	name, err := url.PathUnescape(name)
	if err != nil {
		return ""
	}
	return name
}

// setFragment reads the hashes out of a link's fragment (contract C-11). What
// else stands there says nothing about the file.
func setFragment(o *catalog.Offer, fragment string) {
	for fragment != "" {
		var part string
		part, fragment, _ = strings.Cut(fragment, "&")
		algorithm, value, ok := strings.Cut(part, "=")
		if !ok {
			continue
		}
		algorithm = strings.ToLower(algorithm)
		if hashSize(algorithm) == 0 || len(o.Hashes) == maxHashes {
			continue
		}
		if o.Hashes == nil {
			o.Hashes = make(map[string]string, 1)
		}
		if _, ok := o.Hashes[algorithm]; !ok {
			o.Hashes[algorithm] = strings.ToLower(value)
		}
	}
}

// parseAddress reads the address of a file.
func parseAddress(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fault(Invalid, "address %q: not a URL", redact(s))
	}
	switch {
	case u.User != nil:
		return nil, fault(Refused, "address %q carries user information", redact(s))
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", u.Scheme == "file" && u.Host == "":
		return u, nil
	}
	return nil, fault(Refused, "address %q: neither http nor https", redact(s))
}

// withSuffix gives the address of what stands beside a file.
func withSuffix(address, suffix string) (string, error) {
	u, err := parseAddress(address)
	if err != nil {
		return "", err
	}
	u.Path += suffix
	if u.RawPath != "" {
		u.RawPath += suffix
	}
	return u.String(), nil
}
