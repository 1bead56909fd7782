package nestgen

import (
	"errors"
	"fmt"
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
	back, err := Acknowledge(t.Context(), g.near.Config, Options{}, "", done.Ack)
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

// What is missing after a gap is named, and nothing else is lost: --force takes the
// rest, and the next bundle from the acknowledgement on has all of it.
func TestAGapThatIsForced(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.write("policy.toml", "")
	g.near.drop("a", "1.0", plain)
	g.near.drop("b", "1.0", plain)
	goes := g.near.drop("c", "1.0", plain)
	g.near.drop("c", "2.0", plain)
	g.near.build(0)
	g.far.imports(0, g.export(ExportOptions{})...)
	lost := g.near.drop("a", "2.0", plain)
	g.near.remove("drop/" + goes)
	g.near.write("policy.toml", "[[yank]]\nproject = \"b\"\nversions = \"==1.0\"\n")
	g.near.build(0)
	late := g.export(ExportOptions{})
	comes := g.near.drop("d", "1.0", plain)
	g.near.build(0)
	files := g.export(ExportOptions{})
	g.far.refusesBundle(ErrSettings, "are missing", files...)
	done, err := Import(t.Context(), g.far.Config, Options{}, ImportOptions{Force: true}, files...)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(done.Missing, []string{lost}) || !slices.Equal(done.Unsure, []string{"a", "b", "c"}) || done.Report.Status != 3 {
		t.Errorf("missing %q, unsure %q, status %d:\n%s", done.Missing, done.Unsure, done.Report.Status, problemText(done.Report))
	}
	g.far.lists("a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl", "c-2.0-py3-none-any.whl", comes)

	// A bundle that goes on from there is taken in, and the gap is not forgotten.
	g.near.drop("e", "1.0", plain)
	g.near.build(0)
	if done, err = Import(t.Context(), g.far.Config, Options{}, ImportOptions{}, g.export(ExportOptions{})...); err != nil || done.Report.Status != 3 || len(done.Missing) != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	// Nor is it by the bundle that was late: what it says of a is older than what is here of d.
	if done, err = Import(t.Context(), g.far.Config, Options{}, ImportOptions{}, late...); err != nil {
		t.Fatal(err)
	}
	if _, err := Acknowledge(t.Context(), g.near.Config, Options{}, "", done.Ack); err != nil {
		t.Fatal(err)
	}
	again := g.export(ExportOptions{})
	if done = g.far.imports(0, again...); len(done.Missing)+len(done.Unsure) > 0 {
		t.Errorf("still missing: %+v", done)
	}
	g.same()
	if done = g.far.imports(0, again...); !done.Nothing {
		t.Errorf("news: %+v", done)
	}
}

// What was imported is exported again, and the third site is as the first.
func TestAChainOfSites(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	third := newWorld(t)
	link(t, g.far, "middle.example", third)
	g.near.write("policy.toml", "")
	g.near.drop("a", "1.0", plain)
	goes := g.near.drop("b", "1.0", plain)
	g.near.drop("b", "2.0", plain)
	for round := range 3 {
		g.near.build(0)
		g.far.imports(0, g.export(ExportOptions{})...)
		third.imports(0, exported(t, g.far, g.stick, ExportOptions{Tag: "third"})...)
		if d := differ(t, g.near, third); len(d) > 0 {
			t.Fatalf("round %d: first and third differ in %q", round, d)
		}
		g.near.drop("c", []string{"1.0", "2.0", "3.0"}[round], plain)
		if round == 0 {
			g.near.remove("drop/" + goes)
			g.near.write("policy.toml", "[[yank]]\nproject = \"a\"\nversions = \"==1.0\"\nreason = \"old\"\n")
		}
	}
	p, _, err := Show(t.Context(), third.Config, "a")
	if err != nil || p.Owner != "middle.example" || p.Files[0].Source != "middle.example:local" || p.Files[0].Public() {
		t.Errorf("%+v, %v", p, err)
	}
}

// A key that was rotated is followed from the one that is trusted, and remembered.
func TestARotatedKeyIsFollowed(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.drop("a", "1.0", plain)
	g.near.build(0)
	g.far.imports(0, g.export(ExportOptions{})...)
	for _, v := range []string{"2.0", "3.0"} {
		g.near.rotate()
		g.near.drop("a", v, plain)
		g.near.build(0)
	}
	files := g.export(ExportOptions{})
	if done, err := Import(t.Context(), g.far.Config, Options{DryRun: true}, ImportOptions{}, files...); err != nil || done.Report.Added.Count != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	before, err := g.far.Keys().Trusted()
	if err != nil {
		t.Fatal(err)
	}
	g.far.imports(0, files...)
	g.same()
	after, err := g.far.Keys().Trusted()
	own, oerr := g.near.Keys().Own()
	if err = errors.Join(err, oerr); err != nil || len(after) != 1 || after[0].Verifier != own.Verifier || before[0].Verifier == own.Verifier {
		t.Errorf("trusted before %v, after %v, %v", before, after, err)
	}
}

// A bundle of somebody whom nobody trusts is not looked into; the way out is printed.
func TestAnUnknownKeyIsRefused(t *testing.T) {
	t.Parallel()
	near, far := newWorld(t), newWorld(t)
	near.drop("a", "1.0", plain)
	near.build(0)
	files := exported(t, near, t.TempDir(), ExportOptions{})
	own, err := near.Keys().Own() // the first export, or the build, has made it
	if err != nil {
		t.Fatal(err)
	}
	far.drop("mine", "1.0", plain)
	far.build(0)
	far.refusesBundle(ErrAlarm, own.Key().Fingerprint(), files...)
	_, err = Import(t.Context(), far.Config, Options{}, ImportOptions{}, files...)
	if want := "nestgen key trust '" + own.Verifier + "'"; !strings.Contains(Hint(err), want) {
		t.Errorf("hint %q, want %q", Hint(err), want)
	}
	near.refusesBundle(ErrAlarm, "this site itself", files...)
	if _, err := far.Keys().Trust(own.Verifier); err != nil {
		t.Fatal(err)
	}
	far.imports(0, files...)
	far.lists("a-1.0-py3-none-any.whl", "mine-1.0-py3-none-any.whl")
}

// The far side has projects of its own, an upstream, a policy: all of that stays.
func TestTheFarSideHasTheLastWord(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	for _, n := range []string{"mine", "dropped", "reserved-x", "asked", "shared", "excepted"} {
		g.near.drop(n, "1.0", intaketest.Opts{Summary: "of the near side"})
	}
	blocked := g.near.drop("shared", "2.0", plain)
	g.near.build(0)
	mine := g.far.drop("mine", "9.0", plain)
	g.far.Reserved = []string{"reserved-*"}
	g.far.Projects = []ProjectConfig{{Name: "excepted", Sources: "local"}}
	g.far.write("policy.toml", "[[block]]\nproject = \"shared\"\nversions = \"==2.0\"\nreason = \"it bites\"\n[[yank]]\nproject = \"shared\"\nversions = \"==1.0\"\nreason = \"see the wiki\"\n")
	g.far.build(0)
	g.far.drop("dropped", "9.0", plain)
	g.far.write("allowlist.txt", "asked\n")
	files := g.export(ExportOptions{})
	done := g.far.imports(3, files...)
	for _, n := range []string{"mine", "dropped", "reserved-x", "asked", "excepted"} {
		g.far.tells(done.Report, "incomplete", n+": not taken from near.example")
	}
	g.far.lists(mine, "shared-1.0-py3-none-any.whl")
	if y := g.far.page("shared").Files[0].Yanked; y != "see the wiki" {
		t.Errorf("yanked %v", y)
	}
	// What nobody is to have did not even come into the store.
	if found, _ := filepath.Glob(g.far.path("site/packages/*/*/*/" + blocked)); len(found) > 0 {
		t.Errorf("blocked, and in the store: %q", found)
	}
	g.far.write("allowlist.txt", "")
	g.far.remove("drop/dropped-9.0-py3-none-any.whl")

	// A build leaves what was imported alone, and takes nothing of its own under such
	// a name.
	g.far.write("policy.toml", "")
	g.far.drop("shared", "3.0", plain)
	r, err := Build(t.Context(), g.far.Config, Options{})
	if err != nil || r.Status != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	g.far.tells(r, "incomplete", "the name shared belongs to near.example")
	g.far.lists(mine, "shared-1.0-py3-none-any.whl")
	if y := g.far.page("shared").Files[0].Yanked; y != nil && y != false {
		t.Errorf("yanked %v, though nobody says so any more", y)
	}
	g.far.remove("drop/shared-3.0-py3-none-any.whl")
	g.far.build(0)

	// Now that nothing is blocked, the bundle brings it.
	g.far.Reserved, g.far.Projects = nil, nil
	g.far.imports(3, files...) // mine is still not theirs
	g.far.lists(mine, "shared-1.0-py3-none-any.whl", blocked, "dropped-1.0-py3-none-any.whl", "reserved_x-1.0-py3-none-any.whl", "asked-1.0-py3-none-any.whl", "excepted-1.0-py3-none-any.whl")
}

// A bundle by which most would vanish waits for somebody to say that it is meant.
func TestTheBrakeOfAnImport(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	var names []string
	for _, n := range []string{"a", "b", "c", "d"} {
		names = append(names, g.near.drop(n, "1.0", plain))
	}
	g.near.build(0)
	g.far.imports(0, g.export(ExportOptions{})...)
	for _, n := range names[1:] {
		g.near.remove("drop/" + n)
	}
	g.near.build(0, Options{AllowRemovals: true})
	files := g.export(ExportOptions{})
	refused := g.far.refusesBundle(ErrAlarm, "3 of 4 projects", files...)
	if back, err := Acknowledge(t.Context(), g.near.Config, Options{DryRun: true}, "", refused.Ack); err != nil || back.Serial >= back.Before {
		t.Errorf("what was refused is acknowledged: %+v, %v", back, err)
	}
	if _, err := Import(t.Context(), g.far.Config, Options{AllowRemovals: true}, ImportOptions{}, files...); err != nil {
		t.Fatal(err)
	}
	g.same()
}

// A bundle of some projects has all that these may need, and of the others no more
// than the hashes of what became of them.
func TestABundleOfSomeProjects(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.drop("app", "1.0", intaketest.Opts{RequiresDist: []string{"lib>=1", `other; sys_platform == "win32"`}})
	g.near.drop("lib", "1.0", intaketest.Opts{RequiresDist: []string{"base"}})
	g.near.drop("base", "1.0", plain)
	g.near.drop("other", "1.0", plain)
	g.near.drop("secret", "1.0", plain)
	g.near.build(0)
	some := ExportOptions{Tag: "some", Projects: []string{"App"}}
	files := g.export(some)
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "secret") {
		t.Error("the bundle speaks of a project that it is not about")
	}
	g.far.imports(0, files...)
	want := []string{"app-1.0-py3-none-any.whl", "lib-1.0-py3-none-any.whl", "base-1.0-py3-none-any.whl", "other-1.0-py3-none-any.whl"}
	g.far.lists(want...)

	// The next one goes on; when more is needed, it begins anew.
	g.near.drop("base", "2.0", plain)
	g.near.drop("secret", "2.0", plain)
	g.near.build(0)
	g.far.imports(0, g.export(some)...)
	want = append(want, "base-2.0-py3-none-any.whl")
	g.far.lists(want...)
	g.near.drop("base", "3.0", intaketest.Opts{RequiresDist: []string{"secret"}})
	g.near.build(0)
	g.far.imports(0, g.export(some)...)
	g.far.lists(append(want, "base-3.0-py3-none-any.whl", "secret-1.0-py3-none-any.whl", "secret-2.0-py3-none-any.whl")...)
	g.same()
}

