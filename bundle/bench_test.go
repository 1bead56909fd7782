package bundle

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
	"testing"
)

// many is so many members of so many bytes each.
func many(n, size int) []Member {
	data := text("bench", size)
	sum := sha256.Sum256(data)
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	var members []Member
	for i := range n {
		members = append(members, Member{fmt.Sprintf("packages/%02x/%07d-1.0-py3-none-any.whl", i%256, i), int64(size), sum, open})
	}
	return members
}

// forms are what the benchmarks write and read: wheels, and small files.
var forms = []struct {
	name    string
	n, size int
	zstd    bool
}{
	{"64 x 4 MiB", 64, 4 << 20, false},
	{"64 x 4 MiB, zstd", 64, 4 << 20, true},
	{"20000 x 2 KiB", 20000, 2 << 10, false},
}

// The floor of both is SHA-256: of each byte twice when it is written (the
// member's, and the part's), and once when it is read.
func BenchmarkFloor(b *testing.B) {
	data := text("bench", 4<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		sha256.Sum256(data)
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, f := range forms {
		b.Run(f.name, func(b *testing.B) {
			o := options(b, many(f.n, f.size)...)
			o.Zstd, o.Replace = f.zstd, true
			path := filepath.Join(b.TempDir(), "b.tar")
			b.SetBytes(int64(f.n) * int64(f.size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Write(b.Context(), path, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, f := range forms {
		b.Run(f.name, func(b *testing.B) {
			o := options(b, many(f.n, f.size)...)
			o.Zstd = f.zstd
			r, err := Write(b.Context(), filepath.Join(b.TempDir(), "b.tar"), o)
			if err != nil {
				b.Fatal(err)
			}
			known := trusting(b, o.Header.Key)
			temp := b.TempDir()
			b.SetBytes(int64(f.n) * int64(f.size))
			b.ReportAllocs()
			for b.Loop() {
				bundle, err := Open(known, paths(r)...)
				if err != nil {
					b.Fatal(err)
				}
				if err := bundle.Verify(b.Context(), VerifyOptions{Temp: temp}); err != nil {
					b.Fatal(err)
				}
				if err := bundle.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
