package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The bytes of an archive are these, on each machine and at each time: whoever
// exports again gets the same file, and an older bundle can be read.
func TestGolden(t *testing.T) {
	path := parts(t, options(t, member("a/demo-1.0-py3-none-any.whl", []byte("demo")), member("records", []byte("1\n2\n"))))[0]
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	manifest := fmt.Sprintf("%x 4 a/demo-1.0-py3-none-any.whl\n%x 4 records\n", sha256.Sum256([]byte("demo")), sha256.Sum256([]byte("1\n2\n")))
	const about = "origin packages.example.org\nkey packages.example.org+ccac66b6+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c\ntag site-b\n"
	const fields = "from 12\nto 40\n"
	id := sha256.Sum256([]byte("nestgen-bundle-id 1\n" + about + fields + "\n" + manifest))
	text := "nestgen-bundle 1\n" + about + fmt.Sprintf("id %x\npart 1 of 1\n", id) + fields + fmt.Sprintf("manifest %x %d\n", sha256.Sum256([]byte(manifest)), len(manifest))
	signed := text + "\n\u2014 packages.example.org zKxmtlwdbAinIAKyPEIjYC/UuteFDlD7HdDJ1lO9bl8TN0SfxmPE4DlYIpJs1w01Ttd6vZ8SPW53hlI6Iu7VQaCfxQk=\n"

	var want []byte
	for _, f := range [][2]string{{"bundle", signed}, {"manifest", manifest}, {"a/demo-1.0-py3-none-any.whl", "demo"}, {"records", "1\n2\n"}} {
		want = appendHeader(want, f[0], int64(len(f[1])))
		want = append(want, f[1]...)
		want = append(want, make([]byte, -len(f[1])&511)...)
	}
	want = append(want, make([]byte, 1024)...)
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	const digest = "c6439274d90170246d5fd574a522805700d9aa7a6ccecabf04b530a02ed63de7"
	if sum := fmt.Sprintf("%x", sha256.Sum256(got)); sum != digest {
		t.Errorf("the digest is %s, want %s", sum, digest)
	}
}

// A bundle whose key came from another has the statements before its manifest, and
// counts as the same archive without them: what the last version wrote reads as before.
func TestGoldenRotations(t *testing.T) {
	o := options(t, member("records", []byte("1\n2\n")))
	before, err := os.ReadFile(parts(t, o)[0])
	if err != nil {
		t.Fatal(err)
	}
	o.Header.Rotations = []byte("from the old key to the new one\n")
	path := parts(t, o)[0]
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := ReadHeader(path)
	if err != nil || string(h.Rotations) != string(o.Header.Rotations) {
		t.Errorf("ReadHeader: rotations %q, %v", h.Rotations, err)
	}
	n, _ := noteSize(got[:blockSize])
	text := noteText(got[blockSize : blockSize+n])
	if !strings.HasPrefix(text, "nestgen-bundle 2\n") || !strings.Contains(text, fmt.Sprintf("\nrotations %x 32\nmanifest ", sha256.Sum256(o.Header.Rotations))) {
		t.Errorf("the note says\n%s", text)
	}
	at := blockSize + n + padding(n)
	was, _ := noteSize(before[:blockSize])
	rest := before[blockSize+was+padding(was):]
	if want := append(raw(nil, "rotations", o.Header.Rotations), rest...); !bytes.Equal(got[at:], want) {
		t.Errorf("after the note there is\n%q\nwant\n%q", got[at:], want)
	}
	if plain, err := ReadHeader(parts(t, options(t, some()...))[0]); err != nil || plain.ID == h.ID || plain.Rotations != nil {
		t.Errorf("%+v, %v", plain, err)
	}
}

// Names and sizes that try the limits of tar headers.
var headers = []struct {
	name string
	size int64
}{
	{"a", 0},
	{"files/demo-1.0-py3-none-any.whl", 511},
	{strings.Repeat("n", 100), 512},
	{"d/" + strings.Repeat("n", 98), 513},
	{"d/" + strings.Repeat("n", 99), 1},
	{strings.Repeat("d", 155) + "/" + strings.Repeat("n", 100), 1},
	{strings.Repeat("d", 156) + "/" + strings.Repeat("n", 100), 1},
	{strings.Repeat("d", 155) + "/" + strings.Repeat("n", 101), 1},
	{strings.Repeat("n", 101), 1},
	{strings.Repeat("n", 236), 1},
	{strings.Repeat("d/", 70) + strings.Repeat("n", 90), 1},
	{strings.Repeat(strings.Repeat("d", 200)+"/", 5) + "name", 1},
	{"eight", maxOctal},
	{"nine", maxOctal + 1},
	{strings.Repeat("n", 200), 1 << 40},
}

// What is written by hand is what the standard library writes, where both may
// write only USTAR, and what it reads, with its pax headers.
func TestHeaders(t *testing.T) {
	for _, h := range headers {
		got := appendHeader(nil, h.name, h.size)
		var want bytes.Buffer
		w := tar.NewWriter(&want)
		err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: h.name, Size: h.size, Mode: 0o444, Format: tar.FormatUSTAR})
		if (err == nil) != (len(got) == blockSize) {
			t.Errorf("%.40s...: %d bytes, though the standard library says: %v", h.name, len(got), err)
		}
		if err == nil && !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%.40s...:\n%q\n%q", h.name, got, want.Bytes())
		}
		r, err := tar.NewReader(bytes.NewReader(got)).Next()
		if err != nil {
			t.Errorf("%.40s...: %v", h.name, err)
			continue
		}
		if r.Name != h.name || r.Size != h.size || r.Mode != 0o444 || r.Typeflag != tar.TypeReg || r.Uid != 0 || r.Uname != "" || r.ModTime.Unix() != 0 {
			t.Errorf("%.40s... of %d bytes is read as %+v", h.name, h.size, r)
		}
	}
	for n := 1; n < 1100; n++ {
		record := appendRecord(nil, "path", strings.Repeat("x", n))
		if !strings.HasPrefix(string(record), fmt.Sprintf("%d path=", len(record))) {
			t.Errorf("a record of %d bytes begins %.12q", len(record), record)
		}
	}
}

