package allowlist

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"nestgen/packaging"
)

// A fault is why a requirement cannot be read or used.
type fault struct{ text, hint string }

// readRequirement reads a requirement with the options behind it.
func (l *line) readRequirement(text string, editable bool, settings []setting) {
	text = trimSpace(text)
	w := Want{
		Editable:   editable,
		Position:   Position{l.f.name, l.n},
		Text:       redact(l.text),
		Via:        l.f.via,
		Constraint: l.f.constraint,
	}
	l.readOwnOptions(&w, settings)
	read := l.fromLine
	if editable {
		read = l.fromEditable
	}
	if bad := read(&w, text); bad != nil {
		l.fail(PipRefusesLine, bad.hint, "%s", bad.text)
		return
	}
	w.Project = packaging.NormalizeName(w.Requirement.Name)
	if bad, pip := l.check(&w); bad != nil {
		l.problem(Problem{Severity: Error, Text: bad.text, Hint: bad.hint, Pip: pip, Want: &w})
		return
	}
	if w.Constraint && len(w.Requirement.Extras) > 0 {
		l.warn(PipReads, "take the extras out", "extras in a constraint, which pip refuses to use")
	}
	if w.Constraint {
		l.r.list.Constraints = append(l.r.list.Constraints, w)
	} else {
		l.r.list.Wants = append(l.r.list.Wants, w)
	}
}

// readOwnOptions reads the options behind a requirement.
func (l *line) readOwnOptions(w *Want, settings []setting) {
	for _, s := range settings {
		switch {
		case s.option.id == optHash && !w.Editable:
			alg, digest, _ := strings.Cut(s.value, ":")
			if w.Hashes == nil {
				w.Hashes = make(map[string][]string)
			}
			digests := append(w.Hashes[alg], strings.ToLower(digest))
			slices.Sort(digests)
			w.Hashes[alg] = digests
		case s.option.id == optHash:
			l.warn(PipReads, "", "--hash of an editable requirement; ignored, as pip does")
		case s.option.id == optConfigSettings:
			l.warn(PipReads, "", "%s means nothing to an index; ignored", s.name)
		case s.option.former:
			// It has its warning already.
		default:
			l.warn(PipReads, "give the option a line of its own", "%s behind a requirement; ignored, as pip does", s.name)
		}
	}
}

// fromLine reads a requirement that is not editable: a name with what follows
// it, a URL, or a path.
func (l *line) fromLine(w *Want, text string) *fault {
	sep := ";"
	if isURL(text) {
		sep = "; " // there may be a semicolon in a URL
	}
	name, condition, _ := strings.Cut(text, sep)
	var marker *packaging.Marker
	if condition = trimSpace(condition); condition != "" {
		m, err := packaging.ParseMarker(condition)
		if err != nil {
			return l.syntax(err)
		}
		marker = m
		if at := strings.IndexByte(name, '@'); at >= 0 && !isURL(text) && trimSpaceRight(name) == name && isURL(trimSpace(name[at+1:])) {
			l.warn(PipReads, "write a space before the semicolon", "no space between the URL and the marker: other readers than pip take the marker for a part of the URL")
		}
	}
	name = trimSpace(name)

	var bad *fault
	if isURL(name) {
		bad = l.fromURL(w, parseLink(name), nil)
	} else if p, extras, isPath, fault := l.localPath(name); fault != nil {
		return fault
	} else if isPath {
		bad = l.fromURL(w, parseLink(fileURL(p)), extras)
	} else {
		bad = l.fromName(w, name)
	}
	if marker != nil {
		w.Requirement.Marker = marker
	}
	return bad
}

// fromName reads a requirement that begins with a project name.
func (l *line) fromName(w *Want, text string) *fault {
	q, err := packaging.ParseRequirement(text)
	if err != nil {
		if l.fromLegacy(w, text) {
			return nil
		}
		return l.syntax(err)
	}
	w.Requirement = q
	if q.URL == "" {
		return nil
	}
	u := parseLink(q.URL)
	l.setLink(w, u)
	raw, ok := u.parameter("egg")
	if !ok {
		return nil
	}
	e, ok := parseEgg(raw)
	switch {
	case !packaging.ValidName(raw):
		l.warn(PipRefusesLine, "take the egg fragment out: the name stands before the @", "egg fragment %s is not a project name; ignored", l.quote(raw))
	case ok && packaging.NormalizeName(raw) != q.Project() && packaging.NormalizeName(e.project) != q.Project():
		l.warn(PipReads, "", "the egg fragment names %s, not %s; ignored", l.quote(raw), q.Name)
	}
	return nil
}

