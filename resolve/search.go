package resolve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"

	"nestgen/packaging"
)

// A key is what the rounds choose a candidate for: a project, a project with
// extras, which is a key of its own that needs the same version of the project
// without, or the interpreter.
type key struct {
	// name is pip's text for it, which decides where nothing else does.
	name    string
	extras  []packaging.Name // sorted
	base    int32            // the key without extras, which may be this one
	project *project

	// needs are the requirements of each candidate; nil: not asked for yet.
	needs [][]*requirement

	asked     int // its place among the roots, or never
	depth     int // how far from the roots it was when last looked at, or never
	conflicts int
	promoted  bool
}

const never = math.MaxInt

// A requirement is what somebody needs of a key.
type requirement struct {
	key    int32
	held   set // the candidates that meet it; nil for all
	choice choice
	source packaging.Requirement

	// exactly is set for the version that foo[x] needs of foo.
	exactly bool

	// python is Requires-Python, on the key of the interpreter.
	python packaging.Specifiers

	pinned, bounded bool
}

// An edge is a requirement with who has it: a candidate of a key, or the root
// requirement number root if key is below zero.
type edge struct {
	*requirement
	parent    int32
	candidate int32
	root      int
}

// A criterion is what is known of a key in a state of the search. It does not
// change once it is in a state.
type criterion struct {
	edges        []*edge
	incompatible set // candidates that were tried in this place

	met        set // the candidates that meet all edges
	candidates set // what of these is left to try
	choice     choice
	exactly    bool
	pinned     bool
	bounded    bool
}

// A change is a step back from one state to the one before.
type change struct {
	key       int32
	criterion *criterion // what it was
	pin       int32
	isPin     bool
}

// A frame is a state of the search: everything up to a pin.
type frame struct {
	trail  int   // where its changes begin
	last   int32 // the key that was pinned last, or -1
	pins   int
	causes []*edge // of the last conflict
}

type search struct {
	ctx context.Context
	*Problem
	rules rules

	keys     []*key
	index    map[string]int32
	projects map[packaging.Name]*project
	bounds   map[packaging.Name]bound
	python   int32
	direct   map[place][]packaging.Requirement

	// The state, which is the last of frames. What it was in the others can be
	// had back by trail.
	criteria []*criterion // by key
	present  []int32      // keys that have a criterion, in the order they came
	pins     []int32      // by key: a candidate, or -1
	trail    []change
	frames   []frame

	saved *saved

	// before are the criteria as they were at the last conflict.
	before []*criterion

	count int // rounds so far
}

// A place is a candidate of a key.
type place struct {
	key, candidate int32
}

// A bound is what constraints say of a project.
type bound struct {
	specifiers packaging.Specifiers
	choice     choice
	roots      []Root
}

// saved is a state with all those before it, to which the search can return.
type saved struct {
	criteria []*criterion
	present  []int32
	pins     []int32
	trail    []change
	frames   []frame
}

// newSearch begins a search with what another one has learned of projects.
func newSearch(ctx context.Context, p *Problem, projects map[packaging.Name]*project) (*search, error) {
	s := &search{
		ctx: ctx, Problem: p, rules: p.Pip.rules(),
		index:    map[string]int32{},
		projects: projects,
		bounds:   map[packaging.Name]bound{},
		direct:   map[place][]packaging.Requirement{},
	}
	if p.patient {
		s.rules.jump, s.rules.hopeful = false, false
	}
	python, err := packaging.ParseVersion(p.Environment.PythonFullVersion)
	if err != nil {
		return nil, fmt.Errorf("python_full_version of the environment: %w", err)
	}
	s.python = s.newKey(pythonKey, nil)
	interpreter := s.keys[s.python]
	interpreter.project = newProject("", true, []Candidate{{Version: python}})
	interpreter.needs = [][]*requirement{{}}

	for _, c := range p.Constraints {
		holds, err := s.counts(c.Requirement, "")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.From, err)
		}
		if !holds {
			continue
		}
		b := s.bounds[c.Requirement.Project()]
		b.specifiers = b.specifiers.And(c.Requirement.Specifiers)
		b.choice = choiceOf(b.specifiers)
		b.roots = append(b.roots, c)
		s.bounds[c.Requirement.Project()] = b
	}
	return s, nil
}

