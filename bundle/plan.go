package bundle

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
)

// A layout says what comes into which part.
type layout struct {
	header  Header
	members []Member // sorted
	spans   []span   // the digests of pieces are not known yet
}

func (l *layout) list(i int) entry {
	m := &l.members[i]
	return entry{m.Name, m.Size, m.SHA256}
}

// plan checks what is to be written and lays it out.
func plan(o Options) (*layout, error) {
	l := &layout{header: Header{Origin: o.Header.Origin, Key: o.Header.Key, Tag: o.Header.Tag, Fields: o.Header.Fields, Rotations: o.Header.Rotations}}
	if err := l.header.check(); err != nil {
		return nil, err
	}
	if o.Split != 0 && o.Split < minSplit {
		return nil, fmt.Errorf("parts of %d bytes are too small: %d is the least", o.Split, minSplit)
	}
	if n := newPreface(l.header).noteSize(); n > maxNote-128 { // and its digits
		return nil, fmt.Errorf("the fields make a note of %d bytes, more than %d", n, maxNote-128)
	}
	var err error
	if l.members, err = sortedMembers(o.Members); err != nil {
		return nil, err
	}
	l.header.ID = identity(l.header, len(l.members), l.list)
	limit := int64(math.MaxInt64)
	if o.Split != 0 {
		limit = o.Split
		if o.Zstd {
			limit = mostPlain(limit)
		}
		if len(o.Header.Rotations) > 0 && l.fixed() > limit/4*3 {
			return nil, fmt.Errorf("parts of %d bytes are too small: the %d bytes of rotations of the key are in each", o.Split, len(o.Header.Rotations))
		}
	}
	if err := l.split(limit); err != nil {
		return nil, err
	}
	for _, s := range l.spans {
		if size := l.manifestSize(s); size > maxManifest {
			return nil, fmt.Errorf("the manifest has %d bytes, more than %d: split the bundle", size, maxManifest)
		}
	}
	return l, nil
}

// split lays the members out in parts of at most so many bytes, in their order. A
// member begins a new part if it does not fit into the rest of this one, and is
// cut only where it does not fit into any.
func (l *layout) split(limit int64) error {
	fixed := l.fixed()
	s := span{}
	manifest, body := int64(0), int64(0)
	room := func() int64 { return limit - fixed - body - manifest - padding(manifest) }
	next := func(i int) error {
		if len(l.spans)+1 == MaxParts {
			return fmt.Errorf("more than %d parts: ask for larger ones", MaxParts)
		}
		l.spans = append(l.spans, s)
		s = span{first: i, end: i}
		manifest, body = 0, 0
		return nil
	}
	var buf []byte
	for i := range l.members {
		e := l.list(i)
		buf = appendLine(buf[:0], e, nil)
		line := int64(len(buf))
		buf = appendHeader(buf[:0], e.name, e.size)
		size := int64(len(buf)) + e.size + padding(e.size)
		need := size + line + blockSize // what the manifest may grow by, with its padding
		if need > room() {
			if need > limit-fixed {
				if err := l.cut(i, e, &s, room, next, &manifest, &body); err != nil {
					return err
				}
				continue
			}
			if err := next(i); err != nil {
				return err
			}
		}
		s.end, s.tail = i+1, nil
		manifest += line
		body += size
	}
	l.spans = append(l.spans, s)
	return nil
}

// leastPiece is how much of a file a part has to have room for, so that the file
// begins there. Tests make this and the next smaller, to change every byte.
var leastPiece int64 = 32 << 10

var minSplit int64 = MinSplit

// cut lays out a member that does not fit into one part.
func (l *layout) cut(i int, e entry, s *span, room func() int64, next func(int) error, manifest, body *int64) error {
	// How long a line and a header will be, at most: the numbers of pieces are
	// known at the end.
	widest := &piece{index: MaxParts, of: MaxParts, offset: e.size, length: e.size}
	line := int64(len(appendLine(nil, e, widest)))
	header := int64(len(appendHeader(nil, pieceName(e.name, 1, 1), e.size)))
	var pieces []*piece
	for offset := int64(0); offset < e.size; {
		length := (room() - line - blockSize - header) &^ (blockSize - 1)
		if length < leastPiece && length < e.size-offset {
			if err := next(i); err != nil {
				return err
			}
			continue
		}
		length = min(length, e.size-offset)
		p := &piece{index: len(pieces) + 1, offset: offset, length: length}
		pieces = append(pieces, p)
		if s.first == i {
			s.head = p
		}
		s.tail = p
		s.end = i + 1
		*manifest += line
		*body += header + length + padding(length)
		if offset += length; offset < e.size {
			if err := next(i); err != nil {
				return err
			}
		}
	}
	for _, p := range pieces {
		p.of = len(pieces)
	}
	return nil
}

// fixed is what a part takes besides its members and their lines, at most.
func (l *layout) fixed() int64 {
	p := newPreface(l.header)
	p.manifestSize = maxManifest
	p.Part, p.Parts = MaxParts, MaxParts
	n := p.noteSize()
	return blockSize + n + padding(n) + p.rotationsSpace() + blockSize + endSize
}

// partSize is how large the archive of a part is.
func (l *layout) partSize(s span, p preface) int64 {
	note := p.noteSize()
	n := blockSize + note + padding(note) + p.rotationsSpace() + blockSize + p.manifestSize + padding(p.manifestSize) + endSize
	var buf []byte
	for _, c := range s.chunks(l.list) {
		buf = appendHeader(buf[:0], c.member, c.length)
		n += int64(len(buf)) + c.length + padding(c.length)
	}
	return n
}

// manifestSize is how many bytes the manifest of a part has.
func (l *layout) manifestSize(s span) int64 {
	n := int64(0)
	var buf []byte
	for e, c := range s.chunks(l.list) {
		buf = appendLine(buf[:0], e, c.piece)
		n += int64(len(buf))
	}
	return n
}

// PartName is the path of part k of n of a bundle that is written to path: path
// itself if there is one part, else with the numbers before its ending, as in
// "site-b.001-of-003.tar".
func PartName(path string, k, n int, zstd bool) string {
	path = strings.TrimSuffix(strings.TrimSuffix(path, ".zst"), ".tar")
	if n > 1 {
		path += fmt.Sprintf(".%03d-of-%03d", k, n)
	}
	path += ".tar"
	if zstd {
		path += ".zst"
	}
	return path
}

// Plan says what [Write] would write: the paths of the parts and their sizes,
// without reading a member. With Zstd the sizes are the most that they can be.
func Plan(path string, o Options) (Result, error) {
	l, err := plan(o)
	if err != nil {
		return Result{}, err
	}
	r := Result{ID: l.header.ID}
	for k, s := range l.spans {
		p := newPreface(l.header)
		p.manifestSize = l.manifestSize(s)
		p.Part, p.Parts = k+1, len(l.spans)
		size := l.partSize(s, p)
		if o.Zstd {
			size = mostCompressed(size)
		}
		r.Parts = append(r.Parts, PartInfo{Path: filepath.Clean(PartName(path, k+1, len(l.spans), o.Zstd)), Size: size})
	}
	return r, nil
}
