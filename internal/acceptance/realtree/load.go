package realtree

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"nestgen/target"
)

//go:embed testdata/tree.jsonl
var tree []byte

//go:embed testdata/roots.txt
var roots string

// Load gives the real projects of testdata.
func Load() (Tree, error) {
	var t Tree
	d := json.NewDecoder(bytes.NewReader(tree))
	d.DisallowUnknownFields()
	for d.More() {
		// One release of a project with its wheels.
		var r struct {
			Name, Version string
			Python        string
			Requires      []string
			Extras        []string

			// Stem is what the names of the wheels begin with, where that is
			// not the name with underscores and the version.
			Stem string
			Tags []string
		}
		if err := d.Decode(&r); err != nil {
			return Tree{}, fmt.Errorf("tree.jsonl: %w", err)
		}
		if r.Stem == "" {
			r.Stem = strings.ReplaceAll(r.Name, "-", "_") + "-" + r.Version
		}
		for _, tag := range r.Tags {
			t.Files = append(t.Files, File{
				Project: r.Name, Filename: r.Stem + "-" + tag + ".whl",
				RequiresPython: r.Python, RequiresDist: r.Requires, ProvidesExtra: r.Extras,
			})
		}
	}
	return t, nil
}

// Roots are requirements that everything else in the tree is there for.
func Roots() []string { return strings.Fields(roots) }

// Targets gives machines of package target by their names, with the arguments by
// which pip resolves as if it ran there. It is for CPython only.
func Targets(names ...string) ([]Environment, error) {
	var es []Environment
	for _, name := range names {
		t, err := target.Parse(name)
		if err != nil {
			return nil, err
		}
		e := Environment{Target: t}
		digits := strings.ReplaceAll(t.Markers.PythonVersion, ".", "")
		e.Args = []string{"--implementation", "cp", "--python-version", t.Markers.PythonFullVersion,
			"--abi", "cp" + digits, "--abi", "abi3", "--abi", "none"}
		seen := map[string]bool{"any": true}
		for _, tag := range t.Tags() {
			if !seen[tag.Platform] {
				seen[tag.Platform] = true
				e.Args = append(e.Args, "--platform", tag.Platform)
			}
		}
		es = append(es, e)
	}
	return es, nil
}
