package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"nestgen/bench/dataset"
	"nestgen/packaging"
)

// withoutPeople has the simple pages and those that list every file.
const withoutPeople = "drop = [\"drop\"]\npeople = false\nlegacy_json = \"none\"\n"

// statusChanges is what plan ends with when a build would change something.
const statusChanges = 10

// drop measures a drop folder of small archives: seen for the first time, taken
// in, with nothing new in it, with one file more, and with one more project.
func (l *lab) drop(ctx context.Context, files int) error {
	projects := slices.Collect(dataset.Projects(dataset.Options{Files: files}))
	s, err := l.newSite("site", withoutPeople)
	if err != nil {
		return err
	}
	if err := dataset.Write(s.path("drop"), projects); err != nil {
		return err
	}
	if err := l.scanDrop(ctx, s, "cold scan", files, "100k: wall <= 4 on 2 cores"); err != nil {
		return err
	}
	if err := l.firstBuild(ctx, s, files); err != nil {
		return err
	}
	if err := l.nothing(ctx, s, files); err != nil {
		return err
	}
	return l.oneMore(ctx, s, projects, files)
}

// archives measures the first look at archives of realistic sizes. One
// file in 25 does: their bytes are what counts.
func (l *lab) archives(ctx context.Context, files int) error {
	files = max(files/25, 1)
	s, err := l.newSite("site", withoutPeople)
	if err != nil {
		return err
	}
	if err := dataset.Write(s.path("drop"), slices.Collect(dataset.Projects(dataset.Options{Files: files, Pad: 40_000}))); err != nil {
		return err
	}
	return l.scanDrop(ctx, s, "cold scan, realistic sizes", files, ">= 0.9 GB/s on 2 cores")
}

// scanDrop times a plan of a site that has no cache of its drop folder. It
// leaves none.
func (l *lab) scanDrop(ctx context.Context, s *site, what string, files int, target string) error {
	bytes, err := folderBytes(s.path("drop"))
	if err != nil {
		return err
	}
	all := []*contender{
		{what: "floor: read and hash", dir: s.dir, bytes: bytes, argv: func(int) []string { return []string{l.floor, "scan", "drop"} }},
		{
			what: "nestgen: plan", dir: s.dir, status: statusChanges, target: target, bytes: bytes,
			counts: map[string]int64{"bytes": bytes}, argv: func(int) []string { return []string{l.nestgen, "plan"} },
		},
	}
	for _, p := range l.peers {
		if !p.uses("{drop}") {
			continue
		}
		place := func(run int, name string) string {
			return filepath.Join(l.dir, "peers", p.name, strconv.Itoa(run), name)
		}
		all = append(all, &contender{
			what: p.name, dir: s.dir,
			// What a peer writes beside its input is not to be seen by others.
			before: func(run int) error { return linkFolder(s.path("drop"), place(run, "drop")) },
			argv:   func(run int) []string { return p.command("{drop}", place(run, "drop"), "{out}", place(run, "out")) },
		})
	}
	return l.turns(ctx, what, files, all...)
}

func folderBytes(dir string) (sum int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil {
			return 0, err
		}
		sum += fi.Size()
	}
	return sum, nil
}

// linkFolder makes a folder with the same files.
func linkFolder(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Link(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// firstBuild times taking everything in, once.
func (l *lab) firstBuild(ctx context.Context, s *site, files int) error {
	began := load()
	u, err := s.build(ctx)
	if err != nil {
		return err
	}
	r, err := s.report()
	if err != nil {
		return err
	}
	row := Row{
		Bench: "first build", What: "nestgen", Files: files, Runs: 1, Load: began, FreshFS: l.fresh,
		Counts: map[string]int64{"files": int64(r.Added.Count), "pages": int64(r.Pages.Written)},
	}
	row.fill([]usage{u})
	l.rows = append(l.rows, row)
	return nil
}

// nothing times a build that has nothing to do.
func (l *lab) nothing(ctx context.Context, s *site, files int) error {
	before, err := s.snapshot()
	if err != nil {
		return err
	}
	find := &contender{what: "find -size", dir: s.dir, argv: func(int) []string { return []string{"find", "drop", "-size", "+1k"} }}
	c := &contender{
		what: "nestgen", dir: s.dir, target: "<= 1.6 of find, nothing written, <= 64 MiB",
		argv: func(int) []string { return s.command() }, counts: map[string]int64{},
	}
	c.after = func(u usage) error {
		c.counts["bytes of write calls"] = max(c.counts["bytes of write calls"], u.Written)
		return nil
	}
	if err := l.turns(ctx, "nothing to do", files, find, c); err != nil {
		return err
	}
	after, err := s.snapshot()
	if err != nil {
		return err
	}
	c.counts["files changed"] = changed(before, after)
	return nil
}

// A seen is what tells that a file or folder was changed.
type seen struct {
	size, mtime int64
	mode        fs.FileMode
}

// snapshot looks at everything in the site and the state, the store apart.
func (s *site) snapshot() (map[string]seen, error) {
	all := map[string]seen{}
	for _, root := range []string{"site", "state"} {
		err := filepath.WalkDir(s.path(root), func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if path == s.path("site/packages") {
				return fs.SkipDir
			}
			if path == s.path("state") {
				// SQLite makes files beside the catalog while it is open, and
				// removes them, which changes the time of the folder.
				return nil
			}
			fi, err := e.Info()
			if err == nil {
				all[path] = seen{fi.Size(), fi.ModTime().UnixNano(), fi.Mode()}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// changed counts what is not the same in both.
func changed(a, b map[string]seen) (n int64) {
	for path, x := range a {
		if y, ok := b[path]; !ok || x != y {
			n++
		}
	}
	for path := range b {
		if _, ok := a[path]; !ok {
			n++
		}
	}
	return n
}

// oneMore times a build that finds one file more, of a project that is known
// and of a new one.
func (l *lab) oneMore(ctx context.Context, s *site, projects []*dataset.Project, files int) error {
	known := ""
	for _, p := range projects[len(projects)/2:] {
		if string(packaging.NormalizeName(p.Name)) == p.Name {
			known = p.Name
			break
		}
	}
	if known == "" {
		return fmt.Errorf("no project with a plain name")
	}
	nth := 0
	more := func(what, target string, name func(n int) string) *contender {
		c := &contender{what: what, dir: s.dir, target: target, argv: func(int) []string { return s.command() }}
		c.before = func(int) error {
			nth++
			version := fmt.Sprintf("9000.%d", nth)
			n := name(nth)
			filename := strings.ReplaceAll(n, "-", "_") + "-" + version + "-py3-none-any.whl"
			return dataset.Write(s.path("drop"), []*dataset.Project{{Name: n, Releases: []dataset.Release{{
				Version: version,
				Files:   []dataset.File{{Filename: filename, Kind: packaging.Wheel}},
			}}}})
		}
		c.after = func(usage) error {
			r, err := s.report()
			if err != nil {
				return err
			}
			c.counts = map[string]int64{"files": int64(r.Added.Count), "pages": int64(r.Pages.Written), "page bytes": r.Pages.Bytes}
			return nil
		}
		return c
	}
	return l.turns(ctx, "one file added", files,
		more("nestgen: known project", "100k: wall <= 0.6, O(1) pages", func(int) string { return known }),
		more("nestgen: new project", "", func(n int) string { return fmt.Sprintf("newcomer-%d", n) }),
	)
}
