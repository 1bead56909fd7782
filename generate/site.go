package generate

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"

	"nestgen/advisory"
	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/templates"
)

// A Site is what the pages say about the index as a whole, and which pages
// there are. Its methods may be called at once from several goroutines as long
// as its fields stand still. The zero Site makes the simple pages only.
type Site struct {
	// Title names the index. If empty, "Python package index".
	Title string

	// BaseURL is the address of the root of the site, with or without a slash
	// at its end. Everything works without it, because all links are
	// relative; with it the pages for people print whole addresses, the
	// legacy JSON has absolute links, and, if it is https, attestations are
	// listed, whose addresses must be absolute (PEP 740).
	BaseURL string

	// Prefix is where the index lies below the root of the site, as "prod"; empty
	// for the site's own index. The store and the static files stay at the root.
	Prefix string

	// Version is that of the program, for the foot of the pages for people.
	// If empty, none is printed.
	Version string

	// People makes a page for people for each project. The front page is made
	// in any case when it is asked for.
	People bool

	// Legacy makes a document of the legacy JSON API for each project, and
	// Releases one for each release too. At the size of the public index
	// Releases costs more files than everything else together.
	Legacy   bool
	Releases bool

	// Has says which pages about all projects the site has besides the root
	// pages, so that the pages for people lead to them.
	Has IndexPages

	// Held is how many files may not come in yet. If it is not zero the front page
	// leads to the page of these.
	Held int

	// Changes says of what there are pages that tell what changed, to which the
	// pages for people then lead. Only the site's own index has such pages.
	Changes ChangesOf

	// Statistics says that there are pages of what is downloaded, which the front
	// page leads to.
	Statistics bool

	// Advised says that the catalog has advisories, so that a project without any
	// is one of which nothing is known. AdvisedUpstreams are the upstreams that
	// they are about; all if it is empty.
	Advised          bool
	AdvisedUpstreams []string

	// Templates are those of the pages for people. If nil, the built-in ones.
	Templates *templates.Set
}

// A Sink takes finished pages. A path is one of package layout; the data is
// valid during the call only.
type Sink interface {
	Put(path string, data []byte) error
}

// Check reports what is wrong with the settings, and whether the templates can
// be executed, so that a fault in a site's own template shows before anything
// is published.
func (s *Site) Check() error {
	if s.BaseURL != "" {
		u, err := url.Parse(s.BaseURL)
		switch {
		case err != nil:
			return fmt.Errorf("base URL: %w", err)
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return fmt.Errorf("base URL %q: want http:// or https:// and a host", s.BaseURL)
		case u.User != nil:
			return errors.New("base URL: it is printed on every page, so it cannot hold a user or a password")
		case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
			return fmt.Errorf("base URL %q: neither a query nor a fragment can stand in it", s.BaseURL)
		}
	}
	if s.Templates == nil || s.Templates == templates.Default() {
		return nil // the tests of this package try them
	}
	for _, p := range samples() {
		if _, err := s.sampleSite().appendPeople(nil, new(parts), &p, releases(visible(&p)), s.sampleSite().findings(&p)); err != nil {
			return err
		}
		f := newFront(s)
		card := (&Site{Has: Front, Advised: true}).Card(&p)
		f.add(p.Name, &card)
		if err := f.execute(io.Discard); err != nil {
			return err
		}
	}
	for _, all := range [][]catalog.Tagged{nil, {{Tag: "sample", Note: "sample", Rule: "daily", Lacking: 1}, {Tag: "sample-2"}}} {
		if _, err := s.snapshotsHTML(all); err != nil {
			return err
		}
	}
	for _, hs := range [][]catalog.Hold{nil, {{Project: "sample", Filename: "sample-1.tar.gz", Until: 1}, {Project: "sample", Filename: "sample-2.tar.gz", Uploaded: 1}}} {
		if _, err := s.heldHTML(hs); err != nil {
			return err
		}
	}
	for _, d := range []Statistics{{}, {Until: "2026-11-22", Projects: []StatisticsRow{{Name: "sample", Downloads: 1}}}} {
		if _, err := s.statisticsHTML(&d); err != nil {
			return err
		}
	}
	for _, h := range []History{{}, {Changes: sampleChanges(), States: map[packaging.Name]catalog.State{"sample": catalog.Active}}} {
		for _, p := range []*catalog.Project{nil, {Name: "sample", Display: "Sample"}} {
			page := layout.ChangesHTML
			if p != nil {
				page = layout.ProjectChangesHTML(p.Name)
			}
			if _, err := s.sampleSite().changesHTML(nil, new(parts), page, p, h, ChangesLimit); err != nil {
				return err
			}
		}
	}
	return nil
}

