package upload_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nestgen/intake/intaketest"
	"nestgen/packaging"
	"nestgen/upload"
)

// With -record, the first right request of every client goes to testdata.
var record = flag.Bool("record", false, "write what the clients send to testdata")

// A scene is how the server of a test answers a form that was read.
type scene struct {
	name string

	// spoil changes the request on its way, or is nil.
	spoil func(body []byte) []byte

	limits upload.Limits

	// answer gives what is said to a form that could be read; nil for yes.
	answer *upload.Problem

	// shows is what every client must show, and fails whether it must fail.
	shows string
	fails bool
}

var digest = regexp.MustCompile(`(?s)(_digest"\r?\n\r?\n)[0-9a-f]{4}`)

const taken = "not the bytes that it has"

// scenes are those of the issue: right, duplicate, bad digest, unauthorised,
// and two more refusals.
var scenes = []scene{
	{name: "right"},
	{name: "duplicate", answer: upload.Exists("demo", taken), shows: "File already exists: demo, " + taken, fails: true},
	{
		name:  "bad digest",
		spoil: func(b []byte) []byte { return digest.ReplaceAll(b, []byte("${1}0bad")) },
		shows: "_digest does not match: the form says 0bad", fails: true,
	},
	{name: "unauthorised", answer: upload.Unauthorized("Who are you?"), shows: "Who are you?", fails: true},
	{name: "forbidden", answer: upload.Forbidden("demo is not yours, façade"), shows: "demo is not yours, fa", fails: true},
	{name: "too large", limits: upload.Limits{File: 10}, shows: "Too large: the file", fails: true},
}

// An uploaded is one request that a client made.
type uploaded struct {
	raw  []byte
	form *upload.Form
	err  error
}

// index is a server that takes uploads as a scene wants it.
func index(t *testing.T, s scene) (url string, got func() []uploaded) {
	t.Helper()
	var mu sync.Mutex
	var all []uploaded
	srv := httptest.NewServer(upload.Reasons(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.name == "unauthorised" || r.Header.Get("Authorization") == "" {
			upload.Unauthorized("Who are you?").Write(w, r)
			return
		}
		raw, err := httputil.DumpRequest(r, true)
		if err != nil {
			t.Error(err)
		}
		if s.spoil != nil {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			r.Body = io.NopCloser(bytes.NewReader(s.spoil(body)))
		}
		form, err := upload.Read(r, func() (upload.Stage, error) { return stageFile(t), nil }, s.limits)
		mu.Lock()
		all = append(all, uploaded{raw, form, err})
		mu.Unlock()
		switch p, ok := err.(*upload.Problem); {
		case ok:
			p.Write(w, r)
		case err != nil:
			t.Error(err)
		case s.answer != nil:
			s.answer.Write(w, r)
		default:
			upload.WriteOK(w, "")
		}
	})))
	t.Cleanup(srv.Close)
	return srv.URL + "/legacy/", func() []uploaded {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// stageFile gives an empty file that goes with the test.
func stageFile(t testing.TB) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "stage")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// A client is one program that uploads.
type client struct {
	name string

	// files is how many files it uploads.
	files int

	// prepare makes what is to be uploaded in a folder, once, and gives the
	// command that uploads it to a URL. It skips the test if the program is
	// not installed.
	prepare func(t *testing.T, dir string) func(url string) *exec.Cmd
}

// program finds a program of Debian's, or skips the test.
func program(t *testing.T, name, debian string) string {
	t.Helper()
	path := filepath.Join("/usr/bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not installed (Debian package %s)", name, debian)
	}
	return path
}

// command makes a command that sees nothing of the user's own configuration.
func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // it ends what hangs
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Minute
	cmd.Env = []string{
		"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + dir, "TMPDIR=" + t.TempDir(), "COLUMNS=400", "TERM=dumb", "NO_COLOR=1",
		"XDG_CONFIG_HOME=" + dir, "XDG_CACHE_HOME=" + dir, "XDG_DATA_HOME=" + dir,
		"PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1", "NO_PROXY=*", "no_proxy=*",
		"PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring", "SETUPTOOLS_USE_DISTUTILS=stdlib",
		"TWINE_USERNAME=__token__", "TWINE_PASSWORD=secret", "FLIT_USERNAME=__token__", "FLIT_PASSWORD=secret",
		"PDM_CHECK_UPDATE=0", "SOURCE_DATE_EPOCH=1767225600",
	}
	return cmd
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// made puts a wheel and an sdist into a folder.
func made(t *testing.T, dir string) (wheel, sdist string) {
	t.Helper()
	name, data := intaketest.Wheel("demo", "1.0", intaketest.Opts{})
	wheel = filepath.Join(dir, name)
	write(t, wheel, string(data))
	name, data = intaketest.Sdist("demo", "1.0", intaketest.Opts{})
	sdist = filepath.Join(dir, name)
	write(t, sdist, string(data))
	return wheel, sdist
}

