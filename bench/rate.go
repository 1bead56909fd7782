package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"nestgen/bench/dataset"
)

// asksPerRun is how many requests are made for each of -runs.
const asksPerRun = 100

// rate measures how many requests nestgen-cgi answers behind nginx of what it need
// not ask an upstream for.
func (l *lab) rate(ctx context.Context, _ int) (err error) {
	known := history("known", releasesOfHit, 0)
	x, err := l.newFarIndex([]*dataset.Project{known})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.close()) }()
	for i, way := range []way{nginxCGI, nginxFastCGI} {
		if err := l.rateOf(ctx, way, fmt.Sprintf("site%d", i), x, known); err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
	}
	return nil
}

// rateOf measures one way.
func (l *lab) rateOf(ctx context.Context, way way, name string, x *index, known *dataset.Project) error {
	const bench = "rate of answers without an upstream"
	if why := way.lacks(); why != "" {
		l.skip(bench, way.name, why)
		return nil
	}
	s, err := l.newLazySite(name, x)
	if err != nil {
		return err
	}
	for _, what := range []struct {
		name   string
		path   string
		status int
		check  func(at string, data []byte) error

		// blind has nginx ask for a page that is there.
		blind bool
	}{
		{name: "remembered 404", path: "/simple/unknown/", status: 404, check: func(string, []byte) error { return nil }},
		{name: "fresh page", path: "/simple/known/", status: 200, blind: true, check: func(at string, data []byte) error {
			_, err := checkPage(known, at, data)
			return err
		}},
	} {
		w, err := l.serveLazily(ctx, way, s, what.blind)
		if err != nil {
			return err
		}
		at := w.url + what.path
		ask := func() (time.Duration, error) {
			data, took, err := get(ctx, at, what.status)
			if err == nil {
				err = what.check(at, data)
			}
			return took, err
		}
		_, err = ask() // brings it, or makes it remembered
		sent := 1
		for _, clients := range []int{1, wrapped} {
			if err != nil {
				break
			}
			began, up := load(), x.requests.Load()
			var took []time.Duration
			var wall time.Duration
			took, wall, err = together(clients, asksPerRun*l.runs, ask)
			sent += len(took)
			r := Row{
				Bench: bench, What: fmt.Sprintf("%s: %s, %d clients", way.name, what.name, clients), Runs: len(took), Load: began, FreshFS: l.fresh,
				Answers: answersOf(took, nil), Counts: map[string]int64{"upstream requests": x.requests.Load() - up},
			}
			r.Answers.PerSecond = float64(len(took)) / wall.Seconds()
			switch clients {
			case 1:
				r.Target = "median <= 6 ms, p99 <= 12"
			default:
				r.Target = ">= 200 /s"
			}
			l.rows = append(l.rows, r)
		}
		if err == nil {
			err = allAsked(ctx, w, sent)
		}
		w.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// allAsked holds the log of a web server against what was measured: nestgen-cgi
// was asked each time.
func allAsked(ctx context.Context, w *web, sent int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := w.settled(ctx, sent)
	if err != nil {
		return err
	}
	for _, a := range all {
		if !a.asked {
			return fmt.Errorf("the web server answered %s by itself", a.path)
		}
	}
	return nil
}

// together has some clients ask so often in all, each as soon as it has its last
// answer.
func together(clients, times int, ask func() (time.Duration, error)) (took []time.Duration, wall time.Duration, err error) {
	var mu sync.Mutex
	var faults []error
	left := times
	next := func() bool {
		mu.Lock()
		defer mu.Unlock()
		left--
		return left >= 0 && len(faults) == 0
	}
	began := time.Now()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for next() {
				d, err := ask()
				mu.Lock()
				if took = append(took, d); err != nil {
					faults = append(faults, err)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return took, time.Since(began), errors.Join(faults...)
}
