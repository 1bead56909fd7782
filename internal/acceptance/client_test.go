package acceptance

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"nestgen/packaging"
)

// Everybody installs from a site that the nestgen command built, behind every
// server.
func TestInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes; run without -short")
	}
	s := build(t)
	t.Run("pages", func(t *testing.T) {
		for _, k := range kinds {
			t.Run(k.name, func(t *testing.T) { links(t, k.start(t, k, s.dir)) })
		}
	})
	// In a group, so that the site stays until the last of them is done.
	t.Run("by", func(t *testing.T) {
		for i, py := range pythons(t) {
			t.Run("pip "+py.pip+", Python "+py.version, func(t *testing.T) {
				t.Parallel()
				pip(t, s, py, kinds[i%len(kinds)])
			})
			if py.setuptools != "" {
				t.Run("easy_install "+py.setuptools+", Python "+py.version, func(t *testing.T) {
					t.Parallel()
					easyInstall(t, s, py, kinds[i%len(kinds)])
				})
			}
		}
		for name, client := range map[string]func(*testing.T, site, []kind){"poetry": poetry, "pdm": pdm, "buildout": buildout} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				client(t, s, webServers)
			})
		}
	})
}

// links fetches every page of every project that the list of projects names,
// in its JSON form, and every file and companion that a page promises.
func links(t *testing.T, srv *server) {
	get := func(url string) []byte {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "application/vnd.pypi.simple.v1+json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("GET %s: %s, %v", url, resp.Status, err)
		}
		return body
	}
	var root struct{ Projects []struct{ Name string } }
	if err := json.Unmarshal(get(srv.URL+"/simple/"), &root); err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, p := range root.Projects {
		name := string(packaging.NormalizeName(p.Name))
		base := srv.URL + "/simple/" + name + "/"
		var page struct {
			Files []struct {
				URL          string
				Size         int
				CoreMetadata any `json:"core-metadata"`
			}
		}
		if err := json.Unmarshal(get(base), &page); err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Files {
			files++
			if n := len(get(base + f.URL)); n != f.Size {
				t.Errorf("%s: %d bytes, the page says %d", f.URL, n, f.Size)
			}
			if f.CoreMetadata != nil {
				get(base + f.URL + ".metadata")
			}
		}
		get(srv.URL + "/project/" + name + "/")
		get(srv.URL + "/pypi/" + name + "/json")
	}
	if len(root.Projects) != 11 || files != 22 {
		t.Errorf("%d projects with %d files, want 11 with 22", len(root.Projects), files)
	}
}

// A python is an interpreter with what it has for installing.
type python struct {
	path, version   string
	pip, setuptools string // versions; empty if there is none
}

// withPip is pythons for a test that needs one.
func withPip(t *testing.T) []python {
	t.Helper()
	ps := pythons(t)
	if len(ps) == 0 {
		t.Skip("there is no Python with pip (Debian package python3-pip)")
	}
	return ps
}

// lacks checks that pip finds nothing of a project in an index.
func (p python) lacks(t *testing.T, about, index, project string) {
	t.Helper()
	out, err := p.call(t, "download", "-d", t.TempDir(), "--index-url", index+"/simple/", project).CombinedOutput()
	if err == nil || !strings.Contains(strings.ToLower(string(out)), "no matching distribution") {
		t.Errorf("%s is installed: %v\n%s", about, err, out)
	}
}

