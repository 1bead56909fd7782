package bundle

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"
)

// A DamageError says where a part is not as it was written.
type DamageError struct {
	File   string // the part
	Member string // the member of the archive, or empty
	Offset int64  // in the archive, or in the file where it is the file that is wrong
	Reason string
}

func (e *DamageError) Error() string {
	where := ""
	if e.Member != "" {
		where = ", in " + e.Member
	}
	return fmt.Sprintf("%s: byte %d%s: %s: copy this part again from where it was exported", e.File, e.Offset, where, e.Reason)
}

func (p *part) damage(member string, offset int64, reason string) error {
	return &DamageError{p.path, member, offset, reason}
}

// unreadable is what the system says of a medium that cannot be read.
func (p *part) unreadable(offset int64, err error) error {
	return fmt.Errorf("%s: byte %d: it cannot be read: %w", p.path, offset, err)
}

// A scanner goes through an archive from its beginning.
type scanner struct {
	part   *part
	r      io.Reader
	offset int64
	block  [blockSize]byte
	buf    []byte
	failed error // of reading, not of what was read
}

// full reads exactly len(b) bytes of a member.
func (s *scanner) full(b []byte, member string) error {
	n, err := io.ReadFull(s.r, b)
	s.offset += int64(n)
	if err != nil {
		s.failed = s.ended(err, member)
	}
	return s.failed
}

// ended says what an error of reading means.
func (s *scanner) ended(err error, member string) error {
	var system *os.PathError
	var temp *tempError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &temp):
		return err
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return s.part.damage(member, s.offset, "it ends too early")
	case errors.As(err, &system):
		return s.part.unreadable(s.offset, err)
	default:
		return s.part.damage(member, s.offset, "it cannot be decompressed: "+err.Error())
	}
}

// exact reads bytes that are known before.
func (s *scanner) exact(want []byte, member string) error {
	for len(want) > 0 {
		got := s.block[:min(len(want), len(s.block))]
		at := s.offset
		if err := s.full(got, member); err != nil {
			return err
		}
		if !bytes.Equal(got, want[:len(got)]) {
			for i := range got {
				if got[i] != want[i] {
					return s.part.damage(member, at+int64(i), "a byte is not as it was written")
				}
			}
		}
		want = want[len(got):]
	}
	return nil
}

// zeros reads the padding after so many bytes.
func (s *scanner) zeros(size int64, member string) error {
	return s.exact(zeros[:padding(size)], member)
}

// digest reads the content of a member into h.
func (s *scanner) digest(h hash.Hash, length int64, member string) error {
	if s.buf == nil {
		s.buf = make([]byte, s.part.buffer())
	}
	for length > 0 {
		b := s.buf[:min(length, int64(len(s.buf)))]
		if err := s.full(b, member); err != nil {
			return err
		}
		h.Write(b)
		length -= int64(len(b))
	}
	return nil
}

// A contentReader reads on as a reader, for what cannot be read at once.
type contentReader struct {
	s      *scanner
	member string
}

func (s *scanner) content(member string) io.Reader { return contentReader{s, member} }

func (c contentReader) Read(b []byte) (int, error) {
	n, err := c.s.r.Read(b)
	c.s.offset += int64(n)
	if err != nil && err != io.EOF {
		c.s.failed = c.s.ended(err, c.member)
		err = c.s.failed
	}
	return n, err
}

// note reads the note of a part that is seen for the first time.
func (s *scanner) note() error {
	p := s.part
	block := make([]byte, blockSize)
	if err := s.full(block, ""); err != nil {
		var damage *DamageError
		if errors.As(err, &damage) {
			return p.noBundle()
		}
		return err
	}
	n, ok := noteSize(block)
	if !ok {
		return p.noBundle()
	}
	p.note = make([]byte, n)
	if err := s.full(p.note, noteName); err != nil {
		return err
	}
	if err := s.zeros(n, noteName); err != nil {
		return err
	}
	var err error
	if p.preface, err = openNote(p.note); err != nil {
		return fmt.Errorf("%s: %w: it is not a part of a bundle, or it was damaged on its way: copy it again from where it was exported", p.path, err)
	}
	return s.rotations()
}

