package monitor

import (
	"fmt"
	"slices"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
)

// The pages of an index besides the site's own are made by builds alone: of a stage that
// things are promoted to, of an index with rules of its own, of a snapshot. What comes by a
// request is on the page of its project at once, and on theirs after the next build. So
// one of them may be behind where the page of the project is the later of the two in the
// log of pages, and there alone.

// A missing is a file that a page leaves out and that was there. Only what nobody is to
// have may be left out, and of that nobody has the bytes.
type missing struct {
	file *listedFile
	why  string // what says that it should be there
}

// A reading is what a page of another index says, held against the history.
type reading struct {
	disagreement
	listed  []*catalog.File // of the store, that it lists and the site's own index does not
	missing []missing       // what has to be looked at in the store
	behind  bool            // it does not say yet what has come to be so
}

// take keeps what came of the page at a path, in the place of what came of it before.
func (v *verification) take(at string, r *reading) (wrong string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.readings[at] = r
	return r.text()
}

// isBehind reports whether the page of a project in another index is older than that in
// the site's own.
func (v *verification) isBehind(at string, n packaging.Name) bool {
	return v.pages[layout.ProjectJSON(n)].leaf > v.pages[at].leaf
}

// readView reads the page of a project in an index whose rules nobody outside knows. All
// that it lists was listed by the site, as it says; and it lists what was promoted to it.
func (v *verification) readView(at, prefix string, d *document, n packaging.Name) *reading {
	r, now := &reading{}, v.history.project(n)
	late := v.isBehind(at, n)
	if d.json && d.name != string(n) {
		r.add("it is about %q", d.name)
	}
	if v.history.projects[n] == nil {
		r.add("the history knows nothing of the project")
	}
	v.readStatus(r, d, now, now.Status, late)
	if d.quarantined() {
		r.none(d)
	}
	is := map[string]*catalog.File{}
	for i := range now.Files {
		is[now.Files[i].Filename] = &now.Files[i]
	}
	seen := map[string]bool{}
	for i := range d.files {
		e := &d.files[i]
		if seen[e.filename] {
			r.add("it lists %q twice", e.filename)
			continue
		}
		seen[e.filename] = true
		if !v.history.known(&r.disagreement, at, e) {
			continue
		}
		f := is[e.filename]
		if f == nil || f.Announced { // it says what was said last
			r.pin(v.history.files[e.filename], e)
			continue
		}
		var differs disagreement
		if compareFile(&differs, at, d.json, e, f); len(differs.faults) > 0 && late {
			r.behind = true
		} else {
			r.join(&differs)
		}
	}
	if !d.quarantined() {
		v.lacking(r, prefix, n, is, seen, late)
	}
	return r
}

// lacking looks at what was promoted to an index and is not on the page of a project.
// That an index has the name that its pages are below is how it is unless its settings say
// otherwise, which nobody outside knows.
func (v *verification) lacking(r *reading, prefix string, n packaging.Name, is map[string]*catalog.File, seen map[string]bool, late bool) {
	for name, serial := range v.history.promoted[prefix][n] {
		parsed, err := packaging.ParseFilename(name, n)
		if seen[name] || err != nil || parsed.Kind == packaging.Dumb || !packaging.ValidVersion(parsed.Version) {
			continue
		}
		f, known := v.history.files[name]
		switch {
		case !known || !f.here:
		case is[name] == nil:
			r.missing = append(r.missing, missing{f, "it was promoted to " + prefix})
		case late && !v.history.stayed(name, serial, v.history.serial):
			r.behind = true // it is allowed again
		default:
			r.add("it does not list %q, which was promoted to it", name)
		}
	}
}

// readStatus holds the status of a page against that which it has to have. Whether what
// the index does not list any more is quarantined, the policy says, and not the history.
func (v *verification) readStatus(r *reading, d *document, now *catalog.Project, want catalog.Status, late bool) {
	quarantined := now.Status.State == catalog.Quarantined
	switch {
	case d.quarantined() && (quarantined || len(now.Files) == 0):
	case d.quarantined() != quarantined && late:
		r.behind = true
	case d.quarantined() || quarantined:
		r.add("it says that the project is %q, and the history %q", d.status, stateText(now.Status.State))
	case !d.says(want) && late:
		r.behind = true
	case !d.says(want):
		r.add("it says that the project is %q (%q), and the history %q (%q)", d.status, d.reason, stateText(want.State), want.Reason)
	}
}

