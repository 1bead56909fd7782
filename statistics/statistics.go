package statistics

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"nestgen/packaging"
)

// Statistics are all counts of a site, and what its logs were read of.
type Statistics struct {
	// Form is the version of the form that this is written in.
	Form int `json:"form"`

	// Files are by their paths in the tree, as layout.File gives them.
	Files map[string]*File `json:"files"`

	// Total is what was counted since the beginning, and Days what was counted on
	// each of the last [keptDays], by its date in UTC.
	Total *Counts            `json:"total"`
	Days  map[string]*Counts `json:"days"`

	// LastRead is when logs were read last, in seconds since 1970 UTC.
	LastRead int64 `json:"read"`

	// Logs says how far each log was read, and Series what is covered by a log and
	// those that it was rotated to, by the path of the first.
	Logs   []*Log             `json:"logs"`
	Series map[string]*Series `json:"series"`

	// Full says that there are more files than are counted, so that nothing is known
	// of some.
	Full bool `json:"full,omitempty"`
}

const (
	form     = 1
	keptDays = 400
	keptLogs = 10_000 // that were not seen for a while go first

	maxFiles = 4 << 20
	maxSize  = 4 << 30 // of the file, unpacked
)

// ErrBusy is matched by the error of an update while another one is under way.
var ErrBusy = errors.New("another run is reading the access logs")

// New gives the statistics of a site that nothing was counted of.
func New() *Statistics {
	return &Statistics{Form: form, Files: map[string]*File{}, Total: new(Counts), Days: map[string]*Counts{}, Series: map[string]*Series{}}
}

// Load reads statistics from a file. Without one, nothing was counted yet.
func Load(file string) (*Statistics, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return New(), nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := decode(f)
	if err != nil {
		if _, disk := errors.AsType[*fs.PathError](err); disk {
			return nil, err
		}
		return nil, &DamagedError{file, err}
	}
	return s, nil
}

// A DamagedError says that a file holds no statistics that can be read. It may be
// deleted.
type DamagedError struct {
	File string
	Err  error
}

func (e *DamagedError) Error() string { return fmt.Sprintf("statistics %s: %v", e.File, e.Err) }
func (e *DamagedError) Unwrap() error { return e.Err }

func decode(r io.Reader) (*Statistics, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	// The form first: of a newer one nothing else is known.
	s := New()
	s.Form = 0
	limited := &io.LimitedReader{R: z, N: maxSize}
	err = json.NewDecoder(limited).Decode(s)
	if err == nil {
		_, err = io.Copy(io.Discard, limited) // up to the checksum
	}
	switch {
	case limited.N == 0:
		return nil, errors.New("it is too large")
	case s.Form > form:
		return nil, fmt.Errorf("it has form %d, this nestgen knows %d: use a newer nestgen", s.Form, form)
	case err != nil:
		return nil, err
	case s.Form != form:
		return nil, errors.New("it does not say what it is")
	}
	return s, s.check()
}

// check makes sure that nothing is missing that the rest of the package takes for
// granted.
func (s *Statistics) check() error {
	missing := s.Files == nil || s.Total == nil || s.Days == nil || s.Series == nil
	for _, f := range s.Files {
		missing = missing || f == nil
	}
	for _, c := range s.Days {
		missing = missing || c == nil
	}
	for _, x := range s.Series {
		missing = missing || x == nil
	}
	for _, l := range s.Logs {
		missing = missing || l == nil || l.Offset < 0 || l.Length < 0 || l.Length > headLength
	}
	if missing {
		return errors.New("a part of it is missing")
	}
	for _, c := range append([]*Counts{s.Total}, mapValues(s.Days)...) {
		for n := range c.Projects {
			if c.Projects[n] == nil || packaging.NormalizeName(string(n)) != n {
				return errors.New("a part of it is missing")
			}
		}
	}
	return nil
}

func mapValues(m map[string]*Counts) (all []*Counts) {
	for _, c := range m {
		all = append(all, c)
	}
	return all
}

// Update changes the statistics of a file, which is replaced when change gives no
// error. The error matches [ErrBusy] while another process does the same.
func Update(file string, change func(*Statistics) error) (err error) {
	lock, err := os.OpenFile(file+".lock", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close() // which unlocks
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return ErrBusy
	} else if err != nil {
		return &fs.PathError{Op: "flock", Path: lock.Name(), Err: err}
	}
	s, err := Load(file)
	if err != nil {
		return err
	}
	if err := change(s); err != nil {
		return err
	}
	return s.save(file)
}

// save replaces a file. What saves that died have left goes.
func (s *Statistics) save(file string) error {
	dir, base := filepath.Split(file)
	left, _ := filepath.Glob(filepath.Join(dir, "."+base+"*")) // the pattern is right
	for _, name := range left {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	t, err := renameio.NewPendingFile(file, renameio.WithPermissions(0o644), renameio.IgnoreUmask(), renameio.WithTempDir(dir))
	if err != nil {
		return err
	}
	defer t.Cleanup()
	z, err := gzip.NewWriterLevel(t, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := errors.Join(json.NewEncoder(z).Encode(s), z.Close()); err != nil {
		return err
	}
	return t.CloseAtomicallyReplace()
}

// oldestDay gives when the first day begins whose counts are kept.
func oldestDay(now time.Time) time.Time {
	return now.UTC().AddDate(0, 0, -keptDays).Truncate(24 * time.Hour)
}

// prune forgets days and logs that are too old to matter.
func (s *Statistics) prune(now time.Time) {
	oldest := oldestDay(now)
	for day := range s.Days {
		if day < oldest.Format(time.DateOnly) {
			delete(s.Days, day)
		}
	}
	for name, x := range s.Series {
		if x.Seen < oldest.Unix() {
			delete(s.Series, name)
		}
	}
	s.pruneLogs(oldest.Unix())
}
