package nestgen

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"nestgen/bundle"
	"nestgen/catalog"
	"nestgen/intake/intaketest"
	"nestgen/trust"
)

// A fickle medium has other bytes at each stage of an import.
type fickle struct {
	t      *testing.T
	file   string
	at     int64
	stages map[string][]byte
}

func (f *fickle) Stage(name string, _ int64) {
	data, ok := f.stages[name]
	if !ok {
		return
	}
	file, err := os.OpenFile(f.file, os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteAt(data, f.at)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		f.t.Error(err)
	}
}

func (f *fickle) Step(int64, int64) {}

// What passes the gate is what is taken, whatever the medium answers when it is asked
// again; and what is not what was verified ends the import.
func TestAMediumThatChangesItsMind(t *testing.T) {
	t.Parallel()
	name, good := intaketest.Wheel("a", "1.0", plain)
	evil := bytes.Replace(good, []byte("PK\x05\x06"), []byte("PK\x05\x07"), 1)
	for _, tt := range []struct {
		name   string
		signed []byte // what the bundle was made of
		stages map[string][]byte
		end    error
	}{
		{"it shows a good file while that is looked at", evil, map[string][]byte{"inspecting": good, "copying": evil}, nil},
		{"it gives another file than it has shown", good, map[string][]byte{"copying": evil}, ErrAlarm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGap(t)
			mine := g.far.drop("mine", "1.0", plain)
			g.far.build(0)
			f := &forger{gap: g, files: map[string][]byte{}}
			f.add("a", name, tt.signed)
			file := f.write()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			medium := &fickle{t, file, int64(bytes.Index(data, tt.signed)), tt.stages}
			done, err := Import(t.Context(), g.far.Config, Options{Progress: medium}, ImportOptions{}, file)
			if !errors.Is(err, tt.end) || (err != nil && Hint(err) == "") {
				t.Fatalf("Import: %v, want %v", err, tt.end)
			}
			if tt.end == nil {
				g.far.tells(done.Report, "incomplete", "rejected")
			}
			g.far.checkTree()
			g.far.lists(mine)
			if left, err := os.ReadDir(g.far.path("state/stage")); err == nil && len(left) > 0 {
				t.Errorf("left in the stage: %v", left)
			}
		})
	}
}

