package drop

import (
	"path"
	"path/filepath"

	"nestgen/catalog"
	"nestgen/packaging"
)

// An Entry is one file of a drop directory, with what is known about it.
// Entries are plain values: two are the same exactly when they compare equal.
type Entry struct {
	// Dir is the drop directory as it was given to [Scan], cleaned.
	Dir string

	// Path is relative to Dir, with forward slashes.
	Path string

	Kind  Kind
	State State

	// Stat identifies the content of the file without reading it.
	Stat

	// Signature, Metadata and Provenance are the companions of the file: the
	// files beside it with the same name and ".asc", ".metadata" (PEP 658) or
	// ".provenance" (PEP 740) after it. The zero Stat stands for none.
	Signature  Stat
	Metadata   Stat
	Provenance Stat

	// Outcome is what became of the file when it was last inspected. Of an
	// Altered entry it is what became of the content before.
	Outcome
}

// Filename is the last element of the path: the name under which the file
// would be published.
func (e Entry) Filename() string { return path.Base(e.Path) }

// Name is the file's path on this machine, for messages.
func (e Entry) Name() string { return filepath.Join(e.Dir, filepath.FromSlash(e.Path)) }

func (e Entry) facts() facts {
	return facts{kind: e.Kind, main: e.Stat, beside: [companions]Stat{e.Signature, e.Metadata, e.Provenance}}
}

// A Kind is what an entry is, by the ending of its name.
type Kind uint8

// The kinds. The numbers are kept in the cache and do not change.
const (
	Distribution Kind = iota // meant to be published
	Snippet                  // an address to be listed as a development link
)

// A State says how an entry stands to the last run.
type State uint8

// The states.
const (
	Known   State = iota // as it was when it was last inspected
	New                  // never inspected
	Altered              // size, times, inode or companions are not what they were
	Kept                 // in a place that cannot be read now: as it was remembered
	Gone                 // not there any more
)

// String gives the state in lower case, for logs.
func (s State) String() string {
	switch s {
	case Known:
		return "known"
	case New:
		return "new"
	case Altered:
		return "altered"
	case Kept:
		return "kept"
	case Gone:
		return "gone"
	}
	return "unknown"
}

// A Stat is what the file system says of a file, as far as it tells one
// content from another. Times are in nanoseconds since 1970 UTC; the time of
// the last status change is CTime, which nobody can set back.
type Stat struct {
	Size  int64
	MTime int64
	CTime int64
	Inode uint64
}

// IsZero reports whether s stands for "no file".
func (s Stat) IsZero() bool { return s == Stat{} }

// An Outcome is what an inspection found.
type Outcome struct {
	Verdict Verdict

	// SHA256 is that of the file's bytes, zero when they were not read.
	SHA256 catalog.Digest

	// Project is the project that the file belongs to, empty when that cannot
	// be told.
	Project packaging.Name

	// InUse is the SHA-256 of the file that the index lists under this name
	// instead, when another one was there before (contract FN-8). It is zero
	// when this file has its name for itself.
	InUse catalog.Digest

	// Reason says why a file was rejected; of an accepted file it is a
	// warning. Hint says what to do about it. Either may be empty. What is
	// longer than 1,000 bytes is cut.
	Reason string
	Hint   string
}

// A Verdict says whether a file may be published.
type Verdict uint8

// The verdicts. The numbers are kept in the cache and do not change.
const (
	Unseen   Verdict = iota // not inspected
	Accepted                // fit to be published
	Rejected                // not fit, see Outcome.Reason
)

// A Companion is one of the files that may stand beside a distribution.
type Companion int

// The companions, in the order of their endings.
const (
	Signature Companion = iota
	Metadata
	Provenance

	companions = 3
)

// Ending is what the companion's name has after the distribution's.
func (c Companion) Ending() string { return companionEndings[c] }

var companionEndings = [companions]string{".asc", ".metadata", ".provenance"}

// Companion gives one of the three companions of e.
func (e Entry) Companion(c Companion) Stat {
	return [companions]Stat{e.Signature, e.Metadata, e.Provenance}[c]
}
