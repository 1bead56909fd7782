package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
)

func newVerify(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Read the whole site and report every difference from the catalog",
		Long: `Hash every file of the store, render every page again, and compare: what is
missing, what has other bytes, and what lies in the tree and does not belong
there. With --repair, damaged files are taken anew from where they came from,
and pages that differ are published again.
` + exitHelp,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	repair := f.Bool("repair", false, "mend what can be mended")
	offline := f.Bool("offline", false, "ask no upstream for damaged files")
	asJSON := f.Bool("json", false, "print what was found as JSON")
	quiet := f.BoolP("quiet", "q", false, "print nothing when all is well")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := s.load()
		if err != nil {
			return err
		}
		t := newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr())
		bars := t.progress(!*quiet && !*asJSON)
		v, err := nestgen.Verify(cmd.Context(), c, nestgen.Options{Offline: *offline, Progress: bars}, *repair)
		bars.done()
		if err != nil {
			return err
		}
		if *asJSON {
			if err := writeJSON(t.out, v, "  "); err != nil {
				return err
			}
		} else {
			for _, d := range v.Findings {
				mended := ""
				if d.Repaired {
					mended = " (repaired)"
				}
				fmt.Fprintf(t.err, "nestgen: %s: %s%s\n", tame.Text(d.Path), tame.Text(d.Text), mended)
			}
			if !*quiet {
				if v.Waiting > 0 {
					fmt.Fprintf(t.out, "%s changed by requests; the next build makes the pages anew\n", count(int64(v.Waiting), "project"))
				}
				fmt.Fprintf(t.out, "%s (%s) and %s verified, %s\n", count(v.Files, "file"), bytesText(v.Bytes), count(v.Pages, "page"), count(int64(len(v.Findings)), "difference"))
			}
		}
		if !v.Whole() {
			return status(exitAlarm)
		}
		return nil
	}
	return cmd
}

func newGC(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Delete files of the store that nothing refers to any more",
		Long: `Delete from the store what the index has withdrawn, and what a run that died
left behind, once the grace period is over. Builds delete withdrawn files by
themselves; gc also walks the store. A dry run works beside a build, and finds
what gc would have deleted at the moment when it began.
` + exitHelp,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	dryRun := f.BoolP("dry-run", "n", false, "only say what would be deleted")
	asJSON := f.Bool("json", false, "print what was found as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := s.load()
		if err != nil {
			return err
		}
		g, err := nestgen.GC(cmd.Context(), c, nestgen.Options{DryRun: *dryRun})
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *asJSON {
			return writeJSON(out, g, "  ")
		}
		done := "deleted"
		if g.DryRun {
			done = "would be deleted"
			for _, p := range g.Paths {
				fmt.Fprintln(out, tame.Text(p))
			}
		}
		fmt.Fprintf(out, "%s (%s) %s; %d more wait for their grace period\n", count(int64(len(g.Paths)), "file"), bytesText(g.Bytes), done, g.Waiting)
		return nil
	}
	return cmd
}
