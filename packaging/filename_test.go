package packaging

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

// parsed is the part of a Filename that the table below compares.
type parsed struct {
	project Name
	version string
	kind    Kind
}

func TestParseFilename(t *testing.T) {
	tests := []struct {
		what string
		in   string
		hint Name
		want parsed
	}{
		{"ordinary wheel", "foo-1.0-py3-none-any.whl", "", parsed{"foo", "1.0", Wheel}},
		{"ordinary sdist", "foo-1.0.tar.gz", "", parsed{"foo", "1.0", Sdist}},
		{"row 1: name of many separators", "foo.bar_Baz-0.9.tar.gz", "", parsed{"foo-bar-baz", "0.9", Sdist}},
		{"row 3: hint from metadata", "ns_pkg-1.0.tar.gz", "ns-pkg", parsed{"ns-pkg", "1.0", Sdist}},
		{"row 4: dash in the name, drop", "foo-bar-1.0.tar.gz", "", parsed{"foo-bar", "1.0", Sdist}},
		{"row 4: dash in the name, hint", "foo-bar-1.0.tar.gz", "foo-bar", parsed{"foo-bar", "1.0", Sdist}},
		{"row 5: implicit post-release, hint", "foo-1.0-1.tar.gz", "foo", parsed{"foo", "1.0.post1", Sdist}},
		{"row 5: implicit post-release, drop", "foo-1.0-1.tar.gz", "", parsed{"foo", "1.0.post1", Sdist}},
		{"FN-3: hint decides where to split", "a-1-2.tar.gz", "a", parsed{"a", "1.post2", Sdist}},
		{"FN-3: hint with a digit", "a-1-2.tar.gz", "a-1", parsed{"a-1", "2", Sdist}},
		{"FN-3: hint in other spelling", "Foo__bar.tar.gz-1.0.zip", "foo-bar-tar-gz", parsed{"foo-bar-tar-gz", "1.0", Sdist}},
		{"row 6: pre-release after a dash", "foo-1.0-rc1.tar.gz", "foo", parsed{"foo", "1.0rc1", Sdist}},
		{"row 6: pre-release after a dash, drop", "foo-1.0-rc1.tar.gz", "", parsed{"foo", "1.0rc1", Sdist}},
		{"row 7: no version of PEP 440", "foo-dev.tar.gz", "", parsed{"foo", "dev", Sdist}},
		{"old version of a date and a letter", "python-dateutil-2004d.tar.bz2", "", parsed{"python-dateutil", "2004d", Sdist}},
		{"no digit in the version at all", "foo-bar-dev.tar.gz", "", parsed{"foo-bar", "dev", Sdist}},
		{"hint and an invalid version", "aws-adfs-ebsco-0.3.7-1.tar.gz", "aws-adfs", parsed{"aws-adfs", "ebsco-0.3.7-1", Sdist}},
		{"row 8: build tag", "foo_bar-1.0-1a-py3-none-any.whl", "", parsed{"foo-bar", "1.0", Wheel}},
		{"row 12: local version in a wheel", "foo-1.0+local.1-py3-none-any.whl", "", parsed{"foo", "1.0+local.1", Wheel}},
		{"wheel version is normalized", "foo-1.0.RC1-py3-none-any.whl", "foo", parsed{"foo", "1.0rc1", Wheel}},
		{"FN-1: upper case and dot in a wheel's name", "Zope.Interface-5.0-cp39-cp39-win32.whl", "", parsed{"zope-interface", "5.0", Wheel}},
		{"row 14: everything in the version", "foo-1.0.post1.dev2+local.tar.gz", "", parsed{"foo", "1.0.post1.dev2+local", Sdist}},
		{"row 15: epoch", "foo-1!2.0.tar.gz", "", parsed{"foo", "1!2.0", Sdist}},
		{"row 16: egg with a platform", "foo_bar-1.0-py2.7-linux-x86_64.egg", "", parsed{"foo-bar", "1.0", Egg}},
		{"egg with python tag", "mesos.cli-0.1.3-py2.7.egg", "", parsed{"mesos-cli", "0.1.3", Egg}},
		{"egg without python tag", "foo-1.0.egg", "", parsed{"foo", "1.0", Egg}},
		{"egg in a zip", "foo-1.0-py2.5.egg.zip", "foo", parsed{"foo", "1.0", Egg}},
		{"FN-5: underscore in an egg's version", "topp.utils-0.2.10_1-py2.4.egg", "", parsed{"topp-utils", "0.2.10.post1", Egg}},
		{"egg of a Subversion revision", "OHM-0.1.1dev_r7031-py2.4.egg", "", parsed{"ohm", "0.1.1dev-r7031", Egg}},
		{"egg with a build number", "medialog.boardfile-1.6.1-1.egg", "", parsed{"medialog-boardfile", "1.6.1", Egg}},
		{"egg with a build number, hint", "nose-1.3.4-12.egg", "nose", parsed{"nose", "1.3.4", Egg}},
		{"egg that ends in two numbers, hint", "foo-2-1.egg", "foo-2", parsed{"foo-2", "1", Egg}},
		{"egg that was not escaped", "foo-bar-1.0-py2.5.egg", "", parsed{"foo-bar", "1.0", Egg}},
		{"egg that was not escaped, hint", "foo-bar-1.0-py2.5-win32.egg", "foo-bar", parsed{"foo-bar", "1.0", Egg}},
		{"row 17: wininst", "foo-1.0.win32-py2.7.exe", "", parsed{"foo", "1.0", Wininst}},
		{"wininst with a dash in the name", "python-ldap-2.4.6.win-amd64-py2.7.exe", "", parsed{"python-ldap", "2.4.6", Wininst}},
		{"wininst with a variant", "numpy-1.5.1.win32-py3.1-nosse.exe", "numpy", parsed{"numpy", "1.5.1", Wininst}},
		{"wininst with a development version", "numpy-1.0.1.dev3460.win32-py2.4.exe", "", parsed{"numpy", "1.0.1.dev3460", Wininst}},
		{"wininst without a platform", "foo-1.0.exe", "", parsed{"foo", "1.0", Wininst}},
		{"row 17: msi", "foo-1.0.win-amd64-py2.7.msi", "", parsed{"foo", "1.0", MSI}},
		{"msi with an invalid version", "cx_Oracle-5.1.2-11g.win32-py2.7.msi", "cx-oracle", parsed{"cx-oracle", "5.1.2-11g", MSI}},
		{"row 17: rpm", "foo-1.0-1.noarch.rpm", "", parsed{"foo", "1.0", RPM}},
		{"rpm with a dash in the name", "foo-bar-1.0rc1-1.src.rpm", "", parsed{"foo-bar", "1.0rc1", RPM}},
		{"rpm of a distribution, hint", "python3-foo-1.0-2.fc30.x86_64.rpm", "foo", parsed{"foo", "1.0", RPM}},
		{"Debian package", "python3-foo_1.0-1_all.deb", "", parsed{"foo", "1.0", Deb}},
		{"Debian package, epoch and tilde", "python-foo_1:1.0~rc1-1_amd64.deb", "foo", parsed{"foo", "1.0rc1", Deb}},
		{"Debian package named like an sdist", "foo-1.0.deb", "", parsed{"foo", "1.0", Deb}},
		{"disk image", "foo-1.0.macosx-10.3.dmg", "", parsed{"foo", "1.0", DMG}},
		{"row 18: dumb", "foo-1.0.linux-x86_64.tar.gz", "", parsed{"foo", "1.0", Dumb}},
		{"row 18: dumb, hint", "hbmqtt-0.9.6.linux-x86_64.tar.gz", "hbmqtt", parsed{"hbmqtt", "0.9.6", Dumb}},
		{"dumb for macOS", "Luigi-1.0.9.macosx-10.7-intel.tar.gz", "", parsed{"luigi", "1.0.9", Dumb}},
		{"dumb for one Python", "foo-1.0-py2.7.tar.gz", "", parsed{"foo", "1.0", Dumb}},
		{"dumb for Windows in a zip", "foo-bar-1.0.win32.zip", "", parsed{"foo-bar", "1.0", Dumb}},
		{"a platform in the name is none", "foo.linux-1.0.tar.gz", "", parsed{"foo-linux", "1.0", Sdist}},
		{"a Python in the name is none", "foo-py2-1.0.tar.gz", "", parsed{"foo-py2", "1.0", Sdist}},
		{"two dashes in a row", "foo--1.0.tar.gz", "", parsed{"foo", "-1.0", Sdist}},
		{"py is no Python", "foo-1.0.win32-pyx-py2.5.exe", "", parsed{"foo", "1.0", Wininst}},
		{"Python in the name of an installer", "foo-pyx-1.0.win32-py2.5.exe", "", parsed{"foo-pyx", "1.0", Wininst}},
		{"Debian package of a plain name", "foo_1.0_all.deb", "", parsed{"foo", "1.0", Deb}},
		{"row 20: zeros are kept", "foo-1.0.0.tar.gz", "", parsed{"foo", "1.0.0", Sdist}},
		{"wheel that pip still lists", "playlyfe-0.1.1-2.7.6-none-any.whl", "", parsed{"playlyfe", "0.1.1", Wheel}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			f, err := ParseFilename(tt.in, tt.hint)
			if err != nil {
				t.Fatalf("ParseFilename(%q, %q): %v", tt.in, tt.hint, err)
			}
			if got := (parsed{f.Project, f.Version, f.Kind}); got != tt.want {
				t.Errorf("ParseFilename(%q, %q) = %+v, want %+v", tt.in, tt.hint, got, tt.want)
			}
		})
	}
}

