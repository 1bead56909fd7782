package allowlist

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nestgen/lockfile"
	"nestgen/packaging"
)

// limits keep a list, and what it includes, from taking the machine down.
type limits struct {
	file  int // bytes of one file
	total int // bytes of all files together, and what variables add to them
	lines int // logical lines of all files together
	files int // files, counted as often as they are included
	depth int // files inside one another
}

// The largest list that makes sense names every project there is, which is
// under a million.
var usual = limits{file: 16 << 20, total: 64 << 20, lines: 1 << 20, files: 10_000, depth: 64}

// Sources is where lists come from. The zero Sources are the files and the
// environment of this process.
type Sources struct {
	// Open opens a list. If nil, [os.Open], for regular files only.
	Open func(name string) (io.ReadCloser, error)

	// Stat tells whether there is a file or a directory. If nil, [os.Stat].
	Stat func(name string) (fs.FileInfo, error)

	// Env looks a variable up for ${NAME}. If nil, [os.LookupEnv].
	Env func(name string) (string, bool)

	// Fetch opens a list that another one includes by its http, https or ftp
	// URL. If nil, such a line is an error. The URL may hold a password.
	Fetch func(url string) (io.ReadCloser, error)

	// Constraints makes the files that are asked for constraint files, as
	// pip's -c does.
	Constraints bool
}

// Read reads allowlists, one after the other, and the lists that they include. A
// file with the name of a lock file is read as one; see [lockfile.FormOf]. Of a
// pyproject.toml the dependencies of the project are read, or what is named behind it:
// "pyproject.toml[EXTRA,…]" with extras, "pyproject.toml:GROUP" for a dependency group.
// It always gives everything that can be read; what cannot is in the Problems
// of the List.
//
// An include is looked up beside the file that names it, wherever that is. A
// requirement that is a relative path is one beside the outermost file, for
// which pip would have to be run in that directory.
func Read(src Sources, files ...string) List { return read(src, usual, files) }

func read(src Sources, most limits, files []string) List {
	r := reader{src: src, most: most}
	if r.src.Open == nil {
		r.src.Open = openRegular
	}
	if r.src.Stat == nil {
		r.src.Stat = os.Stat
	}
	if r.src.Env == nil {
		r.src.Env = os.LookupEnv
	}
	for _, name := range files {
		f := &file{name: name, key: name, constraint: src.Constraints}
		if !isRemote(name) {
			// An error of Abs leaves the name as it is: the file is then
			// looked for from the working directory.
			if abs, err := filepath.Abs(name); err == nil {
				f.key = abs
			}
			f.dir = filepath.Dir(f.key)
		}
		r.readFile(f)
	}
	r.checkHashes()
	return r.list
}

// A file is a list being read.
type file struct {
	name       string // as shown, and opened
	key        string // absolute path or URL, which tells files apart
	dir        string // where relative requirements are
	constraint bool
	parent     *file
	depth      int
	at         Position   // of the line that includes it
	via        []Position // up to and with at
}

// A reader reads one set of lists.
type reader struct {
	src   Sources
	most  limits
	list  List
	files int
	bytes int
	lines int
	full  bool // a limit is reached
}

// report adds a problem of a line of f, or, for line 0, of f as a whole.
func (r *reader) report(f *file, line int, p Problem) {
	p.Position, p.Via = Position{f.name, line}, f.via
	p.Partial = p.Severity == Error && (p.Partial || f.constraint)
	r.list.Problems = append(r.list.Problems, p)
}

// readFile reads f: a lock file, a pyproject.toml, or a list line by line.
func (r *reader) readFile(f *file) {
	if form, ok := lockfile.FormOf(f.key); ok {
		r.readLock(f, form)
		return
	}
	if _, p, ok := cutPart(f.key); ok {
		f.name, _, _ = cutPart(f.name)
		f.key, _, _ = cutPart(f.key)
		r.readProject(f, p)
		return
	}
	text, err := r.load(f)
	if err != nil {
		r.notRead(f, err)
		return
	}
	for l := range logicalLines(text) {
		if r.full {
			return
		}
		if r.lines++; r.lines > r.most.lines {
			r.overflow(f, l.number, fmt.Sprintf("more than %d lines in all lists together", r.most.lines))
			return
		}
		r.readLine(f, l)
	}
}

// notRead reports that f cannot be read: on the line that includes it, or on
// the line of it whose encoding is wrong.
func (r *reader) notRead(f *file, err error) {
	if r.full {
		return
	}
	p := Problem{Severity: Error, Text: redact(err.Error()), Pip: PipRefusesFile, Partial: true}
	if e, ok := errors.AsType[*decodeError](err); ok {
		p.Hint = e.hint
		r.report(f, e.line, p)
		return
	}
	if err == errRemote {
		p.Hint = "download the list, look it over and read the copy"
	}
	if f.parent == nil {
		r.report(f, 0, p)
		return
	}
	p.Text = "include " + bare(f.name) + ": " + p.Text
	r.report(f.parent, f.at.Line, p)
}

// overflow reports that there is too much to read, and ends the reading.
func (r *reader) overflow(f *file, line int, text string) {
	r.full = true
	r.report(f, line, Problem{Severity: Error, Text: text + "; the rest is not read", Pip: PipRefusesFile, Partial: true})
}

