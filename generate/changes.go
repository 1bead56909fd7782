package generate

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/templates"
)

// ChangesOf says of what there are pages that tell what changed.
type ChangesOf uint8

// What there are pages of changes of.
const (
	NoChanges      ChangesOf = iota
	SiteChanges              // of the site: layout.ChangesHTML and its feeds
	ProjectChanges           // of the site, and of each project
)

// The page for people of the site shows the newest ChangesLimit changes; that of a
// project, and the feeds, show the newest feedLimit.
const (
	ChangesLimit = 200
	feedLimit    = 100
)

// A change shows so many lines, and of each line so many versions and files.
const (
	lineLimit    = 20
	versionLimit = 5
	fileLimit    = 10
)

// A Change is what happened to a project at one moment: its events of one
// transaction, which have the time and stand beside each other in the history.
type Change struct {
	// First and Last are the serials of its first and its last event.
	First, Last int64

	// Time is in microseconds since 1970 UTC.
	Time int64

	// Project is empty for what is about the whole index.
	Project packaging.Name

	// Lines say what happened, the first first. They are never none.
	Lines []ChangeLine

	id     string
	events []catalog.Event // the first fileLimit
}

// A ChangeLine is what happened to some files, or to the project. Texts are as the
// catalog has them: whoever shows them makes them harmless.
type ChangeLine struct {
	Verb catalog.Verb

	// Text says it without the reason, as "2.32.3 added (2 files)", and Reason why,
	// if that is anybody's business.
	Text   string
	Reason string

	// Files are the names of the files, the first fileLimit, and More how many
	// there are besides.
	Files []string
	More  int

	bare string // Text without what it was done to
}

// String gives the text with the reason, on one line.
func (l ChangeLine) String() string {
	if l.Reason == "" {
		return l.Text
	}
	return l.Text + ": " + oneLine(l.Reason)
}

// A Tone is how a line is meant: what comes in, what should be looked at, and what
// goes.
type Tone string

// The tones, by which pages and terminals colour a line. Calm is the zero Tone.
const (
	Calm Tone = ""
	Good Tone = "good"
	Warn Tone = "warn"
	Bad  Tone = "bad"
)

// Tone gives the tone of a line.
func (l ChangeLine) Tone() Tone {
	switch l.Verb {
	case catalog.Add, catalog.Restore, catalog.Arrive, catalog.Unyank, catalog.Promotion:
		return Good
	case catalog.Yanking, catalog.Rotation, catalog.Rollback:
		return Warn
	case catalog.Withdraw, catalog.Demotion:
		return Bad
	case catalog.Mark:
		switch state, _, _ := strings.Cut(strings.TrimPrefix(l.Text, statusWord), ":"); catalog.State(state) {
		case catalog.Archived, catalog.Deprecated:
			return Warn
		case catalog.Quarantined:
			return Bad
		}
	}
	return Calm
}

// GroupChanges makes changes of events, which come by serial, up or down; the
// changes come in the same order. It reads to the end of a change before it gives
// it, and holds no more than one.
func GroupChanges(events iter.Seq2[catalog.Event, error]) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		var run []catalog.Event
		for e, err := range events {
			if err != nil {
				yield(Change{}, err)
				return
			}
			if len(run) > 0 && (run[0].Project != e.Project || run[0].Time != e.Time) {
				if !yield(changeOf(run), nil) {
					return
				}
				run = run[:0]
			}
			run = append(run, e)
		}
		if len(run) > 0 {
			yield(changeOf(run), nil)
		}
	}
}

// changeOf makes a change of its events, and sorts them by serial.
func changeOf(events []catalog.Event) Change {
	slices.SortFunc(events, func(a, b catalog.Event) int { return cmp.Compare(a.Serial, b.Serial) })
	first := &events[0]
	c := Change{
		First: first.Serial, Last: events[len(events)-1].Serial, Time: first.Time, Project: first.Project,
		id: changeID(first), events: slices.Clone(events[:min(len(events), fileLimit)]),
	}
	type key struct {
		verb         catalog.Verb
		word, reason string
	}
	var keys []key
	of := map[key][]*catalog.Event{}
	for i := range events {
		e := &events[i]
		word, reason := wording(e)
		k := key{e.Verb, word, reason}
		if e.Verb == catalog.RelinkMore {
			k.verb = catalog.Relink
		}
		if of[k] == nil {
			keys = append(keys, k)
		}
		of[k] = append(of[k], e)
	}
	for i, k := range keys {
		if i == lineLimit {
			c.Lines = append(c.Lines, ChangeLine{Text: "and " + countText(len(keys)-i) + " more changes"})
			break
		}
		c.Lines = append(c.Lines, lineOf(k.verb, k.word, k.reason, of[k]))
	}
	return c
}

