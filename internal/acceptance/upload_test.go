package acceptance

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"nestgen/intake/intaketest"
)

// An uploader is a program that uploads version 1.0 of a project of its own.
type uploader struct {
	name    string
	project string // and module

	// prepare makes what is to be uploaded in a folder. It skips the test if the
	// program is not installed.
	prepare func(t *testing.T, dir string)

	// change makes it other bytes of the same name.
	change func(t *testing.T, dir string)

	// remakes says that each call makes what it uploads anew, with the time in it.
	remakes bool

	// call gives the command that uploads with a token, with some options.
	call func(t *testing.T, dir, url, token string, options ...string) *exec.Cmd

	// register says that it sends no file, and that it ends well in any case.
	register bool
}

// with makes a command that has the folder for its home.
func with(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(t, dir, args...)
	cmd.Env = append(cmd.Env, "HOME="+dir, "COLUMNS=400", "TERM=dumb", "NO_COLOR=1", "SOURCE_DATE_EPOCH=1767225600",
		"PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring", "SETUPTOOLS_USE_DISTUTILS=stdlib")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// dists puts a wheel and an sdist into dist.
func dists(t *testing.T, dir, project string, o intaketest.Opts) {
	t.Helper()
	name, data := intaketest.Wheel(project, "1.0", o)
	write(t, filepath.Join(dir, "dist", name), data)
	name, data = intaketest.Sdist(project, "1.0", o)
	write(t, filepath.Join(dir, "dist", name), data)
}

func twineUploader() uploader {
	return uploader{
		name: "twine", project: "by_twine",
		prepare: func(t *testing.T, dir string) {
			program(t, "twine", "twine")
			dists(t, dir, "by_twine", intaketest.Opts{})
		},
		change: func(t *testing.T, dir string) { dists(t, dir, "by_twine", intaketest.Opts{Summary: "other bytes"}) },
		call: func(t *testing.T, dir, url, token string, options ...string) *exec.Cmd {
			args := append([]string{program(t, "twine", "twine"), "upload", "--non-interactive", "--disable-progress-bar", "--repository-url", url}, options...)
			files, err := filepath.Glob(filepath.Join(dir, "dist", "*"))
			if err != nil || len(files) == 0 {
				t.Fatalf("nothing to upload: %v", err)
			}
			return with(t, dir, []string{"TWINE_USERNAME=__token__", "TWINE_PASSWORD=" + token}, append(args, files...)...)
		},
	}
}

func poetryUploader() uploader {
	build := func(t *testing.T, dir, text string) {
		write(t, filepath.Join(dir, "by_poetry.py"), []byte(text))
		run(t, with(t, dir, nil, program(t, "poetry", "python3-poetry"), "build", "--no-interaction"))
	}
	return uploader{
		name: "poetry", project: "by_poetry",
		prepare: func(t *testing.T, dir string) {
			program(t, "poetry", "python3-poetry")
			write(t, filepath.Join(dir, "pyproject.toml"), []byte(`[tool.poetry]
name = "by_poetry"
version = "1.0"
description = "to try"
authors = ["A <a@example.org>"]
[tool.poetry.dependencies]
python = ">=3.7"
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
`))
			build(t, dir, "")
		},
		change: func(t *testing.T, dir string) { build(t, dir, "other = True\n") },
		call: func(t *testing.T, dir, url, token string, options ...string) *exec.Cmd {
			args := append([]string{program(t, "poetry", "python3-poetry"), "publish", "--no-interaction", "--repository", "ours", "-u", "__token__", "-p", token}, options...)
			return with(t, dir, []string{"POETRY_REPOSITORIES_OURS_URL=" + url}, args...)
		},
	}
}

func flitUploader() uploader {
	source := func(t *testing.T, dir, more string) {
		write(t, filepath.Join(dir, "by_flit.py"), []byte("'''To try'''\n__version__ = '1.0'\n"+more))
	}
	return uploader{
		name: "flit", project: "by_flit",
		prepare: func(t *testing.T, dir string) {
			program(t, "flit", "flit")
			write(t, filepath.Join(dir, "pyproject.toml"), []byte(`[build-system]
requires = ["flit_core >=3.2,<4"]
build-backend = "flit_core.buildapi"
[project]
name = "by_flit"
authors = [{name = "A", email = "a@example.org"}]
dynamic = ["version", "description"]
`))
			source(t, dir, "")
		},
		change: func(t *testing.T, dir string) { source(t, dir, "other = True\n") },
		call: func(t *testing.T, dir, url, token string, options ...string) *exec.Cmd {
			args := append([]string{program(t, "flit", "flit"), "publish", "--no-setup-py"}, options...)
			return with(t, dir, []string{"FLIT_INDEX_URL=" + url, "FLIT_USERNAME=__token__", "FLIT_PASSWORD=" + token}, args...)
		},
	}
}

// setupUploader is setup.py with the distutils of a Python that pyenv has.
func setupUploader(version string, register bool) uploader {
	python := func(t *testing.T) string {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		found, err := filepath.Glob(filepath.Join(home, ".pyenv/versions", version+".*/bin/python"))
		if err != nil || len(found) == 0 {
			t.Skipf("Python %s is not installed (by pyenv)", version)
		}
		return found[0]
	}
	project := "by_setup" + strings.ReplaceAll(version, ".", "")
	u := uploader{
		name: "setup.py upload of Python " + version, project: project,
		register: register, remakes: true,
		prepare: func(t *testing.T, dir string) {
			python(t)
			write(t, filepath.Join(dir, "setup.py"), []byte("from distutils.core import setup\nsetup(name='"+project+"', version='1.0', py_modules=['"+project+"'], author='A', author_email='a@example.org', url='http://example.org')\n"))
			write(t, filepath.Join(dir, project+".py"), nil)
		},
		change: func(t *testing.T, dir string) { write(t, filepath.Join(dir, project+".py"), []byte("other = True\n")) },
		call: func(t *testing.T, dir, url, token string, options ...string) *exec.Cmd {
			write(t, filepath.Join(dir, ".pypirc"), []byte("[distutils]\nindex-servers = ours\n[ours]\nrepository = "+url+"\nusername = __token__\npassword = "+token+"\n"))
			args := []string{python(t), "-W", "ignore", "setup.py", "sdist", "upload", "-r", "ours"}
			if register {
				args = []string{python(t), "-W", "ignore", "setup.py", "register", "-r", "ours"}
			}
			return with(t, dir, nil, append(args, options...)...)
		},
	}
	if register {
		u.name = "setup.py register of Python " + version
	}
	return u
}

// uploaders are those of whom each goes through all that can become of an upload.
func uploaders() []uploader {
	return []uploader{
		twineUploader(), poetryUploader(), flitUploader(),
		setupUploader("2.7", false), setupUploader("3.11", false), setupUploader("2.7", true), setupUploader("3.11", true),
	}
}

// shows runs a command, and checks how it ends and that it shows a text.
func shows(t *testing.T, cmd *exec.Cmd, fails bool, text string) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	// Some fold what they show.
	if said := strings.Join(strings.Fields(string(out)), " "); (err != nil) != fails || !strings.Contains(said, text) {
		t.Errorf("%s: %v, want a failure: %v, and %q in:\n%s", filepath.Base(cmd.Args[0]), err, fails, text, out)
	}
	return string(out)
}

