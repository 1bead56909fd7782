package allowlist

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Requirement files of public projects are read as pip reads them: the same
// lines, names, versions and hashes, and the same lines refused.
func TestRealLists(t *testing.T) {
	root, err := filepath.Abs("../../shared/data/reqs")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "index.json"))
	if err != nil {
		t.Skip("no recorded requirement files beside the repository: ", err)
	}
	var index []struct {
		File, Kind string
		Env        map[string]string
	}
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, it := range index {
		data, err := os.ReadFile(filepath.Join(root, it.File+".expected.json"))
		if err != nil || strings.HasSuffix(it.Kind, "lock") {
			continue
		}
		var want struct {
			Fatal any
			Lines []struct {
				File, Requirement, Error string
				Line                     int
				Constraint               bool
				Parsed                   struct {
					Name, Specifier string
					Hashes          map[string][]string
				}
			}
		}
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		n++
		l := Read(Sources{
			Env:         func(name string) (string, bool) { v, ok := it.Env[name]; return v, ok },
			Constraints: it.Kind == "constraints",
		}, filepath.Join(root, it.File))
		fatal := slices.ContainsFunc(l.Problems, func(p Problem) bool { return p.Pip == PipRefusesFile })
		if fatal != (want.Fatal != nil) {
			t.Errorf("%s: gives up %t, want %t: %q", it.File, fatal, want.Fatal != nil, faults(l))
		}
		if want.Fatal != nil {
			continue
		}
		at := make(map[Position]Want)
		for _, w := range append(l.Wants, l.Constraints...) {
			at[w.Position] = w
		}
		refused := make(map[Position]bool)
		for _, p := range l.Problems {
			if p.Pip == PipRefusesLine {
				refused[p.Position] = true
			}
			if p.Want != nil {
				at[p.Position] = *p.Want
			}
		}
		for _, line := range want.Lines {
			if line.Requirement == "" {
				continue
			}
			pos := Position{filepath.Join(root, line.File), line.Line}
			w, ok := at[pos]
			delete(at, pos)
			if line.Error != "" {
				if !refused[pos] {
					t.Errorf("%s: %q is read, and pip says %s", pos, line.Requirement, line.Error)
				}
				continue
			}
			name := w.Requirement.Name
			if w.Egg != "" {
				name = w.Egg
			}
			if !ok || refused[pos] || w.Constraint != line.Constraint ||
				line.Parsed.Name != "" && name != line.Parsed.Name ||
				len(w.Hashes["sha256"]) != len(line.Parsed.Hashes["sha256"]) ||
				!slices.Equal(clauses(w.Requirement.Specifiers.String()), clauses(line.Parsed.Specifier)) {
				t.Errorf("%s: %q is read as %+v", pos, line.Requirement, w)
			}
		}
		for pos := range at {
			t.Errorf("%s: a requirement where pip has none", pos)
		}
	}
	if n < 100 {
		t.Errorf("only %d lists compared", n)
	}
}

// clauses splits a specifier, in order.
func clauses(s string) []string {
	c := strings.Split(s, ",")
	slices.Sort(c)
	return c
}
