package intake

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"nestgen/intake/intaketest"
)

// prose is text that packs about as well as source code does.
func prose(n int) string {
	var b strings.Builder
	words := strings.Fields("def return self import class value None for in range if not else raise error name index file path read write None True")
	for i := uint64(1); b.Len() < n; i++ {
		i2 := i * 0x9e3779b97f4a7c15 >> 33
		b.WriteString(words[i2%uint64(len(words))])
		b.WriteString(" \n_("[i2>>8&3 : i2>>8&3+1])
		if i2>>12&7 == 0 {
			b.WriteString(string(rune('a' + i2>>16&15)))
		}
	}
	return b.String()[:n]
}

// BenchmarkInspect is digest and inspection of one file in memory, for every
// strictness, with tiny files and with files of 216 kB: "noise" as of compiled
// code, "text" as of sources.
func BenchmarkInspect(b *testing.B) {
	o := intaketest.Opts{RequiresPython: ">=3.8", RequiresDist: []string{"a", "b>=2"}, Summary: "A summary"}
	noise, text := o, o
	noise.Pad = 214_000
	text.Files = map[string]string{"lib/a.py": prose(300_000), "lib/b.py": prose(333_333), "lib/c.py": prose(200_000)}
	for _, size := range []struct {
		name string
		o    intaketest.Opts
	}{{"tiny", o}, {"noise", noise}, {"text", text}} {
		for _, kind := range []struct {
			name string
			make func(string, string, intaketest.Opts) (string, []byte)
		}{{"wheel", intaketest.Wheel}, {"sdist", intaketest.Sdist}} {
			filename, data := kind.make("some-name", "1.0", size.o)
			for how, name := range map[Strictness]string{Mirrored: "mirrored", Drop: "drop", Upload: "upload"} {
				b.Run(size.name+"/"+kind.name+"/"+name, func(b *testing.B) {
					b.ReportAllocs()
					b.SetBytes(int64(len(data)))
					b.RunParallel(func(pb *testing.PB) {
						r := bytes.NewReader(data)
						for pb.Next() {
							r.Reset(data)
							if _, err := Digest(r); err != nil {
								b.Error(err)
							}
							if _, err := Inspect(r, int64(len(data)), filename, "", how); err != nil {
								b.Error(err)
							}
						}
					})
				})
			}
		}
	}
}

// BenchmarkCopy shows that digests in one pass with the copy are cheaper than a
// copy in the kernel and digests after it, where blocks cannot be shared.
func BenchmarkCopy(b *testing.B) {
	dir := b.TempDir()
	data := bytes.Repeat([]byte("0123456789abcdef"), 216_000/16)
	if err := os.WriteFile(dir+"/src", data, 0o600); err != nil {
		b.Fatal(err)
	}
	run := func(name string, copy func(dst, src *os.File) error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				src, err := os.Open(dir + "/src")
				if err != nil {
					b.Fatal(err)
				}
				dst, err := os.OpenFile(dir+"/dst", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
				if err != nil {
					b.Fatal(err)
				}
				if err := copy(dst, src); err != nil {
					b.Fatal(err)
				}
				src.Close()
				dst.Close()
			}
		})
	}
	run("one-pass", func(dst, src *os.File) error { _, err := Copy(dst, src, 0); return err })
	run("kernel-then-digest", func(dst, src *os.File) error {
		if _, err := io.Copy(dst, src); err != nil {
			return err
		}
		if _, err := dst.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := Digest(dst)
		return err
	})
}

func BenchmarkDigest(b *testing.B) {
	data := make([]byte, 1<<20)
	r := bytes.NewReader(data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(data)
		if _, err := Digest(r); err != nil {
			b.Fatal(err)
		}
	}
}
