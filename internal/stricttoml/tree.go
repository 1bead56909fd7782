package stricttoml

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// Limits on a document that [Tree] reads. The reader of TOML takes one apart by
// recursion, and keeps every key with those of the tables that it is in.
const (
	maxDepth = 64
	maxKeys  = 1 << 19
	maxNames = 64 << 20 // bytes of all keys together, with those above them
)

// A Document is a TOML document that was read without knowing what is in it.
type Document struct {
	// Root is the top table. A table is a map[string]any, an array an []any; the
	// other values are string, int64, float64, bool and [time.Time].
	Root map[string]any

	places []place
}

// Tree reads a document that a program wrote, not a person for nestgen, so that
// keys that nobody knows are nothing to report. A key counts only as it is
// spelled, and one that comes twice is an error, which is an [*Error].
func Tree(file string, data []byte) (*Document, error) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	d := &Document{}
	o := outline{text: text, line: 1}
	if err := o.read(); err != nil {
		err.File = file
		return nil, err
	}
	if _, err := toml.Decode(text, &d.Root); err != nil {
		return nil, located(file, err)
	}
	even(d.Root)
	d.places = o.places
	return d, nil
}

// Lines gives the line of each element of an array, which stands at the end of a path
// of keys: tables, with headers or in brackets, or strings. Where the lines cannot be
// told they are 0.
func (d *Document) Lines(path ...string) []int {
	var v any = d.Root
	for _, key := range path {
		table, _ := v.(map[string]any)
		v = table[key]
	}
	elements, _ := v.([]any)
	all := make([]int, len(elements))
	key := strings.Join(path, between)
	var found []int
	for _, p := range d.places {
		if p.key == key {
			found = append(found, p.line)
		}
	}
	if len(found) == len(all) {
		copy(all, found)
	}
	return all
}

// between stands between the keys of a path. No key has it in it.
const between = "\x00"

// even makes []any of every array of tables below v, as arrays of values are.
func even(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = even(e)
		}
	case []any:
		for i, e := range v {
			v[i] = even(e)
		}
	case []map[string]any:
		all := make([]any, len(v))
		for i, e := range v {
			all[i] = even(e)
		}
		return all
	}
	return v
}

// An outline reads a document as far as is needed to see where its tables stand
// and how deep its values go: what is a string, a comment, a bracket.
type outline struct {
	text string
	pos  int
	line int

	places []place
	keys   int
	names  int
	header int    // the length of the last one
	table  string // the path that it names, with between behind it
}

func (o *outline) fail(format string, args ...any) *Error {
	return &Error{Line: o.line, Text: fmt.Sprintf(format, args...)}
}

