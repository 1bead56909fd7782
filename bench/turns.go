package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// A usage is what a run of a program took, as command timed says it.
type usage struct {
	Exit    int     `json:"exit"`
	Wall    float64 `json:"wall"`
	User    float64 `json:"user"`
	System  float64 `json:"system"`
	PeakKiB float64 `json:"peak_kib"`
	Written int64   `json:"written"`
	Stored  int64   `json:"stored"`
}

func (u *usage) cpu() float64 { return u.User + u.System }

// time runs a program in a folder. A status that is not want is an error.
func (l *lab) time(ctx context.Context, dir string, want int, argv ...string) (usage, error) {
	cmd := exec.CommandContext(ctx, l.timed, argv...)
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var u usage
	if err == nil {
		err = json.Unmarshal(out, &u)
	}
	if err == nil && u.Exit != want {
		err = fmt.Errorf("status %d, want %d", u.Exit, want)
	}
	if err != nil {
		return u, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, errs.Bytes())
	}
	return u, nil
}

// A contender is one of the programs that are timed in turn.
type contender struct {
	what string

	// before makes ready for a run, and after looks at what came of it. They
	// are not timed. Either may be nil.
	before func(run int) error
	after  func(u usage) error

	// argv is the program; dir is where it runs, and status what it ends with.
	argv   func(run int) []string
	dir    string
	status int

	target string
	counts map[string]int64 // for the row
	bytes  int64            // that each run goes through, 0 if that says nothing
}

// turns times contenders one after the other, runs times over, and adds a row
// for each. The first is what the others are held against, pair by pair.
func (l *lab) turns(ctx context.Context, bench string, files int, all ...*contender) error {
	taken := make([][]usage, len(all))
	first := 0
	if l.warm {
		first = -1
	}
	began := load()
	for run := first; run < l.runs; run++ {
		for i, c := range all {
			if c.before != nil {
				if err := c.before(run); err != nil {
					return fmt.Errorf("%s: %w", c.what, err)
				}
			}
			u, err := l.time(ctx, c.dir, c.status, c.argv(run)...)
			if err == nil && c.after != nil {
				err = c.after(u)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.what, err)
			}
			if run >= 0 {
				taken[i] = append(taken[i], u)
			}
		}
	}
	for i, c := range all {
		r := Row{Bench: bench, What: c.what, Files: files, Runs: l.runs, Target: c.target, Counts: c.counts, Load: began, FreshFS: l.fresh}
		r.fill(taken[i])
		if i > 0 {
			r.OfFirst = median(taken[i], func(u *usage) float64 { return u.cpu() }, taken[0])
		}
		if c.bytes > 0 {
			r.GBs = float64(c.bytes) / r.Wall / 1e9
		}
		l.rows = append(l.rows, r)
	}
	return nil
}

// median gives the median of a value, or, with a list to divide by, of its
// ratios, run by run.
func median(list []usage, value func(*usage) float64, by ...[]usage) float64 {
	var all []float64
	for i := range list {
		v := value(&list[i])
		if len(by) > 0 {
			d := value(&by[0][i])
			if d == 0 {
				continue
			}
			v /= d
		}
		all = append(all, v)
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}
