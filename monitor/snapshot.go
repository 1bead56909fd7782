package monitor

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"strings"

	"nestgen/layout"
	"nestgen/packaging"
)

// snapshotOf gives the snapshot whose index has a prefix. is says that it is the prefix of
// one, and known that the history has it.
func (h *history) snapshotOf(prefix string) (s snapshot, is, known bool) {
	tag, is := strings.CutPrefix(prefix, layout.Snapshots+"/")
	s, known = h.snapshots[tag]
	return s, is, known
}

// isFrozen reports whether a path is the page of a project in a snapshot, which says what
// the project was, or the compressed copy of one.
func (v *verification) isFrozen(path string) bool {
	if v.history == nil {
		return false
	}
	plain, _ := plainOf(path)
	prefix, rest := layout.CutPrefix(plain)
	_, _, known := v.history.snapshotOf(prefix)
	return known && isSimple(rest)
}

// proveSnapshots proves the pages of the projects of snapshots: each against what the
// project was at the serial that the snapshot is a name of. For that the log is read once
// more, and one state of then is held beside that of now; the first reading has told which
// serials they are.
func (v *verification) proveSnapshots(ctx context.Context, indexes map[string]map[packaging.Name]bool) error {
	tags := map[int64][]string{}
	pages := map[string][]string{}
	for tag, s := range v.history.snapshots {
		if prefix := layout.Snapshot(tag); !s.dropped || indexes[prefix] != nil {
			tags[s.serial] = append(tags[s.serial], tag)
			pages[prefix] = []string{}
		}
	}
	if len(tags) == 0 {
		return nil
	}
	total := v.checkpoint.Size
	for path := range v.pages {
		if v.isFrozen(path) {
			prefix, _ := layout.CutPrefix(path)
			pages[prefix] = append(pages[prefix], path)
			total++
		}
	}
	v.progress.Stage("snapshots", total)
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	var stopped error
	replay := states(slices.Sorted(maps.Keys(tags)), func(then *history) {
		for _, tag := range slices.Sorted(slices.Values(tags[then.serial])) {
			if stopped == nil {
				stopped = v.proveSnapshot(ctx, layout.Snapshot(tag), then, indexes, pages[layout.Snapshot(tag)])
			}
		}
		if stopped != nil {
			cancel()
		}
	}).replay()
	_, err := v.readLog(reading, v.checkpoint, layout.EventTile, past{}, replay.add, replay.end)
	return cmp.Or(stopped, err)
}

// proveSnapshot proves one snapshot, whose pages are below a prefix, with what the site's
// own index was then.
func (v *verification) proveSnapshot(ctx context.Context, prefix string, then *history, indexes map[string]map[packaging.Name]bool, paths []string) error {
	slices.Sort(paths)
	s, _, _ := v.history.snapshotOf(prefix)
	bad, err := v.settled(ctx, func(yield func(task) bool) {
		for _, path := range paths {
			t := v.task(path)
			t.since = -1 // what it lists is wanted each time
			_, rest := layout.CutPrefix(path)
			page, _ := layout.ParseProject(rest)
			if _, isCopy := plainOf(path); !isCopy {
				t.read = func(r io.Reader) (string, error) {
					d, err := readDocument(r, page.Form == layout.JSON)
					if err != nil {
						return "", err
					}
					return v.take(path, v.readFrozen(path, d, then.project(page.Project), s)), nil
				}
			}
			if !yield(t) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if err := v.tell(bad); err != nil || s.dropped {
		return err
	}
	if _, published := v.pages[layout.Below(prefix, layout.RootJSON)]; !published {
		return v.findAll(ctx, []Finding{newFinding(Index, layout.Below(prefix, layout.RootJSON), "it was not published, and the history has the snapshot, of serial %d", s.serial)})
	}
	v.report.Snapshots++
	var wrong []Finding
	for _, n := range slices.Sorted(maps.Keys(then.projects)) {
		if indexes[prefix][n] {
			continue
		}
		at, r, was, now := layout.Below(prefix, layout.ProjectJSON(n)), &reading{}, then.project(n), v.history.project(n)
		for i := range was.Files {
			v.leftOut(r, &was.Files[i], now, s, false)
		}
		if text := v.take(at, r); text != "" {
			wrong = append(wrong, newFinding(Index, at, "it was not published: %s", text))
		}
	}
	return v.findAll(ctx, wrong)
}
