package intake

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
	"unicode/utf8"
)

var le = binary.LittleEndian

// The signatures and fixed lengths of the records of a zip file (APPNOTE 4.3).
const (
	sigLocal      = 0x04034b50
	sigDescriptor = 0x08074b50
	sigCentral    = 0x02014b50
	sigEnd        = 0x06054b50
	sigEnd64      = 0x06064b50
	sigLocator64  = 0x07064b50

	lenLocal     = 30
	lenCentral   = 46
	lenEnd       = 22
	lenEnd64     = 56
	lenLocator64 = 20

	maxComment = 65535
)

// General purpose flags (APPNOTE 4.4.4).
const (
	flagEncrypted  = 1 << 0
	flagLevel      = 3 << 1 // how hard deflate tried; says nothing to a reader
	flagDescriptor = 1 << 3
	flagPatch      = 1 << 5
	flagStrong     = 1 << 6
	flagUTF8       = 1 << 11
	flagMasked     = 1 << 13
)

// Compression methods that every installer reads.
const (
	methodStore   = 0
	methodDeflate = 8
)

// Extra fields that change how a record is read.
const (
	extraZip64       = 0x0001
	extraUnicodePath = 0x7075
)

const all32 = 1<<32 - 1

// A member is one entry of a zip file, after the central directory and the
// local header were found to say the same.
type member struct {
	name     []byte // as written; good as long as the archive
	header   int64  // where the local header is
	data     int64  // where the packed bytes are
	end      int64  // where the next record is
	packed   int64
	size     int64
	crc      uint32
	method   uint16
	flags    uint16
	dir      bool
	zip64    bool   // the local header has 64 bit sizes
	readable bool   // packed by a method that we know
	listed   bool   // RECORD names it
	twice    bool   // a later member has the same name and the same bytes
	again    int32  // what this one repeats: its index and one, or 0
	hash     []byte // what RECORD says of its bytes: algorithm=base64
}

// A preamble is what may stand before the first member of an archive.
type preamble uint8

const (
	noPreamble preamble = iota
	aScript             // as before an egg that a shell can run
	aProgram            // as before the archive of an installer
)

// A zipFile is a walked zip archive.
type zipFile struct {
	*judge
	src     *source
	members []member
	names   *nameSet

	before preamble
	base   int64 // how many bytes stand before the archive

	directory []byte // the central directory
	own       []byte // its memory, where the source does not hold the whole file
	clean     []byte
	order     []int32
	inflater  inflater
}

// An end is what the end of central directory records say.
type end struct {
	at      int64 // where the first of the records is
	entries uint64
	size    uint64
	offset  uint64
}

// walk reads the framing of the archive and checks that a reader that starts
// from the central directory, one that starts from the first byte, and one that
// trusts either header see the same members with the same bytes. The rules are
// those of the public index, with one more freedom: sizes that follow the data
// are allowed where they are beyond doubt, and so is the preamble.
func (z *zipFile) walk(before preamble) error {
	z.before = before
	e, err := z.findEnd()
	if err != nil {
		return err
	}
	if e.size > maxDirectory {
		return reject("zip: central directory of %d bytes", e.size)
	}
	if e.entries > maxMembers {
		return reject("zip: %d members", e.entries)
	}
	if e.size > uint64(e.at) || e.offset > uint64(e.at)-e.size {
		return reject("zip: central directory lies outside the file")
	}
	z.base = e.at - int64(e.size) - int64(e.offset)
	if z.base > 0 {
		if err := z.inFront(0, z.base, "before the archive"); err != nil {
			return err
		}
	}
	if err := z.readDirectory(int64(e.offset)+z.base, int(e.size), int(e.entries)); err != nil {
		return err
	}
	for i := range z.members {
		if err := z.checkLocal(&z.members[i]); err != nil {
			return err
		}
	}
	if err := z.checkLayout(int64(e.offset) + z.base); err != nil {
		return err
	}
	return z.checkRepeated()
}

