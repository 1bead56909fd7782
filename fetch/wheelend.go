package fetch

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"

	"nestgen/packaging"
)

// Limits on what a wheel may claim before its METADATA is read.
const (
	maxWheelDirectory = 16 << 20
	maxWheelMembers   = 100_000
)

// lookAhead is how much before the central directory is read with it where the
// directory is not in the tail: METADATA is to stand there (PEP 427).
const lookAhead = 64 << 10

var le = binary.LittleEndian

// The signatures and fixed lengths of the records of a zip file (APPNOTE 4.3).
const (
	zipLocal     = 0x04034b50
	zipCentral   = 0x02014b50
	zipEnd64     = 0x06064b50
	zipLocator64 = 0x07064b50

	lenLocal     = 30
	lenCentral   = 46
	lenEnd       = 22
	lenEnd64     = 56
	lenLocator64 = 20

	all32 = 1<<32 - 1
)

// General purpose flags (APPNOTE 4.4.4): encrypted in one way or another, a
// patch; and that the sizes follow the data.
const (
	zipUnreadable = 1<<0 | 1<<5 | 1<<6 | 1<<13
	zipSizesLater = 1 << 3
)

// A wheelEnd reads a zip file from its end, as far as it takes to find one
// member. What reads the whole of a file is package intake; this here reads the
// same member, or refuses what two readers could see differently.
type wheelEnd struct {
	size int64
	at   int64  // the offset of have
	have []byte // the end of the file

	// read gives other bytes of the file.
	read func(from, to int64) ([]byte, error)
}

// view gives the bytes from one offset up to another, both inside the file. Of
// what stands before the part that is here, ahead bytes more are taken along if
// it reaches that part.
func (w *wheelEnd) view(from, to, ahead int64) ([]byte, error) {
	if from < w.at && to >= w.at {
		from := max(0, from-ahead)
		b, err := w.read(from, w.at)
		if err != nil {
			return nil, err
		}
		w.have, w.at = append(b, w.have...), from
	}
	if from >= w.at {
		return w.have[from-w.at : to-w.at], nil
	}
	return w.read(from, to)
}

// A zipEnds is what the end of central directory records say. Offsets in the
// archive count from base.
type zipEnds struct {
	base      int64
	directory int64 // from the beginning of the file
	size      int64
	entries   int
}

// A wheelMember is what the central directory says of METADATA.
type wheelMember struct {
	name         []byte
	header       int64 // in the file
	packed, size int64
	crc          uint32
	method       uint16
	flags        uint16
	next         int64 // where the record behind it is
}

// metadata gives the METADATA of the wheel of that name.
func (w *wheelEnd) metadata(name *packaging.Filename) ([]byte, error) {
	e, err := w.findEnd()
	if err != nil {
		return nil, err
	}
	directory, err := w.view(e.directory, e.directory+e.size, lookAhead)
	if err != nil {
		return nil, err
	}
	m, err := findMetadata(name, directory, e)
	if err != nil {
		return nil, err
	}
	// The rest of the local header may be as long as it can say.
	most := m.header + lenLocal + int64(len(m.name)) + math.MaxUint16 + m.packed
	b, err := w.view(m.header, min(m.next, most), 0)
	if err != nil {
		return nil, err
	}
	return m.unpack(b)
}

