package packaging

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// A Version is a parsed version (PEP 440). Versions are values: two are equal
// by == exactly when their normal forms are the same, so 1.0 and 1.0.0 are
// different values that [Version.Compare] finds equal. The zero Version stands
// for "none": it sorts below every version and no specifier holds it.
//
// Numbers in a version have no upper limit, so the methods that give one give
// its decimal digits, without leading zeros.
type Version struct {
	data  string // the sort key, then the normal form: one allocation for both
	norm  uint32 // where the normal form begins
	flags versionFlags
}

type versionFlags uint8

const (
	hasPre versionFlags = 1 << iota
	hasPost
	hasDev
	hasLocal
)

// ParseVersion reads a version in any spelling that PEP 440 accepts, white
// space around it included. An error is a [*SyntaxError].
func ParseVersion(s string) (Version, error) {
	var p versionScan
	if bad := scanVersion(s, &p); bad.expected != "" {
		return Version{}, &SyntaxError{"version", s, bad.offset, bad.expected}
	}
	return p.version(), nil
}

// parseOrZero is ParseVersion with the zero Version for what is none; it saves
// making an error that nobody reads.
func parseOrZero(s string) Version {
	var p versionScan
	if bad := scanVersion(s, &p); bad.expected != "" {
		return Version{}
	}
	return p.version()
}

// ValidVersion reports whether s is a version, in any spelling. It does not
// allocate.
func ValidVersion(s string) bool {
	var p versionScan
	return scanVersion(s, &p).expected == ""
}

// String gives the normal form of v, which ParseVersion reads back as v.
func (v Version) String() string { return v.data[v.norm:] }

// IsZero reports whether v is the zero Version, which no text parses to.
func (v Version) IsZero() bool { return v.data == "" }

// Key gives a string whose byte order is the order of versions: Key(a) < Key(b)
// exactly when a sorts before b, and equal versions have equal keys. It is the
// key of [VersionKey]; it can be stored and compared by other programs.
func (v Version) Key() string { return v.data[:v.norm] }

// Compare gives -1, 0 or 1 as v is older than, equal to or newer than w.
func (v Version) Compare(w Version) int { return strings.Compare(v.Key(), w.Key()) }

// Public gives the normal form without the local part.
func (v Version) Public() string {
	s := v.String()
	if v.flags&hasLocal != 0 {
		return s[:strings.IndexByte(s, '+')]
	}
	return s
}

// Local gives the local part, without its plus sign. It is empty when there is
// none.
func (v Version) Local() string {
	if v.flags&hasLocal == 0 {
		return ""
	}
	s := v.String()
	return s[strings.IndexByte(s, '+')+1:]
}

// Base gives the epoch, unless it is zero, and the release: 1!2.0 for
// 1!2.0rc1.post2.
func (v Version) Base() string {
	s := v.String()
	i := 0
	for i < len(s) && (isDigit(s[i]) || s[i] == '!' || s[i] == '.' && i+1 < len(s) && isDigit(s[i+1])) {
		i++
	}
	return s[:i]
}

// Epoch gives the epoch, "0" when none is written.
func (v Version) Epoch() string {
	if e, _, ok := strings.Cut(v.Base(), "!"); ok {
		return e
	}
	return "0"
}

// Release gives the release part, such as "1.2.0", as many numbers as were
// written.
func (v Version) Release() string {
	b := v.Base()
	return b[strings.IndexByte(b, '!')+1:]
}

// Pre gives the label ("a", "b" or "rc") and the number of the pre-release
// part, both empty when there is none.
func (v Version) Pre() (label, number string) {
	if v.flags&hasPre == 0 {
		return "", ""
	}
	rest := v.String()[len(v.Base()):]
	n := 1
	if rest[0] == 'r' {
		n = 2
	}
	return rest[:n], leadingDigits(rest[n:])
}

// Post gives the number of the post-release part; ok is false when there is
// none.
func (v Version) Post() (number string, ok bool) {
	return v.part(hasPost, ".post")
}

// Dev gives the number of the development part; ok is false when there is none.
func (v Version) Dev() (number string, ok bool) {
	return v.part(hasDev, ".dev")
}

func (v Version) part(flag versionFlags, label string) (string, bool) {
	if v.flags&flag == 0 {
		return "", false
	}
	// The first occurrence is the right one: a local part, which may hold the
	// same letters, comes last.
	s := v.String()
	return leadingDigits(s[strings.Index(s, label)+len(label):]), true
}

// IsPrerelease reports whether v is a pre-release in the sense of PEP 440:
// alpha, beta, release candidate or development release.
func (v Version) IsPrerelease() bool { return v.flags&(hasPre|hasDev) != 0 }

// IsPostrelease reports whether v has a post-release part.
func (v Version) IsPostrelease() bool { return v.flags&hasPost != 0 }

// IsDevrelease reports whether v has a development part.
func (v Version) IsDevrelease() bool { return v.flags&hasDev != 0 }

