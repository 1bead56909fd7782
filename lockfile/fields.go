package lockfile

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A fields reads the values of a table, and keeps the first fault that it meets,
// so that a reader can go on as if all were right and look once.
type fields struct {
	table map[string]any
	where string // the table within its entry, with a dot behind it
	err   *error
	notes *[]string // what is wrong and does not matter
}

func fieldsOf(table map[string]any) *fields { return &fields{table, "", new(error), new([]string)} }

// failed gives the first fault.
func (f *fields) failed() error { return *f.err }

func (f *fields) fail(format string, args ...any) {
	if *f.err == nil {
		*f.err = fmt.Errorf(format, args...)
	}
}

func (f *fields) has(key string) bool { return f.table[key] != nil }

func (f *fields) note(format string, args ...any) {
	*f.notes = append(*f.notes, fmt.Sprintf(format, args...))
}

// get reads a value of one kind; null, as JSON has it, is as good as none.
func get[T any](f *fields, key, kind string) (v T, ok bool) {
	if f.table[key] == nil {
		return v, false
	}
	v, ok = f.table[key].(T)
	if !ok {
		f.fail("%s%s is not %s", f.where, key, kind)
	}
	return v, ok
}

func (f *fields) text(key string) string {
	s, _ := get[string](f, key, "a string")
	return s
}

// required is text for what must be there.
func (f *fields) required(key string) string {
	if !f.has(key) {
		f.fail("no %s%s", f.where, key)
	}
	return f.text(key)
}

// size reads a number of bytes, -1 for none.
func (f *fields) size(key string) int64 {
	switch n := f.table[key].(type) {
	case nil:
		return -1
	case int64:
		if n >= 0 {
			return n
		}
	case float64: // as JSON has every number
		if n >= 0 && n == math.Trunc(n) && n < 1<<53 {
			return int64(n)
		}
	}
	f.fail("%s%s is not a number of bytes", f.where, key)
	return -1
}

func (f *fields) flag(key string) bool {
	b, _ := get[bool](f, key, "true or false")
	return b
}

// moment reads a time of TOML, in microseconds since 1970 UTC. One that is something
// else, as some tools write it, is nothing that anybody depends on.
func (f *fields) moment(key string) int64 {
	t, ok := f.table[key].(time.Time)
	if ok {
		switch t.Location().String() {
		case "date-local", "time-local": // as the reader of TOML marks half a moment
			ok = false
		}
	}
	if !ok {
		if f.has(key) {
			f.note("%s%s is not a date with a time; it is not used", f.where, key)
		}
		return 0
	}
	return max(0, t.UnixMicro())
}

// uploaded reads a time that is written as a text.
func (f *fields) uploaded(key string) int64 {
	t, err := time.Parse(time.RFC3339, f.text(key))
	if err != nil {
		return 0
	}
	return max(0, t.UnixMicro())
}

func (f *fields) list(key string) []any {
	l, _ := get[[]any](f, key, "an array")
	return l
}

func (f *fields) texts(key string) []string {
	var all []string
	for _, v := range f.list(key) {
		s, ok := v.(string)
		if !ok {
			f.fail("%s%s is not an array of strings", f.where, key)
			return nil
		}
		all = append(all, s)
	}
	return all
}

// sub gives a table inside, nil if there is none.
func (f *fields) sub(key string) *fields {
	t, ok := get[map[string]any](f, key, "a table")
	if !ok {
		return nil
	}
	return &fields{t, f.where + key + ".", f.err, f.notes}
}

// subs gives the tables of an array.
func (f *fields) subs(key string) []*fields {
	var all []*fields
	for i, v := range f.list(key) {
		t, ok := v.(map[string]any)
		if !ok {
			f.fail("%s%s is not an array of tables", f.where, key)
			return nil
		}
		all = append(all, &fields{t, fmt.Sprintf("%s%s[%d].", f.where, key, i), f.err, f.notes})
	}
	return all
}

// hash reads "ALGORITHM:DIGEST". Where only the digest is given, as once was
// enough, it is sha256.
func (f *fields) hash(key string) map[string]string {
	s := f.text(key)
	if s == "" {
		return nil
	}
	return parseHash(s)
}

func parseHash(s string) map[string]string {
	algorithm, digest, ok := strings.Cut(s, ":")
	if !ok {
		algorithm, digest = "sha256", s
	}
	return map[string]string{strings.ToLower(algorithm): strings.ToLower(digest)}
}
