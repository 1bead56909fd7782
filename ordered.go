package nestgen

import (
	"context"
	"iter"
	"sync"
)

// ordered calls f for each item, several at a time, and gives the results in
// the order of the items. It never runs further ahead of the reader than a few
// times the number of workers. When the context ends, or the reader
// does, it waits for what is under way and stops.
func ordered[T, R any](ctx context.Context, items []T, workers int, f func(context.Context, T) R) iter.Seq[R] {
	return func(yield func(R) bool) {
		ctx, stop := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		slots := make(chan struct{}, workers)
		results := make(chan chan R, 4*workers)
		running.Go(func() {
			defer close(results)
			for _, item := range items {
				result := make(chan R, 1)
				select {
				case results <- result:
				case <-ctx.Done():
					return
				}
				select {
				case slots <- struct{}{}:
				case <-ctx.Done():
					close(result)
					return
				}
				running.Go(func() {
					result <- f(ctx, item)
					<-slots
				})
			}
		})
		for result := range results {
			r, ok := <-result
			if !ok || !yield(r) {
				return
			}
		}
	}
}

// aheadBatch is how many values are handed over at a time: handing over costs
// more than reading one.
const aheadBatch = 16

// ahead reads a sequence in a goroutine of its own, some values ahead of the
// reader, so that reading and using them share two processors. When the reader
// stops it waits for the goroutine to end.
func ahead[T any](seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	type item struct {
		value T
		err   error
	}
	return func(yield func(T, error) bool) {
		batches := make(chan []item, 2)
		stop := make(chan struct{})
		var running sync.WaitGroup
		defer running.Wait()
		defer close(stop)
		running.Go(func() {
			defer close(batches)
			var batch []item
			send := func() bool {
				select {
				case batches <- batch:
					batch = nil
					return true
				case <-stop:
					return false
				}
			}
			for v, err := range seq {
				batch = append(batch, item{v, err})
				if (len(batch) == aheadBatch || err != nil) && !send() {
					return
				}
			}
			send()
		})
		for batch := range batches {
			for _, i := range batch {
				if !yield(i.value, i.err) {
					return
				}
			}
		}
	}
}
