package plan

import (
	"fmt"
	"slices"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/packaging"
)

// An Objection is what keeps a file of an upstream out of the index though a line
// asks for it.
type Objection struct {
	Effect Effect

	// Rule is the setting or the entry that objects, as people write it: the
	// name of its file or table, and its key.
	Rule string

	// Reason is what it has against this file.
	Reason string

	// Until is when the objection ends by itself, in microseconds since 1970 UTC;
	// 0 if it does not.
	Until int64
}

// An Effect is how far an [Objection] goes.
type Effect int

const (
	// Filtered files are not wanted here: one that is listed leaves.
	Filtered Effect = iota

	// Held files may not come in yet: one that is here stays.
	Held

	// Blocked files must not be listed, whatever else happens.
	Blocked
)

// String gives the word for an effect.
func (e Effect) String() string {
	switch e {
	case Held:
		return "held"
	case Blocked:
		return "blocked"
	}
	return "filtered"
}

// String gives the objection in a line.
func (o *Objection) String() string {
	text := o.Rule + ": " + o.Reason
	if o.Until != 0 {
		text += ", until " + moment(o.Until)
	}
	return text
}

// A LeftOut is a file that is not listed though a line asks for it, and what is
// against it. Its Why is the lines.
type LeftOut struct {
	Choice
	Objection Objection
}

// rules look through what is on offer of a project. Each sees all of it, and
// objects to files that nothing is against yet; so the first to object decides.
var rules = []func(in *Input, all []candidate){
	blocks,
	malware,
	kinds,
	filters, // before what is held: a file that is not wanted waits for nothing
	holds,
	unattested,
	versionFilters,
}

// object notes what is against a file, unless something is already.
func (c *candidate) object(o Objection) {
	if c.against == nil {
		c.against = &o
	}
}

// blocks objects to what must not be listed at all.
func blocks(in *Input, all []candidate) {
	for i := range all {
		c := &all[i]
		if reason, is := in.forbidden(c.Offer.Filename, c.Filename.Version); is {
			c.object(Objection{Effect: Blocked, Rule: "policy: " + in.Policy.Block(in.Name, c.Offer.Filename, c.Filename.Version), Reason: reason})
		}
	}
}

// forbidden reports whether a file must not be listed, and why, whatever is known
// of it besides its name.
func (in *Input) forbidden(filename, version string) (reason string, is bool) {
	return in.Policy.Blocked(in.Name, filename, version)
}

// kinds objects to what no current installer takes, if that is not wanted.
func kinds(in *Input, all []candidate) {
	if in.LegacyFiles {
		return
	}
	for i := range all {
		if k := all[i].Filename.Kind; legacy(k) {
			all[i].object(Objection{Effect: Filtered, Rule: "legacy_files = false", Reason: fmt.Sprintf("a %s is not listed here", k)})
		}
	}
}

// leaveOut sorts out what something is against, and notes which of it is asked
// for.
func (p *Project) leaveOut(in *Input, all []candidate) (free, out []candidate) {
	for _, rule := range rules {
		rule(in, all)
	}
	if !slices.ContainsFunc(all, func(c candidate) bool { return c.against != nil }) {
		return all, nil
	}
	free = all[:0:0]
	var waited map[string][]string
	for _, c := range all {
		if c.against == nil {
			free = append(free, c)
			continue
		}
		out = append(out, c)
		if c.against.Effect == Held {
			if waited == nil {
				waited = in.waitedFor(all)
			}
			c.Why = in.othersAsking(&c, waited[c.Offer.Filename])
		} else {
			c.Why = askedBy(in, &c)
		}
		if len(c.Why) > 0 {
			p.LeftOut = append(p.LeftOut, LeftOut{c.Choice, *c.against})
		}
	}
	return free, out
}

// Against gives what is against a file that is on offer; nil if nothing is.
func Against(in Input, filename string) *Objection {
	here := map[string]catalog.File{}
	if in.Current != nil {
		for _, f := range in.Current.Files {
			if f.Source != catalog.Local {
				here[f.Filename] = f
			}
		}
	}
	_, out := new(Project).leaveOut(&in, in.candidates(here))
	return objection(out, catalog.File{Filename: filename})
}

// askedBy gives the lines that fit a file, and what else would have it listed.
func askedBy(in *Input, c *candidate) (why []string) {
	for _, want := range in.Wants {
		fits := want.Kind == allowlist.FromIndex && in.specifiers(want).MatchesString(c.Filename.Version, packaging.AllowPrereleases)
		if fits && (!want.Locked() || names(want, c.Offer)) {
			why = append(why, Reason(want))
		}
	}
	return in.othersAsking(c, why)
}

// othersAsking adds to the lines that fit a file what else would have it listed.
func (in *Input) othersAsking(c *candidate, why []string) []string {
	for _, need := range in.Needs {
		if packaging.VersionKeyOf(need.Version) == c.key {
			why = append(why, need.Why...)
		}
	}
	if len(why) == 0 && in.OnDemand && admitted(in, c) {
		why = []string{onDemand}
	}
	return why
}

// onDemand is the reason of a file that no line asks for but that may come.
const onDemand = "on demand"

// objection gives what is against a file that the index has, if it is on offer
// and something is.
func objection(out []candidate, f catalog.File) *Objection {
	for i := range out {
		if out[i].Offer.Filename == f.Filename {
			return out[i].against
		}
	}
	return nil
}
