package generate

import (
	"strings"

	"nestgen/catalog"
)

// final reports whether a version is neither a pre-release nor a development
// release. A version that does not follow PEP 440 is final if it is made of
// numbers.
func final(version string) bool {
	v, _, _ := strings.Cut(version, "+")
	v = strings.Replace(v, ".post", ".", 1)
	for i := 0; i < len(v); i++ {
		if c := v[i]; (c < '0' || c > '9') && c != '.' && c != '!' {
			return false
		}
	}
	return v != ""
}

// newest gives the version that a project is known by: the highest final one
// with a file that is not yanked, else the highest that is not yanked, else the
// highest. It is empty for a project without files.
func newest(files []catalog.File) string {
	notYanked := ""
	for i := len(files) - 1; i >= 0; i-- {
		f := &files[i]
		if f.Yanked.Yanked {
			continue
		}
		if final(f.Version) {
			return f.Version
		}
		if notYanked == "" {
			notYanked = f.Version
		}
	}
	if notYanked == "" && len(files) > 0 {
		return files[len(files)-1].Version
	}
	return notYanked
}

// A versionSet numbers versions in the order in which they first come.
// Spellings of one version may take turns in the files of a project, since
// files of equal versions are sorted by name, so looking at the last version
// is not enough.
type versionSet struct {
	list []string
	at   map[string]int // made when a scan would take longer
}

// fewVersions is up to how many versions a scan is quicker than a map.
const fewVersions = 32

// add gives the number of a version, and whether it is new.
func (s *versionSet) add(version string) (int, bool) {
	if s.at == nil {
		for k := len(s.list) - 1; k >= 0; k-- {
			if s.list[k] == version {
				return k, false
			}
		}
		if len(s.list) == fewVersions {
			s.at = make(map[string]int, 2*fewVersions)
			for k, v := range s.list {
				s.at[v] = k
			}
		}
	} else if k, ok := s.at[version]; ok {
		return k, false
	}
	if s.at != nil {
		s.at[version] = len(s.list)
	}
	s.list = append(s.list, version)
	return len(s.list) - 1, true
}

// reset empties the set, and keeps the room of its list.
func (s *versionSet) reset() { s.list, s.at = s.list[:0], nil }
