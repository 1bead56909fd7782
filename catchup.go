package nestgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/record"
	"nestgen/tilelog"
)

// A catalog from a backup does not know what happened since. Where the log is published,
// it says so itself, signed by this site: what the catalog lacks is taken over from
// there, so that the history goes on and nobody who follows it is told another one.

// errOtherHistory says that the published log does not begin as the catalog does.
var errOtherHistory = errors.New("another history")

// catchUp takes over from the published log what the catalog does not have. It comes
// before anything else is written to the catalog, by whomever: an event of a catalog that
// is behind would have the serial of another one. If the log cannot be followed and goes
// further than the catalog, or if the site has signed more than is left of it anywhere,
// nobody may write.
func (s *site) catchUp(ctx context.Context) error {
	if err := s.followLog(ctx); err != nil {
		return err
	}
	return s.mustKnowWhatWasSigned(ctx)
}

// canFollow reports whether a log is published that this site is known to have signed.
func (s *site) canFollow() bool {
	signed, err := s.readCheckpoint()
	return err == nil && signed.Size > 0
}

// mustKnowWhatWasSigned refuses a catalog that has forgotten what the site has signed,
// when the log is not there any more that tells of it.
func (s *site) mustKnowWhatWasSigned(ctx context.Context) error {
	signed, err := s.remembered()
	if err != nil {
		return nil // it is told when something is to be signed
	}
	behind, err := s.isBehind(ctx, signed)
	if err != nil || !behind {
		return storage(err)
	}
	serial, err := s.catalog.Serial(ctx)
	if err != nil {
		return storage(err)
	}
	return &fault{ErrAlarm, fmt.Errorf("%s: this catalog ends with event %d, as one from a backup does, and the site has signed a log of %d events and %d pages, as %s says, of which the rest is not in %s; nothing was changed",
		s.catalogFile(), serial, signed.Size, signed.pages.Size, s.signedFile(), s.file(layout.Log)),
		fmt.Sprintf(`put the newest catalog back, or the folder %s from a mirror or a backup, and run "nestgen build"; if both are lost, %s`, s.file(layout.Log), newLogHint)}
}

// newLogHint is what is left to do if a log cannot go on.
const newLogHint = `"nestgen key new --new-log" has the site begin another log with another key, which all who trust it or follow its log have to be told`

// followLog is catchUp, as far as the log is published.
func (s *site) followLog(ctx context.Context) error {
	signed, err := s.readCheckpoint()
	unproven, is := errors.AsType[*unprovenError](err)
	switch {
	case isStorage(err):
		return storage(err)
	case err != nil && !is:
		return nil // there is none; what is wrong with it is told when the log is published
	}
	behind, err := s.isBehind(ctx, signed)
	if err != nil || !behind {
		return storage(err)
	}
	serial, err := s.catalog.Serial(ctx)
	if err != nil {
		return storage(err)
	}
	if unproven != nil && serial == 0 {
		return nil // the site is another one, until somebody says that it begins anew
	}
	if unproven != nil {
		return s.ahead(signed, serial, unproven)
	}
	// All of it or nothing: while it lasts nobody else writes to the catalog.
	var a adoption
	err = s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		a = adoption{site: s, tx: tx, touched: map[packaging.Name]bool{}, dropped: map[string]bool{}}
		return a.takeOver(ctx, signed)
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case isStorage(err):
		return storage(err)
	case errors.Is(err, errOtherHistory):
		return nil // it is too late; it is told when the log is published
	case err != nil:
		return s.ahead(signed, serial, err)
	}
	if serial == 0 && a.events > 0 {
		s.warn(s.catalogFile(), "where upstreams have their files comes with the next listing", "the catalog is new: %d events were taken over from the published log", a.events)
	} else if a.events > 0 {
		s.warn(s.catalogFile(), "this is what a catalog from a backup is like",
			"the catalog ended with event %d, and the published log goes on: %d events were taken over from there", serial, a.events)
	}
	for _, err := range a.untold {
		s.warn(s.catalogFile(), "do again what it says, if it is still to be so", "what an event did that was taken over from the log could not be done again: %v", err)
	}
	return nil
}

// isBehind reports whether a log goes further than the catalog.
func (s *site) isBehind(ctx context.Context, signed checkpoint) (bool, error) {
	serial, err := s.catalog.Serial(ctx)
	if err != nil || signed.Size > serial {
		return true, err
	}
	pages, err := s.catalog.LogSize(ctx, catalog.Pages)
	return signed.pages.Size > pages, err
}

// An adoption is what one transaction takes over from the published log.
type adoption struct {
	*site
	tx      *catalog.Tx
	events  int
	touched map[packaging.Name]bool // the projects that they are about
	dropped map[string]bool         // the tags of snapshots that were
	untold  []error                 // of events that do not say all that they did
}

