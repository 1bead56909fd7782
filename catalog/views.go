package catalog

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"time"

	"nestgen/packaging"
)

// The tables of views. Besides the index that the tables of projects and files are, there are views: named
// copies of values of projects, each with files that the index listed at some time,
// and with pages of its own below a prefix. What a view lists pins its bytes as what
// the index lists does. A project of a view is one value: it is read and rendered
// whole, and compared whole. Its row without a body is one whose pages are to go.
//
// A promotion has a view list a file whatever else becomes of it. What is kept of it
// is what the index said of the file last.
const (
	viewsTable = `
CREATE TABLE views (
	name   TEXT PRIMARY KEY,
	prefix TEXT NOT NULL,
	rules  TEXT NOT NULL,
	serial INTEGER NOT NULL,
	pages  TEXT NOT NULL
) WITHOUT ROWID;
`
	viewedTable = `
CREATE TABLE viewed (
	view      TEXT NOT NULL,
	project   TEXT NOT NULL,
	body      BLOB NOT NULL,
	published INTEGER NOT NULL,
	shown     BLOB NOT NULL,
	PRIMARY KEY (view, project)
) WITHOUT ROWID;
CREATE INDEX viewed_unpublished ON viewed (view, project) WHERE published = 0;
`
	promotionsTable = `
CREATE TABLE promotions (
	view     TEXT NOT NULL,
	project  TEXT NOT NULL,
	filename TEXT NOT NULL,
	facts    BLOB NOT NULL,
	PRIMARY KEY (view, project, filename)
) WITHOUT ROWID;
`
)

// A View is what is known of a view as a whole.
type View struct {
	// Name is what people call it, and Prefix where its pages are in the tree.
	Name, Prefix string

	// Rules names everything besides the events that what it lists follows from,
	// and Serial is that of the last event that it takes into account.
	Rules  string
	Serial int64

	// Pages names everything besides its projects that its pages depend on; empty
	// if all have to be made anew.
	Pages string
}

// Views gives all views by their names.
func (c *Catalog) Views(ctx context.Context) (map[string]View, error) {
	all := map[string]View{}
	for v, err := range found(ctx, c.db, func(rows *sql.Rows) (v View, err error) {
		err = rows.Scan(&v.Name, &v.Prefix, &v.Rules, &v.Serial, &v.Pages)
		return v, err
	}, "SELECT name, prefix, rules, serial, pages FROM views") {
		if err != nil {
			return nil, err
		}
		all[v.Name] = v
	}
	return all, nil
}

// ViewProject reads a project as a view has it. The error matches [fs.ErrNotExist]
// if the view does not have it.
func (c *Catalog) ViewProject(ctx context.Context, view string, n packaging.Name) (*Project, error) {
	p, err := viewProject(ctx, c.one, view, n)
	if err == nil && p == nil {
		err = fmt.Errorf("project %s of %s: %w", n, view, fs.ErrNotExist)
	}
	return p, err
}

// viewProject gives nil for one that the view does not have.
func viewProject(ctx context.Context, q querier, view string, n packaging.Name) (*Project, error) {
	var body, shown []byte
	err := q.QueryRowContext(ctx, "SELECT body, shown FROM viewed WHERE view = ? AND project = ?", view, n).Scan(&body, &shown)
	if errors.Is(err, sql.ErrNoRows) || err == nil && len(body) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	p, err := decodeViewed(n, body, shown)
	if err != nil {
		return nil, fmt.Errorf("read catalog: %s: %w", view, err)
	}
	return p, nil
}

func decodeViewed(n packaging.Name, body, shown []byte) (p *Project, err error) {
	if len(body) > 0 {
		p, err = decodeBody(n, body)
	} else {
		p = &Project{Name: n, Display: string(n)}
	}
	if err == nil {
		p.Shown, err = decodeCard(shown)
	}
	if err != nil {
		return nil, fmt.Errorf("project %s: %w", n, err)
	}
	return p, nil
}

// ViewProjects reads every project of a view, in the order of their names.
func (c *Catalog) ViewProjects(ctx context.Context, view string) iter.Seq2[*Project, error] {
	return func(yield func(*Project, error) bool) {
		for e, err := range c.viewEntries(ctx, "SELECT project, body, shown, 0 FROM viewed WHERE view = ? AND body <> x'' ORDER BY project", view) {
			if !yield(e.Project, err) {
				return
			}
		}
	}
}

