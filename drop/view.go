package drop

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"sort"

	"nestgen/catalog"
	"nestgen/packaging"
)

// A change is where the drop directories differ from the cache. Changes stand
// in the order of the walk.
type change struct {
	at      uint64 // in View.text: path and facts
	outcome uint64 // in View.text, where recorded is set
	dir     uint32
	state   State // New, Altered or Gone

	recorded bool
}

// add notes a change. The walk alone calls it.
func (v *View) add(dir int, s State, path []byte, f *facts) {
	b := binary.AppendUvarint(v.buf[:0], uint64(len(path)))
	b = append(b, path...)
	b = appendFacts(b, f)
	v.buf = b
	v.changes = append(v.changes, change{at: v.text.put(b), dir: uint32(dir), state: s})
	switch s {
	case New:
		v.counts.New++
	case Altered:
		v.counts.Altered++
	case Gone:
		v.counts.Gone++
	}
}

func (v *View) gap(dir int, path []byte, err error) {
	v.gaps = append(v.gaps, gap{dir, bytes.Clone(path)})
	hint := "what was known of the files below it stands"
	v.report.Missing = append(v.report.Missing, Note{v.name(dir, path), reasonOf(err), hint})
}

// changed decodes the path and the facts of a change.
func (v *View) changed(c *change) (path []byte, f facts) {
	path, b, _ := cutText(v.text.from(c.at))
	f, _, _ = cutFacts(b)
	return path, f
}

// recordedOutcome gives the encoded outcome of a change that has one.
func (v *View) recordedOutcome(at uint64) []byte {
	b, _, _ := cutText(v.text.from(at))
	return b
}

// A row is one file in the merge of cache and changes. The slices are good
// until the next row.
type row struct {
	dir     int
	state   State
	path    []byte
	facts   facts  // as the scan found them; of a Gone row, as remembered
	outcome []byte // encoded; nil when there is none

	// last is what the cache has of an Altered row.
	last facts
}

// each walks over all files that are there or were, in order. It stops when
// yield returns false.
func (v *View) each(yield func(*row) bool) error {
	at := 0
	var r row
	for i := range v.dirs {
		cur, err := v.base.cursor(v.base.section(v.dirs[i].path))
		if err != nil {
			return err
		}
		for {
			var c *change
			var path []byte
			var f facts
			if at < len(v.changes) && int(v.changes[at].dir) == i {
				v.mu.Lock()
				copied := v.changes[at]
				path, f = v.changed(&copied)
				v.mu.Unlock()
				c = &copied
			}
			if c == nil && !cur.ok {
				break
			}
			r = row{dir: i}
			order := -1
			switch {
			case c == nil:
			case !cur.ok:
				order = 1
			default:
				order = comparePaths(cur.path, path)
			}
			if order < 0 {
				r.state, r.path, r.facts, r.outcome = Known, cur.path, cur.facts, cur.outcome
				if v.inGap(i, cur.path) {
					r.state = Kept
				}
				if o := v.update(i, cur.path); o != nil {
					r.outcome = o
				}
			} else {
				at++
				r.state, r.path, r.facts = c.state, path, f
				if order == 0 {
					r.outcome, r.last = cur.outcome, cur.facts
				}
				if c.recorded {
					v.mu.Lock()
					r.outcome = v.recordedOutcome(c.outcome)
					v.mu.Unlock()
					r.state = Known
				}
			}
			if !yield(&r) {
				return nil
			}
			if order <= 0 {
				if err := cur.next(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (v *View) inGap(dir int, path []byte) bool {
	for i := range v.gaps {
		if g := &v.gaps[i]; g.dir == dir && hasPrefix(path, g.path) {
			return true
		}
	}
	return false
}

// update gives the outcome that was recorded for a file that is not a change.
func (v *View) update(dir int, path []byte) []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.updates) == 0 {
		return nil
	}
	v.key = updateKey(v.key[:0], dir, path)
	return v.updates[string(v.key)]
}

func updateKey(b []byte, dir int, path []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(dir))
	return append(b, path...)
}

// entry makes the row a value of its own.
func (v *View) entry(r *row) (Entry, error) {
	e := Entry{
		Dir: v.dirs[r.dir].path, Path: string(r.path), Kind: r.facts.kind, State: r.state, Stat: r.facts.main,
		Signature: r.facts.beside[Signature], Metadata: r.facts.beside[Metadata], Provenance: r.facts.beside[Provenance],
	}
	if r.outcome != nil {
		o, ok := parseOutcome(r.outcome)
		if !ok {
			return e, errDamaged
		}
		e.Outcome = o
	}
	return e, nil
}

// entries is each for the rows that want asks for, as values.
func (v *View) entries(want func(*row) bool) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		stopped := false
		err := v.each(func(r *row) bool {
			if !want(r) {
				return true
			}
			e, err := v.entry(r)
			if !yield(e, err) || err != nil {
				stopped = true
			}
			return !stopped
		})
		if err != nil && !stopped {
			yield(Entry{}, err)
		}
	}
}

