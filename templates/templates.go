// Package templates holds the templates of the pages for people, with the
// style sheet, the script and the picture that these load. They are embedded;
// a site may put files of its own in their place, one by one. The package
// knows how the files are put together, and nothing of what they are executed
// with: that is package generate's.
package templates

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// The templates that are executed. Base holds the parts that all share.
const (
	Front   = "front.html"   // the page of the whole site
	Project = "project.html" // the page of a project
	Held    = "held.html"    // the page of what may not come in yet
	Changes = "changes.html" // the page of what changed, in the site or in a project
	Base    = "base.html"

	Statistics = "statistics.html" // the page of what was downloaded
	Snapshots  = "snapshots.html"  // the page of the snapshots
)

//go:embed pages
var embedded embed.FS

// assetFolder holds, in a directory of templates, the files that pages load.
const assetFolder = "static"

// A Set is a whole set of templates, ready to be executed. It may be used by
// several goroutines at once.
type Set struct {
	pages  *template.Template
	assets []Asset
	digest string
}

// An Asset is a file that the pages load. Data is not to be changed.
type Asset struct {
	Name string // without a folder
	Data []byte
}

// Default is the set that is built in.
var Default = sync.OnceValue(func() *Set {
	s, err := load(nil)
	if err != nil {
		panic(err) // the files were there when the program was compiled
	}
	return s
})

// Load gives the built-in set with the files of dir in the place of those of
// the same name: base.html, front.html, project.html, held.html, changes.html,
// statistics.html and snapshots.html, and below static/ any file, which is published
// beside the built-in ones or instead. Any other file is an error, because it would be
// one with a misspelt name; hidden files and those that end in "~" are passed over.
func Load(dir fs.FS) (*Set, error) { return load(dir) }

func load(site fs.FS) (*Set, error) {
	builtin, err := fs.Sub(embedded, "pages")
	if err != nil {
		return nil, err
	}
	files, err := read(builtin)
	if err != nil {
		return nil, err
	}
	if site != nil {
		own, err := read(site)
		if err != nil {
			return nil, err
		}
		for name, data := range own {
			_, known := files[name]
			if !known && path.Dir(name) != assetFolder {
				return nil, fmt.Errorf("template %s: there is none of that name", name)
			}
			files[name] = data
		}
	}

	s := &Set{pages: template.New("").Option("missingkey=error")}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%s %d\n%s", name, len(files[name]), files[name])
		if dir, base := path.Split(name); dir != "" {
			s.assets = append(s.assets, Asset{base, files[name]})
			continue
		}
		if _, err := s.pages.New(name).Parse(string(files[name])); err != nil {
			return nil, err
		}
	}
	s.digest = hex.EncodeToString(h.Sum(nil))
	return s, nil
}

// read gives the files of a directory of templates by name.
func read(dir fs.FS) (map[string][]byte, error) {
	files := make(map[string][]byte)
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		switch {
		case name == "." || name == assetFolder && d.IsDir():
			return nil
		case strings.HasPrefix(base, ".") || strings.HasSuffix(base, "~"):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return fmt.Errorf("templates: folder %s: only %s may hold files", name, assetFolder)
		case strings.Trim(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "":
			return fmt.Errorf("templates: file %q: letters, digits, '-', '_' and '.' only", name)
		}
		files[name], err = fs.ReadFile(dir, name)
		return err
	})
	return files, err
}

// Digest names the set by its content: sets with the same digest make the same
// pages of the same data.
func (s *Set) Digest() string { return s.digest }

// Execute writes a page: the template of that name, executed with data.
func (s *Set) Execute(w io.Writer, name string, data any) error {
	return s.pages.ExecuteTemplate(w, name, data)
}

// Assets are the files that the pages load, sorted by name.
func (s *Set) Assets() []Asset { return s.assets }
