package intake

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nestgen/intake/intaketest"
)

const fooInfo = "Metadata-Version: 1.0\nName: foo\nVersion: 1.0\n"

// block makes a header block with a right checksum.
func block(name string, kind byte, size int64, change func([]byte)) []byte {
	b := make([]byte, tarBlock)
	copy(b, name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	copy(b[124:], fmt.Sprintf("%011o\x00", size))
	copy(b[136:], "00000000000\x00")
	b[156] = kind
	copy(b[257:], "ustar\x0000")
	if change != nil {
		change(b)
	}
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// tarMember is a header and its padded data.
func tarMember(name string, kind byte, data string, change func([]byte)) []byte {
	b := append(block(name, kind, int64(len(data)), change), data...)
	return append(b, make([]byte, padding(int64(len(data))))...)
}

func linkTo(target string) func([]byte) { return func(b []byte) { copy(b[157:257], target) } }

// pax is a PAX header with one record.
func pax(kind byte, key, value string) []byte {
	n := len(key) + len(value) + 3
	for len(fmt.Sprint(n))+len(key)+len(value)+3 != n {
		n = len(fmt.Sprint(n)) + len(key) + len(value) + 3
	}
	return tarMember("pax", kind, fmt.Sprintf("%d %s=%s\n", n, key, value), nil)
}

// sourceTar is a source archive with more members.
func sourceTar(more ...[]byte) []byte {
	b := append(tarMember("foo-1.0/", '5', "", nil), tarMember("foo-1.0/PKG-INFO", '0', fooInfo, nil)...)
	b = append(b, tarMember("foo-1.0/a/setup.py", '0', "setup()\n", nil)...)
	for _, m := range more {
		b = append(b, m...)
	}
	return append(b, make([]byte, 2*tarBlock)...)
}

// tarCases are members that make a source archive one to be refused (reliability
// row 10). A mirrored file gets a warning where mild is set.
var tarCases = []struct {
	name string
	more [][]byte
	want string
	mild bool
}{
	{"character device", [][]byte{tarMember("foo-1.0/x", '3', "", nil)}, "character device", false},
	{"block device", [][]byte{tarMember("foo-1.0/x", '4', "", nil)}, "block device", false},
	{"FIFO", [][]byte{tarMember("foo-1.0/x", '6', "", nil)}, "FIFO", false},
	{"contiguous file", [][]byte{tarMember("foo-1.0/x", '7', "x", nil)}, "contiguous", false},
	{"sparse file", [][]byte{tarMember("foo-1.0/x", 'S', "x", nil)}, "sparse", false},
	{"sparse file by PAX", [][]byte{pax('x', "GNU.sparse.major", "1"), tarMember("foo-1.0/x", '0', "x", nil)}, "sparse", false},
	{"split archive", [][]byte{tarMember("foo-1.0/x", 'M', "x", nil)}, "split", false},
	{"volume label", [][]byte{tarMember("foo-1.0/x", 'V', "", nil)}, "volume", false},
	{"incremental backup", [][]byte{tarMember("foo-1.0/x", 'D', "x", nil)}, "incremental", false},
	{"unknown kind", [][]byte{tarMember("foo-1.0/x", 'Q', "x", nil)}, "unknown kind", false},
	{"symlink, absolute", [][]byte{tarMember("foo-1.0/x", '2', "", linkTo("/etc/passwd"))}, "outside", false},
	{"symlink, outside", [][]byte{tarMember("foo-1.0/a/x", '2', "", linkTo("../../x"))}, "outside", false},
	{"symlink, to its own top", [][]byte{tarMember("foo-1.0/x", '2', "", linkTo(".."))}, "outside", false},
	{"symlink, down and up", [][]byte{tarMember("foo-1.0/x", '2', "", linkTo("a/../../y"))}, "down and up", false},
	{"symlink, empty", [][]byte{tarMember("foo-1.0/x", '2', "", nil)}, "outside", false},
	{"symlink with a line break", [][]byte{tarMember("foo-1.0/x", '2', "", linkTo("a\nb"))}, "leads to", false},
	{"symlink by PAX, outside", [][]byte{pax('x', "linkpath", "../../x"), tarMember("foo-1.0/x", '2', "", linkTo("a"))}, "outside", false},
	{"symlink by long name, outside", [][]byte{tarMember("././@LongLink", 'K', "/etc/"+strings.Repeat("x", 200)+"\x00", nil), tarMember("foo-1.0/x", '2', "", linkTo("a"))}, "outside", false},
	{"member below a symlink", [][]byte{tarMember("foo-1.0/x", '2', "", linkTo("a")), tarMember("foo-1.0/x/y", '0', "", nil)}, "below a symbolic link", false},
	{"symlink with content", [][]byte{tarMember("foo-1.0/x", '2', "hidden", linkTo("a"))}, "with 6 bytes", false},
	{"hard link, outside", [][]byte{tarMember("foo-1.0/x", '1', "", linkTo("../x"))}, `".."`, false},
	{"hard link, absolute", [][]byte{tarMember("foo-1.0/x", '1', "", linkTo("/etc/passwd"))}, "absolute", false},
	{"hard link to nothing", [][]byte{tarMember("foo-1.0/x", '1', "", linkTo("foo-1.0/nothing"))}, "no file before it", false},
	{"hard link to a symlink", [][]byte{tarMember("foo-1.0/x", '2', "", linkTo("a")), tarMember("foo-1.0/y", '1', "", linkTo("foo-1.0/x"))}, "no file before it", false},
	{"hard link with content", [][]byte{tarMember("foo-1.0/x", '1', "hidden", linkTo("foo-1.0/PKG-INFO"))}, "with 6 bytes", false},
	{"folder with content", [][]byte{tarMember("foo-1.0/x/", '5', "hidden", nil)}, "with 6 bytes", false},
	{"absolute", [][]byte{tarMember("/etc/passwd", '0', "x", nil)}, "absolute", false},
	{"parent folder", [][]byte{tarMember("foo-1.0/../../x", '0', "x", nil)}, `".."`, false},
	{"parent folder by PAX", [][]byte{pax('x', "path", "../x"), tarMember("foo-1.0/x", '0', "x", nil)}, `".."`, false},
	{"parent folder by long name", [][]byte{tarMember("L", 'L', "../x\x00", nil), tarMember("foo-1.0/x", '0', "x", nil)}, `".."`, false},
	{"parent folder by prefix", [][]byte{tarMember("x", '0', "x", func(b []byte) { copy(b[345:], "..") })}, `".."`, false},
	{"drive", [][]byte{tarMember("C:x", '0', "x", nil)}, "drive", false},
	{"control character", [][]byte{tarMember("foo-1.0/\x1b[2J", '0', "x", nil)}, "control", false},
	{"backslash", [][]byte{tarMember(`foo-1.0/a\b`, '0', "x", nil)}, "backslash", true},
	{"case clash", [][]byte{tarMember("foo-1.0/pkg-info", '0', "x", nil)}, "case only", true},
	{"twice", [][]byte{tarMember("foo-1.0/a/setup.py", '0', "x", nil)}, "two members", true},
	{"PKG-INFO twice", [][]byte{tarMember("foo-1.0/PKG-INFO", '0', fooInfo, nil)}, "", false},
	{"two top folders", [][]byte{tarMember("bar-1.0/x", '0', "x", nil)}, "top folder", true},
	{"two top folders, each with a PKG-INFO", [][]byte{tarMember("bar-1.0/PKG-INFO", '0', "x", nil)}, "", false},
	{"what another system leaves", [][]byte{tarMember("._foo-1.0", '0', "x", nil), tarMember("__MACOSX/._x", '0', "x", nil)}, `"._foo-1.0" lies beside`, true},
	{"file beside the top folder", [][]byte{tarMember("x", '0', "x", nil)}, "beside the top", true},
	{"file with a folder's name", [][]byte{tarMember("foo-1.0/x/", '0', "x", nil)}, "name of a folder", false},
	{"PAX size differs", [][]byte{pax('x', "size", "512"), tarMember("foo-1.0/x", '0', "", nil)}, "in its PAX header", false},
	{"PAX size is no number", [][]byte{pax('x', "size", "-1"), tarMember("foo-1.0/x", '0', "", nil)}, "PAX", false},
	{"two PAX headers", [][]byte{pax('x', "path", "foo-1.0/y"), pax('x', "path", "foo-1.0/z"), tarMember("foo-1.0/x", '0', "", nil)}, "two headers", false},
	{"two names", [][]byte{pax('x', "path", "foo-1.0/y"), tarMember("L", 'L', "foo-1.0/z", nil), tarMember("foo-1.0/x", '0', "", nil)}, "two long names", false},
	{"global path", [][]byte{pax('g', "path", "foo-1.0/y")}, "global header", false},
	{"charset", [][]byte{pax('x', "hdrcharset", "BINARY"), tarMember("foo-1.0/x", '0', "", nil)}, "charset", true},
	{"PAX length runs over", [][]byte{tarMember("p", 'x', "99 path=x\n", nil)}, "PAX", false},
	{"PAX without line end", [][]byte{tarMember("p", 'x', "9 path=xy", nil)}, "PAX", false},
	{"PAX length zero", [][]byte{tarMember("p", 'x', "0 path=x\n", nil)}, "PAX", false},
	{"huge PAX header", [][]byte{tarMember("p", 'x', strings.Repeat("x", maxPAX+1), nil)}, "PAX", false},
	{"huge long name", [][]byte{tarMember("p", 'L', strings.Repeat("x", maxLongName+1), nil)}, "a name of", false},
	{"header at the end", [][]byte{pax('x', "path", "foo-1.0/y")}, "ends inside", false},
	{"prefix in an old format", [][]byte{tarMember("x", '0', "x", func(b []byte) { copy(b[257:], "ustar  \x00"); copy(b[345:], "foo-1.0") })}, "a prefix", true},
	{"huge size", [][]byte{block("foo-1.0/x", '0', 1<<32, nil)}, "claim to hold", false},
	{"size below zero", [][]byte{block("foo-1.0/x", '0', 0, func(b []byte) { copy(b[124:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff") })}, "broken size", false},
	{"size beyond 64 bits", [][]byte{block("foo-1.0/x", '0', 0, func(b []byte) { copy(b[124:], "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff") })}, "broken size", false},
	{"size with rubbish behind", [][]byte{block("foo-1.0/x", '0', 0, func(b []byte) { copy(b[124:], "0 7777777777") })}, "broken size", false},
	{"PAX key with a zero byte", [][]byte{pax('x', "a\x00b", "1"), tarMember("foo-1.0/x", '0', "", nil)}, "PAX", false},
	{"PAX time that is none", [][]byte{pax('x', "mtime", "now"), tarMember("foo-1.0/x", '0', "", nil)}, "PAX", false},
	{"PAX owner with a zero byte", [][]byte{pax('x', "uname", "a\x00"), tarMember("foo-1.0/x", '0', "", nil)}, "PAX", false},
	{"mode that is no number", [][]byte{tarMember("foo-1.0/x", '0', "", func(b []byte) { copy(b[100:], "rw-r--r-") })}, "broken number", false},
	{"device that is no number", [][]byte{tarMember("foo-1.0/x", '0', "", func(b []byte) { copy(b[329:], "x") })}, "broken number", false},
	{"wrong checksum", [][]byte{func() []byte { b := block("foo-1.0/x", '0', 0, nil); b[0]++; return b }()}, "broken header", false},
	{"behind the end", [][]byte{make([]byte, 1024), tarMember("foo-1.0/x", '0', "x", nil)}, "follows the mark", true},
}

func TestHostileTar(t *testing.T) {
	for _, tt := range tarCases {
		b := sourceTar(tt.more...)
		for _, ext := range []string{".tar.gz", ".tar.Z", ".tar"} {
			packed := intaketest.Pack(ext, b)
			for _, how := range []Strictness{Mirrored, Drop, Upload} {
				f, err := Inspect(bytes.NewReader(packed), int64(len(packed)), "foo-1.0"+ext, "", how)
				var r Rejection
				switch {
				case tt.mild && how == Mirrored:
					if err != nil || len(f.Warnings) == 0 {
						t.Errorf("%s: mirrored: %v, warnings %q", tt.name, err, f.Warnings)
					}
				case !errors.As(err, &r):
					t.Errorf("%s%s: strictness %d: err = %v (%T)", tt.name, ext, how, err, err)
				case !strings.Contains(string(r), tt.want):
					t.Errorf("%s%s: strictness %d: %q does not say %q", tt.name, ext, how, r, tt.want)
				}
			}
		}
	}
}

func TestHonestTar(t *testing.T) {
	long := "foo-1.0/" + strings.Repeat("long/", 40) + "x"
	for name, more := range map[string][][]byte{
		"plain":                  nil,
		"symlink inside":         {tarMember("foo-1.0/a/x", '2', "", linkTo("../PKG-INFO"))},
		"symlink to a folder":    {tarMember("foo-1.0/x", '2', "", linkTo("a/"))},
		"hard link inside":       {tarMember("foo-1.0/x", '1', "", linkTo("foo-1.0/PKG-INFO"))},
		"PAX path":               {pax('x', "path", long), tarMember("foo-1.0/cut", '0', "x", nil)},
		"GNU long name":          {tarMember("././@LongLink", 'L', long+"\x00", nil), tarMember("foo-1.0/cut", '0', "x", nil)},
		"prefix":                 {tarMember("x", '0', "x", func(b []byte) { copy(b[345:], "foo-1.0/far") })},
		"global comment":         {pax('g', "comment", "0123456789")},
		"times and owners":       {pax('x', "mtime", "1.5"), tarMember("foo-1.0/x", '0', "x", nil)},
		"before POSIX":           {tarMember("foo-1.0/x", 0, "x", func(b []byte) { clear(b[257:265]) })},
		"folder before POSIX":    {tarMember("foo-1.0/x/", 0, "", func(b []byte) { clear(b[257:265]) })},
		"dots":                   {tarMember("./foo-1.0/x", '0', "x", nil)},
		"top by dot":             {tarMember("./", '5', "", nil)},
		"folder twice":           {tarMember("foo-1.0/", '5', "", nil)},
		"size in base 256":       {tarMember("foo-1.0/x", '0', "x", func(b []byte) { copy(b[124:136], "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01") })},
		"checksum with two ends": {tarMember("foo-1.0/é", '0', "x", nil)},
	} {
		b := sourceTar(more...)
		f, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.tar", "", Upload)
		if err != nil || len(f.Warnings) > 0 {
			t.Errorf("%s: %v, warnings %q", name, err, f.Warnings)
		}
	}
}

// Old sources lie in no folder of their own. Installers find setup.py all the
// same, and PKG-INFO is the one beside it. What is in a folder is nothing to
// them then.
func TestSourceWithoutTopFolder(t *testing.T) {
	file := func(name, data string) []byte { return tarMember(name, '0', data, nil) }
	egg := file("foo.egg-info/PKG-INFO", "Name: foo\nVersion: 9\n")
	for _, tt := range []struct {
		name    string
		members [][]byte
		summary string
		want    string // in the reason, or in a warning
		refused bool
	}{
		{"setup.py", [][]byte{file("a/b.py", ""), file("PKG-INFO", fooInfo+"Summary: bare\n"), file("setup.py", "")}, "bare", "no top folder", false},
		{"pyproject.toml", [][]byte{file("pyproject.toml", ""), file("PKG-INFO", fooInfo)}, "", "no top folder", false},
		{"other metadata below", [][]byte{egg, file("x/PKG-INFO", "x"), file("setup.py", ""), file("PKG-INFO", fooInfo)}, "", "no top folder", false},
		{"no PKG-INFO", [][]byte{file("setup.py", ""), egg}, "", "no PKG-INFO", false},
		{"PKG-INFO twice", [][]byte{file("setup.py", ""), file("PKG-INFO", fooInfo), file("./PKG-INFO", fooInfo)}, "", "two members", true},
		{"nothing to build", [][]byte{file("foo.py", ""), file("PKG-INFO", fooInfo)}, "", "lies beside", true},
		{"nothing to build but in a folder", [][]byte{file("PKG-INFO", fooInfo), file("foo-1.0/setup.py", "")}, "", "lies beside", true},
	} {
		b := append(bytes.Join(tt.members, nil), make([]byte, 2*tarBlock)...)
		f, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.tar", "", Drop)
		switch said := strings.Join(f.Warnings, "\n"); {
		case tt.refused:
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v", tt.name, err)
			}
		case err != nil || !strings.Contains(said, tt.want):
			t.Errorf("%s: %v, warnings %q", tt.name, err, said)
		case tt.summary != "" && f.Core.Summary != tt.summary:
			t.Errorf("%s: metadata %+v", tt.name, f.Core)
		}
		if _, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.tar", "", Upload); err == nil {
			t.Errorf("%s: taken as an upload", tt.name)
		}
	}
}

// What is missing in a source is said as it is.
func TestSourceWithoutMetadata(t *testing.T) {
	for member, want := range map[string]string{
		"foo-1.0/setup.py":       "no PKG-INFO in the top folder",
		"foo-1.0/pyproject.toml": "no PKG-INFO in the top folder",
		"foo-1.0/foo.c":          "neither PKG-INFO nor setup.py nor pyproject.toml",
		"foo-1.0/a/setup.py":     "neither PKG-INFO nor setup.py nor pyproject.toml",
	} {
		b := append(tarMember(member, '0', "", nil), make([]byte, 2*tarBlock)...)
		f, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.tar", "", Drop)
		if err != nil || len(f.Warnings) != 1 || !strings.HasPrefix(f.Warnings[0], want) {
			t.Errorf("%s: %v, warnings %q; want %q", member, err, f.Warnings, want)
		}
	}
}

// A cut anywhere is found, in every packing that we can make: the trailer of
// the packing, too, has to be read (reliability row 10).
func TestTruncatedSdist(t *testing.T) {
	for _, ext := range []string{".tar.gz", ".tgz", ".tar.xz", ".tar.zst", ".tar.lzma", ".zip"} {
		filename, b := intaketest.Sdist("foo", "1.0", intaketest.Opts{Ext: ext, Pad: 300})
		for n := range b {
			for _, how := range []Strictness{Mirrored, Drop} {
				if _, err := Inspect(bytes.NewReader(b[:n]), int64(n), filename, "", how); err == nil {
					t.Fatalf("%s: cut to %d of %d bytes: accepted", ext, n, len(b))
				}
			}
		}
		for _, tail := range []string{"x", "\x1f\x8b", "PK", strings.Repeat("junk", 100)} {
			c := append(bytes.Clone(b), tail...)
			if _, err := Inspect(bytes.NewReader(c), int64(len(c)), filename, "", Drop); err == nil {
				t.Errorf("%s: %q behind it: accepted", ext, tail)
			}
		}
	}
	filename, b := intaketest.Sdist("foo", "1.0", intaketest.Opts{Ext: ".tar"})
	for n := range b {
		if n%tarBlock == 0 && n > bytes.LastIndexFunc(b, func(r rune) bool { return r != 0 })+tarBlock {
			continue // an end with fewer zero blocks is an end as well
		}
		if _, err := Inspect(bytes.NewReader(b[:n]), int64(n), filename, "", Drop); err == nil {
			t.Fatalf(".tar: cut to %d bytes: accepted", n)
		}
	}
}

// A flipped bit in a packed file is found by the packing's own checksum, or
// makes the file one that is just as well (in a time stamp, say).
func TestGzipStreams(t *testing.T) {
	filename, b := intaketest.Sdist("foo", "1.0", intaketest.Opts{})
	two := append(intaketest.Pack(".tar.gz", nil), b...)
	if _, err := Inspect(bytes.NewReader(two), int64(len(two)), filename, "", Drop); err == nil {
		t.Error("two gzip streams accepted")
	}
	f, err := Inspect(bytes.NewReader(two), int64(len(two)), filename, "", Mirrored)
	if err != nil || len(f.Warnings) != 1 || f.Core == nil {
		t.Errorf("two gzip streams, mirrored: %v, %q", err, f.Warnings)
	}
	zeros := append(bytes.Clone(b), make([]byte, 700)...)
	if f, err = Inspect(bytes.NewReader(zeros), int64(len(zeros)), filename, "", Upload); err != nil || len(f.Warnings) != 1 {
		t.Errorf("zero bytes behind: %v, %q", err, f.Warnings)
	}
}

// A packed file of a few bytes may not unpack to very much.
func TestTarBomb(t *testing.T) {
	bomb := sourceTar(tarMember("foo-1.0/x", '0', string(make([]byte, 80<<20)), nil))
	for _, ext := range []string{".tar.gz", ".tar.xz", ".tar.zst", ".tar.lzma", ".tar.Z"} {
		var b []byte
		if ext == ".tar.Z" {
			b = intaketest.Compress(bomb, 10, true, 0) // a small table packs faster
		} else {
			b = intaketest.Pack(ext, bomb)
		}
		_, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0"+ext, "", Mirrored)
		if err == nil || !strings.Contains(err.Error(), "claim to hold") && !strings.Contains(err.Error(), "unpack to more") {
			t.Errorf("%s: %v", ext, err)
		}
	}
	// Without a member that says so: zero bytes behind the end.
	b := intaketest.Pack(".tar.gz", append(sourceTar(), make([]byte, 80<<20)...))
	if _, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.tar.gz", "", Mirrored); err == nil || !strings.Contains(err.Error(), "unpack to more") {
		t.Errorf("zeros behind: %v", err)
	}
}

// The packings that only other programs make, made by them.
func TestOtherPackers(t *testing.T) {
	b := sourceTar()
	for ext, command := range map[string][]string{
		".tar.bz2": {"bzip2", "-9"}, ".tbz": {"bzip2", "-1"}, ".tar.xz": {"xz", "-9e"}, ".txz": {"xz", "-T2", "--block-size=1KiB", "-Csha256"},
		".tar.lz": {"lzip"}, ".tar.lzma": {"xz", "--format=lzma"}, ".tlz": {"xz", "--format=lzma"}, ".tar.zst": {"zstd", "-19"}, ".tar.gz": {"gzip", "-9"}, ".tar.Z": {"compress", "-b12"},
	} {
		t.Run(ext, func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skip("no " + command[0] + " here")
			}
			cmd := exec.Command(command[0], append(command[1:], "-c")...)
			cmd.Stdin = bytes.NewReader(b)
			packed, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			for n := range len(packed) {
				if _, err := Inspect(bytes.NewReader(packed[:n]), int64(n), "foo-1.0"+ext, "", Drop); err == nil && (ext != ".tar.Z" || !wholeTarZ(packed[:n])) {
					t.Fatalf("cut to %d of %d bytes: accepted", n, len(packed))
				}
			}
			f, err := Inspect(bytes.NewReader(packed), int64(len(packed)), "foo-1.0"+ext, "", Upload)
			if err != nil || f.Core == nil || f.Core.Name != "foo" || len(f.Warnings) > 0 {
				t.Errorf("%v, facts %+v", err, f)
			}
		})
	}
}

// The header of an xz stream of a few bytes may ask for 4 GiB.
func TestXZWindow(t *testing.T) {
	b := intaketest.Pack(".tar.xz", sourceTar())
	c := bytes.Clone(b)
	c[12+4] = 40 // the dictionary of the first block
	le.PutUint32(c[12+int(c[12]+1)*4-4:], crc(c[12:12+int(c[12]+1)*4-4]))
	c = append(c, b...) // two streams, for which the last index is no bound
	_, err := Inspect(bytes.NewReader(c), int64(len(c)), "foo-1.0.tar.xz", "", Mirrored)
	if err == nil || !strings.Contains(err.Error(), "window") {
		t.Errorf("err = %v", err)
	}
}

// What Go's own tar writer makes in each format is read as Go reads it.
func TestTarFormats(t *testing.T) {
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU} {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		name := "foo-1.0/" + strings.Repeat("d/", 60) + "f"
		for _, h := range []*tar.Header{{Name: "foo-1.0/PKG-INFO", Size: int64(len(fooInfo))}, {Name: name}} {
			h.Format, h.Mode = format, 0o644
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if h.Size > 0 {
				w.Write([]byte(fooInfo))
			}
		}
		w.Close()
		if _, err := Inspect(bytes.NewReader(out.Bytes()), int64(out.Len()), "foo-1.0.tar", "", Upload); err != nil {
			t.Errorf("%v: %v", format, err)
		}
	}
}

// A python3 on the machine agrees about the members of every archive that is
// accepted, good and hostile ones alike: names, sizes and checksums.
func TestPythonAgrees(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	dir := t.TempDir()
	want := make(map[string]string)
	add := func(name string, b []byte) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		want[path] = goListing(t, path, b)
	}
	for _, pad := range []int{0, 1000, 2 << 20} {
		_, w := intaketest.Wheel("foo", "1.0", intaketest.Opts{Pad: pad, Files: map[string]string{"ü.txt": "x"}})
		add(fmt.Sprintf("wheel%d.whl", pad), w)
		_, s := intaketest.Sdist("foo", "1.0", intaketest.Opts{Pad: pad})
		add(fmt.Sprintf("sdist%d.tar.gz", pad), s)
		_, e := intaketest.Egg("foo", "1.0", intaketest.Opts{Pad: pad})
		add(fmt.Sprintf("egg%d.egg", pad), e)
	}
	for i, tt := range zipCases {
		s := plain()
		tt.spoil(s)
		b := s.bytes()
		if _, err := Inspect(bytes.NewReader(b), int64(len(b)), "foo-1.0.zip", "", Drop); err == nil {
			add(fmt.Sprintf("case%d.zip", i), b)
		}
	}
	script := `
import sys, zipfile, tarfile, zlib
for p in sys.argv[1:]:
    print(p)
    if p.endswith('.tar.gz'):
        with tarfile.open(p) as t:
            for m in sorted(t.getmembers(), key=lambda m: m.name):
                if m.isreg():
                    print(ascii(m.name), m.size, zlib.crc32(t.extractfile(m).read()))
    else:
        with zipfile.ZipFile(p) as z:
            for m in sorted(z.infolist(), key=lambda m: m.filename):
                if not m.is_dir():
                    print(ascii(m.filename), m.file_size, zlib.crc32(z.read(m)))
`
	args := []string{"-c", script}
	var all strings.Builder
	for _, path := range sortedKeys(want) {
		args = append(args, path)
		all.WriteString(path + "\n" + want[path])
	}
	out, err := exec.Command(python, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, out)
	}
	if string(out) != all.String() {
		t.Errorf("python3 reads\n%s\nwant\n%s", out, all.String())
	}
}
