package nestgen

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"nestgen/bundle"
	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/record"
	"nestgen/tilelog"
	"nestgen/transit"
	"nestgen/trust"
)

// What happened since a serial leaves the site as a bundle, which another site takes
// in: the records of the log, a proof that they go on from what the other side has,
// and the files that came. The records say what becomes of the index there; nothing
// else in a bundle does.

// ExportOptions say what a bundle is to hold, and where it goes.
type ExportOptions struct {
	// Tag names the stream of bundles to one destination.
	Tag string

	// Since is the serial after which the bundle begins; nil for where the last one of
	// the stream ended.
	Since *int64

	// Until is the serial with which it ends, to export the index as it was then; nil
	// for the last one.
	Until *int64

	// Snapshot is the name of one, to export the index as that has it; empty for the
	// index as it is.
	Snapshot string

	// Projects are all that the bundle is about, with everything in the index that
	// they may need. If empty, it is about all.
	Projects []string

	// To is the file that is written, or a folder for one with the usual name; empty
	// for that name in the current folder.
	To string

	// Split is how large a file may be, in bytes; 0 for any size.
	Split int64

	// Zstd compresses.
	Zstd bool

	// Acknowledged is what [Acknowledge] has made of an acknowledgement, for a dry run
	// after one, which has kept nothing of it. It may be nil.
	Acknowledged *Acknowledged

	// Progress shows how far it is. It may be nil.
	Progress Progress
}

// An Exported is what a bundle holds.
type Exported struct {
	DryRun bool   `json:"dry_run,omitempty"`
	Origin string `json:"origin"`
	Key    string `json:"key"`

	// NewKey says that the site had no key before.
	NewKey bool `json:"new_key,omitempty"`

	Tag   string `json:"tag"`
	ID    string `json:"id,omitempty"`
	Scope string `json:"scope"`

	// The bundle has what happened after From, up to To.
	From int64 `json:"from"`
	To   int64 `json:"to"`

	Projects int   `json:"projects"` // that changed
	Files    int   `json:"files"`    // distributions
	Bytes    int64 `json:"bytes"`

	// Announced counts files that come on demand and are not here, so that they are
	// not in it.
	Announced int `json:"announced,omitempty"`

	Parts []ExportedPart `json:"parts"`
	Notes []string       `json:"notes,omitempty"` // for people
}

// An ExportedPart is a file of a bundle.
type ExportedPart struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"` // none in a dry run
}

// The members of a bundle besides files of the store. All of them but edge are there
// only if they have something to say.
const (
	checkpointMember = "checkpoint"  // what the log is at the end of the bundle, signed
	edgeMember       = "edge"        // of the log where the bundle begins
	proofsMember     = "proofs"      // that the log goes on from where earlier bundles ended
	recordsMember    = "records"     // of the log, from there on
	listingMember    = "listing"     // of what the index has at the end
	policyMember     = "policy.toml" // for people to read
)

// The names of the fields of its header, and what the scope may be.
const (
	fromField  = "from"
	toField    = "to"
	scopeField = "scope"
	rootField  = "root"

	scopeAll      = "all"
	scopeProjects = "projects"
)

// provenSizes is how many earlier bundles one proves that it goes on from.
const provenSizes = 64

// Export writes a bundle with what has happened since the last one of a stream. It
// needs no lock: what happens meanwhile is for the next one. The first one makes the
// key of the site. Nothing is noted unless the bundle is whole.
func Export(ctx context.Context, c Config, o Options, e ExportOptions) (*Exported, error) {
	s, err := c.openBeside(o)
	if err != nil {
		return nil, err
	}
	x := &exporter{site: s, ExportOptions: e, taken: map[string]bool{}, done: &Exported{DryRun: o.DryRun, Tag: e.Tag, Parts: []ExportedPart{}}}
	err = x.export(ctx)
	if err = errors.Join(storage(err), s.close()); err != nil {
		return nil, err
	}
	return x.done, nil
}

