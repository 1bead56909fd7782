package drop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nestgen/packaging"
)

// sample gives a drop directory and the cache of it.
func sample(t testing.TB) (dir, cache string, entries []Entry) {
	t.Helper()
	dir, cache = t.TempDir(), filepath.Join(t.TempDir(), "c")
	put(t, dir, "a-1.0.zip", "a")
	put(t, dir, "a-1.0.zip.asc", "signature")
	put(t, dir, "bad-1.0.zip", "bad")
	put(t, dir, "sub/c-1.0.zip", "c")
	v := scanned(t, cache, dir)
	take(t, v)
	check(t, v.Save())
	for e, err := range v.Entries() {
		check(t, err)
		entries = append(entries, e)
	}
	check(t, v.Close())
	return dir, cache, entries
}

// damagedScan scans with a cache of these bytes. It must be a cold scan that
// finds everything new; sound says that it may be a good one.
func damagedScan(t *testing.T, dir, cache string, b []byte, entries []Entry, what string) {
	t.Helper()
	check(t, os.WriteFile(cache, b, 0o600))
	v, err := Scan(context.Background(), []string{dir}, cache, Options{})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer v.Close()
	if !errors.Is(v.Cold(), errDamaged) {
		t.Fatalf("%s: Cold %v, want damage to be seen", what, v.Cold())
	}
	i := 0
	for e, err := range v.Entries() {
		check(t, err)
		exp := entries[i]
		exp.State, exp.Outcome = New, Outcome{}
		if e != exp {
			t.Fatalf("%s: entry %+v, want %+v", what, e, exp)
		}
		i++
	}
	if i != len(entries) || v.counts.Gone != 0 || len(v.Report().Rejected) != 0 {
		t.Fatalf("%s: %d entries, want %d; %+v", what, i, len(entries), v.counts)
	}
}

func TestCacheDamage(t *testing.T) {
	dir, cache, entries := sample(t)
	good, err := os.ReadFile(cache)
	check(t, err)
	for i := range good {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			b := bytes.Clone(good)
			b[i] ^= flip
			damagedScan(t, dir, cache, b, entries, fmt.Sprintf("byte %d ^ %#x", i, flip))
		}
		damagedScan(t, dir, cache, good[:i], entries, fmt.Sprintf("cut to %d bytes", i))
	}
	damagedScan(t, dir, cache, append(bytes.Clone(good), 0), entries, "a byte more")
	damagedScan(t, dir, cache, slices.Concat(good, good), entries, "twice")
	damagedScan(t, dir, cache, bytes.Repeat([]byte{0xff}, 4096), entries, "all ones")

	// A damaged cache is replaced by the next Save.
	v := scanned(t, cache, dir)
	take(t, v)
	check(t, v.Save())
	v.Close()
	if now, err := os.ReadFile(cache); err != nil || !bytes.Equal(now, good) {
		t.Errorf("the cache made anew is another than before: %v", err)
	}
}

// sealed gives a cache with a right checksum around any body, as a bug or an
// old version might have left it.
func sealed(body []byte, sections ...section) []byte {
	b := base{body: int64(len(body)), sum: sha256.Sum256(body), sections: sections}
	t := appendTable(nil, &b)
	sum := sha256.Sum256(t)
	out := append(bytes.Clone(body), t...)
	out = binary.LittleEndian.AppendUint64(out, uint64(len(t)))
	return append(out, sum[:]...)
}

