package packaging

import (
	"fmt"
	"strings"
)

// A Name is a normalized project name (PEP 503): lower case, with single
// dashes. It is made by [ParseName] or [NormalizeName] only, so that a
// function that takes a Name cannot be handed a raw one by accident.
type Name string

// ParseName checks a project name as somebody wrote it and normalizes it. The
// error quotes the input; it is given for everything that [ValidName] refuses.
func ParseName(s string) (Name, error) {
	if !ValidName(s) {
		return "", fmt.Errorf("project name %q: letters, digits, '.', '_' and '-' only, with a letter or digit at both ends", s)
	}
	return NormalizeName(s), nil
}

// NormalizeName gives the normalized form of s, also of a name that is not
// valid: lower case, and every run of dashes, underscores and dots as one dash
// (PEP 503). It does not allocate when s is normalized already.
func NormalizeName(s string) Name {
	if isNormal(s) {
		return Name(s)
	}
	if !isASCII(s) {
		// No valid name comes here, but PEP 503's lower() knows all letters.
		s = strings.ToLower(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	run := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '-' || c == '_' || c == '.' {
			if !run {
				b.WriteByte('-')
			}
			run = true
			continue
		}
		run = false
		b.WriteByte(lower(c))
	}
	return Name(b.String())
}

// Spells reports whether s is a spelling of n, that is, whether it normalizes
// to n. It does not allocate when s is ASCII, as every valid name is.
func (n Name) Spells(s string) bool {
	if !isASCII(s) {
		return NormalizeName(s) == n
	}
	i, run := 0, false
	for j := 0; j < len(s); j++ {
		c := s[j]
		if c == '-' || c == '_' || c == '.' {
			if run {
				continue
			}
			c, run = '-', true
		} else {
			run = false
			c = lower(c)
		}
		if i == len(n) || n[i] != c {
			return false
		}
		i++
	}
	return i == len(n)
}

// isASCII reports whether s has bytes below 0x80 only.
func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// isNormal reports whether NormalizeName would leave s as it is.
func isNormal(s string) bool {
	dash := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '_' || c == '.' || 'A' <= c && c <= 'Z' || c >= 0x80:
			return false
		case c == '-':
			if dash {
				return false
			}
			dash = true
		default:
			dash = false
		}
	}
	return true
}

// ValidName reports whether s is a valid project name before normalizing: one
// ASCII letter or digit, or a string of letters, digits, dots, underscores and
// dashes that begins and ends with a letter or digit (PEP 508).
func ValidName(s string) bool {
	if s == "" || !isAlnum(s[0]) || !isAlnum(s[len(s)-1]) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isAlnum(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
