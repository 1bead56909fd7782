package nestgen

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"nestgen/fetch"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/policy"
)

// Without the policy that was applied before, or that the settings name, what
// it forbids would be published.
func TestALostPolicyStopsTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keep := w.drop("a", "1.0", plain)
	bad := w.drop("a", "2.0", plain)
	w.write("policy.toml", "[[block]]\nproject = \"a\"\nversions = \"==2.0\"\nreason = \"it bites\"\n")
	w.build(0)
	w.lists(keep)
	text := w.read("policy.toml")
	w.remove("policy.toml")
	before := photograph(t, w.path("site"))
	for _, dry := range []bool{true, false} {
		if _, err := Build(t.Context(), w.Config, Options{DryRun: dry}); !errors.Is(err, ErrSettings) || Hint(err) == "" {
			t.Errorf("Build without the policy: %v", err)
		}
	}
	if d := before.differences(photograph(t, w.path("site")), w.dir); len(d) > 0 {
		t.Errorf("written: %q", d)
	}
	w.write("policy.toml", text)
	w.build(0)
	w.lists(keep)
	w.write("policy.toml", "")
	w.build(0)
	w.lists(keep, bad)
	w.remove("policy.toml") // it said nothing
	w.build(0)
}

func TestAPolicyThatTheSettingsNameMustBeThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.drop("a", "1.0", plain)
	w.build(0) // the default one need not
	w.Config.Policy = w.path("rules/policy.toml")
	if _, err := Build(t.Context(), w.Config, Options{}); !errors.Is(err, ErrSettings) {
		t.Errorf("Build: %v", err)
	}
	w.write("rules/policy.toml", "")
	w.build(0)
	w.Config.Policy = ""
	w.build(0)
}

// A policy that was lost does not come back with a single yank in it.
func TestALostPolicyIsNotBegunAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	yank := func() error {
		return EditPolicy(t.Context(), w.Config, func(file string) error {
			return policy.Yank(file, policy.Target{Project: "a", Versions: "==1.0"}, "", Now())
		})
	}
	refused := func() {
		t.Helper()
		if err := yank(); !errors.Is(err, ErrSettings) || Hint(err) == "" {
			t.Errorf("EditPolicy: %v", err)
		}
		if _, err := os.Stat(w.Config.Policy); err == nil {
			t.Error("there is a new policy file")
		}
	}
	// A site that never had one, built or not, gets one.
	if err := yank(); err != nil {
		t.Fatal(err)
	}
	w.remove("policy.toml")
	w.drop("a", "1.0", plain)
	w.build(0)
	if err := yank(); err != nil {
		t.Fatal(err)
	}
	w.build(0)
	w.remove("policy.toml")
	refused()
	// So does what hangs on a disk that is not mounted.
	if err := os.Symlink(w.path("unmounted/policy.toml"), w.path("policy.toml")); err != nil {
		t.Fatal(err)
	}
	refused()
	w.remove("state")
	refused()
	w.remove("policy.toml")
	w.write("policy.toml", "")
	if err := yank(); err != nil {
		t.Error(err)
	}
	w.Config.Policy = w.path("rules/policy.toml") // the settings name it
	refused()
	w.Config.Policy = ""
	refused()
}

// A new state folder beside a site that is not new is no reason to make the
// site anew.
func TestALostStateStopsTheRun(t *testing.T) {
	t.Parallel()
	for _, left := range []string{"nothing", "an empty catalog"} {
		t.Run(left, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first := w.drop("a", "1.0", plain)
			w.build(0)
			w.remove("state")
			w.remove("drop/" + first)
			second := w.drop("a", "2.0", plain)
			if left == "an empty catalog" {
				w.write("state/catalog.db", "")
			}
			before := photograph(t, w.path("site"))
			for _, dry := range []bool{true, false} {
				if _, err := Build(t.Context(), w.Config, Options{DryRun: dry}); !errors.Is(err, ErrAlarm) || Hint(err) == "" {
					t.Errorf("Build without its state: %v", err)
				}
			}
			if d := before.differences(photograph(t, w.path("site")), w.dir); len(d) > 0 {
				t.Errorf("written: %q", d)
			}
			if left == "nothing" && w.exists("state") {
				t.Error("a state folder stands in the way of the one to be put back")
			}
			w.build(0, Options{AllowRemovals: true})
			if !slices.Contains(w.listed(), second) {
				t.Errorf("the index lists %q", w.listed())
			}
			w.build(0)
		})
	}
}

// A first build that died after its first files had reached the store is cured
// by the next one.
func TestADeadFirstBuildIsNoLostState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, err := open(w.Config, Options{})
	if err == nil {
		err = errors.Join(s.begin(t.Context()), s.close())
	}
	if err != nil {
		t.Fatal(err)
	}
	w.write("site/packages/ab/cd/"+strings.Repeat("0", 60)+"/a-1.0.tar.gz", "what it had exposed")
	if _, err := Build(t.Context(), w.Config, Options{}); err != nil {
		t.Error(err)
	}
}

