package layout

import "strings"

// Owner gives the file that a companion of the store stands beside, and a path
// that is no companion's as it is.
func Owner(path string) string {
	for _, suffix := range []string{".metadata", ".asc", ".provenance"} {
		if file, ok := strings.CutSuffix(path, suffix); ok {
			return file
		}
	}
	return path
}
