package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/provenance"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newCatalog(t testing.TB) *Catalog {
	t.Helper()
	c, err := Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// aFile makes a file whose digests depend on its name and on salt.
func aFile(project packaging.Name, filename, version string, salt byte) File {
	f := File{Project: project, Filename: filename, Version: version, Kind: packaging.Wheel, Size: 10,
		Uploaded: noon.UnixMicro(), Source: Local}
	copy(f.SHA256[:], filename)
	copy(f.BLAKE2b[:], filename)
	f.SHA256[31], f.BLAKE2b[31] = salt, salt
	f.Path = layout.File(f.BLAKE2b, filename)
	return f
}

func update(t testing.TB, c *Catalog, change func(*Tx) error) {
	t.Helper()
	if err := c.Update(context.Background(), noon, change); err != nil {
		t.Fatal(err)
	}
}

func list(t testing.TB, c *Catalog, files ...File) {
	t.Helper()
	update(t, c, func(tx *Tx) error {
		for _, f := range files {
			if err := tx.Claim(f.Project, string(f.Project), f.Source); err != nil {
				return err
			}
			if err := tx.Put(f, "test"); err != nil {
				return err
			}
		}
		return nil
	})
}

func verbs(t testing.TB, c *Catalog, after int64) (got []string) {
	t.Helper()
	for e, err := range c.Events(context.Background(), after) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s %s %s", e.Serial, e.Verb, e.Project, e.Filename))
	}
	return got
}

func names(t testing.TB, seq func(func(*Project, error) bool)) (got []string) {
	t.Helper()
	for p, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(p.Name))
	}
	return got
}

func TestWhatIsPutIsRead(t *testing.T) {
	c := newCatalog(t)
	f := aFile("foo", "foo-1.0-py3-none-any.whl", "1.0", 1)
	f.RequiresPython = ">=3.8"
	f.Yanked, f.SourceYank = Yank{true, ""}, Yank{true, "theirs"}
	f.Spelling = "Foo"
	f.Metadata[3] = 9
	f.Signed, f.Provenance = true, true
	f.Publisher = provenance.Publisher{Kind: "GitHub", Repository: "o/r"}
	f.Source, f.URL = "pypi", "https://files.example/foo"
	l := Link{"foo", "https://example.org/foo.git", "Foo", "1.1.dev0", "drop/foo.git"}
	update(t, c, func(tx *Tx) error {
		return errors.Join(
			tx.Claim("foo", "Foo", "pypi"),
			tx.Put(f, "allowlist.txt:1"),
			tx.SetLinks("foo", []Link{l}),
			tx.SetStatus("foo", Status{Archived, "done"}, "ask Ann", "policy"))
	})
	want := &Project{Name: "foo", Display: "Foo", Owner: "pypi", Status: Status{Archived, "done"}, Note: "ask Ann",
		Serial: 3, Files: []File{f}, Links: []Link{l}}
	got, err := c.Project(context.Background(), "foo")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Project = %+v, %v\nwant %+v", got, err, want)
	}
	if _, err := c.Project(context.Background(), "bar"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Project of an unknown name: %v, want fs.ErrNotExist", err)
	}
}

func TestEveryChangeIsOneEvent(t *testing.T) {
	c := newCatalog(t)
	f := aFile("foo", "foo-1.0.tar.gz", "1.0", 1)
	list(t, c, f)
	list(t, c, f) // the same again
	f.RequiresPython = ">=3"
	list(t, c, f)
	f.Yanked = Yank{true, "bad"}
	list(t, c, f)
	f.Yanked = Yank{}
	list(t, c, f)
	update(t, c, func(tx *Tx) error { return tx.Withdraw("foo", f.Filename, "gone", time.Time{}, time.Hour) })
	update(t, c, func(tx *Tx) error { return tx.Withdraw("foo", f.Filename, "gone", time.Time{}, time.Hour) })
	list(t, c, f)
	want := []string{
		"1 add foo foo-1.0.tar.gz", "2 change foo foo-1.0.tar.gz", "3 yank foo foo-1.0.tar.gz",
		"4 unyank foo foo-1.0.tar.gz", "5 withdraw foo foo-1.0.tar.gz", "6 restore foo foo-1.0.tar.gz"}
	if got := verbs(t, c, 0); !slices.Equal(got, want) {
		t.Errorf("events\n%q, want\n%q", got, want)
	}
	if got := verbs(t, c, 4); !slices.Equal(got, want[4:]) {
		t.Errorf("events after 4: %q", got)
	}
}

