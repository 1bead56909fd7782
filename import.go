package nestgen

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"

	"nestgen/bundle"
	"nestgen/catalog"
	"nestgen/drop"
	"nestgen/intake"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/publish"
	"nestgen/transit"
	"nestgen/trust"
)

// A bundle is taken in whole or not at all. First everything is checked, and nothing
// is changed: who signed it, every byte, that the log goes on from the one that was
// taken in before, and what the records say. Then the files are copied, the copy of each
// passes the gate as any that wants to enter the index, and it goes into the store, where
// nothing refers to it yet. Then one change of the catalog lists them all, and pages are
// made as by a build. A run that dies is run again.
//
// What the bundle comes to is decided project by project, and anew at each of these
// steps, so that nothing has to be remembered of all projects at once but where their
// records are.

// ImportOptions say how a bundle is taken in.
type ImportOptions struct {
	// Force takes in a bundle that does not begin where the last one ended.
	Force bool

	// Progress shows how far it is. It may be nil.
	Progress Progress
}

// An Imported says what came of a bundle.
type Imported struct {
	Origin string `json:"origin"`
	Tag    string `json:"tag"`
	ID     string `json:"id"`
	Scope  string `json:"scope"`
	From   int64  `json:"from"` // it has what happened after that serial
	To     int64  `json:"to"`   // up to this

	// Nothing says that all of it was here already.
	Nothing bool `json:"nothing,omitempty"`

	// Missing names what the other site lists and this one lacks after a gap, and
	// Unsure the projects of which something happened that is not known here.
	Missing []string `json:"missing,omitempty"`
	Unsure  []string `json:"unsure,omitempty"`

	// Ack is the acknowledgement for the other site, of all that it sent.
	Ack []byte `json:"-"`

	// Report is what the run did to the index.
	Report *Report `json:"report,omitempty"`
}

// Import takes a bundle in, from the files of its parts. The result is nil for a
// bundle that nobody vouches for; of one that was refused for a gap it has the
// acknowledgement that says what is here.
func Import(ctx context.Context, c Config, o Options, i ImportOptions, files ...string) (*Imported, error) {
	if err := checkState(c, o); err != nil {
		return nil, err
	}
	s, err := open(c, o)
	if err != nil {
		return nil, err
	}
	m := &importer{site: s, ImportOptions: i, said: map[packaging.Name]*said{}, out: map[string]bool{}, sure: map[[sha256.Size]byte]bool{}}
	err = m.run(ctx, files)
	if err != nil {
		s.reportFault(err)
	}
	var report *Report
	if m.done != nil {
		report = m.done.Report
	}
	tell := s.hook(report)
	if m.records != nil {
		err = errors.Join(err, storage(m.records.Close()))
	}
	if m.bundle != nil {
		err = errors.Join(err, storage(m.bundle.Close()))
	}
	if err = errors.Join(err, storage(s.close())); err == nil {
		tell(ctx)
	}
	return m.done, err
}

// An importer takes in one bundle.
type importer struct {
	*site
	ImportOptions
	done   *Imported
	bundle *bundle.Bundle
	key    string // that it is signed with
	temp   string // a folder for what nobody is to see; empty for that of the system

	rotations [][]byte // by which the key came to be trusted; none if it was before

	edgeRoot catalog.OriginRoot // what the log is where the bundle begins
	root     catalog.OriginRoot // and at its end
	roots    []catalog.OriginRoot
	streams  []catalog.Stream
	partial  bool // something is missing between what is here and the bundle

	records *spool // those of the bundle
	said    map[packaging.Name]*said
	lost    []packaging.Name // whose past the bundle leaves out
	news    bool             // the stream goes on

	// What was found out of files, by file or project name and digests: those that are
	// kept out, and those that the store has as their record says, with all beside
	// them. Once settled, nothing more comes from the bundle.
	out     map[string]bool
	sure    map[[sha256.Size]byte]bool
	told    bool // of what is against it
	settled bool
}

// bad is the error for a bundle that is not what an honest site exports.
func bad(format string, args ...any) error {
	return &fault{ErrAlarm, fmt.Errorf(format, args...), "nothing of it was taken in"}
}

