package layout

import (
	"encoding/hex"

	"nestgen/packaging"
)

// fileHead is how long a path of the store is before the name of the file.
const fileHead = len(Packages) + len("/12/34/") + 60 + len("/")

// ParseFile reads a path that [File] made: the digest, and the name of the
// file. It takes nothing else, so a path that it takes stays inside the store.
// Companions are files of their own here; see [Owner]. It allocates only when it
// refuses.
func ParseFile(path string) (digest [32]byte, filename string, ok bool) {
	if len(path) <= fileHead || path[:len(Packages)] != Packages {
		return digest, "", false
	}
	p := path[len(Packages):fileHead]
	if p[0] != '/' || p[3] != '/' || p[6] != '/' || p[67] != '/' {
		return digest, "", false
	}
	var digits [64]byte
	copy(digits[0:], p[1:3])
	copy(digits[2:], p[4:6])
	copy(digits[4:], p[7:67])
	for _, c := range digits {
		if 'A' <= c && c <= 'F' {
			return [32]byte{}, "", false
		}
	}
	if _, err := hex.Decode(digest[:], digits[:]); err != nil {
		return [32]byte{}, "", false
	}
	if !cleanSegment(path[fileHead:]) {
		return [32]byte{}, "", false
	}
	return digest, path[fileHead:], true
}

// cleanSegment reports whether s may name a file or a folder of the tree, which
// is the rule for the names of distribution files too.
func cleanSegment(s string) bool { return packaging.CheckFilename(s) == nil }
