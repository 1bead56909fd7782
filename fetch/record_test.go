package fetch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a run leaves for the next one has no token in it, and is found again.
func TestARecordHasNoAddress(t *testing.T) {
	const address = "https://up.example/a-1.0.tar.gz?token=canary"
	part, release := claim(t.TempDir(), address, "", 2<<20)
	defer release()
	if err := part.save(record{address, `"tag"`, 2 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(part.name, []byte("begun"), 0o600); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Dir(part.name) + "/*")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil || strings.Contains(string(data)+name, "canary") {
			t.Errorf("%s: %s, %v", name, data, err)
		}
	}
	if r, have, ok := part.load(address, 2<<20); !ok || have != 5 || r.ETag != `"tag"` || len(files) != 3 {
		t.Errorf("%+v, %d, %v of %q", r, have, ok, files)
	}
	if _, _, ok := part.load(address+"x", 2<<20); ok {
		t.Error("a part of another file")
	}
}
