package nestgen

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/plan"
)

// A rollback publishes an older state of the index as new events: each project that has
// changed since gets the files, the yanks, the status and the links that it had. The
// lists and folders that people keep do not know of it, so that the next build would
// undo it. The site is held back therefore: until somebody ends that, builds and
// requests bring nothing in, and take nothing out but what nobody is to have.

// metaBack is the key under which the catalog keeps that the site is held back: a
// [HeldBack] in JSON, or nothing. metaBackRules has what was forbidden when the index
// was looked through last meanwhile.
const (
	metaBack      = "rolled back"
	metaBackRules = "rolled back, rules"
)

// A HeldBack says to what a site was rolled back that builds do not go on with.
type HeldBack struct {
	Serial int64  `json:"serial"`
	Tag    string `json:"tag,omitempty"` // of the snapshot, if somebody has named that

	// Since is when that was (RFC 3339), and By who did it.
	Since string `json:"since"`
	By    string `json:"by"`
}

// State is what it was rolled back to, for people.
func (h HeldBack) State() string {
	if h.Tag != "" {
		return fmt.Sprintf("the snapshot %s, serial %d", h.Tag, h.Serial)
	}
	return fmt.Sprintf("serial %d", h.Serial)
}

func parseHeldBack(text string) (*HeldBack, error) {
	if text == "" {
		return nil, nil
	}
	h := new(HeldBack)
	if err := json.Unmarshal([]byte(text), h); err != nil {
		return nil, fmt.Errorf("catalog: what the site was rolled back to: %w", err)
	}
	return h, nil
}

// heldBack says whether the site is held back; nil if it is not.
func heldBack(ctx context.Context, c *catalog.Catalog) (*HeldBack, error) {
	text, err := c.Meta(ctx, metaBack)
	if err != nil {
		return nil, storage(err)
	}
	return parseHeldBack(text)
}

// RolledBack says whether a site is held back at an older state; nil if it is not.
func RolledBack(ctx context.Context, c Config) (*HeldBack, error) {
	cat, err := look(c)
	if err != nil {
		return nil, err
	}
	defer cat.Close()
	return heldBack(ctx, cat)
}

// A RollbackRequest is a state that somebody wants the index to have again.
type RollbackRequest struct {
	// Serial is that of the state, or Tag the snapshot that has it.
	Serial int64
	Tag    string

	// Who does it, for the history.
	Who string

	// Force does it also if bytes of some files are gone, without these.
	Force bool

	// Begun is called with what will be done before it is. It may be nil.
	Begun func(*RollbackDone)
}

// A RollbackDone says what [Rollback] did, or, in a dry run, would do.
type RollbackDone struct {
	DryRun bool `json:"dry_run,omitempty"`
	HeldBack

	// Already says that the index had the state and was held back at it.
	Already bool `json:"already,omitempty"`

	// Projects counts those that change; of their files Restored come back, Withdrawn
	// leave, and of Changed something else is said.
	Projects  int `json:"projects"`
	Restored  int `json:"restored"`
	Withdrawn int `json:"withdrawn"`
	Changed   int `json:"changed"`

	// Restated and Relinked count the projects whose status and links change.
	Restated int `json:"restated"`
	Relinked int `json:"relinked"`

	// Gone are the files that the state had and whose bytes are gone, Forbidden those
	// that nobody is to have now, and Disowned those that came from where files of
	// their project do not come from any more.
	Gone      []string `json:"gone"`
	Forbidden []string `json:"forbidden"`
	Disowned  []string `json:"disowned"`

	// Changes are all changes, project by project.
	Changes []Difference `json:"changes"`

	Pages    Pages     `json:"pages"`
	Problems []Problem `json:"problems"`
}

// Rollback gives the index the state that it had at a serial, as new events, and
// publishes that. What the policy or an advisory blocks now does not come back, and a
// quarantine stays. From then on the site is held back, until [EndRollback]. Files
// whose bytes are gone are named and refused, unless it is by force.
func Rollback(ctx context.Context, c Config, o Options, r RollbackRequest) (*RollbackDone, error) {
	var done *RollbackDone
	err := c.atWork(ctx, o, func(s *site) (err error) {
		done, err = s.rollback(ctx, r)
		return err
	})
	return done, err
}

