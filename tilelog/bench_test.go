package tilelog

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// The figures are about a log of a million leaves, beside what package tlog takes for the
// same with all hashes in memory. One operation of BenchmarkAppend* is the whole log.
const million = 1_000_000

// millionLeaves gives the hashes of a million records.
var millionLeaves = sync.OnceValue(func() []Hash {
	leaves := make([]Hash, million)
	for i := range leaves {
		leaves[i] = sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
	}
	return leaves
})

// millionTiles gives the tiles of that log, millionHashes the library's hashes of it.
var millionTiles = sync.OnceValue(func() stored {
	s := stored{}
	changed, _, err := Append(0, s, millionLeaves())
	if err != nil {
		panic(err)
	}
	s.put(changed)
	return s
})

var millionHashes = sync.OnceValue(func() *library {
	l := make(library, 0, tlog.StoredHashCount(million))
	for i, leaf := range millionLeaves() {
		hashes, err := tlog.StoredHashesForRecordHash(int64(i), leaf, &l)
		if err != nil {
			panic(err)
		}
		l = append(l, hashes...)
	}
	return &l
})

func report(b *testing.B, each float64) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/each, "ns/leaf")
}

// All at once, from tiles to tiles.
func BenchmarkAppendAtOnce(b *testing.B) {
	leaves := millionLeaves()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Append(0, stored{}, leaves); err != nil {
			b.Fatal(err)
		}
	}
	report(b, million)
}

// In parts of a thousand, each from the stored tiles.
func BenchmarkAppendThousands(b *testing.B) {
	leaves := millionLeaves()
	b.ReportAllocs()
	for b.Loop() {
		s := stored{}
		for i := 0; i < million; i += 1000 {
			changed, _, err := Append(int64(i), s, leaves[i:i+1000])
			if err != nil {
				b.Fatal(err)
			}
			s.put(changed)
		}
	}
	report(b, million)
}

// One leaf at a time with a root after each, by one who keeps the Log.
func BenchmarkAppendSinglyKept(b *testing.B) {
	leaves := millionLeaves()
	b.ReportAllocs()
	for b.Loop() {
		l := new(Log)
		for i := range leaves {
			if _, err := l.Append(leaves[i : i+1]); err != nil {
				b.Fatal(err)
			}
			l.Root()
		}
	}
	report(b, million)
}

// One leaf, with the root, from the stored tiles of a log of 999,999.
func BenchmarkAppendOne(b *testing.B) {
	s, leaf := millionTiles(), millionLeaves()[million-1:]
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Append(million-1, s, leaf); err != nil {
			b.Fatal(err)
		}
	}
}

// The edge alone.
func BenchmarkExtend(b *testing.B) {
	leaves := millionLeaves()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Extend(0, nil, leaves); err != nil {
			b.Fatal(err)
		}
	}
	report(b, million)
}

// The library's floor: all hashes of the tree, in memory, and one root.
func BenchmarkLibraryAppend(b *testing.B) {
	leaves := millionLeaves()
	b.ReportAllocs()
	for b.Loop() {
		l := make(library, 0, tlog.StoredHashCount(million))
		for i, leaf := range leaves {
			hashes, err := tlog.StoredHashesForRecordHash(int64(i), leaf, &l)
			if err != nil {
				b.Fatal(err)
			}
			l = append(l, hashes...)
		}
		l.root(million)
	}
	report(b, million)
}

func BenchmarkProveRecord(b *testing.B) {
	s, rnd := millionTiles(), rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ProveRecord(million, rnd.Int64N(million), s); err != nil {
			b.Fatal(err)
		}
	}
}

// A hundred thousand random leaves by one Prover.
func BenchmarkProver(b *testing.B) {
	s := millionTiles()
	b.ReportAllocs()
	for b.Loop() {
		rnd := rand.New(rand.NewPCG(1, 1))
		p, err := NewProver(million, s)
		if err != nil {
			b.Fatal(err)
		}
		for range 100_000 {
			if _, err := p.Record(rnd.Int64N(million)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/proof")
}

func BenchmarkLibraryProveRecord(b *testing.B) {
	l, rnd := millionHashes(), rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tlog.ProveRecord(million, rnd.Int64N(million), l); err != nil {
			b.Fatal(err)
		}
	}
}

// tileReader lets the library read tiles, as its clients do.
type tileReader struct{ stored }

func (tileReader) Height() int                     { return height }
func (tileReader) SaveTiles([]tlog.Tile, [][]byte) {}
func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		data, err := r.Tile(t.L, t.N)
		if err != nil {
			return nil, err
		}
		all = append(all, data[:t.W*hashSize])
	}
	return all, nil
}

// The library's own way with tiles, which checks each against the root.
func BenchmarkLibraryProveRecordFromTiles(b *testing.B) {
	s, rnd := millionTiles(), rand.New(rand.NewPCG(1, 1))
	root, err := Root(million, s)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r := tlog.TileHashReader(tlog.Tree{N: million, Hash: root}, tileReader{s})
		if _, err := tlog.ProveRecord(million, rnd.Int64N(million), r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckRecord(b *testing.B) {
	s := millionTiles()
	root, err := Root(million, s)
	if err != nil {
		b.Fatal(err)
	}
	const index = 654_321
	proof, err := ProveRecord(million, index, s)
	if err != nil {
		b.Fatal(err)
	}
	leaf := millionLeaves()[index]
	b.ReportAllocs()
	for b.Loop() {
		if err := CheckRecord(proof, million, root, index, leaf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProveAndCheckTree(b *testing.B) {
	s := millionTiles()
	root, err := Root(million, s)
	if err != nil {
		b.Fatal(err)
	}
	const old = 654_321
	oldRoot, err := Root(old, s)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		proof, err := ProveTree(million, old, s)
		if err != nil {
			b.Fatal(err)
		}
		if err := CheckTree(proof, million, root, old, oldRoot); err != nil {
			b.Fatal(err)
		}
	}
}

// Every file of a published log of a million records, in memory.
func BenchmarkVerify(b *testing.B) {
	site, c := publish(b, million)
	b.ReportAllocs()
	for b.Loop() {
		if err := Verify(b.Context(), site.fetch, c, nil); err != nil {
			b.Fatal(err)
		}
	}
	report(b, million)
}

// The library's floor for the same: the hash of each record, all hashes of the tree, and
// the root.
func BenchmarkLibraryVerify(b *testing.B) {
	_, c := publish(b, million)
	records := make([][]byte, million)
	for i := range records {
		records[i] = record(int64(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		l := make(library, 0, tlog.StoredHashCount(million))
		for i, r := range records {
			hashes, err := tlog.StoredHashes(int64(i), r, &l)
			if err != nil {
				b.Fatal(err)
			}
			l = append(l, hashes...)
		}
		if l.root(million) != c.Root {
			b.Fatal("another root")
		}
	}
	report(b, million)
}
