package main

import (
	"errors"
	"fmt"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
)

func newImport(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Take in a bundle that another site has exported",
		Long: `Take in a bundle from the files of its parts. Everything is checked before anything
is changed: the signature, every byte, that the history of the other site goes on
from what was taken in before, and each file as if it came from anywhere else. Then
all of it is listed at once, or nothing. A run that is interrupted is run again.

Names that belong to this site, or to one of its upstreams, stay as they are, and
the policy here has the last word; what was not taken for that is told, with exit
status 3. A bundle that does not begin where the last one ended is refused.`,
		Example: `  nestgen import --dry-run /media/usb/site-b-40-60.tar
  nestgen import --ack /media/usb/site-b.ack /media/usb/site-b-40-60.*.tar`,
		Args: cobra.MinimumNArgs(1),
	}
	f := cmd.Flags()
	dry := f.BoolP("dry-run", "n", false, "check everything and say what would change, and change nothing")
	force := f.Bool("force", false, "take in a bundle though one before it is missing, and say what is missing then")
	removals := f.Bool("allow-removals", false, "let more leave the index at once than an accident could be meant to")
	ack := f.String("ack", "", "write an acknowledgement to `FILE`, for the other site")
	quiet := f.BoolP("quiet", "q", false, "print nothing when all is well")
	asJSON := f.Bool("json", false, "print what was done as JSON")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		t := newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr())
		bars := t.progress(!*quiet)
		o := nestgen.Options{DryRun: *dry, AllowRemovals: *removals, Progress: bars}
		done, err := nestgen.Import(cmd.Context(), c, o, nestgen.ImportOptions{Force: *force}, args...)
		bars.done()
		if *ack != "" && done != nil && len(done.Ack) > 0 {
			if werr := renameio.WriteFile(*ack, done.Ack, 0o644); werr != nil {
				err = errors.Join(err, nestgen.WithHint(fmt.Errorf("write %s: %w", *ack, werr), "what was taken in stands; the same import again writes it"))
			}
		}
		if err != nil {
			return err
		}
		if *asJSON {
			err = writeJSON(t.out, done, "  ")
		} else {
			printImported(t, done, *quiet)
		}
		if err != nil {
			return err
		}
		return status(done.Report.Status)
	})
	return cmd
}

func printImported(t *terminal, d *nestgen.Imported, quiet bool) {
	t.problems(d.Report.Problems, quiet)
	if quiet {
		return
	}
	where := fmt.Sprintf("%s, %s: ", tame.Text(d.Origin), d.Tag)
	switch {
	case d.Nothing:
		fmt.Fprintf(t.out, "%snothing new: everything up to serial %d is here\n", where, d.To)
		return
	case d.From == d.To:
		where += fmt.Sprintf("up to serial %d", d.To)
	default:
		where += fmt.Sprintf("serials %d to %d", d.From+1, d.To)
	}
	r := d.Report
	if r.DryRun {
		where = "would take in " + where
	}
	fmt.Fprintf(t.out, "%s: %s added, %s changed, %s withdrawn, %s\n", where,
		count(int64(r.Added.Count), "file"), count(int64(r.Changed.Count), "file"), count(int64(r.Withdrawn.Count), "file"), bytesText(r.Added.Bytes))
}
