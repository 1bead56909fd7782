package nestgen

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/packaging"
	"nestgen/plan"
)

// What an index of the settings lists is kept in the catalog as a view: values of
// projects that follow from what the site lists, what other indexes list, the
// index's own lines, and what was promoted to it. A build brings the views up to
// date after everything else is decided and before pages are made: the projects that
// events are about since the last time, or all where the rules of the view have
// changed. Builds, promotions and their like alone do that, and they hold the lock of
// the site. Snapshots are views as well (snapshots.go).

// viewForm rises when views of an equal site change.
const viewForm = 1

// viewBatch is how many projects of a view are noted at a time.
const viewBatch = 512

// A viewRun is one view on its way to what it is to be.
type viewRun struct {
	Index
	was   catalog.View // as it is known; its zero value if it is not
	rules string

	filter *plan.Filter // nil for none

	// orphan says that the settings have the index no more. Nothing comes to it,
	// and nothing leaves it but what the policy forbids.
	orphan bool

	// stays names projects of which nothing leaves, whatever the rules say.
	stays map[packaging.Name]bool
}

// everything reports whether all projects have to be looked at.
func (v *viewRun) everything() bool { return v.was.Rules != v.rules }

// updateViews brings what the further indexes list up to date.
func (s *site) updateViews(ctx context.Context) error {
	known, err := s.catalog.Views(ctx)
	if err != nil {
		return storage(err)
	}
	snapshots, err := s.catalog.Snapshots(ctx)
	if err != nil || len(known)+len(s.Indexes)+len(snapshots) == 0 {
		return storage(err)
	}
	serial, err := s.catalog.Serial(ctx) // what comes meanwhile is the next run's
	if err != nil {
		return storage(err)
	}
	if err := s.settleNeeds(ctx); err != nil {
		return err
	}
	about, err := s.advisoriesDigest(ctx)
	if err != nil {
		return err
	}
	// What is said of a file without regard to where it is listed.
	rules := map[string]string{rootIndex: fmt.Sprintf("%s %q", s.intent.policy.Digest(), about)}
	frozen := maps.Clone(known)
	maps.DeleteFunc(known, func(name string, _ catalog.View) bool { return isSnapshot(name) })
	for _, x := range s.Indexes {
		v := &viewRun{Index: x, was: known[x.Name], filter: s.indexFilter(&x, Now())}
		v.rules = s.viewRules(v, rules)
		rules[x.Name] = v.rules
		delete(known, x.Name)
		if v.was.Name != "" && v.was.Prefix != x.Prefix {
			if err := s.moveView(ctx, v); err != nil {
				return err
			}
		}
		if err := s.updateView(ctx, v, serial); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if err := s.leaveView(ctx, known[name], rules[rootIndex], serial); err != nil {
			return err
		}
	}
	return s.updateSnapshots(ctx, snapshots, frozen, rules[rootIndex], serial)
}

