package access

import (
	"fmt"
	"slices"
	"strings"

	"nestgen/packaging"
)

// A Scope is the set of projects that somebody may upload to. The zero Scope is
// empty. It is made by [ParseScope].
type Scope struct {
	patterns []string // sorted, normalized: "foo", "acme-*", "*"
}

// ParseScope reads patterns: the name of a project in any spelling, the
// beginning of names followed by a star ("acme-*", which is not acme itself), or
// a star alone for every project. No pattern at all is an error, because a list
// that was forgotten is not meant to be empty, and even less to be everything.
func ParseScope(patterns []string) (Scope, error) {
	var s Scope
	for _, p := range patterns {
		prefix, isPrefix := strings.CutSuffix(p, "*")
		switch {
		case p == "*":
			s.patterns = append(s.patterns, p)
		case isPrefix && packaging.ValidName(prefix+"x"): // it may end with a dash
			n := packaging.NormalizeName(prefix + "x")
			s.patterns = append(s.patterns, string(n[:len(n)-1])+"*")
		case isPrefix:
			return Scope{}, fmt.Errorf("%q is not the beginning of a project name and a star", p)
		default:
			n, err := packaging.ParseName(p)
			if err != nil {
				return Scope{}, err
			}
			s.patterns = append(s.patterns, string(n))
		}
	}
	if len(s.patterns) == 0 {
		return Scope{}, fmt.Errorf("no projects: name them, or give %q for all", "*")
	}
	slices.Sort(s.patterns)
	s.patterns = slices.Compact(s.patterns)
	return s, nil
}

// Covers reports whether a project is in the scope.
func (s Scope) Covers(n packaging.Name) bool {
	return n != "" && slices.ContainsFunc(s.patterns, func(p string) bool {
		prefix, isPrefix := strings.CutSuffix(p, "*")
		return isPrefix && strings.HasPrefix(string(n), prefix) || string(n) == p
	})
}

// Patterns gives the patterns, normalized and sorted.
func (s Scope) Patterns() []string { return slices.Clone(s.patterns) }

// String gives the patterns with commas between them.
func (s Scope) String() string { return strings.Join(s.patterns, ", ") }

// join gives what is in one of two scopes.
func (s Scope) join(t Scope) Scope {
	all := slices.Concat(s.patterns, t.patterns)
	slices.Sort(all)
	return Scope{slices.Compact(all)}
}
