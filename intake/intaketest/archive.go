package intaketest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// epoch is when every member was made: the first day that zip knows.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// A Member is a member of a zip file, in the order given.
type Member struct {
	Name string
	Data []byte

	// Store keeps the bytes as they are.
	Store bool
}

// Zip makes a zip file as a wheel builder does: sizes in front of the data, no
// folders, one Unix mode.
func Zip(members ...Member) []byte {
	var out bytes.Buffer
	zw := zip.NewWriter(&out)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.Name, Method: zip.Store, Modified: epoch}
		h.SetMode(0o644)
		if strings.ContainsFunc(m.Name, func(r rune) bool { return r > 0x7f }) {
			h.Flags |= 0x800 // the name is UTF-8
		}
		packed := m.Data
		if !m.Store {
			h.Method, packed = zip.Deflate, deflate(m.Data)
		}
		h.CRC32 = crc32.ChecksumIEEE(m.Data)
		h.CompressedSize64, h.UncompressedSize64 = uint64(len(packed)), uint64(len(m.Data))
		w, err := zw.CreateRaw(h)
		must(err)
		_, err = w.Write(packed)
		must(err)
	}
	must(zw.Close())
	return out.Bytes()
}

func deflate(b []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, 6)
	must(err)
	_, err = w.Write(b)
	must(err)
	must(w.Close())
	return out.Bytes()
}

func files2zip(files []file) []Member {
	members := make([]Member, len(files))
	for i, f := range files {
		members[i] = Member{Name: f.name, Data: f.data}
	}
	return members
}

// record makes a wheel's RECORD.
func record(files []file, self string) []byte {
	var b strings.Builder
	for _, f := range files {
		sum := sha256.Sum256(f.data)
		name := f.name
		if strings.ContainsAny(name, ",\"") {
			name = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		}
		fmt.Fprintf(&b, "%s,sha256=%s,%d\n", name, base64.RawURLEncoding.EncodeToString(sum[:]), len(f.data))
	}
	b.WriteString(self + ",,\n")
	return []byte(b.String())
}

// tarball makes a tar file with a folder and files in it.
func tarball(top string, files []file) []byte {
	var out bytes.Buffer
	tw := tar.NewWriter(&out)
	must(tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: top + "/", Mode: 0o755, ModTime: epoch}))
	for _, f := range files {
		must(tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o644, Size: int64(len(f.data)), ModTime: epoch}))
		_, err := tw.Write(f.data)
		must(err)
	}
	must(tw.Close())
	return out.Bytes()
}

// Pack packs a tar file as an extension of sdists asks for it. It knows the
// extensions of [Opts], ".zip" apart.
func Pack(ext string, tarball []byte) []byte {
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch ext {
	case ".tar":
		return tarball
	case ".tar.gz", ".tgz":
		w, err = gzip.NewWriterLevel(&out, 6)
	case ".tar.xz", ".txz":
		w, err = xz.WriterConfig{DictCap: 1 << 20}.NewWriter(&out)
	case ".tar.zst":
		w, err = zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	case ".tar.lzma":
		w, err = lzma.WriterConfig{DictCap: 1 << 20}.NewWriter(&out)
	case ".tar.Z":
		return Compress(tarball, 16, true, 0)
	default:
		panic("intaketest: no way to pack " + ext)
	}
	must(err)
	_, err = w.Write(tarball)
	must(err)
	must(w.Close())
	return out.Bytes()
}

func must(err error) {
	if err != nil {
		panic("intaketest: " + err.Error())
	}
}
