package main

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"nestgen/allowlist"
)

func init() {
	ops["reqfile"] = answerReqfile
}

// A reqfileLine is one requirement of a list as the reference answers it.
type reqfileLine struct {
	File       string              `json:"file"`
	Line       int                 `json:"line"`
	Name       string              `json:"name,omitempty"`
	Extras     []string            `json:"extras,omitempty"`
	Clauses    []string            `json:"clauses,omitempty"`
	Marker     string              `json:"marker,omitempty"`
	URL        string              `json:"url,omitempty"`
	Hashes     map[string][]string `json:"hashes,omitempty"`
	Editable   bool                `json:"editable,omitempty"`
	Constraint bool                `json:"constraint,omitempty"`
	Error      bool                `json:"error,omitempty"`

	order []int // the line numbers of the includes that lead to it, and its own
}

// answerReqfile reads a list and the lists that it includes, with nothing but
// the given variables in the environment.
func answerReqfile(question json.RawMessage) any {
	var q struct {
		Root, File string
		Env        map[string]string
		Constraint bool
	}
	if err := json.Unmarshal(question, &q); err != nil {
		return invalid
	}
	list := allowlist.Read(allowlist.Sources{
		Env:         func(name string) (string, bool) { v, ok := q.Env[name]; return v, ok },
		Constraints: q.Constraint,
	}, filepath.Join(q.Root, q.File))

	place := func(p allowlist.Position, via []allowlist.Position) reqfileLine {
		l := reqfileLine{Line: p.Line}
		l.File, _ = filepath.Rel(q.Root, p.File)
		for _, v := range via {
			l.order = append(l.order, v.Line)
		}
		l.order = append(l.order, p.Line)
		return l
	}
	var lines []reqfileLine
	refused := make(map[string]bool)
	key := func(order []int) string { b, _ := json.Marshal(order); return string(b) }
	want := func(w allowlist.Want) {
		l := place(w.Position, w.Via)
		if refused[key(l.order)] {
			return
		}
		r := w.Requirement
		l.Name = r.Name
		if w.Egg != "" {
			l.Name = w.Egg
		}
		if w.URL == "" || r.URL != "" && !w.Editable {
			l.Extras = r.Extras // else the reference keeps them beside the requirement
		}
		l.Hashes = w.Hashes
		l.Editable, l.Constraint = w.Editable, w.Constraint
		for _, c := range r.Specifiers.Clauses() {
			l.Clauses = append(l.Clauses, c.String())
		}
		if r.Marker != nil {
			l.Marker = r.Marker.String()
		}
		l.URL = w.URL
		// The reference writes the root, which is different everywhere, as
		// {root}.
		if u, err := url.PathUnescape(w.URL); err == nil {
			if rest, ok := strings.CutPrefix(u, "file://"+q.Root); ok {
				l.URL = "file://{root}" + (&url.URL{Path: rest}).EscapedPath()
			}
		}
		lines = append(lines, l)
	}
	for _, p := range list.Problems {
		switch p.Pip {
		case allowlist.PipRefusesFile:
			return invalid
		case allowlist.PipRefusesLine:
			l := place(p.Position, p.Via)
			if !refused[key(l.order)] {
				refused[key(l.order)] = true
				l.Error = true
				lines = append(lines, l)
			}
		}
	}
	for _, w := range list.Wants {
		want(w)
	}
	for _, w := range list.Constraints {
		want(w)
	}
	for _, p := range list.Problems {
		if p.Want != nil {
			want(*p.Want)
		}
	}
	slices.SortStableFunc(lines, func(a, b reqfileLine) int { return slices.Compare(a.order, b.order) })
	return map[string]any{"ok": true, "lines": lines}
}
