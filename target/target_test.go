package target_test

import (
	"slices"
	"strings"
	"testing"

	"nestgen/packaging"
	"nestgen/target"
)

func parse(t testing.TB, name string) *target.Target {
	t.Helper()
	machine, err := target.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return &machine
}

// What pip says of some machines, recorded from pip 24.2: the Pythons and ABIs
// in order, each with all platforms in order, then those without a platform.
func TestRecordedTags(t *testing.T) {
	for _, tt := range []struct{ name, pythons, platforms, pure string }{
		{
			"cp312-linux-x86_64",
			"cp312-cp312 cp312-abi3 cp312-none cp311-abi3 cp310-abi3 cp39-abi3 cp38-abi3 cp37-abi3 cp36-abi3 cp35-abi3 cp34-abi3 cp33-abi3 cp32-abi3 " +
				"py312-none py3-none py311-none py310-none py39-none py38-none py37-none py36-none py35-none py34-none py33-none py32-none py31-none py30-none",
			"manylinux_2_28 manylinux_2_27 manylinux_2_26 manylinux_2_25 manylinux_2_24 manylinux_2_23 manylinux_2_22 manylinux_2_21 manylinux_2_20 manylinux_2_19 " +
				"manylinux_2_18 manylinux_2_17 manylinux2014 manylinux_2_16 manylinux_2_15 manylinux_2_14 manylinux_2_13 manylinux_2_12 manylinux2010 manylinux_2_11 " +
				"manylinux_2_10 manylinux_2_9 manylinux_2_8 manylinux_2_7 manylinux_2_6 manylinux_2_5 manylinux1 linux +x86_64",
			"cp312 py312 py3 py311 py310 py39 py38 py37 py36 py35 py34 py33 py32 py31 py30",
		},
		{
			"cp27-manylinux2014_aarch64",
			"cp27-cp27mu cp27-none py27-none py2-none py26-none py25-none py24-none py23-none py22-none py21-none py20-none",
			"manylinux_2_17 manylinux2014 linux +aarch64",
			"cp27 py27 py2 py26 py25 py24 py23 py22 py21 py20",
		},
		{
			"cp33-musllinux-x86_64",
			"cp33-cp33m cp33-abi3 cp33-none cp32-abi3 py33-none py3-none py32-none py31-none py30-none",
			"musllinux_1_2 musllinux_1_1 musllinux_1_0 linux +x86_64",
			"cp33 py33 py3 py32 py31 py30",
		},
		{
			"pp36-macosx_12_3_arm64",
			"pp36-pypy36_pp73 pp36-none py36-none py3-none py35-none py34-none py33-none py32-none py31-none py30-none",
			"macosx_12_0_arm64 macosx_12_0_universal2 macosx_11_0_arm64 macosx_11_0_universal2 macosx_10_16_universal2 macosx_10_15_universal2 " +
				"macosx_10_14_universal2 macosx_10_13_universal2 macosx_10_12_universal2 macosx_10_11_universal2 macosx_10_10_universal2 macosx_10_9_universal2 " +
				"macosx_10_8_universal2 macosx_10_7_universal2 macosx_10_6_universal2 macosx_10_5_universal2 macosx_10_4_universal2",
			"pp36 py36 py3 py35 py34 py33 py32 py31 py30",
		},
		{
			"cp32-macosx_10_5_x86_64",
			"cp32-cp32m cp32-abi3 cp32-none py32-none py3-none py31-none py30-none",
			"macosx_10_5_x86_64 macosx_10_5_intel macosx_10_5_fat64 macosx_10_5_fat3 macosx_10_5_universal2 macosx_10_5_universal " +
				"macosx_10_4_x86_64 macosx_10_4_intel macosx_10_4_fat64 macosx_10_4_fat3 macosx_10_4_universal2 macosx_10_4_universal",
			"cp32 py32 py3 py31 py30",
		},
		{
			"cp27-windows-x86",
			"cp27-cp27m cp27-none py27-none py2-none py26-none py25-none py24-none py23-none py22-none py21-none py20-none",
			"win32",
			"cp27 py27 py2 py26 py25 py24 py23 py22 py21 py20",
		},
	} {
		platforms := strings.Fields(tt.platforms)
		if last := len(platforms) - 1; strings.HasPrefix(platforms[last], "+") {
			arch := platforms[last][1:]
			platforms = platforms[:last]
			for i := range platforms {
				platforms[i] += "_" + arch
			}
		}
		var want []string
		for _, python := range strings.Fields(tt.pythons) {
			for _, platform := range platforms {
				want = append(want, python+"-"+platform)
			}
		}
		for _, python := range strings.Fields(tt.pure) {
			want = append(want, python+"-none-any")
		}
		if got := texts(parse(t, tt.name).Tags()); !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.name, got, want)
		}
	}
}

