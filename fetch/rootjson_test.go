package fetch

import (
	"bytes"
	"encoding/json"
	"fmt"

	"strings"
	"testing"
	"testing/iotest"

	"nestgen/packaging"
)

// Names are known in any spelling, serials in either form, and what else a page
// has does no harm.
func TestReadRoot(t *testing.T) {
	const page = ` {
  "meta": {"_last-serial": "77", "api-version": "1.1", "x": [1, {"}": "\"]"}]},
  "other": [{"name": "a", "_last-serial": 99}, "projects", -1.5e3, true],
  "projects": [
    {"name": "A", "_last-serial": 1},
    {"_last-serial": "2", "name": "B.b_b", "more": {"name": "c"}},
    {"name": "c"}, {"name": "d", "_last-serial": null}, {"name": "e", "_last-serial": -5},
    {"name": "not a name", "_last-serial": 3}, {"name": null, "_last-serial": 3},
    {"name": "f\u002df", "_last-serial": 4}, {"name": "zz", "_last-serial": 5}, {"name": "a", "_last-serial": 0}
  ]
} `
	of := map[packaging.Name]bool{"a": true, "b-b-b": true, "c": true, "d": true, "e": true, "f-f": true}
	root, err := readRoot(strings.NewReader(page), of)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(root.Serials); got != "map[a:1 b-b-b:2 f-f:4]" || root.Serial != 77 || root.Projects != 10 {
		t.Errorf("%+v", root)
	}
	for _, bad := range []string{
		``, `[]`, `{}`, `{"meta": {}}`, `{"projects": []}`, `{"meta": {}, "projects": [], "projects": []}`,
		`{"meta": {}, "projects": [}`, `{"meta": {}, "projects": ["a"]}`, `{"meta": {}, "projects": {}}`,
		`{"meta": {}, "projects": [{"name": "a", "name": "b"}]}`, `{"meta": {}, "projects": []}}`,
		`{"meta": {"_last-serial": 1, "_last-serial": 2}, "projects": []}`, `{"meta": {}, "projects": [{"name": "a"]}`,
		`{"meta": {"api-version": "2.0"}, "projects": []}`, `{"meta": {} "projects": []}`, `{"meta": , "projects": []}`,
		`{"meta": {}, "x": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `, "projects": []}`,
		`{"meta": {}, "projects": [{"name": "` + strings.Repeat("a", 20_000) + `"}]}`,
	} {
		if root, err := readRoot(strings.NewReader(bad), nil); err == nil {
			t.Errorf("%.60s: taken: %+v", bad, root)
		}
	}
}

// rootOf makes a root page of n projects, as the public index writes it.
func rootOf(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"meta":{"_last-serial":32000000,"api-version":"1.4"},"projects":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"_last-serial":%d,"name":"project-%d"}`, 1000+i, i)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// The page of the largest index is read piece by piece, and next to nothing of it
// is kept.
func TestReadRootKeepsLittle(t *testing.T) {
	page := rootOf(20_000)
	of := map[packaging.Name]bool{"project-7": true}
	allocs := testing.AllocsPerRun(3, func() {
		if root, err := readRoot(bytes.NewReader(page), of); err != nil || root.Serials["project-7"] != 1007 {
			t.Fatal(root, err)
		}
	})
	if allocs > 100 {
		t.Errorf("%v allocations for 20,000 projects", allocs)
	}
}

// BenchmarkReadRoot reads the root page of an index of 700,000 projects, 31 MB.
func BenchmarkReadRoot(b *testing.B) {
	page := rootOf(700_000)
	of := map[packaging.Name]bool{}
	for i := range 2000 {
		of[packaging.Name(fmt.Sprintf("project-%d", i*300))] = true
	}
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		root, err := readRoot(bytes.NewReader(page), of)
		if err != nil || len(root.Serials) != 2000 {
			b.Fatal(len(root.Serials), err)
		}
	}
}

// What is taken says what encoding/json reads in the same page.
func FuzzReadRoot(f *testing.F) {
	f.Add([]byte(`{"meta":{"api-version":"1.0"},"projects":[{"name":"A.b","_last-serial":"7"}]}`))
	f.Add(rootOf(3))
	f.Fuzz(func(t *testing.T, data []byte) {
		root, err := readRoot(iotest.OneByteReader(bytes.NewReader(data)), nil)
		if err != nil || !json.Valid(data) {
			return
		}
		var page struct {
			Projects []map[string]any `json:"projects"`
		}
		var top map[string]json.RawMessage
		if json.Unmarshal(data, &top) != nil || json.Unmarshal(top["projects"], &page.Projects) != nil {
			t.Fatalf("taken: %q", data)
		}
		if len(page.Projects) != root.Projects {
			t.Fatalf("%d projects, encoding/json has %d", root.Projects, len(page.Projects))
		}
		said := map[packaging.Name]bool{}
		for _, p := range page.Projects {
			name, _ := p["name"].(string)
			if packaging.ValidName(name) {
				said[packaging.NormalizeName(name)] = true
			}
		}
		for n, serial := range root.Serials {
			if !said[n] || serial <= 0 {
				t.Fatalf("%s with serial %d is not on the page", n, serial)
			}
		}
	})
}
