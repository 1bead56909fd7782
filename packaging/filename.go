package packaging

import (
	"errors"
	"fmt"
	"strings"
)

// A Filename is what the name of a distribution file says about it. Empty
// fields are parts that the name does not have or that its kind has no place
// for.
type Filename struct {
	// Name is the project's name as the file name spells it.
	Name string

	// Project is Name, normalized.
	Project Name

	// Version is normalized where it follows PEP 440, and stands as it is in
	// the file name where it does not; LegacyVersion tells the two apart.
	Version       string
	LegacyVersion bool

	Kind Kind

	// Ext is the extension with its leading dot, as in ".whl" or ".tar.gz".
	Ext string

	// Build is a wheel's build tag, the number of an egg's build, or the
	// release of an RPM or a Debian package.
	Build string

	// Python is a wheel's set of interpreter tags ("py2.py3"), or the version
	// that an egg or an old installer is for ("2.7").
	Python string

	// ABI is a wheel's set of ABI tags.
	ABI string

	// Platform is a wheel's set of platform tags, or the platform that an
	// egg, an installer or a dumb archive is for ("win32", "linux-x86_64").
	Platform string

	// Ambiguous says that the name can be split into project and version in
	// more than one place, so that the file's own metadata should decide.
	Ambiguous bool

	// Warning is something about the name that a person should know, for
	// example that new installers pass the file over. It is empty for an
	// ordinary name.
	Warning string
}

// A FilenameError says why a file name is not that of a distribution that can
// be listed.
type FilenameError struct {
	Filename string
	Fault    string

	// Remedy is what a person can do about it; often empty.
	Remedy string

	// Err is [ErrNotDistribution], or nil.
	Err error
}

// Error names the file and the fault, not the remedy.
func (e *FilenameError) Error() string {
	return fmt.Sprintf("file name %q: %s", e.Filename, e.Fault)
}

// Unwrap gives Err.
func (e *FilenameError) Unwrap() error { return e.Err }

// ErrNotDistribution is matched by the error for a name without the extension
// of any kind of distribution: the file was not meant for an index.
var ErrNotDistribution = errors.New("not a distribution")

// ParseFilename reads the name of a distribution file of any kind, old and
// ugly ones included, as a mirror has to. The hint is the project that the
// file is known to belong to, and a file of another project is an error then;
// an empty hint stands for "not known", and a name with several dashes is split
// at the leftmost one that has a version to its right. Names that
// [CheckFilename] refuses are refused here too.
//
// An error is a [*FilenameError]. It matches [ErrNotDistribution] when the name
// has no extension of a distribution.
func ParseFilename(s string, hint Name) (Filename, error) {
	if err := CheckFilename(s); err != nil {
		return Filename{}, err
	}
	stem, ext, kind := splitExt(s)
	f := Filename{Kind: kind, Ext: ext}
	var fault string
	switch kind {
	case UnknownKind:
		return Filename{}, unknownExt(s)
	case Wheel:
		fault = f.readWheel(stem)
	case Egg:
		fault = f.readEgg(stem, hint)
	case RPM:
		fault = f.readRPM(stem, hint)
	case Deb:
		fault = f.readDeb(stem, hint)
	default:
		fault = f.readArchive(stem, hint)
	}
	if fault == "" {
		fault = f.finish(hint)
	}
	if fault != "" {
		return Filename{}, &FilenameError{Filename: s, Fault: fault}
	}
	return f, nil
}

