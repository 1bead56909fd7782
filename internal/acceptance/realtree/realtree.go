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
	"nestgen/target"
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
	target.Target

	// Args are pip's arguments for a machine that is not the one it runs on.
	Args []string
}

// A Provider is a [resolve.Provider] of a tree.
type Provider struct {
	machine  target.Target
	projects map[packaging.Name][]File
}

// Provider gives the tree as it is on offer in an environment.
func (t Tree) Provider(e Environment) *Provider {
	p := &Provider{machine: e.Target, projects: map[packaging.Name][]File{}}
	for _, f := range t.Files {
		n := packaging.NormalizeName(f.Project)
		p.projects[n] = append(p.projects[n], f)
	}
	return p
}

// Candidates gives what the machine can install of a project.
func (p *Provider) Candidates(_ context.Context, n packaging.Name) ([]resolve.Candidate, error) {
	files, ok := p.projects[n]
	if !ok {
		return nil, fs.ErrNotExist
	}
	var listed []resolve.File
	for _, f := range files {
		w, err := packaging.ParseFilename(f.Filename, n)
		if err != nil {
			return nil, err
		}
		listed = append(listed, resolve.File{Filename: w, As: f.Filename, RequiresPython: f.RequiresPython, Yanked: f.Yanked})
	}
	return resolve.Offer(&p.machine, listed), nil
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
