package nestgen

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/publish"
	"nestgen/templates"
)

// metaPages is the key under which the catalog keeps what the published pages
// depend on besides the catalog itself.
const metaPages = "pages"

// pageFormat rises when the pages of an equal catalog change.
const pageFormat = 4

// pages gives what the settings say about the pages.
func (c *Config) pages() (*generate.Site, error) {
	set := templates.Default()
	if c.Templates != "" {
		var err error
		if set, err = templates.Load(os.DirFS(c.Templates)); err != nil {
			return nil, &fault{ErrSettings, err, ""}
		}
	}
	g := &generate.Site{
		Title: c.Title, BaseURL: c.BaseURL, People: c.People,
		Legacy: c.LegacyJSON != "none", Releases: c.LegacyJSON == "releases", Has: c.indexPages(), Templates: set,
		Changes: changesOf[c.Changes],
		Advised: c.Advisories.OSV != "", AdvisedUpstreams: c.Advisories.Upstreams,
	}
	if err := g.Check(); err != nil {
		return nil, &fault{ErrSettings, err, ""}
	}
	return g, nil
}

// metaHeld is the key under which the catalog keeps what the published pages say of
// what is held.
const metaHeld = "held"

// A waiting is what is held, for the pages. The zero waiting has none of its own.
type waiting struct {
	files  []catalog.Hold
	pages  bool // there are pages of it
	digest string
}

// waiting reads what is held. There are pages of it as long as something is, or
// might be by a setting that people have made.
func (s *site) waiting(ctx context.Context, g *generate.Site) (w waiting, err error) {
	if !s.Hold.Page {
		return waiting{}, nil
	}
	if w.files, err = s.catalog.Holds(ctx); err != nil {
		return waiting{}, storage(err)
	}
	w.pages = len(w.files) > 0 || s.holdsAnything()
	g.Held = len(w.files)
	if w.pages {
		w.digest = fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%#v", w.files)))
	}
	return w, nil
}

// metaStatistics is the key under which the catalog keeps the statistics that are to
// be published, and metaStatisticsShown that under which it keeps which are.
const (
	metaStatistics      = "statistics"
	metaStatisticsShown = "statistics shown"
)

// A tally is the statistics, for the pages. The zero tally has none of its own.
type tally struct {
	*generate.Statistics
	digest string
}

// tally reads the statistics that are to be published. There are none without the
// setting, whatever there was.
func (s *site) tally(ctx context.Context, g *generate.Site) (t tally, err error) {
	if len(s.AccessLogs) == 0 {
		return tally{}, nil
	}
	document, err := s.catalog.Meta(ctx, metaStatistics)
	if err != nil || document == "" {
		return tally{}, storage(err)
	}
	if t.Statistics, err = generate.ParseStatistics([]byte(document)); err != nil {
		return tally{}, nil // a newer nestgen wrote it; the next "stats --publish" writes it anew
	}
	// They lead to the pages of projects, and some of these may have gone since.
	var names []packaging.Name
	for _, r := range t.Projects {
		names = append(names, packaging.Name(r.Name))
	}
	states, err := s.catalog.States(ctx, names)
	if err != nil {
		return tally{}, storage(err)
	}
	t.Projects = slices.DeleteFunc(t.Projects, func(r generate.StatisticsRow) bool {
		state, listed := states[packaging.Name(r.Name)]
		return !listed || state == catalog.Quarantined
	})
	g.Statistics = true
	t.digest = fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%+v", *t.Statistics)))
	return t, nil
}

// indexPages gives which of the pages about all projects there are.
func (c *Config) indexPages() generate.IndexPages {
	which := generate.Root
	if c.Flat {
		which |= generate.Flat | generate.Easy
	}
	if c.People {
		which |= generate.Front
	}
	return which
}

