package advisory_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"nestgen/advisory"
)

func record(id, name string) string {
	return fmt.Sprintf(`{"id":%q,"affected":[{"package":{"ecosystem":"PyPI","name":%q},"versions":["1"]}]}`, id, name)
}

// zipOf makes a zip file of pairs of names and texts.
func zipOf(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		w, err := z.Create(pairs[i])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, pairs[i+1])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readZip(data []byte) (*advisory.Dump, error) {
	return advisory.ReadFile(bytes.NewReader(data), int64(len(data)))
}

func check(t *testing.T, d *advisory.Dump, err error, faults ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, f := range d.Faults {
		told = append(told, f.Error())
	}
	if d.FaultCount != len(faults) || len(told) != len(faults) {
		t.Fatalf("faults %q", told)
	}
	for i, want := range faults {
		if !strings.Contains(told[i], want) {
			t.Errorf("fault %q, want %q", told[i], want)
		}
	}
}

// A member that cannot be read costs itself.
func TestReadZip(t *testing.T) {
	d, err := readZip(zipOf(t,
		"PYSEC-1.json", record("PYSEC-1", "Foo"), "MAL-1.json", record("MAL-1", "foo"), "sub/X-2.json", record("X-2", "bar"),
		"README.md", "not looked at", ".hidden.json", "{", "X-3.json", "{", "X-4.json", record("PYSEC-1", "other"),
		"X-5.json", `{"id":"X-5","withdrawn":"2024-01-01T00:00:00Z"}`, "X-6.json", `{"id":"X-6"}`,
		"zero.json", record("X-9", "zero")+"\n"+strings.Repeat(" ", 4<<20),
	))
	check(t, d, err, "zero.json: it unpacks to more than 200 times its size", "X-3.json: not valid JSON", "X-4.json: PYSEC-1 is in PYSEC-1.json as well")
	if d.Advisories != 3 || d.Malware != 1 || d.Withdrawn != 1 || len(d.Projects) != 2 || len(d.Projects["foo"]) != 2 || d.Projects["foo"][0].ID != "MAL-1" {
		t.Errorf("%+v", d)
	}
}

func TestHostileZips(t *testing.T) {
	good := zipOf(t, "A.json", record("A-1", "foo"), "B.json", record("B-1", "foo"))
	twice := zipOf(t, "A.json", record("A-1", "foo"), "A.json", record("B-1", "bar"))
	d, err := readZip(twice)
	check(t, d, err, "A.json: a second member of this name")
	if len(d.Projects) != 1 {
		t.Errorf("%v", d.Projects)
	}

	large := zipOf(t, "A.json", strings.Repeat("x", 8<<20+1), "B.json", record("B-1", "bar"))
	d, err = readZip(large)
	check(t, d, err, "A.json: 8388609 bytes, more than the 8388608")
	if len(d.Projects) != 1 {
		t.Errorf("%v", d.Projects)
	}

	// One that says that it is small and is not ends where it says.
	liar := bytes.Clone(good)
	at := bytes.LastIndex(liar, []byte("PK\x01\x02"))
	copy(liar[at+24:], []byte{1, 0, 0, 0})
	d, err = readZip(liar)
	check(t, d, err, "B.json: ")

	// Bytes that were altered are found.
	altered := bytes.Clone(good)
	if i := bytes.Index(altered, []byte(record("A-1", "foo")[:20])); i >= 0 {
		altered[i+7] ^= 1
	} else {
		altered[40] ^= 0xff // it is packed
	}
	d, err = readZip(altered)
	check(t, d, err, "A.json: ")

	for cut := range len(good) {
		if d, err := readZip(good[:cut]); err == nil {
			t.Fatalf("cut after %d of %d bytes: %+v", cut, len(good), d)
		}
	}

	// A list of members without an end is not read to its end.
	many := make([]byte, 0, 46*800_000)
	for range 800_000 {
		head := make([]byte, 46)
		copy(head, "PK\x01\x02")
		many = append(many, head...)
	}
	tail := make([]byte, 22)
	copy(tail, "PK\x05\x06")
	size := uint32(len(many))
	for i := range 4 {
		tail[12+i] = byte(size >> (8 * i))
	}
	copy(tail[8:], []byte{0, 0x35, 0, 0x35}) // 800,000 in its lowest 16 bits
	if _, err := readZip(append(append([]byte("PK\x03\x04"), many...), tail...)); err == nil {
		t.Error("800,000 members were taken")
	}
}

