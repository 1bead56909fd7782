package catalog

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"testing"
	"time"

	"nestgen/advisory"
	"nestgen/packaging"
)

func aViewed(n packaging.Name, files ...File) *Project {
	return &Project{Name: n, Display: string(n), Owner: Local, Files: files}
}

// put makes a project what a view has of it, a week of grace given.
func put(t testing.TB, c *Catalog, view string, p *Project, want bool) {
	t.Helper()
	update(t, c, func(tx *Tx) error {
		changed, err := tx.PutView(view, p, noon, 7*24*time.Hour)
		if changed != want {
			t.Errorf("PutView(%s, %s) changed %v, want %v", view, p.Name, changed, want)
		}
		return err
	})
}

func TestViewsGiveWhatWasPut(t *testing.T) {
	ctx, c := context.Background(), newCatalog(t)
	f := aFile("foo", "foo-1.0-py3-none-any.whl", "1.0", 1)
	f.Yanked = Yank{true, "old"}
	p := aViewed("foo", f, aFile("foo", "foo-2.0-py3-none-any.whl", "2.0", 2))
	p.Display, p.Note, p.Status = "Foo", "a note", Status{Deprecated, "use bar"}
	p.Links = []Link{{Project: "foo", URL: "https://example.org/foo", Egg: "Foo", Version: "3", Source: "x:1"}}
	p.Advisories = []advisory.Record{{ID: "X-1", Summary: "bad", Versions: []string{"1.0"}}}
	view := View{Name: "prod", Prefix: "prod", Rules: "r", Serial: 7, Pages: "p"}
	update(t, c, func(tx *Tx) error { return tx.SetView(view) })
	put(t, c, "prod", p, true)
	put(t, c, "prod", p, false)
	put(t, c, "qa", aViewed("bar", aFile("bar", "bar-1.0-py3-none-any.whl", "1.0", 1)), true)

	if got, err := c.Views(ctx); err != nil || !reflect.DeepEqual(got, map[string]View{"prod": view}) {
		t.Errorf("Views() = %v, %v", got, err)
	}
	if got, err := c.ViewProject(ctx, "prod", "foo"); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("ViewProject() = %+v, %v, want %+v", got, err, p)
	}
	if _, err := c.ViewProject(ctx, "prod", "bar"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a project of another view: %v", err)
	}
	if got := names(t, c.ViewProjects(ctx, "prod")); !slices.Equal(got, []string{"foo"}) {
		t.Errorf("ViewProjects() = %q", got)
	}
	if got := names(t, c.Projects(ctx)); len(got) > 0 {
		t.Errorf("the index lists %q, which only views have", got)
	}
	stored, err := c.Stored(ctx)
	if err != nil || len(stored.Listed) != 3 || !stored.Listed[f.Path] {
		t.Errorf("Stored() = %v, %v, want the files of both views", stored.Listed, err)
	}
}

