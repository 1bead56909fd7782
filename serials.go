package nestgen

import (
	"context"
	"iter"

	"nestgen/catalog"
)

// Serial gives the serial of the last event of the site, 0 before the first.
func (l *Live) Serial(ctx context.Context) (int64, error) {
	if err := l.Open(); err != nil {
		return 0, err
	}
	n, err := l.catalog.Serial(ctx)
	return n, storage(err)
}

// Changes reads the events after a serial, oldest first.
func (l *Live) Changes(ctx context.Context, after int64) iter.Seq2[catalog.Event, error] {
	return opened(l, func() iter.Seq2[catalog.Event, error] { return l.catalog.Events(ctx, after) })
}

// Serials reads the serials of all projects that the index lists, in the order of
// their names.
func (l *Live) Serials(ctx context.Context) iter.Seq2[catalog.ProjectSerial, error] {
	return opened(l, func() iter.Seq2[catalog.ProjectSerial, error] { return l.catalog.Serials(ctx) })
}

// opened gives a sequence of an opened site.
func opened[T any](l *Live, seq func() iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := l.Open(); err != nil {
			var none T
			yield(none, err)
			return
		}
		seq()(yield)
	}
}
