//go:build linux && amd64

package sweep

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Other bytes need a later time, by whole seconds, and equal bytes the same.
func TestCheckTimes(t *testing.T) {
	then := time.Unix(1000, 300)
	tests := []struct {
		name, path, text string
		time             time.Time
		want             string // part of the error; empty for none
	}{
		{"nothing happened", "simple/a/index.html", "old", then, ""},
		{"rewritten", "simple/a/index.html", "old", then.Add(time.Second), "same bytes"},
		{"changed", "simple/a/index.html", "new", then.Add(time.Second), ""},
		{"changed within the second", "simple/a/index.html", "new", then.Add(time.Millisecond), "other bytes"},
		{"changed and back in time", "simple/a/index.html", "new", then.Add(-time.Hour), "other bytes"},
		{"gone", "simple/a/index.html", "", then, ""},
		{"file of the store changed", "packages/a", "new", then.Add(time.Second), "store"},
		{"file of the store touched", "packages/a", "old", then.Add(time.Second), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			put := func(top, text string, at time.Time) {
				file := filepath.Join(dir, top, tt.path)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if text == "" {
					return
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(file, at, at); err != nil {
					t.Fatal(err)
				}
			}
			put("before", "old", then)
			put("after", tt.text, tt.time)
			err := CheckTimes(filepath.Join(dir, "before"), filepath.Join(dir, "after"))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("CheckTimes = %v, want %q", err, tt.want)
			}
		})
	}
	if err := CheckTimes(filepath.Join(t.TempDir(), "none"), t.TempDir()); err != nil {
		t.Errorf("nothing before: %v", err)
	}
}
