// Package strictjson reads JSON that others wrote (RFC 8259), piece by piece and
// without a copy. It is stricter than encoding/json: a key counts only as it is
// spelled, an object that has a key twice is refused, and so is text that is not
// UTF-8. Two readers of one text must not see two different things in it.
package strictjson

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A Scanner is at a place of a text. Each method reads what it is named for and
// gives an error that matches [ErrSyntax] if that does not come next. A method that
// takes a function calls it at each value, which the function has to read.
type Scanner struct {
	data []byte
	pos  int
}

// New gives a scanner at the beginning of data, which must not change while it is
// read.
func New(data []byte) *Scanner { return &Scanner{data: data} }

// Reset has the scanner begin at another text.
func (s *Scanner) Reset(data []byte) { s.data, s.pos = data, 0 }

// Len is how many bytes the text has.
func (s *Scanner) Len() int { return len(s.data) }

// MaxDepth is how deep values may be nested that [Scanner.Skip] reads.
const MaxDepth = 64

// ErrSyntax is matched by every error of this package.
var ErrSyntax = errors.New("not valid JSON")

// Fail gives an error with the place.
func (s *Scanner) Fail(format string, args ...any) error {
	return fmt.Errorf("%w: byte %d: %s", ErrSyntax, s.pos, fmt.Sprintf(format, args...))
}

func (s *Scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// Peek gives the first byte of the next token, 0 at the end.
func (s *Scanner) Peek() byte {
	s.space()
	if s.pos == len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

// Take skips the byte c, which must come next.
func (s *Scanner) Take(c byte) error {
	if s.Peek() != c {
		return s.Fail("want %q", c)
	}
	s.pos++
	return nil
}

// Text reads a string. What it gives may be a part of the data: it must be
// copied to be kept.
func (s *Scanner) Text() ([]byte, error) {
	if err := s.Take('"'); err != nil {
		return nil, err
	}
	rest := s.data[s.pos:]
	ascii := true
	for i, c := range rest {
		if ' ' <= c && c < utf8.RuneSelf && c != '"' && c != '\\' {
			continue
		}
		switch {
		case c == '"':
			s.pos += i + 1
			if !ascii && !utf8.Valid(rest[:i]) {
				return nil, s.Fail("text is not UTF-8")
			}
			return rest[:i], nil
		case c == '\\':
			s.pos += i
			return s.escaped(s.pos - i)
		case c < ' ':
			s.pos += i
			return nil, s.Fail("control character in text")
		}
		ascii = false
	}
	s.pos = len(s.data)
	return nil, s.Fail("text has no end")
}

// escaped reads a string on from its first escape.
func (s *Scanner) escaped(start int) ([]byte, error) {
	t := slices.Clone(s.data[start:s.pos])
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		s.pos++
		switch {
		case c == '"':
			if !utf8.Valid(t) {
				return nil, s.Fail("text is not UTF-8")
			}
			return t, nil
		case c < ' ':
			return nil, s.Fail("control character in text")
		case c != '\\':
			t = append(t, c)
			continue
		}
		if s.pos == len(s.data) {
			break
		}
		c = s.data[s.pos]
		s.pos++
		switch c {
		case '"', '\\', '/':
			t = append(t, c)
		case 'b':
			t = append(t, '\b')
		case 'f':
			t = append(t, '\f')
		case 'n':
			t = append(t, '\n')
		case 'r':
			t = append(t, '\r')
		case 't':
			t = append(t, '\t')
		case 'u':
			r, ok := s.hex4()
			if !ok {
				return nil, s.Fail("wrong escape")
			}
			if utf16.IsSurrogate(r) {
				// A lone half becomes U+FFFD.
				mark := s.pos
				r2 := rune(-1)
				if s.pos+1 < len(s.data) && s.data[s.pos] == '\\' && s.data[s.pos+1] == 'u' {
					s.pos += 2
					if r2, ok = s.hex4(); !ok {
						return nil, s.Fail("wrong escape")
					}
				}
				if r = utf16.DecodeRune(r, r2); r == utf8.RuneError {
					s.pos = mark
				}
			}
			t = utf8.AppendRune(t, r)
		default:
			return nil, s.Fail("wrong escape")
		}
	}
	return nil, s.Fail("text has no end")
}

func (s *Scanner) hex4() (rune, bool) {
	if s.pos+4 > len(s.data) {
		return 0, false
	}
	var r rune
	for _, c := range s.data[s.pos : s.pos+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	s.pos += 4
	return r, true
}

// Number reads a number as it is written.
func (s *Scanner) Number() ([]byte, error) {
	s.space()
	start := s.pos
	digits := func() bool {
		from := s.pos
		for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
			s.pos++
		}
		return s.pos > from
	}
	at := func(set string) bool {
		if s.pos < len(s.data) {
			for i := 0; i < len(set); i++ {
				if s.data[s.pos] == set[i] {
					s.pos++
					return true
				}
			}
		}
		return false
	}
	at("-")
	if !at("0") && !digits() {
		return nil, s.Fail("not a value")
	}
	if at(".") && !digits() {
		return nil, s.Fail("wrong number")
	}
	if at("eE") {
		at("+-")
		if !digits() {
			return nil, s.Fail("wrong number")
		}
	}
	return s.data[start:s.pos], nil
}

// Integer reads a number; ok is false if it is not a whole one from 0 on that
// an int64 can hold.
func (s *Scanner) Integer() (n int64, ok bool, err error) {
	t, err := s.Number()
	if err != nil {
		return 0, false, err
	}
	if n, err := strconv.ParseInt(string(t), 10, 64); err == nil && n >= 0 {
		return n, true, nil
	}
	return 0, false, nil
}

// Word reads true, false or null.
func (s *Scanner) Word() (string, error) {
	s.space()
	for _, w := range []string{"true", "false", "null"} {
		if n := s.pos + len(w); n <= len(s.data) && string(s.data[s.pos:n]) == w {
			s.pos = n
			return w, nil
		}
	}
	return "", s.Fail("not a value")
}

// Array calls element before each element, which it has to read.
func (s *Scanner) Array(element func() error) error {
	if err := s.Take('['); err != nil {
		return err
	}
	if s.Peek() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch s.Peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return nil
		default:
			return s.Fail("want ',' or ']'")
		}
	}
}

