package catalog

import (
	"fmt"
	"slices"
	"strings"

	"nestgen/packaging"
)

// announceRows is how many files one statement lists. Listed one by one, most of the
// time of a first request for a project would go to them.
const announceRows = 100

// Announce lists files of a project and a source that are not here, as Put does
// for each; the project must have been claimed. A file that the index lists already
// is left as it is. altered are those whose names once stood for other bytes, which
// are not listed.
func (t *Tx) Announce(n packaging.Name, source string, files []File, reason string) (added, altered []File, err error) {
	names := make([]string, len(files))
	for i := range files {
		if f := &files[i]; !f.Announced || f.Project != n || f.Source != source {
			return nil, nil, fmt.Errorf("write catalog: %s is no file that %s announces of %s", f.Filename, source, n)
		}
		names[i] = files[i].Filename
	}
	first, err := firstSeenOf(t.ctx, t.q, names)
	if err != nil {
		return nil, nil, err
	}
	listed, err := t.filenames(n)
	if err != nil {
		return nil, nil, err
	}
	var rows, events []any
	var paths []string
	for _, f := range files {
		verb := Add
		if sha, seen := first[f.Filename]; seen {
			if sha != f.SHA256 {
				altered = append(altered, f)
				continue
			}
			verb = Restore
		}
		if listed[f.Filename] {
			continue
		}
		listed[f.Filename] = true
		added = append(added, f)
		facts := encodeFacts(f)
		rows = append(rows, n, f.Filename, facts)
		events = append(events, t.made+int64(len(added)), t.now, verb, n, f.Filename, f.SHA256[:], source, reason, facts)
		paths = append(paths, f.Path)
	}
	if len(added) == 0 {
		return nil, altered, nil
	}
	if err := t.insert("INSERT INTO files VALUES ", 3, rows); err != nil {
		return nil, nil, err
	}
	if err := t.insert("INSERT INTO events VALUES ", 9, events); err != nil {
		return nil, nil, err
	}
	if err := t.q.exec(t.ctx, "DELETE FROM due WHERE path IN (SELECT value FROM json_each(?))", jsonList(paths)); err != nil {
		return nil, nil, err
	}
	t.made += int64(len(added))
	return added, altered, t.outdate(n, len(added), 0)
}

// Expire announces a file again whose bytes go because nobody wants them; f is what
// is said of it from then on. A file that the index does not list, or lists as
// announced already, is left as it is, and makes no event.
func (t *Tx) Expire(f File, reason string) (expired bool, err error) {
	old, listed, err := t.file(f.Project, f.Filename)
	if err != nil || !listed || old.Announced {
		return false, err
	}
	switch {
	case !f.Announced || !f.BLAKE2b.IsZero() || f.Signed || f.Provenance || !f.SignatureSum.IsZero() || !f.ProvenanceSum.IsZero():
		return false, fmt.Errorf("write catalog: %s is not announced by what is said of it", f.Filename)
	case f.SHA256 != old.SHA256:
		return false, fmt.Errorf("%s: sha256 %s, listed with %s: %w", f.Filename, f.SHA256, old.SHA256, ErrAltered)
	case f.Path != old.Path:
		return false, fmt.Errorf("%s: its place is %s: %w", f.Filename, old.Path, ErrMoved)
	}
	facts := encodeFacts(f)
	if err := t.q.exec(t.ctx, "INSERT OR REPLACE INTO files VALUES (?, ?, ?)", f.Project, f.Filename, facts); err != nil {
		return false, err
	}
	return true, t.eventCounting(Event{Verb: Expire, Project: f.Project, Filename: f.Filename, SHA256: f.SHA256, Source: f.Source, Reason: reason}, facts, 0, -old.Held())
}

// insert puts rows of so many values into a table.
func (t *Tx) insert(into string, columns int, values []any) error {
	row := "(" + strings.Repeat("?, ", columns-1) + "?)"
	for chunk := range slices.Chunk(values, announceRows*columns) {
		query := into + row + strings.Repeat(", "+row, len(chunk)/columns-1)
		if err := t.q.exec(t.ctx, query, chunk...); err != nil {
			return err
		}
	}
	return nil
}

// filenames gives the names of the files that the index lists for a project.
func (t *Tx) filenames(n packaging.Name) (map[string]bool, error) {
	return byKey[string, bool](t.ctx, t.q, "SELECT filename, 1 FROM files WHERE project = ?", n)
}