// fromLegacy reads name==dev and name==0.1.1dev-r7031, by which lists for
// easy_install ask for a development link. No version of PEP 440 is meant.
func (l *line) fromLegacy(w *Want, text string) bool {
	name, version, ok := strings.Cut(text, "==")
	version = trimSpace(version)
	if !ok || !legacyVersion(version) {
		return false
	}
	q, err := packaging.ParseRequirement(name)
	if err != nil || q.URL != "" || q.Specifiers.Len() > 0 {
		return false
	}
	w.Requirement, w.EggVersion = q, version
	l.warn(PipRefusesLine, "", "%s is no version of PEP 440: read as the development link %s-%s, which only easy_install and buildout follow", l.quote(version), q.Name, l.quoteBare(version))
	return true
}

// legacyVersion reports whether s is a version with "dev" in it, for tools that
// do not keep to PEP 440.
func legacyVersion(s string) bool {
	if !strings.Contains(s, "dev") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-+", r))
	})
}

// fromURL reads a URL or path without a name before it. A wheel's file name
// tells project and version; else the egg fragment, if there is one, tells the
// project.
func (l *line) fromURL(w *Want, u link, extras []string) *fault {
	// pip makes a file: URL with "../" in it absolute.
	if u.scheme == "file" && strings.Contains(u.url, "../") {
		if p := u.local(l.f.dir); p != "" {
			u = parseLink(fileURL(p))
		}
	}
	l.setLink(w, u)
	if u.isWheel() {
		f, err := packaging.ParseWheel(u.filename())
		if err != nil {
			return &fault{text: "wheel " + l.quoteBare(err.Error())}
		}
		q, err := packaging.ParseRequirement(string(f.Project) + "==" + f.Version)
		if err != nil {
			return l.syntax(err)
		}
		q.Extras = extras
		w.Requirement = q
		return nil
	}
	w.Requirement.Extras = extras
	l.readEgg(w, u)
	return nil
}

// readEgg takes the project's name from the egg fragment.
func (l *line) readEgg(w *Want, u link) {
	raw, ok := u.parameter("egg")
	if !ok {
		return
	}
	e, ok := parseEgg(raw)
	if !ok {
		l.warn(PipRefusesLine, "write NAME @ URL", "egg fragment %s has no project name in it; ignored", l.quote(raw))
		return
	}
	// Extras and a version after the name: pip took them once, and refuses
	// them now.
	q, err := packaging.ParseRequirement(e.project + e.extras + e.clause)
	switch {
	case err != nil || q.URL != "" || q.Marker != nil:
		q, err = packaging.ParseRequirement(e.project + e.extras)
		if err != nil {
			q = packaging.Requirement{Name: e.project}
		}
		l.warn(PipRefusesLine, "write NAME @ URL", "egg fragment %s: only the project name %s is taken from it", l.quote(raw), e.project)
	case !packaging.ValidName(raw):
		l.warn(PipRefusesLine, "write NAME[EXTRAS] @ URL", "egg fragment %s is more than a project name, which pip refuses now", l.quote(raw))
	case e.version != "":
		l.warn(PipReads, "", "egg fragment %s: read as project %s and version %s, as easy_install does; pip takes it for a name", l.quote(raw), e.project, l.quoteBare(e.version))
	}
	if len(w.Requirement.Extras) > 0 {
		q.Extras = w.Requirement.Extras
	}
	q.Marker = w.Requirement.Marker
	w.Requirement, w.Egg, w.EggVersion = q, e.name, e.version
}

// setLink fills in what the URL of a want says about it.
func (l *line) setLink(w *Want, u link) {
	w.URL = u.url
	address, _, _ := strings.Cut(u.url, "#")
	for _, sub := range l.subs {
		w.Expanded = w.Expanded || strings.Contains(address, sub.value)
	}
	if w.Expanded {
		w.Masked = l.mask(u.url)
	}
	w.Kind, _ = u.kind()
	w.URLHashes = u.hashes()
	w.Subdirectory, _ = u.parameter("subdirectory")
	switch w.Kind {
	case VCS:
		if slices.Contains(vcsSchemes, u.scheme) {
			w.VCS, _, _ = strings.Cut(u.scheme, "+")
			w.Revision = u.revision()
		}
	case Path:
		w.Path = u.local(l.f.dir)
	}
}

