package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"nestgen"
)

func newBuild(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Bring the site up to date with the allowlist and the drop folders",
		Long: `Read the allowlist, the drop folders and the policy, fetch what is missing, and
publish what has changed. Run it from cron as often as you like: a run that
finds nothing to do costs little, writes nothing and, with -q, says nothing.

A file that is wrong, or an upstream that does not answer, never stops the
rest: what could not be done is reported, and the next run tries again. The
report is also written to report.json in the state folder.

--package, --latest and --since make a run of less than everything, for when a
whole one would take too long: what they leave aside stays as it is, and the
next whole run does the rest.`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	dryRun := f.BoolP("dry-run", "n", false, "find out what would be done, and do nothing")
	offline := f.Bool("offline", false, "ask no upstream; what came from one stays as it is")
	allow := f.Bool("allow-removals", false, "let more projects go than an accident could be meant to")
	packages := f.StringSlice("package", nil, "only these projects, and what they need (repeat, or separate by commas)")
	latest := f.Bool("latest", false, "fetch only the newest version that a line allows, whatever \"versions\" says")
	since := f.Int64("since", 0, "ask only about projects that changed at their upstream after this serial")
	asJSON := f.Bool("json", false, "print the report as JSON")
	quiet := f.BoolP("quiet", "q", false, "print nothing when all is well")
	verbose := f.BoolP("verbose", "v", false, "say what happens, step by step")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *quiet && *verbose {
			return &usageError{errors.New("--quiet and --verbose do not go together")}
		}
		o := nestgen.Options{DryRun: *dryRun, Offline: *offline, AllowRemovals: *allow, Latest: *latest}
		var err error
		if o.Packages, err = projectNames(*packages); err != nil {
			return err
		}
		if cmd.Flags().Changed("since") {
			switch o.Since = since; {
			case *since < 0:
				return &usageError{errors.New("--since: want a serial, which is a number from 0")}
			case *offline:
				return &usageError{errors.New("--since and --offline do not go together: only an upstream knows what has changed there")}
			}
		}
		c, err := s.load()
		if err != nil {
			return err
		}
		t := newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr())
		bars := t.progress(!*quiet && !*asJSON)
		o.Progress, o.Log = bars, t.log(*verbose)
		r, err := nestgen.Build(cmd.Context(), c, o)
		bars.done()
		if err != nil {
			return err
		}
		if *asJSON {
			if err := printJSON(cmd.OutOrStdout(), r); err != nil {
				return err
			}
		} else {
			t.problems(r.Problems, *quiet)
			if !*quiet {
				fmt.Fprintln(t.out, summary(r))
			}
		}
		return status(r.Status)
	}
	return cmd
}

// status is the end of a command that has said everything.
func status(code int) error {
	if code == exitDone {
		return nil
	}
	return &statusError{code}
}

func printJSON(w io.Writer, r *nestgen.Report) error {
	data, err := r.JSON()
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// summary is the one line that a build ends with.
func summary(r *nestgen.Report) string {
	held := ""
	if r.Held > 0 {
		held = "; " + count(int64(r.Held), "file") + " held"
	}
	if r.Idle() {
		return fmt.Sprintf("nothing to do: %s list %s (%s)", count(r.Listed.Projects, "project"), count(r.Listed.Files, "file"), bytesText(r.Listed.Bytes)) + held + affected(r)
	}
	s := fmt.Sprintf("%d added, %d changed, %d withdrawn", r.Added.Count, r.Changed.Count, r.Withdrawn.Count)
	if r.DryRun {
		s = fmt.Sprintf("%d would be added, %d changed, %d withdrawn", r.Added.Count, r.Changed.Count, r.Withdrawn.Count)
	}
	if r.Fetched.Files > 0 && r.DryRun {
		s += fmt.Sprintf("; %s would be fetched", bytesText(r.Fetched.Bytes))
	} else if r.Fetched.Files > 0 {
		s += fmt.Sprintf("; %s fetched", bytesText(r.Fetched.Bytes))
	}
	if r.Relinked > 0 {
		s += fmt.Sprintf("; development links of %s changed", count(int64(r.Relinked), "project"))
	}
	if !r.DryRun {
		s += fmt.Sprintf("; %s written", count(int64(r.Pages.Written), "page"))
		if r.Deleted > 0 {
			s += fmt.Sprintf("; %s deleted after the grace period", count(int64(r.Deleted), "file"))
		}
	}
	if r.Withheld > 0 {
		s += fmt.Sprintf("; %s not served any more", count(r.Withheld, "file"))
	}
	return s + held + fmt.Sprintf("; %s, %s, serial %d", count(r.Listed.Projects, "project"), count(r.Listed.Files, "file"), r.Serial) + affected(r)
}

// affected says how many releases advisories affect, if any.
func affected(r *nestgen.Report) string {
	if r.Affected == 0 {
		return ""
	}
	return fmt.Sprintf("; advisories affect %s: see nestgen audit", count(int64(r.Affected), "release"))
}
