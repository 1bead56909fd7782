package advisory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"nestgen/internal/strictjson"
	"nestgen/internal/tame"
	"nestgen/packaging"
)

// Limits on what one advisory may hold.
const (
	maxRecord   = 8 << 20 // bytes of its JSON
	maxAffected = 10_000
	maxRanges   = 1_000
	maxEvents   = 10_000
	maxVersions = 100_000
	maxAliases  = 1_000
	maxSummary  = 300 // characters that are kept
)

// The keys that are looked at.
var (
	recordKeys   = []string{"id", "withdrawn", "aliases", "summary", "details", "severity", "affected", "database_specific"}
	severityKeys = []string{"type", "score"}
	specificKeys = []string{"severity"}
	affectedKeys = []string{"package", "ranges", "versions", "severity", "database_specific"}
	packageKeys  = []string{"ecosystem", "name"}
	rangeKeys    = []string{"type", "events"}
	eventKeys    = []string{"introduced", "fixed", "last_affected", "limit"}
)

// A Parsed is what an advisory says of projects.
type Parsed struct {
	ID string

	// Withdrawn says that the advisory does not count any more; then it has no
	// Records.
	Withdrawn bool

	// Records is what it says, by project. It is empty for an advisory about
	// other ecosystems.
	Records map[packaging.Name]Record
}

// Parse reads one advisory in JSON (OSV schema). Nothing of data is kept. A record of
// another form is an error, as is one with a key twice. Of ranges only those of the
// types ECOSYSTEM and SEMVER count, both in the order of PEP 440; one with an event
// whose version does not follow that is left out, as its versions are listed as well.
func Parse(data []byte) (Parsed, error) {
	if len(data) > maxRecord {
		return Parsed{}, fmt.Errorf("%d bytes, more than the %d that an advisory may have", len(data), maxRecord)
	}
	p := parser{Scanner: strictjson.New(data), keep: map[packaging.Name]*gathered{}}
	if err := p.record(); err != nil {
		return Parsed{}, err
	}
	if err := p.End(); err != nil {
		return Parsed{}, err
	}
	return p.finish()
}

// A parser is an advisory while it is read.
type parser struct {
	*strictjson.Scanner
	id, summary, details string
	withdrawn            bool
	aliases              []string
	severity             Severity
	keep                 map[packaging.Name]*gathered
	counts               struct{ affected, ranges, events, versions int }
}

// A gathered is what is said of one project.
type gathered struct {
	ranges   []Range
	versions []string
	severity Severity
	lost     bool // a range could not be understood
}

func (p *parser) record() error {
	return p.Object(recordKeys, func(key int) error {
		switch key {
		case 0:
			return p.string(&p.id)
		case 1:
			return p.unlessNull(func() error {
				var t string
				err := p.string(&t)
				p.withdrawn = t != ""
				return err
			})
		case 2:
			return p.unlessNull(func() error { return p.strings(&p.aliases, maxAliases, "aliases") })
		case 3:
			return p.unlessNull(func() error { return p.line(&p.summary) })
		case 4:
			return p.unlessNull(func() error { return p.line(&p.details) })
		case 5:
			return p.unlessNull(func() error { return p.severities(&p.severity) })
		case 6:
			return p.unlessNull(func() error { return p.Array(p.affected) })
		case 7:
			return p.unlessNull(func() error { return p.specific(&p.severity) })
		}
		return p.Skip()
	})
}

// unlessNull reads a value that may be null, as if it were not there.
func (p *parser) unlessNull(read func() error) error {
	if p.Peek() != 'n' {
		return read()
	}
	_, err := p.Word()
	return err
}

func (p *parser) string(into *string) error {
	t, err := p.Text()
	*into = string(t)
	return err
}

func (p *parser) strings(into *[]string, limit int, what string) error {
	return p.Array(func() error {
		if len(*into) == limit {
			return fmt.Errorf("more than %d %s", limit, what)
		}
		t, err := p.Text()
		if err == nil {
			*into = append(*into, string(t))
		}
		return err
	})
}

// line reads text for people as one short line: its first one that says something.
func (p *parser) line(into *string) error {
	t, err := p.Text()
	if err != nil {
		return err
	}
	for l := range strings.Lines(string(t[:min(len(t), 64<<10)])) {
		if l = strings.Trim(l, "# \t\r\n"); l == "" {
			continue
		}
		l = strings.Join(strings.Fields(tame.Text(strings.ToValidUTF8(l, ""))), " ")
		if utf8.RuneCountInString(l) > maxSummary {
			l = string([]rune(l)[:maxSummary-1]) + "…"
		}
		*into = l
		return nil
	}
	return nil
}

// severities takes the score that can be worked out, if there is one.
func (p *parser) severities(into *Severity) error {
	return p.Array(func() error {
		var kind, score string
		err := p.Object(severityKeys, func(key int) error {
			switch key {
			case 0:
				return p.string(&kind)
			case 1:
				return p.string(&score)
			}
			return p.Skip()
		})
		if tenths, ok := cvss3(score); ok && kind == "CVSS_V3" {
			if s := scored(tenths); into.compare(s) < 0 || into.Tenths == 0 {
				*into = s
			}
		}
		return err
	})
}

