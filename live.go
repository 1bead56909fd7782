package nestgen

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"nestgen/catalog"
	"nestgen/demand"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/publish"
)

// A Live is a site that requests change, beside the builds: projects and files
// that come on demand, and uploads. Any number of processes may have one, and
// each may use it from several goroutines.
type Live struct {
	config Config
	log    *slog.Logger
	demand *demand.Table

	mu      sync.Mutex            // held to open
	tree    *publish.Tree         // nil until something is asked for that has to be looked up
	users   map[*publish.Tree]int // requests at work on each, the one before it too
	catalog *catalog.Catalog
}

// Join gives a site to those who answer requests. The settings have been
// resolved. Nothing is opened before a request needs it.
func Join(c Config, log *slog.Logger) *Live {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Live{config: c, log: log, demand: c.demandTable(), users: map[*publish.Tree]int{}}
}

// demandTable is where requests that want the same meet.
func (c *Config) demandTable() *demand.Table {
	return demand.New(filepath.Join(c.State, "demand"), c.Fallback.Fetches)
}

// Open opens the site, if no request has done so before, and makes what there is
// not yet of its folders. A later call tries again what failed.
func (l *Live) Open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open()
}

// open runs under mu.
func (l *Live) open() (err error) {
	if l.tree != nil && l.tree.Failed() != nil {
		failed := l.tree
		l.tree = nil // the requests that are at work on it find out themselves
		l.release(failed)
	}
	if l.tree == nil {
		if err := checkState(l.config, Options{}); err != nil {
			return err
		}
		// It makes the folder that the catalog is in.
		if l.tree, err = publish.Join(publish.Options{Site: l.config.Site, State: l.config.State, Log: l.log, Clock: Now}); err != nil {
			return storage(err)
		}
	}
	if l.catalog == nil {
		l.catalog, err = catalog.Open(l.config.catalogFile())
	}
	return storage(err)
}

// release closes a tree that is no longer the site's, once no request is at work on
// it. It runs under mu.
func (l *Live) release(t *publish.Tree) {
	if t == l.tree || l.users[t] > 0 {
		return
	}
	if err := t.Close(); err != nil {
		l.log.Warn("what a failed sync has left could not be removed", "error", err)
	}
}

// Close gives back what a Live holds.
func (l *Live) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var faults []error
	if l.catalog != nil {
		faults = append(faults, l.catalog.Close())
	}
	if l.tree != nil {
		faults = append(faults, l.tree.Close())
	}
	return errors.Join(faults...)
}

// Leave is Close for a process that is about to end, and has a client waiting for
// it: it takes away what a later process would have to, and leaves the rest to the
// kernel.
func (l *Live) Leave() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var faults []error
	if l.catalog != nil && l.catalog.HasLongLog() {
		faults = append(faults, l.catalog.Close())
	}
	if l.tree != nil {
		faults = append(faults, l.tree.Close())
	}
	return errors.Join(faults...)
}

// request gives the site as one request sees it. It has read nothing of what
// people want yet. The request ends with [site.over].
func (l *Live) request() (*site, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.open(); err != nil {
		return nil, err
	}
	tree := l.tree
	l.users[tree]++
	return &site{
		Config: l.config, log: l.log, progress: noProgress{}, report: new(Report),
		tree: tree, left: func() { l.left(tree) }, catalog: l.catalog, joined: true, seenBefore: true, anyRefusal: true,
		leaving: map[packaging.Name]*departure{}, unmet: map[packaging.Name]bool{},
		home: sync.OnceValue(func() string { return homeOf(l.config.File) }),
	}, nil
}

// asking is request for one that upstreams may have to be asked for: it has read
// what people want.
func (l *Live) asking(ctx context.Context) (*site, error) {
	s, err := l.request()
	if err != nil {
		return nil, err
	}
	if err = s.readIntent(ctx); err == nil {
		s.report.Problems = nil // of the allowlist, which builds tell of
		s.anyRefusal, err = s.catalog.AnyRefusal(ctx)
	}
	if err != nil {
		s.left()
		return nil, storage(err)
	}
	return s, nil
}

// left notes that a request is no longer at work on a tree.
func (l *Live) left(t *publish.Tree) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users[t]--; l.users[t] == 0 {
		delete(l.users, t)
		l.release(t)
	}
}

// over ends a request: what there was to tell goes to the log.
func (s *site) over() {
	defer s.left()
	s.upstream.close()
	for _, p := range s.report.Problems {
		level := slog.LevelWarn
		if p.Level == levels[plan.Alarm] {
			level = slog.LevelError
		}
		s.log.Log(context.Background(), level, p.String(), "hint", p.Hint)
	}
}

// A Cause says why a request could not be fulfilled.
type Cause int

const (
	// NotHere: there is no such project or file, or it does not come on demand.
	NotHere Cause = iota + 1

	// Elsewhere: whoever asks is to ask at the address in To.
	Elsewhere

	// Busy: an upstream does not answer, or others are at work on the same; it is
	// worth coming back after some time.
	Busy

	// BadUpstream: the upstream has something else than it said.
	BadUpstream

	// Exists: a file of this name is here, or was, with other bytes.
	Exists

	// NotAllowed: a rule of this site stands against it.
	NotAllowed

	// Invalid: what was uploaded is no distribution that may be listed.
	Invalid

	// NoSpace: the disk is too full to take more.
	NoSpace
)

// A Refusal is the error for a request that could not be fulfilled. Any other
// error is a fault of this site.
type Refusal struct {
	Cause Cause

	// Text is for whoever has made the request. It tells nothing that only the
	// people of this site should know.
	Text string

	// To is an address, for Elsewhere.
	To string

	// After is how long to wait, for Busy.
	After time.Duration

	// Err is what is behind it, for the log; it may be nil.
	Err error
}

func (r *Refusal) Error() string {
	if r.Err != nil {
		return fmt.Sprintf("%s: %v", r.Text, r.Err)
	}
	return r.Text
}

func (r *Refusal) Unwrap() error { return r.Err }

// isRefusal reports whether an error is a Refusal for a cause.
func isRefusal(err error, why Cause) bool {
	r, ok := errors.AsType[*Refusal](err)
	return ok && r.Cause == why
}

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
