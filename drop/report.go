package drop

import (
	"cmp"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// A Note says of one file or folder why it was not taken.
type Note struct {
	// File is the path on this machine.
	File   string
	Reason string

	// Hint is what to do about it; empty for none.
	Hint string
}

// String gives "file: reason". A file name that a terminal should not be
// shown is quoted as in Go.
func (n Note) String() string { return Printable(n.File) + ": " + n.Reason }

// Printable gives a file name as it is, or quoted as in Go when it is not
// UTF-8 or holds what cannot be printed.
func Printable(name string) string {
	ok := utf8.ValidString(name)
	for _, r := range name {
		ok = ok && unicode.IsPrint(r)
	}
	if ok {
		return name
	}
	return strconv.Quote(name)
}

// maxIgnored is how many ignored files are named. A drop directory inside
// somebody's source tree may hold any number of them.
const maxIgnored = 1000

// A Report says what became of the files that were not simply taken. Each list
// is sorted by file.
type Report struct {
	// Ignored are files not meant for the index. IgnoredMore counts those
	// that are not named, because there are too many.
	Ignored     []Note
	IgnoredMore int

	// Rejected are files that are meant for the index but wrong.
	Rejected []Note

	// Waiting are files that are still being written or changed while they
	// were read. The next run takes them.
	Waiting []Note

	// Warned are files that were taken, with something to say about them.
	Warned []Note

	// Missing are directories that could not be read. What was known of the
	// files below them stands.
	Missing []Note
}

func (r *Report) ignore(n Note) {
	if len(r.Ignored) < maxIgnored {
		r.Ignored = append(r.Ignored, n)
	} else {
		r.IgnoredMore++
	}
}

// outcome notes what an inspection had to say, now or in an earlier run.
func (r *Report) outcome(file string, o *Outcome) {
	if o.Verdict == Rejected {
		r.Rejected = append(r.Rejected, Note{file, o.Reason, o.Hint})
	} else if o.Reason != "" {
		r.Warned = append(r.Warned, Note{file, o.Reason, o.Hint})
	}
}

// clone gives a copy that is the caller's to keep, each list sorted, and of
// several notes on one file in one list the last.
func (r *Report) clone() Report {
	return Report{
		Ignored: sorted(r.Ignored), IgnoredMore: r.IgnoredMore, Rejected: sorted(r.Rejected),
		Waiting: sorted(r.Waiting), Warned: sorted(r.Warned), Missing: sorted(r.Missing),
	}
}

func sorted(notes []Note) []Note {
	out := slices.Clone(notes)
	slices.SortStableFunc(out, func(a, b Note) int { return cmp.Compare(a.File, b.File) })
	kept := out[:0]
	for i, n := range out {
		if i+1 == len(out) || out[i+1].File != n.File {
			kept = append(kept, n)
		}
	}
	return kept
}