// openBeside opens a site that was built, for a run that needs no lock. A run that is
// not dry may write to the catalog.
func (c *Config) openBeside(o Options) (*site, error) {
	if err := c.built(); err != nil {
		return nil, err
	}
	s, err := open(*c, Options{DryRun: true, Progress: o.Progress, Log: o.Log})
	if err != nil {
		return nil, err
	}
	err = s.mustHaveBuilt()
	if err == nil && !o.DryRun {
		if err = storage(s.catalog.Close()); err == nil {
			s.catalog, err = catalog.Open(c.catalogFile())
		}
	}
	if err != nil {
		return nil, errors.Join(storage(err), s.close())
	}
	s.opts.DryRun = o.DryRun
	return s, nil
}

// An exporter makes a bundle.
type exporter struct {
	*site
	ExportOptions
	done *Exported

	last    catalog.Export // of the stream, when it began
	own     *trust.Own     // nil in a dry run of a site that has no key
	names   map[packaging.Name]bool
	wanted  map[string]bool // files whose bytes came since, by name; nil for all
	beside  map[string]bool // those of which something beside them may have come
	closed  []string        // files that are listed, and that nobody is to have any more
	members []bundle.Member
	taken   map[string]bool // names of members that are files of the store
	listing bytes.Buffer
}

func (x *exporter) export(ctx context.Context) error {
	if err := checkTag(x.Tag); err != nil {
		return err
	}
	if x.Split != 0 && x.Split < bundle.MinSplit {
		return &fault{ErrSettings, fmt.Errorf("--split %d: a part has at least %d bytes", x.Split, bundle.MinSplit), ""}
	}
	if err := x.begin(ctx); err != nil {
		return err
	}
	d := x.done
	if err := x.touched(ctx); err != nil {
		return err
	}
	if err := x.state(ctx); err != nil {
		return err
	}
	root, err := x.proofs(ctx)
	if err != nil {
		return err
	}
	if err := x.records(ctx); err != nil {
		return err
	}
	if err := x.policy(); err != nil {
		return err
	}
	statements, err := x.rotations()
	if err != nil {
		return err
	}
	o := bundle.Options{Members: x.members, Split: x.Split, Zstd: x.Zstd, Replace: x.isUsualName()}
	o.Header = bundle.Header{Origin: d.Origin, Key: d.Key, Tag: x.Tag, Rotations: trust.JoinRotations(statements), Fields: []bundle.Field{
		{Key: fromField, Value: strconv.FormatInt(d.From, 10)}, {Key: toField, Value: strconv.FormatInt(d.To, 10)},
		{Key: scopeField, Value: d.Scope}, {Key: rootField, Value: root.String()},
	}}
	path, err := x.path()
	if err != nil {
		return err
	}
	if x.opts.DryRun {
		if x.own == nil {
			d.Parts = append(d.Parts, ExportedPart{Path: path, Size: -1})
			return nil
		}
		planned, err := bundle.Plan(path, o)
		d.parts(planned)
		return err
	}
	o.Signer = x.own.Signer
	x.progress.Stage("writing", d.Bytes)
	var before int64
	o.Progress = func(now, _ int64) { x.progress.Step(now-before, now-before); before = now }
	written, err := bundle.Write(ctx, path, o)
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			return &fault{ErrSettings, err, "carry it over first, or name another file: nothing that was exported is written over"}
		}
		if errors.Is(err, bundle.ErrAltered) {
			return &fault{ErrAlarm, fmt.Errorf("%w; nothing was exported", err), `run "nestgen verify"`}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return &fault{ErrStorage, fmt.Errorf("%w; nothing was exported", err), `if a gc ran meanwhile, export again; else run "nestgen verify"`}
		}
		return err
	}
	d.parts(written)
	d.ID = written.ID
	return x.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		return tx.SetExport(catalog.Export{
			Tag: x.Tag, Scope: x.scopeText(), Last: d.To, Time: Now().UnixMicro(), Bundle: d.ID, Acknowledged: x.last.Acknowledged,
		})
	})
}

func (d *Exported) parts(r bundle.Result) {
	for _, p := range r.Parts {
		sum := ""
		if p.SHA256 != [32]byte{} {
			sum = fmt.Sprintf("%x", p.SHA256)
		}
		d.Parts = append(d.Parts, ExportedPart{p.Path, p.Size, sum})
	}
}

func (d *Exported) note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

var tagForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// checkTag refuses what no bundle can be named by.
func checkTag(tag string) error {
	if !tagForm.MatchString(tag) {
		return &fault{ErrSettings, fmt.Errorf("tag %q: want 1 to 64 of a-z, 0-9, \".\", \"_\" and \"-\", a letter or digit first", tag), "a tag names whom the bundles are for"}
	}
	return nil
}

// begin finds out where the bundle begins and ends, and about what it is.
func (x *exporter) begin(ctx context.Context) error {
	d := x.done
	var err error
	if x.last, err = x.catalog.Export(ctx, x.Tag); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	isNew := err != nil
	if a := x.Acknowledged; a != nil && a.Tag == x.Tag {
		x.last.Last = a.Serial
	}
	if !x.opts.DryRun {
		// Whatever has happened is in the log from here on.
		if err := x.catalog.Update(ctx, Now(), extendLogs); err != nil {
			return err
		}
		if d.To, err = x.catalog.LogSize(ctx, catalog.Events); err != nil {
			return err
		}
	} else if d.To, err = x.catalog.Serial(ctx); err != nil {
		return err
	}
	if err := x.key(); err != nil {
		return err
	}
	if err := x.mustGoOn(ctx); err != nil {
		return err
	}
	if x.Snapshot != "" {
		snapshot, err := x.catalog.Snapshot(ctx, x.Snapshot)
		if errors.Is(err, fs.ErrNotExist) {
			return &fault{ErrSettings, err, `"nestgen snapshot list" has those that there are`}
		}
		if err != nil {
			return err
		}
		x.Until = &snapshot.Serial
	}
	if x.Until != nil {
		if *x.Until < 0 || *x.Until > d.To {
			return &fault{ErrSettings, fmt.Errorf("--until %d: the last serial is %d", *x.Until, d.To), ""}
		}
		d.To = *x.Until
	}
	begins, err := x.catalog.Begins(ctx)
	if err != nil {
		return err
	}
	if d.To < begins {
		return &fault{ErrSettings, fmt.Errorf("serial %d: the history that can be exported begins with %d", d.To, begins), ""}
	}
	d.Scope = scopeAll
	if len(x.Projects) > 0 {
		d.Scope = scopeProjects
		if err := x.closure(ctx); err != nil {
			return err
		}
	}
	other := !isNew && x.last.Scope != x.scopeText()
	switch {
	case x.Since != nil:
		if d.From = *x.Since; other && d.From > 0 && d.Scope == scopeProjects {
			d.note("the stream %s was about other projects before: what happened up to serial %d to those that are new in it is not in this bundle", x.Tag, d.From)
		}
	case isNew:
	case other:
		d.note("the stream %s is about other projects than before, so that this bundle has all that is known of them", x.Tag)
	default:
		d.From = x.last.Last
	}
	switch {
	case d.From <= d.To && d.From >= 0:
	case x.Since != nil:
		return &fault{ErrSettings, fmt.Errorf("--since %d: the last serial is %d", d.From, d.To), ""}
	default:
		return &fault{ErrSettings, fmt.Errorf("the stream %s was exported up to serial %d, and this bundle would end with %d", x.Tag, d.From, d.To), "another --tag, with --all, has the index as it was then; no bundle takes a site back"}
	}
	return nil
}

// key finds the key of the site, or makes it.
func (x *exporter) key() (err error) {
	x.own, err = x.Keys().Own()
	if errors.Is(err, fs.ErrNotExist) {
		x.done.NewKey, err = true, nil
		if !x.opts.DryRun {
			x.own, err = x.ownKey()
		}
	}
	if err != nil {
		return err
	}
	if x.own != nil {
		x.done.Origin, x.done.Key = x.own.Name, x.own.Verifier
	}
	return nil
}

// rotations gives the statements of how the key came from those before it. If it was
// replaced while this ran, the one about that is for the next bundle.
func (x *exporter) rotations() ([][]byte, error) {
	statements, err := x.Keys().Rotations()
	for i, s := range statements {
		r, err := trust.ParseRotation(s)
		if err != nil {
			return nil, err
		}
		if r.Old == x.done.Key {
			return statements[:i], nil
		}
	}
	return statements, err
}

