package resolve

import (
	"cmp"
	"slices"
)

// hope is the part of all rounds for which the search may go on where it was not
// safe to pass over pins.
const hope = 0.1

// promoteAt is how often a name has to get into conflicts before it is preferred.
const promoteAt = 5

// rounds searches, one pin in each round, as resolvelib does. It gives what
// clashed last if there is no set, and leaves the criteria as they were then.
func (s *search) rounds(roots []*edge) ([]clash, error) {
	s.frames = []frame{{last: -1}}
	for _, e := range roots {
		c, err := s.add(e)
		if err != nil {
			return nil, err
		}
		if c != nil {
			return []clash{*c}, nil
		}
	}
	s.push()

	limit := s.MaxRounds
	if limit == 0 {
		limit = MaxRounds
	}
	hopeful := s.rules.hopeful
	hoping, hopeUntil := false, 0
	var unsatisfied, narrowed []int32
	for round := range limit {
		s.count = round
		if err := s.ctx.Err(); err != nil {
			return nil, err
		}
		if hopeful && s.saved != nil {
			if !hoping {
				hoping, hopeUntil = true, round+int(float64(limit-round)*hope)
			}
			if round >= hopeUntil {
				hopeful = false
				s.restore()
				continue
			}
		}

		unsatisfied = unsatisfied[:0]
		for _, k := range s.present {
			if !s.satisfied(k) {
				unsatisfied = append(unsatisfied, k)
			}
		}
		if len(unsatisfied) == 0 {
			return nil, nil
		}
		next := unsatisfied[0]
		if len(unsatisfied) > 1 {
			narrowed = s.narrow(narrowed[:0], unsatisfied)
			next = s.prefer(narrowed)
		} else if !s.rules.narrow {
			s.prefer(unsatisfied)
		}

		begin := len(s.trail)
		clashes, err := s.attempt(next)
		if err != nil {
			return nil, err
		}
		if clashes == nil {
			s.forget(begin, next)
			s.push()
			continue
		}

		causes := edgesOf(clashes)
		s.before = append(s.before[:0], s.criteria...)
		ok, err := s.back(causes, hopeful)
		switch {
		case err != nil:
			return nil, err
		case !ok && hopeful && s.saved != nil:
			hopeful = false
			s.restore()
		case !ok:
			s.criteria = s.before
			return clashes, nil
		default:
			s.top().causes = causes
		}
	}
	return nil, ErrRounds
}

// edgesOf gives the edges of the criteria that clash, each once.
func edgesOf(clashes []clash) []*edge {
	var edges []*edge
	seen := map[*edge]bool{}
	for _, c := range clashes {
		for _, e := range c.criterion.edges {
			if !seen[e] {
				seen[e] = true
				edges = append(edges, e)
			}
		}
	}
	return edges
}

// narrow gives the keys of which one should be chosen next.
func (s *search) narrow(to, unsatisfied []int32) []int32 {
	if !s.rules.narrow {
		return append(to, unsatisfied...)
	}
	causes := s.top().causes
	names := map[int32]bool{}
	note := func(k int32) {
		names[k] = true
		if s.rules.promote && s.pins[k] < 0 {
			y := s.keys[k]
			y.conflicts++
			y.promoted = y.promoted || y.conflicts >= promoteAt
		}
	}
	for _, e := range causes {
		note(e.key)
		if e.parent >= 0 {
			note(e.parent)
		}
	}
	var promoted []int32
	for _, k := range unsatisfied {
		switch {
		case k == s.python:
			return append(to[:0], k)
		case names[k]:
			to = append(to, k)
		case s.keys[k].promoted:
			promoted = append(promoted, k)
		}
	}
	if len(to) > 0 {
		return to
	}
	if len(promoted) > 0 {
		return promoted
	}
	return append(to, unsatisfied...)
}

// prefer gives the key that pip would choose a candidate for.
func (s *search) prefer(keys []int32) int32 {
	if s.rules.narrow {
		return slices.MinFunc(keys, s.compare)
	}
	// What took part in the last conflict comes early.
	names := map[int32]bool{}
	for _, e := range s.top().causes {
		names[e.key] = true
		if e.parent >= 0 {
			names[e.parent] = true
		}
	}
	best := keys[0]
	for i, k := range keys {
		s.measure(k)
		if i > 0 && s.compareOld(k, best, names) < 0 {
			best = k
		}
	}
	return best
}

