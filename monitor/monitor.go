package monitor

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/record"
	"nestgen/tilelog"
	"nestgen/trust"
)

// Limits of what a site may want to be read.
const (
	maxLeaves    = 1 << 28 // of one log
	maxKeys      = trust.MaxRotations * (trust.MaxRotation + 1)
	maxCompanion = 64 << 20 // bytes of core metadata, a signature or attestations
	maxAttempts  = 5        // where the site goes on while it is read
)

// Progress is told how far a verification is. It is called from several goroutines.
type Progress interface {
	// Stage begins a step of so many units; what was shown before is done.
	Stage(name string, total int64)

	// Step adds to the units that are done, and to the bytes that went by.
	Step(units, bytes int64)
}

type noProgress struct{}

func (noProgress) Stage(string, int64) {}
func (noProgress) Step(int64, int64)   {}

// Options say how a site is read. The zero Options are those for one elsewhere.
type Options struct {
	// State is the file that remembers the last checkpoint whose logs were proven. If
	// it is empty, nothing is remembered.
	State string

	// Jobs is how many requests run at once. If zero, 16.
	Jobs int

	// Patience is how long nothing may come of an answer. If zero, a minute.
	Patience time.Duration

	// Settle is how long something has to stay wrong before it is a finding: a site
	// that is being published has new pages before it has the checkpoint about them.
	// If zero, something wrong is looked at once more and at once.
	Settle time.Duration

	// Transport makes the requests. If nil, one that keeps to the limits.
	Transport http.RoundTripper

	// Progress is told how far it is. If nil, nobody is.
	Progress Progress
}

func (o *Options) jobs() int               { return cmp.Or(max(o.Jobs, 0), 16) }
func (o *Options) patience() time.Duration { return cmp.Or(o.Patience, time.Minute) }

// A verification is one on its way.
type verification struct {
	options  Options
	source   source
	key      trust.Key
	before   *remembered
	progress Progress

	report     *Report
	signed     []byte // the checkpoint
	checkpoint tilelog.Checkpoint
	pagesRoot  record.PagesRoot
	logsProven bool

	history *history
	pages   map[string]published

	mu       sync.Mutex
	proven   map[string]proven
	readings map[string]*reading     // of the pages of other indexes, by their paths
	unlisted map[packaging.Name]bool // projects that came after a list of projects

	large sync.Mutex // held by who holds a large page

	// copies says how the server has compressed copies of pages, as far as one was the
	// one that was published: it sends them to those who ask for a compressed page, or
	// has them as files of their own.
	copies struct{ sent, stored atomic.Bool }
}

// A published is a page as the log of pages has it.
type published struct {
	catalog.Page
	leaf int64 // which says so
	born int64 // since which there is a page, one after the other
}

// A proven is a file that was proven in this run. What is logged of it may change in a
// later attempt.
type proven struct {
	size        int64
	sha256      catalog.Digest
	since       int64
	transferred int64
}

// errGoesOn says that the site has published something else since it was begun with.
var errGoesOn = errors.New("the site goes on")

// Verify proves that a site serves what its logs say, and that its history is one that
// only grew. site is an address of http or https, file:// and a path, or a folder, each of
// the root of the tree; key is the verifier key of the site as [trust.ParseKey] reads it,
// or an older one that the site has replaced since.
//
// What is wrong is in the report, which is there whenever the error is nil. An error
// matches [ErrInput] or [ErrUnreachable], or is about the file that remembers; it may come
// with a report of what was found until then.
func Verify(ctx context.Context, site, key string, o Options) (*Report, error) {
	k, err := trust.ParseKey(key)
	if err != nil {
		return nil, failed(ErrInput, "%w", err)
	}
	before, err := recall(o.State)
	if err != nil {
		return nil, err
	}
	src, err := open(site, &o)
	if err != nil {
		return nil, failed(ErrInput, "%w", err)
	}
	defer src.close()
	v := &verification{options: o, source: src, key: k, before: before, progress: o.Progress, proven: map[string]proven{}}
	if v.progress == nil {
		v.progress = noProgress{}
	}
	for range maxAttempts {
		v.report = &Report{Site: src.name(), Origin: k.Name, Since: -1, NotReachable: []Note{}, Unanswered: []Note{}, Findings: []Finding{}}
		v.logsProven = false
		err = v.attempt(ctx)
		if !errors.Is(err, errGoesOn) {
			break
		}
	}
	switch {
	case errors.Is(err, errGoesOn):
		return nil, failed(ErrUnreachable, "%s: it has published something else each of the %d times that something did not fit; try again when it is at rest", src.name(), maxAttempts)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return v.report, err
	}
	if v.logsProven && o.State != "" {
		if err := remember(o.State, v.signed); err != nil {
			return v.report, err
		}
	}
	return v.report, nil
}

