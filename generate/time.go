package generate

import "time"

// appendTime appends a time given in microseconds since 1970 UTC as
// "2006-01-02T15:04:05Z", with six digits of a fraction where there is one:
// datetime.fromisoformat took three or six only before Python 3.11.
func appendTime(b []byte, micro int64) []byte {
	t := time.UnixMicro(micro).UTC()
	b = appendDate(b, t)
	h, m, s := t.Clock()
	b = append(b, 'T')
	b = append2(b, h)
	b = append(b, ':')
	b = append2(b, m)
	b = append(b, ':')
	b = append2(b, s)
	if f := t.Nanosecond() / 1000; f != 0 {
		b = append(b, '.')
		b = append2(b, f/10000)
		b = append2(b, f/100%100)
		b = append2(b, f%100)
	}
	return append(b, 'Z')
}

// appendDate appends the day of a time as "2006-01-02".
func appendDate(b []byte, t time.Time) []byte {
	y, m, d := t.Date()
	b = append2(b, y/100)
	b = append2(b, y%100)
	b = append(b, '-')
	b = append2(b, int(m))
	b = append(b, '-')
	return append2(b, d)
}

func append2(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// maxTime is the last microsecond of the year 9999, the end of what a time
// with a year of four digits can say.
const maxTime = 253402300799_999999

// known reports whether a time is one: zero stands for unknown, and there was
// no package index before 1970.
func known(micro int64) bool { return micro > 0 && micro <= maxTime }