// findEnd finds the end of central directory record, and the zip64 one if there
// is one, and makes sure that nobody could find another.
func (z *zipFile) findEnd() (end, error) {
	size := z.src.size
	if size < lenEnd {
		return end{}, reject("zip: %d bytes are too few for an archive", size)
	}
	n := int(min(size, lenEnd+maxComment))
	start := size - int64(n)
	tail, err := z.src.view(start, n)
	if err != nil {
		return end{}, err
	}
	// at is the record that ends with the file. Another one that does, and one
	// after it inside its comment, would be taken by some readers.
	at, last := -1, -1
	for i := 0; ; i++ {
		k := bytes.Index(tail[i:], []byte("PK\x05\x06"))
		if k < 0 {
			break
		}
		i += k
		last = i
		if i+lenEnd > n || i+lenEnd+int(le.Uint16(tail[i+20:])) != n {
			continue
		}
		if at >= 0 {
			return end{}, reject("zip: two records end the archive")
		}
		at = i
	}
	switch {
	case last < 0:
		return end{}, reject("zip: no end of central directory: not a zip file, or cut short")
	case at < 0:
		if last+lenEnd > n || last+lenEnd+int(le.Uint16(tail[last+20:])) > n {
			return end{}, reject("zip: cut short in the end of central directory")
		}
		stop := last + lenEnd + int(le.Uint16(tail[last+20:]))
		if bytes.Contains(tail[stop:], []byte("PK")) {
			return end{}, reject("zip: another archive follows the end of this one")
		}
		if err := z.minor("zip: %d bytes follow the end of the archive", n-stop); err != nil {
			return end{}, err
		}
		at = last
	case last != at:
		return end{}, reject("zip: the comment holds an end of central directory")
	}
	b := tail[at:]
	if le.Uint16(b[4:]) != 0 || le.Uint16(b[6:]) != 0 {
		return end{}, reject("zip: part of a split archive")
	}
	here, total := le.Uint16(b[8:]), le.Uint16(b[10:])
	if here != total {
		return end{}, reject("zip: the end of central directory counts %d and %d members", here, total)
	}
	e := end{start + int64(at), uint64(total), uint64(le.Uint32(b[12:])), uint64(le.Uint32(b[16:]))}
	return z.end64(e)
}

// end64 adds what the zip64 records before the end record say. They must not
// contradict it: some readers take them always, some only when asked to.
func (z *zipFile) end64(e end) (end, error) {
	if e.at < lenLocator64 {
		return e, nil
	}
	b, err := z.src.view(e.at-lenLocator64, lenLocator64)
	if err != nil {
		return end{}, err
	}
	if le.Uint32(b) != sigLocator64 {
		return e, nil
	}
	if le.Uint32(b[4:]) != 0 || le.Uint32(b[16:]) > 1 {
		return end{}, reject("zip: part of a split archive")
	}
	at := e.at - lenLocator64 - lenEnd64
	if at < 0 {
		return end{}, reject("zip: no zip64 end of central directory where its locator promises one")
	}
	offset := le.Uint64(b[8:])
	if offset > uint64(at) {
		return end{}, reject("zip: no zip64 end of central directory where its locator promises one")
	}
	if b, err = z.src.view(at, lenEnd64); err != nil {
		return end{}, err
	}
	if le.Uint32(b) != sigEnd64 {
		return end{}, reject("zip: no zip64 end of central directory before its locator")
	}
	if n := le.Uint64(b[4:]); n != lenEnd64-12 {
		return end{}, reject("zip: zip64 end of central directory with %d bytes", n)
	}
	if le.Uint32(b[16:]) != 0 || le.Uint32(b[20:]) != 0 {
		return end{}, reject("zip: part of a split archive")
	}
	f := end{at, le.Uint64(b[32:]), le.Uint64(b[40:]), le.Uint64(b[48:])}
	if here := le.Uint64(b[24:]); here != f.entries {
		return end{}, reject("zip: the zip64 end of central directory counts %d and %d members", here, f.entries)
	}
	if e.entries != 0xffff && e.entries != f.entries || e.size != all32 && e.size != f.size ||
		e.offset != all32 && e.offset != f.offset {
		return end{}, reject("zip: the two ends of central directory disagree")
	}
	if f.size > uint64(at) || f.offset > uint64(at)-f.size {
		return end{}, reject("zip: central directory lies outside the file")
	}
	if base := uint64(at) - f.size - f.offset; offset+base != uint64(at) {
		return end{}, reject("zip: the zip64 locator points to byte %d and not to %d", offset, uint64(at)-base)
	}
	return f, nil
}

// inFront judges bytes before the first member.
func (z *zipFile) inFront(from, to int64, where string) error {
	switch z.before {
	case aProgram:
		return nil
	case aScript:
		return z.noRecords(from, to, where)
	}
	return z.hidden(from, to, where)
}