// attempt looks at the site as one checkpoint has it.
func (v *verification) attempt(ctx context.Context) error {
	if ok, err := v.readCheckpoint(ctx); err != nil || !ok {
		return err
	}
	v.report.Events, v.report.Leaves = v.checkpoint.Size, v.pagesRoot.Size
	v.progress.Stage("log", v.checkpoint.Size+v.pagesRoot.Size)
	v.history = newHistory()
	replay := v.history.replay()
	events, err := v.readLog(ctx, v.checkpoint, layout.EventTile, v.rememberedOf(catalog.Events), replay.add, replay.end)
	if err != nil {
		return err
	}
	v.pages = map[string]published{}
	of := tilelog.Checkpoint{Origin: v.checkpoint.Origin, Size: v.pagesRoot.Size, Root: v.pagesRoot.Root}
	pages, err := v.readLog(ctx, of, layout.PageTile, v.rememberedOf(catalog.Pages), v.takePage, func() error { return nil })
	if err != nil {
		return err
	}
	v.logsProven = events && pages
	if v.logsProven && v.before != nil {
		v.report.Since = v.before.Size
	}
	if !events {
		v.history = nil // what is known of it may not be all
	}
	if pages {
		if err := v.provePages(ctx); err != nil {
			return err
		}
	}
	if events {
		return v.proveFiles(ctx)
	}
	return nil
}

// read reads all of a small file, or the first limit+1 bytes of it. A [*refusal] and an
// error that matches [fs.ErrNotExist] say that there is none.
func (v *verification) read(ctx context.Context, path string, limit int64) ([]byte, error) {
	a, err := v.source.get(ctx, request{path: path}, limit)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	return io.ReadAll(io.LimitReader(a, limit+1))
}

// denied reports whether an error says that there is no such file, and not that it could
// not be found out.
func denied(err error) bool {
	var no *refusal
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, &no)
}

// settle waits until something that is wrong is no accident of the moment. The error is
// [errGoesOn] if the site has published something else meanwhile.
func (v *verification) settle(ctx context.Context) error {
	wait, left := 100*time.Millisecond, v.options.Settle
	for {
		if now, err := v.read(ctx, layout.LogCheckpoint, tilelog.MaxCheckpoint); err == nil && !bytes.Equal(now, v.signed) {
			return errGoesOn
		}
		if left <= 0 {
			return ctx.Err()
		}
		wait = min(wait, left)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		left -= wait
		wait *= 2
	}
}