// fromEditable reads what follows -e: a repository, or a directory of this
// machine.
func (l *line) fromEditable(w *Want, text string) *fault {
	if w.Constraint {
		return &fault{"an editable requirement in a constraint file", "move the line to the list itself"}
	}
	if q, err := packaging.ParseRequirement(text); err == nil && q.URL != "" {
		u := parseLink(q.URL)
		if k, ok := u.kind(); !ok || k == Archive {
			return l.notEditable(text)
		}
		return l.fromName(w, text)
	}
	bare, extras, err := stripExtras(text)
	if err != nil {
		return l.syntax(err)
	}
	u := parseLink(text)
	if p := l.beside(bare); p != "" && l.r.isDir(p) {
		u = parseLink(fileURL(p))
	} else if scheme(bare) == "file" {
		u = parseLink(bare)
	} else {
		extras = nil
		if slices.Contains(systems, u.scheme) {
			u = parseLink(u.scheme + "+" + text)
		}
	}
	k, ok := u.kind()
	if !ok || k == Archive {
		return l.notEditable(text)
	}
	w.Requirement.Extras = extras
	l.setLink(w, u)
	l.readEgg(w, u)
	if w.Requirement.Name == "" && k == VCS {
		return &fault{"-e " + l.quoteBare(text) + ": no project name", "write NAME @ URL, or append #egg=NAME"}
	}
	return nil
}

// notEditable is the fault of a -e that leads to neither repository nor
// directory.
func (l *line) notEditable(text string) *fault {
	hint := "-e takes a directory that exists, or a repository: git+https://… and its like"
	switch scheme(text) {
	case "http", "https":
		hint = "say which system it is: git+https://…, svn+https://…, hg+https://… or bzr+https://…"
	case "":
		if user, path, ok := strings.Cut(text, ":"); ok && strings.Contains(user, "@") {
			hint = "write git+ssh://" + l.quoteBare(user) + "/" + l.quoteBare(path)
		}
	}
	return &fault{"-e " + l.quoteBare(text) + ": neither a directory nor a repository", hint}
}

// check finds addresses that pip takes as it reads, for the most part, but that
// nobody can use.
func (l *line) check(w *Want) (bad *fault, pip Verdict) {
	if w.URL == "" {
		return nil, PipReads
	}
	u := parseLink(w.URL)
	_, known := u.kind()
	at := "URL " + l.quoteBare(w.URL) + ": "
	v, left := leftover(w.URL)
	if !left {
		v, left = leftover(w.Path)
	}
	switch {
	case left:
		return &fault{at + "variable " + v + " is not set", "set it where nestgen runs"}, PipReads
	case strings.ContainsFunc(w.URL, isSpace):
		return &fault{at + "white space in it", "options are read behind a space only, not behind a tab"}, PipReads
	case u.scheme == "":
		return &fault{at + "no scheme", "write https://…, git+ssh://…, file:///…"}, PipReads
	case !known:
		return &fault{at + "unknown scheme " + l.quote(u.scheme), ""}, PipReads
	case w.Kind == Path && isRemote(l.f.key):
		return &fault{"a list from the network cannot name a file of this machine", ""}, PipReads
	case w.Kind == Path && u.host != "" && u.host != "localhost":
		return &fault{at + "a file of another machine", "file:///PATH has three slashes"}, PipRefusesLine
	case w.Kind == Archive && u.host == "":
		return &fault{at + "no host", ""}, PipReads
	}
	return nil, PipReads
}

