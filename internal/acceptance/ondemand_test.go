package acceptance

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// onDemand are the settings of a site where everything comes on demand from an
// index.
func onDemand(upstream string) string {
	return fmt.Sprintf(`[[upstream]]
name = "up"
url = "%s"

[[on_demand]]
pattern = "*"
mode = "fetch"

[fallback]
free = "1MB"
deadline = "3m" # for slow machines
`, upstream)
}

// Everybody installs from a site that has nothing, behind each kind of server:
// the first time with the help of the fallback, and from then on from files
// alone. A build takes over what has come.
func TestInstallOnDemand(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes; run without -short")
	}
	up := build(t)
	upstream := kinds[0].start(t, kinds[0], up.dir)
	type client struct {
		name    string
		install func(t *testing.T, s site, srv *server)
	}
	var clients []client
	for _, py := range pythons(t) {
		clients = append(clients, client{"pip " + py.pip + ", Python " + py.version, func(t *testing.T, _ site, srv *server) {
			dir, _ := py.into(t, srv.URL, "app", "yanked", "only-future")
			want := []string{"app", "1.0", "lib", "1.5", "dotted_name", "1.0", "only_future", "1.0"}
			if atLeast(py.pip, 19, 2) {
				want = append(want, "yanked", "1.0")
			}
			wantVersions(t, dir, want...)
		}})
		if py.setuptools != "" {
			clients = append(clients, client{"easy_install " + py.setuptools + ", Python " + py.version, func(t *testing.T, _ site, srv *server) {
				easyInstallByIndex(t, srv, py)
			}})
		}
	}
	for name, run := range map[string]func(*testing.T, site, []kind){"poetry": poetry, "pdm": pdm, "buildout": buildout} {
		clients = append(clients, client{name, func(t *testing.T, s site, srv *server) {
			started := kind{name: "it", start: func(*testing.T, kind, string) *server { return srv }}
			run(t, s, []kind{started})
		}})
	}
	t.Run("by", func(t *testing.T) {
		for _, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				for _, name := range []string{"nginx, FastCGI", "Apache, mod_cgid"} {
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						s := newLiveSite(t, onDemand(upstream.URL+"/simple/"))
						servers := s.webFallbacks()
						k := servers[slices.IndexFunc(servers, func(k kind) bool { return k.name == name })]
						srv := k.start(t, k, s.dir)
						c.install(t, s.site, srv)
						if !srv.logged(func(a access) bool { return a.fallback && a.status == http.StatusOK }) {
							t.Errorf("the fallback was not asked: %+v", srv.log())
						}
						c.install(t, s.site, srv)
						// Where a line stands in the log says little: Apache writes one
						// when the program that has answered has ended.
						asked := map[string]int{}
						for _, a := range srv.log() {
							if a.fallback && a.status == http.StatusOK {
								asked[a.path]++
							}
						}
						for path, n := range asked {
							if n > 1 {
								t.Errorf("the fallback was asked %d times for %s", n, path)
							}
						}
						if !strings.HasPrefix(c.name, "pip 2") {
							return
						}
						s.nestgen(t, "build", "-q")
						s.nestgen(t, "verify")
						before := len(srv.log())
						c.install(t, s.site, srv)
						for _, a := range srv.log()[before:] {
							if a.fallback || a.status != http.StatusOK {
								t.Errorf("after the build: %+v", a)
							}
						}
					})
				}
			})
		}
	})
}

