package nestgen

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"time"

	"nestgen/catalog"
	"nestgen/demand"
	"nestgen/drop"
	"nestgen/generate"
	"nestgen/internal/secret"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/publish"
)

// failurePause is how long an upstream that failed is left alone.
const failurePause = 15 * time.Second

// projectDemand names a project in the table of demand. A file is there by its path.
func projectDemand(n packaging.Name) string { return layout.Simple + "/" + string(n) }

// mustAsk reports whether the upstreams are to be asked for a project: for a line
// of the allowlist always; for what came on demand when the last answer is old,
// when somebody has asked for it, or because of what was held.
func (s *site) mustAsk(in plan.Input, held []catalog.Hold) bool {
	switch {
	case asksIndex(in.Wants):
		return true
	case !in.OnDemand:
		return false
	case s.joined:
		return true
	case in.Current == nil && len(held) > 0, mustLookAgain(held):
		return true
	case in.Current == nil || in.Current.Owner == catalog.Direct:
		return false // nobody has asked for it
	case s.intent.refiltered, slices.ContainsFunc(in.Current.Files, func(f catalog.File) bool { return f.Announced && f.URL == "" }):
		return true // a file without an address was taken over from the log, which has none
	}
	last := s.demandTable().Look(projectDemand(in.Name))
	return !last.Younger(demand.Present, time.Duration(s.Fallback.Refresh), trueNow())
}

// noteDemand remembers what upstreams said of a project that comes on demand. A
// request does so itself.
func (s *site) noteDemand(in plan.Input, a asked) {
	if s.joined || s.opts.DryRun || !in.OnDemand || a.listing == nil {
		return
	}
	if err := s.demandTable().Note(projectDemand(in.Name), demand.Answer{Outcome: demand.Present, At: trueNow()}); err != nil {
		s.log.Warn("not remembered", "project", in.Name, "error", err) // it is asked for again sooner
	}
}

// Project sees to it that the pages of a project are published, if it may come
// on demand. After nil the pages of the tree are what there is to say. A
// [Refusal] is for NotHere, where the tree may have a page all the same, as of a
// project of this site's own; for Elsewhere; or for Busy or NoSpace, if there is no
// older page to be content with.
func (l *Live) Project(ctx context.Context, n packaging.Name) error {
	switch l.config.onDemand(n) {
	case "never":
		return notHere()
	case "redirect":
		return l.elsewhere(ctx, n)
	}
	what := projectDemand(n)
	if known, err := l.knownProject(n); known {
		return err
	}
	if back, err := l.isBack(ctx); err != nil || back {
		if err == nil && !l.hasPage(n) {
			err = notHere()
		}
		return l.orOlder(err, n)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(l.config.Fallback.Deadline))
	defer cancel()
	v, err := l.demand.Enter(ctx, what)
	if err != nil {
		return l.orOlder(late(err), n)
	}
	defer v.Leave()
	if known, err := l.knownProject(n); known {
		return err // whoever was here before has seen to it
	}
	err = refusalFor(l.project(ctx, n))
	var outcome demand.Outcome
	switch {
	case err == nil && l.hasPage(n):
		outcome = demand.Present
	case err == nil, isRefusal(err, NotHere):
		outcome, err = demand.Absent, notHere()
	case errors.Is(ctx.Err(), context.Canceled):
		return err // who leaves says nothing of the upstream
	case isRefusal(err, Busy), ctx.Err() != nil:
		if _, refused := errors.AsType[*Refusal](err); !refused {
			err = busy(0, err)
		}
		outcome, err = demand.Failed, l.orOlder(err, n)
	default:
		// Of this site's own faults the next request hears nothing.
		return l.orOlder(err, n)
	}
	if nerr := v.Note(demand.Answer{Outcome: outcome, At: trueNow()}); nerr != nil {
		l.log.Warn("not remembered", "project", n, "error", nerr)
	}
	return err
}

// isBack reports whether the site is held back at an older state: then the pages that
// are here are what there is to say.
func (l *Live) isBack(ctx context.Context) (bool, error) {
	if err := l.Open(); err != nil {
		return false, err
	}
	held, err := heldBack(ctx, l.catalog)
	return held != nil, err
}

// orOlder makes no error of one that keeps a page from being made anew: an older
// one is better than none.
func (l *Live) orOlder(err error, n packaging.Name) error {
	if err == nil || isRefusal(err, NotHere) || errors.Is(err, context.Canceled) || !l.hasPage(n) {
		return err
	}
	level := slog.LevelWarn
	if _, refused := errors.AsType[*Refusal](err); !refused {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, "the page that is here is served as it is", "project", n, "error", err)
	return nil
}