// TestParseFilenameParts looks at what the table above leaves out.
func TestParseFilenameParts(t *testing.T) {
	tests := []struct {
		in   string
		want Filename
	}{
		{"foo_bar-1.0-1a-py2.py3-none-any.whl", Filename{Name: "foo_bar", Project: "foo-bar", Version: "1.0", Kind: Wheel, Ext: ".whl", Build: "1a", Python: "py2.py3", ABI: "none", Platform: "any"}},
		{"foo_bar-1.0-py2.7-linux-x86_64.egg", Filename{Name: "foo_bar", Project: "foo-bar", Version: "1.0", Kind: Egg, Ext: ".egg", Python: "2.7", Platform: "linux-x86_64"}},
		{"nose-1.3.4-1.egg", Filename{Name: "nose", Project: "nose", Version: "1.3.4", Kind: Egg, Ext: ".egg", Build: "1"}},
		{"psycopg2-2.4.2.win-amd64-py2.7-pg9.0.4-release.exe", Filename{Name: "psycopg2", Project: "psycopg2", Version: "2.4.2", Kind: Wininst, Ext: ".exe", Python: "2.7", Platform: "win-amd64"}},
		{"foo-1.0-1.noarch.rpm", Filename{Name: "foo", Project: "foo", Version: "1.0", Kind: RPM, Ext: ".rpm", Build: "1", Platform: "noarch"}},
		{"python3-foo_1.0-2_all.deb", Filename{Name: "foo", Project: "foo", Version: "1.0", Kind: Deb, Ext: ".deb", Build: "2", Platform: "all"}},
		{"Luigi-1.0.9.macosx-10.7-intel.zip", Filename{Name: "Luigi", Project: "luigi", Version: "1.0.9", Kind: Dumb, Ext: ".zip", Platform: "macosx-10.7-intel"}},
		{"foo-1.0-py2.7.tar.bz2", Filename{Name: "foo", Project: "foo", Version: "1.0", Kind: Dumb, Ext: ".tar.bz2", Python: "2.7"}},
	}
	for _, tt := range tests {
		if got, err := ParseFilename(tt.in, ""); err != nil || got != tt.want {
			t.Errorf("ParseFilename(%q) = %+v, %v, want %+v", tt.in, got, err, tt.want)
		}
	}
}

