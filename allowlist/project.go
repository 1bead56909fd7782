package allowlist

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"nestgen/internal/stricttoml"
	"nestgen/packaging"
)

// A part is what of a pyproject.toml is read: what the project depends on, with some
// of its extras, or a dependency group.
type part struct {
	extras []string
	group  string
}

// cutPart tells whether a name of a list is that of a pyproject.toml. A group stands
// behind it as behind pip's --group, extras as behind a requirement:
// "pyproject.toml:dev", "pyproject.toml[docs,test]".
func cutPart(name string) (file string, p part, ok bool) {
	const project = "pyproject.toml"
	i := strings.LastIndex(name, project)
	if i < 0 || i > 0 && !strings.HasSuffix(name[:i], "/") {
		return "", part{}, false
	}
	file, rest := name[:i+len(project)], name[i+len(project):]
	group, isGroup := strings.CutPrefix(rest, ":")
	extras, isExtras := strings.CutPrefix(rest, "[")
	extras, closed := strings.CutSuffix(extras, "]")
	switch {
	case rest == "":
	case isGroup:
		p.group = group
	case isExtras && closed:
		for e := range strings.SplitSeq(extras, ",") {
			p.extras = append(p.extras, strings.TrimSpace(e))
		}
	default:
		return "", part{}, false
	}
	return file, p, true
}

// readProject reads a part of a pyproject.toml: requirements as its standards have
// them (PEP 621, PEP 735), each with its line.
func (r *reader) readProject(f *file, p part) {
	if f.constraint {
		r.report(f, 0, Problem{Severity: Error, Pip: PipRefusesFile, Text: "a pyproject.toml cannot be a constraint file", Hint: "include it with -r, or name it as a list"})
		return
	}
	b, err := r.contents(f)
	if err != nil {
		r.notRead(f, err)
		return
	}
	d, err := stricttoml.Tree(f.name, b)
	if err != nil {
		line, text := 0, err.Error()
		if e, ok := errors.AsType[*stricttoml.Error](err); ok {
			line, text = e.Line, e.Text
		}
		r.report(f, line, Problem{Severity: Error, Pip: PipRefusesFile, Text: "not TOML: " + bare(text)})
		return
	}
	project := projectReader{reader: r, file: f, Document: d}
	if p.group != "" {
		err = project.group(p.group)
	} else {
		err = project.dependencies(p.extras)
	}
	if err != nil {
		r.report(f, 0, Problem{Severity: Error, Pip: PipRefusesFile, Text: bare(err.Error())})
	}
}

// A projectReader reads requirements out of a pyproject.toml.
type projectReader struct {
	*reader
	file *file
	*stricttoml.Document
	name packaging.Name // of the project
}

// table gives a table at the top, nil if there is none.
func (r *projectReader) table(key string) map[string]any {
	t, _ := r.Root[key].(map[string]any)
	return t
}

// requirement reads one requirement, in line n.
func (r *projectReader) requirement(n int, text string) {
	l := &line{r: r.reader, f: r.file, n: n, text: text, asks: true}
	if r.lines++; r.lines > r.most.lines {
		if !r.full {
			r.overflow(r.file, n, fmt.Sprintf("more than %d lines in all lists together", r.most.lines))
		}
		return
	}
	if _, err := packaging.ParseRequirement(text); err != nil {
		bad := l.syntax(err)
		l.fail(PipRefusesLine, bad.hint, "%s", bad.text)
		return
	}
	l.readRequirement(text, false, nil)
}

// dependencies reads what the project depends on, and what it does with some of its
// extras. One that stands for others by the project's own name is taken for these.
func (r *projectReader) dependencies(extras []string) error {
	project := r.table("project")
	if project == nil {
		return errors.New("no [project] table in it")
	}
	if name, ok := project["name"].(string); ok {
		r.name = packaging.NormalizeName(name)
	}
	dynamic, _ := project["dynamic"].([]any)
	for _, key := range []string{"dependencies", "optional-dependencies"} {
		if slices.Contains(dynamic, any(key)) && (key == "dependencies" || len(extras) > 0) {
			return fmt.Errorf("%s is dynamic: what the project depends on is known only when it is built", key)
		}
	}
	more, err := r.list("project", "dependencies")
	if err != nil {
		return err
	}
	optional, _ := project["optional-dependencies"].(map[string]any)
	done := map[packaging.Name]bool{}
	for todo := append(extras, more...); len(todo) > 0; {
		extra := packaging.NormalizeName(todo[0])
		todo = todo[1:]
		if done[extra] {
			continue
		}
		done[extra] = true
		written := ""
		for _, key := range slices.Sorted(maps.Keys(optional)) {
			if packaging.NormalizeName(key) == extra {
				written = key
			}
		}
		if written == "" {
			return fmt.Errorf("the project has no extra %q", string(extra))
		}
		more, err := r.list("project", "optional-dependencies", written)
		if err != nil {
			return err
		}
		todo = append(todo, more...)
	}
	return nil
}

// list reads an array of requirements, and gives the extras of the project itself
// that it asks for.
func (r *projectReader) list(path ...string) (extras []string, err error) {
	var v any = r.Root
	for _, key := range path {
		v = v.(map[string]any)[key]
	}
	items, ok := v.([]any)
	if v == nil {
		return nil, nil
	}
	lines := r.Lines(path...)
	for i, item := range items {
		text, isText := item.(string)
		if ok = ok && isText; !ok {
			break
		}
		if q, err := packaging.ParseRequirement(text); err == nil && q.Project() == r.name {
			extras = append(extras, q.Extras...)
			continue
		}
		r.requirement(lines[i], text)
	}
	if !ok {
		return nil, fmt.Errorf("%s is not an array of strings", strings.Join(path, "."))
	}
	return extras, nil
}

// group reads a dependency group, with those that it includes, each once.
func (r *projectReader) group(name string) error {
	groups := r.table("dependency-groups")
	if groups == nil {
		return errors.New("no [dependency-groups] table in it")
	}
	if _, err := packaging.ResolveGroups(groups, []string{name}); err != nil {
		return err
	}
	done := map[packaging.Name]bool{}
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		n := packaging.NormalizeName(todo[0])
		if done[n] {
			continue
		}
		done[n] = true
		for key, v := range groups {
			if packaging.NormalizeName(key) != n {
				continue
			}
			lines := r.Lines("dependency-groups", key)
			for i, item := range v.([]any) { // as ResolveGroups has found it
				switch item := item.(type) {
				case string:
					r.requirement(lines[i], item)
				case map[string]any:
					todo = append(todo, item["include-group"].(string))
				}
			}
		}
	}
	return nil
}