// statusWord stands before what a status has become.
const statusWord = "status is "

// words is what verbs are to people, behind what they were done to.
var words = map[catalog.Verb]string{
	catalog.Add:        "added",
	catalog.Restore:    "restored",
	catalog.Arrive:     "fetched",
	catalog.Change:     "changed",
	catalog.Withdraw:   "withdrawn",
	catalog.Yanking:    "yanked",
	catalog.Unyank:     "no longer yanked",
	catalog.Relink:     "development links changed",
	catalog.RelinkMore: "development links changed",
	catalog.Expire:     "let go until somebody asks for it",
	catalog.Known:      "known when the history came to be kept whole",
	catalog.Rotation:   "the site has another key",
	catalog.Snapshot:   "snapshot made",
	catalog.Drop:       "snapshot dropped",
	catalog.Rollback:   "brought back to",
	catalog.Resume:     "no longer held back at",
	catalog.Import:     "a bundle came in",
}

// wording gives the word for an event, empty for a verb that has none, and its reason if
// that belongs on a page. Why a file came in is the business of those who keep the index,
// and so is who promotes.
func wording(e *catalog.Event) (word, reason string) {
	switch e.Verb {
	case catalog.Add, catalog.Restore, catalog.Arrive, catalog.Change, catalog.Relink, catalog.RelinkMore:
		return words[e.Verb], ""
	case catalog.Mark:
		if name, ok := strings.CutPrefix(e.Reason, "name written "); ok {
			return "name is written " + name, ""
		}
		state, why, _ := strings.Cut(e.Reason, ": ")
		return statusWord + state, why
	case catalog.Snapshot, catalog.Drop:
		s, ok := e.Named()
		if !ok {
			return words[e.Verb], e.Reason
		}
		return fmt.Sprintf("snapshot %s of serial %d %s", s.Tag, s.Serial, strings.TrimPrefix(words[e.Verb], "snapshot ")), s.Note
	case catalog.Rollback, catalog.Resume:
		return words[e.Verb] + " " + stateWord(e.Reason), ""
	case catalog.Import:
		tag, what, ok := strings.Cut(e.Reason, ": ")
		serials, bundle, whole := strings.Cut(what, ", bundle ")
		if !ok || !whole {
			return words[e.Verb], e.Reason
		}
		return fmt.Sprintf("bundle %.12s came in", bundle), serials + " under the tag " + tag
	case catalog.Promotion:
		way, why, _ := strings.Cut(e.Reason, ": ")
		if _, to, ok := strings.Cut(way, " > "); ok {
			return "promoted to " + to, why
		}
		return "promoted", e.Reason
	case catalog.Demotion:
		to, why, _ := strings.Cut(e.Reason, ": ")
		return strings.TrimSuffix("no longer promoted to "+to, " to "), why
	}
	return words[e.Verb], e.Reason
}

// stateWord names a state of the index: a serial, or a snapshot with its serial.
func stateWord(of string) string {
	if tag, serial, ok := strings.Cut(of, " serial "); ok {
		return "the snapshot " + tag + ", serial " + serial
	}
	return cmp.Or(of, "an older state")
}

// lineOf makes a line of events that are worded alike. A verb that has no word, as
// one that came later, stands for itself before what it was done to.
func lineOf(verb catalog.Verb, word, reason string, events []*catalog.Event) ChangeLine {
	l := ChangeLine{Verb: verb, Reason: reason, bare: cmp.Or(word, string(verb))}
	var versions []string
	for _, e := range events {
		if e.Filename == "" {
			continue
		}
		versions = append(versions, versionOf(e))
		if len(l.Files) < fileLimit {
			l.Files = append(l.Files, e.Filename)
		} else {
			l.More++
		}
	}
	what := versionsText(versions)
	if word == "" {
		l.Text = strings.TrimSpace(string(verb) + " " + what)
	} else {
		l.Text = strings.TrimSpace(what + " " + word)
	}
	if n := len(l.Files) + l.More; n > 1 {
		l.Text += " (" + filesText(n) + ")"
	}
	return l
}

