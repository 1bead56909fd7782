package tilelog

import (
	"fmt"
	"iter"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// MaxSize is how many leaves a log may have. It is far more than any log has, and
	// keeps all that is computed from a size within an int64.
	MaxSize = 1 << 56

	// TileWidth is how many hashes a full tile holds, and how many records a full
	// bundle of entries.
	TileWidth = 1 << height

	// EntriesLevel is the level of the bundles of entries.
	EntriesLevel = -1

	height   = 8 // of the part of the tree that a tile stands for
	maxPath  = 64
	hashSize = tlog.HashSize
)

// A Tile names a file of a published log: consecutive hashes of one level of the tree,
// or the records themselves. Tiles are plain values.
type Tile struct {
	// Level 0 holds the hashes of the records, each further level one hash for each
	// full tile of the level before. EntriesLevel holds the records.
	Level int

	// N is the number of the tile in its level, from 0.
	N int64

	// Width is how many hashes or records it holds, 1 to 256. Only the last tile of a
	// level is partial, which is to say narrower than 256.
	Width int
}

// Path gives the path of t below the folder of its log, as C2SP tlog-tiles wants it:
// "tile/0/x001/067", "tile/0/x001/067.p/13" or "tile/entries/x001/067.p/13".
func (t Tile) Path() string {
	p := tlog.Tile{H: height, L: t.Level, N: t.N, W: t.Width}.Path()
	p = strings.TrimPrefix(p, tlogPrefix)
	if rest, ok := strings.CutPrefix(p, "data/"); ok {
		p = "entries/" + rest
	}
	return "tile/" + p
}

// tlogPrefix is what the paths of the Go checksum database begin with, which name the
// height and spell the level of the records differently.
const tlogPrefix = "tile/8/"

// Limit gives how many bytes the file of t can have at most.
func (t Tile) Limit() int {
	if t.Level == EntriesLevel {
		return t.Width * (2 + MaxRecord)
	}
	return t.Width * hashSize
}

// full gives the full tile that t will be when the log has grown.
func (t Tile) full() Tile { return Tile{t.Level, t.N, TileWidth} }

// ParseTile reads the path of a tile. It accepts exactly what Path gives, for levels up
// to 63 (C2SP tlog-tiles).
func ParseTile(path string) (Tile, error) {
	if rest, ok := strings.CutPrefix(path, "tile/"); ok && len(path) <= maxPath {
		if n, ok := strings.CutPrefix(rest, "entries/"); ok {
			rest = "data/" + n
		}
		// Whatever the library lets pass that is spelled otherwise, as a level with a
		// leading zero, is not what it spells itself.
		if t, err := tlog.ParseTilePath(tlogPrefix + rest); err == nil {
			tile := Tile{t.L, t.N, t.W}
			if tile.Level < 64 && tile.Path() == path {
				return tile, nil
			}
		}
	}
	if len(path) > maxPath {
		path = path[:maxPath] + "…"
	}
	return Tile{}, fmt.Errorf("path %q: not that of a tile of a log", path)
}

// A TileData is a tile of hashes with the hashes that it holds, 32 bytes each.
type TileData struct {
	Tile
	Data []byte
}

// width gives how many hashes tile n of a level has in a log of that size: 0 where
// there is no such tile.
func width(size int64, level int, n int64) int {
	return int(max(0, min(TileWidth, count(size, level)-n<<height)))
}

// count gives how many hashes a level has in a log of that size.
func count(size int64, level int) int64 {
	return size >> (height * max(level, 0))
}

// edgeTile gives the partial tile at the end of a level; ok is false where the level
// ends with a full tile, or is empty.
func edgeTile(size int64, level int) (t Tile, ok bool) {
	c := count(size, level)
	t = Tile{level, c >> height, int(c & (TileWidth - 1))}
	return t, t.Width > 0
}

// levels yields the levels of the files of a log of that size: the records, and the
// hashes from those of the records upwards.
func levels(size int64) iter.Seq[int] {
	return func(yield func(int) bool) {
		for level := EntriesLevel; count(size, level) > 0; level++ {
			if !yield(level) {
				return
			}
		}
	}
}

// All yields every file that a log of that size consists of, apart from its
// checkpoint: the bundles of entries, then the tiles of hashes level by level.
func All(size int64) iter.Seq[Tile] {
	return between(0, size)
}

// Published gives the files that have to be written when a log that is published with
// old leaves is published with size leaves. Their order is that of [All].
func Published(old, size int64) []Tile {
	var tiles []Tile
	for t := range between(old, size) {
		tiles = append(tiles, t)
	}
	return tiles
}

// between yields the files of a log of that size that one of old leaves lacks.
func between(old, size int64) iter.Seq[Tile] {
	return func(yield func(Tile) bool) {
		for level := range levels(size) {
			if count(old, level) >= count(size, level) {
				continue
			}
			for n := count(old, level) >> height; width(size, level, n) > 0; n++ {
				if !yield(Tile{level, n, width(size, level, n)}) {
					return
				}
			}
		}
	}
}

// Partial gives the partial tiles of a log of that size, those of the records first: one of
// each level at most. A site keeps them for a while when the log has grown, because
// somebody may hold a checkpoint of that size (C2SP tlog-tiles, Partial Tiles).
func Partial(size int64) (tiles []Tile) {
	for level := range levels(size) {
		if t, ok := edgeTile(size, level); ok {
			tiles = append(tiles, t)
		}
	}
	return tiles
}

// Last gives the last tile of each level of a log of that size, those of the records first,
// as the full tile that it is or will be.
func Last(size int64) (tiles []Tile) {
	for level := range levels(size) {
		tiles = append(tiles, Tile{level, (count(size, level) - 1) >> height, TileWidth})
	}
	return tiles
}
