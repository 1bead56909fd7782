package generate

import (
	"cmp"
	"iter"
	"strings"

	"nestgen/catalog"
)

// Card gives what the pages about all projects say of one. It is the zero Card
// for a project without pages ([HasPages]). What only the front page says is
// left out if the site has none.
func (s *Site) Card(p *catalog.Project) catalog.Card {
	if !HasPages(p) {
		return catalog.Card{}
	}
	files := visible(p)
	c := catalog.Card{Display: display(p), Files: len(files)}
	if s.Has&Front == 0 {
		return c
	}
	c.State, c.Version = p.Status.State, newest(files)
	for i := range files {
		c.Size += max(files[i].Size, 0)
	}
	rs := releases(files)
	c.Releases = len(rs)
	c.Affected = s.findings(p).affected(rs)
	for i := range rs {
		if n, ok := news(&rs[i]); ok {
			c.Newest = offer(c.Newest, n, func(a, b catalog.News) int {
				return cmp.Or(cmp.Compare(b.Time, a.Time), strings.Compare(a.Version, b.Version))
			})
		}
	}
	return c
}

// Whole gives projects with their cards, as [Site.Index] takes them.
func (s *Site) Whole(projects iter.Seq2[*catalog.Project, error]) iter.Seq2[catalog.Entry, error] {
	return func(yield func(catalog.Entry, error) bool) {
		for p, err := range projects {
			e := catalog.Entry{Project: p}
			if err == nil {
				e.Name, e.Shown = p.Name, s.Card(p)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// news gives when files of a release came in last, if that is known.
func news(r *release) (catalog.News, bool) {
	n := catalog.News{Version: r.version}
	for _, f := range r.files {
		if known(f.Uploaded) {
			n.Time = max(n.Time, f.Uploaded)
		}
	}
	if n.Time == 0 {
		return n, false
	}
	for _, f := range r.files {
		if known(f.Uploaded) && f.Uploaded/day == n.Time/day {
			n.Files++
		}
	}
	return n, true
}
