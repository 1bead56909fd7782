package nestgen

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"nestgen/catalog"
	"nestgen/demand"
	"nestgen/drop"
	"nestgen/fetch"
	"nestgen/generate"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/publish"
)

// File sees to it that a file of the store is there that a page announces, or a
// companion of one. path is as [layout.File] and its neighbours give it.
//
// begin, unless it is nil, is called at most once, before the first byte comes
// from an upstream, with the size that the file will have, -1 if that is not
// known. What comes is written to what begin gives, while it comes; but the last
// of it only when the whole was verified and is in the store. If begin was not
// called and the error is nil the file is in the tree. An error after begin was
// called means that what was written is not the file.
//
// A [Refusal] is for NotHere, Busy, BadUpstream or NoSpace.
func (l *Live) File(ctx context.Context, path string, begin func(size int64) io.Writer) error {
	owner := layout.Owner(path)
	if _, _, ok := layout.ParseFile(owner); !ok {
		return notHere()
	}
	if l.has(path) {
		return nil
	}
	if len(l.config.OnDemand) == 0 {
		return notHere()
	}
	if known, err := l.knownFile(path); known {
		return err
	}
	if err := l.Open(); err != nil {
		return err
	}
	if _, here, err := l.announced(ctx, owner, path); here || err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, time.Duration(l.config.Fallback.Deadline))
	defer cancel()
	v, err := l.demand.Enter(waiting, owner)
	if err != nil {
		return late(err)
	}
	f := &follower{begin: begin}
	if begin == nil || path != owner {
		f = nil
		ctx = waiting
	}
	err = refusalFor(l.file(ctx, waiting, owner, path, f))
	// Who could not wait says nothing of the upstream.
	late := waiting.Err() != nil && (f == nil || fetch.KindOf(err) == 0)
	if outcome, failed := fileOutcome(err); failed && !late {
		if nerr := v.Note(demand.Answer{Outcome: outcome, At: trueNow()}); nerr != nil {
			l.log.Warn("not remembered", "file", path, "error", nerr)
		}
	}
	// Others need not wait for a slow client.
	if lerr := v.Leave(); lerr != nil {
		l.log.Warn("a lock could not be given back", "error", lerr)
	}
	tree := &site{Config: l.config}
	return f.end(err, func() (*os.File, error) { return tree.openRegular(path) })
}

// fileOutcome says what there is to remember of a file that was not brought.
func fileOutcome(err error) (demand.Outcome, bool) {
	switch {
	case isRefusal(err, NotHere):
		return demand.Absent, true
	case isRefusal(err, BadUpstream), isRefusal(err, Busy):
		return demand.Failed, true
	}
	return 0, false
}

// knownFile answers from what was found out lately.
func (l *Live) knownFile(path string) (known bool, err error) {
	last, now := l.demand.Look(layout.Owner(path)), trueNow()
	switch {
	case last.Younger(demand.Absent, time.Duration(l.config.Fallback.Unknown), now):
		return true, notHere()
	case last.Younger(demand.Failed, failurePause, now):
		return true, busy(last.At.Add(failurePause).Sub(now), nil)
	}
	return false, nil
}

// announced gives the file that the index announces at a path, if it may come on
// demand; asked is what of it is asked for. here says that this has come since
// somebody has looked for it.
func (l *Live) announced(ctx context.Context, path, asked string) (f catalog.File, here bool, err error) {
	f, err = l.catalog.FileAt(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, false, notHere()
	case err != nil:
		return f, false, storage(err)
	case !f.Announced && l.has(asked):
		return f, true, nil
	case !f.Announced:
		if state, err := l.catalog.State(ctx, f.Project); err != nil {
			return f, false, storage(err)
		} else if path == asked && state != catalog.Quarantined {
			l.log.Error("the index lists a file that is not there", "path", path, "hint", `run "nestgen verify"`)
		}
		return f, false, notHere()
	case asked != path && (asked != layout.CoreMetadata(path) || f.Metadata.IsZero()):
		return f, false, notHere()
	}
	if m := l.config.onDemand(f.Project); m != "list" && m != "fetch" {
		return f, false, notHere()
	}
	return f, false, nil
}

