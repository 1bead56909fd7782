package access

import (
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// A Request is what a decision needs to know of an HTTP request.
type Request struct {
	// Authorization is the header of that name, empty if there is none.
	Authorization string

	// RemoteUser is whom the web server has authenticated. It counts only
	// where the [Gate] trusts it.
	RemoteUser string

	// Secure says that nobody between client and server can read along: the
	// connection is TLS, or does not leave the machine.
	Secure bool

	// Host is what the client takes the server for, as host or host:port.
	Host string

	// FetchSite and Origin are the headers Sec-Fetch-Site and Origin, by
	// which browsers say which site's page makes them send something.
	FetchSite, Origin string
}

// RequestOf takes a Request from r, without RemoteUser, which is not part of
// HTTP. A connection from a loopback address counts as secure unless the headers
// say that a proxy made it for somebody else; whoever runs such a proxy with TLS
// in front sets Secure.
func RequestOf(r *http.Request) Request {
	return Request{
		Authorization: r.Header.Get("Authorization"),
		Secure:        r.TLS != nil || isLoopback(r.RemoteAddr) && !isForwarded(r.Header),
		Host:          r.Host,
		FetchSite:     r.Header.Get("Sec-Fetch-Site"),
		Origin:        r.Header.Get("Origin"),
	}
}

// isLoopback reads an address with or without a port, as servers and CGI have
// it.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}

func isForwarded(h http.Header) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}

// foreign reports whether a page of another site makes a browser send the
// request. Upload clients send neither header. origins are the addresses of the
// site; if there are none, the request's own host is it.
func (r Request) foreign(origins []string) bool {
	switch strings.ToLower(r.FetchSite) {
	case "", "none", "same-origin":
	default:
		return true
	}
	if r.Origin == "" {
		return false
	}
	from, ok := originOf(r.Origin)
	if !ok {
		return true // "null" is one
	}
	for _, o := range origins {
		if ours, ok := originOf(o); ok && ours == from {
			return false
		}
	}
	if len(origins) > 0 {
		return true
	}
	// Which scheme the client used may be known to a proxy alone.
	scheme, _, _ := strings.Cut(from, ":")
	ours, ok := originOf(scheme + "://" + r.Host)
	return !ok || ours != from
}

// originOf gives scheme, host and port of an address in one spelling.
func originOf(address string) (origin string, ok bool) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return "", false
	}
	port := u.Port()
	switch {
	case u.Scheme == "http" && port == "":
		port = "80"
	case u.Scheme == "https" && port == "":
		port = "443"
	case u.Scheme != "http" && u.Scheme != "https":
		return "", false
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port), true
}

// maxHeader is how long a header with credentials may be.
const maxHeader = 4096

var errCredentials = errors.New("the Authorization header cannot be read")

// parseAuthorization gives the secret of a header: the password of Basic (RFC
// 7617), whoever the user is said to be, or the token of Bearer (RFC 6750).
// Blanks around it come from copying. The error tells nothing of the header.
func parseAuthorization(header string) (secret string, err error) {
	if len(header) > maxHeader {
		return "", errCredentials
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		secret = rest
	case strings.EqualFold(scheme, "Basic"):
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(rest, "="))
		if err != nil {
			return "", errCredentials
		}
		_, password, ok := strings.Cut(string(b), ":")
		if !ok {
			return "", errCredentials
		}
		secret = strings.TrimSpace(password)
	}
	if secret == "" {
		return "", errCredentials
	}
	return secret, nil
}