// first is -1 if only a is so, 1 if only b, and 0 otherwise.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// compare is the order since pip 25.1.
func (s *search) compare(j, k int32) int {
	a, b := s.keys[j], s.keys[k]
	c, d := s.criteria[j], s.criteria[k]
	if o := first(a.promoted, b.promoted); o != 0 {
		return o
	}
	if o := first(c.exactly, d.exactly); o != 0 {
		return o
	}
	if o := first(c.pinned, d.pinned); o != 0 {
		return o
	}
	if o := first(c.bounded, d.bounded); o != 0 {
		return o
	}
	if o := cmp.Compare(a.asked, b.asked); o != 0 {
		return o
	}
	if o := first(c.choice.clauses, d.choice.clauses); o != 0 {
		return o
	}
	return cmp.Compare(a.name, b.name)
}

// compareOld is the order up to pip 25.0. What it calls direct holds for
// everything that anybody asks for.
func (s *search) compareOld(j, k int32, causes map[int32]bool) int {
	a, b := s.keys[j], s.keys[k]
	c, d := s.criteria[j], s.criteria[k]
	if o := first(j == s.python, k == s.python); o != 0 {
		return o
	}
	if s.rules.setuptools {
		if o := first(a.name != "setuptools", b.name != "setuptools"); o != 0 {
			return o
		}
	}
	if o := first(len(c.edges) > 0, len(d.edges) > 0); o != 0 {
		return o
	}
	if o := first(c.pinned, d.pinned); o != 0 {
		return o
	}
	if o := first(causes[j], causes[k]); o != 0 {
		return o
	}
	if o := cmp.Compare(a.depth, b.depth); o != 0 {
		return o
	}
	if o := cmp.Compare(a.asked, b.asked); o != 0 {
		return o
	}
	if o := first(c.choice.clauses, d.choice.clauses); o != 0 {
		return o
	}
	return cmp.Compare(a.name, b.name)
}

// measure works out how far a key is from the roots, by what is known of those
// who ask for it.
func (s *search) measure(k int32) {
	y := s.keys[k]
	if y.asked != never {
		y.depth = 1
		return
	}
	least := never
	for _, e := range s.criteria[k].edges {
		d := 0
		if e.parent >= 0 {
			d = s.keys[e.parent].depth
		}
		least = min(least, d)
	}
	if least != never {
		least++
	}
	y.depth = least
}

// attempt pins the first candidate of a key whose requirements can be met. It
// gives what stands against each if there is none.
func (s *search) attempt(k int32) ([]clash, error) {
	c := s.criteria[k]
	p := s.keys[k].project
	var clashes []clash
	for i := c.candidates.next(0); i >= 0; i = c.candidates.next(i + 1) {
		if p.unusable.has(i) {
			continue
		}
		needs, err := s.needs(k, i)
		if err != nil {
			return nil, err
		}
		if p.unusable.has(i) {
			continue
		}
		begin := len(s.trail)
		s.announceFirst(needs)
		var against *clash
		for _, r := range needs {
			against, err = s.add(&edge{requirement: r, parent: k, candidate: int32(i)})
			if err != nil {
				return nil, err
			}
			if against != nil {
				break
			}
		}
		if against != nil {
			s.undo(begin)
			clashes = append(clashes, *against)
			continue
		}
		s.trail = append(s.trail, change{key: k, pin: s.pins[k], isPin: true})
		f := s.top()
		if s.pins[k] < 0 {
			f.pins++
		}
		f.last = k
		s.pins[k] = int32(i)
		return nil, nil
	}
	if clashes == nil {
		// Every candidate turned out to be unusable.
		clashes = []clash{{k, c}}
	}
	return clashes, nil
}

