package nestgen

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// What has come into the stage goes into the store and the catalog as soon as it
// is so many files, or has so many bytes, or the first of it has waited for so
// long: that is what a run loses that is killed. Meanwhile more comes. Only tests
// set it lower.
var (
	partFiles       = 1024
	partBytes int64 = 128 << 20
	partTime        = 10 * time.Second
)

// A part is some of the new files of a batch, in the stage.
type part struct {
	arrivals []*arrival
	bytes    int64
	began    time.Time

	// last says that nothing more of the batch comes.
	last bool
}

func (p *part) add(a *arrival) {
	if len(p.arrivals) == 0 {
		p.began = time.Now()
	}
	p.arrivals = append(p.arrivals, a)
	p.bytes += a.file.Size
}

func (p *part) full() bool {
	return len(p.arrivals) >= partFiles || p.bytes >= partBytes || time.Since(p.began) >= partTime
}

// sort puts the arrivals in the order in which they were decided about, so that
// what came first by chance has no say.
func (p *part) sort() {
	slices.SortFunc(p.arrivals, func(a, b *arrival) int { return cmp.Compare(a.place, b.place) })
}

// stage brings the new files of a batch into the stage and gives them in parts,
// the last of which may be empty. A file that cannot be had is reported and does
// not stop the others; an error is for what stops them all.
func (s *site) stage(ctx context.Context, batch []*decided) iter.Seq2[part, error] {
	return func(yield func(part, error) bool) {
		files, downloads := 0, 0
		for _, d := range batch {
			files += len(d.Take) + len(d.Fetch)
			downloads += len(d.Fetch)
		}
		if downloads > 0 {
			s.progress.Stage("fetching", int64(downloads))
		}
		ctx, stop := context.WithCancel(ctx)
		came := make(chan *arrival, files) // nobody ever waits to put one in
		var cause error
		go func() {
			defer close(came)
			cause = s.bring(ctx, batch, came)
		}()
		defer func() {
			stop()
			for range came {
			}
		}()
		var p part
		for a := range came {
			if p.add(a); !p.full() {
				continue
			}
			p.sort()
			if !yield(p, nil) {
				return
			}
			p = part{}
		}
		if cause != nil {
			yield(part{}, cause)
			return
		}
		p.sort()
		p.last = true
		yield(p, nil)
	}
}

// bring brings the new files of a batch into the stage, several at a time.
func (s *site) bring(ctx context.Context, batch []*decided, came chan<- *arrival) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var takes, downloads errgroup.Group
	takes.SetLimit(s.jobs())
	downloads.SetLimit(4 * s.jobs())
	place := 0
	start := func(g *errgroup.Group, d *decided, size int64, get func() (*arrival, error)) {
		at := place
		place++
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			a, err := get()
			s.progress.Step(1, size)
			if err != nil {
				stop() // an error of one file is one for all
				return err
			}
			if a != nil {
				a.of, a.place = d, at
				came <- a
			}
			return nil
		})
	}
	for _, d := range batch {
		for _, t := range d.Take {
			start(&takes, d, t.Size, func() (*arrival, error) { return s.take(ctx, d, t) })
		}
		for _, c := range d.Fetch {
			start(&downloads, d, 0, func() (*arrival, error) { return s.fetch(ctx, d, c) })
		}
	}
	return firstCause(takes.Wait(), downloads.Wait(), ctx.Err())
}

// firstCause gives the first error that is not merely the echo of another one.
func firstCause(errs ...error) error {
	var echo error
	for _, err := range errs {
		if errors.Is(err, context.Canceled) {
			echo = err
		} else if err != nil {
			return err
		}
	}
	return echo
}
