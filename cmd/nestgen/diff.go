package main

import (
	"iter"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
)

func newDiff(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two indexes of the site",
		Long: `Print a line for every file that the index B lists and A does not (+), that A lists
and B does not (-), and of which they say different things (~). An index goes by
its name in the settings, a snapshot by snapshots/TAG; / is the site's own. It reads
the catalog and works while a build runs.

Exit status: 0 if they list the same, 10 if not, else as below.`,
		Example: `  nestgen diff prod testing`,
		Args:    cobra.ExactArgs(2),
	}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a line")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		return printDiff(cmd, nestgen.Diff(cmd.Context(), c, args[0], args[1]), *asJSON)
	})
	return cmd
}

// printDiff prints in what two indexes differ, and ends with the status that says
// whether they do.
func printDiff(cmd *cobra.Command, differences iter.Seq2[nestgen.Difference, error], asJSON bool) error {
	differ := false
	w := newTable(cmd.OutOrStdout(), asJSON, diffHeads)
	for d, err := range differences {
		if err != nil {
			return err
		}
		if err := printDifference(w, d); err != nil {
			return err
		}
		differ = true
	}
	if err := w.end(); err != nil || !differ {
		return err
	}
	return status(exitChanges)
}

// diffHeads stand above what printDifference prints.
const diffHeads = " \tPROJECT\tVERSION\tFILE\tWHAT"

func printDifference(w *table, d nestgen.Difference) error {
	return w.line(d, "%s\t%s\t%s\t%s\t%s", signs[d.Change], d.Project, tame.Text(d.Version), tame.Text(d.Filename), tame.Text(d.Text))
}

var signs = map[string]string{nestgen.AddedFile: "+", nestgen.RemovedFile: "-", nestgen.ChangedFile: "~"}
