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
	ps := pythons(t)
	if len(ps) == 0 {
		t.Skip("there is no Python with pip (Debian package python3-pip)")
	}
	root := sharedDir(t)
	nestgen := filepath.Join(root, "nestgen")
	run(t, command(t, "", "go", "build", "-o", nestgen, "nestgen/cmd/nestgen"))
	near, far := filepath.Join(root, "near"), filepath.Join(root, "far")
	dropped := func(name, version string, o intaketest.Opts) {
		o.Tag = "py2.py3-none-any"
		file, data := intaketest.Wheel(name, version, o)
		write(t, filepath.Join(near, "drop", file), data)
	}
	dropped("app", "1.0", intaketest.Opts{RequiresDist: []string{"Lib.One"}})
	dropped("lib-one", "1.0", intaketest.Opts{Spelling: "Lib.One"})
	for _, site := range []string{near, far} {
		write(t, filepath.Join(site, "nestgen.toml"), []byte("drop = [\"drop\"]\ngzip = true\n"))
		write(t, filepath.Join(site, "policy.toml"), nil)
	}
	write(t, filepath.Join(far, "drop", ".keep"), nil)
	run(t, command(t, near, nestgen, "build"))
	run(t, command(t, near, nestgen, "export", "--tag", "far", "--to", "1.tar"))
	key, err := command(t, near, nestgen, "key", "show").Output()
	if err != nil {
		t.Fatal(err)
	}
	run(t, command(t, far, nestgen, "key", "trust", strings.TrimSpace(string(key))))
	run(t, command(t, far, nestgen, "import", "../near/1.tar"))
	dropped("lib-one", "2.0", intaketest.Opts{Spelling: "Lib.One"})
	dropped("app", "2.0", intaketest.Opts{RequiresDist: []string{"Lib.One>=2"}})
	write(t, filepath.Join(near, "policy.toml"), []byte("[[yank]]\nproject = \"app\"\nversions = \"==2.0\"\nreason = \"too early\"\n"))
	run(t, command(t, near, nestgen, "build"))
	run(t, command(t, near, nestgen, "export", "--tag", "far", "--to", "2.tar", "--zstd"))
	run(t, command(t, far, nestgen, "import", "../near/2.tar.zst"))
	run(t, command(t, far, nestgen, "build"))
	for i, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			py := ps[i%len(ps)]
			srv := k.start(t, k, filepath.Join(far, "site"))
			dir, _ := py.into(t, srv.URL, "app")
			wantVersions(t, dir, "app", "1.0", "lib_one", "2.0") // 2.0 of app is yanked
			dir, _ = py.into(t, srv.URL, "app==2.0")
			wantVersions(t, dir, "app", "2.0", "lib_one", "2.0")
		})
	}
}
