package nestgen

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"nestgen/catalog"
	"nestgen/drop"
	"nestgen/generate"
	"nestgen/intake"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/publish"
)

// A Finding is one difference between what a site should be and what it is.
type Finding struct {
	// Path is relative to the site.
	Path string `json:"path"`
	Text string `json:"text"`

	// Repaired says that the difference is no more.
	Repaired bool `json:"repaired"`
}

// A Verification is what [Verify] did and found.
type Verification struct {
	Files    int64     `json:"files"`
	Bytes    int64     `json:"bytes"`
	Pages    int64     `json:"pages"`
	Findings []Finding `json:"findings"`

	// Waiting is how many projects have changed by requests since the last build.
	// The next one makes their pages anew, and those about all projects.
	Waiting int `json:"waiting"`
}

// Whole reports whether nothing is left to be repaired.
func (v *Verification) Whole() bool {
	return !slices.ContainsFunc(v.Findings, func(f Finding) bool { return !f.Repaired })
}

// Verify reads the whole site and compares: every file of the store with its
// digests in the catalog, every page with what the catalog would make of it
// now, and what else lies in the tree with what belongs there. With repair it
// fetches damaged files anew from where they came from and publishes the pages
// that differ.
func Verify(ctx context.Context, c Config, o Options, repair bool) (*Verification, error) {
	// Beside a build nearly everything would differ from the catalog for a while.
	o.DryRun, o.locked = !repair, true
	if err := c.built(); err != nil {
		return nil, err
	}
	s, err := open(c, o)
	if err != nil {
		return nil, err
	}
	v := &verifier{site: s, found: &Verification{Findings: []Finding{}}, known: map[string]bool{}, stale: map[pageOf]bool{}, prefixes: map[string]bool{}, looked: map[string]bool{}}
	if err = s.mustHaveBuilt(); err == nil {
		err = v.verify(ctx)
	}
	if err == nil && repair && len(v.found.Findings) > 0 {
		err = v.repair(ctx)
	}
	return v.found, errors.Join(err, s.close())
}

// A verifier walks a site and remembers what it found.
type verifier struct {
	*site
	found *Verification
	known map[string]bool // every path that belongs in the tree
	stale map[pageOf]bool
	index bool // a page about all projects differs
	lost  []lost
	extra []string
	came  []lost // files that were announced and are here
	relog bool   // the log is not published as it is

	// misremembered are the logs of which the catalog keeps other hashes than those of
	// their entries.
	misremembered map[catalog.LogName]bool

	// serial is that of the last event before the site was read. The pages of
	// projects that requests have changed since the last build, and those about all
	// projects, are the next build's.
	serial int64

	// prefixes are those of the indexes that the site has, and looked the files of
	// the store that were held against the catalog.
	prefixes, looked map[string]bool
}

// A lost is a file of the catalog that is not as it should be in the store: its
// bytes, or what stands beside it.
type lost struct {
	file    catalog.File
	path    string // of what is damaged
	finding int
}

func (v *verifier) find(path, format string, args ...any) int {
	v.found.Findings = append(v.found.Findings, Finding{Path: path, Text: fmt.Sprintf(format, args...)})
	return len(v.found.Findings) - 1
}

func (v *verifier) verify(ctx context.Context) error {
	if err := v.catalog.Check(ctx); err != nil {
		return &fault{ErrStorage, err, "restore the state folder from a backup; the published site is as it was"}
	}
	var err error
	if v.serial, err = v.catalog.Serial(ctx); err != nil {
		return storage(err)
	}
	indexes, err := v.indexes(ctx)
	if err != nil {
		return err
	}
	n, err := v.catalog.Counts(ctx)
	if err != nil {
		return storage(err)
	}
	v.progress.Stage("verifying", n.Files)
	due, err := v.catalog.Due(ctx, 1<<62)
	if err != nil {
		return storage(err)
	}
	for _, p := range due {
		v.known[p] = true
	}
	for _, x := range indexes {
		if err := v.indexPagesOf(ctx, x); err != nil {
			return err
		}
	}
	if err := v.snapshotList(ctx); err != nil {
		return err
	}
	if err := v.arrived(ctx); err != nil {
		return err
	}
	if err := v.logs(ctx); err != nil {
		return err
	}
	return v.strangers(ctx)
}