// pageRules names everything besides the catalog that the pages depend on: the
// settings, and that the pages about all projects are those that were published
// last. What has not changed is taken over from them, and a tree or a catalog
// that comes from a backup does not go with the other.
func (s *site) pageRules(g *generate.Site) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %q %q %q %v %v %v %d %v %v %q %d\n", pageFormat, g.Title, g.BaseURL, g.Prefix, g.People, g.Legacy, g.Releases, g.Has, s.Gzip, g.Advised, g.AdvisedUpstreams, g.Changes)
	if g.Templates != nil { // those of a snapshot have nothing to do with them
		fmt.Fprintln(h, g.Templates.Digest())
	}
	var st unix.Stat_t
	for _, path := range g.Has.Paths() {
		err := unix.Lstat(s.file(layout.Below(g.Prefix, path)), &st)
		fmt.Fprintln(h, err, st.Size, st.Mtim)
	}
	if g.Has == generate.Root {
		// The root pages change with the names alone, so the folder must be
		// the same as well; a copy of it is another.
		err := unix.Lstat(s.file(layout.Below(g.Prefix, layout.Simple)), &st)
		fmt.Fprintln(h, err, st.Ino)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// An indexPages is the pages of one index: of the site's own, or of a view.
type indexPages struct {
	*generate.Site
	view      string // empty for the site's own
	rules     string // that its pages depend on, when they were made last
	held      waiting
	shown     string    // of what is held, when its pages were made last
	chronicle chronicle // of what changed

	tally      tally
	tallyShown string // of the statistics
}

// indexes gives what there is of indexes, the site's own first.
func (s *site) indexes(ctx context.Context) ([]indexPages, error) {
	g, err := s.pages()
	if err != nil {
		return nil, err
	}
	own := indexPages{Site: g}
	if own.rules, err = s.catalog.Meta(ctx, metaPages); err != nil {
		return nil, storage(err)
	}
	if own.held, err = s.waiting(ctx, g); err != nil {
		return nil, err
	}
	if own.shown, err = s.catalog.Meta(ctx, metaHeld); err != nil {
		return nil, storage(err)
	}
	if own.tally, err = s.tally(ctx, g); err != nil {
		return nil, err
	}
	if own.tallyShown, err = s.catalog.Meta(ctx, metaStatisticsShown); err != nil {
		return nil, storage(err)
	}
	all := []indexPages{own}
	if all[0].chronicle, err = s.chronicle(ctx, g); err != nil {
		return nil, err
	}
	if s.joined {
		return all, nil // the others are for those who hold the lock
	}
	views, err := s.catalog.Views(ctx)
	if err != nil {
		return nil, storage(err)
	}
	for _, name := range slices.Sorted(maps.Keys(views)) {
		all = append(all, indexPages{Site: s.viewPages(g, views[name]), view: name, rules: views[name].Pages})
	}
	return all, nil
}

// projects reads the projects of an index.
func (s *site) projects(ctx context.Context, x indexPages) iter.Seq2[*catalog.Project, error] {
	if x.view == "" {
		return s.catalog.Projects(ctx)
	}
	return s.catalog.ViewProjects(ctx, x.view)
}

// entries reads the projects of an index on their way to its pages.
func (s *site) entries(ctx context.Context, x indexPages) iter.Seq2[catalog.Entry, error] {
	if x.view == "" {
		return s.catalog.Entries(ctx)
	}
	return s.catalog.ViewEntries(ctx, x.view)
}

// published notes in the catalog what the pages of an index show.
func (x indexPages) published(tx *catalog.Tx, n packaging.Name, as shownAs) error {
	if x.view == "" {
		return tx.MarkPublished(n, as.serial, as.card)
	}
	return tx.MarkViewPublished(x.view, n, as.card)
}

// setRules notes what the pages of an index depend on; nothing has all of them made
// anew.
func (x indexPages) setRules(tx *catalog.Tx, rules string) error {
	if x.view == "" {
		return tx.SetMeta(metaPages, rules)
	}
	return tx.SetViewPages(x.view, rules)
}

// forgetPages has the pages of every index made anew.
func forgetPages(tx *catalog.Tx) error {
	return errors.Join(tx.SetMeta(metaPages, ""), tx.SetMeta(metaSnapshots, ""), tx.ForgetViewPages())
}

// An outdatedIndex has pages that are out of date: some, or all.
type outdatedIndex struct {
	indexPages
	everything bool
}

// publish renders and publishes every project whose pages are out of date, and
// the pages about all projects, index by index.
func (s *site) publish(ctx context.Context) error {
	// Most runs find nothing to do, and need not wait for others to see it.
	if behind, err := s.pagesBehind(ctx); err != nil || !behind {
		return err
	}
	turn, err := s.turn(ctx)
	if err != nil {
		return storage(err)
	}
	defer turn.Close()
	for rounds := maxRounds; ; rounds-- {
		whole, err := s.publishRound(ctx, turn, !s.joined && rounds == 1)
		if err != nil || whole || s.joined {
			return err
		}
	}
}

// maxRounds is how often a build makes pages of what requests have noted while it made
// those before, until it leaves the rest of the pages to them.
const maxRounds = 3

// publishRound publishes what is out of date, and the logs, unless something has happened
// meanwhile that the pages do not show: then they are not whole, if this is not the last
// round.
func (s *site) publishRound(ctx context.Context, turn *publish.Turn, last bool) (whole bool, err error) {
	work, err := s.outdatedIndexes(ctx) // others may have seen to it
	if err != nil {
		return false, err
	}
	var done []publishedPages
	var away []string
	anew := false
	for _, x := range work {
		anew = anew || x.everything
		d, err := s.publishPages(ctx, turn, x.indexPages, x.everything)
		if errors.Is(err, generate.ErrFormer) {
			d, err = s.publishPages(ctx, turn, x.indexPages, true)
		}
		if err != nil {
			return false, err
		}
		done, away = append(done, d), append(away, d.away...)
	}
	// No index lists any more what nobody is to have.
	withheld, err := s.putAway(ctx, away)
	if err != nil {
		return false, storage(err)
	}
	list, err := s.snapshotList(ctx)
	if err != nil {
		return false, err
	}
	if len(work) == 0 && !list.outdated {
		if behind, err := s.logsBehind(ctx); err != nil || !behind {
			return true, err
		}
	}
	var listed *publish.Batch
	if list.outdated {
		if listed, err = s.publishList(ctx, turn, list); err != nil {
			return false, err
		}
	}
	err = storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		if err := tx.Withheld(withheld); err != nil {
			return err
		}
		size, err := tx.LogSize(catalog.Events)
		if err != nil {
			return err
		}
		// A log that could not be published is tried again by every run, and no news.
		if len(work) > 0 || list.outdated || size < tx.Last() {
			if err := s.countForHook(tx); err != nil {
				return err
			}
		}
		for _, d := range done {
			if err := d.note(tx, s.pageRules(d.Site)); err != nil {
				return err
			}
			if err := s.notePages(tx, d.batch); err != nil {
				return err
			}
			if anew {
				continue
			}
			if err := s.noteLeft(tx, d); err != nil {
				return err
			}
		}
		if list.outdated {
			if err := errors.Join(s.notePages(tx, listed), tx.SetMeta(metaSnapshots, s.listRules(list))); err != nil {
				return err
			}
		}
		if anew {
			if err := s.noteLost(tx); err != nil {
				return err
			}
		}
		if whole, err = extendShown(tx); err != nil || whole || !last {
			return err
		}
		whole = true // they have the turn next
		return extendLogs(tx)
	}))
	if err != nil || !whole {
		return false, err
	}
	return true, s.showLogs(ctx, turn)
}

