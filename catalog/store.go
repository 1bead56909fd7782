package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
	found, err := column[string](ctx, c.db, "PRAGMA integrity_check(20)")
	for _, s := range found {
		if s != "ok" {
			err = errors.Join(err, errors.New("catalog: "+s))
		}
	}
	return err
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
