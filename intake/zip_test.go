package intake

import (
	"archive/zip"
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"

	"nestgen/intake/intaketest"
)

// A header is what one of a member's two headers says.
type header struct {
	name                string
	flags, method       uint16
	crc                 uint32
	packed, size        uint32
	extra               []byte
	comment             string // central only
	system              byte   // central only
	attributes          uint32 // central only
	disk                uint16 // central only
	offset              uint32 // central only; set by bytes unless fixed
	fixed               bool
	signature, nameSize int // overrides, if not zero
}

// An entry is a member of a zip file that may be wrong in every way.
type entry struct {
	local, central header
	body           []byte
	after          []byte // a data descriptor, or a gap
	noLocal        bool
	noCentral      bool
}

// A spec is a zip file that may be wrong in every way.
type spec struct {
	prefix, gap []byte // before the first member, before the directory
	entries     []entry
	order       []int // of the central directory; nil for that of the file
	zip64       bool
	end         func(*ending)
	comment     string
	trailing    []byte
}

// An ending is what the end records say.
type ending struct {
	here, total   uint64
	size, offset  uint64
	disk          uint16
	locator       uint64
	here64, tot64 uint64
	size64, off64 uint64
	length64      uint64
	commentLength int
}

func newEntry(name, data string) entry {
	return packedEntry(name, []byte(data), methodDeflate)
}

func packedEntry(name string, data []byte, method uint16) entry {
	body := data
	if method == methodDeflate {
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, 6)
		w.Write(data)
		w.Close()
		body = b.Bytes()
	}
	h := header{name: name, method: method, crc: crc32.ChecksumIEEE(data), packed: uint32(len(body)), size: uint32(len(data)), system: 3, attributes: 0o100644 << 16}
	return entry{local: h, central: h, body: body}
}

func put16(b []byte, vs ...uint16) []byte {
	for _, v := range vs {
		b = le.AppendUint16(b, v)
	}
	return b
}

func put32(b []byte, vs ...uint32) []byte {
	for _, v := range vs {
		b = le.AppendUint32(b, v)
	}
	return b
}

func put64(b []byte, vs ...uint64) []byte {
	for _, v := range vs {
		b = le.AppendUint64(b, v)
	}
	return b
}

func (s *spec) bytes() []byte {
	b := bytes.Clone(s.prefix)
	for i := range s.entries {
		e := &s.entries[i]
		if !e.central.fixed {
			e.central.offset = uint32(len(b))
		}
		if e.noLocal {
			continue
		}
		h := e.local
		b = put32(b, uint32(sigLocal+h.signature))
		b = put16(b, 20, h.flags, h.method, 0, 0x21)
		b = put32(b, h.crc, h.packed, h.size)
		b = put16(b, uint16(len(h.name)+h.nameSize), uint16(len(h.extra)))
		b = append(append(append(append(b, h.name...), h.extra...), e.body...), e.after...)
	}
	b = append(b, s.gap...)
	start := len(b)
	order := s.order
	if order == nil {
		for i := range s.entries {
			order = append(order, i)
		}
	}
	n := 0
	for _, i := range order {
		if s.entries[i].noCentral {
			continue
		}
		n++
		h := s.entries[i].central
		b = put32(b, uint32(sigCentral+h.signature))
		b = append(b, 20, h.system)
		b = put16(b, 20, h.flags, h.method, 0, 0x21)
		b = put32(b, h.crc, h.packed, h.size)
		b = put16(b, uint16(len(h.name)+h.nameSize), uint16(len(h.extra)), uint16(len(h.comment)), h.disk, 0)
		b = put32(b, h.attributes, h.offset)
		b = append(append(append(b, h.name...), h.extra...), h.comment...)
	}
	e := ending{here: uint64(n), total: uint64(n), size: uint64(len(b) - start), offset: uint64(start),
		locator: uint64(len(b)), length64: 44, commentLength: len(s.comment)}
	e.here64, e.tot64, e.size64, e.off64 = e.here, e.total, e.size, e.offset
	if s.zip64 {
		e.here, e.total, e.size, e.offset = 0xffff, 0xffff, all32, all32
	}
	if s.end != nil {
		s.end(&e)
	}
	if s.zip64 {
		b = put32(b, sigEnd64)
		b = put64(b, e.length64)
		b = put16(b, 45, 45)
		b = put32(b, 0, 0)
		b = put64(b, e.here64, e.tot64, e.size64, e.off64)
		b = put32(b, sigLocator64, 0)
		b = put64(b, e.locator)
		b = put32(b, 1)
	}
	b = put32(b, sigEnd)
	b = put16(b, e.disk, 0, uint16(e.here), uint16(e.total))
	b = put32(b, uint32(e.size), uint32(e.offset))
	b = put16(b, uint16(e.commentLength))
	return append(append(b, s.comment...), s.trailing...)
}

