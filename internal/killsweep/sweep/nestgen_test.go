//go:build linux && amd64

package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/layout"
	"nestgen/monitor"
	"nestgen/trust"
)

// programDir is where the programs are.
var programDir string

// releases builds nestgen and nestgen-cgi once, as they are released.
var releases = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "killsweep-nestgen")
	if err != nil {
		return "", err
	}
	programDir = dir
	cmd := exec.Command("go", "build", "-o", dir, "nestgen/cmd/nestgen", "nestgen/cmd/nestgen-cgi")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nestgen: %w\n%s", err, out)
	}
	return dir, nil
})

// program gives one of them.
func program(name string) (string, error) {
	dir, err := releases()
	return filepath.Join(dir, name), err
}

// Every build of a sweep is told the same time of day.
const (
	today = 1_767_225_600 // 2026-01-01
	grace = 7 * 24 * 3600
)

// extent is how much of the sweeps is done: by every test run a few points of
// the short scenes; with KILLSWEEP_POINTS in the environment all scenes, at so
// many points or at "all".
func extent() (points int, long bool) {
	switch v := os.Getenv("KILLSWEEP_POINTS"); v {
	case "":
		return shortPoints, false
	case "all":
		return 0, true
	default:
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			panic("KILLSWEEP_POINTS=" + v + ": want a number, or all")
		}
		return n, true
	}
}

// A stage is a folder in which nestgen works on a site.
type stage struct{ dir string }

