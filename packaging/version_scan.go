package packaging

import "strings"

// A versionScan says where the parts of a version are in its text.
type versionScan struct {
	epoch   string // digits, empty when none is written
	release string // numbers and dots
	pre     byte   // preA, preB, preRC or 0
	preN    string // digits or empty
	postN   string
	devN    string
	local   string // without the plus sign
	flags   versionFlags
}

// A scanFault says where and why a scan stopped; its zero value is success.
// It is no error value, so that refusing a text costs nothing.
type scanFault struct {
	offset   int // in bytes
	expected string
}

// scanVersion finds the parts of a version. A separator before a label, and
// one after it, belong to the label whether or not digits follow (1.0b_ is
// 1.0b0).
func scanVersion(s string, p *versionScan) (bad scanFault) {
	text := trimSpace(s)
	i, fault := scanVersionPrefix(text, p)
	if fault == "" && i < len(text) {
		fault = expectedAfter(p.flags, text[i])
	}
	if fault != "" {
		return scanFault{strings.Index(s, text) + i, fault}
	}
	return scanFault{}
}

// expectedAfter says what could have stood where the scan of a version ended
// too early, at the character c.
func expectedAfter(flags versionFlags, c byte) string {
	switch {
	case flags&hasLocal != 0:
		return "letters and digits in the local part, or the end"
	case c == '+':
		return "letters or digits after '+'"
	case flags&hasDev != 0:
		return "'+' and a local part, or the end"
	case flags&hasPost != 0:
		return "a 'dev' part, '+' and a local part, or the end"
	case flags&hasPre != 0:
		return "a 'post' or 'dev' part, '+' and a local part, or the end"
	}
	return "a number, a part such as 'a1', 'rc1', 'post1' or 'dev1', or the end"
}

// scanVersionPrefix finds the parts of the longest version that s begins with
// and gives its length; with a fault, where it stopped and what it expected.
func scanVersionPrefix(s string, p *versionScan) (n int, fault string) {
	i := 0
	if i < len(s) && s[i]|0x20 == 'v' {
		i++
	}
	j := i + len(leadingDigits(s[i:]))
	if j == i {
		return i, "a digit"
	}
	if j < len(s) && s[j] == '!' {
		p.epoch = s[i:j]
		i = j + 1
		j = i + len(leadingDigits(s[i:]))
		if j == i {
			return i, "a digit after the epoch"
		}
	}
	for j+1 < len(s) && s[j] == '.' && isDigit(s[j+1]) {
		j += 1 + len(leadingDigits(s[j+1:]))
	}
	p.release = s[i:j]
	if j == len(s) {
		return j, ""
	}

	label, n := scanPreLabel(s[separator(s, j):])
	if n > 0 {
		p.pre = label
		p.flags |= hasPre
		p.preN, j = scanLabelNumber(s, separator(s, j)+n)
	}

	if j+1 < len(s) && s[j] == '-' && isDigit(s[j+1]) {
		p.flags |= hasPost
		p.postN = leadingDigits(s[j+1:])
		j += 1 + len(p.postN)
	} else if n := scanPostLabel(s[separator(s, j):]); n > 0 {
		p.flags |= hasPost
		p.postN, j = scanLabelNumber(s, separator(s, j)+n)
	}

	if at := separator(s, j); hasLabel(s[at:], "dev") {
		p.flags |= hasDev
		p.devN, j = scanLabelNumber(s, at+3)
	}

	if j+1 < len(s) && s[j] == '+' && isAlnum(s[j+1]) {
		p.flags |= hasLocal
		k := j + 2
		for k < len(s) && (isAlnum(s[k]) || isSeparator(s[k]) && k+1 < len(s) && isAlnum(s[k+1])) {
			k++
		}
		p.local = s[j+1 : k]
		j = k
	}
	return j, ""
}

func isSeparator(c byte) bool { return c == '.' || c == '-' || c == '_' }

// separator gives the place after the separator at s[i], or i without one.
func separator(s string, i int) int {
	if i < len(s) && isSeparator(s[i]) {
		return i + 1
	}
	return i
}

// scanLabelNumber reads the optional separator and digits behind a label.
func scanLabelNumber(s string, i int) (digits string, end int) {
	i = separator(s, i)
	digits = leadingDigits(s[i:])
	return digits, i + len(digits)
}

func scanPreLabel(s string) (label byte, n int) {
	if s == "" {
		return 0, 0
	}
	switch s[0] | 0x20 {
	case 'a':
		if hasLabel(s, "alpha") {
			return preA, 5
		}
		return preA, 1
	case 'b':
		if hasLabel(s, "beta") {
			return preB, 4
		}
		return preB, 1
	case 'c':
		return preRC, 1
	case 'r':
		if hasLabel(s, "rc") {
			return preRC, 2
		}
	case 'p':
		if hasLabel(s, "preview") {
			return preRC, 7
		}
		if hasLabel(s, "pre") {
			return preRC, 3
		}
	}
	return 0, 0
}

