package nestgen

import (
	"context"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"nestgen/catalog"
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
	own, err := w.keys().Own()
	if err != nil {
		w.Fatal(err)
	}
	s := &site{Config: w.Config}
	known, err := s.ownVerifiers()
	if err != nil {
		w.Fatal(err)
	}
	c, n, err := tilelog.Open([]byte(w.read("site/log/checkpoint")), known)
	if err != nil {
		w.Fatal(err)
	}
	if n.Sigs[0].Hash != own.Key().Hash {
		w.Errorf("signed with %08x, and the key is %08x", n.Sigs[0].Hash, own.Key().Hash)
	}
	files := map[string]bool{layout.LogCheckpoint: true, layout.LogKeys: true}
	read := func(at func(string) string) tilelog.Fetch {
		return func(_ context.Context, path string) ([]byte, error) {
			return os.ReadFile(w.path("site/" + at(path)))
		}
	}
	pasts := map[packaging.Name]*catalog.Past{}
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
	w.checkPasts(pasts)
	for t := range tilelog.All(c.Size) {
		files[layout.EventTile(t.Path())] = true
	}
	pages, err := ParsePagesRoot(c)
	if err != nil {
		w.Fatal(err)
	}
	there := map[string]catalog.Page{}
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
	w.checkPages(there, files)
}

// checkPasts holds what follows from events against the catalog.
func (w *world) checkPasts(pasts map[packaging.Name]*catalog.Past) {
	w.Helper()
	c, err := catalog.OpenReadOnly(w.catalogFile())
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	listed := 0
	for p, err := range c.Projects(w.Context()) {
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
