package packaging

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseRequirement(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"R-1 empty extras", "foo[]", "foo"},
		{"R-1 parentheses", "foo (>=1.0)", "foo>=1.0"},
		{"R-1 comma at the end", "foo>=1,", "foo>=1"},
		{"R-1 URL", "foo@ https://x/y", "foo @ https://x/y"},
		{"R-1 ugly name", "A.b--C", "A.b--C"},
		{"R-1 white space in extras and specifier", "\tfoo\t[ a ,\tB ] > 1 ,\t< 2 ", "foo[B,a]<2,>1"},
		{"R-1 empty parentheses", "foo ()", "foo"},
		{"R-1 text behind ===", "foo (===1.0-x*)", "foo===1.0-x*"},
		{"clauses behind ===", "foo===1.0,>=0.5 ; os_name=='nt'", `foo===1.0,>=0.5; os_name == "nt"`},
		{"spelling is kept", "Foo_Bar==01.0-RC1", "Foo_Bar==01.0-RC1"},
		{"wildcard", "foo != 1.2.*", "foo!=1.2.*"},
		{"R-2 URL holds a semicolon", `foo@https://x/y;extra=="a"`, `foo @ https://x/y;extra=="a"`},
		{"R-2 URL and marker", `foo[b,a] @ git+ssh://git@h:p/q.git@v1#egg=foo ; extra=="A_b"`,
			`foo[a,b] @ git+ssh://git@h:p/q.git@v1#egg=foo ; extra == "a-b"`},
		{"marker touching", `foo;os_name=="nt"`, `foo; os_name == "nt"`},
		{"end of line", "foo>=1\n", "foo>=1"},
		{"twenty digits", "foo<=99999999999999999999.1", "foo<=99999999999999999999.1"},
	} {
		q, err := ParseRequirement(tt.in)
		if err != nil || q.String() != tt.want {
			t.Errorf("%s: ParseRequirement(%q) = %q, %v, want %q", tt.name, tt.in, q, err, tt.want)
		}
	}
	q, err := ParseRequirement(`Foo.Bar[x,Y]~=1.4 ; python_version<"3"`)
	if err != nil || q.Name != "Foo.Bar" || q.Project() != "foo-bar" || !slices.Equal(q.Extras, []string{"x", "Y"}) ||
		q.Specifiers.String() != "~=1.4" || q.URL != "" || q.Marker.String() != `python_version < "3"` {
		t.Errorf("fields: %+v, %v", q, err)
	}
}

func TestParseRequirementRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		column   int
	}{
		{"R-1 dash in front", "-foo", 1},
		{"R-1 dash behind", "foo-", 4},
		{"R-1 plus", "fo+o", 3},
		{"R-1 one number behind ~=", "foo~=1", 7},
		{"R-1 wildcard behind >=", "foo>=1.0.*", 9},
		{"R-1 marker is no marker", "foo===1.0;x", 11},
		{"R-1 unknown variable", `foo; bogus=="1"`, 6},
		{"R-1 no comma", "foo >=1 <2", 9},
		{"empty", "", 1},
		{"underscore in front", "_foo", 1},
		{"two words", "fo o", 4},
		{"letter that is no ASCII", "foé", 3},
		{"extras not closed", "foo[a, b >=1", 10},
		{"comma at the end of extras", "foo[a,]", 7},
		{"extra missing", "foo[,a]", 5},
		{"no comma between extras", "foo[a b]", 7},
		{"parenthesis not closed", "foo (>=1", 9},
		{"two commas", "foo>=1,,<2", 8},
		{"version missing", "foo==", 6},
		{"URL missing", "foo @ ", 7},
		{"marker without semicolon", `foo @ https://x/y os_name=="nt"`, 19},
		{"marker missing", "foo;", 5},
		{"line break inside", "foo\n>=1", 4},
		{"carriage return", "foo>=1\r\n", 7},
		{"quote not closed", `foo; os_name == "nt`, 20},
		{"local behind >=", "foo>=1+l", 7},
		{"column counts characters", `foo; 'é' == 'é' x`, 17},
	} {
		_, err := ParseRequirement(tt.in)
		var se *SyntaxError
		if !errors.As(err, &se) {
			t.Errorf("%s: ParseRequirement(%q): error %v, want a *SyntaxError", tt.name, tt.in, err)
		} else if se.Column() != tt.column {
			t.Errorf("%s: %v, want column %d", tt.name, err, tt.column)
		}
	}
	_, err := ParseRequirement("foo==")
	if want := `requirement "foo==": column 6: expected a version`; err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestResolveGroups(t *testing.T) {
	include := func(name string) any { return map[string]any{"include-group": name} }
	groups := map[string]any{
		"Test":      []any{"pytest>=7", include("base_line")},
		"base.line": []any{"six"},
		"all":       []any{include("test"), include("TEST"), "six"},
		"loop":      []any{include("around")},
		"around":    []any{include("loop")},
		"bad":       []any{"no good!"},
		"odd":       []any{map[string]any{"include-group": "test", "x": "y"}},
		"text":      "six",
		"lost":      []any{include("nowhere")},
	}
	for _, tt := range []struct{ name, group, want string }{
		{"include in place, any spelling", "test", "pytest>=7 six"},
		{"nothing is left out", "all", "pytest>=7 six pytest>=7 six six"},
		{"cycle", "loop", ""},
		{"wrong requirement", "bad", ""},
		{"unknown key", "odd", ""},
		{"not a list", "text", ""},
		{"include of a group that is not there", "lost", ""},
		{"no such group", "nowhere", ""},
	} {
		got, err := ResolveGroups(groups, []string{tt.group})
		var texts []string
		for _, q := range got {
			texts = append(texts, q.String())
		}
		if (err != nil) != (tt.want == "") || strings.Join(texts, " ") != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, texts, err, tt.want)
		}
	}
	if _, err := ResolveGroups(map[string]any{"a-b": []any{}, "A_B": []any{}}, nil); err == nil {
		t.Error("two groups of one name: no error")
	}
}

func BenchmarkParseRequirement(b *testing.B) {
	for _, s := range []string{"numpy==1.26.4", `importlib-metadata (>=1.4) ; python_version < "3.8" and extra == 'test'`} {
		b.Run(s[:5], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ParseRequirement(s)
			}
		})
	}
}

// FuzzParseRequirement: the text of a requirement parses to an equal one.
func FuzzParseRequirement(f *testing.F) {
	for _, s := range []string{
		"foo", "A.b--C [x,y] >=1,<2 ; extra == 'X_y'", "foo@https://x/y;z ; os_name != \"nt\"", "foo (===1.0,~=2.1)",
		"foo===1.0;x", "a[b]==1.*; ('x' in platform.version or python_implementation=='é') and '1' < python_version",
		"foo @ x\n", "foo_[a_]", `foo; "'" == os_name`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := ParseRequirement(s)
		if err != nil {
			if c := err.(*SyntaxError).Column(); c < 1 || c > len(s)+1 {
				t.Fatalf("ParseRequirement(%q): column %d outside", s, c)
			}
			return
		}
		again, err := ParseRequirement(q.String())
		if err != nil || again.String() != q.String() || again.Name != q.Name || again.URL != q.URL {
			t.Fatalf("ParseRequirement(%q) = %q, which parses to %q, %v", s, q, again, err)
		}
	})
}