// IsLocal reports whether v has a local part.
func (v Version) IsLocal() bool { return v.flags&hasLocal != 0 }

// Canonical gives the normal form with the zeros at the end of the release
// stripped, so that equal versions have the same text: 1.0.0 is "1".
func (v Version) Canonical() string {
	s, base := v.String(), v.Base()
	short := base
	for strings.HasSuffix(short, ".0") {
		short = short[:len(short)-2]
	}
	if len(short) == len(base) {
		return s
	}
	return short + s[len(base):]
}

// The sort key of a version, in which every part ends by itself, so that no
// part of one version is compared with another part of the other:
//
//	epoch    number
//	release  numbers without the zeros at the end, then releaseEnd, which is
//	         less than any number: that pads the shorter one with zeros
//	pre      devOnly | preA number | preB number | preRC number | noPre
//	post     noPost | somePost number
//	dev      someDev number | noDev
//	local    for each segment: localText text 0 | localNumber number
//
// The byte after, which no key holds there, stands in a bound for the end of
// all that begins with what is before it.
//
// A number is one byte when it is small, else its length in bytes and its
// bytes; from 20 digits on it is the count of digits and the digits.
const (
	releaseEnd  = 0x01
	devOnly     = 0x01 // a dev release of a final release comes before its alphas
	preA        = 0x02
	preB        = 0x03
	preRC       = 0x04
	noPre       = 0x05
	noPost      = 0x01
	somePost    = 0x02
	someDev     = 0x01
	noDev       = 0x02
	localText   = 0x01
	localNumber = 0x02
	after       = 0xFF // above all that can follow, in the bounds of specifiers

	numberBase  = 0x02 // the byte of 0
	numberSmall = 0xD0 // numbers below are one byte
	numberWide  = 0xE0 // plus the count of bytes, 1 to 8
	numberHuge  = 0xE9
)

// appendNumber appends the key of a number. The digits may have leading zeros,
// and may be none, which is zero.
func appendNumber(b []byte, digits string) []byte {
	switch len(digits) {
	case 0:
		return append(b, numberBase)
	case 1:
		return append(b, numberBase+digits[0]-'0')
	case 2:
		return append(b, numberBase+(digits[0]-'0')*10+digits[1]-'0')
	}
	digits = trimZeros(digits)
	if len(digits) > 19 {
		b = append(b, numberHuge)
		b = binary.BigEndian.AppendUint32(b, uint32(len(digits)))
		return append(b, digits...)
	}
	var n uint64
	for i := 0; i < len(digits); i++ {
		n = n*10 + uint64(digits[i]-'0')
	}
	if n < numberSmall {
		return append(b, numberBase+byte(n))
	}
	width := 1
	for m := n >> 8; m != 0; m >>= 8 {
		width++
	}
	b = append(b, numberWide+byte(width))
	for i := width - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}

// increment gives the digits of the next number.
func increment(digits string) string {
	b := []byte("0" + digits)
	i := len(b) - 1
	for ; b[i] == '9'; i-- {
		b[i] = '0'
	}
	b[i]++
	return trimZeros(string(b))
}

// trimZeros strips leading zeros, all but the last digit.
func trimZeros(digits string) string {
	for len(digits) > 1 && digits[0] == '0' {
		digits = digits[1:]
	}
	return digits
}

func leadingDigits(s string) string {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return s[:i]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// trimSpace strips white space as Python's str.strip sees it, which is what
// the tools strip around versions and specifiers: beyond Go's, the four
// separators 0x1C to 0x1F.
func trimSpace(s string) string {
	if s != "" && isAlnum(s[0]) && isAlnum(s[len(s)-1]) {
		return s
	}
	for s != "" {
		n := leadingSpace(s)
		if n == 0 {
			break
		}
		s = s[n:]
	}
	for s != "" {
		c := s[len(s)-1]
		if c < utf8.RuneSelf {
			if !isASCIISpace(c) {
				break
			}
			s = s[:len(s)-1]
			continue
		}
		r, n := utf8.DecodeLastRuneInString(s)
		if !isWideSpace(r) {
			break
		}
		s = s[:len(s)-n]
	}
	return s
}

// leadingSpace gives the length of the white space character that s begins
// with, zero when there is none.
func leadingSpace(s string) int {
	if s == "" {
		return 0
	}
	if c := s[0]; c < utf8.RuneSelf {
		if isASCIISpace(c) {
			return 1
		}
		return 0
	}
	if r, n := utf8.DecodeRuneInString(s); isWideSpace(r) {
		return n
	}
	return 0
}

func isASCIISpace(c byte) bool {
	return c == ' ' || '\t' <= c && c <= '\r' || 0x1C <= c && c <= 0x1F
}

func isWideSpace(r rune) bool {
	switch r {
	case 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000:
		return true
	}
	return 0x2000 <= r && r <= 0x200A
}
