package nestgen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/plan"
)

// A catalog or a site that was put back from a backup does not know what the
// other has done since. It shows in the pages about all projects, which are not
// those that the catalog has published last (see pageRules), or in the report of
// the last run, which knows of more events. Then every page is made anew, pages
// of projects that the catalog does not know go, and nothing in the store is
// deleted before those who read the old pages had their grace.

// behind reports whether the catalog has fewer events than the last run that
// wrote a report.
func (s *site) behind(ctx context.Context) (bool, error) {
	now, err := s.catalog.Serial(ctx)
	return err == nil && now < s.reported(), err
}

// reported gives the serial of the last report, 0 if there is none: it may be deleted.
func (s *site) reported() int64 {
	data, err := os.ReadFile(reportFile(s.State))
	if err != nil {
		return 0
	}
	var last struct{ Serial int64 }
	if json.Unmarshal(data, &last) != nil {
		return 0
	}
	return last.Serial
}

// metaSince is the key under which the catalog keeps when every page was made
// anew in a site that had pages, in microseconds since 1970 UTC.
const metaSince = "pages.since"

// outdate makes every page of an index out of date, until all of them are published. What
// the pages that are there refer to begins its grace anew: they may be those of
// another catalog.
func (s *site) outdate(ctx context.Context, x indexPages) error {
	now := trueNow()
	return s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		if x.view != "" {
			return errors.Join(tx.OutdateView(x.view), x.setRules(tx, ""))
		}
		if err := errors.Join(tx.Outdate(), x.setRules(tx, "")); err != nil || !s.exists(layout.RootJSON) {
			return err
		}
		if err := tx.Spare(now.Add(time.Duration(s.Grace))); err != nil {
			return err
		}
		return tx.SetMeta(metaSince, strconv.FormatInt(now.UnixMicro(), 10))
	})
}

// since is when every page was made anew, if that was in a site that had pages.
func (s *site) since(ctx context.Context) (time.Time, error) {
	text, err := s.catalog.Meta(ctx, metaSince)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	at, err := strconv.ParseInt(text, 10, 64)
	return time.UnixMicro(at), err
}

// mustBePublished refuses a site whose pages are not those of its catalog: they
// may refer to what the catalog does not know.
func (s *site) mustBePublished(ctx context.Context) error {
	work, err := s.outdatedIndexes(ctx)
	if err != nil {
		return err
	}
	everything := slices.ContainsFunc(work, func(x outdatedIndex) bool { return x.everything })
	behind, err := s.behind(ctx)
	if err != nil || !everything && !behind {
		return storage(err)
	}
	return &fault{ErrAlarm, fmt.Errorf("%s: the pages are not those that the catalog has published last; nothing was changed", s.Site),
		`run "nestgen build" first`}
}

// strangers has the pages of projects go that the catalog does not know. More
// of them than the brake lets go by accident stop the run.
func (b *pageBatch) strangers() error {
	projects, known := 0, 0
	for _, shown := range b.shown {
		if !shown.card.IsZero() {
			known++
		}
	}
	shelves := []string{layout.Simple, layout.People, layout.Legacy}
	if b.hasChanges {
		shelves = append(shelves, layout.Changes)
	}
	for _, shelf := range shelves {
		entries, err := os.ReadDir(b.file(b.at(shelf)))
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		for _, e := range entries {
			n, err := packaging.ParseName(e.Name())
			if err != nil || !e.IsDir() || b.has(shelf, n, e.Name()) {
				continue
			}
			if shelf == layout.Simple && string(n) == e.Name() {
				projects++
			}
			if err := b.batch.RemoveFolder(b.at(shelf) + "/" + e.Name()); err != nil {
				return err
			}
		}
	}
	if projects == 0 {
		return nil
	}
	if tooMany(projects, known+projects) && !b.opts.AllowRemovals {
		return &fault{ErrAlarm, fmt.Errorf("%s: %d of %d projects have pages, and the catalog does not know them; no page was changed", b.Site, projects, known+projects),
			`put a newer catalog back, or run "nestgen build --allow-removals" once to go on with this one`}
	}
	b.report.problem(plan.Warning, "", "", "the pages of %d projects were removed that the catalog does not know; it may come from a backup", projects)
	return nil
}

// has reports whether a folder of a project belongs into a shelf.
func (b *pageBatch) has(shelf string, n packaging.Name, folder string) bool {
	shown, ok := b.shown[n]
	if !ok {
		return false
	}
	if string(n) == folder {
		return true // project has seen to it
	}
	return shelf == layout.Simple && slices.Contains(layout.Aliases(shown.card.Display), folder)
}