// pin notes that a page lists a file that was here, whatever the site's own index has.
func (r *reading) pin(f *listedFile, e *entry) {
	if f != nil && f.here {
		is := f.file()
		is.Metadata = e.metadata
		r.listed = append(r.listed, is)
	}
}

// none notes that a page may list nothing, and lists something.
func (r *reading) none(d *document) {
	if len(d.files) > 0 {
		r.add("it says that the project is quarantined, and lists %d files", len(d.files))
	}
}

// readFrozen reads the page of a project in a snapshot, held against what the project was.
// Yanks, statuses and files are those of then, but for what nobody is to have now.
func (v *verification) readFrozen(at string, d *document, was *catalog.Project, s snapshot) *reading {
	r, now := &reading{}, v.history.project(was.Name)
	late := v.isBehind(at, was.Name)
	if d.json && d.name != string(was.Name) {
		r.add("it is about %q", d.name)
	}
	if len(was.Files) == 0 {
		r.add("the history lists no file of the project at serial %d", s.serial)
	}
	want := was.Status
	if want.State == catalog.Quarantined {
		want = catalog.Status{}
	}
	// The status of then stands, so that it is never behind but for a quarantine.
	v.readStatus(r, d, now, want, late && (d.quarantined() || now.Status.State == catalog.Quarantined))
	if d.quarantined() {
		r.none(d)
	}
	entries := map[string]*entry{}
	for i := range d.files {
		e := &d.files[i]
		if entries[e.filename] != nil {
			r.add("it lists %q twice", e.filename)
		}
		entries[e.filename] = e
	}
	for i := range was.Files {
		f := &was.Files[i]
		e := entries[f.Filename]
		delete(entries, f.Filename)
		switch {
		case e == nil:
			v.leftOut(r, f, now, s, d.quarantined())
			continue
		case !listed(f):
			r.add("it lists %q, which no page does", f.Filename)
			continue
		case f.Announced:
			v.readArrived(&r.disagreement, at, d.json, e, f)
			r.pin(v.history.files[f.Filename], e)
		default:
			compareFile(&r.disagreement, at, d.json, e, f)
			if !isListed(now, f) {
				r.listed = append(r.listed, new(*f))
			}
		}
	}
	for name := range entries {
		r.add("it lists %q, which the history did not at serial %d", name, s.serial)
	}
	return r
}

// readArrived holds what a page says of a file that was announced then, and may have come
// since: but for the yank, which is that of then, the snapshot took what was known when it
// came.
func (v *verification) readArrived(wrong *disagreement, at string, json bool, e *entry, f *catalog.File) {
	var still disagreement
	if compareFile(&still, at, json, e, f); len(still.faults) == 0 {
		return
	}
	if v.history.known(wrong, at, e) && (e.yanked.Yanked != f.Yanked.Yanked || !same(f.Yanked.Reason, e.yanked.Reason)) {
		wrong.add("%s: its yank is %s on the page and was %s", f.Filename, yankText(e.yanked), yankText(f.Yanked))
	}
}

// leftOut looks at a file that a snapshot does not list. It may have been gone when that
// was made, and may not if it has stayed; what is forbidden leaves the site's own index too.
func (v *verification) leftOut(r *reading, f *catalog.File, now *catalog.Project, s snapshot, quarantined bool) {
	h := v.history
	switch {
	case !listed(f), f.Announced && !h.stayed(f.Filename, s.serial, h.serial), !h.stayed(f.Filename, s.serial, s.made):
	case isListed(now, f) && (quarantined || now.Status.State == catalog.Quarantined):
		// The status of the page says so, and is right or is told.
	case isListed(now, f):
		r.add("it does not list %q, which the history did at serial %d and does", f.Filename, s.serial)
	case !f.Announced:
		r.missing = append(r.missing, missing{h.files[f.Filename], fmt.Sprintf("the history lists it at serial %d", s.serial)})
	}
}

// isListed reports whether the index has a file at that place.
func isListed(p *catalog.Project, f *catalog.File) bool {
	return slices.ContainsFunc(p.Files, func(g catalog.File) bool { return g.Filename == f.Filename && g.Path == f.Path })
}

// quarantined reports whether the page says that the project is.
func (d *document) quarantined() bool { return d.status == string(catalog.Quarantined) }

// says reports whether the page gives a project that status.
func (d *document) says(s catalog.Status) bool {
	return d.status == stateText(s.State) && same(s.Reason, d.reason)
}
