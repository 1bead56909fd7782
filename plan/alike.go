package plan

// tellAlike tells of files that will be listed and whose names differ only in
// case, or in "_", "-" and ".", which some clients do not tell apart (contract
// FN-8).
func (p *Project) tellAlike() {
	n := len(p.Take) + len(p.Fetch) + len(p.Keep)
	if n < 2 {
		return
	}
	seen := make(map[string]string, n)
	tell := func(name string) {
		key := folded(name)
		other, alike := seen[key]
		seen[key] = name
		if alike && other != name {
			p.problem(Warning, string(p.Name), "both are listed; if they are the same release, remove one",
				"ambiguous: %s and %s differ only in case or in \"_\", \"-\" and \".\"", min(other, name), max(other, name))
		}
	}
	for _, t := range p.Take {
		tell(t.File)
	}
	for _, c := range p.Fetch {
		tell(c.Offer.Filename)
	}
	for _, k := range p.Keep {
		tell(k.File.Filename)
	}
}

// Alike reports whether two file names are not the same and some clients cannot
// tell them apart.
func Alike(a, b string) bool { return a != b && folded(a) == folded(b) }

// folded gives what every client sees of a file name.
func folded(name string) string {
	b := []byte(name)
	for i, c := range b {
		switch {
		case c == '_' || c == '.':
			b[i] = '-'
		case 'A' <= c && c <= 'Z':
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
