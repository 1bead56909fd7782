package generate

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

// Levels of compression. Pages are mostly digests, which do not repay effort;
// the pages about all projects are read more often than they are made.
const (
	PageLevel  = 1
	IndexLevel = 6
)

// Gzip appends the compressed form of a page to dst. Equal pages give equal
// bytes: the header has neither a time nor a name.
func Gzip(dst, page []byte, level int) []byte {
	buf := bytes.NewBuffer(dst)
	w := NewGzip(buf, level)
	// A write to a bytes.Buffer does not fail.
	_, _ = w.Write(page)
	_ = w.Close()
	return buf.Bytes()
}

// NewGzip compresses what is written to it into w, as [Gzip] does. Close ends
// the stream and leaves w open; the writer is not to be used after it. A level
// that is not from 1 to 9 is taken for [PageLevel].
func NewGzip(w io.Writer, level int) io.WriteCloser {
	if level < gzip.BestSpeed || level > gzip.BestCompression {
		level = PageLevel
	}
	pool := &gzips[level]
	z, ok := pool.Get().(*gzip.Writer)
	if ok {
		z.Reset(w)
	} else {
		z, _ = gzip.NewWriterLevel(w, level) // fails for a level out of range only
	}
	z.ModTime = time.Unix(0, 0) // the zero Time would be written as one in 2042
	return &pooled{z, pool}
}

// gzips keeps writers by level: each holds hundreds of kilobytes of tables.
var gzips [gzip.BestCompression + 1]sync.Pool

type pooled struct {
	*gzip.Writer
	pool *sync.Pool
}

func (p *pooled) Close() error {
	if p.Writer == nil {
		return nil
	}
	err := p.Writer.Close()
	p.pool.Put(p.Writer)
	p.Writer = nil
	return err
}
