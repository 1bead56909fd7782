package fetch

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
)

// Document brings what is at an address of the upstream to dest, which must not
// exist: something that is neither a page nor a distribution and of which nobody has
// said a hash. It gives the validators to ask with the next time. The error matches
// [ErrNotModified] if what prev came with still holds; then, and after any other
// error, there is no dest. At most limit bytes are taken.
func (s *Source) Document(ctx context.Context, address, dest string, limit int64, prev Validators) (Validators, error) {
	v, err := retry(ctx, s, redact(address), func(int) (Validators, error) { return s.documentOnce(ctx, address, dest, limit, prev) })
	if err != nil && err != ErrNotModified {
		return Validators{}, s.label(err, "", "", address)
	}
	return v, err
}

func (s *Source) documentOnce(ctx context.Context, address, dest string, limit int64, prev Validators) (v Validators, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return v, fault(Invalid, "address: %v", err)
	}
	r.Header.Set("Accept", "*/*")
	r.Header.Set("Accept-Encoding", "identity")
	if prev.ETag != "" {
		r.Header.Set("If-None-Match", prev.ETag)
	}
	if prev.LastModified != "" {
		r.Header.Set("If-Modified-Since", prev.LastModified)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return v, classify(err)
	}
	defer resp.Body.Close()
	if e := statusFault(resp); e != nil {
		io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
		e.URL = redact(resp.Request.URL.String())
		return v, e
	}
	switch {
	case resp.StatusCode == http.StatusNotModified && (prev.ETag != "" || prev.LastModified != ""):
		return v, ErrNotModified
	case resp.StatusCode != http.StatusOK:
		return v, fault(Invalid, "%s, which was not asked for", status(resp))
	case resp.ContentLength > limit:
		return v, fault(Refused, "%d bytes, more than the %d that are allowed", resp.ContentLength, limit)
	}
	out, err := os.OpenFile(dest, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return v, fault(Storage, "%w", err)
	}
	body := &onlyReads{r: io.LimitReader(resp.Body, limit+1)}
	n, err := io.Copy(struct{ io.Writer }{out}, body)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	switch {
	case err != nil && body.err != nil:
		err = readFault(body.err)
	case err != nil:
		err = fault(Storage, "%w", err)
	case n > limit:
		err = fault(Refused, "more than the %d bytes that are allowed", limit)
	case resp.ContentLength >= 0 && n != resp.ContentLength:
		err = transient(Unreachable, "the answer broke off")
	}
	if err != nil {
		return v, errors.Join(err, os.Remove(dest))
	}
	return Validators{ETag: headerText(resp.Header, "ETag"), LastModified: headerText(resp.Header, "Last-Modified")}, nil
}

// onlyReads remembers with what reading ended, so that it is not taken for the disk.
type onlyReads struct {
	r   io.Reader
	err error
}

func (o *onlyReads) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	if err != nil && err != io.EOF {
		o.err = err
	}
	return n, err
}
