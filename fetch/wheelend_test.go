package fetch

import (
	"archive/zip"
	"bytes"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"nestgen/intake/intaketest"
	"nestgen/packaging"
)

const core = "Metadata-Version: 2.1\nName: foo\nVersion: 1.0\n"

// wheelOf reads the METADATA of foo 1.0 out of some bytes, and counts what was
// read: how often, and how much.
func wheelOf(data []byte) (text []byte, reads int, bytes int64, err error) {
	name, err := packaging.ParseFilename("foo-1.0-py3-none-any.whl", "")
	if err != nil {
		panic(err)
	}
	size := int64(len(data))
	w := wheelEnd{size: size, at: size, read: func(from, to int64) ([]byte, error) {
		if from < 0 || from > to || to > size {
			panic("read outside the file")
		}
		reads++
		bytes += to - from
		return append([]byte(nil), data[from:to]...), nil
	}}
	text, err = w.metadata(&name)
	return text, reads, bytes, err
}

// rawZip makes a zip file whose headers are as given: Go's writer puts sizes
// behind the data, and 64 bit sizes where they are needed.
func rawZip(t testing.TB, comment string, members ...*zip.FileHeader) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, h := range members {
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, core)
	}
	if err := z.SetComment(comment); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// wide makes the one member of a zip file have 64 bit sizes in its local header
