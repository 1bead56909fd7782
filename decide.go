package nestgen

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/drop"
	"nestgen/packaging"
	"nestgen/plan"
)

// A decided is what will be done for one project, with what is needed to do
// it.
type decided struct {
	*plan.Project
	entries []drop.Entry // that plan.Take.Entry counts in
	links   []catalog.Link
	relink  bool // links are to replace what the catalog has
	owner   string

	// answers are what upstreams said anew, to be kept, and heard says that one
	// has the project, as it said now or before.
	answers []answer
	heard   bool

	// arrived are the new files that are in the catalog by now.
	arrived []*arrival

	// still are the paths of files that were announced anew while they are here.
	still []string

	// refused are files that were fetched and did not pass the gate.
	refused []catalog.Refusal

	// held is what may not come in yet, if reheld says that this is not what the
	// catalog has; and waiting how much that is, whether it is known now or was
	// before.
	held    []catalog.Hold
	reheld  bool
	waiting int

	// lacks says that what the project should have is not known, or not to be had
	// in this run.
	lacks bool
}

// changes reports whether there is anything to do.
func (d *decided) changes() bool {
	return d.Changes() || d.relink || d.reheld || len(d.answers) > 0
}

// decide gives what is to be done, project by project in the order of names,
// local ones first, in batches. Projects that stay as they are are left out.
func (s *site) decide(ctx context.Context) iter.Seq2[[]*decided, error] {
	return func(yield func([]*decided, error) bool) {
		owners := map[packaging.Name]string{}
		if len(s.local.counts)+len(s.intent.wants)+len(s.intent.projects) > 0 || s.mayHaveMirrored(ctx) {
			var err error
			if owners, err = s.catalog.Owners(ctx); err != nil {
				yield(nil, storage(err))
				return
			}
		}
		files := 0
		for _, n := range s.local.counts {
			files += n
		}
		s.progress.Stage("taking in", int64(files))
		for batch, err := range s.localBatches() {
			if err != nil {
				yield(nil, err)
				return
			}
			var out []*decided
			for _, n := range slices.Sorted(maps.Keys(batch)) {
				d, err := s.decideLocal(ctx, n, owners[n], batch[n])
				if err != nil {
					yield(nil, err)
					return
				}
				s.report.planned(d.Problems)
				s.progress.Step(int64(len(batch[n])-len(d.Take)), 0)
				if s.opts.DryRun && s.Dependencies != NoDependencies {
					s.local.foresee(d)
				}
				if d.changes() {
					out = append(out, d)
				}
			}
			if !yield(out, nil) {
				return
			}
		}
		s.decideUpstreams(ctx, owners, yield)
		s.reportDrop()
	}
}

// mayHaveMirrored reports whether the index lists anything that came from an
// upstream.
func (s *site) mayHaveMirrored(ctx context.Context) bool {
	n, err := s.catalog.Mirrored(ctx)
	return n || err != nil
}

// sources says where files of a project may come from. The first source of a
// name owns it; only an explicit exception mixes two.
func (s *site) sources(n packaging.Name, owner string, dropped bool) (local, upstream bool) {
	switch s.intent.projects[n].Sources {
	case "local":
		return true, false
	case "upstream":
		return false, true
	case "both":
		return true, true
	}
	switch {
	case s.reserved(n):
		return true, false
	case owner == "":
		return dropped, !dropped
	}
	return owner == catalog.Local, owner != catalog.Local
}

// isDropped reports whether the drop folders have a file for a name without an
// owner, be it one that cannot be taken.
func (s *site) isDropped(n packaging.Name) bool { return s.local.mine[n] || s.local.putOff[n] }

// mayBeDropped reports whether a name without an owner may be this site's own for all
// that can be seen of the drop folders. Requests look for themselves: see [Live].
func (s *site) mayBeDropped(n packaging.Name, owner string) bool {
	return owner == "" && !s.joined && !s.local.complete() && s.intent.projects[n].Sources == ""
}