// Debian's tar, zstd and sha256sum read a bundle without nestgen, as the
// documentation says.
func TestReadByHand(t *testing.T) {
	for _, tool := range []string{"tar", "zstd", "sh", "sha256sum", "awk"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	members := append(some(), member("files/big.whl", text("big", 500_000)),
		member("deep/"+strings.Repeat("folder/", 30)+strings.Repeat("n", 130)+".whl", []byte("deep")),
		member("files/"+strings.Repeat("w", maxSegment), text("cut", 150_000)))
	for _, packed := range []bool{false, true} {
		for _, split := range []int64{0, MinSplit} {
			t.Run(fmt.Sprintf("split %d, zstd %v", split, packed), func(t *testing.T) {
				o := options(t, members...)
				o.Split, o.Zstd = split, packed
				dir := t.TempDir()
				for _, path := range parts(t, o) {
					flags := []string{"-x", "--keep-old-files", "-f", path, "-C", dir, "--exclude=bundle", "--exclude=manifest"}
					if packed {
						flags = append([]string{"--zstd"}, flags...)
						if out, err := exec.Command("zstd", "-t", "-q", path).CombinedOutput(); err != nil || len(out) > 0 {
							t.Errorf("zstd -t: %v\n%s", err, out)
						}
						data, err := os.ReadFile(path)
						if err != nil {
							t.Fatal(err)
						}
						plain, err := exec.Command("zstd", "-d", "-c", path).Output()
						if err != nil || len(plain)%512 != 0 || int64(len(data)) > mostCompressed(int64(len(plain))) {
							t.Errorf("zstd -d: %v, %d bytes of %d", err, len(plain), len(data))
						}
					}
					if out, err := exec.Command("tar", flags...).CombinedOutput(); err != nil || len(out) > 0 {
						t.Errorf("tar: %v\n%s", err, out)
					}
					flags[slices.Index(flags, "-x")] = "-t"
					list, err := exec.Command("tar", append(flags[:slices.Index(flags, "-C")], "bundle", "manifest")...).Output()
					if err != nil || string(list) != "bundle\nmanifest\n" {
						t.Errorf("tar -t: %v\n%s", err, list)
					}
				}
				if split != 0 {
					const join = `for first in files/*.piece-001-of-*; do name=${first%.piece-*}; cat "$name".piece-* >"$name" && rm "$name".piece-*; done`
					cmd := exec.Command("sh", "-ec", join)
					cmd.Dir = dir
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Fatalf("%v\n%s", err, out)
					}
				}
				for _, m := range members {
					data, err := os.ReadFile(filepath.Join(dir, m.Name))
					if err != nil || sha256.Sum256(data) != m.SHA256 {
						t.Errorf("%s: %d bytes, %v", m.Name, len(data), err)
					}
				}
				// The manifest of a bundle in one part is a list for sha256sum.
				if split == 0 {
					path := parts(t, o)[0]
					cmd := exec.Command("sh", "-ec", `tar -xOf "$1" manifest | awk '{print $1 "  " $3}' | sha256sum -c --quiet`, "sh", path)
					cmd.Dir = dir
					if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
						t.Errorf("sha256sum: %v\n%s", err, out)
					}
				}
			})
		}
	}
}

// The archive in a compressed part is the one of the plain part, the id is the
// same, and compressing twice gives the same bytes.
func TestZstdIsTheSameArchive(t *testing.T) {
	members := append(some(), member("zeros", make([]byte, 3<<20)), member("big", text("big", 1<<20)))
	plain, packed := options(t, members...), options(t, members...)
	packed.Zstd = true
	a, b, c := parts(t, plain)[0], parts(t, packed)[0], parts(t, packed)[0]
	want, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(c)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("two runs differ: %v", err)
	}
	if len(first) > len(want)-2<<20 {
		t.Errorf("%d bytes of %d: not compressed", len(first), len(want))
	}
	z, err := decompress(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	got, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want the %d of the plain archive: %v", len(got), len(want), err)
	}
	sum := sha256.Sum256(first[:len(first)-sealSize])
	if !strings.HasSuffix(hex.EncodeToString(first), hex.EncodeToString(sum[:])) {
		t.Error("it does not end with its digest")
	}
}

// However little a part compresses, it is no larger than was asked for.
func TestMostCompressed(t *testing.T) {
	for _, n := range []int{0, 1, 511, 1 << 16, 1<<17 + 1, 5 << 20} {
		var out bytes.Buffer
		c, err := compress(&out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(text("noise", n)); err != nil {
			t.Fatal(err)
		}
		if err := c.finish(); err != nil {
			t.Fatal(err)
		}
		if most := mostCompressed(int64(n)); int64(out.Len()) > most {
			t.Errorf("%d bytes take %d, more than %d", n, out.Len(), most)
		}
	}
	for limit := int64(MinSplit); limit < 1<<50; limit = limit*3/2 + 1 {
		if n := mostCompressed(mostPlain(limit)); n > limit || n < limit-limit>>10-1024 {
			t.Errorf("an archive for %d bytes may take %d", limit, n)
		}
	}
}
