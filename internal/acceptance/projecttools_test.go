package acceptance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// poetry locks and installs a project whose only source is the site.
func poetry(t *testing.T, s site, servers []kind) {
	bin := program(t, "poetry", "python3-poetry")
	for _, k := range servers {
		t.Run("behind "+k.name, func(t *testing.T) {
			srv := k.start(t, k, s.dir)
			dir := t.TempDir()
			write(t, filepath.Join(dir, "pyproject.toml"), []byte(`[tool.poetry]
name = "try"
version = "1"
description = ""
authors = []
[tool.poetry.dependencies]
python = "^3"
app = "*"
index = "1.0"
[[tool.poetry.source]]
name = "site"
url = "`+srv.URL+`/simple/"
default = true
`))
			write(t, filepath.Join(dir, "poetry.toml"), []byte("[virtualenvs]\nin-project = true\n"))
			cmd := command(t, dir, bin, "install", "--no-root", "--no-interaction")
			cmd.Env = append(cmd.Env, "PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring")
			said := run(t, cmd)
			wantInstalled(t, dir, ".venv/lib/python3.*/site-packages", said)
			lock, err := os.ReadFile(filepath.Join(dir, "poetry.lock"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(lock), "sha256:") || !strings.Contains(string(lock), `name = "dotted-name"`) {
				t.Errorf("poetry.lock:\n%s", lock)
			}
		})
	}
}

// pdm does the same with its own resolver.
func pdm(t *testing.T, s site, servers []kind) {
	bin := program(t, "pdm", "python3-pdm")
	for _, k := range servers {
		t.Run("behind "+k.name, func(t *testing.T) {
			srv := k.start(t, k, s.dir)
			dir := t.TempDir()
			write(t, filepath.Join(dir, "pyproject.toml"), []byte(`[project]
name = "try"
version = "1"
requires-python = ">=3.9"
dependencies = ["app", "index==1.0"]
[[tool.pdm.source]]
name = "pypi"
url = "`+srv.URL+`/simple/"
verify_ssl = true
`))
			write(t, filepath.Join(dir, "pdm.toml"), []byte("[python]\nuse_venv = false\n[install]\ncache = false\nparallel = false\n"))
			write(t, filepath.Join(dir, ".pdm.toml"), []byte("[python]\npath = \"/usr/bin/python3\"\nuse_venv = false\n"))
			cmd := command(t, dir, bin, "install", "--no-self", "--no-editable")
			cmd.Env = append(cmd.Env, "PDM_CHECK_UPDATE=0", "PDM_USE_VENV=0")
			said := run(t, cmd)
			wantInstalled(t, dir, "__pypackages__/3.*/lib", said)
			if !srv.logged(func(a access) bool {
				return strings.HasSuffix(a.path, "/simple/app/") && a.mediaType == "application/vnd.pypi.simple.v1+json"
			}) {
				t.Error("did not get the JSON page")
			}
		})
	}
}

func wantInstalled(t *testing.T, dir, pattern, said string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v\n%s", pattern, found, err, said)
	}
	wantVersions(t, found[0], "app", "1.0", "lib", "1.5", "dotted_name", "1.0", "index", "1.0")
}

// buildout reads the easy page and the index with easy_install's eyes. Debian's
// does not run under Debian's own Python, so one that pyenv has is lent to it,
// and what its recipes call is called. It builds sdists with the package wheel, which
// these do not have, so it is given an egg and a wheel.
func buildout(t *testing.T, s site, servers []kind) {
	program(t, "buildout", "python3-zc.buildout")
	ps := pythons(t)
	i := slices.IndexFunc(ps, func(py python) bool {
		return atLeast(py.version, 3, 8) && !atLeast(py.version, 3, 10) && py.setuptools != ""
	})
	if i < 0 {
		t.Skip("there is no Python 3.8 or 3.9 with setuptools, which zc.buildout 2.13 runs under")
	}
	const install = `
import sys
sys.path.append("/usr/lib/python3/dist-packages")
from zc.buildout import easy_install
folder, url = sys.argv[1:3]
for d in easy_install.install(sys.argv[3:], folder, links=[url + "/easy/"], index=url + "/simple/", path=[]):
    print(d.key, d.version)
`
	for _, k := range servers {
		t.Run("behind "+k.name, func(t *testing.T) {
			srv := k.start(t, k, s.dir)
			said := run(t, command(t, "", ps[i].path, "-c", install, t.TempDir(), srv.URL, "egg-made", "lib<2"))
			for _, want := range []string{"egg-made 1.0", "lib 1.5"} {
				if !strings.Contains(said, want) {
					t.Errorf("did not install %s:\n%s", want, said)
				}
			}
		})
	}
}
