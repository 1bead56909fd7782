package monitor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"nestgen"
	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/intake/intaketest"
	"nestgen/layout"
	"nestgen/monitor"
	"nestgen/packaging"
	"nestgen/policy"
	"nestgen/record"
	"nestgen/tilelog"
	"nestgen/trust"
)

// A tree is a site in memory: its files by their paths.
type tree map[string][]byte

func (t tree) clone() tree { return maps.Clone(t) }

// A fixture is a site that nestgen has built, as it was after each build, and its key.
type fixture struct {
	first, tree tree
	own         *trust.Own
}

var built = sync.OnceValues(func() (*fixture, error) {
	dir, err := os.MkdirTemp("", "nestgen-monitor-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return build(dir)
})

// aSite gives the site that all tests look at, which is built once.
func aSite(t testing.TB) *fixture {
	t.Helper()
	f, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func build(dir string) (*fixture, error) {
	var faults []error
	write := func(name string, data []byte) {
		name = filepath.Join(dir, name)
		faults = append(faults, os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, data, 0o644))
	}
	drop := func(name string, data []byte) { write("drop/"+name, data) }
	write("nestgen.toml", []byte(`title = "Watched"
base_url = "https://packages.example.org/"
drop = ["drop"]
policy = "policy.toml"
gzip = true

[[index]]
name = "stage"
`))
	const yank = "[[yank]]\nproject = \"birds\"\nversions = \"==1.0\"\nreason = \"sings <wrong> & \\\"loud\\\"\"\ndate = 2026-01-31\n"
	write("policy.toml", []byte(yank))
	drop(intaketest.Wheel("birds", "1.0", intaketest.Opts{RequiresPython: ">=3.8,<4"}))
	name, data := intaketest.Sdist("Bird.Cage", "0.1", intaketest.Opts{})
	drop(name, data)
	drop(name+".asc", []byte("-----BEGIN PGP SIGNATURE-----\n\naGVsbG8=\n-----END PGP SIGNATURE-----\n"))
	drop(intaketest.Egg("eggs", "2.0", intaketest.Opts{}))
	drop(intaketest.Wheel("flies", "1.0", intaketest.Opts{}))
	drop(intaketest.Wheel("flies", "2.0", intaketest.Opts{}))
	drop(intaketest.Wheel("moths", "1.0", intaketest.Opts{}))
	drop(intaketest.Wheel("wasps", "1.0", intaketest.Opts{}))
	c, err := nestgen.Load(filepath.Join(dir, "nestgen.toml"))
	if err = errors.Join(append(faults, err, c.Resolve())...); err != nil {
		return nil, err
	}
	f := &fixture{}
	ctx := context.Background()
	for _, to := range []*tree{&f.first, &f.tree} {
		r, err := nestgen.Build(ctx, c, nestgen.Options{AllowRemovals: true})
		if err != nil {
			return nil, err
		}
		if r.Status != 0 {
			return nil, fmt.Errorf("build: status %d: %+v", r.Status, r.Problems)
		}
		if *to, err = readTree(filepath.Join(dir, "site")); err != nil {
			return nil, err
		}
		if err := to.stripLogs(); err != nil {
			return nil, err
		}
		if to == &f.tree {
			break
		}
		// From here on a snapshot and a stage have what the index has no more: a file that is
		// gone from the drop folder, and what nobody is to have.
		_, err = nestgen.CreateSnapshot(ctx, c, nestgen.Options{}, nestgen.SnapshotRequest{Tag: "first"})
		faults = append(faults, err)
		_, err = nestgen.Promote(ctx, c, nestgen.Options{}, nestgen.Promotion{From: "/", To: "stage", Targets: []policy.Target{
			{Project: "birds", Versions: "==1.0"}, {Project: "moths"}, {Project: "flies"}, {Project: "wasps"},
		}})
		faults = append(faults, err)
		drop(intaketest.Wheel("birds", "2.0", intaketest.Opts{RequiresPython: ">=3.8,<4"}))
		drop(intaketest.Wheel("worms", "1.0", intaketest.Opts{}))
		name, _ := intaketest.Wheel("moths", "1.0", intaketest.Opts{})
		faults = append(faults, os.Remove(filepath.Join(dir, "drop", name)))
		write("policy.toml", []byte(yank+"[[block]]\nproject = \"flies\"\nversions = \"==2.0\"\nreason = \"bites\"\n"+
			"[[status]]\nproject = \"wasps\"\nstatus = \"quarantined\"\nreason = \"stings\"\n"))
	}
	f.own, err = trust.Open(filepath.Join(dir, "state/keys")).Own()
	return f, errors.Join(append(faults, err)...)
}

func readTree(dir string) (tree, error) {
	t := tree{}
	return t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		t[filepath.ToSlash(rel)], err = os.ReadFile(name)
		return err
	})
}

