package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
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

// printTable prints rows for people.
func printTable(w io.Writer, rows []Row) error {
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
		fmt.Fprintf(t, "  %s\t%d\t%s\t%.1f\t%s\t%s\t%s\t%s\t%s\n", r.What, r.Files, times,
			r.PeakMiB, optional(r.OfFirst), optional(r.GBs), r.Load, r.Target, counts(r.Counts))
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
