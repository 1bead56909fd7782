package nestgen

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"nestgen/catalog"
	"nestgen/drop"
	"nestgen/intake"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/publish"
)

// carry does what was decided about a batch of projects: it brings the new
// files into the stage, through the gate and into the store, and notes
// everything in the catalog. What leaves the index waits for [site.withdraw].
func (s *site) carry(ctx context.Context, batch []*decided) error {
	for _, d := range batch {
		if s.opts.Each != nil && d.Changes() {
			s.opts.Each(d.Project)
		}
	}
	if s.opts.DryRun {
		s.foresee(batch)
		return nil
	}
	arrivals, err := s.stage(ctx, batch)
	if err != nil {
		return storage(err)
	}
	if err := s.expose(ctx, arrivals); err != nil {
		return err
	}
	if err := s.record(ctx, batch, arrivals); err != nil {
		return storage(err)
	}
	for _, d := range batch {
		s.postpone(d)
	}
	return nil
}

// foresee writes what would be done into the report of a dry run.
func (s *site) foresee(batch []*decided) {
	for _, d := range batch {
		for _, t := range d.Take {
			s.report.Added.add(catalog.File{Project: d.Name, Filename: t.File, Version: t.Filename.Version, Size: t.Size, SHA256: t.SHA256, Source: catalog.Local}, t.Why)
		}
		for _, c := range d.Fetch {
			f := catalog.File{Project: d.Name, Filename: c.Offer.Filename, Version: c.Filename.Version, Size: max(c.Offer.Size, 0), Source: c.Source}
			f.SHA256, _ = catalog.ParseDigest(c.Offer.Hashes["sha256"]) // zero when the upstream does not say
			s.report.Added.add(f, c.Why)
			s.report.Fetched.Files++
			s.report.Fetched.Bytes += f.Size
		}
		for _, k := range d.Keep {
			if k.Changed {
				s.report.Changed.add(k.File, k.Why)
			}
		}
		if d.relink {
			s.report.Relinked++
		}
		s.postpone(d)
	}
}

// An arrival is a new file in the stage that has passed the gate.
type arrival struct {
	exposure publish.Exposure
	file     catalog.File
	display  string
	why      []string
	refused  bool // the store has other bytes in its place
}

