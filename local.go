package nestgen

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sync/errgroup"

	"nestgen/catalog"
	"nestgen/drop"
	"nestgen/intake"
	"nestgen/packaging"
	"nestgen/plan"
)

// localFiles is what the drop folders have, and how much of it this run must
// look at.
type localFiles struct {
	view *drop.View

	// serial is that of the last event before the folders were read.
	serial int64

	// counts is how many entries each project has, for the projects that must
	// be looked at. A project that has lost its last entry is there with 0.
	counts map[packaging.Name]int

	// told is the projects about whose files something had to be told. The next
	// run looks at them again, so that it is told as long as it is so.
	told map[packaging.Name]bool

	// mine is the names without an owner that the drop folders have a file for,
	// and snippets are the links of those that an upstream may still get.
	mine     map[packaging.Name]bool
	snippets map[packaging.Name][]drop.Entry

	// passedOver is the file names in the drop folders that the scan itself
	// rejected or put off: links, pipes, files that are being written; and
	// putOff the names of their projects, which are held back as those of files
	// that are taken.
	passedOver map[string]bool
	putOff     map[packaging.Name]bool

	// toTake is what a build would take, by project and file name, in a run that
	// only looks.
	toTake map[packaging.Name]map[string]taking

	// failed says that something accepted could not be taken: the next run
	// must look at everything again.
	failed atomic.Bool
}

// A taking is a file that a build would take.
type taking struct {
	plan.Take
	entry drop.Entry
}

// foresee notes what a build would take of a project.
func (l *localFiles) foresee(d *decided) {
	if len(d.Take) == 0 {
		return
	}
	if l.toTake == nil {
		l.toTake = map[packaging.Name]map[string]taking{}
	}
	files := map[string]taking{}
	for _, t := range d.Take {
		files[t.File] = taking{t, d.entries[t.Entry]}
	}
	l.toTake[d.Name] = files
}

// complete reports whether the folders were read, and all of them.
func (l *localFiles) complete() bool { return l.view != nil && l.view.Complete() }

func (l *localFiles) close() error {
	if l.view == nil {
		return nil
	}
	return l.view.Close()
}

// The values that the catalog keeps about the drop folders: the digest of the
// scan that was applied last, empty if it could not be applied whole, of the
// rules that it was applied by, and the projects about whose files something
// was told.
const (
	metaScan  = "drop.scan"
	metaRules = "drop.rules"
	metaTold  = "drop.told"
)

// inspection is the version of what package intake and plan accept; a new one
// makes rejected files be looked at again.
const inspection = "1"

