package intake

import (
	"bytes"
	"hash/maphash"
	"unicode/utf8"
)

// Bounds that no honest distribution comes near. They keep the memory and the
// time that one file can cost in proportion to its size.
const (
	maxMembers   = 100_000
	maxDirectory = 16 << 20 // bytes of a zip's central directory
	maxName      = 4096     // bytes of a member's name
	maxMetadata  = 8 << 20  // bytes of METADATA or PKG-INFO
	maxRecord    = 16 << 20 // bytes of RECORD
	freeInflate  = 64 << 20 // bytes that any archive may unpack to
	maxRatio     = 50       // what one packed byte may stand for beyond that
)

// mayInflate is how many bytes a file of that size may unpack to.
func mayInflate(size int64) int64 { return max(freeInflate, maxRatio*size) }

// cleanPath appends the cleaned form of a member's name to b: no "." and no
// empty segments, no slash at either end. It is an error if the name could lead
// out of the folder that the archive is unpacked in, on any system, or could be
// shown as something else than it is.
func cleanPath(b, name []byte) ([]byte, error) {
	if len(name) == 0 {
		return b, reject("a member has no name")
	}
	if len(name) > maxName {
		return b, reject("a member's name has %d bytes", len(name))
	}
	if name[0] == '/' {
		return b, reject("member %q: absolute path", name)
	}
	if len(name) >= 2 && name[1] == ':' && isLetter(name[0]) {
		return b, reject("member %q: path with a drive", name)
	}
	start := len(b)
	for i := 0; i <= len(name); {
		j := i
		for j < len(name) && name[j] != '/' {
			if c := name[j]; c < 0x20 || c == 0x7f {
				return b, reject("member %q: control character in the name", name)
			}
			j++
		}
		switch seg := name[i:j]; {
		case len(seg) == 0 || len(seg) == 1 && seg[0] == '.':
		case len(seg) == 2 && seg[0] == '.' && seg[1] == '.':
			return b, reject("member %q: path with \"..\"", name)
		default:
			if len(b) > start {
				b = append(b, '/')
			}
			b = append(b, seg...)
		}
		i = j + 1
	}
	return b, nil
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// A nameSet tells whether a name was there before, exactly or but for case. It
// keeps hashes, so that its size does not depend on the lengths of the names.
type nameSet struct {
	seed maphash.Seed
	seen map[uint64]namesake // by the folded name
	also map[uint64]int32    // what differs from one in seen in case only, by the exact name
	fold []byte
}

// A namesake is the first member that has a name but for case.
type namesake struct {
	exact uint64
	index int32
}

// What a nameSet can say of a name.
type novelty uint8

const (
	newName   novelty = iota
	sameName          // there is one exactly like it
	clashName         // there is one that differs in case only
)

func newNameSet() *nameSet {
	return &nameSet{seed: maphash.MakeSeed(), seen: make(map[uint64]namesake)}
}

// reset forgets the names, and the memory if it was a large archive's.
func (s *nameSet) reset() {
	s.also = nil
	if len(s.seen) > 4096 {
		s.seen = make(map[uint64]namesake)
		return
	}
	clear(s.seen)
}

// add takes a cleaned name in. The index is what find gives back.
func (s *nameSet) add(clean []byte, index int) novelty {
	exact, folded := s.keys(clean)
	if old, ok := s.seen[folded]; ok {
		if old.exact == exact {
			return sameName
		}
		if _, ok := s.also[exact]; ok {
			return sameName
		}
		if s.also == nil {
			s.also = make(map[uint64]int32)
		}
		s.also[exact] = int32(index)
		return clashName
	}
	s.seen[folded] = namesake{exact, int32(index)}
	return newName
}

// find gives the index of the first member with that cleaned name, or -1.
func (s *nameSet) find(clean []byte) int {
	exact, folded := s.keys(clean)
	if old, ok := s.seen[folded]; ok && old.exact == exact {
		return int(old.index)
	}
	if index, ok := s.also[exact]; ok {
		return int(index)
	}
	return -1
}

func (s *nameSet) keys(clean []byte) (exact, folded uint64) {
	exact = maphash.Bytes(s.seed, clean)
	upper, wide := false, false
	for _, c := range clean {
		upper = upper || 'A' <= c && c <= 'Z'
		wide = wide || c >= utf8.RuneSelf
	}
	if !upper && !wide {
		return exact, exact
	}
	s.fold = s.fold[:0]
	if wide {
		s.fold = append(s.fold, foldWide(clean)...)
	} else {
		for _, c := range clean {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			s.fold = append(s.fold, c)
		}
	}
	return exact, maphash.Bytes(s.seed, s.fold)
}

// foldWide folds the case of a name with letters beyond ASCII.
func foldWide(b []byte) []byte { return bytes.ToLower(bytes.ToUpper(b)) }
