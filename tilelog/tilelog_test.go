package tilelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// record gives record number i of the log that the tests are about. Records differ, and
// one is empty.
func record(i int64) []byte {
	if i == 3 {
		return nil
	}
	return []byte(fmt.Sprintf(`{"serial":%d,"verb":"add"}`, i+1))
}

// leafHashes gives the hashes of records from..to-1.
func leafHashes(from, to int64) []Hash {
	var hashes []Hash
	for i := from; i < to; i++ {
		hashes = append(hashes, LeafHash(record(i)))
	}
	return hashes
}

// stored keeps tiles of hashes as a catalog would: the newest of each.
type stored map[[2]int64][]byte

func (s stored) Tile(level int, n int64) ([]byte, error) {
	data, ok := s[[2]int64{int64(level), n}]
	if !ok {
		return nil, fmt.Errorf("tile %d of level %d: %w", n, level, fs.ErrNotExist)
	}
	return data, nil
}

func (s stored) put(changed []TileData) {
	for _, t := range changed {
		s[[2]int64{int64(t.Level), t.N}] = t.Data
	}
}

// library is a log kept as package tlog keeps it, which is what all is held against.
type library []Hash

func (l *library) append(i int64) {
	hashes, err := tlog.StoredHashesForRecordHash(i, LeafHash(record(i)), l)
	if err != nil {
		panic(err)
	}
	*l = append(*l, hashes...)
}

func (l *library) ReadHashes(indexes []int64) ([]Hash, error) {
	hashes := make([]Hash, len(indexes))
	for i, x := range indexes {
		hashes[i] = (*l)[x]
	}
	return hashes, nil
}

func (l *library) root(size int64) Hash {
	h, err := tlog.TreeHash(size, l)
	if err != nil {
		panic(err)
	}
	return h
}

// newLibrary gives the library's log of the first records.
func newLibrary(size int64) *library {
	l := new(library)
	for i := range size {
		l.append(i)
	}
	return l
}

// newStored gives the tiles of the log of the first records.
func newStored(t testing.TB, size int64) stored {
	t.Helper()
	s := stored{}
	changed, _, err := Append(0, s, leafHashes(0, size))
	if err != nil {
		t.Fatal(err)
	}
	s.put(changed)
	return s
}

// However a log is appended to, its roots and tiles are those of the library.
func TestAppendIsAsTheLibrary(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, run := range []struct {
		name  string
		end   int64
		chunk func() int64
	}{
		{"one by one", 2100, func() int64 { return 1 }},
		{"few", 2100, func() int64 { return rnd.Int64N(7) }},
		{"hundreds", 70_300, func() int64 { return rnd.Int64N(1500) }},
		{"full tiles", 66_000, func() int64 { return 256 }},
		{"at once", 70_000, func() int64 { return 70_000 }},
	} {
		t.Run(run.name, func(t *testing.T) {
			want := newLibrary(run.end)
			s, size := stored{}, int64(0)
			kept, edge := new(Log), []Hash(nil)
			for size < run.end {
				n := min(run.chunk(), run.end-size)
				leaves := leafHashes(size, size+n)

				changed, root, err := Append(size, s, leaves)
				if err != nil {
					t.Fatal(err)
				}
				keptChanged, err := kept.Append(leaves)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.EqualFunc(changed, keptChanged, func(a, b TileData) bool {
					return a.Tile == b.Tile && string(a.Data) == string(b.Data)
				}) {
					t.Fatalf("from %d to %d leaves: Append and Log.Append change different tiles", size, size+n)
				}
				var names []Tile
				for _, c := range changed {
					names = append(names, c.Tile)
					data, err := tlog.ReadTileData(tlog.Tile{H: height, L: c.Level, N: c.N, W: c.Width}, want)
					if err != nil || string(c.Data) != string(data) {
						t.Fatalf("from %d to %d leaves: %s is not as the library has it (%v)", size, size+n, c.Path(), err)
					}
				}
				var library []Tile
				for _, l := range tlog.NewTiles(height, size, size+n) {
					library = append(library, Tile{l.L, l.N, l.W})
				}
				if !slices.Equal(names, library) {
					t.Fatalf("from %d to %d leaves: changed %v, the library %v", size, size+n, names, library)
				}
				s.put(changed)

				var extended Hash
				if extended, edge, err = Extend(size, edge, leaves); err != nil {
					t.Fatal(err)
				}
				size += n
				if wantRoot := want.root(size); root != wantRoot || kept.Root() != wantRoot || extended != wantRoot || kept.Size() != size {
					t.Fatalf("%d leaves: roots %s, %s and %s, the library's is %s", size, root, kept.Root(), extended, wantRoot)
				}
				if got, err := Edge(size, s); err != nil || !slices.Equal(got, edge) || !slices.Equal(got, kept.Edge()) {
					t.Fatalf("%d leaves: edges %v and %v (%v)", size, got, edge, err)
				}
				if got, err := EdgeRoot(size, edge); err != nil || got != root {
					t.Fatalf("EdgeRoot(%d) = %s, %v, want %s", size, got, err, root)
				}
			}
			// Any earlier size can still be told from the tiles.
			for range 50 {
				n := rnd.Int64N(size + 1)
				if root, err := Root(n, s); err != nil || root != want.root(n) {
					t.Fatalf("Root(%d) = %s, %v, want %s", n, root, err, want.root(n))
				}
			}
		})
	}
}

