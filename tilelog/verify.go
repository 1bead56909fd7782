package tilelog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"sync"
)

// inFlight is how many files are fetched ahead while Verify looks at one.
const inFlight = 8

// A Fetch gives the bytes of the file at a path below the folder of a log. An error that
// matches [fs.ErrNotExist] means that it is not there. It need not read more than the
// [Tile.Limit] of the path and one byte. Several calls run at once.
type Fetch func(ctx context.Context, path string) ([]byte, error)

// Served gives the tiles of hashes of a published log of that size, so that proofs can be
// made of it without reading it all. It checks nothing: a proof from it has to be checked
// against a checkpoint, as any other.
func Served(ctx context.Context, fetch Fetch, size int64) Tiles {
	return TilesFunc(func(level int, n int64) ([]byte, error) {
		w := width(size, level, n)
		if level < 0 || n < 0 || w == 0 {
			return nil, fmt.Errorf("tile %d of level %d in a log of %d leaves: %w", n, level, size, fs.ErrNotExist)
		}
		f, err := fetch.read(ctx, Tile{level, n, w})
		return f.hashes, err
	})
}

// A FileError says that a file of a published log is not what it has to be.
type FileError struct {
	// Path is the path of the file below the folder of the log.
	Path string

	// Fault says what is wrong with it.
	Fault string
}

func (e *FileError) Error() string { return e.Path + ": " + e.Fault }

// checkpointPath is where the checkpoint of a log is.
const checkpointPath = "checkpoint"

// Verify reads every file of a published log, and checks each against c, which has to be
// trusted: all tiles of hashes, and all bundles of entries. It calls each, if that is not
// nil, with every record in order, once it is known to be the one that c speaks of; an
// error of each ends it all and is returned as it is.
//
// A file that is wrong is told as a [*FileError], which names it: no byte of any file can
// be changed unseen. Where it is the last tiles that do not fit c and none of them is to
// blame, because they agree with what is below them, that is "checkpoint": then the log
// is another one than c speaks of. A file that cannot be fetched is told with its path and
// the error of fetch. Where a log has grown since c, a full tile stands in for a partial
// one that is gone; of that file only what c speaks of is looked at.
//
// It holds one path through the tree and the few files that are fetched ahead.
func Verify(ctx context.Context, fetch Fetch, c Checkpoint, each func(index int64, record []byte) error) error {
	if err := c.check(); err != nil {
		return err
	}
	v := &verification{fetch: fetch, size: c.Size}
	if err := v.readEdge(ctx, c); err != nil {
		return err
	}
	return inOrder(ctx, v.files(), v.fetch.read, func(f file) error { return v.take(f, each) })
}

// A verification is how far Verify got.
type verification struct {
	fetch Fetch
	size  int64

	// edge has the partial tile at the end of each level, current the full tile of each
	// level on the path to the records that are looked at. All of them are checked.
	edge, current [maxLevels]file
}

// maxLevels is how many levels of tiles the largest log has.
const maxLevels = 8

// A file is a file of the log as it was read: not yet known to be right.
type file struct {
	tile    Tile
	path    string   // differs from that of tile where the full tile stands in
	hashes  []byte   // of the tile, or of the records
	root    Hash     // of a full tile of hashes
	records [][]byte // of a bundle of entries
}

func (f file) wrong(format string, args ...any) error {
	return &FileError{f.path, fmt.Sprintf(format, args...)}
}

// files yields the full tiles of hashes and all bundles of entries, each after the tile
// that has its hash.
func (v *verification) files() iter.Seq[Tile] {
	return func(yield func(Tile) bool) {
		for n := int64(0); width(v.size, 0, n) > 0; n++ {
			for level := maxLevels - 1; level >= 0; level-- {
				below := height * level
				t := Tile{level, n >> below, TileWidth}
				begins := n == t.N<<below
				if begins && width(v.size, level, t.N) == TileWidth && !yield(t) {
					return
				}
			}
			if !yield(Tile{EntriesLevel, n, width(v.size, 0, n)}) {
				return
			}
		}
	}
}

// read reads a file and computes what it has to be held against.
func (fetch Fetch) read(ctx context.Context, t Tile) (file, error) {
	f := file{tile: t, path: t.Path()}
	stored := t
	data, err := fetch(ctx, f.path)
	if errors.Is(err, fs.ErrNotExist) && t.Width < TileWidth {
		stored = t.full()
		full, fullErr := fetch(ctx, stored.Path())
		if fullErr == nil {
			f.path, data, err = stored.Path(), full, nil
		} else if !errors.Is(fullErr, fs.ErrNotExist) {
			f.path, err = stored.Path(), fullErr
		}
	}
	if err != nil {
		return file{}, fmt.Errorf("%s: %w", f.path, err)
	}
	if t.Level == EntriesLevel {
		if f.records, err = Entries(data, stored.Width); err != nil {
			return file{}, f.wrong("%v", err)
		}
		f.records = f.records[:t.Width]
		f.hashes = make([]byte, 0, t.Width*hashSize)
		for _, r := range f.records {
			h := LeafHash(r)
			f.hashes = append(f.hashes, h[:]...)
		}
		return f, nil
	}
	if len(data) != stored.Limit() {
		return file{}, f.wrong("has %d bytes, not the %d of %d hashes", len(data), stored.Limit(), stored.Width)
	}
	f.hashes = data[:t.Limit()]
	if t.Width == TileWidth {
		f.root = tileRoot(f.hashes)
	}
	return f, nil
}

