package nestgen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// A file that was rejected for its size comes in when the limit is raised.
func TestARaisedLimitLetsFilesIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.drop("big", "1.0", intaketest.Opts{Pad: 50_000})
	w.MaxFile = 10_000
	w.tells(w.build(3), "incomplete", "raise max_file")
	w.lists()
	w.MaxFile = 1 << 20
	w.build(0)
	w.lists(file)
	w.MaxFile = 10_000
	w.build(0)
	w.lists(file)
}

// What is to take the place of a file is there before that leaves, also if it
// is the store that does not take it.
func TestNothingLeavesForWhatTheStoreRefuses(t *testing.T) {
	t.Parallel()
	one, two := wheel("a", "1.0", plain), wheel("a", "2.0", plain)
	srv := fetchtest.New(t, one)
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a\n")
	w.build(0)
	// Somebody has put something else where the new file belongs.
	other := newWorld(t, fetchtest.New(t, two))
	other.write("allowlist.txt", "a\n")
	other.build(0)
	paths, err := filepath.Glob(other.path("site/packages/*/*/*/" + two.Filename))
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	place := "site" + strings.TrimPrefix(paths[0], other.path("site"))
	w.write(place, "something else")
	srv.SetFiles(one, two)
	r, err := Build(t.Context(), w.Config, Options{})
	if err != nil || r.Status != 6 {
		t.Fatalf("Build: %v, problems:\n%s", err, problemText(r))
	}
	w.lists(one.Filename)
	w.remove(place)
	w.build(0)
	w.lists(two.Filename)
}

// A file that leaves is reported once.
func TestWhatLeavesIsCountedOnce(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "2.0", plain), wheel("b", "2.0", plain))
	w := newWorld(t, srv)
	w.Projects = []ProjectConfig{{Name: "a", Sources: "both"}}
	w.drop("a", "1.0", plain)
	w.drop("c", "1.0", plain)
	w.write("allowlist.txt", "a\nb\n")
	w.build(0)
	w.write("policy.toml", "[[block]]\nproject = \"a\"\nreason = \"no\"\n[[block]]\nproject = \"b\"\nreason = \"no\"\n")
	r := w.build(0)
	if r.Withdrawn.Count != 3 || len(r.Withdrawn.Files) != 3 {
		t.Errorf("withdrawn %+v", r.Withdrawn)
	}
}

// The brake counts a project that loses its files of both kinds.
func TestTheBrakeCountsMixedProjects(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "2.0", plain))
	w := newWorld(t, srv)
	w.Projects = []ProjectConfig{{Name: "a", Sources: "both"}}
	mine := w.drop("a", "1.0", plain)
	w.write("allowlist.txt", "a\n")
	w.build(0)
	w.remove("drop/" + mine)
	w.write("drop/other.txt", "")
	w.write("allowlist.txt", "")
	w.tells(w.build(6), "alarm", "1 of 1 projects")
	w.lists(mine, "a-2.0-py3-none-any.whl")
}

// An upstream that a project was moved to is trusted no more than another one:
// what it takes down stays.
func TestAFileStaysAfterItsProjectMoved(t *testing.T) {
	t.Parallel()
	first := fetchtest.New(t, wheel("a", "1.0", plain), wheel("b", "1.0", plain))
	second := fetchtest.New(t, wheel("a", "1.0", plain))
	w := newWorld(t, first, second)
	w.write("allowlist.txt", "a\nb\n")
	w.build(0)
	w.Projects = []ProjectConfig{{Name: "a", Upstream: "up2"}}
	w.build(0)
	second.SetFiles(wheel("a", "0.9", plain))
	w.tells(w.build(3), "incomplete", "up2 no longer has it")
	w.lists("a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl")
}

// A name that is given to the upstreams keeps its files until one has answered.
func TestANameIsHandedOver(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "2.0", plain))
	w := newWorld(t, srv)
	mine := w.drop("a", "1.0", plain)
	other := w.drop("b", "1.0", plain)
	third := w.drop("c", "1.0", plain)
	w.build(0)
	w.write("allowlist.txt", "a\n")
	w.Projects = []ProjectConfig{{Name: "a", Sources: "upstream"}}
	srv.Always(srv.Page(fetchtest.Index, "a"), fetchtest.Status500)
	if _, err := Build(t.Context(), w.Config, Options{}); err != nil {
		t.Fatal(err)
	}
	w.lists(mine, other, third)
	srv.Heal()
	w.build(3)
	w.lists("a-2.0-py3-none-any.whl", other, third)
}

