package packaging

import (
	"strings"
	"testing"
)

func mustMarker(t testing.TB, s string) *Marker {
	t.Helper()
	m, err := ParseMarker(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMarkerString(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"spaces and quotes", `python_version>='3.4'`, `python_version >= "3.4"`},
		{"old names", `os.name=='nt'or python_implementation=='x'or platform.machine in 'y'`,
			`os_name == "nt" or platform_python_implementation == "x" or platform_machine in "y"`},
		{"words touching quotes", `"a"in os_name and"b"not  in os_name`, `"a" in os_name and "b" not in os_name`},
		{"written parentheses stay", `(os_name=="a" and os_name=="b") or os_name=="c"`,
			`(os_name == "a" and os_name == "b") or os_name == "c"`},
		{"needless parentheses go", `((os_name=="a"))and(((os_name=="b" or (os_name=="c"))))`,
			`os_name == "a" and (os_name == "b" or os_name == "c")`},
		{"parentheses around all go", `((os_name=="a" or os_name=="b"))`, `os_name == "a" or os_name == "b"`},
		{"extras are normalized, at any depth", `(extra=="A_b" or ("C..d" == extra)) and "X_" in extras`,
			`(extra == "a-b" or "c-d" == extra) and "x-" in extras`},
		{"a double quote inside", `os_name == 'a"b'`, `os_name == 'a"b'`},
		{"R-3 no escapes", `os_name == "a\"`, `os_name == "a\"`},
	} {
		m, err := ParseMarker(tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if m.String() != tt.want {
			t.Errorf("%s: %q is printed %s, want %s", tt.name, tt.in, m, tt.want)
		}
	}
}

func TestParseMarkerRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		column   int
	}{
		{"variable alone", "python_version", 15},
		{"unknown variable", "python_versions == '3'", 1},
		{"R-3 chain", "'2' < python_version < '4'", 22},
		{"no quotes", "python_version >= 3", 19},
		{"no operator", "os_name 'nt'", 9},
		{"not without in", "'x' not os_name", 9},
		{"notin", "'x' notin os_name", 5},
		{"and touching a word", "os_name=='a' andos_name=='b'", 14},
		{"parenthesis not closed", "(os_name=='a'", 14},
		{"parenthesis too many", "os_name=='a')", 13},
		{"line break in quotes", "os_name=='a\nb'", 12},
		{"letter behind a name", "os_nameé == 'a'", 1},
		{"too deep", strings.Repeat("(", 10000) + "os_name=='a'", 202},
		{"empty", "", 1},
	} {
		_, err := ParseMarker(tt.in)
		if err == nil {
			t.Errorf("%s: no error", tt.name)
		} else if c := err.(*SyntaxError).Column(); c != tt.column {
			t.Errorf("%s: %.200v, want column %d", tt.name, err, tt.column)
		}
	}
}

var cpython311 = Environment{
	OSName: "posix", SysPlatform: "linux", PlatformMachine: "x86_64", PlatformPythonImplementation: "CPython",
	PlatformRelease: "6.1.0-35-amd64", PlatformSystem: "Linux", PlatformVersion: "#1 SMP",
	PythonVersion: "3.11", PythonFullVersion: "3.11.2", ImplementationName: "cpython", ImplementationVersion: "3.11.2",
}