// Entries gives every file that is there or must be taken to be there,
// directory by directory as they were given to Scan, and in each in the order
// of a walk that sorts the folders by name. Nothing is held in memory. An
// error ends the sequence; it means that the cache cannot be read any more.
//
// Record may be called while a sequence is being read, Save and Close may not.
func (v *View) Entries() iter.Seq2[Entry, error] {
	return v.entries(func(r *row) bool { return r.state != Gone })
}

// Of is Entries for the files of some projects, in one pass. Files that were
// never inspected, of which the project is not known, are not among them.
func (v *View) Of(projects map[packaging.Name]bool) iter.Seq2[Entry, error] {
	return v.entries(func(r *row) bool {
		return r.state != Gone && projects[packaging.Name(project(r.outcome))]
	})
}

// Changed gives the New and the Altered entries that no outcome was recorded
// for yet. It costs nothing when there is none.
func (v *View) Changed() iter.Seq2[Entry, error] {
	if v.counts.New+v.counts.Altered == 0 {
		return func(func(Entry, error) bool) {}
	}
	return v.entries(func(r *row) bool { return r.state == New || r.state == Altered })
}

// Gone gives the files that were there in the last run and are not any more,
// as they were remembered. Those of a drop directory that is not among the
// settings any more are there too.
func (v *View) Gone() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if v.counts.Gone > 0 {
			for e, err := range v.entries(func(r *row) bool { return r.state == Gone }) {
				if !yield(e, err) {
					return
				}
			}
		}
		for i := range v.left() {
			if !v.leftBehind(i, yield) {
				return
			}
		}
	}
}

// left gives the sections of the cache that no drop directory stands for.
func (v *View) left() []*section {
	if v.base == nil {
		return nil
	}
	var out []*section
	for i := range v.base.sections {
		s := &v.base.sections[i]
		known := false
		for j := range v.dirs {
			known = known || v.dirs[j].path == s.dir
		}
		if !known {
			out = append(out, s)
		}
	}
	return out
}

func (v *View) leftBehind(i int, yield func(Entry, error) bool) bool {
	s := v.left()[i]
	cur, err := v.base.cursor(s)
	for err == nil && cur.ok {
		o, ok := parseOutcome(cur.outcome)
		if !ok {
			err = errDamaged
			break
		}
		f := &cur.facts
		if !yield(Entry{
			Dir: s.dir, Path: string(cur.path), Kind: f.kind, State: Gone, Stat: f.main,
			Signature: f.beside[Signature], Metadata: f.beside[Metadata], Provenance: f.beside[Provenance],
			Outcome: o,
		}, nil) {
			return false
		}
		err = cur.next()
	}
	return err == nil || yield(Entry{}, err) && false
}

