package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What the variables of a request may measure, in bytes. Both web servers take
// less from their clients unless they are told otherwise.
const (
	maxPath      = 2 << 10
	maxURI       = 16 << 10
	maxVariables = 64 << 10 // all that are read of one request
	maxHost      = 255 + len(":65535")
	maxUser      = 255
	maxMethod    = 32
)

// A variable is one that a request is made of, besides the fields of its header.
type variable int

const (
	requestMethod variable = iota
	scriptName
	pathInfo
	requestURI
	queryString
	serverProtocol
	serverName
	serverPort
	https
	requestScheme
	contentType
	contentLength
	remoteAddr
	remotePort
	remoteUser
	authType
	nestgenAuth
	variableCount
)

func variableOf(name string) (variable, bool) {
	switch name {
	case "REQUEST_METHOD":
		return requestMethod, true
	case "SCRIPT_NAME":
		return scriptName, true
	case "PATH_INFO":
		return pathInfo, true
	case "REQUEST_URI":
		return requestURI, true
	case "QUERY_STRING":
		return queryString, true
	case "SERVER_PROTOCOL":
		return serverProtocol, true
	case "SERVER_NAME":
		return serverName, true
	case "SERVER_PORT":
		return serverPort, true
	case "HTTPS":
		return https, true
	case "REQUEST_SCHEME":
		return requestScheme, true
	case "CONTENT_TYPE":
		return contentType, true
	case "CONTENT_LENGTH":
		return contentLength, true
	case "REMOTE_ADDR":
		return remoteAddr, true
	case "REMOTE_PORT":
		return remotePort, true
	case "REMOTE_USER":
		return remoteUser, true
	case "AUTH_TYPE":
		return authType, true
	case "NESTGEN_AUTH":
		return nestgenAuth, true
	}
	return 0, false
}

// An environment is the variables of one request. Of two values for one name
// the first counts, as it does for programs under fcgiwrap. The zero value is
// ready for use.
type environment struct {
	values [variableCount]string
	known  [variableCount]bool

	host    string
	hasHost bool
	chunked bool // the client has sent a Transfer-Encoding
	header  http.Header
	fields  []string // what the values of header are slices of
	size    int
}

// A refusal is an answer of the gateway itself.
type refusal struct {
	status int
	reason string
}

func (r *refusal) Error() string { return r.reason }

func refuse(status int, reason string) error { return &refusal{status, reason} }

// add takes a variable; names that say nothing about a request are passed over.
func (e *environment) add(name, value string) {
	if field, ok := strings.CutPrefix(name, "HTTP_"); ok {
		e.size += len(name) + len(value)
		e.addField(field, value)
		return
	}
	v, ok := variableOf(name)
	if !ok || e.known[v] {
		return
	}
	e.size += len(name) + len(value)
	e.values[v], e.known[v] = value, true
}

func (e *environment) addField(field, value string) {
	switch field {
	case "PROXY":
		return // would say which proxy our own requests take, were it a variable (httpoxy)
	case "CONTENT_TYPE", "CONTENT_LENGTH", "TRAILER":
		return // nginx passes the first two under both of their names
	case "TRANSFER_ENCODING":
		e.chunked = true // and undone by the server
		return
	case "HOST":
		if !e.hasHost {
			e.host, e.hasHost = value, true
		}
		return
	}
	name, ok := fieldName(field)
	if !ok {
		return
	}
	if e.header == nil {
		e.header = make(http.Header, 16)
		e.fields = make([]string, 0, 16)
	}
	if _, ok := e.header[name]; ok {
		return
	}
	e.setField(name, value)
}

func (e *environment) setField(name, value string) {
	n := len(e.fields)
	e.fields = append(e.fields, value)
	e.header[name] = e.fields[n : n+1 : n+1]
}

// fieldName gives the canonical name of the field that the rest of a variable's
// name stands for: ACCEPT_ENCODING for Accept-Encoding.
func fieldName(s string) (string, bool) {
	if s == "" || len(s) > 64 {
		return "", false
	}
	b := make([]byte, len(s))
	first := true
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '_':
			b[i], first = '-', true
			continue
		case 'A' <= c && c <= 'Z':
			if !first {
				c += 'a' - 'A'
			}
		case c < '0' || c > '9':
			return "", false
		}
		b[i], first = c, false
	}
	return string(b), true
}