// read takes the document statement by statement.
func (o *outline) read() *Error {
	for o.pos < len(o.text) {
		switch c := o.text[o.pos]; c {
		case ' ', '\t', '\r', '\n':
			o.step()
		case '#':
			o.comment()
		case '[':
			array := strings.HasPrefix(o.text[o.pos:], "[[")
			first := o.line
			o.pos += 1
			if array {
				o.pos++
			}
			start := o.pos
			if err := o.until("]\n"); err != nil {
				return err
			}
			o.header = o.pos - start
			if err := o.count(o.header); err != nil {
				return err
			}
			path := pathOf(o.text[start:o.pos])
			if array {
				o.places = append(o.places, place{path, first})
			}
			o.table = path + between
			if err := o.until("\n"); err != nil {
				return err
			}
		default:
			start := o.pos
			if err := o.until("=\n"); err != nil {
				return err
			}
			if err := o.count(o.header + o.pos - start); err != nil {
				return err
			}
			key := o.text[start:o.pos]
			if o.pos < len(o.text) && o.text[o.pos] == '=' {
				o.pos++
				if err := o.value(key); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// count counts a key or a value, with the bytes of its name.
func (o *outline) count(name int) *Error {
	o.keys++
	o.names += name
	switch {
	case o.keys > maxKeys:
		return o.fail("more than %d keys and values", maxKeys)
	case o.names > maxNames:
		return o.fail("more than %d MiB of keys, with those of the tables that they are in", maxNames>>20)
	}
	return nil
}

// step goes over one byte.
func (o *outline) step() {
	if o.text[o.pos] == '\n' {
		o.line++
	}
	o.pos++
}

// comment goes to the end of the line.
func (o *outline) comment() {
	for o.pos < len(o.text) && o.text[o.pos] != '\n' {
		o.pos++
	}
}

// until goes to the first of some bytes outside of strings and comments. What it
// passes is a key, which must not have too many parts.
func (o *outline) until(end string) *Error {
	dots := 0
	for o.pos < len(o.text) {
		c := o.text[o.pos]
		switch {
		case strings.IndexByte(end, c) >= 0:
			return nil
		case c == '"' || c == '\'':
			o.quoted(c)
			continue
		case c == '#':
			o.comment()
			continue
		case c == '.':
			if dots++; dots > maxDepth {
				return o.fail("a key has more than %d parts", maxDepth)
			}
		}
		o.step()
	}
	return nil
}

// value goes over the value of a key, to the end of its last line.
func (o *outline) value(key string) *Error {
	var above []int // how long the names are by which each bracket is reached
	name, dots := o.header+len(key), 0
	path := o.table + pathOf(key)
	list, fresh := false, false // in the outermost array, and at an element of it
	for start := o.pos; o.pos < len(o.text); {
		c := o.text[o.pos]
		if list && fresh && len(above) == 1 && (c == '{' || c == '"' || c == '\'') {
			o.places = append(o.places, place{path, o.line})
		}
		switch c {
		case '"', '\'':
			fresh = false
			o.quoted(c)
			continue
		case '#':
			o.comment()
			continue
		case '[', '{':
			if len(above) == 0 {
				list = c == '['
			}
			fresh = len(above) == 0
			if above = append(above, name); len(above) > maxDepth {
				return o.fail("values inside one another more than %d deep", maxDepth)
			}
		case ']', '}':
			above = above[:max(0, len(above)-1)]
		case '.':
			if dots++; dots > maxDepth {
				return o.fail("a key has more than %d parts", maxDepth)
			}
		case '=':
			name = o.pos - start
			if len(above) > 0 {
				name += above[len(above)-1]
			}
			if err := o.count(name); err != nil {
				return err
			}
		case ',':
			fresh = len(above) == 1
			if err := o.count(0); err != nil {
				return err
			}
		case '\n':
			if len(above) == 0 {
				return nil
			}
		}
		o.step()
		if strings.IndexByte("=,[]{}\n", c) >= 0 {
			start, dots = o.pos, 0
		}
		if strings.IndexByte(",]}", c) >= 0 && len(above) > 0 {
			name = above[len(above)-1]
		}
	}
	return nil
}

// quoted goes over a string that begins with the quotation mark q.
func (o *outline) quoted(q byte) {
	long := strings.Repeat(string(q), 3)
	if !strings.HasPrefix(o.text[o.pos:], long) {
		for o.pos++; o.pos < len(o.text); o.pos++ {
			switch c := o.text[o.pos]; {
			case c == '\n':
				return // not closed: the reader says so
			case c == '\\' && q == '"' && o.pos+1 < len(o.text) && o.text[o.pos+1] != '\n':
				o.pos++
			case c == q:
				o.pos++
				return
			}
		}
		return
	}
	for o.pos += len(long); o.pos < len(o.text); o.step() {
		if o.text[o.pos] == '\\' && q == '"' && o.pos+1 < len(o.text) {
			o.step()
			continue
		}
		if strings.HasPrefix(o.text[o.pos:], long) {
			o.pos += len(long)
			// Up to two quotation marks before the closing ones belong to the
			// string.
			for n := 0; n < 2 && o.pos < len(o.text) && o.text[o.pos] == q; n++ {
				o.pos++
			}
			return
		}
	}
}

// pathOf gives the path that a key with dots in it is.
func pathOf(key string) string {
	var path strings.Builder
	for {
		key = strings.TrimLeft(key, " \t\r")
		end := strings.IndexByte(key, '.')
		part := key
		if key != "" && (key[0] == '"' || key[0] == '\'') {
			closing := strings.IndexByte(key[1:], key[0])
			if closing < 0 {
				return path.String() + key // not a key: the reader says so
			}
			part = key[1 : 1+closing]
			if end = strings.IndexByte(key[closing+2:], '.'); end >= 0 {
				end += closing + 2
			}
		} else if end >= 0 {
			part = key[:end]
		}
		path.WriteString(strings.TrimRight(part, " \t\r"))
		if end < 0 {
			return path.String()
		}
		path.WriteString(between)
		key = key[end+1:]
	}
}
