package allowlist

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// An option is one that may stand in a list.
type option struct {
	id    optionID
	names []string // as on a command line, with the dashes
	value bool     // it takes a value

	// former marks options that pip has dropped. They mean nothing to an
	// index, and pip of today gives up on the list; lists that have them are
	// old ones, so they are taken with a warning.
	former bool
}

type optionID uint8

const (
	optIndexURL optionID = iota
	optExtraIndexURL
	optNoIndex
	optConstraint
	optRequirement
	optEditable
	optFindLinks
	optNoBinary
	optOnlyBinary
	optPreferBinary
	optRequireHashes
	optNoRequireHashes
	optPre
	optAllReleases
	optOnlyFinal
	optTrustedHost
	optUseFeature
	optHash
	optConfigSettings
	optFormer
)

var options = []option{
	{id: optIndexURL, names: []string{"-i", "--index-url", "--pypi-url"}, value: true},
	{id: optExtraIndexURL, names: []string{"--extra-index-url"}, value: true},
	{id: optNoIndex, names: []string{"--no-index"}},
	{id: optConstraint, names: []string{"-c", "--constraint"}, value: true},
	{id: optRequirement, names: []string{"-r", "--requirement"}, value: true},
	{id: optEditable, names: []string{"-e", "--editable"}, value: true},
	{id: optFindLinks, names: []string{"-f", "--find-links"}, value: true},
	{id: optNoBinary, names: []string{"--no-binary"}, value: true},
	{id: optOnlyBinary, names: []string{"--only-binary"}, value: true},
	{id: optPreferBinary, names: []string{"--prefer-binary"}},
	{id: optRequireHashes, names: []string{"--require-hashes"}},
	{id: optNoRequireHashes, names: []string{"--no-require-hashes"}},
	{id: optPre, names: []string{"--pre"}},
	{id: optAllReleases, names: []string{"--all-releases"}, value: true},
	{id: optOnlyFinal, names: []string{"--only-final"}, value: true},
	{id: optTrustedHost, names: []string{"--trusted-host"}, value: true},
	{id: optUseFeature, names: []string{"--use-feature"}, value: true},
	{id: optHash, names: []string{"--hash"}, value: true},
	{id: optConfigSettings, names: []string{"-C", "--config-settings"}, value: true},

	{id: optFormer, former: true, names: []string{"-Z", "--always-unzip"}},
	{id: optFormer, former: true, names: []string{"-M", "--use-mirrors"}},
	{id: optFormer, former: true, names: []string{"--mirrors"}, value: true},
	{id: optFormer, former: true, names: []string{"--use-wheel"}},
	{id: optFormer, former: true, names: []string{"--no-use-wheel"}},
	{id: optFormer, former: true, names: []string{"--allow-external"}, value: true},
	{id: optFormer, former: true, names: []string{"--allow-all-external"}},
	{id: optFormer, former: true, names: []string{"--no-allow-external"}},
	{id: optFormer, former: true, names: []string{"--allow-unverified", "--allow-insecure"}, value: true},
	{id: optFormer, former: true, names: []string{"--no-allow-insecure"}},
	{id: optFormer, former: true, names: []string{"--process-dependency-links"}},
	{id: optFormer, former: true, names: []string{"--global-option"}, value: true},
	{id: optFormer, former: true, names: []string{"--install-option"}, value: true},
}

// A setting is an option as it stands on a line.
type setting struct {
	option *option
	name   string // as written
	value  string
}

// An optionError is an option that cannot be read, for which pip gives up on
// the list.
type optionError struct{ text, hint string }

func (e *optionError) Error() string { return e.text }

// parseOptions reads the words of a line as pip's command line parser does:
// -xVALUE, -x VALUE, --name=VALUE, --name VALUE, joined flags, and long names
// shortened as long as they are unmistakable. Words that are neither option
// nor value are given back: pip drops them without a word.
func parseOptions(words []string) (found []setting, stray []string, err error) {
	for len(words) > 0 {
		w := words[0]
		words = words[1:]
		switch {
		case w == "--":
			return found, append(stray, words...), nil
		case strings.HasPrefix(w, "--"):
			name, value, assigned := strings.Cut(w, "=")
			o, full, err := longOption(name)
			if err != nil {
				return nil, nil, err
			}
			s := setting{option: o, name: full, value: value}
			switch {
			case o.value && !assigned:
				if len(words) == 0 {
					return nil, nil, noValue(full)
				}
				s.value, words = words[0], words[1:]
			case !o.value && assigned:
				return nil, nil, &optionError{text: fmt.Sprintf("option %s takes no value", full)}
			}
			found = append(found, s)
		case len(w) > 1 && w[0] == '-':
			for rest := w[1:]; rest != ""; {
				_, n := utf8.DecodeRuneInString(rest)
				name := "-" + rest[:n]
				rest = rest[n:]
				o := optionNamed(name)
				if o == nil {
					return nil, nil, unknownOption(name, w)
				}
				s := setting{option: o, name: name}
				if o.value {
					if rest != "" {
						s.value, rest = rest, ""
					} else if len(words) > 0 {
						s.value, words = words[0], words[1:]
					} else {
						return nil, nil, noValue(name)
					}
				}
				found = append(found, s)
			}
		default:
			stray = append(stray, w)
		}
	}
	return found, stray, nil
}

// longOption finds the option of a long name, which may be cut short.
func longOption(name string) (*option, string, error) {
	if o := optionNamed(name); o != nil {
		return o, name, nil
	}
	var full []string
	for _, o := range options {
		if o.former {
			continue
		}
		for _, n := range o.names {
			if strings.HasPrefix(n, name) {
				full = append(full, n)
			}
		}
	}
	switch len(full) {
	case 0:
		return nil, "", unknownOption(name, name)
	case 1:
		return optionNamed(full[0]), full[0], nil
	}
	slices.Sort(full)
	return nil, "", &optionError{text: fmt.Sprintf("option %s could be %s", quote(name), strings.Join(full, " or "))}
}

// optionNamed gives the option of that very name, or nil.
func optionNamed(name string) *option {
	for i := range options {
		if slices.Contains(options[i].names, name) {
			return &options[i]
		}
	}
	return nil
}

func noValue(name string) error {
	return &optionError{text: fmt.Sprintf("option %s: a value is missing", name)}
}

// unknownOption is the error for an option, which stands in word.
func unknownOption(name, word string) error {
	e := &optionError{text: fmt.Sprintf("unknown option %s", quote(name))}
	if !strings.HasPrefix(word, "--") && len(word) > 3 {
		e.hint = "a long option has two dashes: -" + bare(word)
	}
	return e
}

// splitArguments cuts a line before the first word, words being separated by
// single spaces only, that begins with a dash: pip's line between a
// requirement and its options.
func splitArguments(line string) (requirement, opts string) {
	for at := 0; at < len(line); {
		if line[at] == '-' {
			return strings.TrimSuffix(line[:at], " "), line[at:]
		}
		i := strings.IndexByte(line[at:], ' ')
		if i < 0 {
			break
		}
		at += i + 1
	}
	return line, ""
}
