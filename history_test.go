package nestgen

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/packaging"
)

func TestParsePoint(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }
	at := func(t time.Time) Point { return Point{begin: t, end: t} }
	for text, want := range map[string]Point{
		"0":                         {isSerial: true},
		"1234":                      {serial: 1234, isSerial: true},
		"2026-11-21":                {begin: day(21), end: day(22)},
		"2026-11-21T10:00:00Z":      at(day(21).Add(10 * time.Hour)),
		"2026-11-21T10:00:00+02:00": at(day(21).Add(8 * time.Hour)),
		"2026-11-21 10:00":          at(day(21).Add(10 * time.Hour)),
		"2026-11-21T10:00:30":       at(day(21).Add(10*time.Hour + 30*time.Second)),
		"7d":                        at(day(15).Add(12 * time.Hour)),
		"0001-01-01T00:00:00Z":      at(time.Time{}),
		"1h 30m":                    at(day(22).Add(10*time.Hour + 30*time.Minute)),
	} {
		got, err := ParsePoint(text, now)
		if err != nil || got.serial != want.serial || got.isSerial != want.isSerial || !got.begin.Equal(want.begin) || !got.end.Equal(want.end) || got.IsZero() {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "yesterday", "2026-11-31", "2026-11", "10:00", "7x", "99999999999999999999", "1d 1d"} {
		if p, err := ParsePoint(text, now); err == nil {
			t.Errorf("%q: %+v", text, p)
		}
	}
}

func FuzzParsePoint(f *testing.F) {
	for _, text := range []string{"1234", "2026-11-21", "2026-11-21T10:00:00Z", "1h 30m", "9223372036854775807", "9999y"} {
		f.Add(text)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePoint(text, now)
		if (err == nil) == p.IsZero() {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
		if p.end.Before(p.begin) || p.isSerial && p.serial < 0 {
			t.Errorf("%q: %+v", text, p)
		}
	})
}

// A limit takes the newest, in whichever order they are wanted.
func TestLogLimits(t *testing.T) {
	setClock(t, "1800000000")
	w := newWorld(t)
	for i := range 4 {
		w.drop(fmt.Sprintf("p%d", i), "1.0", plain)
	}
	w.build(0)
	serials := func(q LogQuery) (got []int64) {
		t.Helper()
		for e, err := range Log(t.Context(), w.Config, q) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Serial)
		}
		var first []int64
		for c, err := range LogChanges(t.Context(), w.Config, q) {
			if err != nil {
				t.Fatal(err)
			}
			first = append(first, c.First)
		}
		if !slices.Equal(got, first) {
			t.Errorf("%+v: events %d, changes %d", q, got, first)
		}
		return got
	}
	for _, tt := range []struct {
		q    LogQuery
		want []int64
	}{
		{LogQuery{}, []int64{4, 3, 2, 1}},
		{LogQuery{OldestFirst: true}, []int64{1, 2, 3, 4}},
		{LogQuery{Limit: 2}, []int64{4, 3}},
		{LogQuery{Limit: 2, OldestFirst: true}, []int64{3, 4}},
		{LogQuery{Limit: 9, OldestFirst: true}, []int64{1, 2, 3, 4}},
		{LogQuery{Since: Point{serial: 1, isSerial: true}, Until: Point{serial: 3, isSerial: true}, OldestFirst: true}, []int64{2, 3}},
		{LogQuery{Until: Point{isSerial: true}}, nil},
		{LogQuery{Since: Point{serial: 3, isSerial: true}, Until: Point{serial: 2, isSerial: true}}, nil},
		{LogQuery{Projects: []packaging.Name{"p1", "p3"}}, []int64{4, 2}},
		{LogQuery{Verbs: []catalog.Verb{catalog.Withdraw}}, nil},
	} {
		if got := serials(tt.q); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %d, want %d", tt.q, got, tt.want)
		}
	}
	for _, c := range []Config{{State: filepath.Join(w.dir, "nowhere")}, w.Config} {
		n := 0
		for _, err := range Log(t.Context(), c, LogQuery{Projects: []packaging.Name{"nope"}}) {
			if n++; Status(err) != 2 {
				t.Errorf("%v", err)
			}
		}
		if n != 1 {
			t.Errorf("%d errors", n)
		}
	}
}
