package nestgen

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/packaging"
	"nestgen/plan"
)

// A completion is what the lines of the allowlist need besides themselves, and what
// was chosen for them with regard to that.
type completion struct {
	needs map[packaging.Name][]plan.Need

	// chosen are the lines for which versions were chosen that go together, by
	// their places among the wants of their project, and waiting those of which
	// no newer version may come in, because what it needs is not known or not to
	// be had.
	chosen, waiting lines

	// unfinished says that something is not known of what is needed, so that
	// nothing may leave the index for not being needed.
	unfinished bool

	// completed says that what the lines need was looked for in this run.
	completed bool
}

// lines are lines of the allowlist, by their places among those of their project.
type lines map[packaging.Name]map[int]bool

func (l lines) add(r *root) {
	if l[r.want.Project] == nil {
		l[r.want.Project] = map[int]bool{}
	}
	l[r.want.Project][r.nth] = true
}

// settled gives the lines of a project that choose nothing themselves.
func (s *site) settled(n packaging.Name) map[int]bool {
	settled := maps.Clone(s.intent.waiting[n])
	for i := range s.intent.chosen[n] {
		keep := s.keep(n)
		if own := s.intent.lists[s.intent.wants[n][i].List]; own != nil {
			keep = own.of(s, n).Keep
		}
		if keep != plan.Newest || s.wantsPrereleases(n) {
			continue
		}
		if settled == nil {
			settled = map[int]bool{}
		}
		settled[i] = true
	}
	return settled
}

// wantsPrereleases reports whether the filters want pre-releases of a project in any
// case. An installer takes none without being told, so that what it would take is not
// all that is wanted.
func (s *site) wantsPrereleases(n packaging.Name) bool {
	f := s.intent.filters.of(n)
	return f != nil && f.Prereleases == packaging.AllowPrereleases
}

// complete finds out what the lines of the allowlist need, on every machine that the
// settings name, and notes it in the intent.
func (s *site) complete(ctx context.Context, owners map[packaging.Name]string, leaving map[packaging.Name]map[string]bool) error {
	if s.Dependencies == NoDependencies {
		return nil
	}
	if s.intent.partial {
		s.intent.unfinished = true // what is missing of the allowlist may narrow what is left
		return nil
	}
	s.intent.unfinished = s.only != nil // what the others need is not found out
	reader := newNeedsReader(s)
	k := &whole{s: s, owners: owners, leaving: leaving, reader: reader}
	find := s.install
	if s.Dependencies == Closure {
		find = s.gather
	}
	found, err := find(ctx, func(string) stock { return k }, s.targets())
	if err == nil {
		err = s.takeOver(ctx, found)
	}
	return errors.Join(err, reader.save(ctx))
}

