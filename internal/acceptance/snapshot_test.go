package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nestgen/intake/intaketest"
)

// From a snapshot everybody installs what there was, by its address alone and behind
// every server, whatever has become of the site; and after a rollback from the site.
func TestInstallFromASnapshotAndAfterARollback(t *testing.T) {
	ps := pythons(t)
	if len(ps) == 0 {
		t.Skip("there is no Python with pip (Debian package python3-pip)")
	}
	root := sharedDir(t)
	nestgen := filepath.Join(root, "nestgen")
	run(t, command(t, "", "go", "build", "-o", nestgen, "nestgen/cmd/nestgen"))
	dropped := func(name, version string, o intaketest.Opts) string {
		o.Tag = "py2.py3-none-any"
		file, data := intaketest.Wheel(name, version, o)
		write(t, filepath.Join(root, "drop", file), data)
		return filepath.Join(root, "drop", file)
	}
	dropped("app", "1.0", intaketest.Opts{RequiresDist: []string{"Lib.One"}})
	old := dropped("lib-one", "1.0", intaketest.Opts{Spelling: "Lib.One"})
	write(t, filepath.Join(root, "nestgen.toml"), []byte("drop = [\"drop\"]\ngzip = true\n"))
	write(t, filepath.Join(root, "policy.toml"), nil)
	run(t, command(t, root, nestgen, "build"))
	run(t, command(t, root, nestgen, "snapshot", "create", "good-1"))
	dropped("lib-one", "2.0", intaketest.Opts{Spelling: "Lib.One"})
	dropped("late", "1.0", intaketest.Opts{})
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	run(t, command(t, root, nestgen, "build"))
	for i, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			py := ps[i%len(ps)]
			srv := k.start(t, k, filepath.Join(root, "site"))
			dir, _ := py.into(t, srv.URL+"/snapshots/good-1", "app")
			wantVersions(t, dir, "app", "1.0", "lib_one", "1.0")
			dir, _ = py.into(t, srv.URL, "app")
			wantVersions(t, dir, "app", "1.0", "lib_one", "2.0")
			out, err := py.call(t, "download", "-d", t.TempDir(), "--index-url", srv.URL+"/snapshots/good-1/simple/", "late").CombinedOutput()
			if err == nil || !strings.Contains(strings.ToLower(string(out)), "no matching distribution") {
				t.Errorf("what came later is installed: %v\n%s", err, out)
			}
		})
	}
	run(t, command(t, root, nestgen, "rollback", "good-1"))
	k := kinds[0]
	srv := k.start(t, k, filepath.Join(root, "site"))
	for _, py := range ps {
		dir, _ := py.into(t, srv.URL, "app")
		wantVersions(t, dir, "app", "1.0", "lib_one", "1.0")
	}
	out, err := ps[0].call(t, "download", "-d", t.TempDir(), "--index-url", srv.URL+"/simple/", "late").CombinedOutput()
	if err == nil || !strings.Contains(strings.ToLower(string(out)), "no matching distribution") {
		t.Errorf("what came later is installed after a rollback: %v\n%s", err, out)
	}
}
