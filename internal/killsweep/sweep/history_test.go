//go:build linux && amd64

package sweep

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/layout"
	"nestgen/trust"
)

// historyScenes gives those about what a site says of its past, signs, carries to others,
// and lets go.
func historyScenes(t *testing.T, server *fetchtest.Server) []scene {
	other, err := trust.Open(filepath.Join(t.TempDir(), "keys")).New("other.example")
	if err != nil {
		t.Fatal(err)
	}
	unlogged := "log = false\n" + settings
	made := func(toml string) func(stage) error {
		return func(s stage) error {
			err := errors.Join(s.dropSite(), s.write("nestgen.toml", toml))
			if err == nil {
				_, err = s.nestgen(today, "build")
			}
			return err
		}
	}
	kept := func(s stage) error {
		err := made(settings)(s)
		if err == nil {
			_, err = s.nestgen(today, "snapshot", "create", "then")
		}
		return errors.Join(err, s.goOn())
	}
	back := func(s stage) error {
		err := gone(s)
		if err == nil {
			_, err = s.nestgen(today, "rollback", firstSerial)
		}
		return err
	}
	tested := func(s stage) error {
		err := errors.Join(s.dropSite(), s.write("nestgen.toml", settings+indexes+"[[index]]\nname = \"test\"\n", "own.txt", "alpha\n"))
		if err == nil {
			_, err = s.nestgen(today, "build")
		}
		if err == nil {
			_, err = s.nestgen(today, "promote", "alpha", "beta", "/", "test")
		}
		if err == nil {
			_, err = s.nestgen(today, "promote", "beta", "test", "prod")
		}
		return err
	}
	access := `access_logs = ["access.log*"]` + "\n"
	return []scene{
		{
			name: "log switched on", now: today, args: []string{"build", "-q"}, short: true,
			setup: func(s stage) error { return errors.Join(made(unlogged)(s), s.write("nestgen.toml", settings)) },
		},
		{
			name: "log switched off", now: today, args: []string{"build", "-q"},
			setup: func(s stage) error { return errors.Join(made(settings)(s), s.write("nestgen.toml", unlogged)) },
			check: func(dir string) error {
				return CheckTimes(filepath.Join(filepath.Dir(dir), "start", "site"), filepath.Join(dir, "site"))
			},
		},
		{
			name: "a full tile", now: today, args: []string{"build", "-q"},
			setup: func(s stage) error {
				err := s.write("nestgen.toml", "drop = [\"drop\"]\nlegacy_json = \"none\"\npeople = false\n")
				for i := range 250 {
					name, data := intaketest.Sdist("alpha", fmt.Sprintf("1.%d", i), intaketest.Opts{})
					err = errors.Join(err, s.put("drop", distribution{name, data}))
				}
				if err == nil {
					_, err = s.nestgen(today, "build")
				}
				for i := range 10 {
					err = errors.Join(err, s.put("drop", sdist("beta", fmt.Sprintf("1.%d", i))))
				}
				return err
			},
		},
		{
			name: "new key", now: today, args: []string{"key", "new"}, over: `"nestgen key rotate" replaces it`, healed: true,
			setup: made(unlogged),
			and:   wholeKeys, then: wholeKeys,
		},
		{
			name: "key rotated", now: today, args: []string{"key", "rotate"}, short: true, healed: true,
			setup: made(settings),
			and:   wholeKeys, then: toldRotations,
		},
		{
			name: "key trusted", now: today, args: []string{"key", "trust", other.Verifier}, healed: true,
			setup: func(s stage) error { return errors.Join(made(settings)(s), s.bundled()) },
			and: func(s stage) error {
				trusted, err := trust.Open(s.path("state/keys")).Trusted()
				if err == nil && len(trusted) == 0 {
					err = errors.New("the key that was trusted before is not trusted any more")
				}
				return err
			},
		},
		{
			name: "snapshot dropped by hand", now: today, args: []string{"snapshot", "drop", "then"}, over: "no snapshot", healed: true,
			setup: kept,
		},
		{
			name: "rollback ended", now: today, args: []string{"rollback", "--end", "--by", "alice"}, healed: true, settled: true,
			setup: back,
		},
		{
			name: "promotion to the next stage", now: today, args: []string{"promote", "--all-files", "test", "prod"}, healed: true,
			setup: tested,
		},
		{
			name: "promotion taken back", now: today, args: []string{"promote", "--remove", "beta", "prod"}, over: "no such file was promoted", healed: true,
			setup: tested,
		},
		{
			name: "first export", now: today, args: []string{"export", "-q", "--tag", "far", "--to", "out"},
			setup: func(s stage) error {
				return errors.Join(made(unlogged)(s), stage{s.path("far")}.empty(), os.Mkdir(s.path("out"), 0o755))
			},
			and: wholeBundles,
			then: func(s stage) error {
				return errors.Join(stage{s.path("far")}.trusts(s), s.arrives())
			},
		},
		{
			name: "export", now: today, args: []string{"export", "-q", "--tag", "far", "--to", "out"}, short: true,
			setup: stage.exported,
			and:   wholeBundles, then: stage.arrives,
		},
		{
			name: "export in parts", now: today, args: []string{"export", "-q", "--tag", "far", "--since", firstSerial, "--split", "128KiB", "--zstd", "--to", "out"},
			setup: func(s stage) error {
				name, large := intaketest.Sdist("mu", "1.0", intaketest.Opts{Pad: 300_000})
				return errors.Join(s.exported(), s.put("drop", distribution{name, large}), s.builds())
			},
			trees: []string{"out"}, then: stage.arrives,
		},
		{
			name: "acknowledged export", now: today, args: []string{"export", "--ack", "far.ack"},
			setup: func(s stage) error {
				err := s.exported()
				if err == nil {
					_, err = s.nestgen(today, "export", "--tag", "far", "--to", "lost.tar")
				}
				if err == nil {
					_, err = stage{s.path("far")}.nestgen(today, "import", "--ack", "../far.ack", "../first.tar")
				}
				return err
			},
			then: func(s stage) error {
				if _, err := s.nestgen(today, "export", "--tag", "far", "--to", "out"); err != nil {
					return err
				}
				return s.arrives()
			},
		},
		{
			name: "import in parts", now: today,
			args: []string{"import", "-q", "--allow-removals", "--ack", "near.ack", "parts.001-of-003.tar.zst", "parts.002-of-003.tar.zst", "parts.003-of-003.tar.zst"},
			setup: func(s stage) error {
				name, large := intaketest.Sdist("mu", "1.0", intaketest.Opts{Pad: 300_000})
				err := errors.Join(s.empty(), s.bundled(), stage{s.path("near")}.put("drop", distribution{name, large}))
				if err == nil {
					_, err = s.nestgen(today, "import", "bundle.tar")
				}
				return errors.Join(err, s.bundledAgain("--split", "128KiB", "--zstd", "--to", "parts.tar.zst"))
			},
			same: "near/site",
			then: func(s stage) error {
				_, err := s.nestgen(today, "export", "-c", "near/nestgen.toml", "--ack", "near.ack")
				return err
			},
		},
		{
			name: "collection by rules", now: later, args: []string{"gc", "-q", "--keep", "1", "--not-fetched", "100d"}, short: true,
			setup: func(s stage) error { return fetched(s, server) },
			lazy:  true,
			then: func(s stage) error {
				for v, want := range map[string]bool{"1.0": false, "2.0": false, "3.0": true} {
					if all, err := filepath.Glob(s.path("site/packages/*/*/*/" + wheel("theta", v).name)); err != nil || (len(all) == 1) != want {
						return fmt.Errorf("the bytes of %s are at %q, %w", v, all, err)
					}
				}
				return s.counted(2)
			},
		},
		{
			name: "statistics published", now: later, args: []string{"stats", "--publish", "-q"}, healed: true,
			setup: func(s stage) error {
				err := made(access + settings)(s)
				return errors.Join(err, s.write("access.log", "", "access.log.1", ""), s.fetches("access.log.1", later-3600, wheel("alpha", "1.0")), s.fetches("access.log", later-60, wheel("alpha", "1.1")))
			},
			then: func(s stage) error { return s.counted(2) },
		},
		{
			name: "hook", now: today, args: []string{"build", "-q", "--allow-removals"},
			setup: func(s stage) error {
				toml := settings + `on_publish = ["/bin/sh", "-c", "cat >>told && echo >>told"]` + "\n"
				return errors.Join(made(toml)(s), s.put("drop", wheel("alpha", "1.2"), wheel("lambda", "1.0")), s.remove("drop/"+egg("beta", "0.3").name))
			},
			then: stage.told,
		},
	}
}

