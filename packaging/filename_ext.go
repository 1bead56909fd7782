package packaging

import (
	"fmt"
	"strings"
)

// extensions lists every extension of a distribution, for messages. splitExt
// knows the same ones.
var extensions = []string{
	".whl", ".egg", ".egg.zip",
	".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tbz", ".tar.xz", ".txz",
	".tar.lz", ".tlz", ".tar.lzma", ".tar.zst", ".tar", ".tar.Z",
	".exe", ".msi", ".rpm", ".deb", ".dmg",
}

// SplitExt splits a file name into the part before the extension of a
// distribution and that extension, ".tar.gz" being one. The extension is empty
// when there is none that a distribution has. Case counts, as it does for
// installers.
func SplitExt(s string) (stem, ext string) {
	stem, ext, _ = splitExt(s)
	return stem, ext
}

// KindOf gives the kind that the extension of a file name stands for:
// [UnknownKind] when it is none of a distribution's. A dumb archive has the
// extension of an sdist; only [ParseFilename] tells the two apart.
func KindOf(s string) Kind {
	_, _, kind := splitExt(s)
	return kind
}

func splitExt(s string) (stem, ext string, kind Kind) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", UnknownKind
	}
	switch s[i:] {
	case ".whl":
		kind = Wheel
	case ".zip":
		kind = Sdist
		if strings.HasSuffix(s[:i], ".egg") {
			i, kind = i-len(".egg"), Egg
		}
	case ".gz", ".bz2", ".xz", ".lz", ".lzma", ".zst", ".Z":
		if strings.HasSuffix(s[:i], ".tar") {
			i, kind = i-len(".tar"), Sdist
		}
	case ".tgz", ".tbz", ".txz", ".tlz", ".tar":
		kind = Sdist
	case ".egg":
		kind = Egg
	case ".exe":
		kind = Wininst
	case ".msi":
		kind = MSI
	case ".rpm":
		kind = RPM
	case ".deb":
		kind = Deb
	case ".dmg":
		kind = DMG
	}
	if kind == UnknownKind {
		return s, "", UnknownKind
	}
	return s[:i], s[i:], kind
}

// unknownExt gives the error for a name without the extension of a
// distribution. An extension in the wrong case is a distribution that no
// installer would recognize, so that one has a remedy.
func unknownExt(s string) error {
	best := ""
	for _, ext := range extensions {
		if len(s) > len(ext) && len(ext) > len(best) && strings.EqualFold(s[len(s)-len(ext):], ext) {
			best = ext
		}
	}
	if best != "" {
		return &FilenameError{
			Filename: s,
			Fault:    fmt.Sprintf("extension %q is not spelled %q", s[len(s)-len(best):], best),
			Remedy:   "rename to " + best,
		}
	}
	return &FilenameError{Filename: s, Fault: "not the extension of a distribution", Err: ErrNotDistribution}
}
