package nestgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
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

	// Unwanted are the files that the rules of the [Retention] are about, sorted by
	// project and name. Those that are announced again are among Paths; the bytes of
	// the others wait for their grace.
	Unwanted []Unwanted `json:"unwanted,omitempty"`

	// Reasons say how much goes, and why.
	Reasons []Reason `json:"reasons"`

	// NotJudged says why a rule was not applied; empty if all were.
	NotJudged string `json:"not_judged,omitempty"`

	DryRun bool `json:"dry_run"`
}

// GC removes from the store what nothing refers to any more and whose grace
// period is over: files that the index has withdrawn, and files that a run
// which died left behind. With Options.Retention it goes on to what the index lists.
// With Options.DryRun it only finds them.
func GC(ctx context.Context, c Config, o Options) (*Garbage, error) {
	if err := errors.Join(o.Retention.check(&c), c.built()); err != nil {
		return nil, err
	}
	s, err := open(c, o)
	if err != nil {
		return nil, err
	}
	var g *Garbage
	if err = errors.Join(s.mustHaveBuilt(), s.mustBePublished(ctx), s.mustHaveSnapshots(ctx)); err == nil {
		g, err = s.gc(ctx)
	}
	return g, errors.Join(err, s.close())
}

// built refuses a site that has no catalog, before anything is made for it.
func (c *Config) built() error {
	_, err := os.Stat(c.catalogFile())
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

// mustHaveSnapshots refuses a site with a snapshot that a run has left which died before all
// of it was there: what that is to have is not pinned yet, and may be due.
func (s *site) mustHaveSnapshots(ctx context.Context) error {
	all, err := s.catalog.Snapshots(ctx)
	if err != nil {
		return storage(err)
	}
	for _, t := range all {
		if t.State == catalog.SnapshotBegun {
			return &fault{ErrIncomplete, fmt.Errorf("the run that made the snapshot %s has died; nothing was deleted", t.Tag), `run "nestgen build" first, which makes the rest of it`}
		}
	}
	return nil
}

func (s *site) gc(ctx context.Context) (*Garbage, error) {
	g := &Garbage{DryRun: s.opts.DryRun, Paths: []string{}, Reasons: []Reason{}}
	if err := s.expire(ctx, g); err != nil {
		return nil, err
	}
	if !s.opts.DryRun {
		// Pages may still promise what is beside a file that is announced now; also
		// those that a run has left which died here.
		if err := s.publish(ctx); err != nil {
			return nil, err
		}
	}
	left, err := s.sweep(ctx, g)
	if err != nil {
		return nil, err
	}
	bytes := s.sizes(left) // before they go
	if !s.opts.DryRun {
		if left, err = s.deleteAnnounced(ctx, left); err != nil {
			return nil, err
		}
	}
	reasons := map[string]string{}
	for _, u := range g.Unwanted {
		reasons[u.Path] = u.Reason
	}
	for _, p := range left {
		g.goes(p, cmp.Or(reasons[p], reasonAnnounced), bytes[p])
	}
	slices.Sort(g.Paths)
	return g, nil
}

// goes notes a file that goes.
func (g *Garbage) goes(path, reason string, bytes int64) {
	g.Paths = append(g.Paths, path)
	g.Bytes += bytes
	g.because(reason, bytes)
}

// sizes gives how many bytes files of the site have that are there.
func (s *site) sizes(paths []string) map[string]int64 {
	sizes := map[string]int64{}
	for _, p := range paths {
		if fi, err := os.Lstat(s.file(p)); err == nil {
			sizes[p] = fi.Size()
		}
	}
	return sizes
}

// sweep deletes what nothing refers to. It gives the paths of files that the index
// announces and that are here all the same, left by a run that died before it deleted
// them or by [site.expire].
func (s *site) sweep(ctx context.Context, g *Garbage) (announced []string, err error) {
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
	isDue, err := s.due(ctx, now)
	if err != nil {
		return nil, err
	}
	if may, err := s.mayDelete(ctx); err != nil {
		return nil, err
	} else if !may {
		isDue = func(string, int64) bool { return false }
	}
	marks, err := s.catalog.Meta(ctx, metaArriving)
	if err != nil {
		return nil, storage(err)
	}
	arriving := marksIn(marks)
	var due, withdrawn, orphans []string
	for path, at := range stored.Due {
		switch {
		case !isDue(path, at) && stored.Listed[path]: // in another index
		case !isDue(path, at):
			g.Waiting++
		default:
			due = append(due, path)
			if !stored.Listed[path] {
				withdrawn = append(withdrawn, path)
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
		young := func(grace time.Duration) bool { return now.Before(latest(since, fi.ModTime()).Add(grace)) }
		switch {
		case stored.Announced[path] && !slices.Contains(arriving, path):
			if !young(time.Duration(s.Grace)) {
				announced = append(announced, path)
			}
		case known(path) || known(layout.Owner(path)):
		case young(s.opts.Retention.unwanted(s.Grace)):
			g.Waiting++
		default:
			orphans = append(orphans, path)
		}
		return nil
	})
	if err != nil {
		return nil, storage(err)
	}
	for p, bytes := range s.sizes(withdrawn) {
		g.goes(p, reasonWithdrawn, bytes)
	}
	for p, bytes := range s.sizes(orphans) {
		g.goes(p, reasonOrphan, bytes)
	}
	if s.opts.DryRun {
		return announced, nil
	}
	if err := s.tree.Prune(ctx, empty); err != nil {
		return nil, storage(err)
	}
	if len(due)+len(orphans) == 0 {
		return announced, nil
	}
	if _, err := s.tree.Delete(ctx, slices.Concat(withdrawn, orphans)); err != nil {
		return nil, storage(err)
	}
	return announced, storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return tx.Deleted(due) }))
}

// mayDelete reports whether the bytes of what has left the index may go. While the site is
// held back, and until a build has gone on after that, they may not: what a rollback took
// out is to come back, and what was imported comes from nowhere else.
func (s *site) mayDelete(ctx context.Context) (bool, error) {
	held, err := heldBack(ctx, s.catalog)
	if err != nil || held != nil {
		return false, err
	}
	filters, err := s.catalog.Meta(ctx, metaFilters)
	return filters != resumed, storage(err)
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
	if may, err := s.mayDelete(ctx); err != nil || !may {
		return err
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
