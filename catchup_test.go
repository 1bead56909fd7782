package nestgen

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
)

// behindLog gives a site whose catalog comes from a backup, and how many events its
// published log has.
func behindLog(t *testing.T) (w *world, published int64) {
	w = builtWorld(t)
	restore := w.backUp()
	w.drop("b", "1.0", plain)
	w.drop("c", "1.0", plain)
	published = w.build(0).Serial
	restore()
	return w, published
}

// Whoever is the first to write to a catalog from a backup takes over what the
// published log has, be it no build.
func TestAllThatWriteCatchUp(t *testing.T) {
	t.Parallel()
	t.Run("rotate", func(t *testing.T) {
		w, n := behindLog(t)
		if r := w.rotate(); r.Event != n+1 {
			t.Errorf("%+v; want event %d", r, n+1)
		}
		w.checkLog()
	})
	t.Run("promote", func(t *testing.T) {
		w := newWorld(t)
		w.index(Index{Name: "prod", Prefix: "prod"})
		w.drop("a", "1.0", plain)
		w.build(0)
		restore := w.backUp()
		w.drop("b", "1.0", plain)
		n := w.build(0).Serial
		restore()
		w.promote(rootIndex, "prod", "a")
		w.checkLog()
		if r := w.build(0); r.Serial != n+1 {
			t.Errorf("serial %d, want %d", r.Serial, n+1)
		}
	})
	t.Run("file", func(t *testing.T) {
		a, b := wheelFile(t, "a", "1.0"), wheelFile(t, "b", "1.0")
		w := lazy(t, "fetch", fetchtest.New(t, a, b))
		w.ask(w.join(), "a", 0)
		w.build(0)
		restore := w.backUp()
		w.ask(w.join(), "b", 0)
		n := w.build(0).Serial
		restore()
		if _, err := w.fetch(w.join(), w.pathOf("a", a.Filename)); err != nil {
			t.Fatal(err)
		}
		if r := w.build(0); r.Serial != n+1 {
			t.Errorf("serial %d, want %d", r.Serial, n+1)
		}
		w.checkLog()
	})
}

// A rotation that was taken over from the log is not noted again.
func TestARotationThatWasTakenOver(t *testing.T) {
	t.Parallel()
	w := builtWorld(t)
	restore := w.backUp()
	r := w.rotate()
	restore()
	if got := w.build(0); got.Serial != r.Event || len(w.rotations()) != 1 {
		t.Errorf("serial %d, want %d; %q", got.Serial, r.Event, w.rotations())
	}
	w.checkLog()
}

// A catalog that is behind a log that cannot be followed is not written to.
func TestALogThatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	for _, spoil := range []func(w *world){
		func(w *world) {
			if err := os.Chmod(w.path("state/keys/own"), 0o644); err != nil {
				w.Fatal(err)
			}
		},
		func(w *world) { w.remove("state/keys/own") },
		func(w *world) { w.force("site/log/tile/entries/000.p/3", "x") },
	} {
		w, n := behindLog(t)
		spoil(w)
		for range 2 {
			if _, err := Build(t.Context(), w.Config, Options{}); Status(err) != 6 || Hint(err) == "" {
				t.Errorf("%v", err)
			}
		}
		if _, err := RotateKey(t.Context(), w.Config, Options{}); err == nil {
			t.Error("rotated")
		}
		if serial := w.serial(); serial >= n {
			t.Errorf("serial %d", serial)
		}
		// They begin a new log.
		if _, err := NewLog(t.Context(), w.Config, Options{}, ""); err != nil {
			t.Fatal(err)
		}
		w.build(0)
		w.checkLog()
	}
}

// The key is lost: the log goes on with another, and people are told.
func TestALostKey(t *testing.T) {
	t.Parallel()
	w := builtWorld(t)
	w.remove("state/keys")
	w.tells(w.build(0), "warning", "another key than")
	w.checkLog()
	w.build(0)
}

// A record that was abridged is taken over as the log has it.
func TestAbridgedRecordsAreTakenOver(t *testing.T) {
	t.Parallel()
	w := builtWorld(t)
	restore := w.backUp()
	w.write("policy.toml", "[[yank]]\nproject = \"a\"\nreason = \""+strings.Repeat("broken ", 10000)+"\"\n")
	n := w.build(0).Serial
	if leaf := w.read("site/log/tile/entries/000.p/2"); !strings.Contains(leaf, `"abridged":true`) {
		t.Fatalf("%d bytes: %.200s", len(leaf), leaf)
	}
	restore()
	// The policy says the whole of it.
	if r := w.build(0); r.Serial != n+1 {
		t.Errorf("serial %d, want %d", r.Serial, n+1)
	}
	w.verifies()
}

// A site stays rolled back when its catalog comes from a backup of before that.
func TestARollbackThatWasTakenOver(t *testing.T) {
	t.Parallel()
	w := builtWorld(t)
	w.drop("a", "2.0", plain)
	w.build(0)
	restore := w.backUp()
	if _, err := Rollback(t.Context(), w.Config, Options{}, RollbackRequest{Serial: 1, Who: "alice"}); err != nil {
		t.Fatal(err)
	}
	back := w.backUp()
	n := w.serial()
	restore()
	w.held()
	w.lists(a1)
	if held, err := RolledBack(t.Context(), w.Config); err != nil || held == nil || held.Serial != 1 || held.By != "somebody" || w.serial() != n {
		t.Errorf("%+v, %v; serial %d", held, err, w.serial())
	}
	w.checkLog()
	if _, err := EndRollback(t.Context(), w.Config, Options{}, "bob"); err != nil {
		t.Fatal(err)
	}
	back()
	w.build(0)
	w.lists(a1, a2)
	w.checkLog()
}

// A site of which the whole state is lost begins anew, with another key and another log.
func TestALogThatBeginsAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		w.drop("a", fmt.Sprint(i), plain)
	}
	gone := w.drop("b", "1", plain)
	w.build(0)
	w.remove("state")
	w.remove("drop/" + gone)
	w.build(0, Options{AllowRemovals: true})
	w.checkLog()
	w.build(0)
	w.verifies()
}
