package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"
)

// forge makes a part as somebody might who has a key that is trusted: a note that
// is signed, and behind it whatever is given.
func forge(t testing.TB, manifest string, rest []byte, change func(p *preface)) []byte {
	t.Helper()
	o := options(t)
	p := newPreface(o.Header)
	p.manifestSum, p.manifestSize = sha256.Sum256([]byte(manifest)), int64(len(manifest))
	p.ID, p.Part, p.Parts = strings.Repeat("0", 64), 1, 1
	if change != nil {
		change(&p)
	}
	msg, err := note.Sign(&note.Note{Text: p.text()}, o.Signer)
	if err != nil {
		t.Fatal(err)
	}
	b := raw(nil, noteName, msg)
	b = raw(b, manifestName, []byte(manifest))
	return append(b, rest...)
}

// raw appends a member as it should be.
func raw(b []byte, name string, data []byte) []byte {
	b = appendHeader(b, name, int64(len(data)))
	b = append(b, data...)
	return append(b, zeros[:padding(int64(len(data)))]...)
}

// sealed compresses an archive as a part is.
func sealed(t testing.TB, archive []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	c, err := compress(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(archive); err != nil {
		t.Fatal(err)
	}
	if err := c.finish(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// seal puts the last frame behind frames that were made otherwise.
func seal(frames []byte) []byte {
	sum := sha256.Sum256(frames)
	return append(append(frames[:len(frames):len(frames)], sealHead...), sum[:]...)
}

func line(size int64, name string, sum string, more ...any) string {
	return fmt.Sprintf("%s %d %s", sum, size, name) + fmt.Sprint(more...) + "\n"
}

// given reads a file of these bytes as a bundle.
func given(t testing.TB, data []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hostile.tar")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	known := trusting(t, options(t).Header.Key)
	_, err := readAll(t.Context(), known, temp, path)
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("left in the temporary folder: %v", left)
	}
	if err == nil {
		return nil
	}
	if !strings.Contains(err.Error(), path) && !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the error does not name the file: %v", err)
	}
	return err
}

// identified gives the id of a bundle of one part with this manifest.
func identified(manifest string) func(p *preface) {
	return func(p *preface) {
		p.ID = fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "nestgen-bundle-id 1\norigin %s\nkey %s\ntag %s\nfrom 12\nto 40\n\n%s", p.Origin, p.Key, p.Tag, manifest)))
	}
}

