package drop

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"nestgen/catalog"
)

// The cache is one file:
//
//	magic     16 bytes, which name the version of the format
//	sections  one for each drop directory, records in the order of the walk
//	table     SHA-256 and length of all before it; then of each section the
//	          directory, its device and inode, offset, length and count
//	trailer   length of the table (8 bytes), SHA-256 of the table
//
// A record is a length and then: how many bytes of the path it shares with
// the record before, the rest of the path, the facts, the outcome.
const (
	magic       = "nestgen drop 1\r\n"
	trailerSize = 8 + sha256.Size
	maxTable    = 16 << 20
)

// A section is the part of the cache for one drop directory.
type section struct {
	dir    string
	id     fileID
	offset int64
	length int64
	count  int
}

// A fileID tells one directory from another while the machine runs.
type fileID struct {
	dev   uint64
	inode uint64
}

// A base is a cache on disk, open for reading.
type base struct {
	f        *os.File
	body     int64
	sum      catalog.Digest
	sections []section
}

// openBase opens a cache and checks all but its body, which verify does. The
// error matches fs.ErrNotExist or errDamaged, or comes from the file system.
func openBase(path string) (*base, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	b, err := readBase(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return b, nil
}

func readBase(f *os.File) (*base, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() < int64(len(magic)+trailerSize) {
		return nil, errDamaged
	}
	b := &base{f: f}
	var end [trailerSize]byte
	if err := readFull(f, end[:], fi.Size()-trailerSize); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(end[:8])
	if n > maxTable || int64(n) > fi.Size()-int64(len(magic)+trailerSize) {
		return nil, errDamaged
	}
	b.body = fi.Size() - trailerSize - int64(n)
	table := make([]byte, n)
	if err := readFull(f, table, b.body); err != nil {
		return nil, err
	}
	if sha256.Sum256(table) != [sha256.Size]byte(end[8:]) {
		return nil, errDamaged
	}
	return b, b.parseTable(table)
}

// readFull reads len(p) bytes. A file that is shorter than it was is damaged.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	_, err := io.ReadFull(io.NewSectionReader(r, off, int64(len(p))), p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errDamaged
	}
	return err
}

func (b *base) parseTable(t []byte) error {
	if len(t) < len(b.sum) {
		return errDamaged
	}
	copy(b.sum[:], t)
	body, t, ok := cutUvarint(t[len(b.sum):])
	if !ok || body != uint64(b.body) {
		return errDamaged
	}
	n, t, ok := cutUvarint(t)
	if !ok || n > uint64(len(t)) {
		return errDamaged
	}
	at := int64(len(magic))
	for range n {
		var s section
		var dir []byte
		if dir, t, ok = cutText(t); !ok {
			return errDamaged
		}
		s.dir = string(dir)
		var num [4]uint64
		for i := range num {
			if num[i], t, ok = cutUvarint(t); !ok {
				return errDamaged
			}
		}
		s.id = fileID{num[0], num[1]}
		if num[2] > uint64(b.body-at) || num[3] > num[2] {
			return errDamaged
		}
		s.offset, s.length, s.count = at, int64(num[2]), int(num[3])
		at += s.length
		b.sections = append(b.sections, s)
	}
	if len(t) != 0 || at != b.body {
		return errDamaged
	}
	return nil
}

func appendTable(t []byte, b *base) []byte {
	t = append(t, b.sum[:]...)
	t = binary.AppendUvarint(t, uint64(b.body))
	t = binary.AppendUvarint(t, uint64(len(b.sections)))
	for _, s := range b.sections {
		t = appendText(t, s.dir)
		t = binary.AppendUvarint(t, s.id.dev)
		t = binary.AppendUvarint(t, s.id.inode)
		t = binary.AppendUvarint(t, uint64(s.length))
		t = binary.AppendUvarint(t, uint64(s.count))
	}
	return t
}

// verify reads the whole body once and compares its checksum, so that no
// record is believed before all of them are known to be whole.
func (b *base) verify() error {
	h := sha256.New()
	n, err := io.CopyBuffer(writerOnly{h}, io.NewSectionReader(b.f, 0, b.body), make([]byte, 128<<10))
	if err != nil {
		return err
	}
	var head [len(magic)]byte
	if err := readFull(b.f, head[:], 0); err != nil {
		return err
	}
	if n != b.body || string(head[:]) != magic || [sha256.Size]byte(h.Sum(nil)) != b.sum {
		return errDamaged
	}
	return nil
}

// writerOnly hides what else a writer can do, so that a copy keeps to the
// buffer it was given.
type writerOnly struct{ io.Writer }

// digest names the content: the directories in their order and every record,
// but not which device they are mounted from.
func (b *base) digest() catalog.Digest {
	h := sha256.New()
	h.Write(b.sum[:])
	var t []byte
	for _, s := range b.sections {
		t = appendText(t[:0], s.dir)
		t = binary.AppendUvarint(t, uint64(s.count))
		h.Write(t)
	}
	return catalog.Digest(h.Sum(nil))
}

func (b *base) section(dir string) *section {
	if b == nil {
		return nil
	}
	for i := range b.sections {
		if b.sections[i].dir == dir {
			return &b.sections[i]
		}
	}
	return nil
}

