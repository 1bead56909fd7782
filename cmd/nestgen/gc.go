package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
)

func newGC(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Delete files that nothing refers to, or that nobody wants",
		Long: `Delete from the store what the index has withdrawn, and what a run that died
left behind, once the grace period is over. Builds delete withdrawn files by
themselves; gc also walks the store.

With --keep and --not-fetched it goes on to files that the index lists only
because somebody asked for them once. Files of this site's own, what was imported,
what a line of an allowlist asks for or needs, and what another index or a snapshot
lists stay in any case. What its upstream still has stays listed, and comes again
when somebody asks; the rest leaves the index, and its bytes go after the grace.

On a terminal gc only says what it would do, unless --yes is given. Elsewhere, as
under cron, it does it, unless --dry-run is given. A dry run works beside a build,
and finds what gc would have deleted at the moment when it began.

Exit status: 3 if a rule could not be applied, as when the access logs do not go
back far enough; the others as below.`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	var r nestgen.Retention
	dryRun := f.BoolP("dry-run", "n", false, "only say what would be deleted")
	yes := f.BoolP("yes", "y", false, "delete, also on a terminal")
	asJSON := f.Bool("json", false, "print what was found as JSON")
	quiet := f.BoolP("quiet", "q", false, "print nothing but what is wrong")
	f.Func("unwanted-for", "delete what was withdrawn this long ago, as `30d`, in the place of the grace", func(s string) error { return r.UnwantedFor.UnmarshalText([]byte(s)) })
	f.IntVar(&r.Keep, "keep", 0, "of a project that only requests ask for, keep the newest `N` versions of those that are here")
	f.Func("not-fetched", "drop what nobody has fetched for so long, as `180d`, by the access logs", func(s string) error { return r.NotFetched.UnmarshalText([]byte(s)) })
	f.StringArrayVar(&r.AccessLogs, "access-log", nil, "read this access log, or all that the `PATTERN` fits, in the place of those of the settings")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *dryRun && *yes {
			return &usageError{errors.New("gc: --dry-run and --yes contradict each other")}
		}
		// Zero is no rule, and whoever gives one wants something.
		switch given := cmd.Flags().Changed; {
		case given("keep") && r.Keep < 1:
			return &usageError{fmt.Errorf("--keep %d: want how many versions stay, from 1 on", r.Keep)}
		case given("not-fetched") && r.NotFetched == 0:
			return &usageError{errors.New("--not-fetched: want how long nobody must have fetched a file, as 180d")}
		case given("unwanted-for") && r.UnwantedFor == 0:
			return &usageError{errors.New("--unwanted-for: want how long ago a file must have been withdrawn, at least a day, as 30d")}
		case given("access-log") && r.NotFetched == 0:
			return &usageError{errors.New("--access-log: it is read for --not-fetched alone, which is not given")}
		}
		c, err := s.load()
		if err != nil {
			return err
		}
		t := newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr())
		// Who pipes the output somewhere still sits there.
		terminal := t.wide || isTerminal(os.Stdin)
		looking := *dryRun || terminal && !*yes
		g, err := nestgen.GC(cmd.Context(), c, nestgen.Options{DryRun: looking, Retention: r})
		if err != nil {
			return err
		}
		switch {
		case *asJSON:
			err = writeJSON(t.out, g, "  ")
		case !*quiet:
			printGarbage(t, g)
		}
		if g.NotJudged != "" && !*asJSON {
			fmt.Fprintf(t.err, "nestgen: a rule was not applied: %s\n", tame.Text(g.NotJudged))
		}
		if looking && !*dryRun {
			fmt.Fprintln(t.err, "nestgen: nothing was deleted; say --yes to do it")
		}
		if err == nil && g.NotJudged != "" {
			return status(exitKept)
		}
		return err
	}
	return cmd
}

func printGarbage(t *terminal, g *nestgen.Garbage) {
	done, leave := "deleted", "left the index"
	if g.DryRun {
		done, leave = "would be deleted", "would leave the index"
		for _, p := range g.Paths {
			fmt.Fprintln(t.out, tame.Text(p))
		}
	}
	left := 0
	for _, u := range g.Unwanted {
		if u.Becomes == "withdrawn" {
			left++
			if g.DryRun {
				fmt.Fprintf(t.out, "%s: %s\n", tame.Text(u.Path), leave)
			}
		}
	}
	for _, r := range g.Reasons {
		fmt.Fprintf(t.out, "%s: %s (%s)\n", tame.Text(r.Reason), count(int64(r.Files), "file"), bytesText(r.Bytes))
	}
	if left > 0 {
		fmt.Fprintf(t.out, "%s %s, and their bytes go after the grace period\n", count(int64(left), "file"), leave)
	}
	fmt.Fprintf(t.out, "%s (%s) %s; %d more wait for their grace period\n", count(int64(len(g.Paths)), "file"), bytesText(g.Bytes), done, g.Waiting)
}
