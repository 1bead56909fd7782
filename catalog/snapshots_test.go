package catalog

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"testing"
	"time"

	"nestgen/packaging"
)

// A snapshot pins what it shows and what it may not show at the moment, and begins the
// grace of both when it goes.
func TestSnapshots(t *testing.T) {
	ctx, c := context.Background(), newCatalog(t)
	shown, hidden := aFile("foo", "foo-1.0-py3-none-any.whl", "1.0", 1), aFile("foo", "foo-2.0-py3-none-any.whl", "2.0", 2)
	tagged := Tagged{Tag: "x", Serial: 7, Time: noon.UnixMicro(), Rule: "daily", Note: "n"}
	update(t, c, func(tx *Tx) error {
		return tx.BeginSnapshot(tagged, map[packaging.Name][]string{"bar": {"bar-1.tar.gz"}, "foo": {"foo-0.tar.gz", "foo-0.zip"}}, "alice")
	})
	tagged.State, tagged.Lacking = SnapshotBegun, 3
	if got, err := c.Snapshot(ctx, "x"); err != nil || got != tagged {
		t.Errorf("Snapshot() = %+v, %v, want %+v", got, err, tagged)
	}
	const view = "snapshots/x"
	was := aViewed("foo", shown, hidden)
	update(t, c, func(tx *Tx) error {
		return errors.Join(tx.SetView(View{Name: view, Prefix: view}), tx.Freeze(view, "foo", was), tx.FinishSnapshot("x", Counts{1, 2, 3}, nil))
	})
	put(t, c, view, aViewed("foo", shown), true)
	tagged.State, tagged.Counts = SnapshotWhole, Counts{1, 2, 3}
	if got, err := c.Snapshots(ctx); err != nil || !slices.Equal(got, []Tagged{tagged}) {
		t.Errorf("Snapshots() = %+v, %v, want %+v", got, err, tagged)
	}
	if got, err := c.Lacking(ctx, "x"); err != nil || !reflect.DeepEqual(got, map[packaging.Name][]string{"bar": {"bar-1.tar.gz"}, "foo": {"foo-0.tar.gz", "foo-0.zip"}}) {
		t.Errorf("Lacking() = %v, %v", got, err)
	}
	if got, err := c.Frozen(ctx, view, "foo"); err != nil || !reflect.DeepEqual(got, was) {
		t.Errorf("Frozen() = %+v, %v, want %+v", got, err, was)
	}
	if got, err := c.Frozen(ctx, view, "bar"); err != nil || got != nil {
		t.Errorf("Frozen() of what shows what it was = %+v, %v", got, err)
	}
	stored, err := c.Stored(ctx)
	if err != nil || !stored.Listed[shown.Path] || !stored.Listed[hidden.Path] {
		t.Errorf("Stored() = %+v, %v: it does not pin its files", stored, err)
	}
	if names, err := c.FrozenNames(ctx, view); err != nil || !slices.Equal(names, []packaging.Name{"foo"}) {
		t.Errorf("FrozenNames() = %q, %v", names, err)
	}

	// Files of other projects come and go; what is not shown, and new statuses, matter.
	list(t, c, aFile("bar", "bar-2.tar.gz", "2", 3))
	list(t, c, hidden)
	since := func(serial int64, want ...packaging.Name) {
		t.Helper()
		if names, err := c.FrozenSince(ctx, view, serial); err != nil || !slices.Equal(names, want) {
			t.Errorf("FrozenSince(%d) = %q, %v, want %q", serial, names, err, want)
		}
	}
	since(0, "foo")
	update(t, c, func(tx *Tx) error { return tx.SetStatus("bar", Status{State: Quarantined}, "", Local) })
	since(0, "bar", "foo")
	last, err := c.Serial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	since(last)
	if some, err := c.ChangedBetween(ctx, last-1, last); err != nil || !some {
		t.Errorf("ChangedBetween() = %v, %v", some, err)
	}
	if some, err := c.ChangedBetween(ctx, 0, 1); err != nil || some { // that is the snapshot
		t.Errorf("ChangedBetween() of an event about the site = %v, %v", some, err)
	}
	if serial, err := c.ProjectSerial(ctx, "bar"); err != nil || serial != last {
		t.Errorf("ProjectSerial() = %d, %v, want %d", serial, err, last)
	}
	if serial, err := c.ProjectSerial(ctx, "nope"); err != nil || serial != 0 {
		t.Errorf("ProjectSerial() of nothing = %d, %v", serial, err)
	}

	update(t, c, func(tx *Tx) error {
		return errors.Join(tx.Withdraw("foo", hidden.Filename, "", noon, time.Hour), tx.LeaveSnapshot(tagged, "bob"))
	})
	if got, err := c.Snapshot(ctx, "x"); err != nil || got.State != SnapshotDropped {
		t.Errorf("Snapshot() = %+v, %v", got, err)
	}
	update(t, c, func(tx *Tx) error { return tx.DropSnapshot("x", view, noon, 7*24*time.Hour) })
	if _, err := c.Snapshot(ctx, "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Snapshot() of what is gone: %v", err)
	}
	if stored, err = c.Stored(ctx); err != nil || stored.Listed[shown.Path] || stored.Listed[hidden.Path] {
		t.Errorf("Stored() = %+v, %v: it pins what is gone", stored, err)
	}
	for _, f := range []File{shown, hidden} {
		if want := noon.Add(7 * 24 * time.Hour).UnixMicro(); stored.Due[f.Path] != want {
			t.Errorf("%s is due at %d, want %d", f.Filename, stored.Due[f.Path], want)
		}
	}
	var events []string
	for e, err := range c.Events(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Project == "" {
			events = append(events, string(e.Verb)+" "+e.Source+" "+e.Reason)
		}
	}
	if want := []string{"snapshot alice x serial 7, daily: n", "drop bob x serial 7"}; !slices.Equal(events, want) {
		t.Errorf("events %q, want %q", events, want)
	}
}

