package lockfile

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"nestgen/internal/stricttoml"
	"nestgen/internal/tame"
	"nestgen/packaging"
)

// Limits on one lock file. The largest that are known have five megabytes and a
// thousand packages.
const (
	MaxSize     = 16 << 20
	maxPackages = 100_000
	maxText     = 16 << 10 // a name, a version, a marker, an address
)

// Read reads a lock file of a form. name is its path or its address, for messages
// and because paths in it count from there. It gives everything that can be read;
// an entry that cannot, and what else is wrong, is among the problems. A file that
// cannot be read at all gives the zero Lock.
func Read(form Form, name string, data []byte) (Lock, []Problem) {
	r := &reader{name: name, lock: Lock{Form: form}}
	if len(data) > MaxSize {
		r.fail(0, "", "larger than %d MiB", MaxSize>>20)
		return Lock{}, r.problems
	}
	read := r.readTOML
	if form == Pipenv {
		read = r.readPipfile
	}
	if !read(data) {
		return Lock{}, r.problems
	}
	return r.lock, r.problems
}

// A reader reads one lock file.
type reader struct {
	name     string
	lock     Lock
	problems []Problem
}

func (r *reader) report(p Problem) {
	p.Text = tame.Text(p.Text)
	r.problems = append(r.problems, p)
}

// fail reports an error of an entry, or of the file as a whole.
func (r *reader) fail(line int, pkg, format string, args ...any) {
	r.report(Problem{Line: line, Package: pkg, Text: fmt.Sprintf(format, args...)})
}

// readTOML reads the forms that are written in TOML. It is false if the file says
// nothing.
func (r *reader) readTOML(data []byte) bool {
	d, err := stricttoml.Tree(r.name, data)
	if e, ok := errors.AsType[*stricttoml.Error](err); ok {
		r.report(Problem{Line: e.Line, Text: "not a " + r.lock.Form.String() + ": " + e.Text})
		return false
	}
	if err != nil {
		r.fail(0, "", "not a %s: %v", r.lock.Form, err)
		return false
	}
	array, known := "package", false
	var read func(*fields) Package
	switch r.lock.Form {
	case Pylock:
		array, known = "packages", r.pylockHead(d.Root)
		read = r.pylockPackage
	case UV:
		if d.Root["package"] == nil && d.Root["distribution"] != nil {
			array = "distribution" // as uv had it before 0.4
		}
		known = r.uvHead(d.Root)
		read = r.uvPackage
	default:
		known = r.poetryHead(d.Root)
		read = r.poetryReader(d.Root)
	}
	if !known {
		return true
	}
	list := d.Root[array]
	entries, ok := list.([]any)
	switch {
	case list == nil:
		return true
	case !ok:
		r.fail(0, "", "%s is not an array of tables", array)
		return true
	}
	lines := d.Lines(array)
	for i, entry := range entries {
		table, ok := entry.(map[string]any)
		if !ok {
			r.fail(lines[i], "a package", "%s[%d] is not a table", array, i)
			continue
		}
		if !r.add(lines[i], table, read) {
			break
		}
	}
	return true
}

// add reads one entry. It is false if there are too many.
func (r *reader) add(line int, table map[string]any, read func(*fields) Package) bool {
	if len(r.lock.Packages) == maxPackages {
		r.fail(line, "", "more than %d packages; the rest is not read", maxPackages)
		return false
	}
	f := fieldsOf(table)
	p := read(f)
	err := f.failed()
	if err == nil {
		err = check(&p)
	}
	if err != nil {
		name, _ := table["name"].(string)
		if name == "" {
			name = p.Name
		}
		r.fail(line, orUnnamed(name), "%s: %v", orUnnamed(name), err)
		return true
	}
	for _, note := range *f.notes {
		r.report(Problem{Line: line, Package: orUnnamed(p.Name), Warning: true, Text: orUnnamed(p.Name) + ": " + note})
	}
	p.Line = line
	r.lock.Packages = append(r.lock.Packages, p)
	return true
}

// orUnnamed gives a name that may be shown, for one that may be missing.
func orUnnamed(name string) string {
	if name = tame.Text(name); name == "" || len(name) > 200 {
		return "a package"
	}
	return name
}

// check looks at what all forms have in common, and fills in the normalized name.
func check(p *Package) error {
	for what, s := range map[string]string{"version": p.Version, "marker": p.Marker, "address": p.Address} {
		if len(s) > maxText {
			return fmt.Errorf("its %s is longer than %d bytes", what, maxText)
		}
	}
	for _, f := range p.Files {
		if len(f.Name)+len(f.URL)+len(f.Path) > maxText {
			return fmt.Errorf("the name or the address of a file is longer than %d bytes", maxText)
		}
	}
	if p.Source == Itself {
		p.Project = packaging.NormalizeName(p.Name)
		return nil
	}
	n, err := packaging.ParseName(p.Name)
	p.Project = n
	return err
}

// fileName gives the name of a file by what is said of it: a name, else the end
// of its path, else that of its address.
func fileName(name, path, address string) string {
	switch {
	case name != "":
		return name
	case path != "":
		return pathName(path)
	}
	return urlName(address)
}

// directory sets the source of a package that is a directory: the one of the lock
// file is the project itself.
func (p *Package) directory(at string) {
	p.Source, p.Address = FromDirectory, at
	if path.Clean(strings.ReplaceAll(at, `\`, "/")) == "." {
		p.Source = Itself
	}
}

// repository sets the source of a package that comes from a version control
// system, at a revision that may be empty. An address without a scheme is one of
// ssh, as git takes it, or a directory.
func (p *Package) repository(system, address, revision string) {
	if !strings.Contains(address, "://") {
		user, rest, ok := strings.Cut(address, "@")
		host, at, colon := strings.Cut(rest, ":")
		if !ok || !colon {
			p.directory(address)
			return
		}
		address = "ssh://" + user + "@" + host + "/" + strings.TrimPrefix(at, "/")
	}
	address, _, _ = strings.Cut(address, "#")
	p.Source, p.Address = FromVCS, address
	if !strings.HasPrefix(address, system+"+") {
		p.Address = system + "+" + address
	}
	if revision != "" {
		p.Address += "@" + revision
	}
}