// sampleChanges are changes with all that a template may show of one.
func sampleChanges() []Change {
	line := ChangeLine{Verb: catalog.Yanking, Text: "1 yanked", Reason: "sample", Files: []string{"sample-1.tar.gz"}, More: 1}
	return []Change{{Project: "sample", Time: 1, Lines: []ChangeLine{line}}, {Lines: []ChangeLine{{Text: "sample"}}}}
}

// sampleSite is the site with all that its templates may show.
func (s *Site) sampleSite() *Site {
	all := *s
	all.Advised, all.AdvisedUpstreams, all.Changes, all.Statistics = true, nil, ProjectChanges, true
	return &all
}

// samples are projects that between them take a template through its branches.
func samples() []catalog.Project {
	digest := catalog.Digest{1}
	file := func(name, version string, k packaging.Kind) catalog.File {
		return catalog.File{
			Project: "sample", Filename: name, Version: version, Kind: k, Size: 1,
			SHA256: digest, BLAKE2b: digest, Path: layout.File(digest, name),
			RequiresPython: ">=3", Uploaded: 1, Metadata: digest, Signed: true, Provenance: true,
			Yanked: catalog.Yank{Yanked: version == "1", Reason: "sample"},
		}
	}
	return []catalog.Project{
		{Name: "sample", Display: "sample"},
		{
			Name: "sample", Display: "Sample", Note: "sample",
			Status: catalog.Status{State: catalog.Archived, Reason: "sample"},
			Files: []catalog.File{
				file("sample-1.tar.gz", "1", packaging.Sdist),
				file("sample-2-py3-none-any.whl", "2", packaging.Wheel),
			},
			Advisories: []advisory.Record{{ID: "SAMPLE-1", Summary: "sample", Versions: []string{"1", "2"}}},
			Links:      []catalog.Link{{Project: "sample", URL: "https://example.org/sample", Egg: "sample", Version: "3.dev0"}},
		},
		{Name: "sample", Display: "sample", Status: catalog.Status{State: catalog.Quarantined}},
	}
}

// HasPages reports whether a project has pages of its own. One without files
// has none, so that an installer may look elsewhere for it, even if it has
// development links for the page of easy_install. A quarantined one has pages
// that say so (PEP 792).
func HasPages(p *catalog.Project) bool {
	return len(p.Files) > 0 || p.Status.State == catalog.Quarantined
}

// Project makes every page of one project and hands each to the sink, the
// simple pages last but for their aliases, so that what people read is there
// before what installers read. It stops at the sink's first error. A project
// that breaks a promise of the catalog gives an error and no page.
func (s *Site) Project(p *catalog.Project, sink Sink) error {
	if err := check(p); err != nil {
		return err
	}
	if !HasPages(p) {
		return nil
	}
	sc := scratches.Get().(*scratch)
	defer scratches.Put(sc)

	put := func(path string, page []byte) error {
		sc.page = page[:0] // keep what it grew to
		return sink.Put(path, page)
	}
	var rs []release
	var found findings
	if s.People || s.Legacy {
		rs, found = releases(visible(p)), s.findings(p)
	}
	if s.People {
		page, err := s.appendPeople(sc.page, &sc.parts, p, rs, found)
		if err != nil {
			return err
		}
		if err := put(s.at(layout.PeopleProject(p.Name)), page); err != nil {
			return err
		}
	}
	if s.Legacy {
		if err := put(s.at(layout.LegacyProject(p.Name)), s.appendLegacyProject(sc.page, p, rs, found)); err != nil {
			return err
		}
	}
	if s.Legacy && s.Releases {
		for _, r := range rs {
			if !layout.ReleaseFolder(r.version) {
				continue
			}
			if err := put(s.at(layout.LegacyRelease(p.Name, r.version)), s.appendLegacyRelease(sc.page, p, r, found)); err != nil {
				return err
			}
		}
	}
	if err := put(s.at(layout.ProjectJSON(p.Name)), s.appendJSON(sc.page, sc, p)); err != nil {
		return err
	}
	page := s.appendHTML(sc.page, p)
	if err := put(s.at(layout.ProjectHTML(p.Name)), page); err != nil {
		return err
	}
	for _, spelling := range layout.Aliases(p.Display) {
		if err := sink.Put(s.at(layout.Alias(spelling)), page); err != nil {
			return err
		}
	}
	return nil
}