// stage brings the new files of a batch into the stage. A file that cannot be
// had is reported and does not stop the others; an error is for what stops
// them all.
func (s *site) stage(ctx context.Context, batch []*decided) (map[*decided][]*arrival, error) {
	arrivals := map[*decided][]*arrival{}
	downloading := 0
	for _, d := range batch {
		if n := len(d.Take) + len(d.Fetch); n > 0 {
			arrivals[d] = make([]*arrival, n)
		}
		downloading += len(d.Fetch)
	}
	if len(arrivals) == 0 {
		return arrivals, nil
	}
	if downloading > 0 {
		s.progress.Stage("fetching", int64(downloading))
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var takes, downloads errgroup.Group
	takes.SetLimit(s.jobs())
	downloads.SetLimit(4 * s.jobs())
	// An error of one file is one for all: the others need not go on.
	all := func(err error) error {
		if err != nil {
			stop()
		}
		return err
	}
	for _, d := range batch {
		slots := arrivals[d]
		for i, t := range d.Take {
			takes.Go(func() (err error) {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				slots[i], err = s.take(ctx, d, t)
				s.progress.Step(1, t.Size)
				return all(err)
			})
		}
		for i, c := range d.Fetch {
			downloads.Go(func() (err error) {
				slots[len(d.Take)+i], err = s.fetch(ctx, d, c)
				s.progress.Step(1, 0)
				return all(err)
			})
		}
	}
	return arrivals, firstCause(takes.Wait(), downloads.Wait(), ctx.Err())
}

// firstCause gives the first error that is not merely the echo of another one.
func firstCause(errs ...error) error {
	var echo error
	for _, err := range errs {
		if errors.Is(err, context.Canceled) {
			echo = err
		} else if err != nil {
			return err
		}
	}
	return echo
}

// take copies a file of a drop folder into the stage. The copy is what is
// inspected: whoever can write to the drop folder cannot reach it. The arrival
// is nil if the file could not be taken.
func (s *site) take(ctx context.Context, d *decided, t plan.Take) (*arrival, error) {
	e := d.entries[t.Entry]
	var a *arrival
	f, err := s.local.view.Open(e)
	if err != nil {
		err = &droppedError{err}
	} else {
		a, err = s.takeFrom(ctx, f, e, d, t)
		f.Close()
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if isStorage(err) && !ofDropped(err, e) {
			return nil, err
		}
		s.lose(d, plan.Incomplete, t.Where, "the next run tries again", "not taken: %v", err)
		s.local.failed.Store(true)
		return nil, nil
	}
	return a, nil
}

func (s *site) takeFrom(ctx context.Context, f *os.File, e drop.Entry, d *decided, t plan.Take) (*arrival, error) {
	tmp, err := s.tree.NewFile()
	if err != nil {
		return nil, err
	}
	defer tmp.Close()
	// Reading a closed file fails at once, whichever of them is being read.
	defer context.AfterFunc(ctx, func() { f.Close(); tmp.Close() })()
	sums, err := intake.Copy(tmp, f, int64(s.MaxFile))
	if err != nil {
		return nil, err
	}
	if sums.SHA256 != t.SHA256 {
		return nil, errors.New("it changed while it was read")
	}
	facts, err := intake.Inspect(tmp, sums.Size, t.File, d.Name, intake.Drop)
	if err != nil {
		return nil, err
	}
	a := newArrival(d.Name, t.File, sums, facts, tmp.Name())
	a.why = t.Why
	a.file.Source = catalog.Local
	a.file.Uploaded = firstSeen(e.CTime)
	a.file.Yanked = s.intent.policy.Yank(d.Name, t.File, a.file.Version, catalog.Yank{})
	if err := s.checkMetadata(e, t, facts); err != nil {
		return nil, err
	}
	for _, c := range []drop.Companion{drop.Signature, drop.Provenance} {
		data, err := s.companion(e, c)
		if err != nil {
			return nil, err
		}
		a.beside(c, data)
	}
	return a, nil
}

// checkMetadata holds a metadata file that lies beside a dropped file against
// what the file itself says, which is what is published (PEP 658).
func (s *site) checkMetadata(e drop.Entry, t plan.Take, facts intake.Facts) error {
	data, err := s.companion(e, drop.Metadata)
	if err != nil {
		return err
	}
	if data != nil && !bytes.Equal(data, facts.Metadata) {
		s.warn(t.Where+drop.Metadata.Ending(), "remove it: what the file itself holds is published", "it is not the metadata that %s holds", t.File)
	}
	return nil
}

// A droppedError is an error of a drop folder's own disk.
type droppedError struct{ error }

func (e *droppedError) Unwrap() error { return e.error }

// ofDropped reports whether an error comes from reading a file of a drop
// folder, or a companion of it, and not from the disk that the site is on.
func ofDropped(err error, e drop.Entry) bool {
	if _, ok := errors.AsType[*droppedError](err); ok {
		return true
	}
	p, ok := errors.AsType[*fs.PathError](err)
	return ok && strings.HasPrefix(p.Path, e.Name())
}

// firstSeen is when a local file was put where it was found: the time of its
// last status change, which copying an old file does not set back. It is cut
// to seconds and never later than now.
func firstSeen(ctime int64) int64 {
	now := Now()
	t := time.Unix(0, ctime)
	if os.Getenv("SOURCE_DATE_EPOCH") != "" || t.After(now) {
		t = now
	}
	return t.Truncate(time.Second).UnixMicro()
}

// maxCompanion is how large a signature or an attestation may be.
const maxCompanion = 1 << 20

// companion reads a companion of a dropped file; nil if there is none.
func (s *site) companion(e drop.Entry, c drop.Companion) ([]byte, error) {
	if e.Companion(c).IsZero() {
		return nil, nil
	}
	f, err := s.local.view.OpenCompanion(e, c)
	if err != nil {
		return nil, &droppedError{err}
	}
	defer f.Close()
	return readCompanion(f)
}

func readCompanionAt(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readCompanion(f)
}

func readCompanion(f *os.File) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, maxCompanion+1))
	if err == nil && len(data) > maxCompanion {
		err = fmt.Errorf("larger than %d bytes", maxCompanion)
	}
	return data, err
}

