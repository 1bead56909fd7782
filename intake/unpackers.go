package intake

import (
	"bytes"
	"compress/bzip2"
	"hash"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz/lzma"
)

// A packing is how a tar file is packed.
type packing uint8

const (
	plainTar packing = iota
	gzipped
	bzipped
	xzipped
	zstandard
	lzmaAlone
	lzipped
	compressed // by compress(1)
	zipped     // no tar file at all
)

var packings = [...]struct{ name, magic string }{
	plainTar:   {"tar", ""},
	gzipped:    {"gzip", "\x1f\x8b"},
	bzipped:    {"bzip2", "BZh"},
	xzipped:    {"xz", "\xfd7zXZ\x00"},
	zstandard:  {"zstd", "\x28\xb5\x2f\xfd"},
	lzmaAlone:  {"lzma", "\x5d\x00\x00"},
	lzipped:    {"lzip", "LZIP\x01"},
	compressed: {"compress", lzwMagic},
	zipped:     {"zip", "PK\x03\x04"},
}

// packingOf gives the packing that an extension promises.
func packingOf(ext string) packing {
	switch ext {
	case ".tar.gz", ".tgz":
		return gzipped
	case ".tar.bz2", ".tbz":
		return bzipped
	case ".tar.xz", ".txz":
		return xzipped
	case ".tar.zst":
		return zstandard
	case ".tar.lzma", ".tlz":
		return lzmaAlone
	case ".tar.lz":
		return lzipped
	case ".tar.Z":
		return compressed
	case ".zip":
		return zipped
	}
	return plainTar
}

// looksLike gives the packing that the first bytes of a file show. A tar file
// has no bytes of its own in front, so it is what nothing else is.
func looksLike(head []byte) packing {
	for p, k := range packings {
		if k.magic != "" && bytes.HasPrefix(head, []byte(k.magic)) {
			return packing(p)
		}
	}
	return plainTar
}

// heavyWindow is the size of dictionary from which on only one file at a time
// is read, so that memory does not grow with the number of workers.
const heavyWindow = 8 << 20

var heavy sync.Mutex

// An unpacker reads a packed tar file to the end of the file: the end of what it
// gives is also the end of everything that is there. The zero one is ready.
type unpacker struct {
	*judge
	src    *source
	how    packing
	in     byteReader
	r      io.Reader
	gz     *gzip.Reader
	zst    *zstd.Decoder
	lzip   lzipReader
	lzw    *lzwReader
	locked bool
	ended  bool
}

// open starts at the first byte of the file.
func (u *unpacker) open(how packing) error {
	u.how, u.ended = how, false
	u.in = u.src.section(0, u.src.size)
	switch how {
	case plainTar:
		u.r = u.in
	case gzipped:
		if u.gz == nil {
			u.gz = new(gzip.Reader)
		}
		if err := u.gz.Reset(u.in); err != nil {
			return u.fault(err)
		}
		u.gz.Multistream(false)
		u.r = u.gz
	case bzipped:
		u.r = bzip2.NewReader(u.in)
	case xzipped:
		bound, err := xzBound(u.src)
		if err != nil {
			return err
		}
		x, err := newXZ(u.in, bound, func() bool { return u.src.unread() > 0 }, u.lock)
		if err != nil {
			return u.fault(err)
		}
		u.r = x
	case zstandard:
		if u.zst == nil {
			d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(maxZstdWindow))
			if err != nil {
				return err
			}
			u.zst = d
		}
		if err := u.zst.Reset(u.in); err != nil {
			return u.fault(err)
		}
		u.r = u.zst
	case lzmaAlone:
		return u.openLZMA(u.in)
	case lzipped:
		return u.openLzip()
	case compressed:
		if u.lzw == nil {
			u.lzw = new(lzwReader)
		}
		if err := u.lzw.reset(u.in); err != nil {
			return u.fault(err)
		}
		u.r = u.lzw
	default:
		return reject("packed by %s, which is not read here", packings[how].name)
	}
	return nil
}

// maxZstdWindow admits what zstd makes without being told to need more: 8 MiB at
// every ordinary level, and 32 MiB to spare for the higher ones.
const maxZstdWindow = 32 << 20

// lock waits for the other file that needs much memory.
func (u *unpacker) lock() {
	if !u.locked {
		heavy.Lock()
		u.locked = true
	}
}

func (u *unpacker) unlock() {
	if u.locked {
		u.locked = false
		heavy.Unlock()
	}
}

// close gives up what open took.
func (u *unpacker) close() {
	u.unlock()
	if u.zst != nil {
		_ = u.zst.Reset(nil)
	}
	u.in, u.r = nil, nil
}

// fault makes an error of a decompressor a rejection, unless reading the file
// itself failed.
func (u *unpacker) fault(err error) error {
	if u.src.err != nil {
		return u.src.err
	}
	if r, ok := err.(Rejection); ok {
		return r
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return reject("%s: cut short", packings[u.how].name)
	}
	return reject("%s: broken data: %v", packings[u.how].name, err)
}

