package plan

import (
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/internal/secret"
	"nestgen/packaging"
)

// A candidate is a file that may be chosen.
type candidate struct {
	Choice
	version packaging.Version // zero for one that does not follow PEP 440
	key     packaging.VersionKey

	// listed says that the index has it, vanished that the upstream no longer
	// does, yanked that installers pass it over: the policy has the last word.
	// local says that the index has a file of this name from a drop folder, and
	// vetted that nothing is known against a new one.
	listed, vanished, local, vetted bool
	yanked                          catalog.Yank

	// onDemand says that no line asks for it now, but it may come.
	onDemand bool

	// against is what keeps it out of the index, and allowed what would have done so
	// if the policy did not let it in.
	against *Objection
	allowed string

	// instead says that the upstream has other bytes under the name.
	instead bool
}

// choose gives the files that are asked for, by the allowlist or by what it asks
// for, in the order of their versions, newest first, then of their names; and
// those that something is against. What the index lists and the upstream has taken
// down counts as on offer: an upstream's deletion is told, not followed.
func (p *Project) choose(in *Input, here map[string]catalog.File) (chosen, out []candidate) {
	if len(in.Wants)+len(in.Needs) == 0 && !in.OnDemand {
		return nil, nil
	}
	all, out := p.leaveOut(in, in.candidates(here))
	at := map[string]int{} // in all, by file name
	for i := range all {
		at[all[i].Offer.Filename] = i
	}
	for i, want := range in.Wants {
		in := in.of(want)
		var answers []candidate
		switch {
		case in.Settled[i]:
			continue
		case want.Kind == allowlist.Archive:
			answers = p.direct(in, want)
			for _, c := range answers {
				if _, ok := at[c.Offer.Filename]; !ok {
					if p.isHeld(in, &c, Reason(want)) {
						answers = nil
						break
					}
					at[c.Offer.Filename] = len(all)
					all = append(all, c)
				}
			}
		case want.Kind != allowlist.FromIndex:
			continue
		case want.Locked() && (in.Source != "" || in.Nobody):
			answers = p.answerLock(in, want, all, out)
		case in.Source == "":
			p.checkLocal(in, want)
			continue
		default:
			answers = p.answer(in, want, all, out)
		}
		for _, c := range answers {
			i := at[c.Offer.Filename]
			if all[i].Allowed == nil {
				all[i].Allowed = c.Allowed
			}
			if want.Locked() {
				all[i].Offer = c.Offer // what the lock file knows of it as well
			}
			all[i].vetted = all[i].vetted || c.vetted
			all[i].Why = append(all[i].Why, Reason(want))
		}
	}
	p.answerNeeds(in, all)
	if in.OnDemand && in.Source != "" {
		for i := range all {
			c := &all[i]
			if len(c.Why) == 0 && admitted(in, c) {
				c.onDemand, c.Why = true, []string{onDemand}
			}
		}
	}
	for i := range all {
		if c := &all[i]; len(c.Why) > 0 && c.allowed != "" {
			c.Why = append(c.Why, c.allowed)
		}
	}
	return slices.DeleteFunc(all, func(c candidate) bool { return len(c.Why) == 0 }), out
}

// answerNeeds notes which candidates are of a version that something else needs.
// What was listed before it was yanked stays beside them, as for a line.
func (p *Project) answerNeeds(in *Input, all []candidate) {
	if in.Source == "" {
		return
	}
	why := make(map[packaging.VersionKey][]string, len(in.Needs))
	least := packaging.VersionKey("")
	for _, n := range in.Needs {
		key := packaging.VersionKeyOf(n.Version)
		why[key] = append(why[key], n.Why...)
		if least == "" || key < least {
			least = key
		}
	}
	if len(why) == 0 {
		return
	}
	for i := range all {
		c := &all[i]
		reasons := why[c.key]
		if reasons == nil && c.yanked.Yanked && c.listed && c.key >= least {
			reasons = []string{"it was listed before it was yanked"}
		}
		if reasons == nil || !in.fits(c) || !in.hashed(c.Offer) {
			continue
		}
		if c.vetted = c.vetted || c.listed || c.local || p.vet(in, c.Choice); c.vetted {
			c.Why = append(c.Why, reasons...)
		}
	}
}

