package fetch

import (
	"context"
	"errors"
	"io"
	"os"

	"nestgen/catalog"
)

// A Result says what a download has brought. The digests are those of the bytes
// on their way to the disk.
type Result struct {
	Size   int64
	SHA256 catalog.Digest

	// BLAKE2b has 256 bits.
	BLAKE2b catalog.Digest

	// Verified are the hash functions by which the upstream's word was checked,
	// sorted. It is empty for a file of which the upstream says nothing: then
	// these bytes are the first that anybody knows of.
	Verified []string

	// Resumed is how many of the bytes an earlier download had brought.
	Resumed int64

	// Attempts is how many were needed.
	Attempts int
}

// Download brings a file to dest, which must not exist, in a folder that nobody
// else can write to. When it returns nil, dest has the size and all hashes that
// the offer names; it has not been synced. Otherwise there is no dest; what
// came may stand in the folder for partials, or as dest+".part", to be taken up
// again by the next download of the same address. The error is an [*Error].
//
// Nothing that the upstream sends has a say in the name of the file.
func (s *Source) Download(ctx context.Context, o catalog.Offer, dest string) (Result, error) {
	return s.Follow(ctx, o, dest, nil)
}

// Follow is Download for those who read along. begun is called whenever an
// answer begins that may be the file, with the name of the file that its bytes
// go to and the size that it will have, -1 if that is not known. That file may
// not be there yet, and has a beginning already when a download is taken up
// again. What stands there is nobody's word for anything before Follow has
// returned nil; then it is dest. It is not called for what comes from a folder of
// this machine, or if it is nil.
func (s *Source) Follow(ctx context.Context, o catalog.Offer, dest string, begun func(part string, size int64)) (Result, error) {
	s.veil.revealOffer(&o)
	r, err := s.download(ctx, o, dest, s.opts.MaxFile, true, begun)
	if err != nil {
		return Result{}, s.label(err, "", o.Filename, o.URL)
	}
	return r, nil
}

// maxCompanion is how many bytes a companion of a file may have.
const maxCompanion = 16 << 20

// Companion brings what goes with a file: ".metadata", whose hashes are checked
// if the offer has any, ".asc" or ".provenance". The error matches
// [fs.ErrNotExist] if the upstream has none.
func (s *Source) Companion(ctx context.Context, o catalog.Offer, suffix, dest string) (Result, error) {
	s.veil.revealOffer(&o)
	c := catalog.Offer{Filename: o.Filename + suffix, Size: -1}
	var err error
	switch suffix {
	case ".metadata":
		c.Hashes = o.Metadata.Hashes
		c.URL, err = withSuffix(o.URL, suffix)
	case ".provenance":
		c.URL = o.Provenance
		if c.URL == "" {
			c.URL, err = withSuffix(o.URL, suffix)
		}
	default:
		c.URL, err = withSuffix(o.URL, suffix)
	}
	if err != nil {
		return Result{}, s.label(err, "", c.Filename, o.URL)
	}
	r, err := s.download(ctx, c, dest, maxCompanion, false, nil)
	if err != nil {
		return Result{}, s.label(err, "", c.Filename, c.URL)
	}
	return r, nil
}

func (s *Source) download(ctx context.Context, o catalog.Offer, dest string, limit int64, distribution bool, begun func(string, int64)) (r Result, err error) {
	if err := s.mayDownload(&o, limit, distribution); err != nil {
		return Result{}, err
	}
	switch _, err := os.Lstat(dest); {
	case err == nil:
		return Result{}, fault(Storage, "%s: there is a file of this name already", dest)
	case !errors.Is(err, os.ErrNotExist):
		return Result{}, fault(Storage, "%w", err)
	}
	var meter Meter
	if s.opts.Progress != nil && distribution {
		meter = s.opts.Progress.Begin(o.Filename, o.Size)
		defer func() { meter.End(err) }()
	}
	if name, ok := s.localPath(o.URL); ok {
		return s.copyLocal(ctx, o, name, dest, limit, meter)
	}
	part, release := claim(s.opts.Partials, o.URL, dest, o.Size)
	defer release()
	t := transfer{s: s, offer: o, part: part, limit: limit, meter: meter, begun: begun}
	r, err = retry(ctx, s, o.Filename, func(int) (Result, error) { return t.attempt(ctx) })
	if err != nil {
		return Result{}, err
	}
	if err := part.finish(dest); err != nil {
		part.remove()
		return Result{}, fault(Storage, "%w", err)
	}
	r.Attempts = t.attempts
	return r, nil
}

