package target

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"nestgen/internal/distance"
	"nestgen/packaging"
)

// A machine is what the name of a preset says, and what stands where it says
// nothing.
type machine struct {
	python interpreter
	full   string // the full version of the Python
	system string // "linux", "musllinux", "macos" or "windows"
	arch   string
	glibc  version
	musl   version
	macos  version
}

// Grammar says how the name of a preset is made, for messages.
const Grammar = "want PYTHON-SYSTEM-ARCH as in cp312-linux-x86_64, pp311-macos-arm64 or cp313t-windows-amd64, " +
	"or PYTHON-PLATFORM with a platform tag as in cp312-manylinux_2_34_x86_64; SYSTEM is linux, musllinux, macos or windows"

// Parse gives the target of a preset's name:
//
//	PYTHON-SYSTEM-ARCH    cp312-linux-x86_64, pp311-macos-arm64, cp27-windows-x86
//	PYTHON-PLATFORM       cp312-manylinux_2_34_x86_64, cp311-macosx_14_0_arm64
//
// PYTHON is "cp" for CPython or "pp" for PyPy, and the version without dots.
// Behind CPython's may stand the letters of an ABI: t for free-threaded, d for
// debug, and before Python 3.8 m and u (cp27mu); without them it is the ABI of
// ordinary builds for that system. A Python is the last release of its minor
// version that this program knows.
//
// SYSTEM is linux, with glibc 2.28 (2.31 on ARM's 32 bits, 2.38 on loongarch64,
// 2.39 on riscv64); musllinux, with musl 1.2; macos, which is 13.0; or windows.
// ARCH is spelled as the system does: x86_64, aarch64, i686, armv7l, armv6l,
// ppc64le, ppc64, s390x, riscv64, loongarch64; arm64, x86_64; amd64, arm64, x86.
// Of the kernel nothing is known but on macOS, where it follows from the
// release; Windows is version 10.
//
// An error says how names are made, and what was probably meant.
func Parse(name string) (Target, error) {
	return Spec{Name: name, Like: name}.Target()
}

// parse reads the name of a preset.
func parse(name string) (machine, error) {
	m, fault := scan(name)
	if fault == "" {
		return m, nil
	}
	if near := nearest(name); near != "" {
		fault += fmt.Sprintf("; did you mean %q?", near)
	}
	return machine{}, fmt.Errorf("environment %s: %s (%s)", quoted(name), fault, Grammar)
}

// quoted gives an outside text for a message, cut where it is too long to read.
func quoted(s string) string {
	if len(s) > 100 {
		return strconv.Quote(s[:100]) + "..."
	}
	return strconv.Quote(s)
}

// scan reads the name of a preset. fault is empty if it is one.
func scan(name string) (m machine, fault string) {
	python, platform, ok := strings.Cut(name, "-")
	if !ok {
		return m, "no dash behind the Python"
	}
	if fault := m.setPlatform(platform); fault != "" {
		return m, fault
	}
	if fault := m.setPython(python); fault != "" {
		return m, fault
	}
	return m, ""
}

func (m *machine) setPlatform(s string) (fault string) {
	system, arch, words := strings.Cut(s, "-")
	if known := archsOf(system); known != nil && arch == "" {
		return fmt.Sprintf("no architecture stands behind %s: there are %s", system, strings.Join(known, ", "))
	}
	if !words {
		p := packaging.ParsePlatform(s)
		system, arch = "", p.Arch
		switch p.Family {
		case packaging.Manylinux:
			system, m.glibc = "linux", version{p.Major, p.Minor}
		case packaging.Musllinux:
			system, m.musl = "musllinux", version{p.Major, p.Minor}
		case packaging.MacOS:
			system, m.macos = "macos", version{p.Major, p.Minor}
		case packaging.Windows:
			system = "windows"
		}
		if system == "" {
			return fmt.Sprintf("%s is neither SYSTEM-ARCH nor the platform tag of a manylinux, musllinux, macosx or win", quoted(s))
		}
	}
	known := archsOf(system)
	if known == nil {
		return fmt.Sprintf("no system is called %s", quoted(system))
	}
	if !slices.Contains(known, arch) {
		return fmt.Sprintf("no architecture of %s is called %s: there are %s", system, quoted(arch), strings.Join(known, ", "))
	}
	m.system, m.arch = system, arch
	if m.glibc == (version{}) {
		m.glibc = defaultGlibc(arch)
	}
	if m.musl == (version{}) {
		m.musl = defaultMusl
	}
	if m.macos == (version{}) {
		m.macos = defaultMacOS
	}
	return m.checkVersions()
}