// mustGoOn refuses to sign a log that does not begin with what was signed before: the
// catalog comes from a backup.
func (x *exporter) mustGoOn(ctx context.Context) error {
	size, err := x.catalog.Serial(ctx)
	if err != nil {
		return err
	}
	newer := &fault{ErrAlarm, fmt.Errorf("the stream %s was exported up to serial %d, and the catalog knows %d events: it comes from a backup", x.Tag, x.last.Last, size),
		`put the newest catalog back; the other side takes nothing of a history that is another than before`}
	if x.last.Last > size {
		return newer
	}
	if x.opts.DryRun {
		return nil
	}
	now, err := x.logsNow(ctx, x.own)
	if err != nil {
		return err
	}
	published, err := x.readCheckpoint()
	if err != nil {
		published = checkpoint{} // there is none
	}
	remembered, err := x.remembered()
	if err != nil {
		return err
	}
	for _, was := range []checkpoint{published, remembered} {
		if forked, err := x.isFork(ctx, was, now); err != nil || forked {
			newer.err = errors.New("the history in the catalog does not go on from the one that was signed: it comes from a backup; nothing was exported")
			return cmp.Or(err, error(newer))
		}
	}
	// What leaves the site is remembered before it does, as what is published is.
	_, err = x.sign(x.own, now)
	return err
}

// scopeText names what the stream is about, to be held against the next time.
func (x *exporter) scopeText() string {
	text := x.done.Scope
	for _, n := range slices.Sorted(maps.Keys(x.names)) {
		text += "\n" + string(n)
	}
	return text
}

// about reports whether the bundle is about a project.
func (x *exporter) about(n packaging.Name) bool { return n != "" && (x.names == nil || x.names[n]) }

// closure gathers the projects that were named, and all that the index has of what any
// file of them may need, or its build, on whatever machine.
func (x *exporter) closure(ctx context.Context) error {
	x.names = map[packaging.Name]bool{}
	var open []packaging.Name
	for _, name := range x.Projects {
		n, err := packaging.ParseName(name)
		if err == nil {
			_, err = x.catalog.Project(ctx, n)
		}
		if err != nil {
			return &fault{ErrSettings, fmt.Errorf("%s: the index has no project of this name", name), ""}
		}
		open = append(open, n)
	}
	reader := newNeedsReader(x.site)
	for len(open) > 0 {
		n := open[len(open)-1]
		open = open[:len(open)-1]
		if x.names[n] {
			continue
		}
		p, err := x.catalog.Project(ctx, n)
		if errors.Is(err, fs.ErrNotExist) {
			continue // pip says so, too
		}
		if err != nil {
			return err
		}
		x.names[n] = true
		for i := range p.Files {
			f := &p.Files[i]
			name, err := packaging.ParseFilename(f.Filename, n)
			if err != nil || f.Announced {
				continue
			}
			needs, err := reader.of(ctx, n, plan.Available{Choice: plan.Choice{Source: f.Source, Filename: name}, Yanked: f.Yanked, File: f})
			if err != nil {
				return fmt.Errorf("%s: what it needs: %w", f.Filename, err)
			}
			for _, text := range slices.Concat(needs.Dist, needs.Build) {
				if q, err := packaging.ParseRequirement(text); err == nil {
					open = append(open, packaging.NormalizeName(q.Name))
				}
			}
		}
	}
	return nil
}

// touched finds the files that came in the time that the bundle is about.
func (x *exporter) touched(ctx context.Context) error {
	d := x.done
	projects := map[packaging.Name]bool{}
	x.wanted, x.beside = map[string]bool{}, map[string]bool{}
	for r, err := range x.catalog.Records(ctx, d.From, d.To) {
		if err != nil {
			return err
		}
		if !x.about(r.Project) {
			continue
		}
		projects[r.Project] = true
		if r.File == nil {
			continue
		}
		x.beside[r.Filename] = true
		switch r.Verb {
		case catalog.Add, catalog.Restore, catalog.Arrive, catalog.Known:
			x.wanted[r.Filename] = true
		}
	}
	d.Projects = len(projects)
	if d.From == 0 {
		x.wanted = nil
	}
	return nil
}

