package packaging

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// A MetadataError says what is wrong with a field.
type MetadataError struct {
	// Field is the field's name in lower case.
	Field string
	Fault string
}

// Error gives the field and the fault.
func (e *MetadataError) Error() string { return "metadata field " + e.Field + ": " + e.Fault }

// Validate checks every field against the specification, in the version that
// the metadata says it follows. It gives at most one error for a field: those
// that could not be read first, the others sorted by name.
func (m *Metadata) Validate() []*MetadataError {
	var errs []*MetadataError
	add := func(field, fault string) {
		if fault == "" || slices.ContainsFunc(errs, func(e *MetadataError) bool { return e.Field == field }) {
			return
		}
		errs = append(errs, &MetadataError{field, fault})
	}
	for _, f := range m.Unparsed {
		if _, known := fieldIndex[f.Name]; known {
			add(f.Name, "repeated, or not UTF-8")
		} else {
			add(f.Name, "not a field of core metadata")
		}
	}
	age := -1
	if m.Has("metadata-version") {
		age = slices.Index(metadataVersions, m.MetadataVersion)
	}
	if age < 0 {
		add("metadata-version", fmt.Sprintf("%q is not a version of core metadata", m.MetadataVersion))
	}
	for i, f := range metadataFields {
		if m.present&(1<<i) == 0 {
			if f.name == "name" || f.name == "version" {
				add(f.name, "missing")
			}
			continue
		}
		if age >= 0 && slices.Index(metadataVersions, f.added) > age {
			add(f.name, fmt.Sprintf("new in metadata version %s, not in %s", f.added, m.MetadataVersion))
			continue
		}
		add(f.name, m.fault(f.name))
	}
	return errs
}

// fault gives what is wrong with a field that is given, or "".
func (m *Metadata) fault(field string) string {
	var err error
	switch field {
	case "name":
		_, err = ParseName(m.Name)
	case "version":
		_, err = ParseVersion(m.Version)
	case "summary":
		if strings.Contains(m.Summary, "\n") {
			return "more than one line"
		}
	case "description-content-type":
		return contentTypeFault(m.DescriptionContentType)
	case "dynamic":
		return firstFault(m.Dynamic, dynamicFault)
	case "provides-extra":
		return firstFault(m.ProvidesExtra, func(s string) string {
			if !ValidName(s) {
				return fmt.Sprintf("%q is not a valid name", s)
			}
			return ""
		})
	case "requires-python":
		_, err = ParseSpecifiers(m.RequiresPython)
	case "requires-dist":
		return firstFault(m.RequiresDist, func(s string) string {
			if _, err := ParseRequirement(s); err != nil {
				return err.Error()
			}
			return ""
		})
	case "license-expression":
		_, err = NormalizeLicense(m.LicenseExpression)
	case "license-file":
		return firstFault(m.LicenseFiles, licenseFileFault)
	case "import-name":
		return firstFault(m.ImportNames, importFault)
	case "import-namespace":
		return firstFault(m.ImportNamespaces, importFault)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func firstFault(values []string, fault func(string) string) string {
	for _, v := range values {
		if f := fault(v); f != "" {
			return f
		}
	}
	return ""
}

func dynamicFault(s string) string {
	switch l := strings.ToLower(s); l {
	case "name", "version", "metadata-version":
		return fmt.Sprintf("%s may not be dynamic", l)
	default:
		if _, ok := fieldIndex[l]; !ok {
			return fmt.Sprintf("%q is not a field of core metadata", s)
		}
	}
	return ""
}

// contentTypeFault checks a Description-Content-Type: one of three types, and
// of the parameters only the charset UTF-8 and, for Markdown, two variants.
func contentTypeFault(s string) string {
	if strings.ContainsAny(s, "\r\n") {
		return "more than one line"
	}
	kind, params, _ := strings.Cut(s, ";")
	kind = strings.ToLower(trimSpace(kind))
	if strings.Count(kind, "/") != 1 {
		kind = "text/plain" // what a mail reader takes a wrong one for
	}
	if kind != "text/plain" && kind != "text/x-rst" && kind != "text/markdown" ||
		!strings.Contains(strings.ToLower(s), kind) {
		return fmt.Sprintf("%q is none of text/plain, text/x-rst and text/markdown", s)
	}
	charset, variant, ok := contentTypeParams(params)
	switch {
	case !ok:
		return fmt.Sprintf("%q ends inside a parameter", s)
	case charset != "UTF-8":
		return fmt.Sprintf("charset %q is not UTF-8", charset)
	case kind == "text/markdown" && variant != "GFM" && variant != "CommonMark":
		return fmt.Sprintf("Markdown variant %q is neither GFM nor CommonMark", variant)
	}
	return ""
}

// contentTypeParams reads MIME parameters (RFC 2045). The first of two with one
// name counts; those that cannot be read do not count, but a name alone at the
// end does, as empty. ok is false when s ends after the "*" of an extended name.
func contentTypeParams(s string) (charset, variant string, ok bool) {
	charset, variant = "UTF-8", "GFM"
	var haveCharset, haveVariant bool
	for s != "" {
		name, rest := cutToken(strings.TrimLeft(s, " \t"))
		if name != "" && strings.TrimLeft(rest, " \t") == "*" {
			return "", "", false
		}
		rest = strings.TrimLeft(rest, " \t")
		value, given := "", name != "" && rest == "" // a name alone, at the end
		if name != "" && strings.HasPrefix(rest, "=") {
			value, rest, given = cutParamValue(strings.TrimLeft(rest[1:], " \t"))
		}
		switch name = strings.ToLower(name); {
		case !given:
		case name == "charset" && !haveCharset:
			charset, haveCharset = value, true
		case name == "variant" && !haveVariant:
			variant, haveVariant = value, true
		}
		_, s, _ = strings.Cut(rest, ";")
	}
	return charset, variant, true
}

// cutToken takes a MIME token off the front of s.
func cutToken(s string) (token, rest string) {
	i := strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`()<>@,:;.\"/[]?=*'%`, r)
	})
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