// What the index was at a serial can be exported, also what it has lost since.
func TestAnExportOfWhatWas(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	goes := g.near.drop("a", "1.0", plain)
	stays := g.near.drop("b", "1.0", plain)
	then := g.near.build(0).Serial
	g.near.remove("drop/" + goes)
	g.near.drop("b", "2.0", plain)
	g.near.build(0)
	g.far.imports(0, g.export(ExportOptions{Tag: "then", Until: &then})...)
	g.far.lists(goes, stays)
	late := then + 100
	if _, err := Export(t.Context(), g.near.Config, Options{}, ExportOptions{Tag: "then", To: g.stick, Until: &late}); !errors.Is(err, ErrSettings) {
		t.Errorf("Export of what will be: %v", err)
	}
	g.near.drop("c", "1.0", plain)
	last := g.near.build(0).Serial
	other := exported(t, g.near, t.TempDir(), ExportOptions{Tag: "other"})
	if len(other) != 1 {
		t.Fatal(other)
	}
	early := ExportOptions{Tag: "other", To: g.stick, Until: &then}
	if _, err := Export(t.Context(), g.near.Config, Options{}, early); !errors.Is(err, ErrSettings) || !strings.Contains(err.Error(), fmt.Sprintf("other was exported up to serial %d", last)) || Hint(err) == "" {
		t.Errorf("Export of less than was exported: %v", err)
	}
	g.far.imports(0, g.export(ExportOptions{Tag: "then"})...) // it goes on from there
	g.same()
}

