package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"strings"
	"time"
)

// made is when every member of every archive was made: the first day that zip
// knows.
var made = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// A member is one file of an archive.
type member struct {
	name string
	data []byte
}

// packer gives what makes a distribution of this name; nil if it is not one.
// Nothing is compressed, so that the bytes do not depend on a compressor.
func packer(name string) func([]member) ([]byte, error) {
	switch {
	case strings.HasSuffix(name, ".whl"):
		return wheel
	case strings.HasSuffix(name, ".egg"):
		return zipped
	case strings.HasSuffix(name, ".tar.gz"):
		return tarball
	}
	return nil
}

// membersOf gives the files below a folder, sorted by their paths.
func membersOf(dir fs.FS) ([]member, error) {
	var all []member
	err := fs.WalkDir(dir, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(dir, name)
		all = append(all, member{name, data})
		return err
	})
	return all, err
}

// wheel makes a wheel: the metadata last, and the digests of all in RECORD, as
// the specification of binary distributions asks for.
func wheel(members []member) ([]byte, error) {
	var code, info []member
	for _, m := range members {
		if strings.Contains(m.name, ".dist-info/") {
			info = append(info, m)
		} else {
			code = append(code, m)
		}
	}
	if len(info) == 0 {
		return nil, errors.New("no .dist-info folder")
	}
	members = append(code, info...)
	record := path.Dir(info[0].name) + "/RECORD"
	var b strings.Builder
	for _, m := range members {
		sum := sha256.Sum256(m.data)
		fmt.Fprintf(&b, "%s,sha256=%s,%d\n", m.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(m.data))
	}
	b.WriteString(record + ",,\n")
	return zipped(append(members, member{record, []byte(b.String())}))
}

// zipped makes a zip file with sizes in front of the data, as strict readers
// want it.
func zipped(members []member) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Store, Modified: made, CRC32: crc32.ChecksumIEEE(m.data)}
		h.CompressedSize64, h.UncompressedSize64 = uint64(len(m.data)), uint64(len(m.data))
		h.SetMode(0o644)
		w, err := z.CreateRaw(h)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(m.data); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return out.Bytes(), err
}

// tarball makes a gzipped tar file.
func tarball(members []member) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.NoCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	for _, m := range members {
		err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: m.name, Mode: 0o644, Size: int64(len(m.data)), ModTime: made, Format: tar.FormatUSTAR})
		if err != nil {
			return nil, err
		}
		if _, err := t.Write(m.data); err != nil {
			return nil, err
		}
	}
	err = errors.Join(t.Close(), z.Close())
	return out.Bytes(), err
}