func (s *site) rollback(ctx context.Context, r RollbackRequest) (*RollbackDone, error) {
	if r.Tag != "" {
		t, err := s.catalog.Snapshot(ctx, r.Tag)
		if errors.Is(err, fs.ErrNotExist) || err == nil && t.State == catalog.SnapshotDropped {
			return nil, noSnapshot(r.Tag, "")
		}
		if err != nil {
			return nil, storage(err)
		}
		r.Serial = t.Serial
	} else if r.Serial < 1 {
		return nil, &fault{ErrSettings, fmt.Errorf("serial %d: want one from 1 on", r.Serial), ""}
	}
	if _, err := s.serialOf(ctx, r.Serial); err != nil {
		return nil, err
	}
	done := &RollbackDone{
		DryRun:   s.opts.DryRun,
		HeldBack: HeldBack{Serial: r.Serial, Tag: r.Tag, Since: Now().UTC().Format(time.RFC3339), By: cmp.Or(r.Who, "somebody")},
		Gone:     []string{}, Forbidden: []string{}, Disowned: []string{}, Changes: []Difference{}, Problems: []Problem{},
	}
	if s.opts.DryRun {
		_, err := s.planRollback(ctx, done)
		return done, err
	}
	// Nobody else changes the catalog between the look and the change.
	err := s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return s.noteRollback(ctx, tx, r, done) })
	if err != nil {
		return nil, storage(err)
	}
	if err := s.updateViews(ctx); err != nil {
		return nil, err
	}
	if err := s.publish(ctx); err != nil {
		return nil, err
	}
	done.Pages, done.Problems = s.report.Pages, append(done.Problems, s.report.Problems...)
	return done, nil
}

// planRollback finds out what gives the index the state that it had.
func (s *site) planRollback(ctx context.Context, done *RollbackDone) ([]*backing, error) {
	names, err := s.catalog.ChangedSince(ctx, done.Serial)
	if err != nil {
		return nil, storage(err)
	}
	var all []*backing
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		is, err := s.listed(ctx, rootIndex, n)
		if err != nil {
			return nil, err
		}
		was, err := s.catalog.ProjectAt(ctx, n, done.Serial)
		if err != nil {
			return nil, storage(err)
		}
		b, err := s.back(ctx, is, was)
		if err != nil {
			return nil, err
		}
		done.Gone, done.Forbidden, done.Disowned = append(done.Gone, b.gone...), append(done.Forbidden, b.forbidden...), append(done.Disowned, b.disowned...)
		if !b.changes() {
			continue
		}
		all = append(all, b)
		done.count(b)
	}
	slices.Sort(done.Gone)
	slices.Sort(done.Forbidden)
	slices.Sort(done.Disowned)
	return all, nil
}

// count adds what changes of a project.
func (d *RollbackDone) count(b *backing) {
	d.Projects++
	d.Restored += len(b.put) - b.changed
	d.Changed += b.changed
	d.Withdrawn += len(b.withdraw)
	if b.restate {
		d.Restated++
	}
	if b.relink {
		d.Relinked++
	}
	d.Changes = append(d.Changes, compareProjects(b.is, b.project())...)
}

// noteRollback notes a rollback in the catalog.
func (s *site) noteRollback(ctx context.Context, tx *catalog.Tx, r RollbackRequest, done *RollbackDone) error {
	all, err := s.planRollback(ctx, done)
	if err != nil {
		return err
	}
	if len(done.Gone) > 0 && !r.Force {
		return &fault{ErrSettings, fmt.Errorf("%s: the bytes of %s are gone; nothing was changed", done.State(), someOf(done.Gone)), "--force goes back without them"}
	}
	text, err := tx.Meta(metaBack)
	if err != nil {
		return err
	}
	held, err := parseHeldBack(text)
	if err != nil {
		return err
	}
	if held != nil && held.Serial == done.Serial && len(all) == 0 {
		done.Already, done.HeldBack = true, *held
		return nil
	}
	if r.Begun != nil {
		r.Begun(done)
	}
	reason := done.reason()
	if _, err := tx.Note(catalog.Rollback, done.By, reason); err != nil {
		return err
	}
	for _, b := range all {
		if err := s.noteBack(tx, b, "rollback to "+done.State(), "rollback"); err != nil {
			return err
		}
	}
	rules, err := s.forbiddingRules(ctx)
	if err != nil {
		return err
	}
	state, err := json.Marshal(done.HeldBack)
	if err != nil {
		return err
	}
	return errors.Join(tx.SetMeta(metaBack, string(state)), tx.SetMeta(metaBackRules, rules))
}

// A backing is what gives one project a state that it had.
type backing struct {
	is *catalog.Project

	put      []catalog.File
	changed  int // how many of these are listed, and say something else
	withdraw []plan.Withdrawal

	status  catalog.Status
	note    string
	restate bool
	links   []catalog.Link
	relink  bool

	gone, forbidden, disowned []string // files that the state had and that do not come back
}

