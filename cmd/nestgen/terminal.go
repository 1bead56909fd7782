package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/lmittmann/tint"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"nestgen"
	"nestgen/internal/tame"
)

// A terminal is where a command speaks: results to out, everything else to
// err. What it shows depends on whether somebody is watching.
type terminal struct {
	out, err io.Writer
	watched  bool // err is a terminal
	colour   bool
	wide     bool // out is a terminal
}

func newTerminal(out, err io.Writer) *terminal {
	t := &terminal{out: out, err: err, watched: isTerminal(err), wide: isTerminal(out)}
	t.colour = t.watched && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return t
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// log gives the logger of a run: warnings, and with verbose everything.
func (t *terminal) log(verbose bool) *slog.Logger {
	if !verbose {
		return nil
	}
	return slog.New(tint.NewTextHandler(t.err, &tint.Options{Level: slog.LevelDebug, TimeFormat: time.TimeOnly, NoColor: !t.colour}))
}

// events gives the logger of a command that goes on for long: what has happened,
// without the steps.
func (t *terminal) events() *slog.Logger {
	return slog.New(tint.NewTextHandler(t.err, &tint.Options{Level: slog.LevelInfo, TimeFormat: time.TimeOnly, NoColor: !t.colour}))
}

const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	faint  = "\x1b[2m"
	plain  = "\x1b[0m"
)

func (t *terminal) paint(colour, s string) string {
	if !t.colour {
		return s
	}
	return colour + s + plain
}

// problems prints what a run could not do, each with its hint. Warnings are
// not worth a mail from cron: quiet leaves them to the report.
func (t *terminal) problems(all []nestgen.Problem, quiet bool) {
	for _, p := range all {
		var label string
		switch p.Level {
		case "alarm":
			label = t.paint(red, "alarm: ")
		case "warning":
			if quiet {
				continue
			}
			label = t.paint(yellow, "warning: ")
		}
		fmt.Fprintf(t.err, "nestgen: %s%s\n", label, tame.Text(p.String()))
		if p.Hint != "" {
			fmt.Fprintf(t.err, "%s\n", t.paint(faint, "nestgen: hint: "+tame.Text(p.Hint)))
		}
	}
}

// writeJSON prints a value as JSON.
func writeJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", indent)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(tame.JSON(b.Bytes()))
	return err
}

// bars shows how far a run is, where somebody is watching.
type bars struct {
	mu       sync.Mutex
	progress *mpb.Progress
	bar      *mpb.Bar
	bytes    int64
}

func (t *terminal) progress(wanted bool) *bars {
	b := &bars{}
	if wanted && t.watched {
		b.progress = mpb.New(mpb.WithOutput(t.err), mpb.WithWidth(48), mpb.WithRefreshRate(100*time.Millisecond))
	}
	return b
}

// Stage implements [nestgen.Progress].
func (b *bars) Stage(name string, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finish()
	b.bytes = 0
	if b.progress == nil || total == 0 {
		return
	}
	b.bar = b.progress.AddBar(total,
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR), decor.CountersNoUnit("%d / %d", decor.WCSyncSpace)),
		mpb.AppendDecorators(decor.Percentage(), decor.Any(func(decor.Statistics) string {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.bytes <= 0 {
				return ""
			}
			return "  " + bytesText(b.bytes)
		}), decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8}), "")))
}

// Step implements [nestgen.Progress].
func (b *bars) Step(units, bytes int64) {
	b.mu.Lock()
	b.bytes += bytes
	bar := b.bar
	b.mu.Unlock()
	if bar != nil && units > 0 {
		bar.IncrInt64(units)
	}
}

func (b *bars) finish() {
	if b.bar != nil {
		b.bar.Abort(true)
		b.bar = nil
	}
}

// done takes the bars off the screen.
func (b *bars) done() {
	b.mu.Lock()
	b.finish()
	b.mu.Unlock()
	if b.progress != nil {
		b.progress.Wait()
	}
}

// bytesText writes a number of bytes for people.
func bytesText(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f := float64(n)
	i := -1
	for f >= 999.95 && i < len(units)-1 {
		f /= 1000
		i++
	}
	return fmt.Sprintf("%.1f %cB", f, units[i])
}

// count writes a number of things for people.
func count(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