// input gathers what plan needs to know of a project, except what its sources
// have.
func (s *site) input(ctx context.Context, n packaging.Name) (plan.Input, error) {
	in := plan.Input{
		Name: n, Wants: s.intent.wants[n], Constraints: s.intent.constraints[n], Options: s.intent.options,
		Provenance: s.Provenance, Keep: s.keep(n), Filter: s.intent.filters.of(n), LegacyFiles: s.LegacyFiles, Policy: s.intent.policy,
		KeepLocal: !s.local.complete(), KeepMirrored: s.intent.faulty || s.opts.Latest,
	}
	in.Lists = s.listsOf(n)
	p, err := s.catalog.Project(ctx, n)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return in, storage(err)
	default:
		in.Current = p
	}
	if in.Advice, err = s.advice(ctx, n, in.Current); err != nil {
		return in, err
	}
	in.Known = func(filename string) (catalog.Digest, bool) {
		if !s.seenBefore {
			return catalog.Digest{}, false
		}
		e, err := s.catalog.FirstSeen(ctx, filename)
		return e.SHA256, err == nil
	}
	switch s.onDemand(n) {
	case "list":
		in.OnDemand = asksIndex(in.Wants)
	case "fetch":
		in.OnDemand = true
	}
	if s.anyRefusal {
		in.Refused = func(c plan.Choice) (string, bool) {
			reason, refused, err := s.catalog.Refusal(ctx, refusalOf(c))
			return reason, refused && err == nil
		}
	}
	return in, nil
}

// known gives the digests that the files of a listing were first seen with.
func (s *site) known(ctx context.Context, l *catalog.Listing) (func(filename string) (catalog.Digest, bool), error) {
	names := make([]string, len(l.Offers))
	for i := range l.Offers {
		names[i] = l.Offers[i].Filename
	}
	first, err := s.catalog.FirstDigests(ctx, names)
	if err != nil {
		return nil, storage(err)
	}
	return func(filename string) (catalog.Digest, bool) {
		d, seen := first[filename]
		return d, seen
	}, nil
}

// refusalOf names an upstream's file for the list of those that did not pass
// the gate.
func refusalOf(c plan.Choice) catalog.Refusal {
	r := catalog.Refusal{Source: c.Source, Filename: c.Offer.Filename, Digest: c.Offer.URL, Rules: inspection}
	if sha := c.Offer.Hashes["sha256"]; sha != "" {
		r.Digest = "sha256=" + sha
	}
	if c.Allowed != nil {
		// A map prints sorted by its keys.
		r.Rules += fmt.Sprintf(" %x", sha256.Sum256(fmt.Append(nil, c.Allowed)))
	}
	return r
}

// companionRefusal names what an upstream announced beside a file and did not
// have.
func companionRefusal(f catalog.File, source string, c drop.Companion) catalog.Refusal {
	return catalog.Refusal{Source: source, Filename: f.Filename + c.Ending(), Digest: "sha256=" + f.SHA256.String(), Rules: inspection}
}