// viewRules names everything besides events that a view follows from. The rules of
// those that it inherits are known.
func (s *site) viewRules(v *viewRun, rules map[string]string) string {
	h, x := sha256.New(), v.Index
	fmt.Fprintln(h, viewForm, rules[rootIndex])
	for _, from := range x.Inherits {
		fmt.Fprintf(h, "%q %s\n", from, rules[from])
	}
	if own := s.intent.lists[x.Name]; own != nil {
		// What stayed only because not everything was known is looked at again.
		fmt.Fprintln(h, own.digest, s.intent.unfinished)
		for _, p := range s.Projects {
			fmt.Fprintf(h, "%q %d\n", p.Name, p.Versions)
		}
	}
	if f := v.filter; f != nil {
		fmt.Fprintf(h, "%q %q %+v\n", f.Rules, s.Environments, s.Targets)
		if f.NewerThan > 0 {
			fmt.Fprintln(h, f.Now/(24*time.Hour).Microseconds()) // it is looked at once a day
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// updateView has a view list what its rules say, as of a serial.
func (s *site) updateView(ctx context.Context, v *viewRun, serial int64) error {
	if !v.everything() && v.was.Serial == serial {
		return nil
	}
	names, err := s.viewNames(ctx, v)
	if err != nil {
		return storage(err)
	}
	braked := false
	if v.everything() && v.was.Name != "" && !v.orphan {
		if braked, err = s.brakeView(ctx, v); err != nil {
			return err
		}
	}
	now := trueNow()
	for chunk := range slices.Chunk(names, viewBatch) {
		var viewed []viewed
		for _, n := range chunk {
			if err := ctx.Err(); err != nil {
				return err
			}
			p, err := s.viewed(ctx, v, n)
			if err != nil {
				return err
			}
			viewed = append(viewed, p)
		}
		err := s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
			for _, p := range viewed {
				changed, err := tx.PutView(v.Name, p.Project, now, time.Duration(s.Grace))
				if err != nil {
					return err
				}
				for _, f := range p.news {
					if _, err := tx.Promote(v.Name, f, "", ""); err != nil {
						return err
					}
				}
				if !changed {
					continue
				}
				for _, f := range p.forbidden {
					// Nobody is to have it, also those who know its address.
					if err := tx.Withhold(f.Path); err != nil {
						return err
					}
				}
				if err := tx.Withheld(pathsOf(p.Files)); err != nil { // what a run that died was to put away
					return err
				}
			}
			return nil
		})
		if err != nil {
			return storage(err)
		}
	}
	is := catalog.View{Name: v.Name, Prefix: v.Prefix, Rules: v.rules, Serial: serial, Pages: v.was.Pages}
	if braked {
		is.Rules = "" // the next run looks again
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return tx.SetView(is) }))
}

// viewNames gives the projects to look at, in the order of their names.
func (s *site) viewNames(ctx context.Context, v *viewRun) ([]packaging.Name, error) {
	if !v.everything() {
		return s.catalog.ChangedSince(ctx, v.was.Serial)
	}
	set := map[packaging.Name]bool{}
	add := func(names []packaging.Name, err error) error {
		for _, n := range names {
			set[n] = true
		}
		return err
	}
	err := errors.Join(add(s.catalog.ViewNames(ctx, v.Name)), add(s.catalog.PromotedNames(ctx, v.Name)))
	for _, from := range v.Inherits {
		if from == rootIndex {
			err = errors.Join(err, add(s.catalog.Names(ctx)))
		} else {
			err = errors.Join(err, add(s.catalog.ViewNames(ctx, from)))
		}
	}
	if own := s.intent.lists[v.Name]; own != nil {
		for n := range own.wants {
			set[n] = true
		}
		for n := range own.needs {
			set[n] = true
		}
	}
	return slices.Sorted(maps.Keys(set)), err
}

// A viewed is a project as a view is to list it.
type viewed struct {
	*catalog.Project
	news      []catalog.File // promotions of which the site says something new
	forbidden []catalog.File // what the view would list, but nobody is to have
}

