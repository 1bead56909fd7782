package catalog

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"nestgen/packaging"
)

// A Root is what is known of the root page of an upstream, which says for each
// project when it last changed there.
type Root struct {
	// ETag and LastModified are its validators, and Serial is that of the whole
	// upstream.
	ETag         string
	LastModified string
	Serial       int64

	// Size is how many bytes it took to fetch it, 0 if that is not known.
	Size int64

	// Useless says why it was of no use the last time, and is empty if it was.
	Useless string

	// Tried is when it was last asked for, and Whole when all projects were last
	// asked about one by one. In microseconds since 1970 UTC, 0 for never.
	Tried, Whole int64

	// Serials are those of the projects that the site wanted at the time.
	Serials map[packaging.Name]int64
}

const rootsTable = `
CREATE TABLE roots (
	upstream      TEXT PRIMARY KEY,
	etag          TEXT NOT NULL,
	last_modified TEXT NOT NULL,
	serial        INTEGER NOT NULL,
	size          INTEGER NOT NULL,
	useless       TEXT NOT NULL,
	tried         INTEGER NOT NULL,
	whole         INTEGER NOT NULL,
	serials       BLOB NOT NULL
) WITHOUT ROWID;
`

// Root gives what is known of the root page of an upstream. The error matches
// [fs.ErrNotExist] if it was never asked for.
func (c *Catalog) Root(ctx context.Context, upstream string) (Root, error) {
	var r Root
	var serials []byte
	err := c.db.QueryRowContext(ctx, "SELECT etag, last_modified, serial, size, useless, tried, whole, serials FROM roots WHERE upstream = ?", upstream).
		Scan(&r.ETag, &r.LastModified, &r.Serial, &r.Size, &r.Useless, &r.Tried, &r.Whole, &serials)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Root{}, fmt.Errorf("root page of %s: %w", upstream, fs.ErrNotExist)
	case err != nil:
		return Root{}, fmt.Errorf("read catalog: %w", err)
	}
	if r.Serials, err = decodeSerials(serials); err != nil {
		return Root{}, fmt.Errorf("read catalog: root page of %s: %w", upstream, err)
	}
	return r, nil
}

// SetRoot keeps what is known of the root page of an upstream. It makes no event.
func (t *Tx) SetRoot(upstream string, r Root) error {
	return t.q.exec(t.ctx, "INSERT OR REPLACE INTO roots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		upstream, r.ETag, r.LastModified, r.Serial, r.Size, r.Useless, r.Tried, r.Whole, encodeSerials(r.Serials))
}

// ListingSerials gives the serials that an upstream's listings of projects have,
// 0 for those that have none.
func (c *Catalog) ListingSerials(ctx context.Context, upstream string) (map[packaging.Name]int64, error) {
	return byKey[packaging.Name, int64](ctx, c.db, "SELECT project, serial FROM listings WHERE upstream = ?", upstream)
}

// serialsForm is the first byte of what is kept of a root page.
const serialsForm = 1

func encodeSerials(serials map[packaging.Name]int64) []byte {
	b := []byte{serialsForm}
	b = binary.AppendUvarint(b, uint64(len(serials)))
	for _, n := range slices.Sorted(maps.Keys(serials)) {
		b = appendText(b, string(n))
		b = binary.AppendVarint(b, serials[n])
	}
	return b
}

func decodeSerials(b []byte) (map[packaging.Name]int64, error) {
	if len(b) == 0 || b[0] != serialsForm {
		return nil, errDamaged
	}
	d := decoder{rest: b[1:]}
	count := d.count()
	serials := make(map[packaging.Name]int64, count)
	for range count {
		n := packaging.Name(d.text())
		serials[n] = d.number()
	}
	if d.bad || len(d.rest) > 0 {
		return nil, errDamaged
	}
	return serials, nil
}
