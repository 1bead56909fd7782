package nestgen

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"nestgen/catalog"
	"nestgen/intake/intaketest"
	"nestgen/trust"
)

// rotate replaces the key of the site.
func (w *world) rotate() *KeyRotation {
	w.Helper()
	r, err := RotateKey(w.Context(), w.Config, Options{})
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// rotations gives the events that tell of a new key.
func (w *world) rotations() (reasons []string) {
	w.Helper()
	for _, e := range w.history(catalog.Rotation) {
		reasons = append(reasons, e.Reason)
	}
	return reasons
}

// A rotation is an event, once, whenever the run that made it died, and also if the
// catalog or the keys come from a backup.
func TestRotationsAreEvents(t *testing.T) {
	w := newWorld(t)
	w.drop("foo", "1.0", intaketest.Opts{})
	w.build(0)
	first, err := OwnKey(w.Config) // the build has made it
	if err != nil {
		t.Fatal(err)
	}
	before := w.read("state/catalog.db")
	r := w.rotate()
	if r.Old != first.Verifier || r.Serial != 1 || r.Event != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got, want := w.rotations(), r.New+" replaces "+r.Old; len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q", got, want)
	}
	if log := w.read("site/log/keys"); log != w.read("state/keys/rotations") {
		t.Errorf("published of it is\n%s", log)
	}
	signed := w.read("site/log/checkpoint")
	if key, err := trust.ParseKey(r.New); err != nil {
		t.Error(err)
	} else if _, err := note.Open([]byte(signed), note.VerifierList(key.Note())); err != nil {
		t.Errorf("signed by another key: %v\n%s", err, signed)
	}
	if w.build(0); w.read("site/log/checkpoint") != signed {
		t.Error("there was something left to publish")
	}

	// It dies between the statement and the event.
	if _, _, err := w.Keys().Rotate(2); err != nil {
		t.Fatal(err)
	}
	w.build(0, Options{DryRun: true})
	if got := w.rotations(); len(got) != 1 {
		t.Errorf("a dry run noted it: %q", got)
	}
	for range 2 {
		if r := w.build(0); r.Serial != 3 || len(w.rotations()) != 2 {
			t.Errorf("serial %d, %q", r.Serial, w.rotations())
		}
	}

	// Or so that the next rotation finds it.
	if _, _, err := w.Keys().Rotate(3); err != nil {
		t.Fatal(err)
	}
	if r := w.rotate(); r.Event != 5 {
		t.Errorf("%+v", r)
	}
	last := w.rotations()
	if len(last) != 4 {
		t.Errorf("%q", last)
	}
	for i := 1; i < len(last); i++ {
		if from, to, _ := strings.Cut(last[i], " replaces "); !strings.HasPrefix(last[i-1], to) || from == to {
			t.Errorf("%q comes after %q", last[i], last[i-1])
		}
	}

	// The keys come from a backup: what was noted is not noted again.
	statements := w.read("state/keys/rotations")
	all, err := trust.SplitRotations([]byte(statements))
	if err != nil {
		t.Fatal(err)
	}
	rotated := w.read("state/keys/own")
	w.remove("state/keys/own")
	w.write("state/keys/rotations", string(trust.JoinRotations(all[:2])))
	w.write("state/keys/own", rotated)
	r2 := w.build(3) // it has the key of another time
	w.tells(r2, "incomplete", "the keys of the site cannot be used")
	w.write("state/keys/rotations", statements)
	if err := os.Chmod(w.path("state/keys/own"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := w.build(0); r.Serial != 5 {
		t.Errorf("noted again: %q", w.rotations())
	}

	// The catalog comes from a backup: what it does not have is noted. A log that
	// is published would be a reason not to go on.
	w.PublishLog = false
	for _, name := range []string{"state/catalog.db", "state/catalog.db-wal", "state/catalog.db-shm"} {
		w.remove(name)
	}
	w.write("state/catalog.db", before)
	w.build(0)
	if got := w.rotations(); len(got) != 4 {
		t.Errorf("%q", got)
	}
}

// Keys that somebody has to put right are told, and keep nothing from the index.
func TestBuildWithKeysThatOthersCanRead(t *testing.T) {
	w := newWorld(t)
	if _, err := OwnKey(w.Config); !errors.Is(err, ErrSettings) || Hint(err) == "" {
		t.Errorf("%v", err)
	}
	if _, err := NewKey(w.Config, "packages.example.org"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(w.path("state/keys/own"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.drop("foo", "1.0", intaketest.Opts{})
	w.tells(w.build(3), "incomplete", "lets others read")
	w.lists("foo-1.0-py3-none-any.whl")
	if _, err := RotateKey(t.Context(), w.Config, Options{}); !errors.Is(err, ErrSettings) {
		t.Errorf("%v", err)
	}
	if err := os.Chmod(w.path("state/keys/own"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.build(0)
}

// A site that was never built has keys, and no event; nothing is made for a build
// that begins anew.
func TestKeysBeforeTheFirstBuild(t *testing.T) {
	w := newWorld(t)
	o, err := NewKey(w.Config, "")
	if err != nil {
		t.Fatal(err)
	}
	if o.Name != w.KeyName() || trust.CheckName(o.Name) != nil {
		t.Errorf("%s, want %s", o.Name, w.KeyName())
	}
	if _, err := RotateKey(t.Context(), w.Config, Options{}); !errors.Is(err, ErrSettings) || !strings.Contains(err.Error(), "there is no catalog") {
		t.Errorf("%v", err)
	}
	if w.exists("state/catalog.db") || w.exists("site") {
		t.Error("a refused rotation has made something")
	}
	w.drop("foo", "1.0", intaketest.Opts{})
	w.build(0)
	if again, err := OwnKey(w.Config); err != nil || again.Verifier != o.Verifier {
		t.Errorf("%v, %v", again, err)
	}
}
