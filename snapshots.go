package nestgen

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/publish"
)

// A snapshot is a name for a serial. Its index is a view, of which the projects are
// what the site's own index had at that serial; they are computed once, from the
// history, and then stand still. Only what nobody is to have is not shown as long as
// that is so: what the policy or an advisory blocks, and projects that are quarantined.
// A build looks at those that it may be about and at no others.

// A Snapshot is a serial of a site that has a name, under which the index stays as it
// was.
type Snapshot struct {
	Tag    string `json:"tag"`
	Serial int64  `json:"serial"`

	// Time is when it was made (RFC 3339).
	Time string `json:"time"`

	// Rule is that of the settings which made it; empty if somebody did.
	Rule string `json:"rule,omitempty"`
	Note string `json:"note,omitempty"`

	Counts

	// Lacking is the files that it should have and whose bytes were gone when it was
	// made, sorted.
	Lacking []string `json:"lacking,omitempty"`
}

// snapshotView is what the view of a snapshot is called, and where its pages are.
func snapshotView(tag string) string { return layout.Snapshot(tag) }

// isSnapshot reports whether a view is that of a snapshot. The indexes of the settings
// have no slash in their names.
func isSnapshot(view string) bool { return strings.HasPrefix(view, layout.Snapshots+"/") }

// CheckTag says what is wrong with a name for a snapshot; nil if nothing is. It has
// small letters, digits, "-" and "_", begins with a letter or a digit, and is not a
// number, which would be a serial, nor "now".
func CheckTag(tag string) error {
	if strings.Contains(tag, "/") || !layout.ValidPrefix(snapshotView(tag)) || strings.Trim(tag, "0123456789") == "" || tag == nowTag {
		return fmt.Errorf("snapshot %q: want a name of small letters, digits, \"-\" and \"_\" that begins with a letter or a digit and is no number, as \"2026-11\" or \"before-the-move\"", tag)
	}
	return nil
}

// nowTag stands for the index as it is, where a snapshot could stand.
const nowTag = "now"