func (b *backing) changes() bool {
	return len(b.put)+len(b.withdraw) > 0 || b.restate || b.relink
}

// project gives the project as it will be.
func (b *backing) project() *catalog.Project {
	files := map[string]catalog.File{}
	for _, f := range b.is.Files {
		files[f.Filename] = f
	}
	for _, w := range b.withdraw {
		delete(files, w.File.Filename)
	}
	for _, f := range b.put {
		files[f.Filename] = f
	}
	p := &catalog.Project{Name: b.is.Name, Status: b.status, Note: b.note, Links: b.links}
	p.Files = slices.AppendSeq(p.Files, maps.Values(files))
	catalog.SortFiles(p.Files)
	return p
}

// back finds out what makes a project what it was, as far as it may be: what is
// forbidden now stays out, and so does what came from where its files do not come from any
// more; what the policy yanks or says of its status now stands, and
// no quarantine ends or begins.
func (s *site) back(ctx context.Context, is, was *catalog.Project) (*backing, error) {
	n := is.Name
	advice, err := s.advice(ctx, n, nil)
	if err != nil {
		return nil, err
	}
	b := &backing{is: is, links: was.Links}
	stays := map[string]bool{}
	blocked := map[string]bool{}
	for _, f := range was.Files {
		now, listed := listedAs(is, f.Filename)
		if s.forbidden(f, advice) {
			blocked[f.Filename] = true
			b.forbidden = append(b.forbidden, f.Filename)
			continue
		}
		if !listed && !s.mayHave(is, f.Source) {
			b.disowned = append(b.disowned, f.Filename)
			continue
		}
		if f.Announced && !listed && s.hasBytes(f.Path) {
			if f, _, err = s.arrived(ctx, f, is, math.MaxInt64); err != nil {
				return nil, err
			}
		}
		f.Yanked = s.intent.policy.Yank(n, f.Filename, f.Version, f.Yanked)
		if listed {
			f.URL = now.URL // where it is now
		}
		switch {
		case !f.Announced && (!listed || now.Announced) && !s.hasBytes(f.Path):
			b.gone = append(b.gone, f.Filename)
			if !listed {
				continue
			}
			fallthrough // it comes again when somebody asks
		case listed && (now.Path != f.Path || now.Source != f.Source || f.Announced && !now.Announced):
			now.Yanked, now.SourceYank = f.Yanked, f.SourceYank
			f = now
		}
		stays[f.Filename] = true
		if old, _ := listedAs(is, f.Filename); old != f {
			b.put = append(b.put, f)
			if listed {
				b.changed++
			}
		}
	}
	for _, f := range is.Files {
		if stays[f.Filename] {
			continue
		}
		w := plan.Withdrawal{File: f}
		if blocked[f.Filename] || s.forbidden(f, advice) {
			w.Blocked, w.Reason = true, "blocked: an advisory calls it malware"
			if reason, by := s.intent.policy.Blocked(n, f.Filename, f.Version); by {
				w.Reason = "blocked: " + reason
			}
		}
		b.withdraw = append(b.withdraw, w)
	}
	// What is quarantined is a matter of now.
	b.status, b.note = s.intent.policy.Status(n, was.Status), cmp.Or(s.intent.policy.Note(n), was.Note)
	now := s.intent.policy.Status(n, is.Status)
	if now.State == catalog.Quarantined || b.status.State == catalog.Quarantined || len(b.disowned) > 0 {
		b.status = now // and so is whose word counts
	}
	b.restate = is.Status != b.status || is.Note != b.note
	b.relink = !sameLinks(is.Links, was.Links)
	return b, nil
}

// mayHave reports whether a project may have files from a source, as things are now. A
// name keeps its owner whatever the index is brought back to, and the settings say to whom
// it was moved; to list again what somebody else has under it would confuse the two.
func (s *site) mayHave(is *catalog.Project, source string) bool {
	local, upstream := s.sources(is.Name, is.Owner, false)
	switch source {
	case catalog.Local:
		return local
	case catalog.Direct:
		return upstream
	}
	if i := strings.LastIndexByte(source, ':'); i >= 0 {
		source = source[:i] // the site that it was imported from
	}
	var list []string
	for _, u := range s.Upstreams {
		list = append(list, u.Name)
	}
	home := cmp.Or(s.intent.projects[is.Name].Upstream, homeUpstream(is.Owner, is, list))
	return upstream && (home == "" || source == home)
}

// sameLinks compares two lists of development links, in whatever order.
func sameLinks(a, b []catalog.Link) bool {
	has := map[catalog.Link]bool{}
	for _, l := range a {
		has[l] = true
	}
	return len(a) == len(b) && !slices.ContainsFunc(b, func(l catalog.Link) bool { return !has[l] })
}