// maxNumber is the largest number in a version of a C library, a system or a
// Python that is believed. The number of tags grows with it.
const maxNumber = 99

// checkVersions gives the fault of the versions that a machine has, if any.
func (m *machine) checkVersions() string {
	switch {
	case m.glibc.major != 2 || m.glibc.minor > maxNumber:
		return fmt.Sprintf("glibc %s: there is none of this version", m.glibc)
	case m.musl.major != 1 || m.musl.minor > maxNumber:
		return fmt.Sprintf("musl %s: there is none of this version", m.musl)
	case m.macos.major < 10 || m.macos.major > maxNumber || m.macos.minor > maxNumber:
		return fmt.Sprintf("macOS %s: there is none of this version", m.macos)
	case m.system == "macos" && m.arch == "arm64" && m.macos.major < 11:
		return fmt.Sprintf("macOS %s: arm64 begins with 11.0", m.macos)
	}
	return ""
}

// setPython reads the part before the first dash. The platform is known.
func (m *machine) setPython(s string) (fault string) {
	if len(s) < 2 || s[:2] != "cp" && s[:2] != "pp" {
		return fmt.Sprintf("the Python %s begins with neither cp nor pp", quoted(s))
	}
	in := interpreter{short: s[:2]}
	rest := s[2:]
	n := 0
	for n < len(rest) && '0' <= rest[n] && rest[n] <= '9' {
		n++
	}
	digits, flags := rest[:n], rest[n:]
	if len(digits) < 2 || len(digits) > 3 || digits[1] == '0' && len(digits) > 2 || digits[0] != '2' && digits[0] != '3' {
		return fmt.Sprintf("the Python %s has no version such as 27 or 312 behind %s", quoted(s), in.short)
	}
	in.major = int(digits[0] - '0')
	in.minor, _ = strconv.Atoi(digits[1:])
	if in.major == 2 && in.minor > 7 {
		return fmt.Sprintf("there is no Python 2.%d", in.minor)
	}
	if in.short == "pp" {
		if flags != "" {
			return fmt.Sprintf("the Python %s: PyPy's ABI has no letters", quoted(s))
		}
		in.abis = []string{fmt.Sprintf("pypy%s_pp73", digits)}
		if in.major == 2 {
			in.abis = []string{"pypy_73"}
		}
	} else if in.abis, fault = in.cpythonABIs(digits, flags, m.system); fault != "" {
		return fmt.Sprintf("the Python %s: %s", quoted(s), fault)
	}
	in.freeThreaded = strings.HasPrefix(flags, "t")
	m.python, m.full = in, in.fullVersion()
	return ""
}

