package allowlist

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPartial(t *testing.T) {
	t.Setenv("NESTGEN_CANARY", "canary4711")
	for _, tt := range []struct {
		text string
		want bool
	}{
		{"a\n", false},
		{"a\nnot a requirement!\n", false},
		{"a --hash=sha1:00\n", false},
		{"-e nowhere\n", false},
		{"https://h/${NESTGEN_NOT_SET}/a-1.tar.gz\n", false},
		{"a --require-hashes\n", false},
		{"--require-hashes\na\n", false},
		{"-r missing.txt\na\n", true},
		{"-c missing.txt\na\n", true},
		{"-r https://h/list.txt\na\n", true},
		{"-r self.txt\n", true},
		{"-c wrong.txt\na\n", true},
		{"--pree\na\n", true},
		{"--index-url\na\n", true},
		{"-i https://${NESTGEN_NOT_SET}@h/\na\n", true},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "self.txt")
		for name, text := range map[string]string{"self.txt": tt.text, "wrong.txt": "a<<1\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if l := Read(Sources{}, file); l.Partial() != tt.want {
			t.Errorf("%q: partial: %v; %v", tt.text, l.Partial(), l.Problems)
		}
	}
	if l := Read(Sources{}, "/nowhere/list.txt"); !l.Partial() {
		t.Error("a list that is not there")
	}
}

func TestNoTokenIsShown(t *testing.T) {
	t.Setenv("NESTGEN_CANARY", "canary4711")
	file := filepath.Join(t.TempDir(), "list.txt")
	err := os.WriteFile(file, []byte(`--extra-index-url https://h/${NESTGEN_CANARY}/simple/
-f https://h/page.html?a=b&access_token=canary4711
a @ https://h/a-1.0.tar.gz?token=canary4711&x=y#sha256=00
b @ https://${NESTGEN_CANARY}@h/b-1.0.tar.gz
c @ https://h/c-1.0.tar.gz?private_token=canary4711;x=y whatever
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	l := Read(Sources{}, file)
	if len(l.Wants) < 2 || !l.Wants[1].Expanded || l.Wants[0].Expanded {
		t.Fatalf("%v", l.Wants)
	}
	var b strings.Builder
	for _, w := range l.Wants {
		b.WriteString(w.String() + "\n" + w.Masked + "\n")
	}
	for _, p := range l.Problems {
		b.WriteString(p.String() + p.Hint + "\n")
	}
	for _, p := range append(l.Options.ExtraIndexURLs, l.Options.FindLinks...) {
		b.WriteString(p.String() + "\n")
	}
	if strings.Contains(b.String(), "canary") || !strings.Contains(b.String(), "x=y") || !strings.Contains(b.String(), "a=b") {
		t.Error(b.String())
	}
}
