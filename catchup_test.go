package nestgen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/packaging"
	"nestgen/tilelog"
	"nestgen/trust"
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

// sign has a key sign what is published as the log.
func (w *world) sign(own *trust.Own) {
	w.Helper()
	c, err := parseClaim([]byte(w.read("site/log/checkpoint")))
	if err != nil {
		w.Fatal(err)
	}
	signed, err := tilelog.Sign(c.Checkpoint, own.Signer)
	if err != nil {
		w.Fatal(err)
	}
	w.force("site/log/checkpoint", string(signed))
}

// A key that was given up has signed nothing after that, whoever has it: nothing is taken
// over from him. What it has signed before that counts.
func TestAKeyThatWasGivenUp(t *testing.T) {
	t.Parallel()
	for _, before := range []bool{true, false} {
		w := builtWorld(t)
		old, err := OwnKey(w.Config)
		if err != nil {
			t.Fatal(err)
		}
		restore := w.backUp()
		more := func() {
			w.drop("b", "1.0", plain)
			w.build(0)
		}
		if before {
			more()
		}
		remembered := w.read("state/keys/signed")
		if before {
			if _, _, err := w.Keys().Rotate(w.serial()); err != nil { // and no more, as by a run that dies
				t.Fatal(err)
			}
		} else {
			w.rotate()
			restore, remembered = w.backUp(), w.read("state/keys/signed")
			more()
			w.sign(old)
		}
		restore()
		if err := os.Chmod(w.path("state/keys/signed"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(w.path("state/keys/signed"), []byte(remembered), 0o600); err != nil {
			t.Fatal(err)
		}
		serial := w.serial()
		_, err = Build(t.Context(), w.Config, Options{})
		switch {
		case before && err != nil:
			t.Errorf("what the key has signed in its time: %v", err)
		case before:
			w.checkLog()
		case Status(err) != 6 || !strings.Contains(err.Error(), "was replaced at event") || w.serial() != serial:
			t.Errorf("%v; serial %d, want %d", err, w.serial(), serial)
		}
	}
}

// Nothing is taken over from a log that is not the one that the site has signed last, or
// is older: it could not go on from there.
func TestALogOfAnotherTime(t *testing.T) {
	t.Parallel()
	for _, older := range []bool{true, false} {
		w := builtWorld(t)
		restore := w.backUp()
		w.drop("b", "1.0", plain)
		w.build(0)
		remembered := w.read("state/keys/signed")
		if older {
			checkpoint := w.read("site/log/checkpoint")
			w.drop("c", "1.0", plain)
			w.build(0)
			remembered = w.read("state/keys/signed")
			w.force("site/log/checkpoint", checkpoint)
		} else {
			restore()
			w.remove("drop/b-1.0-py3-none-any.whl")
			w.remove("state/keys/signed")
			w.remove("site/log")
			w.drop("d", "1.0", plain)
			w.drop("e", "1.0", plain)
			w.build(0)
		}
		w.force("state/keys/signed", remembered)
		if err := os.Chmod(w.path("state/keys/signed"), 0o600); err != nil {
			t.Fatal(err)
		}
		restore()
		serial := w.serial()
		for range 2 {
			if _, err := Build(t.Context(), w.Config, Options{}); Status(err) != 6 || w.serial() != serial {
				t.Errorf("older %v: %v; serial %d, want %d", older, err, w.serial(), serial)
			}
		}
	}
}

// Pages that requests have noted, and that were not in the log yet when the catalog was
// backed up, are not taken over once more.
func TestABackupBetweenPagesAndLog(t *testing.T) {
	var files []fetchtest.File
	var names []packaging.Name
	for i := range maxTogether + 2 {
		files = append(files, wheelFile(t, fmt.Sprint("foo", i), "1.0"))
		names = append(names, packaging.Name(files[i].Project))
	}
	srv := fetchtest.New(t, files...)
	w := newAskedWorld(t, srv)
	w.Fallback.Refresh = 0
	w.build(0)
	l := w.join()
	w.recorded(l, names...)
	w.ask(l, names[0], 0)
	srv.SetFiles(append(files, wheelFile(t, "foo0", "2.0"))...)
	w.ask(l, names[0], 0)
	leaves := inCatalog(w, (*catalog.Catalog).PageLeaves)
	if size := inCatalog(w, func(c *catalog.Catalog, ctx context.Context) (int64, error) { return c.LogSize(ctx, catalog.Pages) }); size == leaves {
		t.Fatal("the log has the pages already")
	}
	restore := w.backUp()
	w.build(0)
	restore()
	w.pending = false
	w.build(0)
	w.checkLog()
}

// Whatever lies where the checkpoint was, nobody waits for it, or reads it to its end.
func TestACheckpointThatIsNone(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(path string) error{
		"pipe":   func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"device": func(path string) error { return os.Symlink("/dev/zero", path) },
		"large":  func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := builtWorld(t)
			w.remove("site/log/checkpoint")
			if err := put(w.path("site/log/checkpoint")); err != nil {
				t.Fatal(err)
			}
			w.drop("b", "1.0", plain)
			if name == "pipe" { // which is nothing that pages take the place of
				if _, err := Build(t.Context(), w.Config, Options{}); err == nil || !strings.Contains(err.Error(), "site/log/checkpoint") {
					t.Errorf("%v", err)
				}
				w.remove("site/log/checkpoint")
			}
			w.build(0)
			w.checkLog()
		})
	}
}
