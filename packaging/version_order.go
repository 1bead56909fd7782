package packaging

import "bytes"

// A VersionKey orders version texts of which some are no versions, as old
// distribution files have them. The byte order of keys is the order: all that
// PEP 440 does not know comes first, by its bytes, then the versions (contract
// rule V-4). The empty key is that of no text and comes before all.
type VersionKey string

// legacyMark begins the key of a text that is no version; it is less than the
// first byte of any version's key.
const legacyMark = 0x01

// VersionKeyOf gives the key of a version text, valid or not.
func VersionKeyOf(s string) VersionKey {
	var stack [128]byte
	return VersionKey(AppendVersionKey(stack[:0], s))
}

// AppendVersionKey appends the key of a version text, valid or not, to b. For
// a valid version it is that of [Version.Key].
func AppendVersionKey(b []byte, s string) []byte {
	var p versionScan
	if bad := scanVersion(s, &p); bad.expected != "" {
		b = append(b, legacyMark)
		return append(b, s...)
	}
	return p.appendKey(b)
}

// CompareVersionStrings compares two version texts, valid or not, in the order
// of [VersionKey]. To sort many, take their keys once instead.
func CompareVersionStrings(a, b string) int {
	var stackA, stackB [128]byte
	ka, kb := AppendVersionKey(stackA[:0], a), AppendVersionKey(stackB[:0], b)
	return bytes.Compare(ka, kb)
}
