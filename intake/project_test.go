package intake

import (
	"bytes"
	"strings"
	"testing"

	"nestgen/intake/intaketest"
)

// The pyproject.toml of an sdist is that of its top folder, or of no folder if the
// source lies in none.
func TestProject(t *testing.T) {
	const text = "[build-system]\nrequires = [\"hatchling\"]\n"
	for _, tt := range []struct {
		name  string
		ext   string
		files map[string]string
		want  string
	}{
		{"none", ".tar.gz", nil, ""},
		{"in a tar file", ".tar.gz", map[string]string{"pyproject.toml": text}, text},
		{"in a zip file", ".zip", map[string]string{"pyproject.toml": text}, text},
		{"further down only", ".tar.gz", map[string]string{"sub/pyproject.toml": text}, ""},
		{"empty", ".tar.gz", map[string]string{"pyproject.toml": ""}, ""},
		{"as large as it may be", ".tar.gz", map[string]string{"pyproject.toml": strings.Repeat("#", maxProject)}, strings.Repeat("#", maxProject)},
		{"larger", ".tar.gz", map[string]string{"pyproject.toml": strings.Repeat("#", maxProject+1)}, ""},
	} {
		filename, b := intaketest.Sdist("foo", "1.0", intaketest.Opts{Ext: tt.ext, Files: tt.files})
		for range 2 { // what one file says is not said of the next
			f, err := Inspect(bytes.NewReader(b), int64(len(b)), filename, "", Drop)
			if err != nil || string(f.Project) != tt.want {
				t.Errorf("%s: %d bytes, %v; want %d", tt.name, len(f.Project), err, len(tt.want))
			}
			if f.Core == nil || f.Core.Name != "foo" {
				t.Errorf("%s: metadata %+v", tt.name, f.Core)
			}
		}
	}
	filename, b := intaketest.Wheel("foo", "1.0", intaketest.Opts{Files: map[string]string{"pyproject.toml": text}})
	if f, err := Inspect(bytes.NewReader(b), int64(len(b)), filename, "", Drop); err != nil || f.Project != nil {
		t.Errorf("a wheel: %q, %v", f.Project, err)
	}
}
