package nestgen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A far side whose catalog is put back from a backup, from before its last imports, is
// told which serials are missing, of which site and stream. The older bundles, taken in
// again, make of it what a far side is that never lost anything; where they are gone, one
// that the near side exports from there does.
func TestAFarSideFromABackup(t *testing.T) {
	t.Parallel()
	for _, log := range []bool{true, false} {
		for _, gone := range []bool{false, true} {
			for _, built := range []bool{false, true} {
				t.Run(fmt.Sprintf("log %t, bundles gone %t, built meanwhile %t", log, gone, built), func(t *testing.T) {
					t.Parallel()
					g := newGap(t)
					never := newWorld(t)
					link(t, g.near, "near.example", never)
					g.far.PublishLog, never.PublishLog = log, log
					g.near.write("policy.toml", "")
					goes := g.near.drop("a", "1.0", plain)
					for _, n := range []string{"b", "c", "d", "e", "f"} {
						g.near.drop(n, "1.0", plain)
					}
					g.near.build(0)
					var bundles [][]string
					carry := func() {
						t.Helper()
						files := g.export(ExportOptions{})
						bundles = append(bundles, files)
						g.far.imports(0, files...)
						never.imports(0, files...)
					}
					carry()
					since := g.far.imports(0, bundles[0]...).To
					restore := g.far.backUp()
					g.near.drop("a", "2.0", plain)
					g.near.drop("new", "1.0", plain)
					g.near.build(0)
					carry()
					g.near.remove("drop/" + goes)
					g.near.write("policy.toml", "[[yank]]\nproject = \"b\"\nversions = \"==1.0\"\nreason = \"old\"\n[[status]]\nproject = \"c\"\nstatus = \"archived\"\n")
					g.near.build(0)
					carry()
					restore()
					if built {
						g.far.build(0, Options{AllowRemovals: true})
					}
					g.near.drop("b", "2.0", plain)
					g.near.build(0)
					next := g.export(ExportOptions{})
					g.far.refusesBundle(ErrSettings, fmt.Sprintf("serials %d to", since+1), next...)
					g.far.refusesBundle(ErrSettings, "of near.example are missing: what was taken in of the stream \"far\" ends with", next...)
					if gone {
						g.far.imports(0, g.export(ExportOptions{Since: &since})...)
					} else {
						for _, files := range append(bundles[1:], next) {
							g.far.imports(0, files...)
						}
					}
					never.imports(0, next...)
					g.same()
					if d := differ(t, never, g.far); len(d) > 0 {
						t.Errorf("it differs from a far side that lost nothing in %q", d)
					}
					g.far.build(0)
					g.same()
					if v, err := Verify(t.Context(), g.far.Config, Options{}, false); err != nil || len(v.Findings) > 0 {
						t.Errorf("Verify: %+v, %v", v, err)
					}
					// And it goes on.
					g.near.drop("g", "1.0", plain)
					g.near.build(0)
					g.far.imports(0, g.export(ExportOptions{})...)
					g.same()
				})
			}
		}
	}
}

// A near side whose catalog is put back from a backup has its history again from the log
// that it has published; its next bundle begins where one did before, and that is fine.
func TestANearSideFromABackup(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	g.near.drop("a", "1.0", plain)
	g.near.build(0)
	g.far.imports(0, g.export(ExportOptions{})...)
	restore := g.near.backUp()
	g.near.drop("a", "2.0", plain)
	g.near.drop("b", "1.0", plain)
	g.near.build(0)
	to := g.far.imports(0, g.export(ExportOptions{})...).To
	restore()
	g.near.drop("b", "2.0", plain)
	r, err := Build(t.Context(), g.near.Config, Options{})
	if err != nil || r.Status != 0 {
		t.Fatalf("Build: %+v, %v", r, err)
	}
	files := g.export(ExportOptions{To: filepath.Join(g.stick, "again.tar")})
	done := g.far.imports(0, files...)
	if done.From >= to || done.To <= to {
		t.Errorf("the bundle has serials %d to %d; the far side had %d", done.From+1, done.To, to)
	}
	g.same()
	if done := g.far.imports(0, files...); !done.Nothing {
		t.Errorf("it is news again: %+v", done)
	}
}

// A stick that is pulled while a bundle is read, and a part that is another's, are told as
// what they are, and nothing is taken in.
func TestAStickThatIsPulled(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	for _, n := range []string{"a", "b"} {
		g.near.drop(n, "1.0", plain)
	}
	g.near.build(0)
	files := g.export(ExportOptions{})
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	g.far.drop("mine", "1.0", plain)
	g.far.build(0)
	for _, stage := range []string{"verifying", "copying"} {
		before := photograph(t, g.far.path("site/simple"))
		_, err := Import(t.Context(), g.far.Config, Options{Progress: &puller{stage, files[0]}}, ImportOptions{}, files...)
		if err == nil || Status(err) == 1 || Hint(err) == "" || errors.Is(err, ErrAlarm) && !strings.Contains(err.Error(), files[0]) {
			t.Errorf("pulled while %s: %v (%s)", stage, err, Hint(err))
		}
		if d := before.differences(photograph(t, g.far.path("site/simple")), g.far.dir); len(d) > 0 {
			t.Errorf("changed: %q", d)
		}
		if err := os.WriteFile(files[0], data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g.far.imports(0, files...)
}

// A puller takes a file away when a stage begins.
type puller struct{ stage, file string }

func (p *puller) Stage(name string, _ int64) {
	if name == p.stage {
		if err := os.Remove(p.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			panic(err)
		}
	}
}

func (p *puller) Step(int64, int64) {}
