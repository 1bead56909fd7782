package packaging

import "strings"

// A CompanionKind is what a file beside a distribution holds about it.
type CompanionKind uint8

// The kinds of companions, named after their extensions.
const (
	NoCompanion  CompanionKind = iota
	Signature                  // .asc: a detached OpenPGP signature
	CoreMetadata               // .metadata: core metadata (PEP 658)
	Provenance                 // .provenance: an index's provenance object (PEP 740)
	Attestation                // .attestation: an attestation made by the publisher (PEP 740)
	Checksum                   // .sha256: the digest, as sha256sum writes it
)

var companions = []struct {
	ext  string
	kind CompanionKind
}{
	{".asc", Signature},
	{".metadata", CoreMetadata},
	{".provenance", Provenance},
	{".publish.attestation", Attestation},
	{".slsa.attestation", Attestation},
	{".attestation", Attestation},
	{".sha256", Checksum},
}

// Companion splits the name of a file that goes with a distribution, as
// "foo-1.0.tar.gz.asc" does, into the distribution's file name and what the
// companion is. ok is false when s is not such a name.
func Companion(s string) (base string, kind CompanionKind, ok bool) {
	for _, c := range companions {
		if base, ok := strings.CutSuffix(s, c.ext); ok && KindOf(base) != UnknownKind {
			return base, c.kind, true
		}
	}
	return "", NoCompanion, false
}
