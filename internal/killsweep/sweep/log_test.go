//go:build linux && amd64

package sweep

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nestgen/layout"
	"nestgen/tilelog"
)

// publishLog puts a site with a log of events there; the log of pages has the same
// entries.
func publishLog(t *testing.T, site string, entries ...string) {
	t.Helper()
	if err := os.RemoveAll(site); err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		file := filepath.Join(site, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var hashes, bundle []byte
	var leaves []tilelog.Hash
	for _, e := range entries {
		h := tilelog.LeafHash([]byte(e))
		leaves, hashes = append(leaves, h), append(hashes, h[:]...)
		var err error
		if bundle, err = tilelog.AppendEntry(bundle, []byte(e)); err != nil {
			t.Fatal(err)
		}
	}
	_, root, err := tilelog.Append(0, nil, leaves)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(entries))
	for _, tile := range tilelog.Published(0, size) {
		data := hashes
		if tile.Level < 0 {
			data = bundle
		}
		write(layout.EventTile(tile.Path()), data)
		write(layout.PageTile(tile.Path()), data)
	}
	c := tilelog.Checkpoint{Origin: "packages.example", Size: size, Root: root}
	c.Extensions = []string{fmt.Sprintf("pages %d %s", size, root)}
	write(layout.LogCheckpoint, []byte(c.Format()+"\n— nobody\n"))
}

// A log may grow, and do nothing else.
func TestCheckHistory(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries []string // nil for no log
		want    string   // part of the error; empty for none
	}{
		{"the same", []string{"a", "b"}, ""},
		{"grown", []string{"a", "b", "c"}, ""},
		{"taken back", []string{"a"}, "2 entries were signed, and now it has 1"},
		{"rewritten", []string{"a", "x"}, "first 2 entries are others"},
		{"rewritten and grown", []string{"x", "b", "c"}, "first 2 entries are others"},
		{"gone", nil, "it is gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			site, seen := filepath.Join(dir, "site"), filepath.Join(dir, "seen")
			if err := CheckHistory(site, seen); err != nil {
				t.Errorf("no log yet: %v", err)
			}
			publishLog(t, site, "a", "b")
			if err := CheckHistory(site, seen); err != nil {
				t.Errorf("the first one: %v", err)
			}
			if tt.entries == nil {
				os.RemoveAll(site)
			} else {
				publishLog(t, site, tt.entries...)
				if err := CheckSite(site); err != nil {
					t.Errorf("a log that is whole: %v", err)
				}
			}
			err := CheckHistory(site, seen)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("CheckHistory = %v, want %q", err, tt.want)
			}
		})
	}
}
