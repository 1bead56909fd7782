package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/plan"
)

// lockInput is the input for a lock file that names these files of foo, in an entry
// each. Behind a name may stand "at" for an address, "altered" for other bytes
// and "size" with another size than the 10 that all have.
func lockInput(t *testing.T, pol string, files ...string) plan.Input {
	t.Helper()
	var b strings.Builder
	for _, l := range files {
		name, mark, _ := strings.Cut(l, " ")
		marks := strings.Fields(mark)
		d := sha(name)
		if slices.Contains(marks, "altered") {
			d = sha(name + "altered")
		}
		more := ""
		if slices.Contains(marks, "at") {
			more = `, url = "https://joe:secret@else.example/x/` + name + `"`
		}
		if slices.Contains(marks, "size") {
			more += ", size = 11"
		}
		version := strings.TrimSuffix(strings.Split(name, "-")[1], ".tar.gz")
		fmt.Fprintf(&b, "[[package]]\nname = \"foo\"\nversion = %q\nfiles = [{ file = %q, hash = \"sha256:%s\"%s }]\n", version, name, d, more)
	}
	file := filepath.Join(t.TempDir(), "pdm.lock")
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	l := allowlist.Read(allowlist.Sources{}, file)
	if len(l.Problems) > 0 {
		t.Fatal(l.Problems, b.String())
	}
	in := input(t, "", pol)
	in.Wants = l.Wants
	return in
}

func TestLocked(t *testing.T) {
	const block = "[[block]]\nproject = \"foo\"\nfile = \"" + w1 + "\"\nreason = \"bad\"\n"
	for _, tt := range []struct {
		name     string
		lock     []string
		list     string
		policy   string
		offers   []string
		has      []string
		nobody   bool
		onDemand bool
		want     []string // what is fetched, kept ("="), announced ("~") and withdrawn ("-")
		told     []string
	}{
		{name: "one file of several", lock: []string{w1}, offers: []string{s1, w1, s2}, want: []string{w1}},
		{name: "a yanked one", lock: []string{s1}, offers: []string{s1 + " yanked=bad", w1}, want: []string{s1}, told: []string{"warning: foo 1.0: version 1.0 is yanked (bad); it is listed because the lock file names it"}},
		{name: "an older pre-release", lock: []string{rc}, offers: []string{rc, s3}, want: []string{rc}},
		{name: "two versions", lock: []string{s1, s2}, offers: []string{s1, w1, s2}, want: []string{s2, s1}},
		{name: "beside a line", lock: []string{s1}, list: "foo", offers: []string{s1, w1, s2}, want: []string{s2, s1}},
		{name: "what was there and is not named leaves", lock: []string{s1}, offers: []string{s1, w1}, has: []string{s1, w1}, want: []string{"=" + s1, "-" + w1}},
		{name: "from the address", lock: []string{w1 + " at"}, offers: []string{s1}, want: []string{w1 + " https://else.example/x/" + w1}},
		{name: "from the upstream rather than from the address", lock: []string{w1 + " at"}, offers: []string{w1}, want: []string{w1}},
		{name: "of other bytes, from the address", lock: []string{w1 + " at altered"}, offers: []string{w1}, want: []string{w1 + " https://else.example/x/" + w1},
			told: []string{"warning: foo 1.0: up offers other bytes under the name " + w1}},
		{name: "of other bytes, and no address", lock: []string{w1 + " altered"}, offers: []string{w1}, told: []string{"incomplete: foo 1.0: up has other bytes than " + w1}},
		{name: "of another size", lock: []string{w1 + " size"}, offers: []string{w1}, told: []string{"incomplete: foo 1.0: up has other bytes than " + w1}},
		{name: "nowhere", lock: []string{w1}, offers: []string{s1}, told: []string{"incomplete: foo 1.0: up does not have " + w1}},
		{name: "of nobody", lock: []string{w1 + " at"}, nobody: true, want: []string{w1 + " https://else.example/x/" + w1}},
		{name: "of nobody, and no address", lock: []string{w1}, nobody: true, told: []string{"incomplete: foo 1.0: no upstream has the project"}},
		{name: "two lock files with other bytes", lock: []string{w1 + " at"}, list: "lock " + w1 + " at altered", offers: []string{s1}, want: []string{w1 + " https://else.example/x/" + w1},
			told: []string{"incomplete: foo 1.0: another lock file has an address for other bytes than " + w1}},
		{name: "here from the address", lock: []string{w1 + " at"}, nobody: true, has: []string{w1 + " direct"}, want: []string{"=" + w1}},
		{name: "here from the address, and now the upstream has it", lock: []string{w1 + " at"}, offers: []string{w1}, has: []string{w1 + " direct"}, want: []string{"=" + w1}},
		{name: "here, and taken down since", lock: []string{w1 + " at"}, offers: []string{s1}, has: []string{w1}, want: []string{"=" + w1}, told: []string{"incomplete: " + w1 + ": up no longer has it"}},
		{name: "here with other bytes", lock: []string{w1 + " at altered"}, offers: []string{s1}, has: []string{w1}, want: []string{"=" + w1}, told: []string{"alarm: " + w1 + ": direct now offers sha256"}},
		{name: "blocked", lock: []string{s1, w1}, policy: block, offers: []string{s1, w1}, want: []string{s1}, told: []string{"warning: foo==1.0: the policy blocks every file that fits"}},
		{name: "all blocked", lock: []string{w1}, policy: block, offers: []string{s1, w1}, told: []string{"warning: foo==1.0: the policy blocks every file that fits"}},
		{name: "blocked at an address", lock: []string{w1 + " at"}, policy: block, nobody: true, told: []string{"warning: foo==1.0: the policy blocks every file that fits"}},
		{name: "sdists only", lock: []string{s1, w1}, list: "--no-binary :all:", offers: []string{s1, w1}, want: []string{s1}},
		{name: "the same from a drop folder", lock: []string{w1}, offers: []string{s1}, has: []string{w1 + " local"}, want: []string{"=" + w1}},
		{name: "without hashes upstream", lock: []string{w1}, offers: []string{w1 + " nohash", s1 + " nohash"}, want: []string{w1}},
		{name: "on demand", lock: []string{w1, w1 + " at"}, offers: []string{s1, w1}, onDemand: true, want: []string{w1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := lockInput(t, tt.policy, tt.lock...)
			list, other, _ := strings.Cut(tt.list, "lock ")
			more := input(t, list, "")
			if other != "" {
				more = lockInput(t, "", other)
			}
			in.Wants, in.Options = append(in.Wants, more.Wants...), more.Options
			if len(tt.has) > 0 {
				in.Current = listed(tt.has...)
				in.SkipLocal = true
			}
			in.OnDemand = tt.onDemand
			in.Listing = &catalog.Listing{Offers: offers(tt.offers...)}
			if tt.nobody {
				in.Source, in.Listing, in.Nobody = "", nil, true
			}
			p := plan.Decide(in)
			var got, told []string
			for _, c := range p.Fetch {
				name := c.Offer.Filename
				if c.Source == catalog.Direct {
					name += " " + c.Offer.URL
				}
				got = append(got, name)
				if len(c.Why) == 0 || c.Offer.Hashes["sha256"] == "" {
					t.Errorf("%s: why %q, hashes %v", name, c.Why, c.Offer.Hashes)
				}
			}
			for _, k := range p.Keep {
				got = append(got, "="+k.File.Filename)
			}
			for _, c := range p.Announce {
				got = append(got, "~"+c.Offer.Filename)
			}
			for _, w := range p.Withdraw {
				got = append(got, "-"+w.File.Filename)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q\n%v", got, tt.want, p.Problems)
			}
			for _, pr := range p.Problems {
				told = append(told, map[plan.Level]string{plan.Warning: "warning", plan.Incomplete: "incomplete", plan.Alarm: "alarm"}[pr.Level]+": "+pr.Text)
			}
			if !slices.EqualFunc(told, tt.told, strings.HasPrefix) {
				t.Errorf("told %q\nwant %q", told, tt.told)
			}
		})
	}
}

