package monitor

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/record"
)

// A history is what the log of events says, replayed as far as it was read.
type history struct {
	projects map[packaging.Name]*catalog.Past

	// files is what was ever listed, by the name of the file.
	files map[string]*listedFile

	// left is when a file was not there any more, by its name: it left the index, or only
	// its bytes did. away is the files that left at once because nobody is to have them, by
	// their places.
	left map[string][]int64
	away map[string]*listedFile

	// snapshots are by their names, and promoted is what was promoted to each index and
	// not taken back, by project and file, with the serial of that.
	snapshots map[string]snapshot
	promoted  map[string]map[packaging.Name]map[string]int64

	serial int64
	time   int64

	// reached is called when the state is that of the first of stops, ascending, which is
	// taken away. It is nil where nobody wants to know.
	stops   []int64
	reached func(h *history)
}

// A snapshot is a serial that has a name since another one.
type snapshot struct {
	serial, made int64
	dropped      bool
}

// A listedFile is what stays of a file whatever becomes of it.
type listedFile struct {
	project packaging.Name
	sha256  catalog.Digest
	blake2b catalog.Digest
	size    int64
	path    string   // where it lies now
	before  []string // where it lay
	waited  string   // where it lay when it was announced
	here    bool     // its bytes were here when the history spoke of it last
}

// at reports whether the file lies or lay at a path.
func (f *listedFile) at(path string) bool { return f.path == path || slices.Contains(f.before, path) }

// file gives it as far as that is known.
func (f *listedFile) file() *catalog.File {
	return &catalog.File{Path: f.path, Size: f.size, SHA256: f.sha256, BLAKE2b: f.blake2b}
}

func newHistory() *history {
	return &history{
		projects: map[packaging.Name]*catalog.Past{}, files: map[string]*listedFile{}, left: map[string][]int64{}, away: map[string]*listedFile{},
		snapshots: map[string]snapshot{}, promoted: map[string]map[packaging.Name]map[string]int64{},
	}
}

// states gives a history before its first event that follows what projects were and
// nothing else, as far as others have found the log to be in order.
func states(stops []int64, reached func(h *history)) *history {
	h := &history{projects: map[packaging.Name]*catalog.Past{}, stops: stops, reached: reached}
	h.stop()
	return h
}

// stop calls whoever wants to know of the state as it is.
func (h *history) stop() {
	for len(h.stops) > 0 && h.stops[0] == h.serial {
		h.stops = h.stops[1:]
		h.reached(h)
	}
}

// project gives a project as it is now, without anything if nothing is known of it.
func (h *history) project(n packaging.Name) *catalog.Project {
	if past := h.projects[n]; past != nil {
		return past.Project()
	}
	return &catalog.Project{Name: n}
}

// hasPlace reports whether a file that the history knows, or what may stand beside it, lies
// at a path of the store or lay there.
func (h *history) hasPlace(path string) bool {
	for _, p := range []string{path, layout.Owner(path)} {
		if _, filename, ok := layout.ParseFile(p); ok && h.files[filename] != nil && h.files[filename].at(p) {
			return true
		}
	}
	return false
}

// A historyError says what cannot be in a history.
type historyError struct {
	serial int64
	text   string
}

func (e *historyError) Error() string { return fmt.Sprintf("event %d: %s", e.serial, e.text) }

// wrong gives the error for what cannot be in a history.
func wrong(serial int64, format string, args ...any) error {
	return &historyError{serial, fmt.Sprintf(format, args...)}
}

// apply goes on to the state after a record, which is a leaf of the log of events.
func (h *history) apply(index int64, r *catalog.Record) error {
	if r.Serial != index+1 {
		return wrong(index+1, "it calls itself %d: serials have to count the leaves, from 1 on and without a gap", r.Serial)
	}
	if r.Time < h.time {
		return wrong(index+1, "its time %s is before that of the event before it, %s", timeText(r.Time), timeText(h.time))
	}
	h.serial, h.time = r.Serial, r.Time
	defer h.stop()
	if h.files != nil {
		if err := h.file(r); err != nil {
			return wrong(index+1, "%v", err)
		}
		h.note(r)
	}
	if r.Project == "" {
		return nil
	}
	past := h.projects[r.Project]
	if past == nil {
		past = catalog.NewPast(r.Project)
		h.projects[r.Project] = past
	}
	past.Apply(r)
	return nil
}

// A replay reads leaves of the log of events on all processors, since that is most of the
// work of a long log, and applies them in their order.
type replay struct {
	batch  *batch
	queue  chan *batch
	done   chan struct{}
	failed atomic.Pointer[error]
}

// A batch is some leaves, one after the other.
type batch struct {
	first   int64
	leaves  [][]byte
	records []catalog.Record
	err     error // of the leaf after the records
	read    chan struct{}
}

const batchSize = 256

// replay begins with the first leaf. Nobody else looks at h before the replay has ended.
func (h *history) replay() *replay {
	p := &replay{queue: make(chan *batch, 2*runtime.GOMAXPROCS(0)), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for b := range p.queue {
			<-b.read
			if p.failed.Load() != nil {
				continue
			}
			if err := h.applyAll(b); err != nil {
				p.failed.Store(&err)
			}
		}
	}()
	return p
}

func (h *history) applyAll(b *batch) error {
	for i := range b.records {
		if err := h.apply(b.first+int64(i), &b.records[i]); err != nil {
			return err
		}
	}
	return b.err
}