// fits reports whether the allowlist's options want files of the candidate's kind.
// What is built for a platform is a binary, of whatever kind.
func (in *Input) fits(c *candidate) bool {
	wheels, sdists := in.Options.Formats(in.Name)
	if c.Filename.Kind == packaging.Sdist {
		return sdists
	}
	return wheels
}

// specifiers gives the versions that a line allows, as the constraints narrow it.
func (in *Input) specifiers(want allowlist.Want) packaging.Specifiers {
	spec := want.Requirement.Specifiers
	for _, c := range in.Constraints {
		spec = spec.And(c.Requirement.Specifiers)
	}
	return spec
}

// admitted reports whether a file may come on demand: a line of the allowlist
// fits it, or none speaks of the project. Which of several versions an installer
// takes, and whether it is yanked or a pre-release, is the installer's matter.
func admitted(in *Input, c *candidate) bool {
	if !in.fits(c) {
		return false
	}
	lines := 0
	for _, want := range in.Wants {
		if want.Kind != allowlist.FromIndex {
			continue
		}
		lines++
		in := in.of(want)
		if right, known := in.right(want, c.Offer); right && known && in.specifiers(want).MatchesString(c.Filename.Version, packaging.AllowPrereleases) {
			return true
		}
	}
	return lines == 0
}

// direct gives the file that a line names by its address.
func (p *Project) direct(in *Input, want allowlist.Want) []candidate {
	o, f, err := Direct(want)
	if err != nil {
		p.problem(Incomplete, want.Position.String(), "", "%v", err)
		return nil
	}
	if reason, blocked := in.forbidden(o.Filename, f.Version); blocked {
		p.problem(Warning, want.Position.String(), "", "not listed, because the policy blocks it: %s", reason)
		return nil
	}
	c := candidate{Choice: Choice{Source: catalog.Direct, Offer: o, Filename: f}}
	set := allowedDigests(want, in.Constraints)
	fits, known := hashed(set, o)
	if known && !fits {
		p.problem(Incomplete, want.Position.String(), "", "%s: the hash in the address is none of those that the line lists", strings.TrimSpace(want.Text))
		return nil
	}
	if !known {
		c.Allowed = set
	}
	return []candidate{c}
}

// Direct reads a line that names an archive by its address: the file that it
// offers, with the hashes of the line. The URL of the offer is fit to be shown:
// it has no login, no token and no value of a variable; see [Address].
func Direct(want allowlist.Want) (catalog.Offer, packaging.Filename, error) {
	u, err := url.Parse(want.URL)
	if err != nil {
		return catalog.Offer{}, packaging.Filename{}, fmt.Errorf("%s: not an address", strings.TrimSpace(want.Text))
	}
	o := catalog.Offer{Filename: path.Base(u.Path), Size: -1, Hashes: map[string]string{}}
	f, err := packaging.ParseFilename(o.Filename, want.Project)
	if err != nil {
		return catalog.Offer{}, packaging.Filename{}, err
	}
	for alg, digest := range want.URLHashes {
		o.Hashes[strings.ToLower(alg)] = strings.ToLower(digest)
	}
	if want.Masked != "" {
		masked, err := url.Parse(want.Masked)
		if err != nil {
			masked = &url.URL{Scheme: u.Scheme, Host: "…", Path: "/" + o.Filename}
		}
		u = masked
	}
	o.URL = shown(u)
	return o, f, nil
}

// shown gives an address as it may be shown and kept: without login, fragment and
// tokens.
func shown(u *url.URL) string {
	b := *u
	if secret.Query(b.RawQuery) {
		b.RawQuery = ""
	}
	return bare(&b)
}

// Address gives the address that the allowlist names a file by, with the tokens
// that may be in it but without login and fragment, and the login. An address
// that Direct or Located has read has no fault.
func Address(address string) (plain string, login *url.Userinfo) {
	u, err := url.Parse(address)
	if err != nil {
		return "", nil
	}
	return bare(u), u.User
}

