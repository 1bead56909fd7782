package acceptance

import (
	"path/filepath"
	"strings"
	"testing"

	"nestgen/intake/intaketest"
)

// From a site that got all that it has by bundles everybody installs, by its address
// alone and behind every server, what the other side of the gap has.
func TestInstallFromAnImportedSite(t *testing.T) {
	ps := withPip(t)
	w := newWorkshop(t)
	w.drop("near/drop", "app", "1.0", intaketest.Opts{RequiresDist: []string{"Lib.One"}})
	w.drop("near/drop", "lib-one", "1.0", intaketest.Opts{Spelling: "Lib.One"})
	w.write("far/drop/.keep", "")
	for _, site := range []string{"near", "far"} {
		w.write(site+"/nestgen.toml", "drop = [\"drop\"]\ngzip = true\n")
		w.write(site+"/policy.toml", "")
	}
	w.run("near", "build")
	w.run("near", "export", "--tag", "far", "--to", "1.tar")
	key, err := command(t, filepath.Join(w.root, "near"), w.nestgen, "key", "show").Output()
	if err != nil {
		t.Fatal(err)
	}
	w.run("far", "key", "trust", strings.TrimSpace(string(key)))
	w.run("far", "import", "../near/1.tar")
	w.drop("near/drop", "lib-one", "2.0", intaketest.Opts{Spelling: "Lib.One"})
	w.drop("near/drop", "app", "2.0", intaketest.Opts{RequiresDist: []string{"Lib.One>=2"}})
	w.write("near/policy.toml", "[[yank]]\nproject = \"app\"\nversions = \"==2.0\"\nreason = \"too early\"\n")
	w.run("near", "build")
	w.run("near", "export", "--tag", "far", "--to", "2.tar", "--zstd")
	w.run("far", "import", "../near/2.tar.zst")
	w.run("far", "build")
	for i, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			py := ps[i%len(ps)]
			srv := k.start(t, k, filepath.Join(w.root, "far", "site"))
			dir, _ := py.into(t, srv.URL, "app")
			wantVersions(t, dir, "app", "1.0", "lib_one", "2.0") // 2.0 of app is yanked
			dir, _ = py.into(t, srv.URL, "app==2.0")
			wantVersions(t, dir, "app", "2.0", "lib_one", "2.0")
		})
	}
}
