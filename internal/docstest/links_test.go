package docstest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	mdLink  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	inBlock = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
)

// Every link inside the repository leads to a file that is there, and to a
// heading that is in it.
func TestLinks(t *testing.T) {
	docs := documents(t)
	anchors := map[string]map[string]bool{}
	for _, d := range docs {
		anchors[d.name] = map[string]bool{}
		for _, h := range heading.FindAllStringSubmatch(inBlock.ReplaceAllString(d.text, ""), -1) {
			anchors[d.name][anchor(h[1])] = true
		}
	}
	for _, d := range docs {
		for _, m := range mdLink.FindAllStringSubmatch(inBlock.ReplaceAllString(d.text, ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			file, fragment, _ := strings.Cut(m[1], "#")
			target := d.name
			if file != "" {
				target = path.Join(path.Dir(d.name), file)
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
				t.Errorf("%s links to %s, which is not there", d.name, m[1])
				continue
			}
			if fragment != "" && !anchors[target][fragment] {
				t.Errorf("%s links to %s, but %s has no such heading", d.name, m[1], target)
			}
		}
	}
	// Whatever is in docs/ can be found from the README.
	readme := docs[0].text
	for _, d := range docs {
		if path.Dir(d.name) == "docs" && !strings.Contains(readme, "("+d.name+")") {
			t.Errorf("README.md does not link to %s", d.name)
		}
	}
}

// anchor is the name that a heading goes by in links.
func anchor(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(heading)) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			b.WriteRune(r)
		}
	}
	return b.String()
}