// bare gives an address without login and fragment.
func bare(u *url.URL) string {
	b := *u
	b.User, b.Fragment, b.RawFragment = nil, "", ""
	return b.String()
}

// checkLocal tells if a line asks for what no local file can give: the name is
// not asked for outside.
func (p *Project) checkLocal(in *Input, want allowlist.Want) {
	if want.Locked() {
		p.checkLocked(in, want)
		return
	}
	spec := want.Requirement.Specifiers
	for _, d := range in.Dropped {
		if spec.MatchesString(d.Filename.Version, packaging.AllowPrereleases) {
			return
		}
	}
	if in.Current != nil && (in.SkipLocal || in.KeepLocal) {
		for _, f := range in.Current.Files {
			if f.Source == catalog.Local && spec.MatchesString(f.Version, packaging.AllowPrereleases) {
				return
			}
		}
	}
	p.problem(Incomplete, want.Position.String(), "put it in a drop folder, or give the project sources = \"both\" in a [[project]] table",
		"%s: no file in the drop folders fits, and the name belongs to this site, so that no upstream is asked", strings.TrimSpace(want.Text))
}

// Reason says where a want stands, and through which lists it came there.
func Reason(w allowlist.Want) string {
	var b strings.Builder
	for _, via := range w.Via {
		b.WriteString(via.String() + " > ")
	}
	b.WriteString(w.Position.String() + ": " + strings.TrimSpace(w.Text))
	return b.String()
}

// candidates gives what is on offer, newest version first.
func (in *Input) candidates(here map[string]catalog.File) (all []candidate) {
	local := map[string]bool{}
	if in.Current != nil {
		for _, f := range in.Current.Files {
			if f.Source == catalog.Local {
				local[f.Filename] = true
			}
		}
	}
	describe := func(c *candidate) {
		c.version, _ = packaging.ParseVersion(c.Filename.Version)
		c.key = packaging.VersionKeyOf(c.Filename.Version)
		f, have := here[c.Offer.Filename]
		c.listed = have && !f.Announced
		c.local = local[c.Offer.Filename]
		c.yanked = in.Advice.Yank(in.Policy, in.Name, c.Source, c.Offer.Filename, c.Filename.Version, c.Offer.Yanked)
	}
	add := func(c candidate) {
		describe(&c)
		all = append(all, c)
	}
	offered := map[string]bool{}
	if in.Listing != nil {
		for _, o := range in.Listing.Offers {
			if offered[o.Filename] {
				continue
			}
			f, err := packaging.ParseFilename(o.Filename, in.Name)
			if err == nil {
				err = packaging.CheckFilename(o.Filename)
			}
			if err != nil {
				continue // fetch has warned of what is no file of this project
			}
			offered[o.Filename] = true
			if f, ok := here[o.Filename]; ok && o.Hashes["sha256"] == "" {
				// What the upstream does not say is known of a file that is here.
				o.Hashes = maps.Clone(o.Hashes)
				if o.Hashes == nil {
					o.Hashes = map[string]string{}
				}
				o.Hashes["sha256"] = f.SHA256.String()
			}
			add(candidate{Choice: Choice{Source: in.Source, Offer: o, Filename: f}})
		}
	}
	for _, f := range here {
		if offered[f.Filename] || f.Source != in.Source || f.Announced {
			continue
		}
		name, err := packaging.ParseFilename(f.Filename, in.Name)
		if err != nil {
			continue
		}
		add(candidate{
			Choice: Choice{Source: f.Source, Filename: name, Offer: catalog.Offer{
				Filename: f.Filename, URL: f.URL, Size: f.Size, Yanked: f.SourceYank, RequiresPython: f.RequiresPython, Uploaded: f.Uploaded,
				Hashes: map[string]string{"sha256": f.SHA256.String()},
			}},
			vanished: in.Listing != nil,
		})
	}
	all = in.byAddress(all, describe)
	slices.SortFunc(all, func(a, b candidate) int {
		if c := strings.Compare(string(b.key), string(a.key)); c != 0 {
			return c
		}
		return strings.Compare(a.Offer.Filename, b.Offer.Filename)
	})
	return all
}

