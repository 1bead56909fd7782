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
