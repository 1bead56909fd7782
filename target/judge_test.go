package target_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nestgen/packaging"
	"nestgen/target"
)

// A question is a target as the judges are asked for it.
type question struct {
	Name    string   `json:"name"`
	Short   string   `json:"short"`
	Version string   `json:"version"`
	ABIs    []string `json:"abis"`
	System  string   `json:"system"`
	Arch    string   `json:"arch"`
	Release [2]int   `json:"release"`

	spec target.Spec
}

// questions are some hundred targets: every system and architecture, old and new
// Pythons of all sorts, old and new systems.
func questions() []question {
	var all []question
	pythons := []struct {
		name    string
		abis    []string // on Linux
		abisMac []string // elsewhere, where that is different
	}{
		{"cp27", []string{"cp27mu"}, []string{"cp27m"}},
		{"cp27m", []string{"cp27m"}, nil},
		{"cp31", []string{"cp31mu"}, []string{"cp31m"}},
		{"cp32", []string{"cp32mu"}, []string{"cp32m"}},
		{"cp36", []string{"cp36m"}, nil},
		{"cp37d", []string{"cp37d"}, nil},
		{"cp38", []string{"cp38"}, nil},
		{"cp312", []string{"cp312"}, nil},
		{"cp312d", []string{"cp312d", "cp312"}, nil},
		{"cp313t", []string{"cp313t"}, nil},
		{"cp314td", []string{"cp314td", "cp314t"}, nil},
		{"pp27", []string{"pypy_73"}, nil},
		{"pp310", []string{"pypy310_pp73"}, nil},
	}
	systems := []struct {
		system string
		archs  []string
		key    func(*target.Spec, string)
		given  []string // releases; the first is the default
	}{
		{"linux", []string{"x86_64", "i686", "aarch64", "armv6l", "ppc64le", "ppc64", "s390x"}, func(s *target.Spec, v string) { s.Glibc = v }, []string{"2.28", "2.36", "2.17", "2.5"}},
		{"linux", []string{"armv7l"}, func(s *target.Spec, v string) { s.Glibc = v }, []string{"2.31"}},
		{"linux", []string{"loongarch64"}, func(s *target.Spec, v string) { s.Glibc = v }, []string{"2.38"}},
		{"linux", []string{"riscv64"}, func(s *target.Spec, v string) { s.Glibc = v }, []string{"2.39"}},
		{"musllinux", []string{"x86_64", "i686", "aarch64", "armv7l"}, func(s *target.Spec, v string) { s.Musl = v }, []string{"1.2", "1.1"}},
		{"macos", []string{"x86_64", "arm64"}, func(s *target.Spec, v string) { s.MacOS = v }, []string{"13.0", "11.0", "14.5", "26.0"}},
		{"macos", []string{"x86_64"}, func(s *target.Spec, v string) { s.MacOS = v }, []string{"13.0", "10.15", "10.6", "10.3"}},
		{"windows", []string{"amd64", "arm64", "x86"}, nil, []string{"0.0"}},
	}
	for _, p := range pythons {
		for _, s := range systems {
			for _, arch := range s.archs {
				for i, release := range s.given {
					like := p.name + "-" + s.system + "-" + arch
					q := question{Name: like, Short: p.name[:2], ABIs: p.abis, System: s.system, Arch: arch, spec: target.Spec{Name: like, Like: like}}
					q.Version = strings.TrimRight(p.name[2:], "tdm")
					if p.abisMac != nil && !strings.HasSuffix(s.system, "linux") {
						q.ABIs = p.abisMac
					}
					first, second, _ := strings.Cut(release, ".")
					q.Release[0], _ = strconv.Atoi(first)
					q.Release[1], _ = strconv.Atoi(second)
					if i > 0 {
						q.Name += "-" + release
						q.spec.Name = q.Name
						s.key(&q.spec, release)
					}
					all = append(all, q)
				}
			}
		}
	}
	return all
}

// A verdict is what a judge says.
type verdict struct {
	Judge  string              `json:"judge"`
	Tags   map[string][]string `json:"tags"`
	Native struct {
		Tags    []string          `json:"tags"`
		Markers map[string]string `json:"markers"`
		Glibc   string            `json:"glibc"`
		Machine string            `json:"machine"`
	} `json:"native"`
	Requires map[string]bool `json:"requires"`
	Wanted   []string        `json:"wanted"`
}