// knownProject answers from what was found out lately.
func (l *Live) knownProject(n packaging.Name) (known bool, err error) {
	last, now := l.demand.Look(projectDemand(n)), trueNow()
	f := l.config.Fallback
	switch {
	case last.Younger(demand.Present, time.Duration(f.Refresh), now):
		return l.hasPage(n), nil
	case last.Younger(demand.Absent, time.Duration(f.Unknown), now):
		return true, notHere()
	case last.Younger(demand.Failed, failurePause, now):
		if l.hasPage(n) {
			return true, nil
		}
		return true, busy(last.At.Add(failurePause).Sub(now), nil)
	}
	return false, nil
}

// late makes the answer for a request that has waited in vain.
func late(err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return busy(0, err)
}

func notHere() error { return &Refusal{Cause: NotHere, Text: "not here"} }

// busy tells somebody to come back later.
func busy(after time.Duration, err error) error {
	return &Refusal{Cause: Busy, Text: "it cannot be had at the moment", After: max(after, 2*time.Second), Err: err}
}

func (l *Live) has(path string) bool {
	s := site{Config: l.config}
	fi, err := os.Lstat(s.file(path))
	return err == nil && fi.Mode().IsRegular()
}

func (l *Live) hasPage(n packaging.Name) bool { return l.has(layout.ProjectHTML(n)) }

// elsewhere sends whoever asks for a project to its page at the upstream: the one
// that the name belongs to, or the first.
func (l *Live) elsewhere(ctx context.Context, n packaging.Name) error {
	owner, current, err := l.notOurs(ctx, n)
	if err != nil {
		return err
	}
	e := l.config.exception(n)
	only := e.Upstream
	if only == "" && e.Sources == "" && owner == catalog.Direct {
		return notHere() // no upstream has been asked for it
	}
	if only == "" {
		var list []string
		for _, u := range l.config.Upstreams {
			list = append(list, u.Name)
		}
		only = homeUpstream(owner, current, list)
	}
	i := slices.IndexFunc(l.config.Upstreams, func(u Upstream) bool { return only == "" || u.Name == only })
	if i < 0 {
		return notHere()
	}
	if waits(l.config.holdOf(e, l.config.Upstreams[i].Name)) {
		return notHere() // what its page lists may not come in yet
	}
	// The first may have the name. If nobody can be sent there, no other one is to
	// hear of it, or to give something else.
	u := l.config.Upstreams[i]
	to, err := url.Parse(u.URL)
	if err != nil || to.Scheme != "https" && to.Scheme != "http" || u.Form == "page" || secret.Query(to.RawQuery) {
		return notHere()
	}
	return &Refusal{Cause: Elsewhere, Text: "it is elsewhere", To: to.JoinPath(string(n), "/").String()}
}

// notOurs gives the owner of a name that others may be told of, empty if it has
// none, and what the index has of it, or nil. One that is this site's own is not
// here for a request.
func (l *Live) notOurs(ctx context.Context, n packaging.Name) (owner string, current *catalog.Project, err error) {
	if err := l.Open(); err != nil {
		return "", nil, err
	}
	current, err = l.catalog.Project(ctx, n)
	switch {
	case err == nil:
		owner = current.Owner
	case !errors.Is(err, fs.ErrNotExist):
		return "", nil, storage(err)
	}
	if ours, err := l.ours(ctx, n, owner); ours || err != nil {
		return "", nil, cmp.Or(err, notHere())
	}
	return owner, current, nil
}

// ours reports whether a name is this site's own, so that nobody outside is told
// of it: by its owner, or by a file in a drop folder that no build has seen yet.
func (l *Live) ours(ctx context.Context, n packaging.Name, owner string) (bool, error) {
	switch l.config.exception(n).Sources {
	case "local":
		return true, nil
	case "upstream", "both":
		return false, nil
	}
	if owner == catalog.Local {
		return true, nil
	}
	if owner != "" {
		return l.catalog.IsImported(ctx, n) // what there is of it is here
	}
	found, err := drop.Has(ctx, l.config.Drop, n)
	if err != nil {
		return true, busy(time.Minute, err) // whose name it is cannot be known
	}
	return found, nil
}

