package catalog

import "nestgen/packaging"

// SpellingOf gives the name of a project as it is written: as its newest file
// spells it, of several the one whose name sorts last; if it has no files, as
// its first link does. It follows from what is listed, however that came there.
func SpellingOf(n packaging.Name, links []Link, lists ...[]File) string {
	var newest *File
	var key packaging.VersionKey
	for _, files := range lists {
		for i := range files {
			f := &files[i]
			if newest != nil && f.Version == newest.Version {
				if f.Filename > newest.Filename {
					newest = f
				}
				continue
			}
			k := packaging.VersionKeyOf(f.Version)
			if newest == nil || k > key || k == key && f.Filename > newest.Filename {
				newest, key = f, k
			}
		}
	}
	spelling := ""
	switch {
	case newest != nil:
		spelling = newest.Spelling
	case len(links) > 0:
		spelling = links[0].Egg
	}
	if packaging.NormalizeName(spelling) != n {
		return string(n)
	}
	return spelling
}

// Respell has a project written as what is left of it spells its name.
func (t *Tx) Respell(n packaging.Name) error {
	p, err := project(t.ctx, t.q, n)
	if err != nil {
		return err
	}
	return t.Claim(n, SpellingOf(n, p.Links, p.Files), p.Owner)
}
