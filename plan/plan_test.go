package plan_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/policy"
)

// sha is the digest of a file in these tests: of its name and a salt.
func sha(name string) catalog.Digest { return sha256.Sum256([]byte(name)) }

// offers reads a list of files on offer. Behind a name may stand "yanked",
// "yanked=REASON", "altered" for other bytes, and "nohash".
func offers(lines ...string) (all []catalog.Offer) {
	for _, l := range lines {
		name, mark, _ := strings.Cut(l, " ")
		d := sha(name)
		if mark == "altered" {
			d = sha(name + mark)
		}
		o := catalog.Offer{Filename: name, URL: "https://up.example/" + name, Size: 10, Hashes: map[string]string{"sha256": d.String()}}
		if reason, ok := strings.CutPrefix(mark, "yanked"); ok {
			o.Yanked = catalog.Yank{Yanked: true, Reason: strings.TrimPrefix(reason, "=")}
		}
		if mark == "nohash" {
			o.Hashes = nil
		}
		all = append(all, o)
	}
	return all
}

// listed makes the files that the index has. Behind a name may stand a source;
// without one it is "up". "yanked" behind that marks it.
func listed(lines ...string) *catalog.Project {
	p := &catalog.Project{Name: "foo", Display: "foo", Owner: "up"}
	for _, l := range lines {
		parts := strings.Fields(l)
		f, err := packaging.ParseFilename(parts[0], "foo")
		if err != nil {
			panic(err)
		}
		file := catalog.File{Project: "foo", Filename: parts[0], Version: f.Version, Kind: f.Kind, Size: 10, SHA256: sha(parts[0]), Source: "up"}
		if len(parts) > 1 {
			file.Source = parts[1]
		}
		if len(parts) > 2 {
			file.Yanked.Yanked = true
		}
		if file.Source != catalog.Local {
			file.URL = "https://up.example/" + parts[0]
		}
		p.Files = append(p.Files, file)
	}
	return p
}

func dropped(lines ...string) (all []plan.Dropped) {
	for i, l := range lines {
		name, salt, _ := strings.Cut(l, " ")
		base := filepath.Base(name)
		f, err := packaging.ParseFilename(base, "foo")
		if err != nil {
			panic(err)
		}
		all = append(all, plan.Dropped{Where: "drop/" + name, File: base, Filename: f, Size: 10, SHA256: sha(base + salt), Entry: i})
	}
	return all
}