func (m *importer) run(ctx context.Context, files []string) error {
	if err := m.openBundle(ctx, files); err != nil {
		return err
	}
	if err := m.site.begin(ctx); err != nil {
		return err
	}
	if held, err := heldBack(ctx, m.catalog); err != nil || held != nil {
		if err != nil {
			return err
		}
		return &fault{ErrSettings, fmt.Errorf("the site is held back at %s; nothing was taken in", held.State()), `"nestgen rollback --end" has it go on; then take the bundle in`}
	}
	if err := m.beginHook(ctx); err != nil {
		return err
	}
	if err := m.readIntent(ctx); err != nil {
		return err
	}
	m.report.Problems = nil // of the allowlist, which builds tell of
	if err := m.readImports(ctx); err != nil {
		return err
	}
	if err := m.checkOrigin(ctx); err != nil {
		return err
	}
	if err := m.checkLog(ctx); err != nil {
		return err
	}
	if err := m.checkListing(ctx); err != nil {
		return err
	}
	coming, err := m.check(ctx)
	if err != nil {
		return err
	}
	if err := m.take(ctx, coming); err != nil {
		return err
	}
	if err := m.apply(ctx); err != nil {
		return err
	}
	m.done.Report, err = m.reportRun(ctx)
	return err
}

// openBundle opens the bundle, finds out whether its key is trusted, and reads
// every byte of it.
func (m *importer) openBundle(ctx context.Context, files []string) error {
	if len(files) == 0 {
		return &fault{ErrSettings, errors.New("no file of a bundle was given"), ""}
	}
	h, err := bundle.ReadHeader(files[0])
	if err != nil {
		return refusedBundle(err)
	}
	own, err := m.Keys().Own()
	if err == nil && own.Verifier == h.Key {
		return bad("%s: this site itself has made it", files[0])
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	known, err := m.Keys().Trusted()
	if err != nil {
		return &fault{ErrSettings, err, ""}
	}
	if err := m.trusts(files[0], h, known); err != nil {
		return err
	}
	v, err := note.NewVerifier(h.Key)
	if err != nil {
		return bad("%s: %w", files[0], err)
	}
	if m.bundle, err = bundle.Open(note.VerifierList(v), files...); err != nil {
		return refusedBundle(err)
	}
	if m.tree != nil {
		path, err := m.tree.TempPath()
		if err != nil {
			return storage(err)
		}
		m.temp = filepath.Dir(path)
	}
	o := bundle.VerifyOptions{Temp: m.temp}
	m.progress.Stage("verifying", m.bundle.Size())
	var before int64
	o.Progress = func(now, _ int64) { m.progress.Step(now-before, now-before); before = now }
	if err := m.bundle.Verify(ctx, o); err != nil {
		return refusedBundle(err)
	}
	m.key = h.Key
	h = m.bundle.Header
	m.done = &Imported{Origin: h.Origin, Tag: h.Tag, ID: h.ID, Scope: h.Field(scopeField)}
	return nil
}

// refusedBundle makes an alarm of what is wrong with a bundle, unless it is a part
// that was not given, the medium, or the disk here.
func refusedBundle(err error) error {
	var damage *bundle.DamageError
	var missing *bundle.MissingPartsError
	var path *fs.PathError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &missing):
		return &fault{ErrSettings, err, "name all parts; nothing was taken in"}
	case errors.As(err, &damage):
		return bad("%w", err)
	case errors.Is(err, fs.ErrPermission):
		return &fault{ErrSettings, err, "nothing was taken in"}
	case isStorage(err):
		return &fault{ErrStorage, err, "nothing was taken in; if the disk is full, make room, and if the medium cannot be read, copy the bundle to another, then run it again"}
	case errors.As(err, &path):
		return &fault{ErrSettings, err, "nothing was taken in"}
	}
	return bad("%w", err)
}

// unknownKey is the error for a bundle of somebody whom nobody has said to trust.
func (m *importer) unknownKey(file string, h bundle.Header, more string) error {
	k, err := trust.ParseKey(h.Key)
	if err != nil {
		return bad("%s: %w", file, err)
	}
	return &fault{ErrAlarm, fmt.Errorf("%s: it is signed by a key that is not trusted here: %s, fingerprint %s%s; nothing of it was taken in", file, k.ID(), k.Fingerprint(), more),
		fmt.Sprintf("if %s confirms the fingerprint, run: nestgen key trust '%s'", h.Origin, h.Key)}
}

