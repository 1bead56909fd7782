package monitor

import (
	"errors"
	"fmt"
)

// The ends that a caller tells apart, besides that of a [Report].
var (
	// ErrInput: the key, the address or the file that remembers cannot be used.
	ErrInput = errors.New("input")

	// ErrUnreachable: so little could be had of the site, or it changed so often, that
	// nothing is proven.
	ErrUnreachable = errors.New("unreachable")
)

// A fault is an error with one of the ends above.
type fault struct {
	end error
	err error
}

func (f *fault) Error() string        { return f.err.Error() }
func (f *fault) Unwrap() error        { return f.err }
func (f *fault) Is(target error) bool { return target == f.end }

func failed(end error, format string, args ...any) error {
	return &fault{end, fmt.Errorf(format, args...)}
}

// A Kind is what a finding is about.
type Kind string

// The kinds of findings.
const (
	Fork     Kind = "fork"      // the log does not go on from the one that was seen before
	Signed   Kind = "signature" // nobody who counts has signed the checkpoint
	Log      Kind = "log"       // a file of the logs
	History  Kind = "history"   // what the log of events says
	Served   Kind = "page"      // a page
	Store    Kind = "store"     // a file of the store
	Withheld Kind = "withheld"  // a file that nobody is to have
	Index    Kind = "index"     // a page as it was published, which is not what the history says
	Stranger Kind = "stranger"  // what nobody has published
)

// Means says, for a person, what follows from a finding of that kind.
func (k Kind) Means() string {
	switch k {
	case Fork:
		return "what was proven before was rewritten or taken back, by somebody with the key of the site, or the site goes on from an old backup; nothing that it says now counts before its people have explained it"
	case Signed:
		return "nothing shows that what is served comes from the site whose key was given"
	case Log:
		return "the log is not whole: what it says cannot be trusted beyond what is proven here"
	case History:
		return "the site has signed a history that cannot be"
	case Served:
		return "who asks for this page does not get what the site has published"
	case Store:
		return "who installs this file does not get the bytes that the history lists"
	case Withheld:
		return "who knows its address gets what nobody is to have"
	case Index:
		return "the site has published a page that says something else than its own history"
	case Stranger:
		return "somebody besides the site has put it into its tree, or a run that died has left it there"
	}
	return ""
}

// A Finding is something that is wrong.
type Finding struct {
	Kind Kind `json:"kind"`

	// Path is the path of the tree that is wrong.
	Path string `json:"path"`

	// Text says what is wrong with it.
	Text string `json:"text"`

	// Means says what follows from that.
	Means string `json:"means"`
}

// A Note is about a path of the tree that nothing can be said of.
type Note struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// MaxFindings is how many findings a report lists, and how many notes of each sort.
const MaxFindings = 1000

// A Report says what is proven and what is wrong.
type Report struct {
	// Site is the address, and Origin the name of the log, which is that of its key.
	Site   string `json:"site"`
	Origin string `json:"origin"`

	// Key is the key that signed the checkpoint: the one that was given, or the last of
	// those that replaced it one after the other.
	Key       string `json:"key"`
	Rotations int    `json:"rotations"`

	// Events and Leaves are the sizes of the logs of events and of pages.
	Events int64 `json:"events"`
	Leaves int64 `json:"page_leaves"`

	// Since is the size of the log of events that was proven the last time, and of which
	// this one is proven to be a continuation; -1 if nothing was remembered.
	Since int64 `json:"since"`

	// Pages and Files is how many pages, and files of the store with what stands beside
	// them, were read and are what the logs say; Bytes is what they have.
	Pages int64 `json:"pages"`
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`

	// Projects is how many projects the index has, each of which says what the history
	// says, and Snapshots how many snapshots were held against what it said then.
	// Withheld is how many files that nobody is to have are not served.
	Projects  int64 `json:"projects"`
	Snapshots int64 `json:"snapshots"`
	Withheld  int64 `json:"withheld"`

	// Unlisted is how many projects came since the list of projects was published, and
	// Behind how many pages about all projects, of other spellings or of other indexes do
	// not say yet what has come to be so since they were: the next build makes all these.
	Unlisted int64 `json:"unlisted"`
	Behind   int64 `json:"behind"`

	// NotReachable are pages that the server does not have an address for.
	NotReachable []Note `json:"not_reachable"`

	// Unanswered is what the server did not give, and did not deny either.
	Unanswered []Note `json:"unanswered"`

	// Findings is what is wrong. More is how many findings are not listed.
	Findings []Finding `json:"findings"`
	More     int64     `json:"more_findings"`
}

// Proven reports whether everything is proven that there is to prove.
func (r *Report) Proven() bool { return len(r.Findings) == 0 && len(r.Unanswered) == 0 }

// Forked reports whether the log does not go on from the one that was seen before.
func (r *Report) Forked() bool {
	for _, f := range r.Findings {
		if f.Kind == Fork {
			return true
		}
	}
	return false
}

func newFinding(k Kind, path, format string, args ...any) Finding {
	return Finding{k, path, fmt.Sprintf(format, args...), k.Means()}
}

func (r *Report) find(k Kind, path, format string, args ...any) {
	r.add(newFinding(k, path, format, args...))
}

func (r *Report) add(f Finding) {
	if len(r.Findings) == MaxFindings {
		r.More++
		return
	}
	r.Findings = append(r.Findings, f)
}

func addNote(list *[]Note, path, text string) {
	if len(*list) < MaxFindings {
		*list = append(*list, Note{path, text})
	}
}
