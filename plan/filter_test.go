package plan_test

import (
	"cmp"
	"encoding"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/target"
)

// filterTime is the time of these runs.
var filterTime = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// read reads the written form of a setting.
func read[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](t testing.TB, text string) (v T) {
	t.Helper()
	if err := P(&v).UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return v
}

func readAll[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](t testing.TB, texts string) []T {
	t.Helper()
	all := []T{}
	for _, text := range strings.Fields(texts) {
		all = append(all, read[T, P](t, text))
	}
	return all
}

// filter reads "key value" lines.
func filter(t testing.TB, lines ...string) *plan.Filter {
	t.Helper()
	f := &plan.Filter{Now: filterTime.UnixMicro(), Rules: map[string]string{}}
	for _, line := range lines {
		key, value, _ := strings.Cut(line, " ")
		f.Rules[key] = key + " = " + value
		switch key {
		case plan.RulePython:
			f.Python = read[plan.Pythons](t, value)
		case plan.RuleImplementations:
			f.Implementations = readAll[plan.Implementation](t, value)
		case plan.RuleABIs:
			f.ABIs = readAll[plan.ABI](t, value)
		case plan.RulePlatforms:
			f.Platforms = readAll[plan.Platform](t, value)
		case plan.RuleUsableBy:
			for _, name := range strings.Fields(value) {
				machine, err := target.Parse(name)
				if err != nil {
					t.Fatal(err)
				}
				f.UsableBy = append(f.UsableBy, &machine)
			}
		case plan.RuleFormats:
			f.Formats = read[plan.Formats](t, value)
		case plan.RulePrereleases:
			f.Prereleases = map[string]packaging.Prereleases{"always": packaging.AllowPrereleases, "never": packaging.DenyPrereleases}[value]
		case plan.RuleNewerThan:
			d, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			f.NewerThan = d
		case plan.RuleMaxFile, plan.RuleMaxRelease, "new":
			var n int64
			if _, err := fmt.Sscan(value, &n); err != nil {
				t.Fatal(err)
			}
			switch key {
			case plan.RuleMaxFile:
				f.MaxFile = n
			case plan.RuleMaxRelease:
				f.MaxRelease = n
			default:
				f.MaxNew = n
				f.Rules[plan.RuleMaxNew] = "max_file"
			}
		default:
			t.Fatalf("no key %s", key)
		}
	}
	return f
}

// offered reads files on offer: behind a name may stand its Requires-Python, its
// size as "10B" and its day as "2026-01-31".
func offered(t testing.TB, lines ...string) (all []catalog.Offer) {
	t.Helper()
	for _, line := range lines {
		parts := strings.Fields(line)
		o := offers(parts[0])[0]
		for _, p := range parts[1:] {
			if n, ok := strings.CutSuffix(p, "B"); ok {
				if _, err := fmt.Sscan(n, &o.Size); err != nil {
					t.Fatal(err)
				}
			} else if day, err := time.Parse(time.DateOnly, p); err == nil {
				o.Uploaded = day.UnixMicro()
			} else {
				o.RequiresPython = p
			}
		}
		all = append(all, o)
	}
	return all
}

const many = "foo>=0\n"

