package nestgen

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"nestgen/catalog"
	"nestgen/plan"
)

// record notes a part of a batch in the catalog, in one transaction: its files,
// and with the last part whatever else was decided.
func (s *site) record(ctx context.Context, batch []*decided, p part) error {
	if len(batch) == 0 {
		return nil
	}
	came := map[*decided][]*arrival{}
	for _, a := range p.arrivals {
		if !a.refused {
			came[a.of] = append(came[a.of], a)
		}
	}
	err := s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		if s.joined {
			if err := mustGoOn(tx.Meta(metaBack)); err != nil {
				return err
			}
		}
		for _, d := range batch {
			arrivals := came[d]
			if len(arrivals) == 0 && !p.last {
				continue
			}
			d.arrived = append(d.arrived, arrivals...)
			others, err := s.othersChanged(tx, d)
			if err != nil {
				return err
			}
			if err := s.recordProject(tx, d, arrivals, p.last); err != nil {
				return err
			}
			if others {
				if err := tx.Respell(d.Name); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, d := range batch {
		for _, path := range d.still {
			if err := s.adoptAt(ctx, path); err != nil {
				return err
			}
		}
	}
	return nil
}

// othersChanged reports whether a project has changed since it was decided about:
// a request may have brought a file that has a say in how its name is written.
func (s *site) othersChanged(tx *catalog.Tx, d *decided) (bool, error) {
	if s.Uploads == "" && len(s.OnDemand) == 0 {
		return false, nil
	}
	known := int64(0)
	if d.Current != nil {
		known = d.Current.Serial
	}
	now, err := tx.Serial(d.Name)
	return now > known, err
}

func (s *site) recordProject(tx *catalog.Tx, d *decided, arrivals []*arrival, last bool) error {
	if last {
		if err := recordAnswers(tx, d); err != nil {
			return err
		}
		if d.reheld {
			if err := tx.SetHolds(d.Name, d.held); err != nil {
				return err
			}
		}
	}
	// A project without files may have a page for its status, but not if it is
	// only the policy that has a word of it.
	announced := s.announcements(d)
	if d.Current == nil && len(d.arrived)+len(announced) == 0 && len(d.links) == 0 && (d.Status == catalog.Status{} || !d.heard) {
		return nil // nothing of it is here
	}
	if d.Current == nil {
		// Somebody else may have decided whose name it is.
		switch owner, err := tx.Owner(d.Name); {
		case err != nil:
			return err
		case owner != "" && owner != d.owner:
			s.miss(d.Name)
			s.local.failed.Store(true)
			s.report.problem(plan.Incomplete, string(d.Name), "the next run goes on from there", "the name has gone to %s while this run decided about it", owner)
			return nil
		}
	}
	if err := tx.Claim(d.Name, written(d), d.owner); err != nil {
		return err
	}
	for _, a := range arrivals {
		old, again := listedAs(d.Current, a.file.Filename)
		if again && a.file.Source == catalog.Local && old.Source == catalog.Local {
			a.file.Uploaded = old.Uploaded
		}
		if again && a.file == old {
			continue
		}
		err := tx.Put(a.file, strings.Join(a.why, "; "))
		if errors.Is(err, catalog.ErrAltered) || errors.Is(err, catalog.ErrMoved) {
			s.miss(d.Name)
			s.local.failed.Store(true)
			if errors.Is(err, catalog.ErrMoved) {
				s.report.problem(plan.Incomplete, a.file.Filename, "the next run puts it there", "%v", err)
			} else {
				s.report.problem(plan.Alarm, a.file.Filename, "a file name is spent once it was used", "%v", err)
			}
			d.arrived = slices.DeleteFunc(d.arrived, func(b *arrival) bool { return b == a })
			if err := tx.Respell(d.Name); err != nil {
				return err
			}
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
	if !last {
		return nil
	}
	if err := s.recordAnnounced(tx, d, announced); err != nil {
		return err
	}
	for _, k := range d.Keep {
		if !k.Changed {
			continue
		}
		changed, err := tx.Change(k.File)
		if err != nil {
			return err
		}
		if changed { // it may have left since it was decided about
			s.report.Changed.add(k.File, k.Why)
		}
	}
	if d.Restated() {
		if err := tx.SetStatus(d.Name, d.Status, d.Note, d.StatedBy); err != nil {
			return err
		}
	}
	if d.relink {
		s.report.Relinked++
		return tx.SetLinks(d.Name, d.links)
	}
	return nil
}

// recordAnnounced lists what is announced. What has come meanwhile stays as it is.
func (s *site) recordAnnounced(tx *catalog.Tx, d *decided, files []catalog.File) error {
	if len(files) == 0 {
		return nil
	}
	// Those that the policy lets in have a reason of their own.
	why := map[string][]int{}
	for i := range files {
		text := strings.Join(d.Announce[i].Why, "; ")
		why[text] = append(why[text], i)
	}
	for _, text := range slices.Sorted(maps.Keys(why)) {
		some := make([]catalog.File, len(why[text]))
		for k, i := range why[text] {
			some[k] = files[i]
		}
		added, altered, err := tx.Announce(d.Name, files[0].Source, some, text)
		if err != nil {
			return err
		}
		for _, f := range added {
			s.report.Added.add(f, d.Announce[why[text][0]].Why)
			if !s.exists(f.Path) {
				continue
			}
			// It had come before it left the index, and its grace is not over.
			d.still = append(d.still, f.Path)
			if err := setArriving(tx, f.Path, true); err != nil {
				return err
			}
		}
		for _, f := range altered {
			s.report.problem(plan.Alarm, f.Filename, "find out why before you trust this upstream", "%s announces sha256 %s: %v", f.Source, f.SHA256, catalog.ErrAltered)
		}
	}
	return nil
}

// announcements gives the files that are listed before they are here.
func (s *site) announcements(d *decided) []catalog.File {
	now := Now().Truncate(time.Second).UnixMicro()
	files := make([]catalog.File, len(d.Announce))
	for i, c := range d.Announce {
		f := plan.Announced(c, now)
		f.SourceYank = c.Offer.Yanked
		f.Yanked = s.yank(&f, d.Advice)
		files[i] = f
	}
	return files
}

// recordAnswers notes what was said of a project outside.
func recordAnswers(tx *catalog.Tx, d *decided) error {
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

// written is how the project's name is written with the arrivals.
func written(d *decided) string {
	var files []catalog.File
	for _, a := range d.arrived {
		files = append(files, a.file)
	}
	if d.Current == nil {
		return catalog.SpellingOf(d.Name, d.links, files)
	}
	links := d.Current.Links
	if d.relink {
		links = d.links
	}
	return catalog.SpellingOf(d.Name, links, d.Current.Files, files)
}
