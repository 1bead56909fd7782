package drop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"nestgen/catalog"
	"nestgen/packaging"
)

// facts are what a scan can say of a file without opening it. A file is the
// one that was inspected exactly when its facts compare equal.
type facts struct {
	kind   Kind
	main   Stat
	beside [companions]Stat
}

// Limits of what one record of the cache may hold. They keep a record well
// below the buffer that it is read through.
const (
	maxPath    = 4096
	maxText    = 1000
	maxProject = 255
	maxRecord  = 16 << 10
)

var errDamaged = errors.New("drop cache: damaged")

// appendStat appends s in at most 36 bytes.
func appendStat(b []byte, s Stat) []byte {
	b = binary.AppendUvarint(b, uint64(s.Size))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.MTime))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.CTime))
	return binary.AppendUvarint(b, s.Inode)
}

func cutStat(b []byte) (Stat, []byte, bool) {
	size, b, ok := cutUvarint(b)
	if !ok || len(b) < 16 {
		return Stat{}, nil, false
	}
	s := Stat{
		Size:  int64(size),
		MTime: int64(binary.LittleEndian.Uint64(b)),
		CTime: int64(binary.LittleEndian.Uint64(b[8:])),
	}
	s.Inode, b, ok = cutUvarint(b[16:])
	return s, b, ok
}

// appendFacts appends a byte that holds the kind and which companions there
// are, and then the Stats of those that there are.
func appendFacts(b []byte, f *facts) []byte {
	flags := byte(f.kind) & 1
	for i, s := range f.beside {
		if !s.IsZero() {
			flags |= 2 << i
		}
	}
	b = append(b, flags)
	b = appendStat(b, f.main)
	for _, s := range f.beside {
		if !s.IsZero() {
			b = appendStat(b, s)
		}
	}
	return b
}

func cutFacts(b []byte) (f facts, rest []byte, ok bool) {
	if len(b) == 0 || b[0]&^15 != 0 {
		return f, nil, false
	}
	flags := b[0]
	f.kind = Kind(flags & 1)
	if f.main, b, ok = cutStat(b[1:]); !ok {
		return f, nil, false
	}
	for i := range f.beside {
		if flags&(2<<i) == 0 {
			continue
		}
		if f.beside[i], b, ok = cutStat(b); !ok || f.beside[i].IsZero() {
			return f, nil, false
		}
	}
	return f, b, true
}

// The first byte of an encoded outcome.
const (
	verdictBits = 3
	hasProject  = 1 << 2
	hasInUse    = 1 << 3
	hasText     = 1 << 4
	hasRules    = 1 << 5
)

// appendOutcome appends o. rules goes with what depends on more than the
// bytes of the file: with every rejection, and with every snippet.
func appendOutcome(b []byte, k Kind, o *Outcome, rules uint64) []byte {
	at := len(b)
	b = append(b, byte(o.Verdict))
	b = append(b, o.SHA256[:]...)
	if o.Project != "" {
		b[at] |= hasProject
		b = appendText(b, string(o.Project))
	}
	if !o.InUse.IsZero() {
		b[at] |= hasInUse
		b = append(b, o.InUse[:]...)
	}
	if o.Reason != "" || o.Hint != "" {
		b[at] |= hasText
		b = appendText(b, o.Reason)
		b = appendText(b, o.Hint)
	}
	if k == Snippet || o.Verdict == Rejected {
		b[at] |= hasRules
		b = binary.LittleEndian.AppendUint64(b, rules)
	}
	return b
}

// parseOutcome reads what appendOutcome wrote and nothing more.
func parseOutcome(b []byte) (o Outcome, ok bool) {
	const digest = len(catalog.Digest{})
	if len(b) < 1+digest || b[0]&^(verdictBits|hasProject|hasInUse|hasText|hasRules) != 0 {
		return o, false
	}
	flags := b[0]
	o.Verdict = Verdict(flags & verdictBits)
	if o.Verdict != Accepted && o.Verdict != Rejected {
		return o, false
	}
	copy(o.SHA256[:], b[1:])
	b = b[1+digest:]
	if flags&hasProject != 0 {
		var s []byte
		if s, b, ok = cutText(b); !ok {
			return o, false
		}
		o.Project = packaging.Name(s)
	}
	if flags&hasInUse != 0 {
		if len(b) < digest {
			return o, false
		}
		copy(o.InUse[:], b)
		b = b[digest:]
	}
	if flags&hasText != 0 {
		var reason, hint []byte
		if reason, b, ok = cutText(b); !ok {
			return o, false
		}
		if hint, b, ok = cutText(b); !ok {
			return o, false
		}
		o.Reason, o.Hint = string(reason), string(hint)
	}
	if flags&hasRules != 0 {
		if len(b) < 8 {
			return o, false
		}
		b = b[8:]
	}
	return o, len(b) == 0
}

// verdict reads an encoded outcome no further than its first byte.
func verdict(outcome []byte) Verdict {
	if len(outcome) == 0 {
		return Unseen
	}
	return Verdict(outcome[0] & verdictBits)
}

// outdated reports whether an encoded outcome depends on other rules than
// these, which end it.
func outdated(outcome []byte, rules uint64) bool {
	if len(outcome) < 9 || outcome[0]&hasRules == 0 {
		return false
	}
	return binary.LittleEndian.Uint64(outcome[len(outcome)-8:]) != rules
}

// project gives the project of an encoded outcome in place.
func project(outcome []byte) []byte {
	const start = 1 + len(catalog.Digest{})
	if len(outcome) < start || outcome[0]&hasProject == 0 {
		return nil
	}
	s, _, _ := cutText(outcome[start:])
	return s
}

// check refuses an outcome that the cache cannot hold, and cuts long texts at
// a whole character.
func (o *Outcome) check() error {
	if o.Verdict != Accepted && o.Verdict != Rejected {
		return errors.New("outcome without a verdict")
	}
	if len(o.Project) > maxProject {
		return fmt.Errorf("project name of %d bytes, want at most %d", len(o.Project), maxProject)
	}
	o.Reason, o.Hint = cut(o.Reason), cut(o.Hint)
	return nil
}

func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func cutText(b []byte) (text, rest []byte, ok bool) {
	n, b, ok := cutUvarint(b)
	if !ok || n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

func cutUvarint(b []byte) (uint64, []byte, bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 {
		return 0, nil, false
	}
	return n, b[k:], true
}

// comparePaths orders paths as a walk that sorts each folder by name meets
// them: the slash counts as less than every other byte.
func comparePaths(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x == '/' || y != '/' && x < y {
			return -1
		}
		return 1
	}
	return len(a) - len(b)
}
