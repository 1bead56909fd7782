package plan_test

import (
	"cmp"
	"slices"
	"testing"

	"nestgen/catalog"
	"nestgen/plan"
)

// What something else needs is chosen beside what the lines ask for.
func TestNeeds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		list   string
		policy string
		needs  []string
		offers []string
		has    []string
		want   []string
	}{
		{name: "without a line", needs: []string{"1.0"}, offers: []string{s1, w1, s2}, want: []string{"+" + s1, "+" + w1}},
		{name: "beside a line", list: "foo", needs: []string{"1.0"}, offers: []string{s1, s2}, want: []string{"+" + s1, "+" + s2}},
		{name: "what the line asks for too", list: "foo", needs: []string{"2.0"}, offers: []string{s1, s2}, want: []string{"+" + s2}},
		{name: "two versions", needs: []string{"1.0", "2"}, offers: []string{s1, s2, s3}, want: []string{"+" + s1, "+" + s2}},
		{name: "yanked, if that is what is needed", needs: []string{"1.0"}, offers: []string{s1 + " yanked"}, want: []string{"+" + s1}},
		{name: "what was listed before it was yanked", needs: []string{"1.0"}, offers: []string{s1, s2 + " yanked"}, has: []string{s1, s2}, want: []string{"=" + s1, "~" + s2 + " yanked"}},
		{name: "not what is older", needs: []string{"2.0"}, offers: []string{s1 + " yanked", s2}, has: []string{s1, s2}, want: []string{"-" + s1, "=" + s2}},
		{name: "no sdists", list: "--only-binary :all:", needs: []string{"1.0"}, offers: []string{s1, w1}, want: []string{"+" + w1}},
		{name: "blocked", policy: "[[block]]\nproject = \"foo\"\nversions = \"==1.0\"\nreason = \"bad\"\n", needs: []string{"1.0"}, offers: []string{s1, s2}},
		{name: "no longer needed", has: []string{s1}, offers: []string{s1}, want: []string{"-" + s1}},
		{name: "other versions", needs: []string{"2.0"}, has: []string{s1, s2}, offers: []string{s1, s2}, want: []string{"-" + s1, "=" + s2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := input(t, tt.list, tt.policy)
			for _, v := range tt.needs {
				in.Needs = append(in.Needs, plan.Need{Version: v, Why: []string{"bar needs it"}})
			}
			if len(tt.has) > 0 {
				in.Current = listed(tt.has...)
			}
			in.Listing = &catalog.Listing{Offers: offers(tt.offers...)}
			p := plan.Decide(in)
			got := describe(p)
			slices.SortFunc(tt.want, cmp.Compare)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			for _, c := range p.Fetch {
				if tt.list == "" && !slices.Equal(c.Why, []string{"bar needs it"}) {
					t.Errorf("%s: why %q", c.Offer.Filename, c.Why)
				}
			}
		})
	}
}

// What is asked for and not listed is told with what is against it.
func TestLeftOut(t *testing.T) {
	const block = "[[block]]\nproject = \"foo\"\nversions = \">=2\"\nreason = \"bad\"\n"
	const exe = "foo-1.0.win32.exe"
	for _, tt := range []struct {
		name   string
		list   string
		policy string
		legacy bool
		offers []string
		has    []string
		want   []string
		out    []string // the file and its effect, and how often it is asked for
	}{
		{name: "a block", list: "foo", policy: block, offers: []string{s1, s2}, want: []string{"+" + s1}, out: []string{s2 + " blocked 1"}},
		{name: "of what no line asks for", list: "foo<2", policy: block, offers: []string{s1, s2}, want: []string{"+" + s1}},
		{name: "of what two lines ask for", list: "foo\nfoo>1", policy: block, offers: []string{s1, s2, w2}, want: []string{"!warning", "+" + s1}, out: []string{w2 + " blocked 2", s2 + " blocked 2"}},
		{name: "an old kind", list: "foo", offers: []string{s1, exe}, want: []string{"+" + s1}, out: []string{exe + " filtered 1"}},
		{name: "an old kind that is wanted", list: "foo", legacy: true, offers: []string{exe}, want: []string{"+" + exe}},
		{name: "an old kind that is here", list: "foo", offers: []string{s1, exe}, has: []string{exe}, want: []string{"+" + s1, "-" + exe}, out: []string{exe + " filtered 1"}},
		{name: "nothing else is on offer", list: "foo", offers: []string{exe}, want: []string{"!incomplete"}, out: []string{exe + " filtered 1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := input(t, tt.list, tt.policy)
			in.LegacyFiles = tt.legacy
			if len(tt.has) > 0 {
				in.Current = listed(tt.has...)
			}
			in.Listing = &catalog.Listing{Offers: offers(tt.offers...)}
			p := plan.Decide(in)
			got := describe(p)
			slices.SortFunc(tt.want, cmp.Compare)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			var out []string
			for _, l := range p.LeftOut {
				out = append(out, l.Offer.Filename+" "+[]string{"filtered", "held", "blocked"}[l.Objection.Effect]+" "+string('0'+rune(len(l.Why))))
			}
			slices.Sort(out)
			slices.Sort(tt.out)
			if !slices.Equal(out, tt.out) {
				t.Errorf("left out %q\nwant %q", out, tt.out)
			}
		})
	}
}
