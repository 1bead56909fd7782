package packaging

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Tag is one compatibility tag (PEP 425), in lower case.
type Tag struct {
	Python   string
	ABI      string
	Platform string
}

// String gives the tag as it stands in a file name.
func (t Tag) String() string { return t.Python + "-" + t.ABI + "-" + t.Platform }

// ParseTags reads a compressed tag set such as "py2.py3-none-any" and gives
// every tag in it once, sorted. An error is given when s is not of three parts;
// what stands in the parts is not judged.
func ParseTags(s string) ([]Tag, error) {
	python, rest, ok1 := strings.Cut(s, "-")
	abi, platform, ok2 := strings.Cut(rest, "-")
	if !ok1 || !ok2 || strings.Contains(platform, "-") {
		return nil, fmt.Errorf("tag set %q: not of the form python-abi-platform", s)
	}
	return expandTags(python, abi, platform), nil
}

// expandTags gives the product of three sets, sorted, each tag once.
func expandTags(pythons, abis, plats string) []Tag {
	pythons, abis, plats = strings.ToLower(pythons), strings.ToLower(abis), strings.ToLower(plats)
	n := (strings.Count(pythons, ".") + 1) * (strings.Count(abis, ".") + 1) * (strings.Count(plats, ".") + 1)
	tags := make([]Tag, 0, n)
	for python := range strings.SplitSeq(pythons, ".") {
		for abi := range strings.SplitSeq(abis, ".") {
			for platform := range strings.SplitSeq(plats, ".") {
				tags = append(tags, Tag{python, abi, platform})
			}
		}
	}
	slices.SortFunc(tags, func(a, b Tag) int {
		return cmp.Or(strings.Compare(a.Python, b.Python), strings.Compare(a.ABI, b.ABI), strings.Compare(a.Platform, b.Platform))
	})
	return slices.Compact(tags)
}
