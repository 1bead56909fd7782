package catalog

import "nestgen/packaging"

// A Verb is what an event did.
type Verb string

// The verbs.
const (
	Add      Verb = "add"      // a file entered the index
	Withdraw Verb = "withdraw" // a file left the index
	Restore  Verb = "restore"  // a file that had left came back
	Arrive   Verb = "arrive"   // the bytes came of a file that had been announced
	Change   Verb = "change"   // what the index says of a file changed
	Yanking  Verb = "yank"     // a file was yanked, or its reason changed
	Unyank   Verb = "unyank"   // a yank was taken back
	Mark     Verb = "status"   // a project's status, note or display name changed
	Relink   Verb = "links"    // a project's development links changed

	// What these are about is a view; the index is as it was.
	Promotion Verb = "promote" // a file was promoted to a view
	Demotion  Verb = "demote"  // a promotion was taken back
)

// An Event is one change of the index. Events are numbered by serials that
// only rise, and none is ever altered or dropped.
type Event struct {
	Serial int64

	// Time is in microseconds since 1970 UTC.
	Time    int64
	Verb    Verb
	Project packaging.Name

	// Filename and SHA256 are empty for an event that is about a whole project.
	Filename string
	SHA256   Digest

	// Source is who caused it: a source of files, or "policy".
	Source string
	Reason string
}
