package packaging

import (
	"fmt"
	"unicode/utf8"
)

// A SyntaxError says where a version, specifier, requirement or marker breaks
// its grammar.
type SyntaxError struct {
	What     string // "version", "specifier", "requirement" or "marker"
	Input    string // the whole text
	Offset   int    // in bytes from the start of Input
	Expected string // what could have stood there
}

// Error gives one line without a position in a file, which the caller knows:
//
//	requirement "foo==": column 6: expected a version
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s %q: column %d: expected %s", e.What, e.Input, e.Column(), e.Expected)
}

// Column gives the place of the fault in characters, counted from one.
func (e *SyntaxError) Column() int {
	return utf8.RuneCountInString(e.Input[:min(e.Offset, len(e.Input))]) + 1
}