func TestReadFolderAndFile(t *testing.T) {
	d, err := advisory.ReadFolder(fstest.MapFS{
		"PYSEC-1.json":               {Data: []byte(record("PYSEC-1", "foo"))},
		"a/b/X-2.json":               {Data: []byte(record("X-2", "bar"))},
		"link.json":                  {Mode: fs.ModeSymlink},
		".git/X-3.json":              {Data: []byte(record("X-3", "baz"))},
		"notes.txt":                  {Data: []byte("x")},
		"1/2/3/4/5/6/7/8/9/X-4.json": {Data: []byte(record("X-4", "deep"))},
	})
	check(t, d, err, "link.json: not a regular file")
	if len(d.Projects) != 2 {
		t.Errorf("%v", d.Projects)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "one.json")
	if err := os.WriteFile(file, []byte(record("X-1", "foo")), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, file} {
		if d, err := advisory.Read(name); err != nil || len(d.Projects["foo"]) != 1 {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	if _, err := advisory.Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "etc")); err != nil {
		t.Fatal(err)
	}
	if d, err := advisory.Read(dir); err != nil || len(d.Projects) != 1 {
		t.Errorf("a link in a folder: %+v, %v", d, err)
	}
	for _, text := range []string{"", "x", strings.Repeat("{", 9<<20)} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if d, err := advisory.Read(file); err == nil {
			t.Errorf("%.10q: %+v", text, d)
		}
	}
}

func FuzzReadFile(f *testing.F) {
	f.Add(zipOf(f, "A.json", record("A-1", "foo"), "A.json", record("B-1", "bar"), "C.json", "{"))
	f.Add([]byte(record("A-1", "foo")))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := readZip(data)
		if err != nil {
			return
		}
		n := 0
		for _, records := range d.Projects {
			n += len(records)
		}
		if n < d.Advisories || d.Malware > d.Advisories || len(d.Faults) > d.FaultCount {
			t.Fatalf("%+v", d)
		}
	})
}

// bigDump makes a zip file like that of the public database: so many advisories of
// about 3 KiB, every fifth with a long list of versions, and half of them malware.
func bigDump(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range n {
		id := fmt.Sprintf("PYSEC-2024-%d", i)
		if i%2 == 0 {
			id = fmt.Sprintf("MAL-2024-%d", i)
		}
		var versions []string
		for v := range 10 + i%5/4*200 {
			versions = append(versions, fmt.Sprintf("%q", fmt.Sprintf("1.%d.%d", v/10, v%10)))
		}
		w, err := z.Create(id + ".json")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(w, `{"id":%q,"modified":"2024-01-01T00:00:00Z","published":"2024-01-01T00:00:00Z","aliases":["CVE-2024-%d"],"summary":"advisory %d","details":%q,
"references":[{"type":"WEB","url":"https://example.org/%d"}],"affected":[{"package":{"name":"project-%d","ecosystem":"PyPI","purl":"pkg:pypi/project-%d"},
"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.30.%d"}]}],"versions":[%s],"database_specific":{"source":"https://example.org/x.yaml"}}],
"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"schema_version":"1.6.0"}`,
			id, i, i, strings.Repeat("Lorem ipsum dolor sit amet. ", 80), i, i%9000, i%9000, i, strings.Join(versions, ","))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func BenchmarkRead15000(b *testing.B) {
	data := bigDump(b, 15_000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		d, err := readZip(data)
		if err != nil || d.Advisories != 15_000 {
			b.Fatal(d, err)
		}
	}
}