// versionOf gives the version of the file that an event is about, or the name of a
// file whose name says none.
func versionOf(e *catalog.Event) string {
	if f, err := packaging.ParseFilename(e.Filename, e.Project); err == nil && f.Version != "" {
		return f.Version
	}
	return e.Filename
}

// versionsText names versions, the newest first, each once, and not more than a few.
func versionsText(versions []string) string {
	type keyed struct {
		key     packaging.VersionKey
		version string
	}
	var all []keyed
	seen := map[string]bool{}
	for _, v := range versions {
		if !seen[v] {
			seen[v] = true
			all = append(all, keyed{packaging.VersionKeyOf(v), v})
		}
	}
	slices.SortFunc(all, func(a, b keyed) int {
		return cmp.Or(cmp.Compare(b.key, a.key), strings.Compare(a.version, b.version))
	})
	var names []string
	for _, v := range all[:min(len(all), versionLimit)] {
		names = append(names, v.version)
	}
	text := strings.Join(names, ", ")
	switch more := len(all) - versionLimit; {
	case more == 1:
		text += " and 1 more version"
	case more > 1:
		text += " and " + countText(more) + " more versions"
	}
	return text
}

// oneLine gives a text with its white space as single spaces.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// changeID names a change for ever, and wherever the site moves: by its first event,
// which is never altered. It is a UUID of version 8 (RFC 9562) out of a SHA-256.
func changeID(e *catalog.Event) string {
	return uuid(fmt.Sprintf("nestgen change\n%d\n%d\n%s\n%s\n%s\n%s\n", e.Serial, e.Time, e.Verb, e.Project, e.Filename, e.SHA256))
}