// plain is an honest source archive, to be spoilt.
func plain() *spec {
	return &spec{entries: []entry{
		newEntry("foo-1.0/PKG-INFO", "Metadata-Version: 1.0\nName: foo\nVersion: 1.0\n"),
		newEntry("foo-1.0/setup.py", "from setuptools import setup\nsetup()\n"),
		packedEntry("foo-1.0/data.bin", []byte("some stored bytes"), methodStore),
	}}
}

// streamed turns an entry into one whose sizes follow the data.
func streamed(e *entry) {
	e.local.flags |= flagDescriptor
	e.central.flags |= flagDescriptor
	e.after = put32(nil, sigDescriptor, e.central.crc, e.central.packed, e.central.size)
	e.local.crc, e.local.packed, e.local.size = 0, 0, 0
}

func extra(id uint16, data []byte) []byte {
	return append(put16(nil, id, uint16(len(data))), data...)
}

// zipCases are source archives with one thing wrong each. A mirrored file gets
// a warning where mild is set; everything else is refused whoever sent it.
var zipCases = []struct {
	name  string
	spoil func(*spec)
	want  string // in the reason
	mild  bool
}{
	{"two members of one name", func(s *spec) { s.entries = append(s.entries, newEntry("foo-1.0/setup.py", "other")) }, "two members", false},
	{"two members of one name and size", func(s *spec) {
		s.entries = append(s.entries, newEntry("foo-1.0/x", "one"), newEntry("foo-1.0/x", "two"))
	}, "two members", false},
	{"two members of one name, size and checksum", func(s *spec) {
		s.entries = append(s.entries, newEntry("foo-1.0/x", "plumless"), newEntry("foo-1.0/x", "buckeroo"))
	}, "two members", false},
	{"a file and a folder of one name", func(s *spec) {
		s.entries = append(s.entries, newEntry("foo-1.0/x", ""), newEntry("foo-1.0/x/", ""))
	}, "two members", false},
	{"two members of one name beside another case", func(s *spec) {
		s.entries = append(s.entries, newEntry("foo-1.0/X", ""), newEntry("foo-1.0/x", "one"), newEntry("foo-1.0/x", "two"))
	}, "", false},
	{"the same twice", func(s *spec) {
		s.entries = append(s.entries, newEntry("foo-1.0/x", "one"), newEntry("foo-1.0/x", "one"))
	}, "two members", true},
	{"PKG-INFO, the same twice", func(s *spec) { s.entries = append(s.entries, s.entries[0]) }, "two members", true},
	{"two members of one name but for dots", func(s *spec) { s.entries = append(s.entries, newEntry("foo-1.0/./setup.py", "other")) }, `"." parts`, false},
	{"two members that differ in case", func(s *spec) { s.entries = append(s.entries, newEntry("foo-1.0/Setup.py", "other")) }, "case only", true},
	{"two members that differ in the case of a wide letter", func(s *spec) {
		for _, n := range []string{"foo-1.0/é", "foo-1.0/É"} {
			e := newEntry(n, "")
			e.local.flags, e.central.flags = flagUTF8, flagUTF8
			s.entries = append(s.entries, e)
		}
	}, "case only", true},
	{"local header twice in the directory", func(s *spec) { s.order = []int{0, 1, 2, 1} }, "", false},
	{"local name differs", func(s *spec) { s.entries[1].local.name = "foo-1.0/setup.pz" }, "in its local header", false},
	{"local name longer", func(s *spec) { s.entries[1].local.name = "foo-1.0/setup.pyc" }, "in its local header", false},
	{"local method differs", func(s *spec) { s.entries[1].local.method = methodStore }, "in its local header", false},
	{"local size differs", func(s *spec) { s.entries[1].local.size++ }, "in its local header", false},
	{"local packed size differs", func(s *spec) { s.entries[1].local.packed-- }, "in its local header", false},
	{"local size zero", func(s *spec) { s.entries[1].local.size = 0 }, "in its local header", false},
	{"local checksum differs", func(s *spec) { s.entries[1].local.crc++ }, "in its local header", false},
	{"local checksum zero", func(s *spec) { s.entries[1].local.crc = 0 }, "in its local header", false},
	{"local flag of encryption", func(s *spec) { s.entries[1].local.flags = flagEncrypted }, "has flags", false},
	{"local flag of a descriptor", func(s *spec) { s.entries[1].local.flags = flagDescriptor }, "has flags", false},
	{"local flag nobody knows", func(s *spec) { s.entries[1].local.flags = 1 << 14 }, "has flags", true},
	{"name is UTF-8 in one header only", func(s *spec) {
		e := newEntry("foo-1.0/é", "")
		e.local.flags = flagUTF8
		s.entries = append(s.entries, e)
	}, "", false},
	{"encrypted", func(s *spec) { s.entries[1].local.flags, s.entries[1].central.flags = 1, 1 }, "encrypted", false},
	{"strongly encrypted", func(s *spec) { s.entries[1].local.flags, s.entries[1].central.flags = 64, 64 }, "encrypted", false},
	{"masked headers", func(s *spec) { s.entries[1].local.flags, s.entries[1].central.flags = 1<<13, 1<<13 }, "encrypted", false},
	{"patch", func(s *spec) { s.entries[1].local.flags, s.entries[1].central.flags = 32, 32 }, "patch", false},
	{"packed by bzip2", func(s *spec) { s.entries[1].local.method, s.entries[1].central.method = 12, 12 }, "bzip2", true},
	{"packed by LZMA", func(s *spec) { s.entries[1].local.method, s.entries[1].central.method = 14, 14 }, "LZMA", true},
	{"packed by Zstandard", func(s *spec) { s.entries[1].local.method, s.entries[1].central.method = 93, 93 }, "Zstandard", true},
	{"stored, sizes differ", func(s *spec) {
		e := &s.entries[2]
		e.local.size++
		e.central.size++
	}, "stored as it is", false},
	{"wrong checksum", func(s *spec) {
		s.entries[1].local.crc++
		s.entries[1].central.crc++
	}, "wrong checksum", true},
	{"shorter than it claims", func(s *spec) {
		s.entries[1].local.size++
		s.entries[1].central.size++
	}, "claims", true},
	{"longer than it claims", func(s *spec) {
		s.entries[1].local.size--
		s.entries[1].central.size--
	}, "claims", true},
	{"bytes behind the packed data", func(s *spec) {
		e := &s.entries[1]
		e.body = append(e.body, "hidden"...)
		e.local.packed, e.central.packed = uint32(len(e.body)), uint32(len(e.body))
	}, "follow the end of its data", true},
	{"packed data cut short", func(s *spec) {
		e := &s.entries[1]
		e.body = e.body[:len(e.body)-3]
		e.local.packed, e.central.packed = uint32(len(e.body)), uint32(len(e.body))
	}, "broken data", true},
	{"broken packed data", func(s *spec) { s.entries[1].body[0] |= 0x06 }, "broken data", true},
	{"folder with content", func(s *spec) { s.entries = append(s.entries, packedEntry("foo-1.0/x/", []byte("hidden"), 0)) }, "folder with content", false},
	{"symbolic link", func(s *spec) { s.entries[1].central.attributes = 0o120777 << 16 }, "symbolic link", true},
	{"device", func(s *spec) { s.entries[1].central.attributes = 0o060666 << 16 }, "its mode is", true},
	{"FIFO", func(s *spec) { s.entries[1].central.attributes = 0o010666 << 16 }, "its mode is", true},
	{"comment on a member", func(s *spec) { s.entries[1].central.comment = "hello" }, "comment", true},
	{"member on another disk", func(s *spec) { s.entries[1].central.disk = 1 }, "split", false},
	{"parent folder", both("foo-1.0/../../x"), `".."`, false},
	{"parent folder alone", both(".."), `".."`, false},
	{"absolute", both("/etc/passwd"), "absolute", false},
	{"drive", both("C:/x"), "drive", false},
	{"backslashes", both(`foo-1.0\..\x`), "backslash", true},
	{"zero byte in the name", both("foo-1.0/a\x00b"), "control character", false},
	{"line break in the name", both("foo-1.0/a\nb"), "control character", false},
	{"delete in the name", both("foo-1.0/a\x7fb"), "control character", false},
	{"empty name", both(""), "no name", false},
	{"name of dots", both("./."), "own top", true},
	{"doubled slash", both("foo-1.0//x"), `"." parts`, true},
	{"very long name", both("foo-1.0/" + strings.Repeat("x", maxName)), "bytes", false},
	{"name in an unstated encoding", both("foo-1.0/\x82"), "encoding", true},
	{"name claims UTF-8 and is not", func(s *spec) {
		e := newEntry("foo-1.0/\xff", "")
		e.local.flags, e.central.flags = flagUTF8, flagUTF8
		s.entries = append(s.entries, e)
	}, "not UTF-8", false},
	{"second name in the directory", func(s *spec) {
		s.entries[1].central.extra = extra(extraUnicodePath, append([]byte{1, 0, 0, 0, 0}, "foo-1.0/evil.py"...))
	}, "second name", false},
	{"second name in the local header", func(s *spec) {
		s.entries[1].local.extra = extra(extraUnicodePath, append([]byte{1, 0, 0, 0, 0}, "foo-1.0/evil.py"...))
	}, "second name", false},
	{"second name, cut short", func(s *spec) { s.entries[1].local.extra = extra(extraUnicodePath, []byte{1}) }, "second name", false},
	{"64 bit sizes twice", func(s *spec) {
		x := extra(extraZip64, put64(nil, 1, 1))
		s.entries[1].local.extra = append(x, x...)
	}, "64 bit sizes", false},
	{"64 bit sizes twice in the directory", func(s *spec) {
		x := extra(extraZip64, nil)
		s.entries[1].central.extra = append(x, x...)
	}, "twice", false},
	{"64 bit sizes that contradict", func(s *spec) { s.entries[1].local.extra = extra(extraZip64, put64(nil, 1, 1)) }, "other 64 bit sizes", false},
	{"64 bit sizes not asked for in the directory", func(s *spec) {
		s.entries[1].central.extra = extra(extraZip64, put64(nil, 1, 1))
	}, "too many", true},
	{"64 bit sizes missing", func(s *spec) { s.entries[1].central.size = all32 }, "claim", false},
	{"64 bit sizes cut short", func(s *spec) {
		s.entries[1].central.size = all32
		s.entries[1].central.extra = extra(extraZip64, []byte{1, 2, 3})
	}, "broken 64 bit", false},
	{"64 bit size below zero", func(s *spec) {
		s.entries[1].central.size = all32
		s.entries[1].central.extra = extra(extraZip64, put64(nil, 1<<63))
	}, "broken 64 bit", false},
	{"extra field runs over", func(s *spec) { s.entries[1].local.extra = []byte{1, 2, 200, 0, 1} }, "broken extra", true},
	{"extra field runs over in the directory", func(s *spec) { s.entries[1].central.extra = []byte{1, 2, 200} }, "broken extra", true},
	{"offset into nothing", func(s *spec) { s.entries[1].central.offset, s.entries[1].central.fixed = 1<<20, true }, "outside the file", false},
	{"offset beside the header", func(s *spec) { s.entries[1].central.offset, s.entries[1].central.fixed = 5, true }, "no local header", false},
	{"two members share their bytes", func(s *spec) {
		e := newEntry("foo-1.0/PKG-INFO2", "")
		e.noLocal = true
		e.central.fixed = true
		s.entries = append(s.entries, e)
	}, "in its local header", false},
	{"member in front of the directory, hidden", func(s *spec) { s.entries[1].noCentral = true }, "records that some readers see", false},
	{"member before the first, hidden", func(s *spec) { s.entries[0].noCentral = true }, "records that some readers see", false},
	{"no local header at all", func(s *spec) { s.entries[1].noLocal = true }, "", false},
	{"bytes before the archive", func(s *spec) { s.prefix = []byte("#!/bin/sh\n") }, "before the first member", true},
	{"bytes before the archive, not counted", func(s *spec) {
		s.prefix = []byte("#!/bin/sh\n")
		s.end = func(e *ending) { e.offset -= 10 }
		for i := range s.entries {
			s.entries[i].central.fixed = true
		}
		at := uint32(0)
		for i := range s.entries {
			s.entries[i].central.offset = at
			at += uint32(lenLocal + len(s.entries[i].local.name) + len(s.entries[i].body))
		}
	}, "before the archive", true},
	{"another archive before", func(s *spec) { s.prefix = plain().bytes() }, "records that some readers see", false},
	{"another archive behind", func(s *spec) { s.trailing = plain().bytes() }, "records that some readers see", false},
	{"bytes between members", func(s *spec) { s.entries[0].after = []byte("hidden") }, "between members", true},
	{"bytes before the directory", func(s *spec) { s.gap = []byte("hidden") }, "before the central directory", true},
	{"bytes behind the archive", func(s *spec) { s.trailing = []byte("hidden") }, "follow the end", true},
	{"half an archive behind", func(s *spec) { s.trailing = plain().bytes()[:100] }, "another archive follows", false},
	{"end record in the comment", func(s *spec) { s.comment = string(new(spec).bytes()) }, "two records end", false},
	{"spoilt end record in the comment", func(s *spec) { s.comment = "PK\x05\x06 and more" }, "comment holds", false},
	{"comment longer than the file", func(s *spec) { s.end = func(e *ending) { e.commentLength = 5 } }, "cut short", false},
	{"one member more in the end record", func(s *spec) { s.end = func(e *ending) { e.here++; e.total++ } }, "its end counts", false},
	{"one member fewer in the end record", func(s *spec) { s.end = func(e *ending) { e.here--; e.total-- } }, "more than the", false},
	{"two counts", func(s *spec) { s.end = func(e *ending) { e.here-- } }, "counts", false},
	{"huge count", func(s *spec) { s.end = func(e *ending) { e.here, e.total = 60000, 60000 } }, "too short", false},
	{"directory longer", func(s *spec) { s.end = func(e *ending) { e.size += 8 } }, "outside the file", false},
	{"directory shorter", func(s *spec) { s.end = func(e *ending) { e.size -= 8 } }, "", false},
	{"directory elsewhere", func(s *spec) { s.end = func(e *ending) { e.offset -= 8 } }, "", false},
	{"split archive", func(s *spec) { s.end = func(e *ending) { e.disk = 1 } }, "split", false},
	{"directory record spoilt", func(s *spec) { s.entries[1].central.signature = 1 }, "broken after", false},
	{"local record spoilt", func(s *spec) { s.entries[1].local.signature = 1 }, "no local header", false},
	{"name runs over the directory", func(s *spec) { s.entries[2].central.nameSize = 4000 }, "cut short", false},
	{"name runs over the file", func(s *spec) { s.entries[2].local.nameSize = 40000 }, "outside the file", false},
	{"zip64 counts differ", func(s *spec) { s.zip64 = true; s.end = func(e *ending) { e.here64-- } }, "counts", false},
	{"zip64 and end record contradict", func(s *spec) { s.zip64 = true; s.end = func(e *ending) { e.here, e.total = 2, 2 } }, "disagree", false},
	{"zip64 with more data", func(s *spec) { s.zip64 = true; s.end = func(e *ending) { e.length64 = 50 } }, "with 50 bytes", false},
	{"zip64 locator astray", func(s *spec) { s.zip64 = true; s.end = func(e *ending) { e.locator -= 4 } }, "locator points", false},
	{"zip64 locator beyond", func(s *spec) { s.zip64 = true; s.end = func(e *ending) { e.locator = 1 << 60 } }, "locator promises", false},
	{"zip64 directory outside", func(s *spec) { s.zip64 = true; s.end = func(e *ending) { e.size64 = 1 << 62 } }, "outside the file", false},
	{"zip64 offset wraps", func(s *spec) { s.zip64 = true; s.end = func(e *ending) { e.off64 = 1<<64 - 1 } }, "outside the file", false},
	{"descriptor with another size", func(s *spec) { streamed(&s.entries[1]); s.entries[1].after[8]++ }, "after its data", false},
	{"descriptor with another checksum", func(s *spec) { streamed(&s.entries[1]); s.entries[1].after[4]++ }, "after its data", false},
	{"descriptor missing", func(s *spec) { streamed(&s.entries[1]); s.entries[1].after = nil }, "after its data", false},
	{"descriptor, packed data ends early", func(s *spec) {
		e := &s.entries[1]
		e.body = append(e.body, "hidden"...)
		e.central.packed = uint32(len(e.body))
		streamed(e)
	}, "follow the end of its data", false},
	{"stored with a descriptor and one inside", func(s *spec) {
		inner := put32([]byte("abc"), sigDescriptor, crc32.ChecksumIEEE([]byte("abc")), 3, 3)
		s.entries[2] = packedEntry("foo-1.0/data.bin", append(inner, "rest"...), methodStore)
		streamed(&s.entries[2])
	}, "holds a record's signature", false},
	{"zip bomb by its own words", func(s *spec) {
		for i := range s.entries {
			s.entries[i].central.size, s.entries[i].local.size = 1<<31, 1<<31
		}
	}, "", false},
	{"no members", func(s *spec) { s.entries = nil }, "", false},
}

