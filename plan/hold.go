package plan

import (
	"fmt"
	"slices"
	"time"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/packaging"
)

// A Hold says what keeps new files of a source out for a while. What the index has
// stays, whatever a hold says. The zero Hold holds nothing.
//
// Ages are counted from the upload-time that the source gives (PEP 700), never from
// when a file was first seen here: who has found something malicious needs the time
// from its upload on. A file whose upload-time is not known is held for good.
type Hold struct {
	// Now is the time of the run, in microseconds since 1970 UTC.
	Now int64

	// MinAge is how old a file must be to come in.
	MinAge Limit

	// NotAfter is the last moment at which a file may have been uploaded, in
	// microseconds since 1970 UTC.
	NotAfter Limit

	// LateFiles is how long after the first file of its release a file may have
	// been uploaded. It judges only what was uploaded from [LateSince] on, and
	// only by times that are known.
	LateFiles Limit

	// Undated lets files in whose upload-time is not known.
	Undated bool

	// Reborn says that none of the files is left that are known from the source,
	// and that it has others: the name may have gone to somebody else.
	Reborn bool
}

// A Limit is a span or a moment in microseconds; zero for none. Rule is the
// setting that says so, as people write it.
type Limit struct {
	Micros int64
	Rule   string
}

// LateSince is when the rule about late files begins, in microseconds since 1970
// UTC: 2026-08-01. PyPI has taken none since July of that year. Before it was usual
// to add wheels for a new Python to an old release, and those are history.
const LateSince = 1785542400_000000

// RebornRule is the Rule of the objection to a reborn name.
const RebornRule = "a name that may have gone to somebody else"

// holds objects to what may not come in yet.
func holds(in *Input, all []candidate) {
	if in.Hold.idle() && in.DirectHold.idle() {
		return
	}
	var first map[packaging.VersionKey]int64
	if in.mayBeLate(all) {
		first = in.firstUploads(all)
	}
	for i := range all {
		c := &all[i]
		if c.listed || c.local {
			continue
		}
		h := &in.Hold
		if c.Source == catalog.Direct {
			h = &in.DirectHold
		}
		if o := h.objection(c.Offer.Uploaded, first[c.key]); o != nil {
			c.hold(in, *o)
		}
	}
}

// mayBeLate reports whether a new file was uploaded since files can be late. Of most
// projects none was, and nobody need know when their releases began.
func (in *Input) mayBeLate(all []candidate) bool {
	return (in.Hold.LateFiles.Micros != 0 || in.DirectHold.LateFiles.Micros != 0) &&
		slices.ContainsFunc(all, func(c candidate) bool { return !c.listed && c.Offer.Uploaded >= LateSince })
}

// idle reports whether a hold holds nothing.
func (h *Hold) idle() bool { return *h == Hold{Now: h.Now, Undated: h.Undated} }

// hold objects to a candidate, unless the policy lets it in.
func (c *candidate) hold(in *Input, o Objection) {
	if c.against != nil {
		return
	}
	filename, version := c.Offer.Filename, c.Filename.Version
	if o.Rule == RebornRule {
		filename, version = "", "" // only an entry for the whole project says who has the name
	}
	if a, is := in.Policy.Allowed(in.Name, filename, version, in.now()); is {
		c.allowed = fmt.Sprintf("the policy's [[allow]] until %s: %s (held by %s)", a.Expires.Format(time.DateOnly), a.Reason, o.Rule)
		return
	}
	c.object(o)
}

// waitedFor gives who would have a held file listed if it were let in, by file names.
// A line that keeps some versions waits for those above the ones that it keeps: for
// what comes in by itself, and for as many of the others as it keeps. What needs the
// project waits for what is above the version that was chosen for it.
func (in *Input) waitedFor(all []candidate) map[string][]string {
	lines := map[string][]string{}
	wait := func(fits []*candidate, keep Keep, last packaging.VersionKey, why ...string) {
		kept := map[packaging.VersionKey]bool{}
		for _, c := range fits {
			if c.key <= last || keep != All && len(kept) >= int(max(keep, Newest)) && !kept[c.key] {
				break
			}
			if c.against == nil || c.against.Until == 0 {
				kept[c.key] = true
			}
			if c.against != nil {
				lines[c.Offer.Filename] = append(lines[c.Offer.Filename], why...)
			}
		}
	}
	version := func(c *candidate) (packaging.Version, string) { return c.version, c.Filename.Version }
	for _, want := range in.Wants {
		if want.Kind != allowlist.FromIndex {
			continue
		}
		spec, set := in.specifiers(want), allowedDigests(want, in.Constraints)
		pin := spec.IsExact()
		var fits []*candidate
		for i := range all {
			c := &all[i]
			right, known := hashed(set, c.Offer)
			if (c.against == nil || c.against.Effect == Held) && in.fits(c) && (right || !known) && (pin || !c.yanked.Yanked) &&
				(!want.Locked() || names(want, c.Offer)) {
				fits = append(fits, c)
			}
		}
		keep := in.Keep
		if pin {
			keep = All
		}
		wait(packaging.FilterFunc(spec, fits, in.prereleases(spec), version), keep, "", Reason(want))
	}
	if len(in.Needs) == 0 {
		return lines
	}
	newest, why := packaging.VersionKey(""), []string(nil)
	for _, n := range in.Needs {
		if key := packaging.VersionKeyOf(n.Version); key >= newest {
			newest, why = key, n.Why
		}
	}
	var fits []*candidate
	for i := range all {
		c := &all[i]
		if c.against != nil && c.against.Effect == Held && in.fits(c) && !c.yanked.Yanked {
			fits = append(fits, c)
		}
	}
	wait(packaging.FilterFunc(packaging.Specifiers{}, fits, in.prereleases(packaging.Specifiers{}), version), Newest, newest, why...)
	return lines
}

