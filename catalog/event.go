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

	RelinkMore Verb = "links+" // the links of the event before go on
	Expire     Verb = "expire" // the bytes of a file were deleted, which comes again when somebody asks
	Known      Verb = "known"  // what the index said when it began to keep whole records

	// What these are about is a view; the index is as it was.
	Promotion Verb = "promote" // a file was promoted to a view
	Demotion  Verb = "demote"  // a promotion was taken back

	// These are about the whole site.
	Rotation Verb = "key"      // the key of the site was replaced by another
	Snapshot Verb = "snapshot" // a serial got a name, under which it stays
	Drop     Verb = "drop"     // a snapshot was dropped
	Rollback Verb = "rollback" // the index was brought back to an older serial
	Resume   Verb = "resume"   // a rollback is over: builds go on
	Import   Verb = "import"   // a bundle of another site was taken in
)

// An Event is one change of the index. Events are numbered by serials, from 1 on and
// without a gap, and none is ever altered or dropped.
type Event struct {
	Serial int64

	// Time is in microseconds since 1970 UTC.
	Time int64
	Verb Verb

	// Project is empty for an event that is about the whole site.
	Project packaging.Name

	// Filename and SHA256 are empty for an event that is not about a file.
	Filename string
	SHA256   Digest

	// Source is who caused it: a source of files, or "policy".
	Source string
	Reason string
}

// A Record is an event with everything that the index says of its object from then
// on, so that what the index said at any serial follows from the records up to it.
type Record struct {
	Event

	// File is what the index says of the file: by events that list it, or change
	// what is said of it. It is nil for all others, and for events of a catalog that
	// did not keep it yet: see [Catalog.Begins].
	File *File

	// Standing is what the index says of the project, if the event is about that.
	Standing *Standing

	// Links are the project's development links, if the event is about them.
	Links []Link
}

// A Standing is what the index says of a project besides its files and links.
type Standing struct {
	Status Status
	Note   string
}
