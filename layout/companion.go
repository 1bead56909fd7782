package layout

import (
	"path"
	"strings"
)

// IsRoom reports whether a folder at the root of the site is one of the tree's
// own.
func IsRoom(folder string) bool {
	switch folder {
	case Simple, People, Legacy, Packages, Static, path.Dir(Flat), path.Dir(Easy), path.Dir(HeldHTML), Changes, Stats, Log:
		return true
	}
	return false
}

// Owner gives the file that a companion of the store stands beside, and a path
// that is no companion's as it is.
func Owner(name string) string {
	for _, suffix := range []string{".metadata", ".asc", ".provenance"} {
		if file, ok := strings.CutSuffix(name, suffix); ok {
			return file
		}
	}
	return name
}
