package intake

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/crypto/blake2b"

	"nestgen/intake/intaketest"
	"nestgen/packaging"
)

// Contract FN-4 and section 7, rows 4 to 6: the metadata decides what a file
// name leaves open.
func TestMetadataDecides(t *testing.T) {
	const none = "-"
	for _, tt := range []struct {
		filename, hint, name, version string // in; none for no PKG-INFO
		project, want                 string
		err                           string
	}{
		{"foo-bar-1.0.tar.gz", "", none, "", "foo-bar", "1.0", ""},
		{"foo-1.0-1.tar.gz", "", "foo", "1.0.post1", "foo", "1.0.post1", ""},
		{"foo-1.0-1.tar.gz", "", "foo-1.0", "1", "foo-1-0", "1", ""},
		{"foo-1.0-1.tar.gz", "foo", "foo", "1.0-1", "foo", "1.0.post1", ""},
		{"foo-1.0-1.tar.gz", "foo", "foo-1.0", "1", "", "", `project "foo" and the metadata "foo-1.0"`},
		{"foo-1.0-rc1.tar.gz", "", "foo", "1.0rc1", "foo", "1.0rc1", ""},
		{"Foo.Bar-1.0.tar.gz", "", "foo_bar", "1.0", "foo-bar", "1.0", ""},
		{"foo-1.0.tar.gz", "", "foo", "1.0.0", "foo", "1.0", ""},
		{"foo-1.0.tar.gz", "", "foo", "2.0", "", "", `version "1.0" and the metadata "2.0"`},
		{"foo-1.0.tar.gz", "", "bar", "1.0", "", "", `project "foo" and the metadata "bar"`},
		{"foo-1.0.tar.gz", "", "f o", "1.0", "", "", "no valid name"},
		{"python-foo-2-1.0.tar.gz", "", "python-foo-2", "1.0", "python-foo-2", "1.0", ""},
		{"foo-r123.tar.gz", "", "foo", "r123", "foo", "r123", ""},
		{"foo-1.0_beta-x.tar.gz", "foo", "foo", "1.0-beta x", "foo", "1.0_beta-x", ""},
	} {
		o := intaketest.Opts{NoMetadata: tt.name == none, Metadata: "Metadata-Version: 1.0\nName: " + tt.name + "\nVersion: " + tt.version + "\n"}
		_, b := intaketest.Sdist("top", "1", o)
		f, err := Inspect(bytes.NewReader(b), int64(len(b)), tt.filename, packaging.Name(tt.hint), Drop)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s, %s %s: err = %v, want %q", tt.filename, tt.name, tt.version, err, tt.err)
			}
			if m, err := Inspect(bytes.NewReader(b), int64(len(b)), tt.filename, packaging.Name(tt.hint), Mirrored); err != nil || len(m.Warnings) == 0 {
				t.Errorf("%s, %s %s, mirrored: %v, %q", tt.filename, tt.name, tt.version, err, m.Warnings)
			}
			continue
		}
		if err != nil || string(f.Filename.Project) != tt.project || f.Filename.Version != tt.want {
			t.Errorf("%s, %s %s: %s %s, %v; want %s %s", tt.filename, tt.name, tt.version, f.Filename.Project, f.Filename.Version, err, tt.project, tt.want)
		}
	}
}

// Contract section 7, row 30.
func TestRequiresPython(t *testing.T) {
	for in, want := range map[string]string{">=3.8": ">=3.8", " >=2.7, !=3.0.* ": ">=2.7, !=3.0.*", ">=2.7.*": "", "3": "", "": ""} {
		name, b := intaketest.Wheel("foo", "1.0", intaketest.Opts{RequiresPython: in})
		f, err := Inspect(bytes.NewReader(b), int64(len(b)), name, "", Upload)
		if err != nil || f.RequiresPython != want || (len(f.Warnings) > 0) != (want == "" && in != "") {
			t.Errorf("%q: %q, %v, warnings %q; want %q", in, f.RequiresPython, err, f.Warnings, want)
		}
	}
}