// trusts finds out from the header alone whether the key of a bundle is one to trust:
// it is, or one that is leads to it by rotations. Two keys of one name are not: by the
// name alone it is known here what has come from a site.
func (m *importer) trusts(file string, h bundle.Header, known []trust.Key) error {
	var before []string // the trusted keys of that name
	for _, k := range known {
		if k.Name == h.Origin {
			before = append(before, k.Verifier)
		}
	}
	if len(before) == 0 {
		return m.unknownKey(file, h, "")
	}
	now := before
	if len(h.Rotations) > 0 {
		rotations, err := trust.SplitRotations(h.Rotations)
		if err == nil {
			var followed []trust.Rotation
			if now, followed, err = trust.Follow(before, rotations); len(followed) > 0 {
				m.rotations = rotations
			}
		}
		if err != nil {
			return bad("%s: the rotations of its key: %w", file, err)
		}
	}
	if !slices.Contains(now, h.Key) {
		return m.unknownKey(file, h, "; it is not the one that is trusted under this name, and nothing says that it replaces that")
	}
	for _, other := range now {
		if other != h.Key {
			a, err := trust.ParseKey(h.Key)
			b, oerr := trust.ParseKey(other)
			if err := errors.Join(err, oerr); err != nil {
				return bad("%s: %w", file, err)
			}
			return &fault{ErrSettings, fmt.Errorf("%s: two keys are trusted under the name %s: %s, with which it is signed, and %s; nothing was taken in, because what comes from a site is told apart by its name", file, h.Origin, a.ID(), b.ID()),
				fmt.Sprintf("if one has taken the place of the other, run: nestgen key distrust '%s'; if they are of two sites, one needs another name: nestgen key new --name", b.ID())}
		}
	}
	return nil
}

