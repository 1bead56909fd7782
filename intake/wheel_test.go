package intake

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"nestgen/intake/intaketest"
)

const (
	wheelInfo1  = "foo-1.0.dist-info/"
	fooMetadata = "Metadata-Version: 2.1\nName: Foo\nVersion: 1.0\n"
	fooWheel    = "Wheel-Version: 1.0\nTag: py3-none-any\n"
	emptySum    = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
	wheelName   = "foo-1.0-py3-none-any.whl"
)

// wheelOf makes a wheel of text members. A RECORD that is not given is made.
func wheelOf(members ...string) []byte {
	var ms []intaketest.Member
	for i := 0; i < len(members); i += 2 {
		ms = append(ms, intaketest.Member{Name: members[i], Data: []byte(members[i+1])})
	}
	return intaketest.Zip(ms...)
}

// A wheel with something wrong. What it holds besides is in order. A mirrored
// one is accepted where mild is set.
var wheelCases = []struct {
	name    string
	members []string
	want    string
	mild    bool
	upload  bool // refused as an upload only
}{
	{"no .dist-info", []string{"foo.py", ""}, "without a .dist-info", true, false},
	{".dist-info of another project", []string{"bar-1.0.dist-info/METADATA", fooMetadata}, "with a folder", true, false},
	{".dist-info of another version", []string{"foo-1.1.dist-info/METADATA", fooMetadata}, "with a folder", true, false},
	{".dist-info below the top", []string{"x/foo-1.0.dist-info/METADATA", fooMetadata}, "without a .dist-info", true, false},
	{"two .dist-info", []string{wheelInfo1 + "METADATA", fooMetadata, "bar-1.0.dist-info/METADATA", ""}, "with a folder", true, false},
	{"two .dist-info of its name", []string{wheelInfo1 + "METADATA", fooMetadata, "Foo-1.0.0.dist-info/METADATA", ""}, "", false, false},
	{"no METADATA", []string{wheelInfo1 + "WHEEL", fooWheel, wheelInfo1 + "RECORD", wheelInfo1 + "WHEEL," + emptySum + ",\n"}, "without foo-1.0.dist-info/METADATA", true, false},
	{"no WHEEL", []string{wheelInfo1 + "METADATA", fooMetadata, wheelInfo1 + "RECORD", wheelInfo1 + "METADATA," + emptySum + ",\n"}, "without foo-1.0.dist-info/WHEEL", true, false},
	{"no RECORD", []string{wheelInfo1 + "METADATA", fooMetadata, wheelInfo1 + "WHEEL", fooWheel}, "without foo-1.0.dist-info/RECORD", true, false},
	{"format 2", full("", "Wheel-Version: 2.0\n", fooMetadata), "format version", true, false},
	{"format not given", full("", "Tag: x\n", fooMetadata), "version of the format", true, false},
	{"member not in RECORD", append(full("", fooWheel, fooMetadata), "evil.py", ""), `does not name "evil.py"`, true, false},
	{"member in RECORD without a hash", append(full("evil.py,,0\n", fooWheel, fooMetadata), "evil.py", ""), `no hash for "evil.py"`, true, false},
	{"RECORD names what is not there", full("gone.py,"+emptySum+",0\n", fooWheel, fooMetadata), "not in the wheel", true, false},
	{"RECORD leads outside", full("../../x,"+emptySum+",0\n", fooWheel, fooMetadata), `".."`, true, false},
	{"RECORD leads to the root", full("/etc/passwd,"+emptySum+",0\n", fooWheel, fooMetadata), "absolute", true, false},
	{"RECORD names one twice", full(wheelInfo1+"WHEEL,"+emptySum+",\n", fooWheel, fooMetadata), "twice", true, false},
	{"RECORD with a wrong size", append(full("evil.py,"+emptySum+",7\n", fooWheel, fooMetadata), "evil.py", ""), `"7" bytes`, true, false},
	{"RECORD with a broken line", full("\"evil\n", fooWheel, fooMetadata), "line 3 is broken", true, false},
	{"RECORD with a wrong hash", append(full("evil.py,"+emptySum+",1\n", fooWheel, fooMetadata), "evil.py", "x"), "another hash", true, true},
	{"RECORD with MD5", append(full("evil.py,md5=1B2M2Y8AsgTpgAmY7PhCfg,0\n", fooWheel, fooMetadata), "evil.py", ""), "hash of the kind", true, true},
	{"member twice, and once in RECORD", append(full("x.py,"+emptySum+",0\n", fooWheel, fooMetadata), "x.py", "", "x.py", ""), "two members", true, false},
	{"METADATA twice", append(full("", fooWheel, fooMetadata), wheelInfo1+"METADATA", fooMetadata), "two members", true, false},
	{"script that is a path", points("[console_scripts]\n../../bin/ls = foo:main\n"), "written elsewhere", true, false},
	{"script with a backslash", points("[gui_scripts]\n..\\ls = foo:main\n"), "written elsewhere", true, false},
	{"script that is hidden", points("[console_scripts]\n.bashrc = foo:main\n"), "written elsewhere", true, false},
	{"script, indented", points("[console_scripts]\na = foo:main\n  ../b = foo:main\n"), "written elsewhere", true, false},
	{"script, all indented", points("\n    [console_scripts]\n    ../b = foo:main\n    "), "written elsewhere", true, false},
	{"script below an indented section", points("[a.group]\na = foo:main\n  [console_scripts]\n  ../b = foo:main\n"), "written elsewhere", true, false},
	{"script beside an indented section", points("[console_scripts]\na = foo:main\n  [a.group]\n../b = foo:main\n"), "written elsewhere", true, false},
	{"entry point without a section", points("a = foo:main\n"), "broken line", true, false},
	{"another name in METADATA", full("", fooWheel, "Metadata-Version: 2.1\nName: bar\nVersion: 1.0\n"), `project "foo" and the metadata "bar"`, true, false},
	{"another version in METADATA", full("", fooWheel, "Metadata-Version: 2.1\nName: foo\nVersion: 1.1\n"), `version "1.0" and the metadata "1.1"`, true, false},
	{"two names in METADATA", full("", fooWheel, "Metadata-Version: 2.1\nName: foo\nName: bar\nVersion: 1.0\n"), "no name, or more than one", true, false},
	{"no version in METADATA", full("", fooWheel, "Metadata-Version: 2.1\nName: foo\n"), "no version, or more than one", true, false},
}

