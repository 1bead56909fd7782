package packaging

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarkerDepth is how deep parentheses may be nested: much more than anybody
// writes, and little enough for the stack.
const maxMarkerDepth = 200

// ParseMarker reads a marker. An error is a [*SyntaxError].
func ParseMarker(s string) (*Marker, error) {
	r := reader{text: s}
	m := r.marker()
	if r.bad.expected == "" && !r.atEnd() {
		r.expect("'and', 'or' or the end")
	}
	if r.bad.expected != "" {
		return nil, &SyntaxError{"marker", s, r.bad.offset, r.bad.expected}
	}
	return m, nil
}

// A reader takes a requirement or a marker apart, from the left to the right.
// After the first fault its methods do nothing, so that the grammar reads
// without a check at every step.
type reader struct {
	text string
	at   int
	bad  scanFault
}

// expect notes the fault that something else is here.
func (r *reader) expect(what string) {
	if r.bad.expected == "" {
		r.bad = scanFault{r.at, what}
	}
}

func (r *reader) ok() bool { return r.bad.expected == "" }

func (r *reader) rest() string { return r.text[r.at:] }

// atEnd reports whether nothing is left, or the end of a line only.
func (r *reader) atEnd() bool { return r.rest() == "" || r.rest() == "\n" }

// space skips the white space that may stand between tokens.
func (r *reader) space() {
	for r.at < len(r.text) && (r.text[r.at] == ' ' || r.text[r.at] == '\t') {
		r.at++
	}
}

// take skips one character, if it is c.
func (r *reader) take(c byte) bool {
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

// word skips a word, if it stands here whole.
func (r *reader) word(w string) bool {
	rest := r.rest()
	if !strings.HasPrefix(rest, w) || beginsInWord(rest[len(w):]) {
		return false
	}
	r.at += len(w)
	return true
}

// beginsInWord reports whether s, behind a word, carries it on.
func beginsInWord(s string) bool {
	if s == "" {
		return false
	}
	if c := s[0]; c < utf8.RuneSelf {
		return isAlnum(c) || c == '_'
	}
	c, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(c) || unicode.IsNumber(c)
}

// marker reads as much of a marker as there is, white space around it included.
func (r *reader) marker() *Marker {
	terms := r.terms(0)
	// Parentheses around the whole say nothing.
	for len(terms) == 1 && terms[0].comparison == nil {
		terms = terms[0].group
	}
	return &Marker{terms}
}

func (r *reader) terms(depth int) []markerTerm {
	terms := []markerTerm{r.term(depth)}
	for r.ok() {
		or := r.word("or")
		if !or && !r.word("and") {
			break
		}
		t := r.term(depth)
		t.or = or
		terms = append(terms, t)
	}
	return terms
}

// term reads a comparison, or a marker in parentheses.
func (r *reader) term(depth int) (t markerTerm) {
	r.space()
	if !r.take('(') {
		t.comparison = r.comparison()
		return t
	}
	if depth == maxMarkerDepth {
		r.expect("fewer parentheses inside each other")
		return t
	}
	t.group = r.terms(depth + 1)
	if r.ok() && !r.take(')') {
		r.expect("'and', 'or' or ')'")
	}
	r.space()
	if len(t.group) == 1 {
		t = t.group[0]
	}
	return t
}

func (r *reader) comparison() *markerComparison {
	c := &markerComparison{}
	c.left = r.value()
	r.space()
	c.op = r.operator()
	r.space()
	c.right = r.value()
	r.space()
	if !r.ok() {
		return c
	}
	// Extras and dependency groups are names, and compare normalized (PEP 685).
	left, right := &c.left, &c.right
	switch {
	case left.variable == varExtra && right.variable == noVariable:
		right.text = string(NormalizeName(right.text))
	case left.variable == noVariable && (right.variable == varExtra || right.variable.isList()):
		left.text = string(NormalizeName(left.text))
	}
	if c.left.variable.comparesAsVersion() {
		if spec, bad := scanSpecifier(trimSpace(c.op + c.right.text)); bad.expected == "" {
			c.spec = &spec
		}
	}
	return c
}

// value reads a variable or a text in quotes.
func (r *reader) value() (v markerValue) {
	if !r.ok() {
		return v
	}
	rest := r.rest()
	if rest != "" && (rest[0] == '"' || rest[0] == '\'') {
		end := strings.IndexByte(rest[1:], rest[0])
		if end < 0 {
			r.at = len(r.text)
			r.expect("a closing " + rest[:1])
			return v
		}
		text := rest[1 : 1+end]
		if i := strings.IndexAny(text, "\r\n"); i >= 0 {
			r.at += 1 + i
			r.expect("a closing " + rest[:1] + " on the same line")
			return v
		}
		r.at += len(text) + 2
		v.text = strings.Clone(text)
		return v
	}
	for i, name := range variableNames {
		if name != "" && r.word(name) {
			return markerValue{variable(i), name}
		}
	}
	for _, old := range oldVariableNames {
		if r.word(old.name) {
			return markerValue{old.variable, variableNames[old.variable]}
		}
	}
	r.expect("a variable of PEP 508, such as python_version, or a text in quotes")
	return v
}

func (r *reader) operator() string {
	if !r.ok() {
		return ""
	}
	if op := scanOperator(r.rest()); op != 0 {
		r.at += len(op.String())
		return op.String()
	}
	if r.word("in") {
		return "in"
	}
	if r.word("not") {
		before := r.at
		r.space()
		if r.at == before || !r.word("in") {
			r.expect("' in' behind 'not'")
		}
		return "not in"
	}
	r.expect("an operator: ==, !=, <, <=, >, >=, ~=, ===, in or not in")
	return ""
}
