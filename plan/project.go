package plan

import (
	"fmt"
	"slices"
	"strings"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/policy"
)

// A Level says how much a problem matters.
type Level int

const (
	// Warning is odd, but nothing is missing because of it.
	Warning Level = iota

	// Incomplete means that something asked for is missing from the index, or
	// that something was kept back.
	Incomplete

	// Alarm means that somebody should look at once: bytes that changed, or a
	// removal that looks like an accident.
	Alarm
)

// A Problem is something that a build could not do, or should tell.
type Problem struct {
	Level Level

	// Where is a file and line, a path, or a project.
	Where string
	Text  string

	// Hint says what to do; it may be empty.
	Hint string
}

// A Dropped is a file of a drop folder that has passed the gate.
type Dropped struct {
	// Where is its path as people know it, File its last element.
	Where    string
	File     string
	Filename packaging.Filename
	Size     int64
	SHA256   catalog.Digest

	// Entry is the caller's own handle on the file.
	Entry int

	// Signed and Provenance say which companions lie beside it.
	Signed, Provenance bool
}

// An Input is everything that is known about one project.
type Input struct {
	Name packaging.Name

	// Current is what the index has now; nil for a project it has never had.
	Current *catalog.Project

	// Wants and Constraints are the allowlist's lines for the project, and
	// Options what it says for all of them.
	Wants       []allowlist.Want
	Constraints []allowlist.Want
	Options     allowlist.Options

	// Lists has what is said for the lines of other lists than the site's own, by
	// the name of each (allowlist.Want.List).
	Lists map[string]List

	// Needs are the versions that something needs which is asked for, or that were
	// chosen for the lines that Settled names, by their places in Wants: these
	// choose nothing themselves.
	Needs   []Need
	Settled map[int]bool

	// Source is the upstream that the project belongs to, empty if it belongs
	// to none. Listing is what it says, nil if it could not be asked: then
	// everything that came from there stays.
	Source  string
	Listing *catalog.Listing

	// Nobody says that every upstream was asked and none has the project, so that
	// of what a lock file names only that can be had which it has an address of.
	Nobody bool

	// Dropped is the project's files in the drop folders. KeepLocal says that
	// a folder could not be read, so that a file that is not in Dropped must
	// not be taken for gone. SkipLocal says that nothing has changed there:
	// Dropped is not given.
	Dropped   []Dropped
	KeepLocal bool
	SkipLocal bool

	// Leaving names the local files that leave the index in this run, as was
	// decided before: what an upstream has of them need not.
	Leaving map[string]bool

	// NotLocal says that the name is an upstream's, so that Dropped is empty
	// whatever there is in the folders.
	NotLocal bool

	// Spoilt names the files that are in a drop folder and could not pass the
	// gate: what was listed under such a name before is not gone.
	Spoilt map[string]bool

	// KeepOthers says that the upstreams besides Source were not asked, so that
	// what came from one of them stays.
	KeepOthers bool

	// KeepMirrored says that the allowlist could not be read whole, so that
	// what no line asks for must not be taken for unwanted.
	KeepMirrored bool

	// Keep is how many versions a line that is not pinned keeps.
	Keep Keep

	// Filter says which files of upstreams are wanted; nil for all.
	Filter *Filter

	// LegacyFiles lets installers of old kinds in.
	LegacyFiles bool

	Policy *policy.Policy

	// Advice is what security advisories say of the project; nil for nothing.
	Advice *Advice

	// Provenance says what becomes of a file without provenance where the release
	// before had it: "hold" has it held, "warn" has [Choice.Before] set; else
	// nothing is made of it.
	Provenance string

	// Known gives the digest that a file name was first seen with.
	Known func(filename string) (catalog.Digest, bool)

	// Refused says whether just this file was fetched before and did not pass
	// the gate, and why. If nil, none was.
	Refused func(c Choice) (reason string, refused bool)

	// Hold says what may not come in yet from Source, and DirectHold what may not
	// from the addresses that lines name.
	Hold, DirectHold Hold

	// OnDemand says that files come when somebody asks for them, so that whatever
	// the allowlist's lines admit is announced; without a line everything is that
	// the upstream offers.
	OnDemand bool

	// Lacks says whether an upstream announces something beside a file, as a
	// signature, that the index lists the file without and that is worth asking
	// for. If nil, nothing is.
	Lacks func(f catalog.File, o catalog.Offer) bool
}

