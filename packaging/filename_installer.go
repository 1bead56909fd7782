package packaging

import (
	"fmt"
	"strings"
)

// platforms are the words that a platform begins with in the names that
// distutils gave to dumb archives and installers. The next character is a dash,
// a dot, a digit or nothing.
var platforms = []string{
	"linux", "macosx", "win", "cygwin", "mingw", "darwin", "freebsd", "openbsd",
	"netbsd", "dragonfly", "solaris", "sunos", "aix", "hp-ux", "irix", "osf1",
	"java", "any",
}

// cutPlatform takes the platform and the Python version off a version text:
// "1.0.win32-py2.7" gives "1.0", "2.7" and "win32". What stands after those, as
// in "1.5.1.win32-py2.7-nosse", is dropped. ok is false when there is neither.
func cutPlatform(s string) (version, python, platform string, ok bool) {
	for i := 1; i < len(s); i++ {
		if s[i] != '.' && s[i] != '-' {
			continue
		}
		rest := s[i+1:]
		if isPlatform(rest) {
			platform = rest
			if j := pythonAt(rest); j >= 0 {
				platform, python = rest[:j], eggPython(rest[j:])
			}
			return s[:i], python, platform, true
		}
		if s[i] == '-' && pythonAt(s[i:]) == 0 {
			return s[:i], eggPython(s[i:]), "", true
		}
	}
	return s, "", "", false
}

// isPlatform reports whether s begins with a platform.
func isPlatform(s string) bool {
	for _, p := range platforms {
		rest, ok := strings.CutPrefix(s, p)
		if ok && (rest == "" || rest[0] == '-' || rest[0] == '.' || isDigit(rest[0])) {
			return true
		}
	}
	return false
}

// pythonAt gives where "-pyX" begins in s, or -1.
func pythonAt(s string) int {
	for from := 0; ; {
		i := strings.Index(s[from:], "-py")
		if i < 0 {
			return -1
		}
		i += from
		if i+3 < len(s) && isDigit(s[i+3]) {
			return i
		}
		from = i + 3
	}
}

// eggPython gives "2.7" for a text that begins with "-py2.7".
func eggPython(s string) string {
	s = s[len("-py"):]
	if i := strings.IndexByte(s, '-'); i >= 0 {
		s = s[:i]
	}
	return s
}

// readRPM reads "name-version-release.arch".
func (f *Filename) readRPM(stem string, hint Name) (fault string) {
	const want = "not of the form name-version-release.arch.rpm"
	dot := strings.LastIndexByte(stem, '.')
	if dot < 0 {
		return want
	}
	f.Platform = stem[dot+1:]
	rest := stem[:dot]
	dash := strings.LastIndexByte(rest, '-')
	if dash < 0 {
		return want
	}
	f.Build = rest[dash+1:]
	rest = rest[:dash]
	if dash = strings.LastIndexByte(rest, '-'); dash < 0 || f.Build == "" || f.Platform == "" {
		return want
	}
	// RPM has no dash in a version, so bdist_rpm writes an underscore.
	f.Name, f.Version = systemName(rest[:dash], hint), strings.ReplaceAll(rest[dash+1:], "_", "-")
	return ""
}

// readDeb reads "name_version-revision_arch", and "name-version" as some
// projects call theirs.
func (f *Filename) readDeb(stem string, hint Name) (fault string) {
	name, rest, ok := strings.Cut(stem, "_")
	version, arch, both := strings.Cut(rest, "_")
	if !ok || !both {
		return f.readArchive(stem, hint)
	}
	if i := strings.IndexByte(version, ':'); i >= 0 {
		version = version[i+1:] // Debian's epoch says nothing about the project's
	}
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		version, f.Build = version[:i], version[i+1:]
	}
	if hint == "" {
		hint = NormalizeName(trimSystemPrefix(name))
	}
	// Debian sorts 1.0~rc1 before 1.0; PEP 440 has no tilde.
	f.Name, f.Version, f.Platform = systemName(name, hint), strings.ReplaceAll(version, "~", ""), arch
	if f.Version == "" || arch == "" {
		return fmt.Sprintf("not of the form name_version_arch%s", f.Ext)
	}
	return ""
}

// systemName gives name without the prefix that distributions put before the
// names of Python packages, when it is the project's name only so.
func systemName(name string, hint Name) string {
	if hint == "" || hint.Spells(name) {
		return name
	}
	if bare := trimSystemPrefix(name); hint.Spells(bare) {
		return bare
	}
	return name
}

func trimSystemPrefix(name string) string {
	for _, prefix := range []string{"python3-", "python2-", "python-"} {
		if bare, ok := strings.CutPrefix(name, prefix); ok && bare != "" {
			return bare
		}
	}
	return name
}