// Snapshots gives the snapshots of a site, in the order in which they were made.
func Snapshots(ctx context.Context, c Config) ([]Snapshot, error) {
	cat, err := look(c)
	if err != nil {
		return nil, err
	}
	defer cat.Close()
	all, err := cat.Snapshots(ctx)
	if err != nil {
		return nil, storage(err)
	}
	list := []Snapshot{}
	for _, t := range all {
		if t.State == catalog.SnapshotDropped {
			continue
		}
		s, err := snapshotOf(ctx, cat, t)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func snapshotOf(ctx context.Context, cat *catalog.Catalog, t catalog.Tagged) (Snapshot, error) {
	s := Snapshot{
		Tag: t.Tag, Serial: t.Serial, Time: time.UnixMicro(t.Time).UTC().Format(time.RFC3339), Rule: t.Rule, Note: t.Note,
		Counts: Counts{t.Projects, t.Files, t.Bytes},
	}
	if t.Lacking == 0 {
		return s, nil
	}
	lacking, err := cat.Lacking(ctx, t.Tag)
	s.Lacking = fileNames(lacking)
	return s, storage(err)
}

// fileNames gives all names of files, sorted.
func fileNames(of map[packaging.Name][]string) []string {
	var all []string
	for _, names := range of {
		all = append(all, names...)
	}
	slices.Sort(all)
	return all
}

// SnapshotIndex is what the index of a snapshot is called, for [List] and [Diff];
// "now" stands for the site's own index as it is.
func SnapshotIndex(tag string) string {
	if tag == nowTag {
		return rootIndex
	}
	return snapshotView(tag)
}

// hasSnapshot refuses an index that looks as that of a snapshot and is none.
func hasSnapshot(ctx context.Context, cat *catalog.Catalog, view string) error {
	t, err := cat.Snapshot(ctx, strings.TrimPrefix(view, layout.Snapshots+"/"))
	if err == nil && t.State != catalog.SnapshotDropped {
		return nil
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return noSnapshot(t.Tag, view)
	}
	return storage(err)
}

func noSnapshot(tag, view string) error {
	tag = cmp.Or(tag, strings.TrimPrefix(view, layout.Snapshots+"/"))
	return &fault{ErrSettings, fmt.Errorf("there is no snapshot %q", tag), `"nestgen snapshot list" names them`}
}

// A SnapshotRequest is what somebody wants a snapshot of.
type SnapshotRequest struct {
	Tag string

	// Serial is that whose state it is to be; 0 for the last one.
	Serial int64

	// Note is a line for people, and Who makes it, for the history; both may be empty.
	Note, Who string

	// Force makes it also if bytes of some of its files are gone, without these.
	Force bool
}

// A SnapshotDone says what [CreateSnapshot] did.
type SnapshotDone struct {
	Snapshot

	// Already says that it was there, of the same state.
	Already bool `json:"already,omitempty"`

	Pages    Pages     `json:"pages"`
	Problems []Problem `json:"problems"`
}

// CreateSnapshot gives a serial a name and publishes its index. A name that is taken
// by another state is refused, as is a serial before [catalog.Catalog.Begins] or after
// the last, and one of which files have no bytes any more.
func CreateSnapshot(ctx context.Context, c Config, o Options, r SnapshotRequest) (*SnapshotDone, error) {
	if err := CheckTag(r.Tag); err != nil {
		return nil, &fault{ErrSettings, err, ""}
	}
	if err := checkLine("note", r.Note); err != nil {
		return nil, err
	}
	var done *SnapshotDone
	err := c.atWork(ctx, o, func(s *site) (err error) {
		done, err = s.createSnapshot(ctx, r)
		return err
	})
	return done, err
}

// maxLine is how many bytes people may say for the history: the log has room for them
// in full (see package record).
const maxLine = 1000

// checkLine refuses what somebody says for the history if it is not a line of text.
func checkLine(what, text string) error {
	if len(text) > maxLine || strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text) {
		return &fault{ErrSettings, fmt.Errorf("%s %.60q: want one line of text, of at most %d bytes", what, text, maxLine), ""}
	}
	return nil
}

// atWork opens a site that was built, for somebody who changes what it shows.
func (c Config) atWork(ctx context.Context, o Options, work func(*site) error) error {
	if err := c.built(); err != nil {
		return err
	}
	s, err := open(c, o)
	if err != nil {
		return err
	}
	if err = s.mustHaveBuilt(); err == nil {
		err = s.readIntent(ctx)
	}
	if err == nil {
		s.report.Problems = nil // of the allowlist, which builds tell of
		err = work(s)
	}
	return errors.Join(err, s.close())
}

func (s *site) createSnapshot(ctx context.Context, r SnapshotRequest) (*SnapshotDone, error) {
	if err := s.dropSnapshots(ctx); err != nil { // the name may be that of one which is half gone
		return nil, err
	}
	serial, err := s.serialOf(ctx, r.Serial)
	if err != nil {
		return nil, err
	}
	done := &SnapshotDone{Problems: []Problem{}}
	known, err := s.catalog.Snapshot(ctx, r.Tag)
	switch {
	case err == nil:
		if done.Already, err = s.isOf(ctx, known, serial); err != nil {
			return nil, err
		}
		if !done.Already {
			return nil, &fault{ErrSettings, fmt.Errorf("there is a snapshot %q already, of serial %d", r.Tag, known.Serial), "give this one another name, or drop that one"}
		}
		done.Already = known.State == catalog.SnapshotWhole // else a run has died
	case !errors.Is(err, fs.ErrNotExist):
		return nil, storage(err)
	default:
		if err := s.beginSnapshot(ctx, r, serial); err != nil {
			return nil, err
		}
	}
	if err := s.updateViews(ctx); err != nil {
		return nil, err
	}
	if err := s.publish(ctx); err != nil {
		return nil, err
	}
	if known, err = s.catalog.Snapshot(ctx, r.Tag); err != nil {
		return nil, storage(err)
	}
	done.Snapshot, err = snapshotOf(ctx, s.catalog, known)
	done.Pages, done.Problems = s.report.Pages, append(done.Problems, s.report.Problems...)
	return done, err
}

// serialOf gives a serial that the state is known of; 0 stands for the last one.
func (s *site) serialOf(ctx context.Context, serial int64) (int64, error) {
	last, err := s.catalog.Serial(ctx)
	if err != nil {
		return 0, storage(err)
	}
	begins, err := s.catalog.Begins(ctx)
	switch {
	case err != nil:
		return 0, storage(err)
	case serial == 0:
		return last, nil
	case serial < 0 || serial > last:
		return 0, &fault{ErrSettings, fmt.Errorf("serial %d: the last one is %d", serial, last), ""}
	case serial < begins:
		return 0, &fault{ErrSettings, fmt.Errorf("serial %d: it is not known what the index had then", serial), fmt.Sprintf("the history is whole from serial %d on, when the version of nestgen came that keeps it", begins)}
	}
	return serial, nil
}

// isOf reports whether a snapshot has the state of a serial.
func (s *site) isOf(ctx context.Context, t catalog.Tagged, serial int64) (bool, error) {
	if t.Serial == serial {
		return true, nil
	}
	between, err := s.catalog.ChangedBetween(ctx, min(t.Serial, serial), max(t.Serial, serial))
	return err == nil && !between, storage(err)
}

// beginSnapshot gives a serial a name. The next run makes what follows from it, if this
// one dies.
func (s *site) beginSnapshot(ctx context.Context, r SnapshotRequest, serial int64) error {
	gone, err := s.goneSince(ctx, serial)
	if err != nil {
		return err
	}
	if len(gone) > 0 && !r.Force {
		names := fileNames(gone)
		return &fault{ErrSettings, fmt.Errorf("serial %d: the bytes of %s are gone; no snapshot was made", serial, someOf(names)), "--force makes it without them"}
	}
	t := catalog.Tagged{Tag: r.Tag, Serial: serial, Note: r.Note}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return tx.BeginSnapshot(t, gone, cmp.Or(r.Who, "somebody")) }))
}

