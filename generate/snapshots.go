package generate

import (
	"bytes"
	"html/template"
	"strconv"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/templates"
)

// A SnapshotsPage is what the template of the page of snapshots is executed with.
type SnapshotsPage struct {
	*Shared

	// Snapshots are those that there are, the newest first.
	Snapshots []SnapshotLine
}

// A SnapshotLine is one snapshot on its page. Its date is for people, in UTC.
type SnapshotLine struct {
	Tag    string
	Serial string
	Date   string
	Note   string

	// Rule is the rule of the settings that made it; empty if somebody did.
	Rule string

	// The counts of what it has, and how many files it lacks; empty for none.
	Projects string
	Files    string
	Lacking  string

	// Simple is the whole address of its simple index.
	Simple template.HTML
}

// SnapshotsPage makes the page for people of the snapshots, which come in the order
// in which they were made. Equal snapshots make the same bytes.
func (s *Site) SnapshotsPage(all []catalog.Tagged, sink Sink) error {
	page, err := s.snapshotsHTML(all)
	if err != nil {
		return err
	}
	return sink.Put(layout.SnapshotsHTML, page)
}

func (s *Site) snapshotsHTML(all []catalog.Tagged) ([]byte, error) {
	shared, err := s.shared(new(parts), layout.SnapshotsHTML)
	if err != nil {
		return nil, err
	}
	v := &SnapshotsPage{Shared: shared, Snapshots: make([]SnapshotLine, 0, len(all))}
	for i := len(all) - 1; i >= 0; i-- {
		t := &all[i]
		line := SnapshotLine{
			Tag: clean(t.Tag), Serial: strconv.FormatInt(t.Serial, 10), Date: momentText(t.Time), Note: clean(t.Note), Rule: clean(t.Rule),
			Projects: projectsText(int(t.Projects)), Files: filesText(int(t.Files)),
			Simple: shared.address(layout.Below(layout.Snapshot(t.Tag), layout.Simple+"/")),
		}
		if t.Lacking > 0 {
			line.Lacking = filesText(int(t.Lacking))
		}
		v.Snapshots = append(v.Snapshots, line)
	}
	var w bytes.Buffer
	err = s.templates().Execute(&w, templates.Snapshots, v)
	return w.Bytes(), err
}

// projectsText says how many projects there are.
func projectsText(n int) string {
	if n == 1 {
		return "1 project"
	}
	return countText(n) + " projects"
}
