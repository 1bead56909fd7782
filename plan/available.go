package plan

import (
	"slices"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/packaging"
)

// An Available is a file that an installer could be given: the index has it and
// keeps it, or may take it from its upstream.
type Available struct {
	Choice

	// Yanked is what the index says of it, or would say.
	Yanked catalog.Yank

	// File is what the index has of it, and nil if that is nothing. One that was
	// announced is not here.
	File *catalog.File
}

// Choices gives what there is of a project that a build could list and that nothing
// is against, newest version first, whether or not a line asks for it.
func Choices(in Input) []Available {
	if in.willBeQuarantined() {
		return nil // its page has no file
	}
	var all []Available
	here := map[string]catalog.File{}
	if in.Current != nil {
		for _, f := range in.Current.Files {
			if f.Source == catalog.Local {
				offer := catalog.Offer{Filename: f.Filename, Hashes: map[string]string{"sha256": f.SHA256.String()}}
				if name, err := packaging.ParseFilename(f.Filename, in.Name); err == nil && !in.Leaving[f.Filename] && in.hashed(offer) {
					if _, blocked := in.forbidden(f.Filename, f.Version); blocked {
						continue
					}
					all = append(all, Available{Choice{Source: catalog.Local, Filename: name}, f.Yanked, &f})
				}
				continue
			}
			here[f.Filename] = f
		}
	}
	if in.Filter != nil && in.Filter.NewerThan != 0 {
		// As how many versions are kept, that is about what lines ask for, not
		// about what something else needs.
		f := *in.Filter
		f.NewerThan, in.Filter = 0, &f
	}
	var p Project // what it would tell, Decide tells
	free, _ := p.leaveOut(&in, in.candidates(here))
	for i := range free {
		c := &free[i]
		if !in.fits(c) || c.local || !in.hashed(c.Offer) || !c.listed && !p.vet(&in, c.Choice) {
			continue
		}
		a := Available{c.Choice, c.yanked, nil}
		if f, ok := here[c.Offer.Filename]; ok {
			a.File = &f
		}
		all = append(all, a)
	}
	for _, want := range in.Wants {
		if want.Kind != allowlist.Archive {
			continue
		}
		in := in.of(want)
		for _, c := range p.direct(in, want) {
			offered := slices.ContainsFunc(free, func(f candidate) bool { return f.Offer.Filename == c.Offer.Filename })
			if !offered && p.isHeld(in, &c, Reason(want)) {
				continue
			}
			a := Available{c.Choice, catalog.Yank{}, nil}
			if f, ok := here[c.Offer.Filename]; ok {
				a.File = &f
			}
			all = append(all, a)
		}
	}
	slices.SortStableFunc(all, func(a, b Available) int {
		return packaging.CompareVersionStrings(b.Filename.Version, a.Filename.Version)
	})
	return all
}

// willBeQuarantined reports whether the project is to be quarantined when it has been
// decided about.
func (in *Input) willBeQuarantined() bool {
	var source catalog.Status
	switch {
	case in.Listing != nil:
		source = in.Listing.Status
	case in.Current != nil && in.Source != "":
		source = in.Current.Status
	}
	return in.Policy.Status(in.Name, source).State == catalog.Quarantined
}

// Hashed reports whether a file has a hash that a line of the input lists, or some
// line of its project lists none. A file of which no hash is known that could tell
// has one.
func Hashed(in Input, o catalog.Offer) bool { return in.hashed(o) }

func (in *Input) hashed(o catalog.Offer) bool {
	lines := 0
	for _, want := range in.Wants {
		if want.Kind != allowlist.FromIndex {
			continue
		}
		lines++
		if right, known := in.of(want).right(want, o); right || !known {
			return true
		}
	}
	return lines == 0
}
