package nestgen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"nestgen/catalog"
	"nestgen/packaging"
)

// look opens the catalog of a site for reading. It takes no lock.
func look(c Config) (*catalog.Catalog, error) {
	cat, err := catalog.OpenReadOnly(c.catalogFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &fault{ErrSettings, fmt.Errorf("%s: there is no catalog", c.State), `run "nestgen build" first`}
	}
	return cat, storage(err)
}

// List gives every project that an index lists, in the order of names: "/" is the
// site's own, and that of a snapshot is called "snapshots/TAG".
func List(ctx context.Context, c Config, index string) iter.Seq2[*catalog.Project, error] {
	return func(yield func(*catalog.Project, error) bool) {
		if _, ok := c.index(index); !ok && index != rootIndex && !isSnapshot(index) {
			yield(nil, c.unknownIndex(index))
			return
		}
		cat, err := look(c)
		if err != nil {
			yield(nil, err)
			return
		}
		defer cat.Close()
		if isSnapshot(index) {
			if err := hasSnapshot(ctx, cat, index); err != nil {
				yield(nil, err)
				return
			}
		}
		projects := cat.Projects(ctx)
		if index != rootIndex {
			projects = cat.ViewProjects(ctx, index)
		}
		for p, err := range projects {
			if !yield(p, storage(err)) || err != nil {
				return
			}
		}
	}
}

// Held gives every file that is asked for and may not come in yet, by project, the
// newest version first.
func Held(ctx context.Context, c Config) ([]catalog.Hold, error) {
	cat, err := look(c)
	if err != nil {
		return nil, err
	}
	defer cat.Close()
	held, err := cat.Holds(ctx)
	return held, storage(err)
}

// Show gives one project with its files, and the events of its history, oldest
// first. The error matches [fs.ErrNotExist] for a name that the index has
// never had.
func Show(ctx context.Context, c Config, n packaging.Name) (*catalog.Project, []catalog.Event, error) {
	cat, err := look(c)
	if err != nil {
		return nil, nil, err
	}
	defer cat.Close()
	p, err := cat.Project(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	var events []catalog.Event
	for e, err := range cat.ProjectEvents(ctx, n) {
		if err != nil {
			return nil, nil, storage(err)
		}
		events = append(events, e)
	}
	return p, events, nil
}