// A body that cannot be is a damaged one even where its checksum is right.
func TestCacheWrongBody(t *testing.T) {
	dir, cache, entries := sample(t)
	rec := func(shared int, rest string, tail ...byte) []byte {
		b := binary.AppendUvarint(nil, uint64(shared))
		b = appendText(b, rest)
		f := facts{main: Stat{1, 2, 3, 4}}
		b = appendFacts(b, &f)
		b = appendOutcome(b, Distribution, &Outcome{Verdict: Accepted}, 0)
		b = append(b, tail...)
		return appendText(nil, string(b))
	}
	for name, records := range map[string][]byte{
		"out of order":        slices.Concat(rec(0, "b"), rec(0, "a")),
		"twice":               slices.Concat(rec(0, "b"), rec(0, "b")),
		"slash is least":      slices.Concat(rec(0, "b-"), rec(0, "b/")),
		"shares too much":     rec(3, "b"),
		"no path":             rec(0, ""),
		"path too long":       rec(0, strings.Repeat("p", maxPath+1)),
		"record too long":     binary.AppendUvarint(nil, maxRecord+1),
		"length without end":  bytes.Repeat([]byte{0xff}, 20),
		"record cut":          rec(0, "b")[:20],
		"no outcome":          appendText(nil, string(appendFacts(append([]byte{0, 1}, 'b'), &facts{}))),
		"unknown flags":       appendText(nil, string([]byte{0, 1, 'b', 0xf0})),
		"fewer than counted":  nil,
		"more than are known": slices.Concat(rec(0, "b"), rec(0, "c"), rec(0, "d")),
	} {
		body := append([]byte(magic), records...)
		count := map[string]int{"out of order": 2, "twice": 2, "slash is least": 2, "fewer than counted": 1}[name]
		b := sealed(body, section{dir: dir, length: int64(len(records)), count: max(count, 1)})
		damagedScan(t, dir, cache, b, entries, name)
	}
	other := sealed(append([]byte("nestgen drop 2\r\n"), 0), section{dir: dir, length: 1})
	damagedScan(t, dir, cache, other, entries, "version 2")
	past := sealed([]byte(magic), section{dir: dir, length: 1 << 40, count: 1})
	damagedScan(t, dir, cache, past, entries, "section past the end")
}

// What stands in the place of the cache is not followed, waited for, or fatal.
func TestCacheIsNoFile(t *testing.T) {
	dir, cache, _ := sample(t)
	for name, make := range map[string]func(string) error{
		"link":   func(p string) error { return os.Symlink("/dev/zero", p) },
		"FIFO":   func(p string) error { return unix.Mkfifo(p, 0o600) },
		"folder": func(p string) error { return os.Mkdir(p, 0o755) },
	} {
		check(t, os.Remove(cache))
		check(t, make(cache))
		v := scanned(t, cache, dir)
		if v.Cold() == nil {
			t.Errorf("%s: not a cold scan", name)
		}
		take(t, v)
		err := v.Save()
		if (err != nil) != (name == "folder") {
			t.Errorf("%s: Save gives %v", name, err)
		}
		if left, _ := filepath.Glob(cache + ".*"); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
		v.Close()
	}
}

func TestComparePaths(t *testing.T) {
	sorted := []string{"a", "a/b", "a/b/c", "a/c", "a\x01", "a b", "a-", "a-/x", "a.", "a0", "aa", "b"}
	for i, a := range sorted {
		for j, b := range sorted {
			got := comparePaths([]byte(a), []byte(b))
			if got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("comparePaths(%q, %q) = %d", a, b, got)
			}
		}
	}
}

