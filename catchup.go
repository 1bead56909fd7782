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

// catchUp takes over from the published log what the catalog does not have.
func (s *site) catchUp(ctx context.Context) error {
	if !s.PublishLog {
		return nil
	}
	signed, err := s.readCheckpoint()
	if err != nil {
		return nil // there is none of this site; what is wrong with it is told when the log is published
	}
	serial, err := s.catalog.Serial(ctx)
	if err != nil {
		return storage(err)
	}
	pages, err := s.catalog.LogSize(ctx, catalog.Pages)
	if err != nil || signed.Size <= serial && signed.pages.Size <= pages {
		return storage(err)
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
	case err != nil:
		s.log.Warn("the published log cannot be followed", "error", err)
		return nil // it is told when the log is published
	}
	err = s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		touched := map[packaging.Name]bool{}
		for i := range records {
			if err := tx.Adopt(&records[i], trueNow(), time.Duration(s.Grace)); err != nil {
				return err
			}
			touched[records[i].Project] = true
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
	if n := len(records); n > 0 {
		s.warn(s.catalogFile(), "this is what a catalog from a backup is like; promotions and snapshots since then are not made again",
			"the catalog ended with event %d, and the published log goes on: %d events were taken over from there", serial, n)
	}
	return nil
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
