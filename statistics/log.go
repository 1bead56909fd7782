package statistics

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nestgen/accesslog"
	"nestgen/packaging"
)

// A Log is how far a log was read. It is known by what it begins with, because a log
// is renamed, copied and packed in its life, and the times in its first lines are
// nobody else's.
type Log struct {
	// Head is the SHA-256 of the first Length bytes, unpacked.
	Head   string `json:"head"`
	Length int    `json:"length"`

	// Offset is up to where it was read, unpacked.
	Offset int64 `json:"offset"`

	// First is the time of its first line.
	First int64 `json:"first"`

	// Inode is the file that was read last; a packed one that is still the same was
	// read to its end and need not be unpacked again.
	Inode inode `json:"inode"`

	// Seen is when it was there last, in seconds since 1970 UTC.
	Seen int64 `json:"seen"`
}

// An inode is a file of a file system as it was at a moment.
type inode struct {
	Device, Inode  uint64
	Size, Modified int64
	Packed         bool
}

// headLength is how much of the beginning of a log tells it from others.
const headLength = 4 << 10

// A Reading says what came of reading logs.
type Reading struct {
	Logs  int   `json:"logs"`  // that are there
	Lines int64 `json:"lines"` // that were read now
	Bad   int64 `json:"bad"`   // of them, that are not of a known form, or from the future

	// Problems are what could not be read, and what was missing.
	Problems []string `json:"problems,omitempty"`
}

// A logFile is a log as it lies on disk.
type logFile struct {
	name   string
	series string
	number int // 0 for the log that is being written, 1 for the one before; -1 if the name does not tell
	inode  inode
	head   []byte
	first  int64 // the time of the first line, 0 if that is not known
	log    *Log  // nil if it is new
	fault  error

	// torn says that something was read now that may be about a file and is not
	// understood, and resumed is the time of the next line that is; 0 if none is.
	torn    bool
	resumed int64

	until  int64     // the latest time in the series up to its end
	date   time.Time // when it was rotated, by its name; zero if that does not tell
	closed bool      // there is a newer one

	isNew  bool // nothing of it was read before
	isLast bool // it is the one that its series was read up to
}

// rotated are the ends of names that logs get when they are rotated: a number behind a
// dot, or a date.
var rotated = regexp.MustCompile(`(?:\.(\d{1,4})|[.-](?:\d{4}-?\d{2}-?\d{2}(?:[-_T]?\d{2}(?:-?\d{2}){0,2})?|\d{10}))$`)

// SeriesOf gives the path that a log had while it was written, and which one before
// that it is; -1 if its name does not tell.
func SeriesOf(path string) (series string, number int) {
	path = strings.TrimSuffix(path, ".gz")
	m := rotated.FindStringSubmatchIndex(path)
	if m == nil || m[0] == 0 || path[m[0]-1] == '/' {
		return path, 0
	}
	if m[2] >= 0 {
		n, err := strconv.Atoi(path[m[2]:m[3]])
		if err == nil {
			return path[:m[0]], n
		}
	}
	return path[:m[0]], -1
}

// dateOf reads the end of a name that a log got when it was rotated; the zero time if it
// is no date.
func dateOf(end string) time.Time {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || '9' < r {
			return -1
		}
		return r
	}, end)
	const form = "20060102150405"
	if t, err := time.Parse(form[:min(len(digits), len(form))], digits); err == nil {
		return t
	}
	seconds, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// Read counts what stands in logs and was not counted before. patterns are their