// What Append and Edge give stays as it is while the log goes on.
func TestWhatAppendGivesStays(t *testing.T) {
	l := new(Log)
	var given []TileData
	var then []string
	for size := int64(0); size < 600; size++ {
		edge := l.Edge()
		clear(edge) // the caller's own
		changed, err := l.Append(leafHashes(size, size+1))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changed {
			given, then = append(given, c), append(then, string(c.Data))
			_ = append(c.Data, "behind"...) // nor is what is behind it the log's
		}
	}
	for i, c := range given {
		if string(c.Data) != then[i] {
			t.Fatalf("%s has changed", c.Path())
		}
	}
	if l.Root() != newLibrary(600).root(600) {
		t.Error("the root is wrong")
	}
}

// Proofs are the library's, of every leaf and every earlier size, and hold; those of
// anything else do not.
func TestProofs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	lib, s := newLibrary(70_000), newStored(t, 70_000)
	sizes := []int64{1, 2, 3, 4, 5, 7, 8, 255, 256, 257, 511, 512, 513, 1000, 65535, 65536, 65537, 65792, 70_000}
	for range 30 {
		sizes = append(sizes, 1+rnd.Int64N(2000), 1+rnd.Int64N(70_000))
	}
	for _, size := range sizes {
		root := lib.root(size)
		for range 20 {
			i := rnd.Int64N(size)
			proof, err := ProveRecord(size, i, s)
			want, _ := tlog.ProveRecord(size, i, lib)
			if err != nil || !slices.Equal(proof, want) {
				t.Fatalf("ProveRecord(%d, %d) = %v, %v, want %v", size, i, proof, err, want)
			}
			leaf := LeafHash(record(i))
			if err := CheckRecord(proof, size, root, i, leaf); err != nil {
				t.Fatal(err)
			}
			wrong := leaf
			wrong[rnd.IntN(hashSize)]++
			if err := CheckRecord(proof, size, root, i, wrong); !errors.Is(err, ErrProof) {
				t.Fatalf("another leaf is proved: %v", err)
			}
			if err := CheckRecord(append(proof, leaf), size, root, i, leaf); !errors.Is(err, ErrProof) {
				t.Fatalf("a longer proof holds: %v", err)
			}
			if len(proof) > 0 {
				proof[rnd.IntN(len(proof))][rnd.IntN(hashSize)]++
				if err := CheckRecord(proof, size, root, i, leaf); !errors.Is(err, ErrProof) {
					t.Fatalf("a changed proof holds: %v", err)
				}
			}
		}
		for range 20 {
			old := rnd.Int64N(size + 1)
			proof, err := ProveTree(size, old, s)
			if err != nil {
				t.Fatal(err)
			}
			if old > 0 {
				if want, _ := tlog.ProveTree(size, old, lib); !slices.Equal(proof, want) {
					t.Fatalf("ProveTree(%d, %d) = %v, want %v", size, old, proof, want)
				}
			}
			oldRoot := lib.root(old)
			if err := CheckTree(proof, size, root, old, oldRoot); err != nil {
				t.Fatal(err)
			}
			wrong := oldRoot
			wrong[rnd.IntN(hashSize)]++
			if err := CheckTree(proof, size, root, old, wrong); !errors.Is(err, ErrProof) {
				t.Fatalf("from %d to %d: another old root is proved: %v", old, size, err)
			}
			if len(proof) > 0 {
				proof[rnd.IntN(len(proof))][rnd.IntN(hashSize)]++
				if err := CheckTree(proof, size, root, old, oldRoot); !errors.Is(err, ErrProof) {
					t.Fatalf("from %d to %d: a changed proof holds: %v", old, size, err)
				}
			}
		}
	}
}

