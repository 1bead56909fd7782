package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/plan"
)

// hour is in microseconds.
const hour = int64(time.Hour / time.Microsecond)

const day = 24 * hour

// now is a time after plan.LateSince.
const now = plan.LateSince + 1000*day

// upload reads offers with the hours since their upload behind "@"; without that
// the upstream does not say when.
func uploads(lines ...string) (all []catalog.Offer) {
	for _, l := range lines {
		name, age, dated := strings.Cut(l, " @")
		o := offers(name)[0]
		if dated {
			var hours int64
			if _, err := fmt.Sscan(age, &hours); err != nil {
				panic(err)
			}
			o.Uploaded = now - hours*hour
		}
		all = append(all, o)
	}
	return all
}

func TestHolds(t *testing.T) {
	minAge := plan.Limit{Micros: 3 * day, Rule: "min_age"}
	notAfter := plan.Limit{Micros: now - 10*day, Rule: "not_after"}
	late := plan.Limit{Micros: 14 * day, Rule: "late_files"}
	ancient := fmt.Sprint((now-plan.LateSince)/hour + 1) // hours: just before the rule began
	allow := func(text string) string { return "[[allow]]\nproject = \"foo\"\nreason = \"ok\"\n" + text }
	until := "expires = " + time.UnixMicro(now).UTC().Format(time.DateOnly) + "\n"
	over := "expires = " + time.UnixMicro(now-day).UTC().Format(time.DateOnly) + "\n"
	for _, tt := range []struct {
		name     string
		list     string // "foo" if empty
		needs    string // a version that something else needs
		hold     plan.Hold
		policy   string
		onDemand bool
		silent   bool // the upstream cannot be asked
		offers   []string
		has      []string
		held     []string // the file and the rule
		want     []string
	}{
		{name: "no hold", offers: []string{s1, s2 + " @1"}, want: []string{"+" + s2}},
		{name: "too young", hold: plan.Hold{MinAge: minAge}, offers: []string{s1 + " @73", s2 + " @71"}, held: []string{s2 + " min_age +1h"}, want: []string{"+" + s1}},
		{name: "just old enough", hold: plan.Hold{MinAge: minAge}, offers: []string{s2 + " @72"}, want: []string{"+" + s2}},
		{name: "uploaded in the future", hold: plan.Hold{MinAge: minAge}, offers: []string{s1 + " @99", s2 + " @-24"}, held: []string{s2 + " min_age +96h"}, want: []string{"+" + s1}},
		{name: "nothing is old enough", hold: plan.Hold{MinAge: minAge}, offers: []string{s2 + " @71"}, held: []string{s2 + " min_age +1h"}, want: []string{"!warning"}},
		{name: "what takes the place of something", list: "foo==2.0", hold: plan.Hold{MinAge: minAge}, offers: []string{s1 + " @99", s2 + " @1"}, has: []string{s1},
			held: []string{s2 + " min_age +71h"}, want: []string{"-" + s1, "lacks", "!warning"}},
		{name: "not asked for", list: "foo<2", hold: plan.Hold{MinAge: minAge}, offers: []string{s1 + " @99", s2 + " @1"}, want: []string{"+" + s1}},
		{name: "what is here stays", hold: plan.Hold{MinAge: minAge, NotAfter: notAfter, LateFiles: late}, offers: []string{s2 + " @1"}, has: []string{s2}, want: []string{"=" + s2}},
		{name: "what a line would take, not what it passes over", hold: plan.Hold{MinAge: minAge}, offers: []string{s1 + " @1", s2 + " @99", s3 + " @2", rc + " @1"},
			held: []string{s3 + " min_age +70h"}, want: []string{"+" + s2}},
		{name: "each of those that come in one after the other", hold: plan.Hold{MinAge: minAge}, offers: []string{s1 + " @99", s2 + " @70", s3 + " @1"},
			held: []string{s3 + " min_age +71h", s2 + " min_age +2h"}, want: []string{"+" + s1}},
		{name: "one of those that somebody has to let in", hold: plan.Hold{MinAge: minAge}, offers: []string{s1, s2, w2, s3 + " @1"},
			held: []string{s3 + " min_age +71h", w2 + " min_age", s2 + " min_age"}, want: []string{"!warning"}},
		{name: "above what something needs", list: "-", needs: "2.0", hold: plan.Hold{MinAge: minAge}, offers: []string{s1 + " @1", s2 + " @99", s3 + " @1", dev + " @1"},
			held: []string{s3 + " min_age +71h"}, want: []string{"+" + s2}},
		{name: "no time fails closed", hold: plan.Hold{MinAge: minAge}, offers: []string{s1 + " @99", s2}, held: []string{s2 + " min_age"}, want: []string{"+" + s1}},
		{name: "no time fails closed at a freeze", hold: plan.Hold{NotAfter: notAfter}, offers: []string{s1 + " @241", s2}, held: []string{s2 + " not_after"}, want: []string{"+" + s1}},
		{name: "no time, which is known of the upstream", hold: plan.Hold{MinAge: minAge, NotAfter: notAfter, Undated: true}, offers: []string{s1 + " @99999", s2}, want: []string{"+" + s2}},
		{name: "a known time counts all the same", hold: plan.Hold{MinAge: minAge, Undated: true}, offers: []string{s1, s2 + " @1"}, held: []string{s2 + " min_age +71h"}, want: []string{"+" + s1}},
		{name: "frozen", hold: plan.Hold{NotAfter: notAfter}, offers: []string{s1 + " @240", s2 + " @239"}, held: []string{s2 + " not_after"}, want: []string{"+" + s1}},
		{name: "frozen and too young", hold: plan.Hold{NotAfter: notAfter, MinAge: minAge}, offers: []string{s1 + " @240", s2 + " @1"}, held: []string{s2 + " not_after"}, want: []string{"+" + s1}},

		{name: "late", hold: plan.Hold{LateFiles: late}, offers: []string{s2 + " @400", w2 + " @60"}, held: []string{w2 + " late_files"}, want: []string{"+" + s2}},
		{name: "not late yet", hold: plan.Hold{LateFiles: late}, offers: []string{s2 + " @400", w2 + " @64"}, want: []string{"+" + s2, "+" + w2}},
		{name: "late before there was a rule", hold: plan.Hold{LateFiles: late}, offers: []string{s2 + " @99999", w2 + " @" + ancient}, want: []string{"+" + s2, "+" + w2}},
		{name: "late, of another release", hold: plan.Hold{LateFiles: late}, list: "foo\nfoo==1.0", offers: []string{s1 + " @4000", s2 + " @4"}, want: []string{"+" + s1, "+" + s2}},
		{name: "late, the first file being taken down", hold: plan.Hold{LateFiles: late}, offers: []string{w2 + " @4"}, has: []string{s2},
			held: []string{w2 + " late_files"}, want: []string{"=" + s2, "!incomplete"}},
		{name: "without times nothing is late", hold: plan.Hold{LateFiles: late}, offers: []string{s2 + " @4000", w2}, want: []string{"+" + s2, "+" + w2}},

		{name: "let in", hold: plan.Hold{MinAge: minAge}, policy: allow("versions = \"==2.0\"\n" + until), offers: []string{s1 + " @99", s2 + " @1"}, want: []string{"+" + s2 + " allowed"}},
		{name: "let in by its file name", hold: plan.Hold{MinAge: minAge}, policy: allow("file = \"" + w2 + "\"\n" + until), offers: []string{s2 + " @1", w2 + " @1"},
			held: []string{s2 + " min_age +71h"}, want: []string{"+" + w2 + " allowed"}},
		{name: "no longer let in", hold: plan.Hold{MinAge: minAge}, policy: allow("versions = \"==2.0\"\n" + over), offers: []string{s1 + " @99", s2 + " @1"},
			held: []string{s2 + " min_age +71h"}, want: []string{"+" + s1}},
		{name: "let in but blocked", hold: plan.Hold{MinAge: minAge}, policy: allow(until) + "[[block]]\nproject = \"foo\"\nversions = \"==2.0\"\nreason = \"bad\"\n",
			offers: []string{s1 + " @99", s2 + " @1"}, want: []string{"+" + s1}},
		{name: "let in but altered", hold: plan.Hold{MinAge: minAge}, policy: allow(until), offers: []string{s2 + " altered @1"}, has: []string{s2}, want: []string{"=" + s2, "!alarm"}},
		{name: "let in though nothing holds it", policy: allow(until), offers: []string{s2 + " @1"}, want: []string{"+" + s2}},

		{name: "reborn", hold: plan.Hold{Reborn: true}, offers: []string{s2 + " @9999"}, has: []string{s1}, held: []string{s2 + " reborn"}, want: []string{"=" + s1, "!incomplete", "!alarm"}},
		{name: "reborn, and one version is let in", hold: plan.Hold{Reborn: true}, policy: allow("versions = \"==2.0\"\n" + until), offers: []string{s2 + " @9999"}, has: []string{s1},
			held: []string{s2 + " reborn"}, want: []string{"=" + s1, "!incomplete", "!alarm"}},
		{name: "reborn, and known", hold: plan.Hold{Reborn: true, MinAge: minAge}, policy: allow(until), offers: []string{s2 + " @1"}, has: []string{s1}, want: []string{"+" + s2 + " allowed", "-" + s1}},
		{name: "reborn, on demand", hold: plan.Hold{Reborn: true}, list: "-", onDemand: true, offers: []string{s2 + " @9999"}, has: []string{s1}, held: []string{s2 + " reborn"}, want: []string{"=" + s1, "!alarm"}},

		{name: "on demand", list: "-", onDemand: true, hold: plan.Hold{MinAge: minAge}, offers: []string{s1 + " @99", s2 + " @1"}, held: []string{s2 + " min_age +71h"}, want: []string{"?" + s1}},
		{name: "on demand, announced before there was a hold", list: "-", onDemand: true, hold: plan.Hold{MinAge: minAge}, offers: []string{s1 + " @99", s2 + " @1"}, has: []string{"?" + s1, "?" + s2},
			held: []string{s2 + " min_age +71h"}, want: []string{"=" + s1, "-" + s2}},
		{name: "on demand, and nobody can be asked", list: "-", onDemand: true, silent: true, hold: plan.Hold{MinAge: minAge}, has: []string{"?" + s2}, want: []string{"=" + s2}},
		{name: "on demand, let in", list: "-", onDemand: true, hold: plan.Hold{MinAge: minAge}, policy: allow(until), offers: []string{s2 + " @1"}, want: []string{"?" + s2 + " allowed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			switch tt.list {
			case "":
				tt.list = "foo"
			case "-":
				tt.list = ""
			}
			in := input(t, tt.list, tt.policy)
			in.OnDemand = tt.onDemand
			if tt.needs != "" {
				in.Needs = []plan.Need{{Version: tt.needs, Why: []string{"bar needs it"}}}
			}
			in.Hold = tt.hold
			in.Hold.Now = now
			if len(tt.has) > 0 {
				in.Current = announced(tt.has...)
				for i := range in.Current.Files {
					in.Current.Files[i].Uploaded = now - 9999*hour
				}
			}
			if !tt.silent {
				in.Listing = &catalog.Listing{Offers: uploads(tt.offers...)}
			}
			p := plan.Decide(in)
			got := []string{}
			for _, line := range describe(p) {
				got = append(got, strings.Replace(line, "~", "=", 1)) // the time comes anew
			}
			for _, c := range p.Announce {
				got = append(got, "?"+c.Offer.Filename)
			}
			for _, c := range slices.Concat(p.Fetch, p.Announce) {
				if strings.Contains(strings.Join(c.Why, "\n"), "[[allow]]") {
					i := slices.IndexFunc(got, func(s string) bool { return s[1:] == c.Offer.Filename })
					got[i] += " allowed"
				}
			}
			if p.Lacks && slices.ContainsFunc(got, func(s string) bool { return s[0] == '-' }) {
				got = append(got, "lacks")
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q\n%v", got, tt.want, p.Problems)
			}
			var held []string
			for _, h := range p.Held() {
				if h.Reason == "" || h.Project != "foo" || h.Source != "up" {
					t.Errorf("%+v", h)
				}
				line := h.Filename + " " + strings.Replace(h.Rule, plan.RebornRule, "reborn", 1)
				if h.Until != 0 {
					line += fmt.Sprintf(" +%dh", (h.Until-now)/hour)
				}
				held = append(held, line)
			}
			if !slices.Equal(held, tt.held) {
				t.Errorf("held %q\nwant %q", held, tt.held)
			}
		})
	}
}