// keepRest keeps what upstreams said of projects that were looked at, and that
// nothing is needed of after all: the next run looks at them again.
func (s *site) keepRest(ctx context.Context) error {
	rest := s.prospects.rest()
	if len(rest) == 0 || s.opts.DryRun {
		return nil
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for n, answers := range rest {
			for _, a := range answers {
				if err := tx.SetListing(a.upstream, n, a.listing); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// takeOver notes in the intent what was found out.
func (s *site) takeOver(ctx context.Context, found []installation) error {
	in := &s.intent
	in.completed = true
	in.needs = map[packaging.Name][]plan.Need{}
	in.chosen, in.waiting = lines{}, lines{}
	why := map[packaging.Name]map[string]map[string][]string{} // versions, reasons, environments
	if err := s.tellFailures(ctx, found); err != nil {
		return err
	}
	for _, i := range found {
		for _, set := range i.sets {
			for _, r := range set.roots {
				if r.isOpen() {
					in.chosen.add(r)
				}
			}
			in.lists[set.index].need(set.pins)
			for _, p := range set.pins {
				versions := why[p.name]
				if versions == nil {
					versions = map[string]map[string][]string{}
					why[p.name] = versions
				}
				if versions[p.version] == nil {
					versions[p.version] = map[string][]string{}
				}
				if envs := versions[p.version][p.why]; !slices.Contains(envs, i.target.Name) {
					versions[p.version][p.why] = append(envs, i.target.Name)
				}
			}
		}
	}
	for n, versions := range why {
		for _, v := range slices.Sorted(maps.Keys(versions)) {
			need := plan.Need{Version: v}
			for _, reason := range slices.Sorted(maps.Keys(versions[v])) {
				need.Why = append(need.Why, reason+" ("+strings.Join(versions[v][reason], ", ")+")")
			}
			in.needs[n] = append(in.needs[n], need)
		}
	}
	s.tellUnknown(found)
	return nil
}

// tellFailures tells of what does not install.
func (s *site) tellFailures(ctx context.Context, found []installation) error {
	for _, i := range found {
		for _, f := range i.failures {
			s.intent.unfinished = true
			if f.root == nil || !f.root.isOpen() {
				continue
			}
			// What is here installs, perhaps, and a newer version would be
			// taken in its place and would not.
			if here, err := s.isHere(ctx, f.root.want); err != nil {
				return err
			} else if here {
				s.intent.waiting.add(f.root)
			}
		}
	}
	for _, t := range once(found, func(i installation) []failure { return i.failures }) {
		level := plan.Incomplete
		if fetch.KindOf(t.err) == fetch.Altered {
			level = plan.Alarm
		}
		s.report.problem(level, t.where, "nothing that came from an upstream leaves the index until this is settled", "on %s: %v", t.on, t.err)
	}
	for _, t := range once(found, func(i installation) []failure { return i.odd }) {
		s.report.problem(plan.Warning, t.where, "", "%v, on %s", t.err, t.on)
	}
	for _, t := range once(found, func(i installation) []failure { return i.apart }) {
		s.report.problem(plan.Warning, t.where, "put lines that are never installed together into lists of their own",
			"on %s its lines do not install together, but each alone: %v", t.on, t.err)
	}
	return nil
}

// A told is a failure with the machines that have it.
type told struct {
	failure
	on string
}

// once gives the failures of all machines, each once.
func once(found []installation, of func(installation) []failure) (all []told) {
	at := map[string]int{}
	for _, i := range found {
		for _, f := range of(i) {
			key := f.where + "\x00" + f.err.Error()
			if n, again := at[key]; again {
				all[n].on += ", " + i.target.Name
				continue
			}
			at[key] = len(all)
			all = append(all, told{f, i.target.Name})
		}
	}
	return all
}

// isHere reports whether the index has a version that a line allows.
func (s *site) isHere(ctx context.Context, w allowlist.Want) (bool, error) {
	p, err := s.catalog.Project(ctx, w.Project)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, storage(err)
	}
	return slices.ContainsFunc(p.Files, func(f catalog.File) bool {
		return w.Requirement.Specifiers.MatchesString(f.Version, packaging.AllowPrereleases)
	}), nil
}

// tellUnknown tells of what nobody can say what it needs, and of what is needed from
// elsewhere.
func (s *site) tellUnknown(found []installation) {
	told, direct := map[string][]string{}, map[string][]string{}
	note := func(told map[string][]string, names []string, target string) {
		for _, name := range names {
			if !slices.Contains(told[name], target) {
				told[name] = append(told[name], target)
			}
		}
	}
	for _, i := range found {
		for _, set := range i.sets {
			note(told, set.unknown, i.target.Name)
			note(direct, set.direct, i.target.Name)
		}
	}
	for _, who := range slices.Sorted(maps.Keys(direct)) {
		s.report.problem(plan.Warning, who, "", "what has an address is not had from an index, so that it does not install from this one alone; %s would get it", strings.Join(direct[who], ", "))
	}
	if s.opts.DryRun {
		// A build fetches them and sees.
		for _, name := range slices.Sorted(maps.Keys(told)) {
			s.report.problem(plan.Warning, name, "", "what it needs is not known before it has been fetched, and may not be then; %s would get it", strings.Join(told[name], ", "))
		}
		return
	}
	for _, name := range slices.Sorted(maps.Keys(told)) {
		s.report.problem(plan.Warning, name, "give what it needs a line in the allowlist",
			"it does not say what it needs except to those who run its code; %s would get it", strings.Join(told[name], ", "))
	}
}

// A root is a line of the allowlist that something is installed for.
type root struct {
	want allowlist.Want
	nth  int // among the wants of its project
}

func (r *root) String() string { return plan.Reason(r.want) }

// isOpen reports whether the line leaves it open which files it is for. One with
// hashes, or of a lock file, does not.
func (r *root) isOpen() bool {
	return r.want.Kind == allowlist.FromIndex && len(r.want.Hashes) == 0 && !r.want.Locked()
}

// place says where the line stands, and by which lists it came.
func (r *root) place() string {
	var b strings.Builder
	for _, via := range r.want.Via {
		b.WriteString(via.String() + " > ")
	}
	return b.String() + r.want.Position.String()
}

// list names the outermost list that the line belongs to: its lines are meant to be
// installed together.
func (r *root) list() string {
	if len(r.want.Via) > 0 {
		return r.want.Via[0].File
	}
	return r.want.Position.File
}

// roots gives the lines of the allowlist that ask for something to install, list by
// list, in their order.
func (s *site) roots() (lists [][]*root) {
	byList := map[string][]*root{}
	for _, n := range slices.Sorted(maps.Keys(s.intent.wants)) {
		if !s.meant(n) {
			continue
		}
		for i, w := range s.intent.wants[n] {
			if w.Kind == allowlist.FromIndex || w.Kind == allowlist.Archive {
				r := &root{w, i}
				list := w.List + "\x00" + r.list()
				byList[list] = append(byList[list], r)
			}
		}
	}
	for _, list := range slices.Sorted(maps.Keys(byList)) {
		slices.SortStableFunc(byList[list], func(a, b *root) int {
			return cmp.Or(comparePlaces(a.want, b.want), strings.Compare(string(a.want.Project), string(b.want.Project)))
		})
		lists = append(lists, byList[list])
	}
	return lists
}

// comparePlaces compares lines of one list by where they are read.
func comparePlaces(a, b allowlist.Want) int {
	pa, pb := append(slices.Clone(a.Via), a.Position), append(slices.Clone(b.Via), b.Position)
	for i := 1; i < min(len(pa), len(pb)); i++ {
		// The same file up to here, so the line in it tells.
		if c := cmp.Compare(pa[i-1].Line, pb[i-1].Line); c != 0 {
			return c
		}
	}
	return cmp.Compare(pa[min(len(pa), len(pb))-1].Line, pb[min(len(pa), len(pb))-1].Line)
}