// someOf names the first of many files, and how many more there are.
func someOf(names []string) string {
	const first = 10
	text := strings.Join(names[:min(len(names), first)], ", ")
	if more := len(names) - first; more > 0 {
		text += fmt.Sprintf(" and of %d more files", more)
	}
	return text
}

// goneSince gives the files of the index as of a serial that are not to be had any
// more, by project. What the index lists now is here.
func (s *site) goneSince(ctx context.Context, serial int64) (map[packaging.Name][]string, error) {
	names, err := s.catalog.ChangedSince(ctx, serial)
	if err != nil {
		return nil, storage(err)
	}
	all := map[packaging.Name][]string{}
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		_, gone, err := s.frozen(ctx, n, serial, math.MaxInt64)
		if err != nil {
			return nil, err
		}
		if len(gone) > 0 {
			all[n] = gone
		}
	}
	return all, nil
}

// asOf gives a project as the index had it at a serial.
func (s *site) asOf(ctx context.Context, n packaging.Name, serial int64) (*catalog.Project, error) {
	p, err := s.listed(ctx, rootIndex, n)
	if err != nil {
		return nil, err
	}
	if p.Serial > 0 && p.Serial <= serial {
		// It has not changed since, if it has not while it was read.
		now, err := s.catalog.ProjectSerial(ctx, n)
		if err != nil || now <= serial {
			return p, storage(err)
		}
	}
	p, err = s.catalog.ProjectAt(ctx, n, serial)
	return p, storage(err)
}

