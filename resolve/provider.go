package resolve

import (
	"context"
	"errors"

	"nestgen/packaging"
)

// A Candidate is one version of a project that could be installed.
type Candidate struct {
	Version packaging.Version

	// Filename is the file that would be installed, the best one of the
	// version for the environment. The search does not look at it.
	Filename string

	// Yanked says that all files of the version are yanked (PEP 592).
	Yanked bool
}

// Requirements are what a candidate needs, as its core metadata says it.
type Requirements struct {
	// Dist are the requirements of Requires-Dist, in their order, with all
	// their markers: the search evaluates them.
	Dist []packaging.Requirement

	// Python is Requires-Python. Installers take one that is no specifier, as
	// ">=3.5.*" of old projects, as none.
	Python packaging.Specifiers

	// Extras are the names of Provides-Extra, in any spelling. An extra that
	// is not here adds nothing, as with pip.
	Extras []string
}

// ErrUnknown is matched by the error of a Provider that cannot say what a
// candidate requires. The candidate is taken as requiring nothing, and the
// answer names it.
var ErrUnknown = errors.New("requirements are not known")

// ErrUnusable is matched by the error of a Provider for a candidate that no
// installer takes, for example because its metadata is not valid. The search
// passes over it, as pip does since 24.1.
var ErrUnusable = errors.New("cannot be installed")

// A Provider says what there is for one environment: only files that its
// interpreter and platform can install, and whose Requires-Python on the page of
// the project it meets. Answers have to be the same each time; each question is
// asked once in a search.
//
// An error that is not one of those below ends the search.
type Provider interface {
	// Candidates gives the versions of a project, in any order. An error that
	// matches [fs.ErrNotExist] means that there is no such project.
	Candidates(ctx context.Context, n packaging.Name) ([]Candidate, error)

	// Requires gives what a candidate needs. It may match [ErrUnknown] or
	// [ErrUnusable]. It is asked late, because each answer may cost a request.
	Requires(ctx context.Context, n packaging.Name, c Candidate) (Requirements, error)
}

// A Prefetcher is a Provider that wants to know what it will be asked next, to
// get many answers at once. What is announced is likely to be asked for, but that
// is no promise. Projects are always announced before; a candidate that comes up
// when a conflict is mended is asked for without.
type Prefetcher interface {
	// Prefetch announces projects whose candidates, and candidates whose
	// requirements will be asked for. It may get them before it returns, or
	// begin to.
	Prefetch(ctx context.Context, names []packaging.Name, of []Wanted)
}

// Wanted is a candidate whose requirements will be asked for.
type Wanted struct {
	Name      packaging.Name
	Candidate Candidate
}
