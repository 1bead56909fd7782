package statistics_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"nestgen/statistics"
)

// day is when the logs of these tests begin, and the clock stands.
var day = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// A server is a web server that logs into a folder.
type server struct {
	testing.TB
	dir   string
	stats *statistics.Statistics
}

func newServer(t testing.TB) *server {
	return &server{t, t.TempDir(), statistics.New()}
}

func (w *server) path(name string) string { return filepath.Join(w.dir, name) }

// stored gives the path of a file in the store of these tests.
func stored(filename string) string {
	return fmt.Sprintf("packages/ab/cd/%060x/%s", len(filename), filename)
}

// line gives a line about a file that was downloaded so many minutes after the
// clock began.
func line(minute int, filename string, more ...string) string {
	agent := "pip/24.2 CPython/3.12.1 Linux/6.1"
	if len(more) > 0 {
		agent = more[0]
	}
	at := day.Add(time.Duration(minute) * time.Minute)
	return fmt.Sprintf("203.0.113.7 - - [%s] \"GET /%s HTTP/1.1\" 200 100 \"-\" \"%s\"\n", at.Format("02/Jan/2006:15:04:05 -0700"), stored(filename), agent)
}

func (w *server) log(name string, lines ...string) {
	w.Helper()
	f, err := os.OpenFile(w.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		w.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Join(lines, "")); err != nil {
		w.Fatal(err)
	}
}

func (w *server) rename(from, to string) {
	w.Helper()
	if err := os.Rename(w.path(from), w.path(to)); err != nil {
		w.Fatal(err)
	}
}

func (w *server) remove(name string) {
	w.Helper()
	if err := os.Remove(w.path(name)); err != nil {
		w.Fatal(err)
	}
}

// copyTruncate rotates as logrotate does with copytruncate.
func (w *server) copyTruncate(from, to string) {
	w.Helper()
	data, err := os.ReadFile(w.path(from))
	if err == nil {
		err = os.WriteFile(w.path(to), data, 0o644)
	}
	if err == nil {
		err = os.Truncate(w.path(from), 0)
	}
	if err != nil {
		w.Fatal(err)
	}
}

