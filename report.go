package nestgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"nestgen/catalog"
	"nestgen/internal/tame"
	"nestgen/plan"
)

// A Report says what a run did. It holds no time of day.
type Report struct {
	// Status is the exit status that the run ended with.
	Status int `json:"status"`

	// DryRun says that nothing was changed: what stands here would have been.
	DryRun bool `json:"dry_run,omitempty"`

	// Serial is that of the last event.
	Serial int64 `json:"serial"`

	Added     Changes `json:"added"`
	Changed   Changes `json:"changed"`
	Withdrawn Changes `json:"withdrawn"`

	// Affected counts the releases that are listed and that security advisories
	// affect.
	Affected int `json:"affected"`

	// Held counts the files that are asked for and may not come in yet.
	Held int `json:"held"`

	// Relinked counts the projects whose development links changed.
	Relinked int `json:"relinked"`

	// Withheld counts the files that nobody gets any more, though their bytes are
	// kept: of quarantined projects, and what is blocked.
	Withheld int64 `json:"withheld"`

	// Deleted counts the files whose bytes went after their grace period.
	Deleted int `json:"deleted"`

	Fetched Traffic `json:"fetched"`
	Pages   Pages   `json:"pages"`
	Listed  Counts  `json:"listed"`

	// LeftOut is what is asked for and not listed; of a dry run that was asked for
	// it, and nil else.
	LeftOut []LeftOutLine `json:"left_out,omitempty"`

	// Hook is what became of on_publish; nil if there was nothing to tell it.
	Hook *HookResult `json:"on_publish,omitempty"`

	// Problems are sorted by level, the worst first, then by place.
	Problems []Problem `json:"problems"`

	asked, unreachable int // projects at upstreams

	// mu is held to write to what several goroutines write to: the problems, and
	// the numbers of what is fetched.
	mu sync.Mutex
}

// count adds to one of the report's numbers from several goroutines.
func (r *Report) count(n *int64, more int64) {
	r.mu.Lock()
	*n += more
	r.mu.Unlock()
}

// Changes are files that changed in one way. The list is cut after
// [listedChanges]; the event log has them all.
type Changes struct {
	Count int          `json:"count"`
	Bytes int64        `json:"bytes"`
	Files []ChangeLine `json:"files"`
}

const listedChanges = 1000

// A ChangeLine is one file of a report.
type ChangeLine struct {
	Project  string `json:"project"`
	Filename string `json:"filename"`
	Version  string `json:"version,omitempty"`
	Size     int64  `json:"size"` // -1 if it is not known

	// Announced says that the bytes come when somebody asks for them.
	Announced bool `json:"announced,omitempty"`

	SHA256 string   `json:"sha256,omitempty"`
	Source string   `json:"source"`
	Why    []string `json:"why,omitempty"`
}

// A LeftOutLine is one file that is asked for and not listed.
type LeftOutLine struct {
	Project  string `json:"project"`
	Filename string `json:"filename"`
	Version  string `json:"version"`
	Size     int64  `json:"size"` // -1 if it is not known
	Source   string `json:"source"`

	// Effect is "filtered", "held" or "blocked"; Rule is the setting or entry that
	// keeps the file out, as it is written, and Reason what it has against it.
	Effect string `json:"effect"`
	Rule   string `json:"rule"`
	Reason string `json:"reason"`

	// Until is when that ends by itself (RFC 3339); empty if it does not.
	Until string `json:"until,omitempty"`

	// Why is who asks for it.
	Why []string `json:"why"`
}

func leftOutLine(l plan.LeftOut) LeftOutLine {
	o := &l.Objection
	line := LeftOutLine{
		Project: string(l.Filename.Project), Filename: l.Offer.Filename, Version: l.Filename.Version, Size: l.Offer.Size, Source: l.Source,
		Effect: o.Effect.String(), Rule: o.Rule, Reason: o.Reason, Why: l.Why,
	}
	if o.Until != 0 {
		line.Until = time.UnixMicro(o.Until).UTC().Format(time.RFC3339)
	}
	return line
}

// Traffic is what came from upstreams.
type Traffic struct {
	Requests  int64 `json:"requests"`
	Unchanged int64 `json:"unchanged_pages"`
	Files     int64 `json:"files"`
	Bytes     int64 `json:"bytes"`
}

