package fetch

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"nestgen/packaging"
)

// A Root is what the root page of an index says of its projects.
type Root struct {
	ETag         string
	LastModified string

	// Serial is that of the last change of the whole index, 0 if it does not say.
	Serial int64

	// Serials are those of the last changes of the projects, of those that were
	// asked about. What is not in it the page does not name, or says no serial of.
	Serials map[packaging.Name]int64

	// Projects is how many the page names.
	Projects int

	// Size is how many bytes came, packed as they may be.
	Size int64
}

// maxRoot is how many bytes a root page may have once unpacked. None of it is
// kept but the serials, so that the page of the largest index is far below.
const maxRoot = 1 << 30

// Serials asks an index for the serials of its projects: the root page in JSON
// (PEP 691), in which the public index and those who copy it say for each project
// when it last changed. Of a project that is not in of nothing is kept; nil is
// for all. No more than most bytes are taken from the network, 0 for any number.
//
// The error matches [ErrNotModified] if the page that prev came from still holds.
// It matches [fs.ErrNotExist] if the upstream has no such page or says no
// serials, and is of kind Refused if the page has more than most bytes; Stale if
// it is older than prev.Serial, however often it is asked for.
func (s *Source) Serials(ctx context.Context, of map[packaging.Name]bool, prev Validators, most int64) (Root, error) {
	if s.local != nil || Form(s.form.Load()) == Page {
		return Root{}, s.label(fault(NotFound, "there is no page for each project, and so no page of their serials"), "", "", s.root.String())
	}
	if s.up.NoSerials {
		prev.Serial = 0
	}
	fresh := false
	root, err := retry(ctx, s, s.root.Path, func(int) (Root, error) {
		root, err := s.rootOnce(ctx, of, prev, most, fresh)
		fresh = fresh || KindOf(err) == Stale
		return root, err
	})
	if err != nil && err != ErrNotModified {
		return Root{}, s.label(err, "", "", s.root.String())
	}
	return root, err
}

func (s *Source) rootOnce(ctx context.Context, of map[packaging.Name]bool, prev Validators, most int64, fresh bool) (Root, error) {
	header := map[string]string{"Accept": typeJSON, "Accept-Encoding": "gzip"}
	prev.send(header, fresh)
	// What is too long is cut off.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := s.get(ctx, s.root.String(), header)
	if errors.Is(err, fs.ErrNotExist) || KindOf(err) == Invalid { // 404, 406 and the like
		return Root{}, fault(NotFound, "no root page in JSON: %w", errText(err))
	}
	if err != nil {
		return Root{}, err
	}
	defer resp.Body.Close()
	switch t, _ := contentType(resp.Header); {
	case resp.StatusCode == http.StatusNotModified && prev.conditional() && !fresh:
		return Root{}, ErrNotModified
	case resp.StatusCode != http.StatusOK:
		return Root{}, fault(Invalid, "%s, which was not asked for", status(resp))
	case t != typeJSON:
		return Root{}, fault(NotFound, "no root page in JSON: content type %q", clip([]byte(t)))
	case most > 0 && resp.ContentLength > most:
		return Root{}, tooLarge(most)
	}
	if n := headerSerial(resp.Header); n > 0 && n < prev.Serial {
		return Root{}, staleFault(n, prev.Serial)
	}
	wire := &counted{r: resp.Body, most: most}
	var body io.Reader = wire
	switch enc := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); enc {
	case "", "identity":
	case "gzip", "x-gzip":
		if body, err = gzip.NewReader(wire); err != nil {
			return Root{}, readFault(err)
		}
	default:
		return Root{}, fault(Invalid, "content encoding %q was not asked for", clip([]byte(enc)))
	}
	root, err := readRoot(io.LimitReader(body, maxRoot), of)
	broken, isBroken := errors.AsType[readError](err)
	switch {
	case wire.over:
		return Root{}, tooLarge(most)
	case isBroken:
		return Root{}, readFault(broken.error)
	case err != nil:
		return Root{}, fault(Invalid, "%w", err)
	case root.Projects > 0 && !root.said:
		return Root{}, fault(NotFound, "the root page says no serials")
	}
	root.Size = wire.n
	root.Serial = max(root.Serial, headerSerial(resp.Header))
	if root.Serial < prev.Serial {
		return Root{}, staleFault(root.Serial, prev.Serial)
	}
	root.ETag = headerText(resp.Header, "ETag")
	root.LastModified = headerText(resp.Header, "Last-Modified")
	return root.Root, nil
}

// errText is what is wrong by an error that gets another kind.
func errText(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Err
	}
	return err
}

func tooLarge(most int64) *Error {
	return fault(Refused, "the root page has more than the %d bytes that it is worth", most)
}

func staleFault(is, want int64) *Error {
	return transient(Stale, "serial %d, but %d was seen before: a cache in between is stale", is, want)
}

// send adds to a request's header what asks for no more than what is new. With
// fresh no cache on the way may answer: one has been seen to be stale.
func (v Validators) send(header map[string]string, fresh bool) {
	switch {
	case fresh:
		header["Cache-Control"] = "no-cache"
		header["Pragma"] = "no-cache" // for those that know HTTP/1.0 only
		return
	case v.ETag != "":
		header["If-None-Match"] = v.ETag
	}
	if v.LastModified != "" {
		header["If-Modified-Since"] = v.LastModified
	}
}

func (v Validators) conditional() bool { return v.ETag != "" || v.LastModified != "" }

// A counted reader counts what comes, and ends with an error when that is too
// much.
type counted struct {
	r    io.Reader
	n    int64
	most int64 // 0 for any number
	over bool
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.most > 0 && c.n > c.most {
		c.over = true
		return 0, fmt.Errorf("more than %d bytes", c.most)
	}
	return n, err
}
