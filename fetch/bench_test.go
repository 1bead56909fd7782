package fetch_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/fetch/fetchtest"
)

var base = &url.URL{Scheme: "https", Host: "pypi.example", Path: "/simple/foo-bar/"}

// jsonOf makes a page of n files as the public index writes it.
func jsonOf(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"meta":{"_last-serial":31,"api-version":"1.4"},"name":"foo-bar","versions":["1.0"],"files":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		name := fmt.Sprintf("foo_bar-1.%d-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", i)
		hash := fetchtest.SHA256([]byte(name))
		fmt.Fprintf(&b, `{"core-metadata":{"sha256":"%s"},"data-dist-info-metadata":{"sha256":"%s"},"filename":"%s","hashes":{"sha256":"%s"},"provenance":null,"requires-python":">=3.9","size":%d,"upload-time":"2026-01-02T03:04:05.678901Z","url":"https://files.example/packages/%s/%s/%s/%s","yanked":false}`,
			hash, hash, name, hash, 1000+i, hash[:2], hash[2:4], hash[4:], name)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

func htmlOf(n int) []byte {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html><html><head><meta name=\"pypi:repository-version\" content=\"1.4\"></head><body>\n")
	for i := range n {
		name := fmt.Sprintf("foo_bar-1.%d-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", i)
		hash := fetchtest.SHA256([]byte(name))
		fmt.Fprintf(&b, "<a href=\"https://files.example/packages/%s/%s/%s/%s#sha256=%s\" data-requires-python=\"&gt;=3.9\" data-core-metadata=\"sha256=%s\">%s</a><br />\n",
			hash[:2], hash[2:4], hash[4:], name, hash, hash, name)
	}
	b.WriteString("</body></html>\n")
	return []byte(b.String())
}

func benchmarkPage(b *testing.B, page []byte, read func([]byte) (catalog.Listing, error)) {
	b.ReportAllocs()
	b.SetBytes(int64(len(page)))
	start := cpu()
	for b.Loop() {
		l, err := read(page)
		if err != nil || len(l.Offers) != 1000 {
			b.Fatal(len(l.Offers), err)
		}
	}
	b.ReportMetric(float64((cpu()-start).Nanoseconds())/float64(b.N)/1000, "cpu-ns/file")
}

func BenchmarkReadJSON(b *testing.B) {
	benchmarkPage(b, jsonOf(1000), func(p []byte) (catalog.Listing, error) { return fetch.ReadJSON(p, base) })
}

func BenchmarkReadHTML(b *testing.B) {
	benchmarkPage(b, htmlOf(1000), func(p []byte) (catalog.Listing, error) { return fetch.ReadHTML(p, "utf-8", base) })
}

// A page that the tree builder gives up on.
func BenchmarkReadHTMLUnclosed(b *testing.B) {
	page := []byte(strings.Replace(string(htmlOf(1000)), "<body>", "<body>"+strings.Repeat("<div>", 600), 1))
	benchmarkPage(b, page, func(p []byte) (catalog.Listing, error) { return fetch.ReadHTML(p, "utf-8", base) })
}

// BenchmarkDownload measures files a second and bytes a second, the server in
// the same process included.
func BenchmarkDownload(b *testing.B) {
	for _, size := range []int{1000, 216_000, 200_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			data := fetchtest.Bytes(size, 9)
			srv := fetchtest.New(b, fetchtest.File{Project: "a", Filename: "a-1.0.tar.gz", Data: data})
			src := open(b, srv.URL+fetchtest.Index, func(u *fetch.Upstream, o *fetch.Options) {
				u.Timeout, o.StallTime, o.MaxFile = 0, 0, 0
			})
			o := list(b, src, "a").Offers[0]
			dir := b.TempDir()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			start := cpu()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range min(8, max(2, 100_000_000/size)) {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						dest := filepath.Join(dir, fmt.Sprint(i))
						if _, err := src.Download(b.Context(), o, dest); err != nil {
							b.Error(err)
							return
						}
						if size > 1000 {
							os.Remove(dest)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "files/s")
			b.ReportMetric(float64((cpu()-start).Microseconds())/float64(b.N), "cpu-µs/file")
		})
	}
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
