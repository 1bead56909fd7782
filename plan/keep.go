package plan

import (
	"fmt"
	"strconv"
)

// A Keep is how many versions of a project to keep for an allowlist line that
// is not pinned: a number from 1, [All], or 0 for "not said".
type Keep int

// The settings "newest" and "all".
const (
	Newest Keep = 1
	All    Keep = -1
)

// UnmarshalText reads "newest", "all" or a number from 1.
func (k *Keep) UnmarshalText(text []byte) error {
	switch s := string(text); s {
	case "newest":
		*k = Newest
	case "all":
		*k = All
	default:
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("versions %q: want \"newest\", \"all\" or a number from 1", s)
		}
		*k = Keep(n)
	}
	return nil
}

// String gives the written form.
func (k Keep) String() string {
	switch k {
	case Newest:
		return "newest"
	case All:
		return "all"
	}
	return strconv.Itoa(int(k))
}