// pythons are the system's Python and those that pyenv has installed.
func pythons(t *testing.T) []python {
	t.Helper()
	paths := []string{"/usr/bin/python3"}
	if home, err := os.UserHomeDir(); err == nil {
		found, err := filepath.Glob(filepath.Join(home, ".pyenv/versions/*/bin/python"))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	const ask = `
import sys
vs = ["%d.%d.%d" % sys.version_info[:3]]
for name in "setuptools", "pip": # setuptools must be the first to load distutils
    try:
        vs.append(__import__(name).__version__)
    except ImportError:
        vs.append("")
print("|".join(vs))
`
	var ps []python
	for _, path := range paths {
		out, err := command(t, "", path, "-c", ask).Output()
		f := strings.Split(strings.TrimSpace(string(out)), "|")
		if err != nil || len(f) != 3 || f[2] == "" {
			t.Logf("%s has no pip, or does not run: %v %s", path, err, out)
			continue
		}
		ps = append(ps, python{path: path, version: f[0], setuptools: f[1], pip: f[2]})
	}
	if len(ps) == 0 {
		t.Log("there is no Python with pip (Debian package python3-pip)")
	}
	return ps
}

// atLeast compares the first two numbers of versions.
func atLeast(version string, major, minor int) bool {
	f := strings.Split(version+".0", ".")
	a, _ := strconv.Atoi(f[0])
	b, _ := strconv.Atoi(f[1])
	return a > major || a == major && b >= minor
}

// call runs pip.
func (py python) call(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(t, t.TempDir(), append([]string{py.path, "-m", "pip", "--isolated", "--no-cache-dir", "--disable-pip-version-check"}, args...)...)
	return cmd
}

// into installs requirements from an index into a fresh folder and gives it.
func (py python) into(t *testing.T, url string, args ...string) (dir, said string) {
	t.Helper()
	dir = t.TempDir()
	said = run(t, py.call(t, append([]string{"install", "--target", dir, "--index-url", url + "/simple/"}, args...)...))
	return dir, said
}

// version gives the version of a module that intaketest made, from where it
// was installed, or "" if it is not there.
func version(t *testing.T, dir, module string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, module, "__init__.py"))
	if err != nil {
		return ""
	}
	_, v, _ := strings.Cut(string(data), `"`)
	v, _, _ = strings.Cut(v, `"`)
	return v
}

func wantVersions(t *testing.T, dir string, versions ...string) {
	t.Helper()
	for i := 0; i < len(versions); i += 2 {
		if got := version(t, dir, versions[i]); got != versions[i+1] {
			t.Errorf("installed %s %q, want %q", versions[i], got, versions[i+1])
		}
	}
}

// asked reports whether a server has been asked for a path that holds a text, and
// answered with that status.
func (s *server) asked(path string, status int) bool {
	return s.logged(func(a access) bool { return strings.Contains(a.path, path) && a.status == status })
}

