package plan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"nestgen/packaging"
)

// minors is a set of minor versions of Python: 2.0 to 2.7, then 3.0 to 3.55.
type minors uint64

const (
	everyMinor minors = 1<<64 - 1
	python2    minors = 1<<8 - 1
	python3           = everyMinor &^ python2

	lastMinor2, lastMinor3 = 7, 55
)

// minorOf gives the set of one minor version; it is empty for one that is not
// among them.
func minorOf(major, minor int) minors {
	switch {
	case major == 2 && 0 <= minor && minor <= lastMinor2:
		return 1 << minor
	case major == 3 && 0 <= minor && minor <= lastMinor3:
		return 1 << (8 + minor)
	}
	return 0
}

// since gives the set of a minor version and all later ones of its major version.
func since(major, minor int) minors {
	of := python2
	if major == 3 {
		of = python3
	}
	if first := minorOf(major, minor); first != 0 {
		return of &^ (first - 1)
	}
	return 0
}

// patches is how many releases of each minor version are tried: more than any has
// had.
const patches = 40

// pythonReleases are the releases of each minor version, by its bit: those that
// were, and some that may come.
var pythonReleases = sync.OnceValue(func() *[64][patches]packaging.Version {
	var all [64][patches]packaging.Version
	for bit := range all {
		major, minor := 2, bit
		if bit > lastMinor2 {
			major, minor = 3, bit-lastMinor2-1
		}
		for patch := range patches {
			v, err := packaging.ParseVersion(fmt.Sprintf("%d.%d.%d", major, minor, patch))
			if err != nil {
				panic(err) // three numbers are a version
			}
			all[bit][patch] = v
		}
	}
	return &all
})

// Pythons are versions of Python, written as a specifier set (PEP 440) such as
// ">=3.9", or "*" for all. The zero Pythons are all of them.
type Pythons struct {
	text     string
	minors   minors     // those of which it holds a release
	releases [64]uint64 // those releases, by minor version and patch
}

func (p *Pythons) all() bool { return p.text == "" || p.text == "*" }

// UnmarshalText reads the written form.
func (p *Pythons) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "*" {
		*p = Pythons{text: s}
		return nil
	}
	bad := func(err error) error {
		return fmt.Errorf("python %s: %w; want versions of Python such as \">=3.9\" or \">=3.9,<3.13\", or \"*\" for all", tooLong(s), err)
	}
	if s == "" {
		return bad(errors.New("it is empty"))
	}
	spec, err := packaging.ParseSpecifiers(s)
	if err != nil {
		return bad(err)
	}
	q := Pythons{text: s}
	for bit, releases := range pythonReleases() {
		for patch, v := range releases {
			if spec.Contains(v, packaging.AllowPrereleases) {
				q.releases[bit] |= 1 << patch
				q.minors |= 1 << bit
			}
		}
	}
	if q.minors == 0 {
		return bad(errors.New("there is no such Python"))
	}
	*p = q
	return nil
}

// String gives the written form.
func (p Pythons) String() string {
	if p.text == "" {
		return "*"
	}
	return p.text
}

// admittedBy gives the minor versions of which a Requires-Python admits a release
// that p has as well.
func (p *Pythons) admittedBy(spec packaging.Specifiers) (admitted minors) {
	all := pythonReleases()
	for bit := range all {
		for patch, v := range &all[bit] {
			if p.releases[bit]&(1<<patch) != 0 && spec.Contains(v, packaging.AllowPrereleases) {
				admitted |= 1 << bit
				break
			}
		}
	}
	return admitted
}

// wheelMinors gives the Pythons that take a wheel with these sets of interpreter and
// ABI tags, by the rules of pip. A tag of which it cannot be told is for all.
func wheelMinors(pythons, abis string) (set minors) {
	for python := range strings.SplitSeq(pythons, ".") {
		for abi := range strings.SplitSeq(abis, ".") {
			set |= tagMinors(python, abi)
		}
	}
	return set
}

func tagMinors(python, abi string) minors {
	short, digits := cutTag(python)
	major, minor, ok := tagVersion(digits)
	if !ok {
		return everyMinor
	}
	generic := hasFold(short, "py")
	switch {
	case major != 2 && major != 3:
		return 0
	case generic && !hasFold(abi, "none"):
		return 0 // no installer looks for such a pair
	case minor < 0, minor > lastMinor3:
		// PyPy once had its own version behind the major one of Python.
		return since(major, 0)
	case generic:
		return since(major, minor)
	case hasFold(abi, "abi3") || hasFold(abi, "abi3t"):
		first := 2 // PEP 384
		if hasFold(abi, "abi3t") {
			first = 13 // no Python without a lock is older
		}
		if !hasFold(short, "cp") || major < 3 {
			return 0
		}
		return since(3, max(minor, first))
	case hasFold(short, "cp") && !hasFold(abi, "none"):
		// The ABI is of the same CPython, with letters behind.
		name, number := cutTag(abi)
		for i := range len(number) {
			if c := number[i]; c < '0' || c > '9' {
				number = number[:i]
				break
			}
		}
		if !hasFold(name, "cp") || number != digits {
			return 0
		}
	}
	return minorOf(major, minor)
}