// above gives the checked tile with the hash of t, or of the records of t.
func (v *verification) above(t Tile) file {
	level, n := t.Level+1, t.N
	if t.Level >= 0 {
		n >>= height
	}
	if width(v.size, level, n) == TileWidth {
		return v.current[level]
	}
	return v.edge[level]
}

// take checks the next file.
func (v *verification) take(f file, each func(int64, []byte) error) error {
	above := v.above(f.tile)
	if f.tile.Level >= 0 {
		at := int(f.tile.N & (TileWidth - 1))
		if want := hashAt(above.hashes, at); f.root != want {
			return f.wrong("its hashes make %s, not the %s that %s has as number %d", f.root, want, above.path, at)
		}
		v.current[f.tile.Level] = f
		return nil
	}
	first := f.tile.N * TileWidth
	if at := differs(f.hashes, above.hashes); at >= 0 {
		return f.wrong("record %d of the log is not the one whose hash %s has as number %d", first+int64(at), above.path, at)
	}
	if each == nil {
		return nil
	}
	for i, r := range f.records {
		if err := each(first+int64(i), r); err != nil {
			return err
		}
	}
	return nil
}

// differs gives the number of the first hash in which two tiles differ, -1 if there is
// none.
func differs(a, b []byte) int {
	for i := range min(len(a), len(b)) / hashSize {
		if !bytes.Equal(a[i*hashSize:(i+1)*hashSize], b[i*hashSize:(i+1)*hashSize]) {
			return i
		}
	}
	return -1
}

// readEdge reads the partial tiles of hashes at the ends of the levels, which together
// make the root.
func (v *verification) readEdge(ctx context.Context, c Checkpoint) error {
	partial := func(yield func(Tile) bool) {
		for level := maxLevels - 1; level >= 0; level-- {
			if t, ok := edgeTile(v.size, level); ok && !yield(t) {
				return
			}
		}
	}
	var edge []Hash
	err := inOrder(ctx, partial, v.fetch.read, func(f file) error {
		v.edge[f.tile.Level] = f
		edge = appendEdge(edge, f.hashes)
		return nil
	})
	if err != nil {
		return err
	}
	if root := fold(edge); root != c.Root {
		return v.blame(ctx, root, c)
	}
	return nil
}

// blame finds out why the partial tiles do not make the root of c: it holds each against
// what it is made of.
func (v *verification) blame(ctx context.Context, root Hash, c Checkpoint) error {
	for level := range maxLevels {
		f := v.edge[level]
		if f.tile.Width == 0 {
			continue
		}
		// The hashes of level 0 are those of the records, all others those of full tiles.
		below := func(yield func(Tile) bool) {
			if level == 0 {
				yield(Tile{EntriesLevel, f.tile.N, f.tile.Width})
				return
			}
			for i := range int64(f.tile.Width) {
				if !yield(Tile{level - 1, f.tile.N<<height + i, TileWidth}) {
					return
				}
			}
		}
		err := inOrder(ctx, below, v.fetch.read, func(b file) error {
			at, hashes := int(b.tile.N&(TileWidth-1)), b.root[:]
			if level == 0 {
				at, hashes = 0, b.hashes
			}
			if i := differs(hashes, f.hashes[at*hashSize:]); i >= 0 {
				return f.wrong("hash %d is not the one that %s makes, and the tiles do not make the root of the checkpoint", at+i, b.path)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return &FileError{checkpointPath, fmt.Sprintf("the tiles of the %d leaves of %s make the root %s, not %s", c.Size, c.Origin, root, c.Root)}
}

// inOrder reads files, several at a time, and gives them to take one by one in their
// order. When it returns, nothing runs any more.
func inOrder(ctx context.Context, tiles iter.Seq[Tile], read func(context.Context, Tile) (file, error), take func(file) error) error {
	type result struct {
		file file
		err  error
	}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	queue := make(chan chan result, inFlight-1)
	running.Go(func() {
		defer close(queue)
		for t := range tiles {
			done := make(chan result, 1)
			select {
			case queue <- done:
			case <-ctx.Done():
				return
			}
			running.Go(func() {
				f, err := read(ctx, t)
				done <- result{f, err}
			})
		}
	})
	for done := range queue {
		r := <-done
		if r.err != nil {
			return r.err
		}
		if err := take(r.file); err != nil {
			return err
		}
	}
	return ctx.Err()
}