// A Need is a version of a project that something else needs.
type Need struct {
	Version string

	// Why is who needs it, for people.
	Why []string
}

// A Choice is a file that should be fetched from an upstream, or what it lacks.
type Choice struct {
	Source   string
	Offer    catalog.Offer
	Filename packaging.Filename

	// Allowed is the digests that the allowlist lists for the file, by
	// algorithm, one of which it must have; nil for any. The upstream has not
	// said which digests of these algorithms the file has.
	Allowed map[string][]string

	// Here is what should be said from now on of a file that the index has, of
	// which only what the upstream has beside it is to be fetched. It is nil for
	// a new file.
	Here *catalog.File

	// Path is the place in the store of a file that was announced before; empty
	// for one that was not.
	Path string

	// Before is what the file's provenance is to be held against.
	Before Precedent

	Why []string
}

// A Take is a file that should be taken from a drop folder.
type Take struct {
	Dropped
	Why []string
}

// A Kept is a file that the index has and keeps. File is what should be said
// of it from now on.
type Kept struct {
	File    catalog.File
	Changed bool
	Why     []string
}

// A Withdrawal is a file that should leave the index.
type Withdrawal struct {
	File   catalog.File
	Reason string

	// Blocked says that the file is forbidden, or that nobody may have it and nobody
	// asks for it, so that it must go whatever else happens.
	Blocked bool
}

// Gone is the Reason of the withdrawal of a file that no drop folder has any more.
const Gone = "it is no longer in a drop folder"

// NeverCame is the Reason of the withdrawal of a file that was announced, and that
// nobody can ask for any more.
const NeverCame = "it had not come, and the upstream no longer has it"

// A Project is what a build will do for one project.
type Project struct {
	Name     packaging.Name
	Current  *catalog.Project
	Fetch    []Choice
	Announce []Choice
	Take     []Take
	Keep     []Kept
	Withdraw []Withdrawal
	Problems []Problem

	// Advice is that of the input, for what is yet to come.
	Advice *Advice

	// LeftOut is what is not listed though a line asks for it.
	LeftOut []LeftOut

	// Lacks says that all that a line asks for is refused, and may be what takes
	// the place of something.
	Lacks bool

	// Status and Note are what is said of the project from now on, and StatedBy
	// who says something new: an upstream, or "policy".
	Status   catalog.Status
	Note     string
	StatedBy string
}

// Changes reports whether there is anything to do.
func (p *Project) Changes() bool {
	return len(p.Fetch) > 0 || len(p.Announce) > 0 || len(p.Take) > 0 || len(p.Withdraw) > 0 || p.Restated() ||
		slices.ContainsFunc(p.Keep, func(k Kept) bool { return k.Changed })
}

// Restated reports whether the status or the note changes.
func (p *Project) Restated() bool {
	if p.Current == nil {
		return p.Status != catalog.Status{} || p.Note != ""
	}
	return p.Current.Status != p.Status || p.Current.Note != p.Note
}

func (p *Project) problem(l Level, where, hint, format string, args ...any) {
	told := Problem{l, where, fmt.Sprintf(format, args...), hint}
	if !slices.Contains(p.Problems, told) {
		p.Problems = append(p.Problems, told)
	}
}

// Decide plans one project.
func Decide(in Input) *Project {
	p := &Project{Name: in.Name, Current: in.Current, Advice: in.Advice}
	var current []catalog.File
	var source catalog.Status
	if in.Current != nil {
		current = in.Current.Files
		source = in.Current.Status
	}
	if in.Listing != nil {
		source = in.Listing.Status
	} else if in.Source == "" {
		source = catalog.Status{}
	}
	p.Status = in.Policy.Status(in.Name, source)
	p.Note = in.Policy.Note(in.Name)
	p.StatedBy = "policy"
	if in.Listing != nil && p.Status == in.Listing.Status && (in.Current == nil || p.Status != in.Current.Status) {
		p.StatedBy = in.Source
	}
	p.decideLocal(in, current)
	p.decideUpstream(in, current)
	p.tellMalware(&in)
	p.keepQuarantine(in)
	p.tellUnattested()
	p.tellAlike()
	return p
}