// Files that are not what their name says are refused, and what is not read is
// said to be so.
func TestOtherKinds(t *testing.T) {
	tarball := sourceTar()
	installer := plain()
	installer.entries[0] = newEntry("PURELIB/foo-1.0-py2.7.egg-info", fooInfo)
	installer.prefix = []byte("MZ\x90\x00 a program, with PK in it")
	wrong := plain()
	wrong.entries[0] = newEntry("PURELIB/foo-1.0-py2.7.egg-info/PKG-INFO", strings.Replace(fooInfo, "foo", "bar", 1))
	wrong.prefix = installer.prefix
	_, egg := intaketest.Egg("foo", "1.0", intaketest.Opts{})
	_, bare := intaketest.Egg("foo", "1.0", intaketest.Opts{NoMetadata: true})
	// A script before an egg, with and without it counted in the offsets.
	script := []byte("#!/bin/sh\nexec python2.7 -c 'import this' \"$@\"\n")
	shell := append(bytes.Clone(script), egg...)
	counted := &spec{prefix: script, entries: []entry{newEntry("EGG-INFO/PKG-INFO", fooInfo), newEntry("foo.py", "")}}
	hiding := &spec{prefix: append(bytes.Clone(script), plain().bytes()...), entries: counted.entries}
	dumb := tarMember("./usr/lib/python2.7/foo.py", '0', "x", nil)
	dumb = append(append(dumb, tarMember("./usr/bin/foo", '0', "x", nil)...), make([]byte, 1024)...)
	dmg := make([]byte, 1024)
	copy(dmg[512:], "koly")
	for _, tt := range []struct {
		filename string
		data     []byte
		how      Strictness
		err      string
		warning  string
	}{
		{"foo-1.0.win32-py2.7.exe", installer.bytes(), Upload, "", ""},
		{"foo-1.0.win32-py2.7.exe", wrong.bytes(), Upload, `the metadata "bar"`, ""},
		{"foo-1.0.win32.exe", []byte("MZ and nothing more, nothing at all"), Mirrored, "no end of central directory", ""},
		{"foo-1.0.win32.exe", plain().bytes(), Mirrored, "not a Windows program", ""},
		{"foo-1.0-py2.7.egg", egg, Upload, "", ""},
		{"foo-1.0-py2.7.egg", shell, Upload, "", ""},
		{"foo-1.0-py2.7.egg", counted.bytes(), Upload, "", ""},
		{"foo-1.0-py2.7.egg", hiding.bytes(), Mirrored, "hold records", ""},
		{"foo-1.0-py2.7.egg", append([]byte("# no script\n"), egg...), Drop, "before the archive", ""},
		{"foo-1.0-py3-none-any.whl", shell, Drop, "before the archive", ""},
		{"foo-1.0-py2.7.egg", bare, Drop, "without EGG-INFO", ""},
		{"foo-1.0-py2.7.egg", bare, Mirrored, "", "without EGG-INFO"},
		{"foo-1.0-py2.7.egg", tarball, Mirrored, "zip", ""},
		{"foo-1.0.win32.msi", []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and more"), Upload, "", ""},
		{"foo-1.0.win32.msi", []byte("\xd0\xcf"), Mirrored, "not a Windows Installer package", ""},
		{"foo-1.0-1.noarch.rpm", []byte("\xed\xab\xee\xdb and more"), Upload, "", ""},
		{"foo-1.0-1.noarch.rpm", tarball, Mirrored, "not an RPM package", ""},
		{"python-foo_1.0-1_all.deb", []byte("!<arch>\ndebian-binary   1"), Upload, "", ""},
		{"python-foo_1.0-1_all.deb", tarball, Mirrored, "not a Debian package", ""},
		{"foo-1.0.dmg", dmg, Upload, "", ""},
		{"foo-1.0.dmg", tarball, Drop, "not a disk image", ""},
		{"foo-1.0.linux-x86_64.tar.gz", intaketest.Pack(".tar.gz", dumb), Upload, "", ""},
		{"foo-1.0.tar.Z", intaketest.Pack(".tar.Z", tarball), Upload, "", ""},
		{"foo-1.0.tar.Z", intaketest.Pack(".tar.gz", tarball), Mirrored, "", "packed by gzip"},
		{"foo-1.0.tar.Z", []byte("\x1f\x9d\x90\x00\x01"), Mirrored, "compress: broken data", ""},
		{"foo-1.0.tar.gz", tarball, Drop, "named .tar.gz and packed by tar", ""},
		{"foo-1.0.tar.gz", tarball, Mirrored, "", "named .tar.gz and packed by tar"},
		{"foo-1.0.tar.bz2", intaketest.Pack(".tar.gz", tarball), Mirrored, "", "packed by gzip"},
		{"foo-1.0.tar.gz", plain().bytes(), Drop, "packed by zip", ""},
		{"foo-1.0.tar.gz", []byte("<html>Please log in</html>"), Mirrored, "not packed by gzip", ""},
		{"foo-1.0.zip", tarball, Mirrored, "zip", ""},
		{"foo-1.0.tar", []byte("<html>Please log in</html>"), Mirrored, "cut short", ""},
		{"foo-1.0.tar.lz", []byte("LZIP\x01\x0c and far too little of it"), Mirrored, "lzip", ""},
		{"foo-1.0.tar.gz", nil, Mirrored, "empty file", ""},
		{"foo-1.0.tar.gz", intaketest.Pack(".tar.gz", make([]byte, 1024)), Mirrored, "without members", ""},
		{"foo-1.0.txt", tarball, Mirrored, "foo-1.0.txt", ""},
		{"foo-1.0-py3-none-any.WHL", tarball, Mirrored, "WHL", ""},
	} {
		f, err := Inspect(bytes.NewReader(tt.data), int64(len(tt.data)), tt.filename, "", tt.how)
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s, strictness %d: err = %v, want %q", tt.filename, tt.how, err, tt.err)
			}
		case err != nil:
			t.Errorf("%s, strictness %d: %v", tt.filename, tt.how, err)
		case tt.warning == "" && len(f.Warnings) > 0:
			t.Errorf("%s, strictness %d: warnings %q", tt.filename, tt.how, f.Warnings)
		case tt.warning != "" && !strings.Contains(strings.Join(f.Warnings, "\n"), tt.warning):
			t.Errorf("%s, strictness %d: warnings %q, want %q", tt.filename, tt.how, f.Warnings, tt.warning)
		}
	}
}