func both(name string) func(*spec) {
	return func(s *spec) { s.entries = append(s.entries, newEntry(name, "")) }
}

// The honest archive passes, so that what is refused below is refused for the
// one thing that is wrong with it (reliability row 9).
func TestHonestZip(t *testing.T) {
	for name, change := range map[string]func(*spec){
		"plain": func(*spec) {},
		"zip64": func(s *spec) { s.zip64 = true },
		"folders": func(s *spec) {
			e := packedEntry("foo-1.0/x/", nil, methodStore)
			e.central.attributes = 0o040755 << 16
			s.entries = append(s.entries, e)
		},
		"comment":         func(s *spec) { s.comment = "0123456789abcdef made by a version control system" },
		"another order":   func(s *spec) { s.order = []int{2, 0, 1} },
		"sizes behind":    func(s *spec) { streamed(&s.entries[0]); streamed(&s.entries[1]); streamed(&s.entries[2]) },
		"unmarked behind": func(s *spec) { streamed(&s.entries[1]); s.entries[1].after = s.entries[1].after[4:] },
		"64 bit behind": func(s *spec) {
			e := &s.entries[1]
			streamed(e)
			e.local.packed, e.local.size = all32, all32
			e.local.extra = extra(extraZip64, put64(nil, 0, 0))
			e.after = put64(put32(nil, sigDescriptor, e.central.crc), uint64(e.central.packed), uint64(e.central.size))
		},
		"64 bit sizes in front": func(s *spec) {
			e := &s.entries[1]
			e.local.extra = extra(extraZip64, put64(nil, uint64(e.local.size), uint64(e.local.packed)))
			e.local.packed, e.local.size = all32, all32
		},
		"64 bit sizes in the directory": func(s *spec) {
			e := &s.entries[1]
			e.central.extra = extra(extraZip64, put64(nil, uint64(e.central.size), uint64(e.central.packed)))
			e.central.packed, e.central.size = all32, all32
		},
		"made on DOS": func(s *spec) { s.entries[1].central.system, s.entries[1].central.attributes = 0, 32 },
		"same second name": func(s *spec) {
			s.entries[1].central.extra = extra(extraUnicodePath, append([]byte{1, 0, 0, 0, 0}, "foo-1.0/setup.py"...))
		},
	} {
		s := plain()
		change(s)
		b := s.bytes()
		f, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.zip", "", Upload)
		if err != nil || len(f.Warnings) > 0 {
			t.Errorf("%s: %v, warnings %q", name, err, f.Warnings)
		}
	}
}