// pythonKey is pip's name for the interpreter among the projects.
const pythonKey = "<Python from Requires-Python>"

func (s *search) newKey(name string, extras []packaging.Name) int32 {
	k := int32(len(s.keys))
	s.keys = append(s.keys, &key{name: name, extras: extras, base: k, asked: never, depth: never})
	s.index[name] = k
	s.criteria = append(s.criteria, nil)
	s.pins = append(s.pins, -1)
	return k
}

// keyOf gives the key of a project with extras.
func (s *search) keyOf(n packaging.Name, extras []packaging.Name) int32 {
	text := string(n)
	if len(extras) > 0 {
		parts := make([]string, len(extras))
		for i, x := range extras {
			parts[i] = string(x)
		}
		text += "[" + strings.Join(parts, ",") + "]"
	}
	k, ok := s.index[text]
	if !ok {
		k = s.newKey(text, extras)
		if len(extras) > 0 {
			base := s.keyOf(n, nil)
			s.keys[k].base = base
		}
	}
	return k
}

// extrasOf gives the extras of a requirement, normalized, sorted and each once.
func extrasOf(q packaging.Requirement) []packaging.Name {
	if len(q.Extras) == 0 {
		return nil
	}
	extras := make([]packaging.Name, len(q.Extras))
	for i, x := range q.Extras {
		extras[i] = packaging.NormalizeName(x)
	}
	slices.Sort(extras)
	return slices.Compact(extras)
}

// counts reports whether a requirement counts in the environment when an extra
// is asked for, or none.
func (s *search) counts(q packaging.Requirement, extra string) (bool, error) {
	if q.Marker == nil {
		return true, nil
	}
	env := s.Environment
	env.Extra = extra
	ok, err := q.Marker.Eval(&env)
	if err != nil {
		return false, fmt.Errorf("marker of %s: %w", q.Project(), err)
	}
	return ok, nil
}

// load asks for the candidates of a project, once.
func (s *search) load(n packaging.Name) (*project, error) {
	if p, ok := s.projects[n]; ok {
		return p, nil
	}
	if !s.may() {
		return nil, ErrRounds
	}
	candidates, err := s.Provider.Candidates(s.ctx, n)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	p := newProject(n, err == nil, candidates)
	s.projects[n] = p
	return p, nil
}

// ask asks what a candidate requires, once. The error is one that ends the
// search; unknown requirements and unusable candidates are not.
func (s *search) ask(p *project, i int) (*requires, error) {
	if r := p.requires[i]; r != nil {
		return r, nil
	}
	if !s.may() {
		return nil, ErrRounds
	}
	r := &requires{}
	got, err := s.Provider.Requires(s.ctx, p.name, p.candidates[i])
	switch {
	case err == nil:
		r.Requirements = got
		for _, q := range got.Dist {
			// What cannot be compared cannot be installed.
			if _, err := s.counts(q, ""); err != nil {
				p.unusable.add(i)
				break
			}
		}
	case errors.Is(err, ErrUnknown):
		r.unknown = err
	case errors.Is(err, ErrUnusable):
		p.unusable.add(i)
	default:
		return nil, fmt.Errorf("%s %s: %w", p.name, p.candidates[i].Version, err)
	}
	r.extras = map[packaging.Name]bool{}
	for _, x := range r.Extras {
		r.extras[packaging.NormalizeName(x)] = true
	}
	p.requires[i] = r
	return r, nil
}

// require gives what a requirement asks for: one thing, two when extras and
// versions are told apart, or nothing when it names a URL.
func (s *search) require(to []*requirement, q packaging.Requirement) ([]*requirement, error) {
	extras := extrasOf(q)
	p, err := s.load(q.Project())
	if err != nil {
		return nil, err
	}
	r := requirement{held: p.holds(q.Specifiers), choice: choiceOf(q.Specifiers), source: q}
	for _, c := range q.Specifiers.Clauses() {
		wild := strings.HasSuffix(c.Version, ".*")
		switch c.Operator {
		case packaging.Equal, packaging.Identical:
			if !wild || !s.rules.narrow {
				r.pinned = true
			} else {
				r.bounded = true
			}
		case packaging.Less, packaging.LessEqual, packaging.Compatible:
			r.bounded = true
		}
	}
	if len(extras) > 0 && r.choice.clauses && s.rules.split {
		base := r
		base.key = s.keyOf(p.name, nil)
		s.keys[base.key].project = p
		to = append(to, &base)
	}
	r.key = s.keyOf(p.name, extras)
	s.keys[r.key].project = p
	return append(to, &r), nil
}

