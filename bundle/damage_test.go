package bundle

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// smallParts lets parts be so small that a test can change every byte of some.
func smallParts(t testing.TB) {
	split, least := minSplit, leastPiece
	t.Cleanup(func() { minSplit, leastPiece = split, least })
	minSplit, leastPiece = 4<<10, 512
}

func few() []Member {
	return []Member{member("a/empty", nil), member("a/one.whl", text("one", 700)), member("b", text("two", 512))}
}

// smallBundles are bundles of each form, of a few kilobytes.
func smallBundles(t testing.TB) map[string]Options {
	smallParts(t)
	plain, packed, split, both := options(t, few()...), options(t, few()...), options(t, append(few(), member("big", text("big", 3000)))...), options(t, append(few(), member("big", text("big", 3000)))...)
	packed.Zstd = true
	split.Split = 5 << 10
	both.Split, both.Zstd = 6<<10, true
	rotated, rotatedBoth := plain, both
	rotated.Header.Rotations, rotatedBoth.Header.Rotations = text("old key", 600), text("old key", 700)
	rotatedBoth.Split = 8 << 10
	return map[string]Options{"plain": plain, "zstd": packed, "split": split, "split zstd": both, "rotated": rotated, "rotated split zstd": rotatedBoth}
}

// sometimesAll reads the whole bundle on every tenth time, and checks the part
// that was changed for itself on the others, which is the same check for less.
func sometimesAll(t *testing.T, i int, known note.Verifiers, temp, path string, list []string) error {
	if i%10 != 0 {
		_, err := VerifyPart(t.Context(), known, path, nil)
		return err
	}
	_, err := readAll(t.Context(), known, temp, list...)
	return err
}

// Whatever byte of a bundle changes, it is found before a file of it is opened.
func TestEveryByteChanged(t *testing.T) {
	for name, o := range smallBundles(t) {
		t.Run(name, func(t *testing.T) {
			list := parts(t, o)
			if o.Split != 0 && len(list) < 2 {
				t.Fatalf("%d parts: nothing is split", len(list))
			}
			known := trusting(t, o.Header.Key)
			temp := t.TempDir()
			if _, err := readAll(t.Context(), known, temp, list...); err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, path := range list {
				f, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				data, err := io.ReadAll(f)
				if err != nil {
					t.Fatal(err)
				}
				for i, was := range data {
					if testing.Short() && i%7 != 0 {
						continue
					}
					// Each bit has its turn, and now and then all of them.
					now := was ^ 1<<(i%8)
					if i%9 == 0 {
						now = ^was
					}
					put := func(c byte) {
						if _, err := f.WriteAt([]byte{c}, int64(i)); err != nil {
							t.Fatal(err)
						}
					}
					put(now)
					n++
					if err := sometimesAll(t, i, known, temp, path, list); err == nil {
						t.Errorf("%s: byte %d: %#x for %#x was not found", filepath.Base(path), i, now, was)
					} else if !strings.Contains(err.Error(), filepath.Base(path)) {
						t.Errorf("%s: byte %d: the error does not name the part: %v", filepath.Base(path), i, err)
					}
					put(was)
				}
			}
			if _, err := readAll(t.Context(), known, temp, list...); err != nil {
				t.Errorf("as it was again: %v", err)
			}
			t.Logf("%d of %d changes found", n, n)
		})
	}
}

// Whatever is cut off, or put behind, is found.
func TestEveryLength(t *testing.T) {
	for name, o := range smallBundles(t) {
		t.Run(name, func(t *testing.T) {
			list := parts(t, o)
			known := trusting(t, o.Header.Key)
			temp := t.TempDir()
			for _, path := range list {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				for n := len(data) - 1; n >= 0; n-- {
					if testing.Short() && n%7 != 0 {
						continue
					}
					if err := os.Truncate(path, int64(n)); err != nil {
						t.Fatal(err)
					}
					if err := sometimesAll(t, n, known, temp, path, list); err == nil {
						t.Errorf("%s: cut to %d of %d bytes: not found", filepath.Base(path), n, len(data))
					}
				}
				skippable := "\x50\x2a\x4d\x18\x00\x00\x00\x00"
				for _, more := range []string{"\x00", strings.Repeat("\x00", 512), "x", skippable, string(data)} {
					if err := os.WriteFile(path, append(data[:len(data):len(data)], more...), 0o644); err != nil {
						t.Fatal(err)
					}
					if _, err := readAll(t.Context(), known, temp, list...); err == nil {
						t.Errorf("%s: followed by %.20q: not found", filepath.Base(path), more)
					}
				}
				if err := os.WriteFile(path, data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// The error says where the damage is and what to do.
func TestDamageIsTold(t *testing.T) {
	o := options(t, few()...)
	path := parts(t, o)[0]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(data), string(text("one", 700)))
	data[at+3] ^= 4
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = readAll(t.Context(), trusting(t, o.Header.Key), "", path)
	var damage *DamageError
	if !errors.As(err, &damage) || damage.File != path || damage.Member != "a/one.whl" || damage.Offset != int64(at) {
		t.Errorf("got %#v, want the member at %d", err, at)
	}
	want := fmt.Sprintf("%s: byte %d, in a/one.whl: the 700 bytes from here are not as they were written: copy this part again from where it was exported", path, at)
	if err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
