package lockfile

import (
	"maps"
	"slices"
	"strings"

	"nestgen/packaging"
)

// poetryHead reads the version of a poetry.lock or pdm.lock. Those of before 1.0
// have none.
func (r *reader) poetryHead(root map[string]any) bool {
	f := fieldsOf(root)
	if m := f.sub("metadata"); m != nil {
		r.lock.Version = m.text("lock-version") + m.text("lock_version")
	}
	if err := f.failed(); err != nil {
		r.fail(0, "", "not a %s: %v", r.lock.Form, err)
		return false
	}
	major, _, _ := strings.Cut(r.lock.Version, ".")
	switch major {
	case "", "1", "2", "3", "4": // poetry has had 1 and 2, pdm 2 to 4
		return true
	}
	r.fail(0, "", "version %s of %s is not known", r.lock.Version, r.lock.Form)
	return false
}

// poetryReader gives the reader of a package of a poetry.lock or pdm.lock. They
// differ little: pdm began with what poetry had. Old files have the hashes apart
// from the packages, below metadata.
func (r *reader) poetryReader(root map[string]any) func(*fields) Package {
	var files, hashes *fields
	if m := fieldsOf(root).sub("metadata"); m != nil {
		files, hashes = m.sub("files"), m.sub("hashes")
	}
	return func(f *fields) (p Package) {
		p.Name, p.Version = f.required("name"), f.text("version")
		p.Marker = poetryMarker(f)
		p.RequiresPython = f.text("requires_python")
		if source := f.sub("source"); source != nil {
			p.poetrySource(source)
		} else {
			p.pdmSource(f)
		}
		list := f.subs("files")
		if !f.has("files") && files != nil {
			for _, key := range []string{p.Name, p.Name + " " + p.Version} {
				if list == nil {
					list = (&fields{files.table, "metadata.files.", f.err, f.notes}).subs(key)
				}
			}
		}
		for _, w := range list {
			file := File{URL: w.text("url"), Size: w.size("size"), Hashes: w.hash("hash")}
			file.Name = fileName(w.text("file"), "", file.URL)
			if file.Name == "" {
				w.fail("no %sfile", w.where)
			}
			p.Files = append(p.Files, file)
		}
		if len(list) == 0 && hashes != nil {
			for _, h := range (&fields{hashes.table, "metadata.hashes.", f.err, f.notes}).texts(p.Name) {
				p.Files = append(p.Files, File{Size: -1, Hashes: parseHash(h)})
			}
		}
		if p.Source == FromURL {
			p.behind()
		}
		return p
	}
}

// behind gives the one archive of a package that comes from an address that
// address, where the file tells only its hashes.
func (p *Package) behind() {
	name := urlName(p.Address)
	for i := range p.Files {
		if f := &p.Files[i]; f.URL == "" && (f.Name == "" || f.Name == name) {
			f.Name, f.URL = name, p.Address
		}
	}
}

// poetrySource reads the table that poetry gives a package which is not from PyPI.
func (p *Package) poetrySource(f *fields) {
	kind, address := f.required("type"), f.required("url")
	switch kind {
	case "legacy", "pypi": // an index
		p.Address = address
	case "url":
		p.Source, p.Address = FromURL, address
	case "file":
		p.Source, p.Address = FromPath, address
	case "directory":
		p.directory(address)
	case "git", "hg", "svn", "bzr":
		revision := f.text("resolved_reference")
		if revision == "" {
			revision = f.text("reference")
		}
		p.repository(kind, address, revision)
	default:
		f.fail("%stype %q is not known", f.where, kind)
	}
}

// pdmSource reads the keys that pdm gives a package which is not from an index.
func (p *Package) pdmSource(f *fields) {
	for _, system := range systems {
		if f.has(system) {
			revision := f.text("revision")
			if revision == "" {
				revision = f.text("ref")
			}
			p.repository(system, f.text(system), revision)
			return
		}
	}
	switch {
	case f.has("url"):
		p.Source, p.Address = FromURL, f.text("url")
	case f.has("path"):
		p.path(f.text("path"))
	}
}

// systems are the version control systems that forms name by a key of their own.
var systems = []string{"git", "hg", "svn", "bzr"}

// path sets the source of a package that is a path: of a file, or a directory.
func (p *Package) path(at string) {
	if packaging.KindOf(pathName(at)) != packaging.UnknownKind {
		p.Source, p.Address = FromPath, at
		return
	}
	p.directory(at)
}

// poetryMarker reads the marker of a package: a text, or one for each of the
// groups that it is in.
func poetryMarker(f *fields) string {
	for _, key := range []string{"markers", "marker"} {
		groups, ok := f.table[key].(map[string]any)
		if !ok {
			if m := f.text(key); m != "" {
				return m
			}
			continue
		}
		var all []string
		for _, g := range slices.Sorted(maps.Keys(groups)) {
			m, ok := groups[g].(string)
			if !ok {
				f.fail("%s%s.%s is not a string", f.where, key, g)
			}
			if !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
		return alternatives(all)
	}
	return ""
}