// newArrival makes a file of what the gate found out about bytes in the stage.
func newArrival(n packaging.Name, filename string, sums intake.Digests, facts intake.Facts, temp string) *arrival {
	a := &arrival{display: facts.Display}
	a.file = catalog.File{
		Project: n, Filename: filename, Version: facts.Filename.Version, Kind: facts.Filename.Kind,
		Size: sums.Size, SHA256: sums.SHA256, BLAKE2b: sums.BLAKE2b,
		Path: layout.File(sums.BLAKE2b, filename), RequiresPython: facts.RequiresPython,
	}
	a.exposure = publish.Exposure{Temp: temp, Target: a.file.Path}
	if facts.Metadata != nil {
		a.file.Metadata = sha256.Sum256(facts.Metadata)
		a.exposure.Companions = append(a.exposure.Companions, publish.Companion{Path: layout.CoreMetadata(a.file.Path), Data: facts.Metadata})
	}
	return a
}

// beside adds a companion that came with the file.
func (a *arrival) beside(c drop.Companion, data []byte) {
	if data == nil {
		return
	}
	path := layout.Signature(a.file.Path)
	if c == drop.Provenance {
		path = layout.Provenance(a.file.Path)
		a.file.Provenance = true
	} else {
		a.file.Signed = true
	}
	a.exposure.Companions = append(a.exposure.Companions, publish.Companion{Path: path, Data: data})
}

// lose reports a file that could not be had. Nothing of its project leaves the
// index in this run, so that what replaces a file is there before it goes.
func (s *site) lose(d *decided, level plan.Level, where, hint, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.failed = true
	s.report.problem(level, where, hint, format, args...)
}

// refuse reports a file that did not pass the gate, and remembers it.
func (s *site) refuse(d *decided, c plan.Choice, reason error) {
	r := refusalOf(c)
	r.Reason = reason.Error()
	s.lose(d, plan.Incomplete, string(d.Name), "it is not fetched again unless the upstream changes it", "%s: %s: rejected: %v", c.Source, c.Offer.Filename, reason)
	s.mu.Lock()
	d.refused = append(d.refused, r)
	s.mu.Unlock()
}

// warn reports what is odd, from where several files are worked on at once.
func (s *site) warn(where, hint, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.problem(plan.Warning, where, hint, format, args...)
}

// expose puts the arrivals into the store.
func (s *site) expose(ctx context.Context, arrivals map[*decided][]*arrival) error {
	var batch []publish.Exposure
	var of []*arrival
	for _, all := range arrivals {
		for _, a := range all {
			if a != nil {
				of = append(of, a)
			}
		}
	}
	slices.SortFunc(of, func(a, b *arrival) int { return strings.Compare(a.file.Path, b.file.Path) })
	for _, a := range of {
		batch = append(batch, a.exposure)
	}
	if len(batch) == 0 {
		return nil
	}
	altered, err := s.tree.Expose(ctx, batch)
	if err != nil {
		return storage(err)
	}
	for _, e := range altered {
		of[e.Index].refused = true
		s.local.failed.Store(true) // it is told again until somebody has looked
		s.report.problem(plan.Alarm, of[e.Index].file.Filename, `run "nestgen verify"`, "%v", e)
	}
	return nil
}

