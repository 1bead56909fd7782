package plan

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"nestgen/allowlist"
	"nestgen/packaging"
	"nestgen/target"
)

// A Filter says which files of upstreams are wanted here, by what they are. The
// zero Filter wants all. What people drop, and what the allowlist names by its
// address, is not filtered.
type Filter struct {
	// Python is the Pythons that files are kept for.
	Python Pythons

	// Implementations, ABIs and Platforms are what wheels, and installers of older
	// kinds, may be built for. None stands for all of them.
	Implementations []Implementation
	ABIs            []ABI
	Platforms       []Platform

	// UsableBy are machines of which one must be able to use a file. None stands
	// for no such demand.
	UsableBy []*target.Target

	// Formats are the kinds of files to keep of each version.
	Formats Formats

	// Prereleases says what becomes of pre-releases that no line names.
	Prereleases packaging.Prereleases

	// NewerThan is how old the newest file of a version may be; 0 for any age.
	NewerThan time.Duration

	// Now is the time of the run, in microseconds since 1970 UTC.
	Now int64

	// MaxFile and MaxRelease are how large a file, and all files of a version
	// together, may be; 0 for any size. MaxNew is that for a file which the index
	// does not have.
	MaxFile, MaxRelease, MaxNew int64

	// Rules gives each key as it is written in the settings, with its table.
	Rules map[string]string
}

// The keys of [Filter.Rules].
const (
	RulePython          = "python"
	RuleImplementations = "implementations"
	RuleABIs            = "abis"
	RulePlatforms       = "platforms"
	RuleUsableBy        = "usable_by"
	RuleFormats         = "formats"
	RulePrereleases     = "prereleases"
	RuleNewerThan       = "newer_than"
	RuleMaxFile         = "max_file"
	RuleMaxRelease      = "max_release"
	RuleMaxNew          = "site max_file"
)

// A filtering is one look through what is on offer of a project.
type filtering struct {
	*Filter
	in       *Input
	all      []candidate
	requires map[string]requirement // by what the upstream says
	said     map[filtered]*Objection
}

// A filtered names an objection: its key, and what of a file it is about. A
// project has the same few over and over.
type filtered struct {
	key           string
	python, abi   string
	platform, req string
}

// A requirement is a Requires-Python.
type requirement struct {
	specifiers packaging.Specifiers
	admitted   minors // of those that the filter has
}

// filters objects to single files that are not wanted, by what they are.
func filters(in *Input, all []candidate) {
	if in.Filter == nil {
		return
	}
	f := filtering{Filter: in.Filter, in: in, all: all}
	for i := range all {
		if c := &all[i]; c.against == nil {
			f.file(c)
		}
	}
}

// versionFilters objects to what is not wanted of a version beside its other files,
// and to whole versions. What is held back does not count as one of them: an sdist
// does not go for a wheel that may never come.
func versionFilters(in *Input, all []candidate) {
	if in.Filter == nil {
		return
	}
	f := filtering{Filter: in.Filter, in: in, all: all}
	if f.Formats.levels != nil {
		f.versions(f.formats)
	}
	if f.MaxRelease > 0 {
		f.versions(f.release)
	}
	if f.NewerThan > 0 {
		f.ages()
	}
}

// object notes what is against a file. The reason is made once for all files of
// which the key has the same to say.
func (f *filtering) object(c *candidate, about filtered, reason func() string) {
	o := f.said[about]
	if o == nil {
		o = &Objection{Effect: Filtered, Rule: f.Rules[about.key], Reason: reason()}
		if f.said == nil {
			f.said = map[filtered]*Objection{}
		}
		f.said[about] = o
	}
	c.against = o
}

