package serve

import (
	"net/http"
	"strconv"
	"strings"
)

// A form is one of those that a page of the simple API comes in (PEP 691).
type form uint8

const (
	plainHTML form = iota // text/html
	v1HTML                // application/vnd.pypi.simple.v1+html, the same bytes
	v1JSON
)

// formOf gives the form that a request gets: JSON if the client names its type,
// else the versioned HTML likewise, else plain HTML. A weight matters only when
// it is zero; the specification lets the server choose among what is listed.
// "*/*" is plain HTML on purpose: clients that send it read nothing else.
func formOf(h http.Header) form {
	best := plainHTML
	for mediaType := range elements(h, "Accept") {
		switch mediaType {
		case "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.latest+json":
			best = v1JSON
		case "application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.latest+html":
			best = max(best, v1HTML)
		}
	}
	return best
}

// acceptsGzip reports whether a request names gzip among its encodings.
func acceptsGzip(h http.Header) bool {
	for coding := range elements(h, "Accept-Encoding") {
		if coding == "gzip" || coding == "x-gzip" {
			return true
		}
	}
	return false
}

// elements walks over the values of a header that is a list with weights
// (RFC 9110, 12.4.2), in lower case, without those of weight zero.
func elements(h http.Header, name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, line := range h.Values(name) {
			for element := range strings.SplitSeq(line, ",") {
				value, parameters, _ := strings.Cut(element, ";")
				if refused(parameters) {
					continue
				}
				if value = strings.ToLower(strings.TrimSpace(value)); value != "" && !yield(value) {
					return
				}
			}
		}
	}
}

// refused reports whether the parameters of a list element have the weight zero.
func refused(parameters string) bool {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return err == nil && q == 0
		}
	}
	return false
}
