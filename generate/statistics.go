package generate

import (
	"bytes"
	"encoding/json"
	"fmt"

	"nestgen/layout"
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

	Tables []StatisticsTable
}

// A StatisticsTable is one table of that page.
type StatisticsTable struct {
	ID, Title string
	Lines     []StatisticsLine
}

// A StatisticsLine is a line of a table, for people.
type StatisticsLine struct {
	Name, Downloads, Sent string
}

// statisticsLines is how many lines a table shows to people.
const statisticsLines = 100

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
	v := &StatisticsPage{Shared: shared, Until: clean(d.Until), Month: statisticsLine(d.Month), Ever: statisticsLine(d.Ever)}
	for _, t := range []struct {
		id, title string
		rows      []StatisticsRow
	}{{"projects", "Projects", d.Projects}, {"pythons", "Versions of Python", d.Pythons}, {"clients", "Clients", d.Clients}, {"systems", "Systems", d.Systems}} {
		table := StatisticsTable{ID: t.id, Title: t.title}
		for _, r := range t.rows[:min(len(t.rows), statisticsLines)] {
			table.Lines = append(table.Lines, statisticsLine(r))
		}
		if len(table.Lines) > 0 {
			v.Tables = append(v.Tables, table)
		}
	}
	var w bytes.Buffer
	err = s.templates().Execute(&w, templates.Statistics, v)
	return w.Bytes(), err
}

func statisticsLine(r StatisticsRow) StatisticsLine {
	l := StatisticsLine{Name: clean(r.Name), Downloads: countText(int(r.Downloads)), Sent: sizeText(r.Bytes)}
	if l.Name == "" {
		l.Name = "not said"
	}
	return l
}