// Of a view that is published only what changed is whole; what is gone stays until its
// pages are.
func TestViewEntries(t *testing.T) {
	ctx, c := context.Background(), newCatalog(t)
	put(t, c, "prod", aViewed("a", aFile("a", "a-1.0-py3-none-any.whl", "1.0", 1)), true)
	put(t, c, "prod", aViewed("b", aFile("b", "b-1.0-py3-none-any.whl", "1.0", 1)), true)
	publish := func() {
		t.Helper()
		for e, err := range c.ViewEntries(ctx, "prod") {
			if err != nil {
				t.Fatal(err)
			}
			if e.Project == nil {
				continue
			}
			card := Card{}
			if len(e.Project.Files) > 0 {
				card = Card{Display: string(e.Name), Files: len(e.Project.Files)}
			}
			update(t, c, func(tx *Tx) error { return tx.MarkViewPublished("prod", e.Name, card) })
		}
	}
	check := func(outdated int, want ...string) {
		t.Helper()
		if n, err := c.ViewOutdated(ctx, "prod"); err != nil || n != outdated {
			t.Errorf("ViewOutdated() = %d, %v, want %d", n, err, outdated)
		}
		var got []string
		for e, err := range c.ViewEntries(ctx, "prod") {
			if err != nil {
				t.Fatal(err)
			}
			text := string(e.Name) + " shown " + e.Shown.Display
			if e.Project != nil {
				text += " whole"
			}
			got = append(got, text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("ViewEntries() = %q, want %q", got, want)
		}
	}
	check(2, "a shown  whole", "b shown  whole")
	publish()
	check(0, "a shown a", "b shown b")
	put(t, c, "prod", aViewed("a"), true)
	check(1, "a shown a whole", "b shown b")
	if got := names(t, c.ViewProjects(ctx, "prod")); !slices.Equal(got, []string{"b"}) {
		t.Errorf("ViewProjects() = %q", got)
	}
	publish()
	check(0, "b shown b")
	update(t, c, func(tx *Tx) error { return tx.OutdateViewProject("prod", "b") })
	check(1, "b shown b whole")
}

// What leaves a view waits for its grace, as what leaves the index.
func TestWhatLeavesAViewIsDue(t *testing.T) {
	ctx, c := context.Background(), newCatalog(t)
	stays, leaves := aFile("a", "a-1.0-py3-none-any.whl", "1.0", 1), aFile("a", "a-2.0-py3-none-any.whl", "2.0", 2)
	put(t, c, "prod", aViewed("a", stays, leaves), true)
	put(t, c, "prod", aViewed("a", stays), true)
	after := noon.Add(7 * 24 * time.Hour).UnixMicro()
	if due, err := c.Due(ctx, after); err != nil || !slices.Equal(due, []string{leaves.Path}) {
		t.Errorf("due %q, %v", due, err)
	}
	if due, err := c.Due(ctx, after-1); err != nil || len(due) > 0 {
		t.Errorf("due early: %q, %v", due, err)
	}
	update(t, c, func(tx *Tx) error {
		return errors.Join(tx.SetView(View{Name: "prod"}), tx.DropView("prod", noon, 7*24*time.Hour))
	})
	if due, err := c.Due(ctx, after); err != nil || len(due) != 2 {
		t.Errorf("due after the view has gone: %q, %v", due, err)
	}
	if views, err := c.Views(ctx); err != nil || len(views) > 0 {
		t.Errorf("Views() = %v, %v", views, err)
	}
}

// A promotion is an event, once; it leaves the index as it is.
func TestPromote(t *testing.T) {
	ctx, c := context.Background(), newCatalog(t)
	f := aFile("a", "a-1.0-py3-none-any.whl", "1.0", 1)
	list(t, c, f)
	before, _ := c.Project(ctx, "a")
	promote := func(f File, want bool) {
		t.Helper()
		update(t, c, func(tx *Tx) error {
			did, err := tx.Promote("prod", f, "alice", "from testing: fine")
			if did != want {
				t.Errorf("Promote() = %v, want %v", did, want)
			}
			return err
		})
	}
	promote(f, true)
	changed := f
	changed.RequiresPython = ">=3.9"
	promote(changed, false)
	if got, err := c.Promotions(ctx, "prod", "a"); err != nil || !slices.Equal(got, []File{changed}) {
		t.Errorf("Promotions() = %v, %v", got, err)
	}
	var last Event
	for e, err := range c.ProjectEvents(ctx, "a") {
		if err != nil {
			t.Fatal(err)
		}
		last = e
	}
	if want := (Event{Serial: 2, Time: noon.UnixMicro(), Verb: Promotion, Project: "a", Filename: f.Filename, SHA256: f.SHA256, Source: "alice", Reason: "from testing: fine"}); last != want {
		t.Errorf("event %+v, want %+v", last, want)
	}
	if now, _ := c.Project(ctx, "a"); !reflect.DeepEqual(now, before) {
		t.Errorf("the index has %+v, had %+v", now, before)
	}
	if got, err := c.ChangedSince(ctx, 1); err != nil || !slices.Equal(got, []packaging.Name{"a"}) {
		t.Errorf("ChangedSince(1) = %v, %v", got, err)
	}
	for _, want := range []bool{true, false} {
		update(t, c, func(tx *Tx) error {
			did, err := tx.Demote("prod", f, "bob", "in prod: no", noon, time.Hour)
			if did != want {
				t.Errorf("Demote() = %v, want %v", did, want)
			}
			return err
		})
	}
	if got := verbs(t, c, 1); len(got) != 2 {
		t.Errorf("events %q, want one of each", got)
	}
}

// A damaged body is an error, never a panic or something else than was put.
func FuzzBody(f *testing.F) {
	p := aViewed("a", aFile("a", "a-1.0-py3-none-any.whl", "1.0", 1))
	p.Links = []Link{{Project: "a", URL: "https://example.org/"}}
	f.Add(encodeBody(p))
	f.Add([]byte{bodyForm, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodeBody("a", b)
		if err != nil {
			return
		}
		again, err := decodeBody("a", encodeBody(p))
		if len(encodeBody(p)) > 0 && (err != nil || !reflect.DeepEqual(again, p)) {
			t.Errorf("%+v comes back as %+v, %v", p, again, err)
		}
	})
}
