package intaketest

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"
)

// MetadataOf gives the core metadata in the bytes of a wheel.
func MetadataOf(tb testing.TB, wheel []byte) []byte {
	tb.Helper()
	z, err := zip.NewReader(bytes.NewReader(wheel), int64(len(wheel)))
	if err != nil {
		tb.Fatal(err)
	}
	for _, m := range z.File {
		if !strings.HasSuffix(m.Name, ".dist-info/METADATA") {
			continue
		}
		r, err := m.Open()
		if err != nil {
			tb.Fatal(err)
		}
		defer r.Close()
		data, err := io.ReadAll(r)
		if err != nil {
			tb.Fatal(err)
		}
		return data
	}
	tb.Fatal("a wheel without METADATA")
	return nil
}