// finish checks the name, normalizes name and version and adds the warnings
// that all kinds share. It gives the fault, or "".
func (f *Filename) finish(hint Name) (fault string) {
	switch {
	case f.Name == "":
		return "no project name"
	case f.Version == "":
		return "no version"
	case hint != "" && hint.Spells(f.Name):
		f.Project = hint
	case hint != "":
		return fmt.Sprintf("belongs to project %q, not to %q", NormalizeName(f.Name), string(hint))
	default:
		f.Project = NormalizeName(f.Name)
	}
	if !ValidName(f.Name) {
		return fmt.Sprintf("%q is not a valid project name", f.Name)
	}
	version, ok := normalVersion(f.Version)
	if ok {
		f.Version = version
	} else {
		f.LegacyVersion = true
	}
	if f.LegacyVersion && f.Kind == Sdist {
		// The other kinds are not for today's installers anyway.
		f.warn("version %q does not follow PEP 440: today's installers pass the file over", f.Version)
	}
	if f.Ambiguous {
		f.warn("read as %s %s, which its metadata should confirm", f.Name, f.Version)
	}
	return ""
}

// warn adds to f.Warning.
func (f *Filename) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if f.Warning != "" {
		text = f.Warning + "; " + text
	}
	f.Warning = text
}

// normalVersion gives the normal form of a version and whether it is one. A
// version that is normal already stays a part of s.
func normalVersion(s string) (string, bool) {
	v, err := ParseVersion(s)
	if err != nil {
		return "", false
	}
	if normal := v.String(); normal != s {
		return normal, true
	}
	return s, true
}

// readArchive reads "name-version" as sdists have it, and
// "name-version.platform-pyX.Y" as dumb archives and installers do. A file with
// an sdist's extension that is for one platform or one Python is not an sdist:
// an installer that took it for one would unpack installed files.
func (f *Filename) readArchive(stem string, hint Name) (fault string) {
	if fault := f.splitStem(stem, hint); fault != "" {
		return fault
	}
	if ValidVersion(f.Version) {
		return ""
	}
	version, python, platform, ok := cutPlatform(f.Version)
	if !ok {
		return ""
	}
	f.Version, f.Python, f.Platform = version, python, platform
	if f.Kind == Sdist {
		f.Kind = Dumb
	}
	return ""
}

// splitStem finds the dash between name and version (contract FN-3 with a
// hint, FN-4 b and c without) and sets Name, Version and Ambiguous.
func (f *Filename) splitStem(stem string, hint Name) (fault string) {
	if hint != "" {
		name, version, ok := SplitFilename(stem, hint)
		if !ok {
			return fmt.Sprintf("does not begin with the project name %q and a dash", string(hint))
		}
		f.Name, f.Version = name, version
		return ""
	}
	first := strings.IndexByte(stem, '-')
	if first < 0 {
		return "no dash between a project name and a version"
	}
	at, digit, last := -1, -1, first // last: of the dashes right of a valid name
	for i := first; i < len(stem); i++ {
		if stem[i] != '-' {
			continue
		}
		if i == first && strings.IndexByte(stem[i+1:], '-') < 0 {
			at = i // one dash: no choice, whatever stands right of it
			break
		}
		if !ValidName(stem[:i]) {
			continue
		}
		last = i
		right := stem[i+1:]
		if digit < 0 && right != "" && isDigit(right[0]) {
			digit = i
		}
		if ValidVersion(right) {
			if at >= 0 {
				f.Ambiguous = true
				break
			}
			at = i
		} else if at < 0 {
			if version, _, _, ok := cutPlatform(right); ok && ValidVersion(version) {
				at = i
				break // the dashes right of here belong to the platform
			}
		}
	}
	if at < 0 {
		f.Ambiguous = true
		if at = digit; at < 0 {
			at = last
		}
	}
	f.Name, f.Version = stem[:at], stem[at+1:]
	return ""
}

// SplitFilename splits a file name without its extension at the first dash that
// has a spelling of project to its left, as pip does for a project that it
// knows (contract FN-3). The version is whatever stands to the right; ok is false when
// there is no such dash. It does not allocate.
func SplitFilename(stem string, project Name) (name, version string, ok bool) {
	for i := 0; i < len(stem); i++ {
		if stem[i] == '-' && project.Spells(stem[:i]) {
			return stem[:i], stem[i+1:], true
		}
	}
	return "", "", false
}
