package plan

import (
	"fmt"
	"slices"
	"strings"

	"nestgen/packaging"
	"nestgen/target"
)

// A Platform is what a file is built for, written as a system ("windows"), a system
// and an architecture ("linux-x86_64"), or a platform tag (PEP 425), which stands
// for all that runs there ("manylinux_2_28_x86_64"); or "any", for files that run
// everywhere alone.
type Platform struct {
	text     string
	families []packaging.PlatformFamily
	word     string // the beginning of the tags of another system
	arch     string // empty for any
	major    int    // with minor the newest version that will do; 0 and 0 for any
	minor    int
}

// systems are the words for systems with the families of their tags. The tag of a
// Linux without a promise may be for either C library.
var systems = []struct {
	word     string
	families []packaging.PlatformFamily
}{
	{"linux", []packaging.PlatformFamily{packaging.Manylinux, packaging.Linux}},
	{"musllinux", []packaging.PlatformFamily{packaging.Musllinux, packaging.Linux}},
	{"macos", []packaging.PlatformFamily{packaging.MacOS}},
	{"windows", []packaging.PlatformFamily{packaging.Windows}},
	{"android", []packaging.PlatformFamily{packaging.Android}},
	{"ios", []packaging.PlatformFamily{packaging.IOS}},
	{"pyodide", []packaging.PlatformFamily{packaging.Pyodide}},
}

// otherSystems begin the tags of systems that no PEP is about.
var otherSystems = []string{"aix", "cygwin", "emscripten", "freebsd", "mingw", "netbsd", "openbsd", "solaris", "sunos", "wasi"}

// UnmarshalText reads the written form.
func (p *Platform) UnmarshalText(text []byte) error {
	s := string(text)
	bad := func(fault string) error {
		return fmt.Errorf("platforms: %s: %s; want a system and an architecture such as linux-x86_64, musllinux-aarch64, macos-arm64 or windows-amd64, a system alone, a platform tag such as manylinux_2_28_x86_64, or any", tooLong(s), fault)
	}
	if s == "any" {
		*p = Platform{text: s}
		return nil
	}
	system, arch, _ := strings.Cut(s, "-")
	for _, known := range systems {
		if known.word != system {
			continue
		}
		if archs := target.Archs(system); arch != "" && archs != nil && !slices.Contains(archs, arch) {
			return bad(fmt.Sprintf("the architectures of %s are %s", system, strings.Join(archs, ", ")))
		}
		if strings.HasSuffix(s, "-") {
			return bad("no architecture stands behind the dash")
		}
		*p = Platform{text: s, families: known.families, arch: arch}
		return nil
	}
	if slices.Contains(otherSystems, s) {
		*p = Platform{text: s, families: []packaging.PlatformFamily{packaging.OtherPlatform}, word: s}
		return nil
	}
	tag := packaging.ParsePlatform(s)
	switch tag.Family {
	case packaging.OtherPlatform, packaging.AnyPlatform:
		return bad("there is no such platform")
	case packaging.Linux:
		return bad(fmt.Sprintf("did you mean linux-%s?", tag.Arch))
	}
	families := []packaging.PlatformFamily{tag.Family}
	if tag.Family == packaging.Manylinux || tag.Family == packaging.Musllinux {
		families = append(families, packaging.Linux)
	}
	*p = Platform{text: s, families: families, arch: tag.Arch, major: tag.Major, minor: tag.Minor}
	return nil
}

// String gives the written form.
func (p Platform) String() string { return p.text }

// runs reports whether what is built for a platform runs on p.
func (p *Platform) runs(tag packaging.PlatformTag) bool {
	if !slices.Contains(p.families, tag.Family) {
		return false
	}
	switch tag.Family {
	case packaging.OtherPlatform:
		return len(tag.Arch) > len(p.word) && hasFold(tag.Arch[:len(p.word)], p.word) && !isLetter(tag.Arch[len(p.word)])
	case packaging.Linux:
	default:
		if p.major != 0 && (tag.Major > p.major || tag.Major == p.major && tag.Minor > p.minor) {
			return false
		}
	}
	return p.arch == "" || tag.Arch == "" || tag.Arch == p.arch || tag.Family == packaging.MacOS && isFat(p.arch, tag.Arch)
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// isFat reports whether a format of macOS has code for several processors, this one
// among them.
func isFat(arch, format string) bool {
	switch format {
	case "universal2":
		return arch == "x86_64" || arch == "arm64"
	case "intel", "universal", "fat64", "fat32", "fat3":
		return arch == "x86_64"
	}
	return false
}

// onPlatforms reports whether a file runs everywhere, or on a platform that is
// wanted.
func (f *filtering) onPlatforms(name *packaging.Filename) bool {
	switch name.Kind {
	case packaging.Sdist:
		return true
	case packaging.Wheel:
		return anyTag(name.Platform, func(tag string) bool { return f.onPlatform(packaging.ParsePlatform(tag)) })
	}
	return f.onPlatform(oldPlatform(name))
}

func (f *filtering) onPlatform(tag packaging.PlatformTag) bool {
	return tag.Family == packaging.AnyPlatform || slices.ContainsFunc(f.Platforms, func(p Platform) bool { return p.runs(tag) })
}

// oldPlatform gives the platform of an egg, an installer or a package of a system.
func oldPlatform(f *packaging.Filename) packaging.PlatformTag {
	switch f.Kind {
	case packaging.RPM, packaging.Deb:
		switch arch := strings.ToLower(f.Platform); arch {
		case "noarch", "all", "":
			return packaging.PlatformTag{Family: packaging.Linux}
		case "amd64":
			return packaging.PlatformTag{Family: packaging.Linux, Arch: "x86_64"}
		case "arm64":
			return packaging.PlatformTag{Family: packaging.Linux, Arch: "aarch64"}
		case "i386", "i586":
			return packaging.PlatformTag{Family: packaging.Linux, Arch: "i686"}
		default:
			return packaging.PlatformTag{Family: packaging.Linux, Arch: arch}
		}
	}
	if f.Platform != "" {
		return packaging.ParsePlatform(strings.NewReplacer("-", "_", ".", "_").Replace(f.Platform))
	}
	switch f.Kind {
	case packaging.Wininst, packaging.MSI:
		return packaging.PlatformTag{Family: packaging.Windows}
	case packaging.DMG:
		return packaging.PlatformTag{Family: packaging.MacOS}
	}
	return packaging.PlatformTag{Family: packaging.AnyPlatform}
}
