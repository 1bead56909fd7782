package resolve

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"nestgen/packaging"
)

// MostSpecifiers is how many different specifiers on one project are intersected
// with each other by a [Closure]. There are rarely more than a dozen, and the work
// grows with their square.
const MostSpecifiers = 200

// A Machine is an environment of a [Closure].
type Machine struct {
	Name string

	// Environment are the values of markers; PythonFullVersion has to be set.
	Environment packaging.Environment

	// Provider is asked from one goroutine at a time.
	Provider Provider
}

// A Closure gathers all that may be needed on several machines, whatever an
// installer decides: of each requirement the newest versions that meet it, and
// what these need in turn.
//
// For requirements that give lower and upper bounds the newest version that
// meets all of them is always among these. One that excludes a version can
// break that; so the newest version that meets two requirements at once is
// taken as well, for each two on a project.
type Closure struct {
	Machines []Machine

	// Roots are what the gathering begins with, and Constraints narrow all
	// that it takes, as in a [Problem].
	Roots       []Root
	Constraints []Root

	// Newest is how many versions are taken for a requirement; 1 if zero.
	Newest int

	// Every takes all versions that meet a root requirement, for roots of
	// which the index has all of them, instead of the newest.
	Every bool

	// Prereleases lets pre-releases in everywhere.
	Prereleases bool
}

// A Needed is a version that may be needed.
type Needed struct {
	Name packaging.Name
	Candidate

	// Machines are the names of those that may need it, in the order of the
	// Closure.
	Machines []string

	// Chain is how it came in first: a root, then what asked in turn. It is a
	// shortest one.
	Chain []Ask

	// Unknown is why it is not known what this version requires, or nil.
	Unknown error
}

// A Missing is a requirement that nothing on offer meets.
type Missing struct {
	// Chain ends with the requirement.
	Chain    []Ask
	Machines []string

	// Offer are the versions on offer on the first of the machines, newest
	// first; Unlisted says that there is no such project.
	Offer    []Candidate
	Unlisted bool
}

// String gives one line for people.
func (m Missing) String() string {
	r := Reason{Name: m.Chain[len(m.Chain)-1].Requirement.Project(), Offer: m.Offer, Unlisted: m.Unlisted,
		Demands: []Demand{{Ask: m.Chain[len(m.Chain)-1]}}}
	return r.String()
}

// A Gathering is what a [Closure] found.
type Gathering struct {
	// Needed is sorted by name, and the newest first.
	Needed []Needed

	// Missing are requirements that nothing meets, in the order in which they
	// were seen. Some may be of versions that nobody will choose.
	Missing []Missing

	// Direct are requirements that name a URL. They are not followed.
	Direct []Ask
}

// Run gathers. The error is that of the context or of a provider.
func (c *Closure) Run(ctx context.Context) (*Gathering, error) {
	g := &gathering{Closure: c, needed: map[string]*Needed{}, missing: map[string]*Missing{}, urls: map[string]bool{}}
	for i := range c.Machines {
		if err := g.run(ctx, &c.Machines[i]); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("%s: %w", c.Machines[i].Name, err)
		}
	}
	out := &Gathering{Direct: g.direct}
	for _, n := range g.needed {
		out.Needed = append(out.Needed, *n)
	}
	slices.SortFunc(out.Needed, func(a, b Needed) int {
		if o := strings.Compare(string(a.Name), string(b.Name)); o != 0 {
			return o
		}
		if o := b.Version.Compare(a.Version); o != 0 {
			return o
		}
		return strings.Compare(a.Filename, b.Filename)
	})
	for _, k := range g.missed {
		out.Missing = append(out.Missing, *g.missing[k])
	}
	return out, nil
}

type gathering struct {
	*Closure
	needed  map[string]*Needed
	missing map[string]*Missing
	missed  []string // keys of missing in order
	urls    map[string]bool
	direct  []Ask
}

// An asked is a requirement that waits, with how it came.
type asked struct {
	Ask
	from  *visit
	every bool
}

// A visit is a version of a project on one machine.
type visit struct {
	key    int32
	at     int
	reason *asked
	extras []packaging.Name
}

