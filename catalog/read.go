package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"nestgen/layout"
	"nestgen/packaging"
)

// Project reads one project with its files and links. The error matches
// [fs.ErrNotExist] if the catalog has never heard of it; a project that has
// lost all its files is still known, because its name keeps its owner.
func (c *Catalog) Project(ctx context.Context, n packaging.Name) (*Project, error) {
	return project(ctx, c.one, n)
}

// advised is the column of what advisories say of a project, NULL for nothing.
const advised = "(SELECT records FROM advisories WHERE project = name)"

// project reads one project. It has one cursor open at a time, because many
// projects are read one by one, at once, and each cursor needs a connection.
func project(ctx context.Context, q querier, n packaging.Name) (*Project, error) {
	p := &Project{Name: n}
	var shown, records []byte
	err := q.QueryRowContext(ctx, "SELECT display, owner, state, reason, note, serial, shown, "+advised+" FROM projects WHERE name = ?", n).
		Scan(&p.Display, &p.Owner, &p.Status.State, &p.Status.Reason, &p.Note, &p.Serial, &shown, &records)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("project %s: %w", n, fs.ErrNotExist)
	}
	if err == nil {
		p.Shown, err = decodeCard(shown)
	}
	if err == nil {
		p.Advisories, err = decodeAdvisories(records)
	}
	if err != nil {
		return nil, fmt.Errorf("read catalog: project %s: %w", n, err)
	}
	if err := readFiles(ctx, q, p); err != nil {
		return nil, err
	}
	if err := readLinks(ctx, q, p); err != nil {
		return nil, err
	}
	return p, nil
}

func readFiles(ctx context.Context, q querier, p *Project) (err error) {
	p.Files, err = foundAll(ctx, q, fileReader(), "SELECT "+fileColumns+" FROM files WHERE project = ?", p.Name)
	SortFiles(p.Files)
	return err
}

func readLinks(ctx context.Context, q querier, p *Project) (err error) {
	p.Links, err = foundAll(ctx, q, func(rows *sql.Rows) (l Link, err error) {
		err = scanLink(rows, &l)
		return l, err
	}, "SELECT "+linkColumns+" FROM links WHERE project = ? ORDER BY url, egg, version", p.Name)
	return err
}

// Projects reads every project that the index lists or links to, in the order
// of their names. Each is the reader's to keep. It never holds more than one.
func (c *Catalog) Projects(ctx context.Context) iter.Seq2[*Project, error] {
	return func(yield func(*Project, error) bool) {
		for e, err := range c.entries(ctx, allListed) {
			if !yield(e.Project, err) {
				return
			}
		}
	}
}

// An Entry is a project on its way to the pages. One whose pages show its last
// event is just its name and the card that they have of it. Of any other
// Project has everything, and Shown what they have of it still.
type Entry struct {
	Name    packaging.Name
	Shown   Card
	Project *Project
}

// Entries reads every project that the index lists or links to, and those that
// it lists no more and whose pages are to go, in the order of their names.
func (c *Catalog) Entries(ctx context.Context) iter.Seq2[Entry, error] {
	return c.entries(ctx, outdated)
}

// Outdated counts the projects whose pages do not show their last event yet.
func (c *Catalog) Outdated(ctx context.Context) (n int, err error) {
	err = c.db.QueryRowContext(ctx, "SELECT count(*) FROM projects WHERE serial <> published").Scan(&n)
	return n, err
}

// areShown picks the projects whose own pages show their last event.
const areShown = "(published = projects.serial OR published = -1 - projects.serial)"

// IsShown reports whether the pages of a project's own show its last event. A name that
// the catalog has never heard of has none.
func (c *Catalog) IsShown(ctx context.Context, n packaging.Name) (bool, error) {
	return isShown(ctx, c.one, n)
}

func isShown(ctx context.Context, q querier, n packaging.Name) (is bool, err error) {
	err = q.QueryRowContext(ctx, "SELECT "+areShown+" FROM projects WHERE name = ?", n).Scan(&is)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	return is, err
}

