//go:build linux && amd64

package sweep

import (
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nestgen/layout"
)

// CheckSite takes a good site and refuses each fault by name.
func TestCheckSite(t *testing.T) {
	content := "content"
	sum := sha256.Sum256([]byte(content))
	file := layout.File(sum, "foo-1.tar.gz")
	hash := fmt.Sprintf("%x", sum)
	html := func(links string) string { return "<!DOCTYPE html><html><body>" + links + "</body></html>\n" }
	good := map[string]string{
		file:                        content,
		file + ".metadata":          content,
		"simple/foo/index.html":     html(`<a href="../../` + file + `#sha256=` + hash + `" data-core-metadata="sha256=` + hash + `">x</a>`),
		"simple/foo/index.v1_json":  `{"meta":{},"files":[{"url":"../../` + file + `","size":7,"hashes":{"sha256":"` + hash + `"},"core-metadata":{"sha256":"` + hash + `"}}]}`,
		"simple/index.html":         html(`<a href="foo/">foo</a><a href="https://example.com/">x</a>`),
		"simple/index.v1_json":      `{"meta":{},"projects":[{"name":"Foo"}]}`,
		"pypi/foo/json":             `{"info":{}}`,
		"simple/foo/index.html.gz":  "",
		"index.html":                html(`<a href="simple/">all</a>`),
		"project/foo/index.html":    html(`<a href="../../simple/foo/#files">foo</a> <a href="../../">up</a>`),
		"easy/index.html":           html(`<a href="git+https://example.com/foo.git#egg=foo-dev">foo</a>`),
		"changes/feed.atom":         "<feed/>",
		"simple/foo/nothing.v1_txt": "",
	}
	tests := []struct {
		name string
		path string
		with string // "-" removes
		want string // in the error; empty for none
	}{
		{"good", "", "", ""},
		{"no front page yet", "index.html", "-", ""},
		{"list gone below a front page", "simple/index.html", "-", "dangling"},
		{"half a page", "simple/foo/index.html", "<!DOCTYPE html><html><a href=", "torn"},
		{"empty page", "simple/index.html", "", "torn"},
		{"half a document", "simple/foo/index.v1_json", `{"meta":{},"files":[{"url":`, "torn"},
		{"empty document", "pypi/foo/json", "", "torn"},
		{"file gone", file, "-", "stands beside no file"},
		{"metadata gone", file + ".metadata", "-", "dangling"},
		{"file changed", file, "Content", "other bytes"},
		{"metadata changed", file + ".metadata", "Content", "has sha256"},
		{"wrong hash on the page", "simple/foo/index.html", html(`<a href="../../` + file + `#sha256=` + strings.Repeat("0", 64) + `">x</a>`), "has sha256"},
		{"wrong size", "simple/foo/index.v1_json", `{"meta":{},"files":[{"url":"../../` + file + `","size":8,"hashes":{"sha256":"` + hash + `"}}]}`, "7 bytes, want 8"},
		{"no hash", "simple/foo/index.v1_json", `{"meta":{},"files":[{"url":"../../` + file + `","hashes":{}}]}`, "has sha256"},
		{"project without a page", "simple/index.html", html(`<a href="bar/">bar</a>`), "dangling"},
		{"project without a document", "simple/index.v1_json", `{"meta":{},"projects":[{"name":"bar"}]}`, "dangling"},
		{"link out of the site", "index.html", html(`<a href="../secret">x</a>`), "out of the site"},
		{"temporary name", "simple/foo/index.html.tmp", "x", "temporary"},
		{"hidden name", "simple/.foo/index.html", html(""), "temporary"},
		{"empty folder", "simple/bar/", "", "empty folder"},
		{"empty folder of a project in an index", "prod/pypi/bar/", "", "empty folder"},
		{"project with the name of a folder", "simple/project/", "", "empty folder"},
		{"empty folder of a project in a snapshot", "snapshots/then/simple/bar/", "", "empty folder"},
		{"snapshot that goes", "snapshots/then/", "", ""},
		{"index without projects", "prod/project/", "", ""},
		{"half a sibling", "simple/foo/index.html.gz", "\x1f\x8b\x08", "index.html.gz"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(path, text string) {
				full := dir + "/" + path
				if err := os.MkdirAll(filepath.Dir(full+"x"), 0o755); err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(path, "/") {
					return
				}
				if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for path, text := range good {
				if strings.HasSuffix(path, ".html.gz") {
					b := new(strings.Builder)
					zw := gzip.NewWriter(b)
					zw.Write([]byte(good["simple/foo/index.html"]))
					zw.Close()
					text = b.String()
				}
				write(path, text)
			}
			switch {
			case tt.with == "-":
				if err := os.Remove(filepath.Join(dir, tt.path)); err != nil {
					t.Fatal(err)
				}
			case tt.path != "":
				write(tt.path, tt.with)
			}
			err := CheckSite(dir)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("CheckSite = %v, want %q", err, tt.want)
			}
		})
	}
	if err := CheckSite(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("no site: %v", err)
	}
}

// What is announced need not be there, but must be what pages say.
func TestCheckLazySite(t *testing.T) {
	content := "content"
	sum := sha256.Sum256([]byte(content))
	file, hash := layout.File(sum, "foo-1.tar.gz"), fmt.Sprintf("%x", sum)
	nothing := map[string]string{}
	all := map[string]string{file: hash, file + ".metadata": hash}
	tests := []struct {
		name      string
		announced map[string]string
		files     map[string]string
		want      string // in the error; empty for none
	}{
		{"announced", all, nil, ""},
		{"metadata came first", all, map[string]string{file + ".metadata": content}, ""},
		{"all came", nothing, map[string]string{file: content, file + ".metadata": content}, ""},
		{"not announced", nothing, nil, "dangling"},
		{"announced with another hash", map[string]string{file: strings.Repeat("0", 64), file + ".metadata": hash}, nil, "has sha256"},
		{"metadata not announced", map[string]string{file: hash}, nil, "dangling"},
		{"metadata with another hash", map[string]string{file: hash, file + ".metadata": strings.Repeat("0", 64)}, nil, "has sha256"},
		{"metadata of nothing", nothing, map[string]string{file + ".metadata": content}, "stands beside no file"},
		{"half a file", all, map[string]string{file: "con"}, "other bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := stage{t.TempDir()}
			links := `<a href="../../flat/">files</a><a href="../../simple/">projects</a><a href="../../` + file + `#sha256=` + hash + `" data-core-metadata="sha256=` + hash + `">x</a>`
			err := s.write("simple/foo/index.html", "<!DOCTYPE html><html><body>"+links+"</body></html>\n")
			for path, text := range tt.files {
				err = errors.Join(err, s.write(path, text))
			}
			if err != nil {
				t.Fatal(err)
			}
			err = CheckLazySite(s.dir, func(path string) (string, error) {
				if tt.announced[path] == "" {
					return "", fs.ErrNotExist
				}
				return tt.announced[path], nil
			})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("CheckLazySite = %v, want %q", err, tt.want)
			}
			if err := CheckSite(s.dir); err == nil {
				t.Error("CheckSite takes it")
			}
		})
	}
}
