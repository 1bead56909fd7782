package monitor

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"nestgen/record"
	"nestgen/tilelog"
)

// A remembered is a checkpoint that was proven before.
type remembered struct {
	tilelog.Checkpoint
	pages record.PagesRoot
}

// recall reads the file in which the last checkpoint is kept, as the site signed it. It
// gives nil if there is none yet. Whose signature it has does not matter any more: this
// program has checked it, and the file is the reader's own.
func recall(file string) (*remembered, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, failed(ErrInput, "%w", err)
	}
	text, _, ok := bytes.Cut(data, []byte("\n\n"))
	if !ok || len(data) > tilelog.MaxCheckpoint {
		return nil, failed(ErrInput, "%s: not a file that remembers a checkpoint; if it is lost, what was proven before is lost with it", file)
	}
	var r remembered
	if r.Checkpoint, err = tilelog.ParseCheckpoint(string(text) + "\n"); err == nil {
		r.pages, err = record.ParsePagesRoot(r.Checkpoint)
	}
	if err != nil {
		return nil, failed(ErrInput, "%s: %w", file, err)
	}
	return &r, nil
}

// remember keeps a signed checkpoint in the file, all of it or nothing.
func remember(file string, signed []byte) error {
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, signed) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(signed)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// A growth follows a log from leaf to leaf, up to the size that is remembered.
type growth struct {
	upTo   int64
	size   int64
	edge   []tilelog.Hash
	leaves []tilelog.Hash
	root   tilelog.Hash
}

// add takes the next leaf.
func (g *growth) add(leaf []byte) error {
	if g.size+int64(len(g.leaves)) >= g.upTo {
		return nil
	}
	g.leaves = append(g.leaves, tilelog.LeafHash(leaf))
	if len(g.leaves) < tilelog.TileWidth && g.size+int64(len(g.leaves)) < g.upTo {
		return nil
	}
	var err error
	g.root, g.edge, err = tilelog.Extend(g.size, g.edge, g.leaves)
	g.size += int64(len(g.leaves))
	g.leaves = g.leaves[:0]
	return err
}

// extends reports whether the log that was followed begins with one of that root.
func (g *growth) extends(root tilelog.Hash) bool {
	return g.upTo == 0 || g.size == g.upTo && g.root == root
}
