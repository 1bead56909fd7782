package bundle

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	blockSize = 512

	// maxOctal is the largest size that a USTAR header can tell.
	maxOctal = 1<<33 - 1

	// endSize is what is after the last member: two blocks of zeros.
	endSize = 2 * blockSize
)

// padding is how many zeros follow so many bytes of a member.
func padding(size int64) int64 {
	return -size & (blockSize - 1)
}

// appendHeader appends all that is before the content of a member: a USTAR
// header, and before that a pax header where the name or the size does not fit.
func appendHeader(b []byte, name string, size int64) []byte {
	prefix, base, fits := splitName(name)
	if fits && size <= maxOctal {
		return appendBlock(b, prefix, base, size, '0')
	}
	var records []byte
	if !fits {
		records = appendRecord(records, "path", name)
		prefix, base = "", name[:100]
	}
	told := size
	if size > maxOctal {
		records = appendRecord(records, "size", strconv.FormatInt(size, 10))
		told = 0
	}
	last := name[strings.LastIndexByte(name, '/')+1:]
	b = appendBlock(b, "", "PaxHeaders/"+last[:min(len(last), 80)], int64(len(records)), 'x')
	b = append(b, records...)
	b = append(b, make([]byte, padding(int64(len(records))))...)
	return appendBlock(b, prefix, base, told, '0')
}

// splitName cuts a name where USTAR wants it: at most 100 bytes, and before a
// slash at most 155 more.
func splitName(name string) (prefix, base string, fits bool) {
	if len(name) <= 100 {
		return "", name, true
	}
	i := strings.LastIndexByte(name[:min(len(name), 156)], '/')
	if i <= 0 || len(name)-i-1 > 100 {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

// appendRecord appends a pax record, whose length counts its own digits.
func appendRecord(b []byte, key, value string) []byte {
	rest := len(" ") + len(key) + len("=") + len(value) + len("\n")
	n := rest + len(strconv.Itoa(rest))
	if rest+len(strconv.Itoa(n)) != n {
		n++
	}
	return fmt.Appendf(b, "%d %s=%s\n", n, key, value)
}

func appendBlock(b []byte, prefix, name string, size int64, kind byte) []byte {
	var h [blockSize]byte
	copy(h[0:100], name)
	copy(h[100:108], "0000444")
	copy(h[108:116], "0000000")
	copy(h[116:124], "0000000")
	octal(h[124:135], size)
	copy(h[136:148], "00000000000")
	copy(h[148:156], "        ")
	h[156] = kind
	copy(h[257:265], "ustar\x0000")
	copy(h[329:337], "0000000")
	copy(h[337:345], "0000000")
	copy(h[345:500], prefix)
	var sum int64
	for _, c := range h {
		sum += int64(c)
	}
	octal(h[148:154], sum)
	h[154] = 0
	return append(b, h[:]...)
}

// octal fills a field with digits.
func octal(field []byte, n int64) {
	for i := len(field) - 1; i >= 0; i-- {
		field[i] = byte('0' + n&7)
		n >>= 3
	}
}

// noteSize reads from the first block of a part how long the note is.
func noteSize(block []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(block[124:135]), 8, 64)
	if err != nil || n <= 0 || n > maxNote {
		return 0, false
	}
	return n, string(appendHeader(nil, noteName, n)) == string(block)
}
