package bundle

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is taken of a note is what would be written.
func FuzzNote(f *testing.F) {
	o := options(f, few()...)
	o.Header.Fields = append(o.Header.Fields, Field{"scope", "all of it"})
	p := newPreface(o.Header)
	p.manifestSize = 12
	p.ID, p.Part, p.Parts = strings.Repeat("0a", 32), 2, 3
	f.Add(p.text())
	rotated := p
	rotated.rotations, rotated.rotationsSize = rotationsLine([]byte("from the old to the new")), 23
	f.Add(rotated.text())
	f.Add(strings.ReplaceAll(p.text(), "part 2 of 3", "part 4 of 3"))
	f.Add(strings.ReplaceAll(p.text(), "\n", "\r\n"))
	f.Add("nestgen-bundle 1\norigin a\nkey b\ntag c\nid d\npart 1 of 1\nmanifest e 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parsePreface(text)
		if err != nil {
			return
		}
		if got.text() != text {
			t.Errorf("%q is taken, and written as %q", text, got.text())
		}
		if err := got.check(); err != nil {
			t.Errorf("%q is taken, and may not be written: %v", text, err)
		}
		// Signed by that key it can only be if it is ours.
		if got.Key != o.Header.Key {
			return
		}
		msg, err := got.sign(o.Signer)
		if err != nil {
			t.Fatalf("%q cannot be signed: %v", text, err)
		}
		if int64(len(msg)) != got.noteSize() {
			t.Errorf("%d bytes, reckoned as %d", len(msg), got.noteSize())
		}
		for i := range msg {
			bad := bytes.Clone(msg)
			bad[i] ^= 1 << (i % 7)
			if _, err := openNote(bad); err == nil {
				t.Errorf("byte %d changed, and it is taken: %q", i, bad)
			}
		}
	})
}

// What is taken of a manifest is what would be written.
func FuzzManifest(f *testing.F) {
	sum := fmt.Sprintf("%x", sha256.Sum256(nil))
	f.Add("")
	f.Add(line(0, "a", sum) + line(12, "a+/b", sum))
	f.Add(line(9, "a", sum, " 2/2 3 6 ", sum) + line(0, "b", sum) + line(9, "c", sum, " 1/2 0 3 ", sum))
	f.Add(line(9, "a", sum, " 2/3 3 3 ", sum))
	f.Add(line(-9, "../a", sum))
	f.Fuzz(func(t *testing.T, text string) {
		var again []byte
		last := ""
		got, err := readManifest(strings.NewReader(text), int64(len(text)), func(e entry, p *piece) error {
			if err := CheckName(e.name); err != nil || e.name <= last || e.size < 0 {
				t.Errorf("a file %q of %d bytes after %q: %v", e.name, e.size, last, err)
			}
			if p != nil && (p.offset < 0 || p.length <= 0 || p.offset+p.length > e.size || p.length == e.size) {
				t.Errorf("of %d bytes the piece %+v", e.size, p)
			}
			last = e.name
			again = appendLine(again, e, p)
			return nil
		})
		if err != nil {
			return
		}
		if string(again) != text || got != sha256.Sum256([]byte(text)) {
			t.Errorf("%q is taken, and written as %q", text, again)
		}
	})
}

// A part that is taken is the one that is written of what is in it: there is no
// other. The note is signed as if by a key that is trusted.
func FuzzPart(f *testing.F) {
	sum := func(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
	end := make([]byte, endSize)
	f.Add("", end, false)
	f.Add(line(4, "a", sum([]byte("data"))), append(raw(nil, "a", []byte("data")), end...), false)
	f.Add(line(4, "a", sum([]byte("data"))), append(raw(nil, "a", []byte("data")), end...), true)
	long := strings.Repeat("n", 120)
	f.Add(line(0, "a", sum(nil))+line(1, long, sum([]byte("x"))), append(raw(raw(nil, "a", nil), long, []byte("x")), end...), false)
	f.Add(line(1<<40, "a", sum(nil)), end, true)
	f.Fuzz(func(t *testing.T, manifest string, rest []byte, zstd bool) {
		archive := forge(t, manifest, rest, identified(manifest))
		if zstd {
			archive = sealed(t, archive)
		}
		o := options(t)
		known := trusting(t, o.Header.Key)
		dir := t.TempDir()
		path := filepath.Join(dir, "a.tar")
		if err := os.WriteFile(path, archive, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := Open(known, path)
		if err != nil {
			return
		}
		defer b.Close()
		if err := b.Verify(t.Context(), VerifyOptions{Temp: dir}); err != nil {
			return
		}
		for m := range b.Members() {
			o.Members = append(o.Members, m)
		}
		o.Zstd = zstd
		r, err := Write(t.Context(), filepath.Join(dir, "again"), o)
		if err != nil {
			t.Fatalf("what was taken cannot be written: %v", err)
		}
		again, err := os.ReadFile(r.Parts[0].Path)
		if err != nil || !bytes.Equal(again, archive) {
			t.Errorf("what was taken is written otherwise: %v", err)
		}
	})
}

// Bytes from anywhere are refused with a word, and nothing else happens.
func FuzzFile(f *testing.F) {
	for name, o := range smallBundles(f) {
		data, err := os.ReadFile(parts(f, o)[0])
		if err != nil {
			f.Fatal(name, err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Add([]byte(nil))
	f.Add(seal(zstdMagic))
	_, vkey := key(f, origin, 1)
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x.tar")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := VerifyPart(t.Context(), trusting(t, vkey), path, nil)
		if err == nil {
			// A bundle of ours: a seed, or one that is compressed otherwise.
			if h.Key != vkey {
				t.Errorf("a part of the key %s is taken", h.Key)
			}
			return
		}
		if !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the file: %v", err)
		}
		var damage *DamageError
		if errors.As(err, &damage) && (damage.Offset < 0 || damage.File != path) {
			t.Errorf("damage at %d of %s", damage.Offset, damage.File)
		}
	})
}