// pack compresses a log.
func (w *server) pack(name string) {
	w.Helper()
	data, err := os.ReadFile(w.path(name))
	if err != nil {
		w.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(data)
	z.Close()
	if err := os.WriteFile(w.path(name+".gz"), b.Bytes(), 0o644); err != nil {
		w.Fatal(err)
	}
	w.remove(name)
}

// read reads the logs so many minutes after the clock began.
func (w *server) read(minute int, patterns ...string) statistics.Reading {
	w.Helper()
	r, err := w.stats.Read(w.Context(), w.patterns(patterns), w.at(minute))
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *server) at(minute int) time.Time { return day.Add(time.Duration(minute) * time.Minute) }

func (w *server) patterns(names []string) []string {
	if names == nil {
		names = []string{"access.log*"}
	}
	var all []string
	for _, n := range names {
		all = append(all, w.path(n))
	}
	return all
}

// counted checks how many downloads were counted.
func (w *server) counted(about string, want int64) {
	w.Helper()
	if got := w.stats.Total.Downloads; got != want {
		w.Errorf("%s: %d downloads, want %d", about, got, want)
	}
}

// covered checks from which minute on nothing was missed; -1 for a reason why that is
// not known.
func (w *server) covered(about string, minute, want int, patterns ...string) {
	w.Helper()
	since, why := w.stats.Covered(w.patterns(patterns), w.at(minute))
	switch {
	case want < 0 && why == "":
		w.Errorf("%s: covered since %s, want a reason why not", about, since)
	case want >= 0 && (why != "" || !since.Equal(w.at(want))):
		w.Errorf("%s: covered since %s, %q, want %s", about, since, why, w.at(want))
	}
}

func TestCounts(t *testing.T) {
	w := newServer(t)
	w.log("access.log",
		line(0, "foo-1.0.tar.gz"),
		line(1, "foo-1.0.tar.gz", "uv/0.4.1 {}"),
		line(2, "foo-1.0-py3-none-any.whl"),
		line(3, "bar-2.0.tar.gz", "curl/8"),
		line(24*60, "foo-2.0.tar.gz"),
		line(25*60, "foo-2.0.tar.gz.metadata"),
		strings.Replace(line(26*60, "foo-2.0.tar.gz"), " 200 ", " 206 ", 1),
		strings.Replace(line(27*60, "foo-2.0.tar.gz"), " 200 100 ", " 304 - ", 1),
		strings.Replace(line(28*60, "foo-2.0.tar.gz"), " 200 ", " 404 ", 1),
		strings.Replace(line(28*60, "foo-2.0.tar.gz"), "packages/", "pakages/", 1),
		line(29*60, "nodistribution"),
		line(30*60+24*60+1, "foo-2.0.tar.gz"), // from the future
		"bad\n",
		line(29*60, "foo-2.0.tar.gz")[:30],
	)
	r := w.read(30 * 60)
	if r.Logs != 1 || r.Lines != 13 || r.Bad != 2 || len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "access.log: line 12 is about a file, and of a time that is to come") {
		t.Errorf("reading: %+v", r)
	}
	s := w.stats
	if f := s.Files[stored("foo-2.0.tar.gz")]; f == nil || *f != (statistics.File{Tally: statistics.Tally{Downloads: 1, Bytes: 200}, Fetched: w.at(27 * 60).Unix()}) {
		t.Errorf("foo 2.0: %+v", f)
	}
	if len(s.Files) != 4 {
		t.Errorf("files: %v", s.Files)
	}
	check := func(about string, got []statistics.Row, want ...string) {
		t.Helper()
		var rows []string
		for _, r := range got {
			rows = append(rows, fmt.Sprintf("%s %d %d", r.Name, r.Downloads, r.Bytes))
		}
		if !reflect.DeepEqual(rows, want) {
			t.Errorf("%s: %q, want %q", about, rows, want)
		}
	}
	check("projects", s.Total.TopProjects(), "foo 4 500", "bar 1 100")
	check("versions", s.Total.Versions("foo"), "2.0 1 200", "1.0 3 300")
	check("Python", s.Total.TopPythons(), "3.12 3 400", " 2 200")
	check("systems", s.Total.TopSystems(), "Linux 3 400", " 2 200")
	check("clients", s.Total.TopClients(true), "pip 24.2 3 400", "curl 8 1 100", "uv 0.4.1 1 100")
	check("programs", s.Total.TopClients(false), "pip 3 400", "curl 1 100", "uv 1 100")
	check("since", s.Since(w.at(24*60)).TopProjects(), "foo 1 200")
	check("the whole day counts", s.Since(w.at(5)).TopProjects(), "foo 4 500", "bar 1 100")
	if s.Total.Metadata != 1 || s.Since(w.at(24*60)).Metadata != 1 {
		t.Errorf("metadata: %d", s.Total.Metadata)
	}
	if d := s.Daily(); len(d) != 2 || d[0].Date != "2026-11-01" || d[0].Downloads != 4 || d[1].Downloads != 1 {
		t.Errorf("days: %+v", d)
	}
}

// However often the logs are read, and however they are rotated meanwhile, each line
// counts once, and nothing is missed.
func TestRotation(t *testing.T) {
	for about, rotate := range map[string]func(w *server, minute int){
		"renamed": func(w *server, _ int) { w.rename("access.log", "access.log.1"); w.log("access.log") },
		"copied":  func(w *server, _ int) { w.copyTruncate("access.log", "access.log.1") },
		"packed":  func(w *server, _ int) { w.rename("access.log", "access.log.1"); w.pack("access.log.1") },
		"dated":   func(w *server, m int) { w.rename("access.log", fmt.Sprintf("access.log-202611%02d", m)) },
		"dated packed": func(w *server, m int) {
			n := fmt.Sprintf("access.log.202611%02d", m)
			w.rename("access.log", n)
			w.pack(n)
		},
	} {
		t.Run(about, func(t *testing.T) {
			w := newServer(t)
			for i := range 8 {
				m := 4*i + 1
				w.log("access.log", line(m, "foo-1.0.tar.gz"))
				w.read(m)
				w.read(m)
				w.log("access.log", line(m+1, "foo-1.0.tar.gz")[:50])
				w.read(m + 1)
				w.log("access.log", line(m+1, "foo-1.0.tar.gz")[50:])
				if i%2 == 0 {
					w.read(m + 1)
				}
				for n := 8; n > 0; n-- { // as logrotate does
					for _, end := range []string{"", ".gz"} {
						if _, err := os.Lstat(w.path(fmt.Sprintf("access.log.%d%s", n, end))); err == nil {
							w.rename(fmt.Sprintf("access.log.%d%s", n, end), fmt.Sprintf("access.log.%d%s", n+1, end))
						}
					}
				}
				rotate(w, m)
				if i%3 == 0 {
					w.read(m + 2)
				}
				w.log("access.log", line(m+3, "foo-1.0.tar.gz"))
				if r := w.read(m + 3); len(r.Problems) > 0 {
					t.Errorf("round %d: %q", i, r.Problems)
				}
				w.counted(fmt.Sprintf("round %d", i), int64(3*(i+1)))
				w.covered(fmt.Sprintf("round %d", i), m+3, 1)
			}
		})
	}
}

