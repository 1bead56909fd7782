package target

import (
	"fmt"
	"slices"
	"strconv"

	"nestgen/packaging"
)

// An interpreter is a Python, as far as tags go.
type interpreter struct {
	short        string // "cp" or "pp"
	major, minor int
	abis         []string // the best first; without "abi3" and "none"
	freeThreaded bool
}

// tags gives the compatibility tags in the order of pip (its get_supported,
// which is packaging.tags but for the interpreter that is named before "any"):
// what was built for this very Python, the stable ABI of it and of all before,
// then what needs no Python's ABI, then what needs no platform.
func (in interpreter) tags(platforms []string) []packaging.Tag {
	this := in.name(in.short, in.minor)
	var tags []packaging.Tag
	add := func(python, abi string) {
		for _, p := range platforms {
			tags = append(tags, packaging.Tag{Python: python, ABI: abi, Platform: p})
		}
	}
	for _, abi := range in.abis {
		add(this, abi)
	}
	stable := in.stableABI()
	if stable != "" {
		add(this, stable)
	}
	add(this, "none")
	if stable != "" {
		for minor := in.minor - 1; minor >= 2; minor-- {
			add(in.name(in.short, minor), stable)
		}
	}
	generic := []string{in.name("py", in.minor), "py" + strconv.Itoa(in.major)}
	for minor := in.minor - 1; minor >= 0; minor-- {
		generic = append(generic, in.name("py", minor))
	}
	for _, python := range generic {
		add(python, "none")
	}
	for _, python := range append([]string{this}, generic...) {
		tags = append(tags, packaging.Tag{Python: python, ABI: "none", Platform: "any"})
	}
	return tags
}

// stableABI gives the name of the stable ABI (PEP 384, PEP 803); "" if there is
// none, as in Python 2 and PyPy.
func (in interpreter) stableABI() string {
	switch {
	case in.short != "cp" || in.major < 3 || in.major == 3 && in.minor < 2:
		return ""
	case in.freeThreaded:
		return "abi3t"
	}
	return "abi3"
}

func (in interpreter) name(prefix string, minor int) string {
	return prefix + strconv.Itoa(in.major) + strconv.Itoa(minor)
}

// A version is that of a C library or of macOS.
type version struct{ major, minor int }

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// manylinux gives the tags of a Linux with a glibc, the newest first: each with
// its older name behind it (PEP 600), then that of Linux without a promise, as
// every pip before 26.3 has it; the newest ones have it first.
func manylinux(glibc version, arch string) []string {
	// The first manylinux of all is that of glibc 2.5 (PEP 513); architectures
	// beyond Intel's came with 2.17 (PEP 599).
	oldest := 17
	if arch == "x86_64" || arch == "i686" {
		oldest = 5
	}
	var tags []string
	for minor := glibc.minor; hasManylinux[arch] && minor >= oldest; minor-- {
		p := packaging.PlatformTag{Family: packaging.Manylinux, Major: glibc.major, Minor: minor, Arch: arch}
		tags = append(tags, p.String())
		if old, ok := p.Legacy(); ok {
			tags = append(tags, old)
		}
	}
	return append(tags, "linux_"+arch)
}

// hasManylinux are the architectures that installers look for manylinux tags on.
var hasManylinux = map[string]bool{
	"x86_64": true, "i686": true, "aarch64": true, "armv7l": true, "ppc64": true, "ppc64le": true,
	"s390x": true, "riscv64": true, "loongarch64": true,
}

// musllinux gives the tags of a Linux with a musl (PEP 656).
func musllinux(musl version, arch string) []string {
	var tags []string
	for minor := musl.minor; minor >= 0; minor-- {
		tags = append(tags, packaging.PlatformTag{Family: packaging.Musllinux, Major: musl.major, Minor: minor, Arch: arch}.String())
	}
	return append(tags, "linux_"+arch)
}

// macos gives the tags of a macOS. From 11 on only the first number counts; what
// was built for 10 goes on running on Intel, and so do binaries for both
// processors, which may say that their Intel half runs on 10.
func macos(release version, arch string) []string {
	var tags []string
	add := func(major, minor int, formats []string) {
		for _, format := range formats {
			tags = append(tags, packaging.PlatformTag{Family: packaging.MacOS, Major: major, Minor: minor, Arch: format}.String())
		}
	}
	for major := release.major; major > 10; major-- {
		add(major, 0, macFormats(version{major, 0}, arch))
	}
	if release.major == 10 {
		for minor := release.minor; minor >= 0; minor-- {
			add(10, minor, macFormats(version{10, minor}, arch))
		}
		return tags
	}
	for minor := 16; minor > 3; minor-- {
		if arch == "x86_64" {
			add(10, minor, macFormats(version{10, minor}, arch))
		} else {
			add(10, minor, []string{"universal2"})
		}
	}
	return tags
}

