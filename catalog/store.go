package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"modernc.org/sqlite" // also the "sqlite" driver of database/sql
	sqlite3 "modernc.org/sqlite/lib"
)

// A Catalog is the embedded store of one site: what the index lists, every
// event that made it so, and what is known of the upstreams. Several processes
// may have it open at once; [Catalog.Update] calls follow one another.
type Catalog struct {
	db   *sql.DB
	one  *reads // what is asked of one project
	file string // empty for one in memory
}

// idleConnections stay open. Opening one costs more than most questions do.
const idleConnections = 8

func opened(db *sql.DB, file string) *Catalog {
	db.SetMaxIdleConns(idleConnections)
	return &Catalog{db, &reads{db: db, made: map[string]*sql.Stmt{}}, file}
}

// patience is how long a process waits for others that have the database locked,
// and pollBusy how often it looks where the database does not do so itself.
const (
	patience = 20 * time.Second
	pollBusy = 5 * time.Millisecond
)

func isBusy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// schemaVersion is kept in the database as its user_version.
const schemaVersion = 2

// The files and links of a project lie together (WITHOUT ROWID), because the
// project is what is read, rendered and published. What is said of a file is
// one value (facts.go): a full render reads all of them, and the database asks
// for none. A project counts its files, so that nobody has to, and "other" says
// what else it is listed for. The index on added files is the ledger of file names: the first
// bytes under a name are the only ones.
const schema = `
CREATE TABLE meta (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE projects (
	name      TEXT PRIMARY KEY,
	display   TEXT NOT NULL,
	owner     TEXT NOT NULL,
	state     TEXT NOT NULL,
	reason    TEXT NOT NULL,
	note      TEXT NOT NULL,
	files     INTEGER NOT NULL,
	bytes     INTEGER NOT NULL,
	other     INTEGER NOT NULL,
	serial    INTEGER NOT NULL,
	published INTEGER NOT NULL,
	shown     BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX projects_unpublished ON projects (name) WHERE serial <> published;

CREATE TABLE files (
	project  TEXT NOT NULL,
	filename TEXT NOT NULL,
	facts    BLOB NOT NULL,
	PRIMARY KEY (project, filename)
) WITHOUT ROWID;

CREATE TABLE links (
	project TEXT NOT NULL,
	url     TEXT NOT NULL,
	egg     TEXT NOT NULL,
	version TEXT NOT NULL,
	source  TEXT NOT NULL,
	PRIMARY KEY (project, url, egg, version)
) WITHOUT ROWID;

CREATE TABLE events (
	serial   INTEGER PRIMARY KEY,
	time     INTEGER NOT NULL,
	verb     TEXT NOT NULL,
	project  TEXT NOT NULL,
	filename TEXT NOT NULL,
	sha256   BLOB,
	source   TEXT NOT NULL,
	reason   TEXT NOT NULL
);
CREATE INDEX history ON events (project, serial);
CREATE INDEX ledger ON events (filename) WHERE verb = 'add';

CREATE TABLE due (
	path   TEXT PRIMARY KEY,
	due    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE refusals (
	source   TEXT NOT NULL,
	filename TEXT NOT NULL,
	digest   TEXT NOT NULL,
	rules    TEXT NOT NULL,
	reason   TEXT NOT NULL,
	PRIMARY KEY (source, filename)
) WITHOUT ROWID;

CREATE TABLE listings (
	upstream      TEXT NOT NULL,
	project       TEXT NOT NULL,
	etag          TEXT NOT NULL,
	last_modified TEXT NOT NULL,
	serial        INTEGER NOT NULL,
	body          BLOB NOT NULL,
	PRIMARY KEY (upstream, project)
) WITHOUT ROWID;
`

// Open opens the catalog in file, and makes an empty one where there is none.
// The folder must exist. An error says what stands in the way; a catalog that
// a newer nestgen wrote is refused and left alone.
func Open(file string) (*Catalog, error) {
	if f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o640); err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	} else {
		f.Close()
	}
	return open(file, "")
}