// state goes through the projects as they are at the end of the bundle, and takes in
// the files that belong into it.
func (x *exporter) state(ctx context.Context) error {
	d := x.done
	if d.From == d.To {
		return nil
	}
	var missing []string
	take := func(p *catalog.Project) error {
		if !x.about(p.Name) {
			return nil
		}
		return x.project(ctx, p, &missing)
	}
	// What has changed since is read as it was. It is asked for when the others are
	// being read already, so that nothing changes between the two.
	var changed []packaging.Name
	was := func(before func(packaging.Name) bool) error {
		for len(changed) > 0 && before(changed[0]) {
			p, err := x.catalog.ProjectAt(ctx, changed[0], d.To)
			if err != nil {
				return err
			}
			changed = changed[1:]
			if err := take(p); err != nil {
				return err
			}
		}
		return nil
	}
	begun := false
	begin := func() (err error) {
		if !begun {
			begun = true
			changed, err = x.catalog.ChangedSince(ctx, d.To)
		}
		return err
	}
	for p, err := range x.catalog.Projects(ctx) {
		if err == nil {
			err = begin()
		}
		if err == nil {
			err = was(func(n packaging.Name) bool { return n < p.Name })
		}
		if err != nil {
			return err
		}
		if p.Serial > d.To {
			continue
		}
		if len(changed) > 0 && changed[0] == p.Name {
			changed = changed[1:] // it has changed since it was read
		}
		if err := take(p); err != nil {
			return err
		}
	}
	err := begin()
	if err == nil {
		err = was(func(packaging.Name) bool { return true })
	}
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return &fault{ErrStorage, fmt.Errorf("%d files are listed, and are not in the store any more: %s", len(missing), strings.Join(missing[:min(len(missing), 20)], ", ")),
			`if a gc ran meanwhile, export again; else run "nestgen verify"`}
	}
	if len(x.closed) > 0 {
		return &fault{ErrSettings, fmt.Errorf("%d files were listed at serial %d, and nobody is to have them any more: %s", len(x.closed), d.To, strings.Join(x.closed[:min(len(x.closed), 20)], ", ")),
			"export the index as it is, or as it was at a later serial"}
	}
	x.add(listingMember, x.listing.Bytes())
	return nil
}

// project lists a project and takes in its files.
func (x *exporter) project(ctx context.Context, p *catalog.Project, missing *[]string) error {
	before := p.Serial
	if p.Serial > x.done.From {
		var err error
		if before, err = x.catalog.SerialAt(ctx, p.Name, x.done.From); err != nil {
			return err
		}
	}
	x.listing.Write(transit.AppendLine(x.listing.AvailableBuffer(), transit.Line{Project: p.Name, Last: p.Serial, Before: before}))
	for i := range p.Files {
		f := &p.Files[i]
		if f.Announced {
			x.done.Announced++
			continue
		}
		x.listing.Write(transit.AppendLine(x.listing.AvailableBuffer(), transit.Line{Project: p.Name, File: transit.File{Filename: f.Filename, SHA256: f.SHA256, Size: f.Size}}))
		whole := x.wanted == nil || x.wanted[f.Filename]
		if whole {
			if p.Status.State != catalog.Quarantined && !x.exists(f.Path) && x.isWithheld(f.Path) {
				x.closed = append(x.closed, f.Filename)
				continue
			}
			if err := x.file(f.Path, f.SHA256, f.Size, missing); err != nil {
				return err
			}
			x.done.Files++
			x.done.Bytes += f.Size
		}
		if !whole && !x.beside[f.Filename] {
			continue
		}
		for _, c := range companionsOf(f) {
			if err := x.file(c.path, c.sum, -1, missing); err != nil {
				return err
			}
		}
	}
	return nil
}

// A companionOf is a file beside another in the store.
type companionOf struct {
	path string
	sum  catalog.Digest // zero if it is not known
}

// companionsOf gives what stands beside a file of the store.
func companionsOf(f *catalog.File) (all []companionOf) {
	if !f.Metadata.IsZero() {
		all = append(all, companionOf{layout.CoreMetadata(f.Path), f.Metadata})
	}
	if f.Signed {
		all = append(all, companionOf{layout.Signature(f.Path), f.SignatureSum})
	}
	if f.Provenance {
		all = append(all, companionOf{layout.Provenance(f.Path), f.ProvenanceSum})
	}
	return all
}

