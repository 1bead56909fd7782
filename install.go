package nestgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"nestgen/allowlist"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/resolve"
	"nestgen/target"
)

// An installation is what came of installing on one kind of machine all that the
// allowlist asks for.
type installation struct {
	target   *target.Target
	sets     []installed
	failures []failure
	apart    []failure // lists whose lines install each alone, and not together
	odd      []failure // extras that are asked for and that a version does not have
}

// An installed is one set of versions that go together.
type installed struct {
	index   string  // whose list it is for; empty for the site's own
	roots   []*root // the lines that it is for; none for what a build takes
	pins    []pin
	unknown []string // files that do not say what they need
	direct  []string // who needs what by its address, which no index has
	place   string   // the list, or the sdist that is built
	needs   map[packaging.Name][]packaging.Name

	unmet, odd []failure // what goes into the installation with the set
}

// A pin is a version of a project in an [installed].
type pin struct {
	name    packaging.Name
	version string
	file    plan.Available // that the machine would take
	why     string
}

// A failure is something that does not install.
type failure struct {
	where string
	root  *root // nil if it is what a build takes
	err   error
}

func failed(r *root, err error) failure { return failure{r.want.Position.String(), r, err} }

// install finds out for each machine what would be installed for the roots. The
// lines of one list are installed together, as people do; if that cannot be, each
// alone, so that one that fails costs the others nothing.
func (s *site) install(ctx context.Context, k stocks, targets []*target.Target) ([]installation, error) {
	found := make([]installation, len(targets))
	lists := s.roots()
	s.progress.Stage("completing", int64(len(targets)))
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(max(s.jobs(), 2)) // they wait for upstreams more than they compute
	for i, t := range targets {
		all.Go(func() error {
			in := &installer{site: s, stocks: k, target: t, installation: &found[i], built: map[string]bool{}}
			found[i].target = t
			for _, list := range lists {
				if err := in.list(ctx, list); err != nil {
					return err
				}
			}
			s.progress.Step(1, 0)
			return nil
		})
	}
	return found, all.Wait()
}

// An installer installs on one machine.
type installer struct {
	*site
	stocks stocks
	target *target.Target
	*installation
	built map[string]bool // sdists whose builds have been seen to, by index and file name

	// index is whose lines are installed, and stock what it has to choose from.
	index string
	stock stock
}

// list installs the lines of one list.
func (in *installer) list(ctx context.Context, list []*root) error {
	var here []*root
	for _, r := range list {
		if in.applies(r) {
			here = append(here, r)
		}
	}
	if len(here) == 0 {
		return nil
	}
	in.index = here[0].want.List
	in.stock = in.stocks(in.index)
	set, err := in.solve(ctx, here)
	if err == nil || endsAll(ctx, err) {
		return in.note(ctx, set, err)
	}
	if len(here) == 1 {
		in.failures = append(in.failures, failed(here[0], err))
		return nil
	}
	together := err
	before := len(in.failures)
	for _, r := range here {
		set, err := in.solve(ctx, []*root{r})
		if err != nil && endsAll(ctx, err) {
			return err
		}
		if err != nil {
			in.failures = append(in.failures, failed(r, err))
			continue
		}
		if err := in.note(ctx, set, nil); err != nil {
			return err
		}
	}
	if len(in.failures) == before {
		in.apart = append(in.apart, failure{here[0].list(), nil, together})
	}
	return nil
}

// endsAll reports whether an error is no matter of single lines: the run has ended, or
// the site's own disk has failed.
func endsAll(ctx context.Context, err error) bool { return ctx.Err() != nil || ownStorage(err) }

// applies reports whether a line asks for something on this machine.
func (in *installer) applies(r *root) bool {
	m := r.want.Requirement.Marker
	if m == nil {
		return true
	}
	env := in.target.Markers
	is, err := m.Eval(&env)
	return err == nil && is
}