// OpenReadOnly opens an existing catalog for reading. The error matches
// [fs.ErrNotExist] where there is none.
func OpenReadOnly(file string) (*Catalog, error) {
	if _, err := os.Stat(file); err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	return open(file, "&_pragma=query_only(1)")
}

func open(file, more string) (*Catalog, error) {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath()}
	db, err := sql.Open("sqlite", u.String()+
		"?_pragma=busy_timeout("+strconv.FormatInt(patience.Milliseconds(), 10)+")&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"+more)
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	c := opened(db, file)
	err = c.prepare(more == "")
	// The database waits for nobody while it changes to its journal, which those
	// who open a new one at once all do.
	for until := time.Now().Add(patience); isBusy(err) && time.Now().Before(until); {
		time.Sleep(pollBusy)
		err = c.prepare(more == "")
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("open catalog %s: %w", file, err)
	}
	return c, nil
}

// prepare checks the version of the schema, and makes it in an empty database.
func (c *Catalog) prepare(mayCreate bool) error {
	var v int
	if err := c.db.QueryRow("PRAGMA user_version").Scan(&v); err != nil {
		return err
	}
	switch {
	case v == schemaVersion:
		return nil
	case v != 0:
		return fmt.Errorf("it has version %d, this nestgen knows version %d: use the nestgen that wrote it, or a newer one", v, schemaVersion)
	case !mayCreate:
		return fs.ErrNotExist
	}
	tx, err := c.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	// Two first runs at once: the second finds the schema made.
	if err := tx.QueryRow("PRAGMA user_version").Scan(&v); err != nil {
		return err
	}
	if v == schemaVersion {
		return nil
	}
	if _, err := tx.Exec(schema + fmt.Sprintf("PRAGMA user_version = %d", schemaVersion)); err != nil {
		return err
	}
	return tx.Commit()
}

// Close closes the catalog. The last one to do so takes over into the file what
// is in the log beside it, and removes that.
func (c *Catalog) Close() error { return c.db.Close() }

// longLog is how long the log of a catalog may be that nobody closes, in bytes:
// some ten projects. It is read whole by whoever is the first to open the catalog,
// at about a millisecond for each MiB.
const longLog = 1 << 20

// HasLongLog reports whether so much was written since somebody has closed the
// catalog that it is worth doing again. A process that ends without Close leaves
// its log to the next one; where all do, it grows for ever.
func (c *Catalog) HasLongLog() bool {
	fi, err := os.Stat(c.file + "-wal") // there is none where it was closed, or is in memory
	return err == nil && fi.Size() > longLog
}

// Check runs the database's own test of integrity and gives what it found.
func (c *Catalog) Check(ctx context.Context) error {
	rows, err := c.db.QueryContext(ctx, "PRAGMA integrity_check(20)")
	if err != nil {
		return err
	}
	defer rows.Close()
	var faults []error
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return err
		}
		if s != "ok" {
			faults = append(faults, errors.New("catalog: "+s))
		}
	}
	return errors.Join(append(faults, rows.Err())...)
}

// Meta gives a value that was kept with [Tx.SetMeta]; empty when there is none.
func (c *Catalog) Meta(ctx context.Context, key string) (string, error) {
	return meta(ctx, c.one, key)
}

type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

func meta(ctx context.Context, q querier, key string) (string, error) {
	var v string
	err := q.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = ?", key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, err
}

var empties atomic.Int64

// OpenEmpty gives a catalog that knows nothing and is nowhere on disk, for a
// run that only looks at a site which was never built.
func OpenEmpty() (*Catalog, error) {
	db, err := sql.Open("sqlite", fmt.Sprintf("file:empty-%d?mode=memory&cache=shared", empties.Add(1)))
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	c := opened(db, "")
	if err := c.prepare(true); err != nil {
		db.Close()
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	return c, nil
}

// IsFull reports whether an error says that there is no room for the database.
func IsFull(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == sqlite3.SQLITE_FULL
}

// IsDatabaseFault reports whether an error is one of the database's own, as
// for a full disk or a damaged file.
func IsDatabaseFault(err error) bool {
	_, ok := errors.AsType[*sqlite.Error](err)
	return ok
}
