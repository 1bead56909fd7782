package acceptance

import (
	"os"
	"path/filepath"
	"testing"

	"nestgen/intake/intaketest"
)

// From a snapshot everybody installs what there was, by its address alone and behind
// every server, whatever has become of the site; and after a rollback from the site.
func TestInstallFromASnapshotAndAfterARollback(t *testing.T) {
	ps := withPip(t)
	w := newWorkshop(t)
	w.drop("drop", "app", "1.0", intaketest.Opts{RequiresDist: []string{"Lib.One"}})
	old := w.drop("drop", "lib-one", "1.0", intaketest.Opts{Spelling: "Lib.One"})
	w.write("nestgen.toml", "drop = [\"drop\"]\ngzip = true\n")
	w.write("policy.toml", "")
	w.run("", "build")
	w.run("", "snapshot", "create", "good-1")
	w.drop("drop", "lib-one", "2.0", intaketest.Opts{Spelling: "Lib.One"})
	w.drop("drop", "late", "1.0", intaketest.Opts{})
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	w.run("", "build")
	for i, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			py := ps[i%len(ps)]
			srv := k.start(t, k, filepath.Join(w.root, "site"))
			dir, _ := py.into(t, srv.URL+"/snapshots/good-1", "app")
			wantVersions(t, dir, "app", "1.0", "lib_one", "1.0")
			dir, _ = py.into(t, srv.URL, "app")
			wantVersions(t, dir, "app", "1.0", "lib_one", "2.0")
			py.lacks(t, "what came later", srv.URL+"/snapshots/good-1", "late")
		})
	}
	w.run("", "rollback", "good-1")
	k := kinds[0]
	srv := k.start(t, k, filepath.Join(w.root, "site"))
	for _, py := range ps {
		dir, _ := py.into(t, srv.URL, "app")
		wantVersions(t, dir, "app", "1.0", "lib_one", "1.0")
	}
	ps[0].lacks(t, "after a rollback what came later", srv.URL, "late")
}
