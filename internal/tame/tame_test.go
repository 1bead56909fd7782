package tame

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// wild is every character that must not be shown: what drives a terminal, ends
// a line, or turns the direction of writing.
func wild() (all []rune) {
	for _, r := range []struct{ from, to rune }{
		{0, 8}, {0xa, 0x1f}, {0x7f, 0x9f}, {0x61c, 0x61c}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069},
	} {
		for c := r.from; c <= r.to; c++ {
			all = append(all, c)
		}
	}
	return all
}

func TestWild(t *testing.T) {
	is := map[rune]bool{}
	for _, r := range wild() {
		is[r] = true
	}
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if got := Wild(r); got != is[r] {
			t.Errorf("Wild(%U) = %v", r, got)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                    "",
		"plain\tText é 木 👩‍🚀": "plain\tText é 木 👩‍🚀",
		"gpj.\u202eexe":       "gpj.\ufffdexe",
		"two\u2028lines\n":    "two\ufffdlines\ufffd",
		"\x1b[31m\u009b31m":   "\ufffd[31m\ufffd31m",
		"not\xffutf8":         "not\ufffdutf8",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

// What is escaped says the same.
func TestJSON(t *testing.T) {
	in := map[string]string{"reason " + string(wild()): "a\tb" + string(wild()) + "\"\\é"}
	data, err := json.MarshalIndent(in, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	got := JSON(data)
	var out map[string]string
	if err := json.Unmarshal(got, &out); err != nil {
		t.Fatal(err)
	}
	for k, v := range in {
		if out[k] != v {
			t.Errorf("read back %q, want %q", out[k], v)
		}
	}
	if s := strings.ReplaceAll(string(got), "\n", ""); Text(s) != s {
		t.Errorf("%q is still wild", got)
	}
	if plain := []byte("{\n\t\"a\": \"é\"\r\n}"); string(JSON(plain)) != string(plain) {
		t.Error("a plain document was changed")
	}
}
