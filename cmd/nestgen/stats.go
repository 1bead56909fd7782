package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
	"nestgen/packaging"
	"nestgen/statistics"
)

func newStats(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats [PROJECT...]",
		Short: "Count what was downloaded, by the web server's access logs",
		Long: `Read what the access logs have that was not read before, add it to the counts,
and print these: the most downloaded projects, the versions of Python, the
clients and their systems; with names of projects, the versions of each. The
counts outlive the logs. The logs are those of the setting "access_logs", or of
--access-log; without any it prints what was counted until now. It works while a
build runs.

A download is a file that was sent whole, or its beginning; the bytes are all that
was sent of files. Who downloaded something is neither read nor kept.

With --publish, the pages stats/ of the site are made anew.`,
	}
	f := cmd.Flags()
	logs := f.StringArray("access-log", nil, "read this access log, or all that the `PATTERN` fits, in the place of those of the settings")
	since := f.String("since", "", "count from that day on: `WHEN` is a date as 2026-11-01, or how long ago as 30d; of the last 400 days")
	top := f.Int("top", 10, "how many lines of each table to print; 0 for all")
	asJSON := f.Bool("json", false, "print all as JSON")
	quiet := f.BoolP("quiet", "q", false, "print nothing but what is wrong with the logs")
	publish := f.Bool("publish", false, "publish the pages of statistics")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		names, err := projectNames(args)
		if err != nil {
			return err
		}
		from, err := parseSince(*since, cmd.Flags().Changed("since"))
		if err != nil {
			return &usageError{err}
		}
		if *top < 0 {
			return &usageError{errors.New("--top: want a number of lines, or 0 for all")}
		}
		c, err := s.load()
		if err != nil {
			return err
		}
		n, err := nestgen.CountLogs(cmd.Context(), c, *logs, nestgen.Options{})
		if err != nil {
			return err
		}
		if err := n.Knows(cmd.Context(), c, names); err != nil {
			return err
		}
		for _, p := range readingProblems(n) {
			fmt.Fprintf(cmd.ErrOrStderr(), "nestgen: %s\n", tame.Text(p))
		}
		if *publish {
			if err := nestgen.PublishStatistics(cmd.Context(), c, n); err != nil {
				return err
			}
		}
		switch {
		case *quiet:
			return nil
		case *asJSON:
			return writeJSON(cmd.OutOrStdout(), statsJSON(n, from, names), "  ")
		}
		return printStats(cmd.OutOrStdout(), n, from, names, *top)
	}
	return cmd
}

// readingProblems says what was wrong with the logs.
func readingProblems(n *nestgen.Counted) []string {
	if n.Reading == nil {
		return nil
	}
	problems := n.Reading.Problems
	if bad := n.Reading.Bad; bad > 0 {
		problems = append(problems, fmt.Sprintf("%d of %s of the access logs are not of a form that is known, and do not count", bad, count(n.Reading.Lines, "line")))
	}
	return problems
}

// parseSince reads a date, or how long ago something was; the zero time if none is given.
func parseSince(s string, given bool) (time.Time, error) {
	if !given {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		var d nestgen.Duration
		if err := d.UnmarshalText([]byte(s)); err != nil {
			return time.Time{}, fmt.Errorf("--since %q: want a date as 2026-11-01, or how long ago as 30d", s)
		}
		t = nestgen.Now().Add(-time.Duration(d))
	}
	if t.After(nestgen.Now()) {
		return time.Time{}, fmt.Errorf("--since %s: that day is to come", s)
	}
	return t, nil
}

func printStats(w io.Writer, n *nestgen.Counted, from time.Time, names []packaging.Name, top int) error {
	counts := n.Since(from)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	table := func(title string, rows []statistics.Row, unnamed string) {
		fmt.Fprintf(t, "%s\tDOWNLOADS\tSENT\n", title)
		for i, r := range rows {
			if top > 0 && i == top {
				fmt.Fprintf(t, "%d more\n", len(rows)-top)
				break
			}
			name := r.Name
			if name == "" {
				name = unnamed
			}
			fmt.Fprintf(t, "%s\t%d\t%s\n", tame.Text(name), r.Downloads, bytesText(r.Bytes))
		}
		fmt.Fprintln(t)
	}
	for _, n := range names {
		table(strings.ToUpper(string(n)), counts.Versions(n), "")
	}
	if len(names) == 0 {
		table("PROJECT", counts.TopProjects(), "")
		table("PYTHON", counts.TopPythons(), "not said")
		table("CLIENT", counts.TopClients(false), "not said")
		table("SYSTEM", counts.TopSystems(), "not said")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s (%s) in all, metadata read %s; ", count(counts.Downloads, "download"), bytesText(counts.Bytes), count(counts.Metadata, "time"))
	if first := n.Kept(); !from.IsZero() && from.Before(first) {
		fmt.Fprintf(w, "days before %s are not kept, and not counted here; ", first.Format(time.DateOnly))
	}
	since, why := n.Coverage()
	if why != "" {
		fmt.Fprintf(w, "it is not known what was missed: %s\n", tame.Text(why))
		return nil
	}
	fmt.Fprintf(w, "nothing was missed since %s UTC\n", since.Format(time.DateTime))
	return nil
}

// A statsTable is a table as JSON.
type statsTable []statsRow

type statsRow struct {
	Name      string     `json:"name"`
	Downloads int64      `json:"downloads"`
	Bytes     int64      `json:"bytes"`
	Versions  statsTable `json:"versions,omitempty"`
}

func tableOf(rows []statistics.Row) statsTable {
	t := make(statsTable, len(rows))
	for i, r := range rows {
		t[i] = statsRow{Name: r.Name, Downloads: r.Downloads, Bytes: r.Bytes}
	}
	return t
}

func statsJSON(n *nestgen.Counted, from time.Time, names []packaging.Name) any {
	counts := n.Since(from)
	projects := statsTable{}
	for _, p := range tableOf(counts.TopProjects()) {
		if len(names) == 0 || slices.Contains(names, packaging.Name(p.Name)) {
			p.Versions = tableOf(counts.Versions(packaging.Name(p.Name)))
			projects = append(projects, p)
		}
	}
	days := statsTable{}
	for _, d := range n.Daily() {
		days = append(days, statsRow{Name: d.Date, Downloads: d.Downloads, Bytes: d.Bytes})
	}
	v := struct {
		Complete  *string             `json:"complete_since"` // null if that is not known
		Why       string              `json:"not_known,omitempty"`
		Since     string              `json:"since,omitempty"` // the first day that is counted; all that ever was if there is none
		Reading   *statistics.Reading `json:"read,omitempty"`
		Downloads int64               `json:"downloads"`
		Bytes     int64               `json:"bytes"`
		Metadata  int64               `json:"metadata"`
		Projects  statsTable          `json:"projects"`
		Pythons   statsTable          `json:"pythons"`
		Clients   statsTable          `json:"clients"`
		Systems   statsTable          `json:"systems"`
		Days      statsTable          `json:"days"`
	}{
		Reading: n.Reading, Downloads: counts.Downloads, Bytes: counts.Bytes, Metadata: counts.Metadata, Projects: projects,
		Pythons: tableOf(counts.TopPythons()), Clients: tableOf(counts.TopClients(true)), Systems: tableOf(counts.TopSystems()), Days: days,
	}
	if !from.IsZero() {
		if first := n.Kept(); from.Before(first) {
			from = first
		}
		v.Since = from.UTC().Format(time.DateOnly)
	}
	since, why := n.Coverage()
	if v.Why = why; why == "" {
		text := since.Format(time.RFC3339)
		v.Complete = &text
	}
	return v
}
