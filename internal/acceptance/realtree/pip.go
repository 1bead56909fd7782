package realtree

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	"nestgen/packaging"
	"nestgen/resolve"
	"nestgen/target"
)

//go:embed judge.py
var judge string

// Python is the interpreter whose pip is asked: that of the environment variable
// NESTGEN_TEST_PYTHON, or python3. A folder in NESTGEN_TEST_PIP stands before the
// interpreter's own packages, for another pip than its own.
func Python() string {
	if s := os.Getenv("NESTGEN_TEST_PYTHON"); s != "" {
		return s
	}
	return "python3"
}

// A Question is what pip shall resolve.
type Question struct {
	Index        string // the URL of the index
	Requirements []string
	Constraints  []string
	Environment  Environment
}

// An Answer is what pip says.
type Answer struct {
	// Set are the file names by normalized project; nil if there is none.
	Set map[packaging.Name]string

	// Error is the end of pip's log if there is no set.
	Error string
}

// Impossible reports whether pip found that there is no set, and did not fail by
// something else.
func (a Answer) Impossible() bool {
	return a.Set == nil && (strings.Contains(a.Error, "ResolutionImpossible") ||
		strings.Contains(a.Error, "No matching distribution found") ||
		strings.Contains(a.Error, "Could not find a version that satisfies") ||
		strings.Contains(a.Error, "requires a different Python"))
}

// TooDeep reports whether pip gave up.
func (a Answer) TooDeep() bool {
	return a.Set == nil && (strings.Contains(a.Error, "too-deep") || strings.Contains(a.Error, "TooDeep"))
}

// Crashed reports whether pip found a set and died over it: resolvelib walks in
// circles when it looks which of its pins are still wanted, and two that are not
// want each other.
func (a Answer) Crashed() bool {
	return a.Set == nil && strings.Contains(a.Error, "_has_route_to_root") && strings.Contains(a.Error, "RecursionError")
}

// String gives a set as "a-1-py3-none-any.whl b-…", sorted, or the error.
func (a Answer) String() string {
	if a.Set == nil {
		return "none: " + strings.TrimSpace(a.Error)
	}
	return strings.Join(slices.Sorted(maps.Values(a.Set)), " ")
}

type request struct {
	Jobs []job `json:"jobs"`
}

type job struct {
	Index        string            `json:"index"`
	Requirements []string          `json:"requirements"`
	Constraints  []string          `json:"constraints,omitempty"`
	Args         []string          `json:"args,omitempty"`
	Markers      map[string]string `json:"markers,omitempty"`
}

type reply struct {
	Pip     string            `json:"pip"`
	Markers map[string]string `json:"markers"`
	Tags    []string          `json:"tags"`
	Answers []struct {
		Set   map[string]string `json:"set"`
		Error string            `json:"error"`
	} `json:"answers"`
}

// run runs pip once for all that is asked.
func run(ctx context.Context, r request) (reply, error) {
	in, err := json.Marshal(r)
	if err != nil {
		return reply{}, err
	}
	cmd := exec.CommandContext(ctx, Python(), "-c", judge)
	cmd.Stdin = bytes.NewReader(in)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	// Nothing of the settings of whoever runs the test may change an answer.
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PIP_") && !strings.HasPrefix(v, "PYTHON") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "PIP_CONFIG_FILE="+os.DevNull, "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1",
		"PYTHONDONTWRITEBYTECODE=1")
	if s := os.Getenv("NESTGEN_TEST_PIP"); s != "" {
		cmd.Env = append(cmd.Env, "PYTHONPATH="+s)
	}
	if err := cmd.Run(); err != nil {
		return reply{}, fmt.Errorf("pip of %s: %w\n%s", Python(), err, errs.String())
	}
	var answer reply
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		return reply{}, fmt.Errorf("pip of %s: %w\n%s", Python(), err, out.String())
	}
	return answer, nil
}

// Native says which pip there is, and what the machine is that it runs on.
func Native(ctx context.Context) (resolve.Pip, Environment, error) {
	got, err := run(ctx, request{Jobs: []job{}})
	if err != nil {
		return resolve.Pip{}, Environment{}, err
	}
	version, err := resolve.ParsePip(got.Pip)
	if err != nil {
		return resolve.Pip{}, Environment{}, err
	}
	machine, err := target.Spec{Name: "native", Tags: got.Tags, Markers: got.Markers}.Target()
	return version, Environment{Target: machine}, err
}

// Ask gives pip's answers, in the order of the questions.
func Ask(ctx context.Context, questions []Question) ([]Answer, error) {
	r := request{}
	for _, q := range questions {
		j := job{Index: q.Index, Requirements: q.Requirements, Constraints: q.Constraints, Args: q.Environment.Args}
		if len(q.Environment.Args) > 0 {
			j.Markers = markersOf(q.Environment.Markers)
		}
		r.Jobs = append(r.Jobs, j)
	}
	got, err := run(ctx, r)
	if err != nil {
		return nil, err
	}
	var answers []Answer
	for _, a := range got.Answers {
		answer := Answer{Error: a.Error}
		if a.Set != nil {
			answer.Set = map[packaging.Name]string{}
			for n, file := range a.Set {
				answer.Set[packaging.NormalizeName(n)] = file
			}
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

func markersOf(e packaging.Environment) map[string]string {
	return map[string]string{
		"os_name": e.OSName, "sys_platform": e.SysPlatform, "platform_machine": e.PlatformMachine,
		"platform_python_implementation": e.PlatformPythonImplementation, "platform_release": e.PlatformRelease,
		"platform_system": e.PlatformSystem, "platform_version": e.PlatformVersion,
		"python_version": e.PythonVersion, "python_full_version": e.PythonFullVersion,
		"implementation_name": e.ImplementationName, "implementation_version": e.ImplementationVersion,
		"extra": "",
	}
}
