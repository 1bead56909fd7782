package nestgen

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"nestgen/catalog"
	"nestgen/internal/stricttoml"
	"nestgen/packaging"
	"nestgen/plan"
)

// holdTime is the time that ages are counted to. A build that is told a later time
// of day than it is, to be repeated, must not bring in what has to wait.
func holdTime() time.Time {
	now, told := trueNow(), Now()
	if told.Before(now) {
		return told
	}
	return now
}

// holdOf gives what holds new files of a project back that come from an upstream,
// or from an address in the allowlist if upstream is empty. p is the project's own
// table.
func (c *Config) holdOf(p ProjectConfig, upstream string) plan.Hold {
	limit := func(table, key string, d Duration) plan.Limit {
		if d == 0 {
			return plan.Limit{}
		}
		return plan.Limit{Micros: time.Duration(d).Microseconds(), Rule: fmt.Sprintf("%s %s = \"%s\"", table, key, d)}
	}
	h := plan.Hold{
		Now:       holdTime().UnixMicro(),
		MinAge:    limit("[hold]", "min_age", c.Hold.MinAge),
		LateFiles: limit("[hold]", "late_files", c.Hold.LateFiles),
	}
	if at := c.Hold.NotAfter; at != 0 {
		h.NotAfter = plan.Limit{Micros: int64(at), Rule: "[hold] not_after = " + at.String()}
	}
	if i := slices.IndexFunc(c.Upstreams, func(u Upstream) bool { return u.Name == upstream }); i >= 0 {
		u := &c.Upstreams[i]
		if u.MinAge != nil {
			h.MinAge = limit("[[upstream]]", "min_age", *u.MinAge)
		}
		if u.LateFiles != nil {
			h.LateFiles = limit("[[upstream]]", "late_files", *u.LateFiles)
		}
		h.Undated = u.Undated
	}
	if p.MinAge != nil {
		h.MinAge = limit("[[project]]", "min_age", *p.MinAge)
	}
	return h
}

// hold says in what plan needs to know of a project what holds new files back, and
// drops an answer that must not take the place of what was said before.
func (s *site) hold(ctx context.Context, in *plan.Input, a *asked) error {
	p := s.intent.projects[in.Name]
	in.Hold, in.DirectHold = s.holdOf(p, in.Source), s.holdOf(p, "")
	reborn, err := s.isReborn(ctx, in.Name, *a)
	if err != nil || !reborn {
		return err
	}
	in.Hold.Reborn = true
	if _, known := s.intent.policy.Allowed(in.Name, "", "", holdTime()); !known {
		a.answers = nil
	}
	return nil
}

// waits reports whether new files must wait for an age or for the end of a freeze.
func waits(h plan.Hold) bool { return h.MinAge.Micros != 0 || h.NotAfter.Micros != 0 }

// holdsAnything reports whether people have made a setting that has new files wait.
func (c *Config) holdsAnything() bool {
	has := func(d *Duration) bool { return d != nil && *d != 0 }
	return c.Hold.MinAge != 0 || c.Hold.NotAfter != 0 ||
		slices.ContainsFunc(c.Upstreams, func(u Upstream) bool { return has(u.MinAge) }) ||
		slices.ContainsFunc(c.Projects, func(p ProjectConfig) bool { return has(p.MinAge) })
}

// resolveHold checks that nobody is sent past a hold.
func (c *Config) resolveHold() (faults []error) {
	for _, d := range c.OnDemand {
		if d.Mode != "redirect" {
			continue
		}
		var p ProjectConfig
		if !strings.HasSuffix(d.Pattern, "*") {
			p = c.exception(packaging.NormalizeName(d.Pattern))
		}
		if h := c.holdOf(p, p.Upstream); waits(h) {
			rule := h.MinAge.Rule
			if h.MinAge.Micros == 0 {
				rule = h.NotAfter.Rule
			}
			faults = append(faults, &stricttoml.Error{File: c.File, Text: fmt.Sprintf(
				"[[on_demand]] %q: mode \"redirect\" sends installers to the upstream itself, where nothing waits for %s; use \"fetch\", or give the project min_age = \"0s\" in a [[project]] table",
				d.Pattern, rule)})
		}
	}
	return faults
}

// isReborn reports whether a project has other files at its upstream than those that
// are known from there, and none of these: the name may have gone to somebody else.
// Files count as known that the index ever had, and those that the upstream had when
// it was asked before; so that an upstream may take old files down as new ones come.
func (s *site) isReborn(ctx context.Context, n packaging.Name, a asked) (bool, error) {
	if len(a.answers) == 0 || a.listing == nil || len(a.listing.Offers) == 0 ||
		slices.ContainsFunc(s.Upstreams, func(u Upstream) bool { return u.Name == a.source && u.Rotates }) {
		return false, nil
	}
	had, err := s.catalog.HadFrom(ctx, n, a.source)
	if err != nil || !had {
		return false, storage(err)
	}
	known, err := s.known(ctx, a.listing)
	if err != nil {
		return false, err
	}
	before := map[string]string{} // digests by file name
	if a.before != nil {
		for i := range a.before.Offers {
			o := &a.before.Offers[i]
			before[o.Filename] = o.Hashes["sha256"]
		}
	}
	for i := range a.listing.Offers {
		o := &a.listing.Offers[i]
		now := o.Hashes["sha256"]
		// What has no digest cannot be told from what was there.
		if d, seen := known(o.Filename); seen && (now == "" || strings.EqualFold(now, d.String())) {
			return false, nil
		}
		if was, seen := before[o.Filename]; seen && (now == "" || was == "" || strings.EqualFold(now, was)) {
			return false, nil
		}
	}
	return true, nil
}

// heldBefore gives what was held of a project when it was decided about last.
func (s *site) heldBefore(ctx context.Context, n packaging.Name) ([]catalog.Hold, error) {
	if s.held != nil {
		return s.held[n], nil
	}
	held, err := s.catalog.ProjectHolds(ctx, n)
	return held, storage(err)
}

// readHolds reads what is held of all projects.
func (s *site) readHolds(ctx context.Context) error {
	all, err := s.catalog.Holds(ctx)
	if err != nil {
		return storage(err)
	}
	s.held = map[packaging.Name][]catalog.Hold{}
	for _, h := range all {
		s.held[h.Project] = append(s.held[h.Project], h)
	}
	return nil
}

// mustLookAgain reports whether something may come in now that was held, or a name
// may have gone to somebody else, which each run tells of.
func mustLookAgain(held []catalog.Hold) bool {
	now := holdTime().UnixMicro()
	return slices.ContainsFunc(held, func(h catalog.Hold) bool { return h.Until != 0 && h.Until <= now || h.Rule == plan.RebornRule })
}

// forgetHolds forgets what was held of projects that nobody asks for any more.
func (s *site) forgetHolds(ctx context.Context, names []packaging.Name) error {
	if len(names) == 0 || s.opts.DryRun {
		return nil
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for _, n := range names {
			if err := tx.SetHolds(n, nil); err != nil {
				return err
			}
		}
		return nil
	}))
}

// tellExpired tells of the entries of the policy that let nothing in any more.
func (s *site) tellExpired() {
	for _, e := range s.intent.policy.Expired(holdTime()) {
		s.report.problem(plan.Warning, s.short(e.Position), "take it out, or give it a later day",
			"the [[allow]] for %s ended with %s", e.Project, e.Expires.Format(time.DateOnly))
	}
}
