// Package realtree has an index of real projects for tests, and asks pip for its
// answers about it, so that what is said of a set of versions has a judge that
// is not of this project.
//
// The facts are in testdata: names, versions, tags and requirements as the
// projects themselves published them. The distributions are made from these
// facts; they hold nothing else.
package realtree

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nestgen/intake/intaketest"
	"nestgen/packaging"
	"nestgen/resolve"
)

// A File is a wheel of a project: what its page and its metadata say.
type File struct {
	Project        string   `json:"project"`
	Filename       string   `json:"filename"`
	RequiresPython string   `json:"requires_python,omitempty"`
	RequiresDist   []string `json:"requires_dist,omitempty"`
	ProvidesExtra  []string `json:"provides_extra,omitempty"`
	Yanked         bool     `json:"yanked,omitempty"`
}

// A Tree is all files of an index.
type Tree struct {
	Files []File
}

// WriteTo makes an index of the files below a folder: simple/ with a page for each
// project, and files/. It gives the URL of the index for pip.
func (t Tree) WriteTo(folder string) (string, error) {
	pages := map[packaging.Name]*strings.Builder{}
	if err := os.MkdirAll(filepath.Join(folder, "files"), 0o755); err != nil {
		return "", err
	}
	for _, f := range t.Files {
		data, err := f.Wheel()
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(folder, "files", f.Filename), data, 0o644); err != nil {
			return "", err
		}
		n := packaging.NormalizeName(f.Project)
		page := pages[n]
		if page == nil {
			page = &strings.Builder{}
			page.WriteString("<!DOCTYPE html>\n")
			pages[n] = page
		}
		fmt.Fprintf(page, `<a href="../../files/%s#sha256=%x"`, f.Filename, sha256.Sum256(data))
		if f.RequiresPython != "" {
			fmt.Fprintf(page, ` data-requires-python="%s"`, html.EscapeString(f.RequiresPython))
		}
		if f.Yanked {
			page.WriteString(` data-yanked=""`)
		}
		fmt.Fprintf(page, ">%s</a>\n", f.Filename)
	}
	for _, n := range slices.Sorted(maps.Keys(pages)) {
		dir := filepath.Join(folder, "simple", string(n))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte(pages[n].String()), 0o644); err != nil {
			return "", err
		}
	}
	return "file://" + filepath.ToSlash(folder) + "/simple/", nil
}

// Wheel makes the bytes of a file.
func (f File) Wheel() ([]byte, error) {
	w, err := packaging.ParseWheel(f.Filename)
	if err != nil {
		return nil, err
	}
	// Metadata-Version 2.1 is the oldest that has everything here.
	m := "Metadata-Version: 2.1\nName: " + f.Project + "\nVersion: " + w.Version + "\n"
	if f.RequiresPython != "" {
		m += "Requires-Python: " + f.RequiresPython + "\n"
	}
	for _, x := range f.ProvidesExtra {
		m += "Provides-Extra: " + x + "\n"
	}
	for _, q := range f.RequiresDist {
		m += "Requires-Dist: " + q + "\n"
	}
	_, data := intaketest.Wheel(f.Project, w.Version, intaketest.Opts{
		Metadata: m, Tag: w.Python + "-" + w.ABI + "-" + w.Platform, Build: w.Build,
	})
	return data, nil
}

// An Environment is a machine as pip sees it.
type Environment struct {
	Name string

	// Args are pip's arguments for a machine that is not the one it runs on.
	Args []string

	Markers packaging.Environment

	// Tags are what the machine takes, best first.
	Tags []string
}

// Provider gives the tree as it is on offer in an environment.
func (t Tree) Provider(e Environment) *Provider {
	p := &Provider{rank: map[string]int{}, projects: map[packaging.Name][]File{}, e: e}
	for i, tag := range e.Tags {
		if _, ok := p.rank[tag]; !ok {
			p.rank[tag] = i
		}
	}
	for _, f := range t.Files {
		n := packaging.NormalizeName(f.Project)
		p.projects[n] = append(p.projects[n], f)
	}
	return p
}

// A Provider is a [resolve.Provider] of a tree.
type Provider struct {
	e        Environment
	rank     map[string]int
	projects map[packaging.Name][]File
}

// Candidates gives the best file of each version, as pip ranks them: one that is
// not yanked first, then by tag, then by build.
func (p *Provider) Candidates(_ context.Context, n packaging.Name) ([]resolve.Candidate, error) {
	files, ok := p.projects[n]
	if !ok {
		return nil, fs.ErrNotExist
	}
	python, err := packaging.ParseVersion(p.e.Markers.PythonFullVersion)
	if err != nil {
		return nil, err
	}
	type ranked struct {
		resolve.Candidate
		rank  int
		build string
	}
	best := map[string]ranked{}
	for _, f := range files {
		w, err := packaging.ParseWheel(f.Filename)
		if err != nil {
			return nil, err
		}
		v, err := packaging.ParseVersion(w.Version)
		if err != nil {
			return nil, err
		}
		// pip ignores what is no specifier, such as ">=3.5.*".
		s, _ := packaging.ParseSpecifiers(f.RequiresPython)
		r := ranked{resolve.Candidate{Version: v, Filename: f.Filename, Yanked: f.Yanked}, -1, w.Build}
		for _, tag := range w.Tags() {
			if i, ok := p.rank[tag.String()]; ok && (r.rank < 0 || i < r.rank) {
				r.rank = i
			}
		}
		if r.rank < 0 || !s.Contains(python, packaging.AllowPrereleases) {
			continue
		}
		old, ok := best[v.Canonical()]
		better := !ok || old.Yanked && !r.Yanked ||
			old.Yanked == r.Yanked && (r.rank < old.rank || r.rank == old.rank && packaging.CompareBuilds(r.build, old.build) > 0)
		if better {
			best[v.Canonical()] = r
		}
	}
	var candidates []resolve.Candidate
	for _, r := range best {
		candidates = append(candidates, r.Candidate)
	}
	return candidates, nil
}

// Requires gives what the file of a candidate requires.
func (p *Provider) Requires(_ context.Context, n packaging.Name, c resolve.Candidate) (resolve.Requirements, error) {
	i := slices.IndexFunc(p.projects[n], func(f File) bool { return f.Filename == c.Filename })
	if i < 0 {
		return resolve.Requirements{}, errors.New("no such file")
	}
	f := p.projects[n][i]
	r := resolve.Requirements{Extras: f.ProvidesExtra}
	r.Python, _ = packaging.ParseSpecifiers(f.RequiresPython)
	for _, text := range f.RequiresDist {
		q, err := packaging.ParseRequirement(text)
		if err != nil {
			return r, fmt.Errorf("%w: %w", resolve.ErrUnusable, err)
		}
		r.Dist = append(r.Dist, q)
	}
	return r, nil
}