// readCheckpoint reads the checkpoint and the keys that lead to it. It reports whether the
// site stands for the logs.
func (v *verification) readCheckpoint(ctx context.Context) (ok bool, err error) {
	wrong := func(k Kind, path, format string, args ...any) (bool, error) {
		if err := v.settle(ctx); err != nil {
			return false, err
		}
		v.report.find(k, path, format, args...)
		return false, nil
	}
	v.signed, err = v.read(ctx, layout.LogCheckpoint, tilelog.MaxCheckpoint)
	switch {
	case denied(err) && v.before != nil:
		return wrong(Fork, layout.LogCheckpoint, "%v; the log had %d events when it was proven last", err, v.before.Size)
	case errors.Is(err, fs.ErrNotExist):
		return false, failed(ErrUnreachable, "%s: it has no %s: it is not the root of a site of nestgen, or one that does not publish its log", v.report.Site, layout.LogCheckpoint)
	case err != nil:
		return false, failed(ErrUnreachable, "%s: %s: %w", v.report.Site, layout.LogCheckpoint, err)
	}
	keys, err := v.read(ctx, layout.LogKeys, maxKeys)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		keys = nil
	case denied(err):
		return wrong(Signed, layout.LogKeys, "%v", err)
	case err != nil:
		return false, failed(ErrUnreachable, "%s: %s: %w", v.report.Site, layout.LogKeys, err)
	}
	current, rotations, err := followKeys(v.key, keys)
	if err != nil {
		return wrong(Signed, layout.LogKeys, "%v", err)
	}
	v.report.Key, v.report.Rotations = current.Verifier, rotations
	if v.checkpoint, v.pagesRoot, err = openCheckpoint(v.signed, current); err != nil {
		return wrong(Signed, layout.LogCheckpoint, "%v", err)
	}
	v.report.Origin = v.checkpoint.Origin
	if max(v.checkpoint.Size, v.pagesRoot.Size) > maxLeaves {
		return false, failed(ErrUnreachable, "%s: its logs have %d and %d entries, more than %d, which is more than this program reads", v.report.Site, v.checkpoint.Size, v.pagesRoot.Size, int64(maxLeaves))
	}
	if b := v.before; b != nil {
		switch {
		case b.Origin != v.checkpoint.Origin:
			return false, failed(ErrInput, "%s: it remembers the log of %s, and this is that of %s", v.options.State, b.Origin, v.checkpoint.Origin)
		case b.Size > v.checkpoint.Size:
			return wrong(Fork, layout.LogCheckpoint, "the log has %d events and had %d when it was proven last", v.checkpoint.Size, b.Size)
		case b.pages.Size > v.pagesRoot.Size:
			return wrong(Fork, layout.LogCheckpoint, "the log of pages has %d entries and had %d when it was proven last", v.pagesRoot.Size, b.pages.Size)
		}
	}
	return true, nil
}

// followKeys gives the key that counts now, if the one that was given may have been
// replaced.
func followKeys(given trust.Key, statements []byte) (current trust.Key, rotations int, err error) {
	all, err := trust.SplitRotations(statements)
	if err != nil {
		return current, 0, err
	}
	keys, followed, err := trust.Follow([]string{given.Verifier}, all)
	if err != nil {
		return current, 0, err
	}
	if current, err = trust.ParseKey(keys[0]); err != nil {
		return current, 0, err
	}
	if len(all) > 0 {
		last, err := trust.ParseRotation(all[len(all)-1])
		if err != nil {
			return current, 0, err
		}
		if last.New != current.Verifier {
			return current, 0, fmt.Errorf("it leads to another key than %s, of which it says nothing", given.ID())
		}
	}
	return current, len(followed), nil
}

// openCheckpoint reads a checkpoint that one key has signed, and nobody else: of such a
// file no byte can be changed.
func openCheckpoint(signed []byte, key trust.Key) (c tilelog.Checkpoint, pages record.PagesRoot, err error) {
	c, n, err := tilelog.Open(signed, note.VerifierList(key.Note()))
	if unknown, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		by := "nobody"
		if sigs := unknown.Note.UnverifiedSigs; len(sigs) > 0 {
			by = fmt.Sprintf("%s+%08x", sigs[0].Name, sigs[0].Hash)
		}
		return c, pages, fmt.Errorf("it is signed by %s, and not by %s", by, key.ID())
	}
	if err != nil {
		return c, pages, err
	}
	if len(n.UnverifiedSigs) > 0 {
		return c, pages, fmt.Errorf("it has a signature of %s+%08x besides that of the site, which the site never asked for", n.UnverifiedSigs[0].Name, n.UnverifiedSigs[0].Hash)
	}
	pages, err = record.ParsePagesRoot(c)
	return c, pages, err
}

// A past is what is remembered of a log.
type past struct {
	size int64
	root tilelog.Hash
}

func (v *verification) rememberedOf(log catalog.LogName) past {
	switch {
	case v.before == nil:
		return past{}
	case log == catalog.Events:
		return past{v.before.Size, v.before.Root}
	}
	return past{v.before.pages.Size, v.before.pages.Root}
}