// files are many files of one version, for many machines, of which no two are wanted
// as much.
func files() []string {
	all := []string{"foo-1.0.tar.gz"}
	for _, build := range []string{"", "1-", "1_a-", "2-", "10-", "0-"} {
		for minor := 7; minor <= 13; minor++ {
			this := fmt.Sprintf("cp3%d", minor)
			abis := []string{this, "abi3", "none"}
			if minor == 7 {
				abis[0] += "m"
			}
			for _, abi := range abis {
				for _, platform := range []string{"linux_x86_64", "manylinux1_x86_64", "manylinux_2_17_x86_64", "manylinux_2_36_x86_64", "manylinux_2_99_x86_64", "musllinux_1_1_x86_64", "win_amd64"} {
					all = append(all, "foo-1.0-"+build+this+"-"+abi+"-"+platform+".whl")
				}
			}
			all = append(all, fmt.Sprintf("foo-1.0-%spy3%d-none-any.whl", build, minor), fmt.Sprintf("foo-1.0-%scp3%d-none-any.whl", build, minor))
		}
		all = append(all, "foo-1.0-"+build+"py2.py3-none-any.whl", "foo-1.0-"+build+"py2-none-any.whl", "foo-1.0-"+build+"py2.py3-none-manylinux2010_x86_64.whl")
	}
	return all
}

// ask runs the judge of an interpreter.
func ask(t *testing.T, qs []question, heard []string, python, arg string) verdict {
	t.Helper()
	input, err := json.Marshal(map[string]any{"targets": qs, "files": files(), "heard": heard})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-W", "ignore", filepath.Join("testdata", "judge.py"), arg)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		t.Skipf("%s has neither a pip nor a packaging that can be asked: %v, %s", python, err, lines[len(lines)-1])
	}
	var v verdict
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// pip and packaging of every interpreter here, old and new ones, say the same of
// some hundred kinds of machine: the same tags in the same order.
func TestJudges(t *testing.T) {
	pythons := []string{"/usr/bin/python3"}
	if home, err := os.UserHomeDir(); err == nil {
		found, err := filepath.Glob(filepath.Join(home, ".pyenv/versions/*/bin/python"))
		if err != nil {
			t.Fatal(err)
		}
		pythons = append(pythons, found...)
	}
	pythons = append(pythons, pythons[0]+" --packaging")
	heard := []string{""} // judges of all targets: many Pythons have the same pip
	for _, judge := range pythons {
		t.Run(judge, func(t *testing.T) {
			qs := questions()
			python, arg, _ := strings.Cut(judge, " ")
			if _, err := os.Stat(python); err != nil {
				t.Skip("there is no Python here: ", err)
			}
			v := ask(t, qs, heard, python, arg)
			t.Log(v.Judge)
			skipped := map[string]int{}
			defer func() {
				for why, n := range skipped {
					t.Logf("%d of %d targets not compared: %s", n, len(qs), why)
				}
			}()
			switch {
			case len(v.Tags) > 0:
				heard = append(heard, v.Judge)
			case slices.Contains(heard, v.Judge):
				t.Log("it was heard before; it is asked about this machine alone")
				qs = nil
			default:
				t.Log("it cannot be asked about tags")
				qs = nil
			}
			for _, q := range qs {
				machine, err := q.spec.Target()
				if err != nil {
					t.Fatal(err)
				}
				if why := tooOld(q, v.Tags[q.Name]); why != "" {
					skipped[why]++
					continue
				}
				compareTags(t, q.Name, texts(machine.Tags()), v.Tags[q.Name])
			}
			for key, want := range v.Requires {
				spec, version, _ := strings.Cut(key, " ")
				major, rest, _ := strings.Cut(version, ".")
				minor, _, _ := strings.Cut(rest, ".")
				machine, err := target.Spec{Name: "x", Like: "cp" + major + minor + "-linux-x86_64", Python: version}.Target()
				if err != nil {
					t.Fatal(err)
				}
				requires, err := packaging.ParseSpecifiers(spec)
				if err != nil {
					t.Fatal(err)
				}
				if got := machine.SupportsPython(requires); got != want {
					t.Errorf("Requires-Python %q on %s: %v, %s says %v", spec, version, got, v.Judge, want)
				}
			}
			compareNative(t, v)
		})
	}
}

func texts(tags []packaging.Tag) []string {
	all := make([]string, len(tags))
	for i, tag := range tags {
		all[i] = tag.String()
	}
	return all
}

// tooOld says what a judge does not know about yet; empty if it knows all.
func tooOld(q question, tags []string) string {
	has := func(part string) bool {
		return slices.ContainsFunc(tags, func(s string) bool { return strings.Contains(s, part) })
	}
	switch {
	case q.System == "linux" && (q.Arch == "riscv64" || q.Arch == "loongarch64") && !has("manylinux"):
		return "manylinux is for older architectures"
	case strings.HasSuffix(q.ABIs[0], "t") || strings.HasSuffix(q.ABIs[0], "td"):
		if has("-abi3-") {
			return "free-threaded Pythons have no ABI of their own"
		}
	}
	return ""
}

