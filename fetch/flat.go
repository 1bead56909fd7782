package fetch

import (
	"context"
	"slices"
	"sync"

	"nestgen/catalog"
	"nestgen/packaging"
)

// A flatPage is a page that lists the files of all projects. It is asked for
// once, however many projects are.
type flatPage struct {
	mu   sync.Mutex
	list *catalog.Listing // nil until it has been read

	// holds is the ETag and Last-Modified that the page still has, if that is
	// all that is known of it.
	holds Validators

	// byName has the places in list.Offers of the files that may be of a
	// project: all of whose names begin with it.
	byName map[packaging.Name][]int32

	warned bool // the warnings about the page have been given
}

// listFlat gives the files of a project on the page of all files.
func (s *Source) listFlat(ctx context.Context, n packaging.Name, prev Validators) (catalog.Listing, error) {
	f := &s.flat
	f.mu.Lock()
	defer f.mu.Unlock()
	conditional := prev.ETag != "" || prev.LastModified != ""
	if f.list == nil {
		if conditional && f.holds.same(prev) {
			return catalog.Listing{}, ErrNotModified
		}
		if f.holds != (Validators{}) {
			prev = Validators{} // another state than the one that holds: the page itself is needed
		}
		l, err := s.page(ctx, s.root, wish{accept: acceptPage, prev: prev})
		if err == ErrNotModified {
			f.holds = prev
		}
		if err != nil {
			return catalog.Listing{}, err
		}
		files := slices.ContainsFunc(l.Offers, func(o catalog.Offer) bool {
			return packaging.KindOf(o.Filename) != packaging.UnknownKind
		})
		if !files && !l.marked {
			return catalog.Listing{}, fault(Invalid, "no link to a distribution, and nothing that says it is a page of an index")
		}
		s.quieten(&l.Listing)
		f.set(&l.Listing)
	}
	if conditional && f.list.ETag+f.list.LastModified != "" && ValidatorsOf(*f.list).same(prev) {
		return catalog.Listing{}, ErrNotModified
	}
	return f.of(n)
}

// same reports whether two sets of validators are those of one state of a page.
func (v Validators) same(w Validators) bool {
	return v.ETag == w.ETag && v.LastModified == w.LastModified
}

// set keeps a page and sorts its files by the projects that they may be of.
func (f *flatPage) set(l *catalog.Listing) {
	f.list = l
	f.byName = make(map[packaging.Name][]int32)
	for i := range l.Offers {
		name := l.Offers[i].Filename
		if c, ok := companionOf(&l.Offers[i]); ok {
			name = c.base
		}
		stem, ext := packaging.SplitExt(name)
		if ext == "" {
			continue
		}
		last := packaging.Name("")
		for j := 0; j < len(stem); j++ {
			if stem[j] != '-' {
				continue
			}
			n := packaging.NormalizeName(stem[:j])
			if n != last && n != "" {
				f.byName[n] = append(f.byName[n], int32(i))
			}
			last = n
			if ext == ".whl" {
				break // a wheel's project has no dash in it
			}
		}
		if ext == ".deb" {
			// Its name is of Debian's making.
			if d, err := packaging.ParseFilename(name, ""); err == nil && d.Project != last {
				f.byName[d.Project] = append(f.byName[d.Project], int32(i))
			}
		}
	}
}

// of gives the files of one project.
func (f *flatPage) of(n packaging.Name) (catalog.Listing, error) {
	l := *f.list
	l.Warnings = nil
	l.Versions = nil
	l.Status = catalog.Status{}
	l.Name = ""
	l.Offers = make([]catalog.Offer, 0, len(f.byName[n]))
	for _, i := range f.byName[n] {
		l.Offers = append(l.Offers, f.list.Offers[i])
	}
	keep(&l, n, true)
	if len(l.Offers) == 0 {
		return catalog.Listing{}, fault(NotFound, "no file of the project is on the page")
	}
	if !f.warned {
		f.warned = true
		l.Warnings = append(slices.Clip(f.list.Warnings), l.Warnings...)
	}
	return l, nil
}
