package advisory

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"nestgen/packaging"
)

// A Record is what one advisory says of one project. It is a plain value: what an
// advisory says besides, and the projects of other ecosystems, are left behind.
type Record struct {
	// ID is the advisory's own, as "PYSEC-2024-1", in the characters of an
	// identifier. Aliases are the IDs by which others know the same fault, sorted.
	ID      string
	Aliases []string

	// Summary is a line for people, of at most 300 characters; empty if the
	// advisory has none.
	Summary string

	Severity Severity

	// A version is affected if it lies in one of the Ranges or is one of the
	// Versions. Those that a range has are left out of Versions.
	Ranges   []Range
	Versions []string
}

// A Range is what happened to a line of versions, in the order of PEP 440.
type Range []Event

// An Event is one turn of a Range. Version follows PEP 440, but for the "0" of
// Introduced, which comes before every version, and the "*" of Limit, which none
// reaches.
type Event struct {
	Kind    EventKind
	Version string
}

// An EventKind says what happens at the version of an [Event].
type EventKind uint8

// The kinds of events (OSV schema, affected[].ranges[].events).
const (
	Introduced   EventKind = iota + 1 // the fault is there from this version on
	Fixed                             // it is gone from this version on
	LastAffected                      // it is gone after this version
	Limit                             // nothing is said of versions from here on
)

// malwarePrefix begins the ID of a record about a project or a release that was
// made to do harm (the OpenSSF database of malicious packages).
const malwarePrefix = "MAL-"

// Malware reports whether the record is about something that was made to do harm,
// not about a mistake.
func (r *Record) Malware() bool { return strings.HasPrefix(r.ID, malwarePrefix) }

// URL gives the address at which people read about an advisory.
func URL(id string) string { return "https://osv.dev/vulnerability/" + url.PathEscape(id) }

