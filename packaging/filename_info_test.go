package packaging_test

import (
	"testing"

	"nestgen/packaging"
)

// The folder of a wheel is known by name and version, however they are escaped,
// and by nothing else.
func TestIsInfo(t *testing.T) {
	for _, tt := range []struct {
		filename, stem string
		want           bool
	}{
		{"foo_bar-1.0-py3-none-any.whl", "foo_bar-1.0", true},
		{"foo_bar-1.0-py3-none-any.whl", "Foo.Bar-1.0", true},
		{"foo_bar-1.0-py3-none-any.whl", "foo-bar-1.0", true},
		{"foo_bar-1.0-py3-none-any.whl", "foo_bar-1.0.0", true},
		{"foo_bar-1.0-py3-none-any.whl", "foo_bar-1.1", false},
		{"foo_bar-1.0-py3-none-any.whl", "foo-1.0", false},
		{"foo_bar-1.0-py3-none-any.whl", "foo_bar", false},
		{"foo_bar-1.0-py3-none-any.whl", "", false},
		{"foo_bar-1.0-py3-none-any.whl", "-1.0", false},
	} {
		f, err := packaging.ParseFilename(tt.filename, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := f.IsInfo(tt.stem); got != tt.want {
			t.Errorf("%s: IsInfo(%q) = %t, want %t", tt.filename, tt.stem, got, tt.want)
		}
	}
}
