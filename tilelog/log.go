// Package tilelog is an append-only log as static files: tiles of hashes and bundles of
// records (C2SP tlog-tiles, height 8), and checkpoints, which a key signs (C2SP
// tlog-checkpoint, signed-note). The tree is that of RFC 6962.
//
// It computes: what changes when leaves are appended, which files that makes, proofs, and
// whether a published log is what its checkpoint says. It never opens a file or a
// connection, and knows nothing of what the records say.
package tilelog

import (
	"encoding/base64"
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// A Hash is a SHA-256 hash of a record or of a subtree (RFC 6962 section 2.1). As text
// and in JSON it is base64.
type Hash = tlog.Hash

// LeafHash gives the hash of a record.
func LeafHash(record []byte) Hash { return tlog.RecordHash(record) }

// ParseHash reads the base64 text of a hash. Each hash has one text.
func ParseHash(s string) (Hash, error) {
	var h Hash
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != hashSize || base64.StdEncoding.EncodeToString(b) != s {
		return Hash{}, fmt.Errorf("hash %.60q: not 32 bytes in base64", s)
	}
	copy(h[:], b)
	return h, nil
}

// Tiles gives the tiles of hashes of a log.
type Tiles interface {
	// Tile gives the hashes of tile n of a level from 0, 32 bytes each, as many as are
	// known: those that the log in question has, or more, but 256 at most. The bytes
	// are only read, before the next call. An error says which tile it is about.
	Tile(level int, n int64) ([]byte, error)
}

// TilesFunc is a function that gives tiles.
type TilesFunc func(level int, n int64) ([]byte, error)

// Tile calls f.
func (f TilesFunc) Tile(level int, n int64) ([]byte, error) { return f(level, n) }

// readTile gives the hashes that a tile has in a log of that size, and no more.
func readTile(size int64, have Tiles, level int, n int64) ([]byte, error) {
	w := width(size, level, n)
	data, err := have.Tile(level, n)
	if err != nil {
		return nil, err
	}
	if len(data) < w*hashSize || len(data) > TileWidth*hashSize || len(data)%hashSize != 0 {
		return nil, fmt.Errorf("%s: has %d bytes, %d are needed", Tile{level, n, w}.Path(), len(data), w*hashSize)
	}
	return data[:w*hashSize], nil
}

func checkSize(size int64) error {
	if size < 0 || size > MaxSize {
		return fmt.Errorf("log of %d leaves: not 0 to %d", size, int64(MaxSize))
	}
	return nil
}

// hashAt gives the hash number i of a tile.
func hashAt(tile []byte, i int) (h Hash) {
	copy(h[:], tile[i*hashSize:])
	return h
}

// tileRoot gives the hash of the subtree whose leaves are the hashes of a tile, of which
// there are a power of 2.
func tileRoot(tile []byte) Hash {
	if len(tile) == hashSize {
		return hashAt(tile, 0)
	}
	half := len(tile) / 2
	return tlog.NodeHash(tileRoot(tile[:half]), tileRoot(tile[half:]))
}

// appendEdge appends to edge the hashes of the complete subtrees that the hashes of a
// tile make, from the largest.
func appendEdge(edge []Hash, tile []byte) []Hash {
	for len(tile) > 0 {
		n := 1 << (bits.Len(uint(len(tile)/hashSize)) - 1) * hashSize
		edge = append(edge, tileRoot(tile[:n]))
		tile = tile[n:]
	}
	return edge
}

// grow takes one leaf into the edge of a log of that size. It calls done with every
// hash of a level of tiles that the leaf completes, which begins with the leaf itself.
func grow(size int64, edge []Hash, leaf Hash, done func(level int, h Hash)) []Hash {
	done(0, leaf)
	h := leaf
	// Each 1 at the end of the size is a subtree that the leaf makes twice as large.
	for i := 1; size&1 != 0; i++ {
		last := len(edge) - 1
		h = tlog.NodeHash(edge[last], h)
		edge = edge[:last]
		size >>= 1
		if i%height == 0 {
			done(i/height, h)
		}
	}
	return append(edge, h)
}

// A Log is what is needed of a log to append to it: the partial tiles at its end. A Log
// is not for use by several goroutines at once. The zero Log is an empty one.
type Log struct {
	size  int64
	edge  []Hash
	tails [][]byte // the partial tile at the end of each level
}

// Load reads a log of that size, to append to it: one tile of each level.
func Load(size int64, have Tiles) (*Log, error) {
	if err := checkSize(size); err != nil {
		return nil, err
	}
	l := &Log{size: size}
	for level := 0; count(size, level) > 0; level++ {
		var tail []byte
		if t, ok := edgeTile(size, level); ok {
			data, err := readTile(size, have, level, t.N)
			if err != nil {
				return nil, err
			}
			tail = append(make([]byte, 0, TileWidth*hashSize), data...)
		}
		l.tails = append(l.tails, tail)
	}
	for _, tail := range slices.Backward(l.tails) {
		l.edge = appendEdge(l.edge, tail)
	}
	return l, nil
}

// Size gives how many leaves l has.
func (l *Log) Size() int64 { return l.size }

// Root gives the hash of the whole tree. That of an empty log is the hash of nothing.
func (l *Log) Root() Hash { return fold(l.edge) }

// Edge gives the hashes of the complete subtrees of l, from the largest. There are as
// many as the size has ones in binary.
func (l *Log) Edge() []Hash { return slices.Clone(l.edge) }

// Append appends leaves, and gives the tiles that are new or longer now, with all that
// they hold, by level and number. What is given stays as it is, and is only to be read. It
// fails, and changes nothing, if that were more than MaxSize leaves.
func (l *Log) Append(leaves []Hash) ([]TileData, error) {
	old := l.size
	if int64(len(leaves)) > MaxSize-old {
		return nil, fmt.Errorf("log of %d leaves: %d more are too many", old, len(leaves))
	}
	var changed []TileData
	put := func(level int, h Hash) {
		if level == len(l.tails) {
			l.tails = append(l.tails, nil)
		}
		tail := l.tails[level]
		if tail == nil {
			tail = make([]byte, 0, TileWidth*hashSize)
		}
		tail = append(tail, h[:]...)
		if len(tail) == TileWidth*hashSize {
			// The hash is number size/256**level of its level, and the last of its tile.
			changed = append(changed, TileData{Tile{level, count(l.size, level) >> height, TileWidth}, tail})
			tail = nil
		}
		l.tails[level] = tail
	}
	for _, leaf := range leaves {
		l.edge = grow(l.size, l.edge, leaf, put)
		l.size++
	}
	for level, tail := range l.tails {
		if t, ok := edgeTile(l.size, level); ok && count(old, level) < count(l.size, level) {
			// The log goes on behind these bytes, and never touches them again.
			changed = append(changed, TileData{t, slices.Clip(tail)})
		}
	}
	slices.SortFunc(changed, func(a, b TileData) int {
		if a.Level != b.Level {
			return a.Level - b.Level
		}
		return int(a.N - b.N)
	})
	return changed, nil
}

// Append appends leaves to a log of that size. It gives the tiles that are new or longer
// then, with all that they hold, by level and number, and the hash of the whole tree. It
// reads one tile of each level, and costs what the leaves and those tiles cost. Who
// appends often keeps a [Log].
func Append(size int64, have Tiles, leaves []Hash) (changed []TileData, root Hash, err error) {
	l, err := Load(size, have)
	if err != nil {
		return nil, Hash{}, err
	}
	if changed, err = l.Append(leaves); err != nil {
		return nil, Hash{}, err
	}
	return changed, l.Root(), nil
}

// Root gives the hash of the whole tree of a log of that size, from one tile of each
// level. The log may have grown since.
func Root(size int64, have Tiles) (Hash, error) {
	l, err := Load(size, have)
	if err != nil {
		return Hash{}, err
	}
	return l.Root(), nil
}

// Edge gives the edge of a log of that size: the hashes of the complete subtrees, from
// the largest. That is all somebody has to keep who sees each new leaf, to know that
// a log was only appended to.
func Edge(size int64, have Tiles) ([]Hash, error) {
	l, err := Load(size, have)
	if err != nil {
		return nil, err
	}
	return l.edge, nil
}

// fold gives the hash of the tree whose complete subtrees are edge.
func fold(edge []Hash) Hash {
	if len(edge) == 0 {
		return emptyHash
	}
	last := len(edge) - 1
	h := edge[last]
	for _, left := range slices.Backward(edge[:last]) {
		h = tlog.NodeHash(left, h)
	}
	return h
}

func checkEdge(size int64, edge []Hash) error {
	if err := checkSize(size); err != nil {
		return err
	}
	if want := bits.OnesCount64(uint64(size)); len(edge) != want {
		return fmt.Errorf("edge of a log of %d leaves: %d hashes, not %d", size, len(edge), want)
	}
	return nil
}

// EdgeRoot gives the hash of the whole tree of a log of which the edge is known. It is
// an error if a log of that size cannot have that edge.
func EdgeRoot(size int64, edge []Hash) (Hash, error) {
	if err := checkEdge(size, edge); err != nil {
		return Hash{}, err
	}
	return fold(edge), nil
}

// Extend appends leaves to a log of which nothing but the edge is known, and gives the
// hash of the whole tree and the edge then. It changes neither argument. It is an error
// if a log of that size cannot have that edge.
func Extend(size int64, edge, leaves []Hash) (root Hash, newEdge []Hash, err error) {
	if err := checkEdge(size, edge); err != nil {
		return Hash{}, nil, err
	}
	if int64(len(leaves)) > MaxSize-size {
		return Hash{}, nil, fmt.Errorf("log of %d leaves: %d more are too many", size, len(leaves))
	}
	newEdge = slices.Clone(edge)
	for _, leaf := range leaves {
		newEdge = grow(size, newEdge, leaf, func(int, Hash) {})
		size++
	}
	return fold(newEdge), newEdge, nil
}
