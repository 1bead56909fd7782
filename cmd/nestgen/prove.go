package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
)

func newProve(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prove [ENVIRONMENT...]",
		Short: "Show that everything on the allowlist installs from this index alone",
		Long: `Find out, for each environment of the settings or for those that are named,
whether every line of the allowlist installs from the published index alone, with
all that it needs, as pip would choose it. What does not is named with who needs
it and what to add. No upstream is asked and nothing is changed.

Files that are listed and come only when somebody asks for them do not count. An
sdist that does not say what it needs, except to those who run its code, is taken
as needing nothing, and named.

Exit status: 3 if a line does not install, else as below.`,
	}
	asJSON := cmd.Flags().Bool("json", false, "print what was found as JSON")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		proofs, err := nestgen.Prove(cmd.Context(), c, args, nil)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		missing := 0
		for _, p := range proofs {
			missing += len(p.Missing)
		}
		if *asJSON {
			if err := writeJSON(out, proofs, "  "); err != nil {
				return err
			}
			return proven(missing)
		}
		w := newTable(out, false, "ENVIRONMENT\tLINES\tPROJECTS\tRESULT")
		for _, p := range proofs {
			result := "every line installs"
			if n := len(p.Missing); n > 0 {
				result = fmt.Sprintf("%d of %s fail", n, count(int64(p.Lines), "line"))
			}
			if err := w.line(nil, "%s\t%d\t%d\t%s", tame.Text(p.Environment), p.Lines, p.Projects, result); err != nil {
				return err
			}
		}
		if err := w.end(); err != nil {
			return err
		}
		for _, p := range proofs {
			if len(p.Missing)+len(p.Unknown) == 0 {
				continue
			}
			fmt.Fprintf(out, "\n%s\n", tame.Text(p.Environment))
			for _, m := range p.Missing {
				fmt.Fprintf(out, "  %s: %s\n", tame.Text(m.Where), tame.Text(m.Text))
			}
			for _, u := range p.Unknown {
				fmt.Fprintf(out, "  %s: it does not say what it needs\n", tame.Text(u))
			}
		}
		return proven(missing)
	})
	return cmd
}

func proven(missing int) error {
	if missing > 0 {
		return status(exitKept)
	}
	return nil
}
