package nestgen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/mod/sumdb/note"

	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/record"
	"nestgen/tilelog"
	"nestgen/transit"
)

// A said is where the records of a project are that the bundle has, and what its listing
// shows of it.
type said struct {
	at   []extent
	last int64 // the serial of the last record; 0 for none

	// gap says that something is missing between what is known of the project here and
	// the bundle, and gone are the files that have left the index there unseen.
	gap  bool
	gone []string

	not string // why it is not taken; empty if it is
}

// A follow is what another site says of a project, from record to record.
type follow struct {
	*said
	base catalog.Imported // what it has said before
	past *catalog.Past

	came   map[string]bool // files whose bytes came by one of the records
	take   []*taken        // those that are to come
	beside []catalog.File  // those that are here, and of which something beside them comes
}

// state gives the project as the other site has it.
func (w *follow) state() *catalog.Project {
	if w.old() {
		return w.base.Project
	}
	p := w.past.Project()
	p.Serial, p.Owner = max(w.last, w.base.Serial), w.base.Origin
	return p
}

// old reports whether the bundle is older than what is known of the project.
func (w *follow) old() bool { return w.last != 0 && w.last < w.base.Serial }

// about gives what the bundle says of a project.
func (m *importer) about(n packaging.Name) *said {
	of := m.said[n]
	if of == nil {
		of = &said{gap: m.partial}
		m.said[n] = of
	}
	return of
}

// following gives what is known of a project of the other site, with the bundle.
func (m *importer) following(ctx context.Context, n packaging.Name) (*follow, error) {
	base, err := m.catalog.Imported(ctx, m.done.Origin, n)
	if err != nil {
		return nil, storage(err)
	}
	w := &follow{said: m.about(n), base: base, past: catalog.ResumePast(base.Project), came: map[string]bool{}}
	for _, at := range w.at {
		leaf, err := m.records.read(at)
		if err != nil {
			return nil, storage(err)
		}
		r, err := record.Decode(leaf)
		if err != nil {
			return nil, bad("%w", err)
		}
		if f := r.File; f != nil {
			switch r.Verb {
			case catalog.Add, catalog.Restore, catalog.Arrive, catalog.Known:
				if !f.Announced {
					w.came[f.Filename] = true
				}
			}
			*f = ofOrigin(m.done.Origin, *f)
		}
		w.past.Apply(&r)
	}
	for _, name := range w.gone {
		w.past.Forget(name)
	}
	return w, nil
}

// A spool keeps records that were checked in a file which has no name, so that they are
// not asked from the medium again.
type spool struct {
	file *os.File
	w    *bufio.Writer
	size int64
}

// An extent is where a record is in a spool.
type extent struct {
	offset int64
	length int
}

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "records-")
	if err == nil {
		err = os.Remove(f.Name())
	}
	if err != nil {
		return nil, err
	}
	return &spool{file: f, w: bufio.NewWriterSize(f, 64<<10)}, nil
}

func (s *spool) add(leaf []byte) (extent, error) {
	at := extent{s.size, len(leaf)}
	n, err := s.w.Write(leaf)
	s.size += int64(n)
	return at, err
}

func (s *spool) read(at extent) ([]byte, error) {
	leaf := make([]byte, at.length)
	_, err := s.file.ReadAt(leaf, at.offset)
	return leaf, err
}

func (s *spool) Close() error { return s.file.Close() }

// number reads a field of the header.
func (m *importer) number(field string) (int64, error) {
	text := m.bundle.Header.Field(field)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > tilelog.MaxSize || strconv.FormatInt(n, 10) != text {
		return 0, bad("bundle: %s %q is no serial", field, text)
	}
	return n, nil
}

