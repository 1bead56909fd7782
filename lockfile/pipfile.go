package lockfile

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"nestgen/internal/strictjson"
)

// readPipfile reads a Pipfile.lock: sections of packages, of which "default" and
// "develop" are always there and others as people name them. It is false if the
// file says nothing.
func (r *reader) readPipfile(data []byte) bool {
	d := document{data: bytes.TrimPrefix(data, []byte("\ufeff")), line: 1, lines: map[[2]string]int{}}
	root, err := d.read()
	if err != nil {
		r.fail(d.line, "", "not a Pipfile.lock: %v", err)
		return false
	}
	meta := fieldsOf(root).sub("_meta")
	if meta == nil {
		r.fail(0, "", "not a Pipfile.lock: no _meta")
		return false
	}
	indexes := r.pipfileIndexes(meta)
	type key = [2]string
	var entries []key
	for name, v := range root {
		if name == "_meta" {
			continue
		}
		section, ok := v.(map[string]any)
		if !ok {
			r.fail(0, "", "%q is not a section of packages", clipped(name))
			continue
		}
		for pkg := range section {
			entries = append(entries, key{name, pkg})
		}
	}
	slices.SortFunc(entries, func(a, b key) int {
		return cmp.Or(cmp.Compare(d.lines[a], d.lines[b]), strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1]))
	})
	for _, e := range entries {
		line := d.lines[e]
		table, ok := root[e[0]].(map[string]any)[e[1]].(map[string]any)
		if !ok {
			r.fail(line, orUnnamed(e[1]), "%s: not a JSON object", orUnnamed(e[1]))
			continue
		}
		if !r.add(line, table, func(f *fields) Package { return pipfilePackage(f, e[1], indexes) }) {
			break
		}
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Text, b.Text)) })
	return true
}

// pipfileIndexes gives the addresses of the indexes by their names. The first is
// that of packages which name none.
func (r *reader) pipfileIndexes(meta *fields) map[string]string {
	indexes := map[string]string{}
	r.lock.Version = ""
	if spec, ok := meta.table["pipfile-spec"].(float64); ok {
		r.lock.Version = fmt.Sprint(spec)
	}
	for i, s := range meta.subs("sources") {
		name, address := s.text("name"), s.text("url")
		indexes[name] = address
		if i == 0 {
			indexes[""] = address
		}
	}
	if err := meta.failed(); err != nil {
		r.report(Problem{Warning: true, Text: err.Error()})
	}
	return indexes
}

// pipfilePackage reads one package of a Pipfile.lock.
func pipfilePackage(f *fields, name string, indexes map[string]string) (p Package) {
	p.Name = name
	// It is a clause, as in a requirement. "*" stands where no version is known.
	if v := strings.TrimSpace(f.text("version")); v != "*" {
		p.Version = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(v, "=="), "="))
	}
	p.Marker = f.text("markers")
	p.Address = cmp.Or(indexes[f.text("index")], indexes[""])
	p.pipfileSource(f)
	if f.flag("editable") && p.Source == FromIndex {
		f.fail("editable, and neither a repository nor a path")
	}
	for _, h := range f.texts("hashes") {
		p.Files = append(p.Files, File{Size: -1, Hashes: parseHash(h)})
	}
	if p.Source == FromURL {
		p.behind()
	}
	return p
}

func (p *Package) pipfileSource(f *fields) {
	for _, system := range systems {
		if f.has(system) {
			p.repository(system, f.text(system), f.text("ref"))
			return
		}
	}
	for _, key := range []string{"file", "path", "url"} {
		at := f.text(key)
		if at == "" {
			continue
		}
		if isAddress(at) {
			p.Source, p.Address = FromURL, at
		} else {
			p.path(strings.TrimPrefix(at, "file://"))
		}
		return
	}
}

// clipped gives the beginning of a text.
func clipped(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// Limits on a document of JSON.
const (
	maxDepth  = 64
	maxValues = 1 << 19
)

// A document is JSON that is read without knowing what is in it.
type document struct {
	*strictjson.Scanner
	data   []byte
	values int
	at     int // up to where lines are counted
	line   int // there

	// lines are those of the keys of objects in the object at the top.
	lines map[[2]string]int
}

// read gives the object that the document is.
func (d *document) read() (map[string]any, error) {
	d.Scanner = strictjson.New(d.data)
	if d.Peek() != '{' {
		d.count()
		return nil, d.Fail("not an object")
	}
	v, err := d.object(nil)
	if err == nil {
		err = d.End()
	}
	if err != nil {
		d.count()
	}
	return v, err
}

// count brings line up to what was read.
func (d *document) count() {
	now := d.Offset()
	d.line += bytes.Count(d.data[d.at:now], []byte("\n"))
	d.at = now
}

// value reads the next value; path is the keys that lead to it.
func (d *document) value(path []string) (any, error) {
	if d.values++; d.values > maxValues {
		return nil, d.Fail("more than %d values", maxValues)
	}
	if len(path) > maxDepth {
		return nil, d.Fail("nested more than %d deep", maxDepth)
	}
	switch d.Peek() {
	case '{':
		return d.object(path)
	case '[':
		list := []any{}
		err := d.Array(func() error {
			v, err := d.value(append(path, ""))
			list = append(list, v)
			return err
		})
		return list, err
	case '"':
		text, err := d.Text()
		return string(text), err
	case 't', 'f', 'n':
		word, err := d.Word()
		if word == "null" {
			return nil, err
		}
		return word == "true", err
	}
	number, err := d.Number()
	if err != nil {
		return nil, err
	}
	f, err := strconv.ParseFloat(string(number), 64)
	if err != nil {
		return nil, d.Fail("a number that is too large")
	}
	return f, nil
}

func (d *document) object(path []string) (map[string]any, error) {
	table := map[string]any{}
	err := d.Dict(func(key []byte) error {
		name := string(key)
		if len(path) == 1 {
			d.count()
			d.lines[[2]string{path[0], name}] = d.line
		}
		v, err := d.value(append(path, name))
		table[name] = v
		return err
	})
	return table, err
}