func TestAFileNameIsSpentForEver(t *testing.T) {
	c := newCatalog(t)
	f := aFile("foo", "foo-1.0.tar.gz", "1.0", 1)
	list(t, c, f)
	other := aFile("foo", "foo-1.0.tar.gz", "1.0", 2)
	put := func(f File) error {
		return c.Update(context.Background(), noon, func(tx *Tx) error { return tx.Put(f, "") })
	}
	if err := put(other); !errors.Is(err, ErrAltered) {
		t.Errorf("other bytes over a listed file: %v, want ErrAltered", err)
	}
	update(t, c, func(tx *Tx) error { return tx.Withdraw("foo", f.Filename, "", time.Time{}, 0) })
	if err := put(other); !errors.Is(err, ErrAltered) {
		t.Errorf("other bytes after the file has gone: %v, want ErrAltered", err)
	}
	if err := put(f); err != nil {
		t.Errorf("the same bytes again: %v", err)
	}
	first, err := c.FirstSeen(context.Background(), f.Filename)
	if err != nil || first.SHA256 != f.SHA256 || first.Serial != 1 {
		t.Errorf("FirstSeen = %+v, %v", first, err)
	}
}

func TestAFailedUpdateLeavesNothing(t *testing.T) {
	c := newCatalog(t)
	wrong := errors.New("wrong")
	err := c.Update(context.Background(), noon, func(tx *Tx) error {
		f := aFile("foo", "foo-1.0.tar.gz", "1.0", 1)
		if err := errors.Join(tx.Claim("foo", "foo", Local), tx.Put(f, "")); err != nil {
			t.Error(err)
		}
		return wrong
	})
	if !errors.Is(err, wrong) {
		t.Errorf("Update = %v", err)
	}
	if got := verbs(t, c, 0); got != nil {
		t.Errorf("events after a failed update: %q", got)
	}
}

func TestProjectsWithoutFilesAreKnownButNotListed(t *testing.T) {
	c := newCatalog(t)
	foo := aFile("foo", "foo-1.0.tar.gz", "1.0", 1)
	list(t, c, foo, aFile("bar", "bar-1.0.tar.gz", "1.0", 1))
	update(t, c, func(tx *Tx) error { return tx.Withdraw("foo", foo.Filename, "", time.Time{}, 0) })
	if got := names(t, c.Projects(context.Background())); !slices.Equal(got, []string{"bar"}) {
		t.Errorf("Projects = %q", got)
	}
	owners, err := c.Owners(context.Background())
	if err != nil || owners["foo"] != Local {
		t.Errorf("Owners = %v, %v: a name keeps its owner", owners, err)
	}
	n, err := c.Counts(context.Background())
	if err != nil || n != (Counts{Projects: 1, Files: 1, Bytes: 10}) {
		t.Errorf("Counts = %+v, %v", n, err)
	}
}

