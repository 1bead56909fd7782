package generate

import (
	"bytes"

	"nestgen/advisory"
	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/templates"
)

// A ProjectPage is what the template of a project's page is executed with.
type ProjectPage struct {
	*Shared

	// Name is normalized and Display is as the project's owner spells it.
	Name    packaging.Name
	Display string

	// Status is empty for an active project without a reason, StatusText
	// says it in a sentence, and StatusReason is the owner's.
	Status       string
	StatusText   string
	StatusReason string

	// Note is a line of the site's own about the project, or empty.
	Note string

	// Latest is the version that the project is known by, Released its date
	// and RequiresPython what it asks of Python. All are empty when unknown.
	Latest         string
	Released       string
	RequiresPython string

	// Releases and Files count; Size is that of all files, in words.
	Releases int
	Files    int
	Size     string

	// Links are the development links.
	Links []DevLink

	// Affected counts the releases that advisories affect, and LatestAdvice says
	// how many of these affect the latest one; empty for none.
	Affected     int
	LatestAdvice string

	latest   int // index into releases
	releases []release
	findings findings
}

// A DevLink is a development link for people.
type DevLink struct {
	URL string

	// Href is the URL if it leads to a web page, else empty.
	Href string

	// Egg is the name by which easy_install knows the link, and Version what
	// it promises besides "dev", or empty.
	Egg     string
	Version string
}

// appendPeople appends the page of a project for people.
func (s *Site) appendPeople(b []byte, c *parts, p *catalog.Project, rs []release, a findings) ([]byte, error) {
	shared, err := s.shared(c, layout.PeopleProject(p.Name))
	if err != nil {
		return nil, err
	}
	files := visible(p)
	v := &ProjectPage{
		Shared:   shared,
		Name:     p.Name,
		Display:  display(p),
		Note:     clean(p.Note),
		Files:    len(files),
		releases: rs,
		findings: a,
	}
	if hasStatus(p) {
		v.Status, v.StatusReason, v.StatusText = status(p), clean(p.Status.Reason), statusText(p.Status.State)
	}
	v.Releases = len(v.releases)
	var size int64
	for i := range files {
		size += max(files[i].Size, 0)
	}
	v.Size = sizeText(size)
	v.Affected = v.findings.affected(rs)
	latest := newest(files)
	for i := range v.releases {
		if r := &v.releases[i]; r.version == latest {
			v.latest = i
			v.Latest = clean(latest)
			v.RequiresPython = clean(r.requiresPython())
			v.Released = dateText(r.uploaded())
			if n := len(advisory.Merge(v.findings.of(r))); n > 0 {
				v.LatestAdvice = adviceText(n)
			}
		}
	}
	if p.Status.State != catalog.Quarantined {
		for i := range p.Links {
			l := &p.Links[i]
			d := DevLink{URL: clean(l.URL), Egg: eggName(p, l), Version: clean(l.Version)}
			if isWebLink(l.URL) {
				d.Href = linkURL(l.URL)
			}
			v.Links = append(v.Links, d)
		}
	}
	w := bytes.NewBuffer(b)
	err = s.templates().Execute(w, templates.Project, v)
	return w.Bytes(), err
}

func statusText(s catalog.State) string {
	switch s {
	case catalog.Archived:
		return "Archived: no new releases are expected."
	case catalog.Deprecated:
		return "Deprecated: do not begin anything new with it."
	case catalog.Quarantined:
		return "Quarantined: held to be unsafe, so its files are withheld."
	}
	return "Active."
}
