package packaging

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ResolveGroups gives the requirements of the named dependency groups (PEP
// 735), in order and with repetitions. The groups are the [dependency-groups]
// table of a pyproject.toml as any TOML or JSON decoder gives it: lists of
// requirement texts and of tables with the single key "include-group".
//
// Names compare normalized. It is an error when two groups have one name, when
// a group is missing or includes itself, and when an item of a group that is
// used is not understood.
func ResolveGroups(groups map[string]any, names []string) ([]Requirement, error) {
	w := groupWalk{groups: map[Name]any{}}
	for _, written := range slices.Sorted(maps.Keys(groups)) {
		n := NormalizeName(written)
		if _, double := w.groups[n]; double {
			return nil, fmt.Errorf("dependency group %q: named twice, in different spellings", written)
		}
		w.groups[n] = groups[written]
	}
	for _, name := range names {
		if err := w.add(NormalizeName(name)); err != nil {
			return nil, err
		}
	}
	return w.found, nil
}

// A groupWalk expands groups in place.
type groupWalk struct {
	groups map[Name]any
	path   []Name // the groups that are being expanded, outermost first
	found  []Requirement
	steps  int
}

// maxGroupSteps is how many includes and requirements there may be when every group
// is expanded as often as it is included.
const maxGroupSteps = 100_000

func (w *groupWalk) add(n Name) error {
	if slices.Contains(w.path, n) {
		return fmt.Errorf("dependency group %q: includes itself: %s", n, chain(append(w.path, n)))
	}
	group, ok := w.groups[n]
	if !ok {
		return fmt.Errorf("dependency group %q: no such group", n)
	}
	items, ok := group.([]any)
	if !ok {
		return fmt.Errorf("dependency group %q: not a list", n)
	}
	w.path = append(w.path, n)
	defer func() { w.path = w.path[:len(w.path)-1] }()
	for i, item := range items {
		if w.steps++; w.steps > maxGroupSteps {
			return fmt.Errorf("dependency group %q: more than %d requirements and includes", n, maxGroupSteps)
		}
		switch item := item.(type) {
		case string:
			q, err := ParseRequirement(item)
			if err != nil {
				return fmt.Errorf("dependency group %q: item %d: %w", n, i+1, err)
			}
			w.found = append(w.found, q)
			continue
		case map[string]any:
			if include, ok := item["include-group"].(string); ok && len(item) == 1 {
				if err := w.add(NormalizeName(include)); err != nil {
					return err
				}
				continue
			}
		}
		return fmt.Errorf("dependency group %q: item %d: neither a requirement nor an include-group", n, i+1)
	}
	return nil
}

func chain(names []Name) string {
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteString(" > ")
		}
		b.WriteString(string(n))
	}
	return b.String()
}