// full gives the members of a whole wheel, with more lines in its RECORD.
func full(record, wheel, metadata string) []string {
	return []string{
		wheelInfo1 + "METADATA", metadata, wheelInfo1 + "WHEEL", wheel,
		wheelInfo1 + "RECORD", line(wheelInfo1+"METADATA", metadata) + line(wheelInfo1+"WHEEL", wheel) + record + wheelInfo1 + "RECORD,,\n",
	}
}

// points gives the members of a wheel with entry points.
func points(text string) []string {
	return append(full(line(wheelInfo1+"entry_points.txt", text), fooWheel, fooMetadata), wheelInfo1+"entry_points.txt", text)
}

// Contract API-16, reliability row 27.
func TestOddWheel(t *testing.T) {
	for _, tt := range wheelCases {
		b := wheelOf(tt.members...)
		for _, how := range []Strictness{Mirrored, Drop, Upload} {
			f, err := Inspect(bytes.NewReader(b), int64(len(b)), wheelName, "", how)
			var r Rejection
			switch {
			case tt.upload && how == Drop:
				if err != nil {
					t.Errorf("%s: dropped: %v", tt.name, err)
				}
			case tt.mild && how == Mirrored:
				if err != nil || len(f.Warnings) == 0 && !tt.upload {
					t.Errorf("%s: mirrored: %v, warnings %q", tt.name, err, f.Warnings)
				}
			case !errors.As(err, &r):
				t.Errorf("%s: strictness %d: err = %v (%T)", tt.name, how, err, err)
			case !strings.Contains(string(r), tt.want):
				t.Errorf("%s: strictness %d: %q does not say %q", tt.name, how, r, tt.want)
			}
		}
	}
}