// findEnd finds the end of central directory record, and the zip64 one if there
// is one.
func (w *wheelEnd) findEnd() (zipEnds, error) {
	const maxEnd = lenEnd + math.MaxUint16
	start := max(0, w.size-maxEnd-lenLocator64-lenEnd64)
	tail, err := w.view(start, w.size, 0)
	if err != nil {
		return zipEnds{}, err
	}
	first := max(0, len(tail)-maxEnd) // where the record can be
	at := bytes.LastIndex(tail[first:], []byte("PK\x05\x06"))
	if at < 0 || first+at+lenEnd > len(tail) {
		return zipEnds{}, fault(Invalid, "no end of central directory: not a zip file, or cut short")
	}
	at += first
	// Another record before it whose comment ends with the file would be taken
	// by some readers.
	for i := first; ; i++ {
		k := bytes.Index(tail[i:at], []byte("PK\x05\x06"))
		if k < 0 {
			break
		}
		i += k
		if i+lenEnd+int(le.Uint16(tail[i+20:])) >= at {
			return zipEnds{}, fault(Invalid, "two records end the zip file")
		}
	}
	b := tail[at:]
	if stop := lenEnd + int(le.Uint16(b[20:])); stop > len(b) || bytes.Contains(b[stop:], []byte("PK")) {
		return zipEnds{}, fault(Invalid, "the end of the zip file is not its end")
	}
	if le.Uint16(b[4:]) != 0 || le.Uint16(b[6:]) != 0 || le.Uint16(b[8:]) != le.Uint16(b[10:]) {
		return zipEnds{}, fault(Invalid, "part of a split zip file")
	}
	entries, size, offset := uint64(le.Uint16(b[10:])), uint64(le.Uint32(b[12:])), uint64(le.Uint32(b[16:]))
	if at >= lenLocator64 && le.Uint32(tail[at-lenLocator64:]) == zipLocator64 {
		at -= lenLocator64 + lenEnd64
		if at < 0 || le.Uint32(tail[at:]) != zipEnd64 || le.Uint64(tail[at+4:]) != lenEnd64-12 {
			return zipEnds{}, fault(Invalid, "no zip64 end of central directory before its locator")
		}
		e := tail[at:]
		entries64, size64, offset64 := le.Uint64(e[32:]), le.Uint64(e[40:]), le.Uint64(e[48:])
		switch {
		case le.Uint32(e[16:]) != 0 || le.Uint32(e[20:]) != 0 || le.Uint64(e[24:]) != entries64:
			return zipEnds{}, fault(Invalid, "part of a split zip file")
		case entries != math.MaxUint16 && entries != entries64, size != all32 && size != size64, offset != all32 && offset != offset64:
			return zipEnds{}, fault(Invalid, "the two ends of the central directory disagree")
		}
		entries, size, offset = entries64, size64, offset64
	}
	end := uint64(start) + uint64(at)
	switch {
	case size > maxWheelDirectory || entries > maxWheelMembers:
		return zipEnds{}, fault(Refused, "a central directory of %d bytes for %d members", size, entries)
	case size > end || offset > end-size:
		return zipEnds{}, fault(Invalid, "the central directory lies outside the zip file")
	case entries > size/lenCentral:
		return zipEnds{}, fault(Invalid, "the central directory is too short for %d members", entries)
	}
	directory := int64(end - size)
	return zipEnds{base: directory - int64(offset), directory: directory, size: int64(size), entries: int(entries)}, nil
}

// findMetadata looks through the central directory for the one METADATA of the
// wheel (contract API-16).
func findMetadata(name *packaging.Filename, b []byte, e zipEnds) (*wheelMember, error) {
	const suffix = ".dist-info/"
	var found *wheelMember
	var folder []byte
	next := make([]int64, 0, e.entries) // where members are
	for len(b) > 0 {
		if len(b) < lenCentral || le.Uint32(b) != zipCentral || len(next) == e.entries {
			return nil, fault(Invalid, "the central directory is broken after %d members", len(next))
		}
		nameLen, extraLen := int(le.Uint16(b[28:])), int(le.Uint16(b[30:]))
		n := lenCentral + nameLen + extraLen + int(le.Uint16(b[32:]))
		if n > len(b) {
			return nil, fault(Invalid, "the central directory is cut short after %d members", len(next))
		}
		m := wheelMember{
			name:   b[lenCentral : lenCentral+nameLen],
			flags:  le.Uint16(b[8:]),
			method: le.Uint16(b[10:]),
			crc:    le.Uint32(b[16:]),
			packed: int64(le.Uint32(b[20:])),
			size:   int64(le.Uint32(b[24:])),
			header: int64(le.Uint32(b[42:])),
		}
		if !wideFields(b[lenCentral+nameLen:lenCentral+nameLen+extraLen], &m.size, &m.packed, &m.header) {
			return nil, fault(Invalid, "member %q: broken 64 bit sizes", m.name)
		}
		b = b[n:]
		m.header += e.base
		if m.header < 0 || m.header >= e.directory || m.packed < 0 || m.packed > e.directory-m.header-lenLocal {
			return nil, fault(Invalid, "member %q lies outside the zip file", m.name)
		}
		next = append(next, m.header)
		slash := bytes.IndexByte(m.name, '/')
		if slash < 0 || !bytes.HasSuffix(m.name[:slash+1], []byte(suffix)) {
			continue
		}
		top := m.name[:slash+1]
		if !bytes.Equal(top, folder) {
			if !name.IsInfo(string(top[:len(top)-len(suffix)])) {
				continue
			}
			if folder != nil {
				return nil, fault(Invalid, "wheel with the folders %q and %q", folder, top)
			}
			folder = top
		}
		if string(m.name[slash+1:]) == "METADATA" {
			if found != nil {
				return nil, fault(Invalid, "two members are called %q", m.name)
			}
			found = &m
		}
	}
	switch {
	case len(next) != e.entries:
		return nil, fault(Invalid, "the central directory holds %d members and its end counts %d", len(next), e.entries)
	case found == nil:
		return nil, fault(Invalid, "wheel without the METADATA of %s %s", name.Name, name.Version)
	case found.flags&zipUnreadable != 0:
		return nil, fault(Invalid, "member %q is encrypted", found.name)
	case found.size > maxCore || found.packed > maxCore:
		return nil, fault(Refused, "member %q has %d bytes, more than %d", found.name, found.size, maxCore)
	}
	found.next = e.directory
	for _, at := range next {
		if at > found.header {
			found.next = min(found.next, at)
		}
	}
	return found, nil
}

