package plan

import (
	"fmt"
	"strings"

	"nestgen/packaging"
)

// Formats says which kinds of files to keep of a version. It is written "all", or
// as words ("wheels", "sdists", "eggs", "installers") joined by "and"; with "else"
// between two such lists the second one counts for a version that has nothing of
// the first: "wheels, else sdists". The zero Formats keeps all.
type Formats struct {
	levels []kindSet
	said   bool
}

// A kindSet has a bit for each [packaging.Kind].
type kindSet uint16

func (s kindSet) has(k packaging.Kind) bool { return s&(1<<k) != 0 }

// formatWords are what people call the kinds of files.
var formatWords = []struct {
	word, one string
	kinds     kindSet
}{
	{"wheels", "wheel", 1 << packaging.Wheel},
	{"sdists", "sdist", 1 << packaging.Sdist},
	{"eggs", "egg", 1 << packaging.Egg},
	{"installers", "installer", 1<<packaging.Wininst | 1<<packaging.MSI | 1<<packaging.RPM | 1<<packaging.Deb | 1<<packaging.Dumb | 1<<packaging.DMG},
}

// UnmarshalText reads the written form.
func (f *Formats) UnmarshalText(text []byte) error {
	s := string(text)
	bad := func(fault string) error {
		return fmt.Errorf("formats %s: %s: want \"all\", or wheels, sdists, eggs and installers as in \"wheels\", \"wheels and sdists\" or \"wheels, else sdists\"", tooLong(s), fault)
	}
	if strings.TrimSpace(s) == "all" {
		*f = Formats{said: true}
		return nil
	}
	var levels []kindSet
	var seen kindSet
	var set kindSet
	wantWord := true
	for _, word := range strings.Fields(strings.ReplaceAll(s, ",", " ")) {
		switch {
		case word == "and" && !wantWord:
			wantWord = true
			continue
		case word == "else" && !wantWord:
			levels, set, wantWord = append(levels, set), 0, true
			continue
		case !wantWord:
			return bad(fmt.Sprintf("%s follows neither \"and\" nor \"else\"", tooLong(word)))
		}
		var kinds kindSet
		for _, w := range formatWords {
			if word == w.word || word == w.one {
				kinds = w.kinds
			}
		}
		switch {
		case kinds == 0:
			return bad(tooLong(word) + " is no kind of files")
		case seen&kinds != 0:
			return bad(tooLong(word) + " stands there twice")
		}
		seen |= kinds
		set |= kinds
		wantWord = false
	}
	if wantWord {
		return bad("a word is missing")
	}
	*f = Formats{append(levels, set), true}
	return nil
}

// Said reports whether it was read from the written form.
func (f Formats) Said() bool { return f.said }

// tooLong quotes a text for a message, cut where it is too long to read.
func tooLong(s string) string {
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return fmt.Sprintf("%q", s)
}

// String gives the written form.
func (f Formats) String() string {
	if f.levels == nil {
		return "all"
	}
	levels := make([]string, len(f.levels))
	for i, set := range f.levels {
		var words []string
		for _, w := range formatWords {
			if set&w.kinds != 0 {
				words = append(words, w.word)
			}
		}
		levels[i] = strings.Join(words, " and ")
	}
	return strings.Join(levels, ", else ")
}

// level gives the kinds to keep of a version's files: the first list of which there
// is one that may be used.
func (f Formats) level(files []candidate, usable func(*candidate) bool) kindSet {
	for _, set := range f.levels {
		for i := range files {
			if c := &files[i]; c.against == nil && set.has(c.Filename.Kind) && usable(c) {
				return set
			}
		}
	}
	return 0
}

// names reports whether a kind is wanted at all.
func (f Formats) names(k packaging.Kind) bool {
	for _, set := range f.levels {
		if set.has(k) {
			return true
		}
	}
	return false
}

// kindText gives a kind in words.
func kindText(k packaging.Kind) string {
	switch k {
	case packaging.Wheel:
		return "a wheel"
	case packaging.Sdist:
		return "an sdist"
	case packaging.Egg:
		return "an egg"
	case packaging.Wininst:
		return "a Windows installer"
	case packaging.MSI:
		return "an MSI"
	case packaging.RPM:
		return "an RPM"
	case packaging.Deb:
		return "a Debian package"
	case packaging.Dumb:
		return "a dumb archive"
	case packaging.DMG:
		return "a disk image"
	}
	return "of no known kind"
}