// Object calls member for each key; it has to read the value. The key is known
// by its place in names, or -1. A key that comes twice is an error, unknown
// ones included.
func (s *Scanner) Object(names []string, member func(key int) error) error {
	if err := s.Take('{'); err != nil {
		return err
	}
	if s.Peek() == '}' {
		s.pos++
		return nil
	}
	var seen uint64
	var others keySet
	for {
		if s.Peek() != '"' {
			return s.Fail("want a key")
		}
		key, err := s.Text()
		if err != nil {
			return err
		}
		k := -1
		for i, name := range names {
			if string(key) == name {
				k = i
				break
			}
		}
		if k >= 0 && seen&(1<<k) != 0 || k < 0 && !others.add(key) {
			return s.Fail("key %q comes twice", key)
		}
		if k >= 0 {
			seen |= 1 << k
		}
		if err := s.Take(':'); err != nil {
			return err
		}
		if err := member(k); err != nil {
			return err
		}
		switch s.Peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return nil
		default:
			return s.Fail("want ',' or '}'")
		}
	}
}

// Dict is like object, for keys that are data.
func (s *Scanner) Dict(member func(key []byte) error) error {
	if err := s.Take('{'); err != nil {
		return err
	}
	if s.Peek() == '}' {
		s.pos++
		return nil
	}
	var seen keySet
	for {
		if s.Peek() != '"' {
			return s.Fail("want a key")
		}
		key, err := s.Text()
		if err != nil {
			return err
		}
		if !seen.add(key) {
			return s.Fail("key %q comes twice", key)
		}
		if err := s.Take(':'); err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
		switch s.Peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return nil
		default:
			return s.Fail("want ',' or '}'")
		}
	}
}

// Skip reads any value. Objects in it are read as strictly as others.
func (s *Scanner) Skip() error { return s.skip(0) }

func (s *Scanner) skip(depth int) error {
	if depth > MaxDepth {
		return s.Fail("nested more than %d deep", MaxDepth)
	}
	var err error
	switch s.Peek() {
	case '{':
		err = s.Dict(func([]byte) error { return s.skip(depth + 1) })
	case '[':
		err = s.Array(func() error { return s.skip(depth + 1) })
	case '"':
		_, err = s.Text()
	case 't', 'f', 'n':
		_, err = s.Word()
	default:
		_, err = s.Number()
	}
	return err
}

// End says whether anything but space comes after the value.
func (s *Scanner) End() error {
	if s.Peek() != 0 || s.pos < len(s.data) {
		return s.Fail("something after the end")
	}
	return nil
}

// A keySet holds the keys of one object: a few in order, many in a map.
type keySet struct {
	few  [4][]byte
	n    int
	many map[string]bool
}

// add reports whether the key is new.
func (k *keySet) add(key []byte) bool {
	if k.many != nil {
		if k.many[string(key)] {
			return false
		}
		k.many[string(key)] = true
		return true
	}
	for _, f := range k.few[:k.n] {
		if string(f) == string(key) {
			return false
		}
	}
	if k.n < len(k.few) {
		k.few[k.n] = key
		k.n++
		return true
	}
	k.many = make(map[string]bool, 2*len(k.few))
	for _, f := range k.few {
		k.many[string(f)] = true
	}
	k.many[string(key)] = true
	return true
}

// Offset is where the next token begins.
func (s *Scanner) Offset() int {
	s.space()
	return s.pos
}

// Since gives what was read since an [Scanner.Offset]. It is a part of the data.
func (s *Scanner) Since(offset int) []byte { return s.data[offset:s.pos] }