func pip(t *testing.T, s site, py python, home kind) {
	const v1JSON = "application/vnd.pypi.simple.v1+json"
	for _, k := range webServers {
		t.Run("install behind "+k.name, func(t *testing.T) {
			srv := k.start(t, k, s.dir)
			dir, _ := py.into(t, srv.URL, "app")
			wantVersions(t, dir, "app", "1.0", "lib", "1.5", "dotted_name", "1.0")
			mediaType := "text/html"
			if atLeast(py.pip, 22, 2) {
				mediaType = v1JSON
			}
			for _, a := range srv.log() {
				if strings.Contains(a.path, "/simple/") && !strings.HasPrefix(a.mediaType, mediaType) || a.status != http.StatusOK {
					t.Errorf("GET %s (Accept %q): %d, %s; want 200, %s", a.path, a.accept, a.status, a.mediaType, mediaType)
				}
				if !strings.HasPrefix(a.agent, "pip/"+py.pip) {
					t.Errorf("asked by %q, want pip %s", a.agent, py.pip)
				}
			}
		})
	}

	// The rest is the same page behind any server: one of them is enough.
	srv := home.start(t, home, s.dir)

	t.Run("resolving reads metadata", func(t *testing.T) {
		if !atLeast(py.pip, 23, 2) {
			t.Skip("pip reads .metadata by itself from 23.2 on")
		}
		srv := home.start(t, home, s.dir)
		dir, _ := py.into(t, srv.URL, "lib", "app")
		wantVersions(t, dir, "app", "1.0", "lib", "1.5")
		// lib 2.0 is looked at first, and must not be downloaded for that.
		for _, path := range []string{"lib-2.0-py2.py3-none-any.whl.metadata", "lib-1.5-py2.py3-none-any.whl.metadata", "lib-1.5-py2.py3-none-any.whl"} {
			if !srv.asked(path, http.StatusOK) {
				t.Errorf("did not ask for %s", path)
			}
		}
		for _, a := range srv.log() {
			if strings.HasSuffix(a.path, "lib-2.0-py2.py3-none-any.whl") {
				t.Error("downloaded lib 2.0, only to look at it")
			}
		}
	})

	t.Run("hashes", func(t *testing.T) {
		dir := t.TempDir()
		lines := requirement(t, srv, "lib", "1.5") + requirement(t, srv, "index", "1.0")
		write(t, filepath.Join(dir, "requirements.txt"), []byte(lines))
		run(t, py.call(t, "download", "--no-deps", "--require-hashes", "-d", dir, "--index-url", srv.URL+"/simple/", "-r", filepath.Join(dir, "requirements.txt")))
		for _, name := range []string{"lib-1.5-py2.py3-none-any.whl", "index-1.0-py2.py3-none-any.whl"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
		}
		// The same with a hash that is another's is refused.
		wrong := strings.Replace(requirement(t, srv, "lib", "1.0"), "lib==1.0", "lib==1.5", 1)
		write(t, filepath.Join(dir, "wrong.txt"), []byte(wrong))
		out, err := py.call(t, "download", "--no-deps", "--require-hashes", "-d", t.TempDir(), "--index-url", srv.URL+"/simple/", "-r", filepath.Join(dir, "wrong.txt")).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "DO NOT MATCH THE HASHES") {
			t.Errorf("with a wrong hash: %v\n%s", err, out)
		}
	})

	t.Run("find-links", func(t *testing.T) {
		dir := t.TempDir()
		run(t, py.call(t, "install", "--target", dir, "--no-index", "--find-links", srv.URL+"/flat/", "app"))
		wantVersions(t, dir, "app", "1.0", "lib", "1.5", "dotted_name", "1.0")
	})

	t.Run("choice", func(t *testing.T) {
		want := []string{"index", "1.0", "only_future", "1.0", "yanked", "1.0"}
		if !atLeast(py.pip, 19, 2) {
			want[5] = "2.0" // it knows nothing of yanked files
		}
		dir, _ := py.into(t, srv.URL, "index", "only-future", "yanked>=1", "Dotted.Name")
		wantVersions(t, dir, append(want, "dotted_name", "1.0")...)
	})

	t.Run("yanked, pinned", func(t *testing.T) {
		dir, said := py.into(t, srv.URL, "yanked==2.0")
		wantVersions(t, dir, "yanked", "2.0")
		if told := strings.Contains(said, "deletes what it should keep"); told != atLeast(py.pip, 19, 2) {
			t.Errorf("tells the reason: %v\n%s", told, said)
		}
	})

	t.Run("unknown", func(t *testing.T) {
		srv := home.start(t, home, s.dir)
		out, err := py.call(t, "download", "--index-url", srv.URL+"/simple/", "-d", t.TempDir(), "not-here").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "No matching distribution found") {
			t.Errorf("%v\n%s", err, out)
		}
		if !srv.asked("/simple/not-here/", http.StatusNotFound) {
			t.Error("no 404 in the log")
		}
	})

	t.Run("sdist", func(t *testing.T) {
		if py.setuptools == "" || atLeast(py.pip, 23, 1) {
			t.Skip("pip builds an sdist with a setuptools that it fetches, and the site has none")
		}
		dir, _ := py.into(t, srv.URL, "source", "zipped")
		wantVersions(t, dir, "source", "1.0", "zipped", "1.0")
	})
}

// requirement makes a line for hash mode from what the JSON page says.
func requirement(t *testing.T, srv *server, name, version string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/simple/"+name+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.pypi.simple.v1+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var page struct {
		Files []struct {
			Filename string
			Hashes   map[string]string
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		t.Fatal(err)
	}
	for _, f := range page.Files {
		if strings.HasPrefix(f.Filename, name+"-"+version+"-") {
			return fmt.Sprintf("%s==%s --hash=sha256:%s\n", name, version, f.Hashes["sha256"])
		}
	}
	t.Fatalf("%s %s is not on its page", name, version)
	return ""
}