// stripLogs leaves of the logs what the checkpoint speaks of: for those who hold the one
// before, a site keeps the tiles of that, which nobody else asks for.
func (t tree) stripLogs() error {
	text, _, _ := bytes.Cut(t[layout.LogCheckpoint], []byte("\n\n"))
	c, err := tilelog.ParseCheckpoint(string(text) + "\n")
	if err != nil {
		return err
	}
	pages, err := record.ParsePagesRoot(c)
	if err != nil {
		return err
	}
	keep := map[string]bool{layout.LogCheckpoint: true, layout.LogKeys: true}
	for tile := range tilelog.All(c.Size) {
		keep[layout.EventTile(tile.Path())] = true
	}
	for tile := range tilelog.All(pages.Size) {
		keep[layout.PageTile(tile.Path())] = true
	}
	maps.DeleteFunc(t, func(path string, _ []byte) bool { return strings.HasPrefix(path, layout.Log+"/") && !keep[path] })
	return nil
}

// write puts a tree into a folder.
func (t tree) write(tb testing.TB) (dir string) {
	tb.Helper()
	dir = tb.TempDir()
	for path, data := range t {
		name := filepath.Join(dir, filepath.FromSlash(path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, data, 0o644)); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// ServeHTTP serves a tree as a plain server of files does.
func (t tree) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	if path == "" || strings.HasSuffix(path, "/") {
		path += "index.html"
	}
	data, ok := t[path]
	if !ok {
		http.Error(w, "404 page not found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	_, _ = w.Write(data)
}

// leaves reads the leaves of a log.
func (t tree) leaves(tb testing.TB, at func(string) string, c tilelog.Checkpoint) (leaves [][]byte) {
	tb.Helper()
	err := tilelog.Verify(tb.Context(), func(_ context.Context, path string) ([]byte, error) {
		data, ok := t[at(path)]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return data, nil
	}, c, func(_ int64, leaf []byte) error {
		leaves = append(leaves, bytes.Clone(leaf))
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return leaves
}

// put writes a log anew.
func (t tree) put(tb testing.TB, at func(string) string, leaves [][]byte) (root tilelog.Hash) {
	tb.Helper()
	hashes := make([]tilelog.Hash, len(leaves))
	for i, leaf := range leaves {
		hashes[i] = tilelog.LeafHash(leaf)
	}
	changed, root, err := tilelog.Append(0, tilelog.TilesFunc(func(int, int64) ([]byte, error) { return nil, nil }), hashes)
	if err != nil {
		tb.Fatal(err)
	}
	for path := range t {
		if strings.HasPrefix(path, at("tile/")) {
			delete(t, path)
		}
	}
	for _, tile := range changed {
		t[at(tile.Path())] = tile.Data
	}
	for tile := range tilelog.All(int64(len(leaves))) {
		if tile.Level != tilelog.EntriesLevel {
			continue
		}
		var bundle []byte
		for _, leaf := range leaves[tile.N*tilelog.TileWidth:][:tile.Width] {
			if bundle, err = tilelog.AppendEntry(bundle, leaf); err != nil {
				tb.Fatal(err)
			}
		}
		t[at(tile.Path())] = bundle
	}
	return root
}

// A history is all that a site has signed.
type history struct {
	events []catalog.Record
	pages  []catalog.Page
}

// forge gives the site with another history, which its own key signs.
func (f *fixture) forge(tb testing.TB, from tree, change func(h *history, t tree)) tree {
	tb.Helper()
	t := from.clone()
	c, pages := f.open(tb, t)
	var h history
	for _, leaf := range t.leaves(tb, layout.EventTile, c) {
		r, err := record.Decode(leaf)
		if err != nil {
			tb.Fatal(err)
		}
		h.events = append(h.events, r)
	}
	for _, leaf := range t.leaves(tb, layout.PageTile, tilelog.Checkpoint{Origin: c.Origin, Size: pages.Size, Root: pages.Root}) {
		p, err := record.DecodePage(leaf)
		if err != nil {
			tb.Fatal(err)
		}
		h.pages = append(h.pages, p)
	}
	change(&h, t)
	var enc record.Encoder
	var events, shown [][]byte
	for i := range h.events {
		leaf, err := enc.Encode(&h.events[i])
		if err != nil {
			tb.Fatal(err)
		}
		events = append(events, bytes.Clone(leaf))
	}
	for _, p := range h.pages {
		shown = append(shown, record.AppendPage(nil, p))
	}
	t.sign(tb, events, shown, f.own)
	return t
}

// sign writes both logs anew, and a checkpoint about them.
func (t tree) sign(tb testing.TB, events, pages [][]byte, own *trust.Own) {
	tb.Helper()
	c := tilelog.Checkpoint{Origin: own.Name, Size: int64(len(events)), Root: t.put(tb, layout.EventTile, events)}
	c.Extensions = []string{record.PagesRoot{Size: int64(len(pages)), Root: t.put(tb, layout.PageTile, pages)}.String()}
	signed, err := tilelog.Sign(c, own.Signer)
	if err != nil {
		tb.Fatal(err)
	}
	t[layout.LogCheckpoint] = signed
}

func (f *fixture) open(tb testing.TB, t tree) (tilelog.Checkpoint, record.PagesRoot) {
	tb.Helper()
	text, _, _ := bytes.Cut(t[layout.LogCheckpoint], []byte("\n\n"))
	c, err := tilelog.ParseCheckpoint(string(text) + "\n")
	if err != nil {
		tb.Fatal(err)
	}
	pages, err := record.ParsePagesRoot(c)
	if err != nil {
		tb.Fatal(err)
	}
	return c, pages
}

// publish puts a page into a forged site and its log, with its compressed copy.
func (h *history) publish(t tree, path string, data []byte) {
	t[path] = data
	if _, has := t[path+".gz"]; has {
		h.publish(t, path+".gz", generate.Gzip(nil, data, generate.PageLevel))
	}
	h.pages = append(h.pages, catalog.Page{Path: path, Size: int64(len(data)), SHA256: sum(data)})
}

// lookup gives the last record of a file.
func (h *history) lookup(tb testing.TB, n packaging.Name, version string) *catalog.Record {
	tb.Helper()
	for i, r := range slices.Backward(h.events) {
		if r.File != nil && r.Project == n && r.File.Version == version {
			return &h.events[i]
		}
	}
	tb.Fatalf("no file of %s %s", n, version)
	return nil
}

// direct answers requests by a handler, without a connection.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := newRecorder()
	d.ServeHTTP(rec, r)
	return rec.response(r), nil
}

// verify looks at a site that a handler serves.
func (f *fixture) verify(tb testing.TB, site http.Handler, o monitor.Options) *monitor.Report {
	tb.Helper()
	o.Transport = direct{site}
	r, err := monitor.Verify(tb.Context(), "https://packages.example.org/", f.own.Verifier, o)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