// answer gives the candidates that one line asks for, and tells if there are
// none, of those that nothing is against.
func (p *Project) answer(in *Input, want allowlist.Want, all, out []candidate) []candidate {
	spec := in.specifiers(want)
	pin, pre := spec.IsExact(), in.prereleases(spec)
	set := allowedDigests(want, in.Constraints)
	var suitable, yanked []candidate
	for _, c := range all {
		right, known := hashed(set, c.Offer)
		if !in.fits(&c) || known && !right {
			continue
		}
		if !known {
			c.Allowed = set
		}
		// Only a pin selects what is yanked (PEP 592).
		if c.yanked.Yanked && !pin {
			yanked = append(yanked, c)
			continue
		}
		suitable = append(suitable, c)
	}
	version := func(c candidate) (packaging.Version, string) { return c.version, c.Filename.Version }
	yanked = packaging.FilterFunc(spec, yanked, pre, version)
	// What is refused leaves its place to the next best.
	var found []candidate
	refused := map[string]bool{}
	for {
		found = packaging.FilterFunc(spec, suitable, pre, version)
		if !pin {
			found = newest(found, in.Keep)
		}
		before := len(refused)
		for i := range found {
			c := &found[i]
			c.vetted = c.vetted || c.listed || c.local || p.vet(in, c.Choice)
			if !c.vetted {
				refused[c.Offer.Filename] = true
			}
		}
		if len(refused) == before {
			break
		}
		suitable = slices.DeleteFunc(suitable, func(c candidate) bool { return refused[c.Offer.Filename] })
	}
	// What was listed before it was yanked stays, with its mark, beside the
	// versions that were chosen without it: others may have pinned it.
	var last packaging.VersionKey
	if len(found) > 0 {
		last = found[len(found)-1].key
	}
	for _, c := range yanked {
		if c.listed && c.key >= last {
			found = append(found, c)
		}
	}
	if pin {
		p.tellYankedPins(want, found)
	}
	switch {
	case len(found) > 0:
	case len(refused) > 0:
		p.Lacks = true
	case p.tellLeftOut(want, packaging.FilterFunc(spec, out, packaging.AllowPrereleases, version)):
	default:
		p.unanswered(in, want, all, yanked)
	}
	return found
}

// tellYankedPins tells of what a line pins that is yanked: it is listed, since that
// is what the line asks for, but whoever wrote it should know.
func (p *Project) tellYankedPins(want allowlist.Want, found []candidate) {
	for _, c := range found {
		if c.yanked.Yanked {
			p.problem(Warning, want.Position.String(), "pin another version", "%s: version %s is yanked%s; it is listed because the line pins it",
				strings.TrimSpace(want.Requirement.String()), c.Filename.Version, because(c.yanked.Reason))
		}
	}
}

// prereleases says what the allowlist's options have to say about pre-releases.
func (in *Input) prereleases(spec packaging.Specifiers) packaging.Prereleases {
	always, never := in.Options.PreReleases(in.Name)
	f := in.Filter
	switch {
	case always:
		return packaging.AllowPrereleases
	case never:
		return packaging.DenyPrereleases
	case f != nil && !(f.Prereleases == packaging.DenyPrereleases && spec.NamesPrerelease()):
		return f.Prereleases
	}
	return packaging.AutoPrereleases
}

// vet reports whether a file that the index does not have may be fetched, and
// tells what is known against it.
func (p *Project) vet(in *Input, c Choice) bool {
	if known, seen := in.Known(c.Offer.Filename); seen && altered(c.Offer, known) {
		p.problem(Alarm, string(in.Name), "find out why before you trust this upstream",
			"%s: %s now offers sha256 %s, but it was first seen with sha256 %s; it is not listed", c.Offer.Filename, c.Source, c.Offer.Hashes["sha256"], known)
		return false
	}
	if in.Refused == nil {
		return true
	}
	reason, refused := in.Refused(c)
	if refused {
		p.problem(Incomplete, string(in.Name), "it is not fetched again unless the upstream changes it",
			"%s: %s: not listed: %s", c.Source, c.Offer.Filename, reason)
	}
	return !refused
}

