package plan_test

import (
	"slices"
	"testing"

	"nestgen/catalog"
	"nestgen/plan"
)

// What an index lists of its own is what its lines choose, by the rules of the site.
func TestSelect(t *testing.T) {
	for _, tt := range []struct {
		name, list, policy string
		keep               plan.Keep
		has, want          []string
	}{
		{name: "newest, each of its files", list: "foo", has: []string{w1, w2, s2}, want: []string{w2, s2}},
		{name: "of any source", list: "foo", has: []string{w1, w2 + " local"}, want: []string{w2}},
		{name: "two versions", list: "foo", keep: 2, has: []string{w1, w2, w3}, want: []string{w2, w3}},
		{name: "a pin", list: "foo==1.0", has: []string{w1, w2}, want: []string{w1}},
		{name: "constraints of its own", list: "foo\n-c constraints", has: []string{w1, s1, w2}, want: []string{w1, s1}},
		{name: "no wheels", list: "foo\n--no-binary foo", has: []string{w1, w2, s1}, want: []string{s1}},
		{name: "a pre-release only with --pre", list: "foo", has: []string{s1, rc}, want: []string{s1}},
		{name: "--pre", list: "foo\n--pre", has: []string{s1, rc}, want: []string{rc}},
		{name: "a hash", list: "foo --hash=sha256:" + sha(s1).String(), has: []string{w1, s1, s2}, want: []string{s1}},
		{name: "an archive", list: "foo @ https://up.example/" + w1, has: []string{w1, w2}, want: []string{w1}},
		{name: "what is yanked stays beside", list: "foo", has: []string{w1, w2 + " up yanked"}, want: []string{w1, w2}},
		{name: "what is yanked below does not", list: "foo", has: []string{w1 + " up yanked", w2}, want: []string{w2}},
		{name: "nothing fits", list: "foo>9", has: []string{w1}},
		{name: "nothing is there", list: "foo"},
	} {
		in := input(t, tt.list, tt.policy)
		got := plan.Select(plan.Selection{
			Name: "foo", Files: listed(tt.has...).Files, Wants: in.Wants, Policy: in.Policy,
			List: plan.List{Constraints: in.Constraints, Options: in.Options, Keep: tt.keep},
		})
		var names []string
		for _, f := range got {
			names = append(names, f.Filename)
		}
		if slices.Sort(names); !slices.Equal(names, sorted(tt.want)) {
			t.Errorf("%s: %q, want %q", tt.name, names, tt.want)
		}
	}
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

// Lines of another list are answered by its constraints, options and number of
// versions, beside those of the site's own list.
func TestListsApart(t *testing.T) {
	in := input(t, "foo\n-c constraints", "")
	other := input(t, "foo\n--pre", "")
	for _, w := range other.Wants {
		w.List = "prod"
		in.Wants = append(in.Wants, w)
	}
	in.Lists = map[string]plan.List{"prod": {Options: other.Options, Keep: 2}}
	in.Listing = &catalog.Listing{Offers: offers(w1, w2, w3, rc)}
	got := describe(plan.Decide(in))
	if want := []string{"+" + w1, "+" + w3, "+" + rc}; !slices.Equal(got, sorted(want)) {
		t.Errorf("%q, want %q", got, want)
	}
}
