package nestgen

import (
	"context"
	"crypto/sha256"
	"path"
	"slices"
	"strings"

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
// everything in the catalog, part by part. What leaves the index waits for [site.withdraw].
func (s *site) carry(ctx context.Context, batch []*decided) error {
	for _, d := range batch {
		if s.opts.Each != nil && (d.Changes() || s.shown(d)) {
			s.opts.Each(d.Project)
		}
	}
	if s.opts.DryRun {
		s.foresee(batch)
		return nil
	}
	for p, err := range s.stage(ctx, batch) {
		if err != nil {
			return storage(err)
		}
		if err := s.expose(ctx, p.arrivals); err != nil {
			return err
		}
		if err := s.record(ctx, batch, p); err != nil {
			return storage(err)
		}
	}
	for _, d := range batch {
		s.postpone(d)
	}
	return nil
}

// shown reports whether whoever looks at a dry run wants to see what is left out of
// a project.
func (s *site) shown(d *decided) bool {
	return s.opts.DryRun && s.opts.LeftOut && len(d.LeftOut) > 0
}

// foresee writes what would be done into the report of a dry run.
func (s *site) foresee(batch []*decided) {
	for _, d := range batch {
		if s.shown(d) {
			for _, l := range d.LeftOut {
				s.report.LeftOut = append(s.report.LeftOut, leftOutLine(l))
			}
		}
		for _, f := range s.announcements(d) {
			s.report.Added.add(f, []string{"on demand"})
		}
		for _, t := range d.Take {
			s.report.Added.add(catalog.File{Project: d.Name, Filename: t.File, Version: t.Filename.Version, Size: t.Size, SHA256: t.SHA256, Source: catalog.Local}, t.Why)
		}
		for _, c := range d.Fetch {
			if c.Here != nil {
				s.report.Changed.add(*c.Here, c.Why)
				continue
			}
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
	of       *decided
	place    int // among the new files of a batch
	exposure publish.Exposure
	file     catalog.File
	why      []string
	refused  bool // the store has other bytes in its place
}

// newArrival makes a file of what the gate found out about bytes in the stage.
func newArrival(n packaging.Name, filename string, sums intake.Digests, facts intake.Facts, temp string) *arrival {
	a := new(arrival)
	a.file = catalog.File{
		Project: n, Filename: filename, Version: facts.Filename.Version, Kind: facts.Filename.Kind,
		Size: sums.Size, SHA256: sums.SHA256, BLAKE2b: sums.BLAKE2b,
		Path: layout.File(sums.BLAKE2b, filename), RequiresPython: facts.RequiresPython,
	}
	if facts.Display != string(n) && packaging.NormalizeName(facts.Display) == n {
		a.file.Spelling = facts.Display
	}
	a.exposure = publish.Exposure{Temp: temp, Target: a.file.Path}
	if facts.Metadata != nil {
		a.file.Metadata = sha256.Sum256(facts.Metadata)
		a.exposure.Companions = append(a.exposure.Companions, publish.Companion{Path: layout.CoreMetadata(a.file.Path), Data: facts.Metadata})
	}
	return a
}

// moveTo gives a file the place that it was announced at.
func (a *arrival) moveTo(path string) {
	for i, c := range a.exposure.Companions {
		a.exposure.Companions[i].Path = path + strings.TrimPrefix(c.Path, a.file.Path)
	}
	a.file.Path, a.exposure.Target = path, path
}

// beside adds a companion that came with the file.
func (a *arrival) beside(c drop.Companion, data []byte) {
	if data == nil {
		return
	}
	path := layout.Signature(a.file.Path)
	if c == drop.Provenance {
		path = layout.Provenance(a.file.Path)
		a.file.Provenance, a.file.ProvenanceSum = true, sha256.Sum256(data)
	} else {
		a.file.Signed, a.file.SignatureSum = true, sha256.Sum256(data)
	}
	a.exposure.Companions = append(a.exposure.Companions, publish.Companion{Path: path, Data: data})
}

// lose reports a file that could not be had. Nothing of its project leaves the
// index in this run, so that what replaces a file is there before it goes.
func (s *site) lose(d *decided, level plan.Level, where, hint, format string, args ...any) {
	s.miss(d.Name)
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

// warn reports what is odd.
func (s *site) warn(where, hint, format string, args ...any) {
	s.report.problem(plan.Warning, where, hint, format, args...)
}

// expose puts arrivals into the store.
func (s *site) expose(ctx context.Context, arrivals []*arrival) error {
	var batch []publish.Exposure
	var of []*arrival
	for _, a := range arrivals {
		if a.exposure.Temp != "" || len(a.exposure.Companions) > 0 {
			of = append(of, a)
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
		a := of[e.Index]
		s.local.failed.Store(true) // it is told again until somebody has looked
		switch e.Path {
		case layout.Signature(a.file.Path):
			a.file.Signed, a.file.SignatureSum = false, catalog.Digest{}
		case layout.Provenance(a.file.Path):
			a.file.Provenance, a.file.ProvenanceSum = false, catalog.Digest{}
		case layout.CoreMetadata(a.file.Path):
			if old, again := listedAs(a.of.Current, a.file.Filename); again && !old.Metadata.IsZero() {
				// What the upstream said that it was is there already.
				a.file.Metadata = old.Metadata
				continue
			}
			a.file.Metadata = catalog.Digest{}
		default:
			a.refused = true
			s.miss(a.file.Project)
			s.report.problem(plan.Alarm, a.file.Filename, `run "nestgen verify"`, "%v", e)
			continue
		}
		s.report.problem(plan.Incomplete, path.Base(e.Path), "it is spent as the file's own name is: give the file a new version or build number, or put the first one back",
			"it was published with other bytes, and is not listed")
	}
	return nil
}
