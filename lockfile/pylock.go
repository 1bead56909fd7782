package lockfile

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"nestgen/packaging"
)

// pylockHead reads what PEP 751 has before the packages. It is false if these
// cannot be read.
func (r *reader) pylockHead(root map[string]any) bool {
	f := fieldsOf(root)
	r.lock.Version, r.lock.CreatedBy = f.required("lock-version"), f.required("created-by")
	if !f.has("packages") {
		f.fail("no packages")
	}
	for _, m := range f.texts("environments") {
		if _, err := packaging.ParseMarker(m); err != nil {
			f.fail("environments: %v", err)
		}
	}
	if s := f.text("requires-python"); s != "" {
		if _, err := packaging.ParseSpecifiers(s); err != nil {
			f.fail("requires-python: %v", err)
		}
	}
	for _, e := range f.texts("extras") {
		if !packaging.NormalizeName(e).Spells(e) || string(packaging.NormalizeName(e)) != e {
			f.fail("extras: %q is not a normalized name", e)
		}
	}
	f.texts("dependency-groups")
	f.texts("default-groups")
	f.sub("tool")
	if err := f.failed(); err != nil {
		r.fail(0, "", "not a pylock.toml: %v", err)
		return false
	}
	v, err := packaging.ParseVersion(r.lock.Version)
	if err != nil {
		r.fail(0, "", "not a pylock.toml: lock-version: %v", err)
		return false
	}
	major, minor, _ := strings.Cut(v.Release(), ".")
	if major != "1" || v.Epoch() != "0" {
		r.fail(0, "", "lock-version %s: only versions 1.x are known", r.lock.Version)
		return false
	}
	if strings.Trim(minor, "0.") != "" {
		r.report(Problem{Warning: true, Text: "lock-version " + r.lock.Version + " is newer than 1.0; what it adds is not seen"})
	}
	return true
}

// pylockPackage reads one of packages.
func (r *reader) pylockPackage(f *fields) (p Package) {
	p.Name = f.required("name")
	p.Version, p.Marker, p.RequiresPython = f.text("version"), f.text("marker"), f.text("requires-python")
	p.Address = f.text("index")
	project := packaging.NormalizeName(p.Name)
	if f.failed() == nil && p.Name != string(project) {
		f.note("the name is not a normalized one: read as %s", project)
	}
	var version packaging.Version
	if p.Version != "" {
		v, err := packaging.ParseVersion(p.Version)
		if err != nil {
			f.fail("%v", err)
		}
		version = v
	}
	if p.Marker != "" {
		if _, err := packaging.ParseMarker(p.Marker); err != nil {
			f.fail("%v", err)
		}
	}
	if _, err := packaging.ParseSpecifiers(p.RequiresPython); err != nil {
		f.fail("requires-python: %v", err)
	}
	f.subs("dependencies")
	f.sub("tool")
	for _, a := range f.subs("attestation-identities") {
		a.required("kind")
	}
	vcs, directory, archive := f.sub("vcs"), f.sub("directory"), f.sub("archive")
	sdist, wheels := f.sub("sdist"), f.subs("wheels")
	direct := 0
	for _, d := range []*fields{vcs, directory, archive} {
		if d != nil {
			direct++
		}
	}
	switch files := sdist != nil || len(wheels) > 0; {
	case files && direct > 0:
		f.fail("vcs, directory and archive must not stand beside wheels and sdist")
	case !files && direct != 1:
		f.fail("neither wheels nor sdist, and not one of vcs, directory and archive")
	}
	for _, w := range wheels {
		file := r.pylockFile(w)
		name, err := packaging.ParseWheel(file.Name)
		w.agree(file, name, err, project, version)
		p.Files = append(p.Files, file)
	}
	if sdist != nil {
		file := r.pylockFile(sdist)
		name, err := packaging.ParseSdist(file.Name)
		sdist.agree(file, name, err, project, version)
		p.Files = append(p.Files, file)
	}
	switch {
	case vcs != nil:
		system, at := vcs.required("type"), r.place(vcs)
		p.repository(system, at.URL+at.Path, vcs.required("commit-id"))
		vcs.text("requested-revision")
		vcs.text("subdirectory")
	case directory != nil:
		p.directory(directory.required("path"))
		directory.flag("editable")
		directory.text("subdirectory")
	case archive != nil:
		file := r.pylockFile(archive)
		archive.text("subdirectory")
		if file.Path != "" {
			p.Source, p.Address = FromPath, file.Path
			break
		}
		p.Source, p.Address, p.Files = FromURL, file.URL, []File{file}
	}
	return p
}

// agree checks that the name of a file, as it was read, is of the package.
func (f *fields) agree(file File, name packaging.Filename, err error, project packaging.Name, version packaging.Version) {
	switch v, _ := packaging.ParseVersion(name.Version); {
	case err != nil:
		f.fail("%s%v", f.where, err)
	case name.Project != project:
		f.fail("%s%s is a file of %s", f.where, file.Name, name.Project)
	case !version.IsZero() && v.Compare(version) != 0:
		f.fail("%s%s is not a file of version %s", f.where, file.Name, version)
	}
}

// pylockFile reads a wheel, an sdist or an archive.
func (r *reader) pylockFile(f *fields) File {
	at := r.place(f)
	at.Size, at.Uploaded = f.size("size"), f.moment("upload-time")
	at.Name = fileName(f.text("name"), at.Path, at.URL)
	hashes := f.sub("hashes")
	if hashes == nil || len(hashes.table) == 0 {
		f.fail("no %shashes", f.where)
		return at
	}
	at.Hashes = map[string]string{}
	for _, algorithm := range slices.Sorted(maps.Keys(hashes.table)) {
		at.Hashes[strings.ToLower(algorithm)] = strings.ToLower(hashes.text(algorithm))
	}
	return at
}

// place reads where something is: by its path, which counts from the lock file,
// else by its address. A lock file of the network must stay where it is.
func (r *reader) place(f *fields) File {
	at := File{URL: f.text("url"), Path: f.text("path")}
	switch {
	case at.URL == "" && at.Path == "":
		f.fail("neither %surl nor %spath", f.where, f.where)
	case at.Path != "" && isRemote(r.name):
		u, err := beside(r.name, at.Path)
		if err != nil {
			f.fail("%spath: %v", f.where, err)
		}
		return File{URL: u}
	}
	return at
}

// beside gives the address that a path in a lock file of the network means.
func beside(lock, p string) (string, error) {
	base, err := url.Parse(lock)
	if err != nil {
		return "", err
	}
	u, err := base.Parse(p)
	if err != nil || strings.HasPrefix(p, "/") || u.Scheme != base.Scheme || u.Host != base.Host {
		return "", fmt.Errorf("%q leaves the place of the lock file", p)
	}
	return u.String(), nil
}
