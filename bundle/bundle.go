// Package bundle writes and reads the container that crosses an air gap: files
// with their digests, in one or more parts that fit a medium, signed, so that
// the far side finds every changed byte before it uses any.
//
// It knows names, bytes and signatures. It never knows what the files mean: no
// catalog, no index, no log.
//
// # The format
//
// A bundle is one part or more, each a file of its own. A part is a tar archive
// that `tar tf` lists: USTAR headers (POSIX.1-2017, pax), with a pax header only
// where a name or a size does not fit, mode 0444, no owner, no time, only regular
// files, two zero blocks at the end and nothing after them. Its members are
//
//	bundle      a signed note (C2SP signed-note): what this is, and the digests of
//	rotations   how the key came from those before it, if there were any, and of
//	manifest    the manifest: a line for each further member, in their order
//	...         the files, sorted by name
//
// The text of the note:
//
//	nestgen-bundle 1
//	origin packages.example.org
//	key packages.example.org+5a2b7c11+AY...
//	tag site-b
//	id 0f3c...
//	part 1 of 3
//	from 12
//	to 40
//	manifest 9b1e... 4711
//
// with the caller's own fields before the last line. A bundle with rotations is of
// form 2: its first line says so, and the one before the last is
//
//	rotations 77aa... 872
//
// They are in each part, before everything that is only worth reading if the key is one
// to trust. What they say is for package trust. A line of the manifest is
//
//	SHA256 SIZE NAME
//
// and for a piece of a file that is too large for one part
//
//	SHA256 SIZE NAME PIECE/PIECES OFFSET LENGTH SHA256-OF-THE-PIECE
//
// whose member is named NAME.piece-001-of-003, so that `cat NAME.piece-*` gives
// the file. There is one way to write each: the reader makes the tar headers again
// from the manifest and compares, so that no byte of a part is without a check.
//
// A part may be compressed with Zstandard (RFC 8878): the archive as one frame,
// then a skippable frame with the SHA-256 of all that is before it. Other bytes
// may decompress to the same archive; that frame is why a change is found there,
// too.
//
// The same members, fields and key give the same archives, byte for byte.
package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

// Limits of what is written, and of what is believed when it is read.
const (
	// MaxParts is the most parts that a bundle may have.
	MaxParts = 999

	// MaxMembers is the most files that a bundle may hold.
	MaxMembers = 1 << 22

	// MaxSize is the most bytes that the files of a bundle may have together.
	MaxSize = 1 << 50

	// MaxName is the longest name of a file, in bytes.
	MaxName = 1024

	// MinSplit is the smallest part that may be asked for, in bytes.
	MinSplit = 128 << 10

	// maxSegment is the longest piece of a name between slashes: with the ending
	// of a piece it is as long as Linux lets a file name be.
	maxSegment = 255 - len(".piece-001-of-999")

	maxNote      = 16 << 10
	maxRotations = 1 << 20
	maxManifest  = 1 << 30
	maxFields    = 64
	maxValue     = 1024
)

// The members at the beginning of each part, whose names no file may have.
const (
	noteName      = "bundle"
	rotationsName = "rotations"
	manifestName  = "manifest"
)

// A Member is a file of a bundle.
type Member struct {
	// Name is a clean relative path with slashes; see [CheckName].
	Name string

	// Size is the number of its bytes, and SHA256 their digest.
	Size   int64
	SHA256 [sha256.Size]byte

	// Open gives the bytes. To write, it is called when the member's turn comes,
	// and twice for a member that is larger than a part. Of a bundle that was
	// read it is [Bundle.Open], so that a bundle can be passed on.
	Open func() (io.ReadCloser, error)
}

// CheckName says whether a file of a bundle may have this name: a relative path
// of segments made of letters, digits and "+!~=@-._", none of which is "." or "..",
// begins with a hyphen or ends as the name of a piece does. The names "bundle",
// "rotations" and "manifest", and what would be below them, are taken.
func CheckName(name string) error {
	if fault := nameFault(name); fault != "" {
		if len(name) > 200 {
			name = name[:200] + "..."
		}
		return fmt.Errorf("member name %q: %s", name, fault)
	}
	return nil
}

func nameFault(name string) string {
	if len(name) > MaxName {
		return fmt.Sprintf("longer than %d bytes", MaxName)
	}
	first := true
	for segment := range strings.SplitSeq(name, "/") {
		switch {
		case segment == "":
			return "empty, or with an empty segment"
		case segment == "." || segment == "..":
			return "not a clean path"
		case segment[0] == '-':
			return "a segment begins with a hyphen"
		case len(segment) > maxSegment:
			return fmt.Sprintf("a segment is longer than %d bytes", maxSegment)
		case first && (segment == noteName || segment == rotationsName || segment == manifestName):
			return "the name is one of the bundle's own"
		case isPiece(segment):
			return "it ends like the name of a piece"
		}
		for i := range len(segment) {
			if !nameByte(segment[i]) {
				return fmt.Sprintf("the character %q is not allowed", segment[i:i+1])
			}
		}
		first = false
	}
	return ""
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("+!~=@-._", c) >= 0
}