func readPolicy(t testing.TB, text string) *policy.Policy {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// input reads an allowlist and a policy. Everything that the index lists was
// first seen as it is.
func input(t *testing.T, list, pol string) plan.Input {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "list")
	if err := os.WriteFile(file, []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "constraints"), []byte("foo<2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l := allowlist.Read(allowlist.Sources{}, file)
	if l.Failed() {
		t.Fatal(l.Problems)
	}
	return plan.Input{
		Name: "foo", Wants: l.Wants, Constraints: l.Constraints, Options: l.Options, Source: "up", Keep: plan.Newest, LegacyFiles: true,
		Policy: readPolicy(t, pol), SkipLocal: true,
		Known: func(string) (catalog.Digest, bool) { return catalog.Digest{}, false },
	}
}

// describe writes a plan in one line for each file: + fetch or take, = keep, ~
// keep and change, - withdraw; "!" and the level before a problem.
func describe(p *plan.Project) []string {
	var all []string
	for _, c := range p.Fetch {
		all = append(all, "+"+c.Offer.Filename)
	}
	for _, t := range p.Take {
		all = append(all, "+"+t.Where)
	}
	for _, k := range p.Keep {
		sign, mark := "=", ""
		if k.Changed {
			sign = "~"
		}
		if k.File.Yanked.Yanked {
			mark = " yanked"
		}
		all = append(all, sign+k.File.Filename+mark)
	}
	for _, w := range p.Withdraw {
		all = append(all, "-"+w.File.Filename)
	}
	for _, q := range p.Problems {
		all = append(all, "!"+[]string{"warning", "incomplete", "alarm"}[q.Level])
	}
	slices.SortFunc(all, cmp.Compare)
	return all
}

const (
	w1, w2, w3 = "foo-1.0-py3-none-any.whl", "foo-2.0-py3-none-any.whl", "foo-3.0-py3-none-any.whl"
	s1, s2, s3 = "foo-1.0.tar.gz", "foo-2.0.tar.gz", "foo-3.0.tar.gz"
	rc         = "foo-4.0rc1.tar.gz"
	dev        = "foo-5.0.dev1.tar.gz"
)

func TestSelection(t *testing.T) {
	all := []string{w1, w2, w3, s1, s2, s3}
	for _, tt := range []struct {
		name   string
		list   string
		keep   plan.Keep
		policy string
		offers []string
		has    []string
		want   []string
	}{
		{name: "newest, each of its files", list: "foo", offers: all, want: []string{"+" + w3, "+" + s3}},
		{name: "two versions", list: "foo", keep: 2, offers: all, want: []string{"+" + w3, "+" + s3, "+" + w2, "+" + s2}},
		{name: "more than there are", list: "foo", keep: 99, offers: []string{s1, s2}, want: []string{"+" + s1, "+" + s2}},
		{name: "all", list: "foo", keep: plan.All, offers: all, want: []string{"+" + w1, "+" + w2, "+" + w3, "+" + s1, "+" + s2, "+" + s3}},
		{name: "newest of a range", list: "foo<3", offers: all, want: []string{"+" + w2, "+" + s2}},
		{name: "equal versions count once", list: "foo", keep: 1, offers: []string{"foo-1.0.tar.gz", "foo-1.0.0.zip", "foo-0.9.tar.gz"}, want: []string{"+foo-1.0.tar.gz", "+foo-1.0.0.zip"}},
		{name: "a pin", list: "foo==1.0", offers: all, want: []string{"+" + w1, "+" + s1}},
		{name: "a pin, spelled otherwise", list: "foo==1", offers: all, want: []string{"+" + w1, "+" + s1}},
		{name: "an identical pin", list: "foo===1.0", offers: []string{s1, "foo-1.0.0.zip"}, want: []string{"+" + s1}},
		{name: "two lines", list: "foo==1.0\nfoo", offers: all, want: []string{"+" + w1, "+" + s1, "+" + w3, "+" + s3}},
		{name: "a star is no pin", list: "foo==1.*", offers: []string{s1, "foo-1.5.tar.gz", "foo-1.9.tar.gz yanked"}, want: []string{"+foo-1.5.tar.gz"}},
		{name: "an epoch is newer", list: "foo", offers: []string{s3, "foo-1!0.1.tar.gz"}, want: []string{"+foo-1!0.1.tar.gz"}},
		{name: "post releases are newer", list: "foo", offers: []string{s3, "foo-3.0.post1.tar.gz"}, want: []string{"+foo-3.0.post1.tar.gz"}},
		{name: "constraint", list: "foo\n-c constraints", offers: all, want: []string{"+" + w1, "+" + s1}},
		{name: "nothing fits", list: "foo>9", offers: all, want: []string{"!incomplete"}},
		{name: "nothing on offer", list: "foo", want: []string{"!incomplete"}},
		{name: "a marker does not matter", list: "foo; python_version < '2'", offers: []string{s1}, want: []string{"+" + s1}},

		{name: "no pre-release", list: "foo", offers: []string{s3, rc, dev}, want: []string{"+" + s3}},
		{name: "nothing but pre-releases", list: "foo", offers: []string{rc, dev}, want: []string{"+" + dev}},
		{name: "a range that names one", list: "foo>=4.0rc1", offers: []string{s3, rc}, want: []string{"+" + rc}},
		{name: "--pre", list: "--pre\nfoo", offers: []string{s3, rc}, want: []string{"+" + rc}},
		{name: "pre-releases of this project", list: "--all-releases foo\nfoo", offers: []string{s3, rc}, want: []string{"+" + rc}},
		{name: "final releases only", list: "--only-final foo\nfoo", offers: []string{rc}, want: []string{"!incomplete"}},
		{name: "all versions, final ones", list: "foo", keep: plan.All, offers: []string{s1, rc}, want: []string{"+" + s1}},

		{name: "yanked never for a range", list: "foo", offers: []string{s2, s3 + " yanked=bad"}, want: []string{"+" + s2}},
		{name: "nothing but yanked", list: "foo", offers: []string{s3 + " yanked=bad"}, want: []string{"!incomplete"}},
		{name: "yanked for a pin", list: "foo==3.0", offers: []string{s3 + " yanked=bad"}, want: []string{"!warning", "+" + s3}},
		{name: "yanked after it was listed", list: "foo", offers: []string{s2, s3 + " yanked"}, has: []string{s3}, want: []string{"+" + s2, "~" + s3 + " yanked"}},
		{name: "the only one, yanked after it was listed", list: "foo", offers: []string{s3 + " yanked"}, has: []string{s3}, want: []string{"~" + s3 + " yanked"}},
		{name: "yanked, listed, and too old by now", list: "foo", offers: []string{s1 + " yanked", s3}, has: []string{s1}, want: []string{"+" + s3, "-" + s1}},
		{name: "one file of a version yanked", list: "foo", offers: []string{w3 + " yanked", s3}, want: []string{"+" + s3}},
		{name: "a yank taken back", list: "foo", offers: []string{s3}, has: []string{s3 + " up yanked"}, want: []string{"~" + s3}},

		{name: "policy yanks", list: "foo", policy: "[[yank]]\nproject='foo'\nversions='==3.0'", offers: []string{s2, s3}, has: []string{s3}, want: []string{"+" + s2, "~" + s3 + " yanked"}},
		{name: "policy yanks before it is here", list: "foo", policy: "[[yank]]\nproject='foo'\nversions='==3.0'", offers: []string{s2, s3}, want: []string{"+" + s2}},
		{name: "policy lifts a yank", list: "foo", policy: "[[unyank]]\nproject='foo'\nfile='" + s3 + "'", offers: []string{s2, s3 + " yanked"}, want: []string{"+" + s3}},
		{name: "policy blocks a version", list: "foo", policy: "[[block]]\nproject='foo'\nversions='>=3'\nreason='no'", offers: []string{s2, s3}, has: []string{s3}, want: []string{"+" + s2, "-" + s3}},
		{name: "policy blocks a pin", list: "foo==3.0", policy: "[[block]]\nproject='foo'\nversions='>=3'\nreason='no'", offers: []string{s3}, want: []string{"!warning"}},

		{name: "hash of the line", list: "foo --hash=sha256:" + hexOf(s2), offers: []string{s2, s3}, want: []string{"+" + s2}},
		{name: "no such hash", list: "foo==3.0 --hash=sha256:" + hexOf("x"), offers: []string{s3}, want: []string{"!incomplete"}},
		{name: "hash that the upstream does not tell", list: "foo==3.0 --hash=sha256:" + hexOf(s3), offers: []string{s3 + " nohash"}, want: []string{"+foo-3.0.tar.gz"}},

		{name: "--only-binary", list: "--only-binary foo\nfoo", offers: []string{w1, s1, s3}, want: []string{"+" + w1}},
		{name: "--no-binary", list: "--no-binary :all:\nfoo", offers: []string{w3, w2, s2, "foo-3.0-py2.7.egg"}, want: []string{"+" + s2}},
		{name: "an egg is a binary", list: "--only-binary :all:\nfoo", offers: []string{"foo-3.0-py2.7.egg", s3}, want: []string{"+foo-3.0-py2.7.egg"}},
		{name: "legacy versions are the oldest", list: "foo", keep: plan.All, offers: []string{s1, "foo-2004d.tar.gz"}, want: []string{"+" + s1, "+foo-2004d.tar.gz"}},
		{name: "legacy version, pinned by its text", list: "foo===2004d", offers: []string{s1, "foo-2004d.tar.gz"}, want: []string{"+foo-2004d.tar.gz"}},
		{name: "files of another project", list: "foo", offers: []string{s1, "bar-9.0.tar.gz", "foo-bar-9.0-py3-none-any.whl"}, want: []string{"+" + s1}},
		{name: "the same name twice", list: "foo", offers: []string{s1, s1 + " altered"}, want: []string{"+" + s1}},

		{name: "an older version goes when a newer one comes", list: "foo", offers: []string{s1, s2}, has: []string{s1}, want: []string{"+" + s2, "-" + s1}},
		{name: "what is here stays", list: "foo", offers: []string{s1}, has: []string{s1}, want: []string{"=" + s1}},
		{name: "vanished upstream", list: "foo", offers: []string{s1}, has: []string{s2}, want: []string{"=" + s2, "!incomplete"}},
		{name: "altered upstream", list: "foo", offers: []string{s2 + " altered"}, has: []string{s2}, want: []string{"=" + s2, "!alarm"}},
		{name: "not wanted any more", list: "bar", offers: nil, has: []string{s1, s2}, want: []string{"-" + s1, "-" + s2}},
		{name: "local files are another matter", list: "foo", offers: []string{s1}, has: []string{s3 + " local"}, want: []string{"+" + s1, "=" + s3}},

		{name: "FN-8: names that differ in case", list: "foo", offers: []string{s1, "Foo-1.0.tar.gz"}, want: []string{"+" + s1, "+Foo-1.0.tar.gz", "!warning"}},
		{name: "FN-8: beside one that is here", list: "foo", keep: plan.All, offers: []string{s1, "FOO-1-0.tar.gz"}, has: []string{s1}, want: []string{"+FOO-1-0.tar.gz", "=" + s1, "!warning"}},
		{name: "FN-8: beside one that goes", list: "foo", keep: 1, policy: "[[block]]\nproject='foo'\nfile='Foo-1.0.tar.gz'\nreason='no'", offers: []string{s1, "Foo-1.0.tar.gz"}, has: []string{s1, "Foo-1.0.tar.gz"}, want: []string{"=" + s1, "-Foo-1.0.tar.gz"}},

		{name: "direct address", list: "foo==1.0\nfoo @ https://x.example/" + s3, offers: []string{s1}, want: []string{"+" + s1, "+" + s3}},
		{name: "direct address, other bytes than listed", list: "foo==1.0\nfoo @ https://x.example/" + s3 + "#sha256=" + hexOf("x"), offers: []string{s1}, has: []string{s3 + " direct"}, want: []string{"+" + s1, "=" + s3, "!alarm"}},
		{name: "direct address, blocked", list: "foo==1.0\nfoo @ https://x.example/" + s3, policy: "[[block]]\nproject='foo'\nversions='>=3'\nreason='no'", offers: []string{s1}, want: []string{"+" + s1, "!warning"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := input(t, tt.list+"\n", tt.policy)
			in.Keep = cmp.Or(tt.keep, plan.Newest)
			in.Listing = &catalog.Listing{Offers: offers(tt.offers...)}
			in.Wants = slices.DeleteFunc(in.Wants, func(w allowlist.Want) bool { return w.Project != "foo" })
			if len(in.Wants) == 0 {
				in.Source, in.Listing = "", nil
			}
			if tt.has != nil {
				in.Current = listed(tt.has...)
			}
			slices.Sort(tt.want)
			p := plan.Decide(in)
			if got := describe(p); !slices.Equal(got, tt.want) {
				t.Errorf("%q\nwant %q\nproblems %v", got, tt.want, p.Problems)
			}
			for _, c := range p.Fetch {
				if len(c.Why) == 0 || !strings.Contains(c.Why[0], "list:") {
					t.Errorf("%s without a reason: %q", c.Offer.Filename, c.Why)
				}
			}
		})
	}
}

// What did not pass the gate, or has a name that is spent, leaves its place to
// the next best; where nothing else will do, something is lacking.
func TestTheNextBest(t *testing.T) {
	for _, tt := range []struct {
		name, list string
		keep       plan.Keep
		has        []string
		want       []string
		lacks      bool
	}{
		{name: "newest", list: "foo", want: []string{"!incomplete", "!alarm", "+" + s1}},
		{name: "beside what is here", list: "foo", has: []string{s1}, want: []string{"!incomplete", "!alarm", "=" + s1}},
		{name: "two lines, told once", list: "foo\nfoo>=1", want: []string{"!incomplete", "!alarm", "+" + s1}},
		{name: "two versions", list: "foo", keep: 2, want: []string{"!incomplete", "!alarm", "+" + s1, "+foo-0.9.tar.gz"}},
		{name: "all", list: "foo", keep: plan.All, want: []string{"!incomplete", "!alarm", "+" + s1, "+foo-0.9.tar.gz"}},
		{name: "refused, and here already", list: "foo", has: []string{s3}, want: []string{"=" + s3}},
		{name: "a pin", list: "foo==3.0", lacks: true, has: []string{s1}, want: []string{"!incomplete", "-" + s1}},
		{name: "another pin", list: "foo==3.0\nfoo==1.0", lacks: true, want: []string{"!incomplete", "+" + s1}},
	} {
		in := input(t, tt.list+"\n", "")
		in.Keep = cmp.Or(tt.keep, plan.Newest)
		in.Listing = &catalog.Listing{Offers: offers("foo-0.9.tar.gz", s1, s2, s3)}
		in.Refused = func(c plan.Choice) (string, bool) { return "torn", c.Offer.Filename == s3 }
		in.Known = func(name string) (catalog.Digest, bool) { return sha("other"), name == s2 }
		if tt.has != nil {
			in.Current = listed(tt.has...)
		}
		slices.Sort(tt.want)
		p := plan.Decide(in)
		if got := describe(p); !slices.Equal(got, tt.want) || p.Lacks != tt.lacks {
			t.Errorf("%s: %q, lacks %v; want %q", tt.name, got, p.Lacks, tt.want)
		}
	}
}

func hexOf(name string) string { d := sha(name); return hex.EncodeToString(d[:]) }

func TestLegacyKindsCanBeLeftOut(t *testing.T) {
	in := input(t, "foo\n", "")
	in.LegacyFiles = false
	in.Listing = &catalog.Listing{Offers: offers(s1, "foo-2.0.win32.exe", "foo-2.0-1.noarch.rpm", "foo-2.0.linux-x86_64.tar.gz")}
	if got := describe(plan.Decide(in)); !slices.Equal(got, []string{"+" + s1}) {
		t.Errorf("%q", got)
	}
}

// A name that once stood for other bytes is not fetched, though it is not
// listed any more.
func TestASpentNameIsNotFetched(t *testing.T) {
	in := input(t, "foo\n", "")
	in.Known = func(name string) (catalog.Digest, bool) { return sha("other"), name == s1 }
	in.Listing = &catalog.Listing{Offers: offers(s1)}
	if got := describe(plan.Decide(in)); !slices.Equal(got, []string{"!alarm"}) {
		t.Errorf("%q", got)
	}
}

func TestAnUpstreamThatCannotBeAsked(t *testing.T) {
	in := input(t, "foo\n", "[[yank]]\nproject='foo'\nversions='==1.0'\n[[block]]\nproject='foo'\nversions='==2.0'\nreason='no'\n")
	in.Current = listed(s1, s2, s3+" local", "foo-3.1.tar.gz")
	in.Current.Status = catalog.Status{State: catalog.Archived, Reason: "old"}
	p := plan.Decide(in)
	want := []string{"-" + s2, "=foo-3.0.tar.gz", "=foo-3.1.tar.gz", "~" + s1 + " yanked"}
	if got := describe(p); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if p.Status != in.Current.Status {
		t.Errorf("status %+v: what the upstream said last stands", p.Status)
	}
}

// Why a file of a drop folder leaves stays in the history for good.
func TestWhyALocalFileLeaves(t *testing.T) {
	const exe = "foo-1.0.win32.exe"
	for want, change := range map[string]func(*plan.Input){
		"it is no longer in a drop folder": func(in *plan.Input) { in.Dropped = nil },
		"files of its kind are not listed": func(in *plan.Input) { in.LegacyFiles = false },
		"the name belongs to an upstream":  func(in *plan.Input) { in.Dropped, in.NotLocal = nil, true },
		"the policy blocks it: no":         func(in *plan.Input) { in.Policy = readPolicy(t, "[[block]]\nproject='foo'\nreason='no'") },
	} {
		in := input(t, "", "")
		in.Source, in.SkipLocal = "", false
		in.Current, in.Dropped = listed(exe+" local"), dropped(exe)
		change(&in)
		if p := plan.Decide(in); len(p.Withdraw) != 1 || p.Withdraw[0].Reason != want {
			t.Errorf("%+v, want %q", p.Withdraw, want)
		}
	}
}

func TestDropFolders(t *testing.T) {
	for _, tt := range []struct {
		name    string
		policy  string
		dropped []string
		has     []string
		change  func(*plan.Input)
		want    []string
	}{
		{name: "new", dropped: []string{s1, w1}, want: []string{"+drop/" + s1, "+drop/" + w1}},
		{name: "here already", dropped: []string{s1}, has: []string{s1 + " local"}, want: []string{"=" + s1}},
		{name: "gone", dropped: []string{s2}, has: []string{s1 + " local", s2 + " local"}, want: []string{"-" + s1, "=" + s2}},
		{name: "gone, but a folder could not be read", has: []string{s1 + " local"}, change: func(in *plan.Input) { in.KeepLocal = true }, want: []string{"=" + s1}},
		{name: "nothing has changed there", has: []string{s1 + " local"}, change: func(in *plan.Input) { in.SkipLocal = true }, want: []string{"=" + s1}},
		{name: "twice the same", dropped: []string{"a/" + s1, "b/" + s1}, want: []string{"+drop/a/" + s1}},
		{name: "twice, different", dropped: []string{"a/" + s1, "b/" + s1 + " other"}, want: []string{"+drop/a/" + s1, "!incomplete"}},
		{name: "other bytes than listed", dropped: []string{s1 + " other"}, has: []string{s1 + " local"}, want: []string{"=" + s1, "!incomplete"},
			change: func(in *plan.Input) { in.Known = func(n string) (catalog.Digest, bool) { return sha(n), true } }},
		{name: "other bytes beside the right ones", dropped: []string{"a/" + s1 + " other", "b/" + s1}, has: []string{s1 + " local"}, want: []string{"=" + s1, "!incomplete"},
			change: func(in *plan.Input) { in.Known = func(n string) (catalog.Digest, bool) { return sha(n), true } }},
		{name: "blocked", policy: "[[block]]\nproject='foo'\nreason='no'", dropped: []string{s1}, has: []string{s1 + " local"}, want: []string{"-" + s1, "!warning"}},
		{name: "blocked though nothing has changed there", policy: "[[block]]\nproject='foo'\nreason='no'", has: []string{s1 + " local"},
			change: func(in *plan.Input) { in.SkipLocal = true }, want: []string{"-" + s1}},
		{name: "blocked though a folder could not be read", policy: "[[block]]\nproject='foo'\nreason='no'", has: []string{s1 + " local"},
			change: func(in *plan.Input) { in.KeepLocal = true }, want: []string{"-" + s1}},
		{name: "yanked", policy: "[[yank]]\nproject='foo'\nversions='==1.0'", dropped: []string{s1, s2}, has: []string{s1 + " local", s2 + " local"}, want: []string{"~" + s1 + " yanked", "=" + s2}},
		{name: "a yank taken back", dropped: []string{s1}, has: []string{s1 + " local yanked"}, want: []string{"~" + s1}},
		{name: "FN-8: names that differ in case", dropped: []string{s1, "Foo-1.0.tar.gz"}, want: []string{"+drop/" + s1, "+drop/Foo-1.0.tar.gz", "!warning"}},
		{name: "FN-8: names that differ in what separates", dropped: []string{s1}, has: []string{s1 + " local", "foo-1-0.tar.gz local"}, change: func(in *plan.Input) { in.KeepLocal = true }, want: []string{"=" + s1, "=foo-1-0.tar.gz", "!warning"}},
		{name: "installers", dropped: []string{"foo-1.0.win32.exe"}, change: func(in *plan.Input) { in.LegacyFiles = false }, want: []string{"!warning"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := input(t, "", tt.policy)
			in.Source, in.SkipLocal = "", false
			in.Dropped = dropped(tt.dropped...)
			if tt.has != nil {
				in.Current = listed(tt.has...)
			}
			if tt.change != nil {
				tt.change(&in)
			}
			slices.Sort(tt.want)
			p := plan.Decide(in)
			if got := describe(p); !slices.Equal(got, tt.want) {
				t.Errorf("%q\nwant %q\nproblems %v", got, tt.want, p.Problems)
			}
		})
	}
}

// A line for a name that is this site's own asks nobody, and says so if no
// file fits.
func TestALineForAnOwnName(t *testing.T) {
	for _, tt := range []struct {
		list string
		want []string
	}{
		{"foo", []string{"+drop/" + s1}}, {"foo>=1", []string{"+drop/" + s1}}, {"foo==2.0", []string{"!incomplete", "+drop/" + s1}},
	} {
		in := input(t, tt.list+"\n", "")
		in.Source, in.SkipLocal, in.Dropped = "", false, dropped(s1)
		if got := describe(plan.Decide(in)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.list, got, tt.want)
		}
	}
}