// cutTag cuts a tag before its first digit.
func cutTag(tag string) (letters, rest string) {
	i := strings.IndexAny(tag, "0123456789")
	if i < 0 {
		return tag, ""
	}
	return tag[:i], tag[i:]
}

// tagVersion reads the version of an interpreter tag: "3", "39", "312". minor is -1
// where there is only a major version.
func tagVersion(digits string) (major, minor int, ok bool) {
	if digits == "" || len(digits) > 4 {
		return 0, 0, false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, 0, false
		}
	}
	major, minor = int(digits[0]-'0'), -1
	if len(digits) > 1 {
		minor, _ = strconv.Atoi(digits[1:])
	}
	return major, minor, true
}

// oldMinor gives the Python that the name of an egg or an installer has ("2.7").
func oldMinor(version string) minors {
	first, second, dot := strings.Cut(version, ".")
	major, err := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(second)
	switch {
	case err != nil || dot && err2 != nil:
		return everyMinor
	case !dot && (major == 2 || major == 3):
		return since(major, 0)
	}
	return minorOf(major, minor)
}

// hasFold reports whether a tag, of either case, is a word.
func hasFold(tag, word string) bool { return strings.EqualFold(tag, word) }

// anyTag reports whether something holds of one tag of a set.
func anyTag(set string, holds func(tag string) bool) bool {
	for tag := range strings.SplitSeq(set, ".") {
		if holds(tag) {
			return true
		}
	}
	return false
}

// An Implementation of Python is written as a word: "cpython", "pypy".
type Implementation struct{ word, short string }

// implementations are those that have tags of their own.
var implementations = []Implementation{
	{"cpython", "cp"}, {"pypy", "pp"}, {"graalpy", "graalpy"}, {"ironpython", "ip"}, {"jython", "jy"}, {"pyston", "pyston"},
}

// UnmarshalText reads the written form.
func (i *Implementation) UnmarshalText(text []byte) error {
	words := make([]string, len(implementations))
	for n, known := range implementations {
		if known.word == string(text) {
			*i = known
			return nil
		}
		words[n] = known.word
	}
	return fmt.Errorf("implementations: %s is not one of %s", tooLong(string(text)), strings.Join(words, ", "))
}

// String gives the written form.
func (i Implementation) String() string { return i.word }

// implemented reports whether an interpreter tag is for all implementations, or for
// one that is wanted.
func (f *filtering) implemented(tag string) bool {
	short, _ := cutTag(tag)
	return hasFold(short, "py") || slices.ContainsFunc(f.Implementations, func(i Implementation) bool { return hasFold(short, i.short) })
}

// An ABI is what a compiled wheel is built for. It is written as a word for a sort
// of ABIs ("none", "stable", "ordinary", "free-threaded", "debug") or as a tag
// ("cp312").
type ABI struct{ text string }

var abiWords = []string{"none", "stable", "ordinary", "free-threaded", "debug"}

// UnmarshalText reads the written form.
func (a *ABI) UnmarshalText(text []byte) error {
	s := string(text)
	short, digits := cutTag(s)
	tag := short != "" && digits != "" && len(s) <= 40
	for i := range len(s) {
		c := s[i]
		tag = tag && ('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_')
	}
	if !tag && !slices.Contains(abiWords, s) {
		return fmt.Errorf("abis: %s is neither one of %s nor an ABI tag such as cp312", tooLong(s), strings.Join(abiWords, ", "))
	}
	a.text = s
	return nil
}

// String gives the written form.
func (a ABI) String() string { return a.text }

// hasABI reports whether an ABI tag is wanted.
func (f *filtering) hasABI(tag string) bool {
	sort := abiSort(tag)
	return slices.ContainsFunc(f.ABIs, func(a ABI) bool { return a.text == sort || hasFold(tag, a.text) })
}

// abiSort gives the word for a sort of ABIs.
func abiSort(tag string) string {
	switch {
	case hasFold(tag, "none"):
		return "none"
	case hasFold(tag, "abi3"):
		return "stable"
	case hasFold(tag, "abi3t"):
		return "free-threaded"
	}
	short, rest := cutTag(tag)
	if !hasFold(short, "cp") {
		return "ordinary"
	}
	letters := strings.TrimLeft(rest, "0123456789")
	switch {
	case strings.ContainsAny(letters, "dD"):
		return "debug"
	case strings.ContainsAny(letters, "tT"):
		return "free-threaded"
	}
	return "ordinary"
}
