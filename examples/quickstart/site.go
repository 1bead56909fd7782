package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"text/template"
)

// assemble gives the files of the example site, by their paths.
func assemble(sources fs.FS) (map[string][]byte, error) {
	files := map[string][]byte{}
	pages := map[string][]byte{}
	err := fs.WalkDir(sources, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			pack := packer(name)
			if pack == nil {
				return nil
			}
			inside, err := fs.Sub(sources, name)
			if err != nil {
				return err
			}
			members, err := membersOf(inside)
			if err != nil {
				return err
			}
			if files[name], err = pack(members); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return fs.SkipDir
		}
		data, err := fs.ReadFile(sources, name)
		if path.Ext(name) == ".html" {
			pages[name] = data
		} else {
			files[name] = data
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for name, text := range pages {
		if files[name], err = page(name, text, files); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// page fills in a page of the upstream. {{link "NAME"}} is the relative
// address of a file of the upstream, with its digest.
func page(name string, text []byte, files map[string][]byte) ([]byte, error) {
	t, err := template.New(name).Funcs(template.FuncMap{"link": func(file string) (string, error) {
		data, ok := files["upstream/files/"+file]
		if !ok {
			return "", errors.New("no such file: " + file)
		}
		return fmt.Sprintf("../../files/%s#sha256=%x", file, sha256.Sum256(data)), nil
	}}).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, nil)
	return out.Bytes(), err
}

// write puts the files into a folder, which must be empty or not there.
func write(dir string, files map[string][]byte) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty", dir)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		target := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}
