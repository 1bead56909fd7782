package nestgen

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"nestgen/bundle"
	"nestgen/intake/intaketest"
	"nestgen/trust"
)

// A bundle that is older than what another stream has told of a project says nothing of
// it, though it has a gap and its listing has other files.
func TestAnOlderBundleTakesNothingBack(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	some := ExportOptions{Tag: "some", Projects: []string{"x"}}
	x1 := g.near.drop("x", "1.0", plain)
	y1 := g.near.drop("y", "1.0", plain)
	g.near.build(0)
	g.far.imports(0, g.export(some)...)
	since := g.near.serial()
	y2 := g.near.drop("y", "2.0", plain)
	g.near.build(0)
	older := g.export(ExportOptions{Tag: "all", Since: &since})
	x2 := g.near.drop("x", "2.0", plain)
	g.near.build(0)
	g.far.imports(0, g.export(some)...)
	g.far.lists(x1, x2)

	done, err := Import(t.Context(), g.far.Config, Options{}, ImportOptions{Force: true}, older...)
	if err != nil || len(done.Missing) != 1 || done.Missing[0] != y1 {
		t.Fatalf("Import: %+v, %v", done, err)
	}
	g.far.lists(x1, x2, y2)
	x3 := g.near.drop("x", "3.0", plain)
	g.near.build(0)
	g.far.imports(0, g.export(some)...)
	g.far.lists(x1, x2, x3, y2)
}

