package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"nestgen/bench/dataset"
)

// lazyInstall measures pip as it installs three projects that need each other:
// from a folder, which is the least that it takes; from an upstream far away; and
// from an empty site in front of that, which has them the second time.
func (l *lab) lazyInstall(ctx context.Context, _ int) (err error) {
	const bench = "lazy install"
	if out, err := exec.CommandContext(ctx, l.python, "-m", "pip", "--version").CombinedOutput(); err != nil {
		l.skip(bench, "pip", fmt.Sprintf("no pip for %s (Debian package python3-pip): %v: %.200s", l.python, err, out))
		return nil
	}
	projects := []*dataset.Project{
		history("bench-alpha", 20, 190_000, "bench-beta>=1.0", "bench-gamma"),
		history("bench-beta", 20, 190_000, "bench-gamma>=1.0"),
		history("bench-gamma", 20, 190_000),
	}
	x, err := l.newFarIndex(projects)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.close()) }()
	wheels := filepath.Join(l.dir, "wheels")
	if err := dataset.Write(wheels, newestOf(projects)); err != nil {
		return err
	}
	t := &installs{lab: l, x: x, projects: projects, wheels: wheels}
	all := []*contender{
		t.contender("pip: folder", "", nil, "--no-index", "--find-links", wheels),
		t.contender("pip: upstream itself", "", nil, "--index-url", x.url),
	}
	for i, way := range []way{nginxCGI, nginxFastCGI} {
		if why := way.lacks(); why != "" {
			l.skip(bench, way.name, why)
			continue
		}
		cold, warm := t.behind(ctx, i, way)
		all = append(all, cold, warm)
	}
	err = l.turns(ctx, bench, 0, all...)
	for _, w := range t.webs {
		if w != nil {
			w.close()
		}
	}
	return err
}

// installs are the contenders of lazyInstall.
type installs struct {
	*lab
	x        *index
	projects []*dataset.Project
	wheels   string  // a folder of the newest ones
	webs     [2]*web // of this turn
	sites    int
	targets  int
}

// contender installs from somewhere. The arguments for pip are those given, or
// what index gives.
func (t *installs) contender(what, target string, index func() string, args ...string) *contender {
	c := &contender{what: what, target: target, dir: t.dir}
	into := ""
	c.before = func(int) error {
		t.targets++
		into = filepath.Join(t.dir, fmt.Sprintf("target%d", t.targets))
		t.x.begin()
		return nil
	}
	c.argv = func(int) []string {
		// With nothing of the settings of whoever runs this.
		argv := []string{"env", "PIP_CONFIG_FILE=/dev/null", "PYTHONNOUSERSITE=1", "NO_PROXY=*", "no_proxy=*", "HOME=" + t.dir,
			t.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--target", into}
		argv = append(argv, args...)
		if index != nil {
			argv = append(argv, "--index-url", index())
		}
		return append(argv, "bench-alpha")
	}
	c.after = func(usage) error {
		c.counts = map[string]int64{"upstream requests": t.x.requests.Load()}
		return errors.Join(t.check(into), os.RemoveAll(into))
	}
	return c
}

// check holds what was installed against what is in the newest wheels.
func (t *installs) check(into string) error {
	for _, p := range t.projects {
		if err := checkInstalled(into, filepath.Join(t.wheels, newestWheel(p).Filename)); err != nil {
			return err
		}
	}
	return nil
}

// checkInstalled holds a folder against a wheel. The installer has its own RECORD.
func checkInstalled(into, wheel string) error {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, f := range z.File {
		if path.Base(f.Name) == "RECORD" {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return err
		}
		want, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join(into, filepath.FromSlash(f.Name)))
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%s was not installed as it is in %s", f.Name, wheel)
		}
	}
	return nil
}

// behind gives those who install from a site behind a web server: the first time,
// when it is empty, and the second.
func (t *installs) behind(ctx context.Context, i int, way way) (cold, warm *contender) {
	index := func() string { return t.webs[i].url + "/simple/" }
	cold = t.contender(way.name+": empty site", "", index)
	warm = t.contender(way.name+": again", "fallback asked 0 times, <= 1/2 of the upstream itself", index)
	before := cold.before
	cold.before = func(run int) error {
		if t.webs[i] != nil {
			t.webs[i].close()
		}
		t.sites++
		s, err := t.newLazySite(fmt.Sprintf("site%d", t.sites), t.x)
		if err != nil {
			return err
		}
		if t.webs[i], err = t.serveLazily(ctx, way, s, false); err != nil {
			return err
		}
		return before(run)
	}
	seen := 0 // lines of the log
	for _, c := range []*contender{cold, warm} {
		after := c.after
		c.after = func(u usage) error {
			if err := after(u); err != nil {
				return err
			}
			all, err := t.untilEnd(ctx, t.webs[i])
			if err != nil {
				return err
			}
			if c == cold {
				seen = 0
			}
			asked, requests := int64(0), int64(0)
			for _, a := range all[seen:] {
				if a.path != end {
					requests++
					if a.asked {
						asked++
					}
				}
			}
			seen = len(all)
			c.counts["requests"], c.counts["fallback asked"] = requests, asked
			return nil
		}
	}
	return cold, warm
}

// end is the path of a request that marks the end of others in a log.
const end = "/end-of-an-install"

// untilEnd reads the log of a server with a single process, which writes its lines
// in the order in which it is done with the requests.
func (t *installs) untilEnd(ctx context.Context, w *web) ([]access, error) {
	before, err := w.accesses()
	if err != nil {
		return nil, err
	}
	marks := count(before) + 1
	if _, _, err := get(ctx, w.url+end, 404); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		all, err := w.accesses()
		if err != nil || count(all) == marks {
			return all, err
		}
		if err := pause(ctx); err != nil {
			return nil, fmt.Errorf("%s: the access log does not end: %w", w.name, err)
		}
	}
}

// count counts the ends in a log.
func count(all []access) int {
	n := 0
	for _, a := range all {
		if a.path == end {
			n++
		}
	}
	return n
}
