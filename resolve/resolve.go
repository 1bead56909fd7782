package resolve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nestgen/packaging"
)

// MaxRounds is after how many rounds pip gives up.
const MaxRounds = 200_000

// ErrRounds is the error of a search that took too many rounds. Nothing is known
// then: there may be a set or none.
var ErrRounds = errors.New("the search for versions that fit together takes too long")

// A TooLong is the error of a search that took too many rounds. It matches
// [ErrRounds].
type TooLong struct {
	// Missed is a set that another way of searching found, or nil.
	Missed *Set
}

func (e *TooLong) Error() string { return ErrRounds.Error() }

// Unwrap gives [ErrRounds].
func (e *TooLong) Unwrap() error { return ErrRounds }

// Hint says what somebody may do about it, in one line.
func (e *TooLong) Hint() string {
	if e.Missed == nil {
		return "name narrower versions, or fewer roots at once"
	}
	return leadThere(e.Missed)
}

// A Root is a requirement that nothing else asks for: a line of an allowlist, or
// a constraint.
type Root struct {
	Requirement packaging.Requirement

	// From says where it stands, as "allow.txt:3".
	From string
}

// A Problem is what one environment asks for.
type Problem struct {
	// Roots are to be installed, in order; the order decides between names
	// that are equal otherwise, as that of pip's arguments does.
	Roots []Root

	// Constraints narrow what others ask for (pip's -c). Only their name,
	// specifiers and marker count.
	Constraints []Root

	// Environment are the values of markers. PythonFullVersion is also what
	// Requires-Python is held against, and has to be set.
	Environment packaging.Environment

	Provider Provider

	// Prereleases lets pre-releases in everywhere, as pip's --pre.
	Prereleases bool

	// Pip is whose choice it should be; the newest if zero.
	Pip Pip

	// MaxRounds ends a search that does not end; [MaxRounds] if zero. The
	// context ends it by time.
	MaxRounds int

	// patient searches so that no set is missed, whatever pip does.
	patient bool

	// questions is how many more may be put to the provider; nil for any
	// number. The search ends with ErrRounds
	// when there are none left.
	questions *int
}

// may reports whether the provider may be asked once more.
func (p *Problem) may() bool {
	if p.questions == nil {
		return true
	}
	*p.questions--
	return *p.questions >= 0
}

// A Set is one version of each project that is needed, which fit together.
type Set struct {
	// Pins are sorted by name.
	Pins []Pin

	// Direct are requirements that name a URL. They are not followed: neither
	// they nor what they need is in the set.
	Direct []Ask

	// NoExtras are extras that were asked for of versions that do not have
	// them, sorted. They add nothing.
	NoExtras []NoExtra

	// Unmet are requirements that the set does not meet. It is nearly always
	// empty: pip forgets what a version requires when a later pin makes that
	// version wrong, and does not remember when a still later one makes it
	// right again. The set is that of pip all the same.
	Unmet []Ask

	// Rounds is how many rounds the search took.
	Rounds int
}

// A Pin is the version of a project in a [Set].
type Pin struct {
	Name packaging.Name
	Candidate

	// Extras are those that anybody asks for and the version has, sorted.
	Extras []packaging.Name

	// Asks are who asks for it, never empty: roots first, in their order, then
	// by name.
	Asks []Ask

	// Unknown is why it is not known what this version requires. It matches
	// [ErrUnknown], and is nil when it is known.
	Unknown error
}

// An Ask is a requirement with who has it.
type Ask struct {
	// By is the project that asks and Version its version; By is empty for a
	// root, which has From.
	By      packaging.Name
	Version packaging.Version
	From    string

	Requirement packaging.Requirement
}

// String gives one line for people: "flask 3.0.0 needs werkzeug>=3.0", or
// "flask>=3 (allow.txt:3)" for a root.
func (a Ask) String() string {
	if a.By != "" {
		return fmt.Sprintf("%s %s needs %s", a.By, a.Version, short(a.Requirement))
	}
	if a.From == "" {
		return short(a.Requirement)
	}
	return fmt.Sprintf("%s (%s)", short(a.Requirement), a.From)
}

// short gives a requirement without its marker, which has been met.
func short(q packaging.Requirement) string {
	q.Marker = nil
	return q.String()
}

// A NoExtra is an extra that a version does not have.
type NoExtra struct {
	Name    packaging.Name
	Version packaging.Version
	Extra   packaging.Name
}