// macFormats gives the formats of a binary that run on a processor.
func macFormats(release version, arch string) []string {
	switch {
	case arch == "x86_64" && release.major == 10 && release.minor < 4:
		return nil
	case arch == "x86_64":
		return []string{"x86_64", "intel", "fat64", "fat3", "universal2", "universal"}
	}
	return []string{arch, "universal2"}
}

// archs are the architectures that each system's preset takes, by the word that
// the system uses for them.
var archs = []struct {
	system string
	archs  []string
}{
	{"linux", []string{"x86_64", "aarch64", "i686", "armv7l", "armv6l", "ppc64le", "ppc64", "s390x", "riscv64", "loongarch64"}},
	{"musllinux", []string{"x86_64", "aarch64", "i686", "armv7l", "armv6l", "ppc64le", "s390x", "riscv64", "loongarch64"}},
	{"macos", []string{"arm64", "x86_64"}},
	{"windows", []string{"amd64", "arm64", "x86"}},
}

// Archs gives the architectures that presets have on "linux", "musllinux", "macos"
// or "windows", as they spell them; nil for another word.
func Archs(system string) []string { return slices.Clone(archsOf(system)) }

func archsOf(system string) []string {
	for _, a := range archs {
		if a.system == system {
			return a.archs
		}
	}
	return nil
}

// defaultGlibc is the glibc of a Linux of which nothing else is said: 2.28, that
// of Debian 10 and RHEL 8, or what the oldest systems for an architecture have
// that is younger.
func defaultGlibc(arch string) version {
	switch arch {
	case "armv7l", "armv6l":
		return version{2, 31}
	case "riscv64":
		return version{2, 39}
	case "loongarch64":
		return version{2, 38}
	}
	return version{2, 28}
}

var (
	defaultMusl  = version{1, 2}
	defaultMacOS = version{13, 0}
)

// platforms gives the platform tags of a machine.
func (m *machine) platforms() []string {
	switch m.system {
	case "linux":
		return manylinux(m.glibc, m.arch)
	case "musllinux":
		return musllinux(m.musl, m.arch)
	case "macos":
		return macos(m.macos, m.arch)
	}
	return []string{packaging.PlatformTag{Family: packaging.Windows, Arch: m.arch}.String()}
}

// markers gives the markers of a machine.
func (m *machine) markers() packaging.Environment {
	e := packaging.Environment{
		PlatformMachine:              m.arch,
		PlatformPythonImplementation: "CPython",
		ImplementationName:           "cpython",
		PythonVersion:                fmt.Sprintf("%d.%d", m.python.major, m.python.minor),
		PythonFullVersion:            m.full,
		ImplementationVersion:        m.full,
	}
	if m.python.short == "pp" {
		e.PlatformPythonImplementation, e.ImplementationName, e.ImplementationVersion = "PyPy", "pypy", pypyRelease(m.python.minor)
	}
	old := m.python.major < 3 || m.python.major == 3 && m.python.minor < 3
	if old {
		// Without sys.implementation, packaging says these.
		e.ImplementationName, e.ImplementationVersion = "", "0"
	}
	switch m.system {
	case "linux", "musllinux":
		e.OSName, e.SysPlatform, e.PlatformSystem = "posix", "linux", "Linux"
		if old {
			e.SysPlatform = "linux2"
		}
	case "macos":
		e.OSName, e.SysPlatform, e.PlatformSystem = "posix", "darwin", "Darwin"
		e.PlatformRelease = darwin(m.macos)
	case "windows":
		e.OSName, e.SysPlatform, e.PlatformSystem = "nt", "win32", "Windows"
		e.PlatformRelease, e.PlatformVersion = "10", "10.0.19045"
		e.PlatformMachine = map[string]string{"amd64": "AMD64", "arm64": "ARM64", "x86": "x86"}[m.arch]
	}
	return e
}

// darwin gives the release of the kernel that a macOS has.
func darwin(macos version) string {
	switch {
	case macos.major == 10:
		return fmt.Sprintf("%d.0.0", macos.minor+4)
	case macos.major < 26:
		return fmt.Sprintf("%d.%d.0", macos.major+9, macos.minor)
	}
	return fmt.Sprintf("%d.%d.0", macos.major-1, macos.minor) // from 26 on Apple counts years
}