// now is the time of the run.
func (in *Input) now() time.Time { return time.UnixMicro(max(in.Hold.Now, in.DirectHold.Now)).UTC() }

// firstUploads gives when the first file of each release was uploaded, by what is
// on offer and what is here: to take the first file down must not make a release
// look new.
func (in *Input) firstUploads(all []candidate) map[packaging.VersionKey]int64 {
	first := map[packaging.VersionKey]int64{}
	add := func(key packaging.VersionKey, uploaded int64) {
		if was := first[key]; uploaded != 0 && (was == 0 || uploaded < was) {
			first[key] = uploaded
		}
	}
	for i := range all {
		add(all[i].key, all[i].Offer.Uploaded)
	}
	if in.Current != nil {
		for _, f := range in.Current.Files {
			if f.Source == in.Source {
				add(packaging.VersionKeyOf(f.Version), f.Uploaded)
			}
		}
	}
	return first
}

// objection gives what a hold has against a new file that was uploaded at a time,
// and the first file of its release at another; 0 for a time that is not known.
// What does not end by itself comes first.
func (h *Hold) objection(uploaded, first int64) *Objection {
	held := func(rule string, until int64, format string, args ...any) *Objection {
		return &Objection{Effect: Held, Rule: rule, Reason: fmt.Sprintf(format, args...), Until: until}
	}
	switch {
	case h.Reborn:
		return held(RebornRule, 0, "none of the files that are known from there is left")
	case uploaded == 0 && h.Undated:
	case uploaded == 0 && h.MinAge.Micros != 0:
		return held(h.MinAge.Rule, 0, "its upload time is not known")
	case uploaded == 0 && h.NotAfter.Micros != 0:
		return held(h.NotAfter.Rule, 0, "its upload time is not known")
	case uploaded == 0:
	case h.NotAfter.Micros != 0 && uploaded > h.NotAfter.Micros:
		return held(h.NotAfter.Rule, 0, "uploaded %s", moment(uploaded))
	case h.LateFiles.Micros != 0 && uploaded >= LateSince && uploaded-first > h.LateFiles.Micros:
		return held(h.LateFiles.Rule, 0, "uploaded %s, %d days after the first file of its release", moment(uploaded), (uploaded-first)/(24*time.Hour).Microseconds())
	case h.MinAge.Micros != 0 && uploaded > h.Now-h.MinAge.Micros:
		return held(h.MinAge.Rule, uploaded+h.MinAge.Micros, "uploaded %s", moment(uploaded))
	}
	return nil
}

// moment writes a time given in microseconds since 1970 UTC.
func moment(micros int64) string {
	return time.UnixMicro(micros).UTC().Format(time.DateOnly + " 15:04 MST")
}

// isHeld reports whether a file that a line names by its address must wait, and
// tells so. Nobody says when such a file was uploaded.
func (p *Project) isHeld(in *Input, c *candidate, line string) bool {
	if in.Current != nil {
		for _, f := range in.Current.Files {
			if f.Filename == c.Offer.Filename && !f.Announced {
				return false
			}
		}
	}
	if o := in.DirectHold.objection(c.Offer.Uploaded, c.Offer.Uploaded); o != nil {
		c.hold(in, *o)
	}
	if c.against == nil {
		return false
	}
	c.Why = []string{line}
	p.LeftOut = append(p.LeftOut, LeftOut{c.Choice, *c.against})
	p.Lacks = true // it may take the place of something
	p.problem(Warning, line, AllowHint(c.Offer.Filename), "%s is held: %s", c.Offer.Filename, c.against)
	return true
}

// AllowHint says how somebody lets something in that is held.
func AllowHint(target string) string {
	return fmt.Sprintf(`if you have looked at it, "nestgen allow '%s' --reason TEXT --expires DATE" lets it in`, target)
}

// tellReborn raises the alarm about a name that may have gone to somebody else,
// unless the policy says that it is known.
func (p *Project) tellReborn(in *Input) {
	if !in.Hold.Reborn {
		return
	}
	if _, is := in.Policy.Allowed(in.Name, "", "", in.now()); is {
		return
	}
	p.problem(Alarm, string(in.Name), "find out who has the name now; "+AllowHint(string(in.Name)),
		"none of the files that are known from %s is there any more, and others are: the name may have gone to somebody else; what is here stays, and nothing new comes in", in.Source)
}

// Held gives what is held of a project's files, as the catalog keeps it.
func (p *Project) Held() []catalog.Hold {
	var held []catalog.Hold
	for _, l := range p.LeftOut {
		if o := &l.Objection; o.Effect == Held {
			held = append(held, catalog.Hold{
				Project: p.Name, Filename: l.Offer.Filename, Version: l.Filename.Version, Source: l.Source,
				Uploaded: l.Offer.Uploaded, Rule: o.Rule, Reason: o.Reason, Until: o.Until,
			})
		}
	}
	catalog.SortHolds(held)
	return slices.CompactFunc(held, func(a, b catalog.Hold) bool { return a.Filename == b.Filename })
}
