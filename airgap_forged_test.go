package nestgen

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"nestgen/bundle"
	"nestgen/catalog"
	"nestgen/intake/intaketest"
	"nestgen/layout"
	"nestgen/transit"
)

// say has the bundle say something more of a file that it has, and lists no more.
func (f *forger) say(verb catalog.Verb, file catalog.File) {
	e := catalog.Event{Serial: int64(len(f.records) + 1), Verb: verb, Project: file.Project, Filename: file.Filename, SHA256: file.SHA256, Source: catalog.Local}
	f.records = append(f.records, catalog.Record{Event: e, File: &file})
	f.lines = []transit.Line{
		{Project: file.Project, Last: e.Serial},
		{Project: file.Project, File: transit.File{Filename: file.Filename, SHA256: file.SHA256, Size: file.Size}},
	}
}

// What is here already is not taken on the word of a record either: it says the same of
// a file as the file itself, and has no file of another project.
func TestRecordsDoNotLieAboutWhatIsHere(t *testing.T) {
	t.Parallel()
	forged := []byte("Metadata-Version: 2.1\nName: a\nVersion: 1.0\nRequires-Dist: evil\n")
	for _, tt := range []struct {
		name  string
		forge func(f *forger, file *catalog.File)
		tell  string
	}{
		{"metadata", func(f *forger, file *catalog.File) {
			file.Metadata = sha256.Sum256(forged)
			f.files[layout.CoreMetadata(file.Path)] = forged
		}, "metadata"},
		{"version", func(_ *forger, file *catalog.File) { file.Version = "99" }, "version"},
		{"Python", func(_ *forger, file *catalog.File) { file.RequiresPython = "<script>" }, "<script>"},
		{"spelling", func(_ *forger, file *catalog.File) { file.Spelling = "requests" }, "spell"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGap(t)
			f := &forger{gap: g, files: map[string][]byte{}}
			name, data := intaketest.Wheel("a", "1.0", plain)
			file := *f.add("a", name, data)
			g.far.imports(0, f.write())
			before := published(t, g.far)
			tt.forge(f, &file)
			f.say(catalog.Change, file)
			done, err := Import(t.Context(), g.far.Config, Options{}, ImportOptions{}, f.write())
			if err != nil {
				t.Fatal(err)
			}
			if done.Report.Status == 0 || !strings.Contains(problemText(done.Report), tt.tell) {
				t.Errorf("status %d:\n%s", done.Report.Status, problemText(done.Report))
			}
			for name, data := range published(t, g.far) {
				if before[name] != data && !strings.HasPrefix(name, "index.html") {
					t.Errorf("%s is now\n%s", name, data)
				}
			}
		})
	}
}

// A file that is blocked here does not come back as one of a project that the other
// site has made up.
func TestAForgerListsNoFileOfAnotherProject(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	mine := g.far.drop("mine", "1.0", plain)
	g.far.write("policy.toml", "")
	g.far.build(0)
	g.far.write("policy.toml", "[[block]]\nproject = \"mine\"\nreason = \"no\"\n")
	g.far.build(0)
	f := &forger{gap: g, files: map[string][]byte{}}
	data, err := os.ReadFile(g.far.path("drop/" + mine))
	if err != nil {
		t.Fatal(err)
	}
	file := *f.add("mine", mine, data)
	f.records, f.files = nil, map[string][]byte{}
	file.Project = "evil"
	f.say(catalog.Add, file)
	done, err := Import(t.Context(), g.far.Config, Options{}, ImportOptions{}, f.write())
	if err != nil {
		t.Fatal(err)
	}
	if done.Report.Status == 0 {
		t.Errorf("nothing is told")
	}
	g.far.lists()
	for name := range published(t, g.far) {
		if strings.HasSuffix(name, mine) {
			t.Errorf("it is served: %s", name)
		}
	}
}

