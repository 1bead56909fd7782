package plan_test

import (
	"slices"
	"testing"

	"nestgen/catalog"
	"nestgen/plan"
)

func TestChoices(t *testing.T) {
	const block = "[[block]]\nproject = \"foo\"\nversions = \"==2.0\"\nreason = \"bad\"\n"
	for _, tt := range []struct {
		name   string
		list   string
		policy string
		offers []string
		has    []string
		known  string // a file that was first seen with other bytes
		want   []string
	}{
		{name: "whether or not a line asks for it", offers: []string{s1, s2}, want: []string{s2, s1}},
		{name: "with pre-releases and yanks", list: "foo", offers: []string{s1 + " yanked", rc}, want: []string{rc, s1 + " yanked"}},
		{name: "what is here", offers: []string{s1}, has: []string{s1, s2 + " local"}, want: []string{s2 + " here", s1 + " here"}},
		{name: "what the upstream has taken down", offers: []string{s2}, has: []string{s1}, want: []string{s2, s1 + " here"}},
		{name: "not what is blocked", policy: block, offers: []string{s1, s2}, want: []string{s1}},
		{name: "not what is blocked of a drop folder", policy: block, offers: []string{s1}, has: []string{s2 + " local"}, want: []string{s1}},
		{name: "not other bytes under a name that is spent", known: s2, offers: []string{s1, s2}, want: []string{s1}},
		{name: "a drop folder's over the upstream's", offers: []string{s1, s2}, has: []string{s2 + " local"}, want: []string{s2 + " here", s1}},
		{name: "wheels only", list: "--only-binary :all:\nfoo", offers: []string{s1, w1}, want: []string{w1}},
		{name: "with the hash of the line", list: "foo --hash=sha256:" + sha(s1).String(), offers: []string{s1, s2}, want: []string{s1}},
		{name: "with the hash of one of the lines", list: "foo\nfoo --hash=sha256:" + sha(s1).String(), offers: []string{s1, s2}, want: []string{s2, s1}},
		{name: "not a drop folder's with other bytes than the line has the hash of", list: "foo --hash=sha256:" + sha(s1).String(), offers: []string{s1}, has: []string{s2 + " local"}, want: []string{s1}},
		{name: "nothing of what is quarantined", policy: "[[status]]\nproject = \"foo\"\nstatus = \"quarantined\"\nreason = \"bad\"\n", offers: []string{s1}, has: []string{s2 + " local"}},
		{name: "by its address", list: "foo @ https://else.example/" + s3, offers: []string{s1}, want: []string{s3, s1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := input(t, tt.list, tt.policy)
			if len(tt.has) > 0 {
				in.Current = listed(tt.has...)
			}
			in.Listing = &catalog.Listing{Offers: offers(tt.offers...)}
			in.Known = func(name string) (catalog.Digest, bool) { return catalog.Digest{1}, name == tt.known }
			var got []string
			for _, a := range plan.Choices(in) {
				name := a.Offer.Filename
				if a.File != nil {
					name = a.File.Filename + " here"
				}
				if a.Yanked.Yanked {
					name += " yanked"
				}
				got = append(got, name)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}