// specific takes the word that GitHub's database has for the severity, if there is
// no score.
func (p *parser) specific(into *Severity) error {
	if p.Peek() != '{' {
		return p.Skip()
	}
	return p.Object(specificKeys, func(key int) error {
		if key != 0 || p.Peek() != '"' {
			return p.Skip()
		}
		var word string
		err := p.string(&word)
		if into.Tenths == 0 {
			into.Rating = max(into.Rating, parseRating(word))
		}
		return err
	})
}

func (p *parser) affected() error {
	if p.counts.affected++; p.counts.affected > maxAffected {
		return fmt.Errorf("more than %d affected packages", maxAffected)
	}
	var ecosystem, name string
	var g gathered
	err := p.Object(affectedKeys, func(key int) error {
		switch key {
		case 0:
			return p.unlessNull(func() error {
				return p.Object(packageKeys, func(key int) error {
					switch key {
					case 0:
						return p.string(&ecosystem)
					case 1:
						return p.string(&name)
					}
					return p.Skip()
				})
			})
		case 1:
			return p.unlessNull(func() error { return p.Array(func() error { return p.oneRange(&g) }) })
		case 2:
			return p.unlessNull(func() error {
				err := p.strings(&g.versions, maxVersions, "versions")
				if p.counts.versions += len(g.versions); p.counts.versions > maxVersions {
					return fmt.Errorf("more than %d versions", maxVersions)
				}
				return err
			})
		case 3:
			return p.unlessNull(func() error { return p.severities(&g.severity) })
		case 4:
			return p.specific(&g.severity)
		}
		return p.Skip()
	})
	if err != nil || ecosystem != "PyPI" {
		return err
	}
	n, err := packaging.ParseName(name)
	if err != nil {
		return err
	}
	have := p.keep[n]
	if have == nil {
		p.keep[n] = &g
		return nil
	}
	// What is said in parts counts as if it were said at once.
	have.ranges = append(have.ranges, g.ranges...)
	have.versions = append(have.versions, g.versions...)
	have.lost = have.lost || g.lost
	if have.severity.compare(g.severity) < 0 {
		have.severity = g.severity
	}
	return nil
}

func (p *parser) oneRange(g *gathered) error {
	if p.counts.ranges++; p.counts.ranges > maxRanges {
		return fmt.Errorf("more than %d ranges", maxRanges)
	}
	var kind string
	var events Range
	begins, understood := false, true
	err := p.Object(rangeKeys, func(key int) error {
		switch key {
		case 0:
			return p.string(&kind)
		case 1:
			return p.unlessNull(func() error {
				return p.Array(func() error {
					if p.counts.events++; p.counts.events > maxEvents {
						return fmt.Errorf("more than %d events", maxEvents)
					}
					// An object has one event; one that has more says them in this order.
					var at [len(eventKinds)]string
					err := p.Object(eventKeys, func(key int) error {
						if key < 0 {
							return p.Skip()
						}
						return p.string(&at[key])
					})
					for i, version := range at {
						if version == "" {
							continue
						}
						e := Event{eventKinds[i], version}
						begins = begins || e.Kind == Introduced
						understood = understood && e.valid()
						events = append(events, e)
					}
					return err
				})
			})
		}
		return p.Skip()
	})
	if err != nil || kind != "ECOSYSTEM" && kind != "SEMVER" || len(events) == 0 {
		return err
	}
	if !begins {
		return errors.New("a range without an event \"introduced\"")
	}
	if understood {
		g.ranges = append(g.ranges, events)
	} else {
		g.lost = true
	}
	return nil
}

var eventKinds = [...]EventKind{Introduced, Fixed, LastAffected, Limit}

func (e Event) valid() bool {
	return packaging.ValidVersion(e.Version) || e.Kind == Limit && e.Version == "*"
}

// finish gives what was read as records.
func (p *parser) finish() (Parsed, error) {
	if !ValidID(p.id) {
		return Parsed{}, fmt.Errorf("id %q: not that of an advisory", p.id)
	}
	parsed := Parsed{ID: p.id, Withdrawn: p.withdrawn}
	if p.withdrawn || len(p.keep) == 0 {
		return parsed, nil
	}
	slices.Sort(p.aliases)
	p.aliases = slices.DeleteFunc(slices.Compact(p.aliases), func(a string) bool { return !ValidID(a) || a == p.id })
	if p.summary == "" {
		p.summary = p.details
	}
	parsed.Records = make(map[packaging.Name]Record, len(p.keep))
	for n, g := range p.keep {
		if len(g.ranges)+len(g.versions) == 0 {
			if g.lost {
				return Parsed{}, fmt.Errorf("%s: no version of PEP 440 in its ranges, and no list of versions", n)
			}
			continue // ranges of commits only, as of what is in no release
		}
		r := Record{ID: p.id, Aliases: p.aliases, Summary: p.summary, Severity: p.severity, Ranges: g.ranges}
		if r.Severity.compare(g.severity) < 0 {
			r.Severity = g.severity
		}
		r.Versions = unranged(r, g.versions)
		parsed.Records[n] = r
	}
	return parsed, nil
}

// unranged gives the versions that lie in none of the ranges of a record, sorted,
// each once. Most advisories list every version that their ranges have.
func unranged(r Record, versions []string) []string {
	s := NewSet([]Record{r})
	var rest []string
	for _, v := range versions {
		if len(v) > 0 && len(s.Find(v)) == 0 {
			rest = append(rest, v)
		}
	}
	slices.Sort(rest)
	return slices.Compact(rest)
}