func TestStatusAndNote(t *testing.T) {
	in := input(t, "foo\n", "[[note]]\nproject='foo'\ntext='ask Ann'\n")
	in.Listing = &catalog.Listing{Offers: offers(s1), Status: catalog.Status{State: catalog.Deprecated, Reason: "theirs"}}
	in.Current = listed(s1)
	p := plan.Decide(in)
	if p.Status.Reason != "theirs" || p.Note != "ask Ann" || !p.Changes() {
		t.Errorf("%+v %q", p.Status, p.Note)
	}
	in.Policy = readPolicy(t, "[[status]]\nproject='foo'\nstatus='active'\n")
	if p := plan.Decide(in); p.Status != (catalog.Status{}) || p.Changes() {
		t.Errorf("%+v: the policy has the last word", p.Status)
	}
}

// Of a project that its upstream has quarantined nothing comes or goes, but
// what the policy blocks, and there is one alarm (PEP 792).
func TestAQuarantine(t *testing.T) {
	for _, tt := range []struct {
		policy string
		state  catalog.State
		want   string
	}{
		{"", catalog.Quarantined, "!alarm"},
		{"archived", catalog.Quarantined, "!alarm"},
		{"deprecated", catalog.Quarantined, "!alarm"},
		{"quarantined", catalog.Quarantined, ""},
		{"active", catalog.Active, "!warning"},
	} {
		pol := "[[block]]\nproject='foo'\nversions='==3.0'\nreason='no'\n"
		if tt.policy != "" {
			pol += "[[status]]\nproject='foo'\nstatus='" + tt.policy + "'\n"
		}
		in := input(t, "foo==2.0\n", pol)
		in.Current = listed(s1, s3, w1+" local")
		in.Listing = &catalog.Listing{Offers: offers(s1, s2), Status: catalog.Status{State: catalog.Quarantined, Reason: "theirs"}}
		want := []string{"-" + s3, "=" + w1, "=" + s1}
		if tt.want != "" {
			want = append([]string{tt.want}, want...)
		}
		p := plan.Decide(in)
		if got := describe(p); !slices.Equal(got, want) || p.Status.State != tt.state {
			t.Errorf("policy %q: %q, status %q; want %q, %q", tt.policy, got, p.Status.State, want, tt.state)
		}
	}
}

