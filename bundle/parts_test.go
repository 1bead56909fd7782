package bundle

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// rewrite writes a bundle to a folder of its own.
func rewrite(t *testing.T, change func(o *Options)) []string {
	t.Helper()
	o := options(t, append(few(), member("big", text("big", 24000)), member("z", text("z", 400)))...)
	o.Split = 10 << 10
	change(&o)
	return parts(t, o)
}

// What is missing, mixed or given twice is told in words.
func TestPartsGiven(t *testing.T) {
	smallParts(t)
	none := func(*Options) {}
	a := rewrite(t, none)
	again := rewrite(t, none)
	other := rewrite(t, func(o *Options) { o.Header.Tag = "site-c" })
	resized := rewrite(t, func(o *Options) { o.Split = 16 << 10 })
	packed := rewrite(t, func(o *Options) { o.Zstd = true; o.Split += 513 })
	if len(a) != len(packed) || len(a) < 4 || len(resized) >= len(a) {
		t.Fatalf("%d, %d and %d parts", len(a), len(packed), len(resized))
	}
	// The same number of parts, cut elsewhere.
	shifted := rewrite(t, func(o *Options) { o.Split += 512 })
	if len(shifted) != len(a) {
		t.Fatalf("%d parts, and %d", len(shifted), len(a))
	}
	_, vkey := key(t, origin, 1)
	known := trusting(t, vkey)
	n := len(a)
	for _, tt := range []struct {
		name  string
		paths []string
		err   string // part of it; empty if all is well
	}{
		{"all", a, ""},
		{"none", nil, "no file of a bundle was given"},
		{"each twice", append(slices.Clone(a), again...), ""},
		{"one part from another run", append(slices.Clone(a[:n-1]), again[n-1]), ""},
		{"compressed and plain parts of the same archives", append(slices.Clone(a[:1]), packed[1:]...), ""},
		{"the last is missing", a[:n-1], "is not among the files given: look for b.00"},
		{"the first and the second are missing", a[2:], "parts 1-2 are not among the files given: look for b.001-of-00"},
		{"two are missing, apart", append(slices.Clone(a[1:2]), a[3:]...), "parts 1, 3 are not"},
		{"of another bundle", append(slices.Clone(a[1:]), other[0]), "are parts of different bundles"},
		{"of another number of parts", append(slices.Clone(a[1:]), resized[0]), "the bundle was written more than once, in"},
		{"the same part, cut elsewhere", append(slices.Clone(a), shifted[1]), "the bundle was written more than once, with parts of different sizes"},
		{"one part cut elsewhere", append(slices.Clone(a[:1]), shifted[1:]...), "the bundle was written more than once, with parts of different sizes"},
		{"not there", append(slices.Clone(a), "none.tar"), "none.tar"},
		{"a folder", []string{t.TempDir()}, "not a regular file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readAll(t.Context(), known, "", tt.paths...)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
	_, err := Open(known, a[2:]...)
	var missing *MissingPartsError
	if !errors.As(err, &missing) || !slices.Equal(missing.Missing, []int{1, 2}) || missing.Parts != n || missing.Tag != "site-b" {
		t.Errorf("got %#v", err)
	}
}

// A bundle is not believed because it is signed: the key has to be known, and to
// be the one that is known.
func TestKeys(t *testing.T) {
	path := parts(t, options(t, few()...))[0]
	_, vkey := key(t, origin, 1)
	_, other := key(t, origin, 2)
	_, elsewhere := key(t, "other.example.org", 1)

	_, err := Open(trusting(t, other, elsewhere), path)
	var unknown *UnknownKeyError
	if !errors.As(err, &unknown) || unknown.Key != vkey || unknown.Origin != origin || unknown.File != path {
		t.Errorf("with other keys: %#v", err)
	}
	if _, err := Open(nil, path); !errors.As(err, &unknown) {
		t.Errorf("with no keys: %#v", err)
	}
	if _, err := VerifyPart(t.Context(), nil, path, nil); !errors.As(err, &unknown) {
		t.Errorf("VerifyPart with no keys: %#v", err)
	}
	if _, err := Open(trusting(t, other, vkey), path); err != nil {
		t.Errorf("with its key: %v", err)
	}
	h, err := ReadHeader(path)
	if err != nil || h.Key != vkey || h.Field("from") != "12" || h.Field("none") != "" || h.Part != 1 || h.Parts != 1 {
		t.Errorf("ReadHeader = %+v, %v", h, err)
	}

	// Who writes has to have the key that the header tells.
	signer, _ := key(t, origin, 2)
	foreign, _ := key(t, "other.example.org", 1)
	for _, tt := range []struct {
		name   string
		change func(o *Options)
	}{
		{"another key of the same name", func(o *Options) { o.Signer = signer }},
		{"a key of another name", func(o *Options) { o.Signer = foreign }},
		{"no key", func(o *Options) { o.Signer = nil }},
		{"a header with the key of another", func(o *Options) { o.Header.Key = elsewhere }},
		{"another origin than the key's", func(o *Options) { o.Header.Origin = "other.example.org" }},
		{"upper case in the hash of the key", func(o *Options) {
			name, rest, _ := strings.Cut(vkey, "+")
			hash, raw, _ := strings.Cut(rest, "+")
			o.Header.Key = name + "+" + strings.ToUpper(hash) + "+" + raw
		}},
	} {
		o := options(t, few()...)
		tt.change(&o)
		dir := t.TempDir()
		if _, err := Write(t.Context(), filepath.Join(dir, "b.tar"), o); err == nil {
			t.Errorf("%s: written", tt.name)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%s: left %v", tt.name, left)
		}
	}
}

// What was verified may be changed after it. Whoever reads to the end is told.
func TestChangedAfterVerify(t *testing.T) {
	smallParts(t)
	for _, packed := range []bool{false, true} {
		o := options(t, append(few(), member("big", text("big", 9000)))...)
		o.Split, o.Zstd = 6<<10, packed
		temp := t.TempDir()
		b, err := Open(trusting(t, o.Header.Key), parts(t, o)...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Open("b"); err == nil {
			t.Error("opened before it was verified")
		}
		if err := b.Verify(t.Context(), VerifyOptions{Temp: temp}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Open("none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("of a name that is not there: %v", err)
		}
		m, err := b.Stat("big")
		if err != nil || m.Size != 9000 {
			t.Errorf("Stat = %+v, %v", m, err)
		}
		c, err := b.Open("big")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// From everywhere, over the ends of pieces.
		want := text("big", 9000)
		for at := 0; at < 9000; at += 391 {
			buf := make([]byte, 3500)
			n, err := c.ReadAt(buf, int64(at))
			if string(buf[:n]) != string(want[at:min(at+3500, 9000)]) || n < len(buf) && err != io.EOF || n == len(buf) && err != nil {
				t.Errorf("ReadAt %d gave %d bytes, %v", at, n, err)
			}
		}
		if n, err := c.ReadAt(make([]byte, 1), 9000); n != 0 || err != io.EOF {
			t.Errorf("ReadAt the end = %d, %v", n, err)
		}
		if _, err := c.ReadAt(make([]byte, 1), -1); err == nil {
			t.Error("ReadAt before the beginning")
		}
		big, err := b.find("big")
		if err != nil {
			t.Fatal(err)
		}
		x := b.pieces[big]
		if len(x) < 2 {
			t.Fatalf("big has the pieces %v", x)
		}
		file := b.parts[x[1].part].plain
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data[x[1].offset] ^= 1
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var damage *DamageError
		if _, err := io.ReadAll(c); !errors.As(err, &damage) {
			t.Errorf("a byte that changed after all was verified: %v", err)
		}
		if err := os.Truncate(file, x[1].offset+3); err != nil {
			t.Fatal(err)
		}
		short, err := b.Open("big")
		if err != nil {
			t.Fatal(err)
		}
		defer short.Close()
		if got, err := io.ReadAll(short); !errors.As(err, &damage) || int64(len(got)) != x[0].length+3 {
			t.Errorf("of a file that was cut: %d bytes, %v", len(got), err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if packed {
			if _, err := b.Open("b"); err == nil {
				t.Error("opened after it was closed")
			}
		}
	}
}

// A key that pretends to be another: same name, same hash, which is short.
type pretender struct{ note.Verifier }

func (pretender) Verify(msg, sig []byte) bool { return false }

func (p pretender) verifiers() note.Verifiers { return note.VerifierList(p) }

// A key is known by its name and four bytes of a digest, of which another key can
// be made. What counts is the key.
func TestPretender(t *testing.T) {
	o := options(t, few()...)
	path := parts(t, o)[0]
	v, err := note.NewVerifier(o.Header.Key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(pretender{v}.verifiers(), path)
	if err == nil || !strings.Contains(err.Error(), path+": the key that it names, "+o.Header.Key+", is not the one that is trusted under that name") {
		t.Errorf("got %v", err)
	}
	_, err = Open(nil, path)
	if want := path + ": signed by a key that is not trusted here: " + o.Header.Key; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// What changes between Open and Verify is found, whatever it is.
func TestChangedAfterOpen(t *testing.T) {
	o := options(t, some()...)
	plain := parts(t, o)[0]
	o.Zstd = true
	packed := parts(t, o)[0]
	read := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	was := map[string][]byte{plain: read(plain), packed: read(packed)}
	foreign := read(parts(t, options(t, few()...))[0])
	_, vkey := key(t, origin, 1)
	for path, data := range was {
		for name, now := range map[string][]byte{
			"longer":          append(slices.Clone(data), 0),
			"shorter":         data[:len(data)-1],
			"empty":           nil,
			"another bundle":  append(slices.Clone(foreign), make([]byte, len(data))...)[:len(data)],
			"the other form":  append(slices.Clone(was[packed]), was[plain]...)[:len(data)],
			"another ending":  append(slices.Clone(data[:len(data)-1]), data[len(data)-1]^1),
			"not there":       nil,
			"nothing changed": data,
		} {
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			b, err := Open(trusting(t, vkey), path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, now, 0o644); err != nil {
				t.Fatal(err)
			}
			if name == "not there" {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			err = b.Verify(t.Context(), VerifyOptions{Temp: t.TempDir()})
			if same := string(now) == string(data); (err == nil) != same {
				t.Errorf("%s: %s: %v", filepath.Base(path), name, err)
			}
			if err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("%s: the error does not name the part: %v", name, err)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A full or missing temporary folder is no fault of the bundle.
func TestTemporaryFolder(t *testing.T) {
	for _, size := range []int{100, 900_000} {
		o := options(t, member("x", text("x", size)))
		o.Zstd = true
		b, err := Open(trusting(t, o.Header.Key), parts(t, o)...)
		if err != nil {
			t.Fatal(err)
		}
		var damage *DamageError
		err = b.parts[0].verify(t.Context(), b.list, "/dev/full", func(int64) {})
		if !errors.Is(err, syscall.ENOSPC) || errors.As(err, &damage) {
			t.Errorf("%d bytes where there is no room: %v", size, err)
		}
		none := filepath.Join(t.TempDir(), "none")
		if err := b.Verify(t.Context(), VerifyOptions{Temp: none}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), none) {
			t.Errorf("in a folder that is not there: %v", err)
		}
		if _, err := b.Open("x"); err == nil {
			t.Error("opened though it was not verified")
		}
	}
}

// A medium that cannot be read is told as that: what it holds may be all right.
func TestUnreadableMedium(t *testing.T) {
	const path = "/proc/self/mem" // reading its beginning is an input/output error
	if _, err := os.Stat(path); err != nil {
		t.Skip("there is no ", path)
	}
	var damage *DamageError
	if _, err := Open(nil, path); !errors.Is(err, syscall.EIO) || errors.As(err, &damage) || !strings.Contains(err.Error(), "it cannot be read") {
		t.Errorf("got %v", err)
	}
}

// A bundle that was read can be passed on: with the same header it is the same.
func TestPassedOn(t *testing.T) {
	smallParts(t)
	o := options(t, append(few(), member("big", text("big", 24000)))...)
	whole := parts(t, o)[0]
	split, packed := o, o
	split.Split = 10 << 10
	packed.Zstd = true
	for _, form := range []Options{split, packed} {
		b, err := Open(trusting(t, o.Header.Key), parts(t, form)...)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if err := b.Verify(t.Context(), VerifyOptions{Temp: t.TempDir()}); err != nil {
			t.Fatal(err)
		}
		next := Options{Header: b.Header, Signer: o.Signer, Members: slices.Collect(b.Members())}
		got, err := os.ReadFile(parts(t, next)[0])
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(whole)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d bytes differ from the %d that the bundle had at first: %v", len(got), len(want), err)
		}
	}
}

// Members that can only be read from their beginning may be cut, too.
func TestPlainReaders(t *testing.T) {
	smallParts(t)
	data := text("big", 24000)
	seekable, plain := options(t, member("big", data)), options(t, member("big", data))
	seekable.Split, plain.Split = 10<<10, 10<<10
	seekable.Members[0].Open = func() (io.ReadCloser, error) {
		path := filepath.Join(t.TempDir(), "big")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return nil, err
		}
		return os.Open(path)
	}
	a, b := parts(t, seekable), parts(t, plain)
	if len(a) < 3 || len(a) != len(b) {
		t.Fatalf("%d and %d parts", len(a), len(b))
	}
	for k := range a {
		x, err := os.ReadFile(a[k])
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(b[k])
		if err != nil || !slices.Equal(x, y) {
			t.Errorf("part %d differs: %v", k+1, err)
		}
	}
}
