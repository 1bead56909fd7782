package nestgen

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/record"
	"nestgen/tilelog"
)

// checkLog checks what is published of the log with nothing but the site's own key:
// each file of it, that the state which follows from its events is that of the catalog,
// and that what was published last is what lies in the tree.
func (w *world) checkLog() {
	w.Helper()
	if !w.PublishLog {
		if w.exists("site/log") {
			w.Error("there is a log, which nobody wants")
		}
		return
	}
	pasts, there, files := w.readLog()
	w.checkPasts(pasts)
	w.checkPages(there, files)
}

// readLog proves the published log, and gives the projects and pages that follow from it,
// and the files that it is made of.
func (w *world) readLog() (pasts map[packaging.Name]*catalog.Past, there map[string]catalog.Page, files map[string]bool) {
	w.Helper()
	own, err := w.Keys().Own()
	if err != nil {
		w.Fatal(err)
	}
	s := &site{Config: w.Config}
	keys, err := s.ownVerifiers()
	if err != nil {
		w.Fatal(err)
	}
	c, n, err := tilelog.Open([]byte(w.read("site/log/checkpoint")), keys.known)
	if err != nil {
		w.Fatal(err)
	}
	if n.Sigs[0].Hash != own.Key().Hash {
		w.Errorf("signed with %08x, and the key is %08x", n.Sigs[0].Hash, own.Key().Hash)
	}
	files = map[string]bool{layout.LogCheckpoint: true, layout.LogKeys: true}
	read := func(at func(string) string) tilelog.Fetch {
		return func(_ context.Context, path string) ([]byte, error) {
			return os.ReadFile(w.path("site/" + at(path)))
		}
	}
	pasts = map[packaging.Name]*catalog.Past{}
	err = tilelog.Verify(w.Context(), read(layout.EventTile), c, func(index int64, leaf []byte) error {
		r, err := record.Decode(leaf)
		if err != nil {
			return err
		}
		if r.Serial != index+1 {
			w.Errorf("serial %d is leaf %d", r.Serial, index)
		}
		if r.Project == "" {
			return nil
		}
		if pasts[r.Project] == nil {
			pasts[r.Project] = catalog.NewPast(r.Project)
		}
		pasts[r.Project].Apply(&r)
		return nil
	})
	if err != nil {
		w.Error(err)
	}
	for t := range tilelog.All(c.Size) {
		files[layout.EventTile(t.Path())] = true
	}
	pages, err := record.ParsePagesRoot(c)
	if err != nil {
		w.Fatal(err)
	}
	there = map[string]catalog.Page{}
	err = tilelog.Verify(w.Context(), read(layout.PageTile), tilelog.Checkpoint{Origin: c.Origin, Size: pages.Size, Root: pages.Root}, func(_ int64, leaf []byte) error {
		p, err := record.DecodePage(leaf)
		if there[p.Path] = p; p.SHA256.IsZero() {
			delete(there, p.Path)
		}
		return err
	})
	if err != nil {
		w.Error(err)
	}
	for t := range tilelog.All(pages.Size) {
		files[layout.PageTile(t.Path())] = true
	}
	w.checkFormer(layout.EventTile, c.Size, files)
	w.checkFormer(layout.PageTile, pages.Size, files)
	return pasts, there, files
}

