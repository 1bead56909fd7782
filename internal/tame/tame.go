// Package tame makes text that came from elsewhere harmless to those who look
// at it: a file name or the reason of a yank must neither tell a terminal
// anything nor make a line read in another order than it is written.
package tame

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text gives a text as one line that may be shown: U+FFFD stands for what is
// not UTF-8 and for every character that is [Wild].
func Text(s string) string {
	return strings.Map(func(r rune) rune {
		if Wild(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// Wild reports whether a character does something other than to be seen: the
// controls of ASCII and of ISO 6429 but for the tab, the separators of lines
// and paragraphs, and what turns the direction of writing (UAX 9).
func Wild(r rune) bool {
	return r < ' ' && r != '\t' || 0x7f <= r && r <= 0x9f || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// JSON gives a JSON document with the wild characters in its strings escaped,
// which says the same. Only white space of the document itself may be wild, and
// stays.
func JSON(document []byte) []byte {
	if !bytes.ContainsFunc(document, inString) {
		return document
	}
	var b []byte
	for _, r := range string(document) {
		if inString(r) {
			b = fmt.Appendf(b, `\u%04x`, r)
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

// inString reports whether a character is wild and can only stand in a string.
func inString(r rune) bool { return r > ' ' && Wild(r) }