// keepQuarantine has the quarantine of a project that no upstream is asked for any
// more last, as long as anything stays that came from one.
func (p *Project) keepQuarantine(in Input) {
	if in.Source != "" || !in.quarantined() {
		return
	}
	if slices.ContainsFunc(p.Keep, func(k Kept) bool { return k.File.Source != catalog.Local }) {
		p.Status = in.Policy.Status(in.Name, in.Current.Status)
	}
}

// quarantined reports whether the index lists no file of the project, because
// somebody takes them for unsafe.
func (in *Input) quarantined() bool {
	return in.Current != nil && in.Current.Status.State == catalog.Quarantined
}

// decideLocal holds what the drop folders have against what the index lists.
func (p *Project) decideLocal(in Input, current []catalog.File) {
	here := map[string]catalog.File{}
	for _, f := range current {
		if f.Source == catalog.Local {
			here[f.Filename] = f
		}
	}
	if in.SkipLocal {
		for _, f := range current {
			if f.Source == catalog.Local && !in.Leaving[f.Filename] {
				p.stay(in, f)
			}
		}
		return
	}
	chosen := map[string]Dropped{}
	replaced := map[string]bool{} // the folders have other bytes of it
	outdated := map[string]bool{} // its kind is not listed
	for _, d := range in.Dropped {
		name := d.File
		if reason, blocked := in.Policy.Blocked(in.Name, name, d.Filename.Version); blocked {
			p.problem(Warning, d.Where, "", "not listed, because the policy blocks it: %s", reason)
			continue
		}
		if !in.LegacyFiles && legacy(d.Filename.Kind) {
			p.problem(Warning, d.Where, "set legacy_files = true to list it", "a %s is not listed here", d.Filename.Kind)
			outdated[name] = true
			continue
		}
		// What is listed with just these bytes need not be looked up.
		known, seen := here[name].SHA256, true
		if known != d.SHA256 {
			known, seen = in.Known(name)
		}
		if seen && known != d.SHA256 {
			replaced[name] = true
			p.problem(Incomplete, d.Where, "a file name is spent once it was used: give the new file a new version or build number",
				"sha256 %s, but %s was first seen with sha256 %s, which stays", d.SHA256, name, known)
			continue
		}
		if other, ok := chosen[name]; ok {
			if other.SHA256 != d.SHA256 {
				p.problem(Incomplete, d.Where, "remove one of the two", "sha256 %s, but %s has sha256 %s; the latter is listed", d.SHA256, other.Where, other.SHA256)
			}
			continue
		}
		chosen[name] = d
	}
	for _, d := range in.Dropped {
		name := d.File
		if c, ok := chosen[name]; !ok || c.Entry != d.Entry {
			continue
		}
		why := []string{d.Where}
		if f, ok := here[name]; ok {
			delete(here, name)
			if d.Signed && !f.Signed || d.Provenance && !f.Provenance {
				p.Take = append(p.Take, Take{d, why}) // for what now lies beside it
				continue
			}
			now := f
			if now.Signed = d.Signed; !now.Signed {
				now.SignatureSum = catalog.Digest{}
			}
			if now.Provenance = d.Provenance; !now.Provenance {
				now.ProvenanceSum = catalog.Digest{}
			}
			p.keep(in, f, now, f.SourceYank, why)
			continue
		}
		// It is taken also if an upstream has given the same: that may go.
		p.Take = append(p.Take, Take{d, why})
	}
	for _, f := range current {
		if _, left := here[f.Filename]; !left {
			continue
		}
		_, blocked := in.Policy.Blocked(in.Name, f.Filename, f.Version)
		switch {
		case blocked:
			p.stay(in, f)
		case in.KeepLocal:
			p.stay(in, f, "a drop folder could not be read")
		case replaced[f.Filename] || in.Spoilt[f.Filename]:
			p.stay(in, f, "the bytes that were here first stay")
		case in.NotLocal:
			p.Withdraw = append(p.Withdraw, Withdrawal{f, "the name belongs to an upstream", false})
		case outdated[f.Filename]:
			p.Withdraw = append(p.Withdraw, Withdrawal{f, "files of its kind are not listed", false})
		default:
			p.Withdraw = append(p.Withdraw, Withdrawal{f, Gone, false})
		}
	}
}

