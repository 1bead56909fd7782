package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/cavaliergopher/grab/v3"

	"nestgen/catalog"
)

// A transfer is the download of one file, over all its attempts.
type transfer struct {
	s     *Source
	offer catalog.Offer
	part  partial
	limit int64
	meter Meter
	begun func(part string, size int64) // may be nil

	attempts int
	altered  int // attempts that brought other bytes than announced
}

// errBadPartial is matched by the error of an attempt that shows that the
// partial download that it began with is of no use.
var errBadPartial = errors.New("the partial download cannot be taken up again")

// attempt tries to download the file. A partial download that turns out to be
// of no use is no attempt of its own: the file is asked for anew at once.
func (t *transfer) attempt(ctx context.Context) (Result, error) {
	t.attempts++
	r, err := t.once(ctx)
	if errors.Is(err, errBadPartial) {
		t.part.remove()
		r, err = t.once(ctx)
	}
	if KindOf(err) == Altered {
		t.altered++
		// The bytes may have been damaged on their way. Twice the same fault
		// is none of the way's.
		e, _ := errors.AsType[*Error](err)
		e.again = t.altered < 2
	}
	return r, err
}

// once makes one request for the file, or for what is missing of it. If it
// fails, the partial download stands only if it can be taken up again.
func (t *transfer) once(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var rec record
	var have int64
	var resume bool
	if t.part.recorded {
		rec, have, resume = t.part.load(t.offer.URL, t.offer.Size)
	} else if err := t.part.remove(); err != nil {
		return Result{}, fault(Storage, "%w", err)
	}
	b := &body{sums: newDigester(t.offer.Hashes), total: t.offer.Size, limit: t.limit, meter: t.meter, ctx: ctx}
	door := &door{t: t, body: b, have: have, record: rec}
	if resume {
		b.total = rec.Size
		if err := t.part.hash(b.sums, have); err != nil {
			return Result{}, fmt.Errorf("%w: %w", errBadPartial, err)
		}
	}
	if t.meter != nil {
		t.meter.Set(have)
	}
	req, err := grab.NewRequest(t.part.name, t.offer.URL)
	if err != nil {
		return Result{}, fault(Invalid, "address: %v", err)
	}
	req = req.WithContext(ctx)
	req.IgnoreRemoteTime = true
	req.NoCreateDirectories = true
	req.NoResume = !resume
	req.Size = max(b.total, 0) // 0 is unknown
	req.BufferSize = bufferSize(b.total)
	client := grab.Client{HTTPClient: door, UserAgent: t.s.opts.UserAgent}
	err = client.Do(req).Err()
	var r Result
	switch {
	case err == nil:
		if r, err = b.result(); err == nil {
			// The bytes that came are right; those on the disk must be as many.
			err = t.part.check(r.Size)
		}
		r.Resumed = have
	case door.err != nil:
		err = door.err
	case b.err != nil:
		err = readFault(b.err)
	case errors.Is(err, grab.ErrBadLength) && door.unframed && b.sums.size < b.total:
		err = transient(Unreachable, "the answer broke off")
	case errors.Is(err, grab.ErrBadLength):
		err = fault(Altered, "not the announced %d bytes", b.total)
	default:
		err = grabFault(err)
	}
	if err == nil {
		return r, nil
	}
	// grab appends to the partial what it has in hand before it hears of an
	// error, and that has been hashed: what stands there is a beginning of the
	// file, unless the whole was wrong.
	if resume && KindOf(err) == Altered {
		return Result{}, fmt.Errorf("%w: %w", errBadPartial, err)
	}
	if !door.resumable || KindOf(err) != Unreachable && KindOf(err) != Stopped {
		if rerr := t.part.remove(); rerr != nil {
			return Result{}, fault(Storage, "%w", rerr)
		}
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == Altered && door.page {
		// A login page or a message for people is nobody's attack.
		e.Kind = Invalid
		e.Err = fmt.Errorf("a page of HTML came instead of the file: %w", e.Err)
	}
	return Result{}, err
}

// grabFault classifies an error of grab's own: of the file it writes.
func grabFault(err error) *Error {
	if isStorage(err) || errors.Is(err, io.ErrShortWrite) {
		return &Error{Kind: Storage, Err: err}
	}
	return classify(err)
}

// hash feeds the bytes that are here to the digester.
func (p partial) hash(d *digester, have int64) error {
	f, err := os.Open(p.name)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{d}, io.LimitReader(f, have), make([]byte, 256<<10))
	if err == nil && n != have {
		err = fmt.Errorf("%d bytes instead of %d", n, have)
	}
	return err
}

// check says whether the partial is a file of the given size.
func (p partial) check(size int64) error {
	info, err := os.Lstat(p.name)
	switch {
	case err != nil:
		return fault(Storage, "%w", err)
	case !info.Mode().IsRegular() || info.Size() != size:
		return fault(Storage, "%s: %d bytes were written, %d are there", p.name, size, info.Size())
	}
	return nil
}

// A door is the only way from grab to the network, for one attempt. grab
// believes what a server says; the door lets nothing through that would make
// it write a wrong byte (reliability.md §4.4).
type door struct {
	t      *transfer
	body   *body
	have   int64 // bytes of the partial, 0 to begin anew
	record record

	resumable bool // what has come can be taken up again
	page      bool // the answer calls itself HTML
	unframed  bool // nothing but the end of the connection marks its end
	err       error
}

