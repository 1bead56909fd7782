package bundle

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"
)

// A Bundle is a whole bundle whose signature, parts and manifests have been
// checked. What its files hold has not: see [Bundle.Verify].
type Bundle struct {
	// Header is what the note says, without the number of a part.
	Header Header

	parts    []*part
	files    fileList
	pieces   map[int][]extent // of the files that are cut, by their index
	temp     string           // where parts were decompressed to, or empty
	verified bool
}

// A located is a file and where it is.
type located struct {
	entry
	part   int32
	offset int64 // in the archive; of a file that is cut, see pieces
}

// A fileList is a list that grows without being copied, as a million files are
// better not.
type fileList struct {
	chunks [][]located
	n      int
}

const chunkFiles = 1 << 14

func (l *fileList) add(f located) {
	if l.n%chunkFiles == 0 {
		size := chunkFiles
		if l.n == 0 {
			size = 16 // most bundles are small
		}
		l.chunks = append(l.chunks, make([]located, 0, size))
	}
	last := &l.chunks[len(l.chunks)-1]
	*last = append(*last, f)
	l.n++
}

func (l *fileList) at(i int) *located { return &l.chunks[i/chunkFiles][i%chunkFiles] }
func (l *fileList) name(i int) string { return l.at(i).name }

// An extent is where a piece of a file is.
type extent struct {
	part           int32
	offset, length int64 // in the archive
}

// A part is one file of a bundle.
type part struct {
	path    string
	size    int64 // of the file
	zstd    bool
	note    []byte
	preface preface
	span    span
	tarSize int64  // of the archive, as the manifest has it
	plain   string // the file that holds the archive as it is, once there is one
}

// A MissingPartsError says which parts of a bundle were not given.
type MissingPartsError struct {
	ID      string
	Tag     string
	Missing []int // from 1
	Parts   int
	names   []string
}

func (e *MissingPartsError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the bundle %.12s for %s has %d parts, and %s", e.ID, e.Tag, e.Parts, "part")
	if len(e.Missing) > 1 {
		b.WriteString("s")
	}
	sep := " "
	for i := 0; i < len(e.Missing); {
		j := i
		for j+1 < len(e.Missing) && e.Missing[j+1] == e.Missing[j]+1 {
			j++
		}
		if j > i {
			fmt.Fprintf(&b, "%s%d-%d", sep, e.Missing[i], e.Missing[j])
		} else {
			fmt.Fprintf(&b, "%s%d", sep, e.Missing[i])
		}
		sep = ", "
		i = j + 1
	}
	if len(e.Missing) == 1 {
		b.WriteString(" is")
	} else {
		b.WriteString(" are")
	}
	b.WriteString(" not among the files given")
	if len(e.names) > 0 {
		fmt.Fprintf(&b, ": look for %s", e.names[0])
		if len(e.names) > 1 {
			b.WriteString(" and so on")
		}
	}
	return b.String()
}

// ReadHeader gives the header of a part, and reads nothing else. Its signature is the one of the key that
// it names, which may be anybody's.
func ReadHeader(path string) (Header, error) {
	p, err := openPart(path)
	if err != nil {
		return Header{}, err
	}
	return p.preface.Header, nil
}

