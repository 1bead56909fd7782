package bundle

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
)

// maxLine is longer than any line of a manifest.
const maxLine = MaxName + 512

// appendLine appends the line of a file, or of a piece of it.
func appendLine(b []byte, e entry, p *piece) []byte {
	b = hex.AppendEncode(b, e.sum[:])
	b = append(b, ' ')
	b = strconv.AppendInt(b, e.size, 10)
	b = append(b, ' ')
	b = append(b, e.name...)
	if p != nil {
		b = fmt.Appendf(b, " %d/%d %d %d %x", p.index, p.of, p.offset, p.length, p.sum)
	}
	return append(b, '\n')
}

// parseLine reads a line, without its end. What it takes is what appendLine writes.
func parseLine(line []byte) (entry, *piece, error) {
	fault := func(what string) (entry, *piece, error) {
		return entry{}, nil, fmt.Errorf("%s: %.200q", what, line)
	}
	var fields [7][]byte
	n := 0
	for field := range bytes.SplitSeq(line, []byte(" ")) {
		if n == len(fields) {
			return fault("too many fields")
		}
		fields[n] = field
		n++
	}
	if n != 3 && n != len(fields) {
		return fault("neither 3 nor 7 fields")
	}
	var e entry
	ok := digest(&e.sum, fields[0])
	ok = number(&e.size, fields[1], MaxSize) && ok
	if !ok {
		return fault("not a digest and a size")
	}
	e.name = string(fields[2])
	if err := CheckName(e.name); err != nil {
		return entry{}, nil, err
	}
	if n == 3 {
		return e, nil, nil
	}
	p := new(piece)
	index, of, _ := bytes.Cut(fields[3], []byte("/"))
	var i, all int64
	ok = number(&i, index, MaxParts) && number(&all, of, MaxParts) &&
		number(&p.offset, fields[4], e.size) && number(&p.length, fields[5], e.size) && digest(&p.sum, fields[6])
	p.index, p.of = int(i), int(all)
	switch {
	case !ok:
		return fault("not a piece")
	case p.of < 2 || p.index < 1 || p.index > p.of || p.length == 0 || p.length > e.size-p.offset,
		(p.index == 1) != (p.offset == 0), (p.index == p.of) != (p.offset+p.length == e.size):
		return fault("not a piece of that file")
	}
	return e, p, nil
}

// digest reads 64 hexadecimal digits in lower case.
func digest(sum *[sha256.Size]byte, field []byte) bool {
	if len(field) != 2*len(sum) || bytes.ContainsAny(field, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(sum[:], field)
	return err == nil
}

// number reads decimal digits without leading zeros.
func number(n *int64, field []byte, most int64) bool {
	if len(field) == 0 || len(field) > 18 || field[0] == '0' && len(field) > 1 {
		return false
	}
	*n = 0
	for _, c := range field {
		if c < '0' || c > '9' {
			return false
		}
		*n = *n*10 + int64(c-'0')
	}
	return *n <= most
}

// readManifest reads a manifest of so many bytes and gives each line to add, in
// their order: names rise, and there are pieces at both ends alone. It returns the
// digest of what it read, which is to be held against the note.
func readManifest(r io.Reader, size int64, add func(entry, *piece) error) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	in := bufio.NewReaderSize(io.TeeReader(io.LimitReader(r, size), h), 64<<10)
	last, ended := "", false
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		if err == io.EOF {
			return sum, fmt.Errorf("manifest: line %d: it is cut off", n)
		}
		if err == bufio.ErrBufferFull || len(line) > maxLine {
			return sum, fmt.Errorf("manifest: line %d: too long", n)
		}
		if err != nil {
			return sum, err
		}
		e, p, err := parseLine(line[:len(line)-1])
		if err != nil {
			return sum, fmt.Errorf("manifest: line %d: %w", n, err)
		}
		switch {
		case n > MaxMembers:
			return sum, fmt.Errorf("manifest: more than %d lines", MaxMembers)
		case e.name <= last:
			return sum, fmt.Errorf("manifest: line %d: %s does not come after %s", n, e.name, last)
		case ended:
			return sum, fmt.Errorf("manifest: line %d: it follows a file that goes on in the next part", n)
		case p != nil && p.index > 1 && n > 1:
			return sum, fmt.Errorf("manifest: line %d: what goes on from the part before is not first", n)
		}
		last = e.name
		ended = p != nil && p.index < p.of
		if err := add(e, p); err != nil {
			return sum, fmt.Errorf("manifest: line %d: %w", n, err)
		}
	}
	h.Sum(sum[:0])
	return sum, nil
}
