package nestgen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/packaging"
	"nestgen/statistics"
)

// Counted are the statistics of a site, up to what its access logs have now.
type Counted struct {
	*statistics.Statistics

	// Reading says what came of reading the logs; nil if there were none to read.
	Reading *statistics.Reading

	// logs are the patterns of the logs that were read.
	logs []string
}

// CountLogs counts what the access logs have that was not counted before, and keeps
// it; with Options.DryRun it keeps nothing. logs are paths, and patterns of paths, that
// stand in the place of those of the settings; if there are neither, it gives what was
// counted until now. It works beside other runs.
func CountLogs(ctx context.Context, c Config, logs []string, o Options) (*Counted, error) {
	if err := c.built(); err != nil {
		return nil, err
	}
	n := &Counted{logs: c.AccessLogs}
	if len(logs) > 0 {
		n.logs = nil
		for _, l := range logs {
			abs, err := filepath.Abs(l) // a log is known by its path
			if err != nil {
				return nil, err
			}
			n.logs = append(n.logs, abs)
		}
	}
	var logFault error
	read := func(s *statistics.Statistics) error {
		n.Statistics = s
		if len(n.logs) == 0 {
			return nil
		}
		var r statistics.Reading
		r, logFault = s.Read(ctx, n.logs, trueNow())
		n.Reading = &r
		return logFault
	}
	var err error
	if o.DryRun || len(n.logs) == 0 {
		var s *statistics.Statistics
		if s, err = statistics.Load(c.statisticsFile()); err == nil {
			err = read(s)
		}
	} else {
		err = statistics.Update(c.statisticsFile(), read)
	}
	if logFault != nil {
		err = logFault
	}
	if err != nil {
		return nil, statisticsFault(err, logFault != nil)
	}
	return n, nil
}

// Knows refuses names of projects that neither the index has ever had nor anything was
// counted of.
func (n *Counted) Knows(ctx context.Context, c Config, names []packaging.Name) error {
	cat, err := look(c)
	if err != nil {
		return err
	}
	defer cat.Close()
	var faults []error
	for _, name := range names {
		if n.Total.Projects[name] != nil {
			continue
		}
		_, err := cat.Project(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			err = neverHad(ctx, cat, name, ", and nothing of it was counted")
		}
		faults = append(faults, storage(err))
	}
	return errors.Join(faults...)
}

func (c *Config) statisticsFile() string { return filepath.Join(c.State, "statistics.json.gz") }

// statisticsFault says what somebody may do about an error, which may be one of the
// logs.
func statisticsFault(err error, ofLog bool) error {
	damaged, isDamaged := errors.AsType[*statistics.DamagedError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, statistics.ErrBusy):
		return &fault{ErrLocked, err, "it will not be long; this one changed nothing"}
	case isDamaged:
		return &fault{ErrSettings, err, fmt.Sprintf("delete %s: nothing but statistics are lost", damaged.File)}
	case ofLog && errors.Is(err, fs.ErrPermission):
		return &fault{ErrSettings, err, "let the user that runs nestgen read it: on Debian the logs belong to the group adm"}
	case ofLog:
		return &fault{ErrSettings, err, "see --access-log, and access_logs in the settings"}
	}
	return storage(err)
}

// Coverage gives the time since when everything that was fetched is counted; why says
// why that is not known, and is empty if it is.
func (n *Counted) Coverage() (since time.Time, why string) {
	if n.Reading == nil {
		return time.Time{}, "no access log is named"
	}
	return n.Covered(n.logs, trueNow())
}

// publishedProjects is how many projects the published statistics have at most.
const publishedProjects = 1000

// PublishStatistics publishes the pages of statistics. They are made anew by every
// run from then on for which the settings have access_logs, and go with these.
func PublishStatistics(ctx context.Context, c Config, n *Counted) error {
	if len(c.AccessLogs) == 0 {
		return &fault{ErrSettings, errors.New("statistics are published for a site whose settings have access_logs, and go when these do not"), "add access_logs to the settings"}
	}
	return c.atWork(ctx, Options{}, func(s *site) error { return s.publishStatistics(ctx, n) })
}

func (s *site) publishStatistics(ctx context.Context, n *Counted) error {
	d, err := s.published(ctx, n)
	if err != nil {
		return err
	}
	document, err := d.JSON()
	if err != nil {
		return err
	}
	err = s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return tx.SetMeta(metaStatistics, string(document)) })
	if err != nil {
		return storage(err)
	}
	return s.publish(ctx)
}

// published gives what of the statistics is published.
func (s *site) published(ctx context.Context, n *Counted) (*generate.Statistics, error) {
	d := &generate.Statistics{Meta: generate.StatisticsMeta{Version: generate.StatisticsVersion}, Metadata: n.Total.Metadata}
	d.Ever = rowOf(statistics.Row{Tally: n.Total.Tally})
	month := new(statistics.Counts)
	d.Days = []generate.StatisticsRow{}
	for _, day := range n.Daily() {
		d.Days = append(d.Days, rowOf(statistics.Row{Name: day.Date, Tally: day.Tally}))
		d.Until = day.Date
	}
	if last, err := time.Parse(time.DateOnly, d.Until); err == nil {
		month = n.Since(last.AddDate(0, 0, -29))
	}
	d.Month = rowOf(statistics.Row{Tally: month.Tally})
	d.Pythons, d.Clients, d.Systems = rowsOf(month.TopPythons()), rowsOf(month.TopClients(false)), rowsOf(month.TopSystems())
	d.Projects = []generate.StatisticsRow{}
	for _, r := range month.TopProjects() {
		// What is not listed any more, or never was in public, is nobody's business.
		p, err := s.catalog.Project(ctx, packaging.Name(r.Name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, storage(err)
		}
		if err == nil && generate.HasPages(p) && p.Status.State != catalog.Quarantined {
			d.Projects = append(d.Projects, rowOf(r))
		}
		if len(d.Projects) == publishedProjects {
			break
		}
	}
	return d, nil
}

func rowsOf(rows []statistics.Row) []generate.StatisticsRow {
	all := make([]generate.StatisticsRow, len(rows))
	for i, r := range rows {
		all[i] = rowOf(r)
	}
	return all
}

func rowOf(r statistics.Row) generate.StatisticsRow {
	return generate.StatisticsRow{Name: r.Name, Downloads: r.Downloads, Bytes: r.Bytes}
}