// and in the directory, and gives the archive zip64 records.
func wide(t testing.TB, data []byte) []byte {
	t.Helper()
	local := bytes.Index(data, []byte("PK\x03\x04"))
	central := bytes.Index(data, []byte("PK\x01\x02"))
	end := bytes.Index(data, []byte("PK\x05\x06"))
	if local != 0 || central < 0 || end < 0 {
		t.Fatal("not the zip file that this is for")
	}
	u64 := le.AppendUint64
	packed, size := uint64(le.Uint32(data[central+20:])), uint64(le.Uint32(data[central+24:]))
	nameLen := int(le.Uint16(data[lenLocal-4:]))
	field := u64(u64([]byte{1, 0, 16, 0}, size), packed)
	var out []byte
	out = append(out, data[:lenLocal+nameLen]...)
	le.PutUint32(out[18:], all32)
	le.PutUint32(out[22:], all32)
	le.PutUint16(out[28:], uint16(len(field)))
	out = append(out, field...)
	out = append(out, data[lenLocal+nameLen+int(le.Uint16(data[28:])):central]...)
	directory := len(out)
	out = append(out, data[central:central+lenCentral+nameLen]...)
	h := out[directory:]
	le.PutUint32(h[20:], all32)
	le.PutUint32(h[24:], all32)
	le.PutUint32(h[42:], all32)
	field = u64(field, 0)
	field[2] = 24
	le.PutUint16(h[30:], uint16(len(field)))
	out = append(out, field...)
	length := len(out) - directory
	at := len(out)
	out = le.AppendUint32(out, zipEnd64)
	out = u64(out, lenEnd64-12)
	out = append(out, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	out = u64(u64(u64(u64(out, 1), 1), uint64(length)), uint64(directory))
	out = le.AppendUint32(out, zipLocator64)
	out = append(out, 0, 0, 0, 0)
	out = u64(out, uint64(at))
	out = append(out, 1, 0, 0, 0)
	tail := bytes.Clone(data[end:])
	le.PutUint16(tail[8:], 0xffff)
	le.PutUint16(tail[10:], 0xffff)
	le.PutUint32(tail[12:], all32)
	le.PutUint32(tail[16:], all32)
	return append(out, tail...)
}

const metadataName = "foo-1.0.dist-info/METADATA"

// METADATA is found wherever it stands, however it is packed.
func TestWheelEnd(t *testing.T) {
	pad := func(n int) intaketest.Member {
		return intaketest.Member{Name: "foo/data.bin", Data: bytes.Repeat([]byte("0123456789abcdef"), n/16), Store: true}
	}
	meta := intaketest.Member{Name: metadataName, Data: []byte(core)}
	stored := intaketest.Member{Name: metadataName, Data: []byte(core), Store: true}
	many := []intaketest.Member{stored}
	for i := range 3000 {
		many = append(many, intaketest.Member{Name: "foo/" + strings.Repeat("x", 20) + string(rune('a'+i%26)) + strings.Repeat("y", i/26), Data: []byte("x")})
	}
	for _, tt := range []struct {
		name  string
		data  []byte
		reads int
	}{
		{"small", intaketest.Zip(meta), 1},
		{"stored", intaketest.Zip(stored), 1},
		{"at the end of a large one", intaketest.Zip(pad(1<<20), meta), 1},
		{"at the beginning of a large one", intaketest.Zip(meta, pad(1<<20)), 2},
		{"the first of so many that the directory is long", intaketest.Zip(many...), 3},
		{"the last of so many", intaketest.Zip(append(many[1:], stored)...), 2},
		{"sizes behind the data", rawZip(t, "", &zip.FileHeader{Name: metadataName, Method: zip.Deflate}), 1},
		{"a comment of 65535 bytes", rawZip(t, strings.Repeat("c", 65535), &zip.FileHeader{Name: metadataName, Method: zip.Deflate}), 2},
		{"zip64", wide(t, intaketest.Zip(stored)), 1},
		{"zip64, packed", wide(t, intaketest.Zip(meta)), 1},
		{"a script in front", append([]byte("#!/bin/sh\n"), intaketest.Zip(meta)...), 1},
		{"another spelling of the folder", intaketest.Zip(intaketest.Member{Name: "Foo-1.0.0.dist-info/METADATA", Data: []byte(core)}), 1},
		{"another project's folder as well", intaketest.Zip(meta, intaketest.Member{Name: "bar-1.0.dist-info/METADATA", Data: []byte("no")}), 1},
		{"METADATA elsewhere", intaketest.Zip(meta, intaketest.Member{Name: "foo/foo-1.0.dist-info/METADATA", Data: []byte("no")}), 1},
	} {
		text, reads, _, err := wheelOf(tt.data)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if string(text) != core {
			t.Errorf("%s: %q", tt.name, text)
		}
		if reads > tt.reads {
			t.Errorf("%s: %d reads, want at most %d", tt.name, reads, tt.reads)
		}
	}
}

// What two readers could see differently, and what is no wheel of that name, is
// refused.
func TestWheelEndRefuses(t *testing.T) {
	meta := intaketest.Member{Name: metadataName, Data: []byte(core)}
	other := intaketest.Member{Name: metadataName, Data: []byte(core + "Requires-Dist: evil\n")}
	patch := func(data []byte, at func([]byte) int, b ...byte) []byte {
		data = bytes.Clone(data)
		copy(data[at(data):], b)
		return data
	}
	central := func(off int) func([]byte) int {
		return func(b []byte) int { return bytes.Index(b, []byte("PK\x01\x02")) + off }
	}
	local := func(off int) func([]byte) int { return func([]byte) int { return off } }
	end := func(off int) func([]byte) int {
		return func(b []byte) int { return bytes.Index(b, []byte("PK\x05\x06")) + off }
	}
	plain := intaketest.Zip(meta)
	huge := rawZip(t, "", &zip.FileHeader{Name: metadataName, Method: zip.Deflate})
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "no end of central directory"},
		{"no zip file", bytes.Repeat([]byte("x"), 1000), "no end of central directory"},
		{"cut short", plain[:len(plain)-1], "end"},
		{"another archive behind it", append(bytes.Clone(plain), "PK\x03\x04"...), "is not its end"},
		{"two ends", rawZip(t, string(plain[bytes.Index(plain, []byte("PK\x05\x06")):]), &zip.FileHeader{Name: metadataName}), "two records end"},
		{"twice", intaketest.Zip(meta, other), "two members"},
		{"twice, the same", intaketest.Zip(meta, meta), "two members"},
		{"two folders", intaketest.Zip(meta, intaketest.Member{Name: "Foo-1.0.dist-info/METADATA", Data: []byte(core)}), "folders"},
		{"another project", intaketest.Zip(intaketest.Member{Name: "bar-1.0.dist-info/METADATA", Data: []byte(core)}), "without the METADATA"},
		{"another version", intaketest.Zip(intaketest.Member{Name: "foo-1.1.dist-info/METADATA", Data: []byte(core)}), "without the METADATA"},
		{"a larger count", patch(plain, end(8), 2, 0, 2, 0), "too short"},
		{"a smaller count", patch(plain, end(8), 0, 0, 0, 0), "broken after 0"},
		{"two counts", patch(plain, end(8), 2), "split"},
		{"a directory of gigabytes", patch(plain, end(12), 0, 0, 0, 0x7f), "central directory"},
		{"a directory elsewhere", patch(plain, end(16), 0xff, 0xff, 0xff, 0x7f), "outside"},
		{"encrypted", patch(plain, central(8), 1), "encrypted"},
		{"packed by a method nobody has", patch(patch(plain, central(10), 14), local(8), 14), "method 14"},
		{"methods differ", patch(plain, central(10), 0), "disagree"},
		{"checksums differ", patch(plain, central(16), 1, 2, 3, 4), "disagree"},
		{"a wrong checksum", patch(patch(plain, central(16), 1, 2, 3, 4), local(14), 1, 2, 3, 4), "checksum"},
		{"names differ", patch(plain, local(lenLocal), 'F'), "in its local header"},
		{"more than it claims", patch(patch(plain, central(24), 1, 0, 0, 0), local(22), 1, 0, 0, 0), "more than the 1 bytes"},
		{"less than it claims", patch(patch(plain, central(24), 0, 1, 0, 0), local(22), 0, 1, 0, 0), "claims 256"},
		{"metadata of gigabytes", patch(huge, central(24), 0, 0, 0, 0x70), "more than"},
		{"beyond the file", patch(plain, central(42), 0xf0, 0xff, 0xff, 0x7f), "outside"},
		{"no local header", patch(plain, local(0), 'x'), "no local header"},
		{"zip64 records that disagree", func() []byte {
			b := wide(t, plain)
			return patch(b, end(10), 7, 0) // and at 8
		}(), "split"},
		{"zip64 and another size", func() []byte {
			b := wide(t, plain)
			return patch(b, end(12), 7, 0, 0, 0)
		}(), "disagree"},
		{"a zip64 locator alone", func() []byte {
			b := wide(t, plain)
			return patch(b, func(b []byte) int { return bytes.Index(b, []byte("PK\x06\x06")) }, 'x')
		}(), "zip64"},
	} {
		text, _, _, err := wheelOf(tt.data)
		switch {
		case err == nil:
			t.Errorf("%s: taken: %q", tt.name, text)
		case !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %v, want it to say %q", tt.name, err, tt.want)
		}
	}
}

