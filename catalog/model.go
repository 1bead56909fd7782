package catalog

import (
	"encoding/hex"
	"fmt"
	"strings"

	"nestgen/advisory"
	"nestgen/packaging"
	"nestgen/provenance"
)

// A Project is everything the index has under one normalized name.
type Project struct {
	Name packaging.Name

	// Display is the name as [SpellingOf] gives it. It normalizes to Name.
	Display string

	// Owner is the source that the name belongs to: [Local], or the name of
	// an upstream, or of another site.
	Owner string

	Status Status

	// Note is a line for people from the policy file; empty for none.
	Note string

	// Serial is that of the last event that changed the project.
	Serial int64

	// Shown is what the published pages say of the project.
	Shown Card

	// Files is sorted by version, then by file name.
	Files []File

	// Links are the development links, sorted by URL.
	Links []Link

	// Advisories is what is known of the name at large, by ID. It is about the
	// files of an upstream; a project of this site's own that has the name of
	// another has nothing to do with it: see [File.Public].
	Advisories []advisory.Record
}

// The owners and sources that are no upstream.
const (
	Local  = "local"  // what was dropped, uploaded or built here
	Direct = "direct" // what the allowlist names by its address
)

// A File is one distribution of a project, as the index lists it. Files are
// plain values: two are the same exactly when they compare equal with ==.
type File struct {
	Project  packaging.Name
	Filename string

	// Spelling is the project's name as the file writes it; empty if it writes
	// the normalized name.
	Spelling string

	// Version is normalized where it follows PEP 440 and otherwise stands as
	// it does in the file name.
	Version string
	Kind    packaging.Kind

	// Size is in bytes; -1 if it is not known of a file that was announced.
	Size   int64
	SHA256 Digest

	// BLAKE2b has 256 bits. It is zero as long as the bytes are not here.
	BLAKE2b Digest

	// Announced says that the bytes are not here: they come when somebody asks
	// for them. What is said of the file is its upstream's word.
	Announced bool

	// Path is the file's place in the tree (layout.File). It never changes. It is
	// made of BLAKE2b, or for a file that was announced before it came, of what
	// was known of it then.
	Path string

	// RequiresPython is a valid specifier set, or empty.
	RequiresPython string

	// Uploaded is in microseconds since 1970 UTC: upstream's upload-time, or
	// when a local file was first seen.
	Uploaded int64

	// Yanked is what the index says, and SourceYank what the file's source says.
	// They differ where the policy has another mind.
	Yanked     Yank
	SourceYank Yank

	// Metadata is the SHA-256 of the core metadata file beside the file
	// (PEP 658). It is zero when there is none.
	Metadata Digest

	// Signed and Provenance say that Path+".asc" and Path+".provenance" exist, and
	// SignatureSum and ProvenanceSum are their SHA-256: zero also where they came
	// before the catalog kept that.
	Signed, Provenance          bool
	SignatureSum, ProvenanceSum Digest

	// Publisher is who published the file, as its upstream's provenance says
	// (PEP 740). It is zero if that has none, or nobody has looked.
	Publisher provenance.Publisher

	// Source is where the bytes came from: [Local], or the name of an upstream. Of a
	// file that another site gave it is the name of that site, a colon, and where it
	// came from there: "packages.example.org:local".
	Source string

	// URL is the file's address at its upstream; empty for a local file.
	URL string
}

// Public reports whether the file came from an upstream, so that what the world
// knows of its project is about it. What was put here, or is named by its address,
// may have the name of another project; so may what was put into the index of another
// site, from which it was imported.
func (f *File) Public() bool { return IsPublic(f.Source) }

// IsPublic reports whether a source is an upstream, of this site or of another: see
// [File.Public].
func IsPublic(source string) bool {
	of := source[strings.LastIndexByte(source, ':')+1:]
	return of != Local && of != Direct
}

// Held is how many bytes of the file are here.
func (f *File) Held() int64 {
	if f.Announced {
		return 0
	}
	return f.Size
}

// A Link is a development link: a repository that old installers may check
// out, listed on the easy_install page only.
type Link struct {
	Project packaging.Name

	// URL has no fragment.
	URL string

	// Egg is the project's name as the link spells it.
	Egg string

	// Version is what the fragment promises besides "dev"; empty for none.
	Version string

	// Source is the snippet or the allowlist line that the link stands in.
	Source string
}

// A Yank says whether a file is yanked (PEP 592), and why. Reason may be
// empty, and is empty for a file that is not yanked.
type Yank struct {
	Yanked bool
	Reason string
}

// A Status is a project's status marker (PEP 792). The zero Status is active.
type Status struct {
	State  State
	Reason string
}

// A State is one of the states of PEP 792.
type State string

// The states. Active is the zero State, so that it needs no mention.
const (
	Active      State = ""
	Archived    State = "archived"
	Deprecated  State = "deprecated"
	Quarantined State = "quarantined"
)

// A Digest is the 32 bytes of a SHA-256 or a BLAKE2b-256. The zero Digest
// stands for "none".
type Digest [32]byte

// ParseDigest reads 64 hexadecimal digits of either case.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != 2*len(d) {
		return d, fmt.Errorf("digest %q: want 64 hexadecimal digits", s)
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return Digest{}, fmt.Errorf("digest %q: want 64 hexadecimal digits", s)
	}
	return d, nil
}

// String gives 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// AppendHex appends 64 lower-case hexadecimal digits to b.
func (d Digest) AppendHex(b []byte) []byte { return hex.AppendEncode(b, d[:]) }

// IsZero reports whether d stands for "none".
func (d Digest) IsZero() bool { return d == Digest{} }