// A panicking reader stands for a decompressor with a fault: the file is
// refused, and the next one is read as if nothing had been.
func TestPanicIsARejection(t *testing.T) {
	name, b := intaketest.Sdist("foo", "1.0", intaketest.Opts{Pad: wholeLimit + 1000})
	for _, after := range []int{0, 1, 3} {
		_, err := Inspect(&panicking{bytes.NewReader(b), after}, int64(len(b)), name, "", Drop)
		var r Rejection
		if !errors.As(err, &r) || !strings.Contains(string(r), "table overflow") {
			t.Errorf("panic after %d reads: err = %v (%T)", after, err, err)
		}
		if _, err := Inspect(bytes.NewReader(b), int64(len(b)), name, "", Drop); err != nil {
			t.Errorf("the next file: %v", err)
		}
	}
}

type panicking struct {
	r     io.ReaderAt
	after int
}

func (p *panicking) ReadAt(b []byte, off int64) (int, error) {
	if p.after--; p.after < 0 {
		panic("table overflow")
	}
	return p.r.ReadAt(b, off)
}

// A disk that fails is not the file's fault: the error is not a rejection,
// wherever in the file it strikes.
func TestReadErrorIsNoRejection(t *testing.T) {
	wheel, w := intaketest.Wheel("foo", "1.0", intaketest.Opts{Pad: wholeLimit + 300_000})
	gz, s := intaketest.Sdist("foo", "1.0", intaketest.Opts{Pad: wholeLimit + 300_000})
	small, v := intaketest.Wheel("foo", "1.0", intaketest.Opts{})
	for filename, b := range map[string][]byte{wheel: w, gz: s, small: v} {
		for n := 0; ; n++ {
			r := &failing{bytes.NewReader(b), n}
			_, err := Inspect(r, int64(len(b)), filename, "", Upload)
			if err == nil {
				if n == 0 {
					t.Errorf("%s: nothing read", filename)
				}
				break
			}
			if !errors.Is(err, iotest.ErrTimeout) {
				t.Fatalf("%s: failing after %d reads: %v (%T)", filename, n, err, err)
			}
		}
	}
	// A file that shrinks while it is read.
	if _, err := Inspect(bytes.NewReader(w[:len(w)-1]), int64(len(w)), wheel, "", Upload); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("shrunk: %v", err)
	}
}