// needs gives what a candidate of a key requires.
func (s *search) needs(k int32, i int) ([]*requirement, error) {
	y := s.keys[k]
	if y.needs == nil {
		y.needs = make([][]*requirement, len(y.project.candidates))
	}
	if y.needs[i] != nil {
		return y.needs[i], nil
	}
	r, err := s.ask(y.project, i)
	if err != nil {
		return nil, err
	}
	needs := make([]*requirement, 0, len(r.Dist)+1)
	if y.base == k && s.rules.narrow {
		needs = s.needPython(needs, r)
	}
	if y.base != k {
		// The extras of a version need that version.
		only := make(set, len(y.project.all))
		only.add(i)
		needs = append(needs, &requirement{key: s.baseOf(k), held: only, exactly: true})
	}
	selected, err := s.selected(y, r)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", y.name, y.project.candidates[i].Version, err)
	}
	s.announce(selected)
	for _, q := range selected {
		if q.URL != "" {
			at := place{k, int32(i)}
			s.direct[at] = append(s.direct[at], q)
			continue
		}
		if needs, err = s.require(needs, q); err != nil {
			return nil, err
		}
	}
	if y.base == k && !s.rules.narrow {
		needs = s.needPython(needs, r)
	}
	y.needs[i] = needs
	return needs, nil
}

// baseOf gives the key of the project without extras.
func (s *search) baseOf(k int32) int32 {
	b := s.keys[k].base
	s.keys[b].project = s.keys[k].project
	return b
}

func (s *search) needPython(needs []*requirement, r *requires) []*requirement {
	if r.Python.Len() == 0 {
		return needs
	}
	return append(needs, &requirement{key: s.python, held: s.keys[s.python].project.holds(r.Python), python: r.Python})
}

// selected gives the requirements of a candidate that count for a key.
func (s *search) selected(y *key, r *requires) ([]packaging.Requirement, error) {
	var extras []string
	for _, x := range y.extras {
		if r.extras[x] {
			extras = append(extras, string(x))
		}
	}
	if len(extras) == 0 {
		extras = []string{""}
	}
	selected := make([]packaging.Requirement, 0, len(r.Dist))
	for _, q := range r.Dist {
		for _, x := range extras {
			ok, err := s.counts(q, x)
			if err != nil {
				return nil, err
			}
			if ok {
				selected = append(selected, q)
				break
			}
		}
	}
	return selected, nil
}

// announce tells the provider which projects will be asked for.
func (s *search) announce(requirements []packaging.Requirement) {
	f, ok := s.Provider.(Prefetcher)
	if !ok {
		return
	}
	var names []packaging.Name
	named := map[packaging.Name]bool{}
	for _, q := range requirements {
		n := q.Project()
		if _, ok := s.projects[n]; !ok && q.URL == "" && !named[n] {
			named[n] = true
			names = append(names, n)
		}
	}
	if len(names) > 0 {
		f.Prefetch(s.ctx, names, nil)
	}
}

// announceFirst tells the provider the candidates whose requirements will be
// asked for when requirements are added: the first of each key.
func (s *search) announceFirst(needs []*requirement) {
	f, ok := s.Provider.(Prefetcher)
	if !ok {
		return
	}
	var wanted []Wanted
	for _, r := range needs {
		if r.key == s.python {
			continue
		}
		c := s.match(r.key, extend(s.criteria[r.key], s.keys[r.key].project, &edge{requirement: r}), nil)
		p := s.keys[r.key].project
		i := c.candidates.next(0)
		if i < 0 || p.requires[i] != nil {
			continue
		}
		w := Wanted{p.name, p.candidates[i]}
		if !slices.ContainsFunc(wanted, func(v Wanted) bool { return v.Name == w.Name && v.Candidate.Version == w.Candidate.Version }) {
			wanted = append(wanted, w)
		}
	}
	if len(wanted) > 0 {
		f.Prefetch(s.ctx, nil, wanted)
	}
}