// record notes a batch in the catalog, in one transaction.
func (s *site) record(ctx context.Context, batch []*decided, arrivals map[*decided][]*arrival) error {
	if len(batch) == 0 {
		return nil
	}
	return s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for _, d := range batch {
			if err := s.recordProject(tx, d, arrivals[d]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *site) recordProject(tx *catalog.Tx, d *decided, arrivals []*arrival) error {
	for _, a := range d.answers {
		if err := tx.SetListing(a.upstream, d.Name, a.listing); err != nil {
			return err
		}
	}
	for _, r := range d.refused {
		if err := tx.Refuse(r); err != nil {
			return err
		}
	}
	arrivals = slices.DeleteFunc(arrivals, func(a *arrival) bool { return a == nil || a.refused })
	// A project without files has a page only if its source gave it a status.
	if d.Current == nil && len(arrivals) == 0 && len(d.links) == 0 && (d.Status == catalog.Status{} || len(d.answers) == 0) {
		return nil // nothing of it is here
	}
	if err := tx.Claim(d.Name, display(d, arrivals), d.owner); err != nil {
		return err
	}
	for _, a := range arrivals {
		old, again := listedAs(d.Current, a.file.Filename)
		if again {
			a.file.Uploaded = old.Uploaded
		}
		err := tx.Put(a.file, strings.Join(a.why, "; "))
		if errors.Is(err, catalog.ErrAltered) {
			d.failed = true
			s.local.failed.Store(true)
			s.report.problem(plan.Alarm, a.file.Filename, "a file name is spent once it was used", "%v", err)
			continue
		}
		if err != nil {
			return err
		}
		if again {
			s.report.Changed.add(a.file, a.why)
		} else {
			s.report.Added.add(a.file, a.why)
		}
	}
	for _, k := range d.Keep {
		if !k.Changed {
			continue
		}
		if err := tx.Put(k.File, ""); err != nil {
			return err
		}
		s.report.Changed.add(k.File, k.Why)
	}
	if d.Current == nil || d.Current.Status != d.Status || d.Current.Note != d.Note {
		if err := tx.SetStatus(d.Name, d.Status, d.Note, "policy"); err != nil {
			return err
		}
	}
	if d.relink {
		s.report.Relinked++
		return tx.SetLinks(d.Name, d.links)
	}
	return nil
}

// listedAs gives a file of a project as the index has it.
func listedAs(p *catalog.Project, filename string) (catalog.File, bool) {
	if p != nil {
		for _, f := range p.Files {
			if f.Filename == filename {
				return f, true
			}
		}
	}
	return catalog.File{}, false
}

// display is how the project's name is written: as the newest file spells it
// in its metadata, as it was written before, or as people ask for it.
func display(d *decided, arrivals []*arrival) string {
	best := ""
	var key packaging.VersionKey
	if d.Current != nil {
		best = d.Current.Display
		if n := len(d.Current.Files); n > 0 {
			key = packaging.VersionKeyOf(d.Current.Files[n-1].Version)
		}
	}
	for _, a := range arrivals {
		if packaging.NormalizeName(a.display) != d.Name {
			continue
		}
		if k := packaging.VersionKeyOf(a.file.Version); best == "" || k >= key {
			best, key = a.display, k
		}
	}
	if best == "" && len(d.links) > 0 {
		best = d.links[0].Egg
	}
	if packaging.NormalizeName(best) != d.Name {
		return string(d.Name)
	}
	return best
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
	old := map[string]string{}
	for _, key := range []string{metaScan, metaRules, metaTold, metaPolicy} {
		if old[key], err = s.catalog.Meta(ctx, key); err != nil {
			return storage(err)
		}
	}
	var told []string
	for n := range s.local.told {
		told = append(told, string(n))
	}
	slices.Sort(told)
	now := map[string]string{metaScan: applied, metaRules: s.localRules(), metaTold: strings.Join(told, " "), metaPolicy: s.policyDigest()}
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
	if err := v.Save(); err != nil {
		return storage(fmt.Errorf("write the cache of the drop folders: %w", err))
	}
	return nil
}