// file takes a file of the store into the bundle.
func (x *exporter) file(path string, sum catalog.Digest, size int64, missing *[]string) error {
	f, err := x.openStored(path)
	if err != nil {
		*missing = append(*missing, path)
		return nil
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if size >= 0 && fi.Size() != size {
		*missing = append(*missing, path)
		return nil
	}
	if sum.IsZero() {
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		copy(sum[:], h.Sum(nil))
	}
	name := memberName(path, sum)
	if x.taken[name] {
		return nil // another project lists it, too
	}
	x.taken[name] = true
	x.members = append(x.members, bundle.Member{
		Name: name, Size: fi.Size(), SHA256: sum,
		Open: func() (io.ReadCloser, error) { return x.openStored(path) },
	})
	return nil
}

// openStored opens a file of the store, be it one that is withheld.
func (s *site) openStored(path string) (*os.File, error) {
	f, err := s.openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		if w, err := s.openWithheld(path); err == nil {
			return w, nil
		}
	}
	return f, err
}

// memberName gives the name in a bundle of a file of the store: its path, or if that
// has characters that no bundle can have, its digest.
func memberName(path string, sum catalog.Digest) string {
	if bundle.CheckName(path) == nil {
		return path
	}
	return "files/" + sum.String()
}

// add adds a member whose bytes are here.
func (x *exporter) add(name string, data []byte) {
	x.members = append(x.members, bundle.Member{
		Name: name, Size: int64(len(data)), SHA256: sha256.Sum256(data),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	})
}

// addWritten adds a member that is written anew whenever it is asked for, always the
// same.
func (x *exporter) addWritten(name string, write func(io.Writer) error) error {
	h := sha256.New()
	n := &counter{w: h}
	if err := write(n); err != nil {
		return err
	}
	m := bundle.Member{Name: name, Size: n.n, Open: func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(write(w)) }()
		return r, nil
	}}
	copy(m.SHA256[:], h.Sum(nil))
	x.members = append(x.members, m)
	return nil
}

// A counter counts what is written to it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// proofs adds what shows that the log goes on from what the other side knows, and
// gives the root of the log.
func (x *exporter) proofs(ctx context.Context) (root tilelog.Hash, err error) {
	d := x.done
	if x.opts.DryRun {
		return root, nil // the log may not have come so far
	}
	tiles := x.catalog.Tiles(ctx, catalog.Events)
	if root, err = tilelog.Root(d.To, tiles); err != nil {
		return root, err
	}
	signed, err := tilelog.Sign(tilelog.Checkpoint{Origin: x.own.Name, Size: d.To, Root: root}, x.own.Signer)
	if err != nil {
		return root, err
	}
	x.add(checkpointMember, signed)
	edge, err := tilelog.Edge(d.From, tiles)
	if err != nil {
		return root, err
	}
	x.add(edgeMember, transit.AppendEdge(nil, edge))
	sizes, err := x.catalog.ExportedSizes(ctx, d.From, provenSizes)
	if err != nil {
		return root, err
	}
	var text []byte
	prover, err := tilelog.NewProver(d.To, tiles)
	if err != nil {
		return root, err
	}
	for _, size := range sizes {
		proof, err := prover.Tree(size)
		if err != nil {
			return root, err
		}
		text = transit.AppendProof(text, transit.Proof{Size: size, Hashes: proof})
	}
	if len(text) > 0 {
		x.add(proofsMember, text)
	}
	return root, nil
}