// A name that is this site's own is asked for outside under none of its spellings,
// by none of the ways in.
func TestNoSpellingOfAPrivateNameIsAskedFor(t *testing.T) {
	file, data := intaketest.Wheel("acme-secret", "9.0", intaketest.Opts{})
	up := fetchtest.New(t, fetchtest.File{Project: "acme-secret", Filename: file, Data: data})
	settings := "reserved = [\"ACME_*\", \"exact.name\"]\ndrop = [\"drop\"]\n" + onDemand(up.URL+fetchtest.Index)
	servers := func(s *liveSite) []kind { return s.fallbacks() }
	t.Run("by", func(t *testing.T) {
		behind(t, servers, settings, func(t *testing.T, s *liveSite, start func() *server) {
			put := func(name string) {
				file, data := intaketest.Wheel(name, "1.0", intaketest.Opts{})
				write(t, filepath.Join(s.root, "drop", file), data)
			}
			put("house-lib")
			s.nestgen(t, "build", "-q")
			put("new-lib") // which no build has seen
			srv := start()
			spellings := 2000 // each of them a process where the server starts one
			if !strings.Contains(t.Name(), "mod_cgid") && !strings.Contains(t.Name(), "fcgiwrap") {
				spellings = 10_000
			}
			work := make(chan string)
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for path := range work {
						resp, err := http.Get(srv.URL + path)
						if err != nil {
							t.Error(err)
							continue
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
				})
			}
			r := rand.New(rand.NewPCG(7, 7))
			names := []string{"acme-secret", "acme-a-b-c", "exact-name", "house-lib", "new-lib"}
			forms := []string{"/simple/%s/", "/simple/%s", "/project/%s/", "/pypi/%s/json", "/pypi/%s/9.0/json", "/simple/%s/index.html", "/simple/%s/index.v1_json", "//simple//%s/", "/simple/../simple/%s/"}
			for i := range spellings {
				work <- fmt.Sprintf(forms[i%len(forms)], spell(r, names[r.IntN(len(names))]))
			}
			close(work)
			all.Wait()
		})
	})
	for _, q := range up.Requests("") {
		t.Errorf("asked outside: %s %s", q.Method, q.Path)
	}
}

// spell writes a name in one of the ways that are the same name, some letters of
// it as an address may write them.
func spell(r *rand.Rand, name string) string {
	var b strings.Builder
	for _, c := range name {
		switch {
		case c == '-':
			for range 1 + r.IntN(3) {
				b.WriteByte("-_."[r.IntN(3)])
			}
		case r.IntN(8) == 0:
			fmt.Fprintf(&b, "%%%02X", c)
		case r.IntN(2) == 0:
			b.WriteRune(c - 'a' + 'A')
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// A hundred clients that want the same at once, through as many processes, make one
// request of the upstream for the page and one for the file, and all get them.
func TestOneFetchForAHundred(t *testing.T) {
	file, data := intaketest.Wheel("foo", "1.0", intaketest.Opts{Pad: 300_000})
	t.Run("by", func(t *testing.T) {
		for i, k := range new(liveSite).fallbacks() {
			t.Run(k.name, func(t *testing.T) {
				up := fetchtest.New(t, fetchtest.File{Project: "foo", Filename: file, Data: data})
				s := newLiveSite(t, onDemand(up.URL+fetchtest.Index))
				k := s.fallbacks()[i]
				srv := k.start(t, k, s.dir)
				get := func(path string, right func([]byte) bool) {
					t.Helper()
					var all sync.WaitGroup
					for range 100 {
						all.Go(func() {
							resp, err := http.Get(srv.URL + path)
							if err != nil {
								t.Error(err)
								return
							}
							defer resp.Body.Close()
							body, err := io.ReadAll(resp.Body)
							if err != nil || resp.StatusCode != http.StatusOK || !right(body) {
								t.Errorf("%s: %s, %d bytes, %v", path, resp.Status, len(body), err)
							}
						})
					}
					all.Wait()
				}
				get("/simple/foo/", func(b []byte) bool { return bytes.Contains(b, []byte(file)) })
				page, err := os.ReadFile(filepath.Join(s.dir, "simple/foo/index.html"))
				if err != nil {
					t.Fatal(err)
				}
				_, rest, _ := strings.Cut(string(page), `href="../..`)
				path, _, _ := strings.Cut(rest, "#")
				get(path, func(b []byte) bool { return bytes.Equal(b, data) })
				if n := len(up.Requests("")); n != 2 {
					t.Errorf("%d requests of the upstream, want 2", n)
				}
			})
		}
	})
}
