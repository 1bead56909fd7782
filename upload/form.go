package upload

import (
	"io"

	"nestgen/packaging"
)

// A Form is what a client sent, checked as far as that can be done without
// opening the file.
type Form struct {
	Action Action

	// Name and Version are as the form spells them, Project is Name
	// normalized. Forms other than FileUpload may have none.
	Name    string
	Project packaging.Name
	Version string

	// Filename is the name of the uploaded file, and File what that name
	// says. It agrees with Project, with Version and with the form's file
	// type. All of these are empty unless Action is FileUpload.
	Filename string
	File     packaging.Filename

	// Size is how many bytes went to the stage.
	Size int64

	// Digests are those that were computed: SHA-256, and each that the form
	// gives, which is the same.
	Digests Digests

	// Signature is a detached OpenPGP signature that was sent as the file's
	// own, or nil. Nobody has checked it.
	Signature []byte

	// Attestations is a JSON array (PEP 740) just as it was sent, or nil.
	// Nobody has checked what it attests.
	Attestations []byte

	// Pyversion is informational: "source", "py3", "2.7" or empty.
	Pyversion string

	// Metadata is what the form's fields say. It is advice: what the file
	// itself says comes first, and this is for files that say nothing. Its
	// RequiresPython is the form's. Only the fields are set; Has knows none
	// of them.
	Metadata packaging.Metadata

	// Notes say what was accepted though it is not as it should be, for the
	// log.
	Notes []string
}

// Digests are digests of the uploaded file in lower-case hexadecimal digits.
// One that was not computed is empty.
type Digests struct {
	MD5        string
	SHA256     string
	BLAKE2b256 string
	BLAKE2b512 string
}

// A Stage takes the bytes of the uploaded file, from its beginning. An empty
// file that is open for reading and writing is one. It is read only when the
// form gives some digests before the file and another one after it.
type Stage interface {
	io.Writer
	io.ReaderAt
}

// Limits say how much a form may be. Whatever is more is answered with status
// 413.
type Limits struct {
	// File is how many bytes the uploaded file may have. If zero, 1 GiB.
	File int64

	// Field is how many bytes any other field may have. If zero, 4 MiB,
	// which leaves room for long descriptions.
	Field int64

	// Text is how many bytes all other fields together may have, and so how
	// much of a form is held in memory. If zero, 16 MiB.
	Text int64

	// Fields is how many fields there may be, each value of a repeated one
	// counted. If zero, 5,000: some releases have a thousand requirements.
	Fields int

	// Body is how many bytes the whole request may have. If zero, what the
	// others make of it: File, Text and 1 KiB for the frame of each field.
	Body int64
}

// withDefaults replaces zeros, and takes care that sums do not overflow.
func (l Limits) withDefaults() Limits {
	set := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
		*v = min(*v, 1<<60)
	}
	set(&l.File, 1<<30)
	set(&l.Field, 4<<20)
	set(&l.Text, 16<<20)
	if l.Fields == 0 {
		l.Fields = 5000
	}
	set(&l.Body, l.File+l.Text+int64(l.Fields)<<10)
	return l
}
