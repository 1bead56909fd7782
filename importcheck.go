package nestgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
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

// A follow is what another site says of a project, from record to record.
type follow struct {
	base catalog.Imported // what it has said before
	past *catalog.Past
	last int64 // the serial of the last record of the bundle; 0 for none

	came map[string]bool // files whose bytes came by one of the records
	out  map[string]bool // files that are not taken, which was told
}

// state gives the project as the other site has it.
func (w *follow) state() *catalog.Project {
	if w.last < w.base.Serial {
		return w.base.Project // the bundle is older, or says nothing of it
	}
	p := w.past.Project()
	p.Serial, p.Owner = w.last, w.base.Origin
	return p
}

// following gives what is known of a project of the other site.
func (m *importer) following(ctx context.Context, n packaging.Name) (*follow, error) {
	if w := m.projects[n]; w != nil {
		return w, nil
	}
	base, err := m.catalog.Imported(ctx, m.done.Origin, n)
	if err != nil {
		return nil, storage(err)
	}
	w := &follow{base: base, past: catalog.ResumePast(base.Project), came: map[string]bool{}, out: map[string]bool{}}
	m.projects[n] = w
	return w, nil
}

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
	size := d.From
	var leaves []tilelog.Hash
	next := m.roots // what is remembered from here on
	for len(next) > 0 && next[0].Size < size {
		next = next[1:]
	}
	var err error
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
			if err := m.follows(ctx, serial, leaf); err != nil {
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
	return nil
}

// follows reads a record, and does with its project what it says.
func (m *importer) follows(ctx context.Context, serial int64, leaf []byte) error {
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
	w, err := m.following(ctx, r.Project)
	if err != nil {
		return err
	}
	w.last = serial
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
	for n := range m.projects {
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
	return nil
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
	w := m.projects[l.Project]
	if w == nil && !m.partial {
		return nil // the bundle says nothing new of it
	}
	if w == nil {
		var err error
		if w, err = m.following(ctx, l.Project); err != nil {
			return err
		}
		w.last = max(w.last, w.base.Serial)
	}
	if w.last < w.base.Serial {
		return nil // the bundle is older
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
		case !m.partial:
			return bad("listing: it has %s, of which the records say nothing", name)
		default:
			m.done.Missing = append(m.done.Missing, name)
		}
	}
	for name := range have {
		if !m.partial {
			return bad("listing: it does not have %s, which the records list", name)
		}
		w.past.Forget(name)
	}
	if m.partial && l.Before > w.base.Serial {
		m.done.Unsure = append(m.done.Unsure, string(l.Project))
	}
	return nil
}
