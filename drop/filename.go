package drop

import (
	"bytes"
	"errors"
	"unicode"
	"unicode/utf8"

	"nestgen/packaging"
)

// A class is what a file is by its name alone.
type class uint8

const (
	unmeant  class = iota // not meant for the index
	hidden                // begins with a dot
	partial               // an editor's or a transfer's temporary file
	distfile              // ends like a distribution
	snippet               // ends like a link snippet
	beside                // a distribution's name and a companion's ending
	badname               // ends like one of the three, but is not a name to publish
)

// classify sorts a name. For badname it says what is wrong.
func classify(name []byte) (c class, reason string) {
	c = byEnding(name)
	switch {
	case bytes.HasPrefix(name, []byte("._")), bytes.HasPrefix(name, []byte(".#")):
		// Left by macOS beside the file it describes; an editor's lock.
		return hidden, ""
	case name[0] == '.' && c == unmeant:
		return hidden, ""
	case isPartial(name):
		return partial, ""
	case c == unmeant:
		if why := unprintable(name); why != "" {
			return badname, why
		}
		return unmeant, ""
	}
	if why := unpublishable(name); why != "" {
		return badname, why
	}
	return c, ""
}

func byEnding(name []byte) class {
	if isDistribution(name) {
		return distfile
	}
	dot := bytes.LastIndexByte(name, '.')
	if dot < 1 {
		return unmeant
	}
	switch string(name[dot:]) {
	case ".svn", ".git", ".hg", ".url", ".link":
		return snippet
	}
	if distributionOf(name) != nil {
		return beside
	}
	return unmeant
}

// isDistribution reports whether name ends like a distribution, in any case of
// letters: a file named "x.WHL" was meant for the index, and whoever inspects
// it says why it cannot be taken (contract §7, row 13).
func isDistribution(name []byte) bool {
	dot := bytes.LastIndexByte(name, '.')
	if dot < 1 || len(name)-dot > len(".lzma") {
		return false
	}
	var buf [8]byte
	switch string(lower(buf[:0], name[dot+1:])) {
	case "whl", "egg", "zip", "tgz", "tbz", "txz", "tlz", "tar", "exe", "msi", "rpm", "deb", "dmg":
		return true
	case "gz", "bz2", "xz", "lz", "lzma", "zst", "z":
		return dot > 4 && string(lower(buf[:0], name[dot-4:dot])) == ".tar"
	}
	return false
}

func lower(to, s []byte) []byte {
	for _, c := range s {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}

// companionOf reports whether name is a companion of the distribution base.
func companionOf(base, name []byte) (Companion, bool) {
	for i, end := range companionEndings {
		if len(name) == len(base)+len(end) && string(name[len(base):]) == end {
			return Companion(i), true
		}
	}
	return 0, false
}

// distributionOf gives the name that name is a companion of, nil for none.
func distributionOf(name []byte) []byte {
	for _, end := range companionEndings {
		if base, ok := bytes.CutSuffix(name, []byte(end)); ok && isDistribution(base) {
			return base
		}
	}
	return nil
}

// isPartial knows what editors and transfers leave in a folder while they work.
func isPartial(name []byte) bool {
	if name[len(name)-1] == '~' || name[0] == '#' && name[len(name)-1] == '#' {
		return true
	}
	for _, end := range []string{".part", ".tmp", ".partial", ".filepart", ".crdownload", ".download", ".swp"} {
		if bytes.HasSuffix(name, []byte(end)) {
			return true
		}
	}
	return false
}

// unpublishable says why a name cannot be that of a published file (contract
// FN-6); empty if it can. The rule is packaging's; what passes it is found
// without an allocation.
func unpublishable(name []byte) string {
	if plain(name) {
		return ""
	}
	if !utf8.Valid(name) {
		return "file name is not UTF-8"
	}
	err := packaging.CheckFilename(string(name))
	if fe, ok := errors.AsType[*packaging.FilenameError](err); ok {
		return "file name " + fe.Fault
	}
	return ""
}

// plain is packaging.CheckFilename for a name of 1 to 255 bytes.
func plain(name []byte) bool {
	if name[0] == '.' || name[0] == '-' {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f || c == '/' || c == '\\' || c == '%' {
			return false
		}
	}
	return true
}

// unprintable says why a name cannot be shown as it is; empty if it can.
func unprintable(name []byte) string {
	if plain(name) {
		return ""
	}
	if !utf8.Valid(name) {
		return "file name is not UTF-8"
	}
	for _, r := range string(name) {
		if !unicode.IsPrint(r) {
			return "file name holds a control character"
		}
	}
	return ""
}