// What stands beside files that are here already is read a batch at a time, as files are:
// when the end of the medium cannot be read, what was before it is in the store.
func TestWhatComesBesideFilesComesInBatches(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	long := strings.Repeat("It is described at length.\n", int(partBytes)/2/27)
	names := []string{"a", "b", "c", "d"}
	for _, n := range names {
		g.near.drop(n, "1.0", intaketest.Opts{Metadata: fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n\n%s\nThis was %[1]s.\n", n, long)})
	}
	g.near.build(0)
	g.far.imports(0, g.export(ExportOptions{})...)
	var beside []string
	for _, n := range names {
		beside = append(beside, g.far.stored(n, n+"-1.0-py3-none-any.whl")+".metadata")
	}
	for _, name := range beside {
		g.far.remove(name)
	}
	policy := ""
	for _, n := range names {
		policy += fmt.Sprintf("[[yank]]\nproject = %q\nversions = \"==1.0\"\n", n)
	}
	g.near.write("policy.toml", policy)
	g.near.Policy = g.near.path("policy.toml")
	g.near.build(0)
	file := g.export(ExportOptions{})[0]
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// The one that is read last, which is that of the last project.
	last := []byte("This was d.\n")
	medium := &fickle{t, file, int64(bytes.Index(data, last)), map[string][]byte{"copying": bytes.ToUpper(last)}}
	if _, err := Import(t.Context(), g.far.Config, Options{Progress: medium}, ImportOptions{}, file); !errors.Is(err, ErrAlarm) {
		t.Fatalf("Import: %v", err)
	}
	for i, name := range beside {
		if want := i < 2; g.far.exists(name) != want {
			t.Errorf("%s is there: %v", name, !want)
		}
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	g.far.imports(0, file)
	g.same()
}

// A key that is replaced while an export is at work is the key of that bundle still: the
// far side, which trusts it, takes the bundle in.
func TestAKeyThatIsReplacedDuringAnExport(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.drop("a", "1.0", plain)
	g.near.build(0)
	g.near.rotate()
	s, err := g.near.openBeside(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	x := &exporter{site: s, done: &Exported{}}
	if err := x.key(); err != nil {
		t.Fatal(err)
	}
	g.near.rotate()
	statements, err := x.rotations()
	if err != nil {
		t.Fatal(err)
	}
	known, err := g.far.Keys().Trusted()
	if err != nil {
		t.Fatal(err)
	}
	now, followed, err := trust.Follow([]string{known[0].Verifier}, statements)
	if err != nil || len(followed) != 1 || now[0] != x.done.Key {
		t.Errorf("from %s the rotations lead to %s, and the bundle is signed with %s: %v", known[0].ID(), now, x.done.Key, err)
	}
	g.far.imports(0, g.export(ExportOptions{})...)
	g.same()
}

// The rotations of a bundle have to lead to the key that has signed it, and no further,
// and to be about its name.
func TestRotationsThatLeadElsewhere(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.drop("a", "1.0", plain)
	g.near.build(0)
	g.far.build(0)
	before, err := g.near.Keys().Own()
	if err != nil {
		t.Fatal(err)
	}
	g.near.rotate()
	good, err := g.near.Keys().Rotations()
	if err != nil {
		t.Fatal(err)
	}
	after, err := g.near.Keys().Own()
	if err != nil {
		t.Fatal(err)
	}
	other := newWorld(t)
	link(t, other, "other.example", newWorld(t))
	other.build(0)
	other.rotate()
	foreign, err := other.Keys().Rotations()
	if err != nil {
		t.Fatal(err)
	}
	written := func(key *trust.Own, rotations []byte) string {
		f := &forger{gap: g, files: map[string][]byte{}, more: func(o *bundle.Options) {
			o.Signer, o.Header.Key, o.Header.Rotations = key.Signer, key.Verifier, rotations
		}}
		f.add("a", "a-1.0-py3-none-any.whl", []byte("it is not read"))
		return f.write()
	}
	for _, tt := range []struct {
		name      string
		key       *trust.Own
		rotations []byte
		want      string
	}{
		{"signed by the key that was given up", before, trust.JoinRotations(good), "not the one that is trusted under this name"},
		{"of another name", after, trust.JoinRotations(foreign), "not the one that is trusted under this name"},
		{"none", after, nil, "not the one that is trusted under this name"},
		{"of two names", after, trust.JoinRotations(append(foreign, good...)), "the rotations of its key"},
		{"twice", after, trust.JoinRotations(append(good, good...)), "the rotations of its key"},
		{"no rotations", after, []byte("nestgen key rotation v1\n"), "the rotations of its key"},
	} {
		t.Run(tt.name, func(t *testing.T) { g.far.refusesBundle(ErrAlarm, tt.want, written(tt.key, tt.rotations)) })
	}
	known, err := g.far.Keys().Trusted()
	if err != nil || len(known) != 1 || known[0].Verifier != before.Verifier {
		t.Errorf("trusted %v, %v", known, err)
	}

	// What was signed by the former key is refused once that was followed, and everything
	// once the key is distrusted.
	old := written(before, nil)
	g.far.imports(0, g.export(ExportOptions{})...)
	g.far.refusesBundle(ErrAlarm, "not the one that is trusted under this name", old)
	if _, err := g.far.Keys().Distrust("near.example"); err != nil {
		t.Fatal(err)
	}
	g.far.refusesBundle(ErrAlarm, "signed by a key that is not trusted here", g.export(ExportOptions{})...)
	g.far.build(0)
	g.same()
}

// A name that comes to be this site's own while a bundle is taken in stays that.
func TestANameThatIsTakenDuringAnImport(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.drop("a", "1.0", plain)
	theirs := g.near.drop("b", "1.0", plain)
	g.near.build(0)
	files := g.export(ExportOptions{})
	g.far.Uploads = g.far.path("uploads")
	g.far.build(0)
	l := g.far.join()
	name, data := intaketest.Wheel("a", "2.0", plain)
	taker := &atStage{"copying", func() {
		if err := (uploader{l, data, nil}).upload(t.Context(), name, data); err != nil {
			t.Errorf("upload: %v", err)
		}
	}}
	_, err := Import(t.Context(), g.far.Config, Options{Progress: taker}, ImportOptions{}, files...)
	if err == nil || !strings.Contains(err.Error(), "the name has gone to local") || Hint(err) == "" {
		t.Fatalf("Import: %v", err)
	}
	g.far.imports(3, files...)
	g.far.lists(name, theirs)
}

// atStage does something when a stage of a run begins.
type atStage struct {
	name string
	do   func()
}

func (a *atStage) Stage(name string, _ int64) {
	if name == a.name {
		a.do()
	}
}

func (a *atStage) Step(int64, int64) {}

// Import wants a file.
func TestAnImportOfNothing(t *testing.T) {
	t.Parallel()
	if _, err := Import(t.Context(), newWorld(t).Config, Options{}, ImportOptions{}); !errors.Is(err, ErrSettings) {
		t.Errorf("Import: %v", err)
	}
}
