// Package policy reads and edits the policy file, in which the people who keep
// an index say what differs from what its sources say: files that are yanked
// or not, versions that are blocked, what may come in although it is held, the
// status of projects, and notes. It decides about values it is handed and never touches the index.
package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"nestgen/catalog"
	"nestgen/internal/stricttoml"
	"nestgen/packaging"
)

// A Policy is what one policy file says. The zero Policy says nothing.
type Policy struct {
	digest   [sha256.Size]byte
	yanks    map[packaging.Name][]yank
	blocks   map[packaging.Name][]rule
	general  []generalBlock // those whose project is a pattern
	allows   map[packaging.Name][]allowRule
	statuses map[packaging.Name]catalog.Status
	notes    map[packaging.Name]string
}

// A rule covers files of a project.
type rule struct {
	entry
	versions packaging.Specifiers
	all      bool // neither versions nor file was given
}

// A generalBlock covers files of every project whose name begins so.
type generalBlock struct {
	rule
	prefix string // normalized, without the star; empty for every project
}

type yank struct {
	rule
	yanked bool // false for an unyank
}

// An allowRule lets in what is held.
type allowRule struct {
	rule
	expires lastDay
	where   string // the file and the line that it begins in
}

// file is the shape of the policy file.
type file struct {
	Yank   []entry  `toml:"yank"`
	Unyank []entry  `toml:"unyank"`
	Block  []entry  `toml:"block"`
	Allow  []allow  `toml:"allow"`
	Status []status `toml:"status"`
	Note   []note   `toml:"note"`
}

type entry struct {
	Project  string `toml:"project"`
	Versions string `toml:"versions"`
	File     string `toml:"file"`
	Reason   string `toml:"reason"`
	Date     date   `toml:"date"`
}

type allow struct {
	entry
	Expires lastDay `toml:"expires"`
}

type status struct {
	Project string `toml:"project"`
	Status  string `toml:"status"`
	Reason  string `toml:"reason"`
	Date    date   `toml:"date"`
}

type note struct {
	Project string `toml:"project"`
	Text    string `toml:"text"`
	Date    date   `toml:"date"`
}

// A date is written bare or in quotes.
type date struct{ time.Time }

func (d *date) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case time.Time:
		d.Time = v
		return nil
	case string:
		t, err := time.Parse(time.DateOnly, v)
		if err != nil {
			return fmt.Errorf("date %q: want the form 2026-01-31", v)
		}
		d.Time = t
		return nil
	}
	return fmt.Errorf("date %v: want the form 2026-01-31", v)
}

// A lastDay is a date, written bare or in quotes: midnight UTC.
type lastDay struct{ time.Time }

func (d *lastDay) UnmarshalTOML(v any) error {
	var given date
	if err := given.UnmarshalTOML(v); err != nil {
		return err
	}
	y, m, dd := given.Date()
	d.Time = time.Date(y, m, dd, 0, 0, 0, 0, time.UTC)
	if h, mi, s := given.Clock(); h+mi+s+given.Nanosecond() != 0 {
		return fmt.Errorf("date %v: want the form 2026-01-31, without a time of day", v)
	}
	return nil
}

// Read reads a policy file. A file that is not there is an empty policy. An
// error names the file and, where it can, the line; nothing of a faulty file
// is used, because half a policy may publish what the other half forbids.
func Read(path string) (*Policy, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Policy{}, nil
	}
	if err != nil {
		return nil, err
	}
	return parse(path, data)
}