// run walks the requirements of one machine, level by level.
func (g *gathering) run(ctx context.Context, m *Machine) error {
	// The reader of projects and requirements is that of the search.
	s, err := newSearch(ctx, &Problem{
		Constraints: g.Constraints, Environment: m.Environment, Provider: m.Provider, Prereleases: g.Prereleases,
	}, map[packaging.Name]*project{})
	if err != nil {
		return err
	}
	w := &walk{gathering: g, search: s, machine: m, visits: map[place]*visit{},
		done: map[string]bool{}, taken: map[packaging.Name][]*asked{}, seen: map[packaging.Name][]seen{}}
	for _, r := range g.Roots {
		ok, err := s.counts(r.Requirement, "")
		if err != nil {
			return fmt.Errorf("%s: %w", r.From, err)
		}
		if ok {
			w.queue = append(w.queue, &asked{Ask: Ask{From: r.From, Requirement: r.Requirement}, every: g.Every})
		}
	}
	for len(w.queue) > 0 {
		level := w.queue
		w.queue = nil
		requirements := make([]packaging.Requirement, len(level))
		for i, a := range level {
			requirements[i] = a.Requirement
		}
		s.announce(requirements)
		var visits []*visit
		for _, a := range level {
			if err := ctx.Err(); err != nil {
				return err
			}
			v, err := w.take(a)
			if err != nil {
				return err
			}
			visits = append(visits, v...)
		}
		w.announceVisits(visits)
		for _, v := range visits {
			if err := w.follow(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// A walk is the state of a gathering on one machine.
type walk struct {
	*gathering
	*search
	machine *Machine
	queue   []*asked
	visits  map[place]*visit // by key and version
	done    map[string]bool  // requirements that were taken
	taken   map[packaging.Name][]*asked

	// seen are the different specifiers on each project so far.
	seen map[packaging.Name][]seen
}

// A seen is what a specifier holds.
type seen struct {
	text   string
	held   set // nil for all
	choice choice
}

// take gives the versions that a requirement brings in.
func (w *walk) take(a *asked) ([]*visit, error) {
	q := a.Requirement
	if q.URL != "" {
		if text := a.String(); !w.urls[text] {
			w.urls[text] = true
			w.gathering.direct = append(w.gathering.direct, a.Ask)
		}
		return nil, nil
	}
	text := a.text()
	if w.done[text] {
		return nil, nil
	}
	w.done[text] = true

	p, err := w.load(q.Project())
	if err != nil {
		return nil, err
	}
	w.taken[p.name] = append(w.taken[p.name], a)
	extras := extrasOf(q)
	newest := max(w.Newest, 1)
	if a.every {
		newest = len(p.candidates)
	}
	this := seen{q.Specifiers.String(), p.holds(q.Specifiers), choiceOf(q.Specifiers)}
	chosen := w.newest(p, this, newest, nil)
	if len(chosen) == 0 {
		w.miss(a, p)
	}
	known := w.seen[p.name]
	if !slices.ContainsFunc(known, func(s seen) bool { return s.text == this.text }) {
		for _, s := range known {
			both := seen{held: this.held, choice: this.choice.or(s.choice)}
			for _, i := range w.newest(p, both, 1, s.held) {
				if !slices.Contains(chosen, i) {
					chosen = append(chosen, i)
				}
			}
		}
		if len(known) < MostSpecifiers {
			w.seen[p.name] = append(known, this)
		}
	}
	var visits []*visit
	k := w.keyOf(p.name, nil)
	w.keys[k].project = p
	for _, i := range chosen {
		at := place{k, int32(i)}
		v := w.visits[at]
		fresh := v == nil
		if fresh {
			v = &visit{key: k, at: i, reason: a}
			w.visits[at] = v
			w.need(v)
		}
		for _, x := range extras {
			if !slices.Contains(v.extras, x) {
				v.extras = append(v.extras, x)
				fresh = true
			}
		}
		if fresh {
			visits = append(visits, v)
		}
	}
	return visits, nil
}

// newest gives the newest candidates that specifiers, those that are held
// otherwise and constraints hold.
func (w *walk) newest(p *project, s seen, n int, and set) []int {
	left := slices.Clone(p.all)
	left.and(s.held)
	left.and(and)
	choice := s.choice
	if b, ok := w.bounds[p.name]; ok {
		left.and(p.holds(b.specifiers))
		choice = choice.or(b.choice)
	}
	p.choose(left, choice, w.Closure.Prereleases, true)
	var chosen []int
	left.without(p.unusable)
	for i := left.next(0); i >= 0 && len(chosen) < n; i = left.next(i + 1) {
		chosen = append(chosen, i)
	}
	return chosen
}

// text is the same for requirements that bring in the same versions.
func (a *asked) text() string {
	if a.every {
		return short(a.Requirement) + " every"
	}
	return short(a.Requirement)
}

// chain gives how a requirement came in, root first.
func (a *asked) chain() []Ask {
	var chain []Ask
	for {
		chain = append(chain, a.Ask)
		if a.from == nil {
			slices.Reverse(chain)
			return chain
		}
		a = a.from.reason
	}
}

func (w *walk) need(v *visit) {
	p := w.keys[v.key].project
	c := p.candidates[v.at]
	text := string(p.name) + " " + c.Version.Canonical() + " " + c.Filename
	n := w.needed[text]
	if n == nil {
		n = &Needed{Name: p.name, Candidate: c, Chain: v.reason.chain()}
		w.needed[text] = n
	}
	n.Machines = append(n.Machines, w.machine.Name)
}

func (w *walk) miss(a *asked, p *project) {
	text := short(a.Requirement)
	m := w.missing[text]
	if m == nil {
		m = &Missing{Chain: a.chain(), Offer: p.candidates, Unlisted: !p.exists}
		w.missing[text] = m
		w.missed = append(w.missed, text)
	}
	if !slices.Contains(m.Machines, w.machine.Name) {
		m.Machines = append(m.Machines, w.machine.Name)
	}
}

func (w *walk) announceVisits(visits []*visit) {
	f, ok := w.machine.Provider.(Prefetcher)
	if !ok {
		return
	}
	var wanted []Wanted
	for _, v := range visits {
		if p := w.keys[v.key].project; p.requires[v.at] == nil {
			wanted = append(wanted, Wanted{p.name, p.candidates[v.at]})
		}
	}
	if len(wanted) > 0 {
		f.Prefetch(w.ctx, nil, wanted)
	}
}

// instead takes the next versions for a requirement when one that it brought in
// cannot be installed.
func (w *walk) instead(v *visit) error {
	p := w.keys[v.key].project
	c := p.candidates[v.at]
	text := string(p.name) + " " + c.Version.Canonical() + " " + c.Filename
	if n := w.needed[text]; n != nil {
		n.Machines = slices.DeleteFunc(n.Machines, func(m string) bool { return m == w.machine.Name })
		if len(n.Machines) == 0 {
			delete(w.needed, text)
		}
	}
	delete(w.visits, place{v.key, int32(v.at)})
	// What brought it in is asked again, and everything else that might have.
	for _, a := range w.taken[p.name] {
		w.queue = append(w.queue, a)
		delete(w.done, a.text())
	}
	w.taken[p.name], w.seen[p.name] = nil, nil
	return nil
}

// follow puts what a version requires into the queue.
func (w *walk) follow(v *visit) error {
	p := w.keys[v.key].project
	r, err := w.ask(p, v.at)
	if err != nil {
		return err
	}
	c := p.candidates[v.at]
	if !p.unusable.has(v.at) && r.Python.Len() > 0 {
		// Not every page says what the metadata says.
		interpreter := w.keys[w.python].project
		if !interpreter.holds(r.Python).has(0) {
			p.unusable.add(v.at)
		}
	}
	if p.unusable.has(v.at) {
		return w.instead(v)
	}
	if r.unknown != nil {
		w.needed[string(p.name)+" "+c.Version.Canonical()+" "+c.Filename].Unknown = r.unknown
	}
	selected, err := w.selected(&key{extras: v.extras}, r)
	if err != nil {
		return fmt.Errorf("%s %s: %w", p.name, c.Version, err)
	}
	for _, q := range selected {
		w.queue = append(w.queue, &asked{Ask: Ask{By: p.name, Version: c.Version, Requirement: q}, from: v})
	}
	return nil
}