// rotations reads the rotations of a part that is seen for the first time.
func (s *scanner) rotations() error {
	p := &s.part.preface
	if p.rotationsSize == 0 {
		return nil
	}
	if err := s.exact(appendHeader(nil, rotationsName, p.rotationsSize), rotationsName); err != nil {
		return err
	}
	p.Rotations = make([]byte, p.rotationsSize)
	if err := s.full(p.Rotations, rotationsName); err != nil {
		return err
	}
	if rotationsLine(p.Rotations) != p.rotations {
		return s.part.damage(rotationsName, s.offset, "its digest is not the one in the signed note")
	}
	return s.zeros(p.rotationsSize, rotationsName)
}

func (p *part) noBundle() error {
	return fmt.Errorf("%s: it does not begin as a bundle does: it is not a part of one, or it was damaged on its way", p.path)
}

// sameNote reads the note of a part again, and its rotations.
func (s *scanner) sameNote() error {
	n := int64(len(s.part.note))
	if err := s.exact(appendHeader(nil, noteName, n), noteName); err != nil {
		return err
	}
	if err := s.exact(s.part.note, noteName); err != nil {
		return err
	}
	if err := s.zeros(n, noteName); err != nil {
		return err
	}
	before := s.part.preface.Rotations
	if len(before) == 0 {
		return nil
	}
	if err := s.exact(appendHeader(nil, rotationsName, int64(len(before))), rotationsName); err != nil {
		return err
	}
	if err := s.exact(before, rotationsName); err != nil {
		return err
	}
	return s.zeros(int64(len(before)), rotationsName)
}

// archive checks an archive from its beginning to its end.
func (s *scanner) archive(list func(i int) entry) error {
	p := s.part
	if err := s.sameNote(); err != nil {
		return err
	}
	m := p.preface.manifestSize
	if err := s.exact(appendHeader(nil, manifestName, m), manifestName); err != nil {
		return err
	}
	h := sha256.New()
	if err := s.digest(h, m, manifestName); err != nil {
		return err
	}
	if [sha256.Size]byte(h.Sum(nil)) != p.preface.manifestSum {
		return p.damage(manifestName, s.offset, "its digest is not the one in the signed note")
	}
	if err := s.zeros(m, manifestName); err != nil {
		return err
	}
	var header []byte
	var sum [sha256.Size]byte
	for _, c := range p.span.chunks(list) {
		header = appendHeader(header[:0], c.member, c.length)
		if err := s.exact(header, c.member); err != nil {
			return err
		}
		at := s.offset
		h.Reset()
		if err := s.digest(h, c.length, c.member); err != nil {
			return err
		}
		if h.Sum(sum[:0]); sum != c.sum {
			return p.damage(c.member, at, fmt.Sprintf("the %d bytes from here are not as they were written", c.length))
		}
		if err := s.zeros(c.length, c.member); err != nil {
			return err
		}
	}
	if err := s.exact(make([]byte, endSize), ""); err != nil {
		return err
	}
	var one [1]byte
	n, err := io.ReadFull(s.r, one[:])
	if n > 0 {
		return p.damage("", s.offset, "something follows its end")
	}
	if err != io.EOF {
		return s.ended(err, "")
	}
	return nil
}

// VerifyOptions say how a bundle is verified.
type VerifyOptions struct {
	// Temp is a folder for the decompressed parts, which are needed until the
	// bundle is closed. It is not used for a bundle that is not compressed. If
	// empty, that of the system.
	Temp string

	// Progress is told how many bytes of the parts have been read, of all that
	// there are, after each megabyte or so. It may be nil.
	Progress func(done, all int64)
}

// Verify reads every byte of every part, once, and checks it. A [DamageError]
// says where something is wrong. Parts that are compressed are decompressed into
// a temporary folder, after a look at whether there is room; Close removes it.
func (b *Bundle) Verify(ctx context.Context, o VerifyOptions) (err error) {
	b.verified = false
	var need int64
	for _, p := range b.parts {
		if p.zstd {
			need += p.tarSize
		}
	}
	if need > 0 {
		if err := b.makeTemp(o.Temp, need); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, b.Close())
			}
		}()
	}
	read := int64(0)
	for k, p := range b.parts {
		progress := func(n int64) {
			if o.Progress != nil {
				o.Progress(read+n, b.Size())
			}
		}
		keep := ""
		if p.zstd {
			keep = filepath.Join(b.temp, fmt.Sprintf("%03d.tar", k+1))
		}
		if err := p.verify(ctx, b.list, keep, progress); err != nil {
			return err
		}
		read += p.size
	}
	b.verified = true
	return nil
}