// file looks at a file by itself.
func (f *filtering) file(c *candidate) {
	name := &c.Filename
	tags := filtered{python: name.Python, abi: name.ABI}
	if !f.Python.all() && f.forPythons(c, tags) {
		return
	}
	if name.Kind == packaging.Wheel {
		if len(f.Implementations) > 0 && !anyTag(name.Python, f.implemented) {
			f.object(c, filtered{key: RuleImplementations, python: name.Python}, func() string {
				return "its tags are for " + name.Python
			})
			return
		}
		if len(f.ABIs) > 0 && !anyTag(name.ABI, f.hasABI) {
			f.object(c, filtered{key: RuleABIs, abi: name.ABI}, func() string { return "its ABI is " + name.ABI })
			return
		}
	}
	if len(f.Platforms) > 0 && !f.onPlatforms(name) {
		f.object(c, filtered{key: RulePlatforms, platform: name.Platform}, func() string {
			if name.Platform == "" {
				return "it is " + kindText(name.Kind)
			}
			return "it is for " + name.Platform
		})
		return
	}
	if len(f.UsableBy) > 0 && f.unusable(c, tags) {
		return
	}
	if f.Prereleases == packaging.DenyPrereleases && c.version.IsPrerelease() && !f.named(c) {
		f.object(c, filtered{key: RulePrereleases, req: name.Version}, func() string {
			return name.Version + " is a pre-release, which no line names"
		})
		return
	}
	switch size := c.Offer.Size; {
	case f.MaxFile > 0 && size > f.MaxFile:
		c.object(Objection{Effect: Filtered, Rule: f.Rules[RuleMaxFile], Reason: "it has " + sizeText(size)})
	case f.MaxNew > 0 && size > f.MaxNew && !c.listed:
		c.object(Objection{Effect: Filtered, Rule: f.Rules[RuleMaxNew], Reason: "it has " + sizeText(size)})
	}
}

// forPythons objects to a file that no Python which is wanted can use.
func (f *filtering) forPythons(c *candidate, tags filtered) bool {
	built := everyMinor
	if c.Filename.Kind == packaging.Wheel {
		built = wheelMinors(c.Filename.Python, c.Filename.ABI)
	} else if c.Filename.Python != "" {
		built = oldMinor(c.Filename.Python)
	}
	wanted := f.Python.minors
	admitted := f.required(c.Offer.RequiresPython).admitted
	if built&admitted&wanted != 0 {
		return false
	}
	tags.key = RulePython
	name := &c.Filename
	switch {
	case built&wanted == 0:
		f.object(c, tags, func() string { return "it is for " + pythonText(name) })
	case admitted&wanted == 0:
		f.object(c, filtered{key: RulePython, req: c.Offer.RequiresPython}, func() string {
			return fmt.Sprintf("its Requires-Python is %q", c.Offer.RequiresPython)
		})
	default:
		tags.req = c.Offer.RequiresPython
		f.object(c, tags, func() string {
			return fmt.Sprintf("it is for %s, and its Requires-Python is %q", pythonText(name), c.Offer.RequiresPython)
		})
	}
	return true
}

// unusable objects to a file that no machine can use which is asked for.
func (f *filtering) unusable(c *candidate, tags filtered) bool {
	r := f.required(c.Offer.RequiresPython)
	built := false
	for _, machine := range f.UsableBy {
		if machine.Takes(c.Filename) {
			if machine.SupportsPython(r.specifiers) {
				return false
			}
			built = true
		}
	}
	tags.key, tags.platform = RuleUsableBy, c.Filename.Platform
	if built {
		tags = filtered{key: RuleUsableBy, req: c.Offer.RequiresPython}
		f.object(c, tags, func() string { return fmt.Sprintf("its Requires-Python is %q", c.Offer.RequiresPython) })
	} else {
		f.object(c, tags, func() string { return "it is for " + builtFor(&c.Filename) })
	}
	return true
}

// required reads a Requires-Python. Pip takes one that cannot be read for none.
func (f *filtering) required(text string) requirement {
	if text == "" {
		return requirement{admitted: everyMinor}
	}
	r, ok := f.requires[text]
	if !ok {
		r.admitted = everyMinor
		if spec, err := packaging.ParseSpecifiers(text); err == nil {
			r.specifiers = spec
			if !f.Python.all() {
				r.admitted = f.Python.admittedBy(spec)
			}
		}
		if f.requires == nil {
			f.requires = map[string]requirement{}
		}
		f.requires[text] = r
	}
	return r
}

// named reports whether a line asks for pre-releases and fits this one.
func (f *filtering) named(c *candidate) bool {
	if always, _ := f.in.Options.PreReleases(f.in.Name); always {
		return true
	}
	return f.asked(c, func(in *Input, spec packaging.Specifiers) bool {
		always, _ := in.Options.PreReleases(in.Name)
		return always || spec.NamesPrerelease()
	})
}

// versions calls look with the files of each version.
func (f *filtering) versions(look func(files []candidate)) {
	for from := 0; from < len(f.all); {
		to := from + 1
		for to < len(f.all) && f.all[to].key == f.all[from].key {
			to++
		}
		look(f.all[from:to])
		from = to
	}
}