// snapshotList holds the page of the snapshots against the catalog.
func (v *verifier) snapshotList(ctx context.Context) error {
	l, err := v.site.snapshotList(ctx)
	if err != nil || len(l.all) == 0 {
		return err
	}
	return l.SnapshotsPage(l.all, &comparing{verifier: v, differs: func() { v.index = true }})
}

// indexPagesOf holds the pages of an index, and the files that it lists and none
// before it, against the catalog.
func (v *verifier) indexPagesOf(ctx context.Context, x indexPages) error {
	v.prefixes[x.Prefix] = true
	waits := map[packaging.Name]bool{}
	for e, err := range v.entries(ctx, x) {
		if err != nil {
			return storage(err)
		}
		if e.Project != nil {
			waits[e.Name] = true
		}
	}
	if x.view == "" {
		v.found.Waiting = len(waits)
	}
	news, err := x.news(ctx, v)
	if err != nil {
		return err
	}
	some := false
	for p, err := range v.projects(ctx, x) {
		if err != nil {
			return storage(err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		some = true
		for _, f := range p.Files {
			if v.looked[f.Path] && x.view != "" {
				continue // for an index before
			}
			v.looked[f.Path] = true
			if p.Status.State == catalog.Quarantined && !f.Announced {
				v.withheld(f, pageOf{x.view, p.Name}, waits[p.Name])
			} else {
				v.file(f)
			}
			v.progress.Step(1, f.Size)
		}
		sink := &comparing{verifier: v, differs: func() { v.stale[pageOf{x.view, p.Name}] = true }, waits: waits[p.Name]}
		if err := x.Project(p, sink); err != nil {
			return err
		}
		sink.waits = sink.waits || news[p.Name]
		if err := x.projectChanges(ctx, v, p, sink); err != nil {
			return err
		}
	}
	sink := &comparing{verifier: v, differs: func() { v.index = true }, waits: len(waits) > 0}
	if x.view == "" {
		if v.People {
			if err := x.Assets(sink); err != nil {
				return err
			}
		}
		if err := errors.Join(x.heldPages(v, sink), x.statisticsPages(v, sink)); err != nil {
			return err
		}
		changes := *sink
		if err := x.changesPages(ctx, v, &changes); err != nil {
			return err
		}
	}
	if some || v.exists(layout.Below(x.Prefix, layout.RootJSON)) {
		return storage(x.Index(x.Whole(v.projects(ctx, x)), sink.create, nil, x.Has))
	}
	return nil
}

// A pageOf names a project of an index: of the site's own, or of a view.
type pageOf struct {
	view string
	name packaging.Name
}

// heldPages compares the pages of what is held. As long as requests have held
// something since, they are the next build's, and so is the front page, which counts
// it.
func (x indexPages) heldPages(v *verifier, sink *comparing) error {
	if x.shown != x.held.digest {
		sink.waits = true
		for _, path := range []string{layout.HeldHTML, layout.HeldHTML + ".gz", layout.HeldJSON} {
			v.known[path] = true
		}
	}
	if !x.held.pages {
		return nil
	}
	return x.HeldPages(x.held.files, sink)
}

// statisticsPages compares the pages of statistics. Those that wait to be published
// are the next run's, and so is the front page, which leads to them.
func (x indexPages) statisticsPages(v *verifier, sink *comparing) error {
	if x.tallyShown != x.tally.digest {
		sink.waits = true
		for _, path := range []string{layout.StatsHTML, layout.StatsHTML + ".gz", layout.StatsJSON} {
			v.known[path] = true
		}
	}
	if x.tally.Statistics == nil {
		return nil
	}
	return x.StatisticsPages(x.tally.Statistics, sink)
}

// withheld holds a file of a quarantined project against the catalog, which is in
// the closed area, and nowhere else once the pages say so.
func (v *verifier) withheld(f catalog.File, of pageOf, waits bool) {
	v.known[f.Path] = true
	v.found.Files++
	v.found.Bytes += f.Size
	if v.exists(f.Path) && !waits {
		v.find(f.Path, "its project is quarantined, and it is still served")
		v.stale[of] = true // to publish it moves the file
		return
	}
	h, err := v.openWithheld(f.Path)
	if err != nil && waits {
		h, err = v.openRegular(f.Path)
	}
	if fault := faultOf(f, h, err); fault != "" {
		v.find(f.Path, "its project is quarantined; in the closed area of the state: %s", fault)
	}
}

// faultOf compares the bytes of a file with what the catalog knows of it, and closes
// it. It gives nothing if they are right.
func faultOf(f catalog.File, h *os.File, err error) string {
	if err != nil {
		return reasonOf(err)
	}
	d, err := intake.Digest(h)
	h.Close()
	switch {
	case err != nil:
		return reasonOf(err)
	case d.Size != f.Size:
		return fmt.Sprintf("%d bytes, want %d", d.Size, f.Size)
	case d.SHA256 != f.SHA256:
		return fmt.Sprintf("sha256 %s, want %s", d.SHA256, f.SHA256)
	case d.BLAKE2b != f.BLAKE2b:
		return fmt.Sprintf("blake2b %s, want %s", d.BLAKE2b, f.BLAKE2b)
	}
	return ""
}

// file holds a file of the store and its companions against the catalog.
func (v *verifier) file(f catalog.File) {
	v.known[f.Path] = true
	if f.Announced {
		v.announced(f)
		return
	}
	v.found.Files++
	v.found.Bytes += f.Size
	h, err := v.openRegular(f.Path)
	if fault := faultOf(f, h, err); fault != "" {
		v.lose(f, f.Path, fault)
	}
	if !f.Metadata.IsZero() {
		v.companion(f, layout.CoreMetadata(f.Path), f.Metadata)
	}
	if f.Signed {
		v.companion(f, layout.Signature(f.Path), f.SignatureSum)
	}
	if f.Provenance {
		v.companion(f, layout.Provenance(f.Path), f.ProvenanceSum)
	}
}

// announced holds what may be here of a file that was announced against what was
// announced.
func (v *verifier) announced(f catalog.File) {
	if h, err := v.openRegular(f.Path); err == nil {
		h.Close()
		v.came = append(v.came, lost{file: f, path: f.Path})
	}
	path := layout.CoreMetadata(f.Path)
	v.known[path] = true
	if data, err := v.read(path); err == nil && sha256.Sum256(data) != f.Metadata {
		v.find(path, "not the metadata that was announced")
		v.extra = append(v.extra, path)
	}
}

// arrived finds out which of the files that were announced and are here the
// catalog does not know of, as after a request that was killed.
func (v *verifier) arrived(ctx context.Context) error {
	came := v.came
	v.came = nil
	for _, l := range came {
		known, right, err := v.lookAgain(ctx, l.file)
		switch {
		case err != nil:
			return err
		case known:
		case right:
			l.finding = v.find(l.path, "it was announced and is here, which the catalog does not know")
			v.came = append(v.came, l)
		default:
			v.find(l.path, "not the file that was announced")
			v.extra = append(v.extra, l.path)
		}
	}
	return nil
}

// lookAgain looks while no request is bringing the file: whether the catalog
// knows it by now, and if not, whether it is the one that was announced.
func (v *verifier) lookAgain(ctx context.Context, f catalog.File) (known, right bool, err error) {
	visit, err := v.demandTable().Enter(ctx, f.Path)
	if err != nil {
		return false, false, storage(err)
	}
	defer visit.Leave()
	now, err := v.catalog.FileAt(ctx, f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, false, storage(err)
	}
	h, oerr := v.openRegular(f.Path)
	if err != nil || !now.Announced || oerr != nil {
		return true, false, nil
	}
	defer h.Close()
	d, err := intake.Digest(h)
	return false, err == nil && d.SHA256 == f.SHA256, nil
}

// companion holds a companion against its digest, where there is one.
func (v *verifier) companion(f catalog.File, path string, want catalog.Digest) {
	v.known[path] = true
	data, err := v.read(path)
	switch {
	case err != nil:
		v.lose(f, path, reasonOf(err))
	case !want.IsZero() && sha256.Sum256(data) != want:
		v.lose(f, path, "not the bytes that the catalog knows")
	}
}

func (v *verifier) lose(f catalog.File, path, fault string) {
	v.lost = append(v.lost, lost{f, path, v.find(path, "%s", fault)})
}

// changedMeanwhile reports whether a page is of a project that a request has changed
// since the site was read, or about all projects when there is any such. The
// catalog knows of it before there is a page.
func (v *verifier) changedMeanwhile(path string) bool {
	var serial int64
	if prefix, _ := layout.CutPrefix(path); v.prefixes[prefix] && prefix != "" {
		return false // builds alone make its pages
	}
	top, rest, _ := strings.Cut(path, "/")
	name, _, below := strings.Cut(rest, "/")
	switch {
	case top == layout.Packages || top == layout.Static:
		return false
	case below && (top == layout.Simple || top == layout.People || top == layout.Legacy || top == layout.Changes):
		p, err := v.catalog.Project(context.Background(), packaging.NormalizeName(name))
		if err != nil {
			return false
		}
		serial = p.Serial
	default:
		serial, _ = v.catalog.Serial(context.Background())
	}
	return serial > v.serial
}

func reasonOf(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "it is not there"
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

func (v *verifier) read(path string) ([]byte, error) {
	f, err := v.openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// A comparing is a sink that holds pages against the tree.
type comparing struct {
	*verifier
	differs func()
	waits   bool // the page may be an older one, or missing
	gzip    []byte
}

// Put implements [generate.Sink].
func (c *comparing) Put(path string, data []byte) error {
	c.compare(path, data)
	if c.Gzip && compressible(path) {
		c.gzip = generate.Gzip(c.gzip[:0], data, generate.PageLevel)
		c.compare(path+".gz", c.gzip)
	}
	return nil
}

func (c *comparing) compare(path string, data []byte) {
	c.known[path] = true
	if c.waits {
		return
	}
	c.found.Pages++
	live, err := c.read(path)
	switch {
	case err == nil && bytes.Equal(live, data):
		return
	case c.changedMeanwhile(path):
		return
	case err != nil:
		c.find(path, "%s", reasonOf(err))
	default:
		c.find(path, "not the page that the catalog makes")
	}
	c.differs()
}

// create makes a page that is compared when it is complete, by its digest: it
// may be too large to hold.
func (c *comparing) create(path string) (io.WriteCloser, error) {
	page := &digesting{comparing: c, path: path, hash: sha256.New()}
	if !c.Gzip {
		return page, nil
	}
	z := &digesting{comparing: c, path: path + ".gz", hash: sha256.New()}
	return &twin{page, z, generate.NewGzip(z, generate.IndexLevel)}, nil
}

type digesting struct {
	*comparing
	path string
	hash hash.Hash
}

func (d *digesting) Write(p []byte) (int, error) { return d.hash.Write(p) }

func (d *digesting) Close() error {
	d.known[d.path] = true
	if d.waits {
		return nil
	}
	d.found.Pages++
	live := sha256.New()
	f, err := d.openRegular(d.path)
	if err == nil {
		_, err = io.Copy(live, f)
		f.Close()
	}
	switch {
	case err == nil && bytes.Equal(live.Sum(nil), d.hash.Sum(nil)):
		return nil
	case d.changedMeanwhile(d.path):
		return nil
	case err != nil:
		d.find(d.path, "%s", reasonOf(err))
	default:
		d.find(d.path, "not the page that the catalog makes")
	}
	d.differs()
	return nil
}

// strangers finds what lies in a room of the tree and does not belong there. Files of
// the store that nothing refers to wait for the garbage collection and are no
// finding.
func (v *verifier) strangers(ctx context.Context) error {
	root, err := os.OpenRoot(v.Site)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return storage(err)
	}
	defer root.Close()
	return storage(fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if e.IsDir() || v.known[path] {
			return nil
		}
		// What people put beside the rooms of the tree is theirs.
		room, _, _ := strings.Cut(v.inIndex(path), "/")
		if !layout.IsRoom(room) || room == layout.Packages && e.Type().IsRegular() || v.changedMeanwhile(path) {
			return nil
		}
		if room == layout.Log && v.isFormerTile(ctx, path) {
			return nil
		}
		v.extra = append(v.extra, path)
		v.find(path, "it does not belong here")
		return nil
	}))
}

// inIndex gives a path as it is in the index that it belongs to, be that a snapshot
// which is no more.
func (v *verifier) inIndex(path string) string {
	if prefix, rest := layout.CutPrefix(path); v.prefixes[prefix] || isSnapshot(prefix) {
		return rest
	}
	return path
}

// repair mends what was found.
func (v *verifier) repair(ctx context.Context) error {
	if err := v.readIntent(ctx); err != nil {
		return err
	}
	if err := v.upstream.open(v.site); err != nil {
		return err
	}
	if err := v.restoreFiles(ctx); err != nil {
		return err
	}
	for _, l := range v.came {
		err := v.adopt(ctx, l.file, "found by verify")
		if err != nil && (ctx.Err() != nil || ownStorage(err)) {
			return storage(err)
		}
		if f := &v.found.Findings[l.finding]; err != nil {
			f.Text += "; not repaired: " + err.Error()
		} else {
			f.Repaired = true
		}
	}
	if err := v.republish(ctx); err != nil {
		return err
	}
	if err := v.removeStrangers(ctx); err != nil {
		return storage(err)
	}
	return v.republishLogs(ctx)
}

// restoreFiles brings lost files back from where they came from.
func (v *verifier) restoreFiles(ctx context.Context) error {
	if len(v.lost) == 0 {
		return nil
	}
	byDigest, err := v.droppedByDigest(ctx)
	if err != nil {
		return err
	}
	for rest := v.lost; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].file.Path == rest[0].file.Path {
			n++
		}
		of := rest[:n]
		rest = rest[n:]
		err := v.restore(ctx, of, byDigest[of[0].file.SHA256])
		if err != nil && (ctx.Err() != nil || ownStorage(err)) {
			return storage(err)
		}
		for _, l := range of {
			if err != nil {
				v.found.Findings[l.finding].Text += "; not repaired: " + v.masked(err.Error(), l.file.URL)
			} else {
				v.found.Findings[l.finding].Repaired = true
			}
		}
	}
	return nil
}

