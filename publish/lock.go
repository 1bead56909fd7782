package publish

import (
	"context"
	"time"
)

// locked runs f while no other process, and no other goroutine of ours,
// changes names in the site. f does nothing slow: no network, no sync, no
// rendering.
func (t *Tree) locked(ctx context.Context, f func() error) error {
	t.renaming.Lock()
	defer t.renaming.Unlock()
	ok, err := t.exchange.TryLockContext(ctx, 5*time.Millisecond)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || !ok {
		return storage("lock", t.exchange.Path(), err)
	}
	err = f()
	if uerr := t.exchange.Unlock(); err == nil {
		err = storage("unlock", t.exchange.Path(), uerr)
	}
	return err
}
