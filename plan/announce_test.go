package plan_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/plan"
)

// announced makes files of what the index has: those marked "?" have not come.
func announced(lines ...string) *catalog.Project {
	var plain []string
	waits := map[string]bool{}
	for _, l := range lines {
		name, is := strings.CutPrefix(l, "?")
		waits[name] = is
		plain = append(plain, name)
	}
	p := listed(plain...)
	for i := range p.Files {
		f := &p.Files[i]
		f.Path = layout.File(f.SHA256, f.Filename)
		if f.Announced = waits[f.Filename]; f.Announced {
			f.Uploaded = 1
		}
	}
	return p
}

func TestOnDemand(t *testing.T) {
	for _, tt := range []struct {
		name    string
		list    string
		policy  string
		offers  []string
		has     []string
		refused string
		closed  bool // the name does not come on demand any more
		silent  bool // the upstream cannot be asked
		want    []string
	}{
		{name: "everything", offers: []string{s1, s2, w2, rc, dev}, want: []string{"?" + s1, "?" + s2, "?" + w2, "?" + rc, "?" + dev}},
		{name: "yanked, with its mark", offers: []string{s1 + " yanked"}, want: []string{"?" + s1 + " yanked"}},
		{name: "nothing without a digest", offers: []string{s1, s2 + " nohash"}, want: []string{"?" + s1}},
		{name: "nothing without a version of PEP 440", offers: []string{"foo-best.tar.gz", s1}, want: []string{"?" + s1}},
		{name: "nothing that is blocked", policy: "[[block]]\nproject = \"foo\"\nversions = \"==2.0\"\nreason = \"bad\"\n", offers: []string{s1, s2}, want: []string{"?" + s1}},
		{name: "what is known stays", offers: []string{s1, s2}, has: []string{"?" + s1, s2}, want: []string{"=" + s1, "=" + s2}},
		{name: "a yank comes", offers: []string{s1 + " yanked"}, has: []string{"?" + s1}, want: []string{"~" + s1 + " yanked"}},
		{name: "gone before it came", offers: []string{s1}, has: []string{"?" + s1, "?" + s2}, want: []string{"=" + s1, "-" + s2}},
		{name: "gone after it came", offers: []string{s1}, has: []string{"?" + s1, s2}, want: []string{"=" + s1, "=" + s2}},
		{name: "nobody can be asked", silent: true, has: []string{"?" + s1, s2}, want: []string{"=" + s1, "=" + s2}},
		{name: "other bytes than announced", offers: []string{s1 + " altered"}, has: []string{"?" + s1}, want: []string{"=" + s1, "!alarm"}},
		{name: "refused since", offers: []string{s1, s2}, has: []string{"?" + s1, "?" + s2}, refused: s1, want: []string{"-" + s1, "=" + s2}},
		{name: "refused before", offers: []string{s1, s2}, refused: s1, want: []string{"?" + s2, "!incomplete"}},

		{name: "a line asks for the newest, the rest may come", list: "foo", offers: []string{s1, s2, s3}, want: []string{"?" + s1, "?" + s2, "+" + s3}},
		{name: "a line restricts", list: "foo<3", offers: []string{s1, s2, s3, rc}, want: []string{"?" + s1, "+" + s2}},
		{name: "two lines", list: "foo==1.0\nfoo==2.0", offers: []string{s1, s2, s3}, want: []string{"+" + s1, "+" + s2}},
		{name: "a constraint restricts", list: "foo\n-c constraints", offers: []string{"foo-0.9.tar.gz", s1, s2}, want: []string{"?foo-0.9.tar.gz", "+" + s1}},
		{name: "wheels only", list: "--only-binary :all:\nfoo", offers: []string{w1, s1, w2, s2}, want: []string{"?" + w1, "+" + w2}},
		{name: "with hashes, those alone", list: "foo --hash=sha256:" + sha(s2).String(), offers: []string{s1, s2}, want: []string{"+" + s2}},
		{name: "what was announced is wanted now", list: "foo", offers: []string{s1, s2}, has: []string{"?" + s1, "?" + s2}, want: []string{"=" + s1, "+" + s2}},
		{name: "a line comes that restricts", list: "foo<2", offers: []string{s1, s2, s3}, has: []string{"?" + s1, "?" + s2, s3}, want: []string{"+" + s1, "-" + s2, "-" + s3}},

		{name: "not on demand any more", closed: true, offers: []string{s1, s2}, has: []string{"?" + s1, s2}, want: []string{"-" + s1, "-" + s2}},
		{name: "by the allowlist alone from now on", closed: true, list: "foo", offers: []string{s1, s2}, has: []string{"?" + s1, "?" + s2}, want: []string{"-" + s1, "+" + s2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := input(t, tt.list, tt.policy)
			in.OnDemand = !tt.closed
			if len(tt.has) > 0 {
				in.Current = announced(tt.has...)
			}
			if !tt.silent {
				in.Listing = &catalog.Listing{Offers: offers(tt.offers...)}
			}
			in.Refused = func(c plan.Choice) (string, bool) { return "torn", c.Offer.Filename == tt.refused }
			p := plan.Decide(in)
			got := describe(p)
			for _, c := range p.Announce {
				mark := ""
				if c.Offer.Yanked.Yanked {
					mark = " yanked"
				}
				got = append(got, "?"+c.Offer.Filename+mark)
			}
			slices.SortFunc(got, cmp.Compare)
			slices.SortFunc(tt.want, cmp.Compare)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			for _, c := range p.Fetch {
				if slices.Contains(tt.has, "?"+c.Offer.Filename) != (c.Path != "") {
					t.Errorf("%s: path %q", c.Offer.Filename, c.Path)
				}
			}
		})
	}
}

