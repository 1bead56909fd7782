// Package target says what one kind of machine can install: which wheels, in
// which order of preference, and what its markers are. It knows CPython and
// PyPy on Linux, macOS and Windows by name, and takes any other from a full
// description. It is pure, and asks nothing of the machine it runs on.
package target

import (
	"cmp"
	"slices"
	"strings"

	"nestgen/packaging"
)

// A Target is one kind of machine that installs. It is made by [Parse] or
// [Spec.Target] and does not change.
type Target struct {
	// Name is what people call it.
	Name string

	// Markers are the values of the environment markers (PEP 508). To ask for
	// an extra, copy it.
	Markers packaging.Environment

	tags      []packaging.Tag
	rank      map[packaging.Tag]int
	platforms map[string]bool // those of the tags, without "any"

	// python is what Requires-Python is held against: the numbers of the
	// version without a pre-release part.
	python packaging.Version

	marker string
}

// String gives the name.
func (t *Target) String() string { return t.Name }

// Tags gives the compatibility tags, the most wanted first (PEP 425). The caller
// must not change them.
func (t *Target) Tags() []packaging.Tag { return t.tags }

// Rank says how much pip wants a file on this machine, among those of the same
// version: less is better, and every wheel comes before every sdist. ok is false
// for what pip does not take there: a wheel for other machines, an egg, an
// installer. Neither the version nor Requires-Python is looked at. It does not
// allocate for a file name in lower case.
//
// Wheels of the same rank differ in their build tags; see [Target.Compare].
func (t *Target) Rank(f packaging.Filename) (rank int, ok bool) {
	switch f.Kind {
	case packaging.Sdist:
		return len(t.tags), true
	case packaging.Wheel:
		return t.rankWheel(f)
	}
	return 0, false
}

func (t *Target) rankWheel(f packaging.Filename) (best int, ok bool) {
	pythons, abis, platforms := strings.ToLower(f.Python), strings.ToLower(f.ABI), strings.ToLower(f.Platform)
	best = len(t.tags)
	for platform := range strings.SplitSeq(platforms, ".") {
		if platform != "any" && !t.platforms[platform] {
			continue
		}
		for abi := range strings.SplitSeq(abis, ".") {
			for python := range strings.SplitSeq(pythons, ".") {
				if at, ok := t.rank[packaging.Tag{Python: python, ABI: abi, Platform: platform}]; ok && at < best {
					best = at
				}
			}
		}
	}
	return best, best < len(t.tags)
}

