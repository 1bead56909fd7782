package fetchtest

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	typeJSON = "application/vnd.pypi.simple.v1+json"
	typeHTML = "text/html; charset=utf-8"
)

// page makes the page at a path.
func (s *Server) page(r *http.Request, path string, fault Fault) (*answer, bool) {
	if path == Links {
		return s.htmlPage(s.order, fault, true), true
	}
	for _, form := range []string{Index, HTML, Nginx, Apache, Flat} {
		rest, ok := strings.CutPrefix(path, form)
		if !ok {
			continue
		}
		if form == Flat {
			if rest != "" {
				for _, f := range s.order {
					if f.Filename == rest {
						return fileAnswer(f.Data), true
					}
				}
				return nil, false
			}
			return s.listing(s.order, false), true
		}
		if rest == "" {
			if form == Index && strings.Contains(r.Header.Get("Accept"), typeJSON) {
				return s.jsonRoot(fault), true
			}
			return s.root(form), true
		}
		project, name, _ := strings.Cut(rest, "/")
		files := s.projects[project]
		if len(files) == 0 {
			return nil, false
		}
		if name != "" {
			for _, f := range files {
				if f.Filename == name {
					return fileAnswer(f.Data), true
				}
			}
			return nil, false
		}
		switch {
		case form == Nginx || form == Apache:
			return s.listing(files, form == Apache), true
		case form == Index && strings.Contains(r.Header.Get("Accept"), typeJSON):
			return s.jsonPage(project, files, fault), true
		}
		return s.htmlPage(files, fault, false), true
	}
	return nil, false
}

func serialHeader(serial int64, fault Fault) http.Header {
	if fault == StaleSerial {
		serial = 1
	}
	if serial == 0 || fault == NoSerialHeader {
		return nil
	}
	return http.Header{"X-Pypi-Last-Serial": {strconv.FormatInt(serial, 10)}}
}

// jsonRoot makes the page that lists all projects in JSON, with their serials if
// the server has any.
func (s *Server) jsonRoot(fault Fault) *answer {
	meta := map[string]any{"api-version": "1.4"}
	say := func(n int64) any {
		switch fault {
		case StaleSerial:
			n = 1
		case SerialText:
			return strconv.FormatInt(n, 10)
		}
		return n
	}
	if s.serial > 0 {
		meta["_last-serial"] = say(s.serial)
	}
	list := []map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.projects)) {
		p := map[string]any{"name": name}
		if n := s.serialOf(name); n > 0 {
			p["_last-serial"] = say(n)
		}
		list = append(list, p)
	}
	if fault == LongRoot {
		for i := range 25_000 {
			list = append(list, map[string]any{"name": "other-" + strconv.Itoa(i), "_last-serial": say(s.serial)})
		}
	}
	page := map[string]any{"meta": meta, "projects": list}
	switch fault {
	case NoFilesKey:
		delete(page, "projects")
	case FutureAPI:
		meta["api-version"] = "2.0"
	}
	data, err := json.Marshal(page)
	if err != nil {
		panic(err)
	}
	return &answer{contentType: typeJSON, header: serialHeader(s.serial, fault), data: spoilText(data, fault)}
}

// jsonPage makes a project's page in JSON.
func (s *Server) jsonPage(project string, files []*File, fault Fault) *answer {
	meta := map[string]any{"api-version": "1.4"}
	serial := s.serialOf(project)
	if serial > 0 && fault != NoSerialHeader {
		meta["_last-serial"] = serial
	}
	list := []map[string]any{}
	for _, f := range files {
		hashes := map[string]string{}
		if name, value := f.hash(); name != "" {
			hashes[name] = value
		}
		m := map[string]any{"filename": f.Filename, "url": s.link(f), "hashes": hashes}
		if !f.NoSize {
			m["size"] = len(f.Data)
		}
		if f.RequiresPython != "" {
			m["requires-python"] = f.RequiresPython
		}
		if f.Uploaded != "" {
			m["upload-time"] = f.Uploaded
		}
		if f.Yanked != nil {
			m["yanked"] = *f.Yanked
			if *f.Yanked == "" {
				m["yanked"] = true
			}
		}
		if f.Metadata != nil {
			m["core-metadata"] = map[string]string{"sha256": SHA256(f.Metadata)}
		}
		if f.Signature != nil {
			m["gpg-sig"] = true
		}
		// Attestations are announced by an https address only (PEP 740).
		if f.Provenance != nil && strings.HasPrefix(s.URL, "https:") {
			m["provenance"] = s.URL + f.path() + ".provenance"
		}
		list = append(list, m)
	}
	page := map[string]any{"meta": meta, "name": project, "files": list}
	spoilJSON(page, list, fault)
	data, err := json.Marshal(page)
	if err != nil {
		panic(err)
	}
	return &answer{contentType: typeJSON, header: serialHeader(serial, fault), data: spoilText(data, fault)}
}

