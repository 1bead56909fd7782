package intake

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// maxWindow is the largest dictionary that is held for a packed stream: that of
// xz -9. Anybody may name 4 GiB in a header of a few bytes.
const maxWindow = 64 << 20

// An xzReader reads the .xz container (xz file format 1.1) around LZMA2 data.
// It is our own because the dictionary has to be bounded in every block, and
// because it reads not a byte more than the stream has.
type xzReader struct {
	r      counter
	check  byte
	block  *lzma.Reader2
	sum    hash.Hash
	start  int64 // of the block, header included
	header int64 // length of the block header
	wrote  int64 // bytes that the block gave
	sizes  []xzSizes
	said   xzSizes // what the block's header promises; -1 where it does not
	buf    [1024]byte
	err    error

	// more reports whether anything follows, for several streams in a row.
	more func() bool

	// bound is how large the largest block is, as far as that is known.
	bound int64

	// heavy is called before a large dictionary is made.
	heavy func()
}

// xzSizes are those of one block.
type xzSizes struct{ packed, size int64 }

// maxBlocks bounds the memory for the sizes of the blocks.
const maxBlocks = 1 << 16

// A counter counts what is read through it.
type counter struct {
	r byteReader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

var xzMagic = []byte("\xfd7zXZ\x00")

func newXZ(r byteReader, bound int64, more func() bool, heavy func()) (*xzReader, error) {
	x := &xzReader{r: counter{r: r}, bound: bound, more: more, heavy: heavy}
	return x, x.open()
}

// xzBound reads ahead in the index at the end of the file how large the largest
// block gets unpacked: "xz -9" asks for a window of 64 MiB for files of every
// size, and a block never needs a larger one than itself. A file of several
// streams has no bound. An index that lies does not fit the blocks later on.
func xzBound(src *source) (int64, error) {
	const frame, none = 12, int64(1)<<62 - 1
	if src.size < 2*frame {
		return none, nil
	}
	b, err := src.view(src.size-frame, frame)
	if err != nil {
		return 0, err
	}
	length := (int64(le.Uint32(b[4:])) + 1) * 4
	if length > windowSize || length > src.size-2*frame {
		return none, nil
	}
	if b, err = src.view(src.size-frame-length, int(length)); err != nil {
		return 0, err
	}
	if b[0] != 0 {
		return none, nil
	}
	b = b[1:]
	count, ok := varint(&b)
	if !ok || count > maxBlocks {
		return none, nil
	}
	total, largest := frame+length+frame, int64(0)
	for range count {
		packed, ok1 := varint(&b)
		size, ok2 := varint(&b)
		if !ok1 || !ok2 || packed > src.size {
			return none, nil
		}
		total += (packed + 3) &^ 3
		largest = max(largest, size)
	}
	if total != src.size {
		return none, nil
	}
	return largest, nil
}

// open reads a stream header.
func (x *xzReader) open() error {
	b := x.buf[:12]
	if err := x.full(b); err != nil {
		return err
	}
	if !bytes.Equal(b[:6], xzMagic) {
		return reject("xz: no stream header")
	}
	if b[6] != 0 || b[7]&0xf0 != 0 || crc32.ChecksumIEEE(b[6:8]) != le.Uint32(b[8:]) {
		return reject("xz: broken stream header")
	}
	x.check = b[7]
	switch x.check {
	case 0:
		x.sum = nil
	case 1:
		x.sum = crc32.NewIEEE()
	case 4:
		x.sum = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		x.sum = sha256.New()
	default:
		return reject("xz: unknown kind of check %d", x.check)
	}
	x.sizes = x.sizes[:0]
	return nil
}

func (x *xzReader) full(b []byte) error {
	_, err := io.ReadFull(&x.r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return reject("xz: cut short")
	}
	return err
}

func (x *xzReader) Read(p []byte) (int, error) {
	for x.err == nil {
		if x.block == nil {
			x.err = x.next()
			continue
		}
		n, err := x.block.Read(p)
		x.wrote += int64(n)
		if x.sum != nil {
			x.sum.Write(p[:n])
		}
		switch err {
		case nil:
		case io.EOF:
			x.err = x.endBlock()
		default:
			x.err = err
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, x.err
}

// next opens a block, or reads the index and what follows it.
func (x *xzReader) next() error {
	x.start = x.r.n
	if err := x.full(x.buf[:1]); err != nil {
		return err
	}
	if x.buf[0] == 0 {
		if err := x.index(); err != nil {
			return err
		}
		return x.nextStream()
	}
	if len(x.sizes) == maxBlocks {
		return reject("xz: more than %d blocks", maxBlocks)
	}
	b := x.buf[:(int(x.buf[0])+1)*4]
	if err := x.full(b[1:]); err != nil {
		return err
	}
	x.header = int64(len(b))
	body := b[:len(b)-4]
	if crc32.ChecksumIEEE(body) != le.Uint32(b[len(body):]) {
		return reject("xz: broken block header")
	}
	flags := body[1]
	body = body[2:]
	x.said = xzSizes{-1, -1}
	for _, v := range []struct {
		bit byte
		to  *int64
	}{{0x40, &x.said.packed}, {0x80, &x.said.size}} {
		if flags&v.bit == 0 {
			continue
		}
		n, ok := varint(&body)
		if !ok {
			return reject("xz: broken block header")
		}
		*v.to = n
	}
	id, ok1 := varint(&body)
	length, ok2 := varint(&body)
	if !ok1 || !ok2 || flags&0x3c != 0 {
		return reject("xz: broken block header")
	}
	if flags&3 != 0 || id != 0x21 {
		return reject("xz: packed by a filter other than LZMA2, which is not read here")
	}
	if length != 1 || len(body) < 1 || body[0] > 40 || len(bytes.Trim(body[1:], "\x00")) != 0 {
		return reject("xz: broken block header")
	}
	window := int64(1<<32 - 1)
	if w := body[0]; w < 40 {
		window = int64(2|w&1) << (w/2 + 11)
	}
	window = min(window, x.bound)
	if x.said.size >= 0 {
		window = min(window, x.said.size)
	}
	if window > maxWindow {
		return reject("xz: needs a window of %d bytes, more than %d", window, maxWindow)
	}
	if window > heavyWindow {
		x.heavy()
	}
	block, err := lzma.Reader2Config{DictCap: int(max(window, lzma.MinDictCap))}.NewReader2(&x.r)
	if err != nil {
		return err
	}
	x.block, x.wrote = block, 0
	if x.sum != nil {
		x.sum.Reset()
	}
	return nil
}

// varint reads one of the format's numbers of up to 63 bits off b.
func varint(b *[]byte) (int64, bool) {
	var n int64
	for i := 0; i < 9 && i < len(*b); i++ {
		c := (*b)[i]
		n |= int64(c&0x7f) << (7 * i)
		if c&0x80 == 0 {
			*b = (*b)[i+1:]
			return n, c != 0 || i == 0
		}
	}
	return 0, false
}

// endBlock checks what a block gave.
func (x *xzReader) endBlock() error {
	x.block = nil
	packed := x.r.n - x.start - x.header
	if x.said.packed >= 0 && x.said.packed != packed || x.said.size >= 0 && x.said.size != x.wrote {
		return reject("xz: a block is not of the size that its header says")
	}
	if err := x.padding(packed); err != nil {
		return err
	}
	var want []byte
	var length int
	if x.sum != nil {
		want = x.sum.Sum(nil)
		length = len(want)
		if x.check != 10 { // the short checks are little-endian
			for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 {
				want[i], want[j] = want[j], want[i]
			}
		}
	}
	got := x.buf[:length]
	if err := x.full(got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return reject("xz: wrong checksum")
	}
	x.sizes = append(x.sizes, xzSizes{x.header + packed + int64(length), x.wrote})
	return nil
}

// padding reads the zero bytes up to a multiple of four.
func (x *xzReader) padding(n int64) error {
	b := x.buf[:(4-n%4)%4]
	if err := x.full(b); err != nil {
		return err
	}
	if len(bytes.Trim(b, "\x00")) != 0 {
		return reject("xz: broken padding")
	}
	return nil
}

// index reads the index, whose first byte is read already, and the footer.
func (x *xzReader) index() error {
	sum := crc32.NewIEEE()
	sum.Write([]byte{0})
	number := func() (int64, error) {
		for i := range 9 {
			if err := x.full(x.buf[i : i+1]); err != nil {
				return 0, err
			}
			if x.buf[i]&0x80 == 0 {
				sum.Write(x.buf[:i+1])
				b := x.buf[:i+1]
				n, ok := varint(&b)
				if !ok {
					break
				}
				return n, nil
			}
		}
		return 0, reject("xz: broken index")
	}
	count, err := number()
	if err != nil {
		return err
	}
	if count != int64(len(x.sizes)) {
		return reject("xz: the index counts %d blocks and not %d", count, len(x.sizes))
	}
	for _, s := range x.sizes {
		packed, err := number()
		if err != nil {
			return err
		}
		size, err := number()
		if err != nil {
			return err
		}
		if s != (xzSizes{packed, size}) {
			return reject("xz: the index does not fit the blocks")
		}
	}
	length := x.r.n - x.start
	if err := x.padding(length); err != nil {
		return err
	}
	sum.Write(make([]byte, (4-length%4)%4))
	b := x.buf[:16]
	if err := x.full(b); err != nil {
		return err
	}
	if le.Uint32(b) != sum.Sum32() {
		return reject("xz: broken index")
	}
	length = x.r.n - x.start - 12
	f := b[4:]
	if string(f[10:]) != "YZ" || crc32.ChecksumIEEE(f[4:10]) != le.Uint32(f) ||
		(int64(le.Uint32(f[4:]))+1)*4 != length || f[8] != 0 || f[9] != x.check {
		return reject("xz: broken footer")
	}
	return nil
}

// nextStream opens the stream after the footer, or gives io.EOF at the end of
// the file. Zero bytes may stand between, in fours.
func (x *xzReader) nextStream() error {
	for x.more() {
		b := x.buf[:4]
		if err := x.full(b); err != nil {
			return reject("xz: something follows the end of the stream")
		}
		if le.Uint32(b) == 0 {
			continue
		}
		rest := x.buf[4:12]
		if err := x.full(rest); err != nil || !bytes.Equal(x.buf[:6], xzMagic) {
			return reject("xz: something follows the end of the stream")
		}
		return x.reopen()
	}
	return io.EOF
}

// reopen is open for a header that is read already.
func (x *xzReader) reopen() error {
	head := bytes.NewReader(bytes.Clone(x.buf[:12]))
	r := x.r
	x.r = counter{r: head}
	err := x.open()
	x.r = r
	return err
}
