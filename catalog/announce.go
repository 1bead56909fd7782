package catalog

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"nestgen/packaging"
)

// The statements that list many files of one project at once, each file an array of
// its name, its facts, its digest and the verb of its event. Sent one by one, most of
// the time of a first request for a project would go to them.
const (
	announceFiles  = "INSERT INTO files SELECT ?1, json_extract(value, '$[0]'), unhex(json_extract(value, '$[1]')) FROM json_each(?2)"
	announceEvents = "INSERT INTO events SELECT ?1 + key, ?2, json_extract(value, '$[3]'), ?3, json_extract(value, '$[0]'), unhex(json_extract(value, '$[2]')), ?4, ?5 FROM json_each(?6)"
	announceDue    = "DELETE FROM due WHERE path IN (SELECT value FROM json_each(?))"
	announceCount  = "UPDATE projects SET serial = ?, files = files + ? WHERE name = ?"
)

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
	var rows [][4]string
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
		rows = append(rows, [4]string{f.Filename, hex.EncodeToString(encodeFacts(f)), f.SHA256.String(), string(verb)})
		paths = append(paths, f.Path)
	}
	if len(added) == 0 {
		return nil, altered, nil
	}
	data, err := json.Marshal(rows)
	if err != nil {
		return nil, nil, err
	}
	due, err := json.Marshal(paths)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range []struct {
		query string
		args  []any
	}{
		{announceFiles, []any{n, string(data)}},
		{announceDue, []any{string(due)}},
		{announceEvents, []any{t.made + 1, t.now, n, source, reason, string(data)}},
		{announceCount, []any{t.made + int64(len(added)), len(added), n}},
	} {
		if err := t.q.exec(t.ctx, s.query, s.args...); err != nil {
			return nil, nil, err
		}
	}
	t.made += int64(len(added))
	return added, altered, nil
}

// filenames gives the names of the files that the index lists for a project.
func (t *Tx) filenames(n packaging.Name) (map[string]bool, error) {
	rows, err := t.q.QueryContext(t.ctx, "SELECT filename FROM files WHERE project = ?", n)
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	defer rows.Close()
	names := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("read catalog: %w", err)
		}
		names[name] = true
	}
	return names, rows.Err()
}
