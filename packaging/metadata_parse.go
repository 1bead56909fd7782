package packaging

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A headerLine is one field as it was found.
type headerLine struct {
	field  int    // index in metadataFields, or -1
	name   string // of an unknown field, in lower case
	value  string
	latin1 bool // the bytes were not UTF-8
}

// ParseMetadata reads core metadata as Python's email package reads it, which
// is what all tools do: fields until the first line that is neither a field nor
// the continuation of one, then the body, which is the description. It takes
// whatever it is given; what had to be guessed is in Warnings and Unparsed. The
// lists share memory with one copy of the fields, the rest is separate.
func ParseMetadata(b []byte) *Metadata {
	m := new(Metadata)
	lines, body := m.readFields(b)
	m.sort(lines)
	m.readBody(body)
	return m
}

// readFields takes b apart into its fields and its body.
func (m *Metadata) readFields(b []byte) (lines []headerLine, body []byte) {
	end, n := 0, 0 // of the fields in b, and the lines up to there
	var from []byte
	for rest := b; len(rest) > 0; {
		line := cutLine(rest)
		if !isField(line) {
			if line[0] == '\n' || line[0] == '\r' {
				rest = rest[len(line):]
			} else {
				m.warn("line %d is not of a field: the fields end there", n+1)
			}
			body = rest
			break
		}
		end += len(line)
		rest = rest[len(line):]
		n++
		from = nil
		if bytes.HasPrefix(line, []byte("From ")) && n > 1 {
			from = line
		}
	}
	if from != nil {
		// An mbox separator as the last line of the fields is taken for the
		// first line of the body.
		end -= len(from)
		body = slices.Concat(from, body)
	}
	lines = make([]headerLine, 0, n)
	text := string(b[:end])
	number := 0
	for text != "" {
		line := cutLine(text)
		value := len(line) // where the value ends in text
		number++
		first := number
		for value < len(text) && (text[value] == ' ' || text[value] == '\t') {
			value += len(cutLine(text[value:]))
			number++
		}
		if line[0] == ' ' || line[0] == '\t' {
			m.warn("line %d continues no field", first)
			text = text[value:]
			continue
		}
		colon := strings.IndexByte(line, ':')
		switch {
		case strings.HasPrefix(line, "From "):
			m.warn("line %d is a mail separator", first)
		case colon == 0:
			m.warn("line %d has no field name", first)
		default:
			v := strings.TrimRight(strings.TrimLeft(text[colon+1:len(line)], " \t")+text[len(line):value], "\r\n")
			lines = append(lines, newHeaderLine(line[:colon], v))
		}
		text = text[value:]
	}
	return lines, body
}

func (m *Metadata) warn(format string, args ...any) {
	m.Warnings = append(m.Warnings, fmt.Sprintf(format, args...))
}

// cutLine gives the first line of b with its end: LF, CR or CRLF.
func cutLine[T string | []byte](b T) T {
	for i := range len(b) {
		switch b[i] {
		case '\n':
			return b[:i+1]
		case '\r':
			if i+1 < len(b) && b[i+1] == '\n' {
				return b[:i+2]
			}
			return b[:i+1]
		}
	}
	return b
}

