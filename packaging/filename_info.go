package packaging

import "strings"

// IsInfo reports whether stem, what stands before ".dist-info" in the name of a
// folder in a wheel, is name and version of the file name. Builders of wheels
// have escaped both in many ways.
func (f *Filename) IsInfo(stem string) bool {
	name, version, ok := SplitFilename(stem, f.Project)
	return ok && name != "" && SameVersion(f.Version, version)
}

// SameVersion reports whether two spellings mean one version. Versions from
// before PEP 440 were escaped for file names in many ways, so that only their
// letters, digits and dots count.
func SameVersion(a, b string) bool {
	if a == b {
		return true
	}
	v, err1 := ParseVersion(a)
	w, err2 := ParseVersion(b)
	if err1 == nil && err2 == nil {
		return v.Compare(w) == 0
	}
	return legacyForm(a) == legacyForm(b)
}

func legacyForm(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '.':
			return r
		}
		return -1
	}, s)
}