// request makes the request. The error is a [refusal].
func (e *environment) request(ctx context.Context, prefixes []string, stdin io.Reader) (*http.Request, error) {
	if e.size > maxVariables {
		return nil, refuse(http.StatusRequestHeaderFieldsTooLarge, "Request header too large")
	}
	get := func(v variable) string { return e.values[v] }

	method := get(requestMethod)
	if len(method) > maxMethod || !isToken(method) {
		return nil, refuse(http.StatusBadRequest, "Invalid method")
	}
	path, ok := requestPath(get(scriptName), get(pathInfo), prefixes)
	if !ok {
		return nil, refuse(http.StatusNotFound, "Not Found")
	}
	u, uri, err := e.url(path)
	if err != nil {
		return nil, err
	}
	host, ok := e.hostName()
	if !ok {
		return nil, refuse(http.StatusBadRequest, "Invalid Host")
	}
	for _, v := range e.fields {
		if !isFieldValue(v) {
			return nil, refuse(http.StatusBadRequest, "Invalid header field")
		}
	}
	if e.header == nil {
		e.header = make(http.Header)
	}
	if v := get(contentType); v != "" {
		if !isFieldValue(v) {
			return nil, refuse(http.StatusBadRequest, "Invalid Content-Type")
		}
		e.setField("Content-Type", v)
	}
	length, err := e.bodyLength(method)
	if err != nil {
		return nil, err
	}
	caller, err := e.caller()
	if err != nil {
		return nil, err
	}

	r := &http.Request{
		Method:        method,
		URL:           u,
		Header:        e.header,
		Body:          http.NoBody,
		ContentLength: length,
		Host:          host,
		RequestURI:    uri,
	}
	switch {
	case length > 0:
		r.Body = &body{r: stdin, left: length}
	case length < 0:
		r.Body = &body{r: stdin, left: -1}
	}
	r.Proto, r.ProtoMajor, r.ProtoMinor = protocol(get(serverProtocol))
	if caller.TLS {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	}
	if addr, err := netip.ParseAddr(get(remoteAddr)); err == nil {
		port := "0"
		if isNumber(get(remotePort)) {
			port = get(remotePort)
		}
		r.RemoteAddr = net.JoinHostPort(addr.String(), port)
	}
	return r.WithContext(With(ctx, caller)), nil
}

// requestPath gives the path that is asked for: the two variables in a row,
// without the first of the prefixes that it begins with.
func requestPath(script, info string, prefixes []string) (string, bool) {
	if script == "/" && info != "" {
		script = ""
	}
	if script != "" && script[0] != '/' || info != "" && info[0] != '/' || len(script)+len(info) > maxPath {
		return "", false
	}
	path := script + info
	for _, prefix := range prefixes {
		if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(prefix, "/")); ok && (rest == "" || rest[0] == '/') {
			path = rest
			break
		}
	}
	if path == "" {
		return "/", true
	}
	return path, isPath(path)
}

// isPath reports whether a decoded path says one thing to everybody.
func isPath(p string) bool {
	for i := range len(p) {
		if c := p[i]; c < ' ' || c == 0x7f || c == '\\' {
			return false
		}
	}
	for rest, more := p[1:], p != "/"; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if segment == "" && more || segment == "." || segment == ".." {
			return false
		}
	}
	return utf8.ValidString(p)
}

// url gives the URL with a path, and it as the client has spelled it, query and
// all, which is for logs: the path is what counts.
func (e *environment) url(path string) (*url.URL, string, error) {
	uri := e.values[requestURI]
	if len(uri) > maxURI || len(e.values[queryString]) > maxURI {
		return nil, "", refuse(http.StatusRequestURITooLong, "Request-URI too long")
	}
	raw, query, _ := strings.Cut(uri, "?")
	if e.known[queryString] {
		query = e.values[queryString]
	}
	if !isVisible(query) {
		return nil, "", refuse(http.StatusBadRequest, "Invalid query")
	}
	u := &url.URL{Path: path, RawQuery: query}
	if raw != path && len(raw) <= 3*maxPath {
		// A spelling of its own is kept where it means this very path.
		if p, err := url.PathUnescape(raw); err == nil && p == path && u.EscapedPath() != raw {
			u.RawPath = raw
		}
	}
	if uri == "" || uri[0] != '/' || !isVisible(uri) {
		uri = u.RequestURI()
	}
	return u, uri, nil
}

