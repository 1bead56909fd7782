package generate_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"nestgen/advisory"
	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/provenance"
)

var update = flag.Bool("update", false, "rewrite the trees in testdata")

// Each archive of testdata has a sentence about what it shows, the settings
// and the catalog, and then the pages that come of them.
func TestGolden(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives in testdata", err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			in := parseInput(t, ar)
			pages := in.render(t)

			out := &txtar.Archive{Comment: ar.Comment}
			want := map[string]string{}
			for _, f := range ar.Files {
				if f.Name == "site.json" || f.Name == "catalog.json" {
					out.Files = append(out.Files, f)
				} else {
					want[f.Name] = string(f.Data)
				}
			}
			for _, path := range slices.Sorted(maps.Keys(pages)) {
				out.Files = append(out.Files, txtar.File{Name: path, Data: []byte(pages[path])})
			}
			if *update {
				if err := os.WriteFile(name, txtar.Format(out), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, map[string]string(pages)); diff != "" {
				t.Errorf("pages differ (-want +got); look, then make golden:\n%s", diff)
			}
		})
	}
}

// Every page of every archive keeps the rules, whatever the archives say.
func TestGoldenPagesKeepTheRules(t *testing.T) {
	archives, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range archives {
		ar, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		in := parseInput(t, ar)
		for path, page := range in.render(t) {
			checkPage(t, filepath.Base(name)+":"+path, path, []byte(page))
		}
	}
}

// An input is what an archive gives: settings, and projects by name.
type input struct {
	site     generate.Site
	index    generate.IndexPages
	projects []*catalog.Project
	held     []catalog.Hold
	hasHeld  bool // the pages of what is held are made
	events   []catalog.Event
	counted  *generate.Statistics
	tagged   []catalog.Tagged
}