func TestGoodWheel(t *testing.T) {
	sha512 := "sha512=z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg_SpIdNs6c5H0NE8XYXysP-DGNKHfuwvY7kxvUdBeoGlODJ6-SfaPg"
	for name, members := range map[string][]string{
		"plain":                  full("", fooWheel, fooMetadata),
		"CRLF in RECORD":         full("\r\n", fooWheel, fooMetadata),
		"SHA-512":                append(full("x.py,"+sha512+",0\n", fooWheel, fooMetadata), "x.py", ""),
		"quoted name":            append(full("\"a,\"\"b\"\".py\","+emptySum+",0\n", fooWheel, fooMetadata), "a,\"b\".py", ""),
		"signatures":             append(full("", fooWheel, fooMetadata), wheelInfo1+"RECORD.jws", "x", wheelInfo1+"RECORD.p7s", "x"),
		"padded hash":            append(full("x.py,"+emptySum+"=,0\n", fooWheel, fooMetadata), "x.py", ""),
		"entry points":           points("# a comment\n[console_scripts]\nfoo-1.x = foo:main\n\n[a.group]\nx/y = foo:bar\n  more\n"),
		"entry points, indented": points("\n        [console_scripts]\n        foo=foo:main\n\n        [a.group]\n        # why not\n        x/y = foo:bar[extra]\n    "),
		"older .dist-info":       full("", fooWheel, strings.Replace(fooMetadata, "1.0\n", "1.0.0\n", 1)),
		"another .data below":    append(full(line("foo-1.0.data/scripts/x", "#!python"), fooWheel, fooMetadata), "foo-1.0.data/scripts/x", "#!python"),
	} {
		b := wheelOf(members...)
		f, err := Inspect(bytes.NewReader(b), int64(len(b)), wheelName, "", Upload)
		if err != nil || len(f.Warnings) > 0 {
			t.Errorf("%s: %v, warnings %q", name, err, f.Warnings)
			continue
		}
		if name != "older .dist-info" && string(f.Metadata) != fooMetadata || f.Display != "Foo" {
			t.Errorf("%s: metadata %q, display %q", name, f.Metadata, f.Display)
		}
	}
}

// Facts outlive the inspection, whose buffers the next one uses again.
func TestMetadataIsKept(t *testing.T) {
	b := wheelOf(full("", fooWheel, fooMetadata)...)
	f, err := Inspect(bytes.NewReader(b), int64(len(b)), wheelName, "", Drop)
	if err != nil {
		t.Fatal(err)
	}
	name, data := intaketest.Wheel("quite-another", "2.0", intaketest.Opts{Summary: strings.Repeat("x", 500)})
	for range 20 {
		if _, err := Inspect(bytes.NewReader(data), int64(len(data)), name, "", Drop); err != nil {
			t.Fatal(err)
		}
	}
	if string(f.Metadata) != fooMetadata || f.Core.Name != "Foo" {
		t.Errorf("metadata changed to %q", f.Metadata)
	}
}

// Reliability row 18.
func TestStartup(t *testing.T) {
	extra := []string{"evil.pth", "foo-1.0.data/purelib/other.pth", "foo-1.0.data/data/lib/python3/site-packages/third.pth", "sitecustomize.py", "foo/inner.pth"}
	record := ""
	members := []string{}
	for _, name := range extra {
		record += name + "," + emptySum + ",0\n"
		members = append(members, name, "")
	}
	b := wheelOf(append(full(record, fooWheel, fooMetadata), members...)...)
	f, err := Inspect(bytes.NewReader(b), int64(len(b)), wheelName, "", Upload)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(f.Startup, " "), strings.Join(extra[:4], " "); got != want {
		t.Errorf("startup = %s, want %s", got, want)
	}
}