// checkFormer checks the partial tiles that are left of a log as it was when it was smaller,
// and adds them to the files: they are the begin of what stands in their place, and few.
func (w *world) checkFormer(at func(string) string, size int64, files map[string]bool) {
	w.Helper()
	left := map[string]int{}
	err := filepath.WalkDir(w.path("site/"+at("tile")), func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		path, _ := filepath.Rel(w.path("site"), name)
		tile, err := tilelog.ParseTile(strings.TrimPrefix(path, at("")))
		if err != nil || tile.Width == tilelog.TileWidth || files[path] {
			return nil
		}
		for now := range tilelog.All(size) {
			if now.Level == tile.Level && now.N == tile.N && strings.HasPrefix(w.read("site/"+at(now.Path())), w.read("site/"+path)) {
				files[path] = true
			}
		}
		if left[filepath.Dir(path)]++; left[filepath.Dir(path)] > keptWidths+1 {
			w.Errorf("%s: more than %d former tiles", filepath.Dir(path), keptWidths+1)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.Fatal(err)
	}
}

// checkPasts holds what follows from events against the catalog.
func (w *world) checkPasts(pasts map[packaging.Name]*catalog.Past) {
	w.Helper()
	listed := 0
	for p, err := range List(w.Context(), w.Config, rootIndex) {
		if err != nil {
			w.Fatal(err)
		}
		listed++
		if pasts[p.Name] == nil {
			w.Errorf("the log does not know %s", p.Name)
			continue
		}
		then := pasts[p.Name].Project()
		for i := range p.Files {
			p.Files[i].URL = ""
		}
		if !reflect.DeepEqual(then.Files, p.Files) || then.Status != p.Status || then.Note != p.Note || then.Display != p.Display || len(then.Links) != len(p.Links) {
			w.Errorf("%s follows from the log as\n%+v\nand the catalog has\n%+v", p.Name, then, p)
		}
	}
	for n, past := range pasts {
		if p := past.Project(); len(p.Files)+len(p.Links) > 0 {
			if listed--; listed < 0 {
				w.Errorf("the log has more projects, as %s", n)
			}
		}
	}
}

// checkPages holds what was published last at each path against the tree. Besides the
// given files there is nothing else in the rooms of the tree but the store.
func (w *world) checkPages(there map[string]catalog.Page, files map[string]bool) {
	w.Helper()
	for path, p := range there {
		data, err := os.ReadFile(w.path("site/" + path))
		if err != nil || sha256.Sum256(data) != p.SHA256 || int64(len(data)) != p.Size {
			w.Errorf("%s is not what was published last: %v", path, err)
		}
	}
	err := filepath.WalkDir(w.path("site"), func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(w.path("site"), name)
		if _, known := there[rel]; known || files[rel] || strings.HasPrefix(rel, layout.Packages+"/") {
			return nil
		}
		if room, _, _ := strings.Cut(rel, "/"); layout.IsRoom(room) {
			w.Errorf("%s is in the tree, and was not published", rel)
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
}

// A catalog from a backup takes over from the published log what happened since, so
// that the history goes on as if nothing had been.
func TestABackupCatchesUpFromTheLog(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	up := wheel("up", "1.0", plain)
	srv := fetchtest.New(t, up)
	w := newWorld(t, srv)
	w.write("allowlist.txt", "up\n")
	w.drop("a", "1.0", plain)
	gone := w.drop("b", "1.0", plain)
	w.build(0)
	restore := w.backUp()
	srv.SetFiles(up, wheel("up", "2.0", plain))
	w.write("policy.toml", "[[yank]]\nproject = \"a\"\nreason = \"broken\"\n[[status]]\nproject = \"a\"\nstatus = \"archived\"\n")
	w.drop("c", "1.0", intaketest.Opts{Spelling: "C"})
	w.remove("drop/" + gone)
	before := w.build(0).Serial
	w.checkLog()
	checkpoint, pages := w.read("site/log/checkpoint"), w.pages()
	restore()
	r := w.build(0)
	w.tells(r, "warning", "were taken over from there")
	if r.Serial != before || w.read("site/log/checkpoint") != checkpoint {
		t.Errorf("serial %d, want %d; checkpoint\n%s, want\n%s", r.Serial, before, w.read("site/log/checkpoint"), checkpoint)
	}
	if now := w.pages(); !reflect.DeepEqual(now, pages) {
		t.Error("other pages")
	}
	w.checkLog()
	w.verifies()
	w.isAsFresh()

	// It went on before anybody noticed: then nothing is signed that contradicts what
	// was.
	restore()
	signed := w.read("site/log/checkpoint")
	w.remove("state/keys/signed")
	w.PublishLog = false
	w.drop("d", "1.0", plain)
	if err := os.Rename(w.path("site/log"), w.path("log")); err != nil {
		t.Fatal(err)
	}
	w.build(0)
	w.PublishLog = true
	if err := os.Rename(w.path("log"), w.path("site/log")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w.tells(w.build(6), "alarm", "does not go on from there")
	}
	if now := w.read("site/log/checkpoint"); now != signed {
		t.Errorf("signed\n%s\nafter\n%s", now, signed)
	}
	if v := w.verify(true); len(v.Findings) == 0 || v.Whole() {
		t.Errorf("verify finds %+v", v.Findings)
	}
}

// Each kind of damage to the log is found and mended.
func TestVerifyMendsTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 300 {
		w.drop("a", fmt.Sprint(i), plain)
	}
	w.build(0)
	w.drop("b", "1", plain)
	w.build(0)
	want := digestOf(t, w.path("site"))
	c, err := parseClaim([]byte(w.read("site/log/checkpoint")))
	if err != nil {
		t.Fatal(err)
	}
	files := []string{layout.LogCheckpoint}
	for tile := range tilelog.All(c.Size) {
		files = append(files, layout.EventTile(tile.Path()))
	}
	for tile := range tilelog.All(c.pages.Size) {
		files = append(files, layout.PageTile(tile.Path()))
	}
	if len(files) < 11 {
		t.Fatalf("%q", files)
	}
	for _, f := range files {
		for _, spoil := range []func(name string){
			func(name string) { w.remove(name) },
			func(name string) {
				data := []byte(w.read(name))
				data[len(data)/2] ^= 1
				w.force(name, string(data))
			},
			func(name string) { w.force(name, w.read(name)+"x") },
		} {
			spoil("site/" + f)
			if v := w.verify(false); len(v.Findings) != 1 || v.Findings[0].Path != f {
				t.Errorf("%s: %+v", f, v.Findings)
			}
			if v := w.verify(true); !v.Whole() {
				t.Errorf("%s: not mended: %+v", f, v.Findings)
			}
			if digestOf(t, w.path("site")) != want {
				t.Errorf("%s: another tree", f)
			}
		}
	}
	w.checkLog()
}

// What the catalog says of the past cannot be changed unseen.
func TestAChangedPastIsFound(t *testing.T) {
	t.Parallel()
	for _, query := range []string{
		"UPDATE events SET time = time + 1 WHERE serial = 2",
		"UPDATE events SET time = time + 1 WHERE serial = 1",
		"UPDATE events SET facts = x'' WHERE serial = 2",
		"DELETE FROM events WHERE serial = 1",
		"UPDATE pagelog SET size = size + 1 WHERE n = 3",
		"DELETE FROM pagelog WHERE n = 0",
		"UPDATE tiles SET hashes = zeroblob(length(hashes)) WHERE log = 'events'",
	} {
		w := newWorld(t)
		w.drop("a", "1.0", plain)
		w.drop("b", "1.0", plain)
		w.build(0)
		w.query(query)
		if v := w.verify(false); len(v.Findings) == 0 {
			t.Errorf("%s: not found", query)
		}
	}
}

// The log can be switched off, and on again: it is the same then.
func TestLogOff(t *testing.T) {
	t.Parallel()
	w := builtWorld(t)
	w.checkLog()
	w.PublishLog = false
	w.drop("b", "1.0", plain)
	w.build(0)
	w.checkLog()
	w.verifies()
	w.PublishLog = true
	w.build(0)
	w.checkLog()
	w.verifies()
	if r := w.build(0); r.Pages.Written > 0 {
		t.Errorf("nothing to do, and %+v", r.Pages)
	}
}

// A catalog whose past is not what it was does not get into the published log, which has
// the right one; not by a repair either.
func TestARepairKeepsTheRightPast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.drop("a", "1.0", plain)
	w.drop("b", "1.0", plain)
	w.build(0)
	entries := w.read("site/log/tile/entries/000.p/2")
	w.query("UPDATE events SET time = time + 1 WHERE serial = 2")
	if v := w.verify(true); v.Whole() {
		t.Error("whole")
	}
	if w.read("site/log/tile/entries/000.p/2") != entries {
		t.Error("a repair has published another past")
	}
	checkpoint := w.read("site/log/checkpoint")
	w.drop("c", "1.0", plain)
	w.tells(w.build(6), "alarm", "others than those that were entered")
	if w.read("site/log/checkpoint") != checkpoint {
		t.Error("signed")
	}
}

// Hashes of the catalog that were damaged are computed anew from the entries, if these are
// the ones that were signed, and the log goes on.
func TestARepairOfHashes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 300 {
		w.drop("a", fmt.Sprint(i), plain)
	}
	w.build(0)
	want := digestOf(t, w.path("site"))
	for _, query := range []string{
		"UPDATE tiles SET hashes = zeroblob(length(hashes)) WHERE log = 'events'",
		"UPDATE tiles SET hashes = zeroblob(length(hashes)) WHERE log = 'pages' AND level = 0 AND n = 0",
		"UPDATE tiles SET hashes = zeroblob(length(hashes)) WHERE level = 1",
		"UPDATE tiles SET hashes = x'' WHERE level = 0",
		"DELETE FROM tiles",
	} {
		for _, damagedToo := range []bool{false, true} {
			w.query(query)
			if damagedToo { // what is published of them
				w.remove("site/log/tile/0/000")
			}
			if v := w.verify(false); v.Whole() {
				t.Errorf("%s: not found", query)
			}
			if v := w.verify(true); !v.Whole() {
				t.Errorf("%s: not mended: %+v", query, v.Findings)
			}
			if digestOf(t, w.path("site")) != want {
				t.Errorf("%s: another tree", query)
			}
			w.verifies()
		}
	}
	w.drop("b", "1", plain)
	w.build(0)
	w.checkLog()
}