// project asks the upstreams for a project and publishes what they say.
func (l *Live) project(ctx context.Context, n packaging.Name) error {
	owner, current, err := l.notOurs(ctx, n)
	if err != nil {
		return err
	}
	s, err := l.asking(ctx)
	if err != nil {
		return err
	}
	defer s.over()
	switch {
	case s.intent.partial && owner == "":
		return busy(time.Minute, errors.New("a part of the allowlist cannot be read that may have a say"))
	case s.onDemand(n) == "list" && !asksIndex(s.intent.wants[n]), s.onlyAddressed(n, owner):
		return notHere()
	}
	if err := l.config.mustHaveRoom(l.config.State, 0); err != nil { // the site is on the same disk
		return err
	}
	if err := s.beginRequest(ctx); err != nil {
		return err
	}
	leave, err := l.demand.Fetch(ctx)
	if err != nil {
		return late(err)
	}
	defer leave()
	if err := s.upstream.open(s); err != nil {
		return err
	}
	d, err := s.decideUpstream(ctx, n, owner, nil)
	if err != nil {
		return late(err)
	}
	leave()
	s.report.planned(d.Problems)
	if d.lacks && !d.heard {
		return busy(failurePause, nil)
	}
	d.onlyAnnounce()
	if d.changes() {
		if err := s.record(ctx, []*decided{d}, part{last: true}); err != nil {
			return storage(err)
		}
	} else if current == nil {
		s.report.Problems = nil // any client can ask for a name that nobody has
		return notHere()
	}
	// A request may have died, or waited in vain, before it had published.
	return s.publishAlone(ctx, n)
}

// onlyAddressed reports whether all that people want of a name is what the
// allowlist gives an address of. A build asks no index for it then, so that a
// private name stays one.
func (s *site) onlyAddressed(n packaging.Name, owner string) bool {
	e := s.intent.projects[n]
	if e.Sources != "" || e.Upstream != "" || asksIndex(s.intent.wants[n]) {
		return false
	}
	return owner == catalog.Direct || owner == "" && len(s.intent.wants[n])+len(s.intent.links[n]) > 0
}

// onlyAnnounce leaves of what was decided what a request does: nothing is fetched
// before somebody asks for it, and nothing leaves the index. That is a build's.
func (d *decided) onlyAnnounce() {
	for _, c := range d.Fetch {
		if c.Here == nil && c.Path == "" && plan.CanAnnounce(c) {
			d.Announce = append(d.Announce, c)
		}
	}
	d.Fetch, d.Withdraw, d.relink = nil, nil, false
}

// maxTogether is how many projects a request publishes at most, its own and others whose
// pages are to come still. More are a build's that is in the middle of its work.
const maxTogether = 16

// publishAlone publishes the own pages of one project, unless they show it already, and
// the logs with them. To the catalog the project stays out of date: the next build puts
// it on the pages about all projects, and under new spellings of its name.
//
// The logs must not say more than the pages do. Whoever has to wait for others that have
// events and no pages yet publishes theirs as well, so that of many requests at once the
// first does the work of all; or leaves the logs to those who come after, the last of
// which is a build. That the logs could not be published is told, and no error.
func (s *site) publishAlone(ctx context.Context, n packaging.Name) error {
	if due, err := s.dueAlone(ctx, n); err != nil || !due.any() {
		return storage(err)
	}
	g, err := s.pages()
	if err != nil {
		return err
	}
	g.Releases = false
	turn, err := s.turn(ctx)
	if err != nil {
		return storage(err)
	}
	defer turn.Close()
	due, err := s.dueAlone(ctx, n) // others may have seen to it
	if err != nil || !due.any() {
		return storage(err)
	}
	// What has begun is done to its end: it takes milliseconds.
	ctx = context.WithoutCancel(ctx)
	b := &loneBatch{pageBatch: s.newBatch(turn, g, false)}
	defer b.batch.Close()
	if err := errors.Join(b.projects(ctx, due.projects), b.publish(ctx)); err != nil {
		return storage(err)
	}
	whole := false
	err = s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) (err error) {
		if err := b.note(tx); err != nil {
			return err
		}
		whole, err = extendShown(tx)
		return err
	})
	if err != nil || !whole {
		return storage(err)
	}
	return s.showLogs(ctx, turn)
}

// A dueAlone is what a request has to publish.
type dueAlone struct {
	projects []packaging.Name
	logs     bool // lack what the pages show
}

func (d dueAlone) any() bool { return len(d.projects) > 0 || d.logs }

// dueAlone finds out what a request for a project has to publish.
func (s *site) dueAlone(ctx context.Context, n packaging.Name) (due dueAlone, err error) {
	size, err := s.catalog.LogSize(ctx, catalog.Events)
	if err != nil {
		return due, err
	}
	others, err := s.catalog.NotShown(ctx, size, maxTogether+1)
	if err != nil {
		return due, err
	}
	if len(others) <= maxTogether {
		due.projects = others
		if due.logs, err = s.logsBehind(ctx); err != nil {
			return due, err
		}
	}
	shown, err := s.catalog.IsShown(ctx, n)
	if err != nil || slices.Contains(due.projects, n) {
		return due, err
	}
	if shown && !s.exists(layout.ProjectHTML(n)) {
		p, err := s.catalog.Project(ctx, n)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return due, err
		}
		shown = err != nil || !generate.HasPages(p)
	}
	if !shown {
		due.projects = append(due.projects, n)
	}
	return due, nil
}

