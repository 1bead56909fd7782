package packaging

import (
	"slices"
	"strings"
)

// An Operator is how a specifier compares.
type Operator uint8

// The operators of PEP 440.
const (
	Compatible   Operator = iota + 1 // ~=
	Equal                            // ==
	NotEqual                         // !=
	LessEqual                        // <=
	GreaterEqual                     // >=
	Less                             // <
	Greater                          // >
	Identical                        // ===, which compares texts
)

var operatorTexts = [...]string{
	Compatible: "~=", Equal: "==", NotEqual: "!=", LessEqual: "<=",
	GreaterEqual: ">=", Less: "<", Greater: ">", Identical: "===",
}

// String gives the operator as it is written.
func (o Operator) String() string { return operatorTexts[o] }

// scanOperator gives the operator that s begins with, zero when there is none.
func scanOperator(s string) Operator {
	if s == "" {
		return 0
	}
	equals := len(s) > 1 && s[1] == '='
	switch s[0] {
	case '=':
		if equals && len(s) > 2 && s[2] == '=' {
			return Identical
		}
		if equals {
			return Equal
		}
	case '!':
		if equals {
			return NotEqual
		}
	case '~':
		if equals {
			return Compatible
		}
	case '<':
		if equals {
			return LessEqual
		}
		return Less
	case '>':
		if equals {
			return GreaterEqual
		}
		return Greater
	}
	return 0
}

// A Specifier is one clause of a version specifier, such as >=1.0. It is made
// by [ParseSpecifiers].
type Specifier struct {
	// Operator is how versions are compared.
	Operator Operator

	// Version is what they are compared with, as it was written: a version,
	// a version and ".*", or, behind ===, any text.
	Version string

	// Every operator but === asks whether a version's key is in an interval,
	// at least lo and below hi; the opposite of it for !=.
	lo, hi string

	pre bool // the clause names a pre-release, which lets pre-releases in
}

// String gives the clause without white space.
func (c Specifier) String() string { return c.Operator.String() + c.Version }

// IsExact reports whether the clause names one version: == without .*, or ===.
func (c Specifier) IsExact() bool {
	return c.Operator == Identical || c.Operator == Equal && !strings.HasSuffix(c.Version, ".*")
}

// holds reports whether v, spelled text, is what the clause asks for, leaving
// the rule on pre-releases aside. Only === can hold the zero Version, which
// stands for a text that is no version.
func (c *Specifier) holds(v Version, text string) bool {
	if c.Operator == Identical {
		return sameText(c.Version, text)
	}
	k := v.Key()
	return k != "" && (c.lo <= k && k < c.hi) != (c.Operator == NotEqual)
}