// hostName gives the host that was asked for, as the client spells it.
func (e *environment) hostName() (string, bool) {
	if e.hasHost && e.host != "" {
		return e.host, isHost(e.host)
	}
	name := e.values[serverName]
	if !isHost(name) {
		return "", true // a catch-all host of Apache or nginx: "_", an address without brackets
	}
	if port := e.values[serverPort]; port != "80" && port != "443" && isNumber(port) && !strings.Contains(name, ":") {
		name += ":" + port
	}
	return name, true
}

// bodyLength gives how many bytes the body has; -1 if it goes on to the end of
// its stream, as it does when Apache has undone the chunks of an upload.
func (e *environment) bodyLength(method string) (int64, error) {
	s := e.values[contentLength]
	switch {
	case isNumber(s):
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, refuse(http.StatusBadRequest, "Invalid Content-Length")
		}
		return n, nil
	case s != "":
		return 0, refuse(http.StatusBadRequest, "Invalid Content-Length")
	case e.chunked, method == http.MethodPost, method == http.MethodPut, method == http.MethodPatch:
		return -1, nil
	}
	return 0, nil
}

func (e *environment) caller() (Caller, error) {
	var c Caller
	if e.values[authType] != "" || e.values[nestgenAuth] == "server" {
		c.RemoteUser = e.values[remoteUser]
		if len(c.RemoteUser) > maxUser || !isFieldValue(c.RemoteUser) || !utf8.ValidString(c.RemoteUser) {
			return Caller{}, refuse(http.StatusBadRequest, "Invalid user")
		}
	}
	switch h := e.values[https]; {
	case h == "":
		c.TLS = strings.EqualFold(e.values[requestScheme], "https")
	default:
		c.TLS = strings.EqualFold(h, "on") || h == "1"
	}
	if addr, err := netip.ParseAddr(e.values[remoteAddr]); err == nil && addr.Unmap().IsLoopback() {
		c.Loopback = true
		for _, field := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
			if _, ok := e.header[field]; ok {
				c.Loopback = false
			}
		}
	}
	return c, nil
}

// protocol gives the version of HTTP that the client speaks; 1.0, which
// promises least, if the variable is none.
func protocol(s string) (string, int, int) {
	switch s {
	case "HTTP/1.1":
		return s, 1, 1
	case "HTTP/2.0", "HTTP/2":
		return "HTTP/2.0", 2, 0
	case "HTTP/3.0", "HTTP/3":
		return "HTTP/3.0", 3, 0
	}
	return "HTTP/1.0", 1, 0
}

// A body is what the client has sent.
type body struct {
	r    io.Reader
	left int64 // how many bytes are to come; -1 for all there are
	err  error
}

func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.err != nil:
		return 0, b.err
	case b.left == 0:
		return 0, io.EOF
	case b.left > 0 && int64(len(p)) > b.left:
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
		if err == io.EOF {
			err = nil
			if b.left > 0 {
				err = fmt.Errorf("request body: %d bytes missing: %w", b.left, io.ErrUnexpectedEOF)
			}
		}
	}
	b.err = err
	return n, err
}

// Close ends the body; what is left of it is not read.
func (b *body) Close() error {
	if b.err == nil {
		b.err = http.ErrBodyReadAfterClose
	}
	return nil
}

func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// isFieldValue reports whether s may be the value of a field (RFC 9110, 5.5).
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isVisible reports whether s has neither spaces nor control characters.
func isVisible(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// isHost reports whether s is a host with or without a port.
func isHost(s string) bool {
	if len(s) > maxHost {
		return false
	}
	var port string
	var hasPort bool
	if rest, ok := strings.CutPrefix(s, "["); ok {
		var addr string
		addr, rest, ok = strings.Cut(rest, "]")
		if a, err := netip.ParseAddr(addr); !ok || err != nil || !a.Is6() || a.Zone() != "" {
			return false
		}
		if rest == "" {
			return true
		}
		if port, ok = strings.CutPrefix(rest, ":"); !ok {
			return false
		}
		return port == "" || isNumber(port) && len(port) <= 5
	}
	s, port, hasPort = strings.Cut(s, ":")
	if hasPort && port != "" && (!isNumber(port) || len(port) > 5) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_') {
			return false
		}
	}
	return s != ""
}