// localPath tells whether text is a path of a file or directory, and then its
// absolute form and the extras behind it. It is one if it is a directory and
// looks like a path, or if it ends like an archive.
func (l *line) localPath(text string) (p string, extras []string, isPath bool, bad *fault) {
	bare, extras, err := stripExtras(text)
	if err != nil {
		return "", nil, false, l.syntax(err)
	}
	if !looksLikePath(text) && !isArchive(bare) {
		return "", nil, false, nil // nearly every line
	}
	if p = l.beside(bare); p == "" {
		return "", nil, false, nil
	}
	if looksLikePath(text) && l.r.isDir(p) {
		if !l.r.isFile(filepath.Join(p, "pyproject.toml")) && !l.r.isFile(filepath.Join(p, "setup.py")) {
			return "", nil, false, &fault{"directory " + l.quoteBare(text) + ": neither pyproject.toml nor setup.py in it", ""}
		}
		return p, extras, true, nil
	}
	if !isArchive(p) {
		return "", nil, false, nil
	}
	if !l.r.isFile(p) {
		if before, _, ok := strings.Cut(text, "@"); ok && !looksLikePath(before) {
			return "", nil, false, nil // NAME @ URL
		}
		l.warn(PipReads, "", "%s looks like a file, but there is none", l.quote(bare))
	}
	return p, extras, true, nil
}

// beside gives the absolute path of a relative one, which counts from the
// directory of the outermost list. In a list from the network there are no
// paths, and it gives "".
func (l *line) beside(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	if l.f.dir == "" || strings.ContainsRune(p, 0) {
		return ""
	}
	return filepath.Join(l.f.dir, p)
}

// looksLikePath reports whether a requirement could be meant as a path.
func looksLikePath(s string) bool {
	return strings.HasPrefix(s, ".") || strings.ContainsRune(s, '/') || strings.ContainsRune(s, filepath.Separator)
}

// stripExtras cuts [extras] off the end of a path.
func stripExtras(s string) (bare string, extras []string, err error) {
	i := strings.LastIndexByte(s, '[')
	if i <= 0 || i+2 >= len(s) || strings.IndexByte(s[i:], ']') != len(s)-i-1 {
		return s, nil, nil
	}
	// pip reads extras of a path in lower case.
	q, err := packaging.ParseRequirement("placeholder" + strings.ToLower(s[i:]))
	if err != nil {
		return "", nil, err
	}
	return trimSpaceRight(s[:i]), q.Extras, nil
}

// syntax makes a fault of an error of package packaging, with a hint where the
// usual slips can be told.
func (l *line) syntax(err error) *fault {
	e, ok := errors.AsType[*packaging.SyntaxError](err)
	if !ok {
		return &fault{text: l.quoteBare(err.Error())}
	}
	column := fmt.Sprintf("column %d: ", e.Column())
	if len(l.subs) > 0 {
		column = "" // it would count the values of variables
	}
	return &fault{
		text: fmt.Sprintf("%s %s: %sexpected %s", e.What, l.quote(e.Input), column, e.Expected),
		hint: l.slip(e.Input),
	}
}

// slip gives a hint for the slips that are made most, or "".
func (l *line) slip(s string) string {
	v, left := leftover(s)
	name := strings.TrimRight(s, " \t")
	switch {
	case left:
		return "variable " + v + " is not set"
	case strings.Contains(s, "$"):
		return "a variable is written ${NAME}, in capitals"
	case strings.HasSuffix(l.text, `\`):
		return "a line continues only if the backslash is its very last character: take out what follows it"
	case strings.HasPrefix(s, `"`) || strings.HasPrefix(s, "'"):
		return "a requirement stands without quotation marks"
	case strings.HasPrefix(s, "<<<<<<<") || strings.HasPrefix(s, "=======") || strings.HasPrefix(s, ">>>>>>>"):
		return "the mark of a merge conflict"
	case isVCSWithout(s):
		return "the scheme of a repository begins with git+, hg+, svn+ or bzr+"
	case strings.Contains(s, "/"):
		return "if a path is meant: it does not exist"
	case strings.HasSuffix(strings.ToLower(name), ".txt") || strings.HasSuffix(strings.ToLower(name), ".in"):
		return "to include a list, write -r " + l.quoteBare(name)
	case strings.ContainsRune(s, '=') && !strings.ContainsAny(s, "~!<>") && !strings.Contains(s, "=="):
		return "equality is =="
	case strings.Contains(s, "=>") || strings.Contains(s, "=<"):
		return "the comparisons are >= and <="
	}
	return ""
}

// isVCSWithout reports whether s is a URL with a scheme of its own kind.
func isVCSWithout(s string) bool {
	return strings.Contains(s, "://") && scheme(s) != ""
}