// sameText compares as === does: case aside.
func sameText(a, b string) bool {
	if len(a) == len(b) {
		i := 0
		for i < len(a) && a[i] < 0x80 && b[i] < 0x80 && lower(a[i]) == lower(b[i]) {
			i++
		}
		if i == len(a) {
			return true
		}
		if a[i] < 0x80 && b[i] < 0x80 {
			return false
		}
	}
	// Not by strings.EqualFold, which finds more characters alike than the
	// lower case that installers compare.
	a, b = strings.ToLower(a), strings.ToLower(b)
	return a == b
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Prereleases says what becomes of pre-releases: alphas, betas, release
// candidates and development releases.
type Prereleases uint8

const (
	// AutoPrereleases lets pre-releases in when a clause names one, or when
	// nothing final matches: the default of PEP 440.
	AutoPrereleases Prereleases = iota
	AllowPrereleases
	DenyPrereleases
)

// Specifiers are the clauses of a version specifier (PEP 440), all of which
// must hold. The zero value has none and holds every version.
type Specifiers struct {
	clauses []Specifier
	pre     bool // a clause names a pre-release
}

// ParseSpecifiers reads clauses separated by commas. White space around a
// clause and between its operator and version is ignored, and so is a comma
// too many; the empty text gives the zero Specifiers. An error is a
// [*SyntaxError].
func ParseSpecifiers(s string) (Specifiers, error) {
	set, bad := scanSpecifiers(s)
	if bad.expected != "" {
		return Specifiers{}, &SyntaxError{"specifier", s, bad.offset, bad.expected}
	}
	return set, nil
}

func scanSpecifiers(s string) (set Specifiers, bad scanFault) {
	for start := 0; start <= len(s); {
		end := len(s)
		if i := strings.IndexByte(s[start:], ','); i >= 0 {
			end = start + i
		}
		if part := trimSpace(s[start:end]); part != "" {
			if set.clauses == nil {
				set.clauses = make([]Specifier, 0, 1+strings.Count(s[start:], ","))
			}
			c, bad := scanSpecifier(part)
			if bad.expected != "" {
				bad.offset += start + strings.Index(s[start:end], part)
				return Specifiers{}, bad
			}
			set.clauses = append(set.clauses, c)
			set.pre = set.pre || c.pre
		}
		start = end + 1
	}
	return set, scanFault{}
}

// scanSpecifier reads one clause without white space around it.
func scanSpecifier(s string) (c Specifier, bad scanFault) {
	c, n, bad := scanSpecifierPrefix(s)
	if bad.expected == "" && n < len(s) {
		bad = scanFault{n, "a comma and another clause, or the end"}
	}
	return c, bad
}

// scanSpecifierPrefix reads the clause that s begins with and gives its length.
func scanSpecifierPrefix(s string) (c Specifier, n int, bad scanFault) {
	c.Operator = scanOperator(s)
	if c.Operator == 0 {
		return c, 0, scanFault{0, "one of ==, !=, ~=, <=, >=, <, >, ==="}
	}
	at := len(c.Operator.String())
	for n := leadingSpace(s[at:]); n > 0; n = leadingSpace(s[at:]) {
		at += n
	}
	text := s[at:]
	if c.Operator == Identical {
		n = identicalEnd(text)
		c.Version = strings.Clone(text[:n])
		var p versionScan
		if bad := scanVersion(text[:n], &p); bad.expected == "" {
			c.pre = p.flags&(hasPre|hasDev) != 0
		}
		return c, at + n, scanFault{}
	}

	var p versionScan
	n, fault := scanVersionPrefix(text, &p)
	if fault != "" {
		if n == 0 {
			fault = "a version"
		}
		return c, 0, scanFault{at + n, fault}
	}
	equality := c.Operator == Equal || c.Operator == NotEqual
	if p.flags&hasLocal != 0 && !equality {
		plus := strings.IndexByte(text, '+')
		return c, 0, scanFault{at + plus, "no local part, which only == and != take"}
	}
	wildcard := strings.HasPrefix(text[n:], ".*")
	if wildcard && !equality {
		return c, 0, scanFault{at + n, "no '.*', which only == and != take"}
	}
	if wildcard && p.flags != 0 {
		return c, 0, scanFault{at + n, "no '.*' behind a pre-, post-, dev or local part"}
	}
	if wildcard {
		n += len(".*")
	}
	if c.Operator == Compatible && !strings.Contains(p.release, ".") {
		return c, 0, scanFault{at + n, "a second number, because ~= keeps all but the last"}
	}
	if n < len(text) {
		if after := text[n]; isSeparator(after) || isAlnum(after) || after == '+' || after == '*' {
			return c, 0, scanFault{at + n, expectedAfter(p.flags, after)}
		}
	}
	c.Version = strings.Clone(text[:n])
	c.pre = p.flags&(hasPre|hasDev) != 0 && c.Operator != NotEqual
	c.lo, c.hi = p.interval(c.Operator, wildcard)
	return c, at + n, scanFault{}
}

// identicalEnd gives the length of the text behind === that s begins with.
func identicalEnd(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] == ';' || s[i] == ')' || leadingSpace(s[i:]) > 0 {
			return i
		}
	}
	return len(s)
}

const (
	// lowestKey is that of 0.dev0, below which there is no version.
	lowestKey = "\x02\x01\x01\x01\x01\x02"
	// beyondKeys is above every key.
	beyondKeys = "\xff"
)

// interval gives the keys between which the operator holds: at least lo and
// below hi. Each is the key of the first version from there on, except where
// there is no first one because the versions get ever closer: behind the
// post-releases of a final version, and behind a local version. So an interval
// with lo < hi always has a version in it.
func (p *versionScan) interval(op Operator, wildcard bool) (lo, hi string) {
	var stack [128]byte
	b := stack[:0]
	switch op {
	case GreaterEqual:
		return string(p.appendKey(b)), beyondKeys
	case LessEqual:
		return lowestKey, string(p.successor(b))
	case Less:
		// The pre-releases of a version are not "less" unless it is one.
		if p.flags&(hasPre|hasDev) != 0 {
			return lowestKey, string(p.appendKey(b))
		}
		return lowestKey, string(p.firstDev(b))
	case Greater:
		// Neither its local versions nor, unless it is one, its
		// post-releases are "greater".
		switch {
		case p.flags&(hasDev|hasPost) != 0:
			b = p.successor(b)
		case p.flags&hasPre != 0:
			q := *p
			q.preN = increment(p.preN)
			b = q.firstDev(b)
		default:
			b = p.appendReleaseKey(b)
			b = p.appendPreKey(b)
			b = append(b, after)
		}
		return string(b), beyondKeys
	}

	// The others have two bounds, which share their memory.
	switch {
	case op == Compatible:
		b = p.appendKey(b)
		lo = string(p.nextPrefix(b, strings.LastIndexByte(p.release, '.')))
	case wildcard:
		b = p.firstDev(b)
		lo = string(p.nextPrefix(b, len(p.release)))
	case p.flags&hasLocal != 0:
		b = p.appendKey(b)
		lo = string(append(append(b, b...), 0))
	default:
		b = p.appendKey(b)
		lo = string(p.successor(b))
	}
	return lo[:len(b)], lo[len(b):]
}

// firstDev appends the key of p.dev0, the lowest version that is named after
// a final or post-release p.
func (p *versionScan) firstDev(b []byte) []byte {
	q := *p
	q.flags |= hasDev
	q.devN, q.local = "", ""
	return q.appendKey(b)
}