func parseInput(t *testing.T, ar *txtar.Archive) *input {
	t.Helper()
	var site struct {
		Title, Base, Version     string
		People, Legacy, Releases bool
		Advised                  bool
		Changes                  string
		Index                    []string
	}
	var cat struct {
		Projects  []projectJSON
		Held      []holdJSON
		Events    []eventJSON
		Snapshots []snapshotJSON

		Statistics *generate.Statistics
	}
	for _, f := range ar.Files {
		var into any
		switch f.Name {
		case "site.json":
			into = &site
		case "catalog.json":
			into = &cat
		default:
			continue
		}
		dec := json.NewDecoder(bytes.NewReader(f.Data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(into); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
	}
	in := &input{site: generate.Site{
		Title: site.Title, BaseURL: site.Base, Version: site.Version,
		People: site.People, Legacy: site.Legacy, Releases: site.Releases, Advised: site.Advised,
	}}
	for _, page := range site.Index {
		which, ok := map[string]generate.IndexPages{
			"root": generate.Root, "flat": generate.Flat, "easy": generate.Easy, "front": generate.Front,
		}[page]
		if !ok {
			t.Fatalf("site.json: no page %q", page)
		}
		in.index |= which
		in.site.Has = in.index
	}
	for _, p := range cat.Projects {
		in.projects = append(in.projects, p.project(t))
	}
	in.counted, in.site.Statistics = cat.Statistics, cat.Statistics != nil
	in.hasHeld = cat.Held != nil
	for _, h := range cat.Held {
		in.held = append(in.held, h.hold(t))
	}
	in.site.Held = len(in.held)
	in.site.Changes = map[string]generate.ChangesOf{"site": generate.SiteChanges, "projects": generate.ProjectChanges}[site.Changes]
	for i, e := range cat.Events {
		in.events = append(in.events, e.event(t, int64(i+1)))
	}
	for _, s := range cat.Snapshots {
		in.tagged = append(in.tagged, s.tagged(t))
	}
	return in
}

// An eventJSON is an event as the archives write it.
type eventJSON struct {
	Time           string
	Verb           catalog.Verb
	Project        packaging.Name
	Filename       string
	Source, Reason string
}

func (j eventJSON) event(t *testing.T, serial int64) catalog.Event {
	t.Helper()
	at, err := time.Parse(time.RFC3339, j.Time)
	if err != nil {
		t.Fatal(err)
	}
	e := catalog.Event{Serial: serial, Time: at.UnixMicro(), Verb: j.Verb, Project: j.Project, Filename: j.Filename, Source: j.Source, Reason: j.Reason}
	if e.Filename != "" {
		e.SHA256 = sha256.Sum256([]byte(e.Filename))
	}
	return e
}

// history gives what the pages of changes are made of: all events, or those of a
// project.
func (in *input) history(t *testing.T, of packaging.Name) generate.History {
	t.Helper()
	h := generate.History{States: map[packaging.Name]catalog.State{}}
	if len(in.events) > 0 {
		h.Origin = in.events[0]
	}
	newest := func(yield func(catalog.Event, error) bool) {
		for _, e := range slices.Backward(in.events) {
			if (of == "" || e.Project == of) && !yield(e, nil) {
				return
			}
		}
	}
	for c, err := range generate.GroupChanges(newest) {
		if err != nil {
			t.Fatal(err)
		}
		h.Changes = append(h.Changes, c)
	}
	for _, p := range in.projects {
		if generate.HasPages(p) {
			h.States[p.Name] = p.Status.State
		}
	}
	return h
}

// A snapshotJSON is a snapshot as the archives write it.
type snapshotJSON struct {
	Tag, Rule, Note, Made                   string
	Serial, Projects, Files, Bytes, Lacking int64
}

func (j snapshotJSON) tagged(t *testing.T) catalog.Tagged {
	t.Helper()
	made, err := time.Parse(time.RFC3339, j.Made)
	if err != nil {
		t.Fatal(err)
	}
	return catalog.Tagged{
		Tag: j.Tag, Serial: j.Serial, Time: made.UnixMicro(), Rule: j.Rule, Note: j.Note,
		Counts: catalog.Counts{Projects: j.Projects, Files: j.Files, Bytes: j.Bytes}, Lacking: j.Lacking,
	}
}

// A holdJSON is a file that is held as the archives write it.
type holdJSON struct {
	Project              packaging.Name
	Filename, Version    string
	Source, Rule, Reason string
	Uploaded, Until      string
}

func (j holdJSON) hold(t *testing.T) catalog.Hold {
	t.Helper()
	at := func(s string) int64 {
		if s == "" {
			return 0
		}
		u, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return u.UnixMicro()
	}
	return catalog.Hold{Project: j.Project, Filename: j.Filename, Version: j.Version, Source: j.Source, Rule: j.Rule, Reason: j.Reason, Uploaded: at(j.Uploaded), Until: at(j.Until)}
}

// A projectJSON is a project as the archives write it.
type projectJSON struct {
	Display, Status, Reason, Note string
	Files                         []struct {
		Filename, Version, Kind, Python, Uploaded string
		Size                                      int64
		Yanked                                    any // true or the reason
		Source, Publisher                         string
		Metadata, Signed, Provenance, Announced   bool
	}
	Links      []struct{ URL, Egg, Version string }
	Advisories []json.RawMessage // in the OSV format
}

func (j projectJSON) project(t *testing.T) *catalog.Project {
	t.Helper()
	n, err := packaging.ParseName(j.Display)
	if err != nil {
		t.Fatal(err)
	}
	p := &catalog.Project{
		Name: n, Display: j.Display, Note: j.Note,
		Status: catalog.Status{State: catalog.State(j.Status), Reason: j.Reason},
	}
	for _, f := range j.Files {
		file := newFile(n, f.Filename, f.Version, kindOf(t, f.Kind))
		file.Size, file.RequiresPython, file.Signed, file.Provenance = f.Size, f.Python, f.Signed, f.Provenance
		if file.Announced = f.Announced; f.Announced {
			file.BLAKE2b = catalog.Digest{}
		}
		if f.Metadata {
			file.Metadata = sha256.Sum256([]byte(f.Filename + " metadata"))
		}
		if f.Uploaded != "" {
			at, err := time.Parse(time.RFC3339, f.Uploaded)
			if err != nil {
				t.Fatal(err)
			}
			file.Uploaded = at.UnixMicro()
		}
		switch y := f.Yanked.(type) {
		case bool:
			file.Yanked.Yanked = y
		case string:
			file.Yanked = catalog.Yank{Yanked: true, Reason: y}
		}
		if f.Source != "" {
			file.Source = f.Source
		}
		if f.Publisher != "" {
			file.Publisher = provenance.Publisher{Kind: "GitHub", Repository: f.Publisher, Workflow: "release.yml"}
		}
		p.Files = append(p.Files, file)
	}
	for _, data := range j.Advisories {
		parsed, err := advisory.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		p.Advisories = append(p.Advisories, parsed.Records[n])
	}
	for _, l := range j.Links {
		p.Links = append(p.Links, catalog.Link{Project: n, URL: l.URL, Egg: l.Egg, Version: l.Version})
	}
	return p
}

func kindOf(t *testing.T, s string) packaging.Kind {
	t.Helper()
	for k := packaging.Wheel; k <= packaging.DMG; k++ {
		if k.String() == s {
			return k
		}
	}
	t.Fatalf("no kind %q", s)
	return 0
}

// newFile makes a file whose digests come from its name.
func newFile(n packaging.Name, filename, version string, k packaging.Kind) catalog.File {
	blake := catalog.Digest(sha256.Sum256([]byte(filename + " blake2b")))
	return catalog.File{
		Project: n, Filename: filename, Version: version, Kind: k, Size: 1000,
		SHA256: sha256.Sum256([]byte(filename)), BLAKE2b: blake, Path: layout.File(blake, filename),
		Source: catalog.Local,
	}
}

// A tree is a sink in memory.
type tree map[string]string

func (t tree) Put(path string, data []byte) error {
	if _, ok := t[path]; ok {
		return fmt.Errorf("%s: put twice", path)
	}
	t[path] = string(data)
	return nil
}

// create makes a page of the tree that is written piece by piece.
func (t tree) create(path string) (io.WriteCloser, error) {
	return &treePage{tree: t, path: path}, nil
}

type treePage struct {
	bytes.Buffer
	tree   tree
	path   string
	closed bool
}

func (p *treePage) Close() error {
	if p.closed {
		return errors.New(p.path + ": closed twice")
	}
	p.closed = true
	return p.tree.Put(p.path, p.Bytes())
}

func (in *input) render(t *testing.T) tree {
	t.Helper()
	pages := tree{}
	for _, p := range in.projects {
		if err := in.site.Project(p, pages); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.site.Index(in.site.Whole(each(in.projects)), pages.create, nil, in.index); err != nil {
		t.Fatal(err)
	}
	if in.tagged != nil {
		if err := in.site.SnapshotsPage(in.tagged, pages); err != nil {
			t.Fatal(err)
		}
	}
	if in.hasHeld {
		if err := in.site.HeldPages(in.held, pages); err != nil {
			t.Fatal(err)
		}
	}
	if in.counted != nil {
		if err := in.site.StatisticsPages(in.counted, pages); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.site.ChangesPages(in.history(t, ""), pages); err != nil {
		t.Fatal(err)
	}
	for _, p := range in.projects {
		if err := in.site.ProjectChangesPages(p, in.history(t, p.Name), pages); err != nil {
			t.Fatal(err)
		}
	}
	return pages
}

func each(ps []*catalog.Project) iter.Seq2[*catalog.Project, error] {
	return func(yield func(*catalog.Project, error) bool) {
		for _, p := range ps {
			if !yield(p, nil) {
				return
			}
		}
	}
}