func TestHostileZip(t *testing.T) {
	if len(zipCases) < 60 {
		t.Errorf("%d cases", len(zipCases))
	}
	for _, tt := range zipCases {
		for _, how := range []Strictness{Mirrored, Drop, Upload} {
			s := plain()
			tt.spoil(s)
			b := s.bytes()
			f, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.zip", "", how)
			var r Rejection
			switch {
			case tt.mild && how == Mirrored:
				if err != nil {
					t.Errorf("%s: mirrored: %v", tt.name, err)
				}
			case !errors.As(err, &r):
				t.Errorf("%s: strictness %d: err = %v (%T), facts %+v", tt.name, how, err, err, f)
			case !strings.Contains(string(r), tt.want) && !(how == Mirrored && tt.name == "two members of one name but for dots"):
				t.Errorf("%s: strictness %d: %q does not say %q", tt.name, how, r, tt.want)
			}
		}
	}
}

// A file of more than wholeLimit bytes goes through the window instead of
// memory; the same faults are found.
func TestHostileZipLarge(t *testing.T) {
	pad := packedEntry("foo-1.0/pad", bytes.Repeat([]byte("0123456789abcde\n"), wholeLimit/16+1000), methodStore)
	for _, tt := range zipCases {
		s := plain()
		s.entries = append(s.entries, pad)
		tt.spoil(s)
		if len(s.entries) == 0 {
			continue
		}
		b := s.bytes()
		if len(b) <= wholeLimit {
			t.Fatalf("%s: %d bytes", tt.name, len(b))
		}
		if _, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.zip", "", Drop); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
	s := plain()
	s.entries = append(s.entries, pad)
	b := s.bytes()
	if _, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.zip", "", Upload); err != nil {
		t.Errorf("honest: %v", err)
	}
}