// droppedByDigest gives the accepted files of the drop folders by content.
func (v *verifier) droppedByDigest(ctx context.Context) (map[catalog.Digest]drop.Entry, error) {
	if err := v.scanDrop(ctx); err != nil {
		return nil, err
	}
	wanted := map[catalog.Digest]bool{}
	for _, l := range v.lost {
		wanted[l.file.SHA256] = true
	}
	found := map[catalog.Digest]drop.Entry{}
	for e, err := range v.local.view.Entries() {
		if err != nil {
			return nil, err
		}
		if e.Verdict == drop.Accepted && wanted[e.SHA256] {
			found[e.SHA256] = e
		}
	}
	return found, nil
}

// restore mends one file of which something is damaged. As long as its own
// bytes are right they stay, and give the metadata.
func (v *verifier) restore(ctx context.Context, damaged []lost, e drop.Entry) error {
	f := damaged[0].file
	is := func(path string) bool {
		return slices.ContainsFunc(damaged, func(l lost) bool { return l.path == path })
	}
	x := publish.Exposure{Target: f.Path}
	h, err := v.openRegular(f.Path)
	if is(f.Path) {
		if err == nil {
			h.Close()
		}
		if x.Temp, err = v.obtain(ctx, f, e); err == nil {
			h, err = os.Open(x.Temp)
		}
	}
	if err != nil {
		return err
	}
	defer h.Close()
	sums, err := intake.Digest(h)
	if err != nil {
		return err
	}
	if sums.SHA256 != f.SHA256 {
		return errors.New("its source now has other bytes")
	}
	for _, c := range []struct {
		path string
		has  bool
		data func() ([]byte, error)
	}{
		{layout.CoreMetadata(f.Path), !f.Metadata.IsZero(), func() ([]byte, error) { return metadataOf(h, f) }},
		{layout.Signature(f.Path), f.Signed, func() ([]byte, error) { return v.beside(ctx, f, e, drop.Signature) }},
		{layout.Provenance(f.Path), f.Provenance, func() ([]byte, error) { return v.beside(ctx, f, e, drop.Provenance) }},
	} {
		if !c.has {
			continue
		}
		var data []byte
		if is(c.path) {
			data, err = c.data()
		} else if x.Temp != "" {
			data, err = v.read(c.path) // it goes with the damaged file
		} else {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
		x.Companions = append(x.Companions, publish.Companion{Path: c.path, Data: data})
	}
	return v.tree.Replace(ctx, x)
}

// metadataOf gives the metadata of a file from the file itself.
func metadataOf(h *os.File, f catalog.File) ([]byte, error) {
	facts, err := intake.Inspect(h, f.Size, f.Filename, f.Project, intake.Mirrored)
	if err == nil && sha256.Sum256(facts.Metadata) != f.Metadata {
		err = errors.New("the file holds other metadata than the catalog knows")
	}
	return facts.Metadata, err
}

// beside brings a signature or attestations from where they came from.
func (v *verifier) beside(ctx context.Context, f catalog.File, e drop.Entry, kind drop.Companion) ([]byte, error) {
	switch {
	case e.SHA256 == f.SHA256:
		return v.site.companion(e, kind)
	case f.URL == "":
		return nil, errors.New("no drop folder has it any more")
	case v.opts.Offline:
		return nil, errors.New("this run is offline")
	}
	return v.fetchCompanion(ctx, f, kind)
}

// fetchCompanion brings a companion of a file that came from an upstream.
func (v *verifier) fetchCompanion(ctx context.Context, f catalog.File, kind drop.Companion) ([]byte, error) {
	src, err := v.sourceOf(f.Source, f.URL)
	if err != nil {
		return nil, err
	}
	return v.companionOf(ctx, src, catalog.Offer{Filename: f.Filename, URL: f.URL}, kind)
}

// obtain brings the bytes of a file into the stage.
func (v *verifier) obtain(ctx context.Context, f catalog.File, e drop.Entry) (temp string, err error) {
	if e.SHA256 == f.SHA256 {
		src, err := v.local.view.Open(e)
		if err != nil {
			return "", err
		}
		defer src.Close()
		tmp, err := v.tree.NewFile()
		if err != nil {
			return "", err
		}
		_, err = intake.Copy(tmp, src, 0)
		return tmp.Name(), errors.Join(err, tmp.Close())
	}
	if f.URL == "" {
		return "", errors.New("no drop folder has it any more")
	}
	if v.opts.Offline {
		return "", errors.New("this run is offline")
	}
	src, err := v.sourceOf(f.Source, f.URL)
	if err != nil {
		return "", err
	}
	o := catalog.Offer{Filename: f.Filename, URL: f.URL, Size: f.Size, Hashes: map[string]string{"sha256": f.SHA256.String()}}
	if l, err := v.catalog.Listing(ctx, listingKey(src), f.Project); err == nil {
		for _, now := range l.Offers {
			if now.Filename == f.Filename {
				o.URL = now.URL // it may have moved since it came from there
			}
		}
	}
	temp, _, err = v.receive(ctx, src, f.Project, o)
	return temp, err
}

// republish makes the pages that differ anew.
func (v *verifier) republish(ctx context.Context) error {
	if len(v.stale) == 0 && !v.index {
		return nil
	}
	err := v.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for of := range v.stale {
			outdate := tx.OutdateProject
			if of.view != "" {
				outdate = func(n packaging.Name) error { return tx.OutdateViewProject(of.view, n) }
			}
			if err := outdate(of.name); err != nil {
				return err
			}
		}
		return forgetPages(tx)
	})
	if err != nil {
		return storage(err)
	}
	if err := v.site.publish(ctx); err != nil {
		return err
	}
	for i := range v.found.Findings {
		f := &v.found.Findings[i]
		if v.known[f.Path] && (!strings.HasPrefix(f.Path, layout.Packages+"/") || v.isWithheld(f.Path)) {
			f.Repaired = true
		}
	}
	return nil
}

// removeStrangers takes out of the rooms of the tree what does not belong
// there.
func (v *verifier) removeStrangers(ctx context.Context) error {
	if len(v.extra) == 0 {
		return nil
	}
	turn, err := v.tree.Turn(ctx)
	if err != nil {
		return err
	}
	defer turn.Close()
	b := turn.Batch()
	defer b.Close()
	var stored []string
	for _, path := range v.extra {
		if strings.HasPrefix(path, layout.Packages+"/") {
			stored = append(stored, path)
		} else if err := b.Remove(path); err != nil {
			return err
		}
	}
	if _, err := v.tree.Delete(ctx, stored); err != nil {
		return err
	}
	if _, err := b.Publish(ctx); err != nil {
		return err
	}
	if err := v.logPages(ctx, turn, b); err != nil {
		return err
	}
	for i := range v.found.Findings {
		if f := &v.found.Findings[i]; slices.Contains(v.extra, f.Path) {
			f.Repaired = !v.exists(f.Path)
		}
	}
	return nil
}
