package nestgen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"nestgen/catalog"
)

// SnapshotRules are the rules by which builds make snapshots. They are written as one
// text, "weekly, keep 8", or as a list of these.
type SnapshotRules []SnapshotRule

// A SnapshotRule has a build make a snapshot once in a period.
type SnapshotRule struct {
	// Period is "hourly", "daily", "weekly" or "monthly".
	Period string

	// Keep is how many of those that the rule has made stay.
	Keep int
}

// periods gives the name of the snapshot of a period that a moment in UTC is in. Later
// ones sort after earlier ones.
var periods = map[string]func(t time.Time) string{
	"hourly":  func(t time.Time) string { return t.Format("2006-01-02-15h") },
	"daily":   func(t time.Time) string { return t.Format(time.DateOnly) },
	"weekly":  func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprintf("%04d-w%02d", y, w) },
	"monthly": func(t time.Time) string { return t.Format("2006-01") },
}

// String gives the written form.
func (r SnapshotRule) String() string { return fmt.Sprintf("%s, keep %d", r.Period, r.Keep) }

// maxKeep is how many snapshots a rule keeps at most.
const maxKeep = 1000

func parseSnapshotRule(text string) (r SnapshotRule, err error) {
	period, keep, _ := strings.Cut(text, ",")
	r.Period = strings.TrimSpace(period)
	number, found := strings.CutPrefix(strings.TrimSpace(keep), "keep ")
	r.Keep, err = strconv.Atoi(strings.TrimSpace(number))
	if err != nil || !found || r.Keep < 1 || r.Keep > maxKeep || periods[r.Period] == nil {
		return r, fmt.Errorf("snapshots %q: want hourly, daily, weekly or monthly, and how many stay, at most %d: \"weekly, keep 8\"", text, maxKeep)
	}
	return r, nil
}

// UnmarshalTOML reads one rule, a list of rules, or "" for none.
func (rules *SnapshotRules) UnmarshalTOML(v any) error {
	list, is := v.([]any)
	if !is {
		list = []any{v}
	}
	*rules = nil
	for _, item := range list {
		text, is := item.(string)
		if !is {
			return fmt.Errorf("snapshots %v: want a rule such as \"weekly, keep 8\", or a list of rules", item)
		}
		if text == "" && len(list) == 1 {
			return nil
		}
		r, err := parseSnapshotRule(text)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(*rules, func(o SnapshotRule) bool { return o.Period == r.Period }) {
			return fmt.Errorf("snapshots: there are two %s rules", r.Period)
		}
		*rules = append(*rules, r)
	}
	return nil
}

// metaTaken begins the key under which the catalog keeps the name of the last snapshot
// that a rule made, so that it does not make one again that somebody has dropped.
const metaTaken = "snapshot "

// takeSnapshots begins the snapshots that are due by the rules of the settings, and
// begins to drop those that these keep no more. A dated one is made also where nothing
// has changed: who asks for what was there in a week finds it under its name.
func (s *site) takeSnapshots(ctx context.Context) error {
	if len(s.Snapshots) == 0 {
		return nil
	}
	serial, err := s.catalog.Serial(ctx)
	if err != nil || serial == 0 {
		return storage(err)
	}
	now := Now().UTC()
	for _, r := range s.Snapshots {
		tag := periods[r.Period](now)
		last, err := s.catalog.Meta(ctx, metaTaken+r.Period)
		if err != nil {
			return storage(err)
		}
		if tag <= last {
			continue // a clock that was set back has no say
		}
		t := catalog.Tagged{Tag: tag, Serial: serial, Rule: r.Period}
		_, err = s.catalog.Snapshot(ctx, tag)
		taken := err == nil
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return storage(err)
		}
		err = s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
			if !taken {
				if err := tx.BeginSnapshot(t, nil, "settings"); err != nil {
					return err
				}
			}
			return tx.SetMeta(metaTaken+r.Period, tag)
		})
		if err != nil {
			return storage(err)
		}
		s.log.Info("a snapshot is due", "tag", tag, "rule", r.String(), "serial", serial)
	}
	return s.retireSnapshots(ctx)
}

// tookSnapshot notes that a rule has made the snapshot of an event that was taken over.
func tookSnapshot(tx *catalog.Tx, e *catalog.Event) error {
	t, ok := e.Named()
	if !ok || t.Rule == "" {
		return nil
	}
	last, err := tx.Meta(metaTaken + t.Rule)
	if err != nil || t.Tag <= last {
		return err
	}
	return tx.SetMeta(metaTaken+t.Rule, t.Tag)
}

// retireSnapshots begins to drop the oldest snapshots of each rule that has made more
// than it keeps.
func (s *site) retireSnapshots(ctx context.Context) error {
	all, err := s.catalog.Snapshots(ctx)
	if err != nil {
		return storage(err)
	}
	var leave []catalog.Tagged
	for _, r := range s.Snapshots {
		var made []catalog.Tagged
		for _, t := range all {
			if t.Rule == r.Period && t.State != catalog.SnapshotDropped {
				made = append(made, t)
			}
		}
		slices.SortFunc(made, func(a, b catalog.Tagged) int { return strings.Compare(a.Tag, b.Tag) })
		leave = append(leave, made[:max(0, len(made)-r.Keep)]...)
	}
	return s.leaveSnapshots(ctx, leave, "settings")
}