// Every cut of a zip file is found by everybody.
func TestTruncatedZip(t *testing.T) {
	_, b := intaketest.Wheel("foo", "1.0", intaketest.Opts{})
	for n := range b {
		for _, how := range []Strictness{Mirrored, Drop} {
			if _, err := Inspect(bytes.NewReader(b[:n]), int64(n), "foo-1.0-py3-none-any.whl", "", how); err == nil {
				t.Fatalf("cut to %d of %d bytes: accepted", n, len(b))
			}
		}
	}
}

// Old installers looked into a file before they looked at its name.
func TestZipAndTarAtOnce(t *testing.T) {
	_, tarball := intaketest.Sdist("foo", "1.0", intaketest.Opts{Ext: ".tar"})
	z := plain().bytes()
	for ext, b := range map[string][]byte{
		".tar":    append(bytes.Clone(tarball), z...),
		".zip":    append(bytes.Clone(tarball), z...),
		".tar.gz": append(intaketest.Pack(".tar.gz", tarball), z...),
	} {
		for _, how := range []Strictness{Mirrored, Drop} {
			if _, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0"+ext, "", how); err == nil {
				t.Errorf("%s, strictness %d: accepted", ext, how)
			}
		}
	}
}

// A small file that unpacks to very much is refused before much of it is
// unpacked, also where the headers tell less than the truth.
func TestZipBomb(t *testing.T) {
	zeros := make([]byte, 70<<20)
	for name, lie := range map[string]bool{"honest": false, "lying": true} {
		e := packedEntry("foo-1.0/bomb", zeros, methodDeflate)
		if lie {
			e.local.size, e.central.size = 1000, 1000
		}
		s := plain()
		s.entries = append(s.entries, e)
		b := s.bytes()
		if _, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.zip", "", Drop); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// More than 65,535 members need zip64 records.
func TestManyMembers(t *testing.T) {
	var out bytes.Buffer
	zw := zip.NewWriter(&out)
	for i := range 70_000 {
		n := "foo-1.0/" + string([]byte{'a' + byte(i%26), 'a' + byte(i/26%26), 'a' + byte(i/676%26), 'a' + byte(i/17576)})
		if i == 0 {
			n = "foo-1.0/PKG-INFO"
		}
		w, err := zw.CreateRaw(&zip.FileHeader{Name: n})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "")
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	b := out.Bytes()
	_, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.zip", "foo", Mirrored)
	if err != nil {
		t.Error(err)
	}
}