// later is so long after today that access logs can have the time in between.
const later = today + 300*24*3600

func (s stage) builds() error {
	_, err := s.nestgen(today, "build", "--allow-removals")
	return err
}

// exported makes a site that has gone on since another one, in the folder far, got all
// that it had.
func (s stage) exported() error {
	far := stage{s.path("far")}
	err := errors.Join(s.dropSite(), far.empty(), os.Mkdir(s.path("out"), 0o755))
	if err == nil {
		err = s.builds()
	}
	if err == nil {
		_, err = s.nestgen(today, "export", "--tag", "far", "--to", "first.tar")
	}
	if err == nil {
		err = far.trusts(s)
	}
	if err == nil {
		_, err = far.nestgen(today, "import", "../first.tar")
	}
	return errors.Join(err, s.goOn())
}

// bundleName is what a bundle is called to which nobody has given a name, or a part of
// one.
var bundleName = regexp.MustCompile(`^(far-(\d+)-\d+)(\.\d+-of-\d+)?\.tar(\.zst)?$`)

// wholeBundles checks that what has the name of a bundle is a whole one.
func wholeBundles(s stage) error {
	return fs.WalkDir(os.DirFS(s.path("out")), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !bundleName.MatchString(name) {
			return err
		}
		f, err := os.Open(s.path("out/" + name))
		if err != nil {
			return err
		}
		defer f.Close()
		r := tar.NewReader(f)
		for err == nil {
			if _, err = r.Next(); err == nil {
				_, err = io.Copy(io.Discard, r)
			}
		}
		if err != io.EOF {
			return fmt.Errorf("out/%s: %w", name, err)
		}
		return nil
	})
}

