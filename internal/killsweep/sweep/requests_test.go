//go:build linux && amd64

package sweep

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime/multipart"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nestgen/access"
	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/layout"
)

// A request is what a web server hands to nestgen-cgi.
type request struct {
	method, path string
	accept       string
	body         []byte // of the media type form
	now          int64  // if zero, today
}

// form is the media type of every upload. Clients choose the boundary.
const form = "multipart/form-data; boundary=f1f2f3f4f5f6"

// uploadOf makes the form that twine sends.
func uploadOf(d distribution, filetype, signature string) request {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if err := w.SetBoundary("f1f2f3f4f5f6"); err != nil {
		panic(err)
	}
	name, rest, _ := strings.Cut(d.name, "-")
	version, _, _ := strings.Cut(strings.TrimSuffix(rest, ".tar.gz"), "-")
	sum := sha256.Sum256(d.data)
	for _, field := range [][2]string{
		{":action", "file_upload"}, {"protocol_version", "1"}, {"metadata_version", "2.1"},
		{"name", name}, {"version", version}, {"filetype", filetype}, {"pyversion", "py3"}, {"sha256_digest", hex.EncodeToString(sum[:])},
	} {
		if err := w.WriteField(field[0], field[1]); err != nil {
			panic(err)
		}
	}
	file := func(field, name string, data []byte) {
		part, err := w.CreateFormFile(field, name)
		if err == nil {
			_, err = part.Write(data)
		}
		if err != nil {
			panic(err)
		}
	}
	file("content", d.name, d.data)
	if signature != "" {
		file("gpg_signature", d.name+".asc", []byte(signature))
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return request{method: "POST", path: "/legacy/", body: body.Bytes()}
}

// environment is what Apache sets for a CGI program, with the settings in a
// folder and a token of theirs.
func (q request) environment(dir, secret string) []string {
	env := append(clock(cmp.Or(q.now, today)),
		"NESTGEN_CONFIG="+filepath.Join(dir, "nestgen.toml"),
		"GATEWAY_INTERFACE=CGI/1.1", "SERVER_PROTOCOL=HTTP/1.1", "SERVER_SOFTWARE=Apache", "REQUEST_SCHEME=https", "HTTPS=on",
		"SERVER_NAME=packages.example", "SERVER_PORT=443", "HTTP_HOST=packages.example", "REMOTE_ADDR=192.0.2.7", "REMOTE_PORT=40000",
		"REQUEST_METHOD="+q.method, "REQUEST_URI="+q.path, "SCRIPT_NAME=/-nest", "PATH_INFO="+q.path, "QUERY_STRING=",
	)
	if q.accept != "" {
		env = append(env, "HTTP_ACCEPT="+q.accept)
	}
	if q.body != nil {
		env = append(env, "CONTENT_TYPE="+form, "CONTENT_LENGTH="+strconv.Itoa(len(q.body)),
			"HTTP_AUTHORIZATION=Basic "+base64.StdEncoding.EncodeToString([]byte("__token__:"+secret)))
	}
	return env
}

// An answer is what a CGI program has written, as far as it came.
type answer struct {
	status int // 0 if the header is not whole
	header textproto.MIMEHeader
	body   string
	whole  bool
}

func answerOf(stdout string) (a answer, err error) {
	head, body, ok := strings.Cut(stdout, "\r\n\r\n")
	if !ok {
		return answer{}, nil
	}
	a.body = body
	a.header, err = textproto.NewReader(bufio.NewReader(strings.NewReader(head + "\r\n\r\n"))).ReadMIMEHeader()
	if err != nil {
		return a, err
	}
	if a.status, err = strconv.Atoi(strings.Fields(a.header.Get("Status") + " x")[0]); err != nil {
		return a, err
	}
	length, err := strconv.Atoi(a.header.Get("Content-Length"))
	if err != nil {
		return a, fmt.Errorf("an answer without its length: %w", err)
	}
	if len(body) > length {
		return a, fmt.Errorf("%d bytes were announced, and %d came", length, len(body))
	}
	a.whole = len(body) == length
	return a, nil
}

// A requestScene is a request that may be struck.
type requestScene struct {
	name string
	request
	setup func(requestStage) error

	// right judges the body of a whole answer with status 200. older does so for one
	// that is given while the disk fails, and says nothing of what was done; nil
	// if there is none.
	right, older func(body string) error

	// short scenes are tried at a few points by every test run.
	short bool
}

// A requestStage is a stage with a token for uploads.
type requestStage struct {
	stage
	tokens []byte // the file of them
	secret string
}

// ask has a request answered.
func (s requestStage) ask(q request) (answer, error) {
	file, err := program("nestgen-cgi")
	if err != nil {
		return answer{}, err
	}
	cmd := exec.Command(file)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), q.environment(s.dir, s.secret)...)
	cmd.Stdin = bytes.NewReader(q.body)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return answer{}, fmt.Errorf("%s %s: %w\n%s", q.method, q.path, err, &stderr)
	}
	a, err := answerOf(stdout.String())
	if err == nil && (a.status != 200 || !a.whole) {
		err = fmt.Errorf("status %d", a.status)
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s%s", q.method, q.path, err, &stdout, &stderr)
	}
	return a, err
}

