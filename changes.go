package nestgen

import (
	"context"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/layout"
	"nestgen/packaging"
)

// changesOf gives what a setting "changes" stands for.
var changesOf = map[string]generate.ChangesOf{"none": generate.NoChanges, "site": generate.SiteChanges, "projects": generate.ProjectChanges}

// metaChanges is the key under which the catalog keeps the serial of the last event
// that the published pages of what changed know of.
const metaChanges = "changes"

// What pages of changes are made of is the newest events, and not many more than these,
// however few changes they make.
const changesEvents = 20_000

// A chronicle says up to where the pages of what changed tell of the events. The zero
// chronicle is that of an index without such pages.
type chronicle struct {
	pages bool
	shown int64         // what the published pages know of; -1 if there are none
	upto  int64         // what they are to know of
	first catalog.Event // the first event of all
}

// chronicle finds out up to where the pages tell of the events, and are to.
func (s *site) chronicle(ctx context.Context, g *generate.Site) (t chronicle, err error) {
	if g.Changes == generate.NoChanges {
		return chronicle{}, nil
	}
	t = chronicle{pages: true, shown: -1}
	text, err := s.catalog.Meta(ctx, metaChanges)
	if err != nil {
		return chronicle{}, storage(err)
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		t.shown = n
	}
	if t.upto, err = s.catalog.Serial(ctx); err != nil {
		return chronicle{}, storage(err)
	}
	t.first, err = s.catalog.FirstEvent(ctx)
	return t, storage(err)
}

func (t chronicle) isOutdated() bool { return t.pages && t.shown != t.upto }

// note notes up to where the published pages tell.
func (t chronicle) note(tx *catalog.Tx) error {
	text := ""
	if t.pages {
		text = strconv.FormatInt(t.upto, 10)
	}
	return tx.SetMeta(metaChanges, text)
}

// history reads what the pages of changes are made of: of the site, or of a project.
func (s *site) history(ctx context.Context, t chronicle, p *catalog.Project) (generate.History, error) {
	h := generate.History{Origin: t.first}
	f := catalog.EventFilter{Upto: t.upto, Changes: true, NewestFirst: true}
	if p != nil {
		// A request may have changed it since: what its pages show, they tell of.
		f.Projects, f.Upto = []packaging.Name{p.Name}, max(t.upto, p.Serial)
		h.States = map[packaging.Name]catalog.State{p.Name: p.Status.State}
	}
	if f.Upto == 0 {
		return h, nil // nothing has happened yet
	}
	events := 0
	counted := func(yield func(catalog.Event, error) bool) {
		for e, err := range s.catalog.FilteredEvents(ctx, f) {
			if events++; !yield(e, err) {
				return
			}
		}
	}
	var names []packaging.Name
	for c, err := range generate.GroupChanges(counted) {
		if err != nil {
			return h, storage(err)
		}
		h.Changes, names = append(h.Changes, c), append(names, c.Project)
		if len(h.Changes) == generate.ChangesLimit || events > changesEvents {
			break
		}
	}
	var err error
	if p == nil {
		h.States, err = s.catalog.States(ctx, names)
	}
	return h, storage(err)
}

// projectChanges stages the pages of what changed in a project, or has them go.
func (b *pageBatch) projectChanges(ctx context.Context, p *catalog.Project) error {
	if b.pages.Prefix != "" {
		return nil
	}
	if b.pages.Changes != generate.ProjectChanges || !generate.HasPages(p) {
		if !b.hasChanges {
			return nil
		}
		return b.batch.RemoveFolder(layout.Changes + "/" + string(p.Name))
	}
	h, err := b.history(ctx, b.chronicle, p)
	if err != nil {
		return err
	}
	if err := b.leftWithoutPeople(layout.ProjectChangesHTML(p.Name)); err != nil {
		return err
	}
	return b.pages.ProjectChangesPages(p, h, b)
}

// leftWithoutPeople has a page for people go of a site that has none any more.
func (b *pageBatch) leftWithoutPeople(path string) error {
	if b.pages.People || !b.hasChanges || !b.exists(path) && !b.exists(path+".gz") {
		return nil
	}
	return b.batch.Remove(path)
}

// changesPages stages the pages of what changed in the site, or has them go, and those
// of the projects that events are about which change nothing else of their pages.
func (b *pageBatch) changesPages(ctx context.Context) error {
	keep := map[string]bool{}
	for _, path := range b.pages.ChangesPaths() {
		keep[path] = true
	}
	if b.hasChanges {
		for _, path := range []string{layout.ChangesHTML, layout.ChangesAtom, layout.ChangesJSON} {
			for _, path := range []string{path, path + ".gz"} {
				if !keep[strings.TrimSuffix(path, ".gz")] && b.exists(path) {
					if err := b.batch.Remove(path); err != nil {
						return err
					}
				}
			}
		}
	}
	if !b.chronicle.pages {
		if !b.hasChanges {
			return nil
		}
		return b.batch.RemoveEmpty(layout.Changes)
	}
	h, err := b.history(ctx, b.chronicle, nil)
	if err != nil {
		return err
	}
	if err := b.pages.ChangesPages(h, b); err != nil || b.pages.Changes != generate.ProjectChanges || b.everything {
		return err
	}
	names, err := b.catalog.ChangedSince(ctx, b.chronicle.shown)
	if err != nil {
		return storage(err)
	}
	for _, n := range names {
		if _, done := b.shown[n]; done {
			continue
		}
		p, err := b.catalog.Project(ctx, n)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return storage(err)
		}
		if err := b.projectChanges(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// changesPages compares the pages of what changed in the site. As long as events have
// come since, they are the next build's.
func (x indexPages) changesPages(ctx context.Context, v *verifier, sink *comparing) error {
	if !x.chronicle.pages {
		return nil
	}
	sink.waits = sink.waits || x.chronicle.isOutdated()
	h, err := v.history(ctx, x.chronicle, nil)
	if err != nil {
		return err
	}
	return x.ChangesPages(h, sink)
}

// projectChanges compares the pages of what changed in a project.
func (x indexPages) projectChanges(ctx context.Context, v *verifier, p *catalog.Project, sink *comparing) error {
	if x.Changes != generate.ProjectChanges {
		return nil
	}
	h, err := v.history(ctx, x.chronicle, p)
	if err != nil {
		return err
	}
	return x.ProjectChangesPages(p, h, sink)
}

// news gives the projects that events are about which the pages of what changed do
// not tell of yet.
func (x indexPages) news(ctx context.Context, v *verifier) (map[packaging.Name]bool, error) {
	news := map[packaging.Name]bool{}
	if !x.chronicle.isOutdated() || x.Changes != generate.ProjectChanges {
		return news, nil
	}
	names, err := v.catalog.ChangedSince(ctx, x.chronicle.shown)
	for _, n := range names {
		news[n] = true
	}
	return news, storage(err)
}
