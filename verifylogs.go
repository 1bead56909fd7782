package nestgen

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/tilelog"
)

// logs holds the logs against themselves, and what is published of them against the
// catalog.
func (v *verifier) logs(ctx context.Context) error {
	if err := v.checkLeaves(ctx); err != nil {
		return err
	}
	if !v.PublishLog {
		return nil // what is still there does not belong there
	}
	signed, err := v.readCheckpoint()
	v.known[layout.LogCheckpoint], v.known[layout.LogKeys] = true, true
	if err != nil {
		if size, serr := v.catalog.LogSize(ctx, catalog.Events); serr != nil || size == 0 {
			return storage(serr) // it is the next build's
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.New("missing")
		}
		v.find(layout.LogCheckpoint, "%v", err)
		v.relog = true
		return v.published(ctx, checkpoint{})
	}
	return v.published(ctx, signed)
}

// published holds the files of the logs against the catalog, as far as they are
// published: what came since is the next build's.
func (v *verifier) published(ctx context.Context, signed checkpoint) error {
	for _, l := range []struct {
		log  catalog.LogName
		at   func(string) string
		size int64
		root tilelog.Hash
	}{
		{catalog.Events, layout.EventTile, signed.Size, signed.Root},
		{catalog.Pages, layout.PageTile, signed.pages.Size, signed.pages.Root},
	} {
		size, err := v.catalog.LogSize(ctx, l.log)
		if err != nil {
			return storage(err)
		}
		if signed.Origin == "" {
			l.size = size // all of it is made anew
		} else if forked, err := v.isForked(ctx, l.log, l.size, l.root, size); err != nil {
			return storage(err)
		} else if forked {
			v.find(layout.LogCheckpoint, "the history that is published has %d entries in its log of %s, and the catalog is not one that goes on from there, as one from a backup", l.size, l.log)
			for t := range tilelog.All(l.size) {
				v.known[l.at(t.Path())] = true
			}
			continue
		}
		for t := range tilelog.All(l.size) {
			path := l.at(t.Path())
			v.known[path] = true
			want, err := v.tile(ctx, l.log, t)
			if errors.Is(err, errAlteredPast) {
				continue // it was told, and what is published may well be right
			}
			if err != nil {
				return storage(err)
			}
			data, err := v.read(path)
			switch {
			case err != nil:
				v.find(path, "%s", reasonOf(err))
			case !bytes.Equal(data, want):
				v.find(path, "not what the catalog knows")
			default:
				continue
			}
			v.relog = true
		}
	}
	return nil
}

// isFormerTile reports whether a file of the tree is a tile of a log as it was when that
// was smaller. The last of them stay for those who hold an older checkpoint, and a run
// that dies may leave more, which go with a later one.
func (v *verifier) isFormerTile(ctx context.Context, path string) bool {
	for log, at := range map[catalog.LogName]func(string) string{catalog.Events: layout.EventTile, catalog.Pages: layout.PageTile} {
		name, below := strings.CutPrefix(path, at(""))
		t, err := tilelog.ParseTile(name)
		if !below || err != nil || t.Width == tilelog.TileWidth {
			continue
		}
		want, err := v.tile(ctx, log, t)
		if err != nil {
			return false
		}
		data, err := v.read(path)
		return err == nil && len(want) > 0 && bytes.Equal(data, want)
	}
	return false
}

// checkLeaves holds the events and what was published against the hashes that were kept
// when they came: whoever has changed one of them since has changed the history.
func (v *verifier) checkLeaves(ctx context.Context) error {
	for log, what := range map[catalog.LogName]string{catalog.Events: "event", catalog.Pages: "page"} {
		size, err := v.catalog.LogSize(ctx, log)
		if err != nil {
			return storage(err)
		}
		c := leafCheck{verifier: v, log: log, what: what}
		for leaf, err := range v.leaves(ctx, log, 0, size) {
			if err == nil {
				err = c.add(ctx, leaf)
			}
			if err != nil {
				return storage(err)
			}
		}
		if err := c.end(ctx, size); err != nil {
			return storage(err)
		}
	}
	return nil
}

// A leafCheck holds the leaves of a log, in their order, against the hashes that are
// kept of them.
type leafCheck struct {
	*verifier
	log    catalog.LogName
	what   string // a leaf is about
	n      int64
	grown  tilelog.Log
	leaves []tilelog.Hash
	wrong  bool
}

func (c *leafCheck) add(ctx context.Context, leaf []byte) error {
	c.leaves = append(c.leaves, tilelog.LeafHash(leaf))
	if c.n++; c.n%tilelog.TileWidth != 0 {
		return nil
	}
	return c.compare(ctx)
}

// compare holds the leaves of a tile against it.
func (c *leafCheck) compare(ctx context.Context) error {
	if len(c.leaves) == 0 {
		return nil
	}
	first := c.n - int64(len(c.leaves))
	kept, err := c.catalog.Tiles(ctx, c.log).Tile(0, first/tilelog.TileWidth)
	if err != nil {
		return err
	}
	for i, leaf := range c.leaves {
		if at := i * len(leaf); len(kept) < at+len(leaf) || !bytes.Equal(kept[at:at+len(leaf)], leaf[:]) {
			c.wrong = true
			c.find(layout.Log, "%s %d in the catalog is not the one that was entered in the log", c.what, first+int64(i)+1)
			break // one is enough to know
		}
	}
	_, err = c.grown.Append(c.leaves)
	c.leaves = c.leaves[:0]
	return err
}

// end compares the rest, and the whole.
func (c *leafCheck) end(ctx context.Context, size int64) error {
	if err := c.compare(ctx); err != nil || c.wrong {
		return err
	}
	if c.n != size {
		c.find(layout.Log, "the catalog has %d of the %d entries of its log of %s", c.n, size, c.log)
		return nil
	}
	root, err := tilelog.Root(size, c.catalog.Tiles(ctx, c.log))
	if err != nil || root != c.grown.Root() {
		c.find(layout.Log, "the hashes that the catalog keeps of its log of %s are not those of the entries", c.log)
	}
	return nil
}

// republishLogs publishes the logs anew if what is published of them is not right.
func (v *verifier) republishLogs(ctx context.Context) error {
	if !v.relog {
		return nil
	}
	turn, err := v.turn(ctx)
	if err != nil {
		return storage(err)
	}
	defer turn.Close()
	if done, err := v.publishLogs(ctx, turn, true); err != nil || !done {
		return err
	}
	for i := range v.found.Findings {
		if f := &v.found.Findings[i]; strings.HasPrefix(f.Path, layout.Log+"/") && v.known[f.Path] {
			f.Repaired = true
		}
	}
	return nil
}
