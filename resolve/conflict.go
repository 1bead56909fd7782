package resolve

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"nestgen/packaging"
)

// shown is how many versions, demands or reasons an explanation names.
const shown = 5

// A Conflict says why there is no set: requirements that nothing on offer meets
// together.
type Conflict struct {
	// Reasons are what stands against each way to go on at the place where
	// the search gave up, never empty. One is enough to show for a simple
	// conflict; several mean that each version of something fails by its own.
	Reasons []Reason

	// Roots are those of the roots that cannot be met together, the fewest
	// that the conflict needs as far as that was tried out.
	Roots []Root

	// Missed is a set that exists all the same: pip passes over it on its way
	// back from a conflict. It is nil in nearly all cases.
	Missed *Set
}

// A Reason is a project of which no version on offer meets all demands.
type Reason struct {
	// Name is the project, or empty if it is the interpreter.
	Name packaging.Name

	// Demands cannot be met together, and could if one of them went.
	Demands []Demand

	// Unlisted says that nothing of the project is on offer at all.
	Unlisted bool

	// Offer are the versions on offer, newest first, yanked ones included. For
	// the interpreter it is its version.
	Offer []Candidate
}

// A Demand is a requirement with why it is there.
type Demand struct {
	Ask

	// Also are other versions of the same project that ask for the same.
	Also []packaging.Version

	// Chain is the way from a root to who asks, without the ask itself; empty
	// for a root. It is as the search stood when it gave up.
	Chain []Ask

	// Constraint says that it is one, so that it asks for nothing by itself.
	Constraint bool
}

// Error gives one line: the first reason.
func (c *Conflict) Error() string {
	return c.Reasons[0].String()
}

// Hint says what somebody may do about it, in one line.
func (c *Conflict) Hint() string {
	if c.Missed != nil {
		return leadThere(c.Missed)
	}
	return c.Reasons[0].Hint()
}

// leadThere says how pip comes to a set that it does not find.
func leadThere(missed *Set) string {
	var pins []string
	for i, p := range missed.Pins {
		if i == 2*shown {
			pins = append(pins, "and so on")
			break
		}
		pins = append(pins, fmt.Sprintf("%s==%s", p.Name, p.Version))
	}
	return "pip misses a set that exists; pins lead it there: " + strings.Join(pins, " ")
}

// String gives one line for people: who needs what, and what there is.
func (r Reason) String() string {
	parts := make([]string, 0, len(r.Demands))
	for i, d := range r.Demands {
		if i == shown {
			parts = append(parts, fmt.Sprintf("%d more", len(r.Demands)-shown))
			break
		}
		parts = append(parts, d.String())
	}
	demands := list(parts)
	switch {
	case r.Name == "" && len(r.Offer) > 0:
		return fmt.Sprintf("%s; this environment has %s", demands, r.Offer[0].Version)
	case r.Unlisted:
		return fmt.Sprintf("%s; the index has no %s for this environment", demands, r.Name)
	case len(r.Offer) == 0:
		return fmt.Sprintf("%s; no file of %s can be installed in this environment", demands, r.Name)
	}
	return fmt.Sprintf("%s; the index has %s", demands, r.offer())
}

func (r Reason) offer() string {
	var parts []string
	for i, c := range r.Offer {
		if i == shown {
			parts = append(parts, fmt.Sprintf("%d older ones", len(r.Offer)-shown))
			break
		}
		text := c.Version.String()
		if c.Yanked {
			text += " (yanked)"
		}
		parts = append(parts, text)
	}
	return list(parts)
}

// String gives the demand as [Ask.String] does, with the other versions that ask
// for the same.
func (d Demand) String() string {
	switch {
	case d.Constraint:
		return "the constraint " + d.Ask.String()
	case len(d.Also) > 0:
		versions := []string{d.Version.String()}
		for i, v := range d.Also {
			if i == shown-1 {
				versions = append(versions, fmt.Sprintf("%d others", len(d.Also)-i))
				break
			}
			versions = append(versions, v.String())
		}
		return fmt.Sprintf("%s %s need %s", d.By, list(versions), short(d.Requirement))
	}
	return d.Ask.String()
}