// A bundle of a key that is not trusted is refused by its header: what follows is not
// read, be the name one that is trusted, or the key the last of some rotations.
func TestAnUnknownKeyIsRefusedByTheHeader(t *testing.T) {
	t.Parallel()
	for _, rotated := range []bool{false, true} {
		g := newGap(t)
		stranger := newWorld(t)
		link(t, stranger, "near.example", newWorld(t))
		stranger.drop("a", "1.0", intaketest.Opts{Pad: 3_000_000})
		stranger.build(0)
		if rotated {
			if _, err := RotateKey(t.Context(), stranger.Config, Options{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, zstd := range []bool{false, true} {
			file := exported(t, stranger, g.stick, ExportOptions{Zstd: zstd})[0]
			// Nothing but the beginning is there to be read.
			if err := os.Truncate(file, 1<<20); err != nil {
				t.Fatal(err)
			}
			h, err := bundle.ReadHeader(file)
			if err != nil || (len(h.Rotations) > 0) != rotated {
				t.Fatalf("%+v, %v", h, err)
			}
			g.far.drop("mine", "1.0", plain)
			g.far.build(0)
			g.far.refusesBundle(ErrAlarm, "not the one that is trusted under this name", file)
		}
	}
}

// Two sites that have given themselves one name are not taken for each other: nothing is
// taken in from either while both are trusted, and what was taken in from one is not gone
// on with by the other.
func TestTwoSitesOfOneName(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	other := newWorld(t)
	link(t, other, "near.example", newWorld(t))
	g.near.drop("a", "1.0", plain)
	other.drop("b", "1.0", plain)
	other.drop("c", "1.0", plain)
	g.near.build(0)
	other.build(0)
	g.far.imports(0, g.export(ExportOptions{})...)
	g.far.lists("a-1.0-py3-none-any.whl")

	theirs, err := other.Keys().Own()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := g.near.Keys().Own()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.far.Keys().Trust(theirs.Verifier); err != nil {
		t.Fatal(err)
	}
	g.near.drop("a", "2.0", plain)
	g.near.build(0)
	next := g.export(ExportOptions{})
	foreign := exported(t, other, t.TempDir(), ExportOptions{})
	for _, files := range [][]string{next, foreign} {
		g.far.refusesBundle(ErrSettings, "two keys are trusted under the name near.example", files...)
	}
	if _, err := g.far.Keys().Distrust(ours.Key().ID()); err != nil {
		t.Fatal(err)
	}
	g.far.refusesBundle(ErrAlarm, "the history of near.example is another", foreign...)
	if _, err := g.far.Keys().Trust(ours.Verifier); err != nil {
		t.Fatal(err)
	}
	if _, err := g.far.Keys().Distrust(theirs.Key().ID()); err != nil {
		t.Fatal(err)
	}
	g.far.imports(0, next...)
	g.same()
}

// A key that was trusted by hand beside the one that it replaces is one with it, as the
// bundle says.
func TestARotatedKeyThatIsTrustedAlready(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.drop("a", "1.0", plain)
	g.near.build(0)
	if _, err := RotateKey(t.Context(), g.near.Config, Options{}); err != nil {
		t.Fatal(err)
	}
	own, err := g.near.Keys().Own()
	if err == nil {
		_, err = g.far.Keys().Trust(own.Verifier)
	}
	if err != nil {
		t.Fatal(err)
	}
	g.far.imports(0, g.export(ExportOptions{})...)
	g.same()
	known, err := g.far.Keys().Trusted()
	if err != nil || !slices.ContainsFunc(known, func(k trust.Key) bool { return k.Verifier == own.Verifier }) || len(known) != 1 {
		t.Errorf("trusted %v, %v", known, err)
	}
}

// A bundle of a version that had the rotations inside is read as before by those who trust
// its key.
func TestABundleWithRotationsInside(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	f := &forger{gap: g, files: map[string][]byte{}, more: func(o *bundle.Options) { replace(o, "keys", []byte("nestgen key rotation v1\n")) }}
	name, data := intaketest.Wheel("a", "1.0", plain)
	f.add("a", name, data)
	g.far.imports(0, f.write())
	g.far.lists(name)
}

// The brake of an import counts files as well, as that of a build does: a bundle that
// leaves each project one file does not pass.
func TestTheBrakeOfAnImportCountsFiles(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	var go57 []string
	for _, n := range []string{"a", "b", "c"} {
		for v := range 20 {
			if name := g.near.drop(n, fmt.Sprintf("1.%d", v), plain); v > 0 {
				go57 = append(go57, name)
			}
		}
	}
	g.near.build(0)
	g.far.imports(0, g.export(ExportOptions{})...)
	for _, name := range go57 {
		g.near.remove("drop/" + name)
	}
	g.near.build(0, Options{AllowRemovals: true})
	files := g.export(ExportOptions{})
	g.far.refusesBundle(ErrAlarm, "57 of 60 files", files...)
	if _, err := Import(t.Context(), g.far.Config, Options{AllowRemovals: true}, ImportOptions{}, files...); err != nil {
		t.Fatal(err)
	}
	g.same()
}

// What the gate keeps out of a bundle does not take the place of what that withdraws: the
// brake counts once more.
func TestTheBrakeCountsWhatTheGateKeepsOut(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	f := &forger{gap: g, files: map[string][]byte{}}
	names := []string{"a", "b"}
	for _, n := range names {
		name, data := intaketest.Wheel(n, "1.0", plain)
		f.add(n, name, data)
	}
	g.far.imports(0, f.write())
	f.lines = nil
	for _, n := range names {
		f.records = append(f.records, catalog.Record{Event: catalog.Event{Serial: int64(len(f.records) + 1), Verb: catalog.Withdraw, Project: f.records[0].Project, Filename: n + "-1.0-py3-none-any.whl"}})
		f.records[len(f.records)-1].Project = f.records[slices.Index(names, n)].Project
		f.add(n, n+"-2.0-py3-none-any.whl", []byte("PK\x05\x06 nothing of the kind"))
	}
	before := published(t, g.far)
	_, err := Import(t.Context(), g.far.Config, Options{}, ImportOptions{}, f.write())
	if !errors.Is(err, ErrAlarm) || !strings.Contains(err.Error(), "2 of 2 projects") {
		t.Errorf("Import: %v", err)
	}
	for name, data := range published(t, g.far) {
		if before[name] != data {
			t.Errorf("changed: %s", name)
		}
	}
}

// A stream that comes to be about more projects, and by hand begins too late for these, is
// noticed; forced, it says what is missing, and the acknowledgement brings that.
func TestAStreamThatLeavesAPastOut(t *testing.T) {
	t.Parallel()
	for _, news := range []bool{false, true} {
		t.Run(fmt.Sprint("news of the new one: ", news), func(t *testing.T) {
			t.Parallel()
			g := newGap(t)
			g.near.drop("a", "1.0", plain)
			old := g.near.drop("b", "1.0", plain)
			g.near.build(0)
			g.far.imports(0, g.export(ExportOptions{Projects: []string{"a"}})...)
			g.far.lists("a-1.0-py3-none-any.whl")
			since, err := Export(t.Context(), g.near.Config, Options{DryRun: true}, ExportOptions{Tag: "far", Projects: []string{"a"}})
			if err != nil {
				t.Fatal(err)
			}
			g.near.drop("a", "2.0", plain)
			if news {
				g.near.drop("b", "2.0", plain)
			}
			g.near.build(0)
			both := []string{"a", "b"}
			done, err := Export(t.Context(), g.near.Config, Options{}, ExportOptions{Tag: "far", To: g.stick, Projects: both, Since: &since.To})
			if err != nil || len(done.Notes) != 1 || !strings.Contains(done.Notes[0], "is not in this bundle") {
				t.Fatalf("Export: %+v, %v", done, err)
			}
			file := done.Parts[0].Path
			refused := g.far.refusesBundle(ErrSettings, "to b is missing", file)
			if back, err := Acknowledge(t.Context(), g.near.Config, Options{DryRun: true}, "", refused.Ack); err != nil || back.Serial != 0 {
				t.Fatalf("Acknowledge what was refused: %+v, %v", back, err)
			}
			forced, err := Import(t.Context(), g.far.Config, Options{}, ImportOptions{Force: true}, file)
			if err != nil || forced.Report.Status != 3 || !slices.Equal(forced.Missing, []string{old}) || !slices.Equal(forced.Unsure, []string{"b"}) {
				t.Fatalf("Import: %+v, %v", forced, err)
			}
			if back, err := Acknowledge(t.Context(), g.near.Config, Options{}, "", forced.Ack); err != nil || back.Serial != 0 {
				t.Fatalf("Acknowledge: %+v, %v", back, err)
			}
			g.far.imports(0, g.export(ExportOptions{Projects: both})...)
			g.same()
		})
	}
}
