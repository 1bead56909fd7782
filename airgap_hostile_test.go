package nestgen

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nestgen/bundle"
	"nestgen/catalog"
	"nestgen/intake"
	"nestgen/intake/intaketest"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/record"
	"nestgen/tilelog"
	"nestgen/transit"
)

// A byte that is not as it was written, anywhere in a bundle, whether it is plain,
// compressed or in parts, is found before anything is taken in. How many are tried is
// printed.
func TestNoDamagedBundleIsTakenIn(t *testing.T) {
	t.Parallel()
	tries := 10_000
	if testing.Short() {
		tries = 600
	}
	g := newGap(t)
	for _, n := range []string{"a", "b", "c"} {
		g.near.drop(n, "1.0", intaketest.Opts{Pad: 60_000})
	}
	g.near.build(0)
	all := int64(0)
	forms := []ExportOptions{
		{Since: &all, To: filepath.Join(g.stick, "plain.tar")},
		{Since: &all, To: filepath.Join(g.stick, "zstd.tar.zst"), Zstd: true},
		{Since: &all, To: filepath.Join(g.stick, "parts.tar"), Split: bundle.MinSplit},
	}
	var bundles [][]string
	for _, e := range forms {
		bundles = append(bundles, g.export(e))
	}
	g.far.drop("mine", "1.0", plain)
	g.far.build(0)
	before := photograph(t, g.far.path("site"))
	known := g.far.Keys().Verifiers()
	r := rand.New(rand.NewPCG(5, 10_000))
	found, looked := 0, 0
	for i := range tries {
		files := bundles[i%len(bundles)]
		file := files[r.IntN(len(files))]
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		at, bit := r.IntN(len(data)), byte(1+r.IntN(255))
		data[at] ^= bit
		damaged := filepath.Join(g.stick, "damaged"+strconv.Itoa(i)+filepath.Ext(file))
		if err := os.WriteFile(damaged, data, 0o644); err != nil {
			t.Fatal(err)
		}
		set := slices.Clone(files)
		set[slices.Index(set, file)] = damaged
		b, err := bundle.Open(known, set...)
		if err == nil {
			err = errors.Join(b.Verify(t.Context(), bundle.VerifyOptions{Temp: g.stick}), b.Close())
		}
		if err != nil {
			found++
		} else {
			t.Errorf("%s: byte %d, changed by %#x, is not found", filepath.Base(file), at, bit)
		}
		// The whole way costs more, and is tried now and then.
		if i%(tries/60) == 0 {
			looked++
			if _, err := Import(t.Context(), g.far.Config, Options{}, ImportOptions{Force: true}, set...); err == nil || Status(err) == 1 {
				t.Errorf("%s: byte %d, changed by %#x: Import: %v", filepath.Base(file), at, bit, err)
			}
		}
		if err := os.Remove(damaged); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of %d damaged bundles were found, %d by import itself", found, tries, looked)
	if d := before.differences(photograph(t, g.far.path("site")), g.far.dir); len(d) > 0 {
		t.Errorf("changed: %q", d)
	}
	for _, files := range bundles {
		g.far.imports(0, files...)
	}
}

// A forger has a key that the far side trusts, and signs what it likes.
type forger struct {
	*gap
	records []catalog.Record
	files   map[string][]byte // by member name
	lines   []transit.Line
	more    func(o *bundle.Options)
}

// add has the bundle say that a file came, and holds it.
func (f *forger) add(project, filename string, data []byte) *catalog.File {
	f.Helper()
	sums, err := intake.Digest(bytes.NewReader(data))
	if err != nil {
		f.Fatal(err)
	}
	name, err := packaging.ParseFilename(filename, packaging.Name(project))
	if err != nil {
		f.Fatal(err)
	}
	file := &catalog.File{
		Project: packaging.Name(project), Filename: filename, Version: name.Version, Kind: name.Kind, Size: int64(len(data)),
		SHA256: sums.SHA256, BLAKE2b: sums.BLAKE2b, Path: layout.File(sums.BLAKE2b, filename), Source: catalog.Local,
	}
	e := catalog.Event{Serial: int64(len(f.records) + 1), Verb: catalog.Add, Project: file.Project, Filename: filename, SHA256: file.SHA256, Source: catalog.Local}
	f.records = append(f.records, catalog.Record{Event: e, File: file})
	f.files[file.Path] = data
	f.lines = append(f.lines,
		transit.Line{Project: file.Project, Last: e.Serial},
		transit.Line{Project: file.Project, File: transit.File{Filename: filename, SHA256: file.SHA256, Size: file.Size}})
	return file
}

// write writes the bundle.
func (f *forger) write() string {
	f.Helper()
	own, err := f.near.Keys().Own()
	if err != nil {
		f.Fatal(err)
	}
	var leaves []tilelog.Hash
	var list, listing []byte
	var enc record.Encoder
	for i := range f.records {
		leaf, err := enc.Encode(&f.records[i])
		if err == nil {
			leaves = append(leaves, tilelog.LeafHash(leaf))
			list, err = transit.AppendRecord(list, leaf)
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	for _, l := range f.lines {
		listing = transit.AppendLine(listing, l)
	}
	root, _, err := tilelog.Extend(0, nil, leaves)
	if err != nil {
		f.Fatal(err)
	}
	to := int64(len(leaves))
	signed, err := tilelog.Sign(tilelog.Checkpoint{Origin: own.Name, Size: to, Root: root}, own.Signer)
	if err != nil {
		f.Fatal(err)
	}
	o := bundle.Options{Signer: own.Signer, Header: bundle.Header{Origin: own.Name, Key: own.Verifier, Tag: "far", Fields: []bundle.Field{
		{Key: "from", Value: "0"}, {Key: "to", Value: strconv.FormatInt(to, 10)}, {Key: "scope", Value: "all"}, {Key: "root", Value: root.String()},
	}}}
	members := map[string][]byte{"checkpoint": signed, "edge": nil, "records": list, "listing": listing}
	for name, data := range f.files {
		members[name] = data
	}
	for name, data := range members {
		o.Members = append(o.Members, forgedMember(name, data))
	}
	if f.more != nil {
		f.more(&o)
	}
	path := filepath.Join(f.TempDir(), "forged.tar")
	if _, err := bundle.Write(f.Context(), path, o); err != nil {
		f.Fatal(err)
	}
	return path
}

func forgedMember(name string, data []byte) bundle.Member {
	return bundle.Member{Name: name, Size: int64(len(data)), SHA256: sha256.Sum256(data),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// replace puts other bytes in the place of a member.
func replace(o *bundle.Options, name string, data []byte) {
	o.Members = slices.DeleteFunc(o.Members, func(m bundle.Member) bool { return m.Name == name })
	if data != nil {
		o.Members = append(o.Members, forgedMember(name, data))
	}
}

// Whoever has the key of a site that is trusted can say what that site could, and
// nothing else: what does not hold together is refused whole, and what no gate lets in
// stays out.
func TestWhatATrustedForgerCanDo(t *testing.T) {
	t.Parallel()
	field := func(key, value string) func(*bundle.Options) {
		return func(o *bundle.Options) {
			for i := range o.Header.Fields {
				if o.Header.Fields[i].Key == key {
					o.Header.Fields[i].Value = value
				}
			}
		}
	}
	for _, tt := range []struct {
		name   string
		forge  func(f *forger)
		refuse string // what the refusal says; empty for one that is taken in
		out    string // what is told of what stays out
	}{
		{name: "nothing wrong", forge: func(*forger) {}},
		{name: "a path out of the store", forge: func(f *forger) { f.records[0].File.Path = "../../../etc/cron.d/a-1.0-py3-none-any.whl" }, refuse: "path"},
		{name: "a path of another file", forge: func(f *forger) {
			f.records[0].File.Path = layout.File(catalog.Digest{1}, "b-1.0-py3-none-any.whl")
		}, refuse: "path"},
		{name: "a project that is no name", forge: func(f *forger) { f.records[0].Project = "../a" }, refuse: "project"},
		{name: "a file name with a slash", forge: func(f *forger) { f.records[0].Filename = "a/../b-1.0.tar.gz" }, refuse: "a/../b-1.0.tar.gz"},
		{name: "other bytes than the records say", forge: func(f *forger) {
			f.records[0].SHA256, f.records[0].File.SHA256 = catalog.Digest{1}, catalog.Digest{1}
			f.lines[1].SHA256 = catalog.Digest{1}
		}, refuse: "its records speak of"},
		{name: "another BLAKE2b than its bytes have", forge: func(f *forger) {
			r := f.records[0].File
			r.BLAKE2b = catalog.Digest{7}
		}, refuse: "digests are not those of its record"},
		{name: "a file that is not in it", forge: func(f *forger) { clear(f.files) }, refuse: "does not have it"},
		{name: "a listing that has more", forge: func(f *forger) {
			f.lines = append(f.lines, transit.Line{Project: "a", File: transit.File{Filename: "a-2.0.tar.gz", SHA256: catalog.Digest{1}, Size: 1}})
		}, refuse: "of which the records say nothing"},
		{name: "a listing that has less", forge: func(f *forger) { f.lines = nil }, refuse: "which the records list"},
		{name: "a serial that is not the next", forge: func(f *forger) { f.records[0].Serial = 9 }, refuse: "it has the serial 9"},
		{name: "an unknown status", forge: func(f *forger) {
			f.records = append(f.records, catalog.Record{Event: catalog.Event{Serial: 2, Verb: catalog.Mark, Project: "a"}, Standing: &catalog.Standing{Status: catalog.Status{State: "blessed"}}})
		}, refuse: "status"},
		{name: "counts beyond all measure", forge: func(f *forger) { f.more = field("to", "9000000000000000000") }, refuse: "no serial"},
		{name: "more serials than records", forge: func(f *forger) { f.more = field("to", "1000000000") }, refuse: "checkpoint"},
		{name: "a number that is written oddly", forge: func(f *forger) { f.more = field("to", "+1") }, refuse: "no serial"},
		{name: "another root than is signed", forge: func(f *forger) { f.more = field("root", tilelog.Hash{1}.String()) }, refuse: "checkpoint"},
		{name: "no checkpoint", forge: func(f *forger) { f.more = func(o *bundle.Options) { replace(o, "checkpoint", nil) } }, refuse: "checkpoint"},
		{name: "no records", forge: func(f *forger) { f.more = func(o *bundle.Options) { replace(o, "records", nil) } }, refuse: "records"},
		{name: "no listing", forge: func(f *forger) { f.more = func(o *bundle.Options) { replace(o, "listing", nil) } }, refuse: "listing"},
		{name: "an edge that is none", forge: func(f *forger) {
			f.more = func(o *bundle.Options) { replace(o, "edge", transit.AppendEdge(nil, []tilelog.Hash{{1}})) }
		}, refuse: "edge"},
		{name: "hidden records in a bundle about everything", forge: func(f *forger) {
			f.more = func(o *bundle.Options) { replace(o, "records", transit.AppendHidden(nil, tilelog.Hash{1})) }
		}, refuse: "not there"},
		{name: "a scope that nobody knows", forge: func(f *forger) { f.more = field("scope", "universe") }, refuse: "does not know"},
		{name: "a name of this site", forge: func(f *forger) {
			f.records, f.lines = nil, nil
			name, data := intaketest.Wheel("mine", "2.0", plain)
			f.add("mine", name, data)
		}, out: "the name belongs to this site itself"},
		{name: "a wheel that is none", forge: func(f *forger) {
			f.records, f.lines = nil, nil
			f.add("a", "a-1.0-py3-none-any.whl", []byte("PK\x05\x06 nothing of the kind"))
		}, out: "rejected"},
		{name: "a wheel of another version", forge: func(f *forger) {
			f.records[0].File.Version = "2.0"
		}, out: "its record says"},
		{name: "a file of another project", forge: func(f *forger) {
			f.records, f.lines = nil, nil
			_, data := intaketest.Wheel("other", "1.0", plain)
			f.add("a", "a-1.0-py3-none-any.whl", data)
		}, out: "rejected"},
		{name: "metadata that is not the file's", forge: func(f *forger) {
			forged := []byte("Metadata-Version: 2.1\nName: a\nVersion: 1.0\nRequires-Dist: evil\n")
			r := f.records[0].File
			r.Metadata = sha256.Sum256(forged)
			f.files[layout.CoreMetadata(r.Path)] = forged
		}, out: "what the bundle has as its metadata"},
		{name: "a link that runs something", forge: func(f *forger) {
			f.records = append(f.records, catalog.Record{Event: catalog.Event{Serial: 2, Verb: catalog.Relink, Project: "a"}, Links: []catalog.Link{{Project: "a", URL: "javascript:alert(1)", Egg: "a"}}})
			f.lines[0].Last = 2
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGap(t)
			mine := g.far.drop("mine", "1.0", plain)
			g.far.build(0)
			f := &forger{gap: g, files: map[string][]byte{}}
			name, data := intaketest.Wheel("a", "1.0", plain)
			f.add("a", name, data)
			tt.forge(f)
			file := f.write()
			if tt.refuse != "" {
				before := photograph(t, g.far.path("site/simple"))
				_, err := Import(t.Context(), g.far.Config, Options{}, ImportOptions{Force: true}, file)
				if err == nil || !strings.Contains(err.Error(), tt.refuse) || Status(err) == 1 {
					t.Errorf("Import: %v, want %q", err, tt.refuse)
				}
				if d := before.differences(photograph(t, g.far.path("site/simple")), g.far.dir); len(d) > 0 {
					t.Errorf("changed: %q", d)
				}
				g.far.lists(mine)
				g.far.build(0)
				return
			}
			if tt.out != "" {
				done, err := Import(t.Context(), g.far.Config, Options{}, ImportOptions{}, file)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(problemText(done.Report), tt.out) || done.Report.Status == 0 {
					t.Errorf("status %d, problems:\n%s", done.Report.Status, problemText(done.Report))
				}
				g.far.checkTree()
				g.far.lists(mine)
				return
			}
			g.far.imports(0, file)
			g.far.lists(mine, name)
			if easy := g.far.read("site/easy/index.html"); strings.Contains(easy, "javascript") {
				t.Errorf("the link is listed:\n%s", easy)
			}
		})
	}
}

// The first bytes under a file name stay the only ones, whatever its source says later.
func TestNoBundleReplacesBytes(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	f := &forger{gap: g, files: map[string][]byte{}}
	name, data := intaketest.Wheel("a", "1.0", plain)
	f.add("a", name, data)
	g.far.imports(0, f.write())
	before := g.far.read("site/simple/a/index.html")
	_, other := intaketest.Wheel("a", "1.0", intaketest.Opts{Summary: "other bytes"})
	f.records = append(f.records, catalog.Record{Event: catalog.Event{Serial: 2, Verb: catalog.Withdraw, Project: "a", Filename: name}})
	f.lines = nil
	f.add("a", name, other)
	done, err := Import(t.Context(), g.far.Config, Options{}, ImportOptions{}, f.write())
	if err != nil || done.Report.Status != 6 {
		t.Fatalf("%+v, %v", done, err)
	}
	g.far.tells(done.Report, "alarm", "was first seen here with")
	if after := g.far.read("site/simple/a/index.html"); after != before {
		t.Errorf("the page says now\n%s", after)
	}
	g.far.checkTree()
}

// An import that a failing disk, or its end, stops before the catalog knows of it leaves
// the index as it was; run again, it does all of it.
func TestAnImportThatIsStopped(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	for _, n := range []string{"a", "b", "c"} {
		g.near.drop(n, "1.0", intaketest.Opts{Pad: 30_000})
	}
	g.near.build(0)
	files := g.export(ExportOptions{})
	g.far.drop("mine", "1.0", plain)
	g.far.build(0)
	before := photograph(t, g.far.path("site/simple"))
	for after := range 40 {
		ctx, stop := context.WithCancel(t.Context())
		p := &stopper{left: after, stop: stop}
		_, err := Import(ctx, g.far.Config, Options{Progress: p}, ImportOptions{}, files...)
		stop()
		if err == nil {
			if after == 0 {
				t.Fatal("it was not stopped")
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped after %d steps: %v", after, err)
		}
		if d := before.differences(photograph(t, g.far.path("site/simple")), g.far.dir); len(d) > 0 {
			t.Fatalf("stopped after %d steps, it changed %q", after, d)
		}
		g.far.checkTree()
	}
	g.far.imports(0, files...)
	g.far.build(0)
	g.far.lists("a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl", "c-1.0-py3-none-any.whl", "mine-1.0-py3-none-any.whl")
}

// What was lost of the store comes back with a bundle that has it, and the hook hears of
// what an import publishes.
func TestAnImportBringsBackWhatWasLost(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.drop("a", "1.0", plain)
	g.near.drop("b", "1.0", plain)
	g.near.build(0)
	files := g.export(ExportOptions{})
	g.far.hookScript("cat > told")
	g.far.imports(0, files...)
	if p := g.far.hears("told"); p == nil || len(p.Projects) != 2 {
		t.Errorf("the hook was told %+v", p)
	}
	stored, err := filepath.Glob(g.far.path("site/packages/*/*/*/a-1.0-py3-none-any.whl"))
	if err != nil || len(stored) != 1 {
		t.Fatal(stored, err)
	}
	if err := os.RemoveAll(filepath.Dir(stored[0])); err != nil {
		t.Fatal(err)
	}
	v, err := Verify(t.Context(), g.far.Config, Options{}, true)
	if err != nil || v.Whole() {
		t.Fatalf("Verify: %+v, %v", v, err)
	}
	g.far.imports(0, files...)
	g.same()
	if v, err = Verify(t.Context(), g.far.Config, Options{}, false); err != nil || len(v.Findings) > 0 {
		t.Errorf("Verify: %+v, %v", v, err)
	}
}

// A stopper ends a run after so many steps.
type stopper struct {
	left int
	stop func()
}

func (s *stopper) Stage(string, int64) {}
func (s *stopper) Step(int64, int64) {
	if s.left--; s.left < 0 {
		s.stop()
	}
}

// An export that fails says so, leaves no file, and the next one has everything.
func TestAnExportThatFails(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.drop("a", "1.0", plain)
	g.near.build(0)
	_, err := Export(t.Context(), g.near.Config, Options{}, ExportOptions{Tag: "far", To: filepath.Join(g.stick, "no", "such.tar")})
	if !errors.Is(err, ErrStorage) || Hint(err) == "" {
		t.Errorf("Export into nowhere: %v", err)
	}
	stored, globErr := filepath.Glob(g.near.path("site/packages/*/*/*/a-1.0-py3-none-any.whl"))
	if globErr != nil || len(stored) != 1 {
		t.Fatal(stored, globErr)
	}
	if err := os.Rename(stored[0], stored[0]+".away"); err != nil {
		t.Fatal(err)
	}
	_, err = Export(t.Context(), g.near.Config, Options{}, ExportOptions{Tag: "far", To: g.stick})
	if err == nil || !strings.Contains(err.Error(), "a-1.0-py3-none-any.whl") || !errors.Is(err, ErrStorage) {
		t.Errorf("Export without the bytes: %v", err)
	}
	if err := os.Rename(stored[0]+".away", stored[0]); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(g.stick); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	for _, tag := range []string{"", "Far", "../far", strings.Repeat("f", 65)} {
		if _, err := Export(t.Context(), g.near.Config, Options{}, ExportOptions{Tag: tag, To: g.stick}); !errors.Is(err, ErrSettings) {
			t.Errorf("tag %q: %v", tag, err)
		}
	}
	to := filepath.Join(g.stick, "named.tar")
	files := g.export(ExportOptions{To: to})
	all := int64(0)
	if _, err := Export(t.Context(), g.near.Config, Options{}, ExportOptions{Tag: "far", To: to, Since: &all}); !errors.Is(err, ErrSettings) || !errors.Is(err, fs.ErrExist) {
		t.Errorf("Export over a bundle: %v", err)
	}
	g.far.imports(0, files...)
	g.same()
}