func (u *unpacker) Read(p []byte) (int, error) {
	for {
		if u.ended {
			return 0, io.EOF
		}
		n, err := u.r.Read(p)
		if n > 0 {
			return n, nil
		}
		if err == nil {
			continue
		}
		if err != io.EOF {
			return 0, u.fault(err)
		}
		if u.src.err != nil {
			return 0, u.src.err
		}
		if err := u.afterEnd(); err != nil {
			return 0, err
		}
	}
}

// afterEnd judges what follows the end of a packed stream, and ends the reading
// or goes on with another stream.
func (u *unpacker) afterEnd() error {
	u.ended = true
	if u.how == lzipped {
		return u.lzip.finish()
	}
	n := u.src.unread()
	if n == 0 {
		return nil
	}
	name := packings[u.how].name
	rest, err := u.src.view(u.src.size-n, int(min(n, windowSize)))
	if err != nil {
		return err
	}
	if n <= windowSize && len(bytes.Trim(rest, "\x00")) == 0 {
		// Python and gzip skip zero bytes.
		u.warn("%s: %d zero bytes follow the end", name, n)
		return nil
	}
	if u.how == gzipped && bytes.HasPrefix(rest, []byte("\x1f\x8b")) {
		// Python reads the streams as one; others stop after the first.
		if err := u.minor("gzip: more than one stream"); err != nil {
			return err
		}
		if err := u.gz.Reset(u.in); err != nil {
			return u.fault(err)
		}
		u.gz.Multistream(false)
		u.ended = false
		return nil
	}
	return u.minor("%s: %d bytes follow the end", name, n)
}

// openLZMA reads the 13 bytes in front of a bare LZMA stream.
func (u *unpacker) openLZMA(r byteReader) error {
	x, err := lzma.ReaderConfig{DictCap: maxWindow}.NewReader(r)
	if err != nil {
		return u.fault(err)
	}
	u.r = x
	return nil
}

// An lzipReader reads an lzip file of one member: LZMA with its own header, and
// with checks behind (lzip manual, "File format").
type lzipReader struct {
	u    *unpacker
	head [13]byte
	at   int
	in   byteReader
	x    io.Reader
	sum  hash.Hash32
	n    int64
}

const lzipHead, lzipTail = 6, 20

func (u *unpacker) openLzip() error {
	size := u.src.size
	if size < lzipHead+lzipTail {
		return reject("lzip: cut short")
	}
	b, err := u.src.view(0, lzipHead)
	if err != nil {
		return err
	}
	if string(b[:5]) != "LZIP\x01" {
		return reject("lzip: no header of version 1")
	}
	code := b[5]
	window := int64(1) << (code & 31)
	window -= window / 16 * int64(code>>5)
	if window < 4096 || window > maxWindow {
		return reject("lzip: needs a window of %d bytes, more than %d", window, maxWindow)
	}
	if window > heavyWindow {
		u.lock()
	}
	z := &u.lzip
	*z = lzipReader{u: u, in: u.src.section(lzipHead, size-lzipHead-lzipTail), sum: crc32.NewIEEE()}
	z.head[0] = 0x5d // lc 3, lp 0, pb 2
	le.PutUint32(z.head[1:], uint32(window))
	le.PutUint64(z.head[5:], 1<<64-1) // up to its end mark
	if err := u.openLZMA(lzipSource{z}); err != nil {
		return err
	}
	z.x = u.r
	u.r = z
	return nil
}

// An lzipSource gives an LZMA header that lzip does not write, then the data.
type lzipSource struct{ *lzipReader }

func (z lzipSource) Read(p []byte) (int, error) {
	if z.at < len(z.head) {
		n := copy(p, z.head[z.at:])
		z.at += n
		return n, nil
	}
	return z.in.Read(p)
}

func (z lzipSource) ReadByte() (byte, error) {
	if z.at < len(z.head) {
		z.at++
		return z.head[z.at-1], nil
	}
	return z.in.ReadByte()
}

func (z *lzipReader) Read(p []byte) (int, error) {
	n, err := z.x.Read(p)
	z.sum.Write(p[:n])
	z.n += int64(n)
	return n, err
}

// finish checks the trailer. A second member would stand where the first one's
// trailer is looked for, so it shows as well.
func (z *lzipReader) finish() error {
	src := z.u.src
	if src.unread() != 0 {
		return reject("lzip: more than one member, or something after the first")
	}
	b, err := src.view(src.size-lzipTail, lzipTail)
	if err != nil {
		return err
	}
	if le.Uint32(b) != z.sum.Sum32() || le.Uint64(b[4:]) != uint64(z.n) || le.Uint64(b[12:]) != uint64(src.size) {
		return reject("lzip: wrong checksum or size")
	}
	return nil
}