// Of the files that a lock file names it is shown what is against them; of others of
// the same version it is not.
func TestLockedLeftOut(t *testing.T) {
	in := lockInput(t, "[[block]]\nproject = \"foo\"\nreason = \"bad\"\n", w1)
	in.Listing = &catalog.Listing{Offers: offers(s1, w1)}
	p := plan.Decide(in)
	if len(p.LeftOut) != 1 || p.LeftOut[0].Offer.Filename != w1 || len(p.LeftOut[0].Why) != 1 {
		t.Errorf("%+v", p.LeftOut)
	}
}

// What depends on a locked project may get what is locked, and nothing else.
func TestLockedChoices(t *testing.T) {
	in := lockInput(t, "", w1+" at", s2)
	in.Listing = &catalog.Listing{Offers: offers(s1, s2, s3)}
	var got []string
	for _, a := range plan.Choices(in) {
		got = append(got, a.Offer.Filename+" "+a.Source)
	}
	if want := []string{s2 + " up", w1 + " direct"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A hold keeps new files of a lock file out as it does others; of what comes from
// an address nobody says when it was uploaded but the lock file itself.
func TestLockedHolds(t *testing.T) {
	const day = 24 * 60 * 60 * 1_000_000
	in := lockInput(t, "", w1, w2+" at")
	in.Listing = &catalog.Listing{Offers: offers(w1, s1)}
	in.Listing.Offers[0].Uploaded = 99 * day
	in.Hold = plan.Hold{Now: 100 * day, MinAge: plan.Limit{Micros: 3 * day, Rule: "up"}}
	in.DirectHold = plan.Hold{Now: 100 * day, MinAge: plan.Limit{Micros: 3 * day, Rule: "direct"}}
	p := plan.Decide(in)
	var held []string
	for _, h := range p.Held() {
		held = append(held, h.Filename+" "+h.Rule)
	}
	if want := []string{w2 + " direct", w1 + " up"}; len(p.Fetch) != 0 || !slices.Equal(held, want) {
		t.Errorf("fetches %v, holds %q, want %q; %v", p.Fetch, held, want, p.Problems)
	}
	in.DirectHold = plan.Hold{}
	if p := plan.Decide(in); len(p.Fetch) != 1 || p.Fetch[0].Offer.Filename != w2 {
		t.Errorf("fetches %v", p.Fetch)
	}
}

// An index of its own that is made of a lock file lists what that names.
func TestLockedSelect(t *testing.T) {
	in := lockInput(t, "", w1, s2+" altered")
	var got []string
	for _, f := range plan.Select(plan.Selection{Name: "foo", Files: listed(w1, s1, s2).Files, Wants: in.Wants, Policy: in.Policy}) {
		got = append(got, f.Filename)
	}
	if want := []string{w1}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What something needs is chosen among the bytes that lines with hashes, or lock
// files, allow.
func TestLockedNeeds(t *testing.T) {
	hash := input(t, "foo==1.0 --hash=sha256:"+hexOf(w1)+"\n", "")
	for name, in := range map[string]plan.Input{"a lock file": lockInput(t, "", w1), "a line with a hash": hash} {
		in.Listing = &catalog.Listing{Offers: offers(w1, s1, w2)}
		in.Needs = []plan.Need{{Version: "1.0", Why: []string{"bar 1.0"}}}
		if got := describe(plan.Decide(in)); !slices.Equal(got, []string{"+" + w1}) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
