package catalog

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"nestgen/advisory"
	"nestgen/packaging"
)

// advisoriesTable holds what advisories say, of every name that they speak of and
// not only of those that the index lists: who asks for a project for the first time
// is to get nothing that is known to be malware. Its rows are a copy of what was read
// last, so they make no events; but a change makes the pages of the project out of
// date.
const advisoriesTable = `
CREATE TABLE advisories (
	project TEXT PRIMARY KEY,
	records BLOB NOT NULL
) WITHOUT ROWID;
`

const advisoriesForm = 1

func encodeAdvisories(records []advisory.Record) []byte {
	b := []byte{advisoriesForm}
	b = binary.AppendUvarint(b, uint64(len(records)))
	for i := range records {
		r := &records[i]
		b = appendText(b, r.ID)
		b = appendTexts(b, r.Aliases)
		b = appendText(b, r.Summary)
		b = append(b, byte(r.Severity.Rating), r.Severity.Tenths)
		b = binary.AppendUvarint(b, uint64(len(r.Ranges)))
		for _, events := range r.Ranges {
			b = binary.AppendUvarint(b, uint64(len(events)))
			for _, e := range events {
				b = appendText(append(b, byte(e.Kind)), e.Version)
			}
		}
		b = appendTexts(b, r.Versions)
	}
	return b
}

func decodeAdvisories(b []byte) ([]advisory.Record, error) {
	if len(b) == 0 {
		return nil, nil
	}
	d := decoder{rest: b}
	if d.byte() != advisoriesForm {
		d.fail()
	}
	var records []advisory.Record
	for range d.count() {
		r := advisory.Record{ID: d.text(), Aliases: d.texts(), Summary: d.text()}
		r.Severity = advisory.Severity{Rating: advisory.Rating(d.byte()), Tenths: d.byte()}
		for range d.count() {
			var events advisory.Range
			for range d.count() {
				events = append(events, advisory.Event{Kind: advisory.EventKind(d.byte()), Version: d.text()})
			}
			r.Ranges = append(r.Ranges, events)
		}
		r.Versions = d.texts()
		records = append(records, r)
	}
	if d.bad || len(d.rest) > 0 {
		return nil, fmt.Errorf("advisories: %w", errDamaged)
	}
	return records, nil
}

// Advisories gives what advisories say of a name, whether or not the index lists it.
func (c *Catalog) Advisories(ctx context.Context, n packaging.Name) ([]advisory.Record, error) {
	var b []byte
	err := c.one.QueryRowContext(ctx, "SELECT records FROM advisories WHERE project = ?", n).Scan(&b)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	records, err := decodeAdvisories(b)
	if err != nil {
		return nil, fmt.Errorf("read catalog: %s: %w", n, err)
	}
	return records, nil
}

// Advised reads every project that the index lists files of and that advisories speak
// of, in the order of names.
func (c *Catalog) Advised(ctx context.Context) iter.Seq2[*Project, error] {
	return func(yield func(*Project, error) bool) {
		names, err := c.AdvisedNames(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, n := range names {
			if p, err := c.Project(ctx, n); !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// AdvisedNames gives the projects that the index lists files of and that advisories
// speak of, in the order of names.
func (c *Catalog) AdvisedNames(ctx context.Context) (names []packaging.Name, err error) {
	return projectNames(ctx, c.db, "SELECT project FROM advisories JOIN projects ON name = project WHERE files > 0 ORDER BY project")
}

// AllAdvisories gives every record, by project.
func (t *Tx) AllAdvisories() (map[packaging.Name][]advisory.Record, error) {
	bodies, err := t.advisoryBodies()
	if err != nil {
		return nil, err
	}
	all := make(map[packaging.Name][]advisory.Record, len(bodies))
	for n, b := range bodies {
		if all[n], err = decodeAdvisories([]byte(b)); err != nil {
			return nil, fmt.Errorf("read catalog: %s: %w", n, err)
		}
	}
	return all, nil
}

func (t *Tx) advisoryBodies() (map[packaging.Name]string, error) {
	return byKey[packaging.Name, string](t.ctx, t.q, "SELECT project, records FROM advisories")
}

// SetAdvisories makes these all that advisories say, and the pages of the projects
// that they now say something else of out of date. It gives the names of those,
// sorted, whether or not the index lists them. It makes no event.
func (t *Tx) SetAdvisories(all map[packaging.Name][]advisory.Record) (changed []packaging.Name, err error) {
	old, err := t.advisoryBodies()
	if err != nil {
		return nil, err
	}
	for _, n := range slices.Sorted(maps.Keys(all)) {
		if len(all[n]) == 0 {
			continue
		}
		body := encodeAdvisories(all[n])
		was, known := old[n]
		delete(old, n)
		if known && was == string(body) {
			continue
		}
		if err := t.q.exec(t.ctx, "INSERT OR REPLACE INTO advisories VALUES (?, ?)", n, body); err != nil {
			return nil, err
		}
		changed = append(changed, n)
	}
	for n := range old {
		if err := t.q.exec(t.ctx, "DELETE FROM advisories WHERE project = ?", n); err != nil {
			return nil, err
		}
		changed = append(changed, n)
	}
	slices.Sort(changed)
	for _, n := range changed {
		if err := t.q.exec(t.ctx, "UPDATE projects SET published = -1 WHERE name = ? AND files > 0 AND owner <> ?", n, Local); err != nil {
			return nil, err
		}
	}
	return changed, nil
}
