package realtree

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"nestgen/packaging"
	"nestgen/resolve"
)

// TestRandomAgainstPip resolves small random indexes, in which half of the
// questions have no answer, and compares with pip: the same files, or none.
// NESTGEN_TEST_GRAPHS says how many.
func TestRandomAgainstPip(t *testing.T) {
	pip, here := native(t)
	n, first := 60, 0
	if s := os.Getenv("NESTGEN_TEST_GRAPHS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	if testing.Short() {
		n = 20
	}
	if s := os.Getenv("NESTGEN_TEST_GRAPHS_FROM"); s != "" {
		first, _ = strconv.Atoi(s)
	}
	type graph struct {
		seed        int
		tree        Tree
		constraints []string
	}
	var graphs []graph
	var questions []Question
	dir := t.TempDir()
	for seed := first; seed < first+n; seed++ {
		r := rand.New(rand.NewPCG(uint64(seed), 3))
		tree := randomTree(r)
		index, err := tree.WriteTo(filepath.Join(dir, strconv.Itoa(seed)))
		if err != nil {
			t.Fatal(err)
		}
		q := Question{Index: index, Environment: here, Requirements: []string{"p0"}}
		for range r.IntN(3) {
			q.Requirements = append(q.Requirements, randomRequirement(r, 4, 4))
		}
		if r.IntN(3) == 0 {
			q.Constraints = []string{fmt.Sprintf("p%d!=%d", r.IntN(4), 1+r.IntN(4))}
		}
		graphs = append(graphs, graph{seed, tree, q.Constraints})
		questions = append(questions, q)
	}
	answers, err := Ask(t.Context(), questions)
	if err != nil {
		t.Fatal(err)
	}
	sets, crashes := 0, 0
	for i, a := range answers {
		if a.Crashed() {
			// No verdict.
			crashes++
			continue
		}
		if a.Set != nil {
			sets++
		} else if !a.Impossible() {
			t.Errorf("graph %d: pip: %s", graphs[i].seed, a)
			continue
		}
		compare(t, fmt.Sprintf("graph %d", graphs[i].seed), pip, graphs[i].tree, questions[i], a)
		if t.Failed() {
			for _, f := range graphs[i].tree.Files {
				t.Logf("%s %v %s %v", f.Filename, f.RequiresDist, f.RequiresPython, f.Yanked)
			}
			t.Fatalf("questions: %v, constraints %v", questions[i].Requirements, questions[i].Constraints)
		}
	}
	t.Logf("pip %s: %d sets, %d without one, %d over which pip died", pip, sets, n-sets-crashes, crashes)
	if crashes > 1+n/50 {
		t.Errorf("pip died %d times in %d", crashes, n)
	}
	if n > 50 && (sets < n/5 || n-sets < n/5) {
		t.Errorf("%d of %d questions have an answer: too easy or too hard", sets, n)
	}
}

// native gives the pip of the machine and what it takes.
func native(t *testing.T) (resolve.Pip, Environment) {
	t.Helper()
	if _, err := exec.LookPath(Python()); err != nil {
		t.Skipf("no %s: pip is the judge here", Python())
	}
	pip, here, err := Native(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return pip, here
}

// compare holds what is resolved against pip's answer.
func compare(t *testing.T, what string, pip resolve.Pip, tree Tree, q Question, want Answer) {
	t.Helper()
	p := resolve.Problem{Environment: q.Environment.Markers, Provider: tree.Provider(q.Environment), Pip: pip}
	for _, s := range q.Requirements {
		p.Roots = append(p.Roots, root(t, s))
	}
	for _, s := range q.Constraints {
		p.Constraints = append(p.Constraints, root(t, s))
	}
	set, err := p.Resolve(t.Context())
	var conflict *resolve.Conflict
	if err != nil && !errors.As(err, &conflict) {
		t.Errorf("%s: %v", what, err)
		return
	}
	got := Answer{}
	if set != nil {
		got.Set = map[packaging.Name]string{}
		for _, pin := range set.Pins {
			got.Set[pin.Name] = pin.Filename
		}
	} else {
		got.Error = err.Error()
	}
	if (got.Set == nil) != (want.Set == nil) || got.Set != nil && got.String() != want.String() {
		t.Errorf("%s, pip %s:\n got %s\nwant %s", what, pip, got, want)
	}
}

func root(t *testing.T, s string) resolve.Root {
	t.Helper()
	q, err := packaging.ParseRequirement(s)
	if err != nil {
		t.Fatal(err)
	}
	return resolve.Root{Requirement: q, From: "test"}
}

func randomTree(r *rand.Rand) Tree {
	var tree Tree
	projects, needs := 4+r.IntN(4), 3+r.IntN(2)
	yanks, pres := r.IntN(3) == 0, r.IntN(3) == 0
	for i := range projects {
		for v := 2 + r.IntN(3); v > 0; v-- {
			version := strconv.Itoa(v)
			if pres && r.IntN(5) == 0 {
				version += "rc1"
			}
			f := File{Project: fmt.Sprintf("p%d", i), Yanked: yanks && r.IntN(6) == 0}
			f.Filename = fmt.Sprintf("%s-%s-py3-none-any.whl", f.Project, version)
			for range r.IntN(needs) {
				f.RequiresDist = append(f.RequiresDist, randomRequirement(r, projects, 4))
			}
			if r.IntN(3) == 0 {
				f.ProvidesExtra = []string{"x"}
				f.RequiresDist = append(f.RequiresDist, randomRequirement(r, projects, 4)+`; extra == "x"`)
			}
			if r.IntN(8) == 0 {
				f.RequiresPython = ">=3.99"
			}
			tree.Files = append(tree.Files, f)
		}
	}
	return tree
}

func randomRequirement(r *rand.Rand, projects, versions int) string {
	name := fmt.Sprintf("p%d", r.IntN(projects))
	if r.IntN(5) == 0 {
		name += "[x]"
	}
	v := strconv.Itoa(1 + r.IntN(versions))
	return name + strings.ReplaceAll([]string{"", "", "", ">=V", ">=V", "<=V", "==V", "!=V", "!=V", "<V", "==V.*", "~=V.0", ">=V.0rc1", ">V"}[r.IntN(14)], "V", v)
}