// query changes the catalog behind everybody's back.
func (w *world) query(query string) {
	w.Helper()
	db, err := sql.Open("sqlite", w.catalogFile())
	if err == nil {
		_, err = db.Exec(query)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		w.Fatal(err)
	}
}

// Of two logs of which one forked, a repair signs none.
func TestARepairSignsNoFork(t *testing.T) {
	t.Parallel()
	w := builtWorld(t)
	checkpoint := w.read("site/log/checkpoint")
	w.query("UPDATE events SET time = time + 1 WHERE serial = 1")
	w.query("UPDATE tiles SET hashes = zeroblob(length(hashes)) WHERE log = 'events'")
	w.remove("site/log/pages/tile/0/000.p")
	if v := w.verify(true); v.Whole() {
		t.Error("whole")
	}
	if w.read("site/log/checkpoint") != checkpoint {
		t.Error("signed")
	}
}

// A run that dies when it has taken pages away, and before it has noted that, leaves it
// to the next.
func TestTakenAwayAndNotNoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.drop("a", "1.0", plain)
	gone := w.drop("a", "1.1", plain)
	w.build(0)
	w.remove("drop/" + gone)
	w.remove("site/pypi/a/1.1")
	w.build(0)
	w.checkLog()
	w.verifies()
}

// Compressed siblings that go are gone in the log too.
func TestLogOfSiblingsThatGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Gzip = true
	w.index(Index{Name: "prod", Prefix: "prod", Inherits: []string{rootIndex}})
	w.drop("a", "1.0", plain)
	w.build(0)
	w.checkLog()
	w.Gzip = false
	w.build(0)
	if w.exists("site/simple/a/index.html.gz") {
		t.Error("a sibling is left")
	}
	w.checkLog()
	w.verifies()
}