// ViewEntries is [Catalog.Entries] for a view.
func (c *Catalog) ViewEntries(ctx context.Context, view string) iter.Seq2[Entry, error] {
	return c.viewEntries(ctx, "SELECT project, iif(published, x'', body), shown, published FROM viewed WHERE view = ? ORDER BY project", view)
}

func (c *Catalog) viewEntries(ctx context.Context, query, view string) iter.Seq2[Entry, error] {
	return found(ctx, c.db, func(rows *sql.Rows) (e Entry, err error) {
		var published bool
		var body, shown sql.RawBytes
		if err = rows.Scan(&e.Name, &body, &shown, &published); err != nil {
			return e, err
		}
		if published {
			e.Shown, err = decodeCard(shown)
		} else if e.Project, err = decodeViewed(e.Name, body, shown); err == nil {
			e.Shown = e.Project.Shown
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", view, err)
		}
		return e, err
	}, query, view)
}

// ViewOutdated counts the projects of a view whose pages do not show it yet.
func (c *Catalog) ViewOutdated(ctx context.Context, view string) (n int, err error) {
	err = c.one.QueryRowContext(ctx, "SELECT count(*) FROM viewed WHERE view = ? AND published = 0", view).Scan(&n)
	return n, err
}

// ViewNames gives the projects of a view, in the order of their names.
func (c *Catalog) ViewNames(ctx context.Context, view string) ([]packaging.Name, error) {
	return projectNames(ctx, c.db, "SELECT project FROM viewed WHERE view = ? AND body <> x'' ORDER BY project", view)
}

// Names gives every project that the catalog knows, whether or not the index lists
// it, in the order of their names.
func (c *Catalog) Names(ctx context.Context) ([]packaging.Name, error) {
	return projectNames(ctx, c.db, "SELECT name FROM projects ORDER BY name")
}

// ChangedSince gives the projects that events after a serial are about, in the order
// of their names.
func (c *Catalog) ChangedSince(ctx context.Context, serial int64) ([]packaging.Name, error) {
	return projectNames(ctx, c.db, "SELECT DISTINCT project FROM events WHERE serial > ? AND project <> '' ORDER BY project", serial)
}

// ChangedBetween reports whether there are events about projects after one serial up to
// another.
func (c *Catalog) ChangedBetween(ctx context.Context, after, upTo int64) (some bool, err error) {
	err = c.one.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM events WHERE serial > ? AND serial <= ? AND project <> '')", after, upTo).Scan(&some)
	if err != nil {
		return false, fmt.Errorf("read catalog: %w", err)
	}
	return some, nil
}

// Promotions gives the files of a project that were promoted to a view, each as the
// index listed it last, sorted as those of a project are.
func (c *Catalog) Promotions(ctx context.Context, view string, n packaging.Name) ([]File, error) {
	return promotions(ctx, c.one, view, n)
}

func promotions(ctx context.Context, q querier, view string, n packaging.Name) ([]File, error) {
	files, err := foundAll(ctx, q, fileReader(), "SELECT "+fileColumns+" FROM promotions WHERE view = ? AND project = ?", view, n)
	SortFiles(files)
	return files, err
}

// PromotedNames gives the projects that something of was promoted to a view.
func (c *Catalog) PromotedNames(ctx context.Context, view string) ([]packaging.Name, error) {
	return projectNames(ctx, c.db, "SELECT DISTINCT project FROM promotions WHERE view = ? ORDER BY project", view)
}

// SetView keeps what is known of a view as a whole, and begins it if there is none
// of its name.
func (t *Tx) SetView(v View) error {
	return t.q.exec(t.ctx, "INSERT OR REPLACE INTO views VALUES (?, ?, ?, ?, ?)", v.Name, v.Prefix, v.Rules, v.Serial, v.Pages)
}

// SetViewPages notes what the pages of a view depend on.
func (t *Tx) SetViewPages(view, pages string) error {
	return t.q.exec(t.ctx, "UPDATE views SET pages = ? WHERE name = ?", pages, view)
}

// ForgetViewPages has the pages of every view made anew.
func (t *Tx) ForgetViewPages() error {
	return t.q.exec(t.ctx, "UPDATE views SET pages = ''")
}

