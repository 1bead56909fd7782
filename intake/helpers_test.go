package intake

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
)

func crc(b []byte) uint32 { return crc32.ChecksumIEEE(b) }

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// pythonASCII is Python's ascii() for the names used here.
func pythonASCII(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\x%02x`, r)
		}
	}
	return "'" + b.String() + "'"
}

// goListing is what Go's own readers find in an archive.
func goListing(t *testing.T, path string, b []byte) string {
	t.Helper()
	files := make(map[string]string)
	note := func(name string, r io.Reader) {
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %s: %v", path, name, err)
		}
		files[name] = fmt.Sprintf("%s %d %d\n", pythonASCII(name), len(data), crc(data))
	}
	if strings.HasSuffix(path, ".tar.gz") {
		gz, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		for tr := tar.NewReader(gz); ; {
			h, err := tr.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Typeflag == tar.TypeReg {
				note(h.Name, tr)
			}
		}
	} else {
		zr, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range zr.File {
			if strings.HasSuffix(f.Name, "/") {
				continue
			}
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			note(f.Name, r)
		}
	}
	var out strings.Builder
	for _, name := range sortedKeys(files) {
		out.WriteString(files[name])
	}
	return out.String()
}

// line is the RECORD line of a member.
func line(name, data string) string {
	sum := sha256.Sum256([]byte(data))
	return fmt.Sprintf("%s,sha256=%s,%d\n", name, base64.RawURLEncoding.EncodeToString(sum[:]), len(data))
}
