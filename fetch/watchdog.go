package fetch

import (
	"context"
	"sync/atomic"
	"time"
)

// A watchdog ends a transfer that is too slow: one in which fewer than rate
// bytes a second came during a whole period.
type watchdog struct {
	period time.Duration
	least  int64
	got    atomic.Int64
	timer  *time.Timer
	done   atomic.Bool
}

func newWatchdog(period time.Duration, rate int64, end context.CancelCauseFunc) *watchdog {
	w := &watchdog{period: period, least: max(1, int64(float64(rate)*period.Seconds()))}
	w.timer = time.AfterFunc(period, func() {
		got := w.got.Swap(0)
		switch {
		case w.done.Load():
		case got < w.least:
			end(transient(Unreachable, "stalled: %d bytes in %v", got, period))
		default:
			w.timer.Reset(period)
		}
	})
	return w
}

// feed notes that bytes came.
func (w *watchdog) feed(bytes int) { w.got.Add(int64(bytes)) }

// stop ends the watch.
func (w *watchdog) stop() {
	w.done.Store(true)
	w.timer.Stop()
}
