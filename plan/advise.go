package plan

import (
	"fmt"
	"slices"
	"strings"

	"nestgen/advisory"
	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/policy"
)

// An Advice is what security advisories say of a project, and what is to come of it.
// It is about files of upstreams alone. The nil Advice says nothing.
type Advice struct {
	Records *advisory.Set

	// Upstreams are those that the advisories are about; all if it is empty.
	Upstreams []string

	// YankFixed has versions yanked that an advisory affects and that are fixed in
	// another one. Where nothing is fixed, nobody could do better.
	YankFixed bool

	// BlockMalware keeps out what an advisory calls malware.
	BlockMalware bool
}

// about reports whether the advice is about files from a source.
func (a *Advice) about(source string) bool {
	return a != nil && source != "" && catalog.IsPublic(source) &&
		(len(a.Upstreams) == 0 || slices.Contains(a.Upstreams, source))
}

// malware gives the record by which a version from a source must not be listed, or
// nil.
func (a *Advice) malware(source, version string) *advisory.Record {
	if !a.about(source) || !a.BlockMalware {
		return nil
	}
	return a.Records.Malware(version)
}

// Blocks reports whether a version from a source must not be listed.
func (a *Advice) Blocks(source, version string) bool { return a.malware(source, version) != nil }

// yank gives the yank of a version, which is its source's own if that has yanked it.
func (a *Advice) yank(source, version string, own catalog.Yank) catalog.Yank {
	if own.Yanked || !a.about(source) || !a.YankFixed {
		return own
	}
	for _, f := range advisory.Merge(a.Records.Find(version)) {
		if f.Fixed != "" && !f.Malware() {
			return catalog.Yank{Yanked: true, Reason: yankReason(f)}
		}
	}
	return own
}

func yankReason(f advisory.Finding) string {
	if f.Summary == "" {
		return f.ID + "; fixed in " + f.Fixed
	}
	return f.ID + ": " + strings.TrimRight(f.Summary, ".") + "; fixed in " + f.Fixed
}

// Yank gives the yank of a file: what its source says, else what an advisory gives
// reason for; but the policy has the last word of both.
func (a *Advice) Yank(p *policy.Policy, n packaging.Name, source, filename, version string, own catalog.Yank) catalog.Yank {
	return p.Yank(n, filename, version, a.yank(source, version, own))
}

// malwareRule is the Rule of an objection to malware.
const malwareRule = "[advisories] block"

// malware objects to what an advisory calls malware.
func malware(in *Input, all []candidate) {
	for i := range all {
		c := &all[i]
		if r := in.Advice.malware(c.Source, c.Filename.Version); r != nil {
			c.object(malwareObjection(r))
		}
	}
}

func malwareObjection(r *advisory.Record) Objection {
	reason := r.ID
	if r.Summary != "" {
		reason += ": " + r.Summary
	}
	return Objection{Effect: Blocked, Rule: malwareRule, Reason: reason}
}

// tellMalware raises the alarm about malware that is listed, or that is asked for.
func (p *Project) tellMalware(in *Input) {
	tell := func(what string, files []string, reason string) {
		if len(files) == 0 {
			return
		}
		slices.Sort(files)
		names := strings.Join(files[:min(len(files), 3)], ", ")
		if more := len(files) - 3; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		p.problem(Alarm, string(p.Name), "take it out of the allowlist; if the advisory is wrong, name it in ignore of [advisories]", "%s %s: %s", names, what, reason)
	}
	var leaving, asked []string
	why := ""
	for _, w := range p.Withdraw {
		if r := in.Advice.malware(w.File.Source, w.File.Version); r != nil && w.Blocked {
			leaving = append(leaving, w.File.Filename)
			why = malwareObjection(r).Reason
		}
	}
	tell("was listed and is malware: withdrawn", leaving, why)
	for _, l := range p.LeftOut {
		if l.Objection.Rule == malwareRule && !slices.Contains(leaving, l.Offer.Filename) && !slices.Equal(l.Why, []string{onDemand}) {
			asked = append(asked, l.Offer.Filename)
			why = l.Objection.Reason
		}
	}
	tell("is asked for and is malware: not listed", asked, why)
}