// A development link is found by the name behind "#egg=", which is that of its project.
func TestAForgerLinksNoOtherName(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	f := &forger{gap: g, files: map[string][]byte{}}
	name, data := intaketest.Wheel("a", "1.0", plain)
	f.add("a", name, data)
	f.records = append(f.records, catalog.Record{Event: catalog.Event{Serial: 2, Verb: catalog.Relink, Project: "a"}, Links: []catalog.Link{
		{Project: "a", URL: "git+https://forge.example/evil", Egg: "requests"},
		{Project: "a", URL: "git+https://forge.example/a", Egg: "A"},
	}})
	f.lines[0].Last = 2
	g.far.imports(0, f.write())
	easy := g.far.read("site/easy/index.html")
	if strings.Contains(easy, "requests") || !strings.Contains(easy, "forge.example/a") {
		t.Errorf("easy_install finds\n%s", easy)
	}
}

// What a stream about some projects did not tell is missing when it comes to be about
// all, and the far side does not take it for here.
func TestAStreamThatGrowsHidesNothing(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.drop("a", "1.0", plain)
	g.near.drop("b", "1.0", plain)
	g.near.build(0)
	end := g.far.imports(0, g.export(ExportOptions{Projects: []string{"a"}})...).To
	g.near.drop("c", "1.0", plain)
	g.near.build(0)
	done := g.far.refusesBundle(ErrSettings, "are missing", g.export(ExportOptions{Since: &end})...)
	if back, err := Acknowledge(t.Context(), g.near.Config, Options{}, "", done.Ack); err != nil || back.Serial != 0 {
		t.Fatalf("%+v, %v", back, err)
	}
	g.far.imports(0, g.export(ExportOptions{})...)
	g.same()
}

// Whose fault it is that a bundle cannot be taken in, the exit status says.
func TestTheStatusOfARefusal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want int
	}{
		{fmt.Errorf("state/tmp: %w: the bundle takes 9 bytes there", syscall.ENOSPC), 7},
		{fmt.Errorf("wrapped: %w", &fs.PathError{Op: "write", Path: "001.tar", Err: syscall.ENOSPC}), 7},
		{&fs.PathError{Op: "read", Path: "b.tar", Err: syscall.EIO}, 7},
		{&fs.PathError{Op: "open", Path: "b.tar", Err: syscall.ENOENT}, 2},
		{&fs.PathError{Op: "open", Path: "b.tar", Err: syscall.EACCES}, 2},
		{&bundle.MissingPartsError{}, 2},
		{&bundle.DamageError{}, 6},
		{errors.New("the signature is another"), 6},
		{context.Canceled, 130},
	} {
		err := refusedBundle(tt.err)
		if got := Status(err); got != tt.want || tt.want != 130 && Hint(err) == "" {
			t.Errorf("%v: status %d (%s), want %d", tt.err, got, Hint(err), tt.want)
		}
	}
}

// Bytes of the store that are not what they were leave no site, and no run is to blame
// for it.
func TestAnExportOfAlteredBytes(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.drop("a", "1.0", plain)
	g.near.build(0)
	stored, err := filepath.Glob(g.near.path("site/packages/*/*/*/a-1.0-py3-none-any.whl"))
	if err != nil || len(stored) != 1 {
		t.Fatal(stored, err)
	}
	data, err := os.ReadFile(stored[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err = os.Remove(stored[0]); err == nil {
		err = os.WriteFile(stored[0], data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	e := ExportOptions{Tag: "far", To: g.stick}
	if _, err := Export(t.Context(), g.near.Config, Options{}, e); !errors.Is(err, ErrAlarm) || Hint(err) == "" {
		t.Errorf("Export: %v, status %d", err, Status(err))
	}
	if left, err := os.ReadDir(g.stick); len(left) > 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
	e.Split = 1000
	if _, err := Export(t.Context(), g.near.Config, Options{}, e); !errors.Is(err, ErrSettings) {
		t.Errorf("Export: %v, status %d", err, Status(err))
	}
}
