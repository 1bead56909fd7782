package nestgen

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/internal/stricttoml"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/plan"
)

// rootIndex is what the site's own index is called, which has all that the site
// lists.
const rootIndex = "/"

// resolveIndexes checks the further indexes, and puts each after those that it
// inherits.
func (c *Config) resolveIndexes(abs func(*string)) (faults []error) {
	at := map[string]int{rootIndex: -1}
	prefixes := map[string]string{}
	for i := range c.Indexes {
		x := &c.Indexes[i]
		fault := func(format string, args ...any) { faults = append(faults, c.indexFault(x, format, args...)) }
		if !layout.ValidPrefix(x.Name) || strings.Contains(x.Name, "/") {
			fault("want a name of small letters, digits, \"-\" and \"_\" that is none of the site's own folders")
			continue
		}
		if _, taken := at[x.Name]; taken {
			fault("the name is taken; give each index one of its own")
			continue
		}
		at[x.Name] = i
		x.Prefix = strings.Trim(cmp.Or(x.Prefix, x.Name), "/")
		switch {
		case !layout.ValidPrefix(x.Prefix):
			fault("prefix %q: want one or two folders of small letters, digits, \"-\" and \"_\", none of which is one of the site's own", x.Prefix)
		case strings.HasPrefix(x.Prefix+"/", layout.Snapshots+"/"):
			fault("prefix %q: the folder %s is kept for pages of the site itself", x.Prefix, layout.Snapshots)
		case prefixes[x.Prefix] != "":
			fault("prefix %q: it is that of the index %q", x.Prefix, prefixes[x.Prefix])
		}
		prefixes[x.Prefix] = x.Name
		for j := range x.Allowlist {
			abs(&x.Allowlist[j])
		}
	}
	if len(faults) > 0 {
		return faults
	}
	return c.orderIndexes(at)
}

// indexFault is what is wrong with the settings of an index.
func (c *Config) indexFault(x *Index, format string, args ...any) error {
	return &stricttoml.Error{File: c.File, Text: fmt.Sprintf("[[index]] %q: ", x.Name) + fmt.Sprintf(format, args...)}
}

// orderIndexes puts each index after those that it inherits. Of names that stand for
// nothing, and of rings, it tells.
func (c *Config) orderIndexes(at map[string]int) (faults []error) {
	var order []Index
	const begun, done = 1, 2
	state := make([]int, len(c.Indexes))
	var visit func(i int)
	visit = func(i int) {
		x := &c.Indexes[i]
		fault := func(format string, args ...any) { faults = append(faults, c.indexFault(x, format, args...)) }
		state[i] = begun
		for _, from := range x.Inherits {
			j, known := at[from]
			switch {
			case !known:
				fault("inherits %q: there is no such index; the site's own is \"/\"", from)
			case j < 0 || state[j] == done:
			case state[j] == begun:
				fault("inherits %q, which inherits it in turn", from)
			default:
				visit(j)
			}
		}
		state[i] = done
		order = append(order, *x)
	}
	for i := range c.Indexes {
		if state[i] == 0 {
			visit(i)
		}
	}
	c.Indexes = order
	return faults
}

// index gives the settings of an index.
func (c *Config) index(name string) (Index, bool) {
	i := slices.IndexFunc(c.Indexes, func(x Index) bool { return x.Name == name })
	if i < 0 {
		return Index{}, false
	}
	return c.Indexes[i], true
}

// An ownList is the allowlist of an index.
type ownList struct {
	wants       map[packaging.Name][]allowlist.Want
	constraints map[packaging.Name][]allowlist.Want
	options     allowlist.Options
	keep        plan.Keep
	failed      bool   // it could not be read whole
	digest      string // of what it says

	// needs are the versions that were found to be needed by its lines, by project.
	needs map[packaging.Name]map[string]bool
}

// need notes what was found to be needed by a line.
func (l *ownList) need(pins []pin) {
	if l == nil {
		return
	}
	for _, p := range pins {
		l.noteNeed(p.name, p.version)
	}
}

func (l *ownList) noteNeed(n packaging.Name, version string) {
	if l.needs[n] == nil {
		l.needs[n] = map[string]bool{}
	}
	l.needs[n][version] = true
}

// selection gives what there is to choose from for an index: files of a project, with
// what its own list, if it has one, and its filter say.
func (l *ownList) selection(s *site, n packaging.Name, files []catalog.File, only *plan.Filter) plan.Selection {
	some := plan.Selection{Name: n, Files: files, Policy: s.intent.policy, Only: only}
	if l != nil {
		some.Wants, some.List = l.wants[n], l.of(s, n)
		for version := range l.needs[n] {
			some.Needs = append(some.Needs, plan.Need{Version: version})
		}
	}
	return some
}

