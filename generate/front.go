package generate

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"nestgen/catalog"
	"nestgen/layout"
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

	time int64
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
	count  struct {
		projects, releases, files int
		size                      int64
	}
}

func newFront(s *Site) *front {
	return &front{site: s, folder: s.frame(layout.Front).ProjectFolder}
}

func (f *front) add(p *catalog.Project) {
	files := visible(p)
	link := f.folder + "/" + string(p.Name) + "/"
	f.count.projects++
	f.count.files += len(files)
	for i := range files {
		f.count.size += files[i].Size
	}
	rs := releases(files)
	f.count.releases += len(rs)
	for i := range rs {
		f.offer(p, &rs[i], link)
	}

	if f.count.projects > listLimit {
		f.page.List = nil
		return
	}
	f.page.List = append(f.page.List, ListedProject{
		Project: display(p), Version: clean(newest(files)), Link: link, Status: string(p.Status.State),
	})
}

// offer takes a release in if it is among the newest.
func (f *front) offer(p *catalog.Project, rel *release, link string) {
	var last int64
	for _, file := range rel.files {
		if known(file.Uploaded) {
			last = max(last, file.Uploaded)
		}
	}
	kept := f.page.Newest
	if last == 0 || len(kept) == newestLimit && last < kept[len(kept)-1].time {
		return
	}
	r := NewRelease{Project: display(p), Version: clean(rel.version), Link: link, Date: dateText(last), time: last}
	for _, file := range rel.files {
		if known(file.Uploaded) && file.Uploaded/day == last/day {
			r.Files++
		}
	}
	at, _ := slices.BinarySearchFunc(kept, r, func(a, b NewRelease) int {
		return cmp.Or(cmp.Compare(b.time, a.time), strings.Compare(a.Link, b.Link), strings.Compare(a.Version, b.Version))
	})
	kept = slices.Insert(kept, at, r)
	f.page.Newest = kept[:min(len(kept), newestLimit)]
}

func (f *front) execute(w io.Writer) error {
	var err error
	if f.page.Shared, err = f.site.shared(new(parts), layout.Front); err != nil {
		return err
	}
	f.page.Projects = countText(f.count.projects)
	f.page.Releases = countText(f.count.releases)
	f.page.Files = countText(f.count.files)
	f.page.Size = sizeText(f.count.size)
	f.page.Empty = f.count.projects == 0
	return f.site.templates().Execute(w, templates.Front, &f.page)
}