// ValidID reports whether an ID may stand for an advisory: letters, digits, '-',
// '_', '.' and ':', at most 100, so that it is itself in an address and a name of a
// file.
func ValidID(id string) bool {
	if id == "" || len(id) > 100 || id[0] == '.' {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}

// A Finding is a record that affects a version.
type Finding struct {
	*Record

	// Fixed is the smallest version above the affected one that the record calls
	// fixed and that it does not affect again; empty if it names none.
	Fixed string

	// Also are the IDs of other findings about the same fault, sorted: see [Merge].
	Also []string
}

// A Set is the records of one project, ready to be asked. It may be used by several
// goroutines. The nil Set has no records.
type Set struct {
	records []keyed
}

// A keyed is a record with its versions as they are compared.
type keyed struct {
	*Record
	ranges   [][]keyedEvent
	versions map[string]bool // by key, and by text for those that are none of PEP 440
	fixed    []keyedVersion  // smallest first
}

type keyedEvent struct {
	kind EventKind
	key  packaging.VersionKey
	ever bool // before every version, or behind it
}

type keyedVersion struct {
	key  packaging.VersionKey
	text string
}

// NewSet makes a set of records, which must not change while it is used.
func NewSet(records []Record) *Set {
	if len(records) == 0 {
		return nil
	}
	s := &Set{records: make([]keyed, len(records))}
	for i := range records {
		r := &records[i]
		k := keyed{Record: r, versions: make(map[string]bool, len(r.Versions))}
		for _, v := range r.Versions {
			k.versions[listKey(v)] = true
		}
		for _, events := range r.Ranges {
			turns := make([]keyedEvent, 0, len(events))
			for _, e := range events {
				t := keyedEvent{kind: e.Kind, key: packaging.VersionKeyOf(e.Version)}
				t.ever = e.Kind == Introduced && e.Version == "0" || e.Kind == Limit && e.Version == "*"
				turns = append(turns, t)
				if e.Kind == Fixed {
					k.fixed = append(k.fixed, keyedVersion{t.key, e.Version})
				}
			}
			// What happens at the same version happens as it is written.
			slices.SortStableFunc(turns, func(a, b keyedEvent) int {
				if a.ever || b.ever {
					return cmp.Compare(rank(a), rank(b))
				}
				return cmp.Compare(a.key, b.key)
			})
			k.ranges = append(k.ranges, turns)
		}
		slices.SortFunc(k.fixed, func(a, b keyedVersion) int { return cmp.Compare(a.key, b.key) })
		s.records[i] = k
	}
	return s
}

// rank puts what comes before every version first, and what no version reaches last.
func rank(e keyedEvent) int {
	switch {
	case !e.ever:
		return 0
	case e.kind == Introduced:
		return -1
	}
	return 1
}

// listKey is by what a version is found in a list: "1.0" is in one that has "1.0.0".
// What does not follow PEP 440 is in one that has just this text.
func listKey(version string) string {
	if !packaging.ValidVersion(version) {
		return " " + version
	}
	return string(packaging.VersionKeyOf(version))
}

// Find gives the records that affect a version, the worst first. One that does not
// follow PEP 440 lies in no range.
func (s *Set) Find(version string) []Finding {
	if s == nil {
		return nil
	}
	ordered := packaging.ValidVersion(version)
	key := packaging.VersionKeyOf(version)
	var found []Finding
	for i := range s.records {
		r := &s.records[i]
		if !r.versions[listKey(version)] && !(ordered && r.within(key)) {
			continue
		}
		f := Finding{Record: r.Record}
		if ordered {
			f.Fixed = r.fixAbove(key)
		}
		found = append(found, f)
	}
	slices.SortFunc(found, worse)
	return found
}

// Malware gives the first record that calls a version malware, or nil.
func (s *Set) Malware(version string) *Record {
	for _, f := range s.Find(version) {
		if f.Malware() {
			return f.Record
		}
	}
	return nil
}

// within says whether a version lies in one of the ranges, by the algorithm of the
// OSV schema ("Evaluation").
func (r *keyed) within(v packaging.VersionKey) bool {
	for _, events := range r.ranges {
		if !beforeLimits(v, events) {
			continue
		}
		affected := false
		for _, e := range events {
			switch {
			case e.kind == Introduced && (e.ever || v >= e.key):
				affected = true
			case e.kind == Fixed && v >= e.key, e.kind == LastAffected && v > e.key:
				affected = false
			}
		}
		if affected {
			return true
		}
	}
	return false
}

func beforeLimits(v packaging.VersionKey, events []keyedEvent) bool {
	limited := false
	for _, e := range events {
		if e.kind != Limit {
			continue
		}
		if e.ever || v < e.key {
			return true
		}
		limited = true
	}
	return !limited
}

// fixAbove gives the smallest fixed version above one that is not affected itself,
// as the fix of another line may be.
func (r *keyed) fixAbove(v packaging.VersionKey) string {
	for _, f := range r.fixed {
		if f.key > v && !r.versions[string(f.key)] && !r.within(f.key) {
			return f.text
		}
	}
	return ""
}

// FixedVersions gives every version that the record calls fixed, smallest first,
// each once.
func (r *Record) FixedVersions() []string {
	var all []string
	for _, events := range r.Ranges {
		for _, e := range events {
			if e.Kind == Fixed {
				all = append(all, e.Version)
			}
		}
	}
	slices.SortStableFunc(all, packaging.CompareVersionStrings)
	return slices.CompactFunc(all, func(a, b string) bool { return packaging.CompareVersionStrings(a, b) == 0 })
}

// worse orders findings: malware first, then by severity, the rest by ID, the newest
// year last in the alphabet first.
func worse(a, b Finding) int {
	if a.Malware() != b.Malware() {
		if a.Malware() {
			return -1
		}
		return 1
	}
	return cmp.Or(b.Severity.compare(a.Severity), strings.Compare(b.ID, a.ID))
}

// Merge makes one of findings about the same fault, which name each other or a
// common alias: the first of them, with a fixed version if any of them has one, the
// highest severity and the first summary that there is. The order stays.
func Merge(found []Finding) []Finding {
	var merged []Finding
	at := map[string]int{} // in merged, by every ID
	for _, f := range found {
		ids := append([]string{f.ID}, f.Aliases...)
		i := -1
		if !f.Malware() {
			for _, id := range ids {
				if k, ok := at[id]; ok && !merged[k].Malware() {
					i = k
					break
				}
			}
		}
		if i < 0 {
			i = len(merged)
			merged = append(merged, f)
		} else {
			merged[i] = join(merged[i], f)
		}
		for _, id := range ids {
			if _, ok := at[id]; !ok {
				at[id] = i
			}
		}
	}
	return merged
}

func join(f, g Finding) Finding {
	if f.Fixed == "" {
		f.Fixed = g.Fixed
	}
	f.Also = append(slices.Clone(f.Also), g.ID)
	slices.Sort(f.Also)
	r := *f.Record
	if r.Summary == "" {
		r.Summary = g.Summary
	}
	if r.Severity.compare(g.Severity) < 0 {
		r.Severity = g.Severity
	}
	r.Aliases = slices.Clone(r.Aliases)
	for _, a := range g.Aliases {
		if a != r.ID && !slices.Contains(r.Aliases, a) {
			r.Aliases = append(r.Aliases, a)
		}
	}
	slices.Sort(r.Aliases)
	f.Record = &r
	return f
}
