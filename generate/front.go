package generate

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/templates"
)

// A site with more projects than listLimit does not list them on its front
// page; it shows newestLimit releases there in any case.
const (
	listLimit   = 1000
	newestLimit = 12
)

// day is how many microseconds one has.
const day = 24 * 60 * 60 * 1_000_000

// A FrontPage is what the template of the front page is executed with.
type FrontPage struct {
	*Shared

	// The counts and the size of all files, for people.
	Projects string
	Releases string
	Files    string
	Size     string

	// Held says how many files may not come in yet; empty if none waits.
	Held string

	// Statistics says that there are pages of what is downloaded.
	Statistics bool

	// Affected is how many releases advisories affect; empty for none.
	Affected string

	// Newest are the releases that files came in for last, the latest first.
	Newest []NewRelease

	// List is all projects by name. It is nil when they are too many; Empty
	// says that there are none.
	List  []ListedProject
	Empty bool
}

// A NewRelease is a release on the front page. Files counts those that came in
// on Date, of all that the release has.
type NewRelease struct {
	Project string
	Version string
	Link    string
	Date    string
	Files   int
}

// A ListedProject is a project on the front page. Status is empty for an
// active one.
type ListedProject struct {
	Project string
	Version string
	Link    string
	Status  string
}

// A front gathers the front page while the projects go by. What it keeps does
// not grow with their number.
type front struct {
	site   *Site
	folder string // ProjectFolder of the page
	page   FrontPage
	newest []newRelease
	count  struct {
		projects, releases, files, affected int
		size                                int64
	}
}

// A newRelease is one of the newest so far.
type newRelease struct {
	catalog.News
	project packaging.Name
	display string
}

func newFront(s *Site) *front {
	return &front{site: s, folder: s.frame(layout.Front).ProjectFolder}
}

func (f *front) add(n packaging.Name, c *catalog.Card) {
	f.count.projects++
	f.count.files += c.Files
	f.count.size += c.Size
	f.count.releases += c.Releases
	f.count.affected += c.Affected
	for _, r := range c.Newest {
		f.newest = offer(f.newest, newRelease{r, n, c.Display}, func(a, b newRelease) int {
			return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.project, b.project), strings.Compare(a.Version, b.Version))
		})
	}
	if f.count.projects > listLimit {
		f.page.List = nil
		return
	}
	f.page.List = append(f.page.List, ListedProject{
		Project: c.Display, Version: clean(c.Version), Link: f.link(n), Status: string(c.State),
	})
}

func (f *front) link(n packaging.Name) string { return f.folder + "/" + string(n) + "/" }

// offer takes a release into the newest ones, sorted by order, if it is one.
func offer[R any](newest []R, r R, order func(a, b R) int) []R {
	at, _ := slices.BinarySearchFunc(newest, r, order)
	if at == newestLimit {
		return newest
	}
	newest = slices.Insert(newest, at, r)
	return newest[:min(len(newest), newestLimit)]
}

func (f *front) execute(w io.Writer) error {
	var err error
	if f.page.Shared, err = f.site.shared(new(parts), layout.Front); err != nil {
		return err
	}
	for _, r := range f.newest {
		f.page.Newest = append(f.page.Newest, NewRelease{
			Project: r.display, Version: clean(r.Version), Link: f.link(r.project), Date: dateText(r.Time), Files: r.Files,
		})
	}
	f.page.Projects = countText(f.count.projects)
	f.page.Releases = countText(f.count.releases)
	f.page.Files = countText(f.count.files)
	f.page.Size = sizeText(f.count.size)
	if n := f.site.Held; n > 0 {
		f.page.Held = filesText(n)
	}
	f.page.Statistics = f.site.Statistics
	if f.count.affected > 0 {
		f.page.Affected = countText(f.count.affected)
	}
	f.page.Empty = f.count.projects == 0
	return f.site.templates().Execute(w, templates.Front, &f.page)
}