func parse(path string, data []byte) (*Policy, error) {
	var f file
	if err := stricttoml.Decode(path, data, &f); err != nil {
		return nil, err
	}
	p := &Policy{
		digest:   sha256.Sum256(data),
		yanks:    map[packaging.Name][]yank{},
		blocks:   map[packaging.Name][]rule{},
		allows:   map[packaging.Name][]allowRule{},
		statuses: map[packaging.Name]catalog.Status{},
		notes:    map[packaging.Name]string{},
	}
	var faults []error
	fault := func(table string, i int, err error) {
		faults = append(faults, &stricttoml.Error{File: path, Line: tableLine(data, table, i), Text: "[[" + table + "]]: " + err.Error()})
	}
	for _, table := range []struct {
		name    string
		entries []entry
		yanked  bool
	}{{"yank", f.Yank, true}, {"unyank", f.Unyank, false}} {
		for i, e := range table.entries {
			n, err := packaging.ParseName(e.Project)
			r, ruleErr := e.rule()
			if err = cmp.Or(err, ruleErr); err != nil {
				fault(table.name, i, err)
				continue
			}
			p.yanks[n] = append(p.yanks[n], yank{r, table.yanked})
		}
	}
	for i, e := range f.Block {
		r, err := e.rule()
		n, prefix, open, nameErr := e.projects()
		if err = cmp.Or(nameErr, err); err == nil && e.Reason == "" {
			err = errors.New("a block needs a reason")
		}
		switch {
		case err != nil:
			fault("block", i, err)
		case open:
			p.general = append(p.general, generalBlock{r, prefix})
		default:
			p.blocks[n] = append(p.blocks[n], r)
		}
	}
	for i, a := range f.Allow {
		r, err := a.rule()
		n, nameErr := packaging.ParseName(a.Project)
		switch err = cmp.Or(nameErr, err); {
		case err != nil:
		case a.Reason == "":
			err = errors.New("an allow needs a reason")
		case a.Expires.IsZero():
			err = errors.New("an allow needs the last day that it is for: expires = 2026-01-31")
		}
		if err != nil {
			fault("allow", i, err)
			continue
		}
		p.allows[n] = append(p.allows[n], allowRule{r, a.Expires, fmt.Sprintf("%s:%d", path, tableLine(data, "allow", i))})
	}
	for i, s := range f.Status {
		n, err := packaging.ParseName(s.Project)
		state, ok := states[s.Status]
		if err == nil && !ok {
			err = fmt.Errorf("status %q: want active, archived, deprecated or quarantined", s.Status)
		}
		if err != nil {
			fault("status", i, err)
			continue
		}
		p.statuses[n] = catalog.Status{State: state, Reason: s.Reason}
	}
	for i, s := range f.Note {
		n, err := packaging.ParseName(s.Project)
		if err != nil {
			fault("note", i, err)
			continue
		}
		p.notes[n] = s.Text
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return p, nil
}

var states = map[string]catalog.State{
	"active":      catalog.Active,
	"archived":    catalog.Archived,
	"deprecated":  catalog.Deprecated,
	"quarantined": catalog.Quarantined,
}

func (e entry) rule() (r rule, err error) {
	if e.Versions != "" && e.File != "" {
		return rule{}, errors.New("give versions or file, not both")
	}
	r = rule{entry: e, all: e.Versions == "" && e.File == ""}
	if e.Versions != "" {
		r.versions, err = packaging.ParseSpecifiers(e.Versions)
	}
	return r, err
}

// projects gives the project that an entry is about; or, if it is the beginning of
// a name with a star behind it, or a star alone, that beginning, normalized.
func (e entry) projects() (n packaging.Name, prefix string, open bool, err error) {
	text, open := strings.CutSuffix(e.Project, "*")
	switch {
	case !open:
		n, err = packaging.ParseName(e.Project)
	case text == "":
	case !packaging.ValidName(strings.TrimRight(text, "-_.")):
		err = fmt.Errorf("project %q: want a name, the beginning of one with a star at the end, or a star", e.Project)
	default:
		// The dash at the end stays one only if something follows it.
		prefix = strings.TrimSuffix(string(packaging.NormalizeName(text+"x")), "x")
	}
	return n, prefix, open, err
}

// covers reports whether a rule is about a file.
func (r rule) covers(filename, version string) bool {
	switch {
	case r.all:
		return true
	case r.File != "":
		return r.File == filename
	}
	return r.versions.MatchesString(version, packaging.AllowPrereleases)
}

// Blocked says whether a file must not be listed, and why. Entries for the
// project itself go before those for many.
func (p *Policy) Blocked(n packaging.Name, filename, version string) (reason string, blocked bool) {
	r, blocked := p.blockOf(n, filename, version)
	return r.Reason, blocked
}

// Block gives the entry that blocks a file as it is written in the policy, in one
// line without its reason; empty if none does.
func (p *Policy) Block(n packaging.Name, filename, version string) string {
	r, blocked := p.blockOf(n, filename, version)
	if !blocked {
		return ""
	}
	text := "[[block]] project = " + quote(r.Project)
	if r.Versions != "" {
		text += ", versions = " + quote(r.Versions)
	}
	if r.File != "" {
		text += ", file = " + quote(r.File)
	}
	return text
}

func (p *Policy) blockOf(n packaging.Name, filename, version string) (r rule, blocked bool) {
	for _, r := range p.blocks[n] {
		if r.covers(filename, version) {
			return r, true
		}
	}
	for i := range p.general {
		if g := &p.general[i]; strings.HasPrefix(string(n), g.prefix) && g.covers(filename, version) {
			return g.rule, true
		}
	}
	return rule{}, false
}

// An Allowance is what an entry says that lets something in which is held.
type Allowance struct {
	Reason string

	// Expires is the last day that the entry is for, at midnight UTC.
	Expires time.Time
}

// Allowed says whether a file may come in at a time although something holds it,
// and why. With neither a file name nor a version the question is about the whole
// project. It lifts no block and no quarantine.
func (p *Policy) Allowed(n packaging.Name, filename, version string, now time.Time) (Allowance, bool) {
	for _, a := range p.allows[n] {
		if !a.expired(now) && (a.all || filename != "" && a.covers(filename, version)) {
			return Allowance{a.Reason, a.expires.Time}, true
		}
	}
	return Allowance{}, false
}

// expired reports whether the last day of an entry is over.
func (a *allowRule) expired(now time.Time) bool { return !now.Before(a.expires.AddDate(0, 0, 1)) }

// An Expired is an entry that lets nothing in any more.
type Expired struct {
	// Position is the file and the line of the entry.
	Position string
	Project  packaging.Name
	Expires  time.Time
}

// Expired gives the entries that let in what is held, and have ended, by project.
func (p *Policy) Expired(now time.Time) []Expired {
	var over []Expired
	for _, n := range slices.Sorted(maps.Keys(p.allows)) {
		for _, a := range p.allows[n] {
			if a.expired(now) {
				over = append(over, Expired{a.where, n, a.expires.Time})
			}
		}
	}
	return over
}

// Yank gives a file's yank, which is the source's own unless a rule says
// otherwise. The last rule that covers the file decides, and an unyank written
// anywhere wins over a yank written for the same files.
func (p *Policy) Yank(n packaging.Name, filename, version string, source catalog.Yank) catalog.Yank {
	y := source
	for _, r := range p.yanks[n] {
		if r.covers(filename, version) {
			y = catalog.Yank{Yanked: r.yanked}
			if r.yanked {
				y.Reason = r.Reason
			}
		}
	}
	return y
}

// Status gives a project's status, which is the source's own unless the policy
// sets one. A quarantine ends with an entry that says "active" only: one that
// calls the project old was not written to list what the source thinks is
// malware.
func (p *Policy) Status(n packaging.Name, source catalog.Status) catalog.Status {
	s, ok := p.statuses[n]
	if !ok || source.State == catalog.Quarantined && s.State != catalog.Active && s.State != catalog.Quarantined {
		return source
	}
	return s
}

// Note gives the note for people on a project; empty for none.
func (p *Policy) Note(n packaging.Name) string { return p.notes[n] }

// Written reports whether there is a policy file, even an empty one.
func (p *Policy) Written() bool { return p.digest != [sha256.Size]byte{} }

// Digest names the policy by its text: the same digest, the same policy.
func (p *Policy) Digest() string { return hex.EncodeToString(p.digest[:]) }

// SaysNothing reports whether there is no entry in the policy.
func (p *Policy) SaysNothing() bool {
	return len(p.yanks)+len(p.blocks)+len(p.general)+len(p.statuses)+len(p.notes) == 0
}

// BlocksMany reports whether there is a block for many projects, which names none.
func (p *Policy) BlocksMany() bool { return len(p.general) > 0 }

// Projects gives every project that the policy names, sorted. A block for many
// projects names none.
func (p *Policy) Projects() []packaging.Name {
	set := map[packaging.Name]bool{}
	for n := range p.yanks {
		set[n] = true
	}
	for n := range p.blocks {
		set[n] = true
	}
	for n := range p.allows {
		set[n] = true
	}
	for n := range p.statuses {
		set[n] = true
	}
	for n := range p.notes {
		set[n] = true
	}
	names := make([]packaging.Name, 0, len(set))
	for n := range set {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
