package realtree

import (
	"os"
	"slices"
	"testing"
)

// presets are the environments that are compared beside the machine's own.
var presets = []string{"cp312-linux-x86_64", "cp311-macos-arm64", "cp310-windows-amd64"}

// TestRealProjectsAgainstPip resolves real projects for several machines and
// compares with pip, file by file: all roots at once, and on the machine itself
// ten of them together. With NESTGEN_TEST_EACH_ROOT set, on each machine ten of
// them together and each alone as well.
func TestRealProjectsAgainstPip(t *testing.T) {
	pip, here := native(t)
	tree, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	index, err := tree.WriteTo(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	environments, err := Targets(presets...)
	if err != nil {
		t.Fatal(err)
	}
	var questions []Question
	for i, e := range append([]Environment{here}, environments...) {
		groups := [][]string{Roots()}
		each := os.Getenv("NESTGEN_TEST_EACH_ROOT") != ""
		if i == 0 && !testing.Short() || each {
			groups = slices.AppendSeq(groups, slices.Chunk(Roots(), 10))
		}
		if each {
			groups = slices.AppendSeq(groups, slices.Chunk(Roots(), 1))
		}
		for _, g := range groups {
			questions = append(questions, Question{Index: index, Requirements: g, Environment: e})
		}
	}
	answers, err := Ask(t.Context(), questions)
	if err != nil {
		t.Fatal(err)
	}
	sets, files := 0, 0
	for i, a := range answers {
		q := questions[i]
		if a.Set == nil && !a.Impossible() {
			t.Errorf("%s %v: pip: %s", q.Environment.Name, q.Requirements, a)
			continue
		}
		if a.Set != nil {
			sets++
			files += len(a.Set)
		}
		compare(t, q.Environment.Name, pip, tree, q, a)
	}
	t.Logf("pip %s: %d of %d questions have a set, with %d files in all", pip, sets, len(questions), files)
	if sets < len(questions)/2 {
		t.Errorf("%d of %d questions have a set", sets, len(questions))
	}
}
