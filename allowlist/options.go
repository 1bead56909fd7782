package allowlist

import (
	"cmp"
	"slices"
	"strings"

	"nestgen/packaging"
)

// Options are the settings of a list, added up as pip does. They say what the
// list asks for; whether an index follows is for its builder to decide.
type Options struct {
	// IndexURL is the last -i, and ExtraIndexURLs are the --extra-index-url
	// that follow it: -i takes the place of all that were named before, and
	// after --no-index neither counts. The zero Place means that no list has
	// set it.
	IndexURL       Place
	ExtraIndexURLs []Place

	// FindLinks are the -f places: a page, an archive, a directory.
	FindLinks []Place

	// NoIndex is set by --no-index: only FindLinks count.
	NoIndex bool

	// Pre is set by --pre and means the same as all projects in AllReleases.
	Pre bool

	// AllReleases are the projects that may be taken as pre-releases and
	// OnlyFinal those that may not, by --all-releases and --only-final. A
	// project that is in neither follows the version specifiers' own rule.
	AllReleases, OnlyFinal ProjectSet

	// NoBinary are the projects whose wheels are not wanted and OnlyBinary
	// those whose sdists are not. See [Options.Formats].
	NoBinary, OnlyBinary ProjectSet

	// PreferBinary is set by --prefer-binary.
	PreferBinary bool

	// RequireHashes is set by --require-hashes: a want without a hash is an
	// error. --no-require-hashes takes it back.
	RequireHashes bool
}

// A Place is an address that an option names.
type Place struct {
	// URL is the address as it is written, variables replaced; a path of this
	// machine that exists beside the list is absolute. It may hold a password:
	// print the Place instead.
	URL string

	// Egg and EggVersion are set where the address is one file or repository
	// for easy_install, by its #egg= fragment, as in [Want].
	Egg, EggVersion string

	Position Position

	// masked is URL with the names of variables in the place of their values,
	// where the line has any.
	masked string
}

// String gives the address without its password.
func (p Place) String() string { return redact(cmp.Or(p.masked, p.URL)) }

// A ProjectSet is a set of projects, or all of them.
type ProjectSet struct {
	// All is set by ":all:".
	All bool

	// Names are the projects named one by one, sorted. They count beside All:
	// a name in one set beats All in the opposite one.
	Names []packaging.Name
}

// has reports whether n is named.
func (s ProjectSet) has(n packaging.Name) bool {
	_, ok := slices.BinarySearch(s.Names, n)
	return ok
}

func (s *ProjectSet) add(n packaging.Name) {
	if i, ok := slices.BinarySearch(s.Names, n); !ok {
		s.Names = slices.Insert(s.Names, i, n)
	}
}

func (s *ProjectSet) remove(n packaging.Name) {
	if i, ok := slices.BinarySearch(s.Names, n); ok {
		s.Names = slices.Delete(s.Names, i, i+1)
	}
}

// apply takes a comma-separated value into s, of which other is the opposite.
// ":all:" empties both and stands for every project; ":none:" empties s; a name
// moves from other to s. What is left of the last ":all:" has no effect, and
// what is right of it has one only if there is a ":none:" in it.
func (s *ProjectSet) apply(value string, other *ProjectSet) {
	values := strings.Split(value, ",")
	for {
		i := slices.Index(values, ":all:")
		if i < 0 {
			break
		}
		*s, *other = ProjectSet{All: true}, ProjectSet{}
		values = values[i+1:]
		if !slices.Contains(values, ":none:") {
			return
		}
	}
	for _, v := range values {
		if v == ":none:" {
			*s = ProjectSet{}
			continue
		}
		n := packaging.NormalizeName(v)
		other.remove(n)
		s.add(n)
	}
}

// Formats tells which files of a project are wanted by --no-binary and
// --only-binary: wheels, sdists. A name beats :all:.
func (o Options) Formats(n packaging.Name) (wheels, sdists bool) {
	switch {
	case o.OnlyBinary.has(n):
		return true, false
	case o.NoBinary.has(n):
		return false, true
	case o.OnlyBinary.All:
		return true, false
	case o.NoBinary.All:
		return false, true
	}
	return true, true
}

// PreReleases tells whether a project's pre-releases may be taken whatever its
// specifiers say, or may not. Neither means that the specifiers decide.
func (o Options) PreReleases(n packaging.Name) (always, never bool) {
	switch {
	case o.AllReleases.has(n):
		return true, false
	case o.OnlyFinal.has(n):
		return false, true
	case o.AllReleases.All:
		return true, false
	case o.OnlyFinal.All:
		return false, true
	}
	return false, false
}
