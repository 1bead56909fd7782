package acceptance

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen"
	"nestgen/internal/acceptance/realtree"
	"nestgen/packaging"
	"nestgen/resolve"
)

// A completed is a site that completes a list of real projects from an upstream
// that has some fifty of them with all that they need.
type completed struct {
	*built
	upstream string // for pip
	machines []realtree.Environment
	native   realtree.Environment
	pip      resolve.Pip
}

// machines are compared beside the one that the test runs on.
var machines = []string{"cp312-linux-x86_64", "cp311-macos-arm64", "cp310-windows-amd64"}

// complete builds such a site.
func complete(t *testing.T, roots []string) *completed {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes half a minute; run without -short")
	}
	pip, native, err := realtree.Native(t.Context())
	if err != nil {
		t.Skipf("there is no pip that can be asked: %v", err)
	}
	tree, err := realtree.Load()
	if err != nil {
		t.Fatal(err)
	}
	c := &completed{native: native, pip: pip}
	folder := t.TempDir()
	if c.upstream, err = tree.WriteTo(folder); err != nil {
		t.Fatal(err)
	}
	if c.machines, err = realtree.Targets(machines...); err != nil {
		t.Fatal(err)
	}
	c.machines = append([]realtree.Environment{native}, c.machines...)
	settings := fmt.Sprintf(`allowlist = ["allowlist.txt"]
dependencies = true
environments = ["native", "%s"]
pip = "%s"

%s
[[upstream]]
name = "real"
url  = "%s"
`, strings.Join(machines, `", "`), pip, environmentTable(native), filepath.Join(folder, "simple"))
	c.built = buildSite(t, settings, strings.Join(roots, "\n")+"\n")
	return c
}

// environmentTable writes a machine as the settings describe one.
func environmentTable(e realtree.Environment) string {
	var b strings.Builder
	b.WriteString("[[environment]]\nname = \"native\"\ntags = [\n")
	for _, tag := range e.Tags() {
		fmt.Fprintf(&b, "%q,\n", tag.Python+"-"+tag.ABI+"-"+tag.Platform)
	}
	b.WriteString("]\n\n[environment.markers]\n")
	m := &e.Markers
	for name, value := range map[string]string{
		"os_name": m.OSName, "sys_platform": m.SysPlatform, "platform_machine": m.PlatformMachine,
		"platform_python_implementation": m.PlatformPythonImplementation, "platform_release": m.PlatformRelease,
		"platform_system": m.PlatformSystem, "platform_version": m.PlatformVersion, "python_version": m.PythonVersion,
		"python_full_version": m.PythonFullVersion, "implementation_name": m.ImplementationName, "implementation_version": m.ImplementationVersion,
	} {
		fmt.Fprintf(&b, "%s = %q\n", name, value)
	}
	return b.String()
}

// wants gives what pip would install of the roots on every machine, as "name version".
func (c *completed) wants(t *testing.T, roots []string) map[string]bool {
	t.Helper()
	var questions []realtree.Question
	for _, e := range c.machines {
		questions = append(questions, realtree.Question{Index: c.upstream, Requirements: roots, Environment: e})
	}
	answers, err := realtree.Ask(t.Context(), questions)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for i, a := range answers {
		if a.Set == nil {
			t.Fatalf("pip on %s: %s", questions[i].Environment.Name, a)
		}
		for n, file := range a.Set {
			w, err := packaging.ParseWheel(file)
			if err != nil {
				t.Fatal(err)
			}
			all[string(n)+" "+w.Version] = true
		}
	}
	return all
}

// has gives what the index lists, as "name version".
func (c *completed) has(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for p, err := range nestgen.List(t.Context(), c.config, "/") {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Files {
			all[string(p.Name)+" "+f.Version] = true
		}
	}
	return all
}

// What a build adds to a list is what pip resolves, machine by machine; everything
// installs from the index alone, as prove says; and where a file is missing, both
// say so.
func TestCompletion(t *testing.T) {
	roots := realtree.Roots()
	c := complete(t, roots)
	want, got := c.wants(t, roots), c.has(t)
	for _, v := range slices.Sorted(maps.Keys(want)) {
		if !got[v] {
			t.Errorf("pip takes %s, which is not listed", v)
		}
	}
	for _, v := range slices.Sorted(maps.Keys(got)) {
		if !want[v] {
			t.Errorf("%s is listed, which pip takes nowhere", v)
		}
	}
	t.Logf("pip %s: %d versions on %d machines", c.pip, len(want), len(c.machines))

	proofs, err := nestgen.Prove(t.Context(), c.config, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range proofs {
		if len(p.Missing)+len(p.Unknown) > 0 || p.Lines != len(roots) {
			t.Errorf("%+v", p)
		}
	}
	srv := startServe(t, kind{}, c.dir)
	if out, err := c.install(t, srv, roots); err != nil {
		t.Errorf("pip: %v\n%s", err, out)
	}

	// A project that much else needs is gone: both say so, of the same.
	policy := filepath.Join(filepath.Dir(c.config.File), "policy.toml")
	write(t, policy, []byte("[[block]]\nproject = \"certifi\"\nreason = \"gone\"\n"))
	if _, err := nestgen.Build(t.Context(), c.config, nestgen.Options{}); err != nil {
		t.Fatal(err)
	}
	proofs, err = nestgen.Prove(t.Context(), c.config, []string{"native"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for _, m := range proofs[0].Missing {
		if !strings.Contains(m.Text, "certifi") {
			t.Errorf("%s: %s", m.Where, m.Text)
		}
		var line int
		if _, err := fmt.Sscanf(m.Where, "allowlist.txt:%d", &line); err != nil || line < 1 || line > len(roots) {
			t.Fatalf("%q: %v", m.Where, err)
		}
		missing[roots[line-1]] = true
	}
	if len(missing) < 3 || len(missing) > len(roots)/2 {
		t.Errorf("%d lines do not install without certifi: %v", len(missing), missing)
	}
	for _, r := range []string{"requests", "sentry-sdk", "jinja2", "pytest"} {
		out, err := c.install(t, srv, []string{r})
		if (err != nil) != missing[r] {
			t.Errorf("%s: prove says that it fails: %t; pip: %v\n%s", r, missing[r], err, out)
		}
	}
}

// install installs requirements into a clean virtual environment from the index
// alone.
func (c *completed) install(t *testing.T, srv *server, roots []string) (string, error) {
	t.Helper()
	venv := filepath.Join(t.TempDir(), "venv")
	run(t, command(t, "", realtree.Python(), "-m", "venv", "--without-pip", venv))
	py := filepath.Join(venv, "bin", "python")
	args := append([]string{realtree.Python(), "-m", "pip", "--isolated", "--no-cache-dir", "--disable-pip-version-check", "--python", py,
		"install", "--only-binary", ":all:", "--index-url", srv.URL + "/simple/"}, roots...)
	cmd := command(t, "", args...)
	out, err := cmd.CombinedOutput()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		t.Fatal(err)
	}
	return string(out), err
}