// A Prover that forgets what it has read proves the same.
func TestProverForgets(t *testing.T) {
	lib, s := newLibrary(3000), newStored(t, 3000)
	p, err := NewProver(3000, s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(maxTrees) { // as if it had read as much as it may
		p.trees[Tile{0, 1<<40 + i, TileWidth}] = nil
	}
	proof, err := p.Record(1234)
	want, _ := tlog.ProveRecord(3000, 1234, lib)
	if err != nil || !slices.Equal(proof, want) || len(p.trees) > maxTrees {
		t.Fatalf("Record(1234) = %v, %v with %d tiles kept", proof, err, len(p.trees))
	}
}

// What cannot be is told, and neither read nor computed.
func TestImpossible(t *testing.T) {
	s := newStored(t, 1000)
	short := TilesFunc(func(int, int64) ([]byte, error) { return make([]byte, hashSize), nil })
	odd := TilesFunc(func(int, int64) ([]byte, error) { return make([]byte, 250*hashSize+1), nil })
	empty, none := Hash(emptyHash), Hash{}
	call := func(_ any, err error) error { return err }
	for _, tt := range []struct {
		name string
		err  error
		want string // in the error
	}{
		{"negative size", call(Root(-1, s)), "log of -1 leaves"},
		{"huge size", call(Root(MaxSize+1, s)), "not 0 to"},
		{"negative size to load", call(Load(-1, s)), "log of -1 leaves"},
		{"huge size to prove", call(ProveRecord(1<<62+1, 1, s)), "not 0 to"},
		{"huge size to prove a tree", call(ProveTree(1<<62+1, 1, s)), "not 0 to"},
		{"huge size to check", CheckRecord(nil, 1<<62+1, none, 0, none), "not 0 to"},
		{"huge size to check a tree", CheckTree(nil, 1<<62+1, none, 1, none), "not 0 to"},
		{"no tiles", call(Root(1000, stored{})), "tile 3 of level 0: file does not exist"},
		{"short tile", call(Root(10, short)), "tile/0/000.p/10: has 32 bytes, 320 are needed"},
		{"half a hash", call(Edge(10, odd)), "tile/0/000.p/10: has 8001 bytes"},
		{"short tile in a proof", call(ProveRecord(1000, 5, short)), "has 32 bytes"},
		{"no such leaf", call(ProveRecord(1000, 1000, s)), "has no leaf 1000"},
		{"negative leaf", call(ProveRecord(1000, -1, s)), "has no leaf -1"},
		{"leaf of nothing", call(ProveRecord(0, 0, s)), "has no leaf 0"},
		{"check no such leaf", CheckRecord(nil, 5, none, 5, none), "has no leaf 5"},
		{"older is larger", call(ProveTree(10, 11, s)), "had no 11 leaves"},
		{"check older is larger", CheckTree(nil, 10, none, 11, none), "had no 11 leaves"},
		{"negative older", call(ProveTree(10, -1, s)), "had no -1 leaves"},
		{"nothing of another root", CheckTree(nil, 10, none, 0, none), "does not hold"},
		{"nothing with a proof", CheckTree([]Hash{none}, 10, none, 0, empty), "does not hold"},
		{"nothing after nothing", CheckTree(nil, 0, none, 0, empty), "does not hold"},
		{"edge too short", call(EdgeRoot(3, []Hash{none})), "1 hashes, not 2"},
		{"edge too long", call(EdgeRoot(0, []Hash{none})), "1 hashes, not 0"},
		{"huge edge", call(EdgeRoot(-1, make([]Hash, 64))), "not 0 to"},
	} {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, tt.err, tt.want)
		}
	}
	if _, _, err := Extend(3, []Hash{none}, nil); err == nil {
		t.Error("Extend takes an edge that is too short")
	}
	full := make([]Hash, bits.OnesCount64(MaxSize))
	if _, _, err := Extend(MaxSize, full, make([]Hash, 1)); err == nil {
		t.Error("Extend makes a log that is too large")
	}
	l := &Log{size: MaxSize, edge: full}
	if _, err := l.Append(make([]Hash, 1)); err == nil || l.Size() != MaxSize {
		t.Errorf("Append makes a log that is too large: %v", err)
	}
	if _, _, err := Append(-1, s, nil); err == nil {
		t.Error("Append takes a negative size")
	}
	if root, err := Root(0, stored{}); err != nil || root != empty {
		t.Errorf("Root(0) = %s, %v", root, err)
	}
	if err := CheckTree(nil, 0, empty, 0, empty); err != nil {
		t.Error(err)
	}
}