// frozen gives a project as a snapshot of a serial has it that is named at another one:
// what its simple pages show, and of its files those that can be had, with what was known
// by then of one that had only been announced. Of the others it gives the names.
func (s *site) frozen(ctx context.Context, n packaging.Name, serial, named int64) (p *catalog.Project, gone []string, err error) {
	was, err := s.asOf(ctx, n, serial)
	if err != nil {
		return nil, nil, err
	}
	then, err := s.asOf(ctx, n, named)
	if err != nil {
		return nil, nil, err
	}
	root, err := s.listed(ctx, rootIndex, n)
	if err != nil {
		return nil, nil, err
	}
	here := func(f *catalog.File) bool {
		now, listed := listedAs(root, f.Filename)
		return listed && now.Path == f.Path && !now.Announced || s.hasBytes(f.Path)
	}
	p = &catalog.Project{Name: n, Display: was.Display, Owner: was.Owner, Status: was.Status}
	for _, f := range was.Files {
		can := true
		if f.Announced {
			if f, can, err = s.arrived(ctx, f, then, named); err != nil {
				return nil, nil, err
			}
		}
		if can && (f.Announced || here(&f)) {
			p.Files = append(p.Files, f)
		} else {
			gone = append(gone, f.Filename)
		}
	}
	return p, gone, nil
}

// arrived gives a file that was announced at some time as it is by a later one, but for
// its yank: still announced, or here. can says whether one of both is so; root is what the
// index has of the project at that serial.
func (s *site) arrived(ctx context.Context, f catalog.File, root *catalog.Project, by int64) (is catalog.File, can bool, err error) {
	now, listed := listedAs(root, f.Filename)
	if !listed && s.hasBytes(f.Path) {
		// It came, and has left the index since.
		for r, err := range s.catalog.ProjectRecords(ctx, f.Project, 0, by) {
			if err != nil {
				return f, false, storage(err)
			}
			if r.File != nil && r.Filename == f.Filename && !r.File.Announced {
				now, listed = *r.File, true
			}
		}
	}
	switch {
	case !listed || now.Path != f.Path:
		return f, false, nil
	case now.Announced:
		return f, true, nil
	}
	now.Yanked, now.SourceYank = f.Yanked, f.SourceYank
	return now, true, nil
}

// hasBytes reports whether a file of the store is there, be it in the closed area.
func (s *site) hasBytes(path string) bool {
	if s.exists(path) {
		return true
	}
	_, err := os.Lstat(publish.Withheld(s.State, path))
	return err == nil
}

// thawed gives a project of a snapshot as it may be shown now, and what is to be kept
// of what it was, or nil if that is just the same.
func (s *site) thawed(ctx context.Context, view string, was *catalog.Project) (p viewed, keep *catalog.Project, err error) {
	n := was.Name
	root, err := s.listed(ctx, rootIndex, n)
	if err != nil {
		return p, nil, err
	}
	before, err := s.listed(ctx, view, n)
	if err != nil {
		return p, nil, err
	}
	advice, err := s.advice(ctx, n, nil)
	if err != nil {
		return p, nil, err
	}
	base := *was
	base.Files = slices.Clone(was.Files)
	p.Project = &catalog.Project{Name: n, Display: was.Display, Owner: was.Owner}
	waits := false // for what may come or go
	for i, f := range base.Files {
		if f.Announced {
			var can bool
			if f, can, err = s.arrived(ctx, f, root, math.MaxInt64); err != nil {
				return p, nil, err
			}
			base.Files[i] = f
			waits = waits || f.Announced
			if !can {
				continue // it cannot come any more, as things are
			}
		}
		switch {
		case !s.forbidden(f, advice):
			p.Files = append(p.Files, f)
		case !f.Announced:
			p.forbidden = append(p.forbidden, f)
		}
	}
	// What is quarantined is a matter of now, also where it was then.
	now := root.Status
	if len(root.Files) == 0 && now.State != catalog.Quarantined {
		// What was quarantined and is not asked for any more is not safe for that.
		for _, q := range []*catalog.Project{was, before} {
			if q.Status.State == catalog.Quarantined {
				now = q.Status
			}
		}
	}
	now = s.intent.policy.Status(n, now)
	switch {
	case len(p.Files) == 0:
	case now.State == catalog.Quarantined:
		p.Status = now
	case was.Status.State != catalog.Quarantined:
		p.Status = was.Status
	}
	if waits || p.Status != was.Status || !slices.Equal(p.Files, base.Files) {
		keep = &base
	}
	return p, keep, nil
}

