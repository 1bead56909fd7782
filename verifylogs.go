package nestgen

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/tilelog"
)

// logs holds the logs against themselves, and what is published of them against the
// catalog.
func (v *verifier) logs(ctx context.Context) error {
	signed, err := v.readCheckpoint()
	if err := v.checkLeaves(ctx, v.lastSigned(signed, err)); err != nil {
		return err
	}
	if !v.PublishLog {
		return nil // what is still there does not belong there
	}
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

// lastSigned gives what this site has signed last, as far as that is known: what is
// published, or what it remembers; the zero checkpoint if neither is there.
func (v *verifier) lastSigned(published checkpoint, err error) checkpoint {
	remembered, rerr := v.remembered()
	if rerr != nil || err == nil && published.Size >= remembered.Size {
		remembered = published
	}
	if rerr != nil && err != nil {
		return checkpoint{}
	}
	return remembered
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
		} else if v.misremembered[l.log] {
			// Its hashes come first; the entries are those that were signed.
			for t := range tilelog.All(l.size) {
				v.known[l.at(t.Path())] = true
			}
			continue
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
func (v *verifier) checkLeaves(ctx context.Context, signed checkpoint) error {
	of := map[catalog.LogName]tilelog.Checkpoint{catalog.Events: signed.Checkpoint, catalog.Pages: {Size: signed.pages.Size, Root: signed.pages.Root}}
	for log, what := range map[catalog.LogName]string{catalog.Events: "event", catalog.Pages: "page"} {
		size, err := v.catalog.LogSize(ctx, log)
		if err != nil {
			return storage(err)
		}
		c := leafCheck{verifier: v, log: log, what: what, signed: of[log]}
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
	wrong  int64 // the first that is not the one that was entered, from 1
	above  bool  // a hash of a higher level is wrong

	// signed is what the log was when it was signed last, and proven says that the leaves
	// up to there are those of it.
	signed tilelog.Checkpoint
	proven bool
}

func (c *leafCheck) add(ctx context.Context, leaf []byte) error {
	c.leaves = append(c.leaves, tilelog.LeafHash(leaf))
	if c.n++; c.n == c.signed.Size {
		root, _, err := tilelog.Extend(c.grown.Size(), c.grown.Edge(), c.leaves)
		if err != nil {
			return err
		}
		c.proven = root == c.signed.Root
	}
	if c.n%tilelog.TileWidth != 0 {
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
			c.wrong = cmp.Or(c.wrong, first+int64(i)+1)
			break // one is enough to know
		}
	}
	whole, err := c.grown.Append(c.leaves)
	c.leaves = c.leaves[:0]
	if err != nil {
		return err
	}
	for _, t := range whole {
		if t.Level == 0 || t.Width < tilelog.TileWidth {
			continue // it was compared, or the root tells
		}
		kept, err := c.catalog.Tiles(ctx, c.log).Tile(t.Level, t.N)
		if err != nil {
			return err
		}
		c.above = c.above || !bytes.Equal(kept, t.Data)
	}
	return nil
}

// end compares the rest, and the whole.
func (c *leafCheck) end(ctx context.Context, size int64) error {
	if err := c.compare(ctx); err != nil {
		return err
	}
	if c.wrong > 0 && !c.proven {
		c.find(layout.Log, "%s %d in the catalog is not the one that was entered in the log", c.what, c.wrong)
		return nil
	}
	if c.n != size {
		c.find(layout.Log, "the catalog has %d of the %d entries of its log of %s", c.n, size, c.log)
		return nil
	}
	root, err := tilelog.Root(size, c.catalog.Tiles(ctx, c.log))
	if err == nil && root == c.grown.Root() && c.wrong == 0 && !c.above {
		return nil
	}
	found := c.find(layout.Log, "the hashes that the catalog keeps of its log of %s are not those of the entries", c.log)
	if !c.proven {
		return nil
	}
	if c.misremembered == nil {
		c.misremembered = map[catalog.LogName]bool{}
	}
	c.misremembered[c.log] = true
	if c.opts.DryRun {
		return nil
	}
	return c.rehash(ctx, found)
}

// rehash computes the hashes of a log anew from the entries, which are those that were
// signed.
func (c *leafCheck) rehash(ctx context.Context, found int) error {
	err := c.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		leaves := pageLeaves(tx.PageLog(0, 1<<62))
		if c.log == catalog.Events {
			leaves = eventLeaves(tx.Records(0, tx.Last()))
		}
		if err := extendLog(tx, c.log, 0, leaves); err != nil {
			return err
		}
		root, err := tilelog.Root(c.signed.Size, tx.Tiles(c.log))
		if err == nil && root != c.signed.Root {
			err = fmt.Errorf("log of %s: %w", c.log, errAlteredPast) // it was right when it was looked at
		}
		return err
	})
	if err != nil {
		return err
	}
	delete(c.misremembered, c.log)
	c.found.Findings[found].Repaired = true
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
