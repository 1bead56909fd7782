package catalog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"nestgen/packaging"
	"nestgen/provenance"
)

// Whatever happens to projects, what the index says at any serial follows from the
// records up to it.
func TestTheIndexFollowsFromItsRecords(t *testing.T) {
	ctx := context.Background()
	c, err := OpenEmpty()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rnd := rand.New(rand.NewPCG(1, 2))
	names := []packaging.Name{"foo", "bar", "baz"}
	said := map[int64]map[packaging.Name]*Project{}
	for range 300 {
		n := names[rnd.IntN(len(names))]
		version := fmt.Sprint(rnd.IntN(9))
		f := aFile(n, fmt.Sprintf("%s-%s.tar.gz", n, version), version, 1)
		f.Yanked = Yank{rnd.IntN(2) == 0, ""}
		if f.Yanked.Yanked {
			f.Yanked.Reason = fmt.Sprint("reason ", rnd.IntN(3))
		}
		f.SourceYank = f.Yanked
		if rnd.IntN(3) == 0 {
			f.Spelling = strings.ToUpper(string(n))
		}
		if rnd.IntN(3) == 0 {
			f.Signed, f.SignatureSum = true, Digest{7}
			f.Provenance, f.Publisher = true, provenance.Publisher{Kind: "GitHub", Repository: "a/b"}
		}
		what := rnd.IntN(5)
		update(t, c, func(tx *Tx) error {
			if err := tx.Claim(n, string(n), Local); err != nil {
				return err
			}
			var err error
			switch what {
			case 0:
				err = tx.Withdraw(n, f.Filename, "gone", time.Unix(9, 0), time.Hour)
			case 1:
				err = tx.SetStatus(n, Status{[]State{Active, Archived, Quarantined}[rnd.IntN(3)], "why"}, "note", "policy")
			case 2:
				err = tx.SetLinks(n, manyLinks(n, rnd.IntN(1000)))
			default:
				err = tx.Put(f, "because")
			}
			if err != nil {
				return err
			}
			return tx.Respell(n)
		})
		serial, err := c.Serial(ctx)
		if err != nil {
			t.Fatal(err)
		}
		said[serial] = map[packaging.Name]*Project{}
		for _, n := range names {
			p, err := c.Project(ctx, n)
			if err != nil {
				continue // not known yet
			}
			p.Shown, p.Serial = Card{}, 0
			said[serial][n] = p
		}
	}
	more := 0
	for serial, all := range said {
		for n, want := range all {
			got, err := c.ProjectAt(ctx, n, serial)
			if err != nil {
				t.Fatal(err)
			}
			got.Serial = 0
			if !reflect.DeepEqual(got.Files, want.Files) || fmt.Sprint(got.Links) != fmt.Sprint(want.Links) || got.Status != want.Status || got.Note != want.Note || got.Display != want.Display || got.Owner != want.Owner {
				t.Fatalf("%s at serial %d:\n%#v\nwant\n%#v", n, serial, got, want)
			}
		}
	}
	last := int64(0)
	for r, err := range c.Records(ctx, 0, 1<<62) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Serial != last+1 {
			t.Fatalf("serial %d after %d", r.Serial, last)
		}
		last = r.Serial
		if r.Verb == RelinkMore {
			more++
		}
	}
	if more == 0 {
		t.Error("no list of links was long enough for more than one event")
	}
}

func manyLinks(n packaging.Name, count int) (links []Link) {
	for i := range count {
		links = append(links, Link{Project: n, URL: fmt.Sprintf("https://example.org/%04d", i), Egg: string(n), Source: "a.links"})
	}
	return links
}

// The log of pages has a leaf for each change of what is published, and none for what
// is the same.
func TestPages(t *testing.T) {
	ctx := context.Background()
	c, err := OpenEmpty()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	one, two := Page{"simple/a/index.html", 5, Digest{1}}, Page{"simple/a/index.html", 6, Digest{2}}
	other, gone := Page{"simple/b/index.html", 7, Digest{3}}, Page{Path: "simple/a/index.html"}
	for i, do := range []struct {
		page Page
		news bool
	}{{gone, false}, {one, true}, {one, false}, {two, true}, {other, true}, {gone, true}, {gone, false}, {one, true}} {
		update(t, c, func(tx *Tx) error {
			news, err := tx.Published(do.page)
			if news != do.news {
				t.Errorf("%d: news %v, want %v", i, news, do.news)
			}
			return err
		})
	}
	var got []Page
	for p, err := range c.PageLog(ctx, 0, 9) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p)
	}
	if want := []Page{one, two, other, gone, one}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	update(t, c, func(tx *Tx) error {
		paths, err := tx.PagesBelow("simple")
		if want := []string{one.Path, other.Path}; !reflect.DeepEqual(paths, want) {
			t.Errorf("below simple: %v, want %v", paths, want)
		}
		return err
	})
}

// A name that was taken over has the owner that it had: also one of which an upstream
// has said nothing but that it is quarantined.
func TestAdoptedNamesHaveTheirOwners(t *testing.T) {
	ctx := context.Background()
	var all [2]*Catalog
	for i := range all {
		c, err := OpenEmpty()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all[i] = c
	}
	from, to := all[0], all[1]
	update(t, from, func(tx *Tx) error {
		for n, owner := range map[packaging.Name]string{"far": "up", "near": Local, "quarantined": "up", "linked": Local, "stated": "", "stated-first": "", "imported": "near.example:8080/pypi"} {
			if err := tx.Claim(n, string(n), owner); err != nil {
				return err
			}
		}
		for n, source := range map[packaging.Name]string{"far": "up", "near": Local, "imported": "near.example:8080/pypi:" + Local} {
			f := aFile(n, string(n)+"-1.tar.gz", "1", 1)
			f.Source = source
			if err := tx.Put(f, ""); err != nil {
				return err
			}
		}
		if err := tx.SetLinks("linked", manyLinks("linked", 3)); err != nil {
			return err
		}
		for _, n := range []packaging.Name{"stated", "stated-first"} {
			if err := tx.SetStatus(n, Status{Archived, ""}, "", "policy"); err != nil {
				return err
			}
		}
		// Its files come later, and with them another spelling.
		if err := tx.Claim("stated-first", "Stated.First", "up"); err != nil {
			return err
		}
		return tx.SetStatus("quarantined", Status{Quarantined, ""}, "", "up")
	})
	update(t, to, func(tx *Tx) error {
		for r, err := range from.Records(ctx, 0, 1<<62) {
			if err != nil {
				return err
			}
			if err := tx.Adopt(&r, time.Unix(9, 0), time.Hour); err != nil {
				return err
			}
		}
		return nil
	})
	want, err := from.Owners(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := to.Owners(ctx); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}
