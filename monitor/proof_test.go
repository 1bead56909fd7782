package monitor_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nestgen/layout"
	"nestgen/monitor"
	"nestgen/record"
	"nestgen/tilelog"
)

// proof gives the proof of an event of the site.
func (f *fixture) proof(t testing.TB, index int64) *monitor.Proof {
	t.Helper()
	c, _ := f.open(t, f.tree)
	leaves := f.tree.leaves(t, layout.EventTile, c)
	hashes, err := tilelog.ProveRecord(c.Size, index, tilelog.TilesFunc(func(level int, n int64) ([]byte, error) {
		return f.tree[pathOf(t, f.tree, layout.EventTile(tilelog.Tile{Level: level, N: n, Width: 256}.Path()), "")], nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	p := &monitor.Proof{
		Serial: index + 1, Record: string(leaves[index]), LeafHash: tilelog.LeafHash(leaves[index]).String(),
		TreeSize: c.Size, RootHash: c.Root.String(), Hashes: []string{}, Checkpoint: string(f.tree[layout.LogCheckpoint]),
	}
	for _, h := range hashes {
		p.Hashes = append(p.Hashes, h.String())
	}
	return p
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A proof is checked with the key alone, and nothing of it can be changed.
func TestProof(t *testing.T) {
	f := aSite(t)
	c, _ := f.open(t, f.tree)
	for index := range c.Size {
		p := f.proof(t, index)
		for _, data := range [][]byte{marshal(t, p), marshal(t, map[string]any{"file": 1, "inclusion": p})} {
			read, err := monitor.ParseProof(data)
			if err != nil {
				t.Fatal(err)
			}
			proven, err := read.Check(f.own.Verifier)
			if err != nil {
				t.Fatal(err)
			}
			want, err := record.Decode([]byte(p.Record))
			if err != nil || proven.Record.Event != want.Event || proven.Checkpoint.Root != c.Root || proven.Key.Verifier != f.own.Verifier {
				t.Errorf("%+v, %v", proven, err)
			}
		}
	}
	other := f.proof(t, 2)
	for name, change := range map[string]func(p *monitor.Proof){
		"another event":            func(p *monitor.Proof) { p.Serial++ },
		"an event before the log":  func(p *monitor.Proof) { p.Serial = 0 },
		"an event after the log":   func(p *monitor.Proof) { p.Serial = 1 << 40 },
		"another record":           func(p *monitor.Proof) { p.Record = other.Record },
		"another record, its hash": func(p *monitor.Proof) { p.Record, p.LeafHash = other.Record, other.LeafHash },
		"a record that is changed": func(p *monitor.Proof) { p.Record = strings.Replace(p.Record, "0.1", "9.9", 1) },
		"another hash of the leaf": func(p *monitor.Proof) { p.LeafHash = other.LeafHash },
		"another size":             func(p *monitor.Proof) { p.TreeSize++ },
		"another root":             func(p *monitor.Proof) { p.RootHash = p.LeafHash },
		"no hashes":                func(p *monitor.Proof) { p.Hashes = []string{} },
		"hashes in another order":  func(p *monitor.Proof) { slices.Reverse(p.Hashes) },
		"one hash more":            func(p *monitor.Proof) { p.Hashes = append(p.Hashes, p.LeafHash) },
		"a hash that is none":      func(p *monitor.Proof) { p.Hashes[0] = "x" },
		"no checkpoint":            func(p *monitor.Proof) { p.Checkpoint = "" },
		"a checkpoint of before":   func(p *monitor.Proof) { p.Checkpoint = string(f.first[layout.LogCheckpoint]) },
		"a checkpoint unsigned":    func(p *monitor.Proof) { p.Checkpoint, _, _ = strings.Cut(p.Checkpoint, "\n\n") },
		"keys that are none":       func(p *monitor.Proof) { p.Keys = "x\n" },
	} {
		p := f.proof(t, 0)
		change(p)
		read, err := monitor.ParseProof(marshal(t, p))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if proven, err := read.Check(f.own.Verifier); err == nil {
			t.Errorf("%s: proves %+v", name, proven)
		}
	}
	for _, text := range []string{
		``, `{}`, `[]`, `null`, `{"inclusion":null}`, `{"inclusion":{}`, `{"serial":1}`, `{"serial":1,"serial":2,"record":"x"}`, `{"serial":-1,"record":"x"}`,
		`{"serial":1.5,"record":"x"}`, `{"record":1}`, `{"record":"x"} x`, `{"record":"x","hashes":[` + strings.Repeat(`"",`, 64) + `""]}`,
		`{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `,"record":"x"}`, strings.Repeat(" ", monitor.MaxProof+1),
	} {
		if p, err := monitor.ParseProof([]byte(text)); err == nil {
			t.Errorf("%.60s is taken for %+v", text, p)
		}
	}
}

// No text is a proof but the one of the site, and none is too much to read.
func FuzzProof(f *testing.F) {
	site := aSite(f)
	whole := marshal(f, site.proof(f, 0))
	f.Add(whole)
	f.Add(marshal(f, map[string]any{"inclusion": site.proof(f, 1), "history": []string{"x"}}))
	f.Add([]byte(`{"inclusion":null}`))
	c, _ := site.open(f, site.tree)
	leaves := site.tree.leaves(f, layout.EventTile, c)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := monitor.ParseProof(data)
		if err != nil {
			return
		}
		if p.Hashes == nil {
			p.Hashes = []string{} // which is not written as null
		}
		again, err := monitor.ParseProof(marshal(t, p))
		if err != nil || !bytes.Equal(marshal(t, again), marshal(t, p)) {
			t.Fatalf("%+v is read as %+v, %v", p, again, err)
		}
		proven, err := p.Check(site.own.Verifier)
		if err == nil && string(leaves[proven.Record.Serial-1]) != p.Record {
			t.Fatalf("it proves %s", p.Record)
		}
	})
}

// Whatever a page is, it is read or refused, and the same each time.
func FuzzPage(f *testing.F) {
	site := aSite(f)
	for path, data := range site.tree {
		if strings.HasPrefix(path, "simple/") && !strings.HasSuffix(path, ".gz") {
			f.Add(data)
		}
	}
	for _, text := range []string{
		`{"name":"a","files":[{"filename":"a-1.tar.gz","url":"../../x","hashes":{},"yanked":null}]}`,
		`{"name":"a","files":[],"project-status":{"status":"quarantined","reason":"r"}}`,
		`<a href="x#sha256=">x</a><a><a>`, `<base href=//x>`, `<a href="../../packages/x#sha256=00" data-yanked>x`, `{"projects":[{"name":"a"},{}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, read := range map[string]func([]byte) (string, error){"JSON": monitor.ReadJSON, "HTML": monitor.ReadHTML} {
			first, err := read(data)
			second, again := read(data)
			if first != second || (err == nil) != (again == nil) {
				t.Errorf("%s: %s, %v and %s, %v", name, first, err, second, again)
			}
		}
		if names, err := monitor.ReadRoot(data); err == nil && len(names) > len(data) {
			t.Errorf("%d names in %d bytes", len(names), len(data))
		}
		_, _ = monitor.ReadRootHTML(data)
	})
}

// A link leads to a path of the tree by one way only, and never out of it.
func TestLeadsTo(t *testing.T) {
	for _, tt := range []struct{ page, link, want string }{
		{"simple/a/index.html", "../../packages/x/a%2Bb.whl", "packages/x/a+b.whl"},
		{"prod/simple/a/index.html", "../../../packages/x", "packages/x"},
		{"flat/index.html", "../packages/x", "packages/x"},
		{"simple/a/index.html", "../../../packages/x", ""},
		{"simple/a/index.html", "%2e%2e/../../packages/x", ""},
		{"simple/a/index.html", "/packages/x", ""},
		{"simple/a/index.html", "//evil.example/packages/x", ""},
		{"simple/a/index.html", "https://evil.example/packages/x", ""},
		{"simple/a/index.html", "javascript:x", ""},
		{"simple/a/index.html", "../../packages/x?y", ""},
		{"simple/a/index.html", "../../packages/x?", ""},
		{"simple/a/index.html", "", ""},
		{"simple/a/index.html", "%zz", ""},
	} {
		if to, ok := monitor.LeadsTo(tt.page, tt.link); ok != (tt.want != "") || to != tt.want {
			t.Errorf("%s on %s leads to %q, %v", tt.link, tt.page, to, ok)
		}
	}
}

// A text is the same on a page as in a record, whatever both had to make of it.
func TestSame(t *testing.T) {
	long := strings.Repeat("long ", 1000)
	for _, tt := range []struct {
		recorded, served string
		want             bool
	}{
		{"", "", true},
		{"broken", "broken", true},
		{"broken", "Broken", false},
		{"two\nlines\r\n", "two\nlines\r\n", true},
		{"a\x00\x01b\ufffe", "a\uFFFDb\uFFFD", true},
		{"a\uFFFDb", "a\uFFFD\uFFFDb", true},
		{"a\uFFFDb", "ab", false},
		{fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(long))), long, true},
		{fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(long))), long + " ", false},
		{"sha256:", "", false},
	} {
		if got := monitor.Same(tt.recorded, tt.served); got != tt.want {
			t.Errorf("%.40q and %.40q: %v", tt.recorded, tt.served, got)
		}
	}
}
