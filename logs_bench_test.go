package nestgen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/record"
	"nestgen/tilelog"
)

// BenchmarkLogMillion is what the log of a million events costs, each of which lists a
// file: to take them into the log, from rows of the catalog to tiles in it; to prove one;
// and to read all that is published of it and to replay it, as somebody outside does. The
// library's floor for the same leaves is in the benchmarks of package tilelog.
func BenchmarkLogMillion(b *testing.B) {
	const million, each = 1_000_000, 1000
	w := newWorld(b)
	if err := os.MkdirAll(w.State, 0o700); err != nil {
		b.Fatal(err)
	}
	c, err := catalog.Open(w.catalogFile())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	update := func(f func(tx *catalog.Tx) error) {
		b.Helper()
		if err := c.Update(b.Context(), Now(), f); err != nil {
			b.Fatal(err)
		}
	}
	rnd := rand.New(rand.NewPCG(5, 5))
	for i := range million / each {
		n := packaging.Name(fmt.Sprintf("project-%03d", i))
		files := make([]catalog.File, each)
		for j := range files {
			f := &files[j]
			*f = catalog.File{
				Project: n, Filename: fmt.Sprintf("project_%03d-1.%d-py3-none-any.whl", i, j), Spelling: fmt.Sprintf("project_%03d", i),
				Version: fmt.Sprintf("1.%d", j), Kind: packaging.Wheel, Size: 123456 + int64(j), Announced: true,
				RequiresPython: ">=3.9", Uploaded: 1795306352123456, Source: "pypi", URL: "https://files.example.org/" + fmt.Sprint(i, "/", j),
			}
			for k := 0; k < len(f.SHA256); k += 8 {
				x := rnd.Uint64()
				for l := range 8 {
					f.SHA256[k+l] = byte(x >> (8 * l))
				}
			}
			f.Metadata, f.Path = f.SHA256, layout.File(f.SHA256, f.Filename)
		}
		update(func(tx *catalog.Tx) error {
			if err := tx.Claim(n, string(n), "pypi"); err != nil {
				return err
			}
			_, _, err := tx.Announce(n, "pypi", files, "allowlist.txt:1")
			return err
		})
	}
	// On a machine that others use the time of the processors says more.
	cpu := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	measure := func(name string, n int64, f func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			used := time.Duration(0)
			for range b.N {
				before := cpu()
				f(b)
				used += cpu() - before
			}
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/float64(n), "cpu-ns/event")
		})
	}
	s := &site{Config: w.Config, catalog: c}
	s.PublishLog = false // the catalog alone

	update(func(tx *catalog.Tx) error { return extendLogs(tx) })
	measure("append", million, func(b *testing.B) {
		update(func(tx *catalog.Tx) error {
			if err := tx.SetLogSize(catalog.Events, 0); err != nil { // as before the first time
				return err
			}
			return extendLogs(tx)
		})
	})
	// Of that, the rows as leaves: what remains is hashes, tiles and the transaction.
	measure("leaves", million, func(b *testing.B) {
		var enc record.Encoder
		for r, err := range c.Records(b.Context(), 0, million) {
			if err != nil {
				b.Fatal(err)
			}
			if _, err := enc.Encode(&r); err != nil {
				b.Fatal(err)
			}
		}
	})
	measure("append one", 1, func(b *testing.B) {
		update(func(tx *catalog.Tx) error {
			if _, err := tx.Note(catalog.Snapshot, "", "benchmark"); err != nil {
				return err
			}
			return extendLogs(tx)
		})
	})
	measure("prove", 1, func(b *testing.B) {
		if _, err := s.include(b.Context(), 1+rnd.Int64N(million)); err != nil {
			b.Fatal(err)
		}
	})

	size, root, err := s.logRoot(b.Context(), catalog.Events)
	if err != nil {
		b.Fatal(err)
	}
	published := map[string][]byte{}
	var bytes int64
	for t := range tilelog.All(size) {
		data, err := s.tile(b.Context(), catalog.Events, t)
		if err != nil {
			b.Fatal(err)
		}
		published[t.Path()] = append([]byte(nil), data...)
		bytes += int64(len(data))
	}
	fetch := func(_ context.Context, path string) ([]byte, error) { return published[path], nil }
	checkpoint := tilelog.Checkpoint{Origin: "benchmark", Size: size, Root: root}
	measure("verify", size, func(b *testing.B) {
		if err := tilelog.Verify(b.Context(), fetch, checkpoint, nil); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(bytes)/float64(size), "bytes/event")
	})
	measure("verify and replay", size, func(b *testing.B) {
		pasts := map[packaging.Name]*catalog.Past{}
		err := tilelog.Verify(b.Context(), fetch, checkpoint, func(_ int64, leaf []byte) error {
			r, err := record.Decode(leaf)
			if err != nil || r.Project == "" {
				return err
			}
			if pasts[r.Project] == nil {
				pasts[r.Project] = catalog.NewPast(r.Project)
			}
			pasts[r.Project].Apply(&r)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	})
}
