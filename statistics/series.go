package statistics

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// A Series is a log with all that it was rotated to. Times are in seconds since 1970
// UTC.
type Series struct {
	// Since is the time from which on nothing of it was missed, and Until that of
	// the last line that was read.
	Since int64 `json:"since"`
	Until int64 `json:"until"`

	// Last is the head of the log that it was read up to.
	Last string `json:"last"`

	// Seen is when any of it was there last.
	Seen int64 `json:"seen"`
}

// coveredBy gives the time from which on nothing is missing, once files were read
// that are all there is of the series, the oldest first; 0 if that is not before now.
// Between two readings nothing is missed as long as the log is still there that was
// the last one then, and all that came after it.
func (x *Series) coveredBy(files []*logFile) (since int64) {
	begin := slices.IndexFunc(files, func(f *logFile) bool { return f.isLast })
	switch {
	case x.Since == 0:
		begin = 0
	case begin >= 0:
		since = x.Since
	default:
		// Of what was read before nothing is left that the rest could go on from.
		if begin = slices.IndexFunc(files, func(f *logFile) bool { return f.isNew }); begin < 0 {
			return 0
		}
	}
	step := shortestStep(files)
	for i := begin; i < len(files); i++ {
		f := files[i]
		if i > begin && isMissing(files[i-1], f, step) {
			since = 0
		}
		switch {
		case f.fault != nil:
			since = 0
		case f.torn:
			since = f.resumed
		case since == 0:
			since = f.first
		}
	}
	return since
}

// isMissing reports whether there was a log between two of a series that is not there any
// more: by their numbers, or by their dates where they are further from each other than
// others are and nothing was logged in between.
func isMissing(before, f *logFile, step time.Duration) bool {
	if f.number >= 0 {
		return before.number-f.number > 1
	}
	if before.date.IsZero() || f.date.IsZero() {
		return false
	}
	silence := time.Duration(f.first-before.until) * time.Second
	return f.date.Sub(before.date) > step+step/2 && silence > step/2
}

// shortestStep gives the shortest time between the dates of two logs of a series.
func shortestStep(files []*logFile) (step time.Duration) {
	for i := 1; i < len(files); i++ {
		a, b := files[i-1].date, files[i].date
		if d := b.Sub(a); !a.IsZero() && !b.IsZero() && d > 0 && (step == 0 || d < step) {
			step = d
		}
	}
	return step
}

// stale is how long nothing may have been logged before it seems that the server
// logs elsewhere.
const stale = 7 * 24 * time.Hour

// Covered gives the time from which on everything was counted that the logs have
// that patterns fit; see [Statistics.Read], which must have been called just before
// at the same time. If that is not known, why says so.
func (s *Statistics) Covered(patterns []string, now time.Time) (since time.Time, why string) {
	if s.Full {
		return time.Time{}, fmt.Sprintf("there are more than %d files in the logs, and the others are not counted", maxFiles)
	}
	var from int64
	names := make([]string, 0, len(s.Series))
	for name := range s.Series {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		x := s.Series[name]
		if !slices.ContainsFunc(patterns, func(p string) bool { return fits(p, name) }) {
			continue
		}
		if x.Seen < now.Unix() {
			return time.Time{}, fmt.Sprintf("%s was read until %s, and is not there any more", name, stamp(x.Until))
		}
		if x.Until < now.Add(-stale).Unix() {
			last := "there is no line in it"
			if x.Until > 0 {
				last = "its last line is of " + stamp(x.Until)
			}
			return time.Time{}, fmt.Sprintf("%s: %s: the server seems to log elsewhere; if it is not in use any more, do not name its log", name, last)
		}
		from = max(from, x.Since)
	}
	if from == 0 {
		return time.Time{}, "there is no access log"
	}
	return time.Unix(from, 0).UTC(), ""
}

// fits reports whether a pattern is about a series.
func fits(pattern, series string) bool {
	base, _ := SeriesOf(pattern)
	whole, err := filepath.Match(pattern, series)
	return base == series || whole && err == nil
}

// pruneLogs forgets logs that were not there for long, and the longest gone of too
// many.
func (s *Statistics) pruneLogs(oldest int64) {
	s.Logs = slices.DeleteFunc(s.Logs, func(l *Log) bool { return l.Seen < oldest })
	if len(s.Logs) > keptLogs {
		slices.SortStableFunc(s.Logs, func(a, b *Log) int { return cmp.Compare(b.Seen, a.Seen) })
		s.Logs = s.Logs[:keptLogs]
	}
}