// Compare gives -1, 0 or 1 as pip prefers a to b, finds them equal or prefers b,
// for files of the same version: by rank, then the higher build tag first. What
// pip does not take there comes last.
func (t *Target) Compare(a, b packaging.Filename) int {
	rankA, okA := t.Rank(a)
	rankB, okB := t.Rank(b)
	if !okA || !okB {
		return cmp.Compare(bit(okB), bit(okA))
	}
	if c := cmp.Compare(rankA, rankB); c != 0 || a.Kind != packaging.Wheel {
		return c
	}
	return packaging.CompareBuilds(b.Build, a.Build)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Takes reports whether a file is for this machine, by whatever tool installs
// files of its kind: what pip takes, an egg for this Python and platform as
// easy_install does, an installer or a package of the system for it. A part that
// the name of an egg or an installer does not have fits every machine.
func (t *Target) Takes(f packaging.Filename) bool {
	if f.Kind == packaging.Wheel || f.Kind == packaging.Sdist {
		_, ok := t.Rank(f)
		return ok
	}
	if f.Python != "" && f.Python != t.Markers.PythonVersion {
		return false
	}
	switch f.Kind {
	case packaging.RPM, packaging.Deb:
		return t.Markers.PlatformSystem == "Linux" && t.isArch(f.Platform)
	case packaging.DMG:
		return t.Markers.PlatformSystem == "Darwin" && (f.Platform == "" || t.isPlatform(f.Platform))
	case packaging.Wininst, packaging.MSI:
		return t.Markers.PlatformSystem == "Windows" && (f.Platform == "" || t.isPlatform(f.Platform))
	}
	return f.Platform == "" || t.isPlatform(f.Platform)
}

// isPlatform reports whether a platform as distutils wrote it into the names of
// eggs and installers is this machine's: "linux-x86_64", "macosx-10.9-x86_64",
// "win-amd64", and "any".
func (t *Target) isPlatform(p string) bool {
	p = strings.ToLower(p)
	return p == "any" || t.platforms[strings.NewReplacer("-", "_", ".", "_").Replace(p)]
}

// isArch reports whether an architecture as RPM and Debian write it is this
// machine's, or every one.
func (t *Target) isArch(a string) bool {
	a = strings.ToLower(a)
	switch a {
	case "noarch", "all", "":
		return true
	case "amd64":
		a = "x86_64"
	case "arm64":
		a = "aarch64"
	case "i386", "i586":
		a = "i686"
	case "armhf":
		a = "armv7l"
	case "ppc64el":
		a = "ppc64le"
	}
	return a == t.Markers.PlatformMachine
}

// SupportsPython reports whether a file with this Requires-Python may be
// installed. As pip does, it looks at the three numbers of the version alone, so
// that >=3.14 holds on 3.14.0rc1.
func (t *Target) SupportsPython(requires packaging.Specifiers) bool {
	return requires.Contains(t.python, packaging.AllowPrereleases)
}

// Marker gives a marker (PEP 508) that tells this machine from others: by its
// Python's minor version and implementation, system and architecture, and by
// every marker that was given one by one. No marker can say which C library,
// which ABI or which release of macOS a machine has, so targets that differ in
// nothing else have the same.
func (t *Target) Marker() string { return t.marker }

// baseMarkers are what [Target.Marker] is made of.
var baseMarkers = []string{"python_version", "platform_python_implementation", "sys_platform", "platform_machine"}

func (t *Target) describe(given map[string]string) string {
	names := slices.Clone(baseMarkers)
	var more []string
	for name := range given {
		if !slices.Contains(names, name) && name != "python_full_version" {
			more = append(more, name)
		}
	}
	slices.Sort(more)
	var b strings.Builder
	for _, name := range append(names, more...) {
		if b.Len() > 0 {
			b.WriteString(" and ")
		}
		value, quote := *markerOf(&t.Markers, name), `"`
		if strings.Contains(value, quote) {
			quote = "'" // a text holds one kind of quote at most: checked when it was given
		}
		b.WriteString(name + " == " + quote + value + quote)
	}
	return b.String()
}

// markerOf gives the field that holds a marker; nil if there is none of this
// name, or only one that does not describe a machine.
func markerOf(e *packaging.Environment, name string) *string {
	switch name {
	case "os_name":
		return &e.OSName
	case "sys_platform":
		return &e.SysPlatform
	case "platform_machine":
		return &e.PlatformMachine
	case "platform_python_implementation":
		return &e.PlatformPythonImplementation
	case "platform_release":
		return &e.PlatformRelease
	case "platform_system":
		return &e.PlatformSystem
	case "platform_version":
		return &e.PlatformVersion
	case "python_version":
		return &e.PythonVersion
	case "python_full_version":
		return &e.PythonFullVersion
	case "implementation_name":
		return &e.ImplementationName
	case "implementation_version":
		return &e.ImplementationVersion
	}
	return nil
}

// markerNames are the markers that describe a machine.
var markerNames = []string{
	"os_name", "sys_platform", "platform_machine", "platform_python_implementation", "platform_release",
	"platform_system", "platform_version", "python_version", "python_full_version", "implementation_name",
	"implementation_version",
}

// setTags gives the target its tags, of which each counts where it stands first.
func (t *Target) setTags(tags []packaging.Tag) {
	t.rank = make(map[packaging.Tag]int, len(tags))
	t.platforms = map[string]bool{}
	for _, tag := range tags {
		if _, twice := t.rank[tag]; twice {
			continue
		}
		t.rank[tag] = len(t.tags)
		t.tags = append(t.tags, tag)
		if tag.Platform != "any" {
			t.platforms[tag.Platform] = true
		}
	}
}
