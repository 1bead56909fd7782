package dataset

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"nestgen/packaging"
)

// epoch is when every member was made.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// A Builder makes archives. It keeps its memory from one to the next, because
// a compressor costs more to make than a small archive. It is for one goroutine.
type Builder struct {
	out, packed bytes.Buffer
	flate       *flate.Writer
	gzip        *gzip.Writer
	payload     []byte
}

// NewBuilder makes a Builder.
func NewBuilder() *Builder {
	b := new(Builder)
	// A level that is in range is no error.
	b.flate, _ = flate.NewWriter(&b.packed, 6)
	b.gzip, _ = gzip.NewWriterLevel(&b.out, 6)
	return b
}

// Archive makes the bytes of a file. They are valid until the next call. An
// error is a fault of the archive writers.
func (b *Builder) Archive(p *Project, r *Release, f *File) ([]byte, error) {
	b.out.Reset()
	module := strings.ReplaceAll(string(packaging.NormalizeName(p.Name)), "-", "_")
	code := member{module + "/__init__.py", fmt.Appendf(nil, "__version__ = %q\n", r.Version)}
	members := []member{code}
	if f.Pad > 0 {
		members = append(members, member{module + "/payload.bin", b.noise(f)})
	}
	meta := Metadata(p, r)
	switch f.Kind {
	case packaging.Wheel:
		return b.wheel(module, r.Version, f.Filename, members, meta)
	case packaging.Egg:
		members = append(members, member{"EGG-INFO/PKG-INFO", meta}, member{"EGG-INFO/top_level.txt", []byte(module + "\n")}, member{"EGG-INFO/zip-safe", []byte("\n")})
		return b.zip(members)
	}
	setup := fmt.Appendf(nil, "from setuptools import setup\n\nsetup(name=%q, version=%q, packages=[%q])\n", p.Name, r.Version, module)
	members = append([]member{{"PKG-INFO", meta}, {"setup.py", setup}}, members...)
	return b.tarball(strings.TrimSuffix(f.Filename, ".tar.gz"), members)
}

type member struct {
	name string
	data []byte
}

// Metadata makes the core metadata of a release, the same for all its files.
func Metadata(p *Project, r *Release) []byte {
	b := fmt.Appendf(nil, "Metadata-Version: 2.1\nName: %s\nVersion: %s\nSummary: One of many projects\n", p.Name, r.Version)
	if r.RequiresPython != "" {
		b = fmt.Appendf(b, "Requires-Python: %s\n", r.RequiresPython)
	}
	for _, d := range r.RequiresDist {
		b = fmt.Appendf(b, "Requires-Dist: %s\n", d)
	}
	return append(b, "\nMade to be measured.\n"...)
}

// noise is a payload that does not compress, as what is compressed already does
// not; its first bytes depend on the file's name.
func (b *Builder) noise(f *File) []byte {
	h := fnv.New64a()
	h.Write([]byte(f.Filename))
	var seed [32]byte
	h.Sum(seed[:0])
	if cap(b.payload) < f.Pad {
		b.payload = make([]byte, f.Pad)
	}
	b.payload = b.payload[:f.Pad]
	_, _ = rand.NewChaCha8(seed).Read(b.payload) // does not fail
	return b.payload
}

func (b *Builder) wheel(module, version, filename string, members []member, meta []byte) ([]byte, error) {
	info := module + "-" + version + ".dist-info/"
	tags := "Wheel-Version: 1.0\nGenerator: dataset\nRoot-Is-Purelib: true\n"
	_, tag, _ := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(filename, ".whl"), module+"-"), "-")
	front, platforms, _ := cutLast(tag, "-")
	for platform := range strings.SplitSeq(platforms, ".") {
		tags += "Tag: " + front + "-" + platform + "\n"
	}
	members = append(members, member{info + "METADATA", meta}, member{info + "WHEEL", []byte(tags)})
	var record []byte
	for _, m := range members {
		sum := sha256.Sum256(m.data)
		record = fmt.Appendf(record, "%s,sha256=%s,%d\n", m.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(m.data))
	}
	record = append(record, info+"RECORD,,\n"...)
	return b.zip(append(members, member{info + "RECORD", record}))
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// storeFrom is the size from which a member is stored as it is: it is payload,
// which does not compress.
const storeFrom = 4096

func (b *Builder) zip(members []member) ([]byte, error) {
	zw := zip.NewWriter(&b.out)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Store, Modified: epoch, CRC32: crc32.ChecksumIEEE(m.data)}
		packed := m.data
		if len(m.data) < storeFrom {
			b.packed.Reset()
			b.flate.Reset(&b.packed)
			if _, err := b.flate.Write(m.data); err != nil {
				return nil, err
			}
			if err := b.flate.Close(); err != nil {
				return nil, err
			}
			h.Method, packed = zip.Deflate, b.packed.Bytes()
		}
		h.SetMode(0o644)
		h.CompressedSize64, h.UncompressedSize64 = uint64(len(packed)), uint64(len(m.data))
		w, err := zw.CreateRaw(h)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(packed); err != nil {
			return nil, err
		}
	}
	err := zw.Close()
	return b.out.Bytes(), err
}

func (b *Builder) tarball(top string, members []member) ([]byte, error) {
	b.gzip.Reset(&b.out)
	tw := tar.NewWriter(b.gzip)
	for _, m := range members {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: top + "/" + m.name, Mode: 0o644, Size: int64(len(m.data)), ModTime: epoch, Format: tar.FormatUSTAR}
		if len(h.Name) > 100 {
			h.Format = tar.FormatPAX
		}
		if err := tw.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := tw.Write(m.data); err != nil {
			return nil, err
		}
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	err := b.gzip.Close()
	return b.out.Bytes(), err
}