// decideLocal decides about a project whose drop folder files may have
// changed.
func (s *site) decideLocal(ctx context.Context, n packaging.Name, owner string, entries []drop.Entry) (*decided, error) {
	in, err := s.input(ctx, n)
	if err != nil {
		return nil, err
	}
	owner = nowOf(owner, in.Current)
	if in.Current != nil && in.Current.Serial > s.local.serial {
		// Something was uploaded after the folders were read, as it may be.
		in.KeepLocal, s.local.told[n] = true, true
	}
	if owner == "" {
		// A file that could not pass the gate holds a name back as well: what is
		// meant to be this site's own is not asked for outside.
		s.local.mine[n] = hasFiles(entries) || s.local.putOff[n]
		if spoilt := spoiltFiles(entries); len(spoilt) > 0 {
			s.local.mine[n], s.local.told[n] = true, true
		}
	}
	local, upstream := s.sources(n, owner, s.local.mine[n])
	d := &decided{entries: entries, owner: cmp.Or(owner, catalog.Local)}
	whole, err := s.decideLinks(d, in.Current, n, entries)
	if err != nil {
		return nil, err
	}
	if !whole && in.Current != nil && len(in.Current.Links) > 0 {
		s.local.told[n] = true // the next run looks again
	}
	if !local {
		// While the line that asks for it may be one that cannot be read, nobody
		// else may give what takes the place of what is here.
		in.NotLocal, in.KeepLocal = true, in.KeepLocal || s.intent.faulty
		whose := owner
		if owner == "" || owner == catalog.Local {
			whose = "an upstream"
		}
		for _, f := range s.dropped(n, entries) {
			s.local.told[n] = true
			s.report.problem(plan.Incomplete, f.Where, `to list both, give the project sources = "both" in a [[project]] table`,
				"not listed: the name %s belongs to %s", n, whose)
		}
	} else {
		in.Dropped = s.dropped(n, entries)
		in.Spoilt = spoiltFiles(entries)
		if in.Current != nil {
			for _, f := range in.Current.Files {
				if s.local.passedOver[f.Filename] {
					in.Spoilt[f.Filename], s.local.told[n] = true, true
				}
			}
		}
	}
	var told []plan.Problem
	if upstream {
		// Its upstream will be asked later; until then what it gave stays.
		in.Source = cmp.Or(owner, "upstream")
		in.Wants = nil
	} else {
		told = ownOnly(&in)
	}
	if upstream && owner == "" && asksIndex(s.intent.wants[n]) {
		// Whether an upstream has it decides whose name it is. Its links come
		// with the answer.
		d.links, d.relink = nil, false
		s.local.snippets[n] = slices.DeleteFunc(slices.Clone(entries), func(e drop.Entry) bool { return e.Kind != drop.Snippet })
	}
	d.Project = plan.Decide(in)
	if in.Current != nil && s.ofOtherSite(n) {
		// What is said of it, keepImported sees to.
		d.Status, d.Note, d.relink = in.Current.Status, in.Current.Note, false
	}
	d.Problems = append(told, d.Problems...)
	if len(d.Problems) > 0 {
		s.local.told[n] = true
	}
	return d, nil
}

// ownOnly takes out the lines that name an archive by its address: the name is
// this site's own, and nothing under it comes from elsewhere.
func ownOnly(in *plan.Input) (told []plan.Problem) {
	in.Wants = slices.DeleteFunc(slices.Clone(in.Wants), func(w allowlist.Want) bool {
		if w.Kind != allowlist.Archive {
			return false
		}
		told = append(told, plan.Problem{
			Level: plan.Incomplete, Where: w.Position.String(), Hint: `give the project sources = "both" in a [[project]] table`,
			Text: fmt.Sprintf("%s: the name %s belongs to this site, so that nothing is fetched for it", strings.TrimSpace(w.Text), in.Name),
		})
		return true
	})
	return told
}

// spoiltFiles names the distributions among entries that could not pass the
// gate.
func spoiltFiles(entries []drop.Entry) map[string]bool {
	names := map[string]bool{}
	for _, e := range entries {
		if e.Kind == drop.Distribution && e.Verdict != drop.Accepted {
			names[e.Filename()] = true
		}
	}
	return names
}

// nowOf gives the owner of a name that a moment ago had this one, or none: a request
// may have given it one since then.
func nowOf(owner string, current *catalog.Project) string {
	if current != nil {
		return current.Owner
	}
	return owner
}

func hasFiles(entries []drop.Entry) bool {
	return slices.ContainsFunc(entries, func(e drop.Entry) bool {
		return e.Kind == drop.Distribution && e.Verdict == drop.Accepted
	})
}