// newest gives the candidates of the first versions; equal versions that are
// spelled differently count once.
func newest(found []candidate, keep Keep) []candidate {
	if keep == All {
		return found
	}
	versions := Keep(0)
	for i, c := range found {
		if i == 0 || c.key != found[i-1].key {
			versions++
		}
		if versions > max(keep, Newest) {
			return found[:i]
		}
	}
	return found
}

// allowedDigests gives the digests by algorithm of which a file must have one
// to answer a line: those of the line and those of the constraints that list
// any. It is nil where nobody lists any, and empty where the lists have none in
// common.
func allowedDigests(want allowlist.Want, constraints []allowlist.Want) map[string][]string {
	var set map[string][]string
	if len(want.Hashes) > 0 {
		set = want.Hashes
	}
	for _, c := range constraints {
		switch {
		case len(c.Hashes) == 0:
		case set == nil:
			set = c.Hashes
		default:
			common := map[string][]string{}
			for alg, digests := range set {
				for _, d := range digests {
					if slices.ContainsFunc(c.Hashes[alg], func(e string) bool { return strings.EqualFold(d, e) }) {
						common[alg] = append(common[alg], d)
					}
				}
			}
			set = common
		}
	}
	return set
}

// right reports whether an offer is of the bytes that a line asks for, and whether
// it says enough to tell.
func (in *Input) right(want allowlist.Want, o catalog.Offer) (right, known bool) {
	if want.Locked() {
		return names(want, o), true
	}
	return hashed(allowedDigests(want, in.Constraints), o)
}

// hashed reports whether an offer has one of the digests that are allowed, and
// whether it says enough to tell.
func hashed(set map[string][]string, o catalog.Offer) (right, known bool) {
	if set == nil {
		return true, true
	}
	if len(set) == 0 {
		return false, true
	}
	for alg, digests := range set {
		have := o.Hashes[alg]
		if have == "" {
			continue
		}
		known = true
		if slices.ContainsFunc(digests, func(d string) bool { return strings.EqualFold(d, have) }) {
			return true, true
		}
	}
	return false, known
}

// tellLeftOut tells that something is against every file that fits a line, if
// there are any.
func (p *Project) tellLeftOut(want allowlist.Want, out []candidate) bool {
	if len(out) == 0 {
		return false
	}
	line := strings.TrimSpace(want.Requirement.String())
	if !slices.ContainsFunc(out, func(c candidate) bool { return c.against.Effect != Blocked }) {
		if slices.ContainsFunc(out, func(c candidate) bool { return c.against.Rule != malwareRule }) {
			p.problem(Warning, want.Position.String(), "", "%s: the policy blocks every file that fits", line)
		}
		return true
	}
	for _, c := range out {
		if c.against.Effect == Held {
			p.Lacks = true // it may take the place of something
			p.problem(Warning, want.Position.String(), AllowHint(c.Offer.Filename), "%s: every file that fits is held or not listed; %s: %s", line, c.Offer.Filename, c.against)
			return true
		}
	}
	p.problem(Incomplete, want.Position.String(), "\"nestgen plan --why "+string(p.Name)+"\" shows what is against each",
		"%s: something is against every file that fits; %s: %s", line, out[0].Offer.Filename, out[0].against)
	return true
}

// unanswered tells why a line got nothing.
func (p *Project) unanswered(in *Input, want allowlist.Want, all, yanked []candidate) {
	where := want.Position.String()
	line := strings.TrimSpace(want.Requirement.String())
	switch {
	case len(yanked) > 0:
		p.problem(Incomplete, where, fmt.Sprintf("pin it with == to list it all the same, for example %s==%s", want.Requirement.Name, yanked[0].Filename.Version),
			"%s: every file that fits is yanked%s", line, because(yanked[0].yanked.Reason))
	case len(all) == 0:
		p.problem(Incomplete, where, "", "%s: %s has no file that may be listed", line, in.Source)
	case len(want.Hashes) > 0:
		p.problem(Incomplete, where, "compare the hashes of the line with those of the upstream", "%s: no file at %s has one of the hashes that the line lists", line, in.Source)
	default:
		p.problem(Incomplete, where, "", "%s: no file at %s fits; its newest version is %s", line, in.Source, all[0].Filename.Version)
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}
