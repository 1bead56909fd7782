package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// A Row is what came of one program in one measurement. Times are in seconds;
// they and the peak are medians.
type Row struct {
	Bench   string  `json:"bench"`
	What    string  `json:"what"`
	Files   int     `json:"files"`
	Runs    int     `json:"runs"`
	Wall    float64 `json:"wall_s"`
	User    float64 `json:"user_s"`
	System  float64 `json:"system_s"`
	PeakMiB float64 `json:"peak_mib"`

	// OfFirst is the CPU time as a multiple of the first program's in the same
	// measurement; zero for the first.
	OfFirst float64 `json:"cpu_ratio,omitempty"`

	// GBs is what was gone through, in 10^9 bytes a second of wall time.
	GBs float64 `json:"gb_per_s,omitempty"`

	// Answers is set where single answers were timed. The times above are then
	// those of a process for one answer, or zero.
	Answers *Answers `json:"answers,omitempty"`

	// Skipped says why something was not measured; then all else is zero.
	Skipped string `json:"skipped,omitempty"`

	// Counts do not depend on the machine.
	Counts map[string]int64 `json:"counts,omitempty"`

	// Target is what docs/performance.md asks for.
	Target string `json:"target,omitempty"`

	// Load is the machine's load, averaged over a minute, when it began.
	Load string `json:"load"`

	// FreshFS says that it ran on a file system of its own.
	FreshFS bool `json:"fresh_fs"`
}

func (r *Row) fill(u []usage) {
	r.Wall = median(u, func(u *usage) float64 { return u.Wall })
	r.User = median(u, func(u *usage) float64 { return u.User })
	r.System = median(u, func(u *usage) float64 { return u.System })
	r.PeakMiB = median(u, func(u *usage) float64 { return u.PeakKiB / 1024 })
}

// cpu is user and system time together.
func (r *Row) cpu() float64 { return r.User + r.System }

// load is the machine's load over the last minute.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

// skip notes that something could not be measured here.
func (l *lab) skip(bench, what, why string) {
	fmt.Fprintf(os.Stderr, "%s, %s: %s\n", bench, what, why)
	l.rows = append(l.rows, Row{Bench: bench, What: what, Skipped: why})
}

// printTable prints rows for people: the programs that were timed, and then the
// answers.
func printTable(w io.Writer, rows []Row) error {
	var programs, answers, skipped []Row
	for _, r := range rows {
		switch {
		case r.Skipped != "":
			skipped = append(skipped, r)
		case r.Answers != nil:
			answers = append(answers, r)
		default:
			programs = append(programs, r)
		}
	}
	err := errors.Join(printPrograms(w, programs), printAnswers(w, answers))
	for _, r := range skipped {
		_, perr := fmt.Fprintf(w, "%s, %s: not measured: %s\n", r.Bench, r.What, r.Skipped)
		err = errors.Join(err, perr)
	}
	return err
}

func printPrograms(w io.Writer, rows []Row) error {
	if len(rows) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tfiles\twall s\tcpu s\tuser\tsys\tMiB\tof 1st\tGB/s\tload\ttarget\tcounts")
	last := ""
	for _, r := range rows {
		if head := fmt.Sprint(r.Bench, r.Files); head != last {
			fmt.Fprintf(t, "%s\t\t\t\t\t\t\t\t\t\t\t\n", r.Bench)
			last = head
		}
		times := "\t\t\t"
		if r.Wall > 0 {
			times = fmt.Sprintf("%.3f\t%.3f\t%.3f\t%.3f", r.Wall, r.cpu(), r.User, r.System)
		}
		files := ""
		if r.Files > 0 {
			files = strconv.Itoa(r.Files)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%.1f\t%s\t%s\t%s\t%s\t%s\n", r.What, files, times,
			r.PeakMiB, optional(r.OfFirst), optional(r.GBs), r.Load, r.Target, counts(r.Counts))
	}
	return t.Flush()
}

func printAnswers(w io.Writer, rows []Row) error {
	if len(rows) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "answers\tn\tmedian ms\tp90\tp99\tover\tp90\tcpu ms\tof 1st\tper s\tload\ttarget\tcounts")
	last := ""
	for _, r := range rows {
		if r.Bench != last {
			fmt.Fprintf(t, "%s\t\t\t\t\t\t\t\t\t\t\t\t\n", r.Bench)
			last = r.Bench
		}
		a := r.Answers
		fmt.Fprintf(t, "  %s\t%d\t%.2f\t%.2f\t%.2f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.What, a.Count, 1e3*a.Median, 1e3*a.P90, 1e3*a.P99,
			optional(1e3*a.Over), optional(1e3*a.OverP90), optional(1e3*r.cpu()), optional(r.OfFirst), optional(a.PerSecond), r.Load, r.Target, counts(r.Counts))
	}
	return t.Flush()
}

func optional(f float64) string {
	if f == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", f)
}

func counts(m map[string]int64) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}

// comparePeaks adds, for each thing that was measured at two sizes of which one
// is ten times the other, how much more memory the larger took.
func (l *lab) comparePeaks() {
	var more []Row
	for _, large := range l.rows {
		for _, small := range l.rows {
			if strings.HasPrefix(large.What, "nestgen") && small.Bench == large.Bench && small.What == large.What && 10*small.Files == large.Files && small.PeakMiB > 0 {
				more = append(more, Row{
					Bench: "memory", What: large.Bench + ": " + large.What, Files: large.Files, Runs: large.Runs, PeakMiB: large.PeakMiB,
					Counts: map[string]int64{"percent of a tenth of the files": int64(100 * large.PeakMiB / small.PeakMiB)},
					Target: "<= 200 %", Load: large.Load, FreshFS: large.FreshFS,
				})
			}
		}
	}
	l.rows = append(l.rows, more...)
}