// pagesBehind reports whether there is anything to publish.
func (s *site) pagesBehind(ctx context.Context) (bool, error) {
	if work, err := s.outdatedIndexes(ctx); err != nil || len(work) > 0 {
		return true, err
	}
	if list, err := s.snapshotList(ctx); err != nil || list.outdated {
		return true, err
	}
	return s.logsBehind(ctx)
}

// A publishedPages is the pages of an index that were published and that the catalog
// does not know of yet.
type publishedPages struct {
	indexPages
	batch *publish.Batch
	shown map[packaging.Name]shownAs
	away  []string // files that the pages list no more, because nobody is to have them
}

// note notes in the catalog what the pages show, and what they depend on.
func (d *publishedPages) note(tx *catalog.Tx, rules string) error {
	for n, as := range d.shown {
		if err := d.published(tx, n, as); err != nil {
			return err
		}
	}
	if d.view == "" {
		if err := tx.SetMeta(metaHeld, d.held.digest); err != nil {
			return err
		}
		if err := tx.SetMeta(metaStatisticsShown, d.tally.digest); err != nil {
			return err
		}
		if err := d.chronicle.note(tx); err != nil {
			return err
		}
	}
	return d.setRules(tx, rules)
}

// publishPages makes the pages of an index that are out of date, or all of them. What
// has not changed is taken over from the pages that list every file; if that cannot
// be, the error matches [generate.ErrFormer].
func (s *site) publishPages(ctx context.Context, turn *publish.Turn, x indexPages, everything bool) (done publishedPages, err error) {
	b := s.newBatch(turn, x.Site, everything)
	b.chronicle = x.chronicle
	defer b.batch.Close()
	former := s.former
	if everything {
		if err := s.outdate(ctx, x); err != nil {
			return done, storage(err)
		}
		former = nil
	}
	if err := b.index(b.rendering(ctx, ahead(s.entries(ctx, x))), former); err != nil {
		return done, storage(err)
	}
	if x.view == "" {
		if err := errors.Join(b.heldPages(x.held), b.statisticsPages(x.tally)); err != nil {
			return done, storage(err)
		}
		if err := b.changesPages(ctx); err != nil {
			return done, storage(err)
		}
	}
	if everything {
		if err := b.strangers(); err != nil {
			return done, storage(err)
		}
	} else if b.newSpelling {
		// A run that dies now leaves folders that only a look at all of them finds.
		if err := s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return x.setRules(tx, "") }); err != nil {
			return done, storage(err)
		}
	}
	if err := s.giveBack(ctx, b.apart); err != nil {
		return done, storage(err)
	}
	if err := b.publish(ctx); err != nil {
		return done, storage(err)
	}
	return publishedPages{x, b.batch, b.shown, b.apart.away}, nil
}