// Whatever is taken is what Go's own reader finds under the one name, and no
// more than the limits is read.
func FuzzWheelEnd(f *testing.F) {
	_, wheel := intaketest.Wheel("foo", "1.0", intaketest.Opts{})
	f.Add(wheel)
	f.Add(intaketest.Zip(intaketest.Member{Name: metadataName, Data: []byte(core), Store: true}))
	f.Add(rawZip(f, "comment", &zip.FileHeader{Name: metadataName, Method: zip.Deflate}))
	f.Add(wide(f, intaketest.Zip(intaketest.Member{Name: metadataName, Data: []byte(core)})))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, _, n, err := wheelOf(data)
		if n > 2*int64(len(data))+2*tailSize {
			t.Fatalf("%d bytes were read of %d", n, len(data))
		}
		if err != nil {
			if KindOf(err) != Invalid && KindOf(err) != Refused {
				t.Fatalf("kind %v: %v", KindOf(err), err)
			}
			return
		}
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return // Go's reader is stricter in places
		}
		for _, m := range z.File {
			top, base, _ := strings.Cut(m.Name, "/")
			if base != "METADATA" || !strings.HasSuffix(top, ".dist-info") || m.CRC32 != crc32.ChecksumIEEE(text) {
				continue
			}
			r, err := m.Open()
			if err != nil {
				continue
			}
			got, err := io.ReadAll(r)
			if err == nil && bytes.Equal(got, text) {
				return
			}
		}
		t.Fatalf("Go's reader does not see %q", text)
	})
}
