package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"nestgen/catalog"
)

// The media types of pages, and how an installer asks for them (contract C-1).
const (
	typeJSON = "application/vnd.pypi.simple.v1+json"
	typeHTML = "application/vnd.pypi.simple.v1+html"

	acceptPage = typeJSON + ", " + typeHTML + "; q=0.1, text/html; q=0.01"
	acceptHTML = "text/html"
)

// A listed page is a listing with what was seen of its page.
type listed struct {
	catalog.Listing

	// marked says that the page itself claims to be one of an index.
	marked bool

	// left is how many files were left out because they could not be read.
	left int

	// links are all links of a page of HTML, if they were asked for.
	links []pageLink
}

// A wish is what is asked of a page.
type wish struct {
	accept string
	prev   Validators

	// most is how many bytes the page may have once unpacked; 0 is for the most
	// that any may.
	most int64

	// links wants all links of a page of HTML.
	links bool

	fresh bool // no cache may answer: one has been seen to be stale
}

// page asks for a page, as often as is worth it, and reads it.
func (s *Source) page(ctx context.Context, u *url.URL, w wish) (listed, error) {
	if s.up.NoSerials {
		w.prev.Serial = 0
	}
	if w.most == 0 {
		w.most = s.opts.MaxPage
	}
	l, err := retry(ctx, s, u.Path, func(int) (listed, error) {
		l, err := s.pageOnce(ctx, u, w)
		w.fresh = w.fresh || KindOf(err) == Stale
		return l, err
	})
	if err != nil && err != ErrNotModified {
		if e, ok := errors.AsType[*Error](err); ok && e.URL == "" {
			e.URL = redact(u.String())
		}
	}
	return l, err
}

// pageOnce makes one request for a page.
func (s *Source) pageOnce(ctx context.Context, u *url.URL, w wish) (listed, error) {
	prev := w.prev
	header := map[string]string{"Accept": w.accept, "Accept-Encoding": "gzip"}
	prev.send(header, w.fresh)
	resp, err := s.get(ctx, u.String(), header)
	if err != nil {
		return listed{}, err
	}
	defer resp.Body.Close()
	final := resp.Request.URL
	switch {
	case resp.StatusCode == http.StatusNotModified && prev.conditional() && !w.fresh:
		return listed{}, ErrNotModified
	case resp.StatusCode != http.StatusOK:
		return listed{}, fault(Invalid, "%s, which was not asked for", status(resp))
	}
	serial := headerSerial(resp.Header)
	if serial > 0 && serial < prev.Serial {
		return listed{}, staleFault(serial, prev.Serial)
	}
	mediaType, params := contentType(resp.Header)
	if mediaType != typeJSON && mediaType != typeHTML && mediaType != "text/html" {
		return listed{}, fault(Invalid, "content type %q: not a page of an index", clip([]byte(mediaType)))
	}
	buf := pageBuffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= 4<<20 {
			buf.Reset()
			pageBuffers.Put(buf)
		}
	}()
	framed, done, err := s.readPage(ctx, buf, resp, w.most)
	defer done()
	if err != nil {
		return listed{}, err
	}
	var l listed
	if mediaType == typeJSON {
		l, err = readJSON(buf.Bytes(), final)
	} else {
		p := htmlPage{base: final}
		text, warning := decodeHTML(buf.Bytes(), params["charset"])
		if warning != "" {
			p.warn("%s", warning)
		}
		p.list.FinalURL = redact(final.String())
		err = p.read(text)
		l = listed{Listing: p.list, marked: p.marked, left: p.left}
		if w.links && err == nil {
			l.links = readLinks(text, p.links)
		}
		if !framed && err == nil && !hasEnd(text) {
			// Nothing says how long the page is, so that one that broke off
			// would look like one with fewer links.
			err = errors.New("the page may have broken off: it has neither a length nor an end")
		}
	}
	if err != nil {
		e := fault(Invalid, "%w", err)
		e.again = !framed
		e.URL = redact(final.String())
		return listed{}, e
	}
	if l.Serial > 0 && l.Serial < prev.Serial {
		return listed{}, staleFault(l.Serial, prev.Serial)
	}
	l.Serial = max(l.Serial, serial)
	l.ETag = headerText(resp.Header, "ETag")
	l.LastModified = headerText(resp.Header, "Last-Modified")
	return l, nil
}

var pageBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// ordinary is the size of pages that any number of requests may hold at once.
// Of larger ones there are few, and a hostile server could fill the memory with
// them: they are read two at a time.
const ordinary = 4 << 20

// readPage reads the whole of a page, unpacked, up to the limit. It says
// whether something else than the end of the connection marks its end. The
// function that it gives is to be called when the page is not needed any more.
func (s *Source) readPage(ctx context.Context, buf *bytes.Buffer, resp *http.Response, limit int64) (framed bool, done func(), err error) {
	done = func() {}
	framed = resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0 || resp.ProtoMajor >= 2
	var body io.Reader = resp.Body
	switch enc := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); enc {
	case "", "identity":
		if n := resp.ContentLength; n > limit {
			return framed, done, fault(Invalid, "page of %d bytes, more than %d", n, limit)
		} else if n > 0 {
			buf.Grow(int(min(n, ordinary)) + bytes.MinRead)
		}
	case "gzip", "x-gzip":
		framed = true // gzip has a check of its own at its end
		z, err := gzip.NewReader(resp.Body)
		if err != nil {
			return framed, done, readFault(err)
		}
		body = z
	default:
		return framed, done, fault(Invalid, "content encoding %q was not asked for", clip([]byte(enc)))
	}
	most := limit + 1
	n, err := buf.ReadFrom(io.LimitReader(body, min(most, ordinary)))
	if err == nil && n == ordinary && most > ordinary {
		select {
		case s.large <- struct{}{}:
			done = func() { <-s.large }
		case <-ctx.Done():
			return framed, done, context.Cause(ctx)
		}
		var more int64
		more, err = buf.ReadFrom(io.LimitReader(body, most-ordinary))
		n += more
	}
	if err != nil {
		return framed, done, readFault(err)
	}
	if n > limit {
		return framed, done, fault(Invalid, "page of more than %d bytes", limit)
	}
	return framed, done, nil
}

// readFault classifies the error of reading a body.
func readFault(err error) *Error {
	e := classify(err)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return transient(Unreachable, "the answer broke off")
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return transient(Invalid, "%w", err)
	}
	if e.Kind == Storage {
		return transient(Unreachable, "%w", e.Err) // an errno of a socket
	}
	return e
}

// hasEnd reports whether an HTML page ends as one does.
func hasEnd(text []byte) bool {
	tail := bytes.ToLower(text[max(0, len(text)-4096):])
	return bytes.Contains(tail, []byte("</html")) || bytes.Contains(tail, []byte("</body"))
}

// contentType gives the media type of an answer in lower case, and its
// parameters as far as they can be read.
func contentType(h http.Header) (string, map[string]string) {
	v := h.Get("Content-Type")
	t, params, err := mime.ParseMediaType(v)
	if err != nil {
		t, _, _ = strings.Cut(v, ";")
		t = strings.ToLower(strings.TrimSpace(t))
		params = map[string]string{"charset": charsetOf(v)}
	}
	return t, params
}

// headerSerial reads X-PyPI-Last-Serial, 0 if there is none.
func headerSerial(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("X-PyPI-Last-Serial"), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// headerText gives a header to be sent back later, empty if it is not fit for
// that.
func headerText(h http.Header, name string) string {
	v := h.Get(name)
	if len(v) > 1024 {
		return ""
	}
	for i := 0; i < len(v); i++ {
		if v[i] < ' ' || v[i] == 0x7f {
			return ""
		}
	}
	return v
}
