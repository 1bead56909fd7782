package fetch

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A scanner reads JSON (RFC 8259) piece by piece. It is stricter than
// encoding/json: a key counts only as it is spelled, an object that has a key
// twice is refused where it is looked into, and so is text that is not UTF-8.
// Two readers of one page must not see two different files in it.
type scanner struct {
	data []byte
	pos  int
}

const maxDepth = 64

var errSyntax = errors.New("not valid JSON")

// fail gives an error with the place.
func (s *scanner) fail(format string, args ...any) error {
	return fmt.Errorf("%w: byte %d: %s", errSyntax, s.pos, fmt.Sprintf(format, args...))
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek gives the first byte of the next token, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.pos == len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

// take skips the byte c, which must come next.
func (s *scanner) take(c byte) error {
	if s.peek() != c {
		return s.fail("want %q", c)
	}
	s.pos++
	return nil
}

// text reads a string. What it gives may be a part of the data: it must be
// copied to be kept.
func (s *scanner) text() ([]byte, error) {
	if err := s.take('"'); err != nil {
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
				return nil, s.fail("text is not UTF-8")
			}
			return rest[:i], nil
		case c == '\\':
			s.pos += i
			return s.escaped(s.pos - i)
		case c < ' ':
			s.pos += i
			return nil, s.fail("control character in text")
		}
		ascii = false
	}
	s.pos = len(s.data)
	return nil, s.fail("text has no end")
}

// escaped reads a string on from its first escape.
func (s *scanner) escaped(start int) ([]byte, error) {
	t := slices.Clone(s.data[start:s.pos])
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		s.pos++
		switch {
		case c == '"':
			if !utf8.Valid(t) {
				return nil, s.fail("text is not UTF-8")
			}
			return t, nil
		case c < ' ':
			return nil, s.fail("control character in text")
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
				return nil, s.fail("wrong escape")
			}
			if utf16.IsSurrogate(r) {
				// A lone half becomes U+FFFD.
				mark := s.pos
				r2 := rune(-1)
				if s.pos+1 < len(s.data) && s.data[s.pos] == '\\' && s.data[s.pos+1] == 'u' {
					s.pos += 2
					if r2, ok = s.hex4(); !ok {
						return nil, s.fail("wrong escape")
					}
				}
				if r = utf16.DecodeRune(r, r2); r == utf8.RuneError {
					s.pos = mark
				}
			}
			t = utf8.AppendRune(t, r)
		default:
			return nil, s.fail("wrong escape")
		}
	}
	return nil, s.fail("text has no end")
}

func (s *scanner) hex4() (rune, bool) {
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

// number reads a number as it is written.
func (s *scanner) number() ([]byte, error) {
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
		return nil, s.fail("not a value")
	}
	if at(".") && !digits() {
		return nil, s.fail("wrong number")
	}
	if at("eE") {
		at("+-")
		if !digits() {
			return nil, s.fail("wrong number")
		}
	}
	return s.data[start:s.pos], nil
}

// integer reads a number; ok is false if it is not a whole one from 0 on that
// an int64 can hold.
func (s *scanner) integer() (n int64, ok bool, err error) {
	t, err := s.number()
	if err != nil {
		return 0, false, err
	}
	if n, err := strconv.ParseInt(string(t), 10, 64); err == nil && n >= 0 {
		return n, true, nil
	}
	return 0, false, nil
}

// word reads true, false or null.
func (s *scanner) word() (string, error) {
	s.space()
	for _, w := range []string{"true", "false", "null"} {
		if n := s.pos + len(w); n <= len(s.data) && string(s.data[s.pos:n]) == w {
			s.pos = n
			return w, nil
		}
	}
	return "", s.fail("not a value")
}

// array calls element before each element, which it has to read.
func (s *scanner) array(element func() error) error {
	if err := s.take('['); err != nil {
		return err
	}
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return nil
		default:
			return s.fail("want ',' or ']'")
		}
	}
}

// object calls member for each key; it has to read the value. The key is known
// by its place in names, or -1. A key that comes twice is an error, unknown
// ones included.
func (s *scanner) object(names []string, member func(key int) error) error {
	if err := s.take('{'); err != nil {
		return err
	}
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	var seen uint64
	var others keySet
	for {
		if s.peek() != '"' {
			return s.fail("want a key")
		}
		key, err := s.text()
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
			return s.fail("key %q comes twice", key)
		}
		if k >= 0 {
			seen |= 1 << k
		}
		if err := s.take(':'); err != nil {
			return err
		}
		if err := member(k); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return nil
		default:
			return s.fail("want ',' or '}'")
		}
	}
}

// dict is like object, for keys that are data.
func (s *scanner) dict(member func(key []byte) error) error {
	if err := s.take('{'); err != nil {
		return err
	}
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	var seen keySet
	for {
		if s.peek() != '"' {
			return s.fail("want a key")
		}
		key, err := s.text()
		if err != nil {
			return err
		}
		if !seen.add(key) {
			return s.fail("key %q comes twice", key)
		}
		if err := s.take(':'); err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return nil
		default:
			return s.fail("want ',' or '}'")
		}
	}
}

// skip reads any value. Objects in it are read as strictly as others.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return s.fail("nested more than %d deep", maxDepth)
	}
	var err error
	switch s.peek() {
	case '{':
		err = s.dict(func([]byte) error { return s.skip(depth + 1) })
	case '[':
		err = s.array(func() error { return s.skip(depth + 1) })
	case '"':
		_, err = s.text()
	case 't', 'f', 'n':
		_, err = s.word()
	default:
		_, err = s.number()
	}
	return err
}

// end says whether anything but space comes after the value.
func (s *scanner) end() error {
	if s.peek() != 0 || s.pos < len(s.data) {
		return s.fail("something after the end")
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