// cutParamValue takes a token or a quoted string off the front of s.
func cutParamValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		value, rest = cutToken(s)
		return value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", true
}

// licenseFileFault checks a License-File: a relative path, with slashes, that
// stays below its directory and is in its shortest spelling (PEP 639).
func licenseFileFault(s string) string {
	drive, path := "", s
	if len(s) >= 2 && s[1] == ':' && isAlnum(s[0]) && !isDigit(s[0]) {
		drive, path = s[:2], s[2:]
	}
	switch {
	case strings.Contains(s, ".."):
		return fmt.Sprintf("%q leads up", s)
	case strings.Contains(s, "*"):
		return fmt.Sprintf("%q is a pattern", s)
	case strings.Contains(s, `\`):
		return fmt.Sprintf("%q has a backslash", s)
	case strings.HasPrefix(path, "/"):
		return fmt.Sprintf("%q is not relative", s)
	}
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	short := drive + strings.Join(parts, "/")
	if short == "" {
		short = "."
	}
	if short != s {
		return fmt.Sprintf("%q could be spelled %q", s, short)
	}
	return ""
}

// importFault checks an Import-Name or Import-Namespace (PEP 794): a dotted
// name, and perhaps "; private".
func importFault(s string) string {
	name, option, given := strings.Cut(s, ";")
	name = strings.TrimRightFunc(name, unicode.IsSpace)
	for part := range strings.SplitSeq(name, ".") {
		if !isIdentifier(part) {
			return fmt.Sprintf("%q: %q is not an identifier", s, part)
		}
		if slices.Contains(pythonKeywords, part) {
			return fmt.Sprintf("%q: %q is a keyword", s, part)
		}
	}
	if given && strings.TrimLeftFunc(option, unicode.IsSpace) != "private" {
		return fmt.Sprintf("%q: the only option is \"private\"", s)
	}
	return ""
}

// pythonKeywords are the words that Python reserves everywhere.
var pythonKeywords = []string{
	"False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
	"def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in",
	"is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
}

// isIdentifier reports whether s is an identifier of Python: a letter of any
// script or an underscore, then letters, digits, marks and connectors.
func isIdentifier(s string) bool {
	for i, r := range s {
		start := r == '_' || unicode.In(r, unicode.L, unicode.Nl, unicode.Other_ID_Start)
		if !start && (i == 0 || !unicode.In(r, unicode.Mn, unicode.Mc, unicode.Nd, unicode.Pc, unicode.Other_ID_Continue)) {
			return false
		}
	}
	return s != ""
}
