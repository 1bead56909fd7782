package monitor

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
)

// maxFaults is how many disagreements one page is told with.
const maxFaults = 5

// A disagreement collects in what a page is not what the history says.
type disagreement struct {
	faults []string
	more   int
}

func (d *disagreement) add(format string, args ...any) {
	if len(d.faults) == maxFaults {
		d.more++
		return
	}
	d.faults = append(d.faults, fmt.Sprintf(format, args...))
}

// join adds another one.
func (d *disagreement) join(o *disagreement) {
	for _, f := range o.faults {
		d.add("%s", f)
	}
	d.more += o.more
}

// text gives it as one line; empty if there is none.
func (d *disagreement) text() string {
	text := strings.Join(d.faults, "; ")
	if d.more > 0 {
		text += fmt.Sprintf("; and %d more", d.more)
	}
	return text
}

// lastTime is the last microsecond that a page can tell.
const lastTime = 253402300799_999999

// listed reports whether a page of the simple API lists a file: installers take a
// bdist_dumb archive for an sdist, and know no version that does not follow PEP 440.
func listed(f *catalog.File) bool {
	return f.Kind != packaging.Dumb && packaging.ValidVersion(f.Version)
}

// hasPages reports whether a project has pages: those without files have none, but for
// quarantined ones, whose page says so.
func hasPages(p *catalog.Project) bool {
	return len(p.Files) > 0 || p.Status.State == catalog.Quarantined
}

// compare holds the page of a project, which stands at a path, against the history.
func compare(at string, d *document, p *catalog.Project) string {
	var wrong disagreement
	compareStatus(&wrong, d, p)
	want := map[string]*catalog.File{}
	for i := range p.Files {
		if f := &p.Files[i]; listed(f) && p.Status.State != catalog.Quarantined {
			want[f.Filename] = f
		}
	}
	seen := map[string]bool{}
	for i := range d.files {
		e := &d.files[i]
		f := want[e.filename]
		switch {
		case seen[e.filename]:
			wrong.add("it lists %q twice", e.filename)
		case f == nil:
			wrong.add("it lists %q, which the history does not", e.filename)
		default:
			compareFile(&wrong, at, d.json, e, f)
		}
		seen[e.filename] = true
	}
	for i := range p.Files {
		if name := p.Files[i].Filename; want[name] != nil && !seen[name] {
			wrong.add("it does not list %q, which the history does", name)
		}
	}
	return wrong.text()
}

func stateText(s catalog.State) string { return cmp.Or(string(s), "active") }

func compareStatus(wrong *disagreement, d *document, p *catalog.Project) {
	if d.json && d.name != string(p.Name) {
		wrong.add("it is about %q", d.name)
	}
	if state := stateText(p.Status.State); d.status != state {
		wrong.add("it says that the project is %q, and the history %q", d.status, state)
	}
	if !same(p.Status.Reason, d.reason) {
		wrong.add("it gives %q as the reason of the project's status, and the history %q", d.reason, p.Status.Reason)
	}
}

// compareFile holds what a page says of a file against what the history says.
func compareFile(wrong *disagreement, at string, json bool, e *entry, f *catalog.File) {
	differs := func(what string, page, history any) {
		wrong.add("%s: its %s is %v on the page and %v in the history", f.Filename, what, page, history)
	}
	if e.sha256 != f.SHA256 {
		differs("sha256", e.sha256, f.SHA256)
	}
	if e.more {
		wrong.add("%s: it has digests of other kinds, which the history has not", f.Filename)
	}
	if to, ok := leadsTo(at, e.url); !ok || to != f.Path {
		differs("address", fmt.Sprintf("%q", e.url), f.Path)
	}
	if !same(f.RequiresPython, e.requires) {
		differs("requires-python", fmt.Sprintf("%q", e.requires), fmt.Sprintf("%q", f.RequiresPython))
	}
	if e.yanked.Yanked != f.Yanked.Yanked || !same(f.Yanked.Reason, e.yanked.Reason) {
		differs("yank", yankText(e.yanked), yankText(f.Yanked))
	}
	promised := f.Metadata
	if f.Kind != packaging.Wheel {
		promised = catalog.Digest{} // an sdist may build to other metadata
	}
	if e.metadata != promised {
		differs("metadata", e.metadata, promised)
	}
	if e.signed != f.Signed {
		differs("signature", e.signed, f.Signed)
	}
	if !json {
		return
	}
	if e.size != max(f.Size, -1) {
		differs("size", e.size, f.Size)
	}
	uploaded := f.Uploaded
	if uploaded > lastTime {
		uploaded = 0
	}
	if e.uploaded != max(uploaded, 0) {
		differs("upload-time", timeText(e.uploaded), timeText(uploaded))
	}
}