func TestEntriesAreWholeWhereTheyChanged(t *testing.T) {
	c := newCatalog(t)
	list(t, c, aFile("a", "a-1.tar.gz", "1", 1), aFile("b", "b-1.tar.gz", "1", 1), aFile("c", "c-1.tar.gz", "1", 1))
	card := func(p *Project) (card Card) {
		if len(p.Files) > 0 {
			card = Card{Display: strings.ToUpper(string(p.Name)), State: Archived, Version: "1", Releases: 1, Files: len(p.Files), Size: 10,
				Newest: []News{{"1", noon.UnixMicro(), 2}, {"2", 1, 1}}}
		}
		return card
	}
	// look gives the entries, those that come whole with a "+", and those that
	// are on pages with what these say.
	look := func() (got []string, whole []*Project) {
		for e, err := range c.Entries(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			text := string(e.Name)
			if e.Project != nil {
				text += "+"
				whole = append(whole, e.Project)
				if e.Project.Name != e.Name || !reflect.DeepEqual(e.Project.Shown, e.Shown) {
					t.Errorf("%s: its project is %+v", e.Name, e.Project)
				}
			}
			if !e.Shown.IsZero() {
				text += " " + e.Shown.Display
				if want := card(&Project{Name: e.Name, Files: make([]File, 1)}); !reflect.DeepEqual(e.Shown, want) {
					t.Errorf("%s: card %+v, want %+v", e.Name, e.Shown, want)
				}
			}
			got = append(got, text)
		}
		n, err := c.Outdated(context.Background())
		if err != nil || n != len(whole) {
			t.Errorf("Outdated = %d, %v; %d came whole", n, err, len(whole))
		}
		return got, whole
	}
	expect := func(when string, want ...string) {
		t.Helper()
		if got, _ := look(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	publish := func() {
		_, whole := look()
		update(t, c, func(tx *Tx) error {
			for _, p := range whole {
				if err := tx.MarkPublished(p.Name, p.Serial, card(p)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	expect("after the first files", "a+", "b+", "c+")
	publish()
	expect("published", "a A", "b B", "c C")
	update(t, c, func(tx *Tx) error { return tx.Withdraw("b", "b-1.tar.gz", "", time.Time{}, 0) })
	expect("b lost its file", "a A", "b+ B", "c C")
	publish()
	expect("and its pages", "a A", "c C")
	update(t, c, func(tx *Tx) error { return tx.SetStatus("b", Status{State: Quarantined}, "", "test") })
	expect("b is quarantined", "a A", "b+", "c C")
	update(t, c, func(tx *Tx) error { return tx.SetStatus("b", Status{}, "", "test") })
	publish()
	expect("and no more", "a A", "c C")
	update(t, c, func(tx *Tx) error { return tx.Outdate() })
	if got, _ := look(); !slices.Contains(got, "a+ A") || !slices.Contains(got, "c+ C") {
		t.Errorf("after Outdate: %q", got)
	}
}

func FuzzCard(f *testing.F) {
	for _, c := range []Card{{}, {Display: "Foo"}, {Display: "a", State: Quarantined, Version: "1!2", Releases: 3, Files: 4, Size: 1 << 40, Newest: []News{{"1", 2, 3}}}} {
		f.Add(encodeCard(&c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCard(b)
		if err != nil {
			return
		}
		if again, err := decodeCard(encodeCard(&c)); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%+v became %+v, %v", c, again, err)
		}
	})
}

func TestFilesAreSortedByVersionThenName(t *testing.T) {
	c := newCatalog(t)
	for _, f := range []string{"foo-1.10.tar.gz", "foo-1.9.tar.gz", "foo-1.9-py3-none-any.whl", "foo-2004d.tar.gz", "foo-1.10rc1.tar.gz"} {
		name, err := packaging.ParseFilename(f, "foo")
		if err != nil {
			t.Fatal(err)
		}
		list(t, c, aFile("foo", f, name.Version, 1))
	}
	p, err := c.Project(context.Background(), "foo")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range p.Files {
		got = append(got, f.Filename)
	}
	want := []string{"foo-2004d.tar.gz", "foo-1.9-py3-none-any.whl", "foo-1.9.tar.gz", "foo-1.10rc1.tar.gz", "foo-1.10.tar.gz"}
	if !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func TestDeletionWaitsForTheGrace(t *testing.T) {
	c := newCatalog(t)
	f := aFile("foo", "foo-1.0.tar.gz", "1.0", 1)
	list(t, c, f)
	update(t, c, func(tx *Tx) error { return tx.Withdraw("foo", f.Filename, "", time.Time{}, 48*time.Hour) })
	due := func(after time.Duration) []string {
		paths, err := c.Due(context.Background(), noon.Add(after).UnixMicro())
		if err != nil {
			t.Fatal(err)
		}
		return paths
	}
	if got := due(47 * time.Hour); got != nil {
		t.Errorf("due before the grace is over: %q", got)
	}
	if got := due(48 * time.Hour); !slices.Equal(got, []string{f.Path}) {
		t.Errorf("due after the grace: %q", got)
	}
	list(t, c, f) // it comes back
	if got := due(48 * time.Hour); got != nil {
		t.Errorf("due although it came back: %q", got)
	}
}

func TestEventsKeepTheirOrderWhenTheClockIsSetBack(t *testing.T) {
	c := newCatalog(t)
	list(t, c, aFile("foo", "foo-1.0.tar.gz", "1.0", 1))
	err := c.Update(context.Background(), noon.Add(-24*time.Hour), func(tx *Tx) error {
		return tx.Put(aFile("foo", "foo-2.0.tar.gz", "2.0", 1), "")
	})
	if err != nil {
		t.Fatal(err)
	}
	last := int64(0)
	for e, err := range c.Events(context.Background(), 0) {
		if err != nil || e.Time < last {
			t.Errorf("event %+v, %v comes after time %d", e, err, last)
		}
		last = e.Time
	}
}

func TestListingsComeBackAsTheyWere(t *testing.T) {
	c := newCatalog(t)
	l := Listing{
		Name: "Foo", Versions: []string{"1.0", "2.0"}, Status: Status{Deprecated, "old"}, Serial: 7,
		ETag: `"x"`, LastModified: "Sat, 21 Nov 2026 12:00:00 GMT", FinalURL: "https://example.org/simple/foo/",
		Offers: []Offer{{
			Filename: "foo-1.0.tar.gz", URL: "https://example.org/foo-1.0.tar.gz", Size: -1,
			Hashes: map[string]string{"sha256": "ab", "md5": "cd"}, RequiresPython: ">=3",
			Yanked: Yank{true, "é"}, Uploaded: 12345, Metadata: MetadataOffer{true, map[string]string{"sha256": "ef"}},
			Provenance: "https://example.org/p", Signed: true,
		}},
	}
	update(t, c, func(tx *Tx) error { return tx.SetListing("pypi", "foo", l) })
	got, err := c.Listing(context.Background(), "pypi", "foo")
	if err != nil || !reflect.DeepEqual(got, l) {
		t.Errorf("Listing = %+v, %v\nwant %+v", got, err, l)
	}
	if _, err := c.Listing(context.Background(), "other", "foo"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Listing of another upstream: %v, want fs.ErrNotExist", err)
	}
}

func TestANewerCatalogIsLeftAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.db")
	c, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := Open(file); err == nil {
		t.Error("a catalog of version 99 was opened")
	}
	if _, err := OpenReadOnly(filepath.Join(t.TempDir(), "none.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenReadOnly without a catalog: %v, want fs.ErrNotExist", err)
	}
}

func TestACatalogMayHaveAnyPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := Open(filepath.Join(dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	list(t, c, aFile("foo", "foo-1.0.tar.gz", "1.0", 1))
	c.Close()
	if fi, err := os.Stat(filepath.Join(dir, "catalog.db")); err != nil || fi.Size() == 0 {
		t.Errorf("the catalog is not where it was asked for: %v", err)
	}
}

func FuzzListing(f *testing.F) {
	l := Listing{Name: "foo", Offers: []Offer{{Filename: "foo-1.tar.gz", Size: 3, Hashes: map[string]string{"sha256": "00"}}}}
	f.Add(l.encode())
	f.Add([]byte{listingForm, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		var l Listing
		if l.decode(b) != nil {
			return
		}
		var again Listing
		if err := again.decode(l.encode()); err != nil || !reflect.DeepEqual(l, again) {
			t.Errorf("%+v came back as %+v, %v", l, again, err)
		}
	})
}

func FuzzFacts(f *testing.F) {
	f.Add(encodeFacts(aFile("foo", "foo-1.0.tar.gz", "1.0", 1)))
	lifted := aFile("foo", "foo-1.0.tar.gz", "1.0", 1)
	lifted.SourceYank, lifted.Spelling = Yank{true, "theirs"}, "Foo"
	f.Add(encodeFacts(lifted))
	f.Add([]byte{factsForm, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeFacts("foo", "foo-1.0.tar.gz", b, &File{Version: "1.0"})
		if err != nil {
			return
		}
		again, err := decodeFacts("foo", "foo-1.0.tar.gz", encodeFacts(got), &got)
		if err != nil || again != got {
			t.Errorf("%+v came back as %+v, %v", got, again, err)
		}
	})
}

func BenchmarkProjects(b *testing.B) {
	c := newCatalog(b)
	var files []File
	for p := range 500 {
		for v := range 20 {
			n := packaging.Name(fmt.Sprintf("project-%03d", p))
			files = append(files, aFile(n, fmt.Sprintf("project_%03d-1.%d-py3-none-any.whl", p, v), fmt.Sprintf("1.%d", v), 1))
		}
	}
	list(b, c, files...)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for p, err := range c.Projects(context.Background()) {
			if err != nil {
				b.Fatal(err)
			}
			n += len(p.Files)
		}
		if n != len(files) {
			b.Fatalf("%d files, want %d", n, len(files))
		}
	}
}

// The spelling of a name follows from what is listed, in whatever order.
func TestSpellingOf(t *testing.T) {
	file := func(name, version, spelling string) File {
		f := aFile("foo-bar", name, version, 1)
		f.Spelling = spelling
		return f
	}
	old, new := file("foo_bar-1.9.tar.gz", "1.9", "foo.bar"), file("foo_bar-1.10.tar.gz", "1.10", "Foo_Bar")
	egg, plain := file("foo_bar-1.10-py3.egg", "1.10", "FOO-BAR"), file("foo_bar-2.tar.gz", "2", "")
	other, equal := file("foo_bar-2.tar.gz", "2", "foobar"), file("foo_bar-1.10.0.zip", "1.10.0", "foo_Bar")
	links := []Link{{Egg: "Foo.Bar"}, {Egg: "other"}}
	for _, tt := range []struct {
		links []Link
		files []File
		want  string
	}{
		{nil, nil, "foo-bar"},
		{links, nil, "Foo.Bar"},
		{links[1:], nil, "foo-bar"},
		{links, []File{old}, "foo.bar"},
		{nil, []File{old, new}, "Foo_Bar"},
		{nil, []File{new, egg}, "Foo_Bar"},
		{nil, []File{equal, new, egg}, "Foo_Bar"},
		{nil, []File{old, new, plain}, "foo-bar"},
		{nil, []File{new, other}, "foo-bar"},
	} {
		for range len(tt.files) + 1 {
			if got := SpellingOf("foo-bar", tt.links, tt.files); got != tt.want {
				t.Errorf("SpellingOf(%v, %v) = %s, want %s", tt.links, tt.files, got, tt.want)
			}
			if n := len(tt.files); n > 0 {
				tt.files = append(tt.files[1:n:n], tt.files[0])
				if got := SpellingOf("foo-bar", tt.links, tt.files[:1], tt.files[1:]); got != tt.want {
					t.Errorf("SpellingOf in two lists = %s, want %s", got, tt.want)
				}
			}
		}
	}
}

// The end of a context ends a change between two statements, and nothing of the
// change is kept.
func TestUpdateEndsWithItsContext(t *testing.T) {
	c := newCatalog(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Update(ctx, noon, func(tx *Tx) error {
		f := aFile("foo", "foo-1.0-py3-none-any.whl", "1.0", 1)
		if err := errors.Join(tx.Claim("foo", "foo", Local), tx.Put(f, "test")); err != nil {
			t.Errorf("before: %v", err)
		}
		cancel()
		_, err := tx.Owner("foo")
		return errors.Join(err, tx.Put(aFile("foo", "foo-2.0-py3-none-any.whl", "2.0", 1), "test"))
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Update: %v, want %v", err, context.Canceled)
	}
	if _, err := c.Project(t.Context(), "foo"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Project: %v, want that there is none", err)
	}
	if _, err := c.FirstSeen(ctx, "foo-1.0-py3-none-any.whl"); !errors.Is(err, context.Canceled) {
		t.Errorf("FirstSeen: %v, want %v", err, context.Canceled)
	}
}

// The first bytes under a name count, wherever that was listed and whatever came of
// it. A name may have anything in it.
func TestFirstDigests(t *testing.T) {
	c := newCatalog(t)
	first := aFile("foo", "foo-1.0-py3-none-any.whl", "1.0", 1)
	odd := aFile("foo", `foo "é", \'-1.0.tar.gz`, "1.0", 2)
	list(t, c, first, odd, aFile("foo", "foo-2.0-py3-none-any.whl", "2.0", 3))
	update(t, c, func(tx *Tx) error { return tx.Withdraw("foo", first.Filename, "test", noon, 0) })
	got, err := c.FirstDigests(t.Context(), []string{first.Filename, odd.Filename, "foo-3.0-py3-none-any.whl"})
	if want := map[string]Digest{first.Filename: first.SHA256, odd.Filename: odd.SHA256}; err != nil || !maps.Equal(got, want) {
		t.Errorf("FirstDigests: %v, %v, want %v", got, err, want)
	}
	if got, err := c.FirstDigests(t.Context(), nil); err != nil || len(got) > 0 {
		t.Errorf("FirstDigests of nothing: %v, %v", got, err)
	}
	// Each is looked up in the ledger, however long that is.
	plan := planOf(t, c, firstDigests, "[]")
	if !slices.ContainsFunc(plan, func(s string) bool { return strings.Contains(s, "SEARCH events USING INDEX ledger (filename=?)") }) {
		t.Errorf("plan %q: want a search by the ledger", plan)
	}
}

// planOf says how the database answers a query.
func planOf(t *testing.T, c *Catalog, query string, args ...any) (plan []string) {
	t.Helper()
	rows, err := c.db.Query("EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}

// A project is shown once its own pages show its last event, and out of date until all
// pages do.
func TestShown(t *testing.T) {
	c := newCatalog(t)
	list(t, c, aFile("foo", "foo-1.0-py3-none-any.whl", "1.0", 1), aFile("bar", "bar-1.0-py3-none-any.whl", "1.0", 2))
	check := func(when string, outdated int, after int64, notShown ...packaging.Name) {
		t.Helper()
		for _, last := range []int64{after, after + manyEvents + 1} {
			names, err := namesNotShown(t.Context(), c.one, after, last, 9)
			slices.Sort(names)
			if err != nil || !slices.Equal(names, notShown) {
				t.Errorf("%s, by %d events: not shown %q, %v, want %q", when, last-after, names, err, notShown)
			}
		}
		for _, n := range []packaging.Name{"foo", "bar"} {
			if shown, err := c.IsShown(t.Context(), n); err != nil || after == 0 && shown == slices.Contains(notShown, n) {
				t.Errorf("%s: %s is shown: %v, %v", when, n, shown, err)
			}
		}
		if n, err := c.Outdated(t.Context()); err != nil || n != outdated {
			t.Errorf("%s: %d are out of date, %v, want %d", when, n, err, outdated)
		}
	}
	mark := func(f func(tx *Tx) error) { t.Helper(); update(t, c, f) }
	check("listed", 2, 0, "bar", "foo")
	check("listed", 2, 1, "bar")
	mark(func(tx *Tx) error { return tx.MarkShown("foo", 1) })
	check("foo is shown", 2, 0, "bar")
	mark(func(tx *Tx) error { return tx.MarkPublished("bar", 2, Card{}) })
	check("bar is published", 1, 0)
	mark(func(tx *Tx) error { return tx.MarkShown("bar", 2) })
	check("bar stays published", 1, 0)
	mark(func(tx *Tx) error { return tx.OutdateProject("foo") })
	check("foo's pages are another's", 1, 0, "foo")
	mark(func(tx *Tx) error {
		if err := tx.MarkPublished("foo", 1, Card{}); err != nil {
			return err
		}
		return tx.Withdraw("foo", "foo-1.0-py3-none-any.whl", "test", noon, 0)
	})
	check("foo has changed", 1, 0, "foo")
	mark(func(tx *Tx) error { return tx.MarkShown("foo", 1) }) // as of before
	check("foo is shown as it was", 1, 2, "foo")
	if shown, err := c.IsShown(t.Context(), "unknown"); err != nil || !shown {
		t.Errorf("a name that nobody knows is shown: %v, %v", shown, err)
	}
	// However many events the log has, they are not looked at.
	if plan := planOf(t, c, notShown, 1, 1); !slices.ContainsFunc(plan, func(s string) bool {
		return strings.Contains(s, "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)")
	}) {
		t.Errorf("plan %q", plan)
	}
}
