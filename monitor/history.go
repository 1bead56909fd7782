package monitor

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/record"
)

// A history is what the log of events says, replayed as far as it was read.
type history struct {
	projects map[packaging.Name]*catalog.Past

	// files is what was ever listed, by the name of the file.
	files map[string]*listedFile

	serial int64
	time   int64
}

// A listedFile is what stays of a file whatever becomes of it.
type listedFile struct {
	sha256  catalog.Digest
	blake2b catalog.Digest
	size    int64
	path    string   // where it lies now
	before  []string // where it lay
	here    bool     // its bytes were here when the history spoke of it last
}

// at reports whether the file lies or lay at a path.
func (f *listedFile) at(path string) bool { return f.path == path || slices.Contains(f.before, path) }

func newHistory() *history {
	return &history{projects: map[packaging.Name]*catalog.Past{}, files: map[string]*listedFile{}}
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
	if err := h.file(r); err != nil {
		return wrong(index+1, "%v", err)
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
	if !n.Announced {
		if f.size >= 0 && f.size != n.Size || !f.blake2b.IsZero() && f.blake2b != n.BLAKE2b {
			return fmt.Errorf("%s has another size or BLAKE2b than before", r.Filename)
		}
		f.size, f.blake2b = n.Size, n.BLAKE2b
	}
	if f.path != "" && f.path != n.Path && !slices.Contains(f.before, f.path) {
		f.before = append(f.before, f.path)
	}
	f.path, f.here = n.Path, !n.Announced
	return nil
}

func timeText(micros int64) string { return time.UnixMicro(micros).UTC().Format(time.RFC3339Nano) }
