package packaging

import "slices"

// A span is the versions whose keys are at least lo and below hi. It has a
// version in it when lo < hi; see interval.
type span struct{ lo, hi string }

// spans gives the versions that all clauses hold, as spans from low to high
// with gaps between them. It leaves out ===, which is about texts.
func (s Specifiers) spans() []span {
	held := []span{{lowestKey, beyondKeys}}
	for i := range s.clauses {
		c := &s.clauses[i]
		switch c.Operator {
		case Identical:
		case NotEqual:
			held = intersect(held, []span{{lowestKey, c.lo}, {c.hi, beyondKeys}})
		default:
			held = intersect(held, []span{{c.lo, c.hi}})
		}
	}
	return held
}

func intersect(a, b []span) []span {
	var both []span
	for i, j := 0, 0; i < len(a) && j < len(b); {
		if s := (span{max(a[i].lo, b[j].lo), min(a[i].hi, b[j].hi)}); s.lo < s.hi {
			both = append(both, s)
		}
		if a[i].hi < b[j].hi {
			i++
		} else {
			j++
		}
	}
	return both
}

// complement gives the versions that are in none of the spans.
func complement(spans []span) []span {
	var gaps []span
	lo := lowestKey
	for _, s := range spans {
		if lo < s.lo {
			gaps = append(gaps, span{lo, s.lo})
		}
		lo = s.hi
	}
	if lo < beyondKeys {
		gaps = append(gaps, span{lo, beyondKeys})
	}
	return gaps
}

// IsUnsatisfiable reports whether no version can ever be held by all clauses,
// such as >=2,<1. It is exact: >1.0,<1.0.1.dev0 is satisfiable, by
// 1.0.0.1, and >1.0,<=1.0.post1 is not.
func (s Specifiers) IsUnsatisfiable() bool {
	if len(s.spans()) == 0 {
		return true
	}
	// What is behind === is the only candidate.
	i := slices.IndexFunc(s.clauses, func(c Specifier) bool { return c.Operator == Identical })
	return i >= 0 && !s.MatchesString(s.clauses[i].Version, AllowPrereleases)
}

// IsSubset reports whether t holds every version that s holds. Sets with ===,
// which is about texts, are not compared; ok is false then.
func (s Specifiers) IsSubset(t Specifiers) (subset, ok bool) {
	if s.hasIdentical() || t.hasIdentical() {
		return false, false
	}
	if len(s.clauses) == 0 && len(t.clauses) > 0 {
		return false, true // s alone holds texts that are no versions
	}
	return len(intersect(s.spans(), complement(t.spans()))) == 0, true
}

// IsDisjoint reports whether s and t hold no version in common. Sets with ===
// are not compared; ok is false then.
func (s Specifiers) IsDisjoint(t Specifiers) (disjoint, ok bool) {
	if s.hasIdentical() || t.hasIdentical() {
		return false, false
	}
	return len(intersect(s.spans(), t.spans())) == 0, true
}

func (s Specifiers) hasIdentical() bool {
	return slices.ContainsFunc(s.clauses, func(c Specifier) bool { return c.Operator == Identical })
}