// nestgen runs the program and gives what it said.
func (s stage) nestgen(now int64, args ...string) (string, error) {
	file, err := program("nestgen")
	if err != nil {
		return "", err
	}
	cmd := exec.Command(file, args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), clock(now)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("nestgen %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// clock gives the environment in which it is now: for the program, and for the
// grace that it counts.
func clock(now int64) []string {
	s := strconv.FormatInt(now, 10)
	return []string{"SOURCE_DATE_EPOCH=" + s, "NESTGEN_TEST_CLOCK=" + s}
}

func (s stage) path(name string) string { return filepath.Join(s.dir, name) }

// write makes files, which are given as pairs of name and content.
func (s stage) write(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		file := s.path(pairs[i])
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(pairs[i+1]), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s stage) remove(names ...string) error {
	for _, name := range names {
		if err := os.Remove(s.path(name)); err != nil {
			return err
		}
	}
	return nil
}

// put makes distributions in a folder.
func (s stage) put(dir string, files ...distribution) error {
	for _, f := range files {
		if err := s.write(dir+"/"+f.name, string(f.data)); err != nil {
			return err
		}
	}
	return nil
}

// A distribution is a file to put somewhere.
type distribution struct {
	name string
	data []byte
}

func wheel(project, version string) distribution {
	name, data := intaketest.Wheel(project, version, intaketest.Opts{RequiresPython: ">=3.9", Summary: "Made for a sweep", Pad: 3000})
	return distribution{name, data}
}

func sdist(project, version string) distribution {
	name, data := intaketest.Sdist(project, version, intaketest.Opts{Pad: 5000})
	return distribution{name, data}
}

func egg(project, version string) distribution {
	name, data := intaketest.Egg(project, version, intaketest.Opts{})
	return distribution{name, data}
}

// upstreamFile is a distribution at an upstream, with a signature.
func upstreamFile(d distribution) fetchtest.File {
	project, _, _ := strings.Cut(d.name, "-")
	return fetchtest.File{Project: project, Filename: d.name, Data: d.data, RequiresPython: ">=3.8", Signature: []byte("a signature of " + d.name + "\n")}
}

// settings are those of every scene: all pages that there are. The disks are small, and
// the machines may be slow.
const settings = `title = "A sweep"
drop = ["drop"]
gzip = true
fallback = { free = "1MiB", deadline = "3m" }
`

// dropSite is the sources of a site without any upstream.
func (s stage) dropSite() error {
	signed := wheel("alpha", "1.0")
	return errors.Join(
		s.write("nestgen.toml", settings),
		s.put("drop", signed, wheel("alpha", "1.1"), sdist("alpha", "1.1"), egg("beta", "0.3"), wheel("Gamma_Ray", "2.0"), sdist("delta", "4.0"), wheel("epsilon", "1.0")),
		s.write("drop/"+signed.name+".asc", "a signature\n", "drop/old/zeta.svn", "http://svn.example/zeta/trunk#egg=zeta-dev\n"),
	)
}

// A scene is a run of nestgen that may be struck.
type scene struct {
	name  string
	now   int64 // of the run
	args  []string
	setup func(stage) error

	// check judges what a fault has left, in place of [looked].
	check func(dir string) error

	// lazy says that files come on demand, some of which are not there.
	lazy bool

	// and judges what a fault has left as well. If nil, nothing does.
	and func(stage) error

	// trees are folders that come out the same besides the site.
	trees []string

	// over is what it says, with status 2, when there is nothing left to do; empty if
	// it never says so.
	over string

	// healed says that what it has begun is done by the next build too. It is also
	// tried so, without a second run.
	healed bool

	// settled has a build follow in any case.
	settled bool

	// held says that builds change nothing after it, and say so.
	held bool

	// same is a site that this one is the same as in the end; empty for none.
	same string

	// then judges what came of it in the end. If nil, nothing does but [scene.final].
	then func(stage) error

	// short scenes are tried at a few points by every test run.
	short bool
}

// scenes gives all of them. upstream is what those with an upstream ask.
func scenes(t *testing.T) []scene {
	server := fetchtest.New(t)
	mirror := func(s stage) error {
		return errors.Join(s.dropSite(), s.write(
			"nestgen.toml", settings+"allowlist = [\"allow.txt\"]\n[[upstream]]\nname = \"up\"\nurl = \""+server.URL+fetchtest.Index+"\"\n",
			"allow.txt", "theta\niota>=1\nkappa==1.0\n",
		))
	}
	first := func() {
		server.SetFiles(
			upstreamFile(wheel("theta", "1.0")), upstreamFile(sdist("theta", "1.0")),
			upstreamFile(wheel("iota", "1.0")), upstreamFile(wheel("kappa", "1.0")),
		)
	}
	local := func(s stage) error {
		return errors.Join(
			s.write("nestgen.toml", settings+"allowlist = [\"allow.txt\"]\n[[upstream]]\nname = \"folder\"\nurl = \"upstream\"\n", "allow.txt", "theta\niota\n"),
			s.put("drop", wheel("alpha", "1.0")),
			s.put("upstream", wheel("theta", "1.0"), sdist("theta", "1.0"), wheel("iota", "0.5")),
		)
	}
	built := func(s stage, err error) error {
		if err == nil {
			_, err = s.nestgen(today, "build")
		}
		return err
	}
	return append(historyScenes(t, server), []scene{
		{
			name: "first build", now: today, args: []string{"build", "-q"}, short: true,
			setup: stage.dropSite,
		},
		{
			name: "update", now: today, args: []string{"build", "-q", "--allow-removals"}, short: true,
			setup: func(s stage) error {
				return errors.Join(
					built(s, s.dropSite()),
					s.put("drop", wheel("alpha", "1.2"), wheel("lambda", "1.0")),
					s.remove("drop/"+egg("beta", "0.3").name, "drop/"+sdist("delta", "4.0").name, "drop/"+sdist("alpha", "1.1").name),
					s.write("policy.toml", `
[[yank]]
project = "alpha"
versions = "==1.0"
reason = "it forgets"

[[status]]
project = "epsilon"
status = "deprecated"
reason = "nobody wants it"

[[note]]
project = "gamma-ray"
text = "be careful"
`))
			},
		},
		{
			name: "quarantine and block", now: today, args: []string{"build", "-q"},
			setup: func(s stage) error {
				return errors.Join(built(s, s.dropSite()), s.write("policy.toml", forbidding))
			},
		},
		{
			name: "quarantine and block end", now: today, args: []string{"build", "-q"},
			setup: func(s stage) error {
				err := built(s, errors.Join(s.dropSite(), s.write("policy.toml", "")))
				err = built(s, errors.Join(err, s.write("policy.toml", forbidding)))
				return errors.Join(err, s.write("policy.toml", ""))
			},
		},
		{
			name: "first fetch", now: today, args: []string{"build", "-q"}, short: true,
			setup: func(s stage) error {
				first()
				return mirror(s)
			},
		},
		{
			name: "new version upstream", now: today, args: []string{"build", "-q"}, short: true,
			setup: func(s stage) error {
				first()
				err := built(s, mirror(s))
				server.SetFiles(
					upstreamFile(wheel("theta", "2.0")), upstreamFile(sdist("theta", "2.0")), upstreamFile(wheel("theta", "1.0")),
					upstreamFile(wheel("iota", "1.0")), upstreamFile(wheel("iota", "1.5")), upstreamFile(wheel("kappa", "1.0")),
				)
				return err
			},
		},
		{
			name: "first fetch from a folder", now: today, args: []string{"build", "-q"},
			setup: local,
		},
		{
			name: "new version in a folder", now: today, args: []string{"build", "-q"},
			setup: func(s stage) error {
				return errors.Join(built(s, local(s)), s.put("upstream", wheel("theta", "2.0"), sdist("theta", "2.0")))
			},
		},
		{
			name: "fewer pages", now: today, args: []string{"build", "-q"},
			setup: func(s stage) error {
				return errors.Join(built(s, s.dropSite()), s.write("nestgen.toml", "title = \"Fewer\"\ndrop = [\"drop\"]\npeople = false\nflat = false\nlegacy_json = \"none\"\n"))
			},
		},
		{
			name: "update of a site with indexes", now: today, args: []string{"build", "-q", "--allow-removals"}, short: true,
			setup: func(s stage) error {
				err := staged(s)
				if err == nil {
					_, err = s.nestgen(today, "promote", "alpha", "beta", "/", "prod")
				}
				return errors.Join(err,
					s.put("drop", wheel("alpha", "1.2"), wheel("lambda", "1.0")),
					s.remove("drop/"+egg("beta", "0.3").name, "drop/"+sdist("alpha", "1.1").name, "drop/"+sdist("delta", "4.0").name),
					s.write("nestgen.toml", settings+strings.Replace(indexes, "name = \"all\"", "name = \"all\"\nprefix = \"most\"", 1)))
			},
		},
		{
			name: "promotion", now: today, args: []string{"promote", "--by", "alice", "alpha", "gamma-ray==2.0", "/", "prod"}, healed: true,
			setup: staged,
		},
		{
			name: "snapshot of then", now: today, args: []string{"snapshot", "create", "then", "--serial", firstSerial, "--by", "alice"}, short: true, healed: true,
			setup: func(s stage) error { return built(s, errors.Join(gone(s), s.write("policy.toml", forbidding))) },
		},
		{
			name: "snapshots by rules", now: today, args: []string{"build", "-q"},
			setup: func(s stage) error {
				err := errors.Join(s.dropSite(), s.write("nestgen.toml", "snapshots = \"daily, keep 1\"\n"+settings))
				if err == nil {
					_, err = s.nestgen(today-24*3600, "build")
				}
				return errors.Join(err, s.put("drop", wheel("lambda", "1.0")))
			},
		},
		{
			name: "snapshot dropped", now: today, args: []string{"build", "-q"},
			setup: func(s stage) error {
				err := gone(s)
				if err == nil {
					_, err = s.nestgen(today, "snapshot", "create", "then")
				}
				return errors.Join(err, s.write("nestgen.toml", "snapshots = \"daily, keep 1\"\n"+settings))
			},
		},
		{
			name: "rollback", now: today, args: []string{"rollback", firstSerial, "--by", "alice"}, short: true, held: true, healed: true,
			setup: gone,
		},
		{
			name: "first import", now: today, args: []string{"import", "-q", "bundle.tar"}, short: true,
			setup: func(s stage) error {
				return errors.Join(s.empty(), s.bundled())
			},
			same: "near/site",
		},
		{
			name: "import", now: today, args: []string{"import", "-q", "--allow-removals", "second.tar"}, short: true,
			setup: func(s stage) error {
				err := errors.Join(s.empty(), s.bundled())
				if err == nil {
					_, err = s.nestgen(today, "import", "bundle.tar")
				}
				return errors.Join(err, s.bundledAgain("--to", "second.tar"))
			},
			same: "near/site",
		},
		{
			name: "deletion after the grace", now: today + grace + 1, args: []string{"build", "-q"},
			setup: withdrawn,
		},
		{
			name: "garbage collection", now: today + grace + 1, args: []string{"gc"},
			setup: func(s stage) error {
				stray := "site/packages/00/11/" + strings.Repeat("2", 60) + "/stray-1.0.tar.gz"
				return errors.Join(withdrawn(s), s.write(stray, "what a run has left", stray+".metadata", "this too"), old(s.path("site/packages/00")))
			},
			check: func(string) error { return nil }, // the stray file is not what its path says; Final looks
		},
		{
			name: "repair", now: today, args: []string{"verify", "--repair", "-q"},
			setup: func(s stage) error {
				first()
				return errors.Join(built(s, mirror(s)), os.CopyFS(s.path("good"), os.DirFS(s.path("site"))), damage(s))
			},
			check: noWorse,
		},
	}...)
}

// empty makes the sources of a site that has nothing of its own.
func (s stage) empty() error { return s.write("nestgen.toml", settings, "drop/.keep", "") }

// bundled makes another site, whose key this one trusts, and a bundle of all that it
// has.
func (s stage) bundled() error {
	near := stage{s.path("near")}
	err := near.dropSite()
	if err == nil {
		_, err = near.nestgen(today, "build")
	}
	if err == nil {
		_, err = s.nestgen(today, "export", "-c", "near/nestgen.toml", "--tag", "far", "--to", "bundle.tar")
	}
	return errors.Join(err, s.trusts(near))
}

// trusts has a site trust another one. Two sites of one machine have the same name; they
// do not mind.
func (s stage) trusts(other stage) error {
	own, err := trust.Open(other.path("state/keys")).Own()
	if err == nil {
		_, err = s.nestgen(today, "key", "trust", own.Verifier)
	}
	return err
}

// bundledAgain changes the other site, and makes a bundle of that.
func (s stage) bundledAgain(args ...string) error {
	err := stage{s.path("near")}.goOn()
	if err == nil {
		_, err = s.nestgen(today, append([]string{"export", "-c", "near/nestgen.toml", "--tag", "far"}, args...)...)
	}
	return err
}

// goOn changes a site that [stage.dropSite] has made, and builds it.
func (s stage) goOn() error {
	err := errors.Join(
		s.put("drop", wheel("alpha", "1.2"), wheel("lambda", "1.0")),
		s.remove("drop/"+egg("beta", "0.3").name, "drop/"+sdist("delta", "4.0").name, "drop/"+sdist("alpha", "1.1").name),
		s.write("policy.toml", "[[yank]]\nproject = \"alpha\"\nversions = \"==1.0\"\n[[status]]\nproject = \"epsilon\"\nstatus = \"deprecated\"\n"),
	)
	if err == nil {
		_, err = s.nestgen(today, "build", "--allow-removals")
	}
	return err
}

// sameSites compares byte by byte what two sites list. What only one of them has in its
// store still, has left the index.
func sameSites(near, far string) error {
	for _, shelf := range []string{"simple", "flat", "easy", "pypi", "packages"} {
		for _, way := range [][2]string{{near, far}, {far, near}} {
			err := filepath.WalkDir(filepath.Join(way[0], shelf), func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				rel, err := filepath.Rel(way[0], path)
				if err != nil {
					return err
				}
				a, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				b, err := os.ReadFile(filepath.Join(way[1], rel))
				if errors.Is(err, fs.ErrNotExist) && shelf == "packages" && !lists(near, path) {
					return nil
				}
				if err == nil && !bytes.Equal(a, b) {
					err = fmt.Errorf("%s: near and far have other bytes", rel)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// lists reports whether a site lists a file of its store.
func lists(site, path string) bool {
	page, err := os.ReadFile(filepath.Join(site, "flat", "index.html"))
	name := filepath.Base(path)
	for _, ending := range []string{".metadata", ".asc", ".provenance"} {
		name = strings.TrimSuffix(name, ending)
	}
	return err != nil || bytes.Contains(page, []byte(name))
}

// forbidding is a policy by which files are to be had by nobody.
const forbidding = `
[[status]]
project = "alpha"
status = "quarantined"

[[block]]
project = "gamma-ray"
reason = "it steals"
`

// indexes are the settings of further indexes: one of all, a part of the site, and a
// stage.
const indexes = `
[[index]]
name = "all"
inherits = ["/"]

[[index]]
name = "own"
allowlist = ["own.txt"]

[[index]]
name = "prod"
`

// staged makes a site with further indexes.
func staged(s stage) error {
	err := errors.Join(s.dropSite(), s.write("nestgen.toml", settings+indexes, "own.txt", "alpha<1.1\nepsilon\n"))
	if err == nil {
		_, err = s.nestgen(today, "build")
	}
	return err
}

// withdrawn makes a site from which files were taken, whose bytes are there
// still.
func withdrawn(s stage) error {
	err := s.dropSite()
	if err == nil {
		_, err = s.nestgen(today, "build")
	}
	err = errors.Join(err, s.remove("drop/"+egg("beta", "0.3").name, "drop/"+wheel("alpha", "1.0").name, "drop/"+wheel("alpha", "1.0").name+".asc"))
	if err == nil {
		_, err = s.nestgen(today, "build")
	}
	return err
}

// firstSerial is that of a first build.
const firstSerial = "8"

// gone makes a site that has gone on since a first build.
func gone(s stage) error {
	err := s.dropSite()
	if err == nil {
		var out string
		if out, err = s.nestgen(today, "build"); err == nil && !strings.HasSuffix(out, "serial "+firstSerial+"\n") {
			err = fmt.Errorf("the first build says %q", out)
		}
	}
	err = errors.Join(err,
		s.put("drop", wheel("alpha", "1.2"), wheel("lambda", "1.0")),
		s.remove("drop/"+egg("beta", "0.3").name, "drop/"+sdist("alpha", "1.1").name, "drop/old/zeta.svn"),
		s.write("policy.toml", "[[yank]]\nproject = \"epsilon\"\n\n[[status]]\nproject = \"delta\"\nstatus = \"archived\"\n"))
	if err == nil {
		_, err = s.nestgen(today, "build", "--allow-removals")
	}
	return errors.Join(err, s.write("policy.toml", ""))
}

// old sets the times of a tree back to before every build.
func old(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		then := time.Unix(today-100, 0)
		return os.Chtimes(path, then, then)
	})
}

// damage spoils a site: bytes of a dropped and of a fetched file, a lost file,
// lost metadata, a torn page, a page that is gone, and something strange.
func damage(s stage) error {
	stored := func(name string) string {
		all, err := filepath.Glob(s.path("site/packages/*/*/*/" + name))
		if err != nil || len(all) != 1 {
			return "no " + name
		}
		return all[0]
	}
	spoil := func(file string) error {
		return errors.Join(os.Chmod(file, 0o644), os.WriteFile(file, []byte("spoiled"), 0o444), os.Chmod(file, 0o444))
	}
	return errors.Join(
		spoil(stored(wheel("alpha", "1.0").name)),
		spoil(stored(wheel("theta", "1.0").name)),
		os.Remove(stored(sdist("delta", "4.0").name)),
		os.Remove(stored(wheel("epsilon", "1.0").name+".metadata")),
		os.Truncate(s.path("site/simple/alpha/index.html"), 100),
		os.Remove(s.path("site/simple/delta/index.v1_json")),
		os.Remove(s.path("site/simple/index.html")),
		os.WriteFile(s.path("site/simple/strange.html"), []byte("<html></html>"), 0o644),
	)
}

// noWorse holds a site under repair against what it was before it was damaged:
// whatever is there is as it was found or as it should be, and what was good
// stays so all the time.
func noWorse(dir string) error {
	good, found, now := filepath.Join(dir, "good"), filepath.Join(filepath.Dir(dir), "start", "site"), filepath.Join(dir, "site")
	if err := CheckTimes(found, now); err != nil && !strings.Contains(err.Error(), "file of the store") {
		return err // its files may change here, and what they may change to is checked below
	}
	names := map[string]bool{}
	for _, top := range []string{good, found, now} {
		err := fs.WalkDir(os.DirFS(top), ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				names[name] = true
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for name := range names {
		want, wantErr := os.ReadFile(filepath.Join(good, name))
		was, wasErr := os.ReadFile(filepath.Join(found, name))
		is, isErr := os.ReadFile(filepath.Join(now, name))
		intact := wantErr == nil && wasErr == nil && bytes.Equal(want, was)
		switch {
		case intact && isErr != nil:
			return fmt.Errorf("%s: it was good, and is gone", name)
		case isErr != nil:
		case wantErr == nil && bytes.Equal(is, want), wasErr == nil && bytes.Equal(is, was):
		default:
			return fmt.Errorf("%s: neither what it should be nor what it was", name)
		}
	}
	return nil
}

// sweep gives the sweep of a scene; once, without a second run.
func (c scene) sweep(t *testing.T, mode Mode, once bool) Sweep {
	t.Helper()
	file, err := program("nestgen")
	if err != nil {
		t.Fatal(err)
	}
	s := Sweep{
		Command: append([]string{file}, c.args...),
		Env:     clock(c.now),
		Setup:   func(dir string) error { return c.setup(stage{dir}) },
		Check:   c.check,
		Done:    c.done,
		Ended:   c.truthful(mode),
		Once:    once,
		Final:   c.final(once),
		Trees:   append([]string{"site"}, c.trees...),
		Mode:    mode,
		Timeout: 5 * time.Minute, // only what hangs takes so long
		Work:    memory(t),
	}
	switch {
	case c.lazy:
		s.Check = judge
	case s.Check == nil:
		s.Check = looked
	}
	if c.and != nil {
		check := s.Check
		s.Check = func(dir string) error { return errors.Join(check(dir), c.and(stage{dir})) }
	}
	if once || c.settled {
		s.Settle = func(dir string) error {
			out, err := stage{dir}.nestgen(c.now, "build", "-q", "--allow-removals")
			if heldBack(out, err) {
				return nil
			}
			return err
		}
	}
	return s
}

// looked judges a site as its readers see it, and as it was before.
func looked(dir string) error {
	site := filepath.Join(dir, "site")
	return errors.Join(CheckSite(site), CheckTimes(filepath.Join(filepath.Dir(dir), "start", "site"), site), signedOnce(dir))
}

// signedOnce checks that nothing that the site in a folder has ever signed is taken back.
func signedOnce(dir string) error {
	return CheckHistory(filepath.Join(dir, "site"), filepath.Join(dir, "seen"))
}

// proven looks at the site in a folder from outside, as somebody does who has the key that
// it began with.
func proven(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "site", layout.Log)); errors.Is(err, fs.ErrNotExist) {
		settings, err := os.ReadFile(filepath.Join(dir, "nestgen.toml"))
		if err == nil && !strings.Contains(string(settings), "log = false") {
			err = errors.New("the site has no log")
		}
		return err
	}
	own, err := trust.Open(filepath.Join(filepath.Dir(dir), "start", "state", "keys")).Own()
	if errors.Is(err, fs.ErrNotExist) {
		own, err = trust.Open(filepath.Join(dir, "state", "keys")).Own()
	}
	if err != nil {
		return err
	}
	r, err := monitor.Verify(context.Background(), filepath.Join(dir, "site"), own.Verifier, monitor.Options{})
	if err == nil && !r.Proven() {
		err = fmt.Errorf("from outside: %d findings, %+v; %+v", len(r.Findings), r.Findings[:min(len(r.Findings), 3)], r.Unanswered)
	}
	return err
}

// heldBack reports whether a build has said that the site is held back.
func heldBack(out string, err error) bool {
	e, failed := errors.AsType[*exec.ExitError](err)
	return failed && e.ExitCode() == 3 && strings.Contains(out, "rolled back to")
}

// done reports whether a run has said that all is done.
func (c scene) done(e End) bool {
	return e.Status == 0 || c.over != "" && e.Status == 2 && strings.Contains(e.Stderr, c.over)
}

// truthful judges how a run ended that was not killed: 0 with everything done,
// which the sweep finds out; 7, with a hint, for a fault of the disk, or 3 for
// one that cost a single file; 130 for a signal.
func (c scene) truthful(mode Mode) func(End) error {
	return func(e End) error {
		switch {
		case c.done(e), mode == Term && e.Status == 130:
			return nil
		case (mode == Kill || mode == Half) && e.Status == killed:
			return nil
		case mode == Errno && e.Status == 3 && strings.Contains(e.Stderr, "nestgen: "):
			return nil
		case mode == Errno && e.Status == 7:
			if !strings.Contains(e.Stderr, "nestgen: hint: ") {
				return errors.New("status 7 without a hint")
			}
			return nil
		}
		return fmt.Errorf("it ends with status %d", e.Status)
	}
}

// killed is the status of a process that SIGKILL has ended, and terminated that
// of one that SIGTERM has.
const (
	killed     = 128 + int(syscall.SIGKILL)
	terminated = 128 + int(syscall.SIGTERM)
)

// final judges a site when the second run is done: as the sweep saw without a
// fault, whatever can be asked for of the catalog, nothing left over, nothing
// to verify and nothing more to do.
func (c scene) final(once bool) func(dir string) error {
	want := ""
	return func(dir string) error {
		s := stage{dir}
		look := func(dir string) error { return CheckSite(filepath.Join(dir, "site")) }
		if c.lazy {
			look = judge
		}
		if err := errors.Join(look(dir), signedOnce(dir)); err != nil {
			return err
		}
		for _, left := range []string{"state/stage", "state/partial"} {
			if inside, err := os.ReadDir(s.path(left)); err == nil && len(inside) > 0 {
				return fmt.Errorf("%s: %s is left over", left, inside[0].Name())
			}
		}
		if c.same != "" {
			if err := sameSites(s.path(c.same), s.path("site")); err != nil {
				return err
			}
		}
		got, err := s.nestgen(c.now, "list", "--json")
		if err != nil {
			return err
		}
		if want == "" || once { // it may not have been done at all
			want = got
		}
		if got != want {
			return fmt.Errorf("the catalog has\n%s, want\n%s", got, want)
		}
		if out, err := s.nestgen(c.now, "verify", "-q"); err != nil || out != "" {
			return fmt.Errorf("verify says %q, %w", out, err)
		}
		if err := proven(dir); err != nil {
			return err
		}
		if c.then != nil {
			if err := c.then(s); err != nil {
				return err
			}
		}
		out, err := s.nestgen(c.now, "build")
		if (c.held || once) && heldBack(out, err) {
			err = nil
		} else if c.held && !once {
			return fmt.Errorf("a third run does not say that the site is held back: %q, %w", out, err)
		}
		if err != nil || !strings.Contains(out, "nothing to do") {
			return fmt.Errorf("a third run says %q, %w", out, err)
		}
		return nil
	}
}

// A hit is how nestgen is struck.
type hit struct {
	name  string
	mode  Mode
	errno syscall.Errno
	lasts bool
	short bool // tried by every test run
}

var hits = []hit{
	{"kill", Kill, 0, false, true},
	{"half", Half, 0, false, true},
	{"ENOSPC", Errno, syscall.ENOSPC, false, true},
	{"EIO", Errno, syscall.EIO, false, false},
	{"EROFS from then on", Errno, syscall.EROFS, true, false},
	{"SIGTERM", Term, 0, false, false},
}

// shortPoints is how many points of a short scene are tried with each of the
// three short hits: some forty in all.
const shortPoints = 4

// A build survives its death, a failing disk and a signal at any moment: what
// is served is whole, and one more run brings about what would have been. The
// short form tries some forty points; KILLSWEEP_POINTS=all tries all.
func TestNestgen(t *testing.T) {
	points, long := extent()
	for _, c := range scenes(t) {
		if !c.short && !long {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			for _, h := range hits {
				for _, once := range []bool{false, true} {
					if !long && (!h.short || once && h.mode != Kill) || once && !c.healed {
						continue
					}
					name := h.name
					if once {
						name += ", once"
					}
					t.Run(name, func(t *testing.T) {
						s := c.sweep(t, h.mode, once)
						s.Errno, s.Lasting, s.Points = h.errno, h.lasts, points
						r := run(t, s)
						if len(r.Failures) > 0 {
							t.Error("it does not survive")
						}
						if r.Hit < r.Cases*9/10 {
							t.Errorf("only %d of %d faults took place", r.Hit, r.Cases)
						}
					})
				}
			}
		})
	}
}

// interrupted runs a command, sends it a signal when it is busy and gives how it
// ended, which must be so soon after that.
func interrupted(t *testing.T, cmd *exec.Cmd, sig os.Signal, soon time.Duration, busy func() bool) error {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) // it has ended, unless the test went wrong
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for !busy() {
		select {
		case err := <-ended:
			t.Fatalf("it ended before it was busy: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	err := <-ended
	if took := time.Since(start); took > soon {
		t.Errorf("it ended after %v", took)
	}
	return err
}

// A signal in the middle of a download, when nothing moves any more, ends a
// build at once and with what it is: interrupted. The next run goes on.
func TestInterrupt(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			server := fetchtest.New(t, upstreamFile(wheel("theta", "1.0")))
			s := stage{memory(t)}
			err := errors.Join(s.dropSite(), s.write(
				"nestgen.toml", settings+"allowlist = [\"allow.txt\"]\n[[upstream]]\nname = \"up\"\nurl = \""+server.URL+fetchtest.Index+"\"\n",
				"allow.txt", "theta\n",
			))
			if err != nil {
				t.Fatal(err)
			}
			file, err := program("nestgen")
			if err != nil {
				t.Fatal(err)
			}
			path := server.Path(wheel("theta", "1.0").name)
			server.Always(path, fetchtest.StallInBody)
			var out bytes.Buffer
			cmd := exec.Command(file, "build", "-q")
			cmd.Dir, cmd.Env = s.dir, append(os.Environ(), clock(today)...)
			cmd.Stdout, cmd.Stderr = &out, &out
			// The download itself is given up after 30 seconds.
			err = interrupted(t, cmd, sig, 20*time.Second, func() bool { return len(server.Requests(path)) > 0 })
			if cmd.ProcessState.ExitCode() != 130 || !strings.Contains(out.String(), "interrupted") {
				t.Errorf("it ended with %v, and said %q", err, &out)
			}
			if err := CheckSite(s.path("site")); err != nil {
				t.Error(err)
			}
			server.Heal()
			if _, err := s.nestgen(today, "build", "-q"); err != nil {
				t.Fatal(err)
			}
			if err := (scene{now: today}).final(false)(s.dir); err != nil {
				t.Error(err)
			}
		})
	}
}

// A power cut at any moment takes back what was not synced, and nothing else:
// no page, no file and no event of the catalog that was reported is lost.
func TestNestgenPowerCut(t *testing.T) {
	points, long := extent()
	if !long {
		t.Skip("only in the long form: with KILLSWEEP_POINTS set to a number or all")
	}
	eachCut(t, func(t *testing.T, cut cut, d *disk) {
		for _, c := range scenes(t) {
			t.Run(c.name, func(t *testing.T) {
				s := c.sweep(t, Kill, false)
				s.Work = filepath.Join(d.dir, "work")
				s.Cut = func() error { return cut.do(d) }
				s.Points = points
				t.Cleanup(func() { os.RemoveAll(s.Work) })
				if r := run(t, s); len(r.Failures) > 0 {
					t.Error("it does not survive")
				}
			})
		}
	})
}

// A signal while a huge file is read does not wait for the file's end, which
// takes minutes.
func TestInterruptReading(t *testing.T) {
	s := stage{memory(t)}
	err := s.write("nestgen.toml", settings+"max_file = \"1TiB\"\n", "drop/huge-1.0-py3-none-any.whl", "")
	if err == nil {
		err = os.Truncate(s.path("drop/huge-1.0-py3-none-any.whl"), 900<<30) // a hole takes no space
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := program("nestgen")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(file, "build", "-q")
	cmd.Dir = s.dir
	err = interrupted(t, cmd, syscall.SIGTERM, time.Minute, func() bool {
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", cmd.Process.Pid))
		return slices.ContainsFunc(fds, func(fd string) bool {
			to, err := os.Readlink(fd)
			return err == nil && strings.HasSuffix(to, ".whl")
		})
	})
	if cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("it ended with %v", err)
	}
}