// extend gives a criterion with one more edge; its candidates are to be matched.
func extend(old *criterion, p *project, e *edge) *criterion {
	c := &criterion{}
	if old != nil {
		*c = *old
		c.met = slices.Clone(old.met)
		c.edges = append(make([]*edge, 0, len(old.edges)+1), old.edges...)
	} else {
		c.met = slices.Clone(p.all)
	}
	c.add(e)
	return c
}

func (c *criterion) add(e *edge) {
	c.edges = append(c.edges, e)
	c.met.and(e.held)
	c.choice = c.choice.or(e.choice)
	c.exactly = c.exactly || e.exactly
	c.pinned = c.pinned || e.pinned
	c.bounded = c.bounded || e.bounded
}

// match works out the candidates of a criterion of a key from its edges and the
// state, without those that are incompatible already or by what is given.
func (s *search) match(k int32, c *criterion, incompatible set) *criterion {
	y := s.keys[k]
	p := y.project
	candidates := slices.Clone(c.met)
	choice, exactly, edges := c.choice, c.exactly, len(c.edges)
	if y.base != k {
		if base := s.criteria[y.base]; base != nil && (s.rules.split || base.exactly) {
			candidates.and(base.met)
			choice = choice.or(base.choice)
			exactly = exactly || base.exactly
			edges += len(base.edges)
		}
	}
	if b, ok := s.bounds[p.name]; ok && k != s.python {
		candidates.and(p.holds(b.specifiers))
		choice = choice.or(b.choice)
	}
	if edges == 0 {
		// Nobody asks for it any more, and pip finds nothing for nobody.
		clear(candidates)
	}
	if !exactly && k != s.python {
		p.choose(candidates, choice, s.Prereleases, s.rules.fallback)
	}
	candidates.without(p.unusable)
	if incompatible != nil {
		c.incompatible = slices.Clone(incompatible)
		if old := s.criteria[k]; old != nil {
			for i := range old.incompatible {
				c.incompatible[i] |= old.incompatible[i]
			}
		}
	}
	candidates.without(c.incompatible)
	c.candidates = candidates
	return c
}

// any reports whether a criterion has a candidate, and asks what the first one
// requires, as pip does: one with invalid metadata is none.
func (s *search) any(k int32, c *criterion) (bool, error) {
	p := s.keys[k].project
	for i := c.candidates.next(0); i >= 0; i = c.candidates.next(i) {
		if k == s.python {
			return true, nil
		}
		if _, err := s.ask(p, i); err != nil {
			return false, err
		}
		if !p.unusable.has(i) {
			return true, nil
		}
		c.candidates.remove(i)
	}
	return false, nil
}

// A clash is a criterion without candidates.
type clash struct {
	key       int32
	criterion *criterion
}

// add puts a requirement into the state. If nothing is left to choose from then,
// it gives the criterion that says so, and the state is as it was.
func (s *search) add(e *edge) (*clash, error) {
	old := s.criteria[e.key]
	c := s.match(e.key, extend(old, s.keys[e.key].project, e), nil)
	ok, err := s.any(e.key, c)
	if err != nil {
		return nil, err
	}
	if !ok {
		return &clash{e.key, c}, nil
	}
	s.set(e.key, c)
	return nil, nil
}

func (s *search) set(k int32, c *criterion) {
	old := s.criteria[k]
	s.trail = append(s.trail, change{key: k, criterion: old})
	if old == nil {
		s.present = append(s.present, k)
	}
	s.criteria[k] = c
}

// undo goes back to where the trail was so long.
func (s *search) undo(trail int) {
	for i := len(s.trail) - 1; i >= trail; i-- {
		c := s.trail[i]
		if c.isPin {
			s.pins[c.key] = c.pin
			continue
		}
		s.criteria[c.key] = c.criterion
		if c.criterion == nil {
			s.present = s.present[:len(s.present)-1]
		}
	}
	s.trail = s.trail[:trail]
}

func (s *search) top() *frame { return &s.frames[len(s.frames)-1] }

// push begins a new state.
func (s *search) push() {
	f := *s.top()
	f.trail = len(s.trail)
	s.frames = append(s.frames, f)
}

// pop goes back to the state before.
func (s *search) pop() {
	s.undo(s.top().trail)
	s.frames = s.frames[:len(s.frames)-1]
}

func (s *search) satisfied(k int32) bool {
	i := s.pins[k]
	return i >= 0 && s.criteria[k].met.has(int(i))
}