// A cursor reads the records of one section in order. The slices it gives are
// good until the next call of next.
type cursor struct {
	r    *bufio.Reader
	left int
	skip int

	ok      bool // whether there is a record
	path    []byte
	facts   facts
	outcome []byte
}

// cursor stands on the first record of s; on nothing when b or s is nil.
func (b *base) cursor(s *section) (*cursor, error) {
	c := new(cursor)
	if b == nil || s == nil {
		return c, nil
	}
	c.r = bufio.NewReaderSize(io.NewSectionReader(b.f, s.offset, s.length), 4*maxRecord)
	c.left = s.count
	return c, c.next()
}

func (c *cursor) next() error {
	c.ok = false
	if c.r == nil {
		return nil
	}
	if _, err := c.r.Discard(c.skip); err != nil {
		return damaged(err)
	}
	c.skip = 0
	if c.left == 0 {
		if _, err := c.r.Peek(1); err != io.EOF {
			return damaged(err)
		}
		return nil
	}
	c.left--
	head, err := c.r.Peek(binary.MaxVarintLen32)
	if len(head) == 0 {
		return damaged(err)
	}
	n, k := binary.Uvarint(head)
	if k <= 0 || n > maxRecord {
		return errDamaged
	}
	c.skip = k + int(n)
	b, err := c.r.Peek(c.skip)
	if err != nil {
		return damaged(err)
	}
	return c.parse(b[k:])
}

func (c *cursor) parse(b []byte) error {
	shared, b, ok := cutUvarint(b)
	if !ok || shared > uint64(len(c.path)) {
		return errDamaged
	}
	rest, b, ok := cutText(b)
	if !ok || len(rest) == 0 || int(shared)+len(rest) > maxPath {
		return errDamaged
	}
	// The order is what the merge stands on: each path is after the last.
	if old := c.path[shared:]; len(old) > 0 && comparePaths(old, rest) >= 0 {
		return errDamaged
	}
	c.path = append(c.path[:shared], rest...)
	if c.facts, c.outcome, ok = cutFacts(b); !ok {
		return errDamaged
	}
	if v := verdict(c.outcome); v != Accepted && v != Rejected {
		return errDamaged
	}
	c.ok = true
	return nil
}

func damaged(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
		return errDamaged
	}
	return err
}

// An encoder writes a cache. Its first error stays.
type encoder struct {
	w    *bufio.Writer
	sum  hash.Hash
	b    base
	buf  []byte
	path []byte
	err  error
}

func newEncoder(w io.Writer) *encoder {
	e := &encoder{sum: sha256.New()}
	e.w = bufio.NewWriterSize(io.MultiWriter(w, e.sum), 128<<10)
	e.write([]byte(magic))
	return e
}

func (e *encoder) write(p []byte) {
	if e.err != nil {
		return
	}
	_, e.err = e.w.Write(p)
	e.b.body += int64(len(p))
}

func (e *encoder) section(dir string, id fileID) {
	e.b.sections = append(e.b.sections, section{dir: dir, id: id, offset: e.b.body})
	e.path = e.path[:0]
}

func (e *encoder) record(path []byte, f *facts, outcome []byte) {
	shared := 0
	for shared < len(path)-1 && shared < len(e.path) && path[shared] == e.path[shared] {
		shared++
	}
	b := binary.AppendUvarint(e.buf[:0], uint64(shared))
	b = binary.AppendUvarint(b, uint64(len(path)-shared))
	b = append(b, path[shared:]...)
	b = appendFacts(b, f)
	b = append(b, outcome...)
	e.buf = b
	e.path = append(e.path[:0], path...)
	if len(b) > maxRecord && e.err == nil {
		e.err = fmt.Errorf("drop cache: record of %d bytes for %q", len(b), path)
		return
	}
	var head [binary.MaxVarintLen64]byte
	n := len(binary.AppendUvarint(head[:0], uint64(len(b))))
	e.write(head[:n])
	e.write(b)
	s := &e.b.sections[len(e.b.sections)-1]
	s.length = e.b.body - s.offset
	s.count++
}

// finish ends the body and gives the table and the trailer.
func (e *encoder) finish() (*base, []byte, error) {
	if e.err != nil {
		return nil, nil, e.err
	}
	if err := e.w.Flush(); err != nil {
		return nil, nil, err
	}
	copy(e.b.sum[:], e.sum.Sum(nil))
	t := appendTable(nil, &e.b)
	if len(t) > maxTable {
		return nil, nil, fmt.Errorf("drop cache: table of %d bytes", len(t))
	}
	sum := sha256.Sum256(t)
	n := uint64(len(t))
	t = binary.LittleEndian.AppendUint64(t, n)
	return &e.b, append(t, sum[:]...), nil
}

// hasPrefix reports whether path is dir or lies below it. The empty dir holds
// everything.
func hasPrefix(path, dir []byte) bool {
	if len(dir) == 0 {
		return true
	}
	return bytes.HasPrefix(path, dir) && (len(path) == len(dir) || path[len(dir)] == '/')
}