// What leads to projects that are not shown: the events since some serial, of which there
// are few unless a build is at work, or what no build has published yet.
const (
	notShown       = "SELECT DISTINCT name FROM events CROSS JOIN projects ON name = project WHERE events.serial > ?1 AND projects.serial > ?1 AND NOT " + areShown + " LIMIT ?2"
	notShownOfMany = "SELECT name FROM projects INDEXED BY projects_unpublished WHERE serial <> published AND serial > ?1 AND NOT " + areShown + " LIMIT ?2"
	manyEvents     = 5000
)

// NotShown gives the projects that there are events of after a serial and whose own pages
// do not show them yet, so many at most.
func (c *Catalog) NotShown(ctx context.Context, after int64, limit int) ([]packaging.Name, error) {
	last, err := c.Serial(ctx)
	if err != nil {
		return nil, err
	}
	return namesNotShown(ctx, c.one, after, last, limit)
}

// NotShown is [Catalog.NotShown] inside a transaction.
func (t *Tx) NotShown(after int64, limit int) ([]packaging.Name, error) {
	return namesNotShown(t.ctx, t.q, after, t.made, limit)
}

func namesNotShown(ctx context.Context, q querier, after, last int64, limit int) ([]packaging.Name, error) {
	query := notShown
	if last-after > manyEvents {
		query = notShownOfMany
	}
	return projectNames(ctx, q, query, after, limit)
}

// isListed picks the projects that the index lists or links to.
const isListed = "(files > 0 OR other <> 0)"

// A selection of projects to read: which, and of which of them everything.
type selection struct {
	where, whole, project string
}

var (
	allListed = selection{isListed, "1", ""}
	outdated  = selection{isListed + " OR serial <> published", "serial <> published", "WHERE project IN (SELECT name FROM projects WHERE serial <> published)"}
)

// entries walks three cursors in the order of names: projects, their files
// and their links. They stand in one transaction, so that what they give goes
// together whatever another process writes meanwhile.
func (c *Catalog) entries(ctx context.Context, which selection) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		tx, err := c.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			yield(Entry{}, fmt.Errorf("read catalog: %w", err))
			return
		}
		defer tx.Rollback()
		var all readers
		defer func() { all.close() }()
		err = all.open(ctx, tx, which)
		for err == nil {
			var e Entry
			if e, err = all.next(); e.Name == "" || err != nil {
				break
			}
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(Entry{}, fmt.Errorf("read catalog: %w", err))
		}
	}
}

type readers struct {
	projects, files, links *sql.Rows
	file                   File // the first that is not given out yet
	link                   Link
	haveFile, haveLink     bool
}

func (r *readers) open(ctx context.Context, q querier, which selection) (err error) {
	if r.projects, err = q.QueryContext(ctx, "SELECT "+which.whole+", files, name, display, owner, state, reason, note, serial, shown, CASE WHEN "+which.whole+" THEN "+advised+" END FROM projects WHERE "+which.where+" ORDER BY name"); err != nil {
		return err
	}
	if r.files, err = q.QueryContext(ctx, "SELECT "+fileColumns+" FROM files "+which.project+" ORDER BY project, filename"); err != nil {
		return err
	}
	if r.links, err = q.QueryContext(ctx, "SELECT "+linkColumns+" FROM links "+which.project+" ORDER BY project, url, egg, version"); err != nil {
		return err
	}
	if err := r.nextFile(); err != nil {
		return err
	}
	return r.nextLink()
}

func (r *readers) close() {
	for _, rows := range []*sql.Rows{r.projects, r.files, r.links} {
		if rows != nil {
			rows.Close()
		}
	}
}

// next gives an Entry without a name after the last project.
func (r *readers) next() (e Entry, err error) {
	if !r.projects.Next() {
		return Entry{}, r.projects.Err()
	}
	var whole bool
	var files int
	var shown, records sql.RawBytes
	p := new(Project)
	if err := r.projects.Scan(&whole, &files, &p.Name, &p.Display, &p.Owner, &p.Status.State, &p.Status.Reason, &p.Note, &p.Serial, &shown, &records); err != nil {
		return Entry{}, err
	}
	if p.Shown, err = decodeCard(shown); err == nil {
		p.Advisories, err = decodeAdvisories(records)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("project %s: %w", p.Name, err)
	}
	e = Entry{Name: p.Name, Shown: p.Shown}
	if !whole {
		return e, nil
	}
	if files > 0 {
		p.Files = make([]File, 0, files)
	}
	for r.haveFile && r.file.Project <= p.Name {
		if r.file.Project == p.Name {
			p.Files = append(p.Files, r.file)
		}
		if err := r.nextFile(); err != nil {
			return Entry{}, err
		}
	}
	for r.haveLink && r.link.Project <= p.Name {
		if r.link.Project == p.Name {
			p.Links = append(p.Links, r.link)
		}
		if err := r.nextLink(); err != nil {
			return Entry{}, err
		}
	}
	SortFiles(p.Files)
	e.Project = p
	return e, nil
}

