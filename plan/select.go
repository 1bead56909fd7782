package plan

import (
	"slices"
	"strings"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/policy"
)

// A List is what one list says for its own lines, where several are read apart.
type List struct {
	// Constraints are its lines that narrow those for the project, and Options
	// its settings. Keep is how many versions a line that is not pinned keeps.
	Constraints []allowlist.Want
	Options     allowlist.Options
	Keep        Keep
}

// of gives the input as the list of a line has it.
func (in *Input) of(want allowlist.Want) *Input {
	l, apart := in.Lists[want.List]
	if !apart {
		return in
	}
	own := *in
	own.Constraints, own.Options, own.Keep = l.Constraints, l.Options, l.Keep
	return &own
}

// A Selection is what there is to choose from for an index that lists a part of what
// the site has.
type Selection struct {
	Name packaging.Name

	// Files are what the site lists of the project, and Wants the lines of the
	// index for it.
	Files []catalog.File
	Wants []allowlist.Want
	List
	Policy *policy.Policy

	// Only is what the index wants at all; nil for everything. What its lines need of
	// the project is in Needs.
	Only  *Filter
	Needs []Need
}

func (s *Selection) input() *Input {
	return &Input{
		Name: s.Name, Wants: s.Wants, Constraints: s.Constraints, Options: s.Options, Keep: s.Keep, Policy: s.Policy, Filter: s.Only, Needs: s.Needs,
	}
}

// unwanted notes what Only is against.
func (s *Selection) unwanted(in *Input, all []candidate) {
	filters(in, all)
	versionFilters(in, all)
}

// Select gives the files that the lines choose, as [Decide] chooses from what an
// upstream offers. What is yanked stays beside the versions that are chosen without
// it, as in the index of the site.
func Select(s Selection) []catalog.File {
	in, all := s.input(), s.candidates()
	s.unwanted(in, all)
	all = slices.DeleteFunc(all, func(c candidate) bool { return c.against != nil })
	var p Project // what it would tell, Decide tells
	chosen := map[string]bool{}
	for _, want := range s.Wants {
		switch want.Kind {
		case allowlist.FromIndex:
			answer := p.answer
			if want.Locked() {
				answer = p.answerLock
			}
			for _, c := range answer(in, want, all, nil) {
				chosen[c.Offer.Filename] = true
			}
		case allowlist.Archive:
			if o, _, err := Direct(want); err == nil {
				chosen[o.Filename] = true
			}
		}
	}
	return s.of(func(filename string) bool { return chosen[filename] })
}

// Filter gives the files that the index wants, whatever their source, and whether or
// not a line chooses them.
func (s Selection) Filter() []catalog.File {
	in, all := s.input(), s.candidates()
	s.unwanted(in, all)
	out := map[string]bool{}
	for i := range all {
		out[all[i].Offer.Filename] = all[i].against != nil
	}
	return s.of(func(filename string) bool { return !out[filename] })
}

// of gives the files whose names fit.
func (s Selection) of(fits func(filename string) bool) (files []catalog.File) {
	for _, f := range s.Files {
		if fits(f.Filename) {
			files = append(files, f)
		}
	}
	return files
}

// candidates gives the files as if an upstream offered them, newest version first.
func (s Selection) candidates() (all []candidate) {
	for i := range s.Files {
		f := &s.Files[i]
		name, err := packaging.ParseFilename(f.Filename, s.Name)
		if err != nil {
			continue
		}
		c := candidate{
			Choice: Choice{Source: f.Source, Filename: name, Offer: catalog.Offer{
				Filename: f.Filename, Hashes: map[string]string{"sha256": f.SHA256.String()}, Yanked: f.Yanked,
				Size: f.Size, RequiresPython: f.RequiresPython, Uploaded: f.Uploaded,
			}},
			key: packaging.VersionKeyOf(f.Version), yanked: f.Yanked, listed: true,
		}
		c.version, _ = packaging.ParseVersion(f.Version)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b candidate) int {
		if c := strings.Compare(string(b.key), string(a.key)); c != 0 {
			return c
		}
		return strings.Compare(a.Offer.Filename, b.Offer.Filename)
	})
	return all
}
