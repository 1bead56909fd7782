package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
)

func newSnapshot(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Give the index as it was at a moment a name, under which it stays",
		Long: `A snapshot is a name for a serial of the index. Installers find the index as it
was then at snapshots/TAG/simple/, whatever becomes of the site; its files are kept
as long as it is there. Only what the policy or an advisory blocks, and projects that
are quarantined, are missing from it while that lasts.

The setting "snapshots" has builds make dated ones.`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSnapshotCreate(s), newSnapshotList(s), newSnapshotDrop(s), newSnapshotDiff(s))
	return cmd
}

func newSnapshotCreate(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create TAG",
		Short: "Give the index as it is, or as it was at a serial, a name",
		Long: `Give the index a name and publish it below snapshots/TAG/. TAG has small letters,
digits, "-" and "_", begins with a letter or a digit, and is no number.

With --serial, it is the index as it was at that serial. The bytes of a file that the
site dropped longer ago than its grace period are gone: then no snapshot is made, and
the files are named, unless --force makes it without them.`,
		Example: `  nestgen snapshot create before-the-move --note "what we had in the old building"
  nestgen snapshot create 2026-10-end --serial 41873`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	serial := f.Int64("serial", 0, "the `SERIAL` whose state it is (default: the last)")
	note := f.String("note", "", "a `TEXT` for people")
	by := f.String("by", "", "who makes it, for the history (default: your user name)")
	force := f.Bool("force", false, "make it without the files whose bytes are gone")
	asJSON := f.Bool("json", false, "print what was made as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := nestgen.CheckTag(args[0]); err != nil {
			return &usageError{err}
		}
		if cmd.Flags().Changed("serial") && *serial < 1 {
			return &usageError{errors.New("--serial: want a serial, which is a number from 1")}
		}
		c, err := s.load()
		if err != nil {
			return err
		}
		t := newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr())
		bars := t.progress(!*asJSON)
		r := nestgen.SnapshotRequest{Tag: args[0], Serial: *serial, Note: *note, Who: cmp.Or(*by, userName()), Force: *force}
		done, err := nestgen.CreateSnapshot(cmd.Context(), c, nestgen.Options{Progress: bars}, r)
		bars.done()
		if err != nil {
			return err
		}
		if *asJSON {
			err = writeJSON(t.out, done, "  ")
		} else {
			t.problems(done.Problems, false)
			err = printSnapshot(t, done)
		}
		if err != nil {
			return err
		}
		return status(problemStatus(done.Problems, len(done.Lacking) > 0))
	}
	return cmd
}

// problemStatus is the exit status for what was told on the way; lacking says that
// something is missing.
func problemStatus(problems []nestgen.Problem, lacking bool) int {
	code := exitDone
	if lacking {
		code = exitKept
	}
	for _, p := range problems {
		switch p.Level {
		case "alarm":
			return exitAlarm
		case "incomplete":
			code = exitKept
		}
	}
	return code
}

func printSnapshot(t *terminal, d *nestgen.SnapshotDone) error {
	what := "made"
	if d.Already {
		what = "there already"
	}
	for _, f := range d.Lacking {
		fmt.Fprintf(t.err, "nestgen: %s: its bytes are gone; the snapshot is without it\n", tame.Text(f))
	}
	_, err := fmt.Fprintf(t.out, "snapshot %s of serial %d %s: %s, %s (%s); %s written\n", d.Tag, d.Serial, what,
		count(d.Projects, "project"), count(d.Files, "file"), bytesText(d.Bytes), count(int64(d.Pages.Written), "page"))
	return err
}

func newSnapshotList(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the snapshots",
		Long: `Print a line for every snapshot, in the order in which they were made: its name, its
serial, when it was made, what it has, the rule that made it, and its note. It reads
the catalog and works while a build runs.`,
		Args: cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a line")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, _ []string) error {
		all, err := nestgen.Snapshots(cmd.Context(), c)
		if err != nil {
			return err
		}
		w := newTable(cmd.OutOrStdout(), *asJSON, "TAG\tSERIAL\tMADE\tPROJECTS\tFILES\tSIZE\tRULE\tNOTE")
		for _, s := range all {
			note := s.Note
			if n := len(s.Lacking); n > 0 {
				note = strings.TrimSpace(fmt.Sprintf("%s (without %s whose bytes were gone: %s)", note, count(int64(n), "file"), strings.Join(s.Lacking, ", ")))
			}
			if err := w.line(s, "%s\t%d\t%s\t%d\t%d\t%s\t%s\t%s", s.Tag, s.Serial, s.Time, s.Projects, s.Files, bytesText(s.Bytes), tame.Text(s.Rule), tame.Text(note)); err != nil {
				return err
			}
		}
		return w.end()
	})
	return cmd
}

func newSnapshotDrop(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drop TAG...",
		Short: "Drop snapshots",
		Long: `Take the pages of snapshots away, at once. The bytes of the files that nothing else
lists go after the grace period. Either all of the snapshots are there or none is
dropped.`,
		Args: cobra.MinimumNArgs(1),
	}
	by := cmd.Flags().String("by", "", "who drops them, for the history (default: your user name)")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		slices.Sort(args)
		args = slices.Compact(args)
		pages, err := nestgen.DropSnapshots(cmd.Context(), c, nestgen.Options{}, cmp.Or(*by, userName()), args...)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s dropped; %s removed\n", count(int64(len(args)), "snapshot"), count(int64(pages.Removed), "page"))
		return err
	})
	return cmd
}

func newSnapshotDiff(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff TAG [TAG]",
		Short: "Compare a snapshot with another one, or with the index as it is",
		Long: `Print a line for every file that the second has and the first has not (+), that the
first has and the second has not (-), and of which they say different things (~).
Without a second one, or with "now", it is the index as it is. It reads the catalog
and works while a build runs.

Exit status: 0 if they list the same, 10 if not, else as below.`,
		Example: `  nestgen snapshot diff 2026-w46
  nestgen snapshot diff 2026-w46 2026-w47`,
		Args: cobra.RangeArgs(1, 2),
	}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a line")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		second := "now"
		if len(args) == 2 {
			second = args[1]
		}
		return printDiff(cmd, nestgen.Diff(cmd.Context(), c, nestgen.SnapshotIndex(args[0]), nestgen.SnapshotIndex(second)), *asJSON)
	})
	return cmd
}