// Contract rule R-3.
func TestMarkerEval(t *testing.T) {
	lock := cpython311
	lock.Extras, lock.DependencyGroups, lock.NoExtra = []string{"Feat_1"}, []string{}, true
	withExtra := cpython311
	withExtra.Extra = "Test_Extra"
	checkout := cpython311
	checkout.PythonFullVersion = "3.13.0a1+"
	for _, tt := range []struct {
		name, marker string
		env          Environment
		want         bool
	}{
		{"versions compare as versions", `python_version >= "3.9"`, cpython311, true},
		{"... on the right too", `"3.9" < python_version`, cpython311, true},
		{"... by wildcard", `python_full_version == "3.11.*"`, cpython311, true},
		{"... and compatibly", `python_full_version ~= "3.11.0"`, cpython311, true},
		{"... pre-releases let in", `python_full_version >= "3.11.2.dev0"`, cpython311, true},
		{"a version of a checkout", `python_full_version > "3.13.0a0"`, checkout, true},
		{"no version on the other side: text", `python_version >= "foo"`, cpython311, false},
		{"no version here: never", `platform_release >= "5"`, cpython311, false},
		{"text compares exactly", `sys_platform == "Linux"`, cpython311, false},
		{"< on text is false", `os_name < "z"`, cpython311, false},
		{"<= on text is equality", `os_name <= "posix"`, cpython311, true},
		{"in is a part of the text", `"86" in platform_machine`, cpython311, true},
		{"in looks at versions as text", `python_version in "2.7 3.11"`, cpython311, true},
		{"not in", `python_version not in "2.7, 3.1"`, cpython311, true},
		{"and before or", `os_name == "posix" or os_name == "a" and os_name == "b"`, cpython311, true},
		{"parentheses before and", `(os_name == "posix" or os_name == "a") and os_name == "b"`, cpython311, false},
		{"or of two ands", `os_name == "a" and os_name == "b" or os_name == "posix" and "p" in os_name`, cpython311, true},
		{"no extra is the empty one", `extra == ""`, cpython311, true},
		{"extras compare normalized", `extra == "test.extra"`, withExtra, true},
		{"... in parentheses too", `os_name == "posix" and (extra == "TEST-extra" or os_name == "a")`, withExtra, true},
		{"list of extras", `"feat-1" in extras`, lock, true},
		{"empty list", `"x" not in dependency_groups`, lock, true},
		{"a text is never a list", `"feat-1" == extras`, lock, false},
		{"=== is exact for a version", `python_version === "3.11"`, cpython311, true},
	} {
		if got, err := mustMarker(t, tt.marker).Eval(&tt.env); err != nil || got != tt.want {
			t.Errorf("%s: %s = %v, %v, want %v", tt.name, tt.marker, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		name, marker string
		env          Environment
	}{
		{"~= needs versions", `os_name ~= "1.0"`, cpython311},
		{"=== needs versions", `os_name === "posix"`, cpython311},
		{"also where it does not decide", `os_name == "a" and os_name ~= "b"`, cpython311},
		{"also in parentheses", `os_name == "posix" or (os_name == "a" and "x" ~= python_version)`, Environment{PythonVersion: "3"}},
		{"no list outside of lock files", `"a" in extras`, cpython311},
		{"a list on the left", `extras == "a"`, lock},
		{"no extra in a lock file", `extra == "a"`, lock},
		{"no variable at all", `"a" == "b"`, cpython311},
	} {
		if got, err := mustMarker(t, tt.marker).Eval(&tt.env); err == nil {
			t.Errorf("%s: %s = %v, want an error", tt.name, tt.marker, got)
		}
	}
}

func TestMarkerMentions(t *testing.T) {
	m := mustMarker(t, `os.name == "extras" and ("x" == extra or python_version < "3")`)
	for name, want := range map[string]bool{"os_name": true, "extra": true, "python_version": true, "extras": false, "x": false} {
		if got := m.Mentions(name); got != want {
			t.Errorf("mentions %s = %v, want %v", name, got, want)
		}
	}
}

func TestMarkerAllocations(t *testing.T) {
	m := mustMarker(t, `python_version >= "3.8" and (os_name != "nt" or platform_machine in "x86_64") and extra == ""`)
	env := cpython311
	if got := testing.AllocsPerRun(100, func() { m.Eval(&env) }); got > 0 {
		t.Errorf("Eval: %v allocations, want none", got)
	}
}

func BenchmarkMarkerEval(b *testing.B) {
	m := mustMarker(b, `python_version < "3.8" and extra == "test"`)
	env := cpython311
	b.ReportAllocs()
	for b.Loop() {
		m.Eval(&env)
	}
}

// FuzzParseMarker: the text of a marker parses to one of the same text, and
// both say the same.
func FuzzParseMarker(f *testing.F) {
	for _, s := range []string{
		`python_version >= "3.8"`, `(os.name=='a' or "b" not in platform_release)and extra!='X_y'`,
		`((os_name=="a"))`, `"a" in extras`, `os_name == 'a"'`, `'x' ~= python_full_version or "y"<="z"`,
	} {
		f.Add(s, "3.11")
	}
	f.Fuzz(func(t *testing.T, s, value string) {
		m, err := ParseMarker(s)
		if err != nil {
			if c := err.(*SyntaxError).Column(); c < 1 || c > len(s)+1 {
				t.Fatalf("ParseMarker(%q): column %d outside", s, c)
			}
			return
		}
		again, err := ParseMarker(m.String())
		if err != nil || again.String() != m.String() {
			t.Fatalf("ParseMarker(%q) = %s, which parses to %v, %v", s, m, again, err)
		}
		env := Environment{PythonVersion: value, OSName: value, PlatformRelease: value, Extra: value, Extras: []string{value}}
		a, errA := m.Eval(&env)
		b, errB := again.Eval(&env)
		if a != b || (errA == nil) != (errB == nil) {
			t.Fatalf("%q: %v, %v; its text %s: %v, %v", s, a, errA, m, b, errB)
		}
	})
}