// wideFields puts the 64 bit sizes of an extra field (APPNOTE 4.5.3) where the
// 32 bits are full.
func wideFields(extra []byte, fields ...*int64) bool {
	seen := false
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if n > len(extra)-4 {
			break
		}
		data := extra[4 : 4+n]
		extra = extra[4+n:]
		if id != 0x0001 {
			continue
		}
		if seen {
			return false
		}
		seen = true
		for _, v := range fields {
			if *v != all32 {
				continue
			}
			if len(data) < 8 || data[7] >= 0x80 {
				return false
			}
			*v = int64(le.Uint64(data))
			data = data[8:]
		}
	}
	return true
}

// unpack reads the member out of b, which begins with its local header.
func (m *wheelMember) unpack(b []byte) ([]byte, error) {
	if len(b) < lenLocal || le.Uint32(b) != zipLocal {
		return nil, fault(Invalid, "member %q: no local header", m.name)
	}
	flags, method, crc := le.Uint16(b[6:]), le.Uint16(b[8:]), le.Uint32(b[14:])
	packed, size := int64(le.Uint32(b[18:])), int64(le.Uint32(b[22:]))
	nameEnd := lenLocal + int(le.Uint16(b[26:]))
	data := nameEnd + int(le.Uint16(b[28:]))
	if int64(len(b)) < int64(data)+m.packed {
		return nil, fault(Invalid, "member %q overlaps what follows it", m.name)
	}
	later := m.flags&zipSizesLater != 0
	switch {
	case !bytes.Equal(b[lenLocal:nameEnd], m.name):
		return nil, fault(Invalid, "member %q is called %q in its local header", m.name, b[lenLocal:nameEnd])
	case !wideFields(b[nameEnd:data], &size, &packed):
		return nil, fault(Invalid, "member %q: broken 64 bit sizes in its local header", m.name)
	case method != m.method, (flags^m.flags)&(zipUnreadable|zipSizesLater) != 0,
		packed != m.packed && !(later && packed == 0),
		size != m.size && !(later && size == 0),
		crc != m.crc && !(later && crc == 0):
		return nil, fault(Invalid, "member %q: its two headers disagree", m.name)
	}
	text, err := m.inflate(b[data : int64(data)+m.packed])
	switch {
	case err != nil:
		return nil, err
	case int64(len(text)) != m.size:
		return nil, fault(Invalid, "member %q unpacks to %d bytes and claims %d", m.name, len(text), m.size)
	case crc32.ChecksumIEEE(text) != m.crc:
		// The parts may be those of two files.
		return nil, transient(Invalid, "member %q: wrong checksum", m.name)
	}
	return text, nil
}

func (m *wheelMember) inflate(b []byte) ([]byte, error) {
	switch m.method {
	case 0:
		return bytes.Clone(b), nil
	case 8:
	default:
		return nil, fault(Invalid, "member %q is packed by method %d", m.name, m.method)
	}
	in := bytes.NewReader(b)
	var out bytes.Buffer
	_, err := out.ReadFrom(io.LimitReader(flate.NewReader(in), m.size+1))
	switch {
	case err != nil:
		return nil, transient(Invalid, "member %q: broken data: %v", m.name, err)
	case int64(out.Len()) > m.size:
		return nil, fault(Invalid, "member %q unpacks to more than the %d bytes it claims", m.name, m.size)
	case in.Len() != 0:
		return nil, fault(Invalid, "member %q: %d bytes follow the end of its data", m.name, in.Len())
	}
	return out.Bytes(), nil
}