func TestKeepText(t *testing.T) {
	for in, want := range map[string]plan.Keep{"newest": plan.Newest, "all": plan.All, "1": 1, "17": 17, "0": 0, "-1": 0, "": 0, "some": 0, "1.5": 0} {
		var k plan.Keep
		if err := k.UnmarshalText([]byte(in)); (err == nil) != (want != 0) || k != want {
			t.Errorf("%q: %d, %v", in, k, err)
		}
	}
	for _, k := range []plan.Keep{plan.Newest, plan.All, 2} {
		var again plan.Keep
		if err := again.UnmarshalText([]byte(k.String())); err != nil || again != k {
			t.Errorf("%d is written %q", k, k)
		}
	}
}

func TestRequiresPython(t *testing.T) {
	for _, tt := range []struct{ offered, have, want string }{
		{"", ">=3", ">=3"}, {">=3.8", "", ">=3.8"}, {">=3.8", ">=3", ">=3.8"}, {">=2.7.*", ">=2.7", ">=2.7"}, {"nonsense", "", ""},
	} {
		if got := plan.RequiresPython(tt.offered, tt.have); got != tt.want {
			t.Errorf("RequiresPython(%q, %q) = %q, want %q", tt.offered, tt.have, got, tt.want)
		}
	}
}

// What is decided twice is decided the same way, and what was carried out
// needs nothing more.
func TestAPlanThatWasCarriedOutIsEmpty(t *testing.T) {
	in := input(t, "foo\nfoo==1.0\n", "[[yank]]\nproject='foo'\nversions='==2.0'\n")
	in.Keep = 2
	in.Listing = &catalog.Listing{Offers: offers(s1, s2, s3, w3)}
	first := plan.Decide(in)
	if fmt.Sprint(describe(first)) != fmt.Sprint(describe(plan.Decide(in))) {
		t.Error("decided twice, two plans")
	}
	var names []string
	for _, c := range first.Fetch {
		names = append(names, c.Offer.Filename)
	}
	in.Current = listed(names...)
	if second := plan.Decide(in); second.Changes() {
		t.Errorf("after it was done: %q", describe(second))
	}
}