// A snapshot is exported as it stands, and what the policy forbids by now is not.
func TestASnapshotIsExported(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.write("policy.toml", "")
	goes := g.near.drop("a", "1.0", plain)
	bad := g.near.drop("b", "1.0", plain)
	var more []string
	for _, n := range []string{"c", "d", "e", "f", "g"} {
		more = append(more, g.near.drop(n, "1.0", plain))
	}
	g.near.build(0)
	if _, err := CreateSnapshot(t.Context(), g.near.Config, Options{}, SnapshotRequest{Tag: "then"}); err != nil {
		t.Fatal(err)
	}
	g.near.remove("drop/" + goes)
	later := g.near.drop("b", "2.0", plain)
	g.near.build(0)
	g.far.imports(0, g.export(ExportOptions{Tag: "lab", Snapshot: "then"})...)
	g.far.lists(slices.Concat(more, []string{goes, bad})...)
	if _, err := Export(t.Context(), g.near.Config, Options{}, ExportOptions{Tag: "lab", To: g.stick, Snapshot: "never"}); !errors.Is(err, ErrSettings) || Hint(err) == "" {
		t.Errorf("Export of a snapshot that is none: %v", err)
	}
	g.near.write("policy.toml", "[[block]]\nproject = \"b\"\nversions = \"==1.0\"\nreason = \"it bites\"\n")
	g.near.build(0)
	_, err := Export(t.Context(), g.near.Config, Options{}, ExportOptions{Tag: "other", To: g.stick, Snapshot: "then"})
	if !errors.Is(err, ErrSettings) || !strings.Contains(err.Error(), bad) {
		t.Errorf("Export of what nobody is to have: %v", err)
	}
	files := g.export(ExportOptions{Tag: "lab"})

	// While the far side is held back nothing is taken in.
	if _, err := Rollback(t.Context(), g.far.Config, Options{}, RollbackRequest{Serial: 1, Force: true}); err != nil {
		t.Fatal(err)
	}
	g.far.refusesBundle(ErrSettings, "held back", files...)
	if _, err := EndRollback(t.Context(), g.far.Config, Options{}, "ann"); err != nil {
		t.Fatal(err)
	}
	g.far.build(0) // what the rollback took is here again
	g.far.lists(slices.Concat(more, []string{goes, bad})...)
	g.far.imports(0, files...)
	g.far.lists(slices.Concat(more, []string{later})...)
	g.same()
}

