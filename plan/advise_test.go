package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"nestgen/advisory"
	"nestgen/catalog"
	"nestgen/plan"
)

// advice makes one of advisories: an ID, and what happens to versions, as in
// "introduced=1.0 fixed=2.0".
func advice(t *testing.T, pairs ...string) *plan.Advice {
	t.Helper()
	var records []advisory.Record
	for i := 0; i < len(pairs); i += 2 {
		var events []string
		for e := range strings.FieldsSeq(pairs[i+1]) {
			kind, version, _ := strings.Cut(e, "=")
			events = append(events, fmt.Sprintf("{%q:%q}", kind, version))
		}
		p, err := advisory.Parse(fmt.Appendf(nil, `{"id":%q,"summary":"it leaks.","affected":[{"package":{"ecosystem":"PyPI","name":"foo"},"ranges":[{"type":"ECOSYSTEM","events":[%s]}]}]}`,
			pairs[i], strings.Join(events, ",")))
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, p.Records["foo"])
	}
	return &plan.Advice{Records: advisory.NewSet(records), YankFixed: true, BlockMalware: true}
}

const leak = " yanked=X-1: it leaks; fixed in 2.0"

func TestAdvice(t *testing.T) {
	old := []string{"X-1", "introduced=0 fixed=2.0"}
	mal := []string{"MAL-1", "introduced=2.0"}
	for _, tt := range []struct {
		name   string
		advice []string
		change func(*plan.Input)
		list   string
		policy string
		offers []string
		has    []string
		silent bool
		want   []string
	}{
		{name: "what is affected and fixed is yanked", advice: old, list: "foo", offers: []string{s1, s2}, has: []string{s1, s2}, want: []string{"-" + s1, "=" + s2}},
		{name: "the newest that is not affected is chosen", advice: []string{"X-1", "introduced=2.0 fixed=9"}, list: "foo", offers: []string{s1, s2}, want: []string{"+" + s1}},
		{name: "a pin stays, with the mark", advice: old, list: "foo==1.0", offers: []string{s1, s2}, has: []string{s1}, want: []string{"~" + s1 + leak, "!warning"}},
		{name: "also if nobody can be asked", advice: old, list: "foo==1.0", silent: true, has: []string{s1, s2}, want: []string{"~" + s1 + leak, "=" + s2}},
		{name: "the upstream's own reason", advice: old, list: "foo==1.0", offers: []string{s1 + " yanked=theirs"}, has: []string{s1}, want: []string{"~" + s1 + " yanked=theirs", "!warning"}},
		{name: "the policy takes it back", advice: old, list: "foo==1.0", policy: "[[unyank]]\nproject='foo'\n", offers: []string{s1}, has: []string{s1}, want: []string{"=" + s1}},
		{name: "the policy's own reason", advice: old, list: "foo==1.0", policy: "[[yank]]\nproject='foo'\nreason='ours'\n", offers: []string{s1}, has: []string{s1}, want: []string{"~" + s1 + " yanked=ours", "!warning"}},
		{name: "not without a fix", advice: []string{"X-1", "introduced=0"}, list: "foo", offers: []string{s1, s2}, want: []string{"+" + s2}},
		{name: "not without the setting", advice: old, change: func(in *plan.Input) { in.Advice.YankFixed = false }, list: "foo==1.0", offers: []string{s1}, has: []string{s1}, want: []string{"=" + s1}},
		{name: "not of another upstream", advice: append(old, mal...), change: func(in *plan.Input) { in.Advice.Upstreams = []string{"pypi"} }, list: "foo", offers: []string{s1, s2}, want: []string{"+" + s2}},
		{name: "not of a drop folder", advice: append(old, mal...), change: func(in *plan.Input) { in.Source, in.SkipLocal, in.Dropped = "", false, dropped(s1, s2) }, has: []string{s1 + " local", s2 + " local"}, want: []string{"=" + s1, "=" + s2}},
		{name: "taken back when the advisory is", list: "foo==1.0", offers: []string{s1}, has: []string{s1 + " up yanked"}, want: []string{"~" + s1}},

		{name: "malware is not listed", advice: mal, list: "foo", offers: []string{s1, s2}, want: []string{"+" + s1, "!alarm"}},
		{name: "pinned neither", advice: mal, list: "foo==2.0", offers: []string{s1, s2}, want: []string{"!alarm"}},
		{name: "malware that is listed goes", advice: mal, list: "foo", offers: []string{s1, s2}, has: []string{s1, s2}, want: []string{"=" + s1, "-" + s2, "!alarm"}},
		{name: "also if nobody can be asked", advice: mal, list: "foo", silent: true, has: []string{s1, s2}, want: []string{"=" + s1, "-" + s2, "!alarm"}},
		{name: "also of a project in quarantine", advice: mal, list: "foo", policy: "[[status]]\nproject='foo'\nstatus='quarantined'\n", offers: []string{s1},
			change: func(in *plan.Input) { in.Listing.Status = catalog.Status{State: catalog.Quarantined} }, has: []string{s1, s2}, want: []string{"=" + s1, "-" + s2, "!alarm"}},
		{name: "also though the allowlist has errors", advice: mal, change: func(in *plan.Input) { in.KeepMirrored = true }, offers: []string{s1, s2}, has: []string{s1, s2}, want: []string{"=" + s1, "-" + s2, "!alarm"}},
		{name: "an unyank is no leave for malware", advice: mal, policy: "[[unyank]]\nproject='foo'\n", list: "foo==2.0", offers: []string{s2}, want: []string{"!alarm"}},
		{name: "with the setting off", advice: mal, change: func(in *plan.Input) { in.Advice.BlockMalware = false }, list: "foo", offers: []string{s1, s2}, want: []string{"+" + s2}},
		{name: "not announced, and no alarm that anybody can raise", advice: mal, change: func(in *plan.Input) { in.OnDemand = true }, offers: []string{s1, s2}, want: []string{"?" + s1}},
		{name: "announced before", advice: mal, change: func(in *plan.Input) { in.OnDemand = true; in.Current = announced("?"+s1, "?"+s2) }, offers: []string{s1, s2}, want: []string{"=" + s1, "-" + s2, "!alarm"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := input(t, tt.list, tt.policy)
			if len(tt.has) > 0 {
				in.Current = listed(tt.has...)
			}
			if !tt.silent {
				in.Listing = &catalog.Listing{Offers: offers(tt.offers...)}
			}
			if len(tt.advice) > 0 {
				in.Advice = advice(t, tt.advice...)
			}
			if tt.change != nil {
				tt.change(&in)
			}
			p := plan.Decide(in)
			got := describe(p)
			for _, c := range p.Announce {
				got = append(got, "?"+c.Offer.Filename)
			}
			for i, g := range got {
				for _, k := range p.Keep {
					if g == "~"+k.File.Filename+" yanked" && k.File.Yanked.Reason != "" {
						got[i] += "=" + k.File.Yanked.Reason
					}
				}
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q\nproblems %v", got, tt.want, p.Problems)
			}
			for _, w := range p.Withdraw {
				if strings.Contains(w.Reason, "MAL-1") != w.Blocked {
					t.Errorf("%s leaves, blocked %v: %s", w.File.Filename, w.Blocked, w.Reason)
				}
			}
		})
	}
}
