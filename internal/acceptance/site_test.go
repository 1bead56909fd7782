package acceptance

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nestgen/intake/intaketest"
)

// A site is one that the nestgen command built.
type site struct {
	dir string // what is served
}

// A workshop is a folder with the nestgen command, to make sites in.
type workshop struct {
	*testing.T
	root, nestgen string
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	root := sharedDir(t)
	w := &workshop{t, root, filepath.Join(root, "nestgen")}
	run(t, command(t, "", "go", "build", "-o", w.nestgen, "nestgen/cmd/nestgen"))
	return w
}

// write writes a file of a site.
func (w *workshop) write(name, text string) {
	w.Helper()
	write(w.T, filepath.Join(w.root, filepath.FromSlash(name)), []byte(text))
}

// drop puts a wheel for any Python into a drop folder, and gives its path.
func (w *workshop) drop(folder, name, version string, o intaketest.Opts) string {
	w.Helper()
	o.Tag = cmp.Or(o.Tag, "py2.py3-none-any")
	file, data := intaketest.Wheel(name, version, o)
	w.write(folder+"/"+file, string(data))
	return filepath.Join(w.root, filepath.FromSlash(folder), file)
}

// run calls nestgen in the folder of a site, and gives what it printed.
func (w *workshop) run(dir string, args ...string) string {
	w.Helper()
	return run(w.T, command(w.T, filepath.Join(w.root, dir), append([]string{w.nestgen}, args...)...))
}

// build makes a site as its owner does: settings, a policy, a drop folder, and
// the command. What is dropped is small, and each project is there for one
// reason, which its name tells.
func build(t *testing.T) site {
	t.Helper()
	w := newWorkshop(t)
	put := func(name string, data []byte) { w.write("drop/"+name, string(data)) }
	wheel := func(name, version string, o intaketest.Opts) { w.drop("drop", name, version, o) }
	wheel("app", "1.0", intaketest.Opts{RequiresDist: []string{"lib<2", "Dotted.Name"}})
	for _, v := range []string{"1.0", "1.5", "2.0"} {
		wheel("lib", v, intaketest.Opts{Pad: 20000})
	}
	wheel("dotted-name", "1.0", intaketest.Opts{Spelling: "Dotted.Name"})
	wheel("index", "1.0", intaketest.Opts{})
	wheel("yanked", "1.0", intaketest.Opts{})
	wheel("yanked", "2.0", intaketest.Opts{})
	wheel("only-future", "1.0", intaketest.Opts{RequiresPython: ">=2.7"})
	wheel("only-future", "2.0", intaketest.Opts{RequiresPython: ">=99"})
	put(intaketest.Sdist("Dotted.Name", "1.0", intaketest.Opts{}))
	put(intaketest.Sdist("Under_Score", "1.0", intaketest.Opts{}))
	put(intaketest.Sdist("source", "1.0", intaketest.Opts{}))
	put(intaketest.Sdist("zipped", "1.0", intaketest.Opts{Ext: ".zip"}))
	put(intaketest.Sdist("dev-thing", "0.9", intaketest.Opts{}))
	for _, python := range []string{"2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11"} {
		put(intaketest.Egg("egg-made", "1.0-r7", intaketest.Opts{Tag: "py" + python}))
	}
	put("dev-thing.git", []byte("git+"+repository(t)+"#egg=dev-thing\n"))

	w.write("nestgen.toml", "title = \"Test\"\nsite = \"site\"\nstate = \"state\"\ndrop = [\"drop\"]\npolicy = \"policy.toml\"\ngzip = true\n")
	w.write("policy.toml", "[[yank]]\nproject = \"yanked\"\nversions = \"==2.0\"\nreason = \"deletes what it should keep\"\ndate = 2026-01-31\n")
	w.run("", "build")
	return site{filepath.Join(w.root, "site")}
}

// repository serves a git repository that holds version 1.0.dev0 of dev-thing,
// and gives its address. It is plain files, as the site is.
func repository(t *testing.T) string {
	t.Helper()
	git := program(t, "git", "git")
	dir := sharedDir(t)
	work, bare := filepath.Join(dir, "work"), filepath.Join(dir, "dev-thing.git")
	write(t, filepath.Join(work, "setup.py"), []byte("from setuptools import setup\nsetup(name='dev-thing', version='1.0.dev0', py_modules=['dev_thing'])\n"))
	write(t, filepath.Join(work, "dev_thing.py"), []byte("checked_out = True\n"))
	for _, args := range [][]string{
		{"init", "--quiet", work},
		{"-C", work, "add", "."},
		{"-C", work, "-c", "user.name=Test", "-c", "user.email=test@example.org", "commit", "--quiet", "-m", "begin"},
		{"clone", "--quiet", "--bare", work, bare},
		{"-C", bare, "update-server-info"},
	} {
		run(t, command(t, dir, append([]string{git}, args...)...))
	}
	srv := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(srv.Close)
	return srv.URL + "/dev-thing.git"
}

// limit is how long one call of a program may take; it ends what hangs.
const limit = 10 * time.Minute

// command prepares the call of a program in a folder, "" for this one, with an
// environment that has nothing of the user's in it but what Go needs to build.
func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Minute
	tmp := t.TempDir()
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TMPDIR=" + tmp,
		"HOME=" + tmp, "XDG_CONFIG_HOME=" + tmp, "XDG_CACHE_HOME=" + tmp, "XDG_DATA_HOME=" + tmp, "GIT_CONFIG_NOSYSTEM=1",
		"PIP_CONFIG_FILE=/dev/null", "PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1", "NO_PROXY=*", "no_proxy=*",
	}
	if args[0] == "go" {
		cmd.Env = os.Environ()
	}
	return cmd
}

// run calls a program and gives what it printed. The test ends if it fails.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}