// Pin gives the pin of a project.
func (s *Set) Pin(n packaging.Name) (Pin, bool) {
	i, ok := slices.BinarySearchFunc(s.Pins, n, func(p Pin, n packaging.Name) int {
		return strings.Compare(string(p.Name), string(n))
	})
	if !ok {
		return Pin{}, false
	}
	return s.Pins[i], true
}

// Chain gives why a project is in the set: a shortest way from a root, whose
// line is first, to the requirement that asks for the project.
func (s *Set) Chain(n packaging.Name) []Ask {
	// Backwards, level by level: who asks for the project, who asks for those.
	type step struct {
		name packaging.Name
		ask  Ask
		next int // towards n
	}
	steps := []step{{name: n, next: -1}}
	seen := map[packaging.Name]bool{n: true}
	for i := 0; i < len(steps); i++ {
		p, ok := s.Pin(steps[i].name)
		if !ok {
			return nil
		}
		for _, a := range p.Asks {
			if a.By == "" {
				chain := []Ask{a}
				for j := i; steps[j].next >= 0; j = steps[j].next {
					chain = append(chain, steps[j].ask)
				}
				return chain
			}
			if !seen[a.By] {
				seen[a.By] = true
				steps = append(steps, step{a.By, a, i})
			}
		}
	}
	return nil
}

// Resolve gives the set of versions that pip would take. The error is a
// [*Conflict] if pip finds none, a [*TooLong] if it gives up, and that of the
// context or the provider otherwise.
func (p *Problem) Resolve(ctx context.Context) (*Set, error) {
	projects := map[packaging.Name]*project{}
	s, clashes, err := p.search(ctx, projects)
	// What follows is to explain why there is none, for which a few questions
	// more may be asked.
	left := explainQuestions
	q := *p
	q.questions = &left
	if errors.Is(err, ErrRounds) {
		// Where a root alone cannot be met, that is the answer.
		for i, r := range p.Roots {
			if i == shrinkSearches {
				break
			}
			alone := q
			alone.Roots, alone.MaxRounds = []Root{r}, shrinkRounds
			t, found, other := alone.search(ctx, projects)
			if other == nil && found != nil {
				return nil, t.explain(found)
			}
		}
		// Where there is none, that is the answer; pip may walk in circles.
		missed, t, found, other := q.missed(ctx, projects)
		if other != nil {
			return nil, other
		}
		if found != nil {
			return nil, t.explain(found)
		}
		return nil, &TooLong{missed}
	}
	if err != nil {
		return nil, err
	}
	if clashes == nil {
		return s.result(), nil
	}
	missed, _, _, err := q.missed(ctx, projects)
	if err != nil {
		return nil, err
	}
	// With fewer roots pip may miss something else.
	if missed == nil {
		if s, clashes, err = s.shrink(clashes, &left); err != nil {
			return nil, err
		}
	}
	c := s.explain(clashes)
	c.Missed = missed
	return nil, c
}

// missed searches in another way, which misses no set if it ends: it gives one,
// or what clashed if there is none, or nothing if it takes too long.
func (p *Problem) missed(ctx context.Context, projects map[packaging.Name]*project) (*Set, *search, []clash, error) {
	q := *p
	q.patient, q.MaxRounds = true, patientRounds
	s, clashes, err := q.search(ctx, projects)
	switch {
	case errors.Is(err, ErrRounds):
		return nil, nil, nil, nil
	case err != nil:
		return nil, nil, nil, err
	case clashes != nil:
		return nil, s, clashes, nil
	}
	return s.result(), s, nil, nil
}

// search searches from the beginning.
func (p *Problem) search(ctx context.Context, projects map[packaging.Name]*project) (*search, []clash, error) {
	s, err := newSearch(ctx, p, projects)
	if err != nil {
		return nil, nil, err
	}
	roots, err := s.roots()
	if err != nil {
		return nil, nil, err
	}
	clashes, err := s.rounds(roots)
	return s, clashes, err
}

// roots gives the edges of the root requirements in the order of pip.
func (s *search) roots() ([]*edge, error) {
	var counting []int
	var requirements []packaging.Requirement
	for i, r := range s.Roots {
		ok, err := s.counts(r.Requirement, "")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.From, err)
		}
		if ok && r.Requirement.URL == "" {
			counting = append(counting, i)
			requirements = append(requirements, r.Requirement)
		}
	}
	s.announce(requirements)
	var edges []*edge
	var needs []*requirement
	for _, i := range counting {
		all, err := s.require(nil, s.Roots[i].Requirement)
		if err != nil {
			return nil, err
		}
		if y := s.keys[all[0].key]; y.asked == never {
			y.asked = i
		}
		for _, r := range all {
			edges = append(edges, &edge{requirement: r, parent: -1, root: i})
		}
		needs = append(needs, all...)
	}
	if s.rules.split {
		slices.SortStableFunc(edges, func(a, b *edge) int {
			return first(s.keys[a.key].base == a.key, s.keys[b.key].base == b.key)
		})
	}
	s.announceFirst(needs)
	return edges, nil
}

