package nestgen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"nestgen/advisory"
	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/publish"
)

// Options are what one run may be told besides the settings. The zero Options
// make a plain build.
type Options struct {
	// DryRun finds out what a build would do, without doing it. Upstreams are
	// asked for their pages, but no file is fetched.
	DryRun bool

	// Offline asks no upstream: what came from one stays as it is.
	Offline bool

	// AllowRemovals lets a build take more away than an accident could be
	// meant to: more than 50 projects, or more than a fifth of them.
	AllowRemovals bool

	// Packages are the only projects that the run is about, with what they need.
	// Nothing else is asked for, comes in or leaves. If empty, it is about all.
	Packages []packaging.Name

	// Latest fetches no version of a project but the newest that its lines allow,
	// whatever the settings say of how many to keep. What is here stays.
	Latest bool

	// Since is the serial of an upstream: of its projects only those are asked
	// about that changed after it. If nil, all are.
	Since *int64

	// Each is called for every project that changes, before the change is
	// made, in the order of names. It may be nil.
	Each func(*plan.Project)

	// LeftOut has a dry run call Each as well for projects that do not change, if
	// something of them is asked for and not listed.
	LeftOut bool

	// Retention is what [GC] does besides; the zero Retention nothing.
	Retention Retention

	// Progress shows how far the long steps are. It may be nil.
	Progress Progress

	// locked keeps other runs away from a dry one as well.
	locked bool

	// newLog lets a catalog in that is behind the log: see [NewLog].
	newLog bool

	// Log takes what happens, for those who look on. If nil, it is dropped.
	Log *slog.Logger
}

// A Progress shows people how far a run is. Its methods may be called from
// several goroutines.
type Progress interface {
	// Stage begins a step of so many units; what was shown before is done.
	Stage(name string, total int64)

	// Step adds to the units that are done, and to the bytes that went by.
	Step(units, bytes int64)
}

type noProgress struct{}

func (noProgress) Stage(string, int64) {}
func (noProgress) Step(int64, int64)   {}

// Build brings a site up to date with its allowlist, its drop folders and its
// policy, and publishes what has changed. The report says what was done and
// what was not; it is also written beside the state. An error means that the
// run stopped early: it matches one of the ends in this package, and the tree
// is as whole as it was.
func Build(ctx context.Context, c Config, o Options) (*Report, error) {
	if err := checkState(c, o); err != nil && (o.DryRun || !(&site{Config: c}).canFollow()) {
		return nil, err
	}
	s, err := open(c, o)
	if err != nil {
		return nil, err
	}
	report, err := s.build(ctx)
	if err != nil {
		s.reportFault(err)
	}
	tell := s.hook(report)
	if err = errors.Join(err, s.close()); err == nil {
		tell(ctx)
	}
	return report, err
}

// build is the walk.
func (s *site) build(ctx context.Context) (*Report, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	if err := s.beginHook(ctx); err != nil {
		return nil, err
	}
	if err := s.afterRotations(ctx); err != nil {
		return nil, err
	}
	if err := s.readIntent(ctx); err != nil {
		return nil, err
	}
	if err := s.readAdvisories(ctx); err != nil {
		return nil, err
	}
	if err := s.afterRequests(ctx); err != nil {
		return nil, err
	}
	if held, err := heldBack(ctx, s.catalog); err != nil || held != nil {
		if err != nil {
			return nil, err
		}
		return s.buildBack(ctx, *held)
	}
	if err := s.scanDrop(ctx); err != nil {
		return nil, err
	}
	if err := s.readImports(ctx); err != nil {
		return nil, err
	}
	if err := s.narrow(ctx); err != nil {
		return nil, err
	}
	for decided, err := range s.decide(ctx) {
		if err != nil {
			return nil, err
		}
		if err := s.carry(ctx, decided); err != nil {
			return nil, err
		}
	}
	if err := s.withdraw(ctx); err != nil {
		return nil, err
	}
	if err := s.keepImported(ctx); err != nil {
		return nil, err
	}
	if !s.opts.DryRun {
		if err := s.remember(ctx); err != nil {
			return nil, err
		}
		if err := s.rememberRoots(ctx); err != nil {
			return nil, err
		}
		if err := s.show(ctx); err != nil {
			return nil, err
		}
	}
	return s.reportRun(ctx)
}

// show publishes what the catalog has come to say, and deletes what is due.
func (s *site) show(ctx context.Context) error {
	if err := s.takeSnapshots(ctx); err != nil {
		return err
	}
	if err := s.updateViews(ctx); err != nil {
		return err
	}
	if err := s.publish(ctx); err != nil {
		return err
	}
	if err := s.dropSnapshots(ctx); err != nil {
		return err
	}
	return s.deleteDue(ctx)
}

