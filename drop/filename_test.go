package drop

import (
	"testing"

	"nestgen/packaging"
)

// The two copies of the rules that are here for speed agree with packaging's.
func FuzzClassify(f *testing.F) {
	for _, s := range []string{"foo-1.0.tar.gz", "foo.whl.asc", ".x.zip", "-x.zip", "a b.zip", "x.tar.Z", "x.egg.zip", "\x7f", "é.zip", "x.git"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" || len(s) > 255 {
			return
		}
		b := []byte(s)
		if got, err := plain(b), packaging.CheckFilename(s); got != (err == nil) {
			t.Fatalf("plain(%q) = %v, CheckFilename: %v", s, got, err)
		}
		c, why := classify(b)
		if (c == badname) != (why != "") {
			t.Fatalf("classify(%q) = %d, %q", s, c, why)
		}
		if (c == distfile || c == snippet || c == beside) && packaging.CheckFilename(s) != nil {
			t.Fatalf("classify(%q) = %d, but it cannot be published", s, c)
		}
		stem, ext := packaging.SplitExt(s)
		if ext != "" && stem != "" && stem != ".egg" && !isDistribution(b) {
			t.Fatalf("%q is a distribution by its ending %q", s, ext)
		}
	})
}

func TestClassifyDoesNotAllocate(t *testing.T) {
	for _, s := range []string{"some_long_project_name-1.0.0-cp312-cp312-manylinux_2_17_x86_64.whl", "some_long_project_name-1.0.0.tar.gz", "README", "some_long_project_name-1.0.0.tar.gz.asc", "x.svn"} {
		b := []byte(s)
		if n := testing.AllocsPerRun(100, func() { classify(b) }); n != 0 {
			t.Errorf("%s: %v allocations", s, n)
		}
	}
}