func yankText(y catalog.Yank) string {
	if !y.Yanked {
		return "none"
	}
	return fmt.Sprintf("%q", y.Reason)
}

// same reports whether a page says what a record does. Of a text that was too long for a
// record that has its digest. What is no text, or may stand in no page, came to be U+FFFD
// in one as in the other, but not always as often.
func same(recorded, served string) bool {
	return recorded == served || readable(recorded) == readable(served) ||
		strings.HasPrefix(recorded, "sha256:") && recorded == fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(served)))
}

// readable gives a text with one U+FFFD for each run of characters that a page may not
// have (HTML, 13.1.4) or that stand for what was none.
func readable(s string) string {
	var b strings.Builder
	last := rune(0)
	for _, r := range s {
		control := unicode.IsControl(r) && !strings.ContainsRune("\t\n\r", r)
		if control || r&0xfffe == 0xfffe || 0xfdd0 <= r && r <= 0xfdef {
			r = utf8.RuneError
		}
		if r != utf8.RuneError || last != utf8.RuneError {
			b.WriteRune(r)
		}
		last = r
	}
	return b.String()
}

// leadsTo gives the path of the tree that a link of a page leads to; ok is false for one
// that leads elsewhere, or is not written as those of an index are: not all who read it
// would go the same way then.
func leadsTo(page, link string) (to string, ok bool) {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Path == "" || u.Path[0] == '/' {
		return "", false
	}
	to = path.Join("/", path.Dir(page), u.Path)
	if link != layout.Up(page)+layout.Escape(to[1:]) {
		return "", false
	}
	return to[1:], true
}

// known reports whether the history knows a file as a page has it.
func (h *history) known(wrong *disagreement, at string, e *entry) bool {
	f := h.files[e.filename]
	to, ok := leadsTo(at, e.url)
	switch {
	case f == nil || f.path == "" && f.sha256.IsZero():
		wrong.add("it lists %q, of which the history knows nothing", e.filename)
	case e.sha256 != f.sha256:
		wrong.add("it lists %s with sha256 %s, and the history has %s", e.filename, e.sha256, f.sha256)
	case e.more:
		wrong.add("it lists %s with digests of other kinds, which the history has not", e.filename)
	case f.path != "" && (!ok || !f.at(to)):
		wrong.add("it has %s at %q, and the history at %s", e.filename, e.url, f.path)
	default:
		return true
	}
	return false
}