// arrives carries all bundles to the other site, which is the same as this one after
// that.
func (s stage) arrives() error {
	inside, err := os.ReadDir(s.path("out"))
	if err != nil {
		return err
	}
	bundles := map[string][]string{}
	for _, d := range inside {
		m := bundleName.FindStringSubmatch(d.Name())
		if m == nil {
			return fmt.Errorf("out/%s is left over", d.Name())
		}
		at := fmt.Sprintf("%9s %s", m[2], m[1]) // as they follow each other
		bundles[at] = append(bundles[at], path.Join("../out", d.Name()))
	}
	far := stage{s.path("far")}
	for _, at := range slices.Sorted(maps.Keys(bundles)) {
		if _, err := far.nestgen(today, append([]string{"import", "-q", "--allow-removals"}, bundles[at]...)...); err != nil {
			return err
		}
	}
	return sameSites(s.path("site"), far.path("site"))
}

// wholeKeys checks that the site has the key to which its rotations lead from the first
// one, or none if it had none, and that nobody else can read what is beside it.
func wholeKeys(s stage) error {
	keys := trust.Open(s.path("state/keys"))
	own, err := keys.Own()
	first, ferr := trust.Open(filepath.Join(filepath.Dir(s.dir), "start", "state", "keys")).Own()
	switch {
	case ferr == nil && err == nil:
		statements, err := keys.Rotations()
		if err != nil {
			return err
		}
		if current, _, err := trust.Follow([]string{first.Verifier}, statements); err != nil || !slices.Equal(current, []string{own.Verifier}) {
			return fmt.Errorf("who trusts the first key comes to %q, and the site has %s: %v", current, own.Key().ID(), err)
		}
	case ferr == nil || err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	inside, err := os.ReadDir(s.path("state/keys"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, d := range inside {
		if fi, err := d.Info(); err != nil || fi.Mode() != 0o600 {
			return fmt.Errorf("state/keys/%s: mode %v, %v", d.Name(), fi.Mode(), err)
		}
	}
	return nil
}

// toldRotations checks that each rotation of the key is one event, and that nothing is
// left over. What never came to a rotation may be, until the next one.
func toldRotations(s stage) error {
	statements, err := trust.Open(s.path("state/keys")).Rotations()
	if err != nil {
		return err
	}
	if left, err := filepath.Glob(s.path("state/keys/*.new")); len(statements) > 0 && len(left) > 0 || err != nil {
		return fmt.Errorf("left over: %q, %v", left, err)
	}
	out, err := s.nestgen(today, "log", "--json", "--verb", "key")
	if err != nil {
		return err
	}
	events := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if out == "" {
		events = nil
	}
	if len(events) != len(statements) {
		return fmt.Errorf("%d rotations, and the events %q", len(statements), events)
	}
	for i, statement := range statements {
		if r, err := trust.ParseRotation(statement); err != nil || !strings.Contains(events[i], `"`+r.New+" ") {
			return fmt.Errorf("%+v is told as %s, %v", r, events[i], err)
		}
	}
	return wholeKeys(s)
}

// fetched makes a site with three versions of a project that came on demand, the newest
// of which was fetched lately and the oldest long ago.
func fetched(s stage, server *fetchtest.Server) error {
	versions := []distribution{wheel("theta", "1.0"), wheel("theta", "2.0"), wheel("theta", "3.0")}
	server.SetFiles(upstreamFile(versions[0]), upstreamFile(versions[1]), upstreamFile(versions[2]))
	err := errors.Join(s.dropSite(), s.write("nestgen.toml", settings+`access_logs = ["access.log*"]
[[on_demand]]
pattern = "theta"
mode = "fetch"
[[upstream]]
name = "up"
url = "`+server.URL+fetchtest.Index+`"
`))
	if err == nil {
		err = s.builds()
	}
	client := requestStage{stage: s}
	if err == nil {
		_, err = client.ask(request{method: "GET", path: "/simple/theta/", accept: asJSON})
	}
	for _, d := range versions {
		if err == nil {
			_, err = client.ask(request{method: "GET", path: "/" + layout.File(sha256.Sum256(d.data), d.name)})
		}
	}
	if err == nil {
		_, err = s.nestgen(later, "build")
	}
	// What came lately, by the clock of the machine, would stay.
	return errors.Join(err, old(s.path("site/packages")), s.write("access.log", ""), s.fetches("access.log", later-200*24*3600, versions[0]), s.fetches("access.log", later-5, versions[2]))
}

// fetches adds to an access log that a file was fetched.
func (s stage) fetches(log string, at int64, d distribution) error {
	all, err := filepath.Glob(s.path("site/packages/*/*/*/" + d.name))
	if err != nil || len(all) != 1 {
		return fmt.Errorf("%s is at %q, %w", d.name, all, err)
	}
	before, err := os.ReadFile(s.path(log))
	if err != nil {
		return err
	}
	return s.write(log, string(before)+fmt.Sprintf("203.0.113.7 - - [%s] \"GET %s HTTP/1.1\" 200 %d \"-\" \"pip/24.2 CPython/3.12.1 Linux/6.1\"\n",
		time.Unix(at, 0).UTC().Format("02/Jan/2006:15:04:05 -0700"), strings.TrimPrefix(all[0], s.path("site")), len(d.data)))
}

// counted checks how many downloads were counted, and that nothing is left over of it.
func (s stage) counted(want int) error {
	out, err := s.nestgen(later, "stats", "--json")
	if err != nil {
		return err
	}
	var n struct{ Downloads int }
	if err := json.Unmarshal([]byte(out), &n); err != nil || n.Downloads != want {
		return fmt.Errorf("%d downloads, want %d: %w", n.Downloads, want, err)
	}
	if left, err := filepath.Glob(s.path("state/.stat*")); len(left) > 0 || err != nil {
		return fmt.Errorf("left over: %q, %w", left, err)
	}
	return nil
}

// told checks that the hook was told of everything since it is there, without a gap. What
// it was told may be half written where it died itself.
func (s stage) told() error {
	if err := s.builds(); err != nil {
		return err
	}
	told, err := os.ReadFile(s.path("told"))
	if err != nil {
		return err
	}
	var upTo int64
	for line := range strings.Lines(string(told)) {
		var p struct {
			From int64 `json:"serial_from"`
			To   int64 `json:"serial_to"`
		}
		if json.Unmarshal([]byte(line[max(strings.LastIndex(line, `{"title":`), 0):]), &p) != nil {
			continue
		}
		if p.From > upTo {
			return fmt.Errorf("told from %d on, and before up to %d", p.From, upTo)
		}
		upTo = max(upTo, p.To)
	}
	last, err := s.nestgen(today, "log", "--json", "-n", "1")
	if err != nil {
		return err
	}
	var e struct{ Serial int64 }
	if err := json.Unmarshal([]byte(last), &e); err != nil || e.Serial != upTo {
		return fmt.Errorf("told up to %d, and the last serial is %d: %w", upTo, e.Serial, err)
	}
	return nil
}
