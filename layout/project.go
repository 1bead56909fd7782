package layout

import (
	"strings"

	"nestgen/packaging"
)

// A Form is one of the renderings of a project.
type Form uint8

// The forms.
const (
	HTML          Form = iota + 1 // ProjectHTML
	JSON                          // ProjectJSON
	AliasHTML                     // Alias
	PeopleHTML                    // PeopleProject
	LegacyJSON                    // LegacyProject
	LegacyVersion                 // LegacyRelease
	ChangesPage                   // ProjectChangesHTML
	ChangesFeed                   // ProjectChangesAtom
	ChangesItems                  // ProjectChangesJSON
)

// A Page is what the path of a project's page says.
type Page struct {
	Project packaging.Name
	Form    Form

	// Spelling is how an AliasHTML page spells the project's name, and empty
	// for every other form.
	Spelling string

	// Version is the release of a LegacyVersion page, and empty for every
	// other form.
	Version string
}

// ParseProject reads the path of a page that belongs to one project. It takes
// exactly what [ProjectHTML] and its neighbours give for a valid project, so
// it refuses a path that is not clean, and gives the project an alias stands
// for as well.
func ParseProject(path string) (Page, bool) {
	folder, rest, _ := strings.Cut(path, "/")
	segment, rest, _ := strings.Cut(rest, "/")
	n, err := packaging.ParseName(segment)
	if err != nil {
		return Page{}, false
	}
	p := Page{Project: n}
	switch {
	case folder == Simple && rest == "index.html" && segment != string(n):
		p.Form, p.Spelling = AliasHTML, segment
		return p, true
	case segment != string(n):
		return Page{}, false
	case folder == Simple && rest == "index.html":
		p.Form = HTML
	case folder == Simple && rest == "index.v1_json":
		p.Form = JSON
	case folder == People && rest == "index.html":
		p.Form = PeopleHTML
	case folder == Changes && rest == "index.html":
		p.Form = ChangesPage
	case folder == Changes && rest == "atom.xml":
		p.Form = ChangesFeed
	case folder == Changes && rest == "feed.json":
		p.Form = ChangesItems
	case folder == Legacy && rest == "json":
		p.Form = LegacyJSON
	case folder == Legacy:
		v, ok := strings.CutSuffix(rest, "/json")
		if !ok || !ReleaseFolder(v) {
			return Page{}, false
		}
		p.Form, p.Version = LegacyVersion, v
	default:
		return Page{}, false
	}
	return p, true
}

// Path is the path that p was read from. It is empty for a Page without a form.
func (p Page) Path() string {
	switch p.Form {
	case HTML:
		return ProjectHTML(p.Project)
	case JSON:
		return ProjectJSON(p.Project)
	case AliasHTML:
		return Alias(p.Spelling)
	case PeopleHTML:
		return PeopleProject(p.Project)
	case LegacyJSON:
		return LegacyProject(p.Project)
	case LegacyVersion:
		return LegacyRelease(p.Project, p.Version)
	case ChangesPage:
		return ProjectChangesHTML(p.Project)
	case ChangesFeed:
		return ProjectChangesAtom(p.Project)
	case ChangesItems:
		return ProjectChangesJSON(p.Project)
	}
	return ""
}

// ReleaseFolder reports whether a version can name a folder of the legacy JSON
// API. Every version that follows PEP 440 can. A version that only stands in a
// file name may not, and "json" would take the place of the project's own
// document.
func ReleaseFolder(version string) bool { return version != "json" && cleanSegment(version) }

// Aliases gives the spellings under which old clients ask for a project whose
// name is displayed as display, none of which is the normalized name:
// easy_install asks for the name as its user typed it and then for what the
// setuptools of its day made of it. There is none for a display name that is
// not valid.
func Aliases(display string) []string {
	if !packaging.ValidName(display) {
		return nil
	}
	n := string(packaging.NormalizeName(display))
	var as []string
	if display != n {
		as = append(as, display)
	}
	if safe := SetuptoolsName(display); safe != n && safe != display {
		as = append(as, safe)
	}
	return as
}

// SetuptoolsName is a project name as setuptools before version 67 compared
// names, except for case: every run of characters other than letters, digits
// and dots is one dash. It does not allocate for a name that has none.
func SetuptoolsName(name string) string {
	plain := true
	for i := 0; i < len(name) && plain; i++ {
		plain = asciiAlnum(name[i]) || name[i] == '.' || name[i] == '-' && (i == 0 || name[i-1] != '-')
	}
	if plain {
		return name
	}
	b := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !asciiAlnum(c) && c != '.' {
			if len(b) > 0 && b[len(b)-1] == '-' {
				continue
			}
			c = '-'
		}
		b = append(b, c)
	}
	return string(b)
}

func asciiAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