func TestTilePaths(t *testing.T) {
	for _, tt := range []struct {
		tile Tile
		path string
	}{
		// C2SP tlog-tiles: index 1234067, and the tree of 70,000 leaves.
		{Tile{0, 1234067, 256}, "tile/0/x001/x234/067"},
		{Tile{0, 273, 112}, "tile/0/273.p/112"},
		{Tile{1, 1, 17}, "tile/1/001.p/17"},
		{Tile{2, 0, 1}, "tile/2/000.p/1"},
		{Tile{0, 1067, 256}, "tile/0/x001/067"},
		{Tile{0, 1067, 13}, "tile/0/x001/067.p/13"},
		{Tile{EntriesLevel, 1067, 13}, "tile/entries/x001/067.p/13"},
		{Tile{EntriesLevel, 0, 256}, "tile/entries/000"},
		{Tile{63, 999, 255}, "tile/63/999.p/255"},
		{Tile{0, 1<<63 - 1, 256}, "tile/0/x009/x223/x372/x036/x854/x775/807"},
	} {
		if got := tt.tile.Path(); got != tt.path {
			t.Errorf("%+v.Path() = %q, want %q", tt.tile, got, tt.path)
		}
		if got, err := ParseTile(tt.path); err != nil || got != tt.tile {
			t.Errorf("ParseTile(%q) = %+v, %v, want %+v", tt.path, got, err, tt.tile)
		}
	}
	for _, path := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/+0/000",
		"tile/-1/000", "tile/64/000", "tile/data/000", "tile/8/0/000", "tile/entries", "tile/entries/", "tile/entries/data/000",
		"tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/", "tile/0/000.p", "tile/0/000.p/1/", "tile/0/000.p/-1",
		"tile/0/x000/000", "tile/0/001/000", "tile/0/x001/x000", "tile/0/X001/000", "tile/0/000/", "/tile/0/000", "tile//0/000",
		"tile/0/../000", "tile/0/000 ", "tile/0/000\n", "tile/0/x009/x223/x372/x036/x854/x775/808",
		"tile/0/x018/x446/x744/x073/x709/x551/616", "tile/0/" + strings.Repeat("x001/", 10000) + "000", "checkpoint",
	} {
		if tile, err := ParseTile(path); err == nil {
			t.Errorf("ParseTile(%.50q) = %+v", path, tile)
		} else if len(err.Error()) > 200 {
			t.Errorf("ParseTile(%.50q): an error of %d bytes", path, len(err.Error()))
		}
	}
}

func FuzzParseTile(f *testing.F) {
	for _, s := range []string{"tile/0/x001/067.p/13", "tile/entries/000", "tile/63/x001/x234/067", "tile/data/000", "tile/0/x000/001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		tile, err := ParseTile(path)
		if err == nil && (tile.Path() != path || tile.Width < 1 || tile.Width > 256 || tile.Level < -1 || tile.Level > 63 || tile.N < 0) {
			t.Errorf("ParseTile(%q) = %+v", path, tile)
		}
	})
}

// A tree of 70,000 leaves has the tiles that the standard says.
func TestAll(t *testing.T) {
	got := map[int][2]int{} // by level: full tiles, width of the partial one
	for tile := range All(70_000) {
		l := got[tile.Level]
		if tile.Width == TileWidth {
			l[0]++
		} else {
			l[1] = tile.Width
		}
		got[tile.Level] = l
	}
	want := map[int][2]int{-1: {273, 112}, 0: {273, 112}, 1: {1, 17}, 2: {0, 1}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("tiles of 70,000 leaves: %v, want %v", got, want)
	}
	for tile := range All(0) {
		t.Errorf("an empty log has %s", tile.Path())
	}
	for range All(70_000) {
		break // must not go on
	}
}