// formats objects to the kinds of a version's files that are not wanted. Where
// machines are asked for, each of them takes what there is for it; what one of them
// takes stays.
func (f *filtering) formats(files []candidate) {
	var wanted kindSet
	if len(f.UsableBy) == 0 {
		wanted = f.Formats.level(files, func(*candidate) bool { return true })
	}
	for _, machine := range f.UsableBy {
		wanted |= f.Formats.level(files, func(c *candidate) bool {
			return machine.Takes(c.Filename) && machine.SupportsPython(f.required(c.Offer.RequiresPython).specifiers)
		})
	}
	for i := range files {
		c := &files[i]
		kind := c.Filename.Kind
		if c.against != nil || wanted.has(kind) {
			continue
		}
		about := filtered{key: RuleFormats, python: kindText(kind)}
		if !f.Formats.names(kind) {
			f.object(c, about, func() string { return "it is " + kindText(kind) })
			continue
		}
		about.req = c.Filename.Version
		f.object(c, about, func() string {
			return fmt.Sprintf("it is %s, and %s has %s", kindText(kind), c.Filename.Version, Formats{levels: []kindSet{wanted}})
		})
	}
}

// release objects to a version whose files are too large together.
func (f *filtering) release(files []candidate) {
	var sum int64
	for i := range files {
		if files[i].against == nil {
			sum += max(files[i].Offer.Size, 0)
		}
	}
	if sum <= f.MaxRelease {
		return
	}
	for i := range files {
		if c := &files[i]; c.against == nil {
			f.object(c, filtered{key: RuleMaxRelease, req: c.Filename.Version}, func() string {
				return fmt.Sprintf("the files of %s have %s together", c.Filename.Version, sizeText(sum))
			})
		}
	}
}

// ages objects to versions of which nothing is young. The newest one stays, of the
// final ones if there are any; and so does what a line pins or something needs, and
// what nobody knows the age of.
func (f *filtering) ages() {
	newest := packaging.VersionKey("")
	for _, final := range []bool{true, false} {
		for i := range f.all {
			if c := &f.all[i]; newest == "" && c.against == nil && !(final && c.version.IsPrerelease()) {
				newest = c.key
			}
		}
	}
	oldest := f.Now - f.NewerThan.Microseconds()
	f.versions(func(files []candidate) {
		var last int64
		for i := range files {
			if files[i].against != nil {
				continue
			}
			if files[i].Offer.Uploaded == 0 {
				return
			}
			last = max(last, files[i].Offer.Uploaded)
		}
		if last >= oldest || files[0].key == newest || f.pinned(&files[0]) {
			return
		}
		for i := range files {
			if c := &files[i]; c.against == nil {
				f.object(c, filtered{key: RuleNewerThan, req: c.Filename.Version}, func() string {
					return fmt.Sprintf("the newest file of %s is of %s", c.Filename.Version, time.UnixMicro(last).UTC().Format(time.DateOnly))
				})
			}
		}
	})
}

// pinned reports whether a line names just this version, or something needs it.
func (f *filtering) pinned(c *candidate) bool {
	if slices.ContainsFunc(f.in.Needs, func(n Need) bool { return packaging.VersionKeyOf(n.Version) == c.key }) {
		return true
	}
	return f.asked(c, func(_ *Input, spec packaging.Specifiers) bool { return spec.IsExact() })
}

// asked reports whether a line fits a file of which something holds, as its list has
// it.
func (f *filtering) asked(c *candidate, holds func(in *Input, spec packaging.Specifiers) bool) bool {
	return slices.ContainsFunc(f.in.Wants, func(w allowlist.Want) bool {
		if w.Kind != allowlist.FromIndex {
			return false
		}
		in := f.in.of(w)
		spec := in.specifiers(w)
		return holds(in, spec) && spec.MatchesString(c.Filename.Version, packaging.AllowPrereleases)
	})
}

// pythonText says which Pythons a file is built for, as its name has it.
func pythonText(f *packaging.Filename) string {
	if f.Kind == packaging.Wheel {
		return f.Python + "-" + f.ABI
	}
	return "Python " + f.Python
}

// builtFor says what a file is built for, as its name has it.
func builtFor(f *packaging.Filename) string {
	switch {
	case f.Kind == packaging.Wheel:
		return pythonText(f) + "-" + f.Platform
	case f.Python != "" && f.Platform != "":
		return pythonText(f) + " on " + f.Platform
	case f.Python != "":
		return pythonText(f)
	case f.Platform != "":
		return f.Platform
	}
	return "another system"
}

// sizeText writes a size for people.
func sizeText(n int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.bytes {
			return strconv.FormatFloat(float64(n)/float64(u.bytes), 'f', 1, 64) + " " + u.name
		}
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
