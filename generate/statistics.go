package generate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/templates"
)

// Statistics are what was downloaded from a site, for its pages. They are the
// document for programs as well, which is why their form does not change.
type Statistics struct {
	Meta StatisticsMeta `json:"meta"`

	// Until is the last day that counts, as "2026-11-22"; empty if none does.
	Until string `json:"until"`

	// Metadata is how often the metadata of a file was read since the beginning,
	// and Ever what was downloaded since then.
	Metadata int64         `json:"metadata"`
	Ever     StatisticsRow `json:"ever"`

	// Month is the 30 days up to Until. Projects, Pythons, Clients and Systems are
	// of it, what was downloaded most first, and no project is among them that the
	// index does not list.
	Month    StatisticsRow   `json:"month"`
	Projects []StatisticsRow `json:"projects"`
	Pythons  []StatisticsRow `json:"pythons"`
	Clients  []StatisticsRow `json:"clients"`
	Systems  []StatisticsRow `json:"systems"`

	// Days are all that are known, the oldest first.
	Days []StatisticsRow `json:"days"`
}

// StatisticsMeta says what the document is.
type StatisticsMeta struct {
	Version string `json:"statistics-version"`
}

// StatisticsVersion is the version of the document.
const StatisticsVersion = "1.0"

// A StatisticsRow is how often something was downloaded, and how many bytes were
// sent for it. Name is empty for what did not say what it is.
type StatisticsRow struct {
	Name      string `json:"name,omitempty"`
	Downloads int64  `json:"downloads"`
	Bytes     int64  `json:"bytes"`
}

// A StatisticsPage is what the template of the page of statistics is executed with.
type StatisticsPage struct {
	*Shared

	// Until is the last day that counts; empty if nothing was downloaded.
	Until string

	// Month and Ever say how much was downloaded in 30 days and since the
	// beginning.
	Month, Ever StatisticsLine

	// Days are these 30 days, the oldest first; there are none if nothing was
	// downloaded.
	Days []StatisticsDay

	// Projects is what of, and Others who: versions of Python, clients, systems.
	// A table without lines is not among them.
	Projects StatisticsTable
	Others   []StatisticsTable
}

// A StatisticsDay is a bar of the picture of the days.
type StatisticsDay struct {
	Date, Downloads string

	// X is where the bar begins; a bar and the gap behind it are 10 wide. Y is its
	// upper end and Height how far it is from there to the ground, at 100.
	X, Y, Height int
}

// A StatisticsTable is one table of that page.
type StatisticsTable struct {
	ID, Title string
	Lines     []StatisticsLine
	More      int // lines that it does not show
}

// A StatisticsLine is a line of a table, for people. Link leads to the page of the
// project that it is about, if it is about one, and Share is how much it is of the
// largest line, in percent.
type StatisticsLine struct {
	Name, Downloads, Sent string
	Link                  string
	Share                 int
}

// statisticsLines is how many lines a table shows to people, and statisticsDays how
// many days.
const (
	statisticsLines = 50
	statisticsDays  = 30
)

// JSON gives the document for programs.
func (d *Statistics) JSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", " ")
	err := enc.Encode(d)
	return b.Bytes(), err
}

// ParseStatistics reads what JSON has written.
func ParseStatistics(document []byte) (*Statistics, error) {
	d := new(Statistics)
	if err := json.Unmarshal(document, d); err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	return d, nil
}

// StatisticsPages makes the pages of statistics: the one for programs, and with
// People the one for people.
func (s *Site) StatisticsPages(d *Statistics, sink Sink) error {
	document, err := d.JSON()
	if err != nil {
		return err
	}
	if err := sink.Put(layout.StatsJSON, document); err != nil || !s.People {
		return err
	}
	page, err := s.statisticsHTML(d)
	if err != nil {
		return err
	}
	return sink.Put(layout.StatsHTML, page)
}

// StatisticsPaths gives the paths of the pages of statistics.
func (s *Site) StatisticsPaths() []string {
	if s.People {
		return []string{layout.StatsJSON, layout.StatsHTML}
	}
	return []string{layout.StatsJSON}
}

func (s *Site) statisticsHTML(d *Statistics) ([]byte, error) {
	shared, err := s.shared(new(parts), layout.StatsHTML)
	if err != nil {
		return nil, err
	}
	v := &StatisticsPage{
		Shared: shared, Until: clean(d.Until), Month: statisticsLine(d.Month), Ever: statisticsLine(d.Ever),
		Days: statisticsBars(d.Until, d.Days), Projects: statisticsTable("projects", "Projects", d.Projects),
	}
	for i := range v.Projects.Lines {
		if n, err := packaging.ParseName(d.Projects[i].Name); err == nil {
			v.Projects.Lines[i].Link = v.Index + v.ProjectFolder + "/" + string(n) + "/"
		}
	}
	for _, t := range []StatisticsTable{
		statisticsTable("pythons", "Versions of Python", d.Pythons),
		statisticsTable("clients", "Clients", d.Clients),
		statisticsTable("systems", "Systems", d.Systems),
	} {
		if len(t.Lines) > 0 {
			v.Others = append(v.Others, t)
		}
	}
	var w bytes.Buffer
	err = s.templates().Execute(&w, templates.Statistics, v)
	return w.Bytes(), err
}

func statisticsTable(id, title string, rows []StatisticsRow) StatisticsTable {
	t := StatisticsTable{ID: id, Title: title, More: max(len(rows)-statisticsLines, 0)}
	var most int64 = 1
	for _, r := range rows {
		most = max(most, r.Downloads)
	}
	for _, r := range rows[:len(rows)-t.More] {
		l := statisticsLine(r)
		l.Share = int(100 * float64(r.Downloads) / float64(most))
		t.Lines = append(t.Lines, l)
	}
	return t
}

func statisticsLine(r StatisticsRow) StatisticsLine {
	l := StatisticsLine{Name: clean(r.Name), Downloads: countText(int(r.Downloads)), Sent: sizeText(r.Bytes)}
	if l.Name == "" {
		l.Name = "not said"
	}
	return l
}

// statisticsBars gives the days up to one. Those that nothing is known of have no
// height.
func statisticsBars(until string, known []StatisticsRow) (days []StatisticsDay) {
	last, err := time.Parse(time.DateOnly, until)
	if err != nil {
		return nil
	}
	counts := map[string]int64{}
	for _, r := range known {
		counts[r.Name] = r.Downloads
	}
	var most int64 = 1
	for i := range statisticsDays {
		date := last.AddDate(0, 0, i+1-statisticsDays).Format(time.DateOnly)
		days = append(days, StatisticsDay{Date: date, Downloads: countText(int(counts[date])), X: 10 * i})
		most = max(most, counts[date])
	}
	for i := range days {
		d := &days[i]
		n := counts[d.Date]
		if d.Height = int(100 * float64(n) / float64(most)); n > 0 {
			d.Height = max(d.Height, 1)
		}
		d.Y = 100 - d.Height
	}
	return days
}