// scanDrop lists the drop folders, inspects what is new there, and finds out
// which projects are concerned.
func (s *site) scanDrop(ctx context.Context) error {
	l := &s.local
	l.counts = map[packaging.Name]int{}
	l.told = map[packaging.Name]bool{}
	l.mine = map[packaging.Name]bool{}
	l.snippets = map[packaging.Name][]drop.Entry{}
	if !s.opts.DryRun {
		if err := os.MkdirAll(s.State, 0o700); err != nil {
			return storage(err)
		}
	}
	folders, err := s.dropFolders(ctx)
	if err != nil {
		return err
	}
	if l.serial, err = s.catalog.Serial(ctx); err != nil {
		return storage(err)
	}
	l.view, err = drop.Scan(ctx, folders, filepath.Join(s.State, "drop.cache"), drop.Options{
		Rules: fmt.Sprint(inspection, s.LinkPasswords, int64(s.MaxFile)),
		Links: drop.LinkOptions{RefuseSecrets: s.LinkPasswords == "refuse"},
	})
	if err != nil {
		return storage(fmt.Errorf("scan drop folders: %w", err))
	}
	touched, err := s.inspectDrop(ctx)
	if err != nil {
		return err
	}
	l.passedOver, l.putOff = map[string]bool{}, map[packaging.Name]bool{}
	notes := l.view.Report()
	for _, n := range slices.Concat(notes.Rejected, notes.Waiting) {
		file := filepath.Base(n.File)
		l.passedOver[file] = true
		if name, err := packaging.ParseFilename(file, ""); err == nil {
			l.putOff[name.Project] = true
		}
	}
	for e, err := range l.view.Gone() {
		if err != nil {
			return err
		}
		touched[e.Project] = true
	}
	delete(touched, "")
	scan, err := l.view.Digest()
	if err != nil {
		return err
	}
	applied, err := s.catalog.Meta(ctx, metaScan)
	if err != nil {
		return storage(err)
	}
	rules, err := s.catalog.Meta(ctx, metaRules)
	if err != nil {
		return storage(err)
	}
	told, err := s.catalog.Meta(ctx, metaTold)
	if err != nil {
		return storage(err)
	}
	for n := range strings.FieldsSeq(told) {
		touched[packaging.Name(n)] = true
	}
	unseen, err := s.unseenUploads(ctx)
	if err != nil {
		return err
	}
	for n := range unseen {
		touched[n] = true
	}
	// What is new or gone since the cache was written says nothing about another
	// catalog than the one that it goes with, as one from a backup is.
	everything := l.view.Cold() != nil || applied != l.view.Known().String() || rules != s.localRules()
	switch {
	case !everything && applied == scan.String() && told == "" && len(unseen) == 0:
		return nil
	case !everything:
		for n := range touched {
			l.counts[n] = 0
		}
		return s.countLocal(l.view.Of(touched))
	}
	for p, err := range s.catalog.Projects(ctx) {
		if err != nil {
			return storage(err)
		}
		local := func(f catalog.File) bool { return f.Source == catalog.Local }
		if p.Owner == catalog.Local || len(p.Links) > 0 || slices.ContainsFunc(p.Files, local) {
			l.counts[p.Name] = 0
		}
	}
	for n := range s.intent.links {
		l.counts[n] = 0
	}
	return s.countLocal(l.view.Entries())
}

func (s *site) countLocal(entries iter.Seq2[drop.Entry, error]) error {
	for e, err := range entries {
		if err != nil {
			return err
		}
		if e.Project != "" {
			s.local.counts[e.Project]++
		}
	}
	return nil
}

