package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strconv"
)

// A LogName names one of the logs whose hashes the catalog keeps.
type LogName string

// The logs: a leaf of Events is a record, and the one at an index has the serial
// after it; a leaf of Pages says what was published at a path.
const (
	Events LogName = "events"
	Pages  LogName = "pages"
)

// The hashes of the logs, in tiles of 256 of each level as they are published. The
// size of a log stands in meta.
const tilesTable = `
CREATE TABLE tiles (
	log    TEXT NOT NULL,
	level  INTEGER NOT NULL,
	n      INTEGER NOT NULL,
	hashes BLOB NOT NULL,
	PRIMARY KEY (log, level, n)
) WITHOUT ROWID;
`

// What is published at each path, and the leaves that tell how it came to be so: the
// last one about a path is what is there.
const (
	pagesTable = `
CREATE TABLE pages (
	path   TEXT PRIMARY KEY,
	size   INTEGER NOT NULL,
	sha256 BLOB NOT NULL
) WITHOUT ROWID;
`
	pageLogTable = `
CREATE TABLE pagelog (
	n      INTEGER PRIMARY KEY,
	path   TEXT NOT NULL,
	size   INTEGER NOT NULL,
	sha256 BLOB NOT NULL
);
`
)

// A Page is what is published at a path of the tree. The zero digest says that nothing
// is any more.
type Page struct {
	Path   string
	Size   int64
	SHA256 Digest
}

// LogTiles reads the hash tiles of a log.
type LogTiles struct {
	ctx context.Context
	q   querier
	log LogName
}

// Tiles gives the hash tiles of a log.
func (c *Catalog) Tiles(ctx context.Context, log LogName) LogTiles { return LogTiles{ctx, c.one, log} }

// Tiles is [Catalog.Tiles] inside a transaction.
func (t *Tx) Tiles(log LogName) LogTiles { return LogTiles{t.ctx, t.q, log} }

// Tile gives the hashes of a tile as far as they are known, none if it does not begin
// yet.
func (l LogTiles) Tile(level int, n int64) ([]byte, error) {
	var hashes []byte
	err := l.q.QueryRowContext(l.ctx, "SELECT hashes FROM tiles WHERE log = ? AND level = ? AND n = ?", l.log, level, n).Scan(&hashes)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	return hashes, nil
}

// SetTile keeps the hashes of a tile.
func (t *Tx) SetTile(log LogName, level int, n int64, hashes []byte) error {
	return t.q.exec(t.ctx, "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?)", log, level, n, hashes)
}

// LogSize gives how many leaves of a log have their hashes kept.
func (c *Catalog) LogSize(ctx context.Context, log LogName) (int64, error) {
	return logSize(ctx, c.one, log)
}

// LogSize is [Catalog.LogSize] inside a transaction.
func (t *Tx) LogSize(log LogName) (int64, error) { return logSize(t.ctx, t.q, log) }

func logSize(ctx context.Context, q querier, log LogName) (int64, error) {
	text, err := meta(ctx, q, "log "+string(log))
	if err != nil || text == "" {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// SetLogSize notes that the hashes of so many leaves are kept.
func (t *Tx) SetLogSize(log LogName, size int64) error {
	return t.SetMeta("log "+string(log), strconv.FormatInt(size, 10))
}

// Last is the serial of the last event, those of the transaction among them.
func (t *Tx) Last() int64 { return t.made }

// Published notes what is at a path from now on, and reports whether that is news,
// and so a leaf of the log of pages.
func (t *Tx) Published(p Page) (news bool, err error) {
	var sha []byte
	err = t.q.QueryRowContext(t.ctx, "SELECT sha256 FROM pages WHERE path = ?", p.Path).Scan(&sha)
	switch {
	case errors.Is(err, sql.ErrNoRows) && p.SHA256.IsZero():
		return false, nil
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return false, fmt.Errorf("read catalog: %w", err)
	case string(sha) == string(p.SHA256[:]):
		return false, nil
	}
	if p.SHA256.IsZero() {
		err = t.q.exec(t.ctx, "DELETE FROM pages WHERE path = ?", p.Path)
	} else {
		err = t.q.exec(t.ctx, "INSERT OR REPLACE INTO pages VALUES (?, ?, ?)", p.Path, p.Size, p.SHA256[:])
	}
	if err != nil {
		return false, err
	}
	// Leaves count from 0.
	return true, t.q.exec(t.ctx, "INSERT INTO pagelog VALUES ((SELECT coalesce(max(n) + 1, 0) FROM pagelog), ?, ?, ?)", p.Path, p.Size, p.SHA256[:])
}

// PagePaths gives the paths at which something is published, in their order.
func (t *Tx) PagePaths() ([]string, error) {
	return column[string](t.ctx, t.q, "SELECT path FROM pages ORDER BY path")
}

// PagesBelow is PagePaths for those below a folder.
func (t *Tx) PagesBelow(folder string) ([]string, error) {
	// "0" is the byte after "/".
	return column[string](t.ctx, t.q, "SELECT path FROM pages WHERE path > ? AND path < ? ORDER BY path", folder+"/", folder+"0")
}

// PageLog reads the leaves of the log of pages from an index up to another, which is
// not among them.
func (c *Catalog) PageLog(ctx context.Context, from, to int64) iter.Seq2[Page, error] {
	return pageLog(ctx, c.db, from, to)
}

// PageLog is [Catalog.PageLog] inside a transaction.
func (t *Tx) PageLog(from, to int64) iter.Seq2[Page, error] { return pageLog(t.ctx, t.q, from, to) }

func pageLog(ctx context.Context, q querier, from, to int64) iter.Seq2[Page, error] {
	return found(ctx, q, func(rows *sql.Rows) (p Page, err error) {
		var sha sql.RawBytes
		err = rows.Scan(&p.Path, &p.Size, &sha)
		copy(p.SHA256[:], sha)
		return p, err
	}, "SELECT path, size, sha256 FROM pagelog WHERE n >= ? AND n < ? ORDER BY n", from, to)
}

// PageLeaves gives how many leaves the log of pages has, whether or not their hashes
// are kept yet.
func (c *Catalog) PageLeaves(ctx context.Context) (n int64, err error) {
	if err = c.one.QueryRowContext(ctx, "SELECT coalesce(max(n) + 1, 0) FROM pagelog").Scan(&n); err != nil {
		err = fmt.Errorf("read catalog: %w", err)
	}
	return n, err
}
