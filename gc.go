package nestgen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"nestgen/catalog"
	"nestgen/layout"
)

// A Garbage is what [GC] found, or removed.
type Garbage struct {
	// Paths are the files of the store, relative to the site, sorted.
	// Companions go with their file and are not named.
	Paths []string `json:"paths"`
	Bytes int64    `json:"bytes"`

	// Waiting counts files that nothing refers to and whose grace is not over.
	Waiting int `json:"waiting"`

	DryRun bool `json:"dry_run"`
}

// GC removes from the store what nothing refers to any more and whose grace
// period is over: files that the index has withdrawn, and files that a run
// which died left behind. With Options.DryRun it only finds them.
func GC(ctx context.Context, c Config, o Options) (*Garbage, error) {
	if err := c.built(); err != nil {
		return nil, err
	}
	s, err := open(c, o)
	if err != nil {
		return nil, err
	}
	var g *Garbage
	if err = errors.Join(s.mustHaveBuilt(), s.mustBePublished(ctx)); err == nil {
		g, err = s.gc(ctx)
	}
	return g, errors.Join(err, s.close())
}

// built refuses a site that has no catalog, before anything is made for it.
func (c *Config) built() error {
	_, err := os.Stat(filepath.Join(c.State, "catalog.db"))
	if errors.Is(err, os.ErrNotExist) {
		return &fault{ErrSettings, fmt.Errorf("%s: there is no catalog", c.State), `run "nestgen build" first, or put the state folder back`}
	}
	return storage(err)
}

// mustHaveBuilt refuses a site whose catalog knows nothing: everything in its
// tree would be taken for something that does not belong there.
func (s *site) mustHaveBuilt() error {
	if s.seenBefore {
		return nil
	}
	return &fault{ErrSettings, fmt.Errorf("%s: the catalog knows of no file", s.State), `run "nestgen build" first, or put the state folder back`}
}

func (s *site) gc(ctx context.Context) (*Garbage, error) {
	g := &Garbage{DryRun: s.opts.DryRun, Paths: []string{}}
	if !s.opts.DryRun {
		// Nobody may list a file between the look and the deletion.
		turn, err := s.tree.Turn(ctx)
		if err != nil {
			return nil, storage(err)
		}
		defer turn.Close()
	}
	now := trueNow()
	since, err := s.since(ctx)
	if err != nil {
		return nil, storage(err)
	}
	stored, err := s.catalog.Stored(ctx)
	if err != nil {
		return nil, storage(err)
	}
	var due []string
	for path, at := range stored.Due {
		switch {
		case at > now.UnixMicro() && stored.Listed[path]: // in another index
		case at > now.UnixMicro():
			g.Waiting++
		default:
			due = append(due, path)
			if !stored.Listed[path] {
				g.Paths = append(g.Paths, path)
			}
		}
	}
	var empty []string
	err = s.walkStore(ctx, func(path string, fi os.FileInfo) error {
		if fi.IsDir() {
			empty = append(empty, path)
			return nil
		}
		known := func(path string) bool {
			_, due := stored.Due[path]
			return due || stored.Listed[path]
		}
		switch {
		case known(path) || known(layout.Owner(path)):
		case now.Before(latest(since, fi.ModTime()).Add(time.Duration(s.Grace))):
			g.Waiting++
		default:
			g.Paths = append(g.Paths, path)
		}
		return nil
	})
	if err != nil {
		return nil, storage(err)
	}
	slices.Sort(g.Paths)
	for _, p := range g.Paths {
		if fi, err := os.Lstat(filepath.Join(s.Site, filepath.FromSlash(p))); err == nil {
			g.Bytes += fi.Size()
		}
	}
	if s.opts.DryRun {
		return g, nil
	}
	if err := s.tree.Prune(ctx, empty); err != nil {
		return nil, storage(err)
	}
	if len(g.Paths) == 0 {
		return g, nil
	}
	if _, err := s.tree.Delete(ctx, g.Paths); err != nil {
		return nil, storage(err)
	}
	return g, storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return tx.Deleted(due) }))
}

// walkStore calls f for every file of the store, and for every folder of it
// that is empty.
func (s *site) walkStore(ctx context.Context, f func(path string, fi os.FileInfo) error) error {
	root, err := os.OpenRoot(s.Site)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	var walk func(dir string) error
	walk = func(dir string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := root.Open(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		entries, err := d.ReadDir(-1)
		if err == nil && len(entries) == 0 && dir != layout.Packages {
			var fi os.FileInfo
			if fi, err = d.Stat(); err == nil {
				err = f(dir, fi)
			}
		}
		d.Close()
		if err != nil {
			return err
		}
		for _, e := range entries {
			path := dir + "/" + e.Name()
			if e.IsDir() {
				if err := walk(path); err != nil {
					return err
				}
				continue
			}
			fi, err := e.Info()
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			if err := f(path, fi); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(layout.Packages)
}

// deleteDue removes the bytes whose grace is over.
func (s *site) deleteDue(ctx context.Context) error {
	now := trueNow().UnixMicro()
	if due, err := s.catalog.Due(ctx, now); err != nil || len(due) == 0 {
		return storage(err)
	}
	// Nobody may list a file again between the look and the deletion.
	turn, err := s.tree.Turn(ctx)
	if err != nil {
		return storage(err)
	}
	defer turn.Close()
	due, err := s.catalog.Due(ctx, now)
	if err != nil {
		return storage(err)
	}
	stored, err := s.catalog.Stored(ctx)
	if err != nil {
		return storage(err)
	}
	// The same file may be listed for another project, too.
	paths := slices.DeleteFunc(slices.Clone(due), func(p string) bool { return stored.Listed[p] })
	if s.report.Deleted, err = s.tree.Delete(ctx, paths); err != nil {
		return storage(err)
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return tx.Deleted(due) }))
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
