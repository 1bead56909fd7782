package nestgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/policy"
)

// A Promotion is what somebody promotes from one index of a site to another, or
// takes back.
type Promotion struct {
	// Targets are files that the index From lists: of a project, of versions of
	// one, or a single one. Without any, it is all that From lists.
	Targets []policy.Target

	// From and To are names of indexes; From may be "/", the site's own, which
	// everything that the site lists is in.
	From, To string

	// Remove takes promotions to To back. From is not looked at.
	Remove bool

	// Who does it, and Why, for the history; Why may be empty.
	Who, Why string
}

// A Promoted says what [Promote] did, or, in a dry run, would do.
type Promoted struct {
	DryRun bool           `json:"dry_run,omitempty"`
	Files  []PromotedFile `json:"files"`

	// Already counts the files of which it was so before.
	Already int `json:"already"`

	// Pages counts the pages that changed.
	Pages Pages `json:"pages"`

	// Problems are of indexes, found on the way.
	Problems []Problem `json:"problems"`
}

// A PromotedFile is a file that was promoted, or whose promotion was taken back.
type PromotedFile struct {
	Project  packaging.Name `json:"project"`
	Version  string         `json:"version"`
	Filename string         `json:"filename"`
	SHA256   string         `json:"sha256"`

	// Stays says that the index lists the file all the same, though its promotion
	// was taken back: it inherits it, or its own lines choose it.
	Stays bool `json:"stays,omitempty"`
}

// Promote has an index list files that another one lists, from now on and whatever
// becomes of them there, or takes that back. What the policy blocks leaves every
// index. Either all of it is done or nothing, and what has changed is published.
func Promote(ctx context.Context, c Config, o Options, p Promotion) (*Promoted, error) {
	if err := c.built(); err != nil {
		return nil, err
	}
	if _, ok := c.index(p.To); !ok {
		return nil, c.unknownIndex(p.To)
	}
	if _, ok := c.index(p.From); !ok && !p.Remove && p.From != rootIndex {
		return nil, c.unknownIndex(p.From)
	}
	if p.From == p.To {
		return nil, &fault{ErrSettings, fmt.Errorf("from %s to %s: nothing would come of it", p.From, p.To), ""}
	}
	if err := checkLine("reason", p.Why); err != nil {
		return nil, err
	}
	s, err := open(c, o)
	if err != nil {
		return nil, err
	}
	done, err := s.promote(ctx, p)
	return done, errors.Join(err, s.close())
}

// unknownIndex is the fault of an index that the settings do not have.
func (c *Config) unknownIndex(name string) error {
	names := []string{`"/"`}
	for _, x := range c.Indexes {
		names = append(names, x.Name)
	}
	hint := "there are " + strings.Join(names, ", ")
	if name == rootIndex {
		hint = `what is in the index of the site follows from the allowlist and the drop folders; "nestgen yank" and the policy take from it`
	}
	return &fault{ErrSettings, fmt.Errorf("%s: %q is not an [[index]]", c.File, name), hint}
}

func (s *site) promote(ctx context.Context, p Promotion) (*Promoted, error) {
	if err := s.mustHaveBuilt(); err != nil {
		return nil, err
	}
	told := slices.Clip(s.report.Problems)
	if err := s.readIntent(ctx); err != nil {
		return nil, err
	}
	s.report.Problems = told // without those of the allowlist, which builds tell of
	done := &Promoted{DryRun: s.opts.DryRun, Files: []PromotedFile{}, Problems: []Problem{}}
	if !s.opts.DryRun {
		// What is promoted is what the settings say now.
		if err := s.updateViews(ctx); err != nil {
			return nil, err
		}
	}
	chosen, err := s.chosen(ctx, p)
	if errors.Is(err, ErrSettings) && !s.opts.DryRun {
		// A run that died may have done it, and not come to publish it.
		return nil, errors.Join(err, s.publish(ctx))
	}
	if err != nil {
		return nil, err
	}
	if s.opts.DryRun {
		err = s.foreseePromotion(ctx, p, chosen, done)
		return done, storage(err)
	}
	s.report.Problems = told // the others are told again
	if err := s.notePromotion(ctx, p, chosen, done); err != nil {
		return nil, storage(err)
	}
	if err := s.updateViews(ctx); err != nil {
		return nil, err
	}
	if err := s.publish(ctx); err != nil {
		return nil, err
	}
	if p.Remove {
		for i, f := range done.Files {
			now, err := s.listed(ctx, p.To, f.Project)
			if err != nil {
				return nil, err
			}
			_, done.Files[i].Stays = listedAs(now, f.Filename)
		}
	}
	done.Pages = s.report.Pages
	done.Problems = append(done.Problems, s.report.Problems...)
	return done, nil
}

// reason is what the history says of a promotion.
func (p *Promotion) reason() string {
	if p.Remove {
		return catalog.PromotionReason("", p.To, p.Why)
	}
	return catalog.PromotionReason(p.From, p.To, p.Why)
}

