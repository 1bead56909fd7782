package docstest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// docs/dependencies.md has a line for each module that go.mod requires
// directly, with its version, and for no other.
func TestDependencies(t *testing.T) {
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = root
	data, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct {
			Path, Version string
			Indirect      bool
		}
	}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&mod); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, r := range mod.Require {
		if !r.Indirect {
			want = append(want, r.Path+" "+r.Version)
		}
	}
	if len(want) == 0 {
		t.Fatal("go.mod has no direct requirement: run go mod tidy")
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (v[^ ]+) \\|").FindAllSubmatch(page, -1) {
		got = append(got, string(m[1])+" "+string(m[2]))
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("docs/dependencies.md has no line for %s", w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("docs/dependencies.md has a line for %s, which go.mod does not require directly", g)
		}
	}
	if !slices.IsSorted(got) {
		t.Error("docs/dependencies.md: the lines are not sorted")
	}
}