// wanted gives what the list chooses of a project of which the site lists some files:
// by its lines, of what the filter of the index leaves, and because these need it.
func (l *ownList) wanted(s *site, n packaging.Name, files []catalog.File, only *plan.Filter) []catalog.File {
	if len(l.wants[n])+len(l.needs[n]) == 0 {
		return nil
	}
	chosen := plan.Select(l.selection(s, n, files, only))
	for _, f := range files {
		if l.needs[n][f.Version] && !slices.Contains(chosen, f) {
			chosen = append(chosen, f)
		}
	}
	return chosen
}

// metaNeeds begins the key under which the catalog keeps what the lines of an index
// need, in JSON.
const metaNeeds = "needs "

// settleNeeds has what the lines of indexes need be known also if it was not looked for
// in this run, or not for all of them, and remembers it.
func (s *site) settleNeeds(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(s.intent.lists)) {
		own := s.intent.lists[name]
		known, err := s.catalog.Meta(ctx, metaNeeds+name)
		if err != nil {
			return storage(err)
		}
		now := ""
		if s.Dependencies != NoDependencies {
			if known != "" && (!s.intent.completed || s.intent.unfinished) {
				var before map[packaging.Name]map[string]bool
				if err := json.Unmarshal([]byte(known), &before); err != nil {
					return fmt.Errorf("catalog: what %s needs: %w", name, err)
				}
				for n, versions := range before {
					for v := range versions {
						own.noteNeed(n, v)
					}
				}
			}
			text, err := json.Marshal(own.needs)
			if err != nil {
				return fmt.Errorf("allowlist of %s: %w", name, err)
			}
			now = string(text)
		}
		own.digest += fmt.Sprintf(" %x", sha256.Sum256([]byte(now)))
		if now == known {
			continue
		}
		err = s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return tx.SetMeta(metaNeeds+name, now) })
		if err != nil {
			return storage(err)
		}
	}
	return nil
}

// want takes a line in, unless it is one of the site's own list.
func (l *ownList) want(n packaging.Name, w allowlist.Want) {
	if l != nil {
		l.wants[n] = append(l.wants[n], w)
	}
}

// readOwnLists reads the allowlists of indexes, and gives their lines: they count
// for the site as well. What makes the site's own list faulty makes these.
func (s *site) readOwnLists() (wants []allowlist.Want, err error) {
	s.intent.lists = map[string]*ownList{}
	for _, x := range s.Indexes {
		if len(x.Allowlist) == 0 {
			continue
		}
		list := allowlist.Read(allowlist.Sources{}, x.Allowlist...)
		s.listProblems(list)
		own := &ownList{
			wants: map[packaging.Name][]allowlist.Want{}, constraints: map[packaging.Name][]allowlist.Want{},
			options: list.Options, keep: cmp.Or(x.Versions, s.Versions), failed: list.Failed(), needs: map[packaging.Name]map[string]bool{},
		}
		s.intent.faulty = s.intent.faulty || list.Failed()
		s.intent.partial = s.intent.partial || list.Partial()
		for _, w := range list.Constraints {
			own.constraints[w.Project] = append(own.constraints[w.Project], w)
		}
		for _, w := range list.Wants {
			w.List = x.Name
			wants = append(wants, w)
		}
		said, err := json.Marshal([]any{list.Wants, list.Constraints, list.Options, own.keep, own.failed})
		if err != nil {
			return nil, fmt.Errorf("allowlist of %s: %w", x.Name, err)
		}
		own.digest = fmt.Sprintf("%x", sha256.Sum256(said))
		s.intent.lists[x.Name] = own
	}
	return wants, nil
}

// listsOf gives what the lists of indexes say for their lines about a project.
func (s *site) listsOf(n packaging.Name) map[string]plan.List {
	var all map[string]plan.List
	for name, own := range s.intent.lists {
		if len(own.wants[n]) == 0 {
			continue
		}
		if all == nil {
			all = map[string]plan.List{}
		}
		all[name] = own.of(s, n)
	}
	return all
}

// of gives what the list says for its lines about a project. The exception for a
// project is for all lines about it.
func (l *ownList) of(s *site, n packaging.Name) plan.List {
	keep := l.keep
	if p, ok := s.intent.projects[n]; ok && p.Versions != 0 {
		keep = p.Versions
	}
	return plan.List{Constraints: l.constraints[n], Options: l.options, Keep: keep}
}
