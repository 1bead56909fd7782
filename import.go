package nestgen

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
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
// taken in before, what the records say, and each file as any that wants to enter the
// index. Then the files go into the store, where nothing refers to them yet, then one
// change of the catalog lists them all, and pages are made as by a build. A run that
// dies is run again.

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
	m := &importer{site: s, ImportOptions: i, projects: map[packaging.Name]*follow{}}
	err = m.run(ctx, files)
	if err != nil {
		s.reportFault(err)
	}
	var report *Report
	if m.done != nil {
		report = m.done.Report
	}
	tell := s.hook(report)
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

	rotations [][]byte // by which the key came to be trusted; none if it was before

	edgeRoot catalog.OriginRoot // what the log is where the bundle begins
	root     catalog.OriginRoot // and at its end
	roots    []catalog.OriginRoot
	streams  []catalog.Stream
	partial  bool // something is missing between what is here and the bundle

	projects map[packaging.Name]*follow
	changes  []*reconciled
	take     []*taken
	news     bool // the stream goes on
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
	if err := m.decide(ctx); err != nil {
		return err
	}
	if err := m.checkFiles(ctx); err != nil {
		return err
	}
	if err := m.checkBeside(); err != nil {
		return err
	}
	if err := m.brakeImport(ctx); err != nil {
		return err
	}
	m.tell()
	if !m.opts.DryRun {
		if err := m.apply(ctx); err != nil {
			return err
		}
	}
	var err error
	m.done.Report, err = m.reportRun(ctx)
	return err
}