// viewed gives a project as a view is to list it.
func (s *site) viewed(ctx context.Context, v *viewRun, n packaging.Name) (p viewed, err error) {
	root, err := s.listed(ctx, rootIndex, n)
	if err != nil {
		return p, err
	}
	p.Project = &catalog.Project{Name: n, Owner: root.Owner}
	status := root.Status
	quarantined := func(q *catalog.Project) {
		// What was quarantined and is not asked for any more is not safe for that.
		if len(root.Files) == 0 && q.Status.State == catalog.Quarantined {
			status = s.intent.policy.Status(n, q.Status)
		}
	}
	files := map[string]catalog.File{}
	has := false
	add := func(more []catalog.File) {
		for _, f := range more {
			if _, there := files[f.Filename]; !there {
				files[f.Filename] = f
			}
		}
	}
	for _, from := range v.Inherits {
		q := root
		if from != rootIndex {
			if q, err = s.listed(ctx, from, n); err != nil {
				return p, err
			}
		}
		has = has || generate.HasPages(q)
		quarantined(q)
		add(q.Files)
		if p.Links == nil {
			p.Links = q.Links
		}
	}
	own := s.intent.lists[v.Name]
	if own != nil {
		add(own.wanted(s, n, root.Files, v.filter))
	}
	if v.filter != nil {
		some := own.selection(s, n, slices.Collect(maps.Values(files)), v.filter)
		clear(files)
		add(some.Filter())
	}
	advice, err := s.advice(ctx, n, nil)
	if err != nil {
		return p, err
	}
	pinned, err := s.catalog.Promotions(ctx, v.Name, n)
	if err != nil {
		return p, storage(err)
	}
	for i, f := range pinned {
		if pinned[i] = s.pinned(root, f, advice); pinned[i] != f {
			p.news = append(p.news, pinned[i])
		}
	}
	add(pinned)
	before, err := s.listed(ctx, v.Name, n)
	if err != nil {
		return p, err
	}
	quarantined(before)
	if v.orphan || v.stays[n] || own != nil && (own.failed || s.intent.unfinished) {
		for i, f := range before.Files {
			before.Files[i] = s.pinned(root, f, advice)
		}
		add(before.Files)
		if v.orphan {
			p.Links = before.Links
		}
	}
	for _, f := range files {
		switch {
		case !s.forbidden(f, advice):
			p.Files = append(p.Files, f)
		case !f.Announced:
			p.forbidden = append(p.forbidden, f)
		}
	}
	catalog.SortFiles(p.Files)
	p.Display = catalog.SpellingOf(n, p.Links, p.Files)
	if has || len(p.Files) > 0 {
		p.Status, p.Note, p.Advisories = status, root.Note, root.Advisories
	}
	return p, nil
}

// pinned gives a file that stays in a view as the site says now: what its index says
// of it, or, if that lists it no more or does not have it here any more, what it said
// last. Whether it is yanked, advisories and the policy decide in any case.
func (s *site) pinned(root *catalog.Project, f catalog.File, advice *plan.Advice) catalog.File {
	if now, ok := listedAs(root, f.Filename); ok {
		if !now.Announced || f.Announced {
			return now
		}
		f.SourceYank = now.SourceYank
	}
	f.Yanked = s.yank(&f, advice)
	return f
}

// forbidden reports whether no index may list a file, whatever else becomes of it.
func (s *site) forbidden(f catalog.File, advice *plan.Advice) bool {
	_, blocked := s.intent.policy.Blocked(f.Project, f.Filename, f.Version)
	return blocked || advice.Blocks(f.Source, f.Version)
}

// listed gives a project as an index lists it, without anything if it does not.
func (s *site) listed(ctx context.Context, index string, n packaging.Name) (*catalog.Project, error) {
	p, err := listedIn(ctx, s.catalog, index, n)
	if errors.Is(err, fs.ErrNotExist) {
		return &catalog.Project{Name: n}, nil
	}
	return p, storage(err)
}

// listedIn reads a project of an index.
func listedIn(ctx context.Context, c *catalog.Catalog, index string, n packaging.Name) (*catalog.Project, error) {
	if index == rootIndex {
		return c.Project(ctx, n)
	}
	return c.ViewProject(ctx, index, n)
}