// compareList holds a page that lists every file of an index against the history: each
// link with a digest, and each that leads to the store. What else stands there are
// development links. Links for easy_install say what a file is in the place of its digest.
// The page of the site's own index has to list all that the history does, but of what has
// other pages since.
func (v *verification) compareList(at string, page io.Reader) (wrong string, err error) {
	var all disagreement
	h := v.history
	prefix, _ := layout.CutPrefix(at)
	done := map[packaging.Name]bool{}
	var section packaging.Name
	var seen map[string]bool
	late := false
	end := func(n packaging.Name, seen map[string]bool) {
		if prefix != "" || v.isBehind(at, n) {
			late = late || prefix == ""
			return
		}
		for _, f := range h.project(n).Files {
			if f.Kind != packaging.Dumb && !seen[f.Filename] && h.projects[n].Status().State != catalog.Quarantined {
				all.add("it does not list %q, which the history does", f.Filename)
			}
		}
	}
	var is map[string]*catalog.File // of the section
	err = anchors(page, func(a anchor) error {
		link, fragment, _ := strings.Cut(a.href, "#")
		to, here := leadsTo(at, link)
		here = here && strings.HasPrefix(to, layout.Packages+"/")
		if here && strings.HasPrefix(fragment, "egg=") {
			if f := h.files[path.Base(to)]; f == nil || !f.at(to) {
				all.add("it leads to %q, of which the history knows nothing", to)
			}
			return nil
		}
		if scheme, _, ok := strings.Cut(link, ":"); !here && !strings.HasPrefix(fragment, "sha256=") && ok && !strings.ContainsAny(scheme, "/.%\\") {
			return nil
		}
		e, err := entryOf(a)
		if err != nil || !h.known(&all, at, &e) {
			return err
		}
		if n := h.files[e.filename].project; n != section || seen == nil {
			if seen != nil {
				end(section, seen)
			}
			if done[n] {
				all.add("it has the files of %s in two places", n)
			}
			done[n], section, seen, is = true, n, map[string]bool{}, map[string]*catalog.File{}
			p := h.project(n)
			for i := range p.Files {
				is[p.Files[i].Filename] = &p.Files[i]
			}
		}
		if seen[e.filename] {
			all.add("it lists %q twice", e.filename)
		}
		seen[e.filename] = true
		f := is[e.filename]
		switch {
		case prefix != "" || v.isBehind(at, section):
		case f == nil || h.projects[section].Status().State == catalog.Quarantined:
			all.add("it lists %q, which the history does not", e.filename)
		default:
			e.signed = f.Signed // of which the page says nothing
			compareFile(&all, at, false, &e, f)
		}
		return nil
	}, func(string, string) {})
	if err != nil {
		return "", err
	}
	if seen != nil {
		end(section, seen)
	}
	for n := range h.projects {
		if !done[n] {
			end(n, nil)
		}
	}
	return v.take(at, &reading{disagreement: all, behind: late}), nil
}

// compareNames holds the list of projects of an index, which stands at a path, against the
// pages that were published below it. A project of which there are pages only since the
// list was published is on the next one.
func (v *verification) compareNames(at string, names []string, has map[packaging.Name]bool) string {
	var wrong disagreement
	seen := map[packaging.Name]bool{}
	for _, name := range names {
		n, err := packaging.ParseName(name)
		switch {
		case err != nil:
			wrong.add("it lists %q, which is no name of a project", name)
		case seen[n]:
			wrong.add("it lists %s twice", n)
		case !has[n]:
			wrong.add("it lists %s, of which no page was published", n)
		}
		seen[n] = true
	}
	prefix, _ := layout.CutPrefix(at)
	listed := v.pages[at].leaf
	missing, late := 0, []packaging.Name{}
	for n := range has {
		switch {
		case seen[n]:
		case v.pages[layout.Below(prefix, layout.ProjectJSON(n))].born > listed:
			late = append(late, n)
		default:
			missing++
		}
	}
	if missing > 0 {
		wrong.add("it lacks %d of the %d projects of which there are pages", missing, len(has))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, n := range late {
		v.unlisted[n] = true
	}
	return wrong.text()
}

// rootNames reads the names from the list of projects as HTML: the folders that it leads
// to.
func rootNames(page io.Reader) (names []string, err error) {
	err = anchors(page, func(a anchor) error {
		if len(names) == maxNames {
			return errTooMany
		}
		name, ok := strings.CutSuffix(a.href, "/")
		if n, err := packaging.ParseName(a.text); !ok || err != nil || string(n) != name {
			return fmt.Errorf("%.80q leads to %.80q", a.text, a.href)
		}
		names = append(names, name)
		return nil
	}, func(string, string) {})
	return names, err
}
