// Package stricttoml decodes the TOML files that people write for nestgen. A
// key that the target does not know is an error with its line, because a
// misspelled setting that is silently ignored is found too late.
package stricttoml

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// An Error is one fault of a file. Its text reads like a compiler's.
type Error struct {
	File string
	Line int // 1 for the first; 0 if it is not known
	Text string
	Hint string // what to do, or empty
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// Decode decodes data into v, a pointer to a struct with toml tags. The file
// name is for errors only. All unknown keys are reported, joined, each as an
// [*Error].
func Decode(file string, data []byte, v any) error {
	text := strings.TrimPrefix(string(data), "\ufeff")
	md, err := toml.Decode(text, v)
	if err != nil {
		return located(file, err)
	}
	unknown := map[string]toml.Key{}
	for _, k := range md.Undecoded() {
		// The children of an unknown table are not news.
		if parent := k[:len(k)-1]; len(parent) == 0 || unknown[parent.String()] == nil {
			unknown[k.String()] = k
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	var faults []error
	for _, at := range lines(text, unknown) {
		e := &Error{File: file, Line: at.line, Text: fmt.Sprintf("unknown setting %q", at.key)}
		if near := nearest(unknown[at.key], reflect.TypeOf(v)); near != "" {
			e.Hint = fmt.Sprintf("did you mean %q?", near)
		}
		faults = append(faults, e)
	}
	return errors.Join(faults...)
}

// located gives an error of the TOML reader its place.
func located(file string, err error) error {
	var pe toml.ParseError
	if errors.As(err, &pe) {
		return &Error{File: file, Line: pe.Position.Line, Text: pe.Message}
	}
	text := strings.TrimPrefix(err.Error(), "toml: ")
	var line int
	if n, _ := fmt.Sscanf(text, "line %d", &line); n == 1 {
		if _, rest, ok := strings.Cut(text, ": "); ok {
			text = rest
		}
	}
	return &Error{File: file, Line: line, Text: text}
}

type place struct {
	key  string
	line int
}

// lines finds the lines of keys. The TOML reader does not tell them, so ever
// longer beginnings of the text are read until the key shows up: the line
// after the last beginning that could be read without it.
func lines(text string, keys map[string]toml.Key) []place {
	var found []place
	count := map[string]int{}
	whole, at := 0, 0 // lines in the last beginning that could be read
	for n := 1; at < len(text); n++ {
		if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
			at += i + 1
		} else {
			at = len(text)
		}
		var any map[string]any
		md, err := toml.Decode(text[:at], &any)
		if err != nil {
			continue // in the middle of a value
		}
		now := map[string]int{}
		for _, k := range md.Keys() {
			if s := k.String(); keys[s] != nil {
				now[s]++
				if now[s] > count[s] {
					found = append(found, place{s, whole + 1})
				}
			}
		}
		count, whole = now, n
	}
	slices.SortStableFunc(found, func(a, b place) int { return a.line - b.line })
	return found
}

// nearest finds the setting that a key was probably meant to be.
func nearest(k toml.Key, t reflect.Type) string {
	for _, part := range k[:len(k)-1] {
		f, ok := field(t, part)
		if !ok {
			return ""
		}
		t = f
	}
	last := strings.ToLower(k[len(k)-1])
	best, far := "", 3
	for _, name := range settings(t) {
		if d := distance(last, name); d < far && d < len(name) {
			best, far = name, d
		}
	}
	return best
}

// structOf takes pointers and slices off a type.
func structOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

func settings(t reflect.Type) (names []string) {
	if t = structOf(t); t.Kind() != reflect.Struct {
		return nil
	}
	for f := range t.Fields() {
		if tag := f.Tag.Get("toml"); tag != "" && tag != "-" {
			names = append(names, tag)
		}
	}
	return names
}

func field(t reflect.Type, name string) (reflect.Type, bool) {
	if t = structOf(t); t.Kind() != reflect.Struct {
		return nil, false
	}
	for f := range t.Fields() {
		if f.Tag.Get("toml") == name {
			return f.Type, true
		}
	}
	return nil, false
}

// distance is how many letters must be changed, added or taken away to make b
// of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
