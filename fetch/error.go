package fetch

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"nestgen/packaging"
)

// ErrNotModified is matched by the error of a listing that is the same as the
// one that the validators came from.
var ErrNotModified = errors.New("not modified")

// A Kind says what sort of thing went wrong, so that the caller can tell what
// to do about it.
type Kind uint8

// The kinds of errors.
const (
	// Unreachable: no connection, no answer in time, an answer that broke off,
	// or a server that keeps failing. Trying again later may help.
	Unreachable Kind = iota + 1

	// NotFound: the upstream does not know the project or the file (404).
	NotFound

	// Gone: the upstream says that it was removed for good (410).
	Gone

	// Denied: the upstream wants other credentials (401, 403, 407).
	Denied

	// Refused: a rule of this package forbids it, whatever the upstream
	// says: a redirect from https to http, an address in a private network, a
	// file larger than allowed, a file without the hashes that are required.
	Refused

	// Invalid: the answer is not what was asked for: another content type, a
	// page that breaks the rules, a range that nobody asked for.
	Invalid

	// Altered: the bytes came whole, twice, and are not those that the
	// upstream announced. Somebody should look at it.
	Altered

	// Stale: the answer is older than what is known already.
	Stale

	// Storage: a local disk failed.
	Storage

	// Stopped: the context ended.
	Stopped
)

var kindNames = [...]string{
	"error", "unreachable", "not found", "gone", "denied", "refused", "invalid", "altered", "stale", "storage", "stopped",
}

// String gives the kind's name for reports.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[0]
}

// An Error says what could not be had from an upstream. It matches
// [fs.ErrNotExist] when its kind is NotFound or Gone.
type Error struct {
	// Upstream is the name of the upstream.
	Upstream string

	// Project is set for a listing, Filename for a file.
	Project  packaging.Name
	Filename string

	// URL has no user information, no query and no fragment.
	URL  string
	Kind Kind
	Err  error

	// again says that another attempt may succeed.
	again bool
}

// Error names the upstream, what was asked for and the fault.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Upstream)
	switch {
	case e.Filename != "":
		b.WriteString(": " + e.Filename)
	case e.Project != "":
		b.WriteString(": " + string(e.Project))
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if e.URL != "" {
		fmt.Fprintf(&b, " (%s)", e.URL)
	}
	return b.String()
}

// Unwrap gives Err, unless that says of a file of this machine that it is not
// there: what an upstream has is not told by a folder that is not mounted.
func (e *Error) Unwrap() error {
	if e.Kind != NotFound && e.Kind != Gone && errors.Is(e.Err, fs.ErrNotExist) {
		return nil
	}
	return e.Err
}

// Is makes the two kinds that mean "not there" match [fs.ErrNotExist].
func (e *Error) Is(target error) bool {
	return target == fs.ErrNotExist && (e.Kind == NotFound || e.Kind == Gone)
}

// KindOf gives the kind of the [*Error] in err's tree, or 0.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return 0
}

// fault makes an Error of which only what went wrong is known; the rest is
// filled in by label.
func fault(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}

// transient is a fault that another attempt may cure.
func transient(k Kind, format string, args ...any) *Error {
	e := fault(k, format, args...)
	e.again = true
	return e
}

// label makes err an Error of this source.
func (s *Source) label(err error, n packaging.Name, filename, url string) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = classify(err)
	}
	e.Upstream = s.up.Name
	e.Project = n
	e.Filename = filename
	if e.URL == "" {
		e.URL = redact(url)
	}
	s.veil.hideError(e)
	return e
}