// hidden judges bytes that belong to no record.
func (z *zipFile) hidden(from, to int64, where string) error {
	if err := z.noRecords(from, to, where); err != nil {
		return err
	}
	return z.minor("zip: %d bytes %s", to-from, where)
}

// noRecords refuses bytes that could hold a member that only some readers see,
// whoever sent the archive.
func (z *zipFile) noRecords(from, to int64, where string) error {
	if to-from > windowSize {
		return reject("zip: %d bytes %s", to-from, where)
	}
	b, err := z.src.view(from, int(to-from))
	if err != nil {
		return err
	}
	if bytes.Contains(b, []byte("PK")) {
		return reject("zip: %d bytes %s hold records that some readers see", to-from, where)
	}
	return nil
}

// readDirectory reads the central directory into z.members.
func (z *zipFile) readDirectory(at int64, size, entries int) error {
	if entries > size/lenCentral {
		return reject("zip: the central directory is too short for %d members", entries)
	}
	if z.src.whole {
		b, err := z.src.view(at, size)
		if err != nil {
			return err
		}
		z.directory = b
	} else {
		if cap(z.own) < size {
			z.own = make([]byte, size)
		}
		z.directory = z.own[:size]
		if n, err := z.src.r.ReadAt(z.directory, at); n < size {
			z.src.err = err
			return err
		}
	}
	z.members = slices.Grow(z.members[:0], entries)
	b := z.directory
	var unpacked int64
	limit := mayInflate(z.src.size)
	for len(b) > 0 {
		if len(b) < lenCentral || le.Uint32(b) != sigCentral {
			return reject("zip: the central directory is broken after %d members", len(z.members))
		}
		nameLen, extraLen, commentLen := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
		n := lenCentral + nameLen + extraLen + commentLen
		if n > len(b) {
			return reject("zip: the central directory is cut short after %d members", len(z.members))
		}
		if len(z.members) == entries {
			return reject("zip: the central directory holds more than the %d members that its end counts", entries)
		}
		z.members = append(z.members, member{
			name:   b[lenCentral : lenCentral+nameLen : lenCentral+nameLen],
			flags:  le.Uint16(b[8:]),
			method: le.Uint16(b[10:]),
			crc:    le.Uint32(b[16:]),
			packed: int64(le.Uint32(b[20:])),
			size:   int64(le.Uint32(b[24:])),
			header: int64(le.Uint32(b[42:])),
		})
		m := &z.members[len(z.members)-1]
		if err := z.checkName(m, len(z.members)-1); err != nil {
			return err
		}
		if disk := le.Uint16(b[34:]); disk != 0 && disk != 0xffff {
			return reject("zip: part of a split archive")
		}
		if commentLen != 0 {
			if err := z.minor("zip: member %q has a comment", m.name); err != nil {
				return err
			}
		}
		if err := z.centralExtra(m, b[lenCentral+nameLen:lenCentral+nameLen+extraLen]); err != nil {
			return err
		}
		if err := z.checkKind(m, b[5], le.Uint32(b[38:])); err != nil {
			return err
		}
		m.header += z.base
		if unpacked += m.size; unpacked > limit {
			return reject("zip: %d bytes claim to unpack to more than %d", z.src.size, limit)
		}
		b = b[n:]
	}
	if len(z.members) != entries {
		return reject("zip: the central directory holds %d members and its end counts %d", len(z.members), entries)
	}
	return nil
}

