package lockfile

import (
	"net/url"
	"path"
	"strings"

	"nestgen/packaging"
)

// A Form is a kind of lock file.
type Form uint8

// The forms of lock file.
const (
	Pylock Form = iota + 1 // pylock.toml and pylock.NAME.toml (PEP 751)
	UV                     // uv.lock
	Poetry                 // poetry.lock
	PDM                    // pdm.lock
	Pipenv                 // Pipfile.lock
)

// String gives the name that files of the form have.
func (f Form) String() string {
	switch f {
	case Pylock:
		return "pylock.toml"
	case UV:
		return "uv.lock"
	case Poetry:
		return "poetry.lock"
	case PDM:
		return "pdm.lock"
	case Pipenv:
		return "Pipfile.lock"
	}
	return "no lock file"
}

// FormOf tells by its name, a path or a URL, whether a file is a lock file, and of
// which form.
func FormOf(name string) (Form, bool) {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	if isRemote(name) {
		base = urlName(name)
	}
	for _, f := range []Form{Pylock, UV, Poetry, PDM, Pipenv} {
		if base == f.String() {
			return f, true
		}
	}
	middle, ok := strings.CutPrefix(base, "pylock.")
	middle, toml := strings.CutSuffix(middle, ".toml")
	if ok && toml && middle != "" && !strings.Contains(middle, ".") {
		return Pylock, true
	}
	return 0, false
}

// A Lock is what a lock file says.
type Lock struct {
	Form Form

	// Version is the version of the form as the file gives it, and CreatedBy the
	// tool that wrote it where the form says so. Both may be empty.
	Version, CreatedBy string

	// Packages are the entries, in the order of the file. A project may come more
	// than once: for several environments, or with extras.
	Packages []Package
}

// A Package is one entry of a lock file.
type Package struct {
	// Name is the name as it is written, and Project the same normalized.
	Name    string
	Project packaging.Name

	// Version is the version as it is written; it may be empty, and need not be
	// valid.
	Version string

	// Marker says which environments the entry is for, and RequiresPython which
	// versions of Python; both as they are written, or empty.
	Marker, RequiresPython string

	// Source is where the package comes from.
	Source Source

	// Address is, by Source: the index, empty if the file does not say it; the
	// archive; the repository, as "git+https://…@COMMIT"; the path. It may hold a
	// login or a token.
	Address string

	// Files are what the entry names. Of the files of one name, which differ in
	// their hashes, one is meant.
	Files []File

	// Line is where the entry stands, from 1; 0 if that is not known.
	Line int
}

// A Source is where a package comes from.
type Source uint8

// The sources of packages.
const (
	FromIndex     Source = iota // an index, which has the files, or a folder of wheels and sdists
	FromURL                     // one archive behind an address
	FromVCS                     // a repository
	FromPath                    // a file of the machine that the lock was made on
	FromDirectory               // a directory there
	Itself                      // the project that is locked
)

// A File is one file that a lock file names.
type File struct {
	// Name is the file's name. It is empty where the form tells only the hashes.
	Name string

	// URL is where the file was, and Path where, beside the lock file, the machine
	// had it on which that was made; either may be empty. The URL may hold a login
	// or a token.
	URL, Path string

	// Size is in bytes, -1 if it is not known.
	Size int64

	// Hashes are the digests by algorithm, both in lower case. The file must have
	// every one of them. There may be none.
	Hashes map[string]string

	// Uploaded is in microseconds since 1970 UTC, 0 if it is not known.
	Uploaded int64
}

// A Problem is a fault of a lock file.
type Problem struct {
	// Line counts from 1; 0 is the file as a whole.
	Line int

	// Package is the entry that it is about, as it is written, or empty.
	Package string

	// Warning says that nothing is left out because of it. Otherwise it costs the
	// entry or, where it is about none, a part of the file.
	Warning bool

	// Text says what is wrong, Hint what can be done about it, or nothing. Neither
	// holds a login, and both may be shown on a terminal.
	Text, Hint string
}

// isRemote reports whether the name of a lock file is an address of the network.
func isRemote(name string) bool {
	scheme, _, ok := strings.Cut(name, "://")
	scheme = strings.ToLower(scheme)
	return ok && (scheme == "http" || scheme == "https" || scheme == "ftp")
}

// urlName gives the last part of the path of an address, decoded.
func urlName(address string) string {
	if u, err := url.Parse(address); err == nil && u.Opaque == "" {
		// Of an escaped slash too nothing is a folder.
		escaped := u.EscapedPath()
		address = escaped[strings.LastIndexByte(escaped, '/')+1:]
	} else {
		address, _, _ = strings.Cut(address, "#")
		address, _, _ = strings.Cut(address, "?")
		address = address[strings.LastIndexByte(address, '/')+1:]
	}
	if name, err := url.PathUnescape(address); err == nil {
		return name
	}
	return address
}

// pathName gives the last part of a path as any system writes it.
func pathName(p string) string {
	return p[strings.LastIndexAny(p, `/\`)+1:]
}
