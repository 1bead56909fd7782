package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"nestgen/bench/dataset"
	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
)

// variants are the sets of pages that are timed, by their settings.
var variants = []struct{ what, settings, target string }{
	{"simple pages", simpleOnly, "100k: cpu <= 1.3, <= 64 MiB, <= 2.0 of floor"},
	{"simple, flat, easy", "drop = [\"drop\"]\npeople = false\nlegacy_json = \"none\"\n" + noHistory, ""},
	{"and pages for people", "drop = [\"drop\"]\nlegacy_json = \"none\"\n" + noHistory, ""},
	{"and legacy JSON", "drop = [\"drop\"]\n" + noHistory, ""},
	{"and the log, and what changed", "drop = [\"drop\"]\n", ""},
}

// pages measures making every page of a site from its catalog. The files
// themselves are not there: pages are made of the catalog alone.
func (l *lab) pages(ctx context.Context, files int) error {
	projects := slices.Collect(dataset.Projects(dataset.Options{Files: files}))
	s, err := l.catalogSite(ctx, projects)
	if err != nil {
		return err
	}
	list, rows, packed := filepath.Join(l.dir, "list.jsonl"), filepath.Join(l.dir, "rows.jsonl"), filepath.Join(l.dir, "packed")
	if err := errors.Join(writeList(list, projects, false), writeList(rows, projects, true)); err != nil {
		return err
	}
	if _, err := l.time(ctx, l.dir, 0, l.floor, "pack", rows, packed); err != nil {
		return err
	}
	out := func(run int, what string) string { return filepath.Join(l.dir, "out", what, strconv.Itoa(run)) }
	all := []*contender{{
		what: "floor", dir: l.dir,
		argv: func(run int) []string { return []string{l.floor, "pages", packed, out(run, "floor")} },
	}}
	for _, v := range variants {
		c := &contender{what: "nestgen: " + v.what, dir: s.dir, argv: func(int) []string { return s.command() }, target: v.target}
		// What the turn before has published of other sets is noted as gone first.
		c.before = func(int) error {
			err := errors.Join(s.configure(v.settings), s.setAside())
			if err == nil {
				_, err = l.time(ctx, s.dir, 0, s.command()...)
			}
			return errors.Join(err, s.setAside())
		}
		c.after = func(usage) error {
			r, err := s.report()
			if err != nil {
				return err
			}
			c.counts = map[string]int64{"pages": int64(r.Pages.Written), "bytes": r.Pages.Bytes}
			return nil
		}
		all = append(all, c)
	}
	for _, p := range l.peers {
		if p.uses("{list}") || p.uses("{rows}") {
			all = append(all, &contender{
				what: p.name, dir: l.dir,
				before: func(run int) error { return os.MkdirAll(filepath.Dir(out(run, p.name)), 0o755) },
				argv:   func(run int) []string { return p.command("{list}", list, "{rows}", rows, "{out}", out(run, p.name)) },
			})
		}
	}
	return l.turns(ctx, "pages", files, all...)
}

func writeList(file string, projects []*dataset.Project, all bool) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	return errors.Join(dataset.WriteList(w, projects, all), w.Flush(), f.Close())
}

// seed is a project with one file that is really there, so that the drop folder
// of a site is not an empty one.
func seed() *dataset.Project {
	return &dataset.Project{Name: "zenith", Releases: []dataset.Release{{
		Version: "1.0", Files: []dataset.File{{Filename: "zenith-1.0-py3-none-any.whl", Kind: packaging.Wheel}},
	}}}
}

// catalogSite makes a site whose catalog has projects that it was never given.
func (l *lab) catalogSite(ctx context.Context, projects []*dataset.Project) (*site, error) {
	s, err := l.newSite("site", simpleOnly)
	if err != nil {
		return nil, err
	}
	if err := dataset.Write(s.path("drop"), []*dataset.Project{seed()}); err != nil {
		return nil, err
	}
	if _, err := s.build(ctx); err != nil {
		return nil, err
	}
	c, err := catalog.Open(s.path("state/catalog.db"))
	if err != nil {
		return nil, err
	}
	for batch := range slices.Chunk(projects, 512) {
		err := c.Update(ctx, time.Now(), func(tx *catalog.Tx) error {
			for _, p := range batch {
				if err := putProject(tx, p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return s, c.Close()
}

func putProject(tx *catalog.Tx, p *dataset.Project) error {
	n := packaging.NormalizeName(p.Name)
	if err := tx.Claim(n, p.Name, catalog.Local); err != nil {
		return err
	}
	for i := range p.Releases {
		r := &p.Releases[i]
		for k := range r.Files {
			f := &r.Files[k]
			place := sha256.Sum256([]byte("place of " + f.Filename))
			file := catalog.File{
				Project: n, Filename: f.Filename, Version: r.Version, Kind: f.Kind, Size: f.Bytes(),
				SHA256: f.Digest(), BLAKE2b: place, Path: layout.File(place, f.Filename),
				RequiresPython: r.RequiresPython, Uploaded: f.Uploaded * 1e6, Source: catalog.Local,
				Yanked: catalog.Yank{Yanked: r.Yanked != "", Reason: r.Yanked},
			}
			if f.Kind == packaging.Wheel {
				file.Metadata = sha256.Sum256([]byte("metadata of " + f.Filename))
			}
			if err := tx.Put(file, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// setAside moves every page out of the site, so that the next build makes all
// of them. Nothing is deleted, as that would make the file system slow.
func (s *site) setAside() error {
	to, err := os.MkdirTemp(s.dir, "aside-")
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(s.path("site"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == layout.Packages {
			continue
		}
		if err := os.Rename(s.path("site/"+e.Name()), filepath.Join(to, e.Name())); err != nil {
			return fmt.Errorf("set aside: %w", err)
		}
	}
	return nil
}
