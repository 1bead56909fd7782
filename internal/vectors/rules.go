package main

import (
	"encoding/json"
	"slices"

	"nestgen/packaging"
)

// The operations on versions, specifiers, requirements and markers.
func init() {
	ops["version"] = version
	ops["version-cmp"] = versionCompare
	ops["version-sort"] = versionSort
	ops["specifier"] = specifier
	ops["spec-contains"] = specContains
	ops["spec-filter"] = specFilter
	ops["spec-relation"] = specRelation
	ops["spec-unsat"] = specUnsatisfiable
	ops["requirement"] = requirement
	ops["marker"] = marker
	ops["marker-eval"] = markerEval
	ops["name"] = projectName
	ops["depgroups"] = dependencyGroups
}

// read decodes a question. A question of the wrong shape is a fault of the
// asker, so it stops the program.
func read[T any](question json.RawMessage) T {
	var q T
	if err := json.Unmarshal(question, &q); err != nil {
		panic(err)
	}
	return q
}

type answerOf map[string]any

func version(question json.RawMessage) any {
	q := read[struct{ S string }](question)
	v, err := packaging.ParseVersion(q.S)
	if err != nil {
		return invalid
	}
	a := answerOf{
		"ok": true, "norm": v.String(), "public": v.Public(), "base": v.Base(), "canon": v.Canonical(),
		"epoch": json.Number(v.Epoch()), "release": numbers(v.Release()),
		"is_pre": v.IsPrerelease(), "is_post": v.IsPostrelease(), "is_dev": v.IsDevrelease(),
	}
	if label, n := v.Pre(); label != "" {
		a["pre"] = []any{label, json.Number(n)}
	}
	if n, ok := v.Post(); ok {
		a["post"] = json.Number(n)
	}
	if n, ok := v.Dev(); ok {
		a["dev"] = json.Number(n)
	}
	if v.IsLocal() {
		a["local"] = v.Local()
	}
	return a
}

// numbers splits a release. The numbers have no upper limit, so they stay text.
func numbers(release string) []json.Number {
	var ns []json.Number
	start := 0
	for i := 0; i <= len(release); i++ {
		if i == len(release) || release[i] == '.' {
			ns = append(ns, json.Number(release[start:i]))
			start = i + 1
		}
	}
	return ns
}

func versionCompare(question json.RawMessage) any {
	q := read[struct{ A, B string }](question)
	a, errA := packaging.ParseVersion(q.A)
	b, errB := packaging.ParseVersion(q.B)
	if errA != nil || errB != nil {
		return invalid
	}
	return answerOf{"ok": true, "cmp": a.Compare(b)}
}

func versionSort(question json.RawMessage) any {
	q := read[struct{ V []string }](question)
	type entry struct {
		text    string
		version packaging.Version
	}
	var entries []entry
	for _, s := range q.V {
		v, err := packaging.ParseVersion(s)
		if err != nil {
			return invalid
		}
		entries = append(entries, entry{s, v})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return a.version.Compare(b.version) })
	order := [][]string{}
	for i, e := range entries {
		if i > 0 && entries[i-1].version.Compare(e.version) == 0 {
			last := len(order) - 1
			order[last] = append(order[last], e.text)
			continue
		}
		order = append(order, []string{e.text})
	}
	return answerOf{"ok": true, "order": order}
}

func specifier(question json.RawMessage) any {
	q := read[struct{ S string }](question)
	s, err := packaging.ParseSpecifiers(q.S)
	if err != nil {
		return invalid
	}
	return answerOf{"ok": true, "clauses": clauses(s), "pre": s.NamesPrerelease()}
}

// clauses gives the clauses sorted.
func clauses(s packaging.Specifiers) []string {
	texts := []string{}
	for _, c := range s.Clauses() {
		texts = append(texts, c.String())
	}
	slices.Sort(texts)
	return texts
}

// choice turns what a question says of pre-releases into a Prereleases: the
// first that is not null counts.
func choice(said ...*bool) packaging.Prereleases {
	for _, b := range said {
		if b != nil && *b {
			return packaging.AllowPrereleases
		}
		if b != nil {
			return packaging.DenyPrereleases
		}
	}
	return packaging.AutoPrereleases
}

func specContains(question json.RawMessage) any {
	q := read[struct {
		Spec, V string
		Pre     *bool
		SpecPre *bool `json:"spec_pre"`
	}](question)
	s, err := packaging.ParseSpecifiers(q.Spec)
	if err != nil {
		return invalid
	}
	return answerOf{"ok": true, "r": s.MatchesString(q.V, choice(q.Pre, q.SpecPre))}
}