// A signature leaves with its file in the drop folder.
func TestASignatureThatGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name := w.drop("foo", "1.0", plain)
	w.write("drop/"+name+".asc", "signed")
	w.build(0)
	signed := func() bool { return strings.Contains(w.read("site/simple/foo/index.html"), `data-gpg-sig="true"`) }
	if !signed() {
		t.Fatal("not signed")
	}
	if err := os.Remove(w.path("drop/" + name + ".asc")); err != nil {
		t.Fatal(err)
	}
	w.build(0)
	if signed() {
		t.Error("still signed")
	}
	w.write("drop/"+name+".asc", "signed")
	w.build(0)
	if !signed() {
		t.Error("not signed again")
	}
	// Its address never stands for other bytes; the file stays without.
	w.remove("drop/" + name + ".asc")
	w.build(0)
	w.write("drop/"+name+".asc", "signed anew")
	for range 2 {
		r := w.build(3)
		w.tells(r, "incomplete", ".asc: it was published with other bytes")
		if signed() || r.Changed.Count > 0 {
			t.Errorf("signed, or changed: %+v", r.Changed)
		}
		w.lists(name)
	}
	w.remove("drop/" + name + ".asc")
	w.build(0)
	// So it does when it left and comes back.
	other := w.drop("other", "1.0", plain)
	w.remove("drop/" + name)
	w.build(0)
	w.drop("foo", "1.0", plain)
	w.write("drop/"+name+".asc", "signed anew")
	w.build(3)
	w.lists(name, other)
}

// What an address of the allowlist is to replace stays while a run is offline.
func TestOfflineNothingLeavesForWhatIsNotHere(t *testing.T) {
	t.Parallel()
	one, two := wheel("d", "1.0", plain), wheel("d", "2.0", plain)
	srv := fetchtest.New(t, one, two)
	w := newWorld(t, srv)
	w.write("allowlist.txt", "d @ "+srv.URL+srv.Path(one.Filename)+"\n")
	mine := w.drop("mine", "1.0", plain)
	w.build(0)
	w.write("allowlist.txt", "d @ "+srv.URL+srv.Path(two.Filename)+"\n")
	w.build(3, Options{Offline: true, AllowRemovals: true})
	w.lists(one.Filename, mine)
	w.build(0)
	w.lists(two.Filename, mine)
}

// A development link stays while its snippet cannot be read, and also after
// that.
func TestALinkOutlivesAMissingFolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.drop("a", "1.0", plain)
	w.write("drop/dev.git", "https://git.example/dev.git\n")
	w.build(0)
	there := func() {
		t.Helper()
		if !strings.Contains(w.read("site/easy/index.html"), "https://git.example/dev.git") {
			t.Error("the link is gone")
		}
	}
	there()
	if err := os.Rename(w.path("drop"), w.path("away")); err != nil {
		t.Fatal(err)
	}
	w.write("policy.toml", "[[note]]\nproject = \"a\"\ntext = \"everything is looked at\"\n")
	w.build(3)
	there()
	w.remove("state/drop.cache")
	w.build(3)
	there()
	if err := os.Rename(w.path("away"), w.path("drop")); err != nil {
		t.Fatal(err)
	}
	w.build(0)
	there()
	w.remove("drop/dev.git")
	w.build(0)
	if strings.Contains(w.read("site/easy/index.html"), "https://git.example/dev.git") {
		t.Error("the link outlives its snippet")
	}
}

// A file that has moved at its upstream is mended from where it is now.
func TestRepairFindsAFileThatMoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.localUpstream("disk")
	file, data := intaketest.Wheel("a", "1.0", plain)
	at := func(folder string) {
		w.write("disk/"+folder+"/"+file, string(data))
		w.write("disk/a/index.html", `<!DOCTYPE html><a href="../`+folder+`/`+file+`#sha256=`+fetchtest.SHA256(data)+`">`+file+`</a>`)
	}
	w.write("allowlist.txt", "a\n")
	at("old")
	w.build(0)
	w.remove("disk/old")
	at("new")
	w.build(0)
	w.remove(w.stored("a", file))
	v, err := Verify(t.Context(), w.Config, Options{}, true)
	if err != nil || !v.Whole() {
		t.Errorf("Verify = %+v, %v", v, err)
	}
	w.checkTree()
}

