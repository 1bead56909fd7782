package tilelog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A published is a log as it is served: files by path.
type published map[string][]byte

// publish gives the files of the log of the first records, and its checkpoint.
func publish(t testing.TB, size int64) (published, Checkpoint) {
	t.Helper()
	s, site := newStored(t, size), published{}
	for tile := range All(size) {
		site[tile.Path()] = fileOf(t, s, tile)
	}
	root, err := Root(size, s)
	if err != nil {
		t.Fatal(err)
	}
	return site, Checkpoint{Origin: origin, Size: size, Root: root}
}

// fileOf gives the bytes of a file of the log.
func fileOf(t testing.TB, s stored, tile Tile) (data []byte) {
	t.Helper()
	if tile.Level != EntriesLevel {
		data, err := s.Tile(tile.Level, tile.N)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(data[:tile.Limit()])
	}
	var err error
	for i := range int64(tile.Width) {
		if data, err = AppendEntry(data, record(tile.N*TileWidth+i)); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

func (p published) fetch(_ context.Context, path string) ([]byte, error) {
	data, ok := p[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

// A log that is right is read from end to end, and its records come in order.
func TestVerify(t *testing.T) {
	for _, size := range []int64{0, 1, 2, 255, 256, 257, 512, 1000, 65535, 65536, 65537, 66_000} {
		site, c := publish(t, size)
		var mu sync.Mutex
		fetched := map[string]int{}
		next := int64(0)
		err := Verify(t.Context(), func(ctx context.Context, path string) ([]byte, error) {
			mu.Lock()
			fetched[path]++
			mu.Unlock()
			return site.fetch(ctx, path)
		}, c, func(i int64, r []byte) error {
			if i != next || !bytes.Equal(r, record(i)) {
				t.Fatalf("%d leaves: record %d is given as %d: %q", size, next, i, r)
			}
			next++
			return nil
		})
		if err != nil || next != size {
			t.Fatalf("%d leaves: %v after %d records", size, err, next)
		}
		for path := range site {
			if fetched[path] != 1 {
				t.Errorf("%d leaves: %s was fetched %d times", size, path, fetched[path])
			}
		}
		if len(fetched) != len(site) {
			t.Errorf("%d leaves: %d files fetched of %d", size, len(fetched), len(site))
		}
		if err := Verify(t.Context(), site.fetch, c, nil); err != nil {
			t.Errorf("%d leaves, without looking at the records: %v", size, err)
		}
	}
}

// blamed checks that Verify finds the file at that path to be wrong.
func blamed(t *testing.T, site published, c Checkpoint, path, what string) {
	t.Helper()
	var wrong *FileError
	if err := Verify(t.Context(), site.fetch, c, nil); !errors.As(err, &wrong) || wrong.Path != path || !strings.HasPrefix(err.Error(), path+": ") {
		t.Fatalf("%s of %s: %v", what, path, err)
	}
}

// Every byte of every file of a small log is changed, and the file named each time; so it
// is when it ends early, or goes on.
func TestEveryByteOfALog(t *testing.T) {
	for _, size := range []int64{1, 13, 300} {
		site, c := publish(t, size)
		for path, data := range site {
			good := slices.Clone(data)
			for i := range data {
				data[i] ^= 1 << (i % 8)
				blamed(t, site, c, path, fmt.Sprintf("byte %d", i))
				data[i] = good[i]
			}
			for _, cut := range []int{0, 1, len(good) / 2, len(good) - 1} {
				site[path] = good[:cut]
				blamed(t, site, c, path, "an early end")
			}
			site[path] = append(slices.Clone(good), 0)
			blamed(t, site, c, path, "a byte more")
			site[path] = append(slices.Clone(good), make([]byte, hashSize)...)
			blamed(t, site, c, path, "a hash more")
			site[path] = data
		}
	}
}

// Of larger logs a byte of each of many files is changed at random, and the file named
// each time.
func TestRandomBytesOfLargeLogs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for _, size := range []int64{256, 512, 65_536, 66_000} {
		site, c := publish(t, size)
		for tile := range All(size) {
			if tile.Level <= 0 && tile.Width == TileWidth && rnd.IntN(40) > 0 && size > 512 {
				continue
			}
			path := tile.Path()
			data := site[path]
			i, change := rnd.IntN(len(data)), byte(1+rnd.IntN(255))
			data[i] ^= change
			blamed(t, site, c, path, fmt.Sprintf("byte %d", i))
			data[i] ^= change
		}
		if err := Verify(t.Context(), site.fetch, c, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// A log that is right in itself, but another one than the checkpoint says, is found at
// the checkpoint.
func TestAnotherLog(t *testing.T) {
	for _, size := range []int64{1, 256, 300} {
		site, c := publish(t, size)
		c.Root[5]++
		blamed(t, site, c, "checkpoint", "the root")
	}
	site, c := publish(t, 10)
	c.Size = 0
	if err := Verify(t.Context(), site.fetch, c, nil); err == nil {
		t.Error("a checkpoint that cannot be is taken")
	}
	c.Size = 9
	if err := Verify(t.Context(), site.fetch, c, nil); err == nil {
		t.Error("a checkpoint of another size is taken")
	}
}

// Proofs can be made of what is served, with the files that each needs; and a file that is
// too short is named.
func TestServed(t *testing.T) {
	const size = 66_000
	lib := newLibrary(size)
	site, c := publish(t, size)
	tiles := Served(t.Context(), site.fetch, size)
	for _, i := range []int64{0, 255, 256, 65_535, 65_536, size - 1} {
		proof, err := ProveRecord(size, i, tiles)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckRecord(proof, size, c.Root, i, LeafHash(record(i))); err != nil {
			t.Error(err)
		}
	}
	for _, old := range []int64{0, 1, 300, 65_536, 65_900, size} {
		proof, err := ProveTree(size, old, tiles)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckTree(proof, size, c.Root, old, lib.root(old)); err != nil {
			t.Error(err)
		}
	}
	// A checkpoint of before, when the tiles were narrower than those that are there now.
	if root, err := Root(300, Served(t.Context(), site.fetch, 300)); err != nil || root != lib.root(300) {
		t.Errorf("the root of 300 leaves: %s, %v", root, err)
	}
	for _, at := range [][2]int64{{-1, 0}, {0, -1}, {0, 258}, {3, 0}} {
		if _, err := tiles.Tile(int(at[0]), at[1]); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("tile %d of level %d: %v", at[1], at[0], err)
		}
	}
	site["tile/0/000"] = site["tile/0/000"][:100]
	var wrong *FileError
	if _, err := ProveRecord(size, 5, tiles); !errors.As(err, &wrong) || wrong.Path != "tile/0/000" || err.Error() != wrong.Error() {
		t.Errorf("a tile of 100 bytes: %v", err)
	}
}

// A file that is not there or cannot be read is told with its path and the reason.
func TestVerifyCannotFetch(t *testing.T) {
	site, c := publish(t, 66_000)
	for _, path := range []string{"tile/2/000.p/1", "tile/1/000", "tile/0/100", "tile/0/257.p/208", "tile/entries/000", "tile/entries/257.p/208"} {
		data := site[path]
		delete(site, path)
		err := Verify(t.Context(), site.fetch, c, nil)
		if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("without %s: %v", path, err)
		}
		site[path] = data

		refused := errors.New("connection refused")
		err = Verify(t.Context(), func(ctx context.Context, p string) ([]byte, error) {
			if p == path {
				return nil, refused
			}
			return site.fetch(ctx, p)
		}, c, nil)
		if !errors.Is(err, refused) || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s refused: %v", path, err)
		}
	}
}

// While a log grows, partial tiles of the checkpoint that is being verified give way to
// the full ones, which do as well.
func TestVerifyWhileTheLogGrows(t *testing.T) {
	_, c := publish(t, 300)
	site, _ := publish(t, 65_536+5)
	records := 0
	err := Verify(t.Context(), site.fetch, c, func(int64, []byte) error { records++; return nil })
	if err != nil || records != 300 {
		t.Fatalf("%v after %d records", err, records)
	}
	for _, path := range []string{"tile/0/001", "tile/1/000", "tile/entries/001"} {
		good := site[path]
		site[path] = slices.Clone(good)
		site[path][9] ^= 0x10
		blamed(t, site, c, path, "byte 9")
		site[path] = good[:64]
		blamed(t, site, c, path, "an early end")
		site[path] = good
	}
}

// Where neither the partial tile nor the full one can be had, what stands in the way of
// either is told.
func TestVerifyCannotFetchInstead(t *testing.T) {
	site, c := publish(t, 300)
	refused := errors.New("connection refused")
	for _, partial := range []string{"tile/0/001.p/44", "tile/entries/001.p/44"} {
		full, _, _ := strings.Cut(partial, ".p/")
		err := Verify(t.Context(), func(ctx context.Context, path string) ([]byte, error) {
			switch path {
			case partial:
				return nil, fs.ErrNotExist
			case full:
				return nil, refused
			}
			return site.fetch(ctx, path)
		}, c, nil)
		if !errors.Is(err, refused) || !strings.HasPrefix(err.Error(), full+": ") {
			t.Errorf("%s: %v", partial, err)
		}
	}
	// So it is while the tile to blame is looked for.
	delete(site, "tile/0/000")
	c.Root[0]++
	if err := Verify(t.Context(), site.fetch, c, nil); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "tile/0/000: ") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// An error about a record ends it, and comes back as it is; so does the end of a context.
func TestVerifyEnds(t *testing.T) {
	site, c := publish(t, 3000)
	mine := errors.New("not JSON")
	seen := int64(0)
	err := Verify(t.Context(), site.fetch, c, func(i int64, _ []byte) error {
		if seen = i; i == 777 {
			return mine
		}
		return nil
	})
	if err != mine || seen != 777 {
		t.Errorf("%v at record %d", err, seen)
	}

	ctx, cancel := context.WithCancel(t.Context())
	err = Verify(ctx, site.fetch, c, func(i int64, _ []byte) error {
		if i == 5 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// Several files are fetched at once, but never more than a few; and none after the end.
func TestVerifyFetchesAhead(t *testing.T) {
	site, c := publish(t, 10_000)
	var now, most, calls atomic.Int64
	together := make(chan struct{}) // closed once several fetches run at once
	var once sync.Once
	fetch := func(ctx context.Context, path string) ([]byte, error) {
		calls.Add(1)
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if strings.HasPrefix(path, "tile/entries/") {
			if n >= 4 {
				once.Do(func() { close(together) })
			}
			<-together
		}
		return site.fetch(ctx, path)
	}
	stop := errors.New("stop")
	err := Verify(t.Context(), fetch, c, func(i int64, _ []byte) error {
		if i == 2000 {
			return stop
		}
		return nil
	})
	if err != stop || now.Load() != 0 || most.Load() > inFlight+1 {
		t.Errorf("%v, %d fetches still run, %d ran at once", err, now.Load(), most.Load())
	}
	if n := calls.Load(); n >= int64(len(site)) {
		t.Errorf("%d of %d files were fetched to read the first part", n, len(site))
	}
}
