package generate_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"io"
	"strings"
	"sync"
	"testing"

	"nestgen/generate"
)

func TestGzip(t *testing.T) {
	page := []byte(strings.Repeat(`<a href="../../packages/ab/cd/">foo-1.0.tar.gz</a>`+"\n", 500))
	for _, level := range []int{generate.PageLevel, generate.IndexLevel, 9} {
		want := generate.Gzip([]byte("before"), page, level)
		if !bytes.HasPrefix(want, []byte("before\x1f\x8b")) {
			t.Fatalf("level %d: begins with %q", level, want[:8])
		}
		want = want[len("before"):]
		r, err := stdgzip.NewReader(bytes.NewReader(want))
		if err != nil {
			t.Fatal(err)
		}
		if !r.ModTime.IsZero() || r.Name != "" || r.Comment != "" {
			t.Errorf("level %d: header %+v: want neither time nor name", level, r.Header)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, page) {
			t.Errorf("level %d: does not unpack to the page: %v", level, err)
		}
		if len(want) > len(page)/10 {
			t.Errorf("level %d: %d bytes of %d", level, len(want), len(page))
		}

		// The same bytes again, at once from many sides and in pieces.
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if got := generate.Gzip(nil, page, level); !bytes.Equal(got, want) {
					t.Errorf("level %d: other bytes the next time", level)
				}
			})
		}
		wg.Wait()
		var b bytes.Buffer
		w := generate.NewGzip(&b, level)
		for chunk := page; len(chunk) > 0; {
			n := min(1000, len(chunk))
			if _, err := w.Write(chunk[:n]); err != nil {
				t.Fatal(err)
			}
			chunk = chunk[n:]
		}
		for range 2 { // a second Close does no harm
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(b.Bytes(), want) {
			t.Errorf("level %d: other bytes when written in pieces", level)
		}
	}
	if got := generate.Gzip(nil, page, 42); !bytes.Equal(got, generate.Gzip(nil, page, generate.PageLevel)) {
		t.Error("a level that does not exist is not taken for PageLevel")
	}
}
