package nestgen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// needing makes a wheel that needs others.
func needing(name, version string, dist ...string) fetchtest.File {
	return wheel(name, version, intaketest.Opts{RequiresDist: dist})
}

// completing makes a world that completes its allowlist for two machines.
func completing(t *testing.T, list string, files ...fetchtest.File) (*world, *fetchtest.Server) {
	t.Helper()
	up := fetchtest.New(t, files...)
	w := newWorld(t, up)
	w.Dependencies = Resolve
	w.Environments = []string{"cp312-linux-x86_64", "cp311-windows-amd64"}
	if err := w.Resolve(); err != nil {
		t.Fatal(err)
	}
	w.write("allowlist.txt", list)
	return w, up
}

func TestTheAllowlistIsCompleted(t *testing.T) {
	flask := wheel("flask", "3.0", intaketest.Opts{ProvidesExtra: []string{"async"},
		RequiresDist: []string{"werkzeug>=3", "colorama; sys_platform == 'win32'", "asgiref; extra == 'async'"}})
	for _, tt := range []struct {
		name  string
		list  string
		files []fetchtest.File
		want  []string
	}{
		{"nothing is needed", "six", []fetchtest.File{needing("six", "1.0")}, []string{"six-1.0"}},
		{"what one machine needs", "flask", []fetchtest.File{flask, needing("werkzeug", "3.0", "markupsafe"), needing("werkzeug", "2.0"), needing("markupsafe", "2.0"),
			needing("colorama", "0.4"), needing("asgiref", "3.8")}, []string{"colorama-0.4", "flask-3.0", "markupsafe-2.0", "werkzeug-3.0"}},
		{"an extra", "flask[async]", []fetchtest.File{flask, needing("werkzeug", "3.0"), needing("colorama", "0.4"), needing("asgiref", "3.8")},
			[]string{"asgiref-3.8", "colorama-0.4", "flask-3.0", "werkzeug-3.0"}},
		{"one version for two", "a\nb", []fetchtest.File{needing("a", "1", "c"), needing("b", "1", "c<2"), needing("c", "1"), needing("c", "2")},
			[]string{"a-1", "b-1", "c-1"}},
		{"an older version of a line", "a\nb", []fetchtest.File{needing("a", "1", "c<2"), needing("a", "2", "c>=2"), needing("b", "1", "c<2"), needing("c", "1"), needing("c", "2")},
			[]string{"a-1", "b-1", "c-1"}},
		{"a constraint", "a\n-c constraints.txt", []fetchtest.File{needing("a", "1", "c"), needing("c", "1"), needing("c", "2")}, []string{"a-1", "c-1"}},
		{"a newer Python than any machine has", "a", []fetchtest.File{wheel("a", "1", intaketest.Opts{RequiresPython: ">=3.8"}), wheel("a", "2", intaketest.Opts{RequiresPython: ">=3.14"})},
			[]string{"a-1"}},
		{"a circle", "a", []fetchtest.File{needing("a", "1", "b"), needing("b", "1", "a")}, []string{"a-1", "b-1"}},
		{"a line for another machine", "six\na; sys_platform == 'darwin'", []fetchtest.File{needing("six", "1"), needing("a", "1", "b"), needing("b", "1")}, []string{"a-1", "six-1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := completing(t, tt.list, tt.files...)
			w.write("constraints.txt", "c<2\n")
			w.build(0)
			var want []string
			for _, f := range tt.want {
				want = append(want, f+"-py3-none-any.whl")
			}
			w.lists(want...)
			if r := w.build(0); r.Added.Count+r.Withdrawn.Count+r.Pages.Written > 0 {
				t.Errorf("the second build: %+v", r)
			}
		})
	}
}

func pure(names ...string) (all []string) {
	for _, n := range names {
		all = append(all, n+"-py3-none-any.whl")
	}
	return all
}