// isField reports whether a line begins or continues a field.
func isField(line []byte) bool {
	if line[0] == ' ' || line[0] == '\t' || bytes.HasPrefix(line, []byte("From ")) {
		return true
	}
	for _, c := range line {
		if c == ':' {
			return true
		}
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return false
}

func newHeaderLine(name, value string) headerLine {
	l := headerLine{field: -1, value: value}
	var stack [32]byte
	buf := stack[:0]
	for i := range len(name) {
		buf = append(buf, lower(name[i]))
	}
	if i, ok := fieldIndex[string(buf)]; ok {
		l.field = i
	} else {
		l.name = string(buf)
	}
	if !utf8.ValidString(value) {
		l.value, l.latin1 = fromLatin1(value), true
	}
	return l
}

// fromLatin1 decodes ISO 8859-1, in which every byte is a character.
func fromLatin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// sort puts the fields into their places.
func (m *Metadata) sort(lines []headerLine) {
	var count [len(metadataFields)]int
	var bad uint64
	for _, l := range lines {
		if l.field >= 0 {
			count[l.field]++
			if l.latin1 {
				bad |= 1 << l.field
			}
		}
	}
	for i, f := range metadataFields {
		switch {
		case count[i] == 0:
			continue
		case f.list != nil && !f.once:
			*f.list(m) = make([]string, 0, count[i])
		case (f.text != nil || f.once) && count[i] > 1:
			bad |= 1 << i
		}
		m.present |= 1 << i
	}
	for _, l := range lines {
		if l.field < 0 {
			m.setAside(l.name, l.value)
			continue
		}
		f := &metadataFields[l.field]
		switch {
		case f.once:
			if *f.list(m) == nil {
				*f.list(m) = splitKeywords(l.value)
			}
		case f.list != nil:
			*f.list(m) = append(*f.list(m), l.value)
		case f.text != nil:
			if *f.text(m) == "" {
				// A copy: callers keep single fields of many files.
				*f.text(m) = strings.Clone(l.value)
			}
		default:
			if m.addURL(l.value) {
				bad |= 1 << l.field
			}
		}
	}
	if m.present&bad != 0 {
		for _, l := range lines {
			if l.field >= 0 && bad&(1<<l.field) != 0 {
				m.setAside(metadataFields[l.field].name, l.value)
			}
		}
		m.present &^= bad
	}
	if len(m.ImportNames) == 1 && m.ImportNames[0] == "" {
		m.ImportNames = m.ImportNames[:0] // an empty field says "nothing to import"
	}
}

func splitKeywords(s string) []string {
	words := strings.Split(s, ",")
	for i := range words {
		words[i] = trimSpace(words[i])
	}
	return words
}

// addURL adds a Project-URL. It reports whether its label is there already.
func (m *Metadata) addURL(s string) (again bool) {
	label, url, _ := strings.Cut(s, ",")
	u := ProjectURL{trimSpace(label), trimSpace(url)}
	again = slices.ContainsFunc(m.ProjectURLs, func(v ProjectURL) bool { return v.Label == u.Label })
	m.ProjectURLs = append(m.ProjectURLs, u)
	return again
}

// setAside adds a value to Unparsed.
func (m *Metadata) setAside(name string, values ...string) {
	i := slices.IndexFunc(m.Unparsed, func(f MetadataField) bool { return f.Name == name })
	if i < 0 {
		i = len(m.Unparsed)
		m.Unparsed = append(m.Unparsed, MetadataField{Name: name})
	}
	m.Unparsed[i].Values = append(m.Unparsed[i].Values, values...)
}

// readBody takes the body for the description. Nobody can say which of the two
// is meant when there is a field as well.
func (m *Metadata) readBody(body []byte) {
	if len(body) == 0 {
		return
	}
	i := fieldIndex["description"]
	text := string(body)
	if !utf8.ValidString(text) {
		m.setAside("description", text)
		m.warn("the description is not UTF-8")
		if m.Description == "" && m.present&(1<<i) == 0 {
			m.Description = fromLatin1(text)
		}
		return
	}
	switch {
	case m.present&(1<<i) != 0:
		m.setAside("description", m.Description, text)
		m.present &^= 1 << i
	case slices.ContainsFunc(m.Unparsed, func(f MetadataField) bool { return f.Name == "description" }):
		m.setAside("description", text)
	default:
		m.present |= 1 << i
	}
	m.Description = text
}

// DescriptionText gives the description for people to read: without the
// indentation that a folded field has, by eight spaces or by seven and a bar.
func (m *Metadata) DescriptionText() string {
	head, rest, folded := strings.Cut(m.Description, "\n")
	if !folded {
		return m.Description
	}
	for line := range strings.Lines(rest) {
		if line[0] != ' ' && line[0] != '\t' {
			return m.Description // not folded: it came from the body
		}
	}
	var b strings.Builder
	b.Grow(len(m.Description))
	b.WriteString(head)
	for line := range strings.SplitSeq(rest, "\n") {
		b.WriteByte('\n')
		if text, ok := strings.CutPrefix(line, "       |"); ok {
			line = text
		} else {
			line = strings.TrimPrefix(line, "        ")
		}
		b.WriteString(line)
	}
	return b.String()
}