// decideLinks collects a project's development links. Those that a snippet had
// stay if they are not whole.
func (s *site) decideLinks(d *decided, current *catalog.Project, n packaging.Name, entries []drop.Entry) (whole bool, err error) {
	links, whole, err := s.dropLinks(entries)
	if err != nil {
		return false, err
	}
	if !whole && current != nil {
		for _, l := range current.Links {
			if !listPosition.MatchString(l.Source) {
				links = append(links, l)
			}
		}
	}
	d.links = append(links, s.listLinks(n, current)...)
	slices.SortStableFunc(d.links, func(a, b catalog.Link) int {
		return cmp.Or(strings.Compare(a.URL, b.URL), strings.Compare(a.Egg, b.Egg), strings.Compare(a.Version, b.Version))
	})
	d.links = slices.CompactFunc(d.links, func(a, b catalog.Link) bool {
		return a.URL == b.URL && a.Egg == b.Egg && a.Version == b.Version
	})
	var old []catalog.Link
	if current != nil {
		old = current.Links
	}
	d.relink = !slices.Equal(old, d.links)
	return whole, nil
}

// listLinks gives the development links that the allowlist has for a project.
// Those that a list had which cannot be read whole any more stay.
func (s *site) listLinks(n packaging.Name, current *catalog.Project) []catalog.Link {
	var links []catalog.Link
	if !s.intent.partial {
		links = slices.Clone(s.intent.links[n])
	}
	if s.intent.faulty && current != nil {
		for _, l := range current.Links {
			if listPosition.MatchString(l.Source) {
				links = append(links, l)
			}
		}
	}
	return links
}

// listPosition matches the source of a link that stands in an allowlist; the
// name of a snippet ends otherwise.
var listPosition = regexp.MustCompile(`:[0-9]+$`)

// fetchFiles and fetchProjects are how many new files of upstreams, of how many
// projects, are decided about before they are fetched: enough to keep the
// connections busy, few enough to be held with what was said of them.
const (
	fetchFiles    = 512
	fetchProjects = 1024
)

// decideUpstreams asks the upstreams for every project that the allowlist
// names and that is not the site's own, many at a time, and decides in the
// order of names.
func (s *site) decideUpstreams(ctx context.Context, owners map[packaging.Name]string, yield func([]*decided, error) bool) {
	if err := s.readHolds(ctx); err != nil {
		yield(nil, err)
		return
	}
	known := s.upstreamProjects(owners)
	if len(known) > 0 || s.Dependencies != NoDependencies && len(s.intent.wants) > 0 {
		if err := s.upstream.open(s); err != nil {
			yield(nil, err)
			return
		}
		if err := s.narrowBySerial(ctx, known); err != nil {
			yield(nil, err)
			return
		}
		if err := s.askRoots(ctx, known); err != nil {
			yield(nil, err)
			return
		}
	}
	leaving := s.localLeaving(false)
	if err := s.complete(ctx, owners, s.localLeaving(true)); err != nil {
		yield(nil, err)
		return
	}
	names := s.upstreamProjects(owners)
	asked := s.askedOf(names)
	var unasked []packaging.Name
	for n, held := range s.held {
		if _, is := slices.BinarySearch(names, n); !is {
			unasked = append(unasked, n)
		} else if _, is := slices.BinarySearch(asked, n); !is {
			s.report.Held += len(held) // this run is not about it
		}
	}
	if err := s.forgetHolds(ctx, unasked); err != nil {
		yield(nil, err)
		return
	}
	if names = asked; len(names) == 0 {
		return
	}
	s.progress.Stage("asking", int64(len(names)))
	var out []*decided
	files := 0
	flush := func() bool {
		if len(out) == 0 {
			return true
		}
		ok := yield(out, nil)
		out, files = nil, 0
		return ok
	}
	type result struct {
		d   *decided
		err error
	}
	answers := ordered(ctx, names, s.Connections, func(ctx context.Context, n packaging.Name) result {
		d, err := s.decideUpstream(ctx, n, owners[n], leaving[n])
		s.progress.Step(1, 0)
		return result{d, err}
	})
	for r := range answers {
		if r.err != nil {
			yield(nil, r.err)
			return
		}
		s.report.planned(r.d.Problems)
		s.report.Held += r.d.waiting
		if r.d.lacks {
			s.lack(r.d.Name)
		}
		if !r.d.changes() && !s.shown(r.d) {
			continue
		}
		out = append(out, r.d)
		files += len(r.d.Fetch)
		if files >= fetchFiles || len(out) >= fetchProjects {
			if !flush() {
				return
			}
		}
	}
	if err := cmp.Or(ctx.Err(), s.keepRest(ctx)); err != nil {
		yield(nil, err)
		return
	}
	flush()
}