// Nobody says when a file was uploaded that a line names by its address, so that a
// hold that needs to know keeps it out until somebody lets it in.
func TestHoldsOfAddresses(t *testing.T) {
	hold := plan.Hold{Now: now, MinAge: plan.Limit{Micros: 3 * day, Rule: "min_age"}}
	list := "foo @ https://elsewhere.example/" + s2 + "#sha256=" + sha(s2).String()
	allow := "[[allow]]\nproject = \"foo\"\nfile = \"" + s2 + "\"\nreason = \"ok\"\nexpires = " + time.UnixMicro(now).UTC().Format(time.DateOnly) + "\n"
	for _, tt := range []struct {
		name, policy string
		hold         plan.Hold
		has          []string
		offers       []string
		source       string
		want         []string
	}{
		{name: "no hold", want: []string{"+" + s2}},
		{name: "late files need a time", hold: plan.Hold{Now: now, LateFiles: plan.Limit{Micros: day, Rule: "late_files"}}, want: []string{"+" + s2}},
		{name: "held", hold: hold, want: []string{"!warning", "held"}},
		{name: "let in", hold: hold, policy: allow, want: []string{"+" + s2}},
		{name: "here", hold: hold, has: []string{s2 + " direct"}, want: []string{"=" + s2}},
		{name: "an index has it and says when", hold: hold, source: "up", offers: []string{s2 + " @99"}, want: []string{"+" + s2}},
		{name: "an index has it and says that it is young", hold: hold, source: "up", offers: []string{s2 + " @9"}, want: []string{"!warning", "held"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := input(t, list, tt.policy)
			in.Source, in.Hold, in.DirectHold = tt.source, tt.hold, tt.hold
			if tt.source != "" {
				in.Listing = &catalog.Listing{Offers: uploads(tt.offers...)}
			}
			if len(tt.has) > 0 {
				in.Current = listed(tt.has...)
			}
			p := plan.Decide(in)
			got := describe(p)
			if len(p.Held()) > 0 {
				got = append(got, "held")
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q\n%v", got, tt.want, p.Problems)
			}
		})
	}
}

// A pin lists what is yanked, and whoever wrote it is told.
func TestYankOfAPin(t *testing.T) {
	in := input(t, "foo==1.0", "")
	in.Listing = &catalog.Listing{Offers: offers(s1+" yanked=eats data", w1+" yanked=eats data", s2)}
	p := plan.Decide(in)
	if len(p.Fetch) != 2 || len(p.Problems) != 1 || p.Problems[0].Level != plan.Warning || !strings.Contains(p.Problems[0].Text, "version 1.0 is yanked (eats data)") {
		t.Errorf("%d files, %v", len(p.Fetch), p.Problems)
	}
}
