package lockfile

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen/packaging"
)

// frozen is an answer for two environments, in no good order.
func frozen() Frozen {
	return Frozen{
		Environments: []Environment{
			{"linux", `sys_platform == "linux" and platform_machine == "x86_64"`},
			{"windows", `sys_platform == 'win32'`},
		},
		RequiresPython: ">=3.9",
		Pins: []Pin{
			{
				Project: "numpy", Version: "2.0", Environments: []string{"linux"}, RequiresPython: ">=3.9", Index: "https://example.org/simple/",
				Files: []File{
					{Name: "numpy-2.0.tar.gz", URL: "https://example.org/numpy-2.0.tar.gz", Size: -1, Hashes: map[string]string{"sha256": b64}},
					{Name: "numpy-2.0-cp312-cp312-manylinux_2_17_x86_64.whl", URL: "../packages/numpy%2B.whl", Size: 12, Uploaded: 1704164645500000, Hashes: map[string]string{"sha256": a64, "md5": "00"}},
				},
			},
			{
				Project: "numpy", Version: "1.0", Environments: []string{"windows"},
				Files: []File{{Name: "numpy-1.0.zip", Path: "wheels/numpy-1.0.zip", Size: -1, Hashes: map[string]string{"sha256": b64}}},
			},
			{
				Project: "app", Version: "1.0+local", Environments: []string{"windows"}, Dependencies: []packaging.Name{"numpy", "helper", "absent"},
				Files: []File{{Name: "app-1.0+local-py3-none-any.whl", URL: "https://example.org/app", Size: 0, Hashes: map[string]string{"sha256": a64}}},
			},
			{
				Project: "app", Version: "1.0+local", Environments: []string{"linux"}, Dependencies: []packaging.Name{"numpy"},
				Files: []File{{Name: "app-1.0+local-py3-none-any.whl", URL: "https://example.org/app", Size: 0, Hashes: map[string]string{"sha256": a64}}},
			},
			{
				Project: "helper", Version: "3", Environments: []string{"windows"},
				Files: []File{{Name: "helper-3-py3-none-any.whl", URL: "https://example.org/helper-3-py3-none-any.whl", Size: 7, Hashes: map[string]string{"sha256": a64}}},
			},
		},
	}
}

func TestWritePylock(t *testing.T) {
	want := strings.NewReplacer("AAA", a64, "BBB", b64).Replace(`lock-version = "1.0"
environments = [
    'sys_platform == "linux" and platform_machine == "x86_64"', # linux
    "sys_platform == 'win32'", # windows
]
requires-python = ">=3.9"
created-by = "nestgen"

[[packages]]
name = "app"
version = "1.0+local"
dependencies = [
    { name = "helper" },
    { name = "numpy", version = "1.0" },
    { name = "numpy", version = "2.0" },
]
wheels = [
    { name = "app-1.0+local-py3-none-any.whl", url = "https://example.org/app", size = 0, hashes = { sha256 = "AAA" } },
]

[[packages]]
name = "helper"
version = "3"
marker = "sys_platform == 'win32'"
wheels = [
    { name = "helper-3-py3-none-any.whl", url = "https://example.org/helper-3-py3-none-any.whl", size = 7, hashes = { sha256 = "AAA" } },
]

[[packages]]
name = "numpy"
version = "1.0"
marker = "sys_platform == 'win32'"
sdist = { name = "numpy-1.0.zip", path = "wheels/numpy-1.0.zip", hashes = { sha256 = "BBB" } }

[[packages]]
name = "numpy"
version = "2.0"
marker = 'sys_platform == "linux" and platform_machine == "x86_64"'
requires-python = ">=3.9"
index = "https://example.org/simple/"
sdist = { name = "numpy-2.0.tar.gz", url = "https://example.org/numpy-2.0.tar.gz", hashes = { sha256 = "BBB" } }
wheels = [
    { name = "numpy-2.0-cp312-cp312-manylinux_2_17_x86_64.whl", upload-time = 2024-01-02T03:04:05.5Z, url = "../packages/numpy%2B.whl", size = 12, hashes = { md5 = "00", sha256 = "AAA" } },
]
`)
	got, err := WritePylock(frozen())
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	other := frozen()
	slices.Reverse(other.Pins)
	for _, p := range other.Pins {
		slices.Reverse(p.Files)
	}
	if again, err := WritePylock(other); err != nil || string(again) != want {
		t.Errorf("in another order: %v\n%s", err, again)
	}
	l, problems := Read(Pylock, "pylock.toml", got)
	if len(problems) > 0 || len(l.Packages) != 4 || l.CreatedBy != "nestgen" || l.Packages[3].Files[1].Hashes["sha256"] != b64 {
		t.Errorf("read back: %v %+v", problems, l)
	}
}

func TestWritePylockEmpty(t *testing.T) {
	got, err := WritePylock(Frozen{Environments: []Environment{{"x\ny", "os_name == 'nt'"}}})
	if err != nil {
		t.Fatal(err)
	}
	if l, problems := Read(Pylock, "pylock.toml", got); len(problems) > 0 || l.Form != Pylock {
		t.Errorf("%v\n%s", problems, got)
	}
}