// note keeps a set, and sees to what building its sdists takes.
func (in *installer) note(ctx context.Context, set *installed, err error) error {
	if err != nil {
		return err
	}
	set.index = in.index
	in.sets = append(in.sets, *set)
	in.failures = append(in.failures, set.unmet...)
	in.odd = append(in.odd, set.odd...)
	if !in.BuildRequirements {
		return nil
	}
	for _, p := range set.pins {
		if err := in.build(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// build finds out what building an sdist takes. Each is built in a place of its
// own.
func (in *installer) build(ctx context.Context, p pin) error {
	name := filenameOf(&p.file)
	once := in.index + "\x00" + name
	if p.file.Filename.Kind != packaging.Sdist || in.built[once] {
		return nil
	}
	in.built[once] = true
	needs, err := in.stock.needs(ctx, p.name, p.file)
	if err != nil {
		return storage(err)
	}
	problem := in.problem()
	for _, text := range needs.Build {
		q, err := packaging.ParseRequirement(text)
		if err != nil {
			in.report.problem(plan.Warning, name, "", "its build takes %q, which is no requirement", text)
			continue
		}
		problem.Roots = append(problem.Roots, resolve.Root{Requirement: q, From: "to build " + name})
	}
	if len(problem.Roots) == 0 {
		return nil
	}
	set, err := in.run(ctx, problem, nil)
	if err != nil {
		if endsAll(ctx, err) {
			return err
		}
		in.failures = append(in.failures, failure{name, nil, fmt.Errorf("what building it takes: %w", err)})
		return nil
	}
	set.place = name
	return in.note(ctx, set, nil)
}

// problem gives a problem without roots.
func (in *installer) problem() *resolve.Problem {
	p := in.site.problem()
	p.Environment, p.Provider = in.target.Markers, newShop(in.stock, in.target, in.Connections)
	return p
}

// problem gives a problem without roots and without a machine.
func (s *site) problem() *resolve.Problem {
	pip, _ := s.pip() // the settings were checked
	return &resolve.Problem{Prereleases: s.intent.options.Pre, Pip: pip}
}

// problemOf gives what lines ask for, with what their lists say of all of their lines,
// and the lines by their places.
func (s *site) problemOf(lines []*root) (*resolve.Problem, map[string]string, error) {
	problem, whole := s.problem(), map[string]string{}
	problem.Prereleases = false
	said := map[string]bool{}
	for _, r := range lines {
		if !said[r.want.List] {
			said[r.want.List] = true
			s.sayOf(r.want.List, problem)
		}
		whole[r.place()] = r.String()
		q := r.want.Requirement
		if r.want.Kind == allowlist.Archive {
			// The stock has the file that the address names.
			_, f, err := plan.Direct(r.want)
			if err != nil {
				return nil, nil, err
			}
			pinned, err := packaging.ParseSpecifiers("===" + f.Version)
			if err != nil {
				return nil, nil, err
			}
			q.Name, q.URL, q.Specifiers = string(f.Project), "", pinned
		}
		problem.Roots = append(problem.Roots, resolve.Root{Requirement: q, From: r.place()})
	}
	slices.SortFunc(problem.Constraints, func(a, b resolve.Root) int { return strings.Compare(a.From, b.From) })
	return problem, whole, nil
}

// sayOf adds to a problem what the list of an index says of all of its lines: its
// constraints, and whether it wants pre-releases.
func (s *site) sayOf(index string, problem *resolve.Problem) {
	all, options := s.intent.constraints, s.intent.options
	if own := s.intent.lists[index]; own != nil {
		all, options = own.constraints, own.options
	}
	problem.Prereleases = problem.Prereleases || options.Pre
	for _, constraints := range all {
		for _, c := range constraints {
			at := c.Position
			at.File = s.short(at.File)
			problem.Constraints = append(problem.Constraints, resolve.Root{Requirement: c.Requirement, From: at.String()})
		}
	}
}

// solve gives a set that the lines install together as, if there is one.
func (in *installer) solve(ctx context.Context, lines []*root) (*installed, error) {
	problem, whole, err := in.problemOf(lines)
	if err != nil {
		return nil, err
	}
	problem.Environment, problem.Provider = in.target.Markers, newShop(in.stock, in.target, in.Connections)
	set, err := in.run(ctx, problem, whole)
	if err != nil {
		return nil, err
	}
	set.roots, set.place = lines, lines[0].list()
	return set, nil
}

// run solves a problem. lines gives the lines that its roots are, by their places.
func (in *installer) run(ctx context.Context, problem *resolve.Problem, lines map[string]string) (*installed, error) {
	found, err := problem.Resolve(ctx)
	if err != nil {
		if conflict, ok := errors.AsType[*resolve.Conflict](err); ok && conflict.Hint() != "" {
			return nil, fmt.Errorf("%w; %s", err, conflict.Hint())
		}
		return nil, err
	}
	set := &installed{needs: neededBy(found)}
	shop := problem.Provider.(*shop)
	for _, p := range found.Pins {
		file, _ := shop.file(p.Candidate)
		set.pins = append(set.pins, pin{p.Name, file.Filename.Version, file, chainText(found.Chain(p.Name), lines)})
		if p.Unknown != nil {
			set.unknown = append(set.unknown, p.Filename)
		}
	}
	for _, a := range found.Unmet {
		set.unmet = append(set.unmet, failure{string(a.By), nil, fmt.Errorf("pip would choose a set in which this is not met: %s", a)})
	}
	for _, x := range found.NoExtras {
		set.odd = append(set.odd, failure{string(x.Name), nil, fmt.Errorf("%s %s has no extra %q", x.Name, x.Version, x.Extra)})
	}
	for _, a := range found.Direct {
		set.direct = append(set.direct, a.String())
	}
	return set, nil
}

// chainText writes why something is needed: the line first, then step by step.
func chainText(chain []resolve.Ask, lines map[string]string) string {
	var parts []string
	for _, a := range chain {
		if a.By == "" {
			parts = append(parts, cmp.Or(lines[a.From], a.From))
			continue
		}
		parts = append(parts, a.String())
	}
	return strings.Join(parts, " > ")
}
