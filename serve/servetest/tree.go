// Package servetest holds what every way of serving a site must do, as one
// table of requests and answers: package serve's handler, nginx and Apache are
// all put through it.
package servetest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/blake2b"

	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/intake/intaketest"
	"nestgen/layout"
	"nestgen/packaging"
)

// A Tree is a small site with something of everything, and with things beside
// it and in it that must never be served.
type Tree struct {
	// Dir is the site. It and everything in it can be read by any user.
	Dir string

	// Wheel, Sdist and Plus are places in the store: of a wheel that has
	// metadata and a signature, of an sdist, and of a wheel with "+" and "!"
	// in its name.
	Wheel, Sdist, Plus string

	// Odd are files in the store whose names end like something that servers
	// run, unpack or show.
	Odd []string

	// Link is a symbolic link in the store that leaves the site.
	Link string
}

// Secret is what a file says that must not be served.
const Secret = "this is not part of the site"

// NewTree makes a tree in a folder, which must exist.
func NewTree(t testing.TB, dir string) *Tree {
	t.Helper()
	tree := &Tree{Dir: dir}
	var foo, index, plus catalog.Project
	foo = catalog.Project{Name: "foo-bar", Display: "Foo.Bar"}
	index = catalog.Project{Name: "index", Display: "index"}
	plus = catalog.Project{Name: "plus", Display: "plus"}

	name, data := intaketest.Wheel("foo-bar", "1.0", intaketest.Opts{Spelling: "Foo.Bar", Pad: 3000})
	tree.Wheel = tree.store(t, &foo, name, "1.0", packaging.Wheel, data)
	tree.write(t, layout.CoreMetadata(tree.Wheel), []byte("Metadata-Version: 2.1\nName: Foo.Bar\nVersion: 1.0\n"))
	tree.write(t, layout.Signature(tree.Wheel), []byte("-----BEGIN PGP SIGNATURE-----\n"))
	name, data = intaketest.Sdist("foo-bar", "1.0", intaketest.Opts{Spelling: "Foo.Bar", Pad: 3000})
	tree.Sdist = tree.store(t, &foo, name, "1.0", packaging.Sdist, data)
	name, data = intaketest.Wheel("index", "2.0", intaketest.Opts{})
	tree.store(t, &index, name, "2.0", packaging.Wheel, data)
	name, data = intaketest.Sdist("plus", "1!2.0+local.1", intaketest.Opts{})
	tree.Plus = tree.store(t, &plus, name, "1!2.0+local.1", packaging.Sdist, data)

	site := generate.Site{People: true, Legacy: true, Releases: true, Has: generate.AllIndexPages}
	projects := []*catalog.Project{&foo, &index, &plus}
	if err := site.Assets(sink{t, tree}); err != nil {
		t.Fatal(err)
	}
	tree.write(t, layout.Asset("site.css")+".gz", tree.gzip(t, layout.Asset("site.css")))
	held := []catalog.Hold{{Project: "foo-bar", Filename: "foo_bar-2.0.tar.gz", Version: "2.0", Source: "up", Rule: "min_age", Reason: "too young", Until: 1}}
	if err := site.HeldPages(held, sink{t, tree}); err != nil {
		t.Fatal(err)
	}
	site.Changes = generate.ProjectChanges
	history := generate.History{States: map[packaging.Name]catalog.State{foo.Name: foo.Status.State}}
	if err := site.ChangesPages(history, sink{t, tree}); err != nil {
		t.Fatal(err)
	}
	if err := site.ProjectChangesPages(&foo, history, sink{t, tree}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{layout.ChangesHTML, layout.ProjectChangesAtom("foo-bar")} {
		tree.write(t, path+".gz", tree.gzip(t, path))
	}
	if err := site.StatisticsPages(&generate.Statistics{Until: "2026-11-22"}, sink{t, tree}); err != nil {
		t.Fatal(err)
	}
	for _, path := range LogFiles {
		tree.write(t, path, []byte("this is "+path+"\n"))
	}
	for _, prefix := range append([]string{""}, prefixes...) {
		site.Prefix = prefix
		if prefix != "" {
			site.Changes = generate.NoChanges
		}
		tree.index(t, &site, projects)
	}

	for _, ext := range oddExtensions() {
		data := []byte("#!/bin/sh\necho 'Content-Type: text/html'; echo; echo ran\n<!--#echo var=\"DATE_GMT\" --><?php echo 'ran' ?>" + ext)
		digest := sha256.Sum256(data)
		path := layout.File(digest, "evil-1.0."+ext)
		tree.write(t, path, data)
		tree.Odd = append(tree.Odd, path)
	}

	// What is not of the tree.
	outside := filepath.Join(filepath.Dir(dir), "outside.txt")
	if err := os.WriteFile(outside, []byte(Secret), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{".htaccess", ".git/config", "stray.html", "simple/stray.html", "simple/foo-bar/stray.txt",
		"simple/.hidden/index.html", "packages/stray", "packages/ab/stray.html", "static/.hidden", "pypi/stray", "project/foo-bar/stray.html"} {
		tree.write(t, path, []byte(Secret))
	}
	for _, path := range []string{"simple/empty", "project/empty", "pypi/empty"} {
		if err := os.MkdirAll(filepath.Join(dir, path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tree.Link = layout.File(sha256.Sum256(nil), "link-1.0.zip")
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, tree.Link)), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{tree.Link, "static/link.css"} {
		if err := os.Symlink(outside, filepath.Join(dir, path)); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

// prefixes are those that the tree has indexes below, with all that the index at the
// root has.
var prefixes = []string{"prod", "snapshots/a"}

// index writes the pages of one index.
func (tree *Tree) index(t testing.TB, site *generate.Site, projects []*catalog.Project) {
	t.Helper()
	all := func(yield func(*catalog.Project, error) bool) {
		for _, p := range projects {
			if !yield(p, nil) {
				return
			}
		}
	}
	for _, p := range projects {
		if err := site.Project(p, sink{t, tree}); err != nil {
			t.Fatal(err)
		}
	}
	create := func(path string) (io.WriteCloser, error) { return &page{path: path, tree: tree, t: t}, nil }
	if err := site.Index(site.Whole(all), create, nil, generate.AllIndexPages); err != nil {
		t.Fatal(err)
	}
	// Of the pages some have a compressed sibling and some have not.
	for _, path := range []string{layout.RootHTML, layout.RootJSON, layout.Flat, layout.Front, layout.ProjectHTML("foo-bar"), layout.ProjectJSON("foo-bar")} {
		path = layout.Below(site.Prefix, path)
		tree.write(t, path+".gz", tree.gzip(t, path))
	}
}

// store puts a file into the store and lists it in a project.
func (tree *Tree) store(t testing.TB, p *catalog.Project, name, version string, kind packaging.Kind, data []byte) string {
	digest := blake2b.Sum256(data)
	f := catalog.File{
		Project: p.Name, Filename: name, Version: version, Kind: kind, Size: int64(len(data)),
		SHA256: sha256.Sum256(data), BLAKE2b: digest, Path: layout.File(digest, name), Uploaded: 1,
	}
	p.Files = append(p.Files, f)
	tree.write(t, f.Path, data)
	return f.Path
}

// write puts a file into the tree, with a time in the past, so that a page that
// takes its place has a later one.
func (tree *Tree) write(t testing.TB, path string, data []byte) {
	t.Helper()
	file := filepath.Join(tree.Dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(file, past, past); err != nil {
		t.Fatal(err)
	}
}

// Read gives a file of the tree.
func (tree *Tree) Read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(tree.Dir, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (tree *Tree) gzip(t testing.TB, path string) []byte {
	return generate.Gzip(nil, tree.Read(t, path), generate.IndexLevel)
}

func gunzip(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

type sink struct {
	t    testing.TB
	tree *Tree
}

func (s sink) Put(path string, data []byte) error {
	s.tree.write(s.t, path, data)
	return nil
}

type page struct {
	bytes.Buffer
	path string
	tree *Tree
	t    testing.TB
}

func (p *page) Close() error {
	p.tree.write(p.t, p.path, p.Bytes())
	return nil
}

// oddExtensions are the ends of file names that a server may know something
// about: those that the system lists, and those of handlers, filters, encodings,
// languages and character sets.
func oddExtensions() []string {
	exts := strings.Fields(`cgi.zip asis asis.zip var shtml shtml.tar.gz php php.zip phtml html.zip htm html
		v1_json index.html svg xml xhtml js.zip pl py es.zip utf8.zip fr.utf8.tar.gz gz tgz tar.Z tar.bz2 tar.xz br zst map
		exe metadata json de pt-br zh-cn ee cen.zip koi8-r html.es.gz js css`)
	seen := make(map[string]bool)
	for _, e := range exts {
		seen[e] = true
	}
	data, err := os.ReadFile("/etc/mime.types") // no more than these where there is none
	if err != nil {
		return exts
	}
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		for i, e := range fields {
			if i > 0 && !seen[e] && strings.Trim(e, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == "" {
				seen[e] = true
				exts = append(exts, e)
			}
		}
	}
	return exts
}

// LogFiles are the files of the log that the tree has.
var LogFiles = []string{
	layout.LogCheckpoint, layout.LogKeys, layout.EventTile("tile/0/x001/067.p/13"),
	layout.EventTile("tile/entries/000"), layout.PageTile("tile/1/000.p/7"), layout.PageTile("tile/entries/000.p/255"),
}