// Paths gives the path of every page that [Site.Project] makes, in its order.
// Held against those of an older state of the same project, it tells which
// pages are to go; a Site with every page switched on owns all that any Site
// may have made.
func (s *Site) Paths(p *catalog.Project) []string {
	if !HasPages(p) {
		return nil
	}
	var paths []string
	if s.People {
		paths = append(paths, s.at(layout.PeopleProject(p.Name)))
	}
	if s.Legacy {
		paths = append(paths, s.at(layout.LegacyProject(p.Name)))
		if s.Releases {
			for _, r := range releases(visible(p)) {
				if layout.ReleaseFolder(r.version) {
					paths = append(paths, s.at(layout.LegacyRelease(p.Name, r.version)))
				}
			}
		}
	}
	paths = append(paths, s.at(layout.ProjectJSON(p.Name)), s.at(layout.ProjectHTML(p.Name)))
	for _, spelling := range layout.Aliases(p.Display) {
		paths = append(paths, s.at(layout.Alias(spelling)))
	}
	return paths
}

// Assets hands the sink what the pages for people load: style sheet, script
// and pictures.
func (s *Site) Assets(sink Sink) error {
	for _, a := range s.templates().Assets() {
		if err := sink.Put(layout.Asset(a.Name), a.Data); err != nil {
			return err
		}
	}
	return nil
}

func (s *Site) templates() *templates.Set {
	if s.Templates != nil {
		return s.Templates
	}
	return templates.Default()
}

func (s *Site) title() string {
	if s.Title != "" {
		return s.Title
	}
	return "Python package index"
}

// at gives the place of a path of the index.
func (s *Site) at(path string) string { return layout.Below(s.Prefix, path) }

// way gives the way to the root of the site, for a page from which up leads to the
// root of its index.
func (s *Site) way(up string) string {
	if s.Prefix == "" {
		return up
	}
	return up + layout.Up(s.Prefix+"/")
}

// indexBase is the base of the index, with a slash at its end, or empty.
func (s *Site) indexBase() string {
	b := s.base()
	if b == "" || s.Prefix == "" {
		return b
	}
	return b + s.Prefix + "/"
}

// base is the BaseURL with a slash at its end, or empty.
func (s *Site) base() string {
	if s.BaseURL == "" || strings.HasSuffix(s.BaseURL, "/") {
		return s.BaseURL
	}
	return s.BaseURL + "/"
}

// secureBase is the base if attestations may be announced under it: their
// addresses must be absolute and of a secure origin (PEP 740).
func (s *Site) secureBase() string {
	if b := s.base(); len(b) > 8 && strings.EqualFold(b[:8], "https://") {
		return cleanURL(b)
	}
	return ""
}

// A scratch is the memory that one goroutine needs while it renders.
type scratch struct {
	page     []byte // empty, with room
	versions versionSet
	parts    parts
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// check reports a project that breaks a promise which the pages stand on. A
// file without its digest, or one that has no place in the store, is never
// listed.
func check(p *catalog.Project) error {
	if !packaging.ValidName(string(p.Name)) || packaging.NormalizeName(string(p.Name)) != p.Name {
		return fmt.Errorf("project %q: not a normalized name", p.Name)
	}
	switch p.Status.State {
	case catalog.Active, catalog.Archived, catalog.Deprecated, catalog.Quarantined:
	default:
		return fmt.Errorf("project %s: unknown status %q", p.Name, p.Status.State)
	}
	for i := range p.Files {
		f := &p.Files[i]
		_, name, ok := layout.ParseFile(f.Path)
		switch {
		case !ok || name != f.Filename:
			return fmt.Errorf("project %s: file %q: %q is not its place in the store", p.Name, f.Filename, f.Path)
		case f.SHA256.IsZero():
			return fmt.Errorf("project %s: file %s: no SHA-256", p.Name, f.Filename)
		case f.Size < 0 && !(f.Announced && f.Size == -1):
			return fmt.Errorf("project %s: file %s: size %d", p.Name, f.Filename, f.Size)
		}
	}
	return nil
}

// display is the project's name for people, which is also a name that every
// client takes.
func display(p *catalog.Project) string {
	if packaging.ValidName(p.Display) && packaging.NormalizeName(p.Display) == p.Name {
		return p.Display
	}
	return string(p.Name)
}

// visible are the files that any page may show: none of a quarantined project
// (PEP 792).
func visible(p *catalog.Project) []catalog.File {
	if p.Status.State == catalog.Quarantined {
		return nil
	}
	return p.Files
}

// offered reports whether installers may see a file. A bdist_dumb archive has
// the name of an sdist, and every installer would take it for one.
func offered(f *catalog.File) bool { return f.Kind != packaging.Dumb }

// current reports whether a file may stand on the pages of the simple API. A
// version that does not follow PEP 440 means nothing to whoever reads them
// today; the two pages that list every file have it.
func current(f *catalog.File) bool { return offered(f) && packaging.ValidVersion(f.Version) }
