package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"nestgen"
)

// A site is one that is measured.
type site struct {
	l   *lab
	dir string
}

// The settings of a site that has the simple pages only.
const simpleOnly = "drop = [\"drop\"]\npeople = false\nflat = false\nlegacy_json = \"none\"\n" + noHistory

// noHistory has nothing published of the past.
const noHistory = "changes = \"none\"\nlog = false\n"

// newSite makes a site with an empty drop folder.
func (l *lab) newSite(name, settings string) (*site, error) {
	s := &site{l, filepath.Join(l.dir, name)}
	if err := os.MkdirAll(s.path("drop"), 0o755); err != nil {
		return nil, err
	}
	return s, s.configure(settings)
}

func (s *site) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

func (s *site) configure(settings string) error {
	return os.WriteFile(s.path("nestgen.toml"), []byte(settings), 0o644)
}

// build runs a build that must end well.
func (s *site) build(ctx context.Context) (usage, error) {
	return s.l.time(ctx, s.dir, 0, s.command()...)
}

// command is a build as cron runs it.
func (s *site) command() []string { return []string{s.l.nestgen, "build", "-q"} }

// report reads what the last build said.
func (s *site) report() (*nestgen.Report, error) {
	data, err := os.ReadFile(s.path("state/report.json"))
	if err != nil {
		return nil, err
	}
	r := new(nestgen.Report)
	return r, json.Unmarshal(data, r)
}
