package main

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/catalog"
	"nestgen/internal/tame"
	"nestgen/packaging"
)

// logLimit is how much of the history is shown to somebody who does not say how much.
const logLimit = 50

func newLog(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log [PROJECT...]",
		Short: "Show what changed in the index, and when",
		Long: `Print what changed, the newest first: for each project and moment what came, what
left, and what is said in another way now. With --files, print a line for every
event, with who caused it and why. It reads the catalog and works while a build runs.

With --json, print a JSON object a line for every event, the oldest first, so that
a program can go on with --since and the last serial that it has seen.

SINCE and UNTIL are the serial of an event, a day (2026-11-21), a moment
(2026-11-21T10:00:00Z), or a time ago (7d, "1h 30m"). Days and times are in UTC.
What is printed begins after the event, with the day, or at the moment, and ends
with the event, with the day, or before the moment.

Verbs: ` + verbList() + `.`,
		Example: `  nestgen log requests
  nestgen log --since 7d --verb withdraw,yank
  nestgen log --json --since 1234`,
	}
	f := cmd.Flags()
	since := f.String("since", "", "begin at a serial, a day, a moment or a `TIME` ago")
	until := f.String("until", "", "end at a serial, a day, a moment or a `TIME` ago")
	verbs := f.StringSlice("verb", nil, "only these `VERBS`, with commas between them")
	limit := f.IntP("limit", "n", logLimit, "print the newest `N` at most, 0 for all; with --json, --since or --until all unless it is given")
	files := f.Bool("files", false, "print a line for every event")
	asJSON := f.Bool("json", false, "print one JSON object a line, the oldest first")
	reverse := f.Bool("reverse", false, "print in the other order")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		q := nestgen.LogQuery{Limit: *limit, OldestFirst: *asJSON != *reverse}
		var err error
		if q.Projects, err = projectNames(args); err != nil {
			return err
		}
		if cmd.Flags().Changed("verb") && len(*verbs) == 0 {
			return &usageError{fmt.Errorf("--verb: want one or more of %s", verbList())}
		}
		for _, v := range *verbs {
			if !slices.Contains(catalog.Verbs, catalog.Verb(v)) {
				return &usageError{fmt.Errorf("--verb %s: there is none of this name; there are %s", v, verbList())}
			}
			q.Verbs = append(q.Verbs, catalog.Verb(v))
		}
		now := nestgen.Now()
		for _, p := range []struct {
			flag string
			text string
			into *nestgen.Point
		}{{"since", *since, &q.Since}, {"until", *until, &q.Until}} {
			if !cmd.Flags().Changed(p.flag) {
				continue
			}
			if *p.into, err = nestgen.ParsePoint(p.text, now); err != nil {
				return &usageError{fmt.Errorf("--%s %w", p.flag, err)}
			}
		}
		if err := q.Check(now); err != nil {
			return &usageError{err}
		}
		switch given := cmd.Flags().Changed("limit"); {
		case *limit < 0:
			return &usageError{fmt.Errorf("--limit %d: want a number, 0 for all", *limit)}
		case !given && (*asJSON || *since != "" || *until != ""):
			q.Limit = 0
		}
		t := newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr())
		asked := cmd.Flags().Changed("limit")
		if *asJSON || *files {
			return logEvents(t, nestgen.Log(cmd.Context(), c, q), *asJSON, asked, q.Limit)
		}
		return logChanges(t, nestgen.LogChanges(cmd.Context(), c, q), asked, q.Limit)
	})
	return cmd
}

func verbList() string {
	var names []string
	for _, v := range catalog.Verbs {
		names = append(names, string(v))
	}
	return strings.Join(names, ", ")
}

// A logLine is what log --json says of an event. What is empty is left out.
type logLine struct {
	Serial   int64          `json:"serial"`
	Time     string         `json:"time"`
	Verb     catalog.Verb   `json:"verb"`
	Project  packaging.Name `json:"project,omitempty"`
	Filename string         `json:"filename,omitempty"`
	SHA256   string         `json:"sha256,omitempty"`
	Source   string         `json:"source,omitempty"`
	Reason   string         `json:"reason,omitempty"`
}

func logEvents(t *terminal, events iter.Seq2[catalog.Event, error], asJSON, asked bool, limit int) error {
	w := newTable(t.out, asJSON, "SERIAL\tTIME\tVERB\tPROJECT\tFILE\tSOURCE\tREASON")
	n := 0
	for e, err := range events {
		if err != nil {
			return errors.Join(w.end(), err)
		}
		n++
		l := logLine{Serial: e.Serial, Time: time.UnixMicro(e.Time).UTC().Format(time.RFC3339Nano), Verb: e.Verb, Project: e.Project, Filename: e.Filename, Source: e.Source, Reason: e.Reason}
		if !e.SHA256.IsZero() {
			l.SHA256 = e.SHA256.String()
		}
		if err := w.line(l, "%d\t%s\t%s\t%s\t%s\t%s\t%s", e.Serial, secondText(e.Time), e.Verb, e.Project, tame.Text(e.Filename), tame.Text(e.Source), tame.Text(e.Reason)); err != nil {
			return err
		}
	}
	if asJSON {
		return nil
	}
	return errors.Join(w.end(), t.moreInLog(n, asked, limit))
}

// logColours are those of the tones of a line.
var logColours = map[string]string{"good": green, "warn": yellow, "bad": red}

func logChanges(t *terminal, changes iter.Seq2[nestgen.LoggedChange, error], asked bool, limit int) error {
	w := newTable(t.out, false, "SERIAL\tTIME\tPROJECT\tWHAT")
	n := 0
	for c, err := range changes {
		if err != nil {
			return errors.Join(w.end(), err)
		}
		n++
		serials := fmt.Sprint(c.First)
		if c.Last != c.First {
			serials += fmt.Sprintf("-%d", c.Last)
		}
		at, project := secondText(c.Time), tame.Text(string(c.Project))
		for _, l := range c.Lines {
			// Nothing comes after the colour that would have to stand below something.
			text := t.paintOut(logColours[string(l.Tone())], tame.Text(l.String()))
			if err := w.line(nil, "%s\t%s\t%s\t%s", serials, at, project, text); err != nil {
				return err
			}
			serials, at, project = "", "", ""
		}
	}
	return errors.Join(w.end(), t.moreInLog(n, asked, limit))
}

// moreInLog says to somebody who watches that there may be more of the history.
func (t *terminal) moreInLog(n int, asked bool, limit int) error {
	if t.wide && n == 0 {
		_, err := fmt.Fprintln(t.err, "nestgen: nothing that has changed is so")
		return err
	}
	if !t.wide || asked || limit == 0 || n < limit {
		return nil
	}
	_, err := fmt.Fprintf(t.err, "%s\n", t.paint(faint, fmt.Sprintf("nestgen: hint: these are the newest %d; -n 0 shows all", n)))
	return err
}

// paintOut is paint for what goes to the standard output.
func (t *terminal) paintOut(colour, s string) string {
	if colour == "" || !t.wide || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return s
	}
	return colour + s + plain
}

// secondText gives a time in microseconds since 1970 UTC to the second.
func secondText(micro int64) string { return time.UnixMicro(micro).UTC().Format(time.DateTime) }
