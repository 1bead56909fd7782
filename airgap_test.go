package nestgen

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen/bundle"
	"nestgen/intake/intaketest"
)

// gap is two sites, and a folder in which bundles are carried from one to the other.
type gap struct {
	*testing.T
	near, far *world
	stick     string
}

func newGap(t *testing.T) *gap {
	g := &gap{T: t, near: newWorld(t), far: newWorld(t), stick: t.TempDir()}
	link(t, g.near, "near.example", g.far)
	return g
}

// link has one site trust another, which it gives a key of that name.
func link(t *testing.T, near *world, name string, far *world) {
	t.Helper()
	for _, w := range []*world{near, far} {
		if err := os.MkdirAll(w.State, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	own, err := near.Keys().New(name)
	if errors.Is(err, fs.ErrExist) {
		own, err = near.Keys().Own()
	}
	if err == nil {
		_, err = far.Keys().Trust(own.Verifier)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// export writes a bundle of the stream, and gives its files.
func (g *gap) export(e ExportOptions) []string {
	g.Helper()
	return exported(g.T, g.near, g.stick, e)
}

func exported(t *testing.T, w *world, dir string, e ExportOptions) []string {
	t.Helper()
	if e.Tag == "" {
		e.Tag = "far"
	}
	if e.To == "" {
		e.To = dir
	}
	done, err := Export(t.Context(), w.Config, Options{}, e)
	if err != nil {
		t.Fatalf("Export: %v", err)
	}
	var files []string
	for _, p := range done.Parts {
		files = append(files, p.Path)
	}
	return files
}

// imports takes a bundle in, and checks the exit status and the tree.
func (w *world) imports(want int, files ...string) *Imported {
	w.Helper()
	done, err := Import(w.Context(), w.Config, Options{}, ImportOptions{}, files...)
	if err != nil {
		w.Fatalf("Import: %v", err)
	}
	if done.Report.Status != want {
		w.Fatalf("Import: status %d, want %d; problems:\n%s", done.Report.Status, want, problemText(done.Report))
	}
	w.checkTree()
	return done
}

// refusesBundle has a bundle be refused, with nothing changed by it.
func (w *world) refusesBundle(end error, text string, files ...string) *Imported {
	w.Helper()
	before := photograph(w, w.path("site"))
	var done *Imported
	for _, dry := range []bool{true, false} {
		var err error
		done, err = Import(w.Context(), w.Config, Options{DryRun: dry}, ImportOptions{}, files...)
		if !errors.Is(err, end) || !strings.Contains(err.Error(), text) || Hint(err) == "" {
			w.Errorf("Import: %v (%s); want %v with %q", err, Hint(err), end, text)
		}
	}
	if d := before.differences(photograph(w, w.path("site")), w.dir); len(d) > 0 {
		w.Errorf("changed: %q", d)
	}
	return done
}

// published gives every byte that the index consists of.
func published(t testing.TB, w *world) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, shelf := range []string{"simple", "packages", "flat", "easy", "pypi", "index.html"} {
		root := w.path("site/" + shelf)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(w.path("site"), path)
			if err != nil {
				return err
			}
			data, err := os.ReadFile(path)
			all[rel] = string(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// differ names what two sites publish differently. What the store of one still has of
// what left the index is no difference.
func differ(t testing.TB, near, far *world) (names []string) {
	t.Helper()
	a, b := published(t, near), published(t, far)
	linked := func(name string) bool {
		base := filepath.Base(name)
		for _, end := range []string{".metadata", ".asc", ".provenance"} {
			base = strings.TrimSuffix(base, end)
		}
		return !strings.HasPrefix(name, "packages/") || slices.Contains(near.listed(), base) || slices.Contains(far.listed(), base)
	}
	for name, data := range a {
		if is, ok := b[name]; is != data || !ok {
			if linked(name) {
				names = append(names, name)
			}
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok && linked(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (g *gap) same() {
	g.Helper()
	if d := differ(g, g.near, g.far); len(d) > 0 {
		g.Fatalf("near and far differ in %q", d)
	}
}

// A bundle with everything makes of an empty site what the other one is, and what is
// done here by policy stays.
func TestAnEmptySiteBecomesAsTheOther(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.drop("a", "1.0", plain)
	g.near.drop("Big.Name", "2.0", intaketest.Opts{Pad: 100_000})
	g.near.build(0)
	files := g.export(ExportOptions{})
	g.far.imports(0, files...)
	g.same()
	g.far.build(0)
	g.same()
	again := g.far.imports(0, files...)
	if !again.Nothing {
		t.Errorf("a bundle that is repeated is news: %+v", again)
	}
	g.same()
}

// Ten rounds: files come and go, yanks, statuses, names that are new, a bundle that is
// lost, one that is repeated. After each the far side is, byte for byte, what the near
// side was.
func TestTenRounds(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.write("policy.toml", "")
	rule := ""
	var last []string
	carry := func(e ExportOptions) {
		t.Helper()
		last = g.export(e)
		g.far.imports(0, last...)
		g.same()
	}
	names := []string{"a", "Big.Name", "c", "d", "e"}
	var here []string
	for _, n := range names {
		for _, v := range []string{"1.0", "2.0"} {
			here = append(here, g.near.drop(n, v, plain))
		}
	}
	g.near.build(0)
	carry(ExportOptions{})

	g.near.drop("a", "3.0", plain) // round 2: one more
	g.near.build(0)
	carry(ExportOptions{Zstd: true})

	g.near.remove("drop/" + here[1]) // round 3: one less
	rule += "[[yank]]\nproject = \"c\"\nversions = \"==1.0\"\nreason = \"it <bites>\"\n"
	g.near.write("policy.toml", rule)
	g.near.build(0)
	carry(ExportOptions{})

	rule += "[[status]]\nproject = \"d\"\nstatus = \"deprecated\"\nreason = \"use e\"\n[[block]]\nproject = \"e\"\nversions = \"==1.0\"\nreason = \"no\"\n"
	g.near.write("policy.toml", rule) // round 4: a status, and something forbidden
	g.near.build(0)
	carry(ExportOptions{})

	carry(ExportOptions{}) // round 5: nothing
	if done := g.far.imports(0, last...); !done.Nothing {
		t.Errorf("an empty bundle is news: %+v", done)
	}

	// Round 6 is lost.
	g.near.drop("f", "1.0", plain)
	g.near.drop("a", "4.0", plain)
	g.near.remove("drop/" + here[4])
	g.near.build(0)
	g.export(ExportOptions{})

	// Round 7 is refused, and its acknowledgement has round 8 bring both.
	g.near.write("policy.toml", "")
	g.near.drop("c", "3.0", plain)
	g.near.build(0)
	lost := g.export(ExportOptions{})
	done := g.far.refusesBundle(ErrSettings, "are missing", lost...)
	if len(done.Ack) == 0 {
		t.Fatal("no acknowledgement")
	}
	back, err := Acknowledge(t.Context(), g.near.Config, Options{}, done.Ack)
	if err != nil || back.Serial >= back.Before {
		t.Fatalf("Acknowledge: %+v, %v", back, err)
	}
	carry(ExportOptions{Split: bundle.MinSplit})
	if again := g.far.imports(0, lost...); !again.Nothing {
		t.Errorf("the bundle that was late is news: %+v", again)
	}
	g.same()

	g.near.remove("drop/f-1.0-py3-none-any.whl") // round 9: a project goes
	g.near.build(0)
	carry(ExportOptions{})

	g.near.write("drop/f-1.0-py3-none-any.whl", string(wheelData("f", "1.0"))) // round 10: it comes back
	g.near.build(0)
	carry(ExportOptions{})
	g.far.build(0)
	g.same()
	r, err := Verify(t.Context(), g.far.Config, Options{}, false)
	if err != nil || len(r.Findings) > 0 {
		t.Errorf("Verify: %+v, %v", r, err)
	}
}

func wheelData(name, version string) []byte {
	_, data := intaketest.Wheel(name, version, plain)
	return data
}