// noteBack notes in the catalog what was found out of a project. Why stands with what
// is not forbidden.
func (s *site) noteBack(tx *catalog.Tx, b *backing, why, who string) error {
	n := b.is.Name
	for _, f := range b.put {
		if err := tx.Put(f, why); err != nil {
			return err
		}
	}
	for _, w := range b.withdraw {
		if err := tx.Withdraw(n, w.File.Filename, cmp.Or(w.Reason, why), trueNow(), time.Duration(s.Grace)); err != nil {
			return err
		}
		if w.Blocked && !w.File.Announced {
			// Nobody is to have it, also those who know its address.
			if err := tx.Withhold(w.File.Path); err != nil {
				return err
			}
		}
	}
	if b.restate {
		if err := tx.SetStatus(n, b.status, b.note, who); err != nil {
			return err
		}
	}
	if b.relink {
		if err := tx.SetLinks(n, b.links); err != nil {
			return err
		}
	}
	return tx.Respell(n)
}

// EndRollback lets builds and requests go on with a site that was rolled back. It gives
// what it was held back at, or nil if it was not. The next build gives the index what
// the lists and folders say.
func EndRollback(ctx context.Context, c Config, o Options, who string) (held *HeldBack, err error) {
	err = c.atWork(ctx, o, func(s *site) error {
		if held, err = heldBack(ctx, s.catalog); err != nil || held == nil {
			return err
		}
		err := s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
			if _, err := tx.Note(catalog.Resume, cmp.Or(who, "somebody"), held.reason()); err != nil {
				return err
			}
			return goOn(tx)
		})
		if err != nil {
			return storage(err)
		}
		return s.publish(ctx) // the log
	})
	return held, err
}

// resumed stands for the filters that were applied last until a build has gone on.
const resumed = "resumed"

// goOn notes that the site is no longer held back. What went has to be found again,
// wherever it comes from.
func goOn(tx *catalog.Tx) error {
	return errors.Join(tx.SetMeta(metaBack, ""), tx.SetMeta(metaBackRules, ""), tx.SetMeta(metaScan, ""), tx.SetMeta(metaFilters, resumed))
}

// reason is what the history says.
func (h HeldBack) reason() string {
	if h.Tag != "" {
		return fmt.Sprintf("%s serial %d", h.Tag, h.Serial)
	}
	return fmt.Sprintf("serial %d", h.Serial)
}

// tookRollback holds the site back as the event of a rollback says, which was taken over.
func tookRollback(tx *catalog.Tx, e *catalog.Event) error {
	h := HeldBack{Since: time.UnixMicro(e.Time).UTC().Format(time.RFC3339), By: cmp.Or(e.Source, "somebody")}
	tag, serial, _ := strings.Cut(e.Reason, "serial ")
	h.Tag = strings.TrimSuffix(tag, " ")
	var err error
	if h.Serial, err = strconv.ParseInt(serial, 10, 64); err != nil || h.reason() != e.Reason {
		return fmt.Errorf("event %d: %q is no state that an index was rolled back to", e.Serial, e.Reason)
	}
	state, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return errors.Join(tx.SetMeta(metaBack, string(state)), tx.SetMeta(metaBackRules, ""))
}

// buildBack is the walk of a build while the site is held back: it takes out what
// nobody is to have, and publishes.
func (s *site) buildBack(ctx context.Context, held HeldBack) (*Report, error) {
	if err := s.forbid(ctx); err != nil {
		return nil, err
	}
	if err := s.hearQuarantines(ctx); err != nil {
		return nil, err
	}
	waiting, err := s.catalog.Holds(ctx)
	if err != nil {
		return nil, storage(err)
	}
	s.report.Held = len(waiting)
	s.report.problem(plan.Incomplete, "", `"nestgen rollback --end" lets builds go on`,
		"rolled back to %s on %s by %s: nothing comes in, and nothing leaves but what is forbidden", held.State(), held.Since, held.By)
	if !s.opts.DryRun {
		if err := s.show(ctx); err != nil {
			return nil, err
		}
	}
	return s.reportRun(ctx)
}

// forbiddingRules names what decides what nobody is to have.
func (s *site) forbiddingRules(ctx context.Context) (string, error) {
	about, err := s.advisoriesDigest(ctx)
	return fmt.Sprintf("%s %q", s.intent.policy.Digest(), about), err
}