func TestWhatWasThereBeforeIsReadOnce(t *testing.T) {
	w := newServer(t)
	w.log("access.log.2", line(1, "foo-1.0.tar.gz"))
	w.pack("access.log.2")
	w.log("access.log.1", line(2, "foo-1.0.tar.gz"))
	w.log("access.log", line(3, "foo-1.0.tar.gz"))
	if err := os.Link(w.path("access.log"), w.path("access.log.0")); err != nil {
		t.Fatal(err)
	}
	w.read(5)
	w.counted("two names for one log", 3)
	w.covered("from the oldest", 5, 1)
	w.read(6)
	w.counted("again", 3)
}

func TestGaps(t *testing.T) {
	begin := func(t *testing.T) *server {
		w := newServer(t)
		w.log("access.log", line(1, "foo-1.0.tar.gz"))
		w.read(2)
		w.covered("in the beginning", 2, 1)
		return w
	}
	t.Run("log lost", func(t *testing.T) {
		w := begin(t)
		w.remove("access.log")
		w.log("access.log", line(10, "foo-1.0.tar.gz"))
		if r := w.read(11); len(r.Problems) != 1 {
			t.Errorf("%+v", r)
		}
		w.covered("after it", 11, 10)
		if r := w.read(12); len(r.Problems) != 0 {
			t.Errorf("it is told once: %+v", r)
		}
		w.covered("the next time", 12, 10)
	})
	t.Run("rotated away", func(t *testing.T) {
		w := begin(t)
		w.remove("access.log")
		w.log("access.log.1", line(10, "foo-1.0.tar.gz"))
		w.log("access.log", line(20, "foo-1.0.tar.gz"))
		w.read(21)
		w.covered("from the oldest that is new", 21, 10)
	})
	t.Run("one in the middle", func(t *testing.T) {
		w := begin(t)
		w.rename("access.log", "access.log.3")
		w.log("access.log.1", line(10, "foo-1.0.tar.gz"))
		w.log("access.log", line(20, "foo-1.0.tar.gz"))
		w.read(21)
		w.covered("from behind the gap", 21, 10)
	})
	t.Run("one in the middle at first sight", func(t *testing.T) {
		w := newServer(t)
		w.log("access.log.5", line(1, "foo-1.0.tar.gz"))
		w.log("access.log.1", line(10, "foo-1.0.tar.gz"))
		w.read(21)
		w.covered("from behind the gap", 21, 10)
	})
	t.Run("cannot be unpacked", func(t *testing.T) {
		w := begin(t)
		w.rename("access.log", "access.log.2")
		w.log("access.log.1.gz", "\x1f\x8bnot really")
		w.log("access.log", line(20, "foo-1.0.tar.gz"))
		if r := w.read(21); len(r.Problems) != 2 {
			t.Errorf("%+v", r)
		}
		w.covered("from behind it", 21, 20)
		w.counted("the others", 2)
	})
	t.Run("cut off while packed", func(t *testing.T) {
		w := begin(t)
		var lines []string
		for i := range 500 {
			lines = append(lines, line(2, fmt.Sprintf("foo-1.%d.tar.gz", i*i*i)))
		}
		w.log("access.log", lines...)
		w.rename("access.log", "access.log.1")
		w.pack("access.log.1")
		if err := os.Truncate(w.path("access.log.1.gz"), 4000); err != nil {
			t.Fatal(err)
		}
		w.log("access.log", line(20, "foo-1.0.tar.gz"))
		w.read(21)
		w.covered("from behind it", 21, 20)
		if r := w.read(22); len(r.Problems) != 0 {
			t.Errorf("it is told once: %+v", r)
		}
		w.covered("the next time", 22, 20)
	})
	t.Run("nothing is there any more", func(t *testing.T) {
		w := begin(t)
		w.remove("access.log")
		w.read(3)
		w.covered("it was read before", 3, -1)
		w.covered("settings that do not name it", 3, -1, "other.log*")
	})
	t.Run("never anything", func(t *testing.T) {
		w := newServer(t)
		w.read(3)
		w.covered("no log", 3, -1)
	})
	t.Run("one of two servers", func(t *testing.T) {
		w := begin(t)
		w.log("b.access.log", line(7, "foo-1.0.tar.gz"))
		w.read(8, "*access.log*")
		w.covered("the younger counts", 8, 7, "*access.log*")
		w.remove("b.access.log")
		w.read(9, "*access.log*")
		w.covered("gone", 9, -1, "*access.log*")
		w.covered("not asked for", 9, 1, "access.log*")
	})
	t.Run("lines that may be about a file", func(t *testing.T) {
		future := line(10+24*60, "foo-1.0.tar.gz")
		for about, bad := range map[string]string{
			"another form":               "{\"request\":\"GET /packages/ab/cd\",\"status\":200}\n",
			"torn":                       line(2, "foo-1.0.tar.gz")[:30] + "\n",
			"torn, with the next one":    line(2, "foo-1.0.tar.gz")[:90] + line(2, "foo-1.0.tar.gz"),
			"zero bytes":                 strings.Repeat("\x00", 99) + line(2, "foo-1.0.tar.gz"),
			"too long":                   strings.Repeat("x", 1<<20) + "\n",
			"of the future":              future,
			"of the future, and unknown": future + "bad\n",
		} {
			w := begin(t)
			w.log("access.log", "\n", bad, line(3, "foo-1.0.tar.gz"), line(4, "foo-1.0.tar.gz"))
			if r := w.read(5); len(r.Problems) != 1 || !strings.Contains(r.Problems[0], w.path("access.log")+": line 3 ") {
				t.Errorf("%s: %q", about, r.Problems)
			}
			w.covered(about, 5, 3)
			if r := w.read(6); len(r.Problems) != 0 {
				t.Errorf("%s: it is told once: %+v", about, r)
			}
			w.covered(about+", the next time", 6, 3)
			w.log("access.log", bad)
			w.read(7)
			w.covered(about+", at the end", 7, 7)
		}
	})
	t.Run("lines that are not about a file", func(t *testing.T) {
		w := begin(t)
		future := line(10+24*60, "foo-1.0.tar.gz")
		w.log("access.log", "\n", " \t\r\n", strings.Replace(future, "packages", "simple", 1), strings.Replace(future, " 200 ", " 404 ", 1),
			"other.example:443 "+strings.Replace(line(2, "foo-1.0.tar.gz"), "/packages/", "/", 1))
		if r := w.read(5); len(r.Problems) != 0 || r.Bad != 2 {
			t.Errorf("%+v", r)
		}
		w.covered("whole", 5, 1)
	})
	t.Run("a line without end", func(t *testing.T) {
		w := begin(t)
		whole := line(3, "foo-1.0.tar.gz")
		w.log("access.log", line(2, "foo-1.0.tar.gz"), whole[:50])
		w.read(5)
		w.covered("it may be finished yet", 5, 1)
		w.log("access.log", whole[50:], whole[:50])
		w.read(6)
		w.covered("it was", 6, 1)
		w.rename("access.log", "access.log.1")
		w.log("access.log", line(7, "foo-1.0.tar.gz"))
		if r := w.read(8); len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "access.log.1: line 3 ") && !strings.Contains(r.Problems[0], "access.log.1: line 4 ") {
			t.Errorf("%q", r.Problems)
		}
		w.covered("nobody finishes it any more", 8, 7)
		w.log("access.log", line(9, "foo-1.0.tar.gz"))
		if r := w.read(10); len(r.Problems) != 0 || r.Bad != 0 {
			t.Errorf("it is told once: %+v", r)
		}
		w.pack("access.log.1")
		if r := w.read(11); len(r.Problems) != 0 || r.Bad != 0 {
			t.Errorf("packed: %+v", r)
		}
		w.covered("the next time", 11, 7)
	})
	t.Run("a date is missing", func(t *testing.T) {
		const daily = 24 * 60
		w := newServer(t)
		for _, day := range []int{1, 2, 4, 5} {
			name := fmt.Sprintf("access.log-202611%02d", day+1)
			w.log(name, line(day*daily, "foo-1.0.tar.gz"), line(day*daily+daily-1, "foo-1.0.tar.gz"))
			if day == 2 {
				w.pack(name)
			}
		}
		w.log("access.log", line(6*daily, "foo-1.0.tar.gz"))
		w.read(6*daily + 1)
		w.covered("from behind it", 6*daily+1, 4*daily)

		w = newServer(t)
		for i, hour := range []int{1, 2, 4, 5} { // the clock was put forward in between
			w.log(fmt.Sprintf("access.log-20261101%02d", hour), line(i*60, "foo-1.0.tar.gz"), line(i*60+59, "foo-1.0.tar.gz"))
		}
		w.read(240)
		w.covered("nothing is missing", 240, 0)
	})
	t.Run("a clock that is set back", func(t *testing.T) {
		w := begin(t)
		w.log("access.log", line(100, "foo-1.0.tar.gz"))
		w.read(101)
		w.log("access.log", line(2, "bar-1.0.tar.gz"), line(3, "bar-1.0.tar.gz"))
		w.read(102)
		w.covered("nothing was missed", 102, 1)
		if f := w.stats.Files[stored("bar-1.0.tar.gz")]; f.Fetched != w.at(100).Unix() {
			t.Errorf("fetched %s, want what the line before says", time.Unix(f.Fetched, 0).UTC())
		}
	})
	t.Run("logged elsewhere", func(t *testing.T) {
		w := begin(t)
		week := 7*24*60 + 1
		w.read(week)
		w.covered("a week", week, 1)
		w.read(week + 1)
		w.covered("more than a week", week+1, -1)
		w.log("b.access.log", line(1, "foo-1.0.tar.gz"), line(week, "foo-1.0.tar.gz"))
		w.read(week+1, "*access.log*")
		w.covered("one of two servers", week+1, -1, "*access.log*")
		w.covered("the other one", week+1, 1, "b.access.log*")
		w.log("c.access.log")
		w.read(week+2, "b.access.log*", "c.access.log*")
		w.covered("a log without a line", week+2, -1, "b.access.log*", "c.access.log*")
	})
	t.Run("empty log is rotated in", func(t *testing.T) {
		w := begin(t)
		w.rename("access.log", "access.log.1")
		w.log("access.log")
		w.read(3)
		w.read(4)
		w.rename("access.log.1", "access.log.2")
		w.rename("access.log", "access.log.1")
		w.log("access.log", line(5, "foo-1.0.tar.gz"))
		w.read(6)
		w.covered("nothing was missed", 6, 1)
	})
}

