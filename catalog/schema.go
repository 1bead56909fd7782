package catalog

import (
	"database/sql"
	"fmt"
	"io/fs"
	"strings"
)

// schemaVersion is kept in the database as its user_version, and oldestVersion is
// the first that can be brought up to it.
const (
	schemaVersion = 4
	oldestVersion = 2
)

// additions are what came after version 2, which had the tables of tables, by the
// version that it came with.
var additions = []struct {
	version int
	sql     []string
}{
	{3, []string{
		requiresTable,
		rootsTable,
		holdsTable,
		advisoriesTable,
		viewsTable, viewedTable, promotionsTable,
		withholdTable,
	}},
	{4, []string{
		recordsColumn,
		tilesTable,
		pagesTable, pageLogTable,
		snapshotsTable, frozenTable, lackingTable,
		exportsTable, exportedTable, originsTable, streamsTable, importedTable,
	}},
}

// The files and links of a project lie together (WITHOUT ROWID), because the
// project is what is read, rendered and published. What is said of a file is
// one value (facts.go): a full render reads all of them, and the database asks
// for none. A project counts its files, so that nobody has to, and "other" says
// what else it is listed for. Its pages show it as of the serial "published"; if only
// those of its own do, that is -1 less the serial; -1 stands for nothing that can be
// counted on. The index on added files is the ledger of file names: the first
// bytes under a name are the only ones.
const tables = `
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

// prepare checks the version of the schema, makes it in an empty database, and
// brings an older one up to date.
func (c *Catalog) prepare(mayWrite bool) error {
	var v int
	if err := c.db.QueryRow("PRAGMA user_version").Scan(&v); err != nil {
		return err
	}
	switch {
	case v == schemaVersion:
		return nil
	case v != 0 && (v < oldestVersion || v > schemaVersion):
		return fmt.Errorf("it has version %d, this nestgen knows versions %d to %d: use the nestgen that wrote it, or a newer one", v, oldestVersion, schemaVersion)
	case v == 0 && !mayWrite:
		return fs.ErrNotExist
	case !mayWrite:
		return fmt.Errorf("it has version %d, and this nestgen writes version %d: the next build brings it up to date", v, schemaVersion)
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
	if err := upgrade(tx, v); err != nil {
		return err
	}
	return tx.Commit()
}

// upgrade brings a database of a version, 0 for an empty one, up to date.
func upgrade(tx *sql.Tx, from int) error {
	var change strings.Builder
	if from == 0 {
		change.WriteString(tables)
	}
	for _, a := range additions {
		if a.version > from {
			change.WriteString(strings.Join(a.sql, "\n"))
		}
	}
	fmt.Fprintf(&change, "PRAGMA user_version = %d", schemaVersion)
	if _, err := tx.Exec(change.String()); err != nil {
		return err
	}
	if from > 0 && from < recordsVersion {
		return beginRecords(tx)
	}
	return nil
}