// file brings what is asked for into the store. waiting ends at the deadline, ctx
// only for those who can be sent nothing meanwhile.
func (l *Live) file(ctx, waiting context.Context, owner, path string, follow *follower) error {
	if l.has(path) {
		return nil // whoever was here before has brought it
	}
	f, here, err := l.announced(ctx, owner, path)
	if here || err != nil {
		return err
	}
	if err := l.config.mustHaveRoom(l.config.Site, max(f.Size, 0)); err != nil {
		return err
	}
	s, err := l.asking(ctx)
	if err != nil {
		return err
	}
	defer s.over()
	if err := s.beginRequest(ctx); err != nil {
		return err
	}
	if reason, blocked := s.intent.policy.Blocked(f.Project, f.Filename, f.Version); blocked {
		l.log.Info("the policy blocks it", "file", f.Filename, "reason", reason)
		return notHere()
	}
	current, err := s.catalog.Project(ctx, f.Project)
	if err != nil {
		return storage(err)
	}
	if s.intent.policy.Status(f.Project, current.Status).State == catalog.Quarantined {
		return notHere()
	}
	leave, err := l.demand.Fetch(waiting)
	if err != nil {
		return late(err)
	}
	defer leave()
	if err := s.upstream.open(s); err != nil {
		return err
	}
	if against, err := s.against(ctx, f); err != nil {
		return err
	} else if against != nil {
		l.log.Info("it may not come", "file", f.Filename, "reason", against)
		return notHere()
	}
	if path != owner {
		err := s.bringMetadata(ctx, f)
		if err == nil || fetch.KindOf(err) != fetch.NotFound && fetch.KindOf(err) != fetch.Altered {
			return l.upstreamFault(err)
		}
		l.log.Warn("the upstream has no such metadata as it says; it is taken from the file", "file", f.Filename, "error", err)
	}
	if follow != nil {
		s.follow, follow.want = follow.begun, f.SHA256
		defer follow.stop()
	}
	if err := s.bringAnnounced(ctx, f, current); err != nil {
		return l.upstreamFault(err)
	}
	if !l.has(path) {
		return notHere()
	}
	return nil
}

// against gives what a build would have against a file that was announced, by what
// its upstream said last; nil if nothing. The next build takes it off the page.
func (s *site) against(ctx context.Context, f catalog.File) (*plan.Objection, error) {
	in, err := s.input(ctx, f.Project)
	if err != nil {
		return nil, err
	}
	in.Source, in.Listing = f.Source, &catalog.Listing{}
	for _, src := range s.upstream.of(f.Source) {
		l, err := s.catalog.Listing(ctx, listingKey(src), f.Project)
		switch {
		case err == nil:
			in.Listing = &l
		case !errors.Is(err, fs.ErrNotExist):
			return nil, storage(err)
		}
	}
	if !slices.ContainsFunc(in.Listing.Offers, func(o catalog.Offer) bool { return o.Filename == f.Filename }) {
		o := offerOf(f)
		o.Uploaded = 0 // it may be our own word
		in.Listing.Offers = append(in.Listing.Offers, o)
	}
	if err := s.hold(ctx, &in, new(asked)); err != nil {
		return nil, err
	}
	return plan.Against(in, f.Filename), nil
}

// offerOf gives what was announced as what the upstream offers.
func offerOf(f catalog.File) catalog.Offer {
	o := catalog.Offer{
		Filename: f.Filename, URL: f.URL, Size: f.Size, Hashes: map[string]string{"sha256": f.SHA256.String()},
		RequiresPython: f.RequiresPython, Yanked: f.SourceYank, Uploaded: f.Uploaded,
	}
	if !f.Metadata.IsZero() {
		o.Metadata = catalog.MetadataOffer{Offered: true, Hashes: map[string]string{"sha256": f.Metadata.String()}}
	}
	return o
}

