// Package stricttoml decodes the TOML files that people write for nestgen. A
// key that the target does not know is an error with its line, because a
// misspelled setting that is silently ignored is found too late.
package stricttoml

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"nestgen/internal/distance"
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
		inside := false
		for i := 1; i < len(k); i++ {
			inside = inside || unknown[k[:i].String()] != nil
		}
		if !inside {
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

// lines finds the lines of keys. The TOML reader does not tell them. So the text
// is cut at the headers of its tables, which makes pieces that can be read
// alone, and of a piece that has such a key ever longer beginnings are read.
func lines(text string, keys map[string]toml.Key) []place {
	var found []place
	first, piece := 1, "" // the piece, and its first line
	for text != "" {
		line, rest := cutLine(text)
		if strings.HasPrefix(strings.TrimLeft(line, " \t"), "[") && readable(piece) {
			found = append(found, linesOf(piece, first, keys)...)
			first += strings.Count(piece, "\n")
			piece = ""
		}
		piece += line
		text = rest
	}
	return append(found, linesOf(piece, first, keys)...)
}

// cutLine cuts behind the first line end.
func cutLine(text string) (line, rest string) {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return text[:i+1], text[i+1:]
	}
	return text, ""
}

func readable(text string) bool {
	var any map[string]any
	_, err := toml.Decode(text, &any)
	return err == nil
}

// linesOf finds the lines of keys in a piece of the text that begins with the
// line first. A key stands on the line after the last beginning that could be
// read without it.
func linesOf(piece string, first int, keys map[string]toml.Key) []place {
	if len(occurrences(piece, keys)) == 0 {
		return nil
	}
	var found []place
	count := map[string]int{}
	at, whole := "", 0 // the beginning, and how many lines the last had that could be read
	for rest := piece; rest != ""; {
		var line string
		line, rest = cutLine(rest)
		at = piece[:len(at)+len(line)]
		now := occurrences(at, keys)
		if now == nil {
			continue // in the middle of a value
		}
		for _, s := range slices.Sorted(maps.Keys(now)) {
			for range now[s] - count[s] {
				found = append(found, place{s, first + whole})
			}
		}
		count, whole = now, strings.Count(at, "\n")
	}
	return found
}

// occurrences counts keys; it is nil for a text that cannot be read.
func occurrences(text string, keys map[string]toml.Key) map[string]int {
	var any map[string]any
	md, err := toml.Decode(text, &any)
	if err != nil {
		return nil
	}
	n := map[string]int{}
	for _, k := range md.Keys() {
		if s := k.String(); keys[s] != nil {
			n[s]++
		}
	}
	return n
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
	return distance.Nearest(strings.ToLower(k[len(k)-1]), slices.Values(settings(t)))
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
	for _, f := range reflect.VisibleFields(t) {
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
	for _, f := range reflect.VisibleFields(t) {
		if f.Tag.Get("toml") == name {
			return f.Type, true
		}
	}
	return nil, false
}