// pieceName is the name in the archive of piece i of n of a file.
func pieceName(name string, i, n int) string {
	return fmt.Sprintf("%s.piece-%03d-of-%03d", name, i, n)
}

func isPiece(segment string) bool {
	const ending = ".piece-000-of-000"
	if len(segment) < len(ending) {
		return false
	}
	for i, c := range []byte(segment[len(segment)-len(ending):]) {
		if ending[i] == '0' && '0' <= c && c <= '9' || c == ending[i] {
			continue
		}
		return false
	}
	return true
}

// An entry is what the manifest says of a file.
type entry struct {
	name string
	size int64
	sum  [sha256.Size]byte
}

// A piece is what of a file is in one part, when that is not all of it.
type piece struct {
	index, of      int // the first is 1
	offset, length int64
	sum            [sha256.Size]byte
}

// A span is what one part holds of a sorted list of files: those from first to
// before end. Only at its ends there may be pieces.
type span struct {
	first, end int
	head, tail *piece // of the first and of the last file; nil if they are whole
}

// A chunk is the content of one member of a part.
type chunk struct {
	index  int    // of the file in the list
	name   string // of the file
	member string // of the member of the archive
	length int64
	sum    [sha256.Size]byte
	piece  *piece // nil if it is the whole file
}

// chunks gives the members of a part that follow the manifest.
func (s span) chunks(list func(i int) entry) iter.Seq2[entry, chunk] {
	return func(yield func(entry, chunk) bool) {
		for i := s.first; i < s.end; i++ {
			e := list(i)
			c := chunk{index: i, name: e.name, member: e.name, length: e.size, sum: e.sum}
			switch {
			case i == s.first && s.head != nil:
				c.piece = s.head
			case i == s.end-1 && s.tail != nil:
				c.piece = s.tail
			}
			if p := c.piece; p != nil {
				c.member, c.length, c.sum = pieceName(e.name, p.index, p.of), p.length, p.sum
			}
			if !yield(e, c) {
				return
			}
		}
	}
}

// checkTree says which name of a sorted list is also the folder of another one.
// Such a bundle could not be unpacked.
func checkTree(n int, name func(i int) string) error {
	last := ""
	for i := range n {
		dir := parent(name(i))
		if dir == last {
			continue // asked for the one before
		}
		last = dir
		for ; dir != ""; dir = parent(dir) {
			at := searchName(n, name, dir)
			if at < n && name(at) == dir {
				return fmt.Errorf("member name %q is also the folder of %q", dir, name(i))
			}
		}
	}
	return nil
}

func parent(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return ""
}

// searchName finds where a name is, or would be, in a sorted list.
func searchName(n int, name func(i int) string, want string) int {
	lo, hi := 0, n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if name(mid) < want {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// identity gives the id of a bundle: a digest of who made it, for whom, its
// fields and its files. How it is split and compressed does not matter.
func identity(h Header, n int, list func(i int) entry) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "nestgen-bundle-id 1\norigin %s\nkey %s\ntag %s\n", h.Origin, h.Key, h.Tag)
	for _, f := range h.Fields {
		fmt.Fprintf(sum, "%s %s\n", f.Key, f.Value)
	}
	io.WriteString(sum, rotationsLine(h.Rotations))
	io.WriteString(sum, "\n")
	var line []byte
	for i := range n {
		line = appendLine(line[:0], list(i), nil)
		sum.Write(line)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// sortedMembers gives the members by name, after a look at each. The slice of the
// caller stays as it is.
func sortedMembers(members []Member) ([]Member, error) {
	if len(members) > MaxMembers {
		return nil, fmt.Errorf("%d files are more than the %d that a bundle may hold", len(members), MaxMembers)
	}
	byName := func(a, b Member) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(members, byName) {
		members = slices.Clone(members)
		slices.SortFunc(members, byName)
	}
	var total int64
	for i, m := range members {
		if err := CheckName(m.Name); err != nil {
			return nil, err
		}
		if i > 0 && members[i-1].Name == m.Name {
			return nil, fmt.Errorf("member name %q is there twice", m.Name)
		}
		if m.Size < 0 || m.Size > MaxSize-total {
			return nil, fmt.Errorf("member %s: with its %d bytes there are more than the %d that a bundle may hold", m.Name, m.Size, int64(MaxSize))
		}
		total += m.Size
	}
	if err := checkTree(len(members), func(i int) string { return members[i].Name }); err != nil {
		return nil, err
	}
	return members, nil
}