// Record says what became of an entry of this View. It is remembered when Save
// is called. Of an entry that is recorded twice the later outcome holds. It
// may be called by several goroutines.
func (v *View) Record(e Entry, o Outcome) error {
	if err := o.check(); err != nil {
		return fmt.Errorf("%s: %w", e.Name(), err)
	}
	dir := v.dirIndex(e.Dir)
	if dir < 0 || e.State == Gone {
		return fmt.Errorf("%s: not an entry of this scan", e.Name())
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	code := appendOutcome(nil, e.Kind, &o, v.rules)
	path := []byte(e.Path)
	if c := v.find(dir, path); c != nil {
		if c.state == Gone {
			return fmt.Errorf("%s: not an entry of this scan", e.Name())
		}
		if _, f := v.changed(c); f != e.facts() {
			return fmt.Errorf("%s: not as this scan found it", e.Name())
		}
		c.outcome = v.text.put(appendText(nil, string(code)))
		if !c.recorded {
			c.recorded = true
			v.recorded++
		}
	} else {
		key := string(updateKey(nil, dir, path))
		if _, again := v.updates[key]; !again && bytes.Equal(code, appendOutcome(nil, e.Kind, &e.Outcome, v.rules)) {
			return nil // as it is remembered
		}
		if len(v.updates) == 0 {
			v.updates = make(map[string][]byte)
		}
		v.updates[key] = code
	}
	if o.Verdict == Rejected || o.Reason != "" {
		v.report.outcome(e.Name(), &o)
	}
	return nil
}

// find gives the change for a path, nil when there is none.
func (v *View) find(dir int, path []byte) *change {
	i := sort.Search(len(v.changes), func(i int) bool {
		c := &v.changes[i]
		if int(c.dir) != dir {
			return int(c.dir) > dir
		}
		p, _, _ := cutText(v.text.from(c.at))
		return comparePaths(p, path) >= 0
	})
	if i == len(v.changes) || int(v.changes[i].dir) != dir {
		return nil
	}
	if p, _, _ := cutText(v.text.from(v.changes[i].at)); !bytes.Equal(p, path) {
		return nil
	}
	return &v.changes[i]
}

func (v *View) dirIndex(dir string) int {
	for i := range v.dirs {
		if v.dirs[i].path == dir {
			return i
		}
	}
	return -1
}

// encode writes the state as it is to be remembered: what was recorded; what
// was altered and not inspected as it was, so that the next scan finds it
// altered again; nothing that was never inspected.
func (v *View) encode(w io.Writer) (*base, []byte, error) {
	enc := newEncoder(w)
	dir := -1
	open := func(to int) {
		for dir < to {
			dir++
			enc.section(v.dirs[dir].path, v.dirs[dir].remember())
		}
	}
	err := v.each(func(r *row) bool {
		open(r.dir)
		switch {
		case r.state == Gone || r.outcome == nil:
		case r.state == Altered:
			enc.record(r.path, &r.last, r.outcome)
		default:
			enc.record(r.path, &r.facts, r.outcome)
		}
		return enc.err == nil
	})
	if err != nil {
		return nil, nil, err
	}
	open(len(v.dirs) - 1)
	return enc.finish()
}

// Digest names the state of the drop directories as far as it was recorded:
// two scans with the same digest have the same entries with the same outcomes.
// Whoever remembers the digest that was applied last knows by it that there is
// nothing to apply. It costs nothing unless something changed since the cache
// was written.
func (v *View) Digest() (catalog.Digest, error) {
	if v.base != nil && !v.dirty() {
		return v.base.digest(), nil
	}
	b, _, err := v.encode(io.Discard)
	if err != nil {
		return catalog.Digest{}, err
	}
	return b.digest(), nil
}

// Known is what Digest gave when the cache was written that the scan began
// with; zero if there was none. What is New, Altered or Gone is so since then.
func (v *View) Known() catalog.Digest { return v.known }

// dirty reports whether the cache on disk is not what encode would write.
func (v *View) dirty() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.recorded > 0 || len(v.updates) > 0 || v.counts.Gone > 0 {
		return true
	}
	if v.base == nil {
		return false
	}
	if len(v.base.sections) != len(v.dirs) {
		return true
	}
	for i := range v.dirs {
		if s := &v.base.sections[i]; s.dir != v.dirs[i].path || s.id != v.dirs[i].remember() {
			return true
		}
	}
	return false
}
