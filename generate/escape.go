package generate

import (
	"strings"
	"unicode/utf8"
)

// plainHTML marks the bytes that stand for themselves in an attribute value
// and in text.
var plainHTML = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = true
	}
	for _, c := range `&<>"'=` {
		t[c] = false
	}
	t['\t'] = true
	return t
}()

// appendHTML appends s for a quoted attribute value or for text. The result
// stands on one line, and it is the same text again once decoded, but that
// characters which no HTML document may hold, and bytes that are not UTF-8,
// become U+FFFD.
//
// easy_install reads pages with regular expressions that find "href=" and
// "rel=" anywhere, in a yank reason too. So an equals sign is escaped, unless
// it belongs to a comparison as in ">=3.8", which old clients show unescaped.
func appendHTML(b []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainHTML[c] {
			i++
			continue
		}
		width, escape := 1, "\uFFFD"
		switch {
		case c == '&':
			escape = "&amp;"
		case c == '<':
			escape = "&lt;"
		case c == '>':
			escape = "&gt;"
		case c == '"':
			escape = "&quot;"
		case c == '\'':
			escape = "&#39;"
		case c == '\n':
			escape = "&#10;"
		case c == '\r':
			escape = "&#13;"
		case c == '=':
			if i > 0 && isComparison(s[i-1]) {
				i++
				continue
			}
			escape = "&#61;"
		case c >= utf8.RuneSelf:
			var r rune
			if r, width = utf8.DecodeRuneInString(s[i:]); inHTML(r, width) {
				i += width
				continue
			}
		}
		b = append(b, s[from:i]...)
		b = append(b, escape...)
		i += width
		from = i
	}
	return append(b, s[from:]...)
}

func isComparison(c byte) bool {
	return c == '<' || c == '>' || c == '=' || c == '!' || c == '~'
}

// inHTML reports whether an HTML document may hold a character beyond ASCII:
// not if it is a control, a noncharacter or a decoding error.
func inHTML(r rune, width int) bool {
	return r >= 0xA0 && r&0xFFFE != 0xFFFE && (r < 0xFDD0 || r > 0xFDEF) && (r != utf8.RuneError || width == 3)
}

// clean gives s without what no HTML document may hold, for a value that
// html/template escapes: that lets most of it through.
func clean(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7F {
			return strings.Map(func(r rune) rune {
				switch {
				case r == '\r':
					return '\n' // as every parser has it
				case r < ' ' && r != '\t' && r != '\n', r >= 0x7F && !inHTML(r, 3):
					return utf8.RuneError
				}
				return r
			}, s)
		}
	}
	return s
}

// plainJSON marks the bytes that stand for themselves in a JSON string.
var plainJSON = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendString appends s as a JSON string with its quotes. Bytes that are not
// UTF-8 become U+FFFD, one for each, as encoding/json has it.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainJSON[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, width := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || width > 1 {
				i += width
				continue
			}
		}
		b = append(b, s[from:i]...)
		switch {
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, "\uFFFD"...)
		}
		i++
		from = i
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}