// notePromotion notes a promotion of files in the catalog, or that it is taken back.
func (s *site) notePromotion(ctx context.Context, p Promotion, files []catalog.File, done *Promoted) error {
	return s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		who, now := cmp.Or(p.Who, "somebody"), trueNow()
		for _, f := range files {
			var did bool
			var err error
			if p.Remove {
				did, err = tx.Demote(p.To, f, who, p.reason(), now, time.Duration(s.Grace))
			} else {
				did, err = tx.Promote(p.To, f, who, p.reason())
			}
			if err != nil {
				return err
			}
			done.add(f, did)
		}
		return nil
	})
}

// foreseePromotion finds out what a promotion would do.
func (s *site) foreseePromotion(ctx context.Context, p Promotion, files []catalog.File, done *Promoted) error {
	for _, f := range files {
		before, err := s.catalog.Promotions(ctx, p.To, f.Project)
		if err != nil {
			return err
		}
		is := slices.ContainsFunc(before, func(b catalog.File) bool { return b.Filename == f.Filename })
		done.add(f, is == p.Remove)
	}
	return nil
}

func (d *Promoted) add(f catalog.File, changes bool) {
	if !changes {
		d.Already++
		return
	}
	d.Files = append(d.Files, PromotedFile{Project: f.Project, Version: f.Version, Filename: f.Filename, SHA256: f.SHA256.String()})
}

// chosen gives the files that a promotion is about, project by project. Each of its
// targets must be there.
func (s *site) chosen(ctx context.Context, p Promotion) ([]catalog.File, error) {
	of := map[packaging.Name][]policy.Target{}
	for _, t := range p.Targets {
		of[t.Project] = append(of[t.Project], t)
	}
	names := slices.Sorted(maps.Keys(of))
	if len(p.Targets) == 0 {
		var err error
		switch {
		case p.Remove:
			names, err = s.catalog.PromotedNames(ctx, p.To)
		case p.From == rootIndex:
			names, err = s.catalog.Names(ctx)
		default:
			names, err = s.catalog.ViewNames(ctx, p.From)
		}
		if err != nil {
			return nil, storage(err)
		}
	}
	var all []catalog.File
	var faults []error
	for _, n := range names {
		from, err := s.promotable(ctx, p, n)
		if err != nil {
			return nil, storage(err)
		}
		targets := of[n]
		if len(targets) == 0 {
			all = append(all, from.Files...)
			continue
		}
		chosen := map[string]bool{}
		for _, t := range targets {
			found := 0
			for _, f := range from.Files {
				is, err := covers(t, f)
				if err != nil {
					return nil, err
				}
				if is {
					found++
					chosen[f.Filename] = true
				}
			}
			if found == 0 {
				faults = append(faults, s.notThere(p, t, from))
			}
		}
		all = append(all, slices.DeleteFunc(from.Files, func(f catalog.File) bool { return !chosen[f.Filename] })...)
	}
	if !p.Remove {
		for _, f := range all {
			if f.Announced {
				faults = append(faults, &fault{ErrSettings, fmt.Errorf("%s: it comes on demand, and is not here yet", f.Filename), "download it once, or name it in the allowlist and build"})
			}
		}
	}
	return all, errors.Join(faults...)
}

// promotable gives a project with the files that a promotion may be about.
func (s *site) promotable(ctx context.Context, p Promotion, n packaging.Name) (*catalog.Project, error) {
	if !p.Remove {
		from, err := s.listed(ctx, p.From, n)
		if err == nil && from.Status.State == catalog.Quarantined {
			from.Files = nil // nobody can see them
		}
		return from, err
	}
	files, err := s.catalog.Promotions(ctx, p.To, n)
	return &catalog.Project{Name: n, Files: files}, err
}

// notThere is the fault of a target that nothing fits.
func (s *site) notThere(p Promotion, t policy.Target, from *catalog.Project) error {
	what := cmp.Or(t.File, string(t.Project)+t.Versions)
	hint := ""
	if n := len(from.Files); n > 0 {
		hint = fmt.Sprintf("the newest of %s there is %s", t.Project, from.Files[n-1].Version)
	}
	text := fmt.Errorf("%s: the index %s lists no such file", what, p.From)
	switch {
	case p.Remove:
		text = fmt.Errorf("%s: no such file was promoted to %s", what, p.To)
	case from.Status.State == catalog.Quarantined:
		text = fmt.Errorf("%s: the project is quarantined", what)
	}
	return &fault{ErrSettings, text, hint}
}

// covers reports whether a file is one of a target.
func covers(t policy.Target, f catalog.File) (bool, error) {
	if t.File != "" {
		return t.File == f.Filename, nil
	}
	spec, err := packaging.ParseSpecifiers(t.Versions)
	return spec.MatchesString(f.Version, packaging.AllowPrereleases), err
}
