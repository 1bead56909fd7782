package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
)

func newExport(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write a bundle for a site that has no connection to this one",
		Long: `Write what has happened since the last export under a tag as a bundle: the files
that came, and signed records of everything that became of the index. The other
site takes it in with "nestgen import". A bundle is one tar archive, or several
that fit a medium, and says of each file and of itself what its digest is.

Each destination has a tag. Where a bundle was lost, the other site says so; take
its acknowledgement back with --ack, and the next bundle has what was lost.

The first export makes the key of the site, and prints the line by which the other
site comes to trust it.`,
		Example: `  nestgen export --tag site-b --to /media/usb/
  nestgen export --tag site-b --split 4GB --zstd
  nestgen export --tag lab --project numpy --project pandas
  nestgen export --ack site-b.ack`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	tag := f.String("tag", "", "the `TAG` of the destination: letters, digits, dots and dashes")
	since := f.Int64("since", 0, "begin after this `SERIAL`, not where the last export of the tag ended")
	until := f.Int64("until", 0, "end with this `SERIAL`: export the index as it was then")
	snapshot := f.String("snapshot", "", "export the index as the snapshot `NAME` has it")
	all := f.Bool("all", false, "export everything, for an empty site: --since 0")
	to := f.String("to", "", "the `FILE` to write, or a folder (default TAG-FROM-TO.tar in the current one)")
	split := f.String("split", "", "make several files of this `SIZE` at most: 700MB, 4GB")
	zstd := f.Bool("zstd", false, "compress with Zstandard")
	projects := f.StringArray("project", nil, "export this project with all that it needs; may be repeated")
	ack := f.String("ack", "", "read the acknowledgement in `FILE`, which the other site has written")
	dry := f.BoolP("dry-run", "n", false, "say what would be exported, and write nothing")
	quiet := f.BoolP("quiet", "q", false, "print nothing when all is well")
	asJSON := f.Bool("json", false, "print what was done as JSON")
	cmd.MarkFlagsMutuallyExclusive("since", "all")
	cmd.MarkFlagsMutuallyExclusive("until", "snapshot")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *tag == "" && *ack == "" {
			return &usageError{fmt.Errorf("want --tag, whom the bundle is for")}
		}
		e := nestgen.ExportOptions{Tag: *tag, Snapshot: *snapshot, Projects: *projects, To: *to, Zstd: *zstd}
		if f.Changed("since") || *all {
			e.Since = since
		}
		if f.Changed("until") {
			e.Until = until
		}
		if *split != "" {
			var size nestgen.Size
			if err := size.UnmarshalText([]byte(*split)); err != nil {
				return &usageError{fmt.Errorf("--split: %w", err)}
			}
			e.Split = int64(size)
		}
		c, err := s.load()
		if err != nil {
			return err
		}
		t := newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr())
		o := nestgen.Options{DryRun: *dry}
		if *ack != "" {
			text, err := os.ReadFile(*ack)
			if err != nil {
				return &usageError{err}
			}
			done, err := nestgen.Acknowledge(cmd.Context(), c, o, *tag, text)
			if err != nil {
				return fmt.Errorf("%s: %w", *ack, err)
			}
			e.Acknowledged = done
			if !*quiet && !*asJSON {
				next := "goes"
				if *dry {
					next = "would go"
				}
				fmt.Fprintf(t.out, "%s has everything up to serial %d; the next export %s on from there\n", done.Tag, done.Serial, next)
			}
			if *tag == "" {
				if *asJSON {
					return writeJSON(t.out, done, "  ")
				}
				return nil
			}
		}
		bars := t.progress(!*quiet)
		o.Progress = bars
		done, err := nestgen.Export(cmd.Context(), c, o, e)
		bars.done()
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(t.out, done, "  ")
		}
		printExported(t, done, *quiet)
		return nil
	}
	return cmd
}

func printExported(t *terminal, d *nestgen.Exported, quiet bool) {
	for _, n := range d.Notes {
		fmt.Fprintf(t.err, "nestgen: %s\n", tame.Text(n))
	}
	if d.NewKey && d.Key != "" {
		fmt.Fprintf(t.err, "nestgen: this site has a key now; on the other site, run once:\n  nestgen key trust '%s'\n", d.Key)
	}
	if quiet {
		return
	}
	for _, p := range d.Parts {
		if d.DryRun {
			fmt.Fprintf(t.out, "would write %s\n", tame.Text(p.Path))
			continue
		}
		fmt.Fprintf(t.out, "%s  %s  sha256 %s\n", tame.Text(p.Path), bytesText(p.Size), p.SHA256)
	}
	what := fmt.Sprintf("serials %d to %d", d.From+1, d.To)
	if d.From == d.To {
		what = fmt.Sprintf("nothing new after serial %d", d.To)
	}
	fmt.Fprintf(t.out, "%s: %s, %s, %s, %s\n", d.Tag, what, count(int64(d.Projects), "project"), count(int64(d.Files), "file"), bytesText(d.Bytes))
	if d.Announced > 0 {
		fmt.Fprintf(t.out, "%s not in it: announced, and not here yet\n", count(int64(d.Announced), "file"))
	}
}