// Do makes grab's requests. The one by which grab would find out whether a
// partial can be taken up again is answered from the record: servers have been
// seen to close the connection on a HEAD.
func (d *door) Do(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodHead {
		return &http.Response{
			StatusCode:    http.StatusOK,
			Proto:         "HTTP/1.1",
			ProtoMajor:    1,
			ProtoMinor:    1,
			Header:        http.Header{"Accept-Ranges": {"bytes"}},
			ContentLength: d.record.Size,
			Body:          http.NoBody,
			Request:       r,
		}, nil
	}
	resp, err := d.get(r)
	if err != nil {
		d.err = err
		return nil, err
	}
	return resp, nil
}

func (d *door) get(r *http.Request) (*http.Response, error) {
	r.Header.Set("Accept", "*/*")
	r.Header.Set("Accept-Encoding", "identity")
	want := ""
	if d.have > 0 {
		want = "bytes=" + strconv.FormatInt(d.have, 10) + "-"
		r.Header.Set("If-Range", d.record.ETag)
	}
	if got := r.Header.Get("Range"); got != want {
		// The partial changed under our feet.
		return nil, fmt.Errorf("%w: range %q instead of %q", errBadPartial, got, want)
	}
	resp, err := d.t.s.client.Do(r)
	if err != nil {
		return nil, classify(err)
	}
	if err := d.inspect(resp); err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			e.URL = redact(resp.Request.URL.String())
		}
		if resp.ContentLength >= 0 && resp.ContentLength < 64<<10 {
			io.Copy(io.Discard, resp.Body) // so that the connection can be used again
		}
		resp.Body.Close()
		return nil, err
	}
	if d.t.begun != nil {
		d.t.begun(d.t.part.name, d.body.total)
	}
	d.body.r, d.body.c = resp.Body, resp.Body
	resp.Body = d.body
	return resp, nil
}

// inspect says why an answer is not the file, or the part of it, that was
// asked for, and notes what it says of the file.
func (d *door) inspect(resp *http.Response) error {
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && d.have > 0 {
		return fmt.Errorf("%w: %s", errBadPartial, status(resp))
	}
	if e := statusFault(resp); e != nil {
		return e
	}
	mediaType, _ := contentType(resp.Header)
	if strings.HasPrefix(mediaType, "multipart/") {
		return fault(Invalid, "content type %q", clip([]byte(mediaType)))
	}
	d.page = mediaType == "text/html" || mediaType == "application/xhtml+xml"
	strong := isStrong(d.t.offer.Hashes)
	if d.page && !strong {
		return fault(Invalid, "content type %q: a page, and not the file", mediaType)
	}
	// A server that calls the compression of a .tar.gz a content encoding sends
	// the right bytes all the same: they are taken as they come, where a hash
	// can tell.
	if enc := strings.TrimSpace(resp.Header.Get("Content-Encoding")); enc != "" && !strings.EqualFold(enc, "identity") && !strong {
		return fault(Invalid, "content encoding %q was not asked for", clip([]byte(enc)))
	}
	length := resp.ContentLength
	d.unframed = length < 0 && len(resp.TransferEncoding) == 0 && resp.ProtoMajor < 2
	if d.unframed && d.body.total < 0 && strongest(d.t.offer.Hashes) == 0 {
		return fault(Invalid, "neither a length nor a hash would show that the file is whole")
	}
	switch {
	case d.have == 0 && resp.StatusCode != http.StatusOK:
		return fault(Invalid, "%s, but the whole file was asked for", status(resp))
	case d.have > 0 && resp.StatusCode == http.StatusOK:
		return fmt.Errorf("%w: the server sends the whole file", errBadPartial)
	case d.have > 0:
		if resp.StatusCode != http.StatusPartialContent {
			return fault(Invalid, "%s, but a part of the file was asked for", status(resp))
		}
		if want := fmt.Sprintf("bytes %d-%d/%d", d.have, d.record.Size-1, d.record.Size); resp.Header.Get("Content-Range") != want {
			return fmt.Errorf("%w: range %q instead of %q", errBadPartial, clip([]byte(resp.Header.Get("Content-Range"))), want)
		}
		if tag := resp.Header.Get("ETag"); tag != "" && tag != d.record.ETag {
			return fmt.Errorf("%w: the file was replaced", errBadPartial)
		}
		if length >= 0 && length != d.record.Size-d.have {
			return fmt.Errorf("%w: %d bytes instead of %d", errBadPartial, length, d.record.Size-d.have)
		}
		d.resumable = true
		return nil
	}
	switch {
	case length == 0:
		return fault(Invalid, "an empty file")
	case length >= 0 && d.body.total >= 0 && length != d.body.total:
		return fault(Altered, "%d bytes instead of the announced %d", length, d.body.total)
	case length > d.t.limit:
		return fault(Refused, "%d bytes, more than the %d that are allowed", length, d.t.limit)
	}
	if d.body.total < 0 {
		d.body.total = length
	}
	if tag := resp.Header.Get("ETag"); d.t.part.recorded && d.body.total >= minPartial && isStrongETag(tag) && len(tag) <= 1024 {
		// The record goes first: should the machine stop now, there are bytes
		// with a record, and their hash will tell whether they are any good.
		if err := d.t.part.save(record{d.t.offer.URL, tag, d.body.total}); err != nil {
			return fault(Storage, "%w", err)
		}
		d.resumable = true
	}
	return nil
}