// list joins parts as a sentence does.
func list(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// Hint says what could be done, in one line.
func (r Reason) Hint() string {
	if r.Name == "" {
		return "take an older version of it, or another interpreter"
	}
	var all packaging.Specifiers
	for _, d := range r.Demands {
		all = all.And(d.Requirement.Specifiers)
	}
	if all.IsUnsatisfiable() {
		return fmt.Sprintf("no version of %s can meet these together: change one of them", r.Name)
	}
	return fmt.Sprintf("add `%s%s`, or change what needs it", r.Name, all)
}

// Trying out which roots a conflict needs is for its explanation only, so it is
// not done for long.
const (
	shrinkSearches = 64
	shrinkRounds   = 2000

	// patientRounds is for looking for a set that pip misses.
	patientRounds = 20_000

	// explainQuestions is what all of it may ask of the provider that the
	// search has not asked.
	explainQuestions = 200
)

// shrink searches again with fewer roots for as long as there is no set, so that
// the conflict is told of the roots that make it.
func (s *search) shrink(clashes []clash, questions *int) (*search, []clash, error) {
	best, found := s, clashes
	searches := 0
	// without tries to do without some roots.
	without := func(keep func(i int) bool) (bool, error) {
		searches++
		p := *s.Problem
		p.MaxRounds, p.questions = shrinkRounds, questions
		p.Roots = nil
		for i, r := range best.Roots {
			if keep(i) {
				p.Roots = append(p.Roots, r)
			}
		}
		t, c, err := p.search(s.ctx, s.projects)
		switch {
		case errors.Is(err, ErrRounds) || err == nil && c == nil:
			return false, nil
		case err != nil:
			return false, err
		}
		best, found = t, c
		return true, nil
	}
	if len(s.Roots) > 2 {
		// Most have nothing to do with it.
		involved := s.involved(clashes)
		if len(involved) < len(s.Roots) {
			if _, err := without(func(i int) bool { return involved[i] }); err != nil {
				return nil, nil, err
			}
		}
	}
	for i := 0; len(best.Roots) > 1 && i < len(best.Roots) && searches < shrinkSearches; {
		ok, err := without(func(j int) bool { return i != j })
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			i++
		}
	}
	return best, found, nil
}

// involved gives the roots from which something that clashes is reached.
func (s *search) involved(clashes []clash) map[int]bool {
	roots := map[int]bool{}
	seen := map[int32]bool{}
	var look func(edges []*edge)
	look = func(edges []*edge) {
		for _, e := range edges {
			if e.parent < 0 {
				roots[e.root] = true
			} else if !seen[e.parent] {
				seen[e.parent] = true
				if c := s.criteria[e.parent]; c != nil {
					look(c.edges)
				}
			}
		}
	}
	for _, c := range clashes {
		look(c.criterion.edges)
	}
	return roots
}

// explain turns what the search ended with into a Conflict. The state is that in
// which it gave up.
func (s *search) explain(clashes []clash) *Conflict {
	conflict := &Conflict{}
	seen := map[string]bool{}
	for _, c := range clashes {
		r := s.reason(c)
		// Versions of one project that fail by the same are one reason.
		text := string(r.Name)
		for _, d := range r.Demands {
			text += "\x00" + string(d.By) + "\x00" + d.From + "\x00" + short(d.Requirement)
		}
		if !seen[text] {
			seen[text] = true
			conflict.Reasons = append(conflict.Reasons, r)
			continue
		}
		i := slices.IndexFunc(conflict.Reasons, func(o Reason) bool { return o.Name == r.Name && sameDemands(o, r) })
		if i < 0 {
			continue
		}
		for j, d := range r.Demands {
			o := &conflict.Reasons[i].Demands[j]
			if d.By != "" && d.Version != o.Version && !slices.Contains(o.Also, d.Version) {
				o.Also = append(o.Also, d.Version)
			}
		}
	}
	slices.SortStableFunc(conflict.Reasons, func(a, b Reason) int { return len(a.Demands) - len(b.Demands) })
	conflict.Roots = s.Roots
	return conflict
}