// What is needed no more leaves; where that cannot be found out, nothing does, and
// no version comes in that may not install.
func TestWhatIsNeededNoMoreLeaves(t *testing.T) {
	t.Parallel()
	a, c, x := needing("a", "1", "b"), needing("c", "1"), needing("x", "1", "y")
	w, up := completing(t, "a\nx", a, needing("b", "1", "c"), c, x, needing("y", "1"))
	w.build(0)
	w.lists(pure("a-1", "b-1", "c-1", "x-1", "y-1")...)

	now := []fetchtest.File{a, needing("b", "1", "c"), needing("b", "2"), c, x, needing("x", "2", "z"), needing("y", "1"), needing("z", "1")}
	up.SetFiles(now...)
	up.Always(up.Page(fetchtest.Index, "z"), fetchtest.Status503)
	w.tells(w.build(3), "incomplete", "allowlist.txt:2: on cp312-linux-x86_64, cp311-windows-amd64: z: up1: z: status 503")
	w.lists(pure("a-1", "b-1", "b-2", "c-1", "x-1", "y-1")...)

	up.Heal()
	w.build(0, Options{AllowRemovals: true})
	w.lists(pure("a-1", "b-2", "x-2", "z-1")...)

	// What is here will do while its upstream is down.
	up.SetFiles(now[:3]...)
	up.Always(up.Page(fetchtest.Index, "z"), fetchtest.Status503)
	w.build(3)
	w.lists(pure("a-1", "b-2", "x-2", "z-1")...)
}

// Lines that cannot be met say why, and cost the others nothing.
func TestWhatCannotBeCompleted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		list  string
		files []fetchtest.File
		level string
		text  string
		want  []string
	}{
		{"a project that nobody has", "a\nb", []fetchtest.File{needing("a", "1", "gone>=1"), needing("b", "1", "c"), needing("c", "1")},
			"incomplete", "allowlist.txt:1: on cp312-linux-x86_64, cp311-windows-amd64: a 1 needs gone>=1; the index has no gone", []string{"a-1", "b-1", "c-1"}},
		{"a version that nobody has", "a\nb", []fetchtest.File{needing("a", "1", "c>=2"), needing("b", "1", "c"), needing("c", "1")},
			"incomplete", "a 1 needs c>=2; the index has 1; add `c>=2`", []string{"a-1", "b-1", "c-1"}},
		{"lines that go together nowhere", "a\nb", []fetchtest.File{needing("a", "1", "c<2"), needing("b", "1", "c>=2"), needing("c", "1"), needing("c", "2")},
			"warning", "allowlist.txt: on cp312-linux-x86_64, cp311-windows-amd64 its lines do not install together, but each alone", []string{"a-1", "b-1", "c-1", "c-2"}},
		{"a wheel for other machines", "a", []fetchtest.File{needing("a", "1", "c"), wheel("c", "1", intaketest.Opts{Tag: "cp312-cp312-manylinux_2_17_x86_64"})},
			"incomplete", "on cp311-windows-amd64: a 1 needs c; no file of c can be installed", []string{"a-1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, _ := completing(t, tt.list, tt.files...)
			status := 3
			if tt.level == "warning" {
				status = 0
			}
			w.tells(w.build(status), tt.level, tt.text)
			want := pure(tt.want...)
			if strings.Contains(tt.name, "other machines") {
				want = append(want, "c-1-cp312-cp312-manylinux_2_17_x86_64.whl")
			}
			w.lists(want...)
		})
	}
}

// An extra that a version does not have adds nothing, and is told.
func TestAnExtraThatIsNone(t *testing.T) {
	t.Parallel()
	w, _ := completing(t, "a[fast]", needing("a", "1", "b; extra == 'fast'"), needing("b", "1"))
	w.tells(w.build(0), "warning", `a: a 1 has no extra "fast", on cp312-linux-x86_64, cp311-windows-amd64`)
	w.lists(pure("a-1")...)
}

// Lines of two lists need not go together, and nobody is told.
func TestListsAreCompletedApart(t *testing.T) {
	t.Parallel()
	w, _ := completing(t, "a", needing("a", "1", "c<2"), needing("b", "1", "c>=2"), needing("c", "1"), needing("c", "2"))
	w.write("other.txt", "b\n")
	w.Allowlist = append(w.Allowlist, w.path("other.txt"))
	if r := w.build(0); len(r.Problems) > 0 {
		t.Errorf("told:\n%s", problemText(r))
	}
	w.lists(pure("a-1", "b-1", "c-1", "c-2")...)
}

