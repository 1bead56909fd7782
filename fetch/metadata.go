package fetch

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"

	"nestgen/catalog"
	"nestgen/packaging"
)

// maxCore is how many bytes the core metadata of a distribution may have.
const maxCore = 8 << 20

// CoreMetadata gives the core metadata of a distribution without fetching all of
// it: the file that the upstream announces beside it (PEP 658), held against its
// hashes; or else what a wheel has in its METADATA, read by ranges of its bytes
// (RFC 9110 §14), which are one request where the member stands near the end of
// the wheel, as builders are asked to put it.
//
// What came by ranges has been held against no hash of the upstream's: it is
// good for deciding what to fetch, and the wheel itself has the last word.
// Nothing is written.
//
// The error is an [*Error]. Its kind is NotFound or Gone where there is no such
// short way: the upstream announces no metadata, and the file is no wheel, is
// not there, or its server sends no ranges. Altered says that the announced
// metadata is there and has another hash.
func (s *Source) CoreMetadata(ctx context.Context, o catalog.Offer) ([]byte, error) {
	s.veil.revealOffer(&o)
	data, err := s.coreMetadata(ctx, o)
	if err != nil {
		return nil, s.label(err, "", o.Filename, o.URL)
	}
	return data, nil
}

func (s *Source) coreMetadata(ctx context.Context, o catalog.Offer) ([]byte, error) {
	if o.Metadata.Offered {
		data, err := s.besideMetadata(ctx, o)
		switch KindOf(err) {
		case NotFound, Gone, Denied: // some stores answer 403 for what they do not have
			if packaging.KindOf(o.Filename) != packaging.Wheel {
				return nil, err
			}
		default:
			return data, err
		}
	}
	name, err := packaging.ParseFilename(o.Filename, "")
	switch {
	case err != nil:
		return nil, fault(Invalid, "%w", err)
	case name.Kind != packaging.Wheel:
		return nil, fault(NotFound, "the upstream announces no metadata of it, and only that of a wheel can be read by ranges")
	}
	// No hash covers a part of a file, so that the offer's do not count.
	bare := o
	bare.Hashes = nil
	if err := s.mayReach(&bare, s.opts.MaxFile); err != nil {
		return nil, err
	}
	if path, ok := s.localPath(o.URL); ok {
		return localMetadata(&name, path)
	}
	return retry(ctx, s, o.Filename, func(int) ([]byte, error) { return s.rangedMetadata(ctx, &name, o) })
}

// besideMetadata gives the metadata that stands beside a file.
func (s *Source) besideMetadata(ctx context.Context, o catalog.Offer) ([]byte, error) {
	address, err := withSuffix(o.URL, ".metadata")
	if err != nil {
		return nil, err
	}
	beside := catalog.Offer{Filename: o.Filename + ".metadata", URL: address, Hashes: o.Metadata.Hashes, Size: -1}
	if err := s.mayReach(&beside, maxCore); err != nil {
		return nil, err
	}
	if path, ok := s.localPath(address); ok {
		f, size, err := openLocal(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if size > maxCore {
			return nil, fault(Refused, "%s: %d bytes of metadata, more than the %d that are allowed", beside.Filename, size, maxCore)
		}
		data, err := io.ReadAll(io.LimitReader(f, maxCore))
		if err != nil {
			return nil, fault(Unreachable, "%w", err)
		}
		return data, checkCore(data, beside.Hashes)
	}
	altered := 0
	data, err := retry(ctx, s, beside.Filename, func(int) ([]byte, error) {
		data, page, err := s.small(ctx, address, maxCore)
		if err == nil {
			err = checkCore(data, beside.Hashes)
		}
		switch {
		case KindOf(err) == Altered && page:
			// A login page or a message for people is nobody's attack.
			err = fault(Invalid, "a page of HTML came instead of its metadata")
		case KindOf(err) == Altered:
			// The bytes may have been damaged on their way. Twice the same fault
			// is none of the way's.
			altered++
			e, _ := errors.AsType[*Error](err)
			e.again = altered < 2
		}
		return data, err
	})
	if e, ok := errors.AsType[*Error](err); ok && e.URL == "" {
		e.URL = redact(address)
	}
	return data, err
}

// checkCore holds core metadata against its hashes. Without any it must at least
// look like core metadata: a login page must not pass for it.
func checkCore(data []byte, hashes map[string]string) error {
	sums := newDigester(hashes)
	sums.Write(data)
	r, err := sums.result()
	switch {
	case err != nil:
		return fault(Altered, "its metadata: %w", err)
	case len(r.Verified) == 0 && !packaging.ParseMetadata(data).Has("name"):
		return fault(Invalid, "what came as its metadata names no project")
	}
	return nil
}

// small gets the whole of what is at an address, of at most limit bytes, and
// says whether it calls itself a page.
func (s *Source) small(ctx context.Context, address string, limit int64) (data []byte, page bool, err error) {
	resp, err := s.get(ctx, address, nil)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	switch n := resp.ContentLength; {
	case resp.StatusCode != http.StatusOK:
		return nil, false, fault(Invalid, "%s, but the whole file was asked for", status(resp))
	case isPacked(resp):
		return nil, false, fault(Invalid, "content encoding %q was not asked for", clip([]byte(resp.Header.Get("Content-Encoding"))))
	case n > limit:
		return nil, false, fault(Refused, "%d bytes, more than the %d that are allowed", n, limit)
	}
	data, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, false, readFault(err)
	case int64(len(data)) > limit:
		return nil, false, fault(Refused, "more than the %d bytes that are allowed", limit)
	}
	return data, isPage(resp), nil
}

// get asks for bytes as they are. The caller closes the body of the answer,
// whose status is 200, 206 or 304.
func (s *Source) get(ctx context.Context, address string, header map[string]string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fault(Invalid, "address: %v", err)
	}
	r.Header.Set("Accept", "*/*")
	r.Header.Set("Accept-Encoding", "identity")
	for k, v := range header {
		r.Header.Set(k, v)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, classify(err)
	}
	if e := statusFault(resp); e != nil {
		io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
		resp.Body.Close()
		e.URL = redact(resp.Request.URL.String())
		return nil, e
	}
	return resp, nil
}

// isPage reports whether an answer calls itself a page of HTML.
func isPage(resp *http.Response) bool {
	t, _ := contentType(resp.Header)
	return t == "text/html"
}

// isPacked reports whether the bytes of an answer are not those of the file.
func isPacked(resp *http.Response) bool {
	enc := strings.TrimSpace(resp.Header.Get("Content-Encoding"))
	return enc != "" && !strings.EqualFold(enc, "identity")
}

// localMetadata reads the core metadata of a wheel in a folder of this machine.
func localMetadata(name *packaging.Filename, path string) ([]byte, error) {
	f, size, err := openLocal(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	w := wheelEnd{size: size, at: size, read: func(from, to int64) ([]byte, error) {
		b := make([]byte, to-from)
		if _, err := f.ReadAt(b, from); err != nil {
			return nil, fault(Unreachable, "%w", err)
		}
		return b, nil
	}}
	return w.metadata(name)
}

// openLocal opens a file of a local upstream and gives its size.
func openLocal(path string) (*os.File, int64, error) {
	// Opening a FIFO would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, fault(NotFound, "%w", err)
	}
	if err != nil {
		return nil, 0, fault(Unreachable, "%w", err)
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, 0, fault(Invalid, "not a regular file")
	}
	return f, info.Size(), nil
}