func sameDemands(a, b Reason) bool {
	return slices.EqualFunc(a.Demands, b.Demands, func(a, b Demand) bool {
		return a.By == b.By && a.From == b.From && short(a.Requirement) == short(b.Requirement)
	})
}

// reason gives the fewest demands of a criterion that leave nothing.
func (s *search) reason(c clash) Reason {
	y := s.keys[c.key]
	p := y.project
	r := Reason{Name: p.name, Offer: p.candidates, Unlisted: !p.exists}

	type demand struct {
		edge *edge
		bound
		root int
	}
	var demands []demand
	for _, e := range c.criterion.edges {
		demands = append(demands, demand{edge: e})
	}
	if base := s.criteria[y.base]; y.base != c.key && base != nil {
		for _, e := range base.edges {
			demands = append(demands, demand{edge: e})
		}
	}
	if b, ok := s.bounds[p.name]; ok && c.key != s.python {
		for i, root := range b.roots {
			d := demand{root: i, bound: bound{root.Requirement.Specifiers, choiceOf(root.Requirement.Specifiers), b.roots}}
			demands = append(demands, d)
		}
	}
	empty := func(skip int, gone []bool) bool {
		left := slices.Clone(p.all)
		var choice choice
		exactly := false
		for i, d := range demands {
			if i == skip || gone[i] {
				continue
			}
			if d.edge == nil {
				left.and(p.holds(d.specifiers))
				choice = choice.or(d.bound.choice)
				continue
			}
			left.and(d.edge.held)
			choice = choice.or(d.edge.choice)
			exactly = exactly || d.edge.exactly
		}
		if c.key != s.python && !exactly {
			p.choose(left, choice, s.Prereleases, s.rules.fallback)
		}
		left.without(p.unusable)
		left.without(c.criterion.incompatible)
		return left.empty()
	}
	gone := make([]bool, len(demands))
	// Those that came last are kept as long as possible: they are what failed.
	for i := range demands {
		if left := len(demands) - count(gone); left > 1 && empty(i, gone) {
			gone[i] = true
		}
	}
	for i, d := range demands {
		if gone[i] {
			continue
		}
		if d.edge == nil {
			root := d.roots[d.root]
			r.Demands = append(r.Demands, Demand{Ask: Ask{From: root.From, Requirement: root.Requirement}, Constraint: true})
			continue
		}
		r.Demands = append(r.Demands, s.demand(d.edge))
	}
	return r
}

func count(of []bool) int {
	n := 0
	for _, b := range of {
		if b {
			n++
		}
	}
	return n
}

func (s *search) demand(e *edge) Demand {
	d := Demand{Ask: s.askOf(e)}
	switch {
	case e.key == s.python:
		d.Requirement = packaging.Requirement{Name: "Python", Specifiers: e.python}
	case e.exactly:
		// foo[x] 2.0 needs foo of the same version; who asked for it is told
		// by the chain.
		d.Requirement = exact(s.keys[e.parent].project, int(e.candidate))
	}
	d.Chain = s.chain(e.parent)
	return d
}

func exact(p *project, i int) packaging.Requirement {
	q, err := packaging.ParseRequirement(string(p.name) + "==" + p.candidates[i].Version.String())
	if err != nil {
		return packaging.Requirement{Name: string(p.name)}
	}
	return q
}

// chain gives the way from a root to a key in the present state.
func (s *search) chain(k int32) []Ask {
	type step struct {
		key  int32
		edge *edge
		next int
	}
	if k < 0 {
		return nil
	}
	steps := []step{{key: k, next: -1}}
	seen := map[int32]bool{k: true}
	for i := 0; i < len(steps); i++ {
		c := s.criteria[steps[i].key]
		if c == nil {
			continue
		}
		for _, e := range c.edges {
			if e.parent < 0 {
				chain := []Ask{s.askOf(e)}
				for j := i; steps[j].next >= 0; j = steps[j].next {
					if !steps[j].edge.exactly {
						chain = append(chain, s.askOf(steps[j].edge))
					}
				}
				return chain
			}
			if !seen[e.parent] {
				seen[e.parent] = true
				steps = append(steps, step{e.parent, e, i})
			}
		}
	}
	return nil
}
