package accesslog

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// MaxLine is how many bytes a line may have. nginx takes request lines and header
// fields of 8 KiB, and writes up to four bytes for one.
const MaxLine = 128 << 10

// A Reader reads a log line by line.
type Reader struct {
	r        *bufio.Reader
	offset   int64
	bad      int64
	firstBad int64
	tail     int64 // of a last line that is not whole
}

// NewReader gives a reader of a log, which begins at the beginning of a line.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, MaxLine)} }

// Reset has the reader begin anew with another log.
func (r *Reader) Reset(log io.Reader) {
	r.r.Reset(log)
	r.offset, r.bad, r.firstBad, r.tail = 0, 0, 0, 0
}

// Offset is how many bytes the lines have that were read, the bad ones among them.
// A last line that is not whole yet, because the server is about to write it, does
// not count.
func (r *Reader) Offset() int64 { return r.offset }

// Bad counts the lines that were passed over, because they are too long or not of
// the form that is known, or have zero bytes, which stand in the place of what was lost
// with the power. Blank lines tell of no request and are not counted.
func (r *Reader) Bad() int64 { return r.bad }

// FirstBad is how many bytes the lines have up to the first bad one, with that; 0 if
// there was none.
func (r *Reader) FirstBad() int64 { return r.firstBad }

// End counts a last line that is not whole as a bad one, for a log of which nobody is
// about to write the rest. Next must have come to the end.
func (r *Reader) End() {
	if r.tail > 0 {
		r.offset, r.tail = r.offset+r.tail, 0
		r.passOver()
	}
}

// passOver counts a bad line, whose end was read.
func (r *Reader) passOver() {
	if r.bad++; r.bad == 1 {
		r.firstBad = r.offset
	}
}

// Next reads the next line that makes sense. What it puts into e holds until it is
// called again. The error is [io.EOF] at the end, and else what reading gave.
func (r *Reader) Next(e *Entry) error {
	for {
		line, err := r.r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			n, err := r.skipLine()
			if err != nil {
				r.tail = int64(len(line)) + n
				return err
			}
			r.offset += int64(len(line)) + n
			r.passOver()
			continue
		}
		if err != nil {
			r.tail = int64(len(line))
			return err // what there is of a line is not whole
		}
		r.offset += int64(len(line))
		switch line = line[:len(line)-1]; {
		case bytes.IndexByte(line, 0) >= 0: // in the place of what got lost
			r.passOver()
		case e.parse(line):
			return nil
		case len(bytes.TrimSpace(line)) > 0:
			r.passOver()
		}
	}
}

// skipLine reads on to the end of a line and says how much that was.
func (r *Reader) skipLine() (n int64, err error) {
	for {
		rest, err := r.r.ReadSlice('\n')
		n += int64(len(rest))
		if !errors.Is(err, bufio.ErrBufferFull) {
			return n, err
		}
	}
}
