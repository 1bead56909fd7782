// Package transit gives what crosses an air gap besides files of the store: the
// records of a site's log, the edge from which that goes on, proofs that it does, the
// listing of what the index has at the end, and the acknowledgement that travels back.
//
// Each value has one form only, and what is not written as this package writes it is
// refused, because it comes from outside. The package knows nothing of the index that
// the records are about, opens no file, and checks no signature.
package transit

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/tilelog"
)

// Limits of what is believed.
const (
	MaxEdge   = 64                   // hashes: as many as a size has binary digits
	MaxProof  = 128                  // hashes of one proof
	MaxProofs = 256                  // proofs of one bundle
	MaxText   = 64 << 10             // bytes of an edge or an acknowledgement
	MaxLine   = 1 << 10              // bytes of a line of a listing
	maxProofs = MaxProofs * MaxProof // hashes
)

// MaxProofsText is how many bytes all proofs may have.
const MaxProofsText = MaxProofs*32 + maxProofs*45

// ErrForm is matched by the errors for what is not written as this package does.
var ErrForm = errors.New("not in the form that nestgen writes")

// AppendRecord appends a leaf of the log to a list of records: its length in 16 bits,
// then its bytes. A leaf is never empty.
func AppendRecord(b, leaf []byte) ([]byte, error) {
	if len(leaf) == 0 || len(leaf) > tilelog.MaxRecord {
		return b, fmt.Errorf("a record of %d bytes", len(leaf))
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(leaf)))
	return append(b, leaf...), nil
}

// AppendHidden appends a leaf of which no more is told than its hash: a length of 0,
// then the hash.
func AppendHidden(b []byte, leaf tilelog.Hash) []byte {
	b = append(b, 0, 0)
	return append(b, leaf[:]...)
}

// Records reads a list of records.
type Records struct {
	r    *bufio.Reader
	leaf []byte
}

// NewRecords gives the records that r has.
func NewRecords(r io.Reader) *Records { return &Records{r: bufio.NewReaderSize(r, 64<<10)} }

// Next gives the hash of the next leaf and its bytes, which stand until the next call;
// none of one that is hidden. After the last the error is [io.EOF].
func (r *Records) Next() (leaf []byte, hash tilelog.Hash, err error) {
	var size [2]byte
	if _, err := io.ReadFull(r.r, size[:]); err != nil {
		return nil, hash, cut(err, true)
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	if n == 0 {
		_, err := io.ReadFull(r.r, hash[:])
		return nil, hash, cut(err, false)
	}
	if cap(r.leaf) < n {
		r.leaf = make([]byte, max(n, 1024))
	}
	leaf = r.leaf[:n]
	if _, err := io.ReadFull(r.r, leaf); err != nil {
		return nil, hash, cut(err, false)
	}
	return leaf, tilelog.LeafHash(leaf), nil
}

// cut tells an end in the middle from one where there may be one.
func cut(err error, mayEnd bool) error {
	if err == io.ErrUnexpectedEOF || err == io.EOF && !mayEnd {
		return fmt.Errorf("records: they end too early: %w", ErrForm)
	}
	return err
}

// A Line is a line of a listing: a project, or a file of the project of the last such
// line before it.
type Line struct {
	Project packaging.Name

	// Last is the serial of the last event about the project up to the end of the
	// bundle, and Before that of the last one up to its beginning, 0 for none.
	Last, Before int64

	// File has a name only in the line of a file. Project is its project then.
	File
}

// A File is what a listing says of a file.
type File struct {
	Filename string
	SHA256   catalog.Digest
	Size     int64
}

// AppendLine appends a line to a listing.
func AppendLine(b []byte, l Line) []byte {
	if l.Filename == "" {
		b = append(append(b, "= "...), l.Project...)
		b = strconv.AppendInt(append(b, ' '), l.Last, 10)
		b = strconv.AppendInt(append(b, ' '), l.Before, 10)
		return append(b, '\n')
	}
	b = l.SHA256.AppendHex(b)
	b = strconv.AppendInt(append(b, ' '), l.Size, 10)
	b = append(append(b, ' '), l.Filename...)
	return append(b, '\n')
}

// ReadListing reads a listing, line by line. Projects come in the order of their
// names. Nothing follows an error.
func ReadListing(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		lines := bufio.NewReaderSize(r, MaxLine+1)
		var project packaging.Name
		for at := 1; ; at++ {
			text, err := lines.ReadSlice('\n')
			if err == io.EOF && len(text) == 0 {
				return
			}
			var l Line
			if err == nil {
				l, err = parseLine(text, project)
			} else if err == bufio.ErrBufferFull || err == io.EOF {
				err = ErrForm
			}
			if err != nil {
				yield(Line{}, fmt.Errorf("listing: line %d: %w", at, err))
				return
			}
			project = l.Project
			if !yield(l, nil) {
				return
			}
		}
	}
}