// add takes the next leaf, and keeps nothing of it. It gives what was wrong with an earlier
// one, once that is known.
func (p *replay) add(index int64, leaf []byte) error {
	if p.batch == nil {
		p.batch = &batch{first: index, leaves: make([][]byte, 0, batchSize), read: make(chan struct{})}
	}
	if p.batch.leaves = append(p.batch.leaves, bytes.Clone(leaf)); len(p.batch.leaves) == batchSize {
		p.send()
	}
	if err := p.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (p *replay) send() {
	b := p.batch
	p.batch = nil
	p.queue <- b // which bounds how many are read ahead
	go func() {
		defer close(b.read)
		b.records = make([]catalog.Record, 0, len(b.leaves))
		for i, leaf := range b.leaves {
			r, err := record.Decode(leaf)
			if err != nil {
				b.err = wrong(b.first+int64(i)+1, "%v", err)
				return
			}
			b.records = append(b.records, r)
		}
	}()
}

// end applies what is left. It gives the first thing that is wrong.
func (p *replay) end() error {
	if p.batch != nil {
		p.send()
	}
	close(p.queue)
	<-p.done
	if err := p.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// file notes what a record says of a file, whose name stands for the same bytes for ever.
func (h *history) file(r *catalog.Record) error {
	if r.Filename == "" {
		return nil
	}
	f := h.files[r.Filename]
	if f == nil {
		f = &listedFile{size: -1}
		h.files[r.Filename] = f
	}
	sums := []catalog.Digest{r.SHA256}
	if r.File != nil {
		sums = append(sums, r.File.SHA256)
	}
	for _, sum := range sums {
		if sum.IsZero() {
			continue
		}
		if !f.sha256.IsZero() && f.sha256 != sum {
			return fmt.Errorf("%s has sha256 %s now and had %s before: a name stands for the same bytes for ever", r.Filename, sum, f.sha256)
		}
		f.sha256 = sum
	}
	n := r.File
	if n == nil {
		return nil
	}
	switch place, _, _ := layout.ParseFile(n.Path); {
	case n.Announced:
		f.waited = n.Path
	case catalog.Digest(place) != n.BLAKE2b && catalog.Digest(place) != n.SHA256 && n.Path != f.waited:
		// What was announced, here or where it came from, has the digest that was known then.
		return fmt.Errorf("%s lies at %s, and its BLAKE2b is %s: a place in the store is made of a digest of what lies there", r.Filename, n.Path, n.BLAKE2b)
	}
	if !n.Announced {
		if f.size >= 0 && f.size != n.Size || !f.blake2b.IsZero() && f.blake2b != n.BLAKE2b {
			return fmt.Errorf("%s has another size or BLAKE2b than before", r.Filename)
		}
		f.size, f.blake2b = n.Size, n.BLAKE2b
	} else if f.here {
		h.left[r.Filename] = append(h.left[r.Filename], r.Serial)
	}
	delete(h.away, f.path)
	if f.path != "" && f.path != n.Path && !slices.Contains(f.before, f.path) {
		f.before = append(f.before, f.path)
	}
	f.project, f.path, f.here = r.Project, n.Path, !n.Announced
	return nil
}

// note takes down what a record says besides what the index says from then on. That of
// the project is not applied yet.
func (h *history) note(r *catalog.Record) {
	switch r.Verb {
	case catalog.Withdraw:
		f := h.files[r.Filename]
		if f == nil {
			return
		}
		h.left[r.Filename] = append(h.left[r.Filename], r.Serial)
		past := h.projects[r.Project]
		quarantined := past != nil && past.Status().State == catalog.Quarantined
		if f.here && (forbidden(r.Reason) || quarantined && strings.HasPrefix(r.Reason, unwanted)) {
			h.away[f.path] = f
		}
	case catalog.Snapshot, catalog.Drop:
		t, ok := r.Named()
		if !ok || t.Serial >= r.Serial || !layout.ValidPrefix(layout.Snapshot(t.Tag)) {
			return
		}
		if r.Verb == catalog.Snapshot {
			h.snapshots[t.Tag] = snapshot{serial: t.Serial, made: r.Serial}
		} else if s, known := h.snapshots[t.Tag]; known {
			s.dropped = true
			h.snapshots[t.Tag] = s
		}
	case catalog.Promotion:
		to, ok := r.PromotedTo()
		if !ok {
			return
		}
		if h.promoted[to] == nil {
			h.promoted[to] = map[packaging.Name]map[string]int64{}
		}
		if h.promoted[to][r.Project] == nil {
			h.promoted[to][r.Project] = map[string]int64{}
		}
		h.promoted[to][r.Project][r.Filename] = r.Serial
	case catalog.Demotion:
		if from, ok := r.PromotedTo(); ok {
			delete(h.promoted[from][r.Project], r.Filename)
		}
	}
}

// unwanted begins the reason of what leaves the index because nobody asks for its project.
// If that is quarantined, it is put away with that; whatever else leaves then stays where it
// is for the grace period.
const unwanted = "no allowlist line asks for "

// forbidden reports whether a file has left the index because the policy blocks it or an
// advisory calls it malware, as the history gives the reason.
func forbidden(reason string) bool {
	for _, why := range []string{"the policy blocks it: ", "policy: [[block]] ", "[advisories] block: ", "the policy or an advisory blocks it", "blocked: "} {
		if strings.HasPrefix(reason, why) {
			return true
		}
	}
	return false
}

// stayed reports whether a file was there, as the index has it, from one serial to another.
func (h *history) stayed(filename string, from, to int64) bool {
	return !slices.ContainsFunc(h.left[filename], func(serial int64) bool { return from < serial && serial <= to })
}

func timeText(micros int64) string { return time.UnixMicro(micros).UTC().Format(time.RFC3339Nano) }