func TestFilter(t *testing.T) {
	for _, tt := range []struct {
		name   string
		filter []string
		list   string // instead of every version
		offers []string
		has    []string
		want   []string // the files that are fetched or stay, and "x FILE: OBJECTION"
	}{
		{
			name: "nothing is said", filter: nil, offers: []string{"foo-1.0-py2-none-any.whl", "foo-1.0-py2.5.egg"},
			want: []string{"+foo-1.0-py2-none-any.whl", "+foo-1.0-py2.5.egg"},
		},
		{
			name: "python by tags", filter: []string{"python >=3.9"},
			offers: []string{
				"foo-1.0-py3-none-any.whl", "foo-1.0-py2.py3-none-any.whl", "foo-1.0-py2-none-any.whl", "foo-1.0-py38-none-any.whl", "foo-1.0-cp38-cp38-win32.whl", "foo-1.0-cp38-cp38-win_amd64.whl",
				"foo-1.0-cp38-abi3-win32.whl", "foo-1.0-cp39-cp39-win32.whl", "foo-1.0-cp38-none-any.whl", "foo-1.0-pp38-pypy38_pp73-win32.whl",
				"foo-1.0-cp313-cp313t-win32.whl", "foo-1.0-cp316-cp316-win32.whl", "foo-1.0-py3.8.egg", "foo-1.0-py3.9.egg", "foo-1.0.win32-py2.7.exe", "foo-1.0.win32.exe", "foo-1.0.tar.gz",
			},
			want: []string{
				"+foo-1.0-cp313-cp313t-win32.whl", "+foo-1.0-cp316-cp316-win32.whl", "+foo-1.0-cp38-abi3-win32.whl", "+foo-1.0-cp39-cp39-win32.whl", "+foo-1.0-py2.py3-none-any.whl", "+foo-1.0-py3-none-any.whl",
				"+foo-1.0-py3.9.egg", "+foo-1.0-py38-none-any.whl", "+foo-1.0.tar.gz", "+foo-1.0.win32.exe",
				"x foo-1.0-cp38-cp38-win32.whl: python = >=3.9: it is for cp38-cp38",
				"x foo-1.0-cp38-cp38-win_amd64.whl: python = >=3.9: it is for cp38-cp38",
				"x foo-1.0-cp38-none-any.whl: python = >=3.9: it is for cp38-none",
				"x foo-1.0-pp38-pypy38_pp73-win32.whl: python = >=3.9: it is for pp38-pypy38_pp73",
				"x foo-1.0-py2-none-any.whl: python = >=3.9: it is for py2-none",
				"x foo-1.0-py3.8.egg: python = >=3.9: it is for Python 3.8",
				"x foo-1.0.win32-py2.7.exe: python = >=3.9: it is for Python 2.7",
			},
		},
		{
			name: "python by Requires-Python", filter: []string{"python >=3.9,<3.13"},
			offers: []string{
				"foo-1.0.tar.gz <3.9", "foo-1.1.tar.gz >=2.7,!=3.0.*", "foo-1.2.tar.gz >=3.13", "foo-1.3.tar.gz nonsense", "foo-1.4.tar.gz >=3.12.3",
				"foo-1.5-cp39-cp39-win32.whl >=3.10", "foo-1.6-cp39-abi3-win32.whl >=3.10", "foo-1.7.tar.gz <=3.9", "foo-1.8.tar.gz >=4",
			},
			want: []string{
				"+foo-1.1.tar.gz", "+foo-1.3.tar.gz", "+foo-1.4.tar.gz", "+foo-1.6-cp39-abi3-win32.whl", "+foo-1.7.tar.gz",
				`x foo-1.0.tar.gz: python = >=3.9,<3.13: its Requires-Python is "<3.9"`,
				`x foo-1.2.tar.gz: python = >=3.9,<3.13: its Requires-Python is ">=3.13"`,
				`x foo-1.5-cp39-cp39-win32.whl: python = >=3.9,<3.13: it is for cp39-cp39, and its Requires-Python is ">=3.10"`,
				`x foo-1.8.tar.gz: python = >=3.9,<3.13: its Requires-Python is ">=4"`,
			},
		},
		{
			name: "a patch of the filter and one of Requires-Python must meet", filter: []string{"python ==3.9.1"},
			offers: []string{"foo-1.0.tar.gz >=3.9.2", "foo-1.1.tar.gz >=3.9.1"},
			want:   []string{"+foo-1.1.tar.gz", `x foo-1.0.tar.gz: python = ==3.9.1: its Requires-Python is ">=3.9.2"`},
		},
		{
			name: "implementations", filter: []string{"implementations cpython"},
			offers: []string{"foo-1.0-cp39-cp39-win32.whl", "foo-1.0-pp39-pypy39_pp73-win32.whl", "foo-1.0-pp39.cp39-none-any.whl", "foo-1.0-py3-none-any.whl", "foo-1.0-graalpy311-graalpy242_311_native-win32.whl", "foo-1.0.zip"},
			want: []string{
				"+foo-1.0-cp39-cp39-win32.whl", "+foo-1.0-pp39.cp39-none-any.whl", "+foo-1.0-py3-none-any.whl", "+foo-1.0.zip",
				"x foo-1.0-graalpy311-graalpy242_311_native-win32.whl: implementations = cpython: its tags are for graalpy311",
				"x foo-1.0-pp39-pypy39_pp73-win32.whl: implementations = cpython: its tags are for pp39",
			},
		},
		{
			name: "abis", filter: []string{"abis none stable ordinary cp314t"},
			offers: []string{
				"foo-1.0-cp39-cp39-win32.whl", "foo-1.0-cp313-cp313t-win32.whl", "foo-1.0-cp314-cp314t-win32.whl", "foo-1.0-cp314-cp314td-win32.whl", "foo-1.0-cp39-abi3-win32.whl",
				"foo-1.0-cp314-abi3t-win32.whl", "foo-1.0-cp314-abi3.abi3t-win32.whl", "foo-1.0-cp27-cp27mu-win32.whl", "foo-1.0-pp39-pypy39_pp73-win32.whl", "foo-1.0-py3-none-any.whl", "foo-1.0.zip",
			},
			want: []string{
				"+foo-1.0-cp27-cp27mu-win32.whl", "+foo-1.0-cp314-abi3.abi3t-win32.whl", "+foo-1.0-cp314-cp314t-win32.whl", "+foo-1.0-cp39-abi3-win32.whl", "+foo-1.0-cp39-cp39-win32.whl",
				"+foo-1.0-pp39-pypy39_pp73-win32.whl", "+foo-1.0-py3-none-any.whl", "+foo-1.0.zip",
				"x foo-1.0-cp313-cp313t-win32.whl: abis = none stable ordinary cp314t: its ABI is cp313t",
				"x foo-1.0-cp314-abi3t-win32.whl: abis = none stable ordinary cp314t: its ABI is abi3t",
				"x foo-1.0-cp314-cp314td-win32.whl: abis = none stable ordinary cp314t: its ABI is cp314td",
			},
		},
		{
			name: "platforms", filter: []string{"platforms linux-x86_64 macos-arm64 musllinux_1_1_aarch64 freebsd"},
			offers: []string{
				"foo-1.0-py3-none-any.whl", "foo-1.0-py3-none-manylinux_2_39_x86_64.whl", "foo-1.0-py3-none-linux_x86_64.whl", "foo-1.0-py3-none-manylinux1_i686.manylinux2014_x86_64.whl",
				"foo-1.0-py3-none-manylinux2014_aarch64.whl", "foo-1.0-py3-none-musllinux_1_1_aarch64.whl", "foo-1.0-py3-none-musllinux_1_2_aarch64.whl", "foo-1.0-py3-none-musllinux_1_1_x86_64.whl",
				"foo-1.0-py3-none-macosx_10_9_universal2.whl", "foo-1.0-py3-none-macosx_11_0_arm64.whl", "foo-1.0-py3-none-macosx_10_9_x86_64.whl", "foo-1.0-py3-none-win_amd64.whl",
				"foo-1.0-py3-none-freebsd_13_2_release_amd64.whl", "foo-1.0-py2.7-linux-x86_64.egg", "foo-1.0-py2.7-win32.egg", "foo-1.0-py2.7.egg", "foo-1.0.exe", "foo-1.0.dmg",
				"foo-1.0-1.noarch.rpm", "foo_1.0-1_i386.deb", "foo-1.0.tar.gz",
			},
			want: []string{
				"+foo-1.0-1.noarch.rpm", "+foo-1.0-py2.7-linux-x86_64.egg", "+foo-1.0-py2.7.egg", "+foo-1.0-py3-none-any.whl", "+foo-1.0-py3-none-freebsd_13_2_release_amd64.whl", "+foo-1.0-py3-none-linux_x86_64.whl",
				"+foo-1.0-py3-none-macosx_10_9_universal2.whl", "+foo-1.0-py3-none-macosx_11_0_arm64.whl", "+foo-1.0-py3-none-manylinux1_i686.manylinux2014_x86_64.whl", "+foo-1.0-py3-none-manylinux_2_39_x86_64.whl",
				"+foo-1.0-py3-none-musllinux_1_1_aarch64.whl", "+foo-1.0.dmg", "+foo-1.0.tar.gz",
				"x foo-1.0-py2.7-win32.egg: PLATFORMS: it is for win32", "x foo-1.0-py3-none-macosx_10_9_x86_64.whl: PLATFORMS: it is for macosx_10_9_x86_64",
				"x foo-1.0-py3-none-manylinux2014_aarch64.whl: PLATFORMS: it is for manylinux2014_aarch64", "x foo-1.0-py3-none-musllinux_1_1_x86_64.whl: PLATFORMS: it is for musllinux_1_1_x86_64",
				"x foo-1.0-py3-none-musllinux_1_2_aarch64.whl: PLATFORMS: it is for musllinux_1_2_aarch64", "x foo-1.0-py3-none-win_amd64.whl: PLATFORMS: it is for win_amd64",
				"x foo-1.0.exe: PLATFORMS: it is a Windows installer", "x foo_1.0-1_i386.deb: PLATFORMS: it is for i386",
			},
		},
		{
			name: "only what runs everywhere", filter: []string{"platforms any"},
			offers: []string{"foo-1.0-py3-none-any.whl", "foo-1.0-py3-none-win32.whl", "foo-1.0.tar.gz"},
			want:   []string{"+foo-1.0-py3-none-any.whl", "+foo-1.0.tar.gz", "x foo-1.0-py3-none-win32.whl: platforms = any: it is for win32"},
		},
		{
			name: "an empty list lifts", filter: []string{"platforms ", "implementations ", "abis ", "python *", "formats all"},
			offers: []string{"foo-1.0-cp39-cp39-win32.whl", "foo-1.0.tar.gz"}, want: []string{"+foo-1.0-cp39-cp39-win32.whl", "+foo-1.0.tar.gz"},
		},
		{
			name: "usable by", filter: []string{"usable_by cp312-linux-x86_64 cp39-windows-amd64"},
			offers: []string{
				"foo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl", "foo-1.0-cp312-cp312-manylinux_2_29_x86_64.whl", "foo-1.0-cp39-cp39-win_amd64.whl", "foo-1.0-cp312-cp312-win_amd64.whl",
				"foo-1.0-py3-none-any.whl >=3.10", "foo-1.0.tar.gz <3.9", "foo-1.0-py3.9.egg", "foo-1.0-py3.8.egg",
			},
			want: []string{
				"+foo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl", "+foo-1.0-cp39-cp39-win_amd64.whl", "+foo-1.0-py3-none-any.whl", "+foo-1.0-py3.9.egg",
				"x foo-1.0-cp312-cp312-manylinux_2_29_x86_64.whl: usable_by = cp312-linux-x86_64 cp39-windows-amd64: it is for cp312-cp312-manylinux_2_29_x86_64",
				"x foo-1.0-cp312-cp312-win_amd64.whl: usable_by = cp312-linux-x86_64 cp39-windows-amd64: it is for cp312-cp312-win_amd64",
				"x foo-1.0-py3.8.egg: usable_by = cp312-linux-x86_64 cp39-windows-amd64: it is for Python 3.8",
				`x foo-1.0.tar.gz: usable_by = cp312-linux-x86_64 cp39-windows-amd64: its Requires-Python is "<3.9"`,
			},
		},
		{
			name: "wheels, else sdists", filter: []string{"platforms linux", "formats wheels, else sdist"},
			offers: []string{"foo-1.0.tar.gz", "foo-1.0-py3-none-any.whl", "foo-1.1.tar.gz", "foo-1.2.tar.gz", "foo-1.2-py3-none-win32.whl", "foo-1.2-py3.9.egg"},
			want: []string{
				"+foo-1.0-py3-none-any.whl", "+foo-1.1.tar.gz", "+foo-1.2.tar.gz",
				"x foo-1.0.tar.gz: formats = wheels, else sdist: it is an sdist, and 1.0 has wheels",
				"x foo-1.2-py3-none-win32.whl: platforms = linux: it is for win32",
				"x foo-1.2-py3.9.egg: formats = wheels, else sdist: it is an egg",
			},
		},
		{
			name: "for each machine by itself", filter: []string{"usable_by cp312-linux-x86_64 cp312-windows-amd64", "formats wheels, else sdists"},
			offers: []string{"foo-1.0.tar.gz", "foo-1.0-py3-none-win_amd64.whl", "foo-1.1.tar.gz", "foo-1.1-py3-none-win_amd64.whl", "foo-1.1-py3-none-manylinux1_x86_64.whl"},
			want: []string{
				"+foo-1.0-py3-none-win_amd64.whl", "+foo-1.0.tar.gz", "+foo-1.1-py3-none-manylinux1_x86_64.whl", "+foo-1.1-py3-none-win_amd64.whl",
				"x foo-1.1.tar.gz: formats = wheels, else sdists: it is an sdist, and 1.1 has wheels",
			},
		},
		{
			name: "a version in two spellings is one", filter: []string{"formats wheels, else sdists"},
			offers: []string{"foo-1.0.0.tar.gz", "foo-1.0-py3-none-any.whl"},
			want:   []string{"+foo-1.0-py3-none-any.whl", "x foo-1.0.0.tar.gz: formats = wheels, else sdists: it is an sdist, and 1.0.0 has wheels"},
		},
		{
			name: "sdists and eggs", filter: []string{"formats sdists and eggs, else installers"},
			offers: []string{"foo-1.0.zip", "foo-1.0-py2.7.egg", "foo-1.0.win32.exe", "foo-1.1.win32.exe", "foo-1.0-py3-none-any.whl"},
			want: []string{
				"+foo-1.0-py2.7.egg", "+foo-1.0.zip", "+foo-1.1.win32.exe",
				"x foo-1.0-py3-none-any.whl: formats = sdists and eggs, else installers: it is a wheel",
				"x foo-1.0.win32.exe: formats = sdists and eggs, else installers: it is a Windows installer, and 1.0 has sdists and eggs",
			},
		},
		{
			name: "no pre-releases", filter: []string{"prereleases never"},
			offers: []string{"foo-1.0.tar.gz", "foo-2.0rc1.tar.gz", "foo-2.0.dev1.tar.gz"},
			want: []string{
				"+foo-1.0.tar.gz", "x foo-2.0.dev1.tar.gz: prereleases = never: 2.0.dev1 is a pre-release, which no line names",
				"x foo-2.0rc1.tar.gz: prereleases = never: 2.0rc1 is a pre-release, which no line names",
			},
		},
		{
			name: "but the one that a line names, for this line alone", filter: []string{"prereleases never"}, list: "foo\nfoo==2.0rc1\n",
			offers: []string{"foo-1.0.tar.gz", "foo-2.0rc1.tar.gz", "foo-2.0rc2.tar.gz"},
			want:   []string{"+foo-1.0.tar.gz", "+foo-2.0rc1.tar.gz", "x foo-2.0rc2.tar.gz: prereleases = never: 2.0rc2 is a pre-release, which no line names"},
		},
		{
			name: "and all where the list wants them", filter: []string{"prereleases never"}, list: "--pre\nfoo\n",
			offers: []string{"foo-1.0.tar.gz", "foo-2.0rc1.tar.gz"}, want: []string{"+foo-1.0.tar.gz", "+foo-2.0rc1.tar.gz"},
		},
		{
			name: "always pre-releases", filter: []string{"prereleases always"}, list: "foo\n",
			offers: []string{"foo-1.0.tar.gz", "foo-2.0rc1.tar.gz"}, want: []string{"+foo-1.0.tar.gz", "+foo-2.0rc1.tar.gz"},
		},
		{
			name: "old versions", filter: []string{"newer_than 8760h"},
			offers: []string{
				"foo-1.0.tar.gz 2020-01-01", "foo-1.1.tar.gz 2020-01-01", "foo-1.1-py3-none-any.whl 2026-01-01", "foo-1.2.tar.gz 2020-01-01", "foo-1.2-py3-none-any.whl",
				"foo-2.0.tar.gz 2021-05-06", "foo-3.0rc1.tar.gz 2021-05-06", "foo-1.3.tar.gz 2025-11-01", "foo-1.4.tar.gz 2025-10-31",
			},
			want: []string{
				"+foo-1.1-py3-none-any.whl", "+foo-1.1.tar.gz", "+foo-1.2-py3-none-any.whl", "+foo-1.2.tar.gz", "+foo-1.3.tar.gz", "+foo-2.0.tar.gz",
				"x foo-1.0.tar.gz: newer_than = 8760h: the newest file of 1.0 is of 2020-01-01",
				"x foo-1.4.tar.gz: newer_than = 8760h: the newest file of 1.4 is of 2025-10-31",
				"x foo-3.0rc1.tar.gz: newer_than = 8760h: the newest file of 3.0rc1 is of 2021-05-06",
			},
		},
		{
			name: "but what is pinned", filter: []string{"newer_than 1h", "python >=3"}, list: "foo\nfoo==1.0\n",
			offers: []string{"foo-1.0.tar.gz 2020-01-01", "foo-1.1.tar.gz 2020-01-01", "foo-2.0.tar.gz 2020-01-01", "foo-3.0-py2-none-any.whl 2020-01-01"},
			want: []string{
				"+foo-1.0.tar.gz", "+foo-2.0.tar.gz", "x foo-1.1.tar.gz: newer_than = 1h: the newest file of 1.1 is of 2020-01-01",
				"x foo-3.0-py2-none-any.whl: python = >=3: it is for py2-none",
			},
		},
		{
			name: "pre-releases, if there is nothing else", filter: []string{"newer_than 1h"},
			offers: []string{"foo-1.0rc1.tar.gz 2020-01-01", "foo-1.0rc2.tar.gz 2020-01-01"},
			want:   []string{"+foo-1.0rc2.tar.gz", "x foo-1.0rc1.tar.gz: newer_than = 1h: the newest file of 1.0rc1 is of 2020-01-01"},
		},
		{
			name: "large files", filter: []string{"max_file 1048576"},
			offers: []string{"foo-1.0.tar.gz 1048576B", "foo-1.1.tar.gz 1048577B", "foo-1.2.tar.gz -1B"},
			want:   []string{"+foo-1.0.tar.gz", "+foo-1.2.tar.gz", "x foo-1.1.tar.gz: max_file = 1048576: it has 1.0 MiB"},
		},
		{
			name: "files larger than the site takes", filter: []string{"new 100"}, has: []string{"foo-1.1.tar.gz"},
			offers: []string{"foo-1.0.tar.gz 101B", "foo-1.1.tar.gz 101B"},
			want:   []string{"=foo-1.1.tar.gz", "x foo-1.0.tar.gz: max_file: it has 101 bytes"},
		},
		{
			name: "large releases, of what is left", filter: []string{"max_release 100", "platforms linux"},
			offers: []string{"foo-1.0.tar.gz 60B", "foo-1.0-py3-none-win32.whl 60B", "foo-1.1.tar.gz 60B", "foo-1.1-py3-none-any.whl 60B", "foo-1.2.tar.gz -1B"},
			want: []string{
				"+foo-1.0.tar.gz", "+foo-1.2.tar.gz", "x foo-1.0-py3-none-win32.whl: platforms = linux: it is for win32",
				"x foo-1.1-py3-none-any.whl: max_release = 100: the files of 1.1 have 120 bytes together",
				"x foo-1.1.tar.gz: max_release = 100: the files of 1.1 have 120 bytes together",
			},
		},
		{
			name: "what is listed leaves, also if the upstream has it no more", filter: []string{"python >=3"}, has: []string{"foo-1.0-py2-none-any.whl", "foo-1.1-py2-none-any.whl", "foo-1.1.tar.gz", "foo-9.0-py2-none-any.whl local"},
			offers: []string{"foo-1.0-py2-none-any.whl", "foo-1.1.tar.gz"},
			want: []string{
				"-foo-1.0-py2-none-any.whl", "-foo-1.1-py2-none-any.whl", "=foo-1.1.tar.gz", "=foo-9.0-py2-none-any.whl",
				"x foo-1.0-py2-none-any.whl: python = >=3: it is for py2-none", "x foo-1.1-py2-none-any.whl: python = >=3: it is for py2-none",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := input(t, cmp.Or(tt.list, many), "")
			in.Keep = plan.All
			in.Filter = filter(t, tt.filter...)
			in.Listing = &catalog.Listing{Offers: offered(t, tt.offers...)}
			if len(tt.has) > 0 {
				in.Current = listed(tt.has...)
			}
			p := plan.Decide(in)
			got := slices.DeleteFunc(describe(p), func(s string) bool { return strings.HasPrefix(s, "!") })
			for _, l := range p.LeftOut {
				text := l.Objection.String()
				if platforms := in.Filter.Rules[plan.RulePlatforms]; len(platforms) > 20 {
					text = strings.Replace(text, platforms, "PLATFORMS", 1)
				}
				got = append(got, "x "+l.Offer.Filename+": "+text)
				if l.Objection.Effect != plan.Filtered || l.Objection.Until != 0 {
					t.Errorf("%s: %+v", l.Offer.Filename, l.Objection)
				}
			}
			slices.Sort(got)
			want := slices.Sorted(slices.Values(tt.want))
			if !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// What is said of a file is the same with all others beside it as without them.
func TestFilterSaysTheSameOfEach(t *testing.T) {
	offers := manyOffers(t)[:200]
	offers = append(offers, offered(t, "foo-1.0-py2.7-win32.egg >=3", "foo-1.0-py2.7.egg", "foo-1.0.win-amd64-py2.7.exe", "foo-1.0.win32-py2.7.exe", "foo-1.0-1.x86_64.rpm", "foo-7.0-cp38-cp38-win32.whl <3")...)
	in := input(t, many, "")
	in.Keep = plan.All
	for _, key := range []string{"python ==3.9.*", "implementations pypy", "abis stable", "platforms macos", "usable_by cp39-macos-arm64 cp27-windows-x86"} {
		in.Filter = filter(t, key)
		say := func(offers []catalog.Offer) map[string]string {
			in.Listing = &catalog.Listing{Offers: offers}
			said := map[string]string{}
			for _, l := range plan.Decide(in).LeftOut {
				said[l.Offer.Filename] = l.Objection.String()
			}
			return said
		}
		together := say(offers)
		if len(together) < 10 {
			t.Errorf("%s filters only %d", key, len(together))
		}
		for i, o := range offers {
			if alone := say(offers[i : i+1]); alone[o.Filename] != together[o.Filename] {
				t.Errorf("%s: %s\nalone    %s\ntogether %s", key, o.Filename, alone[o.Filename], together[o.Filename])
			}
		}
	}
}

// What is filtered leaves its place to the next best; and it says so where nothing
// is left.
func TestFilterLeavesThePlace(t *testing.T) {
	in := input(t, "foo\nfoo==3.0\n", "")
	in.Filter = filter(t, "python >=3.9")
	in.Listing = &catalog.Listing{Offers: offered(t, "foo-3.0-py2-none-any.whl", "foo-2.0-py3-none-any.whl", "foo-1.0.tar.gz")}
	p := plan.Decide(in)
	if got := describe(p); !slices.Equal(got, []string{"!incomplete", "+foo-2.0-py3-none-any.whl"}) {
		t.Errorf("%q", got)
	}
	if len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Text, "foo==3.0: something is against every file that fits; foo-3.0-py2-none-any.whl: python = >=3.9: it is for py2-none") {
		t.Errorf("%+v", p.Problems)
	}
}

// On demand nothing comes either that is filtered, and what was announced leaves.
func TestFilterOnDemand(t *testing.T) {
	in := input(t, "", "")
	in.OnDemand = true
	in.Filter = filter(t, "formats wheels, else sdists")
	in.Current = announced("?foo-1.0.tar.gz", "foo-2.0.tar.gz")
	in.Listing = &catalog.Listing{Offers: offered(t, "foo-1.0.tar.gz", "foo-1.0-py3-none-any.whl", "foo-2.0.tar.gz", "foo-2.0-py3-none-any.whl", "foo-3.0.tar.gz")}
	p := plan.Decide(in)
	got := describe(p)
	for _, c := range p.Announce {
		got = append(got, "?"+c.Offer.Filename)
	}
	slices.Sort(got)
	if want := []string{"-foo-1.0.tar.gz", "-foo-2.0.tar.gz", "?foo-1.0-py3-none-any.whl", "?foo-2.0-py3-none-any.whl", "?foo-3.0.tar.gz"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A list that is read apart has its own word on pre-releases and its own constraints.
func TestFilterAndLists(t *testing.T) {
	in := input(t, "foo\n", "")
	in.Filter = filter(t, "prereleases never", "newer_than 1h")
	in.Listing = &catalog.Listing{Offers: offered(t, "foo-1.0.tar.gz 2020-01-01", "foo-2.0.tar.gz 2020-01-01", "foo-3.0rc1.tar.gz 2026-11-01")}
	other := input(t, "--pre\nfoo==1.0\nfoo\n", "")
	for _, w := range other.Wants {
		w.List = "prod"
		in.Wants = append(in.Wants, w)
	}
	in.Lists = map[string]plan.List{"prod": {Options: other.Options, Keep: plan.Newest}}
	if got, want := describe(plan.Decide(in)), []string{"+foo-1.0.tar.gz", "+foo-2.0.tar.gz", "+foo-3.0rc1.tar.gz"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	in.Wants = in.Wants[:1]
	if got, want := describe(plan.Decide(in)), []string{"+foo-2.0.tar.gz"}; !slices.Equal(got, want) {
		t.Errorf("without the other list: got %q, want %q", got, want)
	}
}

// A wheel that is held back takes nobody's place, and makes no old version young.
func TestFilterAndHolds(t *testing.T) {
	in := input(t, many, "")
	in.Keep = plan.All
	in.Filter = filter(t, "formats wheels, else sdists", "newer_than 8760h")
	in.Hold = plan.Hold{Now: in.Filter.Now, MinAge: plan.Limit{Micros: 3 * day, Rule: "min_age"}}
	in.Current = listed("foo-1.0.tar.gz", "foo-2.0.tar.gz")
	in.Listing = &catalog.Listing{Offers: offered(t,
		"foo-1.0.tar.gz 2020-01-01", "foo-1.0-py3-none-any.whl 2026-10-31", "foo-2.0.tar.gz 2026-10-01", "foo-2.0-py3-none-any.whl 2026-10-31", "foo-3.0.tar.gz 2026-10-31")}
	p := plan.Decide(in)
	if got := describe(p); !slices.Equal(got, []string{"-foo-1.0.tar.gz", "~foo-2.0.tar.gz"}) { // of which the time is known now
		t.Errorf("%q", got)
	}
	var out []string
	for _, l := range p.LeftOut {
		out = append(out, l.Offer.Filename+" "+l.Objection.Effect.String())
	}
	if want := []string{"foo-3.0.tar.gz held", "foo-2.0-py3-none-any.whl held", "foo-1.0-py3-none-any.whl held", "foo-1.0.tar.gz filtered"}; !slices.Equal(out, want) {
		t.Errorf("%q", out)
	}
}

// What something needs may be old, but must be usable.
func TestFilterAndNeeds(t *testing.T) {
	in := input(t, "", "")
	in.Filter = filter(t, "newer_than 1h", "platforms linux")
	in.Listing = &catalog.Listing{Offers: offered(t, "foo-1.0.tar.gz 2020-01-01", "foo-1.0-py3-none-win32.whl 2020-01-01", "foo-2.0.tar.gz 2020-01-01")}
	var choices []string
	for _, c := range plan.Choices(in) {
		choices = append(choices, c.Offer.Filename)
	}
	if !slices.Equal(choices, []string{"foo-2.0.tar.gz", "foo-1.0.tar.gz"}) {
		t.Errorf("there are %q", choices)
	}
	in.Needs = []plan.Need{{Version: "1.0", Why: []string{"bar needs it"}}}
	if got := describe(plan.Decide(in)); !slices.Equal(got, []string{"+foo-1.0.tar.gz"}) {
		t.Errorf("%q", got)
	}
}

// A wheel stays for a version of Python just if pip takes it on some machine with
// this Python.
func TestPythonsAgreeWithTargets(t *testing.T) {
	type pair struct{ python, abi string }
	var pairs []pair
	for _, python := range []string{"py2", "py3", "py27", "py30", "py39", "py312", "cp27", "cp32", "cp38", "cp39", "cp312", "cp313", "cp314", "pp27", "pp39", "pp310", "py39.cp312", "py4", "cp40"} {
		for _, abi := range []string{"none", "abi3", "abi3t", "cp27m", "cp27mu", "cp38", "cp39", "cp312", "cp313", "cp313t", "cp314td", "cp314t", "pypy_73", "pypy39_pp73", "pypy310_pp73", "none.cp39"} {
			pairs = append(pairs, pair{python, abi})
		}
	}
	var machines []*target.Target
	add := func(name string) {
		machine, err := target.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		machines = append(machines, &machine)
	}
	for _, python := range []string{"27", "27m", "30", "31", "32", "33", "34", "35", "36", "37", "38", "39", "310", "311", "312", "313", "313t", "314", "314t", "314td", "315"} {
		add("cp" + python + "-linux-x86_64")
	}
	for _, python := range []string{"27", "39", "310"} {
		add("pp" + python + "-linux-x86_64")
	}
	in := input(t, many, "")
	for _, minor := range []string{"2.7", "3.0", "3.2", "3.8", "3.9", "3.10", "3.12", "3.13", "3.14"} {
		in.Filter = filter(t, "python =="+minor+".*")
		for _, p := range pairs {
			name := fmt.Sprintf("foo-1.0-%s-%s-manylinux1_x86_64.whl", p.python, p.abi)
			in.Listing = &catalog.Listing{Offers: offers(name)}
			kept := len(plan.Decide(in).Fetch) == 1
			file, err := packaging.ParseFilename(name, "foo")
			if err != nil {
				t.Fatal(err)
			}
			want := slices.ContainsFunc(machines, func(m *target.Target) bool {
				_, ok := m.Rank(file)
				return ok && m.Markers.PythonVersion == minor
			})
			// PyPy is known here for some versions alone, and any ABI is its own.
			if strings.HasPrefix(p.python, "pp") && kept != want && kept {
				continue
			}
			if kept != want {
				t.Errorf("%s for Python %s: kept %v, but usable %v", name, minor, kept, want)
			}
		}
	}
}

func TestFilterTexts(t *testing.T) {
	written := func(v interface {
		encoding.TextUnmarshaler
		fmt.Stringer
	}, text string) (string, error) {
		err := v.UnmarshalText([]byte(text))
		return v.String(), err
	}
	for _, tt := range []struct {
		of   string
		text string
		want string // the text that is written, or behind "!" what the error says
	}{
		{"formats", "all", "all"},
		{"formats", " all ", "all"},
		{"formats", "wheels", "wheels"},
		{"formats", "wheels, else sdist", "wheels, else sdists"},
		{"formats", "wheel else sdist and egg", "wheels, else sdists and eggs"},
		{"formats", "installers and wheels", "wheels and installers"},
		{"formats", "", "!a word is missing"},
		{"formats", "wheels, sdists", `!"sdists" follows neither "and" nor "else"`},
		{"formats", "wheels else", "!a word is missing"},
		{"formats", "else wheels", `!"else" is no kind of files`},
		{"formats", "wheels and wheel", `!"wheel" stands there twice`},
		{"formats", "whls", `!"whls" is no kind of files: want "all", or wheels`},
		{"python", ">=3.9", ">=3.9"},
		{"python", " >=3.9, <4 ", ">=3.9, <4"},
		{"python", "*", "*"},
		{"python", "", "!it is empty"},
		{"python", "3.9", `!want versions of Python such as ">=3.9"`},
		{"python", ">=4", "!there is no such Python"},
		{"python", ">=3.9,<3.9", "!there is no such Python"},
		{"implementation", "pypy", "pypy"},
		{"implementation", "PyPy", "!implementations: \"PyPy\" is not one of cpython, pypy,"},
		{"abi", "free-threaded", "free-threaded"},
		{"abi", "pypy310_pp73", "pypy310_pp73"},
		{"abi", "gil", "!neither one of none, stable, ordinary, free-threaded, debug nor an ABI tag such as cp312"},
		{"abi", "cp*", "!neither"},
		{"platform", "any", "any"},
		{"platform", "linux", "linux"},
		{"platform", "linux-x86_64", "linux-x86_64"},
		{"platform", "win32", "win32"},
		{"platform", "macosx_13_0_arm64", "macosx_13_0_arm64"},
		{"platform", "ios-arm64_iphoneos", "ios-arm64_iphoneos"},
		{"platform", "emscripten", "emscripten"},
		{"platform", "linux-amd64", "!the architectures of linux are x86_64, aarch64,"},
		{"platform", "linux-", "!no architecture stands behind the dash"},
		{"platform", "linux_x86_64", "!did you mean linux-x86_64?"},
		{"platform", "beos", "!there is no such platform"},
		{"platform", strings.Repeat("x", 300), "!there is no such platform"},
	} {
		v := map[string]interface {
			encoding.TextUnmarshaler
			fmt.Stringer
		}{"formats": new(plan.Formats), "python": new(plan.Pythons), "implementation": new(plan.Implementation), "abi": new(plan.ABI), "platform": new(plan.Platform)}[tt.of]
		got, err := written(v, tt.text)
		if fault, bad := strings.CutPrefix(tt.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), fault) || len(err.Error()) > 500 {
				t.Errorf("%s %q: %v, want %s", tt.of, tt.text, err, fault)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("%s %q is written %q, %v; want %q", tt.of, tt.text, got, err, tt.want)
		}
	}
}

// What can be read is written so that it reads the same, and no file name stops a
// filter.
func FuzzFilter(f *testing.F) {
	f.Add(">=3.9", "wheels, else sdists", "linux-x86_64", "cp313t", "foo-1.0-py2.py3-none-any.whl", ">=3.8")
	f.Add("*", "all", "manylinux_2_28_x86_64", "stable", "foo-1.0-cp39.py4-abi3.none-win32.macosx_10_9_universal2.whl", "<3")
	f.Add("==3.9.*", "eggs else installers", "freebsd", "none", "foo-1.0.linux-x86_64-py2.7.tar.gz", "x")
	f.Add("<3", "wheels", "any", "debug", "foo-1.0-py2.7-win-amd64.egg", "")
	f.Fuzz(func(t *testing.T, python, formats, platform, abi, name, requires string) {
		if len(name) > 255 {
			t.Skip("longer than a file name")
		}
		var flt plan.Filter
		flt.Now, flt.Rules = filterTime.UnixMicro(), map[string]string{}
		again := func(v, w interface {
			encoding.TextUnmarshaler
			fmt.Stringer
		}, text string) bool {
			if v.UnmarshalText([]byte(text)) != nil {
				return false
			}
			if err := w.UnmarshalText([]byte(v.String())); err != nil || w.String() != v.String() {
				t.Errorf("%q is written %q, which reads as %q, %v", text, v, w, err)
			}
			return true
		}
		again(&flt.Python, new(plan.Pythons), python)
		again(&flt.Formats, new(plan.Formats), formats)
		var p plan.Platform
		if again(&p, new(plan.Platform), platform) {
			flt.Platforms = []plan.Platform{p}
		}
		var a plan.ABI
		if again(&a, new(plan.ABI), abi) {
			flt.ABIs = []plan.ABI{a}
		}
		in := plan.Input{
			Name: "foo", Source: "up", Keep: plan.All, LegacyFiles: true, SkipLocal: true, OnDemand: true, Policy: readPolicy(t, ""), Filter: &flt,
			Known: func(string) (catalog.Digest, bool) { return catalog.Digest{}, false },
		}
		o := offers("x " + name)[0]
		o.Filename, o.RequiresPython = name, requires
		o.Hashes = map[string]string{"sha256": sha(name).String()}
		in.Listing = &catalog.Listing{Offers: []catalog.Offer{o}}
		d := plan.Decide(in)
		if _, err := packaging.ParseFilename(name, "foo"); err == nil && len(d.Announce)+len(d.LeftOut) == 0 && plan.CanAnnounce(plan.Choice{Offer: o, Filename: mustParse(name)}) {
			t.Errorf("%s is neither announced nor left out", name)
		}
	})
}

func mustParse(name string) packaging.Filename {
	f, _ := packaging.ParseFilename(name, "foo")
	return f
}

// A project of 4,000 files, 40 of each of a hundred versions: what the filters cost
// beside reading what is on offer.
func BenchmarkFilter(b *testing.B) {
	in := plan.Input{
		Name: "foo", Source: "up", Keep: plan.All, LegacyFiles: true, SkipLocal: true, Policy: readPolicy(b, ""), Listing: &catalog.Listing{Offers: manyOffers(b)},
		Known: func(string) (catalog.Digest, bool) { return catalog.Digest{}, false },
	}
	files := float64(len(in.Listing.Offers))
	b.Run("on offer", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			plan.Filtering(in)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/files, "ns/file")
	})
	names := []string{"python >=3.9", "implementations cpython", "abis none stable ordinary", "platforms linux-x86_64 windows-amd64"}
	for _, bb := range []struct {
		name   string
		filter []string
	}{
		{"no key", nil},
		{"python", names[:1]},
		{"platforms", names[3:]},
		{"names", names},
		{"machines", []string{"usable_by cp312-linux-x86_64 cp313-windows-amd64 cp312-macos-arm64"}},
		{"all", append(names, "usable_by cp312-linux-x86_64 cp313-windows-amd64", "formats wheels, else sdists", "prereleases never", "newer_than 8760h", "max_file 1000000", "max_release 1000000")},
	} {
		b.Run(bb.name, func(b *testing.B) {
			in.Filter = filter(b, bb.filter...)
			look := plan.Filtering(in)
			objections := 0
			b.ReportAllocs()
			for b.Loop() {
				objections = look()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/files, "ns/file")
			b.ReportMetric(float64(objections), "filtered")
		})
	}
}

func manyOffers(t testing.TB) []catalog.Offer {
	var lines []string
	for v := range 100 {
		add := func(rest string) {
			lines = append(lines, fmt.Sprintf("foo-%d.0%s >=3.%d 1000B 2026-01-01", v, rest, v%4+5))
		}
		add(".tar.gz")
		for minor := 8; minor <= 14; minor++ {
			for _, platform := range []string{"manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_17_aarch64.manylinux2014_aarch64", "musllinux_1_2_x86_64", "macosx_11_0_arm64", "win_amd64"} {
				add(fmt.Sprintf("-cp3%d-cp3%d-%s.whl", minor, minor, platform))
			}
		}
		for _, tag := range []string{"pp310-pypy310_pp73-win_amd64", "pp311-pypy311_pp73-macosx_11_0_arm64", "cp314-cp314t-win_amd64", "py3-none-any"} {
			add("-" + tag + ".whl")
		}
	}
	return offered(t, lines...)
}

// What a filter says of thousands of files is said with few words: of those that it
// lets through it remembers nothing.
func TestFilterAllocates(t *testing.T) {
	in := input(t, many, "")
	in.Listing = &catalog.Listing{Offers: manyOffers(t)}
	in.Filter = filter(t, "python >=3.7", "implementations cpython pypy", "abis none stable ordinary free-threaded", "platforms linux musllinux macos windows",
		"formats wheels and sdists", "prereleases never", "newer_than 87600h", "max_file 1000000", "max_release 1000000")
	look := plan.Filtering(in)
	if n := look(); n != 0 {
		t.Fatalf("%d files are filtered", n)
	}
	// A map of the four values of Requires-Python that there are.
	if n := testing.AllocsPerRun(3, func() { look() }); n > 40 {
		t.Errorf("%.0f allocations for %d files", n, len(in.Listing.Offers))
	}
}
