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