// What the events of snapshots and promotions say can be read again, and what says less
// is not taken for more.
func TestEventsSayWhatTheyAreAbout(t *testing.T) {
	for reason, want := range map[string]Tagged{
		"x serial 7":                      {Tag: "x", Serial: 7, Time: 9},
		"2026-w47 serial 7, weekly":       {Tag: "2026-w47", Serial: 7, Time: 9, Rule: "weekly"},
		"x serial 7: a, b: c serial 8":    {Tag: "x", Serial: 7, Time: 9, Note: "a, b: c serial 8"},
		"x serial 7, daily: kept for Ann": {Tag: "x", Serial: 7, Time: 9, Rule: "daily", Note: "kept for Ann"},
		"x serial":                        {}, "x serial 0": {}, " serial 7": {}, "sha256:0123": {}, "x": {}, "": {},
	} {
		e := Event{Verb: Snapshot, Time: 9, Reason: reason}
		if got, ok := e.Named(); got != want || ok != (want.Tag != "") {
			t.Errorf("%q: Named() = %+v, %v", reason, got, ok)
		}
	}
	for _, tt := range []struct {
		verb               Verb
		from, to, why, say string
	}{
		{Promotion, "/", "prod", "", "/ > prod"},
		{Promotion, "testing", "prod", "it > is: good", "testing > prod: it > is: good"},
		{Demotion, "", "prod", "", "prod"},
		{Demotion, "", "prod", "a > b", "prod: a > b"},
	} {
		e := Event{Verb: tt.verb, Reason: PromotionReason(tt.from, tt.to, tt.why)}
		if view, ok := e.PromotedTo(); e.Reason != tt.say || view != tt.to || !ok {
			t.Errorf("%q: PromotedTo() = %q, %v; want %q and %q", e.Reason, view, ok, tt.say, tt.to)
		}
	}
	for _, e := range []Event{{Verb: Promotion}, {Verb: Promotion, Reason: "sha256:0123"}, {Verb: Promotion, Reason: "some words"}, {Verb: Demotion, Reason: "some words"}} {
		if view, ok := e.PromotedTo(); ok {
			t.Errorf("%+v: PromotedTo() = %q", e, view)
		}
	}
}
