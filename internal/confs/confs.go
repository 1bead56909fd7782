// Package confs reads the server configurations of contrib/ as those do who set
// a server up by them: with their own words in the place of the example ones, and
// with whole paragraphs taken in or out. It is for tests and benchmarks, so that
// what they try is what is documented.
package confs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Read reads a file of contrib/ and puts other words in the place of its example
// ones: pairs of what is there and what is to be. root is the folder of the
// module. Every one of the words must be there, or the file has changed and the
// caller would start something else.
func Read(root, name string, words ...string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(root, "contrib", filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(words); i += 2 {
		if !bytes.Contains(data, []byte(words[i])) {
			return nil, fmt.Errorf("contrib/%s does not contain %q", name, words[i])
		}
		data = bytes.ReplaceAll(data, []byte(words[i]), []byte(words[i+1]))
	}
	return data, nil
}

// directive is a line of a server's configuration that was taken out: prose has a
// blank behind its "#".
var directive = regexp.MustCompile(`^( *)#([^ ]|    )`)

// TakeIn takes the directives of one paragraph in: the one with some words in it.
func TakeIn(conf []byte, words string) ([]byte, error) {
	return edit(conf, words, func(line string) string { return directive.ReplaceAllString(line, "$1$2") })
}

// TakeOut takes the directives of one paragraph out.
func TakeOut(conf []byte, words string) ([]byte, error) {
	return edit(conf, words, func(line string) string {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			return line
		}
		return "#" + line
	})
}

func edit(conf []byte, words string, change func(line string) string) ([]byte, error) {
	paragraphs := strings.Split(string(conf), "\n\n")
	changed := false
	for i, p := range paragraphs {
		if !strings.Contains(p, words) {
			continue
		}
		lines := strings.Split(p, "\n")
		for j := range lines {
			if to := change(lines[j]); to != lines[j] {
				lines[j], changed = to, true
			}
		}
		paragraphs[i] = strings.Join(lines, "\n")
	}
	if !changed {
		return nil, fmt.Errorf("no directives in a paragraph with %q", words)
	}
	return []byte(strings.Join(paragraphs, "\n\n")), nil
}
