package packaging

import (
	"strconv"
	"strings"
)

// A PlatformFamily is what the version in a platform tag is a version of.
type PlatformFamily uint8

// The families of platform tags.
const (
	OtherPlatform PlatformFamily = iota
	AnyPlatform                  // "any"
	Linux                        // linux_*: no promise about the C library
	Manylinux                    // glibc (PEP 513, 571, 599, 600)
	Musllinux                    // musl (PEP 656)
	MacOS                        // macosx_*
	Windows                      // win32, win_*
	IOS                          // ios_* (PEP 730)
	Android                      // android_*: the version is the API level (PEP 738)
	Pyodide                      // pyodide_*: the version is that of its ABI (PEP 783)
)

// A PlatformTag is a platform tag taken apart. Two spellings of one platform,
// as manylinux2014_x86_64 and manylinux_2_17_x86_64 are (PEP 600), give equal
// values.
type PlatformTag struct {
	Family PlatformFamily

	// Major and Minor are the least version of the C library or the system
	// that the wheel runs on; 0 and 0 where the tag has none.
	Major int
	Minor int

	// Arch is the architecture as the tag spells it ("x86_64", "amd64",
	// "universal2"); for OtherPlatform it is the whole tag. The tag win32
	// has "x86".
	Arch string
}

// legacyManylinux are the names that manylinux tags had before PEP 600.
var legacyManylinux = []struct {
	prefix       string
	major, minor int
}{
	{"manylinux1", 2, 5},
	{"manylinux2010", 2, 12},
	{"manylinux2014", 2, 17},
}

// versioned are the families whose tags are prefix_MAJOR_MINOR_ARCH.
var versioned = []struct {
	prefix string
	family PlatformFamily
}{
	{"manylinux", Manylinux},
	{"musllinux", Musllinux},
	{"macosx", MacOS},
	{"ios", IOS},
	{"pyodide", Pyodide},
}

// ParsePlatform takes one platform tag apart, of either case. A tag that
// follows none of the rules is of the family [OtherPlatform]; that is no error,
// since a wheel may be for a platform that is not thought of yet.
func ParsePlatform(tag string) PlatformTag {
	tag = strings.ToLower(tag)
	word, rest, _ := strings.Cut(tag, "_")
	switch {
	case tag == "any":
		return PlatformTag{Family: AnyPlatform}
	case tag == "win32":
		return PlatformTag{Family: Windows, Arch: "x86"}
	case word == "win" && rest != "":
		return PlatformTag{Family: Windows, Arch: rest}
	case word == "linux" && rest != "":
		return PlatformTag{Family: Linux, Arch: rest}
	case word == "android":
		level, arch, _ := strings.Cut(rest, "_")
		if n, ok := tagNumber(level); ok && arch != "" {
			return PlatformTag{Family: Android, Major: n, Arch: arch}
		}
	}
	for _, l := range legacyManylinux {
		if word == l.prefix && rest != "" {
			return PlatformTag{Manylinux, l.major, l.minor, rest}
		}
	}
	for _, v := range versioned {
		if word != v.prefix {
			continue
		}
		first, rest, _ := strings.Cut(rest, "_")
		second, arch, _ := strings.Cut(rest, "_")
		major, ok1 := tagNumber(first)
		minor, ok2 := tagNumber(second)
		if ok1 && ok2 && arch != "" {
			return PlatformTag{v.family, major, minor, arch}
		}
	}
	return PlatformTag{Arch: tag}
}

// tagNumber reads a number of at most six digits, more than any version or
// level has.
func tagNumber(s string) (int, bool) {
	if s == "" || len(s) > 6 {
		return 0, false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// String gives the tag in its modern spelling.
func (p PlatformTag) String() string {
	switch p.Family {
	case AnyPlatform:
		return "any"
	case Linux:
		return "linux_" + p.Arch
	case Windows:
		if p.Arch == "x86" {
			return "win32"
		}
		return "win_" + p.Arch
	case Android:
		return "android_" + strconv.Itoa(p.Major) + "_" + p.Arch
	}
	for _, v := range versioned {
		if v.family == p.Family {
			return v.prefix + "_" + strconv.Itoa(p.Major) + "_" + strconv.Itoa(p.Minor) + "_" + p.Arch
		}
	}
	return p.Arch
}

// Legacy gives the spelling that the tag had before PEP 600, which installers
// of those days look for. ok is false when it had none.
func (p PlatformTag) Legacy() (tag string, ok bool) {
	for _, l := range legacyManylinux {
		if p.Family == Manylinux && p.Major == l.major && p.Minor == l.minor {
			return l.prefix + "_" + p.Arch, true
		}
	}
	return "", false
}