// keep has a file stay, with what its source and the policy say of it; now is
// the file with whatever else is to be said of it from now on.
func (p *Project) keep(in Input, f, now catalog.File, source catalog.Yank, why []string) {
	now = p.yanked(in, now, source)
	p.Keep = append(p.Keep, Kept{now, now != f, why})
}

// yanked gives a file as its source and the policy have it yanked.
func (p *Project) yanked(in Input, f catalog.File, source catalog.Yank) catalog.File {
	f.SourceYank = source
	f.Yanked = in.Advice.Yank(in.Policy, in.Name, f.Source, f.Filename, f.Version, source)
	return f
}

// stay has a file stay as it is, whatever its source has now, unless the policy
// forbids it or it is malware.
func (p *Project) stay(in Input, f catalog.File, why ...string) {
	if reason, blocked := in.forbidden(f.Filename, f.Version); blocked {
		p.Withdraw = append(p.Withdraw, Withdrawal{f, "the policy blocks it: " + reason, true})
		return
	}
	if r := in.Advice.malware(f.Source, f.Version); r != nil {
		o := malwareObjection(r)
		p.Withdraw = append(p.Withdraw, Withdrawal{f, o.String(), true})
		return
	}
	p.keep(in, f, f, f.SourceYank, why)
}

func legacy(k packaging.Kind) bool {
	switch k {
	case packaging.Wininst, packaging.MSI, packaging.RPM, packaging.Deb, packaging.Dumb:
		return true
	}
	return false
}

// decideUpstream chooses from what the upstream offers and holds the choice
// against what the index lists.
func (p *Project) decideUpstream(in Input, current []catalog.File) {
	here := map[string]catalog.File{}
	local := map[string]catalog.File{}
	for _, f := range current {
		if f.Source != catalog.Local {
			here[f.Filename] = f
		} else {
			local[f.Filename] = f
		}
	}
	why := ""
	switch {
	case in.Listing == nil && in.Source != "":
		why = "the upstream could not be asked"
	case in.Listing != nil && in.Listing.Status.State == catalog.Quarantined:
		p.tellQuarantine(in)
		why = in.Source + " has quarantined the project"
	}
	if why != "" {
		for _, f := range current {
			if f.Source != catalog.Local {
				p.stay(in, f, why)
			}
		}
		return
	}
	chosen, out := p.choose(&in, here)
	p.tellReborn(&in)
	for _, c := range chosen {
		if f, ok := local[c.Offer.Filename]; ok {
			same := !altered(c.Offer, f.SHA256)
			if same && in.Leaving[f.Filename] {
				p.keep(in, f, mirrored(f, c.Choice), c.Offer.Yanked, c.Why)
			} else if !same {
				p.problem(Warning, string(in.Name), "", "%s: %s offers other bytes; the file of the drop folder is listed", c.Offer.Filename, c.Source)
			}
			continue
		}
		f, have := here[c.Offer.Filename]
		if c.onDemand && (!have || f.Announced) {
			delete(here, c.Offer.Filename)
			p.announce(in, c, f)
			continue
		}
		if !have {
			if !c.vetted && !p.vet(&in, c.Choice) {
				p.Lacks = true
				continue
			}
			p.Fetch = append(p.Fetch, c.Choice)
			continue
		}
		delete(here, c.Offer.Filename)
		if f.Announced && !altered(c.Offer, f.SHA256) {
			c.Path = f.Path
			p.Fetch = append(p.Fetch, c.Choice)
			continue
		}
		if altered(c.Offer, f.SHA256) {
			p.problem(Alarm, string(in.Name), "the bytes that were here first stay; find out why before you trust this upstream",
				"%s: %s now offers sha256 %s instead of %s", c.Offer.Filename, c.Source, c.Offer.Hashes["sha256"], f.SHA256)
			p.stay(in, f, c.Why...)
			continue
		}
		if c.vanished && !c.onDemand {
			p.problem(Incomplete, string(in.Name), "it stays until the allowlist or the policy says otherwise",
				"%s: %s no longer has it", c.Offer.Filename, c.Source)
		}
		now := f
		if !c.vanished {
			now = mirrored(f, c.Choice)
		}
		if in.Lacks != nil && in.Lacks(f, c.Offer) {
			now = p.yanked(in, now, c.Offer.Yanked)
			c.Here = &now
			p.Fetch = append(p.Fetch, c.Choice)
			continue
		}
		p.keep(in, f, now, c.Offer.Yanked, c.Why)
	}
	for _, f := range current {
		if _, left := here[f.Filename]; !left {
			continue
		}
		against := objection(out, f)
		_, forbidden := in.forbidden(f.Filename, f.Version)
		switch {
		case forbidden:
			p.stay(in, f)
		case against != nil && against.Effect == Blocked:
			p.Withdraw = append(p.Withdraw, Withdrawal{f, against.String(), true})
		case in.KeepMirrored:
			p.stay(in, f, "what is wanted is not known whole")
		case in.KeepOthers && f.Source != in.Source && f.Source != catalog.Direct:
			p.stay(in, f, f.Source+" was not asked")
		case f.Announced && !offers(in.Listing, f.Filename):
			p.Withdraw = append(p.Withdraw, Withdrawal{f, NeverCame, false})
		case against != nil:
			p.Withdraw = append(p.Withdraw, Withdrawal{f, against.String(), false})
		case len(in.Wants)+len(in.Needs) > 0:
			p.Withdraw = append(p.Withdraw, Withdrawal{f, "the allowlist keeps other versions", false})
		default:
			// What is quarantined goes for good, whatever looks like an accident.
			p.Withdraw = append(p.Withdraw, Withdrawal{f, "no allowlist line asks for " + string(in.Name), in.quarantined()})
		}
	}
}

