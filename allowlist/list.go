package allowlist

import (
	"slices"
	"strconv"
	"strings"

	"nestgen/lockfile"
	"nestgen/packaging"
)

// A List is what one or more allowlists say.
type List struct {
	// Wants are the requirements, in the order in which they are read: an
	// included list stands where it is included. A project may be wanted more
	// than once.
	Wants []Want

	// Constraints are the requirements of constraint files. They want nothing
	// by themselves; they narrow the wants of the same project.
	Constraints []Want

	// Options are the settings of all lists together, as pip adds them up.
	Options Options

	// Problems are the errors and warnings, in the order in which they are met.
	Problems []Problem
}

// Failed reports whether a problem of the list is an error.
func (l List) Failed() bool {
	return slices.ContainsFunc(l.Problems, func(p Problem) bool { return p.Severity == Error })
}

// Partial reports whether something could not be read that other lines may
// depend on: a whole list, an option, or a line of a constraint file. What is
// left asks for more than was meant, perhaps, and not only for less.
func (l List) Partial() bool {
	return slices.ContainsFunc(l.Problems, func(p Problem) bool { return p.Partial })
}

// A Position is a line of a list.
type Position struct {
	// File is the name of the list as it was given, or as it follows from the
	// list that includes it.
	File string

	// Line counts from 1, at every line end that pip knows. Zero is the file
	// as a whole.
	Line int
}

// String gives file:line, or the file alone.
func (p Position) String() string {
	f := redact(p.File)
	if p.Line == 0 {
		return f
	}
	return f + ":" + strconv.Itoa(p.Line)
}

// A Kind is where the bytes of a want come from.
type Kind uint8

// The kinds of want.
const (
	FromIndex Kind = iota // by name, from an index
	Archive               // a file behind an http, https or ftp URL
	VCS                   // a repository
	Path                  // a file or directory of this machine
)

// String gives the kind in a word.
func (k Kind) String() string {
	switch k {
	case Archive:
		return "archive"
	case VCS:
		return "vcs"
	case Path:
		return "path"
	}
	return "index"
}

// A Want is one requirement line, or one package of a lock file.
type Want struct {
	// Project is empty where the line does not tell it: a URL or a path
	// without an egg name, which is not a wheel.
	Project packaging.Name

	// Requirement is the line as a requirement. Its Name is empty when Project
	// is, and its URL is empty where the list writes the URL alone.
	Requirement packaging.Requirement

	// Hashes are the values of --hash by algorithm (sha256, sha384 or sha512),
	// in lower case and sorted. When there are any, only a file with one of these digests
	// is wanted.
	Hashes map[string][]string

	// Files are what a lock file names of the project, for a want of one: exactly
	// these are wanted, wherever they are. There are none where it names none.
	Files []lockfile.File

	// Editable is set for -e.
	Editable bool

	// Kind tells how the project is got; the fields below it are empty for
	// FromIndex, with one exception: EggVersion.
	Kind Kind

	// URL is the address, a file: URL for a path. It may hold a password:
	// print the Want, or Text, instead.
	URL string

	// Masked is URL with the names of variables in the place of their values,
	// where the line has any. Expanded is set when one of the values is in URL
	// before the fragment: variables are there to keep secrets out of a list.
	Masked   string
	Expanded bool

	// URLHashes are the digests in the URL's fragment by algorithm. The file
	// must have every one of them.
	URLHashes map[string]string

	// Path is the absolute local path of a want of kind Path.
	Path string

	// VCS is git, hg, svn or bzr for a want of kind VCS, and Revision what the
	// URL names after its last @, if anything.
	VCS, Revision string

	// Egg is the URL's egg name as it is written, extras and version
	// comparison cut off. Old lists put a version behind the name there, and
	// then EggVersion is that version and Project the part before it
	// ("OHM-0.1.1dev-r7031"). EggVersion is set without a URL for "name==dev"
	// and its like: what easy_install takes from a development link. It is as
	// written and need not be a valid version.
	Egg, EggVersion string

	// Subdirectory is the directory inside the archive or repository.
	Subdirectory string

	// Position is the first line of the requirement.
	Position Position

	// Text is the requirement and its options as written: continuations
	// joined, comments cut off, variables not replaced, passwords blotted out.
	Text string

	// Via is the chain of -r and -c lines that leads to the file, outermost
	// first. It is empty in the list that was asked for, and shared by the
	// wants of a file.
	Via []Position

	// Constraint is set for the lines of a constraint file.
	Constraint bool

	// List is the caller's own mark for wants of lists that it reads apart. [Read]
	// leaves it empty.
	List string
}

// Locked reports whether the want is for files that a lock file names, and for no
// others.
func (w Want) Locked() bool { return w.Kind == FromIndex && len(w.Files) > 0 }

// String gives the want's position and text. It holds no password.
func (w Want) String() string {
	return w.Position.String() + ": " + w.Text
}

// Severity tells a warning from an error.
type Severity uint8

// The severities.
const (
	Warning Severity = iota // read, but somebody should look
	Error                   // not read, or not to be used
)

// String gives "warning" or "error".
func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// A Verdict is what pip does when it meets the same line.
type Verdict uint8

// The verdicts.
const (
	PipReads       Verdict = iota // pip reads the line
	PipRefusesLine                // pip refuses the requirement
	PipRefusesFile                // pip gives up on the whole list, or cannot go on
)

// A Problem is a fault in a list. It is an error of Go too.
type Problem struct {
	Position Position
	Severity Severity

	// Text says what is wrong, Hint what can be done about it, or nothing.
	// Neither holds a password.
	Text, Hint string

	// Pip is what pip does there: nestgen goes on where pip stops, and takes
	// some old idioms that pip has given up.
	Pip Verdict

	// Partial is set for an error that concerns more than one requirement: see
	// [List.Partial].
	Partial bool

	// Want is what the line asks for, if it could be read and is left out of
	// the list nevertheless. Otherwise it is nil.
	Want *Want

	// Via is the chain of -r and -c lines that leads to the file.
	Via []Position
}

// Error gives "file:line: text", with "warning: " before the text of a
// warning, as a compiler would.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Position.String())
	b.WriteString(": ")
	if p.Severity == Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// String is [Problem.Error].
func (p Problem) String() string { return p.Error() }
