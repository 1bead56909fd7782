package nestgen

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"nestgen/generate"
	"nestgen/layout"
)

// later is when the tests of statistics and of retention take place: long after
// everything came.
const later = 2_000_000_000

// logs writes the access log: of each file a download at a time in seconds since
// 1970.
func (w *world) logs(lines ...string) {
	w.Helper()
	w.write("access.log", strings.Join(lines, ""))
}

// fetchedAt gives a line about a path that was downloaded at a time.
func fetchedAt(seconds int64, path string) string {
	return fmt.Sprintf("203.0.113.7 - - [%s] \"GET /%s HTTP/1.1\" 200 100 \"-\" \"pip/24.2 CPython/3.12.1 Linux/6.1\"\n",
		time.Unix(seconds, 0).UTC().Format("02/Jan/2006:15:04:05 -0700"), path)
}

func setLater(t *testing.T) { setClock(t, strconv.Itoa(later)) }

// counts reads the access logs.
func (w *world) counts() *Counted {
	w.Helper()
	n, err := CountLogs(w.Context(), w.Config, nil, Options{})
	if err != nil {
		w.Fatal(err)
	}
	return n
}

// The statistics are pages as all others: published whole with their compressed
// siblings, kept by builds that change nothing of them, mended, and gone with their
// setting.
func TestStatisticsArePublished(t *testing.T) {
	w := newWorld(t)
	setLater(t)
	w.Gzip = true
	w.AccessLogs = []string{w.path("access.log*")}
	mine := w.drop("mine", "1.0", plain)
	w.drop("gone", "1.0", plain)
	w.build(0)
	front := w.read("site/index.html")
	w.logs(fetchedAt(later-5, w.pathOf("mine", mine)), fetchedAt(later-4, w.pathOf("gone", "gone-1.0-py3-none-any.whl")),
		fetchedAt(later-3, "packages/ab/cd/"+strings.Repeat("0", 60)+"/private-1.0.tar.gz"), fetchedAt(later-40*24*60*60, w.pathOf("mine", mine)))
	w.remove("drop/gone-1.0-py3-none-any.whl")
	w.build(0)
	if err := PublishStatistics(t.Context(), w.Config, w.counts()); err != nil {
		t.Fatal(err)
	}
	d, err := generate.ParseStatistics([]byte(w.read("site/" + layout.StatsJSON)))
	if err != nil || d.Until != "2033-05-18" || len(d.Projects) != 1 || d.Projects[0] != (generate.StatisticsRow{Name: "mine", Downloads: 1, Bytes: 100}) ||
		d.Month.Downloads != 3 || d.Ever.Downloads != 4 || len(d.Days) != 2 || d.Pythons[0].Name != "3.12" {
		t.Errorf("%+v, %v", d, err)
	}
	for _, name := range []string{layout.StatsHTML, layout.StatsHTML + ".gz"} {
		if !w.exists("site/" + name) {
			t.Errorf("%s is not there", name)
		}
	}
	if !strings.Contains(w.read("site/index.html"), `href="stats/"`) {
		t.Error("the front page does not lead there")
	}
	w.checkTree()
	w.verifies()
	page := w.read("site/" + layout.StatsHTML)
	if r := w.build(0); !r.Idle() {
		t.Errorf("a build: %+v", r.Pages)
	}
	w.remove("state/statistics.json.gz") // the pages do not need it
	w.Title = "Another title"
	w.build(0)
	if now := w.read("site/" + layout.StatsHTML); now == page || !strings.Contains(now, "Another title") {
		t.Errorf("it is not made anew:\n%s", now)
	}
	w.force("site/"+layout.StatsJSON, "{}")
	if v := w.verify(true); len(v.Findings) == 0 || !v.Whole() {
		t.Errorf("mending: %+v", v.Findings)
	}
	w.verifies()
	w.force("site/index.html", "as a run leaves it that died before the catalog knew of it")
	if err := PublishStatistics(t.Context(), w.Config, w.counts()); err != nil {
		t.Errorf("after a run that died: %v", err)
	}
	w.verifies()

	w.People = false
	w.build(0)
	if w.exists("site/"+layout.StatsHTML) || w.exists("site/"+layout.StatsHTML+".gz") || !w.exists("site/"+layout.StatsJSON) {
		t.Error("without pages for people there is the one for programs")
	}
	w.People, w.Title = true, "Python package index"
	logs := w.AccessLogs
	w.AccessLogs = nil
	w.build(0)
	if w.exists("site/stats") || w.read("site/index.html") != strings.Replace(front, "2 files", "1 file", 1) && strings.Contains(w.read("site/index.html"), "stats/") {
		t.Error("they are still there without the setting")
	}
	w.verifies()
	if err := PublishStatistics(t.Context(), w.Config, &Counted{}); !errors.Is(err, ErrSettings) || Hint(err) == "" {
		t.Errorf("without the setting: %v", err)
	}
	w.AccessLogs = logs
	w.build(0)
	if !w.exists("site/" + layout.StatsHTML) {
		t.Error("with the setting they come back")
	}
	if !strings.Contains(w.read("site/"+layout.StatsHTML), `href="../project/mine/"`) {
		t.Error("the page does not lead to a project")
	}
	w.remove("drop/mine-1.0-py3-none-any.whl")
	w.drop("other", "1.0", plain)
	w.build(0)
	if now := w.read("site/" + layout.StatsHTML); strings.Contains(now, "mine") || !strings.Contains(now, "3.12") {
		t.Errorf("a project has gone, and the page leads there:\n%s", now)
	}
	w.verifies()
}

// A damaged file of statistics is told, and nothing else is the worse for it.
func TestDamagedStatistics(t *testing.T) {
	w := newWorld(t)
	w.AccessLogs = []string{w.path("access.log")}
	w.drop("mine", "1.0", plain)
	w.build(0)
	w.logs(fetchedAt(1, "x"))
	w.write("state/statistics.json.gz", "x")
	if _, err := CountLogs(t.Context(), w.Config, nil, Options{}); !errors.Is(err, ErrSettings) || !strings.Contains(Hint(err), "delete "+w.path("state/statistics.json.gz")) {
		t.Errorf("%v, hint %q", err, Hint(err))
	}
	w.build(0)
	w.verifies()
	w.remove("state/statistics.json.gz")
	w.counts()
	if err := os.Remove(w.path("access.log")); err != nil {
		t.Fatal(err)
	}
	if _, err := CountLogs(t.Context(), w.Config, nil, Options{}); !errors.Is(err, ErrSettings) || Hint(err) == "" {
		t.Errorf("a log that is not there: %v", err)
	}
	w.remove("state")
	if _, err := CountLogs(t.Context(), w.Config, nil, Options{}); !errors.Is(err, ErrSettings) || w.exists("state") {
		t.Errorf("a site that is none: %v", err)
	}
}
