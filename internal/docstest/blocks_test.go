// Package docstest holds the documentation against the program: it runs every
// command of the README and of docs/, loads every settings file shown there,
// and follows every link.
//
// The first word behind the fence of a block is its language; what follows says
// how the block is tested.
//
//	sh                  is run, by bash; the next block goes on in the same folder
//	sh exit=N           ends with status N
//	sh make             calls targets of the Makefile, which have to be there
//	sh elsewhere        is for another machine or for root: only read by bash
//	text output         is what the block of sh before it prints
//	toml                is a nestgen.toml, which is loaded and checked
//	toml policy         is a policy file
//	toml client         belongs to another program
//	requirements        is an allowlist without an error
//	cron                is a file of /etc/cron.d; its command is run
//	nginx, apache,
//	systemd             stands, line by line, in a file of contrib/
//	ini, json, python   are for the eye
//	LANGUAGE file=NAME  is written to NAME before the next block is run
//
// A document begins in an empty folder, or with "<!-- begin: quickstart -->" in
// the example site.
package docstest

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the root of the repository as seen from here.
const root = "../.."

// A block is one fenced block of a document.
type block struct {
	line  int // of its fence
	lang  string
	words []string
	text  string
}

func (b block) has(word string) bool { return slices.Contains(b.words, word) }

// value gives what follows "key=" behind the fence; empty if it is not there.
func (b block) value(key string) string {
	for _, w := range b.words {
		if v, ok := strings.CutPrefix(w, key+"="); ok {
			return v
		}
	}
	return ""
}

// A document is one file of the documentation.
type document struct {
	name   string // relative to root
	text   string
	blocks []block
}

// documents reads the README and everything in docs/.
func documents(t *testing.T) []document {
	t.Helper()
	names := []string{"README.md", "CHANGELOG.md", "examples/quickstart/README.md"}
	for _, pattern := range []string{"docs/*.md", "docs/adr/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d documents, %v", pattern, len(found), err)
		}
		for _, f := range found {
			names = append(names, filepath.ToSlash(f[len(root)+1:]))
		}
	}
	var docs []document
	for _, n := range names {
		data, err := os.ReadFile(filepath.Join(root, n))
		if err != nil {
			t.Fatal(err)
		}
		d := document{name: n, text: string(data)}
		d.blocks = fences(t, n, data)
		docs = append(docs, d)
	}
	return docs
}

// fences finds the fenced blocks of a document. A fence may be indented, as in
// a list; what it holds is then indented too.
func fences(t *testing.T, name string, data []byte) []block {
	t.Helper()
	var all []block
	var open *block
	indent := 0
	s := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; s.Scan(); n++ {
		line := s.Text()
		body := strings.TrimLeft(line, " ")
		switch {
		case open == nil && strings.HasPrefix(body, "```"):
			words := strings.Fields(strings.TrimPrefix(body, "```"))
			if len(words) == 0 {
				t.Errorf("%s:%d: a block without a language", name, n)
				words = []string{"text"}
			}
			open, indent = &block{line: n, lang: words[0], words: words[1:]}, len(line)-len(body)
		case open != nil && body == "```":
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line[min(indent, len(line)-len(body)):] + "\n"
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if open != nil {
		t.Errorf("%s:%d: a block without an end", name, open.line)
	}
	return all
}

func TestFences(t *testing.T) {
	got := fences(t, "x", []byte("a\n```sh exit=3\none\n```\n  ```toml file=f.toml\n  k = 1\n    deep\n  ```\n"))
	if len(got) != 2 || got[0].lang != "sh" || got[0].value("exit") != "3" || got[0].text != "one\n" ||
		got[1].line != 5 || got[1].value("file") != "f.toml" || got[1].text != "k = 1\n  deep\n" {
		t.Errorf("fences = %+v", got)
	}
}