// inspectDrop passes every new or altered file through the gate, and gives the
// projects that it belongs to now or belonged to before.
func (s *site) inspectDrop(ctx context.Context) (map[packaging.Name]bool, error) {
	v := s.local.view
	touched := map[packaging.Name]bool{}
	var mu sync.Mutex
	touch := func(n packaging.Name) {
		mu.Lock()
		touched[n] = true
		mu.Unlock()
	}
	n := v.Counts()
	s.progress.Stage("inspecting", int64(n.New+n.Altered))
	g, gctx := errgroup.WithContext(ctx)
	changed := make(chan drop.Entry, 16*s.jobs())
	g.Go(func() error {
		defer close(changed)
		for e, err := range v.Changed() {
			if err != nil {
				return err
			}
			select {
			case changed <- e:
			case <-gctx.Done():
				return nil
			}
		}
		return nil
	})
	for range s.jobs() {
		g.Go(func() error {
			for e := range changed {
				touch(e.Project)
				if err := s.inspectEntry(gctx, e, touch); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := firstCause(g.Wait(), ctx.Err()); err != nil {
		return nil, err
	}
	return touched, nil
}

// inspectEntry passes a file through the gate, and tells the projects that it
// belongs to.
func (s *site) inspectEntry(ctx context.Context, e drop.Entry, touch func(packaging.Name)) error {
	v := s.local.view
	if e.Kind == drop.Snippet {
		links, err := v.ReadLinks(e)
		for _, l := range links {
			touch(l.Project)
		}
		return s.unread(ctx, e, err)
	}
	err := v.Inspect(e, func(f *drop.File) (drop.Outcome, error) {
		o, err := s.inspect(ctx, f, e)
		touch(o.Project)
		return o, err
	})
	s.progress.Step(1, e.Size)
	return s.unread(ctx, e, err)
}

// unread judges what came of looking at a dropped file. A file that cannot be
// read is left for another run, whatever is wrong with its disk or with this
// process at that moment; the others go on.
func (s *site) unread(ctx context.Context, e drop.Entry, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if errors.Is(err, drop.ErrSkipped) {
		return nil
	}
	if _, ok := errors.AsType[syscall.Errno](err); !ok {
		return err
	}
	s.local.view.Skip(e, err)
	s.local.failed.Store(true)
	return nil
}

// inspect finds out whether a dropped file may be listed.
func (s *site) inspect(ctx context.Context, f *drop.File, e drop.Entry) (drop.Outcome, error) {
	var o drop.Outcome
	if e.Size > int64(s.MaxFile) {
		return drop.Outcome{Verdict: drop.Rejected, Reason: fmt.Sprintf("larger than the limit of %d bytes", int64(s.MaxFile)), Hint: "raise max_file if it is meant to be listed"}, nil
	}
	sum, facts, err := intake.InspectSum(untilDone{ctx, f}, e.Size, e.Filename(), "", intake.Drop)
	o.SHA256 = sum
	if reason := rejection(err); reason != nil {
		o.Verdict, o.Reason = drop.Rejected, reason.Error()
		if name, err := packaging.ParseFilename(e.Filename(), ""); err == nil {
			o.Project = name.Project
		}
		return o, nil
	}
	if err != nil {
		return o, err
	}
	o.Verdict = drop.Accepted
	o.Project = facts.Filename.Project
	if len(facts.Warnings) > 0 {
		o.Reason = facts.Warnings[0]
	}
	return o, nil
}

// rejection gives the error if it says that a file may not be listed, and nil
// if it says anything else.
func rejection(err error) error {
	if r, ok := errors.AsType[intake.Rejection](err); ok {
		return r
	}
	if e, ok := errors.AsType[*packaging.FilenameError](err); ok {
		return e
	}
	return nil
}

// batchFiles is how many files of drop folders are decided about and taken at
// once: enough to make one sync worth its while, few enough to be held. What the
// scan knows of passBatches times as many is held, because finding them means
// going through everything that it knows.
const (
	batchFiles  = 2048
	passBatches = 4
)

// localBatches gives the projects that must be looked at, sorted by name, in
// batches of some thousand files, with their files.
func (s *site) localBatches() iter.Seq2[map[packaging.Name][]drop.Entry, error] {
	return func(yield func(map[packaging.Name][]drop.Entry, error) bool) {
		names := slices.Sorted(maps.Keys(s.local.counts))
		for len(names) > 0 {
			pass := s.firstOf(names, passBatches*batchFiles)
			names = names[len(pass):]
			found, err := s.entriesOf(pass)
			if err != nil {
				yield(nil, err)
				return
			}
			for len(pass) > 0 {
				batch := make(map[packaging.Name][]drop.Entry)
				for _, n := range s.firstOf(pass, batchFiles) {
					batch[n] = found[n]
					delete(found, n)
				}
				pass = pass[len(batch):]
				if !yield(batch, nil) {
					return
				}
			}
		}
	}
}

// firstOf gives the first of some projects that together have no more than so
// many files, but one at least.
func (s *site) firstOf(names []packaging.Name, files int) []packaging.Name {
	n := 0
	for have := 0; n < len(names); n++ {
		if have += s.local.counts[names[n]]; have > files && n > 0 {
			break
		}
	}
	return names[:n]
}

// entriesOf gives the files of projects in the drop folders.
func (s *site) entriesOf(names []packaging.Name) (map[packaging.Name][]drop.Entry, error) {
	want := make(map[packaging.Name]bool, len(names))
	for _, n := range names {
		if s.local.counts[n] > 0 {
			want[n] = true
		}
	}
	found := make(map[packaging.Name][]drop.Entry, len(want))
	if len(want) == 0 {
		return found, nil
	}
	for e, err := range s.local.view.Of(want) {
		if err != nil {
			return nil, err
		}
		found[e.Project] = append(found[e.Project], e)
	}
	return found, nil
}

// dropped makes plan's view of accepted entries.
func (s *site) dropped(n packaging.Name, entries []drop.Entry) []plan.Dropped {
	var all []plan.Dropped
	for i, e := range entries {
		if e.Kind != drop.Distribution || e.Verdict != drop.Accepted {
			continue
		}
		name, err := packaging.ParseFilename(e.Filename(), n)
		if err != nil {
			continue // it was accepted for another project than its name says now
		}
		all = append(all, plan.Dropped{Where: s.short(e.Name()), File: e.Filename(), Filename: name, Size: e.Size, SHA256: e.SHA256, Entry: i,
			Signed: !e.Signature.IsZero(), Provenance: !e.Provenance.IsZero()})
	}
	return all
}

// dropLinks reads the development links of a project's snippets. They are not
// whole if a snippet cannot be read, or there may be more that cannot be seen.
func (s *site) dropLinks(entries []drop.Entry) (links []catalog.Link, whole bool, err error) {
	whole = s.local.view.Complete()
	for _, e := range entries {
		if e.Kind != drop.Snippet {
			continue
		}
		l, err := s.local.view.ReadLinks(e)
		if err != nil && !errors.Is(err, drop.ErrSkipped) {
			return nil, false, err
		}
		whole = whole && err == nil
		links = append(links, l...)
	}
	return links, whole, nil
}

// reportDrop puts the notes of the scan into the report.
func (s *site) reportDrop() {
	r := s.local.view.Report()
	for _, n := range r.Rejected {
		s.report.problem(plan.Incomplete, s.short(n.File), n.Hint, "rejected: %s", n.Reason)
	}
	for _, n := range r.Missing {
		s.report.problem(plan.Incomplete, s.short(n.File), "nothing that came from there was taken out of the index", "drop folder cannot be read: %s", n.Reason)
	}
	for _, n := range r.Waiting {
		s.report.problem(plan.Warning, s.short(n.File), n.Hint, "left for the next run: %s", n.Reason)
	}
	for _, n := range r.Warned {
		s.report.problem(plan.Warning, s.short(n.File), n.Hint, "%s", n.Reason)
	}
	for _, n := range r.Ignored {
		s.log.Debug("ignored", "file", n.File, "reason", n.Reason)
	}
}

// remember notes that the drop folders were applied, and lets the scan keep
// what it learned.
func (s *site) remember(ctx context.Context) error {
	v := s.local.view
	scan, err := v.Digest()
	if err != nil {
		return err
	}
	applied := scan.String()
	if s.local.failed.Load() {
		applied = ""
	}
	var told []string
	for n := range s.local.told {
		told = append(told, string(n))
	}
	slices.Sort(told)
	now := map[string]string{metaScan: applied, metaRules: s.localRules(), metaTold: strings.Join(told, " "), metaPolicy: s.policyDigest(), metaFilters: s.filterRules()}
	if mark := uploadsMark(s.Uploads); mark != "" && v.Complete() {
		now[metaUploads] = mark
	}
	if s.only != nil {
		delete(now, metaFilters) // the next whole run looks at the others by them
	}
	old := map[string]string{}
	for key := range now {
		if old[key], err = s.catalog.Meta(ctx, key); err != nil {
			return storage(err)
		}
	}
	if !maps.Equal(old, now) {
		err := s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
			for key, value := range now {
				if err := tx.SetMeta(key, value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return storage(err)
		}
	}
	if err := s.sawUploads(ctx, s.local.serial); err != nil {
		return err
	}
	if err := v.Save(); err != nil {
		return storage(fmt.Errorf("write the cache of the drop folders: %w", err))
	}
	return nil
}