// cpythonABIs gives the ABIs of a CPython, the best first. Since 3.8 a debug
// build loads what was built for an ordinary one too.
func (in interpreter) cpythonABIs(digits, flags, system string) (abis []string, fault string) {
	modern := in.major == 3 && in.minor >= 8
	if flags == "" && !modern {
		flags = "m"
		if (in.major == 2 || in.minor < 3) && (system == "linux" || system == "musllinux") {
			flags = "mu" // Linux has wide characters, the others narrow ones
		}
	}
	rest, t := strings.CutPrefix(flags, "t")
	rest, d := strings.CutPrefix(rest, "d")
	rest, _ = strings.CutPrefix(rest, "m")
	rest, u := strings.CutPrefix(rest, "u")
	switch {
	case rest != "":
		return nil, fmt.Sprintf("its letters %s are not of t, d, m and u in this order", quoted(flags))
	case t && (in.major < 3 || in.minor < 13):
		return nil, "free-threaded (t) begins with 3.13"
	case modern && strings.ContainsAny(flags, "mu"):
		return nil, "the letters m and u ended with 3.7"
	case u && in.major == 3 && in.minor > 2:
		return nil, "the letter u ended with 3.2"
	}
	abis = []string{"cp" + digits + flags}
	if modern && d {
		abis = append(abis, "cp"+digits+strings.TrimSuffix(flags, "d"))
	}
	return abis, ""
}

// newestPython is what a hint has where no Python can be made out.
var newestPython = "cp3" + strconv.Itoa(NewestMinor)

// otherWords are words for systems and architectures that people use elsewhere.
var otherWords = map[string]string{
	"manylinux": "linux", "glibc": "linux", "gnu": "linux", "ubuntu": "linux", "debian": "linux",
	"musl": "musllinux", "alpine": "musllinux",
	"darwin": "macos", "osx": "macos", "mac": "macos", "macosx": "macos", "win": "windows", "win32": "windows-x86", "win64": "windows-amd64",
	"amd64": "x86_64", "x64": "x86_64", "x86_64": "x86_64", "intel": "x86_64",
	"arm64": "aarch64", "aarch64": "aarch64", "armv8": "aarch64",
	"x86": "i686", "i386": "i686", "i586": "i686", "i686": "i686", "armhf": "armv7l", "armv7": "armv7l", "ppc64el": "ppc64le",
}

// nearest gives the name of a preset that was probably meant; "" if none is
// near.
func nearest(name string) string {
	if len(name) > 60 {
		return ""
	}
	name = strings.ToLower(strings.TrimSpace(name))
	if !strings.Contains(name, "-") {
		name = strings.Replace(name, "_", "-", 1)
	}
	python, platform, _ := strings.Cut(name, "-")
	if _, is := otherWords[python]; is || archsOf(python) != nil {
		python, platform = newestPython, name // the Python is missing
	}
	system, arch, words := strings.Cut(platform, "-")
	if !words {
		system, arch, _ = strings.Cut(platform, "_")
	}
	if strings.HasPrefix(system, "manylinux") || system == "" {
		system = "linux"
	}
	if s, ok := otherWords[system]; ok {
		system, arch, _ = strings.Cut(s+"-"+arch, "-")
		arch = strings.TrimSuffix(arch, "-")
	}
	if a, ok := otherWords[arch]; ok {
		arch = a
	}
	// Each system has its own word for the same processor.
	if known := archsOf(system); known != nil && !slices.Contains(known, arch) {
		switch arch {
		case "":
			arch = known[0]
		case "x86_64":
			arch = "amd64"
		case "aarch64":
			arch = "arm64"
		case "i686":
			arch = "x86"
		}
	}
	short := "cp"
	if strings.HasPrefix(python, "pp") || strings.HasPrefix(python, "pypy") {
		short = "pp"
	}
	version := strings.ReplaceAll(strings.TrimLeft(python, "abcdefghijklmnopqrstuvwxyz"), ".", "")
	for _, version := range []string{version, "3" + version} {
		guess := short + version + "-" + system + "-" + arch
		if _, fault := scan(guess); fault == "" {
			return guess
		}
	}
	best, far := "", 5
	for _, a := range archs {
		for _, arch := range a.archs {
			try := python + "-" + a.system + "-" + arch
			if _, fault := scan(try); fault != "" {
				try = short + version + "-" + a.system + "-" + arch
				if _, fault := scan(try); fault != "" {
					try = newestPython + "-" + a.system + "-" + arch
				}
			}
			if d := distance.Between(name, try); d < far {
				best, far = try, d
			}
		}
	}
	return best
}