// A history that was rewritten, as by a catalog from a backup, is not taken.
func TestARewrittenHistoryIsRefused(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.drop("a", "1.0", plain)
	g.near.build(0)
	backup, err := os.ReadFile(g.near.catalogFile())
	if err != nil {
		t.Fatal(err)
	}
	g.near.drop("a", "2.0", plain)
	g.near.build(0)
	short := g.far.imports(0, g.export(ExportOptions{})...).To

	// Other things happen on the near side in place of those.
	for _, f := range []string{"catalog.db-wal", "catalog.db-shm"} {
		g.near.remove("state/" + f)
	}
	g.near.write("state/catalog.db", string(backup))
	g.near.remove("site/log")
	g.near.remove("state/keys/signed")
	g.near.remove("drop/a-2.0-py3-none-any.whl")
	for _, v := range []string{"3.0", "4.0", "5.0"} {
		g.near.drop("a", v, plain)
	}
	if _, err := Build(t.Context(), g.near.Config, Options{}); err != nil {
		t.Fatal(err)
	}
	all := int64(0)
	files := g.export(ExportOptions{Since: &all})
	g.far.refusesBundle(ErrAlarm, "the history of near.example is another", files...)

	// Nor is one taken that ends before there is anything to be held against.
	for until := int64(1); until < short; until++ {
		files := g.export(ExportOptions{Tag: "early", Since: &all, Until: &until, To: filepath.Join(g.stick, fmt.Sprint(until))})
		g.far.refusesBundle(ErrSettings, "cannot be known", files...)
	}
}
