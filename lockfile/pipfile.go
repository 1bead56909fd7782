package lockfile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
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

// A document is JSON being read (RFC 8259). It is stricter than package
// encoding/json: a key that comes twice is an error, as is text that is not UTF-8.
type document struct {
	data   []byte
	tokens *json.Decoder
	values int
	offset int64 // up to where lines are counted
	line   int   // there

	// lines are those of the keys of objects in the object at the top.
	lines map[[2]string]int
}

// read gives the object that the document is.
func (d *document) read() (map[string]any, error) {
	if !utf8.Valid(d.data) {
		return nil, errors.New("text is not UTF-8")
	}
	d.tokens = json.NewDecoder(bytes.NewReader(d.data))
	v, err := d.value(nil)
	if err != nil {
		d.count()
		return nil, err
	}
	root, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not an object")
	}
	if _, err := d.tokens.Token(); err != io.EOF {
		d.count()
		return nil, errors.New("something after the end")
	}
	return root, nil
}

// count brings line up to what was read.
func (d *document) count() {
	now := d.tokens.InputOffset()
	d.line += bytes.Count(d.data[d.offset:now], []byte("\n"))
	d.offset = now
}

// value reads the next value; path is the keys that lead to it.
func (d *document) value(path []string) (any, error) {
	if d.values++; d.values > maxValues {
		return nil, fmt.Errorf("more than %d values", maxValues)
	}
	if len(path) > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	token, err := d.tokens.Token()
	if err != nil {
		if e, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, e
		}
		return nil, errors.New("it ends too early")
	}
	switch token {
	case json.Delim('{'):
		return d.object(path)
	case json.Delim('['):
		list := []any{}
		for d.tokens.More() {
			v, err := d.value(append(path, ""))
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.tokens.Token()
		return list, err
	}
	return token, nil
}

func (d *document) object(path []string) (any, error) {
	table := map[string]any{}
	for d.tokens.More() {
		token, err := d.tokens.Token()
		if err != nil {
			return nil, err
		}
		key := token.(string)
		if _, twice := table[key]; twice {
			return nil, fmt.Errorf("key %q comes twice", clipped(key))
		}
		if len(path) == 1 {
			d.count()
			d.lines[[2]string{path[0], key}] = d.line
		}
		v, err := d.value(append(path, key))
		if err != nil {
			return nil, err
		}
		table[key] = v
	}
	_, err := d.tokens.Token()
	return table, err
}