// extendShown is extendLogs for a request: the logs stay as they are as long as there are
// events that no page shows yet. whole says that there are none.
func extendShown(tx *catalog.Tx) (whole bool, err error) {
	size, err := tx.LogSize(catalog.Events)
	if err != nil {
		return false, err
	}
	if missing, err := tx.NotShown(size, 1); err != nil || len(missing) > 0 {
		return false, err
	}
	return true, extendLogs(tx)
}

// showLogs publishes the logs after the pages. A request does not fail for it: the next
// build publishes them, and tells what keeps it from that.
func (s *site) showLogs(ctx context.Context, turn *publish.Turn) error {
	if s.joined && !s.PublishLog {
		return nil // what there is of them goes with the next build
	}
	_, err := s.publishLogs(ctx, turn, false)
	if s.joined && err != nil {
		s.report.problem(plan.Incomplete, layout.LogCheckpoint, "the next build publishes it", "the log is as it was: %v", err)
		return nil
	}
	return err
}

// A loneBatch is the own pages of some projects.
type loneBatch struct {
	*pageBatch
	spellings []string // under which the project at hand has pages
}

// projects stages the own pages of projects.
func (b *loneBatch) projects(ctx context.Context, names []packaging.Name) (err error) {
	if len(names) == 0 {
		return nil
	}
	if b.People && !b.exists(layout.Static) {
		if err := b.assets(); err != nil {
			return err
		}
	}
	if b.pages.Changes == generate.ProjectChanges { // the pages of projects lead to those of their changes
		if b.chronicle, err = b.site.chronicle(ctx, b.pages); err != nil {
			return err
		}
	}
	for _, n := range names {
		if err := b.project(ctx, n); err != nil {
			return err
		}
	}
	if !b.closed {
		return nil
	}
	// What comes back is there before the page; what goes away is a build's.
	return b.giveBack(ctx, b.apart)
}

// project stages the own pages of a project.
func (b *loneBatch) project(ctx context.Context, n packaging.Name) error {
	p, err := b.catalog.Project(ctx, n)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !generate.HasPages(p) {
		if !b.exists(layout.ProjectHTML(n)) {
			b.shown[n] = shownAs{serial: p.Serial}
		}
		return nil // pages that go leave those about all projects before
	}
	b.shown[n] = shownAs{serial: p.Serial}
	if b.closed {
		b.apart.sort(b.site, p)
	}
	if b.pages.Changes == generate.ProjectChanges {
		if err := b.projectChanges(ctx, p); err != nil {
			return err
		}
	}
	b.spellings = layout.Aliases(p.Shown.Display)
	return b.pages.Project(p, b)
}

// Put implements [generate.Sink]. The spellings under which a project is found already
// get its page, and no others.
func (b *loneBatch) Put(path string, data []byte) error {
	p, ok := layout.ParseProject(path)
	if ok && p.Form == layout.AliasHTML {
		return nil
	}
	if err := b.pageBatch.Put(path, data); err != nil || !ok || p.Form != layout.HTML {
		return err
	}
	for _, spelling := range b.spellings {
		if err := b.pageBatch.Put(layout.Alias(spelling), data); err != nil {
			return err
		}
	}
	return nil
}

// note notes in the catalog what was published.
func (b *loneBatch) note(tx *catalog.Tx) error {
	if err := b.notePages(tx, b.batch); err != nil {
		return err
	}
	put, _ := b.batch.Pages()
	siblings := make([]string, len(put)) // which have gone with pages that have none any more
	for i, p := range put {
		siblings[i] = p.Path + ".gz"
	}
	if err := b.noteGone(tx, siblings); err != nil {
		return err
	}
	for n, as := range b.shown {
		if err := tx.MarkShown(n, as.serial); err != nil {
			return err
		}
	}
	return nil
}

// exception gives the exceptions for a project; the zero ProjectConfig if there are
// none.
func (c *Config) exception(n packaging.Name) ProjectConfig {
	i := slices.IndexFunc(c.Projects, func(p ProjectConfig) bool { return packaging.NormalizeName(p.Name) == n })
	if i < 0 {
		return ProjectConfig{}
	}
	return c.Projects[i]
}