// What is needed says so, and by which way.
func TestWhyWhatIsNeededIsThere(t *testing.T) {
	t.Parallel()
	w, _ := completing(t, "a\n", needing("a", "1", "b"), needing("b", "1", "c>=1"), needing("c", "1"))
	r := w.build(0)
	why := map[string][]string{}
	for _, f := range r.Added.Files {
		why[f.Project] = f.Why
	}
	if want := "allowlist.txt:1: a > a 1 needs b > b 1 needs c>=1 (cp312-linux-x86_64, cp311-windows-amd64)"; len(why["c"]) != 1 || why["c"][0] != want {
		t.Errorf("c: %q\nwant %q", why["c"], want)
	}
	if want := "allowlist.txt:1: a (cp312-linux-x86_64, cp311-windows-amd64)"; len(why["a"]) != 1 || why["a"][0] != want {
		t.Errorf("a: %q\nwant %q", why["a"], want)
	}
}

// A name that is this site's own is never asked for outside, whoever needs it, and
// is completed from what is here.
func TestOwnNamesStayOwn(t *testing.T) {
	t.Parallel()
	w, up := completing(t, "app\nx", needing("x", "1", "acme-secret", "mine"), needing("acme-secret", "9"), needing("mine", "9"), needing("tool", "1"), needing("app", "9"))
	w.Reserved = []string{"acme-*"}
	w.drop("mine", "1", intaketest.Opts{})
	w.drop("app", "1", intaketest.Opts{RequiresDist: []string{"tool", "mine"}})
	w.tells(w.build(3), "incomplete", "x 1 needs acme-secret; the index has no acme-secret")
	w.lists(pure("app-1", "mine-1", "tool-1", "x-1")...)
	for _, n := range []string{"acme-secret", "mine", "app"} {
		if q := up.Requests(up.Page(fetchtest.Index, n)); len(q) > 0 {
			t.Errorf("%s was asked for", n)
		}
	}
	w.drop("acme-secret", "1", intaketest.Opts{})
	w.build(0)
	w.lists(pure("acme_secret-1", "app-1", "mine-1", "tool-1", "x-1")...)
}

// What a drop folder may have is not asked for outside: a file that cannot be taken yet
// holds its name back, and so does a folder that cannot be read.
func TestNamesThatCannotBeSeenStayOwn(t *testing.T) {
	t.Parallel()
	asked := func(up *fetchtest.Server, n string) int { return len(up.Requests(up.Page(fetchtest.Index, n))) }
	t.Run("a file that cannot be taken", func(t *testing.T) {
		t.Parallel()
		w, up := completing(t, "app", needing("mine", "9"))
		w.drop("app", "1", intaketest.Opts{RequiresDist: []string{"mine"}})
		file, data := intaketest.Wheel("mine", "1", intaketest.Opts{})
		w.write(file, string(data))
		if err := os.Symlink(w.path(file), w.path("drop/"+file)); err != nil {
			t.Fatal(err)
		}
		w.tells(w.build(3), "incomplete", "app 1 needs mine; the index has no mine")
		w.lists(pure("app-1")...)
		if n := asked(up, "mine"); n > 0 {
			t.Errorf("mine was asked for %d times", n)
		}
		w.remove("drop/" + file)
		w.write("drop/"+file, string(data))
		w.build(0)
		w.lists(pure("app-1", "mine-1")...)
	})
	t.Run("a folder that cannot be read", func(t *testing.T) {
		t.Parallel()
		w, up := completing(t, "app\nother\nknown", needing("mine", "9"), needing("other", "9"), needing("known", "1", "dep"), needing("dep", "1"))
		w.build(3) // nobody has app
		w.Drop = append(w.Drop, w.path("second"))
		w.drop("app", "1", intaketest.Opts{RequiresDist: []string{"mine", "known"}})
		w.write("allowlist.txt", "app\nlater\nknown\n")
		r := w.build(3)
		w.tells(r, "incomplete", "allowlist.txt:1: on cp312-linux-x86_64, cp311-windows-amd64: mine: it is not asked for outside, because a drop folder cannot be read")
		w.tells(r, "incomplete", "allowlist.txt:2: later: not asked for outside, because a drop folder cannot be read")
		w.lists(pure("app-1", "dep-1", "known-1", "other-9")...)
		if n := asked(up, "mine") + asked(up, "later"); n > 0 {
			t.Errorf("own names were asked for %d times", n)
		}
		if err := os.Mkdir(w.path("second"), 0o755); err != nil {
			t.Fatal(err)
		}
		file, data := intaketest.Wheel("mine", "1", intaketest.Opts{})
		w.write("second/"+file, string(data))
		w.write("allowlist.txt", "app\nknown\n")
		w.build(0)
		w.lists(pure("app-1", "dep-1", "known-1", "mine-1")...)
	})
}