// Who has read a checkpoint can read all that it is about after the next one was
// published, and after some more if the log is still short; there are never many tiles of
// former ones, and a repair leaves them alone.
func TestWhoHoldsTheFormerCheckpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	read := func(path string) ([]byte, error) { return os.ReadFile(w.path("site/" + path)) }
	verify := func(signed string) error {
		c, err := parseClaim([]byte(signed))
		if err != nil {
			return err
		}
		fetch := func(at func(string) string) tilelog.Fetch {
			return func(_ context.Context, path string) ([]byte, error) { return read(at(path)) }
		}
		return errors.Join(
			tilelog.Verify(t.Context(), fetch(layout.EventTile), c.Checkpoint, nil),
			tilelog.Verify(t.Context(), fetch(layout.PageTile), tilelog.Checkpoint{Origin: c.Origin, Size: c.pages.Size, Root: c.pages.Root}, nil))
	}
	var held []string
	for i, files := range []int{1, 1, 1, 1, 1, 1, 1, 300, 1, 260, 600, 1} {
		for j := range files {
			w.drop("a", fmt.Sprintf("%d.%d", i, j), plain)
		}
		w.build(0)
		w.checkLog()
		held = append(held, w.read("site/log/checkpoint"))
		for back := range min(2, len(held)) {
			if err := verify(held[len(held)-1-back]); err != nil {
				t.Errorf("after build %d, the checkpoint of %d builds before: %v", i, back, err)
			}
		}
		if i == 6 {
			for _, signed := range held[2:] {
				if err := verify(signed); err != nil {
					t.Error(err)
				}
			}
		}
	}
	before := digestOf(t, w.path("site"))
	w.verifies()
	if v := w.verify(true); !v.Whole() || digestOf(t, w.path("site")) != before {
		t.Errorf("a repair of what is right: %+v", v.Findings)
	}
}

// What a run left of a smaller log that died after it had signed a larger one is nothing
// to be mended, unless it says something else.
func TestFormerTiles(t *testing.T) {
	t.Parallel()
	w := builtWorld(t)
	files := map[string]string{}
	for _, name := range []string{"tile/0/000.p/1", "tile/entries/000.p/1"} {
		files["site/log/"+name] = w.read("site/log/" + name)
	}
	w.drop("b", "1.0", plain)
	w.build(0)
	for name, data := range files {
		w.write(name, data)
	}
	w.verifies()
	for name, data := range files {
		w.write(name, "x"+data[1:])
		if v := w.verify(false); len(v.Findings) != 1 || "site/"+v.Findings[0].Path != name {
			t.Errorf("%s: %+v", name, v.Findings)
		}
		w.write(name, data)
	}
}
