package bundle

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

// A Content is a file of a bundle that is read. Read goes from its beginning to
// its end, once, and instead of [io.EOF] it gives a [DamageError] if what it gave
// was not what the manifest says: a disk, or somebody, may change a file after it
// was verified. ReadAt checks nothing; whoever uses it has to check the digest.
type Content struct {
	bundle *Bundle
	index  int
	files  []*os.File
	pieces []*io.SectionReader
	next   int64 // where Read goes on
	sum    hash.Hash
	bad    error
}

var _ interface {
	io.ReadCloser
	io.ReaderAt
} = (*Content)(nil)

// Open opens a file of a bundle that was verified. An error matches
// [fs.ErrNotExist] if there is no file of that name.
func (b *Bundle) Open(name string) (*Content, error) {
	i, err := b.find(name)
	if err != nil {
		return nil, err
	}
	return b.open(i)
}

func (b *Bundle) open(i int) (*Content, error) {
	if !b.verified {
		return nil, errors.New("the bundle was not verified, or is closed")
	}
	f := b.files.at(i)
	extents := b.pieces[i]
	if extents == nil {
		extents = []extent{{f.part, f.offset, f.size}}
	}
	c := &Content{bundle: b, index: i, sum: sha256.New()}
	for _, x := range extents {
		file, _, err := openFile(b.parts[x.part].plain)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.files = append(c.files, file)
		c.pieces = append(c.pieces, io.NewSectionReader(file, x.offset, x.length))
	}
	return c, nil
}

func (c *Content) file() *located { return c.bundle.files.at(c.index) }

// Size is the number of bytes.
func (c *Content) Size() int64 { return c.file().size }

// Read reads on. See [Content] for what it says at the end.
func (c *Content) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if c.bad != nil {
		return 0, c.bad
	}
	n, err := c.ReadAt(b[:min(int64(len(b)), max(c.Size()-c.next, 1))], c.next)
	c.next += int64(n)
	c.sum.Write(b[:n])
	if n > 0 || err == nil {
		return n, nil
	}
	c.bad = err
	f := c.file()
	if err == io.EOF && [sha256.Size]byte(c.sum.Sum(nil)) != f.sum {
		c.bad = &DamageError{c.bundle.parts[f.part].path, f.name, f.offset, "it is not what was verified: it changed meanwhile"}
	}
	return 0, c.bad
}

// ReadAt reads from any place, and checks nothing.
func (c *Content) ReadAt(b []byte, at int64) (int, error) {
	if at < 0 {
		return 0, fmt.Errorf("read %s at %d", c.file().name, at)
	}
	n := 0
	for i, p := range c.pieces {
		if at >= p.Size() {
			at -= p.Size()
			continue
		}
		got, err := p.ReadAt(b[n:min(int64(len(b)), int64(n)+p.Size()-at)], at)
		n += got
		if int64(got) < p.Size()-at && n < len(b) {
			// The file is shorter than it was.
			if err == nil || err == io.EOF {
				err = &DamageError{c.bundle.parts[c.part(i)].path, c.file().name, at + int64(got), "it ends too early: it changed meanwhile"}
			}
			return n, err
		}
		if n == len(b) {
			return n, nil
		}
		at = 0
	}
	return n, io.EOF
}

// part is the part that piece i is in.
func (c *Content) part(i int) int32 {
	if x := c.bundle.pieces[c.index]; x != nil {
		return x[i].part
	}
	return c.file().part
}

// Close closes the files of the parts.
func (c *Content) Close() error {
	var errs []error
	for _, f := range c.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
