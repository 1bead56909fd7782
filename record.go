package nestgen

import (
	"context"
	"errors"
	"slices"
	"strings"

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
	return s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for _, d := range batch {
			arrivals := came[d]
			if len(arrivals) == 0 && !p.last {
				continue
			}
			d.arrived = append(d.arrived, arrivals...)
			if err := s.recordProject(tx, d, arrivals, p.last); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *site) recordProject(tx *catalog.Tx, d *decided, arrivals []*arrival, last bool) error {
	if last {
		if err := recordAnswers(tx, d); err != nil {
			return err
		}
	}
	// A project without files may have a page for its status, but not if it is
	// only the policy that has a word of it.
	if d.Current == nil && len(d.arrived) == 0 && len(d.links) == 0 && (d.Status == catalog.Status{} || !d.heard) {
		return nil // nothing of it is here
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
		if errors.Is(err, catalog.ErrAltered) {
			s.lack(d.Name)
			s.local.failed.Store(true)
			s.report.problem(plan.Alarm, a.file.Filename, "a file name is spent once it was used", "%v", err)
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
	for _, k := range d.Keep {
		if !k.Changed {
			continue
		}
		if err := tx.Put(k.File, ""); err != nil {
			return err
		}
		s.report.Changed.add(k.File, k.Why)
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
