package allowlist

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"nestgen/internal/tame"
)

// A physicalLine is a piece of text up to a line boundary, without it.
type physicalLine struct {
	text  string
	ended bool // false for a last line without a boundary
}

// physicalLines cuts text at every line boundary that Python's str.splitlines
// knows: LF, CRLF, CR, VT, FF, FS, GS, RS, NEL, U+2028 and U+2029. No line
// follows a boundary at the end.
func physicalLines(text string) iter.Seq[physicalLine] {
	return func(yield func(physicalLine) bool) {
		for len(text) > 0 {
			end, width := nextBoundary(text)
			if !yield(physicalLine{text[:end], width > 0}) {
				return
			}
			text = text[end+width:]
		}
	}
}

// nextBoundary gives the start and the width of the first line boundary, or
// len(s) and 0.
func nextBoundary(s string) (start, width int) {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\r':
			if i+1 < len(s) && s[i+1] == '\n' {
				return i, 2
			}
			return i, 1
		case '\n' <= c && c <= '\f', 0x1c <= c && c <= 0x1e:
			return i, 1
		case c == 0xc2 && strings.HasPrefix(s[i:], "\u0085"):
			return i, 2
		case c == 0xe2 && (strings.HasPrefix(s[i:], "\u2028") || strings.HasPrefix(s[i:], "\u2029")):
			return i, 3
		}
	}
	return len(s), 0
}

// A logicalLine is what the lines of a continuation make together, comments
// cut off and space trimmed. It is never empty.
type logicalLine struct {
	number int // of its first physical line
	text   string
}

// logicalLines joins the lines of a list as pip does. A line continues when
// its last character is a backslash; the backslashes around it are dropped. A
// comment line ends a continuation and is no continuation itself, whatever its
// last character is.
func logicalLines(text string) iter.Seq[logicalLine] {
	return func(yield func(logicalLine) bool) {
		var joined strings.Builder
		number, first, open := 0, 0, false
		emit := func(at int, s string) bool {
			s = trimSpace(cutComment(s))
			return s == "" || yield(logicalLine{at, s})
		}
		for l := range physicalLines(text) {
			number++
			comment := isComment(l.text)
			if strings.HasSuffix(l.text, `\`) && !comment {
				if !open {
					first, open = number, true
				}
				joined.WriteString(strings.Trim(l.text, `\`))
				continue
			}
			at, s := number, l.text
			if open {
				if comment {
					joined.WriteByte(' ') // so that the comment stands after space
				}
				joined.WriteString(s)
				at, s, open = first, joined.String(), false
				joined.Reset()
			}
			if !emit(at, s) {
				return
			}
		}
		if open {
			emit(first, joined.String())
		}
	}
}

// isComment reports whether a physical line is nothing but a comment.
func isComment(s string) bool {
	return strings.HasPrefix(trimSpaceLeft(s), "#")
}

// cutComment cuts a comment off: a # at the start of the line or after white
// space, up to the end.
func cutComment(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] == '#' {
			if before := trimSpaceRight(s[:i]); i == 0 || len(before) < i {
				return before
			}
		}
	}
	return s
}

// isSpace is Python's str.isspace for one character.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f
}

func trimSpace(s string) string      { return strings.TrimFunc(s, isSpace) }
func trimSpaceLeft(s string) string  { return strings.TrimLeftFunc(s, isSpace) }
func trimSpaceRight(s string) string { return strings.TrimRightFunc(s, isSpace) }

// A substitution is a variable that was replaced.
type substitution struct{ variable, value string }

// expand replaces every ${NAME}, with a NAME of A-Z, 0-9 and _ only, that env
// knows and that is not empty. Values are taken as they are: a variable inside
// a value is not replaced again.
func expand(s string, env func(string) (string, bool)) (string, []substitution) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	var b strings.Builder
	var done []substitution
	for {
		start, end := nextVariable(s)
		if start < 0 {
			b.WriteString(s)
			return b.String(), done
		}
		b.WriteString(s[:start])
		variable := s[start:end]
		if v, ok := env(variable[2 : len(variable)-1]); ok && v != "" {
			b.WriteString(v)
			done = append(done, substitution{variable, v})
		} else {
			b.WriteString(variable)
		}
		s = s[end:]
	}
}

// nextVariable gives the place of the first ${NAME} in s, or -1 and -1.
func nextVariable(s string) (start, end int) {
	for from := 0; ; {
		i := strings.Index(s[from:], "${")
		if i < 0 {
			return -1, -1
		}
		start = from + i
		end = start + 2
		for end < len(s) && (s[end] == '_' || 'A' <= s[end] && s[end] <= 'Z' || '0' <= s[end] && s[end] <= '9') {
			end++
		}
		if end > start+2 && end < len(s) && s[end] == '}' {
			return start, end + 1
		}
		from = start + 2
	}
}

// quote puts s between quotation marks for a message, passwords blotted out
// and cut to a length that can be read.
func quote(s string) string { return `"` + bare(s) + `"` }

// bare is quote without the quotation marks.
func bare(s string) string {
	const most = 200
	s = redact(s)
	if len(s) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return tame.Text(s)
}
