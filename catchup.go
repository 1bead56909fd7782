package nestgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
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
// further than the catalog, nobody may write.
func (s *site) catchUp(ctx context.Context) error {
	if !s.PublishLog {
		return nil
	}
	signed, err := s.readCheckpoint()
	unproven, is := errors.AsType[*unprovenError](err)
	switch {
	case isStorage(err):
		return storage(err)
	case err != nil && !is:
		return nil // there is none; what is wrong with it is told when the log is published
	}
	serial, err := s.catalog.Serial(ctx)
	if err != nil {
		return storage(err)
	}
	pages, err := s.catalog.LogSize(ctx, catalog.Pages)
	if err != nil || signed.Size <= serial && signed.pages.Size <= pages {
		return storage(err)
	}
	if unproven != nil {
		return s.ahead(signed, serial, unproven)
	}
	var records []catalog.Record
	err = s.newer(ctx, layout.EventTile, signed.Checkpoint, s.leaves(ctx, catalog.Events, 0, serial), func(leaf []byte) error {
		r, err := record.Decode(leaf)
		records = append(records, r)
		return err
	})
	var published []catalog.Page
	if err == nil {
		err = s.newer(ctx, layout.PageTile, tilelog.Checkpoint{Origin: signed.Origin, Size: signed.pages.Size, Root: signed.pages.Root}, s.leaves(ctx, catalog.Pages, 0, pages), func(leaf []byte) error {
			p, err := record.DecodePage(leaf)
			published = append(published, p)
			return err
		})
	}
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
	again := false
	err = s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		size, err := tx.LogSize(catalog.Pages)
		if again = tx.Last() != serial || size != pages; again || err != nil {
			return err // a request or a build has done so meanwhile
		}
		touched := map[packaging.Name]bool{}
		for i := range records {
			if err := tx.Adopt(&records[i], trueNow(), time.Duration(s.Grace)); err != nil {
				return err
			}
			touched[records[i].Project] = true
			if err := tookOver(tx, &records[i].Event); err != nil {
				return err
			}
		}
		delete(touched, "")
		for _, n := range slices.Sorted(maps.Keys(touched)) {
			if err := tx.Respelled(n); err != nil {
				return err
			}
		}
		for _, p := range published {
			if _, err := tx.Published(p); err != nil {
				return err
			}
		}
		return extendLogs(tx)
	})
	if err != nil {
		return storage(err)
	}
	if again {
		return s.catchUp(ctx)
	}
	if n := len(records); n > 0 {
		s.warn(s.catalogFile(), "this is what a catalog from a backup is like; promotions and snapshots since then are not made again",
			"the catalog ended with event %d, and the published log goes on: %d events were taken over from there", serial, n)
	}
	return nil
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
	}
	return nil
}

// ahead is the error for a catalog that is behind a log which cannot be followed.
// Whatever happened now would have a serial that something else has already, and the
// history could never be one again.
func (s *site) ahead(signed checkpoint, serial int64, err error) error {
	return &fault{ErrAlarm, fmt.Errorf("%s: this catalog ends with event %d, as one from a backup does, and the published log goes on to event %d, which cannot be taken over: %w; nothing was changed",
		s.catalogFile(), serial, signed.Size, err),
		`put right what it says, from a backup if need be, or the newest catalog back; only if all that is lost, take the folder log/ out of the site: then a new log begins, which those who follow it have to be told`}
}

// newer reads a published log, makes sure that it begins with the leaves that the
// catalog has, and calls each for the others.
func (s *site) newer(ctx context.Context, at func(string) string, c tilelog.Checkpoint, own iter.Seq2[[]byte, error], each func(leaf []byte) error) error {
	next, stop := iter.Pull2(own)
	defer stop()
	fetch := func(_ context.Context, path string) ([]byte, error) { return os.ReadFile(s.file(at(path))) }
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