// compareTags holds our tags against a judge's. Three differences between the
// ages of packaging are levelled: abi3t came with 26.1, "fat32" was a slip of
// the pen for "fat3" until 26, and linux_* goes first since 26.3.
func compareTags(t *testing.T, name string, got, want []string) {
	t.Helper()
	if !slices.ContainsFunc(want, func(s string) bool { return strings.Contains(s, "-abi3t-") }) {
		got = slices.DeleteFunc(slices.Clone(got), func(s string) bool { return strings.Contains(s, "-abi3t-") })
	}
	want = level(want)
	got = level(got)
	if !slices.Equal(got, want) {
		at := 0
		for at < len(got) && at < len(want) && got[at] == want[at] {
			at++
		}
		t.Errorf("%s: %d tags, want %d; from tag %d on\ngot  %q\nwant %q", name, len(got), len(want), at, got[at:min(at+5, len(got))], want[at:min(at+5, len(want))])
	}
}

// level puts linux_* behind the others of the same Python and ABI.
func level(tags []string) []string {
	var out []string
	for i := 0; i < len(tags); {
		lead := tags[i][:strings.LastIndexByte(tags[i], '-')+1]
		var linux []string
		for ; i < len(tags) && strings.HasPrefix(tags[i], lead); i++ {
			tag := strings.Replace(tags[i], "_fat32", "_fat3", 1)
			if strings.HasPrefix(tag, lead+"linux_") {
				linux = append(linux, tag)
			} else {
				out = append(out, tag)
			}
		}
		out = append(out, linux...)
	}
	return out
}

// compareFiles holds the order in which we want files against that of pip.
func compareFiles(t *testing.T, v verdict, here *target.Target) {
	t.Helper()
	nativeFirst := slices.IndexFunc(v.Native.Tags, func(s string) bool { return strings.HasSuffix(s, "-linux_x86_64") }) == 0
	var got []packaging.Filename
	names := map[packaging.Filename]string{}
	for _, name := range files() {
		f, err := packaging.ParseFilename(name, "foo")
		if err != nil {
			t.Fatal(err)
		}
		names[f] = name
		if _, ok := here.Rank(f); ok && !(nativeFirst && f.Platform == "linux_x86_64") {
			got = append(got, f)
		}
	}
	slices.SortFunc(got, here.Compare)
	want := slices.DeleteFunc(slices.Clone(v.Wanted), func(s string) bool { return nativeFirst && strings.Contains(s, "-linux_x86_64") })
	if len(want) < 10 {
		t.Errorf("pip takes only %q", want)
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || names[got[i]] != want[i] {
			t.Errorf("%s wants another order from file %d of %d on", v.Judge, i, len(want))
			return
		}
	}
}

// compareNative holds what we say of the machine that this test runs on against
// what an interpreter says of itself.
func compareNative(t *testing.T, v verdict) {
	t.Helper()
	arch, linux := strings.CutPrefix(v.Native.Machine, "linux-")
	if !linux || v.Native.Glibc == "-1.-1" {
		t.Logf("not a Linux with glibc: %s", v.Native.Machine)
		return
	}
	m := v.Native.Markers
	python := "cp" + strings.ReplaceAll(m["python_version"], ".", "")
	if len(v.Native.Tags) > 0 {
		python = strings.Split(v.Native.Tags[0], "-")[1] // with the letters of its ABI
	}
	spec := target.Spec{
		Name: "here", Like: python + "-linux-" + arch,
		Python: m["python_full_version"], Glibc: v.Native.Glibc,
		Markers: map[string]string{"platform_release": m["platform_release"], "platform_version": m["platform_version"]},
	}
	here, err := spec.Target()
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Native.Tags) > 0 {
		compareTags(t, fmt.Sprintf("this machine (%+v)", spec), texts(here.Tags()), v.Native.Tags)
	}
	e := here.Markers
	got := map[string]string{
		"os_name": e.OSName, "sys_platform": e.SysPlatform, "platform_machine": e.PlatformMachine,
		"platform_python_implementation": e.PlatformPythonImplementation, "platform_release": e.PlatformRelease,
		"platform_system": e.PlatformSystem, "platform_version": e.PlatformVersion, "python_version": e.PythonVersion,
		"python_full_version": e.PythonFullVersion, "implementation_name": e.ImplementationName, "implementation_version": e.ImplementationVersion,
	}
	for name, value := range got {
		if m[name] != value {
			t.Errorf("%s is %q, want %q", name, value, m[name])
		}
	}
	if v.Wanted != nil && arch == "x86_64" {
		compareFiles(t, v, &here)
	}
	marker, err := packaging.ParseMarker(here.Marker())
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := marker.Eval(&here.Markers); err != nil || !ok {
		t.Errorf("%s does not hold on itself: %v", marker, err)
	}
}
