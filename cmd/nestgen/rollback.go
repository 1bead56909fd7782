package main

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
)

func newRollback(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollback [SERIAL|TAG]",
		Short: "Give the index the state again that it had at a serial or in a snapshot",
		Long: `Publish an older state of the index: what it has dropped since comes back, what came
since leaves, and files, statuses and links say again what they said. It is a change
as any other and stands in the history; pages of projects that have not changed since
stay as they are. What is blocked now stays out, quarantines stay, and no name gets
files back from a source that it may not have files from any more.

From then on the site is held back: builds and requests bring nothing in and take
nothing out but what the policy or an advisory forbids, uploads are refused, and each
build ends with status 3, until "nestgen rollback --end". The next build then gives
the index what the allowlist and the folders say, so mend these before.

Without an argument, say whether the site is held back.

The bytes of a file that was dropped longer ago than the grace period are gone: then
nothing is done, and the files are named, unless --force goes back without them.`,
		Example: `  nestgen rollback -n 41873
  nestgen rollback before-the-move
  nestgen rollback --end`,
	}
	f := cmd.Flags()
	dry := f.BoolP("dry-run", "n", false, "list what would be done, and do nothing")
	force := f.Bool("force", false, "go back without the files whose bytes are gone")
	end := f.Bool("end", false, "let builds and requests go on")
	by := f.String("by", "", "who does it, for the history (default: your user name)")
	asJSON := f.Bool("json", false, "print what was done as JSON")
	cmd.Args = func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) > 1:
			return errors.New("want one serial, or the name of one snapshot")
		case *end && (len(args) > 0 || *dry || *force):
			return errors.New("--end goes with no state, and with neither --dry-run nor --force")
		case len(args) == 0 && (*dry || *force):
			return errors.New("want a serial, or the name of a snapshot")
		case len(args) == 0 && !*end && cmd.Flags().Changed("by"):
			return errors.New("--by goes with a serial, the name of a snapshot, or --end")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var r nestgen.RollbackRequest
		if len(args) > 0 {
			serial, err := strconv.ParseInt(args[0], 10, 64)
			if err == nil {
				r.Serial = serial
			} else if r.Tag = args[0]; nestgen.CheckTag(r.Tag) != nil {
				return &usageError{fmt.Errorf("%q: want a serial, which is a number, or the name of a snapshot", args[0])}
			}
		}
		c, err := s.load()
		if err != nil {
			return err
		}
		r.Who = cmp.Or(*by, userName())
		t := newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr())
		switch {
		case *end:
			return endRollback(cmd, t, c, r.Who, *asJSON)
		case len(args) == 0:
			return showRollback(cmd, t, c, *asJSON)
		}
		r.Force = *force
		if !*asJSON && !*dry {
			r.Begun = func(d *nestgen.RollbackDone) { fmt.Fprintf(t.out, "back to %s: %s\n", d.State(), backing(d)) }
		}
		bars := t.progress(!*asJSON)
		done, err := nestgen.Rollback(cmd.Context(), c, nestgen.Options{DryRun: *dry, Progress: bars}, r)
		bars.done()
		if err != nil {
			return err
		}
		if *asJSON {
			err = writeJSON(t.out, done, "  ")
		} else {
			err = printRollback(t, done)
		}
		if err != nil {
			return err
		}
		return status(problemStatus(done.Problems, len(done.Gone) > 0))
	}
	return cmd
}

// backing says in numbers what a rollback changes.
func backing(d *nestgen.RollbackDone) string {
	return fmt.Sprintf("%s with changes; %s back, %d withdrawn, %d changed; %d other statuses, %d other links",
		count(int64(d.Projects), "project"), count(int64(d.Restored), "file"), d.Withdrawn, d.Changed, d.Restated, d.Relinked)
}

func printRollback(t *terminal, d *nestgen.RollbackDone) error {
	t.problems(d.Problems, false)
	for _, f := range d.Gone {
		fmt.Fprintf(t.err, "nestgen: %s: its bytes are gone; the index is without it\n", tame.Text(f))
	}
	for _, f := range d.Forbidden {
		fmt.Fprintf(t.err, "nestgen: %s: it is blocked, and does not come back\n", tame.Text(f))
	}
	for _, f := range d.Disowned {
		fmt.Fprintf(t.err, "nestgen: %s: it came from where files of its project do not come from now, and does not come back\n", tame.Text(f))
	}
	switch {
	case d.DryRun:
		w := newTable(t.out, false, diffHeads)
		for _, c := range d.Changes {
			if err := printDifference(w, c); err != nil {
				return err
			}
		}
		if err := w.end(); err != nil {
			return err
		}
		_, err := fmt.Fprintf(t.out, "back to %s would be: %s\n", d.State(), backing(d))
		return err
	case d.Already:
		_, err := fmt.Fprintf(t.out, "the index has the state of %s already, and is held back at it since %s\n", d.State(), d.Since)
		return err
	}
	_, err := fmt.Fprintf(t.out, "done; %s written, %d unchanged, %d removed\nthe site is held back until \"nestgen rollback --end\"\n", count(int64(d.Pages.Written), "page"), d.Pages.Unchanged, d.Pages.Removed)
	return err
}

func endRollback(cmd *cobra.Command, t *terminal, c nestgen.Config, who string, asJSON bool) error {
	held, err := nestgen.EndRollback(cmd.Context(), c, nestgen.Options{}, who)
	if err != nil {
		return err
	}
	switch {
	case asJSON:
		return writeJSON(t.out, heldBackLine{}, "  ")
	case held == nil:
		_, err = fmt.Fprintln(t.out, "the site is not held back")
	default:
		_, err = fmt.Fprintf(t.out, "the site was rolled back to %s, and is no longer held back; the next build goes on\n", held.State())
	}
	return err
}

// A heldBackLine is what rollback says of the state of a site in JSON.
type heldBackLine struct {
	HeldBack *nestgen.HeldBack `json:"held_back"` // null if it is not
}

func showRollback(cmd *cobra.Command, t *terminal, c nestgen.Config, asJSON bool) error {
	held, err := nestgen.RolledBack(cmd.Context(), c)
	if err != nil {
		return err
	}
	switch {
	case asJSON:
		return writeJSON(t.out, heldBackLine{held}, "  ")
	case held == nil:
		_, err = fmt.Fprintln(t.out, "the site is not held back")
	default:
		_, err = fmt.Fprintf(t.out, "rolled back to %s on %s by %s; \"nestgen rollback --end\" lets builds go on\n", held.State(), held.Since, tame.Text(held.By))
	}
	return err
}