// heldPages stages the pages of what is held, or has them go.
func (b *pageBatch) heldPages(w waiting) error {
	if !w.pages {
		return b.removeBut(nil, layout.HeldHTML, layout.HeldJSON)
	}
	if err := b.pages.HeldPages(w.files, b); err != nil {
		return err
	}
	return b.removeBut(b.pages.HeldPaths(), layout.HeldHTML, layout.HeldJSON)
}

// statisticsPages stages the pages of statistics, or has them go.
func (b *pageBatch) statisticsPages(t tally) error {
	if t.Statistics == nil {
		return b.removeBut(nil, layout.StatsHTML, layout.StatsJSON)
	}
	if err := b.pages.StatisticsPages(t.Statistics, b); err != nil {
		return err
	}
	return b.removeBut(b.pages.StatisticsPaths(), layout.StatsHTML, layout.StatsJSON)
}

// removeBut has pages go that are there and not among those that stay, with their
// compressed siblings.
func (b *pageBatch) removeBut(stay []string, pages ...string) error {
	for _, page := range pages {
		for _, path := range []string{page, page + ".gz"} {
			if !slices.Contains(stay, page) && b.exists(path) {
				if err := b.batch.Remove(path); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// outdatedIndexes gives the indexes of which some pages are out of date, and says of
// which every page has to be made anew: because the tree is a new one, somebody has
// changed it, or the settings of the pages have changed.
func (s *site) outdatedIndexes(ctx context.Context) (work []outdatedIndex, err error) {
	all, err := s.indexes(ctx)
	if err != nil {
		return nil, err
	}
	anew := !s.exists(layout.RootJSON)
	if anew {
		if err := s.checkStore(ctx); err != nil {
			return nil, err
		}
	}
	for _, x := range all {
		everything := anew || x.rules != s.pageRules(x.Site)
		some := everything || x.held.digest != x.shown || x.tally.digest != x.tallyShown || x.chronicle.isOutdated()
		if !some {
			if some, err = s.isOutdated(ctx, x); err != nil {
				return nil, storage(err)
			}
		}
		if some {
			work = append(work, outdatedIndex{x, everything})
		}
	}
	return work, nil
}

// isOutdated reports whether pages of projects of an index are out of date.
func (s *site) isOutdated(ctx context.Context, x indexPages) (bool, error) {
	outdated := s.catalog.Outdated
	if x.view != "" {
		outdated = func(ctx context.Context) (int, error) { return s.catalog.ViewOutdated(ctx, x.view) }
	}
	n, err := outdated(ctx)
	return n > 0, err
}

// former gives a page as it was published last.
func (s *site) former(path string) (io.ReadCloser, error) {
	f, err := os.OpenInRoot(s.Site, filepath.FromSlash(path))
	if err != nil {
		return nil, errors.Join(generate.ErrFormer, err)
	}
	return f, nil
}

// file is where a path of the site is on disk.
func (s *site) file(path string) string { return filepath.Join(s.Site, filepath.FromSlash(path)) }

// openRegular opens a file of the site for reading. A symbolic link is none, nor is
// anything that one would have to wait for.
func (s *site) openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(s.file(path), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) {
		return nil, errNotRegular
	}
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

var errNotRegular = errors.New("it is not a regular file")

// exists reports whether there is something at a path of the site.
func (s *site) exists(path string) bool {
	_, err := os.Lstat(s.file(path))
	return err == nil
}

// checkStore makes sure, before pages are made for a site that has none, that
// it has the store which they will link to.
func (s *site) checkStore(ctx context.Context) error {
	if s.exists(layout.Packages) {
		return nil
	}
	n, err := s.catalog.Counts(ctx)
	if err != nil {
		return storage(err)
	}
	if n.Bytes == 0 { // what is announced needs no store yet
		return nil
	}
	return &fault{ErrAlarm, fmt.Errorf("%s: the catalog lists %d files, but the store is not there; no page was made", filepath.Join(s.Site, layout.Packages), n.Files),
		`put the folder back, or run "nestgen verify --repair", which takes the files from where they came from`}
}

// A pageBatch is pages on their way from the generator to the tree.
type pageBatch struct {
	*site
	pages *generate.Site
	batch *publish.Batch
	gzip  []byte

	// everything says that the settings may have changed: what they have no
	// more may still be there.
	everything bool

	// shown is what is rendered.
	shown map[packaging.Name]shownAs

	// newSpelling says that a project has pages under a spelling that the
	// catalog does not know them under yet.
	newSpelling bool

	// closed says that there is a closed area, and apart is which files of what is
	// rendered belong there, or no longer do.
	closed bool
	apart  apart

	// hasSimple, hasPeople, hasLegacy and hasChanges say that there may be pages to
	// remove there.
	hasSimple, hasPeople, hasLegacy, hasChanges bool

	chronicle chronicle // of what changed
}

func (s *site) newBatch(turn *publish.Turn, g *generate.Site, everything bool) *pageBatch {
	return &pageBatch{
		site: s, pages: g, batch: turn.Batch(), everything: everything, shown: map[packaging.Name]shownAs{}, closed: s.hasWithheld(),
		hasSimple: s.exists(layout.Below(g.Prefix, layout.Simple)), hasPeople: s.exists(layout.Below(g.Prefix, layout.People)),
		hasLegacy: s.exists(layout.Below(g.Prefix, layout.Legacy)), hasChanges: g.Prefix == "" && s.exists(layout.Changes),
	}
}

// at gives the place of a path of the index.
func (b *pageBatch) at(path string) string { return layout.Below(b.pages.Prefix, path) }

// rendering passes projects on, renders those that came whole, and gives them
// their new cards.
func (b *pageBatch) rendering(ctx context.Context, projects iter.Seq2[catalog.Entry, error]) iter.Seq2[catalog.Entry, error] {
	return func(yield func(catalog.Entry, error) bool) {
		for e, err := range projects {
			if err == nil && e.Project != nil {
				e.Shown = b.pages.Card(e.Project)
				b.shown[e.Name] = shownAs{e.Project.Serial, e.Shown}
				err = b.project(ctx, e.Project)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Put implements [generate.Sink].
func (b *pageBatch) Put(path string, data []byte) error {
	if b.Gzip && compressible(path) {
		b.gzip = generate.Gzip(b.gzip[:0], data, generate.PageLevel)
		if err := b.batch.Put(path+".gz", b.gzip); err != nil {
			return err
		}
	}
	if err := b.siblingLeft(path); err != nil {
		return err
	}
	return b.batch.Put(path, data)
}

// siblingLeft has the compressed sibling of a page go that has none any more.
func (b *pageBatch) siblingLeft(path string) error {
	if b.Gzip || !b.everything || !compressible(path) || !b.hasSimple && strings.HasPrefix(path, b.at(layout.Simple+"/")) || !b.exists(path+".gz") {
		return nil
	}
	return b.batch.Remove(path + ".gz")
}

// compressible reports whether a page may have a compressed sibling.
func compressible(path string) bool {
	return strings.HasSuffix(path, ".html") || strings.HasSuffix(path, ".v1_json") || strings.HasSuffix(path, ".css") || strings.HasSuffix(path, ".js") || strings.HasSuffix(path, ".svg") ||
		strings.HasSuffix(path, "/atom.xml") || strings.HasSuffix(path, "/feed.json")
}

// A shownAs is what the catalog keeps of a project's published pages.
type shownAs struct {
	serial int64
	card   catalog.Card
}

// project stages the pages of a project, and has those go that it had before
// and has no more.
func (b *pageBatch) project(ctx context.Context, p *catalog.Project) error {
	if b.closed || p.Status.State == catalog.Quarantined {
		b.apart.sort(b.site, p)
	}
	keep := map[string]bool{}
	if generate.HasPages(p) {
		for _, path := range b.pages.Paths(p) {
			keep[path] = true
		}
		if err := b.pages.Project(p, b); err != nil {
			return err
		}
	}
	old := layout.Aliases(p.Shown.Display)
	if len(keep) > 0 {
		for _, spelling := range layout.Aliases(p.Display) {
			b.newSpelling = b.newSpelling || !slices.Contains(old, spelling)
		}
	}
	for _, spelling := range old {
		if !keep[b.at(layout.Alias(spelling))] {
			if err := b.batch.RemoveFolder(b.at(layout.Simple + "/" + spelling)); err != nil {
				return err
			}
		}
	}
	if len(keep) == 0 {
		if err := b.batch.RemoveFolder(b.at(layout.Simple + "/" + string(p.Name))); err != nil {
			return err
		}
	}
	if b.hasPeople && (!b.pages.People || len(keep) == 0) {
		if err := b.batch.RemoveFolder(b.at(layout.People + "/" + string(p.Name))); err != nil {
			return err
		}
	}
	if err := b.projectChanges(ctx, p); err != nil {
		return err
	}
	if !b.hasLegacy {
		return nil
	}
	return b.legacyLeft(p.Name, keep)
}

// legacyLeft has the documents of releases go that are no more.
func (b *pageBatch) legacyLeft(n packaging.Name, keep map[string]bool) error {
	folder := b.at(layout.Legacy + "/" + string(n))
	if !b.pages.Legacy || len(keep) == 0 {
		return b.batch.RemoveFolder(folder)
	}
	entries, err := os.ReadDir(filepath.Join(b.Site, filepath.FromSlash(folder)))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if path := b.at(layout.LegacyRelease(n, e.Name())); e.IsDir() && !keep[path] {
			if err := b.batch.RemoveFolder(folder + "/" + e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// index stages the pages about all projects, in one pass.
func (b *pageBatch) index(projects iter.Seq2[catalog.Entry, error], former generate.Former) error {
	if b.pages.Prefix == "" {
		if err := b.assets(); err != nil {
			return err
		}
	}
	for _, path := range (generate.AllIndexPages &^ b.pages.Has).Paths() {
		if b.pages.Prefix != "" && !b.exists(b.pages.Prefix) {
			break // it appears whole
		}
		if err := b.batch.Remove(b.at(path)); err != nil {
			return err
		}
	}
	return b.pages.Index(projects, b.create, former, b.pages.Has)
}

// assets stages what the pages for people load, and has go what they load no
// more.
func (b *pageBatch) assets() error {
	if !b.People {
		if !b.everything {
			return nil
		}
		return b.batch.RemoveFolder(layout.Static)
	}
	if err := b.pages.Assets(b); err != nil || !b.everything {
		return err
	}
	keep := map[string]bool{}
	for _, a := range b.pages.Templates.Assets() {
		keep[a.Name] = true
	}
	entries, err := os.ReadDir(b.file(layout.Static))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() && !keep[name] && !keep[strings.TrimSuffix(name, ".gz")] {
			if err := b.batch.Remove(layout.Asset(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// create makes a page that is written as it grows, and its compressed sibling.
func (b *pageBatch) create(path string) (io.WriteCloser, error) {
	if err := b.siblingLeft(path); err != nil {
		return nil, err
	}
	w, err := b.batch.Create(path)
	if err != nil || !b.Gzip {
		return w, err
	}
	z, err := b.batch.Create(path + ".gz")
	if err != nil {
		w.Close()
		return nil, err
	}
	return &twin{w, z, generate.NewGzip(z, generate.IndexLevel)}, nil
}

// A twin writes a page and its compressed sibling.
type twin struct {
	plain, file, gzip io.WriteCloser
}

func (t *twin) Write(p []byte) (int, error) {
	if n, err := t.plain.Write(p); err != nil {
		return n, err
	}
	return t.gzip.Write(p)
}

func (t *twin) Close() error {
	return errors.Join(t.gzip.Close(), t.file.Close(), t.plain.Close())
}

// publish makes the staged pages visible.
func (b *pageBatch) publish(ctx context.Context) error {
	stats, err := b.batch.Publish(ctx)
	p := &b.report.Pages
	p.Written += stats.Written
	p.Unchanged += stats.Unchanged
	p.Removed += stats.Removed
	p.Bytes += stats.Bytes
	return err
}
