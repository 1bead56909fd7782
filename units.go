package nestgen

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Duration is written as numbers with units: "7d", "2y", "1w 2d 3h 4m 5s". A
// year has 365 days.
type Duration time.Duration

var durationUnits = map[string]time.Duration{
	"y": 365 * 24 * time.Hour, "w": 7 * 24 * time.Hour, "d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second,
}

// UnmarshalText reads the written form. Spaces between the parts may be left
// out; each unit may stand once.
func (d *Duration) UnmarshalText(text []byte) error {
	bad := fmt.Errorf("duration %q: want numbers with units, such as 7d or 1w 2d 3h 4m 5s", text)
	rest := strings.TrimSpace(string(text))
	if rest == "" {
		return bad
	}
	var sum time.Duration
	used := map[string]bool{}
	for rest != "" {
		i := 0
		for i < len(rest) && '0' <= rest[i] && rest[i] <= '9' {
			i++
		}
		if i == 0 || i == len(rest) {
			return bad
		}
		unit := rest[i : i+1]
		n, err := strconv.ParseInt(rest[:i], 10, 32)
		if err != nil || durationUnits[unit] == 0 || used[unit] {
			return bad
		}
		used[unit] = true
		part := time.Duration(n) * durationUnits[unit]
		if part/durationUnits[unit] != time.Duration(n) || sum+part < sum {
			return bad
		}
		sum += part
		rest = strings.TrimLeft(rest[i+1:], " ")
	}
	*d = Duration(sum)
	return nil
}

// String gives the written form.
func (d Duration) String() string {
	rest := time.Duration(d)
	if rest == 0 {
		return "0s"
	}
	var parts []string
	for _, unit := range []string{"y", "w", "d", "h", "m", "s"} {
		if n := rest / durationUnits[unit]; n > 0 {
			parts = append(parts, strconv.FormatInt(int64(n), 10)+unit)
			rest -= n * durationUnits[unit]
		}
	}
	return strings.Join(parts, " ")
}

// A Moment is a date, which stands for the end of that day, or a date and a time of
// day, in microseconds since 1970 UTC. The zero Moment is none.
type Moment int64

// UnmarshalTOML reads a date or a time with its offset from UTC, bare or in quotes.
func (m *Moment) UnmarshalTOML(v any) error {
	bad := fmt.Errorf("moment %v: want a date such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z", v)
	t, isTime := v.(time.Time)
	s, isText := v.(string)
	switch {
	case isTime && t.Location().String() == "date-local":
		t = time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).AddDate(0, 0, 1).Add(-time.Microsecond)
	case isTime && (t.Location().String() == "datetime-local" || t.Location().String() == "time-local"):
		return bad
	case isText:
		d, err := time.Parse(time.DateOnly, s)
		if t = d.AddDate(0, 0, 1).Add(-time.Microsecond); err == nil {
			break
		}
		if t, err = time.Parse(time.RFC3339, s); err != nil {
			return bad
		}
	case !isTime:
		return bad
	}
	if t.Year() < 1970 || t.Year() > 9999 {
		return bad
	}
	*m = Moment(t.UnixMicro())
	return nil
}

// String gives the written form.
func (m Moment) String() string {
	t := time.UnixMicro(int64(m)).UTC()
	if next := t.Add(time.Microsecond); next.Equal(next.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

// A Size is a number of bytes, written with or without a unit: "500MB", "8GiB".
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

// UnmarshalText reads the written form.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := strings.TrimSpace(string(text)), int64(1)
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return fmt.Errorf("size %q: want a number of bytes with or without a unit, such as 500MB or 8GiB", text)
	}
	*s = Size(n * unit)
	return nil
}

// String gives the written form, with the largest unit of which it is a whole
// number.
func (s Size) String() string {
	best := Size(1)
	text := strconv.FormatInt(int64(s), 10)
	for _, u := range sizeUnits {
		if unit := Size(u.bytes); s != 0 && unit > best && s%unit == 0 {
			best, text = unit, strconv.FormatInt(int64(s/unit), 10)+u.name
		}
	}
	return text
}