// upstreamProjects gives the names that an upstream may have to be asked for,
// and those that came from one and are not asked for any more.
func (s *site) upstreamProjects(owners map[packaging.Name]string) []packaging.Name {
	set := map[packaging.Name]bool{}
	for n := range s.intent.needs {
		if _, upstream := s.sources(n, owners[n], s.isDropped(n)); upstream {
			set[n] = true
		}
	}
	for n := range s.intent.wants {
		if _, upstream := s.sources(n, owners[n], s.isDropped(n)); upstream {
			set[n] = true
		} else if _, done := s.local.counts[n]; !done {
			// Whether the drop folders satisfy the line is worth telling.
			set[n] = true
		}
	}
	for n, owner := range owners {
		if len(s.intent.wants[n]) == 0 && (owner != catalog.Local || s.intent.projects[n].Sources == "both") {
			set[n] = true
		}
	}
	for n := range s.held {
		// Somebody has asked for it, and all of it was held.
		mode := s.onDemand(n)
		if _, known := owners[n]; !known && (mode == "list" || mode == "fetch") {
			set[n] = true
		}
	}
	maps.DeleteFunc(set, func(n packaging.Name, _ bool) bool { return s.ofOtherSite(n) })
	return slices.Sorted(maps.Keys(set))
}

// ofOtherSite reports whether a project was imported, and no exception in the settings
// gives it to somebody else.
func (s *site) ofOtherSite(n packaging.Name) bool {
	local, _ := s.sources(n, s.imports[n], false)
	return s.imports[n] != "" && !local
}

// A prospect is a project of an upstream before anything is decided about it: all
// that is known of it, and what its upstream said.
type prospect struct {
	in       plan.Input
	owner    string
	upstream bool // its files come from one
	unsure   bool // whose name it is cannot be known in this run
	asked    asked
	held     []catalog.Hold // what was held of it before
	told     []plan.Problem
}

// prospect asks the upstream of a project, if anybody wants files of it from there:
// a line of the allowlist, or what one of them needs.
func (s *site) prospect(ctx context.Context, n packaging.Name, owner string, leaving map[string]bool, needed bool) (*prospect, error) {
	in, err := s.input(ctx, n)
	if err != nil {
		return nil, err
	}
	p := &prospect{in: in, owner: nowOf(owner, in.Current)}
	if p.held, err = s.heldBefore(ctx, n); err != nil {
		return nil, err
	}
	p.in.SkipLocal, p.in.Leaving = true, leaving
	if s.intent.partial && p.owner == "" {
		p.in.Wants = nil // nobody is asked for it in this run
	}
	_, p.upstream = s.sources(n, p.owner, s.isDropped(n))
	switch {
	case s.ofOtherSite(n):
		p.in.Source = p.owner // what there is of it is here
	case !p.upstream:
		p.told = ownOnly(&p.in)
	case s.mayBeDropped(n, p.owner):
		p.unsure = true
		for _, w := range p.in.Wants {
			p.told = append(p.told, plan.Problem{Level: plan.Incomplete, Where: w.Position.String(), Hint: "mount the folder, or take it out of the settings",
				Text: fmt.Sprintf("%s: not asked for outside, because a drop folder cannot be read that may have it", n)})
		}
		p.in.Wants = nil
	case needed || s.mustAsk(p.in, p.held):
		if p.asked, err = s.ask(ctx, n, p.owner, p.in); err != nil {
			return nil, err
		}
		s.noteDemand(p.in, p.asked)
		p.in.Source, p.in.Listing, p.told = p.asked.source, p.asked.listing, p.asked.problems
		p.in.Nobody = p.asked.nobody
		if p.asked.listing != nil && (p.in.OnDemand || needed) && s.seenBefore {
			// All of it will be looked up.
			if p.in.Known, err = s.known(ctx, p.asked.listing); err != nil {
				return nil, err
			}
		}
	case p.in.OnDemand && p.owner != "":
		p.in.Source = p.owner // it was asked not long ago
	}
	return p, s.hold(ctx, &p.in, &p.asked)
}

