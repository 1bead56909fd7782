package nestgen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

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
	ns := func(b *testing.B, n int, unit string) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), unit)
	}
	s := &site{Config: w.Config, catalog: c}
	s.PublishLog = false // the catalog alone

	b.Run("append", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			update(func(tx *catalog.Tx) error { return tx.SetLogSize(catalog.Events, 0) })
			b.StartTimer()
			update(extendLogs)
		}
		ns(b, million, "ns/event")
	})
	// Of that, the rows as leaves: what remains is hashes, tiles and the transaction.
	b.Run("leaves", func(b *testing.B) {
		var enc record.Encoder
		var bytes int64
		for range b.N {
			bytes = 0
			for r, err := range c.Records(b.Context(), 0, million) {
				if err != nil {
					b.Fatal(err)
				}
				leaf, err := enc.Encode(&r)
				if err != nil {
					b.Fatal(err)
				}
				bytes += int64(len(leaf))
			}
		}
		ns(b, million, "ns/event")
		b.ReportMetric(float64(bytes)/million, "bytes/event")
	})
	b.Run("append one", func(b *testing.B) {
		for range b.N {
			update(func(tx *catalog.Tx) error {
				if _, err := tx.Note(catalog.Snapshot, "", "benchmark"); err != nil {
					return err
				}
				return extendLogs(tx)
			})
		}
	})
	b.Run("prove", func(b *testing.B) {
		for range b.N {
			if _, err := s.include(b.Context(), 1+rnd.Int64N(million)); err != nil {
				b.Fatal(err)
			}
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
	verify := func(each func() func(int64, []byte) error) func(*testing.B) {
		return func(b *testing.B) {
			for range b.N {
				if err := tilelog.Verify(b.Context(), fetch, checkpoint, each()); err != nil {
					b.Fatal(err)
				}
			}
			ns(b, int(size), "ns/event")
			b.ReportMetric(float64(bytes), "bytes")
		}
	}
	b.Run("verify", verify(func() func(int64, []byte) error { return nil }))
	b.Run("verify and replay", verify(func() func(int64, []byte) error {
		pasts := map[packaging.Name]*catalog.Past{}
		return func(_ int64, leaf []byte) error {
			r, err := record.Decode(leaf)
			if err != nil || r.Project == "" {
				return err
			}
			if pasts[r.Project] == nil {
				pasts[r.Project] = catalog.NewPast(r.Project)
			}
			pasts[r.Project].Apply(&r)
			return nil
		}
	}))
}