// checkName holds the name against the rules for paths and against the names
// before it.
func (z *zipFile) checkName(m *member, index int) error {
	clean, err := cleanPath(z.clean[:0], m.name)
	z.clean = clean[:0]
	if err != nil {
		return err
	}
	m.dir = m.name[len(m.name)-1] == '/'
	if len(clean) == 0 {
		return z.minor("zip: member %q names the archive's own top", m.name)
	}
	if plain := m.name[:len(m.name)-btoi(m.dir)]; !bytes.Equal(plain, clean) {
		if err := z.minor("zip: member %q: the name has empty or \".\" parts", m.name); err != nil {
			return err
		}
	}
	if bytes.IndexByte(m.name, '\\') >= 0 {
		if err := z.minor("zip: member %q: backslash in the name", m.name); err != nil {
			return err
		}
	}
	if !ascii(m.name) {
		switch {
		case m.flags&flagUTF8 == 0:
			// Python reads it as code page 437 and others as what they like.
			if err := z.minor("zip: member %q: the encoding of the name is not stated", m.name); err != nil {
				return err
			}
		case !utf8.Valid(m.name):
			return reject("zip: member %q: the name is not UTF-8", m.name)
		}
	}
	switch z.names.add(clean, index) {
	case sameName:
		if z.how != Mirrored {
			return reject("zip: two members are called %q", m.name)
		}
		first := z.names.find(clean)
		z.members[first].twice, m.again = true, int32(first)+1
	case clashName:
		return z.minor("zip: member %q differs from another in case only", m.name)
	}
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// checkRepeated makes sure that members of one name have the same bytes, so that
// it is all one which of them a reader takes.
func (z *zipFile) checkRepeated() error {
	n := 0
	var name []byte
	for i := range z.members {
		m := &z.members[i]
		if m.again == 0 {
			continue
		}
		first := &z.members[m.again-1]
		if first.size != m.size || first.crc != m.crc || first.dir != m.dir {
			return reject("zip: two members are called %q", m.name)
		}
		sums := [2]hash.Hash{sha256.New(), sha256.New()}
		for k, m := range []*member{first, m} {
			if err := z.check(m, sums[k]); err != nil {
				return err
			}
		}
		if !bytes.Equal(sums[0].Sum(nil), sums[1].Sum(nil)) {
			return reject("zip: two members are called %q", m.name)
		}
		if n++; n == 1 {
			name = m.name
		}
	}
	if n > 0 {
		z.warn("zip: the same bytes twice under the name %s", andMore(name, n))
	}
	return nil
}

// checkKind refuses what is neither a file nor a folder and what cannot be
// read. The attributes are those of the system that made the entry.
func (z *zipFile) checkKind(m *member, system byte, attributes uint32) error {
	if m.flags&(flagEncrypted|flagStrong|flagMasked) != 0 {
		return reject("zip: member %q is encrypted", m.name)
	}
	if m.flags&flagPatch != 0 {
		return reject("zip: member %q is a patch", m.name)
	}
	switch m.method {
	case methodStore, methodDeflate:
		m.readable = true
	default:
		if err := z.minor("zip: member %q is packed by %s, which installers do not read", m.name, methodName(m.method)); err != nil {
			return err
		}
	}
	if m.method == methodStore && m.packed != m.size {
		return reject("zip: member %q is stored as it is, but %d bytes are said to take %d", m.name, m.size, m.packed)
	}
	if m.dir && m.size != 0 {
		return reject("zip: member %q is a folder with content", m.name)
	}
	const unix, darwin = 3, 19
	if system == unix || system == darwin {
		const format, regular, folder, link = 0xf000, 0x8000, 0x4000, 0xa000
		switch kind := attributes >> 16 & format; {
		case kind == 0, kind == regular && !m.dir, kind == folder && m.dir:
		case kind == link:
			return z.minor("zip: member %q is a symbolic link", m.name)
		default:
			return z.minor("zip: member %q: its mode is %#o", m.name, attributes>>16)
		}
	}
	return nil
}

func methodName(m uint16) string {
	switch m {
	case 1, 2, 3, 4, 5, 6:
		return "a method of before 1993"
	case 9:
		return "Deflate64"
	case 12:
		return "bzip2"
	case 14:
		return "LZMA"
	case 93, 20:
		return "Zstandard"
	case 95:
		return "xz"
	case 98:
		return "PPMd"
	case 99:
		return "AES"
	}
	return "an unknown method"
}

// A field is one extra field of a header.
type field struct {
	id   uint16
	data []byte
}

// nextExtra takes the first field off b.
func nextExtra(b []byte) (f field, rest []byte, ok bool) {
	if len(b) < 4 {
		return field{}, nil, false
	}
	n := int(le.Uint16(b[2:]))
	if n > len(b)-4 {
		return field{}, nil, false
	}
	return field{le.Uint16(b), b[4 : 4+n]}, b[4+n:], true
}

// centralExtra reads the extra fields of a central header into m.
func (z *zipFile) centralExtra(m *member, b []byte) error {
	var wide, path bool
	for len(b) > 0 {
		f, rest, ok := nextExtra(b)
		if !ok {
			return z.minor("zip: member %q: broken extra fields", m.name)
		}
		b = rest
		switch f.id {
		case extraZip64:
			if wide {
				return reject("zip: member %q has its 64 bit sizes twice", m.name)
			}
			wide = true
			d := f.data
			for _, v := range []*int64{&m.size, &m.packed, &m.header} {
				if *v != all32 {
					continue
				}
				if len(d) < 8 || d[7] >= 0x80 {
					return reject("zip: member %q: broken 64 bit sizes", m.name)
				}
				*v = int64(le.Uint64(d))
				d = d[8:]
			}
			if len(d) != 0 && len(d) != 4 {
				// Readers differ on what stands where in a field with more
				// than was asked for.
				if err := z.minor("zip: member %q: %d bytes too many in the 64 bit sizes", m.name, len(d)); err != nil {
					return err
				}
			}
		case extraUnicodePath:
			if path {
				return reject("zip: member %q has a second name twice", m.name)
			}
			path = true
			if err := secondName(m, f.data); err != nil {
				return err
			}
		}
	}
	return nil
}

// secondName refuses a Unicode path that is not the name itself: some readers
// prefer it and some do not know it.
func secondName(m *member, b []byte) error {
	if len(b) < 5 || !bytes.Equal(b[5:], m.name) {
		return reject("zip: member %q has a second name", m.name)
	}
	return nil
}

// checkLocal reads the local header of m, holds it against the central one and
// finds where the data and the record after it are.
func (z *zipFile) checkLocal(m *member) error {
	if !z.src.has(m.header, lenLocal) {
		return reject("zip: member %q lies outside the file", m.name)
	}
	b, err := z.src.view(m.header, lenLocal)
	if err != nil {
		return err
	}
	if le.Uint32(b) != sigLocal {
		return reject("zip: member %q: no local header at byte %d", m.name, m.header)
	}
	n := lenLocal + int(le.Uint16(b[26:])) + int(le.Uint16(b[28:]))
	if !z.src.has(m.header, int64(n)) {
		return reject("zip: member %q lies outside the file", m.name)
	}
	if b, err = z.src.view(m.header, n); err != nil {
		return err
	}
	nameEnd := lenLocal + int(le.Uint16(b[26:]))
	if name := b[lenLocal:nameEnd]; !bytes.Equal(name, m.name) {
		return reject("zip: member %q is called %q in its local header", m.name, name)
	}
	flags, method := le.Uint16(b[6:]), le.Uint16(b[8:])
	if method != m.method {
		return reject("zip: member %q is packed by method %d, or %d in its local header", m.name, m.method, method)
	}
	switch differ := (flags ^ m.flags) &^ flagLevel; {
	case differ&(flagEncrypted|flagDescriptor|flagPatch|flagStrong|flagMasked) != 0, differ&flagUTF8 != 0 && !ascii(m.name):
		return reject("zip: member %q has flags %#x, or %#x in its local header", m.name, m.flags, flags)
	case differ != 0:
		if err := z.minor("zip: member %q has flags %#x, or %#x in its local header", m.name, m.flags, flags); err != nil {
			return err
		}
	}
	packed, size := int64(le.Uint32(b[18:])), int64(le.Uint32(b[22:]))
	if packed, size, err = z.localExtra(m, b[nameEnd:], packed, size); err != nil {
		return err
	}
	crc := le.Uint32(b[14:])
	later := m.flags&flagDescriptor != 0
	if packed != m.packed && !(later && packed == 0) {
		return reject("zip: member %q has %d packed bytes, or %d in its local header", m.name, m.packed, packed)
	}
	if size != m.size && !(later && size == 0) {
		return reject("zip: member %q has %d bytes, or %d in its local header", m.name, m.size, size)
	}
	if crc != m.crc && !(later && crc == 0) {
		return reject("zip: member %q has checksum %08x, or %08x in its local header", m.name, m.crc, crc)
	}
	m.data = m.header + int64(n)
	if !z.src.has(m.data, m.packed) {
		return reject("zip: member %q lies outside the file", m.name)
	}
	m.end = m.data + m.packed
	if later {
		return z.checkDescriptor(m)
	}
	return nil
}

// localExtra reads the extra fields of a local header: the sizes that hold
// instead of those in the header.
func (z *zipFile) localExtra(m *member, b []byte, packed, size int64) (int64, int64, error) {
	var path bool
	for len(b) > 0 {
		f, rest, ok := nextExtra(b)
		if !ok {
			return packed, size, z.minor("zip: member %q: broken extra fields in its local header", m.name)
		}
		b = rest
		switch f.id {
		case extraZip64:
			if m.zip64 {
				return 0, 0, reject("zip: member %q has its 64 bit sizes twice", m.name)
			}
			m.zip64 = true
			d := f.data
			for _, v := range []*int64{&size, &packed} {
				if *v != all32 {
					continue
				}
				if len(d) < 8 || d[7] >= 0x80 {
					return 0, 0, reject("zip: member %q: broken 64 bit sizes in its local header", m.name)
				}
				*v = int64(le.Uint64(d))
				d = d[8:]
			}
			// Both sizes have to stand here (APPNOTE 4.5.3). A reader that
			// takes them though the header has its own must find the same.
			if len(f.data) >= 16 {
				if s, p := le.Uint64(f.data), le.Uint64(f.data[8:]); s != uint64(size) || p != uint64(packed) {
					return 0, 0, reject("zip: member %q has other 64 bit sizes than sizes in its local header", m.name)
				}
			}
		case extraUnicodePath:
			if path {
				return 0, 0, reject("zip: member %q has a second name twice", m.name)
			}
			path = true
			if err := secondName(m, f.data); err != nil {
				return 0, 0, err
			}
		}
	}
	return packed, size, nil
}

// checkDescriptor reads the sizes that follow the data of a member written to a
// pipe. The public index refuses every one; here they are allowed where a
// reader from the front cannot go astray: they repeat what the directory says,
// and stored data, whose end only they mark, does not hold what looks like one.
func (z *zipFile) checkDescriptor(m *member) error {
	if m.crc == sigDescriptor {
		return reject("zip: member %q: its checksum reads as a signature", m.name)
	}
	n := int(min(24, z.src.size-m.end))
	b, err := z.src.view(m.end, n)
	if err != nil {
		return err
	}
	var mark int
	if n >= 4 && le.Uint32(b) == sigDescriptor {
		mark = 4
	}
	short := len(b) >= mark+12 && le.Uint32(b[mark:]) == m.crc &&
		int64(le.Uint32(b[mark+4:])) == m.packed && int64(le.Uint32(b[mark+8:])) == m.size
	long := len(b) >= mark+20 && le.Uint32(b[mark:]) == m.crc &&
		le.Uint64(b[mark+4:]) == uint64(m.packed) && le.Uint64(b[mark+12:]) == uint64(m.size)
	switch {
	case long && (m.zip64 || !short):
		m.end += int64(mark) + 20
	case short:
		m.end += int64(mark) + 12
	default:
		return reject("zip: member %q: the sizes after its data are not those in the directory", m.name)
	}
	if m.method == methodStore && m.packed > 0 {
		return z.noDescriptorIn(m)
	}
	return nil
}

// noDescriptorIn looks for signatures in the data of m.
func (z *zipFile) noDescriptorIn(m *member) error {
	const overlap = 3
	for at, end := m.data, m.data+m.packed; at < end; {
		n := int(min(windowSize, end-at))
		b, err := z.src.view(at, n)
		if err != nil {
			return err
		}
		for i := 0; ; i += 2 {
			k := bytes.Index(b[i:], []byte("PK"))
			if k < 0 {
				break
			}
			i += k
			if len(b)-i >= 4 {
				switch le.Uint32(b[i:]) {
				case sigDescriptor, sigLocal, sigCentral:
					return reject("zip: member %q is stored without its size in front and holds a record's signature", m.name)
				}
			}
		}
		if at += int64(n); at < end {
			at -= overlap
		}
	}
	return nil
}

// checkLayout makes sure that the members lie end to end from the first byte to
// the central directory.
func (z *zipFile) checkLayout(directory int64) error {
	sorted := true
	for i := 1; i < len(z.members) && sorted; i++ {
		sorted = z.members[i-1].header <= z.members[i].header
	}
	z.order = z.order[:0]
	for i := range z.members {
		z.order = append(z.order, int32(i))
	}
	if !sorted {
		slices.SortFunc(z.order, func(a, b int32) int { return cmp.Compare(z.members[a].header, z.members[b].header) })
	}
	at := z.base
	for k, i := range z.order {
		m := &z.members[i]
		if m.header < at {
			return reject("zip: member %q overlaps the one before it", m.name)
		}
		if m.header > at {
			var err error
			if k == 0 {
				err = z.inFront(at, m.header, "before the first member")
			} else {
				err = z.hidden(at, m.header, "between members")
			}
			if err != nil {
				return err
			}
		}
		at = m.end
	}
	if at > directory {
		return reject("zip: the last member overlaps the central directory")
	}
	if at < directory && !(len(z.members) == 0 && z.before == aProgram) {
		return z.hidden(at, directory, "before the central directory")
	}
	return nil
}
