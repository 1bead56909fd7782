package nestgen

import (
	"context"
	"maps"
	"slices"
	"strings"

	"nestgen/plan"
	"nestgen/resolve"
	"nestgen/target"
)

// gather finds out for all machines together what may be needed for the roots,
// whether or not it goes together. What one line cannot be told costs the others
// nothing.
func (s *site) gather(ctx context.Context, k stocks, targets []*target.Target) ([]installation, error) {
	roots := map[string][]*root{} // by index
	for _, list := range s.roots() {
		index := list[0].want.List
		roots[index] = append(roots[index], list...)
	}
	g := &gatherer{site: s, found: make([]installation, len(targets))}
	for i, t := range targets {
		g.found[i].target = t
	}
	s.progress.Stage("completing", int64(len(roots)))
	for _, index := range slices.Sorted(maps.Keys(roots)) {
		g.index, g.shops, g.pins = index, map[string]*shop{}, map[string]bool{}
		for _, t := range targets {
			g.shops[t.Name] = newShop(k(index), t, s.Connections)
		}
		if err := g.gatherAll(ctx, roots[index]); err != nil {
			return nil, err
		}
		s.progress.Step(1, 0)
	}
	return g.found, nil
}

// A gatherer gathers what several machines may need.
type gatherer struct {
	*site
	found []installation

	// index is whose lines are gathered for; shops are what it has to choose from, by
	// the name of the machine, and pins is what is in found for it already.
	index string
	shops map[string]*shop
	pins  map[string]bool
}

// gatherAll gathers for the lines of one index, together or else each alone.
func (g *gatherer) gatherAll(ctx context.Context, roots []*root) error {
	if err := g.gather(ctx, roots); err == nil || endsAll(ctx, err) {
		return err
	}
	for _, r := range roots {
		if err := g.gather(ctx, []*root{r}); err != nil {
			if endsAll(ctx, err) {
				return err
			}
			g.found[0].failures = append(g.found[0].failures, failed(r, err))
		}
	}
	return nil
}

func (g *gatherer) gather(ctx context.Context, roots []*root) error {
	problem, lines, err := g.problemOf(roots)
	if err != nil {
		return err
	}
	keep := g.Versions
	if own := g.intent.lists[g.index]; own != nil {
		keep = own.keep
	}
	c := &resolve.Closure{Roots: problem.Roots, Constraints: problem.Constraints, Prereleases: problem.Prereleases, Newest: int(keep)}
	if keep == plan.All {
		c.Newest = everyVersion
	}
	for i := range g.found {
		t := g.found[i].target
		c.Machines = append(c.Machines, resolve.Machine{Name: t.Name, Environment: t.Markers, Provider: g.shops[t.Name]})
	}
	all, err := c.Run(ctx)
	if err != nil {
		return err
	}
	for _, n := range all.Needed {
		for _, name := range n.Machines {
			g.note(name, n, chainText(n.Chain, lines))
		}
	}
	for i := range g.found {
		direct := installed{index: g.index}
		for _, a := range all.Direct {
			direct.direct = append(direct.direct, a.String())
		}
		g.found[i].sets = append(g.found[i].sets, direct)
	}
	for _, m := range all.Missing {
		where := m.Chain[0].From
		g.report.problem(plan.Warning, where, "", "%s, on %s", m, strings.Join(m.Machines, ", "))
	}
	return nil
}

// everyVersion is more versions than any project has.
const everyVersion = 1 << 30

// note adds a version that may be needed on a machine.
func (g *gatherer) note(machine string, n resolve.Needed, why string) {
	key := machine + " " + string(n.Name) + " " + n.Version.String()
	if g.pins[key] {
		return
	}
	g.pins[key] = true
	file, _ := g.shops[machine].file(n.Candidate)
	set := installed{index: g.index, pins: []pin{{n.Name, file.Filename.Version, file, why}}}
	if n.Unknown != nil {
		set.unknown = []string{n.Filename}
	}
	i := slices.IndexFunc(g.found, func(f installation) bool { return f.target.Name == machine })
	g.found[i].sets = append(g.found[i].sets, set)
}