func TestReadFaults(t *testing.T) {
	w := newServer(t)
	if _, err := w.stats.Read(t.Context(), []string{w.path("none.log")}, day); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a log that is not there: %v", err)
	}
	if _, err := w.stats.Read(t.Context(), []string{"[x"}, day); err == nil {
		t.Error("a faulty pattern is taken")
	}
	if _, err := w.stats.Read(t.Context(), []string{w.dir}, day); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder: %v", err)
	}
}

func TestSeriesOf(t *testing.T) {
	tests := []struct {
		path, series string
		number       int
	}{
		{"/l/access.log", "/l/access.log", 0},
		{"/l/access.log.1", "/l/access.log", 1},
		{"/l/access.log.12.gz", "/l/access.log", 12},
		{"/l/access.log-20261122", "/l/access.log", -1},
		{"/l/access.log-20261122.gz", "/l/access.log", -1},
		{"/l/access.log-2026112215.gz", "/l/access.log", -1},
		{"/l/access.log.2026-11-22", "/l/access.log", -1},
		{"/l/access.log-1795305600", "/l/access.log", -1},
		{"/l/site-1", "/l/site-1", 0},
		{"/l/site-1.log.2", "/l/site-1.log", 2},
		{"/l/.1", "/l/.1", 0},
		{"/l/1", "/l/1", 0},
	}
	for _, tt := range tests {
		if series, n := statistics.SeriesOf(tt.path); series != tt.series || n != tt.number {
			t.Errorf("SeriesOf(%q) = %q, %d, want %q, %d", tt.path, series, n, tt.series, tt.number)
		}
	}
}

