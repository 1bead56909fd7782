package intake

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"io"
	"sync"

	"nestgen/catalog"
)

// wholeLimit is the largest file that is read into memory at once: one read
// costs less than the many small ones that an archive's records ask for.
const wholeLimit = 1 << 20

// windowSize is how much of a larger file is read at once. The longest header
// of a zip file, with its name and extra fields, fits in.
const windowSize = 160 << 10

// A source gives out parts of the file under inspection. It remembers the error
// that reading the file ended with, so that a failing disk is never taken for a
// bad archive.
type source struct {
	r    io.ReaderAt
	size int64

	// buf[:n] holds the bytes of the file from off on. For a small file that
	// is the whole of it.
	buf   []byte
	off   int64
	n     int
	whole bool

	err error

	// What section gives out, one at a time.
	mem  bytes.Reader
	disk *bufio.Reader
	part part
}

var sources = sync.Pool{New: func() any { return new(source) }}

// newSource is undone by release.
func newSource(r io.ReaderAt, size int64) (*source, error) {
	s := sources.Get().(*source)
	s.r, s.size, s.off, s.n, s.err = r, size, 0, 0, nil
	s.whole = size <= wholeLimit
	want := windowSize
	if s.whole {
		want = int(size)
	}
	if cap(s.buf) < want {
		// Sizes are rounded up so that the next file finds room.
		s.buf = make([]byte, (want+windowSize-1)/windowSize*windowSize)
	}
	s.buf = s.buf[:cap(s.buf)]
	if s.whole {
		if err := s.load(0, want); err != nil {
			s.release()
			return nil, err
		}
	}
	return s, nil
}

func (s *source) release() {
	s.r = nil
	s.mem.Reset(nil)
	s.part = part{}
	sources.Put(s)
}

// load reads n bytes at off into the buffer.
func (s *source) load(off int64, n int) error {
	s.n = 0
	m, err := s.r.ReadAt(s.buf[:n], off)
	if m < n {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF // the file shrank under us
		}
		s.err = err
		return err
	}
	s.off, s.n = off, n
	return nil
}

// sha256 takes the SHA-256 of the whole file.
func (s *source) sha256() (sum catalog.Digest, err error) {
	if s.whole {
		return sha256.Sum256(s.buf[:s.size]), nil
	}
	h := sha256.New()
	for off := int64(0); off < s.size; off += int64(s.n) {
		if err := s.load(off, int(min(windowSize, s.size-off))); err != nil {
			return sum, err
		}
		h.Write(s.buf[:s.n])
	}
	h.Sum(sum[:0])
	return sum, nil
}

// has reports whether n bytes at off are inside the file.
func (s *source) has(off, n int64) bool {
	return off >= 0 && n >= 0 && off <= s.size && n <= s.size-off
}

// view gives n bytes at off, of which the caller knows that the file has them.
// For a large file, n is at most windowSize and the bytes are good until the
// next view.
func (s *source) view(off int64, n int) ([]byte, error) {
	if off >= s.off && off+int64(n) <= s.off+int64(s.n) {
		i := int(off - s.off)
		return s.buf[i : i+n : i+n], nil
	}
	want := min(windowSize, s.size-off)
	if err := s.load(off, int(max(want, int64(n)))); err != nil {
		return nil, err
	}
	return s.buf[:n:n], nil
}

// A byteReader is what the decompressors read without asking for more than they
// need.
type byteReader interface {
	io.Reader
	io.ByteReader
}

// section gives a reader for n bytes at off. It is good until the next section.
func (s *source) section(off, n int64) byteReader {
	if s.whole {
		s.mem.Reset(s.buf[off : off+n])
		return &s.mem
	}
	s.part = part{s, off, off + n}
	if s.disk == nil {
		s.disk = bufio.NewReaderSize(&s.part, 64<<10)
	} else {
		s.disk.Reset(&s.part)
	}
	return s.disk
}

// unread is how many bytes of the last section nobody has read.
func (s *source) unread() int64 {
	if s.whole {
		return int64(s.mem.Len())
	}
	return s.part.end - s.part.off + int64(s.disk.Buffered())
}

// A part reads a range of a large file, past the window.
type part struct {
	s        *source
	off, end int64
}

func (p *part) Read(b []byte) (int, error) {
	if p.off >= p.end {
		return 0, io.EOF
	}
	if int64(len(b)) > p.end-p.off {
		b = b[:p.end-p.off]
	}
	n, err := p.s.r.ReadAt(b, p.off)
	p.off += int64(n)
	if n == len(b) {
		return n, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	p.s.err = err
	return n, err
}
