package catalog

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"nestgen/packaging"
)

// history makes a catalog in which three projects changed at 10, 20, 30 and 30
// seconds, and gives the time of a second.
func history(t *testing.T) (*Catalog, func(second int64) time.Time) {
	t.Helper()
	c, err := OpenEmpty()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	at := func(second int64) time.Time { return time.Unix(1_800_000_000+second, 0) }
	change := func(second int64, do func(tx *Tx) error) {
		if err := c.Update(t.Context(), at(second), do); err != nil {
			t.Fatal(err)
		}
	}
	put := func(n packaging.Name) func(tx *Tx) error {
		return func(tx *Tx) error {
			if err := tx.Claim(n, string(n), Local); err != nil {
				return err
			}
			return tx.Put(aFile(n, string(n)+"-1.tar.gz", "1", 0), "")
		}
	}
	change(10, put("a"))
	change(20, put("b"))
	change(30, func(tx *Tx) error { return tx.SetStatus("a", Status{State: Quarantined}, "", "policy") })
	change(5, func(tx *Tx) error { return tx.Withdraw("b", "b-1.tar.gz", "gone", at(30), time.Hour) }) // the clock was set back
	change(40, func(tx *Tx) error { return tx.note(Event{Verb: Known, Project: "a", Source: Local}, nil) })
	change(40, func(tx *Tx) error { _, err := tx.Note(Snapshot, "ann", "x"); return err })
	return c, at
}

func TestFilteredEvents(t *testing.T) {
	c, _ := history(t)
	for _, tt := range []struct {
		about  string
		filter EventFilter
		want   string
	}{
		{"all", EventFilter{}, "1add 2add 3status 4withdraw 5known 6snapshot"},
		{"newest first", EventFilter{NewestFirst: true}, "6snapshot 5known 4withdraw 3status 2add 1add"},
		{"changes", EventFilter{Changes: true}, "1add 2add 3status 4withdraw 6snapshot"},
		{"a part", EventFilter{After: 1, Upto: 3}, "2add 3status"},
		{"one project", EventFilter{Projects: []packaging.Name{"b"}, NewestFirst: true}, "4withdraw 2add"},
		{"two projects", EventFilter{Projects: []packaging.Name{"b", "a"}}, "1add 2add 3status 4withdraw 5known"},
		{"verbs", EventFilter{Verbs: []Verb{Mark, Add}}, "1add 2add 3status"},
		{"verbs of a project", EventFilter{Verbs: []Verb{Mark, Add}, Projects: []packaging.Name{"a"}, After: 1}, "3status"},
		{"nothing", EventFilter{Projects: []packaging.Name{"c"}}, ""},
	} {
		var got string
		for e, err := range c.FilteredEvents(t.Context(), tt.filter) {
			if err != nil {
				t.Fatal(err)
			}
			got += fmt.Sprintf(" %d%s", e.Serial, e.Verb)
		}
		if want := tt.want; got != "" && got[1:] != want || got == "" && want != "" {
			t.Errorf("%s: %q, want %q", tt.about, got, want)
		}
	}
	for e := range c.FilteredEvents(t.Context(), EventFilter{}) {
		if first, err := c.FirstEvent(t.Context()); err != nil || first != e {
			t.Errorf("FirstEvent: %+v, %v, want %+v", first, err, e)
		}
		break
	}
	empty, err := OpenEmpty()
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if e, err := empty.FirstEvent(t.Context()); err != nil || e != (Event{}) {
		t.Errorf("FirstEvent of nothing: %+v, %v", e, err)
	}
	if n, err := empty.SerialBefore(t.Context(), time.Unix(1<<40, 0)); err != nil || n != 0 {
		t.Errorf("SerialBefore of nothing: %d, %v", n, err)
	}
}

// Whatever the clock said, times do not fall, so that a moment has a serial.
func TestSerialBefore(t *testing.T) {
	c, at := history(t)
	for second, want := range map[int64]int64{0: 0, 10: 0, 11: 1, 20: 1, 21: 2, 30: 2, 31: 4, 40: 4, 41: 6, 1000: 6} {
		if got, err := c.SerialBefore(t.Context(), at(second)); err != nil || got != want {
			t.Errorf("before second %d: %d, %v, want %d", second, got, err, want)
		}
	}
	// With any number of events, and some missing, it is as if all were looked at.
	for _, step := range []int64{1, 3} {
		for events := range int64(20) {
			c, err := OpenEmpty()
			if err != nil {
				t.Fatal(err)
			}
			var serials, times []int64
			for i := range events {
				serials, times = append(serials, 1+i*step), append(times, i/2)
				if _, err := c.db.Exec("INSERT INTO events (serial, time, verb, project, filename, source, reason) VALUES (?, ?, 'links', 'a', '', '', '')", 1+i*step, at(i/2).UnixMicro()); err != nil {
					t.Fatal(err)
				}
			}
			for second := range int64(12) {
				want := int64(0)
				if i := slices.IndexFunc(times, func(at int64) bool { return at >= second }); i > 0 {
					want = serials[i-1]
				} else if i < 0 && events > 0 {
					want = serials[events-1]
				}
				if got, err := c.SerialBefore(t.Context(), at(second)); err != nil || got != want {
					t.Errorf("%d events, step %d: before second %d: %d, %v, want %d", events, step, second, got, err, want)
				}
			}
			c.Close()
		}
	}
}

func TestStates(t *testing.T) {
	c, at := history(t)
	states := func() string {
		t.Helper()
		got, err := c.States(t.Context(), []packaging.Name{"a", "b", "c", ""})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(got)
	}
	if got := states(); got != "map[a:quarantined]" {
		t.Errorf("a has a file, b had one, c is not known: %s", got)
	}
	// One that is quarantined has pages without files, one that has links only has none.
	err := c.Update(t.Context(), at(50), func(tx *Tx) error {
		if err := tx.SetLinks("b", []Link{{Project: "b", URL: "https://x.example/", Egg: "b"}}); err != nil {
			return err
		}
		return tx.Withdraw("a", "a-1.tar.gz", "gone", at(50), time.Hour)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := states(); got != "map[a:quarantined]" {
		t.Errorf("a is quarantined, b has links: %s", got)
	}
}
