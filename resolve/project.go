package resolve

import (
	"math/bits"
	"slices"

	"nestgen/packaging"
)

// A set is a set of the candidates of one project, by their places.
type set []uint64

func words(n int) int { return (n + 63) / 64 }

func full(n int) set {
	s := make(set, words(n))
	for i := range s {
		s[i] = ^uint64(0)
	}
	if n%64 != 0 {
		s[len(s)-1] = 1<<(n%64) - 1
	}
	return s
}

func (s set) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }
func (s set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s set) remove(i int)   { s[i/64] &^= 1 << (i % 64) }

func (s set) empty() bool {
	for _, w := range s {
		if w != 0 {
			return false
		}
	}
	return true
}

// and keeps what is in t as well. A nil t stands for all.
func (s set) and(t set) {
	for i := range t {
		s[i] &= t[i]
	}
}

// without takes out what is in t.
func (s set) without(t set) {
	for i := range t {
		s[i] &^= t[i]
	}
}

// next gives the first place at or after i that is in s, or -1.
func (s set) next(i int) int {
	for w := i / 64; w < len(s); w++ {
		word := s[w]
		if w == i/64 {
			word &= ^uint64(0) << (i % 64)
		}
		if word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
	}
	return -1
}

// A project is what a provider says of one project, and what has been worked out
// of it.
type project struct {
	name   packaging.Name
	exists bool

	// candidates are the newest first, each version once.
	candidates []Candidate
	requires   []*requires // nil: not asked for yet

	all, final, yanked set
	unusable           set

	// held are the candidates that a specifier holds, pre-releases included.
	held map[string]set
}

// A requires is what a candidate needs, or why that cannot be said.
type requires struct {
	Requirements
	extras  map[packaging.Name]bool
	unknown error
}

func newProject(n packaging.Name, exists bool, candidates []Candidate) *project {
	candidates = slices.Clone(candidates)
	slices.SortStableFunc(candidates, func(a, b Candidate) int {
		if c := b.Version.Compare(a.Version); c != 0 {
			return c
		}
		// Of two spellings of a version one that is not yanked is preferred.
		if a.Yanked != b.Yanked {
			if a.Yanked {
				return 1
			}
			return -1
		}
		return 0
	})
	candidates = slices.CompactFunc(candidates, func(a, b Candidate) bool {
		return a.Version.Compare(b.Version) == 0
	})
	p := &project{
		name: n, exists: exists,
		candidates: candidates,
		requires:   make([]*requires, len(candidates)),
		all:        full(len(candidates)),
		final:      make(set, words(len(candidates))),
		yanked:     make(set, words(len(candidates))),
		unusable:   make(set, words(len(candidates))),
		held:       map[string]set{},
	}
	for i, c := range candidates {
		if !c.Version.IsPrerelease() {
			p.final.add(i)
		}
		if c.Yanked {
			p.yanked.add(i)
		}
	}
	return p
}

// holds gives the candidates that the specifiers hold, pre-releases included.
// Nil stands for all.
func (p *project) holds(s packaging.Specifiers) set {
	if s.Len() == 0 {
		return nil
	}
	text := s.String()
	held, ok := p.held[text]
	if !ok {
		held = make(set, len(p.all))
		for i, c := range p.candidates {
			if s.Contains(c.Version, packaging.AllowPrereleases) {
				held.add(i)
			}
		}
		p.held[text] = held
	}
	return held
}

// A choice is what decides about pre-releases and yanked versions when all
// specifiers on a name have been put together.
type choice struct {
	clauses    bool // there is any
	prerelease bool // one names a pre-release
	exact      bool // one names one version
}

func choiceOf(s packaging.Specifiers) choice {
	return choice{clauses: s.Len() > 0, prerelease: s.NamesPrerelease(), exact: s.IsExact()}
}

func (c choice) or(d choice) choice {
	return choice{c.clauses || d.clauses, c.prerelease || d.prerelease, c.exact || d.exact}
}

// choose leaves in s what an installer would consider: final versions before
// pre-releases (PEP 440), and yanked ones only for a pin that nothing else meets
// (PEP 592). The two are decided in this order, as pip does it, so that a final
// version that is yanked keeps pre-releases out.
func (p *project) choose(s set, c choice, pre bool, fallback bool) {
	switch {
	case pre || c.prerelease:
	case c.clauses && !fallback:
		s.and(p.final)
	default:
		for i := range s {
			if s[i]&p.final[i] != 0 {
				s.and(p.final)
				break
			}
		}
	}
	if !c.exact {
		s.without(p.yanked)
		return
	}
	for i := range s {
		if s[i]&^p.yanked[i] != 0 {
			s.without(p.yanked)
			return
		}
	}
}