func TestParseFilenameWarnings(t *testing.T) {
	tests := []struct {
		what      string
		in        string
		hint      Name
		ambiguous bool
		legacy    bool
		warning   string // a part of it
	}{
		{"ordinary name", "foo-bar-1.0.tar.gz", "", false, false, ""},
		{"row 5: two places to split", "foo-1.0-1.tar.gz", "", true, false, "read as foo 1.0.post1"},
		{"row 5: the hint settles it", "foo-1.0-1.tar.gz", "foo", false, false, ""},
		{"row 6: one place to split", "foo-1.0-rc1.tar.gz", "", false, false, ""},
		{"row 7: legacy version", "foo-dev.tar.gz", "", false, true, `version "dev" does not follow PEP 440`},
		{"legacy version after several dashes", "foo-bar-2004d.tar.gz", "", true, true, "PEP 440"},
		{"legacy version of an egg", "pytz-2004d-py2.3.egg", "pytz", false, true, ""},
		{"empty tag", "foo-1.0--none-any.whl", "", false, false, "empty part"},
		{"interpreter tag of another age", "playlyfe-0.1.1-2.7.6-none-any.whl", "", false, false, "begins with a digit"},
		{"egg with a build number", "nose-1.3.4-1.egg", "", false, false, ""},
		{"egg that was not escaped", "foo-bar-1.0-py2.5.egg", "foo-bar", false, false, "an egg's name"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			f, err := ParseFilename(tt.in, tt.hint)
			if err != nil {
				t.Fatal(err)
			}
			if f.Ambiguous != tt.ambiguous || f.LegacyVersion != tt.legacy {
				t.Errorf("ParseFilename(%q, %q): ambiguous %v, legacy version %v", tt.in, tt.hint, f.Ambiguous, f.LegacyVersion)
			}
			if !strings.Contains(f.Warning, tt.warning) || (tt.warning == "") != (f.Warning == "") {
				t.Errorf("ParseFilename(%q, %q): warning %q, want %q", tt.in, tt.hint, f.Warning, tt.warning)
			}
		})
	}
}