// updateSnapshots has the snapshots show what may be shown of them, as of a serial,
// and makes those that were begun. rules is what the site forbids.
func (s *site) updateSnapshots(ctx context.Context, all []catalog.Tagged, known map[string]catalog.View, rules string, serial int64) error {
	rules = fmt.Sprintf("%d %s", viewForm, rules)
	var looked []catalog.View
	for _, t := range all {
		v := known[snapshotView(t.Tag)]
		switch {
		case t.State == catalog.SnapshotDropped:
		case t.State == catalog.SnapshotBegun:
			v = catalog.View{Name: snapshotView(t.Tag), Prefix: layout.Snapshot(t.Tag), Rules: rules, Serial: serial, Pages: v.Pages}
			if err := s.fillSnapshot(ctx, t, v); err != nil {
				return err
			}
		case v.Rules != rules || v.Serial != serial:
			if err := s.lookAtSnapshot(ctx, v, v.Rules != rules); err != nil {
				return err
			}
			v.Rules, v.Serial = rules, serial
			looked = append(looked, v)
		}
	}
	if len(looked) == 0 {
		return nil
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for _, v := range looked {
			if err := tx.SetView(v); err != nil {
				return err
			}
		}
		return nil
	}))
}

// fillSnapshot makes the projects of a snapshot: what they were when it got its name, as
// the history says, however long ago that is. A run that dies has done some of them, which
// the next finds done.
func (s *site) fillSnapshot(ctx context.Context, t catalog.Tagged, v catalog.View) error {
	named, err := s.catalog.NamedAt(ctx, t.Tag)
	if err != nil {
		return storage(err)
	}
	names, err := s.catalog.NamesAt(ctx, t.Serial)
	if err != nil {
		return storage(err)
	}
	known, err := s.catalog.Lacking(ctx, t.Tag)
	if err != nil {
		return storage(err)
	}
	var has catalog.Counts
	lacking := map[packaging.Name][]string{}
	var news []string // what nobody has been told yet
	for chunk := range slices.Chunk(names, viewBatch) {
		var some []*catalog.Project
		for _, n := range chunk {
			if err := ctx.Err(); err != nil {
				return err
			}
			p, gone, err := s.frozen(ctx, n, t.Serial, named)
			if err != nil {
				return err
			}
			for _, f := range gone {
				lacking[n] = append(lacking[n], f)
				if !slices.Contains(known[n], f) {
					news = append(news, f)
				}
			}
			if len(p.Files) == 0 {
				continue
			}
			some = append(some, p)
			has.Projects++
			has.Files += int64(len(p.Files))
			for i := range p.Files {
				has.Bytes += p.Files[i].Held()
			}
		}
		if err := s.showFrozen(ctx, v.Name, some); err != nil {
			return err
		}
	}
	if len(news) > 0 {
		s.warn(v.Prefix, "", "the bytes of %s are gone; the snapshot is without them", someOf(news))
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		return errors.Join(tx.SetView(v), tx.FinishSnapshot(t.Tag, has, lacking))
	}))
}

