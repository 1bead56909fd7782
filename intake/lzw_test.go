package intake

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"nestgen/intake/intaketest"
)

// unpackLZW reads a file of compress(1).
func unpackLZW(b []byte) ([]byte, error) {
	z := new(lzwReader)
	if err := z.reset(bytes.NewReader(b)); err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// wholeTarZ reports whether a file of compress(1), which has no end of its own,
// holds a tar file with an end.
func wholeTarZ(b []byte) bool {
	tar, err := unpackLZW(b)
	n := len(tar)
	return err == nil && n >= 3*tarBlock && n%tarBlock == 0 && isZero(tar[n-tarBlock:])
}

// A cut shows in the tar file.
func TestTruncatedTarZ(t *testing.T) {
	filename, b := intaketest.Sdist("foo", "1.0", intaketest.Opts{Ext: ".tar.Z", Pad: 300})
	for n := range b {
		if _, err := Inspect(bytes.NewReader(b[:n]), int64(n), filename, "", Drop); err == nil && !wholeTarZ(b[:n]) {
			t.Fatalf("cut to %d of %d bytes: accepted", n, len(b))
		}
	}
}

func numbers(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintln(&b, i)
	}
	return b.Bytes()
}

// What the helper of the tests packs is what compress(1) of ncompress 4.2.4.6
// packs, to the byte.
func TestCompressOfTheTestsIsCompress(t *testing.T) {
	for bits, want := range map[int]string{
		10: "1105a3b7e6718337bff44d038ca34cf1ea4a7a72d7d4ed086028712d52b51b16",
		12: "2536612561cf9b75181d8ca6a4fa3c9fcfab1888004b8fe565cb24ea59a6cea4",
		16: "d83eeafc0d8e6abadd65cf2a37d988bd8a85b398a9a7a800dfe8cc05922b24fa",
	} {
		if got := fmt.Sprintf("%x", sha256.Sum256(intaketest.Compress(numbers(1900), bits, true, 0))); got != want {
			t.Errorf("%d bits: sha256 %s, want %s", bits, got, want)
		}
	}
}

func TestLZW(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing":            {},
		"a byte":             {7},
		"its own first byte": bytes.Repeat([]byte("a"), 300),
		"zero bytes":         make([]byte, 200_000),
		"text":               numbers(30_000),
		"every pair": func() (b []byte) {
			for i := range 1 << 16 {
				b = append(b, byte(i), byte(i>>8))
			}
			return b
		}(),
	} {
		for bits := 10; bits <= 16; bits++ {
			for _, every := range []int{-1, 0, 100, 4999} {
				packed := intaketest.Compress(data, bits, every >= 0, every)
				got, err := unpackLZW(packed)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s, %d bits, emptied every %d: %v, %d bytes, want %d", name, bits, every, err, len(got), len(data))
				}
			}
		}
	}
}

func TestBrokenLZW(t *testing.T) {
	for _, tt := range []struct{ name, data, want string }{
		{"no header", "\x1f", "EOF"},
		{"codes of 9 bits", "\x1f\x9d\x89a\x00", "no header"},
		{"codes of 17 bits", "\x1f\x9d\x91a\x00", "no header"},
		{"an unknown flag", "\x1f\x9d\xb0a\x00", "no header"},
		{"an empty table emptied", "\x1f\x9d\x90\x00\x01", "broken"},
		{"no code before", "\x1f\x9d\x10\x00\x01", "broken"},
		{"a code of the future", "\x1f\x9d\x90a\x04\x02", "broken"},
		{"cut inside a code", "\x1f\x9d\x90a", "EOF"},
		{"something behind the last code", "\x1f\x9d\x90a\x80", "EOF"},
	} {
		if got, err := unpackLZW([]byte(tt.data)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

// What is packed comes out again, and nothing makes the reader stumble or give
// more than each code can stand for.
func FuzzLZW(f *testing.F) {
	f.Add(numbers(300), uint8(10), uint16(0))
	f.Add(make([]byte, 5000), uint8(12), uint16(700))
	f.Add(intaketest.Compress(numbers(300), 11, true, 0), uint8(16), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, bits uint8, every uint16) {
		if got, err := unpackLZW(intaketest.Compress(b, 10+int(bits%7), every > 0, int(every))); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%d bytes became %d, %v", len(b), len(got), err)
		}
		if len(b) > 64<<10 {
			return
		}
		if got, _ := unpackLZW(append([]byte("\x1f\x9d\x90"), b...)); len(got) > len(b)*len(b)+1 {
			t.Errorf("%d bytes became %d", len(b), len(got))
		}
	})
}
