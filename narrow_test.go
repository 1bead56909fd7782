package nestgen

import (
	"fmt"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/packaging"
)

// A run about some projects asks for no other, takes in no other, and takes no
// other out of the index.
func TestOnlySomeProjects(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheels("1.0", "a", "b", "c")...)
	w := newWorld(t, srv)
	w.write("allowlist.txt", "a\nb\nc\n")
	w.drop("mine", "1.0", intaketest.Opts{})
	w.drop("yours", "1.0", intaketest.Opts{})
	w.build(0)

	srv.SetFiles(append(wheels("1.0", "a", "b", "c"), wheels("1.1", "a", "b", "c")...)...)
	w.write("allowlist.txt", "a\nb\n") // c would leave
	w.remove("drop/mine-1.0-py3-none-any.whl")
	w.remove("drop/yours-1.0-py3-none-any.whl")
	w.drop("mine", "2.0", intaketest.Opts{})
	w.drop("yours", "2.0", intaketest.Opts{})
	w.drop("new", "1.0", intaketest.Opts{})
	srv.Forget()
	w.build(0, Options{Packages: []packaging.Name{"b", "mine"}})
	for _, n := range []string{"a", "c", "mine", "yours", "new"} {
		if len(srv.Requests(srv.Page(fetchtest.Index, n))) != 0 {
			t.Errorf("%s was asked for", n)
		}
	}
	w.lists("a-1.0-py3-none-any.whl", "b-1.1-py3-none-any.whl", "c-1.0-py3-none-any.whl", "mine-2.0-py3-none-any.whl", "yours-1.0-py3-none-any.whl")

	// The next whole run does what was left aside.
	w.build(0)
	w.lists("a-1.1-py3-none-any.whl", "b-1.1-py3-none-any.whl", "mine-2.0-py3-none-any.whl", "yours-2.0-py3-none-any.whl", "new-1.0-py3-none-any.whl")
	w.build(0)

	r := w.build(3, Options{Packages: []packaging.Name{"nowhere"}})
	w.tells(r, "incomplete", "nothing asks for a project of this name")
}

// What the projects need comes with them, and nothing that others need leaves.
func TestOnlySomeProjectsWithWhatTheyNeed(t *testing.T) {
	t.Parallel()
	app, data := intaketest.Wheel("app", "1.0", intaketest.Opts{RequiresDist: []string{"lib<2"}})
	tool, tdata := intaketest.Wheel("tool", "1.0", intaketest.Opts{RequiresDist: []string{"lib>=2", "mine"}})
	files := append(wheels("1.0", "lib", "mine"), wheels("2.0", "lib")...)
	files = append(files, fetchtest.File{Project: "app", Filename: app, Data: data}, fetchtest.File{Project: "tool", Filename: tool, Data: tdata})
	srv := fetchtest.New(t, files...)
	w := newWorld(t, srv)
	w.Dependencies = Resolve
	w.Environments = []string{"cp312-linux-x86_64"}
	w.write("apps.txt", "app\n")
	w.write("tools.txt", "tool\n")
	w.Allowlist = []string{w.path("apps.txt"), w.path("tools.txt")}
	w.build(0, Options{Packages: []packaging.Name{"app"}})
	w.lists("app-1.0-py3-none-any.whl", "lib-1.0-py3-none-any.whl")

	// What somebody has put into a drop folder and no run has looked at yet is
	// not asked for outside, though something needs it.
	w.drop("mine", "5.0", intaketest.Opts{})
	srv.Forget()
	w.build(3, Options{Packages: []packaging.Name{"tool"}})
	if n := len(srv.Requests(srv.Page(fetchtest.Index, "mine"))); n != 0 {
		t.Errorf("%d requests for a name of this site", n)
	}
	w.lists("app-1.0-py3-none-any.whl", "lib-1.0-py3-none-any.whl", "tool-1.0-py3-none-any.whl")
	w.build(0)
	w.lists("app-1.0-py3-none-any.whl", "lib-1.0-py3-none-any.whl", "lib-2.0-py3-none-any.whl", "mine-5.0-py3-none-any.whl", "tool-1.0-py3-none-any.whl")
}

// Only the newest version comes, and what is here stays.
func TestOnlyTheLatest(t *testing.T) {
	t.Parallel()
	files := wheels("1.0", "a")
	srv := fetchtest.New(t, files...)
	w := newWorld(t, srv)
	w.Versions = -1
	w.write("allowlist.txt", "a\nb<3\n")
	w.write("policy.toml", "")
	w.build(3) // there is no b yet
	for _, v := range []string{"1.1", "1.2", "1.3"} {
		files = append(files, wheels(v, "a")...)
		files = append(files, wheels(v, "b")...)
	}
	files = append(files, wheels("3.0", "b")...)
	srv.SetFiles(files...)
	w.build(0, Options{Latest: true})
	w.lists("a-1.0-py3-none-any.whl", "a-1.3-py3-none-any.whl", "b-1.3-py3-none-any.whl")

	// The policy has its say all the same.
	w.write("policy.toml", "[[block]]\nproject = \"a\"\nversions = \"==1.0\"\nreason = \"bad\"\n")
	w.build(0, Options{Latest: true})
	w.lists("a-1.3-py3-none-any.whl", "b-1.3-py3-none-any.whl")
	w.write("policy.toml", "")
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl", "a-1.1-py3-none-any.whl", "a-1.2-py3-none-any.whl", "a-1.3-py3-none-any.whl",
		"b-1.1-py3-none-any.whl", "b-1.2-py3-none-any.whl", "b-1.3-py3-none-any.whl")
}

// What changed at an upstream after a serial is asked about, and nothing else.
func TestSince(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("p%02d", i))
	}
	srv := fetchtest.New(t, wheels("1.0", names...)...)
	for i, n := range names {
		srv.SetProjectSerial(n, int64(100+i))
	}
	w := newWorld(t, srv)
	w.write("allowlist.txt", strings.Join(names, "\n"))
	since := func(n int64) Options { return Options{Since: &n} }
	w.build(0, since(117))
	askedFor(t, srv, "", "p18", "p19")
	w.lists("p18-1.0-py3-none-any.whl", "p19-1.0-py3-none-any.whl")

	// What is known by now is not asked for again; nothing leaves that was not
	// looked at.
	w.write("allowlist.txt", strings.Join(names[:19], "\n"))
	w.build(0, since(116))
	askedFor(t, srv, "", "p17")
	w.lists("p17-1.0-py3-none-any.whl", "p18-1.0-py3-none-any.whl")
	w.build(0, since(1000))
	askedFor(t, srv, "")

	// Without serials nobody is asked, and that is told.
	srv.Always(fetchtest.Index, fetchtest.Status404)
	r := w.build(3, since(0))
	w.tells(r, "incomplete", "build without --since")
	askedFor(t, srv, "")
	srv.Heal()
	w.build(0, since(0))
	if n := len(w.listed()); n != 19 {
		t.Errorf("%d files from the beginning", n)
	}
}
