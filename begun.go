package nestgen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"nestgen/catalog"
	"nestgen/layout"
)

// metaBegun is the key of a mark that a catalog without events carries once a
// build has begun with it: what is in the site since then was put there by that
// build, even if it died.
const metaBegun = "begun"

// checkState refuses a state folder that never had anything to do with the site
// which is there: a build would publish what it finds now in place of what is
// served, and take the rest for left over. It looks before anything is made.
func checkState(c Config, o Options) error {
	isNew := func() bool {
		_, err := os.Lstat(c.catalogFile())
		return errors.Is(err, fs.ErrNotExist)
	}
	// Between two looks somebody else may have begun both.
	if isNew() && !o.AllowRemovals && hasSite(c.Site) && isNew() {
		return lostState(c)
	}
	return nil
}

func lostState(c Config) error {
	return &fault{ErrAlarm, fmt.Errorf("%s: the state is new, but the site %s is not; nothing was touched", c.State, c.Site),
		`put the state folder back, or run "nestgen build --allow-removals" once to begin anew`}
}

// hasSite reports whether there are pages in a site, or files in its store.
func hasSite(site string) bool {
	if _, err := os.Lstat(filepath.Join(site, filepath.FromSlash(layout.RootJSON))); err == nil {
		return true
	}
	d, err := os.Open(filepath.Join(site, filepath.FromSlash(layout.Packages)))
	if err != nil {
		return false
	}
	defer d.Close()
	names, _ := d.Readdirnames(1)
	return len(names) > 0
}

// begin is checkState for a catalog that is there and has no events. It marks
// the catalog before the first file gets into the site.
func (s *site) begin(ctx context.Context) error {
	if s.seenBefore {
		return s.beginBehind(ctx)
	}
	has := hasSite(s.Site) // before the mark is looked for, which others set before they put something there
	begun, err := s.catalog.Meta(ctx, metaBegun)
	if err != nil {
		return storage(err)
	}
	switch {
	case begun != "":
		return nil
	case !s.opts.AllowRemovals && has:
		return lostState(s.Config)
	case s.opts.DryRun:
		return nil
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return tx.SetMeta(metaBegun, "1") }))
}

// beginRequest is begin for a request that is about to change the site.
func (s *site) beginRequest(ctx context.Context) error {
	serial, err := s.catalog.Serial(ctx)
	if err != nil {
		return storage(err)
	}
	if s.seenBefore = serial > 0; s.seenBefore { // a catalog that is new is a build's
		if err := s.catchUp(ctx); err != nil {
			return err
		}
	}
	return s.begin(ctx)
}

// beginBehind has every page made anew by a catalog from a backup. The report
// that shows it is soon that of this run.
func (s *site) beginBehind(ctx context.Context) error {
	behind, err := s.behind(ctx)
	if err != nil || !behind || s.opts.DryRun {
		return storage(err)
	}
	return storage(s.catalog.Update(ctx, Now(), forgetPages))
}