// bringMetadata brings the core metadata of a file that is not here.
func (s *site) bringMetadata(ctx context.Context, f catalog.File) error {
	src, err := s.sourceOf(f.Source, f.URL)
	if err != nil {
		return err
	}
	data, err := s.companionOf(ctx, src, offerOf(f), drop.Metadata)
	if err != nil {
		return err
	}
	companion := publish.Companion{Path: layout.CoreMetadata(f.Path), Data: data}
	_, err = s.tree.Expose(ctx, []publish.Exposure{{Target: f.Path, Companions: []publish.Companion{companion}}})
	return storage(err)
}

// bringAnnounced brings a file of a project that was announced, through the gate
// and into the store. One that does not pass the gate leaves the index.
func (s *site) bringAnnounced(ctx context.Context, f catalog.File, current *catalog.Project) error {
	name, err := packaging.ParseFilename(f.Filename, f.Project)
	if err != nil {
		return err
	}
	d := &decided{Project: &plan.Project{Name: f.Project, Current: current}}
	if d.Advice, err = s.advice(ctx, f.Project, current); err != nil {
		return err
	}
	c := plan.Choice{Source: f.Source, Offer: offerOf(f), Filename: name, Path: f.Path, Why: []string{"on demand"}}
	a, err := s.download(ctx, d, c)
	if reason := rejection(err); reason != nil {
		return errors.Join(err, s.dismiss(ctx, f, c, reason))
	}
	if err != nil {
		return err
	}
	a.of = d
	if err := s.arriving(ctx, f.Path); err != nil {
		return err
	}
	// Whoever has asked may leave now. The catalog must not miss what the store has.
	ctx = context.WithoutCancel(ctx)
	if err := s.expose(ctx, []*arrival{a}); err != nil {
		return err
	}
	if a.refused {
		return storage(publish.ErrAltered)
	}
	err = s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		arrived, err := tx.Arrive(a.file, "on demand")
		if err == nil && arrived && a.file.Spelling != f.Spelling {
			err = tx.Respell(f.Project)
		}
		return errors.Join(err, setArriving(tx, f.Path, false))
	})
	if err != nil {
		return storage(err)
	}
	if shown, err := s.catalog.IsShown(ctx, f.Project); err != nil || shown {
		return storage(err)
	}
	// The page says something else of the file than is so, such as other metadata.
	if err := s.publishAlone(ctx, f.Project); err != nil {
		s.log.Warn("the page does not say what the file is, until a build", "project", f.Project, "error", err)
	}
	return nil
}

// dismiss takes a file out of the index that was announced and does not pass the
// gate, and remembers it.
func (s *site) dismiss(ctx context.Context, f catalog.File, c plan.Choice, reason error) error {
	r := refusalOf(c)
	r.Reason = reason.Error()
	ctx = context.WithoutCancel(ctx)
	err := s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		return errors.Join(tx.Refuse(r), tx.Withdraw(f.Project, f.Filename, "it did not pass the gate: "+r.Reason, trueNow(), time.Duration(s.Grace)))
	})
	if err != nil {
		return storage(err)
	}
	p, err := s.catalog.Project(ctx, f.Project)
	if err != nil {
		return storage(err)
	}
	if !generate.HasPages(p) {
		return s.publish(ctx) // what leads to its pages changes before they go
	}
	return s.publishAlone(ctx, f.Project)
}

// upstreamFault makes the answer of an error that an upstream may have caused.
func (l *Live) upstreamFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return busy(0, err)
	case ownStorage(err):
		return err
	case rejection(err) != nil:
		return &Refusal{Cause: BadUpstream, Text: "the upstream's file may not be listed here", Err: err}
	}
	switch fetch.KindOf(err) {
	case fetch.NotFound, fetch.Gone:
		return &Refusal{Cause: NotHere, Text: "not here", Err: err}
	case fetch.Altered, fetch.Invalid, fetch.Refused:
		return &Refusal{Cause: BadUpstream, Text: "the upstream has something else than it said", Err: err}
	case fetch.Unreachable, fetch.Stale, fetch.Denied, fetch.Stopped:
		return busy(failurePause, err)
	}
	return err
}
