package acceptance

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// easyInstall installs with the easy_install of a Python's setuptools: as a
// program up to setuptools 51, and after that as a command of setup.py, which
// was there until 2025.
func easyInstall(t *testing.T, s site, py python, home kind) {
	servers := webServers
	if atLeast(py.setuptools, 52, 0) {
		servers = []kind{home} // they are slow, and ask as the older ones do
	}
	for _, k := range servers {
		t.Run("behind "+k.name, func(t *testing.T) {
			srv := k.start(t, k, s.dir)
			// Dotted.Name does not match dotted_name-1.0.tar.gz but for the
			// alias on this page (API-20). "==dev" is no specifier any more
			// from setuptools 66 on (PEP 440); before, it follows the link to
			// the repository (API-21).
			want := []string{"Dotted.Name-1.0", "egg_made-1.0_r7"}
			args := []string{"--find-links", srv.URL + "/easy/", "Dotted.Name", "egg-made"}
			if !atLeast(py.setuptools, 66, 0) {
				want, args = append(want, "dev_thing-1.0.dev0"), append(args, "dev-thing==dev")
			}
			py.easyInstall(t, srv, want, args...)
		})
	}
	t.Run("by the index alone", func(t *testing.T) {
		srv := home.start(t, home, s.dir)
		easyInstallByIndex(t, srv, py)
	})
}

// easyInstallByIndex needs no other page. Names are asked for as they are typed.
func easyInstallByIndex(t *testing.T, srv *server, py python) {
	t.Helper()
	py.easyInstall(t, srv, []string{"Under_Score-1.0", "zipped-1.0", "dev_thing-0.9"}, "Under_Score", "zipped", "dev-thing")
}

// easyInstall installs from an index, and checks that what is wanted is among what
// comes of it.
func (py python) easyInstall(t *testing.T, srv *server, want []string, args ...string) {
	t.Helper()
	dir := t.TempDir()
	program := []string{py.path, "-m", "easy_install"}
	if atLeast(py.setuptools, 52, 0) {
		program = []string{py.path, "-W", "ignore", "-c", "import sys, setuptools; setuptools.setup(script_args=['easy_install'] + sys.argv[1:])"}
	}
	program = append(program, "--multi-version", "--install-dir", dir, "--script-dir", dir, "--index-url", srv.URL+"/simple/")
	cmd := command(t, t.TempDir(), append(program, args...)...)
	cmd.Env = append(cmd.Env, "PYTHONPATH="+dir, "SETUPTOOLS_USE_DISTUTILS=stdlib")
	said := run(t, cmd)
	got := eggs(t, dir)
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("easy_install %s: installed %q, want %s\n%s", strings.Join(args, " "), got, w, said)
		}
	}
}

// eggs gives the names and versions of the eggs in a folder.
func eggs(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".egg")
		if !ok {
			continue
		}
		if f := strings.Split(name, "-"); len(f) > 2 {
			names = append(names, f[0]+"-"+f[1])
		}
	}
	return names
}
