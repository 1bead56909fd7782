package docstest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The demonstration ends well by itself, and what is installed from the index
// runs: with the dependency that is not yanked and the one that is pinned.
func TestDemo(t *testing.T) {
	repository := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "examples"} {
		target, err := filepath.Abs(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(repository, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(programs, filepath.Join(repository, "bin")); err != nil {
		t.Fatal(err)
	}
	// The script runs the generator by "go run", from the repository; here it
	// is a program already.
	fake := filepath.Join(repository, "go")
	script := "#!/bin/sh\n[ \"$1 $2\" = 'run ./examples/quickstart' ] || exit 9\nexec '" + filepath.Join(programs, "quickstart") + "' \"$3\"\n"
	if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "examples/quickstart/demo.sh", "build/demo")
	cmd.Dir = repository
	cmd.Env = append(os.Environ(), "GO="+fake)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("demo.sh: %v\n%s", err, out)
	}
	for _, want := range []string{"birdcalls-1.1.0-py3-none-any.whl", "featherweight-0.9-py3-none-any.whl", "(nothing to do, nothing said)", "0 differences"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the demo does not say %q:\n%s", want, out)
		}
	}
	if exec.Command("python3", "-m", "pip", "--version").Run() != nil {
		t.Log("no pip here: the install was left out")
		return
	}
	if want := "| robin: cheerily, cheer up          |"; !strings.Contains(string(out), want) {
		t.Errorf("the installed program does not say %q:\n%s", want, out)
	}
}