func scanPostLabel(s string) (n int) {
	switch {
	case hasLabel(s, "post"):
		return 4
	case hasLabel(s, "rev"):
		return 3
	case hasLabel(s, "r"):
		return 1
	}
	return 0
}

// hasLabel reports whether s begins with the label, in any ASCII case.
func hasLabel(s, label string) bool {
	if len(s) < len(label) {
		return false
	}
	for i := 0; i < len(label); i++ {
		if s[i]|0x20 != label[i] {
			return false
		}
	}
	return true
}

// version makes the Version that was scanned.
func (p *versionScan) version() Version {
	var stack [128]byte
	b := p.appendKey(stack[:0])
	v := Version{norm: uint32(len(b)), flags: p.flags}
	v.data = string(p.appendNormal(b))
	return v
}

// appendKey appends the sort key.
func (p *versionScan) appendKey(b []byte) []byte {
	b = p.appendReleaseKey(b)
	b = p.appendPreKey(b)
	b = p.appendPostKey(b)
	if p.flags&hasDev != 0 {
		b = append(b, someDev)
		b = appendNumber(b, p.devN)
	} else {
		b = append(b, noDev)
	}
	for rest := p.local; rest != ""; {
		var segment string
		segment, rest = cutSegment(rest)
		if digits := leadingDigits(segment); len(digits) == len(segment) {
			b = append(b, localNumber)
			b = appendNumber(b, digits)
			continue
		}
		b = append(b, localText)
		b = appendLower(b, segment)
		b = append(b, 0)
	}
	return b
}

// appendReleaseKey appends the key of epoch and release.
func (p *versionScan) appendReleaseKey(b []byte) []byte {
	b = appendNumber(b, p.epoch)
	end := len(b) // behind the last number that is not zero
	for rest := p.release; rest != ""; {
		digits := leadingDigits(rest)
		rest = rest[min(len(digits)+1, len(rest)):]
		b = appendNumber(b, digits)
		if digits != "0" && trimZeros(digits) != "0" {
			end = len(b)
		}
	}
	return append(b[:end], releaseEnd)
}

func (p *versionScan) appendPreKey(b []byte) []byte {
	switch {
	case p.flags&hasPre != 0:
		b = append(b, p.pre)
		return appendNumber(b, p.preN)
	case p.flags&(hasPost|hasDev) == hasDev:
		return append(b, devOnly)
	}
	return append(b, noPre)
}

func (p *versionScan) appendPostKey(b []byte) []byte {
	if p.flags&hasPost == 0 {
		return append(b, noPost)
	}
	b = append(b, somePost)
	return appendNumber(b, p.postN)
}

// appendNormal appends the normal form.
func (p *versionScan) appendNormal(b []byte) []byte {
	if epoch := trimZeros(p.epoch); epoch != "" && epoch != "0" {
		b = append(b, epoch...)
		b = append(b, '!')
	}
	for rest := p.release; rest != ""; {
		digits := leadingDigits(rest)
		b = append(b, trimZeros(digits)...)
		rest = rest[len(digits):]
		if rest != "" {
			b = append(b, '.')
			rest = rest[1:]
		}
	}
	switch p.pre {
	case preA:
		b = appendNormalPart(b, "a", p.preN)
	case preB:
		b = appendNormalPart(b, "b", p.preN)
	case preRC:
		b = appendNormalPart(b, "rc", p.preN)
	}
	if p.flags&hasPost != 0 {
		b = appendNormalPart(b, ".post", p.postN)
	}
	if p.flags&hasDev != 0 {
		b = appendNormalPart(b, ".dev", p.devN)
	}
	for i, rest := 0, p.local; rest != ""; i++ {
		var segment string
		segment, rest = cutSegment(rest)
		if i == 0 {
			b = append(b, '+')
		} else {
			b = append(b, '.')
		}
		if len(leadingDigits(segment)) == len(segment) {
			segment = trimZeros(segment)
		}
		b = appendLower(b, segment)
	}
	return b
}

func appendNormalPart(b []byte, label, digits string) []byte {
	b = append(b, label...)
	if digits == "" {
		return append(b, '0')
	}
	return append(b, trimZeros(digits)...)
}

// cutSegment takes the first segment of a local part and the separator behind
// it off.
func cutSegment(s string) (segment, rest string) {
	i := 0
	for i < len(s) && !isSeparator(s[i]) {
		i++
	}
	return s[:i], s[min(i+1, len(s)):]
}

// appendLower appends s, ASCII letters and digits, in lower case.
func appendLower(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}
