package intake

import "io"

// The codes of compress(1): from 9 bits to as many as the header says, 16 at
// most. In block mode one of them empties the table. Where the header says 9,
// programs do not agree on what happens once the table is full: compress(1)
// itself cannot read what it packs that way.
const (
	lzwMagic   = "\x1f\x9d"
	lzwMinBits = 9
	lzwMaxBits = 16
	lzwBlock   = 0x80 // of the third byte; the low five bits are the width
	lzwClear   = 256
)

// An lzwReader reads what compress(1) packs: LZW with codes that begin at the
// lowest bit and grow with the table. They come in groups of eight, so that a
// group fills as many bytes as a code has bits; where the width changes, and
// where the table is emptied, the rest of the group is padding. Nothing in the
// format says how long the data is, or what it sums up to.
type lzwReader struct {
	in    byteReader
	block bool
	most  uint // bits of a code at most

	group [lzwMaxBits]byte
	width uint // bits of a code now
	codes int  // in the group
	next  int  // of them

	free   int // the first code that stands for nothing yet
	prev   int // the code before, -1 for none
	first  byte
	prefix [1 << lzwMaxBits]uint16
	suffix [1 << lzwMaxBits]byte

	// text[at:] has been unpacked and not been read. The longest text of a code
	// has a byte for each code.
	text [1 << lzwMaxBits]byte
	at   int
	err  error
}

// reset begins to read in, header included.
func (z *lzwReader) reset(in byteReader) error {
	head := z.group[:3]
	if _, err := io.ReadFull(in, head); err != nil {
		return err
	}
	flags := head[2]
	z.block, z.most = flags&lzwBlock != 0, uint(flags&0x1f)
	if string(head[:2]) != lzwMagic || z.most <= lzwMinBits || z.most > lzwMaxBits || flags&0x60 != 0 {
		return reject("compress: no header of a kind that is known")
	}
	z.in, z.err, z.at = in, nil, len(z.text)
	z.empty()
	return nil
}

// empty takes everything out of the table.
func (z *lzwReader) empty() {
	z.width, z.prev, z.free = lzwMinBits, -1, lzwClear
	if z.block {
		z.free++
	}
	z.codes, z.next = 0, 0
}

// Read implements [io.Reader].
func (z *lzwReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if z.at == len(z.text) {
			if z.err == nil {
				z.err = z.unpack()
			}
			if z.err != nil {
				break
			}
		}
		k := copy(p[n:], z.text[z.at:])
		z.at += k
		n += k
	}
	if n > 0 {
		return n, nil
	}
	return 0, z.err
}

var errLZW = Rejection("compress: broken data")

// unpack puts the text of the next code into z.text.
func (z *lzwReader) unpack() error {
	code, err := z.code()
	if err != nil {
		return err
	}
	if z.block && code == lzwClear {
		if z.prev < 0 {
			return errLZW // nothing to be taken out of the table
		}
		z.empty()
		if code, err = z.code(); err != nil {
			return err
		}
	}
	at := len(z.text)
	last := code
	switch {
	case z.prev < 0 && code >= lzwClear, code > z.free:
		return errLZW
	case code == z.free:
		// The text before and its own first byte, which this code is about to
		// stand for.
		at--
		z.text[at] = z.first
		code = z.prev
	}
	for ; code >= lzwClear; code = int(z.prefix[code]) {
		at--
		z.text[at] = z.suffix[code]
	}
	at--
	z.first = byte(code)
	z.text[at] = z.first
	if z.prev >= 0 && z.free < 1<<z.most {
		z.prefix[z.free], z.suffix[z.free] = uint16(z.prev), z.first
		z.free++
	}
	z.prev, z.at = last, at
	return nil
}

// code reads the next code.
func (z *lzwReader) code() (int, error) {
	if z.free >= 1<<z.width && z.width < z.most {
		z.width++
		z.codes, z.next = 0, 0
	}
	if z.next == z.codes {
		if err := z.fill(); err != nil {
			return 0, err
		}
	}
	bit := uint(z.next) * z.width
	z.next++
	i := bit / 8
	v := uint(z.group[i]) | uint(z.group[i+1])<<8
	if i+2 < lzwMaxBits {
		v |= uint(z.group[i+2]) << 16
	}
	return int(v >> (bit % 8) & (1<<z.width - 1)), nil
}

// fill reads a group. The last one holds as many codes as there are, and ends
// with the byte in which the last of them does.
func (z *lzwReader) fill() error {
	n, err := io.ReadFull(z.in, z.group[:z.width])
	z.next, z.codes = 0, 8*n/int(z.width)
	switch {
	case err == io.EOF:
		return io.EOF
	case err != io.ErrUnexpectedEOF:
		return err
	}
	used := uint(z.codes) * z.width
	if rest := 8*uint(n) - used; rest >= 8 || z.group[n-1]>>(8-rest) != 0 {
		return io.ErrUnexpectedEOF // inside a code
	}
	return nil
}