func TestParseFilenameErrors(t *testing.T) {
	tests := []struct {
		what   string
		in     string
		hint   Name
		fault  string // a part of it
		remedy string
	}{
		{"row 9: build tag without a digit", "foo_bar-1.0-a1-py3-none-any.whl", "", "build tag", ""},
		{"row 10: dash in a wheel's name", "foo-bar-1.0-py3-none-any.whl", "", `version "bar"`, ""},
		{"row 11: two underscores", "foo__bar-1.0-py3-none-any.whl", "", "two underscores", ""},
		{"row 12: underscore in the version", "foo-1.0_local-py3-none-any.whl", "", `version "1.0_local"`, ""},
		{"row 13: extension in capitals", "foo-1.0-py3-none-any.WHL", "", "not spelled", "rename to .whl"},
		{"sdist extension in capitals", "Foo-1.0.Tar.GZ", "", "not spelled", "rename to .tar.gz"},
		{"wheel of four parts", "foo-1.0-py3-any.whl", "", "4 parts", ""},
		{"wheel of seven parts", "foo-1.0-1-py3-none-any-x.whl", "", "7 parts", ""},
		{"wheel name of underscores", "_foo-1.0-py3-none-any.whl", "", "not a valid project name", ""},
		{"wheel without a name", "_-1.0-py3-none-any.whl", "", "not a valid project name", ""},
		{"no dash", "foo.tar.gz", "", "no dash", ""},
		{"no version", "foo-.tar.gz", "", "no version", ""},
		{"extension alone after a hint", "foo-1.0.zip", "foo-1-0", "does not begin", ""},
		{"egg without a version", "foo.egg", "", "no version", ""},
		{"sdist of another project", "bar-1.0.tar.gz", "foo", `does not begin with the project name "foo"`, ""},
		{"wheel of another project", "bar-1.0-py3-none-any.whl", "foo", `belongs to project "bar"`, ""},
		{"no name", "_.tar-1.0.zip", "", "not a valid project name", ""},
		{"egg without a name", "_-1.0.egg", "", "not a valid project name", ""},
		{"rpm of another project", "python3-bar-1.0-1.noarch.rpm", "foo", `belongs to project "python3-bar"`, ""},
		{"rpm without a dot", "foo.rpm", "", "name-version-release.arch.rpm", ""},
		{"rpm without a dash", "foo.noarch.rpm", "", "name-version-release.arch.rpm", ""},
		{"Debian package without a version", "foo__all.deb", "", "name_version_arch.deb", ""},
		{"Debian package without a name", "_1.0_all.deb", "", "no project name", ""},
		{"sign in a wheel's name", "f+o-1.0-py3-none-any.whl", "", "letters, digits", ""},
		{"rpm without a release", "foo-1.0.rpm", "", "name-version-release.arch.rpm", ""},
		{"no extension of a distribution", "README.txt", "", "not the extension", ""},
		{"compressed, but no archive", "foo-1.0.gz", "", "not the extension", ""},
		{"row 22: begins with a dash", "-foo-1.0.tar.gz", "", "begins with", ""},
		{"row 22: space", "a b-1.0.zip", "", "holds ' '", ""},
		{"row 22: percent sign", "x%2f-1.0.zip", "", "holds '%'", ""},
		{"row 22: hidden", ".foo-1.0.zip", "", "begins with", ""},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			f, err := ParseFilename(tt.in, tt.hint)
			fe, ok := errors.AsType[*FilenameError](err)
			if !ok {
				t.Fatalf("ParseFilename(%q, %q) = %+v, %v", tt.in, tt.hint, f, err)
			}
			if !strings.Contains(fe.Fault, tt.fault) || fe.Remedy != tt.remedy {
				t.Errorf("ParseFilename(%q, %q): %q, remedy %q, want %q, %q", tt.in, tt.hint, fe.Fault, fe.Remedy, tt.fault, tt.remedy)
			}
			if want := strconv.Quote(tt.in) + ": " + fe.Fault; !strings.HasSuffix(err.Error(), want) {
				t.Errorf("error %q does not end in %q", err, want)
			}
			if errors.Is(err, ErrNotDistribution) != (tt.fault == "not the extension") {
				t.Errorf("ParseFilename(%q): ErrNotDistribution is wrong for %v", tt.in, err)
			}
		})
	}
}

