package plan_test

import (
	"slices"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/plan"
	"nestgen/provenance"
)

var workflow = provenance.Publisher{Kind: "GitHub", Repository: "acme/foo", Workflow: "release.yml"}

// attestedOffers are offers that announce provenance where "!" stands in front; behind
// an "@" stands when they were uploaded.
func attestedOffers(lines ...string) (all []catalog.Offer) {
	for _, l := range lines {
		l, at, _ := strings.Cut(l, "@")
		name, announced := strings.CutPrefix(l, "!")
		o := offers(name)[0]
		if announced {
			o.Provenance = "https://up.example/" + name + "/provenance"
		}
		if at != "" {
			o.Uploaded = int64(at[0])
		}
		all = append(all, o)
	}
	return all
}

func TestFilesWithoutProvenance(t *testing.T) {
	for _, tt := range []struct {
		name   string
		list   string
		offers []string
		has    []string // as offers; "+" in front for what was recorded before
		policy string
		change func(*plan.Input)
		want   []string
		before string
	}{
		{name: "as before", list: "foo", offers: []string{"!" + s1, "!" + s2}, has: []string{"+" + s1}, want: []string{"-" + s1, "+" + s2}, before: "1.0"},
		{name: "without", list: "foo", offers: []string{"!" + s1, s2}, has: []string{"+" + s1}, want: []string{"=" + s1, "!alarm"}},
		{name: "what the upstream announces of an old catalog's files", list: "foo", offers: []string{"!" + s1, s2}, has: []string{s1}, want: []string{"=" + s1, "!alarm"}},
		{name: "what was recorded stays so", list: "foo", offers: []string{s1, s2}, has: []string{"+" + s1}, want: []string{"=" + s1, "!alarm"}},
		{name: "nothing is expected of a project that is new", list: "foo", offers: []string{"!" + s1, s2}, want: []string{"+" + s2}},
		{name: "nor of one that never had any", list: "foo", offers: []string{s1, s2}, has: []string{s1}, want: []string{"-" + s1, "+" + s2}},
		{name: "nor of one that had given it up", list: "foo", offers: []string{"!" + s1, s2, s3}, has: []string{"+" + s1, s2}, want: []string{"-" + s1, "-" + s2, "+" + s3}},
		{name: "nor where only some files had it", list: "foo", offers: []string{"!" + w1, s1, s2}, has: []string{"+" + w1, s1}, want: []string{"-" + w1, "-" + s1, "+" + s2}},
		{name: "a late file of the same release", list: "foo", offers: []string{"!" + w1 + "@1", s1 + "@9"}, has: []string{"+" + w1 + "@1"}, want: []string{"=" + w1, "!alarm"}},
		{name: "an older one, by the time of its upload", list: "foo==2.0", offers: []string{"!" + s1 + "@5", s2 + "@1"}, has: []string{"+" + s1 + "@5"}, want: []string{"-" + s1, "+" + s2}},
		{name: "an older one, by its version", list: "foo==1.0", offers: []string{s1, "!" + s2}, has: []string{"+" + s2}, want: []string{"-" + s2, "+" + s1}},
		{name: "a newer fix of an older line", list: "foo==1.0\nfoo==2.0", offers: []string{s1 + "@9", "!" + s2 + "@5"}, has: []string{"+" + s2 + "@5"}, want: []string{"=" + s2, "!alarm", "!warning"}},
		{name: "let in", list: "foo", policy: "[[allow]]\nproject = \"foo\"\nreason = \"asked them\"\nexpires = 2030-01-01\n", offers: []string{"!" + s1, s2}, has: []string{"+" + s1}, want: []string{"-" + s1, "+" + s2}},
		{name: "let in, whatever it says", list: "foo", policy: "[[allow]]\nproject = \"foo\"\nreason = \"asked them\"\nexpires = 2030-01-01\n", offers: []string{"!" + s1, "!" + s2}, has: []string{"+" + s1}, want: []string{"-" + s1, "+" + s2}},
		{name: "the setting", list: "foo", offers: []string{"!" + s1, s2}, has: []string{"+" + s1}, change: func(in *plan.Input) { in.Provenance = "off" }, want: []string{"-" + s1, "+" + s2}},
		{name: "a warning is the caller's", list: "foo", offers: []string{"!" + s1, s2}, has: []string{"+" + s1}, change: func(in *plan.Input) { in.Provenance = "warn" }, want: []string{"-" + s1, "+" + s2}, before: "1.0"},
		{name: "not announced on demand", offers: []string{"!" + s1, "!" + s2, s3}, has: []string{"+" + s1}, change: func(in *plan.Input) { in.OnDemand = true }, want: []string{"=" + s1, "?" + s2, "!alarm"}},
		{name: "files of others have no say", list: "foo", offers: []string{s2}, has: []string{"+" + s1}, change: func(in *plan.Input) { in.Current.Files[0].Source = "other" }, want: []string{"-" + s1, "+" + s2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := input(t, tt.list, tt.policy)
			in.Provenance = "hold"
			in.Listing = &catalog.Listing{Offers: attestedOffers(tt.offers...)}
			for _, h := range tt.has {
				name, recorded := strings.CutPrefix(h, "+")
				name, at, _ := strings.Cut(name, "@")
				p := listed(name)
				if recorded {
					p.Files[0].Publisher = workflow
				}
				if at != "" {
					p.Files[0].Uploaded = int64(at[0])
				}
				if in.Current == nil {
					in.Current = p
				} else {
					in.Current.Files = append(in.Current.Files, p.Files...)
				}
			}
			if tt.change != nil {
				tt.change(&in)
			}
			p := plan.Decide(in)
			got := describe(p)
			for _, c := range p.Announce {
				got = append(got, "?"+c.Offer.Filename)
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q\nproblems %v", got, tt.want, p.Problems)
			}
			for _, c := range p.Fetch {
				if c.Before.Version != tt.before || tt.before != "" && c.Before.Publisher != workflow {
					t.Errorf("%s: to be held against %+v, want %q", c.Offer.Filename, c.Before, tt.before)
				}
			}
		})
	}
}
