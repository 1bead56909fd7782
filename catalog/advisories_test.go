package catalog

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"nestgen/advisory"
	"nestgen/packaging"
	"nestgen/provenance"
)

func aRecord(id string) advisory.Record {
	return advisory.Record{
		ID: id, Aliases: []string{"CVE-1", "GHSA-x"}, Summary: "it <leaks>",
		Severity: advisory.Severity{Rating: advisory.High, Tenths: 75},
		Ranges:   []advisory.Range{{{Kind: advisory.Introduced, Version: "0"}, {Kind: advisory.Fixed, Version: "2.0"}}, {{Kind: advisory.Introduced, Version: "3"}, {Kind: advisory.Limit, Version: "*"}}},
		Versions: []string{"odd one"},
	}
}

func TestAdvisories(t *testing.T) {
	ctx := context.Background()
	c := newCatalog(t)
	upstream := aFile("foo", "foo-1.0-py3-none-any.whl", "1.0", 1)
	upstream.Source = "pypi"
	list(t, c, upstream, aFile("own", "own-1.0-py3-none-any.whl", "1.0", 1), aFile("other", "other-1.0-py3-none-any.whl", "1.0", 1))
	update(t, c, func(tx *Tx) error {
		for _, n := range []packaging.Name{"foo", "own", "other"} {
			serial, err := tx.Serial(n)
			if err != nil {
				return err
			}
			if err := tx.MarkPublished(n, serial, Card{}); err != nil {
				return err
			}
		}
		return nil
	})
	before, err := c.Serial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	set := func(all map[packaging.Name][]advisory.Record, want ...packaging.Name) {
		t.Helper()
		update(t, c, func(tx *Tx) error {
			changed, err := tx.SetAdvisories(all)
			if !slices.Equal(changed, want) {
				t.Errorf("changed %q, want %q", changed, want)
			}
			return err
		})
	}
	all := map[packaging.Name][]advisory.Record{"foo": {aRecord("X-1"), aRecord("X-2")}, "own": {aRecord("X-3")}, "nowhere": {aRecord("MAL-1")}, "empty": nil}
	set(all, "foo", "nowhere", "own")
	set(all)
	p, err := c.Project(ctx, "foo")
	if err != nil || !reflect.DeepEqual(p.Advisories, all["foo"]) {
		t.Errorf("%+v, %v", p.Advisories, err)
	}
	if r, err := c.Advisories(ctx, "nowhere"); err != nil || !reflect.DeepEqual(r, all["nowhere"]) {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := c.Advisories(ctx, "other"); err != nil || r != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if got := names(t, c.Advised(ctx)); !slices.Equal(got, []string{"foo", "own"}) {
		t.Errorf("advised %q", got)
	}
	// Only the pages of a project that is an upstream's are out of date, and the
	// entry has what they are made of.
	for e, err := range c.Entries(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if whole := e.Project != nil; whole != (e.Name == "foo") || whole && !reflect.DeepEqual(e.Project.Advisories, all["foo"]) {
			t.Errorf("%s: %+v", e.Name, e.Project)
		}
	}
	delete(all, "foo")
	all["own"] = []advisory.Record{aRecord("X-4")}
	set(all, "foo", "own")
	update(t, c, func(tx *Tx) error {
		got, err := tx.AllAdvisories()
		delete(all, "empty")
		if !reflect.DeepEqual(got, all) {
			t.Errorf("%+v, want %+v", got, all)
		}
		return err
	})
	if after, err := c.Serial(ctx); err != nil || after != before {
		t.Errorf("serial %d, before %d, %v: what others say is no event", after, before, err)
	}
	set(nil, "nowhere", "own")
}

func TestDamagedAdvisoriesAreRefused(t *testing.T) {
	whole := encodeAdvisories([]advisory.Record{aRecord("X-1"), aRecord("X-2")})
	for i := 1; i < len(whole); i++ {
		if _, err := decodeAdvisories(whole[:i]); err == nil {
			t.Errorf("cut after %d bytes of %d", i, len(whole))
		}
	}
	if _, err := decodeAdvisories(append([]byte{99}, whole[1:]...)); err == nil {
		t.Error("another form was taken")
	}
}

// Files that an older program wrote have no publisher, and a file that has one is
// otherwise kept as before.
func TestPublisherOfAFile(t *testing.T) {
	c := newCatalog(t)
	old := aFile("foo", "foo-1.0-py3-none-any.whl", "1.0", 1)
	if b := encodeFacts(old); b[0] != factsForm {
		t.Errorf("form %d of a file without a publisher", b[0])
	}
	f := aFile("foo", "foo-2.0-py3-none-any.whl", "2.0", 1)
	f.Publisher = provenance.Publisher{Kind: "GitHub", Repository: "o/r", Workflow: "w.yml", Environment: "pypi"}
	g := aFile("foo", "foo-3.0-py3-none-any.whl", "3.0", 1)
	g.Publisher = f.Publisher
	list(t, c, old, f, g)
	p, err := c.Project(context.Background(), "foo")
	if err != nil || !slices.Equal(p.Files, []File{old, f, g}) {
		t.Errorf("%+v, %v", p, err)
	}
}

// Fifteen thousand advisories, the size of the public database, written once and
// then found to be the same.
func BenchmarkSetAdvisories(b *testing.B) {
	all := map[packaging.Name][]advisory.Record{}
	for i := range 15_000 {
		n := packaging.Name(fmt.Sprintf("project-%d", i%9000))
		all[n] = append(all[n], aRecord(fmt.Sprintf("PYSEC-2024-%d", i)))
	}
	open := func(b *testing.B) *Catalog {
		c, err := Open(filepath.Join(b.TempDir(), "catalog.db"))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		return c
	}
	set := func(b *testing.B, c *Catalog) {
		update(b, c, func(tx *Tx) error { _, err := tx.SetAdvisories(all); return err })
	}
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			c := open(b)
			b.StartTimer()
			set(b, c)
		}
	})
	b.Run("same", func(b *testing.B) {
		c := open(b)
		set(b, c)
		for b.Loop() {
			set(b, c)
		}
	})
}

func TestCardOfAffectedReleases(t *testing.T) {
	for _, c := range []Card{{Display: "Foo", Affected: 3}, {Display: "Foo", Releases: 2, Newest: []News{{"1.0", 5, 1}}, Affected: 1}, {Display: "Foo", Releases: 2}} {
		b := encodeCard(&c)
		got, err := decodeCard(b)
		if err != nil || !reflect.DeepEqual(got, c) || (b[0] == cardForm) != (c.Affected == 0) {
			t.Errorf("%+v: %+v, %v", c, got, err)
		}
	}
}