// sources makes what every scene begins with, and asks for things.
func (s requestStage) begin(upstream string, built bool, before ...request) error {
	err := errors.Join(
		s.dropSite(),
		s.write("nestgen.toml", settings+`uploads = "uploads"
[[on_demand]]
pattern = "theta"
mode = "fetch"
[[on_demand]]
pattern = "iota"
mode = "fetch"
[[upstream]]
name = "up"
url = "`+upstream+`"
`),
		os.WriteFile(s.path("tokens"), s.tokens, 0o600),
	)
	if err == nil && built {
		_, err = s.nestgen(today, "build")
	}
	for _, q := range before {
		if err == nil {
			_, err = s.ask(q)
		}
	}
	return err
}

const (
	asHTML = "text/html"
	asJSON = "application/vnd.pypi.simple.v1+json"
)

// mentions makes a judge of pages, which looks for files and their digests.
func mentions(files ...distribution) func(body string) error {
	return func(body string) error {
		for _, f := range files {
			sum := sha256.Sum256(f.data)
			if !strings.Contains(body, f.name) || !strings.Contains(body, hex.EncodeToString(sum[:])) {
				return fmt.Errorf("%s is not on the page", f.name)
			}
		}
		return nil
	}
}

// is makes a judge of files.
func is(want []byte) func(body string) error {
	return func(body string) error {
		if body != string(want) {
			return errors.New("the file has other bytes")
		}
		return nil
	}
}

// requestScenes gives all of them.
func requestScenes(t *testing.T) []requestScene {
	theta, source, iota := wheel("theta", "1.0"), sdist("theta", "1.0"), wheel("iota", "1.0")
	described := func(d distribution) fetchtest.File {
		f := upstreamFile(d)
		f.Metadata, f.Signature = intaketest.MetadataOf(t, d.data), nil // signatures come with a build
		return f
	}
	newer, files := wheel("theta", "2.0"), []fetchtest.File{described(theta), upstreamFile(source), described(iota)}
	server := fetchtest.New(t)
	upstream := server.URL + fetchtest.Index
	begin := func(s requestStage, built bool, before ...request) error {
		server.SetFiles(files...)
		return s.begin(upstream, built, before...)
	}
	fresh := func(s requestStage) error { return begin(s, false) }
	after := func(before ...request) func(requestStage) error {
		return func(s requestStage) error { return begin(s, true, before...) }
	}
	thetaPage, iotaPage := request{method: "GET", path: "/simple/theta/", accept: asHTML}, request{method: "GET", path: "/simple/iota/", accept: asJSON}
	file := layout.File(sha256.Sum256(theta.data), theta.name)
	get := func(path string) request { return request{method: "GET", path: "/" + path} }
	any := func(string) error { return nil }
	later := thetaPage
	later.now = today + 2*24*3600
	first, second := uploadOf(wheel("mu", "1.0"), "bdist_wheel", "a signature\n"), uploadOf(sdist("mu", "1.0"), "sdist", "")
	return []requestScene{
		{name: "page, nothing built", request: thetaPage, setup: fresh, right: mentions(theta, source), short: true},
		{name: "page", request: iotaPage, setup: after(thetaPage), right: mentions(iota)},
		{
			name: "page, newer upstream", request: later, right: mentions(theta, source, newer), older: mentions(theta, source),
			setup: func(s requestStage) error {
				err := begin(s, true, thetaPage)
				server.SetFiles(append(files, described(newer))...)
				return err
			},
		},
		{name: "file", request: get(file), setup: after(thetaPage), right: is(theta.data), short: true},
		{name: "metadata", request: get(file + ".metadata"), setup: after(thetaPage), right: is(intaketest.MetadataOf(t, theta.data))},
		{name: "upload, nothing built", request: first, setup: fresh, right: any},
		{name: "upload", request: first, setup: after(), right: any, short: true},
		{name: "second upload", request: second, setup: after(first), right: any},
		{name: "upload again", request: first, setup: after(first), right: any},
	}
}

