package packaging

import (
	"slices"
	"testing"
)

func TestParseTags(t *testing.T) {
	tests := []struct {
		in   string
		want []string
	}{
		{"py3-none-any", []string{"py3-none-any"}},
		{"py3.py2-none-any", []string{"py2-none-any", "py3-none-any"}},
		{"py3.py3-none-any", []string{"py3-none-any"}},
		{"CP39-ABI3-WIN32", []string{"cp39-abi3-win32"}},
		{"py3.-none-any", []string{"-none-any", "py3-none-any"}},
		{"py3--any", []string{"py3--any"}},
		{"cp310-abi3.cp310-manylinux1_x86_64.win32", []string{
			"cp310-abi3-manylinux1_x86_64", "cp310-abi3-win32", "cp310-cp310-manylinux1_x86_64", "cp310-cp310-win32",
		}},
	}
	for _, tt := range tests {
		tags, err := ParseTags(tt.in)
		var got []string
		for _, tag := range tags {
			got = append(got, tag.String())
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("ParseTags(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for _, s := range []string{"", "py3", "py3-none", "py3-none-any-x"} {
		if tags, err := ParseTags(s); err == nil {
			t.Errorf("ParseTags(%q) = %v", s, tags)
		}
	}
}

func TestParsePlatform(t *testing.T) {
	tests := []struct {
		in     string
		want   PlatformTag
		modern string // "" when it is the same
	}{
		{"any", PlatformTag{Family: AnyPlatform}, ""},
		{"manylinux1_x86_64", PlatformTag{Manylinux, 2, 5, "x86_64"}, "manylinux_2_5_x86_64"},
		{"manylinux2010_i686", PlatformTag{Manylinux, 2, 12, "i686"}, "manylinux_2_12_i686"},
		{"manylinux2014_aarch64", PlatformTag{Manylinux, 2, 17, "aarch64"}, "manylinux_2_17_aarch64"},
		{"manylinux_2_28_ppc64le", PlatformTag{Manylinux, 2, 28, "ppc64le"}, ""},
		{"musllinux_1_2_armv7l", PlatformTag{Musllinux, 1, 2, "armv7l"}, ""},
		{"linux_armv6l", PlatformTag{Linux, 0, 0, "armv6l"}, ""},
		{"macosx_10_9_x86_64", PlatformTag{MacOS, 10, 9, "x86_64"}, ""},
		{"macosx_11_0_universal2", PlatformTag{MacOS, 11, 0, "universal2"}, ""},
		{"win32", PlatformTag{Windows, 0, 0, "x86"}, ""},
		{"WIN_AMD64", PlatformTag{Windows, 0, 0, "amd64"}, "win_amd64"},
		{"win_arm64", PlatformTag{Windows, 0, 0, "arm64"}, ""},
		{"ios_13_0_arm64_iphoneos", PlatformTag{IOS, 13, 0, "arm64_iphoneos"}, ""},
		{"android_21_arm64_v8a", PlatformTag{Android, 21, 0, "arm64_v8a"}, ""},
		{"pyodide_2024_0_wasm32", PlatformTag{Pyodide, 2024, 0, "wasm32"}, ""},
		{"emscripten_3_1_58_wasm32", PlatformTag{Arch: "emscripten_3_1_58_wasm32"}, ""},
		{"manylinux_x86_64", PlatformTag{Arch: "manylinux_x86_64"}, ""},
		{"manylinux_2_99999999999999999999_x86_64", PlatformTag{Arch: "manylinux_2_99999999999999999999_x86_64"}, ""},
		{"macosx_10_9", PlatformTag{Arch: "macosx_10_9"}, ""},
		{"", PlatformTag{}, ""},
	}
	for _, tt := range tests {
		got := ParsePlatform(tt.in)
		if got != tt.want {
			t.Errorf("ParsePlatform(%q) = %+v, want %+v", tt.in, got, tt.want)
		}
		modern := tt.modern
		if modern == "" {
			modern = tt.in
		}
		if got.String() != modern {
			t.Errorf("ParsePlatform(%q).String() = %q, want %q", tt.in, got.String(), modern)
		}
	}
}

// PEP 600: three tags have an older name.
func TestLegacyManylinux(t *testing.T) {
	for modern, want := range map[string]string{
		"manylinux_2_5_x86_64": "manylinux1_x86_64", "manylinux_2_12_i686": "manylinux2010_i686",
		"manylinux_2_17_s390x": "manylinux2014_s390x", "manylinux_2_28_x86_64": "", "musllinux_1_2_x86_64": "", "any": "",
	} {
		got, ok := ParsePlatform(modern).Legacy()
		if got != want || ok != (want != "") {
			t.Errorf("the old name of %s is %q, %v, want %q", modern, got, ok, want)
		}
		if ok && ParsePlatform(got) != ParsePlatform(modern) {
			t.Errorf("%s and %s are not the same platform", got, modern)
		}
	}
}

func FuzzParseTags(f *testing.F) {
	for _, s := range []string{"py2.py3-none-any", "..-.-.", "--", "cp39-abi3-manylinux2014_x86_64.musllinux_1_1_x86_64"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 255 {
			t.Skip("longer than a file name: the product of the sets is too large to try")
		}
		tags, err := ParseTags(s)
		if err != nil {
			return
		}
		if len(tags) == 0 {
			t.Errorf("ParseTags(%q) is empty", s)
		}
		for _, tag := range tags {
			p := ParsePlatform(tag.Platform)
			if again := ParsePlatform(p.String()); again != p {
				t.Errorf("platform %q is %+v, and of %q %+v", tag.Platform, p, p.String(), again)
			}
		}
	})
}