// decideUpstream asks the upstream of a project, unless that was done, and decides.
func (s *site) decideUpstream(ctx context.Context, n packaging.Name, owner string, leaving map[string]bool) (*decided, error) {
	p := s.prospects.take(n)
	if p == nil {
		var err error
		if p, err = s.prospect(ctx, n, owner, leaving, false); err != nil {
			return nil, err
		}
	}
	in, a, told := p.in, p.asked, p.told
	in.Needs, in.Settled = s.intent.needs[n], s.settled(n)
	in.KeepMirrored = in.KeepMirrored || s.intent.unfinished
	owner = p.owner
	d := &decided{owner: owner, answers: a.answers}
	switch {
	case a.source != "" || a.nobody:
		d.lacks = a.listing == nil && !a.nobody && !a.absent
		d.heard = a.listing != nil
		in.Lacks = func(f catalog.File, o catalog.Offer) bool {
			return slices.ContainsFunc(s.lacking(f, o), func(c drop.Companion) bool {
				if len(a.answers) > 0 {
					return true // what was not there may be there now
				}
				_, refused, err := s.catalog.Refusal(ctx, companionRefusal(f, a.source, c))
				return err == nil && !refused
			})
		}
		d.owner = cmp.Or(owner, a.source)
		if a.nobody {
			in.Wants = slices.DeleteFunc(slices.Clone(in.Wants), func(w allowlist.Want) bool { return w.Kind == allowlist.FromIndex && !w.Locked() })
			if d.owner == "" && located(in.Wants) {
				d.owner = catalog.Direct
			}
			in.Settled = nil
		}
		if owner == "" && !s.joined && (a.listing != nil || a.nobody) {
			if _, err := s.decideLinks(d, in.Current, n, s.local.snippets[n]); err != nil {
				return nil, err
			}
			if a.nobody && len(d.links) > 0 && d.owner == "" {
				d.owner = catalog.Local
			}
		}
	case p.upstream && in.Source == "" && len(in.Wants) > 0:
		d.owner = cmp.Or(owner, catalog.Direct)
	}
	if in.Current == nil && len(s.intent.wants[n])+len(in.Needs) == 0 {
		told = nil // any client can ask for a name that nobody has
	}
	in.KeepOthers = in.Source != "" && s.intent.projects[n].Upstream == ""
	d.Project = plan.Decide(in)
	d.lacks = d.lacks || d.Project.Lacks
	if s.opts.Offline {
		for _, c := range d.Fetch {
			if c.Here != nil {
				continue
			}
			d.lacks = true
			told = append(told, plan.Problem{Level: plan.Incomplete, Where: c.Why[0], Text: "not here yet, and this run is offline", Hint: "run again without --offline"})
		}
		d.Fetch = nil
	}
	if s.intent.partial {
		d.Fetch, d.Announce = nil, nil // what is missing of the allowlist may forbid it
	}
	d.Problems = append(told, d.Problems...)
	d.waiting = len(p.held)
	if (in.Listing != nil || in.Source == "") && !s.intent.faulty {
		d.held = d.Project.Held()
		d.reheld, d.waiting = !slices.Equal(d.held, p.held), len(d.held)
	}
	return d, nil
}