func (r *readers) nextFile() (err error) {
	if r.haveFile = r.files.Next(); !r.haveFile {
		return r.files.Err()
	}
	r.file, err = scanFile(r.files, &r.file)
	return err
}

func (r *readers) nextLink() error {
	if r.haveLink = r.links.Next(); !r.haveLink {
		return r.links.Err()
	}
	return scanLink(r.links, &r.link)
}

const linkColumns = "project, url, egg, version, source"

func scanLink(rows *sql.Rows, l *Link) error {
	return rows.Scan(&l.Project, &l.URL, &l.Egg, &l.Version, &l.Source)
}

const fileColumns = "project, filename, facts"

// scanFile reads a file. What it has in common with the one before it, as most
// files of a project have, is not made anew.
func scanFile(rows *sql.Rows, last *File) (File, error) {
	var project, facts sql.RawBytes
	var filename string
	if err := rows.Scan(&project, &filename, &facts); err != nil {
		return File{}, err
	}
	return decodeFacts(packaging.Name(same(project, string(last.Project))), filename, facts, last)
}

// SortFiles sorts the files of a project by version (PEP 440), then by name.
func SortFiles(files []File) {
	if len(files) < 2 {
		return
	}
	// A key is made once for a file, not once for a comparison.
	type keyed struct {
		key packaging.VersionKey
		at  int
	}
	keys := make([]keyed, len(files))
	for i := range files {
		if i > 0 && files[i].Version == files[i-1].Version {
			keys[i] = keyed{keys[i-1].key, i}
			continue
		}
		keys[i] = keyed{packaging.VersionKeyOf(files[i].Version), i}
	}
	slices.SortFunc(keys, func(a, b keyed) int {
		if c := cmp.Compare(a.key, b.key); c != 0 {
			return c
		}
		return strings.Compare(files[a.at].Filename, files[b.at].Filename)
	})
	// Each ring of files that take each other's places turns by one.
	for i := range keys {
		first := files[i]
		to := i
		for keys[to].at != i {
			from := keys[to].at
			files[to] = files[from]
			keys[to].at, to = to, from
		}
		files[to] = first
		keys[to].at = to
	}
}

// Owners gives the owner of every name that has one.
func (c *Catalog) Owners(ctx context.Context) (map[packaging.Name]string, error) {
	return byKey[packaging.Name, string](ctx, c.db, "SELECT name, owner FROM projects")
}

// Counts is how much the index lists.
type Counts struct {
	Projects, Files, Bytes int64
}

// Counts counts what the index lists.
func (c *Catalog) Counts(ctx context.Context) (n Counts, err error) {
	err = c.one.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(files), 0), coalesce(sum(bytes), 0) FROM projects WHERE "+isListed).
		Scan(&n.Projects, &n.Files, &n.Bytes)
	return n, err
}

// Serial is that of the last event, 0 in an empty catalog.
func (c *Catalog) Serial(ctx context.Context) (int64, error) {
	var s int64
	err := c.db.QueryRowContext(ctx, "SELECT coalesce(max(serial), 0) FROM events").Scan(&s)
	return s, err
}

// A ProjectSerial is a project and the serial of its last event.
type ProjectSerial struct {
	Name   packaging.Name
	Serial int64
}

// ProjectSerial gives the serial of the last event of a project, 0 for one that has
// none.
func (c *Catalog) ProjectSerial(ctx context.Context, n packaging.Name) (serial int64, err error) {
	err = c.one.QueryRowContext(ctx, "SELECT serial FROM projects WHERE name = ?", n).Scan(&serial)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return serial, err
}

// Serials reads the serials of all projects that the index lists or links to, in
// the order of their names.
func (c *Catalog) Serials(ctx context.Context) iter.Seq2[ProjectSerial, error] {
	return found(ctx, c.db, func(rows *sql.Rows) (p ProjectSerial, err error) {
		err = rows.Scan(&p.Name, &p.Serial)
		return p, err
	}, "SELECT name, serial FROM projects WHERE "+isListed+" ORDER BY name")
}