func twine(options ...string) func(*testing.T, string) func(string) *exec.Cmd {
	return func(t *testing.T, dir string) func(string) *exec.Cmd {
		bin := program(t, "twine", "twine")
		wheel, sdist := made(t, dir)
		write(t, sdist+".asc", "-----BEGIN PGP SIGNATURE-----\n\nnot really one\n-----END PGP SIGNATURE-----\n")
		return func(url string) *exec.Cmd {
			args := append([]string{bin, "upload", "--non-interactive", "--disable-progress-bar", "--repository-url", url}, options...)
			return command(t, dir, append(args, wheel, sdist, sdist+".asc")...)
		}
	}
}

func poetry(t *testing.T, dir string) func(string) *exec.Cmd {
	bin := program(t, "poetry", "python3-poetry")
	write(t, filepath.Join(dir, "pyproject.toml"), `[tool.poetry]
name = "demo"
version = "1.0"
description = "to try"
authors = ["A <a@example.org>"]
keywords = ["one", "two"]
[tool.poetry.dependencies]
python = "^3.7"
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
`)
	write(t, filepath.Join(dir, "demo.py"), "")
	build := command(t, dir, bin, "build", "--no-interaction")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("poetry build: %v\n%s", err, out)
	}
	return func(url string) *exec.Cmd {
		cmd := command(t, dir, bin, "publish", "--no-interaction", "--repository", "site", "-u", "__token__", "-p", "secret")
		cmd.Env = append(cmd.Env, "POETRY_REPOSITORIES_SITE_URL="+url)
		return cmd
	}
}

func pdm(t *testing.T, dir string) func(string) *exec.Cmd {
	bin := program(t, "pdm", "python3-pdm")
	write(t, filepath.Join(dir, "pyproject.toml"), "[project]\nname = \"demo\"\nversion = \"1.0\"\n")
	write(t, filepath.Join(dir, ".pdm.toml"), "[python]\npath = \"/usr/bin/python3\"\n")
	made(t, filepath.Join(dir, "dist"))
	return func(url string) *exec.Cmd {
		return command(t, dir, bin, "publish", "--no-build", "-r", url, "-u", "__token__", "-P", "secret")
	}
}

func flit(t *testing.T, dir string) func(string) *exec.Cmd {
	bin := program(t, "flit", "flit")
	write(t, filepath.Join(dir, "pyproject.toml"), `[build-system]
requires = ["flit_core >=3.2,<4"]
build-backend = "flit_core.buildapi"
[project]
name = "demo"
authors = [{name = "A", email = "a@example.org"}]
requires-python = ">=3.7"
dynamic = ["version", "description"]
`)
	write(t, filepath.Join(dir, "demo.py"), "'''To try'''\n__version__ = '1.0'\n")
	write(t, filepath.Join(dir, "LICENSE"), "")
	return func(url string) *exec.Cmd {
		cmd := command(t, dir, bin, "publish", "--no-setup-py")
		cmd.Env = append(cmd.Env, "FLIT_INDEX_URL="+url)
		return cmd
	}
}

func curl(t *testing.T, dir string) func(string) *exec.Cmd {
	bin := program(t, "curl", "curl")
	wheel, _ := made(t, dir)
	return func(url string) *exec.Cmd {
		return command(t, dir, bin, "--silent", "--show-error", "--fail-with-body", "--user", "__token__:secret", "-F", ":action=file_upload", "-F", "name=Demo", "-F", "version=1.0",
			"-F", "sha256_digest="+sum(t, wheel), "-F", "content=@"+wheel, url)
	}
}

// setupPy is setup.py with one of a Python's two distutils, its own and that of
// setuptools. Setuptools has had no upload since version 42.
func setupPy(version, module string, commands ...string) func(*testing.T, string) func(string) *exec.Cmd {
	return func(t *testing.T, dir string) func(string) *exec.Cmd {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		found, _ := filepath.Glob(filepath.Join(home, ".pyenv/versions", version+".*/bin/python"))
		if len(found) == 0 {
			t.Skipf("Python %s is not installed (by pyenv)", version)
		}
		description := `u"\u00e9t\u00e9"`
		if version == "2.7" && module == "setuptools" {
			description = `"summer"` // its upload ends with a UnicodeDecodeError
		}
		write(t, filepath.Join(dir, "setup.py"), `from `+module+` import setup
setup(name="demo", version="1.0", description=`+description+`, py_modules=["demo"], author="A", author_email="a@example.org",
      url="http://example.org", classifiers=["Programming Language :: Python", "Topic :: Utilities"], keywords=["one", "two"])
`)
		write(t, filepath.Join(dir, "demo.py"), "")
		return func(url string) *exec.Cmd {
			write(t, filepath.Join(dir, ".pypirc"), "[distutils]\nindex-servers = site\n[site]\nrepository = "+url+"\nusername = __token__\npassword = secret\n")
			args := []string{found[0], "-W", "ignore", "setup.py"}
			for _, c := range commands {
				args = append(args, strings.Fields(c)...)
			}
			return command(t, dir, args...)
		}
	}
}