// uuid gives a URN for a text (RFC 9562, section 5.8).
func uuid(of string) string {
	u := sha256.Sum256([]byte(of))
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	x := hex.EncodeToString(u[:16])
	return "urn:uuid:" + x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// A History is what pages of changes are made of.
type History struct {
	// Origin is the first event of the site, by which its feeds are named for ever;
	// the zero Event if there is none.
	Origin catalog.Event

	// Changes are the newest, the latest first: [ChangesLimit] of the site or of a
	// project are enough.
	Changes []Change

	// States are those of the projects that have pages. Of one that is quarantined
	// no file is named (PEP 792).
	States map[packaging.Name]catalog.State
}

// listed reports whether a project has pages.
func (h *History) listed(n packaging.Name) bool {
	_, ok := h.States[n]
	return ok
}

// visible gives the changes as pages may show them, so many at most.
func (h *History) visible(limit int) []Change {
	changes := slices.Clone(h.Changes[:min(len(h.Changes), limit)])
	for i := range changes {
		if c := &changes[i]; h.States[c.Project] == catalog.Quarantined {
			*c = c.withoutFiles()
		}
	}
	return changes
}

// withoutFiles gives a change that names no file and no version.
func (c Change) withoutFiles() Change {
	c.Lines, c.events = slices.Clone(c.Lines), slices.Clone(c.events)
	for i := range c.Lines {
		if l := &c.Lines[i]; l.bare != "" {
			*l = ChangeLine{Verb: l.Verb, Text: l.bare, Reason: l.Reason}
		}
	}
	for i := range c.events {
		c.events[i].Filename, c.events[i].SHA256 = "", catalog.Digest{}
	}
	return c
}

// A ChangesPage is what the template of a page of changes is executed with: that of
// the site, or that of a project.
type ChangesPage struct {
	*Shared

	// Project and Display name the project, and are empty for the site.
	Project packaging.Name
	Display string

	// Days are those on which something changed, in UTC, the latest first.
	Days []ChangesDay
}

// A ChangesDay is what changed on a day, the latest first.
type ChangesDay struct {
	Date    string
	Changes []ChangeEntry
}

// A ChangeEntry is a change for people.
type ChangeEntry struct {
	// ID is that of its element, by which feeds lead to it.
	ID string

	// Project is empty for what is about the whole index, and Link leads to its
	// page; it is empty if it has none.
	Project packaging.Name
	Link    string

	// Time is the time of day, and Moment the same with the day for programs.
	Time, Moment string

	Lines []ChangeEntryLine
}

// A ChangeEntryLine is a line of a change for people. More says how many files are
// not named, or is empty.
type ChangeEntryLine struct {
	Text, Reason string
	Tone         Tone
	Files        []string
	More         string
}

// ChangesPages makes the page of what changed in the site, and its feeds. Equal
// histories make the same bytes whenever they are made. The page for people is made
// with People only.
func (s *Site) ChangesPages(h History, sink Sink) error {
	if s.Changes == NoChanges {
		return nil
	}
	return s.changesPages(new(scratch), nil, h, ChangesLimit, sink)
}

// ProjectChangesPages is [Site.ChangesPages] for one project, which must have pages.
func (s *Site) ProjectChangesPages(p *catalog.Project, h History, sink Sink) error {
	if s.Changes != ProjectChanges || !HasPages(p) {
		return nil
	}
	sc := scratches.Get().(*scratch)
	defer scratches.Put(sc)
	return s.changesPages(sc, p, h, feedLimit, sink)
}

// ChangesPaths gives the paths that [Site.ChangesPages] makes, in its order.
func (s *Site) ChangesPaths() []string {
	switch {
	case s.Changes == NoChanges:
		return nil
	case !s.People:
		return []string{layout.ChangesAtom, layout.ChangesJSON}
	}
	return []string{layout.ChangesAtom, layout.ChangesJSON, layout.ChangesHTML}
}

func (s *Site) changesPages(sc *scratch, p *catalog.Project, h History, limit int, sink Sink) error {
	f := s.newFeed(p, h)
	atom, items, page := layout.ChangesAtom, layout.ChangesJSON, layout.ChangesHTML
	if p != nil {
		atom, items, page = layout.ProjectChangesAtom(p.Name), layout.ProjectChangesJSON(p.Name), layout.ProjectChangesHTML(p.Name)
	}
	put := func(path string, page []byte) error {
		sc.page = page[:0] // keep what it grew to
		return sink.Put(path, page)
	}
	if err := put(atom, f.appendAtom(sc.page)); err != nil {
		return err
	}
	if err := put(items, f.appendJSON(sc.page)); err != nil || !s.People {
		return err
	}
	html, err := s.changesHTML(sc.page, &sc.parts, page, p, h, limit)
	if err != nil {
		return err
	}
	return put(page, html)
}

// changesHTML appends the page for people.
func (s *Site) changesHTML(b []byte, c *parts, page string, p *catalog.Project, h History, limit int) ([]byte, error) {
	shared, err := s.shared(c, page)
	if err != nil {
		return nil, err
	}
	v := &ChangesPage{Shared: shared}
	if p != nil {
		v.Project, v.Display = p.Name, display(p)
	}
	for _, change := range h.visible(limit) {
		t := time.UnixMicro(moment(change.Time)).UTC()
		date := t.Format(time.DateOnly)
		if n := len(v.Days); n == 0 || v.Days[n-1].Date != date {
			v.Days = append(v.Days, ChangesDay{Date: date})
		}
		e := ChangeEntry{
			ID: "e" + strconv.FormatInt(change.First, 10), Project: packaging.Name(clean(string(change.Project))),
			Time: t.Format("15:04"), Moment: string(appendTime(nil, moment(change.Time))),
		}
		if h.listed(change.Project) {
			e.Link = s.changeLink(v.Frame, &change)
		}
		for _, l := range change.Lines {
			line := ChangeEntryLine{Text: clean(l.Text), Reason: clean(l.Reason), Tone: l.Tone()}
			for _, name := range l.Files {
				line.Files = append(line.Files, clean(name))
			}
			if l.More > 0 {
				line.More = countText(l.More)
			}
			e.Lines = append(e.Lines, line)
		}
		d := &v.Days[len(v.Days)-1]
		d.Changes = append(d.Changes, e)
	}
	w := bytes.NewBuffer(b)
	err = s.templates().Execute(w, templates.Changes, v)
	return w.Bytes(), err
}

// changeLink leads from the page of the site to the project of a change: to its own
// page of changes, where it has one.
func (s *Site) changeLink(f Frame, c *Change) string {
	if s.Changes == ProjectChanges {
		return f.Index + layout.Changes + "/" + string(c.Project) + "/#e" + strconv.FormatInt(c.First, 10)
	}
	return f.Index + f.ProjectFolder + "/" + string(c.Project) + "/"
}

// moment gives a time that can be written: events carry whatever the clock said.
func moment(micro int64) int64 { return min(max(micro, 0), maxTime) }