type failing struct {
	r     io.ReaderAt
	after int
}

func (f *failing) ReadAt(b []byte, off int64) (int, error) {
	if f.after--; f.after < 0 {
		return 0, iotest.ErrTimeout
	}
	return f.r.ReadAt(b, off)
}

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	for _, size := range []int{0, 1, hashBuffer, hashBuffer + 1, 3*hashBuffer - 7} {
		data := bytes.Repeat([]byte("nestgen "), size/8+1)[:size]
		src := filepath.Join(dir, "src")
		if err := os.WriteFile(src, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for name, open := range map[string]func() io.Reader{
			"file": func() io.Reader { f, _ := os.Open(src); return f },
			"slow": func() io.Reader {
				return iotest.DataErrReader(iotest.OneByteReader(bytes.NewReader(data[:min(size, 5000)])))
			},
		} {
			want := data
			if name == "slow" {
				want = data[:min(size, 5000)]
			}
			dst, err := os.Create(filepath.Join(dir, "dst"))
			if err != nil {
				t.Fatal(err)
			}
			r := open()
			d, err := Copy(dst, r, int64(len(want)))
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", name, size, err)
			}
			dst.Close()
			if got, _ := os.ReadFile(dst.Name()); !bytes.Equal(got, want) {
				t.Errorf("%s, %d bytes: copied %d others", name, size, len(got))
			}
			again, err := Digest(bytes.NewReader(want))
			if err != nil || again != d || d.Size != int64(len(want)) || [32]byte(d.BLAKE2b) != blake2b.Sum256(want) {
				t.Errorf("%s, %d bytes: digests %v, and %v (%v) of the same bytes", name, size, d, again, err)
			}
			if c, ok := r.(io.Closer); ok {
				c.Close()
			}
		}
	}
}

// Digests against values known from elsewhere: the empty file and "abc" (FIPS
// 180-4, RFC 7693 with 32 bytes as b2sum -l 256 prints it).
func TestDigest(t *testing.T) {
	d, err := Digest(strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(d.SHA256[:]); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("SHA-256 = %s", got)
	}
	if got := d.BLAKE2b.String(); got != "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319" {
		t.Errorf("BLAKE2b-256 = %s", got)
	}
	boom := errors.New("boom")
	if _, err := Digest(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(boom))); !errors.Is(err, boom) {
		t.Errorf("err = %v", err)
	}
}

// The SHA-256 that goes with an inspection is that of all bytes, of a small file
// and of one that is read in pieces, also where the file may not be listed; and
// an error of reading is no verdict.
func TestInspectSum(t *testing.T) {
	for _, pad := range []int{0, wholeLimit - 1, wholeLimit + windowSize/2, 3 * windowSize} {
		for _, filename := range []string{"foo-1.0-py3-none-any.whl", "bar-1.0-py3-none-any.whl", "foo.txt"} {
			_, b := intaketest.Wheel("foo", "1.0", intaketest.Opts{Pad: pad})
			want, wantErr := Inspect(bytes.NewReader(b), int64(len(b)), filename, "", Drop)
			sum, facts, err := InspectSum(bytes.NewReader(b), int64(len(b)), filename, "", Drop)
			if sum != sha256.Sum256(b) || !reflect.DeepEqual(facts, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Errorf("%s, %d bytes: %s, %+v, %v", filename, len(b), sum, facts, err)
			}
			_, _, err = InspectSum(bytes.NewReader(b[:len(b)-1]), int64(len(b)), filename, "", Drop)
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s, %d bytes, cut short under way: %v", filename, len(b), err)
			}
		}
	}
	if sum, _, err := InspectSum(strings.NewReader(""), 0, "foo-1.0.zip", "", Drop); sum != sha256.Sum256(nil) || err == nil {
		t.Errorf("an empty file: %s, %v", sum, err)
	}
}

// A file that is read for its hash and its content is read once.
func TestInspectSumReadsOnce(t *testing.T) {
	filename, b := intaketest.Sdist("foo", "1.0", intaketest.Opts{})
	r := &counted{ReaderAt: bytes.NewReader(b)}
	if _, _, err := InspectSum(r, int64(len(b)), filename, "", Drop); err != nil || r.reads != 1 {
		t.Errorf("%d reads, %v", r.reads, err)
	}
}