// openBundle opens the bundle, finds out whether its key is trusted, and reads
// every byte of it.
func (m *importer) openBundle(ctx context.Context, files []string) error {
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
	same, ofName := false, false
	for _, k := range known {
		same = same || k.Verifier == h.Key
		ofName = ofName || k.Name == h.Origin
	}
	if !ofName {
		return m.unknownKey(files[0], h, "")
	}
	// Until it is known that the key is one to trust, it says no more than that the
	// bundle is whole.
	v, err := note.NewVerifier(h.Key)
	if err != nil {
		return bad("%s: %w", files[0], err)
	}
	if m.bundle, err = bundle.Open(note.VerifierList(v), files...); err != nil {
		return refusedBundle(err)
	}
	o := bundle.VerifyOptions{}
	if m.tree != nil {
		path, err := m.tree.TempPath()
		if err != nil {
			return storage(err)
		}
		o.Temp = filepath.Dir(path)
	}
	m.progress.Stage("verifying", m.bundle.Size())
	var before int64
	o.Progress = func(now, _ int64) { m.progress.Step(now-before, now-before); before = now }
	if err := m.bundle.Verify(ctx, o); err != nil {
		return refusedBundle(err)
	}
	m.key = h.Key
	if !same {
		if err := m.follow(files[0], h, known); err != nil {
			return err
		}
	}
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

// follow comes to trust the key of the bundle if a key that is trusted leads to it.
func (m *importer) follow(file string, h bundle.Header, known []trust.Key) error {
	replaced := "; it is not the one that is trusted under this name"
	text, err := m.member(keysMember, trust.MaxRotation*trust.MaxRotations)
	if errors.Is(err, fs.ErrNotExist) {
		return m.unknownKey(file, h, replaced)
	}
	if err != nil {
		return err
	}
	if m.rotations, err = trust.SplitRotations(text); err != nil {
		return bad("%s: %s: %w", file, keysMember, err)
	}
	var texts []string
	for _, k := range known {
		texts = append(texts, k.Verifier)
	}
	current, _, err := trust.Follow(texts, m.rotations)
	if err != nil {
		return bad("%s: %s: %w", file, keysMember, err)
	}
	if !slices.Contains(current, h.Key) {
		return m.unknownKey(file, h, replaced)
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

// decide finds out what changes here, project by project.
func (m *importer) decide(ctx context.Context) error {
	dropped := func() func() (map[packaging.Name]bool, error) {
		var names map[packaging.Name]bool
		var err error
		return func() (map[packaging.Name]bool, error) {
			if names == nil && err == nil {
				names, err = m.droppedNames(ctx)
			}
			return names, err
		}
	}()
	why := "its source " + m.done.Origin + " no longer lists it"
	for _, n := range slices.Sorted(maps.Keys(m.projects)) {
		w := m.projects[n]
		of := catalog.Imported{Origin: m.done.Origin, Project: w.state()}
		not, err := m.whose(ctx, n, dropped)
		if err != nil {
			return err
		}
		if not != "" {
			m.changes = append(m.changes, &reconciled{Imported: of})
			if len(of.Files) > 0 || len(of.Links) > 0 {
				m.report.problem(plan.Incomplete, string(n), `to let the other site have it, change that here; then take in a bundle with everything ("nestgen export --all")`,
					"not taken from %s: %s", m.done.Origin, not)
			}
			continue
		}
		if err := m.checkNames(ctx, of.Project, w); err != nil {
			return err
		}
		r, err := m.reconcile(ctx, of, why, func(f *catalog.File) (bool, error) { return m.has(w, f) })
		if err != nil {
			return err
		}
		m.changes = append(m.changes, r)
		if err := m.recover(w, r); err != nil {
			return err
		}
	}
	return nil
}

// recover takes the bytes of files that are listed, and whose bytes were lost.
func (m *importer) recover(w *follow, r *reconciled) error {
	if r.current == nil {
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
func (m *importer) checkNames(ctx context.Context, p *catalog.Project, w *follow) error {
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
			m.keepOut(w, f, plan.Alarm, "sha256 %s, but %s was first seen here with sha256 %s", f.SHA256, f.Filename, seen)
		}
	}
	return nil
}

// keepOut has a file of the bundle not be listed, and says why.
func (m *importer) keepOut(w *follow, f *catalog.File, level plan.Level, format string, args ...any) {
	w.out[f.Filename] = true
	m.report.problem(level, f.Filename, "the other files of the bundle do not depend on it", "not taken from "+m.done.Origin+": "+format, args...)
}

// A taken is a file of the bundle on its way into the store.
type taken struct {
	of   *follow
	file catalog.File
	name string // of the member
}

// has says of a file whether its bytes are here, or in the bundle.
func (m *importer) has(w *follow, f *catalog.File) (bool, error) {
	if w.out[f.Filename] {
		return false, nil
	}
	here, err := m.hasStored(f)
	if here || err != nil {
		return here, err
	}
	name := memberName(f.Path, f.SHA256)
	is, err := m.bundle.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if w.came[f.Filename] && !m.partial {
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
		m.keepOut(w, f, plan.Incomplete, "it has %d bytes, and max_file is %d", f.Size, int64(m.MaxFile))
		return false, nil
	}
	m.take = append(m.take, &taken{w, *f, name})
	return true, nil
}

// checkFiles passes the files that are to come through the gate.
func (m *importer) checkFiles(ctx context.Context) error {
	m.progress.Stage("inspecting", int64(len(m.take)))
	faults := make([]error, len(m.take))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(m.jobs())
	for i, t := range m.take {
		g.Go(func() error {
			err := m.inspectTaken(gctx, t)
			m.progress.Step(1, t.file.Size)
			if refused, ok := errors.AsType[*gateError](err); ok {
				faults[i], err = refused, nil
			}
			return err
		})
	}
	if err := firstCause(g.Wait(), ctx.Err()); err != nil {
		return err
	}
	out := map[*follow]bool{}
	for i, err := range faults {
		if err != nil {
			t := m.take[i]
			out[t.of] = true
			m.keepOut(t.of, &t.file, plan.Incomplete, "rejected: %v", err)
		}
	}
	if len(out) == 0 {
		return nil
	}
	// Once more, without those.
	m.take, m.changes = nil, nil
	return m.decideAgain(ctx)
}

// decideAgain decides without the files that were kept out. What was told stays told.
func (m *importer) decideAgain(ctx context.Context) error {
	told := m.report.Problems
	m.report.Problems = nil
	err := m.decide(ctx)
	m.report.Problems = told
	return err
}

// A gateError says why a file of a bundle may not be listed.
type gateError struct{ error }

func (e *gateError) Unwrap() error { return e.error }

func rejected(format string, args ...any) error { return &gateError{fmt.Errorf(format, args...)} }

// inspectTaken holds a file of the bundle against what its record says, and passes it
// through the gate.
func (m *importer) inspectTaken(ctx context.Context, t *taken) error {
	r, err := m.bundle.Open(t.name)
	if err != nil {
		return storage(err)
	}
	defer r.Close()
	f := &t.file
	facts, err := intake.Inspect(untilDone{ctx, r}, f.Size, f.Filename, f.Project, strictness(f))
	if reason := rejection(err); reason != nil {
		return &gateError{reason}
	}
	if err != nil {
		return refusedBundle(err)
	}
	if !f.Metadata.IsZero() && sha256.Sum256(facts.Metadata) != f.Metadata {
		return &gateError{errOtherMetadata}
	}
	for _, c := range companionsOf(f) {
		is, err := m.bundle.Stat(memberName(c.path, c.sum))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return bad("the bundle has %s, and not %s", f.Filename, c.path)
		case err != nil:
			return err
		case is.Size > maxCompanion && c.path != layout.CoreMetadata(f.Path):
			return rejected("%d bytes are beside it, more than %d", is.Size, maxCompanion)
		case !c.sum.IsZero() && catalog.Digest(is.SHA256) != c.sum:
			return bad("%s: its sha256 is %x in the bundle, and %s in its records", c.path, is.SHA256, c.sum)
		}
	}
	if !m.opts.DryRun {
		return nil // it is read once more
	}
	sums, err := intake.Digest(untilDoneReader{ctx, r})
	if err != nil {
		return refusedBundle(err)
	}
	return sameSums(f, sums)
}

// checkBeside makes sure that what stands beside the files which are here already is
// here, too, or comes.
func (m *importer) checkBeside() error {
	come := map[string]bool{}
	for _, t := range m.take {
		come[t.file.Path] = true
	}
	for _, r := range m.changes {
		for i := range r.put {
			f := &r.put[i]
			if come[f.Path] {
				continue
			}
			for _, c := range companionsOf(f) {
				is, err := m.bundle.Stat(memberName(c.path, c.sum))
				if err == nil && (c.sum.IsZero() || catalog.Digest(is.SHA256) == c.sum) {
					continue
				}
				here, err := m.hasCompanion(c)
				if err != nil {
					return err
				}
				if here {
					continue
				}
				if !m.partial {
					return bad("the bundle says that %s came, and does not have it", c.path)
				}
				m.report.problem(plan.Incomplete, f.Filename, "take the acknowledgement back; the next export has it", "%s is not in any bundle that was taken in", c.path)
				withoutCompanion(f, c.path)
			}
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
func (m *importer) brakeImport(ctx context.Context) error {
	if m.opts.AllowRemovals {
		return nil
	}
	vanish := 0
	for _, r := range m.changes {
		if r.vanishes() {
			vanish++
		}
	}
	if vanish == 0 {
		return nil
	}
	n, err := m.catalog.Counts(ctx)
	if err != nil {
		return storage(err)
	}
	if !tooMany(vanish, int(n.Projects)) {
		return nil
	}
	return &fault{ErrAlarm, fmt.Errorf("%d of %d projects would leave the index; nothing was taken in", vanish, n.Projects),
		`if this is meant, run "nestgen import --allow-removals" once with the same files`}
}

// tell says what comes, and what does not.
func (m *importer) tell() {
	d := m.done
	changes := 0
	for _, r := range m.changes {
		if r.changes() {
			changes++
		}
		m.reportImported(r, "from "+d.Origin)
		w := m.projects[r.Name]
		for _, f := range r.blocked {
			if !r.listsAlready(f) {
				m.report.problem(plan.Warning, f.Filename, "", "not taken from %s: the policy or an advisory blocks it", d.Origin)
			}
		}
		for i := range r.untrue {
			u := &r.untrue[i]
			m.keepOut(w, &u.File, plan.Incomplete, "rejected: %v", u.why)
		}
		for _, f := range r.lacking {
			if w.out[f.Filename] {
				continue // that was told
			}
			if m.partial {
				d.Missing = append(d.Missing, f.Filename)
				continue
			}
			m.report.problem(plan.Incomplete, f.Filename, `take in a bundle that has it ("nestgen export --all")`,
				"%s lists it, and its bytes are neither here nor in this bundle", d.Origin)
		}
	}
	slices.Sort(d.Missing)
	d.Missing = slices.Compact(d.Missing)
	for _, name := range d.Missing {
		m.report.problem(plan.Incomplete, name, "take the acknowledgement back; the next export has it", "%s lists it, and it was not in any bundle that was taken in", d.Origin)
	}
	for _, name := range d.Unsure {
		m.report.problem(plan.Incomplete, name, "take the acknowledgement back; the next export has it", "what became of it in the serials that are missing is not known here")
	}
	d.Nothing = !m.news && changes == 0 && len(m.take) == 0 && len(m.report.Problems) == 0
}

// listsAlready reports whether the index here lists a file.
func (r *reconciled) listsAlready(f catalog.File) bool {
	_, is := listedAs(r.current, f.Filename)
	return is
}

// apply takes everything in that was checked.
func (m *importer) apply(ctx context.Context) error {
	if len(m.rotations) > 0 {
		if _, err := m.Keys().Follow(m.rotations); err != nil {
			return storage(err)
		}
	}
	if err := m.copy(ctx); err != nil {
		return err
	}
	if err := m.note(ctx); err != nil {
		return err
	}
	m.done.Ack = m.ack(m.stream())
	if err := m.updateViews(ctx); err != nil {
		return err
	}
	return m.publish(ctx)
}

// copy brings the files into the store, batch by batch, and what has come to stand
// beside those that are there.
func (m *importer) copy(ctx context.Context) error {
	var all int64
	come := map[string]bool{}
	for _, t := range m.take {
		all += t.file.Size
		come[t.file.Path] = true
	}
	if err := m.mustHaveRoom(m.State, all); err != nil {
		return &fault{ErrStorage, err, "make room, and run it again; nothing was taken in"}
	}
	m.progress.Stage("copying", int64(len(m.take)))
	var batch []publish.Exposure
	var bytes int64
	began := time.Now()
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		slices.SortFunc(batch, func(a, b publish.Exposure) int { return strings.Compare(a.Target, b.Target) })
		altered, err := m.tree.Expose(ctx, batch)
		if err != nil {
			return storage(err)
		}
		if len(altered) > 0 {
			return &fault{ErrAlarm, fmt.Errorf("%w; nothing was taken in", altered[0]), `run "nestgen verify"`}
		}
		batch, bytes, began = nil, 0, time.Now()
		return nil
	}
	for _, t := range m.take {
		x := publish.Exposure{Target: t.file.Path}
		var err error
		if x.Temp, err = m.copyFile(ctx, t); err != nil {
			return err
		}
		if x.Companions, err = m.companions(&t.file); err != nil {
			return err
		}
		batch = append(batch, x)
		m.progress.Step(1, t.file.Size)
		if bytes += t.file.Size; len(batch) >= partFiles || bytes >= partBytes || time.Since(began) >= partTime {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	for _, r := range m.changes {
		for _, f := range r.put {
			if come[f.Path] {
				continue
			}
			c, err := m.companions(&f)
			if err != nil {
				return err
			}
			if len(c) > 0 {
				batch = append(batch, publish.Exposure{Target: f.Path, Companions: c})
			}
			if len(batch) >= partFiles {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}

// copyFile copies a file of the bundle into the stage. The copy is what is held
// against the record.
func (m *importer) copyFile(ctx context.Context, t *taken) (temp string, err error) {
	r, err := m.bundle.Open(t.name)
	if err != nil {
		return "", storage(err)
	}
	defer r.Close()
	tmp, err := m.tree.NewFile()
	if err != nil {
		return "", storage(err)
	}
	defer tmp.Close()
	sums, err := intake.Copy(tmp, untilDoneReader{ctx, r}, int64(m.MaxFile))
	if err != nil {
		if isStorage(err) {
			return "", storage(err)
		}
		return "", refusedBundle(err)
	}
	return tmp.Name(), sameSums(&t.file, sums)
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

// note notes all of it in the catalog at once.
func (m *importer) note(ctx context.Context) error {
	d := m.done
	if d.Nothing {
		return nil
	}
	why := fmt.Sprintf("imported from %s", d.Origin)
	return storage(m.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for _, r := range m.changes {
			if r.is != nil {
				if err := m.recordImported(tx, r, why); err != nil {
					return err
				}
			}
			if err := tx.SetImported(r.Imported); err != nil {
				return err
			}
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
		_, err := tx.Note(catalog.Import, d.Origin, fmt.Sprintf("%s: serials %d to %d, bundle %s", d.Tag, d.From+1, d.To, d.ID))
		return err
	}))
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
