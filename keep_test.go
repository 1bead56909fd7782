package nestgen

import (
	"crypto/sha512"
	"fmt"
	"os"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// What was listed first stays listed, whatever lies under its name in the drop
// folder now (contract FN-8): other bytes, a torn copy, or a symbolic link.
func TestAListedFileOutlivesWhatReplacesIt(t *testing.T) {
	w := newWorld(t)
	name := w.drop("foo", "1.0", plain)
	w.build(0)
	w.drop("foo", "1.0", intaketest.Opts{Summary: "other"})
	r := w.build(3)
	w.tells(r, "incomplete", "which stays")
	w.lists(name)
	w.write("drop/"+name, "torn")
	w.build(3)
	w.lists(name)
	w.build(3) // and it is told as long as it is so
	w.lists(name)
	w.remove("drop/" + name)
	if err := os.Symlink("/dev/null", w.path("drop/"+name)); err != nil {
		t.Fatal(err)
	}
	w.build(3, Options{AllowRemovals: true})
	w.lists(name)
	w.remove("drop/" + name)
	w.build(0, Options{AllowRemovals: true})
	w.lists()
}

// A block of the policy is obeyed at once: not put off because another file of
// the project cannot be had, and not held by the brake.
func TestABlockWaitsForNothing(t *testing.T) {
	srv := fetchtest.New(t, wheel("foo", "1.0", plain), wheel("foo", "2.0", plain), wheel("bar", "1.0", plain))
	w := newWorld(t, srv)
	w.Versions = -1
	w.write("allowlist.txt", "foo\nbar\n")
	w.build(0)
	srv.SetFiles(wheel("foo", "1.0", plain), wheel("foo", "2.0", plain), wheel("foo", "3.0", plain), wheel("bar", "1.0", plain))
	file, _ := intaketest.Wheel("foo", "3.0", plain)
	srv.Always(srv.Path(file), fetchtest.Status404)
	w.write("policy.toml", "[[block]]\nproject = \"foo\"\nversions = \"==2.0\"\nreason = \"malware\"\n")
	w.build(3)
	w.lists("bar-1.0-py3-none-any.whl", "foo-1.0-py3-none-any.whl")
	w.write("policy.toml", "[[block]]\nproject = \"foo\"\nreason = \"malware\"\n[[block]]\nproject = \"bar\"\nreason = \"malware\"\n")
	w.build(0)
	w.lists()
}

// The hashes of a line are checked against the bytes where the upstream says
// nothing of them, and those of a constraint count like the line's own.
func TestHashesOfLinesAreAlwaysChecked(t *testing.T) {
	silent := wheel("foo", "1.0", plain)
	silent.NoHash = true
	srv := fetchtest.New(t, silent)
	w := newWorld(t, srv)
	zeros := fmt.Sprintf("%0128d", 0)
	w.write("allowlist.txt", "foo==1.0 --hash=sha512:"+zeros+" --hash=sha256:"+zeros[:64]+"\n")
	w.tells(w.build(3), "incomplete", "none of the hashes")
	w.lists()
	srv.Forget()
	w.build(3)
	if n := len(srv.Requests(srv.Path(silent.Filename))); n != 0 {
		t.Errorf("the wrong file was fetched again, %d times", n)
	}
	w.write("allowlist.txt", fmt.Sprintf("foo==1.0 --hash=sha512:%s --hash=sha512:%x\n", zeros, sha512.Sum512(silent.Data)))
	w.build(0)
	w.lists(silent.Filename)

	w = newWorld(t, fetchtest.New(t, wheel("foo", "1.0", plain)))
	w.write("allowlist.txt", "foo\n-c c.txt\n")
	w.write("c.txt", "foo==1.0 --hash=sha256:"+zeros[:64]+"\n")
	w.build(3)
	w.lists()
}

// A name that a spoilt file in a drop folder is meant for is not asked for
// outside, in any run.
func TestASpoiltFileHoldsItsNameBack(t *testing.T) {
	srv := fetchtest.New(t, wheel("private", "9.9", plain))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "private\n")
	w.write("drop/private-1.0-py3-none-any.whl", "torn")
	w.build(3)
	w.build(3)
	w.lists()
	if n := len(srv.Requests(srv.Page(fetchtest.Index, "private"))); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// A file that both a drop folder and an upstream have is listed once, and the
// next run finds nothing to do.
func TestTheSameFileFromTwoSourcesIsQuiet(t *testing.T) {
	srv := fetchtest.New(t, wheel("foo", "1.0", plain))
	w := newWorld(t, srv)
	w.Projects = []ProjectConfig{{Name: "foo", Sources: "both"}}
	w.write("allowlist.txt", "foo\n")
	name, other := w.drop("foo", "1.0", plain), w.drop("other", "1.0", plain)
	w.build(0)
	w.lists(name, other)
	for range 2 {
		if r := w.build(0); r.changes() {
			t.Errorf("a run with nothing to do changed something: %+v", r)
		}
	}
	// Without the cache of the scan, a file that went is found gone as well.
	w.remove("drop/" + name)
	w.remove("state/drop.cache")
	w.build(0)
	w.build(0)
	w.lists(name, other) // the upstream still has it
}

// A signature that is put beside a file later is published.
func TestASignatureMayComeLater(t *testing.T) {
	w := newWorld(t)
	name := w.drop("foo", "1.0", plain)
	w.build(0)
	w.write("drop/"+name+".asc", "signed")
	r := w.build(0)
	if r.Changed.Count != 1 || r.Added.Count != 0 {
		t.Errorf("%d added, %d changed, want 0 and 1", r.Added.Count, r.Changed.Count)
	}
	found := false
	for path, sum := range photograph(t, w.path("site")) {
		_ = sum
		found = found || len(path) > 4 && path[len(path)-4:] == ".asc"
	}
	if !found {
		t.Error("the signature is not in the tree")
	}
}

// A signature that an upstream could not give with its file is asked for again
// by the next run, and one that it turns out not to have when its page changes.
func TestASignatureIsAskedForAgain(t *testing.T) {
	t.Parallel()
	foo := wheel("foo", "1.0", plain)
	foo.Signature = []byte("signed")
	for _, tt := range []struct {
		fault fetchtest.Fault
		asks  bool // the next run does, though the page is the same
	}{{fetchtest.Status500, true}, {fetchtest.Status403, true}, {fetchtest.LoginPage, true}, {fetchtest.Status404, false}, {fetchtest.Status410, false}} {
		t.Run(string(tt.fault), func(t *testing.T) {
			t.Parallel()
			srv := fetchtest.New(t, foo)
			asc := srv.Path(foo.Filename) + ".asc"
			srv.Always(asc, tt.fault)
			w := newWorld(t, srv)
			w.write("allowlist.txt", "foo\n")
			w.tells(w.build(0), "warning", "foo-1.0-py3-none-any.whl.asc")
			w.lists(foo.Filename)
			srv.Forget()
			r := w.build(0)
			if asked := len(srv.Requests(asc)) > 0; asked != tt.asks || r.changes() {
				t.Errorf("asked %v, want %v; report %+v", asked, tt.asks, r)
			}
			srv.Heal()
			if !tt.asks {
				w.write("allowlist.txt", "foo>=1\n")
				srv.SetFiles(foo, wheel("foo", "0.9", plain))
			}
			if r := w.build(0, Options{DryRun: true}); r.Changed.Count != 1 || r.Added.Count != 0 {
				t.Errorf("foreseen: %d added, %d changed, want 0 and 1", r.Added.Count, r.Changed.Count)
			}
			if r := w.build(0); r.Changed.Count != 1 || r.Added.Count != 0 || r.Fetched.Files != 0 {
				t.Errorf("%d added, %d changed, %d fetched, want 0, 1 and 0", r.Added.Count, r.Changed.Count, r.Fetched.Files)
			}
			stored := strings.TrimPrefix(w.page("foo").Files[0].URL, "../../")
			if got := w.read("site/" + stored + ".asc"); got != "signed" {
				t.Errorf("the signature is %q", got)
			}
			srv.Forget()
			if r := w.build(0); r.changes() || len(srv.Requests(asc)) > 0 {
				t.Errorf("asked for what is here: %+v", r)
			}
			if n := len(srv.Requests(srv.Path(foo.Filename))); n > 0 {
				t.Errorf("the file was fetched again")
			}
		})
	}
}

// Attestations can be listed once the site knows its own address: they are
// fetched then, and the files stay.
func TestAttestationsComeWithTheAddress(t *testing.T) {
	foo := wheel("foo", "1.0", plain)
	foo.Provenance = []byte("{}")
	srv := fetchtest.NewTLS(t, fetchtest.Trusted, foo)
	w := newWorld(t, srv)
	w.Upstreams[0].CAFile = srv.CAFile
	w.write("allowlist.txt", "foo\n")
	w.build(0)
	w.BaseURL = "https://pypi.example/"
	if r := w.build(0); r.Changed.Count != 1 || r.Fetched.Files != 0 {
		t.Errorf("%d changed, %d fetched, want 1 and 0", r.Changed.Count, r.Fetched.Files)
	}
	if !strings.Contains(w.read("site/simple/foo/index.v1_json"), `"provenance":"https://pypi.example/packages/`) {
		t.Error("the page does not name the attestations")
	}
}

// Verify leaves alone what people put beside the rooms of the tree.
func TestVerifyLeavesOtherPeoplesFilesAlone(t *testing.T) {
	w := newWorld(t)
	w.drop("foo", "1.0", plain)
	w.build(0)
	w.write("site/robots.txt", "User-agent: *\n")
	w.write("site/.well-known/acme-challenge/x", "x")
	w.write("site/simple/stray/index.html", "x")
	v, err := Verify(t.Context(), w.Config, Options{}, true)
	if err != nil || !v.Whole() || len(v.Findings) != 1 {
		t.Errorf("Verify = %+v, %v; want the stray page alone, repaired", v, err)
	}
	if !w.exists("site/robots.txt") || !w.exists("site/.well-known/acme-challenge/x") || w.exists("site/simple/stray") {
		t.Error("a file beside the rooms went, or the stray page stayed")
	}
}

// A run that stops early says so in the report beside the state.
func TestTheReportTellsOfAFault(t *testing.T) {
	w := newWorld(t)
	w.drop("foo", "1.0", plain)
	w.build(0)
	w.write("policy.toml", "[[yank]]\nporject = \"foo\"\n")
	if _, err := Build(t.Context(), w.Config, Options{}); Status(err) != 2 {
		t.Fatalf("Build = %v, want status 2", err)
	}
	var r Report
	unmarshal(t, w.read("state/report.json"), &r)
	if r.Status != 2 || len(r.Problems) == 0 || r.Problems[0].Level != "error" {
		t.Errorf("report.json has status %d and problems %+v", r.Status, r.Problems)
	}
}

// Many files of one project that leave at once look like an accident, too.
func TestTheBrakeCountsFiles(t *testing.T) {
	w := newWorld(t)
	w.drop("other", "1.0", plain)
	for i := range 80 {
		w.drop("foo", fmt.Sprintf("1.%d", i), plain)
	}
	w.build(0)
	for i := range 60 {
		if err := os.Remove(w.path(fmt.Sprintf("drop/foo-1.%d-py3-none-any.whl", i))); err != nil {
			t.Fatal(err)
		}
	}
	w.tells(w.build(6), "alarm", "--allow-removals")
	if n := len(w.listed()); n != 81 {
		t.Errorf("%d files are listed, want 81", n)
	}
	w.build(0, Options{AllowRemovals: true})
	if n := len(w.listed()); n != 21 {
		t.Errorf("%d files are listed after --allow-removals, want 21", n)
	}
}

// Files that only some clients can tell apart are both listed, and told of as
// long as they are (contract FN-8).
func TestAmbiguousNames(t *testing.T) {
	srv := fetchtest.New(t, wheel("up", "1.0", plain))
	w := newWorld(t, srv)
	w.write("allowlist.txt", "up\n")
	lower, data := intaketest.Sdist("foo", "1.0", plain)
	upper := "Foo-1.0.tar.gz"
	_, other := intaketest.Sdist("Foo", "1.0", intaketest.Opts{Spelling: "Foo"})
	w.write("drop/"+lower, string(data))
	w.build(0)
	w.write("drop/"+upper, string(other))
	for range 2 {
		w.tells(w.build(0), "warning", "ambiguous: "+upper+" and "+lower)
		w.lists(lower, upper, "up-1.0-py3-none-any.whl")
	}
	w.remove("drop/" + upper)
	if r := w.build(0); len(r.Problems) > 0 {
		t.Errorf("told when it was gone:\n%s", problemText(r))
	}
}

// What the policy says of a file ends with what the policy says, also while
// its upstream has the file no more, cannot be asked, or offers other bytes.
func TestAYankOfThePolicyEndsWithIt(t *testing.T) {
	t.Parallel()
	const yank = "[[yank]]\nproject = \"a\"\nreason = \"ours\"\n"
	const unyank = "[[unyank]]\nproject = \"a\"\n"
	one, two := wheel("a", "1.0", plain), yanked(wheel("a", "2.0", plain), "theirs")
	other := wheel("a", "1.0", intaketest.Opts{Summary: "other bytes"})
	for name, lose := range map[string]func(*fetchtest.Server){
		"gone":        func(s *fetchtest.Server) { s.SetFiles(wheel("a", "0.1", plain)) },
		"all gone":    func(s *fetchtest.Server) { s.SetFiles() },
		"unreachable": func(s *fetchtest.Server) { s.Always(s.Page(fetchtest.Index, "a"), fetchtest.Status500) },
		"altered":     func(s *fetchtest.Server) { s.SetFiles(other, two) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := fetchtest.New(t, one, two)
			w := newWorld(t, srv)
			w.write("allowlist.txt", "a==1.0\na==2.0\n")
			mine := w.drop("mine", "1.0", plain)
			w.write("policy.toml", yank)
			w.build(0)
			check := func(first, second any) {
				t.Helper()
				for i, f := range w.page("a").Files {
					if want := []any{first, second}[i]; f.Yanked != want && (want != false || f.Yanked != nil) {
						t.Errorf("%s: yanked %v, want %v", f.Filename, f.Yanked, want)
					}
				}
				w.lists(one.Filename, two.Filename, mine)
			}
			check("ours", "ours")
			lose(srv)
			build := func() {
				t.Helper()
				if r, err := Build(t.Context(), w.Config, Options{}); err != nil || r.Status == 0 {
					t.Fatalf("Build: %v", err)
				}
				w.checkTree()
			}
			build()
			check("ours", "ours")
			w.write("policy.toml", "")
			build()
			check(false, "theirs")
			w.write("policy.toml", unyank)
			build()
			check(false, false)
			w.write("policy.toml", yank)
			build()
			check("ours", "ours")
			w.write("policy.toml", "")
			build()
			check(false, "theirs")
		})
	}
}

// Whether a project without files has a page for its status does not depend on
// which run its upstream said something new in, nor on who has it.
func TestAStatusOfNoFiles(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	srv := fetchtest.New(t, wheel("up", "1.0", plain))
	w := newWorld(t, srv)
	block := "[[block]]\nproject = \"up\"\nreason = \"no\"\n"
	w.write("policy.toml", block)
	w.write("allowlist.txt", "up\n")
	w.drop("b", "1.0", plain)
	file := w.drop("a", "1.0", plain)
	build := func() {
		t.Helper()
		if _, err := Build(t.Context(), w.Config, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	build()
	w.write("policy.toml", block+"[[status]]\nproject = \"up\"\nstatus = \"quarantined\"\n[[status]]\nproject = \"a\"\nstatus = \"quarantined\"\n")
	build()
	w.isAsFresh()
	w.remove("drop/" + file)
	build()
	if got := w.page("a").Status.Status; got != "quarantined" {
		t.Errorf("a, quarantined and without files, is %q", got)
	}
	w.write("policy.toml", block)
	build()
	if w.exists("site/simple/a") {
		t.Error("the quarantine of a, which has no files, is not lifted")
	}
}