// Open opens a bundle from the files of its parts, in any order; the same part
// may be given twice. It checks the signatures against the keys that are known,
// and that all parts are there and belong together. It returns an
// [UnknownKeyError] for a bundle of a key that is not known, a
// [MissingPartsError], or a [DamageError].
//
// No file of the bundle has been looked at then. Open nothing in it before
// [Bundle.Verify] says that all is well.
func Open(known note.Verifiers, paths ...string) (*Bundle, error) {
	if len(paths) == 0 {
		return nil, errors.New("no file of a bundle was given")
	}
	var parts []*part
	for _, path := range paths {
		p, err := openPart(path)
		if err != nil {
			return nil, err
		}
		if err := p.trust(known); err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	parts, err := sortParts(parts)
	if err != nil {
		return nil, err
	}
	b := &Bundle{Header: parts[0].preface.Header, parts: parts, pieces: map[int][]extent{}}
	b.Header.Part, b.Header.Parts = 0, len(parts)
	for k := range parts {
		if err := b.read(k); err != nil {
			return nil, err
		}
	}
	if err := b.whole(); err != nil {
		return nil, err
	}
	return b, nil
}

// sortParts puts the parts in their order, each once.
func sortParts(parts []*part) ([]*part, error) {
	first := parts[0]
	for _, p := range parts[1:] {
		if p.preface.ID != first.preface.ID {
			return nil, fmt.Errorf("%s and %s are parts of different bundles: of %.12s for %s, and of %.12s for %s",
				first.path, p.path, first.preface.ID, first.preface.Tag, p.preface.ID, p.preface.Tag)
		}
		if p.preface.Parts != first.preface.Parts {
			return nil, fmt.Errorf("%s and %s do not belong together: the bundle was written more than once, in %d parts and in %d",
				first.path, p.path, first.preface.Parts, p.preface.Parts)
		}
	}
	slices.SortStableFunc(parts, func(a, b *part) int { return cmp.Compare(a.preface.Part, b.preface.Part) })
	var sorted []*part
	for _, p := range parts {
		if n := len(sorted); n > 0 && sorted[n-1].preface.Part == p.preface.Part {
			if !bytes.Equal(sorted[n-1].note, p.note) {
				return nil, fmt.Errorf("%s and %s do not belong together: the bundle was written more than once, with parts of different sizes",
					sorted[n-1].path, p.path)
			}
			continue
		}
		sorted = append(sorted, p)
	}
	if n := first.preface.Parts; len(sorted) != n {
		missing := &MissingPartsError{ID: first.preface.ID, Tag: first.preface.Tag, Parts: n}
		have := map[int]bool{}
		for _, p := range sorted {
			have[p.preface.Part] = true
		}
		was := fmt.Sprintf(".%03d-of-%03d.", sorted[0].preface.Part, n)
		for k := 1; k <= n; k++ {
			if have[k] {
				continue
			}
			missing.Missing = append(missing.Missing, k)
			if base := filepath.Base(sorted[0].path); strings.Contains(base, was) {
				missing.names = append(missing.names, strings.Replace(base, was, fmt.Sprintf(".%03d-of-%03d.", k, n), 1))
			}
		}
		return nil, missing
	}
	return sorted, nil
}

// openFile opens a regular file, and no pipe that would never answer.
func openFile(path string) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// openPart reads the note of a part.
func openPart(path string) (*part, error) {
	f, size, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &part{path: path, size: size}
	if err := p.begin(f); err != nil {
		return nil, err
	}
	return p, nil
}

// maxBegin is how much of a file is read for its note and its rotations, of which
// nobody has said yet that they may be believed: more than they can take, also in a
// compressed part, whose blocks have 128 KiB at most.
const maxBegin = 512<<10 + maxRotations

// begin reads the note.
func (p *part) begin(f io.Reader) error {
	r, done, err := p.archive(io.LimitReader(f, maxBegin))
	if err != nil {
		return err
	}
	defer done()
	return (&scanner{part: p, r: r}).note()
}

// archive gives a reader of the archive at its beginning, of a part whose file is
// at its beginning.
func (p *part) archive(f io.Reader) (r io.Reader, done func(), err error) {
	in := bufio.NewReaderSize(f, p.buffer())
	magic, err := in.Peek(len(zstdMagic))
	if err != nil && err != io.EOF {
		return nil, nil, p.unreadable(0, err)
	}
	p.zstd = bytes.Equal(magic, zstdMagic)
	if !p.zstd {
		return in, func() {}, nil
	}
	z, err := decompress(in)
	if err != nil {
		return nil, nil, err
	}
	return z, z.Close, nil
}

// buffer is how much of the file of a part is read at a time.
func (p *part) buffer() int { return int(min(max(p.size, 16), 256<<10)) }

func decompress(r io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(1<<62))
}

// trust checks the note against the keys that are known.
func (p *part) trust(known note.Verifiers) error {
	err := trusted(p.note, p.preface, known)
	var unknown *UnknownKeyError
	if errors.As(err, &unknown) {
		unknown.File = p.path
		return unknown
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.path, err)
	}
	return nil
}

