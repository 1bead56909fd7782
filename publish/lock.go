package publish

import (
	"context"
	"time"

	"github.com/gofrs/flock"
)

// A lock is held by one goroutine of one process at a time.
type lock struct {
	ours chan struct{} // full while one of this process has it
	file *flock.Flock
}

func newLock(file string) lock {
	return lock{make(chan struct{}, 1), flock.New(file, flock.SetPermissions(0o600))}
}

// pollLock is how often a lock that another process has is asked for.
const pollLock = 5 * time.Millisecond

// take waits for the lock, or for the end of the context.
func (l *lock) take(ctx context.Context) error {
	select {
	case l.ours <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	ok, err := l.file.TryLockContext(ctx, pollLock)
	if ok {
		return nil
	}
	<-l.ours
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return storage("lock", l.file.Path(), err)
}

func (l *lock) giveBack() error {
	err := l.file.Unlock()
	<-l.ours
	return storage("unlock", l.file.Path(), err)
}

// locked runs f while nobody else changes names in the store. f does nothing
// slow: no network, no sync.
func (t *Tree) locked(ctx context.Context, f func() error) error {
	if err := t.store.take(ctx); err != nil {
		return err
	}
	err := f()
	if uerr := t.store.giveBack(); err == nil {
		err = uerr
	}
	return err
}