func parseLine(text []byte, project packaging.Name) (l Line, err error) {
	first, rest, _ := strings.Cut(strings.TrimSuffix(string(text), "\n"), " ")
	second, third, _ := strings.Cut(rest, " ")
	if first == "=" {
		last, before, _ := strings.Cut(third, " ")
		l.Project = packaging.Name(second)
		l.Last, _ = strconv.ParseInt(last, 10, 64)
		l.Before, _ = strconv.ParseInt(before, 10, 64)
		if packaging.NormalizeName(second) != l.Project || l.Project <= project || l.Before < 0 || l.Before > l.Last {
			return l, ErrForm
		}
	} else {
		l.Project = project
		if l.SHA256, err = catalog.ParseDigest(first); err != nil {
			return l, fmt.Errorf("%w: %w", ErrForm, err)
		}
		l.Size, _ = strconv.ParseInt(second, 10, 64)
		l.Filename = third
		if project == "" || l.Size < 0 || packaging.CheckFilename(third) != nil {
			return l, ErrForm
		}
	}
	if !bytes.Equal(AppendLine(nil, l), text) {
		return l, ErrForm
	}
	return l, nil
}

// AppendEdge appends the edge of a log, a hash a line.
func AppendEdge(b []byte, edge []tilelog.Hash) []byte {
	for _, h := range edge {
		b = append(append(b, h.String()...), '\n')
	}
	return b
}

// ParseEdge reads an edge.
func ParseEdge(text []byte) (edge []tilelog.Hash, err error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("edge: %d bytes: %w", len(text), ErrForm)
	}
	for line := range strings.Lines(string(text)) {
		h, err := tilelog.ParseHash(strings.TrimSuffix(line, "\n"))
		if err != nil || len(edge) == MaxEdge {
			return nil, fmt.Errorf("edge: line %d: %w", len(edge)+1, ErrForm)
		}
		edge = append(edge, h)
	}
	if !bytes.Equal(AppendEdge(nil, edge), text) {
		return nil, fmt.Errorf("edge: %w", ErrForm)
	}
	return edge, nil
}

// A Proof shows that a log begins with the log of so many leaves (RFC 6962, 2.1.2).
type Proof struct {
	Size   int64
	Hashes []tilelog.Hash
}

// AppendProof appends a proof to a list of them, one a line.
func AppendProof(b []byte, p Proof) []byte {
	b = strconv.AppendInt(b, p.Size, 10)
	for _, h := range p.Hashes {
		b = append(append(b, ' '), h.String()...)
	}
	return append(b, '\n')
}

// ParseProofs reads a list of proofs. Their sizes fall.
func ParseProofs(text []byte) (proofs []Proof, err error) {
	if len(text) > MaxProofsText {
		return nil, fmt.Errorf("proofs: %d bytes: %w", len(text), ErrForm)
	}
	var again []byte
	for line := range strings.Lines(string(text)) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		p := Proof{}
		p.Size, err = strconv.ParseInt(words[0], 10, 64)
		bad := err != nil || p.Size < 1 || len(words) > MaxProof+1 || len(proofs) == MaxProofs ||
			len(proofs) > 0 && p.Size >= proofs[len(proofs)-1].Size
		for _, w := range words[1:] {
			h, err := tilelog.ParseHash(w)
			bad = bad || err != nil
			p.Hashes = append(p.Hashes, h)
		}
		if bad {
			return nil, fmt.Errorf("proofs: line %d: %w", len(proofs)+1, ErrForm)
		}
		proofs = append(proofs, p)
		again = AppendProof(again, p)
	}
	if !bytes.Equal(again, text) {
		return nil, fmt.Errorf("proofs: %w", ErrForm)
	}
	return proofs, nil
}

// An Ack says what of a stream has arrived. It needs no signature: whoever made the
// log knows by the root whether somebody has seen it that far.
type Ack struct {
	Origin string // the name of the log
	Tag    string // of the stream

	// Serial is the last one up to which nothing is missing, and Root the hash of the
	// log at that size.
	Serial int64
	Root   tilelog.Hash
}

const ackForm = "nestgen-ack 1\norigin %s\ntag %s\nserial %d\nroot %s\n"

// Format gives the text of an acknowledgement.
func (a Ack) Format() []byte {
	return fmt.Appendf(nil, ackForm, a.Origin, a.Tag, a.Serial, a.Root)
}

// ParseAck reads an acknowledgement.
func ParseAck(text []byte) (a Ack, err error) {
	if len(text) > MaxText {
		return a, fmt.Errorf("acknowledgement: %d bytes: %w", len(text), ErrForm)
	}
	var root string
	if _, err := fmt.Sscanf(string(text), ackForm, &a.Origin, &a.Tag, &a.Serial, &root); err != nil {
		return Ack{}, fmt.Errorf("acknowledgement: %w: %w", ErrForm, err)
	}
	if a.Root, err = tilelog.ParseHash(root); err != nil || a.Serial < 0 || !bytes.Equal(a.Format(), text) {
		return Ack{}, fmt.Errorf("acknowledgement: %w", ErrForm)
	}
	return a, nil
}
