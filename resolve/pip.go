package resolve

import (
	"fmt"
	"strconv"
	"strings"
)

// A Pip is a release of pip, by the first two numbers of its version: pip's
// order of preference changed with releases, and with it the set that it takes
// where several are right. The zero Pip stands for the newest that is known.
type Pip struct {
	Major, Minor int
}

// ParsePip reads the version of a pip, such as "23.2.1".
func ParsePip(s string) (Pip, error) {
	parts := strings.SplitN(s, ".", 3)
	if len(parts) >= 2 {
		// What follows the minor number's digits, as in 26.3.dev0 or 24.1b1,
		// does not matter.
		minor := parts[1]
		if i := strings.IndexFunc(minor, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
			minor = minor[:i]
		}
		a, err1 := strconv.Atoi(parts[0])
		b, err2 := strconv.Atoi(minor)
		if err1 == nil && err2 == nil && a > 0 && b >= 0 {
			return Pip{a, b}, nil
		}
	}
	return Pip{}, fmt.Errorf("%q is no version of pip", s)
}

// String gives the version, or "newest" for the zero Pip.
func (p Pip) String() string {
	if p == (Pip{}) {
		return "newest"
	}
	return fmt.Sprintf("%d.%d", p.Major, p.Minor)
}

// since reports whether p is the given release or a newer one.
func (p Pip) since(major, minor int) bool {
	return p == (Pip{}) || p.Major > major || p.Major == major && p.Minor >= minor
}

// rules are what differs between releases of pip, as far as it changes the
// answer. Releases before 23.0 are taken as 23.0.
type rules struct {
	// jump passes over pins that have nothing to do with a conflict when it
	// goes back (resolvelib 1.0). Before, every pin was undone in turn.
	jump bool

	// careful does so only for names that take part in the conflict, so that
	// no set is missed (resolvelib 1.1).
	careful bool

	// hopeful begins as before careful, remembers where that was not safe, and
	// goes back there when it has led nowhere (resolvelib 1.2).
	hopeful bool

	// split takes foo[x]>=1 apart into foo>=1 and foo[x]>=1, and puts extras
	// behind the other root requirements (pip 23.3).
	split bool

	// narrow looks first at the names of the last conflict, and prefers by
	// bounds of versions instead of by distance from the root (pip 25.1). From
	// then on Requires-Python is also the first thing that a candidate needs.
	narrow bool

	// fallback lets pre-releases in when no final version fits although there
	// is a specifier (packaging 26, pip 26.0); before only without one.
	fallback bool

	// promote prefers names that keep getting into conflicts (pip 26.1).
	promote bool

	// setuptools is left for the end (before pip 23.1).
	setuptools bool
}

func (p Pip) rules() rules {
	return rules{
		jump:       p.since(23, 1),
		setuptools: !p.since(23, 1),
		split:      p.since(23, 3),
		narrow:     p.since(25, 1),
		careful:    p.since(25, 1),
		hopeful:    p.since(25, 2),
		fallback:   p.since(26, 0),
		promote:    p.since(26, 1),
	}
}