// Files of one version in the order in which pip wants them; those behind the
// bar it does not take.
func TestRank(t *testing.T) {
	for _, tt := range []struct {
		target string
		files  []string
	}{
		{"cp312-linux-x86_64", []string{
			"foo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl",
			"foo-1.0-2-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
			"foo-1.0-1_x-cp312-cp312-manylinux_2_17_x86_64.whl",
			"foo-1.0-1-cp312-cp312-manylinux_2_17_x86_64.whl",
			"foo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl",
			"foo-1.0-10-CP312-cp312-MANYLINUX2014_x86_64.whl",
			"foo-1.0-cp312-cp312-linux_x86_64.whl",
			"foo-1.0-cp312-abi3-manylinux1_x86_64.whl",
			"foo-1.0-cp39-abi3-manylinux_2_28_x86_64.whl",
			"foo-1.0-cp38.cp39-abi3.none-manylinux_2_5_x86_64.win32.whl",
			"foo-1.0-py3-none-manylinux_2_28_x86_64.whl",
			"foo-1.0-cp312-none-any.whl",
			"foo-1.0-py312-none-any.whl",
			"foo-1.0-py2.py3-none-any.whl",
			"foo-1.0-py310-none-any.whl",
			"foo-1.0.tar.gz",
			"|",
			"foo-1.0-cp312-cp312-manylinux_2_29_x86_64.whl",
			"foo-1.0-cp312-cp312-musllinux_1_2_x86_64.whl",
			"foo-1.0-cp312-cp312-manylinux_2_17_aarch64.whl",
			"foo-1.0-cp312-cp312t-manylinux_2_17_x86_64.whl",
			"foo-1.0-cp313-abi3-manylinux_2_17_x86_64.whl",
			"foo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl",
			"foo-1.0-cp311-none-any.whl",
			"foo-1.0-cp312-abi3-any.whl",
			"foo-1.0-py313-none-any.whl",
			"foo-1.0-py2-none-any.whl",
			"foo-1.0-py3-none-win_amd64.whl",
			"foo-1.0-py3.12.egg",
			"foo-1.0.linux-x86_64.tar.gz",
		}},
		{"cp313t-windows-arm64", []string{
			"foo-1.0-cp313-cp313t-win_arm64.whl", "foo-1.0-cp312-abi3t-win_arm64.whl", "foo-1.0-py3-none-any.whl", "foo-1.0.zip",
			"|", "foo-1.0-cp313-cp313-win_arm64.whl", "foo-1.0-cp312-abi3-win_arm64.whl", "foo-1.0-cp313-cp313t-win_amd64.whl",
		}},
		{"pp311-macos-x86_64", []string{
			"foo-1.0-pp311-pypy311_pp73-macosx_13_0_universal2.whl", "foo-1.0-pp311-pypy311_pp73-macosx_10_9_x86_64.whl",
			"foo-1.0-pp311-none-any.whl", "foo-1.0-py311-none-any.whl", "foo-1.0.tar.bz2",
			"|", "foo-1.0-pp311-pypy311_pp73-macosx_14_0_x86_64.whl", "foo-1.0-pp3-none-any.whl", "foo-1.0-cp311-none-any.whl", "foo-1.0-cp311-abi3-macosx_10_9_x86_64.whl",
		}},
	} {
		machine := parse(t, tt.target)
		var files []packaging.Filename
		taken := -1
		for i, name := range tt.files {
			if name == "|" {
				taken = i
				continue
			}
			f, err := packaging.ParseFilename(name, "foo")
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		for i, f := range files {
			_, ok := machine.Rank(f)
			if ok != (i < taken) {
				t.Errorf("%s: %+v is taken: %v", tt.target, f, ok)
			}
			for j, g := range files {
				want := 0
				if i < j && i < taken {
					want = -1
				} else if j < i && j < taken {
					want = 1
				}
				if got := machine.Compare(f, g); got != want {
					t.Errorf("%s: Compare(%+v, %+v) = %d, want %d", tt.target, f, g, got, want)
				}
			}
		}
	}
}

func TestTakes(t *testing.T) {
	const linux, mac, win, old = "cp312-linux-x86_64", "cp311-macos-arm64", "cp310-windows-amd64", "cp27-windows-x86"
	for _, tt := range []struct {
		file  string
		takes []string
	}{
		{"foo-1.0.tar.gz", []string{linux, mac, win, old}},
		{"foo-1.0-py3-none-any.whl", []string{linux, mac, win}},
		{"foo-1.0-py2.7.egg", []string{old}},
		{"foo-1.0.egg", []string{linux, mac, win, old}},
		{"foo-1.0-py3.12-linux-x86_64.egg", []string{linux}},
		{"foo-1.0-py3.11-macosx-11.0-arm64.egg", []string{mac}},
		{"foo-1.0-py3.11-macosx-14.0-arm64.egg", nil},
		{"foo-1.0.win32-py2.7.exe", []string{old}},
		{"foo-1.0.win32.exe", []string{old}},
		{"foo-1.0.win-amd64.msi", []string{win}},
		{"foo-1.0.exe", []string{win, old}},
		{"foo-1.0.linux-x86_64.tar.gz", []string{linux}},
		{"foo-1.0-1.noarch.rpm", []string{linux}},
		{"foo-1.0-1.i386.rpm", nil},
		{"python3-foo_1.0-1_amd64.deb", []string{linux}},
		{"foo-1.0.dmg", []string{mac}},
	} {
		f, err := packaging.ParseFilename(tt.file, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{linux, mac, win, old} {
			if got, want := parse(t, name).Takes(f), slices.Contains(tt.takes, name); got != want {
				t.Errorf("%s takes %s (%+v): %v, want %v", name, tt.file, f, got, want)
			}
		}
	}
}

func TestMarkers(t *testing.T) {
	for _, tt := range []struct {
		spec   target.Spec
		marker string
		holds  []string
	}{
		{
			target.Spec{Like: "cp312-linux-aarch64"},
			`python_version == "3.12" and platform_python_implementation == "CPython" and sys_platform == "linux" and platform_machine == "aarch64"`,
			[]string{`os_name == "posix"`, `python_full_version >= "3.12.10"`, `implementation_name == "cpython"`, `platform_system == "Linux"`},
		},
		{
			target.Spec{Like: "cp27-musllinux-x86_64"},
			`python_version == "2.7" and platform_python_implementation == "CPython" and sys_platform == "linux2" and platform_machine == "x86_64"`,
			[]string{`python_full_version == "2.7.18"`, `implementation_name == ""`},
		},
		{
			target.Spec{Like: "pp310-windows-amd64"},
			`python_version == "3.10" and platform_python_implementation == "PyPy" and sys_platform == "win32" and platform_machine == "AMD64"`,
			[]string{`os_name == "nt"`, `implementation_name == "pypy"`, `implementation_version >= "7.3"`, `platform_system == "Windows"`, `platform_release == "10"`},
		},
		{
			target.Spec{Like: "cp39-macos-arm64", Python: "3.9.2", MacOS: "14.5"},
			`python_version == "3.9" and platform_python_implementation == "CPython" and sys_platform == "darwin" and platform_machine == "arm64"`,
			[]string{`platform_system == "Darwin"`, `platform_release >= "23.5"`, `python_full_version == "3.9.2"`},
		},
		{
			target.Spec{Like: "cp314-linux-x86_64", Markers: map[string]string{"platform_release": "6.1", "python_full_version": "3.14.0rc1", "platform_machine": "it's"}},
			`python_version == "3.14" and platform_python_implementation == "CPython" and sys_platform == "linux" and platform_machine == "it's" and platform_release == "6.1"`,
			[]string{`python_full_version == "3.14.0rc1"`, `platform_release >= "6"`, `implementation_version == "3.14.0rc1"`},
		},
	} {
		tt.spec.Name = "x"
		machine, err := tt.spec.Target()
		if err != nil {
			t.Errorf("%+v: %v", tt.spec, err)
			continue
		}
		if machine.Marker() != tt.marker {
			t.Errorf("%+v: marker %s\nwant %s", tt.spec, machine.Marker(), tt.marker)
		}
		for _, text := range append(tt.holds, tt.marker) {
			m, err := packaging.ParseMarker(text)
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := m.Eval(&machine.Markers); err != nil || !ok {
				t.Errorf("%+v: %s does not hold: %v", tt.spec, text, err)
			}
		}
	}
}

// Requires-Python is about the numbers alone, as for pip.
func TestSupportsPython(t *testing.T) {
	for _, tt := range []struct {
		python, requires string
		want             bool
	}{
		{"3.9.2", ">=3.9.2", true},
		{"3.9.1", ">=3.9.2", false},
		{"3.14.0rc1", ">=3.14", true},
		{"3.14.0rc1", "<3.14", false},
		{"3.14.0a1+", ">=3.14.0", true},
		{"3.14.0", "", true},
	} {
		minor, _, _ := strings.Cut(strings.TrimPrefix(tt.python, "3."), ".")
		machine, err := target.Spec{Name: "x", Like: "cp3" + minor + "-linux-x86_64", Python: tt.python}.Target()
		if err != nil {
			t.Fatal(err)
		}
		requires, err := packaging.ParseSpecifiers(tt.requires)
		if err != nil {
			t.Fatal(err)
		}
		if got := machine.SupportsPython(requires); got != tt.want {
			t.Errorf("%s on %s: %v", tt.requires, tt.python, got)
		}
	}
}

func TestWholeSpec(t *testing.T) {
	markers := map[string]string{
		"os_name": "posix", "sys_platform": "emscripten", "platform_machine": "wasm32", "platform_python_implementation": "CPython",
		"platform_system": "Emscripten", "implementation_name": "cpython",
	}
	machine, err := target.Spec{
		Name: "pyodide", Python: "3.12.1", Markers: markers,
		Tags: []string{"cp312-cp312-pyodide_2024_0_wasm32", "py3.py2-none-any", "py3-none-any"},
	}.Target()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(texts(machine.Tags()), " "); got != "cp312-cp312-pyodide_2024_0_wasm32 py2-none-any py3-none-any" {
		t.Errorf("tags: %s", got)
	}
	if machine.Markers.PythonVersion != "3.12" || machine.Markers.ImplementationVersion != "3.12.1" || machine.Markers.PlatformSystem != "Emscripten" {
		t.Errorf("%+v", machine.Markers)
	}
	replaced, err := target.Spec{Name: "x", Like: "cp312-linux-x86_64", Tags: []string{"py3-none-any"}}.Target()
	if err != nil || len(replaced.Tags()) != 1 {
		t.Errorf("%v, %v", replaced.Tags(), err)
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		spec target.Spec
		want string
	}{
		{target.Spec{Like: "cp312-linux-amd64"}, `no architecture of linux is called "amd64": there are x86_64, aarch64, i686, armv7l, armv6l, ppc64le, ppc64, s390x, riscv64, loongarch64; did you mean "cp312-linux-x86_64"? (want PYTHON-SYSTEM-ARCH`},
		{target.Spec{Like: "cp312-windows-x86_64"}, `did you mean "cp312-windows-amd64"?`},
		{target.Spec{Like: "python3.11-darwin-arm64"}, `did you mean "cp311-macos-arm64"?`},
		{target.Spec{Like: "py312-win-amd64"}, `did you mean "cp312-windows-amd64"?`},
		{target.Spec{Like: "cp312-linux_x86_64"}, `neither SYSTEM-ARCH nor the platform tag of a manylinux, musllinux, macosx or win; did you mean "cp312-linux-x86_64"?`},
		{target.Spec{Like: "cp312-linus-x86_64"}, `no system is called "linus"; did you mean "cp312-linux-x86_64"?`},
		{target.Spec{Like: "CP312-Linux-AArch64"}, `did you mean "cp312-linux-aarch64"?`},
		{target.Spec{Like: "3.12"}, `no dash behind the Python; did you mean "cp312-linux-x86_64"? (want`},
		{target.Spec{Like: "cp311-darwin"}, `did you mean "cp311-macos-arm64"?`},
		{target.Spec{Like: "cp312-windows"}, `no architecture stands behind windows: there are amd64, arm64, x86; did you mean "cp312-windows-amd64"?`},
		{target.Spec{Like: "pypy311_linux_aarch64"}, `did you mean "pp311-linux-aarch64"?`},
		{target.Spec{Like: "cp12-win64"}, `did you mean "cp312-windows-amd64"?`},
		{target.Spec{Like: "musllinux-aarch64"}, `did you mean "cp315-musllinux-aarch64"?`},
		{target.Spec{Like: "cp312-manylinux2014-x86_64"}, `no system is called "manylinux2014"; did you mean "cp312-linux-x86_64"?`},
		{target.Spec{Like: "x86_64-unknown-linux-gnu"}, `no system is called "unknown" (want`},
		{target.Spec{Like: "cp-linux-x86_64"}, "no version such as 27 or 312 behind cp"},
		{target.Spec{Like: "cp28-linux-x86_64"}, "there is no Python 2.8"},
		{target.Spec{Like: "cp300-linux-x86_64"}, "no version"},
		{target.Spec{Like: "cp312t-linux-x86_64"}, "free-threaded (t) begins with 3.13"},
		{target.Spec{Like: "cp312m-linux-x86_64"}, "the letters m and u ended with 3.7"},
		{target.Spec{Like: "cp33mu-linux-x86_64"}, "the letter u ended with 3.2"},
		{target.Spec{Like: "cp27um-linux-x86_64"}, `its letters "um" are not of t, d, m and u in this order`},
		{target.Spec{Like: "pp310t-linux-x86_64"}, "PyPy's ABI has no letters"},
		{target.Spec{Like: "cp312-manylinux_2_200_x86_64"}, "glibc 2.200: there is none of this version"},
		{target.Spec{Like: "cp312-macosx_10_9_arm64"}, "macOS 10.9: arm64 begins with 11.0"},
		{target.Spec{Like: "cp312-linux-x86_64", Musl: "1.2"}, `musl = "1.2": cp312-linux-x86_64 is no musllinux`},
		{target.Spec{Like: "cp312-linux-x86_64", Glibc: "2"}, ""},
		{target.Spec{Like: "cp312-linux-x86_64", Glibc: "two"}, `glibc = "two": want two numbers with a dot between them`},
		{target.Spec{Like: "cp312-linux-x86_64", Glibc: "3.1"}, "there is none of this version"},
		{target.Spec{Like: "cp312-linux-x86_64", Python: "3.11.2"}, `python = "3.11.2": cp312-linux-x86_64 is Python 3.12`},
		{target.Spec{Like: "cp312-linux-x86_64", Python: "3.12"}, "want three numbers such as 3.9.2"},
		{target.Spec{Like: "cp312-linux-x86_64", Tags: []string{"py3-none"}}, `tag set "py3-none": not of the form`},
		{target.Spec{Like: "cp312-linux-x86_64", Tags: []string{"py3.-none-any"}}, `"py3.-none-any" has an empty part`},
		{target.Spec{Like: "cp312-linux-x86_64", Tags: []string{strings.Repeat("a.", 300) + "a-" + strings.Repeat("a.", 300) + "a-any"}}, "tags: more than 50000"},
		{target.Spec{Like: "cp312-linux-x86_64", Markers: map[string]string{"extra": "x"}}, `there is no "extra" that describes a machine`},
		{target.Spec{Like: "cp312-linux-x86_64", Markers: map[string]string{"os_name": "'\""}}, "without both kinds of quotes"},
		{target.Spec{Like: "cp312-linux-x86_64", Markers: map[string]string{"python_version": "3.11"}}, `python_version = "3.11" does not go with Python 3.12.`},
		{target.Spec{Tags: []string{"py3-none-any"}}, `python = "": want three numbers`},
		{target.Spec{Tags: []string{"py3-none-any"}, Python: "3.9.2"}, "markers must have os_name"},
		{target.Spec{Python: "3.9.2"}, "tags must give every tag"},
		{target.Spec{Glibc: "2.31"}, "glibc needs like"},
	} {
		tt.spec.Name = "x"
		_, err := tt.spec.Target()
		if tt.want == "" {
			if tt.spec.Glibc == "2" && err != nil {
				t.Errorf("%+v: %v", tt.spec, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "environment ") {
			t.Errorf("%+v: %v\nwant %s", tt.spec, err, tt.want)
		}
	}
	if _, err := (target.Spec{Name: "a b", Like: "cp312-linux-x86_64"}).Target(); err == nil {
		t.Error("a name with a space is taken")
	}
}

// Whatever the name, a target can be used: its best tag is its own Python's, it
// takes what is for all, and its marker holds on itself.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"cp312-linux-x86_64", "pp27-macosx_10_4_x86_64", "cp313td-win32", "cp32dmu-musllinux_1_9_armv6l", "cp399-manylinux_2_99_i686", "py3-any", "--", "cp2"} {
		f.Add(s)
	}
	pure, err := packaging.ParseWheel("foo-1.0-py2.py3-none-any.whl")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		machine, err := target.Parse(name)
		if err != nil {
			if len(err.Error()) > 1500 {
				t.Errorf("the error for %q is %d bytes long", name, len(err.Error()))
			}
			return
		}
		if _, ok := machine.Rank(pure); !ok || machine.Name != name || len(machine.Tags()) > 50_000 {
			t.Errorf("%s takes %s: %v; %d tags", name, "py2.py3-none-any", ok, len(machine.Tags()))
		}
		m, err := packaging.ParseMarker(machine.Marker())
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := m.Eval(&machine.Markers); err != nil || !ok {
			t.Errorf("%s: %s does not hold on it: %v", name, m, err)
		}
	})
}

func BenchmarkRank(b *testing.B) {
	machine := parse(b, "cp312-linux-x86_64")
	file, err := packaging.ParseWheel("foo-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		machine.Rank(file)
	}
}