func TestCheckFilename(t *testing.T) {
	long := strings.Repeat("a", 248)
	good := []string{"foo-1.0.tar.gz", "foo-1!2.0+l~x.zip", "a", "foo-1.0-py3-none-any.whl", long + "-1.0.zip"[1:]}
	for _, s := range good {
		if err := CheckFilename(s); err != nil {
			t.Errorf("CheckFilename(%q): %v", s, err)
		}
	}
	bad := []string{
		"", ".hidden", "-r", "..", "a/b", `a\b`, "a b", "a%20b", "a\x00b", "a\nb", "a\x7fb", "é.zip",
		"a\xff.zip", long + "-1.0.zip",
	}
	for _, s := range bad {
		if err := CheckFilename(s); err == nil {
			t.Errorf("CheckFilename(%q) is nil (FN-6)", s)
		}
	}
}

// TestExtensions holds the list for messages against the reader.
func TestExtensions(t *testing.T) {
	for _, ext := range extensions {
		if stem, got := SplitExt("foo-1.0" + ext); stem != "foo-1.0" || got != ext {
			t.Errorf("SplitExt of %s = %q, %q", ext, stem, got)
		}
		if KindOf("foo-1.0"+ext) == UnknownKind {
			t.Errorf("KindOf does not know %s", ext)
		}
	}
	for _, s := range []string{"", "foo", "foo.gz", "foo.txt", "foo.whl.asc", "foo.Z", "foo.tar.z", "foo.whl "} {
		if k := KindOf(s); k != UnknownKind {
			t.Errorf("KindOf(%q) = %v", s, k)
		}
	}
}

// TestKindString holds the kinds against the words of the upload interface,
// which readers of the legacy JSON compare with.
func TestKindString(t *testing.T) {
	for in, want := range map[string]string{
		"foo-1.0-py3-none-any.whl": "bdist_wheel", "foo-1.0.tar.zst": "sdist", "foo-1.0-py2.7.egg": "bdist_egg",
		"foo-1.0.win32.exe": "bdist_wininst", "foo-1.0.win32.msi": "bdist_msi", "foo-1.0-1.src.rpm": "bdist_rpm",
		"foo_1.0_all.deb": "deb", "foo-1.0.dmg": "bdist_dmg", "foo-1.0.linux-i686.tar.gz": "bdist_dumb",
	} {
		if f, err := ParseFilename(in, "foo"); err != nil || f.Kind.String() != want {
			t.Errorf("%s is of kind %s, %v, want %s", in, f.Kind, err, want)
		}
	}
	if got := UnknownKind.String(); got != "unknown" {
		t.Errorf("UnknownKind.String() = %q", got)
	}
}