// member reads a member that must not be larger than that.
func (m *importer) member(name string, most int64) ([]byte, error) {
	is, err := m.bundle.Stat(name)
	if err != nil {
		return nil, err
	}
	if is.Size > most {
		return nil, bad("%s: %d bytes are more than it can have", name, is.Size)
	}
	r, err := m.bundle.Open(name)
	if err != nil {
		return nil, storage(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, refusedBundle(err)
	}
	return data, nil
}

// checkOrigin refuses a site whose name means something else here.
func (m *importer) checkOrigin(ctx context.Context) error {
	name := m.done.Origin
	taken := []string{catalog.Local, catalog.Direct, "upstream", "policy"}
	for _, u := range m.Upstreams {
		taken = append(taken, u.Name)
	}
	if slices.Contains(taken, name) {
		return &fault{ErrSettings, fmt.Errorf("the other site is called %q, and so is a source of files here; nothing was taken in", name),
			`give one of them another name: an [[upstream]] in the settings, a site with "nestgen key new --name"`}
	}
	var err error
	if m.roots, err = m.catalog.OriginRoots(ctx, name); err != nil {
		return storage(err)
	}
	m.streams, err = m.catalog.Streams(ctx, name)
	return storage(err)
}

// whose says why a name is not the other site's here; empty if it is, or may be.
func (m *importer) whose(ctx context.Context, n packaging.Name, dropped func() (map[packaging.Name]bool, error)) (string, error) {
	owner := ""
	p, err := m.catalog.Project(ctx, n)
	if err == nil {
		owner = p.Owner
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", storage(err)
	}
	switch {
	case m.reserved(n):
		return "the name is reserved for this site's own", nil
	case m.intent.projects[n].Sources != "":
		return fmt.Sprintf("a [[project]] table says sources = %q", m.intent.projects[n].Sources), nil
	case owner == m.done.Origin:
		return "", nil
	case owner == catalog.Local:
		return "the name belongs to this site itself", nil
	case owner != "":
		return "the name belongs to " + owner, nil
	case len(m.intent.wants[n]) > 0:
		return "the allowlist asks for it: " + m.intent.wants[n][0].Position.String(), nil
	}
	here, err := dropped()
	if err == nil && here[n] {
		return "a drop folder has a file of this name", nil
	}
	return "", err
}

// droppedNames gives the projects that the drop folders may have files of, by the names
// of these.
func (m *importer) droppedNames(ctx context.Context) (map[packaging.Name]bool, error) {
	folders, err := m.dropFolders(ctx)
	if err != nil {
		return nil, err
	}
	names, err := drop.Names(ctx, folders)
	if err != nil {
		return nil, &fault{ErrSettings, fmt.Errorf("whose names the bundle has cannot be known: %w", err), "mount the folder, or take it out of the settings"}
	}
	return names, nil
}

// A coming is what the bundle would bring.
type coming struct {
	files   int
	bytes   int64
	changes bool // of what the index lists
	leaving
}

// A leaving is what would leave the index that nothing forbids.
type leaving struct{ projects, files int }

func (l *leaving) add(r *reconciled) {
	for _, w := range r.leave {
		if !w.Blocked {
			l.files++
		}
	}
	if r.vanishes() {
		l.projects++
	}
}

// check finds out what changes here, and tells what is against it.
func (m *importer) check(ctx context.Context) (c coming, err error) {
	names := sync.OnceValues(func() (map[packaging.Name]bool, error) { return m.droppedNames(ctx) })
	err = m.each(ctx, func(w *follow) error {
		p := w.state()
		var err error
		if w.not, err = m.whose(ctx, p.Name, names); err != nil {
			return err
		}
		if w.not != "" {
			if len(p.Files) > 0 || len(p.Links) > 0 {
				m.report.problem(plan.Incomplete, string(p.Name), `to let the other site have it, change that here; then take in a bundle with everything ("nestgen export --all")`,
					"not taken from %s: %s", m.done.Origin, w.not)
			}
			return nil
		}
		if err := m.checkNames(ctx, p); err != nil {
			return err
		}
		r, err := m.decide(ctx, w)
		if err != nil {
			return err
		}
		for _, t := range w.take {
			if err := m.checkTaken(t); err != nil {
				return err
			}
			c.files++
			c.bytes += t.file.Size
		}
		c.changes = c.changes || r.changes()
		c.leaving.add(r)
		m.tell(w, r)
		return nil
	})
	if err != nil {
		return c, err
	}
	if err := m.brakeImport(ctx, c.leaving); err != nil {
		return c, err
	}
	m.tellMissing()
	m.done.Nothing = !m.news && !c.changes && c.files == 0 && len(m.report.Problems) == 0
	return c, nil
}

// each goes through the projects that the bundle has something to say of.
func (m *importer) each(ctx context.Context, do func(*follow) error) error {
	for _, n := range slices.Sorted(maps.Keys(m.said)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		w, err := m.following(ctx, n)
		if err != nil {
			return err
		}
		if err := do(w); err != nil {
			return err
		}
	}
	return nil
}

// decide finds out what has to change of a project, and which files are to come for
// that.
func (m *importer) decide(ctx context.Context, w *follow) (*reconciled, error) {
	of := catalog.Imported{Origin: m.done.Origin, Project: w.state()}
	if w.not != "" {
		return &reconciled{Imported: of}, nil
	}
	r, err := m.reconcile(ctx, of, "its source "+m.done.Origin+" no longer lists it", m.isSure, func(f *catalog.File) (bool, error) { return m.has(w, f) })
	if err == nil {
		err = m.recover(w, r)
	}
	if err == nil {
		err = m.checkBeside(w, r)
	}
	return r, err
}

// sureOf names what a record says of the bytes of a file and of what is beside it.
func sureOf(f *catalog.File) [sha256.Size]byte {
	b := make([]byte, 0, 512)
	for _, text := range []string{string(f.Project), f.Path} {
		b = append(append(b, text...), 0)
	}
	for _, d := range []*catalog.Digest{&f.SHA256, &f.BLAKE2b, &f.Metadata, &f.SignatureSum, &f.ProvenanceSum} {
		b = append(b, d[:]...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(f.Size))
	for _, is := range []bool{f.Public(), f.Signed, f.Provenance} {
		b = strconv.AppendBool(b, is)
	}
	return sha256.Sum256(b)
}

func (m *importer) isSure(f *catalog.File) bool { return m.sure[sureOf(f)] }

// outName names a file that is kept out.
func outName(f *catalog.File) string { return string(f.Project) + "/" + f.Filename }

// recover takes the bytes of files that are listed, and whose bytes were lost.
func (m *importer) recover(w *follow, r *reconciled) error {
	if r.current == nil || m.settled {
		return nil
	}
	for i := range r.Files {
		f := &r.Files[i]
		old, listed := listedAs(r.current, f.Filename)
		if f.Announced || !listed || old.SHA256 != f.SHA256 || old.Path != f.Path || m.exists(f.Path) || m.isWithheld(f.Path) ||
			slices.ContainsFunc(r.blocked, func(b catalog.File) bool { return b.Filename == f.Filename }) {
			continue
		}
		if _, err := m.has(w, f); err != nil {
			return err
		}
	}
	return nil
}

// checkNames keeps out files whose names stand for other bytes here.
func (m *importer) checkNames(ctx context.Context, p *catalog.Project) error {
	names := make([]string, len(p.Files))
	for i := range p.Files {
		names[i] = p.Files[i].Filename
	}
	first, err := m.catalog.FirstDigests(ctx, names)
	if err != nil {
		return storage(err)
	}
	for i := range p.Files {
		f := &p.Files[i]
		if seen, is := first[f.Filename]; is && seen != f.SHA256 && !f.Announced {
			m.keepOut(f, plan.Alarm, "sha256 %s, but %s was first seen here with sha256 %s", f.SHA256, f.Filename, seen)
		}
	}
	return nil
}

// keepOut has a file of the bundle not be listed, and says why.
func (m *importer) keepOut(f *catalog.File, level plan.Level, format string, args ...any) {
	if m.out[outName(f)] {
		return
	}
	m.out[outName(f)] = true
	m.report.problem(level, f.Filename, "the other files of the bundle do not depend on it", "not taken from "+m.done.Origin+": "+format, args...)
}

// A taken is a file of the bundle on its way into the store.
type taken struct {
	file catalog.File
	name string // of the member
}

// has says of a file whether its bytes are here, or in the bundle.
func (m *importer) has(w *follow, f *catalog.File) (bool, error) {
	if m.out[outName(f)] {
		return false, nil
	}
	if m.isSure(f) {
		return true, nil
	}
	here, err := m.hasStored(f)
	if here || err != nil || m.settled {
		return here, err
	}
	name := memberName(f.Path, f.SHA256)
	is, err := m.bundle.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if w.came[f.Filename] && !w.gap {
			return false, bad("the bundle says that %s came, and does not have it", f.Filename)
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if is.Size != f.Size || catalog.Digest(is.SHA256) != f.SHA256 {
		return false, bad("%s: the bundle has %d bytes with sha256 %x, and its records speak of %d with %s", f.Filename, is.Size, is.SHA256, f.Size, f.SHA256)
	}
	if f.Size > int64(m.MaxFile) {
		m.keepOut(f, plan.Incomplete, "it has %d bytes, and max_file is %d", f.Size, int64(m.MaxFile))
		return false, nil
	}
	w.take = append(w.take, &taken{*f, name})
	return true, nil
}

// A gateError says why a file of a bundle may not be listed.
type gateError struct{ error }

func (e *gateError) Unwrap() error { return e.error }

// checkTaken makes sure that the bundle has what is to stand beside a file.
func (m *importer) checkTaken(t *taken) error {
	for _, c := range companionsOf(&t.file) {
		is, err := m.bundle.Stat(memberName(c.path, c.sum))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return bad("the bundle has %s, and not %s", t.file.Filename, c.path)
		case err != nil:
			return err
		case !c.sum.IsZero() && catalog.Digest(is.SHA256) != c.sum:
			return bad("%s: its sha256 is %x in the bundle, and %s in its records", c.path, is.SHA256, c.sum)
		}
	}
	return nil
}

// pass passes a file of the bundle through the gate: r has its bytes, which are not
// those on the medium unless nothing is taken in. The error is a [gateError] if the
// file stays out.
func (m *importer) pass(r io.ReaderAt, t *taken) error {
	f := &t.file
	facts, err := intake.Inspect(r, f.Size, f.Filename, f.Project, strictness(f))
	if reason := rejection(err); reason != nil {
		return &gateError{reason}
	}
	if err != nil {
		return err
	}
	if !f.Metadata.IsZero() && sha256.Sum256(facts.Metadata) != f.Metadata {
		return &gateError{errOtherMetadata}
	}
	for _, c := range companionsOf(f) {
		is, err := m.bundle.Stat(memberName(c.path, c.sum))
		if err == nil && is.Size > maxCompanion && c.path != layout.CoreMetadata(f.Path) {
			return &gateError{fmt.Errorf("%d bytes are beside it, more than %d", is.Size, maxCompanion)}
		}
	}
	return nil
}

// checkBeside makes sure that what stands beside the files which are here already is
// here, too, or comes.
func (m *importer) checkBeside(w *follow, r *reconciled) error {
	come := map[string]bool{}
	for _, t := range w.take {
		come[t.file.Path] = true
	}
	for i := range r.put {
		f := &r.put[i]
		if come[f.Path] || m.isSure(f) {
			continue
		}
		whole, comes, lacks := *f, false, false
		for _, c := range companionsOf(&whole) {
			is, err := m.bundle.Stat(memberName(c.path, c.sum))
			if !m.settled && err == nil && (c.sum.IsZero() || catalog.Digest(is.SHA256) == c.sum) {
				comes = true
				continue
			}
			here, err := m.hasCompanion(c)
			if err != nil {
				return err
			}
			if here {
				continue
			}
			if !w.gap {
				return bad("the bundle says that %s came, and does not have it", c.path)
			}
			lacks = true
			if !m.told {
				m.report.problem(plan.Incomplete, f.Filename, "take the acknowledgement back; the next export has it", "%s is not in any bundle that was taken in", c.path)
			}
			withoutCompanion(f, c.path)
		}
		if comes {
			w.beside = append(w.beside, whole)
		} else if !lacks {
			m.sure[sureOf(&whole)] = true
		}
	}
	return nil
}

// hasCompanion reports whether the store has a companion.
func (m *importer) hasCompanion(c companionOf) (bool, error) {
	file, err := m.openStored(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, storage(err)
	}
	defer file.Close()
	sums, err := intake.Digest(file)
	return err == nil && (c.sum.IsZero() || sums.SHA256 == c.sum), storage(err)
}

// withoutCompanion has nothing said of a companion.
func withoutCompanion(f *catalog.File, path string) {
	switch path {
	case layout.CoreMetadata(f.Path):
		f.Metadata = catalog.Digest{}
	case layout.Signature(f.Path):
		f.Signed, f.SignatureSum = false, catalog.Digest{}
	case layout.Provenance(f.Path):
		f.Provenance, f.ProvenanceSum = false, catalog.Digest{}
	}
}

// sameSums holds the digests of bytes against what a record says of them.
func sameSums(f *catalog.File, sums intake.Digests) error {
	if sums.SHA256 != f.SHA256 || sums.BLAKE2b != f.BLAKE2b || sums.Size != f.Size {
		return bad("%s: its digests are not those of its record", f.Filename)
	}
	return nil
}

// brakeImport stops a bundle by which more would leave the index than by accident can
// be meant.
func (m *importer) brakeImport(ctx context.Context, l leaving) error {
	if m.opts.AllowRemovals {
		return nil
	}
	much, err := m.tooMuch(ctx, l.projects, l.files)
	if err != nil {
		return storage(err)
	}
	if much == "" {
		return nil
	}
	return &fault{ErrAlarm, fmt.Errorf("%s would leave the index; nothing was taken in", much),
		`if this is meant, run "nestgen import --allow-removals" once with the same files`}
}

// tell says what does not come of a project.
func (m *importer) tell(w *follow, r *reconciled) {
	d := m.done
	for _, f := range r.blocked {
		if !r.listsAlready(f) {
			m.report.problem(plan.Warning, f.Filename, "", "not taken from %s: the policy or an advisory blocks it", d.Origin)
		}
	}
	for i := range r.untrue {
		u := &r.untrue[i]
		m.keepOut(&u.File, plan.Incomplete, "rejected: %v", u.why)
	}
	for i := range r.lacking {
		f := &r.lacking[i]
		if m.out[outName(f)] {
			continue // that was told
		}
		if w.gap {
			d.Missing = append(d.Missing, f.Filename)
			continue
		}
		m.report.problem(plan.Incomplete, f.Filename, `take in a bundle that has it ("nestgen export --all")`,
			"%s lists it, and its bytes are neither here nor in this bundle", d.Origin)
	}
}

// tellMissing says what is missing after a gap.
func (m *importer) tellMissing() {
	d := m.done
	slices.Sort(d.Missing)
	d.Missing = slices.Compact(d.Missing)
	for _, name := range d.Missing {
		m.report.problem(plan.Incomplete, name, "take the acknowledgement back; the next export has it", "%s lists it, and it was not in any bundle that was taken in", d.Origin)
	}
	for _, name := range d.Unsure {
		m.report.problem(plan.Incomplete, name, "take the acknowledgement back; the next export has it", "what became of it in the serials that are missing is not known here")
	}
	m.told = true
}

// listsAlready reports whether the index here lists a file.
func (r *reconciled) listsAlready(f catalog.File) bool {
	_, is := listedAs(r.current, f.Filename)
	return is
}

// apply lists everything that was taken.
func (m *importer) apply(ctx context.Context) error {
	m.settled = true
	if m.opts.DryRun {
		return m.settle(ctx, nil)
	}
	if len(m.rotations) > 0 {
		if _, err := m.Keys().Follow(m.rotations); err != nil {
			return storage(err)
		}
	}
	if !m.done.Nothing {
		if err := m.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return m.settle(ctx, tx) }); err != nil {
			return storage(err)
		}
	}
	m.done.Ack = m.ack(m.stream())
	if err := m.updateViews(ctx); err != nil {
		return err
	}
	return m.publish(ctx)
}