// paths, or patterns of these as [filepath.Match] has them; what a pattern fits is
// read with what it was rotated to only as far as that fits one too. A path that is
// none and does not exist is an error. now is the time: what seems to be of the
// future is not believed.
func (s *Statistics) Read(ctx context.Context, patterns []string, now time.Time) (Reading, error) {
	var r Reading
	names, err := expand(patterns, &r)
	if err != nil {
		return Reading{}, err
	}
	files := map[string][]*logFile{}
	for _, name := range names {
		f, err := s.look(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // it was rotated just now, and is there under another name
		case err != nil:
			return r, err
		}
		files[f.series] = append(files[f.series], f)
		r.Logs++
	}
	c := &counter{s: s, now: now.Unix(), reading: &r, agents: map[string]client{}, paths: map[string]*counted{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := s.readSeries(ctx, c, name, files[name]); err != nil {
			return r, err
		}
	}
	s.LastRead = now.Unix()
	s.prune(now)
	return r, nil
}

// expand finds the logs that patterns fit, and tells of those that fit none.
func expand(patterns []string, r *Reading) ([]string, error) {
	var names []string
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("access log %s: the pattern is faulty: %w", p, err)
		}
		if len(found) == 0 && !isPattern(p) {
			return nil, fmt.Errorf("access log %s: %w", p, fs.ErrNotExist)
		}
		if len(found) == 0 {
			r.Problems = append(r.Problems, p+": there is no access log that this pattern fits")
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func isPattern(s string) bool { return strings.ContainsAny(s, `*?[\`) }

// look finds out which log a file is.
func (s *Statistics) look(name string) (*logFile, error) {
	f := &logFile{name: name}
	f.series, f.number = SeriesOf(name)
	if f.number < 0 {
		f.date = dateOf(strings.TrimSuffix(name, ".gz")[len(f.series):])
	}
	h, err := openLog(name)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	if f.inode, err = inodeOf(h); err != nil {
		return nil, err
	}
	for _, l := range s.Logs {
		if f.inode.Packed && l.Inode == f.inode {
			f.log, f.first = l, l.First
			return f, nil
		}
	}
	in, err := unpacked(h, f.inode.Packed)
	if err == nil {
		f.head = make([]byte, headLength)
		var n int
		n, err = io.ReadFull(in, f.head)
		f.head = f.head[:n]
	}
	// What is too short is whole, unless it is packed: then it was cut off.
	if err != nil && !errors.Is(err, io.EOF) && !(errors.Is(err, io.ErrUnexpectedEOF) && !(f.inode.Packed && len(f.head) == 0)) {
		if _, disk := errors.AsType[*fs.PathError](err); disk {
			return nil, fmt.Errorf("access log %w", err)
		}
		f.fault = err
		return f, nil
	}
	f.log = s.known(f.head)
	f.first = firstTime(f.head)
	return f, nil
}

// openLog opens a file that must be an ordinary one: a log that is a pipe would
// never end.
func openLog(name string) (*os.File, error) {
	h, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("access log %w", err)
	}
	if fi, err := h.Stat(); err != nil || !fi.Mode().IsRegular() {
		h.Close()
		return nil, fmt.Errorf("access log %s: it is not a file", name)
	}
	return h, nil
}

// inodeOf finds out what a file is.
func inodeOf(h *os.File) (inode, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(h.Fd()), &st); err != nil {
		return inode{}, &fs.PathError{Op: "stat", Path: h.Name(), Err: err}
	}
	var magic [2]byte
	if _, err := h.ReadAt(magic[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return inode{}, err
	}
	return inode{uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), magic == [2]byte{0x1f, 0x8b}}, nil
}

// unpacked reads a log, be it packed or not.
func unpacked(h *os.File, packed bool) (io.Reader, error) {
	if !packed {
		return h, nil
	}
	return gzip.NewReader(bufio.NewReader(h))
}

// known finds the log that begins so, nil if it was never read.
func (s *Statistics) known(head []byte) (best *Log) {
	digests := map[int]string{}
	for _, l := range s.Logs {
		if l.Length == 0 || l.Length > len(head) {
			continue
		}
		if digests[l.Length] == "" {
			digests[l.Length] = digestOf(head[:l.Length])
		}
		if digests[l.Length] == l.Head && (best == nil || best.Length < l.Length) {
			best = l
		}
	}
	return best
}

func digestOf(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}

// firstTime gives the time of the first line that makes sense.
func firstTime(head []byte) int64 {
	r := accesslog.NewReader(bytes.NewReader(head))
	var e accesslog.Entry
	if r.Next(&e) != nil {
		return 0
	}
	return e.Time
}

// readSeries reads a log and what it was rotated to, the oldest first.
func (s *Statistics) readSeries(ctx context.Context, c *counter, name string, files []*logFile) error {
	x := s.Series[name]
	if x == nil {
		x = &Series{}
		s.Series[name] = x
	}
	slices.SortStableFunc(files, func(a, b *logFile) int {
		if a.number >= 0 && b.number >= 0 {
			return cmp.Compare(b.number, a.number)
		}
		return cmp.Compare(a.order(), b.order())
	})
	for _, f := range files {
		f.isNew = f.log == nil
		f.isLast = f.log != nil && f.log.Head == x.Last
	}
	c.until = x.Until
	for i, f := range files {
		f.closed = i < len(files)-1
		if err := c.read(ctx, f); err != nil {
			return err
		}
		if f.fault != nil {
			c.problem("%s: it cannot be read to its end: %v", f.name, f.fault)
		}
		f.until = c.until
	}
	since := cmp.Or(x.coveredBy(files), c.now)
	if x.Since != 0 && since != x.Since && !slices.ContainsFunc(files, func(f *logFile) bool { return f.torn }) {
		c.problem("%s: what was logged between %s and %s is missing", name, stamp(x.Until), stamp(since))
	}
	x.Since, x.Seen = since, c.now
	x.Until = c.until
	for _, f := range files {
		if f.log != nil {
			f.log.Seen, x.Last = c.now, f.log.Head
		}
	}
	return nil
}

func stamp(seconds int64) string { return time.Unix(seconds, 0).UTC().Format("2006-01-02 15:04:05") }

// order puts logs into the order of their first lines; those that have none yet are
// the newest.
func (f *logFile) order() int64 {
	if f.first == 0 {
		return 1<<63 - 1
	}
	return f.first
}

// A counter counts the entries of logs.
type counter struct {
	s       *Statistics
	now     int64
	reading *Reading
	until   int64 // the latest time in the series
	agents  map[string]client
	paths   map[string]*counted // nil for one that is of no file

	// today is the day that was counted last, as a number of days since 1970, with
	// its counts: most lines are of the same day as the one before.
	today  int64
	counts *Counts
}

// A counted is a file, as a path is of it.
type counted struct {
	accesslog.File
	project packaging.Name
	version string
	file    *File
}

// maxCached is how many user agents and paths are remembered, so that they need not
// be looked at again. Anybody can make up some.
const maxCached = 100_000

func (c *counter) problem(format string, args ...any) {
	c.reading.Problems = append(c.reading.Problems, fmt.Sprintf(format, args...))
}

// read counts what a log has that was not read before.
func (c *counter) read(ctx context.Context, f *logFile) error {
	if f.log == nil && f.fault == nil {
		f.log = c.s.known(f.head) // it was read just now under another name
	}
	if f.fault != nil || f.log != nil && f.log.Inode == f.inode && f.inode.Packed {
		return nil
	}
	h, err := openLog(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.Close()
	now, err := inodeOf(h)
	if err != nil {
		return err
	}
	if now.Device != f.inode.Device || now.Inode != f.inode.Inode {
		return nil // it was rotated since it was looked at: the next time
	}
	offset := int64(0)
	if f.log != nil {
		offset = f.log.Offset
	}
	in, err := after(h, f.inode.Packed, offset)
	if err != nil {
		f.fault = err
		return nil
	}
	r := accesslog.NewReader(in)
	var e accesslog.Entry
	var bad, future int64
	for lines := 0; ; lines++ {
		if lines%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err = r.Next(&e); err != nil {
			break
		}
		if bad != r.Bad() {
			bad, f.torn, f.resumed = r.Bad(), true, 0
		}
		if !c.entry(&e) {
			f.torn, f.resumed = true, 0
			future = cmp.Or(future, r.Offset())
			continue
		}
		if f.first == 0 {
			f.first = e.Time
		}
		if f.torn && f.resumed == 0 {
			f.resumed = e.Time
		}
	}
	if f.closed {
		r.End()
	}
	if bad != r.Bad() {
		f.torn, f.resumed = true, 0
	}
	if f.torn {
		c.tellTorn(h, f, offset, r.FirstBad(), future)
	}
	c.reading.Bad += r.Bad()
	c.reading.Lines += r.Bad()
	if !errors.Is(err, io.EOF) {
		if _, disk := errors.AsType[*fs.PathError](err); disk {
			return fmt.Errorf("access log %w", err)
		}
		f.fault = err
	}
	c.advance(f, offset+r.Offset())
	return nil
}

// tellTorn names the first line of a log that was not understood, of those that were
// read now from an offset on. bad and future are how many bytes there are from there up to
// the end of the first one of either kind; 0 if there is none.
func (c *counter) tellTorn(h *os.File, f *logFile, offset, bad, future int64) {
	what, end := "is of no form that is known, so that it may have been about any file", bad
	if bad == 0 || future != 0 && future < bad {
		what, end = "is about a file, and of a time that is to come", future
	}
	c.problem("%s: line %s %s: what was fetched until then is not known", f.name, lineAt(h, f.inode.Packed, offset+end), what)
}

// lineAt gives the number of the line that ends with an offset.
func lineAt(h *os.File, packed bool, offset int64) string {
	if _, err := h.Seek(0, io.SeekStart); err != nil {
		return "?"
	}
	in, err := unpacked(h, packed)
	if err != nil {
		return "?"
	}
	n, buf := 0, make([]byte, 64<<10)
	for in = io.LimitReader(in, offset); ; {
		got, err := in.Read(buf)
		n += bytes.Count(buf[:got], []byte{'\n'})
		if err != nil {
			return strconv.Itoa(n)
		}
	}
}

// after gives what a log has behind an offset.
func after(h *os.File, packed bool, offset int64) (io.Reader, error) {
	if !packed {
		_, err := h.Seek(offset, io.SeekStart)
		return h, err
	}
	in, err := unpacked(h, packed)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, in, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return in, nil
}

// advance notes up to where a log was read.
func (c *counter) advance(f *logFile, offset int64) {
	if offset == 0 {
		return // there is no whole line
	}
	if f.log == nil {
		f.log = &Log{First: f.first}
		c.s.Logs = append(c.s.Logs, f.log)
	}
	l := f.log
	l.Offset = offset
	if n := int(min(int64(len(f.head)), offset)); n > l.Length {
		l.Length, l.Head = n, digestOf(f.head[:n])
	}
	if l.First == 0 {
		l.First = f.first
	}
	if f.inode.Packed || !l.Inode.Packed {
		l.Inode = f.inode
	}
}

// entry counts one line. It reports false for one about a file that seems to be of the
// future: when that was fetched nobody knows.
func (c *counter) entry(e *accesslog.Entry) bool {
	c.reading.Lines++
	if e.Time > c.now+24*60*60 {
		c.reading.Bad++
		file, ok := accesslog.ParsePath(string(e.Path))
		return !ok || file.Companion || !e.Fetched()
	}
	c.until = max(c.until, e.Time)
	if !e.Fetched() {
		return true
	}
	f := c.file(e)
	if f == nil {
		return true
	}
	ever, day := c.s.Total, c.day(e.Time)
	if f.Companion {
		ever.Metadata++
		day.Metadata++
		return true
	}
	t := Tally{Bytes: e.Bytes}
	if e.Download() {
		t.Downloads = 1
	}
	f.file.add(t)
	// A line was written after the one before it, whatever the clock said that somebody
	// had set back meanwhile.
	f.file.Fetched = max(f.file.Fetched, c.until)
	by := c.client(e.Agent)
	ever.add(f.project, f.version, by, t)
	day.add(f.project, f.version, by, t)
	return true
}

// day gives the counts of the day that a time is of. What is too long ago goes when
// all is counted.
func (c *counter) day(at int64) *Counts {
	today := at / (24 * 60 * 60)
	if c.counts == nil || today != c.today {
		date := time.Unix(at, 0).UTC().Format(time.DateOnly)
		if c.s.Days[date] == nil {
			c.s.Days[date] = new(Counts)
		}
		c.today, c.counts = today, c.s.Days[date]
	}
	return c.counts
}

// file gives the file that an entry is about; nil if it is about none.
func (c *counter) file(e *accesslog.Entry) *counted {
	if f, known := c.paths[string(e.Path)]; known {
		return f
	}
	path := string(e.Path)
	f := c.find(path)
	if len(c.paths) >= maxCached {
		clear(c.paths)
	}
	c.paths[path] = f
	return f
}

func (c *counter) find(path string) *counted {
	file, ok := accesslog.ParsePath(path)
	if !ok {
		return nil
	}
	name, err := packaging.ParseFilename(file.Filename, "")
	if err != nil {
		return nil
	}
	f := &counted{File: file, project: name.Project, version: name.Version}
	if f.Companion {
		return f
	}
	if f.file = c.s.Files[file.Path]; f.file == nil {
		if len(c.s.Files) >= maxFiles {
			c.s.Full = true
			return nil
		}
		f.file = new(File)
		c.s.Files[file.Path] = f.file
	}
	return f
}

func (c *counter) client(agent []byte) client {
	if known, ok := c.agents[string(agent)]; ok {
		return known
	}
	if len(c.agents) >= maxCached {
		clear(c.agents)
	}
	text := string(agent)
	c.agents[text] = clientOf(text)
	return c.agents[text]
}