// checkLog holds the log of the bundle against what is remembered of that log, and
// reads the records.
func (m *importer) checkLog(ctx context.Context) error {
	d := m.done
	var err error
	if d.From, err = m.number(fromField); err != nil {
		return err
	}
	if d.To, err = m.number(toField); err != nil {
		return err
	}
	if d.To < d.From {
		return bad("bundle: it begins after serial %d, and ends with %d", d.From, d.To)
	}
	if d.Scope != scopeAll && d.Scope != scopeProjects {
		return &fault{ErrSettings, fmt.Errorf("bundle: it is about %q, which this nestgen does not know", d.Scope), "use a newer one; nothing was taken in"}
	}
	if err := m.checkpoint(); err != nil {
		return err
	}
	if err := m.checkGap(); err != nil {
		return err
	}
	edge, err := m.edge()
	if err != nil {
		return err
	}
	if err := m.checkEarlier(); err != nil {
		return err
	}
	if err := m.checkLater(); err != nil {
		return err
	}
	return m.readRecords(ctx, edge)
}

// checkpoint reads what the log is at the end of the bundle, as its key has signed it.
func (m *importer) checkpoint() error {
	signed, err := m.member(checkpointMember, tilelog.MaxCheckpoint)
	if err != nil {
		return unreadableMember(err)
	}
	v, err := note.NewVerifier(m.key)
	if err != nil {
		return bad("bundle: %w", err)
	}
	c, _, err := tilelog.Open(signed, note.VerifierList(v))
	if err != nil {
		return bad("%s: %w", checkpointMember, err)
	}
	if c.Origin != m.done.Origin || c.Size != m.done.To || c.Root.String() != m.bundle.Header.Field(rootField) {
		return bad("%s: it is not about the log that the bundle is about", checkpointMember)
	}
	m.root = catalog.OriginRoot{Size: c.Size, Root: c.Root}
	return nil
}

// unreadableMember makes a missing member a fault of the bundle.
func unreadableMember(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return bad("bundle: %w", err)
	}
	return err
}

// known gives how far the stream was taken in, or a stream that is about everything. One
// that was about some projects has told nothing of the others, and begins anew when it
// comes to be about all.
func (m *importer) known() (s catalog.Stream, whole int64) {
	s = catalog.Stream{Origin: m.done.Origin, Tag: m.done.Tag}
	for _, o := range m.streams {
		if o.Scope == scopeProjects && m.done.Scope == scopeAll {
			continue
		}
		if o.Tag == m.done.Tag {
			s = o
		}
		if o.Tag == m.done.Tag || o.Scope == scopeAll {
			whole = max(whole, o.Whole)
		}
	}
	return s, whole
}

// stream gives how far the stream is taken in with the bundle.
func (m *importer) stream() catalog.Stream {
	s, whole := m.known()
	s.Scope = m.done.Scope
	if len(m.lost) > 0 {
		// What the stream is about now is not whole from any serial on.
		s.Whole, s.Last = 0, max(s.Last, m.done.To)
		return s
	}
	complete := s.Whole == s.Last
	s.Whole = max(s.Whole, whole)
	if m.done.From <= s.Whole && (complete || m.done.To >= s.Last) {
		s.Whole = max(s.Whole, m.done.To)
	}
	s.Last = max(s.Last, s.Whole, m.done.To)
	return s
}

// checkGap refuses a bundle that does not begin where the last one ended, or earlier.
func (m *importer) checkGap() error {
	d := m.done
	s, whole := m.known()
	after := m.stream()
	m.news = after.Whole != s.Whole || after.Last != s.Last
	before := s
	before.Whole = max(s.Whole, whole)
	d.Ack = m.ack(before) // until the bundle is taken in
	m.partial = d.From > whole
	if d.From <= max(s.Last, whole) || m.Force {
		return nil
	}
	here := fmt.Sprintf("what was taken in of the stream %q ends with serial %d", d.Tag, max(s.Last, whole))
	if s.Last == 0 && whole == 0 {
		here = fmt.Sprintf("nothing was taken in of the stream %q yet", d.Tag)
	}
	return &fault{ErrSettings, fmt.Errorf("serials %d to %d of %s are missing: %s, and this bundle begins with %d; nothing of it was taken in",
		max(s.Last, whole)+1, d.From, d.Origin, here, d.From+1),
		`take in the bundle that is missing first, or have the next export begin earlier: "nestgen import --ack FILE" here, "nestgen export --ack FILE" there; --force takes this one in without, and says what is missing then`}
}

