package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"

	"nestgen"
	"nestgen/packaging"
)

// A site is a [nestgen.Live] that is opened when a request cannot do without:
// most are about names that do not come on demand, and opening the catalog takes
// longer than all the rest of such a request. It implements
// [nestgen/fallback.Site].
type site struct {
	config nestgen.Config
	log    *slog.Logger

	mu   sync.Mutex
	live *nestgen.Live
}

// join opens the site, once. After an error the next one tries again.
func (s *site) join() (*nestgen.Live, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		l, err := nestgen.Join(s.config, s.log)
		if err != nil {
			return nil, err
		}
		s.live = l
	}
	return s.live, nil
}

func (s *site) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		return nil
	}
	return s.live.Close()
}

// notHere is the answer for what the settings rule out by themselves.
var notHere = &nestgen.Refusal{Cause: nestgen.NotHere, Text: "There is no such project here"}

// Project implements [nestgen/fallback.Site].
func (s *site) Project(ctx context.Context, n packaging.Name) error {
	if !s.config.Comes(n) {
		return notHere
	}
	l, err := s.join()
	if err != nil {
		return err
	}
	return l.Project(ctx, n)
}

// File implements [nestgen/fallback.Site].
func (s *site) File(ctx context.Context, path string, begin func(size int64) io.Writer) error {
	if len(s.config.OnDemand) == 0 {
		return notHere
	}
	l, err := s.join()
	if err != nil {
		return err
	}
	return l.File(ctx, path, begin)
}

// Stage implements [nestgen/fallback.Site].
func (s *site) Stage(ctx context.Context) (*os.File, error) {
	l, err := s.join()
	if err != nil {
		return nil, err
	}
	return l.Stage(ctx)
}

// Upload implements [nestgen/fallback.Site].
func (s *site) Upload(ctx context.Context, u nestgen.Uploaded) error {
	l, err := s.join()
	if err != nil {
		return err
	}
	return l.Upload(ctx, u)
}