// readLog proves one of the logs and replays it. It reports whether that is done.
func (v *verification) readLog(ctx context.Context, c tilelog.Checkpoint, at func(string) string, before past, add func(int64, []byte) error, end func() error) (whole bool, err error) {
	g := growth{upTo: before.size}
	fetch := func(ctx context.Context, path string) ([]byte, error) {
		t, err := tilelog.ParseTile(path)
		if err != nil {
			return nil, err
		}
		data, err := v.read(ctx, at(path), int64(t.Limit()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = &fetchError{at(path), err}
		}
		return data, err
	}
	err = tilelog.Verify(ctx, fetch, c, func(index int64, leaf []byte) error {
		v.progress.Step(1, int64(len(leaf)))
		if err := g.add(leaf); err != nil {
			return err
		}
		return add(index, leaf)
	})
	if ended := end(); err == nil {
		err = ended
	}
	var text string
	kind, path := Log, layout.Log
	switch {
	case err == nil && g.extends(before.root):
		return true, nil
	case err == nil:
		kind, path = Fork, layout.LogCheckpoint
		text = fmt.Sprintf("the log of %d entries does not go on from the one of %d entries that was proven last, whose root is %s: it has %s there", c.Size, before.size, before.root, g.root)
	case ctx.Err() != nil:
		return false, ctx.Err()
	default:
		var of *tilelog.FileError
		var get *fetchError
		var hist *historyError
		switch {
		case errors.As(err, &of) && of.Path == "checkpoint":
			path, text = layout.LogCheckpoint, of.Fault
		case errors.As(err, &of):
			path, text = at(of.Path), of.Fault
		case errors.As(err, &get) && !denied(get.err):
			addNote(&v.report.Unanswered, get.path, get.err.Error())
			return false, nil
		case errors.As(err, &get):
			path, text = get.path, get.err.Error()
		case errors.As(err, &hist):
			kind, text = History, err.Error()
		case errors.Is(err, fs.ErrNotExist):
			name, _, _ := strings.Cut(err.Error(), ": ")
			path, text = at(name), "it is not there"
		default:
			text = err.Error()
		}
	}
	if err := v.settle(ctx); err != nil {
		return false, err
	}
	v.report.find(kind, path, "%s", text)
	return false, nil
}

// A fetchError is why a file of a log was not to be had.
type fetchError struct {
	path string
	err  error
}

func (e *fetchError) Error() string { return e.path + ": " + e.err.Error() }
func (e *fetchError) Unwrap() error { return e.err }

// takePage goes on to what is published after a leaf of the log of pages.
func (v *verification) takePage(index int64, leaf []byte) error {
	p, err := record.DecodePage(leaf)
	if err != nil {
		return &historyError{index + 1, "of the log of pages: " + err.Error()}
	}
	top, _, _ := strings.Cut(p.Path, "/")
	if !pagePath(p.Path) || top == layout.Packages || top == layout.Log {
		return &historyError{index + 1, fmt.Sprintf("of the log of pages: %q is no place of a page", p.Path)}
	}
	if p.SHA256.IsZero() {
		delete(v.pages, p.Path)
		return nil
	}
	is := published{p, index, index}
	if before, was := v.pages[p.Path]; was {
		is.born = before.born
	}
	v.pages[p.Path] = is
	return nil
}

// pagePath reports whether a path may be that of a page.
func pagePath(p string) bool {
	return fs.ValidPath(p) && p != "." && len(p) <= 4096 && !strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '%' })
}

