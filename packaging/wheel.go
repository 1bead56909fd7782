package packaging

import (
	"cmp"
	"fmt"
	"strings"
	"unicode"
)

// ParseWheel reads a wheel's file name by today's rules: five or six parts, a
// PEP 440 version, a build tag that begins with a digit. It does not ask for
// ASCII or for a valid project name; [ParseFilename], the reader for what a
// mirror lists, does. An error is a [*FilenameError].
func ParseWheel(s string) (Filename, error) {
	stem, ok := strings.CutSuffix(s, ".whl")
	if !ok {
		return Filename{}, &FilenameError{Filename: s, Fault: `extension is not ".whl"`}
	}
	f := Filename{Kind: Wheel, Ext: ".whl"}
	if fault := f.readWheel(stem); fault != "" {
		return Filename{}, &FilenameError{Filename: s, Fault: fault}
	}
	f.Version, _ = normalVersion(f.Version)
	f.Project = NormalizeName(f.Name)
	return f, nil
}

// readWheel reads "name-version[-build]-python-abi-platform" (contract FN-1).
// It checks every part and warns where the newest installers are stricter.
func (f *Filename) readWheel(stem string) (fault string) {
	var parts [6]string
	n, rest := 0, stem
	for more := true; more; n++ {
		if n == len(parts) {
			return fmt.Sprintf("%d parts between dashes, not 5 or 6", strings.Count(stem, "-")+1)
		}
		parts[n], rest, more = strings.Cut(rest, "-")
	}
	if n < 5 {
		return fmt.Sprintf("%d parts between dashes, not 5 or 6", n)
	}
	f.Name, f.Version = parts[0], parts[1]
	f.Python, f.ABI, f.Platform = parts[n-3], parts[n-2], parts[n-1]
	switch {
	case strings.Contains(f.Name, "__"):
		return fmt.Sprintf("project name %q has two underscores in a row", f.Name)
	case f.Name == "" || !isWheelName(f.Name):
		return fmt.Sprintf("project name %q: letters, digits, '_' and '.' only", f.Name)
	case !ValidVersion(f.Version):
		return fmt.Sprintf("version %q does not follow PEP 440", f.Version)
	}
	if n == 6 {
		f.Build = parts[2]
		if f.Build == "" || !isDigit(f.Build[0]) {
			return fmt.Sprintf("build tag %q does not begin with a digit", f.Build)
		}
	}
	for _, set := range []string{f.Python, f.ABI, f.Platform} {
		if set == "" || set[0] == '.' || set[len(set)-1] == '.' || strings.Contains(set, "..") {
			f.warn("tag set %q has an empty part: the newest installers pass the file over", set)
		}
	}
	if isDigit(firstByte(f.Python)) {
		f.warn("interpreter tag %q begins with a digit: the newest installers pass the file over", f.Python)
	}
	return ""
}

func firstByte(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

// isWheelName reports whether s has only letters and digits of any script,
// underscores and dots.
func isWheelName(s string) bool {
	for _, r := range s {
		if r < 0x80 {
			if !isAlnum(byte(r)) && r != '_' && r != '.' {
				return false
			}
		} else if !unicode.IsLetter(r) && !unicode.IsNumber(r) {
			return false
		}
	}
	return true
}

// SplitBuild splits a wheel's build tag into its number, as decimal digits
// without leading zeros because it has no upper limit, and the rest.
func SplitBuild(build string) (number, rest string) {
	n := 0
	for n < len(build) && isDigit(build[n]) {
		n++
	}
	number = strings.TrimLeft(build[:n], "0")
	if number == "" && n > 0 {
		number = "0"
	}
	return number, build[n:]
}

// CompareBuilds gives -1, 0 or 1 as a wheel with build tag a sorts before, with
// or after one of the same version with build tag b: one without a build tag
// comes first, then the number counts, then the rest (contract FN-2).
func CompareBuilds(a, b string) int {
	n, s := SplitBuild(a)
	m, t := SplitBuild(b)
	return cmp.Or(cmp.Compare(len(n), len(m)), strings.Compare(n, m), strings.Compare(s, t))
}

// Tags gives the compatibility tags of a wheel, each once. A file of another
// kind has none.
func (f Filename) Tags() []Tag {
	if f.Kind != Wheel {
		return nil
	}
	return expandTags(f.Python, f.ABI, f.Platform)
}
