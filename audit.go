package nestgen

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"nestgen/advisory"
	"nestgen/catalog"
	"nestgen/packaging"
)

// An Audit is what advisories say of what the index lists. It holds no time of day.
type Audit struct {
	// Advisories counts those that are known, and Malware those of them that are
	// about malware.
	Advisories int `json:"advisories"`
	Malware    int `json:"malware"`

	// Projects and Releases count what is affected of what is listed.
	Projects int `json:"projects"`
	Releases int `json:"releases"`

	// Findings has a line for each release and each fault, the worst first.
	Findings []AuditLine `json:"findings"`
}

// An AuditLine is a release that is listed, and what an advisory says of it.
type AuditLine struct {
	Project string `json:"project"`
	Version string `json:"version"`

	// ID is the advisory's; Also has those of others about the same fault, and
	// Aliases are the names that these give to it.
	ID      string   `json:"id"`
	Also    []string `json:"also,omitempty"`
	Aliases []string `json:"aliases,omitempty"`
	URL     string   `json:"url"`
	Summary string   `json:"summary,omitempty"`

	// Rating is "low", "medium", "high" or "critical", and Score the CVSS base
	// score; both are left out where nobody has rated it.
	Rating  string  `json:"rating,omitempty"`
	Score   float64 `json:"score,omitempty"`
	Malware bool    `json:"malware,omitempty"`

	// Fixed is the next version without the fault, and Here the one that is
	// listed which serves: that one, or a later one. They are left out where
	// there is none.
	Fixed string `json:"fixed,omitempty"`
	Here  string `json:"fixed_here,omitempty"`

	// Files are those that are concerned. Yanked says that all of them are.
	Files  []string `json:"files"`
	Yanked bool     `json:"yanked"`

	severity advisory.Severity
}

// Audit finds what is listed and affected by an advisory, as the last build has read
// them. It changes nothing and works while a build runs.
func (c *Config) Audit(ctx context.Context) (*Audit, error) {
	if c.Advisories.OSV == "" {
		return nil, &fault{ErrSettings, fmt.Errorf("%s: there are no advisories", c.File), "name a dump in osv of [advisories]; see docs/advisories.md"}
	}
	cat, err := look(*c)
	if err != nil {
		return nil, err
	}
	defer cat.Close()
	text, err := cat.Meta(ctx, metaAdvisories)
	if err != nil {
		return nil, storage(err)
	}
	var applied appliedDump
	if text == "" || json.Unmarshal([]byte(text), &applied) != nil {
		return nil, &fault{ErrSettings, fmt.Errorf("%s: no advisories have been read yet", c.State), `run "nestgen build"`}
	}
	a := &Audit{Advisories: applied.Advisories, Malware: applied.Malware, Findings: []AuditLine{}}
	for p, err := range cat.Advised(ctx) {
		if err != nil {
			return nil, storage(err)
		}
		lines, releases := c.auditProject(p)
		if releases > 0 {
			a.Projects++
			a.Releases += releases
			a.Findings = append(a.Findings, lines...)
		}
	}
	slices.SortStableFunc(a.Findings, func(x, y AuditLine) int {
		if x.Malware != y.Malware {
			if x.Malware {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(y.severity.Rating, x.severity.Rating), cmp.Compare(y.severity.Tenths, x.severity.Tenths),
			strings.Compare(x.Project, y.Project), packaging.CompareVersionStrings(y.Version, x.Version), strings.Compare(x.ID, y.ID))
	})
	return a, nil
}

// advised reports whether the advisories are about a file.
func (c *Config) advised(f *catalog.File) bool {
	return f.Public() && (len(c.Advisories.Upstreams) == 0 || slices.Contains(c.Advisories.Upstreams, f.Source))
}

// auditProject gives the lines of a project, and how many of its releases have any.
func (c *Config) auditProject(p *catalog.Project) (lines []AuditLine, releases int) {
	set := advisory.NewSet(p.Advisories)
	for i := 0; i < len(p.Files); {
		version := p.Files[i].Version
		var files []string
		yanked := true
		for ; i < len(p.Files) && p.Files[i].Version == version; i++ {
			if f := &p.Files[i]; c.advised(f) {
				files = append(files, f.Filename)
				yanked = yanked && f.Yanked.Yanked
			}
		}
		if len(files) == 0 {
			continue
		}
		found := advisory.Merge(set.Find(version))
		if len(found) > 0 {
			releases++
		}
		for _, f := range found {
			lines = append(lines, AuditLine{
				Project: p.Display, Version: version, ID: f.ID, Also: f.Also, Aliases: f.Aliases, URL: advisory.URL(f.ID), Summary: f.Summary,
				Rating: f.Severity.Rating.String(), Score: float64(f.Severity.Tenths) / 10, Malware: f.Malware(),
				Fixed: f.Fixed, Here: fixHere(p, version, f), Files: files, Yanked: yanked, severity: f.Severity,
			})
		}
	}
	return lines, releases
}

// fixHere gives the first version above an affected one that is listed, not yanked,
// and without the fault.
func fixHere(p *catalog.Project, version string, f advisory.Finding) string {
	if f.Fixed == "" {
		return ""
	}
	one := advisory.NewSet([]advisory.Record{*f.Record})
	for i := range p.Files { // sorted by version
		g := &p.Files[i]
		if !g.Yanked.Yanked && packaging.CompareVersionStrings(g.Version, f.Fixed) >= 0 && len(one.Find(g.Version)) == 0 {
			return g.Version
		}
	}
	return ""
}

// metaAffected is the key under which the catalog keeps how many releases are
// affected, with what that was counted of.
const metaAffected = "advisories.affected"

// affected counts the releases that are listed and affected. It counts anew only when
// something has changed.
func (s *site) affected(ctx context.Context, serial int64) (n int, err error) {
	if s.Advisories.OSV == "" || s.opts.DryRun {
		return 0, nil
	}
	applied, err := s.catalog.Meta(ctx, metaAdvisories)
	if err != nil {
		return 0, storage(err)
	}
	var dump appliedDump
	if applied == "" || json.Unmarshal([]byte(applied), &dump) != nil {
		return 0, nil
	}
	of := fmt.Sprintf("%d %s %q %q", serial, dump.Digest, dump.Rules, s.Advisories.Upstreams)
	last, err := s.catalog.Meta(ctx, metaAffected)
	if err != nil {
		return 0, storage(err)
	}
	if rest, ok := strings.CutPrefix(last, of+" = "); ok {
		if _, err := fmt.Sscan(rest, &n); err == nil {
			return n, nil
		}
	}
	for p, err := range s.catalog.Advised(ctx) {
		if err != nil {
			return 0, storage(err)
		}
		_, releases := s.auditProject(p)
		n += releases
	}
	return n, storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		return tx.SetMeta(metaAffected, fmt.Sprintf("%s = %d", of, n))
	}))
}