// With a part of the allowlist missing nothing new is asked for: the part may
// forbid it.
func TestAPartialAllowlistLetsNothingIn(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"a missing constraint file": "-c missing.txt\n",
		"a missing list":            "-r missing.txt\n",
		"an undecodable list":       "-r binary.txt\n",
		"a wrong option":            "--index-url\n",
		"an unset variable":         "--extra-index-url https://${NESTGEN_NOT_SET}/\n",
		"a wrong constraint":        "-c wrong.txt\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := fetchtest.New(t, wheel("a", "1.0", plain), wheel("b", "1.0", plain))
			w := newWorld(t, srv)
			w.write("binary.txt", "\xff\xfe\x00")
			w.write("wrong.txt", "a<<2\n")
			w.write("allowlist.txt", "a\ngit+https://git.example/dev.git#egg=dev-dev\n")
			w.build(0)
			links := w.read("site/easy/index.html")
			if !strings.Contains(links, "git.example/dev.git") {
				t.Fatal("no development link")
			}
			srv.SetFiles(wheel("a", "1.0", plain), wheel("a", "2.0", plain), wheel("b", "1.0", plain))
			srv.Forget()
			w.write("allowlist.txt", line+"a\nb\n")
			mine := w.drop("mine", "1.0", plain)
			w.build(3)
			w.lists("a-1.0-py3-none-any.whl", mine)
			for _, q := range srv.Requests("") {
				if !strings.HasSuffix(q.Path, "/a/") {
					t.Errorf("asked for %s", q.Path)
				}
			}
			if got := w.read("site/easy/index.html"); !strings.Contains(got, "git.example/dev.git") {
				t.Errorf("the development link is gone:\n%s", got)
			}
			w.write("allowlist.txt", "a\nb\n")
			w.build(0)
			w.lists("a-2.0-py3-none-any.whl", "b-1.0-py3-none-any.whl", mine)
			if got := w.read("site/easy/index.html"); strings.Contains(got, "git.example/dev.git") {
				t.Error("the development link stays when no line asks for it")
			}
		})
	}
}

// Faults of a disk that an upstream is on are that upstream's.
func TestWhoseDiskItIs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{&fetch.Error{Kind: fetch.Unreachable, Err: &os.PathError{Op: "open", Path: "/up/a", Err: syscall.EACCES}}, false},
		{&fetch.Error{Kind: fetch.Unreachable, Err: &os.PathError{Op: "read", Path: "/up/a", Err: syscall.EIO}}, false},
		{&fetch.Error{Kind: fetch.Storage, Err: syscall.ENOSPC}, true},
		{&os.PathError{Op: "read", Path: "/state/stage/x", Err: syscall.EIO}, true},
		{syscall.ENOSPC, true},
		{errors.New("odd"), false},
	} {
		if got := ownStorage(tt.err); got != tt.want {
			t.Errorf("ownStorage(%v) = %v", tt.err, got)
		}
	}
}

// A folder in the place of a file of a local upstream, and a loop of links,
// cost that file.
func TestAnUnreadableUpstreamFileCostsThatFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.localUpstream("disk")
	good, data := intaketest.Wheel("a", "1.0", plain)
	w.write("disk/files/"+good, string(data))
	bad := "b-1.0-py3-none-any.whl"
	if err := os.Symlink(bad, w.path("disk/files/"+bad)); err != nil { // ELOOP
		t.Fatal(err)
	}
	w.write("disk/a/index.html", `<a href="../files/`+good+`">`+good+`</a>`)
	w.write("disk/b/index.html", `<a href="../files/`+bad+`">`+bad+`</a>`)
	w.write("allowlist.txt", "a\nb\n")
	w.tells(w.build(3), "incomplete", bad)
	w.lists(good)
}

// The time that SOURCE_DATE_EPOCH stands for deletes nothing that clients may
// still read.
func TestTheGraceIsCountedInTrueTime(t *testing.T) {
	w := newWorld(t)
	t.Setenv("SOURCE_DATE_EPOCH", "1000000000") // long ago: every grace would be over at once
	keep := w.drop("a", "1.0", plain)
	gone := w.drop("a", "0.9", plain)
	w.build(0)
	stored, err := filepath.Glob(w.path("site/packages/*/*/*/" + gone))
	if err != nil || len(stored) != 1 {
		t.Fatal(stored, err)
	}
	w.remove("drop/" + gone)
	w.build(0)
	t.Setenv("SOURCE_DATE_EPOCH", "4000000000")
	w.build(0)
	if _, err := GC(t.Context(), w.Config, Options{}); err != nil {
		t.Fatal(err)
	}
	os.Unsetenv("SOURCE_DATE_EPOCH")
	w.build(0)
	if _, err := os.Stat(stored[0]); err != nil {
		t.Error(err)
	}
	w.lists(keep)
}

// While a build runs there is nothing to verify.
func TestVerifyWaitsForNoBuild(t *testing.T) {
	t.Parallel()
	w := builtWorld(t)
	s, err := open(w.Config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, err := Verify(t.Context(), w.Config, Options{}, false); !errors.Is(err, ErrLocked) {
		t.Errorf("Verify: %v", err)
	}
}
