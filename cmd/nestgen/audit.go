package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
)

func newAudit(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List what the index lists and security advisories affect",
		Long: `Print a line for each release that the index lists and that a security advisory
affects, the worst first: how bad it is, the project and its version, the
advisory, the version that fixes it, and whether that one is here. It reads what
the last build has read of the dump in [advisories], and works while a build
runs. Projects of this site's own are never listed.

Exit status: 0 if nothing is affected, 3 if something is; the others as below.`,
		Args: cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print a JSON object")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, _ []string) error {
		a, err := c.Audit(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			if err := writeJSON(cmd.OutOrStdout(), a, "  "); err != nil {
				return err
			}
		} else {
			printAudit(cmd.OutOrStdout(), a)
		}
		if len(a.Findings) > 0 {
			return status(exitKept)
		}
		return nil
	})
	return cmd
}

func printAudit(w io.Writer, a *nestgen.Audit) {
	for _, l := range a.Findings {
		rating := cmp.Or(l.Rating, "not rated")
		if l.Malware {
			rating = "malware"
		} else if l.Score > 0 {
			rating = fmt.Sprintf("%s %.1f", rating, l.Score)
		}
		fmt.Fprintf(w, "%s: %s %s: %s", rating, tame.Text(l.Project), tame.Text(l.Version), strings.Join(append([]string{l.ID}, l.Also...), ", "))
		if l.Summary != "" {
			fmt.Fprintf(w, ": %s", tame.Text(l.Summary))
		}
		switch {
		case l.Fixed == "":
			fmt.Fprint(w, "; no fixed version is known")
		case l.Here == "":
			fmt.Fprintf(w, "; fixed in %s, which is not here", l.Fixed)
		case l.Here == l.Fixed:
			fmt.Fprintf(w, "; fixed in %s, which is here", l.Fixed)
		default:
			fmt.Fprintf(w, "; fixed in %s, and %s is here", l.Fixed, tame.Text(l.Here))
		}
		if l.Yanked {
			fmt.Fprint(w, "; yanked")
		}
		fmt.Fprintln(w)
	}
	known := "1 advisory"
	if a.Advisories != 1 {
		known = fmt.Sprintf("%d advisories", a.Advisories)
	}
	fmt.Fprintf(w, "%s of %s affected; %s known, %d about malware\n",
		count(int64(a.Releases), "release"), count(int64(a.Projects), "project"), known, a.Malware)
}
