package plan

import (
	"fmt"
	"slices"
	"strings"

	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/provenance"
)

// AttestedRule is the Rule of the objection to a file that comes without provenance
// where the release before had it.
const AttestedRule = "provenance = \"hold\""

// A Precedent is what the release before a file had of provenance (PEP 740).
type Precedent struct {
	// Version is that of the release; empty if there is none whose files all had
	// it, so that nothing is expected.
	Version string

	// Publisher is who published it, if that is known.
	Publisher provenance.Publisher
}

// unattested objects to a file without provenance whose project had it: whoever has
// taken over an account need not have the workflow that publishes. A project may have
// begun with it, and given it up, long before anybody has heard of it here; so what
// is here counts, and of that the newest release that was uploaded before the file.
func unattested(in *Input, all []candidate) {
	if in.Provenance != "hold" && in.Provenance != "warn" || in.Listing == nil {
		return
	}
	releases := in.attested(all)
	if len(releases) == 0 {
		return
	}
	for i := range all {
		c := &all[i]
		if c.listed || c.local || c.against != nil {
			continue
		}
		before := precedent(releases, c)
		if before.Version == "" {
			continue
		}
		if _, allowed := in.Policy.Allowed(in.Name, c.Offer.Filename, c.Filename.Version, in.now()); allowed && c.Offer.Provenance != "" {
			continue // whatever it says
		}
		if c.Offer.Provenance != "" || in.Provenance == "warn" {
			c.Before = before // what it says has to be seen
			continue
		}
		reason := "it comes without provenance, and version " + before.Version + " had it"
		if !before.Publisher.IsZero() {
			reason = fmt.Sprintf("it comes without provenance, and version %s was published by %s", before.Version, before.Publisher)
		}
		c.hold(in, Objection{Effect: Held, Rule: AttestedRule, Reason: reason})
	}
}

// A formerRelease is what is here of a release.
type formerRelease struct {
	key      packaging.VersionKey
	version  string
	uploaded int64 // of its first file; 0 if that of one is not known
	whole    bool  // each of its files has provenance
	by       provenance.Publisher
}

// attested gives the releases of the source that are here, if one of them has
// provenance.
func (in *Input) attested(all []candidate) []formerRelease {
	if in.Current == nil {
		return nil
	}
	announced := map[string]bool{}
	for i := range all {
		if all[i].Offer.Provenance != "" {
			announced[all[i].Offer.Filename] = true
		}
	}
	var releases []formerRelease
	at := map[packaging.VersionKey]int{}
	any := false
	for _, f := range in.Current.Files {
		if f.Source != in.Source || f.Announced {
			continue
		}
		key := packaging.VersionKeyOf(f.Version)
		i, known := at[key]
		if !known {
			i = len(releases)
			at[key] = i
			releases = append(releases, formerRelease{key: key, version: f.Version, uploaded: f.Uploaded, whole: true})
		}
		r := &releases[i]
		r.uploaded = min(r.uploaded, f.Uploaded)
		if !had(f) && !announced[f.Filename] {
			r.whole = false
		}
		if r.by.IsZero() {
			r.by = f.Publisher
		}
		any = any || r.whole
	}
	if !any {
		return nil
	}
	return releases
}

func had(f catalog.File) bool { return f.Provenance || !f.Publisher.IsZero() }

// precedent gives the newest release before a file, if it has provenance.
func precedent(releases []formerRelease, c *candidate) Precedent {
	var last *formerRelease
	for i := range releases {
		r := &releases[i]
		dated := r.uploaded != 0 && c.Offer.Uploaded != 0
		if dated && r.uploaded > c.Offer.Uploaded || !dated && r.key > c.key {
			continue
		}
		if last == nil || last.uploaded < r.uploaded || last.uploaded == r.uploaded && last.key < r.key {
			last = r
		}
	}
	if last == nil || !last.whole {
		return Precedent{}
	}
	return Precedent{last.version, last.by}
}

// tellUnattested raises the alarm about files that come without provenance.
func (p *Project) tellUnattested() {
	var files []string
	reason := ""
	for _, l := range p.LeftOut {
		if l.Objection.Rule == AttestedRule {
			files = append(files, l.Offer.Filename)
			reason = l.Objection.Reason
		}
	}
	if len(files) == 0 {
		return
	}
	slices.Sort(files)
	p.problem(Alarm, string(p.Name), "find out why; "+AllowHint(files[0]),
		"%s: not taken: %s", strings.Join(files[:min(len(files), 3)], ", "), reason)
}