// grow counts n more bytes, and reports whether there may be so many.
func (r *reader) grow(f *file, line, n int) bool {
	if r.bytes += n; r.bytes > r.most.total {
		r.overflow(f, line, fmt.Sprintf("more than %s in all lists together", size(r.most.total)))
	}
	return !r.full
}

// load opens, reads and decodes f, within the limits.
func (r *reader) load(f *file) (string, error) {
	b, err := r.contents(f)
	if err != nil {
		return "", err
	}
	return decode(b)
}

// contents opens and reads f, within the limits.
func (r *reader) contents(f *file) ([]byte, error) {
	if r.files++; r.files > r.most.files {
		r.overflow(f, 0, fmt.Sprintf("more than %d lists, counted as often as they are included", r.most.files))
		return nil, errFull
	}
	if f.depth >= r.most.depth {
		return nil, fmt.Errorf("more than %d lists inside one another", r.most.depth)
	}
	b, err := r.readAll(f)
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err // the file is named already
	}
	if err != nil {
		return nil, err
	}
	if len(b) > r.most.file {
		return nil, fmt.Errorf("larger than %s", size(r.most.file))
	}
	if !r.grow(f, 0, len(b)) {
		return nil, errFull
	}
	return b, nil
}

// size writes a limit of bytes.
func size(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// readAll reads the bytes of f, up to one more than there may be.
func (r *reader) readAll(f *file) ([]byte, error) {
	in, err := r.open(f)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(io.LimitReader(in, int64(r.most.file)+1))
}

func (r *reader) open(f *file) (io.ReadCloser, error) {
	if !isRemote(f.key) {
		return r.src.Open(f.name)
	}
	if r.src.Fetch == nil {
		return nil, errRemote
	}
	in, err := r.src.Fetch(f.key)
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // the URL is named already, without its password
	}
	return in, err
}

var (
	errRemote = errors.New("a list is read from disk only")
	errFull   = errors.New("too much to read") // reported already
)

// openRegular opens a regular file: reading a FIFO might never end.
func openRegular(name string) (io.ReadCloser, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return os.Open(name)
}

// isRemote reports whether the name of a list is a URL that is not of this
// machine.
func isRemote(name string) bool {
	switch scheme(name) {
	case "http", "https", "ftp":
		return true
	}
	return false
}

// include reads the list that a -r or -c of the line names.
func (l *line) include(name string, constraint bool) {
	f := l.f
	at := Position{f.name, l.n}
	g := &file{
		name: name, key: name, dir: f.dir, constraint: constraint,
		parent: f, depth: f.depth + 1,
		at: at, via: append(slices.Clip(f.via), at),
	}
	switch {
	case isRemote(f.key):
		// A relative name is one beside the list that names it.
		key, ok := besideURL(f.key, name)
		if !ok {
			l.fail(PipRefusesFile, "", "include %s: a list from the network cannot include a file of this machine", l.quoteBare(name))
			return
		}
		g.key, g.name = key, l.mask(key)
	case isRemote(name):
		g.name = l.mask(name)
	case scheme(name) == "file":
		g.name = parseLink(name).local(filepath.Dir(f.key))
		g.key = g.name
	case filepath.IsAbs(name):
		g.name = filepath.Clean(name)
		g.key = g.name
	default:
		g.name = filepath.Join(filepath.Dir(f.name), name)
		g.key = filepath.Join(filepath.Dir(f.key), name)
	}
	for p := f; p != nil; p = p.parent {
		if p.key == g.key {
			l.fail(PipRefusesFile, "take this include out", "lists include one another in a circle: %s", chain(p, f, g.name))
			return
		}
	}
	l.r.readFile(g)
}

// besideURL gives the URL that a list from the network means by name. ok is
// false if that would not be a URL of the network.
func besideURL(list, name string) (u string, ok bool) {
	base, err := url.Parse(list)
	if err != nil {
		return "", false
	}
	ref, err := base.Parse(name)
	if err != nil || !isRemote(ref.String()) {
		return "", false
	}
	return ref.String(), true
}

// chain names the files from the first to the last and then the name that
// closes the circle.
func chain(first, last *file, name string) string {
	var names []string
	for f := last; ; f = f.parent {
		names = append(names, f.name)
		if f == first {
			break
		}
	}
	slices.Reverse(names)
	for i, n := range names {
		names[i] = redact(n)
	}
	return strings.Join(append(names, redact(name)), " → ")
}

// checkHashes takes the wants without a hash out when --require-hashes is
// given. As with pip, a hash in a constraint of the same project will do.
func (r *reader) checkHashes() {
	if !r.list.Options.RequireHashes {
		return
	}
	hashed := make(map[packaging.Name]bool)
	for _, c := range r.list.Constraints {
		if c.Project != "" && len(c.Hashes) > 0 {
			hashed[c.Project] = true
		}
	}
	r.list.Wants = slices.DeleteFunc(r.list.Wants, func(w Want) bool {
		unhashed := func(f lockfile.File) bool { return len(f.Hashes) == 0 }
		if len(w.Files) > 0 && !slices.ContainsFunc(w.Files, unhashed) || len(w.Hashes) > 0 || len(w.URLHashes) > 0 || hashed[w.Project] {
			return false
		}
		r.list.Problems = append(r.list.Problems, Problem{
			Position: w.Position, Via: w.Via, Severity: Error, Want: &w,
			Text: "no --hash, and --require-hashes is given",
			Hint: "pip-compile --generate-hashes writes them",
		})
		return true
	})
}
