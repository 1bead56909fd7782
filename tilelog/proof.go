package tilelog

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// emptyHash is the hash of a log without leaves (RFC 6962 section 2.1).
var emptyHash = Hash(sha256.Sum256(nil))

// ErrProof is what a proof that does not hold is told as.
var ErrProof = errors.New("the proof does not hold")

// maxTrees is how many tiles a Prover keeps at hand, of 16 KiB each.
const maxTrees = 4096

// A Prover makes proofs about a log of one size. It keeps the tiles that it has read,
// 64 MiB of them at most, so that many proofs cost little more than their hashes. It is
// not for use by several goroutines at once.
type Prover struct {
	size  int64
	have  Tiles
	trees map[Tile]*subtree
}

// NewProver gives a Prover for a log of that size, which may have grown since.
func NewProver(size int64, have Tiles) (*Prover, error) {
	if err := checkSize(size); err != nil {
		return nil, err
	}
	return &Prover{size, have, map[Tile]*subtree{}}, nil
}

// Record proves that leaf number index is in the log: the hashes beside the path from
// the leaf to the root, from below (RFC 6962 section 2.1.1).
func (p *Prover) Record(index int64) ([]Hash, error) {
	if index < 0 || index >= p.size {
		return nil, fmt.Errorf("log of %d leaves: has no leaf %d", p.size, index)
	}
	return tlog.ProveRecord(p.size, index, p)
}

// Tree proves that the log begins with the log of old leaves (RFC 6962 section 2.1.2).
// That it begins with the empty one needs no hash.
func (p *Prover) Tree(old int64) ([]Hash, error) {
	if old < 0 || old > p.size {
		return nil, fmt.Errorf("log of %d leaves: had no %d leaves before", p.size, old)
	}
	if old == 0 {
		return []Hash{}, nil
	}
	return tlog.ProveTree(p.size, old, p)
}

// ReadHashes gives the hashes with those numbers, as package tlog counts them.
func (p *Prover) ReadHashes(indexes []int64) ([]Hash, error) {
	hashes := make([]Hash, len(indexes))
	for i, x := range indexes {
		level, n := tlog.SplitStoredHashIndex(x)
		inner := level % height
		tree, err := p.tree(level/height, n>>(height-inner))
		if err != nil {
			return nil, err
		}
		hashes[i] = tree.at(inner, int(n&(TileWidth>>inner-1)))
	}
	return hashes, nil
}

// tree gives the subtree that a tile stands for.
func (p *Prover) tree(level int, n int64) (*subtree, error) {
	t := Tile{level, n, width(p.size, level, n)}
	if tree := p.trees[t]; tree != nil {
		return tree, nil
	}
	data, err := readTile(p.size, p.have, level, n)
	if err != nil {
		return nil, err
	}
	if len(p.trees) == maxTrees {
		clear(p.trees)
	}
	tree := newSubtree(data)
	p.trees[t] = tree
	return tree, nil
}

// A subtree is the tree above the hashes of a tile, apart from its root: 256 hashes, then
// the 128 above them and so on. Those that are not complete are zero.
type subtree [2*TileWidth - 2]Hash

func (s *subtree) at(level, n int) Hash { return s[subtreeAt(level, n)] }

func subtreeAt(level, n int) int { return 2*TileWidth - 2*TileWidth>>level + n }

func newSubtree(tile []byte) *subtree {
	s := new(subtree)
	known := len(tile) / hashSize
	for i := range known {
		s[i] = hashAt(tile, i)
	}
	for level := 1; level < height; level++ {
		known /= 2
		for n := range known {
			s[subtreeAt(level, n)] = tlog.NodeHash(s.at(level-1, 2*n), s.at(level-1, 2*n+1))
		}
	}
	return s
}

// ProveRecord proves that leaf number index, from 0, is in a log of that size, which may
// have grown since: the hashes beside the path from the leaf to the root, from below
// (RFC 6962 section 2.1.1). Who makes many proofs uses a [Prover].
func ProveRecord(size, index int64, have Tiles) ([]Hash, error) {
	p, err := NewProver(size, have)
	if err != nil {
		return nil, err
	}
	return p.Record(index)
}

// ProveTree proves that a log of that size begins with the log of old leaves (RFC 6962
// section 2.1.2).
func ProveTree(size, old int64, have Tiles) ([]Hash, error) {
	p, err := NewProver(size, have)
	if err != nil {
		return nil, err
	}
	return p.Tree(old)
}

// CheckRecord checks that the log of that size and root has leaf as number index, from 0.
// An error matches [ErrProof] if the proof does not show it.
func CheckRecord(proof []Hash, size int64, root Hash, index int64, leaf Hash) error {
	if err := checkSize(size); err != nil {
		return err
	}
	if index < 0 || index >= size {
		return fmt.Errorf("log of %d leaves: has no leaf %d", size, index)
	}
	if tlog.CheckRecord(proof, size, root, index, leaf) != nil {
		return fmt.Errorf("leaf %d of a log of %d leaves with root %s: %w", index, size, root, ErrProof)
	}
	return nil
}

// CheckTree checks that the log of that size and root begins with the log of old leaves
// and oldRoot. An error matches [ErrProof] if the proof does not show it.
func CheckTree(proof []Hash, size int64, root Hash, old int64, oldRoot Hash) error {
	if err := checkSize(size); err != nil {
		return err
	}
	if old < 0 || old > size {
		return fmt.Errorf("log of %d leaves: had no %d leaves before", size, old)
	}
	ok := old > 0 && tlog.CheckTree(proof, size, root, old, oldRoot) == nil
	if old == 0 {
		// The library has no proofs about the empty log, which needs none.
		ok = len(proof) == 0 && oldRoot == emptyHash && (size > 0 || root == emptyHash)
	}
	if !ok {
		return fmt.Errorf("that a log of %d leaves with root %s begins with one of %d leaves with root %s: %w",
			size, root, old, oldRoot, ErrProof)
	}
	return nil
}