// Events reads the events after a serial, oldest first.
func (c *Catalog) Events(ctx context.Context, after int64) iter.Seq2[Event, error] {
	return events(ctx, c.db, "serial > ? ORDER BY serial", after)
}

// ProjectEvents reads the events of one project, oldest first.
func (c *Catalog) ProjectEvents(ctx context.Context, n packaging.Name) iter.Seq2[Event, error] {
	return events(ctx, c.db, "project = ? ORDER BY serial", n)
}

// events reads the events that a clause picks and puts in order.
func events(ctx context.Context, q querier, which string, args ...any) iter.Seq2[Event, error] {
	return found(ctx, q, func(rows *sql.Rows) (e Event, err error) {
		var sha sql.RawBytes
		err = rows.Scan(&e.Serial, &e.Time, &e.Verb, &e.Project, &e.Filename, &sha, &e.Source, &e.Reason)
		copy(e.SHA256[:], sha)
		return e, err
	}, "SELECT serial, time, verb, project, filename, sha256, source, reason FROM events WHERE "+which, args...)
}

// FirstSeen gives the event by which a file name first entered the index. Its
// digest is the only one that the name may ever stand for. The error matches
// [fs.ErrNotExist] for a new name.
func (c *Catalog) FirstSeen(ctx context.Context, filename string) (Event, error) {
	return firstSeen(ctx, c.one, filename)
}

func firstSeen(ctx context.Context, q querier, filename string) (Event, error) {
	e := Event{Verb: Add, Filename: filename}
	var sha []byte
	err := q.QueryRowContext(ctx, "SELECT serial, time, project, sha256, source FROM events WHERE verb = 'add' AND filename = ? ORDER BY serial LIMIT 1", filename).
		Scan(&e.Serial, &e.Time, &e.Project, &sha, &e.Source)
	if errors.Is(err, sql.ErrNoRows) {
		return Event{}, fmt.Errorf("file %s: %w", filename, fs.ErrNotExist)
	}
	copy(e.SHA256[:], sha)
	return e, err
}

const firstDigests = "SELECT filename, sha256 FROM events WHERE verb = 'add' AND filename IN (SELECT value FROM json_each(?)) ORDER BY serial DESC"

// FirstDigests gives the digests that file names were first added with, of those
// that ever were. To ask for many at once costs a fraction of asking for each.
func (c *Catalog) FirstDigests(ctx context.Context, filenames []string) (map[string]Digest, error) {
	return firstSeenOf(ctx, c.one, filenames)
}

func firstSeenOf(ctx context.Context, q querier, filenames []string) (map[string]Digest, error) {
	first := map[string]Digest{}
	for p, err := range found(ctx, q, readPair[string, []byte], firstDigests, jsonList(filenames)) {
		if err != nil {
			return nil, err
		}
		var d Digest
		copy(d[:], p.value)
		first[p.key] = d // the first comes last
	}
	return first, nil
}

// FileAt gives the file that the index lists at a path of the store. The error
// matches [fs.ErrNotExist] if it lists none there.
func (c *Catalog) FileAt(ctx context.Context, path string) (File, error) {
	_, filename, ok := layout.ParseFile(path)
	if !ok {
		return File{}, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	for f, err := range found(ctx, c.one, fileReader(), "SELECT "+fileColumns+" FROM files WHERE filename = ? AND project IN (SELECT project FROM events WHERE verb = 'add' AND filename = ?)", filename, filename) {
		if err != nil || f.Path == path {
			return f, err
		}
	}
	return File{}, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
}

// Due gives the paths of the store that may be deleted at a time, given in
// microseconds since 1970 UTC, sorted.
func (c *Catalog) Due(ctx context.Context, now int64) ([]string, error) {
	return column[string](ctx, c.db, "SELECT path FROM due WHERE due <= ? ORDER BY path", now)
}

// Mirrored reports whether a name belongs to an upstream.
func (c *Catalog) Mirrored(ctx context.Context) (bool, error) {
	var one int
	err := c.db.QueryRowContext(ctx, "SELECT 1 FROM projects WHERE owner <> ? LIMIT 1", Local).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