// PutView makes files, status, note, links and advisories of a project what a view has
// of it;
// none of any of them takes the project out of the view. What is the same already
// changes nothing. The bytes of what the view lists no more may be deleted after the
// grace, unless they are listed elsewhere.
func (t *Tx) PutView(view string, p *Project, now time.Time, grace time.Duration) (changed bool, err error) {
	old, err := viewProject(t.ctx, t.q, view, p.Name)
	if err != nil {
		return false, err
	}
	body := encodeBody(p)
	was := []byte{}
	if old != nil {
		was = encodeBody(old)
	}
	if string(body) == string(was) {
		return false, nil
	}
	if old != nil {
		if err := t.leave(old.Files, p.Files, now, grace); err != nil {
			return false, err
		}
	}
	return true, t.q.exec(t.ctx, "INSERT INTO viewed VALUES (?, ?, ?, 0, x'') ON CONFLICT DO UPDATE SET body = excluded.body, published = 0", view, p.Name, body)
}

// leave begins the grace of files that are not among those that stay.
func (t *Tx) leave(files, stay []File, now time.Time, grace time.Duration) error {
	left := make(map[string]bool, len(files))
	for i := range files {
		left[files[i].Path] = true
	}
	for i := range stay {
		delete(left, stay[i].Path)
	}
	for path := range left {
		if err := t.q.exec(t.ctx, "INSERT OR REPLACE INTO due VALUES (?, ?)", path, now.UnixMicro()+grace.Microseconds()); err != nil {
			return err
		}
	}
	return nil
}

// DropView forgets a view, whose pages are gone. What was promoted to it stays known.
func (t *Tx) DropView(view string, now time.Time, grace time.Duration) error {
	names, err := t.viewNames(view)
	if err != nil {
		return err
	}
	for _, n := range names {
		p, err := viewProject(t.ctx, t.q, view, n)
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		if err := t.leave(p.Files, nil, now, grace); err != nil {
			return err
		}
	}
	if err := t.q.exec(t.ctx, "DELETE FROM viewed WHERE view = ?", view); err != nil {
		return err
	}
	return t.q.exec(t.ctx, "DELETE FROM views WHERE name = ?", view)
}

func (t *Tx) viewNames(view string) ([]packaging.Name, error) {
	return projectNames(t.ctx, t.q, "SELECT project FROM viewed WHERE view = ?", view)
}

// OutdateView makes the pages of every project of a view out of date.
func (t *Tx) OutdateView(view string) error {
	return t.q.exec(t.ctx, "UPDATE viewed SET published = 0 WHERE view = ?", view)
}

// OutdateViewProject makes the pages of one project of a view out of date.
func (t *Tx) OutdateViewProject(view string, n packaging.Name) error {
	return t.q.exec(t.ctx, "UPDATE viewed SET published = 0 WHERE view = ? AND project = ?", view, n)
}

// MarkViewPublished is [Tx.MarkPublished] for a view. One who makes its pages is the
// only one who changes what it has.
func (t *Tx) MarkViewPublished(view string, n packaging.Name, shown Card) error {
	if err := t.q.exec(t.ctx, "DELETE FROM viewed WHERE view = ? AND project = ? AND body = x''", view, n); err != nil {
		return err
	}
	return t.q.exec(t.ctx, "UPDATE viewed SET published = 1, shown = ? WHERE view = ? AND project = ?", encodeCard(&shown), view, n)
}

// Promote has a view list a file from now on, which is an event. Who did it, and
// from where and why, are said by who and reason. A file that was promoted to it
// already makes no event; what the index says of it is kept in any case.
func (t *Tx) Promote(view string, f File, who, reason string) (promoted bool, err error) {
	var one int
	err = t.q.QueryRowContext(t.ctx, "SELECT 1 FROM promotions WHERE view = ? AND project = ? AND filename = ?", view, f.Project, f.Filename).Scan(&one)
	promoted = errors.Is(err, sql.ErrNoRows)
	if err != nil && !promoted {
		return false, fmt.Errorf("write catalog: %w", err)
	}
	if err := t.pin(view, f); err != nil || !promoted {
		return false, err
	}
	return true, t.note(Event{Verb: Promotion, Project: f.Project, Filename: f.Filename, SHA256: f.SHA256, Source: who, Reason: reason}, nil)
}