// forget takes out what those candidates ask for that the last pin has made
// wrong. What was chosen because of them stays as it is.
func (s *search) forget(begin int, pinned int32) {
	if !s.rules.jump {
		return
	}
	var wrong []int32
	for _, c := range s.trail[begin:] {
		// What had been satisfied before is no more.
		if c.isPin || c.key == pinned || c.criterion == nil || s.pins[c.key] < 0 || slices.Contains(wrong, c.key) {
			continue
		}
		if c.criterion.met.has(int(s.pins[c.key])) && !s.satisfied(c.key) {
			wrong = append(wrong, c.key)
		}
	}
	if len(wrong) == 0 {
		return
	}
	gone := func(e *edge) bool { return e.parent >= 0 && slices.Contains(wrong, e.parent) }
	for _, k := range s.present {
		old := s.criteria[k]
		if !slices.ContainsFunc(old.edges, gone) {
			continue
		}
		c := &criterion{incompatible: old.incompatible, candidates: old.candidates}
		c.met = slices.Clone(s.keys[k].project.all)
		for _, e := range old.edges {
			if !gone(e) {
				c.add(e)
			}
		}
		s.set(k, c)
	}
}

// back undoes pins until one is gone that may be to blame, and remembers not to
// make it again. It reports whether there is a state to go on from; if not, the
// state is of no more use.
func (s *search) back(causes []*edge, hopeful bool) (bool, error) {
	blamed := map[int32]bool{}
	for _, e := range causes {
		blamed[e.key] = true
		if e.parent >= 0 {
			blamed[e.parent] = true
		}
	}
	for len(s.frames) >= 3 {
		s.pop()
		var at, pin int32
		var tried []incompatibility
		for {
			f := s.top()
			if f.pins == 0 {
				return false, nil
			}
			at, pin = f.last, s.pins[f.last]
			left := f.pins - 1
			tried = s.tried()
			s.pop()
			if !s.rules.jump {
				break
			}
			if s.rules.careful && !hopeful && !blamed[at] {
				break
			}
			if hopeful && s.saved == nil && !blamed[at] {
				s.save()
			}
			needs, err := s.needs(at, int(pin))
			if err != nil {
				return false, err
			}
			if slices.ContainsFunc(needs, func(r *requirement) bool { return blamed[r.key] }) {
				break
			}
			if s.rules.careful && left == 0 {
				break
			}
			if len(s.frames) <= 1 {
				return false, nil
			}
		}
		only := make(set, len(s.keys[at].project.all))
		only.add(int(pin))
		tried = append(tried, incompatibility{at, only})

		s.push()
		ok, err := s.patch(tried)
		if ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// An incompatibility are candidates of a key that were tried.
type incompatibility struct {
	key int32
	set set
}

// tried gives the candidates that are known not to do in this state.
func (s *search) tried() []incompatibility {
	var tried []incompatibility
	for _, k := range s.present {
		if c := s.criteria[k]; !c.incompatible.empty() {
			tried = append(tried, incompatibility{k, c.incompatible})
		}
	}
	return tried
}

// patch takes candidates out of the state. It reports whether all keys have some
// left.
func (s *search) patch(tried []incompatibility) (bool, error) {
	for _, t := range tried {
		old := s.criteria[t.key]
		if old == nil {
			continue
		}
		c := *old
		m := s.match(t.key, &c, t.set)
		ok, err := s.any(t.key, m)
		if err != nil || !ok {
			return false, err
		}
		s.set(t.key, m)
	}
	return true, nil
}

func (s *search) save() {
	s.saved = &saved{
		criteria: slices.Clone(s.criteria),
		present:  slices.Clone(s.present),
		pins:     slices.Clone(s.pins),
		trail:    slices.Clone(s.trail),
		frames:   slices.Clone(s.frames),
	}
}

// restore goes back to what was saved.
func (s *search) restore() {
	v := s.saved
	s.saved = nil
	// Keys that came since have neither criterion nor pin there.
	for len(v.criteria) < len(s.keys) {
		v.criteria = append(v.criteria, nil)
		v.pins = append(v.pins, -1)
	}
	s.criteria, s.present, s.pins, s.trail, s.frames = v.criteria, v.present, v.pins, v.trail, v.frames
}