// A site is a site at work: its settings, its catalog, its tree, and the
// report of this run.
type site struct {
	Config
	opts      Options
	log       *slog.Logger
	progress  Progress
	catalog   *catalog.Catalog
	tree      *publish.Tree // nil in a dry run that needs no lock
	intent    intent
	prospects prospects
	local     localFiles
	upstream  upstreams
	report    *Report
	early     early
	mu        sync.Mutex // held to note in a decided what came of a file

	// foreseen is what a dry run has read of advisories and the catalog does not
	// have yet.
	foreseen map[packaging.Name][]advisory.Record

	imports map[packaging.Name]string // projects that belong to other sites, by these

	only   map[packaging.Name]bool       // the projects that the run is about; nil for all
	joined bool                          // builds come and go beside it: see Live
	left   func()                        // gives the tree back, for one that has joined
	follow func(part string, size int64) // reads along with a download; may be nil
	home   func() string                 // the folder of the settings

	// leaving waits until everything else is done, and unmet names the
	// projects of which something could not be had until then.
	held       map[packaging.Name][]catalog.Hold // what was held when the run began; nil for one that has joined
	leaving    map[packaging.Name]*departure
	unmet      map[packaging.Name]bool
	missed     atomic.Bool // something did not come that was to
	seenBefore bool        // the catalog had events when the run began
	behindLog  bool        // and not all those that were signed
	anyRefusal bool        // and files that did not pass the gate
}

// open takes the lock of a site, unless the run is a dry one, and opens its
// catalog.
func open(c Config, o Options) (_ *site, err error) {
	s := &site{Config: c, opts: o, log: o.Log, progress: o.Progress, report: &Report{DryRun: o.DryRun},
		leaving: map[packaging.Name]*departure{}, unmet: map[packaging.Name]bool{}}
	s.home = sync.OnceValue(func() string { return homeOf(c.File) })
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.progress == nil {
		s.progress = noProgress{}
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if !o.DryRun || o.locked {
		if s.tree, err = openTree(c, s.log); err != nil {
			return nil, err
		}
	}
	if !o.DryRun {
		s.catalog, err = catalog.Open(s.catalogFile())
	} else {
		s.catalog, err = catalog.OpenReadOnly(s.catalogFile())
		if errors.Is(err, os.ErrNotExist) {
			s.catalog, err = catalog.OpenEmpty()
		}
	}
	if err != nil {
		return nil, storage(err)
	}
	if !o.DryRun {
		// Before anything else is written: it would have a serial that is taken.
		if err = s.catchUp(context.Background()); err != nil && !(o.newLog && errors.Is(err, ErrAlarm)) {
			s.reportFault(err)
			return nil, err
		}
		s.behindLog = err != nil
	}
	last, err := s.catalog.Serial(context.Background())
	if err != nil {
		return nil, storage(err)
	}
	s.seenBefore = last > 0
	s.anyRefusal, err = s.catalog.AnyRefusal(context.Background())
	return s, storage(err)
}

func openTree(c Config, log *slog.Logger) (*publish.Tree, error) {
	t, err := publish.Open(publish.Options{Site: c.Site, State: c.State, Log: log, Clock: Now})
	if errors.Is(err, publish.ErrLocked) {
		return nil, &fault{ErrLocked, fmt.Errorf("%s: another run is at work on this site", c.State), "a run from cron may not be done yet; this one changed nothing"}
	}
	return t, storage(err)
}

func (s *site) close() error {
	var faults []error
	s.upstream.close()
	faults = append(faults, s.local.close())
	if s.catalog != nil {
		faults = append(faults, s.catalog.Close())
	}
	if s.tree != nil {
		faults = append(faults, s.tree.Close())
	}
	return errors.Join(faults...)
}

// homeOf gives the folder of the settings file. Finding it takes system calls.
func homeOf(file string) string {
	dir := filepath.Dir(file)
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

func (c *Config) catalogFile() string { return filepath.Join(c.State, "catalog.db") }

// reportFault writes the report of a run that stopped early, as far as the
// state folder can still be written to.
func (s *site) reportFault(err error) {
	if s.opts.DryRun {
		return
	}
	r := s.report
	r.finish()
	// The next run has to see as well that a catalog is behind it. It is 0 if it cannot
	// be read either.
	now, _ := s.catalog.Serial(context.Background())
	r.Serial = max(now, s.reported())
	r.Status = Status(err)
	r.Problems = append([]Problem{{Level: "error", Text: err.Error(), Hint: Hint(err)}}, r.Problems...)
	if err := r.save(s.State); err != nil {
		s.log.Warn("the report could not be written", "error", err)
	}
}

// reportRun completes the report and writes it beside the state.
func (s *site) reportRun(ctx context.Context) (*Report, error) {
	r := s.report
	n, err := s.catalog.Counts(ctx)
	if err != nil {
		return nil, storage(err)
	}
	r.Listed = Counts{n.Projects, n.Files, n.Bytes}
	if r.Serial, err = s.catalog.Serial(ctx); err != nil {
		return nil, storage(err)
	}
	if r.Affected, err = s.affected(ctx, r.Serial); err != nil {
		return nil, err
	}
	s.upstream.count(r)
	r.finish()
	if s.opts.DryRun {
		return r, nil
	}
	if err := r.save(s.State); err != nil {
		return nil, storage(fmt.Errorf("write report: %w", err))
	}
	return r, nil
}