// lookAtSnapshot looks at those projects of a snapshot of which other things may be
// shown than the last time: because of events since then, or because the rules are
// others.
func (s *site) lookAtSnapshot(ctx context.Context, v catalog.View, others bool) error {
	names, err := s.catalog.FrozenSince(ctx, v.Name, v.Serial)
	if others {
		set := map[packaging.Name]bool{}
		for _, n := range slices.Concat(names, s.intent.policy.Projects()) {
			set[n] = true
		}
		add := func(names []packaging.Name, e error) {
			for _, n := range names {
				set[n] = true
			}
			err = errors.Join(err, e)
		}
		add(s.catalog.FrozenNames(ctx, v.Name)) // what is not forbidden any more is among them
		add(s.catalog.AdvisedIn(ctx, v.Name))
		if s.intent.policy.BlocksMany() {
			add(s.catalog.ViewNames(ctx, v.Name))
		}
		names = slices.Sorted(maps.Keys(set))
	}
	if err != nil {
		return storage(err)
	}
	for chunk := range slices.Chunk(names, viewBatch) {
		var some []*catalog.Project
		for _, n := range chunk {
			if err := ctx.Err(); err != nil {
				return err
			}
			p, err := s.catalog.Frozen(ctx, v.Name, n)
			if err == nil && p == nil {
				p, err = s.catalog.ViewProject(ctx, v.Name, n)
				if errors.Is(err, fs.ErrNotExist) {
					continue // it is not in this one
				}
			}
			if err != nil {
				return storage(err)
			}
			some = append(some, p)
		}
		if err := s.showFrozen(ctx, v.Name, some); err != nil {
			return err
		}
	}
	return nil
}

// showFrozen has the view of a snapshot show projects as they were, as far as they may
// be shown.
func (s *site) showFrozen(ctx context.Context, view string, some []*catalog.Project) error {
	if len(some) == 0 {
		return nil
	}
	type shown struct {
		viewed
		keep *catalog.Project
	}
	var all []shown
	for _, was := range some {
		p, keep, err := s.thawed(ctx, view, was)
		if err != nil {
			return err
		}
		all = append(all, shown{p, keep})
	}
	now := trueNow()
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for _, p := range all {
			changed, err := tx.PutView(view, p.Project, now, time.Duration(s.Grace))
			if err == nil {
				err = tx.Freeze(view, p.Name, p.keep)
			}
			if err != nil {
				return err
			}
			for _, f := range p.forbidden {
				// Nobody is to have it, also those who know its address.
				if changed || s.exists(f.Path) {
					if err := tx.Withhold(f.Path); err != nil {
						return err
					}
				}
			}
			if !changed {
				continue
			}
			if err := tx.Withheld(pathsOf(p.Files)); err != nil { // what a run that died was to put away
				return err
			}
		}
		return nil
	}))
}

// pathsOf gives the places of files in the store.
func pathsOf(files []catalog.File) []string {
	paths := make([]string, len(files))
	for i := range files {
		paths[i] = files[i].Path
	}
	return paths
}

// DropSnapshots drops snapshots, whose index is gone when it returns. The grace of what
// only they had begins. Either all of them are there or none is dropped.
func DropSnapshots(ctx context.Context, c Config, o Options, who string, tags ...string) (Pages, error) {
	var pages Pages
	err := c.atWork(ctx, o, func(s *site) error {
		if err := s.dropSnapshots(ctx); err != nil { // what a run that died has left
			return err
		}
		var leave []catalog.Tagged
		var faults []error
		for _, tag := range slices.Compact(slices.Sorted(slices.Values(tags))) {
			t, err := s.catalog.Snapshot(ctx, tag)
			if errors.Is(err, fs.ErrNotExist) {
				err = noSnapshot(tag, "")
			}
			faults = append(faults, storage(err))
			leave = append(leave, t)
		}
		if err := errors.Join(faults...); err != nil {
			return err
		}
		if err := s.leaveSnapshots(ctx, leave, cmp.Or(who, "somebody")); err != nil {
			return err
		}
		if err := s.publish(ctx); err != nil {
			return err
		}
		err := s.dropSnapshots(ctx)
		pages = s.report.Pages
		return err
	})
	return pages, err
}

