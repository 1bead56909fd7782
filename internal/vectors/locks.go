package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"

	"nestgen/lockfile"
)

func init() {
	ops["pylock"] = pylock
	ops["lock"] = lock
}

// pylock reads a pylock.toml that is given as JSON. What PEP 751 does not allow
// makes it invalid, even if the rest of it can be read.
func pylock(question json.RawMessage) any {
	var q struct{ Doc map[string]any }
	d := json.NewDecoder(bytes.NewReader(question))
	d.UseNumber()
	if err := d.Decode(&q); err != nil {
		panic(err)
	}
	var text bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(q.Doc)) {
		text.WriteString(quotedKey(key) + " = ")
		writeTOML(&text, q.Doc[key])
		text.WriteByte('\n')
	}
	l, problems := lockfile.Read(lockfile.Pylock, "pylock.toml", text.Bytes())
	if !wellFormed(lockfile.Pylock, l, problems) {
		return invalid
	}
	names := [][]any{}
	for _, p := range l.Packages {
		pair := []any{p.Name, nil}
		if p.Version != "" {
			pair[1] = p.Version
		}
		names = append(names, pair)
	}
	return answerOf{"ok": true, "packages": names}
}

// writeTOML writes a value of JSON as TOML has it.
func writeTOML(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case map[string]any:
		b.WriteByte('{')
		sep := ""
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b.WriteString(sep + quotedKey(key) + " = ")
			writeTOML(b, v[key])
			sep = ", "
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for _, e := range v {
			writeTOML(b, e)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	default:
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		b.Write(text)
	}
}

// quotedKey writes a key; strings of JSON are ones of TOML.
func quotedKey(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// lock reads a lock file. The reference takes what is there for what is meant, but
// for a pylock.toml; an entry of a Pipfile.lock that is no object ends it.
func lock(question json.RawMessage) any {
	q := read[struct{ Path, Kind string }](question)
	form, ok := map[string]lockfile.Form{
		"pylock": lockfile.Pylock, "uv.lock": lockfile.UV, "poetry.lock": lockfile.Poetry, "pdm.lock": lockfile.PDM, "Pipfile.lock": lockfile.Pipenv,
	}[q.Kind]
	if !ok {
		return map[string]any{"unsupported": true}
	}
	data, err := os.ReadFile(q.Path)
	if err != nil {
		panic(err)
	}
	l, problems := lockfile.Read(form, q.Path, data)
	if !wellFormed(form, l, problems) {
		return invalid
	}
	type file struct {
		File   string            `json:"file"`
		Hashes map[string]string `json:"hashes"`
	}
	type entry struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
		Files   []file `json:"files"`
	}
	packages := []entry{}
	for _, p := range l.Packages {
		e := entry{Name: p.Name, Version: p.Version, Files: []file{}}
		for _, f := range p.Files {
			if form == lockfile.Pylock && p.Source == lockfile.FromURL {
				continue // the reference has archives apart
			}
			e.Files = append(e.Files, file{f.Name, f.Hashes})
		}
		packages = append(packages, e)
	}
	return answerOf{"ok": true, "packages": packages}
}

// wellFormed reports whether the reference reads a file.
func wellFormed(form lockfile.Form, l lockfile.Lock, problems []lockfile.Problem) bool {
	if l.Form == 0 {
		return false
	}
	return !slices.ContainsFunc(problems, func(p lockfile.Problem) bool {
		return form == lockfile.Pylock && (!p.Warning || p.Package != "") || form == lockfile.Pipenv && p.Package != ""
	})
}
