package main

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// pages writes the pages of every project in a packed list, on all processors.
func pages(file, dir string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, "simple")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var rootHTML, rootJSON []byte
	projects := make(chan []byte, 64)
	errs := make([]error, runtime.GOMAXPROCS(0))
	var writers sync.WaitGroup
	for k := range errs {
		writers.Go(func() {
			var page []byte
			for rows := range projects {
				if errs[k] == nil {
					page, errs[k] = project(dir, rows, page)
				}
			}
		})
	}
	for len(data) > 0 {
		rows := data[:cut(data)]
		data = data[len(rows):]
		name, _, _ := bytes.Cut(rows, []byte("\t"))
		rootHTML = fmt.Appendf(rootHTML, "<a href=\"%s/\">%s</a><br>\n", name, name)
		rootJSON = fmt.Appendf(rootJSON, ",{\"name\":\"%s\"}", name)
		projects <- rows
	}
	close(projects)
	writers.Wait()
	rootJSON = append(append([]byte(`{"meta":{"api-version":"1.1"},"projects":[`), bytes.TrimPrefix(rootJSON, []byte(","))...), "]}\n"...)
	return errors.Join(append(errs,
		os.WriteFile(dir+"/index.html", rootHTML, 0o644), os.WriteFile(dir+"/index.v1_json", rootJSON, 0o644))...)
}

// cut gives where the rows of the first project end.
func cut(data []byte) int {
	name := data[:bytes.IndexByte(data, '\t')+1]
	end := 0
	for bytes.HasPrefix(data[end:], name) {
		end += bytes.IndexByte(data[end:], '\n') + 1
	}
	return end
}

// project writes the two pages of one project. It gives its memory back.
func project(dir string, rows, page []byte) ([]byte, error) {
	var files [][fields]string
	for line := range strings.Lines(string(rows)) {
		var f [fields]string
		copy(f[:], strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
		files = append(files, f)
	}
	folder := dir + "/" + files[0][fieldProject]
	if err := os.Mkdir(folder, 0o755); err != nil {
		return page, err
	}
	page = appendHTML(page[:0], files)
	if err := os.WriteFile(folder+"/index.html", page, 0o644); err != nil {
		return page, err
	}
	page = appendJSON(page[:0], files)
	return page, os.WriteFile(folder+"/index.v1_json", page, 0o644)
}

// all appends strings.
func all(b []byte, texts ...string) []byte {
	for _, t := range texts {
		b = append(b, t...)
	}
	return b
}

func appendHTML(b []byte, files [][fields]string) []byte {
	name := files[0][fieldProject]
	b = all(b, "<!DOCTYPE html>\n<html><head><meta name=\"pypi:repository-version\" content=\"1.1\"><title>", name, "</title></head>\n<body>\n<h1>", name, "</h1>\n")
	for _, f := range files {
		b = all(b, `<a href="../../packages/`, f[fieldSHA256][:2], "/", f[fieldSHA256][2:4], "/", f[fieldSHA256][4:], "/", f[fieldFilename], "#sha256=", f[fieldSHA256], `"`)
		if f[fieldPython] != "" {
			b = all(b, ` data-requires-python="`, html.EscapeString(f[fieldPython]), `"`)
		}
		if f[fieldMetadata] != "" {
			b = all(b, ` data-core-metadata="sha256=`, f[fieldMetadata], `" data-dist-info-metadata="sha256=`, f[fieldMetadata], `"`)
		}
		if f[fieldYanked] != "" {
			b = all(b, ` data-yanked="`, html.EscapeString(f[fieldYanked]), `"`)
		}
		b = all(b, ">", f[fieldFilename], "</a><br>\n")
	}
	return all(b, "</body></html>\n")
}

func appendJSON(b []byte, files [][fields]string) []byte {
	b = all(b, `{"meta":{"api-version":"1.1"},"name":"`, files[0][fieldProject], `","versions":[`)
	for i, f := range files {
		if i == 0 || f[fieldVersion] != files[i-1][fieldVersion] {
			if i > 0 {
				b = append(b, ',')
			}
			b = all(b, `"`, f[fieldVersion], `"`)
		}
	}
	b = all(b, `],"files":[`)
	for i, f := range files {
		if i > 0 {
			b = append(b, ',')
		}
		b = all(b, `{"filename":"`, f[fieldFilename], `","url":"../../packages/`, f[fieldSHA256][:2], "/", f[fieldSHA256][2:4], "/", f[fieldSHA256][4:], "/", f[fieldFilename],
			`","hashes":{"sha256":"`, f[fieldSHA256], `"},"size":`, f[fieldSize], `,"upload-time":"`, f[fieldUploaded], `"`)
		if f[fieldPython] != "" {
			b = all(b, `,"requires-python":"`, f[fieldPython], `"`)
		}
		if f[fieldMetadata] != "" {
			b = all(b, `,"core-metadata":{"sha256":"`, f[fieldMetadata], `"}`)
		}
		if f[fieldYanked] != "" {
			b = all(b, `,"yanked":"`, f[fieldYanked], `"`)
		} else {
			b = all(b, `,"yanked":false`)
		}
		b = append(b, '}')
	}
	return all(b, "]}\n")
}
