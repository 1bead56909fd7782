package publish

import "context"

// A Turn is the right to change pages and to take files out of the store. One
// process has it at a time, in it one goroutine.
type Turn struct {
	t    *Tree
	over bool
}

// Turn waits for the right, which the caller must give back.
func (t *Tree) Turn(ctx context.Context) (*Turn, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	if err := t.turns.take(ctx); err != nil {
		return nil, err
	}
	return &Turn{t: t}, nil
}

// Close gives the right back. Closing it again does nothing.
func (u *Turn) Close() error {
	if u.over {
		return nil
	}
	u.over = true
	return u.t.turns.giveBack()
}

// Batch begins a set of pages, which the caller must close before the Turn.
func (u *Turn) Batch() *Batch {
	return &Batch{t: u.t, name: u.t.stageName(), folders: map[string]*folder{}, touched: changedSet{}}
}
