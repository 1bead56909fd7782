package nestgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/resolve"
	"nestgen/target"
)

// A stock is what there is to choose from for what an index completes, proves or
// locks. Its methods may be called at once from several goroutines.
type stock interface {
	// of gives the files of a project, newest version first. The error matches
	// [fs.ErrNotExist] if there is none of that name.
	of(ctx context.Context, n packaging.Name) ([]plan.Available, error)

	// needs gives what one of them needs.
	needs(ctx context.Context, n packaging.Name, a plan.Available) (catalog.Requires, error)
}

// A stocks gives the stock for the lines of an index, by its name; empty for the
// site's own.
type stocks func(index string) stock

// A prospects holds the projects that were asked for, for those who decide about
// them later.
type prospects struct {
	mu  sync.Mutex
	all map[packaging.Name]*onceProspect
}

type onceProspect struct {
	once sync.Once
	p    *prospect
	err  error

	files []plan.Available
}

// of gives a project, for which ask is called the first time.
func (p *prospects) of(n packaging.Name, ask func() (*prospect, error)) (*onceProspect, error) {
	p.mu.Lock()
	if p.all == nil {
		p.all = map[packaging.Name]*onceProspect{}
	}
	o := p.all[n]
	if o == nil {
		o = &onceProspect{}
		p.all[n] = o
	}
	p.mu.Unlock()
	o.once.Do(func() {
		if o.p, o.err = ask(); o.err == nil {
			o.files = plan.Choices(o.p.in)
		}
	})
	return o, o.err
}

// take gives a project that was asked for, once; nil if it was not.
func (p *prospects) take(n packaging.Name) *prospect {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.all[n]
	delete(p.all, n)
	if o == nil {
		return nil
	}
	return o.p
}

// rest gives what upstreams said of the projects that nobody has taken.
func (p *prospects) rest() map[packaging.Name][]answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[packaging.Name][]answer{}
	for n, o := range p.all {
		if o.p != nil && len(o.p.asked.answers) > 0 {
			all[n] = o.p.asked.answers
		}
	}
	return all
}

// A whole is the stock of a build: what the index could list of each project. A
// project is asked for at its upstream the first time.
type whole struct {
	s       *site
	owners  map[packaging.Name]string
	leaving map[packaging.Name]map[string]bool
	reader  *needsReader
}

func (w *whole) of(ctx context.Context, n packaging.Name) ([]plan.Available, error) {
	if w.s.ofOtherSite(n) {
		return (&own{w.s, w.reader, ""}).of(ctx, n)
	}
	o, err := w.s.prospects.of(n, func() (*prospect, error) {
		return w.s.prospect(ctx, n, w.owners[n], w.leaving[n], true)
	})
	if err == nil && len(w.s.local.toTake[n]) > 0 {
		return slices.Concat(w.toTake(n), o.files), nil
	}
	switch {
	case err != nil:
		return nil, err
	case o.p.unsure:
		return nil, errMayBeDropped
	case o.p.upstream && o.p.asked.listing == nil && !o.p.asked.nobody && len(o.files) == 0:
		if err := o.p.asked.fault; err != nil {
			return nil, err
		}
		return nil, errNotAsked
	case len(o.files) == 0:
		return nil, fs.ErrNotExist
	}
	return o.files, nil
}

// toTake gives what the build that is looked at would take of a project.
func (w *whole) toTake(n packaging.Name) (all []plan.Available) {
	files := w.s.local.toTake[n]
	for _, name := range slices.Sorted(maps.Keys(files)) {
		t := files[name]
		all = append(all, plan.Available{Choice: plan.Choice{Source: catalog.Local, Filename: t.Filename},
			File: &catalog.File{Project: n, Filename: name, Version: t.Filename.Version, Kind: t.Filename.Kind, Size: t.Size, SHA256: t.SHA256, Source: catalog.Local}})
	}
	return all
}

// errNotAsked is the error for a project that nobody tried to ask for.
var errNotAsked = errors.New("its upstream could not be asked")

// errMayBeDropped is the error for a project that is not asked for outside.
var errMayBeDropped = errors.New("it is not asked for outside, because a drop folder cannot be read that may have it")

func (w *whole) needs(ctx context.Context, n packaging.Name, a plan.Available) (catalog.Requires, error) {
	return w.reader.of(ctx, n, a)
}

// An own is the stock of an index that is alone: what it has.
type own struct {
	s      *site
	reader *needsReader
	index  string // empty for the site's own
}

