package packaging

import "testing"

func TestParseSdist(t *testing.T) {
	tests := []struct {
		what    string
		in      string
		project Name
		version string
	}{
		{"ordinary", "foo-1.0.tar.gz", "foo", "1.0"},
		{"zip", "Foo_Bar-1.0.zip", "foo-bar", "1.0"},
		{"the last dash counts", "foo-bar-1.0.tar.gz", "foo-bar", "1.0"},
		{"known disagreement with the lenient reader (FN-4)", "foo-1.0-1.tar.gz", "foo-1-0", "1"},
		{"version in another spelling", "foo-v2024.28005.rc.tar.gz", "foo", "2024.28005rc0"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			f, err := ParseSdist(tt.in)
			if err != nil || f.Project != tt.project || f.Version != tt.version || f.Kind != Sdist {
				t.Errorf("ParseSdist(%q) = %+v, %v", tt.in, f, err)
			}
		})
	}
	for _, s := range []string{
		"foo1.0.tar.gz", "foo-1.x.tar.gz", "foo-1.0.tar.bz2", "foo-1.0.TAR.GZ", "foo-1.0-rc1.tar.gz",
		"hbmqtt-0.9.6.linux-x86_64.tar.gz", "google-api-python-client-1.0beta5prerelease.tar.gz", "foo-.zip", "",
	} {
		if f, err := ParseSdist(s); err == nil {
			t.Errorf("ParseSdist(%q) = %+v", s, f)
		}
	}
}

// FN-7
func TestSdistFilename(t *testing.T) {
	v, err := ParseVersion("1.0-RC1")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := SdistFilename("foo-bar", v), "foo_bar-1.0rc1.tar.gz"; got != want {
		t.Errorf("SdistFilename = %q, want %q", got, want)
	}
}

// FN-3
func TestSplitFilename(t *testing.T) {
	tests := []struct {
		stem          string
		project       Name
		name, version string
		ok            bool
	}{
		{"foo__bar-1.0", "foo-bar", "foo__bar", "1.0", true},
		{"foo-bar-1.0", "foo", "foo", "bar-1.0", true},
		{"foo-1.0", "bar", "", "", false},
		{"foo", "foo", "", "", false},
		{"foo-", "foo", "foo", "", true},
	}
	for _, tt := range tests {
		name, version, ok := SplitFilename(tt.stem, tt.project)
		if name != tt.name || version != tt.version || ok != tt.ok {
			t.Errorf("SplitFilename(%q, %q) = %q, %q, %v", tt.stem, tt.project, name, version, ok)
		}
	}
}

func FuzzParseSdist(f *testing.F) {
	for _, s := range []string{"foo-1.0.tar.gz", "foo-1.0-1.zip", "-.zip", "a-1_.zip"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseSdist(s)
		if err != nil || !ValidName(got.Name) {
			return
		}
		v, err := ParseVersion(got.Version)
		if err != nil {
			t.Fatalf("ParseSdist(%q): version %q", s, got.Version)
		}
		// What is built from the parts, it reads as the same parts.
		again, err := ParseSdist(SdistFilename(got.Project, v))
		if err != nil || again.Project != got.Project || again.Version != got.Version {
			t.Errorf("%q is built as %q: %+v, %v", s, SdistFilename(got.Project, v), again, err)
		}
	})
}