// takeOver takes over what the catalog does not have. What it leaves has the roots that
// were signed.
func (a *adoption) takeOver(ctx context.Context, signed checkpoint) error {
	serial := a.tx.Last()
	if err := extendLogs(a.tx); err != nil { // requests may have noted pages, and no log
		return err
	}
	pages, err := a.tx.LogSize(catalog.Pages)
	if err != nil || signed.Size <= serial && signed.pages.Size <= pages {
		return err // a request or a build has done so meanwhile
	}
	err = a.newer(ctx, layout.EventTile, signed.Checkpoint, a.leaves(ctx, catalog.Events, 0, serial), a.event)
	if err != nil {
		return err
	}
	for _, n := range slices.Sorted(maps.Keys(a.touched)) {
		if err := a.tx.Respelled(n); err != nil {
			return err
		}
	}
	ofPages := tilelog.Checkpoint{Origin: signed.Origin, Size: signed.pages.Size, Root: signed.pages.Root}
	err = a.newer(ctx, layout.PageTile, ofPages, a.leaves(ctx, catalog.Pages, 0, pages), func(leaf []byte) error {
		p, err := record.DecodePage(leaf)
		if err == nil {
			_, err = a.tx.Published(p)
		}
		return err
	})
	if err != nil {
		return err
	}
	for tag := range a.dropped {
		// One whose pages are gone has been dropped whole.
		left, err := a.tx.PagesBelow(layout.Snapshot(tag))
		if err == nil && len(left) == 0 {
			err = a.tx.DropSnapshot(tag, snapshotView(tag), trueNow(), time.Duration(a.Grace))
		}
		if err != nil {
			return err
		}
	}
	if err := errors.Join(extendLogs(a.tx), a.tx.SetMeta(metaTookOver, strconv.FormatInt(a.tx.Last(), 10))); err != nil {
		return err
	}
	if err := a.goesOn(signed); err != nil {
		return fmt.Errorf("%w the published one", err)
	}
	remembered, err := a.remembered()
	if err != nil {
		return nil // it is told when something is to be signed
	}
	if err := a.goesOn(remembered); err != nil {
		return fmt.Errorf("%w the last one that the site has signed", err)
	}
	return nil
}

// goesOn makes sure that the logs begin with those of a checkpoint. The error ends before
// the name of that.
func (a *adoption) goesOn(c checkpoint) error {
	for log, of := range map[catalog.LogName]record.PagesRoot{catalog.Events: {Size: c.Size, Root: c.Root}, catalog.Pages: c.pages} {
		size, err := a.tx.LogSize(log)
		root := of.Root
		if err == nil && of.Size > 0 && of.Size <= size {
			root, err = tilelog.Root(of.Size, a.tx.Tiles(log))
		}
		if err != nil || of.Size > size || root != of.Root {
			return errors.Join(err, fmt.Errorf("the log of %s would not go on from", log))
		}
	}
	return nil
}

// metaTookOver is the key under which the catalog keeps the serial of the last event that
// was taken over from the published log.
const metaTookOver = "took over"

// tookOverSince gives the projects that events after a serial are about, if some of these
// were taken over.
func (s *site) tookOverSince(ctx context.Context, serial int64) (map[packaging.Name]bool, error) {
	text, err := s.catalog.Meta(ctx, metaTookOver)
	if last, _ := strconv.ParseInt(text, 10, 64); err != nil || last <= serial {
		return nil, storage(err)
	}
	names, err := s.catalog.ChangedSince(ctx, serial)
	set := map[packaging.Name]bool{}
	for _, n := range names {
		set[n] = true
	}
	return set, storage(err)
}

// event takes over one event.
func (a *adoption) event(leaf []byte) error {
	r, err := record.Decode(leaf)
	if err != nil {
		return err
	}
	err = a.tx.Adopt(&r, trueNow(), time.Duration(a.Grace))
	if errors.Is(err, catalog.ErrUntold) {
		a.untold, err = append(a.untold, err), nil
	}
	if err != nil {
		return err
	}
	a.events++
	if r.Project != "" {
		a.touched[r.Project] = true
	}
	if t, ok := r.Named(); ok {
		if r.Verb == catalog.Snapshot {
			delete(a.dropped, t.Tag)
		} else if r.Verb == catalog.Drop {
			a.dropped[t.Tag] = true
		}
	}
	return tookOver(a.tx, &r.Event)
}

// tookOver notes what an event that was taken over stands for besides the index.
func tookOver(tx *catalog.Tx, e *catalog.Event) error {
	switch e.Verb {
	case catalog.Rotation:
		return tookRotation(tx, e)
	case catalog.Rollback:
		return tookRollback(tx, e)
	case catalog.Resume:
		return goOn(tx)
	case catalog.Snapshot:
		return tookSnapshot(tx, e)
	}
	return nil
}

// ahead is the error for a catalog that is behind a log which cannot be followed.
// Whatever happened now would have a serial that something else has already, and the
// history could never be one again.
func (s *site) ahead(signed checkpoint, serial int64, err error) error {
	return &fault{ErrAlarm, fmt.Errorf("%s: this catalog ends with event %d, as one from a backup does, and the published log goes on to event %d, which cannot be taken over: %w; nothing was changed",
		s.catalogFile(), serial, signed.Size, err),
		`put right what it says, from a backup or a mirror if need be, or put the newest catalog back, and run "nestgen build"; if all that is lost, ` + newLogHint}
}

// maxTile is how many bytes a file of a log has at most: one of the records, each after
// its length.
const maxTile = tilelog.TileWidth * (2 + tilelog.MaxRecord)

// newer reads a published log, makes sure that it begins with the leaves that the
// catalog has, and calls each for the others.
func (s *site) newer(ctx context.Context, at func(string) string, c tilelog.Checkpoint, own iter.Seq2[[]byte, error], each func(leaf []byte) error) error {
	next, stop := iter.Pull2(own)
	defer stop()
	fetch := func(_ context.Context, path string) ([]byte, error) { return s.readPublished(at(path), maxTile) }
	return tilelog.Verify(ctx, fetch, c, func(index int64, leaf []byte) error {
		mine, err, known := next()
		switch {
		case err != nil:
			return err
		case !known:
			return each(leaf)
		case !bytes.Equal(mine, leaf):
			return fmt.Errorf("entry %d: %w", index+1, errOtherHistory)
		}
		return nil
	})
}
