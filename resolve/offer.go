package resolve

import (
	"nestgen/packaging"
	"nestgen/target"
)

// A File is a distribution as the page of its project lists it.
type File struct {
	packaging.Filename

	// As is the file name as it is listed.
	As string

	// RequiresPython is what the page says of it; empty if nothing.
	RequiresPython string

	Yanked bool
}

// Offer gives the versions of a project that a machine can install, each with its
// best file as pip ranks them: one that is not yanked, then by tags, wheels before
// sdists, then the highest build. A Requires-Python that is no specifier is taken
// as none, and files whose version is none are left out, as by pip.
func Offer(t *target.Target, files []File) []Candidate {
	type best struct {
		place int // in candidates
		file  File
	}
	var candidates []Candidate
	byVersion := map[string]best{}
	for _, f := range files {
		if f.LegacyVersion || !t.Takes(f.Filename) {
			continue
		}
		if _, ok := t.Rank(f.Filename); !ok {
			continue // for other installers than pip
		}
		v, err := packaging.ParseVersion(f.Version)
		if err != nil {
			continue
		}
		if s, err := packaging.ParseSpecifiers(f.RequiresPython); err == nil && !t.SupportsPython(s) {
			continue
		}
		c := Candidate{Version: v, Filename: f.As, Yanked: f.Yanked}
		text := v.Canonical()
		old, ok := byVersion[text]
		switch {
		case !ok:
			byVersion[text] = best{len(candidates), f}
			candidates = append(candidates, c)
		case old.file.Yanked && !f.Yanked, old.file.Yanked == f.Yanked && t.Compare(f.Filename, old.file.Filename) < 0:
			byVersion[text] = best{old.place, f}
			candidates[old.place] = c
		}
	}
	return candidates
}