// digests finds a digest in a form, where a client has put it before the file.
var digests = regexp.MustCompile(`(?s)(_digest"\r?\n\r?\n)[0-9a-f]{4}`)

// spoiling gives the address of a proxy for one that changes every digest on its
// way, and passes on the answers as they are, which a proxy of net/http would not.
func spoiling(t *testing.T, to string) string {
	t.Helper()
	target, path, _ := strings.Cut(strings.TrimPrefix(to, "http://"), "/")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	serve := func(client net.Conn) error {
		defer client.Close()
		srv, err := net.Dial("tcp", target)
		if err != nil {
			return err
		}
		defer srv.Close()
		go func() {
			_, _ = io.Copy(client, srv) // until one of them is closed
			client.Close()
		}()
		for in := bufio.NewReader(client); ; {
			r, err := http.ReadRequest(in)
			if err != nil {
				return nil // the client has no more
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			r.Body = io.NopCloser(bytes.NewReader(digests.ReplaceAll(body, []byte("${1}0bad"))))
			if err := r.Write(srv); err != nil {
				return nil // the server has said all it had to say
			}
		}
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				if err := serve(client); err != nil {
					t.Error(err)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/" + path
}

// revoked gives a token that is none any more.
func (s *liveSite) revoked(t *testing.T) string {
	t.Helper()
	token := s.token(t, "--note", "to be revoked", "*")
	m := regexp.MustCompile(`(?m)^(\w+) .* to be revoked$`).FindStringSubmatch(s.nestgen(t, "token", "list"))
	if m == nil {
		t.Fatal("the token is not in the list")
	}
	s.nestgen(t, "token", "revoke", m[1])
	return token
}

// Every client uploads behind every server, shows the true reason of a refusal,
// and what it has uploaded can be installed at once, from files alone.
func TestUploads(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs real clients; run without -short")
	}
	behind(t, (*liveSite).fallbacks, "uploads = \"uploads\"\n[fallback]\nfree = 1\ndeadline = \"3m\"\n", func(t *testing.T, s *liveSite, start func() *server) {
		s.nestgen(t, "build", "-q")
		srv := start()
		url, token, revoked := srv.URL+"/legacy/", s.token(t, "by-*"), s.revoked(t)
		bad := spoiling(t, url)
		clients := uploaders()
		if strings.HasSuffix(t.Name(), "nestgen_serve") || strings.HasSuffix(t.Name(), "below_a_prefix") {
			clients = clients[:1] // what the others meet there, they meet behind another server
		}
		for _, u := range clients {
			t.Run(u.name, func(t *testing.T) {
				dir := t.TempDir()
				u.prepare(t, dir)
				const denied = "The credentials are not right"
				if u.register {
					shows(t, u.call(t, dir, url, revoked), false, "Server response (403): "+denied)
					shows(t, u.call(t, dir, url, token), false, "Server response (200): OK")
					return
				}
				shows(t, u.call(t, dir, url, revoked), true, denied)
				shows(t, u.call(t, dir, bad, token), true, "_digest does not match: the form says 0bad")
				if status(t, srv.URL+"/simple/"+strings.ReplaceAll(u.project, "_", "-")+"/") != http.StatusNotFound {
					t.Error("the project has a page, without a file")
				}

				before := len(srv.log())
				shows(t, u.call(t, dir, url, token), false, "")
				if !u.remakes {
					shows(t, u.call(t, dir, url, token), false, "") // the same bytes
				}
				u.change(t, dir)
				const exists = "File already exists: by_"
				shows(t, u.call(t, dir, url, token), true, exists)
				if u.name == "twine" || u.name == "poetry" {
					shows(t, u.call(t, dir, url, token, "--skip-existing"), false, "")
				}
				s.install(t, srv, u)
				for _, a := range srv.log()[before:] {
					if strings.HasPrefix(a.agent, "pip/") && (a.fallback || a.status != http.StatusOK) {
						t.Errorf("pip was not answered by a file: %+v", a)
					}
				}
			})
		}
		// What the index says of itself is what it would say if it were built anew.
		s.nestgen(t, "build", "-q")
		s.nestgen(t, "verify", "-q")
	})
}

// install has pip install what was uploaded, or, of a project with nothing but an
// sdist, which pip would build with what the site has not, download and unpack it.
func (s *liveSite) install(t *testing.T, srv *server, u uploader) {
	t.Helper()
	python := program(t, "python3", "python3-pip")
	dir := t.TempDir()
	args := []string{python, "-m", "pip", "--isolated", "--no-cache-dir", "--disable-pip-version-check"}
	if !u.remakes {
		args = append(args, "install", "--target", dir)
	} else {
		args = append(args, "download", "--no-build-isolation", "-d", dir)
	}
	run(t, command(t, dir, append(args, "--index-url", srv.URL+"/simple/", u.project+"==1.0")...))
	if found, err := filepath.Glob(filepath.Join(dir, u.project+"-1.0*")); err != nil || len(found) != 1 {
		t.Errorf("%s: %q, %v", u.project, found, err)
	}
}

// status asks for an address.
func status(t *testing.T, url string) int {
	t.Helper()
	resp, _, err := ask(t, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}
