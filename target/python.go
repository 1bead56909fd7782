package target

import "fmt"

// lastPatch holds the last number of each CPython 3, by the second: the final
// one of those that get no more, the newest that this program knows of the
// others. Which one it is matters where Requires-Python leaves early ones out.
var lastPatch = []int{1, 5, 6, 7, 10, 10, 15, 17, 20, 25, 21, 16, 14, 15, 7, 0}

// NewestMinor is the second number of the newest released Python 3 that this
// program knows.
const NewestMinor = 15

// lastPyPy holds the version of Python and of itself that the last PyPy for each
// Python 3 has, by the second number.
var lastPyPy = map[int]struct{ python, pypy string }{
	5:  {"3.5.3", "7.0.0"},
	6:  {"3.6.12", "7.3.3"},
	7:  {"3.7.13", "7.3.9"},
	8:  {"3.8.16", "7.3.11"},
	9:  {"3.9.19", "7.3.16"},
	10: {"3.10.16", "7.3.19"},
	11: {"3.11.13", "7.3.20"},
}

// fullVersion gives the full version that a Python has of which nothing else is
// said.
func (in interpreter) fullVersion() string {
	if in.short == "pp" && in.major == 3 {
		if p, ok := lastPyPy[in.minor]; ok {
			return p.python
		}
	}
	patch := 0
	switch {
	case in.major == 2 && in.minor == 7:
		patch = 18
	case in.major == 2 && in.minor == 6:
		patch = 9
	case in.major == 3 && in.minor < len(lastPatch):
		patch = lastPatch[in.minor]
	}
	return fmt.Sprintf("%d.%d.%d", in.major, in.minor, patch)
}

// pypyRelease gives the version of the PyPy for a Python 3.
func pypyRelease(minor int) string {
	if p, ok := lastPyPy[minor]; ok {
		return p.pypy
	}
	return "7.3.20"
}