type counted struct {
	io.ReaderAt
	reads int
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.ReaderAt.ReadAt(p, off)
}

func TestCopyLimit(t *testing.T) {
	dst, err := os.Create(filepath.Join(t.TempDir(), "dst"))
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	var large *TooLarge
	if _, err := Copy(dst, strings.NewReader("12345"), 4); !errors.As(err, &large) || large.Limit != 4 {
		t.Errorf("err = %v", err)
	}
}

// What an inspection allocates does not depend on the file's size, beyond the
// metadata that it hands out: a large file costs no more memory than a small
// one (reliability row 11).
func TestMemory(t *testing.T) {
	for _, make := range []func(string, string, intaketest.Opts) (string, []byte){intaketest.Wheel, intaketest.Sdist} {
		filename, b := make("foo", "1.0", intaketest.Opts{Pad: 40 << 20})
		inspect := func() {
			if _, err := Inspect(bytes.NewReader(b), int64(len(b)), filename, "", Drop); err != nil {
				t.Error(err)
			}
		}
		inspect()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		inspect()
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
			t.Errorf("%s: %d bytes allocated for a file of %d", filename, n, len(b))
		}
	}
}

// A tiny file costs few allocations, all of them for what is handed out.
func TestAllocations(t *testing.T) {
	for _, make := range []func(string, string, intaketest.Opts) (string, []byte){intaketest.Wheel, intaketest.Sdist} {
		filename, b := make("foo", "1.0", intaketest.Opts{RequiresPython: ">=3.8"})
		r := bytes.NewReader(b)
		n := testing.AllocsPerRun(200, func() {
			if _, err := Inspect(r, int64(len(b)), filename, "", Drop); err != nil {
				t.Error(err)
			}
		})
		if n > 25 {
			t.Errorf("%s: %v allocations", filename, n)
		}
	}
}

// The seeds of every fuzzer: honest archives.
func seeds(f *testing.F) {
	for _, ext := range []string{".tar.gz", ".tar.xz", ".tar.zst", ".tar.lzma", ".tar.Z", ".tar", ".zip"} {
		name, b := intaketest.Sdist("foo", "1.0", intaketest.Opts{Ext: ext})
		f.Add(name, b)
	}
	f.Add(intaketest.Wheel("foo", "1.0", intaketest.Opts{}))
	f.Add(intaketest.Egg("foo", "1.0", intaketest.Opts{}))
	f.Add("foo-1.0.win32.exe", append([]byte("MZ"), plain().bytes()...))
}

// What is accepted strictly is accepted mirrored and says the same; nothing is
// ever a panic.
func FuzzInspect(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, filename string, b []byte) {
		strict, err := Inspect(bytes.NewReader(b), int64(len(b)), filename, "", Upload)
		if err != nil && strings.Contains(err.Error(), "reading it failed") {
			t.Errorf("panic: %v", err)
		}
		mirrored, err2 := Inspect(bytes.NewReader(b), int64(len(b)), filename, "", Mirrored)
		if err == nil && (err2 != nil || !bytes.Equal(strict.Metadata, mirrored.Metadata) || strict.Filename != mirrored.Filename) {
			t.Errorf("%q: strict %+v, mirrored %+v, %v", filename, strict, mirrored, err2)
		}
	})
}

// A zip file that is accepted strictly is read by Go's own reader, with the same
// members, and each of them has its checksum.
func FuzzZip(f *testing.F) {
	f.Add(plain().bytes())
	for _, tt := range zipCases {
		s := plain()
		tt.spoil(s)
		f.Add(s.bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.zip", "foo", Drop); err == nil {
			goListing(t, "x.zip", b)
		}
	})
}

// A tar file that is accepted strictly is read by Go's own reader to its end.
func FuzzTar(f *testing.F) {
	f.Add(sourceTar())
	for _, tt := range tarCases {
		if b := sourceTar(tt.more...); len(b) < 100_000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.tar", "foo", Drop); err != nil {
			return
		}
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		w.Write(b)
		w.Close()
		goListing(t, "x.tar.gz", packed.Bytes())
	})
}
