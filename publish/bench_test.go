package publish_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"nestgen/publish"
)

// The size of the set of 100,000 files in docs/performance.md. Run it in a
// fresh ext4 (TMPDIR=/mnt/clean go test -bench . -benchtime 1x ./publish).
const (
	benchProjects = 4670
	benchPage     = 7500 // bytes
)

// cpu gives the seconds this process has used.
func cpu() float64 {
	var ru syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return float64(ru.Utime.Sec+ru.Stime.Sec) + float64(ru.Utime.Usec+ru.Stime.Usec)/1e6
}

func benchPublish(b *testing.B, tree *publish.Tree, generation int) publish.Stats {
	html := bytes.Repeat([]byte{byte('a' + generation)}, benchPage)
	pages := begin(b, tree)
	for i := range benchProjects {
		for _, name := range []string{"index.html", "index.v1_json"} {
			if err := pages.Put(fmt.Sprintf("simple/project-%d/%s", i, name), html); err != nil {
				b.Fatal(err)
			}
		}
	}
	stats, err := end(pages)
	if err != nil {
		b.Fatal(err)
	}
	return stats
}

func BenchmarkPublish(b *testing.B) {
	kinds := []struct {
		name        string
		generations []int
	}{
		{"first", nil},
		{"unchanged", []int{0}},
		{"all changed", []int{1}},
	}
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				dir, err := os.MkdirTemp("", "bench")
				if err != nil {
					b.Fatal(err)
				}
				tree, err := publish.Open(publish.Options{Site: filepath.Join(dir, "site"), State: filepath.Join(dir, "state")})
				if err != nil {
					b.Fatal(err)
				}
				for _, g := range k.generations {
					benchPublish(b, tree, g)
				}
				runtime.GC()
				b.StartTimer()
				was := cpu()
				stats := benchPublish(b, tree, 0)
				b.ReportMetric(cpu()-was, "cpu-s")
				b.ReportMetric(float64(stats.Written), "pages")
				b.StopTimer()
				tree.Close()
				os.RemoveAll(dir)
				b.StartTimer()
			}
		})
	}
}