// A manifest is signed, and yet nothing of it is believed that cannot be.
func TestHostileManifest(t *testing.T) {
	empty := fmt.Sprintf("%x", sha256.Sum256(nil))
	end := make([]byte, endSize)
	// The cases differ from this one, which is right.
	good := line(0, "a", empty) + line(0, "b", empty)
	body := append(appendHeader(appendHeader(nil, "a", 0), "b", 0), end...)
	if err := given(t, forge(t, good, body, identified(good))); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, manifest, err string }{
		{"another id", "", "its id is 000000000000"},
		{"a name twice", line(0, "a", empty) + line(0, "a", empty), "does not come after"},
		{"names that are not sorted", line(0, "b", empty) + line(0, "a", empty), "does not come after"},
		{"a file that is a folder", line(0, "a", empty) + line(0, "a/b", empty), "is also the folder of"},
		{"a file that is a folder, further on", line(0, "a", empty) + line(0, "a.x", empty) + line(0, "a/b/c", empty), "is also the folder of"},
		{"a name that goes up", line(0, "../a", empty), "not a clean path"},
		{"a name that goes up, within", line(0, "a/../../b", empty), "not a clean path"},
		{"a name from the root", line(0, "/etc/passwd", empty), "empty segment"},
		{"a name with a backslash", line(0, `a\b`, empty), "is not allowed"},
		{"a name with a colon", line(0, "c:a", empty), "is not allowed"},
		{"a name with a zero", line(0, "a\x00b", empty), "is not allowed"},
		{"a name with a tab", line(0, "a\tb", empty), "is not allowed"},
		{"an empty name", line(0, "", empty), "empty segment"},
		{"an option", line(0, "-a", empty), "hyphen"},
		{"the note's name", line(0, "bundle", empty), "bundle's own"},
		{"a name of a piece", line(0, "a.piece-001-of-002", empty), "piece"},
		{"a long name", line(0, strings.Repeat("a/", 600)+"a", empty), "longer than"},
		{"a longer line", line(0, strings.Repeat("a/", 60000)+"a", empty), "too long"},
		{"a size below zero", line(-1, "a", empty), "not a digest and a size"},
		{"a size that is no number", strings.Replace(line(1, "a", empty), " 1 ", " +1 ", 1), "not a digest and a size"},
		{"a size with a zero before it", strings.Replace(line(1, "a", empty), " 1 ", " 01 ", 1), "not a digest and a size"},
		{"a size beyond all", line(1<<62, "a", empty), "not a digest and a size"},
		{"a size beyond int64", strings.Replace(line(1, "a", empty), " 1 ", " 18446744073709551617 ", 1), "not a digest and a size"},
		{"sizes beyond all together", line(MaxSize, "a", empty) + line(MaxSize, "b", empty), "too much for one part"},
		{"a size that is not there", line(1<<40, "a", empty), "are missing"},
		{"upper case", line(0, "a", strings.ToUpper(empty)), "not a digest"},
		{"a short digest", line(0, "a", empty[1:]), "not a digest"},
		{"a digest that is none", line(0, "a", "g"+empty[1:]), "not a digest"},
		{"two spaces", line(0, " a", empty), "neither 3 nor 7"},
		{"a space at the end", line(0, "a ", empty), "neither 3 nor 7"},
		{"too many fields", line(0, "a 1 2 3 4 5 6 7", empty), "too many fields"},
		{"a carriage return", line(0, "a\r", empty), "is not allowed"},
		{"no end of the line", strings.TrimSuffix(line(0, "a", empty), "\n"), "cut off"},
		{"an empty line", "\n", "neither 3 nor 7"},
		{"a piece of nothing", line(0, "a", empty, " 1/2 0 0 ", empty), "not a piece of that file"},
		{"one piece of one", line(2, "a", empty, " 1/1 0 2 ", empty), "not a piece of that file"},
		{"piece 0", line(2, "a", empty, " 0/2 0 1 ", empty), "not a piece of that file"},
		{"piece 3 of 2", line(2, "a", empty, " 3/2 1 1 ", empty), "not a piece of that file"},
		{"piece 1 of a thousand", line(2, "a", empty, " 1/1000 0 1 ", empty), "not a piece"},
		{"a first piece within", line(9, "a", empty, " 1/2 3 1 ", empty), "not a piece of that file"},
		{"a second piece at the beginning", line(9, "a", empty, " 2/3 0 1 ", empty), "not a piece of that file"},
		{"a last piece that ends before", line(9, "a", empty, " 2/2 3 1 ", empty), "not a piece of that file"},
		{"a piece that ends after", line(9, "a", empty, " 2/3 3 7 ", empty), "not a piece of that file"},
		{"a first piece that is all", line(9, "a", empty, " 1/2 0 9 ", empty), "not a piece of that file"},
		{"a piece without a digest", line(9, "a", empty, " 1/2 0 3 x"), "not a piece"},
		{"a piece in the middle", line(9, "a", empty, " 1/2 0 3 ", empty) + line(0, "b", empty), "goes on in the next part"},
		{"a piece goes on, not first", line(0, "a", empty) + line(9, "b", empty, " 2/2 3 6 ", empty), "not first"},
		{"a first part that goes on", line(0, "a", empty, ""), "are missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			change := identified(tt.manifest)
			if tt.name == "another id" {
				change = nil
			}
			body := end
			if strings.Contains(tt.err, "folder") {
				// All else is as it should be.
				body = nil
				for l := range strings.Lines(tt.manifest) {
					body = appendHeader(body, strings.Fields(l)[2], 0)
				}
				body = append(body, end...)
			}
			err := given(t, forge(t, tt.manifest, body, change))
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
	// Pieces with nothing before, or nothing after.
	for _, m := range []string{line(9, "a", empty, " 1/2 0 3 ", empty), line(9, "a", empty, " 2/2 3 6 ", empty)} {
		var b []byte
		if strings.Contains(m, "1/2") {
			b = raw(b, pieceName("a", 1, 2), make([]byte, 3))
		} else {
			b = raw(b, pieceName("a", 2, 2), make([]byte, 6))
		}
		if err := given(t, forge(t, m, append(b, end...), identified(m))); err == nil {
			t.Errorf("a piece alone is taken: %q", m)
		}
	}
	for _, change := range []func(p *preface){
		func(p *preface) { p.manifestSize++ },
		func(p *preface) { p.manifestSize-- },
		func(p *preface) { p.manifestSize = maxManifest },
		func(p *preface) { p.manifestSize = maxManifest + 1 },
		func(p *preface) { p.manifestSum[3]++ },
		func(p *preface) { p.Part = 0 },
		func(p *preface) { p.Part = 2 },
		func(p *preface) { p.Parts = MaxParts + 1 },
		func(p *preface) { p.ID = strings.ToUpper("a" + p.ID[1:]) },
		func(p *preface) { p.ID = "" },
		func(p *preface) { p.Tag = "../x" },
		func(p *preface) { p.Origin = "other.example.org" },
		func(p *preface) { p.Fields = append(p.Fields, Field{"x", "a\ny b"}) },
		func(p *preface) { p.Fields = append(p.Fields, Field{"from", "1"}) },
		func(p *preface) { p.Fields = append(p.Fields, Field{"x", ""}) },
		func(p *preface) { p.Fields = append(p.Fields, Field{"x", "\u202e"}) },
	} {
		err := given(t, forge(t, good, body, func(p *preface) {
			identified(good)(p)
			change(p)
		}))
		if err == nil {
			t.Error("taken")
		}
	}
}

// An archive that a tar program would unpack otherwise is not as it was written.
func TestHostileArchive(t *testing.T) {
	data := []byte("data")
	manifest := line(4, "a", fmt.Sprintf("%x", sha256.Sum256(data)))
	end := make([]byte, endSize)
	good := raw(nil, "a", data)
	kind := func(c byte, link string) []byte {
		b := appendBlock(nil, "", "a", 4, c)
		copy(b[157:], link)
		return append(checksum(b), good[blockSize:]...)
	}
	field := func(from int, s string) []byte {
		b := bytes.Clone(good)
		copy(b[from:], s)
		checksum(b[:blockSize])
		return b
	}
	pax := func(record string) []byte {
		b := appendBlock(nil, "", "PaxHeaders/a", int64(len(record)), 'x')
		b = append(b, record...)
		b = append(b, zeros[:padding(int64(len(record)))]...)
		return append(b, good...)
	}
	if err := given(t, forge(t, manifest, append(bytes.Clone(good), end...), identified(manifest))); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		body []byte
	}{
		{"nothing", nil},
		{"the end only", end},
		{"no end", good},
		{"half an end", append(bytes.Clone(good), end[:512]...)},
		{"a longer end", append(append(bytes.Clone(good), end...), end...)},
		{"a member more", append(append(raw(bytes.Clone(good), "b", nil), end...), end...)},
		{"the member twice", append(append(bytes.Clone(good), good...), end...)},
		{"another archive behind", append(append(append(bytes.Clone(good), end...), good...), end...)},
		{"another name", append(raw(nil, "b", data), end...)},
		{"other bytes", append(raw(nil, "a", []byte("tada")), end...)},
		{"a symbolic link", append(kind('2', "/etc/passwd"), end...)},
		{"a hard link", append(kind('1', "bundle"), end...)},
		{"a device", append(kind('3', ""), end...)},
		{"a folder", append(kind('5', ""), end...)},
		{"a pipe", append(kind('6', ""), end...)},
		{"a contiguous file", append(kind('7', ""), end...)},
		{"a sparse file", append(kind('S', ""), end...)},
		{"an old regular file", append(kind(0, ""), end...)},
		{"a link's name", append(field(157, "x"), end...)},
		{"another mode", append(field(100, "0004755"), end...)},
		{"an owner", append(field(108, "0001750"), end...)},
		{"an owner's name", append(field(265, "root"), end...)},
		{"a time", append(field(136, "00000000001"), end...)},
		{"a prefix", append(field(345, "../.."), end...)},
		{"a name after the name", append(field(2, "/../b"), end...)},
		{"a size in base 256", append(field(124, "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04"), end...)},
		{"the old GNU magic", append(field(257, "ustar  \x00"), end...)},
		{"padding that is not zero", append(func() []byte { b := bytes.Clone(good); b[len(b)-1] = 1; return b }(), end...)},
		{"a pax header that is not needed", append(pax("10 path=a\n"), end...)},
		{"a pax header with another name", append(pax("14 path=../..\n"), end...)},
		{"a pax header with another size", append(pax("10 size=0\n"), end...)},
		{"a global pax header", append(checksumKind(pax("10 path=b\n"), 'g'), end...)},
		{"a long name as GNU has it", append(checksumKind(pax("../b\x00"), 'L'), end...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			archive := forge(t, manifest, tt.body, identified(manifest))
			if err := given(t, archive); err == nil {
				t.Error("taken")
			}
			if err := given(t, sealed(t, archive)); err == nil {
				t.Error("taken when it is compressed")
			}
		})
	}
}