func (t *Tx) pin(view string, f File) error {
	return t.q.exec(t.ctx, "INSERT OR REPLACE INTO promotions VALUES (?, ?, ?, ?)", view, f.Project, f.Filename, encodeFacts(f))
}

// PromotedTo gives the view that the event of a promotion is about, or that of one that
// was taken back; ok is false if the event does not say.
func (e *Event) PromotedTo() (view string, ok bool) {
	view, _, _ = strings.Cut(e.Reason, why)
	if e.Verb == Promotion {
		_, view, _ = strings.Cut(view, way)
	}
	return view, view != "" && !strings.Contains(view, " ")
}

// PromotionReason is what the event of a promotion says, from one view to another, or of
// one that was taken back, of which from is empty; and why, which may be.
func PromotionReason(from, to, because string) string {
	text := to
	if from != "" {
		text = from + way + to
	}
	if because != "" {
		text += why + because
	}
	return text
}

// way stands between the view from which and the one to which a file was promoted.
const way = " > "

// Demote takes a promotion back, with which the grace of the file begins. A file that
// was not promoted makes no event.
func (t *Tx) Demote(view string, f File, who, reason string, now time.Time, grace time.Duration) (demoted bool, err error) {
	if was, err := t.unpin(view, f.Project, f.Filename); err != nil || !was {
		return false, err
	}
	if err := t.leave([]File{f}, nil, now, grace); err != nil {
		return false, err
	}
	return true, t.note(Event{Verb: Demotion, Project: f.Project, Filename: f.Filename, SHA256: f.SHA256, Source: who, Reason: reason}, nil)
}

func (t *Tx) unpin(view string, n packaging.Name, filename string) (was bool, err error) {
	var facts []byte
	err = t.q.QueryRowContext(t.ctx, "DELETE FROM promotions WHERE view = ? AND project = ? AND filename = ? RETURNING facts", view, n, filename).Scan(&facts)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("write catalog: %w", err)
	}
	return true, nil
}

// bodyForm is the first byte of a project of a view.
const bodyForm = 1

// encodeBody gives what a view keeps of a project: nothing of one without files,
// links and status.
func encodeBody(p *Project) []byte {
	if len(p.Files)+len(p.Links) == 0 && p.Status == (Status{}) {
		return []byte{}
	}
	b := make([]byte, 0, 64+320*len(p.Files))
	b = append(b, bodyForm)
	b = appendText(b, p.Display)
	b = appendText(b, p.Owner)
	b = appendText(b, string(p.Status.State))
	b = appendText(b, p.Status.Reason)
	b = appendText(b, p.Note)
	b = binary.AppendUvarint(b, uint64(len(p.Files)))
	for _, f := range p.Files {
		b = appendText(b, f.Filename)
		b = appendText(b, string(encodeFacts(f)))
	}
	b = binary.AppendUvarint(b, uint64(len(p.Links)))
	for _, l := range p.Links {
		b = appendText(b, l.URL)
		b = appendText(b, l.Egg)
		b = appendText(b, l.Version)
		b = appendText(b, l.Source)
	}
	if len(p.Advisories) > 0 {
		b = append(b, encodeAdvisories(p.Advisories)...)
	}
	return b
}

func decodeBody(n packaging.Name, b []byte) (*Project, error) {
	d := decoder{rest: b}
	if d.byte() != bodyForm {
		d.fail()
	}
	p := &Project{Name: n, Display: d.text(), Owner: d.text()}
	p.Status = Status{State(d.text()), d.text()}
	p.Note = d.text()
	if files := d.count(); files > 0 {
		p.Files = make([]File, 0, files)
		last := File{Project: n}
		for range files {
			filename := d.text()
			f, err := decodeFacts(n, filename, []byte(d.text()), &last)
			if d.bad {
				return nil, errDamaged
			}
			if err != nil {
				return nil, err
			}
			p.Files = append(p.Files, f)
			last = f
		}
	}
	if links := d.count(); links > 0 {
		p.Links = make([]Link, 0, links)
		for range links {
			p.Links = append(p.Links, Link{Project: n, URL: d.text(), Egg: d.text(), Version: d.text(), Source: d.text()})
		}
	}
	if d.bad {
		return nil, errDamaged
	}
	var err error
	p.Advisories, err = decodeAdvisories(d.rest)
	return p, err
}