// link is the address of a file as pages give it.
func (s *Server) link(f *File) string {
	return "../.." + "/files/" + f.Project + "/" + url.PathEscape(f.Filename)
}

// htmlPage makes a page of links in HTML: of a project, or of all files.
func (s *Server) htmlPage(files []*File, fault Fault, flat bool) *answer {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\">")
	if !flat {
		b.WriteString(`<meta name="pypi:repository-version" content="1.4">`)
	}
	b.WriteString("<title>Links</title></head>\n<body>\n")
	for _, f := range files {
		href := s.link(f)
		if flat {
			href = ".." + f.path()
		}
		if name, value := f.hash(); name != "" {
			href += "#" + name + "=" + value
		}
		fmt.Fprintf(&b, `<a href="%s"`, html.EscapeString(href))
		if f.RequiresPython != "" {
			fmt.Fprintf(&b, ` data-requires-python="%s"`, html.EscapeString(f.RequiresPython))
		}
		if f.Yanked != nil {
			fmt.Fprintf(&b, ` data-yanked="%s"`, html.EscapeString(*f.Yanked))
		}
		if f.Metadata != nil {
			fmt.Fprintf(&b, ` data-core-metadata="sha256=%s"`, SHA256(f.Metadata))
		}
		if f.Signature != nil {
			b.WriteString(` data-gpg-sig="true"`)
		}
		fmt.Fprintf(&b, ">%s</a><br>\n", html.EscapeString(f.Filename))
	}
	b.WriteString("</body></html>\n")
	if s.serial > 0 {
		fmt.Fprintf(&b, "<!--SERIAL %d-->", s.serial)
	}
	text, contentType := s.spoilHTML(b.String(), fault)
	return &answer{contentType: contentType, header: serialHeader(s.serial, fault), data: text}
}

// listing makes the listing of a folder.
func (s *Server) listing(files []*File, apache bool) *answer {
	var b strings.Builder
	if apache {
		b.WriteString("<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<html><head><title>Index of /</title></head><body><h1>Index of /</h1>\n<table>" +
			`<tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>` +
			`<tr><td><a href="/apache/">Parent Directory</a></td></tr>`)
	} else {
		b.WriteString("<html>\r\n<head><title>Index of /</title></head>\r\n<body>\r\n<h1>Index of /</h1><hr><pre><a href=\"../\">../</a>\r\n")
	}
	row := func(name string) {
		if apache {
			fmt.Fprintf(&b, "<tr><td><a href=\"%s\">%s</a></td><td align=\"right\">2026-11-21 10:00  </td></tr>\n", url.PathEscape(name), html.EscapeString(name))
		} else {
			fmt.Fprintf(&b, "<a href=\"%s\">%s</a>  21-Nov-2026 10:00  1\r\n", url.PathEscape(name), html.EscapeString(name))
		}
	}
	for _, f := range files {
		row(f.Filename)
		if f.Metadata != nil {
			row(f.Filename + ".metadata")
		}
		if f.Signature != nil {
			row(f.Filename + ".asc")
		}
	}
	b.WriteString("</body></html>\n")
	return &answer{contentType: "text/html", data: []byte(b.String())}
}

// root makes the page that lists all projects.
func (s *Server) root(form string) *answer {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html><body>\n")
	for name := range s.projects {
		fmt.Fprintf(&b, "<a href=\"%s%s/\">%s</a>\n", form, name, name)
	}
	b.WriteString("</body></html>\n")
	return &answer{contentType: typeHTML, data: []byte(b.String())}
}
