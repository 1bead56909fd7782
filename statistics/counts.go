package statistics

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"nestgen/accesslog"
	"nestgen/packaging"
)

// A Tally is how often something was downloaded, and how many bytes were sent for
// it, also in parts.
type Tally struct {
	Downloads int64 `json:"n"`
	Bytes     int64 `json:"b"`
}

func (t *Tally) add(o Tally) {
	t.Downloads += o.Downloads
	t.Bytes += o.Bytes
}

// A File is what was counted of one file of the store.
type File struct {
	Tally

	// Fetched is when somebody got it last, or was told that what they have is
	// still right, in seconds since 1970 UTC.
	Fetched int64 `json:"at"`
}

// Counts are what was counted in some span of time.
type Counts struct {
	Tally

	// Metadata is how often metadata, a signature or a provenance was read in the
	// place of a file. It is in no other number.
	Metadata int64 `json:"m,omitempty"`

	// Projects has the versions of each project.
	Projects map[packaging.Name]map[string]Tally `json:"p,omitempty"`

	// Pythons, Clients and Systems are by version of Python ("3.12"), by program
	// with its version ("pip 24.2") and by operating system ("Linux"). What does not
	// say is under the empty name.
	Pythons map[string]Tally `json:"py,omitempty"`
	Clients map[string]Tally `json:"c,omitempty"`
	Systems map[string]Tally `json:"s,omitempty"`
}

// most is how many names a map of clients has at most. Anybody can make up versions
// of a client; those above count as being of none.
const most = 500

// A client is one with its name and version as a key.
type client struct {
	accesslog.Client
	key string
}

func clientOf(agent string) client {
	c := client{Client: accesslog.ParseAgent(agent)}
	c.key = c.Name
	if c.Version != "" {
		c.key += " " + c.Version
	}
	return c
}

// add counts an answer about a file.
func (c *Counts) add(n packaging.Name, version string, by client, t Tally) {
	c.Tally.add(t)
	c.addVersion(n, version, t)
	addTo(&c.Pythons, by.Python, t)
	addTo(&c.Systems, by.System, t)
	key := by.key
	if _, known := c.Clients[key]; !known && len(c.Clients) >= most {
		key = by.Name
	}
	addTo(&c.Clients, key, t)
}

func (c *Counts) addVersion(n packaging.Name, version string, t Tally) {
	if c.Projects == nil {
		c.Projects = map[packaging.Name]map[string]Tally{}
	}
	versions := c.Projects[n]
	addTo(&versions, version, t)
	c.Projects[n] = versions
}

func addTo(m *map[string]Tally, key string, t Tally) {
	if *m == nil {
		*m = map[string]Tally{}
	}
	sum := (*m)[key]
	sum.add(t)
	(*m)[key] = sum
}

// merge adds the counts of another span of time.
func (c *Counts) merge(o *Counts) {
	c.Tally.add(o.Tally)
	c.Metadata += o.Metadata
	for n, versions := range o.Projects {
		for v, t := range versions {
			c.addVersion(n, v, t)
		}
	}
	for _, m := range []struct {
		to   *map[string]Tally
		from map[string]Tally
	}{{&c.Pythons, o.Pythons}, {&c.Clients, o.Clients}, {&c.Systems, o.Systems}} {
		for name, t := range m.from {
			addTo(m.to, name, t)
		}
	}
}

// A Row is a line of a table.
type Row struct {
	Name string
	Tally
}

// TopProjects gives the projects, the most downloaded one first.
func (c *Counts) TopProjects() []Row {
	rows := make([]Row, 0, len(c.Projects))
	for n, versions := range c.Projects {
		r := Row{Name: string(n)}
		for _, t := range versions {
			r.add(t)
		}
		rows = append(rows, r)
	}
	return byDownloads(rows)
}

// Versions gives the versions of a project, the newest one first.
func (c *Counts) Versions(n packaging.Name) []Row {
	rows := rowsOf(c.Projects[n])
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(packaging.CompareVersionStrings(b.Name, a.Name), strings.Compare(a.Name, b.Name))
	})
	return rows
}

// TopPythons gives the versions of Python, TopSystems the operating systems, and
// TopClients the programs: each with its versions, or with withVersions false
// without.
func (c *Counts) TopPythons() []Row { return byDownloads(rowsOf(c.Pythons)) }

// TopSystems: see TopPythons.
func (c *Counts) TopSystems() []Row { return byDownloads(rowsOf(c.Systems)) }

// TopClients: see TopPythons.
func (c *Counts) TopClients(withVersions bool) []Row {
	if withVersions {
		return byDownloads(rowsOf(c.Clients))
	}
	var names map[string]Tally
	for name, t := range c.Clients {
		name, _, _ = strings.Cut(name, " ")
		addTo(&names, name, t)
	}
	return byDownloads(rowsOf(names))
}

func rowsOf(m map[string]Tally) []Row {
	rows := make([]Row, 0, len(m))
	for name, t := range m {
		rows = append(rows, Row{name, t})
	}
	return rows
}

func byDownloads(rows []Row) []Row {
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Downloads, a.Downloads), cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Name, b.Name))
	})
	return rows
}

// A Day is what was counted on one day (UTC), written as "2026-11-22".
type Day struct {
	Date string
	*Counts
}

// Daily gives what was counted on each of the days that are known, the oldest
// first.
func (s *Statistics) Daily() []Day {
	var days []Day
	for _, d := range slices.Sorted(maps.Keys(s.Days)) {
		days = append(days, Day{d, s.Days[d]})
	}
	return days
}

// Kept gives the first day of which the counts would still be kept: of what was before,
// only the sums over all time are.
func (s *Statistics) Kept() time.Time { return oldestDay(time.Unix(s.LastRead, 0)) }

// Since gives what was counted from the day on that has a moment in it, and for the
// zero time everything that ever was.
func (s *Statistics) Since(t time.Time) *Counts {
	if t.IsZero() {
		return s.Total
	}
	sum := new(Counts)
	from := t.UTC().Format(time.DateOnly)
	for day, c := range s.Days {
		if day >= from {
			sum.merge(c)
		}
	}
	return sum
}