func (s *site) leaveSnapshots(ctx context.Context, leave []catalog.Tagged, who string) error {
	if len(leave) == 0 {
		return nil
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for _, t := range leave {
			if err := tx.LeaveSnapshot(t, who); err != nil {
				return err
			}
		}
		return nil
	}))
}

// dropSnapshots has the pages of the snapshots go that are to be dropped, and forgets
// these. No page leads to them any more.
func (s *site) dropSnapshots(ctx context.Context) error {
	all, err := s.catalog.Snapshots(ctx)
	if err != nil {
		return storage(err)
	}
	for _, t := range all {
		if t.State != catalog.SnapshotDropped {
			continue
		}
		if err := s.publish(ctx); err != nil { // the page of snapshots, if a run has died
			return err
		}
		view := snapshotView(t.Tag)
		if err := s.removeViewPages(ctx, layout.Snapshot(t.Tag)); err != nil {
			return err
		}
		err := s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
			return tx.DropSnapshot(t.Tag, view, trueNow(), time.Duration(s.Grace))
		})
		if err != nil {
			return storage(err)
		}
	}
	return nil
}

// snapshotPages gives what the settings say about the pages of a snapshot: it has the
// simple ones, for installers.
func snapshotPages(root *generate.Site, v catalog.View) *generate.Site {
	return &generate.Site{BaseURL: root.BaseURL, Prefix: v.Prefix, Has: generate.Root}
}

// metaSnapshots is the key under which the catalog keeps what the page of snapshots
// depends on that was published last; empty if there is none.
const metaSnapshots = "snapshots"

// A snapshotList is the page of the snapshots: what it is to show, by what it is known
// that it does, and whether it does not yet.
type snapshotList struct {
	*generate.Site
	all      []catalog.Tagged
	rules    string
	outdated bool
}

// snapshotList reads what there is of snapshots, for their page.
func (s *site) snapshotList(ctx context.Context) (l snapshotList, err error) {
	l.Site = new(generate.Site)
	if s.joined {
		return l, nil // it is for those who hold the lock
	}
	all, err := s.catalog.Snapshots(ctx)
	if err != nil {
		return l, storage(err)
	}
	for _, t := range all {
		if t.State == catalog.SnapshotWhole && s.People {
			l.all = append(l.all, t)
		}
	}
	published, err := s.catalog.Meta(ctx, metaSnapshots)
	if err != nil || len(l.all) == 0 {
		l.outdated = published != "" || err == nil && s.exists(layout.SnapshotsHTML)
		return l, storage(err)
	}
	if l.Site, err = s.pages(); err != nil {
		return l, err
	}
	l.rules = s.listRules(l)
	l.outdated = l.rules != published
	return l, nil
}

// listRules names everything that the page of snapshots depends on, and that it is the
// one that was published last.
func (s *site) listRules(l snapshotList) string {
	if len(l.all) == 0 {
		return ""
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d %q %q %d %v %s\n", pageFormat, l.Title, l.BaseURL, l.Has, s.Gzip, l.Templates.Digest())
	fmt.Fprintf(h, "%+v\n", l.all)
	fi, err := os.Lstat(s.file(layout.SnapshotsHTML))
	if err == nil {
		fmt.Fprintln(h, fi.Size(), fi.ModTime().UnixNano())
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// publishList publishes the page of the snapshots, or has it go. All that it leads to
// is there.
func (s *site) publishList(ctx context.Context, turn *publish.Turn, l snapshotList) (*publish.Batch, error) {
	b := s.newBatch(turn, l.Site, true)
	err := func() error {
		if len(l.all) > 0 {
			return l.SnapshotsPage(l.all, b)
		}
		for _, path := range []string{layout.SnapshotsHTML, layout.SnapshotsHTML + ".gz"} {
			if b.exists(path) {
				if err := b.batch.Remove(path); err != nil {
					return err
				}
			}
		}
		return nil
	}()
	if err == nil {
		err = b.publish(ctx)
	}
	return b.batch, storage(errors.Join(err, b.batch.Close()))
}