func specFilter(question json.RawMessage) any {
	q := read[struct {
		Spec    string
		Vs      []string
		Pre     *bool
		SpecPre *bool `json:"spec_pre"`
	}](question)
	s, err := packaging.ParseSpecifiers(q.Spec)
	if err != nil {
		return invalid
	}
	return answerOf{"ok": true, "r": s.FilterStrings(q.Vs, choice(q.Pre, q.SpecPre))}
}

func specRelation(question json.RawMessage) any {
	q := read[struct{ Rel, A, B string }](question)
	a, errA := packaging.ParseSpecifiers(q.A)
	b, errB := packaging.ParseSpecifiers(q.B)
	if errA != nil || errB != nil {
		return invalid
	}
	var r, ok bool
	switch q.Rel {
	case "is_subset":
		r, ok = a.IsSubset(b)
	case "is_superset":
		r, ok = b.IsSubset(a)
	case "is_disjoint":
		r, ok = a.IsDisjoint(b)
	}
	if !ok {
		return invalid
	}
	return answerOf{"ok": true, "r": r}
}

func specUnsatisfiable(question json.RawMessage) any {
	q := read[struct{ Spec string }](question)
	s, err := packaging.ParseSpecifiers(q.Spec)
	if err != nil {
		return invalid
	}
	return answerOf{"ok": true, "r": s.IsUnsatisfiable()}
}

func requirement(question json.RawMessage) any {
	q := read[struct{ S string }](question)
	r, err := packaging.ParseRequirement(q.S)
	if err != nil {
		return invalid
	}
	a := answerOf{"ok": true, "name": r.Name, "clauses": clauses(r.Specifiers)}
	extras := slices.Clone(r.Extras)
	slices.Sort(extras)
	a["extras"] = slices.Compact(extras)
	if r.URL != "" {
		a["url"] = r.URL
	}
	if r.Marker != nil {
		a["marker"] = r.Marker.String()
	}
	return a
}

func marker(question json.RawMessage) any {
	q := read[struct{ S string }](question)
	m, err := packaging.ParseMarker(q.S)
	if err != nil {
		return invalid
	}
	return answerOf{"ok": true, "norm": m.String()}
}

// A setting is the value of a variable of a marker: text, or a set of texts.
type setting struct {
	text string
	set  []string // not nil for a set
}

func (s *setting) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, &s.text)
	}
	var set struct {
		Set []string `json:"$set"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return err
	}
	s.set = append([]string{}, set.Set...)
	return nil
}

func markerEval(question json.RawMessage) any {
	q := read[struct {
		Marker  string
		Env     map[string]setting
		Context string
	}](question)
	m, err := packaging.ParseMarker(q.Marker)
	if err != nil {
		return invalid
	}
	env := environment(q.Env)
	// Which variables there are besides those of the machine depends on where
	// the marker was read: metadata has extra, a lock file has the two lists.
	switch q.Context {
	case "lock_file":
		env.Extras = append([]string{}, env.Extras...)
		env.DependencyGroups = append([]string{}, env.DependencyGroups...)
		fallthrough
	case "requirement":
		_, given := q.Env["extra"]
		env.NoExtra = !given
	}
	r, err := m.Eval(&env)
	if err != nil {
		return invalid
	}
	return answerOf{"ok": true, "r": r}
}

func environment(settings map[string]setting) packaging.Environment {
	env := packaging.Environment{Other: map[string]string{}}
	for name, s := range settings {
		switch name {
		case "os_name":
			env.OSName = s.text
		case "sys_platform":
			env.SysPlatform = s.text
		case "platform_machine":
			env.PlatformMachine = s.text
		case "platform_python_implementation":
			env.PlatformPythonImplementation = s.text
		case "platform_release":
			env.PlatformRelease = s.text
		case "platform_system":
			env.PlatformSystem = s.text
		case "platform_version":
			env.PlatformVersion = s.text
		case "python_version":
			env.PythonVersion = s.text
		case "python_full_version":
			env.PythonFullVersion = s.text
		case "implementation_name":
			env.ImplementationName = s.text
		case "implementation_version":
			env.ImplementationVersion = s.text
		case "extra":
			env.Extra = s.text
		case "extras":
			env.Extras = s.set
		case "dependency_groups":
			env.DependencyGroups = s.set
		default:
			env.Other[name] = s.text
		}
	}
	return env
}

func projectName(question json.RawMessage) any {
	q := read[struct{ S string }](question)
	return answerOf{"ok": true, "norm": packaging.NormalizeName(q.S), "valid": packaging.ValidName(q.S)}
}

func dependencyGroups(question json.RawMessage) any {
	q := read[struct {
		Groups map[string]any
		Names  []string
	}](question)
	requirements, err := packaging.ResolveGroups(q.Groups, q.Names)
	if err != nil {
		return invalid
	}
	texts := []string{}
	for _, r := range requirements {
		texts = append(texts, r.String())
	}
	return answerOf{"ok": true, "r": texts}
}