// readPart reads the manifest of a part and gives each line to add, with the place
// of the content in the archive.
func (p *part) readPart(add func(e entry, q *piece, offset int64) error) error {
	f, size, err := openFile(p.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if size != p.size {
		return p.damage("", 0, "its size changes while it is read")
	}
	r, done, err := p.archive(f)
	if err != nil {
		return err
	}
	defer done()
	s := &scanner{part: p, r: r}
	if err := s.sameNote(); err != nil {
		return err
	}
	m := p.preface.manifestSize
	if err := s.exact(appendHeader(nil, manifestName, m), manifestName); err != nil {
		return err
	}
	// Where the content of the first further member would be without its header.
	at := s.offset + m + padding(m)
	var header []byte
	sum, err := readManifest(s.content(manifestName), m, func(e entry, q *piece) error {
		name, length := e.name, e.size
		if q != nil {
			name, length = pieceName(e.name, q.index, q.of), q.length
		}
		header = appendHeader(header[:0], name, length)
		at += int64(len(header))
		if at > MaxSize-length {
			return errors.New("too much for one part")
		}
		err := add(e, q, at)
		at += length + padding(length)
		return err
	})
	p.tarSize = at + endSize
	var damage *DamageError
	switch {
	case errors.As(err, &damage):
		return err
	case err == nil && sum == p.preface.manifestSum:
	case s.failed != nil:
		return s.failed
	case err != nil:
		return p.damage("", s.offset, err.Error())
	default:
		return p.damage(manifestName, s.offset, "its digest is not the one in the signed note")
	}
	switch {
	case p.zstd && p.size > mostCompressed(p.tarSize):
		return p.damage("", p.size, "there is more in it than its manifest says")
	case p.zstd:
	case p.size < p.tarSize:
		return p.damage("", p.size, fmt.Sprintf("it ends here, and %d bytes are missing", p.tarSize-p.size))
	case p.size > p.tarSize:
		return p.damage("", p.tarSize, fmt.Sprintf("%d bytes too many follow its end", p.size-p.tarSize))
	}
	return nil
}

// read reads the manifest of part k, after those of the parts before it.
func (b *Bundle) read(k int) error {
	j := b.join(k)
	p := b.parts[k]
	if err := p.readPart(j.add); err != nil {
		return err
	}
	p.span.end = b.files.n
	if j.apart || j.open && !j.started {
		return fmt.Errorf("%s does not go on where %s ends: the bundle was written more than once, with parts of different sizes",
			p.path, b.parts[max(k-1, 0)].path)
	}
	return nil
}

// A joint adds the lines of a manifest to those of the parts before it.
type joint struct {
	b       *Bundle
	k       int
	open    bool // the part before ends within a file
	started bool
	apart   bool // it is no continuation, which is told if the manifest is the signed one
}

func (b *Bundle) join(k int) *joint {
	j := &joint{b: b, k: k, open: k > 0 && b.parts[k-1].unfinished()}
	b.parts[k].span.first = b.files.n
	if j.open {
		b.parts[k].span.first--
	}
	return j
}

func (j *joint) add(e entry, q *piece, offset int64) error {
	if j.apart {
		return nil
	}
	b, s := j.b, &j.b.parts[j.k].span
	place := extent{int32(j.k), offset, e.size}
	if q != nil {
		place.length = q.length
	}
	s.tail = q
	if !j.started {
		j.started = true
		s.head = q
		if j.open {
			last := b.files.n - 1
			before := b.parts[j.k-1].span.tail
			if q == nil || e != b.files.at(last).entry || q.index != before.index+1 || q.of != before.of || q.offset != before.offset+before.length {
				j.apart = true
				return nil
			}
			b.pieces[last] = append(b.pieces[last], place)
			return nil
		}
		if q != nil && q.index != 1 || b.files.n > 0 && e.name <= b.files.name(b.files.n-1) {
			j.apart = true
			return nil
		}
	}
	if b.files.n == MaxMembers {
		return fmt.Errorf("more than %d files", MaxMembers)
	}
	if q != nil {
		b.pieces[b.files.n] = []extent{place}
	}
	b.files.add(located{e, int32(j.k), offset})
	return nil
}

// unfinished says whether the last file of a part goes on in the next one.
func (p *part) unfinished() bool {
	return p.span.tail != nil && p.span.tail.index < p.span.tail.of
}

// whole checks what only all parts together show.
func (b *Bundle) whole() error {
	if last := b.parts[len(b.parts)-1]; last.unfinished() {
		return fmt.Errorf("%s: its last file is not complete, though it is the last part", last.path)
	}
	var total int64
	for i := range b.files.n {
		size := b.files.at(i).size
		if size > MaxSize-total {
			return fmt.Errorf("%s: the bundle holds more than %d bytes", b.parts[0].path, int64(MaxSize))
		}
		total += size
	}
	if err := checkTree(b.files.n, b.files.name); err != nil {
		return fmt.Errorf("%s: %w", b.parts[0].path, err)
	}
	if id := identity(b.Header, b.files.n, b.list); id != b.Header.ID {
		return fmt.Errorf("%s: the bundle is not the one that its note names: its id is %.12s, and what is in it has %.12s", b.parts[0].path, b.Header.ID, id)
	}
	return nil
}

func (b *Bundle) list(i int) entry { return b.files.at(i).entry }

// Size is how many bytes the files of the parts have together: what
// [Bundle.Verify] reads.
func (b *Bundle) Size() int64 {
	var n int64
	for _, p := range b.parts {
		n += p.size
	}
	return n
}

// Len is how many files the bundle holds.
func (b *Bundle) Len() int { return b.files.n }

// Members gives the files by name. What Open of each gives is as
// [Bundle.Open] says.
func (b *Bundle) Members() iter.Seq[Member] {
	return func(yield func(Member) bool) {
		for i := range b.files.n {
			if !yield(b.member(i)) {
				return
			}
		}
	}
}

// Stat gives what the manifest says of a file. An error matches [fs.ErrNotExist].
func (b *Bundle) Stat(name string) (Member, error) {
	i, err := b.find(name)
	if err != nil {
		return Member{}, err
	}
	return b.member(i), nil
}

func (b *Bundle) member(i int) Member {
	f := b.files.at(i)
	return Member{f.name, f.size, f.sum, func() (io.ReadCloser, error) { return b.open(i) }}
}

func (b *Bundle) find(name string) (int, error) {
	at := searchName(b.files.n, b.files.name, name)
	if at == b.files.n || b.files.name(at) != name {
		return 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return at, nil
}