// forbid takes out of the index what nobody is to have, if that is something else than
// the last time.
func (s *site) forbid(ctx context.Context) error {
	rules, err := s.forbiddingRules(ctx)
	if err != nil {
		return err
	}
	last, err := s.catalog.Meta(ctx, metaBackRules)
	if err != nil || last == rules && s.foreseen == nil {
		return storage(err)
	}
	names, err := s.maybeForbidden(ctx)
	if err != nil {
		return err
	}
	var all []*backing
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		is, err := s.listed(ctx, rootIndex, n)
		if err != nil {
			return err
		}
		b, err := s.back(ctx, is, is)
		if err != nil {
			return err
		}
		if is.Serial == 0 || !b.changes() {
			continue // nothing of it is known here
		}
		all = append(all, b)
		d := &plan.Project{Name: n, Withdraw: b.withdraw}
		for _, w := range b.withdraw {
			s.report.Withdrawn.add(w.File, []string{w.Reason})
		}
		for _, f := range b.put {
			k := plan.Kept{File: f, Changed: true, Why: []string{"policy"}}
			d.Keep = append(d.Keep, k)
			s.report.Changed.add(f, k.Why)
		}
		if s.opts.Each != nil {
			s.opts.Each(d)
		}
	}
	if s.opts.DryRun {
		return nil
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for _, b := range all {
			if err := s.noteBack(tx, b, "policy", "policy"); err != nil {
				return err
			}
		}
		return errors.Join(tx.SetMeta(metaBackRules, rules), tx.SetMeta(metaPolicy, s.policyDigest()))
	}))
}

// hearQuarantines asks the upstreams of what is listed whether they have quarantined any
// of it, as any build asks them. Nothing else that they say is taken in, nor remembered:
// the build that goes on is to find it new.
func (s *site) hearQuarantines(ctx context.Context) error {
	if s.opts.Offline {
		return nil
	}
	if err := s.readImports(ctx); err != nil {
		return err
	}
	var names []packaging.Name
	for p, err := range s.catalog.Projects(ctx) {
		if err != nil {
			return storage(err)
		}
		if _, upstream := s.sources(p.Name, p.Owner, false); upstream && s.imports[p.Name] == "" && len(p.Files) > 0 {
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if err := s.upstream.open(s); err != nil {
		return err
	}
	if err := s.askRoots(ctx, names); err != nil {
		return err
	}
	type heard struct {
		plan.Input
		asked
		err error
	}
	var begun []*plan.Project
	s.progress.Stage("asking", int64(len(names)))
	for h := range ordered(ctx, names, s.Connections, func(ctx context.Context, n packaging.Name) (h heard) {
		if h.Input, h.err = s.input(ctx, n); h.err == nil && h.Current != nil && (!h.OnDemand || s.mustAsk(h.Input, nil)) {
			h.asked, h.err = s.ask(ctx, n, h.Current.Owner, h.Input)
		}
		s.progress.Step(1, 0)
		return h
	}) {
		if h.err != nil {
			return h.err
		}
		s.report.planned(h.problems)
		if h.listing == nil || h.listing.Status.State != catalog.Quarantined {
			continue
		}
		h.Source, h.Listing, h.SkipLocal = h.source, h.listing, true
		p := plan.Decide(h.Input)
		s.report.planned(p.Problems)
		if p.Restated() && p.Status.State == catalog.Quarantined {
			begun = append(begun, p)
		}
	}
	if err := ctx.Err(); err != nil || s.opts.DryRun || len(begun) == 0 {
		return err
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for _, p := range begun {
			if err := tx.SetStatus(p.Name, p.Status, p.Current.Note, p.StatedBy); err != nil {
				return err
			}
		}
		return nil
	}))
}

// maybeForbidden gives the projects that the policy or an advisory may speak of.
func (s *site) maybeForbidden(ctx context.Context) ([]packaging.Name, error) {
	if s.intent.policy.BlocksMany() {
		names, err := s.catalog.Names(ctx)
		return names, storage(err)
	}
	set := map[packaging.Name]bool{}
	for _, n := range s.intent.policy.Projects() {
		set[n] = true
	}
	for n := range s.foreseen {
		set[n] = true
	}
	names, err := s.catalog.AdvisedNames(ctx)
	for _, n := range names {
		set[n] = true
	}
	return slices.Sorted(maps.Keys(set)), storage(err)
}

// mustGoOn refuses a request that would bring something in while the site is held back.
func mustGoOn(text string, err error) error {
	if err != nil || text == "" {
		return err
	}
	return notAllowed(errors.New(`"nestgen rollback --end" lets it go on`), "this index was rolled back to an older state, and takes nothing in until its people let it go on")
}