// records adds the records. Of projects that the bundle is not about it has their
// hashes.
func (x *exporter) records(ctx context.Context) error {
	d := x.done
	if d.From == d.To {
		return nil
	}
	return x.addWritten(recordsMember, func(w io.Writer) error {
		var enc record.Encoder
		var buf []byte
		for r, err := range x.catalog.Records(ctx, d.From, d.To) {
			if err != nil {
				return err
			}
			leaf, err := enc.Encode(&r)
			if err != nil {
				return err
			}
			if x.about(r.Project) || r.Project == "" {
				buf, err = transit.AppendRecord(buf[:0], leaf)
			} else {
				buf, err = transit.AppendHidden(buf[:0], tilelog.LeafHash(leaf)), nil
			}
			if err != nil {
				return err
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
		}
		return nil
	})
}

// policy adds the policy file, for people.
func (x *exporter) policy() error {
	if x.Config.Policy == "" || x.done.From == x.done.To {
		return nil
	}
	data, err := os.ReadFile(x.Config.Policy)
	if err != nil || len(data) == 0 {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	x.add(policyMember, data)
	return nil
}

// usualName is what a bundle is called whose maker did not say another name.
func (x *exporter) usualName() string {
	name := fmt.Sprintf("%s-%d-%d.tar", x.Tag, x.done.From, x.done.To)
	if x.Zstd {
		name += ".zst"
	}
	return name
}

// isUsualName reports whether the bundle is written under its usual name. One of the
// same name is the same, or was left behind by a run that died.
func (x *exporter) isUsualName() bool {
	fi, err := os.Stat(x.To)
	return x.To == "" || err == nil && fi.IsDir()
}

// path is where the bundle goes.
func (x *exporter) path() (string, error) {
	switch {
	case x.To == "":
		return x.usualName(), nil
	case x.isUsualName():
		return filepath.Join(x.To, x.usualName()), nil
	}
	if _, err := os.Stat(filepath.Dir(x.To)); err != nil {
		return "", &fault{ErrStorage, err, "is the medium mounted?"}
	}
	return x.To, nil
}

// An Acknowledged says what an acknowledgement came to.
type Acknowledged struct {
	Tag    string `json:"tag"`
	Serial int64  `json:"serial"` // the next bundle of the stream begins after it

	// Before is where it would have begun.
	Before int64 `json:"before"`
}

// Acknowledge takes in what the other side of a stream says that it has: the next
// bundle begins there. The text has to know the log, which nobody does who was not
// given it; what it could do at most is to have a bundle begin too late, and that the
// other side finds out. A tag is the one that it has to be about; empty for any.
func Acknowledge(ctx context.Context, c Config, o Options, tag string, text []byte) (*Acknowledged, error) {
	s, err := c.openBeside(o)
	if err != nil {
		return nil, err
	}
	done, err := s.acknowledge(ctx, tag, text)
	return done, errors.Join(storage(err), s.close())
}

func (s *site) acknowledge(ctx context.Context, tag string, text []byte) (*Acknowledged, error) {
	refused := func(format string, args ...any) error {
		return &fault{ErrSettings, fmt.Errorf(format, args...), "nothing was changed; the next bundle begins where it would have"}
	}
	a, err := transit.ParseAck(text)
	if err != nil {
		return nil, refused("%w", err)
	}
	if tag != "" && a.Tag != tag {
		return nil, refused("it is about the tag %s, not about %s", a.Tag, tag)
	}
	own, err := s.Keys().Own()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refused("nothing was exported from this site yet")
	}
	if err != nil {
		return nil, err
	}
	if a.Origin != own.Name {
		return nil, refused("it acknowledges a bundle of %s, and this site is %s", a.Origin, own.Name)
	}
	stream, err := s.catalog.Export(ctx, a.Tag)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refused("it acknowledges a bundle of the stream %q, and there is none", a.Tag)
	}
	if err != nil {
		return nil, err
	}
	size, err := s.catalog.LogSize(ctx, catalog.Events)
	if err != nil {
		return nil, err
	}
	if a.Serial > size {
		return nil, &fault{ErrAlarm, fmt.Errorf("it acknowledges serial %d, and the log here ends with %d: the catalog comes from a backup, or it is another log", a.Serial, size), "put the newest catalog back"}
	}
	root, err := tilelog.Root(a.Serial, s.catalog.Tiles(ctx, catalog.Events))
	if err != nil {
		return nil, err
	}
	if a.Serial > 0 && root != a.Root {
		return nil, &fault{ErrAlarm, fmt.Errorf("it acknowledges another history than the one here: at serial %d its root is %s, here it is %s", a.Serial, a.Root, root),
			"find out which of the two sites comes from a backup"}
	}
	done := &Acknowledged{Tag: a.Tag, Serial: a.Serial, Before: stream.Last}
	if s.opts.DryRun {
		return done, nil
	}
	stream.Last, stream.Acknowledged = a.Serial, a.Serial
	return done, s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return tx.SetExport(stream) })
}