// A batch is some of the files of a bundle on their way into the store.
type batch struct {
	files  []*taken       // which are copied
	beside []catalog.File // which are there, and of which something beside them comes
	bytes  int64
	began  time.Time
}

func (b *batch) full() bool {
	return len(b.files)+len(b.beside) >= partFiles || b.bytes >= partBytes || time.Since(b.began) >= partTime
}

// take brings the files that are to come into the store, batch by batch, and what has
// come to stand beside those that are there. A dry run looks at them where they are.
func (m *importer) take(ctx context.Context, c coming) error {
	if m.done.Nothing {
		return nil
	}
	if !m.opts.DryRun {
		if err := m.mustHaveRoom(m.State, c.bytes); err != nil {
			return &fault{ErrStorage, err, "make room, and run it again; nothing was taken in"}
		}
	}
	m.progress.Stage("copying", int64(c.files))
	var b batch
	// What is beside a file is read with it, also if nothing else of it comes.
	added := func(f *catalog.File) error {
		if b.began.IsZero() {
			b.began = time.Now()
		}
		for _, c := range companionsOf(f) {
			if is, err := m.bundle.Stat(memberName(c.path, c.sum)); err == nil {
				b.bytes += is.Size
			}
		}
		if b.full() {
			return m.bring(ctx, &b)
		}
		return nil
	}
	err := m.each(ctx, func(w *follow) error {
		if _, err := m.decide(ctx, w); err != nil {
			return err
		}
		for _, t := range w.take {
			b.files = append(b.files, t)
			b.bytes += t.file.Size
			if err := added(&t.file); err != nil {
				return err
			}
		}
		for _, f := range w.beside {
			b.beside = append(b.beside, f)
			if err := added(&f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return m.bring(ctx, &b)
}

// bring brings a batch into the store, and empties it.
func (m *importer) bring(ctx context.Context, b *batch) error {
	exposures := make([]publish.Exposure, len(b.files), len(b.files)+len(b.beside))
	out := make([]error, len(b.files))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(m.jobs())
	for i, t := range b.files {
		g.Go(func() (err error) {
			exposures[i], err = m.copyFile(gctx, t)
			m.progress.Step(1, t.file.Size)
			if refused, ok := errors.AsType[*gateError](err); ok {
				out[i], err = refused, nil
			}
			return err
		})
	}
	if err := firstCause(g.Wait(), ctx.Err()); err != nil {
		return err
	}
	var all []publish.Exposure
	for i, t := range b.files {
		if out[i] != nil {
			m.keepOut(&t.file, plan.Incomplete, "rejected: %v", out[i])
		} else {
			all = append(all, exposures[i])
		}
	}
	for i := range b.beside {
		c, err := m.companions(&b.beside[i])
		if err != nil {
			return err
		}
		all = append(all, publish.Exposure{Target: b.beside[i].Path, Companions: c})
	}
	if len(all) > 0 && !m.opts.DryRun {
		slices.SortFunc(all, func(a, b publish.Exposure) int { return strings.Compare(a.Target, b.Target) })
		altered, err := m.tree.Expose(ctx, all)
		if err != nil {
			return storage(err)
		}
		if len(altered) > 0 {
			return &fault{ErrAlarm, fmt.Errorf("%w; nothing was taken in", altered[0]), `run "nestgen verify"`}
		}
	}
	for i, t := range b.files {
		if out[i] == nil {
			m.sure[sureOf(&t.file)] = true
		}
	}
	for i := range b.beside {
		m.sure[sureOf(&b.beside[i])] = true
	}
	*b = batch{}
	return nil
}

// passed gives an error of the gate as it is, and any other as one of where the bytes are.
func passed(err error, of func(error) error) error {
	if _, ok := errors.AsType[*gateError](err); ok {
		return err
	}
	return of(err)
}

// copyFile copies a file of the bundle into the stage. The copy is what is held against
// the record and passes the gate: whoever can write to the medium cannot reach it.
func (m *importer) copyFile(ctx context.Context, t *taken) (x publish.Exposure, err error) {
	r, err := m.bundle.Open(t.name)
	if err != nil {
		return x, refusedBundle(err)
	}
	defer r.Close()
	if m.opts.DryRun {
		if err := m.pass(untilDone{ctx, r}, t); err != nil {
			return x, passed(err, refusedBundle)
		}
		sums, err := intake.Digest(untilDoneReader{ctx, r})
		if err != nil {
			return x, refusedBundle(err)
		}
		return x, sameSums(&t.file, sums)
	}
	tmp, err := m.tree.NewFile()
	if err != nil {
		return x, storage(err)
	}
	x = publish.Exposure{Target: t.file.Path, Temp: tmp.Name()}
	defer func() {
		err = errors.Join(err, storage(tmp.Close()))
		if err != nil {
			os.Remove(x.Temp)
		}
	}()
	sums, err := intake.Copy(tmp, untilDoneReader{ctx, r}, int64(m.MaxFile))
	if err != nil {
		return x, refusedBundle(err)
	}
	if err := sameSums(&t.file, sums); err != nil {
		return x, err
	}
	if err := m.pass(untilDone{ctx, tmp}, t); err != nil {
		return x, passed(err, storage)
	}
	x.Companions, err = m.companions(&t.file)
	return x, err
}

// companions reads what the bundle has beside a file.
func (m *importer) companions(f *catalog.File) (all []publish.Companion, err error) {
	for _, c := range companionsOf(f) {
		name := memberName(c.path, c.sum)
		is, err := m.bundle.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is here, or the file does not need it
		}
		if err != nil {
			return nil, err
		}
		if !c.sum.IsZero() && catalog.Digest(is.SHA256) != c.sum {
			return nil, bad("%s: its sha256 is %x in the bundle, and %s in its records", c.path, is.SHA256, c.sum)
		}
		data, err := m.member(name, maxMetadata)
		if err != nil {
			return nil, err
		}
		all = append(all, publish.Companion{Path: c.path, Data: data})
	}
	return all, nil
}

// maxMetadata is how large a metadata file may be.
const maxMetadata = 16 << 20

// settle notes all of it in the catalog at once, and what was changed in the report.
// Without a transaction it does the latter alone.
func (m *importer) settle(ctx context.Context, tx *catalog.Tx) error {
	d := m.done
	var l leaving
	err := m.each(ctx, func(w *follow) error {
		r, err := m.decide(ctx, w)
		if err != nil {
			return err
		}
		l.add(r)
		m.reportImported(r, "from "+d.Origin)
		if tx == nil {
			return nil
		}
		if w.not == "" {
			if err := m.recordImported(tx, r, "imported from "+d.Origin); err != nil {
				return err
			}
		}
		return tx.SetImported(r.Imported)
	})
	if err == nil {
		err = m.brakeImport(ctx, l) // the gate may have kept out what was to come in its place
	}
	if err != nil || tx == nil {
		return err
	}
	for _, r := range []catalog.OriginRoot{m.edgeRoot, m.root} {
		if r.Size == 0 {
			continue
		}
		if err := tx.SetOriginRoot(d.Origin, r); err != nil {
			return err
		}
	}
	if err := tx.SetStream(m.stream()); err != nil {
		return err
	}
	if !m.news {
		return nil
	}
	_, err = tx.Note(catalog.Import, d.Origin, fmt.Sprintf("%s: serials %d to %d, bundle %s", d.Tag, d.From+1, d.To, d.ID))
	return err
}

// ack gives the acknowledgement of what is here of a stream. The root is known of
// every size that a bundle has ended with.
func (m *importer) ack(s catalog.Stream) []byte {
	a := transit.Ack{Origin: s.Origin, Tag: s.Tag, Serial: s.Whole}
	for _, r := range append(slices.Clone(m.roots), m.root) {
		if r.Size == s.Whole {
			a.Root = r.Root
		}
	}
	return a.Format()
}
