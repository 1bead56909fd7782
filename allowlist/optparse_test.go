package allowlist

import (
	"slices"
	"strings"
	"testing"
)

// What Python's shlex.split gives for the same texts.
func TestShellSplit(t *testing.T) {
	tests := []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"  -a\tb\r\nc ", []string{"-a", "b", "c"}},
		{`'a b'c "d e"`, []string{"a bc", "d e"}},
		{`'' ""`, []string{"", ""}},
		{`'a\'b`, []string{`a\b`}},
		{`"a\"b\\c\d"`, []string{`a"b\c\d`}},
		{`a\ b\"c\d`, []string{`a b"cd`}},
		{`a#b # c`, []string{"a#b", "#", "c"}},
		{"é\u00a0x", []string{"é\u00a0x"}},
	}
	for _, tt := range tests {
		if got, err := shellSplit(tt.in); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("shellSplit(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for in, want := range map[string]error{`'a`: errOpenQuote, `"a`: errOpenQuote, `it's`: errOpenQuote, `a\`: errOpenEscape, `"a\`: errOpenEscape} {
		if got, err := shellSplit(in); err != want {
			t.Errorf("shellSplit(%q) = %q, %v, want %v", in, got, err, want)
		}
	}
}

// RF-6: single spaces count, tabs do not.
func TestSplitArguments(t *testing.T) {
	for _, tt := range [][3]string{
		{"foo==1 --hash=a -x", "foo==1", "--hash=a -x"},
		{"foo", "foo", ""},
		{"-r x", "", "-r x"},
		{"foo  -x", "foo ", "-x"},
		{"foo\t-x", "foo\t-x", ""},
		{"a-b c-d", "a-b c-d", ""},
		{"foo - bar", "foo", "- bar"},
		{"foo ", "foo ", ""},
	} {
		if r, o := splitArguments(tt[0]); r != tt[1] || o != tt[2] {
			t.Errorf("splitArguments(%q) = %q, %q, want %q, %q", tt[0], r, o, tt[1], tt[2])
		}
	}
}

// RF-8: every form of an option.
func TestParseOptions(t *testing.T) {
	tests := []struct {
		in    string
		want  string
		stray string
	}{
		{"-r a", "-r=a", ""},
		{"-ra", "-r=a", ""},
		{"-r=a", "-r==a", ""},
		{"--requirement a", "--requirement=a", ""},
		{"--requirement=a", "--requirement=a", ""},
		{"--requirement=", "--requirement=", ""},
		{"--requirem a --extra=b", "--requirement=a --extra-index-url=b", ""},
		{"--pypi-url u", "--pypi-url=u", ""},
		{"--index-url --pre", "--index-url=--pre", ""},
		{"--pre x --no-index", "--pre= --no-index=", "x"},
		{"--pre -- --no-index", "--pre=", "--no-index"},
		{"- --pre", "--pre=", "-"},
		{"-ZMfx", "-Z= -M= -f=x", ""},
		{"--hash=sha256:a=b", "--hash=sha256:a=b", ""},
		{"-C a=b --config-setting c=d", "-C=a=b --config-settings=c=d", ""},
	}
	for _, tt := range tests {
		got, stray, err := parseOptions(strings.Fields(tt.in))
		var s []string
		for _, g := range got {
			s = append(s, g.name+"="+g.value)
		}
		if err != nil || strings.Join(s, " ") != tt.want || strings.Join(stray, " ") != tt.stray {
			t.Errorf("parseOptions(%q) = %q, %q, %v, want %q, %q", tt.in, s, stray, err, tt.want, tt.stray)
		}
	}
	for in, want := range map[string]string{
		"--nope": "unknown option", "--req x": "could be", "-q": "unknown option", "--no": "could be", "-r": "missing",
		"--requirement": "missing", "--pre=x": "no value", "-Zq": "unknown option", "--install-opt x": "unknown option",
	} {
		if _, _, err := parseOptions(strings.Fields(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseOptions(%q): error %v, want %q in it", in, err, want)
		}
	}
	if _, _, err := parseOptions([]string{"-index-url"}); err != nil {
		t.Errorf("-index-url is -i with a value: %v", err)
	}
	_, _, err := parseOptions([]string{"-hash=sha256:a"})
	if e, ok := err.(*optionError); !ok || e.hint != "a long option has two dashes: --hash=sha256:a" {
		t.Errorf("-hash: %+v", err)
	}
}

func FuzzShellSplit(f *testing.F) {
	f.Add(`-a 'b c' "d\"e" f\ g`)
	f.Add("-\xa6") // an option letter that is not UTF-8: the value of a variable may be anything
	f.Fuzz(func(t *testing.T, s string) {
		words, err := shellSplit(s)
		if err != nil {
			return
		}
		if n := len(strings.Join(words, "")); n > len(s) {
			t.Errorf("shellSplit(%q) = %q, which is longer", s, words)
		}
		// Quoted again, the words are read back.
		var again []string
		for _, w := range words {
			again = append(again, "'"+strings.ReplaceAll(w, "'", `'"'"'`)+"'")
		}
		if back, err := shellSplit(strings.Join(again, " ")); err != nil || !slices.Equal(back, words) {
			t.Errorf("words %q are read back as %q, %v", words, back, err)
		}
		parseOptions(words)
	})
}