// A site that writes what Published says, and keeps the partial tiles of the last two sizes,
// serves every file of the log as it is and as it was before.
func TestPublishedAndPartial(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	site := map[string]bool{}
	size := int64(0)
	for range 250 {
		old := size
		size += rnd.Int64N(600) * rnd.Int64N(2)
		for _, tile := range Published(old, size) {
			if site[tile.Path()] {
				t.Fatalf("from %d to %d leaves: %s is written again", old, size, tile.Path())
			}
			site[tile.Path()] = true
		}
		keep := map[string]bool{}
		for _, tile := range slices.Concat(Partial(old), Partial(size)) {
			if tile.Width >= TileWidth || tile.Width < 1 {
				t.Errorf("%d leaves: %s is a partial tile", size, tile.Path())
			}
			keep[tile.Path()] = true
		}
		for path := range site {
			if tile, err := ParseTile(path); err != nil {
				t.Fatal(err)
			} else if tile.Width < TileWidth && !keep[path] {
				delete(site, path)
			}
		}
		for _, s := range []int64{old, size} {
			for tile := range All(s) {
				if !site[tile.Path()] {
					t.Fatalf("%d leaves: %s, of the checkpoint of %d, is not there", size, tile.Path(), s)
				}
			}
		}
		var last []string
		for tile := range All(size) {
			if next := (Tile{tile.Level, tile.N + 1, 1}); width(size, next.Level, next.N) == 0 {
				last = append(last, tile.full().Path())
			}
		}
		for i, tile := range Last(size) {
			if i >= len(last) || tile.Path() != last[i] {
				t.Errorf("%d leaves: Last() has %s, want %q", size, tile.Path(), last)
			}
		}
	}
	if got := Published(1000, 1000); got != nil {
		t.Errorf("nothing new, but published: %v", got)
	}
}

func TestEntries(t *testing.T) {
	var b []byte
	var want [][]byte
	for i, n := range []int{0, 1, 300, MaxRecord, 7} {
		r := slices.Repeat([]byte{byte(i)}, n)
		want = append(want, r)
		var err error
		if b, err = AppendEntry(b, r); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := AppendEntry(b, make([]byte, MaxRecord+1)); err == nil || len(got) != len(b) {
		t.Errorf("a record of 65,536 bytes is taken: %v", err)
	}
	got, err := Entries(b, len(want))
	if err != nil || !slices.EqualFunc(got, want, slices.Equal) {
		t.Fatalf("Entries = %d records, %v", len(got), err)
	}
	if limit := (Tile{EntriesLevel, 0, len(want)}).Limit(); len(b) > limit {
		t.Errorf("a bundle of %d bytes is more than the limit of %d", len(b), limit)
	}
	for _, width := range []int{-1, 0, 4, 6, 256, 257} {
		if _, err := Entries(b, width); err == nil {
			t.Errorf("%d records are read from a bundle of %d", width, len(want))
		}
	}
	if _, err := Entries(append(b, 0), len(want)); err == nil {
		t.Error("a byte after the last record is passed over")
	}
	small := []byte("\x00\x02ab\x00\x01c")
	for cut := range small {
		if _, err := Entries(small[:cut], 2); err == nil {
			t.Errorf("a bundle that is cut off after %d bytes is read", cut)
		}
	}
}

func FuzzEntries(f *testing.F) {
	f.Add([]byte("\x00\x02ab\x00\x01c"), 2)
	f.Add([]byte("\x00\x00\x00\x00"), 2)
	f.Add([]byte("\xff\xff"), 1)
	f.Add(binary.BigEndian.AppendUint16(nil, 1), 256)
	f.Fuzz(func(t *testing.T, data []byte, width int) {
		records, err := Entries(data, width)
		if err != nil {
			return
		}
		var again []byte
		for _, r := range records {
			if again, err = AppendEntry(again, r); err != nil {
				t.Fatal(err)
			}
		}
		if len(records) != width || string(again) != string(data) {
			t.Errorf("Entries(%q, %d) = %q", data, width, records)
		}
	})
}