func (o *own) of(ctx context.Context, n packaging.Name) ([]plan.Available, error) {
	p, err := listedIn(ctx, o.s.catalog, cmp.Or(o.index, rootIndex), n)
	if err != nil {
		return nil, storageUnlessMissing(err)
	}
	if p.Status.State == catalog.Quarantined {
		return nil, fmt.Errorf("it is quarantined: %w", fs.ErrNotExist)
	}
	in := plan.Input{Name: n, Constraints: o.s.intent.constraints[n], Lists: o.s.listsOf(n)}
	for _, w := range o.s.intent.wants[n] {
		if w.List == o.index {
			in.Wants = append(in.Wants, w)
		}
	}
	var all []plan.Available
	for i := len(p.Files) - 1; i >= 0; i-- {
		f := p.Files[i]
		name, err := packaging.ParseFilename(f.Filename, n)
		if err != nil || f.Announced {
			continue
		}
		offer := catalog.Offer{Filename: f.Filename, RequiresPython: f.RequiresPython, Hashes: map[string]string{"sha256": f.SHA256.String()}}
		if !plan.Hashed(in, offer) {
			continue // an installer that is given the hashes of the line does not take it
		}
		all = append(all, plan.Available{Choice: plan.Choice{Source: f.Source, Filename: name, Offer: offer}, Yanked: f.Yanked, File: &f})
	}
	if len(all) == 0 {
		return nil, fs.ErrNotExist
	}
	return all, nil
}

func (o *own) needs(ctx context.Context, n packaging.Name, a plan.Available) (catalog.Requires, error) {
	// What is known of its bytes does not say that they are still there.
	if fi, err := os.Lstat(o.s.file(a.File.Path)); err != nil || !fi.Mode().IsRegular() || fi.Size() != a.File.Size {
		return catalog.Requires{}, fmt.Errorf("%s is listed, but its bytes are not at %s; \"nestgen verify\" finds all that is so", a.File.Filename, a.File.Path)
	}
	return o.reader.of(ctx, n, a)
}

func storageUnlessMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return storage(err)
}

// A shop is a stock as one kind of machine sees it: a [resolve.Provider].
type shop struct {
	stock  stock
	target *target.Target
	places int // how many questions may be under way at once

	mu    sync.Mutex
	files map[string]*plan.Available // by name, as they were given as candidates
}

func newShop(k stock, t *target.Target, places int) *shop {
	return &shop{stock: k, target: t, places: max(places, 1), files: map[string]*plan.Available{}}
}

// Candidates gives the versions of a project of which the machine can install a
// file, each with the file that it would take.
func (s *shop) Candidates(ctx context.Context, n packaging.Name) ([]resolve.Candidate, error) {
	files, err := s.stock.of(ctx, n)
	if err != nil {
		return nil, err
	}
	listed := make([]resolve.File, len(files))
	at := make(map[string]int, len(files))
	for i := range files {
		a := &files[i]
		name, python := filenameOf(a), a.Offer.RequiresPython
		if a.File != nil {
			python = a.File.RequiresPython
		}
		listed[i] = resolve.File{Filename: a.Filename, As: name, RequiresPython: python, Yanked: a.Yanked.Yanked}
		at[name] = i
	}
	list := resolve.Offer(s.target, listed)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range list {
		s.files[c.Filename] = &files[at[c.Filename]]
	}
	return list, nil
}

func filenameOf(a *plan.Available) string {
	if a.File != nil {
		return a.File.Filename
	}
	return a.Offer.Filename
}

// file gives the file that was given with a candidate.
func (s *shop) file(c resolve.Candidate) (plan.Available, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.files[c.Filename]; ok {
		return *a, true
	}
	return plan.Available{}, false
}

// mostRequirements is how many requirements a distribution may have, a dozen times as
// many as the largest ones do. Each may cost a request.
const mostRequirements = 10_000

// Requires gives what a version needs, as its file says that was given with it.
func (s *shop) Requires(ctx context.Context, n packaging.Name, c resolve.Candidate) (resolve.Requirements, error) {
	a, ok := s.file(c)
	if !ok {
		return resolve.Requirements{}, fmt.Errorf("%s %s: %w", n, c.Version, resolve.ErrUnusable)
	}
	needs, err := s.stock.needs(ctx, n, a)
	if err != nil {
		return resolve.Requirements{}, err
	}
	if !needs.Known {
		return resolve.Requirements{}, fmt.Errorf("%s: %w", c.Filename, resolve.ErrUnknown)
	}
	if len(needs.Dist) > mostRequirements {
		return resolve.Requirements{}, fmt.Errorf("%s: it needs %d things: %w", c.Filename, len(needs.Dist), resolve.ErrUnusable)
	}
	r := resolve.Requirements{Extras: needs.Extras}
	if r.Python, err = packaging.ParseSpecifiers(needs.Python); err != nil {
		return resolve.Requirements{}, fmt.Errorf("%s: %w: %w", c.Filename, resolve.ErrUnusable, err)
	}
	for _, text := range needs.Dist {
		q, err := packaging.ParseRequirement(text)
		if err != nil {
			return resolve.Requirements{}, fmt.Errorf("%s: %w: %w", c.Filename, resolve.ErrUnusable, err)
		}
		r.Dist = append(r.Dist, q)
	}
	return r, nil
}

// Prefetch gets what will be asked for, many at a time. What fails is told to who
// asks for it.
func (s *shop) Prefetch(ctx context.Context, names []packaging.Name, of []resolve.Wanted) {
	var all errgroup.Group
	all.SetLimit(s.places)
	for _, n := range names {
		all.Go(func() error {
			s.stock.of(ctx, n)
			return nil
		})
	}
	for _, w := range of {
		all.Go(func() error {
			if a, ok := s.file(w.Candidate); ok {
				s.stock.needs(ctx, w.Name, a)
			}
			return nil
		})
	}
	all.Wait()
}
