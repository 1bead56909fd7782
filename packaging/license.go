package packaging

import (
	"fmt"
	"slices"
	"strings"
)

// maxLicenseDepth is how deep parentheses may nest in a license expression.
const maxLicenseDepth = 200

// A licenseToken is an operator ("and", "or", "with"), a parenthesis, or an
// identifier as it was written.
type licenseToken struct {
	text string
	op   string // in lower case; empty for an identifier
}

// NormalizeLicense checks a license expression (PEP 639, the part of SPDX's
// grammar that packages use) and gives its normal form: identifiers in their
// official case, operators in upper case, one space between. The error says
// what is unknown or out of place.
func NormalizeLicense(s string) (string, error) {
	tokens := licenseTokens(s)
	if fault := checkLicense(tokens); fault != "" {
		return "", fmt.Errorf("license expression %q: %s", s, fault)
	}
	var b strings.Builder
	b.Grow(len(s))
	for i, t := range tokens {
		if i > 0 && tokens[i-1].op != "(" && t.op != ")" {
			b.WriteByte(' ')
		}
		if t.op != "" {
			b.WriteString(strings.ToUpper(t.op))
			continue
		}
		id, fault := "", ""
		if i > 0 && tokens[i-1].op == "with" {
			id, fault = exceptionID(t.text)
		} else {
			id, fault = licenseID(t.text)
		}
		if fault != "" {
			return "", fmt.Errorf("license expression %q: %s", s, fault)
		}
		b.WriteString(id)
	}
	return b.String(), nil
}

func licenseTokens(s string) []licenseToken {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "(", " ( "), ")", " ) ")
	var tokens []licenseToken
	for field := range strings.FieldsSeq(s) {
		t := licenseToken{text: field}
		switch l := strings.ToLower(field); l {
		case "and", "or", "with", "(", ")":
			t.op = l
		}
		tokens = append(tokens, t)
	}
	return tokens
}

// checkLicense checks that operators stand between operands and that
// parentheses match. WITH counts as an operator like the others here, as it
// does in the reference.
func checkLicense(tokens []licenseToken) (fault string) {
	depth := 0
	operand := false // the last token ended an operand
	for _, t := range tokens {
		switch t.op {
		case "":
			if operand {
				return fmt.Sprintf("no operator before %q", t.text)
			}
			operand = true
		case "(":
			if operand {
				return "no operator before a parenthesis"
			}
			if depth++; depth > maxLicenseDepth {
				return "parentheses nest too deep"
			}
		case ")":
			if !operand {
				return "nothing before a closing parenthesis"
			}
			if depth--; depth < 0 {
				return "a parenthesis too many"
			}
		default:
			if !operand {
				return fmt.Sprintf("nothing before %q", t.text)
			}
			operand = false
		}
	}
	switch {
	case len(tokens) == 0:
		return "empty"
	case !operand:
		return fmt.Sprintf("nothing after %q", tokens[len(tokens)-1].text)
	case depth > 0:
		return "a parenthesis is not closed"
	}
	return ""
}

// licenseID gives the official spelling of a license identifier, of one with a
// "+" for later versions, or of a reference to a license outside the list.
func licenseID(s string) (id, fault string) {
	const ref = "LicenseRef-"
	bare, plus := strings.CutSuffix(s, "+")
	if len(bare) >= len(ref) && strings.EqualFold(bare[:len(ref)], ref) {
		for _, c := range []byte(bare[len(ref):]) {
			if !isAlnum(c) && c != '-' && c != '.' {
				return "", fmt.Sprintf("%q: letters, digits, '.' and '-' only", s)
			}
		}
		if plus {
			return "", fmt.Sprintf("%q: a license reference has no later versions", s)
		}
		return ref + bare[len(ref):], ""
	}
	i, ok := findID(spdxLicenses[:], bare)
	if !ok {
		return "", fmt.Sprintf("unknown license %q", bare)
	}
	return spdxLicenses[i] + s[len(bare):], ""
}

func exceptionID(s string) (id, fault string) {
	i, ok := findID(spdxExceptions[:], s)
	if !ok {
		return "", fmt.Sprintf("unknown license exception %q", s)
	}
	return spdxExceptions[i], ""
}

// findID finds s in a table that is sorted by lower-case spelling, ignoring
// the case of ASCII letters.
func findID(table []string, s string) (int, bool) {
	return slices.BinarySearchFunc(table, s, func(a, b string) int {
		for i := range min(len(a), len(b)) {
			if x, y := lower(a[i]), lower(b[i]); x != y {
				return int(x) - int(y)
			}
		}
		return len(a) - len(b)
	})
}