// successor appends the key of the first version above p and its local
// versions.
func (p *versionScan) successor(b []byte) []byte {
	q := *p
	q.local = ""
	switch {
	case p.flags&hasDev != 0:
		q.devN = increment(p.devN)
		return q.appendKey(b)
	case p.flags&hasPost != 0:
		q.postN = increment(p.postN)
	default:
		q.flags |= hasPost
	}
	return q.firstDev(b)
}

// nextPrefix appends the key of the lowest version above all those whose
// release begins with the first n bytes of p's.
func (p *versionScan) nextPrefix(b []byte, n int) []byte {
	prefix := p.release[:n]
	last := strings.LastIndexByte(prefix, '.') + 1
	q := versionScan{epoch: p.epoch, release: prefix[:last] + increment(prefix[last:])}
	return q.firstDev(b)
}

// String gives the clauses sorted and without repetition, separated by commas.
func (s Specifiers) String() string {
	if len(s.clauses) == 1 {
		return s.clauses[0].String()
	}
	texts := make([]string, len(s.clauses))
	for i := range s.clauses {
		texts[i] = s.clauses[i].String()
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), ",")
}

// Clauses gives the clauses in the order they were written. The caller must
// not change them.
func (s Specifiers) Clauses() []Specifier { return s.clauses }

// Len gives the number of clauses; zero means that any version will do.
func (s Specifiers) Len() int { return len(s.clauses) }

// NamesPrerelease reports whether a clause, other than != and ==X.*, names a
// pre-release, so that pre-releases are let in.
func (s Specifiers) NamesPrerelease() bool { return s.pre }

// IsExact reports whether a clause names one version: == without .*, or ===.
// Such a line is a pin, the only thing that selects yanked files (PEP 592).
func (s Specifiers) IsExact() bool {
	return slices.ContainsFunc(s.clauses, Specifier.IsExact)
}

// And gives the clauses of both, s's first.
func (s Specifiers) And(t Specifiers) Specifiers {
	if len(s.clauses) == 0 {
		return t
	}
	if len(t.clauses) == 0 {
		return s
	}
	return Specifiers{slices.Concat(s.clauses, t.clauses), s.pre || t.pre}
}

// Contains reports whether every clause holds v. Alone, v has no final version
// beside it, so AutoPrereleases is as AllowPrereleases here; to choose from a
// list use [Filter]. It does not allocate.
func (s Specifiers) Contains(v Version, pre Prereleases) bool {
	if v.IsZero() || pre == DenyPrereleases && v.IsPrerelease() {
		return false
	}
	for i := range s.clauses {
		if c := &s.clauses[i]; !c.holds(v, v.String()) {
			return false
		}
	}
	return true
}

// MatchesString is Contains for a version as somebody spelled it, which ===
// compares with, and which need not be a valid version: no clause but === holds
// one that is not, and no clause at all holds anything.
func (s Specifiers) MatchesString(text string, pre Prereleases) bool {
	return s.matches(parseOrZero(text), text, pre)
}

// matches is MatchesString with the text parsed; the zero Version stands for
// what is no version.
func (s Specifiers) matches(v Version, text string, pre Prereleases) bool {
	if pre == DenyPrereleases && v.IsPrerelease() {
		return false
	}
	for i := range s.clauses {
		if !s.clauses[i].holds(v, text) {
			return false
		}
	}
	return true
}

// Filter gives the versions that every clause holds, in their order. With
// AutoPrereleases it decides over the whole list: pre-releases stay when a
// clause names one or when no final version is held.
func (s Specifiers) Filter(versions []Version, pre Prereleases) []Version {
	return FilterFunc(s, versions, pre, func(v Version) (Version, string) { return v, v.String() })
}

// FilterStrings is Filter for versions as somebody spelled them. A text that is
// no version is treated as by [Specifiers.MatchesString] and is neither final
// nor a pre-release.
func (s Specifiers) FilterStrings(texts []string, pre Prereleases) []string {
	return FilterFunc(s, texts, pre, func(text string) (Version, string) {
		return parseOrZero(text), text
	})
}

// FilterFunc is [Specifiers.Filter] for a list of anything that has a version.
// The function gives an item's version, zero for what is none, and the text
// that === compares with.
func FilterFunc[T any](s Specifiers, items []T, pre Prereleases, version func(T) (Version, string)) []T {
	if pre == AutoPrereleases && s.pre {
		pre = AllowPrereleases
	}
	var held []T
	final, prereleases := false, false
	for _, item := range items {
		v, text := version(item)
		if !s.matches(v, text, pre) {
			continue
		}
		held = append(held, item)
		if v.IsPrerelease() {
			prereleases = true
		} else if !v.IsZero() {
			final = true
		}
	}
	if pre == AutoPrereleases && final && prereleases {
		held = slices.DeleteFunc(held, func(item T) bool {
			v, _ := version(item)
			return v.IsPrerelease()
		})
	}
	return held
}