func TestWriteConstraints(t *testing.T) {
	got, err := WriteConstraints(frozen())
	want := `# Written by nestgen, for:
#   linux: sys_platform == "linux" and platform_machine == "x86_64"
#   windows: sys_platform == 'win32'
app==1.0+local
helper==3 ; sys_platform == 'win32'
numpy==1.0 ; sys_platform == 'win32'
numpy==2.0 ; sys_platform == "linux" and platform_machine == "x86_64"
`
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestWriteRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		spoil      func(*Frozen)
	}{
		{"no environment", "no environment", func(f *Frozen) { f.Environments = nil }},
		{"an environment twice", `environment "linux" comes twice`, func(f *Frozen) { f.Environments[1].Name = "linux" }},
		{"a wrong marker", `environment "linux": marker`, func(f *Frozen) { f.Environments[0].Marker = "x == 1" }},
		{"wrong versions of Python", "requires-python", func(f *Frozen) { f.RequiresPython = "3" }},
		{"wrong versions of Python of a pin", "numpy 2.0: requires-python", func(f *Frozen) { f.Pins[0].RequiresPython = "3" }},
		{"a name that is none", "not a normalized project name", func(f *Frozen) { f.Pins[0].Project = "Num_Py" }},
		{"a version that is none", "numpy dev-r1", func(f *Frozen) { f.Pins[0].Version = "dev-r1" }},
		{"for nobody", "numpy 2.0: no environment", func(f *Frozen) { f.Pins[0].Environments = nil }},
		{"for an environment that is not there", `"macos" is not known`, func(f *Frozen) { f.Pins[0].Environments = []string{"macos"} }},
		{"no file", "numpy 2.0: no file", func(f *Frozen) { f.Pins[0].Files = nil }},
		{"no hash", "numpy-2.0.tar.gz has no hash", func(f *Frozen) { f.Pins[0].Files[0].Hashes = nil }},
		{"no address", "numpy-2.0.tar.gz has neither", func(f *Frozen) { f.Pins[0].Files[0].URL = "" }},
		{"a file twice", "numpy-2.0.tar.gz comes twice", func(f *Frozen) { f.Pins[0].Files[1] = f.Pins[0].Files[0] }},
		{"a file of another", "other-2.0.tar.gz is not a file of it", func(f *Frozen) { f.Pins[0].Files[0].Name = "other-2.0.tar.gz" }},
		{"a file of another version", "numpy-3.tar.gz is not a file of it", func(f *Frozen) { f.Pins[0].Files[0].Name = "numpy-3.tar.gz" }},
		{"two sdists", "more than one sdist", func(f *Frozen) {
			f.Pins[0].Files[1] = f.Pins[0].Files[0]
			f.Pins[0].Files[1].Name = "numpy-2.0.zip"
		}},
		{"an egg", "numpy-2.0-py3.12.egg", func(f *Frozen) { f.Pins[0].Files[0].Name = "numpy-2.0-py3.12.egg" }},
		{"two versions for one", `environment "linux" has numpy twice: 1.0 and 2.0`, func(f *Frozen) { f.Pins[1].Environments = []string{"linux"} }},
		{"the same file with other hashes", "comes with different hashes", func(f *Frozen) { f.Pins[2].Files[0].Hashes = map[string]string{"sha256": b64} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := frozen()
			tt.spoil(&f)
			for _, write := range []func(Frozen) ([]byte, error){WritePylock, WriteConstraints} {
				if b, err := write(f); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v\n%s", err, b)
				}
			}
		})
	}
}

func FuzzQuoted(f *testing.F) {
	f.Add(`a "b" 'c' \d`)
	f.Add("\x00\x7f\u2028\xff'\"")
	f.Fuzz(func(t *testing.T, s string) {
		l, problems := Read(Pylock, "pylock.toml", []byte("lock-version = \"1.0\"\npackages = []\n"+tomlKey("created-by")+" = "+quoted(s)+"\n"))
		if len(problems) > 0 || l.CreatedBy != strings.ToValidUTF8(s, "\ufffd") {
			t.Errorf("%q: %v, read as %q", quoted(s), problems, l.CreatedBy)
		}
	})
}

// The reference implementation of PEP 751 takes what is written, and selects from
// it what each environment should install.
func TestPylockAsPackagingReadsIt(t *testing.T) {
	python, module := reference(t)
	data, err := WritePylock(frozen())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pylock.toml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "-c", `
import json, sys
try: import tomllib
except ImportError: import pip._vendor.tomli as tomllib
from importlib import import_module
lock = import_module(sys.argv[1]).Pylock.from_dict(tomllib.load(open(sys.argv[2], "rb")))
Tag = import_module(sys.argv[1].removesuffix("pylock") + "tags").Tag
env = import_module(sys.argv[1].removesuffix("pylock") + "markers").default_environment()
chosen = {}
for name, platform, machine, tag in ("linux", "linux", "x86_64", "manylinux_2_17_x86_64"), ("windows", "win32", "AMD64", "win_amd64"):
    env.update(sys_platform=platform, platform_machine=machine, python_version="3.12", python_full_version="3.12.1")
    tags = [Tag("cp312", "cp312", tag), Tag("py3", "none", "any")]
    chosen[name] = [f.filename for _, f in lock.select(environment=env, tags=tags)]
print(json.dumps(chosen))
`, module, file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var chosen map[string][]string
	if err := json.Unmarshal(out, &chosen); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range map[string][]string{
		"linux":   {"app-1.0+local-py3-none-any.whl", "numpy-2.0-cp312-cp312-manylinux_2_17_x86_64.whl"},
		"windows": {"app-1.0+local-py3-none-any.whl", "helper-3-py3-none-any.whl", "numpy-1.0.zip"},
	} {
		if !slices.Equal(chosen[name], want) {
			t.Errorf("%s: %q, want %q", name, chosen[name], want)
		}
	}
}

// reference finds a Python that has packaging's reader of PEP 751, by itself or
// inside pip.
func reference(t *testing.T) (python, module string) {
	for _, module := range []string{"packaging.pylock", "pip._vendor.packaging.pylock"} {
		if exec.Command("python3", "-c", "import "+module).Run() == nil {
			return "python3", module
		}
	}
	t.Skip("no python3 with packaging 26.1 or a pip that holds it")
	return "", ""
}
