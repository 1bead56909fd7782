package nestgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/lockfile"
	"nestgen/packaging"
	"nestgen/resolve"
	"nestgen/target"
)

// A LockOptions says what to lock.
type LockOptions struct {
	// Environments are the names of the machines; none for those of the settings.
	Environments []string

	// Lists are the allowlists whose lines are installed together; none for all.
	Lists []string

	// Dir is the folder that the lock file will be in. Files are named relative to
	// it if the settings have no BaseURL.
	Dir string

	Log *slog.Logger
}

// Lock gives what the published index answers at this moment to those who install
// all that the allowlist asks for: for each machine one set of versions, and the
// files of these. It asks nobody and changes nothing. An error is for what cannot
// be installed together.
func Lock(ctx context.Context, c Config, o LockOptions) (lockfile.Frozen, error) {
	targets, err := c.targetsOf(o.Environments)
	if err != nil {
		return lockfile.Frozen{}, err
	}
	s, err := open(c, Options{DryRun: true, Offline: true, Log: o.Log})
	if err != nil {
		return lockfile.Frozen{}, err
	}
	frozen, err := s.lock(ctx, targets, o)
	return frozen, errors.Join(err, s.close())
}

func (s *site) lock(ctx context.Context, targets []*target.Target, o LockOptions) (frozen lockfile.Frozen, err error) {
	if err := s.readIntent(ctx); err != nil {
		return frozen, err
	}
	if s.intent.faulty {
		return frozen, s.faultyList()
	}
	roots, err := s.lockRoots(o.Lists)
	if err != nil {
		return frozen, err
	}
	index := indexOf(roots)
	l := locker{site: s, index: index, dir: o.Dir, pins: map[string]*lockfile.Pin{}}
	reader := newNeedsReader(s)
	for _, t := range targets {
		frozen.Environments = append(frozen.Environments, lockfile.Environment{Name: t.Name, Marker: t.Marker()})
		in := &installer{site: s, stock: &own{s, reader, index}, target: t, installation: &installation{target: t}, built: map[string]bool{}}
		var here []*root
		for _, r := range roots {
			if in.applies(r) {
				here = append(here, r)
			}
		}
		if len(here) == 0 {
			continue
		}
		set, err := in.solve(ctx, here)
		switch {
		case err != nil && endsAll(ctx, err):
			return frozen, err
		case err != nil:
			return frozen, &fault{ErrIncomplete, fmt.Errorf("on %s: %w", t, err), "if the lines are of several lists that are not installed together, lock one with --list"}
		case len(set.direct) > 0:
			return frozen, &fault{ErrIncomplete, fmt.Errorf("on %s: %s; what has an address is not had from an index", t, set.direct[0]), "lock lines that do not need it"}
		case len(set.unmet) > 0:
			return frozen, &fault{ErrIncomplete, fmt.Errorf("on %s: %w", t, set.unmet[0].err), ""}
		case len(set.unknown) > 0:
			return frozen, &fault{ErrIncomplete,
				fmt.Errorf("on %s: %s does not say what it needs except to those who run its code, so that a lock would not be whole", t, set.unknown[0]),
				"put a wheel of it into a drop folder"}
		}
		if err := l.add(ctx, t, set); err != nil {
			return frozen, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(l.pins)) {
		frozen.Pins = append(frozen.Pins, *l.pins[key])
	}
	return frozen, nil
}

// lockRoots gives the lines of some of the lists, or of all.
func (s *site) lockRoots(lists []string) (roots []*root, err error) {
	var names []string
	for _, list := range s.roots() {
		name := list[0].list()
		names = append(names, name)
		if len(lists) == 0 || slices.Contains(lists, name) {
			roots = append(roots, list...)
		}
	}
	for _, name := range lists {
		if !slices.Contains(names, name) {
			return nil, &fault{ErrSettings, fmt.Errorf("%s: no list of this name asks for anything", name), "the lists are " + strings.Join(names, ", ")}
		}
	}
	return roots, nil
}

// indexOf gives the index that all lines are of, or the site's own, which has
// everything.
func indexOf(roots []*root) string {
	if len(roots) == 0 || slices.ContainsFunc(roots, func(r *root) bool { return r.want.List != roots[0].want.List }) {
		return ""
	}
	return roots[0].want.List
}

// A locker gathers what several machines install.
type locker struct {
	*site
	index string // that is locked; empty for the site's own
	dir   string
	pins  map[string]*lockfile.Pin // by name and version
}

func (l *locker) add(ctx context.Context, t *target.Target, set *installed) error {
	for _, p := range set.pins {
		key := string(p.name) + " " + p.version
		pin := l.pins[key]
		if pin == nil {
			pin = &lockfile.Pin{Project: p.name, Version: p.version}
			l.pins[key] = pin
		}
		pin.Environments = append(pin.Environments, t.Name)
		for _, n := range set.needs[p.name] {
			if !slices.Contains(pin.Dependencies, n) {
				pin.Dependencies = append(pin.Dependencies, n)
			}
		}
		if err := l.files(ctx, t, p, pin); err != nil {
			return err
		}
	}
	return nil
}

// files adds the files of a version that a machine can install.
func (l *locker) files(ctx context.Context, t *target.Target, p pin, to *lockfile.Pin) error {
	project, err := listedIn(ctx, l.catalog, cmp.Or(l.index, rootIndex), p.name)
	if err != nil {
		return storage(err)
	}
	for _, f := range project.Files {
		name, err := packaging.ParseFilename(f.Filename, p.name)
		if err != nil || f.Announced || packaging.CompareVersionStrings(f.Version, p.version) != 0 {
			continue
		}
		if _, fits := t.Rank(name); !fits || slices.ContainsFunc(to.Files, func(o lockfile.File) bool { return o.Name == f.Filename }) {
			continue
		}
		to.Files = append(to.Files, l.file(f))
		if to.RequiresPython == "" {
			to.RequiresPython = f.RequiresPython
		}
	}
	if l.BaseURL != "" {
		x, _ := l.Config.index(l.index) // the site's own has no prefix
		to.Index = l.BaseURL + layout.Below(x.Prefix, layout.Simple) + "/"
	}
	return nil
}

// file gives a file as a lock names it.
func (l *locker) file(f catalog.File) lockfile.File {
	file := lockfile.File{
		Name: f.Filename, Size: f.Size, Hashes: map[string]string{"sha256": f.SHA256.String()},
		Uploaded: f.Uploaded,
	}
	if l.BaseURL != "" {
		file.URL = l.BaseURL + (&url.URL{Path: f.Path}).EscapedPath()
		return file
	}
	path := l.site.file(f.Path)
	if rel, err := filepath.Rel(l.dir, path); err == nil {
		path = rel
	}
	file.Path = filepath.ToSlash(path)
	return file
}

// neededBy gives which projects of a set each of them needs.
func neededBy(found *resolve.Set) map[packaging.Name][]packaging.Name {
	needs := map[packaging.Name][]packaging.Name{}
	for _, p := range found.Pins {
		for _, a := range p.Asks {
			if a.By != "" && a.By != p.Name && !slices.Contains(needs[a.By], p.Name) {
				needs[a.By] = append(needs[a.By], p.Name)
			}
		}
	}
	return needs
}
