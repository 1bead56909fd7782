package nestgen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"nestgen/catalog"
	"nestgen/intake"
	"nestgen/plan"
)

// metaArriving is the key under which the catalog keeps the paths of files that
// were announced and are about to enter the store, one a line. Whoever puts one
// there and dies before the catalog knows leaves the mark to the next build.
const metaArriving = "arriving"

// arriving sets the mark of a file.
func (s *site) arriving(ctx context.Context, path string) error {
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return setArriving(tx, path, true) }))
}

func setArriving(tx *catalog.Tx, path string, on bool) error {
	old, err := tx.Meta(metaArriving)
	if err != nil {
		return err
	}
	marks := marksIn(old)
	marks = slices.DeleteFunc(marks, func(p string) bool { return p == path })
	if on {
		marks = append(marks, path)
	}
	return tx.SetMeta(metaArriving, strings.Join(marks, "\n"))
}

func marksIn(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == '\n' })
}

// afterRequests makes good what requests have left that died: the catalog comes to
// know of the files that they put into the store, and their old locks go.
func (s *site) afterRequests(ctx context.Context) error {
	if s.opts.DryRun {
		return nil
	}
	marks, err := s.catalog.Meta(ctx, metaArriving)
	if err != nil {
		return storage(err)
	}
	for _, path := range marksIn(marks) {
		if err := s.adoptAt(ctx, path); err != nil {
			return err
		}
	}
	if len(s.OnDemand) == 0 {
		return nil
	}
	return storage(s.demandTable().Sweep(time.Duration(s.Grace)))
}

// adoptAt sees to one mark. It stays while a request is at work on the file, and
// as long as what is there cannot be what was announced.
func (s *site) adoptAt(ctx context.Context, path string) error {
	atOnce, cancel := context.WithCancel(ctx)
	cancel()
	visit, err := s.demandTable().Enter(atOnce, path)
	if errors.Is(err, context.Canceled) {
		return ctx.Err()
	}
	if err != nil {
		return storage(err)
	}
	defer visit.Leave()
	f, err := s.catalog.FileAt(ctx, path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storage(err)
	}
	if err == nil && f.Announced && s.exists(path) {
		if err := s.adopt(ctx, f, "on demand"); err != nil {
			if ctx.Err() != nil || ownStorage(err) {
				return storage(err)
			}
			s.report.problem(plan.Alarm, path, `run "nestgen verify"`, "it was announced and is here, but cannot be listed as such: %v", err)
			return nil
		}
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return setArriving(tx, path, false) }))
}

// adopt notes in the catalog that a file is here which was announced.
func (s *site) adopt(ctx context.Context, f catalog.File, why string) error {
	h, err := s.openRegular(f.Path)
	if err != nil {
		return err
	}
	defer h.Close()
	sums, err := intake.Digest(h)
	if err != nil {
		return err
	}
	if sums.SHA256 != f.SHA256 {
		return fmt.Errorf("its sha256 is %s, and %s was announced", sums.SHA256, f.SHA256)
	}
	facts, err := intake.Inspect(h, sums.Size, f.Filename, f.Project, intake.Mirrored)
	if err != nil {
		return err
	}
	a := newArrival(f.Project, f.Filename, sums, facts, "")
	a.of = &decided{Project: &plan.Project{Name: f.Project, Current: &catalog.Project{Files: []catalog.File{f}}}}
	advice, err := s.advice(ctx, f.Project, nil)
	if err != nil {
		return err
	}
	s.describe(a, plan.Choice{Source: f.Source, Offer: offerOf(f), Path: f.Path}, advice)
	if err := s.expose(ctx, []*arrival{a}); err != nil {
		return err
	}
	return s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		_, err := tx.Arrive(a.file, why)
		return err
	})
}