// mayDownload says why a file is not downloaded, before anybody is asked.
func (s *Source) mayDownload(o *catalog.Offer, limit int64, distribution bool) error {
	if err := s.mayReach(o, limit); err != nil {
		return err
	}
	switch {
	case o.Size == 0 && distribution:
		return fault(Invalid, "an empty file")
	case s.up.RequireHashes && !isStrong(o.Hashes) && distribution:
		return fault(Refused, "the upstream names no hash that nobody can forge, and the settings require one")
	}
	return nil
}

// mayReach says why an address is not asked for what it has.
func (s *Source) mayReach(o *catalog.Offer, limit int64) error {
	u, err := parseAddress(o.URL)
	switch {
	case err != nil:
		return err
	case u.Scheme == "file":
		if _, ok := s.localPath(o.URL); !ok {
			return fault(Refused, "not in the folder of the upstream")
		}
	case u.Scheme != "https" && s.root.Scheme == "https" && !isStrong(o.Hashes):
		return fault(Refused, "the index is read by https, but the file would come by http, and no hash would show that it is the right one")
	}
	if o.Size > limit {
		return fault(Refused, "%d bytes, more than the %d that are allowed", o.Size, limit)
	}
	return nil
}

// copyLocal copies a file of a local upstream.
func (s *Source) copyLocal(ctx context.Context, o catalog.Offer, name, dest string, limit int64, meter Meter) (Result, error) {
	in, _, err := openLocal(name)
	if err != nil {
		return Result{}, err
	}
	defer in.Close()
	part := partial{name: dest + ".part"}
	if err := part.remove(); err != nil {
		return Result{}, fault(Storage, "%w", err)
	}
	out, err := os.OpenFile(part.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Result{}, fault(Storage, "%w", err)
	}
	b := &body{r: in, sums: newDigester(o.Hashes), total: o.Size, limit: limit, meter: meter, ctx: ctx}
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, b, make([]byte, bufferSize(o.Size)))
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	var r Result
	switch {
	case ctx.Err() != nil:
		err = &Error{Kind: Stopped, Err: context.Cause(ctx)}
	case err != nil && b.err == nil:
		err = fault(Storage, "%w", err)
	case err != nil:
		if e := classify(err); e.Kind == Storage {
			err = fault(Unreachable, "%w", e.Err) // reading failed, not our disk
		}
	default:
		r, err = b.result()
	}
	if err == nil {
		if err = part.finish(dest); err != nil {
			err = fault(Storage, "%w", err)
		}
	}
	if err != nil {
		part.remove()
		return Result{}, err
	}
	r.Attempts = 1
	return r, nil
}

// bufferSize is how much is read at once: the whole of a small file, and never
// so much that many downloads together would need a lot.
func bufferSize(size int64) int {
	switch {
	case size >= 4<<20:
		return 256 << 10
	case size < 0 || size > 64<<10:
		return 64 << 10
	}
	return int(max(size, 4<<10))
}

// A body is what comes from an upstream. It counts and hashes what is read, and
// ends with an error when more comes than there should be.
type body struct {
	r     io.Reader
	c     io.Closer // nil for none
	sums  *digester
	total int64 // of the whole file, -1 if unknown
	limit int64
	meter Meter // may be nil
	ctx   context.Context

	err error // what reading ended with, but for io.EOF
	eof bool
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	if most := b.most() - b.sums.size; int64(n) > most {
		n = int(most)
		err = b.tooLong()
	}
	b.sums.Write(p[:n])
	if b.meter != nil {
		b.meter.Set(b.sums.size)
	}
	switch {
	case err == io.EOF:
		b.eof = true
	case err != nil:
		b.err = err
	case b.c == nil && b.ctx.Err() != nil:
		b.err = context.Cause(b.ctx) // a request ends by itself
		err = b.err
	}
	return n, err
}

func (b *body) most() int64 {
	if b.total >= 0 {
		return b.total
	}
	return b.limit
}

func (b *body) tooLong() error {
	if b.total >= 0 {
		return fault(Altered, "more than the announced %d bytes", b.total)
	}
	return fault(Refused, "more than the %d bytes that are allowed", b.limit)
}

// Close closes what is read.
func (b *body) Close() error {
	if b.c == nil {
		return nil
	}
	return b.c.Close()
}

// result says whether what was read is the file.
func (b *body) result() (Result, error) {
	n := b.sums.size
	switch {
	case b.total >= 0 && n != b.total:
		return Result{}, fault(Altered, "%d bytes instead of the announced %d", n, b.total)
	case n == 0:
		return Result{}, fault(Invalid, "an empty file")
	}
	r, err := b.sums.result()
	if err != nil {
		return Result{}, fault(Altered, "%w", err)
	}
	return r, nil
}