// The place of a file follows from its upstream's address where that has the
// shape of ours, and never leads out of the store.
func TestAnnouncedPlace(t *testing.T) {
	sum, place := sha("content"), sha("place")
	hex := place.String()
	named := func(name string) string {
		return "https://files.example/packages/" + hex[:2] + "/" + hex[2:4] + "/" + hex[4:] + "/" + name
	}
	for _, tt := range []struct {
		name, url string
		want      catalog.Digest
	}{
		{"its own shape", named(w1), place},
		{"with a query", named(w1) + "?token=1", place},
		{"another name", named(w2), sum},
		{"upper case", strings.ToUpper(named("")) + w1, sum},
		{"another shape", "https://files.example/foo/" + w1, sum},
		{"too short", w1, sum},
		{"climbing", "https://files.example/packages/../../" + hex[4:] + "/" + w1, sum},
		{"none", "", sum},
	} {
		f, err := packaging.ParseFilename(w1, "foo")
		if err != nil {
			t.Fatal(err)
		}
		c := plan.Choice{Source: "up", Filename: f, Offer: catalog.Offer{
			Filename: w1, URL: tt.url, Size: -1, Hashes: map[string]string{"sha256": strings.ToUpper(sum.String())}, RequiresPython: ">=3.8",
			Metadata: catalog.MetadataOffer{Hashes: map[string]string{"sha256": hex}}, Yanked: catalog.Yank{Yanked: true},
		}}
		if !plan.CanAnnounce(c) {
			t.Fatal("it cannot be announced")
		}
		got := plan.Announced(c, 77)
		want := catalog.File{
			Project: "foo", Filename: w1, Version: "1.0", Kind: packaging.Wheel, Size: -1, SHA256: sum, Announced: true,
			Path: layout.File(tt.want, w1), RequiresPython: ">=3.8", Uploaded: 77, Metadata: place, Source: "up", URL: tt.url,
		}
		if got != want {
			t.Errorf("%s: %+v\nwant %+v", tt.name, got, want)
		}
	}
}

// What is announced again keeps its place and what is said of its content, and
// promises nothing that stood beside it.
func TestAgain(t *testing.T) {
	sum := sha("content")
	here := catalog.File{
		Project: "foo", Filename: w1, Version: "1.0", Kind: packaging.Wheel, Size: 5, SHA256: sum, BLAKE2b: sha("other"), Path: layout.File(sha("place"), w1),
		RequiresPython: ">=3.8", Uploaded: 7, Metadata: sha("metadata"), Source: "up", URL: "https://old.example/" + w1,
	}
	want := here
	want.Announced, want.BLAKE2b, want.URL = true, catalog.Digest{}, "https://new.example/"+w1
	here.Signed, here.SignatureSum, here.Provenance, here.ProvenanceSum = true, sha("a"), true, sha("b")
	if got := plan.Again(here, catalog.Offer{Filename: w1, URL: "https://new.example/" + w1, Size: -1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