// brakeView reports whether so many projects would leave a view at once that it
// looks like an accident, and raises the alarm: then nothing of them leaves.
func (s *site) brakeView(ctx context.Context, v *viewRun) (bool, error) {
	if s.opts.AllowRemovals {
		return false, nil
	}
	names, err := s.catalog.ViewNames(ctx, v.Name)
	if err != nil {
		return false, storage(err)
	}
	meant, err := s.tookOverSince(ctx, v.was.Serial)
	if err != nil {
		return false, err
	}
	vanish := map[packaging.Name]bool{}
	for _, n := range names {
		if meant[n] {
			continue // whatever became of it is what the index had shown already
		}
		p, err := s.viewed(ctx, v, n)
		if err != nil {
			return false, err
		}
		if len(p.Files) > 0 {
			continue
		}
		before, err := s.listed(ctx, v.Name, n)
		if err != nil {
			return false, err
		}
		advice, err := s.advice(ctx, n, nil)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(before.Files, func(f catalog.File) bool { return !s.forbidden(f, advice) }) {
			vanish[n] = true
		}
	}
	if len(vanish) == 0 || !tooMany(len(vanish), len(names)) {
		return false, nil
	}
	v.stays = vanish
	s.report.problem(plan.Alarm, "", `if this is meant, run "nestgen build --allow-removals" once`,
		"%d of %d projects would leave the index %s; nothing was taken out of it", len(vanish), len(names), v.Name)
	return true, nil
}

// moveView takes the pages of a view away from where they were. They appear at the
// new place when pages are made.
func (s *site) moveView(ctx context.Context, v *viewRun) error {
	if err := s.removeViewPages(ctx, v.was.Prefix); err != nil {
		return err
	}
	v.was.Prefix, v.was.Pages = v.Prefix, ""
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return tx.SetView(v.was) }))
}

// leaveView sees to a view that the settings do not have any more. If something was
// promoted to it that is not to be had again by the settings alone, somebody has to
// say that it is meant.
func (s *site) leaveView(ctx context.Context, was catalog.View, rules string, serial int64) error {
	promoted, err := s.catalog.PromotedNames(ctx, was.Name)
	if err != nil {
		return storage(err)
	}
	if len(promoted) > 0 && !s.opts.AllowRemovals {
		s.report.problem(plan.Alarm, was.Name, `put the [[index]] back; if it is meant to go, run "nestgen build --allow-removals" once`,
			"the settings do not have this index any more, but files of %d projects were promoted to it; it stays as it is", len(promoted))
		v := &viewRun{Index: Index{Name: was.Name, Prefix: was.Prefix}, was: was, orphan: true}
		v.rules = "gone " + rules
		return s.updateView(ctx, v, serial)
	}
	if err := s.removeViewPages(ctx, was.Prefix); err != nil {
		return err
	}
	s.report.problem(plan.Warning, was.Name, "", "the settings do not have this index any more; its pages were removed")
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for _, n := range promoted {
			files, err := s.catalog.Promotions(ctx, was.Name, n)
			if err != nil {
				return err
			}
			for _, f := range files {
				if _, err := tx.Demote(was.Name, f, "settings", catalog.PromotionReason("", was.Name, "the index is gone"), trueNow(), time.Duration(s.Grace)); err != nil {
					return err
				}
			}
		}
		return tx.DropView(was.Name, trueNow(), time.Duration(s.Grace))
	}))
}

// removeViewPages has the pages below a prefix go.
func (s *site) removeViewPages(ctx context.Context, prefix string) error {
	turn, err := s.turn(ctx)
	if err != nil {
		return storage(err)
	}
	defer turn.Close()
	b := turn.Batch()
	defer b.Close()
	if err := b.RemoveIndex(prefix); err != nil {
		return storage(err)
	}
	stats, err := b.Publish(ctx)
	s.report.Pages.Removed += stats.Removed
	if err != nil {
		return storage(err)
	}
	return s.logPages(ctx, turn, b)
}

// viewPages gives what the settings say about the pages of a view.
func (s *site) viewPages(root *generate.Site, v catalog.View) *generate.Site {
	if isSnapshot(v.Name) {
		return snapshotPages(root, v)
	}
	g := *root
	x, _ := s.index(v.Name) // one that is gone from the settings keeps its pages
	g.Title, g.Prefix, g.Held, g.Statistics, g.Changes = cmp.Or(x.Title, g.Title+": "+v.Name), v.Prefix, 0, false, generate.NoChanges
	return &g
}
