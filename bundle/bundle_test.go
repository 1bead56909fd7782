package bundle

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// key makes the same pair of keys for the same name, each time.
func key(t testing.TB, name string, seed byte) (note.Signer, string) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{seed}, ed25519.SeedSize)), name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s, vkey
}

// trusting gives the keys as those that are trusted.
func trusting(t testing.TB, vkeys ...string) note.Verifiers {
	t.Helper()
	var list []note.Verifier
	for _, k := range vkeys {
		v, err := note.NewVerifier(k)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return note.VerifierList(list...)
}

// member makes a member of bytes in memory.
func member(name string, data []byte) Member {
	return Member{Name: name, Size: int64(len(data)), SHA256: sha256.Sum256(data),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// text is so many bytes, the same each time and different for each seed, which do
// not compress well.
func text(seed string, n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", seed, i))
		b = append(b, sum[:]...)
	}
	return b[:n]
}

const origin = "packages.example.org"

func options(t testing.TB, members ...Member) Options {
	signer, vkey := key(t, origin, 1)
	return Options{
		Header:  Header{Origin: origin, Key: vkey, Tag: "site-b", Fields: []Field{{"from", "12"}, {"to", "40"}}},
		Signer:  signer,
		Members: members,
	}
}

// parts writes a bundle and gives the paths of its parts.
func parts(t testing.TB, o Options) []string {
	t.Helper()
	r, err := Write(t.Context(), filepath.Join(t.TempDir(), "b.tar"), o)
	if err != nil {
		t.Fatal(err)
	}
	return paths(r)
}

func paths(r Result) []string {
	var list []string
	for _, p := range r.Parts {
		list = append(list, p.Path)
	}
	return list
}

// readAll opens and verifies a bundle, and reads all of its files.
func readAll(ctx context.Context, known note.Verifiers, temp string, paths ...string) (map[string]string, error) {
	b, err := Open(known, paths...)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if err := b.Verify(ctx, VerifyOptions{Temp: temp}); err != nil {
		return nil, err
	}
	files := map[string]string{}
	for m := range b.Members() {
		in, err := m.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(in)
		in.Close()
		if err != nil {
			return nil, err
		}
		files[m.Name] = string(data)
	}
	return files, nil
}

func some() []Member {
	return []Member{
		member("records", []byte("one\ntwo\n")),
		member("files/ab/demo-1.0-py3-none-any.whl", text("demo", 700)),
		member("files/ab/empty", nil),
		member("files/cd/"+strings.Repeat("long-", 25)+"name.whl", text("long", 513)),
		member("policy.toml", []byte("# nothing\n")),
	}
}

func TestRoundTrip(t *testing.T) {
	big := append(some(), member("files/big.whl", text("big", 500_000)), member("files/other.whl", text("other", 90_000)))
	for _, tt := range []struct {
		name    string
		members []Member
		split   int64
		zstd    bool
		parts   int
	}{
		{"nothing", nil, 0, false, 1},
		{"nothing, compressed", nil, 0, true, 1},
		{"some", some(), 0, false, 1},
		{"some, compressed", some(), 0, true, 1},
		{"split", big, MinSplit, false, 5},
		{"split, compressed", big, MinSplit, true, 5},
		{"split, all fits", some(), MinSplit, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t, tt.members...)
			o.Split, o.Zstd = tt.split, tt.zstd
			path := filepath.Join(t.TempDir(), "b.tar")
			planned, err := Plan(path, o)
			if err != nil {
				t.Fatal(err)
			}
			r, err := Write(t.Context(), path, o)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Parts) != tt.parts || len(planned.Parts) != tt.parts || planned.ID != r.ID {
				t.Errorf("%d parts, planned %d, want %d; ids %s and %s", len(r.Parts), len(planned.Parts), tt.parts, r.ID, planned.ID)
			}
			for k, p := range r.Parts {
				data, err := os.ReadFile(p.Path)
				if err != nil {
					t.Fatal(err)
				}
				if int64(len(data)) != p.Size || sha256.Sum256(data) != p.SHA256 {
					t.Errorf("%s: %d bytes, digest %x; Write says %d, %x", p.Path, len(data), sha256.Sum256(data), p.Size, p.SHA256)
				}
				if tt.split != 0 && p.Size > tt.split {
					t.Errorf("%s: %d bytes, more than %d", p.Path, p.Size, tt.split)
				}
				if q := planned.Parts[k]; q.Path != p.Path || !tt.zstd && q.Size != p.Size || q.Size < p.Size {
					t.Errorf("planned %s of %d bytes, got %s of %d", q.Path, q.Size, p.Path, p.Size)
				}
			}
			list := paths(r)
			slices.Reverse(list)
			list = append(list, list[0]) // given twice
			temp := t.TempDir()
			got, err := readAll(t.Context(), trusting(t, o.Header.Key), temp, list...)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tt.members) {
				t.Errorf("%d files, want %d", len(got), len(tt.members))
			}
			for _, m := range tt.members {
				in, _ := m.Open()
				want, _ := io.ReadAll(in)
				if got[m.Name] != string(want) {
					t.Errorf("%s: %d bytes differ from the %d written", m.Name, len(got[m.Name]), len(want))
				}
			}
			for k, p := range r.Parts {
				h, err := VerifyPart(t.Context(), trusting(t, o.Header.Key), p.Path, nil)
				if err != nil || h.Part != k+1 || h.Parts != tt.parts || h.ID != r.ID {
					t.Errorf("VerifyPart(%s) = %+v, %v", p.Path, h, err)
				}
			}
			left, err := fs.Glob(os.DirFS(temp), "*")
			if err != nil || len(left) != 0 {
				t.Errorf("left after Close: %v, %v", left, err)
			}
		})
	}
}