func TestCompanion(t *testing.T) {
	tests := []struct {
		in   string
		base string
		kind CompanionKind
	}{
		{"foo-1.0.tar.gz.asc", "foo-1.0.tar.gz", Signature},
		{"foo-1.0-py3-none-any.whl.metadata", "foo-1.0-py3-none-any.whl", CoreMetadata},
		{"foo-1.0.zip.provenance", "foo-1.0.zip", Provenance},
		{"foo-1.0.egg.sha256", "foo-1.0.egg", Checksum},
		{"foo-1.0.tar.gz.attestation", "foo-1.0.tar.gz", Attestation},
		{"foo-1.0.tar.gz.publish.attestation", "foo-1.0.tar.gz", Attestation},
		{"key.asc", "", NoCompanion},
		{"foo-1.0.tar.gz", "", NoCompanion},
		{"foo-1.0.whl.asc.sha256", "", NoCompanion},
	}
	for _, tt := range tests {
		base, kind, ok := Companion(tt.in)
		if base != tt.base || kind != tt.kind || ok != (kind != NoCompanion) {
			t.Errorf("Companion(%q) = %q, %v, %v", tt.in, base, kind, ok)
		}
	}
}

// ordinary are names as nearly all files have them.
var ordinary = []struct {
	name string
	hint Name
}{
	{"foo_bar-1.0.2-py3-none-any.whl", ""},
	{"numpy-1.21.6-cp39-cp39-manylinux_2_12_x86_64.manylinux2010_x86_64.whl", "numpy"},
	{"Zope.Interface-5.0rc1.tar.gz", ""},
	{"zope-interface-5.0.tar.gz", "zope-interface"},
}

func TestParseFilenameAllocs(t *testing.T) {
	for _, o := range ordinary {
		n := testing.AllocsPerRun(100, func() {
			if _, err := ParseFilename(o.name, o.hint); err != nil {
				t.Fatal(err)
			}
		})
		if n > 3 {
			t.Errorf("ParseFilename(%q, %q) allocates %v times, want at most 3", o.name, o.hint, n)
		}
	}
}

func BenchmarkParseFilename(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		for _, o := range ordinary {
			if _, err := ParseFilename(o.name, o.hint); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func FuzzParseFilename(f *testing.F) {
	for _, s := range []string{
		"foo-1.0-py3-none-any.whl", "foo-1.0-1.tar.gz", "foo_bar-1.0-py2.7-linux-x86_64.egg",
		"foo-1.0.win32-py2.7.exe", "foo-1.0-1.noarch.rpm", "python3-foo_1:1.0~rc1-1_all.deb",
		"foo-1.0.linux-x86_64.tar.gz", "a-b-c-.egg.zip", "-", "foo--py2.egg",
	} {
		f.Add(s, "")
		f.Add(s, "foo")
	}
	f.Fuzz(func(t *testing.T, s, project string) {
		hint := NormalizeName(project)
		got, err := ParseFilename(s, hint)
		if err != nil {
			return
		}
		switch {
		case hint != "" && got.Project != hint:
			t.Errorf("ParseFilename(%q, %q) is of project %q", s, hint, got.Project)
		case got.Project != NormalizeName(got.Name) || !ValidName(got.Name):
			t.Errorf("ParseFilename(%q, %q): name %q, project %q", s, hint, got.Name, got.Project)
		case got.Version == "" || got.LegacyVersion == ValidVersion(got.Version):
			t.Errorf("ParseFilename(%q, %q): version %q, legacy %v", s, hint, got.Version, got.LegacyVersion)
		case got.Kind == UnknownKind || !strings.HasSuffix(s, got.Ext):
			t.Errorf("ParseFilename(%q, %q): kind %v, extension %q", s, hint, got.Kind, got.Ext)
		}
		// What it read, it reads again with the project known.
		if again, err := ParseFilename(s, got.Project); err != nil {
			t.Errorf("ParseFilename(%q, %q): %v", s, got.Project, err)
		} else if again.Project != got.Project {
			t.Errorf("ParseFilename(%q, %q) is of project %q", s, got.Project, again.Project)
		}
	})
}
