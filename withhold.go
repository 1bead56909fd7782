package nestgen

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"nestgen/catalog"
	"nestgen/publish"
)

// apart are the files of the projects whose pages are made, by whether they may be
// served: those of a quarantined project are in the closed area.
type apart struct {
	away []string // to the closed area, after the pages
	back []string // from there, before the pages
}

// sort adds the files of a project. What was never withheld need not come back.
func (a *apart) sort(s *site, p *catalog.Project) {
	for i := range p.Files {
		f := &p.Files[i]
		switch {
		case p.Status.State == catalog.Quarantined && !f.Announced:
			a.away = append(a.away, f.Path)
		case p.Status.State != catalog.Quarantined && s.isWithheld(f.Path):
			a.back = append(a.back, f.Path)
		}
	}
}

// isWithheld reports whether a file, or what stands beside it, is in the closed area:
// a run may have died while it moved them.
func (s *site) isWithheld(path string) bool {
	_, err := os.Lstat(filepath.Dir(publish.Withheld(s.State, path)))
	return err == nil
}

// hasWithheld reports whether there is a closed area.
func (s *site) hasWithheld() bool {
	_, err := os.Lstat(publish.Withheld(s.State, ""))
	return err == nil
}

// giveBack brings files back into the store before pages list them.
func (s *site) giveBack(ctx context.Context, a apart) error {
	if len(a.back) == 0 {
		return nil
	}
	_, err := s.tree.Release(ctx, a.back)
	return err
}

// putAway moves files to the closed area that no page lists any more and that nobody
// is to have: those of quarantined projects, and those that had to leave the index
// at once. It gives those that had to.
func (s *site) putAway(ctx context.Context, quarantined []string) (had []string, err error) {
	if had, err = s.catalog.ToWithhold(ctx); err != nil {
		return nil, err
	}
	var away []string
	for _, path := range slices.Concat(quarantined, had) {
		shown, err := s.catalog.Shows(ctx, path)
		if err != nil {
			return nil, err
		}
		if !shown {
			away = append(away, path)
		}
	}
	if len(away) == 0 {
		return had, nil
	}
	n, err := s.tree.Withhold(ctx, away)
	s.report.count(&s.report.Withheld, int64(n))
	return had, err
}

// openWithheld opens a file of the store that is in the closed area.
func (s *site) openWithheld(path string) (*os.File, error) {
	name := publish.Withheld(s.State, path)
	fi, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	return os.Open(name)
}
