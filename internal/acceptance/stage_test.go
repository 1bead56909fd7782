package acceptance

import (
	"os"
	"path/filepath"
	"testing"

	"nestgen/intake/intaketest"
)

// From a stage everybody installs what was promoted to it, by its address alone and
// behind every server, also when the site has dropped it.
func TestInstallFromAStage(t *testing.T) {
	ps := withPip(t)
	w := newWorkshop(t)
	w.drop("drop", "app", "1.0", intaketest.Opts{RequiresDist: []string{"Lib.One"}})
	old := w.drop("drop", "lib-one", "1.0", intaketest.Opts{Spelling: "Lib.One"})
	w.drop("drop", "lib-one", "2.0", intaketest.Opts{Spelling: "Lib.One"})
	w.drop("drop", "other", "1.0", intaketest.Opts{})
	w.write("nestgen.toml", `drop = ["drop"]
gzip = true
[[index]]
name = "prod"
[[index]]
name = "eu"
prefix = "prod/eu"
inherits = ["prod"]
`)
	w.write("policy.toml", "")
	w.run("", "build")
	w.run("", "promote", "app", "lib-one==1.0", "/", "prod")
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	w.run("", "build")
	for i, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			py := ps[i%len(ps)]
			srv := k.start(t, k, filepath.Join(w.root, "site"))
			for _, prefix := range []string{"/prod", "/prod/eu"} {
				dir, _ := py.into(t, srv.URL+prefix, "app")
				wantVersions(t, dir, "app", "1.0", "lib_one", "1.0")
			}
			dir, _ := py.into(t, srv.URL, "app")
			wantVersions(t, dir, "app", "1.0", "lib_one", "2.0")
			py.lacks(t, "what was not promoted", srv.URL+"/prod", "other")
		})
	}
}
