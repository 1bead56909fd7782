package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nestgen/bench/dataset"
	"nestgen/packaging"
)

const (
	// hitsPerRun is how many projects are asked for for each of -runs.
	hitsPerRun = 5

	// hitPad makes files of 170 kB.
	hitPad = 169_000
)

// A visitor asks behind one web server.
type visitor struct {
	way  way
	site *lazySite
	web  *web

	asked                   int // how often
	page, file              []time.Duration
	againPage, againFile    []time.Duration
	pageAsksUp, fileAsksUp  int64 // requests to the upstream
	secondAsksUp, secondAsk int64 // those of the second requests, and how many of them nestgen-cgi got
}

// firstHit measures the first request for a page, and for a file of 170 kB, that
// comes on demand, over the same from the upstream itself, and the second.
func (l *lab) firstHit(ctx context.Context, _ int) (err error) {
	var projects []*dataset.Project
	for i := range 1 + hitsPerRun*l.runs { // the first does not count: it makes the sites
		projects = append(projects, history(fmt.Sprintf("hit-%03d", i), releasesOfHit, hitPad))
	}
	x, err := l.newFarIndex(projects)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.close()) }()
	const bench = "first hit"
	var visitors []*visitor
	for i, way := range []way{nginxCGI, nginxFastCGI, apacheCGI} {
		if why := way.lacks(); why != "" {
			l.skip(bench, way.name+": page", why)
			l.skip(bench, way.name+": 170 kB file", why)
			continue
		}
		s, err := l.newLazySite(fmt.Sprintf("site%d", i), x)
		if err != nil {
			return err
		}
		w, err := l.serveLazily(ctx, way, s, false)
		if err != nil {
			return err
		}
		defer w.close()
		visitors = append(visitors, &visitor{way: way, site: s, web: w})
	}
	began := load()
	var page, file []time.Duration // from the upstream
	for i, p := range projects {
		tookPage, tookFile, err := direct(ctx, x, p)
		if err != nil {
			return err
		}
		page, file = append(page, tookPage), append(file, tookFile)
		for _, v := range visitors {
			if err := v.visit(ctx, x, p); err != nil {
				return fmt.Errorf("%s: %w", v.way.name, err)
			}
		}
		if i == 0 {
			page, file = nil, nil
			for _, v := range visitors {
				*v = visitor{way: v.way, site: v.site, web: v.web, asked: v.asked}
			}
		}
	}
	row := func(what, target string, took, elsewhere []time.Duration, counts map[string]int64) {
		l.rows = append(l.rows, Row{Bench: bench, What: what, Runs: len(took), Target: target, Counts: counts, Load: began, FreshFS: l.fresh, Answers: answersOf(took, elsewhere)})
	}
	row("upstream itself: page", "", page, nil, nil)
	row("upstream itself: 170 kB file", "", file, nil, nil)
	for _, v := range visitors {
		if err := v.second(ctx); err != nil {
			return fmt.Errorf("%s: %w", v.way.name, err)
		}
		row(v.way.name+": page", "over <= 12 ms", v.page, page, map[string]int64{"upstream requests": v.pageAsksUp})
		row(v.way.name+": 170 kB file", "over <= 15 ms", v.file, file, map[string]int64{"upstream requests": v.fileAsksUp})
		counts := map[string]int64{"upstream requests": v.secondAsksUp, "fallback asked": v.secondAsk}
		row(v.way.name+": page again", "static", v.againPage, nil, counts)
		row(v.way.name+": file again", "static", v.againFile, nil, counts)
	}
	return nil
}

// direct asks the upstream itself.
func direct(ctx context.Context, x *index, p *dataset.Project) (page, file time.Duration, err error) {
	at := x.url + string(packaging.NormalizeName(p.Name)) + "/"
	data, page, err := get(ctx, at, 200)
	if err != nil {
		return 0, 0, err
	}
	urls, err := checkPage(p, at, data)
	if err != nil {
		return 0, 0, err
	}
	f := newestWheel(p)
	data, file, err = get(ctx, urls[f.Filename], 200)
	if err != nil {
		return 0, 0, err
	}
	return page, file, checkFile(f, urls[f.Filename], data)
}

// visit asks for the page and the newest wheel of a project that is not here yet,
// and again.
func (v *visitor) visit(ctx context.Context, x *index, p *dataset.Project) error {
	at := v.web.url + "/simple/" + string(packaging.NormalizeName(p.Name)) + "/"
	f := newestWheel(p)
	var urls map[string]string
	ask := func(at string, took *[]time.Duration, up *int64, check func(data []byte) error) error {
		before := x.requests.Load()
		data, d, err := get(ctx, at, 200)
		if err != nil {
			return err
		}
		v.asked++
		*took = append(*took, d)
		*up += x.requests.Load() - before
		return check(data)
	}
	page := func(data []byte) (err error) {
		urls, err = checkPage(p, at, data)
		return err
	}
	if err := ask(at, &v.page, &v.pageAsksUp, page); err != nil {
		return err
	}
	there := urls[f.Filename]
	file := func(data []byte) error { return checkFile(f, there, data) }
	if err := ask(there, &v.file, &v.fileAsksUp, file); err != nil {
		return err
	}
	if err := ask(at, &v.againPage, &v.secondAsksUp, page); err != nil {
		return err
	}
	return ask(there, &v.againFile, &v.secondAsksUp, file)
}

// second counts how many of the second requests nestgen-cgi got, by the log of the
// web server.
func (v *visitor) second(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := v.web.settled(ctx, v.asked)
	if err != nil {
		return err
	}
	// Apache notes a request that a CGI program answered only once that has ended,
	// by when the next one may have been noted.
	asked := map[string]int64{}
	for _, a := range all {
		n := asked[a.path]
		if a.asked {
			n++
		}
		asked[a.path] = n
	}
	for path, n := range asked {
		if n == 0 {
			return fmt.Errorf("the web server answered the first request for %s by itself", path)
		}
		v.secondAsk += n - 1
	}
	return nil
}