// edge reads the edge of the log where the bundle begins.
func (m *importer) edge() ([]tilelog.Hash, error) {
	text, err := m.member(edgeMember, transit.MaxText)
	if err != nil {
		return nil, unreadableMember(err)
	}
	edge, err := transit.ParseEdge(text)
	if err != nil {
		return nil, bad("%w", err)
	}
	if _, err := tilelog.EdgeRoot(m.done.From, edge); err != nil {
		return nil, bad("edge: %w", err)
	}
	return edge, nil
}

// rewritten is the alarm for a log that is not the one that it was.
func (m *importer) rewritten(size int64) error {
	return &fault{ErrAlarm, fmt.Errorf("the history of %s is another than the one that was taken in before: at serial %d its log is not what it was; nothing of the bundle was taken in", m.done.Origin, size),
		"find out whether that site was put back from a backup, or somebody else has its key"}
}

// checkEarlier holds the log against the last thing that is remembered of it from
// before the bundle begins.
func (m *importer) checkEarlier() error {
	var last catalog.OriginRoot
	for _, r := range m.roots {
		if r.Size < m.done.From {
			last = r
		}
	}
	if last.Size == 0 || slices.ContainsFunc(m.roots, func(r catalog.OriginRoot) bool { return r.Size == m.done.From }) {
		return nil
	}
	text, err := m.member(proofsMember, transit.MaxProofsText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	proofs, err := transit.ParseProofs(text)
	if err != nil {
		return bad("%w", err)
	}
	for _, p := range proofs {
		if p.Size != last.Size {
			continue
		}
		err := tilelog.CheckTree(p.Hashes, m.root.Size, m.root.Root, last.Size, last.Root)
		if errors.Is(err, tilelog.ErrProof) {
			return m.rewritten(last.Size)
		}
		if err != nil {
			return bad("proofs: %w", err)
		}
		return nil
	}
	if m.partial {
		m.warn("", "", "that the history of %s goes on from serial %d, where the last bundle ended that was taken in, this bundle cannot prove", m.done.Origin, last.Size)
	}
	return nil
}

// checkLater refuses a bundle that ends where the log was already longer, unless it is
// known what the log was there: whether what came later goes on from it, nobody can say.
func (m *importer) checkLater() error {
	if len(m.roots) == 0 {
		return nil
	}
	latest := m.roots[len(m.roots)-1].Size
	if m.done.To >= latest || slices.ContainsFunc(m.roots, func(r catalog.OriginRoot) bool { return r.Size == m.done.To }) {
		return nil
	}
	if m.Force {
		m.warn("", "", "that the history of %s which was taken in up to serial %d goes on from this bundle, which ends with %d, cannot be known", m.done.Origin, latest, m.done.To)
		return nil
	}
	return &fault{ErrSettings, fmt.Errorf("the history of %s was taken in up to serial %d, and that this bundle, which ends with %d, is of the same cannot be known; nothing of it was taken in", m.done.Origin, latest, m.done.To),
		"have that site export again, up to its last serial; if it was put back from a backup, its newest catalog is to be put back first; --force takes this bundle in as it is"}
}

// leavesAtOnce is how many leaves are hashed together.
const leavesAtOnce = 4096

// readRecords goes through the records, extends the log with each, and follows what
// becomes of the projects.
func (m *importer) readRecords(ctx context.Context, edge []tilelog.Hash) error {
	d := m.done
	var err error
	if m.records, err = newSpool(m.temp); err != nil {
		return storage(err)
	}
	size := d.From
	var leaves []tilelog.Hash
	next := m.roots // what is remembered from here on
	for len(next) > 0 && next[0].Size < size {
		next = next[1:]
	}
	extend := func() error {
		if _, edge, err = tilelog.Extend(size, edge, leaves); err != nil {
			return bad("records: %w", err)
		}
		size += int64(len(leaves))
		leaves = leaves[:0]
		if len(next) > 0 && next[0].Size == size {
			root, err := tilelog.EdgeRoot(size, edge)
			if err != nil {
				return bad("records: %w", err)
			}
			if root != next[0].Root {
				return m.rewritten(size)
			}
			next = next[1:]
		}
		return nil
	}
	if err := extend(); err != nil {
		return err
	}
	if m.edgeRoot.Size = size; size > 0 {
		if m.edgeRoot.Root, err = tilelog.EdgeRoot(size, edge); err != nil {
			return bad("records: %w", err)
		}
	}
	if d.To > d.From {
		r, err := m.bundle.Open(recordsMember)
		if err != nil {
			return unreadableMember(err)
		}
		defer r.Close()
		list := transit.NewRecords(untilDoneReader{ctx, r})
		for serial := d.From + 1; ; serial++ {
			leaf, hash, err := list.Next()
			if err == io.EOF && serial == d.To+1 {
				break
			}
			if err != nil || serial > d.To {
				if err == nil || err == io.EOF {
					err = fmt.Errorf("want %d records", d.To-d.From)
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return bad("records: %w", err)
			}
			if err := m.follows(serial, leaf); err != nil {
				return err
			}
			leaves = append(leaves, hash)
			now := size + int64(len(leaves))
			if len(leaves) == leavesAtOnce || len(next) > 0 && next[0].Size == now {
				if err := extend(); err != nil {
					return err
				}
			}
		}
		if err := extend(); err != nil {
			return err
		}
	}
	root, err := tilelog.EdgeRoot(size, edge)
	if err != nil {
		return bad("records: %w", err)
	}
	if root != m.root.Root {
		return bad("records: they are not those of the log that is signed")
	}
	return storage(m.records.w.Flush())
}

// follows checks a record, and keeps it.
func (m *importer) follows(serial int64, leaf []byte) error {
	if leaf == nil {
		if m.done.Scope == scopeAll {
			return bad("record %d: it is not there, though the bundle is about everything", serial)
		}
		return nil
	}
	r, err := record.Decode(leaf)
	if err != nil {
		return bad("%w", err)
	}
	if r.Serial != serial {
		return bad("record %d: it has the serial %d", serial, r.Serial)
	}
	if r.Project == "" {
		return nil
	}
	if err := checkRecord(&r); err != nil {
		return bad("record %d: %w", serial, err)
	}
	at, err := m.records.add(leaf)
	if err != nil {
		return storage(err)
	}
	of := m.about(r.Project)
	of.at, of.last = append(of.at, at), serial
	return nil
}

// checkRecord refuses what no honest record says.
func checkRecord(r *catalog.Record) error {
	if s := r.Standing; s != nil {
		switch s.Status.State {
		case catalog.Active, catalog.Archived, catalog.Deprecated, catalog.Quarantined:
		default:
			return fmt.Errorf("status %q", s.Status.State)
		}
	}
	f := r.File
	if f == nil {
		return nil
	}
	switch {
	case f.SHA256.IsZero() && !f.Announced, f.BLAKE2b.IsZero() && !f.Announced:
		return fmt.Errorf("%s: it has no digest", f.Filename)
	case f.SHA256 != r.SHA256:
		return fmt.Errorf("%s: two digests, %s and %s", f.Filename, r.SHA256, f.SHA256)
	case len(f.Source) > maxSource || strings.ContainsFunc(f.Source, func(c rune) bool { return c > unicode.MaxASCII || !unicode.IsPrint(c) }):
		return fmt.Errorf("%s: source %.100q", f.Filename, f.Source)
	}
	return nil
}

// maxSource is how long the name of a source may be that another site has.
const maxSource = 255

// ofOrigin gives a file of another site as one of this: where it came from there is
// where it comes from here, and whether it is yanked there is what its source says.
func ofOrigin(origin string, f catalog.File) catalog.File {
	f.Source = origin + ":" + f.Source[strings.LastIndexByte(f.Source, ':')+1:]
	f.SourceYank, f.URL = f.Yanked, ""
	return f
}

// checkListing holds what the projects come to by the records against what the other
// site lists. After a gap, it is the listing that says what there is.
func (m *importer) checkListing(ctx context.Context) error {
	d := m.done
	if d.To == d.From {
		return nil
	}
	r, err := m.bundle.Open(listingMember)
	if err != nil {
		return unreadableMember(err)
	}
	defer r.Close()
	var at *listed
	seen := map[packaging.Name]bool{}
	for line, err := range transit.ReadListing(untilDoneReader{ctx, r}) {
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return bad("%w", err)
		}
		if line.Filename == "" {
			if err := m.checkListed(ctx, at); err != nil {
				return err
			}
			at = &listed{line, map[string]transit.File{}}
			seen[line.Project] = true
			continue
		}
		if _, twice := at.files[line.Filename]; twice {
			return bad("listing: %s is there twice", line.Filename)
		}
		at.files[line.Filename] = line.File
	}
	if err := m.checkListed(ctx, at); err != nil {
		return err
	}
	// What it does not list at all has no file any more.
	names := map[packaging.Name]bool{}
	for n := range m.said {
		names[n] = true
	}
	if m.partial && d.Scope == scopeAll {
		all, err := m.catalog.OriginNames(ctx, d.Origin)
		if err != nil {
			return storage(err)
		}
		for _, n := range all {
			names[n] = true
		}
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		if !seen[n] {
			if err := m.checkListed(ctx, &listed{transit.Line{Project: n}, nil}); err != nil {
				return err
			}
		}
	}
	return m.checkLost()
}

// checkLost refuses a bundle that leaves out what happened before it to a project which
// the stream was not about.
func (m *importer) checkLost() error {
	d := m.done
	if len(m.lost) == 0 {
		return nil
	}
	m.news = true
	d.Ack = m.ack(m.stream()) // from which everything comes
	if m.Force {
		return nil
	}
	return &fault{ErrSettings, fmt.Errorf("what happened up to serial %d of %s to %s is missing: the stream %q was not about it before, and this bundle begins with %d; nothing of it was taken in",
		d.From, d.Origin, nameList(m.lost), d.Tag, d.From+1),
		`have that site export once with --all, or take an acknowledgement back: "nestgen import --ack FILE" here, "nestgen export --ack FILE" there; --force takes this one in without, and says what is missing then`}
}

// nameList names a few, and says how many more there are.
func nameList(names []packaging.Name) string {
	const few = 5
	var text []string
	for _, n := range names[:min(len(names), few)] {
		text = append(text, string(n))
	}
	list := strings.Join(text, ", ")
	if more := len(names) - few; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// A listed is what a listing says of a project.
type listed struct {
	transit.Line
	files map[string]transit.File
}

// checkListed holds a project against what the listing says of it.
func (m *importer) checkListed(ctx context.Context, l *listed) error {
	if l == nil {
		return nil
	}
	if m.said[l.Project] == nil && !m.partial && m.done.Scope == scopeAll {
		return nil // the bundle says nothing new of it
	}
	silent := m.said[l.Project] == nil
	w, err := m.following(ctx, l.Project)
	if err != nil {
		return err
	}
	if w.old() {
		return nil
	}
	if silent && w.base.Serial > m.done.To { // another stream has told more already
		delete(m.said, l.Project)
		return nil
	}
	if m.done.Scope == scopeProjects && l.Before > w.base.Serial && !w.gap {
		w.gap = true
		m.lost = append(m.lost, l.Project)
	}
	if silent && !w.gap {
		delete(m.said, l.Project)
		return nil
	}
	have := map[string]catalog.File{}
	for _, f := range w.state().Files {
		if !f.Announced {
			have[f.Filename] = f
		}
	}
	for name, f := range l.files {
		is, ok := have[name]
		delete(have, name)
		switch {
		case ok && is.SHA256 == f.SHA256 && is.Size == f.Size:
		case ok:
			return bad("listing: %s has other digests there than in the records", name)
		case !w.gap:
			return bad("listing: it has %s, of which the records say nothing", name)
		default:
			m.done.Missing = append(m.done.Missing, name)
		}
	}
	for name := range have {
		if !w.gap {
			return bad("listing: it does not have %s, which the records list", name)
		}
		w.gone = append(w.gone, name)
	}
	if w.gap && l.Before > w.base.Serial {
		m.done.Unsure = append(m.done.Unsure, string(l.Project))
	}
	return nil
}