// sweep gives the sweep of a scene, in an empty folder.
func (c requestScene) sweep(t *testing.T, mode Mode, work string) Sweep {
	t.Helper()
	cgi, err := program("nestgen-cgi")
	if err != nil {
		t.Fatal(err)
	}
	all, err := access.ParseScope([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	tokens := filepath.Join(t.TempDir(), "tokens")
	_, secret, err := access.Add(tokens, access.Token{Scope: all}, time.Unix(today, 0))
	if err != nil {
		t.Fatal(err)
	}
	listed, err := os.ReadFile(tokens)
	if err != nil {
		t.Fatal(err)
	}
	at := func(dir string) requestStage { return requestStage{stage{dir}, listed, secret} }
	s := Sweep{
		Command: []string{cgi},
		Env:     c.environment(filepath.Join(work, "case"), secret),
		Setup: func(dir string) error {
			s := at(dir)
			return errors.Join(c.setup(s), s.write("body", string(c.body)))
		},
		Input:   "body",
		Check:   judge,
		Done:    c.done,
		Ended:   func(e End) error { return c.ended(e, mode) },
		Settle:  func(dir string) error { return c.settle(stage{dir}) },
		Final:   func(dir string) error { return c.final(stage{dir}) },
		Mode:    mode,
		Timeout: 5 * time.Minute, // only what hangs takes so long
		Work:    work,
	}
	return s
}

// done reports whether all was done by what was said. A page that could not be made
// anew is served as it is, which may be half way: some of its forms are newer.
func (c requestScene) done(e End) bool {
	a, err := answerOf(e.Stdout)
	return err == nil && a.status == 200 && a.whole && c.right(a.body) == nil && !strings.Contains(e.Stderr, "is served as it is")
}

// ended judges an answer: nothing in it may be wrong, and of a fault of the disk
// it says that it is this site's.
func (c requestScene) ended(e End, mode Mode) error {
	a, err := answerOf(e.Stdout)
	switch {
	case err != nil:
		return err
	case a.status == 200 && a.whole && mode == Errno && c.older != nil && c.older(a.body) == nil:
		return nil
	case a.status == 200 && a.whole:
		return c.right(a.body)
	case mode == Errno && slices.Contains([]int{500, 503, 507}, a.status) && a.whole && e.Status == 0:
		return nil
	case mode == Errno && a.status == 200 && e.Status == 1: // broken off
		return nil
	case (mode == Kill || mode == Half) && e.Status == killed && (a.status == 0 || a.status == 200):
		return nil
	case mode == Term && e.Status == terminated && (a.status == 0 || a.status == 200):
		return nil
	}
	return fmt.Errorf("it ends with status %d, and answers %d", e.Status, a.status)
}

// judge judges a site as its readers would who bring what is announced when they
// ask for it.
func judge(dir string) error {
	site := filepath.Join(dir, "site")
	index := &copied{of: filepath.Join(dir, "state", "catalog.db")}
	defer index.close()
	return errors.Join(CheckLazySite(site, index.announced), CheckTimes(filepath.Join(filepath.Dir(dir), "start", "site"), site), signedOnce(dir))
}

// copied is a catalog that is read beside its own place, so that nobody who comes
// later finds anything mended.
type copied struct {
	of, dir string
	*catalog.Catalog
}

// announced gives what a request for a path would be sure to bring.
func (c *copied) announced(path string) (string, error) {
	if c.Catalog == nil {
		if err := c.open(); err != nil {
			return "", err
		}
	}
	file := layout.Owner(path)
	f, err := c.FileAt(context.Background(), file)
	switch {
	case err != nil:
		return "", err
	case !f.Announced:
		return "", fs.ErrNotExist
	case path == file:
		return f.SHA256.String(), nil
	case path == layout.CoreMetadata(file) && !f.Metadata.IsZero():
		return f.Metadata.String(), nil
	}
	return "", fs.ErrNotExist
}

func (c *copied) open() (err error) {
	if c.dir, err = os.MkdirTemp("", "killsweep-catalog"); err != nil {
		return err
	}
	to := filepath.Join(c.dir, "catalog.db")
	for _, ending := range []string{"", "-wal"} {
		if err := copyFile(c.of+ending, to+ending); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	c.Catalog, err = catalog.OpenReadOnly(to)
	return err
}

func (c *copied) close() {
	if c.Catalog != nil {
		c.Catalog.Close()
	}
	os.RemoveAll(c.dir)
}

// settle has the next build run, and then what takes empty folders of the store
// away, such as a file leaves there that never came.
func (c requestScene) settle(s stage) error {
	_, err := s.nestgen(c.clock(), "build", "-q")
	if err == nil {
		_, err = s.nestgen(c.clock(), "gc")
	}
	return err
}

// clock gives when the request is made.
func (c requestScene) clock() int64 { return cmp.Or(c.now, today) }

// final judges a site after a build: nothing to verify, nothing more to do, and
// nothing is left over, once it is old enough, of requests that broke off.
func (c requestScene) final(s stage) error {
	if err := judge(s.dir); err != nil {
		return err
	}
	if inside, err := os.ReadDir(s.path("state/stage")); err == nil && len(inside) > 0 {
		return fmt.Errorf("state/stage: %s is left over", inside[0].Name())
	}
	if out, err := s.nestgen(c.clock(), "verify", "-q"); err != nil || out != "" {
		return fmt.Errorf("verify says %q, %w", out, err)
	}
	if err := proven(s.dir); err != nil {
		return err
	}
	remnants := []string{"state/partial", "state/demand", "uploads/.incoming"}
	for _, dir := range remnants {
		if err := age(s.path(dir)); err != nil {
			return err
		}
	}
	// Builds look for them when they ask an upstream, so long after the last time.
	if out, err := s.nestgen(c.clock()+grace, "build"); err != nil || !strings.Contains(out, "nothing to do") {
		return fmt.Errorf("a build with nothing to do says %q, %w", out, err)
	}
	for _, dir := range append(remnants, "state/demand/locks") {
		inside, err := os.ReadDir(s.path(dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, d := range inside {
			if d.IsDir() || dir == "state/demand" && len(d.Name()) == 3 || strings.HasPrefix(d.Name(), "fetch-") {
				continue // answers, and the places of those who fetch
			}
			return fmt.Errorf("%s: %s is left over", dir, d.Name())
		}
	}
	return nil
}

// age makes all files below a folder older than what is taken for left over.
func age(dir string) error {
	then := time.Now().Add(-2 * grace * time.Second)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chtimes(path, then, then)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// A request that changes the site survives its death, a failing disk and a signal
// at any moment. What is served is whole and what was said is true; the same
// request again, or the next build without it, brings about what would have been.
func TestRequests(t *testing.T) {
	points, long := extent()
	for _, c := range requestScenes(t) {
		if !c.short && !long {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			for _, h := range hits {
				if !long && !h.short {
					continue
				}
				for _, once := range []bool{false, true} {
					name := h.name
					if once {
						name += ", once"
					}
					if once && !long && h.mode != Kill {
						continue
					}
					t.Run(name, func(t *testing.T) {
						s := c.sweep(t, h.mode, memory(t))
						s.Errno, s.Lasting, s.Points, s.Once = h.errno, h.lasts, points, once
						r := run(t, s)
						if len(r.Failures) > 0 {
							t.Error("it does not survive")
						}
						if r.Hit < r.Cases/2 { // how often a lock is asked for varies
							t.Errorf("only %d of %d faults took place", r.Hit, r.Cases)
						}
					})
				}
			}
		})
	}
}

// A power cut takes nothing back that a client was told.
func TestRequestsPowerCut(t *testing.T) {
	points, long := extent()
	if !long {
		t.Skip("only in the long form: with KILLSWEEP_POINTS set to a number or all")
	}
	eachCut(t, func(t *testing.T, cut cut, d *disk) {
		for _, c := range requestScenes(t) {
			for _, once := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, once %v", c.name, once), func(t *testing.T) {
					s := c.sweep(t, Kill, filepath.Join(d.dir, "work"))
					s.Cut = func() error { return cut.do(d) }
					s.Points, s.Once = points, once
					t.Cleanup(func() { os.RemoveAll(s.Work) })
					if r := run(t, s); len(r.Failures) > 0 {
						t.Error("it does not survive")
					}
				})
			}
		}
	})
}