// Save and scan are inverse for every outcome.
func FuzzRecord(f *testing.F) {
	f.Add("a/b-1.0.zip", int64(1), int64(2), int64(3), uint64(4), true, uint8(1), "proj", "reason", "hint")
	f.Add("x", int64(-1), int64(-1<<63), int64(1<<62), ^uint64(0), false, uint8(2), "", "", "")
	f.Fuzz(func(t *testing.T, path string, size, mtime, ctime int64, inode uint64, snip bool, v uint8, proj, reason, hint string) {
		st := Stat{size, mtime, ctime, inode}
		fc := facts{main: st, beside: [companions]Stat{{}, st, {1, 2, 3, 4}}}
		if snip {
			fc.kind = Snippet
		}
		o := Outcome{Verdict: Verdict(v), Project: packaging.Name(proj), Reason: reason, Hint: hint, InUse: [32]byte{v}}
		if o.check() != nil || path == "" || len(path) > maxPath {
			return
		}
		var b bytes.Buffer
		enc := newEncoder(&b)
		enc.section("d", fileID{1, inode})
		enc.record([]byte(path), &fc, appendOutcome(nil, fc.kind, &o, 7))
		_, end, err := enc.finish()
		check(t, err)
		b.Write(end)
		cur := cursorOf(t, b.Bytes())
		if !cur.ok || string(cur.path) != path || cur.facts != fc {
			t.Fatalf("read %q %+v, wrote %q %+v", cur.path, cur.facts, path, fc)
		}
		got, ok := parseOutcome(cur.outcome)
		if !ok || got != o || string(project(cur.outcome)) != proj || verdict(cur.outcome) != o.Verdict {
			t.Fatalf("read %+v, %v, wrote %+v", got, ok, o)
		}
		if out := outdated(cur.outcome, 8); outdated(cur.outcome, 7) || out != (snip || o.Verdict == Rejected) {
			t.Fatalf("outdated by other rules: %v", out)
		}
	})
}

func cursorOf(t *testing.T, data []byte) *cursor {
	t.Helper()
	p := filepath.Join(t.TempDir(), "c")
	check(t, os.WriteFile(p, data, 0o600))
	b, err := openBase(p)
	check(t, err)
	t.Cleanup(func() { b.f.Close() })
	check(t, b.verify())
	cur, err := b.cursor(b.section("d"))
	check(t, err)
	return cur
}

// No body makes the reader panic, read on for ever, or give paths out of order.
func FuzzCache(f *testing.F) {
	fc := facts{main: Stat{1, 2, 3, 4}}
	var w bytes.Buffer
	enc := newEncoder(&w)
	enc.section("d", fileID{})
	o := appendOutcome(nil, Distribution, &Outcome{Verdict: Accepted, Project: "a"}, 0)
	enc.record([]byte("a/b"), &fc, o)
	enc.record([]byte("a/c"), &fc, o)
	enc.w.Flush()
	f.Add(w.Bytes()[len(magic):], 2)
	f.Add([]byte{}, 0)
	f.Add([]byte{1, 0}, 1<<30)
	path := filepath.Join(f.TempDir(), "c")
	f.Fuzz(func(t *testing.T, records []byte, count int) {
		if count < 0 {
			return
		}
		body := append([]byte(magic), records...)
		check(t, os.WriteFile(path, sealed(body, section{dir: "d", length: int64(len(records)), count: count}), 0o600))
		b, err := openBase(path)
		if err == errDamaged && count > len(records) {
			return
		}
		check(t, err)
		defer b.f.Close()
		check(t, b.verify())
		n := 0
		var last []byte
		cur, err := b.cursor(b.section("d"))
		for ; err == nil && cur.ok; err = cur.next() {
			if n++; n > len(records) {
				t.Fatal("more records than bytes")
			}
			if n > 1 && comparePaths(last, cur.path) >= 0 {
				t.Fatalf("%q after %q", cur.path, last)
			}
			last = append(last[:0], cur.path...)
			parseOutcome(cur.outcome)
			project(cur.outcome)
			outdated(cur.outcome, 0)
		}
		if err != nil && err != errDamaged {
			t.Fatal(err)
		}
	})
}

// The table is read before its own checksum's worth is known to be more than
// an accident; nothing in it may panic.
func FuzzTable(f *testing.F) {
	good := sealed([]byte(magic), section{dir: "d"})
	f.Add(good[len(magic) : len(good)-trailerSize])
	f.Fuzz(func(t *testing.T, table []byte) {
		b := base{body: int64(len(magic))}
		if err := b.parseTable(table); err == nil && len(b.sections) > len(table) {
			t.Fatal("more sections than bytes")
		}
	})
}