// plainRelease matches the versions of which servers as in contrib/ have an address.
var plainRelease = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+!-]*$`)

// oddVersion reports whether a path is the page of a release whose version has characters
// that not every server has in an address.
func oddVersion(path string) bool {
	_, rest := layout.CutPrefix(path)
	page, ok := layout.ParseProject(rest)
	return ok && page.Form == layout.LegacyVersion && !plainRelease.MatchString(page.Version)
}

// isProven reports whether a task was done in an earlier attempt.
func (v *verification) isProven(t *task) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	p, ok := v.proven[t.path]
	if !ok || p.sha256 != t.sha256 || p.since != t.since || t.since < 0 || t.sha256.IsZero() {
		return false
	}
	v.count(t, p.transferred)
	return true
}

// noteProven notes a task that is done.
func (v *verification) noteProven(r *result) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.proven[r.task.path] = proven{r.task.size, r.task.sha256, r.task.since, r.bytes}
	v.count(&r.task, r.bytes)
}

func (v *verification) count(t *task, n int64) {
	switch {
	case t.page:
		v.report.Pages++
	case t.hidden == nil:
		v.report.Files++
	case t.path == layout.Owner(t.path):
		v.report.Withheld++
	}
	v.report.Bytes += n
}

func sortResults(all []result) {
	slices.SortFunc(all, func(a, b result) int { return strings.Compare(a.task.path, b.task.path) })
}

// stage proves tasks, looks again at what is wrong, and reports what stays so. It gives the
// results that are not as they should be.
func (v *verification) stage(ctx context.Context, name string, total int, tasks iter.Seq[task]) ([]result, error) {
	v.progress.Stage(name, int64(total))
	return v.settled(ctx, tasks)
}

// settled is stage as a part of another step.
func (v *verification) settled(ctx context.Context, tasks iter.Seq[task]) ([]result, error) {
	bad, err := v.run(ctx, tasks)
	if err != nil || ctx.Err() != nil {
		return nil, cmp.Or(err, ctx.Err())
	}
	again := slices.ContainsFunc(bad, func(r result) bool { return r.finding != nil })
	if again {
		if err := v.settle(ctx); err != nil {
			return nil, err
		}
		bad, err = v.run(ctx, func(yield func(task) bool) {
			for i := range bad {
				if !yield(bad[i].task) {
					return
				}
			}
		})
		if err != nil || ctx.Err() != nil {
			return nil, cmp.Or(err, ctx.Err())
		}
	}
	return bad, nil
}

// tell takes results into the report. It is [ErrUnreachable] if the server left so much
// unanswered that it was not asked any more.
func (v *verification) tell(bad []result) error {
	unanswered := 0
	for i := range bad {
		r := &bad[i]
		switch {
		case r.unanswered != "":
			addNote(&v.report.Unanswered, r.task.path, r.unanswered)
			unanswered++
		case r.notReachable != "":
			addNote(&v.report.NotReachable, r.task.path, r.notReachable)
		case r.uncompressed && !v.copies.sent.Load() && !v.copies.stored.Load():
			addNote(&v.report.NotReachable, r.task.path, "the server sends no compressed copies of pages")
		case r.compressedAnew && !v.copies.sent.Load():
			addNote(&v.report.NotReachable, r.task.path, "somebody on the way compresses the page anew; what it gives is the page")
		default:
			v.report.add(*r.finding)
		}
	}
	if unanswered >= maxUnanswered {
		return failed(ErrUnreachable, "%s: it left %d requests unanswered, such as that for %s: %s", v.report.Site, unanswered, v.report.Unanswered[0].Path, v.report.Unanswered[0].Text)
	}
	return nil
}

// provePages proves every page that is published, and that those of the index say what the
// history says.
func (v *verification) provePages(ctx context.Context) error {
	v.readings, v.unlisted = map[string]*reading{}, map[packaging.Name]bool{}
	indexes := v.indexes()
	paths := slices.DeleteFunc(slices.Sorted(maps.Keys(v.pages)), v.isFrozen)
	bad, err := v.stage(ctx, "pages", len(paths), func(yield func(task) bool) {
		for _, path := range paths {
			if !yield(v.pageTask(path, indexes)) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if err := v.tell(bad); err != nil {
		return err
	}
	if v.history != nil {
		if err := v.proveSnapshots(ctx, indexes); err != nil {
			return err
		}
		if err := v.findAll(ctx, v.compareIndexes(indexes)); err != nil {
			return err
		}
	}
	v.report.Unlisted = int64(len(v.unlisted))
	for _, r := range v.readings {
		if r.behind {
			v.report.Behind++
		}
	}
	return v.strangers(ctx, indexes)
}

// isSimple reports whether a path of an index is the page of a project for installers.
func isSimple(rest string) bool {
	page, ok := layout.ParseProject(rest)
	return ok && (page.Form == layout.JSON || page.Form == layout.HTML || page.Form == layout.AliasHTML)
}

// indexes gives the projects of which each index has a page, by the prefix of the index.
func (v *verification) indexes() map[string]map[packaging.Name]bool {
	indexes := map[string]map[packaging.Name]bool{"": {}}
	for path := range v.pages {
		prefix, rest := layout.CutPrefix(path)
		if indexes[prefix] == nil {
			indexes[prefix] = map[packaging.Name]bool{}
		}
		if page, ok := layout.ParseProject(rest); ok && (page.Form == layout.JSON || page.Form == layout.HTML) {
			indexes[prefix][page.Project] = true
		}
	}
	return indexes
}

// task gives what to prove of a page besides what it says.
func (v *verification) task(path string) task {
	p := v.pages[path]
	t := task{path: path, size: p.Size, sha256: p.SHA256, page: true}
	if plain, ok := plainOf(path); ok {
		of := v.pages[plain]
		t.plain, t.since = of.Page, of.leaf
		t.read = func(packed io.Reader) (string, error) { return unpacked(packed, of.Page) }
	}
	return t
}

// unpackers are readers of compressed copies, of which each takes 40 kB.
var unpackers = sync.Pool{New: func() any { return new(gzip.Reader) }}

// unpacked holds a compressed copy against the page that it is one of.
func unpacked(packed io.Reader, page catalog.Page) (wrong string, err error) {
	if page.Path == "" {
		return "it is the compressed copy of a page that was not published", nil
	}
	z := unpackers.Get().(*gzip.Reader)
	defer unpackers.Put(z)
	if err := z.Reset(packed); err != nil {
		return "", err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(z, page.Size+1))
	if err == nil && (n != page.Size || catalog.Digest(sum.Sum(nil)) != page.SHA256) {
		wrong = "what it has compressed is not the page that was published"
	}
	return wrong, err
}

// pageTask gives what to prove of a page.
func (v *verification) pageTask(path string, indexes map[string]map[packaging.Name]bool) task {
	t := v.task(path)
	if _, isCopy := plainOf(path); isCopy || v.history == nil {
		return t
	}
	t.since = v.history.serial
	prefix, rest := layout.CutPrefix(path)
	page, _ := layout.ParseProject(rest)
	switch {
	case rest == layout.RootJSON:
		t.read = func(page io.Reader) (string, error) {
			data, err := wholePage(page)
			if err != nil {
				return "", err
			}
			names, err := parseRoot(data)
			return v.compareNames(path, names, indexes[prefix]), err
		}
	case rest == layout.RootHTML:
		t.read = func(page io.Reader) (string, error) {
			names, err := rootNames(page)
			return v.compareNames(path, names, indexes[prefix]), err
		}
	case rest == layout.Flat || rest == layout.Easy:
		t.read = func(page io.Reader) (string, error) { return v.compareList(path, page) }
	case isSimple(rest):
		t.read = func(r io.Reader) (string, error) {
			d, err := readDocument(r, page.Form == layout.JSON)
			if err != nil {
				return "", err
			}
			if prefix != "" {
				return v.take(path, v.readView(path, prefix, d, page.Project)), nil
			}
			past := v.history.projects[page.Project]
			if past == nil {
				return "the history knows nothing of the project", nil
			}
			wrong := compare(path, d, past.Project())
			if wrong != "" && page.Form == layout.AliasHTML && v.isBehind(path, page.Project) {
				r := &reading{behind: true} // other spellings come with the next build
				for i := range d.files {
					v.history.known(&r.disagreement, path, &d.files[i])
				}
				return v.take(path, r), nil
			}
			return wrong, nil
		}
		if past := v.history.projects[page.Project]; prefix == "" && past != nil {
			t.since = past.Project().Serial
		}
	case strings.HasPrefix(rest, layout.Simple+"/"):
		t.read = func(io.Reader) (string, error) { return "an index has no page of such an address", nil }
	default:
		t.since = 0
	}
	if prefix != "" && t.read != nil || page.Form == layout.AliasHTML || rest == layout.RootJSON || rest == layout.RootHTML || rest == layout.Flat || rest == layout.Easy {
		t.since = -1 // what it says is wanted each time
	}
	return t
}

// readDocument reads the page of a project.
func readDocument(page io.Reader, json bool) (*document, error) {
	if !json {
		return readHTML(page)
	}
	data, err := wholePage(page)
	if err != nil {
		return nil, err
	}
	return parseProject(data)
}

// wholePage reads all of a page as JSON.
func wholePage(page io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(page, maxDocument+1))
	if err == nil && len(data) > maxDocument {
		err = fmt.Errorf("it has more than %d bytes", maxDocument)
	}
	return data, err
}

// compareIndexes holds the pages that there are of each index against those that there have
// to be, and the projects that have pages against those that the history has.
func (v *verification) compareIndexes(indexes map[string]map[packaging.Name]bool) (wrong []Finding) {
	find := func(path, format string, args ...any) {
		wrong = append(wrong, newFinding(Index, path, format, args...))
	}
	own := indexes[""]
	names := maps.Clone(own)
	for n := range v.history.projects {
		names[n] = true
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		at := layout.ProjectJSON(n)
		past := v.history.projects[n]
		if past == nil {
			find(at, "it was published, and the history knows nothing of the project")
			continue
		}
		p := past.Project()
		switch has := own[n]; {
		case hasPages(p) && !has:
			find(at, "it was not published, and the history lists %d files of the project", len(p.Files))
		case !hasPages(p) && has:
			find(at, "it was published, and the history lists no file of the project")
		case has:
			v.report.Projects++
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(indexes)) {
		if _, is, known := v.history.snapshotOf(prefix); is && !known {
			find(layout.Below(prefix, layout.RootJSON), "it is the index of a snapshot, and the history has no such snapshot")
		}
		// Who asks for one form of a page gets another if that is not there.
		forms := []string{}
		if len(indexes[prefix]) > 0 {
			forms = append(forms, layout.RootJSON, layout.RootHTML)
		}
		for _, n := range slices.Sorted(maps.Keys(indexes[prefix])) {
			forms = append(forms, layout.ProjectJSON(n), layout.ProjectHTML(n))
		}
		for _, form := range forms {
			if _, published := v.pages[layout.Below(prefix, form)]; !published {
				find(layout.Below(prefix, form), "it was not published, and the index has other pages about the same")
			}
		}
		promoted := v.history.promoted[prefix]
		if len(indexes[prefix]) == 0 && v.pages[layout.Below(prefix, layout.RootJSON)].Path == "" {
			continue // an index that is gone, or whose pages are below another prefix
		}
		for _, n := range slices.Sorted(maps.Keys(promoted)) {
			if indexes[prefix][n] {
				continue
			}
			at, r, is := layout.Below(prefix, layout.ProjectJSON(n)), &reading{}, map[string]*catalog.File{}
			now := v.history.project(n)
			for i := range now.Files {
				is[now.Files[i].Filename] = &now.Files[i]
			}
			v.lacking(r, prefix, n, is, nil, v.isBehind(at, n))
			if text := v.take(at, r); text != "" {
				find(at, "it was not published: %s", text)
			}
		}
	}
	return wrong
}

// findAll reports what is wrong with what was published, if it stays so.
func (v *verification) findAll(ctx context.Context, wrong []Finding) error {
	if len(wrong) == 0 {
		return nil
	}
	if err := v.settle(ctx); err != nil {
		return err
	}
	for _, f := range wrong {
		v.report.add(f)
	}
	return nil
}

// strangers finds what nobody has published and a server may give all the same, where that
// can be seen.
func (v *verification) strangers(ctx context.Context, indexes map[string]map[packaging.Name]bool) error {
	f, ok := v.source.(*folder)
	if !ok {
		return nil
	}
	look := func() (found []Finding, err error) {
		err = f.walk(ctx, func(path string, regular bool) {
			if why := v.stranger(f, path, regular, indexes); why != "" {
				found = append(found, newFinding(Stranger, path, "%s", why))
			}
		})
		return found, err
	}
	found, err := look()
	if err == nil && len(found) > 0 {
		if err := v.settle(ctx); err != nil {
			return err
		}
		found, err = look()
	}
	if err != nil {
		return failed(ErrUnreachable, "%s: %w", v.report.Site, err)
	}
	for _, f := range found {
		v.report.add(f)
	}
	return nil
}

// stranger says what is wrong with a file that is in the tree; empty if nothing is, or if
// it is where people may put what is theirs.
func (v *verification) stranger(f *folder, path string, regular bool, indexes map[string]map[packaging.Name]bool) string {
	const unlogged = "the log of pages does not have it"
	if _, logged := v.pages[path]; logged {
		return "" // and read
	}
	prefix, rest := layout.CutPrefix(path)
	room, _, below := strings.Cut(rest, "/")
	if indexes[prefix] == nil {
		if room == layout.Simple && below {
			return "the log of pages has no index there"
		}
		return ""
	}
	switch {
	case prefix == "" && room == layout.Packages && below:
		// A build puts files there long before the log has them.
		if v.history == nil || regular && (v.history.hasPlace(path) || f.isPlaced(layout.Owner(path))) {
			return ""
		}
		return "the history knows nothing of it, and it is not where a file of its bytes lies"
	case prefix == "" && room == layout.Log && below:
		if _, err := tilelog.ParseTile(strings.TrimPrefix(strings.TrimPrefix(path, layout.Log+"/"), "pages/")); path == layout.LogCheckpoint || path == layout.LogKeys || err == nil {
			return "" // a tile that is of no use to this checkpoint leads nobody astray
		}
		return "it is no file of a log"
	case layout.IsRoom(room) && below:
		return unlogged
	case !below && strings.HasPrefix(rest, "index."):
		if _, has := v.pages[layout.Below(prefix, layout.Front)]; has {
			return unlogged // a server may give it to those who ask for the folder
		}
	}
	return ""
}

// proveFiles proves every file of the store that an index lists, and what stands beside it;
// and that of what nobody is to have there is nothing.
func (v *verification) proveFiles(ctx context.Context) error {
	files, hidden := map[string]*catalog.File{}, map[string][]task{}
	for _, past := range v.history.projects {
		p := past.Project()
		for i := range p.Files {
			switch f := &p.Files[i]; {
			case f.Announced: // its bytes come when somebody asks
			case p.Status.State == catalog.Quarantined:
				hidden[f.Path] = hide(f, "its project is quarantined")
			default:
				files[f.Path] = f
			}
		}
	}
	for _, r := range v.readings {
		for _, f := range r.listed {
			if _, quarantined := hidden[f.Path]; !quarantined && (files[f.Path] == nil || files[f.Path].Metadata.IsZero()) {
				files[f.Path] = f
			}
		}
	}
	for path, f := range v.history.away {
		if files[path] == nil {
			hidden[path] = hide(f.file(), "the history says that it left the index because it is forbidden")
		}
	}
	for _, at := range slices.Sorted(maps.Keys(v.readings)) {
		for _, m := range v.readings[at].missing {
			if _, is := hidden[m.file.path]; !is && m.file.here {
				hidden[m.file.path] = []task{{path: m.file.path, hidden: new(newFinding(Index, at, "it does not list %s: %s, and whoever knows its address gets it", path.Base(m.file.path), m.why))}}
			}
		}
	}
	total := 0
	for _, f := range files {
		total += len(fileTasks(f))
	}
	for _, h := range hidden {
		total += len(h)
	}
	bad, err := v.stage(ctx, "files", total, func(yield func(task) bool) {
		for _, path := range slices.Sorted(maps.Keys(files)) {
			for _, t := range fileTasks(files[path]) {
				if !yield(t) {
					return
				}
			}
		}
		for _, path := range slices.Sorted(maps.Keys(hidden)) {
			for _, t := range hidden[path] {
				if !yield(t) {
					return
				}
			}
		}
	})
	if err != nil {
		return err
	}
	return v.tell(bad)
}

// hide gives what to look for of a file that nobody is to have.
func hide(f *catalog.File, why string) []task {
	tasks := fileTasks(f)
	for i := range tasks {
		t := &tasks[i]
		*t = task{path: t.path, hidden: new(newFinding(Withheld, t.path, "%s, and it is served", why))}
	}
	return tasks
}

// fileTasks gives what to prove of a file of the store.
func fileTasks(f *catalog.File) []task {
	tasks := []task{{path: f.Path, size: f.Size, sha256: f.SHA256, blake: f.BLAKE2b}}
	beside := func(path string, sum catalog.Digest) {
		if !sum.IsZero() {
			tasks = append(tasks, task{path: path, size: -1, limit: maxCompanion, sha256: sum})
		}
	}
	beside(layout.CoreMetadata(f.Path), f.Metadata)
	if f.Signed {
		beside(layout.Signature(f.Path), f.SignatureSum)
	}
	if f.Provenance {
		beside(layout.Provenance(f.Path), f.ProvenanceSum)
	}
	return tasks
}