func clients() []client {
	all := []client{
		{"twine", 2, twine()},
		{"poetry", 2, poetry},
		{"pdm", 2, pdm},
		{"flit", 2, flit},
		{"curl", 1, curl},
		{"register of Python 2.7", 1, setupPy("2.7", "distutils.core", "register -r site")},
		{"register of Python 3.11", 1, setupPy("3.11", "distutils.core", "register -r site")},
		{"setuptools of Python 2.7", 2, setupPy("2.7", "setuptools", "sdist", "bdist_egg", "upload -r site")},
		{"setuptools of Python 3.6", 2, setupPy("3.6", "setuptools", "sdist", "bdist_egg", "upload -r site")},
		{"distutils of Python 2.7, old kinds", 3, setupPy("2.7", "distutils.core", "sdist --formats=gztar,zip", "bdist_dumb", "upload -r site")},
	}
	for _, v := range []string{"2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11"} {
		all = append(all, client{"distutils of Python " + v, 1, setupPy(v, "distutils.core", "sdist", "upload -r site")})
	}
	return all
}

// Every client uploads what it makes, and shows the true reason of every
// refusal.
func TestClients(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs real clients; run without -short")
	}
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			call := c.prepare(t, dir)
			for _, s := range scenes {
				register := strings.HasPrefix(c.name, "register")
				if register && (s.name == "bad digest" || s.name == "too large") {
					continue // it sends no file
				}
				t.Run(s.name, func(t *testing.T) {
					url, got := index(t, s)
					out, err := call(url).CombinedOutput()
					t.Logf("%v\n%s", err, out)
					// register ends with status 0 whatever the answer was.
					if (err != nil) != s.fails && !register {
						t.Errorf("failed: %v, want %v\n%s", err, s.fails, out)
					}
					// Some fold what they show.
					if !strings.Contains(strings.Join(strings.Fields(string(out)), " "), s.shows) {
						t.Errorf("does not show %q:\n%s", s.shows, out)
					}
					if s.name != "right" {
						return
					}
					files := 0
					for i, u := range got() {
						if u.err != nil {
							t.Errorf("upload %d: %v", i, u.err)
							continue
						}
						files++
						t.Logf("%s %s %s digests %+v notes %q", u.form.Action, u.form.Filename, u.form.Pyversion, u.form.Digests, u.form.Notes)
						if u.form.Project != "demo" || u.form.Version != "1.0" {
							t.Errorf("upload %d is of %s %s", i, u.form.Project, u.form.Version)
						}
						if *record && u.form.File.Kind != packaging.Dumb { // which has the path of its Python in it
							save(t, c.name, i, u.raw)
						}
					}
					if files != c.files {
						t.Errorf("%d forms, want %d", files, c.files)
					}
				})
			}
		})
	}
}

// The options for going on where a file exists work, and poetry does not
// register a project of its own accord.
func TestSkipExisting(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs real clients; run without -short")
	}
	exists := scene{name: "duplicate", answer: upload.Exists("demo-1.0.tar.gz", "with other bytes")}
	// Another refusal must not be taken for that, whatever words a client's
	// own input brings into its text.
	other := scene{name: "other", answer: &upload.Problem{Status: 400, Text: `name "it already exists" is wrong`}}
	for name, with := range map[string]func(*testing.T, string) func(string) *exec.Cmd{
		"twine": twine("--skip-existing"),
		"poetry": func(t *testing.T, dir string) func(string) *exec.Cmd {
			call := poetry(t, dir)
			return func(url string) *exec.Cmd {
				cmd := call(url)
				cmd.Args = append(cmd.Args, "--skip-existing")
				return cmd
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call := with(t, t.TempDir())
			url, got := index(t, exists)
			out, err := call(url).CombinedOutput()
			if err != nil || len(got()) != 2 {
				t.Errorf("%d uploads, %v, want 2 and success\n%s", len(got()), err, out)
			}
			url, got = index(t, other)
			out, err = call(url).CombinedOutput()
			if err == nil || len(got()) != 1 {
				t.Errorf("%d uploads, %v, want 1 and failure\n%s", len(got()), err, out)
			}
		})
	}
}

// save writes a request to testdata, without what tells of this machine.
func save(t *testing.T, name string, i int, raw []byte) {
	t.Helper()
	head, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	var out bytes.Buffer
	for line := range strings.SplitSeq(string(head), "\r\n") {
		key, _, ok := strings.Cut(line, ":")
		switch strings.ToLower(key) {
		case "content-type", "accept", "transfer-encoding":
		case "user-agent":
			product, _, _ := strings.Cut(strings.TrimSpace(line[len(key)+1:]), " ")
			line = key + ": " + product
		case "host":
			line = "Host: index.example.org"
		default:
			if ok {
				continue
			}
		}
		out.WriteString(line + "\r\n")
	}
	fmt.Fprintf(&out, "Content-Length: %d\r\n\r\n", len(body))
	out.Write(body)
	file := strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(name)) + "-" + strconv.Itoa(i+1) + ".http"
	write(t, filepath.Join("testdata", file), out.String())
}