// makeTemp makes the temporary folder, if there is room for so many bytes.
func (b *Bundle) makeTemp(dir string, need int64) error {
	if b.temp != "" {
		return nil // verified again
	}
	if dir == "" {
		dir = os.TempDir()
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if free := st.Bavail * uint64(st.Bsize); free < uint64(need) {
		return fmt.Errorf("%s: %w: the bundle takes %d bytes there while it is read, and %d are free", dir, unix.ENOSPC, need, free)
	}
	temp, err := os.MkdirTemp(dir, "bundle-")
	if err != nil {
		return err
	}
	b.temp = temp
	return nil
}

// Close removes what was decompressed. Nothing of the bundle can be read then.
func (b *Bundle) Close() error {
	if b.temp == "" {
		return nil
	}
	b.verified = false
	temp := b.temp
	b.temp = ""
	return os.RemoveAll(temp)
}

// VerifyPart checks one part for itself, every byte of it, whether or not the
// others are there: after it was copied, for instance. It returns its header.
func VerifyPart(ctx context.Context, known note.Verifiers, path string, progress func(done, all int64)) (Header, error) {
	p, err := openPart(path)
	if err != nil {
		return Header{}, err
	}
	if err := p.trust(known); err != nil {
		return Header{}, err
	}
	var entries []entry
	err = p.readPart(func(e entry, q *piece, _ int64) error {
		if len(entries) == 0 {
			p.span.head = q
		}
		p.span.tail = q
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return Header{}, err
	}
	p.span.end = len(entries)
	err = p.verify(ctx, func(i int) entry { return entries[i] }, "", func(n int64) {
		if progress != nil {
			progress(n, p.size)
		}
	})
	if err != nil {
		return Header{}, err
	}
	return p.preface.Header, nil
}

// A watched reader reads a file, ends when ctx does and tells how far it is.
type watched struct {
	ctx      context.Context
	r        io.Reader
	n        int64
	progress func(n int64)
}

func (w *watched) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.r.Read(b)
	w.n += int64(n)
	w.progress(w.n)
	return n, err
}

// verify checks every byte of the file of a part. What is decompressed goes to
// the file keep, unless that is empty.
func (p *part) verify(ctx context.Context, list func(i int) entry, keep string, progress func(n int64)) error {
	f, size, err := openFile(p.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if size != p.size {
		return p.damage("", min(size, p.size), "its size changes while it is read")
	}
	in := &watched{ctx: ctx, r: f, progress: progress}
	if !p.zstd {
		r, done, err := p.archive(in)
		if err != nil {
			return err
		}
		defer done()
		if p.zstd {
			return p.damage("", 0, "it changes while it is read")
		}
		if err := (&scanner{part: p, r: r}).archive(list); err != nil {
			return err
		}
		p.plain = p.path
		return nil
	}

	if size < sealSize {
		return p.damage("", 0, "it ends too early")
	}
	h := sha256.New()
	compressed := io.TeeReader(io.LimitReader(in, size-sealSize), h)
	z, err := decompress(bufio.NewReaderSize(compressed, p.buffer()))
	if err != nil {
		return err
	}
	defer z.Close()
	s := &scanner{part: p, r: z}
	kept := bufio.NewWriterSize(io.Discard, 256<<10)
	if keep != "" {
		out, err := os.OpenFile(keep, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		defer out.Close() // what was written is looked at again when it is read
		kept.Reset(tempWriter{out})
		s.r = io.TeeReader(z, kept)
	}
	if err := s.archive(list); err != nil {
		return err
	}
	if err := kept.Flush(); err != nil {
		return err
	}
	// The decoder has read all of it: it gave the end.
	seal := make([]byte, sealSize)
	if _, err := io.ReadFull(in, seal); err != nil {
		return s.ended(err, "")
	}
	if !bytes.Equal(seal, h.Sum(sealHead[:len(sealHead):len(sealHead)])) {
		return p.damage("", 0, "its compressed bytes are not as they were written")
	}
	p.plain = keep
	return nil
}

// A tempError is a failure to write what was decompressed.
type tempError struct{ err error }

func (e *tempError) Error() string { return e.err.Error() }
func (e *tempError) Unwrap() error { return e.err }

type tempWriter struct{ f *os.File }

func (t tempWriter) Write(b []byte) (int, error) {
	n, err := t.f.Write(b)
	if err != nil {
		err = &tempError{err}
	}
	return n, err
}
