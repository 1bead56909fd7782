package nestgen

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/publish"
)

// A Live is a site that requests change, beside the builds: projects and files
// that come on demand, and uploads. Any number of processes may have one, and
// each may use it from several goroutines.
type Live struct {
	config  Config
	log     *slog.Logger
	tree    *publish.Tree
	catalog *catalog.Catalog
}

// Join opens a site for requests. The settings have been resolved.
func Join(c Config, log *slog.Logger) (_ *Live, err error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l := &Live{config: c, log: log}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if err := checkState(c, Options{}); err != nil {
		return nil, err
	}
	if l.tree, err = publish.Join(publish.Options{Site: c.Site, State: c.State, Log: log, Clock: Now}); err != nil {
		return nil, storage(err)
	}
	if l.catalog, err = catalog.Open(c.catalogFile()); err != nil {
		return nil, storage(err)
	}
	return l, nil
}

// Close gives back what a Live holds.
func (l *Live) Close() error {
	var faults []error
	if l.catalog != nil {
		faults = append(faults, l.catalog.Close())
	}
	if l.tree != nil {
		faults = append(faults, l.tree.Close())
	}
	return errors.Join(faults...)
}

// request gives the site as one request sees it. It has read nothing of what
// people want yet.
func (l *Live) request() *site {
	return &site{
		Config: l.config, log: l.log, progress: noProgress{}, report: new(Report),
		tree: l.tree, catalog: l.catalog, joined: true, seenBefore: true, anyRefusal: true,
		leaving: map[packaging.Name]*departure{}, unmet: map[packaging.Name]bool{},
		home: sync.OnceValue(func() string { return homeOf(l.config.File) }),
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