// mirrored gives a file as an upstream has it. What an address of the allowlist
// gave stays that address's.
func mirrored(f catalog.File, c Choice) catalog.File {
	if c.Source != f.Source && c.Source != catalog.Direct && f.Source != catalog.Direct {
		f.Source, f.URL = c.Source, c.Offer.URL
	}
	if f.Announced {
		return announced(f, c.Offer)
	}
	f.RequiresPython = RequiresPython(c.Offer.RequiresPython, f.RequiresPython)
	if c.Offer.Uploaded != 0 {
		f.Uploaded = c.Offer.Uploaded
	}
	return f
}

// tellQuarantine raises the alarm about a project that its upstream has
// quarantined (PEP 792), unless the policy says that it is known here. Nothing
// comes or goes of such a project: an upstream lists no file of it, and what is
// here must be there for those who look into it.
func (p *Project) tellQuarantine(in Input) {
	of := in.Listing.Status
	switch in.Policy.Status(in.Name, catalog.Status{}).State {
	case catalog.Quarantined:
		return
	}
	if p.Status.State != catalog.Quarantined {
		p.problem(Warning, string(in.Name), "", "%s has quarantined it%s; the policy lists it all the same", in.Source, because(of.Reason))
		return
	}
	p.problem(Alarm, string(in.Name), `take it out of the allowlist, or say in the policy that it is quarantined, if you know of it, or active, to list it all the same`,
		"%s has quarantined it%s; none of its files is listed or fetched", in.Source, because(of.Reason))
}

// RequiresPython takes an upstream's requires-python where it is a valid
// specifier set, and else what is known of the file already.
func RequiresPython(offered, have string) string {
	if offered == "" || offered == have {
		return have
	}
	if _, err := packaging.ParseSpecifiers(offered); err != nil {
		return have
	}
	return offered
}

// altered reports whether an offer announces other bytes than a digest.
func altered(o catalog.Offer, known catalog.Digest) bool {
	sha := o.Hashes["sha256"]
	return sha != "" && !strings.EqualFold(sha, known.String())
}