func TestUpdate(t *testing.T) {
	w := newServer(t)
	file := w.path("statistics.json.gz")
	w.log("access.log", line(1, "foo-1.0.tar.gz"))
	read := func(s *statistics.Statistics) error {
		_, err := s.Read(t.Context(), w.patterns(nil), w.at(2))
		return err
	}
	for range 2 {
		if err := statistics.Update(file, read); err != nil {
			t.Fatal(err)
		}
	}
	s, err := statistics.Load(file)
	if err != nil || s.Total.Downloads != 1 || len(s.Days) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := read(w.stats); err != nil || !reflect.DeepEqual(s, w.stats) {
		t.Errorf("saved and loaded: %+v, want %+v (%v)", s, w.stats, err)
	}

	// What fails changes nothing, and what a run that died has left goes.
	w.log(".statistics.json.gz1234", "x")
	before, _ := os.ReadFile(file)
	broken := errors.New("broken")
	if err := statistics.Update(file, func(s *statistics.Statistics) error { s.Total.Downloads++; return broken }); err != broken {
		t.Errorf("error %v", err)
	}
	if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
		t.Error("an update that failed was kept")
	}
	err = statistics.Update(file, func(*statistics.Statistics) error {
		if err := statistics.Update(file, read); err != statistics.ErrBusy {
			t.Errorf("two updates at once: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(w.path(".stat*")); len(left) != 0 {
		t.Errorf("left over: %q", left)
	}

	// Damage is told, with the file that may go.
	for about, text := range map[string]string{
		"empty": "", "no gzip": "{}", "cut off": string(before[:len(before)-5]),
		"newer":       packed(t, `{"form":99,"files":5}`),
		"other":       packed(t, `{"a":1}`),
		"null":        packed(t, `{"form":1,"files":null}`),
		"null within": packed(t, `{"form":1,"logs":[null]}`),
		"null day":    packed(t, `{"form":1,"days":{"2026-01-01":null}}`),
		"null file":   packed(t, `{"form":1,"files":{"x":null}}`),
		"null series": packed(t, `{"form":1,"series":{"x":null}}`),
		"negative":    packed(t, `{"form":1,"logs":[{"offset":-1}]}`),
		"bad name":    packed(t, `{"form":1,"total":{"p":{"../x":{}}}}`),
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		damaged, ok := errors.AsType[*statistics.DamagedError](statistics.Update(file, read))
		if !ok || damaged.File != file {
			t.Errorf("%s: error %v", about, damaged)
		}
	}
}

func packed(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What anybody can make up does not grow without end.
func TestLimits(t *testing.T) {
	w := newServer(t)
	for i := range 2000 {
		w.log("access.log", line(1, "foo-1.0.tar.gz", fmt.Sprintf("pip/%d.0", i)))
	}
	w.read(2)
	if n := len(w.stats.Total.Clients); n > 501 {
		t.Errorf("%d clients", n)
	}
	if got := w.stats.Total.TopClients(false); len(got) != 1 || got[0].Downloads != 2000 {
		t.Errorf("%+v", got)
	}
}

func TestOldDaysAreForgotten(t *testing.T) {
	w := newServer(t)
	w.log("access.log", line(1, "foo-1.0.tar.gz"))
	w.read(2)
	later := 401 * 24 * 60
	w.log("access.log", line(later, "foo-1.0.tar.gz"), line(2, "foo-1.0.tar.gz"))
	w.read(later)
	if len(w.stats.Days) != 1 {
		t.Errorf("days: %+v", w.stats.Days)
	}
	w.counted("in all", 3)
}

func FuzzLoad(f *testing.F) {
	f.Add(`{"form":1,"files":{},"total":{},"days":{},"logs":[],"series":{}}`)
	f.Add(`{"form":1,"files":{"packages/x":{"n":1}},"total":{"p":{"foo":{"1.0":{"n":1}}}},"days":{"2026-11-01":{}},"logs":[{"head":"a","length":5}],"series":{"a":{"since":1}}}`)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		w := &server{t, dir, nil}
		file := w.path("s.gz")
		if err := os.WriteFile(file, []byte(packed(t, text)), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := statistics.Load(file)
		if err != nil {
			return
		}
		w.stats = s
		os.Remove(w.path("access.log"))
		w.log("access.log", line(1, "foo-1.0.tar.gz"))
		w.read(2)
		s.Since(day).TopProjects()
		s.Total.Versions("foo")
		s.Covered(w.patterns(nil), w.at(2))
	})
}

func BenchmarkRead(b *testing.B) {
	w := newServer(b)
	var lines []string
	const files, n = 2000, 100_000
	for i := range n {
		lines = append(lines, line(i/100, fmt.Sprintf("foo%d-1.%d.tar.gz", i%50, i%files)))
	}
	w.log("access.log", lines...)
	b.ReportAllocs()
	for b.Loop() {
		w.stats = statistics.New()
		w.read(2000)
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