// checksum puts the right checksum into a header.
func checksum(b []byte) []byte {
	copy(b[148:156], "        ")
	var sum int64
	for _, c := range b[:blockSize] {
		sum += int64(c)
	}
	octal(b[148:154], sum)
	b[154] = 0
	return b
}

func checksumKind(b []byte, kind byte) []byte {
	b[156] = kind
	checksum(b[:blockSize])
	return b
}

// What is compressed is not decompressed further than the signed note allows, nor
// with more memory, nor where there is no room.
func TestHostileZstd(t *testing.T) {
	data := []byte("data")
	manifest := line(4, "a", fmt.Sprintf("%x", sha256.Sum256(data)))
	archive := forge(t, manifest, append(raw(nil, "a", data), make([]byte, endSize)...), identified(manifest))
	encode := func(b []byte, o ...zstd.EOption) []byte {
		var out bytes.Buffer
		z, err := zstd.NewWriter(&out, append(o, zstd.WithEncoderConcurrency(1))...)
		if err != nil {
			t.Fatal(err)
		}
		// In steps, so that it is a stream, whose header names the window.
		for len(b) > 0 {
			n := min(len(b), 1<<20)
			if _, err := z.Write(b[:n]); err != nil {
				t.Fatal(err)
			}
			b = b[n:]
			if err := z.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	skippable := func(n int) []byte {
		return append(binary.LittleEndian.AppendUint32([]byte{0x50, 0x2a, 0x4d, 0x18}, uint32(n)), make([]byte, n)...)
	}
	if err := given(t, seal(encode(archive))); err != nil {
		t.Fatal(err)
	}
	bomb := encode(append(bytes.Clone(archive), make([]byte, 16<<20)...))
	if int64(len(bomb)) > mostCompressed(int64(len(archive)))-sealSize {
		t.Fatalf("a bomb of %d bytes", len(bomb))
	}
	sparse := line(MaxSize/2, "a", fmt.Sprintf("%x", sha256.Sum256(nil)))
	huge := forge(t, sparse, appendHeader(nil, "a", MaxSize/2), identified(sparse))
	for _, tt := range []struct {
		name string
		data []byte
		err  string
	}{
		{"zeros behind the end", seal(bomb), "follows its end"},
		{"a window of 16 MiB", seal(encode(archive, zstd.WithWindowSize(16<<20))), "window"},
		{"a window of 512 MiB", seal(encode(archive, zstd.WithWindowSize(512<<20))), "window"},
		{"more of it than there may be", seal(append(encode(archive), skippable(1<<20)...)), "more in it"},
		{"no seal", encode(archive), ""},
		{"two seals", seal(seal(encode(archive))), ""},
		{"bytes behind the seal", append(seal(encode(archive)), 0), ""},
		{"a frame behind the seal", append(seal(encode(archive)), encode(nil, zstd.WithZeroFrames(true))...), ""},
		{"a file that fills any disk", seal(encode(huge)), "are free"},
		{"the magic number only", zstdMagic, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := given(t, tt.data)
			if tt.name == "two seals" {
				// A seal is a frame that holds nothing: the outer one covers it.
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}

// Of a file that may be anybody's not more is read than its beginning.
func TestLittleIsRead(t *testing.T) {
	nothing, err := zstd.NewWriter(nil, zstd.WithZeroFrames(true))
	if err != nil {
		t.Fatal(err)
	}
	frame := nothing.EncodeAll(nil, nil)
	for name, begin := range map[string][]byte{
		"a frame to be skipped":    append(bytes.Clone(frame), 0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0x40),
		"frames that hold nothing": bytes.Repeat(frame, 1<<20/len(frame)+1),
		"zeros":                    make([]byte, 1<<20),
	} {
		in := &endless{begin: begin}
		p := &part{path: "x.tar", size: 1 << 40}
		if err := p.begin(in); err == nil || in.n > maxBegin {
			t.Errorf("%s: %d bytes were read, %v", name, in.n, err)
		}
	}
}

// An endless reader gives zeros after its beginning.
type endless struct {
	begin []byte
	n     int64
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.begin)
	e.begin = e.begin[n:]
	clear(b[n:])
	e.n += int64(len(b))
	return len(b), nil
}

// The note has one spelling, too: signatures that anybody may add, and bits that
// say nothing, are refused.
func TestHostileNote(t *testing.T) {
	o := options(t, few()...)
	data, err := os.ReadFile(parts(t, o)[0])
	if err != nil {
		t.Fatal(err)
	}
	n, _ := noteSize(data[:blockSize])
	msg := data[blockSize : blockSize+n]
	if _, err := openNote(msg); err != nil {
		t.Fatal(err)
	}
	sigLine := msg[bytes.LastIndex(msg[:n-1], []byte("\n"))+1:]
	stranger, _ := key(t, "stranger.example.org", 7)
	second, err := note.Sign(&note.Note{Text: noteText(msg)}, o.Signer, stranger)
	if err != nil {
		t.Fatal(err)
	}
	loose := bytes.Clone(msg)
	loose[len(loose)-3]++ // the last digit before "=": its low bits say nothing
	for name, bad := range map[string][]byte{
		"the signature twice":        append(bytes.Clone(msg), sigLine...),
		"a stranger's, too":          second,
		"bits that say nothing":      loose,
		"no signature":               msg[:len(msg)-len(sigLine)],
		"nothing":                    nil,
		"a field more":               bytes.Replace(msg, []byte("to 40\n"), []byte("to 40\nx 1\n"), 1),
		"a number with a zero":       bytes.Replace(msg, []byte("part 1 of 1"), []byte("part 01 of 1"), 1),
		"a form that comes later":    bytes.Replace(msg, []byte("nestgen-bundle 1"), []byte("nestgen-bundle 3"), 1),
		"rotations without a form":   signed(t, o.Signer, strings.Replace(noteText(msg), "manifest", rotationsLine([]byte("x"))+"manifest", 1)),
		"a form without rotations":   signed(t, o.Signer, strings.Replace(noteText(msg), plainForm, rotatedForm, 1)),
		"rotations beyond measure":   signed(t, o.Signer, strings.Replace(strings.Replace(noteText(msg), "manifest", rotationsLine(make([]byte, maxRotations+1))+"manifest", 1), plainForm, rotatedForm, 1)),
		"a checkpoint of a tile log": signed(t, o.Signer, "packages.example.org\n12\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"),
		"lines in another order":     signed(t, o.Signer, "nestgen-bundle 1\ntag a\norigin x\nkey y\nid z\npart 1 of 1\nmanifest x 1\n"),
	} {
		if _, err := openNote(bad); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := openNote(signed(t, o.Signer, "nestgen-bundle 3\nx\n")); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("of a later form: %v", err)
	}
}

// noteText gives what is signed of a note.
func noteText(msg []byte) string { return string(msg[:bytes.Index(msg, []byte("\n\n"))+1]) }

func signed(t *testing.T, s note.Signer, text string) []byte {
	t.Helper()
	msg, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// What is not a regular file is not waited for.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skipf("no pipe can be made here: %v", err)
	}
	if _, err := Open(nil, path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}

// A manifest of a million files takes no more memory than a machine has to spare.
func TestMillionMembers(t *testing.T) {
	const n = 1_000_000
	read, write := io.Pipe()
	sizes := make(chan int64, 1)
	name := func(i int) string {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32(nil, uint32(i)))
		return fmt.Sprintf("packages/%07d/%x/project-1.0-py3-none-any.whl", i, sum[:24])
	}
	go func() {
		var b []byte
		total := int64(0)
		for i := range n {
			b = appendLine(b, entry{name: name(i), size: int64(i)}, nil)
			if len(b) > 1<<16 || i == n-1 {
				total += int64(len(b))
				if _, err := write.Write(b); err != nil {
					break
				}
				b = b[:0]
			}
		}
		sizes <- total
		write.Close()
	}()
	before := live()
	b := &Bundle{parts: []*part{{}}, pieces: map[int][]extent{}}
	j := b.join(0)
	at := int64(0)
	if _, err := readManifest(read, maxManifest, func(e entry, q *piece) error {
		at += blockSize + e.size + padding(e.size)
		return j.add(e, q, at)
	}); err != nil {
		t.Fatal(err)
	}
	took := live() - before
	if b.Len() != n {
		t.Errorf("%d files", b.Len())
	}
	if took > 256<<20 {
		t.Errorf("%d files take %d MiB of memory", n, took>>20)
	}
	if err := checkTree(n, b.files.name); err != nil {
		t.Error(err)
	}
	if _, err := b.find(name(777_777)); err != nil {
		t.Error(err)
	}
	t.Logf("a manifest of %d MB, %d MiB of memory", <-sizes/1e6, took>>20)
}