// An sdist says what it needs where its metadata is static, and is told of where it
// is not. What its build takes comes if that is wanted.
func TestSdistsAreCompleted(t *testing.T) {
	t.Parallel()
	sdist := func(name, metadata string, files map[string]string) fetchtest.File {
		file, data := intaketest.Sdist(name, "1", intaketest.Opts{Metadata: metadata, Files: files})
		return fetchtest.File{Project: name, Filename: file, Data: data}
	}
	static := "Metadata-Version: 2.2\nName: a\nVersion: 1\nRequires-Dist: c\n\n"
	dynamic := "Metadata-Version: 2.2\nName: b\nVersion: 1\nDynamic: Requires-Dist\nRequires-Dist: d\n\n"
	files := []fetchtest.File{
		sdist("a", static, map[string]string{"pyproject.toml": "[build-system]\nrequires = [\"hatchling\"]\n"}), sdist("b", dynamic, nil),
		needing("c", "1"), needing("d", "1"), needing("hatchling", "1", "trove"), needing("trove", "1"), needing("setuptools", "70", ""),
	}
	files[len(files)-1] = needing("setuptools", "70")
	w, up := completing(t, "a\nb", files...)
	r, err := Build(w.Context(), w.Config, Options{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	w.tells(r, "warning", "a-1.tar.gz: what it needs is not known before it has been fetched")
	w.tells(w.build(0), "warning", "b-1.tar.gz: it does not say what it needs except to those who run its code; cp312-linux-x86_64, cp311-windows-amd64 would get it")
	w.lists("a-1.tar.gz", "b-1.tar.gz", "c-1-py3-none-any.whl")
	if n := len(up.Requests(up.Path("a-1.tar.gz"))); n != 1 {
		t.Errorf("the sdist was fetched %d times", n)
	}
	w.BuildRequirements = true
	w.build(0)
	w.lists("a-1.tar.gz", "b-1.tar.gz", "c-1-py3-none-any.whl", "hatchling-1-py3-none-any.whl", "setuptools-70-py3-none-any.whl", "trove-1-py3-none-any.whl")
	if n := len(up.Requests(up.Path("a-1.tar.gz"))); n != 1 {
		t.Errorf("the sdist was fetched %d times", n)
	}
}

// What a distribution needs is asked for once: the catalog knows it from then on.
func TestMetadataIsAskedForOnce(t *testing.T) {
	t.Parallel()
	w, up := completing(t, "a", needing("a", "1", "b"), needing("b", "1"))
	w.build(0)
	up.Forget()
	w.build(0)
	for _, f := range pure("a-1", "b-1") {
		if n := len(up.Requests(up.Path(f) + ".metadata")); n > 0 {
			t.Errorf("%s: its metadata was asked for %d times more", f, n)
		}
	}
}

// More versions are kept beside those that go together, if that is wanted.
func TestMoreVersionsAreKept(t *testing.T) {
	t.Parallel()
	w, _ := completing(t, "a\nb", needing("a", "1"), needing("a", "2"), needing("a", "3"), needing("b", "1", "a<2"))
	w.Versions = 2
	w.build(0)
	w.lists(pure("a-1", "a-2", "a-3", "b-1")...)
}

// So are pre-releases, if the filters want them in any case.
func TestPrereleasesAreKept(t *testing.T) {
	t.Parallel()
	w, _ := completing(t, "a", needing("a", "1", "b"), needing("a", "2rc1", "b"), needing("b", "1"))
	w.Filter.Prereleases = "always"
	w.build(0)
	w.lists(pure("a-1", "a-2rc1", "b-1")...)
}

// What leaves the drop folders is not what an installer would take.
func TestWhatIsLeftOfOwnFilesIsCompleted(t *testing.T) {
	t.Parallel()
	w, _ := completing(t, "app", needing("c", "1"), needing("c", "2"))
	w.drop("app", "1", intaketest.Opts{RequiresDist: []string{"c<2"}})
	newer := w.drop("app", "2", intaketest.Opts{RequiresDist: []string{"c>=2"}})
	w.build(0)
	w.lists(pure("app-1", "app-2", "c-2")...)
	w.remove("drop/" + newer)
	w.build(0)
	w.lists(pure("app-1", "c-1")...)
}

// A plan tells of what is needed, and fetches no file for it.
func TestAPlanIsComplete(t *testing.T) {
	t.Parallel()
	w, up := completing(t, "a", needing("a", "1", "b"), needing("b", "1"))
	r, err := Build(w.Context(), w.Config, Options{DryRun: true})
	if err != nil || r.Added.Count != 2 {
		t.Errorf("%d files, %v; want 2", r.Added.Count, err)
	}
	for _, f := range pure("a-1", "b-1") {
		for _, q := range up.Requests(up.Path(f)) {
			if q.Header.Get("Range") == "" {
				t.Errorf("%s was fetched", f)
			}
		}
	}
	if w.exists("state") {
		t.Error("there is a state")
	}
}

func TestProve(t *testing.T) {
	t.Parallel()
	w, _ := completing(t, "a\nx", needing("a", "1", "b"), needing("b", "1", "c; sys_platform == 'win32'"), needing("c", "1"), needing("x", "1"))
	w.build(0)
	prove := func(names ...string) []Proof {
		t.Helper()
		p, err := Prove(t.Context(), w.Config, names, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := prove()
	if len(p) != 2 || p[0].Lines != 2 || p[0].Projects != 3 || p[1].Projects != 4 || len(p[0].Missing)+len(p[1].Missing) > 0 {
		t.Errorf("%+v", p)
	}
	w.write("policy.toml", "[[block]]\nproject = \"c\"\nreason = \"bad\"\n")
	w.build(3)
	p = prove()
	if len(p[0].Missing) != 0 || len(p[1].Missing) != 1 || p[1].Missing[0].Where != "allowlist.txt:1" ||
		p[1].Missing[0].Text != "b 1 needs c; the index has no c for this environment; add `c`, or change what needs it" {
		t.Errorf("%+v", p)
	}
	if p = prove("cp313-macos-arm64"); len(p) != 1 || p[0].Environment != "cp313-macos-arm64" || len(p[0].Missing) != 0 {
		t.Errorf("%+v", p)
	}
	if _, err := Prove(t.Context(), w.Config, []string{"cp3-beos"}, nil); Status(err) != 2 {
		t.Errorf("an unknown environment: %v", err)
	}
}

// A proof says no where an installer would not get what a line asks for, though the
// catalog lists it.
func TestProveSaysNo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		files []fetchtest.File
		do    func(w *world)
		list  string
		where string
		text  string
	}{
		{"a file that is gone", []fetchtest.File{needing("a", "1", "b"), needing("b", "1")}, func(w *world) {
			gone, err := filepath.Glob(w.path("site/packages/*/*/*/b-1-py3-none-any.whl"))
			if err != nil || len(gone) != 1 {
				w.Fatal(gone, err)
			}
			if err := os.Remove(gone[0]); err != nil {
				w.Fatal(err)
			}
		}, "a", "allowlist.txt:1", "b-1-py3-none-any.whl is listed, but its bytes are not at packages/"},
		{"other bytes than the line has the hash of", nil, func(w *world) {
			w.drop("a", "1", intaketest.Opts{})
			w.tells(w.build(3), "incomplete", "a==1")
		}, "a==1 --hash=sha256:" + strings.Repeat("ab", 32), "allowlist.txt:1", "the index has no a for this environment"},
		{"what has an address", []fetchtest.File{needing("a", "1", "b @ https://else.example/b-1-py3-none-any.whl")}, func(w *world) {
			w.tells(w.build(0), "warning", "a 1 needs b @ https://else.example/b-1-py3-none-any.whl: what has an address is not had from an index")
			if _, err := Lock(w.Context(), w.Config, LockOptions{}); Status(err) != 3 {
				w.Errorf("locked: %v", err)
			}
		}, "a", "allowlist.txt", "a 1 needs b @ https://else.example/b-1-py3-none-any.whl; what has an address is not had from an index"},
		{"more requirements than can be asked for", []fetchtest.File{needing("a", "1", slices.Repeat([]string{"b"}, 10_001)...), needing("b", "1")}, func(w *world) {},
			"a", "allowlist.txt:1", "a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, _ := completing(t, tt.list, tt.files...)
			if _, err := Build(w.Context(), w.Config, Options{}); err != nil {
				t.Fatal(err)
			}
			tt.do(w)
			p, err := Prove(t.Context(), w.Config, nil, nil)
			if err != nil || len(p) != 2 || len(p[0].Missing) != 1 || p[0].Missing[0].Where != tt.where || !strings.Contains(p[0].Missing[0].Text, tt.text) {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

// A broken file costs its version, and is fetched once; one with other bytes than its
// upstream says is an alarm.
func TestABrokenFileCompletesNothing(t *testing.T) {
	t.Parallel()
	good := []fetchtest.File{needing("a", "1", "b"), needing("b", "1")}
	broken := needing("b", "2")
	broken.Data = []byte("no wheel")
	w, up := completing(t, "a", append(good, broken)...)
	w.tells(w.build(3), "incomplete", "b: up1: b-2-py3-none-any.whl: rejected")
	w.lists(pure("a-1", "b-1")...)
	up.Forget()
	w.build(0)
	w.lists(pure("a-1", "b-1")...)
	if n := len(up.Requests(up.Path(broken.Filename))); n > 0 {
		t.Errorf("the broken file was fetched again, %d times", n)
	}

	x := needing("x", "1")
	up.SetFiles(append(good, broken, x)...)
	up.Always(up.Path(x.Filename), fetchtest.WrongBytes)
	w.write("allowlist.txt", "a\nx\n")
	w.tells(w.build(6), "alarm", "x-1-py3-none-any.whl")
	w.lists(pure("a-1", "b-1")...)
}

// A version that needs what is quarantined does not install, and does not come in.
func TestWhatIsQuarantinedCompletesNothing(t *testing.T) {
	t.Parallel()
	a, b, q := needing("a", "1"), needing("b", "1", "q"), needing("q", "1")
	w, up := completing(t, "a\nb", a, b, q)
	w.build(0)
	up.SetFiles(a, needing("a", "2", "q"), b, q)
	w.write("policy.toml", "[[status]]\nproject = \"q\"\nstatus = \"quarantined\"\nreason = \"ticket 7\"\n")
	w.tells(w.build(3), "incomplete", "allowlist.txt:2: on cp312-linux-x86_64, cp311-windows-amd64: b 1 needs q; the index has no q")
	w.lists(pure("a-1", "b-1")...)
	p, err := Prove(t.Context(), w.Config, nil, nil)
	if err != nil || len(p[0].Missing) != 1 || p[0].Missing[0].Where != "allowlist.txt:2" {
		t.Errorf("%+v, %v", p, err)
	}
}

// What is needed as long as something has not come that is to take its place does not
// leave before that has.
func TestWhatIsNeededWaitsForWhatComes(t *testing.T) {
	t.Parallel()
	a, c, c2 := needing("a", "1", "c<2"), needing("c", "1"), needing("c", "2")
	w, up := completing(t, "a", a, c)
	w.build(0)
	a2 := needing("a", "2", "c>=2")
	a2.Metadata = []byte("Metadata-Version: 2.1\nName: a\nVersion: 2\nRequires-Dist: c>=2\n\n")
	up.SetFiles(a, a2, c, c2)
	up.Always(up.Path(a2.Filename), fetchtest.Status503)
	w.tells(w.build(3), "incomplete", "a-2-py3-none-any.whl")
	w.lists(pure("a-1", "c-1", "c-2")...)
	up.Heal()
	w.build(0)
	w.lists(pure("a-2", "c-2")...)
}

func TestLock(t *testing.T) {
	t.Parallel()
	w, _ := completing(t, "a\nx", needing("a", "1", "b<2"), needing("b", "1", "c; sys_platform == 'win32'"), needing("b", "2"), needing("c", "1"), needing("x", "1"),
		needing("y", "1", "b>=2"))
	w.BaseURL = "https://index.example/"
	w.build(0)
	f, err := Lock(t.Context(), w.Config, LockOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range f.Pins {
		got = append(got, fmt.Sprintf("%s %s %v %v %s", p.Project, p.Version, p.Environments, p.Dependencies, p.Files[0].URL[:33]))
	}
	const both, at = "[cp312-linux-x86_64 cp311-windows-amd64]", "https://index.example/packages/"
	for i, want := range []string{"a 1 " + both + " [b] " + at, "b 1 " + both + " [c] " + at, "c 1 [cp311-windows-amd64] [] " + at, "x 1 " + both + " [] " + at} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Errorf("%q\nwant %q", got, want)
		}
	}
	if len(got) != 4 {
		t.Errorf("%q", got)
	}

	// What does not go together cannot be locked together.
	w.write("other.txt", "y\n")
	w.Allowlist = append(w.Allowlist, w.path("other.txt"))
	w.build(0)
	if _, err := Lock(t.Context(), w.Config, LockOptions{}); Status(err) != 3 || !strings.Contains(err.Error(), "y 1 needs b>=2") {
		t.Errorf("both lists: %v", err)
	}
	if f, err := Lock(t.Context(), w.Config, LockOptions{Lists: []string{"other.txt"}, Environments: []string{"cp313-macos-arm64"}}); err != nil || len(f.Pins) != 2 {
		t.Errorf("one list: %+v, %v", f.Pins, err)
	}
	if _, err := Lock(t.Context(), w.Config, LockOptions{Lists: []string{"third.txt"}}); Status(err) != 2 {
		t.Errorf("a list that is none: %v", err)
	}
	w.BaseURL = ""
	f, err = Lock(t.Context(), w.Config, LockOptions{Dir: w.dir, Lists: []string{"allowlist.txt"}})
	if err != nil {
		t.Fatal(err)
	}
	if file := f.Pins[0].Files[0]; file.URL != "" || !w.exists(file.Path) {
		t.Errorf("%+v", file)
	}
}

// What was looked at and is not needed costs the next run no more than what is.
func TestWhatWasLookedAtIsKnown(t *testing.T) {
	t.Parallel()
	w, up := completing(t, "a\nb", needing("a", "1"), needing("a", "2", "x"), needing("b", "1", "a<2"), needing("x", "1"))
	w.build(0)
	w.lists(pure("a-1", "b-1")...)
	up.Forget()
	r := w.build(0)
	if n := len(up.Requests("")); int64(n) != r.Fetched.Unchanged {
		t.Errorf("%d requests, %d pages that have not changed", n, r.Fetched.Unchanged)
	}
}

// A closure has whatever may be needed, whether or not it goes together.
func TestClosure(t *testing.T) {
	t.Parallel()
	files := []fetchtest.File{needing("a", "1", "c"), needing("a", "2", "c<2"), needing("b", "1", "c>=2"), needing("c", "1", "x; sys_platform == 'win32'"), needing("c", "2"),
		needing("c", "3"), needing("x", "1"), needing("lonely", "1")}
	w, up := completing(t, "a\nb", files...)
	w.Dependencies = Closure
	w.build(0)
	w.lists(pure("a-2", "b-1", "c-1", "c-3", "x-1")...)
	w.Versions = 2
	w.build(0)
	w.lists(pure("a-1", "a-2", "b-1", "c-1", "c-2", "c-3", "x-1")...)
	up.Forget()
	if r := w.build(0); r.Added.Count+r.Withdrawn.Count > 0 {
		t.Errorf("%+v", r)
	}
	up.SetFiles(append(files, needing("b", "2", "gone", "nope"), needing("nope", "1"))...)
	up.Always(up.Page(fetchtest.Index, "nope"), fetchtest.Status503)
	w.tells(w.build(3), "incomplete", "nope")
	w.lists(pure("a-1", "a-2", "b-1", "c-1", "c-2", "c-3", "x-1")...)
	up.Heal()
	w.tells(w.build(0), "warning", "b 2 needs gone; the index has no gone")
	w.lists(pure("a-1", "a-2", "b-1", "b-2", "c-1", "c-2", "c-3", "nope-1", "x-1")...)
}

// An index with lines of its own is completed by what its list says, and proved and
// locked by what it lists, not by what the site has besides.
func TestAnIndexIsCompletedByItsOwnList(t *testing.T) {
	t.Parallel()
	file, data := intaketest.Sdist("d", "1", intaketest.Opts{Metadata: "Metadata-Version: 2.2\nName: d\nVersion: 1\n\n",
		Files: map[string]string{"pyproject.toml": "[build-system]\nrequires = [\"hatchling\"]\n"}})
	for _, how := range []Dependencies{Resolve, Closure} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			w, _ := completing(t, "b\n-c constraints.txt", needing("a", "1", "c", "d"), needing("b", "1", "c"), needing("c", "1"), needing("c", "2"), needing("hatchling", "1"),
				fetchtest.File{Project: "d", Filename: file, Data: data})
			w.write("constraints.txt", "c<2\n")
			w.write("own.txt", "a\n-c own-constraints.txt\n")
			w.write("own-constraints.txt", "c>=2\n")
			w.Dependencies, w.BuildRequirements, w.BaseURL = how, true, "https://index.example/"
			w.Indexes = []Index{{Name: "lab", Allowlist: []string{"own.txt"}}}
			if err := w.Resolve(); err != nil {
				t.Fatal(err)
			}
			w.build(0)
			w.lists(append(pure("a-1", "b-1", "c-1", "c-2"), map[Dependencies][]string{Resolve: append(pure("hatchling-1"), "d-1.tar.gz"), Closure: {"d-1.tar.gz"}}[how]...)...)
			want := map[Dependencies]string{Resolve: "a c d hatchling", Closure: "a c d"}[how]
			if got := w.viewNames("lab"); got != want {
				t.Errorf("the index lists %q, want %q", got, want)
			}
			proofs, err := Prove(t.Context(), w.Config, nil, nil)
			if err != nil || len(proofs[0].Missing) > 0 && how == Resolve {
				t.Fatalf("%+v, %v", proofs, err)
			}
			f, err := Lock(t.Context(), w.Config, LockOptions{Lists: []string{"own.txt"}})
			if err != nil || len(f.Pins) != 3 || f.Pins[1].Version != "2" || len(f.Pins[1].Files) != 1 || f.Pins[1].Index != "https://index.example/lab/simple/" {
				t.Errorf("%+v, %v", f.Pins, err)
			}
			// The site has c, and the index does not any more.
			err = w.catalogUpdate(func(tx *catalog.Tx) error {
				_, err := tx.PutView("lab", &catalog.Project{Name: "c"}, Now(), 0)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			proofs, err = Prove(t.Context(), w.Config, nil, nil)
			if err != nil || !slices.ContainsFunc(proofs[0].Missing, func(m Missing) bool {
				return m.Where == "own.txt:1" && strings.Contains(m.Text, "the constraint c>=2 (own-constraints.txt:1); the index has no c")
			}) {
				t.Errorf("%+v, %v", proofs, err)
			}
		})
	}
}

// What an index keeps while something has not come leaves it when that has, also where
// the site lists it for other lines.
func TestAnIndexIsLookedThroughWhenAllHasCome(t *testing.T) {
	t.Parallel()
	a, d := needing("a", "1", "d"), needing("d", "1")
	w, up := completing(t, "d", a, d)
	w.write("own.txt", "a\n")
	w.Indexes = []Index{{Name: "lab", Allowlist: []string{"own.txt"}}}
	if err := w.Resolve(); err != nil {
		t.Fatal(err)
	}
	lists := func(want string) {
		t.Helper()
		if got := w.viewNames("lab"); got != want {
			t.Errorf("the index lists %q, want %q", got, want)
		}
	}
	w.build(0)
	lists("a d")
	a2 := needing("a", "2")
	a2.Metadata = []byte("Metadata-Version: 2.1\nName: a\nVersion: 2\n\n")
	up.SetFiles(a, a2, d)
	up.Always(up.Path(a2.Filename), fetchtest.Status503)
	w.build(3)
	lists("a d")
	if r := w.build(3); r.Pages.Written > 0 {
		t.Errorf("%d pages were written again", r.Pages.Written)
	}
	up.Heal()
	w.build(0)
	lists("a")
}

// viewNames gives the projects that an index below a prefix has pages of.
func (w *world) viewNames(prefix string) string {
	w.Helper()
	pages, err := filepath.Glob(w.path("site/" + prefix + "/simple/*/index.v1_json"))
	if err != nil {
		w.Fatal(err)
	}
	var names []string
	for _, p := range pages {
		names = append(names, filepath.Base(filepath.Dir(p)))
	}
	return strings.Join(names, " ")
}

func (w *world) catalogUpdate(change func(*catalog.Tx) error) error {
	c, err := catalog.Open(w.catalogFile())
	if err != nil {
		return err
	}
	return errors.Join(c.Update(w.Context(), Now(), change), c.Close())
}

// A fault of the site's own disk is no matter of single lines, and ends the run.
func TestWhatEndsACompletion(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		storage(&os.PathError{Op: "read", Path: "x", Err: syscall.EIO}): true,
		&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}:      true,
		errors.New("a 1 needs b>=2"):                                    false,
		fmt.Errorf("z: %w", fs.ErrNotExist):                             false,
	} {
		if got := endsAll(t.Context(), err); got != want {
			t.Errorf("%v: %t", err, got)
		}
	}
}
