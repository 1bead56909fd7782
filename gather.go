package nestgen

import (
	"context"
	"slices"
	"strings"

	"nestgen/plan"
	"nestgen/resolve"
	"nestgen/target"
)

// gather finds out for all machines together what may be needed for the roots,
// whether or not it goes together. What one line cannot be told costs the others
// nothing.
func (s *site) gather(ctx context.Context, k stock, targets []*target.Target) ([]installation, error) {
	var roots []*root
	for _, list := range s.roots() {
		roots = append(roots, list...)
	}
	g := &gatherer{site: s, shops: map[string]*shop{}, found: make([]installation, len(targets)), pins: map[string]bool{}}
	for i, t := range targets {
		g.shops[t.Name] = newShop(k, t, s.Connections)
		g.found[i].target = t
	}
	s.progress.Stage("completing", 1)
	err := g.gather(ctx, roots)
	if err == nil || ctx.Err() != nil {
		return g.found, ctx.Err()
	}
	for _, r := range roots {
		if err := g.gather(ctx, []*root{r}); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			g.found[0].failures = append(g.found[0].failures, failed(r, err))
		}
	}
	return g.found, nil
}

// A gatherer gathers what several machines may need.
type gatherer struct {
	*site
	shops map[string]*shop // by the name of the machine
	found []installation
	pins  map[string]bool // what is in found already
}

func (g *gatherer) gather(ctx context.Context, roots []*root) error {
	problem, lines, err := g.problemOf(roots)
	if err != nil {
		return err
	}
	c := &resolve.Closure{Roots: problem.Roots, Constraints: problem.Constraints, Prereleases: problem.Prereleases, Newest: int(g.Versions)}
	if g.Versions == plan.All {
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
	set := installed{pins: []pin{{n.Name, file.Filename.Version, file, why}}}
	if n.Unknown != nil {
		set.unknown = []string{n.Filename}
	}
	i := slices.IndexFunc(g.found, func(f installation) bool { return f.target.Name == machine })
	g.found[i].sets = append(g.found[i].sets, set)
}