// result gives what the last state says, without what nobody asks for any more.
func (s *search) result() *Set {
	// From the roots along edges of what is pinned.
	children := map[int32][]int32{}
	var stack []int32
	reached := map[int32]bool{}
	for _, k := range s.present {
		for _, e := range s.criteria[k].edges {
			switch {
			case e.parent < 0:
				if !reached[k] {
					reached[k] = true
					stack = append(stack, k)
				}
			case s.pins[e.parent] == e.candidate:
				children[e.parent] = append(children[e.parent], k)
			}
		}
	}
	for len(stack) > 0 {
		k := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, c := range children[k] {
			if !reached[c] {
				reached[c] = true
				stack = append(stack, c)
			}
		}
	}

	set := &Set{Rounds: s.count}
	byName := map[packaging.Name]*Pin{}
	for _, k := range s.present {
		if !reached[k] || k == s.python {
			continue
		}
		y, i := s.keys[k], s.pins[k]
		p := byName[y.project.name]
		r := y.project.requires[i]
		if p == nil {
			p = &Pin{Name: y.project.name, Candidate: y.project.candidates[i]}
			if r != nil {
				p.Unknown = r.unknown
			}
			byName[p.Name] = p
		}
		for _, x := range y.extras {
			switch {
			case r == nil || r.extras[x]:
				p.Extras = append(p.Extras, x)
			case r.unknown == nil:
				set.NoExtras = append(set.NoExtras, NoExtra{p.Name, p.Version, x})
			}
		}
		for _, e := range s.criteria[k].edges {
			if e.exactly || e.parent >= 0 && (!reached[e.parent] || s.pins[e.parent] != e.candidate) {
				continue
			}
			p.Asks = append(p.Asks, s.askOf(e))
		}
		for _, r := range y.needs[i] {
			if j := s.pins[r.key]; r.key != s.python && (j < 0 || !reached[r.key] || r.held != nil && !r.held.has(int(j))) {
				set.Unmet = append(set.Unmet, s.askOf(&edge{requirement: r, parent: k, candidate: i}))
			}
		}
		for _, q := range s.direct[place{k, i}] {
			set.Direct = append(set.Direct, Ask{By: p.Name, Version: p.Version, Requirement: q})
		}
	}
	for _, r := range s.Roots {
		if ok, _ := s.counts(r.Requirement, ""); ok && r.Requirement.URL != "" {
			set.Direct = append(set.Direct, Ask{From: r.From, Requirement: r.Requirement})
		}
	}
	for _, p := range byName {
		slices.Sort(p.Extras)
		p.Extras = slices.Compact(p.Extras)
		p.Asks = tidy(p.Asks)
		set.Pins = append(set.Pins, *p)
	}
	slices.SortFunc(set.Pins, func(a, b Pin) int { return strings.Compare(string(a.Name), string(b.Name)) })
	set.Direct, set.Unmet = tidy(set.Direct), tidy(set.Unmet)
	slices.SortFunc(set.NoExtras, func(a, b NoExtra) int {
		return strings.Compare(string(a.Name)+"\x00"+string(a.Extra), string(b.Name)+"\x00"+string(b.Extra))
	})
	set.NoExtras = slices.Compact(set.NoExtras)
	return set
}

// tidy sorts asks, roots first as they came, and gives each once: a requirement
// with an extra and a version had been taken apart.
func tidy(asks []Ask) []Ask {
	slices.SortStableFunc(asks, func(a, b Ask) int {
		return strings.Compare(string(a.By), string(b.By))
	})
	var once []Ask
	seen := map[string]bool{}
	for _, a := range asks {
		text := a.String()
		if !seen[text] {
			seen[text] = true
			once = append(once, a)
		}
	}
	return once
}

// askOf says for people what an edge asks for.
func (s *search) askOf(e *edge) Ask {
	if e.parent < 0 {
		r := s.Roots[e.root]
		return Ask{From: r.From, Requirement: r.Requirement}
	}
	p := s.keys[e.parent].project
	return Ask{By: p.name, Version: p.candidates[e.candidate].Version, Requirement: e.source}
}