// Pages counts the pages of a publish.
type Pages struct {
	Written   int   `json:"written"`
	Unchanged int   `json:"unchanged"`
	Removed   int   `json:"removed"`
	Bytes     int64 `json:"bytes"`
}

// Counts is what the index lists after the run.
type Counts struct {
	Projects int64 `json:"projects"`
	Files    int64 `json:"files"`
	Bytes    int64 `json:"bytes"`
}

// A Problem is a line of the report for people.
type Problem struct {
	Level string `json:"level"` // error, alarm, incomplete or warning
	Where string `json:"where"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

func (p Problem) String() string {
	if p.Where == "" {
		return p.Text
	}
	return p.Where + ": " + p.Text
}

var levels = map[plan.Level]string{plan.Alarm: "alarm", plan.Incomplete: "incomplete", plan.Warning: "warning"}

func (r *Report) problem(l plan.Level, where, hint, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Problems = append(r.Problems, Problem{levels[l], where, fmt.Sprintf(format, args...), hint})
}

func (r *Report) planned(problems []plan.Problem) {
	for _, p := range problems {
		r.problem(p.Level, p.Where, p.Hint, "%s", p.Text)
	}
}

func (c *Changes) add(f catalog.File, why []string) {
	c.Count++
	c.Bytes += f.Held()
	if len(c.Files) >= listedChanges {
		return
	}
	sha := ""
	if !f.SHA256.IsZero() {
		sha = f.SHA256.String()
	}
	c.Files = append(c.Files, ChangeLine{string(f.Project), f.Filename, f.Version, f.Size, f.Announced, sha, f.Source, why})
}

// finish sorts the problems and finds the exit status.
func (r *Report) finish() {
	rank := map[string]int{"alarm": 0, "incomplete": 1, "warning": 2}
	slices.SortStableFunc(r.Problems, func(a, b Problem) int {
		if c := rank[a.Level] - rank[b.Level]; c != 0 {
			return c
		}
		return strings.Compare(a.Where, b.Where)
	})
	r.Problems = slices.Compact(r.Problems)
	r.Status = 0
	for _, p := range r.Problems {
		switch {
		case p.Level == "alarm":
			r.Status = 6
		case p.Level == "incomplete" && r.Status == 0:
			r.Status = 3
		}
	}
	if r.asked > 0 && r.asked == r.unreachable && r.Status != 6 && !r.changes() {
		r.Status = 5
	}
	for _, c := range []*Changes{&r.Added, &r.Changed, &r.Withdrawn} {
		if c.Files == nil {
			c.Files = []ChangeLine{}
		}
	}
	if r.Problems == nil {
		r.Problems = []Problem{}
	}
}

// changes reports whether the run changed the index, or would have.
func (r *Report) changes() bool {
	return r.Added.Count+r.Changed.Count+r.Withdrawn.Count+r.Relinked > 0
}

// JSON gives the report as it is written beside the state.
func (r *Report) JSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(r)
	return tame.JSON(b.Bytes()), err
}

// Idle reports whether the run did nothing to the site.
func (r *Report) Idle() bool {
	return !r.changes() && r.Pages.Written+r.Pages.Removed+r.Deleted == 0
}

// save writes the report into the state folder. A run that did nothing, and
// finds everything as the report there leaves it, has nothing to add to it:
// what that one says of the index holds, and what it did is still the last
// thing that was done.
func (r *Report) save(state string) error {
	data, err := r.JSON()
	if err != nil {
		return err
	}
	file := reportFile(state)
	if old, err := os.ReadFile(file); err == nil {
		var last Report
		if bytes.Equal(old, data) || r.Idle() && json.Unmarshal(old, &last) == nil && r.finds(&last) {
			return nil
		}
	}
	return renameio.WriteFile(file, data, 0o644, renameio.IgnoreUmask(), renameio.WithTempDir(filepath.Join(state, "stage")))
}

func reportFile(state string) string { return filepath.Join(state, "report.json") }

// finds reports whether a run found what another one left.
func (r *Report) finds(last *Report) bool {
	return r.Status == last.Status && r.Serial == last.Serial && r.Listed == last.Listed && r.Held == last.Held && r.Affected == last.Affected && slices.Equal(r.Problems, last.Problems)
}
