package demand

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Table is the folder. Its methods may be called by several goroutines, and
// the folder used by several processes.
type Table struct {
	dir     string
	fetches int
	places  chan struct{} // one for each place that this Table has, or waits for
}

// New gives the table in a folder, which is made by its first use, for this user
// alone. No more than fetches of its users fetch something at once.
func New(dir string, fetches int) *Table {
	return &Table{dir, fetches, make(chan struct{}, fetches)}
}

// A key is what a request wants, as a name for files.
type key [32]byte

func keyOf(what string) key { return sha256.Sum256([]byte(what)) }

func (k key) String() string { return hex.EncodeToString(k[:16]) }

// pollLock is how often a lock that somebody else has is asked for.
const pollLock = 5 * time.Millisecond

// A Visit is the right to find something out. Nobody else has it at the same
// time for the same thing.
type Visit struct {
	t    *Table
	key  key
	file *os.File
}

// Enter waits for the right to find something out, or for the end of the
// context. The caller leaves.
func (t *Table) Enter(ctx context.Context, what string) (*Visit, error) {
	k := keyOf(what)
	name := filepath.Join(t.locks(), k.String())
	for {
		f, err := t.open(name)
		if err != nil {
			return nil, err
		}
		err = wait(ctx, func() (bool, error) { return lock(f) })
		if err == nil {
			var is bool
			if is, err = named(f); is {
				return &Visit{t, k, f}, nil
			}
		}
		f.Close()
		if err != nil {
			return nil, err
		}
		// Whoever had it has taken the file away.
	}
}

// Leave gives the right back.
func (v *Visit) Leave() error {
	// The file goes while it is locked: see Enter.
	err := os.Remove(v.file.Name())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, v.file.Close())
}

// Fetch waits for one of the places of those who fetch, or for the end of the
// context. The caller gives the place back; to do so twice does no harm.
func (t *Table) Fetch(ctx context.Context) (leave func(), err error) {
	// However many wait in a process, no more than could have a place try and try
	// again whether one is free.
	select {
	case t.places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var held *os.File
	err = wait(ctx, func() (bool, error) {
		first := rand.IntN(t.fetches)
		for i := range t.fetches {
			f, err := t.open(filepath.Join(t.locks(), "fetch-"+strconv.Itoa((first+i)%t.fetches)))
			if err != nil {
				return false, err
			}
			ok, err := lock(f)
			if ok {
				ok, err = named(f)
			}
			if ok {
				held = f
				return true, nil
			}
			f.Close()
			if err != nil {
				return false, err
			}
		}
		return false, nil
	})
	if err != nil {
		<-t.places
		return nil, err
	}
	return sync.OnceFunc(func() { held.Close(); <-t.places }), nil
}

// Sweep removes what processes that died left behind some time ago.
func (t *Table) Sweep(old time.Duration) error {
	for _, dir := range []string{t.locks(), t.dir} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			fi, err := e.Info()
			if err != nil || !fi.Mode().IsRegular() || time.Since(fi.ModTime()) < old || dir == t.dir && !isTemp(e.Name()) {
				continue
			}
			if err := sweep(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep removes a file that nobody has locked.
func sweep(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if ok, err := lock(f); !ok || err != nil {
		return err
	}
	if is, err := named(f); !is || err != nil {
		return err // its owner has just taken it away, and the name may be another's
	}
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (t *Table) locks() string { return filepath.Join(t.dir, "locks") }

func (t *Table) open(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(t.locks(), 0o700); err != nil {
			return nil, err
		}
		f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	}
	return f, err
}

// lock tries to lock a file. The kernel unlocks it when it is closed, or its
// process dies.
func lock(f *os.File) (bool, error) {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
		case nil:
			return true, nil
		case unix.EWOULDBLOCK:
			return false, nil
		case unix.EINTR:
		default:
			return false, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}

// named reports whether a file still has a name.
func named(f *os.File) (bool, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return err == nil && st.Nlink > 0, err
}

// wait tries again and again.
func wait(ctx context.Context, try func() (bool, error)) error {
	for {
		if ok, err := try(); ok || err != nil {
			return err
		}
		t := time.NewTimer(pollLock)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}
