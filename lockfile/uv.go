package lockfile

import (
	"net/url"
	"strconv"
	"strings"
)

// uvHead reads the version of a uv.lock. Its revision adds what old readers may
// pass over.
func (r *reader) uvHead(root map[string]any) bool {
	version, ok := root["version"].(int64)
	if !ok {
		r.fail(0, "", "not a uv.lock: no version")
		return false
	}
	r.lock.Version = strconv.FormatInt(version, 10)
	if version != 1 {
		r.fail(0, "", "version %d of uv.lock is not known: only version 1 is", version)
		return false
	}
	return true
}

// uvPackage reads one package of a uv.lock.
func (r *reader) uvPackage(f *fields) (p Package) {
	p.Name, p.Version = f.required("name"), f.text("version")
	p.Marker = alternatives(f.texts("resolution-markers"))
	archive := ""
	if source := f.sub("source"); source != nil {
		archive = p.uvSource(source)
	}
	list := f.subs("wheels")
	if sdist := f.sub("sdist"); sdist != nil {
		list = append(list, sdist)
	}
	for _, w := range list {
		file := File{URL: w.text("url"), Path: w.text("path"), Size: w.size("size"), Uploaded: w.uploaded("upload-time")}
		if w.has("upload_time") { // as its revisions 1 and 2 spell it
			file.Uploaded = w.uploaded("upload_time")
		}
		if file.URL == "" && file.Path == "" && p.Source == FromURL {
			file.URL = archive // of an sdist only the hash is repeated
		}
		file.Name = fileName(w.text("filename"), file.Path, file.URL)
		file.Hashes = w.hash("hash")
		p.Files = append(p.Files, file)
	}
	return p
}

// uvSource reads where a package comes from. For an archive behind an address it
// gives that.
func (p *Package) uvSource(f *fields) (archive string) {
	switch {
	case f.has("registry"):
		p.Address = f.text("registry")
	case f.has("git"):
		address, commit, _ := strings.Cut(f.text("git"), "#")
		address, _, _ = strings.Cut(address, "?") // what was asked for, and the folder
		p.repository("git", address, commit)
	case f.has("url"):
		p.Source, p.Address = FromURL, f.text("url")
		return p.Address
	case f.has("path"):
		p.Source, p.Address = FromPath, f.text("path")
	case f.has("directory"):
		p.directory(f.text("directory"))
	case f.has("editable"):
		p.directory(f.text("editable"))
	case f.has("virtual"):
		// What is virtual has dependencies only, and is never built.
		p.Source, p.Address = Itself, f.text("virtual")
	default:
		f.fail("a source that is none of registry, git, url, path, directory, editable and virtual")
	}
	return ""
}

// alternatives joins markers one of which must hold.
func alternatives(markers []string) string {
	if len(markers) < 2 {
		return strings.Join(markers, "")
	}
	return "(" + strings.Join(markers, ") or (") + ")"
}

// isAddress reports whether a text is an address of the network, and not a path.
func isAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && isRemote(s)
}
