package packaging

import (
	"slices"
	"strings"
)

// A Requirement is what somebody asks for (PEP 508): a project, and either
// which of its versions or where to get it.
type Requirement struct {
	// Name is the project's name as it was written.
	Name string

	// Extras are the optional parts that are asked for, as they were written.
	Extras []string

	// Specifiers are the versions that will do; none for any. They are empty
	// when there is a URL.
	Specifiers Specifiers

	// URL is where the distribution is, of any form; empty when it comes from
	// an index.
	URL string

	// Marker says on which machines the requirement counts; nil for all.
	Marker *Marker
}

// ParseRequirement reads a requirement of one line. An error is a
// [*SyntaxError].
//
// A URL ends at white space, not at a semicolon, as PEP 508 has it.
func ParseRequirement(s string) (Requirement, error) {
	r := reader{text: s}
	q := r.requirement()
	if r.ok() && !r.atEnd() {
		r.expect("the end")
	}
	if !r.ok() {
		return Requirement{}, &SyntaxError{"requirement", s, r.bad.offset, r.bad.expected}
	}
	return q, nil
}

// Project gives the normalized name of the project that is asked for.
func (q Requirement) Project() Name { return NormalizeName(q.Name) }

// String gives the requirement in one spelling: extras and clauses sorted, no
// white space but around the URL and in the marker. ParseRequirement reads it
// back.
func (q Requirement) String() string {
	var b strings.Builder
	b.WriteString(q.Name)
	if len(q.Extras) > 0 {
		names := slices.Clone(q.Extras)
		slices.Sort(names)
		b.WriteByte('[')
		b.WriteString(strings.Join(slices.Compact(names), ","))
		b.WriteByte(']')
	}
	b.WriteString(q.Specifiers.String())
	if q.URL != "" {
		b.WriteString(" @ ")
		b.WriteString(q.URL)
		if q.Marker != nil {
			b.WriteByte(' ')
		}
	}
	if q.Marker != nil {
		b.WriteString("; ")
		b.WriteString(q.Marker.String())
	}
	return b.String()
}

func (r *reader) requirement() (q Requirement) {
	r.space()
	q.Name = r.name("a project name")
	r.space()
	q.Extras = r.extras()
	r.space()
	if !r.ok() {
		return q
	}
	ends := "a version specifier, '@' and a URL, ';' and a marker, or the end"
	if r.take('@') {
		q.URL = r.url()
		ends = "';' and a marker, or the end"
	} else {
		q.Specifiers = r.specifiers()
		if q.Specifiers.Len() > 0 {
			ends = "a comma and another clause, ';' and a marker, or the end"
		}
	}
	r.space()
	if !r.ok() || r.atEnd() {
		return q
	}
	if !r.take(';') {
		r.expect(ends)
		return q
	}
	q.Marker = r.marker()
	return q
}

// name reads the name of a project or an extra, which ends with a letter, a
// digit or an underscore.
func (r *reader) name(what string) string {
	if !r.ok() {
		return ""
	}
	rest := r.rest()
	end := 0
	for i := 0; i < len(rest) && (isAlnum(rest[i]) || i > 0 && (isSeparator(rest[i]))); i++ {
		if isAlnum(rest[i]) || rest[i] == '_' {
			end = i + 1
		}
	}
	if end == 0 || beginsInWord(rest[end:]) {
		r.at += end
		if end > 0 {
			what = "letters, digits, '.', '_' and '-' only in a name"
		}
		r.expect(what)
		return ""
	}
	r.at += end
	return strings.Clone(rest[:end])
}

func (r *reader) extras() (names []string) {
	if !r.ok() || !r.take('[') {
		return nil
	}
	r.space()
	if r.take(']') {
		return nil
	}
	for r.ok() {
		names = append(names, r.name("the name of an extra"))
		r.space()
		if r.take(']') {
			return names
		}
		if r.ok() && !r.take(',') {
			r.expect("',' or ']'")
		}
		r.space()
	}
	return nil
}

// url reads the URL behind the @ and makes sure that white space or the end
// follows.
func (r *reader) url() string {
	r.space()
	rest := r.rest()
	end := strings.IndexAny(rest, " \t")
	if end < 0 {
		end = len(rest)
	}
	if end == 0 {
		r.expect("a URL")
		return ""
	}
	r.at += end
	return strings.Clone(rest[:end])
}

// specifiers reads clauses, in parentheses or bare. A comma too many at the
// end is let pass, as everywhere.
func (r *reader) specifiers() (set Specifiers) {
	open := r.take('(')
	r.space()
	for r.ok() && scanOperator(r.rest()) != 0 {
		r.clause(&set)
		r.space()
		if !r.take(',') {
			break
		}
		r.space()
	}
	if open && r.ok() && !r.take(')') {
		r.expect("a comma and another clause, or ')'")
	}
	return set
}

func (r *reader) clause(set *Specifiers) {
	rest := r.rest()
	if scanOperator(rest) != Identical {
		c, n, bad := scanSpecifierPrefix(rest)
		r.add(set, Specifiers{[]Specifier{c}, c.pre}, n, bad)
		return
	}
	// The text behind === ends where white space, ';' or ')' stands; a comma
	// within begins another clause.
	start := len(Identical.String())
	for n := leadingSpace(rest[start:]); n > 0; n = leadingSpace(rest[start:]) {
		start += n
	}
	n := start + identicalEnd(rest[start:])
	more, bad := scanSpecifiers(rest[:n])
	r.add(set, more, n, bad)
}

// add takes clauses of n bytes into the set, or notes their fault.
func (r *reader) add(set *Specifiers, more Specifiers, n int, bad scanFault) {
	if bad.expected != "" {
		r.at += bad.offset
		r.expect(bad.expected)
		return
	}
	r.at += n
	set.clauses = append(set.clauses, more.clauses...)
	set.pre = set.pre || more.pre
}