// A line for a name that is this site's own makes no folder for downloads.
func TestNothingIsMadeForDownloadsThatAreNot(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t)
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a\n")
	w.drop("a", "1.0", plain)
	w.build(0)
	before := photograph(t, w.path("state"))
	w.build(0)
	if d := before.differences(photograph(t, w.path("state")), w.dir); len(d) > 0 {
		t.Errorf("written: %q", d)
	}
}

// A file that both a drop folder and an upstream have is listed as long as one
// of them has it, and without a gap.
func TestAFileOfTwoSourcesStaysWithTheOther(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("a", "1.0", plain))
	w := newWorld(t, srv)
	w.Projects = []ProjectConfig{{Name: "a", Sources: "both"}}
	other := w.drop("other", "1.0", plain)
	for _, first := range []string{"upstream", "folder"} {
		if first == "folder" {
			w.drop("a", "1.0", plain)
			w.build(0)
		}
		w.write("allowlist.txt", "a\n")
		w.build(0)
		file := w.drop("a", "1.0", plain)
		for range 2 {
			w.build(0)
			w.lists(file, other)
		}
		w.write("allowlist.txt", "") // the folder has it
		for range 2 {
			w.build(0)
			w.lists(file, other)
		}
		w.write("allowlist.txt", "a\n")
		w.build(0)
		w.remove("drop/" + file) // the upstream has it
		for range 2 {
			if r := w.build(0); r.Fetched.Files > 0 {
				t.Error("it was fetched, and was here")
			}
			w.lists(file, other)
		}
		srv.Always(srv.Page(fetchtest.Index, "a"), fetchtest.Status404)
		w.build(3) // it is the upstream's now, whose loss is told and not followed
		w.lists(file, other)
		srv.Heal()
		w.write("allowlist.txt", "")
		w.build(0, Options{AllowRemovals: true})
		w.lists(other)
	}
}

// A local file goes when its place in the folder is gone, also if a line asks
// for it that no upstream can answer.
func TestALineThatNobodyAnswersKeepsNothing(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t)
	w := newWorld(t, srv)
	w.Projects = []ProjectConfig{{Name: "a", Sources: "both"}}
	w.write("allowlist.txt", "a\n")
	file, other := w.drop("a", "1.0", plain), w.drop("other", "1.0", plain)
	w.tells(w.build(3), "incomplete", "no upstream has a project of this name")
	w.lists(file, other)
	w.remove("drop/" + file)
	w.build(3)
	w.lists(other)
}

// What was here stays for good while what is to take its place is refused.
func TestARefusedFileTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	good := wheel("a", "1.0", plain)
	torn := wheel("a", "2.0", plain)
	torn.Data = torn.Data[:len(torn.Data)/2]
	srv := fetchtest.New(t, good)
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a\n")
	mine := w.drop("mine", "1.0", plain)
	w.build(0)
	srv.SetFiles(good, torn)
	for range 3 {
		w.tells(w.build(3), "incomplete", torn.Filename)
		w.lists(good.Filename, mine)
	}
	w.write("allowlist.txt", "a==2.0\n") // nothing else will do
	for range 2 {
		w.build(3)
		w.lists(good.Filename, mine)
	}
	w.write("allowlist.txt", "a\n")
	whole := wheel("a", "2.0", plain)
	srv.SetFiles(good, whole)
	w.build(0)
	w.lists(whole.Filename, mine)
	// So it does when the name was spent for other bytes.
	w.write("allowlist.txt", "a<2\n")
	w.build(0)
	w.lists(good.Filename, mine)
	srv.SetFiles(good, wheel("a", "2.0", intaketest.Opts{Summary: "other bytes"}))
	w.write("allowlist.txt", "a\n")
	for range 3 {
		w.tells(w.build(6), "alarm", "first seen")
		w.lists(good.Filename, mine)
	}
}
