package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"nestgen/catalog"
	"nestgen/packaging"
)

// tailSize is how much of the end of a wheel is asked for first. The longest end
// record of a zip file, with its comment and the two records before it, fits in;
// of most wheels all that is wanted does.
const tailSize = 68 << 10

// A ranged file is one of which a server sends parts. All parts are of one file:
// what says so is its size, and the ETag if there is a strong one.
type ranged struct {
	s       *Source
	ctx     context.Context
	address string
	host    string
	size    int64 // -1 until it is known
	etag    string
}

// rangedMetadata reads the METADATA of a wheel out of parts of it.
func (s *Source) rangedMetadata(ctx context.Context, name *packaging.Filename, o catalog.Offer) ([]byte, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fault(Invalid, "address %q: not a URL", redact(o.URL))
	}
	r := ranged{s: s, ctx: ctx, address: o.URL, host: u.Host, size: o.Size}
	if _, refused := s.rangeless.Load(r.host); refused && (o.Size < 0 || o.Size > tailSize) {
		return nil, noRanges("%s sends whole files when parts are asked for", r.host)
	}
	tail, err := r.tail()
	if err != nil {
		return nil, err
	}
	w := wheelEnd{size: r.size, at: r.size - int64(len(tail)), have: tail, read: r.between}
	if w.at == 0 {
		// All of it is here, so that its hashes can be checked after all.
		sums := newDigester(o.Hashes)
		sums.Write(tail)
		if _, err := sums.result(); err != nil {
			return nil, fault(Altered, "%w", err)
		}
	}
	return w.metadata(name)
}

// noRanges is the fault of a server by which no parts can be had. That there is
// no file is what the caller gets to know: it has to be fetched whole.
func noRanges(format string, args ...any) *Error { return fault(NotFound, format, args...) }

// tail gets the end of the file, and finds out how large the file is.
func (r *ranged) tail() ([]byte, error) {
	if r.size >= 0 {
		return r.part(max(0, r.size-tailSize), r.size)
	}
	data, err := r.ask(fmt.Sprintf("bytes=-%d", tailSize), func(from, to int64) bool {
		return from == max(0, r.size-tailSize) && to == r.size
	})
	if err == errRefused && r.size < 0 {
		// Some networks in front of a server know ranges by both their ends only.
		data, err = r.ask("bytes=0-0", func(from, to int64) bool { return from == 0 && to == 1 })
		if err == nil && r.size > int64(len(data)) {
			return r.part(max(0, r.size-tailSize), r.size)
		}
	}
	if err == errRefused {
		err = refusedRange()
	}
	return data, err
}

// between gets a part that follows another one.
func (r *ranged) between(from, to int64) ([]byte, error) {
	if to-from > ordinary { // as with pages, few large ones at once
		select {
		case r.s.large <- struct{}{}:
			defer func() { <-r.s.large }()
		case <-r.ctx.Done():
			return nil, context.Cause(r.ctx)
		}
	}
	return r.part(from, to)
}

// part gets the bytes from one offset up to, and without, another.
func (r *ranged) part(from, to int64) ([]byte, error) {
	data, err := r.ask(fmt.Sprintf("bytes=%d-%d", from, to-1), func(f, t int64) bool { return f == from && t == to })
	if err == errRefused {
		err = refusedRange()
	}
	return data, err
}

// errRefused is what ask gives where the server does not send that range.
var errRefused = errors.New("the server refuses to send that part of it")

func refusedRange() *Error { return noRanges("%w", errRefused) }

// ask makes one request. An answer that is not the range, or the whole of a file
// that is no longer than a tail, is not read. fits is asked once the size is
// known.
func (r *ranged) ask(want string, fits func(from, to int64) bool) ([]byte, error) {
	header := map[string]string{"Range": want}
	if r.etag != "" {
		header["If-Range"] = r.etag
	}
	// What is not read is cut off: a wheel can have gigabytes.
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	resp, err := r.s.get(ctx, r.address, header)
	if KindOf(err) == Invalid { // 416, 501, 400 and the like
		return nil, errRefused
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if isPacked(resp) {
		return nil, noRanges("the server sends the file packed")
	}
	if resp.StatusCode != http.StatusPartialContent {
		return r.whole(resp)
	}
	from, to, size, ok := contentRange(resp.Header.Get("Content-Range"))
	switch tag := resp.Header.Get("ETag"); {
	case !ok:
		return nil, noRanges("range %q was not asked for", clip([]byte(resp.Header.Get("Content-Range"))))
	case r.etag != "" && tag != "" && tag != r.etag, r.size >= 0 && r.etag != "" && size != r.size:
		return nil, transient(NotFound, "the file was replaced while parts of it were asked for")
	case r.size >= 0 && size != r.size:
		return nil, fault(Altered, "%d bytes instead of the announced %d", size, r.size)
	case size > r.s.opts.MaxFile:
		return nil, fault(Refused, "%d bytes, more than the %d that are allowed", size, r.s.opts.MaxFile)
	case isStrongETag(tag) && len(tag) <= 1024:
		r.etag = tag
	}
	r.size = size
	n := to - from
	if !fits(from, to) || resp.ContentLength >= 0 && resp.ContentLength != n {
		return nil, noRanges("range %q instead of %q", clip([]byte(resp.Header.Get("Content-Range"))), want)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(resp.Body, data); err != nil {
		return nil, readFault(err)
	}
	return data, nil
}

// whole takes the answer of a server that sends all of a file though a part was
// asked for, if that is no more than was asked for.
func (r *ranged) whole(resp *http.Response) ([]byte, error) {
	n := resp.ContentLength
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, fault(Invalid, "%s, which was not asked for", status(resp))
	case r.etag != "":
		return nil, transient(NotFound, "the file was replaced while parts of it were asked for")
	case isPage(resp):
		return nil, fault(Invalid, "a page of HTML came instead of the file")
	case n <= 0 || n > tailSize:
		r.s.rangeless.Store(r.host, true)
		return nil, noRanges("the server sends the whole file when a part is asked for")
	case r.size >= 0 && n != r.size:
		return nil, fault(Altered, "%d bytes instead of the announced %d", n, r.size)
	}
	r.size = n
	data := make([]byte, n)
	if _, err := io.ReadFull(resp.Body, data); err != nil {
		return nil, readFault(err)
	}
	return data, nil
}

// contentRange reads a Content-Range with the size of the whole (RFC 9110
// §14.4). The end is the offset behind the last byte.
func contentRange(s string) (from, to, size int64, ok bool) {
	var last int64
	n, err := fmt.Sscanf(s, "bytes %d-%d/%d", &from, &last, &size)
	ok = err == nil && n == 3 && s == fmt.Sprintf("bytes %d-%d/%d", from, last, size) && 0 <= from && from <= last && last < size
	return from, last + 1, size, ok
}
